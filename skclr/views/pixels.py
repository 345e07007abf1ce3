"""Pixels: geometry, colour, blur and solarisation of many images, each by numbers of its own."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# Rec. 601: what PIL and torchvision mean by grey.
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
    """Say where in its image each view looks; both reach from -1 to 1 in either direction.

    Parameters
    ----------
    width, height : (B,) size of the crop, as a share of the image's.
    center_x, center_y : (B,) middle of the crop.
    degrees : (B,) by which the picture turns counter-clockwise about that middle.
    mirror_x, mirror_y : (B,) bool, whether the view is mirrored left-right, up-down.
    aspect : width / height of the image in pixels.

    Returns
    -------
    (B, 2, 3), taking (x, y, 1) of a view to (x, y) of its image.
    """
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    x, y = torch.where(mirror_x, -width, width), torch.where(mirror_y, -height, height)
    # A turn keeps lengths in pixels: hence the aspect.
    entries = [cos * x, -sin * y / aspect, center_x, sin * x * aspect, cos * y, center_y]
    return torch.stack(entries, 1).view(-1, 2, 3)


def resample(x: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Look at each image through its matrix; bilinear, mirrored beyond the border.

    Parameters
    ----------
    x : (B, C, H, W).
    matrices : (B, 2, 3) as `affine_matrices` makes them.
    size : (height, width) of the result.

    Returns
    -------
    (B, C, height, width). Crops of more pixels than that need `low_pass` before.
    """
    ys, xs = ((torch.arange(n, device=x.device) * 2 + 1) / n - 1 for n in size)
    along_x = matrices[:, None, :, 0] * xs[:, None]
    along_y = matrices[:, None, :, 1] * ys[:, None] + matrices[:, None, :, 2]
    # A ninth of the time of real numbers, whose innermost axis has two; affine_grid takes thrice theirs.
    grid = torch.view_as_complex(along_y)[:, :, None] + torch.view_as_complex(along_x)[:, None]
    return F.grid_sample(x, torch.view_as_real(grid), padding_mode="reflection", align_corners=False)


def low_pass(x: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Blur away what a view of fewer pixels than its crop cannot show; other images stay as they are.

    Parameters
    ----------
    x, matrices, size : what `resample` will be asked for.
    """
    (a, b), (c, d) = (row.unbind(1) for row in matrices[:, :, :2].unbind(1))
    shrinkage = (a * d - b * c).abs() * math.prod(x.shape[2:]) / math.prod(size)
    # The variance of the triangle that antialiased resizing averages over, less what interpolation brings.
    return blur(x, ((shrinkage - 1).clamp(min=0) / 6).sqrt())


def relight(x: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Scale each image, then its distance from its mean; both clamped to [0, 1].

    Parameters
    ----------
    x : (B, C, H, W), channels of any meaning.
    brightness, contrast : (B,) factors; 1 changes nothing.
    """
    brightness, contrast = brightness[:, None, None, None], contrast[:, None, None, None]
    # In place on fresh tensors: memory traffic is what views wait for.
    x = (x * brightness).clamp_(0, 1)
    return (x * contrast).add_((1 - contrast) * x.mean((1, 2, 3), keepdim=True)).clamp_(0, 1)


# -- changes of RGB ---------------------------------------------------------------------------------------
# Each is a matrix (B, 6, 6) for columns of a pixel and, below it, the mean pixel of its image, so that one change after
# another is a product. A factor of 1 and a turn of 0 change nothing.


def brightness_matrices(factor: Tensor) -> Tensor:
    """Scale pixels by the factor (B,) of their image."""
    return _matrices({"brightness": factor - 1})


def contrast_matrices(factor: Tensor) -> Tensor:
    """Scale the distance from the mean luminance of the image by a factor (B,)."""
    return _matrices({"contrast": factor - 1})


def saturation_matrices(factor: Tensor) -> Tensor:
    """Scale the distance from the grey of the same luminance by a factor (B,); 0 leaves that grey."""
    return _matrices({"saturation": factor - 1})


def hue_matrices(turn: Tensor) -> Tensor:
    """Turn about the axis of greys by a share (B,) of the colour circle; a third takes red to green."""
    angle = 2 * math.pi * turn
    return _matrices({"hue": angle.sin(), "hue_twice": 1 - angle.cos()})


def recolor(x: Tensor, matrices: Tensor) -> Tensor:
    """Change the colours of (B, 3, H, W) by the matrix (6, 6) of each image; clamped to [0, 1]."""
    of_pixel, of_mean = matrices[:, :3].chunk(2, 2)
    added = of_mean @ x.mean((2, 3))[:, :, None]
    return torch.baddbmm(added, of_pixel, x.flatten(2)).clamp_(0, 1).view_as(x)


def _matrices(amounts: dict[str, Tensor]) -> Tensor:
    """Go by amounts (B,) from no change in some directions."""
    directions = _directions(next(iter(amounts.values())).device)
    matrices = directions["none"]
    for name, amount in amounts.items():
        matrices = matrices + amount[:, None, None] * directions[name]
    return matrices


@cache
def _directions(device: torch.device) -> dict[str, Tensor]:
    """Give for each change what a unit of it adds to the identity; kept, for they are many small steps."""
    nothing, itself = torch.zeros(3, 3), torch.eye(3)
    grey = torch.tensor([LUMINANCE] * 3)
    # Of a pixel, and of the mean pixel.
    changes = {
        "none": (itself, nothing),
        "brightness": (itself, nothing),
        "contrast": (itself, -grey),
        "saturation": (itself - grey, nothing),
        # Rodrigues' formula, about the axis (1, 1, 1).
        "hue": (torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3), nothing),
        "hue_twice": (torch.full((3, 3), 1 / 3) - itself, nothing),
    }
    # The mean pixel changes like all others.
    return {
        name: torch.cat([torch.cat([pixel, mean], 1), torch.cat([nothing, pixel + mean], 1)]).to(device)
        for name, (pixel, mean) in changes.items()
    }


def blur_matrices(sigma: Tensor, n: int) -> Tensor:
    """Smooth n values with a Gaussian, mirrored at both ends so that their sum stays.

    Parameters
    ----------
    sigma : (B,) standard deviation, below n / 3; 0 changes nothing.
    n : number of values.

    Returns
    -------
    (B, n, n), to be multiplied with columns.
    """
    precision = 1 / sigma.square().clamp(min=1e-12)[:, None, None]

    def gaussian(distance: Tensor) -> Tensor:
        # Below exp(-30) lie only numbers too small to matter, and so small that products are slow.
        return (-distance.square() * precision / 2).clamp(min=-30).exp()

    place = torch.arange(n, device=sigma.device)
    gap, mirrored = place - place[:, None], place + place[:, None] + 1
    weights = gaussian(gap) + gaussian(mirrored) + gaussian(mirrored - 2 * n)
    return weights / weights.sum(2, keepdim=True)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image of (B, C, H, W) with the standard deviation of (B,), in pixels."""
    down, across = (blur_matrices(sigma, n) for n in x.shape[2:])
    return torch.einsum("bhk,bckl,bwl->bchw", down, x, across)


def solarize(x: Tensor, happens: Tensor) -> Tensor:
    """Invert what is 0.5 or brighter in the images of (B, C, H, W) for which (B,) is true."""
    return torch.where(happens[:, None, None, None] & (x >= 0.5), 1 - x, x)
