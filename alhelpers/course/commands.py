"""The commands for teachers, and for whoever sets it up."""

# The doctor has to start where packages are missing, and to say so: see `alhelpers.cli`.
from __future__ import annotations

import argparse
from pathlib import Path

from alhelpers.cli import command


def add(parsers: argparse._SubParsersAction) -> None:
    """Declare the commands."""
    command(parsers, "doctor", examine)
    bundle = command(parsers, "bundle", make_bundle)
    machines = "learners' machines beside this one: 3.12/win_amd64 3.13/macosx_14_0_arm64 …"
    bundle.add_argument("targets", nargs="*", metavar="PYTHON/PLATFORM", help=machines)
    out = "folder to write (default %(default)s)"
    bundle.add_argument("--out", type=Path, default=Path("build/bundle"), help=out)


def examine(_: argparse.Namespace) -> int:
    """Check that everything the tutorial needs is here and works, and say what to do where it does not."""
    from alhelpers.course import doctor

    return doctor.examine()


def make_bundle(options: argparse.Namespace) -> int:
    """Gather the repository and the packages it needs in a folder, to install from without a network."""
    from alhelpers.course import bundle

    bundle.make_bundle(options.out, options.targets)
    return 0
