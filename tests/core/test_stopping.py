"""What a person can know after each round follows from the answers."""

import numpy as np
import pytest

from alhelpers.intervals import Interval
from alhelpers.stopping import changed, is_stable, next_gain


def test_answers_that_changed_are_counted_and_make_the_forecast():
    before, after = np.array([1, 2, 3, 4, 4]), np.array([1, 2, 3, 3, 5])
    assert changed(before, after) == 2 / 5
    assert next_gain(before, after) == pytest.approx([3 / 7 * net for net in (0.1, -0.2, 0.4)])
    assert next_gain(before, after, Interval(0, -1, 1)) == pytest.approx((0, -3 / 7, 3 / 7))
    # That nothing changed among a hundred does not promise that nothing will.
    assert next_gain(np.zeros(100), np.zeros(100)).high == pytest.approx(0.4 / 102)
    for few in (after[:4], []):
        with pytest.raises(ValueError, match=f"5 answers before and {len(few)} after; give one for each"):
            changed(before, few)
    with pytest.raises(ValueError, match="0 answers before and 0 after"):
        next_gain([], [])


@pytest.mark.parametrize(
    ("kappas", "stable"),
    [
        ([0.99, 0.99], False),  # too few rounds
        ([0.5, 0.985, 0.99, 1.0], True),  # the mean counts, and only of the last three
        ([1.0, 1.0, 0.96, 1.0], False),
        ([1.0, 1.0, 1.0, 0.9, 1.0], False),  # what was stable can become unstable
        ([np.nan, 1.0, 1.0], False),  # the first model has none before it
        ([np.nan, 1.0, 1.0, 1.0], True),
    ],
)
def test_predictions_are_stable_when_the_mean_of_the_last_kappas_is_high(kappas, stable):
    assert is_stable(kappas) is stable


def test_a_lower_threshold_or_a_shorter_window_stops_sooner():
    assert is_stable([0.9, 0.97, 0.99], 0.95)
    assert is_stable([0.9, 0.97, 0.99], 0.98, window=2)
    assert not is_stable([0.9, 0.97, 0.99], 0.98)
