"""Forecasts of what the next batch will change in accuracy, to choose from.

Each takes, for every fit so far, which check images are right, (fits, n_check), the answers on the stop set,
(fits, n_stop), and the numbers of labels, (fits,).
"""

from collections.abc import Callable

import numpy as np

from alhelpers.intervals import Interval, interval
from alhelpers.stopping import next_gain

Forecast = Callable[[np.ndarray, np.ndarray, np.ndarray], Interval]


def _paired(fits: int) -> Forecast:
    """The mean change over the last fits goes on; interval for paired shares of Agresti and Min (2005)."""

    def forecast(right: np.ndarray, answers: np.ndarray, n_labels: np.ndarray) -> Interval:
        past = min(fits, len(right) - 1)
        change = right[-1].astype(int) - right[-1 - past]
        n, gained, lost = len(change) + 2, np.sum(change > 0) + 0.5, np.sum(change < 0) + 0.5
        mean = (gained - lost) / n
        half = 1.96 * np.sqrt((gained + lost) / n - mean**2) / np.sqrt(n)
        return Interval(*(float(end) / past for end in (mean, mean - half, mean + half)))

    return forecast


def _spread(right: np.ndarray, answers: np.ndarray, n_labels: np.ndarray) -> Interval:
    """The next change on the check images is one like the last ten: Student's t interval for a single one."""
    changes = np.diff(right[-11:].mean(axis=1))
    mean, low, high = interval(changes)
    half = (high - low) / 2 * np.sqrt(len(changes) + 1)
    return Interval(mean, mean - half, mean + half)


def _curve(right: np.ndarray, answers: np.ndarray, n_labels: np.ndarray) -> Interval:
    """A straight line in 1 / √n_labels through the accuracies on the check images, for other check images."""
    x = n_labels**-0.5
    slopes = (x - x.mean()) @ right / ((x - x.mean()) ** 2).sum()
    return interval(slopes * ((n_labels[-1] + 10) ** -0.5 - x[-1]))


def of_those_changed(net: Interval) -> Forecast:
    """The forecast of `stopping.next_gain`."""
    return lambda right, answers, n_labels: next_gain(answers[-2], answers[-1], net)


FORECASTS: dict[str, Forecast] = {
    "check set: the last change": _paired(1),
    "check set: the last 5 changes": _paired(5),
    "check set: spread of the last 10 changes": _spread,
    "check set: line in 1 / √labels": _curve,
}
_NETS = [(0, -1, 1), (0, -0.5, 0.5), (0.1, -0.2, 0.5), (0.1, -0.2, 0.4), (0.1, -0.1, 0.4), (0.1, -0.1, 0.3)]
for _net in _NETS:
    _name = "stop set: {1:g} to {2:g} of the answers changed".format(*_net)
    FORECASTS[_name] = of_those_changed(Interval(*_net))
