"""A model of sentence-transformers as `encoder` alone; a stand-in here, so that the package is not needed."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.encoders.sentence_transformer import SentenceTransformer
from skclr.modalities import Text

WORDS = ("a", "red", "rose", "blue", "daisy", "is")
TEXTS = ["a red rose", "a daisy is blue", "red red", "is a rose", "a blue rose", "daisy"] * 3


class Tokenizer:
    """A fast tokenizer, as far as it is used."""

    def __len__(self):
        return len(WORDS)

    def get_vocab_size(self):
        return len(WORDS)

    def to_str(self):
        return "{}"

    def no_padding(self):
        pass

    def enable_truncation(self, length):
        self.length = length

    def encode_batch(self, texts, add_special_tokens):
        words = [text.split()[: getattr(self, "length", None)] for text in texts]
        return [SimpleNamespace(ids=[WORDS.index(word) for word in line], tokens=line) for line in words]


class Model(nn.Module):
    """The mean of two layers' vectors of tokens."""

    def __init__(self):
        super().__init__()
        self.tokenizer = Tokenizer()
        self.table = nn.Embedding(len(WORDS), 8)
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def forward(self, inputs):
        x, mask = self.table(inputs["input_ids"]), inputs["attention_mask"][:, :, None].float()
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return {"sentence_embedding": (x * mask).sum(1) / mask.sum(1).clamp(min=1)}


@pytest.fixture
def model(monkeypatch):
    package = ModuleType("sentence_transformers")
    package.SentenceTransformer = Model
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    torch.manual_seed(0)
    return Model()


def expected(model, texts):
    ids = [torch.tensor([[WORDS.index(word) for word in text.split()]]) for text in texts]
    with torch.no_grad():
        found = [model({"input_ids": x, "attention_mask": torch.ones_like(x)})["sentence_embedding"] for x in ids]
    return torch.cat(found).numpy()


def test_one_line_embeds_as_the_model_does(model):
    embedder = ContrastiveEmbedder(encoder=model, random_state=0).fit(TEXTS)
    assert np.abs(embedder.transform(TEXTS) - expected(model, TEXTS)).max() < 1e-5
    plan = embedder.model_.plan
    assert plan.encoder.make is SentenceTransformer
    assert plan.modality.make is Text
    assert plan.max_epochs == 0
    assert "no layer of the encoder is trained" in plan.sources["max_epochs"]
    # The parameters are the user's.
    assert embedder.encoder is model
    assert embedder.modality_params is None


def test_asked_to_learn_it_is_tuned_at_its_rate(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    params = {"encoder_params": {"trainable": 1}, "max_epochs": 2, "random_state": 0}
    embedder = ContrastiveEmbedder(encoder=model, **params).fit(TEXTS)
    plan = embedder.model_.plan
    assert plan.learning_rate == 5e-5
    assert plan.views.name == "TextViews"
    after = embedder.encoder_.network.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"layers.1.weight", "layers.1.bias"}
    # The model itself is left alone, and a fit may go on.
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    embedder.set_params(warm_start=True).fit(TEXTS)
    embedder.partial_fit(TEXTS)
    assert ContrastiveEmbedder(encoder=model, learning_rate=1e-3).fit(TEXTS).model_.plan.learning_rate == 1e-3


def test_settings_of_the_user_come_first(model):
    params = {"modality_params": {"max_tokens": 1}, "views": "neighbors", "max_epochs": 1}
    embedder = ContrastiveEmbedder(encoder=model, random_state=0, **params).fit(TEXTS)
    assert np.abs(embedder.transform(["red rose"]) - expected(model, ["red"])).max() < 1e-5
    assert embedder.model_.plan.max_epochs == 1
    assert embedder.model_.plan.views.name == "Neighbors"


def test_other_data_are_refused(model):
    with pytest.raises(ValueError, match="tokenizer"):
        ContrastiveEmbedder(encoder=model).fit(np.zeros((5, 3)))


def test_files_ask_for_the_model_and_take_it_in_one_line(model, tmp_path):
    embedder = ContrastiveEmbedder(encoder=model, encoder_params={"trainable": "all"}, max_epochs=1).fit(TEXTS)
    embedder.save(tmp_path / "model.skclr")
    with pytest.raises(ValueError, match=r"Pass the tokenizer, load\(path"):
        skclr.load(tmp_path / "model.skclr")
    loaded = skclr.load(tmp_path / "model.skclr", encoder=model, encoder_params={"trainable": "all"})
    assert_array_equal(loaded.transform(TEXTS), embedder.transform(TEXTS))


def test_a_classifier_clones_and_uses_it(model):
    y = np.arange(18) % 3
    classifier = SemiSupervisedClassifier(ContrastiveEmbedder(encoder=model)).fit(TEXTS, y)
    assert classifier.predict(TEXTS).shape == (18,)
