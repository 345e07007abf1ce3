"""Forge model files with valid checksums, and watch what reading them does."""

import contextlib
import ctypes
import sys
import types
from pathlib import Path

from skclr import ContrastiveEmbedder
from skclr.files.format import Reader, from_bytes, to_bytes
from skclr.saving import CLASSES

SMALL_HEAD = {"framework_params": {"hidden_dim": 3}, "projection_dim": 4, "random_state": 0}
MEBIBYTE = 2**20


def written(X, path, **parameters):
    """Return the bytes of the file of an embedder that was fitted on X."""
    embedder = ContrastiveEmbedder(**{**SMALL_HEAD, "max_epochs": 1, **parameters}).fit(X)
    embedder.save(path)
    return Path(path).read_bytes()


def forged(raw, edit):
    """Return a file with another content; `edit` changes it in place."""
    tree, tensors = from_bytes(raw)
    content = Reader(CLASSES, tensors).read(tree)
    edit(content)
    return to_bytes(content, CLASSES)


# -- what reading does ------------------------------------------------------------------------------

_EVENTS = (
    "open",
    "import",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.listdir",
    "os.scandir",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "glob.glob",
    "pickle.find_class",
    "shutil.copyfile",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "tempfile.mkstemp",
    "urllib.Request",
)
_seen = []
_watching = [False]


def _hook(event, arguments):
    if _watching[0] and event in _EVENTS:
        _seen.append((event, *map(str, arguments[:1])))


sys.addaudithook(_hook)


@contextlib.contextmanager
def nothing_reached(*expected):
    """Assert that the block opens no file but those expected, imports nothing, connects to nothing and runs nothing.

    The imports of the first call of a method are not caused by the file: call it once before.
    """
    _seen.clear()
    _watching[0] = True
    try:
        yield
    finally:
        _watching[0] = False
    allowed = {str(path) for path in expected}
    reached = [event for event in _seen if event[1] not in allowed and not event[1].startswith(("/proc/", "/sys/"))]
    assert not reached, reached


def rss():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextlib.contextmanager
def memory_below(most):
    """Assert that the process never grows by more than `most` bytes in the block."""
    with contextlib.suppress(OSError, AttributeError):
        # What was freed before would hide what is taken now.
        ctypes.CDLL(None).malloc_trim(0)
    if not Path("/proc/self/clear_refs").exists():
        # Elsewhere the limits of the system have to do.
        yield
        return
    Path("/proc/self/clear_refs").write_text("5")
    before = rss()
    yield
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    assert peak - before < most, f"{(peak - before) / MEBIBYTE:.0f} MiB"


# -- packages that are not reached ------------------------------------------------------------------


class StandIn(types.ModuleType):
    """A module that records every attribute that is requested from it."""

    def __init__(self, name, reached):
        super().__init__(name)
        self.__dict__["reached"] = reached

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self.reached.append(f"{self.__name__}.{name}")
        raise AssertionError(f"{self.__name__}.{name} was reached")


def plant(monkeypatch):
    """Replace all packages whose code a file might request by stand-ins, and return what is reached."""
    reached = []
    for name in ("timm", "tokenizers", "sentence_transformers", "transformers", "huggingface_hub", "wordllama"):
        monkeypatch.setitem(sys.modules, name, StandIn(name, reached))
    return reached
