"""Runs: a recipe tried on a draw, in NumPy on one thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from alhelpers.errors import check_count, check_positive
from alhelpers.evidence.converged import Converged
from alhelpers.evidence.draws import Draw, draw
from alhelpers.evidence.queries import ALL_QUERIES, mix_in, number_of
from alhelpers.evidence.table import Row
from alhelpers.learner import ActiveLearner
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.models import Model

BUDGET = 400
"""Labels that a run may spend, if nothing else is said."""


@dataclass(frozen=True)
class Recipe:
    """How the labels of one run are chosen and what learns from them.

    Parameters
    ----------
    query : one of ALL_QUERIES
    C : None for the article's early-stopped model; a number for `Converged` with that C
    batch_size : labels asked for in each round
    learning_rate : of the early-stopped model
    refitted : whether every fit of the early-stopped model starts from zero weights, not from the last ones
    random_share : which share of each batch is random instead of chosen, 0 to 1

    Raises ValueError if a value makes no sense.
    """

    query: str = "least confident"
    C: float | None = None
    batch_size: int = 10
    learning_rate: float = 0.1
    refitted: bool = False
    random_share: float = 0.0

    def __post_init__(self) -> None:
        if self.query not in ALL_QUERIES:
            raise ValueError(f"query is {self.query!r}; give one of {', '.join(ALL_QUERIES)}")
        check_count("batch_size", self.batch_size)
        check_positive("learning_rate", self.learning_rate)
        if self.C is not None:
            check_positive("C", self.C)
        if not 0 <= self.random_share <= 1:
            raise ValueError(f"random_share is {self.random_share!r}; give a number from 0 to 1")

    @property
    def needs_every_fit(self) -> bool:
        """Whether what is chosen, or where the next fit ends, depends on the fits before it."""
        return self.query != "random" or (self.C is None and not self.refitted)

    def model(self) -> Callable[..., Model]:
        """What makes its model."""
        if self.C is not None:
            return partial(Converged, C=self.C)
        return partial(Refitted if self.refitted else SoftmaxRegression, learning_rate=self.learning_rate)


class Refitted(SoftmaxRegression):
    """The article's model, but every fit starts from zero weights."""

    def fit(self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> np.ndarray:
        """As for the article's model."""
        self.reset()
        return super().fit(x, y, x_test, y_test)


class Run(NamedTuple):
    """What came of a recipe on one draw.

    learner: at the end of the run. Of each recorded fit: n_labels and CPU seconds so far, (fits,), weights,
    (fits, n_features, n_classes), and bias, (fits, n_classes).
    """

    learner: ActiveLearner
    n_labels: np.ndarray
    seconds: np.ndarray
    weights: np.ndarray
    bias: np.ndarray


def replicate(
    images: Draw,
    recipe: Recipe,
    label_budget: int = BUDGET,
    auto_batch_size: int | None = None,
    record_every: int = 10,
    model: Callable[..., Model] | None = None,
) -> Run:
    """Spend a label budget batch by batch; with auto_batch_size, then let the model label the rest.

    Every run on a draw, but for a cold start, begins with the same batch, the first in the pool. Fits are
    recorded when the number of labels is a multiple of `record_every`, and at the end; others are left out
    if nothing depends on them. The same call gives the same numbers, with the same versions of NumPy and
    SciPy. `model` takes the place of the recipe's.

    Raises ValueError if the budget does not fit the pool, or a number is no count.
    """
    n_pool = images.data.n_pool
    for name, count in (("label_budget", label_budget), ("record_every", record_every)):
        check_count(name, count)
    if auto_batch_size is not None:
        check_count("auto_batch_size", auto_batch_size)
    if not recipe.batch_size <= label_budget <= n_pool:
        raise ValueError(
            f"batch size {recipe.batch_size} and label budget {label_budget} do not fit a pool of {n_pool}"
        )
    begin = time.process_time()
    learner = ActiveLearner(images.data, model=model or recipe.model())
    query, number = ALL_QUERIES[recipe.query], number_of(recipe.query)
    rng, mixing = (np.random.default_rng([images.seed, *key]) for key in ((number,), (number, 1)))
    end = n_pool if auto_batch_size else label_budget
    fits = []
    while (n := len(learner.labeled)) < end:
        if n < label_budget:
            n_chosen = query(learner, min(recipe.batch_size, label_budget - n), rng)
            mix_in(learner, n_chosen, recipe.random_share, mixing)
            learner.label_manually(n_chosen)
        else:
            learner.most_confident_first()
            learner.auto_label(min(auto_batch_size, end - n))
        n = len(learner.labeled)
        recorded = n % record_every == 0 or n == end
        if recorded or model or auto_batch_size or recipe.needs_every_fit:
            learner.fit(verbose=False)
        if recorded:
            weights = learner.weight_images().reshape(images.data.n_classes, -1).T
            bias = learner.model.bias.copy()  # type: ignore[attr-defined]  # of a recipe's models
            fits.append((n, time.process_time() - begin, weights, bias))
    return Run(learner, *map(np.array, zip(*fits, strict=True)))


@lru_cache(maxsize=1)
def shared_draw(seed: int) -> Draw:
    """The usual draw from MNIST, made once for all experiments."""
    return draw(seed)


# No argument has a default: a call that leaves one out would be remembered apart from one that gives it.
@lru_cache(maxsize=16)  # a run holds some 20 MB
def shared_run(seed: int, recipe: Recipe, label_budget: int) -> Run:
    """A run on the usual draw, recorded at every ten labels, made once for all experiments."""
    return replicate(shared_draw(seed), recipe, label_budget)


def answers(x: np.ndarray, run: Run) -> np.ndarray:
    """What each recorded fit answers on images x, (n, n_features): classes, (fits, n)."""
    found, at_once = [], 100  # 40 MB of logits for 10,000 images; one narrow product each would take longer
    for first in range(0, len(run.bias), at_once):
        weights, bias = run.weights[first : first + at_once], run.bias[first : first + at_once]
        logits = x @ np.concatenate(weights, axis=1) + bias.ravel()
        found.append(logits.reshape(len(x), *bias.shape).argmax(axis=2).T)
    return np.concatenate(found)


def score(x: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
    """Accuracy, (fits,), on images x, (n, n_features), with labels y, (n,)."""
    return (answers(x, run) == y).mean(axis=1)


def row_of(experiment: str, seed: int, recipe: Recipe, **others: object) -> Row:
    """A row of this recipe, without its figure; the others are columns."""
    if recipe.C is None:
        others = {"stopped_on": "400 validation images"} | others
        others |= {"learning_rate": recipe.learning_rate, "refitted": recipe.refitted}
    sizes = {"batch_size": recipe.batch_size, "random_share": recipe.random_share}
    return Row(experiment, seed, recipe.query, recipe.C, **sizes, **others)


def rows_at(row: Row, n_labels: np.ndarray, values: np.ndarray) -> list[Row]:
    """The row with each of the values, at so many labels: arrays of shape (fits,)."""
    pairs = zip(n_labels, values, strict=True)
    return [row._replace(n_labels=int(n), value=round(float(value), 6)) for n, value in pairs]


def accuracies(row: Row, run: Run, x: np.ndarray, y: np.ndarray, every: int = 1) -> list[Row]:
    """Rows of the accuracy on images x, (n, n_features), with labels y, (n,), after recorded fits.

    These are the fits at every `every` labels, and the last.
    """
    kept = run.n_labels % every == 0
    kept[-1] = True
    arrays = (array[kept] for array in run[1:])
    run = Run(run.learner, *arrays)
    return rows_at(row, run.n_labels, score(x, y, run))
