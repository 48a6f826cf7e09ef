"""Independent sets of images to repeat the experiment on, with right labels or some wrong ones."""

from functools import cache
from typing import NamedTuple

import numpy as np

from alhelpers.data import N_TEST, N_TRAIN, read_mnist, scale
from alhelpers.errors import check_count

N_CLASSES = 10


class Draw(NamedTuple):
    """One independent set of images, for every recipe to be tried on.

    Images are float32 of shape (n, n_features), grey levels from 0 to 1; labels int64 of shape (n,), 0 to 9.
    The pool is in random order, so its first images are a random sample of it.
    """

    seed: int
    x_pool: np.ndarray
    y_pool: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def draw(seed: int, n_pool: int = 4000, n_validation: int = 400, test: bool = True) -> Draw:
    """Pool and validation images drawn from MNIST's 60,000, without overlap, and 10,000 others to score on.

    The pool and then the validation images are those of `load_mnist(n_pool + n_validation, seed=seed)`. With
    test=False the 10,000 come from the 60,000 as well and the test images stay unseen: for choosing a recipe.

    Raises ValueError if the seed is no whole number from 0 up, or MNIST does not hold that many images.
    """
    check_count("seed", seed, least=0)
    n = n_pool + n_validation
    if not (n_pool > 0 and n_validation > 0 and n <= N_TRAIN - (0 if test else N_TEST)):
        raise ValueError(
            f"cannot draw {n_pool!r} pool and {n_validation!r} validation images; "
            f"give whole numbers from 1 up, together at most {N_TRAIN - (0 if test else N_TEST):,}"
        )
    x, y, x_test, y_test = _mnist()
    chosen = np.random.default_rng(seed).choice(N_TRAIN, n if test else n + N_TEST, replace=False)
    if not test:
        x_test, y_test = scale(x[chosen[n:]]), y[chosen[n:]]
    x, y = scale(x[chosen[:n]]), y[chosen[:n]]
    return Draw(seed, x[:n_pool], y[:n_pool], x[n_pool:], y[n_pool:], x_test, y_test)


def with_wrong_labels(images: Draw, rate: float) -> Draw:
    """The draw with each label in its pool wrong with this probability: any other class, all equally likely.

    Validation and test labels stay right. Which labels are wrong, and how, depends on the draw alone, so
    every query meets the same ones; those wrong at a low rate are wrong in the same way at a higher.

    Raises ValueError if the rate is no probability.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate!r}; give a number from 0 to 1")
    n = len(images.y_pool)
    rng = np.random.default_rng([images.seed, 1000])  # a stream apart from those of the queries
    wrong, shift = rng.random(n) < rate, rng.integers(1, N_CLASSES, n)
    return images._replace(y_pool=np.where(wrong, (images.y_pool + shift) % N_CLASSES, images.y_pool))


@cache
def _mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x_train, y_train, x_test, y_test = read_mnist()
    return x_train, y_train.astype(np.int64), scale(x_test), y_test.astype(np.int64)
