"""Files of fitted embedders: what goes in comes back, and what is not such a file is refused."""

import copy
import inspect
import io
import os
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

import skclr
from skclr import ContrastiveEmbedder, ModelFileError, load
from skclr.encoders import ENCODERS
from skclr.files.format import Reader, from_bytes, to_bytes
from skclr.frameworks import FRAMEWORKS, SimCLR
from skclr.losses import LOSSES, NTXent
from skclr.modalities import MODALITIES
from skclr.saving import CLASSES
from skclr.views import VIEWS, MarginalCorruption

FILES = sorted((Path(__file__).parent / "data").glob("*.skclr"))

rng = np.random.default_rng(0)
WORDS = ["a", "rose", "is", "a", "rose", "and", "a", "daisy", "is", "no", "rose", "but", "a", "flower", "that", "grows"]
INPUTS = {
    "tabular": rng.normal(size=(24, 4)),
    "image": rng.integers(0, 255, (12, 9, 8, 3), dtype=np.uint8),
    "series": rng.normal(size=(12, 2, 30)),
    "audio": rng.normal(size=(6, 1000)).astype(np.float32) / 9,
    "text": [" ".join(rng.choice(WORDS, 5)) for _ in range(12)],
    "frame": pd.DataFrame(
        {
            "size": [1.5, np.nan, 3, 8] * 4,
            "color": ["red", None, "green", "red"] * 4,
            "sold": [True, False, False, True] * 4,
            "code": pd.Categorical([3, 5, 3, 3] * 4),
        }
    ),
    "sparse": sparse.random(20, 6, 0.4, format="csr", random_state=0),
    "flat": rng.integers(0, 255, (12, 64)),
    "ragged": [rng.normal(size=(2, n)) for n in range(9, 19)],
    "pairs": (rng.normal(size=(12, 4)), rng.normal(size=(12, 4))),
}
PARAMETERS = {
    "audio": {"modality_params": {"sampling_rate": 2000, "n_mels": 8}},
    "flat": {"modality_params": {"image_shape": (8, 8)}},
    "text": {"modality_params": {"tokenizer": "words"}},
}
ENCODERS_OF = {
    "tabular": ["mlp", "residual_mlp", "feature_transformer"],
    "image": ["conv", "resnet18", "timm"],
    "series": ["on_features", "tcn", "gru", "lstm", "series_transformer"],
    "audio": ["spectrogram"],
    "text": ["text", "text_transformer"],
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.skclr"


@pytest.fixture(scope="module")
def saved(tmp_path_factory, table):
    """A fitted embedder and the bytes of its file."""
    embedder = ContrastiveEmbedder(max_epochs=1, random_state=0, encoder_params={"width": 8}).fit(table[0])
    path = tmp_path_factory.mktemp("saved") / "model.skclr"
    embedder.save(path)
    return embedder, path.read_bytes()


def there_and_back(embedder, path, **parameters):
    embedder.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(path, **parameters)


def assert_same(one, other, X):
    side = X[0] if isinstance(X, tuple) else X
    assert_array_equal(other.transform(side), one.transform(side))
    assert other.history_ == one.history_
    assert other.modality_ == one.modality_
    assert_array_equal(other.get_feature_names_out(), one.get_feature_names_out())
    # The views, the optimiser's state and every counter: training goes on as if nothing had been.
    for view, same in zip(one.make_views(X), other.make_views(X), strict=True):
        assert_array_equal(view, same)
    assert_array_equal(other.partial_fit(X).transform(side), one.partial_fit(X).transform(side))
    assert other.loss_curve_ == one.loss_curve_


# -- what comes back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_input(kind, quick, file):
    X = INPUTS[kind]
    embedder = quick(encoder_params={"width": 8}, **PARAMETERS.get(kind, {})).fit(X)
    assert_same(embedder, there_and_back(embedder, file), X)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_framework(name, quick, file):
    X = INPUTS["tabular"]
    embedder = quick(name, encoder_params={"width": 8}).fit(X)
    loaded = there_and_back(embedder, file)
    for key, value in embedder.net_.module_.state_dict().items():
        assert torch.equal(loaded.net_.module_.state_dict()[key], value), key
    assert_same(embedder, loaded, X)


@pytest.mark.parametrize(("modality", "encoder"), [(m, e) for m, names in ENCODERS_OF.items() for e in names])
def test_every_encoder(modality, encoder, quick, file):
    if encoder == "timm":
        pytest.importorskip("timm")
    X = INPUTS[modality]
    embedder = quick(encoder=encoder, max_epochs=0, **PARAMETERS.get(modality, {})).fit(X)
    loaded = there_and_back(embedder, file, **({"trust": ("timm",)} if encoder == "timm" else {}))
    assert_array_equal(loaded.transform(X), embedder.transform(X))


def test_a_tokenizer_is_in_the_file(quick, file, monkeypatch):
    pytest.importorskip("wordllama")
    X = INPUTS["text"]
    embedder = quick(modality_params={"tokenizer": "wordllama"}).fit(X)
    embedder.save(file)
    assert_same(embedder, load(file, modality_params={"tokenizer": "wordllama"}), X)
    # Where it is not installed.
    monkeypatch.setattr("skclr.optional.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"trust=\('tokenizers',\)"):
        load(file)
    assert_same(embedder.fit(X), load(file, trust=("tokenizers",)), X)


def test_no_registry_is_forgotten():
    assert set(ENCODERS_OF) == set(MODALITIES)
    # The smallest ResNet suffices, and one encoder is made from another model's files.
    left_out = {"resnet34", "resnet50", "sentence_transformer"}
    assert {e for names in ENCODERS_OF.values() for e in names} == set(ENCODERS) - left_out
    assert set(CLASSES.values()) >= {*LOSSES.values(), *VIEWS.values()}


@pytest.mark.parametrize("part", [*LOSSES.values(), *VIEWS.values()])
def test_settings_of_parts_are_their_attributes(part):
    one = part(**{"sampling_rate": 2000} if part is VIEWS["audio"] else {})
    state = Reader(CLASSES, {}).read(from_bytes(to_bytes(one.state(), CLASSES))[0])
    assert part.from_state(state).state() == state


def test_parameters_come_back(table, quick, file):
    parameters = {
        "framework": SimCLR,
        "loss": NTXent(temperature=0.3),
        "views": MarginalCorruption(rate=(0.0, 0.5)),
        "optimizer": torch.optim.Adam,
        "optimizer_params": {"betas": (0.8, 0.99)},
        "encoder_params": {"width": 16},
        "modality_params": {"categorical_features": [False] * 5},
        "device": torch.device("cpu"),
        "early_stopping": True,
        "learning_rate": 1e-3,
    }
    embedder = quick(**parameters).fit(table[0])
    loaded = there_and_back(embedder, file)
    for name, value in embedder.get_params().items():
        other = loaded.get_params()[name]
        assert str(other) == str(value) or other.state() == value.state(), name
    assert_array_equal(clone(loaded).fit(table[0]).transform(table[0]), embedder.transform(table[0]))


def test_names_of_columns_come_back(quick, file):
    X = INPUTS["frame"]
    loaded = there_and_back(quick().fit(X), file)
    assert_array_equal(loaded.feature_names_in_, X.columns)
    with pytest.raises(ValueError, match="feature names"):
        loaded.transform(X.rename(columns={"size": "width"}))


def test_parameters_set_after_the_fit(table, quick, file):
    X, _ = table
    embedder = quick().fit(X).set_params(encoder__width=16, batch_size=np.int64(7))
    loaded = there_and_back(embedder, file)
    assert loaded.encoder_params == {"width": 16}
    assert loaded.batch_size == 7
    assert_array_equal(loaded.transform(X), embedder.transform(X))


@pytest.mark.filterwarnings("ignore:freeze=2 would keep layers")
def test_untrained_frozen_and_compiled(table, quick, file):
    X, _ = table
    for parameters in ({"max_epochs": 0}, {"freeze": 2}, {"passthrough": False}):
        embedder = quick(**parameters).fit(X)
        loaded = there_and_back(embedder, file)
        assert_array_equal(loaded.transform(X), embedder.transform(X))
        trained = [p.requires_grad for p in embedder.encoder_.parameters()]
        assert [p.requires_grad for p in loaded.encoder_.parameters()] == trained


def test_without_the_optimizer(table, quick, file):
    X, _ = table
    embedder = quick().fit(X)
    embedder.save(file)
    whole = file.stat().st_size
    embedder.save(file, optimizer=False)
    assert file.stat().st_size < 0.45 * whole
    assert_array_equal(load(file).transform(X), embedder.transform(X))
    load(file, warm_start=True).fit(X)
    load(file).partial_fit(X)


def test_same_model_same_bytes(saved, file):
    embedder, raw = saved
    embedder.save(file)
    assert file.read_bytes() == raw
    load(file).save(file)
    assert file.read_bytes() == raw


def test_global_generator_is_left_alone(saved, file):
    saved[0].save(file)
    before = torch.get_rng_state()
    load(file)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_every_version_load_for_ever(path):
    X = np.load(path.with_suffix(".npz"), allow_pickle=False)
    embedder = load(path)
    # Other versions of torch may round another way.
    np.testing.assert_allclose(embedder.transform(X["X"]), X["embedding"], rtol=1e-5, atol=1e-6)
    assert embedder.loss_curve_ == X["loss"].tolist()


def test_files_of_this_version_are_kept():
    stems = {path.stem for path in FILES}
    assert stems >= {f"version-{skclr.files.format.VERSION}-{modality}" for modality in MODALITIES}


# -- what no file holds -------------------------------------------------------------------------------


def tiny_encoder(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def test_an_encoder_of_your_own_is_given(table, quick, file):
    X, _ = table
    embedder = quick(encoder=tiny_encoder()).fit(X)
    embedder.save(file)
    with pytest.raises(ValueError, match=r"saved without its encoder \(a Sequential\).*load\(path, encoder=\.\.\.\)"):
        load(file)
    # Its weights are the file's.
    assert_array_equal(load(file, encoder=tiny_encoder(seed=1)).transform(X), embedder.transform(X))
    with pytest.raises(ModelFileError, match="other parts"):
        load(file, encoder=nn.Linear(5, 3))


def test_functions_are_given(table, quick, file):
    X, _ = table
    parameters = {"views": lambda x: x + 0.1 * torch.randn_like(x), "lr_schedule": lambda progress: 1 - progress / 2}
    embedder = quick(**parameters).fit(X)
    embedder.save(file)
    with pytest.raises(ValueError, match=r"lr_schedule \(a function\), views \(a function\)"):
        load(file)
    assert_same(embedder, load(file, **parameters), X)


def test_a_fitted_encoder_is_given(table, quick, file):
    X, _ = table
    learned = quick().fit(X)
    embedder = quick(encoder=learned).fit(X)
    embedder.save(file)
    for given in (learned, learned.encoder_):
        assert_array_equal(load(file, encoder=given).transform(X), embedder.transform(X))


def test_parameters_can_be_passed_again(saved, file):
    saved[0].save(file)
    assert load(file, verbose=2).verbose == 2
    with pytest.raises(ValueError, match="Invalid parameter 'speed'"):
        load(file, speed=2)


def test_nothing_is_saved_before_fit(file):
    with pytest.raises(NotFittedError):
        ContrastiveEmbedder().save(file)
    assert not file.exists()


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", np.linspace(0, 1, 65)[:-1])
def test_a_file_that_was_cut_short(saved, file, end):
    file.write_bytes(saved[1][: int(end * len(saved[1]))])
    with pytest.raises(ModelFileError, match=r"model\.skclr cannot be loaded"):
        load(file)


def test_a_single_bit(saved, file):
    raw = saved[1]
    places = np.random.default_rng(0).integers(8 * len(raw), size=200)
    # The header is small and says the most.
    for place in [*places, *range(0, 8 * 160, 5)]:
        altered = bytearray(raw)
        altered[place // 8] ^= 1 << place % 8
        file.write_bytes(altered)
        with pytest.raises(ModelFileError):
            load(file)


def test_more_than_the_file(saved, file):
    file.write_bytes(saved[1] + b"\0")
    with pytest.raises(ModelFileError, match="checksum"):
        load(file)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"PK\x03\x04" * 99, bytes(4096), b"\xff" * 4096])
def test_something_else(file, content):
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a model saved by skclr"):
        load(file)


def test_neither_a_folder_nor_a_device_is_read(tmp_path):
    for path in (tmp_path, "/dev/zero"):
        if os.path.exists(path):
            with pytest.raises(ModelFileError, match="not a regular file"):
                load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")


def forge(raw, edit):
    """Write a forged file: other content with its valid checksum."""
    tree, tensors = from_bytes(raw)
    content = Reader(CLASSES, tensors).read(tree)
    content = edit(content) or content
    return to_bytes(content, CLASSES)


def setting(name, value):
    def edit(content):
        content["fitted_with"][name] = value

    return edit


def learned(name, value):
    def edit(content):
        vars(content["modality"])[name] = value

    return edit


def of_net(name, value):
    def edit(content):
        content["net"][name] = value

    return edit


def without(*places):
    def edit(content):
        for place in places[:-1]:
            content = content[place]
        del content[places[-1]]

    return edit


def enlarge(content):
    name, weight = next((n, w) for n, w in content["net"]["module"].items() if w.ndim == 2)
    content["net"]["module"][name] = torch.cat([weight, weight])


def narrow(content):
    name, weight = next(iter(content["net"]["module"].items()))
    content["net"]["module"][name] = weight.double()


FORGERIES = {
    "nothing": lambda content: {"fitted_with": {}},
    "a_list": lambda content: [1, 2],
    "unknown_framework": setting("framework", "simsalabim"),
    "other_framework": setting("framework", "byol"),
    "class_that_is_no_encoder": setting("encoder", NTXent),
    "unknown_parameter": setting("speed", 1),
    "missing_parameters": without("fitted_with"),
    "wrong_kind": setting("max_epochs", "many"),
    "a_billion_wide": setting("encoder_params", {"width": 10**9}),
    "a_billion_layers": setting("encoder_params", {"n_layers": 10**9}),
    "beyond_all_numbers": setting("encoder_params", {"width": 10**99}),
    "a_wide_head": setting("framework_params", {"hidden_dim": 10**9}),
    "a_billion_frozen_layers": setting("freeze", 10**9),
    "weights_missing": without("net", "module", "projector.0.weight"),
    "weights_of_another_shape": enlarge,
    "weights_of_another_dtype": narrow,
    "weights_of_nothing": of_net("module", {}),
    "history_of_another_kind": of_net("history", [{"epoch": 1}]),
    "history_of_strings": of_net("history", "abc"),
    "optimizer_of_another_kind": of_net("optimizer", {0: {"exp_avg": torch.ones(2, 2)}}),
    "optimizer_of_too_many": of_net("optimizer", {999: {"exp_avg": torch.ones(2)}}),
    "negative_batches": of_net("batch_size", -5),
    "shape_of_another_size": learned("shape_", (7,)),
    "shape_of_everything": learned("shape_", (10**12,)),
    "shape_of_strings": learned("shape_", ("a",)),
    "mean_of_another_size": learned("mean_", np.zeros((10**6, 1, 1))),
    "mean_of_another_kind": learned("mean_", "zero"),
    "learned_without_a_name": learned("__class__", 1),
    "learned_method": learned("features", 1),
    "no_samples": lambda content: {**content, "n_samples": 0},
    "recorded_of_another_kind": lambda content: {**content, "recorded": {"n_features_in_": "five"}},
    "recorded_else": lambda content: {**content, "recorded": {"transform": 1}},
    "tensor_of_nobody": lambda content: {**content, "more": torch.zeros(3)},
}


@pytest.mark.parametrize("case", FORGERIES)
def test_forgeries_are_refused_before_they_cost(case, saved, file):
    file.write_bytes(forge(saved[1], FORGERIES[case]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelFileError):
            load(file)
    assert torch.is_grad_enabled()
    assert torch.empty(0).device == torch.device("cpu")


def test_no_file_says_where_to_write(saved, table, file, tmp_path):
    place = tmp_path / "place"
    for edit in (setting("checkpoint_dir", str(place)), lambda c: c["changed"].update(checkpoint_dir=str(place))):
        file.write_bytes(forge(saved[1], edit))
        with pytest.warns(UserWarning, match=r"load left out checkpoint_dir.*load\(path, checkpoint_dir=\.\.\.\)"):
            loaded = load(file)
        assert loaded.checkpoint_dir is None
        loaded.fit(table[0])
        assert not place.exists()
    load(file, checkpoint_dir=place).fit(table[0])
    assert place.is_dir()


def test_a_view_maker_of_a_billion_views_is_refused(saved, table, file):
    file.write_bytes(forge(saved[1], setting("views_params", {"n_views": 10**9})))
    with pytest.raises(ModelFileError, match="n_views: 1000000000 is not a whole number from 1 to 32"):
        load(file)
    assert_array_equal(load(file, views_params=None).transform(table[0]), saved[0].transform(table[0]))


def test_a_longer_text_than_any_memory_is_refused(quick, file):
    embedder = quick(modality_params={"tokenizer": "words"}).fit(INPUTS["text"])
    embedder.save(file)
    for edit in (learned("max_tokens", 10**12), learned("shape_", (10**9, 16))):
        file.write_bytes(forge(file.read_bytes(), edit))
        with pytest.raises(ModelFileError, match="fit together"):
            load(file)
        embedder.save(file)


def test_audio_whose_filters_no_memory_holds_is_refused(quick, file):
    embedder = quick(**PARAMETERS["audio"]).fit(INPUTS["audio"])
    embedder.save(file)
    for edit in (learned("window", 1e9), learned("shape_", (10**12,)), learned("sampling_rate", 1e18)):
        file.write_bytes(forge(file.read_bytes(), edit))
        with pytest.raises(ModelFileError):
            load(file)
        embedder.save(file)


def test_a_later_version_says_so(saved, file, monkeypatch):
    monkeypatch.setattr("skclr.files.format.VERSION", 99)
    saved[0].save(file)
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match=r"version 99.*Update skclr"):
        load(file)


def test_no_file_makes_timm_fetch(quick, file):
    timm = pytest.importorskip("timm")
    embedder = quick(encoder="timm", max_epochs=0).fit(INPUTS["image"])
    embedder.save(file)
    raw = file.read_bytes()
    with pytest.raises(ValueError, match=r"model of the package timm: .* load\(path, trust=\('timm',\)\)"):
        load(file)
    file.write_bytes(forge(raw, setting("encoder_params", {"model": "hf-hub:someone/something"})))
    with pytest.raises(ModelFileError, match="not a built-in model of timm"):
        load(file, trust=("timm",))
    sources = {"pretrained": True, "checkpoint_path": "/etc/passwd", "pretrained_cfg": {"url": "https://example.org"}}
    assert sources.keys() < inspect.signature(timm.create_model).parameters.keys()
    file.write_bytes(forge(raw, setting("encoder_params", sources)))
    with pytest.warns(UserWarning, match="load left out encoder_params"):
        loaded = load(file, trust=("timm",))
    assert_array_equal(loaded.transform(INPUTS["image"]), embedder.transform(INPUTS["image"]))


# -- writing ------------------------------------------------------------------------------------------


def test_what_cannot_be_written_leaves_the_old_file(saved, file, monkeypatch):
    embedder, raw = saved
    embedder.save(file)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        embedder.save(file)
    assert os.listdir(file.parent) == ["model.skclr"]
    assert file.read_bytes() == raw


# -- pickle and joblib --------------------------------------------------------------------------------


def pickled(embedder):
    return pickle.loads(pickle.dumps(embedder))


def dumped(embedder):
    file = io.BytesIO()
    joblib.dump(embedder, file, compress=True)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("copied", [pickled, dumped, copy.deepcopy])
@pytest.mark.parametrize("kind", ["tabular", "text", "frame"])
def test_pickles_keep_everything(copied, kind, quick):
    X = INPUTS[kind]
    embedder = quick("moco", encoder_params={"width": 8}, **PARAMETERS.get(kind, {})).fit(X)
    assert_same(embedder, copied(embedder), X)


@pytest.mark.parametrize("device", ["cuda", "mps", "cuda:7"])
def test_a_missing_device_is_reported_once(saved, table, file, monkeypatch, device):
    embedder = copy.deepcopy(saved[0])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    embedder.device = embedder.net_.device = device
    embedder.save(file)
    raw = pickle.dumps(embedder)
    for loaded in (lambda: load(file), lambda: pickle.loads(raw)):
        with pytest.warns(UserWarning, match=f"on the CPU, since device='{device}' is not available") as told:
            one = loaded()
        assert len(told) == 1
        assert one.device_ == torch.device("cpu")
        assert one.device == device
        assert_array_equal(one.transform(table[0]), saved[0].transform(table[0]))


def test_an_automatic_device_is_chosen_again(saved, monkeypatch):
    embedder = copy.deepcopy(saved[0])
    # As after training on a GPU with device="auto".
    embedder.net_.device = "cuda"
    assert pickled(embedder).device_ == skclr.planning.choose_device("auto")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trained_on_a_gpu(quick, table, file, monkeypatch):
    X, _ = table
    embedder = quick(device="cuda").fit(X)
    embedder.save(file)
    raw = pickle.dumps(embedder)
    on_gpu = embedder.transform(X)
    for again in (load(file), pickle.loads(raw)):
        assert again.device_.type == "cuda"
        assert_array_equal(again.transform(X), on_gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for loaded in (lambda: load(file), lambda: pickle.loads(raw)):
        with pytest.warns(UserWarning, match="is not available"):
            again = loaded()
        assert again.device_.type == "cpu"
        np.testing.assert_allclose(again.transform(X), on_gpu, rtol=1e-3, atol=1e-4)
