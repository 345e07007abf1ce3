"""Image views: one resampling and two colour matrices per image, for a whole batch at once."""

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from skclr.arguments import check_number, check_pair
from skclr.views.base import Samples, Views, check_n_views
from skclr.views.draws import Draws
from skclr.views.pixels import (
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

# Number of images from which the range is estimated; fewer if they are large.
_RANGE_SAMPLES = 1_024
_RANGE_VALUES = 2**26
# Crops drawn for each image, of which the first that fits is used; the number is torchvision's.
_N_TRIES = 10
_LARGEST: dict[str, float] = {
    "flip": 1,
    "vertical_flip": 1,
    "rotation": 180,
    "translation": 1,
    "jitter_probability": 1,
    "brightness": 1,
    "contrast": 1,
    "saturation": 1,
    "hue": 0.5,
    "grey": 1,
}


class ImageViews(Views):
    """Augment images by crop, flip, rotation, colour jitter, blur and solarisation, drawn per image.

    Parameters
    ----------
    n_views, n_local_views : number of global views, and of the smaller local views after them.
    rgb : whether the channels are red, green and blue; "auto" assumes so if there are three.
    crop_scale, local_scale : smallest and largest area of a global and of a local crop, as a share of the image; "auto"
        is (0.2, 1) for RGB and (0.5, 1) otherwise.
    crop_ratio : smallest and largest width / height of a crop, relative to that of the image.
    local_size : pixels of a local view's shorter side; None is half that of the image.
    flip, vertical_flip : probability of mirroring left-right and up-down; "auto" is 0.5 for RGB and 0 otherwise, since
        digits, characters and sensor images change their meaning when mirrored.
    rotation : largest angle in degrees, in either direction; "auto" is 0 for RGB and 15 otherwise.
    translation : largest shift as a share of width and height, in addition to that of the crop.
    jitter_probability : probability that brightness, contrast, saturation and hue are changed.
    brightness, contrast, saturation : largest relative change, in either direction; saturation for RGB only.
    hue : largest rotation of hue, in either direction, as a share of the colour circle; for RGB only.
    grey : probability of conversion to greyscale; for RGB only.
    blur, solarize : probability, or one for each view; the last applies to all further views.
    blur_sigma : smallest and largest standard deviation of the blur, in pixels of the view.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    Notes
    -----
    Colours are changed on a scale from 0 (black) to 1 (white), and clamped to it. Data within [0, 1] are used as they
    are; otherwise the minimum and maximum of each channel in `fit` are mapped to 0 and 1.

    References
    ----------
    Chen et al. 2020 (SimCLR), appendix A, with jitter strength 0.5 and without blur, as for CIFAR-10 in B.9; local
    views: Caron et al. 2020 (SwAV), sec. 3.2; solarisation: Grill et al. 2020 (BYOL), B. Differs: crop, flip and
    rotation are one interpolation, which also uses pixels around the crop; the smallest crop is 0.2 as in MoCo v2
    instead of 0.08; jitter clamps colours after its second and its last change instead of after each; hue is rotated
    about the grey axis of RGB instead of in HSV; for channels other than RGB, brightness always changes before
    contrast.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import ImageViews
    >>> x = torch.rand(8, 3, 32, 32)
    >>> maker = ImageViews(n_local_views=2, local_size=16).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> [tuple(view.shape) for view in views]
    [(8, 3, 32, 32), (8, 3, 32, 32), (8, 3, 16, 16), (8, 3, 16, 16)]
    """

    facts = ("rgb",)

    def __init__(
        self,
        *,
        n_views: int = 2,
        rgb: bool | Literal["auto"] = "auto",
        crop_scale: tuple[float, float] | Literal["auto"] = "auto",
        crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float | Literal["auto"] = "auto",
        vertical_flip: float = 0.0,
        rotation: float | Literal["auto"] = "auto",
        translation: float = 0.0,
        jitter_probability: float = 0.8,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        grey: float = 0.2,
        blur: float | Sequence[float] = 0.0,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        solarize: float | Sequence[float] = 0.0,
        n_local_views: int = 0,
        local_scale: tuple[float, float] = (0.05, 0.2),
        local_size: int | None = None,
    ) -> None:
        self.n_views = n_views
        self.rgb = rgb
        self.crop_scale = crop_scale
        self.crop_ratio = crop_ratio
        self.flip = flip
        self.vertical_flip = vertical_flip
        self.rotation = rotation
        self.translation = translation
        self.jitter_probability = jitter_probability
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.grey = grey
        self.blur = blur
        self.blur_sigma = blur_sigma
        self.solarize = solarize
        self.n_local_views = n_local_views
        self.local_scale = local_scale
        self.local_size = local_size
        self._check()

    def fit(self, samples: Samples) -> Self:
        """Learn from some of the images whether they are RGB, and the range of each channel.

        Parameters
        ----------
        samples : n images; `samples[rows]` is (B, C, H, W) float32.

        Raises
        ------
        ValueError : if the samples are not images, or not RGB although `rgb` is True.
        """
        n, shape = len(samples), tuple(samples[np.arange(1)].shape[1:])
        if len(shape) != 3:
            raise ValueError(f"image views take samples of (channels, height, width), got {shape}")
        if self.rgb is True and shape[0] != 3:
            raise ValueError(f"rgb=True, but the images have {shape[0]} channels. Set it to False or 'auto'.")
        self.rgb_ = shape[0] == 3 if self.rgb == "auto" else self.rgb
        x = samples[np.arange(0, n, max(1, n // _RANGE_SAMPLES, n * math.prod(shape) // _RANGE_VALUES))]
        crop_scale, flip, rotation = ((0.2, 1.0), 0.5, 0.0) if self.rgb_ else ((0.5, 1.0), 0.0, 15.0)
        self.crop_scale_ = crop_scale if self.crop_scale == "auto" else self.crop_scale
        self.flip_ = flip if self.flip == "auto" else self.flip
        self.rotation_ = rotation if self.rotation == "auto" else self.rotation
        low, high = x.amin((0, 2, 3))[:, None, None], x.amax((0, 2, 3))[:, None, None]
        # A constant channel has a span of 0; with any other span it stays as it is.
        span = torch.where(high > low, high - low, 1.0)
        self.scale_ = None if low.min() >= 0 and high.max() <= 1 else (low, span)
        return self

    def held_out(self, samples: Samples) -> Views:
        """Return the maker itself, which was fitted on the training rows."""
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return `n_views` views (B, C, H, W), then `n_local_views` smaller ones (B, C, h, w).

        Parameters
        ----------
        x : (B, C, H, W) float32, not written to.
        rows : (B,) int64, not used.
        generator : source of all randomness, on the device of x.
        """
        draws = Draws(len(x), generator)
        indices = range(self.n_views + self.n_local_views)
        if self.scale_ is None:
            return [self._view(x, index, draws) for index in indices]
        black, span = (values.to(x.device, non_blocking=True) for values in self.scale_)
        x = (x - black) / span
        return [self._view(x, index, draws) * span + black for index in indices]

    def n_values(self, shape: tuple[int, ...]) -> int:
        """See `Views.n_values`; local views may be larger than the image, and blur takes one matrix per axis."""
        channels, height, width = shape
        shorter, longer = sorted((height, width))
        zoom = (self.local_size or shorter) / shorter
        blurred = longer**2 if self.blur else 0
        return max(math.prod(shape), math.ceil(channels * height * width * zoom**2), blurred)

    def _view(self, x: Tensor, index: int, draws: Draws) -> Tensor:
        x = self._crop_local(x, draws) if index >= self.n_views else self._crop_global(x, draws)
        x = self._jitter(x, draws)
        if share := value_of_view(self.blur, index):
            x = blur(x, torch.where(draws.bernoulli(share), draws.uniform(*self.blur_sigma), 0.0))
        if share := value_of_view(self.solarize, index):
            x = solarize(x, draws.bernoulli(share))
        return x

    def _crop_global(self, x: Tensor, draws: Draws) -> Tensor:
        height, width = x.shape[2:]
        return resample(x, self._draw_matrices(draws, self.crop_scale_, height, width), (height, width))

    def _crop_local(self, x: Tensor, draws: Draws) -> Tensor:
        height, width = x.shape[2:]
        shorter = min(height, width)
        zoom = (self.local_size or shorter / 2) / shorter
        size = round(height * zoom), round(width * zoom)
        matrices = self._draw_matrices(draws, self.local_scale, height, width)
        if self.local_scale[1] * height * width > math.prod(size):
            x = low_pass(x, matrices, size)
        return resample(x, matrices, size)

    def _draw_matrices(self, draws: Draws, scale: tuple[float, float], height: int, width: int) -> Tensor:
        rows, columns = self._draw_sides(draws, scale, height, width)
        top, left = (draws.uniform(0, rest + 1).floor() for rest in (height - rows, width - columns))
        return affine_matrices(
            width=columns / width,
            height=rows / height,
            center_x=(2 * left + columns) / width - 1 + draws.symmetric(2 * self.translation),
            center_y=(2 * top + rows) / height - 1 + draws.symmetric(2 * self.translation),
            degrees=draws.symmetric(self.rotation_),
            mirror_x=draws.bernoulli(self.flip_),
            mirror_y=draws.bernoulli(self.vertical_flip),
            aspect=width / height,
        )

    def _draw_sides(self, draws: Draws, scale: tuple[float, float], height: int, width: int) -> list[Tensor]:
        """Draw areas and ratios until a crop fits into the image; return its height and width (n,) in whole pixels."""
        log_area = draws.uniform(*scale, _N_TRIES).log()
        low, high = (math.log(ratio) for ratio in self.crop_ratio)
        log_ratio = draws.uniform(low, high, _N_TRIES)
        # The last has the ratio of the image, so it fits whatever its area.
        log_ratio[:, -1] = 0
        first = (log_ratio.abs() <= -log_area).int().argmax(1, keepdim=True)
        log_area, log_ratio = (tries.gather(1, first)[:, 0] for tries in (log_area, log_ratio))
        sides = height * ((log_area - log_ratio) / 2).exp(), width * ((log_area + log_ratio) / 2).exp()
        return [side.round().clamp(min=1) for side in sides]

    def _jitter(self, x: Tensor, draws: Draws) -> Tensor:
        happens = draws.bernoulli(self.jitter_probability)
        brightness = torch.where(happens, 1 + draws.symmetric(self.brightness), 1.0)
        contrast = torch.where(happens, 1 + draws.symmetric(self.contrast), 1.0)
        if not self.rgb_:
            return scale_brightness_contrast(x, brightness, contrast)
        saturation = torch.where(happens, 1 + draws.symmetric(self.saturation), 1.0)
        hue = torch.where(happens, draws.symmetric(self.hue), 0.0)
        matrices = [brightness_matrices(brightness), contrast_matrices(contrast)]
        matrices += [saturation_matrices(saturation), hue_matrices(hue)]
        grey = saturation_matrices(torch.where(draws.bernoulli(self.grey), 0.0, 1.0))
        images = torch.arange(draws.n, device=x.device)[:, None]
        first, second, third, fourth = torch.stack(matrices, 1)[images, draws.order(4)].unbind(1)
        # Passes over the pixels dominate the time, so changes are combined in two; not in one, since colours are
        # clamped between.
        return recolor(recolor(x, second @ first), grey @ fourth @ third)

    def _check(self) -> None:
        check_n_views(self.n_views, least=2)
        check_n_views(self.n_local_views, least=0, name="n_local_views")
        if self.rgb not in (True, False, "auto"):
            raise ValueError(f"rgb={self.rgb!r}: use True, False or 'auto'")
        if self.local_size is not None:
            check_number("local_size", self.local_size, 1, whole=True)
        for name, most in _LARGEST.items():
            if (name, getattr(self, name)) not in (("flip", "auto"), ("rotation", "auto")):
                check_number(name, getattr(self, name), 0, most)
        for name, value in (("blur", self.blur), ("solarize", self.solarize)):
            for share in value if isinstance(value, Sequence) and value else [value]:
                check_number(name, share, 0, 1)
        if self.crop_scale != "auto":
            check_pair("crop_scale", self.crop_scale, 1)
        check_pair("local_scale", self.local_scale, 1)
        check_pair("blur_sigma", self.blur_sigma)
        check_pair("crop_ratio", self.crop_ratio)
        if not self.crop_ratio[0] <= 1 <= self.crop_ratio[1]:
            raise ValueError(f"crop_ratio={self.crop_ratio}: use (smallest, largest) around 1, the ratio of the image")


def value_of_view(value: float | Sequence[float], index: int) -> float:
    """Return the value of the view `index`; the last of a sequence applies to all further views."""
    return value[min(index, len(value) - 1)] if isinstance(value, Sequence) else value
