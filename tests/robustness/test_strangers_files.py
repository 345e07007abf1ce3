"""A stranger's model file runs nothing, opens nothing and asks for no memory, when it is loaded and when it is used."""

import inspect
import itertools
import json
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn

from skclr import ContrastiveEmbedder, ModelFileError, diagnose, load
from skclr.encoders import ENCODERS, MLP, SentenceTransformer, Timm
from skclr.frameworks import FRAMEWORKS, Supervised
from skclr.losses import LOSSES, NTXent
from skclr.modalities import MODALITIES
from skclr.modalities.tokenizer_files import bounded
from skclr.modalities.tokenizers import OfModel
from skclr.persistence import CLASSES
from skclr.roles import ARGUMENTS, ENTRIES, PARAMETERS, TORCH_OPTIMIZERS, never
from skclr.training import OPTIMIZERS
from skclr.views import VIEWS, Masking, Neighbors
from tests.robustness.forging import MEBIBYTE, forged, memory_below, nothing_reached, plant, written

rng = np.random.default_rng(0)
X_OF = {
    "tabular": rng.normal(size=(12, 4)),
    "image": rng.integers(0, 255, (6, 9, 8, 3), dtype=np.uint8),
    "series": rng.normal(size=(6, 2, 20)),
    "audio": (rng.normal(size=(4, 300)) * 999).astype(np.int16),
    "text": ["a rose", "a daisy", "no rose", "red, red!"],
}
PARAMETERS_OF = {
    "tabular": {"encoder": "mlp", "encoder_params": {"width": 4}},
    "image": {"encoder": "conv", "encoder_params": {"width": 2, "n_layers": 2}},
    "series": {"encoder": "tcn", "encoder_params": {"width": 2, "n_blocks": 2}},
    "audio": {
        "encoder": "spectrogram",
        "encoder_params": {"width": 2, "n_layers": 2},
        "modality_params": {"sampling_rate": 1000, "n_mels": 4},
    },
    "text": {"modality_params": {"tokenizer": "words"}},
}
VERBS = {
    "transform": lambda model, X: model.transform(X),
    "score": lambda model, X: model.score(X),
    "make_views": lambda model, X: model.make_views(X),
    "partial_fit": lambda model, X: model.partial_fit(X),
    "diagnose": diagnose,
    "clone_and_fit": lambda model, X: clone(model).set_params(max_epochs=1).fit(X),
}
BOTH = ("fitted_with", "changed")


@pytest.fixture(scope="module", autouse=True)
def warmed(files):
    """What is imported late is no file's doing."""
    path, raw = files
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, content in raw.items():
            path.write_bytes(content)
            for verb in VERBS.values():
                verb(load(path), X_OF[kind])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A path, and the bytes of a small file of each modality."""
    path = tmp_path_factory.mktemp("models") / "model.skclr"
    return path, {kind: written(X, path, **PARAMETERS_OF[kind]) for kind, X in X_OF.items()}


def setting(values, where="fitted_with"):
    return lambda content: content[where].update(values)


def learned(**values):
    return lambda content: vars(content["modality"]).update(values)


def read(files, kind, edit, **parameters):
    path, raw = files
    path.write_bytes(forged(raw[kind], edit))
    FakeTokenizer.built.clear()
    with nothing_reached(path):
        return load(path, **parameters)


def refused(files, kind, edit, match=None, **parameters):
    with pytest.raises(ValueError, match=match):
        read(files, kind, edit, **parameters)


# -- roles ------------------------------------------------------------------------------------------

REGISTRIES = {
    "framework": {*FRAMEWORKS.values(), Supervised},
    "loss": set(LOSSES.values()),
    "encoder": set(ENCODERS.values()),
    "views": set(VIEWS.values()),
    "modality": set(MODALITIES.values()),
    "optimizer": {*OPTIMIZERS.values(), *TORCH_OPTIMIZERS.values()},
    "lr_schedule": set(),
}


@pytest.mark.parametrize("parameter", REGISTRIES)
def test_no_class_takes_the_place_of_another_kind(parameter, files, monkeypatch):
    reached = plant(monkeypatch)
    # Some of each kind, and all that run other packages' code.
    strangers = {*list(CLASSES.values())[::4], Timm, SentenceTransformer, OfModel, MLP, torch.optim.LBFGS}
    strangers -= REGISTRIES[parameter]
    more = {} if parameter == "lr_schedule" else {f"{parameter}_params": {"input_shape": (3,), "checkpoint_path": "x"}}
    with memory_below(64 * MEBIBYTE):
        for part, where in itertools.product(strangers, BOTH):
            refused(files, "tabular", setting({parameter: part, **more}, where), "is not among|not set")
    assert not reached


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize("name", [name for name in PARAMETERS if PARAMETERS[name] is not never])
def test_no_class_and_no_path_where_a_plain_value_belongs(name, where, files):
    for value in (MLP, [MLP], "/etc/passwd", "https://example.org", b"".hex, {"a": MLP}, 10**30, float("nan"), [[]]):
        if callable(value) and not isinstance(value, type):
            continue
        if name == "device" and isinstance(value, str | type | list | dict | int | float):
            with pytest.warns(UserWarning, match="load left out device"):
                assert read(files, "tabular", setting({name: value}, where)).device == "auto"
        elif name not in REGISTRIES or value is not MLP or name != "encoder":
            refused(files, "tabular", setting({name: value}, where))


def test_every_parameter_has_a_role():
    assert PARAMETERS.keys() | ENTRIES.keys() == ContrastiveEmbedder().get_params(deep=False).keys()


def test_every_argument_of_every_part_has_a_role():
    parts = {*CLASSES.values()} - {*OPTIMIZERS.values(), *TORCH_OPTIMIZERS.values()}
    parts = {part for part in parts if not issubclass(part, torch.optim.Optimizer)}
    filled_in = {"input_shape", "encoder", "n_tokens"}
    for part in parts:
        arguments = inspect.signature(part).parameters
        names = {name for name, argument in arguments.items() if argument.kind is not argument.VAR_KEYWORD}
        assert names - filled_in <= ARGUMENTS.keys(), part


@pytest.mark.parametrize("where", BOTH)
def test_objects_of_the_right_kind_come_back(where, files):
    views = Neighbors(n_neighbors=2, on_top=Masking(n_views=1))
    model = read(files, "tabular", setting({"loss": NTXent(0.3), "views": views, "views_params": None}, where))
    assert model.loss == NTXent(0.3)
    assert model.views.on_top.state() == Masking(n_views=1).state()


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_devices(device, files):
    assert read(files, "tabular", setting({"device": device})).device == device


@pytest.mark.parametrize("device", ["meta", "hpu", "xla:0", "privateuseone", "cuda:9999999999", "", "/dev/sda"])
@pytest.mark.parametrize("where", BOTH)
def test_other_devices_are_left_out(device, where, files):
    with pytest.warns(UserWarning, match=r"load left out device.*load\(path, device=\.\.\.\)") as told:
        model = read(files, "tabular", setting({"device": device}, where))
    assert len(told) == 1
    assert model.device == "auto"
    assert_array_equal(model.transform(X_OF["tabular"]), clean(files, "tabular").transform(X_OF["tabular"]))


def clean(files, kind):
    return read(files, kind, lambda content: None)


def test_what_is_left_out_is_said_once_with_its_remedy(files, tmp_path):
    values = {
        "net_params": {"compile__options": {"cpp.cxx": ["/path/of/a/program"]}, "callbacks": [["x", MLP]]},
        "checkpoint_dir": str(tmp_path / "runs"),
        "modality_params": {"tokenizer": "/path/of/a/tokenizer"},
    }
    with pytest.warns(UserWarning, match="load left out") as told:
        model = read(files, "text", lambda content: [content[where].update(values) for where in BOTH])
    (message,) = [str(warning.message) for warning in told]
    for name in ("net_params", "checkpoint_dir", "modality_params['tokenizer']", "modality_params=..."):
        assert name in message
    assert (model.net_params, model.checkpoint_dir, model.modality_params) == (None, None, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = load(files[0], **dict.fromkeys(values))
    assert given.net_params is None


def test_callbacks_of_ones_own_are_left_out_and_not_asked_for(files, quick):
    from skorch.callbacks import EpochTimer

    path, _ = files
    quick(callbacks=[("timer", EpochTimer())], net_params=None).fit(X_OF["tabular"]).save(path)
    with pytest.warns(UserWarning, match="load left out callbacks"):
        assert load(path).callbacks is None


def test_trust_is_checked(files):
    for trust in ("timm", ("os",), ["timm", "pickle"]):
        with pytest.raises(ValueError, match="trust="):
            read(files, "tabular", lambda content: None, trust=trust)


# -- other packages' code ---------------------------------------------------------------------------


class FakeTimm(types.ModuleType):
    """As much of timm as the encoder asks for; it tells how its models were made."""

    def __init__(self):
        super().__init__("timm")
        self.made = []

    def is_model(self, name):
        return name == "tiny"

    def list_models(self):
        return ["tiny"]

    def get_pretrained_cfg(self, name):
        return None

    def create_model(
        self, model_name, pretrained=False, pretrained_cfg=None, checkpoint_path="", cache_dir=None, **params
    ):
        self.made.append((model_name, pretrained, pretrained_cfg, checkpoint_path, cache_dir, params))
        width = params.get("width", 2)
        model = nn.Sequential(nn.Conv2d(params["in_chans"], width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        model.head_hidden_size = width
        return model


@pytest.fixture
def timm(monkeypatch):
    module = FakeTimm()
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


@pytest.fixture
def of_timm(timm, files, quick):
    embedder = quick(encoder="timm", encoder_params={"model": "tiny"}, max_epochs=0, projection_dim=4).fit(
        X_OF["image"]
    )
    path, _ = files
    embedder.save(path)
    timm.made.clear()
    return embedder, {"image": path.read_bytes()}


def test_a_model_of_timm_needs_trust(of_timm, timm, files):
    embedder, raw = of_timm
    files = files[0], raw
    refused(files, "image", lambda content: None, r"load\(path, encoder=\.\.\.\).*load\(path, trust=\('timm',\)\)")
    assert not timm.made
    for given in ({"trust": ("timm",)}, {"encoder": "timm"}, {"encoder": Timm}, {"encoder_params": {"model": "tiny"}}):
        model = read(files, "image", lambda content: None, **given)
        assert_array_equal(model.transform(X_OF["image"]), embedder.transform(X_OF["image"]))


def test_trust_admits_no_path_no_hub_and_no_weights(of_timm, timm, files):
    files = files[0], of_timm[1]
    sources = {
        "pretrained": True,
        "checkpoint_path": "weights.bin",
        "cache_dir": "/tmp/cache",
        "pretrained_cfg": {"url": "https://example.org"},
    }
    for name, where in itertools.product(sources, BOTH):
        params = {"model": "tiny", name: sources[name]}
        with pytest.warns(UserWarning, match=rf"load left out encoder_params\['{name}'\]"):
            model = read(files, "image", setting({"encoder_params": params}, where), trust=("timm",))
        model.partial_fit(X_OF["image"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            diagnose(model, X_OF["image"])
    for model in ("hf-hub:a/b", "hf_hub:a/b", "local-dir:/tmp/x", "/tmp/x", "../x", "https://example.org", 3, None):
        for where in BOTH:
            refused(files, "image", setting({"encoder_params": {"model": model}}, where), trust=("timm",))
    for params in ({"depth": 10**7}, {"depths": [1] * 1000}, {"width": 10**9}):
        refused(files, "image", setting({"encoder_params": {"model": "tiny", **params}}), trust=("timm",))
    assert timm.made
    assert all(made[:5] == ("tiny", False, None, "", None) for made in timm.made)


@pytest.mark.parametrize("where", BOTH)
def test_other_packages_are_not_reached(where, files, monkeypatch):
    reached = plant(monkeypatch)
    for encoder in ("timm", Timm, "sentence_transformer", SentenceTransformer):
        for params in ({"model": "evil-org/evil"}, {"model": "hf-hub:evil/evil", "pretrained": True}, None):
            edit = setting({"encoder": encoder, "encoder_params": params}, where)
            refused(files, "image", edit, "package (timm|sentence_transformers)")
    assert not reached


def test_no_tokenizer_of_a_path_is_read(files, monkeypatch, tmp_path):
    reached = plant(monkeypatch)
    (tmp_path / "tokenizer.json").write_text("{}")
    for value in (str(tmp_path), str(tmp_path / "tokenizer.json"), "org/model"):
        for where in BOTH:
            with nothing_reached(files[0]), pytest.warns(UserWarning, match="load left out"):
                model = read(files, "text", setting({"modality_params": {"tokenizer": value}}, where))
            with nothing_reached(files[0]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                diagnose(model, X_OF["text"])
    assert not reached


# -- tokenizers of others ---------------------------------------------------------------------------


class Encoding:
    def __init__(self, ids):
        self.ids, self.tokens = ids, list(map(str, ids))


class FakeTokenizer:
    """As much of a tokenizer of the library tokenizers as texts are read with."""

    built = []

    def __init__(self, description):
        self.description = description

    @classmethod
    def from_str(cls, text):
        cls.built.append(json.loads(text))
        return cls(json.loads(text))

    def to_str(self):
        return json.dumps(self.description)

    def no_padding(self):
        self.description["padding"] = None

    def enable_truncation(self, length):
        self.length = length

    def get_vocab(self):
        return self.description["model"]["vocab"]

    def get_vocab_size(self):
        return len(self.get_vocab())

    def encode_batch(self, texts, add_special_tokens=True):
        vocabulary = self.get_vocab()
        return [
            Encoding([vocabulary[word] for word in text.split() if word in vocabulary][: self.length]) for text in texts
        ]


PLAIN = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"a": 0, "rose": 1, "daisy": 2}, "unk_token": "a"},
}


@pytest.fixture
def tokenizers(monkeypatch):
    module = types.ModuleType("tokenizers")
    module.Tokenizer = FakeTokenizer
    FakeTokenizer.built.clear()
    monkeypatch.setitem(sys.modules, "tokenizers", module)
    return module


@pytest.fixture
def of_model(tokenizers, files, quick):
    tokenizer = FakeTokenizer(json.loads(json.dumps(PLAIN)))
    embedder = quick(modality_params={"tokenizer": tokenizer}, max_epochs=0).fit(X_OF["text"])
    embedder.save(files[0])
    FakeTokenizer.built.clear()
    return embedder, tokenizer, (files[0], {"text": files[0].read_bytes()})


def test_a_tokenizer_of_others_is_given_or_trusted(of_model, monkeypatch):
    embedder, tokenizer, files = of_model
    known = {"modality_params": {}}
    with pytest.raises(ValueError, match=r"modality_params={'tokenizer': \.\.\.}.*trust=\('tokenizers',\)"):
        read(files, "text", setting(known))
    assert not FakeTokenizer.built
    for given in ({"modality_params": {"tokenizer": tokenizer}}, {"trust": ("tokenizers",)}):
        model = read(files, "text", setting(known), **given)
        assert_array_equal(model.transform(X_OF["text"]), embedder.transform(X_OF["text"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            diagnose(model, X_OF["text"])
    other = FakeTokenizer({**PLAIN, "model": {"type": "WordLevel", "vocab": {"a": 0}}})
    with pytest.raises(ValueError, match="has 2 tokens, and the model was fitted with 4"):
        read(files, "text", setting(known), modality_params={"tokenizer": other})


def test_padding_of_a_trusted_tokenizer_is_removed(of_model):
    _, _, files = of_model

    def pad(content):
        content["fitted_with"]["modality_params"] = {}
        content["modality"].tokenizer_.tokenizer.description["padding"] = {"strategy": {"Fixed": 3 * 10**7}}
        content["modality"].tokenizer_.tokenizer.description["truncation"] = {"max_length": 10**9}

    read(files, "text", pad, trust=("tokenizers",))
    assert all(built["padding"] is None and built["truncation"] is None for built in FakeTokenizer.built[-1:])


UNBOUNDED = {
    "charsmap": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="}},
    "regular_expression": {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}},
    "growing": {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 50}},
    "replacing_by_expression": {"normalizer": {"type": "Replace", "pattern": {"Regex": "."}, "content": "a"}},
    "growing_everywhere": {"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "a"}},
    "long_beginning": {"normalizer": {"type": "Prepend", "prepend": "a" * 10**4}},
    "in_a_sequence": {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "NFC"}, {"type": "Sequence", "normalizers": [{"type": "Precompiled"}]}],
        }
    },
    "unknown_kind": {"pre_tokenizer": {"type": "Script"}},
    "many_special": {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"x": {"id": "x", "ids": [0] * 10**4, "tokens": ["x"] * 10**4}},
        }
    },
    "unknown_special": {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "y", "type_id": 0}}],
            "pair": [],
            "special_tokens": {},
        }
    },
    "no_model": {"model": {"type": "Script"}},
}


@pytest.mark.parametrize("case", UNBOUNDED)
def test_what_has_no_bound_is_refused_even_with_trust(case, of_model):
    _, _, files = of_model

    def edit(content):
        content["fitted_with"]["modality_params"] = {}
        content["modality"].tokenizer_.tokenizer.description.update(UNBOUNDED[case])

    with pytest.raises(ModelFileError):
        read(files, "text", edit, trust=("tokenizers",))


def test_common_tokenizers_are_bounded():
    llama = {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"a": {"id": "a", "ids": [0], "tokens": ["a"]}},
        },
    }
    bert = {"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}}
    for parts in (llama, bert, {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁"}}):
        kept = json.loads(bounded(json.dumps({**PLAIN, **parts})))
        assert all(kept[name] == part for name, part in parts.items())


class PanicException(BaseException):
    """As Rust's panics come to Python."""


def test_a_panic_is_a_value_error(of_model, monkeypatch):
    embedder, _, files = of_model

    def panic(*arguments, **parameters):
        raise PanicException("index out of bounds")

    monkeypatch.setattr(FakeTokenizer, "encode_batch", panic)
    with pytest.raises(ValueError, match="index out of bounds"):
        embedder.transform(X_OF["text"])
    monkeypatch.setattr(FakeTokenizer, "from_str", panic)
    with pytest.raises(ModelFileError, match="index out of bounds"):
        load(files[0], trust=("tokenizers",), modality_params=None)
