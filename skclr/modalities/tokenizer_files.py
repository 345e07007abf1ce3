"""Descriptions of the library tokenizers' objects in untrusted files: parts with unbounded memory are rejected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Most characters that a step may prepend to a text.
_MOST_CHARACTERS = 16
# Most special tokens around a text.
_MOST_SPECIAL = 64

# Types that lengthen a text no more than Unicode normalisation does, and contain no regular expression.
_NORMALIZERS = {
    "BertNormalizer",
    "ByteLevel",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Strip",
    "StripAccents",
}
_PRE_TOKENIZERS = {
    "BertPreTokenizer",
    "ByteLevel",
    "CharDelimiterSplit",
    "Digits",
    "Punctuation",
    "UnicodeScripts",
    "Whitespace",
    "WhitespaceSplit",
}
_MODELS = {"BPE", "Unigram", "WordLevel", "WordPiece"}
_POST_PROCESSORS = {"BertProcessing", "ByteLevel", "RobertaProcessing"}


def bounded(description: str) -> str:
    """Return a tokenizer's description without padding, truncation and decoder, if its memory is bounded.

    Parameters
    ----------
    description : JSON, as `tokenizers.Tokenizer.to_str` returns it.

    Raises
    ------
    ValueError : for regular expressions, character maps, and other parts that can lengthen a text without bound.
    """
    parts = json.loads(description)
    if not isinstance(parts, dict):
        raise ValueError("the tokenizer is not described by a dictionary")
    _each(parts.get("normalizer"), "normalizers", _check_normalizer)
    _each(parts.get("pre_tokenizer"), "pretokenizers", _check_pre_tokenizer)
    _each(parts.get("post_processor"), "processors", _check_post_processor)
    _check_model(parts["model"])
    kept = {
        name: parts.get(name) for name in ("version", "added_tokens", "normalizer", "pre_tokenizer", "post_processor")
    }
    return json.dumps({**kept, "truncation": None, "padding": None, "decoder": None, "model": parts["model"]})


@contextmanager
def panics_as_value_errors() -> Iterator[None]:
    """Re-raise the library's PanicException, which does not derive from Exception, as a ValueError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"the tokenizer library failed ({error})") from None


def _each(part: Any, members: str, check: Callable[[Mapping[str, Any]], None]) -> None:
    """Check a part, or each member of a sequence of parts."""
    if part is None:
        return
    if part["type"] == "Sequence":
        for member in part[members]:
            _each(member, members, check)
    else:
        check(part)


def _check_normalizer(part: Mapping[str, Any]) -> None:
    if part["type"] == "Prepend":
        lengthens = len(part["prepend"]) > _MOST_CHARACTERS
    elif part["type"] == "Replace":
        lengthens = len(part["content"]) > len(_literal(part["pattern"]))
    else:
        lengthens = False
        _check_kind(part, _NORMALIZERS)
    if lengthens:
        raise ValueError(f"the tokenizer's {part['type']} can lengthen texts")


def _check_pre_tokenizer(part: Mapping[str, Any]) -> None:
    if part["type"] == "Split":
        _literal(part["pattern"])
    elif part["type"] == "Metaspace":
        if len(part["replacement"]) != 1:
            raise ValueError("the tokenizer's Metaspace can lengthen texts")
    else:
        _check_kind(part, _PRE_TOKENIZERS)


def _check_post_processor(part: Mapping[str, Any]) -> None:
    if part["type"] != "TemplateProcessing":
        _check_kind(part, _POST_PROCESSORS)
        return
    special = part["special_tokens"]
    for template in (part["single"], part["pair"]):
        pieces = [piece["SpecialToken"]["id"] for piece in template if "SpecialToken" in piece]
        n_tokens = sum(len(special[piece]["ids"]) for piece in pieces)
        if len(template) > _MOST_SPECIAL or n_tokens > _MOST_SPECIAL:
            raise ValueError(f"the tokenizer adds more than {_MOST_SPECIAL} special tokens to a text")


def _check_model(model: Mapping[str, Any]) -> None:
    _check_kind({"type": "BPE", **model}, _MODELS)
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "unk_token"):
        if len(model.get(name) or "") > _MOST_CHARACTERS * 4:
            raise ValueError(f"the tokenizer's {name} is too long")


def _literal(pattern: Mapping[str, Any]) -> str:
    if pattern.keys() != {"String"} or not pattern["String"]:
        raise ValueError("the tokenizer has a regular expression, whose memory is unbounded")
    text: str = pattern["String"]
    return text


def _check_kind(part: Mapping[str, Any], known: set[str]) -> None:
    if part["type"] not in known:
        raise ValueError(f"the tokenizer's {part['type']} is not allowed in files, since its memory is unbounded")
