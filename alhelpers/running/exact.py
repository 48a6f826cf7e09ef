"""Whether "exact" holds on this machine: the article's fits, with each engine, beside the notebooks' own."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from alhelpers.data import Dataset, load_mnist, read_mnist
from alhelpers.errors import UserError
from alhelpers.files import draft_of, replacing
from alhelpers.learner import ActiveLearner, Fit, History
from alhelpers.models import ENGINES
from alhelpers.running import one_line

TIMEOUT = 3600
"""Seconds that an engine may take."""
EXACT, NOT_EXACT, CANNOT_RUN = 0, 1, 2
"""Exit codes of this module as a program."""
JAVASCRIPT = Path(__file__).resolve().parents[2] / "site" / "try" / "exact.mjs"
"""The model of the page that needs no installation, as a program for Node."""
WITH_FITS = ("03_ground_truth", "05_random_labeling", "06_active_learning", "07_auto_labeling")
"""Those whose outputs hold the fits that are compared."""


def article_fits() -> list[Fit]:
    """Every fit of the article, in the order of WITH_FITS, with the engine at work: 403 of them."""
    learner = ActiveLearner(load_mnist())
    rows: list[Fit] = []
    for n, stage in ((learner.data.n_pool, "ground_truth"), (400, "random")):
        learner.reset()
        learner.label_manually(n)
        learner.fit(stage, verbose=False)
        rows += learner.history
    learner = active_learner(40, learner.data)
    naive = learner.copy()
    naive.auto_label(len(naive.unlabeled))
    naive.fit("naive_auto", verbose=False)
    while len(learner.unlabeled):
        learner.most_confident_first()
        learner.auto_label(10)
        learner.fit("auto", verbose=False)
    history = learner.history
    return [*rows, *history.stage("active"), naive.history[-1], *history.stage("auto")]


def javascript_fits() -> list[Fit]:
    """The same by the JavaScript of the page that needs no installation, in Node.

    Raises UserError if that fails.
    """
    x, y, x_test, y_test = read_mnist(4000, 400)
    images = b"".join(part.astype("u1").tobytes() for part in (x, x_test, y, y_test))
    try:
        done = subprocess.run(["node", JAVASCRIPT], input=images, capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise UserError(f"node has not done the fits within {TIMEOUT} s; try again") from None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise UserError(f"node cannot run {JAVASCRIPT.name} ({one_line(why)}); version 18 or later can")
    _, *lines = csv.reader(io.StringIO(done.stdout.decode()))
    return [Fit(stage, int(n), float(accuracy), int(steps)) for stage, n, accuracy, steps in lines]


def active_learner(rounds: int, data: Dataset) -> ActiveLearner:
    """A learner after so many of the article's rounds of ten least confident images."""
    learner = ActiveLearner(data)
    for _ in range(rounds):
        learner.label_manually(10)
        learner.fit("active", verbose=False)
        learner.least_confident_first()
    return learner


def committed_fits(folder: Path) -> list[Fit]:
    """The same, from the outputs of the notebooks in a folder.

    Raises UserError if a notebook is missing or holds no history.
    """
    rows = []
    for name in WITH_FITS:
        try:
            cells = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, KeyError):
            raise UserError(
                f"{folder / name}.ipynb cannot be read; run this in a clone of the project"
            ) from None
        tables = [
            output["data"][History.MIME]
            for cell in cells
            for output in cell.get("outputs", [])
            if History.MIME in output.get("data", {})
        ]
        if not tables:
            raise UserError(f"{name}.ipynb holds no history; `git checkout -- notebooks` brings it back")
        rows += [Fit(**row) for table in tables for row in table]
    return rows


def first_difference(found: Iterable[Fit], expected: Iterable[Fit]) -> str | None:
    """The first fit that is not as expected, in words; None if there is none."""
    for number, (here, there) in enumerate(zip_longest(found, expected), 1):
        if here != there:
            return f"fit {number} gave {_words(here)}, where the notebooks have {_words(there)}"
    return None


def _words(fit: Fit | None) -> str:
    if fit is None:
        return "nothing"
    return f"{fit.accuracy:.4f} after {fit.steps} steps with {fit.n_labels:,} labels ({fit.stage})"


def check_engine(notebooks: Path, out: Path, name: str) -> bool:
    """Run the fits, say how many are equal and write NAME.csv; whether all are."""
    expected = committed_fits(notebooks)
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    found = javascript_fits() if name == "javascript" else article_fits()
    seconds = time.perf_counter() - start
    with draft_of(out / f"{name}.csv") as draft, draft.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([Fit._fields, *found])
    pairs = list(zip(found, expected, strict=False))
    accuracies = sum(here.accuracy == there.accuracy for here, there in pairs)
    steps = sum(here.steps == there.steps for here, there in pairs)
    print(
        f"{name:<11}{accuracies} of {len(expected)} accuracies and {steps} of {len(expected)} "
        f"step counts equal, {seconds:.1f} s",
        flush=True,
    )
    difference = first_difference(found, expected)
    if difference:
        print(f"{'':<11}{difference}", flush=True)
    return difference is None


def check(notebooks: Path, out: Path) -> bool:
    """`check_engine` for each engine that is installed, in a process of its own; whether all are exact.

    Raises UserError if the notebooks are of no use, or, after the others, if an engine cannot run; ValueError
    as `replacing` does.
    """
    committed_fits(notebooks)  # before anybody waits
    codes, cannot = [], []
    with replacing(out.resolve()) as fresh:
        for name in installed_engines():
            command, env = command_for(name, notebooks, fresh)
            try:
                done = subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                raise UserError(f"{name} has not done the fits within {TIMEOUT} s; try again") from None
            print(done.stdout.decode(errors="replace"), end="", flush=True)
            codes.append(done.returncode)
            if done.returncode not in (EXACT, NOT_EXACT):
                said = done.stderr.decode(errors="replace").strip().splitlines()
                cannot.append(f"{name} cannot run here ({said[-1] if said else f'code {done.returncode}'})")
        if cannot:
            raise UserError(f"{' and '.join(cannot)}; `alhelpers doctor` may know why, then try again")
    return NOT_EXACT not in codes


def command_for(name: str, notebooks: Path, out: Path) -> tuple[list[str], dict[str, str]]:
    """The command that runs `check_engine` with one of `installed_engines`, and its environment."""
    # A second thread of OpenBLAS is lost as soon as somebody else uses the core.
    env = {"OPENBLAS_NUM_THREADS": "1"} | os.environ
    if name in ENGINES:
        env["ALHELPERS_ENGINE"] = name
    return [sys.executable, "-m", "alhelpers.running.exact", str(notebooks), str(out), name], env


def installed_engines() -> list[str]:
    """The engines that this environment has; "javascript" where there is Node, in a clone of the project."""
    engines = [name for name in ENGINES if find_spec(name)]
    return [*engines, "javascript"] if shutil.which("node") and JAVASCRIPT.is_file() else engines


if __name__ == "__main__":
    notebooks_folder, out_folder, engine_name = sys.argv[1:]
    try:
        exact = check_engine(Path(notebooks_folder), Path(out_folder), engine_name)
    except Exception as problem:  # whatever keeps an engine from running is no difference
        print(one_line(problem) or type(problem).__name__, file=sys.stderr)
        sys.exit(CANNOT_RUN)
    sys.exit(EXACT if exact else NOT_EXACT)
