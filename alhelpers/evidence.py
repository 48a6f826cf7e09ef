"""The experiments behind notebooks 09 and 10, and their committed results.

`python -m alhelpers.evidence` computes everything anew and writes the results file.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy

from alhelpers.data import N_DRAWS, read_mnist, scale
from alhelpers.interactive import progress
from alhelpers.intervals import band
from alhelpers.replicate import (
    MODELS,
    N_CLASSES,
    QUERIES,
    Converged,
    Draw,
    EarlyStopped,
    Recipe,
    Run,
    draw,
    in_processes,
    run,
    score,
    softmax,
    spread_labels,
)

FILE = Path(__file__).with_name("evidence.csv.gz")
MADE_WITH = ("2.4.6", "1.17.1")
"""NumPy and SciPy of the results file, those that the lock has for Python 3.11. Others round differently."""
TUNING = 1_000_000
"""Added to the number of a draw that only serves to choose a recipe; its test images stay unseen."""
BUDGET = 400
# What the draws of `tuning` settled on; notebook 10 shows how.
BEST_C, BEST_CONFIDENCE = 0.1, 0.5


class Row(NamedTuple):
    """One figure of one run: the accuracy after a fit on so many labels.

    seed: the number of the draw; seconds: CPU time of the run up to there, on one thread, only with a run's
    last row, and the one figure that is not the same every time.
    """

    experiment: str
    recipe: str
    seed: int
    n_labels: int
    accuracy: float
    seconds: float | None = None


# ---- The experiments: each a function of the number of a draw, for as many draws as are wanted.


def rounding(seed: int) -> list[Row]:
    """The article's own run with changes too small to see, the seed drawing the change."""
    x, y, x_test, y_test = read_mnist(4000, 400)
    x, y, x_test, y_test = scale(x), y.astype(np.int64), scale(x_test), y_test.astype(np.int64)
    single = Draw(0, x, y, x_test, y_test, x_test, y_test)
    double = single._replace(x_pool=x.astype(np.float64), x_validation=x_test.astype(np.float64))

    def nudged(images: Draw, lit: np.ndarray, recipe: Recipe) -> EarlyStopped:
        model = MODELS[recipe.model](images, lit, recipe)
        nudge = np.random.default_rng(seed).normal(0, 1e-7, (N_CLASSES, lit.size))
        model.weights += nudge[:, lit].astype(model.weights.dtype)
        return model

    class Shuffled(EarlyStopped):
        """Sums the same images in another order in every fit."""

        rng = np.random.default_rng(seed)

        def fit(self, x: np.ndarray, y: np.ndarray) -> int:
            order = self.rng.permutation(len(y))
            return super().fit(x[order], y[order])

    def shuffled(images: Draw, lit: np.ndarray, recipe: Recipe) -> EarlyStopped:
        return Shuffled(np.ascontiguousarray(images.x_validation[:, lit]), images.y_validation)

    variants = {
        "single precision, another order of summation": (single, shuffled),
        "single precision, weights moved by 1e-7": (single, nudged),
        "double precision, another order of summation": (double, shuffled),
        "double precision, weights moved by 1e-7": (double, nudged),
    }
    runs = {name: run(images, Recipe(), make_model=model) for name, (images, model) in variants.items()}
    return [row for name, done in runs.items() for row in _rows("rounding", name, seed, single, done)[-1:]]


def article_recipe(seed: int) -> list[Row]:
    """The article's way of learning, for each query; and labels without choosing, 400 or all in one fit."""
    images = draw(seed)
    rows = []
    for query in QUERIES:
        rows += _rows("article recipe", query, seed, images, run(images, Recipe(query)))
    for n in (BUDGET, 4000):
        done = run(images, Recipe("random", batch_size=n), n)
        rows += _rows("article recipe", "random, fitted at once", seed, images, done)
    return rows


def judges(seed: int) -> list[Row]:
    """Who stops the training and who judges it: 400 validation or test images, 400 or all test images."""
    images = draw(seed)
    some = np.random.default_rng([seed, 400]).choice(len(images.y_test), 400, replace=False)
    few = images._replace(x_test=images.x_test[some], y_test=images.y_test[some])
    rows = []
    for query, batch_size in (("random, fitted at once", BUDGET), ("least confident", 10)):
        recipe = Recipe(query.split(",")[0], batch_size=batch_size)
        for stop in ("validation", "test"):
            stopped = images._replace(x_validation=few.x_test, y_validation=few.y_test)
            done = run(stopped if stop == "test" else images, recipe)
            for judge, judging in (("400", few), ("10,000", images)):
                name = f"{query}; stopped on {stop} images; judged by {judge}"
                rows += _rows("judges", name, seed, judging, done)[-1:]
    return rows


def auto_labeling(seed: int) -> list[Row]:
    """The article's way to the end: 400 least confident labels, then ten pseudo-labels at a time."""
    images = draw(seed)
    done = run(images, Recipe(), auto_batch_size=10, record_every=100)
    rows = _rows("auto-labelling", "least confident, then auto-labelled", seed, images, done)
    return [row for row in rows if row.n_labels >= BUDGET]


def tuning(seed: int) -> list[Row]:
    """Settings to choose from, on draws of their own whose test images stay unseen."""
    images = draw(TUNING + seed, test=False)
    recipes = {
        f"{query}, C = {C:g}": Recipe(query, "converged", C=C)
        for query in QUERIES
        for C in (0.01, 0.03, 0.1, 0.3, 1, 10, 100)
    }
    for query in ("random", "least confident", "margin"):
        for rate in (0.1, 0.01):
            for refit in (False, True):
                way = "refitted" if refit else "carried on"
                name = f"{query}, stopped early, step {rate:g}, {way}"
                recipes[name] = Recipe(query, learning_rate=rate, refit=refit)
    for size in (1, 50):
        recipes[f"margin, C = {BEST_C:g}, batch {size}"] = Recipe("margin", "converged", size, C=BEST_C)
    rows = []
    for name, recipe in recipes.items():
        rows += _rows("tuning", name, seed, images, run(images, recipe))[-1:]
    done = run(images, BETTER)
    trials = {
        f"self-training, at {least:g}": self_labels(images, done, least) for least in (0, 0.5, 0.8, 0.9, 0.95)
    }
    for alpha in (0.5, 0.7, 0.8, 0.9, 0.95):
        labels = spread_labels(images.x_pool, done.labeled, done.labels, alpha=alpha)
        trials[f"spreading, alpha {alpha:g}"] = np.arange(len(labels)), labels
    for name, (chosen, labels) in trials.items():
        rows.append(Row("tuning", name, seed, len(labels), _learned(images, chosen, labels)))
    return rows


BETTER = Recipe("margin", "converged", C=BEST_C)


def better_recipe(seed: int) -> list[Row]:
    """The better recipe, with each query; and random labels up to 2,000 to compare with."""
    images = draw(seed)
    rows = []
    for query in QUERIES:
        done = run(images, Recipe(query, "converged", C=BEST_C))
        rows += _rows("better recipe", query, seed, images, done)
    done = run(images, Recipe("random", "converged", 100, C=BEST_C), 2000)
    rows += _rows("better recipe", "random, to 2,000", seed, images, done)
    done = run(images, Recipe("random", "converged", 4000, C=BEST_C), 4000)
    return rows + _rows("better recipe", "all labels", seed, images, done)


def batch_sizes(seed: int) -> list[Row]:
    """Batches of 1 and 50, the article's way and the better way (10 is in their own experiments)."""
    images = draw(seed)
    rows = []
    for size in (1, 50):
        done = run(images, Recipe(batch_size=size))
        rows += _rows("batch size", f"least confident, article, {size}", seed, images, done)
        done = run(images, Recipe("margin", "converged", size, C=BEST_C))
        rows += _rows("batch size", f"margin, better, {size}", seed, images, done)
    return rows


def refitting(seed: int) -> list[Row]:
    """The article's way, but every fit from zero weights."""
    images = draw(seed)
    return [
        row
        for query in ("random", "least confident", "margin")
        for row in _rows("refitting", query, seed, images, run(images, Recipe(query, refit=True)))
    ]


def pseudo_labeling(seed: int) -> list[Row]:
    """What the rest of the pool is worth without a person: labels from the model, or from near images.

    Under "pseudo-labels", the share of them that is right, among all images that no person labelled and among
    those that self-training takes.
    """
    images = draw(seed)
    rows = []
    for query in ("random", "margin"):
        done = run(images, Recipe(query, "converged", C=BEST_C))
        everywhere = np.arange(len(images.y_pool))
        sure, own = self_labels(images, done, BEST_CONFIDENCE)
        _, all_own = self_labels(images, done, 0)
        spread = spread_labels(images.x_pool, done.labeled, done.labels)
        for name, chosen, labels in (("self-training", sure, own), ("spreading", everywhere, spread)):
            accuracy = _learned(images, chosen, labels)
            rows.append(Row("pseudo-labelling", f"{query}, {name}", seed, len(labels), accuracy))
        rest = {"all": np.setdiff1d(everywhere, done.labeled), "sure": np.setdiff1d(sure, done.labeled)}
        for which, some in rest.items():
            for name, labels in (("the model", all_own), ("spreading", spread)):
                right = float(np.mean(labels[some] == images.y_pool[some]))
                rows.append(
                    Row("pseudo-labels", f"{query}, {name}, {which}", seed, len(some), round(right, 6))
                )
    return rows


def tenths(seed: int) -> list[Row]:
    """Accuracy on each tenth of the test images, to tell how much hangs on which images judge."""
    images = draw(seed)
    parts = np.split(np.random.default_rng(10).permutation(len(images.y_test)), 10)
    rows = []
    for name, recipe in (
        ("random, fitted at once", Recipe("random", batch_size=BUDGET)),
        ("least confident", Recipe()),
        ("random, better", Recipe("random", "converged", C=BEST_C)),
        ("margin, better", BETTER),
    ):
        done = run(images, recipe, record_every=BUDGET)
        for k, part in enumerate(parts):
            some = images._replace(x_test=images.x_test[part], y_test=images.y_test[part])
            rows += _rows("test images", f"{name}, tenth {k}", seed, some, done)
    return rows


EXPERIMENTS: dict[str, Callable[[int], list[Row]]] = {
    "rounding": rounding,
    "article recipe": article_recipe,
    "judges": judges,
    "auto-labelling": auto_labeling,
    "tuning": tuning,
    "better recipe": better_recipe,
    "batch size": batch_sizes,
    "refitting": refitting,
    "pseudo-labelling": pseudo_labeling,
    "test images": tenths,
}
FEWER = {"tuning": 20}
"""Experiments of fewer draws. They settle a recipe and score none, so they are always read whole."""
# What an experiment records under another name as well.
_ALSO = {"pseudo-labelling": "pseudo-labels"}


def self_labels(images: Draw, done: Run, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Pool indices and labels: those given, and the last model's answers that are at least so confident."""
    proba = softmax(images.x_pool @ done.weights[-1].T + done.bias[-1])
    answers = proba.argmax(axis=1)
    answers[done.labeled] = done.labels
    sure = proba.max(axis=1) >= least
    sure[done.labeled] = True
    return np.flatnonzero(sure), answers[sure]


def _learned(images: Draw, chosen: np.ndarray, labels: np.ndarray) -> float:
    """Test accuracy of the better model, trained on these pool images with these labels."""
    model = Converged(images.x_pool.shape[1], BEST_C)
    model.fit(images.x_pool[chosen], labels)
    answers = (images.x_test @ model.weights.T + model.bias).argmax(axis=1)
    return float((answers == images.y_test).mean())


def _rows(experiment: str, recipe: str, seed: int, images: Draw, done: Run) -> list[Row]:
    accuracy = score(images.x_test, images.y_test, done)[0]
    last = len(accuracy) - 1
    return [
        Row(experiment, recipe, seed, int(n), float(a), round(float(s), 3) if i == last else None)
        for i, (n, a, s) in enumerate(zip(done.n_labels, accuracy, done.seconds, strict=True))
    ]


# ---- The results


class Results:
    """Rows of the tidy table, asked for by experiment and recipe. Draws are in the same order everywhere."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self._runs: dict[tuple[str, str], dict[int, list[Row]]] = {}
        for row in self.rows:
            self._runs.setdefault((row.experiment, row.recipe), {}).setdefault(row.seed, []).append(row)

    def recipes(self, experiment: str) -> list[str]:
        """Names of the recipes of an experiment."""
        return [recipe for name, recipe in self._runs if name == experiment]

    def curves(self, experiment: str, recipe: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of labels, (fits,), and accuracies, (draws, fits).

        Raises KeyError if there is no such recipe.
        """
        draws = self._draws(experiment, recipe)
        n_labels = np.array([row.n_labels for row in draws[0]])
        return n_labels, np.array([[row.accuracy for row in rows] for rows in draws])

    def bands(
        self, experiment: str, recipes: Iterable[str], least: int = 50
    ) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Learning curves for `plots.bands`, from so many labels on; what is below would squeeze the rest."""
        found = {}
        for recipe in recipes:
            n_labels, accuracy = self.curves(experiment, recipe)
            late = n_labels >= least
            found[recipe] = (n_labels[late], *band(accuracy[:, late]))
        return found

    def at(self, experiment: str, recipe: str, n_labels: int = BUDGET) -> np.ndarray:
        """Accuracies with so many labels, (draws,)."""
        numbers, accuracy = self.curves(experiment, recipe)
        return accuracy[:, list(numbers).index(n_labels)]

    def last(self, experiment: str, recipe: str) -> np.ndarray:
        """Accuracies after the last fit, (draws,)."""
        return np.array([rows[-1].accuracy for rows in self._draws(experiment, recipe)])

    def tenths(self, recipe: str) -> np.ndarray:
        """Accuracies of "test images" on each tenth of them, (draws, 10)."""
        return np.column_stack([self.last("test images", f"{recipe}, tenth {k}") for k in range(10)])

    def seconds(self, experiment: str, recipe: str) -> np.ndarray:
        """CPU seconds of whole runs on one thread, (draws,)."""
        return np.array([rows[-1].seconds for rows in self._draws(experiment, recipe)])

    def _draws(self, experiment: str, recipe: str) -> list[list[Row]]:
        return [rows for _, rows in sorted(self._runs[experiment, recipe].items())]


def results(experiments: Sequence[str], seeds: Iterable[int], recompute: bool = False) -> Results:
    """What the experiments gave on draws with these numbers: read from the results file, or computed anew.

    Of an experiment in FEWER, the file gives all its draws, and no more than so many are computed.

    Raises ValueError if the file does not hold a draw, and OSError if the file is missing or damaged.
    """
    seeds = list(seeds)
    if recompute:
        return Results(compute(experiments, seeds))
    if not set(seeds) <= set(range(N_DRAWS)):
        raise ValueError(
            f"the results file holds draws 0 to {N_DRAWS - 1}, not all of {min(seeds)} to {max(seeds)}; "
            "set recompute = True"
        )
    wanted, names = set(seeds), {*experiments, *(_ALSO[name] for name in experiments if name in _ALSO)}
    return Results(
        row for row in read() if row.experiment in names and (row.seed in wanted or row.experiment in FEWER)
    )


def compute(experiments: Sequence[str], seeds: Iterable[int], jobs: int | None = None) -> Iterator[Row]:
    """Rows of these experiments on draws with these numbers, in as many processes as there are processors.

    Raises RuntimeError if one of the processes dies.
    """
    seeds = list(seeds)
    tasks = [(name, seed) for name in experiments for seed in seeds[: FEWER.get(name)]]
    for rows in progress(in_processes(_compute, tasks, jobs), "draws", len(tasks)):
        yield from rows


def _compute(task: tuple[str, int]) -> list[Row]:
    name, seed = task
    return EXPERIMENTS[name](seed)


def read(file: Path = FILE) -> Iterator[Row]:
    """The rows of a results file.

    Raises OSError if it is missing or damaged.
    """
    remedy = f'restore it with `git -C "{file.parent}" checkout -- {file.name}`'
    try:
        text = gzip.decompress(file.read_bytes()).decode()
        header, *lines = csv.reader(io.StringIO(text))
        if tuple(header) != Row._fields:
            raise ValueError(f"its columns are {header}")
        rows = [
            Row(name, recipe, int(seed), int(n), float(accuracy), float(seconds) if seconds else None)
            for name, recipe, seed, n, accuracy, seconds in lines
        ]
    except FileNotFoundError:
        raise OSError(f"{file} is missing; {remedy}") from None
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise OSError(f"{file} is damaged ({error}); {remedy}") from None
    return iter(rows)


def write(rows: Iterable[Row], file: Path = FILE) -> None:
    """Write a results file: beside the place it belongs, then renamed. The same rows give the same bytes."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows(rows)
    beside = file.with_name(file.name + ".new")
    beside.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    beside.replace(file)


def main() -> None:
    """Compute everything and write the results file."""
    if len(sys.argv) > 1:
        sys.exit(f"python -m alhelpers.evidence takes no arguments, not {' '.join(sys.argv[1:])!r}")
    try:
        write(compute(list(EXPERIMENTS), range(N_DRAWS)))
    except (OSError, RuntimeError) as error:
        sys.exit(f"alhelpers: {error}")
    except KeyboardInterrupt:
        sys.exit("alhelpers: interrupted; the results file is as it was")
    print(f"{FILE.name} is written; renew notebooks 09 and 10 with `make refresh`")
    if (np.__version__, scipy.__version__) != MADE_WITH:
        print(f"and let MADE_WITH in evidence.py say {(np.__version__, scipy.__version__)}")


if __name__ == "__main__":
    main()
