"""The repeats behind notebook 8's doubts: in NumPy and a process for each processor, whatever the engine."""

from collections.abc import Callable, Iterable
from typing import Any

from alhelpers.data import Dataset
from alhelpers.evidence.draws import Draw, draw
from alhelpers.evidence.processes import in_processes
from alhelpers.evidence.runs import Recipe, Run, replicate, score
from alhelpers.evidence.trifles import nudged
from alhelpers.progress import progress

Accuracies = dict[str, list[float]]
"""By the way of choosing, an accuracy of each repeat."""


def nudged_runs(data: Dataset, n_repeats: int, label_budget: int = 400, batch_size: int = 10) -> Accuracies:
    """The article's runs from weights of about 0.000 000 1: accuracies on the test images of the dataset."""
    tasks = [(data, seed, label_budget, batch_size) for seed in range(n_repeats)]
    return _gather(_nudged_run, tasks, "nudged runs")


def fresh_draws(
    n_repeats: int, n_pool: int = 4000, n_validation: int = 400, label_budget: int = 400, batch_size: int = 10
) -> Accuracies:
    """The article's runs on other images, stopped on validation images: accuracies on 10,000 test images."""
    tasks = [(seed, n_pool, n_validation, label_budget, batch_size) for seed in range(1, n_repeats + 1)]
    return _gather(_fresh_draw, tasks, "fresh draws")


def _gather(function: Callable, tasks: list[tuple], name: str) -> Accuracies:
    found = list(progress(in_processes(function, tasks), name, len(tasks)))
    return {way: [accuracies[way] for accuracies in found] for way in found[0]}


def _nudged_run(task: tuple[Dataset, int, int, int]) -> dict[str, float]:
    data, seed, label_budget, batch_size = task
    images = Draw(seed, data, data.x_test, data.y_test)
    return {
        way: _last_fit(images, recipe, label_budget, model=nudged(seed)).learner.history[-1].accuracy
        for way, recipe in _ways(label_budget, batch_size)
    }


def _fresh_draw(task: tuple[int, int, int, int, int]) -> dict[str, float]:
    seed, n_pool, n_validation, label_budget, batch_size = task
    images = draw(seed, n_pool, n_validation)
    runs: dict[str, Run] = {
        way: _last_fit(images, recipe, label_budget) for way, recipe in _ways(label_budget, batch_size)
    }
    runs["all labels"] = _last_fit(images, Recipe("random", batch_size=n_pool), n_pool)
    return {way: float(score(images.x_test, images.y_test, run)[-1]) for way, run in runs.items()}


def _last_fit(images: Draw, recipe: Recipe, n_labels: int, **others: Any) -> Run:
    """A run of which only the last fit is recorded, to be scored."""
    return replicate(images, recipe, n_labels, record_every=n_labels, **others)


def _ways(label_budget: int, batch_size: int) -> Iterable[tuple[str, Recipe]]:
    yield "unselected", Recipe("random", batch_size=label_budget)
    yield "least confident", Recipe("least confident", batch_size=batch_size)
