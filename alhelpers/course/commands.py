"""The commands for teachers, and for whoever sets it up."""

# The doctor has to start where packages are missing, and to say so: see `alhelpers.cli`.
from __future__ import annotations

import argparse

from alhelpers.cli import argument, command, out_folder


@command("doctor")
def examine(_: argparse.Namespace) -> int:
    """Check that everything the tutorial needs is here and works, and say what to do where it does not."""
    from alhelpers.course import doctor

    return doctor.examine()


@command(
    "bundle",
    argument(
        "targets",
        nargs="*",
        metavar="PYTHON/PLATFORM",
        help="learners' machines beside this one: 3.12/win_amd64 3.13/macosx_14_0_arm64 …",
    ),
    out_folder("build/bundle"),
)
def make_bundle(options: argparse.Namespace) -> int:
    """Gather the repository and the packages it needs in a folder, to install from without a network."""
    from alhelpers.course import bundle

    bundle.make_bundle(options.out, options.targets)
    return 0
