"""Losses, one file per family. To add a pairwise loss, write its class and add a line to `LOSSES`."""

from skclr.losses.logistic import Logistic
from skclr.losses.margin import Contrastive, Triplet
from skclr.losses.pairwise import PairwiseLoss, count_anchors
from skclr.losses.softmax import DCL, InfoNCE, NPair, NTXent, SoftNearestNeighbors, SupCon

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
