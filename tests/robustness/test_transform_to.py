"""`transform_to` on full disks, after kills at any point, and with files of other models and other X."""

import errno
import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import suppress
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from scipy.sparse import csr_array

from skclr import ContrastiveEmbedder, blockwise
from skclr.files import atomic, resumable
from skclr.files.resumable import ResumableArray
from skclr.model import Model

RNG = np.random.default_rng(0)
N_ROWS = 20


def transform_to(embedder, path, X):
    """Embed X into a file, 6 rows at a time."""
    return blockwise.transform_to(embedder.model_, path, X, most_rows=6)


def files(folder):
    folder.mkdir(exist_ok=True)
    for i in range(N_ROWS):
        Image.fromarray(RNG.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    return [folder / f"{i}.png" for i in range(N_ROWS)]


SAMPLES = {
    "table": lambda folder: RNG.normal(size=(N_ROWS, 3)),
    "frame": lambda folder: pd.DataFrame({"a": RNG.normal(size=N_ROWS), "b": RNG.choice(["x", "y"], N_ROWS)}),
    "sparse": lambda folder: csr_array(RNG.normal(size=(N_ROWS, 3)).round()),
    "list": lambda folder: RNG.normal(size=(N_ROWS, 3)).tolist(),
    "images": lambda folder: RNG.integers(0, 255, (N_ROWS, 8, 8), dtype=np.uint8),
    "series": lambda folder: RNG.normal(size=(N_ROWS, 2, 16)),
    "texts": lambda folder: [" ".join(RNG.choice(["rose", "daisy", "is", "red"], 5)) for _ in range(N_ROWS)],
    "files": lambda folder: files(folder / "photos"),
}

SETTINGS = {"frame": {"passthrough": True}, "table": {"passthrough": False}}


@pytest.fixture(scope="module", params=SAMPLES)
def case(request, tmp_path_factory):
    """An embedder of each kind of X, and that X."""
    X = SAMPLES[request.param](tmp_path_factory.mktemp("samples"))
    return ContrastiveEmbedder(
        encoder_params={"width": 16}, max_epochs=0, random_state=0, **SETTINGS.get(request.param, {})
    ).fit(X), X


@pytest.fixture(scope="module")
def tabular():
    X = RNG.normal(size=(N_ROWS, 3))
    return ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=0).fit(X), X


@pytest.fixture(scope="module", params=[kind for kind in SAMPLES if kind != "files"])
def case_in_memory(request, tmp_path_factory):
    X = SAMPLES[request.param](tmp_path_factory.mktemp("samples"))
    return ContrastiveEmbedder(
        encoder_params={"width": 16}, max_epochs=0, random_state=0, **SETTINGS.get(request.param, {})
    ).fit(X), X


def cut_short(embedder, path, X, n_blocks=2):
    """Interrupt the call after some blocks."""
    blocks, transform = [], Model.transform

    def interrupted(model, rows):
        if len(blocks) == n_blocks:
            raise KeyboardInterrupt
        blocks.append(rows)
        return transform(model, rows)

    with mock.patch.object(Model, "transform", interrupted), pytest.raises(KeyboardInterrupt):
        transform_to(embedder, path, X)
    assert not path.exists()


def count_blocks(embedder, path, X):
    """Return what `transform_to` returns, and the number of blocks that it embeds."""
    with mock.patch.object(Model, "transform", autospec=True, side_effect=Model.transform) as transform:
        return transform_to(embedder, path, X), transform.call_count


# -- it continues, and only what is its own -----------------------------------------------------------


def test_every_kind_of_x_continues(case, tmp_path):
    embedder, X = case
    cut_short(embedder, tmp_path / "e.npy", X)
    found, n_blocks = count_blocks(embedder, tmp_path / "e.npy", X)
    assert_array_equal(found, embedder.transform(X))
    assert n_blocks == 2
    assert os.listdir(tmp_path) == ["e.npy"]


def changed(X, row):
    """Return X with another sample at `row`."""
    if isinstance(X, pd.DataFrame):
        return X.assign(b=np.where(np.arange(len(X)) == row, np.where(X["b"] == "x", "y", "x"), X["b"]))
    if isinstance(X, list) and isinstance(X[0], str):
        return [*X[:row], "violets are blue", *X[row + 1 :]]
    if isinstance(X, list):
        return [*X[:row], [0.5, 0.25, 0.125], *X[row + 1 :]]
    if hasattr(X, "toarray"):
        X = X.toarray()
        X[row, 0] += 1
        return csr_array(X)
    X = X.copy()
    X[row] = X[row] + 1 if X.dtype.kind == "f" else 255 - X[row]
    return X


@pytest.mark.parametrize("row", [0, 7, 11])
def test_one_other_row_among_the_finished_is_noticed(case_in_memory, row, tmp_path):
    embedder, X = case_in_memory
    cut_short(embedder, tmp_path / "e.npy", X)
    with pytest.raises(
        ValueError, match=r"is unfinished and belongs to another X\. Delete e\.npy\.part\.json to start again"
    ):
        transform_to(embedder, tmp_path / "e.npy", changed(X, row))
    assert_array_equal(transform_to(embedder, tmp_path / "e.npy", X), embedder.transform(X))


def test_another_row_among_those_to_come_is_right(case_in_memory, tmp_path):
    embedder, X = case_in_memory
    cut_short(embedder, tmp_path / "e.npy", X)
    other = changed(X, 15)
    assert_array_equal(transform_to(embedder, tmp_path / "e.npy", other), embedder.transform(other))


@pytest.mark.parametrize("change", ["content", "time", "order"])
def test_other_image_files_are_noticed(change, tmp_path):
    paths = files(tmp_path / "photos")
    embedder = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=0).fit(paths)
    cut_short(embedder, tmp_path / "e.npy", paths)
    if change == "content":
        Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(paths[3])
    elif change == "time":
        os.utime(paths[3], ns=(1, 1))
    else:
        paths[2], paths[3] = paths[3], paths[2]
    with pytest.raises(ValueError, match="belongs to another X"):
        transform_to(embedder, tmp_path / "e.npy", paths)


@pytest.mark.parametrize("X", [np.zeros((N_ROWS + 1, 3)), np.zeros((N_ROWS - 1, 3))], ids=["longer", "shorter"])
def test_another_number_of_samples(X, tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    with pytest.raises(ValueError, match="is unfinished and belongs to another number of samples"):
        transform_to(tabular[0], tmp_path / "e.npy", X)


def test_equal_values_in_another_container_continue(tabular, tmp_path):
    embedder, X = tabular
    cut_short(embedder, tmp_path / "e.npy", X)
    found, n_blocks = count_blocks(embedder, tmp_path / "e.npy", np.asfortranarray(X))
    assert n_blocks == 2
    assert_array_equal(found, embedder.transform(X))


def frames():
    """Two tables that give equal weights, but other numbers to the same categories."""
    kinds = np.array(["x", "y"])[np.arange(N_ROWS) % 2]
    return [pd.DataFrame({"a": np.arange(N_ROWS) / 7, "b": b}) for b in (kinds, np.where(kinds == "x", "z", "y"))]


@pytest.mark.parametrize("kind", ["weights", "step", "passthrough", "modality"])
def test_another_model_is_noticed(kind, tmp_path):
    first, second = frames()
    embedder = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=0).fit(first)
    cut_short(embedder, tmp_path / "e.npy", first)
    other = {
        "weights": lambda: ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=1).fit(first),
        "step": lambda: (
            ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=0)
            .fit(first)
            .partial_fit(first)
        ),
        "passthrough": lambda: ContrastiveEmbedder(
            max_epochs=0, random_state=0, passthrough=not embedder.model_.n_plain
        ).fit(first),
        "modality": lambda: ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=0, random_state=0).fit(second),
    }[kind]()
    with pytest.raises(ValueError, match=r"is unfinished and belongs to another (model|modality|width)"):
        transform_to(other, tmp_path / "e.npy", first)


@pytest.mark.parametrize("X", [np.empty((0, 3)), []], ids=["array", "list"])
def test_nothing_to_embed(X, tabular, tmp_path):
    with pytest.raises(ValueError, match="0 samples"):
        transform_to(tabular[0], tmp_path / "e.npy", X)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("X", [np.zeros((9, 2)), np.full((9, 3), np.inf), "rose"], ids=["width", "infinity", "text"])
def test_what_transform_refuses_leaves_no_trace(X, tabular, tmp_path):
    with pytest.raises((ValueError, TypeError)):
        transform_to(tabular[0], tmp_path / "e.npy", X)
    assert os.listdir(tmp_path) == []


# -- what an earlier process, or somebody else, may have left -----------------------------------------

NOTES = {
    "empty": b"",
    "cut": b'{"model": "12',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "list": b"[1, 2]",
    "number": b"17",
    "null": b"null",
    "foreign": b'{"name": "x", "rows": 6}',
    "infinity": b'{"rows": Infinity}',
}
FAULTY = {
    "rows": [-6, 0, 7, 10**9, 6.0, "6", None, True, [6]],
    "block_rows": [0, -6, "6", None, True, 10**30],
    "inputs": [None, 3, "", "0" * 64],
    "width": [None, 0],
    "model": [None, {}],
}


def equals_or_refuses(embedder, path, X):
    """Call again; a refusal has to be ours, and what it says has to help."""
    notes = path.parent / "e.npy.part.json"
    try:
        found = transform_to(embedder, path, X)
    except ValueError as error:
        refusal = str(error)
        notes.unlink()
        found = transform_to(embedder, path, X)
    else:
        refusal = "Delete e.npy.part.json to start again"
    assert "Delete e.npy.part.json to start again" in refusal
    assert_array_equal(found, embedder.transform(X))
    assert os.listdir(path.parent) == ["e.npy"]


@pytest.mark.parametrize("with_part", [True, False])
@pytest.mark.parametrize("content", NOTES.values(), ids=NOTES)
def test_notes_of_any_content(content, with_part, tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    (tmp_path / "e.npy.part.json").write_bytes(content)
    if not with_part:
        (tmp_path / "e.npy.part").unlink()
    equals_or_refuses(tabular[0], tmp_path / "e.npy", tabular[1])


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in FAULTY for value in FAULTY[name]])
def test_notes_with_another_value(name, value, tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    notes = tmp_path / "e.npy.part.json"
    notes.write_text(json.dumps({**json.loads(notes.read_text()), name: value}))
    equals_or_refuses(tabular[0], tmp_path / "e.npy", tabular[1])


@pytest.mark.parametrize("name", ["e.npy.part", "e.npy.part.json"])
def test_one_of_the_two_is_gone(name, tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    (tmp_path / name).unlink()
    equals_or_refuses(tabular[0], tmp_path / "e.npy", tabular[1])


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:60], lambda raw: raw + b"\0", lambda raw: b"x" + raw[1:]],
    ids=["cut", "empty", "header alone", "longer", "other header"],
)
def test_a_part_of_another_size_or_header(damage, tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    part = tmp_path / "e.npy.part"
    part.write_bytes(damage(part.read_bytes()))
    equals_or_refuses(tabular[0], tmp_path / "e.npy", tabular[1])


@pytest.mark.parametrize("name", ["e.npy.part", "e.npy.part.json"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_not_a_file_in_their_place(kind, name, tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    (tmp_path / name).unlink()
    os.mkdir(tmp_path / name) if kind == "folder" else os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match=name.replace(".", r"\.")) as caught:
        transform_to(tabular[0], tmp_path / "e.npy", tabular[1])
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("name", ["e.npy.part", "e.npy.part.json"])
def test_links_in_their_place_are_not_followed(name, tabular, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    shutil.move(tmp_path / name, other / "precious")
    before = (other / "precious").read_bytes()
    (tmp_path / name).symlink_to(other / "precious")
    found = transform_to(tabular[0], tmp_path / "e.npy", tabular[1])
    assert_array_equal(found, tabular[0].transform(tabular[1]))
    assert (other / "precious").read_bytes() == before


def test_another_process_is_writing(tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", tabular[1])
    with open(tmp_path / "e.npy.part", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="is being written by another process"):
            transform_to(tabular[0], tmp_path / "e.npy", tabular[1])
    equals_or_refuses(tabular[0], tmp_path / "e.npy", tabular[1])


def write_blocks(path, n_blocks=1, model="m", rows=None):
    """Begin an array, and leave it as a killed process would."""
    out = ResumableArray(path, ROWS.shape, {"model": model}, 4).__enter__()
    for i in range(out.n_done // 4, n_blocks):
        out.append((ROWS if rows is None else rows)[4 * i : 4 * i + 4], str(i))
    return out


def during(function, action):
    """Return a profile function that acts once, right before the code calls a method of that name."""
    waiting = [action]

    def look(frame, event, argument):
        code = frame.f_code
        if event == "call" and waiting and (code.co_filename, code.co_name) == (resumable.__file__, function):
            sys.setprofile(None)
            waiting.pop()()

    return look


STEPS = ["__enter__", "_open_part", "_lock", "_is_at", "_read_notes", "_start", "_discard", "_remove_notes", "_reserve"]


@pytest.mark.parametrize("left_before", [None, "fitting", "empty", "without notes", "another shape"])
@pytest.mark.parametrize("step", STEPS)
def test_another_process_begins_at_any_step(step, left_before, tmp_path):
    path, others, refused = tmp_path / "e.npy", [], []
    if left_before is not None:
        write_blocks(path)._file.close()
    if left_before in ("without notes", "empty"):
        (tmp_path / "e.npy.part.json").unlink()
    if left_before in ("empty", "another shape"):
        (tmp_path / "e.npy.part").write_bytes(b"" if left_before == "empty" else b"other")

    def begin():
        try:
            others.append(write_blocks(path))
        except BlockingIOError:
            refused.append("second")

    sys.setprofile(during(step, begin))
    try:
        write_array(path)
    except BlockingIOError:
        refused.append("first")
    finally:
        sys.setprofile(None)
    # One of two is refused, if both wrote at the same time at all, and the other goes on undisturbed.
    if others:
        assert refused == ["first"]
        assert {"e.npy.part", "e.npy.part.json"} <= set(os.listdir(tmp_path))
        others[0].append(ROWS[4:8], "1")
        others[0].append(ROWS[8:], "2")
        others[0].__exit__(None, None, None)
    assert_array_equal(np.load(path), ROWS)
    assert os.listdir(tmp_path) == ["e.npy"]


@pytest.mark.parametrize("step", ["__enter__", "_open_part", "_lock", "_is_at", "_read_notes"])
def test_notes_of_an_older_run_are_not_read_for_a_newer_file(step, tmp_path):
    path = tmp_path / "e.npy"
    write_blocks(path, 2)._file.close()

    def begin_anew_and_be_killed():
        (tmp_path / "e.npy.part.json").unlink()
        with suppress(BlockingIOError):
            write_blocks(path, 0)._file.close()

    sys.setprofile(during(step, begin_anew_and_be_killed))
    try:
        with suppress(BlockingIOError):
            write_array(path)
    finally:
        sys.setprofile(None)
    write_array(path)
    assert_array_equal(np.load(path), ROWS)


def test_a_live_writer_keeps_its_notes_when_they_are_being_replaced(tmp_path):
    path = tmp_path / "e.npy"
    with ResumableArray(path, ROWS.shape, {"model": "m"}, 4) as out:
        out.append(ROWS[:4], "0")
        with atomic.replacing(out.notes, follow=False) as file:
            (tmp_path / "e.npy.part.json").unlink()
            with pytest.raises(BlockingIOError, match="is being written by another process"):
                write_array(path)
            file.write(b"{}")
        out.append(ROWS[4:8], "1")
        out.append(ROWS[8:], "2")
    assert_array_equal(np.load(path), ROWS)
    assert os.listdir(tmp_path) == ["e.npy"]


@pytest.mark.parametrize("n_blocks", [0, 1, 3])
def test_a_file_that_another_has_replaced_is_not_finished(n_blocks, tmp_path):
    path = tmp_path / "e.npy"
    mine = write_blocks(path, n_blocks)
    for name in os.listdir(tmp_path):
        (tmp_path / name).unlink()
    other = write_blocks(path, 1, rows=ROWS + 1)
    before = on_disk(tmp_path)
    with pytest.raises(BlockingIOError, match="is being written by another process"):
        mine.__exit__(None, None, None)
    assert on_disk(tmp_path) == before
    with pytest.raises(BlockingIOError, match="is being written by another process"):
        write_array(path)
    other._file.close()


def test_a_refusal_before_any_file_leaves_only_the_notes(tmp_path):
    write_blocks(tmp_path / "e.npy", 1, model="another")._file.close()
    (tmp_path / "e.npy.part").unlink()
    with pytest.raises(ValueError, match="belongs to another model"):
        write_array(tmp_path / "e.npy")
    assert os.listdir(tmp_path) == ["e.npy.part.json"]


def test_another_process_begins_when_the_file_takes_its_name(tmp_path, monkeypatch):
    path, replace, others = tmp_path / "e.npy", os.replace, []

    def replace_and_begin(old, new):
        replace(old, new)
        if new == path:
            others.append(write_blocks(path, 1, rows=ROWS + 1))

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_and_begin)
        write_array(path)
    assert_array_equal(np.load(path), ROWS)
    others[0]._file.close()
    again = write_blocks(path, 1)
    again._file.close()
    assert again.n_done == 4


def test_another_process_finishes_while_the_path_is_checked(tmp_path, monkeypatch):
    (tmp_path / "e.npy.part").write_bytes(b"")
    access = os.access

    def finish_and_access(path, mode):
        (tmp_path / "e.npy.part").unlink(missing_ok=True)
        return access(path, mode)

    with monkeypatch.context() as patched:
        patched.setattr(os, "access", finish_and_access)
        out = ResumableArray(tmp_path / "e.npy", ROWS.shape, {"model": "m"}, 4)
    with out:
        out.append(ROWS[:4], "0")
    assert os.listdir(tmp_path) == ["e.npy"]


def test_a_hard_link_keeps_its_content(tmp_path):
    (tmp_path / "precious").write_bytes(b"content")
    os.link(tmp_path / "precious", tmp_path / "e.npy.part")
    write_array(tmp_path / "e.npy")
    assert (tmp_path / "precious").read_bytes() == b"content"


# -- kills --------------------------------------------------------------------------------------------

ROWS = RNG.normal(size=(10, 3)).astype(np.float32)


def write_array(path):
    with ResumableArray(path, ROWS.shape, {"model": "m"}, 4) as out:
        for start in range(0, len(ROWS), 4):
            if start >= out.n_done:
                out.append(ROWS[start : start + 4], str(start))


def on_disk(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def states_before_every_call(path):
    """Write the array, and return what was on the disk before each call of the writing code, each state once.

    It is what a kill there leaves: nothing that is still in the memory of the process is on the disk.
    """
    states, watched = [], (resumable.__file__, atomic.__file__)

    def look(frame, event, argument):
        if event == "c_call" and frame.f_code.co_filename in watched:
            sys.setprofile(None)
            state = on_disk(path.parent)
            if state not in states:
                states.append(state)
            sys.setprofile(look)

    sys.setprofile(look)
    try:
        write_array(path)
    finally:
        sys.setprofile(None)
    return states


@pytest.mark.parametrize("there_before", [False, True])
def test_killed_before_any_call(there_before, tmp_path):
    path = tmp_path / "e.npy"
    if there_before:
        path.write_bytes(b"old")
    states = states_before_every_call(path)
    # A new file, its header, and of three blocks the rows, the notes, and what is in between.
    assert len(states) > 12
    for number, state in enumerate(states):
        assert state.get("e.npy", b"old") in (b"old", path.read_bytes())
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in state.items():
            (folder / name).write_bytes(content)
        write_array(folder / "e.npy")
        assert_array_equal(np.load(folder / "e.npy"), ROWS)
        assert os.listdir(folder) == ["e.npy"]


# -- full disks ---------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 64 kB; without the right to mount one, files of at most 32 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False).returncode == 0:
        yield folder
        subprocess.run(["umount", folder], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cannot_reserve(*arguments):
    raise OSError(errno.EOPNOTSUPP, "not here")


@pytest.mark.parametrize("reserving", ["system", "unsupported", "missing"])
@pytest.mark.parametrize("there_before", [False, True])
def test_a_full_disk_is_an_error_before_the_work(there_before, reserving, tabular, small_disk, monkeypatch):
    embedder, path = tabular[0], small_disk / "e.npy"
    if reserving == "unsupported":
        monkeypatch.setattr(os, "posix_fallocate", cannot_reserve)
    elif reserving == "missing":
        monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(Model, "transform", lambda model, rows: pytest.fail("the work has begun"))
    if there_before:
        path.write_bytes(b"old")
    before = os.listdir(small_disk)
    with pytest.raises(OSError, match=r"e\.npy' needs \d.*bytes\. Choose a larger disk"):
        transform_to(embedder, path, np.zeros((5_000, 3)))
    assert os.listdir(small_disk) == before


def test_the_space_is_taken_at_the_beginning(tabular, tmp_path):
    cut_short(tabular[0], tmp_path / "e.npy", np.zeros((3_000, 3)), n_blocks=1)
    status = (tmp_path / "e.npy.part").stat()
    assert 512 * status.st_blocks >= status.st_size > 3_000 * 4


def test_without_a_call_that_reserves(tabular, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    test_the_space_is_taken_at_the_beginning(tabular, tmp_path)


def test_a_disk_that_is_full_later(tabular, tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    embedder, X = tabular
    cut_short(embedder, tmp_path / "e.npy", X)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            transform_to(embedder, tmp_path / "e.npy", X)
    found, n_blocks = count_blocks(embedder, tmp_path / "e.npy", X)
    assert n_blocks == 2
    assert_array_equal(found, embedder.transform(X))
