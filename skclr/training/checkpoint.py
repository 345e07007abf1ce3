"""Checkpoints: the state of a run in a file, from which the same call resumes after a crash."""

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

from skclr.data.samples import SampleTensors
from skclr.files.atomic import make_folder, replacing
from skclr.files.plain import Plain
from skclr.plan import in_words
from skclr.ranks.collectives import world
from skclr.ranks.process_group import broadcast
from skclr.training.interruption import StopTraining

_N_KEPT = 2
_NAME = re.compile(r"step-(\d{9,18})\.checkpoint", re.ASCII)
# The content of a checkpoint: names and types.
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
# Number of evenly spaced rows by which data are recognised; reading all rows of a mapped file would take minutes.
_N_COMPARED_ROWS = 1_024


class Checkpoints(Callback):
    """Save the run every few minutes and at its end, and resume from the last checkpoint; only rank 0 saves.

    Must be the last callback, so that it restores the state of the others after they begin, and saves what they
    recorded.

    Parameters
    ----------
    folder : folder of one run; "{run}" in it is replaced by a name derived from the run's settings and data.
    minutes : time between two checkpoints; 0 writes one after every step.
    plan : settings that identify the run, by name, in words; data and initial weights are added.
    """

    def __init__(self, folder: str | os.PathLike[str], minutes: float, plan: Mapping[str, str]) -> None:
        self.folder = folder
        self.minutes = minutes
        self.plan = plan

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self._run = run_identity(net, X, self.plan)
        self._path = make_folder(os.fspath(self.folder).replace("{run}", fingerprint(self._run)[:16]), "checkpoint_dir")
        for unfinished in self._path.glob(".step-*.tmp"):
            # Left by a process killed while writing. In a read-only folder they stay, and resuming still works.
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
            with self._readable_errors():
                self._restore(net, state)

    def on_epoch_begin(
        self, net: NeuralNet, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        if self._resumed is not None:
            # Callbacks have begun this epoch again, but had already done so before the checkpoint.
            _restore_parts(net, self._resumed)
            self._resumed = None
        net.history[-1].update(self._running)
        self._running = {}

    def on_batch_end(self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if not training:
            return
        # The clock of rank 0 decides. All ranks read their losses, since divergence on one ends the run on all.
        if net.interrupted_ or broadcast(time.monotonic() - self._written >= 60 * self.minutes):
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
                # If a part differs, its arguments differ anyway.
                for name in names
                if name.partition("__")[0] == name or name.partition("__")[0] not in names
            ]
            raise ValueError(
                f"checkpoint_dir={os.fspath(self.folder)!r} holds a run that differs in {', '.join(differences)}. "
                "Set them back, delete the folder, choose another, or put '{run}' into its name, which gives each run "
                "its own folder."
            )

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Raise a ValueError for any error of torch or of callbacks about a state that does not fit."""
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
                f"checkpoint_dir={os.fspath(self.folder)!r} holds different checkpoints on different ranks, "
                f"by rank {', '.join(found)}. Use a folder that all machines share, or copy it to all."
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
            warnings.warn(f"training continues without this checkpoint: {error}", UserWarning, stacklevel=2)
        self._written = time.monotonic()

    def _restore(self, net: NeuralNet, state: dict[str, Any]) -> None:
        _restore_parts(net, state)
        net.step_ = state["step"]
        net.history_[:] = state["history"]
        self._finished = state["finished"]
        if self._finished:
            raise StopTraining
        # The epoch is begun again, with the batches that it already had.
        self._running = net.history_.pop()
        self._resumed = state


def _restore_parts(net: NeuralNet, state: Mapping[str, Any]) -> None:
    net.module_.load_state_dict(state["module"])
    # Earlier versions did not save which parameters a callback had frozen.
    if (trained := state.get("trained")) is not None:
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_(name in trained)
    net.optimizer_.load_state_dict(state["optimizer"])
    net.scaler_.load_state_dict(state["scaler"])
    for name, callback in net.callbacks_:
        vars(callback).update(state["callbacks"].get(name, {}))


# -- the identity of a run -----------------------------------------------------------------------


def run_identity(net: NeuralNet, samples: SampleTensors, described: Mapping[str, str]) -> dict[str, str]:
    """Return, by name, what must be the same for a run to be resumed exactly.

    Parameters
    ----------
    net : the net before its first step.
    samples : training samples; if there are many rows, only some are compared.
    described : the plan in words.
    """
    n_samples = len(samples)
    compared = np.unique(np.linspace(0, n_samples - 1, min(n_samples, _N_COMPARED_ROWS)).astype(np.int64))
    return {
        "format": "2",
        **described,
        "device": torch.device(net.device).type,
        "data": fingerprint({"rows": samples[compared], "groups": samples.groups, "n_samples": n_samples}),
        "weights at the start": fingerprint({**net.module_.state_dict(), "step": net.step_}),
    }


def fingerprint(values: Mapping[str, Any]) -> str:
    """Hash named values: tensors, arrays, plain parts, dictionaries and lists of them; anything else by its repr."""
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
    """Return the values of a container by name or index; None if it is not a container."""
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
    """Write a checkpoint, and delete all others in its folder except the newest.

    Raises
    ------
    OSError : for example if the disk is full; earlier checkpoints are unchanged.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    # A symbolic link placed by someone else must not determine which file is overwritten.
    with replacing(path, follow=False) as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)
    # A damaged checkpoint may have a higher number, and would otherwise be kept instead of this one.
    others = [other for other in _newest_first(path.parent) if other != path]
    for old in others[_N_KEPT - 1 :]:
        old.unlink(missing_ok=True)


def read_newest(folder: Path) -> dict[str, Any] | None:
    """Read the newest intact checkpoint, on the CPU and without running code; None if there is none.

    Raises
    ------
    ValueError : if its content is intact but not that of a checkpoint.
    """
    for path in _newest_first(folder):
        content = path.read_bytes()
        if hashlib.sha256(content[_DIGEST_BYTES:]).digest() == content[:_DIGEST_BYTES]:
            return _load(path, content[_DIGEST_BYTES:])
        warnings.warn(
            f"{path} is corrupt and was ignored: training resumes from an earlier state", UserWarning, stacklevel=2
        )
    return None


def _load(path: Path, content: bytes) -> dict[str, Any]:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile and pickle raise errors of their own.
        raise ValueError(
            f"{path} is not a checkpoint: weights-only loading fails ({type(error).__name__}). Delete it, or choose "
            "another checkpoint_dir."
        ) from error
    if not _is_state(state):
        raise ValueError(f"{path} is not a checkpoint of skclr. Delete it, or choose another checkpoint_dir.")
    return state


def _is_state(state: Any) -> bool:
    """Return whether a value has the names and types that `Checkpoints` writes."""
    if not isinstance(state, dict) or not all(type(state.get(name)) in kinds for name, kinds in _STATE.items()):
        return False
    texts = all(isinstance(value, str) for value in state["run"].values())
    return texts and all(isinstance(epoch, dict) and "batches" in epoch for epoch in state["history"])


def _newest_first(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first; ignore folders and other names."""
    steps = {path: _NAME.fullmatch(path.name) for path in folder.iterdir() if path.is_file()}
    found = [(int(step[1]), path) for path, step in steps.items() if step is not None]
    return [path for _, path in sorted(found, reverse=True)]


# -- plain values ---------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return numbers, strings, tensors, and dictionaries and lists of them; raise a TypeError for anything else."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str | Tensor):
        return value
    raise TypeError(f"history contains {value!r}, which cannot be saved in a checkpoint. Record numbers or strings.")


def _attributes(callback: Callback) -> dict[str, Any]:
    """Return the plain fitted attributes of a callback, which end in an underscore."""
    state = {}
    for name, value in vars(callback).items():
        if name.endswith("_"):
            with suppress(TypeError):
                state[name] = _plain(value)
    return state
