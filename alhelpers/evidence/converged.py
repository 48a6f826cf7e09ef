"""A softmax regression trained to its optimum: nothing to stop and nothing to remember."""

import warnings

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from alhelpers.evidence.draws import N_CLASSES


class Converged:
    """Softmax regression with an L2 penalty, trained to its optimum: nothing to stop and nothing to remember.

    Minimises C times the summed cross-entropy plus half the squared weights, the bias taken for one more
    weight. The optimum does not depend on the start, so the last weights only make a fit shorter.

    L-BFGS after Nocedal and Wright (2006), algorithm 7.4, with a fixed approximation of the Hessian in place
    of a multiple of the identity (a third of the steps or fewer). Fewer images than pixels span fewer
    dimensions than there are pixels; the fit is then done in those. A fit ends when no entry of the mean
    gradient, in the coordinates it is done in, exceeds `tolerance`; one that takes 1,000 steps ends with a
    warning.
    """

    MEMORY, MOST_STEPS = 10, 1000
    # Typical probability × (1 − probability) of an answer: the curvature of the cross-entropy.
    CURVATURE = 0.1

    def __init__(
        self, n_features: int, C: float = 1.0, tolerance: float = 1e-4, n_classes: int = N_CLASSES
    ) -> None:
        self.C, self.tolerance = C, tolerance
        self._shape = n_classes, n_features + 1
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._joined = np.zeros(self._shape, np.float32)
        self._images, self._factor = np.zeros((0, self._shape[1]), np.float32), np.zeros((0, 0))

    @property
    def weights(self) -> np.ndarray:
        """float32 of shape (n_features, n_classes)."""
        return self._joined[:, :-1].T

    @property
    def bias(self) -> np.ndarray:
        """float32 of shape (n_classes,)."""
        return self._joined[:, -1]

    def fit(self, x: np.ndarray, y: np.ndarray, *_: np.ndarray) -> int:
        """Train on x, (n, n_features), and y, (n,); return the number of steps. Test images are unused."""
        self.n_iter_ = self._fit(x, y)
        return self.n_iter_

    def _fit(self, x: np.ndarray, y: np.ndarray) -> int:
        x = np.column_stack([x, np.ones(len(x), x.dtype)])
        if len(x) >= x.shape[1]:
            solution, steps = self._minimise(x, y, self._joined.T)
            self._joined = solution.T
            return steps
        own = self._in_own_span(x).astype(np.float32)
        start = solve_triangular(own, x @ self._joined.T, lower=True, check_finite=False)
        solution, steps = self._minimise(own, y, start)
        self._joined = solve_triangular(own, solution, lower=True, trans="T", check_finite=False).T @ x
        return steps

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features)."""
        return softmax(x @ self.weights + self.bias)

    def _in_own_span(self, x: np.ndarray) -> np.ndarray:
        """Images, (n, n_features + 1), in coordinates of their own span, (n, n): a Cholesky factor of x xᵀ.

        Images of the fit before keep their coordinates, and only the new ones are computed.
        """
        n = len(self._images)
        if not np.array_equal(self._images, x[:n]):
            n = 0
        factor = np.zeros((len(x), len(x)))
        factor[:n, :n] = self._factor[:n, :n]
        products = (x @ x[n:].T).astype(np.float64)
        across = solve_triangular(factor[:n, :n], products[:n], lower=True, check_finite=False).T
        # The small diagonal lets two equal images pass.
        rest = products[n:] - across @ across.T + 1e-3 * np.eye(len(x) - n)
        factor[n:, :n], factor[n:, n:] = across, np.linalg.cholesky(rest)
        self._images, self._factor = x, factor
        return factor

    def _minimise(self, x: np.ndarray, y: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, int]:
        penalty = np.float32(1 / self.C)
        hessian = np.float32(self.CURVATURE) * (x.T @ x)
        hessian[np.diag_indices_from(hessian)] += penalty
        hessian = cho_factor(hessian, lower=True, overwrite_a=True, check_finite=False)
        images = np.arange(len(y))

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            proba = softmax(x @ weights)
            surprise = -np.log(np.maximum(proba[images, y], 1e-30)).sum(dtype=np.float64)
            proba[images, y] -= 1
            gradient = x.T @ proba + penalty * weights
            return float(surprise + penalty / 2 * np.vdot(weights, weights)), gradient

        weights = np.ascontiguousarray(start)
        value, gradient = loss(weights)
        pairs: list[tuple[np.ndarray, np.ndarray, np.float32]] = []
        steps = 0
        while np.abs(gradient).max() > self.tolerance * len(y) and steps < self.MOST_STEPS:
            direction, used = gradient.copy(), []
            for step, change, inverse in reversed(pairs):
                used.append(inverse * np.vdot(step, direction))
                direction -= used[-1] * change
            direction = cho_solve(hessian, direction, check_finite=False)
            for (step, change, inverse), a in zip(pairs, reversed(used), strict=True):
                direction += (a - inverse * np.vdot(change, direction)) * step
            slope = float(np.vdot(gradient, direction))
            length = np.float32(1)
            while True:  # halve the step until the loss falls (almost never needed)
                new_weights = weights - length * direction
                new_value, new_gradient = loss(new_weights)
                if new_value <= value - 1e-4 * length * slope + 1e-6 * abs(value) or length < 1e-3:
                    break
                length /= 2
            step, change = new_weights - weights, new_gradient - gradient
            curvature = np.vdot(step, change)
            if curvature > 0:
                pairs = [*pairs[1 - self.MEMORY :], (step, change, 1 / curvature)]
            weights, value, gradient = new_weights, new_value, new_gradient
            steps += 1
        if steps == self.MOST_STEPS:
            warnings.warn(f"no optimum after {steps:,} steps; take a larger tolerance", stacklevel=4)
        return weights, steps


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities, (n, n_classes)."""
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    return proba
