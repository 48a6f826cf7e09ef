"""Sweeps: one notebook run for every combination of parameters, on this machine or on a Dask cluster.

A sweep is planned and checked whole before anything runs. Each run has an identity, a digest of the notebook,
its parameters and this package; its folder `runs/IDENTITY` appears complete or not at all. So the same
command given again does what is missing, however the one before it ended.
"""

import contextlib
import itertools
import logging
import os
import platform
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from alhelpers.running import kernels
from alhelpers.running import notebooks as run
from alhelpers.running.plan import FIT_COLUMNS, Plan, Run, SweepError, Value, first_line, package_version
from alhelpers.running.store import DONE, FAILED, Store, Tally, what_is_missing

if TYPE_CHECKING:
    from distributed import Client

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


def counted(n: int) -> str:
    """A number of runs in words: "1 run", "2,000 runs"."""
    return f"{n:,} run{'' if n == 1 else 's'}"


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
                f"({first_line(problem) or type(problem).__name__}); check the address and the workers"
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
            f"a worker cannot run alhelpers ({first_line(problem)}); install the same version on all of them"
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
        "message": died or first_line(problem),
    }
    record = _record(run.parameters, error, plan.package)
    return {"notebook": plan.source, "record": record}


def _threads(client: "Client") -> int:
    try:
        return sum(client.nthreads().values())
    except OSError:
        raise SweepError(SCHEDULER_GONE) from None
