"""How far two labellers agree, or two predictions of the same images: Cohen's kappa with a 95% interval."""

from typing import NamedTuple

import numpy as np

from alhelpers.intervals import Interval, proportion


class Agreement(NamedTuple):
    """On n images with two labels: the share alike, and kappa, which takes out what chance does to it."""

    n: int
    share: float
    kappa: Interval

    def words(self) -> str:
        """As a sentence's part."""
        kappa = f"kappa {self.kappa.estimate:.2f} ({self.kappa.low:.2f} to {self.kappa.high:.2f})"
        return f"{self.share:.2%} of {self.n:,} images labelled alike, {kappa}"


def agreement(a: np.ndarray, b: np.ndarray) -> Agreement:
    """How far two integer arrays of the same shape (n,) agree; Cohen's kappa (1960) is 1 for always alike.

    The interval is for other images of the same kind. As in Cohen's own standard error, agreement by chance
    is taken as known; the share alike has Wilson's interval (1927), so that perfect agreement on few images
    does not pass for certainty. From 50 images up it covers the truth in 93 to 99% of simulated cases.

    Two arrays of one class, the same one, leave 0/0 for kappa. It counts as 1, with ends that are NaN: equal
    predictions agree perfectly, which a stopping rule relies on (Bloodgood and Vijay-Shanker 2009).

    Raises ValueError if the arrays do not fit together or are empty.
    """
    a, b = np.asarray(a), np.asarray(b)
    for name, labels in (("a", a), ("b", b)):
        if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{name} has shape {labels.shape} and dtype {labels.dtype}; expected one integer an image"
            )
    if len(a) != len(b):
        raise ValueError(f"a has {len(a):,} labels and b {len(b):,}; give both for the same images")
    n = len(a)
    alike = proportion(int(np.sum(a == b)), n)
    classes, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
    of_a, of_b = (np.bincount(part, minlength=len(classes)) for part in (numbers[:n], numbers[n:]))
    chance = float(of_a @ of_b) / n**2
    if chance == 1:
        return Agreement(n, alike.estimate, Interval(1.0, np.nan, np.nan))
    kappa = Interval(*((share - chance) / (1 - chance) for share in alike))
    return Agreement(n, alike.estimate, kappa)
