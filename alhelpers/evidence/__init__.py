"""Many repeats of the experiment, and what came of them: see `experiments.py`."""

from alhelpers.evidence.experiments import FORECAST_AT, KAPPAS, NOISE, results
from alhelpers.evidence.replicate import Converged

__all__ = ["FORECAST_AT", "KAPPAS", "NOISE", "Converged", "results"]
