"""Whatever a checkpoint folder holds: training resumes, starts again or is refused, and never hangs."""

import io
import os
import signal
import subprocess

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skclr import ContrastiveEmbedder
from skclr.training.checkpoint import read_newest, write

N_STEPS = 4


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(24, 4))


def embedder(folder, max_epochs=N_STEPS, **params):
    run = {"batch_size": 24, "validation_fraction": 0, "checkpoint_minutes": 0, "random_state": 0}
    return ContrastiveEmbedder(max_epochs=max_epochs, checkpoint_dir=folder, **{**run, **params})


@pytest.fixture(scope="module")
def whole(X):
    return embedder(None).fit(X).transform(X)


@pytest.fixture(autouse=True)
def _no_hanging():
    def stop(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# -- entries that are not checkpoints ------------------------------------------------------------------


def a_folder(path):
    path.mkdir()
    (path / "kept").write_text("of somebody")


ENTRIES = {
    "folder": a_folder,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to a folder": lambda path: path.symlink_to(path.parent),
    "pipe": os.mkfifo,
    "link to a pipe": lambda path: (os.mkfifo(path.parent / "pipe"), path.symlink_to(path.parent / "pipe")),
}
NAMES = ["step-000000001.checkpoint", "step-000000003.checkpoint", "step-000000099.checkpoint", "step-zzz.checkpoint"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.filterwarnings("ignore:training continues without this checkpoint")
def test_entries_that_are_not_files_are_passed_over(entry, name, X, whole, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    entry(folder / name)
    mode = (folder / name).lstat().st_mode
    assert_array_equal(embedder(folder).fit(X).transform(X), whole)
    if name in NAMES[2:]:
        assert (folder / name).lstat().st_mode == mode
    # Finished: the same call finds it, whatever else the folder contains.
    assert_array_equal(embedder(folder).fit(X).transform(X), whole)


@pytest.mark.parametrize("name", ["step-best.checkpoint", "step-zzz.checkpoint", "step-0000000012.checkpoint.bak"])
def test_other_names_neither_count_nor_go(name, X, whole, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).write_bytes(b"of somebody")
    embedder(folder).fit(X)
    assert sorted(os.listdir(folder)) == sorted([name, "step-000000003.checkpoint", "step-000000004.checkpoint"])
    assert read_newest(folder)["step"] == N_STEPS


def test_links_at_the_next_name_are_not_followed(X, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "precious").write_bytes(b"precious")
    for step in range(1, N_STEPS + 1):
        (folder / f"step-{step:09d}.checkpoint").symlink_to(tmp_path / "precious")
    with pytest.warns(UserWarning, match="corrupt"):
        embedder(folder).fit(X)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert read_newest(folder)["step"] == N_STEPS


# -- files with other content -------------------------------------------------------------------------

STATE = {
    "run": {"format": "1"},
    "finished": False,
    "step": 1,
    "module": {},
    "optimizer": {},
    "scaler": {},
    "history": [],
    "callbacks": {},
}
SEALED = {
    "list": [1, 2],
    "number": 3,
    "none": None,
    "tensor": torch.zeros(3),
    "empty": {},
    **{f"without {name}": {other: STATE[other] for other in STATE if other != name} for name in STATE},
    **{f"{name} of another type": {**STATE, name: "x"} for name in STATE},
    "run of other types": {**STATE, "run": {"format": 1}},
    "history of other types": {**STATE, "history": [1]},
}


@pytest.mark.parametrize("state", SEALED.values(), ids=SEALED)
def test_sealed_other_content_is_refused(state, X, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder / "step-000000001.checkpoint", state)
    with pytest.raises(ValueError, match=r"checkpoint_dir|step-000000001\.checkpoint") as caught:
        embedder(folder).fit(X)
    assert type(caught.value) is ValueError
    assert "delete" in str(caught.value).lower()


def sealed(folder, content):
    import hashlib

    folder.mkdir()
    (folder / "step-000000001.checkpoint").write_bytes(hashlib.sha256(content).digest() + content)


class Runs:
    def __reduce__(self):
        return os.mkdir, ("run",)


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02.", saved({"run": Runs()}), saved(Runs())[:-9]])
def test_sealed_content_that_torch_refuses(content, X, tmp_path):
    sealed(tmp_path / "run", content)
    with pytest.raises(ValueError, match=r"step-000000001\.checkpoint is not a checkpoint.*[Dd]elete") as caught:
        embedder(tmp_path / "run").fit(X)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["module", "optimizer", "scaler", "history", "callbacks"])
def test_a_state_that_does_not_fit_the_run(name, X, tmp_path):
    folder = tmp_path / "run"
    embedder(folder, max_epochs=2).fit(X)
    state = read_newest(folder)
    foreign = {
        "module": {"weight": torch.zeros(3)},
        "optimizer": {"state": {}, "param_groups": []},
        "scaler": {"scale": "x"},
        "history": [{}],
        "callbacks": {"x": 3},
    }
    state[name] = foreign[name]
    write(folder / "step-000000009.checkpoint", state)
    try:
        embedder(folder, max_epochs=2).fit(X)
    except ValueError as error:
        message = str(error)
    else:
        # What a run does not need cannot be wrong.
        message = "delete"
    assert "delete" in message.lower()


# -- folders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "a\0b", 3, b"run", object()])
def test_what_is_not_a_folder_is_refused(folder, X, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match="checkpoint_dir"):
        embedder(folder).fit(X)
    assert os.listdir(tmp_path) == []


def test_home_is_expanded(X, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert_array_equal(embedder("~/runs/{run}").fit(X).transform(X), whole)
    assert os.listdir(tmp_path) == ["home"]
    assert len(list((tmp_path / "home" / "runs").iterdir())) == 1


def test_an_unknown_home_is_refused(X, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="checkpoint_dir='~nobody-of-that-name/x'"):
        embedder("~nobody-of-that-name/x").fit(X)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "file above", "pipe", "dangling link", "loop"])
def test_a_folder_that_cannot_be(kind, X, tmp_path):
    path = tmp_path / "run"
    if kind == "file":
        path.write_text("")
    elif kind == "file above":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "run"
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "none" / "x" if kind == "dangling link" else path)
    with pytest.raises(OSError, match="checkpoint_dir") as caught:
        embedder(path).fit(X)
    assert "Errno" not in str(caught.value)


def a_stubborn_leftover(folder):
    (folder / ".step-000000002.checkpoint.0123.tmp").mkdir()


def test_a_leftover_that_cannot_be_deleted_stops_nothing(X, whole, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    a_stubborn_leftover(folder)
    assert_array_equal(embedder(folder).fit(X).transform(X), whole)


def test_a_read_only_folder_resumes(X, whole, tmp_path):
    folder = tmp_path / "run"
    embedder(folder).fit(X)
    for path in folder.glob("*4.checkpoint"):
        path.unlink()
    (folder / ".step-000000004.checkpoint.0123.tmp").write_bytes(b"half")
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], check=False).returncode == 0
    if not mounted:
        folder.chmod(0o555)
    try:
        with pytest.warns(UserWarning, match="continues without this checkpoint"):
            found = embedder(folder).fit(X).transform(X)
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)
        folder.chmod(0o755)
    assert_array_equal(found, whole)
    assert sorted(os.listdir(folder))[0].endswith(".tmp")
