import pytest

from skclr.parts.schedules import cosine, linear


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
