"""groups: a missing id is a row of its own; every other value, -1 among them, is an id."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal

from skclr.training import row_groups

IDS = [0, 0, 1, None, 1, None, 2, 0]
DAYS = [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), datetime.date(2026, 1, 3)]


def named(missing):
    return [missing if i is None else f"p{i}" for i in IDS]


def dated():
    return [None if i is None else DAYS[i] for i in IDS]


GROUPS = {
    "float with NaN": np.array([np.nan if i is None else i for i in IDS]),
    "None": IDS,
    "object array": np.array(IDS, dtype=object),
    "strings and None": named(None),
    "strings and NaN": named(float("nan")),
    "strings and NA": named(pd.NA),
    "str Series": pd.Series(named(None), index=[5, 3, 1, 7, 0, 2, 4, 6], dtype="str"),
    "categorical": pd.Series(named(None), dtype="category"),
    "Int64": pd.Series(IDS, dtype="Int64"),
    "Arrow": pd.Series(named(None), dtype="string[pyarrow]"),
    "datetime64": np.array(dated(), dtype="datetime64[D]"),
    "dates and NaT": pd.to_datetime(pd.Series(dated())),
    "polars": pl.Series(IDS),
    "polars Categorical": pl.Series(named(None), dtype=pl.Categorical),
    "column": pd.DataFrame({"patient": IDS}),
    "masked": np.ma.masked_equal([9 if i is None else i for i in IDS], 9),
    "mixed types": [{0: 0, 1: "p1", 2: 2.5}.get(i) for i in IDS],
}


def partners(groups, n_samples=8):
    ids = row_groups(n_samples, groups=groups)
    return (ids[:, None] == ids).numpy()


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_a_row_without_an_id_is_a_group_of_its_own(groups):
    expected = np.array([[i == j or (a == b and a is not None) for j, b in enumerate(IDS)] for i, a in enumerate(IDS)])
    assert_array_equal(partners(groups), expected)


@pytest.mark.parametrize(
    "groups", [[-1, 7, -1], ["-1", "a", "-1"], np.array([-1.0, 0.5, -1.0]), torch.tensor([-1, 1, -1])]
)
def test_minus_one_is_an_id(groups):
    assert_array_equal(partners(groups, 3), np.equal.outer([0, 1, 0], [0, 1, 0]))


def test_numbers_and_texts_are_different_ids():
    assert partners([1, "1", 1], 3).sum() == 5


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ([1, 2], ValueError, "groups has 2 values, but X has 8 rows"),
        (np.zeros((8, 2)), ValueError, "groups has 2 columns"),
        (pd.DataFrame({"a": IDS, "b": IDS}), ValueError, "groups has 2 columns"),
        ("patients", TypeError, "groups is a str"),
        ({1, 2}, TypeError, "groups is a set"),
        ([[1]] * 4 + [[1, 2]] * 4, TypeError, "groups holds a list"),
    ],
)
def test_errors_speak_of_groups(groups, error, message):
    with pytest.raises(error, match=message):
        partners(groups)
