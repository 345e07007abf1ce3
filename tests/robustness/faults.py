"""What goes wrong on purpose, what survives it and what is lost.

Each section injects one kind of fault and counts: `survived` are those after which everything is as if nothing had
happened, to the bit where bits are compared; `lost` is the rest. Sections can be run one by one; the others' results
stay in benchmarks/results/faults.json. Run by `python -m tests.robustness.faults`.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from benchmarks._common import RESULTS, write
from tests.robustness import faults_files as files
from tests.robustness import faults_running as running
from tests.robustness import faults_training as training

SECTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "kills": training.kills,
    "full_disk": training.full_disk,
    "workers": training.workers,
    "leaks": training.leaks,
    "search": training.search,
    "crashes": files.crashes,
    "damage": files.damage,
    "loads_beside_saves": files.loads_beside_saves,
    "full_disk_saving": files.full_disk,
    "embedding": files.embedding,
    "interrupts": running.interrupts,
    "freezing": running.freezing,
}


def table(sections: dict[str, dict[str, Any]]) -> str:
    """Lay out what was counted, a line for each kind of fault."""
    lines = [f"{'fault':64}{'injected':>9}{'survived':>9}{'lost':>6}"]
    for section in sections.values():
        for name, row in section["faults"].items():
            lines.append(f"{name:64}{row['injected']:>9}{row['survived']:>9}{row['lost']:>6}")
        lines += [f"  {name}: {value}" for name, value in section.get("measured", {}).items()]
    return "\n".join(lines)


def added(one: Any, other: Any) -> Any:
    """Add the numbers of two results of one section."""
    if isinstance(one, dict):
        return {name: added(value, other[name]) for name, value in one.items()}
    return one + other


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all without one")
    options.add_argument("--kills", type=int, default=207, help="processes to kill in the middle of a fit")
    options.add_argument("--interrupts", type=int, default=500, help="fits in which Ctrl-C is pressed")
    options.add_argument("--freezing-kills", type=int, default=200, help="processes to kill in fits that freeze layers")
    options.add_argument("--minutes", type=float, default=60, help="after which no more processes are killed")
    options.add_argument("--fits", type=int, default=200, help="fits whose leftovers are counted")
    options.add_argument("--rounds", type=int, default=5, help="times that each way to search is timed")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--add", action="store_true", help="add to the existing counts, with another seed")
    arguments = options.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        options.error(f"no sections: {', '.join(sorted(unknown))}")
    path = RESULTS / "faults.json"
    for name in arguments.sections or SECTIONS:
        result = SECTIONS[name](arguments)
        sections = json.loads(path.read_text())["sections"] if path.exists() else {}
        sections[name] = added(sections[name], result) if arguments.add and name in sections else result
        write("faults", {"sections": sections})
        print(table(sections), flush=True)


if __name__ == "__main__":
    main()
