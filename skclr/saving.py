"""Fitted models as files of plain values and tensors, which do not run code when they are read."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from skclr.balance import Balance
from skclr.bounded import LARGEST_ACTIVATIONS, TooLargeError, bounded
from skclr.build import build_encoder, build_framework, build_net
from skclr.data.indexing import Indexing
from skclr.encoders import ENCODERS, Encoder, Preprocessed
from skclr.files.atomic import replacing
from skclr.files.format import Missing, ModelFileError, Reader, from_bytes, is_plain, read_file, to_bytes
from skclr.files.plain import check_learned_array
from skclr.frameworks import BY_CLASS, FRAMEWORKS, Framework
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, Modality, NGrams, PlainFeatures, SparsePlainFeatures
from skclr.modalities.categories import Categories
from skclr.modalities.kernels import RandomKernels
from skclr.modalities.radial import RadialFeatures
from skclr.modalities.text import TOKENIZERS
from skclr.modalities.tfidf import TfIdf
from skclr.modalities.tokenizers import OfModel
from skclr.model import InputFeatures, Model, Reading
from skclr.parameters import admission, check_parameters
from skclr.part_choices import choose_network, filled, is_auto, left_open, with_pretrained
from skclr.plan import Part, Plan
from skclr.planning import device_or_cpu, plan_fit
from skclr.randomness import LocalGenerators
from skclr.roles import Admission, NeededError, object_of
from skclr.training import OPTIMIZERS, ContrastiveNet, MomentumSGD, undisturbed
from skclr.views import VIEWS, Views

# The classes that a file may name.
CLASSES: dict[str, type] = {
    part.__name__: part
    for parts in (
        *(r.values() for r in (ENCODERS, FRAMEWORKS, LOSSES, MODALITIES, OPTIMIZERS, TOKENIZERS, VIEWS)),
        (
            Balance,
            Categories,
            MomentumSGD,
            NGrams,
            OfModel,
            PlainFeatures,
            RadialFeatures,
            RandomKernels,
            SparsePlainFeatures,
            TfIdf,
            *BY_CLASS,
        ),
        (part for part in vars(torch.optim).values() if isinstance(part, type)),
    )
    for part in parts
}

# Largest number of values of a view, if the sample itself is smaller.
_LARGEST_VIEW = 2**18
# Limit for a network that only parameters describe.
_MOST_CALLS = 100_000
# Attributes that scikit-learn's validation records about X.
_RECORDED = ("n_features_in_", "feature_names_in_")


@undisturbed()
def save(model: Model, parameters: Mapping[str, Any], path: str | os.PathLike[str], *, optimizer: bool = True) -> None:
    """Write a model to a file that holds no code; see `ContrastiveEmbedder.save`.

    Parameters
    ----------
    parameters : current parameters of the estimator.
    """
    then = model.parameters
    changed = {name: value for name, value in parameters.items() if not _is_same(value, then[name])}
    content = Content(
        fitted_with={name: _plain_or_missing(value) for name, value in then.items()},
        changed={name: _plain_or_missing(value) for name, value in changed.items()},
        recorded=vars(model.reading.features_in).copy(),
        modality=model.modality,
        n_samples=model.n_samples,
        given_views=model.takes_views,
        net=model.net.state(optimizer=optimizer),
        plan={name: value for name, value in left_open(model.plan, then).items() if is_plain(value, CLASSES)},
        balance=model.balance,
    )
    raw = to_bytes(vars(content), CLASSES)
    with replacing(path) as file:
        file.write(raw)


@undisturbed()
def load(
    path: str | os.PathLike[str], given: Mapping[str, Any], trust: Collection[str], defaults: Mapping[str, Any]
) -> tuple[Model, dict[str, Any]]:
    """Read a model from a file; see `skclr.load`.

    Parameters
    ----------
    given : parameters that replace those in the file.
    defaults : defaults of all parameters, for those added since the file was written.

    Returns
    -------
    The model, and the parameters that were changed after its fit.
    """
    admitted = admission(with_pretrained(given), trust)
    try:
        loaded = _from_bytes(read_file(path), admitted, defaults)
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)} cannot be loaded: {error}") from error
    _warn_left_out(admitted.left_out)
    return loaded


def _from_bytes(raw: bytes, admission: Admission, defaults: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
    tree, tensors = from_bytes(raw)
    reader = Reader({}, tensors)
    given = admission.given
    with _one_error():
        content = Content(**reader.inert(tree))
        _check_content(content)
        modality = admission.modality(content.modality)
        balance = object_of({"Balance": Balance})(content.balance, admission)
        shape = modality.base_modality.shape_
        if content.recorded.get("n_features_in_", n := math.prod(shape)) != n:
            raise ValueError(f"samples of shape {shape} were not read from rows of another length")
        then = {**defaults, **admission.parameters(content.fitted_with), **given}
        changed = admission.parameters(content.changed)
        settled = admission.parameters(content.plan)
        # If a part is replaced, its arguments are too.
        settled = {name: value for name, value in settled.items() if name.removesuffix("_params") not in given}
    _ask_for_missing({**then, **changed, **settled})
    with _one_error():
        now = {**then, **changed}
        if reader.tensors or now.keys() != defaults.keys():
            raise ValueError("it has tensors or parameters that belong to no part")
        as_settled = filled(then, settled)
        for parameters in (then, now, as_settled):
            check_parameters(parameters)
        content = replace(content, modality=modality)
        plan = _plan_of(as_settled, content, device_or_cpu(now["device"]), given)
        if plan.modality.make is not modality.kind and "modality" not in given:
            raise ValueError(f"{type(modality).__name__} is another modality than that of the fit")
        saved = {name: "as in the fit that was saved" for name in settled if is_auto(then[name])}
        plan = replace(plan, sources={**plan.sources, **saved})
        # A user-defined encoder draws initial weights, which are replaced by those in the file.
        with LocalGenerators(0):
            framework = _rebuild_framework(plan, content, given)
            _check_changed(now, plan, modality, given)
        net = _rebuild_net(plan, content, framework, given)
        net.module_.eval()
        features_in = InputFeatures()
        for name, value in content.recorded.items():
            setattr(features_in, name, value)
        model = Model.of(then, Reading(modality, features_in), net, content.n_samples)
        if balance is not None:
            check_learned_array("balance", balance.mean_, (model.encoder.out_features,), torch.float32)
        return replace(model, balance=balance if model.n_plain else None), changed


@dataclass(frozen=True)
class Content:
    """The content of a file.

    Parameters
    ----------
    fitted_with : parameters at the time of the fit.
    changed : parameters that were set after the fit.
    recorded : attributes that scikit-learn's validation recorded about X.
    modality : fitted modality.
    n_samples : number of training samples.
    given_views : whether X contained the views.
    net : result of `ContrastiveNet.state`.
    plan : values chosen for "auto" parameters in the fit; empty in files of earlier versions.
    balance : balance of the model; None in files of earlier versions.
    """

    fitted_with: dict[str, Any]
    changed: dict[str, Any]
    recorded: dict[str, Any]
    modality: Modality
    n_samples: int
    given_views: bool
    net: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)
    balance: Any = None


def _is_same(value: Any, before: Any) -> bool:
    """Return whether a parameter is unchanged since the fit, which stores copies of dictionaries."""
    if isinstance(value, dict) and isinstance(before, dict):
        return value.keys() == before.keys() and all(value[name] is before[name] for name in value)
    return value is before


def _plain_or_missing(value: Any) -> Any:
    return value if is_plain(value, CLASSES) else Missing(type(value).__name__)


def _ask_for_missing(parameters: dict[str, Any]) -> None:
    missing = {name: value.kind for name, value in parameters.items() if isinstance(value, Missing)}
    if missing:
        kinds = ", ".join(f"{name} (a {kind})" for name, kind in missing.items())
        arguments = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"the model was saved without its {kinds}. Pass what a file cannot contain: load(path, {arguments})"
        )


def _warn_left_out(left_out: dict[str, str]) -> None:
    if left_out:
        arguments = ", ".join(f"{name}=..." for name in dict.fromkeys(left_out.values()))
        warnings.warn(
            f"load left out {', '.join(left_out)}, since files may not set paths, programs or objects. Pass what a "
            f"later fit needs: load(path, {arguments})",
            UserWarning,
            stacklevel=5,
        )


def _check_content(content: Content) -> None:
    """Raise a ValueError unless numbers, names and the history are valid."""
    net, names = content.net, content.recorded.get("feature_names_in_", np.array([]))
    n_features = content.recorded.get("n_features_in_", 0)
    if content.recorded.keys() - set(_RECORDED) or type(n_features) is not int:
        raise ValueError("n_features_in_ is not a number")
    if not isinstance(names, np.ndarray) or not all(isinstance(name, str) for name in names):
        raise ValueError("feature_names_in_ contains values that are not names")
    if len(names) not in (0, n_features):
        raise ValueError(f"feature_names_in_ has {len(names)} names for {n_features} columns")
    if type(content.n_samples) is not int or content.n_samples >= 2**63 or type(content.given_views) is not bool:
        raise ValueError("n_samples or given_views has another type")
    if not 1 <= net["batch_size"] <= content.n_samples:
        raise ValueError(f"a batch of {net['batch_size']} has more than the {content.n_samples} samples")


@contextmanager
def _one_error() -> Iterator[None]:
    """Raise a ModelFileError for any error of a part about settings or a state that do not fit."""
    try:
        yield
    except (ModelFileError, NeededError, ImportError):
        raise
    except Exception as error:
        raise ModelFileError(f"its parts do not fit together ({type(error).__name__}: {error})") from error


# -- rebuilding the net ---------------------------------------------------------------------------


def _plan_of(then: Mapping[str, Any], content: Content, device: torch.device, given: Collection[str]) -> Plan:
    """Return the plan of the fit in a file, for a device of this machine.

    Parameters
    ----------
    then : parameters at the time of the fit.
    content : content of the file.
    device : device of the net.
    given : names of the parameters passed by the user.
    """
    net = content.net
    # The values chosen at that time, since "auto" may mean something else now.
    settled = {**then, "batch_size": net["batch_size"], "max_epochs": net["max_epochs"]}
    if "net_params" not in given:
        # Compilation is left to the next fit.
        settled["compile"] = False
    facts = {"seed": net["seed"], "given": content.given_views, "endless": net["endless"]}
    return plan_fit(settled, content.modality, content.n_samples, device, **facts)


def _rebuild_framework(plan: Plan, content: Content, given: Collection[str]) -> Framework:
    """Build encoder and framework for weights from a file.

    They are first built without memory, so that no size named in a file is allocated before it is known to match a
    tensor in the file.

    Parameters
    ----------
    plan : plan of the fit.
    content : content of the file.
    given : names of the parameters passed by the user, which may include an encoder built from files.
    """
    weights = content.net["module"]
    n_bytes = sum(weight.nbytes for weight in weights.values())
    encoder = plan.encoder
    if encoder.instance is not None or "encoder_params" in given:
        encoder = Part(Preprocessed, instance=build_encoder(encoder, content.modality))
    elif isinstance(encoder.make, type) and issubclass(encoder.make, Encoder):
        encoder = replace(encoder, arguments=encoder.make.without_fetching(dict(encoder.arguments)))
    parts = (plan.framework, encoder, plan.loss, plan.freeze)
    framework = _without_memory(*parts, content.modality, n_calls=1_000 + 100 * len(weights), n_bytes=4 * n_bytes)
    planned = framework.state_dict()
    if planned.keys() != weights.keys():
        raise ValueError(f"weights belong to other parts: {', '.join(sorted(planned.keys() ^ weights.keys())[:3])}")
    for name, value in planned.items():
        check_learned_array(name, weights[name], value.shape, value.dtype)
    framework.load_state_dict(weights, assign=True)
    for module in framework.modules():
        if isinstance(module, Indexing):
            module.check_indices()
    return framework


def _without_memory(
    framework: Part,
    encoder: Part,
    loss: Part | None,
    freeze: int | str,
    modality: Modality,
    *,
    n_calls: int,
    n_bytes: int,
) -> Framework:
    """Build encoder and framework on the meta device, within the bounds of `bounded`."""
    with bounded(n_calls=n_calls, n_bytes=n_bytes):
        return build_framework(framework, encoder, loss, freeze, modality.on_meta())


def _check_changed(now: Mapping[str, Any], plan: Plan, modality: Modality, given: Collection[str]) -> None:
    """Raise a ValueError if the parameters describe another network than that of the fit, beyond all bounds.

    They may have been set after the fit, or mean something else now. Whether they suit the data is checked by the next
    fit.
    """
    if "encoder" in given:
        return
    try:
        network = {name: part for name, (part, _) in choose_network(now, modality).items()}
        if all(part == getattr(plan, name) for name, part in network.items()):
            return
        framework = _without_memory(**network, freeze=now["freeze"], modality=modality, n_calls=_MOST_CALLS, n_bytes=0)
    except TooLargeError:
        raise
    except Exception:
        return
    if sum(weight.nbytes for weight in framework.state_dict().values()) > LARGEST_ACTIVATIONS:
        raise TooLargeError("the parameters that were set after the fit make a network of more than 1 GiB")


def _rebuild_net(plan: Plan, content: Content, framework: Framework, given: Collection[str]) -> ContrastiveNet:
    net = build_net(plan, framework, content.modality)
    _check_views(net.view_maker, content.modality, given)
    net.set_state(content.net)
    return net


def _check_views(maker: Views, modality: Modality, given: Collection[str]) -> None:
    """Raise a ValueError if one view of a small sample would be large."""
    if not {"views", "views_params"} & set(given):
        most = max(_LARGEST_VIEW, 4 * math.prod(modality.shape_))
        n_values = maker.n_values(modality.shape_)
        if n_values > most:
            raise TooLargeError(f"one view would take {n_values:,} values, more than {most:,}")
