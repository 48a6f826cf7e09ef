"""Run and check the notebooks, sweep one over its parameters, and set the tutorial up on other machines."""

# `alhelpers doctor` has to start where packages are missing or Python is too old, and to say so: packages are
# imported by the functions that need them, and types are not evaluated.
from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any


def command(parsers: Any, name: str, function: Callable[..., int]) -> argparse.ArgumentParser:
    """Declare a command: the function, told by its docstring, takes the options and returns the exit code."""
    told = function.__doc__ or ""
    text = told[:1].lower() + told[1:].rstrip(".")
    parser = parsers.add_parser(name, help=text, description=text)
    parser.set_defaults(function=function)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 for success, 1 if something failed, 2 for a wrong call."""
    from alhelpers.running.output import CLOSED, in_words, standard_output

    options = argparse.Namespace()
    try:
        with standard_output():
            options = _parse(arguments)
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped is stopped, however asked
            return options.function(options)
    except BrokenPipeError:
        return CLOSED  # whoever reads what is said, such as `head`, has had enough
    except (OSError, ValueError) as problem:
        why = in_words(problem, getattr(options, "out", None))
    except ModuleNotFoundError as problem:
        why = f"{problem}; `alhelpers doctor` says what to install"
    except KeyboardInterrupt:
        print("alhelpers: stopped; nothing is half-written", file=sys.stderr)
        return 130
    print(f"alhelpers: {why}", file=sys.stderr)
    return 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    from alhelpers.course import commands as course
    from alhelpers.running import commands as running

    parser = argparse.ArgumentParser(prog="alhelpers", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    running.add(parsers)
    course.add(parsers)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        hint = "; write -p NAME=VALUES, as in -p batch_size=5,10" if options.command == "sweep" else ""
        parser.error(f"{' '.join(unknown)} is not understood{hint}")
    if (jobs := getattr(options, "jobs", None)) is not None and jobs < 1:
        raise ValueError(f"--jobs is {jobs}; give 1 or more")
    if not 0 < getattr(options, "timeout", 1) < 1e9:
        raise ValueError(f"--timeout is {options.timeout:g}; give a number of seconds above 0, below 1e9")
    return options
