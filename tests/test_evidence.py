"""The committed results are what the experiments give."""

import gzip
from collections import Counter

import numpy as np
import pytest
import scipy
from conftest import EXACT

from alhelpers import evidence
from alhelpers.data import N_DRAWS
from alhelpers.evidence import Results, Row


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
    for name in ("one.csv.gz", "two.csv.gz"):
        evidence.write(rows, tmp_path / name)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    assert list(evidence.read(tmp_path / "one.csv.gz")) == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv.gz", "two.csv.gz"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:2000] + b"\0" + content[2001:],
        lambda content: b"",
        lambda content: gzip.compress(b"experiment,recipe\nx,y\n"),
    ],
)
def test_a_damaged_results_file_ends_in_one_sentence(damage, tmp_path):
    file = tmp_path / "evidence.csv.gz"
    file.write_bytes(damage(evidence.FILE.read_bytes()))
    with pytest.raises(OSError, match=r"is damaged \(.*\); restore it with `git -C .* checkout -- "):
        list(evidence.read(file))
    file.unlink()
    with pytest.raises(OSError, match="is missing; restore it"):
        list(evidence.read(file))
