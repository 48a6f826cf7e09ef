"""What a command says, and where that cannot be written: told apart from the files that it writes."""

# The doctor has to start where packages are missing, and to say so: see `alhelpers.cli`.
from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CLOSED = 128 + 13
"""The exit code of a program that SIGPIPE ends."""


class OutputError(OSError):
    """Standard output cannot be written, although somebody reads it."""


class Output:
    """A stream whose failures are OutputErrors, or BrokenPipeErrors if nobody reads it any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        return self._do(self._stream.write, text)

    def flush(self) -> None:
        """Write what is still in memory."""
        self._do(self._stream.flush)

    def _do(self, function: Any, *arguments: str) -> Any:
        try:
            return function(*arguments)
        except OSError as problem:
            # Python would try once more after the end, and tell of it in its own words.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if isinstance(problem, BrokenPipeError):
                raise
            raise OutputError(problem.errno, problem.strerror) from None


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """What is printed within comes out, with a mark for letters that are not there, or raises as `Output`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # no work is lost to a letter that this terminal lacks
            stream.reconfigure(errors="replace")
    with contextlib.redirect_stdout(sys.stdout and Output(sys.stdout)):
        try:
            yield
        finally:
            print(end="", flush=True)


def complain(text: str) -> None:
    """Say what somebody should know beside what a command prints."""
    print(f"alhelpers: {text}", file=sys.stderr)


def in_words(problem: OSError | ValueError, out: Path | None = None) -> str:
    """What went wrong, in a sentence. `out` is the folder that was to be written, if any."""
    if not (isinstance(problem, OSError) and problem.strerror):
        return str(problem)
    if isinstance(problem, OutputError | BrokenPipeError):
        return f"cannot write to standard output: {problem.strerror}; send it elsewhere"
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the working folder has been deleted; change to another"
    place = problem.filename or out or "a file"
    if out and Path(place).absolute().parent in (out.absolute(), *out.absolute().parents):
        return f"cannot write to {out}: {problem.strerror}; see to that, or give another folder to --out"
    return f"cannot use {place}: {problem.strerror}"
