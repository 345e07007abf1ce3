"""More samples than memory holds: into files, and lazily."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skclr.blockwise import transform_to
from skclr.model import Model


class TestTransformTo:
    @pytest.mark.parametrize("frame", [False, True])
    def test_file_holds_what_transform_gives(self, frame, table, quick, tmp_path):
        X = pd.DataFrame(table[0]).add_prefix("x") if frame else table[0]
        embedder = quick().fit(X)
        found = transform_to(embedder.model_, tmp_path / "e.npy", X, most_rows=16)
        assert_array_equal(found, embedder.transform(X))
        assert [path.name for path in tmp_path.iterdir()] == ["e.npy"]

    def test_resumes_after_an_interruption(self, table, quick, tmp_path, monkeypatch):
        embedder, blocks = quick().fit(table[0]), []
        whole, transform = embedder.transform(table[0]), Model.transform

        def interrupted(model, X):
            if len(blocks) == 2:
                raise KeyboardInterrupt
            blocks.append(len(X))
            return transform(model, X)

        monkeypatch.setattr(Model, "transform", interrupted)
        with pytest.raises(KeyboardInterrupt):
            transform_to(embedder.model_, tmp_path / "e.npy", table[0], most_rows=16)
        assert not (tmp_path / "e.npy").exists()
        blocks = []
        assert_array_equal(transform_to(embedder.model_, tmp_path / "e.npy", table[0], most_rows=16), whole)
        assert blocks == [16, 12]

    def test_unfinished_file_of_another_model(self, table, quick, tmp_path):
        embedder = quick().fit(table[0])
        (tmp_path / "e.npy.part.json").write_text('{"model": "another", "n_samples": 60, "rows": 16}')
        with pytest.raises(ValueError, match="is unfinished and belongs to another model"):
            embedder.transform_to(tmp_path / "e.npy", table[0])


def test_dask_array(table, quick):
    dask_array = pytest.importorskip("dask.array")
    embedder = quick().fit(table[0])
    lazy = embedder.transform(dask_array.from_array(table[0], chunks=(25, 2)))
    assert lazy.chunks == ((25, 25, 10), (embedder.transform(table[0]).shape[1],))
    assert_array_equal(lazy.compute(scheduler="synchronous"), embedder.transform(table[0]))


def test_dask_array_of_images(digits, quick):
    dask_array = pytest.importorskip("dask.array")
    embedder = quick().fit(digits[0])
    lazy = embedder.transform(dask_array.from_array(digits[0], chunks=(50, 8, 4)))
    assert_array_equal(lazy.compute(scheduler="synchronous"), embedder.transform(digits[0]))


def test_dask_frame(table, quick):
    dask_frame = pytest.importorskip("dask.dataframe")
    X = pd.DataFrame(table[0]).add_prefix("x")
    embedder = quick().fit(X)
    found = embedder.transform(dask_frame.from_pandas(X, npartitions=3)).compute(scheduler="synchronous")
    assert list(found.columns) == list(embedder.get_feature_names_out())
    assert_array_equal(np.asarray(found), embedder.transform(X))
