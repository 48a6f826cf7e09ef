"""Independent sets of images, or of other rows, to repeat the experiment on; some with wrong labels."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from alhelpers.data import Dataset, read_mnist, scale
from alhelpers.errors import UserError, check_count

N_CLASSES = 10
TUNING = 1_000_000
"""Added to the number of a draw that only serves to choose a recipe; its test images stay unseen."""
JUDGES = 1 / 3
"""Of a data set that has no test set of its own, the share of its rows that becomes one."""


class Source(NamedTuple):
    """A data set to draw from.

    x, y: what pool and validation rows are drawn from: images, uint8 of shape (n, height, width), or rows of
    features, (n, n_features), and their labels, integers from 0, (n,).
    x_test, y_test: the rows that judge, the same in every draw.
    counts: whether the features are counts, of which log(1 + x) is taken.
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    counts: bool = False

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, counts: bool = False) -> "Source":
        """A source from features x, (n, n_features), or images, and labels y, (n,), of any kind.

        A third of the rows, always the same, are set apart to judge. Labels are numbered in sorted order.

        Raises UserError if rows and labels do not fit together, if there are fewer than two classes or fewer
        than six rows, or if a feature is no finite number.
        """
        x, y = np.asarray(x), np.asarray(y)
        if x.ndim < 2 or y.shape != x.shape[:1]:
            raise UserError(f"x has shape {x.shape} and y {y.shape}; give a row of x for each label of y")
        if len(y) < 6:
            raise UserError(f"there are {len(y)} rows; give at least 6, of which a third will judge")
        if x.dtype.kind not in "biuf" or not np.isfinite(x).all():
            raise UserError(f"x ({x.dtype}) holds what is no finite number; fill it in or leave its rows out")
        if counts and x.min() <= -1:
            raise UserError(f"x holds {x.min()} among its counts; give numbers from 0 up, or counts=False")
        classes, y = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise UserError(f"all {len(y)} labels are {classes[0]!r}; give labels of at least two classes")
        order = np.random.default_rng(0).permutation(len(y))
        judges, rest = np.split(order, [round(JUDGES * len(y))])
        return cls(x[rest], y[rest], x[judges], y[judges], counts)


class Draw(NamedTuple):
    """One independent set of images, or of other rows, for every recipe to be tried on.

    seed: the number it was drawn with.
    data: the pool, in random order, so that its first images are a random sample of it; and for test images
    those that stop an early-stopped fit.
    x_test, y_test: the images that judge, (n, n_features), float32, and their labels, (n,). Images are scaled
    to 0 to 1; features are standardised with mean and deviation of the pool.
    """

    seed: int
    data: Dataset
    x_test: np.ndarray
    y_test: np.ndarray


def draw(
    seed: int, n_pool: int = 4000, n_validation: int = 400, test: bool = True, source: Source | None = None
) -> Draw:
    """Pool and validation images drawn without overlap from MNIST's 60,000, or a source of your own.

    Those that judge are the source's test images, MNIST's 10,000. With test=False as many, or all that are
    left, come from where the pool does, and the test images stay unseen: for choosing a recipe. MNIST's pool,
    then validation images are those of `load_mnist(n_pool + n_validation, seed=seed)`.

    Raises ValueError if the seed is no whole number from 0 up, or the source does not hold that many images.
    """
    check_count("seed", seed, least=0)
    source = source or mnist()
    n, most = n_pool + n_validation, len(source.y) - (not test)
    if not (n_pool > 0 and n_validation > 0 and n <= most):
        raise ValueError(
            f"cannot draw {n_pool!r} pool and {n_validation!r} validation images; "
            f"give whole numbers from 1 up, together at most {most:,}"
        )
    n_judges = 0 if test else min(len(source.y_test), len(source.y) - n)
    chosen = np.random.default_rng(seed).choice(len(source.y), n + n_judges, replace=False)
    pool, validation, judges = np.split(chosen, [n_pool, n])
    x_test, y_test = (source.x_test, source.y_test) if test else (source.x[judges], source.y[judges])
    x_pool, x_validation, x_test = _comparable(source.x[pool], source.x[validation], x_test, source.counts)
    n_classes = 1 + int(max(source.y.max(), source.y_test.max()))
    data = Dataset(x_pool, source.y[pool], x_validation, source.y[validation], n_classes)
    return Draw(seed, data, scale(x_test), y_test)


def _comparable(
    pool: np.ndarray, validation: np.ndarray, test: np.ndarray, counts: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images as they are; features standardised by what the pool alone tells, as float32."""
    if pool.ndim > 2:
        return pool, validation, test
    parts = [part.astype(np.float64) for part in (pool, validation, test)]
    if counts:
        parts = [np.log1p(part) for part in parts]
    mean, deviation = parts[0].mean(axis=0), parts[0].std(axis=0)
    same = np.ptp(parts[0], axis=0) == 0  # in the whole pool; its mean and deviation hold rounding errors
    mean, deviation = np.where(same, parts[0][0], mean), np.where(same, 1, deviation)
    return tuple(((part - mean) / deviation).astype(np.float32) for part in parts)


def with_wrong_labels(images: Draw, share: float) -> Draw:
    """The draw with each label in its pool wrong with this probability: any other class, all equally likely.

    All other labels stay right. Which labels are wrong, and how, depends on the draw alone, so every query
    meets the same ones; those wrong at a low share are wrong in the same way at a higher.

    Raises ValueError if the share is no probability.
    """
    return with_slips(images, np.full(images.data.n_pool, _share("of wrong labels", share)))


def with_slips(images: Draw, shares: np.ndarray) -> Draw:
    """As `with_wrong_labels`, but with a probability for each image of the pool, (n_pool,)."""
    n, n_classes = images.data.n_pool, images.data.n_classes
    rng = np.random.default_rng([images.seed, 1000])  # a stream apart from those of the queries
    wrong, shift = rng.random(n) < shares, rng.integers(1, n_classes, n)
    labels = np.where(wrong, (images.data.y_pool + shift) % n_classes, images.data.y_pool)
    return images._replace(data=replace(images.data, y_pool=labels))


def with_rare_class(images: Draw, label: int, share: float) -> Draw:
    """The draw with most images of one class taken out of its pool: so many stay that they are this share.

    The images that judge are as before. Raises ValueError if the share is not from 0 to 0.99, or more than
    the class has.
    """
    is_rare = images.data.y_pool == label
    n_rare = round(_share(f"of class {label}", share, 0.99) / (1 - share) * np.count_nonzero(~is_rare))
    if n_rare > is_rare.sum():
        raise ValueError(f"class {label} is less than {share:.0%} of the pool already; give a smaller share")
    rng = np.random.default_rng([images.seed, 1001])  # like that of `with_slips`
    kept = ~is_rare
    kept[rng.choice(np.flatnonzero(is_rare), n_rare, replace=False)] = True
    x_pool, y_pool = images.data.x_pool[kept], images.data.y_pool[kept]
    return images._replace(data=replace(images.data, x_pool=x_pool, y_pool=y_pool))


def _share(of: str, share: float, most: float = 1) -> float:
    if not 0 <= share <= most:
        raise ValueError(f"the share {of} is {share!r}; give a number from 0 to {most:g}")
    return share


@cache
def mnist() -> Source:
    """MNIST: its 60,000 training images to draw from, its 10,000 test images to judge."""
    return Source(*read_mnist())
