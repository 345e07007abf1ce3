"""What frameworks ask of an encoder."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A network from samples to embeddings.

    Parameters
    ----------
    input_shape : first argument of every encoder's constructor, the shape of one sample.

    Attributes
    ----------
    out_features : width of the embedding.
    """

    out_features: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Take (B, *input_shape) to (B, out_features)."""
