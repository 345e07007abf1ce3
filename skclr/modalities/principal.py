"""Principal components, and their rotation to columns of equal variance."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import hadamard
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

# Relative to the first component: smaller variances are rounding errors.
_LEAST_VARIANCE = 1e-7
_WIDE = 16


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


def sparse_components(x: csr_matrix, n_components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `principal_components` does, for a sparse matrix (n, d), nearly.

    They are the components within the space of the largest singular vectors, since centred rows would be dense.
    """
    _, _, directions = randomized_svd(x, min(n_components, *x.shape), n_iter=2, random_state=0)
    within, axes, variances = principal_components(torch.from_numpy(x @ directions.T), n_components)
    directions = torch.from_numpy(np.ascontiguousarray(directions.T, np.float32))
    return directions @ within, directions @ axes, variances


def scaled_to(axes: Tensor, variances: Tensor, total: float) -> Tensor:
    """Return the axes (d, k), scaled so that the variances (k,) of the components sum to `total`."""
    return axes * (total / variances.sum().clamp(min=1e-12)).sqrt()


def project(x: Tensor, axes: Tensor) -> Tensor:
    """Return x (n, d) @ axes (d, k).

    Products with fewer than 16 columns are computed wider: their rounding would depend on a row's position.
    """
    n_columns, wide = axes.shape[1], axes.to(x.device)
    if n_columns < _WIDE:
        wide = F.pad(wide, (0, _WIDE - n_columns))
    return (x @ wide)[:, :n_columns]


def equal_columns(x: Tensor, axes: Tensor, n_columns: int) -> Tensor:
    """Return x (n, d) by the axes (d, k) of principal components, rotated to n_columns >= k columns of one variance.

    Distances are those of the components, and a StandardScaler behind changes them by one factor.
    """
    return project(project(x, axes), mixing(n_columns, axes.shape[1]))


def mixing(n: int, n_rows: int | None = None) -> Tensor:
    """Return an orthogonal (n, n) matrix whose entries have one magnitude; nearly one, if n is not a power of two.

    Parameters
    ----------
    n_rows : number of its first rows that are returned; None returns all.
    """
    return torch.from_numpy(_mixing(n)[:n_rows])


# An array: of a tensor, a graph that is exported would leave its own kind in the cache.
@functools.cache
def _mixing(n: int) -> np.ndarray:
    if n & (n - 1) == 0:
        return (hadamard(n) / n**0.5).astype(np.float32)
    return np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0].astype(np.float32)


def _largest(products: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalues (k,) and their vectors (m, k), without those of rounding errors."""
    values, vectors = torch.linalg.eigh(products)
    values, vectors = values.flip(0)[:n], vectors.flip(1)[:, :n]
    kept = values > _LEAST_VARIANCE * values[:1]
    kept[:1] = True
    vectors = vectors[:, kept]
    # Libraries choose the sign of an eigenvector differently.
    largest = vectors.abs().argmax(0)
    signs = vectors.gather(0, largest[None]).sign()
    return values[kept].clamp(min=torch.finfo(values.dtype).tiny), vectors * signs
