"""Every writer keeps what it replaces, and refuses what it cannot or should not replace before the work."""

import os
import socket
import stat

import numpy as np
import pytest

from skclr import report
from skclr.command_line.files import write_features, write_records
from skclr.files.atomic import check_writable, replacing
from skclr.model import Model
from skclr.training.checkpoint import write as write_checkpoint


@pytest.fixture(scope="module")
def fitted():
    from sklearn.datasets import make_blobs

    from skclr import ContrastiveEmbedder

    X, _ = make_blobs(40, 4, random_state=0)
    return ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X), X


def write_plainly(path, fitted):
    with replacing(path) as file:
        file.write(b"new")


def save(path, fitted):
    fitted[0].save(path)


def transform_to(path, fitted):
    fitted[0].transform_to(path, fitted[1])


def write_report(path, fitted):
    pytest.importorskip("plotly")
    report(*fitted, path=path)


def to_onnx(path, fitted):
    pytest.importorskip("onnxscript")
    fitted[0].to_onnx(path)


WRITERS = {
    "replacing": write_plainly,
    "save": save,
    "transform_to": transform_to,
    "report": write_report,
    "to_onnx": to_onnx,
    "checkpoint": lambda path, fitted: write_checkpoint(path, {"step": 1}),
    "features": lambda path, fitted: write_features(path, np.ones((2, 2), "f4"), np.array(["a", "b"])),
    "records": lambda path, fitted: write_records(path, [{"a": 1}]),
}
QUICK = {name: writer for name, writer in WRITERS.items() if name not in ("report", "to_onnx")}
every_writer = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
every_quick_writer = pytest.mark.parametrize("writer", QUICK.values(), ids=QUICK)


# -- what is kept -------------------------------------------------------------------------------------


@every_writer
def test_mode_and_owner_stay(writer, fitted, tmp_path):
    path = tmp_path / "file.npy"
    path.write_bytes(b"old")
    if os.getuid() == 0:
        os.chown(path, 1234, 4321)
    path.chmod(0o600)
    before = path.stat()
    writer(path, fitted)
    after = path.stat()
    assert path.read_bytes() != b"old"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o200, 0o4755])
def test_the_unfinished_file_is_not_more_readable(mode, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path):
        (unfinished,) = set(tmp_path.iterdir()) - {path}
        assert stat.S_IMODE(unfinished.stat().st_mode) == mode
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_an_owner_that_may_not_be_given(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError

    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    monkeypatch.setattr(os, "chown", refuse)
    write_plainly(path, None)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# -- what is refused ----------------------------------------------------------------------------------


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def a_device(path):
    try:
        # What /dev/null is; never the system's own.
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        # Only root makes devices; the pipe is the same case.
        os.mkfifo(path)


def a_read_only_file(path):
    path.write_bytes(b"old")
    path.chmod(0o444)


def a_loop(path):
    path.symlink_to(path)


def a_link_to_a_folder(path):
    path.symlink_to(path.parent)


OBSTACLES = [a_folder, a_pipe, a_socket, a_device, a_read_only_file]
LINKS = [a_loop, a_link_to_a_folder]


def refused(writer, path, fitted):
    with pytest.raises((OSError, ValueError)) as caught:
        writer(path, fitted)
    message = str(caught.value)
    assert path.name in message
    assert "Errno" not in message
    assert len(message) < 300
    return message


@pytest.mark.parametrize("obstacle", OBSTACLES)
@every_writer
def test_what_is_not_a_replaceable_file_is_refused(writer, obstacle, fitted, tmp_path):
    path = tmp_path / "file.npy"
    obstacle(path)
    before = path.lstat()
    refused(writer, path, fitted)
    after = path.lstat()
    assert (after.st_mode, after.st_ino, after.st_size) == (before.st_mode, before.st_ino, before.st_size)
    assert os.listdir(tmp_path) == ["file.npy"]


@pytest.mark.parametrize("obstacle", LINKS)
@pytest.mark.parametrize("writer", [write_plainly, save, transform_to])
def test_links_that_lead_to_no_file_are_refused(writer, obstacle, fitted, tmp_path):
    path = tmp_path / "file.npy"
    obstacle(path)
    refused(writer, path, fitted)
    assert path.is_symlink()
    assert os.listdir(tmp_path) == ["file.npy"]


@every_writer
def test_a_missing_folder_is_refused(writer, fitted, tmp_path):
    path = tmp_path / "missing" / "file.npy"
    assert "missing" in refused(writer, path, fitted)
    assert os.listdir(tmp_path) == []


@every_writer
def test_a_file_in_place_of_the_folder_is_refused(writer, fitted, tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    refused(writer, tmp_path / "folder" / "file.npy", fitted)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("path", [None, 3, b"file", object()])
def test_what_is_not_a_path(path):
    with pytest.raises(TypeError, match="path"):
        check_writable(path)


@pytest.mark.parametrize("path", ["", "file/", "."])
def test_names_of_folders(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((OSError, ValueError)) as caught:
        check_writable(path)
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("obstacle", [a_folder, a_pipe, a_read_only_file])
@pytest.mark.parametrize("writer", [write_report, to_onnx, transform_to])
def test_it_is_refused_before_the_work(writer, obstacle, fitted, tmp_path, monkeypatch):
    def work(*arguments, **named):
        raise AssertionError("the work has begun")

    obstacle(tmp_path / "file.npy")
    monkeypatch.setattr(Model, "transform", work)
    monkeypatch.setattr("skclr.exporting.to_exported_program", work)
    refused(writer, tmp_path / "file.npy", fitted)


# -- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["a", "é", "語", "😀"])
@every_quick_writer
def test_names_as_long_as_the_system_allows(writer, letter, fitted, tmp_path):
    path = tmp_path / (letter * ((255 - len(".npy")) // len(letter.encode())) + ".npy")
    writer(path, fitted)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["nul\0l.npy", "x" * 256, "\ud800.npy"], ids=["null", "long", "surrogate"])
@every_quick_writer
def test_names_that_cannot_be(writer, name, fitted, tmp_path):
    with pytest.raises((OSError, ValueError)) as caught:
        writer(tmp_path / name, fitted)
    assert "Errno" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@every_quick_writer
def test_a_name_that_is_not_utf_8(writer, fitted, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.npy")
    writer(path, fitted)
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.npy"]
