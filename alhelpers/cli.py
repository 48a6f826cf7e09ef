"""Run the notebooks, renew their committed outputs, sweep one over many parameters, or see what is wrong."""

# `alhelpers doctor` has to start where packages are missing or Python is too old, and to say so: packages are
# imported by the functions that need them, and types are not evaluated.
from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], tuple[Any, ...]]] = {}
"""Of each command: the function that does it, and its arguments."""


def argument(*names: str, **settings: object) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What argparse's `add_argument` takes."""
    return names, settings


def out_folder(default: str) -> tuple[Any, ...]:
    """The argument --out."""
    return argument("--out", type=Path, default=Path(default), help="folder to write (default %(default)s)")


def command(name: str, *arguments: tuple[Any, ...]) -> Callable[..., Any]:
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
    for wing in ("running", "course"):
        import_module(f"alhelpers.{wing}.commands")  # they register their commands
    parser = argparse.ArgumentParser(prog="alhelpers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, its_arguments) in _COMMANDS.items():
        told = function.__doc__ or ""
        text = told[:1].lower() + told[1:].rstrip(".")
        its_parser = commands.add_parser(name, help=text, description=text)
        for names, settings in its_arguments:
            its_parser.add_argument(*names, **settings)
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
