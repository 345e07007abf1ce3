"""Untrusted texts: an endless text takes memory in proportion to its length."""

import tracemalloc

import pytest

from skclr import ContrastiveEmbedder
from skclr.modalities.tokenizers import Words

N = 600_000
TEXTS = {
    "one word": "x" * N,
    "one word of many letters": "abcdefghij" * (N // 10),
    "punctuation": "!" * N,
    "short words": "a b " * (N // 4),
    "without a blank": "ab!" * (N // 3),
}


@pytest.mark.parametrize("name", TEXTS)
def test_memory_follows_the_length(name):
    texts = ["a rose", "a daisy", "no rose", TEXTS[name]]
    tracemalloc.start()
    try:
        tokens = Words().fit(texts)(texts, 64)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(tokens) == 4
    # The text in lower case, its longest word, and that word between two marks.
    assert most < 8 * N


def test_a_text_without_a_blank_is_embedded():
    texts = ["a rose", "a daisy", "no rose", "is a rose"] * 4
    embedder = ContrastiveEmbedder(modality_params={"tokenizer": "words"}, max_epochs=0).fit(texts)
    z = embedder.transform(["x" * N, "a rose " * 100_000])
    assert z.shape[0] == 2
