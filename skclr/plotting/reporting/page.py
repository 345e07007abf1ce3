"""The page of the report, a single file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skclr.data import Rows
from skclr.files.atomic import check_writable, replacing
from skclr.model import rows_of
from skclr.optional import import_optional
from skclr.plotting.base import COLORS, GREY, PALE
from skclr.plotting.embedding import dense_features
from skclr.plotting.labels import read_labels
from skclr.plotting.reporting import sections
from skclr.plotting.reporting.map import LABEL, encoded, map_data
from skclr.plotting.reporting.probes import probe_table
from skclr.plotting.samples import some_rows
from skclr.training import check_length

_HERE = Path(__file__).parent
_SCRIPTS = ("points.js", "page.js")
_SCALE = ((0.0, "#00224e"), (0.25, "#414d6b"), (0.5, "#7c7b78"), (0.75, "#bbad6d"), (1.0, "#fee838"))  # cividis


def report(
    embedder: Any,
    X: Any,
    y: Any = None,
    path: str | os.PathLike[str] = "report.html",
    *,
    metadata: Any = None,
    methods: str | Sequence[str] = "pca",
    max_points: int = 20_000,
    title: str | None = None,
    random_state: int = 0,
) -> Path:
    """Write a report on a fitted embedder into a single HTML file.

    The file loads nothing and can be shared. It contains the rows of the data, as small images, texts or values.

    Parameters
    ----------
    embedder : ContrastiveEmbedder
        Fitted.
    X : array or DataFrame of n samples
        As for `fit`, for example the same data. For pairs, the map shows the first view of each.
    y : array of shape (n,), default=None
        Labels, by which points are coloured. Probes show whether the embedding beats the raw features, their PCA and
        the untrained encoder. Rows with -1 or a missing value are unlabelled: grey, and not used in probes.
    path : path, default="report.html"
        Path of the file; an existing file is replaced atomically.
    metadata : DataFrame or dict of arrays of shape (n,), default=None
        Further columns to show and to colour by.
    methods : str or list of str, default="pca"
        One or more of {"pca", "tsne", "umap"}, each of which is a map.
    max_points : int, default=20,000
        If X has more rows, this many are drawn at random, which the page states.
    title : str, default=None
        Title of the page.
    random_state : int, default=0
        Seed of random draws, views, splits and maps.

    Returns
    -------
    The path.

    Raises
    ------
    ImportError
        If a package of `skclr[report]` is not installed.
    NotFittedError
        If the embedder is not fitted.
    OSError
        If `path` cannot be written; checked before anything is computed.
    ValueError
        If a column has another length than X, or y has only -1 and one class.
    TypeError
        If y is not array-like, for example a path.

    Notes
    -----
    The probes are fitted on 70 % of the labelled rows and scored on the others. If the embedder was fitted on all of X,
    it has seen the others too, without labels.

    The size of the file is about 5 MB, and 10 to 20 MB with 20,000 rows; with more images, thumbnails are smaller.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr import report
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> report(embedder, X, path="iris.html").name
    'iris.html'
    """
    jinja2, plotly = _engines()
    check_is_fitted(embedder)
    check_writable(path)
    X = rows_of(embedder, X)
    # For given pairs, the map shows the first view of each.
    own = X.first
    if isinstance(y, str | os.PathLike):
        raise TypeError(f"y={y!r} is a path instead of labels. Pass report(embedder, X, path={str(y)!r}).")
    labels = None if y is None else read_labels(y, len(X))
    extra = _extra_columns(X, labels, metadata)
    rows = some_rows(X, max_points, random_state)
    shown = own if len(rows) == len(X) else own[rows]
    extra = {name: np.asarray(values)[rows] for name, values in extra.items()}
    methods = [methods] if isinstance(methods, str) else methods
    embedding = dense_features(embedder, shown.as_given())
    probes = None if labels is None else probe_table(embedder, own, labels, random_state)
    points = map_data(embedder, shown, embedding, extra, methods, random_state)
    points["rows"] = None if len(rows) == len(X) else encoded(rows, np.int32)
    data = {
        "map": points,
        "charts": [*sections.loss_chart(embedder), *(probes or {}).get("charts", [])],
        "colors": COLORS,
        "grey": GREY,
        "pale": PALE,
        "scale": _SCALE,
    }
    page = _render(
        jinja2,
        plotly,
        data,
        title=title or sections.title(embedder),
        summary=sections.summary(embedder, X, labels),
        sampled=_sampled(len(rows), len(X)),
        findings=sections.findings(embedder, X, labels if probes else None, random_state),
        probes=probes,
        views=sections.views(embedder, X, random_state),
        trained=embedder.n_iter_ > 0,
        measures=sections.measures(embedder, X, random_state),
        facts=sections.facts(embedder, X, labels),
    )
    with replacing(path) as file:
        # Lone surrogates, as in a file name that is not UTF-8, cannot be encoded and are shown as "?".
        file.write(page.encode(errors="replace"))
    return Path(path)


def _engines() -> tuple[Any, str]:
    needed = ("jinja2", "plotly.offline", "PIL.Image", "matplotlib.pyplot")
    jinja2, plotly, *_ = (import_optional(module, "report", "a report") for module in needed)
    return jinja2, plotly.get_plotlyjs()


def _extra_columns(X: Rows, labels: np.ndarray | None, metadata: Any) -> dict[str, Any]:
    columns = {} if metadata is None else {str(name): metadata[name] for name in metadata}
    for name, values in columns.items():
        check_length(f"metadata[{name!r}]", values, len(X))
    return columns if labels is None else {LABEL: labels, **columns}


def _sampled(n_shown: int, n_samples: int) -> str:
    return "" if n_shown == n_samples else f"{n_shown:,} of {n_samples:,} rows are shown, drawn at random."


def _render(jinja2: Any, plotly: str, data: dict[str, Any], **sections: Any) -> str:
    scripts = [_inline(script) for script in (plotly, *((_HERE / name).read_text("utf-8") for name in _SCRIPTS))]
    # Only the page's own code may run.
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            "style-src 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((_HERE / "page.html").read_text("utf-8"))
    safe = jinja2.utils.markupsafe.Markup
    return template.render(
        **sections,
        policy=policy,
        css=safe((_HERE / "page.css").read_text("utf-8")),
        data=safe(_json(data)),
        scripts=map(safe, scripts),
    )


def _inline(script: str) -> str:
    """Return a script without text that would end its element."""
    return script.replace("</script", "<\\/script")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(data: Any) -> str:
    """Return data as JSON that cannot end the element around it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
