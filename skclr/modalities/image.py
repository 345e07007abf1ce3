"""Images: arrays of pixels in any common layout."""

import math
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor, nn

from skclr.modalities.base import Modality, check_finite, check_two_samples

_USUAL_CHANNELS = (1, 3, 4)
# Enough for a mean and a deviation; reading more would only cost time.
_STATISTICS_ROWS = 1_000


class Image(Modality):
    """Images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or float, or such images as flat rows.

    Parameters
    ----------
    image_shape : shape of one image where X is 2-D with an image a row: (H, W), (H, W, C) or (C, H, W).
    channels : number of channels, where it is not 1, 3 or 4.
    channel_axis : 1 or -1, where the shape alone does not tell.
    """

    encoder = "conv"
    views = "image"

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        channels: int | None = None,
        channel_axis: int | None = None,
    ) -> None:
        if image_shape is not None and len(image_shape) not in (2, 3):
            raise ValueError(f"image_shape={image_shape}: give (H, W), (H, W, C) or (C, H, W)")
        if channel_axis not in (None, 1, -1):
            raise ValueError(f"channel_axis={channel_axis}: give 1 for (n, C, H, W) or -1 for (n, H, W, C)")
        self.image_shape = image_shape
        self.channels = channels
        self.channel_axis = channel_axis

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> np.ndarray:
        """See `Modality.read`; X is 3-D, 4-D, or 2-D with `image_shape`."""
        images = self._unflatten(X, estimator, reset=reset)
        check_finite(images)
        if reset:
            check_two_samples(images)
            self.input_shape_ = images.shape[1:]
            self.axis_ = self._find_channels(images.shape)
            self._learn_statistics(images)
        elif images.shape[1:] != self.input_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[1:]}, but this embedder was fitted on "
                f"{self.input_shape_}: resize them, or fit again"
            )
        return images

    def to_tensor(self, rows: np.ndarray) -> Tensor:
        """Take rows to (B, C, H, W) with uint8 scaled to [0, 1]."""
        if self.axis_ is None:
            rows = rows[:, None]
        elif self.axis_ == -1:
            rows = np.moveaxis(rows, -1, 1)
        if rows.dtype == np.uint8:
            return torch.from_numpy(rows).float().div_(255)
        return torch.from_numpy(rows.astype(np.float32))

    def preprocessing(self) -> nn.Module:
        """Standardise the channels, as every convolutional network expects."""
        return StandardizeChannels(self.mean_, self.deviation_)

    def _unflatten(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> np.ndarray:
        if self.image_shape is None:
            images = check_array(X, allow_nd=True, dtype="numeric", ensure_all_finite=False, input_name="X")
            if images.ndim not in (3, 4):
                raise ValueError(
                    f"X of shape {images.shape} holds no images: give (n, H, W), (n, H, W, C) or (n, C, H, W), "
                    "or name the shape of flattened ones with modality_params={'image_shape': (H, W)}"
                )
            return images
        rows = validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
        if math.prod(self.image_shape) != rows.shape[1]:
            raise ValueError(
                f"image_shape={self.image_shape} has {math.prod(self.image_shape)} values, but a row of X has "
                f"{rows.shape[1]}: give the shape whose sizes multiply to that"
            )
        return rows.reshape(len(rows), *self.image_shape)

    def _find_channels(self, shape: tuple[int, ...]) -> int | None:
        if len(shape) == 3:
            return None
        if self.channel_axis is not None:
            return self.channel_axis
        usual = _USUAL_CHANNELS if self.channels is None else (self.channels,)
        axes = [axis for axis in (1, -1) if shape[axis] in usual]
        if len(axes) != 1:
            raise ValueError(
                f"X of shape {shape} does not tell which axis holds the channels: "
                "set modality_params={'channels': C} or {'channel_axis': 1} or {'channel_axis': -1}"
            )
        return axes[0]

    def _learn_statistics(self, images: np.ndarray) -> None:
        step = max(1, len(images) // _STATISTICS_ROWS)
        sample = self.to_tensor(images[np.arange(0, len(images), step)])
        self.shape_ = tuple(sample.shape[1:])
        deviation, self.mean_ = torch.std_mean(sample, dim=(0, 2, 3), correction=0)
        self.deviation_ = torch.where(deviation > 0, deviation, 1.0)


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
        """Take (B, C, H, W) to the same shape, channels last in memory: convolutions run faster so."""
        return ((x - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
