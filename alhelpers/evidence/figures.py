"""Figures of many draws: each draw, means with intervals, a table of gains. And what one more label does."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.ticker import PercentFormatter

from alhelpers.evidence.converged import Converged
from alhelpers.intervals import Interval, points
from alhelpers.plots import BLUE, GREY, LIGHT, ORANGE, PURPLE, Picture, matplotlib_defaults, without_box

# Light enough for black text. That it pays or harms is said by the sign, too, for whoever sees no colours.
_PAYS, _NOTHING, _HARMS = "#9CCBE8", "#EEEEEE", "#F2B48A"


@matplotlib_defaults()
def dots(
    groups: Mapping[str, np.ndarray], marks: Mapping[str, float], xlabel: str, alt: str, unit: str = "%"
) -> Picture:
    """A row of dots for each group, a bar at its mean; marks, by group, are diamonds. Notebooks 08 and 09."""
    figure = Picture(alt, height=0.8 * len(groups) + 0.8)
    axes = figure.subplots()
    for row, (name, values) in enumerate(groups.items()):
        # Equal values are stacked, so that every dot is seen.
        equal = np.round(values, 9).tolist()
        stacked = np.array([equal[:i].count(v) for i, v in enumerate(equal)])
        heights = row - stacked * min(0.12, 0.6 / max(stacked.max(), 1))
        axes.plot(values, heights, "o", ms=5, color=BLUE, alpha=0.7)
        axes.plot([np.mean(values)] * 2, [row - 0.25, row + 0.25], color="black", lw=2)
        if name in marks:
            axes.plot([marks[name]], [row], ls="", marker="D", ms=11, mew=2.5, color=ORANGE, mfc="none")
    axes.set(xlabel=xlabel, yticks=range(len(groups)), ylim=(len(groups) - 0.45, -0.75))
    axes.set_yticklabels(groups)
    left, right = axes.get_xlim()
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=int(right - left < 0.05), symbol=unit))
    return without_box(figure)


@matplotlib_defaults()
def intervals(estimates: Mapping[str, tuple[float, float, float]], xlabel: str, alt: str) -> Picture:
    """A dot and its interval for each named (estimate, low, high), with a line at 0. Notebooks 09 to 13."""
    figure = Picture(alt, 7.6, 0.36 * len(estimates) + 0.9)
    axes = figure.subplots()
    axes.axvline(0, color=GREY, lw=1, ls=":")
    for row, (estimate, low, high) in enumerate(estimates.values()):
        axes.plot([low, high], [row, row], color=BLUE, lw=2)
        axes.plot([estimate], [row], color=BLUE, marker="o", ls="")
        words, right = points(estimate, 1).replace("-", "−"), np.nanmax([estimate, high, 0])
        axes.annotate(words, (right, row), (6, 0), textcoords="offset points", va="center")
    axes.set(xlabel=xlabel, yticks=range(len(estimates)), ylim=(len(estimates) - 0.5, -0.5))
    axes.set_yticklabels(estimates)
    axes.margins(x=0.1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="", decimals=None))
    return without_box(figure)


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


@matplotlib_defaults()
def one_more_label() -> Picture:
    """Made-up points in two groups, two of them labelled, and how far a third label moves the boundary.

    A panel for the label of the point that the model is surest of, and one for that it is least sure of. The
    points were picked to show a clear difference. Notebook 06.
    """
    rng, groups, start = np.random.default_rng(4), np.repeat([0, 1], 40), [35, 74]
    points = rng.normal([[-1, 0]] * 40 + [[1, 0]] * 40, [0.55, 1]).astype(np.float32)

    def learn(labeled: list[int]) -> tuple[np.ndarray, np.ndarray]:
        model = Converged(n_features=2, n_classes=2, C=10)
        model.fit(points[labeled], groups[labeled])
        return model.weights, model.bias

    W, b = before = learn(start)
    distance = np.abs((points @ W + b) @ [-1, 1])  # 0 on the boundary
    order = [int(i) for i in np.argsort(distance) if i not in start]
    asked = {"ask where it is surest": order[-1], "ask where it is least sure": order[0]}
    words = "; ".join(asked)
    figure = Picture(f"Points in two groups and the boundary before and after one more label: {words}")
    panels = figure.subplots(1, 2, sharey=True)
    low, high = points.min(axis=0) - 0.3, points.max(axis=0) + 0.3
    across = np.array([low[1], high[1]])
    for axes, (name, new) in zip(panels, asked.items(), strict=True):
        labeled = np.array([*start, new])
        for group, (marker, colour) in enumerate((("o", BLUE), ("^", ORANGE))):
            axes.plot(*points[groups == group].T, marker, color=LIGHT, ms=5)
            axes.plot(*points[labeled[groups[labeled] == group]].T, marker, color=colour, ms=8)
        for (W, b), dash, label in ((before, ":", "before"), (learn([*start, new]), "-", "after")):
            slope, offset = W[:, 1] - W[:, 0], b[1] - b[0]
            x = -(offset + slope[1] * across) / slope[0]
            axes.plot(x, across, dash, color="black", label=f"boundary {label}")
        axes.plot(*points[[new]].T, "o", ms=16, mfc="none", mec=PURPLE, mew=2.5)
        axes.set(title=name, xlabel="first feature", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    panels[0].set_ylabel("second feature")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return without_box(figure)
