"""An encoder preceded by the fixed preprocessing of its modality."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from skclr.encoders.base import Encoder


class Preprocessed(Encoder):
    """Preprocessing and network as one encoder, so that they are saved, moved and exported together.

    Parameters
    ----------
    preprocessing : maps samples (B, *shape) to the network's input.
    network : any module that returns (B, d); its width is measured.
    example : (2, *shape), samples to measure it with; they contain NaN if samples may.

    Raises
    ------
    ValueError : if the network does not return (B, d), or returns NaN for missing values or padding.
    """

    def __init__(self, preprocessing: nn.Module, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        # Set by the fit: how samples were read, for a later fit that starts from this encoder.
        self.reading: Any = None
        self.frozen: tuple[nn.Module, ...] = ()
        self.preprocessing = preprocessing
        self.network = network
        self.any_length = isinstance(network, Encoder) and network.any_length
        self.fills_missing = isinstance(network, Encoder) and not network.takes_missing
        self.out_features = self._measure(example)

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of samples (B, *shape)."""
        x = self.preprocessing(x)
        # Preprocessing standardises, so 0 is the mean.
        return self.network(x.nan_to_num(0.0) if self.fills_missing else x)

    def freeze(self, layers: int | str) -> None:
        """Freeze the first layers, including their normalisation statistics.

        Parameters
        ----------
        layers : number of layers, counting modules that have parameters of their own, or "all" or "none".

        Raises
        ------
        ValueError : if the encoder has fewer layers.
        """
        holders = [m for m in self.modules() if next(m.parameters(recurse=False), None) is not None]
        n_layers = {"none": 0, "all": len(holders)}[layers] if isinstance(layers, str) else layers
        if n_layers > len(holders):
            raise ValueError(
                f"freeze={layers}: the encoder has {len(holders)} layers. Use that many at most, or 'all'."
            )
        for module in self.frozen:
            _set_own_mode(module, True)
        # Hidden in a tuple, since a module registered twice would be saved twice.
        self.frozen = tuple(holders[:n_layers])
        for module in self.frozen:
            _set_own_mode(module, False)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        for module in self.frozen:
            module.training = False
        return self

    @torch.no_grad()
    def _measure(self, example: Tensor) -> int:
        # In eval mode, the two samples do not affect BatchNorm statistics.
        embedding = self.eval()(example)
        self.train()
        if embedding.ndim != 2 or len(embedding) != 2:
            raise ValueError(
                f"encoder maps {tuple(example.shape)} to {tuple(embedding.shape)}. "
                "End it with pooling and nn.Flatten(), so that it returns (B, d), one row per sample."
            )
        # On the meta device, which planning uses, there are no values.
        if not example.is_meta and example.isnan().any() and embedding.isnan().any():
            raise ValueError(
                "encoder returns NaN for samples with NaN, which marks missing values and padding. Use the default "
                "encoder, or begin yours with torch.nan_to_num."
            )
        return embedding.shape[1]


def _set_own_mode(module: nn.Module, mode: bool) -> None:
    """Set the mode of a module itself, but not of its children."""
    module.training = mode
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad_(mode)
