"""Evaluation: probes, which use labels, and measures and scorers, which use none."""

from skclr.evaluation.budgets import draw_labels
from skclr.evaluation.comparison import Comparison, compare
from skclr.evaluation.diagnosis import Finding, diagnose
from skclr.evaluation.probes import (
    beside_baselines,
    fine_tune_probe,
    knn_probe,
    label_efficiency,
    linear_probe,
    transfer_probe,
)
from skclr.evaluation.scorers import SCORERS, EmbeddingScorer, ViewsScorer, embed, embed_two_views
from skclr.evaluation.statistics import confidence_interval, corrected_t_test
from skclr.evaluation.verdicts import Verdict
from skclr.measures import (
    alignment,
    collapsed_share,
    effective_rank,
    feature_std,
    info_nce_bound,
    neighbor_overlap,
    uniformity,
    view_auc,
)

__all__ = [
    "SCORERS",
    "Comparison",
    "EmbeddingScorer",
    "Finding",
    "Verdict",
    "ViewsScorer",
    "alignment",
    "beside_baselines",
    "collapsed_share",
    "compare",
    "confidence_interval",
    "corrected_t_test",
    "diagnose",
    "draw_labels",
    "effective_rank",
    "embed",
    "embed_two_views",
    "feature_std",
    "fine_tune_probe",
    "info_nce_bound",
    "knn_probe",
    "label_efficiency",
    "linear_probe",
    "neighbor_overlap",
    "transfer_probe",
    "uniformity",
    "view_auc",
]
