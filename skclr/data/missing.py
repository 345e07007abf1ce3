"""What is not there in a series: NaN, as a missing value or as the padding after a shorter one's end."""

import torch
from torch import Tensor


def split_missing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Take series apart into values and places.

    Parameters
    ----------
    x : (B, C, T) with NaN where nothing is.

    Returns
    -------
    (B, C, T) with 0 in the place of NaN, and (B, T) bool, true at steps that have a value in some channel.
    """
    missing = x.isnan()
    return x.masked_fill(missing, 0.0), ~missing.all(1)


def masked_mean(x: Tensor, there: Tensor) -> Tensor:
    """Average over the steps that are there.

    Parameters
    ----------
    x : (B, d, T).
    there : (B, T) bool.

    Returns
    -------
    (B, d); 0 where no step is there.
    """
    there = there[:, None]
    return torch.where(there, x, 0.0).sum(2) / there.sum(2).clamp(min=1)


def channel_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and standard deviation over all values that are there.

    Parameters
    ----------
    x : (B, C, T) with NaN where nothing is.

    Returns
    -------
    Mean and deviation (C, 1) float32. The deviation of a constant channel is given as 1, so that dividing by
    it leaves the channel's values at their distance from the mean.
    """
    x = x.double()
    there = ~x.isnan()
    count = there.sum((0, 2)).clamp(min=1)[:, None]
    mean = torch.where(there, x, 0.0).sum((0, 2))[:, None] / count
    variance = torch.where(there, x - mean, 0.0).square().sum((0, 2))[:, None] / count
    deviation = variance.sqrt()
    # What is smaller is rounding: float32 has 24 bits.
    varies = deviation > 1e-6 * mean.abs()
    return mean.float(), torch.where(varies, deviation, 1.0).float()
