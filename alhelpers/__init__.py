"""Helpers for the active-learning notebooks: the data, the model, the learner and the figures.

Names are loaded on first use, so a notebook that only looks at digits never waits for TensorFlow.
"""

import importlib
import logging
import os
from typing import TYPE_CHECKING

from alhelpers.arithmetic import SAME_KERNELS

# Not on first use: the module of the same name would take its place.
from alhelpers.progress import progress

__version__ = "0.1.0"
os.environ |= SAME_KERNELS | os.environ  # for a NumPy that is imported later, in kernels started here
# Where the home cannot be written to, matplotlib says so: to be seen in `alhelpers doctor`, not in notebooks.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

_HOME = {
    "ActiveLearner": "learner",
    "Dataset": "data",
    "Fit": "learner",
    "History": "learner",
    "Images": "labelling.images",
    "Labeler": "labelling.widget",
    "Ledger": "labelling.ledger",
    "SimulatedPerson": "labelling.oracle",
    "Table": "tables",
    "check_parameters": "parameters",
    "load_images": "labelling.images",
    "load_mnist": "data",
}
_MODULES = {"article", "data", "evidence", "learner", "model", "parameters", "plots"}
__all__ = sorted([*_HOME, "SoftmaxRegression", "article", "evidence", "plots", "progress"])

if TYPE_CHECKING:
    from alhelpers import article, evidence, plots
    from alhelpers.data import Dataset, load_mnist
    from alhelpers.labelling.images import Images, load_images
    from alhelpers.labelling.ledger import Ledger
    from alhelpers.labelling.oracle import SimulatedPerson
    from alhelpers.labelling.widget import Labeler
    from alhelpers.learner import ActiveLearner, Fit, History
    from alhelpers.model import SoftmaxRegression
    from alhelpers.parameters import check_parameters
    from alhelpers.tables import Table


def __getattr__(name: str) -> object:
    if name == "SoftmaxRegression":
        from alhelpers.models import ENGINES, engine

        return importlib.import_module(ENGINES[engine()]).SoftmaxRegression
    if name in _HOME:
        return getattr(importlib.import_module(f"alhelpers.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"alhelpers.{name}")
    raise AttributeError(f"module 'alhelpers' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
