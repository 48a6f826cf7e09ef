"""Means and shares with 95% intervals, learning curves with bands, and the labels that an accuracy takes."""

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

    def labels(self) -> str:
        """A number of labels in words."""
        if self.estimate == np.inf:
            return "more than were tried"
        high = "more than were tried" if self.high == np.inf else f"{self.high:,.0f}"
        return f"{self.estimate:,.0f} ({self.low:,.0f} to {high})"

    def within(self, least: float, most: float) -> "Interval":
        """The interval with its ends inside what is possible: 0 and 1 for an accuracy."""
        return Interval(self.estimate, *(float(np.clip(end, least, most)) for end in self[1:]))

    def less(self, known: float) -> "Interval":
        """The interval of the difference to a known number."""
        return Interval(*(end - known for end in self))


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean of values, (n,), with Student's t interval for other draws. For paired draws give the differences.

    What all draws share, such as the test images, stays out of it: see `crossed_interval`. A single value has
    no interval: its ends are NaN.
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


def crossed_interval(values: np.ndarray) -> Interval:
    """Mean of values with a 95% interval for other draws *and* other test images.

    Parameters
    ----------
    values : array of shape (draws, parts)
        Each draw's figure on each of several random parts of the test images. For paired draws, differences.

    The variances of the mean over draws and over parts are added, as in two-way clustering (Cameron, Gelbach
    and Miller 2011, without the term that would be subtracted, so rather too wide); Student's t with as many
    degrees of freedom as the smaller number allows.
    """
    from scipy.special import stdtrit

    draws, parts = values.shape
    variance = sum(values.mean(axis=1 - axis).var(ddof=1) / values.shape[axis] for axis in (0, 1))
    half = float(stdtrit(min(draws, parts) - 1, 0.975) * np.sqrt(variance))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def band(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`interval` for each column of learning curves, (draws, fits): means, lower and upper ends."""
    return tuple(np.array([interval(column) for column in curves.T]).T)


def area(n_labels: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Area under each learning curve, (draws,), as a mean accuracy over the labels from first to last."""
    return np.trapezoid(curves, n_labels, axis=1) / (n_labels[-1] - n_labels[0])


def labels_to_reach(
    n_labels: np.ndarray, curves: np.ndarray, target: np.ndarray, n_resamples: int = 2000
) -> Interval:
    """Labels at which the mean curve reaches the mean of target, with a bootstrap interval over draws.

    Parameters
    ----------
    n_labels, curves : arrays of shapes (fits,) and (draws, fits)
    target : accuracies to reach, (draws,), of the same draws

    Infinite where the curve ends below. Percentile bootstrap, Efron and Tibshirani (1993), chapter 13.
    """
    draws = len(target)
    picks = np.random.default_rng(0).integers(draws, size=(n_resamples, draws))
    share = np.vstack([np.ones(draws), *(np.bincount(pick, minlength=draws) for pick in picks)]) / draws
    mean, goal = share @ curves, share @ target
    reached = [_crossing(n_labels, curve, at) for curve, at in zip(mean, goal, strict=True)]
    low, high = np.quantile(reached[1:], [0.025, 0.975], method="inverted_cdf")
    return Interval(float(reached[0]), float(low), float(high))


def _crossing(n_labels: np.ndarray, curve: np.ndarray, target: float) -> float:
    above = np.flatnonzero(curve >= target)
    if not len(above):
        return np.inf
    i = above[0]
    if i == 0:
        return n_labels[0]
    share = (target - curve[i - 1]) / (curve[i] - curve[i - 1])
    return n_labels[i - 1] + share * (n_labels[i] - n_labels[i - 1])
