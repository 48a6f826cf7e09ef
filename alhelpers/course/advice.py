"""What every check of the doctor needs: where things are, and how to say what to do about them.

Starts on Pythons that are too old and without a single package, as all that the doctor needs to speak.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]  # not from alhelpers.running, which needs packages
LOCK = REPOSITORY / "requirements.lock"
RESTORE = "; restore it with"
"""Where messages about the files in the package begin to say what to do, with long paths."""


class Problem(Exception):  # noqa: N818 - not an error of the program
    """What is wrong and what to do, in one sentence; `command` is shown below it on a line of its own."""

    def __init__(self, sentence: str, command: str = "") -> None:
        super().__init__(sentence)
        self.command = command


def few(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def in_environment() -> bool:
    """Whether this Python has packages of its own."""
    return sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()


def install_command(*options: str) -> str:
    """How to install what the lock names into this environment, from the folder wheels/ if there is one."""
    prefix = Path(sys.prefix)
    unfinished = (prefix / ".made-by-alhelpers").exists() and not (prefix / ".packages").exists()
    if unfinished or not in_environment():
        return f"{'py' if os.name == 'nt' else 'python3'} tutorial.py install"
    if not LOCK.exists():
        return " ".join([python(), "-m pip install", *options, "alhelpers"])
    if (REPOSITORY / "wheels").is_dir():
        options = ("--no-index --find-links", short(REPOSITORY / "wheels"), *options)
    return " ".join([python(), "-m pip install", *options, "--require-hashes -r", short(LOCK)])


def python() -> str:
    """This Python as one types it."""
    return short(sys.executable)


def short(path: str | Path) -> str:
    """A path as one types it here: relative if that is shorter, in quotation marks if it has spaces."""
    path = Path(path)
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f'"{path}"' if " " in str(path) else str(path)


def last_line(output: bytes) -> str:
    """The last line of what a program printed, or nothing."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
