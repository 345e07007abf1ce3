import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import ks_2samp
from torch.testing import assert_close

from skclr.randomness import LocalGenerators
from skclr.views.draws import Draws
from skclr.views.image import ImageViews
from skclr.views.pixels import (
    LUMINANCE,
    affine_matrices,
    blur,
    brightness_matrices,
    contrast_matrices,
    hue_matrices,
    low_pass,
    recolor,
    resample,
    saturation_matrices,
    scale_brightness_contrast,
    solarize,
)

# Nothing happens to a view but what a test adds.
STILL = {
    "crop_scale": (1.0, 1.0),
    "flip": 0.0,
    "rotation": 0.0,
    "jitter_probability": 0.0,
    "grey": 0.0,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n=4, channels=3, height=8, width=8):
    return torch.rand(n, channels, height, width, generator=generator())


def smooth(n=6, channels=3, height=32, width=40):
    """Random images that change slowly, so that ways to interpolate hardly differ."""
    return F.interpolate(noise(n, channels, 4, 5), (height, width), mode="bicubic").clamp(0, 1)


def make(x, seed=0, **params):
    return ImageViews(**params).fit(x)(x, torch.arange(len(x)), generator(seed))


def place(n, *, box=None, shape=(1, 1), degrees=0.0, mirror_x=False, mirror_y=False):
    """Matrices that cut the pixels (top, left, height, width) out of images of this shape."""
    height, width = shape
    top, left, h, w = box or (0, 0, height, width)
    return affine_matrices(
        width=torch.full((n,), w / width),
        height=torch.full((n,), h / height),
        center_x=torch.full((n,), (2 * left + w) / width - 1),
        center_y=torch.full((n,), (2 * top + h) / height - 1),
        degrees=torch.full((n,), degrees),
        mirror_x=torch.full((n,), mirror_x),
        mirror_y=torch.full((n,), mirror_y),
        aspect=width / height,
    )


def luminance(x):
    return (x * torch.tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)


def psnr(a, b):
    return -10 * torch.log10((a - b).square().mean()).item()


# --- geometry


def test_a_crop_to_its_own_size_is_a_slice():
    x = noise(height=9, width=12)
    crop = resample(x, place(4, box=(2, 3, 5, 7), shape=(9, 12)), (5, 7))
    assert_close(crop, x[:, :, 2:7, 3:10], atol=1e-5, rtol=0)


def test_a_mirrored_view_is_a_flip():
    x = noise(height=7, width=10)
    assert_close(resample(x, place(4, mirror_x=True), (7, 10)), x.flip(3), atol=1e-5, rtol=0)
    assert_close(resample(x, place(4, mirror_y=True), (7, 10)), x.flip(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_a_turn_by_quarters_is_rot90(quarters):
    x = noise()
    turned = resample(x, place(4, degrees=90.0 * quarters), (8, 8))
    assert_close(turned, torch.rot90(x, quarters, (2, 3)), atol=1e-5, rtol=0)


def test_a_turn_is_rigid_in_images_that_are_not_square():
    x = noise(height=8, width=12)
    turned = resample(x, place(4, box=(0, 2, 8, 8), shape=(8, 12), degrees=90.0), (8, 8))
    assert_close(turned, torch.rot90(x[..., 2:10], 1, (2, 3)), atol=1e-5, rtol=0)


def test_beyond_the_border_the_image_is_mirrored():
    x = noise()
    wide = resample(x, place(4, box=(-2, -3, 12, 14), shape=(8, 8)), (12, 14))
    rows = [1, 0, *range(8), 7, 6]
    columns = [2, 1, 0, *range(8), 7, 6, 5]
    assert_close(wide, x[:, :, rows][..., columns], atol=1e-5, rtol=0)


def test_crops_are_whole_pixels_of_their_area_and_ratio_inside_the_image():
    height, width, n, least, most = 60, 90, 4000, 0.3, 0.9
    views = ImageViews(flip=0.0, rotation=0.0).fit(noise(height=height, width=width))
    matrices = views._draw_matrices(Draws(n, generator()), (least, most), height, width)
    image = torch.tensor([width, height])
    sides, corners = matrices[:, [0, 1], [0, 1]] * image, (matrices[:, :, 2] + 1) / 2 * image
    corners = corners - sides / 2
    for pixels in (sides, corners):
        assert_close(pixels, pixels.round(), atol=1e-3, rtol=0)
    assert corners.min() > -1e-3
    assert (corners + sides - image).max() < 1e-3
    shares = sides / image
    area, ratio, rounded = shares.prod(1), shares[:, 0] / shares[:, 1], 0.03
    assert least - rounded < area.min()
    assert area.max() < most + rounded
    assert 3 / 4 - rounded < ratio.min()
    assert ratio.max() < 4 / 3 + rounded
    # Ratios as far from 1 as a large area forbids are drawn again, with another area: five standard errors.
    areas = np.linspace(least, most, 10_000)
    weights = np.minimum(1, -np.log(areas) / np.log(4 / 3))
    assert area.mean().item() == pytest.approx(np.average(areas, weights=weights), abs=5 * 0.6 / np.sqrt(12 * n) + 0.01)


def test_a_crop_whose_ratio_never_fits_has_the_images():
    views = ImageViews(flip=0.0, rotation=0.0).fit(noise())
    matrices = views._draw_matrices(Draws(50, generator()), (1.0, 1.0), 8, 8)
    assert_close(matrices, torch.eye(2, 3).expand(50, 2, 3))


def test_half_of_rgb_views_are_mirrored_and_none_of_others():
    n = 2000
    for channels, share in ((3, 0.5), (1, 0.0), (4, 0.0)):
        views = ImageViews(rotation=0.0).fit(noise(channels=channels))
        mirrored = views._draw_matrices(Draws(n, generator()), (0.5, 1.0), 8, 8)[:, 0, 0] < 0
        assert mirrored.float().mean().item() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / n))


def test_rotation_and_translation_reach_their_limits_and_no_further():
    views = ImageViews(**STILL | {"rotation": 30.0, "translation": 0.25}).fit(noise(channels=1))
    matrices = views._draw_matrices(Draws(4000, generator()), (1.0, 1.0), 8, 8)
    angles = torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]).rad2deg()
    # A quarter of the image is half a unit of coordinates that reach from -1 to 1.
    for values, limit in ((angles, 30.0), (matrices[:, :, 2], 0.5)):
        assert 0.99 * limit < values.abs().max() <= 1.0001 * limit


def test_a_low_pass_blurs_the_images_whose_crops_shrink_and_no_others():
    x = noise(n=2, height=24, width=36)
    whole, crop = place(1), place(1, box=(3, 5, 8, 12), shape=(24, 36), degrees=20.0, mirror_x=True)
    matrices = torch.cat([whole, crop])
    smoothed = low_pass(x, matrices, (8, 12))
    assert_close(smoothed[1], x[1])
    # Three pixels for one: the variance of a triangle of that width, less one pixel's.
    assert_close(smoothed[:1], blur(x[:1], torch.tensor([((9 - 1) / 6) ** 0.5])))


# --- colour


def test_brightness_scales_and_clamps():
    x = noise()
    factors = torch.tensor([0.0, 0.5, 1.0, 1.5])
    expected = (x * factors.view(4, 1, 1, 1)).clamp(0, 1)
    assert_close(scale_brightness_contrast(x, factors, torch.ones(4)), expected)
    assert_close(recolor(x, brightness_matrices(factors)), expected)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_contrast_keeps_the_mean_and_at_zero_leaves_nothing_else(channels):
    x = noise(channels=channels) * 0.5 + 0.25
    milder, flat = (scale_brightness_contrast(x, torch.ones(4), torch.full((4,), factor)) for factor in (0.5, 0.0))
    assert_close(milder.mean((1, 2, 3)), x.mean((1, 2, 3)))
    assert_close(flat, x.mean((1, 2, 3), keepdim=True).expand_as(x))


def test_contrast_of_rgb_keeps_the_mean_luminance_and_at_zero_leaves_nothing_else():
    x = noise() * 0.5 + 0.25
    milder, flat = (recolor(x, contrast_matrices(torch.full((4,), factor))) for factor in (0.5, 0.0))
    mean = luminance(x).mean((2, 3), keepdim=True)
    assert_close(luminance(milder).mean((2, 3), keepdim=True), mean)
    assert_close(flat, mean.expand_as(x))


def test_saturation_zero_is_the_luminance():
    x = noise()
    assert_close(recolor(x, saturation_matrices(torch.zeros(4))), luminance(x).expand_as(x))


def test_a_third_of_the_colour_circle_takes_red_to_green_to_blue():
    matrices = hue_matrices(torch.tensor([1 / 3, -1 / 3]))[:, :3, :3]
    red, green, blue = torch.eye(3)
    for start, forward, backward in ((red, green, blue), (green, blue, red), (blue, red, green)):
        assert_close(matrices @ start, torch.stack([forward, backward]), atol=1e-6, rtol=0)


def test_neither_saturation_nor_hue_moves_a_grey():
    x = noise(n=100, channels=1).expand(100, 3, 8, 8)
    draws = Draws(100, generator())
    matrices = hue_matrices(draws.symmetric(0.5)) @ saturation_matrices(draws.uniform(0, 2))
    assert_close(recolor(x, matrices), x)


def test_a_product_of_changes_is_one_after_the_other():
    x = noise() * 0.2 + 0.4
    factors = torch.tensor([0.7, 0.9, 1.1, 1.3])
    changes = [brightness_matrices(factors), contrast_matrices(factors), saturation_matrices(factors)]
    for first, second in itertools.permutations([*changes, hue_matrices(factors - 1)], 2):
        assert_close(recolor(x, second @ first), recolor(recolor(x, first), second))


def test_orders_are_all_drawn_each_as_often():
    n = 2400
    orders, counts = Draws(n, generator()).order(4).unique(dim=0, return_counts=True)
    assert_close(orders.sort(1)[0], torch.arange(4).expand(24, 4))
    assert (counts - n / 24).abs().max() < 5 * np.sqrt(n / 24)


@pytest.mark.parametrize(("channels", "params"), [(2, {}), (3, {"rgb": False}), (4, {}), (7, {})])
def test_channels_that_are_not_rgb_are_never_mixed(channels, params):
    x = noise(channels=channels)
    order = torch.randperm(channels, generator=generator(3))
    for plain, permuted in zip(make(x, **params), make(x[:, order], **params), strict=True):
        assert_close(permuted, plain[:, order])


def test_three_channels_that_are_not_rgb_have_the_geometry_of_others():
    alike = [ImageViews(**params).fit(noise(channels=n)) for n, params in ((3, {"rgb": False}), (5, {}))]
    for views in alike:
        assert (views.crop_scale_, views.flip_, views.rotation_) == ((0.5, 1.0), 0.0, 15.0)


def test_blur_keeps_the_mean_and_spreads_by_its_variance():
    assert_close(blur(noise(), torch.tensor([0.3, 1.0, 1.5, 2.5])).mean((2, 3)), noise().mean((2, 3)))
    point = torch.zeros(2, 1, 41, 33)
    point[:, :, 20, 16] = 1
    sigma = torch.tensor([1.0, 2.5])
    spread = blur(point, sigma)
    for axis, n in ((3, 41), (2, 33)):
        distance = torch.arange(n) - n // 2
        assert_close((spread.sum((1, axis)) * distance.square()).sum(1), sigma.square(), atol=1e-3, rtol=0)


def test_blur_of_zero_changes_nothing():
    assert_close(blur(noise(), torch.zeros(4)), noise())


def test_solarize_inverts_the_bright_half_of_chosen_images():
    x = torch.tensor([0.0, 0.3, 0.5, 0.8, 1.0]).view(1, 1, 1, 5).repeat(2, 1, 1, 1)
    inverted, kept = solarize(x, torch.tensor([True, False]))
    assert_close(inverted.flatten(), torch.tensor([0.0, 0.3, 0.5, 0.2, 0.0]))
    assert_close(kept, x[1])


# --- the view maker


def test_without_any_change_a_view_is_its_image():
    x = noise(height=9, width=12)
    for view in make(x, **STILL):
        assert_close(view, x, atol=1e-5, rtol=0)


def test_same_seed_same_bits_and_the_global_generator_is_left_alone():
    x = noise(n=8)
    state = torch.get_rng_state()
    first, second, other = make(x, seed=1), make(x, seed=1), make(x, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b, c in zip(first, second, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_every_image_of_every_view_has_its_own_draws():
    x = noise(n=1).repeat(5, 1, 1, 1)
    drawn = torch.cat(make(x, n_views=3)).flatten(1)
    assert len(drawn.unique(dim=0)) == 15


def test_an_image_has_no_influence_on_the_views_of_others():
    x = noise(n=6)
    changed = x.clone()
    changed[2] = 1 - changed[2]
    everything = {"blur": 0.5, "solarize": 0.5, "n_local_views": 1}
    for before, after in zip(make(x, **everything), make(changed, **everything), strict=True):
        same = [i for i in range(6) if i != 2]
        assert torch.equal(before[same], after[same])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_views_keep_shape_and_range_and_never_write_to_their_input(channels):
    x = noise(n=16, channels=channels, height=10, width=7)
    before = x.clone()
    for view in make(x, blur=0.5, solarize=0.5, translation=0.2):
        assert view.shape == x.shape
        assert view.dtype == torch.float32
        assert view.min() >= 0
        assert view.max() <= 1
    assert torch.equal(x, before)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_data_on_any_scale_have_the_same_views_on_their_scale(channels):
    x = noise(n=16, channels=channels)
    low, high = x.amin((0, 2, 3), keepdim=True), x.amax((0, 2, 3), keepdim=True)
    x = (x - low) / (high - low)
    slope, start = torch.tensor(50.0), torch.arange(channels).view(-1, 1, 1) - 20.0
    params = {"blur": 0.5, "solarize": 0.5}
    for view, scaled in zip(make(x, **params), make(x * slope + start, **params), strict=True):
        assert_close(scaled, view * slope + start, atol=1e-3, rtol=0)


def test_a_constant_channel_on_another_scale_stays_constant_and_finite():
    x = torch.cat([noise(channels=1) * 9, torch.full((4, 1, 8, 8), -3.0)], 1)
    for view in make(x, brightness=0.0, contrast=0.0):
        assert_close(view[:, 1], x[:, 1])


def test_memory_layout_does_not_matter():
    x = noise(n=6)
    for plain, last in zip(make(x), make(x.contiguous(memory_format=torch.channels_last)), strict=True):
        assert_close(plain, last)


def test_local_views_follow_the_global_ones_and_are_smaller():
    x = noise(height=12, width=18)
    shapes = [tuple(view.shape[2:]) for view in make(x, n_local_views=3)]
    assert shapes == [(12, 18)] * 2 + [(6, 9)] * 3
    shapes = [tuple(view.shape[2:]) for view in make(x, n_local_views=1, local_size=4)]
    assert shapes == [(12, 18)] * 2 + [(4, 6)]


def test_local_views_of_large_crops_show_no_stripes_that_are_too_fine_for_them():
    stripes = (torch.arange(32) % 2).float().expand(8, 1, 32, 32).contiguous()
    local = {"local_scale": (0.9, 1.0), "local_size": 8, "n_local_views": 1}
    assert (make(stripes, **STILL, **local)[-1] - 0.5).abs().max() < 0.1


def test_local_views_leave_the_global_ones_as_they_were():
    x = noise()
    for alone, accompanied in zip(make(x), make(x, n_local_views=2), strict=False):
        assert torch.equal(alone, accompanied)


def test_blur_and_solarize_take_one_share_per_view_and_repeat_the_last():
    x = noise()
    strong = {"blur_sigma": (2.0, 2.0), "n_views": 3}
    first, *others = make(x, blur=(1.0, 0.0), **strong, **STILL)
    assert_close(first, blur(x, torch.full((4,), 2.0)), atol=1e-5, rtol=0)
    for view in others:
        assert_close(view, x, atol=1e-5, rtol=0)
    first, second = make(x, solarize=[0.0, 1.0], **STILL)
    assert_close(first, x, atol=1e-5, rtol=0)
    assert second.max() <= 0.5


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda views: pickle.loads(pickle.dumps(views))])
def test_copies_make_the_same_views(duplicate):
    x = noise() * 7
    views = ImageViews(n_local_views=1).fit(x)
    rows = torch.arange(4)
    for a, b in zip(views(x, rows, generator()), duplicate(views)(x, rows, generator()), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_views": 1}, r"n_views=1: use a whole number of 2 or more"),
        ({"n_views": 2.5}, r"n_views=2.5: use a whole number"),
        ({"n_local_views": -1}, r"n_local_views=-1: use a whole number of 0 or more"),
        ({"local_size": 0}, r"local_size=0: use a whole number of 1 or more"),
        ({"flip": 1.5}, r"flip=1.5: use a number from 0 to 1"),
        ({"grey": "auto"}, r"grey='auto': use a number from 0 to 1"),
        ({"rotation": -5}, r"rotation=-5: use a number from 0 to 180"),
        ({"hue": 0.6}, r"hue=0.6: use a number from 0 to 0.5"),
        ({"rgb": "no"}, r"rgb='no': use True, False or 'auto'"),
        ({"blur": (0.5, 2)}, r"blur=2: use a number from 0 to 1"),
        ({"solarize": ()}, r"solarize=\(\): use a number from 0 to 1"),
        ({"crop_scale": 0.5}, r"crop_scale=0.5: use \(smallest, largest\), both above 0 and up to 1"),
        ({"crop_scale": (0.0, 1.0)}, r"crop_scale=\(0.0, 1.0\): use \(smallest, largest\)"),
        ({"local_scale": (0.5, 0.2)}, r"local_scale=\(0.5, 0.2\): use \(smallest, largest\)"),
        ({"crop_ratio": (1.5, 2.0)}, r"crop_ratio=\(1.5, 2.0\): use \(smallest, largest\) around 1"),
        ({"blur_sigma": (1.0, 2.0, 3.0)}, r"blur_sigma=\(1.0, 2.0, 3.0\): use \(smallest, largest\)"),
    ],
)
def test_wrong_parameters_are_named_with_a_remedy(params, message):
    with pytest.raises(ValueError, match=message):
        ImageViews(**params)


def test_samples_that_are_not_images_are_refused():
    with pytest.raises(ValueError, match=r"\(channels, height, width\), got \(8,\)"):
        ImageViews().fit(torch.zeros(5, 8))
    with pytest.raises(ValueError, match=r"rgb=True, but the images have 4 channels\. Set it to False or 'auto'"):
        ImageViews(rgb=True).fit(noise(channels=4))


# --- against torchvision, with its parameters


@pytest.fixture
def torchvision():
    return pytest.importorskip("torchvision.transforms.v2.functional")


@pytest.mark.peers
@pytest.mark.parametrize("box", [(0, 0, 32, 40), (3, 5, 20, 17), (10, 0, 15, 30), (1, 22, 9, 18)])
def test_crops_equal_torchvisions(torchvision, box):
    x = smooth()
    ours = resample(x, place(6, box=box, shape=(32, 40)), (32, 40))
    theirs = torchvision.resized_crop(x, *box, size=[32, 40], antialias=True)
    assert psnr(ours, theirs) >= 45


@pytest.mark.peers
@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.08, 1.0), (0.05, 0.2)])
def test_crops_are_distributed_as_torchvisions(scale):
    transforms = pytest.importorskip("torchvision.transforms")
    # On few pixels, torchvision's crops are a bit larger: it looks whether they fit after rounding.
    n, size = 3000, 128
    x = noise(n=2, height=size, width=size)
    matrices = ImageViews(flip=0.0).fit(x)._draw_matrices(Draws(n, generator()), scale, size, size)
    width, height, center = matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, :, 2]
    with LocalGenerators(0):
        boxes = [transforms.RandomResizedCrop.get_params(x, scale, (3 / 4, 4 / 3)) for _ in range(n)]
    top, left, h, w = np.array(boxes).T / size
    pairs = [(width, w), (height, h), (width * height, w * h), (width / height, w / h)]
    pairs += [(center[:, 0], 2 * left + w - 1), (center[:, 1], 2 * top + h - 1)]
    for ours, theirs in pairs:
        # Rounded, for equal sides must be ties.
        assert ks_2samp(ours.double().numpy().round(4), theirs.round(4)).pvalue > 1e-3


@pytest.mark.peers
@pytest.mark.parametrize("size", [(20, 25), (16, 20), (8, 10), (4, 5)])
def test_the_low_pass_brings_crops_that_shrink_near_to_torchvisions(torchvision, size):
    x, box = (noise(n=32, height=32, width=40) + smooth(n=32)) / 2, (0, 0, 32, 40)
    theirs = torchvision.resized_crop(x, *box, size=list(size), antialias=True)
    matrices = place(32, box=box, shape=(32, 40))
    filtered, plain = (resample(image, matrices, size) for image in (low_pass(x, matrices, size), x))
    assert psnr(filtered, theirs) >= psnr(plain, theirs) + 6


@pytest.mark.peers
@pytest.mark.parametrize("degrees", [-30.0, 7.0, 45.0])
def test_turns_equal_torchvisions(torchvision, degrees):
    x = smooth()
    ours = resample(x, place(6, shape=(32, 40), degrees=degrees), (32, 40))
    theirs = torchvision.rotate(x, degrees, torchvision.InterpolationMode.BILINEAR)
    # The corners differ: torchvision fills them with black.
    inside = torchvision.rotate(torch.ones_like(x), degrees, torchvision.InterpolationMode.BILINEAR) == 1
    assert psnr(ours[inside], theirs[inside]) >= 45


@pytest.mark.peers
@pytest.mark.parametrize("factor", [0.6, 0.9, 1.4])
def test_brightness_contrast_and_saturation_equal_torchvisions(torchvision, factor):
    x = noise(height=32, width=32)
    factors = torch.full((4,), factor)
    assert psnr(recolor(x, brightness_matrices(factors)), torchvision.adjust_brightness(x, factor)) >= 45
    assert psnr(recolor(x, contrast_matrices(factors)), torchvision.adjust_contrast(x, factor)) >= 45
    assert psnr(recolor(x, saturation_matrices(factors)), torchvision.adjust_saturation(x, factor)) >= 45


@pytest.mark.peers
@pytest.mark.parametrize("hue", [-0.1, 0.05, 0.1])
def test_hue_is_nearer_to_torchvisions_than_no_change(torchvision, hue):
    x = smooth()
    theirs = torchvision.adjust_hue(x, hue)
    ours = recolor(x, hue_matrices(torch.full((6,), hue)))
    # Near HSV's circle and no more: it keeps the largest channel, the turn keeps the mean.
    assert psnr(ours, theirs) >= psnr(x, theirs) + 3


@pytest.mark.peers
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blur_equals_torchvisions_inside(torchvision, sigma):
    x = noise(height=32, width=32)
    ours = blur(x, torch.full((4,), sigma))
    theirs = torchvision.gaussian_blur(x, [19, 19], [sigma, sigma])
    assert psnr(ours[..., 9:-9, 9:-9], theirs[..., 9:-9, 9:-9]) >= 45
