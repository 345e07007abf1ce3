"""Tokenizers, with which `Text` converts texts to token ids."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
from safetensors.torch import load_file
from torch import Tensor

from skclr.data.ragged import Ragged
from skclr.files.plain import Plain
from skclr.modalities.tokenizer_files import bounded, panics_as_value_errors
from skclr.optional import folder_of_optional, import_optional

# Unlike in scikit-learn, words of one letter and punctuation are kept: "I", "?" and "!" are informative in short texts.
_WORD = re.compile(r"\w+|[^\w\s]")


class Tokenizer(Plain, ABC):
    """Base class of tokenizers, which convert texts to ids from 1 to n_tokens - 1; 0 is padding.

    Attributes
    ----------
    n_tokens : number of ids, including padding.
    table : (n_tokens, d) pretrained vectors, or None.
    views : name of the default views for its texts.
    package : optional package that it runs, or None.
    """

    n_tokens: int
    table: Tensor | None = None
    views: ClassVar[str] = "neighbors"
    package: ClassVar[str | None] = None

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabulary, unless it is fixed."""
        return self

    @abstractmethod
    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Return the ids (n, length) of texts or, with several ids per word, (n, length, ids)."""

    @abstractmethod
    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return the names of all tokens of all texts, as one list."""


class Words(Tokenizer):
    """Split texts into lower-cased words and punctuation, each with its character n-grams.

    N-grams connect the forms and misspellings of a word, and represent unseen words. The vocabulary is learned in the
    first fit.

    Parameters
    ----------
    max_pieces : size of the vocabulary, which consists of the most frequent words and n-grams.
    ids_per_word : number of ids per word: its own, and those of its n-grams.
    ngram_range : shortest and longest n-gram; the two ends of a word count as characters.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    References
    ----------
    Bojanowski et al. 2017 (fastText), sec. 3.2. Differs: n-grams of 3 and 4 characters instead of 3 to 6, the most
    frequent ones instead of hashed ones, and only the first ones of a very long word.
    """

    vocabulary_: dict[str, int]

    def __init__(self, max_pieces: int = 2**14, ids_per_word: int = 16, ngram_range: tuple[int, int] = (3, 4)) -> None:
        if max_pieces < 1:
            raise ValueError(f"max_pieces={max_pieces}: pass 1 or more")
        if ids_per_word < 1:
            raise ValueError(f"ids_per_word={ids_per_word}: pass 1 (words alone) or more")
        if not 1 <= ngram_range[0] <= ngram_range[1]:
            raise ValueError(f"ngram_range={ngram_range}: pass (shortest, longest), both 1 or more")
        self.max_pieces = max_pieces
        self.ids_per_word = ids_per_word
        self.ngram_range = ngram_range

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabulary; a word counts once per text."""
        n_texts = Counter(word for text in texts for word in set(words_of(text)))
        counts: Counter[str] = Counter()
        for word, count in n_texts.items():
            for piece in self._pieces(word):
                counts[piece] += count
        # Ties are broken by name: sets of strings have another order in every process.
        ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
        self.vocabulary_ = {piece: i for i, piece in enumerate(ranked[: self.max_pieces], start=1)}
        self.n_tokens = len(self.vocabulary_) + 1
        return self

    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Return the ids (n, length, ids_per_word) of texts, a word's own id first."""
        words = [split(text, length) for text in texts]
        distinct = {word: i for i, word in enumerate(dict.fromkeys(word for text in words for word in text))}
        ids = np.zeros((len(distinct), self.ids_per_word), np.int32)
        for word, i in distinct.items():
            known = [self.vocabulary_.get(piece, 0) for piece in self._pieces(word)]
            ids[i, : len(known)] = known
        places = np.fromiter((distinct[word] for text in words for word in text), np.int64)
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in words])])
        return Ragged(ids[places], offsets, length, 0)

    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return the words."""
        return [word for text in texts for word in split(text, length)]

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        if "vocabulary_" not in vars(self):
            return
        # The file's number of tokens cannot be trusted, so no list of that length is built.
        n_known = len(self.vocabulary_)
        if self.n_tokens != n_known + 1 or sorted(self.vocabulary_.values()) != list(range(1, n_known + 1)):
            raise ValueError(f"the ids of the vocabulary of {n_known} pieces are not 1 to {self.n_tokens - 1}")

    def _pieces(self, word: str) -> list[str]:
        ended = f"<{word}>"
        shortest, longest = self.ngram_range
        sizes = range(shortest, min(longest, len(ended) - 1) + 1)
        # Lazily: a very long word has millions of them.
        ngrams = (ended[i : i + size] for size in sizes for i in range(len(ended) - size + 1))
        return [ended, *islice(ngrams, self.ids_per_word - 1)]


def split(text: str, length: int | None = None) -> list[str]:
    """Return the words and punctuation of a text, in lower case; the first `length` of them if it is given."""
    return list(islice(words_of(text), length))


def words_of(text: str) -> Iterator[str]:
    """Yield the words and punctuation of a text, in lower case."""
    return (match.group() for match in _WORD.finditer(text.lower()))


class Pretrained(Tokenizer):
    """Base class of tokenizers of the library tokenizers, saved in the format of that library."""

    package = "tokenizers"
    # The id here of the library's id 0.
    first_id: ClassVar[int] = 0
    tokenizer: Any

    def state(self) -> dict[str, Any]:
        """Return the complete tokenizer, so that loading needs neither its file nor the package it came with."""
        return {"tokenizer": self.tokenizer.to_str(), "n_tokens": self.n_tokens}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """See `Plain.from_state`; tokenizers with unbounded memory are rejected."""
        part = cls.__new__(cls)
        with panics_as_value_errors():
            part.tokenizer = _import_tokenizers().Tokenizer.from_str(bounded(state["tokenizer"]))
            ids = part.tokenizer.get_vocab().values()
        part.n_tokens = state["n_tokens"]
        if type(part.n_tokens) is not int or max(ids, default=0) + cls.first_id >= part.n_tokens:
            raise ValueError(f"n_tokens={part.n_tokens} is smaller than the tokenizer's vocabulary")
        return part

    def _encode(self, texts: Sequence[str], *, special: bool) -> list[Any]:
        with panics_as_value_errors():
            encodings: list[Any] = self.tokenizer.encode_batch(list(texts), add_special_tokens=special)
        return encodings


class WordLlama(Pretrained):
    """The byte-pair tokens of the package wordllama, and its table of 32,000 static vectors.

    References
    ----------
    Miller 2024, WordLlama. Differs: the package's files are read without importing it, since importing it configures
    the logging of the whole process.
    """

    def __init__(self) -> None:
        folder = folder_of_optional("wordllama", "text", "tokenizer='wordllama', unlike 'words',")
        file = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
        self.tokenizer = _import_tokenizers().Tokenizer.from_file(str(file))
        self.table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"].float()
        self.n_tokens = len(self.table)

    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Return the ids (n, length) of texts."""
        # Its id 0, "unknown", never occurs: characters without a token are spelled in bytes.
        encodings = self._encode(texts, special=False)
        return Ragged.of([np.array(encoding.ids[:length], np.int32) for encoding in encodings], length, 0)

    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return the pieces of words, without the mark of a word's beginning."""
        encodings = self._encode(texts, special=False)
        return [_readable(token) for encoding in encodings for token in encoding.tokens[:length]]


class OfModel(Pretrained):
    """The tokenizer of a pretrained model, including special tokens; ids are the model's plus one.

    Parameters
    ----------
    tokenizer : folder with a tokenizer.json, or such a file; a `tokenizers.Tokenizer`; or an object that has one as
        `backend_tokenizer`, as fast tokenizers of transformers do, or as `tokenizer`, as a SentenceTransformer does.

    Raises
    ------
    TypeError, ValueError : if no tokenizer is found.
    """

    # The pretrained model measures similarity better than the token counts from which neighbours are found.
    views = "text"
    # 0 is padding here, but a real token in many vocabularies.
    first_id = 1

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = _find(tokenizer)
        self.tokenizer.no_padding()
        self.n_tokens = self.tokenizer.get_vocab_size() + self.first_id

    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Return the ids (n, length) of texts."""
        # The tokenizer's own truncation keeps the special tokens at both ends.
        self.tokenizer.enable_truncation(length)
        encodings = self._encode(texts, special=True)
        return Ragged.of([np.array(encoding.ids, np.int32) + self.first_id for encoding in encodings], length, 0)

    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return the pieces of words, without the mark of a word's beginning."""
        self.tokenizer.enable_truncation(length)
        return [_readable(token) for encoding in self._encode(texts, special=True) for token in encoding.tokens]


def _readable(token: str) -> str:
    # Marks of SentencePiece, byte-level BPE and WordPiece for the beginning or continuation of a word.
    return token.lstrip("▁Ġ").removeprefix("##")


def _find(tokenizer: Any) -> Any:
    if isinstance(tokenizer, str | Path):
        path = Path(tokenizer)
        files = [path] if path.is_file() else sorted(path.glob("**/tokenizer.json"))
        if not files:
            raise ValueError(
                f"tokenizer={str(tokenizer)!r} is unknown. Pass 'auto', 'words', 'wordllama', or the path of a model "
                "with a tokenizer.json."
            )
        return _import_tokenizers().Tokenizer.from_file(str(files[0]))
    inner = tokenizer
    for name in ("tokenizer", "backend_tokenizer"):
        inner = getattr(inner, name, inner)
    if not hasattr(inner, "encode_batch"):
        raise TypeError(f"tokenizer is a {type(tokenizer).__name__}. Pass a fast tokenizer, or the path of one.")
    # Padding and truncation are set on a copy.
    return copy.deepcopy(inner)


def _import_tokenizers() -> ModuleType:
    return import_optional("tokenizers", "text", "a pretrained tokenizer")
