"""The committed results are what the experiments give."""

import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import scipy
from conftest import EXACT

from alhelpers.data import N_DRAWS
from alhelpers.evidence import experiments as evidence
from alhelpers.evidence.draws import draw, with_wrong_labels
from alhelpers.evidence.experiments import Results, Row
from alhelpers.stopping import NET


@pytest.fixture(scope="module")
def committed():
    return list(evidence.read())


def test_every_experiment_has_all_its_draws(committed):
    seeds = {}
    for row in committed:
        seeds.setdefault((row.experiment, row.recipe), set()).add(row.seed)
    assert {name for name, _ in seeds} == {*evidence.EXPERIMENTS, "pseudo-labels"}
    for (name, recipe), found in seeds.items():
        assert found == set(range(N_DRAWS)[: evidence.FEWER.get(name)]), f"{name}, {recipe}"
    assert max(Counter(row[:4] for row in committed).values()) == 1, "a figure stands twice"


# Tuning takes longer than all others together, and has draws 0 to 19 only.
@pytest.mark.parametrize(("draw", "left_out"), [(3, ()), (42, ("tuning", "batch size"))])
def test_a_draw_computed_anew_gives_the_committed_figures(draw, left_out, committed):
    experiments = [name for name in evidence.EXPERIMENTS if name not in left_out]
    names = {*experiments, "pseudo-labels"}
    same_arithmetic = EXACT and (np.__version__, scipy.__version__) == evidence.MADE_WITH
    fresh = {row[:4]: row.accuracy for row in evidence.compute(experiments, [draw])}
    before = {row[:4]: row.accuracy for row in committed if row.seed == draw and row.experiment in names}
    assert fresh.keys() == before.keys()
    for key, accuracy in fresh.items():
        # Other versions and processors round differently, and a query makes much of little.
        assert accuracy == pytest.approx(before[key], abs=0 if same_arithmetic else 0.1), key
    if EXACT:
        assert np.mean([fresh[key] == before[key] for key in fresh]) > 0.9, "more than rounding has changed"


def test_the_settings_used_are_those_that_the_tuning_draws_prefer(committed):
    found = Results(committed)
    mean = {name: found.last("tuning", name).mean() for name in found.recipes("tuning")}

    def best(start):
        return max((name for name in mean if name.startswith(start)), key=mean.get)

    converged = [name for name in mean if ", C = " in name and "batch" not in name]
    assert max(converged, key=mean.get) == f"{evidence.BETTER.query}, C = {evidence.BETTER.C:g}"
    assert best("self-training") == f"self-training, at {evidence.BEST_CONFIDENCE:g}"
    assert best("spreading") == "spreading, alpha 0.9"  # the default of spread_labels


def test_the_forecast_is_the_narrowest_that_held_in_95_of_100_tuning_draws_wherever_it_was_scored(committed):
    found = Results(committed)

    def mean(forecast, measure):
        return np.mean(found.curves("forecasts", f"{forecast}: {measure}")[1], axis=0)

    held = [name for name in evidence.FORECASTS if min(mean(name, "held")) >= 0.95]
    narrowest = min(held, key=lambda name: mean(name, "width").mean())
    assert narrowest == f"stop set: {NET.low:g} to {NET.high:g} of the answers changed"


def test_every_query_meets_the_same_wrong_labels_and_more_of_them_at_a_higher_rate():
    images = draw(5)
    few, many = (with_wrong_labels(images, rate).y_pool for rate in (0.1, 0.5))
    wrong = few != images.y_pool
    assert 0.08 < wrong.mean() < 0.12
    assert 0.47 < (many != images.y_pool).mean() < 0.53
    np.testing.assert_array_equal(few[wrong], many[wrong])
    np.testing.assert_array_equal(few, with_wrong_labels(images, 0.1).y_pool)
    assert (with_wrong_labels(images, 0.1)._replace(y_pool=0).y_validation == images.y_validation).all()
    # Every other class as often, whatever the right one is.
    everywhere = with_wrong_labels(images, 1).y_pool
    shift = np.bincount((everywhere - images.y_pool) % 10, minlength=10)
    assert shift[0] == 0
    assert (np.abs(shift[1:] - 4000 / 9) < 100).all()
    assert (with_wrong_labels(images, 0).y_pool == images.y_pool).all()
    other = with_wrong_labels(images._replace(seed=6), 0.1).y_pool != images.y_pool
    assert (other != wrong).any()
    with pytest.raises(ValueError, match=r"rate is 5; give a number from 0 to 1"):
        with_wrong_labels(images, 5)


def test_wrong_labels_are_compared_with_right_ones_on_the_same_draws():
    some = evidence.results(["label noise", "better recipe", "article recipe"], range(7, 11))
    for recipe, (experiment, query) in {
        "margin": ("better recipe", "margin"),
        "least confident, article": ("article recipe", "least confident"),
    }.items():
        n_labels, right = some.noise(recipe, 0)
        assert n_labels.tolist() == list(range(50, 401, 50))
        np.testing.assert_array_equal(right[:, -1], some.at(experiment, query))
        at, wrong = some.noise(recipe, 20)
        np.testing.assert_array_equal(at, n_labels)
        assert (wrong[:, -1] < right[:, -1]).all()
    bands = some.noise_bands("random")
    assert list(bands) == ["0 % wrong", "5 % wrong", "10 % wrong", "20 % wrong"]
    n_labels, mean, low, high = bands["20 % wrong"]
    assert n_labels[0] == 50
    assert mean[-1] == pytest.approx(some.noise("random", 20)[1][:, -1].mean())
    assert (low < mean).all()
    assert (mean < high).all()


def test_a_rule_that_did_not_stop_stops_at_infinity():
    rows = [
        Row("stopping", "margin: kappa 1", 1, 1010, 0.9),
        Row("stopping", "margin: kappa 1", 0, 1000, 0.8),
    ]
    n_labels, accuracy = Results(rows).stops("margin: kappa 1")
    assert n_labels.tolist() == [1000, np.inf]
    assert accuracy.tolist() == [0.8, 0.9]


def test_rules_stop_at_the_accuracy_that_the_model_had_there(committed):
    found = Results(committed)
    stops = [found.stops(f"margin: kappa {kappa}") for kappa in evidence.KAPPAS]
    for (sooner, worse), (later, better) in pairwise(stops):
        assert (sooner <= later).all()
        assert worse.mean() < better.mean()
    for recipe in ("margin", "margin, 10 % wrong"):
        numbers, curve = found.curves("stopping", recipe)
        for kappa in evidence.KAPPAS:
            for draw_, (n, accuracy) in enumerate(zip(*found.stops(f"{recipe}: kappa {kappa}"), strict=True)):
                if n in numbers:
                    assert accuracy == curve[draw_, list(numbers).index(n)]


def a_package(folder):
    (folder / "evidence").mkdir(parents=True)
    (folder / "SHA256SUMS").touch()
    return folder


def test_some_experiments_computed_anew_leave_the_others_as_they_were(tmp_path, monkeypatch):
    old = [
        Row("judges", "a", 0, 10, 0.1, 1.234),
        Row("pseudo-labelling", "a", 0, 10, 0.2),
        Row("pseudo-labels", "a", 0, 10, 0.3),
        Row("pseudo-labelling", "a", 1, 10, 0.4),
        Row("test images", "a", 0, 10, 0.5),
    ]
    file = a_package(tmp_path) / evidence.RESULTS
    evidence.write(old, tmp_path)
    new = {
        "stopping": [Row("stopping", "a", 0, 10, 0.6)],
        "pseudo-labelling": [Row("pseudo-labels", "b", 0, 10, 0.7), Row("pseudo-labelling", "b", 0, 10, 0.8)],
    }
    monkeypatch.setattr(
        evidence, "compute", lambda names, draws: [row for name in names for row in new[name]]
    )
    evidence.renew(["stopping"], range(1), tmp_path)
    assert list(evidence.read(tmp_path)) == [*old, *new["stopping"]]
    evidence.renew(["stopping", "pseudo-labelling"], range(1), tmp_path)
    assert list(evidence.read(tmp_path)) == [old[0], *new["pseudo-labelling"], old[4], *new["stopping"]]
    file.write_bytes(b"")
    with pytest.raises(OSError, match="is damaged"):
        evidence.renew(["stopping"], range(1), tmp_path)
    assert file.read_bytes() == b""


def test_an_unknown_experiment_ends_in_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evidence", "stopping", "stoping"])
    monkeypatch.setattr(evidence, "renew", lambda names: pytest.fail("computed"))
    with pytest.raises(
        SystemExit, match="there is no experiment 'stoping'; give any of rounding, article"
    ) as end:
        evidence.main()
    assert "\n" not in str(end.value)


def test_results_are_asked_for_by_experiment_and_draw():
    some = evidence.results(["judges", "tuning"], range(53, 56))
    assert {row.experiment for row in some.rows} == {"judges", "tuning"}
    assert {row.seed for row in some.rows if row.experiment == "judges"} == {53, 54, 55}
    # What settled the recipe does not depend on the draws that it is scored on.
    assert {row.seed for row in some.rows if row.experiment == "tuning"} == set(range(20))
    with pytest.raises(ValueError, match="holds draws 0 to 99, not all of 99 to 101; set recompute = True"):
        evidence.results(["judges"], range(99, 102))


def test_a_results_file_is_written_whole_and_always_alike(tmp_path):
    rows = [Row("a", "b, with a comma", 3, 10, 0.125), Row("a", "c", 3, 20, 0.5, 1.25)]
    one, two = (a_package(tmp_path / name) for name in ("one", "two"))
    for folder in (one, two):
        evidence.write(rows, folder)
    assert (one / evidence.RESULTS).read_bytes() == (two / evidence.RESULTS).read_bytes()
    assert list(evidence.read(one)) == rows
    assert sorted(path.name for path in one.rglob("*")) == ["SHA256SUMS", "evidence", "results.csv.gz"]
