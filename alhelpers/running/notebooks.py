"""Run the notebooks and collect what they show: executed notebooks, figures as PNG, one table of all fits."""

import base64
import contextlib
import csv
import json
import logging
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import nbformat
from nbformat import NotebookNode

from alhelpers.errors import UserError
from alhelpers.files import atomic_write, replacing
from alhelpers.learner import Fit, History
from alhelpers.running import RESULT_MIME, one_line

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
README_FIGURE = REPOSITORY / "docs" / "learning-curve.png"
# ipykernel warns about unencrypted TCP at every start; these kernels talk to their parent on this machine.
KERNEL_ARGUMENTS = ["--log-level=ERROR"]
FIT_COLUMNS: dict[str, type] = Fit.__annotations__
"""What a row of a notebook's history has."""
TIMEOUT = 3600.0
"""Seconds that a notebook may take from its first cell on, unless somebody says otherwise."""


class Outcome(NamedTuple):
    """How one notebook went: its name, the seconds it took, and the error, empty if there was none."""

    name: str
    seconds: float
    error: str


def find_notebooks(folder: Path = NOTEBOOKS) -> list[Path]:
    """The tutorial's notebooks in reading order. Raises FileNotFoundError if the folder has none."""
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise FileNotFoundError(
            f"no notebooks in {folder}; name one, or run this in an environment made in the repository"
        )
    return notebooks


def run_notebooks(
    notebooks: Sequence[Path], out: Path, jobs: int, report: Callable[[Outcome], None] = lambda _: None
) -> tuple[list[Outcome], list[dict]]:
    """Execute notebooks with papermill and write what they show to a folder that appears whole.

    The folder holds the executed notebooks (NAME.ipynb, or NAME.failed.ipynb), figures/NAME-K.png and
    history.csv. It replaces `out`; until everything is written the old `out` stays as it was.

    Parameters
    ----------
    notebooks : paths of the notebooks
    out : the folder to write
    jobs : notebooks to run at the same time
    report : called with each outcome as soon as it is known

    Returns the outcomes and the rows of history.csv.

    Raises UserError if two notebooks have one name, ValueError if `out` holds something else than an earlier
    run, OSError if it cannot be written.
    """
    name, most = Counter(notebook.stem for notebook in notebooks).most_common(1)[0]
    if most > 1:
        raise UserError(f"{most} notebooks are called {name}; give each a name of its own or run them apart")
    for notebook in notebooks:
        try:
            content = nbformat.read(notebook, as_version=4)
        except Exception:
            continue  # what is damaged, in whatever way, fails by itself
        check_kernel(notebook, content)
    with replacing(out.resolve()) as fresh:
        (fresh / "figures").mkdir()
        outcomes = _in_parallel(partial(_execute_into, fresh), notebooks, jobs, report)
        return outcomes, _collect(fresh)


def execute_notebook(
    notebook: Path | NotebookNode,
    target: Path,
    parameters: dict[str, object],
    folder: Path,
    timeout: float = TIMEOUT,
    scratch: Path | None = None,
) -> dict[str, object] | None:
    """Execute a notebook with papermill in a fresh kernel and write the executed one to `target`.

    Parameters
    ----------
    notebook : path of a notebook, or a notebook
    target : the file to write; a notebook in which a cell fails is written as far as it got
    parameters : values for its parameters cell
    folder : the kernel's working directory
    timeout : seconds that all its cells together may take
    scratch : a folder that goes with the kernel should this process be killed

    Returns
    -------
    None, or a dict that tells the error: `cell` (its execution count, or None), `line` (the first line of
    the cell), `name` (of the exception) and `message`.
    """
    from alhelpers.running import kernels

    kernels.SERVER.start()  # imports TensorFlow while this process imports papermill
    import papermill

    for name in ("papermill", "traitlets", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the answer says what went wrong
    limit = _Limit(timeout)
    connection = target.with_name(f".{target.stem}.kernel.json")
    try:
        papermill.execute_notebook(
            notebook,
            str(target),
            parameters=parameters,
            progress_bar=False,
            timeout_func=limit,
            execution_timeout=math.ceil(timeout),  # of what is no cell
            autosave_cell_every=0,
            request_save_on_cell_execute=False,
            # papermill's own `cwd` would move this process, and with it the runs in its other threads.
            resources={"metadata": {"path": str(folder)}},
            kernel_name="python3",
            extra_arguments=KERNEL_ARGUMENTS,
            kernel_manager_class=kernels.kernel_manager_class(connection, scratch),
            shutdown_kernel="immediate",  # all it could say has been received
        )
    except papermill.PapermillExecutionError as problem:
        return failure(problem.ename, problem.evalue, problem.exec_count, problem.source)
    except Exception as problem:
        return _failure_of_no_cell(problem, limit)
    finally:
        connection.unlink(missing_ok=True)
    return None


def _failure_of_no_cell(problem: Exception, limit: "_Limit") -> dict[str, object]:
    """What ended a notebook, if it was none of its cells: the limit, its kernel, or its file."""
    if limit.is_over():
        message = f"the notebook took longer than its limit of {limit.seconds:g} s"
        return failure("TimeoutError", message, limit.cells, limit.source)
    hint = "; `alhelpers doctor` may know why" if "Kernel died before" in str(problem) else ""
    return failure(type(problem).__name__, f"{problem}{hint}")


def check_kernel(path: Path, notebook: NotebookNode) -> None:
    """Raise UserError unless a notebook is in Python and asks for the kernel of this environment, or none."""
    spec = notebook.metadata.get("kernelspec", {})
    language = spec.get("language") or notebook.metadata.get("language_info", {}).get("name") or "python"
    if language.lower() != "python":
        raise UserError(f"{path} is a notebook in {language}; only Python notebooks can be run")
    name = spec.get("name") or "python3"
    if name != "python3" and not _starts_this_python(name):
        raise UserError(
            f"{path} asks for the kernel {name} ({spec.get('display_name', 'no name')}), which is not this "
            "environment's; choose Python 3 in the notebook, or run this in the environment of that kernel"
        )


def _starts_this_python(kernel: str) -> bool:
    from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec

    try:
        program = get_kernel_spec(kernel).argv[0]
    except (NoSuchKernel, OSError, ValueError, IndexError):
        return False
    # A bare name is this Python to Jupyter.
    return program in ("python", "python3") or Path(program).parent == Path(sys.executable).parent


class _Limit:
    """How long a notebook may take; asked by nbclient before each cell, it knows which one is running."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, math.inf
        self.cells, self.source = 0, ""

    def __call__(self, cell: NotebookNode) -> float:
        """The seconds that are left for the notebook and so for the cell."""
        now = time.monotonic()
        self._end = min(self._end, now + self.seconds)  # from the first cell on
        self.cells, self.source = self.cells + 1, cell.source
        return max(self._end - now, 1e-3)  # 0 would be no limit

    def is_over(self) -> bool:
        return time.monotonic() >= self._end


def failure(name: str, message: object, cell: int | None = None, source: str = "") -> dict[str, object]:
    """An error as `execute_notebook` tells it."""
    return {"cell": cell, "line": first_line(source), "name": name, "message": one_line(message)}


def history_error(notebook: NotebookNode) -> dict[str, object] | None:
    """The error of a notebook that shows a history with other rows than `FIT_COLUMNS` says, if it does."""
    if odd := next((row for row in histories(notebook) if not _is_fit(row)), None):
        message = f"the notebook shows a history with the row {odd}; a row has {', '.join(FIT_COLUMNS)}"
        return failure("HistoryError", message)
    return None


def _is_fit(row: object) -> bool:
    if not isinstance(row, dict) or row.keys() != FIT_COLUMNS.keys() or not isinstance(row["stage"], str):
        return False
    whole = all(type(row[name]) is int and abs(row[name]) < 2**63 for name in ("n_labels", "steps"))
    return whole and type(row["accuracy"]) in (int, float) and abs(row["accuracy"]) < 2**63


def describe(error: dict[str, object] | None) -> str:
    """An error of `execute_notebook` in one line, empty if there was none."""
    if not error:
        return ""
    where = f"cell {error['cell']}: " if error["cell"] else ""
    return f"{where}{error['name']}: {error['message']}"


def refresh_notebooks(
    notebooks: Sequence[Path], jobs: int, report: Callable[[Outcome], None]
) -> list[Outcome]:
    """Execute the committed notebooks in place, each in a fresh kernel, and rewrite the README's figure.

    A notebook that fails keeps its old contents.
    """
    with tempfile.TemporaryDirectory(prefix="alhelpers-") as folder:
        outcomes = _in_parallel(partial(_refresh, Path(folder)), notebooks, jobs, report)
    for notebook in notebooks:
        if notebook.resolve() == NOTEBOOKS / "06_active_learning.ipynb":
            # The learning curve is the third figure of notebook 06.
            README_FIGURE.parent.mkdir(exist_ok=True)
            atomic_write(README_FIGURE, list(figures(nbformat.read(notebook, as_version=4)))[2])
    return outcomes


def figures(notebook: NotebookNode) -> Iterator[bytes]:
    """Every PNG among a notebook's outputs, in order."""
    for output in outputs(notebook):
        if "image/png" in output.get("data", {}):
            yield base64.b64decode(output["data"]["image/png"])


def histories(notebook: NotebookNode) -> Iterator[dict]:
    """Every row of every history among a notebook's outputs, in order."""
    for output in outputs(notebook):
        rows = output.get("data", {}).get(History.MIME, [])
        yield from rows if isinstance(rows, list) else [rows]


def result(notebook: NotebookNode) -> dict[str, object]:
    """What a notebook gave to `sweep_result`, by name. Raises ValueError if it shows something else."""
    found: dict[str, object] = {}
    for output in outputs(notebook):
        shown = output.get("data", {}).get(RESULT_MIME, "{}")
        try:
            found |= json.loads(shown)
            if not all(
                value is None or isinstance(value, bool | int | float | str) for value in found.values()
            ):
                raise TypeError
        except (TypeError, ValueError):
            raise ValueError(
                f"the notebook shows {shown!r:.80} as a result; give it by sweep_result"
            ) from None
    return found


def outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """Every output of every code cell, in order."""
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def _in_parallel(
    work: Callable[[Path], Outcome], notebooks: Sequence[Path], jobs: int, report: Callable[[Outcome], None]
) -> list[Outcome]:
    """Call `work` for every notebook, at most `jobs` at a time."""
    from alhelpers.running import kernels

    outcomes = []
    # The last notebooks are the longest: started first, none is left running alone at the end.
    ended = kernels.with_kernels(work, notebooks[::-1], jobs)
    with contextlib.closing(ended):
        for _, outcome in ended:
            outcomes.append(outcome)
            report(outcome)
    return sorted(outcomes)


def _execute_into(folder: Path, notebook: Path) -> Outcome:
    start, name = time.monotonic(), notebook.stem
    target = folder / f"{name}.ipynb"
    error = execute_notebook(notebook, target, {}, folder)
    if error and not error["cell"]:  # its kernel did not start, or died: on a busy machine that happens
        error = execute_notebook(notebook, target, {}, folder)
    error = error or history_error(nbformat.read(target, as_version=4))
    if error and target.exists():
        target.rename(folder / f"{name}.failed.ipynb")
    return Outcome(name, time.monotonic() - start, describe(error))


def _refresh(scratch: Path, path: Path) -> Outcome:
    # Not by papermill, which would leave its traces and takes `sys.exit(0)` for the end of the notebook.
    from nbclient import NotebookClient

    from alhelpers.running import kernels

    start, error = time.monotonic(), ""
    try:
        notebook = nbformat.read(path, as_version=4)
        check_kernel(path, notebook)
        client = NotebookClient(
            notebook,
            timeout=600,
            record_timing=False,
            coalesce_streams=True,  # one output, however the prints arrived
            kernel_name="python3",
            extra_arguments=KERNEL_ARGUMENTS,
            kernel_manager_class=kernels.kernel_manager_class(scratch / f"{uuid4()}.json"),
        )
        try:
            client.execute()
        except RuntimeError:  # its kernel did not start, or died: on a busy machine that happens
            if kernels.ENDING.is_set():
                raise
            client.execute()
        atomic_write(path, as_committed(notebook))
    except Exception as failure:  # of a cell it has the traceback; its exception's own words are enough
        name, words = (getattr(failure, part, "") for part in ("ename", "evalue"))
        error = f"{name or type(failure).__name__}: {one_line(words or failure)}"
    return Outcome(path.stem, time.monotonic() - start, error)


def as_committed(notebook: NotebookNode) -> str:
    """An executed notebook as the text of its file, without when it ran and in which Python.

    Of the language stay the name and the ending of its files: nbconvert and pages of notebooks go by them.
    """
    language = notebook.metadata.get("language_info", {})
    for key in language.keys() - {"name", "file_extension"}:
        del language[key]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _collect(folder: Path) -> list[dict]:
    rows = []
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        name = path.stem.removesuffix(".failed")
        for k, png in enumerate(figures(notebook), 1):
            (folder / "figures" / f"{name}-{k}.png").write_bytes(png)
        rows += [{"notebook": name, **row} for row in histories(notebook) if _is_fit(row)]
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["notebook", *FIT_COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def first_line(text: object) -> str:
    """The first line of a text or an error, at most 200 characters."""
    return next(iter(str(text).strip().splitlines()), "")[:200]
