"""Figures of more than one wing and of the article's notebooks: functions from arrays to a `Picture`."""

import base64
import io
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context, rcdefaults
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Okabe and Ito (2008): told apart with any colour vision.
BLUE, ORANGE, GREEN, PURPLE, GREY, LIGHT = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676", "#DADADA"
# A query looks the same in every figure.
_QUERIES = {
    "random": ("black", "--"),
    "least confident": (BLUE, "-"),
    "margin": (ORANGE, "-"),
    "badge": (GREEN, "-"),
    "typical, then margin": (PURPLE, "-"),
    "entropy": (GREY, "-"),
}


@contextmanager
def matplotlib_defaults() -> Iterator[None]:
    """Matplotlib as it comes: the settings of a reader's own matplotlibrc would change every figure."""
    with rc_context():
        rcdefaults()
        yield


class Picture(Figure):
    """A matplotlib figure that displays itself, says in words what it shows, and carries its numbers.

    In a notebook it becomes a PNG with alternative text. The numbers it draws go into the output's metadata,
    where a reader can take them from and the tests compare them.
    """

    def __init__(self, alt: str, width: float = 7.2, height: float = 3.6) -> None:
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        FigureCanvasAgg(self)
        self.alt = alt

    @matplotlib_defaults()
    def png(self) -> bytes:
        """The figure as a PNG that does not name the matplotlib version."""
        for text in self.findobj(Text):
            text.set_parse_math(False)  # no figure has formulas, and a user's names may have dollars
        if self.get_layout_engine() is not None:
            # Laid out once: each further pass would move the axes by a fraction of a pixel.
            self.draw_without_rendering()
            self.set_layout_engine("none")
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def numbers(self) -> list[dict[str, Any]]:
        """What is drawn, axes by axes: lines, bars and points as numbers, images packed by `pack_image`."""
        return [numbers for numbers in map(_numbers, self.axes) if numbers]

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        png = base64.b64encode(self.png()).decode()
        data = {"image/png": png, "text/plain": f"<Picture: {self.alt}>"}
        return data, {"image/png": {"alt": self.alt}, "numbers": self.numbers()}

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"


def _each(*parts: Collection[Any], looks: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The parts side by side, each with a look of its own. Raises ValueError where looks run out."""
    if len(parts[0]) > len(looks):
        raise ValueError(
            f"{len(parts[0])} are to be drawn in one figure that tells {len(looks)} apart; give fewer"
        )
    return zip(*parts, looks[: len(parts[0])], strict=True)


@matplotlib_defaults()
def loop() -> Picture:
    """The active-learning loop, drawn: pool, query, oracle, labels, model and back. Notebook 01."""
    figure = Picture(
        "Drawing of a loop: a query picks images from the pool, the oracle labels them, the model is trained "
        "on all labels so far, and how sure it is tells the query what to pick next",
        height=2.7,
    )
    axes = figure.subplots()
    boxes = {
        "Pool": (0.7, 1.6, "images\nwithout labels"),
        "Query": (3.1, 1.6, "which images\nare next?"),
        "Oracle": (5.9, 1.6, "a person says\nwhat they show"),
        "Labels": (5.9, 0, "all images\nlabelled so far"),
        "Model": (3.1, 0, "learns from them,\nsays how sure it is"),
    }
    for name, (x, y, words) in boxes.items():
        colour = {"Query": ORANGE, "Oracle": BLUE}.get(name, GREY)
        box = FancyBboxPatch((x - 0.72, y - 0.42), 1.44, 0.84, "round,pad=0.02,rounding_size=0.1")
        axes.add_patch(box)
        box.set(facecolor="white", edgecolor=colour, linewidth=1.5)
        axes.text(x, y + 0.24, name, ha="center", va="center", weight="bold", color=colour)
        axes.text(x, y - 0.15, words, ha="center", va="center", fontsize=9)
    arrows = [("Pool", "Query", ""), ("Query", "Oracle", "a batch"), ("Oracle", "Labels", "answers")]
    arrows += [("Labels", "Model", "train"), ("Model", "Query", "confidence")]
    for start, end, words in arrows:
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        dx, dy = np.sign(x1 - x0) * 0.78, np.sign(y1 - y0) * 0.48
        ends = (x0 + dx, y0 + dy), (x1 - dx, y1 - dy)
        axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color=GREY))
        shift = (0, 0.08, "center", "bottom") if dx else (0.08, 0, "left", "center")
        axes.text((x0 + x1) / 2 + shift[0], (y0 + y1) / 2 + shift[1], words, ha=shift[2], va=shift[3])
    axes.set(xlim=(-0.15, 6.75), ylim=(-0.5, 2.1))
    axes.set_axis_off()
    return figure


@matplotlib_defaults()
def digit(image: np.ndarray, label: int) -> Picture:
    """One image, (height, width), large, with its grey scale. Notebook 01."""
    height, width = image.shape
    figure = Picture(f"One image of {height} by {width} grey pixels: a handwritten {label}", 4.2)
    axes = figure.subplots()
    shown = axes.imshow(image, cmap="gray_r")
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)")
    figure.colorbar(shown, label="grey level", shrink=0.8)
    return figure


@matplotlib_defaults()
def sheet(images: np.ndarray, captions: Sequence[str], alt: str, ink: bool = True) -> Picture:
    """Images in a grid, each with a caption under it. Notebooks 01, 02, 03, 06, 12 and 13.

    (n, height, width), with high grey levels dark (`ink`) or bright; or colours, (n, height, width, 3).
    """
    if not len(images):
        images, captions = np.zeros((1, 28, 28), np.uint8), ["none"]
    n, height, width = images.shape[:3]
    columns, rows = 10, -(-n // 10)
    # One picture of all of them: an axes for each would take ten times as long to draw.
    row = height + round(height * (0.5 if any(captions) else 0.2))
    column = width + round(width * 0.15)
    white = 255 if images.dtype == np.uint8 else 1  # floats go from 0 to 1
    paper = images.min() if ink and images.ndim == 3 else white
    canvas = np.full((rows * row, columns * column, *images.shape[3:]), paper, images.dtype)
    figure = Picture(alt, 0.8 * columns, 0.8 * columns * canvas.shape[0] / canvas.shape[1])
    axes = figure.subplots()
    axes.set_axis_off()
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        top, left = i // columns * row, i % columns * column
        canvas[top : top + height, left : left + width] = image
        axes.text(left + width / 2, top + height, caption, fontsize=9, ha="center", va="top")
    axes.imshow(canvas, cmap="gray_r" if ink else "gray")
    return figure


@matplotlib_defaults()
def class_balance(counts: np.ndarray, names: Sequence[str]) -> Picture:
    """Images of each class: a group of bars for each row of counts, (sets, classes). Notebooks 01 and 06."""
    figure = Picture("Bars: share of each digit, " + " beside ".join(names), height=3.2)
    axes = figure.subplots()
    width = 0.8 / len(counts)
    for i, (row, name, colour) in enumerate(_each(counts, names, looks=(BLUE, ORANGE))):
        x = np.arange(len(row)) + (i - (len(counts) - 1) / 2) * width
        axes.bar(x, row / row.sum(), width * 0.95, color=colour, label=f"{name} ({row.sum():,} images)")
    axes.axhline(1 / counts.shape[1], color=GREY, lw=1, ls=":")
    axes.set(xlabel="digit", ylabel="share of the images", xticks=range(counts.shape[1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.set_ylim(0, 1.25 * (counts / counts.sum(1, keepdims=True)).max())
    axes.legend(frameon=False, loc="upper right", ncols=2)
    return without_box(figure)


@matplotlib_defaults()
def training_curve(accuracy: np.ndarray, patience: int) -> Picture:
    """Test accuracy after each training step; the step that is kept, the steps waited. Notebook 02."""
    kept = int(np.argmax(accuracy))
    figure = Picture(
        f"Line: test accuracy over {len(accuracy) - 1} training steps; the best is step {kept}, "
        "the steps after it bring nothing better"
    )
    axes = figure.subplots()
    axes.axvspan(kept, len(accuracy) - 1, color=LIGHT, lw=0)
    axes.plot(range(len(accuracy)), accuracy, color=BLUE, marker="o", ms=3)
    axes.plot([kept], [accuracy[kept]], color=ORANGE, marker="o", ms=8, ls="")
    words, at = f"kept: step {kept}, {accuracy[kept]:.2%}", (kept, accuracy[kept])
    axes.annotate(words, at, (-6, 9), textcoords="offset points", color=ORANGE, ha="right")
    middle = (kept + len(accuracy) - 1) / 2
    axes.text(middle, accuracy.min(), f"{patience} steps\nno better", ha="center", va="bottom", color=GREY)
    axes.set(xlabel="training step", ylabel="test accuracy")
    axes.margins(y=0.12)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return without_box(figure)


@matplotlib_defaults()
def confusion(matrix: np.ndarray) -> Picture:
    """Counts of (true class, predicted class); the diagonal is grey. Notebook 03."""
    wrong = int(matrix.sum() - np.trace(matrix))
    figure = Picture(f"Table: true digit against predicted digit; {wrong} images off the diagonal", 5.4, 4.8)
    axes = figure.subplots()
    off = np.ma.masked_array(matrix, np.eye(len(matrix), dtype=bool) | (matrix == 0))
    axes.imshow(np.where(np.eye(len(matrix)), 1, 0), cmap="Greys", vmin=0, vmax=6)
    axes.imshow(off, cmap="viridis_r", vmin=0, vmax=max(int(off.max() or 0), 3) * 1.6)
    dark = 0.6 * max(int(off.max() or 0), 3)
    for (i, j), n in np.ndenumerate(matrix):
        if n:
            colour = "white" if i != j and n > dark else "black"
            axes.text(j, i, str(n), ha="center", va="center", color=colour)
    ticks = range(len(matrix))
    axes.set(xlabel="predicted digit", ylabel="true digit", xticks=ticks, yticks=ticks)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


@matplotlib_defaults()
def weights(images: np.ndarray) -> Picture:
    """The weights of each class as an image: purple speaks for the class, orange against it. Notebook 03."""
    columns, rows = min(len(images), 5), -(-len(images) // 5)
    alt = f"{len(images)} images: for each digit, which pixels count for it and which against it"
    figure = Picture(alt, 7.2, 1.75 * rows)
    limit = float(np.quantile(np.abs(images), 0.995))
    grid = figure.subplots(rows, columns, squeeze=False)
    for k, axes in enumerate(grid.flat):
        axes.set_axis_off()
        if k < len(images):
            shown = axes.imshow(images[k], cmap="PuOr", vmin=-limit, vmax=limit)
            axes.set_title(str(k))
    figure.colorbar(shown, ax=grid, label="weight (against ← 0 → for)", shrink=0.8)
    return figure


@matplotlib_defaults()
def strip(images: np.ndarray, captions: Sequence[str]) -> Picture:
    """Images side by side in one strip, as the article shows its cluster centres. Notebook 04."""
    n, height, width = images.shape
    figure = Picture(f"{n} cluster centres side by side: " + ", ".join(captions), 7.2, 2 if n > 11 else 1.5)
    axes = figure.subplots()
    axes.imshow(images.transpose(1, 0, 2).reshape(height, n * width), cmap="gray_r")
    axes.set_xticks(np.arange(n) * width + width / 2, captions, rotation=90 if n > 11 else 0)
    axes.set(yticks=[], xlabel="most frequent digit in the cluster, and its share")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


@matplotlib_defaults()
def confidence(values: np.ndarray) -> Picture:
    """Confidences of images, (n,), in the order given, lowest first. Notebook 06."""
    alt = "Line: confidence of the model in its own answer, images sorted from least to most confident"
    figure = Picture(alt)
    axes = figure.subplots()
    axes.plot(np.arange(1, len(values) + 1), values, color=BLUE)
    axes.set(xlabel="unlabelled image, from least to most confident", ylabel="confidence")
    axes.set(xlim=(0, len(values)), ylim=(0, 1.03))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return without_box(figure)


@matplotlib_defaults()
def learning_curve(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    levels: Mapping[str, float] | None = None,
    log: bool = False,
    draws: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Picture:
    """Accuracy against labels: named curves (n_labels, accuracy), and named horizontal levels.

    `draws` has, for some of the curves, other runs, n_labels and accuracies, (runs, fits): a band behind
    holds the middle 90% of them. Notebooks 05 and 06.
    """
    levels, draws = levels or {}, draws or {}
    shown = ", ".join([*curves, *levels, *(["bands of other draws"] if draws else [])])
    figure = Picture(f"Lines: test accuracy against number of labels, for {shown}", height=4)
    axes = figure.subplots()
    for (name, (n_labels, accuracy)), colour in _each(curves.items(), looks=(BLUE, ORANGE, GREEN)):
        if name in draws:
            low, high = np.quantile(draws[name][1], [0.05, 0.95], axis=0)
            behind = f"{name}: middle 90% of {len(draws[name][1])} other draws"
            axes.fill_between(draws[name][0], low, high, color=colour, alpha=0.15, lw=0, label=behind)
            for edge in (low, high):  # the band's numbers; a filled area would not carry them
                axes.plot(draws[name][0], edge, color=colour, lw=0.8, alpha=0.6)
        axes.plot(n_labels, accuracy, color=colour, marker="o", ms=3, label=f"{name}: {accuracy[-1]:.2%}")
    left = min(np.min(n) for n, _ in curves.values())
    for (name, level), colour in _each(levels.items(), looks=(GREY, ORANGE)):
        axes.axhline(level, color=colour, lw=1.2, ls="--")
        words = f"{name}: {level:.2%}"
        axes.annotate(words, (left, level), (2, 3), textcoords="offset points", color=colour, va="bottom")
    if log:
        _log_axis(axes, next(iter(curves.values()))[0], ",")
    axes.set(xlabel="labels given", ylabel="test accuracy")
    axes.legend(frameon=False, loc="lower right")
    axes.margins(y=0.1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return without_box(figure)


@matplotlib_defaults()
def bands(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    levels: Mapping[str, float] | None = None,
    xlabel: str = "labels given",
    log: bool = False,
) -> Picture:
    """Mean curves with their bands: named (x, mean, low, high), and named horizontal levels.

    The summary of a sweep, and notebooks 09 to 11 and 13.
    """
    levels = levels or {}
    alt = f"Lines with bands: mean test accuracy against {xlabel}, for " + "; ".join([*curves, *levels])
    figure = Picture(alt, 8, 4.2)
    axes = figure.subplots()
    styles = [(colour, dash) for dash in ("-", "--") for colour in (BLUE, ORANGE, GREEN, PURPLE, GREY)]
    for (name, (x, mean, low, high)), style in _each(curves.items(), looks=styles):
        colour, dash = _QUERIES.get(name, style)
        axes.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(x, mean, color=colour, ls=dash, marker="o" if len(x) < 10 else None, ms=4, label=name)
        for edge in (low, high):  # the band's numbers; a filled area would not carry them
            axes.plot(x, edge, color=colour, lw=0.4, alpha=0.5)
    for (name, level), dash in _each(levels.items(), looks=(":", "-.")):
        axes.axhline(level, color="black", lw=1, ls=dash, label=name)
    if log:
        _log_axis(axes, np.unique(np.concatenate([x for x, *_ in curves.values()])), "g")
    axes.set(xlabel=xlabel, ylabel="test accuracy")
    bottom, top = axes.get_ylim()
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if top - bottom > 0.06 else 1))
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return without_box(figure)


@matplotlib_defaults()
def pseudo_labels(
    n_auto: np.ndarray, wrong: np.ndarray, n_labels: np.ndarray, accuracy: np.ndarray
) -> Picture:
    """Wrong pseudo-labels so far (above) and test accuracy (below) while the model labels. Notebook 07."""
    figure = Picture(
        f"Two lines over {n_auto[-1]:,} pseudo-labels: the number of wrong ones grows to {wrong[-1]}, "
        f"accuracy goes from {accuracy[0]:.2%} to {accuracy[-1]:.2%}",
        height=4.6,
    )
    top, bottom = figure.subplots(2, sharex=True)
    top.plot(n_auto, wrong, color=ORANGE)
    top.set(ylabel="wrong pseudo-labels")
    bottom.plot(n_labels, accuracy, color=BLUE)
    bottom.set(xlabel="pseudo-labels given", ylabel="test accuracy")
    bottom.margins(y=0.2)
    bottom.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return without_box(figure)


def _log_axis(axes: Axes, ticks: np.ndarray, style: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:{style}}" for tick in ticks])
    axes.minorticks_off()


def pack_image(image: np.ndarray) -> str:
    """An image as text: scaled to 256 levels, deflated, in base 64."""
    image = np.ma.filled(np.ma.asarray(image, float), 0)
    low, high = float(image.min()), float(image.max())
    levels = np.round(255 * (image - low) / ((high - low) or 1)).astype(np.uint8)
    return base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()


def _numbers(axes: Axes) -> dict[str, Any]:
    found = {
        "lines": [[_round(v) for v in line.get_data()] for line in axes.lines],
        "bars": [_round([bar.get_height() for bar in group]) for group in axes.containers],
        "images": [pack_image(image.get_array()) for image in axes.images],  # type: ignore[arg-type]
    }
    return {kind: values for kind, values in found.items() if values}


def _round(values: Any) -> list[float]:
    rounded = (float(f"{v:.5g}") for v in np.asarray(values, float))
    return [int(v) if v.is_integer() else v for v in rounded]  # as JupyterLab would write them


def without_box(figure: Picture) -> Picture:
    """The figure, its axes without the lines above and to the right."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure
