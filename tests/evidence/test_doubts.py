"""The repeats of notebook 8: what is read is what would be computed."""

from dataclasses import replace

import numpy as np
import pytest
import scipy

from alhelpers.arithmetic import SAME_KERNELS
from alhelpers.data import load_mnist
from alhelpers.evidence import doubts, experiments


def repeats(data):
    return doubts.fresh_draws(2), doubts.nudged_runs(data, 2)


def test_repeats_of_the_article_s_sizes_are_read_and_those_of_others_computed(monkeypatch):
    data, calls, gather = load_mnist(), [], doubts._gather
    monkeypatch.setattr(doubts, "_gather", lambda *given: calls.append(given[1]) or gather(*given))
    read = repeats(data)
    assert [list(ways) for (*_, ways), *_ in calls] == [["unselected"]]
    calls.clear()
    monkeypatch.setattr(doubts, "N_DRAWS", 0)  # as if the file held none
    computed = repeats(data)
    assert [list(ways) for (*_, ways), *_ in calls] == [
        ["unselected", "least confident", "all labels"],
        ["unselected", "least confident"],
    ]
    same = SAME_KERNELS and (np.__version__, scipy.__version__) == experiments.MADE_WITH
    for before, fresh in zip(read, computed, strict=True):
        assert list(before) == list(fresh)
        for way in before:
            assert fresh[way] == pytest.approx(before[way], abs=0 if same else 0.1)


@pytest.mark.parametrize("other", ["labels", "images", "sizes"])
def test_nothing_is_read_for_other_data(monkeypatch, other):
    data = load_mnist()
    if other == "labels":
        data = replace(data, y_pool=data.y_pool[::-1])
    if other == "images":
        data = load_mnist(seed=1)
    monkeypatch.setattr(doubts, "results", lambda *_: pytest.fail("read from the file"))
    monkeypatch.setattr(doubts, "_gather", lambda _, tasks, __: {way: [] for way in tasks[0][-1]})
    sizes = {"batch_size": 20} if other == "sizes" else {}
    assert list(doubts.nudged_runs(data, 2, **sizes)) == ["unselected", "least confident"]
    for change in ({"n_pool": 3000}, {"n_validation": 300}, {"batch_size": 20}, {"label_budget": 300}):
        assert list(doubts.fresh_draws(2, **change)) == ["unselected", "least confident", "all labels"]
