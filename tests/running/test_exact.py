"""The article's fits are the committed notebooks', whatever the engine; what changes them is seen."""

import json
import shutil
import subprocess

import pytest

from alhelpers import article, load_mnist, model_numpy
from alhelpers.evidence.trifles import Divided, Double
from alhelpers.running import exact
from alhelpers.running.notebooks import NOTEBOOKS


@pytest.fixture(scope="module")
def committed():
    return exact.committed_fits(NOTEBOOKS)


def test_the_notebooks_hold_the_article_s_403_fits(committed):
    assert len(committed) == 403
    assert [fit.stage for fit in committed[:2]] == ["ground_truth", "random"]
    assert [fit.n_labels for fit in committed[2:42]] == list(range(10, 401, 10))
    last = {fit.stage: fit.accuracy for fit in committed}
    assert last == {row.stage: row.accuracy for row in article.RESULTS} | {"naive_auto": 0.8975}
    assert committed[2].accuracy == 0.38  # section "Active learning": the first line that it prints


@pytest.mark.parametrize("engine", exact.installed_engines())
def test_each_engine_gives_every_accuracy_and_step_count(engine, tmp_path):
    command, env = exact.command_for(engine, NOTEBOOKS, tmp_path)
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "403 of 403 accuracies and 403 of 403 step counts equal" in done.stdout
    lines = (tmp_path / f"{engine}.csv").read_text().splitlines()
    assert lines[0] == "stage,n_labels,accuracy,steps"
    assert len(lines) == 404


class Reversed(model_numpy.SoftmaxRegression):
    def fit(self, x, y, *test):
        return super().fit(x[::-1], y[::-1], *test)


class Impatient(model_numpy.SoftmaxRegression):
    def __init__(self, *shape):
        super().__init__(*shape, patience=9)


@pytest.mark.parametrize("model", [Divided, Reversed, Double, Impatient])
def test_another_arithmetic_is_seen_and_its_first_difference_named(
    model, committed, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("ALHELPERS_ENGINE", "numpy")
    monkeypatch.setattr(model_numpy, "SoftmaxRegression", model)
    # The first rounds are enough to see it, and quicker.
    monkeypatch.setattr(exact, "article_fits", lambda: exact.active_learner(40, load_mnist()).history)
    monkeypatch.setattr(exact, "committed_fits", lambda folder: committed[2:42])
    assert not exact.check_engine(tmp_path, tmp_path)
    assert " of 40 accuracies" in capsys.readouterr().out


def test_a_difference_is_named_with_both_values(committed):
    one = committed[2]._replace(accuracy=0.5)
    said = exact.first_difference([*committed[:2], one], committed[:3])
    assert said == (
        "fit 3 gave 0.5000 after 11 steps with 10 labels (active), "
        "where the notebooks have 0.3800 after 11 steps with 10 labels (active)"
    )
    assert "fit 3 gave nothing" in exact.first_difference(committed[:2], committed[:3])
    assert exact.first_difference(committed, committed) is None


def test_outside_a_clone_it_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"03_ground_truth.ipynb .* run this in a clone of the project"):
        exact.check(tmp_path, tmp_path / "out")
    for name in exact.WITH_FITS:
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", tmp_path)
    notebook = json.loads((tmp_path / "05_random_labeling.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["outputs"] = []
    (tmp_path / "05_random_labeling.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(ValueError, match=r"05_random_labeling.*holds no history"):
        exact.check(tmp_path, tmp_path / "out")
