"""From one set to another, and views that the user gives."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch.testing import assert_close

from skclr.data import Rows
from skclr.views import Jitter, Paired
from tests.conftest import DIGITS


def weights(embedder):
    return {name: value.clone() for name, value in embedder.encoder_.state_dict().items()}


# -- transfer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("give", [lambda e: e, lambda e: e.encoder_], ids=["embedder", "encoder_"])
def test_an_encoder_continues_from_what_it_has_learned(digits, quick, give):
    X, _ = digits
    learned = quick().fit(X[:60])
    before = weights(learned)
    features = learned.transform(X)
    copied = quick(encoder=give(learned), max_epochs=0, framework="byol").fit(X[60:])
    assert_array_equal(copied.transform(X), features)
    quick(encoder=give(learned)).fit(X[60:])
    assert_close(weights(learned), before, rtol=0, atol=0)


@pytest.mark.parametrize("framework", ["simclr", "byol", "moco"])
def test_frozen_layers_do_not_move(digits, quick, framework):
    X, _ = digits
    learned = quick().fit(X[:60])
    before = weights(learned)
    for freeze, still in [("all", 8), (2, 2), (0, 0), ("none", 0)]:
        moved = quick(framework, encoder=learned.encoder_, freeze=freeze).fit(X[60:])
        holders = [n for n, m in moved.encoder_.named_modules() if next(m.parameters(recurse=False), None) is not None]
        after = weights(moved)
        same = [
            all(torch.equal(after[k], v) for k, v in before.items() if k.startswith(name + ".")) for name in holders
        ]
        assert same == [True] * still + [False] * (8 - still), freeze


def test_what_was_frozen_once_can_be_trained_again(digits, quick):
    X, _ = digits
    with pytest.warns(UserWarning, match="freeze='all' would keep layers with random weights"):
        frozen = quick(freeze="all").fit(X)
    free = quick(encoder=frozen.encoder_).fit(X)
    assert all(p.requires_grad for p in free.encoder_.parameters())
    assert not any(
        torch.equal(a, b) for a, b in zip(free.encoder_.parameters(), frozen.encoder_.parameters(), strict=True)
    )


def test_freezing_more_layers_than_there_are(table, quick):
    with pytest.raises(ValueError, match=r"freeze=99: the encoder has 5 layers"):
        quick(encoder="mlp", freeze=99).fit(table[0])
    with pytest.raises(ValueError, match=r"freeze='some': pass 'none', 'all' or the number"):
        quick(freeze="some").fit(table[0])


def test_a_clone_that_forgot_says_so(table, quick):
    learned = quick().fit(table[0])
    with pytest.raises(ValueError, match=r"before a clone.*encoder_"):
        clone(quick(encoder=learned)).fit(table[0])
    clone(quick(encoder=learned.encoder_)).fit(table[0])


def test_an_encoder_of_other_columns_says_so(table, quick):
    learned = quick().fit(table[0])
    with pytest.raises(ValueError, match="encoder= was fitted on 5 columns, but X has 3"):
        quick(encoder=learned).fit(table[0][:, :3])


# -- views in X -------------------------------------------------------------------------------------


@pytest.fixture
def pairs(table):
    """Two views of each of 60 rows."""
    X, _ = table
    return X, X + 0.1 * np.random.default_rng(0).normal(size=X.shape)


@pytest.mark.parametrize("framework", ["simclr", "byol", "swav"])
def test_a_tuple_and_an_array_of_views_are_one(pairs, quick, framework):
    one = quick(framework).fit(pairs)
    other = quick(framework, views="paired").fit(np.stack(pairs, 1))
    assert_array_equal(one.transform(pairs[0]), other.transform(pairs[0]))
    assert one.n_features_in_ == 5


def test_three_views_and_a_change_on_top(pairs, quick):
    X, other = pairs
    embedder = quick(views="paired", views_params={"on_top": Jitter(n_views=1, rate=0.5)})
    embedder.fit((X, other, X), unlabeled=(X[:5], X[:5], X[:5]))
    assert embedder.transform(other).shape[0] == 60


def test_pairs_of_images(digits, quick):
    X, _ = digits
    embedder = quick(modality_params=DIGITS).fit((X.reshape(120, -1), X[:, ::-1].reshape(120, -1)))
    assert embedder.modality_ == "image"


def test_pairs_of_unequal_lengths(quick):
    asked = [f"what is {i} and {i % 7}" for i in range(40)]
    answered = [f"the answer to {i} has so many words more than the question ever had: {i % 5}" for i in range(40)]
    for X in ((asked, answered), (answered, asked)):
        embedder = quick(modality_params={"tokenizer": "words"}).fit(X)
        assert np.isfinite(embedder.transform(answered)).all()
    rng = np.random.default_rng(0)
    short, long = ([rng.normal(size=(2, n + i % 5)) for i in range(40)] for n in (10, 20))
    assert np.isfinite(quick().fit((short, long)).transform(long)).all()
    with pytest.raises(ValueError, match="Pass views of one shape"):
        quick().fit((rng.normal(size=(40, 2, 30)), rng.normal(size=(40, 2, 25))))


def test_the_network_sees_the_pairs(pairs):
    x = torch.from_numpy(np.stack(pairs, 1).astype(np.float32))
    views = Paired().fit(x)(x, torch.arange(60), torch.Generator())
    assert_close(views, [x[:, 0], x[:, 1]], rtol=0, atol=0)


def test_wrong_pairs_say_what_to_do(pairs, quick):
    X, other = pairs
    with pytest.raises(ValueError, match=r"X holds 2 views of 60, 50 samples"):
        quick().fit((X, other[:50]))
    with pytest.raises(ValueError, match=r"tuple of views, but transform embeds one"):
        quick().fit(pairs).transform(pairs)
    with pytest.raises(ValueError, match=r"views='corruption' would not use.*views='paired'"):
        quick(views="corruption").fit(pairs)
    with pytest.raises(ValueError, match=r"Pass a tuple of aligned arrays"):
        quick(views="paired").fit(X)
    with pytest.raises(ValueError, match=r"unlabeled has 1 view"):
        quick().fit(pairs, unlabeled=X)
    with pytest.raises(ValueError, match=r"2 features.*expecting 5"):
        quick().fit((X, other[:, :2]))
    assert Rows.of(["a", "b"]).n_views == Rows.of(("a", "b")).n_views == 1
