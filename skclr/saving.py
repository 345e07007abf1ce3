"""Fitted embedders as files of plain values and tensors, which run nothing when they are read."""

from __future__ import annotations

import copyreg
import math
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skclr.build import build_encoder, build_framework, build_net
from skclr.data.indexing import Indexing
from skclr.encoders import ENCODERS, Encoder, Preprocessed
from skclr.files.atomic import replacing
from skclr.files.format import Missing, ModelFileError, Reader, from_bytes, is_plain, read_file, to_bytes
from skclr.files.plain import expect
from skclr.frameworks import BY_CLASS, FRAMEWORKS, Framework
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, Modality
from skclr.modalities.categories import Categories
from skclr.modalities.text import TOKENIZERS
from skclr.modalities.tokenizers import OfModel
from skclr.parameters import PartParameters, admission, check_parameters
from skclr.part_choices import choose_network, filled, is_auto, left_open
from skclr.plan import Part, Plan
from skclr.planning import device_or_cpu, plan_fit
from skclr.randomness import DrawsFrom
from skclr.roles import Admission, NeededError
from skclr.training import OPTIMIZERS, ContrastiveNet, MomentumSGD, undisturbed
from skclr.views import VIEWS, Views

# All that a file may name.
CLASSES: dict[str, type] = {
    part.__name__: part
    for parts in (
        *(r.values() for r in (ENCODERS, FRAMEWORKS, LOSSES, MODALITIES, OPTIMIZERS, TOKENIZERS, VIEWS)),
        (Categories, MomentumSGD, OfModel, *BY_CLASS),
        (part for part in vars(torch.optim).values() if isinstance(part, type)),
    )
    for part in parts
}

# Of one sample, on its way through the network.
LARGEST_ACTIVATIONS = 2**30
# Values of one view, where the sample itself is smaller.
_LARGEST_VIEW = 2**18
# Of a network that only parameters speak of.
_MOST_CALLS = 100_000
# What scikit-learn's validation has recorded of X.
_RECORDED = ("n_features_in_", "feature_names_in_")


class SavedModel(PartParameters):
    """An estimator that is saved to and loaded from files that hold no code.

    Attributes
    ----------
    net_, _modality : the fit.
    _fitted_with : the parameters as they were then.
    _n_samples : that it was fitted on.
    """

    net_: ContrastiveNet
    _modality: Modality
    _fitted_with: dict[str, Any]
    _n_samples: int
    _keep: Callable[[ContrastiveNet, Modality], Any]

    @undisturbed()
    def save(self, path: str | os.PathLike[str], *, optimizer: bool = True) -> None:
        """Write the fit to a file that holds no code, for `skclr.load`.

        A file that was there is replaced at once, when the new one is whole. Objects and functions of your own
        that were given as parameters are not in the file: `skclr.load` asks for them.

        Parameters
        ----------
        path : str or path
            Of the file; its folder has to be there.
        optimizer : bool, default=True
            Whether the optimiser's state is in it, up to two thirds of the file, so that `partial_fit` goes on as
            if nothing had been. `transform` and `warm_start` need none.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a modality of your own.
        OSError
            If the file cannot be written, or if `path` is a folder, a device, a pipe or a read-only file.
        """
        check_is_fitted(self)
        raw = self._to_bytes(optimizer=optimizer)
        with replacing(path) as file:
            file.write(raw)

    @classmethod
    @undisturbed()
    def _load(cls, path: str | os.PathLike[str], given: dict[str, Any], trust: Collection[str]) -> Self:
        model = cls().set_params(**given)
        admitted = admission(given, trust)
        try:
            model._from_bytes(read_file(path), admitted)
        except ModelFileError as error:
            raise ModelFileError(f"{os.fspath(path)} cannot be loaded: {error}") from error
        return model

    # -- what pickle and skops ask ------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A pickle keeps everything, the user's own objects too. A snapshot: another thread may fit it again.
        return copyreg.__newobj__, (type(self),), dict(super().__getstate__())  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        """Give the state as plain values and the bytes of a file, of which skops can be sure: it asks for it."""
        if not self.__sklearn_is_fitted__():
            return self.get_params(deep=False)
        return {"saved": self._to_bytes(optimizer=True)}

    @undisturbed()
    def __setstate__(self, state: dict[str, Any]) -> None:
        if "saved" in state:
            self.__init__()  # type: ignore[misc]
            self._from_bytes(state["saved"], admission({}, ()))
            return
        super().__setstate__(state)
        if self.__sklearn_is_fitted__():
            self.net_.to(device_or_cpu(self.device))

    # -- to and from bytes --------------------------------------------------------------------------

    def _to_bytes(self, *, optimizer: bool) -> bytes:
        net, then = self.net_, self._fitted_with
        changed = {
            name: value for name, value in self.get_params(deep=False).items() if not _is_same(value, then[name])
        }
        content = Content(
            fitted_with={name: _plain_or_missing(value) for name, value in then.items()},
            changed={name: _plain_or_missing(value) for name, value in changed.items()},
            recorded={name: vars(self)[name] for name in _RECORDED if name in vars(self)},
            modality=self._modality,
            n_samples=self._n_samples,
            given_views=net.view_maker.shows_given,
            net=net.state(optimizer=optimizer),
            plan={n: value for n, value in left_open(net.plan, then).items() if is_plain(value, CLASSES)},
        )
        return to_bytes(vars(content), CLASSES)

    def _from_bytes(self, raw: bytes, admission: Admission) -> None:
        tree, tensors = from_bytes(raw)
        reader = Reader({}, tensors)
        given = admission.given
        # For what a file of an earlier version did not know yet.
        defaults = type(self)().get_params(deep=False)
        with _one_error():
            content = Content(**reader.inert(tree))
            _check_content(content)
            modality = admission.modality(content.modality)
            if content.recorded.get("n_features_in_", n := math.prod(modality.shape_)) != n:
                raise ValueError(f"samples of shape {modality.shape_} were not read from rows of another length")
            then = {**defaults, **admission.parameters(content.fitted_with), **given}
            now = {**then, **admission.parameters(content.changed)}
            settled = admission.parameters(content.plan)
        _ask_for_missing({**then, **now, **settled})
        with _one_error():
            if reader.tensors or now.keys() != defaults.keys():
                raise ValueError("it has tensors or parameters that no part has")
            check_parameters(then)
            check_parameters(now)
            content = replace(content, modality=modality)
            plan = _plan_of(filled(then, settled), content, device_or_cpu(now["device"]), given)
            saved = {name: "as in the fit that was saved" for name in settled if is_auto(then[name])}
            plan = replace(plan, sources={**plan.sources, **saved})
            # An encoder of the user's draws weights, which those in the file replace.
            with DrawsFrom(0):
                framework = _rebuild_framework(plan, content, given)
                _check_changed(now, plan, modality, given)
            net = _rebuild_net(plan, content, framework, given)
            self.__dict__.update(then, **content.recorded, _fitted_with=then, _n_samples=content.n_samples)
            self._keep(net, modality)
            self.__dict__.update(now)
        _tell_left_out(admission.left_out)


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Parameters
    ----------
    fitted_with : the parameters at the time of the fit.
    changed : those that were set after it.
    recorded : what scikit-learn's validation has recorded of X.
    modality : fitted.
    n_samples : that it was fitted on.
    given_views : whether X held the views.
    net : as `ContrastiveNet.state` gives it.
    plan : what was chosen for the parameters that were left open at the fit; empty in files of earlier versions.
    """

    fitted_with: dict[str, Any]
    changed: dict[str, Any]
    recorded: dict[str, Any]
    modality: Modality
    n_samples: int
    given_views: bool
    net: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)


def _is_same(value: Any, before: Any) -> bool:
    """Return whether a parameter is as it was at the fit, which keeps copies of dictionaries."""
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
        raise ValueError(f"the model was saved without its {kinds}, which no file holds: give load(path, {arguments})")


def _tell_left_out(left_out: dict[str, str]) -> None:
    if left_out:
        arguments = ", ".join(f"{name}=..." for name in dict.fromkeys(left_out.values()))
        warnings.warn(
            f"load left out {', '.join(left_out)}, since no file may set paths, programs or objects. Pass what a later "
            f"fit needs: load(path, {arguments})",
            UserWarning,
            stacklevel=5,
        )


def _check_content(content: Content) -> None:
    """Raise a ValueError unless numbers, names and the history are of the right kind."""
    net, names = content.net, content.recorded.get("feature_names_in_", np.array([]))
    n_features = content.recorded.get("n_features_in_", 0)
    if content.recorded.keys() - set(_RECORDED) or type(n_features) is not int:
        raise ValueError("n_features_in_ is not a number")
    if not isinstance(names, np.ndarray) or not all(isinstance(name, str) for name in names):
        raise ValueError("feature_names_in_ holds other things than names")
    if len(names) not in (0, n_features):
        raise ValueError(f"feature_names_in_ holds {len(names)} names for {n_features} columns")
    if type(content.n_samples) is not int or content.n_samples >= 2**63 or type(content.given_views) is not bool:
        raise ValueError("n_samples or given_views is of another kind")
    if not 1 <= net["batch_size"] <= content.n_samples:
        raise ValueError(f"a batch of {net['batch_size']} has more than the {content.n_samples} samples")


@contextmanager
def _one_error() -> Iterator[None]:
    """Make a ModelFileError of whatever parts say of settings and a state that are not theirs."""
    try:
        yield
    except (ModelFileError, NeededError, ImportError):
        raise
    except Exception as error:
        raise ModelFileError(f"its parts do not fit together ({type(error).__name__}: {error})") from error


# -- from settings and weights to a net ---------------------------------------------------------------


def _plan_of(then: Mapping[str, Any], content: Content, device: torch.device, given: Collection[str]) -> Plan:
    """Plan the fit that a file holds, on a device of this machine.

    Parameters
    ----------
    then : parameters of the fit.
    content : of the file.
    device : for the net.
    given : names of the parameters that the user gave.
    """
    net = content.net
    # As they were settled: what "auto" was then may be another number now.
    settled = {**then, "batch_size": net["batch_size"], "max_epochs": net["max_epochs"]}
    if "net_params" not in given:
        # The compiler is for the next fit to start.
        settled["compile"] = False
    facts = {"seed": net["seed"], "given": content.given_views, "endless": net["endless"]}
    return plan_fit(settled, content.modality, content.n_samples, device, **facts)


def _rebuild_framework(plan: Plan, content: Content, given: Collection[str]) -> Framework:
    """Make encoder and framework around weights that were read.

    They are planned without memory first: no size that a file names is made before it is known to be that of a
    tensor in the file.

    Parameters
    ----------
    plan : of the fit.
    content : of the file.
    given : names of the parameters that the user gave, who may have an encoder made of files.
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
        raise ValueError(f"weights of other parts: {', '.join(sorted(planned.keys() ^ weights.keys())[:3])}")
    for name, value in planned.items():
        expect(name, weights[name], value.shape, value.dtype)
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
    """Make encoder and framework on the meta device, with bounds on what they ask of torch.

    Parameters
    ----------
    framework, encoder, loss, freeze : as for `build_framework`.
    modality : fitted.
    n_calls : most calls of torch's functions.
    n_bytes : most bytes of a tensor, beside what two samples may take.
    """
    # The outermost puts gradients back on where what is bounded ends in the middle of a no_grad.
    with (
        torch.enable_grad(),
        torch.device("meta"),
        _FewCalls(n_calls),
        _SmallTensors(max(n_bytes, 2 * LARGEST_ACTIVATIONS)),
    ):
        return build_framework(framework, encoder, loss, freeze, modality.on_meta())


def _check_changed(now: Mapping[str, Any], plan: Plan, modality: Modality, given: Collection[str]) -> None:
    """Raise a ValueError if the parameters make another network than the fit's, and one beyond all bounds.

    They may have been set after the fit, or mean something else now. Whether they fit the data is for the next fit to
    say.
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
    """Raise a ValueError where one view of a small sample would be large."""
    if not {"views", "views_params"} & set(given):
        most = max(_LARGEST_VIEW, 4 * math.prod(modality.shape_))
        n_values = maker.n_values(modality.shape_)
        if n_values > most:
            raise TooLargeError(f"one view would take {n_values:,} values, more than {most:,}")


class TooLargeError(ValueError):
    """Parameters make a network that is larger than its file justifies."""


class _FewCalls(TorchFunctionMode):
    """End code that asks torch for more than it should need, as a network of a billion layers does.

    Parameters
    ----------
    n_calls : most calls of torch's functions.
    """

    def __init__(self, n_calls: int) -> None:
        super().__init__()
        self.n_calls = n_calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise TooLargeError("the parameters make a larger network than the file holds")
        return func(*args, **(kwargs or {}))


class _SmallTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """End code that makes tensors that would take much memory if they had values.

    Parameters
    ----------
    n_bytes : most bytes of what an operation takes and makes, parameters aside.
    """

    def __init__(self, n_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_bytes = n_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        used = {id(x): x.nbytes for x in tree_leaves((args, result)) if isinstance(x, Tensor) and not x.requires_grad}
        if sum(used.values()) > self.n_bytes:
            raise TooLargeError(
                f"a sample would take more than {LARGEST_ACTIVATIONS / 2**30:g} GiB, or the network is larger than "
                "the file"
            )
        return result
