"""Frameworks, one paper per file. To add one, write its file and add a line to `FRAMEWORKS`."""

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

# Not selectable by name, since they need labels; pass the class. Files may contain them too.
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
