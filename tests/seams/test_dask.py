"""What dask holds is embedded as the same rows in memory are."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skclr import ContrastiveEmbedder

dd = pytest.importorskip("dask.dataframe")
da = pytest.importorskip("dask.array")

RNG = np.random.default_rng(0)
FRAMES = {
    "numbers": pd.DataFrame(RNG.normal(size=(12, 3)), columns=list("abc")),
    "text and numbers": pd.DataFrame({"a": RNG.normal(size=12), "b": ["red", "blue", "red"] * 4}),
    "text alone": pd.DataFrame({"a": ["x", "y"] * 6, "b": ["red", "blue", "red"] * 4}),
    "booleans": pd.DataFrame({"a": RNG.normal(size=12), "b": [True, False, False] * 4}),
    "categories": pd.DataFrame({"a": RNG.normal(size=12), "b": pd.Categorical(["x", "y", "z"] * 4)}),
    "gaps": pd.DataFrame({"a": [1.0, np.nan, 3.0] * 4, "b": [None, "x", "y"] * 4}),
}
TEXTS = np.array(["a rose", "is a rose", "a daisy"] * 4, dtype=object)
WORDS = {"tokenizer": "words"}


def fit(X, **params):
    return ContrastiveEmbedder(max_epochs=1, random_state=0, **params).fit(X)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_frame_is_its_rows(frame):
    expected, lazy = fit(frame), dd.from_pandas(frame, npartitions=3)
    fitted = fit(lazy)
    z = expected.transform(frame)
    assert_array_equal(fitted.transform(frame), z)
    assert_array_equal(fitted.transform(lazy).compute(), z)
    assert list(fitted.feature_names_in_) == list(frame.columns)
    assert fitted.score(lazy) == expected.score(frame)
    assert_array_equal(fitted.partial_fit(lazy).transform(frame), expected.partial_fit(frame).transform(frame))


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_an_empty_partition_has_no_rows(frame):
    lazy = dd.from_pandas(frame.assign(n=np.arange(12.0)), npartitions=3)
    embedder = fit(lazy)
    few = lazy[lazy.n >= 6]
    assert 0 in few.map_partitions(len).compute().tolist()
    features = embedder.transform(few).compute()
    assert_array_equal(features, embedder.transform(few.compute()))
    assert_array_equal(features.index, few.compute().index)


@pytest.mark.parametrize(
    "X", [da.from_array(TEXTS, chunks=5), dd.from_pandas(pd.Series(TEXTS, name="text"), npartitions=3)]
)
def test_texts(X):
    embedder = fit(X, modality="text", modality_params=WORDS)
    z = fit(list(TEXTS), modality="text", modality_params=WORDS).transform(list(TEXTS))
    assert embedder.transform(X).compute().shape == z.shape
    assert_array_equal(embedder.transform(X).compute(), z)


def test_an_array_with_an_empty_chunk():
    X = RNG.normal(size=(12, 3))
    lazy = da.concatenate([da.from_array(X[:5]), da.zeros((0, 3)), da.from_array(X[5:])])
    embedder = fit(X)
    assert_array_equal(embedder.transform(lazy).compute(), embedder.transform(X))


def test_a_frame_of_unknown_length_is_not_written_to_a_file(tmp_path):
    embedder = fit(FRAMES["numbers"])
    with pytest.raises(TypeError, match="X is a dask DataFrame, whose length is unknown") as caught:
        embedder.transform_to(tmp_path / "z.npy", dd.from_pandas(FRAMES["numbers"], npartitions=3))
    assert "to_parquet" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
