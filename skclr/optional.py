"""Optional dependencies."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def import_optional(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module : name of the module, such as "matplotlib.pyplot".
    extra : extra of skclr that installs it.
    purpose : what needs the module, the subject of the error message.

    Raises
    ------
    ImportError : if it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module, extra, purpose) from error


def folder_of_optional(package: str, extra: str, purpose: str) -> Path:
    """Return the folder of a package without importing it; parameters and errors as in `import_optional`."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise _missing(package, extra, purpose)
    return Path(spec.origin).parent


def _missing(module: str, extra: str, purpose: str) -> ImportError:
    package = module.partition(".")[0]
    return ImportError(
        f'{purpose} needs the package {package}, which is not installed. Run pip install "skclr[{extra}]".',
        name=package,
    )
