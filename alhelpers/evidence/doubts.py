"""The repeats behind notebook 8's doubts, whatever the engine.

Those of the article's own sizes are in the results file; others are computed in NumPy, in a process for each
processor.
"""

from collections.abc import Callable

import numpy as np

from alhelpers.data import Dataset, load_mnist
from alhelpers.evidence.draws import Draw, draw
from alhelpers.evidence.experiments import N_DRAWS, results
from alhelpers.evidence.processes import in_processes
from alhelpers.evidence.runs import BUDGET, Recipe, replicate, score
from alhelpers.evidence.trifles import nudged
from alhelpers.intervals import Interval, interval
from alhelpers.progress import progress

Accuracies = dict[str, list[float]]
"""By the way of choosing, an accuracy of each repeat."""
Ways = dict[str, tuple[Recipe, int]]
"""By its name, a recipe and how many labels it gets."""


def nudged_runs(data: Dataset, n_repeats: int, label_budget: int = 400, batch_size: int = 10) -> Accuracies:
    """The article's runs from weights of about 0.000 000 1: accuracies on the test images of the dataset."""
    ways, known = _ways(label_budget, batch_size), {}
    if ways == _ways() and n_repeats <= N_DRAWS and _is_published(data):
        found = results(["rounding"], range(n_repeats))
        known = {"least confident": found.last(variant="weights moved by 1e-7", setting=32).tolist()}
        del ways["least confident"]
    tasks = [(data, seed, ways) for seed in range(n_repeats)]
    return _gather(_nudged_run, tasks, "nudged runs") | known


def fresh_draws(
    n_repeats: int, n_pool: int = 4000, n_validation: int = 400, label_budget: int = 400, batch_size: int = 10
) -> Accuracies:
    """The article's runs on other images, stopped on validation images: accuracies on 10,000 test images."""
    seeds, sizes = range(1, n_repeats + 1), (n_pool, n_validation)
    ways = _ways(label_budget, batch_size) | {"all labels": (Recipe("random", batch_size=n_pool), n_pool)}
    if ways.items() >= _ways().items() and sizes == (4000, 400) and n_repeats < N_DRAWS:
        found = results(["article recipe"], seeds)
        return {
            way: found.last(query=recipe.query, batch_size=recipe.batch_size).tolist()
            for way, (recipe, _) in ways.items()
        }
    return _gather(_fresh_draw, [(seed, *sizes, ways) for seed in seeds], "fresh draws")


def gains_by_training() -> dict[tuple[str, str], Interval]:
    """Gain of choosing 400 labels on the draws of the file, by how chosen and unselected ones are trained."""
    found = results(["article recipe", "refitting"], range(N_DRAWS))
    chain = found.select(experiment="article recipe", batch_size=10)
    alone = found.at(BUDGET, experiment="article recipe", batch_size=BUDGET)
    chosen = chain.at(BUDGET, query="least confident")
    refitted = found.at(BUDGET, experiment="refitting", query="least confident")
    return {
        ("in a chain", "in a chain"): interval(chosen - chain.at(BUDGET, query="random")),
        ("in a chain", "in one fit (the article's way)"): interval(chosen - alone),
        ("each fit from zero", "in one fit"): interval(refitted - alone),
    }


def _gather(function: Callable, tasks: list[tuple], name: str) -> Accuracies:
    found = list(progress(in_processes(function, tasks), name, len(tasks)))
    return {way: [accuracies[way] for accuracies in found] for way in found[0]}


def _nudged_run(task: tuple[Dataset, int, Ways]) -> dict[str, float]:
    data, seed, ways = task
    images, found = Draw(seed, data, data.x_test, data.y_test), {}
    for way, (recipe, n_labels) in ways.items():
        run = replicate(images, recipe, n_labels, record_every=n_labels, model=nudged(seed))
        found[way] = run.learner.history[-1].accuracy
    return found


def _fresh_draw(task: tuple[int, int, int, Ways]) -> dict[str, float]:
    *sizes, ways = task
    images, found = draw(*sizes), {}
    for way, (recipe, n_labels) in ways.items():
        run = replicate(images, recipe, n_labels, record_every=n_labels)  # only the last fit is scored
        found[way] = float(score(images.x_test, images.y_test, run)[-1])
    return found


def _ways(label_budget: int = BUDGET, batch_size: int = 10) -> Ways:
    return {
        "unselected": (Recipe("random", batch_size=label_budget), label_budget),
        "least confident": (Recipe(batch_size=batch_size), label_budget),
    }


def _is_published(data: Dataset) -> bool:
    article, names = load_mnist(), ("x_pool", "y_pool", "x_test", "y_test")
    return all(np.array_equal(getattr(data, name), getattr(article, name)) for name in names)
