"""Losses: what a framework minimises, from rows and their positive groups."""

from skclr.losses.pairwise import (
    DCL,
    Contrastive,
    InfoNCE,
    Logistic,
    NPair,
    NTXent,
    PairwiseLoss,
    SoftNearestNeighbors,
    SupCon,
    Triplet,
    count_anchors,
)

__all__ = [
    "DCL",
    "LOSSES",
    "Contrastive",
    "InfoNCE",
    "Logistic",
    "NPair",
    "NTXent",
    "PairwiseLoss",
    "SoftNearestNeighbors",
    "SupCon",
    "Triplet",
    "count_anchors",
]

LOSSES: dict[str, type[PairwiseLoss]] = {
    "contrastive": Contrastive,
    "triplet": Triplet,
    "n_pair": NPair,
    "info_nce": InfoNCE,
    "nt_xent": NTXent,
    "sup_con": SupCon,
    "logistic": Logistic,
    "dcl": DCL,
    "soft_nearest_neighbors": SoftNearestNeighbors,
}
