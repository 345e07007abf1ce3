import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.testing import assert_close

from skclr.views import Jitter, Masking, Mixup, Neighbors, neighbors
from skclr.views.neighbors import _drop_self, nearest


@pytest.fixture
def clusters():
    """30 rows around each of 4 far corners, and the corner of each."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.arange(4).repeat_interleave(30)
    centers = 10 * torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    return centers[corner] + torch.randn(120, 3, generator=generator), corner


def views_of(maker, x, seed=0):
    rows = torch.arange(len(x))
    return maker.fit(x)(x, rows, torch.Generator().manual_seed(seed))


def test_views_are_the_row_and_others_near_it(clusters):
    x, _ = clusters
    first, second, third = views_of(Neighbors(n_views=3), x)
    assert_close(first, x)
    distances = torch.cdist(x, x)
    tenth = distances.sort(1).values[:, 10]
    for view in (second, third):
        gap = (view - x).norm(dim=1)
        assert (gap > 0).all()
        assert (gap <= tenth + 1e-5).all()
    assert not torch.equal(second, third)


def test_distances_are_those_of_the_features(clusters):
    x, _ = clusters
    maker = Neighbors(features=lambda x: x[:, :1])
    near = views_of(maker, x)[1]
    order = x[:, 0].argsort()
    place = torch.empty(120, dtype=torch.long)
    place[order] = torch.arange(120)
    matches = (near[:, None] == x).all(2).float().argmax(1)
    assert ((place[matches] - place).abs() <= 10).all()


def test_views_on_top_change_every_view(clusters):
    x, _ = clusters
    maker = Neighbors(on_top=Masking(n_views=1, rate=0.5))
    for view in views_of(maker, x):
        assert 0.3 < view.isnan().float().mean() < 0.7
    maker.release()
    assert not hasattr(maker, "samples_")


def test_large_data_look_among_some_rows(clusters):
    x, corner = clusters
    found = _drop_self(nearest(x.numpy(), 5, exact_rows=30))
    assert set(np.unique(found)) <= set(range(0, 120, 4))
    assert (corner[found] == corner[:, None]).all()
    assert (found != np.arange(120)[:, None]).all()


def test_large_data_look_among_some_rows_whatever_is_installed(clusters, monkeypatch):
    x, _ = clusters
    expected = nearest(x.numpy(), 5, exact_rows=30)
    monkeypatch.setitem(sys.modules, "pynndescent", PyNNDescent("pynndescent"))
    np.testing.assert_array_equal(nearest(x.numpy(), 5, exact_rows=30), expected)


class PyNNDescent(ModuleType):
    """Stands in for the package, which takes half a minute to compile; for the last row it finds nothing."""

    class NNDescent:
        def __init__(self, data, *, n_neighbors, random_state):
            distances, found = NearestNeighbors(n_neighbors=n_neighbors).fit(data).kneighbors(data)
            found[-1, 1:] = -1
            self.neighbor_graph = found, distances


@pytest.mark.parametrize("exact_rows", [30, 120])
def test_pynndescent_finds_the_neighbours_of_large_data(clusters, monkeypatch, exact_rows):
    monkeypatch.setitem(sys.modules, "pynndescent", PyNNDescent("pynndescent"))
    x = clusters[0].numpy()
    exact = _drop_self(nearest(x, 5))
    found = _drop_self(nearest(x, 5, algorithm="pynndescent", exact_rows=exact_rows))
    np.testing.assert_array_equal(found[:-1], exact[:-1])
    np.testing.assert_array_equal(found[-1], exact[-1] if exact_rows == 120 else [119] * 4)


def test_neighbours_are_found_by_the_algorithm_that_was_chosen(clusters, monkeypatch):
    chosen = []
    monkeypatch.setattr(neighbors, "nearest", lambda *args, algorithm: chosen.append(algorithm) or nearest(*args))
    maker = Neighbors(n_neighbors=4, algorithm="pynndescent").fit(clusters[0])
    maker.held_out(clusters[0])
    assert chosen == ["pynndescent"] * 2
    with pytest.raises(ValueError, match=r"algorithm='nn' is unknown\. Pass 'subset' or 'pynndescent'"):
        Neighbors(algorithm="nn")


def test_a_row_is_not_a_neighbour_of_itself_though_others_equal_it():
    found = np.array([[1, 0, 2], [1, 0, 2], [0, 1, 3], [0, 1, 2]])
    assert _drop_self(found).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    x = torch.zeros(5, 2)
    assert (Neighbors(n_neighbors=3).fit(x).neighbors_ != torch.arange(5)[:, None]).all()


def test_neighbours_known_to_be_of_another_class_are_none(clusters):
    x, y = clusters
    # Every third row has a label.
    y = torch.where(torch.arange(len(x)) % 3 == 0, y.long(), -1 - torch.arange(len(x)))

    class Labelled:
        groups = y

        def __len__(self):
            return len(x)

        def __getitem__(self, rows):
            return x[rows]

    plain, aware = (Neighbors(n_neighbors=60).fit(samples).neighbors_ for samples in (x, Labelled()))
    of_other_classes = (y[plain] >= 0) & (y >= 0)[:, None] & (y[plain] != y[:, None])
    assert 0 < of_other_classes.sum() < of_other_classes.numel() / 4
    # -1 is the sample itself.
    assert torch.equal(aware, torch.where(of_other_classes, -1, plain))


def test_jitter_and_mixup_leave_categories_whole():
    x = torch.stack([torch.randn(50), torch.randint(0, 4, (50,)).float()], 1)
    for maker in (Jitter(rate=0.5, cardinalities=(0, 4)), Mixup(rate=0.9, cardinalities=(0, 4))):
        for view in views_of(maker, x):
            assert set(view[:, 1].unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
            assert not torch.equal(view[:, 0], x[:, 0])
