"""The experiments behind notebooks 09 to 11 and 13.

`make evidence` computes everything anew and writes the results file; `python -m alhelpers.evidence` with the
names of experiments behind it computes these and keeps the other rows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from alhelpers.agreement import agreement
from alhelpers.data import load_mnist, scale
from alhelpers.errors import UserError
from alhelpers.evidence import carry_over
from alhelpers.evidence.converged import Converged
from alhelpers.evidence.draws import TUNING, Draw, draw, with_wrong_labels
from alhelpers.evidence.forecasts import FORECASTS, Forecast, of_those_changed
from alhelpers.evidence.processes import in_processes
from alhelpers.evidence.queries import COMPARED
from alhelpers.evidence.runs import (
    BUDGET,
    Recipe,
    Run,
    accuracies,
    answers,
    replicate,
    row_of,
    shared_draw,
    shared_run,
)
from alhelpers.evidence.spreading import neighbours, spread_labels
from alhelpers.evidence.table import Results, Row, read, write
from alhelpers.evidence.trifles import Divided, Double, nudged, shuffled
from alhelpers.files import PACKAGE
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.progress import progress
from alhelpers.stopping import NET_RIGHT, is_stable

MADE_WITH = ("2.4.6", "1.17.1")
"""NumPy and SciPy of the results file, those that the lock has for Python 3.11. Others round differently."""
N_DRAWS = 100  # in the results file, numbered from 0
# What the draws of `tuning` settled on; notebook 10 shows how.
BETTER, BEST_CONFIDENCE = Recipe("margin", C=0.1), 0.5
WRONG_LABELS, NOISE_EVERY = (0, 0.05, 0.1, 0.2), 50
"""Shares of wrong labels in "label noise"; and its curves have a fit at every 50 labels."""
# The sizes of "stopping": images to check on and images to see change, both apart from the pool, and a budget
# in which the strictest rule stops.
N_CHECK, N_STOP, LONG_BUDGET = 100, 1000, 1000
# Where stopping rules stop, and at how many labels forecasts are scored.
KAPPAS, FORECAST_AT = (0.95, 0.98, 0.99), (50, 100, 200, 390)


# ---- The experiments: each a function of the number of a draw, for as many draws as are wanted.


def rounding(seed: int) -> list[Row]:
    """The article's own run with changes too small to see, the seed drawing the change."""

    data = load_mnist()
    pixels = np.random.default_rng(seed).permutation(data.x_pool[0].size)
    mixed = replace(data, x_pool=_reordered(data.x_pool, pixels), x_test=_reordered(data.x_test, pixels))
    variants = [
        ("pixels in another order", 32, mixed, SoftmaxRegression),
        ("divided by n, not times 1/n", 32, data, Divided),
    ]
    for bits, kind in ((32, SoftmaxRegression), (64, Double)):
        variants.append(("images in another order", bits, data, shuffled(seed, kind)))
        variants.append(("weights moved by 1e-7", bits, data, nudged(seed, kind)))
    row = row_of("rounding", seed, Recipe(), stopped_on="400 test images", judged_by="400 test images")
    rows = []
    for variant, bits, images, model in variants:
        done = replicate(Draw(seed, images, images.x_test, images.y_test), Recipe(), model=model)
        accuracy = done.learner.history[-1].accuracy
        rows.append(row._replace(variant=variant, setting=float(bits), n_labels=BUDGET, value=accuracy))
    return rows


def _reordered(images: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)[:, pixels].reshape(images.shape)


def article_recipe(seed: int) -> list[Row]:
    """The article's way of learning, for each query; and labels without choosing, 400 or all in one fit."""
    recipes = [(Recipe(query), BUDGET) for query in COMPARED]
    recipes += [(Recipe("random", batch_size=n), n) for n in (BUDGET, shared_draw(seed).data.n_pool)]
    return _curves("article recipe", seed, recipes)


def judges(seed: int) -> list[Row]:
    """Who stops the training and who judges it: 400 validation or test images, 400 or all test images."""
    images = shared_draw(seed)
    some = np.random.default_rng([seed, 400]).choice(len(images.y_test), 400, replace=False)
    shape = (400, *images.data.x_test.shape[1:])
    few = images.x_test[some], images.y_test[some]
    # The test images are scaled already, and a dataset takes pool and test images of one kind.
    x_pool = images.data.x_pool / np.float32(255)
    data = replace(images.data, x_pool=x_pool, x_test=few[0].reshape(shape), y_test=few[1])
    rows = []
    for recipe in (Recipe("random", batch_size=BUDGET), Recipe()):
        runs = {"400 validation images": shared_run(seed, recipe, BUDGET)}
        runs["400 test images"] = replicate(images._replace(data=data), recipe, record_every=BUDGET)
        for stopped_on, done in runs.items():
            for judged_by, judging in (("400 test images", few), ("10,000 test images", images[2:])):
                row = row_of("judges", seed, recipe, stopped_on=stopped_on, judged_by=judged_by)
                rows += accuracies(row, done, *judging, BUDGET)
    return rows


def auto_labeling(seed: int) -> list[Row]:
    """The article's way to the end: 400 least confident labels, then ten pseudo-labels at a time."""
    images = shared_draw(seed)
    done = replicate(images, Recipe(), auto_batch_size=10, record_every=100)
    rows = accuracies(row_of("auto-labelling", seed, Recipe()), done, *images[2:])
    return [row for row in rows if row.n_labels >= BUDGET]


def tuning(seed: int) -> list[Row]:
    """Settings to choose from, on draws of their own whose test images stay unseen."""
    images = draw(TUNING + seed, test=False)
    recipes = [Recipe(query, C) for query in COMPARED for C in (0.01, 0.03, 0.1, 0.3, 1, 10)]
    recipes += [
        Recipe(query, learning_rate=rate, refitted=refitted)
        for query in ("random", "least confident", "margin")
        for rate in (0.1, 0.01)
        for refitted in (False, True)
    ]
    recipes += [replace(BETTER, batch_size=size) for size in (1, 50)]
    judged_by, rows = "10,000 training images", []
    for recipe in recipes:
        done = replicate(images, recipe, record_every=BUDGET)
        row = row_of("tuning", seed, recipe, judged_by=judged_by)
        rows += accuracies(row, done, *images[2:])
    done = replicate(images, BETTER, record_every=BUDGET)
    x = scale(images.data.x_pool)
    graph = neighbours(x)
    trials = [("self-training", least, *self_labels(done, least)) for least in (0, 0.5, 0.8, 0.9, 0.95)]
    for alpha in (0.5, 0.7, 0.8, 0.9, 0.95):
        labels = spread_labels(graph, done.learner.labeled, done.learner.labels, alpha)
        trials.append(("spreading", alpha, np.arange(len(x)), labels))
    for variant, setting, chosen, labels in trials:
        accuracy = _learned(images, x[chosen], labels)
        row = row_of("tuning", seed, BETTER, variant=variant, setting=float(setting))
        rows.append(row._replace(judged_by=judged_by, n_labels=len(labels), value=accuracy))
    return rows


def better_recipe(seed: int) -> list[Row]:
    """The better recipe, with each query; and random labels up to 1,200, and all, to compare with."""
    recipes = [(replace(BETTER, query=query), BUDGET) for query in COMPARED]
    recipes += [
        (replace(BETTER, query="random", batch_size=size), n) for size, n in ((100, 1200), (4000, 4000))
    ]
    return _curves("better recipe", seed, recipes)


def batch_sizes(seed: int) -> list[Row]:
    """Batches of 1, 10 and 50, the article's way and the better way."""
    sizes = [replace(recipe, batch_size=size) for size in (1, 10, 50) for recipe in (Recipe(), BETTER)]
    return _curves("batch size", seed, [(recipe, BUDGET) for recipe in sizes])


def refitting(seed: int) -> list[Row]:
    """The article's way, but every fit from zero weights."""
    queries = ("random", "least confident", "margin")
    return _curves("refitting", seed, [(Recipe(query, refitted=True), BUDGET) for query in queries])


def pseudo_labeling(seed: int) -> list[Row]:
    """What the rest of the pool is worth without a person: labels from the model, or from near images.

    "share right" is the share of them that is right, among all images that no person labelled and among those
    that self-training takes.
    """
    images = shared_draw(seed)
    x, y = scale(images.data.x_pool), images.data.y_pool
    graph, rows = neighbours(x), []
    for query in ("random", "margin"):
        recipe = replace(BETTER, query=query)
        done = shared_run(seed, recipe, BUDGET)
        labeled, everywhere = done.learner.labeled, np.arange(len(y))
        sure, own = self_labels(done, BEST_CONFIDENCE)
        _, all_own = self_labels(done, 0)
        spread = spread_labels(graph, labeled, done.learner.labels)
        for variant, chosen, labels in (("self-training", sure, own), ("spreading", everywhere, spread)):
            row = row_of("pseudo-labelling", seed, recipe, variant=variant, n_labels=len(labels))
            rows.append(row._replace(value=_learned(images, x[chosen], labels)))
        for judged_by, those in (("all pseudo-labels", everywhere), ("sure pseudo-labels", sure)):
            those = np.setdiff1d(those, labeled)
            for variant, labels in (("self-training", all_own), ("spreading", spread)):
                right = round(float(np.mean(labels[those] == y[those])), 6)
                row = row_of("pseudo-labelling", seed, recipe, variant=variant, judged_by=judged_by)
                rows.append(row._replace(measure="share right", n_labels=len(those), value=right))
    return rows


def tenths(seed: int) -> list[Row]:
    """Accuracy on each tenth of the test images, to tell how much hangs on which images judge."""
    images = shared_draw(seed)
    parts = np.split(np.random.default_rng(10).permutation(len(images.y_test)), 10)
    recipes = [Recipe("random", batch_size=BUDGET), Recipe(), replace(BETTER, query="random"), BETTER]
    rows = []
    for recipe in recipes:
        done = shared_run(seed, recipe, BUDGET)
        for k, part in enumerate(parts):
            row = row_of("test images", seed, recipe, judged_by=f"tenth {k} of the test images")
            rows += accuracies(row, done, images.x_test[part], images.y_test[part], BUDGET)
    return rows


def label_noise(seed: int) -> list[Row]:
    """A person who errs: some share of the labels wrong.

    Only the labels that are bought are wrong. The article's recipe stops its training on right ones.
    """
    images, rows = shared_draw(seed), []
    for share in WRONG_LABELS:
        noisy = with_wrong_labels(images, share)
        for recipe in (BETTER, replace(BETTER, query="random"), Recipe()):
            if share:
                done = replicate(noisy, recipe, record_every=NOISE_EVERY)
            else:
                done = shared_run(seed, recipe, BUDGET)
            row = row_of("label noise", seed, recipe, wrong_labels=float(share))
            rows += accuracies(row, done, *images[2:], NOISE_EVERY)
    return rows


def forecasts(seed: int) -> list[Row]:
    """Forecasts to choose from, on tuning draws whose test images stay unseen: see `_forecast_rows`."""
    images, check, stop = _apart(draw(TUNING + seed, n_validation=BUDGET + N_CHECK + N_STOP, test=False))
    done = replicate(images, BETTER)
    row = row_of("forecasts", seed, BETTER, judged_by="10,000 training images")
    curve = accuracies(row, done, *images[2:])
    return _forecast_rows(curve, answers(check[0], done) == check[1], answers(stop, done), FORECASTS)


def stopping(seed: int) -> list[Row]:
    """When successive models' answers settle, and whether the forecast of the next ten labels holds.

    "labels when settled" is how many there were when the mean kappa of three pairs of models reached the
    setting, "accuracy when settled" what it was then. In a draw in which it did not, there is no number of
    labels, and the accuracy is that at the end of the budget. For the forecasts see `_forecast_rows`.
    """
    images, check, stop = _apart(draw(seed, n_validation=BUDGET + N_CHECK + N_STOP))
    noisy = with_wrong_labels(images, 0.1)
    random = replace(BETTER, query="random")
    rows = []
    for some, recipe, wrong, budget in (
        (images, BETTER, 0.0, LONG_BUDGET),
        (noisy, BETTER, 0.1, LONG_BUDGET),
        (images, random, 0.0, BUDGET),
        (images, Recipe(), 0.0, BUDGET),
    ):
        done = replicate(some, recipe, budget)
        curve = accuracies(row_of("stopping", seed, recipe, wrong_labels=wrong), done, *images[2:])
        given = answers(stop, done)
        rows += _forecast_rows(
            curve, answers(check[0], done) == check[1], given, {"stop set": of_those_changed(NET_RIGHT)}
        )
        if budget == LONG_BUDGET:
            rows += [row for row in curve if row.n_labels % 100 == 0]
            rows += _settled_rows(curve, given, "stop set apart")
        if budget == LONG_BUDGET and not wrong:
            in_pool = answers(scale(images.data.x_pool[-N_STOP:]), done)
            rows += _settled_rows(curve, in_pool, "stop set in the pool")
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
    **carry_over.EXPERIMENTS,
}
FEWER = {"auto-labelling": 20, "tuning": 10, "batch size": 20, "forecasts": 50, "stopping": 40}
FEWER |= carry_over.FEWER
"""Experiments of fewer draws. Each has all that it is compared with, or only settles a recipe: read whole."""


def self_labels(done: Run, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Pool indices and labels: those given, and the last model's answers that are at least so confident."""
    learner = done.learner
    proba = learner.predict_proba(np.arange(learner.data.n_pool))
    labels, sure = proba.argmax(axis=1), proba.max(axis=1) >= least
    labels[learner.labeled], sure[learner.labeled] = learner.labels, True
    return np.flatnonzero(sure), labels[sure]


def _learned(images: Draw, x: np.ndarray, labels: np.ndarray) -> float:
    """Test accuracy of the better model, trained on these images with these labels."""
    model = Converged(x.shape[1], BETTER.C)
    model.fit(x, labels)
    return float(((images.x_test @ model.weights + model.bias).argmax(axis=1) == images.y_test).mean())


def _apart(images: Draw) -> tuple[Draw, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The draw without its last validation images; those: a check set, images and labels, and a stop set."""
    x, y = images.data.x_test, images.data.y_test
    check = slice(len(x) - N_CHECK - N_STOP, len(x) - N_STOP)
    data = replace(images.data, x_test=x[: check.start], y_test=y[: check.start])
    return images._replace(data=data), (scale(x[check]), y[check]), scale(x[check.stop :])


def _curves(experiment: str, seed: int, recipes: Iterable[tuple[Recipe, int]]) -> list[Row]:
    """Rows of recipes, each with its label budget, and after them one of the seconds that its run took."""
    images, rows = shared_draw(seed), []
    for recipe, budget in recipes:
        done = shared_run(seed, recipe, budget)
        rows += accuracies(row_of(experiment, seed, recipe), done, *images[2:])
        rows.append(rows[-1]._replace(measure="seconds", value=round(float(done.seconds[-1]), 3)))
    return rows


def _forecast_rows(
    curve: list[Row], right: np.ndarray, given: np.ndarray, forecasts: dict[str, Forecast]
) -> list[Row]:
    """Of a learning curve: "gain", what ten labels more brought; and of every forecast of it from each fit's
    right check images and answers on the stop set: "held", 1 if its interval held that, and its "width".
    """
    n_labels = np.array([row.n_labels for row in curve])
    rows = []
    for n in FORECAST_AT:
        fits = int(np.searchsorted(n_labels, n)) + 1
        gain = round(curve[fits].value - curve[fits - 1].value, 6)
        rows.append(curve[fits - 1]._replace(measure="gain", value=gain))
        for variant, forecast in forecasts.items():
            _, low, high = forecast(right[:fits], given[:fits], n_labels[:fits])
            row = curve[fits - 1]._replace(variant=variant)
            rows.append(row._replace(measure="held", value=float(low <= gain <= high)))
            rows.append(row._replace(measure="width", value=round(float(high - low), 4)))
    return rows


def _settled_rows(curve: list[Row], given: np.ndarray, variant: str) -> list[Row]:
    """When answers settled, for each of KAPPAS: see `stopping`."""
    kappas, rows = [agreement(*pair).kappa.estimate for pair in pairwise(given)], []
    for threshold in KAPPAS:
        settled = [row for i, row in enumerate(curve) if is_stable(kappas[:i], threshold)]
        at = (settled or curve[-1:])[0]._replace(variant=variant, setting=threshold, n_labels=None)
        n_labels = settled[0].n_labels if settled else None
        rows.append(at._replace(measure="accuracy when settled"))
        rows.append(at._replace(measure="labels when settled", value=n_labels))
    return rows


# ---- The results


def results(experiments: Sequence[str], seeds: Iterable[int], recompute: bool = False) -> Results:
    """What the experiments gave on draws with these numbers: read from the results file, or computed anew.

    Of an experiment in FEWER, the file gives all its draws, and no more than so many are computed.

    Raises UserError if the file does not hold a draw, and OSError if the file is missing or damaged.
    """
    seeds = list(seeds)
    if recompute:
        return Results(compute(experiments, seeds))
    if not set(seeds) <= set(range(N_DRAWS)):
        raise UserError(
            f"draws {min(seeds):,} to {max(seeds):,} are asked for and the results file holds 0 to "
            f"{N_DRAWS - 1}; give a smaller first_draw or n_draws, or recompute = True"
        )
    wanted = set(seeds)
    return Results(
        row for row in read(experiments=experiments) if row.draw in wanted or row.experiment in FEWER
    )


def compute(experiments: Sequence[str], seeds: Iterable[int]) -> Iterator[Row]:
    """Rows of these experiments on draws with these numbers, in as many processes as there are processors.

    One process does all of a draw, so that a run that several experiments look at is made once. Raises
    RuntimeError if one of the processes dies.
    """
    tasks = []
    for i, seed in enumerate(seeds):
        if names := [name for name in experiments if i < FEWER.get(name, math.inf)]:
            tasks.append((names, seed))
    for rows in progress(in_processes(_compute, tasks), "draws", len(tasks)):
        yield from rows


def _compute(task: tuple[list[str], int]) -> list[Row]:
    names, seed = task
    return [row for name in names for row in EXPERIMENTS[name](seed)]


def renew(experiments: Sequence[str], draws: Iterable[int] = range(N_DRAWS), folder: Path = PACKAGE) -> None:
    """Compute these experiments anew, and write a results file that keeps the rows of all others.

    Raises OSError if rows are to be kept and the file is missing or damaged, and RuntimeError as `compute`.
    """
    order = list(EXPERIMENTS)
    rest = set(order) - set(experiments)
    kept = [row for row in read(folder) if row.experiment in rest] if rest else []
    fresh = compute([name for name in order if name in experiments], draws)
    # The sort keeps rows of the same experiment in their order.
    write(sorted([*kept, *fresh], key=lambda row: order.index(row.experiment)), folder)
