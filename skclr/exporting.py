"""Fitted embedders as graphs of tensors, for runtimes without Python: torch.export and ONNX."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from skclr.encoders import Encoder
from skclr.files.atomic import check_writable, replacing
from skclr.modalities import Modality
from skclr.optional import import_optional
from skclr.training import ContrastiveNet, undisturbed


class ExportedModel:
    """An estimator whose `transform` can be written down as a graph.

    Attributes
    ----------
    net_, _modality : the fit.
    _embedding_width, _n_features_out : without and with the plain features beside the embedding.
    """

    net_: ContrastiveNet
    _modality: Modality
    _embedding_width: int
    _n_features_out: int

    @undisturbed()
    def to_exported_program(self) -> ExportedProgram:
        """Write down what `transform` does, preprocessing included, as a graph of torch.export.

        `to_exported_program().module()` is called with samples as a tensor, any number of them: of a table (B, d)
        float64, categories as numbers; of images as in X, uint8 where those of `fit` were, else float32; of series
        (B, channels, time) and of audio (B, samples) float32, as long as the longest of `fit`, NaN after an end. They
        are not checked.

        Returns
        -------
        The graph, on the CPU; `torch.export.save` writes it to a file, from which C++ can run it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For texts, for tables with columns of text, and for an encoder of which torch can make no graph.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> transform = embedder.to_exported_program().module()
        >>> transform(torch.from_numpy(X)).shape
        torch.Size([150, 132])
        """
        check_is_fitted(self)
        reader, example = self._modality.reader()
        features = self._modality.features if self._embedding_width < self._n_features_out else None
        # A copy: the original may be on a GPU, and has gradients.
        encoder = copy.deepcopy(self.net_.module_.encoder).cpu().eval().requires_grad_(False)
        whole = Transform(reader, encoder, features)
        # For torch 2.7, to which the largest integer is the end of a slice, and strict=True the default.
        batch = Dim("batch", max=2**31 - 1)
        try:
            with _quiet():
                return torch.export.export(whole, (example,), dynamic_shapes=({0: batch},), strict=False)
        except Exception as error:
            # Whatever torch meets in a network that is not ours.
            raise ValueError(
                "the encoder cannot be exported: it has to take a tensor to a tensor, for any number of samples, "
                f"without choices that depend on values ({error})"
            ) from error

    @undisturbed()
    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write what `transform` does, preprocessing included, as an ONNX file.

        Its input is called "X", and is what `to_exported_program` says; its output is called "features",
        (B, n_features_out) float32. A file that was there is replaced at once, when the new one is whole.

        Parameters
        ----------
        path : str or path
            Of the file; its folder has to be there.

        Raises
        ------
        ImportError
            Where onnx or onnxscript is missing.
        NotFittedError, ValueError
            As `to_exported_program`.
        OSError
            Where the file cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> import onnxruntime
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> embedder.to_onnx("iris.onnx")
        >>> (features,) = onnxruntime.InferenceSession("iris.onnx").run(None, {"X": X})
        >>> bool(np.abs(features - embedder.transform(X)).max() < 1e-5)
        True
        """
        check_writable(path)
        for module in ("onnx", "onnxscript"):
            import_optional(module, "onnx", "to_onnx")
        program = self.to_exported_program()
        with _quiet():
            model: Any = torch.onnx.export(
                program, (), input_names=["X"], output_names=["features"], dynamo=True, verbose=False
            )
        raw = model.model_proto.SerializeToString()
        with replacing(path) as file:
            file.write(raw)


class Transform(nn.Module):
    """What `transform` does, as one network.

    Parameters
    ----------
    reader : takes samples as they are in X to what the encoder takes.
    encoder : gives the embedding.
    features : gives the plain features that stand beside it; None for none.
    """

    def __init__(self, reader: nn.Module, encoder: Encoder, features: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.reader = reader
        self.encoder = encoder
        self.features = features

    def forward(self, X: Tensor) -> Tensor:
        """Take samples (B, ...) to features (B, n_features_out) float32."""
        x = self.reader(X)
        embedding = self.encoder(x).float()
        return embedding if self.features is None else torch.cat([embedding, self.features(x)], 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch's exporters say of their own insides from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
