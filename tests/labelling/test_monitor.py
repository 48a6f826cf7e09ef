"""What a person is told after each round is what the answers say."""

import numpy as np
import pytest

from alhelpers.agreement import cohen_kappa
from alhelpers.intervals import proportion
from alhelpers.labelling.monitor import Monitor


def answers(n, wrong):
    """Answers on n images of class 0, the first of them wrong."""
    return np.where(np.arange(n) < wrong, 1, 0)


def test_a_monitor_says_after_each_round_what_is_known():
    monitor = Monitor(np.zeros(100, int))
    stop = np.arange(1000) % 10
    assert monitor.add(answers(100, 20), stop, 110, 3.6) == (
        "110 labels, 3.6 min: 80.0 % right (71.1 to 86.7 on 100 check images)"
    )
    moved = stop.copy()
    moved[:31] = (moved[:31] + 1) % 10
    line = monitor.add(answers(100, 16), moved, 120, 4.0)
    share = 32 / 1002
    kappa = cohen_kappa(stop, moved)
    assert line == (
        "120 labels, 4.0 min: 84.0 % right (75.6 to 89.9 on 100 check images); "
        f"3.1 % of answers changed, kappa {kappa:.3f}; next ten: +0.3 points (-0.6 to +1.3)"
    )
    gain = pytest.approx((0.1 * share, -0.2 * share, 0.4 * share))
    assert monitor.rows[1][:7] == (2, 120, 4.0, proportion(84, 100), 0.031, kappa, gain)
    assert np.isnan([monitor.rows[0].changed, monitor.rows[0].kappa, *monitor.rows[0].next_gain]).all()
    line = monitor.add(answers(100, 16), moved, 145, 5.0)  # another batch size, and nothing changed
    assert line.endswith("; 0.0 % of answers changed, kappa 1.000; next 25: +0.01 points (-0.02 to +0.04)")


def test_a_monitor_says_when_the_answers_have_settled_and_when_no_longer():
    monitor = Monitor(np.zeros(50, int), threshold=0.98, window=2)
    stop = np.arange(1000) % 10
    rolled = np.roll(stop, 1)
    said = [
        "settled" in monitor.add(np.zeros(50), now, 10 * (i + 1), i)
        for i, now in enumerate((stop, rolled, rolled, rolled, stop))
    ]
    assert said == [False, False, False, True, False]
    assert not monitor.stable


def test_a_monitor_shows_its_rounds_as_a_table():
    monitor = Monitor(np.zeros(100, int))
    header = "labels    min  right                        changed  kappa  next batch, points"
    assert repr(monitor) == header
    for i in range(3):
        monitor.add(answers(100, 50 - i), answers(500, 250 + 30 * i), 10 * (i + 1), 0.7 * (i + 1))
    assert repr(monitor).splitlines() == [
        header,
        "    10    0.7  50.0 % right (40.4 to 59.6)",
        "    20    1.4  51.0 % right (41.3 to 60.6)    6.0 %  0.880  +0.6 (-1.2 to +2.5)",
        "    30    2.1  52.0 % right (42.3 to 61.5)    6.0 %  0.876  +0.6 (-1.2 to +2.5)",
    ]


def test_a_monitor_keeps_what_it_was_given():
    truth, stop = np.zeros(20, int), np.zeros(200, int)
    monitor = Monitor(truth)
    monitor.add(np.zeros(20), stop, 10, 0)
    truth[:], stop[:] = 1, 1  # arrays that are written into afterwards
    monitor.add(np.zeros(20), stop, 20, 1)
    assert monitor.rows[1].accuracy.estimate == 1
    assert monitor.rows[1].changed == 1


def test_a_monitor_refuses_what_does_not_fit_and_stays_as_it_was():
    with pytest.raises(ValueError, match=r"the check set has no label, .* undo an answer"):
        Monitor([])
    with pytest.raises(ValueError, match="window is 0; give a whole number from 1 up"):
        Monitor([1], window=0)
    monitor = Monitor(np.zeros(20, int))
    monitor.add(np.zeros(20), np.zeros(200, int), 10, 0.5)
    with pytest.raises(ValueError, match="19 answers for 20 check images; give one for each"):
        monitor.add(np.zeros(19), np.zeros(200, int), 20, 1)
    with pytest.raises(ValueError, match="n_labels is 9 after 10; give the labels so far"):
        monitor.add(np.zeros(20), np.zeros(200, int), 9, 1)
    with pytest.raises(ValueError, match="200 answers before and 100 after"):
        monitor.add(np.zeros(20), np.zeros(100, int), 20, 1)
    assert len(monitor.rows) == 1
    monitor.add(np.zeros(20), np.ones(200, int), 20, 1)
    assert monitor.rows[1].changed == 1
