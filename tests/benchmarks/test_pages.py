"""The numbers of the pages are those of benchmarks/results/."""

import _pages
import pytest
import tables


def test_the_pages_have_the_numbers_of_the_results():
    """If not, run python benchmarks/tables.py."""
    assert [page.name for page, text in tables.contents().items() if text != page.read_text()] == []


def test_numbers_are_found_over_line_breaks_and_leave_the_text_alone():
    page = "It took 1.5 s on\ntwo cores, and 12,000 s. On one: 3 s."
    assert _pages.with_numbers(page, "took # s on two cores, and # s.", ["2", "3.25"]) == (
        "It took 2 s on\ntwo cores, and 3.25 s. On one: 3 s."
    )


def test_a_sentence_that_has_gone_is_an_error():
    with pytest.raises(ValueError, match="no page has the sentence"):
        _pages.with_numbers("It took 1.5 s.", "took # hours", ["2"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.96, "5 s"), (99, "99 s"), (127, "2 min"), (5_999, "100 min"), (6_000, "1.7 h"), (40_000, "11 h")],
)
def test_times_are_rounded(seconds, text):
    assert _pages.duration(seconds) == text
