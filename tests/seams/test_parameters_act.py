"""A parameter acts or raises: callbacks of skorch, parameters of the net, schedules, devices."""

import inspect

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.model_selection import LeaveOneOut, cross_val_score
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    Initializer,
    LoadInitState,
    LRScheduler,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
)
from skorch.helper import predefined_split

from skclr import ContrastiveEmbedder

X = np.random.default_rng(0).normal(size=(40, 4))


def fit(callbacks=(), **params):
    return ContrastiveEmbedder(**{"max_epochs": 2, "random_state": 0, "callbacks": list(callbacks), **params}).fit(X)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


class Logged:
    """Stands for a writer or an experiment of a logger; records what it is told."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calls.append((name, args))

    def __deepcopy__(self, memo):
        return self


def one(net, X, y=None):
    return 1.0


# -- each of skorch's callbacks -----------------------------------------------------------------------

# By class: how it is made, the fit's parameters, and what shows that it acted (None where that is the fit).
WORKS = {
    "Callback": (Callback, {}, None),
    "EpochTimer": (skorch.callbacks.EpochTimer, {}, lambda model: model.history_[-1]["dur"] > 0),
    "EarlyStopping": (
        lambda folder: EarlyStopping(monitor="train_loss", patience=1, threshold=10, threshold_mode="abs", sink=print),
        {"max_epochs": 5},
        lambda model: model.n_iter_ < 5,
    ),
    "EpochScoring": (
        lambda folder: EpochScoring(one, name="one", use_caching=False, on_train=True),
        {},
        lambda model: model.history_[:, "one"] == [1.0, 1.0],
    ),
    "PassthroughScoring": (lambda folder: PassthroughScoring("train_loss", on_train=True), {}, None),
    "Checkpoint": (
        lambda folder: Checkpoint(monitor="train_loss_best", dirname=folder),
        {},
        lambda model: "event_cp" in model.history_[-1],
    ),
    "TrainEndCheckpoint": (lambda folder: TrainEndCheckpoint(dirname=folder), {}, None),
    "PrintLog": (lambda folder: PrintLog(sink=lambda *args: None), {}, None),
    "ProgressBar": (lambda folder: ProgressBar(detect_notebook=False), {}, None),
    "Freezer": (lambda folder: Freezer("encoder.*"), {}, None),
    "Unfreezer": (lambda folder: Unfreezer("encoder.*", at=2), {}, None),
    "Initializer": (lambda folder: Initializer("encoder*weight", fn=torch.nn.init.zeros_, at=1), {}, None),
    "ParamMapper": (lambda folder: ParamMapper("encoder*", fn=lambda p: p, at=1), {}, None),
    "GradientNormClipping": (lambda folder: GradientNormClipping(1e-3), {}, None),
    "TensorBoard": (lambda folder: TensorBoard(Logged()), {}, None),
    "SacredLogger": (lambda folder: SacredLogger(Logged()), {}, None),
    "WandbLogger": (lambda folder: WandbLogger(Logged(), save_model=False), {}, None),
}
REFUSED = {
    "LRScheduler": (lambda: LRScheduler(policy="StepLR", step_size=1), {}, "lr_schedule"),
    "LRScheduler, plateau": (lambda: LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau), {}, "lr_schedule"),
    "LRScheduler, class": (lambda: LRScheduler, {}, "lr_schedule"),
    "BatchScoring": (lambda: skorch.callbacks.BatchScoring("accuracy"), {}, "your own Callback"),
    "EpochScoring, by name": (lambda: EpochScoring("accuracy", on_train=True), {}, "function of"),
    "EpochScoring, caching": (lambda: EpochScoring(one, on_train=True), {}, "use_caching=False"),
    "EpochScoring, unvalidated": (lambda: EpochScoring(one, use_caching=False), {}, "validation_fraction"),
    "EpochScoring, class": (lambda: EpochScoring, {}, "needs arguments"),
    "InputShapeSetter": (skorch.callbacks.InputShapeSetter, {}, "Remove it"),
    "PassthroughScoring": (lambda: PassthroughScoring("accuracy"), {}, "accuracy"),
    "PassthroughScoring, unvalidated": (lambda: PassthroughScoring("valid_loss"), {}, "validation_fraction"),
    "EarlyStopping": (EarlyStopping, {}, "validation_fraction"),
    "EarlyStopping, class": (lambda: EarlyStopping, {}, "validation_fraction"),
    "EarlyStopping, named": (lambda: ("stop", EarlyStopping()), {}, "validation_fraction"),
    "EarlyStopping, unknown": (lambda: EarlyStopping(monitor="valid_acc"), {}, "valid_acc"),
    "Checkpoint": (Checkpoint, {}, "validation_fraction"),
    "Checkpoint, pickle": (lambda: Checkpoint(monitor=None, f_pickle="net.pkl"), {}, "checkpoint_dir"),
    "TrainEndCheckpoint, pickle": (lambda: TrainEndCheckpoint(f_pickle="net.pkl"), {}, "checkpoint_dir"),
    "WandbLogger": (lambda: WandbLogger(Logged()), {}, "save_model=False"),
    "Freezer": (lambda: Freezer("*"), {}, "freeze"),
    "name": (lambda: ("train_loss", Callback()), {}, "train_loss"),
    "WarmRestartLR": (lambda: skorch.callbacks.WarmRestartLR, {}, "callbacks="),
}
# They need packages or servers of their own, and read the history alone, as the other loggers do.
ELSEWHERE = {"NeptuneLogger", "MlflowLogger"}


def test_every_public_callback_is_tried():
    tried = {name.partition(",")[0] for name in (*WORKS, *REFUSED)} | {"LoadInitState"} | ELSEWHERE
    assert set(skorch.callbacks.__all__) <= tried


@pytest.mark.parametrize("name", WORKS)
def test_a_callback_acts(name, tmp_path, capsys):
    make, params, shows = WORKS[name]
    callback = make() if isinstance(make, type) else make(str(tmp_path))
    model = fit([callback], **params)
    if shows is not None:
        assert shows(model)


@pytest.mark.parametrize("name", REFUSED)
def test_a_callback_that_cannot_act_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, params, remedy = REFUSED[name]
    model = ContrastiveEmbedder(max_epochs=2, random_state=0, callbacks=[make()], **params)
    with pytest.raises(ValueError, match=remedy) as raised:
        model.fit(X)
    assert len(str(raised.value)) < 300
    assert not hasattr(model, "net_")


VALIDATED = {
    "EarlyStopping": lambda folder: EarlyStopping(patience=1, threshold=10, threshold_mode="abs", sink=print),
    "Checkpoint": lambda folder: Checkpoint(dirname=folder),
    "EpochScoring": lambda folder: EpochScoring(one, name="one", use_caching=False),
    "PassthroughScoring": lambda folder: PassthroughScoring("valid_loss"),
}


@pytest.mark.parametrize("name", VALIDATED)
def test_with_validation_the_validation_loss_can_be_watched(name, tmp_path, capsys):
    model = fit([VALIDATED[name](str(tmp_path))], validation_fraction=0.2, max_epochs=4)
    assert model.n_iter_ == (2 if name == "EarlyStopping" else 4)


def test_a_callback_of_your_own_may_record_what_another_watches(capsys):
    class Mine(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("mine", 1.0)

    assert fit([Mine(), EarlyStopping(monitor="mine", patience=1)], max_epochs=5).n_iter_ < 5


def test_a_clipped_gradient_is_another_fit():
    assert not torch.equal(weights(fit([GradientNormClipping(1e-3)], optimizer="sgd")), weights(fit(optimizer="sgd")))


def test_a_frozen_encoder_stays():
    frozen, untrained = fit([Freezer("encoder.*")]), fit(max_epochs=0)
    for one_of, other in zip(frozen.encoder_.parameters(), untrained.encoder_.parameters(), strict=True):
        assert torch.equal(one_of, other)


def test_a_saved_state_is_loaded(tmp_path):
    saved = TrainEndCheckpoint(dirname=str(tmp_path))
    first = fit([saved])
    params = {"net_params": {"torch_load_kwargs": {"weights_only": True}}}
    again = fit([saved, LoadInitState(saved)], max_epochs=1, **params)
    assert not torch.equal(weights(again), weights(fit(max_epochs=1)))
    assert len(first.history_) == 2


# -- parameters of the net ----------------------------------------------------------------------------

NET_PARAMS = [
    name
    for name, parameter in inspect.signature(NeuralNet).parameters.items()
    if parameter.kind is not parameter.VAR_KEYWORD
]
VALUES = {
    "callbacks": [],
    "train_split": predefined_split(None),
    "module": torch.nn.Linear,
    "optimizer": torch.optim.SGD,
    "torch_load_kwargs": {"weights_only": True},
}
OWNER = {
    "module": "framework",
    "criterion": "loss",
    "lr": "learning_rate",
    "train_split": "validation_fraction",
    "iterator_train": "Remove it",
    "iterator_valid": "Remove it",
    "dataset": "Remove it",
    "predict_nonlinearity": "Remove it",
    "use_caching": "Remove it",
    "torch_load_kwargs": "callback",
    "iterator_train__num_workers": "Remove it",
    "iterator_train__shuffle": "Remove it",
    "optimizer__momentum": "optimizer_params",
    "module__projection_dim": "framework_params",
    "criterion__temperature": "loss_params",
    "callbacks__valid_loss": "callbacks",
    "compile__mode": "compile=True",
    "epochs": "max_epochs",
    "schedule": "lr_schedule",
    "view_maker": "views",
    "seed": "random_state",
    "autocast": "precision",
}


@pytest.mark.parametrize("name", dict.fromkeys([*NET_PARAMS, *OWNER]))
def test_a_parameter_of_the_net_names_the_embedders(name):
    with pytest.raises(ValueError, match=f"net_params has {name!r}.*{OWNER.get(name, name)}"):
        fit(net_params={name: VALUES.get(name, 3)})


def test_early_stopping_and_checkpoints_cannot_be_dropped(tmp_path):
    with pytest.raises(ValueError, match="callbacks"):
        fit(net_params={"callbacks": []}, early_stopping=True, checkpoint_dir=tmp_path)


def test_compile_options_reach_the_compiler():
    with pytest.raises(ValueError, match="nonsense"):
        fit(compile=True, net_params={"compile__backend": "nonsense"})


# Raised when torch inspects tensors between two graphs.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_compiled_module_takes_chunks():
    expected = weights(fit(chunk_size=8, precision="float32"))
    compiled = fit(chunk_size=8, precision="float32", compile=True, net_params={"compile__backend": "eager"})
    torch.testing.assert_close(weights(compiled), expected)


# -- the rest -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [torch.optim.lr_scheduler.StepLR, lambda: 1.0, lambda progress: None, lambda progress: "half", lambda p: np.nan],
)
def test_a_schedule_is_a_function_of_progress(schedule):
    with pytest.raises(ValueError, match=r"lr_schedule=.*progress|lr_schedule=.*factor"):
        fit(lr_schedule=schedule)


@pytest.mark.parametrize("device", ["meta", "hpu", "xla", "privateuseone", "cuda:99", "gpu", torch.device("meta")])
def test_a_device_that_cannot_train_is_refused(device):
    with pytest.raises(ValueError, match="device="):
        fit(device=device)


def test_leaving_one_out_leaves_nothing_to_compare():
    with pytest.raises(ValueError, match=r"score and make_views need 2 or more.*KFold"):
        cross_val_score(ContrastiveEmbedder(max_epochs=0), X[:3], cv=LeaveOneOut(), error_score="raise")


def test_nothing_left_to_train_is_said():
    with pytest.raises(ValueError, match=r"nothing .*to train"):
        fit(freeze="all", encoder=fit(max_epochs=0).encoder_, framework_params={"n_layers": 0})


def test_a_loss_of_the_users_own_is_not_written_to():
    class Mine(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, embeddings, groups, candidates=None, candidate_groups=None):
            return (self.scale * embeddings.square()).mean()

    loss = Mine()
    one_fit, other = fit(loss=loss), fit(loss=loss)
    assert loss.scale.item() == 1.0
    assert torch.equal(weights(one_fit), weights(other))
