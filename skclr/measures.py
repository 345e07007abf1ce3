"""Measures of embeddings that need no labels."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import issparse
from scipy.special import logsumexp
from sklearn.preprocessing import normalize

# Number of similarities in memory at once.
_BLOCK_VALUES = 2**22


def alignment(z1: np.ndarray, z2: np.ndarray) -> float:
    """Return the mean squared distance of two views of the same samples on the unit sphere.

    Parameters
    ----------
    z1, z2 : (n, d) embeddings of two views; row i of each is sample i.

    Returns
    -------
    In [0, 4]; 0 if the views are equal, 2 if they are unrelated.

    References
    ----------
    Wang & Isola 2020, sec. 4.1, α = 2. Differs: none.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import alignment
    >>> z = np.eye(3)
    >>> alignment(z, z), alignment(z, -z)
    (0.0, 4.0)
    """
    z1, z2 = _pair(z1, z2)
    return float(((z1 - z2) ** 2).sum(1).mean())


def uniformity(z: np.ndarray) -> float:
    """Return how uniformly the samples are distributed on the unit sphere; memory is linear in n.

    Parameters
    ----------
    z : (n, d) embeddings.

    Returns
    -------
    In [-8, 0]; lower is more uniform, 0 if all samples are the same point.

    References
    ----------
    Wang & Isola 2020, sec. 4.1, t = 2. Differs: none.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import uniformity
    >>> round(uniformity(np.ones((3, 2))), 3) + 0.0, round(uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])), 3)
    (0.0, -8.0)
    """
    z = normalize(embedding_rows(z))
    n = len(z)
    # Pairs are summed in both orders, and each row with itself, which adds exp(0).
    total = sum(np.exp(4 * (z[block] @ z.T - 1)).sum(dtype=np.float64) for block in _blocks(n)) - n
    return float(np.log(total / (n * (n - 1))))


def effective_rank(z: np.ndarray) -> float:
    """Return RankMe, the effective number of directions in which the samples vary.

    Parameters
    ----------
    z : (n, d) embeddings.

    Returns
    -------
    In [1, min(n, d)], the exponential of the entropy of the singular values.

    References
    ----------
    Garrido et al. 2023, eq. 1. Differs: the embedding is the encoder's output, not the projector's.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import effective_rank
    >>> f"{effective_rank(np.eye(3)):.2f}, {effective_rank(np.ones((3, 3))):.2f}"
    '3.00, 1.00'
    """
    values = np.linalg.svd(embedding_rows(z), compute_uv=False)
    share = values / max(values.sum(), np.finfo(values.dtype).tiny) + 1e-7
    return float(np.exp(-(share * np.log(share)).sum()))


def collapsed_share(z: np.ndarray, tolerance: float = 1e-2) -> float:
    """Return the share of directions in which the samples hardly differ.

    Parameters
    ----------
    z : (n, d) embeddings.
    tolerance : a direction has collapsed if its standard deviation is below this share of the largest.

    Returns
    -------
    In [0, 1]; 1 if all samples are the same point.

    References
    ----------
    Jing et al. 2022, fig. 2, which shows the spectrum. Differs: summarised by the share below a tolerance.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import collapsed_share
    >>> z = np.random.default_rng(0).normal(size=(100, 4))
    >>> collapsed_share(z), collapsed_share(z * [1, 1, 1, 0])
    (0.0, 0.25)
    """
    z = embedding_rows(z).astype(np.float64)
    # Centring removes one direction of n samples.
    values = np.linalg.svd(z - z.mean(0), compute_uv=False)[: min(len(z) - 1, z.shape[1])]
    # Rounding errors of a constant do not count as deviation.
    noise = np.finfo(z.dtype).eps * np.abs(z).max() * z.size
    return float((values <= max(tolerance * values[0], noise)).mean())


def feature_std(z: np.ndarray) -> float:
    """Return the mean standard deviation of a feature on the unit sphere, relative to a uniform distribution.

    Parameters
    ----------
    z : (n, d) embeddings.

    Returns
    -------
    In [0, 1]; 0 if all samples are the same point, near 1 if they are uniform.

    References
    ----------
    Chen & He 2021, fig. 2. Differs: multiplied by √d, so that different widths are comparable.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import feature_std
    >>> z = np.random.default_rng(0).normal(size=(100, 4))
    >>> f"{feature_std(z):.2f}, {feature_std(np.ones((100, 4))):.2f}"
    '1.00, 0.00'
    """
    z = normalize(embedding_rows(z))
    return float(z.std(0, dtype=np.float64).mean() * np.sqrt(z.shape[1]))


def neighbor_overlap(z1: np.ndarray, z2: np.ndarray, k: int = 10) -> float:
    """Return the share of nearest neighbours by cosine that both views have in common.

    Parameters
    ----------
    z1, z2 : (n, d) and (n, e) embeddings; row i of each is sample i.
    k : number of neighbours, at most n - 1.

    Returns
    -------
    In [0, 1]; k / (n - 1) by chance.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import neighbor_overlap
    >>> z1, z2 = np.random.default_rng(0).normal(size=(2, 100, 4))
    >>> neighbor_overlap(z1, z1), neighbor_overlap(z1, z2) < 0.2
    (1.0, True)
    """
    near1, near2 = (_neighbors(embedding_rows(z), k) for z in (z1, z2))
    if len(near1) != len(near2):
        raise ValueError(f"z1 has {len(near1)} rows, z2 has {len(near2)}. Pass embeddings of the same samples.")
    return float((near1[:, :, None] == near2[:, None, :]).any(2).mean())


def info_nce_bound(z1: np.ndarray, z2: np.ndarray, temperature: float = 0.2) -> float:
    """Return the InfoNCE lower bound on the mutual information of two views: log n minus the loss.

    Parameters
    ----------
    z1, z2 : (n, d) embeddings of two views; row i of each is sample i.
    temperature : temperature of the similarities, above 0.

    Returns
    -------
    In nats, at most log n; 0 by chance. Comparable only at equal n.

    References
    ----------
    van den Oord et al. 2018, sec. 2.3. Differs: scores are cosines over a temperature, and the bound is the mean of
    both directions.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import info_nce_bound
    >>> z1, z2 = np.random.default_rng(0).normal(size=(2, 100, 4))
    >>> info_nce_bound(z1, z1) > 2, info_nce_bound(z1, z2) < 0.1
    (True, True)
    """
    z1, z2 = _pair(z1, z2)
    n = len(z1)
    matches = (z1 * z2).sum(1, dtype=np.float64).mean() / temperature
    others = [
        logsumexp((a[block] @ b.T).astype(np.float64) / temperature, axis=1).sum()
        for a, b in ((z1, z2), (z2, z1))
        for block in _blocks(n)
    ]
    return float(np.log(n) + matches - sum(others) / (2 * n))


def view_auc(z1: np.ndarray, z2: np.ndarray) -> float:
    """Return the probability that a view is more similar to its sample's other view than to another sample's.

    Parameters
    ----------
    z1, z2 : (n, d) embeddings of two views; row i of each is sample i.

    Returns
    -------
    In [0, 1]; 1/2 by chance. Ties count half.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr.evaluation import view_auc
    >>> z1, z2 = np.random.default_rng(0).normal(size=(2, 100, 4))
    >>> view_auc(z1, z1), round(view_auc(z1, z2), 1)
    (1.0, 0.5)
    """
    z1, z2 = _pair(z1, z2)
    n = len(z1)
    match = np.einsum("ij,ij->i", z1, z2)[:, None]
    won = 0.0
    for block in _blocks(n):
        scores = z1[block] @ z2.T
        rows = np.arange(n)[block]
        # The product of a block may be rounded differently from that of a row.
        scores[np.arange(len(rows)), rows] = match[block, 0]
        won += (scores < match[block]).sum() + ((scores == match[block]).sum() - len(rows)) / 2
    return float(won / (n * (n - 1)))


def evenly_spaced_rows(n_samples: int, most: int = 5_000) -> np.ndarray:
    """Return evenly spaced row numbers, all if there are few, since measures take quadratic time."""
    return np.linspace(0, n_samples - 1, min(n_samples, most)).astype(int)


def embedding_rows(z: np.ndarray) -> np.ndarray:
    """Return embeddings (n, d) as an array of floats.

    Raises
    ------
    TypeError : if z is sparse.
    ValueError : if z is not (n, d) for two samples or more.
    """
    if issparse(z):
        raise TypeError(f"z is a {type(z).__name__}. Pass dense embeddings, as skclr.evaluation.embed returns them.")
    z = np.asarray(z)
    if z.ndim != 2 or len(z) < 2:
        raise ValueError(f"z has shape {z.shape}. Pass (n, d) embeddings of 2 or more samples.")
    return z if z.dtype.kind == "f" else z.astype(np.float64)


def _pair(z1: np.ndarray, z2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z1, z2 = embedding_rows(z1), embedding_rows(z2)
    if z1.shape != z2.shape:
        raise ValueError(
            f"z1 has shape {z1.shape}, z2 has {z2.shape}. Pass embeddings of two views of the same samples."
        )
    return normalize(z1), normalize(z2)


def _blocks(n: int) -> Iterator[slice]:
    size = max(1, _BLOCK_VALUES // n)
    return (slice(start, start + size) for start in range(0, n, size))


def _neighbors(z: np.ndarray, k: int) -> np.ndarray:
    # Imported here, since it imports all linear models, which would slow down `import skclr`.
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(k, len(z) - 1), metric="cosine").fit(z)
    # Without samples, each row itself is left out.
    return index.kneighbors(return_distance=False)
