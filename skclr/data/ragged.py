"""Samples of unequal lengths, stored as one array with offsets and padded batch by batch."""

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
    values : (Σ l_i, *inner), the concatenated samples.
    offsets : (n + 1,), the beginning of each sample, then the end of the last.
    length : length to which samples are padded or truncated.
    fill : value of the padding.

    Attributes
    ----------
    padded : (n,) lengths to which samples are padded if each is embedded independently of the others; None for
        `length`.
    """

    padded: np.ndarray | None = None

    def __init__(self, values: np.ndarray, offsets: np.ndarray, length: int, fill: Any) -> None:
        self.values = values
        self.offsets = offsets
        self.length = length
        self.fill = fill

    @classmethod
    def of(cls, samples: Sequence[np.ndarray], length: int, fill: Any) -> Self:
        """Concatenate samples (l_i, *inner)."""
        offsets = np.concatenate([[0], np.cumsum([len(sample) for sample in samples])])
        return cls(np.concatenate(samples), offsets, length, fill)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as one padded array."""
        return len(self), self.length, *self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def lengths(self) -> np.ndarray:
        """The lengths (n,) of the samples before truncation."""
        return np.diff(self.offsets)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        starts, lengths = self.offsets[:-1][rows], self.lengths[rows]
        steps = np.arange(self.length)
        inside = steps < lengths[:, None]
        padded = self.values[np.where(inside, starts[:, None] + steps, 0)]
        padded[~inside] = self.fill
        return padded

    def padded_lengths(self, *, any_length: bool) -> np.ndarray:
        """Return the lengths (n,) to which samples are padded, each of which depends only on that sample.

        Parameters
        ----------
        any_length : whether a network accepts samples of any length; if so, padding at most doubles the memory of a
            sample, however long samples were in `fit`.
        """
        padded = np.full(len(self), self.length) if self.padded is None else self.padded
        return halved_to_fit(padded, self.lengths) if any_length else padded

    def padded_to(self, length: int) -> Self:
        """Return the same samples padded to another length."""
        ragged = copy.copy(self)
        ragged.length = length
        return ragged

    def join(self, more: Ragged) -> Ragged:
        """Return the samples of both, padded like the first."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        return Ragged(np.concatenate([self.values, more.values]), offsets, self.length, self.fill)


def halved_to_fit(longest: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the smallest of longest, longest / 2, longest / 4, ... that is at least the length, each (n,)."""
    held = np.clip(lengths, 1, longest)
    return np.maximum(held, np.ceil(longest / 2 ** np.floor(np.log2(longest / held)))).astype(int)


def with_short_last(x: Tensor) -> Tensor:
    """Set the last of samples (B, *inner, T) to NaN after its first step."""
    x = x.clone()
    x[-1, ..., 1:] = torch.nan
    return x
