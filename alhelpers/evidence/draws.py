"""Independent sets of images to repeat the experiment on, with right labels or some wrong ones."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from alhelpers.data import N_TEST, N_TRAIN, Dataset, read_mnist, scale
from alhelpers.errors import check_count

N_CLASSES = 10


class Draw(NamedTuple):
    """One independent set of images, for every recipe to be tried on.

    seed: the number it was drawn with.
    data: the pool, in random order, so that its first images are a random sample of it; and for test images
    those that stop an early-stopped fit.
    x_test, y_test: the images that judge, (n, n_features), float32 from 0 to 1, and their labels, (n,).
    """

    seed: int
    data: Dataset
    x_test: np.ndarray
    y_test: np.ndarray


def draw(seed: int, n_pool: int = 4000, n_validation: int = 400, test: bool = True) -> Draw:
    """Pool and validation images drawn from MNIST's 60,000, without overlap, and 10,000 others to score on.

    The pool and then the validation images are those of `load_mnist(n_pool + n_validation, seed=seed)`. With
    test=False the 10,000 come from the 60,000 as well and the test images stay unseen: for choosing a recipe.

    Raises ValueError if the seed is no whole number from 0 up, or MNIST does not hold that many images.
    """
    check_count("seed", seed, least=0)
    n, most = n_pool + n_validation, N_TRAIN - (0 if test else N_TEST)
    if not (n_pool > 0 and n_validation > 0 and n <= most):
        raise ValueError(
            f"cannot draw {n_pool!r} pool and {n_validation!r} validation images; "
            f"give whole numbers from 1 up, together at most {most:,}"
        )
    x, y, x_test, y_test = _mnist()
    chosen = np.random.default_rng(seed).choice(N_TRAIN, n if test else n + N_TEST, replace=False)
    if not test:
        x_test, y_test = scale(x[chosen[n:]]), y[chosen[n:]]
    pool, validation = chosen[:n_pool], chosen[n_pool:n]
    return Draw(seed, Dataset(x[pool], y[pool], x[validation], y[validation], N_CLASSES), x_test, y_test)


def with_wrong_labels(images: Draw, share: float) -> Draw:
    """The draw with each label in its pool wrong with this probability: any other class, all equally likely.

    All other labels stay right. Which labels are wrong, and how, depends on the draw alone, so every query
    meets the same ones; those wrong at a low share are wrong in the same way at a higher.

    Raises ValueError if the share is no probability.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of wrong labels is {share!r}; give a number from 0 to 1")
    n = images.data.n_pool
    rng = np.random.default_rng([images.seed, 1000])  # a stream apart from those of the queries
    wrong, shift = rng.random(n) < share, rng.integers(1, N_CLASSES, n)
    labels = np.where(wrong, (images.data.y_pool + shift) % N_CLASSES, images.data.y_pool)
    return images._replace(data=replace(images.data, y_pool=labels))


@cache
def _mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x_train, y_train, x_test, y_test = read_mnist()
    return x_train, y_train, scale(x_test), y_test
