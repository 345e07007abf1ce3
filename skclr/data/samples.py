"""The data path: a host array as batches of tensors, sliced once per batch instead of once per sample."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skclr.data.shuffle import n_lanes, shuffled_by_block
from skclr.data.stored import edges_of, in_blocks
from skclr.ranks.collectives import world

T = TypeVar("T")
U = TypeVar("U")

# As float32; a laptop can spare this much.
_HOST_BYTES = 2**28
# Rows that are prepared at once: plain features may need far more memory on the way than they take.
_PREPARED_ROWS = 32
# Share of an accelerator's free memory; the rest is for activations.
_DEVICE_SHARE = 1 / 4


class SampleTensors(Dataset[Tensor]):
    """Rows of a host array: `samples[rows]` is a batch of tensors on the device.

    Parameters
    ----------
    X : array of n rows that accepts an index array; it is never written to. It may be stored in blocks, see
        `skclr.data.stored.edges_of` and `in_blocks`.
    to_tensor : converts a slice of X to a float32 tensor (B, *shape).
    device : device of the batches.
    groups : int64 positive group of each of these samples; None if every sample is its own group.
    rows : increasing row numbers of X that belong to these samples; None for all.
    prepare : maps batches of `to_tensor`, on the device, to those that are returned; None leaves them as they are.
    """

    def __init__(
        self,
        X: Any,
        to_tensor: Callable[[Any], Tensor],
        device: torch.device,
        groups: Tensor | None = None,
        rows: np.ndarray | None = None,
        prepare: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.X = X
        self.to_tensor = to_tensor
        self.device = device
        self.rows = np.arange(X.shape[0]) if rows is None else rows
        self.groups = torch.arange(len(self.rows)) if groups is None else groups
        self.prepare = prepare
        self.resident: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: np.ndarray | slice) -> Tensor:
        chosen = self.rows[rows]
        if self.resident is not None:
            return self.resident[torch.from_numpy(chosen).to(self.device)]
        return self._prepared(self.on_host(rows))

    def chunk(self, start: int, size: int) -> Tensor:
        """Return a batch of `size` samples from `start` on, padded with zeros after the last.

        A kernel chosen by the number of rows would otherwise let the bits of a row depend on the number of rows.
        """
        rows = slice(start, start + size)
        batch = self.on_host(rows) if self.resident is None else self[rows]
        if len(batch) < size:
            batch = torch.cat([batch, batch.new_zeros(size - len(batch), *batch.shape[1:])])
        return self._prepared(batch) if self.resident is None else batch

    def on_host(self, rows: np.ndarray | slice) -> Tensor:
        """Return a batch in host memory, whatever the device."""
        return self.to_tensor(self.X[self.rows[rows]])

    def to_device(self) -> None:
        """Move all rows to the device as tensors, if they are few enough to stay there."""
        if 4 * self.X.shape[0] * self._n_values() <= resident_bytes(self.device):
            # Indexing with an array copies, so torch may share that memory even if X is read-only.
            blocks = [np.arange(start, stop) for start, stop in pairwise(edges_of(self.X).tolist())]
            if self.prepare is not None:
                blocks = [rows[i : i + _PREPARED_ROWS] for rows in blocks for i in range(0, len(rows), _PREPARED_ROWS)]
            tensors = [self._prepared(self.to_tensor(self.X[rows])) for rows in blocks]
            self.resident = tensors[0] if len(tensors) == 1 else torch.cat(tensors)

    def _n_values(self) -> int:
        """Return the number of values of one sample."""
        if self.prepare is None:
            return math.prod(self.X.shape[1:])
        return self._prepared(self.to_tensor(self.X[np.arange(1)])).numel()

    def _prepared(self, batch: Tensor) -> Tensor:
        """Return a batch on the device, as networks and views take it."""
        if self.device.type == "cuda":
            # The host goes on while memory that is pinned is copied.
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True)
        if self.prepare is None:
            return batch
        with torch.no_grad():
            return self.prepare(batch)

    @property
    def edges(self) -> np.ndarray:
        """The positions (n_blocks + 1,) at which blocks of these samples begin, and the end of the last."""
        return np.unique(np.searchsorted(self.rows, edges_of(self.X)))

    def by_length(self, *, any_length: bool) -> Iterator[tuple[np.ndarray, SampleTensors]]:
        """Yield samples of equal padded length, and their positions; the padding depends only on each sample.

        Parameters
        ----------
        any_length : whether samples may be shorter than those of `fit`.
        """
        if not hasattr(self.X, "padded_lengths"):
            yield np.arange(len(self)), self
            return
        padded = self.X.padded_lengths(any_length=any_length)
        for length in np.unique(padded[self.rows]).tolist():
            positions = np.flatnonzero(padded[self.rows] == length)
            alike = self.subset(positions)
            alike.X = self.X.padded_to(length)
            yield positions, alike

    def in_blocks(self) -> SampleTensors:
        """Return the same samples, optimised for reading block by block."""
        samples = copy.copy(self)
        samples.X = in_blocks(self.X)
        return samples

    def subset(self, rows: np.ndarray) -> SampleTensors:
        """Return the samples at `rows`, increasing positions in these samples."""
        groups = self.groups[torch.from_numpy(rows)]
        chosen = SampleTensors(self.X, self.to_tensor, self.device, groups, self.rows[rows], self.prepare)
        chosen.resident = self.resident
        return chosen


def resident_bytes(device: torch.device) -> float:
    """Return how many bytes of a device's memory the data may take."""
    if device.type != "cuda":
        return _HOST_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return _DEVICE_SHARE * free


class Batches:
    """Batches of samples, reshuffled by blocks in each epoch; each rank gets its share of a batch.

    Parameters
    ----------
    samples : training samples.
    batch_size : samples per batch; fewer samples form a single batch.
    seed : seed of the shuffles, which depend only on it and on the number of the epoch.
    epoch : number of the first epoch.
    shuffle : whether to shuffle; otherwise rows are in order, and the last, smaller batch is kept if it has at least
        two rows.
    """

    def __init__(
        self, samples: SampleTensors, batch_size: int, *, seed: int = 0, epoch: int = 0, shuffle: bool = True
    ) -> None:
        self.samples = samples
        self.batch_size = min(batch_size, len(samples))
        self.seed = seed
        self.epoch = epoch
        self.shuffle = shuffle

    def __len__(self) -> int:
        full, rest = divmod(len(self.samples), self.batch_size)
        # A smaller last batch has fewer negatives and would give its samples more weight. In training, the shuffle
        # leaves its rows to other epochs.
        return full if self.shuffle or rest // world.size * world.size < 2 else full + 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return self.skipping(0)

    def skipping(self, n_batches: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the batches of the next epoch, without the first `n_batches`."""
        order = np.arange(len(self.samples))
        if self.shuffle:
            rng, edges = np.random.default_rng((self.seed, self.epoch)), self.samples.edges
            lanes = n_lanes(edges, math.prod(self.samples.X.shape[1:]))
            order = shuffled_by_block(edges, self.batch_size, lanes, rng)
            self.epoch += 1
        size = self.batch_size // world.size
        order = np.concatenate(
            [world.share(order[i : i + self.batch_size]) for i in range(0, len(order), self.batch_size)]
        )
        samples, device = self.samples, self.samples.device
        # Once per epoch, since the host waits for the device at every such copy.
        host_rows = torch.from_numpy(order)
        rows, groups = host_rows.to(device), samples.groups[host_rows].to(device)
        slices = [slice(i * size, (i + 1) * size) for i in range(n_batches, len(self))]
        if (resident := samples.resident) is not None:
            places = torch.from_numpy(samples.rows[order]).to(device)
            batches: Iterator[Tensor] = (resident[places[batch]] for batch in slices)
        else:
            reader = samples.in_blocks()
            batches = prefetched(lambda batch: reader[order[batch]], slices)
        for x, batch in zip(batches, slices, strict=True):
            yield x, rows[batch], groups[batch]


def prefetched(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Yield function(item) of each item; a thread computes the next while the caller uses the last."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for item in items:
            last, waiting = waiting, pool.submit(function, item)
            if last is not None:
                yield last.result()
        if waiting is not None:
            yield waiting.result()


def validation_size(n_samples: int, fraction: float) -> int:
    """Return the number of validation samples for a fraction, at least two.

    Raises
    ------
    ValueError : if fewer than two samples are left for training.
    """
    n_valid = max(2, world.size, round(fraction * n_samples))
    if n_samples - n_valid < 2:
        raise ValueError(
            f"validation_fraction={fraction} leaves {n_samples - n_valid} of {n_samples} samples for training. "
            "Lower it, or set early_stopping=False."
        )
    return n_valid


class HoldOut:
    """A `train_split` for skorch that holds out a random share of the samples.

    Parameters
    ----------
    fraction : share of the samples, above 0 and below 1.
    seed : seed of the split.
    """

    def __init__(self, fraction: float, seed: int) -> None:
        self.fraction = fraction
        self.seed = seed

    def __call__(self, samples: SampleTensors, y: None = None) -> tuple[SampleTensors, SampleTensors]:
        order = np.random.default_rng(self.seed).permutation(len(samples))
        n_valid = validation_size(len(samples), self.fraction)
        return samples.subset(np.sort(order[n_valid:])), samples.subset(np.sort(order[:n_valid]))
