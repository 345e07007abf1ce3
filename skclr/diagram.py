"""The parts of an embedder in scikit-learn's diagram, as notebooks show it."""

from __future__ import annotations

from typing import Any

from skclr.wording import counted

_PARTS = ("modality", "views", "encoder", "framework", "loss")


def diagram(embedder: Any, *, fitted: bool) -> Any:
    """Draw the parts one below the other: the names that were set, and after a fit what was made of them.

    scikit-learn asks for it through `_sk_visual_block_`, and where it does not know of it any more draws a plain box.
    """
    from sklearn.utils._repr_html.estimator import _VisualBlock

    made = _made(embedder) if fitted else {}
    blocks = []
    for part in _PARTS:
        caption, details = made.get(part, (_name(getattr(embedder, part)), getattr(embedder, f"{part}_params") or {}))
        blocks.append(_VisualBlock("single", None, names=part, name_caption=caption, name_details=details))
    return _VisualBlock("serial", blocks, dash_wrapped=False)


def _made(embedder: Any) -> dict[str, tuple[str, Any]]:
    """Return what each part has become, in short and at length."""
    net, plan = embedder.net_, embedder.net_.plan
    encoder, epochs = embedder.encoder_, embedder.loss_curve_
    trained = f"{counted(len(epochs), 'epoch')}, loss {epochs[-1]:.4g}" if epochs else "untrained"
    width = counted(encoder.out_features, "feature")
    n_weights = sum(parameter.numel() for parameter in encoder.parameters())
    loss = ("the framework's own", "") if plan.loss is None else (plan.loss.name, plan.loss)
    return {
        "modality": (plan.modality.name, f"samples of shape {embedder._modality.shape_}"),
        "views": (f"{plan.views.name}: {counted(net.view_maker.n_views, 'view')}", plan.views.arguments),
        "encoder": (f"{type(encoder.network).__name__}: {width}, {counted(n_weights, 'weight')}", encoder.network),
        "framework": (
            f"{plan.framework.name}: {trained} on {embedder.device_}",
            f"n_features_out: {embedder._n_features_out}",
        ),
        "loss": loss,
    }


def _name(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
