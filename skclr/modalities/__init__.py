"""Modalities: how X is read. To add one, write its module and add a line here."""

from skclr.data.aligned import Aligned, map_views, stack_views
from skclr.data.parquet import ParquetRows
from skclr.modalities.audio import Audio
from skclr.modalities.base import Modality, check_two_samples
from skclr.modalities.image import Image
from skclr.modalities.plain_features import PlainFeatures, SparsePlainFeatures, on_features
from skclr.modalities.series import Series
from skclr.modalities.tabular import Tabular
from skclr.modalities.text import NGrams, Text

MODALITIES: dict[str, type[Modality]] = {
    "tabular": Tabular,
    "image": Image,
    "series": Series,
    "audio": Audio,
    "text": Text,
}

__all__ = [
    "MODALITIES",
    "Aligned",
    "Audio",
    "Image",
    "Modality",
    "NGrams",
    "ParquetRows",
    "PlainFeatures",
    "Series",
    "SparsePlainFeatures",
    "Tabular",
    "Text",
    "check_two_samples",
    "map_views",
    "on_features",
    "stack_views",
]
