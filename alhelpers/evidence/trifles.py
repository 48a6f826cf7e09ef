"""The article's model with changes too small to see."""

import numpy as np

from alhelpers.model_numpy import SoftmaxRegression


class Divided(SoftmaxRegression):
    """Divides by the number of images where the article multiplies by 1/n."""

    def slope(self, proba: np.ndarray, target: np.ndarray) -> np.ndarray:
        """As for the article's model, but for the last bit."""
        return np.ascontiguousarray(((proba - target) / self.number(target.shape[1])).T)


class Double(SoftmaxRegression):
    """Calculates with numbers of 64 bits."""

    number = np.float64

    def prepare(self, x: np.ndarray) -> np.ndarray:
        """Images that are used again and again, as 64-bit numbers."""
        return x.astype(self.number)

    def fit(self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> np.ndarray:
        """As for the article's model; the test images are prepared."""
        return super().fit(x.astype(self.number), y, x_test, y_test)


def shuffled(seed: int, kind: type[SoftmaxRegression] = SoftmaxRegression) -> type[SoftmaxRegression]:
    """The model, but it sums the same images in another order in every fit."""
    rng = np.random.default_rng(seed)

    class Shuffled(kind):
        def fit(self, x: np.ndarray, y: np.ndarray, *test: np.ndarray) -> np.ndarray:
            order = rng.permutation(len(y))
            return super().fit(x[order], y[order], *test)

    return Shuffled


def nudged(seed: int, kind: type[SoftmaxRegression] = SoftmaxRegression) -> type[SoftmaxRegression]:
    """The model, but its weights start at about 0.000 000 1 instead of zero."""

    class Nudged(kind):
        def reset(self) -> None:
            super().reset()
            nudge = np.random.default_rng(seed).normal(0, 1e-7, self.weights.shape)
            self.weights += nudge.astype(self.number)

    return Nudged
