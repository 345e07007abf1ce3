"""Every command on every kind of input and output: done, or refused in one line with nothing half done."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skclr import ContrastiveEmbedder
from skclr.command_line import main
from skclr.command_line.messages import echo

RNG = np.random.default_rng(0)
Y = np.arange(24) % 2
X = RNG.normal(size=(24, 3)) + 3 * Y[:, None]
# Enough to split both classes, but too few to choose C by cross-validation, which takes most of the time.
FEW = 14


@pytest.fixture(autouse=True)
def _no_hanging():
    def stop(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def write_folder(path, classes=Y):
    for i, y in enumerate(classes):
        (path / f"class{y}").mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 200, (8, 8), dtype=np.uint8) + 55 * y
        Image.fromarray(pixels.astype(np.uint8)).save(path / f"class{y}" / f"{i}.png")


FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(label=np.array(["no", "yes"])[Y])
INPUTS = {
    "csv": lambda path: FRAME.to_csv(path, index=False),
    "tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "parquet": lambda path: FRAME.to_parquet(path),
    "npy": lambda path: np.save(path, X),
    "npz": lambda path: np.savez(path, X=X, y=Y),
    "folder": write_folder,
}
EMPTY = {
    "csv": lambda path: path.write_text(""),
    "tsv": lambda path: path.write_text("a\tb\tlabel\n"),
    "parquet": lambda path: FRAME[:0].to_parquet(path),
    "npy": lambda path: np.save(path, X[:0]),
    "npz": lambda path: np.savez(path, X=X[:0], y=Y[:0]),
    "folder": lambda path: path.mkdir(),
}
TABLES = ("csv", "tsv", "parquet")
OUTPUTS = {"compare": ".csv", "fit": ".skclr", "transform": ".csv", "report": ".html"}
COMMANDS = list(OUTPUTS)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A file or folder of each kind, and a model of each."""
    folder = tmp_path_factory.mktemp("inputs")
    for kind, write in INPUTS.items():
        write(folder / f"data.{kind}")
        samples = sorted((folder / "data.folder").rglob("*.png")) if kind == "folder" else X
        samples = FRAME.drop(columns="label") if kind in TABLES else samples
        ContrastiveEmbedder(max_epochs=0, random_state=0).fit(samples).save(folder / f"{kind}.skclr")
    return folder


def arguments(command, data, output, model):
    call = [command, str(data), "--output", str(output), "--quiet"]
    if str(data).endswith(TABLES):
        call += ["--target", "label"]
    if command == "compare":
        call += ["--embedders", "simclr", "--labels", "3", "--folds", "2"]
    if command in ("fit", "compare"):
        call += ["--set", "max_epochs=0"]
    if command in ("transform", "report"):
        call += ["--model", str(model)]
    return call


def run(call, capsys):
    """Run a command; return its exit code and what it wrote to the standard error."""
    capsys.readouterr()
    try:
        code = main(call)
    except SystemExit as error:
        code = error.code
    return code, capsys.readouterr().err


def tree(folder):
    """Return what a folder holds, without following links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        is_plain = path.is_file() and not path.is_symlink()
        found[path.name] = (path.lstat().st_mode, path.read_bytes() if is_plain else None)
    return found


def refused(call, capsys, folder, match=""):
    """Run a command that must end with one line of our own, before any work and without changes."""
    before = tree(folder)
    with pytest.MonkeyPatch.context() as patched:
        for verb in ("fit", "transform"):
            patched.setattr(ContrastiveEmbedder, verb, lambda *rows, **named: pytest.fail("the work has begun"))
        code, said = run(call, capsys)
    assert code in (1, 2)
    assert tree(folder) == before
    lines = said.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("skclr: ")
    assert "Errno" not in said
    assert "Traceback" not in said
    assert re.search(match, said), said


every_command = pytest.mark.parametrize("command", COMMANDS)
every_input = pytest.mark.parametrize("kind", INPUTS)


# -- outputs ------------------------------------------------------------------------------------------


@every_input
@every_command
def test_output_is_the_input(command, kind, inputs, tmp_path, capsys):
    data = tmp_path / f"data.{kind}"
    INPUTS[kind](data)
    # By a link, whose suffix is right whatever the input is.
    output = tmp_path / f"output{OUTPUTS[command]}"
    output.symlink_to(data)
    call = arguments(command, data, output, inputs / f"{kind}.skclr")
    refused(call, capsys, tmp_path, "is a folder" if kind == "folder" else "is the input|is the same file as")


@pytest.mark.parametrize(
    ("command", "name"), [("compare", "data.csv"), ("transform", "data.csv"), ("transform", "data.npy")]
)
def test_output_is_the_input_by_name_and_by_hard_link(command, name, inputs, tmp_path, capsys):
    data = tmp_path / name
    INPUTS[name[5:]](data)
    other = tmp_path / f"other{data.suffix}"
    os.link(data, other)
    for output in (data, tmp_path / "." / name, other):
        refused(arguments(command, data, output, inputs / "csv.skclr"), capsys, tmp_path, "is the same file as")


def test_output_is_the_model(inputs, tmp_path, capsys):
    model = tmp_path / "model.npy"
    model.write_bytes((inputs / "csv.skclr").read_bytes())
    refused(arguments("transform", inputs / "data.csv", model, model), capsys, tmp_path, "is the same file as")


def test_output_is_an_image_of_the_folder(inputs, tmp_path, capsys):
    write_folder(tmp_path / "photos")
    output = tmp_path / "out.csv"
    output.symlink_to(tmp_path / "photos" / "class0" / "0.png")
    call = arguments("transform", tmp_path / "photos", output, inputs / "folder.skclr")
    refused(call, capsys, tmp_path, "is the same file as")


def a_read_only_file(path):
    path.write_bytes(b"old")
    path.chmod(0o444)


OBSTACLES = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "read-only": a_read_only_file,
    "loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
@every_input
@every_command
def test_output_that_cannot_be_written(command, kind, obstacle, inputs, tmp_path, capsys):
    output = tmp_path / f"output{OUTPUTS[command]}"
    OBSTACLES[obstacle](output)
    call = arguments(command, inputs / f"data.{kind}", output, inputs / f"{kind}.skclr")
    refused(call, capsys, tmp_path, f"--output .*output{OUTPUTS[command]}")


@every_input
@every_command
def test_output_folder_is_missing_or_a_file(command, kind, inputs, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        output = tmp_path / name / f"output{OUTPUTS[command]}"
        call = arguments(command, inputs / f"data.{kind}", output, inputs / f"{kind}.skclr")
        refused(call, capsys, tmp_path, f"--output .*{name}")


@every_command
def test_output_folder_is_read_only(command, inputs, tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], check=False).returncode == 0
    if not mounted:
        folder.chmod(0o555)
    try:
        output = folder / f"output{OUTPUTS[command]}"
        call = arguments(command, inputs / "data.csv", output, inputs / "csv.skclr")
        refused(call, capsys, tmp_path, "--output .*not writable")
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)
        folder.chmod(0o755)


# -- inputs -------------------------------------------------------------------------------------------


@every_input
@every_command
def test_empty_input(command, kind, inputs, tmp_path, capsys):
    data = tmp_path / f"empty.{kind}"
    EMPTY[kind](data)
    before = tree(tmp_path)
    call = arguments(command, data, tmp_path / f"output{OUTPUTS[command]}", inputs / f"{kind}.skclr")
    code, said = run(call, capsys)
    assert code == 1
    assert tree(tmp_path) == before
    assert len(said.splitlines()) == 1
    assert "Errno" not in said


@pytest.mark.parametrize("content", [b"what is this?\0\xff", b"\x1f\x8b\x08\x00", b"PK\x03\x04"], ids=repr)
@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind != "folder"])
@every_command
def test_input_of_another_kind(command, kind, content, inputs, tmp_path, capsys):
    data = tmp_path / f"data.{kind}"
    data.write_bytes(content)
    before = tree(tmp_path)
    call = arguments(command, data, tmp_path / f"output{OUTPUTS[command]}", inputs / f"{kind}.skclr")
    code, said = run(call, capsys)
    assert code == 1
    assert tree(tmp_path) == before
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "npy", "npz"])
@every_command
def test_input_that_is_not_a_file(command, kind, inputs, tmp_path, capsys):
    output = tmp_path / f"output{OUTPUTS[command]}"
    for name, make in {"pipe": os.mkfifo, "nowhere": lambda path: None, "loop": OBSTACLES["loop"]}.items():
        data = tmp_path / f"{name}.{kind}"
        make(data)
        refused(arguments(command, data, output, inputs / f"{kind}.skclr"), capsys, tmp_path, name)


@pytest.mark.parametrize("command", ["transform", "report"])
def test_a_model_that_is_not_a_file(command, inputs, tmp_path, capsys):
    for name, make in {"pipe": os.mkfifo, "folder": os.mkdir, "nowhere": lambda path: None}.items():
        make(tmp_path / name)
        call = arguments(command, inputs / "data.csv", tmp_path / f"out{OUTPUTS[command]}", tmp_path / name)
        refused(call, capsys, tmp_path, name)


def test_an_input_that_may_not_be_read(inputs, tmp_path, capsys, monkeypatch):
    def refuse(*arguments, **named):
        raise PermissionError(13, "Permission denied", "data.csv")

    monkeypatch.setattr(pd, "read_csv", refuse)
    refused(
        arguments("fit", inputs / "data.csv", tmp_path / "m.skclr", None),
        capsys,
        tmp_path,
        "data.csv: Permission denied",
    )


@pytest.mark.parametrize("suffix", ["CSV", "TSV", "PARQUET", "NPY", "NPZ", "Csv"])
def test_suffixes_of_any_case(suffix, inputs, tmp_path, capsys):
    data = tmp_path / f"data.{suffix}"
    data.write_bytes((inputs / f"data.{suffix.lower()}").read_bytes())
    call = ["fit", str(data), "--output", str(tmp_path / "m.SKCLR"), "--set", "max_epochs=0", "--quiet"]
    assert run(call, capsys) == (0, "")
    out = tmp_path / "features.NPY"
    assert run(["transform", str(data), "--model", str(tmp_path / "m.SKCLR"), "--output", str(out)], capsys)[0] == 0
    assert len(np.load(out)) == len(X)


@pytest.mark.parametrize("suffix", [".csv.gz", ".tsv.gz", ".CSV.GZ", ".csv.bz2", ".csv.zip", ".csv.xz", ".csv.zst"])
def test_packed_tables_say_what_helps(suffix, tmp_path, capsys):
    (tmp_path / f"data{suffix}").write_bytes(b"packed")
    call = ["fit", str(tmp_path / f"data{suffix}"), "--output", str(tmp_path / "m.skclr")]
    refused(call, capsys, tmp_path, "unpack it first")


@pytest.mark.parametrize(
    ("content", "options", "match"),
    [
        ("a,b\n1,2,3\n4,5,6\n", [], "more values than the header"),
        ("a,b\n1,2,3,4\n1\n5,6\n", [], "more values than the header"),
        ("y\n1\n2\n3\n", ["--target", "y"], "no columns besides the target"),
        ("a\n1\n2\n3\n", ["--text", "a"], "--text 'a' does not hold texts"),
    ],
)
def test_tables_that_cannot_be_right(content, options, match, tmp_path, capsys):
    (tmp_path / "data.csv").write_text(content)
    refused(
        ["fit", str(tmp_path / "data.csv"), "--output", str(tmp_path / "m.skclr"), *options], capsys, tmp_path, match
    )


def test_empty_and_long_paths(inputs, tmp_path, capsys):
    long = str(tmp_path / ("x" * 300 + ".csv"))
    data, model = str(inputs / "data.csv"), str(tmp_path / "m.skclr")
    for call in (["fit", "", "--output", model], ["fit", long, "--output", model], ["fit", data, "--output", ""]):
        refused(call, capsys, tmp_path)
    refused(["fit", data, "--output", long.replace(".csv", ".skclr")], capsys, tmp_path, "too long")


# -- options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "values"),
    {
        "--labels": ["0", "-1", "x", "1.5"],
        "--folds": ["0", "1", "-2", "x"],
        "--jobs": ["0", "x", "1.5"],
        "--seed": ["-1", "x", "4294967296", "1e3"],
        "--embedders": ["resnet", "simclr,byol"],
        "--scoring": ["exactness", "3"],
    }.items(),
)
def test_numbers_that_cannot_be(option, values, inputs, tmp_path, capsys):
    for value in values:
        call = ["compare", str(inputs / "data.npz"), option, value, "--output", str(tmp_path / "t.csv")]
        refused(call, capsys, tmp_path, option.strip("-"))


@pytest.mark.parametrize(
    "setting",
    [
        "loss__temperature=x",
        'loss__temperature="0.1"',
        "loss__temperature=null",
        "loss__temperature=-1",
        "encoder__width=x",
        "max_epochs=many",
        "batch_size=[1]",
        "learning_rate={}",
        "framework=17",
        "callbacks=[1]",
        "checkpoint_dir=",
        "=3",
        "x",
        "max_epochs",
    ],
)
def test_settings_that_cannot_be(setting, inputs, tmp_path, capsys):
    call = ["fit", str(inputs / "data.npz"), "--output", str(tmp_path / "m.skclr"), "--quiet", "--set", setting]
    code, said = run(call, capsys)
    assert code in (1, 2)
    assert len(said.splitlines()) == 1
    assert "not supported between" not in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        ("npz", ["--text", "body"], "--text"),
        ("npy", ["--text", "body"], "--text"),
        ("folder", ["--text", "body"], "--text"),
        ("folder", ["--target", "label"], "--target"),
        ("csv", ["--target", "nothing"], "--target 'nothing'"),
        ("csv", ["--text", "nothing"], "--text 'nothing'"),
        ("csv", ["--text", "label", "--target", "label"], "--text"),
        ("npz", ["--target", "nothing"], "--target 'nothing'"),
        ("npy", ["--target", "y"], "--target 'y'"),
    ],
)
def test_options_that_do_not_go_with_the_input(kind, options, match, inputs, tmp_path, capsys):
    call = ["fit", str(inputs / f"data.{kind}"), "--output", str(tmp_path / "m.skclr"), *options]
    refused(call, capsys, tmp_path, match)


@pytest.mark.parametrize("name", ["cells", "file"])
def test_a_cache_that_cannot_be_a_folder(name, inputs, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    cache = tmp_path / "file" if name == "file" else tmp_path / "file" / "cells"
    call = [*arguments("compare", inputs / "data.npz", tmp_path / "t.csv", None), "--cache", str(cache)]
    refused(call, capsys, tmp_path, "cache|memory")


# -- names that are not valid --------------------------------------------------------------------------


def test_control_characters_are_escaped(tmp_path, capsys):
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\r"
    pd.DataFrame({evil: ["a"] * 24, "b": X[:, 0]}).to_csv(tmp_path / "data.csv", index=False)
    for call in (
        ["fit", str(tmp_path / "data.csv"), "--target", "c"],
        ["fit", str(tmp_path / "data.csv"), "--target", evil],
        ["fit", str(tmp_path / f"{evil}.csv")],
        ["fit", str(tmp_path / "data.csv"), "--set", f"{evil}=3"],
        ["fit", str(tmp_path / "data.csv"), "--set", "max_epochs=0"],
    ):
        main([*call, "--output", str(tmp_path / "m.skclr")])
        printed = "".join(capsys.readouterr()).replace("\n", "")
        assert printed
        assert printed.isprintable()


def test_class_folders_that_are_not_utf_8(tmp_path, capsys):
    pytest.importorskip("plotly")
    write_folder(tmp_path / "photos", Y[:FEW])
    odd = tmp_path / "photos" / os.fsdecode(b"caf\xe9")
    (tmp_path / "photos" / "class0").rename(odd)
    model, page, features = (str(tmp_path / name) for name in ("m.skclr", "page.html", "features.csv"))
    photos = str(tmp_path / "photos")
    assert main(["fit", photos, "--output", model, "--set", "max_epochs=0"]) == 0
    assert main(["report", photos, "--model", model, "--output", page]) == 0
    assert main(["transform", photos, "--model", model, "--output", features]) == 0
    assert len(pd.read_csv(features)) == FEW
    assert capsys.readouterr().err.count("skclr:") == 0


def test_texts_and_labels_with_lone_surrogates(tmp_path):
    pytest.importorskip("plotly")
    texts = np.array(["a rose \ud800", "a daisy"] * (FEW // 2))
    np.savez(tmp_path / "data.npz", X=texts, y=np.array(["\udc80x", "y"] * (FEW // 2)))
    data, model, page = (str(tmp_path / name) for name in ("data.npz", "m.skclr", "page.html"))
    assert main(["fit", data, "--output", model, "--set", "max_epochs=0"]) == 0
    assert main(["report", data, "--model", model, "--output", page]) == 0
    assert (
        main(["compare", data, "--embedders", "simclr", "--labels", "3", "--folds", "2", "--set", "max_epochs=0"]) == 0
    )


def test_a_terminal_without_unicode(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    pd.DataFrame({"größe": X[:, 0], "b": X[:, 1]}).to_csv(tmp_path / "data.csv", index=False)
    assert (
        main(["fit", str(tmp_path / "data.csv"), "--output", str(tmp_path / "m.skclr"), "--set", "max_epochs=0"]) == 0
    )
    echo("0.805 ± 0.063")
    assert main(["fit", str(tmp_path / "größe.csv"), "--output", str(tmp_path / "n.skclr")]) == 1


# -- interruptions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["numpy", "libtorch"])
def test_ctrl_c_while_packages_are_imported(library, inputs, tmp_path):
    call = [sys.executable, "-m", "skclr", "fit", str(inputs / "data.npz"), "--output", str(tmp_path / "m.skclr")]
    process = subprocess.Popen([*call, "--set", "max_epochs=100000"], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and library not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1]) == (130, "skclr: interrupted")
    assert "Traceback" not in said
    assert os.listdir(tmp_path) == []
