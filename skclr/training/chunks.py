"""Large batches in little memory: the encoder processes a batch in chunks, the loss uses the whole batch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skclr.compiling import uncompiled
from skclr.encoders import Preprocessed
from skclr.forwarding import forward_replaced
from skclr.training.draws import StepDraws


def in_chunks(module: nn.Module, size: int, draws: StepDraws | None = None) -> AbstractContextManager[None]:
    """Limit every encoder in a module to `size` samples at a time within the block.

    Parameters
    ----------
    module : contains the encoders.
    draws : source of the encoders' random numbers, which are drawn again when a chunk is recomputed; None is torch's
        global generator.

    Raises
    ------
    ValueError : in the block, if chunks have one sample and an encoder cannot normalise over a single sample.

    Notes
    -----
    Activations are freed after the forward pass and recomputed in backward (gradient checkpointing). Embeddings, and
    everything after them, are those of the whole batch, so that no negative is lost. Gradients are those of the whole
    batch, except for BatchNorm in the encoder, which normalises by its chunk.

    References
    ----------
    Gao et al. 2021 (GradCache), sec. 3; Chen et al. 2016 for recomputation. Differs: heads process the whole batch too.
    """
    encoders = [part for part in module.modules() if isinstance(part, Preprocessed)]
    return forward_replaced(encoders, partial(_forward, size=size, draws=draws))


# torch's compiler takes no checkpoint with contexts of its own.
@uncompiled
def _forward(encoder: Preprocessed, x: Tensor, *, size: int, draws: StepDraws | None) -> Tensor:
    whole = partial(type(encoder).forward, encoder)
    if len(x) <= size:
        return whole(x)
    sizes = [size] * (len(x) // size) + [len(x) % size] * (len(x) % size > 0)
    if sizes[-1] == 1 < size:
        # BatchNorm cannot normalise a single sample.
        sizes[-2:] = [size + 1]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _recomputing(encoder, draws.replay() if draws else nullcontext)

    # preserve_rng_state would set torch's global generator, from which another thread may draw.
    compute = partial(checkpoint, whole, use_reentrant=False, preserve_rng_state=draws is None, context_fn=contexts)
    try:
        return torch.cat([compute(chunk) for chunk in torch.split(x, sizes)])
    except ValueError as error:
        if size > 1:
            raise
        raise ValueError(
            f"chunk_size=1 leaves BatchNorm in the encoder a single sample. Set chunk_size to 2 or more. ({error})"
        ) from error


@contextmanager
def _recomputing(module: nn.Module, replayed: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Repeat the random draws, and restore the buffers afterwards, so that only the first pass updates statistics."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        with replayed():
            yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
