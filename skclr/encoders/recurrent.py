"""Bidirectional recurrent networks for series."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.missing import masked_mean, split_missing
from skclr.encoders.base import Encoder


class Recurrent(Encoder):
    """Base class of bidirectional recurrent networks; the embedding is the mean of the states.

    Parameters
    ----------
    input_shape : (C, T); series may have any length.
    width : width of the state; the embedding has 2 · width features, one state per direction.
    n_layers : number of layers in each direction.

    Attributes
    ----------
    layers : class of the recurrent module, set by the subclass.

    References
    ----------
    Schuster & Paliwal 1997, sec. II. Differs: with several layers, the directions are combined only at the end, so that
    neither reads steps of padding first.
    """

    n_dims = 2
    any_length = True
    layers: ClassVar[type[nn.GRU] | type[nn.LSTM]]

    def __init__(self, input_shape: tuple[int, int], width: int = 64, n_layers: int = 1) -> None:
        check_sizes(width=width, n_layers=n_layers)
        super().__init__()
        channels = input_shape[0]
        self.forwards = self.layers(channels, width, n_layers, batch_first=True)
        self.backwards = self.layers(channels, width, n_layers, batch_first=True)
        self.out_features = 2 * width

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, 2 · width) embeddings of series (B, C, T)."""
        x, observed = split_missing(x)
        one, other = _run(self.forwards, x, observed), _run(self.backwards, x.flip(2), observed.flip(1))
        return torch.cat([one, other], dim=1)


class GRU(Recurrent):
    """Bidirectional gated recurrent units; the embedding is the mean of the states.

    Parameters
    ----------
    input_shape : (C, T); series may have any length.
    width : width of the state; the embedding has 2 · width features.
    n_layers : number of layers in each direction.

    References
    ----------
    Cho et al. 2014, sec. 2.3. Differs: torch's variant, which resets the state after the product with the weights.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import GRU
    >>> GRU((2, 100), width=32)(torch.randn(8, 2, 100)).shape
    torch.Size([8, 64])
    """

    layers = nn.GRU


class LSTM(Recurrent):
    """Bidirectional long short-term memory; the embedding is the mean of the states.

    Parameters
    ----------
    input_shape : (C, T); series may have any length.
    width : width of the state; the embedding has 2 · width features.
    n_layers : number of layers in each direction.

    References
    ----------
    Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000. Differs: none.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import LSTM
    >>> LSTM((2, 100), width=32)(torch.randn(8, 2, 100)).shape
    torch.Size([8, 64])
    """

    layers = nn.LSTM


def _run(layers: nn.GRU | nn.LSTM, x: Tensor, observed: Tensor) -> Tensor:
    """Return the mean state (B, width) over the steps of (B, C, T) that are not padding."""
    # Padding comes last, so that it does not affect the states that count; lengths stay on the device.
    n_steps = observed.shape[1]
    order = (torch.arange(n_steps, device=x.device) + n_steps * ~observed).argsort(dim=1)
    ordered = x.gather(2, order[:, None].expand_as(x)).mT
    # Planning needs only the shape; on the meta device torch would run step by step.
    states = x.new_empty(*ordered.shape[:2], layers.hidden_size) if x.is_meta else layers(ordered)[0]
    return masked_mean(states.mT, observed.gather(1, order))
