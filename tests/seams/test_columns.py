"""Columns that are no features, and columns that no table can read."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from skclr.modalities.columns import are_dates, determines, doubtful_columns

N = 60
RNG = np.random.default_rng(0)
COLUMNS = {
    "id": [f"u{i:03d}" for i in range(N)],
    "day": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
    "one": ["same"] * N,
    "x": RNG.normal(size=N).tolist(),
    "kind": RNG.choice(list("abc"), N).tolist(),
    "copy": [("no", "yes")[i % 2] for i in range(N)],
}
TARGET = np.arange(N) % 2


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_columns_that_are_no_features_are_found_by_name(frame):
    found = doubtful_columns(frame(COLUMNS), TARGET)
    assert found == (["id"], ["day"], ["one"], ["copy"])


def test_columns_of_arrays_are_found_by_number():
    X = np.c_[RNG.normal(size=N), np.full(N, 2.0), TARGET * 5.0]
    assert doubtful_columns(X, TARGET) == ([], [], [1], [2])
    assert doubtful_columns(sparse.csr_array(X), TARGET) == ([], [], [1], [2])
    assert doubtful_columns(X) == ([], [], [1], [])


def test_many_categories_with_one_class_each_determine_it():
    city = np.array([f"c{i % 20}" for i in range(N)], dtype=object)
    assert determines(city, np.arange(N) % 20 % 2)
    # A value for each row determines anything.
    assert not determines(RNG.permutation(N), np.arange(N) % 2)


@pytest.mark.parametrize(
    "text",
    ["2020-01-02", "2020-01-02T10:00:00Z", "01/02/2020 10:00", "3 Jan 2020", "Jan 3, 2020", "2.1.20", "2-Feb-2013"],
)
def test_dates_are_recognised(text):
    assert are_dates([text])


@pytest.mark.parametrize("text", ["192.168.1.1", "5-10", "2020", "1.2.3.4", "may", "10115", ""])
def test_other_texts_are_no_dates(text):
    assert not are_dates([text])
