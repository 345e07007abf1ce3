import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from skclr.evaluation import confidence_interval, corrected_t_test

SCORES = [0.7, 0.8, 0.75, 0.9, 0.65]


def test_interval_is_scipys():
    expected = stats.ttest_1samp(SCORES, 0).confidence_interval()
    assert_allclose(confidence_interval(SCORES), [expected.low, expected.high])
    assert all(map(math.isnan, confidence_interval([1.0])))


def test_without_correction_the_test_is_students():
    expected = stats.ttest_1samp(SCORES, 0)
    found = corrected_t_test(SCORES, 0.0)
    assert_allclose(found.p_value, expected.pvalue)
    assert_allclose([found.low, found.high], list(expected.confidence_interval()))


def test_correction_is_nadeau_and_bengios():
    mean = sum(SCORES) / 5
    variance = sum((score - mean) ** 2 for score in SCORES) / 4
    t = mean / math.sqrt((1 / 5 + 1 / 4) * variance)
    assert_allclose(corrected_t_test(SCORES, 1 / 4).p_value, 2 * stats.t.sf(t, 4))


@pytest.mark.parametrize("n_tests", [1, 9])
@pytest.mark.parametrize("shift", np.linspace(-1.5, 0, 16))
def test_interval_and_p_value_agree(n_tests, shift):
    found = corrected_t_test(np.array(SCORES) + shift, 1 / 4, n_tests=n_tests)
    assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


def test_equal_differences():
    assert corrected_t_test([0.0, 0.0], 0.5) == (0, 0, 0, 1)
    assert corrected_t_test([0.1, 0.1], 0.5) == (0.1, 0.1, 0.1, 0)
    with pytest.raises(ValueError, match=r"1 resample.*cv=5"):
        corrected_t_test([0.1], 0.5)
