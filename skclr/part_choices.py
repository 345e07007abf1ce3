"""Choice of a fit's parts: encoder, framework, loss, views and modality, from names, classes and objects."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn

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

# A choice and its origin, which is "" if the user made it.
Choice = tuple[Any, str]


def is_auto(value: Any) -> bool:
    """Return whether a value is "auto"; only strings are compared, since arrays and modules define ==."""
    return isinstance(value, str) and value == "auto"


def choose_part(
    argument: str,
    part: Any,
    params: Mapping[str, Any] | None,
    given: tuple[str, ...] = (),
    facts: Mapping[str, Any] = {},
) -> Part:
    """Return the description of a part that is a class, a factory or an object.

    Parameters
    ----------
    argument : parameter of the estimator that received the part.
    part : class, factory or object; not a name.
    params : the user's `<argument>_params`.
    given : names of the first arguments, which the estimator itself passes.
    facts : facts about the data, used for arguments that the user left open.

    Raises
    ------
    ValueError : for unknown or missing arguments.
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
    """Return whether a part is an object instead of a class or factory; objects take no parameters."""
    if isinstance(part, type) or not callable(part):
        return False
    if params:
        raise ValueError(
            f"{argument}_params={params} cannot be used if {argument} is an object. Set them on the object, "
            f"or pass {argument} as a name or class."
        )
    return True


def _described(part: Any, facts: Mapping[str, Any]) -> Part:
    """Return the description of an object, by its class and arguments if they describe it completely."""
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
    """Return the facts about the data that an encoder or a view maker lists in `facts` and its constructor accepts."""
    if not (isinstance(part, type) and issubclass(part, Encoder | Views)):
        return {}
    accepted = inspect.signature(part).parameters
    return {name: fact for name, fact in modality.facts().items() if name in part.facts and name in accepted}


def plan_modality(X: Any, modality: Any, params: Mapping[str, Any] | None) -> Part:
    """Return the description of the modality that reads X."""
    if is_auto(modality):
        modality = infer_modality(X, params or {})
    return choose_part("modality", look_up("modality", modality, MODALITIES), params)


def choose_modality(modality: Any, params: Mapping[str, Any] | None, read_by: Modality) -> Choice:
    """Choose the description of the modality `read_by`, which has read X."""
    part = read_by.kind if is_auto(modality) else look_up("modality", modality, MODALITIES)
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
    """Choose the encoder; a fitted embedder contributes its own."""
    part = find_encoder(encoder, modality)
    if isinstance(part, BaseEstimator):
        part = fitted_encoder(part)
    if isinstance(part, type):
        _check_samples(encoder, part, modality)
    # The shape of a sample is the first argument of every encoder.
    given = tuple(inspect.signature(part).parameters)[:1] if isinstance(part, type) else ()
    chosen = choose_part("encoder", part, params, given, accepted_facts(part, modality))
    return chosen, _source_of(modality) if is_auto(encoder) else ""


def with_pretrained(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters, in which a model of sentence-transformers as `encoder` is used with its own tokenizer.

    Parameters
    ----------
    parameters : parameters of the estimator, or some of them.
    """
    model = parameters.get("encoder")
    # Whoever has such a model has imported the package.
    package = sys.modules.get("sentence_transformers") if isinstance(model, nn.Module) else None
    if package is None or not isinstance(model, package.SentenceTransformer):
        return dict(parameters)
    given = {name: parameters.get(name) or {} for name in ("encoder_params", "modality_params")}
    return {
        **parameters,
        "encoder": "sentence_transformer",
        "encoder_params": {"model": model, **given["encoder_params"]},
        "modality_params": {"tokenizer": model, **given["modality_params"]},
    }


def find_encoder(encoder: Any, modality: Modality) -> Any:
    """Return the class of a name, or the class or object itself."""
    return look_up("encoder", modality.encoder if is_auto(encoder) else encoder, ENCODERS)


def sees_features(parameters: Mapping[str, Any], modality: Modality, n_samples: float, *, given: bool) -> bool:
    """Return whether the encoder learns from the plain features of samples instead of the samples.

    Parameters
    ----------
    parameters : parameters of the estimator, by name.
    modality : modality that has read the data.
    n_samples : number of training samples.
    given : whether X holds several views of each sample.
    """
    encoder = parameters["encoder"]
    if not is_auto(encoder):
        part = ENCODERS.get(encoder) if isinstance(encoder, str) else encoder
        return bool(getattr(part, "sees_features", False))
    # Views and arguments of the user are meant for samples.
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
            f"encoder={type(embedder).__name__}(...) has not been fitted. Fit it first; if it was fitted before a "
            "clone, as in a search, pass its encoder_ instead."
        ) from error
    fitted: Preprocessed = embedder.encoder_
    return fitted


def reading_of(encoder: Any) -> Any:
    """Return the reading of a fitted encoder's samples; None if `encoder` is not fitted."""
    part = fitted_encoder(encoder) if isinstance(encoder, BaseEstimator) else encoder
    # Encoders pickled by earlier versions have no reading.
    return getattr(part, "reading", None) if isinstance(part, Preprocessed) else None


def _check_samples(encoder: Any, part: type, modality: Modality) -> None:
    """Raise a ValueError if a built-in encoder does not accept the samples of a modality."""
    if not issubclass(part, Encoder):
        return
    with torch.device("meta"):
        # Shapes only: an untrusted file may contain very large ones.
        planned = modality.on_meta()
        x = planned.preprocessing()(planned.example())

    def takes(part: type[Encoder]) -> bool:
        return part.tokens != x.is_floating_point() and part.n_dims in (None, x.ndim - 1)

    if not takes(part):
        what = "numbers" if x.is_floating_point() else "tokens"
        raise ValueError(
            f"encoder={encoder!r} does not accept samples of shape {tuple(x.shape[1:])} of {what}, as in X. Pass one "
            f"of {', '.join(name for name, other in ENCODERS.items() if takes(other))}, or set modality."
        )


def choose_framework(
    framework: Any,
    params: Mapping[str, Any] | None,
    projection_dim: int | str,
    loss: Any,
    loss_params: Mapping[str, Any] | None,
    modality: Modality,
) -> tuple[Choice, Choice]:
    """Choose the framework, and its loss, which is None if it takes none."""
    part: type[Framework] = look_up("framework", framework, FRAMEWORKS)
    given = tuple(inspect.signature(part).parameters)[:1]
    preset = {} if is_auto(projection_dim) else {"projection_dim": projection_dim}
    chosen = choose_part("framework", part, {**preset, **(params or {})}, given)
    arguments = dict(chosen.arguments)
    # "auto" is the framework's default loss, which has the paper's temperature.
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
    """Return the arguments of a loss that the modality sets."""
    return next((arguments for name, arguments in modality.loss_params.items() if LOSSES[name] is part), {})


def choose_loss(
    name: Any, framework: type[Framework], loss: Any, params: Mapping[str, Any] | None, modality: Modality
) -> Choice:
    """Choose the loss of a framework.

    Raises
    ------
    ValueError : if the framework has its own objective, and takes no loss.
    """
    if framework.default_loss is None:
        takers = [other for other, part in FRAMEWORKS.items() if part.default_loss is not None]
        raise ValueError(
            f"loss={loss!r} cannot be used with framework={name!r}, which has its own objective. Set loss='auto' and "
            f"framework_params; a loss can be chosen for {', '.join(takers)}."
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
            f"X holds several views of each sample, which views={views!r} would not use. Set views='paired'; further "
            "changes are set with views_params={'on_top': ...}."
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
    """Return whether a `views` parameter, as a name, class or object, uses the views that X holds."""
    part = VIEWS.get(views) if isinstance(views, str) else views
    return bool(getattr(part, "shows_given", False))


def _source_of(modality: Modality) -> str:
    return f"the default for {name_of(modality)} data"


def name_of(modality: Modality) -> str:
    """Return the name of a modality."""
    return modality.kind.__name__.lower()


def _class_of(part: Any) -> type:
    return part if isinstance(part, type) else type(part)


# -- from parts back to parameters ----------------------------------------------------------------


def network_parameters(plan: Plan) -> dict[str, Any]:
    """Return estimator parameters for the network of a plan, with every choice made."""
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
    """Return a plan's values of the parameters, and of the parts' arguments, that the user left open.

    `filled` restores them, so that a model file keeps its meaning if defaults change. The modality stores itself, the
    device depends on the machine, and optimiser arguments have torch's defaults; these are left out.

    Parameters
    ----------
    plan : plan of the fit.
    parameters : parameters of the estimator from which it was made.
    """
    settled: dict[str, Any] = {}
    for name, choice in plan.choices().items():
        if is_auto(parameters.get(name)) and choice is not None and name not in ("modality", "device"):
            settled[name] = choice.make if isinstance(choice, Part) else choice
    for name in ("encoder", "framework", "loss", "views"):
        part: Part | None = getattr(plan, name)
        # Objects describe themselves, and files may only describe registered parts.
        if not isinstance(parameters[name], str | type) or part is None or part.make not in REGISTRIES[name].values():
            continue
        if getattr(part.make, "package", None) is None:
            entries = {n: value for n, value in part.arguments.items() if n not in (parameters[f"{name}_params"] or {})}
            settled[f"{name}_params"] = _without_projection_dim(entries, parameters)
    return settled


def filled(parameters: Mapping[str, Any], settled: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the settled values wherever the user left them open; explicit values stay."""
    values = dict(parameters)
    for name, value in settled.items():
        if isinstance(value, dict):
            if not isinstance(parameters[name.removesuffix("_params")], str | type):
                # An object already has its arguments.
                continue
            values[name] = {**_without_projection_dim(value, parameters), **(parameters[name] or {})}
        elif is_auto(parameters[name]):
            values[name] = value
    return values


def _without_projection_dim(entries: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments without projection_dim if the estimator's parameter sets it."""
    return {n: value for n, value in entries.items() if n != "projection_dim" or is_auto(parameters["projection_dim"])}
