"""The one figure that only notebook 11 has."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import ListedColormap

from alhelpers.intervals import Interval, points
from alhelpers.plots import BLUE, ORANGE, Picture, matplotlib_defaults

# Light enough for black text. That it pays or harms is said by the sign, too, for whoever sees no colours.
_PAYS, _NOTHING, _HARMS = "#9CCBE8", "#EEEEEE", "#F2B48A"


@matplotlib_defaults()
def verdicts(gains: Mapping[str, Mapping[str, Interval]], alt: str) -> Picture:
    """A table of gains, by row and column, in points, coloured where the interval leaves 0 to one side.

    What is missing stays white. Raises ValueError if there are no gains.
    """
    columns = list(dict.fromkeys(column for row in gains.values() for column in row))
    if not columns:
        raise ValueError("there are no gains to show")
    found = np.full((len(gains), len(columns)), np.nan)
    figure = Picture(alt, 8, 0.34 * len(gains) + 1)
    axes = figure.subplots()
    for y, row in enumerate(gains.values()):
        for x, column in enumerate(columns):
            if column in row:
                gain = row[column]
                found[y, x] = (gain.low > 0) - (gain.high < 0)
                words = points(gain.estimate, 1).replace("-", "−")
                axes.text(x, y, words, ha="center", va="center", weight="bold" if found[y, x] else "normal")
    axes.imshow(found, ListedColormap([_HARMS, _NOTHING, _PAYS]), vmin=-1, vmax=1, aspect="auto")
    axes.set(xticks=range(len(columns)), yticks=range(len(gains)))
    axes.set_xticklabels([column.replace(", ", ",\n") for column in columns])
    axes.set_yticklabels(gains)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for edges, line in ((len(columns), axes.axvline), (len(gains), axes.axhline)):
        for edge in range(1, edges):
            line(edge - 0.5, color="white", lw=2)
    for colour, words, x in ((BLUE, "blue: it pays", 0), (ORANGE, "orange: it harms", 0.2)):
        axes.text(x, -0.03, words, color=colour, transform=axes.transAxes, va="top")
    axes.text(
        0.45, -0.03, "grey: no difference to be sure of", color="#555555", transform=axes.transAxes, va="top"
    )
    return figure
