"""A sweep as the command line does it: its plan, its runs, its results, and how it ended, in sentences."""

import sys

from alhelpers.running import kernels, summary
from alhelpers.running.grid import SweepError
from alhelpers.running.plan import Plan
from alhelpers.running.progress import SweepProgress
from alhelpers.running.store import Store, Tally, what_is_missing
from alhelpers.running.sweep import run_sweep


def print_plan(plan: Plan, store: Store, rerun_failed: bool) -> None:
    """Say what would run."""
    store.check()
    print(f"{_counted(len(plan.runs))} of {plan.notebook}")
    for name in plan.runs[0].parameters:
        values = list(dict.fromkeys(planned.parameters[name] for planned in plan.runs))
        shown = values if len(values) <= 8 else [*values[:4], "…", values[-1]]
        count = f"  ({len(values)} values)" if len(values) > 1 else ""
        print(f"  {name:<18}{', '.join(map(str, shown))}{count}")
    pending, tally = what_is_missing(plan, store, rerun_failed)
    there = f"{tally.done:,} done and {tally.failed:,} failed in {store.folder} already"
    print(f"{there}, {len(pending):,} would run")


def sweep(
    plan: Plan, store: Store, scheduler: str | None, jobs: int | None, rerun_failed: bool, timeout: float
) -> int:
    """Run what is missing; however that ends, write the results of what is there, and say how it was.

    Returns the exit code.
    """
    if not (kernels.CAN_FORK or scheduler):
        print("alhelpers: kernels cannot be forked here, so each run starts one, which takes seconds longer")
    why, code = "", 0
    with SweepProgress(plan) as progress:
        try:
            run_sweep(plan, store, scheduler, jobs, rerun_failed, progress, timeout)
        except KeyboardInterrupt:
            why, code = "stopped", 130
        except SweepError as problem:
            why, code = str(problem), 2
        except OSError as problem:
            where = problem.filename or store.folder
            why, code = f"cannot write to {where}: {problem.strerror or problem}", 2
    tally = progress.tally
    if not why:
        return _tell(tally, store, summary.write_results(plan, store))
    if tally.ended:
        why += f"; {tally.ended:,} of {_counted(tally.planned)} are there"
        try:
            summary.write_results(plan, store)
            why += " and their results written"
        except (OSError, SweepError) as problem:
            why += f", without their results ({problem})"
        why += "; the same command goes on from them"
    print(f"alhelpers: {why}", file=sys.stderr)
    return code


def _tell(tally: Tally, store: Store, without_history: int) -> int:
    """Say how a sweep that has ended by itself went; return its exit code."""
    print(
        f"{tally.done:,} of {_counted(tally.planned)} done ({tally.earlier:,} were there before), "
        f"{tally.failed:,} failed; see summary.html, results.csv and results.parquet in {store.folder}"
    )
    if others := len(store.known()) - tally.planned:
        print(f"{_counted(others)} of other sweeps in {store.folder} are not in these results")
    if without_history:
        print(
            f"alhelpers: {_counted(without_history)} showed no history and have no row in the results; "
            "end a cell of the notebook with `learner.history`",
            file=sys.stderr,
        )
    if tally.failed:
        print(
            f"alhelpers: {tally.failed:,} failed; summary.html says why, and --rerun-failed does them again",
            file=sys.stderr,
        )
    return 1 if tally.failed else 0


def _counted(n: int) -> str:
    return f"{n:,} run{'' if n == 1 else 's'}"
