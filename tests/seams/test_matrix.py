"""A slice of the matrix of containers, dtypes, modalities and verbs; `scripts/seams` evaluates all of it."""

import random

import pytest

from tests.seams.matrix import CONTAINERS, DTYPES, MODALITIES, ROWS, VERBS, evaluate, read_table

EXPECTED = read_table()
VERBS_PER_ROW = 2


def draw_cells():
    """Draw a row of each container in each modality with a few verbs, and an export of each modality."""
    draw = random.Random(0)
    usual = [verb for verb in VERBS if verb != "ONNX"]
    for modality in MODALITIES:
        for container in CONTAINERS:
            row = draw.choice([row for row in ROWS if row.modality == modality and row.container == container])
            yield row, draw.sample(usual, VERBS_PER_ROW)
    yield from ((next(row for row in ROWS if row.modality == modality), ["ONNX"]) for modality in MODALITIES)


CELLS = list(draw_cells())


def test_the_slice_covers_everything():
    assert {row.container for row, _ in CELLS} == set(CONTAINERS)
    assert {row.dtype for row, _ in CELLS} == set(DTYPES)
    assert {(row.modality, verb) for row, verbs in CELLS for verb in verbs} >= {
        (modality, verb) for modality in MODALITIES for verb in VERBS
    }


def test_the_table_has_every_row_and_neither_differences_nor_raw_errors():
    assert list(EXPECTED) == ROWS
    assert {status for cells in EXPECTED.values() for status in cells.values()} <= {"equal", "refused"}


@pytest.mark.parametrize(("row", "verbs"), CELLS, ids=lambda value: "-".join(value).replace(" ", "_"))
def test_equal_or_refused_as_the_table_says(row, verbs):
    outcomes = {verb: evaluate(row, verb) for verb in verbs}
    assert {verb: outcome.status for verb, outcome in outcomes.items()} == {
        verb: EXPECTED[row][verb] for verb in verbs
    }, outcomes
