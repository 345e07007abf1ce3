"""The four commands and their options."""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from skclr.command_line.describing import describe, describe_doubtful
from skclr.command_line.files import Data, check_output, read, write_features, write_records
from skclr.command_line.messages import echo, echo_error, readable_error
from skclr.embedder import ContrastiveEmbedder
from skclr.frameworks import FRAMEWORKS
from skclr.wording import counted

_EXIT_CODES = "Exit codes: 0 success, 1 invalid data or parameters, 2 invalid option, 130 interrupted."
_DATA = """
DATA is a .csv, .tsv or .parquet table, an .npz with arrays "X" and "y", an .npy, or a folder of images
with one subfolder per class. --target names the labels: a column of a table, or an array of an .npz.
"""
_EXAMPLES = {
    "compare": """
Does pretraining help? Compare frameworks with raw features, PCA, an untrained encoder and a supervised network, from a
few labels of each class.

  python -m skclr compare patients.parquet --target outcome --labels 5 10 50
  python -m skclr compare photos/ --embedders simclr byol --set modality__size=[64,64] --cache cells/
""",
    "fit": """
Train an encoder without labels, and save it.

  python -m skclr fit patients.csv --target outcome --output patients.skclr
  python -m skclr fit messages.csv --text body --set max_epochs=20 --output messages.skclr
""",
    "transform": """
Embed samples with a saved encoder.

  python -m skclr transform new_patients.csv --model patients.skclr --output embeddings.parquet
""",
    "report": """
Write an HTML report: loss, views, a map of the embedding, probes compared with baselines, warnings.

  python -m skclr report patients.csv --target outcome --model patients.skclr --output patients.html
""",
}
# Pillow logs errors in files. Without a handler, Python would print them in addition to our message.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Errors whose message is for the user; any other is a bug and shows its traceback.
_EXPECTED = (ValueError, TypeError, OSError, ImportError, MemoryError, FloatingPointError)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; see `skclr.command_line.main`."""
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            options.run(options)
        except KeyboardInterrupt:
            echo_error("interrupted")
            return 130
        except _EXPECTED as error:
            echo_error(readable_error(error))
            return 1
    return 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    echo_error(f"warning: {message}")


# -- commands ---------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> None:
    """Print the table and the verdict, and write the table if --output is given."""
    from skclr.evaluation import compare

    if options.output:
        check_output(options.output, (".csv",), [options.data])
    data = _read(options)
    if data.y is None:
        raise ValueError(f"compare needs labels, but {options.data} has none. {_where_labels_go(options.data)}")
    found = compare(
        data.X,
        data.y,
        options.embedders or "all",
        labels_per_class=options.labels,
        embedder_params=_params(options.set),
        cv=options.folds,
        scoring=options.scoring,
        memory=options.cache,
        n_jobs=options.jobs,
        random_state=options.seed,
        verbose=not options.quiet,
    )
    echo(str(found))
    if options.output:
        write_records(options.output, found.records)
        _report_written(options, counted(len(found.records), "row"))


def fit(options: argparse.Namespace) -> None:
    """Fit an embedder and save it."""
    check_output(options.output, (".skclr",), [options.data])
    embedder = _fit(options, _read(options))
    embedder.save(options.output)
    _report_written(options, f"{options.framework}, {counted(embedder.n_iter_, 'epoch')}")


def transform(options: argparse.Namespace) -> None:
    """Write the embeddings of samples."""
    from skclr import load

    check_output(options.output, (".npy", ".npz", ".csv", ".parquet"), [options.data, options.model])
    embedder = load(options.model)
    data = _read(options)
    features = embedder.transform(data.X)
    files = [path.relative_to(options.data).as_posix() for path in data.X] if options.data.is_dir() else None
    write_features(options.output, features, embedder.get_feature_names_out(), files)
    _report_written(options, f"{counted(features.shape[0], 'row')} of {counted(features.shape[1], 'feature')}")
    if files is not None and options.output.suffix.lower() == ".npy" and not options.quiet:
        echo("rows are in the order of the sorted paths; a .csv or .parquet output includes the file names")


def report(options: argparse.Namespace) -> None:
    """Write the report on a saved embedder, or on one that is fitted now."""
    from skclr import load
    from skclr.plotting import report

    check_output(options.output, (".html",), [options.data, *([options.model] if options.model else [])])
    embedder = load(options.model) if options.model else None
    data = _read(options)
    embedder = embedder or _fit(options, data)
    report(embedder, data.X, data.y, options.output, random_state=options.seed)
    _report_written(options, counted(len(data.X), "row"))


def _where_labels_go(path: Path) -> str:
    """Return a sentence on how to add labels to the samples of a file or folder."""
    if path.is_dir():
        return "Sort the images into one subfolder per class."
    return "Save X and y in one .npz." if path.suffix.lower() == ".npy" else "Name them by --target."


def _read(options: argparse.Namespace) -> Data:
    data = read(options.data, options.target, options.text)
    if not options.quiet:
        echo(describe(data, options.target, options.text))
        for doubt in describe_doubtful(data):
            echo(doubt)
    return data


def _report_written(options: argparse.Namespace, what: str) -> None:
    if not options.quiet:
        echo(f"wrote {options.output}: {what}")


def _fit(options: argparse.Namespace, data: Data) -> ContrastiveEmbedder:
    embedder = ContrastiveEmbedder(options.framework, random_state=options.seed, verbose=not options.quiet)
    return embedder.set_params(**_params(options.set)).fit(data.X, data.y)


def _params(assignments: Sequence[str]) -> dict[str, Any]:
    """Parse assignments such as `loss__temperature=0.5`; the value is JSON, or else text."""
    params = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise ValueError(f"--set {assignment}: pass NAME=VALUE, for example --set loss__temperature=0.5")
        try:
            params[name] = json.loads(value)
        except json.JSONDecodeError:
            params[name] = value
    return params


# -- options ----------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        echo_error(f"{message} (see {self.prog} --help)")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("skclr", description="Contrastive representation learning on files.", epilog=_EXIT_CODES)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run in (compare, fit, transform, report):
        about = _EXAMPLES[run.__name__]
        command = commands.add_parser(
            run.__name__,
            help=about.strip().partition(".")[0].partition("?")[0],
            description=about + _DATA,
            epilog=_EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        command.add_argument("data", type=_path, metavar="DATA", help="a file, or a folder of images")
        command.add_argument("--target", metavar="NAME", help="column or array that holds the labels")
        command.add_argument("--text", metavar="COLUMN", help="column of texts, which become the samples")
        command.add_argument("--quiet", action="store_true", help="print no progress and no summaries")
        _ADD_OPTIONS[run.__name__](command)
    return parser


def _path(text: str) -> Path:
    """Return a path, which must not be empty, since that would be the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def _integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds."""
    bounds = f"of {least} or more" if most is None else f"from {least} to {most}"

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
        return number

    return whole_number


def _jobs(text: str) -> int:
    """Parse a number of jobs as in joblib: negative numbers count back from the number of cores."""
    jobs = -1 if text.startswith("-") else 1
    return jobs * _integer(1)(text.removeprefix("-"))


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of ContrastiveEmbedder, such as max_epochs=20 or loss__temperature=0.5",
    )
    command.add_argument("--seed", type=_integer(0, 2**32 - 1), default=0, metavar="N", help="random seed (default: 0)")


def _add_framework(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--framework",
        default="simclr",
        choices=FRAMEWORKS,
        help=f"{', '.join(FRAMEWORKS)} (default: simclr)",
        metavar="NAME",
    )
    _add_training(command)


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("--embedders", nargs="+", choices=FRAMEWORKS, metavar="NAME", help="frameworks (default: all)")
    command.add_argument(
        "--labels",
        nargs="+",
        type=_integer(1),
        default=[5, 10, 50],
        metavar="N",
        help="labels per class (default: 5 10 50)",
    )
    command.add_argument(
        "--folds", type=_integer(2), default=5, metavar="N", help="folds of the cross-validation (default: 5)"
    )
    command.add_argument(
        "--scoring", default="accuracy", metavar="NAME", help="name of a scorer of scikit-learn (default: accuracy)"
    )
    command.add_argument(
        "--cache",
        type=_path,
        metavar="FOLDER",
        help="folder of finished cells, from which an interrupted run resumes; uses pickle, so keep it private",
    )
    command.add_argument(
        "--jobs", type=_jobs, metavar="N", help="number of cells to run in parallel; -1 for one per core"
    )
    command.add_argument("--output", type=_path, metavar="FILE", help="write the table to this .csv file")
    _add_training(command)


def _add_fit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--output", type=_path, required=True, metavar="FILE", help="write the model to this .skclr file"
    )
    _add_framework(command)


def _add_transform(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=_path, required=True, metavar="FILE", help="what fit has written")
    command.add_argument(
        "--output",
        type=_path,
        required=True,
        metavar="FILE",
        help="write the embeddings to this .npy, .csv or .parquet file, or to an .npz if they are sparse, as of texts",
    )


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=_path, metavar="FILE", help="model written by fit (default: fit one now)")
    command.add_argument(
        "--output",
        type=_path,
        default=Path("report.html"),
        metavar="FILE",
        help="write the report to this file (default: report.html)",
    )
    _add_framework(command)


_ADD_OPTIONS = {"compare": _add_compare, "fit": _add_fit, "transform": _add_transform, "report": _add_report}
