"""Run one protocol with four active-learning packages, with scikit-learn alone and with this package.

Every contestant has a process of its own, started once, and takes its turn at each seed. Writes PEERS.md
beside this file. The packages compared with live in build/peers, an environment made on first use.
"""

import argparse
import hashlib
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench import cpu_name, n_cores, positive, say, spread, table

if TYPE_CHECKING:
    import numpy as np

# No NumPy up here: the workers run this file too, in another environment and with one thread.

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "PEERS.md"
REQUIREMENTS = FOLDER / "peers-requirements.txt"
ENVIRONMENT = FOLDER.parent / "build" / "peers"
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

N_POOL, N_VALIDATION, N_TEST = 4000, 400, 10_000
BATCH, ROUNDS, N_CLASSES = 10, 40, 10
SHOWN = (100, 200, 400)  # numbers of labels in the table of accuracies

Data = tuple["np.ndarray", "np.ndarray", "np.ndarray", "np.ndarray"]
"""x_pool and x_test, rows of float64 from 0 to 1, each followed by its labels."""
Rounds = Iterator[tuple["np.ndarray", float]]
"""Of each round, without end: the pool images labelled in it, and the accuracy of the fit after it."""
Task = Callable[[int], tuple[Sequence, Sequence]]
"""A replicate of one seed, to be called with a number of rounds: what `Rounds` has, each in a sequence."""
Answer = dict[str, Any]
"""What a worker says of one seed."""


# --- What the workers run ---


def logistic(C: float) -> Any:
    """The classifier of all contestants but this package."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=1000)


def sklearn(data: Data, C: float, seed: int) -> Rounds:
    """The plainest loop without a package for active learning."""
    import numpy as np

    x, y, x_test, y_test = data
    model, new = logistic(C), np.arange(BATCH)
    labelled = new
    while True:
        model.fit(x[labelled], y[labelled])
        yield new, model.score(x_test, y_test)
        second, first = np.partition(model.predict_proba(x), -2, axis=1)[:, -2:].T
        margin = first - second
        margin[labelled] = np.inf
        new = np.argsort(margin)[:BATCH]
        labelled = np.concatenate([labelled, new])


def modal(data: Data, C: float, seed: int) -> Rounds:
    """modAL keeps what is labelled and leaves the rest of the pool to its user."""
    import numpy as np
    from modAL.models import ActiveLearner
    from modAL.uncertainty import margin_sampling

    x, y, x_test, y_test = data
    new, rest = np.arange(BATCH), np.arange(BATCH, len(x))
    learner = ActiveLearner(logistic(C), margin_sampling, X_training=x[new], y_training=y[new])
    while True:
        yield new, learner.score(x_test, y_test)
        chosen, images = learner.query(x[rest], n_instances=BATCH)
        new, rest = rest[chosen], np.delete(rest, chosen)
        learner.teach(images, y[new])


def skactiveml(data: Data, C: float, seed: int) -> Rounds:
    """scikit-activeml takes the whole pool, NaN where a label is missing, and is told of all classes."""
    import numpy as np
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling

    x, y, x_test, y_test = data
    model = SklearnClassifier(logistic(C), classes=np.arange(N_CLASSES), random_state=seed)
    strategy = UncertaintySampling("margin_sampling", random_state=seed)
    known, new = np.full(len(x), np.nan), np.arange(BATCH)
    while True:
        known[new] = y[new]
        model.fit(x, known)
        yield new, model.score(x_test, y_test)
        new = strategy.query(x, known, clf=model, fit_clf=False, batch_size=BATCH)


def small_text(data: Data, C: float, seed: int) -> Rounds:
    """small-text keeps the pool itself."""
    import numpy as np
    from small_text import BreakingTies, PoolBasedActiveLearner, SklearnClassifierFactory, SklearnDataset
    from small_text.base import LABEL_UNLABELED

    x, y, x_test, y_test = data
    classes = np.arange(N_CLASSES)
    pool = SklearnDataset(x, np.full(len(x), LABEL_UNLABELED), target_labels=classes)
    test = SklearnDataset(x_test, y_test, target_labels=classes)
    learner = PoolBasedActiveLearner(SklearnClassifierFactory(logistic(C), N_CLASSES), BreakingTies(), pool)
    new = np.arange(BATCH)
    learner.initialize_data(new, y[new])
    while True:
        # It predicts columns of the probabilities, which are labels only once every class was seen.
        seen = learner.classifier.model.classes_
        yield new, np.mean(seen[learner.classifier.predict(test)] == y_test)
        new = learner.query(BATCH)
        learner.update(y[new])


def cardinal(data: Data, C: float, seed: int) -> Rounds:
    """cardinal's sampler fits the classifier it is given, so nothing else has to."""
    import numpy as np
    from cardinal.uncertainty import MarginSampler

    x, y, x_test, y_test = data
    model, new, rest = logistic(C), np.arange(BATCH), np.arange(BATCH, len(x))
    sampler, labelled = MarginSampler(model, BATCH), new
    while True:
        sampler.fit(x[labelled], y[labelled])
        yield new, model.score(x_test, y_test)
        chosen = sampler.select_samples(x[rest])
        new, rest = rest[chosen], np.delete(rest, chosen)
        labelled = np.concatenate([labelled, new])


PEERS: dict[str, Callable[[Data, float, int], Rounds]] = {
    "modal": modal,
    "skactiveml": skactiveml,
    "small-text": small_text,
    "cardinal": cardinal,
    "sklearn": sklearn,
}
NAMES = {
    "ours": "this package",
    "modal": "modAL",
    "skactiveml": "scikit-activeml",
    "small-text": "small-text",
    "cardinal": "cardinal",
    "sklearn": "scikit-learn alone",
}
PACKAGES = {  # whose versions are reported
    "ours": ["numpy"],
    "modal": ["modAL-python"],
    "skactiveml": ["scikit-activeml"],
    "small-text": ["small-text"],
    "cardinal": ["cardinal"],
    "sklearn": ["scikit-learn", "numpy", "scipy"],
}


def peer_task(name: str, C: float, seed: int, folder: Path) -> Task:
    """Load what the parent wrote for a seed."""
    import numpy as np

    with np.load(folder / f"{seed}.npz") as file:
        x, y, x_test, y_test = (file[part] for part in ("x_pool", "y_pool", "x_test", "y_test"))
    data = x / 255, y, x_test / 255, y_test

    def replicate(rounds: int) -> tuple[Sequence, Sequence]:
        return tuple(zip(*islice(PEERS[name](data, C, seed), rounds), strict=True))

    return replicate


def our_task(C: float, seed: int) -> Task:
    """As `peer_task`, for this package, which draws the same pool from the seed."""
    from alhelpers.evidence import runs
    from alhelpers.evidence.draws import draw

    images = draw(seed, N_POOL, N_VALIDATION)
    recipe = runs.Recipe("margin", C, BATCH)

    def replicate(rounds: int) -> tuple[Sequence, Sequence]:
        done = runs.replicate(images, recipe, rounds * BATCH)
        accuracy = runs.score(images.x_test, images.y_test, done)
        return done.learner.labeled.reshape(rounds, BATCH), accuracy

    return replicate


def work(name: str, C: float, folder: Path) -> None:
    """Take seeds from stdin, one on a line, and answer each with a line of JSON."""
    # What a package prints must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    # modAL's FutureWarning from scikit-learn, at every `teach`.
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    warm = False
    for line in sys.stdin:
        seed = int(line)
        replicate = our_task(C, seed) if name == "ours" else peer_task(name, C, seed, folder)
        if not warm:
            replicate(2)  # imports, and first calls that prepare something
            warm = True
        cpu, wall = time.process_time(), time.perf_counter()
        batches, accuracy = replicate(ROUNDS)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        order = [sorted(int(i) for i in batch) for batch in batches]
        answer = {
            "accuracy": [float(value) for value in accuracy],
            "cpu": cpu,
            "wall": wall,
            "labels": len({i for batch in order for i in batch}),
            "digest": hashlib.sha256(json.dumps(order).encode()).hexdigest(),
            "python": platform.python_version(),
            "versions": {package: version(package) for package in PACKAGES[name]},
        }
        print(json.dumps(answer), file=answers, flush=True)


# --- The parent ---


def peers_python() -> Path:
    """The interpreter of build/peers, made first if it is missing, unfinished or for other requirements."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = ENVIRONMENT / ".installed", REQUIREMENTS.read_text(encoding="utf-8")
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        say("making the environment build/peers")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
        for command in ([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], pip):
            made = subprocess.run(
                command, env=environment(), capture_output=True, encoding="utf-8", errors="replace"
            )
            if made.returncode:
                sys.exit(f"build/peers cannot be made: {last_line(made.stderr)}")
        stamp.write_text(wanted, encoding="utf-8")
    return python


def environment() -> dict[str, str]:
    """For the peers' interpreter: one thread, and no packages from outside."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")} | ONE_THREAD


def last_line(text: str) -> str:
    """The last line of an error's text."""
    return (text.strip() or "no message").splitlines()[-1]


class Worker:
    """One contestant's process."""

    def __init__(self, name: str, python: Path, C: float, folder: Path, stack: ExitStack) -> None:
        env = {**os.environ, **ONE_THREAD} if name == "ours" else environment()
        command = [python, __file__, "--worker", name, "--C", repr(C), "--folder", folder]
        self.name, self.errors = name, folder / f"{name}.txt"
        with self.errors.open("w", encoding="utf-8") as errors:
            self.process = stack.enter_context(  # at the end of its stdin it ends, and is waited for
                subprocess.Popen(
                    command,
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    encoding="utf-8",
                    errors="replace",
                )
            )

    def run(self, seed: int) -> Answer:
        """One replicate; exits in one sentence if it fails or breaks the protocol."""
        with suppress(BrokenPipeError):  # has ended already, which is said below
            print(seed, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            with suppress(BrokenPipeError):  # closed here, or what it never read would be sent once more
                self.process.stdin.close()
            self.process.wait()
            reason = last_line(self.errors.read_text(encoding="utf-8"))
            sys.exit(f"{NAMES[self.name]} failed at seed {seed}: {reason}")
        answer = json.loads(line)
        found = len(answer["accuracy"]), answer["labels"]
        if found != (ROUNDS, BATCH * ROUNDS):
            sys.exit(
                f"{NAMES[self.name]} made {found[0]} fits and labelled {found[1]} images at seed {seed}, "
                f"not {ROUNDS} and {BATCH * ROUNDS}, so its figures cannot be compared"
            )
        return answer


def write_data(seed: int, path: Path) -> None:
    """One seed's data as grey levels, which are a tenth of the floats in size."""
    import numpy as np

    from alhelpers.data import load_mnist

    data = load_mnist(N_POOL + N_VALIDATION, N_TEST, seed)
    x, x_test = data.x_pool[:N_POOL], data.x_test
    np.savez(
        path,
        x_pool=x.reshape(len(x), -1),
        y_pool=data.y_pool[:N_POOL],
        x_test=x_test.reshape(len(x_test), -1),
        y_test=data.y_test,
    )


def compare(names: list[str], seeds: int, C: float, python: Path) -> dict[str, list[Answer]]:
    """Every contestant's answers, seed by seed."""
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        folder = Path(folder)
        workers = {
            name: Worker(name, Path(sys.executable) if name == "ours" else python, C, folder, stack)
            for name in names
        }
        for seed in range(seeds):
            path = folder / f"{seed}.npz"
            write_data(seed, path)
            first = seed % len(names)
            for name in names[first:] + names[:first]:
                answer = workers[name].run(seed)
                answers[name].append(answer)
                say(
                    f"seed {seed}, {NAMES[name]}: {answer['cpu']:.2f} s CPU, "
                    f"accuracy {100 * answer['accuracy'][-1]:.2f} %"
                )
            path.unlink()
    return answers


def with_interval(values: list[float], sign: str = "") -> str:
    """Mean of shares in percent ± half its 95 % interval by Student's t; the mean alone for one value."""
    from alhelpers.intervals import interval

    found = interval(values)
    middle = f"{100 * found.estimate:{sign}.2f}"
    return middle if len(values) == 1 else f"{middle} ± {100 * (found.high - found.estimate):.2f}"


def report(answers: dict[str, list[Answer]], C: float, command: str) -> str:
    """PEERS.md as text."""
    ours = answers.get("ours")
    accuracies, seconds = [], []
    for name, runs in answers.items():
        at = {n: [run["accuracy"][n // BATCH - 1] for run in runs] for n in SHOWN}
        row = [NAMES[name], *(with_interval(at[n]) for n in SHOWN)]
        times = [NAMES[name], *(spread([run[key] for run in runs], 2) for key in ("cpu", "wall"))]
        if ours and name == "ours":
            row.append("")
            times += ["", ""]
        elif ours:
            pairs = list(zip(runs, ours, strict=True))
            row.append(with_interval([p["accuracy"][-1] - q["accuracy"][-1] for p, q in pairs], "+"))
            times += [spread([p[key] / q[key] for p, q in pairs], 2) for key in ("cpu", "wall")]
        accuracies.append(tuple(row))
        seconds.append(tuple(times))
    n = len(next(iter(answers.values())))
    header = ("", *(f"{n} labels" for n in SHOWN), *(["difference to ours at 400"] if ours else []))
    timing = ("", "CPU, s", "wall, s", *(["CPU / ours", "wall / ours"] if ours else []))

    same = ""
    counts = [
        f"{NAMES[name]} {sum(a['digest'] == b['digest'] for a, b in zip(runs, floor, strict=True))}"
        for floor in [answers.get("sklearn")]
        for name, runs in answers.items()
        if floor and name not in ("ours", "sklearn")
    ]
    if counts:
        same = f"""
Seeds of {n} in which all {ROUNDS} batches held the same images as with scikit-learn alone:
{", ".join(counts)}. (Where two differ, it is rounding: a fit to the same rows in another
order rounds otherwise, and some rounds later another image is next.)
"""
    ran = []
    for what, group in (("This package", ["ours"]), ("The others", list(PEERS))):
        if used := [answers[name][0] for name in group if name in answers]:
            packages = {package: v for answer in used for package, v in answer["versions"].items()}
            listed = ", ".join(" ".join(item) for item in packages.items())
            ran.append(f"- {what}: Python {used[0]['python']}, {listed}.")
    versions = "\n".join(ran)
    difference = ratios = ""
    if ours:
        difference = (
            "; the difference is\na contestant's accuracy less this package's, paired by seed, in points"
        )
        ratios = "; ratios are taken seed by seed"
    return f"""# Beside other packages

Written by

```sh
{command}
```

with {n} seed{"s" if n > 1 else ""} from 0 up. Each contestant has a process of its own with one thread,
and its turn at every seed, in an order that moves on by one from seed to seed.

- Machine: {cpu_name()}, {n_cores()} cores; {platform.system()}.
{versions}

Each seed draws {N_POOL:,} pool images. The first {BATCH} are labelled, then {ROUNDS - 1} times the {BATCH}
that have the smallest margin between the two most probable classes. After each batch the classifier is fitted
to all labels and scored on all {N_TEST:,} test images. It is logistic regression with C = {C:g}: this
package's own, and for the others scikit-learn's (`lbfgs`, `max_iter=1000`, otherwise its defaults) on float64
pixels from 0 to 1. The others' fits end when no entry of the mean gradient exceeds 1e-4; this package's at
1e-5, in coordinates made for the labelled images. They start from the last optimum and penalise the bias as
well; the 40 models are scored in one product at the end, inside the measured time.

Test accuracy in percent, mean ± half the 95 % interval (Student's t) over seeds{difference}:

{table(header, accuracies)}

Seconds of a replicate ({ROUNDS} fits, {ROUNDS - 1} queries, {ROUNDS} scores), without imports and data
loading, median (smallest–largest) over seeds{ratios}:

{table(timing, seconds)}
{same}
## What each needed

Each runs the way its own documentation shows, but fits once a round and predicts on the pool once.
Pixels are float64 because scikit-learn's `lbfgs` turns all others into it: float32 was no faster.

- modAL: `ActiveLearner` with `margin_sampling`. Its user keeps the unlabelled part of the pool and copies it
  for every query. 0.4.2.1 is its last release, and its `teach` fails from scikit-learn 1.8 on ("unexpected
  keyword argument 'force_all_finite'"), hence scikit-learn 1.7 for all peers.
- scikit-activeml: `SklearnClassifier` with `UncertaintySampling("margin_sampling")` and `fit_clf=False`, so
  that the query does not fit again. It alone gives classes not seen yet a probability, 0; with the others the
  classifier knows only the classes it has labels of.
- small-text: `PoolBasedActiveLearner` with `SklearnClassifierFactory` and `BreakingTies`, which looks at the
  whole pool, one Python call for each image. While classes are missing its `predict` returns columns of the
  probabilities and not labels, so these are translated before they are scored.
- cardinal: `MarginSampler`, whose `fit` fits the classifier (its documentation fits by hand as well). Its
  user, too, copies the unlabelled part of the pool. It installs no scikit-learn by itself.
- scikit-learn alone: a loop of a dozen lines, with `predict_proba` on the whole pool. Its `warm_start` would
  help nobody here: it fails when a batch brings a class that was not there before.
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Exit without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def contestants(text: str) -> list[str]:
    """An argument that names contestants, with commas between them."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(NAMES)}")
    return [name for name in NAMES if name in names]


def strength(text: str) -> float:
    """An argument that must be a finite number above 0."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return number


def main() -> None:
    """Parse the command line, run everyone, and write the results."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=positive, default=20, help="replicates of each (default 20)")
    parser.add_argument("--C", type=strength, default=0.1, help="weight against the penalty (default 0.1)")
    parser.add_argument(
        "--only",
        type=contestants,
        metavar="NAME,…",
        help=f"of {', '.join(NAMES)}; the results go to stdout unless --output is given",
    )
    parser.add_argument("--python", type=Path, help="interpreter with the peers (default: build/peers, made)")
    parser.add_argument("--output", type=Path, help="default: PEERS.md beside this file")
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.C, args.folder)
        return
    if args.python and not (args.python.is_file() and os.access(args.python, os.X_OK)):
        parser.error(f"--python: {args.python} cannot be run")
    if args.output and not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    if args.output and args.output.is_dir():
        parser.error(f"--output: {args.output} is a folder")
    names = args.only or list(NAMES)
    # As typed, but without this machine's paths.
    command = ["python", "benchmarks/peers.py", "--seeds", str(args.seeds), "--C", str(args.C)]
    command += ["--only", ",".join(names)] if args.only else []
    command += ["--python", "PYTHON"] if args.python else []
    try:
        python = args.python or (peers_python() if names != ["ours"] else Path(sys.executable))
        text = report(compare(names, args.seeds, args.C, python), args.C, shlex.join(command))
    except KeyboardInterrupt:
        sys.exit("Interrupted; nothing was written.")
    if args.only and not args.output:
        print(text)
        return
    output = args.output or RESULTS
    # Beside it, then renamed: an interrupted run leaves the old results whole.
    draft = output.with_name(output.name + ".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(output)
    say(f"wrote {output.name}")


if __name__ == "__main__":
    main()
