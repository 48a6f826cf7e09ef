"""Many repeats of the experiment, and what came of them: see `experiments.py`."""

from alhelpers.evidence.experiments import FORECAST_AT, KAPPAS, NOISE, results

__all__ = ["FORECAST_AT", "KAPPAS", "NOISE", "results"]
