"""The speed of skclr, compared with other libraries and with code written by hand.

Each row is one piece of work done in several ways, which alternate in one run; claims are about the medians. Name rows
to run only these: results/vs_peers.json keeps the others. A library that cannot be imported is left out, and the row
says so. `--smoke` tries each row on a few samples and saves nothing. plots.py draws the rows. `--against PATH` compares
SimCLR and `transform` with another checkout of skclr instead, in alternating pairs of processes.
"""

import argparse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _speed_growth as growth
import _speed_parts as parts
import _speed_training as training
import torch
from _against import compare
from _common import save, saved, surroundings
from _measuring import Work

ROWS: dict[str, Callable[[bool], Work]] = {
    "simclr-conv": partial(training.simclr, "conv"),
    "simclr-resnet18": partial(training.simclr, "resnet18"),
    **{f"fit-{name}": partial(training.framework, name) for name in training.FRAMEWORKS},
    "views": parts.views,
    "nt-xent": parts.nt_xent,
    "every-loss": parts.every_loss,
    "tables": training.tables,
    "transform-rows": partial(parts.transform, "rows"),
    "transform-images": partial(parts.transform, "images"),
    "growth-epoch": growth.epoch,
    "growth-losses": parts.loss_growth,
    "growth-fit-memory": growth.epochs,
    "growth-transform-memory": growth.transformed,
    "half-precision": training.half_precision,
}
# Rows available for --against.
AGAINST = ("simclr-conv", "simclr-resnet18", "transform-rows", "transform-images")
PEERS = ("lightly", "kornia", "torchvision", "cebra")


SIGNS = {"at_least": "≥", "at_most": "≤"}


def show(row: dict[str, Any]) -> None:
    for way, measures in row["medians"].items():
        print(f"  {way:40}" + "".join(f"{value:14,.1f} {unit}" for unit, value in measures.items()))
    for way, why in row["missing"].items():
        print(f"  {way:40} left out: {why}")
    for claim in row["claims"]:
        asked = next((f", asked {sign} {claim[key]}" for key, sign in SIGNS.items() if claim[key] is not None), "")
        verdict = "" if not asked else ("  holds" if claim["holds"] else "  FALLS SHORT")
        print(f"  {claim['what']}: {claim['value']:.2f} ({claim['unit']}{asked}){verdict}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("rows", nargs="*", metavar="ROW", help=f"default: all of {', '.join(ROWS)}")
    options.add_argument("--repeats", type=int, help="alternations; default: each row has its own number")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--against", type=Path, metavar="PATH", help="another checkout to compare with")
    options.add_argument("--pairs", type=int, default=15, help="with --against")
    options.add_argument("--smoke", action="store_true", help="a few samples, in seconds; saves no results")
    arguments = options.parse_args()
    if unknown := set(arguments.rows) - set(ROWS):
        options.error(f"unknown: {', '.join(unknown)}; rows are {', '.join(ROWS)}")
    if arguments.against:
        cases = [name for name in AGAINST if name in (arguments.rows or AGAINST)]
        compare(cases, arguments.against, arguments.pairs, arguments.threads, arguments.smoke)
        return
    torch.set_num_threads(arguments.threads)
    for name in arguments.rows or ROWS:
        print(name, flush=True)
        missing = ROWS[name](True).rehearse()
        work = ROWS[name](arguments.smoke)
        row = work.measure(missing, 1 if arguments.smoke else arguments.repeats or work.repeats)
        show(row)
        if not arguments.smoke:
            packages = tuple(peer for peer in PEERS if find_spec(peer))
            rows = saved("vs_peers").get("rows", {}) | {name: row | surroundings(packages)}
            save("vs_peers", {"rows": {name: rows[name] for name in ROWS if name in rows}})


if __name__ == "__main__":
    main()
