"""Sphinx configuration."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.nodes import make_refnode

import skclr
from skclr.encoders import ENCODERS
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES
from skclr.views import VIEWS

project = "skclr"
author = "the skclr developers"
copyright = f"2026, {author}"
version = release = skclr.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "decisions", "first_contact.md", "gallery/*.ipynb"]
# `name` in a docstring is code, and a link if the name is documented.
default_role = "py:obj"
# Quotation marks in defaults and in types stay as they are typed.
smartquotes_action = "De"
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "skclr"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
templates_path = ["_templates"]
# No page lies below those of the first level.
html_sidebars = {"*": []}
html_show_sourcelink = False
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "show_nav_level": 2,
    "navigation_with_keys": False,
    # Six links: the API is the last before "More".
    "header_links_before_dropdown": 6,
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": f"skclr {version}"},
}

autosummary_generate = True
# The argument that selects a class, for its page.
autosummary_context = {
    "choices": {
        part.__name__: f'{argument}="{name}"'
        for argument, registry in (
            ("framework", FRAMEWORKS),
            ("loss", LOSSES),
            ("encoder", ENCODERS),
            ("views", VIEWS),
            ("modality", MODALITIES),
        )
        for name, part in registry.items()
    }
}
autodoc_typehints = "none"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "subsection_order": [
        f"../examples/{section}" for section in ("first_steps", "by_modality", "using", "evaluation", "extending")
    ],
    # All sections are on one page.
    "nested_sections": False,
    "filename_pattern": r"plot_",
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "write_computation_times": False,
    # A display is its picture.
    "ignore_repr_types": r"skclr\.plotting|matplotlib|sklearn\.metrics",
}


def short_defaults(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Show a function that is a default by its name, and 4 / 3 with four decimals."""
    if signature:
        signature = re.sub(r"(\.\d{4})\d{6,}", r"\1", re.sub(r"<function (\w+)[^>]*>", r"\1", signature))
    return signature, returned


def escape_shapes(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Show (B, *shape_) as it is written: to reStructuredText * is emphasis and a last _ a link."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"_\)", r"\\_)", re.sub(r"\*(\w+\))", r"\\*\1", line))


def as_prose(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make a description of what stands behind the colon of "name : what it is", which numpydoc takes for a type.

    Types have a description below them, for each parameter; a section in which any has none holds no types.
    """
    sections = re.split(r"^(\w[\w ]*\n-+\n)", "\n".join(lines), flags=re.MULTILINE)
    for i, (title, body) in enumerate(zip(sections[1::2], sections[2::2], strict=True)):
        untyped = title.startswith("Raises") or re.search(r"^\S.*$(?!\n )", body, re.MULTILINE)
        if title.startswith(("Parameters", "Attributes", "Raises")) and untyped:
            body = re.sub(r"(?<= : )(?:a|[a-z]{2,})\b(?![_(]|\.\w)", lambda word: word[0].capitalize(), body)
            sections[2 * i + 2] = re.sub(r"^(\S.*?) : (?=.)", r"\1\n    ", body, flags=re.MULTILINE)
        elif title.startswith("Returns") and not re.search("^ ", body, re.MULTILINE):
            sections[2 * i + 2] = body.strip().replace("\n", " ") + "\n\n"
    lines[:] = "".join(sections).split("\n")


def not_for_users(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out members of torch, scikit-learn and skorch, and those in the section on attributes."""
    method = getattr(obj, "fget", obj)
    # Python's own methods name no module, and neither do plain attributes, which are ours.
    origin = getattr(method, "__module__", None) or ("builtins" if callable(obj) else "skclr")
    is_fitted = name.endswith("_") and not name.endswith("__")
    is_field = (getattr(obj, "__doc__", None) or "").startswith("Alias for field")
    return True if is_fitted or is_field or not origin.startswith("skclr") else None


def with_short_name(app: Any, env: Any, node: Any, shown: Any) -> Any:
    """Link `linear_probe` to the only documented object of this name.

    A label of scikit-learn's documentation, which an inherited docstring names, has no link.
    """
    target = node["reftarget"]
    objects = env.get_domain("py").objects.items()
    found = {(entry.docname, entry.node_id) for name, entry in objects if name.endswith(f".{target}")}
    if node.get("refdomain") == "py" and len(found) == 1:
        return make_refnode(app.builder, node["refdoc"], *found.pop(), shown)
    return shown if target == "accuracy_score" else None


def as_mathml(translator: Any, node: Any) -> None:
    """Write an equation in what browsers draw by themselves; MathJax would be loaded from the net."""
    if isinstance(node, nodes.math_block):
        translator.body.append(f'<div class="equation">{convert(node.astext(), display="block")}</div>')
    else:
        translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Run before numpydoc does."""
    app.connect("autodoc-process-signature", short_defaults)
    app.connect("autodoc-process-docstring", escape_shapes, priority=1)
    app.connect("autodoc-process-docstring", as_prose, priority=2)
    app.connect("autodoc-skip-member", not_for_users)
    app.connect("missing-reference", with_short_name)
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
