"""A softmax regression trained to its optimum: nothing to stop and nothing to remember."""

import warnings

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

# Typical probability × (1 − probability) of an answer: the curvature of the cross-entropy.
CURVATURE = 0.1
MOST_STEPS = 1000


class Converged:
    """Softmax regression with an L2 penalty, fitted by SciPy's L-BFGS.

    Minimises C times the summed cross-entropy plus half the squared weights, the bias taken for one more
    weight. The optimum does not depend on the start, so the last weights only make a fit shorter.

    A fit is done in coordinates in which the loss is about as curved in every direction, which takes a
    fraction of the steps. It ends when no entry of the mean gradient in these exceeds `tolerance`; one that
    ends before, after MOST_STEPS at the latest, does so with a warning.
    """

    def __init__(self, n_features: int, C: float = 1.0, tolerance: float = 1e-5, n_classes: int = 10) -> None:
        self.C, self.tolerance = C, tolerance
        self._shape = n_classes, n_features + 1
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._joined = np.zeros(self._shape)

    @property
    def weights(self) -> np.ndarray:
        """float32 of shape (n_features, n_classes)."""
        return self._joined[:, :-1].T.astype(np.float32)

    @property
    def bias(self) -> np.ndarray:
        """float32 of shape (n_classes,)."""
        return self._joined[:, -1].astype(np.float32)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of images x, float32 (n, n_features)."""
        return _softmax((x @ self.weights + self.bias).T)[0].T

    def fit(self, x: np.ndarray, y: np.ndarray, *_: np.ndarray) -> None:
        """Train on x, (n, n_features), and y, (n,). Test images are unused; `n_iter_` counts the steps."""
        x = np.column_stack([x, np.ones(len(x), x.dtype)])
        start, few = self._joined, len(x) < x.shape[1]
        if few:  # in the dimensions that these images span; the small diagonal lets equal images pass
            own = cholesky((x @ x.T).astype(np.float64) + 1e-3 * np.eye(len(x)), lower=True)
            start = _solve(own, x @ start.T).T
        else:
            own = x
        # The Hessian of the loss is about `root` times its transpose.
        squares = (own.T @ own).astype(np.float64)
        root = cholesky(CURVATURE * squares + np.eye(len(squares)) / self.C, lower=True)
        found = self._minimise(_solve(root, own.T), y, start @ root)
        weights = _solve(root, found.T, transposed=True)
        self._joined = (x.T @ _solve(own, weights, transposed=True) if few else weights).T

    def _minimise(self, x: np.ndarray, y: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The best weights, (n_classes, k), for images x, (k, n), in coordinates made for them."""
        images, transposed = np.arange(len(y)), np.ascontiguousarray(x.T)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(start.shape)
            logits = weights @ x
            slope, log_total = _softmax(logits)
            # In these coordinates half the squared logits times CURVATURE are part of the squared weights.
            penalty = (np.vdot(weights, weights) - CURVATURE * np.vdot(logits, logits)) / 2
            value = log_total.sum() - logits[y, images].sum() + penalty
            slope -= CURVATURE * logits
            slope[y, images] -= 1
            return value, (slope @ transposed + weights).ravel()

        options = {"gtol": self.tolerance * len(y), "ftol": 0, "maxiter": MOST_STEPS}
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        self.n_iter_ = found.nit
        if not found.success:
            warnings.warn(f"no optimum after {found.nit:,} steps; take a larger tolerance", stacklevel=4)
        return found.x.reshape(start.shape)


def _solve(lower: np.ndarray, right: np.ndarray, transposed: bool = False) -> np.ndarray:
    trans = "T" if transposed else "N"
    return np.ascontiguousarray(solve_triangular(lower, right, lower=True, trans=trans, check_finite=False))


def _softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of logits, (n_classes, n): probabilities, and the logarithms of their denominators, (n,)."""
    top = logits.max(axis=0)
    proba = np.exp(logits - top)
    total = proba.sum(axis=0)
    proba /= total
    return proba, np.log(total) + top
