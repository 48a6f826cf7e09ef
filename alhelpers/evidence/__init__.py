"""Many repeats of the experiment, and what came of them: see `experiments.py`."""

from alhelpers.evidence.converged import Converged
from alhelpers.evidence.experiments import FORECAST_AT, KAPPAS, WRONG_LABELS, results

__all__ = ["FORECAST_AT", "KAPPAS", "WRONG_LABELS", "Converged", "results"]
