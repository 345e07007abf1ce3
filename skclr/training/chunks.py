"""Large batches in little memory: the encoder takes a batch in chunks, the loss takes it whole."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skclr.encoders import Preprocessed


@contextmanager
def in_chunks(module: nn.Module, size: int | None) -> Iterator[None]:
    """Let every encoder in a module take at most `size` samples at once, for the time of the block.

    Notes
    -----
    What a chunk leaves for backward is let go, and made anew when the gradient of its embeddings is known. Embeddings,
    and what comes after them, are those of the whole batch, so that no negative is lost. Gradients are those of the
    batch at once but for BatchNorm in the encoder, which normalises by its chunk.

    References
    ----------
    Gao et al. 2021 (GradCache), sec. 3; Chen et al. 2016 for recomputation. Differs: heads take the whole batch too.
    """
    if size is None:
        yield
        return
    encoders = [part for part in module.modules() if isinstance(part, Preprocessed)]
    for encoder in encoders:
        encoder.forward = partial(_forward, encoder, size)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for encoder in encoders:
            del encoder.forward


def _forward(encoder: Preprocessed, size: int, x: Tensor) -> Tensor:
    whole = partial(type(encoder).forward, encoder)
    if len(x) <= size:
        return whole(x)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _as_it_was(encoder)

    return torch.cat(
        [checkpoint(whole, chunk, use_reentrant=False, context_fn=contexts) for chunk in torch.split(x, size)]
    )


@contextmanager
def _as_it_was(module: nn.Module) -> Iterator[None]:
    """Undo what the block does to a module's buffers: statistics move in the first pass alone."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
