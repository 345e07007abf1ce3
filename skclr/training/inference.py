"""Application of the encoder and of the view maker to many rows."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from skclr.data.samples import SampleTensors
from skclr.encoders import Encoder
from skclr.randomness import derive_seeds
from skclr.training.interruption import handle_ctrl_c, is_out_of_memory, release_tensors
from skclr.views import Views


def embed_samples(
    encoder: Callable[[Tensor], Tensor],
    samples: SampleTensors,
    out: np.ndarray,
    extra: Callable[[Tensor], Tensor] | None = None,
    *,
    any_length: bool = False,
) -> None:
    """Write the embedding of each sample into `out`, in one pass over the samples.

    All chunks of samples of equal length have the same number of rows, with the last one padded. Otherwise kernels
    chosen by the number of rows would make the bits of a row depend on the other rows.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, d); in eval mode.
    samples : n samples.
    out : (n, d) float32, written to.
    extra : maps the same samples to further columns of `out`, after those of the embedding; None for none.
    any_length : whether the encoder accepts shorter samples than those of `fit`.
    """
    with torch.inference_mode():
        for positions, alike in samples.by_length(any_length=any_length):
            _embed_equal_shapes(encoder, extra, alike, positions, out)


def _embed_equal_shapes(
    encoder: Callable[[Tensor], Tensor],
    extra: Callable[[Tensor], Tensor] | None,
    samples: SampleTensors,
    positions: np.ndarray,
    out: np.ndarray,
) -> None:
    blocks, size = [encoder] if extra is None else [encoder, extra], 1
    try:
        size = rows_per_chunk(widest_output(lambda: [block(samples[:1]) for block in blocks]), samples.device)
        for start in range(0, len(samples), size):
            handle_ctrl_c()
            x, places = samples.chunk(start, size), positions[start : start + size]
            values = torch.cat([block(x)[: len(places)].float() for block in blocks], 1)
            out[places] = values.cpu().numpy()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        release_tensors(error)
        raise MemoryError(
            f"embedding {size} sample(s) of shape {tuple(samples.X.shape[1:])} at once does not fit into memory. "
            f"Shrink the samples, or fit a smaller encoder ({error})"
        ) from error


def rows_per_chunk(values_per_sample: int, device: torch.device) -> int:
    """Return the number of rows in a chunk, a power of two up to 2,048 that depends only on the size of a sample.

    Parameters
    ----------
    values_per_sample : number of values per sample in the encoder's widest layer.
    device : on a CPU, chunks have 32 rows or more of samples below 1 MiB, and one row of larger ones; an accelerator
        needs more rows to be busy, and gets one row from 128 MiB on.
    """
    if device.type != "cpu":
        return _power_of_two(2**25 / values_per_sample, least=1)
    # As many as stay in the cache.
    return 1 if values_per_sample >= 2**18 else _power_of_two(2**20 / values_per_sample, least=32)


def _power_of_two(n: float, least: int, most: int = 2_048) -> int:
    return int(2 ** round(math.log2(min(most, max(least, n)))))


def widest_output(function: Callable[[], Any]) -> int:
    """Return the number of values in the largest tensor that a function computes."""
    with _WidestOutput() as seen:
        function()
    return seen.n_values


class _WidestOutput(TorchFunctionMode):
    """Record the largest output of torch functions, in this thread only."""

    n_values = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        # What is moved to the device belongs to no sample.
        if isinstance(result, Tensor) and function is not Tensor.to:
            self.n_values = max(self.n_values, result.numel())
        return result


def make_views(maker: Views, samples: SampleTensors, batch_size: int, seed: int) -> list[np.ndarray]:
    """Return the views of all samples, made batch by batch.

    Parameters
    ----------
    maker : fitted on the samples.
    samples : n samples.
    batch_size : number of samples of which views are made at once, as in training.
    seed : seed of the views.

    Returns
    -------
    One (n, *shape_v) array per view.
    """
    starts = range(0, len(samples), batch_size)
    batches = []
    for start, number in zip(starts, derive_seeds(len(starts), seed), strict=True):
        rows = np.arange(start, min(start + batch_size, len(samples)))
        generator = torch.Generator(samples.device).manual_seed(number)
        views = maker(samples[rows], torch.from_numpy(rows).to(samples.device), generator)
        batches.append([view.cpu() for view in views])
    return [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]


def embed_views(encoder: Encoder, views: list[np.ndarray], device: torch.device) -> list[np.ndarray]:
    """Return the embeddings of views from `make_views`.

    Parameters
    ----------
    encoder : in eval mode, on `device`.
    views : one (n, *shape_v) array per view.

    Returns
    -------
    One (n, out_features) float32 array per view.
    """
    embeddings = [np.empty((len(view), encoder.out_features), dtype=np.float32) for view in views]
    for view, out in zip(views, embeddings, strict=True):
        embed_samples(encoder, SampleTensors(view, torch.from_numpy, device), out=out)
    return embeddings
