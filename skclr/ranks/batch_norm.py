"""BatchNorm over a batch that is distributed over several ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skclr.forwarding import forward_replaced
from skclr.precision import at_least_float32
from skclr.ranks.collectives import world


@contextmanager
def synchronized(module: nn.Module) -> Iterator[None]:
    """Make every BatchNorm in a module use the statistics of all ranks within the block.

    Notes
    -----
    Equivalent to torch's SyncBatchNorm, which does not run on a CPU. The module is not replaced, so it can be saved and
    moved as usual.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    with forward_replaced(layers, _forward):
        yield


def _forward(layer: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    if not layer.training:
        return type(layer).forward(layer, x)
    y, mean, variance = _Normalize.apply(x, layer.weight, layer.bias, layer.eps)
    _follow(layer, mean, variance, world.size * x.numel() // x.shape[1])
    return y


class _Normalize(torch.autograd.Function):
    """Normalise channels by their means and biased variances over all ranks, and return these too.

    The normalisation uses torch's kernels for given statistics, as in evaluation. The gradient through the statistics,
    which are functions of x, is added here.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.batch_norm_update_stats(at_least_float32(x), None, None, 0.0)
        means, variances = world.gather(torch.stack(own)[None]).unbind(1)
        # Not from mean squares, whose difference would lose precision.
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps = eps
        y = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, variance = ctx.saved_tensors
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        scale = (variance + ctx.eps).rsqrt() * (1 if weight is None else weight)
        by_weight, by_bias = world.average(torch.stack([grad_weight, grad_bias])) * scale * (x.shape[1] / x.numel())
        grad_x -= torch.native_batch_norm(x, by_weight, by_bias, mean, variance, False, 0.0, ctx.eps)[0]
        return grad_x, *((None, None) if weight is None else (grad_weight, grad_bias)), None


@torch.no_grad()
def _follow(layer: nn.modules.batchnorm._BatchNorm, mean: Tensor, variance: Tensor, n: int) -> None:
    """Update the running statistics with those of n values."""
    if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
        return
    layer.num_batches_tracked += 1
    weight = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), weight)
    layer.running_var.lerp_((variance * n / (n - 1)).to(layer.running_var.dtype), weight)
