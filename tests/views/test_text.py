import pickle
import re

import numpy as np
import pytest
import torch

from skclr.model import InputFeatures
from skclr.views import Neighbors, TextViews

STILL = {"deletion": 0.0, "span": 0.0, "shuffle": 0}


def tokens(n=400, length=20, ids=None):
    """Texts of 10 tokens: 1 to 10, then padding; with `ids`, (n, length, ids)."""
    x = torch.zeros(n, length, dtype=torch.int64)
    x[:, :10] = torch.arange(1, 11)
    return x if ids is None else x.unsqueeze(2) * 100 + torch.arange(ids) * (x > 0).unsqueeze(2)


def make(x, seed=0, **params):
    views = TextViews(**{**STILL, **params}).fit(x)
    return views(x, torch.arange(len(x)), torch.Generator().manual_seed(seed))


def test_views_of_unchanged_text_are_the_text():
    x = tokens()
    assert all(torch.equal(view, x) for view in make(x, n_views=3))


@pytest.mark.parametrize("ids", [None, 3])
def test_deletion_has_its_rate_and_moves_nothing(ids):
    x = tokens(ids=ids)
    view = make(x, deletion=0.3)[0]
    assert torch.equal(view, torch.where(view > 0, x, 0))
    kept = (view.view(400, 20, -1) > 0).float()
    # All ids of a word go together.
    assert torch.equal(kept.amax(2), kept.amin(2))
    share = 1 - kept[:, :10].mean().item()
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 4000) ** 0.5


def test_a_span_is_one_piece_at_any_place():
    view = make(tokens(), span=0.35)[0]
    gone = view[:, :10] == 0
    assert (gone.sum(1) == 3).all()
    starts = gone.int().argmax(1)
    assert torch.equal(gone, (torch.arange(10) >= starts[:, None]) & (torch.arange(10) < starts[:, None] + 3))
    # Eight places, each expected 50 times: five standard deviations either way.
    assert ((torch.bincount(starts, minlength=8) - 50).abs() < 5 * (50 * 7 / 8) ** 0.5).all()


@pytest.mark.parametrize("params", [{"deletion": 1.0}, {"span": 1.0}])
def test_one_token_is_always_left(params):
    view = make(tokens(), **params)[0]
    assert ((view > 0).sum(1) == 1).all()
    # Any of them.
    assert len(view.sum(1).unique()) == 10


@pytest.mark.parametrize("ids", [None, 3])
def test_shuffle_moves_tokens_a_few_places(ids):
    x = tokens(ids=ids)
    view = make(x, shuffle=2)[0].view(400, 20, -1)
    x = x.view(400, 20, -1)
    assert torch.equal(view.sort(1).values, x.sort(1).values)
    assert torch.equal(view[:, 10:], x[:, 10:])
    places = view[:, :10, 0].argsort(1)
    assert 0 < (places - torch.arange(10)).abs().max() <= 2
    assert view.unique(dim=0).shape[0] > 100


def test_a_text_without_tokens_stays_so():
    x = torch.zeros(4, 6, dtype=torch.int64)
    assert not any(view.any() for view in make(x, deletion=0.5, span=0.5, shuffle=2))


def test_views_differ_and_follow_from_the_generator():
    x = tokens()
    before = x.clone()
    one, other = make(x, deletion=0.3, shuffle=1)
    assert not torch.equal(one, other)
    assert torch.equal(one, make(x, deletion=0.3, shuffle=1)[0])
    assert not torch.equal(one, make(x, seed=1, deletion=0.3, shuffle=1)[0])
    assert torch.equal(x, before)


def test_pickle():
    x, generator = tokens(), torch.Generator().manual_seed(0)
    views = pickle.loads(pickle.dumps(TextViews().fit(x)))
    assert torch.equal(views(x, torch.arange(400), generator)[0], make(x, deletion=views.deletion)[0])


@pytest.mark.parametrize(
    "params", [{"n_views": 1}, {"deletion": 1.5}, {"deletion": None}, {"span": -0.1}, {"shuffle": 0.5}]
)
def test_wrong_parameters(params):
    name, value = next(iter(params.items()))
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r}")):
        TextViews(**params)


@pytest.mark.parametrize("x", [torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64)])
def test_other_samples_are_refused(x):
    with pytest.raises(ValueError, match="text views take token ids"):
        TextViews().fit(x)


# -- in the estimator -------------------------------------------------------------------------------

TOPICS = [["card", "stolen", "lost", "blocked", "pin"], ["money", "transfer", "account", "bank", "fee"]]


def corpus(n=60):
    generator = np.random.default_rng(0)
    classes = np.arange(n) % 2
    return [" ".join(generator.choice(TOPICS[c], 4)) for c in classes], classes


@pytest.mark.parametrize("encoder", ["text", "text_transformer"])
def test_embedder_reads_texts(encoder, quick):
    X, y = corpus()
    embedder = quick(modality="text", modality_params={"tokenizer": "words"}, encoder=encoder).fit(X, y)
    embedding = embedder.transform(X)
    assert embedding.shape[0] == 60
    assert np.isfinite(embedding).all()
    # Rows alone and in another order: the same bits.
    assert np.array_equal(embedder.transform(X[7:9]), embedding[7:9])
    assert np.array_equal(embedder.transform(X[::-1]), embedding[::-1])
    assert np.isfinite(embedder.transform([""])).all()


def test_a_fit_is_repeatable_although_dropout_draws(quick):
    X, _ = corpus()
    state = torch.get_rng_state()
    one, other = (quick(modality="text", modality_params={"tokenizer": "words"}).fit_transform(X) for _ in range(2))
    assert np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_neighbours_as_positives(quick):
    X, y = corpus()
    views = Neighbors(n_neighbors=5, on_top=TextViews())
    embedder = quick(modality="text", modality_params={"tokenizer": "words"}, views="neighbors", passthrough=True)
    assert embedder.fit(X).transform(X).shape[0] == 60
    # Neighbours are looked for by the plain features, where topics are apart.
    modality = embedder.model_.modality
    rows = modality.read(X, InputFeatures(), reset=False)
    views.features = modality.features
    views.fit(modality.to_tensor(rows[np.arange(60)]))
    assert (y[views.neighbors_.numpy()] == y[:, None]).mean() > 0.95
