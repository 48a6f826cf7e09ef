"""Checks of the exercises to notebook 5: random draws, and how many are enough."""

from collections.abc import Callable

import numpy as np

from alhelpers.course.checks import Said, check, checked, real
from alhelpers.intervals import interval
from alhelpers.learner import ActiveLearner

DRAWS = 20


@checked
def check_5_1(accuracy_of: Callable, learner: ActiveLearner) -> Said:
    """DRAWS random draws of 400 labels, each repeatable and from the start."""
    what = "an accuracy is wanted"
    accuracy = np.array([real(accuracy_of(seed), what) for seed in range(DRAWS)])
    n, different = len(learner.labeled), len(set(learner.labeled.tolist()))
    more = f"The last model had {n:,} labels. Reset the learner before each draw, and label 400."
    check(n in (0, 400), "how many labels has the learner by now?", more)
    more = f"Only {different} of the 400 are different: draw without replacement."
    check(different == n, "are the 400 images different ones?", more)
    more = f"All {DRAWS} draws are the same: let the seed decide which images come first."
    check(len(set(accuracy)) > 1, "does the seed change anything?", more)
    more = "Accuracy never falls: without a reset each fit goes on from the one before."
    check((np.diff(accuracy) < 0).any(), "where does each fit start?", more)
    again = [accuracy_of(seed) for seed in range(3)]
    more = "The same seed gives another accuracy each time: make the generator from seed."
    check(again == accuracy[:3].tolist(), "what if somebody repeats your draw?", more)
    more = f"A mean of {accuracy.mean():.2%} is not that of 400 random labels."
    check(0.79 < accuracy.mean() < 0.87, "how many labels does each draw have?", more)
    return (
        f"{interval(accuracy).percent()}; {(accuracy >= 0.8375).sum()} of {DRAWS} draws reach 83.75%. "
        f"Single draws: {accuracy.min():.2%} to {accuracy.max():.2%}."
    )


@checked
def check_5_2(draws_needed: Callable) -> Said:
    """How many draws for an interval of a given half width, from a scatter of one point."""
    some = 0.83 + 0.01 * np.array([-1.5, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.5])  # ddof=1: one point
    what = "a number of draws is wanted"
    n, fine = real(draws_needed(some.copy(), 0.005), what), real(draws_needed(some.copy(), 0.001), what)
    check(n == int(n), "can you make a part of a draw?", f"There are no {n:g} draws: round up.")
    more = "The standard error falls with the square root of n: square the ratio."
    check(fine > 6 * n, "five times as fine: how many times the draws?", more)
    more = "That is for one standard error: half_width is 1.96 of them."
    check(n not in (4, 5), "how many standard errors make 95%?", more)
    more = "half_width is one side of the interval, not the whole width."
    check(n not in (53, 54, 61, 62), "is half_width the whole interval?", more)
    more = f"{n:g} draws are not quite enough: round up."
    check(n not in (13, 15), "would your draws be enough?", more)
    more = f"A scatter of one point takes 16 draws for half a point, not {n:g}: (1.96 scatter / half_width)²."
    check(n in (14, 16), "put n into the formula of the standard error: what comes out?", more)
    check(fine > 20 * n, "five times as fine: how many times the draws?", "25 times.")
    return f"{n:g} draws for half a point, {fine:g} for a tenth of one."
