"""From texts to token ids: what `Text` reads with."""

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

# scikit-learn drops words of one letter and all punctuation; "I", "?" and "!" tell a lot in a short text.
_WORD = re.compile(r"\w+|[^\w\s]")


class Tokenizer(Plain, ABC):
    """Takes texts to ids from 1 to n_tokens - 1; 0 is padding.

    Attributes
    ----------
    n_tokens : number of ids, that of padding among them.
    table : (n_tokens, d) vectors learned elsewhere; None where there are none.
    views : name of the default views of texts that are read with it.
    package : another package whose code it runs, or None.
    """

    n_tokens: int
    table: Tensor | None = None
    views: ClassVar[str] = "neighbors"
    package: ClassVar[str | None] = None

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabulary, where it is not fixed."""
        return self

    @abstractmethod
    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Take texts to ids (n, length) or, with several ids a word, (n, length, ids)."""

    @abstractmethod
    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return what each token is called, for all tokens of all texts in a row."""


class Words(Tokenizer):
    """Lower-cased words and punctuation, each with its character n-grams, from the vocabulary of the first fit.

    N-grams tie forms and misspellings of a word together, and say something of words never seen.

    Parameters
    ----------
    max_pieces : size of the vocabulary: the words and n-grams that the most words in texts have.
    ids_per_word : a word's own id, and up to so many less one of its n-grams.
    ngram_range : shortest and longest n-gram; a word's two ends count as characters.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    References
    ----------
    Bojanowski et al. 2017 (fastText), sec. 3.2. Differs: n-grams of 3 and 4 characters instead of 3 to 6, the
    commonest ones instead of hashed ones, and of a very long word not all.
    """

    vocabulary_: dict[str, int]

    def __init__(self, max_pieces: int = 2**14, ids_per_word: int = 16, ngram_range: tuple[int, int] = (3, 4)) -> None:
        if max_pieces < 1:
            raise ValueError(f"max_pieces={max_pieces}: give 1 or more")
        if ids_per_word < 1:
            raise ValueError(f"ids_per_word={ids_per_word}: give 1 (words alone) or more")
        if not 1 <= ngram_range[0] <= ngram_range[1]:
            raise ValueError(f"ngram_range={ngram_range}: give (shortest, longest), both 1 or more")
        self.max_pieces = max_pieces
        self.ids_per_word = ids_per_word
        self.ngram_range = ngram_range

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabulary; a word counts once a text."""
        n_texts = Counter(word for text in texts for word in set(words_of(text)))
        counts: Counter[str] = Counter()
        for word, count in n_texts.items():
            for piece in self._pieces(word):
                counts[piece] += count
        # Ties by name: sets of strings have another order in every process.
        ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
        self.vocabulary_ = {piece: i for i, piece in enumerate(ranked[: self.max_pieces], start=1)}
        self.n_tokens = len(self.vocabulary_) + 1
        return self

    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Take texts to ids (n, length, ids_per_word), a word's own id first."""
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
        # The number of tokens is only a claim: no list is as long as it says.
        n_known = len(self.vocabulary_)
        if self.n_tokens != n_known + 1 or sorted(self.vocabulary_.values()) != list(range(1, n_known + 1)):
            raise ValueError(f"the vocabulary of {n_known} pieces has other ids than 1 to {self.n_tokens - 1}")

    def _pieces(self, word: str) -> list[str]:
        ended = f"<{word}>"
        shortest, longest = self.ngram_range
        sizes = range(shortest, min(longest, len(ended) - 1) + 1)
        # One by one: a word without an end in sight has millions of them.
        ngrams = (ended[i : i + size] for size in sizes for i in range(len(ended) - size + 1))
        return [ended, *islice(ngrams, self.ids_per_word - 1)]


def split(text: str, length: int | None = None) -> list[str]:
    """Return the words and punctuation of a text, in lower case; the first `length` of them if it is given."""
    return list(islice(words_of(text), length))


def words_of(text: str) -> Iterator[str]:
    """Yield the words and punctuation of a text, in lower case."""
    return (match.group() for match in _WORD.finditer(text.lower()))


class Pretrained(Tokenizer):
    """A tokenizer of the library tokenizers, which is written down as that library does."""

    package = "tokenizers"
    # What the library's id 0 is here.
    first_id: ClassVar[int] = 0
    tokenizer: Any

    def state(self) -> dict[str, Any]:
        """Return all of the tokenizer, so that neither its file nor the package it came with is needed again."""
        return {"tokenizer": self.tokenizer.to_str(), "n_tokens": self.n_tokens}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """See `Plain.from_state`; what could take any memory is refused."""
        part = cls.__new__(cls)
        with panics_as_value_errors():
            part.tokenizer = _import_tokenizers().Tokenizer.from_str(bounded(state["tokenizer"]))
            ids = part.tokenizer.get_vocab().values()
        part.n_tokens = state["n_tokens"]
        if type(part.n_tokens) is not int or max(ids, default=0) + cls.first_id >= part.n_tokens:
            raise ValueError(f"n_tokens={part.n_tokens} are fewer than the tokenizer has")
        return part

    def _encode(self, texts: Sequence[str], *, special: bool) -> list[Any]:
        with panics_as_value_errors():
            encodings: list[Any] = self.tokenizer.encode_batch(list(texts), add_special_tokens=special)
        return encodings


class WordLlama(Pretrained):
    """The byte-pair tokens of the package wordllama, and its table of 32,000 static vectors.

    References
    ----------
    Miller 2024, WordLlama. Differs: the package's files are read without importing it, which would set up the
    logging of the whole process.
    """

    def __init__(self) -> None:
        folder = folder_of_optional("wordllama", "text", "tokenizer='wordllama', unlike 'words',")
        file = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
        self.tokenizer = _import_tokenizers().Tokenizer.from_file(str(file))
        self.table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"].float()
        self.n_tokens = len(self.table)

    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Take texts to ids (n, length)."""
        # Its own id 0 is "unknown", which never comes up: what is in no token is spelled in bytes.
        encodings = self._encode(texts, special=False)
        return Ragged.of([np.array(encoding.ids[:length], np.int32) for encoding in encodings], length, 0)

    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return the pieces of words, without the mark of a word's start."""
        encodings = self._encode(texts, special=False)
        return [_readable(token) for encoding in encodings for token in encoding.tokens[:length]]


class OfModel(Pretrained):
    """The tokenizer of a pretrained model, special tokens included; ids are one more than the model's own.

    Parameters
    ----------
    tokenizer : folder with a tokenizer.json or such a file; a `tokenizers.Tokenizer`; or what has one as
        `backend_tokenizer`, as the fast ones of transformers do, or as `tokenizer`, as a SentenceTransformer does.

    Raises
    ------
    TypeError, ValueError : where no tokenizer is found.
    """

    # The model that belongs to it knows better what is alike than counts of tokens do.
    views = "text"
    # Zero is padding here, but a real token in many vocabularies.
    first_id = 1

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = _find(tokenizer)
        self.tokenizer.no_padding()
        self.n_tokens = self.tokenizer.get_vocab_size() + self.first_id

    def __call__(self, texts: Sequence[str], length: int) -> Ragged:
        """Take texts to ids (n, length)."""
        # The tokenizer's own way to cut keeps the special tokens at both ends.
        self.tokenizer.enable_truncation(length)
        encodings = self._encode(texts, special=True)
        return Ragged.of([np.array(encoding.ids, np.int32) + self.first_id for encoding in encodings], length, 0)

    def names(self, texts: Sequence[str], length: int) -> list[str]:
        """Return the pieces of words, without the mark of a word's start."""
        self.tokenizer.enable_truncation(length)
        return [_readable(token) for encoding in self._encode(texts, special=True) for token in encoding.tokens]


def _readable(token: str) -> str:
    # How SentencePiece, byte-level BPE and WordPiece mark where a word begins or goes on.
    return token.lstrip("▁Ġ").removeprefix("##")


def _find(tokenizer: Any) -> Any:
    if isinstance(tokenizer, str | Path):
        path = Path(tokenizer)
        files = [path] if path.is_file() else sorted(path.glob("**/tokenizer.json"))
        if not files:
            raise ValueError(
                f"tokenizer={str(tokenizer)!r}: give 'auto', 'words', 'wordllama', or the path of a model that has "
                "a tokenizer.json"
            )
        return _import_tokenizers().Tokenizer.from_file(str(files[0]))
    inner = tokenizer
    for name in ("tokenizer", "backend_tokenizer"):
        inner = getattr(inner, name, inner)
    if not hasattr(inner, "encode_batch"):
        raise TypeError(f"tokenizer is a {type(tokenizer).__name__}: give a fast tokenizer, or the path of one")
    # A copy: padding and truncation are set on it.
    return copy.deepcopy(inner)


def _import_tokenizers() -> ModuleType:
    return import_optional("tokenizers", "text", "a pretrained tokenizer")
