"""What several tests share."""

import signal
from pathlib import Path

import pytest

from alhelpers.running import notebooks as run

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start as well: the
# tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def fresh_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of all notebooks, as `make run` does it: executed notebooks, figures/ and history.csv."""
    out = tmp_path_factory.mktemp("fresh") / "run"
    outcomes = run.run_notebooks(run.find_notebooks(), out, jobs=2)
    failed = [f"{outcome.name} failed at {outcome.error}" for outcome in outcomes if outcome.error]
    assert not failed, "; ".join(failed)
    return out
