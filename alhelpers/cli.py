"""`alhelpers run` executes the notebooks, `alhelpers refresh` renews their committed outputs."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from alhelpers import article, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 for success, 1 if a notebook failed, 2 for a wrong call."""
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
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped is stopped, however it is asked for
    try:
        if options.jobs < 1:
            raise ValueError(f"--jobs is {options.jobs}; give 1 or more")
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


def _run(options: argparse.Namespace, notebooks: Sequence[Path]) -> int:
    with _Progress(len(notebooks)) as progress:
        outcomes = run.run_notebooks(notebooks, options.out, options.jobs, progress)
    rows = run.read_history(options.out / "history.csv")
    measured = {row["stage"]: row["accuracy"] for row in rows}
    print(f"\n{article.table(measured)}\n")
    print(f"Executed notebooks, figures/ and history.csv ({len(rows)} fits) are in {options.out}")
    return _exit_code(outcomes)


def _refresh(options: argparse.Namespace, notebooks: Sequence[Path]) -> int:
    with _Progress(len(notebooks)) as progress:
        return _exit_code(run.refresh_notebooks(notebooks, options.jobs, progress))


class _Progress:
    """A line for every notebook that is done, and a bar while a person is looking."""

    def __init__(self, total: int) -> None:
        self.bar = tqdm(total=total, unit="notebook", leave=False, disable=None)

    def __enter__(self) -> "_Progress":
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
