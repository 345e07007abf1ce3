"""skclr: contrastive representation learning with `fit` and `transform`."""

from skclr.embedder import ContrastiveEmbedder
from skclr.semi_supervised import SemiSupervisedClassifier

__version__ = "0.1.0.dev0"

__all__ = ["ContrastiveEmbedder", "SemiSupervisedClassifier"]
