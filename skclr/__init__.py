"""skclr: contrastive representation learning with `fit` and `transform`."""

from skclr.embedder import ContrastiveEmbedder, load
from skclr.evaluation import compare, diagnose
from skclr.plotting import report
from skclr.semi_supervised import SemiSupervisedClassifier
from skclr.storage import ModelFileError

__version__ = "0.1.0.dev0"

__all__ = ["ContrastiveEmbedder", "ModelFileError", "SemiSupervisedClassifier", "compare", "diagnose", "load", "report"]
