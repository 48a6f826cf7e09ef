"""What an `ActiveLearner` can train: the article's model, another, or a classifier like scikit-learn's."""

import copy
import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from alhelpers.errors import UserError

ENGINES = {"tensorflow": "alhelpers.model", "numpy": "alhelpers.model_numpy"}
"""The article's model twice, with the same figures: where each `SoftmaxRegression` is."""


def engine() -> str:
    """Which of ENGINES is at work: ALHELPERS_ENGINE says, else TensorFlow where it is installed.

    Raises UserError if the variable names none of them, or TensorFlow where it is not installed.
    """
    installed = find_spec("tensorflow") is not None
    name = os.environ.get("ALHELPERS_ENGINE") or ("tensorflow" if installed else "numpy")
    if name not in ENGINES:
        raise UserError(f"ALHELPERS_ENGINE is {name!r}; give {' or '.join(ENGINES)}, or unset it")
    if name == "tensorflow" and not installed:
        raise UserError("ALHELPERS_ENGINE is 'tensorflow', which is not installed; give numpy, or unset it")
    return name


class Model(Protocol):
    """What an `ActiveLearner` trains. Images are float32 arrays, (n, n_features), labels integers, (n,).

    It may also have `prepare`, which converts images that are used again and again to what its methods read
    fastest; `n_iter_`, how many steps the last fit took; and, if it is linear, `weights`, (n_features,
    n_classes), for `ActiveLearner.weight_images`.
    """

    def reset(self) -> object:
        """Forget all that was learned."""

    def fit(self, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> object:
        """Train on x, y; the test images may decide when to stop."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, (n, n_classes)."""


class Classifier:
    """A classifier of scikit-learn's shape as a `Model`: every fit trains a new copy of it."""

    def __init__(self, classifier: Any, n_classes: int) -> None:
        self._new, self._n_classes = classifier, n_classes
        self.reset()

    def reset(self) -> None:
        """Forget all that was learned; until the next fit each class is as probable as the others."""
        self._fitted: Any = None

    def fit(self, x: np.ndarray, y: np.ndarray, *_: np.ndarray) -> None:
        """Train a copy on x, y."""
        self._fitted = copy.deepcopy(self._new)
        self._fitted.fit(x, y)
        self.n_iter_ = int(np.max(getattr(self._fitted, "n_iter_", 1)))

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities, (n, n_classes): 0 for a class that was not among the labels."""
        if self._fitted is None:
            return np.full((len(x), self._n_classes), 1 / self._n_classes, np.float32)
        proba = np.zeros((len(x), self._n_classes), np.float32)
        proba[:, self._fitted.classes_] = self._fitted.predict_proba(x)
        return proba


def make_model(n_features: int, n_classes: int, model: Any = None, **settings: float | None) -> Model:
    """The article's model, or the one that `ActiveLearner` was given; settings are for the article's.

    Raises ValueError if settings are given for another model, which would not use them, or if `model` is
    neither what makes a `Model` nor a classifier.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    if model is None:
        article = import_module(ENGINES[engine()]).SoftmaxRegression
        return article(n_features, n_classes, **settings)
    if settings:
        given = " and ".join(f"{name} {value!r}" for name, value in settings.items())
        raise ValueError(f"{given}: the model given would not use it; set it where that model is made")
    is_class, is_model = isinstance(model, type), hasattr(model, "reset")
    name = model.__name__ if is_class else type(model).__name__
    if is_class and not is_model:
        raise ValueError(f"model is the class {name}; give an instance of it, as {name}()")
    if is_model and not is_class:
        raise ValueError(f"model is an instance of {name}; give what makes one from n_features and n_classes")
    if is_class or (callable(model) and not hasattr(model, "fit")):
        return model(n_features=n_features, n_classes=n_classes)
    if not hasattr(model, "fit") or not hasattr(model, "predict_proba"):
        raise ValueError(f"model, of class {name}, lacks fit or predict_proba; give a classifier with both")
    return Classifier(model, n_classes)
