"""View makers: how positive pairs are made. To add one, write its file and its line here."""

from skclr.views.base import Samples, Views
from skclr.views.custom import CallableViews
from skclr.views.image import ImageViews
from skclr.views.tabular import MarginalCorruption

VIEWS: dict[str, type[Views]] = {
    "corruption": MarginalCorruption,
    "image": ImageViews,
}

__all__ = ["VIEWS", "CallableViews", "ImageViews", "MarginalCorruption", "Samples", "Views"]
