"""Geometry, colour, blur and solarisation of a batch of images, with parameters per image."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# Rec. 601, the weights of PIL and torchvision.
LUMINANCE = (0.299, 0.587, 0.114)


def affine_matrices(
    width: Tensor,
    height: Tensor,
    center_x: Tensor,
    center_y: Tensor,
    degrees: Tensor,
    mirror_x: Tensor,
    mirror_y: Tensor,
    aspect: float,
) -> Tensor:
    """Return the affine map from each view to its image, in coordinates from -1 to 1 on both axes.

    Parameters
    ----------
    width, height : (B,) size of the crop, as a share of the image.
    center_x, center_y : (B,) middle of the crop.
    degrees : (B,) counter-clockwise rotation about that middle.
    mirror_x, mirror_y : (B,) bool, whether the view is mirrored left-right, up-down.
    aspect : width / height of the image in pixels.

    Returns
    -------
    (B, 2, 3), mapping (x, y, 1) of a view to (x, y) of its image.
    """
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    x, y = torch.where(mirror_x, -width, width), torch.where(mirror_y, -height, height)
    # A rotation preserves lengths in pixels, hence the aspect.
    entries = [cos * x, -sin * y / aspect, center_x, sin * x * aspect, cos * y, center_y]
    return torch.stack(entries, 1).view(-1, 2, 3)


def resample(x: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample each image by its matrix, bilinearly, with reflection beyond the border.

    Parameters
    ----------
    x : (B, C, H, W).
    matrices : (B, 2, 3), as returned by `affine_matrices`.
    size : (height, width) of the result.

    Returns
    -------
    (B, C, height, width). If a crop has more pixels than that, apply `low_pass` first.
    """
    ys, xs = ((torch.arange(n, device=x.device) * 2 + 1) / n - 1 for n in size)
    along_x = matrices[:, None, :, 0] * xs[:, None]
    along_y = matrices[:, None, :, 1] * ys[:, None] + matrices[:, None, :, 2]
    # Complex numbers take a ninth of the time of real ones with an innermost axis of two; affine_grid takes three times
    # as long as the latter.
    grid = torch.view_as_complex(along_y)[:, :, None] + torch.view_as_complex(along_x)[:, None]
    return F.grid_sample(x, torch.view_as_real(grid), padding_mode="reflection", align_corners=False)


def low_pass(x: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Remove frequencies that a view cannot represent, from images whose crop has more pixels than the view.

    Parameters
    ----------
    x, matrices, size : the arguments of the following `resample`.
    """
    (a, b), (c, d) = (row.unbind(1) for row in matrices[:, :, :2].unbind(1))
    shrinkage = (a * d - b * c).abs() * math.prod(x.shape[2:]) / math.prod(size)
    # The variance of the triangle filter of antialiased resizing, minus that of the interpolation.
    return blur(x, ((shrinkage - 1).clamp(min=0) / 6).sqrt())


def scale_brightness_contrast(x: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Scale each image, then its difference from its mean, clamping both to [0, 1].

    Parameters
    ----------
    x : (B, C, H, W), channels of any meaning.
    brightness, contrast : (B,) factors; 1 changes nothing.
    """
    brightness, contrast = brightness[:, None, None, None], contrast[:, None, None, None]
    # In place on fresh tensors, since memory traffic limits the speed of views.
    x = (x * brightness).clamp_(0, 1)
    return (x * contrast).add_((1 - contrast) * x.mean((1, 2, 3), keepdim=True)).clamp_(0, 1)


# -- changes of RGB ---------------------------------------------------------------------------------------
# Each is a matrix (B, 6, 6) for columns that hold a pixel and, below it, the mean pixel of its image, so that a
# sequence of changes is a product. A factor of 1 and a turn of 0 change nothing.


def brightness_matrices(factor: Tensor) -> Tensor:
    """Return matrices that scale the pixels of each image by a factor (B,)."""
    return _matrices({"brightness": factor - 1})


def contrast_matrices(factor: Tensor) -> Tensor:
    """Return matrices that scale the difference from the mean luminance of the image by a factor (B,)."""
    return _matrices({"contrast": factor - 1})


def saturation_matrices(factor: Tensor) -> Tensor:
    """Return matrices that scale the difference from grey of equal luminance by a factor (B,); 0 gives grey."""
    return _matrices({"saturation": factor - 1})


def hue_matrices(turn: Tensor) -> Tensor:
    """Return rotations about the grey axis by a share (B,) of the colour circle; 1/3 maps red to green."""
    angle = 2 * math.pi * turn
    return _matrices({"hue": angle.sin(), "hue_twice": 1 - angle.cos()})


def recolor(x: Tensor, matrices: Tensor) -> Tensor:
    """Apply the matrix (6, 6) of each image to the colours of (B, 3, H, W), clamped to [0, 1]."""
    of_pixel, of_mean = matrices[:, :3].chunk(2, 2)
    added = of_mean @ x.mean((2, 3))[:, :, None]
    return torch.baddbmm(added, of_pixel, x.flatten(2)).clamp_(0, 1).view_as(x)


def _matrices(amounts: dict[str, Tensor]) -> Tensor:
    """Return the identity plus the directions of change multiplied by amounts (B,)."""
    directions = _directions(next(iter(amounts.values())).device)
    matrices = directions["none"]
    for name, amount in amounts.items():
        matrices = matrices + amount[:, None, None] * directions[name]
    return matrices


@cache
def _directions(device: torch.device) -> dict[str, Tensor]:
    """Return what a unit of each change adds to the identity; cached, since building it takes many small steps."""
    nothing, itself = torch.zeros(3, 3), torch.eye(3)
    grey = torch.tensor([LUMINANCE] * 3)
    # Effect on a pixel of the pixel itself, and of the mean pixel.
    changes = {
        "none": (itself, nothing),
        "brightness": (itself, nothing),
        "contrast": (itself, -grey),
        "saturation": (itself - grey, nothing),
        # Rodrigues' formula, about the axis (1, 1, 1).
        "hue": (torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3), nothing),
        "hue_twice": (torch.full((3, 3), 1 / 3) - itself, nothing),
    }
    # The mean pixel changes like any other.
    return {
        name: torch.cat([torch.cat([pixel, mean], 1), torch.cat([nothing, pixel + mean], 1)]).to(device)
        for name, (pixel, mean) in changes.items()
    }


def blur_matrices(sigma: Tensor, n: int) -> Tensor:
    """Return matrices that smooth n values with a Gaussian, reflected at both ends so that the sum is preserved.

    Parameters
    ----------
    sigma : (B,) standard deviation, below n / 3; 0 changes nothing.
    n : number of values.

    Returns
    -------
    (B, n, n), to be multiplied by columns.
    """
    precision = 1 / sigma.square().clamp(min=1e-12)[:, None, None]

    def gaussian(distance: Tensor) -> Tensor:
        # Numbers below exp(-30) do not matter, and are small enough to make products slow.
        return (-distance.square() * precision / 2).clamp(min=-30).exp()

    place = torch.arange(n, device=sigma.device)
    gap, mirrored = place - place[:, None], place + place[:, None] + 1
    weights = gaussian(gap) + gaussian(mirrored) + gaussian(mirrored - 2 * n)
    return weights / weights.sum(2, keepdim=True)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image of (B, C, H, W) with a standard deviation (B,), in pixels."""
    down, across = (blur_matrices(sigma, n) for n in x.shape[2:])
    return torch.einsum("bhk,bckl,bwl->bchw", down, x, across)


def solarize(x: Tensor, happens: Tensor) -> Tensor:
    """Invert the values of 0.5 or more in the images of (B, C, H, W) for which `happens` (B,) is True."""
    return torch.where(happens[:, None, None, None] & (x >= 0.5), 1 - x, x)
