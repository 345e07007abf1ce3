"""Sphinx configuration."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

import skclr

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


# Modules of the base classes of parts, which docs/adding.rst describes.
BASES = {
    "skclr.encoders.base",
    "skclr.files.plain",
    "skclr.frameworks.base",
    "skclr.losses.pairwise",
    "skclr.modalities.base",
    "skclr.views.base",
}


def escape_shapes(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Show (B, *shape_) as it is written: to reStructuredText * is emphasis and a last _ a link."""
    lines[:] = [re.sub(r"_\)", r"\\_)", re.sub(r"\*(\w+\))", r"\\*\1", line)) for line in lines]


def as_prose(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make a description of what stands behind the colon of "name : what it is", which numpydoc takes for a type.

    Types have a description below them, for each parameter; a section in which any has none holds no types.
    """
    sections = re.split(r"^(\w[\w ]*\n-+\n)", "\n".join(lines), flags=re.MULTILINE)
    for i, (title, body) in enumerate(zip(sections[1::2], sections[2::2], strict=True)):
        if title.startswith(("Parameters", "Attributes", "Raises")) and re.search(r"^\S.*$(?!\n )", body, re.MULTILINE):
            sections[2 * i + 2] = re.sub(r"^(\S.*?) : (?=.)", r"\1\n    ", body, flags=re.MULTILINE)
        elif title.startswith("Returns") and not re.search("^ ", body, re.MULTILINE):
            sections[2 * i + 2] = body.strip().replace("\n", " ") + "\n\n"
    lines[:] = "".join(sections).split("\n")


def not_for_users(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out members of torch, scikit-learn and skorch, what only authors of new parts need, and repetitions.

    What authors need is inherited from the base class of a kind of part, or its docstring refers to it. Fitted
    attributes are in the section on attributes. A page without inherited members names those that it shows.
    """
    method = getattr(obj, "fget", obj)
    # Python's own methods name no module, and neither do plain attributes, which are ours.
    origin = getattr(method, "__module__", None) or ("builtins" if callable(obj) else "skclr")
    for_authors = origin in BASES or (getattr(method, "__doc__", None) or "").startswith("See `")
    repeated = name.endswith("_") and not name.endswith("__")
    left_out = getattr(options, "inherited_members", None) and (for_authors or repeated)
    return True if not origin.startswith("skclr") or left_out else None


def without_link(app: Any, env: Any, node: Any, shown: Any) -> Any:
    """Show a label of scikit-learn's documentation, which an inherited docstring names, without a link to it."""
    return shown if node["reftarget"] == "accuracy_score" else None


def as_mathml(translator: Any, node: Any) -> None:
    """Write an equation in what browsers draw by themselves; MathJax would be loaded from the net."""
    if isinstance(node, nodes.math_block):
        translator.body.append(f'<div class="equation">{convert(node.astext(), display="block")}</div>')
    else:
        translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Run before numpydoc does."""
    app.connect("autodoc-process-docstring", escape_shapes, priority=1)
    app.connect("autodoc-process-docstring", as_prose, priority=2)
    app.connect("autodoc-skip-member", not_for_users)
    app.connect("missing-reference", without_link)
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
