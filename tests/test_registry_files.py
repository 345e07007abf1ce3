"""Files of every entry of the registries, written by earlier versions: each loads and embeds as it did then."""

import lzma
import warnings

import numpy as np
import pytest

from skclr import load
from tests.data.write_registry import FOLDER, VERSION, as_user_has_it, cases, dense

EXPECTED = np.load(FOLDER / "expected.npz", allow_pickle=False)
FILES = {path.name.split(".")[0]: path for path in sorted(FOLDER.glob("*.skclr*"))}
KINDS = {f"version-{VERSION}-{stem}": kind for stem, (kind, _) in cases().items()}


@pytest.mark.parametrize("stem", FILES)
def test_the_same_numbers(stem, tmp_path):
    path = FILES[stem]
    if path.suffix == ".xz":
        compressed, path = path, tmp_path / "model.skclr"
        path.write_bytes(lzma.decompress(compressed.read_bytes()))
    kind = KINDS[stem]
    X = as_user_has_it(kind, EXPECTED[f"X/{kind}"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder = load(path)
    expected = EXPECTED[f"embedding/{stem}"]
    # Other versions of torch, and other numbers of rows at once, round differently, relative to the size of a column.
    size = np.maximum(1.0, np.abs(expected).max(0))
    np.testing.assert_allclose(dense(embedder.transform(X)) / size, expected / size, rtol=1e-4, atol=1e-5)
    assert embedder.loss_curve_ == EXPECTED[f"loss/{stem}"].tolist()


def test_every_entry_has_a_file():
    assert set(KINDS) == set(FILES)
