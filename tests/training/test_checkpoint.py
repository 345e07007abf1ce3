"""A run that crashes and is called again ends as the run that never crashed, to the bit."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skclr import SemiSupervisedClassifier, load
from skclr.frameworks import FRAMEWORKS


class Crashed(Exception):
    pass


class Crash(Callback):
    """Raises at a step of the run, once."""

    at = None

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training and net.step_ == Crash.at:
            Crash.at = None
            raise Crashed


class CountSteps(Callback):
    steps = 0

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        CountSteps.steps += training


@pytest.fixture
def saving(quick, tmp_path):
    """Make an embedder of four epochs of three steps that saves after each of them."""

    def make(framework="simclr", **params):
        run = {"max_epochs": 4, "batch_size": 16, "validation_fraction": 0.1, "callbacks": [Crash]}
        checkpoints = {"checkpoint_dir": tmp_path / "run", "checkpoint_minutes": 0}
        return quick(framework, **{**run, **checkpoints, **params})

    return make


def crash(embedder, X, at):
    Crash.at = at
    with pytest.raises(Crashed):
        embedder.fit(X)
    assert not hasattr(embedder, "net_")


def assert_same_run(one, other, X):
    assert_same(one.net_.module_.state_dict(), other.net_.module_.state_dict())
    assert_same(one.net_.optimizer_.state_dict(), other.net_.optimizer_.state_dict())
    assert one.net_.step_ == other.net_.step_
    assert [without_time(epoch) for epoch in one.history_] == [without_time(epoch) for epoch in other.history_]
    assert_array_equal(one.transform(X), other.transform(X))


def assert_same(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def without_time(epoch):
    return {name: value for name, value in epoch.items() if name != "dur"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_crashed_run_ends_as_one_that_was_not(framework, table, saving):
    whole = saving(framework, projection_dim=16, checkpoint_dir=None).fit(table[0])
    embedder = saving(framework, projection_dim=16)
    # In the first epoch, at the end of the second, and after the first step of the last.
    for at in (2, 6, 10):
        crash(embedder, table[0], at)
    assert_same_run(embedder.fit(table[0]), whole, table[0])


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": 2, "learning_rate": 0.05, "max_epochs": 20},
        {"optimizer": "lars"},
        {"optimizer": "sgd", "lr_schedule": "constant"},
        {"precision": "bfloat16"},
        {"encoder": torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Dropout(0.5))},
        {"views": "corruption", "positives": "labels"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_with_other_parts(params, table, saving):
    X, y = table
    whole = saving(**params, checkpoint_dir=None).fit(X, y)
    for at in (4, 7):
        Crash.at = at
        with pytest.raises(Crashed):
            saving(**params).fit(X, y)
    assert_same_run(saving(**params).fit(X, y), whole, X)


def test_a_killed_process(table, quick, tmp_path):
    np.save(tmp_path / "X.npy", table[0])
    code = (
        f"import numpy as np, torch; torch.set_num_threads({torch.get_num_threads()})\n"
        "from skclr import ContrastiveEmbedder\n"
        "ContrastiveEmbedder('simclr', batch_size=16, max_epochs=20, random_state=0, checkpoint_dir='run',"
        " checkpoint_minutes=0, encoder_params={'width': 16}).fit(np.load('X.npy'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    while not list(tmp_path.glob("run/step-*5.checkpoint")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    resumed = quick(batch_size=16, max_epochs=20, checkpoint_dir=tmp_path / "run", checkpoint_minutes=5).fit(table[0])
    assert_array_equal(resumed.transform(table[0]), quick(batch_size=16, max_epochs=20).fit_transform(table[0]))


def test_two_checkpoints_are_kept(table, saving, tmp_path):
    saving().fit(table[0])
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["step-000000011.checkpoint", "step-000000012.checkpoint"]


def test_an_old_checkpoint_that_someone_has_just_deleted_stops_no_training(table, saving, tmp_path, monkeypatch):
    delete = Path.unlink

    def deleted_before(path, missing_ok=False):
        delete(path)
        delete(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", deleted_before)
    assert len(saving().fit(table[0]).loss_curve_) == 4
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_what_a_kill_left_of_a_file_is_deleted(table, saving, tmp_path):
    crash(saving(), table[0], 5)
    left = tmp_path / "run" / ".step-000000005.checkpoint.0123.tmp"
    left.write_bytes(b"half")
    saving().fit(table[0])
    assert not left.exists()


def test_minutes_between_checkpoints(table, saving, tmp_path):
    saving(checkpoint_minutes=5).fit(table[0])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["step-000000012.checkpoint"]


@pytest.mark.parametrize("early_stopping", [False, 2])
def test_a_finished_run_is_given_at_once(early_stopping, table, saving):
    params = {"callbacks": [CountSteps], "early_stopping": early_stopping, "learning_rate": 0.05, "max_epochs": 20}
    finished = saving(**params).fit(table[0])
    CountSteps.steps = 0
    again = saving(**params).fit(table[0])
    assert CountSteps.steps == 0
    assert_same_run(again, finished, table[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": 0.5}, r"differs in learning_rate \(0.0005, now 0.5\). Set them back"),
        ({"framework": "byol"}, r"framework \(SimCLR, now BYOL\), .*weights at the start"),
        ({"random_state": 1}, r"random_state \(\d+, now \d+\)"),
        ({"loss_params": {"temperature": 0.5}}, r"loss__temperature \(1.0, now 0.5\)"),
        ({"lr_schedule": lambda progress: 1.0}, "lr_schedule"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_parameters(params, message, table, saving):
    crash(saving(), table[0], 5)
    with pytest.raises(ValueError, match=message):
        saving().set_params(**params).fit(table[0])


def test_parameters_that_change_nothing_of_a_run(table, saving, capsys):
    crash(saving(), table[0], 5)
    embedder = saving(verbose=1, checkpoint_minutes=1, device="cpu", on_interrupt="keep").fit(table[0])
    assert_same_run(embedder, saving(checkpoint_dir=None).fit(table[0]), table[0])
    assert "epoch 4/4" in capsys.readouterr().err


def test_other_data(table, saving):
    X, _ = table
    crash(saving(), X, 5)
    for other in (X + 1e-3 * np.eye(60, 5), X[:59], X[::-1]):
        with pytest.raises(ValueError, match=r"differs in.* data"):
            saving().fit(other)
    with pytest.raises(ValueError, match="differs in data"):
        saving().fit(X, groups=table[1])


def test_other_weights_to_start_from(digits, saving):
    crash(saving(encoder=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))), digits[0], 5)
    with pytest.raises(ValueError, match="differs in weights at the start"):
        saving(encoder=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))).fit(digits[0])


def test_a_seed_is_asked_for(table, saving):
    with pytest.raises(ValueError, match=r"needs a fixed seed.*Set random_state to a number"):
        saving(random_state=None).fit(table[0])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:99] + bytes([content[99] ^ 1]) + content[100:],
    ],
    ids=["cut", "empty", "bit"],
)
def test_a_damaged_checkpoint_is_passed_over(damage, table, saving, tmp_path):
    crash(saving(), table[0], 7)
    newest = tmp_path / "run" / "step-000000006.checkpoint"
    newest.write_bytes(damage(newest.read_bytes()))
    embedder = saving()
    with pytest.warns(UserWarning, match="step-000000006.checkpoint is corrupt"):
        embedder.fit(table[0])
    assert_same_run(embedder, saving(checkpoint_dir=None).fit(table[0]), table[0])


def test_all_checkpoints_damaged(table, saving, tmp_path):
    crash(saving(), table[0], 7)
    for path in (tmp_path / "run").iterdir():
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="corrupt"):
        embedder = saving().fit(table[0])
    assert_same_run(embedder, saving(checkpoint_dir=None).fit(table[0]), table[0])


def test_a_full_disk_stops_no_training(table, saving, tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.warns(UserWarning, match="continues without this checkpoint.*No space left"):
            embedder = saving().fit(table[0])
    assert_same_run(embedder, saving(checkpoint_dir=None).fit(table[0]), table[0])
    assert list((tmp_path / "run").iterdir()) == []


def test_a_folder_that_cannot_be(table, saving, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        saving(checkpoint_dir=tmp_path / "file").fit(table[0])


def test_runs_of_a_search_have_folders_of_their_own(table, saving, tmp_path):
    X, y = table
    embedder = saving(checkpoint_dir=tmp_path / "{run}", max_epochs=1)
    pipe = make_pipeline(embedder, LogisticRegression())
    grid = {"contrastiveembedder__learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert len(list(tmp_path.iterdir())) == 2 * 2 + 1
    plain = GridSearchCV(clone(pipe).set_params(contrastiveembedder__checkpoint_dir=None), grid, cv=2).fit(X, y)
    assert_array_equal(search.predict(X), plain.predict(X))


def test_search_in_one_folder_raises_an_error_with_a_remedy(table, saving):
    saving(max_epochs=1).fit(table[0])
    with pytest.raises(ValueError, match=r"put '\{run\}' into its name"):
        saving(max_epochs=1).fit(table[0][:40])


def test_warm_start_continues_from_its_own_weights(table, saving, tmp_path):
    def run(folder):
        embedder = saving(checkpoint_dir=None, warm_start=True).fit(table[0])
        return embedder.set_params(checkpoint_dir=folder)

    whole = run(None).fit(table[0])
    embedder = run(tmp_path / "warm")
    Crash.at = 17
    with pytest.raises(Crashed):
        embedder.fit(table[0])
    assert_same_run(run(tmp_path / "warm").fit(table[0]), whole, table[0])


def test_streams_are_not_saved(table, saving, tmp_path):
    saving(checkpoint_dir=tmp_path / "stream").partial_fit(table[0])
    assert not (tmp_path / "stream").exists()


def test_a_model_that_was_checkpointed_can_be_saved(table, saving, tmp_path):
    embedder = saving(callbacks=None).fit(table[0])
    embedder.save(tmp_path / "model")
    assert_array_equal(load(tmp_path / "model", checkpoint_dir=None).transform(table[0]), embedder.transform(table[0]))
    # A refit looks at parameters alone, and finds its run.
    assert_array_equal(clone(embedder).fit(table[0]).transform(table[0]), embedder.fit(table[0]).transform(table[0]))


def test_semi_supervised(table, saving):
    X, y = table
    partly = np.where(np.arange(60) % 5, -1, y)
    whole = SemiSupervisedClassifier(saving(checkpoint_dir=None, batch_size="auto"), fine_tune=True).fit(X, partly)
    classifier = SemiSupervisedClassifier(saving(batch_size="auto"), fine_tune=True)
    Crash.at = 2
    with pytest.raises(Crashed):
        classifier.fit(X, partly)
    assert_array_equal(classifier.fit(X, partly).predict_proba(X), whole.predict_proba(X))


def test_a_checkpoint_is_read_without_running_code(table, saving, tmp_path):
    class Runs:
        def __reduce__(self):
            return shutil.rmtree, (str(tmp_path),)

    from skclr.training.checkpoint import write

    crash(saving(), table[0], 5)
    write(tmp_path / "run" / "step-000000009.checkpoint", {"run": Runs()})
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        saving().fit(table[0])
    assert (tmp_path / "run").exists()
