"""Feed readers, parameters and `skclr.load` what nobody would: only documented exceptions may come out.

atheris guides the bytes by the lines that they reach; a run ends at the first other exception, at an input that takes
over 5 s, and at an allocation over 1 GiB. Each target runs in a process of its own.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import RESULTS, write
from scipy import sparse

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing, and without it there is nothing to do: pip install atheris")

with atheris.instrument_imports(include=["skclr"]):
    from skclr import ContrastiveEmbedder, load, storage
    from skclr.modalities import MODALITIES, infer_modality
    from skclr.persistence import CLASSES

LIMITS = ["-timeout=5", "-malloc_limit_mb=1024", "-rss_limit_mb=4096", "-max_len=4096"]
DTYPES = ["f4", "f8", "i8", "u1", "i2", "?", "c16", "O", "U3", "M8[s]", "f2"]
SPECIAL = [
    0,
    1,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e308,
    2**70,
    None,
    "",
    "a b",
    b"x",
    True,
    pd.NA,
    [],
    {},
]
MODALITY_PARAMS: dict[str, dict[str, Any]] = {
    "audio": {"sampling_rate": 1000, "n_mels": 3},
    "text": {"tokenizer": "words"},
}


# -- inputs from bytes ----------------------------------------------------------------------------------------


def scalar(draw: Any) -> Any:
    if draw.ConsumeBool():
        return SPECIAL[draw.ConsumeIntInRange(0, len(SPECIAL) - 1)]
    return draw.ConsumeFloat() if draw.ConsumeBool() else draw.ConsumeUnicode(6)


def array(draw: Any) -> np.ndarray:
    shape = [draw.ConsumeIntInRange(0, 6) for _ in range(draw.ConsumeIntInRange(0, 5))]
    values = np.array([draw.ConsumeFloat() for _ in range(8)])
    with np.errstate(all="ignore"):
        return np.resize(values, shape).astype(DTYPES[draw.ConsumeIntInRange(0, len(DTYPES) - 1)])


def frame(draw: Any) -> Any:
    n_rows = draw.ConsumeIntInRange(0, 5)
    columns = {scalar(draw) if draw.ConsumeBool() else f"c{j}": None for j in range(draw.ConsumeIntInRange(0, 4))}
    return pd.DataFrame({str(name): [scalar(draw) for _ in range(n_rows)] for name in columns})


def anything(draw: Any, depth: int = 0) -> Any:
    match draw.ConsumeIntInRange(0, 7):
        case 0 | 1:
            return array(draw)
        case 2:
            return frame(draw)
        case 3:
            return [draw.ConsumeUnicode(9) for _ in range(draw.ConsumeIntInRange(0, 5))]
        case 4 if depth < 3:
            items = [anything(draw, depth + 1) for _ in range(draw.ConsumeIntInRange(0, 4))]
            return tuple(items) if draw.ConsumeBool() else items
        case 5:
            return [array(draw) for _ in range(draw.ConsumeIntInRange(0, 4))]
        case 6:
            dense = np.resize(np.array([0.0, draw.ConsumeFloat()]), (draw.ConsumeIntInRange(0, 4), 3))
            return sparse.csr_array(dense)
    return scalar(draw)


# -- targets --------------------------------------------------------------------------------------------------


def reading(name: str) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        draw = atheris.FuzzedDataProvider(data)
        modality, estimator = MODALITIES[name](**MODALITY_PARAMS.get(name, {})), ContrastiveEmbedder()
        try:
            X = anything(draw)
            infer_modality(X, {})
            rows = modality.read(X, estimator, reset=True)
            modality.to_tensor(rows[np.arange(min(2, rows.shape[0]))])
            modality.read(anything(draw), estimator, reset=False)
        except (ValueError, TypeError, FileNotFoundError):
            pass

    return target


def parameters(data: bytes) -> None:
    draw = atheris.FuzzedDataProvider(data)
    names = sorted(ContrastiveEmbedder().get_params())
    chosen = {
        names[draw.ConsumeIntInRange(0, len(names) - 1)]: scalar(draw) for _ in range(draw.ConsumeIntInRange(1, 3))
    }
    # What is right trains: not for long.
    chosen = {**chosen, "max_epochs": chosen.get("max_epochs", 0) and "many", "checkpoint_dir": None, "verbose": 0}
    with contextlib.suppress(ValueError, TypeError):
        ContrastiveEmbedder(**chosen).fit(np.arange(12.0).reshape(4, 3) % 5)


def loading() -> Callable[[bytes], None]:
    path = Path(tempfile.mkdtemp()) / "model.skclr"
    small = {
        "encoder_params": {"width": 2, "out_features": 2},
        "framework_params": {"hidden_dim": 2},
        "projection_dim": 2,
    }
    ContrastiveEmbedder(max_epochs=0, random_state=0, **small).fit(np.arange(12.0).reshape(4, 3) % 5).save(path)
    raw = path.read_bytes()

    def target(data: bytes) -> None:
        draw = atheris.FuzzedDataProvider(data)
        altered = bytearray(raw)
        for _ in range(draw.ConsumeIntInRange(0, 4)):
            start, length = draw.ConsumeIntInRange(0, len(altered)), draw.ConsumeIntInRange(0, 8)
            altered[start : start + length] = draw.ConsumeBytes(draw.ConsumeIntInRange(0, 12))
        if draw.ConsumeBool() and len(altered) > 200:
            # As a stranger would: the checksum fits.
            altered[storage._DIGEST] = storage._digest(altered)
        path.write_bytes(altered)
        with contextlib.suppress(ValueError):
            load(path)

    return target


def values(data: bytes) -> None:
    """Read trees of values, well formed or nearly so."""
    draw = atheris.FuzzedDataProvider(data)
    kinds = ["float", "tuple", "dict", "tensor", "array", "objects", "missing", "class", "part", "code"]

    def tree(depth: int) -> Any:
        if depth == 4 or draw.ConsumeBool():
            return [None, True, draw.ConsumeInt(4), draw.ConsumeUnicode(5), *CLASSES][draw.ConsumeIntInRange(0, 20)]
        items = [tree(depth + 1) for _ in range(draw.ConsumeIntInRange(0, 3))]
        return items if draw.ConsumeBool() else {kinds[draw.ConsumeIntInRange(0, 9)]: items}

    with contextlib.suppress(storage.ModelFileError):
        storage.Reader(CLASSES, {}).read(tree(0))


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    **{f"read {name}": lambda name=name: reading(name) for name in MODALITIES},
    "parameters": lambda: parameters,
    "load": loading,
    "values of a file": lambda: values,
}


def fuzz(name: str, n_inputs: int, seconds: int, seed: int) -> dict[str, Any]:
    limits = [*LIMITS, f"-runs={n_inputs}", f"-max_total_time={seconds}", f"-seed={seed + 1}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--target", name, *limits, f"-artifact_prefix={folder}/"]
        ended = subprocess.run(command, capture_output=True, text=True)
    done = re.search(r"Done (\d+) runs in (\d+) second", ended.stderr)
    if ended.returncode or not done:
        print(ended.stdout[-3000:] + ended.stderr[-3000:])
    return {
        "inputs": int(done[1]) if done else 0,
        "seconds": int(done[2]) if done else None,
        "failed": ended.returncode != 0,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all without one")
    options.add_argument("--target", help=argparse.SUPPRESS)
    options.add_argument("--inputs", type=int, default=100_000)
    options.add_argument("--seconds", type=int, default=600, help="after which a target is left")
    options.add_argument("--seed", type=int, default=0)
    arguments, flags = options.parse_known_args()
    if arguments.target:
        warnings.simplefilter("ignore")
        atheris.Setup([sys.argv[0], *flags], TARGETS[arguments.target]())
        atheris.Fuzz()
    path = RESULTS / "fuzz.json"
    # Targets can be run one by one; the others' results stay.
    results = json.loads(path.read_text())["targets"] if path.exists() else {}
    for name in arguments.targets or TARGETS:
        results[name] = fuzz(name, arguments.inputs, arguments.seconds, arguments.seed)
        print(name, results[name], flush=True)
    write("fuzz", {"seed": arguments.seed, "targets": results}, packages=("atheris",))


if __name__ == "__main__":
    main()
