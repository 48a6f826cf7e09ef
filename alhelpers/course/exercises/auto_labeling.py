"""Checks of the exercises to notebook 7: wrong labels, and a threshold."""

from collections.abc import Callable

import numpy as np

from alhelpers.course.checks import Said, array, check, checked
from alhelpers.intervals import interval
from alhelpers.learner import ActiveLearner
from alhelpers.tables import Table


@checked
def check_7_1(careless: Callable, accuracy_with: Callable[[Callable, int], float]) -> Said:
    """Labels of which some are wrong, and what they cost the loop in five draws."""
    many = np.arange(100_000) % 10
    kept = many.copy()
    told = array(careless(kept, 0.2), many.shape, "a label for each image")
    check((kept == many).all(), "is y still what it was?", "You change y itself: work on a copy.")
    more = f"Labels are whole numbers; yours are {told.dtype} numbers."
    check(told.dtype.kind in "iu", "is every label a whole number?", more)
    more = "They go from 0 to 9; some of yours do not."
    check(set(told.tolist()) == set(range(10)), "is every label one of the ten digits?", more)
    share = (told != many).mean()
    more = "18% are wrong, not 20%: a digit drawn from all ten is the right one at times."
    check(not 0.175 < share < 0.185, "how often is a digit drawn at random right by chance?", more)
    more = "80% are wrong: you keep the wrong part."
    check(not 0.79 < share < 0.81, "with which probability is a label wrong?", more)
    more = f"{share:.1%} of the labels are wrong, and 20% are wanted."
    check(0.193 < share < 0.207, "with which probability is a label wrong?", more)
    shifts = np.bincount((told - many)[told != many] % 10, minlength=10)[1:]
    more = "Some wrong digits come too often: draw the other nine evenly."
    check(shifts.min() > 0.8 * shifts.max(), "are all the other digits equally likely?", more)
    rows, right = [], None
    for rate in (0, 0.05, 0.1, 0.2):
        accuracy = [
            accuracy_with(lambda y, rate=rate: np.asarray(careless(y, rate)), seed) for seed in range(1, 6)
        ]
        right = right or accuracy
        lost = np.subtract(accuracy, right)
        rows.append([f"{rate:.0%}", f"{np.mean(accuracy):.2%}", interval(lost).points() if rate else ""])
    said = "400 labels of this person, asked the least confident first, in five fresh draws:"
    return said, Table(["wrong labels", "accuracy", "change"], rows)


@checked
def check_7_2(auto_label_above: Callable, learner: ActiveLearner) -> Said:
    """Labels of the model from a threshold on, each counted and compared with the truth."""
    auto_label_above(none := learner.copy(), 1.01)
    n = len(none.labeled) - 400
    more = f"No confidence is above 1.01, so nothing may be labelled, and you label {n:,}."
    check(not n, "what happens if no image is sure enough?", more)
    rows = []
    for threshold in (0, 0.6, 0.9, 0.99):
        auto_label_above(some := learner.copy(), threshold)
        check(len(some.history) == 40, "who asked for a fit?", "Label only: the check wants the labels.")
        new = some.labeled[400:]
        due = int((learner.predict_proba(learner.unlabeled).max(axis=1) >= threshold).sum())
        more = f"At {threshold}, {due:,} images are sure enough and you label {len(new):,}."
        check(len(new) == due, "how many images reach the threshold?", more)
        least = learner.predict_proba(new).max(axis=1).min()
        more = f"At {threshold} one of yours has only {least:.0%}: sort the most confident first."
        check(least >= threshold, "which images stand first when you label?", more)
        wrong = (some.labels[400:] != learner.data.y_pool[new]).sum()
        rows.append([f"{threshold:.0%}", f"{len(new):,}", wrong, f"{wrong / len(new):.1%}"])
    table = Table(["confidence", "labels", "wrong", "share wrong"], rows)
    return "Labels of the model, by the threshold:", table
