"""The progress line: updated in place in a terminal, and about twenty lines in a file; with the right numbers."""

import io
import re

import numpy as np
import pytest

from skclr import ContrastiveEmbedder
from skclr.training.progress import duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """Return what a fit of 100 rows in 10 steps per epoch shows, by a clock that only advances in a step."""

    def show(stream, seconds, **params):
        now = [1_000.0]

        def view(x):
            # Two views make a step.
            now[0] += seconds / 2
            return x + 0.1

        monkeypatch.setattr("time.perf_counter", lambda: now[0])
        monkeypatch.setattr("sys.stderr", stream)
        settings = {"encoder_params": {"width": 4}, "batch_size": 10, "random_state": 0, "verbose": 1}
        X = np.random.default_rng(0).normal(size=(100, 3))
        ContrastiveEmbedder(views=view, passthrough=False, **settings, **params).fit(X)
        return stream.getvalue()

    return show


@pytest.mark.parametrize(("seconds", "refreshes"), [(0.01, 0), (0.19, 5), (1.0, 10)])
def test_a_terminal_shows_one_line_that_is_refreshed_now_and_then(seconds, refreshes, shown):
    text = shown(Terminal(), seconds, max_epochs=2)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    lines = text.split("\r\033[K")
    assert lines[0] == ""
    # Each epoch ends with a line, too.
    assert len(lines) - 1 == 2 * (refreshes + 1)


@pytest.mark.parametrize(("max_epochs", "lines"), [(2, 2), (20, 20), (41, 21), (60, 20)])
def test_a_file_gets_about_twenty_lines(max_epochs, lines, shown):
    text = shown(io.StringIO(), 0.5, max_epochs=max_epochs)
    assert "\r" not in text
    assert len(text.splitlines()) == lines
    assert text.splitlines()[-1].startswith(f"epoch {max_epochs}/{max_epochs} ")


def test_the_numbers_of_a_line(shown):
    first, second = shown(io.StringIO(), 0.5, max_epochs=2).splitlines()
    # 10 rows in half a second, and 100 rows are left.
    assert re.search(r"^epoch 1/2  \[█{12}·{12}\]  loss \d+\.\d{4}  20 samples/s  0:05 left$", first)
    assert re.search(r"^epoch 2/2  \[█{24}\]  loss \d+\.\d{4}  20 samples/s  0:00 left$", second)


def test_durations():
    assert [duration(s) for s in (0, 59.4, 59.6, 3_599, 3_600, 11_045)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "3:04:05",
    ]
