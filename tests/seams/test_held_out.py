"""What is held out stays out: view makers know training rows only, and held-out rows have views of their own."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skclr import ContrastiveEmbedder
from skclr.training import HoldOut
from skclr.views import VIEWS, CallableViews, Jitter, MarginalCorruption, Neighbors, Paired, Views

N = 30
RNG = np.random.default_rng(0)
X_OF = {
    # Each value occurs once, so that it identifies its row.
    "tabular": (RNG.permutation(4 * N).reshape(N, 4).astype(float), {}),
    "image": (RNG.integers(0, 256, (N, 3, 8, 8)).astype(np.uint8), {}),
    "series": (RNG.normal(size=(N, 2, 30)).astype(np.float32), {}),
    "audio": (RNG.uniform(-1, 1, (N, 1600)).astype(np.float32), {"modality_params": {"sampling_rate": 8000}}),
    "text": ([" ".join(RNG.permutation(list("abcdefg"))[:4]) for _ in range(N)], {}),
}
STOPPING = {"early_stopping": {"early_stopping": 50}, "validation_fraction": {"validation_fraction": 0.3}}


class Seen(Callback):
    """Keep the batches of training and of validation."""

    def on_train_begin(self, net, **kwargs):
        Seen.batches = {True: [], False: []}

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        Seen.batches[training].append(batch)


class Watched(Views):
    """Makes another maker's views, and keeps what that was fitted on and what it made."""

    facts = ("sampling_rate", "cardinalities", "features", "on_top")

    def __init__(self, maker):
        self.maker = maker
        self.n_views = maker.n_views

    def fit(self, samples):
        Watched.fitted_on = samples[np.arange(len(samples))]
        Watched.made = []
        self.maker.fit(samples)
        return self

    def held_out(self, samples):
        return self.maker.held_out(samples)

    def __call__(self, x, rows, generator):
        views = self.maker(x, rows, generator)
        Watched.made += views
        return views

    def release(self):
        self.maker.release()


def keys(x):
    return {row.numpy().tobytes() for row in x.flatten(1)}


def makers():
    for name, part in VIEWS.items():
        modality = name if name in X_OF else "tabular"
        if part is Paired:
            yield pytest.param(Paired(on_top=Neighbors(n_neighbors=3)), modality, id=name)
        elif name == "audio":
            yield pytest.param(part(sampling_rate=8000), modality, id=name)
        else:
            yield pytest.param(part(), modality, id=name)
    yield pytest.param(CallableViews(lambda x: x + torch.rand_like(x)), "tabular", id="function")
    for modality in ("image", "series", "text"):
        yield pytest.param(Neighbors(), modality, id=f"neighbors of {modality}")


def fit(maker, modality, **params):
    X, own = X_OF[modality]
    settings = {"modality": modality, "max_epochs": 1, "random_state": 0, "callbacks": [Seen()], **own, **params}
    return ContrastiveEmbedder(views=maker, **settings).fit(X)


@pytest.mark.parametrize("stopping", STOPPING)
@pytest.mark.parametrize(("maker", "modality"), makers())
def test_a_view_maker_is_fitted_on_training_rows_alone(maker, modality, stopping):
    X, own = X_OF[modality]
    paired = isinstance(maker, Paired)
    # For pairs, the views on top are recorded.
    views = Paired(on_top=Watched(maker.on_top)) if paired else Watched(maker)
    settings = {"modality": modality, "max_epochs": 1, "random_state": 0, "callbacks": [Seen()], **own}
    ContrastiveEmbedder(views=views, **settings, **STOPPING[stopping]).fit((X, X + 1000) if paired else X)
    held_out = torch.cat([x[:, 0] if paired else x for x, _, _ in Seen.batches[False]])
    assert len(held_out) >= 3
    assert not keys(held_out) & keys(Watched.fitted_on)
    assert len(Watched.fitted_on) + len(held_out) == N
    assert Watched.made


@pytest.mark.parametrize("stopping", STOPPING)
@pytest.mark.parametrize(
    "maker",
    [Neighbors(n_neighbors=5, on_top=None), MarginalCorruption(rate=0.9), Neighbors(5, on_top=MarginalCorruption())],
)
def test_no_value_of_a_held_out_row_is_trained_on(maker, stopping):
    fit(Watched(maker), "tabular", **STOPPING[stopping])
    held_out = set(torch.cat([x for x, _, _ in Seen.batches[False]]).flatten().tolist())
    shown = set(torch.cat(Watched.made).flatten().tolist())
    assert held_out.isdisjoint(shown)


def split_table():
    """Return training and held-out rows, far from each other in pairs."""
    train = torch.arange(8.0)[:, None] * 10
    return train, train[:4] + 1


class Table:
    def __init__(self, x, groups=None):
        self.x = x
        self.groups = torch.arange(len(x)) if groups is None else groups

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return self.x[rows]


def views_of(maker, x):
    return maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))


def test_a_held_out_row_has_its_nearest_training_row_as_neighbour():
    train, held_out = split_table()
    maker = Neighbors(n_neighbors=1, on_top=None).fit(Table(train))
    first, second = views_of(maker.held_out(Table(held_out)), held_out)
    assert torch.equal(first, held_out)
    assert torch.equal(second, train[:4])
    # The maker of training is as it was.
    assert not torch.equal(views_of(maker, train)[1], train)


def test_a_held_out_row_of_another_class_is_its_own_neighbour():
    train, held_out = split_table()
    groups = torch.zeros(8, dtype=torch.int64)
    maker = Neighbors(n_neighbors=1, on_top=None).fit(Table(train, groups))
    own = torch.tensor([0, 1, 1, 0])
    _, second = views_of(maker.held_out(Table(held_out, own)), held_out)
    assert torch.equal(second, torch.stack([train[0], held_out[1], held_out[2], train[3]]))


def test_replaced_entries_of_held_out_rows_are_of_training_rows():
    train, held_out = split_table()
    maker = MarginalCorruption(rate=(0.0, 1.0)).fit(Table(train))
    _, second = views_of(maker.held_out(Table(held_out)), held_out)
    assert set(second.flatten().tolist()) <= set(train.flatten().tolist())


def test_views_on_top_of_held_out_pairs_come_from_training_pairs():
    train, held_out = split_table()
    pairs, others = (torch.stack([x, x], 1) for x in (train, held_out))
    maker = Paired(on_top=Neighbors(n_neighbors=1, on_top=None)).fit(Table(pairs))
    for view in views_of(maker.held_out(Table(others)), others):
        assert torch.equal(view, train[:4])


def test_neighbours_on_top_of_pairs_keep_to_their_class():
    x = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    pairs = Table(torch.stack([x, x], 1), groups=torch.tensor([0, 1, 0, 1]))
    maker = Paired(on_top=Neighbors(n_neighbors=1, on_top=None)).fit(pairs)
    # The nearest row of each is of the other class: the sample itself takes its place.
    for view in maker(pairs.x, torch.arange(4), torch.Generator().manual_seed(0)):
        assert torch.equal(view, x)


class ByRow(Views):
    """Shows, of each row, what it learned of that row: right only if rows are counted in what it was fitted on."""

    n_views = 2

    def fit(self, samples):
        self.rows_ = samples[np.arange(len(samples))]
        return self

    def __call__(self, x, rows, generator):
        assert torch.equal(self.rows_[rows], x)
        return [x, self.rows_[rows]]


@pytest.mark.parametrize("stopping", STOPPING)
def test_rows_are_counted_in_what_a_maker_of_your_own_was_fitted_on(stopping):
    model = fit(ByRow(), "tabular", **STOPPING[stopping])
    assert np.isfinite(model.history_[-1]["valid_loss"])


@pytest.mark.parametrize("views", ["neighbors", "corruption", Jitter()])
def test_groups_go_with_their_rows(views):
    X, y = X_OF["tabular"][0], np.arange(N) % 2
    model = ContrastiveEmbedder(
        views=views, positives="labels", validation_fraction=0.3, max_epochs=1, random_state=0, callbacks=[Seen()]
    ).fit(X, y)
    class_of = {row.numpy().tobytes(): label for row, label in zip(model.model_.read(X)[:], y, strict=True)}
    for training in (True, False):
        for x, _, groups in Seen.batches[training]:
            classes = np.array([class_of[row.numpy().tobytes()] for row in x])
            assert len(set(zip(classes.tolist(), groups.tolist(), strict=True))) == 2


def test_what_a_fit_held_is_released():
    model = fit(Neighbors(), "tabular", validation_fraction=0.3)
    assert not {"samples_", "neighbors_"} & set(vars(model.net_.view_maker))
    assert not hasattr(model.net_, "held_out_views_")


def test_the_split_is_that_of_hold_out():
    model = fit(Neighbors(), "tabular", validation_fraction=0.3)
    assert isinstance(model.net_.train_split, HoldOut)
