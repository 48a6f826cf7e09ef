"""The folder of a sweep: which runs are there already, how one gets there, and the tables made from them."""

import contextlib
import csv
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from alhelpers.files import atomic_write, check_as_written, draft_of, replacing
from alhelpers.running.declared import RUN_COLUMNS
from alhelpers.running.grid import SweepError, Value
from alhelpers.running.notebooks import FIT_COLUMNS, describe
from alhelpers.running.plan import Plan, PlannedRun

DONE, FAILED = "done", "failed"
_ROWS_AT_ONCE = 500


class Tally(NamedTuple):
    """How far a sweep is: runs planned, done and failed, and how many were there before it began."""

    planned: int
    done: int
    failed: int
    earlier: int

    @property
    def ended(self) -> int:
        """How many runs are there, done or failed."""
        return self.done + self.failed


class Store:
    """The folder of a sweep: `runs/IDENTITY/{run.json,notebook.ipynb}`, and results made from them.

    As a context manager it makes the folder its own, and raises SweepError if that holds something else or
    another sweep is at work in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.kept: list[tuple[str, str]] = []
        """Results that somebody had changed, and how they are called now."""

    def __enter__(self) -> "Store":
        self.check()
        self._made = not self.folder.exists()
        self.runs.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".sweep").open("a")
        with contextlib.suppress(ImportError):
            import fcntl  # where there is none, nothing hinders two sweeps

            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                raise SweepError(
                    f"another sweep is writing to {self.folder}; wait for it or stop it"
                ) from None
        for unfinished in self.runs.glob(".*"):  # what a killed sweep was about to write
            shutil.rmtree(unfinished, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Let another sweep have the folder; a folder that was made for nothing goes again."""
        self._lock.close()
        if self._made:
            with contextlib.suppress(OSError):
                self.runs.rmdir()  # only if it is empty
                (self.folder / ".sweep").unlink()
                self.folder.rmdir()

    def check(self) -> None:
        """Raise SweepError if the folder holds something else than sweeps."""
        marked = (self.folder / ".sweep").exists() or not self.folder.exists()
        if not marked and not (self.folder.is_dir() and not any(self.folder.iterdir())):
            raise SweepError(f"{self.folder} holds something else; give a new or an empty folder to --out")

    def known(self) -> set[str]:
        """Identities of all runs that are there, done or failed."""
        names = os.listdir(self.runs) if self.runs.is_dir() else []
        return {name for name in names if not name.startswith(".")}

    def record(self, identity: str) -> dict[str, Any]:
        """What is recorded of a run. Raises SweepError if that cannot be read."""
        folder = self.runs / identity
        try:
            return json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise SweepError(f"{folder} is damaged; delete it and give the same command again") from None

    def recorded(self, planned: Iterable[PlannedRun]) -> Iterator[tuple[PlannedRun, dict[str, Any]]]:
        """Those of the planned runs that are there, each with its record, read one at a time."""
        known = self.known()
        return ((each, self.record(each.id)) for each in planned if each.id in known)

    def place(self, identity: str) -> Path:
        """Where a run may work; what is left there goes with the next sweep."""
        folder = self.runs.resolve()
        try:
            str(folder).encode()
        except UnicodeEncodeError:  # in another encoding: no path for a notebook's metadata
            folder = Path(tempfile.gettempdir())
        return folder / f".{identity}.at-work"

    def write(self, identity: str, result: dict[str, Any]) -> None:
        """Put a run's folder in its place, whole, with the files it wrote; a failed run's older one goes."""
        with replacing(self.runs / identity) as folder:
            names = _keep(result.get("files", {}), folder)
            atomic_write(folder / "notebook.ipynb", result["notebook"])
            record = {"id": identity, **result["record"], "files": names}
            atomic_write(folder / "run.json", json.dumps(record, indent=1) + "\n")

    @contextlib.contextmanager
    def draft_of(self, name: str) -> Iterator[Path]:
        """A path to write one of the results at. One that somebody has changed gets another name."""
        path, mark = self.folder / name, self.folder / ".sweep"
        with draft_of(path) as draft:
            yield draft
            if path.exists() and _digest(path) not in mark.read_text().split():
                numbered = (path.with_stem(f"{path.stem} kept {k}") for k in itertools.count(1))
                path.rename(aside := next(other for other in numbered if not other.exists()))
                self.kept.append((name, aside.name))
            with mark.open("a") as marks:
                marks.write(f"{_digest(draft)}\n")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(files: str | dict[str, bytes], folder: Path) -> list[str]:
    """Move files from a folder, or write them, and return their names; our own two names are not theirs."""

    def kept(name: str) -> Path:
        return folder / (f"own-{name}" if name in ("notebook.ipynb", "run.json") else name)

    if isinstance(files, str):
        for path in Path(files).glob("*"):  # none, should the run have removed its own folder
            shutil.move(path, kept(path.name))
    else:
        for name, content in files.items():
            kept(name).parent.mkdir(parents=True, exist_ok=True)
            kept(name).write_bytes(content)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def what_is_missing(plan: Plan, store: Store, rerun_failed: bool = False) -> tuple[list[PlannedRun], Tally]:
    """The runs of a plan that are to be done, and the tally before they are.

    Raises ValueError if somebody has put a file of theirs into a failed run that is to be done again.
    """
    status = {planned.id: record["status"] for planned, record in store.recorded(plan.runs)}
    if rerun_failed:
        for identity in (identity for identity, found in status.items() if found == FAILED):
            check_as_written(store.runs / identity)
        status = {identity: found for identity, found in status.items() if found != FAILED}
    failed = sum(found == FAILED for found in status.values())
    pending = [planned for planned in plan.runs if planned.id not in status]
    return pending, Tally(len(plan.runs), len(status) - failed, failed, len(status))


def write_tables(plan: Plan, store: Store) -> int:
    """Write a row for each fit of each run of the plan that is done, and one for each run that is there.

    The fits are in results.csv and results.parquet, the runs with what they gave to `sweep_result` in
    runs.csv and runs.parquet. Returns how many runs are done and showed neither a fit nor a result.
    """
    declared = plan.runs[0].parameters
    parameters = {
        name: _common({type(planned.parameters[name]) for planned in plan.runs}) for name in declared
    }
    found: dict[str, set[type]] = {}
    for _, record in store.recorded(plan.runs):
        for name, value in record.get("result", {}).items():
            found.setdefault(name, set()).add(type(value))
    # A result may have the name of another column.
    names = {name: f"result_{name}" if name in {*parameters, *RUN_COLUMNS} else name for name in found}
    results = {names[name]: _common(kinds) for name, kinds in found.items()}
    nothing = 0
    with (
        _table(store, "results", {"run": str} | parameters | FIT_COLUMNS) as add_fit,
        _table(store, "runs", {"run": str} | parameters | results | RUN_COLUMNS) as add_run,
    ):
        for planned, record in store.recorded(plan.runs):
            row = {"run": planned.id, **planned.parameters}
            done, result = record["status"] == DONE, record.get("result", {})
            nothing += done and not record["history"] and not result
            for fit in record["history"] if done else ():
                add_fit(row | fit)
            add_run(
                row
                | {names[name]: value for name, value in result.items()}
                | {"run_status": record["status"], "run_seconds": record["seconds"]}
                | {"run_error": describe(record["error"]) or None}
            )
    return nothing


@contextlib.contextmanager
def _table(store: Store, name: str, columns: dict[str, type]) -> Iterator[Callable[[dict[str, Value]], None]]:
    """A function that adds a row to NAME.csv and NAME.parquet, which appear whole."""
    import pyarrow
    import pyarrow.parquet

    arrow = {int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, arrow[kind]) for name, kind in columns.items()])
    with (
        store.draft_of(f"{name}.csv") as csv_draft,
        store.draft_of(f"{name}.parquet") as parquet_draft,
        csv_draft.open("w", newline="", encoding="utf-8") as file,
        parquet_draft.open("wb") as parquet_file,  # Arrow cannot open every path that Python can
        pyarrow.parquet.ParquetWriter(parquet_file, schema) as parquet,
    ):
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        batch: list[dict[str, Value]] = []

        def flush() -> None:
            writer.writerows(batch)
            parquet.write_table(pyarrow.Table.from_pylist(batch, schema))
            batch.clear()

        def add(row: dict[str, Value]) -> None:
            batch.append({name: _as(kind, row.get(name)) for name, kind in columns.items()})
            if len(batch) > _ROWS_AT_ONCE:
                flush()

        yield add
        flush()


def _common(kinds: set[type]) -> type:
    """The type of all values of a column, float for whole and other numbers, or else text."""
    kinds = kinds - {type(None)}
    return float if kinds == {int, float} else next(iter(kinds)) if len(kinds) == 1 else str


def _as(kind: type, value: Value) -> Value:
    return None if value is None else kind(value)
