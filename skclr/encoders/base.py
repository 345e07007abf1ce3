"""The base class of all encoders."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Base class of networks that map samples to embeddings.

    Parameters
    ----------
    input_shape : first argument of every encoder's constructor, the shape of one sample.

    Attributes
    ----------
    out_features : width of the embedding.
    n_dims : number of dimensions of a sample, such as 3 for an image; None for any.
    tokens : whether samples are token ids instead of numbers.
    facts : names of the constructor's arguments that are facts about the data, which the modality fills in if the user
        does not; see `skclr.modalities.Modality.facts`.
    takes_missing : whether the network handles NaN, which marks missing values and padding; if not, `Preprocessed`
        passes 0 instead.
    sees_features : whether samples are the plain features of the modality, and not what it reads.
    any_length : whether samples may be shorter or longer than `input_shape`, with no effect of padding.
    learning_rate : default learning rate; None for that of the framework.
    package : another package whose code it runs, which a model file may use only if the user trusts it; or None.
    """

    out_features: int
    n_dims: ClassVar[int | None] = None
    tokens: ClassVar[bool] = False
    facts: ClassVar[tuple[str, ...]] = ()
    takes_missing: ClassVar[bool] = True
    sees_features: ClassVar[bool] = False
    any_length: bool = False
    learning_rate: ClassVar[float | None] = None
    package: ClassVar[str | None] = None

    @classmethod
    def is_trained(cls, params: dict[str, Any]) -> bool:
        """Return whether an encoder with these parameters has layers that are trained."""
        return True

    @classmethod
    def without_fetching(cls, params: dict[str, Any]) -> dict[str, Any]:
        """Return parameters that build the encoder without reading any file or address, for weights loaded afterwards.

        The parameters come from a model file and are not trusted: files and addresses that they name must not be
        opened.

        Raises
        ------
        ValueError : if there are no such parameters.
        """
        return params

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of samples (B, *input_shape)."""
