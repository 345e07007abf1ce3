"""TF-IDF of the n-grams of texts."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from skclr.files.plain import Plain, check_learned_array

# Returns the n-grams of a text.
Analyzer = Callable[[str], Iterable[str]]

_ANALYZERS: dict[str, Analyzer] = {
    "words": CountVectorizer(ngram_range=(1, 2)).build_analyzer(),
    "characters": CountVectorizer(ngram_range=(2, 5), analyzer="char_wb").build_analyzer(),
}
# With a quarter as many of each kind, a set with all labels lost two points.
_MOST_NGRAMS = 32_768
# Distinct n-grams of more texts would take gigabytes.
_ANALYSED_TEXTS = 10_000


class TfIdf(Plain):
    """TF-IDF of words and pairs of words, and of character n-grams (2 to 5) within words.

    The 32,768 n-grams of each kind that occur in most texts are used. Counts are sublinear, 1 + log(count), and the
    words and the characters of a text each have length 1.

    References
    ----------
    Sparck Jones 1972 (IDF), as in scikit-learn's TfidfVectorizer. Differs: n-grams are selected by the number of texts
    they occur in instead of their number of occurrences.
    """

    words_: tuple[str, ...]
    characters_: tuple[str, ...]
    idf_: np.ndarray

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabularies, and the weights of n-grams, from up to 10,000 texts."""
        texts = texts[:: -(-len(texts) // _ANALYSED_TEXTS)]
        words, characters = (most_frequent(texts, analyze, _MOST_NGRAMS) for analyze in _ANALYZERS.values())
        self.words_, self.characters_ = tuple(words), tuple(characters)
        n_texts = np.array([*words.values(), *characters.values()])
        self.idf_ = (np.log((1 + len(texts)) / (1 + n_texts)) + 1).astype(np.float32)
        return self

    def __call__(self, texts: Sequence[str]) -> csr_matrix:
        """Return the (n, n_ngrams) float32 features of texts."""
        parts = self._count(texts)
        for counts, idf in zip(parts, np.split(self.idf_, [len(self.words_)]), strict=True):
            counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
        return hstack([normalize(part, copy=False) if part.shape[1] else part for part in parts], format="csr")

    def names(self) -> list[str]:
        """Return the names of the features."""
        vocabularies = zip(_ANALYZERS, (self.words_, self.characters_), strict=True)
        return [f"{kind}__{ngram}" for kind, ngrams in vocabularies for ngram in ngrams]

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        if any(len(set(ngrams)) < len(ngrams) for ngrams in (self.words_, self.characters_)):
            raise ValueError("an n-gram is twice in the vocabulary")
        check_learned_array("idf_", self.idf_, (len(self.words_) + len(self.characters_),), np.float32)
        if not np.isfinite(self.idf_).all():
            raise ValueError("the weights of n-grams are not finite")

    def _count(self, texts: Sequence[str]) -> list[csr_matrix]:
        vocabularies = zip(_ANALYZERS.values(), (self.words_, self.characters_), strict=True)
        return [count_ngrams(texts, analyze, ngrams) for analyze, ngrams in vocabularies]


def most_frequent(texts: Iterable[str], analyze: Analyzer, n_most: int) -> dict[str, int]:
    """Return the n-grams that occur in most texts, in alphabetical order, with the number of these texts."""
    n_texts = Counter(ngram for text in texts for ngram in set(analyze(text)))
    # Ties are broken by name: sets of strings have another order in every process.
    ranked = sorted(n_texts, key=lambda ngram: (-n_texts[ngram], ngram))
    return {ngram: n_texts[ngram] for ngram in sorted(ranked[:n_most])}


def count_ngrams(texts: Iterable[str], analyze: Analyzer, ngrams: Sequence[str]) -> csr_matrix:
    """Return how often each n-gram occurs in each text, (n, n_ngrams) float32."""
    columns = {ngram: column for column, ngram in enumerate(ngrams)}
    indices, values, ends = array("i"), array("f"), [0]
    for text in texts:
        counts = Counter(columns[ngram] for ngram in analyze(text) if ngram in columns)
        indices.extend(counts)
        values.extend(counts.values())
        ends.append(len(indices))
    found = np.array(values, np.float32), np.array(indices, np.int32), ends
    counted = csr_matrix(found, (len(ends) - 1, len(ngrams)))
    counted.sort_indices()
    return counted
