"""scikit-learn's callbacks: each epoch is a task, and what they are given is fitted."""

import gc
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import skclr
from skclr.evaluation import SCORERS

callback = pytest.importorskip("sklearn.callback")


class Recorder:
    """Writes down what it hears; asks to stop after so many epochs, or fails."""

    def __init__(self, stop_after=None, error=None):
        self.stop_after = stop_after
        self.error = error
        self.heard = []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"{context.task_name} {context.max_subtasks} begins")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None):
        self.heard.append(f"{context.task_name} ends")
        if self.error and context.task_name == "epoch":
            raise self.error
        return self.stop_after is not None and self.heard.count("epoch ends") >= self.stop_after


class Keeper(Recorder):
    """Keeps what the estimator would be if fit ended with each epoch."""

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.heard.append(fitted_estimator)


EPOCH = ["epoch 0 begins", "epoch ends"]


def test_every_epoch_is_heard(quick, table):
    recorder = Recorder()
    heard, plain = quick().set_callbacks(recorder).fit(table[0]), quick().fit(table[0])
    assert recorder.heard == ["setup", "fit 2 begins", *EPOCH, *EPOCH, "fit ends", "teardown"]
    assert_array_equal(heard.transform(table[0]), plain.transform(table[0]))


def test_without_epochs_fit_is_heard_all_the_same(quick, table):
    recorder = Recorder()
    quick(max_epochs=0).set_callbacks(recorder).fit(table[0])
    assert recorder.heard == ["setup", "fit 0 begins", "fit ends", "teardown"]


def test_callback_stops_the_run(quick, table):
    embedder = quick(max_epochs=9).set_callbacks(Recorder(stop_after=3)).fit(table[0])
    assert embedder.n_iter_ == 3


def test_callback_that_fails_leaves_nothing_half_done(quick, table):
    recorder = Recorder(error=OSError("no room"))
    embedder = quick().set_callbacks(recorder)
    before = dict(vars(embedder))
    with pytest.raises(OSError, match="no room"):
        embedder.fit(table[0])
    assert recorder.heard[-1] == "teardown"
    assert vars(embedder) == before


def test_callbacks_are_given_a_fitted_estimator(quick, table, tmp_path):
    X, keeper = table[0], Keeper()
    embedder = quick().set_callbacks(keeper).fit(X)
    first, last = (heard for heard in keeper.heard[:-2] if not isinstance(heard, str))
    # The embedding is scaled to the plain features at the end of training.
    before, after = (each.model_.embed(each.model_.read(X)) for each in (last, embedder))
    assert_array_equal(before, after)
    # What training did after the first epoch has not moved it.
    assert_array_equal(first.transform(X), first.transform(X))
    assert not np.array_equal(first.transform(X), last.transform(X))
    first.save(tmp_path / "first.skclr")
    assert_array_equal(skclr.load(tmp_path / "first.skclr").transform(X), first.transform(X))


def test_fitted_net_holds_no_data(quick):
    X = np.random.default_rng(0).normal(size=(20, 4))
    there = weakref.ref(X)
    embedder = quick().set_callbacks(Recorder()).fit(X)
    del X
    gc.collect()
    assert there() is None
    assert clone(embedder)._skl_callbacks == embedder._skl_callbacks


def test_callbacks_of_scikit_learn(quick, table, capsys):
    X, y = table
    # With scoring=None it cannot add up what `score` gives.
    monitor = callback.ScoringMonitor(scoring={"bound": SCORERS["info_nce_bound"]})
    embedder = quick().set_callbacks(monitor).fit(X, y)
    bounds = [row["bound"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(bounds) == 2
    assert bounds[-1] == embedder.score(X)

    pytest.importorskip("rich")
    make_pipeline(quick(), LogisticRegression()).set_callbacks(callback.ProgressBar()).fit(X, y)
    assert "ContrastiveEmbedder - fit" in capsys.readouterr().out
