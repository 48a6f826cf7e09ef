"""Figures of many draws show the numbers they are given."""

import numpy as np
import pytest

from alhelpers.evidence import figures
from alhelpers.intervals import Interval


def test_a_boundary_is_drawn_before_and_after_each_label():
    points, line = np.linspace(0, 1, 12).reshape(6, 2), (np.array([[1.0, -1], [0.5, 1]]), np.array([0.1, 0]))
    after = {"near": ([0, 1, 4], *line), "far": ([0, 1, 5], *line)}
    drawn = figures.boundaries(points, np.arange(6) % 2, ([0, 1], *line), after)
    assert [axes.get_title() for axes in drawn.axes] == ["near", "far"]


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
