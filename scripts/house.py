#!/usr/bin/env python3
"""Measure the structure of the package, and check the measures against their bounds.

- own base classes: classes of the package, except for the estimator itself, among the bases of each estimator;
- longest module: its number of lines, except for embedder.py;
- files before the first batch, and files in a batch: files of the package that run between the call of `fit` and that
  of the first `train_step`, and between `train_step` and the end of `after_step`. The data are a small table, the
  estimator has every default, and there is one process;
- places of an option: functions, class bodies and module-level statements of the package that name `chunk_size`, as a
  name, an argument, an attribute or a string. Documentation does not count.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier

PACKAGE = Path(skclr.__file__).parent

BOUNDS = {
    "own base classes": 0,
    "lines of the longest module": 400,
    "files before the first batch": 44,
    "files in a batch": 17,
    "places of a training option": 4,
}


def own_base_classes() -> list[str]:
    """Return the classes of the package among the bases of the estimators."""
    estimators = (ContrastiveEmbedder, SemiSupervisedClassifier)
    bases = {base for estimator in estimators for base in estimator.__mro__[1:]}
    return sorted(base.__name__ for base in bases if base.__module__.startswith("skclr."))


def longest_module() -> tuple[str, int]:
    """Return the name and the number of lines of the longest module, except for embedder.py."""
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    del lengths["embedder.py"]
    return max(lengths.items(), key=lambda item: item[1])


def calls(function: Callable[[], object]) -> list[tuple[str, str, str]]:
    """Run a function and return the calls and returns inside the package: the event, the file and the function."""
    events = []

    def note(frame, event, _):
        code = frame.f_code
        if event in ("call", "return") and code.co_filename.startswith(str(PACKAGE)) and code.co_name != "<module>":
            events.append((event, str(Path(code.co_filename).relative_to(PACKAGE)), code.co_name))

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return events


def files_of_a_fit() -> tuple[list[str], list[str]]:
    """Return the files that run before the first batch, and in it."""
    X = np.random.default_rng(0).normal(size=(60, 5))
    events = calls(lambda: ContrastiveEmbedder(max_epochs=1, random_state=0).fit(X))
    steps = [i for i, (event, _, name) in enumerate(events) if (event, name) == ("call", "train_step")]
    ends = [i for i, (event, _, name) in enumerate(events) if (event, name) == ("return", "after_step")]
    before, batch = events[: steps[0]], events[steps[0] : ends[0] + 1]
    return sorted({file for _, file, _ in before}), sorted({file for _, file, _ in batch})


def places(option: str, folder: Path = PACKAGE) -> list[str]:
    """Return the places in the modules of a folder that name an option."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for statement in ast.parse(path.read_text()).body:
            found += [f"{path.relative_to(folder)}: {scope}" for scope in _scopes(statement, option)]
    return found


def _scopes(node: ast.stmt, option: str) -> Iterator[str]:
    """Yield the functions and class bodies in a statement that name an option, or the statement itself."""
    inner = [child for child in ast.walk(node) if child is not node and isinstance(child, _SCOPES)]
    of_others = {id(part) for child in inner for part in ast.walk(child)}
    if any(_names(part) == option for part in ast.walk(node) if id(part) not in of_others):
        yield getattr(node, "name", f"line {node.lineno}")
    for child in inner:
        if not any(child is not other and child in ast.walk(other) for other in inner):
            yield from _scopes(child, option)


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _names(node: ast.AST) -> str | None:
    """Return the identifier, or the string, that a node of a syntax tree is."""
    for field in ("id", "arg", "attr", "name", "value"):
        if isinstance(name := getattr(node, field, None), str):
            return name
    return None


def measure() -> dict[str, tuple[int, str]]:
    """Return each measure, and the entries that were counted."""
    bases, (longest, n_lines), (before, batch) = own_base_classes(), longest_module(), files_of_a_fit()
    of_option = places("chunk_size")
    return {
        "own base classes": (len(bases), ", ".join(bases)),
        "lines of the longest module": (n_lines, longest),
        "files before the first batch": (len(before), ", ".join(before)),
        "files in a batch": (len(batch), ", ".join(batch)),
        "places of a training option": (len(of_option), ", ".join(of_option)),
    }


if __name__ == "__main__":
    measures = measure()
    for name, (value, over) in measures.items():
        print(f"{name}: {value} (at most {BOUNDS[name]}){': ' * bool(over)}{over}")
    sys.exit(any(value > BOUNDS[name] for name, (value, _) in measures.items()))
