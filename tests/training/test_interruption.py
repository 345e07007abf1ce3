"""What cuts a run short leaves the estimator whole, and the process able to go on."""

import os
import signal
import threading
import weakref

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn

from skclr.training.checkpoint import read_newest


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """A process started in the background by a shell has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class AtStep(Callback):
    """Does something at a step of the run."""

    def __init__(self, step, act):
        self.step = step
        self.act = act

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training and net.step_ == self.step:
            self.act()


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


# -- Ctrl-C ---------------------------------------------------------------------------------------


def test_ctrl_c_raises_by_default(table, quick):
    embedder = quick(callbacks=[AtStep(1, press_ctrl_c)])
    with pytest.raises(KeyboardInterrupt):
        embedder.fit(table[0])
    assert not hasattr(embedder, "net_")


def test_ctrl_c_at_the_end_of_an_epoch_is_not_an_early_stop(table, quick):
    class Press(Callback):
        def on_epoch_end(self, net, **kwargs):
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        quick(callbacks=[Press()]).fit(table[0])


def test_ctrl_c_keeps_what_was_learned(table, quick):
    before = signal.getsignal(signal.SIGINT)
    params = {"batch_size": 16, "max_epochs": 9}
    kept = quick(**params, on_interrupt="keep", callbacks=[AtStep(5, press_ctrl_c)]).fit(table[0])
    assert kept.net_.step_ == 5
    assert kept.n_iter_ == 2
    assert np.isfinite(kept.loss_curve_).all()
    assert signal.getsignal(signal.SIGINT) is before
    # The weights are those after the step at which it came, and of no half step.
    weights = {}

    class Look(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            if net.step_ == 5:
                weights.update(
                    {name: value.clone() for name, value in net.module_.state_dict().items() if "weight" in name}
                )

    quick(**params, callbacks=[Look()]).fit(table[0])
    after = kept.net_.module_.state_dict()
    assert all(torch.equal(after[name], value) for name, value in weights.items())


def test_ctrl_c_goes_back_to_the_best_epoch(table, quick):
    # A wide network overfits, so that its best epoch is not the last.
    params = {"batch_size": 16, "max_epochs": 60, "early_stopping": 50, "learning_rate": 0.05, "encoder_params": None}
    whole = quick(**params).fit(table[0])
    valid = [epoch["valid_loss"] for epoch in whole.history_]
    best = int(np.argmin(valid))
    at = 3 * (best + 3)
    kept = quick(**params, on_interrupt="keep", callbacks=[AtStep(at, press_ctrl_c)]).fit(table[0])
    assert kept.n_iter_ == best + 3
    assert_array_equal(kept.transform(table[0]), whole.transform(table[0]))


def test_a_second_ctrl_c_raises(table, quick):
    twice = AtStep(2, lambda: (press_ctrl_c(), press_ctrl_c()))
    embedder = quick(batch_size=16, on_interrupt="keep", callbacks=[twice])
    with pytest.raises(KeyboardInterrupt):
        embedder.fit(table[0])
    assert not hasattr(embedder, "net_")


def test_a_kept_run_resumes_from_its_checkpoint(table, quick, tmp_path):
    params = {"batch_size": 16, "max_epochs": 4, "on_interrupt": "keep"}
    pressing = [True]

    class Press(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            if pressing and net.step_ == 5:
                pressing.clear()
                press_ctrl_c()

    embedder = quick(**params, callbacks=[Press()], checkpoint_dir=tmp_path).fit(table[0])
    assert embedder.net_.step_ == 5
    embedder.fit(table[0])
    assert_array_equal(embedder.transform(table[0]), quick(**params).fit(table[0]).transform(table[0]))


def test_keeping_in_a_thread_trains_as_ever(table, quick):
    embedder = quick(on_interrupt="keep")
    thread = threading.Thread(target=embedder.fit, args=(table[0],))
    thread.start()
    thread.join()
    assert_array_equal(embedder.transform(table[0]), quick().fit(table[0]).transform(table[0]))


# -- a loss that is not finite, or diverges --------------------------------------------------------


class Break(Callback):
    """Makes a weight NaN at a step."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training and net.step_ == self.step:
            next(net.module_.parameters()).data.fill_(torch.nan)


@pytest.mark.parametrize("step", [7, 8, 9])
def test_the_last_good_weights_are_kept(step, table, quick):
    embedder = quick(batch_size=16, max_epochs=9, callbacks=[Break(step)], lr_schedule="constant", warmup_epochs=0)
    with pytest.warns(ConvergenceWarning, match=r"in epoch 3.*weights of step 6, after epoch 2"):
        embedder.fit(table[0])
    good = quick(batch_size=16, max_epochs=2, lr_schedule="constant", warmup_epochs=0).fit(table[0])
    assert_array_equal(embedder.transform(table[0]), good.transform(table[0]))
    assert embedder.loss_curve_ == good.loss_curve_
    assert embedder.net_.step_ == good.net_.step_


def test_weights_that_gave_the_bad_loss_are_not_kept(table, quick):
    class Explode(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            # The last step of epoch 2: finite weights, whose loss is not.
            if net.step_ == 6:
                for parameter in net.module_.parameters():
                    parameter.data.fill_(1e15)

    embedder = quick(batch_size=16, max_epochs=9, callbacks=[Explode()], lr_schedule="constant", warmup_epochs=0)
    with pytest.warns(ConvergenceWarning, match="weights of step 3, after epoch 1"):
        embedder.fit(table[0])
    good = quick(batch_size=16, max_epochs=1, lr_schedule="constant", warmup_epochs=0).fit(table[0])
    assert_array_equal(embedder.transform(table[0]), good.transform(table[0]))


class Enlarge(Callback):
    """Makes the last weights 10,000 times as large at a step: all stays finite, and the loss explodes."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training and net.step_ == self.step:
            net.module_.projector[-1].weight.data.mul_(1e4)


EXPLODING = {"framework": "vicreg", "batch_size": 16, "lr_schedule": "constant", "warmup_epochs": 0}


@pytest.mark.parametrize("step", [7, 8, 9])
def test_an_exploding_loss_goes_back_too(step, table, quick):
    embedder = quick(**EXPLODING, max_epochs=9, callbacks=[Enlarge(step)])
    with pytest.warns(ConvergenceWarning, match=r"grew to .*e\+.*in epoch [34].*weights of step 6, after epoch 2"):
        embedder.fit(table[0])
    good = quick(**EXPLODING, max_epochs=2).fit(table[0])
    assert_array_equal(embedder.transform(table[0]), good.transform(table[0]))
    assert embedder.loss_curve_ == good.loss_curve_


def test_an_explosion_before_any_good_epoch_raises(table, quick):
    embedder = quick(**EXPLODING, callbacks=[Enlarge(1)])
    with pytest.raises(FloatingPointError, match=r"grew to .*in epoch 1: lower learning_rate"):
        embedder.fit(table[0])
    assert not hasattr(embedder, "net_")


def test_one_strange_batch_is_not_an_explosion(table, quick):
    steps = iter(range(9))

    def loss(embeddings, groups, candidates=None, candidate_groups=None):
        return embeddings.square().mean() * (1e9 if next(steps) == 4 else 1)

    embedder = quick(loss=loss, batch_size=16, max_epochs=3).fit(table[0])
    assert embedder.history_[1]["batches"][1]["train_loss"] > 1e6
    assert embedder.n_iter_ == 3


def test_a_checkpoint_is_never_of_a_bad_step(table, quick, tmp_path):
    params = {"batch_size": 16, "callbacks": [Break(2)], "checkpoint_dir": tmp_path, "checkpoint_minutes": 0}
    with pytest.raises(FloatingPointError, match="train_loss became nan in epoch 1"):
        quick(**params).fit(table[0])
    assert read_newest(tmp_path)["step"] == 2


# -- memory ---------------------------------------------------------------------------------------


class Hungry(nn.Module):
    """Finds no memory while `hungry`."""

    hungry = True
    seen = None

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 8)

    def forward(self, x):
        h = self.layer(x)
        if Hungry.hungry and self.training:
            Hungry.seen = weakref.ref(h)
            torch.empty(2**60, dtype=torch.uint8)
        return h


def test_out_of_memory_names_the_remedy_and_frees_the_step(table, quick):
    embedder = quick(encoder=Hungry())
    Hungry.hungry = True
    with pytest.raises(MemoryError, match=r"Lower batch_size.*precision='bfloat16'") as caught:
        embedder.fit(table[0])
    # While the error is still held, as in a notebook.
    assert Hungry.seen() is None
    assert caught.value.__cause__ is not None
    assert not hasattr(embedder, "net_")
    Hungry.hungry = False
    assert np.isfinite(embedder.fit_transform(table[0])).all()


def test_out_of_memory_of_an_accelerator(table, quick):
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match="CUDA out of memory"):
        quick(callbacks=[AtStep(1, full)]).fit(table[0])


# -- callbacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phase", ["train_begin", "epoch_begin", "grad_computed", "batch_end", "epoch_end", "train_end"]
)
def test_a_callback_that_raises_leaves_the_estimator_as_it_was(phase, table, quick):
    class Raise(Callback):
        pass

    def fail(self, net, **kwargs):
        raise RuntimeError("mine")

    setattr(Raise, f"on_{phase}", fail)
    X, _ = table
    embedder = quick(warm_start=True).fit(X)
    before = embedder.transform(X)
    state = {name: value.clone() for name, value in embedder.net_.module_.state_dict().items()}
    with pytest.raises(RuntimeError, match="mine"):
        embedder.set_params(callbacks=[Raise()]).fit(X)
    assert_array_equal(embedder.transform(X), before)
    assert all(torch.equal(value, state[name]) for name, value in embedder.net_.module_.state_dict().items())
    # A refit is that of an estimator that never failed.
    embedder.set_params(callbacks=None).fit(X)
    assert_array_equal(embedder.transform(X), quick(warm_start=True).fit(X).fit(X).transform(X))
