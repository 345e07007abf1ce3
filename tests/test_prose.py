"""scripts/prose finds its phrases where people read, and nowhere else."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "prose"

if not SCRIPT.exists():
    pytest.skip("the scripts are not part of a source distribution", allow_module_level=True)
prose = runpy.run_path(str(SCRIPT))

PHRASES = {r"\bto be had\b": "say: available"}


def test_a_phrase_is_found_over_a_line_break_within_a_paragraph():
    assert [*prose["faults"]("One.\n\nNot to\nbe had here.", PHRASES)] == [(2, "'to be had': say: available")]
    assert [*prose["faults"]("Not to\n\nbe had here.", PHRASES)] == []


def test_docstrings_comments_and_strings_are_read_but_no_code():
    source = (
        '"""Of a module."""\n'
        "# A first\n"
        "# and second line.\n"
        "def give(x):\n"
        '    """Give x.\n'
        "\n"
        "    >>> to_be_had(1)\n"
        '    """\n'
        "    return f'{x} is not to be had'  # at the end\n"
    )
    pieces = [(line, piece.split("\n")[0], summary) for line, piece, summary in prose["_pieces_of_code"](source)]
    assert sorted(pieces) == [
        (1, "Of a module.", True),
        (2, "A first", False),
        (5, "Give x.", True),
        (9, " is not to be had", False),
        (9, "at the end", False),
    ]
