import pytest

from skclr.training import LR_SCHEDULES, WarmupThen


@pytest.mark.parametrize("name", LR_SCHEDULES)
def test_warmup_is_linear_and_decay_starts_at_one(name):
    schedule = WarmupThen(LR_SCHEDULES[name], warmup_epochs=1, max_epochs=10)
    assert [schedule(step, 100) for step in range(10)] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert schedule(10, 100) == 1.0


@pytest.mark.parametrize(("name", "half", "last"), [("cosine", 0.5, 0.0), ("linear", 0.5, 0.0), ("constant", 1.0, 1.0)])
def test_decay(name, half, last):
    schedule = WarmupThen(LR_SCHEDULES[name], warmup_epochs=0, max_epochs=10)
    assert schedule(50, 100) == pytest.approx(half)
    assert schedule(100, 100) == pytest.approx(last)


def test_a_stream_without_end_stays_at_the_base_rate():
    schedule = WarmupThen(LR_SCHEDULES["cosine"], warmup_epochs=1, max_epochs=1)
    assert {schedule(step, 0) for step in range(1000)} == {1.0}


def test_a_warmup_longer_than_the_run_is_all_of_it():
    schedule = WarmupThen(LR_SCHEDULES["cosine"], warmup_epochs=5, max_epochs=2)
    assert [schedule(step, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
