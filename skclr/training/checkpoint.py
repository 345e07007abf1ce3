"""Checkpoints: what a run is at a step, in a file, so that the same call goes on from there after a crash."""

from __future__ import annotations

import hashlib
import io
import os
import re
import textwrap
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from skclr.data.samples import Samples
from skclr.files.atomic import make_folder, replacing
from skclr.files.plain import Plain
from skclr.plan import in_words
from skclr.ranks.collectives import world
from skclr.ranks.process_group import agree
from skclr.training.interruption import StopTraining

_N_KEPT = 2
_NAME = re.compile(r"step-(\d{9,18})\.checkpoint", re.ASCII)
# What a checkpoint holds, by name.
_STATE: dict[str, tuple[type, ...]] = {
    "run": (dict,),
    "finished": (bool,),
    "step": (int,),
    "module": (dict, OrderedDict),
    "optimizer": (dict,),
    "scaler": (dict,),
    "history": (list,),
    "callbacks": (dict,),
}
_DIGEST_BYTES = hashlib.sha256().digest_size
# Rows that tell one data set from another, evenly spread: reading all of a mapped file would take minutes.
_N_TELLING_ROWS = 1_024


class Checkpoints(Callback):
    """Save the run every few minutes and at its end, and go on from what was saved; of several ranks the first saves.

    Stands last among the callbacks: it restores what the others have begun, and saves what they have seen.

    Parameters
    ----------
    folder : of one run; "{run}" in it becomes a name that follows from the run's settings and data.
    minutes : between two checkpoints; 0 writes one after every step.
    plan : what tells this run from others, besides its data and its weights at the start; by name, in words.
    """

    def __init__(self, folder: str | os.PathLike[str], minutes: float, plan: Mapping[str, str]) -> None:
        self.folder = folder
        self.minutes = minutes
        self.plan = plan

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self._run = identity(net, X, self.plan)
        self._path = make_folder(os.fspath(self.folder).replace("{run}", fingerprint(self._run)[:16]), "checkpoint_dir")
        for unfinished in self._path.glob(".step-*.tmp"):
            # Of a process that was killed while it wrote; a read-only folder still serves to resume.
            with suppress(OSError):
                unfinished.unlink()
        self._running: dict[str, Any] = {}
        self._resumed: dict[str, Any] | None = None
        self._finished = False
        self._written = time.monotonic()
        state = read_newest(self._path)
        self._check_ranks(state)
        if state is not None:
            self._check(state["run"])
            with self._fitting():
                self._restore(net, state)

    def on_epoch_begin(
        self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        if self._resumed is not None:
            # Callbacks have begun this epoch once more: what they do then, they did before the checkpoint.
            _restore_parts(net, self._resumed)
            self._resumed = None
        net.history[-1].update(self._running)
        self._running = {}

    def on_batch_end(self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if not training:
            return
        # By the first rank's clock; losses are read by all, since what one finds ends the run of all.
        if net.interrupted_ or agree(time.monotonic() - self._written >= 60 * self.minutes):
            net.read_losses("train_loss")
            if world.rank == 0:
                self._write(net)

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if not (net.interrupted_ or self._finished):
            self._finished = True
            if world.rank == 0:
                self._write(net)

    def _check(self, run: Mapping[str, str]) -> None:
        names = [name for name in {**self._run, **run} if run.get(name) != self._run.get(name)]
        if names:
            differences = [
                f"{name} ({textwrap.shorten(run.get(name, 'none'), 40)}, now "
                f"{textwrap.shorten(self._run.get(name, 'none'), 40)})"
                # Another part has other arguments.
                for name in names
                if name.partition("__")[0] == name or name.partition("__")[0] not in names
            ]
            raise ValueError(
                f"checkpoint_dir={os.fspath(self.folder)!r} holds a run that differs in {', '.join(differences)}: "
                "go on with what that run had, delete the folder, name another, or put '{run}' into the name, "
                "which gives each run a folder of its own"
            )

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Raise a ValueError of ours for whatever torch and callbacks say of a state that is not theirs."""
        try:
            yield
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(
                f"checkpoint_dir={os.fspath(self.folder)!r} holds a checkpoint that does not fit this run "
                f"({textwrap.shorten(str(error), 80)}). Delete the folder, or choose another."
            ) from error

    def _check_ranks(self, state: Mapping[str, Any] | None) -> None:
        steps = world.gather(torch.tensor([-1 if state is None else state["step"]])).tolist()
        if len(set(steps)) > 1:
            found = ["none" if step < 0 else f"step {step}" for step in steps]
            raise ValueError(
                f"checkpoint_dir={os.fspath(self.folder)!r} holds another checkpoint for some ranks than for others, "
                f"by rank {', '.join(found)}: give a folder that all machines share, or copy it to all"
            )

    def _write(self, net: NeuralNet) -> None:
        state = {
            "run": self._run,
            "finished": self._finished,
            "step": net.step_,
            "module": net.module_.state_dict(),
            "trained": [name for name, parameter in net.module_.named_parameters() if parameter.requires_grad],
            "optimizer": net.optimizer_.state_dict(),
            "scaler": net.scaler_.state_dict(),
            "history": _plain(net.history.to_list()),
            "callbacks": {name: _attributes(callback) for name, callback in net.callbacks_},
        }
        try:
            write(self._path / f"step-{net.step_:09d}.checkpoint", state)
        except OSError as error:
            warnings.warn(f"training goes on without this checkpoint: {error}", UserWarning, stacklevel=2)
        self._written = time.monotonic()

    def _restore(self, net: NeuralNet, state: dict[str, Any]) -> None:
        _restore_parts(net, state)
        net.step_ = state["step"]
        net.history_[:] = state["history"]
        self._finished = state["finished"]
        if self._finished:
            raise StopTraining
        # The epoch goes on: it begins once more, with the batches that it has had.
        self._running = net.history_.pop()
        self._resumed = state


def _restore_parts(net: NeuralNet, state: Mapping[str, Any]) -> None:
    net.module_.load_state_dict(state["module"])
    # Earlier versions did not save what a callback had frozen.
    if (trained := state.get("trained")) is not None:
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_(name in trained)
    net.optimizer_.load_state_dict(state["optimizer"])
    net.scaler_.load_state_dict(state["scaler"])
    for name, callback in net.callbacks_:
        vars(callback).update(state["callbacks"].get(name, {}))


# -- what tells one run from another --------------------------------------------------------------


def identity(net: NeuralNet, samples: Samples, described: Mapping[str, str]) -> dict[str, str]:
    """Return, by name, what has to be the same for a run to go on as it would have.

    Parameters
    ----------
    net : before its first step.
    samples : what it is trained on; of many rows only some are looked at.
    described : the plan in words.
    """
    n_samples = len(samples)
    telling = np.unique(np.linspace(0, n_samples - 1, min(n_samples, _N_TELLING_ROWS)).astype(np.int64))
    return {
        "format": "2",
        **described,
        "device": torch.device(net.device).type,
        "data": fingerprint({"rows": samples[telling], "groups": samples.groups, "n_samples": n_samples}),
        "weights at the start": fingerprint({**net.module_.state_dict(), "step": net.step_}),
    }


def fingerprint(values: Mapping[str, Any]) -> str:
    """Hash named values: tensors, arrays, plain parts, dictionaries and lists of them; anything else as it prints."""
    digest = hashlib.sha256()
    for name, value in values.items():
        digest.update(f"{name}\0".encode())
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            value = torch.from_numpy(np.array(value, value.dtype.newbyteorder("=")))
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif (entries := _entries(value)) is not None:
            digest.update(f"{type(value).__name__} {fingerprint(entries)}".encode())
        else:
            digest.update(in_words(value).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _entries(value: Any) -> Mapping[str, Any] | None:
    """Return the values that a container holds, by name or place; None for what is none."""
    if isinstance(value, Plain):
        return value.state()
    if isinstance(value, nn.Module):
        return {"": repr(value), **value.state_dict()}
    if isinstance(value, Mapping):
        return {f"{place} {key!r}": entry for place, (key, entry) in enumerate(value.items())}
    if isinstance(value, list | tuple | np.ndarray):
        return {str(place): entry for place, entry in enumerate(value)}
    return None


# -- files ----------------------------------------------------------------------------------------


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, and delete all but the last in its folder.

    Raises
    ------
    OSError : where the disk is full, say; the checkpoints before are as they were.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    # A link of somebody else's must not choose what is overwritten.
    with replacing(path, follow=False) as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)
    # One that is damaged may have a higher number, and would outlive this one.
    others = [other for other in _newest_first(path.parent) if other != path]
    for old in others[_N_KEPT - 1 :]:
        old.unlink(missing_ok=True)


def read_newest(folder: Path) -> dict[str, Any] | None:
    """Read the newest checkpoint that is whole, on the CPU and without running code; None where there is none.

    Raises
    ------
    ValueError : if its content is whole but not a checkpoint's.
    """
    for path in _newest_first(folder):
        content = path.read_bytes()
        if hashlib.sha256(content[_DIGEST_BYTES:]).digest() == content[:_DIGEST_BYTES]:
            return _load(path, content[_DIGEST_BYTES:])
        warnings.warn(f"{path} is damaged and left out: going on from before it", UserWarning, stacklevel=2)
    return None


def _load(path: Path, content: bytes) -> dict[str, Any]:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle have errors of their own.
        raise ValueError(
            f"{path} is not a checkpoint: weights-only loading fails ({type(error).__name__}). Delete it, or choose "
            "another checkpoint_dir."
        ) from error
    if not _is_state(state):
        raise ValueError(f"{path} is not a checkpoint of skclr. Delete it, or choose another checkpoint_dir.")
    return state


def _is_state(state: Any) -> bool:
    """Return whether a value has what `Checkpoints` writes, by name and type."""
    if not isinstance(state, dict) or not all(type(state.get(name)) in kinds for name, kinds in _STATE.items()):
        return False
    texts = all(isinstance(value, str) for value in state["run"].values())
    return texts and all(isinstance(epoch, dict) and "batches" in epoch for epoch in state["history"])


def _newest_first(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder; what is not a file, and what has another name, is none."""
    steps = {path: _NAME.fullmatch(path.name) for path in folder.iterdir() if path.is_file()}
    found = [(int(step[1]), path) for path, step in steps.items() if step is not None]
    return [path for _, path in sorted(found, reverse=True)]


# -- what a file may hold -------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Give numbers, texts and tensors, and dictionaries and lists of them; a TypeError for anything else."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str | Tensor):
        return value
    raise TypeError(f"history holds {value!r}, which no checkpoint can: record numbers or texts")


def _attributes(callback: Callback) -> dict[str, Any]:
    """Give what a callback has learned, by scikit-learn's convention, as far as it is plain."""
    state = {}
    for name, value in vars(callback).items():
        if name.endswith("_"):
            with suppress(TypeError):
                state[name] = _plain(value)
    return state
