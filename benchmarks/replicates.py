"""Times many replicates of the experiment, NumPy's model against TensorFlow's, and their cost by pool size.

The draws, queries, budget and scoring are the same: a pool of 4,000, 400 validation images to stop on, 40
rounds of ten labels, 10,000 test images scored after every round. TensorFlow has all processors to itself
for each learner; NumPy's replicates run one to a processor. Writes REPLICATES.md and pool-size.png beside
this file.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
from bench import cpu_name, n_cores, positive, say, spread, table

FOLDER = Path(__file__).parent
STRATEGIES = ("random", "least confident", "margin", "entropy", "typical, then margin")
POOLS = (4000, 8000, 15_000, 30_000, 59_600)  # the last, with 400 validation images, is all of MNIST
BLOCKS = 5

Accuracies = dict[str, np.ndarray]
"""By strategy: accuracy after each of the 40 rounds."""


def strategies(seed: int, engine: str = "numpy") -> Accuracies:
    """Every strategy on one draw, with NumPy's model or with TensorFlow's."""
    from alhelpers.evidence.draws import draw
    from alhelpers.evidence.runs import Recipe, replicate, score

    images = draw(seed)
    model = import_module("alhelpers.model" if engine == "tensorflow" else "alhelpers.model_numpy")
    model = model.SoftmaxRegression
    return {
        query: score(images.x_test, images.y_test, replicate(images, Recipe(query), model=model))
        for query in STRATEGIES
    }


def loop(seed: int) -> Accuracies:
    """The same with TensorFlow's model, in this process."""
    return strategies(seed, "tensorflow")


def pool_cost(n_pool: int) -> tuple[float, float, float]:
    """Seconds of a late round and of the whole loop, and the most memory in MiB, for one pool size."""
    import resource

    from alhelpers.evidence.draws import draw
    from alhelpers.evidence.runs import Recipe, replicate

    images = draw(0, n_pool)
    seconds = [replicate(images, Recipe("margin")).seconds for _ in range(3)]
    late = min(after[-1] - after[-11] for after in seconds) / 10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = min(after[-1] for after in seconds)
    return late, whole, most / (1024**2 if sys.platform == "darwin" else 1024)


def compare(draws: int, loop_draws: int) -> tuple[list[float], list[float], dict, dict]:
    """Seconds a draw with NumPy's model and TensorFlow's, block by block, and what both found, by seed."""
    from alhelpers.evidence.processes import in_processes

    loop(draws)  # TensorFlow starts and compiles
    fast, slow, fast_times, slow_times = {}, {}, [], []
    # Alternating, so that whatever else the machine does falls on both.
    for many, few in zip(*(np.array_split(range(n), BLOCKS) for n in (draws, loop_draws)), strict=True):
        start = time.perf_counter()
        fast |= zip(many, in_processes(strategies, many.tolist()), strict=True)
        fast_times.append((time.perf_counter() - start) / len(many))
        start = time.perf_counter()
        slow |= {seed: loop(seed) for seed in few}
        slow_times.append((time.perf_counter() - start) / len(few))
        say(f"NumPy {fast_times[-1]:.2f} s a draw, TensorFlow {slow_times[-1]:.2f} s a draw")
    return fast_times, slow_times, fast, slow


def pool_costs() -> np.ndarray:
    """Rows of pool size, seconds of a round, seconds of the loop, MiB; each in a process of its own."""
    from alhelpers.arithmetic import SAME_KERNELS
    from alhelpers.evidence.processes import ONE_THREAD

    rows = []
    for n_pool in POOLS:
        command = [sys.executable, __file__, "--pool", str(n_pool)]
        env = os.environ | ONE_THREAD | SAME_KERNELS
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=True)
        rows.append([n_pool, *map(float, done.stdout.split())])
        say(f"pool of {n_pool:,}: {rows[-1][2]:.2f} s, {rows[-1][3]:.0f} MiB")
    return np.array(rows)


def draw_costs(costs: np.ndarray) -> bytes:
    """The costs against pool size, as a PNG."""
    from alhelpers.plots import BLUE, ORANGE, Picture

    figure = Picture("Lines: seconds and memory against pool size", 7.2, 3.2)
    left, right = figure.subplots(1, 2)
    left.plot(costs[:, 0], costs[:, 2], color=ORANGE, marker="o", label="the whole loop")
    left.plot(costs[:, 0], 40 * costs[:, 1], color=BLUE, marker="o", label="40 times a late round")
    left.legend(frameon=False)
    left.set(xlabel="pool size (images)", ylabel="seconds", ylim=0)
    right.plot(costs[:, 0], costs[:, 3], color=BLUE, marker="o")
    right.set(xlabel="pool size (images)", ylabel="most memory (MiB)", ylim=0)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xticks([0, 20_000, 40_000, 60_000], ["0", "20,000", "40,000", "60,000"])
    return figure.png()


def report(
    fast_times: list[float], slow_times: list[float], fast: dict, slow: dict, costs: np.ndarray, command: str
) -> str:
    """REPLICATES.md as text."""
    ratios = [s / f for s, f in zip(slow_times, fast_times, strict=True)]
    timing = [
        (
            "NumPy's model, a process for each core, their start included",
            str(len(fast)),
            spread(fast_times, 2),
        ),
        ("TensorFlow's model, in one process", str(len(slow)), spread(slow_times, 2)),
    ]
    same = []
    for query in STRATEGIES:
        ours, theirs = (np.array([found[seed][query] for seed in slow]) for found in (fast, slow))
        ends = (f"{100 * a[:, -1].mean():.2f}" for a in (ours, theirs))
        same.append((query, *ends, f"{100 * np.mean(ours == theirs):.0f} %"))
    pools = [(f"{int(n):,}", f"{1000 * a:.1f}", f"{b:.2f}", f"{c:.0f}") for n, a, b, c in costs]
    slopes = np.diff(np.log(costs[-2:, 1:]), axis=0)[0] / np.diff(np.log(costs[-2:, 0]))
    return f"""# Speed of many replicates

Written by `{command}`.

- Machine: {cpu_name()}, {n_cores()} cores; {platform.system()}.
- Python {platform.python_version()}, NumPy {np.__version__}.

One draw is {len(STRATEGIES)} strategies of 40 rounds with the article's model, every round scored on 10,000
images. Median (smallest–largest) over {BLOCKS} blocks, in turns:

{table(("", "draws", "seconds a draw"), timing)}

NumPy's are **{spread(ratios, 1)} times as fast**.

Accuracy in percent at 400 labels on the {len(slow)} draws that both did, and the share of rounds after which
both have the same accuracy:

{table(("strategy", "NumPy", "TensorFlow", "rounds equal"), same)}

Where they differ, rounding has sent a run another way.

## Cost by pool size

Margin queries with the article's model, CPU seconds on one thread, the best of three; a late round is one of
the last ten.

{table(("pool", "late round, ms", "whole loop, s", "most memory, MiB"), pools)}

Exponents over the last step (1 is linear): late round {slopes[0]:.2f}, whole loop {slopes[1]:.2f}, memory
{slopes[2]:.2f}. Part of each figure does not depend on the pool.

![Seconds and memory against pool size](pool-size.png)
"""


def main() -> None:
    """Parse the command line, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=positive, default=100, help="with NumPy (default 100)")
    parser.add_argument("--loop-draws", type=positive, default=10, help="with TensorFlow (default 10)")
    parser.add_argument("--pool", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pool:
        print(*pool_cost(args.pool))
        return
    if not BLOCKS <= args.loop_draws <= args.draws:
        parser.error(f"--loop-draws is {args.loop_draws}; give {BLOCKS} to {args.draws}, the number of draws")
    command = f"python benchmarks/replicates.py --draws {args.draws} --loop-draws {args.loop_draws}"
    costs = pool_costs()
    text = report(*compare(args.draws, args.loop_draws), costs, command)
    for name, content in (("pool-size.png", draw_costs(costs)), ("REPLICATES.md", text.encode())):
        draft = FOLDER / f"{name}.new"
        draft.write_bytes(content)
        draft.replace(FOLDER / name)
    say("wrote REPLICATES.md and pool-size.png")


if __name__ == "__main__":
    main()
