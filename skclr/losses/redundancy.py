"""Redundancy reduction: views agree while dimensions keep their variance and are decorrelated."""

import torch
from torch import Tensor
from torch.nn.functional import mse_loss, relu

from skclr.precision import at_least_float32
from skclr.ranks.collectives import world


def barlow_twins(z1: Tensor, z2: Tensor, redundancy_weight: float = 5e-3) -> Tensor:
    """Pull the views' cross-correlation matrix towards the identity.

    Parameters
    ----------
    z1, z2 : (B, d) projections of two views; row i of each is sample i.
    redundancy_weight : weight of the off-diagonal terms (λ, the paper's value).

    Returns
    -------
    Scalar ≥ 0; grows with d.

    Raises
    ------
    ValueError : if shapes differ, or there is a single sample.

    References
    ----------
    Zbontar et al. 2021, eq. 1. Differs: none.
    """
    _check_pair(z1, z2)
    # Half precision would overflow in the sums over the batch.
    with torch.autocast(z1.device.type, enabled=False):
        correlation = world.average(standardize(z1).T @ standardize(z2) / len(z1))
    invariance = (correlation.diagonal() - 1).square().sum()
    return invariance + redundancy_weight * _off_diagonal(correlation).square().sum()


def vicreg(
    z1: Tensor,
    z2: Tensor,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> Tensor:
    """Pull views together, keep the variance of every dimension, and decorrelate the dimensions.

    Parameters
    ----------
    z1, z2 : (B, d) projections of two views; row i of each is sample i.
    invariance_weight, variance_weight, covariance_weight : weights of the terms (λ, μ, ν).

    Returns
    -------
    Scalar ≥ 0.

    Raises
    ------
    ValueError : if shapes differ, or there is a single sample.

    References
    ----------
    Bardes et al. 2022, eq. 6. Differs: as in the authors' code, invariance is averaged over dimensions and variance
    over the two views, which is the scale that the paper's weights assume.
    """
    _check_pair(z1, z2)
    invariance = mse_loss(at_least_float32(z1), at_least_float32(z2))
    covariance1, covariance2 = _covariance(z1), _covariance(z2)
    variance = (_variance_hinge(covariance1) + _variance_hinge(covariance2)) / 2
    covariance = _mean_square(covariance1) + _mean_square(covariance2)
    return invariance_weight * invariance + variance_weight * variance + covariance_weight * covariance


def _check_pair(z1: Tensor, z2: Tensor) -> None:
    if z1.shape != z2.shape:
        raise ValueError(f"z1 has shape {tuple(z1.shape)} and z2 {tuple(z2.shape)}. Project both views to one shape.")
    if len(z1) * world.size < 2:
        raise ValueError(f"a batch of {len(z1)} sample has no variance. Use a batch_size of 2 or more.")


def standardize(z: Tensor) -> Tensor:
    """Return projections (B, d) with mean 0 and variance 1 over the batch of all ranks in every dimension."""
    centered = _center(z)
    # Biased variance and this constant are those of BatchNorm, with which the paper's code standardises.
    return centered / (world.average(centered.square().mean(0)) + 1e-5).sqrt()


def _center(z: Tensor) -> Tensor:
    z = at_least_float32(z)
    return z - world.average(z.mean(0))


def _covariance(z: Tensor) -> Tensor:
    centered = _center(z)
    with torch.autocast(z.device.type, enabled=False):
        # Divides by the total number of rows minus one.
        return world.average(centered.T @ centered) / (len(z) - 1 / world.size)


def _variance_hinge(covariance: Tensor) -> Tensor:
    # The constant keeps the gradient of the root finite at variance 0.
    return relu(1 - (covariance.diagonal() + 1e-4).sqrt()).mean()


def _mean_square(covariance: Tensor) -> Tensor:
    return _off_diagonal(covariance).square().sum() / len(covariance)


def _off_diagonal(square: Tensor) -> Tensor:
    return square - torch.diag(square.diagonal())
