"""Texts: they are tokenised once, so that training only sees token ids."""

import copy
import math
from collections.abc import Mapping
from numbers import Number
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array, csr_matrix, issparse, vstack
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from skclr.data.columns import is_missing
from skclr.data.ragged import Ragged
from skclr.encoders.text import mean_of_tokens
from skclr.files.plain import check_learned_array
from skclr.modalities.base import LARGEST_SAMPLE, Modality, check_two_samples
from skclr.modalities.tfidf import TfIdf
from skclr.modalities.tokenizers import OfModel, Tokenizer, WordLlama, Words, split
from skclr.views import TextViews

TOKENIZERS: dict[str, type[Tokenizer]] = {"words": Words, "wordllama": WordLlama}

# Width of the vectors learned from X, and the number of texts from which they are learned.
_WIDTH = 256
_ANALYSED_TEXTS = 10_000
# Size of those vectors' entries, which determines how far training moves them from their initial values.
_SCALE = 0.1
_MAX_TOKENS = 64
_FEW_ROWS = 50_000
_NOT_EXPORTED = (
    "texts are read in Python, which cannot be exported. Serve the embedder itself, loaded by skclr.load, or export "
    "its encoder_, which takes token ids or components of n-grams."
)
_NO_WORDS = "X has no words, since all of its texts are empty. Check how X was read."


class Text(Modality):
    """Strings: a list, an array, a Series, or a DataFrame of one column.

    By default, networks learn from TF-IDF of n-grams (`encoder="on_features"`). With more than 50,000 rows, or if
    encoder, views or these parameters are set, they learn from tokens. The plain features are then the mean of the
    tokens' vectors, scaled to length 1. The vectors come from a latent semantic analysis of X; those of "wordllama"
    are pretrained on large corpora.

    Parameters
    ----------
    tokenizer : "words", words with their character n-grams; "wordllama", the tokens and vectors of that package
        (`skclr[text]`); "auto", the tokenizer of a fitted embedder passed as encoder, otherwise "words"; or the
        tokenizer of a pretrained model: its folder, its tokenizer.json, or an object of the packages tokenizers,
        transformers or sentence-transformers.
    max_tokens : number of tokens kept per text, from its start.

    Raises
    ------
    ImportError, TypeError, ValueError : for a tokenizer that is not available, or max_tokens below 1.

    References
    ----------
    Deerwester et al. 1990 (latent semantic analysis), on TF-IDF. Differs: the decomposition is randomised and uses up
    to 10,000 texts.

    Examples
    --------
    >>> from skclr import ContrastiveEmbedder
    >>> texts = ["a rose", "is a rose", "a daisy", "is no rose"]
    >>> ContrastiveEmbedder(modality_params={"tokenizer": "words"}, max_epochs=0).fit(texts).modality_
    'text'
    """

    encoder = "text"
    sample_types = (str, bytes)
    any_length = True
    tokenizer_: Tokenizer
    table_: Tensor
    token_weights_: Tensor

    def __init__(self, tokenizer: Any = "auto", max_tokens: int = _MAX_TOKENS) -> None:
        if not isinstance(max_tokens, int) or max_tokens < 1:
            raise ValueError(f"max_tokens={max_tokens!r}: pass a whole number of 1 or more")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Ragged:
        """See `Modality.read`; X holds one string per row."""
        texts = read_texts(X)
        if not reset:
            return self._tokenize(texts)
        self.tokenizer_ = choose_tokenizer(self.tokenizer).fit(texts)
        return self._tokenize_and_learn(texts)

    def read_as(self, X: Any, estimator: BaseEstimator, learned: Self, names: Any) -> Ragged:
        """See `Modality.read_as`: tokens keep their ids."""
        tokenizer = learned.tokenizer_
        is_auto = isinstance(self.tokenizer, str) and self.tokenizer == "auto"
        if not is_auto and type(choose_tokenizer(self.tokenizer)) is not type(tokenizer):
            raise ValueError(
                f"tokenizer={self.tokenizer!r}, but encoder= was fitted on tokens of {type(tokenizer).__name__}. Leave "
                "tokenizer out, or use a new encoder, encoder='auto'."
            )
        self.tokenizer_ = tokenizer
        return self._tokenize_and_learn(read_texts(X))

    @property
    def few_rows(self) -> int:  # type: ignore[override]
        """Return the number of rows up to which networks learn from n-grams, unless settings of tokens were changed."""
        return _FEW_ROWS if self._is_default else 0

    @property
    def source_of_features(self) -> Modality:
        """Return a modality that reads n-grams, unless settings of tokens were changed."""
        return NGrams() if self._is_default else self

    @property
    def views(self) -> str:
        """Return the name of the default views, which depends on the tokenizer."""
        return self.tokenizer_.views

    def shortened(self, rows: Ragged) -> Ragged:
        """See `Modality.shortened`: memory depends on the texts in X, not on the longest that an encoder accepts."""
        return rows.padded_to(int(rows.padded_lengths(any_length=True).max()))

    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Return ids as int64 (B, L), or (B, L, G) with G ids per word."""
        return torch.from_numpy(rows.astype(np.int64))

    def join(self, rows: Ragged, more: Ragged) -> Ragged:
        """Return the texts of two calls of `read`, concatenated."""
        return rows.join(more)

    def restore(self, x: Tensor, X: Any) -> list[list[str]]:
        """Return the names of the tokens in x, in their order."""
        texts = read_texts(X)
        ids, names = self.tokenizer_(texts, self.max_tokens), self.tokenizer_.names(texts, self.max_tokens)
        name_of = {token.tobytes(): name for token, name in zip(ids.values, names, strict=True)}
        views = x.cpu().numpy().astype(ids.values.dtype)
        return [[name_of.get(token.tobytes(), "?") for token in view if token.any()] for view in views]

    def example(self) -> Tensor:
        """Return two texts without tokens."""
        return torch.zeros(2, *self.shape_, dtype=torch.int64)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean of the tokens' vectors, scaled to length 1; 0 for a text without tokens."""
        return F.normalize(mean_of_tokens(x, self.table_.to(x.device), self.token_weights_.to(x.device)))

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`."""
        raise ValueError(_NOT_EXPORTED)

    def facts(self) -> dict[str, Any]:
        """Return the facts of `Modality.facts`, the vocabulary size, token vectors and weights, and views on top."""
        return {
            **super().facts(),
            "n_tokens": self.tokenizer_.n_tokens,
            "table": self.table_,
            "token_weights": self.token_weights_,
            "on_top": TextViews(),
        }

    def settings(self) -> dict[str, Any]:
        """See `Modality.settings`; a tokenizer that is not in the file is the fitted one."""
        return {**super().settings(), "tokenizer": self.tokenizer_ if self.tokenizer is None else self.tokenizer}

    def state(self) -> dict[str, Any]:
        """See `Plain.state`; a tokenizer object is left out, since files cannot hold it: the fitted one suffices."""
        return {**super().state(), "tokenizer": self.tokenizer if isinstance(self.tokenizer, str) else None}

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        n_tokens, width = self.tokenizer_.n_tokens, self.table_.shape[-1]
        empty = self.tokenizer_([""], self.max_tokens)
        read = empty.shape[1:]
        if empty.values.max(initial=0) >= n_tokens:
            raise ValueError(f"the tokenizer has ids beyond {n_tokens - 1}")
        if read[1:] != self.shape_[1:] or math.prod(read) > LARGEST_SAMPLE:
            raise ValueError(f"texts have shape {self.shape_}, but the tokenizer returns {read}")
        check_learned_array("table_", self.table_, (n_tokens, width), torch.float32)
        check_learned_array("token_weights_", self.token_weights_, (n_tokens,), torch.float32)

    @property
    def _is_default(self) -> bool:
        return isinstance(self.tokenizer, str) and self.tokenizer == "auto" and self.max_tokens == _MAX_TOKENS

    def _tokenize(self, texts: list[str]) -> Ragged:
        rows = self.tokenizer_(texts, self.max_tokens)
        if not len(rows.values):
            # Padding is looked up too, so at least one row is needed.
            rows.values = np.zeros((1, *rows.values.shape[1:]), np.int32)
        return rows

    def _tokenize_and_learn(self, texts: list[str]) -> Ragged:
        """Return the tokens of texts, and learn their length and vectors."""
        rows = self._tokenize(texts)
        check_two_samples(rows)
        if not rows.values.any():
            raise ValueError(_NO_WORDS)
        # Padding beyond the longest text would only cost time.
        rows.length = min(self.max_tokens, int(rows.lengths.max()))
        self.shape_ = rows.shape[1:]
        self._learn_vectors(rows)
        return rows

    def _learn_vectors(self, rows: Ragged) -> None:
        if self.tokenizer_.table is not None:
            # These vectors were trained for a plain mean, and are worse with weights for rarity.
            self.table_ = self.tokenizer_.table
            self.token_weights_ = torch.ones(len(self.table_))
        else:
            counts = count_tokens(rows, self.tokenizer_.n_tokens)
            tfidf = TfidfTransformer().fit(counts)
            self.token_weights_ = torch.from_numpy(tfidf.idf_.astype(np.float32))
            step = -(-len(rows) // _ANALYSED_TEXTS)
            self.table_ = latent_semantics(tfidf.transform(counts[::step]))


class NGrams(Modality):
    """Strings as `Text` takes them, read as sparse rows of TF-IDF, which are the plain features themselves."""

    encoder = "mlp"
    views = "corruption"
    components_of_features = 200
    neighbors_among_features = 30
    sparse_features = True
    tfidf_: TfIdf

    @property
    def kind(self) -> type[Modality]:
        """See `Modality.kind`."""
        return Text

    def settings(self) -> dict[str, Any]:
        """Return the settings of a `Text` whose plain features these are."""
        return Text().settings()

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> csr_matrix:
        """See `Modality.read`; X holds one string per row."""
        texts = read_texts(X)
        if reset:
            check_two_samples(texts)
            self.tfidf_ = TfIdf().fit(texts)
            self.shape_ = (len(self.tfidf_.idf_),)
            if not self.shape_[0]:
                raise ValueError(_NO_WORDS)
        return self.tfidf_(texts)

    def to_tensor(self, rows: csr_matrix) -> Tensor:
        """Return the rows (B, n_ngrams), dense."""
        return torch.from_numpy(rows.toarray())

    def join(self, rows: csr_matrix, more: csr_matrix) -> csr_matrix:
        """Return the rows of two calls of `read`, concatenated."""
        return vstack([rows, more], format="csr")

    def restore(self, x: Tensor, X: Any) -> list[list[str]]:
        """Return the words of the texts X, of which the n-grams have lost the order."""
        return [split(text, _MAX_TOKENS) for text in read_texts(X)]

    def feature_names(self) -> list[str]:
        """See `Modality.feature_names`."""
        return self.tfidf_.names()

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`."""
        raise ValueError(_NOT_EXPORTED)

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        if self.shape_ != self.tfidf_.idf_.shape:
            raise ValueError(f"texts have shape {self.shape_}, but there are {len(self.tfidf_.idf_)} n-grams")


def choose_tokenizer(tokenizer: Any) -> Tokenizer:
    """Return the tokenizer of a name, or of an object or path that holds a pretrained one."""
    if isinstance(tokenizer, Tokenizer):
        return copy.deepcopy(tokenizer)
    if isinstance(tokenizer, str) and tokenizer in ("auto", *TOKENIZERS):
        return TOKENIZERS["words" if tokenizer == "auto" else tokenizer]()
    return OfModel(tokenizer)


def count_tokens(rows: Ragged, n_tokens: int) -> csr_array:
    """Return each text's token counts (n, n_tokens)."""
    ids = rows.values.reshape(len(rows.values), -1)
    texts = np.repeat(np.arange(len(rows)), rows.lengths * ids.shape[1])
    counts = csr_array((ids.ravel() > 0, (texts, ids.ravel())), shape=(len(rows), n_tokens), dtype=np.float32)
    counts.eliminate_zeros()
    return counts


def latent_semantics(tfidf: Any) -> Tensor:
    """Learn a vector for each token from texts (n, n_tokens): tokens of similar texts have similar vectors.

    Returns
    -------
    (n_tokens, d), where d is 256 or the largest possible rank.
    """
    _, _, components = randomized_svd(tfidf, min(_WIDTH, *tfidf.shape), n_iter=2, random_state=0)
    table = torch.from_numpy(np.ascontiguousarray(components.T, dtype=np.float32))
    return table * (_SCALE / table.square().mean().sqrt())


def read_texts(X: Any) -> list[str]:
    """Return X as a list of strings.

    Raises
    ------
    TypeError, ValueError : if X contains anything but texts; the message says what to do.
    """
    if isinstance(X, str | bytes):
        raise TypeError(f"X is one {type(X).__name__}, not a sequence of texts. Wrap it in a list, [text].")
    if hasattr(X, "columns"):
        if len(X.columns) != 1:
            raise ValueError(f"X has {len(X.columns)} columns ({', '.join(map(str, X.columns))}). Pass one, X[name].")
        X = X[X.columns[0]]
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] == 1 and not issparse(X):
        X = X[:, 0]
    elif shape is not None and len(shape) != 1:
        raise ValueError(f"X of shape {tuple(shape)} does not hold texts. Pass (n,), one string per row.")
    if isinstance(X, Mapping) or not (hasattr(X, "__len__") and hasattr(X, "__getitem__")):
        raise TypeError(f"X is a {type(X).__name__}. Pass a list, an array or a Series of strings.")
    if len(X) == 0:
        raise ValueError("X has 0 sample(s). Pass at least one text.")
    texts = list(X)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise _not_a_text(X, row, text)
    return [str(text) for text in texts]


def _not_a_text(X: Any, row: int, value: Any) -> Exception:
    kind = type(value).__name__
    if is_missing(value):
        fill = "X.fillna('')" if hasattr(X, "fillna") else "[text or '' for text in X]"
        return ValueError(f"X has a missing value ({value}) in row {row}. Fill it, for example with {fill}.")
    remedy = "Convert the texts, for example with str."
    if isinstance(value, bytes):
        remedy = "Decode the texts first, for example with text.decode('utf-8')."
    elif isinstance(value, Number):
        remedy = "Convert the texts with str, or set modality='tabular' for numbers."
    elif isinstance(value, list | tuple | np.ndarray):
        remedy = "Join the words of each text, for example with ' '.join(words)."
    return TypeError(f"Row {row} of X is of type {kind}, but modality='text' expects strings. {remedy}")
