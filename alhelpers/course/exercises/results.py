"""Checks of the exercises to notebook 8: a paired difference, and fresh draws."""

from collections.abc import Callable, Sequence

import numpy as np

from alhelpers.course.checks import Said, Watched, array, check, checked, real
from alhelpers.intervals import interval

DRAWS = 8


@checked
def check_8_1(difference: Callable, right_a: np.ndarray, right_b: np.ndarray) -> Said:
    """An interval for a paired difference: two made-up models, either way round, and then the article's."""
    a = np.arange(400) < 240  # 60% right
    b = a ^ np.isin(np.arange(400), [*range(15), *range(240, 275)])  # loses 15 of those, gains 35: +5 points
    gain = b.astype(float) - a
    exact = 2 * 1.96 * gain.std(ddof=1) / 20
    what = "the two ends of an interval"
    low, high = array(difference(a.copy(), b.copy()), (2,), what)
    check(low < high, "which of your ends comes first?", "Return (low, high).")
    middle, width = (low + high) / 2, (high - low) / exact
    more = "b is right on 20 images more than a. Take b minus a."
    check(abs(middle + 0.05) > 0.01, "who is better in your difference, a or b?", more)
    more = (
        "You count every image on which the two disagree as a gain. An image that b loses counts -1: "
        "turn both arrays into numbers and subtract."
    )
    check(abs(middle - 0.125) > 0.01, "what becomes of an image that a has right and b has not?", more)
    more = f"One point is 0.01. The difference is 0.05, and yours goes from {low:.3f} to {high:.3f}."
    check(abs(middle - 5) > 1 and abs(middle - 20) > 4, "a share, or percent, or images?", more)
    more = f"b is better by 0.05; the middle of yours is {middle:.3f}."
    check(abs(middle - 0.05) < 0.01, "is the difference in the middle of your interval?", more)
    # A bootstrap of 2,000 resamples gave 0.91 to 1.09 for each of 2,000 seeds.
    more = "That is the scatter of single images. A mean of n of them scatters √n times less."
    check(width < 10, "of one image, or of the mean of 400?", more)
    more = (
        "You treat them as two samples of images. Take b minus a for each image first, "
        "or draw the same images for both."
    )
    check(not 1.7 < width < 2.2, "do both answer the same images in your interval?", more)
    more = "Take 1.96 standard errors either way; yours is as wide as one."
    check(not 0.45 < width < 0.57, "how many standard errors make 95%?", more)
    more = "Keep the order of the images: entry i of both is the same image."
    check(not 0.57 < width < 0.7, "is it still the same image in both?", more)
    more = (
        f"Yours is {width:.2f} times as wide as 1.96 standard errors of b minus a make it. "
        "If you draw images, draw 2,000 times or more, and cut off 2.5% at each end."
    )
    check(0.88 < width < 1.12, "how wide is a 95% interval?", more)
    low, high = array(difference(b.copy(), a.copy()), (2,), what)
    more = "With a and b exchanged it has to go from about -0.08 to -0.02."
    check(abs((low + high) / 2 + 0.05) < 0.01, "can your difference be negative?", more)
    low, high = 100 * array(difference(right_a.copy(), right_b.copy()), (2,), what)
    only_b, only_a = (right_b & ~right_a).sum(), (right_a & ~right_b).sum()
    return (
        f"Choosing against not choosing: {low:+.1f} to {high:+.1f} points. "
        f"{only_b} images are right only with chosen labels, {only_a} only without."
    )


@checked
def check_8_2(gain: Callable) -> Said:
    """The gain of margin over unselected labels in DRAWS draws, and how it came about."""
    gains = [_watched_gain(gain, seed) for seed in range(1, DRAWS + 1)]
    more = "Every draw gives the same: let the seed choose the images."
    check(len(set(gains)) > 1, "does the seed change anything?", more)
    return (
        f"{interval(gains).points()}; better in {sum(gain > 0 for gain in gains)} of {len(gains)} draws. "
        f"Single draws: {100 * min(gains):+.2f} to {100 * max(gains):+.2f}."
    )


def _watched_gain(gain: Callable, seed: int) -> float:
    Watched.fits.clear()
    difference = real(gain(seed), "a difference of two accuracies is wanted")
    fits = Watched.fits
    more = "Fit once on the first 400 labels and once, in the end, on the chosen ones."
    check(fits, "has any model been trained?", more)
    chosen = [fit for fit in fits if not fit.unselected]
    more = "All your labels are the pool's first: fit and sort by margin, lowest first, before each batch."
    check(chosen, "where does anything choose?", more)
    first = [fit for fit in fits if fit.unselected and len(fit.labeled) == 400]
    check(first, "compared with what?", "Train a model on the first 400 of the same pool as well.")
    unselected, last = first[-1], chosen[-1]
    n, batches = len(last.labeled), last.batches
    more = f"The loop's last fit has {n} labels: fit once more after the last batch, and begin with none."
    check(n == 400, "400 labels for both?", more)
    more = f"Ask for twenty at a time and fit after each; your batches are {_runs(batches)}."
    check(batches == 20 * [20], "how many labels between one fit and the next?", more)
    more = "A batch is not the one with the smallest margins: sort after each fit, by margin, lowest first."
    check(last.by_margin, "what did the model ask for?", more)
    due = last.accuracy - unselected.accuracy
    more = "Accuracy with chosen labels minus accuracy without."
    check(abs(difference + due) > 1e-9 or not due, "which of the two do you subtract?", more)
    more = f"Return a difference of shares. Yours is {difference:.4f}, and the models differ by {due:.4f}."
    check(abs(difference - due) < 1e-9, "is that the difference of your two models?", more)
    return difference


def _runs(batches: Sequence[int]) -> str:
    shown = ", ".join(map(str, batches[:6]))
    return shown if len(batches) <= 6 else f"{shown} and so on"
