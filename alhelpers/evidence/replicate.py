"""Many independent repeats of the experiment: other images, validation data for stopping, a test set apart.

Everything here is NumPy, one replicate at a time on one thread, and `in_processes` gives the draws to worker
processes: the products of one run are too small for a second thread to pay. With the article's images and
model a run goes through the same rounds as `ActiveLearner`, without its TensorFlow.
"""

import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import cho_factor, cho_solve, eigh, solve_triangular
from scipy.sparse import csr_array, diags_array

from alhelpers.data import N_TEST, N_TRAIN, read_mnist, scale
from alhelpers.errors import check_count
from alhelpers.queries import entropy, least_confident, margin

N_CLASSES = 10
# A cold start: how many labels, how many principal components its clusters are found in, and how many
# neighbours say how typical an image is (20 in the paper).
N_COLD, N_COMPONENTS, N_NEIGHBOURS = 50, 50, 20


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


# ---- Queries: the lower, the sooner an image is asked about.


UNCERTAINTY = {"least confident": least_confident, "margin": margin, "entropy": entropy}


def badge(x: np.ndarray, proba: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of n images that are uncertain and unlike each other.

    k-means++ seeding on the gradients that the images would give if the model's answers were right: large
    where it is unsure, and pointing elsewhere for other images. A gradient is the outer product of `slope`
    and the image, so distances need no gradient in full.

    Source: Ash, Zhang, Krishnamurthy, Langford and Agarwal (2020), "Deep Batch Active Learning by Diverse,
    Uncertain Gradient Lower Bounds" (BADGE).
    """
    slope = proba.copy()
    slope[np.arange(len(slope)), proba.argmax(axis=1)] -= 1
    length = (slope**2).sum(axis=1) * (x**2).sum(axis=1)
    chosen = [int(length.argmax())]
    nearest = np.full(len(x), np.inf)
    while True:
        last = chosen[-1]
        distance = length + length[last] - 2 * (slope @ slope[last]) * (x @ x[last])
        nearest = np.minimum(nearest, np.maximum(distance, 0))
        nearest[chosen] = 0
        if len(chosen) == n:
            return np.array(chosen)
        weight = nearest.astype(np.float64)
        if not weight.any():  # only copies of chosen images are left
            weight = np.ones(len(x))
            weight[chosen] = 0
        chosen.append(int(rng.choice(len(x), p=weight / weight.sum())))


def typical(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of the most typical image of each of n clusters, the largest cluster first: a cold start.

    Needs no model. Typical is what lies closest to its nearest neighbours within the cluster. Fewer than n
    positions where clusters stay empty.

    Source: after Hacohen, Dekel and Weinshall (2022), "Active Learning on a Budget: Opposite Strategies Suit
    High and Low Budgets" (TypiClust); on principal components instead of learned features, clustered once.
    """
    centred = x - x.mean(axis=0)
    _, axes = eigh(centred.T @ centred, check_finite=False)
    x = centred @ axes[:, -N_COMPONENTS:]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)  # all images alike
        _, cluster = kmeans2(x, n, minit="++", rng=rng)
    chosen = []
    for k in np.argsort(-np.bincount(cluster, minlength=n), kind="stable"):
        members = np.flatnonzero(cluster == k)
        if not len(members):
            continue
        square = (x[members] ** 2).sum(axis=1)
        distance = np.sqrt(np.maximum(square[:, None] + square - 2 * x[members] @ x[members].T, 0))
        closest = np.sort(distance, axis=1)[:, 1 : N_NEIGHBOURS + 1]
        # A cluster of one has no neighbours; its image is as typical as can be.
        chosen.append(members[closest.mean(axis=1).argmin()] if len(members) > 1 else members[0])
    return np.array(chosen)


QUERIES = ("random", *UNCERTAINTY, "badge", "typical, then margin")


# ---- Models. `weights` is (n_features, n_classes), `bias` (n_classes,).


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


# ---- Runs


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


def spread_labels(
    x: np.ndarray, labeled: np.ndarray, labels: np.ndarray, n_neighbours: int = 10, alpha: float = 0.9
) -> np.ndarray:
    """Labels for all images x, (n, n_features): those given, and for the others what spreads from neighbours.

    Each image passes a share alpha of what it holds to its nearest neighbours, again and again, while the
    labelled ones keep feeding in their labels. Every class feeds in the same amount. Where nothing arrives,
    the most frequent of the given labels stands. int64 of shape (n,). Takes memory for n² distances.

    Raises ValueError if there are no more images than neighbours asked for.

    Source: Zhou, Bousquet, Lal, Weston and Schölkopf (2004), "Learning with Local and Global Consistency".
    """
    if len(x) <= n_neighbours:
        raise ValueError(f"{len(x)} images have no {n_neighbours} neighbours each; give fewer neighbours")
    square = (x**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square - 2 * x @ x.T, 0)
    np.fill_diagonal(distance, np.inf)
    near = np.argpartition(distance, n_neighbours, axis=1)[:, :n_neighbours]
    distance = np.take_along_axis(distance, near, axis=1).astype(np.float64)
    weight = np.exp(-distance / np.median(distance)).ravel()
    graph = csr_array((weight, (np.repeat(np.arange(len(x)), n_neighbours), near.ravel())), (len(x), len(x)))
    graph = graph.maximum(graph.T)
    root = diags_array(1 / np.sqrt(graph.sum(axis=1)))
    graph = (root @ graph @ root).tocsr()
    source = np.zeros((len(x), N_CLASSES))
    source[labeled, labels] = 1
    source /= np.maximum(source.sum(axis=0), 1)
    held = source
    for _ in range(100):
        held = alpha * (graph @ held) + (1 - alpha) * source
    answers = held.argmax(axis=1)
    answers[~held.any(axis=1)] = np.bincount(labels).argmax()
    answers[labeled] = labels
    return answers


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


def in_processes(function: Callable, items: Iterable, jobs: int | None = None) -> Iterator:
    """Yield function(item) for each item, in order, from worker processes of one thread each.

    `function` has to stand in a file, one that does nothing when it is imported. jobs=None takes a process
    for each processor.

    Raises ValueError for a function that stands in no file (a notebook, `python -c`), and RuntimeError if a
    worker process dies.
    """
    main = getattr(sys.modules["__main__"], "__file__", None)
    if function.__module__ == "__main__" and not (main and os.path.isfile(main)):
        raise ValueError(
            f"worker processes cannot import the function {function.__name__!r}, for it stands in no file; "
            "put it into a .py file, and import it from there or run that file"
        )
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Started anew rather than forked: a notebook that has run TensorFlow holds threads.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin_worker) as pool:
        with _worker_environment():
            results = pool.map(function, list(items))  # starts the processes
        try:
            yield from results
        except BrokenProcessPool:
            raise RuntimeError(
                "a worker process ended before its work did: killed, out of memory (then take fewer jobs), "
                'or started by a script without `if __name__ == "__main__":`'
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    # Ctrl-C goes to the whole group; it is for the parent, which lets workers finish what they are at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()  # a parent that was killed cannot say that it is over
    os._exit(1)


ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# OpenBLAS picks its kernels by processor, and they round differently. This pick runs on every x86-64 of the
# last ten years, so that numbers made on one can be compared on another.
SAME_KERNELS = {"OPENBLAS_CORETYPE": "Haswell"} if platform.machine() in ("x86_64", "AMD64") else {}


@contextmanager
def _worker_environment() -> Iterator[None]:
    """Set what NumPy reads when a new process imports it."""
    before = dict(os.environ)
    os.environ.update(ONE_THREAD | SAME_KERNELS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
