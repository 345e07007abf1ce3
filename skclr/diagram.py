"""The parts of an embedder in scikit-learn's HTML diagram for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skclr.model import Model
from skclr.wording import counted

_PARTS = ("modality", "views", "encoder", "framework", "loss")


def diagram(parameters: Mapping[str, Any], model: Model | None) -> Any:
    """Return a diagram of the parts in one column: the names that were set and, after a fit, what was built.

    Parameters
    ----------
    parameters : parameters of the estimator.
    model : the fitted model; None before the fit.

    Notes
    -----
    scikit-learn calls it through `_sk_visual_block_`; a version without that method draws a plain box.
    """
    from sklearn.utils._repr_html.estimator import _VisualBlock

    made = _made(model) if model else {}
    blocks = []
    for part in _PARTS:
        caption, details = made.get(part, (_name(parameters[part]), parameters[f"{part}_params"] or {}))
        blocks.append(_VisualBlock("single", None, names=part, name_caption=caption, name_details=details))
    return _VisualBlock("serial", blocks, dash_wrapped=False)


def _made(model: Model) -> dict[str, tuple[str, Any]]:
    """Return a short and a long description of each part."""
    plan, epochs = model.plan, model.net.history
    encoder: Any = model.encoder
    trained = f"{counted(len(epochs), 'epoch')}, loss {epochs[-1]['train_loss']:.4g}" if epochs else "untrained"
    width = counted(encoder.out_features, "feature")
    n_weights = sum(parameter.numel() for parameter in encoder.parameters())
    loss = ("the framework's own", "") if plan.loss is None else (plan.loss.name, plan.loss)
    return {
        "modality": (plan.modality.name, f"samples of shape {model.modality.base_modality.shape_}"),
        "views": (f"{plan.views.name}: {counted(model.net.view_maker.n_views, 'view')}", plan.views.arguments),
        "encoder": (f"{type(encoder.network).__name__}: {width}, {counted(n_weights, 'weight')}", encoder.network),
        "framework": (
            f"{plan.framework.name}: {trained} on {model.device}",
            f"n_features_out: {model.n_features_out}",
        ),
        "loss": loss,
    }


def _name(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
