"""Means, shares and columns of learning curves, with 95% intervals."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


def points(share: float, digits: int = 2) -> str:
    """A difference of accuracies as percentage points with that many decimals and a sign, never -0."""
    return f"{round(100 * share, digits) + 0.0:+.{digits}f}"


class Interval(NamedTuple):
    """An estimate and the ends of its 95% interval."""

    estimate: float
    low: float
    high: float

    def points(self, digits: int = 2) -> str:
        """A difference of accuracies in words, in percentage points with that many decimals."""
        estimate, low, high = (points(part, digits) for part in self)
        return f"{estimate} points ({self._ends(low, high)})"

    def percent(self) -> str:
        """An accuracy in words."""
        return f"{self.estimate:.2%} ({self._ends(f'{100 * self.low:.2f}', f'{100 * self.high:.2f}')})"

    def _ends(self, low: str, high: str) -> str:
        return "no interval from one draw" if np.isnan(self.low) else f"{low} to {high}"

    def within(self, least: float, most: float) -> "Interval":
        """The interval with its ends inside what is possible: 0 and 1 for an accuracy."""
        return Interval(self.estimate, *(float(np.clip(end, least, most)) for end in self[1:]))


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean of values, (n,), with Student's t interval for other draws. For paired draws give the differences.

    What all draws share, such as the test images, stays out of it: see `crossed_interval` in
    evidence/curves.py. A single value has no interval: its ends are NaN.
    """
    from scipy.special import stdtrit  # as late as it is needed: a sweep's page imports this too

    n, mean = len(values), float(np.mean(values))
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def proportion(k: int, n: int) -> Interval:
    """Share k / n of independent trials, with Wilson's interval, which stays between 0 and 1.

    Raises ValueError if k is not from 0 to n, or n is 0.

    Source: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k!r} of {n!r} is no share; give counts with 0 ≤ k ≤ n and n at least 1")
    z = NormalDist().inv_cdf(0.975)
    share = k / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(share, middle - half, middle + half).within(0, 1)  # rounding may lead a hair outside


def band(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`interval` for each column of learning curves, (draws, fits): means, lower and upper ends."""
    return tuple(np.array([interval(column) for column in curves.T]).T)
