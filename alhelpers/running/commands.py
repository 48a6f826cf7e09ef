"""The commands that run notebooks: all of the tutorial, one of them many times, and the article's fits."""

# Packages are imported by the commands that need them: see `alhelpers.cli`.
from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from alhelpers.cli import command
from alhelpers.running.output import complain

if TYPE_CHECKING:
    from alhelpers.running.notebooks import Outcome


def add(parsers: argparse._SubParsersAction) -> None:
    """Declare the commands."""
    run = command(parsers, "run", run_notebooks)
    refresh = command(parsers, "refresh", refresh_notebooks)
    sweep = command(parsers, "sweep", sweep_notebook)
    exact = command(parsers, "exact", compare_engines)
    for one in (run, refresh):
        one.add_argument("notebooks", nargs="*", type=Path, help="notebooks; by default all of the tutorial")
        one.add_argument(
            "--jobs",
            type=int,
            default=min(os.cpu_count() or 1, 4),
            help="notebooks at the same time (default %(default)s)",
        )
    for one, default in ((run, "build/run"), (exact, "build/exact")):
        one.add_argument(
            "--out", type=Path, default=Path(default), help="folder to write (default %(default)s)"
        )
    _add_sweep_arguments(sweep.add_argument)


def _add_sweep_arguments(add: Callable[..., object]) -> None:
    add("notebook", type=Path, help="a notebook with a cell tagged `parameters`")
    add(
        "-p",
        dest="assignments",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="a list (batch_size=5,10,20) or a range (seed=0:20 is 0 to 19); can be given more than once",
    )
    add("--grid", type=Path, help="a YAML file of names and values, beside -p")
    add("--zip", action="store_true", help="pair the values, first with first")
    add("--skip-impossible", action="store_true", help="leave out what the notebook would refuse")
    add("--out", type=Path, required=True, help="folder for the runs and their results")
    add("--dry-run", action="store_true", help="print the plan and run nothing")
    add("--rerun-failed", action="store_true", help="do runs that failed again")
    add("--jobs", type=int, help="runs at the same time on this machine (default: processors + 1)")
    add(
        "--timeout",
        type=float,
        default=3600,
        metavar="SECONDS",
        help="that the cells of a run may take together before it counts as failed (default %(default)s)",
    )
    add("--scheduler", metavar="ADDRESS", help="a Dask scheduler to run on, such as tcp://10.0.0.5:8786")


def run_notebooks(options: argparse.Namespace) -> int:
    """Execute the notebooks into a folder and compare with the article."""
    from alhelpers import article, models
    from alhelpers.running import notebooks
    from alhelpers.running.progress import NotebookProgress

    engine, given = models.engine(), _existing(options.notebooks)
    with NotebookProgress(len(given)) as progress:
        outcomes, rows = notebooks.run_notebooks(given, options.out, options.jobs, progress)
    print(f"\n{article.table({row['stage']: row['accuracy'] for row in rows})}\n")
    print(
        f"Executed notebooks, figures/ and history.csv ({len(rows)} fits, by {engine}) are in {options.out}"
    )
    return _exit_code(outcomes)


def refresh_notebooks(options: argparse.Namespace) -> int:
    """Execute the committed notebooks in place."""
    from alhelpers.running import notebooks
    from alhelpers.running.progress import NotebookProgress

    given = _existing(options.notebooks)
    with NotebookProgress(len(given)) as progress:
        return _exit_code(notebooks.refresh_notebooks(given, options.jobs, progress))


def sweep_notebook(options: argparse.Namespace) -> int:
    """Run a notebook for every combination of parameters; given again, it does what is missing."""
    needed = ["jinja2", "pyarrow", "yaml", *(["distributed"] if options.scheduler else [])]
    if missing := [name for name in needed if not find_spec(name)]:
        raise ValueError(
            f"a sweep needs {' and '.join(missing)}, which the tutorial does not; "
            f"install what is missing with: pip install {' '.join(missing).replace('yaml', 'pyyaml')}"
        )
    from alhelpers.running import terminal

    return terminal.plan_and_sweep(options)


def compare_engines(options: argparse.Namespace) -> int:
    """Run the article's 403 fits with TensorFlow, NumPy and JavaScript, and compare with the notebooks'."""
    from alhelpers import models
    from alhelpers.running import exact, notebooks

    models.engine()  # every engine is tried, whichever is asked for; but not if that is none
    if exact.check(notebooks.NOTEBOOKS, options.out):
        print(f"Exact on this machine; every fit is in {options.out}")
        return 0
    complain(
        "not exact on this machine; please report the first difference with what "
        "`alhelpers doctor` says of it"
    )
    return 1


def _existing(given: Sequence[Path]) -> Sequence[Path]:
    """The notebooks given, or all. Raises ValueError if one is not there."""
    from alhelpers.running.notebooks import find_notebooks

    for notebook in given:
        if not notebook.is_file():
            raise ValueError(f"there is no notebook {notebook}; give the path of an .ipynb file")
    return given or find_notebooks()


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        complain(f"{outcome.name} failed at {outcome.error}")
    return 1 if failed else 0
