"""Checks of the exercises to notebook 6: two queries, and when to stop."""

from collections.abc import Callable

import numpy as np

from alhelpers.course.checks import Said, array, check, checked, whole
from alhelpers.intervals import interval
from alhelpers.tables import Table


@checked
def check_6_1(margin: Callable, entropy: Callable, accuracy_by: Callable[[Callable, int], float]) -> Said:
    """Two queries, on four made-up images, and then on ten draws."""
    sure, torn, lost = [0, 1] + 8 * [0], [0.02, 0.49, 0.49] + 7 * [0], 10 * [0.1]
    p = np.array([sure, torn, lost, [0.2, 0.1, 0.7] + 7 * [0]])
    m = array(margin(p.copy()), (4,), "a number for each image")
    more = f"Of 0.2, 0.1 and 0.7 the margin is 0.5, the largest minus the second; yours is {m[3]:.2f}."
    check(np.allclose(abs(m[3]), 0.5), "which two probabilities does a margin compare?", more)
    more = "A sure answer has the largest margin and is asked about last: turn the sign."
    check(m[0] > m[1], "which image would your margin ask about first?", more)
    more = f"For four small examples it should be 1, 0, 0, 0.5 and is {np.round(m, 3)}."
    check(np.allclose(m, [1, 0, 0, 0.5], atol=1e-6), "is that the margin of every image?", more)
    with np.errstate(divide="ignore", invalid="ignore"):
        e = array(entropy(p.copy()), (4,), "a number for each image")
    more = "It is nan in NumPy: keep the logarithm away from 0, for instance by np.maximum(proba, 1e-30)."
    check(np.isfinite(e).all(), "what is 0 times log 0?", more)
    more = "Ten equal probabilities have to come out lowest: turn the sign."
    check(e[0] > e[2], "which image would your entropy ask about first?", more)
    wanted = np.array([0, -0.7773, -2.3026, -0.8018])
    more = "That is in bits; np.log gives the formula's, and the same order."
    check(not np.allclose(e, wanted / np.log(2), atol=1e-3), "which logarithm?", more)
    more = f"For four small examples it should be {wanted} and is {np.round(e, 4)}."
    check(np.allclose(e, wanted, atol=1e-3), "is that the sum of p log p of every image?", more)
    by = {name: [] for name in ("margin", "entropy")}
    for seed in range(1, 11):
        by["margin"].append(accuracy_by(margin, seed))
        by["entropy"].append(accuracy_by(entropy, seed))
    lead = np.subtract(by["margin"], by["entropy"])
    rows = [[name, interval(accuracy).percent()] for name, accuracy in by.items()]
    rows += [["margin minus entropy, draw by draw", interval(lead).points()]]
    rows += [["single draws", f"{100 * lead.min():+.2f} to {100 * lead.max():+.2f} points"]]
    said = f"Margin is ahead in {(lead > 0).sum()} of 10 fresh draws, judged by 10,000 test images."
    return said, Table(["400 labels by", "accuracy"], rows)


@checked
def check_6_2(best_stop: Callable, n_labels: np.ndarray, accuracy: np.ndarray) -> Said:
    """Where to stop on a small bumpy curve, and then on the article's."""
    n, bumpy = np.arange(10, 80, 10), np.array([0.4, 0.6, 0.6, 0.6, 0.8, 0.81, 0.81])

    def asked(price: float) -> int:
        return whole(best_stop(n.copy(), bumpy.copy(), price, 0.02, 10_000), "a number of labels is wanted")

    quarter, cent, dear, free = (asked(price) for price in (0.25, 0.01, 100, 0))
    found = [quarter, cent, dear, free]
    more = f"You return {quarter}, the position of 50 in n_labels: return n_labels at that position."
    check(found[:3] != [4, 5, 0], "a number of labels, or a place in a list?", more)
    more = "Look beyond the first batch that brings nothing: three batches on, the curve rises and pays."
    check(quarter != 20, "what comes after the flat stretch?", more)
    more = f"You return {quarter}, the cost or something else; wanted is one of n_labels, from 10 to 70."
    check(set(found) <= set(n.tolist()), "is that one of the numbers of labels on offer?", more)
    more = f"At 100.00 a label you buy {dear}: add price times n_labels to what you minimise."
    check(dear == 10, "what do the labels cost?", more)
    more = "Nothing. A share of 1 - accuracy of the images is answered wrongly, and only that costs."
    check(free != 10, "what does a right answer cost?", more)
    more = "All n_images are read, and each wrong answer costs `loss`: multiply by n_images."
    check(cent != 10 or quarter != 10, "what do mistakes cost in all?", more)
    more = f"The small curve asks for 50 and 60 labels at 0.25 and 0.01, and you buy {quarter} and {cent}."
    check([quarter, cent] == [50, 60], "what do labels and mistakes cost together, at each stop?", more)
    more = f"At no price 60 and 70 labels cost the same, and you buy {free}: the fewest."
    check(free == 60, "which of two stops that cost the same?", more)
    prices = (0.05, 0.25, 1)
    best = [best_stop(n_labels, accuracy, price, 0.02, 10_000) for price in prices]
    at = ", ".join(f"{stop} at {price:.2f}" for stop, price in zip(best, prices, strict=True))
    return f"Labels to buy, by what one costs: {at}."
