import pytest

from skclr.parts.schedules import LR_SCHEDULES, WarmupThen, cosine, linear


@pytest.mark.parametrize("schedule", [cosine, linear])
class TestBoth:
    def test_ends(self, schedule):
        assert schedule(0.996, 1.0, 0.0) == pytest.approx(0.996)
        assert schedule(0.996, 1.0, 1.0) == pytest.approx(1.0)

    def test_half_way_is_the_mean(self, schedule):
        assert schedule(2.0, 4.0, 0.5) == pytest.approx(3.0)

    def test_never_turns_back(self, schedule):
        values = [schedule(0.0, 1.0, step / 100) for step in range(101)]
        assert values == sorted(values)

    def test_there_and_back_are_mirror_images(self, schedule):
        for progress in (0.1, 0.35, 0.8):
            assert schedule(1.0, 5.0, progress) == pytest.approx(schedule(5.0, 1.0, 1 - progress))

    def test_constant_stays(self, schedule):
        assert schedule(0.7, 0.7, 0.3) == pytest.approx(0.7)


def test_cosine_is_slow_at_both_ends():
    assert cosine(0.0, 1.0, 0.1) < linear(0.0, 1.0, 0.1)
    assert cosine(0.0, 1.0, 0.9) > linear(0.0, 1.0, 0.9)


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
