"""What many learning curves say."""

import numpy as np
import pytest
from scipy import stats

from alhelpers import intervals
from alhelpers.evidence import curves


def test_the_area_of_a_straight_curve_is_its_middle():
    n_labels = np.array([10, 20, 50])
    np.testing.assert_allclose(
        curves.area(n_labels, np.array([[0.1, 0.2, 0.5], [0.7, 0.7, 0.7]])), [0.3, 0.7]
    )


def test_labels_to_reach_reads_between_the_fits_of_the_mean_curve():
    n_labels = np.array([100, 200, 300])
    two = np.array([[0.5, 0.6, 0.9], [0.5, 0.8, 0.9]])
    found = curves.labels_to_reach(n_labels, two, np.array([0.6, 0.6]))
    assert found.estimate == pytest.approx(150)
    assert found.low == pytest.approx(100 + 100 / 3)  # both draws the second
    assert found.high == pytest.approx(200)  # both the first
    many, target = np.random.default_rng(1).random((20, 3)).cumsum(axis=1), np.full(20, 0.9)
    again = [curves.labels_to_reach(n_labels, many, target) for _ in range(2)]
    assert again[0] == again[1], "the bootstrap draws others each time"
    never = curves.labels_to_reach(n_labels, two, np.array([0.95, 0.95]))
    assert never.estimate == np.inf
    assert never.labels() == "more than were tried"
    # Of two draws one never gets there: in a quarter of all resamples it is alone.
    seldom = curves.labels_to_reach(
        n_labels, np.array([[0.5, 0.6, 0.9], [0.5, 0.6, 0.7]]), np.array([0.75, 0.75])
    )
    assert (seldom.estimate, seldom.low, seldom.high) == pytest.approx((275, 250, np.inf))
    assert seldom.labels() == "275 (250 to more than were tried)"


def test_numbers_of_labels_read_as_words():
    assert curves.Labels(818, 780, np.inf).labels() == "818 (780 to more than were tried)"
    assert curves.Labels(1818, 1780.4, 1860).less(400).labels() == "1,418 (1,380 to 1,460)"


@pytest.mark.parametrize(
    ("curve", "labels"),
    [
        ([0.5, 0.625, 0.625, 0.75], 200),  # touched is reached
        ([0.5, 0.75, 0.5, 0.75], 150),  # for the first time
        ([0.625, 0.5, 0.75, 0.75], 100),  # from the first fit on
    ],
)
def test_labels_to_reach_are_those_of_the_first_time_that_the_curve_is_as_high(curve, labels):
    n_labels, target = np.array([100, 200, 300, 400]), np.array([0.625])
    found = curves.labels_to_reach(n_labels, np.array([curve]), target)
    assert found == (labels, labels, labels)


def test_a_crossed_interval_adds_both_variances_with_the_t_of_the_smaller_number():
    values = np.array([[0.1, 0.3, 0.2], [0.2, 0.6, 0.4], [0.0, 0.3, 0.3], [0.1, 0.2, 0.3]])
    variance = stats.sem(values.mean(axis=1)) ** 2 + stats.sem(values.mean(axis=0)) ** 2
    half = stats.t.ppf(0.975, 2) * variance**0.5  # three parts; z would give less than half of it
    for found in (curves.crossed_interval(values), curves.crossed_interval(values.T)):
        assert found == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))


def test_a_crossed_interval_covers_the_truth_for_other_draws_and_other_test_images():
    rng = np.random.default_rng(0)
    covered = alone = 0
    for _ in range(400):
        # Draws and parts of the test images each add something of their own to every figure.
        values = rng.normal(size=(30, 1)) + rng.normal(size=(1, 10)) + rng.normal(size=(30, 10))
        found, narrow = curves.crossed_interval(values), intervals.interval(values.mean(axis=1))
        covered += found.low <= 0 <= found.high
        alone += narrow.low <= 0 <= narrow.high
    assert 0.93 <= covered / 400 <= 0.99
    assert alone / 400 < 0.8, "an interval over draws alone says nothing of the test images"
