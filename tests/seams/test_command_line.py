"""The command line says what it reads and writes, keeps the target out of X, and names the files that it embeds."""

import json
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from skclr import ContrastiveEmbedder, compare, load
from skclr.command_line import main
from skclr.data import Rows
from skclr.modalities import ParquetRows

RNG = np.random.default_rng(0)
N_ROWS = 60
UNTRAINED = ["--set", "max_epochs=0"]


@pytest.fixture
def shop(tmp_path):
    """A shop's sessions: numbers, categories, an identifier, dates as text, a constant, and whether it sold."""
    sold = np.arange(N_ROWS) % 2 == 1
    frame = pd.DataFrame(
        {
            "session": [f"s-{i:05d}" for i in range(N_ROWS)],
            "day": [f"2024-01-{1 + i % 28:02d}" for i in range(N_ROWS)],
            "pages": RNG.integers(1, 30, N_ROWS),
            "seconds": RNG.random(N_ROWS),
            "browser": RNG.choice(["fox", "chrome"], N_ROWS),
            "country": ["all"] * N_ROWS,
            "revenue": np.where(sold, 7.5, 0),
            "Sold": sold,
        }
    )
    frame.to_csv(tmp_path / "shop.csv", index=False)
    return tmp_path / "shop.csv"


@pytest.fixture
def photos(tmp_path):
    for i in range(12):
        folder = tmp_path / "photos" / ("cat" if i % 2 else "dog, or not")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    hidden = tmp_path / "photos" / ".ipynb_checkpoints"
    hidden.mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(hidden / "copy.png")
    (tmp_path / "photos" / "cat" / "._01.png").write_bytes(b"of a Mac")
    return tmp_path / "photos"


def run(capsys, *call):
    assert main([*map(str, call)]) == 0
    return capsys.readouterr().out


# -- what is read and written -------------------------------------------------------------------------


@pytest.mark.filterwarnings("default::UserWarning")
def test_what_is_read_from_a_table(shop, tmp_path, capsys):
    assert main(["fit", str(shop), "--target", "Sold", "--output", str(tmp_path / "m.skclr"), *UNTRAINED]) == 0
    printed, warned = capsys.readouterr()
    first, *others, last = printed.splitlines()
    assert first == (
        "read 60 rows: 3 numbers, 4 categories ('session', 'day', 'browser', 'country'), "
        "target 'Sold' (2 distinct values)"
    )
    assert last == f"wrote {tmp_path / 'm.skclr'}: simclr, 0 epochs"
    # fit itself warns of identifiers and dates, in one line too.
    (warning,) = [line for line in warned.splitlines() if line.startswith("skclr: warning: ")]
    doubts = "\n".join([*others, warning])
    for name in ("session", "day", "country", "revenue"):
        assert f"'{name}'" in doubts
    assert "'pages'" not in doubts
    assert "Sold" not in load(tmp_path / "m.skclr").feature_names_in_


@pytest.mark.parametrize("missing", [[], [0, 3, 4]], ids=["labelled", "partly labelled"])
def test_what_determines_the_target_is_named(missing, tmp_path, capsys):
    kinds = np.array(["a", "b"], dtype=object)[np.arange(N_ROWS) % 2]
    frame = pd.DataFrame({"noise": RNG.random(N_ROWS), "leak": np.where(kinds == "a", 1.5, 2.5), "kind": kinds})
    frame.loc[missing, "kind"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    printed = run(capsys, "fit", tmp_path / "t.csv", "--target", "kind", "--output", tmp_path / "m.skclr", *UNTRAINED)
    assert "column 'leak': values that determine the target" in printed


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("command", ["fit", "report"])
def test_without_a_target_it_says_what_may_be_one(command, shop, tmp_path, capsys):
    output = tmp_path / ("m.skclr" if command == "fit" else "page.html")
    printed = run(capsys, command, shop, "--output", output, *UNTRAINED)
    assert ", no target\n" in printed
    assert "column 'Sold' is used as a feature: if it is the target, name it by --target" in printed


def test_compare_says_where_labels_go(shop, tmp_path, capsys):
    np.save(tmp_path / "X.npy", RNG.random((6, 3)))
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / "photos" / "one.png")
    remedies = {shop: "Name them by --target", tmp_path / "X.npy": "one .npz", tmp_path / "photos": "one subfolder per"}
    for data, remedy in remedies.items():
        assert main(["compare", str(data)]) == 1
        assert remedy in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"y": "ab" * 30, "x": range(60)}, "y"),
        ({"x": range(60), "species": "abc" * 20}, "species"),
        ({"x": range(60), "Label": range(60), "z": np.arange(60) / 7}, "Label"),
        ({"x": range(60), "z": np.arange(60) / 7}, None),
        ({"x": range(60), "n": range(60)}, None),
    ],
)
def test_what_may_be_the_target(columns, found, tmp_path, capsys):
    pd.DataFrame({name: list(values) for name, values in columns.items()}).to_csv(tmp_path / "t.csv", index=False)
    printed = run(capsys, "fit", tmp_path / "t.csv", "--output", tmp_path / "m.skclr", *UNTRAINED)
    hints = re.findall(r"column (\S+) is used as a feature", printed)
    assert hints == ([] if found is None else [repr(found)])


@pytest.mark.parametrize(
    ("write", "first"),
    [
        (lambda path: np.save(path, RNG.random((9, 4))), "read 9 samples of shape (4,), float64, no target"),
        (
            lambda path: np.savez(path.with_suffix(".npz"), X=RNG.random((9, 2, 16)), y=np.arange(9) % 3),
            "read 9 samples of shape (2, 16), float64, target (3 distinct values)",
        ),
        (
            lambda path: np.savez(path.with_suffix(".npz"), X=np.array(["a rose", "a daisy"] * 4)),
            "read 8 texts, no target",
        ),
    ],
    ids=["npy", "npz", "texts"],
)
def test_what_is_read_of_arrays(write, first, tmp_path, capsys):
    write(tmp_path / "data.npy")
    (data,) = tmp_path.iterdir()
    assert run(capsys, "fit", data, "--output", tmp_path / "m.skclr", *UNTRAINED).splitlines()[0] == first


def test_what_is_read_from_a_column_of_texts(tmp_path, capsys):
    pd.DataFrame({"body": ["a rose", "a daisy"] * 4}).to_csv(tmp_path / "t.csv", index=False)
    printed = run(capsys, "fit", tmp_path / "t.csv", "--text", "body", "--output", tmp_path / "m.skclr", *UNTRAINED)
    assert printed.startswith("read 8 texts of column 'body', no target\n")


def test_quiet_is_quiet(shop, tmp_path, capsys):
    model = tmp_path / "m.skclr"
    numbers = tmp_path / "numbers.csv"
    pd.read_csv(shop)[["pages", "seconds"]].to_csv(numbers, index=False)
    assert run(capsys, "fit", numbers, "--output", model, "--quiet", *UNTRAINED) == ""
    assert run(capsys, "transform", numbers, "--model", model, "--output", tmp_path / "e.csv", "--quiet") == ""


# -- images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_embeddings_of_images_name_their_files(suffix, photos, tmp_path, capsys):
    model, output = tmp_path / "m.skclr", tmp_path / f"e.{suffix}"
    printed = run(capsys, "fit", photos, "--output", model, *UNTRAINED)
    assert printed.startswith("read 12 images in 2 folders, their classes\n")
    printed = run(capsys, "transform", photos, "--model", model, "--output", output)
    embedder = load(model)
    width = len(embedder.get_feature_names_out())
    assert f"wrote {output}: 12 rows of {width} features" in printed
    if suffix == "npy":
        assert "a .csv or .parquet output includes the file names" in printed
        assert np.load(output).shape == (12, width)
        return
    found = pd.read_csv(output, index_col="file") if suffix == "csv" else pd.read_parquet(output)
    assert found.index.name == "file"
    assert sorted(found.index) == sorted(
        path.relative_to(photos).as_posix() for path in photos.glob("[cd]*/[0-9]*.png")
    )
    assert_array_equal(found.to_numpy(np.float32), embedder.transform([photos / name for name in found.index]))
    assert list(found.columns) == list(embedder.get_feature_names_out())


def test_tables_have_no_column_of_files(shop, tmp_path, capsys):
    numbers = tmp_path / "numbers.csv"
    pd.read_csv(shop)[["pages", "seconds"]].to_csv(numbers, index=False)
    run(capsys, "fit", numbers, "--output", tmp_path / "m.skclr", *UNTRAINED)
    run(capsys, "transform", numbers, "--model", tmp_path / "m.skclr", "--output", tmp_path / "e.csv")
    expected = load(tmp_path / "m.skclr").transform(pd.read_csv(numbers))
    assert_array_equal(pd.read_csv(tmp_path / "e.csv").to_numpy(np.float32), expected)


# -- the cache of compare -----------------------------------------------------------------------------

FEW = {"labels_per_class": (3,), "cv": 2, "embedder_params": {"max_epochs": 0}}


@pytest.mark.parametrize(
    "kind", [str, Path, lambda folder: joblib.Memory(folder, verbose=0)], ids=["str", "path", "joblib"]
)
def test_compare_keeps_its_cells(kind, table, tmp_path, monkeypatch):
    first = compare(*table, ["simclr"], ["raw features"], memory=kind(tmp_path / "new" / "cells"), **FEW)
    monkeypatch.setattr(ContrastiveEmbedder, "fit", lambda *rows, **named: pytest.fail("it is fitted again"))
    again = compare(*table, ["simclr"], ["raw features"], memory=kind(tmp_path / "new" / "cells"), **FEW)
    assert json.dumps(again.records) == json.dumps(first.records)


def test_the_cache_of_the_command_line(table, tmp_path, capsys, monkeypatch):
    np.savez(tmp_path / "data.npz", X=table[0], y=table[1])
    call = [
        "compare",
        tmp_path / "data.npz",
        "--embedders",
        "simclr",
        "--labels",
        3,
        "--folds",
        2,
        "--quiet",
        *UNTRAINED,
    ]
    call += ["--cache", tmp_path / "cells"]
    first = run(capsys, *call)
    monkeypatch.setattr(ContrastiveEmbedder, "fit", lambda *rows, **named: pytest.fail("it is fitted again"))
    assert run(capsys, *call) == first


@pytest.mark.parametrize("memory", ["", "file", "file/below"])
def test_a_cache_that_cannot_be(memory, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(ContrastiveEmbedder, "fit", lambda *rows, **named: pytest.fail("the work has begun"))
    with pytest.raises((OSError, ValueError), match="memory="):
        compare(*table, ["simclr"], ["raw features"], memory=memory, **FEW)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"labels_per_class": (0,)}, "labels_per_class has 0"),
        ({"labels_per_class": (3, -1)}, "labels_per_class has -1"),
        ({"labels_per_class": ("some",)}, "labels_per_class has 'some'"),
        ({"scoring": "exactness"}, "scoring='exactness' is unknown"),
    ],
)
def test_what_compare_refuses_before_the_work(params, message, table, monkeypatch):
    monkeypatch.setattr(ContrastiveEmbedder, "fit", lambda *rows, **named: pytest.fail("the work has begun"))
    with pytest.raises(ValueError, match=message):
        compare(*table, ["simclr"], ["raw features"], **{**FEW, **params})


@pytest.mark.parametrize("kind", ["folder", "paths", "parquet", "table"])
def test_cells_of_files_that_have_changed_are_computed_again(kind, tmp_path):
    def written(seed):
        values = np.random.default_rng(seed).integers(0, 256, (12, 6, 6), dtype=np.uint8)
        if kind in ("parquet", "table"):
            frame = pd.DataFrame(values.reshape(12, 36)[:, :4].astype(float), columns=list("abcd"))
            frame.to_parquet(tmp_path / "X.parquet")
            return ParquetRows(tmp_path / "X.parquet") if kind == "table" else tmp_path / "X.parquet"
        (tmp_path / "X").mkdir(exist_ok=True)
        paths = [tmp_path / "X" / f"{i:02}.png" for i in range(12)]
        for path, image in zip(paths, values, strict=True):
            Image.fromarray(image).save(path)
        return tmp_path / "X" if kind == "folder" else [str(path) for path in paths]

    def records(X):
        found = compare(X, y, ["simclr"], ["raw features"], embedder_params=params, **few).records
        return json.dumps(found), Rows.of(X).fingerprint()

    few = {"labels_per_class": (2,), "cv": 2, "memory": tmp_path / "cells"}
    params = {"max_epochs": 0, **({"modality": "image"} if kind in ("folder", "paths") else {})}
    y = np.arange(12) % 2
    first, fingerprint = records(written(0))
    X = written(1)
    other, changed = records(X)
    # With the seconds that were measured: equal records are those that were kept.
    assert records(X) == (other, changed)
    assert other != first
    assert changed != fingerprint
