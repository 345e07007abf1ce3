"""Measures without labels, against loops over their formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity

from skclr.measures import (
    alignment,
    collapsed_share,
    effective_rank,
    feature_std,
    info_nce_bound,
    neighbor_overlap,
    uniformity,
    view_auc,
)

OF_ONE = (uniformity, effective_rank, collapsed_share, feature_std)
OF_TWO = (alignment, neighbor_overlap, info_nce_bound, view_auc)


@pytest.fixture(params=[np.float32, np.float64])
def pair(request):
    """Embeddings of two views of 60 samples."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 8))
    return z.astype(request.param), (z + rng.normal(size=z.shape)).astype(request.param)


def unit(z):
    return [row / np.sqrt((row**2).sum()) for row in z.astype(np.float64)]


def test_alignment_is_the_mean_squared_distance(pair):
    distances = [((a - b) ** 2).sum() for a, b in zip(*map(unit, pair), strict=True)]
    assert_allclose(alignment(*pair), np.mean(distances), rtol=1e-5)


def test_uniformity_is_the_log_of_the_mean_potential(pair):
    z = unit(pair[0])
    potentials = [np.exp(-2 * ((a - b) ** 2).sum()) for i, a in enumerate(z) for b in z[:i]]
    assert_allclose(uniformity(pair[0]), np.log(np.mean(potentials)), rtol=1e-5)


def test_effective_rank_is_the_entropy_of_the_singular_values(pair):
    eigenvalues = np.linalg.eigvalsh(pair[0].T.astype(np.float64) @ pair[0])
    entropy = 0.0
    total = sum(np.sqrt(value) for value in eigenvalues)
    for value in eigenvalues:
        share = np.sqrt(value) / total + 1e-7
        entropy -= share * np.log(share)
    assert_allclose(effective_rank(pair[0]), np.exp(entropy), rtol=1e-5)


def test_effective_rank_counts_equal_directions():
    assert_allclose(effective_rank(np.eye(6)), 6, rtol=1e-4)
    assert_allclose(effective_rank(np.ones((6, 4))), 1, rtol=1e-4)


def test_collapsed_share_counts_directions(pair):
    z = pair[0].copy()
    assert collapsed_share(z) == 0
    z[:, 5:] = 3.5
    assert_allclose(collapsed_share(z), 3 / 8)
    assert collapsed_share(np.full_like(z, 0.1)) == 1
    assert collapsed_share(np.zeros_like(z)) == 1


def test_feature_std_of_an_even_spread_is_one():
    z = np.random.default_rng(0).normal(size=(5000, 64))
    assert_allclose(feature_std(z), 1, atol=0.01)
    assert_allclose(feature_std(z + 10), np.std(unit(z + 10), axis=0).mean() * 8)
    assert_allclose(feature_std(np.full((10, 4), 0.1)), 0, atol=1e-12)


def test_neighbor_overlap_counts_shared_neighbours(pair):
    shared = []
    near = [np.argsort(-cosine_similarity(z) + 10 * np.eye(60), axis=1)[:, :10] for z in pair]
    for first, second in zip(*near, strict=True):
        shared.append(len(set(first) & set(second)) / 10)
    assert_allclose(neighbor_overlap(*pair), np.mean(shared))
    assert neighbor_overlap(pair[0], 3 * pair[0]) == 1
    assert neighbor_overlap(*pair, k=100) == 1  # all others


def test_info_nce_bound_is_log_n_minus_the_cross_entropy(pair):
    z1, z2 = map(unit, pair)
    losses = []
    for a, b in ((z1, z2), (z2, z1)):
        for i, row in enumerate(a):
            scores = [row @ other / 0.5 for other in b]
            losses.append(np.log(np.sum(np.exp(scores))) - scores[i])
    assert_allclose(info_nce_bound(*pair, temperature=0.5), np.log(60) - np.mean(losses), rtol=1e-5)
    assert_allclose(info_nce_bound(np.eye(60), np.eye(60), temperature=0.01), np.log(60))
    assert_allclose(info_nce_bound(np.ones((60, 2)), np.ones((60, 2))), 0, atol=1e-12)


def test_view_auc_is_scikit_learns_row_by_row(pair):
    scores = cosine_similarity(*pair)
    rows = [roc_auc_score(np.arange(60) == i, row) for i, row in enumerate(scores)]
    assert_allclose(view_auc(*pair), np.mean(rows))
    assert view_auc(pair[0], pair[0]) == 1
    assert view_auc(np.ones((9, 3)), np.ones((9, 3))) == 0.5


def test_more_similarities_than_are_held_at_once():
    rng = np.random.default_rng(0)
    z1 = rng.normal(size=(2_100, 4))
    z2 = z1 + rng.normal(size=z1.shape)
    assert_allclose(uniformity(z1), np.log(np.exp(-2 * pdist(np.array(unit(z1))) ** 2).mean()))
    scores = cosine_similarity(z1, z2)
    matches = scores.diagonal()
    entropies = [logsumexp(scores / 0.5, axis=axis) - matches / 0.5 for axis in (0, 1)]
    assert_allclose(info_nce_bound(z1, z2, temperature=0.5), np.log(len(z1)) - np.mean(entropies))
    assert_allclose(view_auc(z1, z2), (scores < matches[:, None]).sum() / (len(z1) * (len(z1) - 1)))


@pytest.mark.parametrize("measure", OF_ONE)
def test_one_sample_is_an_error(measure):
    with pytest.raises(ValueError, match=r"2 or more samples"):
        measure(np.ones((1, 3)))


@pytest.mark.parametrize("measure", [*OF_ONE, *OF_TWO])
def test_sparse_features_are_an_error(measure):
    z = csr_matrix(np.eye(4, dtype=np.float32))
    with pytest.raises(TypeError, match=r"z is a csr_matrix\. Pass dense embeddings"):
        measure(z) if measure in OF_ONE else measure(z, z)


@pytest.mark.parametrize("measure", OF_TWO)
def test_views_of_other_samples_are_an_error(measure):
    with pytest.raises(ValueError, match=r"the same samples"):
        measure(np.ones((4, 3)), np.ones((5, 3)))
