"""BatchNorm over the whole batch, where its rows are on several ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from skclr.parts.precision import at_least_float32
from skclr.parts.ranks import gather, n_ranks


@contextmanager
def synchronized(module: nn.Module) -> Iterator[None]:
    """Let every BatchNorm in a module normalise by the rows of all ranks, for the time of the block.

    Notes
    -----
    As torch's SyncBatchNorm, which does not run on a CPU; and the module stays what it is, for files and other devices.
    """
    found = module.modules() if n_ranks() > 1 else ()
    layers = [layer for layer in found if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    for layer in layers:
        # The instance's, before the class's; hooks are run as ever.
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    if not layer.training:
        return type(layer).forward(layer, x)
    mean, variance = _statistics(at_least_float32(x))
    _follow(layer, mean, variance, n_ranks() * x.numel() // x.shape[1])
    scale = (variance + layer.eps).rsqrt()
    if layer.affine:
        scale = scale * layer.weight
    per_channel = (1, -1, *[1] * (x.ndim - 2))
    y = (x - mean.view(per_channel)) * scale.view(per_channel)
    return (y + layer.bias.view(per_channel) if layer.affine else y).to(x.dtype)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give means and biased variances (C,) of the channels of (B, C, ...) on all ranks."""
    channels = x.transpose(0, 1).flatten(1)
    variances, means = gather(torch.stack(torch.var_mean(channels, 1, correction=0))[None]).unbind(1)
    # Not by mean squares, whose difference would lose digits.
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)


@torch.no_grad()
def _follow(layer: nn.modules.batchnorm._BatchNorm, mean: Tensor, variance: Tensor, n: int) -> None:
    """Move the running statistics towards those of n values."""
    if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
        return
    layer.num_batches_tracked += 1
    weight = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), weight)
    layer.running_var.lerp_((variance * n / (n - 1)).to(layer.running_var.dtype), weight)
