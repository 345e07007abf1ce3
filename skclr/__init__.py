"""skclr: contrastive representation learning with `fit` and `transform`."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from skclr._version import __version__ as __version__

if TYPE_CHECKING:
    from skclr.embedder import ContrastiveEmbedder, load
    from skclr.evaluation import compare, diagnose
    from skclr.files.format import ModelFileError
    from skclr.plotting import report
    from skclr.semi_supervised import SemiSupervisedClassifier

__all__ = ["ContrastiveEmbedder", "ModelFileError", "SemiSupervisedClassifier", "compare", "diagnose", "load", "report"]

# Imported on first use, so that training and embedding do not wait for plots, and the command line handles Ctrl-C
# before torch is imported.
_LATER = {
    "ContrastiveEmbedder": "embedder",
    "ModelFileError": "files.format",
    "SemiSupervisedClassifier": "semi_supervised",
    "compare": "evaluation",
    "diagnose": "evaluation",
    "load": "embedder",
    "report": "plotting",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"skclr.{_LATER[name]}"), name)
    if not name.startswith("_") and find_spec(f"skclr.{name}") is not None:
        return import_module(f"skclr.{name}")
    raise AttributeError(f"module 'skclr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *(module.partition(".")[0] for module in _LATER.values())})
