"""Export of fitted models as graphs for runtimes without Python: torch.export and ONNX."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from skclr.balance import Balance
from skclr.encoders import Encoder
from skclr.files.atomic import check_writable, replacing
from skclr.model import Model
from skclr.optional import import_optional
from skclr.training import undisturbed


@undisturbed()
def to_exported_program(model: Model) -> ExportedProgram:
    """Return `transform` as a graph; see `ContrastiveEmbedder.to_exported_program`."""
    reader, example = model.modality.reader()
    # A copy, since the original may be on a GPU and has gradients.
    encoder = copy.deepcopy(model.encoder).cpu().eval().requires_grad_(False)
    whole = Transform(reader, encoder if model.n_learned else None, model.balance, model.appended_features)
    # For torch 2.7, which treats the largest integer as the end of a slice, and whose default is strict=True.
    batch = Dim("batch", max=2**31 - 1)
    try:
        with _silenced():
            return torch.export.export(whole, (example,), dynamic_shapes=({0: batch},), strict=False)
    except Exception as error:
        # A user-defined network may raise anything in torch.
        raise ValueError(
            "the encoder cannot be exported. It must map a tensor to a tensor, for any number of samples, without "
            f"control flow that depends on values ({error})"
        ) from error


@undisturbed()
def to_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write `transform` to an ONNX file; see `ContrastiveEmbedder.to_onnx`."""
    check_writable(path)
    for module in ("onnx", "onnxscript"):
        import_optional(module, "onnx", "to_onnx")
    raw = onnx_of(to_exported_program(model))
    with replacing(path) as file:
        file.write(raw)


def onnx_of(program: ExportedProgram) -> bytes:
    """Return the content of an ONNX file that computes what an exported `transform` computes."""
    with _silenced():
        graph: Any = torch.onnx.export(
            program, (), input_names=["X"], output_names=["features"], dynamo=True, verbose=False
        )
    raw: bytes = graph.model_proto.SerializeToString()
    return raw


class Transform(nn.Module):
    """`transform` as a single network.

    Parameters
    ----------
    reader : maps samples of X to the input of the encoder.
    encoder : returns the embedding; None leaves it out.
    balance : turns the embedding into columns next to the plain features; None keeps it unchanged.
    features : returns the plain features that are appended; None for none.
    """

    def __init__(
        self,
        reader: nn.Module,
        encoder: Encoder | None,
        balance: Balance | None,
        features: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        self.reader = reader
        self.encoder = encoder
        self.balance = balance
        self.features = features

    def forward(self, X: Tensor) -> Tensor:
        """Return the (B, n_features_out) float32 features of samples (B, ...)."""
        x, blocks = self.reader(X), []
        if self.encoder is not None:
            embedding = self.encoder(x).float()
            blocks.append(embedding if self.balance is None else self.balance(embedding))
        if self.features is not None:
            blocks.append(self.features(x))
        return torch.cat(blocks, 1)


@contextmanager
def _silenced() -> Iterator[None]:
    """Suppress messages of torch's exporters about their internals."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
