"""View makers: how positive pairs are made. To add one, write its file and its line here."""

from typing import Any

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


def shows_given(views: Any) -> bool:
    """Return whether a `views` parameter, a name, a class or an object, shows the views that X holds."""
    part = VIEWS.get(views) if isinstance(views, str) else views
    return bool(getattr(part, "shows_given", False))


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
    "shows_given",
]
