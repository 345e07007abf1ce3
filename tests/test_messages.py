"""Every message of an error or a warning is in messages.txt, in at most two short sentences of plain English."""

import re
import runpy
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"

if not SCRIPTS.exists():
    pytest.skip("the scripts are not part of a source distribution", allow_module_level=True)
messages = runpy.run_path(str(SCRIPTS / "messages"))
prose = runpy.run_path(str(SCRIPTS / "prose"))

TEMPLATES = [(path, text) for path, found in messages["templates"]().items() for text in found]


def test_messages_are_those_of_the_file():
    assert messages["text"]() == messages["FILE"].read_text(), "run scripts/messages --write, and review the diff"


def test_messages_are_found():
    assert len(TEMPLATES) > 300


def test_messages_are_short():
    long = [text for _, text in TEMPLATES if len(re.sub(r"\{[^{}]*\}", "some value", text)) >= 300]
    assert long == []
    assert [text for _, text in TEMPLATES if len(re.findall(r"[.?!] (?=[A-Z])", text)) > 1] == []


def test_remedies_are_sentences_of_their_own():
    """Except after `argument=value: `, which is not a sentence."""
    remedy = r": (use|pass|set|call|try|rename|project|decode|remove|bin) "
    in_one = [text for _, text in TEMPLATES if re.search(remedy, text)]
    assert [text for text in in_one if not re.match(r"\w+: (--set )?\S+: (use|pass) ", text)] == []


def test_messages_are_idiomatic():
    phrases = {**prose["PHRASES"], **prose["MESSAGES"]}
    assert [(path, text, fault) for path, text in TEMPLATES for _, fault in prose["faults"](text, phrases)] == []


def test_templates_are_read_from_all_ways_to_write_them():
    """Except exceptions without a text of their own."""
    source = (
        "def f(x):\n"
        "    if x:\n"
        "        raise ValueError(f'x={x!r}: use ' + ('a' if x > 1 else f'{b}'))\n"
        "    what = f'some {x.y} text'\n"
        "    warnings.warn(what, FutureWarning, stacklevel=2)\n"
        "    raise type(error)(x) from KeyError(x)\n"
    )
    assert messages["read"](source) == [
        "FutureWarning: some {x.y} text",
        "ValueError: x={x}: use a",
        "ValueError: x={x}: use {b}",
    ]


def test_messages_on_the_page_of_errors_exist():
    page = (SCRIPTS.parent / "docs" / "errors.rst").read_text()
    quoted = re.findall(r"^``(.+)``$", page, re.MULTILINE)
    assert len(quoted) > 30
    # Three dots stand for a value.
    patterns = {text: ".*".join(map(re.escape, text.split("…"))) for text in quoted}
    assert [text for text, pattern in patterns.items() if not any(re.search(pattern, m) for _, m in TEMPLATES)] == []
