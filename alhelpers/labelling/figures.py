"""The one figure that only notebook 12 has."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from alhelpers.labelling.monitor import THRESHOLD
from alhelpers.plots import BLUE, GREY, ORANGE, Picture, matplotlib_defaults, without_box


@matplotlib_defaults()
def settling(
    n_labels: np.ndarray,
    accuracy: tuple[np.ndarray, np.ndarray, np.ndarray],
    kappa: np.ndarray,
) -> Picture:
    """Accuracy with its interval (above), and kappa between successive models (below). Notebook 12.

    All (rounds,): n_labels; estimate, low and high of accuracy; and kappa, NaN in the first.
    """
    figure = Picture(
        f"Two lines against labels: accuracy on the check set from {accuracy[0][0]:.0%} to "
        f"{accuracy[0][-1]:.0%} with a band, and kappa between the answers of successive models",
        height=4.6,
    )
    top, bottom = figure.subplots(2, sharex=True)
    top.fill_between(n_labels, *accuracy[1:], color=BLUE, alpha=0.18, lw=0)
    for values, width in zip(accuracy, (1.5, 0.4, 0.4), strict=True):
        top.plot(n_labels, values, color=BLUE, lw=width)
    top.set(ylabel="right on the check set")
    top.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    known = np.isfinite(kappa)
    bottom.plot(n_labels[known], kappa[known], color=ORANGE, marker="o", ms=3)
    bottom.axhline(THRESHOLD, color=GREY, lw=1, ls=":")
    bottom.set(xlabel="labels given", ylabel="kappa to the\nmodel before", ylim=(None, 1.02))
    return without_box(figure)
