"""What a person is told after each round is what the answers say."""

import numpy as np
import pytest

from alhelpers.agreement import agreement
from alhelpers.errors import UserError
from alhelpers.intervals import proportion
from alhelpers.labelling.monitor import Monitor, balanced_accuracy


def answers(n, wrong):
    """Answers on n images of class 0, the first of them wrong."""
    return np.where(np.arange(n) < wrong, 1, 0)


def labels(n):
    return np.zeros(n, int)


def test_a_monitor_says_after_each_round_what_is_known():
    monitor = Monitor(np.zeros(100, int), ["cat"])
    stop = np.arange(1000) % 10
    assert monitor.add(answers(100, 20), stop, labels(110), 3.6) == (
        "110 labels (cat: 110), 3.6 min: 80.0% right (71.1 to 86.7 on 100 check images)"
    )
    moved = stop.copy()
    moved[:31] = (moved[:31] + 1) % 10
    line = monitor.add(answers(100, 16), moved, labels(120), 4.0)
    share = 32 / 1002
    kappa = agreement(stop, moved).kappa.estimate
    assert line == (
        "120 labels (cat: 120), 4.0 min: 84.0% right (75.6 to 89.9 on 100 check images); "
        f"3.1% of answers changed, kappa {kappa:.3f}; next ten: +0.3 points (-0.6 to +1.3)"
    )
    gain = pytest.approx((0.1 * share, -0.2 * share, 0.4 * share))
    assert monitor.rows[1][:7] == (2, 120, 4.0, proportion(84, 100), 0.031, kappa, gain)
    assert np.isnan([monitor.rows[0].changed, monitor.rows[0].kappa, *monitor.rows[0].next_gain]).all()
    line = monitor.add(answers(100, 16), moved, labels(145), 5.0)  # another batch size, and nothing changed
    assert line.endswith("; 0.0% of answers changed, kappa 1.000; next 25: +0.01 points (-0.02 to +0.04)")


def test_a_monitor_says_when_the_answers_have_settled_and_when_no_longer():
    monitor = Monitor(np.zeros(50, int), ["cat"])
    stop = np.arange(1000) % 10
    rolled = np.roll(stop, 1)
    said = [
        "settled" in monitor.add(np.zeros(50), now, labels(10 * (i + 1)), i)
        for i, now in enumerate((stop, rolled, rolled, rolled, rolled, stop))
    ]
    assert said == [False, False, False, False, True, False]


def test_a_monitor_keeps_what_it_was_given():
    truth, stop = np.zeros(20, int), np.zeros(200, int)
    monitor = Monitor(truth, ["cat"])
    monitor.add(np.zeros(20), stop, labels(10), 0)
    truth[:], stop[:] = 1, 1  # arrays that are written into afterwards
    monitor.add(np.zeros(20), stop, labels(20), 1)
    assert monitor.rows[1].accuracy.estimate == 1
    assert monitor.rows[1].changed == 1


def test_a_monitor_refuses_what_does_not_fit_and_stays_as_it_was():
    with pytest.raises(ValueError, match=r"the check set has no label, .* undo an answer"):
        Monitor([], ["cat"])
    monitor = Monitor(np.zeros(20, int), ["cat"])
    monitor.add(np.zeros(20), np.zeros(200, int), labels(10), 0.5)
    with pytest.raises(ValueError, match="19 answers for 20 check images; give one for each"):
        monitor.add(np.zeros(19), np.zeros(200, int), labels(20), 1)
    with pytest.raises(ValueError, match="n_labels is 9 after 10; give the labels so far"):
        monitor.add(np.zeros(20), np.zeros(200, int), labels(9), 1)
    with pytest.raises(ValueError, match="200 answers before and 100 after"):
        monitor.add(np.zeros(20), np.zeros(100, int), labels(20), 1)
    assert len(monitor.rows) == 1
    monitor.add(np.zeros(20), np.ones(200, int), labels(20), 1)
    assert monitor.rows[1].changed == 1


# --- Classes that are rare, or missing ---


def rounds_of(monitor, n, labels, stop=None, check=None):
    """The lines of n rounds in which nothing changes any more."""
    stop = np.arange(300) % 2 if stop is None else stop
    check = monitor._y_check if check is None else check
    return [monitor.add(check, stop, np.resize(labels, 10 * (k + 1)), k) for k in range(n)]


def test_every_line_counts_the_labels_of_each_class():
    monitor = Monitor([0, 1, 2], ["cat", "dog", "cow"])
    assert monitor.add([0, 1, 2], [0, 1, 2], [1, 0, 1, 2], 0).startswith(
        "4 labels (cat: 1, dog: 2, cow: 1), 0.0 min"
    )
    assert monitor.rows[0].counts == (1, 2, 1)
    many = Monitor(np.arange(30), [f"c{k}" for k in range(30)])
    line = many.add(np.arange(30), np.arange(30), np.repeat(np.arange(30), np.arange(30) + 1), 0)
    assert line.startswith("465 labels (of a class 1, c0, to 30, c29)")


@pytest.mark.parametrize(
    ("y_check", "labels", "stop", "check", "doubt"),
    [
        ([0, 1], [0], None, [0, 1], "no label yet of dog"),
        ([0, 0], [0, 1], None, [0, 0], "no dog in the check set"),
        ([0, 1], [0, 1], np.zeros(300, int), [0, 1], "the model says cat to everything"),
        ([0, 1], [0, 1], None, [1, 0], "right no more often than by guessing"),
        ([0, 1, 0, 0], [0, 1], None, [0, 0, 0, 0], "right no more often than by guessing"),
        ([0, 0], [0, 1], None, [1, 1], "right no more often than by guessing"),
    ],
)
def test_nothing_is_settled_by_classes_that_nobody_has_seen_or_by_guesses(
    y_check, labels, stop, check, doubt
):
    monitor = Monitor(y_check, ["cat", "dog"])
    lines = rounds_of(monitor, 8, labels, stop, check)
    assert all(doubt in line for line in lines)
    assert not any("settled: " in line for line in lines)
    assert lines[-1].endswith(", so nothing is settled")
    certain = Monitor([0, 1], ["cat", "dog"])
    assert "settled: " in rounds_of(certain, 8, [0, 1])[-1]
    unnamed = rounds_of(Monitor([0, 0], ["cat"]), 8, [0, 1])
    assert unnamed[-1].endswith("; no 1 in the check set, so nothing is settled")


def test_a_skewed_check_set_gets_balanced_accuracy_beside_the_plain_one():
    y = np.repeat([0, 1], [99, 1])
    line = Monitor(y, ["cat", "dog"]).add(np.zeros(100, int), np.arange(300) % 2, [0, 1], 0)
    assert "99.0% right" in line
    assert "balanced 50.0% (48.1 to 89.7); 99.0% are cat" in line
    even = Monitor(np.repeat([0, 1], [60, 40]), ["cat", "dog"])
    assert "balanced" not in even.add(np.zeros(100, int), np.arange(300) % 2, [0, 1], 0)


def test_balanced_accuracy_is_the_mean_over_classes_and_its_interval_covers_the_truth():
    rng, truth = np.random.default_rng(0), (0.95 + 0.4) / 2
    y = np.repeat([0, 1], [180, 20])
    covered = 0
    for _ in range(1000):
        right = rng.random(200) < np.where(y == 0, 0.95, 0.4)
        found = balanced_accuracy(np.where(right, y, 1 - y), y)
        assert found.estimate == pytest.approx((right[:180].mean() + right[180:].mean()) / 2)
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 1000 <= 0.98


@pytest.mark.parametrize("n_stop", [100, 1000, 10_000, 100_000])
def test_an_interval_of_a_gain_never_looks_like_nothing(n_stop):
    monitor = Monitor([0, 1], ["cat", "dog"])
    for n in (10, 20):
        line = monitor.add([0, 1], np.arange(n_stop) % 2, np.arange(n) % 2, 0)
    low, high = line.rpartition("(")[2].rstrip(")").split(" to ")
    assert float(low) < 0 < float(high)


def test_a_check_set_that_nobody_could_tell_is_one_sentence():
    with pytest.raises(UserError, match="the check set has no label, so nothing can judge") as error:
        Monitor(np.full(5, -1), ["cat"])
    assert "\n" not in str(error.value)
    told = Monitor([-1, 0, 1], ["cat", "dog"])
    assert "50.0% right (9.5 to 90.5 on 2 check images)" in told.add([0, 0, 0], [0, 1], [0, 1], 0)
