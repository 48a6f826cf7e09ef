"""The experiments behind notebook 11: other data, rare classes, random labels mixed in, slips on hard images.

Each is a function of the number of a draw, as in `experiments.py`, and all use the converged model.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from alhelpers.data import scale
from alhelpers.evidence.converged import Converged
from alhelpers.evidence.datasets import SIZES, draw_of
from alhelpers.evidence.draws import TUNING, Draw, draw, with_rare_class, with_slips
from alhelpers.evidence.queries import COMPARED, ORACLE
from alhelpers.evidence.runs import (
    BUDGET,
    Recipe,
    Run,
    accuracies,
    answers,
    replicate,
    row_of,
    rows_at,
    shared_draw,
    shared_run,
)
from alhelpers.evidence.table import Row
from alhelpers.queries import margin

DATASETS = ("MNIST", *SIZES)
EVERY = 50
"""Fits are judged at every 50 labels."""
CS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""What C is chosen from, on tuning draws: for MNIST in notebook 10, for the others in `carry_over_tuning`."""
BEST_C = {"MNIST": 0.1, "spambase": 0.03, "satellite": 1.0, "letters": 3.0, "digits8x8": 3.0}
"""The C with the best mean of random and margin at 400 labels."""
RARE_SHARES, RARE_CS, BEST_RARE_C = (0.01, 0.05), (0.03, 0.1, 0.3, 1.0), {0.01: 1.0, 0.05: 0.1}
"""Shares of the rare digit, and what C is chosen from for each, by balanced accuracy, and was."""
RARE_QUERIES = ("random", "margin", "least confident", "typical, then margin")
RANDOM_SHARES = (0.0, 0.1, 0.2, 0.5)
HARD_SLIPS = (0.05, 0.1, 0.2)


def carry_over_tuning(seed: int) -> list[Row]:
    """Values of C to choose from, on tuning draws: accuracy for each data set, balanced accuracy if rare."""
    rows, number = [], TUNING + seed
    for name in SIZES:
        images = draw_of(name, number, test=False)
        for recipe in (Recipe(query, C) for query in ("random", "margin") for C in CS):
            row = row_of("carry-over tuning", seed, recipe, dataset=name, judged_by="tuning rows")
            rows += accuracies(row, replicate(images, recipe, record_every=BUDGET), *images[2:])
    for share, images in _rare(seed, draw(number, test=False)):
        for recipe in (Recipe(query, C) for query in ("random", "margin") for C in RARE_CS):
            row = row_of("carry-over tuning", seed, recipe, judged_by="tuning rows")
            done = replicate(images, recipe, record_every=BUDGET)
            rows += _rare_rows(row._replace(variant="rare class", setting=share), done, images, seed % 10)[:1]
    return rows


def _runs(experiment: str, seed: int, datasets: Iterable[str], recipes: Sequence[dict]) -> list[Row]:
    """A run on each data set by each of the recipes, with the C that is best there."""
    rows = []
    for name in datasets:
        images = shared_draw(seed) if name == "MNIST" else draw_of(name, seed)
        for recipe in (Recipe(C=BEST_C[name], **settings) for settings in recipes):
            if name == "MNIST":
                done, judged_by = shared_run(seed, recipe, BUDGET), "10,000 test images"
            else:
                done, judged_by = replicate(images, recipe, record_every=EVERY), "a third of the rows"
            row = row_of(experiment, seed, recipe, dataset=name, judged_by=judged_by)
            rows += accuracies(row, done, *images[2:], EVERY)
    return rows


def other_data(seed: int) -> list[Row]:
    """Six queries on four other data sets. MNIST's are those of "better recipe"."""
    return _runs("other data", seed, SIZES, [{"query": query} for query in COMPARED])


def greedy_oracle(seed: int) -> list[Row]:
    """How far a choice that knows the labels of the pool gets, see `queries._greedy_oracle`; and the draw's
    random labels and margin to compare with.
    """
    return _runs("greedy oracle", seed, DATASETS, [{"query": q} for q in ("random", "margin", ORACLE)])


def rare_class(seed: int) -> list[Row]:
    """MNIST with one digit at 1% or 5% of the pool, the digit being the last figure of the draw's number.

    Of each fit "balanced accuracy", the mean of the classes' recalls, "rare recall", that of the rare digit,
    and "rare found", how many of the images labelled so far show it.
    """
    rows = []
    for share, images in _rare(seed, shared_draw(seed)):
        for query in RARE_QUERIES:
            recipe = Recipe(query, BEST_RARE_C[share])
            row = row_of("rare class", seed, recipe, setting=share)
            done = replicate(images, recipe, record_every=EVERY)
            rows += _rare_rows(row, done, images, seed % 10)
    return rows


def mix(seed: int) -> list[Row]:
    """Margin, but with a share of random images in each batch."""
    return _runs("mix", seed, DATASETS, [{"query": "margin", "random_share": s} for s in RANDOM_SHARES])


def hard_slips(seed: int) -> list[Row]:
    """Wrong labels on images with a low margin; those that fall anywhere are in "label noise".

    The margin is that of a model that has learned all right labels of the pool. Of the lowest margins, twice
    the share of wrong labels, each label is wrong with probability one half. "share wrong" is that among the
    labels bought.
    """
    images, rows = shared_draw(seed), []
    x, y, C = scale(images.data.x_pool), images.data.y_pool, BEST_C["MNIST"]
    model = Converged(x.shape[1], C)
    model.fit(x, y)
    rank = np.argsort(np.argsort(margin(model.predict_proba(x)), kind="stable"))
    for share in HARD_SLIPS:
        slips = with_slips(images, np.where(rank < round(2 * share * len(y)), 0.5, 0.0))
        for query in ("margin", "random"):
            recipe = Recipe(query, C)
            row = row_of("hard slips", seed, recipe, wrong_labels=share)
            done = replicate(slips, recipe, record_every=EVERY)
            rows += accuracies(row, done, *images[2:])
            wrong = float(np.mean(done.learner.labels != y[done.learner.labeled]))
            rows.append(rows[-1]._replace(measure="share wrong", value=round(wrong, 6)))
    return rows


def _rare(seed: int, images: Draw) -> Iterator[tuple[float, Draw]]:
    for share in RARE_SHARES:
        yield share, with_rare_class(images, seed % 10, share)


def _rare_rows(row: Row, done: Run, images: Draw, digit: int) -> list[Row]:
    """After each recorded fit what `rare_class` says."""
    right = answers(images.x_test, done) == images.y_test
    recalls = np.stack([right[:, images.y_test == k].mean(axis=1) for k in range(images.data.n_classes)])
    found = np.cumsum(done.learner.labels == digit)[done.n_labels - 1]
    measures = {"balanced accuracy": recalls.mean(axis=0), "rare recall": recalls[digit], "rare found": found}
    rows = (rows_at(row._replace(measure=name), done.n_labels, values) for name, values in measures.items())
    return [row for some in rows for row in some]


EXPERIMENTS = {
    "carry-over tuning": carry_over_tuning,
    "other data": other_data,
    "greedy oracle": greedy_oracle,
    "rare class": rare_class,
    "mix": mix,
    "hard slips": hard_slips,
}
FEWER = {"carry-over tuning": 10, "greedy oracle": 20}
"""Experiments of fewer draws, because of what they cost."""
