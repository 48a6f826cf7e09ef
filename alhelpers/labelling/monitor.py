"""What a person sees after each round, to go on or to stop. The rules are in `alhelpers.stopping`."""

from typing import NamedTuple

import numpy as np

from alhelpers.agreement import cohen_kappa
from alhelpers.intervals import Interval, proportion
from alhelpers.stopping import changed, is_stable, next_gain


class Round(NamedTuple):
    """What is known after a round. In the first, nothing has changed yet: NaN.

    n_labels and minutes: spent so far; accuracy: on the check set; changed and kappa: on the stop set, since
    the round before; next_gain: as in the function of that name.
    """

    round: int
    n_labels: int
    minutes: float
    accuracy: Interval
    changed: float
    kappa: float
    next_gain: Interval


class Monitor:
    """Keeps a row for each round and says in a line what a person needs, to go on or to stop.

    Parameters
    ----------
    y_check : the labels of the check set, integers of shape (n,), as a person gave them
    threshold, window : as in `is_stable`

    `rows` holds a `Round` for each call of `add`. Raises ValueError if the check set is empty, or `window` is
    less than 1.
    """

    def __init__(self, y_check: np.ndarray, threshold: float = 0.99, window: int = 3) -> None:
        self._y_check, self._threshold, self._window = np.array(y_check), threshold, window
        if not len(self._y_check):
            raise ValueError("the check set is empty; label some images for it first")
        if window < 1:
            raise ValueError(f"window is {window!r}; give a whole number from 1 up")
        self._answers: np.ndarray | None = None
        self.rows: list[Round] = []

    def add(self, check: np.ndarray, stop: np.ndarray, n_labels: int, minutes: float) -> str:
        """Take the model's answers on check and stop set, and what was spent so far; return a line of text.

        Raises ValueError if there is not one answer for each image, or fewer labels than the round before.
        """
        if len(check) != len(self._y_check):
            raise ValueError(f"{len(check)} answers for {len(self._y_check)} check images; give one for each")
        if self.rows and n_labels < self.rows[-1].n_labels:
            raise ValueError(f"n_labels is {n_labels} after {self.rows[-1].n_labels}; give the labels so far")
        before, stop = self._answers, np.array(stop)  # a copy: the caller may write into it
        share = kappa = np.nan
        gain = Interval(np.nan, np.nan, np.nan)
        if before is not None:
            share, kappa = changed(before, stop), cohen_kappa(before, stop)
            gain = next_gain(before, stop)
        accuracy = proportion(int(np.count_nonzero(check == self._y_check)), len(check))
        self.rows.append(Round(len(self.rows) + 1, n_labels, minutes, accuracy, share, kappa, gain))
        self._answers = stop
        return self._line()

    @property
    def stable(self) -> bool:
        """Whether the answers on the stop set have settled, see `is_stable`."""
        return is_stable([row.kappa for row in self.rows], self._threshold, self._window)

    def _line(self) -> str:
        row = self.rows[-1]
        line = f"{row.n_labels:,} labels, {row.minutes:.1f} min: "
        line += _percent(row.accuracy, f" on {len(self._y_check):,} check images")
        if len(self.rows) == 1:
            return line
        batch = row.n_labels - self.rows[-2].n_labels
        line += f"; {100 * row.changed:.1f} % of answers changed, kappa {row.kappa:.3f}"
        line += f"; next {'ten' if batch == 10 else batch or 'batch'}: {row.next_gain.points(1)}"
        if self.stable:
            line += f"; settled: mean kappa of {self._window} rounds at least {self._threshold:g}"
        return line

    def __repr__(self) -> str:
        lines = [f"{'labels':>6}{'min':>7}  {'right':<28}{'changed':>8}{'kappa':>7}  next batch, points"]
        for row in self.rows:
            line = f"{row.n_labels:>6,}{row.minutes:>7.1f}  {_percent(row.accuracy):<28}"
            if row.round > 1:
                gain = row.next_gain.points(1).replace(" points", "")
                line += f"{100 * row.changed:>6.1f} %{row.kappa:>7.3f}  {gain}"
            lines.append(line.rstrip())
        return "\n".join(lines)


def _percent(share: Interval, on: str = "") -> str:
    estimate, low, high = (f"{100 * part:.1f}" for part in share)
    return f"{estimate} % right ({low} to {high}{on})"
