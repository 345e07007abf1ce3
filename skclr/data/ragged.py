"""Samples of unequal lengths as one array and its offsets, padded batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


class Ragged:
    """Samples (l_i, *inner) of unequal lengths; `ragged[rows]` is an array (B, length, *inner).

    Parameters
    ----------
    values : (Σ l_i, *inner), all samples one after the other.
    offsets : (n + 1,), where each begins, and the end of the last.
    length : to which samples are padded; longer ones lose their end.
    fill : what stands after a sample's end.

    Attributes
    ----------
    padded : (n,) lengths to which samples are padded where each is to be embedded as if it were alone; None is
        `length` for all.
    """

    padded: np.ndarray | None = None

    def __init__(self, values: np.ndarray, offsets: np.ndarray, length: int, fill: Any) -> None:
        self.values = values
        self.offsets = offsets
        self.length = length
        self.fill = fill

    @classmethod
    def of(cls, samples: Sequence[np.ndarray], length: int, fill: Any) -> Self:
        """Put samples (l_i, *inner) together."""
        offsets = np.concatenate([[0], np.cumsum([len(sample) for sample in samples])])
        return cls(np.concatenate(samples), offsets, length, fill)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as one padded array."""
        return len(self), self.length, *self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what indexing gives."""
        return self.values.dtype

    @property
    def lengths(self) -> np.ndarray:
        """Lengths (n,) of the samples as they are, before any end is lost."""
        return np.diff(self.offsets)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        starts, lengths = self.offsets[:-1][rows], self.lengths[rows]
        steps = np.arange(self.length)
        there = steps < lengths[:, None]
        padded = self.values[np.where(there, starts[:, None] + steps, 0)]
        padded[~there] = self.fill
        return padded

    def paddings(self, *, any_length: bool) -> np.ndarray:
        """Return the lengths (n,) to which samples are padded, each of which follows from that sample alone.

        Parameters
        ----------
        any_length : whether a network takes samples of any length: then none takes more than twice the memory of its
            own values, however long samples were in `fit`.
        """
        padded = np.full(len(self), self.length) if self.padded is None else self.padded
        return octaves_below(padded, self.lengths) if any_length else padded

    def padded_to(self, length: int) -> Self:
        """Return the same samples padded to another length."""
        ragged = copy.copy(self)
        ragged.length = length
        return ragged

    def join(self, more: Ragged) -> Ragged:
        """Put the samples of two into one, padded as the first."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        return Ragged(np.concatenate([self.values, more.values]), offsets, self.length, self.fill)


def octaves_below(longest: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the smallest of longest, longest / 2, longest / 4, ... that holds a length, each (n,)."""
    held = np.clip(lengths, 1, longest)
    return np.maximum(held, np.ceil(longest / 2 ** np.floor(np.log2(longest / held)))).astype(int)


def ending_early(x: Tensor) -> Tensor:
    """Let the last of samples (B, *inner, T) end after one step: NaN is what is not there."""
    x = x.clone()
    x[-1, ..., 1:] = torch.nan
    return x
