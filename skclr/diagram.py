"""The parts of an embedder in scikit-learn's diagram, as notebooks show it."""

from __future__ import annotations

import inspect
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
    """Give what each part has become, in short and at length."""
    net = embedder.net_
    framework, modality, views = net.framework_, embedder._modality, net.view_maker
    encoder, epochs = embedder.encoder_, embedder.loss_curve_
    trained = f"{counted(len(epochs), 'epoch')}, loss {epochs[-1]:.4g}" if epochs else "untrained"
    width = counted(encoder.out_features, "feature")
    n_weights = sum(parameter.numel() for parameter in encoder.parameters())
    loss = getattr(framework, "loss", None)
    settings = {name: getattr(views, name, "") for name in inspect.signature(type(views)).parameters}
    return {
        "modality": (type(modality).__name__, f"samples of shape {modality.shape_}"),
        "views": (f"{type(views).__name__}: {counted(views.n_views, 'view')}", settings),
        "encoder": (
            f"{type(encoder.network).__name__}: {width}, {counted(n_weights, 'weight')}",
            encoder.network,
        ),
        "framework": (
            f"{type(framework).__name__}: {trained} on {embedder.device_}",
            f"n_features_out: {embedder._n_features_out}",
        ),
        "loss": (type(loss).__name__, loss) if loss is not None else ("the framework's own", ""),
    }


def _name(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
