"""The same values in every container and dtype, through every verb: equal, refused, or a fault.

`python -m tests.seams.matrix` evaluates all rows and writes the table that `test_matrix.py` compares with.
"""

from __future__ import annotations

import argparse
import copy
import csv
import dis
import functools
import itertools
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from scipy import sparse

import skclr
from skclr import ContrastiveEmbedder

TABLE = Path(__file__).with_name("matrix.csv")
PACKAGE = Path(skclr.__file__).parent

N_SAMPLES = 8


# -- values -------------------------------------------------------------------------------------------------

BITS = ["bool"]
INTEGERS = [f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)]
FLOATS = ["float16", "float32", "float64"]
NUMBERS = [*BITS, *INTEGERS, *FLOATS]
DTYPES = [*NUMBERS, "object", "str"]

TEXTS = ["a rose", "is a rose", "a daisy", "not a rose", "rose or daisy", "no daisy", "a tree", "not a tree"]


class Kind(NamedTuple):
    """What a modality is shown, and how.

    Parameters
    ----------
    natural : dtype of the reference.
    shape : of one sample.
    flat_shape : of one sample in containers of two dimensions.
    params, flat_params : modality_params for either.
    """

    natural: str
    shape: tuple[int, ...]
    flat_shape: tuple[int, ...]
    params: dict[str, Any]
    flat_params: dict[str, Any]


AUDIO = {"sampling_rate": 1_000, "n_mels": 4}
WORDS = {"tokenizer": "words"}
MODALITIES = {
    "tabular": Kind("float64", (3,), (3,), {}, {}),
    "image": Kind("uint8", (6, 5), (30,), {}, {"image_shape": (6, 5)}),
    "series": Kind("float32", (2, 12), (12,), {}, {}),
    "audio": Kind("int16", (300,), (300,), AUDIO, AUDIO),
    "text": Kind("str", (), (), WORDS, WORDS),
}


def draw(modality: str, dtype: str, *, flat: bool, bits: bool) -> np.ndarray:
    """Draw numbers of two digits, which every dtype holds exactly and which sort as text as they do as numbers."""
    if modality == "text" and dtype in ("object", "str"):
        return np.array(TEXTS, dtype=dtype)
    shape = MODALITIES[modality].flat_shape if flat else MODALITIES[modality].shape
    low, high = (0, 2) if bits else (10, 100)
    values = np.random.default_rng(0).integers(low, high, (N_SAMPLES, *shape))
    # The scale of sound is that of int16, which 32 bits and floats have in their own way.
    if modality == "audio" and dtype in FLOATS:
        values = values / 2**15
    elif modality == "audio" and dtype == "int32":
        values = values * 2**16
    return values.astype(dtype)


# -- containers ---------------------------------------------------------------------------------------------


class Container(NamedTuple):
    """A kind of object that holds an array.

    Parameters
    ----------
    hold : takes an array in C order, and the name of its dtype, to the object.
    dtypes : those that it can hold; the others do not exist.
    flat : whether it holds two dimensions at most.
    """

    hold: Callable[[np.ndarray, str], Any]
    dtypes: Sequence[str] = DTYPES
    flat: bool = False


class ArrayLike:
    """All that numpy asks for, and no more."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array if dtype is None else self.array.astype(dtype)


def strided(array: np.ndarray, _: str) -> np.ndarray:
    return np.repeat(array, 2, axis=0)[::2]


def read_only(array: np.ndarray, _: str) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def memory_map(array: np.ndarray, _: str) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, array)
        return np.load(file.name, mmap_mode="r")


def masked(array: np.ndarray, _: str) -> np.ndarray:
    """Hide the first value of each sample that has several."""
    mask = np.zeros(array.shape, dtype=bool)
    if array.ndim > 1:
        mask.reshape(len(array), -1)[:, 0] = True
    return np.ma.masked_array(array, mask=mask)


def names_of(array: np.ndarray) -> list[str]:
    return [f"f{j}" for j in range(array.shape[1])]


def pandas_frame(array: np.ndarray, dtype: Any) -> Any:
    import pandas as pd

    dtype = "str" if dtype == "str" else dtype
    values = array.astype(object) if array.dtype.kind == "U" else array
    if array.ndim == 1:
        return pd.Series(values).astype(dtype)
    return pd.DataFrame(values, columns=names_of(array)).astype(dtype)


def nullable(array: np.ndarray, dtype: str) -> Any:
    names = {"bool": "boolean", "str": "string"}
    return pandas_frame(array, names.get(dtype, dtype.title().replace("Ui", "UI")))


def arrow(array: np.ndarray, dtype: str) -> Any:
    import pandas as pd
    import pyarrow as pa

    names = {"bool": pa.bool_(), "str": pa.string(), "float16": pa.float16()}
    return pandas_frame(array, pd.ArrowDtype(names.get(dtype) or getattr(pa, dtype)()))


def polars(array: np.ndarray, dtype: str) -> Any:
    import polars as pl

    names = {"bool": "Boolean", "str": "String"}
    polars_dtype = getattr(pl, names.get(dtype, dtype.title().replace("Ui", "UI")))
    if array.ndim == 1:
        return pl.Series(array.tolist(), dtype=polars_dtype)
    columns = zip(names_of(array), array.T.tolist(), strict=True)
    return pl.DataFrame([pl.Series(name, column, dtype=polars_dtype) for name, column in columns])


def torch_tensor(array: np.ndarray, _: str) -> Any:
    import torch

    return torch.from_numpy(array.copy())


def dask_array(array: np.ndarray, _: str) -> Any:
    import dask.array as da

    return da.from_array(array, chunks=(3, *array.shape[1:]))


def dask_frame(array: np.ndarray, dtype: str) -> Any:
    import dask.dataframe as dd

    return dd.from_pandas(pandas_frame(array, dtype), npartitions=min(2, len(array)))


def in_scipy(kind: str) -> Container:
    def hold(array: np.ndarray, _: str) -> Any:
        return getattr(sparse, kind)(array.reshape(len(array), -1))

    return Container(hold, [*BITS, *INTEGERS, "float32", "float64"], flat=True)


CONTAINERS = {
    "numpy": Container(lambda array, _: array),
    "numpy Fortran": Container(lambda array, _: np.asfortranarray(array)),
    "numpy strided": Container(strided),
    "numpy read-only": Container(read_only),
    "numpy memory map": Container(memory_map, [*NUMBERS, "str"]),
    "numpy masked": Container(masked, [*NUMBERS, "object"]),
    "list": Container(lambda array, _: array.tolist(), ["bool", "int64", "float64", "str"]),
    "list of arrays": Container(lambda array, _: list(array)),
    "tuple": Container(lambda array, _: nested_tuple(array.tolist()), ["bool", "int64", "float64", "str"]),
    "tuple of arrays": Container(lambda array, _: tuple(array)),
    "pandas": Container(pandas_frame, flat=True),
    "pandas nullable": Container(nullable, [*BITS, *INTEGERS, "float32", "float64", "str"], flat=True),
    "pandas Arrow": Container(arrow, [*NUMBERS, "str"], flat=True),
    "polars": Container(polars, [*BITS, *INTEGERS, "float32", "float64", "object", "str"], flat=True),
    **{kind: in_scipy(kind) for kind in map("_".join, itertools.product(["csr", "csc", "coo"], ["matrix", "array"]))},
    "torch": Container(torch_tensor, NUMBERS),
    "dask array": Container(dask_array),
    # dask makes text of objects.
    "dask frame": Container(dask_frame, [*NUMBERS, "str"], flat=True),
    "__array__": Container(lambda array, _: ArrayLike(array)),
}
SPARSE = [name for name in CONTAINERS if name.endswith(("_matrix", "_array"))]
FRAMES = ("pandas", "pandas nullable", "pandas Arrow", "polars", "dask frame")


def nested_tuple(values: Any) -> Any:
    return tuple(map(nested_tuple, values)) if isinstance(values, list) else values


# -- rows of the matrix -------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One container of one dtype, read by one modality."""

    modality: str
    container: str
    dtype: str

    @property
    def reference(self) -> Reference:
        """The same values as an array in C order of the modality's natural dtype."""
        return self._reference(MODALITIES[self.modality].natural)

    @property
    def fit_reference(self) -> Reference:
        """The same for verbs that begin with `fit`, which takes pixels in floats as they are."""
        own_scale = self.modality == "image" and self.dtype in FLOATS
        return self._reference("float32") if own_scale else self.reference

    def _reference(self, dtype: str) -> Reference:
        if self.modality == "tabular" and self.container in FRAMES and self.dtype in ("bool", "str"):
            kind = "categories"
            dtype = {"bool": "float64", "str": "object"}[self.dtype]
        else:
            kind = "masked" if self.container == "numpy masked" else "sparse" if self.container in SPARSE else ""
        if self.modality == "image" and self.dtype == "bool":
            # As bytes, 0 and 1 would both be black.
            dtype = "float32"
        flat = CONTAINERS[self.container].flat
        exists = self.modality != "text" or self.dtype in ("object", "str")
        return reference_of(self.modality, dtype, kind, flat=flat, bits=self.dtype == "bool", exists=exists)

    def hold(self, rows: Sequence[int] | slice = slice(None)) -> Any:
        """Return samples in the container."""
        flat = CONTAINERS[self.container].flat
        array = draw(self.modality, self.dtype, flat=flat, bits=self.dtype == "bool")
        return CONTAINERS[self.container].hold(array[rows], self.dtype)


ROWS = [
    Row(modality, container, dtype)
    for modality, container, dtype in itertools.product(MODALITIES, CONTAINERS, DTYPES)
    if dtype in CONTAINERS[container].dtypes
]


@dataclass(frozen=True, eq=False)
class Reference:
    """A fitted embedder, and what each verb should give.

    Parameters
    ----------
    make : makes an embedder of the modality.
    X : the reference array.
    exists : whether there is an answer at all: numbers are not texts, and an image has no missing pixels.
    fitted : an embedder fitted on X, or, where X has no answer, on something like it.
    """

    make: Callable[[], ContrastiveEmbedder]
    X: np.ndarray
    exists: bool
    fitted: ContrastiveEmbedder


@functools.cache
def reference_of(modality: str, dtype: str, kind: str, *, flat: bool, bits: bool, exists: bool) -> Reference:
    """Fit the reference that some rows of the matrix share."""
    params = dict(MODALITIES[modality].flat_params if flat else MODALITIES[modality].params)
    X = whole = draw(modality, dtype, flat=flat, bits=bits)
    if modality == "tabular" and kind == "categories":
        params["categorical_features"] = list(range(X.shape[1]))
        X = whole = X.astype(str).astype(object) if dtype == "object" else X
    elif modality == "tabular" and kind == "sparse":
        X = whole = sparse.csr_array(X)
    elif modality != "text" and kind == "masked":
        X = masked(whole, "").astype(np.float64).filled(np.nan)
    make = functools.partial(make_embedder, modality, params)
    try:
        fitted = make().fit(X)
    except ValueError:
        exists, fitted = False, make().fit(whole)
    return Reference(make, X, exists, fitted)


def make_embedder(modality: str, params: dict[str, Any], **more: Any) -> ContrastiveEmbedder:
    """Make an embedder that trains for one step of a few milliseconds."""
    settings: dict[str, Any] = {
        "modality": modality,
        "modality_params": params,
        "encoder_params": {"width": 4},
        "framework_params": {"hidden_dim": 4},
        "projection_dim": 4,
        "max_epochs": 1,
        "device": "cpu",
        "precision": "float32",
        "random_state": 0,
    }
    return ContrastiveEmbedder(**{**settings, **more})


# -- verbs --------------------------------------------------------------------------------------------------


class Verb(NamedTuple):
    """Something that a user does with X.

    Parameters
    ----------
    got : the result of a row of the matrix.
    expected : what should.
    tolerance : largest difference between them; 0 is the same bits.
    """

    got: Callable[[Row], Any]
    expected: Callable[[Row], Any]
    tolerance: float = 0.0


@functools.lru_cache(maxsize=1)
def fit(row: Row) -> ContrastiveEmbedder:
    return row.fit_reference.make().fit(row.hold())


def infer(row: Row) -> str:
    params = row.reference.make().modality_params
    return make_embedder("auto", params, encoder_params=None, max_epochs=0).fit(row.hold()).modality_


@functools.cache
def usual_modality(row: Row) -> str:
    """Infer the modality of the same values in a plain array, or say which it is where that does not tell."""
    if row.modality == "tabular" and row.container.startswith("tuple") and row.dtype == "str":
        # Like questions and answers.
        return "text"
    if CONTAINERS[row.container].flat:
        return "tabular" if row.modality == "series" else row.modality
    try:
        return infer(row._replace(container="numpy"))
    except ValueError:
        return row.modality


def partial_fit(fitted: ContrastiveEmbedder, X: Any) -> ContrastiveEmbedder:
    return copy.deepcopy(fitted).partial_fit(X)


def transform(fitted: ContrastiveEmbedder, X: Any) -> np.ndarray:
    features = fitted.transform(X)
    return np.asarray(features.compute() if hasattr(features, "compute") else features)


def transform_to(fitted: ContrastiveEmbedder, X: Any) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        return np.array(fitted.transform_to(f"{folder}/features.npy", X))


def reload(fitted: ContrastiveEmbedder) -> ContrastiveEmbedder:
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(f"{folder}/model.skclr")
        return skclr.load(f"{folder}/model.skclr")


def run_onnx(fitted: ContrastiveEmbedder, X: np.ndarray) -> np.ndarray:
    session = session_of(Hashed(fitted))
    (graph_input,) = session.get_inputs()
    if len(graph_input.shape) > X.ndim:
        # Series of one channel.
        X = X[:, None]
    dtype = {"tensor(double)": "float64", "tensor(float)": "float32", "tensor(uint8)": "uint8"}[graph_input.type]
    if dtype == "float32" and X.dtype.kind == "i":
        # As clips are given to a graph.
        X = X / np.float32(2**15)
    dense = X.toarray() if sparse.issparse(X) else X
    return session.run(None, {"X": dense.astype(dtype)})[0]


class Hashed:
    """A fitted embedder, equal to others that are the same graph: an export takes seconds."""

    def __init__(self, fitted: ContrastiveEmbedder) -> None:
        self.fitted = fitted
        self.key = joblib.hash(in_numpy([fitted.encoder_.state_dict(), fitted.model_.modality]))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return self.key == other.key


def in_numpy(state: Any) -> Any:
    """Write tensors as arrays, whose hashes know no more than their values."""
    if hasattr(state, "state"):
        return in_numpy(state.state())
    if isinstance(state, dict):
        return {name: in_numpy(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [in_numpy(value) for value in state]
    return state.numpy() if hasattr(state, "numpy") else state


@functools.cache
def session_of(hashed: Hashed) -> Any:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        hashed.fitted.to_onnx(f"{folder}/model.onnx")
        return onnxruntime.InferenceSession(f"{folder}/model.onnx")


@functools.cache
def features(reference: Reference) -> np.ndarray:
    return transform(reference.fitted, reference.X)


@functools.cache
def features_after_more(reference: Reference) -> np.ndarray:
    return transform(partial_fit(reference.fitted, reference.X), reference.X)


@functools.cache
def score(reference: Reference) -> float:
    return reference.fitted.score(reference.X)


def on_rows(rows: Any) -> Verb:
    """Embed some rows: the same bits as among the others."""
    return Verb(lambda row: transform(row.reference.fitted, row.hold(rows)), lambda row: features(row.reference)[rows])


VERBS = {
    "fit": Verb(lambda row: transform(fit(row), row.fit_reference.X), lambda row: features(row.fit_reference), 1e-5),
    "auto": Verb(infer, usual_modality),
    "transform": on_rows(slice(None)),
    "one row": on_rows([3]),
    "every other": on_rows(slice(None, None, 2)),
    "shuffled": on_rows([5, 2, 7, 0, 4, 1, 6, 3]),
    "partial_fit": Verb(
        lambda row: transform(partial_fit(row.reference.fitted, row.hold()), row.reference.X),
        lambda row: features_after_more(row.reference),
        1e-5,
    ),
    "transform_to": Verb(
        lambda row: transform_to(row.reference.fitted, row.hold()), lambda row: features(row.reference)
    ),
    "score": Verb(lambda row: row.reference.fitted.score(row.hold()), lambda row: score(row.reference), 1e-5),
    "save and load": Verb(
        lambda row: transform(reload(fit(row)), row.fit_reference.X), lambda row: features(row.fit_reference), 1e-5
    ),
    "ONNX": Verb(lambda row: run_onnx(fit(row), row.fit_reference.X), lambda row: features(row.fit_reference), 1e-4),
}


# -- outcomes -----------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of one cell.

    Parameters
    ----------
    status : "equal"; "refused" by one of our own errors; "extra", where one names what to install; "raw", an error that
        is not ours; or "differs".
    detail : the error, or the difference.
    """

    status: str
    detail: str = ""


def evaluate(row: Row, verb: str) -> Outcome:
    """Do with a row's X what the verb says, and compare."""
    reference = row.reference
    try:
        with quiet():
            got = VERBS[verb].got(row)
    except Exception as error:
        return Outcome(classify(error), f"{type(error).__name__}: {error}")
    if not reference.exists:
        return Outcome("differs", "there is no right answer, so it should be refused")
    with quiet():
        return compare(got, VERBS[verb].expected(row), VERBS[verb].tolerance)


def compare(got: Any, expected: Any, tolerance: float) -> Outcome:
    if isinstance(expected, str):
        return Outcome("equal") if got == expected else Outcome("differs", f"{got} for {expected}")
    if np.shape(got) != np.shape(expected):
        return Outcome("differs", f"shape {np.shape(got)} for {np.shape(expected)}")
    difference = float(np.abs(np.asarray(got) - expected).max())
    return Outcome("equal") if difference <= tolerance else Outcome("differs", f"by {difference:.2g}")


def classify(error: Exception) -> str:
    """Return whether an error is our own: of a type that is documented, from a `raise` in the package."""
    if isinstance(error, ImportError) and "pip install" in str(error):
        return "extra"
    innermost = error.__traceback__
    while innermost.tb_next:
        innermost = innermost.tb_next
    code = innermost.tb_frame.f_code
    raised = dis.opname[code.co_code[innermost.tb_lasti]] == "RAISE_VARARGS"
    ours = Path(code.co_filename).is_relative_to(PACKAGE) and raised
    return "refused" if ours and isinstance(error, ValueError | TypeError) else "raw"


@contextmanager
def quiet() -> Iterator[None]:
    """Leave warnings to other tests, and have dask compute where its errors can be seen."""
    import dask

    with warnings.catch_warnings(), dask.config.set(scheduler="synchronous"):
        warnings.simplefilter("ignore")
        yield


# -- the table ----------------------------------------------------------------------------------------------


def read_table(path: Path = TABLE) -> dict[Row, dict[str, str]]:
    """Read the status of each verb of each row."""
    with path.open(newline="") as file:
        return {Row(*(line.pop(name) for name in Row._fields)): line for line in csv.DictReader(file)}


def write_table(table: dict[Row, dict[str, str]], path: Path = TABLE) -> None:
    """Write one line a row, so that a change of one is a change of one line."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*Row._fields, *VERBS])
        writer.writerows([*row, *(table[row][verb] for verb in VERBS)] for row in sorted(table, key=ROWS.index))


def main() -> None:
    """Evaluate all rows, or those that contain each of the words given, and print every cell that is not equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="of a row, such as: image float32")
    parser.add_argument("--verbs", nargs="+", default=list(VERBS), choices=VERBS)
    parser.add_argument("--output", type=Path, default=TABLE)
    arguments = parser.parse_args()
    table = read_table(arguments.output) if arguments.output.exists() else {}
    counts: Counter[str] = Counter()
    for row in [row for row in ROWS if all(word in " ".join(row) for word in arguments.words)]:
        cells = table.setdefault(row, dict.fromkeys(VERBS, ""))
        for verb in arguments.verbs:
            outcome = evaluate(row, verb)
            cells[verb] = outcome.status
            counts[outcome.status] += 1
            if outcome.status != "equal":
                print(f"{outcome.status:8}", *row, verb, outcome.detail, sep=" | ", flush=True)
        # A run that is cut short leaves what it has found.
        write_table({row: cells for row, cells in table.items() if row in ROWS}, arguments.output)
    print(*(f"{status} {n}" for status, n in counts.most_common()), sep=", ")


if __name__ == "__main__":
    main()
