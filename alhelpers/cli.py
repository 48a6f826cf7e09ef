"""Run the notebooks, renew their committed outputs, sweep one over many parameters, or see what is wrong."""

# `alhelpers doctor` has to start where packages are missing or Python is too old, and to say so: packages are
# imported by the commands that need them, and types are not evaluated.
from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alhelpers.running import notebooks as run
    from alhelpers.running import plan as plans
    from alhelpers.running import store as stores


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alhelpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("run", "execute the notebooks into a folder and compare with the article"),
        ("refresh", "execute the committed notebooks in place"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "notebooks", nargs="*", type=Path, help="notebooks; by default all of the tutorial"
        )
        command.add_argument(
            "--jobs",
            type=int,
            default=min(os.cpu_count() or 1, 4),
            help="notebooks at the same time (default %(default)s)",
        )
        if name == "run":
            command.add_argument(
                "--out", type=Path, default=Path("build/run"), help="folder to write (default %(default)s)"
            )
    _add_sweep(commands)
    text = "check that everything the tutorial needs is here and works, and say what to do where it does not"
    commands.add_parser("doctor", help=text, description=text).set_defaults(jobs=None)
    text = "gather the repository and the packages it needs in a folder, to install from without a network"
    command = commands.add_parser("bundle", help=text, description=text)
    command.set_defaults(jobs=None)
    command.add_argument(
        "targets",
        nargs="*",
        metavar="PYTHON/PLATFORM",
        help="learners' machines beside this one: 3.12/win_amd64 3.13/macosx_14_0_arm64 …",
    )
    command.add_argument(
        "--out", type=Path, default=Path("build/bundle"), help="folder to write (default %(default)s)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 for success, 1 if something failed, 2 for a wrong call."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        hint = "; write -p NAME=VALUES, as in -p batch_size=5,10" if options.command == "sweep" else ""
        parser.error(f"{' '.join(unknown)} is not understood{hint}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped is stopped, however it is asked for
    try:
        if options.jobs is not None and options.jobs < 1:
            raise ValueError(f"--jobs is {options.jobs}; give 1 or more")
        if options.command == "sweep" and not options.timeout > 0:
            raise ValueError(f"--timeout is {options.timeout:g}; give a number of seconds above 0")
        if options.command == "sweep":
            return _sweep(options)
        if options.command == "doctor":
            from alhelpers.course import doctor

            return doctor.examine()
        if options.command == "bundle":
            from alhelpers.course import bundle

            bundle.make_bundle(options.out, options.targets)
            return 0
        from alhelpers.running import notebooks as run

        notebooks = options.notebooks or run.find_notebooks()
        for notebook in notebooks:
            if not notebook.is_file():
                raise ValueError(f"there is no notebook {notebook}; give the path of an .ipynb file")
        return _run(options, notebooks) if options.command == "run" else _refresh(options, notebooks)
    except (OSError, ValueError) as problem:
        print(f"alhelpers: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("alhelpers: stopped; nothing is half-written", file=sys.stderr)
        return 130


def _add_sweep(commands: argparse._SubParsersAction) -> None:
    text = "run a notebook for every combination of parameters; given again, it does what is missing"
    command = commands.add_parser("sweep", help=text, description=text)
    command.add_argument("notebook", type=Path, help="a notebook with a cell tagged `parameters`")
    command.add_argument(
        "-p",
        dest="assignments",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="a list (batch_size=5,10,20) or a range (seed=0:20 is 0 to 19); can be given more than once",
    )
    command.add_argument("--grid", type=Path, help="a YAML file of names and values, beside -p")
    command.add_argument("--out", type=Path, required=True, help="folder for the runs and their results")
    command.add_argument("--dry-run", action="store_true", help="print the plan and run nothing")
    command.add_argument("--rerun-failed", action="store_true", help="do runs that failed again")
    command.add_argument(
        "--jobs", type=int, help="runs at the same time on this machine (default: processors + 1)"
    )
    command.add_argument(
        "--timeout",
        type=float,
        default=3600,
        metavar="SECONDS",
        help="that each cell of a run may take before the run counts as failed (default %(default)s)",
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler to run on, such as tcp://10.0.0.5:8786"
    )


def _sweep(options: argparse.Namespace) -> int:
    missing = [name for name in ("distributed", "pyarrow", "yaml") if not find_spec(name)]
    if missing:
        print(
            f"alhelpers: a sweep needs {' and '.join(missing)}, which the tutorial does not; "
            "install them with: pip install -e '.[sweep]'",
            file=sys.stderr,
        )
        return 2
    from alhelpers.running import plan as plans
    from alhelpers.running import store as stores

    try:
        if options.jobs and options.scheduler:
            raise plans.SweepError("--jobs is for this machine; with --scheduler the workers' threads decide")
        grid = plans.parse_assignments(options.assignments)
        from_file = plans.read_grid(options.grid) if options.grid else {}
        for name in grid.keys() & from_file.keys():
            raise plans.SweepError(f"{name} is given by -p and by {options.grid}; keep one of them")
        plan = plans.make_plan(options.notebook, from_file | grid)
        store = stores.Store(options.out)
        return (
            _print_plan(plan, store, options.rerun_failed)
            if options.dry_run
            else _do_sweep(options, plan, store)
        )
    except plans.SweepError as problem:
        print(f"alhelpers: {problem}", file=sys.stderr)
        return 2


def _print_plan(plan: plans.Plan, store: stores.Store, rerun_failed: bool) -> int:
    from alhelpers.running import store as stores
    from alhelpers.running import sweep

    first = plan.runs[0].parameters
    store.check()
    print(f"{sweep.counted(len(plan.runs))} of {plan.notebook}")
    for name, default in first.items():
        values = (
            list(dict.fromkeys(run.parameters[name] for run in plan.runs))
            if name in plan.varied
            else [default]
        )
        shown = values if len(values) <= 8 else [*values[:4], "…", values[-1]]
        print(
            f"  {name:<18}{', '.join(map(str, shown))}"
            + (f"  ({len(values)} values)" if len(values) > 1 else "")
        )
    pending, tally = stores.what_is_missing(plan, store, rerun_failed)
    there = f"{tally.done:,} done and {tally.failed:,} failed in {store.folder} already"
    print(f"{there}, {len(pending):,} would run")
    return 0


def _do_sweep(options: argparse.Namespace, plan: plans.Plan, store: stores.Store) -> int:
    from tqdm import tqdm

    from alhelpers.running import kernels, summary, sweep
    from alhelpers.running import notebooks as run
    from alhelpers.running import store as stores

    tally = stores.Tally(len(plan.runs), 0, 0, 0)
    bar = tqdm(total=len(plan.runs), unit="run", disable=None, leave=False, smoothing=0.05)

    def report(now: stores.Tally, record: dict | None) -> None:
        nonlocal tally
        tally = now
        if record is None:
            bar.reset(total=now.planned)
            bar.initial = now.earlier
        elif record["status"] == stores.FAILED:
            given = "".join(f"{name}={record['parameters'][name]} " for name in plan.varied)
            bar.write(
                f"failed: {given.strip() + ': ' if given else ''}{run.describe(record['error'])}",
                file=sys.stderr,
            )
        bar.n = now.done + now.failed
        bar.set_postfix_str(f"{now.failed} failed", refresh=True)
        ended = now.done + now.failed
        if bar.disable and record and ended * 10 // now.planned > (ended - 1) * 10 // now.planned:
            print(f"{ended:,} of {now.planned:,} runs ended, {now.failed:,} failed", flush=True)

    if not (kernels.CAN_FORK or options.scheduler):
        print("alhelpers: kernels cannot be forked here, so each run starts one, which takes seconds longer")
    try:
        store.open()
        sweep.run_sweep(
            plan, store, options.scheduler, options.jobs, options.rerun_failed, report, options.timeout
        )
        summary.write_results(plan, store)
    except KeyboardInterrupt:
        bar.close()
        there = f"{tally.done + tally.failed:,} of {tally.planned:,} runs there"
        if tally.done + tally.failed:
            summary.write_results(plan, store)
            there += " and their results written"
        print(f"alhelpers: stopped with {there}; the same command goes on from them", file=sys.stderr)
        return 130
    except OSError as problem:
        print(
            f"alhelpers: cannot write to {problem.filename or store.folder}: {problem.strerror or problem}; "
            f"{tally.done + tally.failed:,} of {tally.planned:,} runs are there, "
            "and the same command goes on from them",
            file=sys.stderr,
        )
        return 2
    finally:
        bar.close()
        store.close()
    return _tell(tally, store)


def _tell(tally: stores.Tally, store: stores.Store) -> int:
    """Say how a sweep that has ended by itself went; return its exit code."""
    from alhelpers.running import sweep

    print(
        f"{tally.done:,} of {sweep.counted(tally.planned)} done ({tally.earlier:,} were there before), "
        f"{tally.failed:,} failed; see summary.html, results.csv and results.parquet in {store.folder}"
    )
    if others := len(store.known()) - tally.planned:
        print(f"{sweep.counted(others)} of other sweeps in {store.folder} are not in these results")
    if tally.failed:
        print(
            f"alhelpers: {tally.failed:,} failed; summary.html says why, and --rerun-failed does them again",
            file=sys.stderr,
        )
    return 1 if tally.failed else 0


def _run(options: argparse.Namespace, notebooks: Sequence[Path]) -> int:
    from alhelpers import article
    from alhelpers.running import notebooks as run

    with _Progress(len(notebooks)) as progress:
        outcomes = run.run_notebooks(notebooks, options.out, options.jobs, progress)
    rows = run.read_history(options.out / "history.csv")
    measured = {row["stage"]: row["accuracy"] for row in rows}
    print(f"\n{article.table(measured)}\n")
    print(f"Executed notebooks, figures/ and history.csv ({len(rows)} fits) are in {options.out}")
    return _exit_code(outcomes)


def _refresh(options: argparse.Namespace, notebooks: Sequence[Path]) -> int:
    from alhelpers.running import notebooks as run

    with _Progress(len(notebooks)) as progress:
        return _exit_code(run.refresh_notebooks(notebooks, options.jobs, progress))


class _Progress:
    """A line for every notebook that is done, and a bar while a person is looking."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=total, unit="notebook", leave=False, disable=None)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, outcome: run.Outcome) -> None:
        self.bar.write(f"{outcome.name:<22}{outcome.seconds:6.1f} s  {outcome.error or 'ok'}")
        self.bar.update()


def _exit_code(outcomes: Sequence[run.Outcome]) -> int:
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        print(f"alhelpers: {outcome.name} failed at {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
