"""A sweep as the command line does it: its plan, its runs, its results, and how it ended, in sentences."""

import argparse

from alhelpers.running import kernels
from alhelpers.running.grid import SweepError, parse_assignments, read_grid
from alhelpers.running.output import complain, in_words
from alhelpers.running.plan import Plan, make_plan
from alhelpers.running.progress import SweepProgress
from alhelpers.running.store import Store, Tally, what_is_missing
from alhelpers.running.sweep import FILES_BYTES, run_sweep

MOST_NOTES = 10


def plan_and_sweep(options: argparse.Namespace) -> int:
    """Do what the command line's options ask for; return the exit code. Raises SweepError."""
    if options.jobs and options.scheduler:
        raise SweepError("--jobs is for this machine; with --scheduler the workers' threads decide")
    grid = parse_assignments(options.assignments)
    from_file = read_grid(options.grid) if options.grid else {}
    for name in grid.keys() & from_file.keys():
        raise SweepError(f"{name} is given by -p and by {options.grid}; keep one of them")
    given = from_file | grid
    plan = make_plan(options.notebook, given, zipped=options.zip, skip_impossible=options.skip_impossible)
    store = Store(options.out)
    if options.dry_run:
        print_plan(plan, store, options.rerun_failed)
        return 0
    with store:
        return sweep(plan, store, options)


def print_plan(plan: Plan, store: Store, rerun_failed: bool) -> None:
    """Say what would run."""
    store.check()
    tell_notes(plan)
    print(f"{_counted(len(plan.runs))} of {plan.notebook}")
    for name in plan.runs[0].parameters:
        values = list(dict.fromkeys(planned.parameters[name] for planned in plan.runs))
        shown = values if len(values) <= 8 else [*values[:4], "…", values[-1]]
        count = f"  ({len(values)} values)" if len(values) > 1 else ""
        print(f"  {name:<18}{', '.join(map(str, shown))}{count}")
    pending, tally = what_is_missing(plan, store, rerun_failed)
    there = f"{tally.done:,} done and {tally.failed:,} failed in {store.folder} already"
    print(f"{there}, {len(pending):,} would run")


def tell_notes(plan: Plan) -> None:
    """Say what differs from what was asked for."""
    for note in plan.notes[:MOST_NOTES]:
        complain(note)
    if len(plan.notes) > MOST_NOTES:
        complain(f"and {len(plan.notes) - MOST_NOTES:,} more like these")


def sweep(plan: Plan, store: Store, options: argparse.Namespace) -> int:
    """Run what is missing; however that ends, write the results of what is there, and say how it was.

    Returns the exit code.
    """
    if not options.scheduler:
        kernels.SERVER.start()
    from alhelpers.running import summary  # noqa: F401 - as long as the other's imports: both at once

    if not (kernels.CAN_FORK or options.scheduler):
        print("alhelpers: kernels cannot be forked here, so each run starts one, which takes seconds longer")
    tell_notes(plan)
    why, code = "", 0
    with SweepProgress(plan) as progress:
        try:
            chosen = options.scheduler, options.jobs, options.rerun_failed
            run_sweep(plan, store, *chosen, progress, options.timeout)
        except KeyboardInterrupt:
            why, code = "stopped", 130
        except SweepError as problem:
            why, code = str(problem), 2
        except OSError as problem:
            why, code = in_words(problem, store.folder), 2
    tally = progress.tally
    if not why:
        return _tell(plan, tally, store, _write_results(plan, store))
    if tally.ended:
        why += f"; {tally.ended:,} of {_counted(tally.planned)} are there"
        try:
            _write_results(plan, store)
            why += " and their results written"
        except (OSError, SweepError) as problem:
            why += f", without their results ({getattr(problem, 'strerror', None) or problem})"
        why += "; the same command goes on from them"
    complain(why)
    return code


def _write_results(plan: Plan, store: Store) -> int:
    """As `summary.write_results`; say which of those before are kept."""
    from alhelpers.running import summary

    nothing = summary.write_results(plan, store)
    for name, aside in store.kept:
        complain(f"{name} was changed since a sweep wrote it; what it was is in {aside!r}")
    return nothing


def _tell(plan: Plan, tally: Tally, store: Store, nothing: int) -> int:
    """Say how a sweep that has ended by itself went; return its exit code."""
    print(
        f"{tally.done:,} of {_counted(tally.planned)} done ({tally.earlier:,} were there before), "
        f"{tally.failed:,} failed; see summary.html, runs.csv and results.csv in {store.folder}"
    )
    if others := len(store.known()) - tally.planned:
        print(f"{_counted(others)} of other sweeps in {store.folder} are not in these results")
    if nothing:
        complain(
            f"{_counted(nothing)} showed neither a history nor a result; end a cell with "
            "`learner.history`, or call `sweep_result(accuracy=…)` of alhelpers.running"
        )
    left_out = [record["id"] for _, record in store.recorded(plan.runs) if record.get("left_out")]
    if left_out:
        complain(
            f"{_counted(len(left_out))} wrote more than the {FILES_BYTES / 1e6:g} MB that come from a "
            f"cluster; run.json names the files that did not, as in {store.runs / left_out[0]}"
        )
    if tally.failed:
        complain(f"{tally.failed:,} failed; summary.html says why, and --rerun-failed does them again")
    return 1 if tally.failed else 0


def _counted(n: int) -> str:
    return f"{n:,} run{'' if n == 1 else 's'}"
