"""The state of the process changes no result, and no call changes it, however it ends."""

import copy
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback, Freezer, Initializer, Unfreezer
from torch import nn

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier, randomness
from skclr.fine_tuning import tune
from skclr.training.undisturbed import default_settings

# -- settings of torch ------------------------------------------------------------------------------


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "deterministic": deterministic,
    "device": lambda: torch.device("meta"),
}

DATA = {
    "table": (np.random.default_rng(0).normal(size=(20, 5)), {}),
    "images": (np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8), {}),
    "series": (np.random.default_rng(0).normal(size=(12, 2, 30)), {}),
    "audio": (np.random.default_rng(0).normal(size=(8, 4_000)), {"sampling_rate": 8_000}),
    "text": ([f"word{i} word{i % 7} and more" for i in range(20)], {}),
}


def numbers(kind, folder):
    """Return what every public call gives, by name."""
    X, params = DATA[kind]
    embedder = ContrastiveEmbedder(
        encoder_params={"width": 16}, max_epochs=1, random_state=0, modality_params=params
    ).fit(X)
    result = {"transform": embedder.transform(X), "score": embedder.score(X), "views": embedder.make_views(X)[0]}
    embedder.save(folder / "model.skclr")
    loaded = skclr.load(folder / "model.skclr")
    result["load"] = loaded.transform(X)
    result["partial_fit"] = loaded.partial_fit(X).transform(X)
    result["pickle"] = pickle.loads(pickle.dumps(embedder)).transform(X)
    return result


@contextmanager
def several():
    with ExitStack() as stack:
        for name in ("float64", "deterministic", "autocast", "no_grad"):
            stack.enter_context(SETTINGS[name]())
        yield


@pytest.mark.parametrize("kind", DATA)
def test_settings_of_torch_change_no_number(kind, tmp_path):
    plain = numbers(kind, tmp_path)
    for name, setting in (SETTINGS if kind == "table" else {"several": several}).items():
        state = process_state()
        with setting():
            within = process_state()
            changed = numbers(kind, tmp_path)
            assert process_state() == within
        assert process_state() == state
        for call, expected in plain.items():
            assert_array_equal(changed[call], expected, err_msg=f"{call} under {name}")


@pytest.mark.parametrize("setting", ["float64", "autocast", "inference_mode", "device"])
def test_settings_of_torch_change_no_export(setting, table, quick):
    embedder = quick().fit(table[0])
    expected = embedder.to_exported_program().module()(torch.tensor(table[0]))
    with SETTINGS[setting]():
        program = embedder.to_exported_program()
    torch.testing.assert_close(program.module()(torch.tensor(table[0])), expected, rtol=0, atol=0)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_settings_of_torch_change_no_classifier(fine_tune, table, quick, monkeypatch):
    monkeypatch.setattr("skclr.semi_supervised.tune", partial(tune, n_steps=10))
    X, y = table
    model = SemiSupervisedClassifier(quick(), fine_tune=fine_tune)
    expected = model.fit(X, y).predict_proba(X)
    for name in ("float64", "autocast", "inference_mode"):
        with SETTINGS[name]():
            assert_array_equal(model.fit(X, y).predict_proba(X), expected)


def test_fits_in_threads_share_the_default_dtype(table, quick):
    alone = quick().fit_transform(table[0])
    results = {}

    def fit(number):
        for _ in range(1 + number % 3):
            results[number] = quick().fit_transform(table[0])

    with default_dtype(torch.float64):
        threads = [threading.Thread(target=fit, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torch.get_default_dtype() is torch.float64
    for result in results.values():
        assert_array_equal(result, alone)


# -- encoders without weights -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["table", "images", "series"])
def test_an_encoder_without_weights_does_all_that_others_do(kind, tmp_path):
    X, _ = DATA[kind]
    embedder = ContrastiveEmbedder(encoder=nn.Flatten(), max_epochs=1, random_state=0).fit(X)
    assert embedder.device_ == torch.device("cpu")
    features = embedder.transform(X)
    assert np.isfinite(features).all()
    assert np.isfinite(embedder.score(X))
    embedder.save(tmp_path / "model.skclr")
    loaded = skclr.load(tmp_path / "model.skclr", encoder=nn.Flatten())
    assert_array_equal(loaded.transform(X), features)
    assert_array_equal(loaded.partial_fit(X).transform(X), embedder.partial_fit(X).transform(X))
    assert_array_equal(pickle.loads(pickle.dumps(embedder)).transform(X), features)
    onward = ContrastiveEmbedder(encoder=embedder, max_epochs=1, random_state=0).fit(X)
    assert_array_equal(onward.transform(X), features)
    example = torch.tensor(X if kind != "series" else X.astype(np.float32))
    exported = embedder.to_exported_program().module()(example)
    np.testing.assert_allclose(exported.numpy(), features, rtol=1e-5, atol=1e-5)


def test_a_convolution_without_layers(digits):
    embedder = ContrastiveEmbedder(encoder_params={"n_layers": 0}, max_epochs=1, random_state=0)
    assert np.isfinite(embedder.fit_transform(digits[0][:20])).all()


# -- Ctrl-C -----------------------------------------------------------------------------------------


def process_state():
    """Return what a call may change of the process, by name."""
    torch.autocast_increment_nesting()
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "autocast dtype": torch.get_autocast_dtype("cpu"),
        "autocast cache": torch.is_autocast_cache_enabled(),
        "autocast nesting": torch.autocast_decrement_nesting(),
        "dtype": torch.get_default_dtype(),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "random": random.getstate(),
        "handler": signal.getsignal(signal.SIGINT),
        "warnings": list(warnings.filters),
        "threads": torch.get_num_threads(),
    }


class PressesCtrlC:
    """Presses Ctrl-C at an instruction of one of the Python functions that a block calls in skclr, torch and skorch.

    Parameters
    ----------
    call : number of the function's call; -1 only counts calls.
    instruction : number of the instruction in it; the last one where it has fewer.
    """

    files = ("skclr", "torch", "skorch", "contextlib")

    def __init__(self, call=-1, instruction=0):
        self.call = call
        self.instruction = instruction
        self.n_calls = 0

    def __enter__(self):
        sys.settrace(self._at_call)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _at_call(self, frame, event, argument):
        name = frame.f_code.co_filename
        if name == __file__ or not any(part in name for part in self.files):
            return None
        self.n_calls += 1
        if self.n_calls - 1 != self.call:
            return None
        frame.f_trace_opcodes = True
        return self._in_frame

    def _in_frame(self, frame, event, argument):
        self.instruction -= event == "opcode"
        if self.instruction < 0 or event == "return":
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return self._in_frame


@pytest.fixture
def ctrl_c_interrupts():
    """Restore Python's handler: a process that a shell starts in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


N_PRESSED = 12


@pytest.mark.skipif(sys.gettrace() is not None, reason="traces by itself, as the measuring of coverage does")
@pytest.mark.parametrize("call", ["fit", "partial_fit", "transform", "load", "save", "score"])
def test_ctrl_c_at_any_bytecode_leaves_the_process_as_it_was(call, ctrl_c_interrupts, table, tmp_path):
    X = table[0][:20]

    def embedder():
        return ContrastiveEmbedder(
            encoder_params={"width": 16}, max_epochs=1, batch_size=10, precision="bfloat16", random_state=0
        )

    fitted = embedder().fit(X)
    fitted.save(tmp_path / "model.skclr")
    run = {
        "fit": lambda: embedder().fit(X),
        "partial_fit": lambda: copy.deepcopy(fitted).partial_fit(X),
        "transform": lambda: fitted.transform(X),
        "load": lambda: skclr.load(tmp_path / "model.skclr"),
        "save": lambda: fitted.save(tmp_path / "model.skclr"),
        "score": lambda: fitted.score(X),
    }[call]
    with PressesCtrlC() as counting:
        run()
    rng = np.random.default_rng(0)
    before, features, n_interrupted = process_state(), fitted.transform(X), 0
    for _ in range(N_PRESSED):
        place = int(rng.integers(counting.n_calls)), int(rng.integers(60))
        try:
            with PressesCtrlC(*place):
                run()
        except KeyboardInterrupt:
            n_interrupted += 1
        assert process_state() == before, place
    assert n_interrupted == N_PRESSED
    assert_array_equal(fitted.transform(X), features)
    assert_array_equal(embedder().fit(X).transform(X), features)


def test_ctrl_c_leaves_hooks_and_patches_as_they_were(ctrl_c_interrupts, digits, quick):
    seen = []

    class Press(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3, 2, 1), nn.Flatten())

        def forward(self, x):
            seen.append(self)
            if self.training:
                signal.raise_signal(signal.SIGINT)
            return self.layers(x.flatten(1, 2))

    with pytest.raises(KeyboardInterrupt):
        quick(encoder=Press(), chunk_size=5, precision="bfloat16").fit(digits[0][:20])
    assert all("forward" not in vars(module) and not module._forward_pre_hooks for module in seen[-1].modules())


def test_a_handler_of_your_own_hears_of_ctrl_c_between_two_steps(table, quick):
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(torch.is_grad_enabled()))

    def views(x):
        signal.raise_signal(signal.SIGINT)
        return x

    try:
        fitted = quick(views=views).fit(table[0])
    finally:
        signal.signal(signal.SIGINT, before)
    assert fitted.n_iter_ == 2
    # A second one in a step is handled at once.
    assert len(heard) == 4


# -- processes and threads --------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_embeds_and_fits():
    code = textwrap.dedent("""
        import multiprocessing, warnings
        import numpy as np, torch
        from skclr import ContrastiveEmbedder
        torch.set_num_threads(2)
        X = np.random.default_rng(0).normal(size=(1000, 20))
        embedder = ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=1, random_state=0).fit(X)
        expected = embedder.transform(X)

        def child():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                np.testing.assert_allclose(embedder.transform(X), expected, atol=1e-3)
                embedder.fit(X[:200])
            assert [w.category for w in caught] == [RuntimeWarning], caught
            assert "forked after torch had used 2 threads" in str(caught[0].message)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(60)
        print(process.exitcode)
        process.kill()
    """)
    # OpenMP starts its threads once a process: a new interpreter.
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "0\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore")
def test_a_child_forked_during_a_fit_does_not_wait_for_its_locks(table, quick):
    embedder = quick(encoder=nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.1)), max_epochs=1)
    held, release = threading.Event(), threading.Event()

    def hold():
        with randomness._global_generators, default_settings():
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    if (child := os.fork()) == 0:
        try:
            os._exit(7 if embedder.fit(table[0]).n_iter_ == 1 else 8)
        finally:
            os._exit(9)
    release.set()
    thread.join()
    until, ended = time.monotonic() + 60, 0
    while not ended and time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended, "the child hangs"
    assert os.waitstatus_to_exitcode(status) == 7


def test_an_estimator_is_copied_while_it_is_fitted_again(table, quick):
    X = table[0]
    embedder = quick(max_epochs=1).fit(X)
    features, done = embedder.transform(X), threading.Event()

    def fit():
        while not done.is_set():
            embedder.fit(X)

    thread = threading.Thread(target=fit)
    thread.start()
    try:
        for _ in range(5):
            for copied in (copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):
                assert_array_equal(copied.transform(X), features)
    finally:
        done.set()
        thread.join()


# -- checkpoints ------------------------------------------------------------------------------------


class CutShort(RuntimeError):
    pass


class Counting(Callback):
    """Counts the epochs that it has seen begin, and shrinks the weights at each."""

    def on_train_begin(self, net, **kwargs):
        self.n_epochs_ = 0

    def on_epoch_begin(self, net, **kwargs):
        self.n_epochs_ += 1
        net.history.record("seen", self.n_epochs_)
        with torch.no_grad():
            for parameter in net.module_.parameters():
                parameter.mul_(0.99)


FREEZING = {
    "Freezer": lambda: [Freezer("encoder.*", at=1)],
    "Freezer and Unfreezer": lambda: [Freezer("*", at=2), Unfreezer("projector.*", at=2), Unfreezer("*", at=3)],
    "Initializer": lambda: [Initializer("projector.*", fn=nn.init.ones_, at=2)],
    "counting": lambda: [Counting()],
}


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("kind", FREEZING)
def test_what_callbacks_do_when_an_epoch_begins_is_not_done_twice(kind, warm_start, table, tmp_path):
    X, narrow = table[0], {"encoder_params": {"width": 16}, "batch_size": 20, "random_state": 0}
    first = ContrastiveEmbedder(max_epochs=1, warm_start=warm_start, **narrow).fit(X)

    def run(cut=None, **params):
        seen = []

        class Cut(Callback):
            def on_batch_end(self, net, batch=None, training=False, **kwargs):
                seen.append(net.step_)
                if len(seen) == cut:
                    raise CutShort

        callbacks = [*FREEZING[kind](), Cut()]
        embedder = copy.deepcopy(first).set_params(max_epochs=3, callbacks=callbacks, **params)
        try:
            return embedder.fit(X)
        except CutShort:
            return None

    expected = run().transform(X)
    for cut in (1, 4, 5, 8):
        params = {"checkpoint_dir": tmp_path / str(cut), "checkpoint_minutes": 0}
        assert run(cut, **params) is None
        assert_array_equal(run(**params).transform(X), expected, err_msg=f"cut after {cut} steps")
