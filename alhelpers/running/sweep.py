"""Sweeps: one notebook run for every combination of parameters, on this machine or on a Dask cluster.

A sweep is planned and checked whole before anything runs. Each run has an identity, a digest of the notebook,
its parameters and this package; its folder `runs/IDENTITY` appears complete or not at all. So the same
command given again does what is missing, however the one before it ended.
"""

import ast
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
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nbformat

from alhelpers import __version__
from alhelpers.errors import UserError
from alhelpers.files import PACKAGE, SHIPPED
from alhelpers.parameters import ParameterError, check_parameters, nearest
from alhelpers.running import kernels
from alhelpers.running import notebooks as run

if TYPE_CHECKING:
    from distributed import Client

Value = int | float | bool | str | None
Given = str | Sequence[Value]
"""Values of one parameter as somebody gives them: text as in `parse_values`, or one by one."""

FIT_COLUMNS = {"stage": str, "n_labels": int, "accuracy": float, "steps": int}
"""What a row of a notebook's history has."""
DONE, FAILED = "done", "failed"
KERNEL_ATTEMPTS = 3
"""How often a run is begun whose kernel dies or does not start. A worker that dies is Dask's to replace."""
CONNECT_SECONDS = 10
SCHEDULER_GONE = "the scheduler has gone; the same command goes on with what is missing"
WITHOUT_WORKERS = 60
"""Seconds that a sweep waits for a worker of its cluster when there is none."""
TIMEOUT = 3600.0
"""Seconds that a cell of a run may take, unless somebody says otherwise."""
_ENDING = threading.Event()
"""Set when a sweep on this machine ends before its runs do."""


class Declared(NamedTuple):
    """A parameter as its notebook declares it: allowed types (none: any), and its default value."""

    types: tuple[type, ...]
    default: Value

    def allowed(self) -> str:
        """In words, for an error message."""
        names = [kind.__name__ for kind in self.types if kind is not type(None)]
        return " or ".join([*names, *(["None"] if type(None) in self.types else [])])


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


class SweepError(UserError):
    """A sweep that cannot be planned or go on, in one sentence for the person who asked for it."""


def counted(n: int) -> str:
    """A number of runs in words: "1 run", "2,000 runs"."""
    return f"{n:,} run{'' if n == 1 else 's'}"


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


def parse_assignments(assignments: Iterable[str]) -> dict[str, Given]:
    """The grid of command line arguments like "batch_size=5,10,20". Raises SweepError."""
    grid: dict[str, Given] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        name = name.strip()
        if not sign or not name:
            raise SweepError(f"-p {assignment} is no NAME=VALUES; give for example -p batch_size=5,10,20")
        if name in grid:
            raise SweepError(f"{name} is given twice; give all its values at once, as in -p {name}=1,2,3")
        grid[name] = text
    return grid


def read_grid(path: Path) -> dict[str, Given]:
    """The grid of a YAML file of names with a value, a list, or text as in `parse_values`.

    Raises SweepError if the file cannot be read as such.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or _first_line(problem)
        raise SweepError(f"cannot read the grid {path}: {reason}") from None
    except yaml.YAMLError as problem:
        raise SweepError(f"the grid {path} is no YAML: {_first_line(problem)}") from None
    if not isinstance(content, dict) or not content:
        raise SweepError(f"the grid {path} has no parameters; write lines like `batch_size: [5, 10, 20]`")
    return {str(name): given if isinstance(given, str | list) else [given] for name, given in content.items()}


def make_plan(notebook: Path, grid: Mapping[str, Given]) -> Plan:
    """Check a grid against the notebook's parameters cell and return every run of it.

    Raises SweepError on the first thing that is wrong: a notebook that cannot be read or declares no
    parameters, an unknown name, a value of the wrong type or out of range, a value given twice.
    """
    content = _read_notebook(notebook)
    declared = _declared_parameters(notebook, content)
    columns = {}
    for name, given in grid.items():
        if name not in declared:
            raise SweepError(
                f"{notebook.name} has no parameter {name!r}{nearest(name, declared)} "
                f"(with plain values it has {', '.join(declared)})"
            )
        columns[name] = _check_values(name, given, declared[name], notebook.name)
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
    language = content.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise SweepError(f"{path} is a notebook in {language}; only Python notebooks can be swept")
    return content


def _declared_parameters(path: Path, content: nbformat.NotebookNode) -> dict[str, Declared]:
    """Every parameter with a plain value. One with another (a list, a sum) stays as the notebook has it."""
    cell = next((cell for cell in content.cells if "parameters" in cell.metadata.get("tags", ())), None)
    if cell is None:
        raise SweepError(f'{path} has no cell tagged "parameters", so there is nothing to vary')
    try:
        statements = ast.parse(cell.source).body
    except SyntaxError as problem:
        raise SweepError(f"the parameters cell of {path} is no Python: {problem.msg}") from None
    declared = {}
    for statement in statements:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                types = _annotated_types(annotation)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                types = ()
            case _:
                continue
        try:
            default = ast.literal_eval(value)
        except ValueError:
            continue
        if type(default) is int and float in types and int not in types:
            default = float(default)  # as a value given: the same run, however it is written
        if _is_plain(default):
            kinds = types or ((type(default),) if default is not None else ())
            if default is None and kinds:
                kinds = (*dict.fromkeys((*kinds, type(None))),)
            declared[name] = Declared(kinds, default)
    if not declared:
        raise SweepError(
            f"the parameters cell of {path} has no line like `seed: int = 0`, so nothing can vary"
        )
    if taken := sorted(declared.keys() & {"run", *FIT_COLUMNS}):
        raise SweepError(
            f"{path} has a parameter {taken[0]!r}, which is a column of the results; give it another name"
        )
    return declared


def _annotated_types(annotation: ast.expr) -> tuple[type, ...]:
    """The plain types in an annotation like `int | None`; none if it says something else."""
    known = {kind.__name__: kind for kind in (int, float, bool, str)} | {"None": type(None)}
    words = re.findall(r"\w+", ast.unparse(annotation).replace("Optional", "None"))
    return tuple(known[word] for word in words) if all(word in known for word in words) else ()


def _is_plain(value: object) -> bool:
    """Whether a value has a place in every kind of results file."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return value is None or type(value) in (bool, str) or (type(value) is float and math.isfinite(value))


def _check_values(name: str, given: Given, declared: Declared, notebook: str) -> list[Value]:
    """The values as the declared type, each once."""
    if isinstance(given, str):
        given = given.split(",") if declared.types == (str,) else parse_values(name, given)
    values: list[Value] = []
    for part in given:
        if isinstance(part, str) and str not in declared.types:
            values += parse_values(name, part)
        else:
            values.append(part.strip() if isinstance(part, str) else part)
    if not values:
        raise SweepError(f"{name} has no values; give a list like 5,10,20 or a range like 0:20")
    # Undeclared, a parameter has the type of its first value.
    first = next((type(value) for value in values if value is not None), type(None))
    types = declared.types or (first, type(None))
    checked: dict[tuple[type, Value], Value] = {}
    for value in values:
        if type(value) is int and float in types and int not in types:
            value = float(value)
        if type(value) not in types or not _is_plain(value):
            allowed = declared.allowed() or "a plain value, all of one type"
            raise SweepError(f"{name} is {value!r}; {notebook} declares it as {allowed}")
        if (type(value), value) in checked:
            raise SweepError(f"{name} has the value {value!r} twice; each run is done once")
        checked[type(value), value] = value
    return list(checked.values())


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
    """This package's version and a digest of what is in it, so that an edited helper is another version."""
    return f"{__version__}+{digest_of(PACKAGE)}"


def digest_of(package: Path) -> str:
    """Eight hexadecimal digits for the modules of a package, those of its wings too, and its data files."""
    parts = [*sorted(package.rglob("*.py")), package / SHIPPED]  # data that differ from SHIPPED are refused
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in parts)).hexdigest()[:8]


# --- One run, on a worker ---


def execute(
    source: str, parameters: dict[str, Value], package: str, timeout: float = TIMEOUT
) -> dict[str, Any]:
    """Execute a notebook in a kernel of its own; return the executed notebook as text and the run's record.

    Runs on a worker: it needs nothing but its arguments and this package. `timeout`: seconds for each cell.
    """
    if package_version() != package:  # a worker that joined later
        raise SweepError(
            f"the worker on {platform.node()} has alhelpers {package_version()} and the sweep has {package}; "
            "install the same on both"
        )
    for name in ("papermill", "traitlets", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the record says what went wrong
    began = time.time()
    for attempt in range(1, KERNEL_ATTEMPTS + 1):  # noqa: B007 - recorded
        with tempfile.TemporaryDirectory(prefix="alhelpers-") as folder:
            target = Path(folder) / "notebook.ipynb"
            notebook = nbformat.reads(source, as_version=4)
            error = run.execute_notebook(notebook, target, parameters, Path(folder), timeout)
            executed = nbformat.read(target, as_version=4) if target.exists() else notebook
        if not error or error["cell"] or error["name"] == "CellTimeoutError" or _ENDING.is_set():
            break  # otherwise it is not the notebook that failed: its kernel died, or did not start
    if not error:
        given = ", ".join(f"{name} {value}" for name, value in parameters.items())
        note = f"*A run of a sweep, with {given}. Figures in the text are those of the published run.*"
        executed.cells.insert(0, nbformat.v4.new_markdown_cell(note, id="sweep-note"))
    # Where the run was: no part of what it found.
    for key in ("input_path", "output_path"):
        executed.metadata.get("papermill", {}).pop(key, None)
    history = list(run.histories(executed))
    if not error and (odd := next((row for row in history if not _is_fit(row)), None)):
        message = f"the notebook shows a history with the row {odd}; a row has {', '.join(FIT_COLUMNS)}"
        error = {"cell": None, "line": "", "name": "HistoryError", "message": message[:300]}
    record = _record(
        parameters,
        error,
        package,
        history=history,
        seconds=round(time.time() - began, 3),
        attempts=attempt,
        host=platform.node(),
        kernel="forked" if kernels.SERVER.works else "started",
        versions=_versions(),
    )
    return {"notebook": nbformat.writes(executed), "record": record}


def _is_fit(row: object) -> bool:
    numbers = {float: (int, float)}
    return (
        isinstance(row, dict)
        and row.keys() == FIT_COLUMNS.keys()
        and all(isinstance(row[name], numbers.get(kind, kind)) for name, kind in FIT_COLUMNS.items())
    )


def _record(
    parameters: dict[str, Value], error: dict[str, Any] | None, package: str, **found: object
) -> dict[str, Any]:
    """What run.json says of a run, beside its identity."""
    nothing = {"history": [], "seconds": 0.0, "attempts": 0, "host": "", "kernel": "none", "versions": {}}
    status = FAILED if error else DONE
    return {
        "status": status,
        "parameters": parameters,
        "error": error,
        "package": package,
        **nothing,
        **found,
    }


def _versions() -> dict[str, str]:
    """Of what a run's figures may depend on."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "tensorflow", "tensorflow-cpu", "papermill"):  # either TensorFlow
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def warm_up() -> str:
    """Let a worker begin the imports that its first run will wait for; return its `package_version`."""
    run.start_fork_server()
    return package_version()


# --- What is on disk ---


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


# --- All runs ---


def what_is_missing(plan: Plan, store: Store, rerun_failed: bool = False) -> tuple[list[Run], Tally]:
    """The runs of a plan that are to be done, and the tally before they are."""
    known = store.known()
    earlier = [planned.id for planned in plan.runs if planned.id in known]
    failed = store.failed(earlier)
    again = failed if rerun_failed else set()
    pending = [planned for planned in plan.runs if planned.id not in known or planned.id in again]
    done = len(earlier) - len(failed)
    return pending, Tally(len(plan.runs), done, len(failed - again), len(earlier) - len(again))


def run_sweep(
    plan: Plan,
    store: Store,
    scheduler: str | None = None,
    jobs: int | None = None,
    rerun_failed: bool = False,
    report: Callable[[Tally, dict[str, Any] | None], None] = lambda *_: None,
    timeout: float = TIMEOUT,
) -> Tally:
    """Do the runs of a plan that are missing from an open store.

    Parameters
    ----------
    plan, store : what to do, and where the results go
    scheduler : address of a Dask scheduler; without one, threads of this process see to the kernels
    jobs : runs at the same time on this machine; by default one more than there are processors, because a
        kernel that starts or ends waits more than it works
    rerun_failed : do failed runs again
    timeout : seconds that a cell of a run may take; a run with one that takes longer is recorded as failed
    report : called with the tally and the newest run's record, at the start (with None) and after every run

    Raises SweepError if the scheduler cannot be reached, has no workers, or they have other versions.
    """
    pending, tally = what_is_missing(plan, store, rerun_failed)
    report(tally, None)
    if not pending:
        return tally
    with _client(scheduler, min(jobs or (os.cpu_count() or 1) + 1, len(pending))) as client:
        for identity, result in _execute_all(client, plan, pending, timeout):
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
    # A run whose worker dies twice is tried once more alone, see `_execute_all`.
    dask.config.set({"distributed.scheduler.allowed-failures": 1})
    for name in ("distributed", "distributed.client", "distributed.nanny", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            # A run's work is done by its kernel, a process of its own; a worker only talks to kernels.
            os.environ["TF_NUM_INTEROP_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
            _ENDING.clear()
            with _interrupts_held_back():
                address = stack.enter_context(
                    LocalCluster(
                        n_workers=1,
                        threads_per_worker=jobs,
                        processes=False,
                        dashboard_address=None,
                        memory_limit=0,
                        local_directory=stack.enter_context(tempfile.TemporaryDirectory(prefix="alhelpers-")),
                        silence_logs=logging.CRITICAL,
                    )
                )
                stack.callback(_end_kernels)
        else:
            address = scheduler
            _check_scheduler(scheduler)
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


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended: a cluster that is only half there cannot be closed."""
    held: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


def _end_kernels() -> None:
    """End what still runs: the threads that wait for it would hold up the end of the sweep."""
    _ENDING.set()
    kernels.SERVER.close()


def _check_scheduler(address: str) -> None:
    """Raise SweepError unless a Dask scheduler answers: Dask waits for minutes for what is something else.

    A scheduler speaks first; a web server, say, waits to be asked.
    """
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    if "://" in host or not port.isdigit():
        return  # encrypted, or for Dask to judge
    began = time.monotonic()
    while True:  # it may be about to start
        try:
            with socket.create_connection((host, int(port)), CONNECT_SECONDS) as connection:
                answers = connection.recv(1)
            break
        except TimeoutError:
            answers = b""
            break
        except OSError as problem:
            if time.monotonic() - began > CONNECT_SECONDS:
                raise SweepError(
                    f"no Dask scheduler answers at {address} within {CONNECT_SECONDS} s "
                    f"({problem.strerror or problem}); check the address"
                ) from None
            time.sleep(0.2)
    if not answers:
        raise SweepError(f"what answers at {address} is no Dask scheduler; check the address")


def _execute_all(
    client: "Client", plan: Plan, pending: list[Run], timeout: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Have all pending runs done, a few ahead of what the workers can take, and yield each result."""
    from distributed import CancelledError, Future

    _check_workers(client, plan.package)
    waiting = iter(pending)
    submitted: dict[str, Run] = {}

    def submit(planned: Run, kind: str = "run") -> Future:
        key = f"{kind}-{planned.id}"
        submitted[key] = planned
        arguments = plan.source, planned.parameters, plan.package, timeout
        return client.submit(execute, *arguments, key=key, pure=False)

    def take(future: Future) -> dict[str, Any] | Exception:
        try:
            return future.result()
        except SweepError:
            raise
        except CancelledError:
            raise SweepError(SCHEDULER_GONE) from None
        except Exception as problem:  # its worker died again and again, or could not hand the result on
            if client.status != "running":
                raise SweepError(SCHEDULER_GONE) from None
            return problem
        finally:
            future.release()

    lost: list[Run] = []
    running = {submit(planned) for planned in itertools.islice(waiting, 2 * _threads(client))}
    while running:
        ended = _wait(client, running)
        running -= ended
        for future in ended:
            finished = submitted.pop(future.key)
            result = take(future)
            if isinstance(result, Exception):
                lost.append(finished)
            else:
                yield finished.id, result
        # Workers may have joined since.
        room = max(1, 2 * _threads(client) - len(running))
        running |= {submit(following) for following in itertools.islice(waiting, room)}
    # A run that kills its worker takes down those beside it. Each alone, it shows which one it was.
    for planned in lost:
        (future,) = _wait(client, {submit(planned, "again")})
        result = take(future)
        yield planned.id, _lost(plan, planned, result) if isinstance(result, Exception) else result


def _wait(client: "Client", futures: set) -> set:
    """Those futures that have ended, once one has. Raises SweepError if no worker is left to do them."""
    from distributed import CancelledError, wait

    last_seen = time.monotonic()
    while True:
        try:
            return wait(futures, timeout=2, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            pass
        except CancelledError:  # raised for all at once when the connection is lost
            raise SweepError(SCHEDULER_GONE) from None
        if client.status not in ("running", "connecting"):
            raise SweepError(SCHEDULER_GONE)
        if _threads(client):
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > WITHOUT_WORKERS:
            raise SweepError(
                f"the cluster has had no worker for {WITHOUT_WORKERS} s; start one, and the same command "
                "goes on with what is missing"
            )


def _check_workers(client: "Client", package: str) -> None:
    """Let all workers begin their imports; raise SweepError if one has another package or none."""
    try:
        found = client.run(warm_up)
    except Exception as problem:
        raise SweepError(
            f"a worker cannot run alhelpers ({_first_line(problem)}); install the same version on all of them"
        ) from None
    for address, version_there in found.items():
        if version_there != package:
            raise SweepError(
                f"the worker at {address} has alhelpers {version_there} and the sweep has {package}; "
                "install the same on both"
            )


def _lost(plan: Plan, run: Run, problem: Exception) -> dict[str, Any]:
    """The result of a run that no worker could finish."""
    from distributed import KilledWorker

    died = "every worker that began this run died" if isinstance(problem, KilledWorker) else None
    error = {
        "cell": None,
        "line": "",
        "name": type(problem).__name__,
        "message": died or _first_line(problem),
    }
    record = _record(run.parameters, error, plan.package)
    return {"notebook": plan.source, "record": record}


def _threads(client: "Client") -> int:
    try:
        return sum(client.nthreads().values())
    except OSError:
        raise SweepError(SCHEDULER_GONE) from None


def _first_line(problem: object) -> str:
    return next(iter(str(problem).strip().splitlines()), "")[:200]
