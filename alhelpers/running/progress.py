"""What the command line says while notebooks or a sweep run."""

import sys
from typing import Any

from tqdm import tqdm

from alhelpers.running.notebooks import Outcome, describe
from alhelpers.running.plan import Plan
from alhelpers.running.store import Tally


class NotebookProgress(tqdm):
    """A line for every notebook that is done, and a bar while a person is looking."""

    def __init__(self, total: int) -> None:
        super().__init__(total=total, unit="notebook", leave=False, disable=None)

    def __call__(self, outcome: Outcome) -> None:
        """Tell of a notebook that is done."""
        self.write(f"{outcome.name:<22}{outcome.seconds:6.1f} s  {outcome.error or 'ok'}")
        self.update()


class SweepProgress(tqdm):
    """Failures as they happen; a bar while a person is looking, a line for every tenth of the runs if not."""

    def __init__(self, plan: Plan) -> None:
        self.varied = plan.varied
        self.tally = Tally(len(plan.runs), 0, 0, 0)
        super().__init__(total=len(plan.runs), unit="run", disable=None, leave=False, smoothing=0.05)

    def __call__(self, tally: Tally, record: dict[str, Any] | None) -> None:
        """Tell how far the sweep is, and of the newest run's failure; see `run_sweep`."""
        self.tally, ended = tally, tally.ended
        if record is None:
            self.reset(total=tally.planned)
            self.initial = tally.earlier
        elif record["error"]:
            given = " ".join(f"{name}={record['parameters'][name]}" for name in self.varied)
            failed = ": ".join(filter(None, ["failed", given, describe(record["error"])]))
            self.write(failed, file=sys.stderr)
        self.n = ended
        self.set_postfix_str(f"{tally.failed} failed", refresh=True)
        if self.disable and record and ended * 10 // tally.planned > (ended - 1) * 10 // tally.planned:
            print(f"{ended:,} of {tally.planned:,} runs ended, {tally.failed:,} failed", flush=True)
