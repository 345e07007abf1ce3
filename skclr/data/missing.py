"""NaN in series, which marks missing values and padding."""

import torch
from torch import Tensor


def split_missing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Split series into values and a mask of observed steps.

    Parameters
    ----------
    x : (B, C, T) with NaN for missing values and padding.

    Returns
    -------
    (B, C, T) with 0 instead of NaN, and (B, T) bool, True at steps with a value in any channel.
    """
    missing = x.isnan()
    return x.masked_fill(missing, 0.0), ~missing.all(1)


def masked_mean(x: Tensor, observed: Tensor) -> Tensor:
    """Return the mean over observed steps.

    Parameters
    ----------
    x : (B, d, T).
    observed : (B, T) bool.

    Returns
    -------
    (B, d); 0 without observed steps.
    """
    observed = observed[:, None]
    return torch.where(observed, x, 0.0).sum(2) / observed.sum(2).clamp(min=1)


def channel_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of each channel over all values that are not NaN.

    Parameters
    ----------
    x : (B, C, T) with NaN for missing values and padding.

    Returns
    -------
    Mean and standard deviation (C, 1), float32. That of a constant channel is 1, so that division by it does not change
    differences from the mean.
    """
    x = x.double()
    observed = ~x.isnan()
    count = observed.sum((0, 2)).clamp(min=1)[:, None]
    mean = torch.where(observed, x, 0.0).sum((0, 2))[:, None] / count
    variance = torch.where(observed, x - mean, 0.0).square().sum((0, 2))[:, None] / count
    deviation = variance.sqrt()
    # Smaller deviations are rounding errors, since float32 has 24 bits.
    varies = deviation > 1e-6 * mean.abs()
    return mean.float(), torch.where(varies, deviation, 1.0).float()
