import pickle
import sys
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.testing import assert_close

from skclr.encoders import Conv, Encoder
from skclr.modalities import Image
from skclr.modalities.inferred import infer_modality
from skclr.model import InputFeatures


def read(X, **params):
    modality = Image(**params)
    return modality, modality.read(X, InputFeatures(), reset=True)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)


LAYOUTS = [
    (lambda X: X, {}),
    (lambda X: np.moveaxis(X, -1, 1), {}),
    (lambda X: X.reshape(20, -1), {"image_shape": (6, 5, 3)}),
    (lambda X: np.moveaxis(X, -1, 1).reshape(20, -1), {"image_shape": (3, 6, 5)}),
]


@pytest.mark.parametrize(("layout", "params"), LAYOUTS)
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


def test_patch_components_are_half_of_those_of_all_patches_whitened():
    X = np.random.default_rng(0).normal(size=(500, 3, 3)).cumsum(2).astype(np.float32)
    modality, rows = read(X)
    patches = modality.preprocessing()(modality.to_tensor(rows)).flatten(1)
    outputs = patches @ modality.patch_components_.flatten(1).T
    variances = torch.linalg.eigvalsh(torch.cov(patches.T, correction=0)).flip(0)[:4]
    assert_close(torch.cov(outputs.T, correction=0), (variances / (variances + 0.01)).diag(), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("layout", "params"), LAYOUTS)
@pytest.mark.parametrize("convert", [lambda X: X, lambda X: X / 255, lambda X: X.astype(np.int64)])
def test_patch_components_depend_on_the_pixels_alone(pixels, layout, params, convert):
    expected, _ = read(pixels)
    modality, _ = read(layout(convert(pixels)), **params)
    assert modality.patch_components_.shape == (13, 3, 3, 3)
    assert_close(modality.patch_components_, expected.patch_components_)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((20, 2, 9), None), ((20, 9, 2, 3), None), ((2, 3, 3), 1), ((20, 3, 3), 4), ((40, 5, 5, 4), 18)],
)
def test_number_of_patch_components(shape, expected):
    modality, _ = read(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    assert (None if expected is None else len(modality.patch_components_)) == expected


def test_many_channels_have_few_components_and_are_fast(pixels):
    modality, _ = read(np.random.default_rng(0).random((20, 8, 8, 100), dtype=np.float32), channels=100)
    assert modality.patch_components_.shape == (32, 100, 3, 3)


def test_constant_images_have_finite_components():
    modality, _ = read(np.zeros((4, 5, 5), np.float32))
    assert modality.patch_components_.isfinite().all()


def test_components_do_not_depend_on_the_number_of_threads():
    X = np.random.default_rng(5).random((250, 32, 32, 3)).cumsum(1).cumsum(2).astype(np.float32)
    # Nearly symmetric patches, and a large first component.
    X = np.concatenate([X, X[:, ::-1], X[:, :, ::-1], X[:, ::-1, ::-1]])
    before, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            found.append(read(X)[0].patch_components_)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("scale", [1e15, 1e-15, 1e-20, 1e-25, 1e-36])
def test_images_of_any_scale_are_standardised(scale):
    X = np.random.default_rng(0).random((20, 6, 5, 3)) - 0.5
    expected, (modality, rows) = read(X), read(X * scale)
    x = modality.preprocessing()(modality.to_tensor(rows))
    assert_close(x, expected[0].preprocessing()(expected[0].to_tensor(expected[1])), atol=1e-4, rtol=1e-4)
    assert_close(modality.patch_components_, expected[0].patch_components_, atol=1e-4, rtol=0)


def test_images_too_faint_for_float32_are_constant():
    modality, rows = read(np.random.default_rng(0).random((20, 6, 5, 3)) * 1e-44)
    assert modality.preprocessing()(modality.to_tensor(rows)).isfinite().all()
    assert modality.patch_components_.isfinite().all()


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
def test_modality_is_detected_from_the_array(X, params, expected):
    assert infer_modality(X, params) == expected


@pytest.mark.parametrize(
    "params",
    [{"image_shape": (3,)}, {"channel_axis": 2}, {"rgb": "yes"}, {"size": 32}, {"size": (0, 5)}, {"size": (2.0, 5)}],
)
def test_wrong_parameters(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))}="):
        Image(**params)


class AskingForPatches(Encoder):
    """An encoder of a user that asks for the components."""

    facts = ("patch_components",)

    def __init__(self, input_shape, patch_components=None):
        super().__init__()
        self.out_features = len(patch_components)
        self.layer = nn.Conv2d(input_shape[0], self.out_features, 3)
        self.layer.weight.data = patch_components.clone()

    def forward(self, x):
        return self.layer(x).mean((2, 3))


def test_encoders_begin_with_the_components_of_patches(quick, pixels):
    def first_filters(**params):
        return quick(max_epochs=0, **{"encoder_params": {}, **params}).fit(pixels).encoder_.network.layers[0].weight

    components = quick(max_epochs=0).fit(pixels).model_.modality.patch_components_
    assert torch.equal(first_filters()[:26], torch.cat([components, -components]))
    assert torch.equal(first_filters(encoder=Conv), first_filters())
    assert torch.equal(first_filters(encoder_params={"width": 8})[:8], torch.cat([components[:4], -components[:4]]))
    without = first_filters(encoder_params={"patch_components": None})
    assert torch.equal(without[26:], first_filters()[26:])
    assert not torch.isclose(without[:26], first_filters()[:26]).any(dim=(1, 2, 3)).all()
    assert quick(encoder=AskingForPatches, max_epochs=0).fit(pixels).transform(pixels).shape == (20, 13)
    with pytest.raises(ValueError, match="Conv expects an instance of Tensor or None"):
        first_filters(encoder_params={"patch_components": np.ones((4, 3, 3, 3), np.float32)})
    # A copy of the components: training changes the filters.
    trained = quick(max_epochs=1).fit(pixels)
    assert torch.equal(trained.model_.modality.patch_components_, components)


# --- what the channels are


@pytest.mark.parametrize(
    ("channels", "params", "is_rgb"),
    [
        (1, {}, False),
        (2, {"channels": 2}, False),
        (3, {}, True),
        (3, {"rgb": False}, False),
        (4, {}, False),
        (7, {"channels": 7}, False),
    ],
)
def test_views_know_whether_channels_are_colours(quick, channels, params, is_rgb):
    X = np.random.default_rng(0).random((12, 8, 10, channels), dtype=np.float32)
    embedder = quick(modality_params=params).fit(X)
    assert embedder.net_.view_maker.rgb_ is is_rgb
    assert np.isfinite(embedder.transform(X)).all()


def test_the_user_has_the_last_word_on_colours(quick, pixels):
    params = {"modality_params": {"rgb": False}, "views_params": {"rgb": True}}
    assert quick(**params).fit(pixels).net_.view_maker.rgb_ is True


def test_four_channels_are_not_rgb(pixels):
    with pytest.raises(ValueError, match=r"rgb=True, but X has 4 channels\. Drop the others"):
        read(np.concatenate([pixels, pixels[..., :1]], -1), rgb=True)


# --- image files


@pytest.fixture
def save(tmp_path):
    pillow = pytest.importorskip("PIL.Image")

    def save(images, suffix="png"):
        paths = [tmp_path / f"{i}.{suffix}" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            pillow.fromarray(image).save(path)
        return paths

    return save


def test_files_are_the_array_that_they_hold(quick, pixels, save):
    paths = save(pixels)
    in_memory = quick().fit(pixels, unlabeled=pixels[:4])
    for X in (paths, [str(path) for path in paths], np.array([str(path) for path in paths])):
        embedder = quick(modality="image").fit(X, unlabeled=X[:4])
        assert_array_equal(embedder.transform(X), in_memory.transform(pixels))
        assert_array_equal(embedder.transform(X[3:5]), in_memory.transform(pixels[3:5]))
    # The list of one kind is transformed by an embedder that was fitted on the other.
    assert_array_equal(in_memory.transform(paths), in_memory.transform(pixels))


def test_grey_files_have_one_channel_unless_one_of_the_first_has_colours(pixels, save):
    grey = save(pixels[..., 0])
    modality, rows = read(grey)
    assert modality.shape_ == (1, 6, 5)
    assert_array_equal(rows[np.array([4, 1])], pixels[[4, 1], ..., 0])
    grey[3] = save(pixels, "bmp")[3]
    assert read(grey)[0].shape_ == (3, 6, 5)


def test_files_are_resized_and_jpegs_hardly_lose_by_the_shortcut(save):
    slope = np.linspace(0, 255, 160).astype(np.uint8)
    images = [np.broadcast_to(slope[:, None, None], (160, 200, 3)), np.broadcast_to(slope[:120], (100, 120))]
    expected = np.linspace(0, 255, 20)
    for suffix in ("png", "jpg"):
        modality, rows = read(save(images, suffix), size=(20, 16))
        assert modality.shape_ == (3, 20, 16)
        assert np.abs(rows[np.array([0])][0, 1:-1, :, 1] - expected[1:-1, None]).max() < 6
        assert (np.diff(rows[np.array([1])][0, 5, :, 0].astype(int)) > 0).all()


def test_photographs_are_turned_as_their_camera_was(tmp_path, pixels):
    pillow = pytest.importorskip("PIL.Image")
    exif = pillow.Exif()
    exif[0x0112] = 6  # To be turned by a quarter, clockwise.
    for i in range(2):
        pillow.fromarray(pixels[i]).save(tmp_path / f"{i}.png", exif=exif)
    _, rows = read(sorted(tmp_path.glob("*.png")))
    assert_array_equal(rows[np.arange(2)], np.rot90(pixels[:2], -1, (1, 2)))


def test_threads_end_with_the_call_and_nothing_of_them_is_pickled(quick, pixels, save):
    n_threads = threading.active_count()
    paths = save(pixels)
    embedder = quick(modality="image").fit(paths)
    assert threading.active_count() == n_threads
    twin = pickle.loads(pickle.dumps(embedder))
    assert_array_equal(twin.transform(paths), embedder.transform(paths))


def test_wrong_files_are_named(pixels, save, tmp_path):
    paths = save(pixels)
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:60])
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    deep = save([np.full((6, 5), 60_000, np.uint16)] * 2, "tiff")[0]
    larger = save([np.zeros((7, 5, 3), np.uint8)] * 2, "bmp")[0]
    for wrong, message in (
        (broken, "broken.png, which cannot be read"),
        (text, "notes.txt, which cannot be read"),
        (deep, r"0.tiff, which cannot be read \(more than 8 bits per channel"),
        (larger, r"0.bmp of 7 × 5 pixels, but others have 6 × 5. Set modality_params={'size': \(6, 5\)}"),
    ):
        with pytest.raises(ValueError, match=message):
            read([*paths[:15], wrong])
    with pytest.raises(FileNotFoundError, match=r"Row 1 of X names .*lost\.png, which does not exist"):
        read([paths[0], tmp_path / "lost.png"])
    with pytest.raises(TypeError, match="X holds paths, but row 1 is 7"):
        read([paths[0], 7])
    with pytest.raises(ValueError, match=r"is one path. Pass a list of paths"):
        read(str(tmp_path))
    with pytest.raises(ValueError, match=r"size=\(6, 5\) resizes image files"):
        read(pixels, size=(6, 5))


def test_files_of_another_kind_than_in_fit(quick, pixels, save):
    with pytest.raises(ValueError, match=r"images of shape \(6, 5, 3\), but this embedder was fitted on \(3, 6, 5\)"):
        quick().fit(np.moveaxis(pixels, -1, 1)).transform(save(pixels))


def test_without_pillow_the_remedy_is_named(monkeypatch, tmp_path):
    (tmp_path / "a.png").touch()
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'needs the package PIL, .* pip install "skclr\[vision\]"'):
        read([tmp_path / "a.png", tmp_path / "a.png"])
