"""The command line: the same results as the methods, codes that tell how it went, and messages without tracebacks."""

import csv
import io
import logging
import os
import re
import runpy
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.datasets import load_iris

from skclr import ContrastiveEmbedder, load
from skclr.command_line import main
from skclr.command_line.files import read

QUICK = ["--set", "max_epochs=2", "--quiet"]


@pytest.fixture
def frame():
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X.assign(kind=np.array(["a", "b", "c"])[y])


@pytest.fixture(params=["csv", "tsv", "parquet"])
def table(request, frame, tmp_path):
    path = tmp_path / f"iris.{request.param}"
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if request.param == "tsv" else ",")
    return path


@pytest.fixture
def arrays(tmp_path):
    path = tmp_path / "iris.npz"
    X, y = load_iris(return_X_y=True)
    np.savez(path, X=X, y=y)
    return path


@pytest.fixture
def few_labels(tmp_path):
    """Seven labels per class are too few to choose C by cross-validation, which takes most of the time."""
    path = tmp_path / "few.npz"
    X, y = load_iris(return_X_y=True)
    np.savez(path, X=X, y=np.where(np.arange(150) % 50 < 7, y, -1))
    return path


@pytest.fixture
def photos(tmp_path):
    """Six images in two folders, and other files."""
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (folder / kind).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / kind / f"{i}.png")
    (folder / "cat" / "notes.txt").write_text("no image")
    return folder


# -- files ------------------------------------------------------------------------------------------


def test_tables(table, frame):
    X, y = read(table, "kind")
    pd.testing.assert_frame_equal(X, frame.drop(columns="kind"))
    assert_array_equal(y, frame["kind"])
    assert read(table).y is None


def test_a_column_of_texts(table, frame):
    assert frame["kind"].tolist() == read(table, text="kind").X


@pytest.mark.parametrize("names", [{"X": "X", "y": "y"}, {"samples": "X", "y": "y"}])
def test_arrays(names, tmp_path):
    X, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0])
    np.savez(tmp_path / "data.npz", **{name: {"X": X, "y": y}[of] for name, of in names.items()})
    data = read(tmp_path / "data.npz")
    assert_array_equal(data.X, X)
    assert_array_equal(data.y, y)


def test_one_array(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((3, 2)))
    assert_array_equal(read(tmp_path / "X.npy").X, np.ones((3, 2)))


def test_folders_are_classes(photos):
    data = read(photos)
    assert [path.name for path in data.X] == ["0.png", "1.png", "2.png"] * 2
    assert data.y.tolist() == ["cat"] * 3 + ["dog"] * 3


def test_images_without_classes(photos):
    assert read(photos / "cat").y is None


def test_links_out_of_the_folder_are_not_followed(photos, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(outside / "one.png")
    (photos / "cat" / "link.png").symlink_to(outside / "one.png")
    (photos / "cow").symlink_to(outside)
    (photos / "loop").symlink_to(photos)
    assert sorted(read(photos).X) == sorted(photos.glob("*/[012].png"))


@pytest.mark.parametrize("name", ["../up", "/root/up", "C:\\up", "photos/../up"])
def test_members_of_an_archive_are_names_and_no_places(name, tmp_path):
    place = tmp_path / "here"
    place.mkdir()
    np.savez(place / "data.npz", **{name: np.ones((3, 2)), "y": np.arange(3)})
    assert_array_equal(read(place / "data.npz").X, np.ones((3, 2)))
    assert os.listdir(tmp_path) == ["here"]
    assert os.listdir(place) == ["data.npz"]


def test_members_of_an_archive_that_are_not_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("notes.txt", "what is this?")
    with pytest.raises(ValueError, match=r"is not an archive of plain arrays.*'notes\.txt' is not an array"):
        read(tmp_path / "data.npz")


@pytest.mark.parametrize("order", "<>")
def test_text_of_characters_that_are_none(tmp_path, order):
    codes = np.full(4, 0x7FFFFFFF, dtype=f"{order}u4")
    np.savez(tmp_path / "data.npz", X=np.arange(8.0).reshape(4, 2), y=codes.view(f"{order}U1"))
    with pytest.raises(ValueError, match="'y' contains invalid characters"):
        read(tmp_path / "data.npz")


def test_an_archive_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, X=np.zeros((1_000, 100)))
    raw = bytearray(path.read_bytes())
    # The archive's directory states an uncompressed size of 3 GiB.
    place = raw.index(b"PK\x01\x02") + 24
    raw[place : place + 4] = struct.pack("<I", 3 * 2**30)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"bomb\.npz would grow to 3\.0 GiB.*pass an .npy"):
        read(path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_that_claim_to_be_larger_than_any_memory(suffix, tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**4)})
    path = tmp_path / f"data.{suffix}"
    if suffix == "npy":
        path.write_bytes(header.getvalue())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", header.getvalue())
    with pytest.raises(ValueError, match="is not an archive of plain arrays"):
        read(path)


def test_folders_named_by_dots(photos, monkeypatch):
    monkeypatch.chdir(photos / "cat")
    assert set(read(Path("..")).y) == {"cat", "dog"}
    assert len(read(Path()).X) == 3


# -- commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
def test_fit_and_transform_are_the_methods(arrays, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    model, out = str(tmp_path / "iris.skclr"), tmp_path / f"features.{suffix}"
    assert main(["fit", str(arrays), "--output", model, *QUICK]) == 0
    assert main(["transform", str(arrays), "--model", model, "--output", str(out)]) == 0
    readers = {"npy": np.load, "csv": pd.read_csv, "parquet": pd.read_parquet}
    found = readers[suffix](out)
    X = np.load(arrays)["X"]
    expected = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    assert_array_equal(np.asarray(found, dtype=np.float32), expected.transform(X))
    assert_array_equal(load(model).transform(X), expected.transform(X))
    if suffix != "npy":
        assert list(found.columns) == list(expected.get_feature_names_out())


def test_fit_on_images(photos, tmp_path):
    model = tmp_path / "photos.skclr"
    call = ["fit", str(photos), "--framework", "byol", "--output", str(model), "--quiet"]
    assert main([*call, "--set", "max_epochs=1", "modality__size=[8,8]"]) == 0
    assert load(model).modality_ == "image"


def test_compare_prints_and_writes_the_table(few_labels, tmp_path, capsys):
    out = tmp_path / "table.csv"
    call = ["compare", str(few_labels), "--embedders", "simclr", "--labels", "2", "--folds", "2", "--output", str(out)]
    assert main([*call, *QUICK]) == 0
    printed = capsys.readouterr().out
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert {"raw features", "untrained encoder", "simclr"} <= {row["features"] for row in rows}
    assert all(row["features"] in printed for row in rows)


def test_report_with_a_model_and_without(few_labels, tmp_path):
    pytest.importorskip("plotly")
    model, page = str(tmp_path / "iris.skclr"), tmp_path / "page.html"
    main(["fit", str(few_labels), "--output", model, *QUICK])
    assert main(["report", str(few_labels), "--model", model, "--output", str(page)]) == 0
    assert "</html>" in page.read_text()
    assert main(["report", str(few_labels), "--output", str(page), *QUICK]) == 0


def test_progress_unless_quiet(arrays, tmp_path, capsys):
    call = ["fit", str(arrays), "--output", str(tmp_path / "iris.skclr"), "--set", "max_epochs=2"]
    main(call)
    assert "epoch 2/2" in capsys.readouterr().err
    main([*call, "--quiet"])
    assert capsys.readouterr().err == ""


# -- what goes wrong --------------------------------------------------------------------------------

MISTAKES = {
    "no_file": (["fit", "{tmp}/none.csv", "--output", "{tmp}/m.skclr"], "none.csv does not exist"),
    "suffix": (["fit", "{tmp}/notes.txt", "--output", "{tmp}/m.skclr"], "has the suffix '.txt'"),
    "no_table": (["fit", "{tmp}/broken.parquet", "--output", "{tmp}/m.skclr"], "parquet"),
    "no_arrays": (["fit", "{tmp}/broken.npz", "--output", "{tmp}/m.skclr"], "is not an archive of plain arrays"),
    "pickle": (["fit", "{tmp}/pickle.npz", "--output", "{tmp}/m.skclr"], "is not an archive of plain arrays"),
    "target": (
        ["fit", "{tmp}/iris.npz", "--target", "z", "--output", "{tmp}/m.skclr"],
        "'z' is not an array.*'X', 'y'",
    ),
    "output": (["fit", "{tmp}/iris.npz", "--output", "{tmp}/m.pt"], r"ends in \.skclr"),
    "folder": (["fit", "{tmp}/iris.npz", "--output", "{tmp}/none/m.skclr"], "create the folder"),
    "parameter": (["fit", "{tmp}/iris.npz", "--output", "{tmp}/m.skclr", "--set", "epochs=2"], "epochs"),
    "assignment": (["fit", "{tmp}/iris.npz", "--output", "{tmp}/m.skclr", "--set", "epochs"], "NAME=VALUE"),
    "value": (["fit", "{tmp}/iris.npz", "--output", "{tmp}/m.skclr", "--set", "batch_size=1"], "batch_size=1"),
    "model": (["transform", "{tmp}/iris.npz", "--model", "{tmp}/broken.npz", "--output", "{tmp}/e.npy"], "broken.npz"),
    "no_labels": (["compare", "{tmp}/X.npy"], "Save X and y in one .npz"),
    "no_images": (["fit", "{tmp}/empty", "--output", "{tmp}/m.skclr"], "contains no images"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_said_in_one_line(case, arrays, tmp_path, capsys):
    arguments, message = MISTAKES[case]
    for name in ("notes.txt", "broken.parquet", "broken.npz"):
        (tmp_path / name).write_bytes(b"what is this?")
    np.savez(tmp_path / "pickle.npz", X=np.array([{}, {}], dtype=object))
    np.save(tmp_path / "X.npy", np.ones((4, 3)))
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.iterdir())
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("skclr: ")
    assert re.search(message, said)
    assert sorted(tmp_path.iterdir()) == before


def test_what_pillow_logs_is_not_printed(tmp_path, monkeypatch, capfd):
    Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8)).save(tmp_path / "colors.tif")
    raw = (tmp_path / "colors.tif").read_bytes()
    # SamplesPerPixel: one short number, 3.
    field = struct.pack("<HHI", 277, 3, 1)
    assert field in raw
    (tmp_path / "colors.tif").write_bytes(re.sub(re.escape(field) + b"..", field + b"\x64\x00", raw))
    # As in a process of its own, without the handlers of pytest.
    monkeypatch.setattr(logging.root, "handlers", [])
    assert main(["fit", str(tmp_path), "--output", str(tmp_path / "m.skclr")]) != 0
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert re.match("skclr: X names .*colors.tif, which cannot be read", said[0])


def test_ctrl_c_is_130(arrays, tmp_path, monkeypatch, capsys):
    def stop(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(ContrastiveEmbedder, "fit", stop)
    assert main(["fit", str(arrays), "--output", str(tmp_path / "m.skclr")]) == 130
    assert not (tmp_path / "m.skclr").exists()


def test_help_of_the_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["skclr", "compare", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("skclr", run_name="__main__", alter_sys=True)
    shown = capsys.readouterr().out
    assert "python -m skclr compare patients.parquet --target outcome" in shown
    assert "Exit codes" in shown


def test_an_unknown_command_is_a_mistake_in_the_call(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["compute"])
    assert "compute" in capsys.readouterr().err
