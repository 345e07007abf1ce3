"""Plots that follow scikit-learn's Display convention: `from_estimator`, `ax=`, `plot`, `ax_`, `figure_`."""

from skclr.plotting.embedding import PROJECTIONS, EmbeddingDisplay
from skclr.plotting.label_efficiency import LabelEfficiencyDisplay
from skclr.plotting.loss_curve import LossCurveDisplay
from skclr.plotting.neighbors import NeighborsDisplay
from skclr.plotting.reporting import report
from skclr.plotting.samples import DRAWINGS, Drawing
from skclr.plotting.similarity import SimilarityDisplay
from skclr.plotting.views import ViewsDisplay

__all__ = [
    "DRAWINGS",
    "PROJECTIONS",
    "Drawing",
    "EmbeddingDisplay",
    "LabelEfficiencyDisplay",
    "LossCurveDisplay",
    "NeighborsDisplay",
    "SimilarityDisplay",
    "ViewsDisplay",
    "report",
]
