"""Frameworks: one paper, one short file each. To add one, write its file and its line here."""

from skclr.frameworks.barlow_twins import BarlowTwins
from skclr.frameworks.base import Framework, Recipe
from skclr.frameworks.byol import BYOL
from skclr.frameworks.dino import DINO
from skclr.frameworks.moco import MoCo
from skclr.frameworks.nnclr import NNCLR
from skclr.frameworks.simclr import SimCLR
from skclr.frameworks.simsiam import SimSiam
from skclr.frameworks.supervised import Supervised
from skclr.frameworks.swav import SwAV
from skclr.frameworks.vicreg import VICReg

FRAMEWORKS: dict[str, type[Framework]] = {
    "simclr": SimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "swav": SwAV,
    "barlow_twins": BarlowTwins,
    "simsiam": SimSiam,
    "vicreg": VICReg,
    "nnclr": NNCLR,
    "dino": DINO,
}

# Chosen by class alone, since these need labels; files may name them too.
BY_CLASS: tuple[type[Framework], ...] = (Supervised,)

__all__ = [
    "BYOL",
    "BY_CLASS",
    "DINO",
    "FRAMEWORKS",
    "NNCLR",
    "BarlowTwins",
    "Framework",
    "MoCo",
    "Recipe",
    "SimCLR",
    "SimSiam",
    "Supervised",
    "SwAV",
    "VICReg",
]
