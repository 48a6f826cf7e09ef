"""When to stop labelling: what a person can know after each round, from the answers of the model alone.

When *training* stops is in model.py.

Answers are predicted classes, integers of shape (n,), on two fixed sets of images: a *check set*, labelled by
hand but never learned from, and a *stop set*, which needs no labels. Both should be random samples, kept out
of the pool: of pool images the uncertain ones get labelled, and those that are left look settled too soon
(Kurlandski and Bloodgood 2022, "Impact of Stop Sets on Stopping Active Learning for Text Classification").
"""

from collections.abc import Sequence

import numpy as np

from alhelpers.intervals import Interval

NET_RIGHT = Interval(0.1, -0.2, 0.4)
"""Of the answers that change, the share that turns right less the share that turns wrong.

Settled on draws whose test images stay unseen, with the converged model and batches of ten (`forecasts` in
experiments.py): the narrowest of those tried that held the truth in 95% of the draws, early and late.
"""


def changed(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the answers, (n,) each, that are not what they were.

    Raises ValueError if the two are not of the same images, or of none.
    """
    return _count_changed(before, after) / len(after)


def next_gain(before: np.ndarray, after: np.ndarray, net: Interval = NET_RIGHT) -> Interval:
    """Change in accuracy to expect of a batch as large as the last, from the answers before and after that.

    A forecast, not a confidence interval: the next batch will change about as many answers as the last, and
    `net` says how they balance. Only a change of answers can change the accuracy, so net = (0, -1, 1) is a
    bound for a batch that changes no more. One more change is counted than was seen: none seen is not none
    possible.

    Raises ValueError as `changed` does.
    """
    share = (_count_changed(before, after) + 1) / (len(after) + 2)
    return Interval(*(part * share for part in net))


def is_stable(kappas: Sequence[float], threshold: float = 0.99, window: int = 3) -> bool:
    """Whether the mean of the last kappas, between the answers of successive models, reaches a threshold.

    A lower threshold stops sooner, with a worse model. The first model has none before it: leave it out, or
    give NaN, which is not stable.

    Source: Bloodgood and Vijay-Shanker (2009), "A Method for Stopping Active Learning Based on Stabilizing
    Predictions and the Need for User-Adjustable Stopping".
    """
    return len(kappas) >= window and bool(np.mean(kappas[-window:]) >= threshold)


def _count_changed(before: np.ndarray, after: np.ndarray) -> int:
    if len(before) != len(after) or not len(after):
        raise ValueError(
            f"{len(before)} answers before and {len(after)} after; give one for each of the same images"
        )
    return int(np.count_nonzero(np.asarray(before) != np.asarray(after)))
