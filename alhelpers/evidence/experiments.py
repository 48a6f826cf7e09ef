"""The experiments behind notebooks 09 to 11, and their committed results.

`make evidence` computes everything anew and writes the results file; with the names of experiments after
`python -m alhelpers.evidence.experiments` it computes these and keeps the other rows.
"""

import csv
import gzip
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy

from alhelpers.agreement import cohen_kappa
from alhelpers.data import N_DRAWS, read_mnist, scale
from alhelpers.evidence.converged import Converged, softmax
from alhelpers.evidence.draws import N_CLASSES, Draw, draw, with_wrong_labels
from alhelpers.evidence.processes import in_processes
from alhelpers.evidence.queries import QUERIES
from alhelpers.evidence.runs import MODELS, EarlyStopped, Recipe, Run, run, score
from alhelpers.evidence.spreading import spread_labels
from alhelpers.files import PACKAGE, read_shipped, write_shipped
from alhelpers.intervals import Interval, band, interval
from alhelpers.progress import progress
from alhelpers.stopping import NET, is_stable, next_gain

RESULTS = "evidence/results.csv.gz"
MADE_WITH = ("2.4.6", "1.17.1")
"""NumPy and SciPy of the results file, those that the lock has for Python 3.11. Others round differently."""
TUNING = 1_000_000
"""Added to the number of a draw that only serves to choose a recipe; its test images stay unseen."""
BUDGET = 400
# What the draws of `tuning` settled on; notebook 10 shows how.
BEST_C, BEST_CONFIDENCE = 0.1, 0.5
NOISE, NOISE_EVERY = (5, 10, 20), 50
"""Per cent of the labels that are wrong in "label noise"; and its curves have a fit at every 50 labels."""
# The sizes of "stopping": images to check on and images to see change, both apart from the pool, and a budget
# in which the strictest rule stops.
N_CHECK, N_STOP, LONG_BUDGET = 100, 1000, 1000
# Where stopping rules stop, and at how many labels forecasts are scored.
KAPPAS, FORECAST_AT = (0.95, 0.98, 0.99), (50, 100, 200, 390)


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
        model.weights[:] += nudge[:, lit].T.astype(model.weights.dtype)
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


def label_noise(seed: int) -> list[Row]:
    """A person who errs: some per cent of the labels wrong. Without errors, see `Results.noise`.

    Only the labels that are bought are wrong. The article's recipe stops its training on right ones.
    """
    images = draw(seed)
    recipes = {
        "margin": BETTER,
        "random": Recipe("random", "converged", C=BEST_C),
        "least confident, article": Recipe(),
    }
    rows = []
    for percent in NOISE:
        noisy = with_wrong_labels(images, percent / 100)
        for name, recipe in recipes.items():
            done = run(noisy, recipe, record_every=NOISE_EVERY)
            rows += _rows("label noise", f"{name}, {percent} % wrong", seed, images, done)
    return rows


# Forecasts of what the next batch will change in accuracy, to choose from. Each takes, for every fit so far,
# which check images are right, (fits, n_check), the answers on the stop set, (fits, n_stop), and n_labels.
Forecast = Callable[[np.ndarray, np.ndarray, np.ndarray], Interval]


def _paired(fits: int) -> Forecast:
    """The mean change over the last fits goes on; interval for paired shares of Agresti and Min (2005)."""

    def forecast(right: np.ndarray, answers: np.ndarray, n_labels: np.ndarray) -> Interval:
        past = min(fits, len(right) - 1)
        change = right[-1].astype(int) - right[-1 - past]
        n, gained, lost = len(change) + 2, np.sum(change > 0) + 0.5, np.sum(change < 0) + 0.5
        mean = (gained - lost) / n
        half = 1.96 * np.sqrt((gained + lost) / n - mean**2) / np.sqrt(n)
        return Interval(*(float(end) / past for end in (mean, mean - half, mean + half)))

    return forecast


def _spread(right: np.ndarray, answers: np.ndarray, n_labels: np.ndarray) -> Interval:
    """The next change on the check images is one like the last ten: Student's t interval for a single one."""
    changes = np.diff(right[-11:].mean(axis=1))
    mean, low, high = interval(changes)
    half = (high - low) / 2 * np.sqrt(len(changes) + 1)
    return Interval(mean, mean - half, mean + half)


def _curve(right: np.ndarray, answers: np.ndarray, n_labels: np.ndarray) -> Interval:
    """A straight line in 1 / √n_labels through the accuracies on the check images, for other check images."""
    x = n_labels**-0.5
    slopes = (x - x.mean()) @ right / ((x - x.mean()) ** 2).sum()
    return interval(slopes * ((n_labels[-1] + 10) ** -0.5 - x[-1]))


def _of_those_changed(net: Interval) -> Forecast:
    return lambda right, answers, n_labels: next_gain(answers[-2], answers[-1], net)


FORECASTS: dict[str, Forecast] = {
    "check set: the last change": _paired(1),
    "check set: the last 5 changes": _paired(5),
    "check set: spread of the last 10 changes": _spread,
    "check set: line in 1 / √labels": _curve,
}
for _net in (
    (0, -1, 1),
    (0, -0.5, 0.5),
    (0.1, -0.2, 0.5),
    (0.1, -0.2, 0.4),
    (0.1, -0.1, 0.4),
    (0.1, -0.1, 0.3),
):
    _name = "stop set: {1:g} to {2:g} of the answers changed".format(*_net)
    FORECASTS[_name] = _of_those_changed(Interval(*_net))


def forecasts(seed: int) -> list[Row]:
    """Forecasts to choose from, on tuning draws whose test images stay unseen.

    Under "…: gain", what ten labels more brought; under "…: held", 1 if the forecast's interval held that;
    under "…: width", how wide it was.
    """
    images, check, stop = _apart(draw(TUNING + seed, n_validation=BUDGET + N_CHECK + N_STOP, test=False))
    done = run(images, BETTER)
    curve = _rows("forecasts", "margin", seed, images, done)
    return _forecast_rows(curve, _answers(check[0], done) == check[1], _answers(stop, done), FORECASTS)


def stopping(seed: int) -> list[Row]:
    """When successive models' answers settle, and whether the forecast of the next ten labels holds.

    Under "…: kappa …", the number of labels when the mean kappa of three pairs of models reached that, and
    the accuracy there. A draw in which it did not has the accuracy at the end of the budget, and ten labels
    more than that: see `Results.stops`. Forecasts are recorded as in `forecasts`.
    """
    images, check, stop = _apart(draw(seed, n_validation=BUDGET + N_CHECK + N_STOP))
    noisy = with_wrong_labels(images, 0.1)
    runs = {
        "margin": run(images, BETTER, LONG_BUDGET),
        "margin, 10 % wrong": run(noisy, BETTER, LONG_BUDGET),
        "random": run(images, Recipe("random", "converged", C=BEST_C)),
        "least confident, article": run(images, Recipe()),
    }
    rows = []
    for name, done in runs.items():
        curve = _rows("stopping", name, seed, images, done)
        answers = {"": _answers(stop, done)}
        forecast = {name: _of_those_changed(NET)}
        rows += _forecast_rows(curve, _answers(check[0], done) == check[1], answers[""], forecast)
        if curve[-1].n_labels < LONG_BUDGET:
            continue
        rows += [row for row in curve if row.n_labels % 100 == 0]
        if name == "margin":
            answers[", stop set in the pool"] = _answers(images.x_pool[-N_STOP:], done)
        for where, given in answers.items():
            kappas = [cohen_kappa(*pair) for pair in pairwise(given)]
            for threshold in KAPPAS:
                settled = [row for i, row in enumerate(curve) if is_stable(kappas[:i], threshold)]
                at = settled[0] if settled else curve[-1]._replace(n_labels=LONG_BUDGET + 10)
                rows.append(at._replace(recipe=f"{name}: kappa {threshold:g}{where}", seconds=None))
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
    "label noise": label_noise,
    "forecasts": forecasts,
    "stopping": stopping,
}
FEWER = {"tuning": 20, "forecasts": 50}
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
    answers = (images.x_test @ model.weights + model.bias).argmax(axis=1)
    return float((answers == images.y_test).mean())


def _apart(images: Draw) -> tuple[Draw, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The draw without its last validation images; those: a check set, images and labels, and a stop set."""
    x, y = images.x_validation, images.y_validation
    check = slice(len(x) - N_CHECK - N_STOP, len(x) - N_STOP)
    images = images._replace(x_validation=x[: check.start], y_validation=y[: check.start])
    return images, (x[check], y[check]), x[check.stop :]


def _answers(x: np.ndarray, done: Run) -> np.ndarray:
    """What each recorded fit answers on images x, (fits, n)."""
    each = zip(done.weights, done.bias, strict=True)
    return np.array([(x @ weights.T + bias).argmax(axis=1) for weights, bias in each])


def _forecast_rows(
    curve: list[Row], right: np.ndarray, answers: np.ndarray, forecasts: dict[str, Forecast]
) -> list[Row]:
    """What `forecasts` records, from a learning curve and each fit's right check images and answers."""
    n_labels = np.array([row.n_labels for row in curve])
    rows = []
    for n in FORECAST_AT:
        fits = int(np.searchsorted(n_labels, n)) + 1
        gain = round(curve[fits].accuracy - curve[fits - 1].accuracy, 6)
        at = curve[fits - 1]._replace(seconds=None)
        rows.append(at._replace(recipe=f"{at.recipe}: gain", accuracy=gain))
        for name, forecast in forecasts.items():
            _, low, high = forecast(right[:fits], answers[:fits], n_labels[:fits])
            rows.append(at._replace(recipe=f"{name}: held", accuracy=float(low <= gain <= high)))
            rows.append(at._replace(recipe=f"{name}: width", accuracy=round(float(high - low), 4)))
    return rows


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
        return {recipe: _band(*self.curves(experiment, recipe), least) for recipe in recipes}

    def at(self, experiment: str, recipe: str, n_labels: int = BUDGET) -> np.ndarray:
        """Accuracies with so many labels, (draws,)."""
        numbers, accuracy = self.curves(experiment, recipe)
        return accuracy[:, list(numbers).index(n_labels)]

    def last(self, experiment: str, recipe: str) -> np.ndarray:
        """Accuracies after the last fit, (draws,)."""
        return np.array([rows[-1].accuracy for rows in self._draws(experiment, recipe)])

    def noise(self, recipe: str, percent: int) -> tuple[np.ndarray, np.ndarray]:
        """As `curves`, with so many per cent of the labels wrong: 0, or one of NOISE.

        recipe: "margin", "random" or "least confident, article". For 0 per cent it takes the same draws from
        "better recipe" or "article recipe", which have to be there.
        """
        if percent:
            return self.curves("label noise", f"{recipe}, {percent} % wrong")
        query, _, article = recipe.partition(", ")
        n_labels, accuracy = self.curves("article recipe" if article else "better recipe", query)
        recorded = n_labels % NOISE_EVERY == 0
        return n_labels[recorded], accuracy[:, recorded]

    def noise_bands(
        self, recipe: str, least: int = 50
    ) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Learning curves of `noise` for `plots.bands`: one for each rate of wrong labels, as in `bands`."""
        return {f"{percent} % wrong": _band(*self.noise(recipe, percent), least) for percent in (0, *NOISE)}

    def stops(self, recipe: str) -> tuple[np.ndarray, np.ndarray]:
        """Labels at which a rule of "stopping" stopped, (draws,), and the accuracies there, (draws,).

        recipe: such as "margin: kappa 0.99". Where a rule did not stop, the labels are infinite and the
        accuracy is that at the end of the budget.
        """
        ends = [rows[-1] for rows in self._draws("stopping", recipe)]
        n_labels = np.array([row.n_labels if row.n_labels <= LONG_BUDGET else np.inf for row in ends])
        return n_labels, np.array([row.accuracy for row in ends])

    def tenths(self, recipe: str) -> np.ndarray:
        """Accuracies of "test images" on each tenth of them, (draws, 10)."""
        return np.column_stack([self.last("test images", f"{recipe}, tenth {k}") for k in range(10)])

    def seconds(self, experiment: str, recipe: str) -> np.ndarray:
        """CPU seconds of whole runs on one thread, (draws,)."""
        return np.array([rows[-1].seconds for rows in self._draws(experiment, recipe)])

    def _draws(self, experiment: str, recipe: str) -> list[list[Row]]:
        return [rows for _, rows in sorted(self._runs[experiment, recipe].items())]


def _band(
    n_labels: np.ndarray, accuracy: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    late = n_labels >= least
    return n_labels[late], *band(accuracy[:, late])


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


def read(folder: Path = PACKAGE) -> Iterator[Row]:
    """The rows of the results file of the package, or of one like it in another folder.

    Raises OSError if it is missing or damaged: its SHA-256 is checked on every call.
    """
    text = gzip.decompress(read_shipped(RESULTS, folder)).decode()
    _, *lines = csv.reader(io.StringIO(text))
    for name, recipe, seed, n, accuracy, seconds in lines:
        yield Row(name, recipe, int(seed), int(n), float(accuracy), float(seconds) if seconds else None)


def write(rows: Iterable[Row], folder: Path = PACKAGE) -> None:
    """Write the results file and its digest. The same rows give the same bytes."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows(rows)
    write_shipped(RESULTS, gzip.compress(text.getvalue().encode(), mtime=0), folder)


def renew(experiments: Sequence[str], draws: Iterable[int] = range(N_DRAWS), folder: Path = PACKAGE) -> None:
    """Compute these experiments anew, and write a results file that keeps the rows of all others.

    Raises OSError if rows are to be kept and the file is missing or damaged, and RuntimeError as `compute`.
    """
    order = {name: place for place, name in enumerate(EXPERIMENTS)}
    order |= {also: order[name] for name, also in _ALSO.items()}
    rest = set(order.values()) - {order[name] for name in experiments}
    kept = [row for row in read(folder) if order.get(row.experiment) in rest] if rest else []
    fresh = compute([name for name in EXPERIMENTS if name in experiments], draws)
    # The sort keeps rows of the same experiment in their order.
    write(sorted([*kept, *fresh], key=lambda row: order[row.experiment]), folder)


def main() -> None:
    """Compute the experiments named on the command line, or all, and write the results file."""
    wanted = sys.argv[1:] or list(EXPERIMENTS)
    for name in wanted:
        if name not in EXPERIMENTS:
            sys.exit(
                f"there is no experiment {name!r}; give any of {', '.join(EXPERIMENTS)}, or none for all"
            )
    try:
        renew(wanted)
    except (OSError, RuntimeError) as error:
        sys.exit(f"alhelpers: {error}")
    except KeyboardInterrupt:
        sys.exit("alhelpers: interrupted; the results file is as it was")
    print(f"{RESULTS} is written; renew notebooks 09 to 11 with `make refresh`")
    if (np.__version__, scipy.__version__) != MADE_WITH:
        print(f"and let MADE_WITH in experiments.py say {(np.__version__, scipy.__version__)}")


if __name__ == "__main__":
    main()
