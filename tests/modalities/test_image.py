import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr import ContrastiveEmbedder
from skclr.modalities import Image, infer_modality


def read(X, **params):
    modality = Image(**params)
    return modality, modality.read(X, ContrastiveEmbedder(), reset=True)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("layout", "params"),
    [
        (lambda X: X, {}),
        (lambda X: np.moveaxis(X, -1, 1), {}),
        (lambda X: X.reshape(20, -1), {"image_shape": (6, 5, 3)}),
        (lambda X: np.moveaxis(X, -1, 1).reshape(20, -1), {"image_shape": (3, 6, 5)}),
    ],
)
def test_every_layout_is_read_alike(pixels, layout, params):
    modality, rows = read(layout(pixels), **params)
    tensor = modality.to_tensor(rows)
    assert modality.shape_ == (3, 6, 5)
    assert tensor.dtype == torch.float32
    assert_close(tensor.numpy(), np.moveaxis(pixels, -1, 1).astype(np.float32) / 255)


def test_pixels_are_not_copied(pixels):
    _, rows = read(pixels)
    assert np.shares_memory(rows, pixels)


def test_preprocessing_standardises_the_channels(pixels):
    modality, rows = read(pixels)
    x = modality.preprocessing()(modality.to_tensor(rows))
    assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    assert_close(x.std((0, 2, 3), correction=0), torch.ones(3))


def test_constant_channel_stays_finite():
    modality, rows = read(np.zeros((4, 5, 5), np.float32))
    assert modality.preprocessing()(modality.to_tensor(rows)).isfinite().all()


@pytest.mark.parametrize(
    ("X", "params", "expected"),
    [
        (np.zeros((3, 4)), {}, "tabular"),
        ([[1, 2], [3, 4]], {}, "tabular"),
        (np.zeros((3, 4)), {"image_shape": (2, 2)}, "image"),
        (np.zeros((3, 4, 4), np.uint8), {}, "image"),
        (np.zeros((3, 4, 4, 1)), {}, "image"),
    ],
)
def test_modality_is_told_from_the_array(X, params, expected):
    assert infer_modality(X, params) == expected


@pytest.mark.parametrize("params", [{"image_shape": (3,)}, {"channel_axis": 2}])
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))}="):
        Image(**params)
