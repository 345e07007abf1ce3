"""The format of model files: safetensors, with plain values as JSON in the metadata. No code, no pickle.

The metadata begin with the SHA-256 of all other bytes of the file. It detects damage but does not authenticate: whoever
writes a file also writes its checksum. An untrusted file can contain only values, tensors and names of known parts.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from skclr.files.plain import Plain

VERSION = 1

_LENGTH = 8
_START = b'{"__metadata__":{"skclr":"{\\"sha256\\":\\"'
_DIGEST = slice(_LENGTH + len(_START), _LENGTH + len(_START) + 64)
# Where the document, a string, begins in the header.
_TEXT = _START.index(b'"{')
# An escaped character such as \u0041, but not an escaped backslash before a "u".
_ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\u")
# Memory allowed for the objects of a header, in addition to a share of that of its tensors.
_FREE_BYTES = 2**26


class ModelFileError(ValueError):
    """Raised if a file is not a model, is damaged, comes from a newer version, or has inconsistent parts.

    Examples
    --------
    >>> import skclr
    >>> with open("cut.skclr", "wb") as file:
    ...     _ = file.write(b"of a model, the beginning")
    >>> try:
    ...     skclr.load("cut.skclr")
    ... except skclr.ModelFileError:
    ...     print("not loaded")
    not loaded
    """


class NotPlainError(TypeError):
    """Raised if a value cannot be written without code."""


@dataclass(frozen=True)
class Missing:
    """Placeholder for an object that cannot be stored in a file.

    Parameters
    ----------
    kind : type of the object, in words for users.
    """

    kind: str


@dataclass(frozen=True)
class Named:
    """The class of a part as named in a file, not yet looked up.

    Parameters
    ----------
    name : its name in the file.
    """

    name: str


@dataclass(frozen=True)
class Described:
    """A part as described in a file, not yet built.

    Parameters
    ----------
    name : name of its class in the file.
    state : its settings and what it has learned, inert as well.
    """

    name: str
    state: dict[str, Any]


# -- bytes ------------------------------------------------------------------------------------------


def to_bytes(tree: Any, classes: Mapping[str, type]) -> bytes:
    """Serialise plain values.

    Parameters
    ----------
    tree : numbers, strings, tuples, lists, dictionaries, arrays, tensors, parts, and classes of parts.
    classes : classes that may occur, by name.

    Raises
    ------
    NotPlainError : for anything else.
    """
    tensors: dict[str, Tensor] = {}
    document = {"sha256": "0" * 64, "version": VERSION, "tree": _Writer(classes, tensors).write(tree, "")}
    return checksummed(write_tensors(tensors, {"skclr": json.dumps(document, separators=(",", ":"), allow_nan=False)}))


def checksummed(raw: bytes) -> bytes:
    """Return the bytes of a file with its checksum inserted."""
    return raw[: _DIGEST.start] + _digest(raw) + raw[_DIGEST.stop :]


def is_plain(tree: Any, classes: Mapping[str, type]) -> bool:
    """Return whether `to_bytes` can serialise a value."""
    try:
        _Writer(classes, {}).write(tree, "")
    except NotPlainError:
        return False
    return True


def from_bytes(raw: bytes) -> tuple[Any, dict[str, Tensor]]:
    """Return the tree of a file, to be read by `Reader`, and the tensors that it names.

    Raises
    ------
    ModelFileError : if it is not such a file, or was altered since it was written.
    """
    if not raw.startswith(_START, _LENGTH):
        raise ModelFileError("it is not a model saved by skclr, or its beginning is missing")
    if _digest(raw) != raw[_DIGEST]:
        raise ModelFileError("it is corrupt: it was altered or truncated, and its checksum differs")
    end = _LENGTH + int.from_bytes(raw[:_LENGTH], "little")
    try:
        text = _document(raw[_LENGTH:end], n_most=_FREE_BYTES + 2 * max(0, len(raw) - end))
        document = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
        version, tree = document["version"], document["tree"]
    except ModelFileError:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelFileError(f"its header cannot be read ({error})") from error
    if version != VERSION:
        raise ModelFileError(f"its format has version {version!r}, but this skclr reads {VERSION}. Update skclr.")
    try:
        return tree, read_tensors(raw)
    except Exception as error:  # safetensors has its own errors, and passes on those of torch.
        raise ModelFileError(f"its tensors cannot be read ({error})") from error


def _document(header: bytes, *, n_most: int) -> str:
    """Return the document in a header.

    Raises
    ------
    ModelFileError : if the decoded header would take more than n_most bytes of memory.
    """
    # The header and its document are in memory at the same time.
    n_bytes = len(header) + 2 * _width(header) * len(header)
    _check_cost(n_bytes, n_most)
    # The rest of the header is read only by safetensors.
    decoded = header.decode()
    text, end = json.JSONDecoder().raw_decode(decoded, _TEXT)
    rest = decoded[end:]
    # Escaped characters count too: "\\u005b" is a bracket.
    n_containers = sum(part.count("{") + part.count("[") for part in (text, rest))
    n_commas = text.count(",") + rest.count(",")
    _check_cost(n_bytes + _width(text.encode()) * len(text) + 200 * n_containers + 40 * n_commas, n_most)
    return text


def _width(source: bytes) -> int:
    """Return the largest number of bytes that Python uses per character of the decoded JSON."""
    return 4 if not source.isascii() or _ESCAPED.search(source) else 1


def _check_cost(n_bytes: int, n_most: int) -> None:
    if n_bytes > n_most:
        raise ModelFileError(f"its header alone would take {n_bytes / 2**20:,.0f} MiB of memory")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("it contains an entry twice")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it contains {name}, which is not JSON")


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read a whole file at once, so that its content is consistent even if it is replaced meanwhile.

    Raises
    ------
    OSError : if it cannot be read.
    ModelFileError : if it is not a regular file, and reading might never end.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ModelFileError("it is not a regular file")
    return Path(path).read_bytes()


def _digest(raw: bytes) -> bytes:
    view = memoryview(raw)
    digest = hashlib.sha256(view[: _DIGEST.start])
    digest.update(view[_DIGEST.stop :])
    return digest.hexdigest().encode()


# -- values -----------------------------------------------------------------------------------------


class _Writer:
    def __init__(self, classes: Mapping[str, type], tensors: dict[str, Tensor]) -> None:
        self.names = {known: name for name, known in classes.items()}
        self.tensors = tensors

    def write(self, value: Any, place: str) -> Any:
        """Return a value as JSON, with its arrays among the tensors; types that JSON lacks become {kind: content}."""
        match value:
            case None | bool() | int() | str():
                return value
            case float():
                return value if math.isfinite(value) else {"float": str(value)}
            case list():
                return self._each(value, place)
            case tuple():
                return {"tuple": self._each(value, place)}
            case dict():
                return {"dict": [[self.write(k, place), self.write(v, f"{place}/{k}")] for k, v in value.items()]}
            case Tensor():
                return {"tensor": self._keep(value, place)}
            case np.generic():
                return self.write(value.item(), place)
            case np.ndarray():
                return self._array(value, place)
            case torch.device() | PurePath():
                return str(value)
            case Missing():
                return {"missing": value.kind}
            case type() if value in self.names:
                return {"class": self.names[value]}
            case Plain() if type(value) in self.names:
                return {"part": [self.names[type(value)], self.write(value.state(), place)]}
        raise NotPlainError(f"{place[1:]} is a {type(value).__name__}")

    def _each(self, values: list[Any] | tuple[Any, ...], place: str) -> list[Any]:
        return [self.write(value, f"{place}/{i}") for i, value in enumerate(values)]

    def _array(self, array: np.ndarray, place: str) -> Any:
        if array.dtype.kind in "biuf":
            return {"array": self._keep(torch.from_numpy(np.array(array, array.dtype.newbyteorder("="))), place)}
        if array.dtype.kind in "OU" and array.ndim == 1:
            return {"objects": self._each(array.tolist(), place)}
        raise NotPlainError(f"{place[1:]} is an array of dtype {array.dtype}")

    def _keep(self, tensor: Tensor, place: str) -> str:
        # A copy, since this format does not allow tensors that share memory.
        self.tensors[place[1:]] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return place[1:]


class Reader:
    """Rebuilds values from the result of `from_bytes`, using each tensor once.

    Parameters
    ----------
    classes : classes that may occur, by name.
    tensors : the tensors of the file, by name.

    Raises
    ------
    ModelFileError : if anything is inconsistent.
    """

    def __init__(self, classes: Mapping[str, type], tensors: Mapping[str, Tensor]) -> None:
        self.classes = classes
        self.tensors = dict(tensors)

    def read(self, tree: Any) -> Any:
        """Return the value with its classes looked up and its parts built; only for trusted files."""
        return self._one_error(lambda: self._built(self._read(tree)))

    def inert(self, tree: Any) -> Any:
        """Return the value with `Named` and `Described` instead of classes and parts."""
        return self._one_error(lambda: self._read(tree))

    def _one_error(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (ModelFileError, ImportError):
            raise
        except Exception as error:  # Parts may raise anything for a state that is not theirs.
            raise ModelFileError(f"its parts do not fit together ({type(error).__name__}: {error})") from error

    def _read(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self._read(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        match kind:
            case "float":
                return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]
            case "tuple":
                return tuple(self._read(item) for item in content)
            case "dict":
                return _without_duplicates([(self._read(key), self._read(value)) for key, value in content])
            case "tensor":
                return self.tensors.pop(content)
            case "array":
                return self.tensors.pop(content).numpy()
            case "objects":
                return np.array([*map(self._read, content), None], dtype=object)[:-1]
            case "missing":
                return Missing(str(content))
            case "class":
                return Named(str(content))
            case "part":
                name, state = content
                return Described(str(name), dict(self._read(state)))
        raise ModelFileError(f"it contains {kind!r}, which this skclr does not know")

    def _built(self, value: Any) -> Any:
        match value:
            case Named():
                return self.classes[value.name]
            case Described():
                return self.classes[value.name].from_state(self._built(value.state))  # type: ignore[attr-defined]
            case list():
                return [self._built(item) for item in value]
            case tuple():
                return tuple(map(self._built, value))
            case dict():
                return {self._built(key): self._built(item) for key, item in value.items()}
        return value
