"""Change model files at random where it matters, load them, and use those that load.

The changes are those of `mutations.py`. Run by `python -m tests.robustness.many_mutations`.

Each has to be refused by a ValueError or to serve every verb, without a file, a socket, a process or memory that only
the file names. The result is one more target in `benchmarks/results/fuzz.json`. Runs without atheris; on Linux memory
is measured.
"""

import argparse
import collections
import json
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from benchmarks._common import RESULTS
from skclr import load
from tests.robustness.forging import written
from tests.robustness.mutations import mutated
from tests.robustness.test_model_file_mutations import SMALL, X_OF, check, use


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    options.add_argument("--seconds", type=int, default=7_200, help="after which the run ends")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    start = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skclr"
        raw = {kind: written(X, path, **SMALL[kind]) for kind, X in X_OF.items()}
        for kind, content in raw.items():
            path.write_bytes(content)
            use(load(path), X_OF[kind])
        for seed in range(arguments.seed, arguments.seed + arguments.inputs):
            kind = [*X_OF][seed % len(X_OF)]
            try:
                counts["loaded"] += check(path, mutated(raw[kind], seed), X_OF[kind])
            except BaseException:
                counts["failures"] += 1
                print(f"seed {seed}, {kind}:\n{traceback.format_exc()}", flush=True)
            counts["inputs"] += 1
            if seed % 1_000 == 0:
                print(seed, dict(counts), flush=True)
            if time.monotonic() - start > arguments.seconds:
                break
    path = RESULTS / "fuzz.json"
    results = json.loads(path.read_text())
    results["targets"]["mutated model files"] = {
        "inputs": counts["inputs"],
        "loaded": counts["loaded"],
        "seconds": round(time.monotonic() - start),
        "failures": counts["failures"],
    }
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(results["targets"]["mutated model files"])


if __name__ == "__main__":
    main()
