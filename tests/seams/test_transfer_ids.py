"""An encoder that goes on elsewhere: its ids mean what they meant when it was trained."""

import io

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import skclr
from skclr import ContrastiveEmbedder
from skclr.evaluation import transfer_probe

N = 40
X1 = np.random.default_rng(0).normal(size=N)
COLOURS = np.array(["red", "green", "blue", "grey"])[np.arange(N) % 4]
FRAME = pd.DataFrame({"x": X1, "colour": COLOURS, "size": pd.Categorical([1, 2, 5, 7] * (N // 4))})
TEXTS = [f"{a} {b} number {i % 5}" for i, (a, b) in enumerate(zip(COLOURS, np.roll(COLOURS, 1), strict=True))]
ARRAY = np.column_stack([X1, np.arange(N) % 4])


def quick(**params):
    network = {} if "encoder" in params else {"encoder_params": {"width": 16}}
    return ContrastiveEmbedder(**{"max_epochs": 0, "random_state": 0, "passthrough": False, **network, **params})


# Samples, others whose vocabulary is smaller, and others whose vocabulary is larger; the numbers are the same.
SETS = {
    "frame": (FRAME, FRAME.replace({"colour": {"blue": "grey"}}), FRAME.replace({"colour": {"blue": "azure"}}), {}),
    "array": (
        ARRAY,
        np.column_stack([X1, np.arange(N) % 2 + 1]),
        np.column_stack([X1, np.arange(N) % 8]),
        {"categorical_features": [1]},
    ),
    "words": (
        TEXTS,
        [text.replace("blue", "grey") for text in TEXTS],
        [text.replace("blue", f"azure{i}") for i, text in enumerate(TEXTS)],
        {"tokenizer": "words"},
    ),
}


def saved(embedder):
    """Save and load an embedder."""
    embedder.save("embedder.skclr")
    return skclr.load("embedder.skclr")


def dumped(value):
    """Pickle and unpickle."""
    file = io.BytesIO()
    joblib.dump(value, file)
    return joblib.load(file)


GIVE = {
    "embedder": lambda e: e,
    "encoder_": lambda e: e.encoder_,
    "embedder_dumped": dumped,
    "encoder_dumped": lambda e: dumped(e.encoder_),
    "loaded": saved,
    "loaded_encoder_": lambda e: saved(e).encoder_,
    "tuned_once_more": lambda e: quick(encoder=e).fit(SETS["frame" if e.modality_ == "tabular" else "words"][1]),
}


@pytest.fixture(scope="module")
def learned():
    """Fit once on each set."""
    return {name: quick(modality_params=params).fit(X) for name, (X, _, _, params) in SETS.items()}


@pytest.mark.parametrize("give", GIVE)
@pytest.mark.parametrize("name", ["frame", "words"])
def test_ids_mean_what_they_meant(learned, name, give, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, fewer, more, params = SETS[name]
    for other in (fewer, more):
        carried = quick(encoder=GIVE[give](learned[name]), modality_params=params, freeze="all").fit(other)
        for samples in (X, fewer, more):
            assert_array_equal(carried.transform(samples), learned[name].transform(samples))


@pytest.mark.parametrize("name", SETS)
def test_a_search_clones_them_too(learned, name):
    X, fewer, more, params = SETS[name]
    carried = clone(quick(encoder=learned[name].encoder_, modality_params=params)).fit(more)
    for samples in (X, fewer, more):
        assert_array_equal(carried.transform(samples), learned[name].transform(samples))


@pytest.mark.parametrize("name", SETS)
def test_a_larger_vocabulary_trains(learned, name):
    _, _, more, params = SETS[name]
    embedder = quick(encoder=learned[name], modality_params=params, max_epochs=1).fit(more)
    assert np.isfinite(embedder.transform(more)).all()


@pytest.mark.parametrize("name", SETS)
def test_the_probe_of_another_set_reads_as_the_first(learned, name):
    _, fewer, more, _ = SETS[name]
    seen = []

    def probe(train, y_train, test, y_test):
        seen.extend([train, test])
        return 0.0

    y = np.arange(N) % 2
    transfer_probe(learned[name], fewer, y, more, y, probe=probe)
    assert_array_equal(seen[0], learned[name].transform(fewer))
    assert_array_equal(seen[1], learned[name].transform(more))


def test_statistics_are_those_of_the_new_data(learned):
    other = FRAME.assign(x=5 * X1 + 3)
    carried = quick(encoder=learned["frame"]).fit(other)
    assert_allclose(carried.transform(other), learned["frame"].transform(FRAME), atol=1e-5)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (FRAME[["colour", "x", "size"]], "column 0 was 'x', but X has 'colour'"),
        (FRAME.rename(columns={"size": "shoe"}), "column 2 was 'size', but X has 'shoe'"),
        (FRAME.assign(colour=X1), "'colour' held categories, but holds numbers in X"),
        (FRAME.assign(x=COLOURS), "'x' held numbers, but holds categories in X"),
        (FRAME[["x", "colour"]], "fitted on 3 columns, but X has 2"),
    ],
)
@pytest.mark.parametrize("give", ["embedder", "encoder_", "encoder_dumped"])
def test_other_columns_are_refused(learned, give, other, message):
    fresh = quick(encoder=GIVE[give](learned["frame"]))
    with pytest.raises(ValueError, match=message):
        fresh.fit(other)
    assert not hasattr(fresh, "net_")


def test_another_tokenizer_is_refused(learned):
    tokenizer = type("Letters", (skclr.modalities.tokenizers.Words,), {})()
    with pytest.raises(ValueError, match="tokenizer"):
        quick(encoder=learned["words"], modality_params={"tokenizer": tokenizer}).fit(TEXTS)


def test_swapped_columns_of_numbers_are_refused():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 3)), columns=list("abc"))
    with pytest.raises(ValueError, match="column 0 was 'a', but X has 'c'"):
        quick(encoder=quick().fit(X)).fit(X[list("cba")])
