"""Run the notebooks and collect what they show: executed notebooks, figures as PNG, one table of all fits."""

import base64
import csv
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from alhelpers.files import atomic_write, replacing

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
README_FIGURE = REPOSITORY / "docs" / "learning-curve.png"
HISTORY_MIME = "application/vnd.alhelpers.history+json"
# ipykernel warns about unencrypted TCP at every start; these kernels talk to their parent on this machine.
KERNEL_ARGUMENTS = ["--log-level=ERROR"]
HISTORY_COLUMNS = ("notebook", "stage", "n_labels", "accuracy", "steps")


class Outcome(NamedTuple):
    """How one notebook went: its name, the seconds it took, and the error, empty if there was none."""

    name: str
    seconds: float
    error: str


def find_notebooks(folder: Path = NOTEBOOKS) -> list[Path]:
    """The tutorial's notebooks in reading order. Raises FileNotFoundError if the folder has none."""
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise FileNotFoundError(f"no notebooks in {folder}; run this from a clone of the repository")
    return notebooks


def run_notebooks(
    notebooks: Sequence[Path], out: Path, jobs: int, report: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Execute notebooks with papermill and write what they show to a folder that appears whole.

    The folder holds the executed notebooks (NAME.ipynb, or NAME.failed.ipynb), figures/NAME-K.png and
    history.csv. It replaces `out`; until everything is written the old `out` stays as it was.

    Parameters
    ----------
    notebooks : paths of the notebooks
    out : the folder to write
    jobs : notebooks to run at the same time
    report : called with each outcome as soon as it is known

    Raises ValueError if `out` holds something else than an earlier run, OSError if it cannot be written.
    """
    _share_processors(jobs)
    with replacing(out.resolve(), "history.csv") as fresh:
        (fresh / "figures").mkdir()
        outcomes = _in_parallel([(_run_one, notebook, fresh) for notebook in notebooks], jobs, report)
        _collect(fresh)
    return outcomes


def execute_notebook(
    notebook: Path | NotebookNode,
    target: Path,
    parameters: dict[str, object],
    folder: Path,
    timeout: float | None = None,
) -> dict[str, object] | None:
    """Execute a notebook with papermill in a fresh kernel and write the executed one to `target`.

    Parameters
    ----------
    notebook : path of a notebook, or a notebook
    target : the file to write; a notebook that fails is written as far as it got
    parameters : values for its parameters cell
    folder : the kernel's working directory
    timeout : seconds that each cell may take, if there is a limit

    Returns
    -------
    None, or a dict that tells the error: `cell` (its execution count, of one that
    ran too long its place among the code cells, or None), `line` (the first line of the
    cell), `name` (of the exception) and `message`.
    """
    start_fork_server()  # imports TensorFlow while this process imports papermill
    import papermill
    from nbclient.exceptions import CellTimeoutError

    from alhelpers.running import kernels

    try:
        papermill.execute_notebook(
            notebook,
            str(target),
            parameters=parameters,
            progress_bar=False,
            execution_timeout=timeout,
            autosave_cell_every=0,
            request_save_on_cell_execute=False,
            # papermill's own `cwd` would move this process, and with it the runs in its other threads.
            resources={"metadata": {"path": str(folder)}},
            kernel_name="python3",
            extra_arguments=KERNEL_ARGUMENTS,
            kernel_manager_class=kernels.kernel_manager_class(),
            shutdown_kernel="immediate",  # all it could say has been received
        )
    except papermill.PapermillExecutionError as failure:
        line = next(iter(failure.source.strip().splitlines()), "")
        return {
            "cell": failure.exec_count,
            "line": line,
            "name": failure.ename,
            "message": _one_line(failure.evalue),
        }
    except CellTimeoutError as failure:
        return _timed_out(failure, notebook, timeout, injected=bool(parameters))
    except Exception as failure:
        return {"cell": None, "line": "", "name": type(failure).__name__, "message": _one_line(failure)}
    return None


def _timed_out(
    failure: Exception, notebook: Path | NotebookNode, timeout: float, injected: bool
) -> dict[str, object]:
    """The error of a notebook whose cell ran too long; nbclient's message shows it between two lines."""
    content = nbformat.read(notebook, as_version=4) if isinstance(notebook, Path) else notebook
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    preview = re.split(r"\n-{3,}\n", str(failure))
    line = preview[1].strip().splitlines()[0] if len(preview) > 1 else ""
    tagged = next((i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", ())), -1)
    # papermill puts the values given into a cell of their own, after the tagged one or on top.
    places = [
        i + 1 + (injected and i > tagged) for i, cell in enumerate(cells) if line and line in cell.source
    ]
    number = places[0] if len(places) == 1 else None  # two cells alike: better none than the wrong one
    message = f"the cell took longer than the limit of {timeout:g} s"
    return {"cell": number, "line": line, "name": "CellTimeoutError", "message": message}


def describe(error: dict[str, object] | None) -> str:
    """An error of `execute_notebook` in one line, empty if there was none."""
    if not error:
        return ""
    where = f"cell {error['cell']}: " if error["cell"] else ""
    return f"{where}{error['name']}: {error['message']}"


def start_fork_server() -> None:
    """Let the process that kernels are forked from begin its imports, where this system can fork."""
    from alhelpers.running import kernels

    if kernels.SERVER.works:
        kernels.SERVER.start()


def refresh_notebooks(
    notebooks: Sequence[Path], jobs: int, report: Callable[[Outcome], None]
) -> list[Outcome]:
    """Execute the committed notebooks in place, each in a fresh kernel, and rewrite the README's figure.

    A notebook that fails keeps its old contents.
    """
    _share_processors(jobs)
    outcomes = _in_parallel([(_refresh_one, notebook) for notebook in notebooks], jobs, report)
    for notebook in notebooks:
        if notebook.resolve() == NOTEBOOKS / "06_active_learning.ipynb":
            # The learning curve is the second figure of notebook 06.
            README_FIGURE.parent.mkdir(exist_ok=True)
            atomic_write(README_FIGURE, list(figures(nbformat.read(notebook, as_version=4)))[1])
    return outcomes


def figures(notebook: NotebookNode) -> Iterator[bytes]:
    """Every PNG among a notebook's outputs, in order."""
    for output in outputs(notebook):
        if "image/png" in output.get("data", {}):
            yield base64.b64decode(output["data"]["image/png"])


def histories(notebook: NotebookNode) -> Iterator[dict]:
    """Every row of every history among a notebook's outputs, in order."""
    for output in outputs(notebook):
        yield from output.get("data", {}).get(HISTORY_MIME, ())


def outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """Every output of every code cell, in order."""
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def read_history(file: Path) -> list[dict]:
    """The rows of a history.csv, with numbers as numbers."""
    with file.open(newline="", encoding="utf-8") as lines:
        return [
            row
            | {
                "n_labels": int(row["n_labels"]),
                "accuracy": float(row["accuracy"]),
                "steps": int(row["steps"]),
            }
            for row in csv.DictReader(lines)
        ]


def _in_parallel(tasks: Sequence[tuple], jobs: int, report: Callable[[Outcome], None]) -> list[Outcome]:
    """Call (function, *arguments) for every task, at most `jobs` at a time, each in another process."""
    outcomes = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            # The last notebooks are the longest: started first, none is left running alone at the end.
            for done in as_completed([pool.submit(*task) for task in reversed(tasks)]):
                outcomes.append(done.result())
                report(outcomes[-1])
        except BrokenProcessPool:
            raise OSError(
                "a worker process was killed, and its notebook with it; nothing is half-written; run again, "
                "with --jobs 1 if memory is short"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():  # and with them their kernels, which watch their parent
                worker.terminate()
            raise
    return sorted(outcomes)


def _run_one(notebook: Path, folder: Path) -> Outcome:
    start, name = time.monotonic(), notebook.stem
    target = folder / f"{name}.ipynb"
    error = execute_notebook(notebook, target, {}, folder)
    if error and target.exists():
        target.rename(folder / f"{name}.failed.ipynb")
    return Outcome(name, time.monotonic() - start, describe(error))


def _refresh_one(path: Path) -> Outcome:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    start = time.monotonic()
    try:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(
            notebook,
            timeout=600,
            record_timing=False,
            coalesce_streams=True,  # one output, however the prints arrived
            kernel_name="python3",
            extra_arguments=KERNEL_ARGUMENTS,
        ).execute()
        # The Python that ran the notebook is no part of what it says.
        notebook.metadata.pop("language_info", None)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        atomic_write(path, (nbformat.writes(notebook).rstrip("\n") + "\n").encode())
    except CellExecutionError as failure:
        return Outcome(path.stem, time.monotonic() - start, f"{failure.ename}: {failure.evalue}")
    except Exception as failure:
        return Outcome(path.stem, time.monotonic() - start, f"{type(failure).__name__}: {_one_line(failure)}")
    return Outcome(path.stem, time.monotonic() - start, "")


def _collect(folder: Path) -> None:
    rows = []
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        name = path.name.split(".")[0]
        for k, png in enumerate(figures(notebook), 1):
            (folder / "figures" / f"{name}-{k}.png").write_bytes(png)
        rows += [{"notebook": name, **row} for row in histories(notebook)]
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _share_processors(jobs: int) -> None:
    """Share the processors among the kernels that run at the same time; accuracies are the same."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    for name in ("TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, threads)


def _one_line(failure: object) -> str:
    return re.sub(r"\s+", " ", str(failure)).strip()[:300]
