"""Write the tables of README.md from benchmarks/results/, between the markers of their names."""

import json
import re
from pathlib import Path
from typing import Any

from _common import RESULTS

README = Path(__file__).parent.parent / "README.md"


def few_labels(result: dict[str, Any]) -> str:
    """MNIST, by what the classifier is given."""
    rows = ["| features | as they are | standardised |", "| --- | --- | --- |"]
    for name, kinds in result["accuracy"].items():
        cells = " | ".join(f"{100 * s['mean']:.1f} ± {100 * s['std']:.1f} %" for s in kinds.values())
        rows.append(f"| {name} | {cells} |")
    seconds = sum(result["fit_seconds"]) / len(result["fit_seconds"])
    machine = result["machine"]
    rows += [
        "",
        f"{result['epochs']} epochs, {seconds:.0f} s on {machine['threads']} threads ({machine['processor']}).",
    ]
    return "\n".join(rows)


def loop(result: dict[str, Any]) -> str:
    """Speed of fit beside the bare loop."""
    rows = [
        "| case | `fit`, samples/s | of a bare torch loop | of one with its views pre-made |",
        "| --- | --- | --- | --- |",
    ]
    for name, case in result["cases"].items():
        ratios = " | ".join(f"{ratio:.2f}" for ratio in case["ratio"].values())
        rows.append(f"| {name} | {case['median']['fit']:,.0f} | {ratios} |")
    return "\n".join(rows)


def main() -> None:
    text = README.read_text()
    for table in (few_labels, loop):
        name = table.__name__
        path = RESULTS / f"{name}.json"
        if path.exists():
            content = f"<!-- {name} -->\n{table(json.loads(path.read_text()))}\n<!-- /{name} -->"
            text = re.sub(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, c=content: c, text, flags=re.DOTALL)
    README.write_text(text)


if __name__ == "__main__":
    main()
