"""Graphs of fitted embedders: torch.export and ONNX give what `transform` gives."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.encoders import ENCODERS
from skclr.exporting import onnx_of

onnxruntime = pytest.importorskip("onnxruntime")

rng = np.random.default_rng(0)


def missing(X, *places):
    X = X.copy()
    for place in places:
        X[place] = np.nan
    return X


def padded(samples):
    """Return samples (..., l_i) of unequal lengths as one array, with NaN after their ends."""
    longest = max(sample.shape[-1] for sample in samples)
    return np.stack(
        [np.pad(s, [(0, 0)] * (s.ndim - 1) + [(0, longest - s.shape[-1])], constant_values=np.nan) for s in samples]
    )


TABLE = missing(rng.normal(size=(24, 5)) * 1e3, (3, 2))
CODES = missing(np.c_[rng.normal(size=(24, 2)), 10 * rng.integers(0, 4, 24), rng.integers(-1, 2, 24)], (5, 2))
SPARSE = np.where(rng.random((24, 6)) < 0.3, 3.0, 0.0)
IMAGES = rng.integers(0, 255, (12, 9, 8, 3), dtype=np.uint8)
FLAT = rng.random((12, 12))
SERIES = [rng.normal(size=(2, n)).astype(np.float32) for n in (12, 7, 9, 12, 1, 10)]
CLIPS = [rng.normal(size=n).astype(np.float32) / 9 for n in (600, 300, 30, 600, 450, 599)]
CATEGORIES = {"modality_params": {"categorical_features": [2, 3], "max_categories": 3}}
TIME_LAST = {"modality_params": {"channel_axis": -1}}
SOUND = {"modality_params": {"sampling_rate": 2000, "n_mels": 8}}

# X, the same as one array, and the parameters of the embedder.
INPUTS = {
    "table": (TABLE, TABLE, {}),
    "codes": (CODES, CODES, CATEGORIES),
    "sparse": (sparse.csr_array(SPARSE), SPARSE, {}),
    "bytes": (IMAGES, IMAGES, {}),
    "channels first": (IMAGES.transpose(0, 3, 1, 2), IMAGES.transpose(0, 3, 1, 2), {}),
    "greys": (IMAGES[..., 0], IMAGES[..., 0], {}),
    "flat": (FLAT, FLAT, {"modality_params": {"image_shape": (3, 4)}}),
    "series": (SERIES, padded(SERIES), {}),
    "time last": ([series.T for series in SERIES], padded(SERIES).transpose(0, 2, 1), TIME_LAST),
    "clips": (CLIPS, padded(CLIPS), SOUND),
}
# For each encoder the kind of input, and whether plain features are appended.
CASES = {
    "mlp": ("sparse", "auto"),
    "residual_mlp": ("codes", "auto"),
    "feature_transformer": ("table", False),
    "on_features": ("table", True),
    "conv": ("flat", True),
    "resnet18": ("bytes", False),
    "timm": ("bytes", False),
    "tcn": ("time last", True),
    "gru": ("series", False),
    "lstm": ("series", False),
    "series_transformer": ("series", False),
    "spectrogram": ("clips", True),
}
# Enough layers for one to follow another of its kind, or one where the second would be the first again.
SHALLOW = {
    "residual_mlp": {"n_blocks": 1},
    "feature_transformer": {"n_blocks": 1},
    "conv": {"n_layers": 2},
    "tcn": {"n_blocks": 2},
    "series_transformer": {"n_layers": 1},
    "spectrogram": {"n_layers": 2},
}
# ResNets of other depths are the same code; the last three are refused below.
ELSEWHERE = {"resnet34", "resnet50", "text", "text_transformer", "sentence_transformer"}


def test_every_encoder_is_tried():
    assert CASES.keys() | ELSEWHERE == ENCODERS.keys()


@pytest.mark.parametrize("kind", INPUTS)
def test_readers_give_what_modalities_read(kind, quick):
    X, array, parameters = INPUTS[kind]
    embedder = quick(max_epochs=0, **parameters).fit(X)
    modality = embedder.model_.modality
    read = modality.to_tensor(modality.read(X, embedder, reset=False)[np.arange(len(array))])
    reader, example = modality.reader()
    assert_array_equal(reader(torch.from_numpy(array.copy()).to(example.dtype)), read)


@pytest.mark.parametrize("encoder", CASES)
def test_graphs_give_what_transform_gives(encoder, quick):
    if encoder == "timm":
        pytest.importorskip("timm")
    kind, passthrough = CASES[encoder]
    X, array, parameters = INPUTS[kind]
    params = {"encoder_params": SHALLOW.get(encoder), "max_epochs": 1, "passthrough": passthrough, **parameters}
    embedder = quick(encoder=encoder, **params).fit(X)
    expected = embedder.transform(X)

    program = embedder.to_exported_program()
    samples = torch.from_numpy(array.copy()).to(program.example_inputs[0][0].dtype)
    session = onnxruntime.InferenceSession(onnx_of(program))

    # Shares of kernels' outputs are steep where they are nearly 0.
    tolerance = 1e-3 if embedder.modality_ == "series" and passthrough else 1e-5
    # Other numbers of samples than the two that it was traced with, one among them.
    for rows in (slice(None), slice(0, 1), slice(1, 4)):
        assert_allclose(program.module()(samples[rows]).numpy(), expected[rows], atol=tolerance, rtol=tolerance)
        (features,) = session.run(None, {"X": samples[rows].numpy()})
        assert_allclose(features, expected[rows], atol=tolerance, rtol=tolerance)


def test_operators_of_a_graph_compare_with_several_biases(quick):
    fitted = quick(max_epochs=0, passthrough=True).fit(padded(SERIES))
    operators = [str(node.target) for node in fitted.to_exported_program().graph.nodes]
    assert sum("hardtanh" in name for name in operators) == 6


def test_export_leaves_the_embedder_as_it_was(quick, table):
    one, other = quick().fit(table[0]), quick().fit(table[0])
    one.to_exported_program()
    assert_array_equal(one.partial_fit(table[0]).transform(table[0]), other.partial_fit(table[0]).transform(table[0]))


def test_what_no_graph_can_hold(quick, tmp_path):
    words = ["a rose is a rose", "a daisy is not a rose", "roses grow"] * 4
    with pytest.raises(ValueError, match="texts are read in Python"):
        quick(modality_params={"tokenizer": "words"}).fit(words).to_onnx(tmp_path / "text.onnx")
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "color": ["red", "blue", "red", "blue"]})
    with pytest.raises(ValueError, match="column 1 of X holds text"):
        quick().fit(frame).to_onnx(tmp_path / "frame.onnx")
    assert not list(tmp_path.iterdir())


class Choosy(nn.Module):
    """A network that looks at the values before it decides what to do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return self.layer(x) if x.mean() > 0 else -self.layer(x)


def test_encoder_that_looks_at_values(quick, table):
    with pytest.raises(ValueError, match=r"the encoder cannot be exported\. It must map a tensor to a tensor"):
        quick(encoder=Choosy()).fit(table[0]).to_exported_program()


def test_before_fit():
    with pytest.raises(NotFittedError):
        ContrastiveEmbedder().to_onnx("never.onnx")


def test_a_file_holds_the_graph(quick, table, tmp_path):
    embedder = quick().fit(table[0])
    embedder.to_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (features,) = session.run(None, {"X": table[0]})
    assert_allclose(features, embedder.transform(table[0]), atol=1e-4, rtol=1e-4)
