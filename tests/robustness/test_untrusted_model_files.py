"""An untrusted model file runs nothing, opens nothing and allocates no memory, when it is loaded and used."""

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
from skclr.argument_roles import ARGUMENTS
from skclr.encoders import ENCODERS, MLP, SentenceTransformer, Timm
from skclr.evaluation import beside_baselines
from skclr.files.format import checksummed
from skclr.frameworks import FRAMEWORKS, Supervised
from skclr.losses import LOSSES, NTXent
from skclr.modalities import MODALITIES
from skclr.modalities.tokenizer_files import bounded
from skclr.modalities.tokenizers import OfModel
from skclr.parameters import PARAMETERS
from skclr.roles import TORCH_OPTIMIZERS, never
from skclr.saving import CLASSES
from skclr.training import OPTIMIZERS, MomentumSGD
from skclr.training.history import from_columns
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
PLAIN = [name for name, p in PARAMETERS.items() if p.role is not never and not name.endswith("_params")]


@pytest.fixture(scope="module", autouse=True)
def warmed(files):
    """Import in advance, since late imports are not caused by a file."""
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
    "optimizer": {MomentumSGD, *OPTIMIZERS.values(), *TORCH_OPTIMIZERS.values()},
    "lr_schedule": set(),
}


@pytest.mark.parametrize("parameter", REGISTRIES)
def test_no_class_takes_the_place_of_another_kind(parameter, files, monkeypatch):
    reached = plant(monkeypatch)
    # Some of each kind, and all that run other packages' code.
    others = {*list(CLASSES.values())[::4], Timm, SentenceTransformer, OfModel, MLP, torch.optim.LBFGS}
    others -= REGISTRIES[parameter]
    more = {} if parameter == "lr_schedule" else {f"{parameter}_params": {"input_shape": (3,), "checkpoint_path": "x"}}
    with memory_below(64 * MEBIBYTE):
        for part, where in itertools.product(others, (*BOTH, "plan")):
            refused(files, "tabular", setting({parameter: part, **more}, where), "is not among|not set")
    assert not reached


@pytest.mark.parametrize("where", [*BOTH, "plan"])
@pytest.mark.parametrize("name", PLAIN)
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
    assert PARAMETERS.keys() == ContrastiveEmbedder().get_params(deep=False).keys()


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


def test_callbacks_of_your_own_are_left_out_and_not_asked_for(files, quick):
    from skorch.callbacks import EpochTimer

    path, _ = files
    quick(callbacks=[("timer", EpochTimer())], net_params=None).fit(X_OF["tabular"]).save(path)
    with pytest.warns(UserWarning, match="load left out callbacks"):
        assert load(path).callbacks is None


@pytest.mark.parametrize("where", BOTH)
def test_the_compiler_is_for_the_next_fit(where, files):
    model = read(files, "tabular", setting({"compile": True}, where))
    assert model.compile is True
    assert not model.net_.compile


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
    with pytest.raises(ValueError, match="has 2 tokens, but the model was fitted with 4"):
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


# -- sizes ------------------------------------------------------------------------------------------


def of_tokenizer(**values):
    return lambda content: vars(content["modality"].tokenizer_).update(values)


def everywhere(**values):
    """Change the modality in a file, as parameters and as state."""

    def edit(content):
        vars(content["modality"]).update(values)
        settings = content["modality"].settings()
        content["fitted_with"]["modality_params"] = {**settings, **values}
        for learned in values.keys() - settings.keys():
            del content["fitted_with"]["modality_params"][learned]

    return edit


LARGE = {
    "n_tokens": ("text", of_tokenizer(n_tokens=10**8)),
    "n_tokens_beyond_all": ("text", of_tokenizer(n_tokens=10**18)),
    "ids_per_word": ("text", of_tokenizer(ids_per_word=10**9)),
    "max_tokens": ("text", everywhere(max_tokens=2**25)),
    "text_shape": ("text", learned(shape_=(2**26, 16))),
    "clip": ("audio", learned(shape_=(2**26,))),
    "clip_beyond_all": ("audio", learned(shape_=(2**60,))),
    "hop": ("audio", everywhere(hop=1e-9)),
    "window": ("audio", everywhere(window=1e5)),
    "n_mels": ("audio", everywhere(n_mels=10**9)),
    "many_frames": ("audio", everywhere(hop=1e-3, shape_=(2**22,))),
    "series": ("series", learned(shape_=(2, 2**30))),
    "series_of_many_channels": ("series", learned(shape_=(2**25, 2))),
    "image": ("image", learned(shape_=(3, 8192, 8192), input_shape_=(8192, 8192, 3))),
    "image_of_files": ("image", everywhere(size=(4096, 4096))),
    "columns": ("tabular", learned(shape_=(2**26,))),
    "n_views": ("tabular", setting({"views_params": {"n_views": 10**7}})),
    "n_views_of_an_object": ("tabular", setting({"views": Neighbors(n_views=1_000), "views_params": None})),
    "views_on_top": ("tabular", setting({"views_params": {"on_top": Masking(n_views=1_000)}})),
    "n_local_views": ("image", setting({"views_params": {"n_local_views": 10**7}})),
    "local_size": ("image", setting({"views_params": {"n_local_views": 1, "local_size": 500}})),
    "reverberation": ("audio", setting({"views_params": {"sampling_rate": 1e6, "reverb_seconds": (1.0, 50.0)}})),
    "segments": ("series", setting({"views_params": {"segments": 10**9}})),
    "queue": ("tabular", setting({"framework": "moco", "framework_params": {"queue_size": 10**10}})),
    "prototypes": ("tabular", setting({"framework": "swav", "framework_params": {"n_prototypes": 10**10}})),
    "width": ("tabular", setting({"encoder_params": {"width": 2**20, "n_layers": 3}})),
    "depth": ("tabular", setting({"encoder_params": {"n_layers": 10**7}})),
    "projection": ("tabular", setting({"projection_dim": 10**12})),
    "cardinalities": ("tabular", setting({"encoder_params": {"cardinalities": (10**9,) * 4}})),
    "changed_width": ("tabular", setting({"encoder_params": {"width": 2**20, "n_layers": 3}}, "changed")),
    "changed_queue": (
        "tabular",
        setting({"framework": "moco", "framework_params": {"queue_size": 2**24}, "projection_dim": 128}, "changed"),
    ),
    "changed_depth": ("tabular", setting({"encoder_params": {"n_layers": 10**7}}, "changed")),
}


@pytest.mark.parametrize("case", LARGE)
def test_sizes_are_bounded_before_memory_is_taken(case, files):
    kind, edit = LARGE[case]
    path, raw = files
    path.write_bytes(forged(raw[kind], edit))
    with nothing_reached(path), memory_below(64 * MEBIBYTE), pytest.raises(ModelFileError):
        load(path)


LONG = {
    "text": learned(shape_=(2**12, 16), max_tokens=2**12),
    "audio": learned(shape_=(2**19,)),
    "series": learned(shape_=(2, 2**19), gaps_=True),
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("passthrough", [False, True])
def test_transform_takes_memory_for_the_input_and_not_for_the_fit(kind, passthrough, files):
    if passthrough and kind == "series":
        # Its plain features are as many as the longest series of the fit had values.
        passthrough = False

    def edit(content):
        LONG[kind](content)
        content["fitted_with"]["passthrough"] = passthrough

    with memory_below(64 * MEBIBYTE):
        model = read(files, kind, edit)
        model.transform(X_OF[kind][:1])


@pytest.mark.parametrize("verb", ["score", "make_views"])
def test_views_of_texts_take_memory_for_the_input_and_not_for_the_fit(verb, files):
    with memory_below(64 * MEBIBYTE):
        VERBS[verb](read(files, "text", learned(max_tokens=2**18)), X_OF["text"] * 5)


def test_the_width_of_plain_features_is_known_without_computing_them(files, monkeypatch):
    path, raw = files
    for kind, X in X_OF.items():
        path.write_bytes(forged(raw[kind], setting({"passthrough": True})))
        model = load(path)
        assert model.transform(X).shape[1] == len(model.get_feature_names_out())
        features = type(model.model_.modality).features
        devices = []

        def watched(modality, x, features=features, devices=devices):
            devices.append(x.device.type)
            return features(modality, x)

        monkeypatch.setattr(type(model.model_.modality), "features", watched)
        load(path)
        assert set(devices) <= {"meta"}


def test_a_long_header_is_refused_before_it_is_read(files):
    path, raw = files
    for value in ([], 0.5, {"dict": []}):
        text = json.dumps([value] * (2**23 // len(json.dumps([value]))))
        content = raw["tabular"]
        start = content.index(b'\\"tree\\":') + len(b'\\"tree\\":')
        head = content[:start] + text.encode().replace(b'"', b'\\"') + content[start:]
        size = int.from_bytes(head[:8], "little") + len(head) - len(content)
        path.write_bytes(checksummed(size.to_bytes(8, "little") + head[8:]))
        del head, text
        # The bytes of the file itself are the file's size.
        with memory_below(80 * MEBIBYTE + 2 * path.stat().st_size), pytest.raises(ModelFileError, match="header alone"):
            load(path)


LONG_DOCUMENTS = {
    "brackets_by_number": b",".join([rb"\u005b\u005d"] * 10**6),
    "braces_by_number": b",".join([rb"\u007b\u007d"] * 10**6),
    "commas_by_number": rb"0\u002c" * 2 * 10**6 + b"0",
    "a_wide_character": b'\\"' + "\U0001f33a".encode() + b"a" * 14 * 2**20 + b'\\"',
    "a_wide_character_by_number": rb"\"\ud83c\udf3a" + b"a" * 14 * 2**20 + rb"\"",
    "a_wide_character_by_number_in_a_string": rb"\"\\ud83c\\udf3a" + b"a" * 14 * 2**20 + rb"\"",
}


@pytest.mark.parametrize("case", LONG_DOCUMENTS)
def test_a_header_is_counted_by_what_it_becomes(case, files):
    path, raw = files
    content = raw["tabular"]
    start = content.index(b'\\"tree\\":')
    more = rb"\"more\":[" + LONG_DOCUMENTS[case] + b"],"
    size = int.from_bytes(content[:8], "little") + len(more)
    path.write_bytes(checksummed(size.to_bytes(8, "little") + content[8:start] + more + content[start:]))
    with memory_below(64 * MEBIBYTE + path.stat().st_size), pytest.raises(ModelFileError, match="header alone"):
        load(path)


def columns(n_epochs, n_batches, n_values, dtype=np.float64):
    """Return a history whose batches recorded one number each."""
    return {
        "n_batches": np.full(n_epochs, n_batches, dtype=np.int64),
        "epochs": {"train_loss": {"rows": None, "values": np.ones(n_epochs)}},
        "batches": {"train_loss": {"rows": None, "values": np.ones(n_values, dtype)}},
    }


HISTORIES = {
    "counts_without_bytes": {**columns(1, 1, 1), "n_batches": np.zeros((4 * 10**7, 0))},
    "rows_without_bytes": {**columns(1, 1, 1), "epochs": {"a": {"rows": np.zeros((10**7, 0)), "values": np.ones(1)}}},
    "values_without_bytes": {**columns(1, 1, 1), "batches": {"a": {"rows": None, "values": np.zeros((10**7, 0))}}},
    "small_values": columns(1, 3 * 10**6, 3 * 10**6, np.float16),
    "more_batches_than_values": columns(1, 10**6, 10),
    "many_flags": {
        **columns(10**4, 0, 0),
        "epochs": {f"flag{i}": {"rows": None, "values": np.ones(10**4, bool)} for i in range(500)},
    },
    "more_epochs_than_the_file_pays_for": columns(10**6, 0, 0),
}


@pytest.mark.parametrize("case", HISTORIES)
def test_a_history_is_checked_before_memory_is_taken(case, files):
    path, raw = files
    path.write_bytes(forged(raw["tabular"], lambda content: content["net"].update(history=HISTORIES[case])))
    with memory_below(64 * MEBIBYTE), pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize(("n_epochs", "n_batches"), [(1, 1_400_000), (1_000, 1_400)])
def test_a_long_history_loads_without_its_batches(n_epochs, n_batches, files):
    path, raw = files
    history = columns(n_epochs, n_batches, n_epochs * n_batches)
    path.write_bytes(forged(raw["tabular"], lambda content: content["net"].update(history=history)))
    with memory_below(64 * MEBIBYTE + 4 * path.stat().st_size):
        model = load(path)
    assert len(model.history_) == n_epochs
    assert sum(len(epoch["batches"]) for epoch in model.history_) == 1
    model.partial_fit(X_OF["tabular"]).save(path)
    assert len(load(path).history_) == n_epochs + 1


# -- what is malformed ------------------------------------------------------------------------------


def of_net(**values):
    return lambda content: content["net"].update(values)


def in_history(edit):
    def as_records(content):
        # As earlier versions wrote it.
        content["net"]["history"] = from_columns(content["net"]["history"])
        edit(content["net"]["history"])

    return as_records


def in_optimizer(edit):
    return lambda content: edit(content["net"]["optimizer"])


MALFORMED = {
    "history_without_batches": in_history(lambda history: history[0].pop("batches")),
    "history_of_empty_batches": in_history(lambda history: history[0].update(batches=[])),
    "history_with_other_batches": in_history(lambda history: history[0].update(batches=[1, 2])),
    "history_with_a_part": in_history(lambda history: history[0]["batches"][0].update(x=NTXent())),
    "history_with_numbers_as_names": in_history(lambda history: history[0].update({3: 4})),
    "history_without_loss": in_history(lambda history: history[0].pop("train_loss")),
    "history_as_a_dictionary": of_net(history={"train_loss": 1.0}),
    "step_of_letters": of_net(step="x"),
    "step_below_zero": of_net(step=-1),
    "step_as_a_flag": of_net(step=True),
    "seed_of_letters": of_net(seed="x"),
    "seed_below_zero": of_net(seed=-1),
    "batch_of_letters": of_net(batch_size="x"),
    "batch_beyond_the_samples": of_net(batch_size=10**6),
    "epochs_of_letters": of_net(max_epochs="x"),
    "endless_as_a_list": of_net(endless=[]),
    "more_of_a_net": of_net(more=1),
    "optimizer_with_nan": in_optimizer(lambda states: states[0]["exp_avg"].fill_(torch.nan)),
    "optimizer_with_infinity": in_optimizer(lambda states: states[0]["exp_avg_sq"].fill_(torch.inf)),
    "optimizer_before_its_start": in_optimizer(lambda states: states[0]["step"].fill_(-1)),
    "optimizer_of_other_keys": in_optimizer(lambda states: states[0].update(y=states[0].pop("exp_avg"))),
    "optimizer_of_fewer_keys": in_optimizer(lambda states: states[0].pop("step")),
    "optimizer_of_another_dtype": in_optimizer(lambda states: states[0].update(exp_avg=states[0]["exp_avg"].double())),
    "optimizer_of_another_shape": in_optimizer(lambda states: states[0].update(exp_avg=torch.zeros(1, 1))),
    "optimizer_of_letters": in_optimizer(lambda states: states.update(x=states[0])),
    "optimizer_of_numbers": in_optimizer(lambda states: states.update({0: 1.0})),
    "optimizer_of_a_list": of_net(optimizer=[1]),
    "indices_of_other_columns": lambda content: next(
        value for name, value in content["net"]["module"].items() if name.endswith("numbers")
    ).fill_(10**6),
    "views_of_the_modality": learned(views="simclr"),
    "encoder_of_the_modality": learned(encoder="timm"),
    "steps_of_the_modality": learned(n_steps=10**9),
    "scales_of_zero": lambda content: content["modality"].scale_.fill(0),
    "means_of_nan": lambda content: content["modality"].mean_.fill(np.nan),
    "more_names_than_columns": lambda content: content["recorded"].update(
        feature_names_in_=np.array(["a"], dtype=object)
    ),
    "columns_as_a_flag": lambda content: content["recorded"].update(n_features_in_=True),
    "columns_that_are_not_there": lambda content: content["recorded"].update(n_features_in_=7),
    "no_samples": lambda content: content.update(n_samples=0),
    "samples_of_letters": lambda content: content.update(n_samples="x"),
    "given_views_as_a_number": lambda content: content.update(given_views=1),
    "no_modality": lambda content: content.update(modality=None),
    "modality_of_another_name": setting({"modality": "text"}),
    "plan_of_another_modality": setting({"modality": "text"}, "plan"),
    "plan_of_a_rate_of_zero": setting({"learning_rate": 0.0}, "plan"),
    "plan_of_all_samples_kept_back": setting({"validation_fraction": 1.0}, "plan"),
    "plan_of_a_number": setting({3: 4}, "plan"),
    "plan_as_a_list": lambda content: content.update(plan=[]),
    "plan_of_another_width": setting({"framework_params": {"hidden_dim": 4, "n_layers": 3}}, "plan"),
    "modality_of_another_kind": lambda content: content.update(modality=NTXent()),
    "framework_of_another_width": setting({"framework_params": {"hidden_dim": 4}}),
    "parameters_as_a_list": lambda content: content.update(changed=[]),
    "parameters_of_a_number": setting({3: 4}),
    "entries_of_numbers": setting({"encoder_params": {3: 4}}),
    "entries_of_none": setting({"encoder_params": {"width": None}}),
    "more_of_a_file": lambda content: content.update(more=1),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_refused(case, files):
    with pytest.raises(ModelFileError):
        read(files, "tabular", MALFORMED[case])


def replaced(raw, old, new):
    """Replace text of the document, lengths and checksum included."""
    old, new = (text.replace('"', '\\"').encode() for text in (old, new))
    assert old in raw
    changed = raw.replace(old, new, 1)
    size = int.from_bytes(raw[:8], "little") + len(changed) - len(raw)
    return checksummed(size.to_bytes(8, "little") + changed[8:])


DOCUMENTS = {
    "twice": ('"version":1,', '"version":1,"version":1,'),
    "deep": ('"version":1,', '"version":1,"more":' + "[" * 10**5 + "]" * 10**5 + ","),
    "deep_in_the_tree": ('["n_samples",12]', '["n_samples",' + "[" * 10**5 + "]" * 10**5 + "]"),
    "not_a_number": ('["n_samples",12]', '["n_samples",NaN]'),
    "many_digits": ('["n_samples",12]', '["n_samples",' + "9" * 5000 + "]"),
    "digits_beyond_floats": ('["n_samples",12]', '["n_samples",' + "9" * 4000 + "]"),
    "twice_in_a_dictionary": ('["n_samples",12]', '["n_samples",12],["n_samples",12]'),
    "two_kinds": ('["n_samples",12]', '["n_samples",{"float":"nan","tuple":[]}]'),
    "kind_of_a_list": ('["n_samples",12]', '["n_samples",{"part":[["a"],{"dict":[]}]}]'),
    "class_of_a_list": ('["n_samples",12]', '["n_samples",{"class":["a"]}]'),
    "tensor_of_nobody": ('["n_samples",12]', '["n_samples",{"tensor":"x"}]'),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_documents_that_are_malformed(case, files):
    path, raw = files
    path.write_bytes(replaced(raw["tabular"], *DOCUMENTS[case]))
    with memory_below(64 * MEBIBYTE), pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**31, 2**63, 2**64 - 1])
def test_headers_of_another_length(size, files):
    path, raw = files
    path.write_bytes(checksummed(size.to_bytes(8, "little") + raw["tabular"][8:]))
    with memory_below(64 * MEBIBYTE), pytest.raises(ModelFileError):
        load(path)


# -- what a file says is used by nobody who did not ask ---------------------------------------------


def test_the_untrained_encoder_is_the_models_and_not_the_parameters(files, table, quick):
    X = X_OF["tabular"]
    before = beside_baselines(clean(files, "tabular"), X[:6], X[6:])
    changed = {
        "encoder": "residual_mlp",
        "encoder_params": {"width": 32},
        "framework": "byol",
        "framework_params": None,
        "modality": "series",
        "passthrough": False,
        "random_state": 3,
    }
    model = read(files, "tabular", setting(changed, "changed"))
    after = beside_baselines(model, X[:6], X[6:])
    for name, (train, test) in before.items():
        assert_array_equal(after[name][0], train)
        assert_array_equal(after[name][1], test)
    # The same holds for your own model with parameters set after the fit.
    embedder = quick(encoder_params={"width": 4}).fit(table[0])
    untrained = beside_baselines(embedder, table[0], table[0])["untrained encoder"][0]
    embedder.set_params(encoder_params={"width": 8}, framework="moco")
    assert_array_equal(beside_baselines(embedder, table[0], table[0])["untrained encoder"][0], untrained)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", X_OF)
def test_a_loaded_model_reaches_nothing(kind, verb, files, monkeypatch):
    path, _ = files
    values = {"callbacks": [MLP], "checkpoint_dir": "/nowhere/runs", "net_params": {"compile__options": ["/a/program"]}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = read(files, kind, lambda content: [content[where].update(values) for where in BOTH])
        reached = plant(monkeypatch)
        with nothing_reached(path), memory_below(256 * MEBIBYTE):
            VERBS[verb](model, X_OF[kind])
    assert not reached
