"""Compare ways to run notebook 06 for 3 batch sizes and 4 seeds, and check that they find the same.

Writes SWEEP.md beside this file. If two ways differ in an accuracy, says where, writes nothing and exits with
status 1.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import nbformat
import papermill
from bench import cpu_name, n_cores, say
from nbclient import NotebookClient

from alhelpers.files import draft_of
from alhelpers.running import notebooks

NOTEBOOK = notebooks.NOTEBOOKS / "06_active_learning.ipynb"
GRID = [{"batch_size": b, "seed": s} for b, s in product((5, 10, 20), range(4))]
SCRIPTS = Path(sys.executable).parent

Found = dict[tuple[int, int], list[float]]
"""Accuracies of every run, by batch size and seed."""


def accuracies(notebook: nbformat.NotebookNode) -> list[float]:
    """Of all fits that a notebook shows."""
    return [fit["accuracy"] for fit in notebooks.histories(notebook)]


def papermill_loop(folder: Path) -> Found:
    """One `papermill` command after the other, as a shell loop has it."""
    found = {}
    for parameters in GRID:
        target = folder / "out.ipynb"
        words = [str(word) for name, value in parameters.items() for word in ("-p", name, value)]
        command = [SCRIPTS / "papermill", NOTEBOOK, target, *words]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        found[parameters["batch_size"], parameters["seed"]] = accuracies(nbformat.read(target, as_version=4))
    return found


def reused_kernel(folder: Path) -> Found:
    """One kernel for all runs, with `%reset -f` before each: modules and TensorFlow's state stay."""
    found = {}
    client = NotebookClient(
        nbformat.read(NOTEBOOK, as_version=4),
        kernel_name="python3",
        extra_arguments=notebooks.KERNEL_ARGUMENTS,
    )
    with client.setup_kernel():
        for parameters in GRID:
            client.nb = papermill.execute_notebook(str(NOTEBOOK), None, parameters, prepare_only=True)
            client.nb.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
            for number, cell in enumerate(client.nb.cells):
                client.execute_cell(cell, number)
            found[parameters["batch_size"], parameters["seed"]] = accuracies(client.nb)
    return found


def sweep(folder: Path, **environment: str) -> Found:
    """`alhelpers sweep`."""
    command = [SCRIPTS / "alhelpers", "sweep", NOTEBOOK, "-p", "batch_size=5,10,20", "-p", "seed=0:4"]
    subprocess.run(
        [*command, "--out", folder / "out"],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    found = {}
    for path in (folder / "out" / "runs").glob("*/run.json"):
        record = json.loads(path.read_text())
        key = record["parameters"]["batch_size"], record["parameters"]["seed"]
        found[key] = [fit["accuracy"] for fit in record["history"]]
    return found


def started_sweep(folder: Path) -> Found:
    """`alhelpers sweep` where kernels cannot be forked."""
    return sweep(folder, ALHELPERS_FORK="0")


WAYS: dict[str, Callable[[Path], Found]] = {
    "`papermill` command, 12 times": papermill_loop,
    "one kernel reused, `%reset -f` between runs (not clean)": reused_kernel,
    "`alhelpers sweep`, kernels started": started_sweep,
    "`alhelpers sweep`, kernels forked": sweep,
}


def main() -> None:
    """Measure each way once, from the start of its process to its last result."""
    seconds, first = {}, None
    for name, way in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found = way(Path(folder))
            seconds[name] = time.monotonic() - began
        first = first or found
        for key in first:
            if found.get(key) != first[key]:
                sys.exit(f"{name} gives other accuracies than the first way for batch size and seed {key}")
        say(f"{name}: {seconds[name]:.1f} s")
    slowest = next(iter(seconds.values()))
    lines = [
        f"| {name} | {value:.1f} | {60 * len(GRID) / value:.1f} | {slowest / value:.1f} |"
        for name, value in seconds.items()
    ]
    text = f"""# Ways to run a sweep

Written by `benchmarks/sweep.py`: notebook 06 for 3 batch sizes and 4 seeds, 12 runs, each way once, one after
the other. All accuracies of all runs were equal; otherwise nothing is written.

| way | seconds | runs a minute | times as fast |
| --- | --: | --: | --: |
{chr(10).join(lines)}

Machine: {cpu_name()}, {n_cores()} cores; {platform.system()}, Python {platform.python_version()}. Seconds go
from the start of the first process to the last result.
"""
    results = Path(__file__).with_name("SWEEP.md")
    with draft_of(results) as draft:
        draft.write_text(text, encoding="utf-8")
    say(f"wrote {results.name}")


if __name__ == "__main__":
    main()
