"""skclr: contrastive representation learning with `fit` and `transform`."""

from skclr.embedder import ContrastiveEmbedder

__version__ = "0.1.0.dev0"

__all__ = ["ContrastiveEmbedder"]
