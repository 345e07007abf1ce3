"""skclr: contrastive representation learning with `fit` and `transform`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skclr.embedder import ContrastiveEmbedder, load
from skclr.storage import ModelFileError

if TYPE_CHECKING:
    from skclr.evaluation import compare, diagnose
    from skclr.plotting import report
    from skclr.semi_supervised import SemiSupervisedClassifier

__version__ = "0.1.0.dev0"

__all__ = ["ContrastiveEmbedder", "ModelFileError", "SemiSupervisedClassifier", "compare", "diagnose", "load", "report"]

# Imported when they are asked for: who only trains and embeds need not wait for them.
_LATER = {
    "SemiSupervisedClassifier": "semi_supervised",
    "compare": "evaluation",
    "diagnose": "evaluation",
    "report": "plotting",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"skclr.{_LATER[name]}"), name)
    if name in _LATER.values():
        return import_module(f"skclr.{name}")
    raise AttributeError(f"module 'skclr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_LATER.values()})
