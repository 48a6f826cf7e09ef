"""Checks of the exercises to notebook 4: images nearest to centres, and a first batch."""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.spatial.distance import pdist

from alhelpers.course.checks import Said, array, check, checked, given, whole
from alhelpers.data import load_mnist, scale
from alhelpers.model_numpy import SoftmaxRegression


@checked
def check_4_1(
    most_typical: Callable, x: np.ndarray, y: np.ndarray, centres: np.ndarray, cluster: np.ndarray
) -> Said:
    """The image nearest to each centre, and what 20 labels on those give."""
    typical = np.asarray(given(most_typical(x.copy(), centres.copy())))
    more = "You give a centre for each image: take the minimum over images instead."
    check(typical.shape != (len(x),), "an image for each centre, or a centre for each image?", more)
    typical = array(typical, (len(centres),), "an index for each centre")
    typical = np.array([whole(i, "indices are whole numbers") for i in typical])
    more = f"The pool has images 0 to {len(x) - 1:,}."
    check(typical.min() >= 0 and typical.max() < len(x), "is there such an image?", more)
    squares = np.array([((x - centre) ** 2).sum(axis=1) for centre in centres])
    off, best = squares[np.arange(len(centres)), typical], squares.min(axis=1)
    farthest = (off > 0.999 * squares.max(axis=1)).all()
    check(not farthest, "the nearest image, or the farthest?", "Use argmin, not argmax.")
    missed = int((off > 1.001 * best).sum())
    more = f"{missed} of your 20 are not nearest: sum (x - c)² over all pixels, then the minimum over images."
    check(not missed, "is every one the nearest to its centre?", more)
    right = (y[typical][cluster] == y).mean()
    counts = np.zeros((len(centres), 10), int)
    np.add.at(counts, (cluster, y), 1)
    peeked = counts.max(axis=1).sum() / len(y)
    return (
        f"20 labels from a person give {right:.1%} right labels for 4,000 images; "
        f"with all labels known, the same clusters would give {peeked:.1%}."
    )


@cache
def _cold_start(seed: int) -> tuple[np.ndarray, Callable[[np.ndarray], float], float]:
    """1,000 images; the accuracy of a model trained on some of them; its mean for ten random fifties."""
    draw = load_mnist(1000, 2000, seed)
    x, x_test = scale(draw.x_pool), scale(draw.x_test)

    def accuracy(chosen: np.ndarray) -> float:
        model = SoftmaxRegression(784)
        return model.fit(x[chosen], draw.y_pool[chosen], x_test, draw.y_test).max() / len(x_test)

    fifties = (np.random.default_rng(k).choice(1000, 50, replace=False) for k in range(10))
    return x, accuracy, float(np.mean([accuracy(chosen) for chosen in fifties]))


@checked
def check_4_2(first_batch: Callable) -> Said:
    """Fifty images to begin with, in five draws, against ten random fifties each."""
    gains, likeness = [], []
    for seed in range(1, 6):
        x, accuracy, random = _cold_start(seed)
        chosen = array(first_batch(x.copy()), (50,), "50 indices")
        chosen = np.array([whole(i, "indices are whole numbers from 0 to 999") for i in chosen])
        check(chosen.min() >= 0 and chosen.max() < 1000, "is there such an image?", "They go from 0 to 999.")
        different = len(set(chosen.tolist()))
        more = f"Only {different} of your 50 are different. An image that is asked about twice is wasted."
        check(different == 50, "do you ask about an image twice?", more)
        gains.append(100 * (accuracy(chosen) - random))
        # Mean squared distance of two of them, as a share of that of any two images.
        likeness.append((pdist(x[chosen]) ** 2).mean() / (2 * x.var(axis=0).sum()))
    gain, alike = np.mean(gains), np.mean(likeness)
    told = f"They gain {gain:+.1f} points over random ones, where five are wanted."
    more = f"{told} Two of them differ by {alike:.0%} of what any two do. Take one from each of 50 groups."
    check(gain >= 5 or alike > 0.92, "do your 50 resemble one another?", more)
    check(gain >= 5 or alike < 1.12, "do your 50 stand for the others, or are they the odd ones?", more)
    more = f"{told} Is anything in your rule that looks at the images? Take one from each of 50 groups."
    check(gain >= 5, "do your 50 know more than chance does?", more)
    better = sum(each > 0 for each in gains)
    more = f"Better in {better} of five draws: let what the images look like decide, not luck."
    check(better >= 4, "does your rule work in nearly every draw?", more)
    each = ", ".join(f"{each:+.1f}" for each in gains)
    return f"Better than random by {gain:.1f} points on average; the five draws: {each}."
