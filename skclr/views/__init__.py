"""View makers, which create positive pairs. To add one, write its file and add a line to `VIEWS`."""

from skclr.views.audio import AudioViews
from skclr.views.base import Samples, Views
from skclr.views.custom import CallableViews
from skclr.views.image import ImageViews
from skclr.views.neighbors import Neighbors
from skclr.views.paired import Paired
from skclr.views.series import SeriesViews
from skclr.views.tabular import Jitter, MarginalCorruption, Masking, Mixup
from skclr.views.text import TextViews

VIEWS: dict[str, type[Views]] = {
    "corruption": MarginalCorruption,
    "masking": Masking,
    "jitter": Jitter,
    "mixup": Mixup,
    "neighbors": Neighbors,
    "paired": Paired,
    "image": ImageViews,
    "series": SeriesViews,
    "audio": AudioViews,
    "text": TextViews,
}

__all__ = [
    "VIEWS",
    "AudioViews",
    "CallableViews",
    "ImageViews",
    "Jitter",
    "MarginalCorruption",
    "Masking",
    "Mixup",
    "Neighbors",
    "Paired",
    "Samples",
    "SeriesViews",
    "TextViews",
    "Views",
]
