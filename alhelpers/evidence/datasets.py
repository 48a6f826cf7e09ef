"""Four small data sets beside MNIST; `alhelpers/datasets/UCI.md` says what and whose they are."""

import io
from functools import cache
from typing import NamedTuple

import numpy as np

from alhelpers.evidence.draws import Draw, Source, draw
from alhelpers.files import read_shipped


class Size(NamedTuple):
    """How many rows a draw takes for the pool and for validation, and whether the features are counts."""

    n_pool: int
    n_validation: int
    counts: bool = False


# Small enough that a third of the rows can judge and some are left over for tuning draws to be judged by.
SIZES = {
    "spambase": Size(2000, 100, counts=True),
    "satellite": Size(3000, 100),
    "letters": Size(4000, 100),
    "digits8x8": Size(900, 50),
}


def read(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, (n, n_features), labels, (n,), from 0, and names of the classes of one of SIZES.

    Raises ValueError for another name, and OSError if the file is missing or damaged: its SHA-256 is checked
    on every call.
    """
    if name not in SIZES:
        raise ValueError(f"there is no data set {name!r}; give one of {', '.join(SIZES)}")
    with np.load(io.BytesIO(read_shipped(f"datasets/{name}.npz"))) as arrays:
        x, y, classes = arrays["x"], arrays["y"], arrays["classes"]
    return x.reshape(len(x), -1), y, classes


@cache
def source(name: str) -> Source:
    """One of SIZES to draw from. Errors as `read`."""
    x, y, _ = read(name)
    return Source.of(x, y, SIZES[name].counts)


def draw_of(name: str, seed: int, test: bool = True) -> Draw:
    """A draw of the usual size from a data set; see `draws.draw`. Errors as `read`."""
    if name == "MNIST":
        return draw(seed, test=test)
    n_pool, n_validation, _ = SIZES.get(name, (0, 0, False))
    return draw(seed, n_pool, n_validation, test, source(name))
