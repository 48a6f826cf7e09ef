"""Run the notebooks, renew their committed outputs, sweep one over many parameters, or see what is wrong."""

# `alhelpers doctor` has to start where packages are missing or Python is too old, and to say so: packages are
# imported by the commands that need them, and types are not evaluated.
from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alhelpers.running.notebooks import Outcome

_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], tuple[Any, ...]]] = {}
"""Of each command: the function that does it, and its arguments."""


def _argument(*names: str, **settings: object) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, settings


def _command(name: str, *arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Make a function a command, which its docstring explains; it returns the exit code."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        _COMMANDS[name] = function, arguments
        return function

    return register


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 for success, 1 if something failed, 2 for a wrong call."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # no work is lost to a letter that this terminal lacks
            stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(prog="alhelpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, its_arguments) in _COMMANDS.items():
        told = function.__doc__ or ""
        text = told[:1].lower() + told[1:].rstrip(".")
        command = commands.add_parser(name, help=text, description=text)
        for names, settings in its_arguments:
            command.add_argument(*names, **settings)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        hint = "; write -p NAME=VALUES, as in -p batch_size=5,10" if options.command == "sweep" else ""
        parser.error(f"{' '.join(unknown)} is not understood{hint}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped is stopped, however it is asked for
    function, _ = _COMMANDS[options.command]
    try:
        if (jobs := getattr(options, "jobs", None)) is not None and jobs < 1:
            raise ValueError(f"--jobs is {jobs}; give 1 or more")
        if not getattr(options, "timeout", 1) > 0:
            raise ValueError(f"--timeout is {options.timeout:g}; give a number of seconds above 0")
        return function(options)
    except (OSError, ValueError) as problem:
        print(f"alhelpers: {problem}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as problem:
        print(f"alhelpers: {problem}; `alhelpers doctor` says what to install", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("alhelpers: stopped; nothing is half-written", file=sys.stderr)
        return 130


_NOTEBOOKS = _argument("notebooks", nargs="*", type=Path, help="notebooks; by default all of the tutorial")
_JOBS = _argument(
    "--jobs",
    type=int,
    default=min(os.cpu_count() or 1, 4),
    help="notebooks at the same time (default %(default)s)",
)


def _out(default: str) -> tuple[Any, ...]:
    return _argument("--out", type=Path, default=Path(default), help="folder to write (default %(default)s)")


@_command("run", _NOTEBOOKS, _JOBS, _out("build/run"))
def _run_notebooks(options: argparse.Namespace) -> int:
    """Execute the notebooks into a folder and compare with the article."""
    from alhelpers import article, models
    from alhelpers.running import notebooks
    from alhelpers.running.progress import NotebookProgress

    engine, given = models.engine(), _existing(options.notebooks)
    with NotebookProgress(len(given)) as progress:
        outcomes = notebooks.run_notebooks(given, options.out, options.jobs, progress)
    rows = notebooks.read_history(options.out / "history.csv")
    print(f"\n{article.table({row['stage']: row['accuracy'] for row in rows})}\n")
    print(
        f"Executed notebooks, figures/ and history.csv ({len(rows)} fits, by {engine}) are in {options.out}"
    )
    return _exit_code(outcomes)


@_command("refresh", _NOTEBOOKS, _JOBS)
def _refresh_notebooks(options: argparse.Namespace) -> int:
    """Execute the committed notebooks in place."""
    from alhelpers.running import notebooks
    from alhelpers.running.progress import NotebookProgress

    given = _existing(options.notebooks)
    with NotebookProgress(len(given)) as progress:
        return _exit_code(notebooks.refresh_notebooks(given, options.jobs, progress))


@_command(
    "sweep",
    _argument("notebook", type=Path, help="a notebook with a cell tagged `parameters`"),
    _argument(
        "-p",
        dest="assignments",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="a list (batch_size=5,10,20) or a range (seed=0:20 is 0 to 19); can be given more than once",
    ),
    _argument("--grid", type=Path, help="a YAML file of names and values, beside -p"),
    _argument("--zip", action="store_true", help="pair the values, first with first"),
    _argument("--skip-impossible", action="store_true", help="leave out what the notebook would refuse"),
    _argument("--out", type=Path, required=True, help="folder for the runs and their results"),
    _argument("--dry-run", action="store_true", help="print the plan and run nothing"),
    _argument("--rerun-failed", action="store_true", help="do runs that failed again"),
    _argument("--jobs", type=int, help="runs at the same time on this machine (default: processors + 1)"),
    _argument(
        "--timeout",
        type=float,
        default=3600,
        metavar="SECONDS",
        help="that the cells of a run may take together before it counts as failed (default %(default)s)",
    ),
    _argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler to run on, such as tcp://10.0.0.5:8786"
    ),
)
def _sweep_notebook(options: argparse.Namespace) -> int:
    """Run a notebook for every combination of parameters; given again, it does what is missing."""
    needed = ["jinja2", "pyarrow", "yaml", *(["distributed"] if options.scheduler else [])]
    if missing := [name for name in needed if not find_spec(name)]:
        raise ValueError(
            f"a sweep needs {' and '.join(missing)}, which the tutorial does not; "
            f"install what is missing with: pip install {' '.join(missing).replace('yaml', 'pyyaml')}"
        )
    from alhelpers.running import terminal

    return terminal.plan_and_sweep(options)


@_command("exact", _out("build/exact"))
def _compare_engines(options: argparse.Namespace) -> int:
    """Run the article's 403 fits with TensorFlow, NumPy and JavaScript, and compare with the notebooks'."""
    from alhelpers.running import exact, notebooks

    if exact.check(notebooks.NOTEBOOKS, options.out):
        print(f"Exact on this machine; every fit is in {options.out}")
        return 0
    print(
        "alhelpers: not exact on this machine; please report the first difference with what "
        "`alhelpers doctor` says of it",
        file=sys.stderr,
    )
    return 1


@_command("doctor")
def _examine(_: argparse.Namespace) -> int:
    """Check that everything the tutorial needs is here and works, and say what to do where it does not."""
    from alhelpers.course import doctor

    return doctor.examine()


@_command(
    "bundle",
    _argument(
        "targets",
        nargs="*",
        metavar="PYTHON/PLATFORM",
        help="learners' machines beside this one: 3.12/win_amd64 3.13/macosx_14_0_arm64 …",
    ),
    _out("build/bundle"),
)
def _make_bundle(options: argparse.Namespace) -> int:
    """Gather the repository and the packages it needs in a folder, to install from without a network."""
    from alhelpers.course import bundle

    bundle.make_bundle(options.out, options.targets)
    return 0


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
        print(f"alhelpers: {outcome.name} failed at {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
