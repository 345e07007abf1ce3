"""The dense reference of each pairwise loss, read from the notes of its docstring and run."""

import dataclasses
import inspect
import textwrap

import torch
import torch.nn.functional as F
from torch import Tensor


def dense_code(loss_class: type) -> str:
    """Return the code that follows the line "Dense reference…::" in a docstring."""
    _, _, after = inspect.getdoc(loss_class).partition("Dense reference")
    lines = after.partition("::\n\n")[2].splitlines()
    code = [line for line in lines[: _end(lines)] if line]
    return textwrap.dedent("\n".join(code))


def _end(lines: list[str]) -> int:
    return next((i for i, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))


def dense(loss, embeddings: Tensor, groups: Tensor, candidates=None, candidate_groups=None) -> Tensor:
    """Return what `loss` must return, by its own dense reference."""
    own = candidates is None
    y, others = (embeddings, groups) if own else (candidates, candidate_groups)
    other_rows = ~torch.eye(len(groups), dtype=torch.bool) if own else torch.tensor(True)
    same = groups[:, None] == others
    names = {
        "torch": torch,
        "F": F,
        "x": embeddings,
        "y": y,
        "positive": same & other_rows,
        "negative": ~same & other_rows,
        **dataclasses.asdict(loss),
    }
    exec(dense_code(type(loss)), names)
    return names["loss"]
