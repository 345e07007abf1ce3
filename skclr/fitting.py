"""Training of a model from the parameters of an estimator and its data."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from skclr.build import build_samples, build_untrained
from skclr.data import Rows
from skclr.modalities import check_two_samples
from skclr.model import LEFT_OUT, Model, Reading
from skclr.parameters import check_parameters
from skclr.part_choices import shows_given, with_pretrained
from skclr.plan import Plan
from skclr.planning import (
    check_freeze,
    check_precision,
    check_ranks_alike,
    check_settled,
    choose_device,
    plan_fit,
    result_choices,
)
from skclr.randomness import draw_seed
from skclr.ranks.collectives import world
from skclr.training import (
    Checkpoints,
    SampleTensors,
    broadcast,
    check_length,
    handle_ctrl_c,
    is_out_of_memory,
    release_tensors,
    row_groups,
)


def train(
    parameters: Mapping[str, Any],
    X: Any,
    y: Any = None,
    groups: Any = None,
    unlabeled: Any = None,
    *,
    before: Model | None = None,
    endless: bool = False,
    watched: Callable[[Model, Any], AbstractContextManager[None]] = lambda model, X: nullcontext(),
) -> Model:
    """Train a model.

    Parameters
    ----------
    parameters : parameters of the estimator.
    X, y, groups, unlabeled : as for its `fit`.
    before : model whose reading and weights training starts from; it is not changed.
    endless : whether X is one part of a stream.
    watched : function from the model and X to a context in which the model is trained.

    Raises
    ------
    ValueError : for data and parameters that cannot be used.
    MemoryError : if training does not fit into memory; the message says what to lower.
    """
    with out_of_memory_explained():
        check_parameters(parameters)
        parameters = with_pretrained(parameters)
        rows = Rows.of(X, paired=shows_given(parameters["views"]))
        if before is None:
            more = 0 if unlabeled is None else len(Rows.of(unlabeled, paired=shows_given(parameters["views"])))
            reading, first = Reading.of(rows, parameters, math.inf if endless else len(rows) + more)
        else:
            reading = before.reading
            first = reading.rows(rows.sides[0])
        sides = [first, *map(reading.rows, rows.sides[1:])]
        device = choose_device(parameters["device"])
        samples = samples_to_fit(reading, sides, parameters, device, y, groups, unlabeled)
        model = begin(parameters, reading, samples, given=rows.n_views > 1, endless=endless, before=before)
        if (groups is not None or parameters["positives"] == "labels") and not model.net.module_.uses_groups:
            raise ValueError(
                f"framework={parameters['framework']!r} does not use labels or groups. Set positives='views' and "
                "pass no groups, or use simclr, moco or nnclr."
            )
        if before is None:
            check_freeze(model.plan)
            check_precision(model.plan)
        else:
            model.net.continue_from(before.net, optimizer=endless)
        with watched(model, rows.as_given()):
            run(model, samples)
        if endless and before is not None and before.balance is not None:
            # Columns of a stream keep their meaning in all parts.
            return replace(model, balance=before.balance)
        share = model.share_of_weight(samples)
        model = model.balanced(
            samples if len(sides) == 1 else build_samples(sides[:1], reading.modality, device), share
        )
        if parameters["verbose"] and world.rank == 0 and not model.n_learned:
            sys.stderr.write(f"{LEFT_OUT.format(n=len(samples))}\n")
        return model


def samples_to_fit(
    reading: Reading,
    sides: list[Any],
    parameters: Mapping[str, Any],
    device: torch.device,
    y: Any,
    groups: Any = None,
    unlabeled: Any = None,
) -> SampleTensors:
    """Return the samples of all rows, with their positive groups.

    Parameters
    ----------
    sides : rows of each view in X, as `reading` returns them.
    """
    n_samples, by_label = sides[0].shape[0], parameters["positives"] == "labels"
    if y is not None:
        check_length("y", y, n_samples)
    elif by_label:
        raise ValueError("positives='labels' needs y. Call fit(X, y), or set positives='views'.")
    if unlabeled is not None:
        more = Rows.of(unlabeled, paired=shows_given(parameters["views"]))
        if more.n_views != len(sides):
            raise ValueError(f"unlabeled has {more.n_views} view(s), but X has {len(sides)}. Pass the same number.")
        with _naming_the_argument("unlabeled"):
            joined = [reading.rows(side) for side in more.sides]
        sides = [reading.modality.join(*parts) for parts in zip(sides, joined, strict=True)]
    ids = None
    if by_label or groups is not None:
        ids = row_groups(n_samples, y if by_label else None, groups, n_extra=sides[0].shape[0] - n_samples)
    samples = build_samples(sides, reading.modality, device, ids)
    check_two_samples(samples)
    handle_ctrl_c()
    return samples


def begin(
    parameters: Mapping[str, Any],
    reading: Reading,
    samples: SampleTensors,
    *,
    given: bool,
    endless: bool = False,
    before: Model | None = None,
) -> Model:
    """Return the untrained model for training on the samples.

    Parameters
    ----------
    given : whether X holds several views of each sample.
    before : model that the fit continues; its plan must have the same parts.
    """
    # Dictionaries are copied, since the user may change them in place later.
    parameters = {name: dict(value) if isinstance(value, dict) else value for name, value in parameters.items()}
    if before is not None:
        check_settled(parameters, reading.modality, before.plan)
    seed = broadcast(draw_seed(parameters["random_state"]))
    facts: dict[str, Any] = {"seed": seed, "given": given, "endless": endless}
    plan = plan_fit(parameters, reading.modality, len(samples), samples.device, **facts)
    if world.size > 1:
        check_ranks_alike(plan)
    if (
        parameters["verbose"] > 1
        and world.rank == 0
        and not (endless and before and _equal_but_seed(plan, before.plan))
    ):
        sys.stderr.write(f"{plan!r}\n")
    checkpoints = None if endless else _checkpoints(parameters, plan)
    net = build_untrained(plan, reading.modality, verbose=parameters["verbose"], checkpoints=checkpoints)
    return Model.of(parameters, reading, net, len(samples))


def _equal_but_seed(plan: Plan, before: Plan) -> bool:
    """Return whether two plans are equal, except for the seed."""
    return replace(plan, random_state=before.random_state) == before


def run(model: Model, samples: SampleTensors) -> None:
    """Train a model on the samples, for the epochs of its plan."""
    if model.net.max_epochs:
        samples.to_device()
        model.net.partial_fit(samples)
    model.net.module_.eval()


def _checkpoints(parameters: Mapping[str, Any], plan: Plan) -> Checkpoints | None:
    folder = parameters["checkpoint_dir"]
    if folder is None:
        return None
    if parameters["random_state"] is None:
        raise ValueError(
            f"checkpoint_dir={folder!r} needs a fixed seed, since a repeated call could not resume with another one. "
            "Set random_state to a number."
        )
    return Checkpoints(folder, parameters["checkpoint_minutes"], result_choices(plan))


@contextmanager
def _naming_the_argument(argument: str) -> Iterator[None]:
    """Add the name of the argument to a modality's errors about samples that do not fit X."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{argument} does not fit X: {error}") from error


@contextmanager
def out_of_memory_explained() -> Iterator[None]:
    """Re-raise out-of-memory errors as a MemoryError that says what to lower."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        release_tensors(error)
        raise MemoryError(
            f"training does not fit into memory ({error}). Lower batch_size ('auto' is up to 256) or chunk_size (the "
            "encoder then processes a batch in chunks), set precision='bfloat16', make fewer views, or use a smaller "
            "encoder."
        ) from error
