"""The committed results are what the experiments give."""

import math
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import scipy

from alhelpers import files
from alhelpers.arithmetic import SAME_KERNELS
from alhelpers.errors import UserError
from alhelpers.evidence import __main__ as command
from alhelpers.evidence import experiments as evidence
from alhelpers.evidence import table
from alhelpers.evidence.draws import draw, with_wrong_labels
from alhelpers.evidence.forecasts import FORECASTS
from alhelpers.evidence.table import Results, Row
from alhelpers.stopping import NET_RIGHT


@pytest.fixture(scope="module")
def committed():
    return Results(table.read())


# How many figures an experiment has, and their sum, without seconds. `make evidence` renews the file and its
# digest, so only this tells that a figure has changed since the notebooks' sentences were written:
# read those again, then put the new sums here.
SUMS = {
    "rounding": (600, 524.9975),
    "article recipe": (24200, 18074.9107),
    "judges": (800, 674.3944),
    "auto-labelling": (740, 627.7131),
    "tuning": (600, 504.5156),
    "better recipe": (25300, 18994.7760),
    "batch size": (3520, 2694.0838),
    "refitting": (12000, 8910.4274),
    "pseudo-labelling": (1200, 1080.9364),
    "test images": (4000, 3394.6880),
    "label noise": (9600, 7162.6126),
    "forecasts": (4200, 1898.7811),
    "stopping": (3431, 151329.1070),
    "carry-over tuning": (800, 660.4336),
    "other data": (19200, 15174.8057),
    "greedy oracle": (2400, 1946.0287),
    "rare class": (19200, 72786.8001),
    "mix": (16000, 12926.1131),
    "hard slips": (5400, 3732.4938),
}


@pytest.mark.parametrize("experiment", evidence.EXPERIMENTS)
def test_the_figures_are_those_that_the_notebooks_were_written_for(experiment, committed):
    rows = committed.select(experiment=experiment).rows
    values = [row.value for row in rows if row.measure != "seconds" and row.value is not None]
    assert (len(values), round(math.fsum(values), 4)) == SUMS[experiment]


def test_every_experiment_has_all_its_draws(committed):
    assert committed.distinct("experiment") == list(evidence.EXPERIMENTS)
    seeds = {}
    for row in committed.rows:
        seeds.setdefault(row._replace(draw=None, n_labels=None, value=None), set()).add(row.draw)
    for row, found in seeds.items():
        assert found == set(range(evidence.N_DRAWS)[: evidence.FEWER.get(row.experiment)]), row
    assert max(Counter(row._replace(value=None) for row in committed.rows).values()) == 1, (
        "a figure stands twice"
    )


# What takes longest is left out.
DEAR = {"tuning", "carry-over tuning", "greedy oracle"}


def test_a_draw_computed_anew_gives_the_committed_figures(committed):
    draw, experiments = 3, [name for name in evidence.EXPERIMENTS if name not in DEAR]
    same_arithmetic = SAME_KERNELS and (np.__version__, scipy.__version__) == evidence.MADE_WITH
    mine = [row for row in committed.rows if row.draw == draw and row.experiment in experiments]
    before, fresh = (
        {row._replace(value=None): row.value for row in rows if row.measure != "seconds"}
        for rows in (mine, evidence.compute(experiments, [draw]))
    )
    if same_arithmetic:
        assert fresh == before
    else:  # other versions and processors round differently, and a query makes much of little
        accuracies = [row for row in before if row.measure == "accuracy" and row in fresh]
        assert len(accuracies) > 0.99 * sum(row.measure == "accuracy" for row in before)
        assert all(fresh[row] == pytest.approx(before[row], abs=0.1) for row in accuracies)


def test_the_settings_used_are_those_that_the_tuning_draws_prefer(committed):
    tuning = committed.select(experiment="tuning")
    mean = {
        (query, C): tuning.last(query=query, C=C, batch_size=10, variant="").mean()
        for query in tuning.distinct("query")
        for C in tuning.distinct("C", variant="", refitted=None)
    }
    assert max(mean, key=mean.get) == (evidence.BETTER.query, evidence.BETTER.C)

    def best(variant):
        settings = tuning.distinct("setting", variant=variant)
        return max(settings, key=lambda setting: tuning.last(variant=variant, setting=setting).mean())

    assert best("self-training") == evidence.BEST_CONFIDENCE
    assert best("spreading") == 0.9  # the default of spread_labels


def test_the_forecast_is_the_narrowest_that_held_in_95_of_100_tuning_draws_wherever_it_was_scored(committed):
    tried = committed.select(experiment="forecasts")

    def mean(forecast, measure):
        return np.mean(tried.curves(variant=forecast, measure=measure)[1], axis=0)

    held = [name for name in FORECASTS if min(mean(name, "held")) >= 0.95]
    narrowest = min(held, key=lambda name: mean(name, "width").mean())
    assert narrowest == f"stop set: {NET_RIGHT.low:g} to {NET_RIGHT.high:g} of the answers changed"


def test_every_query_meets_the_same_wrong_labels_and_more_of_them_of_a_higher_share():
    images = draw(5)
    right = images.data.y_pool

    def labels(share, of=images):
        return with_wrong_labels(of, share).data.y_pool

    few, many = labels(0.1), labels(0.5)
    wrong = few != right
    assert 0.08 < wrong.mean() < 0.12
    assert 0.47 < (many != right).mean() < 0.53
    np.testing.assert_array_equal(few[wrong], many[wrong])
    np.testing.assert_array_equal(few, labels(0.1))
    assert (with_wrong_labels(images, 0.1).data.y_test == images.data.y_test).all()
    # Every other class as often, whatever the right one is.
    shift = np.bincount((labels(1).astype(int) - right) % 10, minlength=10)
    assert shift[0] == 0
    assert (np.abs(shift[1:] - 4000 / 9) < 100).all()
    assert (labels(0) == right).all()
    other = labels(0.1, images._replace(seed=6)) != right
    assert (other != wrong).any()
    with pytest.raises(ValueError, match="the share of wrong labels is 5; give a number from 0 to 1"):
        with_wrong_labels(images, 5)


def test_right_labels_are_learned_from_alike_in_every_experiment(committed):
    for query, C, experiment in (
        ("margin", 0.1, "better recipe"),
        ("least confident", None, "article recipe"),
    ):
        n_labels, right = committed.curves(experiment="label noise", query=query, C=C, wrong_labels=0)
        assert n_labels.tolist() == list(range(50, 401, 50))
        _, same = committed.curves(experiment=experiment, query=query, C=C, batch_size=10)
        np.testing.assert_array_equal(right, same[:, 4::5])
        wrong = committed.last(experiment="label noise", query=query, C=C, wrong_labels=0.2)
        assert (wrong < right[:, -1]).mean() > 0.95


def test_rules_stop_at_the_accuracy_that_the_model_had_there(committed):
    stopping = committed.select(experiment="stopping", query="margin")
    for wrong in (0, 0.1):
        some = stopping.select(wrong_labels=wrong)
        numbers, curve = some.curves()
        rules = [some.select(variant="stop set apart", setting=kappa) for kappa in evidence.KAPPAS]
        stops = [
            [rule.values(measure=f"{what} when settled") for what in ("labels", "accuracy")] for rule in rules
        ]
        for (sooner, worse), (later, better) in pairwise(stops):
            assert (np.nan_to_num(sooner, nan=np.inf) <= np.nan_to_num(later, nan=np.inf)).all()
            assert worse.mean() < better.mean()
        for n_labels, accuracy in stops:
            for row, (n, value) in zip(curve, zip(n_labels, accuracy, strict=True), strict=True):
                if np.isnan(n) or n in numbers:
                    assert value == row[-1 if np.isnan(n) else list(numbers).index(n)]


def test_a_rule_that_did_not_stop_has_no_number_of_labels():
    never = {"draw": 0, "measure": "labels when settled", "setting": 1.0}
    found = Results([Row("stopping", **never | {"draw": 1}, value=1000), Row("stopping", **never)])
    np.testing.assert_array_equal(found.values(measure="labels when settled"), [np.nan, 1000])


def test_rows_that_leave_open_what_is_meant_are_refused():
    rows = [Row("a", 0, batch_size=size, n_labels=10, value=0.5) for size in (10, 400)]
    with pytest.raises(ValueError, match="rows differ in batch_size, 10 and 400; say which"):
        Results(rows).last(experiment="a")
    with pytest.raises(KeyError, match="batch_size = 5"):
        Results(rows).last(batch_size=5)
    rows = [Row("a", 0, n_labels=n, value=n / 100) for n in (20, 10)]
    assert Results(rows).last().tolist() == [0.2]
    assert Results(rows).at(10).tolist() == [0.1]
    with pytest.raises(KeyError, match="experiment = 'b'"):
        Results(rows).last(experiment="b")
    with pytest.raises(ValueError, match="several rows; say with which n_labels"):
        Results(rows).values(experiment="a")
    with pytest.raises(ValueError, match="draw 1 has fits at other numbers of labels than draw 0"):
        Results([*rows, rows[0]._replace(draw=1)]).curves()


def test_curves_ends_and_single_figures_are_those_of_the_query_asked_for():
    rows = [
        Row("a", draw, query, n_labels=n, value=draw + n / 100 + (query == "margin") / 8)
        for query in ("random", "margin")
        for draw in (1, 0)
        for n in (100, 10, 50)
    ]
    others = [
        row._replace(experiment="b", query=query, value=9) for row in rows for query in ("random", "entropy")
    ]
    some = Results([*rows, *others])
    bands = some.bands("query", ["margin", "random"], experiment="a")
    assert list(bands) == ["margin", "random"]
    for query, more in (("margin", 0.125), ("random", 0)):
        n_labels, mean, low, high = bands[query]
        assert n_labels.tolist() == [50, 100], "it begins at 50 labels"
        np.testing.assert_allclose(mean, [1 + more, 1.5 + more])
        assert (low < mean).all()
        assert (high > mean).all()
    np.testing.assert_allclose(some.last_by("query", experiment="a"), [[1, 1.125], [2, 2.125]])
    np.testing.assert_allclose(some.at(10, query="margin", experiment="a"), [0.225, 1.225])


def a_package(folder):
    (folder / "evidence").mkdir(parents=True)
    (folder / files.SHIPPED).write_text("12ab  mnist.npz\n34cd  datasets/spam.csv\n")
    return folder


def test_some_experiments_computed_anew_leave_the_others_as_they_were(tmp_path, monkeypatch):
    old = [
        Row("judges", 0, n_labels=10, value=0.1),
        Row("pseudo-labelling", 0, n_labels=10, value=0.2),
        Row("pseudo-labelling", 1, n_labels=10, value=0.4),
        Row("test images", 0, n_labels=10, value=0.5),
    ]
    file = a_package(tmp_path) / table.FILE
    table.write(old, tmp_path)
    new = {
        "stopping": [Row("stopping", 0, n_labels=10, value=0.6)],
        "pseudo-labelling": [Row("pseudo-labelling", 0, query="b", n_labels=10, value=0.8)],
    }
    monkeypatch.setattr(
        evidence, "compute", lambda names, draws: [row for name in names for row in new[name]]
    )
    evidence.renew(["stopping"], range(1), tmp_path)
    assert list(table.read(tmp_path)) == [*old, *new["stopping"]]
    evidence.renew(["stopping", "pseudo-labelling"], range(1), tmp_path)
    assert list(table.read(tmp_path)) == [old[0], *new["pseudo-labelling"], old[3], *new["stopping"]]
    file.write_bytes(b"")
    with pytest.raises(OSError, match="is damaged"):
        evidence.renew(["stopping"], range(1), tmp_path)
    assert file.read_bytes() == b""
    monkeypatch.setattr(evidence, "compute", lambda names, draws: [Row(name, *draws) for name in names])
    evidence.renew(list(evidence.EXPERIMENTS)[::-1], range(7, 8), tmp_path)  # of all, nothing is kept
    assert list(table.read(tmp_path)) == [Row(name, 7) for name in evidence.EXPERIMENTS]


def test_an_unknown_experiment_ends_in_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evidence", "stopping", "stoping"])
    monkeypatch.setattr(evidence, "renew", lambda names: pytest.fail("computed"))
    with pytest.raises(
        SystemExit, match="there is no experiment 'stoping'; give any of rounding, article"
    ) as end:
        command.main()
    assert "\n" not in str(end.value)


def test_results_are_asked_for_by_experiment_and_draw():
    some = evidence.results(["judges", "tuning"], range(53, 56))
    assert {row.experiment for row in some.rows} == {"judges", "tuning"}
    assert {row.draw for row in some.rows if row.experiment == "judges"} == {53, 54, 55}
    assert len(evidence.results(["judges"], range(100)).distinct("draw")) == 100
    # What settled the recipe does not depend on the draws that it is scored on.
    assert {row.draw for row in some.rows if row.experiment == "tuning"} == set(range(10))
    with pytest.raises(UserError, match=r"draws 99 to 101 .* holds 0 to 99; give .* recompute = True"):
        evidence.results(["judges"], range(99, 102))


def test_every_experiment_is_computed_on_the_draws_asked_for_but_on_no_more_than_it_has(monkeypatch):
    monkeypatch.setattr(evidence, "in_processes", map)
    for name in ("judges", "tuning"):
        monkeypatch.setitem(evidence.EXPERIMENTS, name, lambda seed, name=name: [Row(name, seed, value=seed)])
    some = evidence.results(["judges", "tuning"], iter(range(470, 500)), recompute=True)
    assert some.distinct("draw", experiment="judges") == list(range(470, 500))
    assert some.distinct("draw", experiment="tuning") == list(range(470, 480))
    assert len(some.rows) == 40


def test_a_results_file_is_written_whole_and_always_alike(tmp_path):
    rows = [
        Row("a", 3, "b, with a comma", refitted=False, n_labels=10, value=0.125),
        Row("a", 3, C=0.1, batch_size=10, setting=0.5, measure="labels when settled"),
    ]
    one, two = (a_package(tmp_path / name) for name in ("one", "two"))
    for folder in (one, two):
        table.write(rows, folder)
    assert (one / table.FILE).read_bytes() == (two / table.FILE).read_bytes()
    assert (one / table.FILE).read_bytes()[4:8] == bytes(4), "the time of writing is in it"
    assert list(table.read(one)) == rows
    kept = files.shipped(one)
    assert list(kept) == ["mnist.npz", "datasets/spam.csv", table.FILE]
    assert (kept["mnist.npz"], kept["datasets/spam.csv"]) == ("12ab", "34cd")
    assert sorted(path.name for path in one.rglob("*")) == ["SHA256SUMS", "evidence", "results.csv.gz"]
