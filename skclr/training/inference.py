"""The encoder and the view maker over many rows."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from skclr.encoders import Encoder
from skclr.parts.randomness import derive_seeds
from skclr.training.loader import Samples
from skclr.views import Views

# Values in a chunk: enough to keep the cores busy, little enough to stay in their cache.
_CHUNK_VALUES = 2**17


def embed(encoder: Callable[[Tensor], Tensor], samples: Samples, out: np.ndarray) -> None:
    """Write the embedding of each sample into `out`.

    Every chunk has the same number of rows, the last one padded: a kernel chosen by the number of rows
    would let a row's bits depend on its neighbours.

    Parameters
    ----------
    encoder : takes (B, *shape) to (B, d); in eval mode.
    samples : n of them.
    out : (n, d) float32, written to.
    """
    first = samples[:1]
    shape = first.shape[1:]
    # A token is looked up, and becomes a vector.
    size = chunk_size(math.prod(shape) * (1 if first.is_floating_point() else out.shape[1]))
    with torch.inference_mode():
        for start in range(0, len(samples), size):
            x = samples[start : start + size]
            n_rows = len(x)
            if n_rows < size:
                x = torch.cat([x, x.new_zeros(size - n_rows, *shape)])
            out[start : start + n_rows] = encoder(x)[:n_rows].float().cpu().numpy()


def chunk_size(values_per_sample: int) -> int:
    """Give the rows of a chunk: a power of two from 32 to 1,024."""
    return 2 ** round(min(10, max(5, math.log2(_CHUNK_VALUES / values_per_sample))))


def make_views(maker: Views, samples: Samples, batch_size: int, seed: int) -> list[np.ndarray]:
    """Make the views of all samples, batch by batch.

    Parameters
    ----------
    maker : fitted on the samples.
    samples : n of them.
    batch_size : samples of which views are made at once, as in training.
    seed : of the views.

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
    """Embed views, as `make_views` gives them.

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
        embed(encoder, Samples(view, torch.from_numpy, device), out=out)
    return embeddings
