"""Compare this project's loop with the plain program of `plain.py`, and see where the time goes.

Runs both in turns, each time in a fresh process, checks that they agree after every fit, and writes
RESULTS.md beside this file. If they disagree, says where, writes nothing and exits with status 1.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
NAMES = {"plain": "the plain program", "project": "this project"}
MEASURES = {  # rows of the comparison: label, digits after the point
    "active": ("40 active-learning rounds, s", 2),
    "auto": ("360 auto-label rounds, s", 2),
    "both": ("both, s", 2),
    "start": ("start to the first accuracy, s", 2),
    "memory": ("peak memory, MiB", 0),
}
PARTS = {  # of an auto-label round
    "fit": "`fit`, which ends with scoring the pool",
    "sort": "`most_confident_first`: sorting the unlabelled images",
    "auto_label": "`auto_label`",
    "rest": "the rest",
}
N_STEP = 2200  # labelled images halfway through the auto-label rounds
TURNS, CALLS = 50, 9  # of each micro-benchmark: loop turns in a call, and calls


# --- What the children run ---


def project_rounds(learner: "ActiveLearner", spent: dict[str, list[float]]) -> Iterator[Row]:
    """The fits of `plain.rounds`, by this project.

    Puts the seconds of the three parts of every auto-label round into `spent`.
    """

    def timed(part: str, call: Callable, *args: object, **kwargs: object) -> None:
        began = time.perf_counter()
        call(*args, **kwargs)
        spent.setdefault(part, []).append(time.perf_counter() - began)

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
        timed("sort", learner.most_confident_first)
        timed("auto_label", learner.auto_label, 10)
        timed("fit", learner.fit, "auto", verbose=False)
        yield tuple(learner.history[-1])


def measure(side: str, started: float) -> dict[str, object]:
    """Run one side to the end in this process, which was started at `started` on the monotonic clock."""
    spent: dict[str, list[float]] = {}
    rows, ends = [], []
    if side == "plain":
        import plain

        data = plain.load()
        began = time.monotonic()
        rounds = plain.rounds(data)  # builds the graph when its first fit is asked for
    else:
        # Before the rounds' clock starts: alhelpers imports TensorFlow when asked for ActiveLearner.
        from alhelpers import ActiveLearner, load_mnist

        data = load_mnist()
        began = time.monotonic()
        rounds = project_rounds(ActiveLearner(data), spent)
    for row in rounds:
        rows.append(row)
        ends.append(time.monotonic())
    seconds = {"active": ends[39] - began, "auto": ends[-1] - ends[40], "start": ends[0] - started}
    seconds["both"] = seconds["active"] + seconds["auto"]
    result = {"rows": rows, **seconds, "memory": peak_memory()}
    if spent:
        # Single fits are short and noisy: a step at 2200 images is a mean over the rounds around it.
        near = [i for i, row in enumerate(rows[41:]) if abs(row[1] - N_STEP) <= 200]
        result["step"] = sum(spent["fit"][i] for i in near) / sum(rows[41:][i][3] for i in near)
        shares = {part: sum(times) / seconds["auto"] for part, times in spent.items()}
        result["shares"] = {**shares, "rest": 1 - sum(shares.values())}
    return result


def measure_operations() -> dict[str, object]:
    """Seconds of the operations in a training step on 2200 images, with the weights of such a fit."""
    import numpy as np

    from alhelpers import ActiveLearner, load_mnist

    data = load_mnist()
    learner = ActiveLearner(data)
    learner.label_manually(N_STEP)
    learner.fit(verbose=False)

    import tensorflow as tf  # after alhelpers, which sets TensorFlow up

    # The model's own arrays, in halves; it works on both at the same time.
    program = learner.model._program
    weights = [tf.Variable(value) for value in learner.model._state.weights]
    x, x_test = learner._x_pool.take(np.arange(N_STEP)), learner._x_test
    wt, b = weights[:2], weights[2]
    y, y_test = (tf.constant(a.astype(np.int32)) for a in (data.y_pool[:N_STEP], data.y_test))
    logits = tf.Variable(program._logits(weights, x))
    slope = tf.Variable((tf.nn.softmax(logits) - tf.one_hot(y, data.n_classes)) / N_STEP)
    middle = N_STEP // 2

    # Variables are read inside: reads are never moved out of the loop, operations on constants might be.
    def product() -> tf.Tensor:
        products = [
            tf.matmul(half, half_wt.read_value(), transpose_b=True)
            for half, half_wt in zip(x, wt, strict=True)
        ]
        return products[0][0, 0] + products[1][0, 0]

    def gradient() -> tf.Tensor:
        gradients = [tf.matmul(slope.read_value(), half, transpose_a=True) for half in x]
        return gradients[0][0, 0] + gradients[1][0, 0]

    def cross_entropy() -> tf.Tensor:
        features = logits.read_value()
        losses = [
            tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=features[part], labels=y[part]).loss
            for part in (slice(middle), slice(middle, None))
        ]
        return losses[0][0] + losses[1][0]

    def evaluation() -> tf.Tensor:
        weights_now = [variable.read_value() for variable in weights]
        return tf.cast(program._count_correct(weights_now, x_test, y_test), tf.float32)

    def nothing() -> tf.Tensor:
        return b.read_value()[0]

    operations = {
        f.__name__: seconds_per_turn(f) for f in (product, gradient, cross_entropy, evaluation, nothing)
    }
    return {
        "tensorflow": tf.__version__,
        "n_lit": sum(half.shape[1] for half in x),
        "n_test": data.n_test,
        "operations": operations,
    }


def seconds_per_turn(operation: Callable) -> float:
    """Seconds of one operation inside a `tf.while_loop`: median over CALLS calls of TURNS turns each."""
    import tensorflow as tf

    def turn(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([total]):  # one turn after the other, as training steps are
            return i + 1, total + operation()

    @tf.function(autograph=False)
    def loop() -> tf.Tensor:
        return tf.while_loop(lambda i, _: i < TURNS, turn, (0, 0.0), parallel_iterations=1)[1]

    loop().numpy()  # compiles
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        loop().numpy()
        seconds.append((time.perf_counter() - began) / TURNS)
    return median(seconds)


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
    child = subprocess.run(command, env=env, capture_output=True, text=True)
    if child.returncode:
        last_line = (child.stderr.strip() or "no message").splitlines()[-1]
        sys.exit(f"The measurement of {NAMES.get(what, what)} failed: {last_line}")
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


def compare(repeats: int) -> tuple[list[dict], list[dict], list[dict]]:
    """Measure both sides in turns, then the single operations; exit if any two runs differ in a fit."""
    plain, project, operations = [], [], []
    say("warming up the file cache")
    subprocess.run(
        [sys.executable, "-c", "import tensorflow; from alhelpers import ActiveLearner"],
        capture_output=True,
    )
    for repeat in range(1, repeats + 1):
        for side, results in (("plain", plain), ("project", project)):
            result = run_child(side)
            results.append(result)
            name = NAMES[side] if len(results) == 1 else f"a repeat of {NAMES[side]}"
            if difference := first_difference(plain[0]["rows"], result["rows"], name):
                sys.exit(f"The results differ, so their times say nothing: {difference}")
            say(f"{repeat} of {repeats}: {NAMES[side]}, {result['both']:.1f} s for all rounds")
        operations.append(run_child("operations"))
    return plain, project, operations


def report(plain: list[dict], project: list[dict], operations: list[dict]) -> str:
    """RESULTS.md as text."""
    comparison = []
    for key, (label, digits) in MEASURES.items():
        a, b = ([run[key] for run in runs] for runs in (plain, project))
        if None not in a:
            ratios = [p / q for p, q in zip(a, b, strict=True)]
            comparison.append((label, spread(a, digits), spread(b, digits), spread(ratios, 2)))

    shares = {part: [run["shares"][part] for run in project] for part in PARTS}

    n_lit, n_test = operations[0]["n_lit"], operations[0]["n_test"]
    step = [1e3 * run["step"] for run in project]
    ms = {name: [1e3 * run["operations"][name] for run in operations] for name in operations[0]["operations"]}
    idle = spread(ms.pop("nothing"), 3)
    rest = median(step) - sum(map(median, ms.values()))
    in_a_step = [
        (f"product X W: {N_STEP} × {n_lit} by {n_lit} × 10", spread(ms["product"], 3)),
        (f"gradient product: 10 × {N_STEP} by {N_STEP} × {n_lit}", spread(ms["gradient"], 3)),
        ("`sparse_softmax_cross_entropy` kernel: losses and slopes", spread(ms["cross_entropy"], 3)),
        (f"evaluation on {n_test} test images", spread(ms["evaluation"], 3)),
        ("the rest: Adam, the loop, and a step's share of what a fit does once", f"{rest:.3f}"),
        ("**whole step**", spread(step, 3)),
    ]

    rows = project[0]["rows"]
    steps = sum(row[3] for row in rows if row[0] == "auto")
    machine = (
        f"{cpu_name()}, {n_cores()} cores; {platform.system()}, Python {platform.python_version()}, "
        f"TensorFlow {operations[0]['tensorflow']}"
    )
    repeats = {1: "once", 2: "twice"}.get(len(plain), f"{len(plain)} times")
    spreads = "" if len(plain) == 1 else " Median (smallest–largest)."
    compared = table(("", "plain", "this project", "plain / this project"), comparison)
    shared = table(("part", "share"), [(PARTS[part], percent(share)) for part, share in shares.items()])
    return f"""# Benchmark results

Written by `make bench`: the plain program is `plain.py` beside this file.{spreads}

{compared}

Machine: {machine}.

Both ran {repeats}, in turns and each time in a fresh process, with oneDNN off, and each ratio is taken
within a pair of neighbouring runs. The 40 rounds include building the graph or the learner, the 360
rounds begin where the 400 labels from a person end, start-up goes from the start of the process through
imports, data and the fit on 10 labels, and memory is the peak of the whole process. All {len(rows)} fits
gave the same accuracy after the same number of steps in every run ({rows[0][2]:.4f} with 10 labels,
{rows[39][2]:.4f} with 400, {rows[-1][2]:.4f} at the end); otherwise nothing is written.

## Where the time goes

This project's 360 auto-label rounds, {steps} training steps:

{shared}

One training step on {N_STEP} labelled images, evaluation included:

{table(("part", "ms"), in_a_step)}

Every operation has one thread, and the two halves of products and cross-entropy run at the same time.
The whole step is a mean over the rounds with {N_STEP - 200} to {N_STEP + 200} labels. The four
operations were timed alone, {TURNS} turns of a `tf.while_loop` in one call, the median of {CALLS} calls;
a turn that does nothing takes {idle} ms, which is not subtracted.
"""


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table: first column to the left, numbers to the right."""
    ruler = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))


def percent(shares: list[float]) -> str:
    """The median share, in percent."""
    return f"{100 * median(shares):.1f} %"


def spread(values: list[float], digits: int) -> str:
    """Median (smallest–largest), or the value alone if there is only one."""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def cpu_name() -> str:
    """The processor's model name, as far as the system tells."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
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
    parser.add_argument("--child", choices=["plain", "project", "operations"], help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        result = measure_operations() if args.child == "operations" else measure(args.child, args.started)
        print(json.dumps(result))
        return
    if not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    text = report(*compare(1 if args.quick else args.repeats))
    # Beside it, then renamed: an interrupted run leaves the old results whole.
    draft = args.output.with_name(args.output.name + ".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(args.output)
    say(f"wrote {args.output.name}")


if __name__ == "__main__":
    main()
