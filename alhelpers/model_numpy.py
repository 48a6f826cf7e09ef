"""The article's model in NumPy: the same steps as `model.py`, with the same figures, and no TensorFlow."""

import numpy as np

from alhelpers.errors import check_count, check_positive


class SoftmaxRegression:
    """Softmax regression trained with Adam and stopped on test accuracy; see `alhelpers.model`."""

    number = np.float32  # the precision of all its arithmetic

    def __init__(
        self, n_features: int, n_classes: int = 10, learning_rate: float = 0.1, patience: int = 10
    ) -> None:
        self.n_features, self.n_classes = n_features, n_classes
        self.learning_rate = self.number(check_positive("learning_rate", learning_rate))
        self.patience = check_count("patience", patience)
        self.reset()

    def reset(self) -> None:
        """Forget everything: weights and Adam's state as at the start."""
        self.weights = np.zeros((self.n_features, self.n_classes), self.number)
        self.bias = np.zeros(self.n_classes, self.number)
        self._adam = [Adam(self.weights), Adam(self.bias)]

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features)."""
        return _softmax(x, self.weights, self.bias).T

    def fit(self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> np.ndarray:
        """Train until test accuracy has not improved for `patience` steps; as in `alhelpers.model`."""
        values = [self.weights, self.bias]
        counts, best = [_count_correct(*values, x_test, y_test)], 0
        target = (y == np.arange(self.n_classes)[:, None]).astype(self.number)
        while len(counts) <= best + self.patience:
            slope = self.slope(_softmax(x, *values), target)
            # Summed image by image, in their order; another order ends at 87.75% instead of 89.75%.
            moves = zip(values, self._adam, (x.T @ slope, np.einsum("ij->j", slope)), strict=True)
            values = [v - self.learning_rate * adam.step(g) for v, adam, g in moves]
            counts.append(_count_correct(*values, x_test, y_test))
            if counts[-1] > counts[best]:
                best, (self.weights, self.bias) = len(counts) - 1, values
        self.n_iter_ = len(counts) - 1
        return np.array(counts, np.int32)

    def slope(self, proba: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Gradient of the mean cross-entropy by the logits, (n, n_classes); the others are (n_classes, n)."""
        # Times 1/n. Divided by n, the last bit differs, and with it what is learned.
        return np.ascontiguousarray(((proba - target) * (1 / self.number(target.shape[1]))).T)


class Adam:
    """What Adam remembers of one variable. Kingma and Ba (2015), in the order of TensorFlow's kernel."""

    def __init__(self, variable: np.ndarray) -> None:
        self.first, self.second = np.zeros_like(variable), np.zeros_like(variable)
        self.decays = self.powers = np.array([0.9, 0.999], variable.dtype)

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """The step to take, to be multiplied by the learning rate."""
        rate1, rate2 = 1 - self.decays
        self.first = self.first + (gradient - self.first) * rate1
        self.second = self.second + (gradient * gradient - self.second) * rate2
        size = np.sqrt(1 - self.powers[1]) / (1 - self.powers[0])
        self.powers = self.powers * self.decays
        return self.first * size / (np.sqrt(self.second) + 1e-8)


def _softmax(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Probabilities, (n_classes, n): down columns it is four times as fast as along rows."""
    z = np.add((x @ weights).T, bias[:, None], order="C")
    z -= z.max(axis=0)
    np.exp(z, out=z)
    z /= z.sum(axis=0)
    return z


def _count_correct(weights: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray) -> int:
    return int(np.count_nonzero((x @ weights + bias).argmax(axis=1) == y))
