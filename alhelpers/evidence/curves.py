"""Of many learning curves: areas, labels that an accuracy takes, and how much hangs on the test images."""

import numpy as np
from scipy.special import stdtrit

from alhelpers.intervals import Interval

N_RESAMPLES = 2000


class Labels(Interval):
    """A number of labels with its interval."""

    def labels(self) -> str:
        """In words."""
        if self.estimate == np.inf:
            return "more than were tried"
        high = "more than were tried" if self.high == np.inf else f"{self.high:,.0f}"
        return f"{self.estimate:,.0f} ({self.low:,.0f} to {high})"

    def less(self, known: float) -> "Labels":
        """The interval of the difference to a known number."""
        return Labels(*(end - known for end in self))


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
    draws, parts = values.shape
    variance = sum(values.mean(axis=1 - axis).var(ddof=1) / values.shape[axis] for axis in (0, 1))
    half = float(stdtrit(min(draws, parts) - 1, 0.975) * np.sqrt(variance))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def area(n_labels: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Area under each learning curve, (draws,), as a mean accuracy over the labels from first to last."""
    return np.trapezoid(curves, n_labels, axis=1) / (n_labels[-1] - n_labels[0])


def labels_to_reach(n_labels: np.ndarray, curves: np.ndarray, target: np.ndarray) -> Labels:
    """Labels at which the mean curve reaches the mean of target, with a bootstrap interval over draws.

    Parameters
    ----------
    n_labels, curves : arrays of shapes (fits,) and (draws, fits)
    target : accuracies to reach, (draws,), of the same draws

    Infinite where the curve ends below. Percentile bootstrap, Efron and Tibshirani (1993), chapter 13.
    """
    draws = len(target)
    picks = np.random.default_rng(0).integers(draws, size=(N_RESAMPLES, draws))
    share = np.vstack([np.ones(draws), *(np.bincount(pick, minlength=draws) for pick in picks)]) / draws
    mean, goal = share @ curves, share @ target
    reached = [_crossing(n_labels, curve, at) for curve, at in zip(mean, goal, strict=True)]
    low, high = np.quantile(reached[1:], [0.025, 0.975], method="inverted_cdf")
    return Labels(float(reached[0]), float(low), float(high))


def _crossing(n_labels: np.ndarray, curve: np.ndarray, target: float) -> float:
    above = np.flatnonzero(curve >= target)
    if not len(above):
        return np.inf
    i = above[0]
    if i == 0:
        return n_labels[0]
    share = (target - curve[i - 1]) / (curve[i] - curve[i - 1])
    return n_labels[i - 1] + share * (n_labels[i] - n_labels[i - 1])
