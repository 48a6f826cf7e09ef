"""ActiveLearner: which images are labelled, by whom and in which round, and the model trained on them."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from alhelpers import queries
from alhelpers.data import CANNOT_TELL, Dataset, check_images, scale
from alhelpers.errors import check_count
from alhelpers.models import ENGINES, Model, make_model
from alhelpers.tables import Table

PERSON, MODEL = "person", "model"


class Fit(NamedTuple):
    """One call of `ActiveLearner.fit`: a row of the history."""

    stage: str
    n_labels: int
    accuracy: float
    steps: int


class History(list[Fit]):
    """The fits of a learner, oldest first: a tidy table with the columns stage, n_labels, accuracy, steps."""

    columns = Fit._fields
    MIME = "application/vnd.alhelpers.history+json"

    def stage(self, *names: str) -> "History":
        """Only the fits of these stages."""
        return History([row for row in self if row.stage in names])

    def column(self, name: str) -> np.ndarray:
        """One column as an array."""
        return np.array([getattr(row, name) for row in self])

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        # The full table travels with the notebook: nbval compares it, `alhelpers run` collects it.
        shown = {"text/plain": repr(self), "text/html": self._table()._repr_html_()}
        return shown | {self.MIME: [row._asdict() for row in self]}

    def _table(self) -> Table:
        rows: list[Any] = [(row.stage, row.n_labels, f"{row.accuracy:.4f}", row.steps) for row in self]
        if len(rows) > 8:
            rows[4:-4] = [(f"… {len(rows) - 8} more", "", "", "")]
        return Table(self.columns, rows)


class ActiveLearner:
    """A pool of images, the labels given so far, and a softmax regression trained on them.

    The state is indices into the pool, never copies of images:

    - `labeled`: pool indices in the order they were labelled; `labels`, `label_source` ("person" or "model")
      and `label_round` (1 before the first fit, 2 before the second, …) go with it, entry by entry;
    - `unlabeled`: the other pool indices, in the order in which they will be labelled;
    - `abstained`: pool indices that the oracle could not label; they are not asked about again;
    - `history`: one row for every fit.

    Parameters
    ----------
    data : Dataset
        The pool, its labels (they stand for the person who answers), and the test set.
    learning_rate, patience
        As in `SoftmaxRegression`; by default the article's 0.1 and 10.
    oracle : function, optional
        Who answers `label_manually`: takes pool indices, int32 of shape (n,), and returns their labels, whole
        numbers from 0 up, or -1 where it cannot tell, of shape (n,). By default `data.y_pool` answers.
    model : optional
        Another model than the article's: a function that makes a `Model` from n_features and n_classes, such
        as `functools.partial(alhelpers.evidence.Converged, C=0.1)`, or a classifier of scikit-learn's shape.

    Raises ValueError if a number is not above 0, or is given for another model, or if `model` is none.

    Source: the three procedures of the article's section "Model, training and labeling processes"; least
    confidence as a query is Lewis and Gale (1994), "A Sequential Algorithm for Training Text Classifiers".
    """

    def __init__(
        self,
        data: Dataset,
        learning_rate: float | None = None,
        patience: int | None = None,
        oracle: Callable[[np.ndarray], np.ndarray] | None = None,
        model: Callable[..., Model] | object | None = None,
    ) -> None:
        self.data, self.oracle = data, oracle or data.look_up
        # A pixel that is dark in every pool image gets no gradient: left out, it saves a sixth of the work.
        # A few fill rows up to a multiple of 16, which `compress` keeps in one piece: both are read faster.
        self._pixels = data.x_pool.any(axis=0).ravel()
        self._pixels[np.flatnonzero(~self._pixels)[: -self._pixels.sum() % 16]] = True
        settings = {"learning_rate": learning_rate, "patience": patience}
        self.model: Any = make_model(int(self._pixels.sum()), data.n_classes, model, **settings)
        prepare = getattr(self.model, "prepare", np.asarray)
        self._x_pool, x_test = (scale(x).compress(self._pixels, axis=1) for x in (data.x_pool, data.x_test))
        self._ready_pool, self._test = prepare(self._x_pool), (prepare(x_test), data.y_test.astype(np.int32))
        self._x_labeled = np.empty_like(self._x_pool)  # filled from the front: no fit gathers what it has
        self._answered: Any = None  # weights and answers: most fits on the model's own labels keep both
        self.reset()

    def reset(self) -> None:
        """Take all labels back, put the pool in its original order, and forget what the model learned."""
        self.labeled = self.labels = self.label_round = self.abstained = np.empty(0, np.int32)
        self.label_source = np.empty(0, "U6")
        self.unlabeled = np.arange(self.data.n_pool, dtype=np.int32)
        self.history = History()
        self.model.reset()

    def label_manually(self, n: int) -> None:
        """Have a person label the first n unlabelled images (by default: look the labels up in the dataset).

        Those that the oracle cannot tell join `abstained` and get no label.

        Raises ValueError unless n is 1 to the number of unlabelled images, or if the oracle's answers are not
        n labels; then nothing is labelled.
        """
        queried = self._first_unlabeled(n)
        labels = np.asarray(self.oracle(queried))
        _check_answers(labels, n, self.data.n_classes)
        self._label(queried, labels, PERSON)

    def auto_label(self, n: int) -> None:
        """Have the model label the first n unlabelled images with the class it finds most probable.

        Raises ValueError unless n is 1 to the number of unlabelled images.
        """
        queried = self._first_unlabeled(n)
        self._label(queried, self.predict_proba(queried).argmax(axis=1), MODEL)

    def fit(self, stage: str = "", verbose: bool = True) -> None:
        """Train on all labels so far until test accuracy stops improving, and keep the best weights.

        Weights and Adam's state carry on from the fit before. A row with the name `stage` is added to
        `history`; with `verbose`, the article's line is printed.

        Raises ValueError if nothing is labelled yet.
        """
        if not len(self.labeled):
            raise ValueError("there are no labels to fit on; call label_manually(n) first")
        self.model.fit(self._x_labeled[: len(self.labels)], self.labels, *self._test)
        accuracy = float((self.predict_proba_test().argmax(axis=1) == self._test[1]).mean())
        self.history.append(Fit(stage, len(self.labeled), accuracy, getattr(self.model, "n_iter_", 1)))
        if verbose:
            print("Labels:", len(self.labeled), "\tAccuracy:", np.float32(self.history[-1].accuracy))

    def least_confident_first(self) -> np.ndarray:
        """Sort the unlabelled images by confidence, lowest first; return the sorted confidences.

        Confidence is the largest class probability, float32 of shape (n_unlabeled,).
        """
        return self.lowest_first(queries.least_confident)

    def most_confident_first(self) -> np.ndarray:
        """As `least_confident_first`, but highest first."""
        return -self.lowest_first(lambda proba: -queries.least_confident(proba))

    def lowest_first(self, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Sort the unlabelled images by a measure of their class probabilities, lowest first, and return it.

        `measure` takes probabilities, (n, n_classes), and returns numbers, (n,): one of `alhelpers.queries`
        or your own. Images that measure the same keep their order.

        Raises ValueError if that is not one number, which NaN is not, for each of them.
        """
        values = np.asarray(measure(self.predict_proba(self.unlabeled)))
        _check_values(values, len(self.unlabeled))
        order = np.argsort(values, kind="stable")
        self.ask_first(order)
        return values[order]

    def ask_first(self, positions: np.ndarray) -> None:
        """Put these of the unlabelled images, by their positions, first; the others keep their order.

        Raises ValueError if they are not integers, (n,), or two are the same.
        """
        positions = np.asarray(positions)
        whole = positions.ndim == 1 and positions.dtype.kind in "iu"
        if not whole or len(np.unique(self.unlabeled[positions])) < len(positions):
            raise ValueError(f"positions are {positions.dtype} {positions.shape}; give integers, each once")
        self.unlabeled = np.concatenate([self.unlabeled[positions], np.delete(self.unlabeled, positions)])

    def predict_proba(self, indices: np.ndarray) -> np.ndarray:
        """Class probabilities of these pool images, float32 of shape (len(indices), n_classes)."""
        # Of many, it is quicker to ask about the whole pool than to pick them out.
        if 4 * len(indices) < self.data.n_pool:
            return self.model.predict_proba(self._x_pool[indices])
        state = type(self.model).__module__ in ENGINES.values() and (self.model.weights, self.model.bias)
        if not (state and self._answered and all(map(np.array_equal, state, self._answered[0]))):
            self._answered = copy.deepcopy(state), self.model.predict_proba(self._ready_pool)
        return self._answered[1][indices]

    def predict_proba_test(self) -> np.ndarray:
        """Class probabilities of the test images, float32 of shape (n_test, n_classes)."""
        return self.model.predict_proba(self._test[0])

    def predict_proba_of(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, n_classes), of any images x, (n, height, width) like the pool's.

        Raises ValueError if x is no array of such images.
        """
        if not len(x):
            return np.empty((0, self.data.n_classes), np.float32)
        _check_alike(x, self.data.x_pool)
        return self.model.predict_proba(scale(x)[:, self._pixels])

    def answers(self, x: np.ndarray) -> np.ndarray:
        """The most probable class, int64 (n,), of each of images x; see `predict_proba_of`."""
        return self.predict_proba_of(x).argmax(axis=1)

    def score(self, x: np.ndarray, y: np.ndarray) -> float:
        """Share of images x that are classified as y, (n,); see `predict_proba_of`."""
        return float((self.answers(x) == y).mean())

    def weight_images(self) -> np.ndarray:
        """The weights of each class as an image, float32 of shape (n_classes, height, width)."""
        images = np.zeros((self.data.n_classes, self._pixels.size), np.float32)
        images[:, self._pixels] = self.model.weights.T
        return images.reshape(-1, *self.data.x_pool.shape[1:])

    def copy(self) -> "ActiveLearner":
        """Another learner in the same state, with the same oracle or the one that its `for_learner` gives."""
        other = copy.copy(self)  # its arrays are replaced, never changed in place; a model's may be
        other.model, other.history = copy.deepcopy(self.model), History(self.history)
        other._x_labeled = self._x_labeled.copy()
        if hasattr(self.oracle, "for_learner"):
            other.oracle = self.oracle.for_learner(other)
        return other

    def __repr__(self) -> str:
        return f"ActiveLearner({len(self.labeled)} labelled, {len(self.unlabeled)} unlabelled)"

    def _first_unlabeled(self, n: int) -> np.ndarray:
        check_count(f"n, of {len(self.unlabeled)} unlabelled images,", n, most=len(self.unlabeled))
        return self.unlabeled[:n]

    def _label(self, queried: np.ndarray, labels: np.ndarray, source: str) -> None:
        told = labels != CANNOT_TELL
        self.abstained = np.concatenate([self.abstained, queried[~told]])
        queried, labels = queried[told], labels[told]
        n, before = len(queried), len(self.labeled)
        if before + n > len(self._x_labeled):  # images that somebody has put back and asks about again
            self._x_labeled = np.concatenate([self._x_labeled, np.empty_like(self._x_pool)])
        self._x_labeled[before : before + n] = self._x_pool[queried]
        self.labeled = np.concatenate([self.labeled, queried])
        self.labels = np.concatenate([self.labels, labels.astype(np.int32)])
        self.label_source = np.concatenate([self.label_source, np.full(n, source)])
        self.label_round = np.concatenate([self.label_round, np.full(n, len(self.history) + 1, np.int32)])
        self.unlabeled = self.unlabeled[len(told) :]


def _check_alike(x: np.ndarray, pool: np.ndarray) -> None:
    check_images("x", x, rows=True)
    if x.shape[1:] != pool.shape[1:]:
        raise ValueError(f"x holds {x.shape[1:]} images and the pool {pool.shape[1:]} ones")


def _check_answers(labels: np.ndarray, n: int, n_classes: int) -> None:
    whole = labels.shape == (n,) and labels.dtype.kind in "iu"
    if not (whole and labels.min() >= CANNOT_TELL and labels.max() < n_classes):
        raise ValueError(
            f"the oracle answered {str(labels)[:80]} when asked about {n} images; it has to give "
            f"{n} whole numbers from 0 to {n_classes - 1}, or {CANNOT_TELL} where it cannot tell"
        )


def _check_values(values: np.ndarray, n: int) -> None:
    if values.shape != (n,) or np.isnan(values).any():
        raise ValueError(
            f"the measure gave numbers of shape {values.shape}, {np.isnan(values).sum()} of them NaN; "
            f"it has to give one number, (n,), for each of {n} unlabelled images"
        )
