"""Runs: the experiment repeated on one draw, with one recipe.

Everything here is NumPy, one run at a time on one thread.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from alhelpers.errors import check_count
from alhelpers.evidence.converged import Converged, softmax
from alhelpers.evidence.draws import N_CLASSES, Draw
from alhelpers.evidence.queries import N_COLD, QUERIES, UNCERTAINTY, badge, typical


class EarlyStopped:
    """The article's softmax regression: Adam on all labels, stopped on validation accuracy.

    The same steps as `SoftmaxRegression`, which see. With refit=True every fit starts from zero weights
    instead of the last ones.
    """

    def __init__(
        self,
        x_validation: np.ndarray,
        y_validation: np.ndarray,
        learning_rate: float = 0.1,
        patience: int = 10,
        refit: bool = False,
    ) -> None:
        self.x_validation, self.y_validation = x_validation, y_validation
        number = x_validation.dtype.type
        self._rate, self._patience, self._refit = number(learning_rate), patience, refit
        self._decays, self._tiny, self._one = (number(0.9), number(0.999)), number(1e-8), number(1)
        self.reset()

    def reset(self) -> None:
        """Forget weights and Adam's state."""
        k, number = self.x_validation.shape[1], self.x_validation.dtype
        self._transposed, self.bias = np.zeros((N_CLASSES, k), number), np.zeros(N_CLASSES, number)
        self._moments = [[np.zeros_like(v), np.zeros_like(v)] for v in (self._transposed, self.bias)]
        self._powers = self._decays

    def fit(self, x: np.ndarray, y: np.ndarray) -> int:
        """Train on x, (n, n_features), and y, (n,), keep the best weights, return the steps made."""
        if self._refit:
            self.reset()
        weights, bias = self._transposed.copy(), self.bias.copy()
        share, images = self._one / self._one.dtype.type(len(y)), np.arange(len(y))
        best, patience, steps = self._count_correct(weights, bias), self._patience, 0
        while patience > 0:
            slope = softmax(x @ weights.T + bias)
            slope[images, y] -= 1
            slope *= share
            self._adam(weights, slope.T @ x, self._moments[0])
            self._adam(bias, slope.sum(axis=0), self._moments[1])
            self._powers = tuple(p * d for p, d in zip(self._powers, self._decays, strict=True))
            correct = self._count_correct(weights, bias)
            steps += 1
            patience -= 1
            if correct > best:
                best, patience = correct, self._patience
                self._transposed, self.bias = weights.copy(), bias.copy()
        return steps

    @property
    def weights(self) -> np.ndarray:
        """W, a view: what is added to it in place counts."""
        return self._transposed.T

    def _count_correct(self, weights: np.ndarray, bias: np.ndarray) -> int:
        answers = (self.x_validation @ weights.T + bias).argmax(axis=1)
        return int(np.count_nonzero(answers == self.y_validation))

    def _adam(self, variable: np.ndarray, gradient: np.ndarray, moments: list[np.ndarray]) -> None:
        """One step of Adam, in the order of TensorFlow's kernel, so that it rounds alike."""
        (first, second), (power1, power2), (decay1, decay2) = moments, self._powers, self._decays
        first += (gradient - first) * (self._one - decay1)
        second += (gradient * gradient - second) * (self._one - decay2)
        rate = self._rate * np.sqrt(self._one - power2) / (self._one - power1)
        variable -= first * rate / (np.sqrt(second) + self._tiny)


@dataclass(frozen=True)
class Recipe:
    """How the labels of one run are chosen and what learns from them.

    Parameters
    ----------
    query : one of QUERIES
    model : one of MODELS, "early stopped" (the article's) or "converged"
    batch_size : labels asked for in each round
    learning_rate, patience, refit : as in `EarlyStopped`, for that model
    C : as in `Converged`, for that model

    Raises ValueError if a value makes no sense.
    """

    query: str = "least confident"
    model: str = "early stopped"
    batch_size: int = 10
    learning_rate: float = 0.1
    patience: int = 10
    refit: bool = False
    C: float = 1.0

    def __post_init__(self) -> None:
        for name, known in (("query", QUERIES), ("model", tuple(MODELS))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give one of {', '.join(known)}")
        for name in ("batch_size", "patience"):
            check_count(name, getattr(self, name))
        for name in ("learning_rate", "C"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number above 0")


class Run(NamedTuple):
    """What came of a recipe on one draw: a row for each recorded fit.

    labeled: pool indices in the order they were labelled; labels: the labels they were given; n_labels, steps
    (since the row before) and CPU seconds (so far), each (fits,); weights (fits, n_classes, n_features) and
    bias (fits, n_classes).
    """

    labeled: np.ndarray
    labels: np.ndarray
    n_labels: np.ndarray
    steps: np.ndarray
    seconds: np.ndarray
    weights: np.ndarray
    bias: np.ndarray


def run(
    images: Draw,
    recipe: Recipe,
    label_budget: int = 400,
    auto_batch_size: int | None = None,
    record_every: int = 10,
    make_model: "MakeModel | None" = None,
) -> Run:
    """Spend a label budget batch by batch; with auto_batch_size, then let the model label the rest.

    Each round labels a batch, fits, and chooses the next. Every run on a draw, but for a cold start, begins
    with the same batch, the first in the pool. Fits are recorded when the number of labels is a multiple of
    `record_every`, and at the end. The same call gives the same numbers, with the same versions of
    NumPy and SciPy. make_model takes the place of the recipe's model, see MODELS.

    Raises ValueError if the budget does not fit the pool, or a number is no count.
    """
    n_pool = len(images.x_pool)
    _check_budget(recipe, n_pool, label_budget, record_every, auto_batch_size)
    begin = time.process_time()
    # Pixels dark in the whole pool get no gradient: their weights stay zero, as in ActiveLearner.
    lit = images.x_pool.any(axis=0)
    x = np.ascontiguousarray(images.x_pool[:, lit])
    model = (make_model or MODELS[recipe.model])(images, lit, recipe)
    rng = np.random.default_rng([images.seed, QUERIES.index(recipe.query)])
    waiting = np.arange(n_pool)  # the unlabelled images, in the order in which they will be labelled
    cold = recipe.query == "typical, then margin"
    if cold:
        waiting = _to_front(waiting, typical(x, min(N_COLD, n_pool), rng))
    end = n_pool if auto_batch_size else label_budget
    labeled, labels = np.empty(end, np.int64), np.empty(end, np.int64)
    x_labeled = np.empty((end, x.shape[1]), x.dtype)  # filled from the front: no round copies what it has
    rows, n, steps, proba = [], 0, 0, None
    while n < end:
        manual = n < label_budget
        size = min(recipe.batch_size, label_budget - n) if manual else min(auto_batch_size, end - n)
        if cold and n < N_COLD:  # what comes after the typical images is not in the order of margins yet
            size = min(size, N_COLD - n)
        batch, waiting = waiting[:size], waiting[size:]
        new = slice(n, n + size)
        labeled[new], x_labeled[new] = batch, x[batch]
        labels[new] = images.y_pool[batch] if manual else proba[batch].argmax(axis=1)
        n += size
        steps += model.fit(x_labeled[:n], labels[:n])
        if n % record_every == 0 or n == end:
            rows.append((n, steps, time.process_time() - begin, model.weights.T.copy(), model.bias.copy()))
            steps = 0
        if n == end or (recipe.query == "random" and not auto_batch_size):
            continue
        proba = softmax(x @ model.weights + model.bias)
        if n >= label_budget:
            waiting = waiting[np.argsort(-proba[waiting].max(axis=1), kind="stable")]
        elif recipe.query == "badge":
            size = min(recipe.batch_size, label_budget - n)
            waiting = _to_front(waiting, badge(x[waiting], proba[waiting], size, rng))
        elif recipe.query != "random" and not (cold and n < N_COLD):
            uncertainty = UNCERTAINTY["margin" if cold else recipe.query]
            waiting = waiting[np.argsort(uncertainty(proba[waiting]), kind="stable")]
    return _joined(labeled, labels, rows, lit)


def _check_budget(
    recipe: Recipe, n_pool: int, label_budget: int, record_every: int, auto_batch_size: int | None
) -> None:
    for name, count in (("label_budget", label_budget), ("record_every", record_every)):
        check_count(name, count)
    if auto_batch_size is not None:
        check_count("auto_batch_size", auto_batch_size)
    if not recipe.batch_size <= label_budget <= n_pool:
        raise ValueError(
            f"batch size {recipe.batch_size} and label budget {label_budget} do not fit a pool of {n_pool}"
        )


def _joined(labeled: np.ndarray, labels: np.ndarray, rows: list[tuple], lit: np.ndarray) -> Run:
    """A run from the rows of its recorded fits, with zero weights for the pixels that were left out."""
    n_labels, steps, seconds, cut, bias = map(np.array, zip(*rows, strict=True))
    weights = np.zeros((len(rows), N_CLASSES, lit.size), cut.dtype)
    weights[:, :, lit] = cut
    return Run(labeled, labels, n_labels, steps, seconds, weights, bias)


def _to_front(waiting: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.concatenate([waiting[positions], np.delete(waiting, positions)])


# Makes a model for images, a boolean mask of the pixels it will be given, and a recipe.
MakeModel = Callable[[Draw, np.ndarray, Recipe], EarlyStopped | Converged]

MODELS: dict[str, MakeModel] = {
    "early stopped": lambda images, lit, recipe: EarlyStopped(
        np.ascontiguousarray(images.x_validation[:, lit]),
        images.y_validation,
        recipe.learning_rate,
        recipe.patience,
        recipe.refit,
    ),
    "converged": lambda images, lit, recipe: Converged(int(lit.sum()), recipe.C),
}


def score(x: np.ndarray, y: np.ndarray, *runs: Run) -> list[np.ndarray]:
    """Accuracy on images x, (n, n_features), with labels y, (n,), of each recorded fit: one array a run.

    All models are scored in a few wide matrix products, which take less time than a narrow one for each.
    """
    weights = np.concatenate([run.weights for run in runs])
    bias = np.concatenate([run.bias for run in runs])
    accuracy = np.empty(len(weights))
    at_once = 100  # 40 MB for 10,000 images
    for i in range(0, len(weights), at_once):
        some = slice(i, i + at_once)
        logits = x @ weights[some].reshape(-1, x.shape[1]).T + bias[some].ravel()
        answers = logits.reshape(len(x), -1, N_CLASSES).argmax(axis=2)
        accuracy[some] = (answers == y[:, None]).mean(axis=0)
    return np.split(accuracy, np.cumsum([len(run.weights) for run in runs])[:-1])
