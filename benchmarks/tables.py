"""Write the numbers of the READMEs and of the documentation from benchmarks/results/.

Tables of the READMEs are written between the markers of their names; _pages.py has those of the documentation.
"""

import json
import re
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from _common import RESULTS
from _pages import KINDS, WITH_FEATURES, choosing_panel, documentation, percent
from _panel_tables import LEVELS, mean_at, rows_of_kind
from _panel_tables import markdown as panel
from semi_supervised import markdown as semi_supervised

HERE = Path(__file__).resolve().parent
PAGES = (HERE.parent / "README.md", HERE / "README.md")


def few_labels(result: dict[str, Any]) -> str:
    """MNIST, by features and number of labels."""
    table: dict[str, dict[int, str]] = {}
    for record in result["records"]:
        scores = [100 * score for score in record["scores"]]
        cell = f"{statistics.mean(scores):.1f} ± {statistics.stdev(scores):.1f}"
        table.setdefault(record["features"], {})[record["labels_per_class"]] = cell
    budgets = list(next(iter(table.values())))
    rows = [
        f"| features | {budgets[0]} label per class | {' | '.join(map(str, budgets[1:]))} |",
        "| --- " * (1 + len(budgets)) + "|",
        *(f"| {name} | {' | '.join(cells.values())} |" for name, cells in table.items()),
    ]
    machine, seconds = result["machine"], statistics.mean(result["fit_processor_seconds"])
    rows += ["", f"{result['epochs']} epochs, {seconds:.0f} processor seconds on one thread ({machine['processor']})."]
    return "\n".join(rows)


def loop(result: dict[str, Any]) -> str:
    """Speed of fit, compared with the bare loop."""
    rows = [
        "| case | `fit`, samples/s | relative to a bare torch loop | relative to one with prepared views |",
        "| --- | --- | --- | --- |",
    ]
    for name, case in result["cases"].items():
        ratios = " | ".join(f"{ratio:.2f}" for ratio in case["ratio"].values())
        rows.append(f"| {name} | {case['median']['fit']:,.0f} | {ratios} |")
    return "\n".join(rows)


def quality(result: dict[str, Any]) -> str:
    """CIFAR-10: frameworks, baselines and lightly's parts."""
    tables = result["tables"]
    peers = tables.get("lightly", {})
    rows = [
        "| features | linear probe, % | kNN, % | lightly's parts: linear, % | kNN, % | fit, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for table in ("baselines", "skclr", "precision"):
        for name, row in tables.get(table, {}).items():
            peer = peers.get(name) if table == "skclr" else None
            beside = f"{percent(peer['linear'])} | {percent(peer['knn'])}" if peer else " | "
            seconds = f"{row['seconds']['mean']:.0f}" if "seconds" in row else ""
            rows.append(f"| {name} | {percent(row['linear'])} | {percent(row['knn'])} | {beside} | {seconds} |")
    rows += ["", f"{result['epochs']} epochs, {result['seeds']} seeds, {result['precision']} unless noted."]
    return "\n".join(rows)


def quality_losses(result: dict[str, Any]) -> str:
    """The losses of SimCLR's table 4, with SimCLR."""
    measured, paper = result["tables"]["losses"], result["paper_of_losses"]
    rows = ["| loss | linear probe, % | kNN, % | the paper's linear probe, % |", "| --- | --- | --- | --- |"]
    for name, row in sorted(measured.items(), key=lambda item: item[1]["linear"]["mean"]):
        rows.append(f"| {name} | {percent(row['linear'])} | {percent(row['knn'])} | {paper.get(name, '')} |")
    return "\n".join(rows)


def losses(result: dict[str, Any]) -> str:
    """Time and memory of the pairwise losses by the number of rows."""
    sizes = sorted({m["rows"] for m in result["measurements"]})
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for m in result["measurements"]:
        text = m.get("skipped") or f"{m['milliseconds']:,.0f} ms, {m['mebibytes']:,.0f} MiB"
        cells.setdefault((m["loss"], m["library"]), {})[m["rows"]] = text
    rows = ["| loss | library |" + "".join(f" {n:,} rows |" for n in sizes), "| --- " * (2 + len(sizes)) + "|"]
    for (name, library), row in sorted(cells.items()):
        rows.append(f"| {name} | {library} |" + "".join(f" {row.get(n, '')} |" for n in sizes))
    return "\n".join(rows)


def accuracy_or_correlation(row: dict[str, Any]) -> str:
    return f"{row['spearman']:.3f}" if "spearman" in row else f"{percent(row['few'])}, {100 * row['all']:.1f}"


def modalities(result: dict[str, Any]) -> str:
    """Each kind of data: accuracy on the features, with few labels and with all."""
    lines = []
    for kind, sets in result["kinds"].items():
        labels = list(dict.fromkeys(label for measured in sets.values() for label in measured["rows"]))
        lines += [f"| {kind} | {' | '.join(labels)} | fit, s |", "| --- " * (2 + len(labels)) + "|"]
        for name, measured in sets.items():
            rows = measured["rows"]
            cells = [accuracy_or_correlation(rows[x]) if x in rows else "" for x in labels]
            seconds = f"{measured['seconds']:.0f}"
            if "processor_seconds" in measured:
                seconds += f" ({measured['processor_seconds']:.0f})"
            lines.append(f"| {name} | {' | '.join(cells)} | {seconds} |")
        lines.append("")
    return "\n".join(lines[:-1])


def faults(result: dict[str, Any]) -> str:
    """Faults injected, survived and lost."""
    rows = ["| fault | injected | survived | lost |", "| --- | --- | --- | --- |"]
    for section in result["sections"].values():
        for name, row in section["faults"].items():
            rows.append(f"| {name} | {row['injected']:,} | {row['survived']:,} | {row['lost']:,} |")
    return "\n".join(rows)


def search(result: dict[str, Any]) -> str:
    """Speed of a grid search with one job and with two."""
    measured = result["sections"]["search"]["measured"]
    rows = ["| search | seconds, median | all | speed |", "| --- | --- | --- | --- |"]
    for name, seconds in measured["seconds"].items():
        speed = measured["speed, as a multiple of 1 job's"][name]
        rows.append(f"| {name} | {statistics.median(seconds):.1f} | {', '.join(map(str, seconds))} | {speed:.2f} |")
    return "\n".join(rows)


def fuzz(result: dict[str, Any]) -> str:
    """Fuzzed functions, and how many undocumented exceptions they raised."""
    rows = ["| fuzzed | inputs | failures | seconds |", "| --- | --- | --- | --- |"]
    for name, row in result["targets"].items():
        rows.append(f"| {name} | {row['inputs']:,} | {row['failures']:,} | {row['seconds']:,} |")
    return "\n".join(rows)


def table_settings(result: dict[str, Any]) -> str:
    """Gains over the inputs of tables by setting, on held-out training rows."""
    sets = result["sets"]
    rows = ["| setting |" + "".join(f" {name} |" for name in sets), "| --- " * (1 + len(sets)) + "|"]
    for setting in dict.fromkeys(setting for found in sets.values() for setting in found):
        gains = [found[setting]["gain"] if setting in found else None for found in sets.values()]
        cells = "".join(f" {100 * g['mean']:+.1f} ± {100 * g['std']:.1f} |" if g else " |" for g in gains)
        rows.append(f"| {setting} |{cells}")
    return "\n".join(rows)


def few_texts(result: dict[str, Any]) -> str:
    """A pretrained model with few labels: frozen, with SetFit and with skclr."""
    sets = result["sets"]
    rows = ["| model |" + "".join(f" {name} |" for name in sets), "| --- " * (1 + len(sets)) + "|"]
    for label in next(iter(sets.values())):
        found = [measured.get(label) for measured in sets.values()]
        cells = [f" {percent(row)} ({row['processor_seconds']:.0f} s) |" if row else " |" for row in found]
        rows.append(f"| {label} |" + "".join(cells))
    return "\n".join(rows)


def compare(result: dict[str, Any]) -> str:
    """The conclusion of `compare` for each set, and whether two runs were equal."""
    rows = ["| set | rows | epochs | conclusion | equal twice |", "| --- | --- | --- | --- | --- |"]
    for name, found in result["sets"].items():
        same = "yes" if found["equal_twice"] else "no"
        rows.append(f"| {name} | {found['n_samples']} | {found['max_epochs']} | {found['sentence']} | {same} |")
    return "\n".join(rows)


def vs_peers(result: dict[str, Any]) -> str:
    """Claims about work done in several ways, and whether they hold."""
    rows = ["| work | what | measured | required | processor |", "| --- | --- | --- | --- | --- |"]
    for row in result["rows"].values():
        on = row["machine"]["processor"]
        for claim in row["claims"]:
            asked = [
                f"{s} {claim[key]:g}" for key, s in (("at_least", "≥"), ("at_most", "≤")) if claim[key] is not None
            ]
            verdict = "" if claim["holds"] else ", falls short"
            what = f"{claim['what']}, {claim['unit']}"
            rows.append(f"| {row['title']} | {what} | {claim['value']:.2f} | {''.join(asked)}{verdict} | {on} |")
        rows += [f"| {row['title']} | {way} | left out: {why} |  | {on} |" for way, why in row["missing"].items()]
    return "\n".join(rows)


def vs_peers_runs(result: dict[str, Any]) -> str:
    """The medians of all ways."""
    rows = ["| work | way | median |", "| --- | --- | --- |"]
    for row in result["rows"].values():
        for way, measures in row["medians"].items():
            values = ", ".join(f"{value:,.{0 if value >= 100 else 2}f} {unit}" for unit, value in measures.items())
            rows.append(f"| {row['title']} | {way} | {values} |")
    return "\n".join(rows)


def views(result: dict[str, Any]) -> str:
    """Whether views can be told apart from torchvision's, and what is learned from either."""
    rows = ["| views told apart | AUC |", "| --- | --- |"]
    for pair, found in result["tables"]["told_apart"].items():
        rows.append(f"| {pair} | {found['auc']['mean']:.3f} ± {found['auc']['std']:.3f} |")
    rows += ["", "| SimCLR on the views of | linear probe, % | kNN, % |", "| --- | --- | --- |"]
    for library, found in result["tables"]["probes"].items():
        rows.append(f"| {library} | {percent(found['linear'])} | {percent(found['knn'])} |")
    return "\n".join(rows)


def report(result: dict[str, Any]) -> str:
    """Size and time of a report of many rows, and of the frames of its map."""
    rows = [
        "| rows | file, MB | written in, s | | frames/s | median frame, ms | 95th percentile, ms | processor, ms |",
        "| --- " * 8 + "|",
    ]
    for name, found in result["reports"].items():
        made = f"| {result['n_rows']:,} of {name} | {found['megabytes']} | {found['processor_seconds']} |"
        for act in ("hover", "pan", "zoom"):
            f = found[act]
            cells = f["frames_per_second"], f["frame_ms"], f["frame_ms_95"], f["processor_ms"]
            rows.append(f"{made} {act} | {' | '.join(map(str, cells))} |")
            made = "| | | |"
    return "\n".join(rows)


def scale(result: dict[str, Any]) -> str:
    """Cost of several processes, chunks and data on disk."""
    rows = [
        "| scaling, samples per process | one process, s | two processes, s | share of linear speed | by the model |",
        "| --- " * 5 + "|",
    ]
    runs = {kind: result[f"{kind} scaling"] for kind in ("weak", "strong")}
    pairs = ((kind, one, two) for kind, run in runs.items() for one, two in zip(run[::2], run[1::2], strict=True))
    for kind, one, two in pairs:
        (size,) = one["values"]
        ideal = one["seconds_a_step"] / (1 if kind == "weak" else 2)
        sending = two["seconds_to_average"] + two["messages"] * two["seconds_a_message"]
        speed = f"{ideal / two['seconds_a_step']:.2f} | {ideal / (ideal + sending):.2f}"
        cells = f"{one['seconds_a_step']:.3f} | {two['seconds_a_step']:.3f} | {speed}"
        rows.append(f"| {kind}, {size if kind == 'weak' else size // 2} on each of two | {cells} |")
    rows += [
        "",
        "| one step | operations, 10⁹ | by the model | gathered, kB | by the model | averaged, kB | by the model |",
        "| --- " * 7 + "|",
    ]
    for found in result["sent"]:
        cells = (
            f"{found[way][what] / unit:,.1f}"
            for what, unit in (("operations", 1e9), ("gathered", 1e3), ("averaged", 1e3))
            for way in ("measured", "model")
        )
        rows.append(f"| {found['values'][0]} | {' | '.join(cells)} |")
    rows += ["", "| one step of a ResNet-18 | chunks of | MiB | s |", "| --- " * 4 + "|"]
    for found in result["memory"]:
        size, chunk = found["values"]
        rows.append(f"| {size:,} images | {chunk or 'none'} | {found['MiB']:,.0f} | {found['seconds']:.0f} |")
    rows += ["", "| samples of 32 KiB | GiB | samples/s | peak, MiB |", "| --- " * 4 + "|"]
    for found in result["storage"]:
        kept = "memory-mapped" if found["values"][1] else "in memory"
        rows.append(f"| {kept} | {found['GiB']:g} | {found['samples_a_second']:,.0f} | {found['MiB']:,.0f} |")
    return "\n".join(rows)


def equality(result: dict[str, Any]) -> str:
    """Differences between several ranks and one process."""
    rows = ["| largest difference from one process | 2 ranks | 4 ranks |", "| --- | --- | --- |"]
    rows += [f"| {case} | {found['2']:.1e} | {found['4']:.1e} |" for case, found in result["equality"].items()]
    return "\n".join(rows)


def panel_default(result: dict[str, Any]) -> str:
    """Mean accuracies on the panel of what `transform` returns by default, and of baselines."""
    header, *rows = choosing_panel(result)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("``", "`")


def panel_before(_: dict[str, Any]) -> str:
    """Gains of the defaults over those before (@before), and the time of a fit, on the sets measured with both."""
    rows = ["| data | sets | 1 label per class | 5 | 20 | all | fits before, s | fits, s | ratio |", "| --- " * 9 + "|"]
    for kind in KINDS:
        measured = {row.label: row for row in rows_of_kind(RESULTS / "panel", kind)}
        features = " + plain features" if kind in WITH_FEATURES else ""
        # Only tables had plain features by default.
        before = measured.get(f"embedding{features if kind == 'tables' else ''} @before, as it is")
        now = measured.get(f"embedding{features}, as it is")
        if before and now and (sets := sorted(before.sets.keys() & now.sets.keys())):
            gains = [f"{mean_at(now, level, sets) - mean_at(before, level, sets):+.1f}" for level in LEVELS]
            seconds = [sum(row.sets[name]["fit_s"] for name in sets) for row in (before, now)]
            times = *(f"{total:,.0f}" for total in seconds), f"{seconds[1] / seconds[0]:.2f}"
            rows.append(f"| {' | '.join([kind, str(len(sets)), *gains, *times])} |")
    return "\n".join(rows)


# By set, the judge, its name, and the accuracy to be reached.
TARGETS = {
    "cifar10, 10,000 rows": ("all", "50 % by a linear probe on all labels", 0.50),
    "mnist, 10,000 rows": ("few", "91 % with 10 labels per class", 0.91),
}


def time_to_target(result: dict[str, Any]) -> str:
    """Processor seconds of `fit` until an accuracy is reached, and accuracies at the defaults."""
    rows = ["| set | reached | before, s | now, s | at the defaults before | now |", "| --- " * 6 + "|"]
    for name, (judge, target_name, target) in TARGETS.items():
        lines = [result["sets"][name]["lines"][line] for line in ("skclr before", "skclr")]
        until = [seconds_until(points, judge, target) for points in lines]
        whole = [of_runs(points["1.0"], judge) for points in lines]
        finals = [f"{100 * accuracy:.1f} in {seconds:.0f} s" for seconds, accuracy in whole]
        rows.append(f"| {' | '.join([name, target_name, *until, *finals])} |")
    return "\n".join(rows)


def of_runs(runs: list[dict[str, float]], judge: str) -> tuple[float, float]:
    """Return mean processor seconds and mean accuracy."""
    return tuple(statistics.mean(run[key] for run in runs) for key in ("processor_seconds", judge))


def seconds_until(points: dict[str, list[dict[str, float]]], judge: str, target: float) -> str:
    """Return the seconds at which a curve reaches an accuracy, linear in their logarithm between two points."""
    curve = sorted(of_runs(runs, judge) for runs in points.values())
    if curve[0][1] >= target:
        return f"less than {curve[0][0]:.0f}"
    for (start, low), (end, high) in pairwise(curve):
        if high >= target:
            return f"{start * (end / start) ** ((target - low) / (high - low)):.0f}"
    return "not reached"


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "few_labels": ("few_labels", few_labels),
    "loop": ("loop", loop),
    "quality": ("quality", quality),
    "quality_losses": ("quality", quality_losses),
    "losses": ("losses", losses),
    "modalities": ("modalities", modalities),
    "panel": ("panel", panel),
    "time_to_target": ("time_to_accuracy", time_to_target),
    "panel_before": ("panel", panel_before),
    "semi_supervised": ("semi_supervised", semi_supervised),
    "panel_default": ("panel", panel_default),
    "table_settings": ("table_settings", table_settings),
    "few_texts": ("few_texts", few_texts),
    "faults": ("faults", faults),
    "search": ("faults", search),
    "fuzz": ("fuzz", fuzz),
    "compare": ("compare", compare),
    "vs_peers": ("vs_peers", vs_peers),
    "vs_peers_runs": ("vs_peers", vs_peers_runs),
    "views": ("views", views),
    "report": ("report", report),
    "scale": ("scale", scale),
    "equality": ("scale", equality),
}


def contents() -> dict[Path, str]:
    """Return what the pages should contain."""
    pages = dict(documentation())
    for page in PAGES:
        text = pages.get(page) or page.read_text()
        for name, (result, table) in TABLES.items():
            path = RESULTS / f"{result}.json"
            if path.exists():
                content = f"<!-- {name} -->\n{table(json.loads(path.read_text()))}\n<!-- /{name} -->"
                text = re.sub(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, c=content: c, text, flags=re.DOTALL)
        pages[page] = text
    return pages


if __name__ == "__main__":
    for page, text in contents().items():
        page.write_text(text)
