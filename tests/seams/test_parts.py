"""Name, class and instance of a part are the same fit, and what a part does not know is said by name."""

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

import skclr
from skclr import ContrastiveEmbedder
from skclr.encoders import ENCODERS, SentenceTransformer, Timm
from skclr.hints import REGISTRIES
from skclr.training import MomentumSGD
from skclr.views import VIEWS, Paired

RNG = np.random.default_rng(0)
TABLE = np.column_stack([RNG.normal(size=(20, 4)), RNG.integers(0, 3, 20)])
WORDS = np.array(["red", "green", "blue", "small", "large"])
X_OF = {
    "tabular": (TABLE, {"modality_params": {"categorical_features": [4]}}),
    "image": (RNG.integers(0, 256, (20, 3, 8, 8)).astype(np.uint8), {}),
    "series": (RNG.normal(size=(20, 2, 30)).astype(np.float32), {}),
    "audio": (RNG.uniform(-1, 1, (20, 1600)).astype(np.float32), {"modality_params": {"sampling_rate": 8000}}),
    "text": ([" ".join(RNG.permutation(WORDS)[:3]) for _ in range(20)], {}),
}


def fit(kind="tabular", **params):
    X, own = X_OF[kind]
    narrow = {} if "encoder" in params else {"encoder_params": {"width": 8}}
    settings = {"modality": kind, "max_epochs": 1, "random_state": 0, **narrow, **own, **params}
    return ContrastiveEmbedder(**settings).fit(X)


def assert_same_fit(one, other):
    assert one.loss_curve_ == other.loss_curve_
    ours, theirs = one.net_.module_.state_dict(), other.net_.module_.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# -- name, class, instance --------------------------------------------------------------------------


def modality_of(encoder):
    if encoder.tokens:
        return "text"
    return {1: "tabular", 2: "series", 3: "image", None: "tabular"}[encoder.n_dims]


def test_views_held_by_views_know_the_columns():
    X = np.column_stack([np.arange(20.0), np.arange(20) % 3])
    for views, params in (
        ("neighbors", {"on_top": VIEWS["jitter"]()}),
        (VIEWS["neighbors"](on_top=VIEWS["jitter"]()), None),
    ):
        settings = {"modality_params": {"categorical_features": [1]}, "max_epochs": 0}
        model = ContrastiveEmbedder(views=views, views_params=params, **settings).fit(X)
        codes = [view[:, 1] for view in model.make_views(X)]
        assert set(np.concatenate(codes)) == {0.0, 1.0, 2.0}


def test_views_given_as_an_object_stay_as_they_are():
    maker = VIEWS["neighbors"]()
    before = dict(vars(maker))
    fit(views=maker)
    fit(views="neighbors", views_params={"on_top": (on_top := VIEWS["jitter"]())})
    assert vars(maker) == before
    assert on_top.cardinalities == ()


def test_momentum_sgd_is_sgd():
    assert_same_fit(fit(optimizer="sgd"), fit(optimizer=MomentumSGD))


def test_optimizer_that_derives_from_one_with_a_recipe():
    class Mine(torch.optim.AdamW):
        pass

    assert_same_fit(fit(optimizer="adamw"), fit(optimizer=Mine))


def test_sgd_of_torch_has_the_momentum_that_is_asked_for():
    assert fit(optimizer=torch.optim.SGD).net_.optimizer_.param_groups[0]["momentum"] == 0.9
    plain = fit(optimizer=torch.optim.SGD, optimizer_params={"momentum": 0.0})
    assert plain.net_.optimizer_.param_groups[0]["momentum"] == 0.0


def test_device():
    assert_same_fit(fit(device="cpu"), fit(device=torch.device("cpu")))


# Each dictionary is one fit.
NUMPY = {
    "names": {
        "framework": np.str_("simclr"),
        "loss": np.str_("info_nce"),
        "encoder": np.str_("mlp"),
        "views": np.str_("corruption"),
        "modality": np.str_("tabular"),
        "optimizer": np.str_("sgd"),
        "lr_schedule": np.str_("linear"),
        "precision": np.str_("bfloat16"),
        "device": np.str_("cpu"),
        "freeze": np.str_("none"),
        "positives": np.str_("views"),
        "on_interrupt": np.str_("keep"),
    },
    "numbers": {
        "projection_dim": np.int32(16),
        "max_epochs": np.int64(2),
        "batch_size": np.int64(10),
        "chunk_size": np.int64(5),
        "learning_rate": np.float32(0.5),
        "weight_decay": np.float64(0.25),
        "warmup_epochs": np.float32(0.5),
        "validation_fraction": np.float64(0.2),
        "checkpoint_minutes": np.float32(5),
        "random_state": np.int64(3),
        "verbose": np.int64(0),
    },
    "bools": {
        "compile": np.False_,
        "passthrough": np.True_,
        "early_stopping": np.True_,
        "warm_start": np.True_,
    },
    "parameters of parts": {
        "framework_params": {"n_layers": np.int64(1)},
        "loss_params": {"temperature": np.float32(0.5)},
        "encoder_params": {"width": np.int64(8), "expansion": np.float64(1.5)},
        "views_params": {"n_neighbors": np.int16(3)},
        "optimizer_params": {"amsgrad": np.True_},
    },
}


def plain(value):
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("kind", NUMPY)
def test_numpy_scalars_are_the_values_that_they_hold(kind, tmp_path):
    given, expected = fit(**NUMPY[kind]), fit(**plain(NUMPY[kind]))
    assert_same_fit(given, expected)
    assert np.array_equal(given.transform(TABLE), expected.transform(TABLE))
    given.save(tmp_path / "model.skclr")
    assert np.array_equal(skclr.load(tmp_path / "model.skclr").transform(TABLE), expected.transform(TABLE))


def test_numpy_bools_among_the_parameters_of_parts():
    one, other = (fit(framework="moco", framework_params={"symmetric": v}) for v in (np.False_, False))
    assert_same_fit(one, other)
    one, other = (fit("image", views_params={"rgb": v}) for v in (np.True_, True))
    assert_same_fit(one, other)


# -- what is not known ------------------------------------------------------------------------------

SPELLINGS = {
    "framework": {"SimCLR": "simclr", "sim-clr": "simclr", "Barlow Twins": "barlow_twins", "MoCo": "moco"},
    "loss": {"NT-Xent": "nt_xent", "InfoNCE": "info_nce", "SupCon": "sup_con"},
    "encoder": {"ResNet-18": "resnet18", "MLP": "mlp", "resnet_50": "resnet50"},
    "views": {"Neighbours": "neighbors", "Mix-up": "mixup"},
    "modality": {"Audio": "audio", "Tabular": "tabular", "images": "image"},
    "optimizer": {"AdamW": "adamw", "adam-w": "adamw", "SGD": "sgd"},
    "lr_schedule": {"Cosine": "cosine"},
}


@pytest.mark.parametrize(
    ("argument", "value", "meant"), [(a, v, m) for a, pairs in SPELLINGS.items() for v, m in pairs.items()]
)
def test_a_misspelt_name_is_suggested(argument, value, meant):
    with pytest.raises(ValueError, match=f"{argument}={value!r} is unknown: did you mean '{meant}'?"):
        fit(**{argument: value})


REMEDIES = {
    ("modality_params", "sample_rate"): "sampling_rate.*modality='audio'",
    ("modality_params", "sampling_rates"): "sampling_rate.*modality='audio'",
    ("loss_params", "temprature"): "did you mean 'temperature'",
    ("framework_params", "temperature"): "set loss_params={'temperature': ...}",
    ("encoder_params", "widht"): "did you mean 'width'",
    ("encoder_params", "n_heads"): "set encoder='feature_transformer' with encoder_params",
    ("views_params", "learning_rate"): "set learning_rate",
    ("optimizer_params", "lr"): "set learning_rate",
    ("optimizer_params", "weight_decay"): "set weight_decay",
    ("framework_params", "epochs"): "set max_epochs",
}


@pytest.mark.parametrize(("argument", "name"), REMEDIES)
def test_an_unknown_parameter_of_a_part_has_a_remedy(argument, name):
    with pytest.raises(ValueError, match=f"{argument} has {name!r}.*{REMEDIES[argument, name]}") as raised:
        fit(**{argument: {name: 3}})
    assert len(str(raised.value)) < 300


OWN = {
    "lr": "learning_rate",
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "temperature": "loss_params",
    "sample_rate": "sampling_rate",
    "n_views": "views_params",
    "backbone": "encoder",
    "seed": "random_state",
}


@pytest.mark.parametrize("name", OWN)
def test_an_unknown_parameter_of_the_estimator_has_a_remedy(name):
    with pytest.raises(TypeError, match=f"{name!r}.*{OWN[name]}"):
        ContrastiveEmbedder(**{name: 3})
    with pytest.raises(ValueError, match=f"Invalid parameter {name!r}.*{OWN[name]}"):
        ContrastiveEmbedder().set_params(**{name: 3})


def test_a_subclass_may_have_parameters_of_its_own():
    class Mine(ContrastiveEmbedder):
        def __init__(self, depth=3, *, max_epochs=1):
            super().__init__(max_epochs=max_epochs)
            self.depth = depth

    assert clone(Mine(depth=4)).depth == 4
    assert next(iter(inspect.signature(ContrastiveEmbedder).parameters)) == "framework"


# -- the grid of the README -------------------------------------------------------------------------


def readme_grid():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    snippet = text[text.index("GridSearchCV(") :].partition("```")[0]
    namespace = {"GridSearchCV": lambda pipe, grid, n_jobs: ParameterGrid(grid), "pipe": None}
    return list(eval(snippet, namespace))


@pytest.mark.parametrize("params", readme_grid(), ids=lambda params: "-".join(map(str, params.values())))
def test_each_candidate_of_the_readme_fits(params):
    model = ContrastiveEmbedder(max_epochs=1, random_state=0)
    model.set_params(**{name.removeprefix("embed__"): value for name, value in params.items()})
    assert model.fit_transform(TABLE).shape[0] == len(TABLE)


# -- values that no parameter has -------------------------------------------------------------------

NONSENSE = [None, "5", -1, 0, np.nan, np.inf, [], [1], True, 64.5, object()]
TINY = {kind: (X[:8], own) for kind, (X, own) in X_OF.items()}
GIVEN = {"framework": ["encoder"], "encoder": ["input_shape"], "optimizer": ["params", "lr", "weight_decay"]}
# Large, or of other packages.
LEFT_OUT = (SentenceTransformer, Timm, ENCODERS["resnet18"], ENCODERS["resnet34"], ENCODERS["resnet50"])


def parameters_of_parts():
    for kind, registry in REGISTRIES.items():
        for name, part in registry.items():
            if part not in LEFT_OUT:
                names = [n for n in inspect.signature(part).parameters if n not in GIVEN.get(kind, [])]
                yield from (pytest.param(kind, name, parameter, id=f"{name}-{parameter}") for parameter in names)


def error_of(kind, name, parameter, value):
    """Return what a tiny fit with one parameter of a part raises, None where it works."""
    modality = name if name in X_OF else "tabular"
    if kind == "encoder":
        modality = "audio" if name == "spectrogram" else modality_of(REGISTRIES[kind][name])
    X, own = TINY[modality]
    # Cheap parts in addition to the one under test.
    cheap = {"encoder_params": {"width": 4}}
    if modality == "tabular":
        cheap |= {"encoder": "mlp", "views": "masking"}
    params = {**own.get(f"{kind}_params", {}), parameter: value}
    settings = {**cheap, "max_epochs": 1, "random_state": 0, "modality": modality, **own}
    model = ContrastiveEmbedder(**{**settings, kind: name, f"{kind}_params": params})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit((X, X) if name == "paired" else X)
        except Exception as error:
            return error


@pytest.mark.parametrize(("kind", "name", "parameter"), parameters_of_parts())
def test_a_nonsensical_value_is_refused_by_name_or_works(kind, name, parameter):
    for value in NONSENSE:
        if (name, parameter, value) == ("audio", "window", 64.5):
            # A minute in one window: it works, and takes as long.
            continue
        error = error_of(kind, name, parameter, value)
        # A number may be too large or too small for the loss, which training finds out.
        diverged = isinstance(error, FloatingPointError) and isinstance(value, int | float)
        named = isinstance(error, ValueError | TypeError) and parameter in str(error)
        assert error is None or diverged or named, f"{value!r}: {error!r}"


@pytest.mark.parametrize("views", [name for name, part in VIEWS.items() if part is not Paired])
@pytest.mark.parametrize("n_views", [10**7, 0, 2.0, "2"])
def test_so_many_views_are_refused(views, n_views):
    modality = views if views in X_OF else "tabular"
    with pytest.raises(ValueError, match=f"n_views'?[=:] ?{n_views!r}"):
        fit(modality, views=views, views_params={"n_views": n_views})


@pytest.mark.parametrize("views", [lambda x: x + 1, VIEWS["masking"]])
def test_so_many_views_of_a_function_or_a_class_are_refused(views):
    with pytest.raises(ValueError, match="n_views=10000000"):
        fit(views=views, views_params={"n_views": 10**7})


TYPES = {
    "whole number": ("encoder", "residual_mlp", "width", 64.0),
    "number": ("loss", "nt_xent", "temperature", "0.1"),
    "None": ("loss", "contrastive", "margin", None),
    "text": ("views", "neighbors", "n_neighbors", "5"),
    "list": ("optimizer", "lars", "momentum", [1]),
    "quarter": ("framework", "simsiam", "projection_dim", 3),
    "length": ("views", "mixup", "cardinalities", (0, 3)),
}


@pytest.mark.parametrize("case", TYPES)
def test_an_error_names_parameter_and_value(case):
    kind, name, parameter, value = TYPES[case]
    said = f"{re.escape(f'{parameter}={value!r}')}|{re.escape(f'{parameter!r}: {value!r}')}"
    with pytest.raises(ValueError, match=said) as raised:
        fit(**{kind: name, f"{kind}_params": {parameter: value}})
    assert len(str(raised.value)) < 300
