"""Recurrent networks that read a series from both ends."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from skclr.arguments import check_sizes
from skclr.data.missing import masked_mean, split_missing
from skclr.encoders.base import Encoder


class Recurrent(Encoder):
    """Read a series once forwards and once backwards; the embedding is the mean of the states.

    Parameters
    ----------
    input_shape : (C, T); a series of any length is taken.
    width : of the state; the embedding has one for each direction, 2 · width features.
    n_layers : layers of each direction.

    Attributes
    ----------
    layers : the cell's module, set by the subclass.

    References
    ----------
    Schuster & Paliwal 1997, sec. II. Differs: with several layers the directions meet only at the end, so that
    each reads on past steps that are not there.
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
        """Take (B, C, T) to (B, 2 · width)."""
        x, there = split_missing(x)
        one, other = _run(self.forwards, x, there), _run(self.backwards, x.flip(2), there.flip(1))
        return torch.cat([one, other], dim=1)


class GRU(Recurrent):
    """Gated recurrent units, forwards and backwards; the embedding is the mean of the states.

    Parameters
    ----------
    input_shape : (C, T); a series of any length is taken.
    width : of the state; the embedding has 2 · width features.
    n_layers : layers of each direction.

    References
    ----------
    Cho et al. 2014, sec. 2.3. Differs: torch's, which resets the state after its product with the weights.

    Examples
    --------
    >>> import torch
    >>> from skclr.encoders import GRU
    >>> GRU((2, 100), width=32)(torch.randn(8, 2, 100)).shape
    torch.Size([8, 64])
    """

    layers = nn.GRU


class LSTM(Recurrent):
    """Long short-term memory, forwards and backwards; the embedding is the mean of the states.

    Parameters
    ----------
    input_shape : (C, T); a series of any length is taken.
    width : of the state; the embedding has 2 · width features.
    n_layers : layers of each direction.

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


def _run(layers: nn.GRU | nn.LSTM, x: Tensor, there: Tensor) -> Tensor:
    """Give the mean state (B, width) over the steps of (B, C, T) that are there."""
    # What is not there comes last, where no state that counts has seen it; lengths stay on the device.
    n_steps = there.shape[1]
    order = (torch.arange(n_steps, device=x.device) + n_steps * ~there).argsort(dim=1)
    ordered = x.gather(2, order[:, None].expand_as(x)).mT
    # A plan needs the shape alone: on the meta device torch would walk step by step.
    states = x.new_empty(*ordered.shape[:2], layers.hidden_size) if x.is_meta else layers(ordered)[0]
    return masked_mean(states.mT, there.gather(1, order))
