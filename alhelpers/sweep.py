"""Sweeps: one notebook run for every combination of parameters, on this machine or on a Dask cluster.

A sweep is planned and checked whole before anything runs. Each run has an identity, a digest of the notebook,
its parameters and this package; its folder `runs/IDENTITY` appears complete or not at all. So the same
command given again does what is missing, however the one before it ended.
"""

import contextlib
import hashlib
import itertools
import json
import logging
import math
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nbformat

from alhelpers import __version__, kernels, run
from alhelpers.parameters import ParameterError, check_parameters, nearest

if TYPE_CHECKING:
    from distributed import Client

Value = int | float | bool | str | None

DONE, FAILED = "done", "failed"
KERNEL_ATTEMPTS = 3
"""How often a run is begun whose kernel dies or does not start. A worker that dies is Dask's to replace."""
CONNECT_SECONDS = 10
RUNS_PER_WORKER = 8
"""At the same time, on this machine."""
_TYPES = {"int": int, "float": float, "bool": bool, "str": str}


class Run(NamedTuple):
    """One planned run: its identity and all parameters, those with default values too."""

    id: str
    parameters: dict[str, Value]


class Plan(NamedTuple):
    """What a sweep will do: the notebook, which of its parameters vary, and the runs."""

    notebook: str
    source: str
    digest: str
    package: str
    varied: tuple[str, ...]
    runs: list[Run]


class Tally(NamedTuple):
    """How far a sweep is: runs planned, done and failed, and how many were there before it began."""

    planned: int
    done: int
    failed: int
    earlier: int


class SweepError(Exception):
    """A sweep that cannot be planned or go on, in one sentence for the person who asked for it."""


# --- Planning ---


def parse_values(name: str, text: str) -> list[Value]:
    """The values in "5,10,20", "0:20" (0 to 19), "0:100:10" or "None,0:3". Raises SweepError."""
    values: list[Value] = []
    for part in text.split(","):
        part = part.strip()
        if re.fullmatch(r"-?\d+:-?\d+(:\d+)?", part):
            bounds = [int(bound) for bound in part.split(":")]
            if len(bounds) == 3 and bounds[2] == 0:
                raise SweepError(f"the range {part!r} of {name} has step 0; give 1 or more")
            values += range(*bounds)
        elif part:
            values.append(_parse_scalar(part))
    if not values:
        raise SweepError(f"{name}={text} has no values; give a list like 5,10,20 or a range like 0:20")
    return values


def _parse_scalar(text: str) -> Value:
    words = {"None": None, "null": None, "True": True, "true": True, "False": False, "false": False}
    if text in words:
        return words[text]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def parse_assignments(assignments: Iterable[str]) -> dict[str, list[Value]]:
    """The grid of command line arguments like "batch_size=5,10,20". Raises SweepError."""
    grid: dict[str, list[Value]] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        name = name.strip()
        if not sign or not name:
            raise SweepError(f"-p {assignment} is no NAME=VALUES; give for example -p batch_size=5,10,20")
        if name in grid:
            raise SweepError(f"{name} is given twice; give all its values at once, as in -p {name}=1,2,3")
        grid[name] = parse_values(name, text)
    return grid


def read_grid(path: Path) -> dict[str, list[Value]]:
    """The grid of a YAML file of names with a value, a list, or text as in `parse_values`.

    Raises SweepError if the file cannot be read as such.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise SweepError(f"cannot read the grid {path}: {_first_line(problem)}") from None
    except yaml.YAMLError as problem:
        raise SweepError(f"the grid {path} is no YAML: {_first_line(problem)}") from None
    if not isinstance(content, dict) or not content:
        raise SweepError(f"the grid {path} has no parameters; write lines like `batch_size: [5, 10, 20]`")
    grid = {}
    for name, given in content.items():
        values = given if isinstance(given, list) else [given]
        grid[str(name)] = [
            value
            for part in values
            for value in (parse_values(str(name), part) if isinstance(part, str) else [part])
        ]
    return grid


def make_plan(notebook: Path, grid: Mapping[str, Sequence[Value]]) -> Plan:
    """Check a grid against the notebook's parameters cell and return every run of it.

    Raises SweepError on the first thing that is wrong: a notebook that cannot be read or declares no
    parameters, an unknown name, a value of the wrong type or out of range, a value given twice.
    """
    content = _read_notebook(notebook)
    declared = _declared_parameters(notebook, content)
    for name in grid:
        if name not in declared:
            raise SweepError(
                f"{notebook.name} has no parameter {name!r}{nearest(name, declared)}; "
                f"it has {', '.join(declared)}"
            )
    columns = {
        name: _check_values(name, values, *declared[name], notebook.name) for name, values in grid.items()
    }
    if not columns:
        raise SweepError("the grid is empty; give at least one parameter, as in -p seed=0:20")
    defaults = {name: default for name, (_, default) in declared.items()}
    source = _canonical_source(content)
    digest, package = hashlib.sha256(source.encode()).hexdigest(), package_version()
    checks_itself = any("check_parameters()" in cell.source for cell in content.cells)
    runs = []
    for combination in itertools.product(*columns.values()):
        parameters = defaults | dict(zip(columns, combination, strict=True))
        if checks_itself:
            # What the notebook would refuse is refused here, before the first run.
            try:
                check_parameters({"__annotations__": declared, **parameters})
            except ParameterError as problem:
                raise SweepError(str(problem)) from None
        identity = json.dumps([digest, package, parameters], sort_keys=True)
        runs.append(Run(hashlib.sha256(identity.encode()).hexdigest()[:16], parameters))
    varied = tuple(name for name, values in columns.items() if len(values) > 1)
    return Plan(notebook.stem, source, digest, package, varied, runs)


def _read_notebook(path: Path) -> nbformat.NotebookNode:
    try:
        content = nbformat.read(path, as_version=4)
        nbformat.validate(content)
    except OSError as problem:
        raise SweepError(f"cannot read the notebook {path}: {problem.strerror or problem}") from None
    except Exception as problem:  # nbformat raises whatever its parsers do
        raise SweepError(f"{path} is no notebook that can be read: {_first_line(problem)}") from None
    return content


def _declared_parameters(path: Path, content: nbformat.NotebookNode) -> dict[str, tuple[str, Value]]:
    """Type name and default value of every parameter, as papermill reads them."""
    from papermill import inspect_notebook

    if not any("parameters" in cell.metadata.get("tags", ()) for cell in content.cells):
        raise SweepError(f'{path} has no cell tagged "parameters", so there is nothing to vary')
    found = inspect_notebook(str(path))
    return {
        name: (entry["inferred_type_name"], _parse_literal(entry["default"])) for name, entry in found.items()
    }


def _parse_literal(text: str) -> Any:  # noqa: ANN401 - whatever the notebook says
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _check_values(
    name: str, values: Sequence[Value], kind: str, default: Value, notebook: str
) -> list[Value]:
    """The values as the declared type, each once. An undeclared type is that of the default value."""
    wanted = _TYPES.get(kind, type(default) if type(default) in _TYPES.values() else None)
    checked: list[Value] = []
    for value in values:
        if wanted is float and type(value) is int:
            value = float(value)
        right = value is None if default is None and value is None else type(value) is wanted
        if not (right or wanted is None) or (isinstance(value, float) and not math.isfinite(value)):
            raise SweepError(
                f"{name} is {value!r}; {notebook} declares it as {wanted.__name__ if wanted else kind}"
                + (" or None" if default is None else "")
            )
        if value in checked:
            raise SweepError(f"{name} has the value {value!r} twice; each run is done once")
        checked.append(value)
    if not checked:
        raise SweepError(f"{name} has no values; give a list like 5,10,20 or a range like 0:20")
    return checked


def _canonical_source(content: nbformat.NotebookNode) -> str:
    """The notebook as text without anything that running it changes."""
    bare = nbformat.v4.new_notebook(
        cells=[
            {
                "cell_type": cell.cell_type,
                "id": f"cell-{number}",
                "metadata": {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {},
                "source": cell.source,
                **({"outputs": [], "execution_count": None} if cell.cell_type == "code" else {}),
            }
            for number, cell in enumerate(content.cells)
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    return nbformat.writes(nbformat.from_dict(bare))


@cache
def package_version() -> str:
    """This package's version and a digest of its modules, so that an edited helper is another version."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in modules)).hexdigest()
    return f"{__version__}+{digest[:8]}"


# --- One run, on a worker ---


def execute(source: str, parameters: dict[str, Value], package: str) -> dict[str, Any]:
    """Execute a notebook in a kernel of its own; return the executed notebook as text and the run's record.

    Runs on a worker: it needs nothing but its arguments and this package.
    """
    if package_version() != package:
        raise SweepError(
            f"the worker on {platform.node()} has alhelpers {package_version()} and the sweep has {package}; "
            "install the same on both"
        )
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the record says what went wrong
    began = time.time()
    for attempt in range(1, KERNEL_ATTEMPTS + 1):  # noqa: B007 - recorded
        with tempfile.TemporaryDirectory(prefix="alhelpers-") as folder:
            target = Path(folder) / "notebook.ipynb"
            notebook = nbformat.reads(source, as_version=4)
            error = run.execute_notebook(notebook, target, parameters, Path(folder))
            executed = nbformat.read(target, as_version=4) if target.exists() else notebook
        if not error or error["cell"]:
            break  # otherwise it is not the notebook that failed: its kernel died, or did not start
    # Where the run was: no part of what it found.
    for key in ("input_path", "output_path"):
        executed.metadata.get("papermill", {}).pop(key, None)
    record = {
        "status": FAILED if error else DONE,
        "parameters": parameters,
        "error": error,
        "history": list(run.histories(executed)),
        "seconds": round(time.time() - began, 3),
        "attempts": attempt,
        "host": platform.node(),
        "kernel": "forked" if kernels.SERVER.works else "started",
        "package": package,
        "versions": _versions(),
    }
    return {"notebook": nbformat.writes(executed), "record": record}


def _versions() -> dict[str, str]:
    """Of what a run's figures may depend on."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "tensorflow", "tensorflow-cpu", "papermill"):  # either TensorFlow
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def warm_up() -> None:
    """Let a worker begin the imports that its first run will wait for."""
    run.start_fork_server()


# --- What is on disk ---


class Store:
    """The folder of a sweep: `runs/IDENTITY/{run.json,notebook.ipynb}`, and results made from them.

    Raises SweepError if the folder holds something else, or if another sweep is at work in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self._lock = None

    def open(self) -> None:
        """Make the folder ours, and clear away what a killed sweep was about to write."""
        mark = self.folder / ".sweep"
        foreign = self.folder.exists() and not mark.exists()
        if foreign and not (self.folder.is_dir() and not any(self.folder.iterdir())):
            raise SweepError(f"{self.folder} holds something else; give a new or an empty folder to --out")
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

    def close(self) -> None:
        """Let another sweep have the folder."""
        if self._lock:
            self._lock.close()

    def known(self) -> set[str]:
        """Identities of all runs that are there, done or failed."""
        return {entry.name for entry in os.scandir(self.runs)} if self.runs.is_dir() else set()

    def record(self, identity: str) -> dict[str, Any]:
        """What is recorded of a run."""
        return json.loads((self.runs / identity / "run.json").read_text(encoding="utf-8"))

    def failed(self, identities: Iterable[str]) -> set[str]:
        """Those of these runs that are there and failed."""
        return {identity for identity in identities if self.record(identity)["status"] == FAILED}

    def write(self, identity: str, result: dict[str, Any]) -> None:
        """Put a run's folder in its place, whole; a failed run's older folder makes way."""
        final = self.runs / identity
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
        try:
            partial.chmod(0o755)
            (partial / "notebook.ipynb").write_text(result["notebook"], encoding="utf-8")
            text = json.dumps({"id": identity, **result["record"]}, indent=1)
            (partial / "run.json").write_text(text + "\n", encoding="utf-8")
            if final.exists():
                final.rename(partial / "before")
            partial.rename(final)
            shutil.rmtree(final / "before", ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


# --- All runs ---


def run_sweep(
    plan: Plan,
    store: Store,
    scheduler: str | None = None,
    jobs: int | None = None,
    rerun_failed: bool = False,
    report: Callable[[Tally, dict[str, Any] | None], None] = lambda *_: None,
) -> Tally:
    """Do the runs of a plan that are missing from an open store.

    Parameters
    ----------
    plan, store : what to do, and where the results go
    scheduler : address of a Dask scheduler; without one, workers are started on this machine
    jobs : runs at the same time on this machine; by default one more than there are processors, because a
        kernel that starts or ends waits more than it works
    rerun_failed : do failed runs again
    report : called with the tally and the newest run's record, at the start (with None) and after every run

    Raises SweepError if the scheduler cannot be reached, has no workers, or they have other versions.
    """
    planned = [run.id for run in plan.runs]
    known = store.known()
    earlier = [identity for identity in planned if identity in known]
    failed = store.failed(earlier)
    again = failed if rerun_failed else set()
    pending = [run for run in plan.runs if run.id not in known or run.id in again]
    tally = Tally(len(planned), len(earlier) - len(failed), len(failed - again), len(earlier) - len(again))
    report(tally, None)
    if not pending:
        return tally
    with _client(scheduler, min(jobs or (os.cpu_count() or 1) + 1, len(pending))) as client:
        for identity, result in _execute_all(client, plan, pending):
            store.write(identity, result)
            ok = result["record"]["status"] == DONE
            tally = tally._replace(done=tally.done + ok, failed=tally.failed + (not ok))
            report(tally, result["record"])
    return tally


@contextlib.contextmanager
def _client(scheduler: str | None, jobs: int) -> Iterator["Client"]:
    import dask
    from distributed import Client, LocalCluster

    # Dask tells of lost and replaced workers in several lines each; the tally says what comes of it.
    dask.config.set({"distributed.logging.distributed": "critical"})
    for name in ("distributed", "distributed.client", "distributed.nanny", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            address = stack.enter_context(
                LocalCluster(
                    # A run's work is done by its kernel; a worker's threads only talk to kernels, so few
                    # workers do, each with one fork server.
                    n_workers=-(-jobs // RUNS_PER_WORKER),
                    threads_per_worker=min(jobs, RUNS_PER_WORKER),
                    dashboard_address=None,
                    memory_limit=0,
                    local_directory=stack.enter_context(tempfile.TemporaryDirectory(prefix="alhelpers-")),
                    silence_logs=logging.CRITICAL,
                    env={"TF_NUM_INTEROP_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))},
                )
            )
        else:
            address = scheduler
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS))
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as problem:
            if scheduler is None:
                raise
            raise SweepError(
                f"no Dask scheduler with a worker answers at {scheduler} within {CONNECT_SECONDS} s "
                f"({_first_line(problem) or type(problem).__name__}); check the address and the workers"
            ) from None
        yield client


def _execute_all(client: "Client", plan: Plan, pending: list[Run]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Have all pending runs done, a few ahead of what the workers can take, and yield each result."""
    from distributed import Future, as_completed

    waiting = iter(pending)

    def submit(run: Run) -> Future:
        return client.submit(
            execute, plan.source, run.parameters, plan.package, key=f"run-{run.id}", pure=False
        )

    client.run(warm_up)
    ahead = 2 * _threads(client)
    running = as_completed([submit(run) for run in itertools.islice(waiting, ahead)])
    for future in running:
        identity = future.key.removeprefix("run-")
        yield identity, future.result()
        future.release()
        # Workers may have joined since.
        room = max(1, 2 * _threads(client) - running.count())
        for following in itertools.islice(waiting, room):
            running.add(submit(following))


def _threads(client: "Client") -> int:
    return sum(client.nthreads().values())


def _first_line(problem: object) -> str:
    return next(iter(str(problem).strip().splitlines()), "")[:200]
