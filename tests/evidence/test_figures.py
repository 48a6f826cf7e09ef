"""Figures of many draws show the numbers they are given."""

import numpy as np
import pytest

from alhelpers.evidence import figures
from alhelpers.intervals import Interval


def test_a_label_on_the_boundary_moves_it_and_one_far_from_it_does_not():
    drawn = figures.one_more_label()
    assert [axes.get_title() for axes in drawn.axes] == [
        "ask where it is surest",
        "ask where it is least sure",
    ]
    moved = []
    for axes in drawn.axes:
        before, after = (line.get_xdata() for line in axes.lines if line.get_label().startswith("boundary"))
        moved.append(np.abs(after - before).max())
    assert moved[0] < 0.02
    assert moved[1] > 0.5


def test_intervals_are_drawn_as_given():
    lines = figures.intervals({"a": (0.01, -0.02, 0.04)}, "gain", "One interval").numbers()[0]["lines"]
    assert lines[1:] == [[[-0.02, 0.04], [0, 0]], [[0.01], [0]]]


def test_dots_that_differ_by_rounding_alone_are_stacked_and_not_hidden():
    accuracies = np.array([0.9, 0.8, 0.7]) - np.array([0.8, 0.7, 0.6])
    assert len(set(accuracies)) > 1, "the same on paper"
    _, heights = figures.dots({"a": accuracies}, {}, "gain", "Dots").numbers()[0]["lines"][0]
    assert len(set(heights)) == 3


def test_a_table_of_gains_says_which_are_above_and_below_zero():
    gains = {"a": {"margin": Interval(0.02, 0.01, 0.03), "badge": Interval(0.01, -0.01, 0.03)}}
    figure = figures.verdicts(gains | {"b": {"badge": Interval(-0.02, -0.03, -0.01)}}, "a table")
    shown = figure.axes[0].images[0].get_array()
    assert shown.filled(9).tolist() == [[1, 0], [9, -1]]
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words[:3] == ["+2.0", "+1.0", "−2.0"]
    with pytest.raises(ValueError, match="there are no gains"):
        figures.verdicts({"a": {}}, "a table")
