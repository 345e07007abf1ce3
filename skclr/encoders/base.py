"""What frameworks ask of an encoder."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A network from samples to embeddings.

    Parameters
    ----------
    input_shape : first argument of every encoder's constructor, the shape of one sample.

    Attributes
    ----------
    out_features : width of the embedding.
    n_dims : number of dimensions of a sample, as the 3 of an image; None takes any.
    tokens : whether samples are ids of tokens, and not numbers.
    facts : names of the constructor's arguments that are facts of the data, which the modality fills in where the
        user does not; see `skclr.modalities.Modality.facts`.
    takes_missing : whether NaN in a sample, where values are missing or it has ended, means something to the network;
        if not, `Preprocessed` passes 0 in its place.
    any_length : whether samples may be shorter or longer than `input_shape` says, and padding makes no difference.
    package : another package whose code it runs, which no model file may choose unless the user trusts it; or None.
    """

    out_features: int
    n_dims: ClassVar[int | None] = None
    tokens: ClassVar[bool] = False
    facts: ClassVar[tuple[str, ...]] = ()
    takes_missing: ClassVar[bool] = True
    any_length: bool = False
    package: ClassVar[str | None] = None

    @classmethod
    def without_fetching(cls, params: dict[str, Any]) -> dict[str, Any]:
        """Give the parameters that make the encoder anew from nothing but themselves, for weights that are at hand.

        A stranger wrote them: no file and no address that they name is to be opened.

        Raises
        ------
        ValueError : where there are none such.
        """
        return params

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Take (B, *input_shape) to (B, out_features)."""
