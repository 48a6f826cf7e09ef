"""Importing tells processors that could round differently to multiply alike, and loads nothing slow early."""

import os
import subprocess
import sys

import pytest

from alhelpers.arithmetic import SAME_KERNELS, knows_avx2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked, not a file")
def test_what_an_older_or_another_processor_does_not_know_is_not_asked_of_it(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    assert not knows_avx2(cpuinfo), "there is no such file"
    for flags, known in (("sse2 avx2 bmi2", True), ("sse2 avx avx512f", False), ("asimd", False)):
        cpuinfo.write_text(f"processor: 0\nflags: fpu {flags} vme\n")
        assert knows_avx2(cpuinfo) == known


def test_importing_the_package_sets_it_for_a_numpy_that_comes_later_but_replaces_no_choice():
    code = "import alhelpers, os, sys; print(os.environ.get('OPENBLAS_CORETYPE'), 'numpy' in sys.modules)"
    for given in (None, "Zen"):
        env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
        env |= {"OPENBLAS_CORETYPE": given} if given else {}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [str(given or SAME_KERNELS.get("OPENBLAS_CORETYPE")), "False"]


@pytest.mark.parametrize(
    ("program", "slow"),
    [
        ("alhelpers; alhelpers.load_mnist(); alhelpers.plots; alhelpers.check_parameters", {"tensorflow"}),
        ("alhelpers.evidence.experiments", {"tensorflow"}),
        (
            "alhelpers.labelling.ledger, alhelpers.labelling.images",
            {"tensorflow", "nbformat", "pyarrow", "scipy"},
        ),
    ],
)
def test_what_is_slow_is_loaded_only_where_it_is_needed(program, slow):
    code = f"import sys; import {program}; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
