"""Modalities: how X is read. To add one, write its file and its line here."""

from typing import Any

import numpy as np

from skclr.modalities.base import Modality
from skclr.modalities.image import Image
from skclr.modalities.tabular import Tabular

MODALITIES: dict[str, type[Modality]] = {
    "tabular": Tabular,
    "image": Image,
}


def infer_modality(X: Any, modality_params: dict[str, Any]) -> str:
    """Tell from X and the modality's parameters how X should be read.

    Parameters
    ----------
    X : what the user passed.
    modality_params : its parameters; `image_shape` makes flat rows images.

    Returns
    -------
    A name in MODALITIES.

    Raises
    ------
    ValueError : where X could be several things, or none.
    """
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if "image_shape" in modality_params or len(shape) == 4:
        return "image"
    if len(shape) == 3:
        if getattr(X, "dtype", None) == np.uint8:
            return "image"
        raise ValueError(
            f"X of shape {tuple(shape)} and dtype {getattr(X, 'dtype', 'unknown')} could be greyscale images or "
            "time series: set modality='image' for (n, H, W) images"
        )
    return "tabular"


__all__ = ["MODALITIES", "Image", "Modality", "Tabular", "infer_modality"]
