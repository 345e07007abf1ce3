"""Principal components, and their rotation to columns of equal variance."""

import functools

import torch
from scipy.linalg import hadamard
from torch import Tensor

# Relative to the first component: smaller variances are rounding errors.
_LEAST_VARIANCE = 1e-7


def principal_components(x: Tensor, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean (d,), and the axes (d, k) and variances (k,) of the principal components, largest first.

    Parameters
    ----------
    x : (n, d).
    n_components : largest k; it is smaller if x has fewer dimensions.
    """
    mean = x.double().mean(0)
    centred = x.double() - mean
    if len(x) < x.shape[1]:
        # The products of rows, (n, n), have the same components and are a smaller matrix.
        squares, scores = _largest(centred @ centred.T, n_components)
        axes = centred.T @ scores / squares.sqrt()
    else:
        squares, axes = _largest(centred.T @ centred, n_components)
    return mean.float(), axes.float(), (squares / len(x)).float()


def scaled_to(axes: Tensor, variances: Tensor, total: float) -> Tensor:
    """Return the axes (d, k), scaled so that the variances (k,) of the components sum to `total`."""
    return axes * (total / variances.sum().clamp(min=1e-12)).sqrt()


def equal_columns(components: Tensor, n_columns: int) -> Tensor:
    """Rotate uncorrelated components (n, k) to n_columns >= k columns of equal variance.

    Distances are preserved, and a StandardScaler after it changes them by one factor only.
    """
    return components @ mixing(n_columns).to(components.device)[: components.shape[1]]


@functools.cache
def mixing(n: int) -> Tensor:
    """Return an orthogonal (n, n) matrix with entries of equal size, approximately so if n is not a power of two."""
    if n & (n - 1) == 0:
        return torch.from_numpy(hadamard(n)).float() / n**0.5
    random = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.linalg.qr(random).Q.float()


def _largest(products: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalues (k,) and their vectors (m, k), without those of rounding errors."""
    values, vectors = torch.linalg.eigh(products)
    values, vectors = values.flip(0)[:n], vectors.flip(1)[:, :n]
    kept = values > _LEAST_VARIANCE * values[0]
    kept[0] = True
    vectors = vectors[:, kept]
    # Libraries choose the sign of an eigenvector differently.
    largest = vectors.abs().argmax(0)
    signs = vectors.gather(0, largest[None]).sign()
    return values[kept].clamp(min=torch.finfo(values.dtype).tiny), vectors * signs
