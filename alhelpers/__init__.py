"""Helpers for the active-learning notebooks: the data, the model, the learner and the figures.

Names are loaded on first use, so a notebook that only looks at digits never waits for TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "ActiveLearner": "learner",
    "Dataset": "data",
    "Fit": "learner",
    "History": "learner",
    "Images": "images",
    "Labeler": "label",
    "Ledger": "ledger",
    "SimulatedPerson": "oracle",
    "SoftmaxRegression": "model",
    "check_parameters": "parameters",
    "load_images": "images",
    "load_mnist": "data",
    "progress": "interactive",
}
_MODULES = {"article", "data", "evidence", "learner", "model", "parameters", "plots", "replicate"}
__all__ = sorted([*_HOME, "article", "evidence", "plots", "replicate"])

if TYPE_CHECKING:
    from alhelpers import article, evidence, plots, replicate
    from alhelpers.data import Dataset, load_mnist
    from alhelpers.images import Images, load_images
    from alhelpers.interactive import progress
    from alhelpers.label import Labeler
    from alhelpers.learner import ActiveLearner, Fit, History
    from alhelpers.ledger import Ledger
    from alhelpers.model import SoftmaxRegression
    from alhelpers.oracle import SimulatedPerson
    from alhelpers.parameters import check_parameters


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(f"alhelpers.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"alhelpers.{name}")
    raise AttributeError(f"module 'alhelpers' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
