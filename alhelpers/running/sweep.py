"""Sweeps: one notebook run for every combination of parameters, on this machine or on a Dask cluster.

A sweep is planned and checked whole before anything runs (`plan`). Each run has an identity, a digest of the
notebook, its parameters and this package; its folder appears complete or not at all (`store`). So the same
command given again does what is missing, however the one before it ended.
"""

import contextlib
import itertools
import json
import logging
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from alhelpers.running import kernels, notebooks
from alhelpers.running.grid import SweepError, Value
from alhelpers.running.notebooks import TIMEOUT, first_line
from alhelpers.running.plan import Plan, PlannedRun
from alhelpers.running.software import difference, software
from alhelpers.running.store import DONE, FAILED, Store, Tally, what_is_missing

if TYPE_CHECKING:
    from distributed import Client

KERNEL_ATTEMPTS = 3
"""How often a run is begun whose kernel dies or does not start. A worker that dies is Dask's to replace."""
CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
"""How long a scheduler or a worker that is connected may take to answer."""
WITHOUT_WORKERS = 60
"""Seconds that a sweep waits for a worker of its cluster when there is none."""
LOOK_SECONDS = 2
"""How often a sweep asks whether its cluster still has workers."""
STARTING_SECONDS = 300
"""What a run may take beside its cells: a kernel that starts on a busy machine, files on their way."""
SCHEDULER_GONE = "the scheduler has gone"

FILES_BYTES = 100_000_000
"""What the files of a run on a cluster may have together; they travel with its result."""

Result = dict[str, Any]
"""What a run hands back: the executed `notebook` as text, its `record`, and the `files` that it wrote: the
folder they are in, or from a cluster their content by name."""


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
    report : called with the tally and the newest run's record, at the start (with None) and after every run
    timeout : seconds that the cells of a run may take; a run that takes longer is recorded as failed

    Raises SweepError if the scheduler cannot be reached or goes, has no workers, or they have other versions.
    """
    pending, tally = what_is_missing(plan, store, rerun_failed)
    report(tally, None)
    if not pending:
        return tally
    jobs = min(jobs or (os.cpu_count() or 1) + 1, len(pending))
    results = (
        _execute_there(scheduler, plan, pending, timeout)
        if scheduler
        else _execute_here(jobs, plan, pending, timeout, store.place)
    )
    with contextlib.closing(results):
        for identity, result in results:
            store.write(identity, result)
            ok = result["record"]["status"] == DONE
            tally = tally._replace(done=tally.done + ok, failed=tally.failed + (not ok))
            report(tally, result["record"])
    return tally


# --- One run, on this machine or on a worker ---


def execute(plan: Plan, parameters: dict[str, Value], timeout: float = TIMEOUT, place: str = "") -> Result:
    """Execute a plan's notebook in a kernel of its own.

    Needs nothing but its arguments and this package; of the plan, no runs.

    Parameters
    ----------
    plan, parameters, timeout : what to run, with what, and for how many seconds at most
    place : a folder to make for the run, which stays; without one, files come back in the result

    Raises SweepError if the software here is another than the plan's.
    """
    if other := difference(software(plan.imports), plan.software):  # on a worker that joined later
        raise SweepError(f"the worker on {platform.node()} has {other}; install the same on both")
    if place:
        return _execute_in(Path(place), plan, parameters, timeout)
    with tempfile.TemporaryDirectory(prefix="alhelpers-", ignore_cleanup_errors=True) as folder:
        result = _execute_in(Path(folder), plan, parameters, timeout)
        result["files"], result["record"]["left_out"] = _packed(result["files"])
    return result


def _execute_in(place: Path, plan: Plan, parameters: dict[str, Value], timeout: float) -> Result:
    began = time.time()
    target, folder = place / "notebook.ipynb", place / "files"
    notebook = executed = nbformat.reads(plan.source, as_version=4)
    found: dict[str, Any] = {}
    try:
        for attempt in range(1, KERNEL_ATTEMPTS + 1):
            found["attempts"] = attempt
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o700)
            folder.mkdir()
            error = notebooks.execute_notebook(notebook, target, parameters, folder, timeout, place)
            executed = nbformat.read(target, as_version=4) if target.exists() else notebook
            if not error or error["cell"] or kernels.ENDING.is_set():
                break  # otherwise it is not the notebook that failed: its kernel died, or did not start
        if not error:
            given = ", ".join(f"{name} {value}" for name, value in parameters.items())
            note = f"*A run of a sweep, with {given}. What the text says may be of other values.*"
            executed.cells.insert(0, nbformat.v4.new_markdown_cell(note, id="sweep-note"))
        # Where the run was: no part of what it found.
        for key in ("input_path", "output_path"):
            executed.metadata.get("papermill", {}).pop(key, None)
        text = nbformat.writes(executed)
        error = error or notebooks.history_error(executed)
        shown = {"history": list(notebooks.histories(executed)), "result": notebooks.result(executed)}
        json.dumps([text, shown], ensure_ascii=False).encode()  # half letters have no place in a file
        found |= shown
    except Exception as problem:  # whatever a notebook's outputs do to those who read them
        error, text = notebooks.failure(type(problem).__name__, problem), plan.source
    record = _record(
        parameters,
        error,
        **found,
        seconds=round(time.time() - began, 3),
        host=platform.node(),
        kernel="forked" if kernels.SERVER.works else "started",
        versions=plan.software | {"papermill": version("papermill")},
    )
    return {"notebook": text, "record": record, "files": str(folder)}


def _packed(folder: str) -> tuple[dict[str, bytes], list[str]]:
    """The files in a folder by name, and the names of those that are too large together with the others."""
    files, left_out, room = {}, [], FILES_BYTES
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if (size := path.stat().st_size) > room:
            left_out.append(name)
        else:
            files[name], room = path.read_bytes(), room - size
    return files, left_out


def _record(parameters: dict[str, Value], error: dict[str, Any] | None, **found: object) -> dict[str, Any]:
    """What run.json says of a run, beside its identity."""
    record = {"status": FAILED if error else DONE, "parameters": parameters, "error": error}
    record |= {"history": [], "result": {}, "left_out": [], "seconds": 0.0, "attempts": 0}
    return record | {"host": "", "kernel": "none", "versions": {}} | found


# --- All runs, on this machine ---


def _execute_here(
    jobs: int, plan: Plan, pending: list[PlannedRun], timeout: float, place: Callable[[str], Path]
) -> Iterator[tuple[str, Result]]:
    """Yield each run's identity and result."""
    bare = plan._replace(runs=[])

    def work(planned: PlannedRun) -> Result:
        return execute(bare, planned.parameters, timeout, str(place(planned.id)))

    try:
        with contextlib.closing(kernels.with_kernels(work, pending, jobs)) as ended:
            for planned, result in ended:
                yield planned.id, result
                shutil.rmtree(place(planned.id), ignore_errors=True)
    finally:
        for planned in pending:
            shutil.rmtree(place(planned.id), ignore_errors=True)


# --- All runs, on a cluster ---


def _execute_there(
    scheduler: str, plan: Plan, pending: list[PlannedRun], timeout: float
) -> Iterator[tuple[str, Result]]:
    """Have all pending runs done, a few ahead of what the workers can take; yield identities and results."""
    with _connected(scheduler) as client:
        _check_workers(client, plan)
        waiting, running, lost = iter(pending), {}, []
        while True:
            # Workers may have joined since.
            for planned in itertools.islice(waiting, max(1, 2 * _threads(client) - len(running))):
                running[_submit(client, plan, planned, timeout)] = planned
            if not running:
                break
            for ended in _first_ended(client, running, timeout):
                planned, result = running.pop(ended), _taken(client, ended, timeout)
                if isinstance(result, Exception):
                    lost.append(planned)
                else:
                    yield planned.id, result
        # A run that kills its worker takes down those beside it. Each alone, it shows which one it was.
        for planned in lost:
            (ended,) = _first_ended(client, {_submit(client, plan, planned, timeout)}, timeout)
            result = _taken(client, ended, timeout)
            if isinstance(result, Exception):
                result = {"notebook": plan.source, "record": _lost(planned, result)}
            yield planned.id, result


def _submit(client: "Client", plan: Plan, planned: PlannedRun, timeout: float) -> futures.Future:
    return client.submit(execute, plan._replace(runs=[]), planned.parameters, timeout, pure=False)


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator["Client"]:
    import dask
    from distributed import Client

    # Dask tells of lost and replaced workers in several lines each; the tally says what comes of it.
    dask.config.set({"distributed.logging.distributed": "critical"})
    for name in ("distributed", "distributed.client", "distributed.nanny", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _check_scheduler(scheduler)
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(Client(scheduler, timeout=CONNECT_SECONDS))
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as problem:
            raise SweepError(
                f"no Dask scheduler with a worker answers at {scheduler} within {CONNECT_SECONDS} s "
                f"({first_line(problem) or type(problem).__name__}); check the address and the workers"
            ) from None
        yield client


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


def warm_up(imports: tuple[str, ...]) -> dict[str, str]:
    """Let a worker begin the imports that its first run will wait for; return its `software`."""
    kernels.SERVER.start()
    return software(imports)


def _check_workers(client: "Client", plan: Plan) -> None:
    """Let all workers begin their imports; raise SweepError if one has other software or none."""
    try:
        found = client.run(warm_up, plan.imports, callback_timeout=ANSWER_SECONDS)
    except TimeoutError:
        raise SweepError(
            f"a worker does not answer within {ANSWER_SECONDS} s; end it, and give the same command again"
        ) from None
    except OSError:
        raise SweepError(SCHEDULER_GONE) from None
    except Exception as problem:
        raise SweepError(
            f"a worker cannot run alhelpers ({first_line(problem)}); install the same version on all of them"
        ) from None
    for address, there in found.items():
        if other := difference(there, plan.software):
            raise SweepError(f"the worker at {address} has {other}; install the same on both")


def _threads(client: "Client") -> int:
    """Of all workers together. Raises SweepError if the scheduler does not answer."""
    try:
        return sum(client.nthreads(callback_timeout=ANSWER_SECONDS).values())
    except OSError:
        raise SweepError(SCHEDULER_GONE) from None


def _first_ended(client: "Client", running: Collection, timeout: float = TIMEOUT) -> set:
    """Those futures that have ended, once one has.

    Raises SweepError if no worker is left to do them, or if they take longer than their limit allows.
    """
    from distributed import CancelledError, wait

    last_seen = began = time.monotonic()
    most = KERNEL_ATTEMPTS * (timeout + STARTING_SECONDS)
    while True:
        try:
            return wait(list(running), timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            pass
        except CancelledError:  # raised for all at once when the connection is lost
            raise SweepError(SCHEDULER_GONE) from None
        if client.status not in ("running", "connecting"):
            raise SweepError(SCHEDULER_GONE)
        if _threads(client):
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > WITHOUT_WORKERS:
            raise SweepError(f"the cluster has had no worker for {WITHOUT_WORKERS} s; start one")
        if time.monotonic() - began > most:
            raise SweepError(f"no run has ended on the cluster for {most:.0f} s; restart its workers")


def _taken(client: "Client", ended: futures.Future, timeout: float) -> Result | Exception:
    """The result of a run, or what kept its workers from having one. Raises SweepError if the cluster did."""
    from distributed import CancelledError

    try:
        for _ in range(KERNEL_ATTEMPTS):
            # A result that was on a worker that died is computed again, if there is another worker.
            with contextlib.suppress(TimeoutError):
                return ended.result(timeout=ANSWER_SECONDS)
            _first_ended(client, {ended}, timeout)
        return TimeoutError("its result did not come back from the worker")
    except SweepError:
        raise
    except CancelledError:
        raise SweepError(SCHEDULER_GONE) from None
    except Exception as problem:  # its worker died again and again, or could not hand the result on
        if client.status != "running":
            raise SweepError(SCHEDULER_GONE) from None
        return problem
    finally:
        ended.release()  # type: ignore[attr-defined]  # a future of Dask's


def _lost(planned: PlannedRun, problem: Exception) -> dict[str, Any]:
    """The record of a run that no worker could finish."""
    from distributed import KilledWorker

    died = "every worker that began this run died" if isinstance(problem, KilledWorker) else None
    error = notebooks.failure(type(problem).__name__, died or first_line(problem))
    return _record(planned.parameters, error)
