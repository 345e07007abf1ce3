import pickle
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from torch.testing import assert_close

from skclr.modalities import Text
from skclr.modalities.text import count_tokens, latent_semantics
from skclr.modalities.tokenizers import Words, split
from skclr.model import InputFeatures
from skclr.views import TextViews

TEXTS = ["The cat sat.", "A cat, a dog!", "dogs bark", "", "the end of the day"]
needs_wordllama = pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama")


def read(X=TEXTS, tokenizer="words", **params):
    modality = Text(tokenizer, **params)
    return modality, modality.read(X, InputFeatures(), reset=True)


def tensor(modality, X):
    rows = modality.read(X, InputFeatures(), reset=False)
    return modality.to_tensor(rows[np.arange(len(rows))])


# -- what X may be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        np.array,
        lambda X: np.array(X, dtype=object),
        lambda X: np.array(X)[:, None],
        pd.Series,
        lambda X: pd.Series(X, dtype="string", index=range(5, 0, -1)),
        lambda X: pd.DataFrame({"text": X}),
        pl.Series,
        lambda X: pl.DataFrame({"text": X}),
    ],
)
def test_every_container_is_read_alike(container):
    expected, rows = read()[1], read(container(TEXTS))[1]
    assert np.array_equal(rows.values, expected.values)
    assert np.array_equal(rows.offsets, expected.offsets)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a text", TypeError, "X is one str, not a sequence of texts. Wrap it in a list"),
        (b"a text", TypeError, "Wrap it in a list"),
        (["a", None], ValueError, r"missing value \(None\) in row 1. Fill it"),
        (["a", float("nan")], ValueError, r"missing value \(nan\) in row 1"),
        (pd.Series(["a", None], dtype="string"), ValueError, "missing value .* in row 1"),
        (["a", 3], TypeError, "Row 1 of X is of type int, .* with str, or set modality='tabular'"),
        (np.array([1.5, 2.0]), TypeError, "Row 0 of X is of type float64"),
        (["a", b"b"], TypeError, "Row 1 of X is of type bytes, but .* expects strings. Decode the texts"),
        ([["a", "b"], ["c"]], TypeError, "Row 0 of X is of type list, .* Join the words"),
        ([("a",), ("c",)], TypeError, "Row 0 of X is of type tuple"),
        ([{"text": "a"}, "b"], TypeError, "Row 0 of X is of type dict, .* Convert the texts"),
        ({"a": 1}, TypeError, "X is a dict. Pass a list"),
        ({"a", "b"}, TypeError, "X is a set"),
        ((text for text in TEXTS), TypeError, "X is a generator"),
        (None, TypeError, "X is a NoneType"),
        (pd.DataFrame({"title": ["a"], "body": ["b"]}), ValueError, r"2 columns \(title, body\). Pass one"),
        (np.array([["a", "b"]]), ValueError, r"shape \(1, 2\) does not hold texts"),
        (csr_array(np.eye(3)), ValueError, r"shape \(3, 3\) does not hold texts"),
        ([], ValueError, r"0 sample\(s\)"),
        (["one"], ValueError, r"1 sample\(s\)"),
        (["", " "], ValueError, "all of its texts are empty"),
    ],
)
def test_what_is_not_a_text_says_what_to_do(X, error, message):
    with pytest.raises(error, match=message):
        read(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"tokenizer": "wordlama"}, ValueError, "tokenizer='wordlama' is unknown. Pass 'auto', 'words', 'wordllama'"),
        ({"tokenizer": len}, TypeError, "tokenizer is a builtin_function_or_method. Pass a fast tokenizer"),
        ({"max_tokens": 0}, ValueError, "max_tokens=0: pass a whole number of 1 or more"),
        ({"max_tokens": 2.5}, ValueError, r"max_tokens=2\.5"),
    ],
)
def test_wrong_parameters(params, error, message):
    with pytest.raises(error, match=message):
        read(**params)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("skclr.optional.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"tokenizer='wordllama', unlike 'words', needs the package wordllama"):
        read(tokenizer="wordllama")


@pytest.mark.parametrize("installed", [False, True])
def test_auto_does_not_depend_on_what_is_installed(installed, monkeypatch):
    monkeypatch.setattr("skclr.optional.find_spec", lambda name: ModuleSpec(name, None) if installed else None)
    assert isinstance(read(tokenizer="auto")[0].tokenizer_, Words)


# -- words ------------------------------------------------------------------------------------------


def test_words_and_punctuation():
    assert split("Don't I?  ÉTÉ\n3.5") == ["don", "'", "t", "i", "?", "été", "3", ".", "5"]


def test_a_word_is_itself_and_then_its_ngrams():
    words = Words(ids_per_word=6).fit(["banana"])
    pieces = ["<banana>", "<ba", "ban", "ana", "nan", "ana"]
    ids = words(["banana"], length=4)[np.arange(1)]
    assert ids.shape == (1, 4, 6)
    assert ids[0, 0].tolist() == [words.vocabulary_[piece] for piece in pieces]
    assert not ids[0, 1:].any()


def test_unseen_words_share_ngrams_with_those_seen():
    modality, _ = read(["transfers fail", "a dog barks"])
    x = tensor(modality, ["transferring", "xyz"])
    assert x[0, 0, 0] == 0
    assert x[0, 0].any()
    assert not x[1].any()


def test_vocabulary_keeps_what_most_texts_have():
    words = Words(max_pieces=2, ids_per_word=1).fit(["a b", "a b c c c c", "a"])
    assert words.vocabulary_ == {"<a>": 1, "<b>": 2}
    assert words.n_tokens == 3


@pytest.mark.parametrize("params", [{"max_pieces": 0}, {"ids_per_word": 0}, {"ngram_range": (4, 3)}])
def test_wrong_parameters_of_words(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))}="):
        Words(**params)


# -- tensors ----------------------------------------------------------------------------------------


def test_tensors_are_padded_ids():
    modality, rows = read()
    x = modality.to_tensor(rows[np.arange(5)])
    assert x.dtype == torch.int64
    # "A cat, a dog!" has most tokens.
    assert modality.shape_ == x.shape[1:] == (6, 16)
    assert (x[:, :, 0] > 0).sum(1).tolist() == [4, 6, 2, 0, 5]
    assert modality.example().shape == (2, 6, 16)
    assert modality.example().dtype == torch.int64


def test_long_texts_lose_their_end():
    _, rows = read(["one two three", "four"], max_tokens=2)
    assert rows.shape == (2, 2, 16)
    assert rows.lengths.tolist() == [2, 1]


def test_texts_longer_than_those_of_fit_are_read_in_full():
    modality, _ = read(["one two", "three"])
    x = tensor(modality, ["one two three " * 30])
    assert x.shape[1] == modality.max_tokens
    assert (x[0, :, 0] > 0).all()


def test_texts_without_tokens_alone():
    modality, _ = read()
    assert not tensor(modality, ["", " "]).any()


def test_unlabelled_texts_come_after():
    modality, rows = read()
    joined = modality.join(rows, modality.read(["cat", "dog"], InputFeatures(), reset=False))
    assert joined.shape == (7, *rows.shape[1:])
    assert np.array_equal(joined[np.arange(5)], rows[np.arange(5)])


# -- plain features ---------------------------------------------------------------------------------


def test_counts_are_those_of_the_texts():
    words = Words(ids_per_word=1).fit(["b a b", "a"])
    counts = count_tokens(words(["b a b", "", "a"], 8), words.n_tokens)
    # a is in two texts and so comes first.
    assert counts.toarray().tolist() == [[0, 1, 2], [0, 0, 0], [0, 1, 0]]


def test_vectors_keep_the_cosines_of_tfidf_where_the_rank_allows():
    tfidf = csr_array(np.random.default_rng(0).random((6, 30)).astype(np.float32))
    table = latent_semantics(tfidf).numpy()
    assert table.shape == (30, 6)
    mean, exact = tfidf @ table, tfidf.toarray()
    gram, expected = mean @ mean.T, exact @ exact.T
    assert_close(gram / gram[0, 0], expected / expected[0, 0], rtol=1e-4, atol=1e-4)


def test_features_tell_topics_apart():
    texts = ["my card was stolen", "stolen card!", "how do I transfer money", "a money transfer failed"]
    modality, rows = read(texts)
    f = modality.features(modality.to_tensor(rows[np.arange(4)]))
    assert f.dtype == torch.float32
    assert_close(f.norm(dim=1), torch.ones(4))
    similar = (f @ f.T).fill_diagonal_(-1).argmax(1)
    assert similar.tolist() == [1, 0, 3, 2]


def test_features_of_an_empty_text_are_zero():
    modality, rows = read()
    f = modality.features(modality.to_tensor(rows[np.arange(5)]))
    assert not f[3].any()
    assert f.isfinite().all()


def test_padding_and_company_change_no_feature():
    modality, rows = read()
    x = modality.to_tensor(rows[np.arange(5)])
    longer = torch.cat([x, torch.zeros_like(x)], dim=1)
    assert torch.equal(modality.features(longer), modality.features(x))
    assert torch.equal(modality.features(x[2:3]), modality.features(x)[2:3])


def test_facts():
    modality, _ = read()
    facts = modality.facts()
    assert facts["table"].shape[0] == facts["n_tokens"] == len(facts["token_weights"])
    assert facts["features"] == modality.features


def test_neighbours_are_the_default_but_for_a_pretrained_model():
    assert read()[0].views == "neighbors"
    modality, _ = read(["cat dog fish", "cat"], model_tokenizer())
    assert modality.views == "text"
    assert isinstance(modality.facts()["on_top"], TextViews)


def test_reading_is_repeatable_and_leaves_the_global_generators_alone():
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, other = read()[0], read()[0]
    assert torch.equal(one.table_, other.table_)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_pickle():
    modality, _ = read()
    twin = pickle.loads(pickle.dumps(modality))
    x = tensor(modality, ["the cat", "dogs"])
    assert torch.equal(tensor(twin, ["the cat", "dogs"]), x)
    assert torch.equal(twin.features(x), modality.features(x))


# -- pretrained -------------------------------------------------------------------------------------


@needs_wordllama
def test_wordllama_knows_that_words_are_alike():
    modality, _ = read(["a cat", "a dog"], "wordllama")
    f = modality.features(tensor(modality, ["kitten", "cat", "bankruptcy"]))
    assert f.shape == (3, 256)
    assert f[0] @ f[1] > f[0] @ f[2] + 0.2


@needs_wordllama
def test_wordllama_reads_any_character():
    modality, _ = read(["a cat", "a dog"], "wordllama")
    x = tensor(modality, ["\U0001f600 ünïcode \ufffe", ""])
    assert x[0].any()
    assert not x[1].any()
    assert x.max() < modality.facts()["n_tokens"] == len(modality.facts()["table"])


@needs_wordllama
def test_wordllama_leaves_logging_alone():
    import logging

    handlers = list(logging.getLogger().handlers)
    read(["a cat", "a dog"], "wordllama")
    assert logging.getLogger().handlers == handlers


def model_tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "cat": 3, "dog": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


def test_ids_of_a_model_are_shifted_past_padding():
    modality, rows = read(["cat dog fish", "cat"], model_tokenizer())
    assert rows[np.arange(2)].tolist() == [[2, 4, 5, 1, 3], [2, 4, 3, 0, 0]]
    assert modality.facts()["n_tokens"] == 6


def test_a_model_keeps_its_special_tokens_where_texts_are_cut():
    _, rows = read(["cat dog fish", "cat"], model_tokenizer(), max_tokens=4)
    assert rows[np.arange(2)].tolist() == [[2, 4, 5, 3], [2, 4, 3, 0]]


def test_a_tokenizer_is_found_and_left_as_it_is(tmp_path):
    tokenizer = model_tokenizer()
    file = tmp_path / "model" / "tokenizer.json"
    file.parent.mkdir()
    tokenizer.save(str(file))

    class Fast:
        backend_tokenizer = tokenizer

    class Model:
        tokenizer = Fast()

    expected = read(tokenizer=tokenizer)[1].values
    for found in (file, str(tmp_path), Fast(), Model()):
        assert np.array_equal(read(tokenizer=found)[1].values, expected)
    assert tokenizer.truncation is None
