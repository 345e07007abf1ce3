"""Modalities: how X is read. To add one, write its file and its line here."""

import os
from collections.abc import Mapping
from typing import Any

from skclr.data.aligned import Aligned, stacked
from skclr.data.parquet import ParquetRows
from skclr.modalities.audio import Audio
from skclr.modalities.base import Modality, check_two_samples, first_sample
from skclr.modalities.image import Image
from skclr.modalities.series import Series
from skclr.modalities.shapes import modality_of_shape
from skclr.modalities.tabular import Tabular
from skclr.modalities.text import Text

MODALITIES: dict[str, type[Modality]] = {
    "tabular": Tabular,
    "image": Image,
    "series": Series,
    "audio": Audio,
    "text": Text,
}


def infer_modality(X: Any, modality_params: Mapping[str, Any]) -> str:
    """Return the name of the modality by which X should be read.

    A parameter that only one modality has decides first, then the type of a sample, then shape and dtype.

    Parameters
    ----------
    X : what the user passed, opened.
    modality_params : parameters of the modality.

    Returns
    -------
    A name in MODALITIES.

    Raises
    ------
    ValueError : if X could have several modalities, or has none.
    """
    for name, modality in MODALITIES.items():
        if modality.told_by in modality_params:
            return name
    first = first_sample(X)
    if isinstance(first, str) and _is_file(first):
        raise ValueError(
            f"X holds str, and the first, {first!r}, is the name of a file: set modality='image' for images to be "
            "read from there, or modality='text' for texts"
        )
    for name, modality in MODALITIES.items():
        if isinstance(first, modality.sample_types):
            return name
    return modality_of_shape(X)


def _is_file(text: str) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:
        # Some texts can be no name.
        return False


__all__ = [
    "MODALITIES",
    "Aligned",
    "Audio",
    "Image",
    "Modality",
    "ParquetRows",
    "Series",
    "Tabular",
    "Text",
    "check_two_samples",
    "infer_modality",
    "stacked",
]
