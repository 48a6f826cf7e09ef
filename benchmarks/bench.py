"""Compare this project's loop, with TensorFlow's model and with NumPy's, to the plain program of `plain.py`.

Runs all three in turns, each time in a fresh process, checks that they agree after every fit, and writes
RESULTS.md beside this file. If they disagree, says where, writes nothing and exits with status 1.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alhelpers import ActiveLearner

# No NumPy or TensorFlow up here: the children run this file too and are measured from their start, and
# on Linux a child's peak memory begins at what its parent holds.

Row = tuple[str, int, float, int]
"""Stage, number of labels, test accuracy and training steps of one fit."""

RESULTS = Path(__file__).with_name("RESULTS.md")
SIDES = {"plain": "the plain program", "tensorflow": "TensorFlow's model", "numpy": "NumPy's model"}
MEASURES = {  # rows of the comparison: label, digits after the point
    "active": ("40 active-learning rounds, s", 2),
    "auto": ("360 auto-label rounds, s", 2),
    "both": ("both, s", 2),
    "start": ("start to the first accuracy, s", 2),
    "memory": ("peak memory, MiB", 0),
}
PACKAGES = {"TensorFlow": "tensorflow-cpu", "NumPy": "numpy"}

# --- What the children run ---


def project_rounds(learner: "ActiveLearner") -> Iterator[Row]:
    """The fits of `plain.rounds`, by this project."""
    for _ in range(40):
        learner.label_manually(10)
        learner.fit("active", verbose=False)
        yield tuple(learner.history[-1])
        learner.least_confident_first()

    side_branch = learner.copy()
    side_branch.auto_label(len(side_branch.unlabeled))
    side_branch.fit("naive", verbose=False)
    yield tuple(side_branch.history[-1])

    for _ in range(360):
        learner.most_confident_first()
        learner.auto_label(10)
        learner.fit("auto", verbose=False)
        yield tuple(learner.history[-1])


def measure(side: str, started: float) -> dict[str, object]:
    """Run one side to the end in this process, which was started at `started` on the monotonic clock."""
    rows, ends = [], []
    if side == "plain":
        import plain

        data = plain.load()
        began = time.monotonic()
        rounds = plain.rounds(data)  # builds the graph when its first fit is asked for
    else:
        from alhelpers import ActiveLearner, load_mnist

        name = {"tensorflow": "model", "numpy": "model_numpy"}[side]
        # Before the rounds' clock starts, as the plain program has imported TensorFlow by then.
        model = importlib.import_module(f"alhelpers.{name}").SoftmaxRegression
        data = load_mnist()
        began = time.monotonic()
        rounds = project_rounds(ActiveLearner(data, model=model))
    for row in rounds:
        rows.append(row)
        ends.append(time.monotonic())
    seconds = {"active": ends[39] - began, "auto": ends[-1] - ends[40], "start": ends[0] - started}
    seconds["both"] = seconds["active"] + seconds["auto"]
    return {"rows": rows, **seconds, "memory": peak_memory()}


def peak_memory() -> float | None:
    """Most memory this process has held so far, MiB; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


# --- The parent ---


def run_child(what: str) -> dict:
    """Run one measurement in a fresh process and return what it prints."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    # The monotonic clock is the same in every process, so the child can count from here.
    command = [sys.executable, __file__, "--child", what, "--started", repr(time.monotonic())]
    child = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", errors="replace")
    if child.returncode:
        last_line = (child.stderr.strip() or "no message").splitlines()[-1]
        sys.exit(f"The measurement of {SIDES[what]} failed: {last_line}")
    return json.loads(child.stdout.splitlines()[-1])


def first_difference(expected: list[Row], found: list[Row], name: str = "this project") -> str | None:
    """One sentence on the first fit in which two runs differ, or None.

    Accuracies are equal within 1e-6, since one program has them in float32 and the other in float64.
    """
    for number, (a, b) in enumerate(zip_longest(expected, found), 1):
        if a is None or b is None:
            return f"the plain program makes {len(expected)} fits and {name} {len(found)}."
        if tuple(a[:2]) != tuple(b[:2]) or abs(a[2] - b[2]) > 1e-6 or a[3] != b[3]:
            shown = [f"{row[2]:.4f} after {row[3]} steps on {row[1]} {row[0]} labels" for row in (a, b)]
            return f"fit {number} gives {shown[0]} in the plain program, but {shown[1]} in {name}."
    return None


def compare(repeats: int) -> dict[str, list[dict]]:
    """Measure all sides in turns; exit if any two runs differ in a fit."""
    runs: dict[str, list[dict]] = {side: [] for side in SIDES}
    say("warming up the file cache")
    subprocess.run([sys.executable, "-c", "import tensorflow, alhelpers.learner"], capture_output=True)
    for repeat in range(1, repeats + 1):
        for side, name in SIDES.items():
            result = run_child(side)
            runs[side].append(result)
            name = name if len(runs[side]) == 1 else f"a repeat of {name}"
            if difference := first_difference(runs["plain"][0]["rows"], result["rows"], name):
                sys.exit(f"The results differ, so their times say nothing: {difference}")
            say(f"{repeat} of {repeats}: {SIDES[side]}, {result['both']:.1f} s for all rounds")
    return runs


def report(runs: dict[str, list[dict]]) -> str:
    """RESULTS.md as text."""
    comparison = []
    for key, (label, digits) in MEASURES.items():
        found = {side: [run[key] for run in results] for side, results in runs.items()}
        if None in found["plain"]:
            continue
        line = [label, *(spread(values, digits) for values in found.values())]
        for side in ("tensorflow", "numpy"):
            line.append(spread([p / q for p, q in zip(found["plain"], found[side], strict=True)], 2))
        comparison.append(tuple(line))
    rows = runs["plain"][0]["rows"]
    steps = sum(row[3] for row in rows if row[0] == "auto")
    machine = f"{cpu_name()}, {n_cores()} cores; {platform.system()}, Python {platform.python_version()}, "
    machine += ", ".join(f"{name} {version(package)}" for name, package in PACKAGES.items())
    repeats = {1: "once", 2: "twice"}.get(len(runs["plain"]), f"{len(runs['plain'])} times")
    spreads = "" if len(runs["plain"]) == 1 else " Median (smallest–largest)."
    header = ("", "plain", "TensorFlow's model", "NumPy's model", "plain / TensorFlow", "plain / NumPy")
    return f"""# Benchmark results

Written by `make bench`: the plain program is `plain.py` beside this file.{spreads}

{table(header, comparison)}

Machine: {machine}.

Each ran {repeats}, in turns and each time in a fresh process, with oneDNN off, and each ratio is taken
within one turn. The 40 rounds include building the graph or the learner, the 360 rounds begin where the
400 labels from a person end and take {steps} training steps, start-up goes from the start of the process
through imports, data and the fit on 10 labels, and memory is the peak of the whole process. All
{len(rows)} fits gave the same accuracy after the same number of steps in every run ({rows[0][2]:.4f} with
10 labels, {rows[39][2]:.4f} with 400, {rows[-1][2]:.4f} at the end); otherwise nothing is written.
"""


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table: first column to the left, numbers to the right."""
    ruler = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))


def spread(values: list[float], digits: int) -> str:
    """Median (smallest–largest), or the value alone if there is only one."""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def cpu_name() -> str:
    """The processor's model name, as far as the system tells."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, subprocess.CalledProcessError):
        return platform.processor() or platform.machine()


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def positive(text: str) -> int:
    """An argument that must be a whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def main() -> None:
    """Parse the command line, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=positive, default=3, help="pairs of runs (default 3)")
    parser.add_argument("--quick", action="store_true", help="one pair of runs")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: RESULTS.md beside this file")
    parser.add_argument("--child", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args.started)))
        return
    if not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    text = report(compare(1 if args.quick else args.repeats))
    from alhelpers.files import atomic_write

    atomic_write(args.output, text)
    say(f"wrote {args.output.name}")


if __name__ == "__main__":
    main()
