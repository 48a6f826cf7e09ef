"""The command line, and papermill on a notebook from another folder."""

import os
import subprocess
import sys

import nbformat
import pytest
from helpers import read_csv, wait_for
from helpers import write_notebook as notebook

from alhelpers import article, cli
from alhelpers.files import MARK, replacing
from alhelpers.learner import History
from alhelpers.running import exact, notebooks

HISTORY = (
    "from IPython.display import display\n"
    "display({'application/vnd.alhelpers.history+json':"
    " [{'stage': 'random', 'n_labels': 400, 'accuracy': 0.5, 'steps': 11}], 'text/plain': 'x'}, raw=True)"
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """One run of notebooks of all kinds: exit code, standard output, standard error, the folder written."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "deep").mkdir()
    figure = "display({'image/png': 'AAAA', 'text/plain': ''}, raw=True)"
    show = "display({{'{}': {}, 'text/plain': ''}}, raw=True)"
    written = [
        notebook(folder / "01_good.ipynb", "1 + 1", HISTORY),
        notebook(folder / "02_bad.ipynb", "x = 1", "x / 0"),
        notebook(folder / "mine.ipynb", HISTORY, figure),
        notebook(folder / "deep" / "a.b.ipynb", HISTORY, "1 / 0"),
        notebook(folder / "odd.ipynb", show.format(History.MIME, [{"epoch": 1, "loss": 0.5}])),
        notebook(folder / "seven.ipynb", show.format(History.MIME, 7)),
    ]
    command = [sys.executable, "-m", "alhelpers", "run", *written, "--out", folder / "out"]
    env = os.environ | {"ALHELPERS_ENGINE": "numpy"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout, done.stderr, folder / "out"


def test_a_failing_notebook_is_named_and_the_others_still_run(ran):
    code, printed, errors, out = ran
    assert code == 1
    assert "02_bad failed at cell 2: ZeroDivisionError: division by zero" in errors
    assert (out / "01_good.ipynb").exists()
    assert (out / "02_bad.failed.ipynb").exists()
    assert not (out / "02_bad.ipynb").exists(), "a failed run must not look finished"
    assert ["0.8375", "0.5000", "DIFFERENT"] in [line.split()[-3:] for line in printed.splitlines()]


def test_what_notebooks_of_any_name_show_is_collected(ran):
    *_, out = ran
    found = [(row["notebook"], row["accuracy"]) for row in read_csv(out / "history.csv")]
    assert found == [("01_good", "0.5"), ("a.b", "0.5"), ("mine", "0.5")]
    assert [path.name for path in (out / "figures").iterdir()] == ["mine-1.png"]


@pytest.mark.parametrize("name", ["odd", "seven"])
def test_a_history_of_something_else_is_named_and_costs_no_other_notebook_its_results(ran, name):
    _, _, errors, out = ran
    assert f"{name} failed at HistoryError: the notebook shows a history with the row" in errors
    assert not [row for row in read_csv(out / "history.csv") if row["notebook"] == name]


def test_two_notebooks_of_one_name_are_refused_before_anything_runs(tmp_path, capsys):
    (tmp_path / "deep").mkdir()
    both = [notebook(folder / "mine.ipynb", "1 + 1") for folder in (tmp_path, tmp_path / "deep")]
    assert cli.main(["run", *map(str, both), "--out", str(tmp_path / "out")]) == 2
    assert "2 notebooks are called mine; give each a name of its own" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_each_run_shares_the_processors_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    look = notebook(tmp_path / "look.ipynb", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    other = notebook(tmp_path / "other.ipynb", "1 + 1")
    for name in ("TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    seen = []
    for jobs in (1, 2):
        notebooks.run_notebooks([look, other], tmp_path / "out", jobs)
        executed = nbformat.read(tmp_path / "out" / "look.ipynb", as_version=4)
        seen.append(executed.cells[-1].outputs[0].text.strip())
    assert seen == ["2", "1"]
    assert dict(os.environ) == before


def stopped(arguments, begun):
    """A command ends with one sentence when it is stopped once something has begun."""
    command = [sys.executable, "-m", "alhelpers", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: begun() or process.poll() is not None, 600)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "alhelpers: stopped; nothing is half-written\n")


def test_a_stopped_run_leaves_the_last_one_alone(tmp_path):
    slow = notebook(tmp_path / "01_slow.ipynb", "import time; open('begun', 'w').close(); time.sleep(600)")
    out = tmp_path / "out"
    with replacing(out) as fresh:
        (fresh / "history.csv").write_text("the last one")
    stopped(["run", slow, "--out", out], lambda: list(tmp_path.glob(".out-*/out/begun")))
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".out-")] == []
    assert sorted(file.name for file in out.iterdir()) == [MARK, "history.csv"]
    assert (out / "history.csv").read_text() == "the last one"


def test_a_stopped_refresh_leaves_the_notebook_alone_and_says_only_that(tmp_path):
    begun = tmp_path / "begun"
    slow = notebook(
        tmp_path / "slow.ipynb", f"import time; open({str(begun)!r}, 'w').close(); time.sleep(600)"
    )
    before = slow.read_bytes()
    stopped(["refresh", slow], begun.exists)
    assert slow.read_bytes() == before


@pytest.mark.parametrize("command", ["run", "sweep", "sweep --dry-run", "exact"])
@pytest.mark.parametrize("name", ["thesis", "thesis/history.csv"])
def test_what_is_somebody_s_own_is_named_and_left_alone(command, name, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(exact, "installed_engines", lambda: pytest.fail("computed"))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "history.csv").write_text("of the railways")
    one, out = swept(tmp_path / "one.ipynb"), tmp_path / name
    command, *options = command.split()
    given = {"run": [one], "sweep": [one, "-p", "seed=1"]}.get(command, [])
    assert cli.main([command, *given, *options, "--out", str(out)]) == 2
    what = "holds something else" if command == "sweep" else "is not the result of an earlier run"
    assert capfd.readouterr().err.startswith(f"alhelpers: {out} {what}; give a new or an empty folder")
    assert [path.read_text() for path in (tmp_path / "thesis").iterdir()] == ["of the railways"]


def test_a_notebook_that_is_not_there_is_named(capsys):
    assert cli.main(["run", "nowhere.ipynb"]) == 2
    said = "alhelpers: there is no notebook nowhere.ipynb; give the path of an .ipynb file\n"
    assert capsys.readouterr().err == said


def test_a_damaged_notebook_fails_by_itself(tmp_path, capfd):
    good = notebook(tmp_path / "good.ipynb", "print(1)")
    (tmp_path / "list.ipynb").write_text("[]")
    (tmp_path / "latin.ipynb").write_bytes('{"ü": 1}'.encode("latin-1"))
    given = [str(tmp_path / f"{name}.ipynb") for name in ("latin", "good", "list")]
    for command in (["run", *given, "--out", str(tmp_path / "out")], ["refresh", *given]):
        assert cli.main(command) == 1
        said = capfd.readouterr().err
        assert [line.split(" failed at ")[0] for line in said.splitlines()] == [
            "alhelpers: latin",
            "alhelpers: list",
        ]
    assert nbformat.read(good, as_version=4).cells[0].outputs


def swept(path):
    """A notebook that can be swept."""
    return str(notebook(path, parameters="seed: int = 0"))


@pytest.mark.parametrize("command", ["run", "sweep", "exact", "bundle"])
@pytest.mark.parametrize("name", ["a file/x", "a file/x/y", "x" * 300])
def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(command, name, tmp_path, capfd):
    (tmp_path / "a file").touch()
    one, out = swept(tmp_path / "one.ipynb"), tmp_path / name
    given = {"run": [one], "sweep": [one, "-p", "seed=1"]}.get(command, [])
    assert cli.main([command, *given, "--out", str(out)]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"alhelpers: cannot write to {out}: ")
    assert said.endswith("; see to that, or give another folder to --out\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")
@pytest.mark.parametrize(("command", "unbuffered"), [("--help", ""), ("sweep", "1")])
def test_an_output_that_is_full_or_closed_is_not_blamed_on_a_folder(command, unbuffered, tmp_path):
    plan = [swept(tmp_path / "n.ipynb"), "-p", "seed=0:2", "--out", "o", "--dry-run"]
    program = [sys.executable, "-m", "alhelpers", command, *(plan if command == "sweep" else [])]
    settings = {
        "stderr": subprocess.PIPE,
        "cwd": tmp_path,
        "env": os.environ | {"PYTHONUNBUFFERED": unbuffered},
    }
    with open("/dev/full", "w") as full:
        done = subprocess.run(program, stdout=full, **settings)
    assert done.returncode == 2
    expected = b"alhelpers: cannot write to standard output: No space left on device; send it elsewhere"
    assert done.stderr.startswith(expected)
    assert done.stderr.count(b"\n") == 1
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(program, stdout=write, **settings)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps the folder that somebody works in")
@pytest.mark.parametrize("command", ["run n.ipynb", "sweep n.ipynb -p seed=1 --out o", "exact"])
def test_a_working_folder_that_is_gone_is_one_sentence(command, tmp_path, monkeypatch, capsys):
    given = command.replace("n.ipynb", swept(tmp_path / "n.ipynb")).split()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(given) == 2
    assert capsys.readouterr().err == "alhelpers: the working folder has been deleted; change to another\n"


def test_refresh_leaves_a_notebook_that_fails_as_it_was(tmp_path, capfd):
    bad = notebook(tmp_path / "01_bad.ipynb", "print('changed')", "1 / 0")
    before = bad.read_bytes()
    assert cli.main(["refresh", str(bad)]) == 1
    assert "01_bad failed at ZeroDivisionError" in capfd.readouterr().err
    assert bad.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["01_bad.ipynb"]


def test_the_table_says_what_differs_and_what_is_missing():
    lines = [line.split() for line in str(article.table({"random": 0.8375, "active": 0.86})).splitlines()]
    assert lines[1][-1] == "–"
    assert lines[2][-3:] == ["0.8375", "0.8375", "equal"]
    assert lines[3][-3:] == ["0.8975", "0.8600", "DIFFERENT"]


@pytest.fixture(autouse=True)
def _numpy(monkeypatch):
    """Kernels that import TensorFlow are most of the time of these tests, and the other tests have them."""
    monkeypatch.setenv("ALHELPERS_ENGINE", "numpy")


def papermill(tmp_path, *parameters):
    source = notebooks.NOTEBOOKS / "06_active_learning.ipynb"
    command = [sys.executable, "-m", "papermill", str(source), "out.ipynb", "--no-progress-bar"]
    for name, value in parameters:
        command += ["-p", name, value]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


def test_papermill_runs_a_notebook_with_other_parameters_from_another_folder(tmp_path):
    done = papermill(tmp_path, ("batch_size", "20"), ("label_budget", "100"), ("seed", "1"))
    assert done.returncode == 0, done.stderr
    rows = list(notebooks.histories(nbformat.read(tmp_path / "out.ipynb", as_version=4)))
    assert [row["n_labels"] for row in rows] == list(range(20, 101, 20))


@pytest.mark.parametrize(  # of all that `test_parameters.py` has, what papermill passes and what it warns of
    ("name", "value", "sentence"),
    [
        ("batch_sise", "20", "ParameterError: unknown parameter 'batch_sise'; did you mean 'batch_size'"),
        ("batch_size", "-3", "ParameterError: batch_size is -3; give a whole number from 1 up"),
    ],
)
def test_papermill_stops_at_a_wrong_parameter_with_one_sentence(tmp_path, name, value, sentence):
    done = papermill(tmp_path, (name, value))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(sentence), done.stderr
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    ran = [cell for cell in executed.cells if cell.cell_type == "code" and cell.execution_count]
    assert len(ran) == 3, "parameters, papermill's own cell, the check, and nothing after it"


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "alhelpers.running.notebooks", raising=False)
    monkeypatch.setitem(sys.modules, "nbformat", None)
    assert cli.main(["refresh"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("alhelpers: ")
    assert "nbformat" in said
    assert said.endswith("; `alhelpers doctor` says what to install\n")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "exact"])
def test_an_engine_that_there_is_not_is_one_sentence(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ALHELPERS_ENGINE", "torch")
    assert cli.main([command, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "alhelpers: ALHELPERS_ENGINE is 'torch'; give tensorflow or numpy, or unset it\n"
    )
    assert not (tmp_path / "out").exists()
