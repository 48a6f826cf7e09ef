"""The folder of a sweep: what is there already, and how a run gets there, whole or not at all."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from alhelpers.running.plan import Plan, Run, SweepError

DONE, FAILED = "done", "failed"


class Tally(NamedTuple):
    """How far a sweep is: runs planned, done and failed, and how many were there before it began."""

    planned: int
    done: int
    failed: int
    earlier: int


class Store:
    """The folder of a sweep: `runs/IDENTITY/{run.json,notebook.ipynb}`, and results made from them.

    Raises SweepError if the folder holds something else, or if another sweep is at work in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self._lock = None
        self._made = False

    def open(self) -> None:
        """Make the folder ours, and clear away what a killed sweep was about to write."""
        self.check()
        mark = self.folder / ".sweep"
        self._made = not self.folder.exists()
        self.runs.mkdir(parents=True, exist_ok=True)
        self._lock = mark.open("a")
        with contextlib.suppress(ImportError):
            import fcntl  # where there is none, nothing hinders two sweeps

            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SweepError(
                    f"another sweep is writing to {self.folder}; wait for it or stop it"
                ) from None
        for leftover in self.folder.glob(".partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def check(self) -> None:
        """Raise SweepError if the folder holds something else than sweeps."""
        marked = (self.folder / ".sweep").exists() or not self.folder.exists()
        if not marked and not (self.folder.is_dir() and not any(self.folder.iterdir())):
            raise SweepError(f"{self.folder} holds something else; give a new or an empty folder to --out")

    def close(self) -> None:
        """Let another sweep have the folder; a folder that was made for nothing goes again."""
        if not self._lock:
            return
        self._lock.close()
        if self._made:
            with contextlib.suppress(OSError):
                self.runs.rmdir()  # only if it is empty
                (self.folder / ".sweep").unlink()
                self.folder.rmdir()

    def known(self) -> set[str]:
        """Identities of all runs that are there, done or failed."""
        return {entry.name for entry in os.scandir(self.runs)} if self.runs.is_dir() else set()

    def record(self, identity: str) -> dict[str, Any]:
        """What is recorded of a run. Raises SweepError if that cannot be read."""
        folder = self.runs / identity
        try:
            return json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise SweepError(f"{folder} is damaged; delete it and give the same command again") from None

    def failed(self, identities: Iterable[str]) -> set[str]:
        """Those of these runs that are there and failed."""
        return {identity for identity in identities if self.record(identity)["status"] == FAILED}

    def write(self, identity: str, result: dict[str, Any]) -> None:
        """Put a run's folder in its place, whole; a failed run's older folder makes way."""
        final = self.runs / identity
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
        try:
            partial.chmod(0o755)
            record = json.dumps({"id": identity, **result["record"]}, indent=1)
            for name, text in (("notebook.ipynb", result["notebook"]), ("run.json", record + "\n")):
                with (partial / name).open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())  # or after a power cut the name could be there without the text
            if final.exists():
                final.rename(partial / "before")
            partial.rename(final)
            shutil.rmtree(final / "before", ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def what_is_missing(plan: Plan, store: Store, rerun_failed: bool = False) -> tuple[list[Run], Tally]:
    """The runs of a plan that are to be done, and the tally before they are."""
    known = store.known()
    earlier = [planned.id for planned in plan.runs if planned.id in known]
    failed = store.failed(earlier)
    again = failed if rerun_failed else set()
    pending = [planned for planned in plan.runs if planned.id not in known or planned.id in again]
    done = len(earlier) - len(failed)
    return pending, Tally(len(plan.runs), done, len(failed - again), len(earlier) - len(again))
