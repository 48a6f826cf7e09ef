"""The article's fits are the committed notebooks', whatever the engine; what changes them is seen."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from alhelpers import article, cli, load_mnist, model_numpy
from alhelpers.evidence.trifles import Divided, Double
from alhelpers.running import exact
from alhelpers.running.notebooks import NOTEBOOKS

posix = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


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
    assert not exact.check_engine(tmp_path, tmp_path, "numpy")
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


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that makes a shell script which is found as a program of that name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def make(name, text):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return make


@posix
def test_an_engine_that_cannot_run_is_a_sentence_and_not_a_difference(program, tmp_path, monkeypatch, capfd):
    program("node", "echo 'SyntaxError: import' >&2; exit 3")
    monkeypatch.setattr(exact, "installed_engines", lambda: ["javascript"])
    assert cli.main(["exact", "--out", str(tmp_path / "out")]) == 2
    told = capfd.readouterr().err
    assert told == (
        "alhelpers: javascript cannot run here (node cannot run exact.mjs (SyntaxError: import); version 18 "
        "or later can); `alhelpers doctor` may know why, then try again\n"
    )


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (-11, 2)])
def test_exact_not_exact_and_not_run_have_an_exit_code_each(tmp_path, monkeypatch, capfd, code, ends):
    ending = f"import os; os.kill(os.getpid(), {-code})" if code < 0 else f"raise SystemExit({code})"
    monkeypatch.setattr(exact, "command_for", lambda *_: ([sys.executable, "-c", ending], os.environ))
    assert cli.main(["exact", "--out", str(tmp_path / "out")]) == ends
    told = capfd.readouterr().err
    assert ("not exact on this machine" in told, "cannot run here" in told) == (ends == 1, ends == 2)


@posix
@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (2, 0)])
def test_on_arm_both_engines_run_and_one_that_is_not_exact_shows(tmp_path, program, codes):
    for made in ("system/usr/bin", "site/numpy"):
        (tmp_path / made).mkdir(parents=True)
    (tmp_path / "system/usr/bin/python3.11").touch()
    numpy, tensorflow = codes
    emulated = (
        f'case "$*" in *exact*numpy) exit {numpy};; *exact*tensorflow) exit {tensorflow};; esac; exit 9'
    )
    program("qemu-aarch64-static", emulated)
    script = NOTEBOOKS.parent / "benchmarks" / "arm.sh"
    done = subprocess.run(["bash", str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == max(codes), done.stderr
    assert done.stdout.count("emulated") == 2


def test_all_that_the_emulated_run_lays_out_is_locked():
    repository = NOTEBOOKS.parent
    script = (repository / "benchmarks" / "arm.sh").read_text("utf-8")
    names = re.search(r"names=\(([^)]+)\)", script)[1].split()
    locked = re.findall(r"^([\w.-]+)==", (repository / "requirements.lock").read_text("utf-8"), re.M)
    assert {"numpy", "tensorflow"} <= set(names) <= set(locked)


def test_it_needs_no_package_beyond_an_engine_s():
    """As on a machine where nothing but NumPy and TensorFlow is laid out: see benchmarks/arm.sh."""
    without = (
        "import sys; sys.modules.update(dict.fromkeys(['nbformat', 'IPython', 'matplotlib', 'traitlets']))"
    )
    program = [sys.executable, "-c", f"{without}; import alhelpers.running.exact"]
    done = subprocess.run(program, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
