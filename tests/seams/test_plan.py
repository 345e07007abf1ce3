"""The plan of a fit: every choice is in it, however it was requested, and resuming compares it."""

import warnings
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

import skclr
from skclr import ContrastiveEmbedder, ModelFileError
from skclr.encoders import ENCODERS, SentenceTransformer, Timm
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES, NTXent
from skclr.modalities import MODALITIES
from skclr.parameters import PARAMETERS
from skclr.part_choices import filled, left_open
from skclr.plan import Part, Plan, in_words
from skclr.planning import plan_fit, result_choices
from skclr.randomness import draw_seed
from skclr.training import LR_SCHEDULES, OPTIMIZERS, MomentumSGD
from skclr.views import VIEWS, AudioViews, CallableViews, Jitter, Masking, Neighbors
from tests.robustness.forging import forged
from tests.seams.test_going_on import CHANGED
from tests.seams.test_parts import X_OF, assert_same_fit, modality_of

TABLE = X_OF["tabular"][0]
SMALL = {"encoder": "mlp", "encoder_params": {"width": 8, "n_layers": 1}, "random_state": 0}


def read(kind):
    X, own = X_OF[kind]
    params = own.get("modality_params", {})
    modality = MODALITIES[kind](**params)
    modality.read(X, BaseEstimator(), reset=True)
    return modality, own


MODALITY_OF = {kind: read(kind) for kind in X_OF}


def plan(kind="tabular", n_samples=60, **params):
    """Return the plan of a fit, without the fit."""
    modality, own = MODALITY_OF[kind]
    parameters = ContrastiveEmbedder(**{"random_state": 0, **own, **params}).get_params(deep=False)
    seed = draw_seed(parameters["random_state"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plan_fit(parameters, modality, n_samples, torch.device("cpu"), seed=seed)


# -- name, class and instance ---------------------------------------------------------------------


def ways():
    """Yield a modality and the ways to ask for one part in it, for every part of every registry."""
    for name, part in FRAMEWORKS.items():
        yield pytest.param("tabular", "framework", [name, part], id=name)
    for name, part in LOSSES.items():
        yield pytest.param("tabular", "loss", [name, part, part()], id=name)
    for name, part in ENCODERS.items():
        kind = "audio" if name == "spectrogram" else modality_of(part)
        yield pytest.param(kind, "encoder", [name, part], id=name)
    for name, part in VIEWS.items():
        kind = name if name in X_OF else "tabular"
        instance = part(sampling_rate=8000) if part is AudioViews else part()
        kinds = X_OF if name == "neighbors" else [kind]
        yield from (pytest.param(kind, "views", [name, part, instance], id=f"{name}-{kind}") for kind in kinds)
    for name, part in MODALITIES.items():
        yield pytest.param(name, "modality", ["auto", name, part], id=name)
    for name, part in OPTIMIZERS.items():
        yield pytest.param("tabular", "optimizer", [name, part], id=name)
    for name, part in LR_SCHEDULES.items():
        yield pytest.param("tabular", "lr_schedule", [name, part], id=name)


@pytest.mark.parametrize(("kind", "argument", "choices"), ways())
def test_name_class_and_instance_are_one_plan(kind, argument, choices):
    plans = [plan(kind, **{argument: choice}) for choice in choices]
    assert all(one == plans[0] for one in plans)
    assert all(result_choices(one) == result_choices(plans[0]) for one in plans)


def test_every_entry_is_tried():
    n_entries = sum(map(len, (FRAMEWORKS, LOSSES, ENCODERS, VIEWS, MODALITIES, OPTIMIZERS, LR_SCHEDULES)))
    # Neighbours are found in data of every kind.
    assert len([*ways()]) == n_entries + len(X_OF) - 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("name", "optimizer"), [*OPTIMIZERS.items(), ("sgd", MomentumSGD)])
def test_an_optimizer_has_the_recipe_of_its_name(framework, name, optimizer):
    named, given = (plan(framework=framework, optimizer=choice) for choice in (name, optimizer))
    assert (named.learning_rate, named.weight_decay) == (given.learning_rate, given.weight_decay)
    assert (named == given) == (optimizer is not MomentumSGD)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"loss": "auto"}, {"loss": NTXent(1.0)}),
        ({"loss": NTXent(0.5)}, {"loss_params": {"temperature": np.float64(0.5)}}),
        ({"framework_params": {"loss": NTXent(0.5)}}, {"loss": NTXent(0.5)}),
        ({"projection_dim": 16}, {"framework_params": {"projection_dim": 16}}),
        ({"views": Neighbors(3)}, {"views": "neighbors", "views_params": {"n_neighbors": 3}}),
        ({"views": "neighbors"}, {"views": Neighbors()}),
        ({"views": CallableViews(torch.neg)}, {"views": torch.neg}),
        ({"optimizer": "auto"}, {"optimizer": "adamw"}),
        ({"batch_size": "auto"}, {"batch_size": 60}),
        ({"encoder": "auto"}, {"encoder": "residual_mlp"}),
        ({"early_stopping": True}, {"early_stopping": 10, "validation_fraction": 0.1}),
    ],
    ids=in_words,
)
def test_a_resolved_auto_is_the_same_plan(one, other):
    assert plan(**one) == plan(**other)


@pytest.mark.parametrize("name", [name for name, parameter in PARAMETERS.items() if parameter.affects_result])
def test_another_value_is_another_plan(name):
    changed = {**CHANGED, "compile": True, "precision": "float16", "net_params": {"torch_load_kwargs": {}}}
    params = {name: changed[name]}
    if name == "early_stopping":
        params["validation_fraction"] = 0.2
    if name in ("encoder_params", "views_params", "modality"):
        params |= {"encoder": "mlp", "views": "neighbors" if name != "views_params" else "masking"}
    if name == "modality":
        params["modality"] = type("Other", (MODALITIES["tabular"],), {})
    other = plan(**params)
    before = plan(**{n: v for n, v in params.items() if n != name})
    assert other != before
    assert name == "callbacks" or result_choices(other) != result_choices(before)


# One of each kind, and those where making and describing could differ.
EQUAL = {
    "framework": ({"framework": "byol"}, {"framework": FRAMEWORKS["byol"]}),
    "loss": ({"loss": "auto"}, {"loss": NTXent(1.0)}),
    "encoder": ({"encoder": "feature_transformer"}, {"encoder": ENCODERS["feature_transformer"]}),
    "views": ({"views": "jitter"}, {"views": Jitter()}),
    "neighbors": ({"views": "neighbors"}, {"views": Neighbors()}),
    "on_top": ({"views_params": {"on_top": Masking(1)}}, {"views": Neighbors(30, on_top=Masking(1))}),
    "modality": ({"modality": "auto"}, {"modality": MODALITIES["tabular"]}),
    "optimizer": ({"optimizer": "sgd"}, {"optimizer": torch.optim.SGD}),
    "lr_schedule": ({"lr_schedule": "linear"}, {"lr_schedule": LR_SCHEDULES["linear"]}),
    "projection_dim": ({"projection_dim": 16}, {"framework_params": {"projection_dim": 16}}),
}


@pytest.mark.parametrize("case", EQUAL)
def test_equal_plans_are_equal_fits(case):
    own = {"max_epochs": 1, "random_state": 0, **X_OF["tabular"][1]}
    one, other = (ContrastiveEmbedder(**own, **params).fit(TABLE) for params in EQUAL[case])
    assert one.net_.plan == other.net_.plan
    assert_same_fit(one, other)


# -- every parameter ------------------------------------------------------------------------------

# Parameters that decide nothing of what a fit computes, and why.
NOT_DECIDING = {
    "verbose": "what is shown",
    "warm_start": "whether a fit goes on",
    "checkpoint_dir": "where a run is kept",
    "checkpoint_minutes": "when a run is kept",
}


def test_every_parameter_is_in_the_plan_or_decides_nothing():
    names = set(Plan.names())
    parts = {f"{name}_params" for name, choice in plan().choices().items() if isinstance(choice, Part)}
    # The width is an argument of the framework; a stream is what partial_fit has.
    assert set(PARAMETERS) == (names - {"endless"}) | parts | {"projection_dim"} | NOT_DECIDING.keys()
    assert set(PARAMETERS) == ContrastiveEmbedder().get_params(deep=False).keys()
    assert not names & NOT_DECIDING.keys()


def test_a_plan_is_frozen_and_typed():
    with pytest.raises(FrozenInstanceError):
        plan().batch_size = 3
    with pytest.raises(FrozenInstanceError):
        plan().loss.arguments = {}
    assert "auto" not in [choice for choice in plan().choices().values() if isinstance(choice, str)]
    assert all(field.type != "Any" for field in fields(Plan))


@pytest.mark.parametrize("kind", X_OF)
def test_what_was_left_open_can_be_filled_in(kind):
    parameters = ContrastiveEmbedder(**MODALITY_OF[kind][1], random_state=0).get_params(deep=False)
    for framework in FRAMEWORKS:
        parameters["framework"] = framework
        settled = left_open(plan(kind, framework=framework), parameters)
        assert None not in settled.values()
        assert plan(kind, **filled(parameters, settled)) == plan(kind, framework=framework)
    # What is explicit stays.
    assert filled({**parameters, "batch_size": 20, "projection_dim": 8}, {"batch_size": 9})["batch_size"] == 20
    params = {**parameters, "projection_dim": 8}
    assert "projection_dim" not in filled(params, {"framework_params": {"projection_dim": 9}})["framework_params"]


# -- batches and epochs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "n_samples", "batch_size", "max_epochs"),
    [
        ("image", 40, 40, 100),
        ("image", 150, 64, 100),
        ("image", 4_000, 64, 49),
        ("image", 10_000, 128, 28),
        ("image", 60_000, 256, 7),
        ("tabular", 150, 150, 250),
        ("tabular", 1_600, 256, 42),
        ("tabular", 60_000, 256, 2),
    ],
)
def test_batches_and_epochs_follow_the_number_of_samples(kind, n_samples, batch_size, max_epochs):
    chosen = plan(kind, n_samples)
    assert (chosen.batch_size, chosen.max_epochs) == (batch_size, max_epochs)
    # An explicit batch size gets the epochs that it gets as the automatic one.
    assert plan(kind, n_samples, batch_size=batch_size) == chosen


def test_a_part_of_a_stream_takes_full_batches():
    modality, _ = MODALITY_OF["image"]
    parameters = ContrastiveEmbedder().get_params(deep=False)
    chosen = plan_fit(parameters, modality, 500, torch.device("cpu"), seed=0, endless=True)
    assert (chosen.batch_size, chosen.max_epochs) == (256, 1)


# -- shown ----------------------------------------------------------------------------------------

SHOWN = {
    "encoder=ResidualMLP(width=192, ": "the default for tabular data",
    "loss=NTXent(temperature=1.0)": "the default for tabular data",
    "batch_size=54": "at most 256, and there are 54 training samples",
    "max_epochs=250": "250 steps for tabular data, in at most 250 epochs",
    "learning_rate=": "SimCLR's recipe for AdamW at batches of 54",
    "warmup_epochs=": "a twentieth of the run",
    "validation_fraction=0.1": "for early stopping",
    "early_stopping=10": "the default of early_stopping=True",
}


@pytest.mark.parametrize("choice", SHOWN)
def test_each_choice_is_shown_with_its_source(choice):
    (line,) = [line.strip() for line in repr(plan(early_stopping=True)).splitlines() if line.strip().startswith(choice)]
    assert line.endswith(f"# {SHOWN[choice]}")


def test_tensors_are_shown_by_their_shape():
    (line,) = [line for line in repr(plan("image", encoder="conv")).splitlines() if " encoder=" in line]
    assert "patch_components=tensor of shape (" in line


def test_what_the_user_chose_has_no_source():
    lines = repr(plan(batch_size=20, learning_rate=0.1, encoder="mlp")).splitlines()
    assert [line.strip() for line in lines if "batch_size" in line or "learning_rate" in line] == [
        "batch_size=20,",
        "learning_rate=0.1,",
    ]


def test_sources_are_not_part_of_a_plan():
    assert replace(plan(), sources={}) == plan()


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose(verbose, capsys):
    model = ContrastiveEmbedder(**SMALL, max_epochs=1, verbose=verbose).fit(TABLE)
    out, err = capsys.readouterr()
    assert out == ""
    assert (f"{model.net_.plan!r}\n" in err) == (verbose == 2)
    assert ("epoch 1/1" in err) == (verbose > 0)


def test_pieces_of_a_stream_show_a_plan_once(capsys):
    model = ContrastiveEmbedder(**SMALL, verbose=2)
    shown = []
    for params in ({}, {}, {"learning_rate": 0.5}, {"random_state": None}):
        model.set_params(**params).partial_fit(TABLE)
        shown.append("Plan(" in capsys.readouterr().err)
    assert shown == [True, False, True, False]


# -- kept -----------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    ContrastiveEmbedder(**SMALL, max_epochs=1).fit(TABLE).save(tmp_path / "model.skclr")
    return tmp_path / "model.skclr"


def test_a_file_keeps_the_plan(path):
    model = ContrastiveEmbedder(**SMALL, max_epochs=1).fit(TABLE)
    loaded = skclr.load(path)
    assert loaded.net_.plan == model.net_.plan
    assert loaded.get_params() == model.get_params()
    assert loaded.net_.plan.sources["learning_rate"] == "as in the fit that was saved"


def test_a_file_means_the_same_when_defaults_have_changed(path, monkeypatch):
    before = skclr.load(path)
    recipe = FRAMEWORKS["simclr"].recipes["adamw"]
    monkeypatch.setitem(FRAMEWORKS["simclr"].recipes, "adamw", recipe._replace(learning_rate=1.0))
    monkeypatch.setattr(ENCODERS["mlp"].__init__, "__defaults__", (512, 5, 64, (), ()))
    monkeypatch.setattr(MODALITIES["tabular"], "encoder", "residual_mlp")
    loaded = skclr.load(path)
    assert loaded.net_.plan.learning_rate == before.net_.plan.learning_rate < 1.0
    assert np.array_equal(loaded.transform(TABLE), before.transform(TABLE))


def without_plan(content):
    del content["plan"]


def test_a_file_without_a_plan_loads(path):
    expected = skclr.load(path).transform(TABLE)
    path.write_bytes(forged(path.read_bytes(), without_plan))
    assert np.array_equal(skclr.load(path).transform(TABLE), expected)


@pytest.mark.parametrize("given", [{"views": "masking"}, {"views": Jitter}, {"views": Jitter()}, {"loss": NTXent(0.3)}])
def test_what_is_given_to_load_takes_the_place_of_the_plans(given, path):
    (name,) = given
    loaded = skclr.load(path, **given)
    assert getattr(loaded.net_.plan, name) == getattr(plan(**given), name)


def set_in_plan(**values):
    return lambda content: content["plan"].update(values)


FORGED = {
    "a class of another kind": set_in_plan(loss=torch.optim.AdamW),
    "a path": set_in_plan(weight_decay="/etc/passwd"),
    "a number beyond bounds": set_in_plan(warmup_epochs=-1.0),
    "an argument of no part": set_in_plan(views_params={"checkpoint_path": "x"}),
    "a width that is not the weights'": set_in_plan(encoder_params={"out_features": 77}),
    "a width beyond bounds": set_in_plan(encoder_params={"out_features": 2**30}),
    "a parameter that is none": set_in_plan(checkpoint_folder="x"),
    "another type": lambda content: content.update(plan=[1]),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_plan_is_refused(case, path):
    path.write_bytes(forged(path.read_bytes(), FORGED[case]))
    with pytest.raises(ModelFileError):
        skclr.load(path)


def test_a_forged_plan_does_not_overrule_what_is_explicit(path):
    def forge(content):
        content["plan"].update(encoder_params={"width": 2**20}, max_epochs=7)

    path.write_bytes(forged(path.read_bytes(), forge))
    loaded = skclr.load(path)
    assert loaded.net_.plan.encoder.arguments["width"] == 8
    assert loaded.net_.plan.max_epochs == 1


def test_a_checkpoint_compares_plans(tmp_path):
    params = {**SMALL, "max_epochs": 1, "checkpoint_dir": tmp_path}
    first = ContrastiveEmbedder(**params).fit(TABLE)
    rate = first.net_.plan.learning_rate
    # What "auto" stood for, and what computes the same.
    same = {"learning_rate": rate, "loss": NTXent(1.0), "modality": "tabular", "verbose": False, "on_interrupt": "keep"}
    again = ContrastiveEmbedder(**params, **same).fit(TABLE)
    assert again.history_ == first.history_
    for change, field in {
        ("loss_params", "temperature"): r"loss__temperature \(1.0, now 0.7\)",
        ("encoder_params", "n_layers"): r"encoder__n_layers \(1, now 2\)",
    }.items():
        value = {"temperature": 0.7, "n_layers": 2, "width": 8}
        entries = {name: value[name] for name in ([change[1], "width"] if change[1] == "n_layers" else [change[1]])}
        with pytest.raises(ValueError, match=rf"differs in .*{field}"):
            ContrastiveEmbedder(**{**params, change[0]: entries}).fit(TABLE)


def test_large_encoders_of_other_packages_are_planned_without_being_made():
    for encoder, kind in ((Timm, "image"), (SentenceTransformer, "text")):
        assert plan(kind, encoder=encoder).encoder.make is encoder
