"""From names, classes and objects to parts: which encoder, framework, loss, views and modality a fit has."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skclr.encoders import ENCODERS, Encoder, Preprocessed
from skclr.files.plain import Plain, as_python
from skclr.frameworks import FRAMEWORKS, Framework
from skclr.hints import REGISTRIES
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, Modality
from skclr.modalities.inferred import infer_modality
from skclr.parameters import check_arguments, look_up
from skclr.plan import Part, Plan, defaults_of, same, shown
from skclr.views import VIEWS, CallableViews, Views

# A choice, and where it came from; "" where the user made it.
Choice = tuple[Any, str]


def is_auto(value: Any) -> bool:
    """Compare with "auto" only strings: arrays and modules have an idea of their own of ==."""
    return isinstance(value, str) and value == "auto"


def choose_part(
    argument: str,
    part: Any,
    params: Mapping[str, Any] | None,
    given: tuple[str, ...] = (),
    facts: Mapping[str, Any] = {},
) -> Part:
    """Describe a part of which a class, a factory or an object is known.

    Parameters
    ----------
    argument : the estimator's parameter that the part was given as.
    part : class, factory or object; not a name.
    params : the user's `<argument>_params`.
    given : names of the first arguments, which the estimator itself passes.
    facts : of the data, which fill in what the user left open.

    Raises
    ------
    ValueError : for arguments that the part does not take, or that are missing.
    """
    if _is_object(argument, part, params):
        return _described(part, facts)
    arguments = as_python(dict(params or {}))
    known = [name for name in facts if name not in arguments or same(arguments[name], facts[name])]
    check_arguments(argument, part, arguments, given=given, filled_in=known)
    filled = {**defaults_of(part), **arguments}
    return Part(
        part, {n: v for n, v in filled.items() if n not in (*given, *known)}, facts={n: shown(facts[n]) for n in known}
    )


def _is_object(argument: str, part: Any, params: Mapping[str, Any] | None) -> bool:
    """Return whether a part is an object, and no class or factory; an object takes no more parameters."""
    if isinstance(part, type) or not callable(part):
        return False
    if params:
        raise ValueError(
            f"{argument}_params={params} came with an object as {argument}: set them on the object, "
            f"or give {argument} by name or class"
        )
    return True


def _described(part: Any, facts: Mapping[str, Any]) -> Part:
    """Describe an object by its class and arguments where they say all of it."""
    make, names = type(part), inspect.signature(type(part)).parameters
    if not isinstance(part, Plain) or vars(part).keys() != set(names):
        return Part(make, instance=part)
    defaults = defaults_of(make)
    arguments = as_python(part.state())
    known = [
        name for name, fact in facts.items() if same(arguments[name], defaults.get(name)) or same(arguments[name], fact)
    ]
    return Part(make, {n: v for n, v in arguments.items() if n not in known}, facts={n: shown(facts[n]) for n in known})


def accepted_facts(part: Any, modality: Modality) -> dict[str, Any]:
    """Return the facts of the data that an encoder or a view maker declares in `facts` and its constructor accepts."""
    if not (isinstance(part, type) and issubclass(part, Encoder | Views)):
        return {}
    accepted = inspect.signature(part).parameters
    return {name: fact for name, fact in modality.facts().items() if name in part.facts and name in accepted}


def plan_modality(X: Any, modality: Any, params: Mapping[str, Any] | None) -> Part:
    """Choose how X is read."""
    if is_auto(modality):
        modality = infer_modality(X, params or {})
    return choose_part("modality", look_up("modality", modality, MODALITIES), params)


def choose_modality(modality: Any, params: Mapping[str, Any] | None, read_by: Modality) -> Choice:
    """Choose how X is read, once `read_by` has read it."""
    part = type(read_by.base_modality) if is_auto(modality) else look_up("modality", modality, MODALITIES)
    return choose_part("modality", part, params), "inferred from X" if is_auto(modality) else ""


def choose_network(parameters: Mapping[str, Any], modality: Modality) -> dict[str, Choice]:
    """Choose encoder, framework and loss."""
    p = parameters
    framework, loss = choose_framework(
        p["framework"], p["framework_params"], p["projection_dim"], p["loss"], p["loss_params"], modality
    )
    encoder = choose_encoder(p["encoder"], p["encoder_params"], modality)
    return {"encoder": encoder, "framework": framework, "loss": loss}


def choose_encoder(encoder: Any, params: Mapping[str, Any] | None, modality: Modality) -> Choice:
    """Choose the encoder; a fitted embedder brings its own."""
    part = find_encoder(encoder, modality)
    if isinstance(part, BaseEstimator):
        part = fitted_encoder(part)
    if isinstance(part, type):
        _check_samples(encoder, part, modality)
    # The shape of a sample is the first argument of every encoder.
    given = tuple(inspect.signature(part).parameters)[:1] if isinstance(part, type) else ()
    chosen = choose_part("encoder", part, params, given, accepted_facts(part, modality))
    return chosen, _source_of(modality) if is_auto(encoder) else ""


def find_encoder(encoder: Any, modality: Modality) -> Any:
    """Return the class that a name means, or the object that was given."""
    return look_up("encoder", modality.encoder if is_auto(encoder) else encoder, ENCODERS)


def sees_features(parameters: Mapping[str, Any], modality: Modality, n_samples: float, *, given: bool) -> bool:
    """Return whether the encoder learns from the plain features of samples, and not from the samples.

    Parameters
    ----------
    parameters : of the estimator, by name.
    modality : that has read the data.
    n_samples : to learn from.
    given : whether X holds several views of each sample.
    """
    encoder = parameters["encoder"]
    if not is_auto(encoder):
        part = ENCODERS.get(encoder) if isinstance(encoder, str) else encoder
        return bool(getattr(part, "sees_features", False))
    # Views and arguments that the user chose were meant for samples.
    is_open = is_auto(parameters["views"]) and not parameters["encoder_params"] and not given
    return is_open and n_samples <= modality.few_rows


def fitted_encoder(embedder: BaseEstimator) -> Preprocessed:
    """Return the encoder of a fitted embedder.

    Raises
    ------
    ValueError : if it has not been fitted.
    """
    try:
        check_is_fitted(embedder)
    except NotFittedError as error:
        raise ValueError(
            f"encoder={type(embedder).__name__}(...) has not been fitted: fit it first. Where it was, a clone "
            "forgot it, as in a search: give its encoder_ instead"
        ) from error
    fitted: Preprocessed = embedder.encoder_
    return fitted


def reading_of(encoder: Any) -> Any:
    """Return how the samples of a fitted encoder were read, None where `encoder` is none such."""
    part = fitted_encoder(encoder) if isinstance(encoder, BaseEstimator) else encoder
    # One that an earlier version has pickled does not know.
    return getattr(part, "reading", None) if isinstance(part, Preprocessed) else None


def _check_samples(encoder: Any, part: type, modality: Modality) -> None:
    """Raise a ValueError if an encoder of ours takes other samples than those that were read."""
    if not issubclass(part, Encoder):
        return
    with torch.device("meta"):
        # Shapes alone: a stranger's file may name any.
        planned = modality.on_meta()
        x = planned.preprocessing()(planned.example())

    def takes(part: type[Encoder]) -> bool:
        return part.tokens != x.is_floating_point() and part.n_dims in (None, x.ndim - 1)

    if not takes(part):
        what = "numbers" if x.is_floating_point() else "tokens"
        raise ValueError(
            f"encoder={encoder!r} takes no samples of shape {tuple(x.shape[1:])} of {what}, as X was read: choose one "
            f"of {', '.join(name for name, other in ENCODERS.items() if takes(other))}, or set modality"
        )


def choose_framework(
    framework: Any,
    params: Mapping[str, Any] | None,
    projection_dim: int | str,
    loss: Any,
    loss_params: Mapping[str, Any] | None,
    modality: Modality,
) -> tuple[Choice, Choice]:
    """Choose the framework, and the loss where it takes one."""
    part: type[Framework] = look_up("framework", framework, FRAMEWORKS)
    given = tuple(inspect.signature(part).parameters)[:1]
    preset = {} if is_auto(projection_dim) else {"projection_dim": projection_dim}
    chosen = choose_part("framework", part, {**preset, **(params or {})}, given)
    arguments = dict(chosen.arguments)
    # At "auto" the framework's own default serves, which has the paper's temperature too.
    default = arguments.pop("loss", None)
    objective: Choice = None if default is None else choose_part("loss", default, None), f"{part.__name__}'s own"
    if "loss" in (params or {}):
        objective = objective[0], ""
    elif not is_auto(loss) or loss_params:
        objective = choose_loss(framework, part, loss, loss_params, modality)
    elif default is not None and (changed := _loss_arguments(objective[0].make, modality)):
        objective = replace(objective[0], arguments={**objective[0].arguments, **changed}), _source_of(modality)
    return (Part(part, arguments), ""), objective


def _loss_arguments(part: Any, modality: Modality) -> Mapping[str, Any]:
    """Return the arguments that a modality sets of a loss."""
    return next((arguments for name, arguments in modality.loss_params.items() if LOSSES[name] is part), {})


def choose_loss(
    name: Any, framework: type[Framework], loss: Any, params: Mapping[str, Any] | None, modality: Modality
) -> Choice:
    """Choose the loss of a framework that takes one.

    Raises
    ------
    ValueError : if the framework has an objective of its own.
    """
    if framework.default_loss is None:
        takers = [other for other, part in FRAMEWORKS.items() if part.default_loss is not None]
        raise ValueError(
            f"loss={loss!r} with framework={name!r}: {framework.__name__} has an objective of its own, set "
            f"loss='auto' and its parameters by framework_params; a loss can be chosen for {', '.join(takers)}"
        )
    part = look_up("loss", framework.default_loss if is_auto(loss) else loss, LOSSES)
    if is_auto(loss):
        params = {**_loss_arguments(part, modality), **(params or {})}
    return choose_part("loss", part, params), f"{framework.__name__}'s own" if is_auto(loss) else ""


def choose_views(views: Any, params: Mapping[str, Any] | None, modality: Modality, *, given: bool) -> Choice:
    """Choose the view maker; a plain function is called once per view."""
    part = look_up("views", ("paired" if given else modality.views) if is_auto(views) else views, VIEWS)
    if given and not shows_given(part):
        raise ValueError(
            f"X holds several views of each sample, which views={views!r} would not use: set views='paired', and "
            "what should change them once more with views_params={'on_top': ...}"
        )
    source = "X holds the views" if given else _source_of(modality)
    if is_auto(views) and not given:
        params = {**modality.views_params, **(params or {})}
    if isinstance(part, Views | type):
        chosen = choose_part("views", part, params, facts=accepted_facts(_class_of(part), modality))
    else:
        chosen = choose_part("views", CallableViews, {"function": part, **(params or {})})
    return chosen, source if is_auto(views) else ""


def shows_given(views: Any) -> bool:
    """Return whether a `views` parameter, a name, a class or an object, shows the views that X holds."""
    part = VIEWS.get(views) if isinstance(views, str) else views
    return bool(getattr(part, "shows_given", False))


def _source_of(modality: Modality) -> str:
    return f"the default for {name_of(modality)} data"


def name_of(modality: Modality) -> str:
    """Return the name of a modality, in words."""
    return type(modality.base_modality).__name__.lower()


def _class_of(part: Any) -> type:
    return part if isinstance(part, type) else type(part)


# -- from parts back to parameters ----------------------------------------------------------------


def network_parameters(plan: Plan) -> dict[str, Any]:
    """Return the parameters of an estimator with the network of a plan, every choice made."""
    parameters: dict[str, Any] = {"projection_dim": "auto", "passthrough": plan.passthrough}
    for name in ("encoder", "framework", "loss"):
        part: Part | None = getattr(plan, name)
        if part is None:
            parameters |= {name: "auto", f"{name}_params": None}
        elif part.instance is not None:
            parameters |= {name: part.instance, f"{name}_params": None}
        else:
            parameters |= {name: part.make, f"{name}_params": dict(part.arguments)}
    return parameters


def left_open(plan: Plan, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan says of the parameters, and of the arguments of parts, that the user left open.

    `filled` puts them back, so that a model file means the same when defaults have changed. How X is read is for the
    modality to say, where training runs for the machine; arguments of optimisers are torch's.

    Parameters
    ----------
    plan : of the fit.
    parameters : with which it was planned.
    """
    settled: dict[str, Any] = {}
    for name, choice in plan.choices().items():
        if is_auto(parameters.get(name)) and choice is not None and name not in ("modality", "device"):
            settled[name] = choice.make if isinstance(choice, Part) else choice
    for name in ("encoder", "framework", "loss", "views"):
        part: Part | None = getattr(plan, name)
        # An object says itself what it is, and what is in no registry no file may describe.
        if not isinstance(parameters[name], str | type) or part is None or part.make not in REGISTRIES[name].values():
            continue
        if getattr(part.make, "package", None) is None:
            entries = {n: value for n, value in part.arguments.items() if n not in (parameters[f"{name}_params"] or {})}
            settled[f"{name}_params"] = _but_the_width(entries, parameters)
    return settled


def filled(parameters: Mapping[str, Any], settled: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters in which what the user left open is as it was settled; what is explicit stays."""
    values = dict(parameters)
    for name, value in settled.items():
        if isinstance(value, dict):
            if not isinstance(parameters[name.removesuffix("_params")], str | type):
                # An object has its arguments.
                continue
            values[name] = {**_but_the_width(value, parameters), **(parameters[name] or {})}
        elif is_auto(parameters[name]):
            values[name] = value
    return values


def _but_the_width(entries: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments without that which an explicit projection_dim sets."""
    return {n: value for n, value in entries.items() if n != "projection_dim" or is_auto(parameters["projection_dim"])}
