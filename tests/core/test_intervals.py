"""Intervals are the textbook's, and the words say what the numbers say."""

import warnings

import numpy as np
import pytest
from scipy import stats

from alhelpers import intervals
from alhelpers.intervals import Interval


def test_an_interval_is_student_s():
    values = np.array([0.81, 0.84, 0.86, 0.83])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert intervals.interval(values) == pytest.approx((values.mean(), low, high))
    assert intervals.interval(values * 1.16).within(0, 1) == pytest.approx(
        (values.mean() * 1.16, low * 1.16, 1)
    )
    assert intervals.interval([0.4, 0.6]).low < 0.4, "two draws have an interval"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a notebook would show one
        alone = intervals.interval([0.5]).within(0, 1)
    assert alone.estimate == 0.5
    assert np.isnan(alone.low)
    assert alone.percent() == "50.00% (no interval from one draw)"
    assert alone.points() == "+50.00 points (no interval from one draw)"
    means, lows, highs = intervals.band(np.column_stack([values, values + 0.1]))
    np.testing.assert_allclose(np.column_stack([means, lows, highs])[1] - 0.1, intervals.interval(values))


def test_the_interval_of_a_share_is_wilson_s():
    for k, n in ((84, 100), (0, 21), (9, 9), (1, 1)):
        low, high = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert intervals.proportion(k, n) == pytest.approx((k / n, low, high), abs=1e-12)
        assert 0 <= intervals.proportion(k, n).low <= intervals.proportion(k, n).high <= 1
    for k, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=f"{k} of {n} is no share; give counts with 0 ≤ k ≤ n"):
            intervals.proportion(k, n)


def test_intervals_read_as_sentences():
    assert intervals.points(0.01386) == "+1.39"
    assert intervals.points(-0.00001) == "+0.00"
    assert Interval(0.0139, 0.011, 0.018).points() == "+1.39 points (+1.10 to +1.80)"
    assert Interval(0.0139, -0.00001, 0.018).points(1) == "+1.4 points (+0.0 to +1.8)"
    assert Interval(0.848, 0.8457, 0.8503).percent() == "84.80% (84.57 to 85.03)"
