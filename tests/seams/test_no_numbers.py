"""What holds no numbers is refused by name where images and series are read."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from skclr import ContrastiveEmbedder

DAYS = [datetime.date(2020, 1, day) for day in range(1, 7)]
FRAMES = {
    "text": pd.DataFrame({"a": list("uvwxyz"), "b": np.arange(6)}),
    "dates": pd.DataFrame({"a": pd.to_datetime(DAYS), "b": np.arange(6)}),
    "lists": pd.DataFrame({"a": [[1]] * 6, "b": np.arange(6)}),
    "bytes": pd.DataFrame({"a": [b"x"] * 6, "b": np.arange(6)}),
    "dates of polars": pl.DataFrame({"a": DAYS, "b": range(6)}),
    "durations of polars": pl.DataFrame({"a": [datetime.timedelta(day) for day in range(6)], "b": range(6)}),
}
ARRAYS = {
    "str": np.full((6, 2), "x"),
    "bytes": np.full((6, 2), b"x"),
    "void": np.zeros((6, 2), dtype="V4"),
    "complex": np.ones((6, 2)) + 1j,
    "records": np.zeros(6, dtype=[("a", "f4"), ("b", "f4")]),
    "sparse": sparse.csr_array(np.eye(6, 2)),
    "days": [[day, day] for day in DAYS],
}


@pytest.mark.parametrize("X", [*FRAMES.values(), *ARRAYS.values()], ids=[*FRAMES, *ARRAYS])
@pytest.mark.parametrize(("modality", "params"), [("image", {"image_shape": (1, 2)}), ("image", {}), ("series", {})])
def test_no_numbers(X, modality, params):
    with pytest.raises(ValueError, match=r"X (holds|has|cannot|of shape)|of X is not an array") as caught:
        ContrastiveEmbedder(modality=modality, modality_params=params, max_epochs=0).fit(X)
    assert len(str(caught.value)) < 300
    assert caught.traceback[-1].path.name in ("image.py", "pixels.py", "series.py", "base.py")
