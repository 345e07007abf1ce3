"""Images: arrays of pixels in any common layout, in memory or on disk, and image files."""

import math
import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from skclr.data.files import ImageFiles, holds_paths, shape_of_files, to_paths
from skclr.data.stored import Converted, Joined, Stored
from skclr.files.plain import check_learned_array
from skclr.modalities.base import LARGEST_SAMPLE, Modality, check_finite, check_two_samples, check_unmasked
from skclr.modalities.pixels import SCALES, WHITE, PixelScale, as_pixels, fractions
from skclr.modalities.principal import principal_components

_USUAL_CHANNELS = (1, 3, 4)
_LARGEST = np.float64(1e15)
# Enough for a mean and a deviation; more would only cost time, and memory for large images.
_STATISTICS_ROWS = 1_000
_STATISTICS_VALUES = 2**26
_PATCH_SIDE = 3
_PATCHES_PER_SIDE = 4
_PATCH_VALUES = 2**18
_MOST_COMPONENTS = 32
# Standardised pixels have a variance of 1.
_LEAST_VARIANCE = 0.01


class Image(Modality):
    """Images (n, H, W), (n, H, W, C) or (n, C, H, W) of real numbers, as flat rows, or as image files.

    Image files, as a list of paths or the path of a folder, are decoded by Pillow batch by batch, to grey or RGB,
    depending on the first files.

    Pixels keep the scale of `fit`, whatever their dtype; images that are clearly on another scale raise an error. Whole
    numbers from 0 to 255 of any dtype are divided by 255; after a fit on uint8, floats are assumed to be divided
    already. After a fit on floats from 0 to 1, uint8 is divided. All other numbers stay as they are: whole numbers of
    more than 8 bits or below 0, booleans, images of only 0 and 1, and floats on any other scale.

    Parameters
    ----------
    image_shape : shape of one image if X is 2-D with one image per row: (H, W), (H, W, C) or (C, H, W).
    channels : number of channels, if it is not 1, 3 or 4.
    channel_axis : 1 or -1, if the shape alone is ambiguous.
    rgb : whether the channels are red, green and blue, so that views may shift hues; "auto" assumes it for three
        channels. Other channels are never mixed, including RGBA: pass X[..., :3] for views that change colours.
    size : (H, W) to which image files are resized; None keeps their size, which must be the same for all.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr import ContrastiveEmbedder
    >>> X = np.random.default_rng(0).normal(size=(10, 64))
    >>> ContrastiveEmbedder(modality_params={"image_shape": (8, 8)}, max_epochs=0).fit_transform(X).shape
    (10, 256)
    """

    encoder = "conv"
    told_by = "image_shape"
    sample_types = (os.PathLike,)
    views = "image"
    smallest_batch_size = 64
    input_shape_: tuple[int, ...]
    axis_: int | None
    rgb_: bool
    # Models saved before these were learned have `uint8_` at most; without it, pixels are assumed to be floats.
    scale_: str = "unknown"
    range_: tuple[float, ...] = ()
    whole_: bool = False
    uint8_: bool = False
    mean_: Tensor
    deviation_: Tensor
    # None in files of earlier versions, and for images smaller than a patch.
    patch_components_: Tensor | None = None

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        channels: int | None = None,
        channel_axis: int | None = None,
        rgb: bool | Literal["auto"] = "auto",
        size: tuple[int, int] | None = None,
    ) -> None:
        if image_shape is not None and len(image_shape) not in (2, 3):
            raise ValueError(f"image_shape={image_shape}: pass (H, W), (H, W, C) or (C, H, W)")
        if channel_axis not in (None, 1, -1):
            raise ValueError(f"channel_axis={channel_axis}: pass 1 for (n, C, H, W), -1 for (n, H, W, C)")
        if rgb not in (True, False, "auto"):
            raise ValueError(f"rgb={rgb!r}: pass True, False or 'auto'")
        if size is not None and not _is_size(size):
            raise ValueError(f"size={size!r}: pass (H, W), in pixels")
        self.image_shape = image_shape
        self.channels = channels
        self.channel_axis = channel_axis
        self.rgb = rgb
        self.size = size

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """See `Modality.read`; X is 3-D, 4-D, 2-D with `image_shape`, or a sequence of paths."""
        return self._read(X, estimator, reset=reset)

    def read_as(self, X: Any, estimator: BaseEstimator, learned: Self, names: Any) -> Any:
        """See `Modality.read_as`: pixels keep their scale."""
        return self._read(X, estimator, reset=True, scale=learned._scale)

    def _read(self, X: Any, estimator: BaseEstimator, *, reset: bool, scale: PixelScale | None = None) -> Any:
        if not reset and self.image_shape is None and getattr(X, "shape", None) == self.input_shape_:
            raise ValueError(f"X of shape {X.shape} is a single image. Pass X[None].")
        rows = self._open(X, estimator, reset=reset)
        shape = tuple(self.image_shape if self.image_shape and len(rows.shape) == 2 else rows.shape[1:])
        if reset:
            check_two_samples(rows)
            if math.prod(shape) > LARGEST_SAMPLE:
                raise ValueError(
                    f"X has images of shape {shape}, more than {LARGEST_SAMPLE:,} values each. Resize or cut them; for "
                    "files, set modality_params={'size': (H, W)}."
                )
            self.input_shape_ = shape
            self.axis_ = self._find_channels((rows.shape[0], *shape))
            self._learn_statistics(rows, scale)
            self._learn_rgb()
        elif shape != self.input_shape_:
            raise ValueError(
                f"X has images of shape {shape}, but this embedder was fitted on "
                f"{self.input_shape_}. Resize them, or fit again."
            )
        return self._to_scale(rows)

    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Convert rows, on the scale of `fit`, to (B, C, H, W), with uint8 divided by 255."""
        images = rows.reshape(len(rows), *self.input_shape_)
        if self.axis_ is None:
            images = images[:, None]
        elif self.axis_ == -1:
            images = np.moveaxis(images, -1, 1)
        if images.dtype == np.uint8:
            # A tensor of float32 converts and divides in one pass.
            return torch.from_numpy(images) / torch.tensor(WHITE, dtype=torch.float32)
        return torch.from_numpy(images.astype(np.float32))

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`; X is uint8 if it was in `fit`, else float32; files have to be decoded before."""
        shape = self.input_shape_ if self.image_shape is None else (math.prod(self.input_shape_),)
        example = torch.zeros(2, *shape, dtype=torch.uint8 if self._scale.kind == "uint8" else torch.float32)
        return ReadPixels(self.input_shape_, self.axis_, self._scale.white), example

    def restore(self, x: Tensor, X: Any) -> np.ndarray:
        """See `Modality.restore`: (B, H, W, C), or (B, H, W) of one channel."""
        images = x.cpu().permute(0, 2, 3, 1).numpy()
        return images[..., 0] if images.shape[-1] == 1 else images

    def join(self, rows: Any, more: Any) -> Any:
        """See `Modality.join`; images are too large to copy, so they are joined lazily."""
        if (rows.dtype == np.uint8) != (more.dtype == np.uint8):
            rows, more = Converted(rows, fractions), Converted(more, fractions)
        return Joined(rows, more)

    def preprocessing(self) -> nn.Module:
        """Standardise the channels, as every convolutional network expects."""
        return StandardizeChannels(self.mean_, self.deviation_)

    def facts(self) -> dict[str, Any]:
        """Return the facts of `Modality.facts`, whether channels are red, green and blue, and components of patches."""
        return {**super().facts(), "rgb": self.rgb_, "patch_components": self.patch_components_}

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        shape = self.input_shape_ if self.axis_ else (*self.input_shape_, 1)
        if self.axis_ not in (None, 1, -1) or self.shape_ != (shape if self.axis_ == 1 else (shape[-1], *shape[:-1])):
            raise ValueError(
                f"images of shape {self.input_shape_}, channels on axis {self.axis_}, do not have shape {self.shape_}"
            )
        if self.scale_ not in SCALES or len(self.range_) not in (0, 2):
            raise ValueError(f"the pixel scale {self.scale_!r} with range {self.range_} is unknown")
        height, width = self.shape_[1:]
        if self.size is not None and tuple(self.size) != (height, width):
            raise ValueError(f"files are resized to {self.size}, but images are {height} × {width}")
        check_learned_array("mean_", self.mean_, self.shape_[:1], torch.float32)
        check_learned_array("deviation_", self.deviation_, self.shape_[:1], torch.float32)
        if self.patch_components_ is not None:
            patch = (self.shape_[0], _PATCH_SIDE, _PATCH_SIDE)
            shape = (*self.patch_components_.shape[:1], *patch)
            check_learned_array("patch_components_", self.patch_components_, shape, torch.float32)

    @property
    def _scale(self) -> PixelScale:
        kind = "uint8" if self.uint8_ else self.scale_
        low, high = self.range_ or (-math.inf, math.inf)
        return PixelScale(kind, low, high, self.whole_)

    def _to_scale(self, rows: Any) -> Any:
        scale = self._scale
        if isinstance(rows, Stored):
            return rows.parsed(scale)
        if isinstance(rows, ImageFiles):
            return rows if scale.keeps(rows.dtype) else Converted(rows, scale)
        return scale(rows)

    def _open(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        if isinstance(X, str | os.PathLike):
            raise ValueError(f"X={str(X)!r} is one path. Pass a list of paths, or pathlib.Path of a folder.")
        if holds_paths(X):
            return self._open_files(to_paths(X), reset=reset)
        if self.size is not None and reset:
            raise ValueError(f"size={self.size} resizes image files, but X is an array. Resize the array first.")
        check_unmasked(X, "images have no missing pixels")
        stored = isinstance(X, Stored)
        if self.image_shape is not None:
            images = self._check_flat(X, estimator, reset=reset, stored=stored)
        else:
            images = self._check_images(X, stored=stored)
        return images.parsed(_checked) if stored else _checked(images)

    def _open_files(self, paths: np.ndarray, *, reset: bool) -> ImageFiles:
        if reset:
            shape = shape_of_files(paths, self.size)
        else:
            channels, height, width = self.shape_
            shape = (height, width) if channels == 1 else (height, width, 3)
        return ImageFiles(paths, shape, resize=self.size is not None)

    def _check_images(self, X: Any, *, stored: bool) -> Any:
        shapes = [np.shape(image) for image in X] if isinstance(X, list | tuple) else []
        odd = next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None)
        if odd is not None:
            raise ValueError(
                f"X holds images of shapes {shapes[0]} in row 0 and {shapes[odd]} in row {odd}. Resize them to one "
                "shape, or pass their paths and modality_params={'size': (H, W)}."
            )
        if not stored:
            X = as_pixels(X, allow_nd=True)
        if len(X.shape) not in (3, 4):
            raise ValueError(
                f"X of shape {tuple(X.shape)} does not hold images. Pass (n, H, W), (n, H, W, C) or (n, C, H, W), "
                "or set modality_params={'image_shape': (H, W)} for flattened ones."
            )
        return X

    def _check_flat(self, X: Any, estimator: BaseEstimator, *, reset: bool, stored: bool) -> Any:
        rows = X if stored else as_pixels(X)
        # X and not rows, for its column names; checks are skipped, since they would read all of an array on disk.
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        n_values = math.prod(self.image_shape or ())
        if n_values != rows.shape[1]:
            raise ValueError(
                f"image_shape={self.image_shape} has {n_values} values, but a row of X has {rows.shape[1]}. Pass a "
                "shape whose sizes multiply to that."
            )
        return rows

    def _find_channels(self, shape: tuple[int, ...]) -> int | None:
        if len(shape) == 3:
            return None
        if self.channel_axis is not None:
            return self.channel_axis
        usual = _USUAL_CHANNELS if self.channels is None else (self.channels,)
        axes = [axis for axis in (1, -1) if shape[axis] in usual]
        if len(axes) != 1:
            raise ValueError(
                f"X of shape {shape} leaves open which axis holds the channels. "
                "Set modality_params={'channels': C} or {'channel_axis': 1} or {'channel_axis': -1}."
            )
        return axes[0]

    def _learn_statistics(self, rows: Any, scale: PixelScale | None) -> None:
        n_samples = rows.shape[0]
        step = max(1, n_samples // _STATISTICS_ROWS, math.prod(rows.shape) // _STATISTICS_VALUES)
        some = rows[np.arange(0, n_samples, step)]
        scale = scale or PixelScale.of(rows if isinstance(rows, np.ndarray) else some)
        self.scale_, self.range_, self.whole_ = scale.kind, (scale.low, scale.high), scale.whole
        sample = self.to_tensor(scale(some))
        self.shape_ = tuple(sample.shape[1:])
        deviation, self.mean_ = torch.std_mean(sample, dim=(0, 2, 3), correction=0)
        self.deviation_ = torch.where(deviation > torch.finfo(deviation.dtype).tiny, deviation, 1.0)
        self.patch_components_ = _patch_components(sample, self.preprocessing())

    def _learn_rgb(self) -> None:
        n_channels = self.shape_[0]
        if self.rgb is True and n_channels != 3:
            raise ValueError(f"rgb=True, but X has {n_channels} channels. Drop the others, or leave rgb at 'auto'.")
        self.rgb_ = n_channels == 3 if self.rgb == "auto" else self.rgb


class ReadPixels(nn.Module):
    """Convert images to (B, C, H, W) float32.

    Parameters
    ----------
    shape : shape of one image, which may be flattened in the input.
    axis : channel axis; None if images have none.
    white : the pixel value that becomes 1.
    """

    def __init__(self, shape: tuple[int, ...], axis: int | None, white: int) -> None:
        super().__init__()
        self.shape = shape
        self.axis = axis
        self.white = white

    def forward(self, x: Tensor) -> Tensor:
        """Return images (B, *shape) or (B, values) as (B, C, H, W)."""
        images = x.reshape(-1, *self.shape)
        images = images[:, None] if self.axis is None else images.movedim(self.axis, 1)
        return images.float() / self.white


class StandardizeChannels(nn.Module):
    """Subtract each channel's mean and divide by its deviation.

    Parameters
    ----------
    mean, deviation : (C,).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.view(-1, 1, 1))
        self.register_buffer("deviation", deviation.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardised (B, C, H, W), channels last in memory, which makes convolutions faster."""
        # Batch normalisation does it in one pass; broadcasting over three channels in a row is slow.
        mean, deviation = self.mean.flatten(), self.deviation.flatten()
        # The square of a small deviation would be 0.
        x = batch_norm(x, mean, torch.ones_like(mean), weight=deviation.reciprocal(), eps=0.0)
        return x.contiguous(memory_format=torch.channels_last)


def _checked(images: np.ndarray) -> np.ndarray:
    if images.dtype.kind not in "buif":
        raise ValueError(f"X has dtype {images.dtype}. Pass an array of numbers.")
    check_finite(images)
    if images.dtype.kind == "f" and images.size and max(images.max(), -images.min()) > _LARGEST:
        raise ValueError(f"X has pixels beyond {_LARGEST:.0e}, whose variance overflows float32. Rescale X.")
    return images


def _patch_components(images: Tensor, standardize: nn.Module) -> Tensor | None:
    """Return whitened principal components (k, C, 3, 3) of patches of standardised images, largest first.

    k is half of their number, since the others are mostly noise. Images smaller than a patch have none.
    """
    _, n_channels, height, width = images.shape
    if min(height, width) < _PATCH_SIDE:
        return None
    steps = (max(1, side // _PATCHES_PER_SIDE) for side in (height, width))
    for axis, step in zip((2, 3), steps, strict=True):
        images = images.unfold(axis, _PATCH_SIDE, step)
    n_values = n_channels * _PATCH_SIDE**2
    patches = images.movedim(1, 3)
    n_patches = math.prod(patches.shape[:3])
    chosen = torch.arange(0, n_patches, -(-n_patches * n_values // _PATCH_VALUES))
    # By index, since a copy of all patches may be several times as large as the images.
    patches = patches[torch.unravel_index(chosen, patches.shape[:3])]
    _, axes, variances = principal_components(standardize(patches).flatten(1), min(n_values // 2, _MOST_COMPONENTS))
    components = axes / (variances + _LEAST_VARIANCE).sqrt()
    # Rounded, since their last digits may depend on the number of threads, and a checkpoint is resumed with any.
    return components.round(decimals=5).T.reshape(-1, n_channels, _PATCH_SIDE, _PATCH_SIDE).contiguous()


def _is_size(size: Any) -> bool:
    return isinstance(size, Sequence) and len(size) == 2 and all(isinstance(n, Integral) and int(n) > 0 for n in size)
