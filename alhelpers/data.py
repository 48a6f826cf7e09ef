"""MNIST from the file beside this module, and `Dataset`, which holds it or arrays of your own."""

import io
import zipfile
from dataclasses import dataclass

import numpy as np

from alhelpers.errors import check_count
from alhelpers.files import read_shipped

N_TRAIN, N_TEST = 60_000, 10_000
CANNOT_TELL = -1
"""In place of a label: an oracle has looked at the image and cannot tell."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A pool to label from and a test set to score on. The arrays are copied and made read-only.

    Parameters
    ----------
    x_pool : (n_pool, height, width), uint8 (0 to 255) or float (0 to 1); or features, (n_pool, n_features)
        The images a learner may ask labels for; colours have a fourth axis of length 3, features any floats.
    y_pool : integer array of shape (n_pool,), or None
        Their labels, counted from 0: what the oracle answers when asked. None if somebody else will.
    x_test, y_test : arrays of shapes (n_test, height, width), or (n_test, n_features), and (n_test,)
        The images accuracy is measured on. They also decide when a fit stops, so their accuracy flatters: for
        a fair figure keep a third set and give it to `ActiveLearner.score`.
    n_classes : int, optional
        Number of classes; by default one more than the largest label.

    Raises ValueError, naming the array, if shapes, types or values do not fit together.
    """

    x_pool: np.ndarray
    y_pool: np.ndarray | None
    x_test: np.ndarray
    y_test: np.ndarray
    n_classes: int = None  # type: ignore[assignment]  # a number from the start

    def __post_init__(self) -> None:
        for part in ("pool", "test"):
            x, y = np.array(getattr(self, f"x_{part}")), getattr(self, f"y_{part}")
            check_images(f"x_{part}", x, rows=True)
            if not (y is None and part == "pool"):
                y = np.array(y)
                _check_labels(f"y_{part}", y, len(x), f"x_{part}")
                y.flags.writeable = False
            x.flags.writeable = False
            object.__setattr__(self, f"x_{part}", x)
            object.__setattr__(self, f"y_{part}", y)
        if self.x_pool.shape[1:] != self.x_test.shape[1:] or self.x_pool.dtype.kind != self.x_test.dtype.kind:
            raise ValueError(
                f"x_pool holds {self.x_pool.shape[1:]} images of {self.x_pool.dtype} and x_test "
                f"{self.x_test.shape[1:]} images of {self.x_test.dtype}; give both the same shape and kind"
            )
        largest = int(max(y.max() for y in (self.y_pool, self.y_test) if y is not None))
        least, name = max(largest + 1, 2), f"n_classes, of labels up to {largest},"
        n_classes = least if self.n_classes is None else check_count(name, self.n_classes, least)
        object.__setattr__(self, "n_classes", n_classes)

    @property
    def n_pool(self) -> int:
        """Number of pool images."""
        return len(self.x_pool)

    @property
    def n_test(self) -> int:
        """Number of test images."""
        return len(self.x_test)

    def look_up(self, indices: np.ndarray) -> np.ndarray:
        """Labels of these pool images, int32 of shape (n,): the dataset as an oracle.

        Raises ValueError if the pool has no labels.
        """
        if self.y_pool is None:
            raise ValueError("the pool has no labels (y_pool is None), so give the learner an oracle to ask")
        return self.y_pool[indices].astype(np.int32)

    def __repr__(self) -> str:
        size = "×".join(map(str, self.x_pool.shape[1:]))
        return f"Dataset({self.n_pool} pool + {self.n_test} test images of {size})"


def scale(images: np.ndarray) -> np.ndarray:
    """Images as the model sees them: (n, height × width) float32, grey levels or colours from 0 to 1.

    uint8 grey levels are divided by 255; floats, features too, are taken to be scaled already.
    """
    flat = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(255) if images.dtype == np.uint8 else flat


def load_mnist(n_pool: int = 4000, n_test: int = 400, seed: int | None = None) -> Dataset:
    """MNIST for one experiment: n_pool of the 60,000 training images, n_test of the 10,000 test images.

    Without a seed the first ones in file order, as in the article. A seed, 0 or more, draws both at random
    without replacement; the same seed draws the same images.

    Raises ValueError if a size is out of range or the seed negative, and OSError if the data file is missing
    or its SHA-256 is not the shipped one.

    Source: section "Data for the experiment" of the article; MNIST by LeCun, Cortes and Burges.
    """
    check_count("n_pool", n_pool, most=N_TRAIN)
    check_count("n_test", n_test, most=N_TEST)
    if seed is None:
        x_train, y_train, x_test, y_test = read_mnist(n_pool, n_test)
        return Dataset(x_train, y_train, x_test, y_test, n_classes=10)
    check_count("seed", seed, least=0)
    rng = np.random.default_rng(seed)
    pool = rng.choice(N_TRAIN, n_pool, replace=False)
    test = rng.choice(N_TEST, n_test, replace=False)
    x_train, y_train, x_test, y_test = read_mnist()
    return Dataset(x_train[pool], y_train[pool], x_test[test], y_test[test], n_classes=10)


def read_mnist(
    n_train: int = N_TRAIN, n_test: int = N_TEST
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The first images of both MNIST files: x_train, y_train, x_test, y_test, all uint8.

    Raises OSError if the file is missing or damaged: its SHA-256 is checked on every call.
    """
    sizes = {"x_train": n_train, "y_train": n_train, "x_test": n_test, "y_test": n_test}
    with zipfile.ZipFile(io.BytesIO(read_shipped("mnist.npz"))) as archive:
        return tuple(_first(archive, *item) for item in sizes.items())  # type: ignore[return-value]  # four


def _first(archive: zipfile.ZipFile, name: str, n: int) -> np.ndarray:
    """The first n items of one array, without unpacking the rest (np.load would unpack all 47 MB)."""
    with archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        item = dtype.itemsize * int(np.prod(shape[1:]))
        return np.frombuffer(file.read(n * item), dtype).reshape(n, *shape[1:])


def check_images(name: str, x: np.ndarray, rows: bool = False) -> None:
    """Raise ValueError, naming the array, unless x is images as `Dataset` takes them, or such rows."""
    if rows and x.ndim == 2 and x.size and x.dtype.kind == "f":
        if np.isfinite(x).all():
            return
        raise ValueError(f"{name} holds NaN or infinite numbers; fill them in or leave their rows out")
    if not (x.ndim == 3 or x.shape[3:] == (3,)) or x.size == 0:
        kinds = "(images, height, width), and 3 more for colours, none 0" + ", or rows of floats" * rows
        raise ValueError(f"{name} has shape {x.shape}; expected {kinds}")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{name} has dtype {x.dtype}; expected uint8 grey levels, or floats from 0 to 1")
    if x.dtype.kind == "f" and not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"{name} has floats outside 0 to 1; divide by the largest grey level first")


def _check_labels(name: str, y: np.ndarray, n: int, images: str) -> None:
    if y.shape != (n,):
        raise ValueError(f"{name} has shape {y.shape}; expected ({n},), one label for each image of {images}")
    if y.dtype.kind not in "iu" or y.min() < 0:
        example = next((label for label in y.tolist() if not isinstance(label, int) or label < 0), y[0])
        raise ValueError(f"{name} holds {example!r} among its labels; give integers from 0 up")
