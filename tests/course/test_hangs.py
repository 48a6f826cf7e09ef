"""A test that hangs is named and ends what it started; a kernel that does not start gets a second chance."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
# Its child starts a process of its own and waits, as a notebook's kernel may.
HANGING = """
import subprocess, sys, time

CHILD = "import subprocess as s, sys; s.run([sys.executable, '-c', 'import time; time.sleep(600)'])"

def test_that_hangs():
    subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=True)
    time.sleep(600)

def test_after_it():
    pass
"""
CELL = nbformat.v4.new_code_cell("print(2 * 3)", execution_count=1)
CELL.outputs = [nbformat.v4.new_output("stream", text="6\n")]
# As if the machine were too busy the first time.
NOT_AT_FIRST = """
import nbval.kernel
starts, start = [], nbval.kernel.start_new_kernel

def start_new_kernel(**settings):
    starts.append(1)
    if len(starts) <= {fails}:
        raise RuntimeError("Kernel didn't respond in 60 seconds")
    return start(**settings)

nbval.kernel.start_new_kernel = start_new_kernel
"""


def run_tests(folder, *arguments):
    """What pytest says of the tests in a folder, with the conftest.py of this repository."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "--rootdir", str(folder), *arguments]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there a test that times out ends all of its worker")
def test_a_test_that_hangs_is_named_and_leaves_no_process_behind(tmp_path):
    (tmp_path / "test_it.py").write_text(HANGING)
    said = run_tests(tmp_path, "--timeout=3")
    assert "FAILED test_it.py::test_that_hangs - Failed: Timeout (>3.0s)" in said
    assert "1 failed, 1 passed" in said
    left = []
    for process in psutil.process_iter():
        try:
            left += [process] if "test_that_hangs" in process.environ().get("PYTEST_CURRENT_TEST", "") else []
        except psutil.Error:
            continue
    assert not left


@pytest.mark.parametrize(("fails", "outcome"), [(1, "1 passed"), (2, "didn't respond in 60 seconds")])
def test_a_kernel_that_does_not_start_is_started_again_once(tmp_path, fails, outcome):
    nbformat.write(nbformat.v4.new_notebook(cells=[CELL]), tmp_path / "one.ipynb")
    (tmp_path / "busy.py").write_text(NOT_AT_FIRST.format(fails=fails))
    assert outcome in run_tests(tmp_path, "-p", "busy", "--nbval", "one.ipynb")
