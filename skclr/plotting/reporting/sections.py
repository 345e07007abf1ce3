"""The sections of the report."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version
from typing import Any

import numpy as np

from skclr import evaluation
from skclr._version import __version__
from skclr.data import Rows
from skclr.plotting.base import COLORS
from skclr.plotting.embedding import numeric_first
from skclr.plotting.labels import label_name
from skclr.plotting.reporting.map import data_uri, tile_height
from skclr.plotting.samples import Drawing, Picture, shortened, some_rows, some_views
from skclr.wording import counted

# Number of rows that suffices for a measure with two digits.
_MEASURED_ROWS = 2_000
_N_VIEWED = 6
# Images with shorter sides than this are enlarged with hard edges.
_COARSE = 20

# -- data and training ---------------------------------------------------------------------------


def title(embedder: Any) -> str:
    """Return the title of the page."""
    return f"{embedder.net_.plan.framework.name} on {embedder.modality_} data"


def summary(embedder: Any, X: Rows, y: Any) -> str:
    """Return a one-line summary."""
    return " · ".join(
        [
            counted(len(X), "sample"),
            counted(len(embedder.get_feature_names_out()), "feature"),
            counted(embedder.n_iter_, "epoch"),
            f"trained {'with' if embedder.net_.plan.positives == 'labels' else 'without'} labels",
            *(["labels shown"] if y is not None else []),
        ]
    )


def facts(embedder: Any, X: Rows, y: Any) -> dict[str, dict[str, str]]:
    """Return facts about the data and the training, by heading."""
    plan, encoder = embedder.net_.plan, embedder.encoder_
    defaults = type(embedder)().get_params(deep=False)
    changed = {
        name: shortened(str(value), 120)
        for name, value in embedder.get_params(deep=False).items()
        if repr(value) != repr(defaults[name])
    }
    data = {
        "samples": f"{len(X):,}",
        "modality": embedder.modality_,
        "shape of one": " × ".join(map(str, embedder.model_.modality.base_modality.shape_)),
    }
    if y is not None:
        data["labels"] = _describe(y)
    training = {
        "framework": plan.framework.name,
        "loss": "the framework's own" if plan.loss is None else plan.loss.name,
        "encoder": type(getattr(encoder, "network", encoder)).__name__,
        "weights": f"{sum(p.numel() for p in encoder.parameters()):,}",
        "features": f"{encoder.out_features} of the network; transform returns {_columns(embedder.model_)}",
        "views": plan.views.name,
        "epochs": str(embedder.n_iter_),
        "batch size": str(plan.batch_size),
        "optimiser": f"{plan.optimizer.name}, learning rate {plan.learning_rate:.3g}",
        "device": str(embedder.device_),
    }
    packages = {name: version(name) for name in ("torch", "skorch", "scikit-learn", "numpy")}
    versions = {"python": platform.python_version(), "skclr": __version__, **packages}
    versions["written"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"The data": data, "The training": training, "Set by hand": changed or {"nothing": ""}, "Versions": versions}


def _columns(model: Any) -> str:
    return f"{model.n_learned} of them and {model.n_plain} plain features" if model.n_plain else "these"


def _describe(labels: np.ndarray) -> str:
    if labels.dtype.kind == "f":
        return f"numbers from {np.nanmin(labels):.4g} to {np.nanmax(labels):.4g}"
    names = sorted({label_name(label) for label in labels if label is not None}, key=numeric_first)
    n_without = sum(label is None for label in labels)
    without = f", and {counted(n_without, 'unlabelled row')}" if n_without else ""
    return f"{counted(len(names), 'class', 'classes')}: {shortened(', '.join(names), 80)}{without}"


# -- diagnosis -------------------------------------------------------------------------------------


def findings(embedder: Any, X: Rows, y: Any, random_state: int) -> list[tuple[str, str]]:
    """Return the name and the text of each finding."""
    return [(name, message) for name, message in evaluation.diagnose(embedder, X, y, random_state=random_state)]


_MEASURES = {
    "effective rank": "number of directions that the embedding uses, of {width}",
    # Between many random points in many dimensions, all squared distances are 2.
    "uniformity": "how evenly samples are spread; 0 if all are the same point, near -4 if they are random",
    "alignment": "squared distance of two views of a sample; 0 if they are equal, 2 if they are unrelated",
    "view AUC": "how often a view is more similar to its sample's other view than to another sample's; 50 % is chance",
    "neighbour overlap": "share of a sample's ten nearest neighbours that are the same in both views",
    "collapsed directions": "share of directions in which samples hardly differ",
}


def measures(embedder: Any, X: Rows, random_state: Any) -> list[dict[str, str]]:
    """Return measures that need no labels, with explanations."""
    sample = X[some_rows(X, _MEASURED_ROWS, random_state)]
    z = evaluation.embed(embedder, sample.first.as_given())
    z1, z2 = evaluation.embed_two_views(embedder, sample.as_given(), random_state)
    values = {
        "effective rank": f"{evaluation.effective_rank(z):.1f}",
        "uniformity": f"{evaluation.uniformity(z):.2f}",
        "alignment": f"{evaluation.alignment(z1, z2):.2f}",
        "view AUC": f"{evaluation.view_auc(z1, z2):.1%}",
        "neighbour overlap": f"{evaluation.neighbor_overlap(z1, z2):.1%}",
        "collapsed directions": f"{evaluation.collapsed_share(z):.1%}",
    }
    meanings = {name: meaning.format(width=min(z.shape)) for name, meaning in _MEASURES.items()}
    return [{"name": name, "value": value, "meaning": meanings[name]} for name, value in values.items()]


# -- charts -----------------------------------------------------------------------------------------


def loss_chart(embedder: Any) -> list[dict[str, Any]]:
    """Return a chart of the loss of each epoch; none before training."""
    if not embedder.n_iter_:
        return []
    history = embedder.history_
    lines = [{"name": "training", "y": [float(loss) for loss in embedder.loss_curve_], "color": COLORS[0]}]
    if "valid_loss" in history[-1]:
        losses = [float(epoch["valid_loss"]) for epoch in history]
        lines.append({"name": "validation", "y": losses, "color": COLORS[1], "dash": "dash"})
    epochs = list(range(1, len(history) + 1))
    return [{"id": "loss", "x": epochs, "x_title": "epoch", "y_title": "loss", "lines": lines}]


# -- views ------------------------------------------------------------------------------------------


def views(embedder: Any, X: Rows, random_state: Any) -> dict[str, Any]:
    """Return some samples, each followed by its views: data URIs of images, or parts of rows and texts."""
    originals, drawn = some_views(embedder, X, some_rows(X, _N_VIEWED, random_state), random_state)
    samples = [list(drawings) for drawings in zip(originals, *drawn, strict=True)]
    first = originals[0]
    return {
        "kind": first.kind,
        "wide": first.wide,
        "pixels": isinstance(first, Picture) and max(first.pixels.shape[:2]) < _COARSE,
        "samples": [[_shown(drawing, original) for drawing in (original, *rest)] for original, *rest in samples],
    }


def _shown(drawing: Drawing, original: Drawing) -> Any:
    if drawing.kind != "picture":
        return drawing.parts(original)
    return data_uri(drawing.tile(tile_height(drawing, n_samples=1)), exact=True)
