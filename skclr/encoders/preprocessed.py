"""An encoder with the fixed preprocessing of its modality in front."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from skclr.encoders.base import Encoder


class Preprocessed(Encoder):
    """Preprocessing and network as one encoder, so that they are saved, moved and exported together.

    Parameters
    ----------
    preprocessing : takes samples (B, *shape) to what the network takes.
    network : gives (B, d); its width is measured, so that any module will do.
    example : (2, *shape), samples to measure it with; NaN where samples may have it.

    Raises
    ------
    ValueError : where the network does not give (B, d), or makes NaN of what is not there.
    """

    def __init__(self, preprocessing: nn.Module, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        # Set by the fit: how samples were read, for a fit that goes on from this encoder.
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
        """Keep the first layers as they are from now on, statistics of normalisation included.

        Parameters
        ----------
        layers : number of layers, counting modules that hold parameters themselves, or "all" or "none".

        Raises
        ------
        ValueError : where there are fewer.
        """
        holders = [m for m in self.modules() if next(m.parameters(recurse=False), None) is not None]
        n_layers = {"none": 0, "all": len(holders)}[layers] if isinstance(layers, str) else layers
        if n_layers > len(holders):
            raise ValueError(f"freeze={layers}: the encoder has {len(holders)} layers, give as many or fewer, or 'all'")
        for module in self.frozen:
            _train_own(module, True)
        # Hidden in a tuple: a module that is registered twice would be saved twice.
        self.frozen = tuple(holders[:n_layers])
        for module in self.frozen:
            _train_own(module, False)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; what is frozen stays in evaluation."""
        super().train(mode)
        for module in self.frozen:
            module.training = False
        return self

    @torch.no_grad()
    def _measure(self, example: Tensor) -> int:
        # In eval mode the two samples leave no trace in the statistics of a BatchNorm.
        embedding = self.eval()(example)
        self.train()
        if embedding.ndim != 2 or len(embedding) != 2:
            raise ValueError(
                f"encoder takes {tuple(example.shape)} to {tuple(embedding.shape)}: "
                "it must give (2, d), one row a sample; end it with pooling and nn.Flatten()"
            )
        # What is planned on the meta device has no values.
        if not example.is_meta and example.isnan().any() and embedding.isnan().any():
            raise ValueError(
                "encoder makes NaN of samples with NaN, which stands where values are missing or a sample ends before "
                "others: choose the default encoder, or begin yours with torch.nan_to_num"
            )
        return embedding.shape[1]


def _train_own(module: nn.Module, mode: bool) -> None:
    """Switch what a module holds itself, and not what its children hold."""
    module.training = mode
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad_(mode)
