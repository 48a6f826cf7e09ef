"""What a person sees after each round, to go on or to stop. The rules are in `alhelpers.stopping`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from alhelpers.agreement import agreement
from alhelpers.errors import UserError
from alhelpers.intervals import Interval, proportion
from alhelpers.stopping import changed, is_stable, next_gain

THRESHOLD, WINDOW = 0.99, 3
"""When answers have settled, see `is_stable`."""


class Round(NamedTuple):
    """What is known after a round. In the first, nothing has changed yet: NaN.

    n_labels and minutes: spent so far; accuracy: on the check set; changed and kappa: on the stop set, since
    the round before; next_gain: as in the function of that name; balanced: see `balanced_accuracy`; counts:
    labels of each class.
    """

    round: int
    n_labels: int
    minutes: float
    accuracy: Interval
    changed: float
    kappa: float
    next_gain: Interval
    balanced: Interval
    counts: tuple[int, ...]


class Monitor:
    """Keeps a row for each round and says in a line what a person needs, to go on or to stop.

    Parameters
    ----------
    y_check : the labels of the check set, integers of shape (n,), as a person gave them
    classes : names of the classes that the model tells apart; further ones are called by their numbers

    `rows` holds a `Round` for each call of `add`. Raises UserError if the check set is empty.
    """

    def __init__(self, y_check: np.ndarray, classes: Sequence[str]) -> None:
        self._y_check = np.array(y_check, int)
        if not (self._y_check >= 0).any():
            raise UserError(
                "the check set has no label, so nothing can judge the model; undo an answer and label that "
                "image, or set a larger n_check"
            )
        self._classes: tuple[str | int, ...] = tuple(classes)
        self._of_check = np.bincount(self._y_check[self._y_check >= 0], minlength=len(self._classes))
        self._answers: np.ndarray | None = None
        self.rows: list[Round] = []

    def add(self, check: np.ndarray, stop: np.ndarray, labels: np.ndarray, minutes: float) -> str:
        """Take the model's answers on check and stop set, and what was spent so far; return a line of text.

        `labels` are those learned from, integers of shape (n,).

        Raises ValueError if there is not one answer for each image, or fewer labels than the round before.
        """
        if len(check) != len(self._y_check):
            raise ValueError(f"{len(check)} answers for {len(self._y_check)} check images; give one for each")
        n_labels, counts = len(labels), tuple(np.bincount(labels, minlength=len(self._classes)).tolist())
        self._classes += tuple(range(len(self._classes), len(counts)))
        self._of_check = np.pad(self._of_check, (0, len(counts) - len(self._of_check)))
        if self.rows and n_labels < self.rows[-1].n_labels:
            raise ValueError(f"n_labels is {n_labels} after {self.rows[-1].n_labels}; give the labels so far")
        before, stop = self._answers, np.array(stop)  # a copy: the caller may write into it
        share = kappa = np.nan
        gain = Interval(np.nan, np.nan, np.nan)
        if before is not None:
            share, kappa = changed(before, stop), agreement(before, stop).kappa.estimate
            gain = next_gain(before, stop)
        told = self._y_check >= 0
        right = np.asarray(check)[told] == self._y_check[told]
        accuracy = proportion(int(right.sum()), len(right))
        balanced = balanced_accuracy(np.asarray(check)[told], self._y_check[told])
        self.rows.append(
            Round(len(self.rows) + 1, n_labels, minutes, accuracy, share, kappa, gain, balanced, counts)
        )
        self._answers = stop
        return self._line()

    @property
    def _doubts(self) -> list[str]:
        """What makes settled answers worth nothing: classes never seen, one answer to all, mere guesses."""
        row, doubts = self.rows[-1], []
        if 0 in row.counts:
            doubts.append(f"no label yet of {self._named(row.counts)}")
        if 0 in self._of_check:
            doubts.append(f"no {self._named(self._of_check)} in the check set")
        if len(self._classes) > 1 and len(set(self._answers.tolist())) == 1:
            doubts.append(f"the model says {self._classes[self._answers[0]]} to everything")
        n_told = np.count_nonzero(self._of_check)
        if row.balanced.estimate <= (1 / n_told if n_told > 1 else 0):
            doubts.append("right no more often than by guessing")
        return doubts

    @property
    def _is_skewed(self) -> bool:
        """Whether always giving the same answer would look good on the check set."""
        has_two = np.count_nonzero(self._of_check) > 1
        return has_two and self._of_check.max() / self._of_check.sum() > 1 / len(self._classes) + 0.25

    def _named(self, counts: Sequence[int]) -> str:
        """The classes that there is none of."""
        none = [str(name) for name, n in zip(self._classes, counts, strict=False) if not n]
        return ", ".join(none[:5]) + f" and {len(none) - 5} more" * (len(none) > 5)

    def _line(self) -> str:
        row = self.rows[-1]
        line = f"{row.n_labels:,} labels ({_counts(self._classes, row.counts)})"
        estimate, low, high = (f"{100 * part:.1f}" for part in row.accuracy)
        on = f"{self._of_check.sum():,} check images"
        line += f", {row.minutes:.1f} min: {estimate}% right ({low} to {high} on {on})"
        if self._is_skewed:
            most = self._of_check.argmax()
            always = 100 * self._of_check[most] / self._of_check.sum()
            estimate, low, high = (f"{100 * part:.1f}" for part in row.balanced)
            line += f", balanced {estimate}% ({low} to {high}); {always:.1f}% are {self._classes[most]}"
        if len(self.rows) > 1:
            batch = row.n_labels - self.rows[-2].n_labels
            line += f"; {100 * row.changed:.1f}% of answers changed, kappa {row.kappa:.3f}"
            line += f"; next {'ten' if batch == 10 else batch or 'batch'}: {_points(row.next_gain)}"
        is_still = is_stable([row.kappa for row in self.rows], THRESHOLD, WINDOW)
        if doubts := self._doubts:
            line += f"; {'; '.join(doubts)}" + (", so nothing is settled" if is_still else "")
        elif is_still:
            line += f"; settled: mean kappa of {WINDOW} rounds at least {THRESHOLD:g}"
        return line


def balanced_accuracy(answers: np.ndarray, y: np.ndarray) -> Interval:
    """Mean over the classes of y, integers (n,), of the share of each that is answered right, with 95% ends.

    Where nearly all images are of one class, plain accuracy is high for whoever always says that one; this
    is then 1 / classes. The ends join Wilson's intervals of the classes as independent ones (Zou and Donner
    2008, "Construction of Confidence Limits about Effect Measures").
    """
    shares = [proportion(int(np.sum(answers[y == k] == k)), int(np.sum(y == k))) for k in np.unique(y)]
    mean = float(np.mean([share.estimate for share in shares]))
    down, up = (float(np.linalg.norm([s[end] - s[0] for s in shares])) / len(shares) for end in (1, 2))
    return Interval(mean, mean - down, mean + up).within(0, 1)


def _points(gain: Interval) -> str:
    """In points, with as many decimals as it takes for ends that are not 0 to look so."""
    digits = 1
    while digits < 6 and any(end and not round(100 * end, digits) for end in gain[1:]):
        digits += 1
    return gain.points(digits)


def _counts(classes: Sequence[str | int], counts: Sequence[int]) -> str:
    """How many labels each class has; of many classes, the rarest and the commonest."""
    pairs = list(zip(classes, counts, strict=False))
    if len(pairs) > 10:
        (rare, few), *_, (common, many) = sorted(pairs, key=lambda pair: pair[1])
        return f"of a class {few:,}, {rare}, to {many:,}, {common}"
    return ", ".join(f"{name}: {n:,}" for name, n in pairs)
