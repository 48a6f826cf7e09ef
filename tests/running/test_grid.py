"""What people write into a grid means what they see."""

import json
import sys

import pytest
from helpers import write_notebook

from alhelpers import cli
from alhelpers.running import notebooks, software
from alhelpers.running.grid import SweepError, parse_assignments, read_grid
from alhelpers.running.plan import make_plan

NOTEBOOK_06 = notebooks.NOTEBOOKS / "06_active_learning.ipynb"


@pytest.fixture
def notebook(tmp_path):
    lines = 'seed: int = 0\nname: str = "a"\nrate: float = 1.0\nsure: bool = False\nany: float | str = 2'
    return declaring(tmp_path, lines)


def planned(notebook, grid, name):
    return [run.parameters[name] for run in make_plan(notebook, grid).runs]


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("seed: 1:20", "seed", list(range(1, 20))),  # 80, in base 60, to YAML 1.1
        ("seed: [007, 0:2]", "seed", [7, 0, 1]),
        ("seed: 1_000", "seed", [1000]),
        ('name: "cat, dog"', "name", ["cat, dog"]),
        ("name: [no, 007, 2026-11-28, 1:20]", "name", ["no", "007", "2026-11-28", "1:20"]),
        ("rate: [1, 5e-1]", "rate", [1.0, 0.5]),
        ("sure: [true, False]", "sure", [True, False]),
        ('any: [0.5, 1, auto, " auto "]', "any", [0.5, 1.0, "auto", " auto "]),
    ],
)
def test_a_grid_file_is_read_as_it_is_written(line, name, values, notebook, tmp_path):
    file = tmp_path / "grid.yml"
    file.write_text(line)
    assert planned(notebook, read_grid(file), name) == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed: 0:5\nrate: 1\nseed: 7", "has 'seed' twice; give all its values in one list"),
        ("seed: [[1, 2], 3]", "has a list or names within 'seed'; give values, or one list of them"),
        ("seed: {a: 1}", "has a list or names within 'seed'"),
        ("- seed", "has no parameters; write lines like"),
    ],
)
def test_a_grid_file_that_says_two_things_is_refused(text, sentence, tmp_path):
    file = tmp_path / "grid.yml"
    file.write_text(text)
    with pytest.raises(SweepError, match=sentence):
        read_grid(file)


def test_a_comma_can_belong_to_a_value(notebook):
    grid = parse_assignments([r"name=cat\, dog,fish"])
    assert planned(notebook, grid, "name") == ["cat, dog", "fish"]


def test_runs_that_show_no_history_are_said_to_have_none(notebook, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["sweep", str(notebook), "-p", "seed=0:2", "--out", str(out)]) == 0
    told = capsys.readouterr().err
    assert "2 runs showed neither a history nor a result; end a cell with `learner.history`, or call" in told


# --- By the declared type ---


def declaring(tmp_path, lines, **metadata):
    return write_notebook(tmp_path / "declares.ipynb", parameters=lines, metadata=metadata)


@pytest.mark.parametrize(
    ("annotation", "text", "values"),
    [
        ("str", "labeller=007", ["007"]),
        ("str | None", "labeller=007,5,None", ["007", "5", None]),
        ("None", "labeller=007", ["007"]),  # declared without a type
        ("float | str", "x=0.5,1,auto", [0.5, 1.0, "auto"]),
        ("int | str", "x=5,007,x,0:2", [5, "007", "x", 0, 1]),
        ("'int | None'", "x=None,3", [None, 3]),
        ("typing.Optional[int]", "x=None,3", [None, 3]),
        ("Union[int, str]", "x=3,cat", [3, "cat"]),
        ("Literal['a', 'b']", "x=a,b", ["a", "b"]),
        ("Literal[1, 2, 4]", "x=4,1:3", [4, 1, 2]),
        ("Literal['auto'] | float", "x=auto,1", ["auto", 1.0]),
        ("int", "x=10:4:-2", [10, 8, 6]),
        ("float", "x=0:2", [0.0, 1.0]),
        ("None", "x=1,0.5", [1.0, 0.5]),
        ("None", "x=true,False", [True, False]),
        ("str", "x=None,1:20,nan", [None, "1:20", "nan"]),  # None is its default
    ],
)
def test_values_are_read_as_the_parameter_is_declared(annotation, text, values, tmp_path):
    name = text.partition("=")[0]
    line = f"{name} = None" if annotation == "None" else f"{name}: {annotation} = None"
    found = planned(declaring(tmp_path, line), parse_assignments([text]), name)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    ("line", "text", "sentence"),
    [
        ("x: bool = False", "x=yes", r"x is 'yes'; .* as bool: give True or False$"),
        ("x: bool = False", "x=TRUE", r"x is 'TRUE'; .* as bool: give True or False$"),
        ("x: bool = False", "x=1", r"x is 1; .* as bool: give True or False$"),
        ("x: Literal['a', 'b'] = 'a'", "x=a,c", r"x is 'c'; declares.ipynb declares it as 'a' or 'b'$"),
        ("x: int = 0", "x=5:0", r"x=5:0 has no values because it goes down; write 5:0:-1$"),
        ("x: float = 0", "x=0:1:0.1", r"the range '0:1:0.1' of x is not of whole numbers; list its values"),
        ("x: int = 0", "x=0:1000000000", r"has too many values; a sweep plans at most 100,000 runs$"),
        ("x: int = 0", "x=0:1" + "0" * 30, r"has too many values; a sweep plans at most 100,000 runs$"),
        ("x: int = 0", "x=1,000", r"x=1,000 would be the values 1 and 000; write 1000$"),
        ("x: int = 0", "x=1,,2", r"x=1,,2 has nothing before or after a comma; leave the comma out$"),
        ("x: int = 0", "x=" + "9" * 100, r"^x is 9{60}…; declares.ipynb declares it as int$"),
        ("x: str = 'a'", "x=\udcff", r"x is '\\udcff'; "),
        ("%matplotlib inline\nx: int = 0", "x=1", r"move the line `%matplotlib inline` to another cell$"),
        ("x: int = ", "x=1", r"the parameters cell of .* is no Python: invalid syntax"),
        ("x = [64, 64]", "x=1", r"has no line like `seed: int = 0`, so nothing can vary"),
        ("steps: int = 7", "x=1", r"a parameter 'steps', which is a column of .*; give it another name$"),
        ("x: int = 2\ny = x // 2", "y=3", r"has no parameter 'y' \(with plain values it has x\)"),
        ("x: int | None = None", "x=1.5", r"x is 1.5; declares.ipynb declares it as int or None$"),
        ("x = None", "x=1,x", r"x is 'x'; declares.ipynb declares it as a plain value, all of one type$"),
        ("x: float | str = 1.0", "x=1,nan", r"x has the value nan; give a finite number$"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence_that_helps(line, text, sentence, tmp_path):
    with pytest.raises(SweepError, match=sentence):
        make_plan(declaring(tmp_path, line), parse_assignments([text]))


def test_text_that_looks_like_something_else_is_said_to_be_text(tmp_path):
    plan = make_plan(declaring(tmp_path, "x: str = 'a'"), {"x": "None,b"})
    assert plan.notes == ("x None is read as text, as declares.ipynb declares it",)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"kernelspec": {"name": "ir", "display_name": "R"}}, r"asks for the kernel ir \(R\), which is not"),
        ({"language_info": {"name": "R"}}, r"is a notebook in R; only Python notebooks can be run"),
        (
            {"kernelspec": {"name": "torch", "display_name": "Torch", "language": "python"}},
            r"asks for the kernel torch \(Torch\), which is not this environment's; choose Python 3 in the",
        ),
    ],
)
def test_a_kernel_of_another_environment_is_named_and_not_run_as_python(metadata, sentence, tmp_path, capsys):
    path = declaring(tmp_path, "x: int = 0", **metadata)
    with pytest.raises(SweepError, match=sentence):
        make_plan(path, {"x": "1"})
    assert cli.main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_a_kernel_of_another_name_that_starts_this_python_is_as_good(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "mine"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": [sys.executable, "-m"], "display_name": "Mine"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    spec = {"name": "mine", "display_name": "Mine", "language": "python"}
    assert make_plan(declaring(tmp_path, "x: int = 0", kernelspec=spec), {"x": "1"}).runs


# --- Of several parameters ---

BUDGETS = {"batch_size": "10,50", "label_budget": "15,400"}


def test_impossible_combinations_are_named_before_anything_runs_or_left_out():
    with pytest.raises(SweepError) as problem:
        make_plan(NOTEBOOK_06, BUDGETS)
    assert str(problem.value) == (
        "1 of 4 combinations cannot run: batch_size is 50 but label_budget is 15: one batch would spend more "
        "than the budget; --skip-impossible leaves them out"
    )
    plan = make_plan(NOTEBOOK_06, BUDGETS, skip_impossible=True)
    found = [(run.parameters["batch_size"], run.parameters["label_budget"]) for run in plan.runs]
    assert found == [(10, 15), (10, 400), (50, 400)]
    assert plan.notes[0].startswith(
        "1 of 4 combinations are left out: batch_size is 50 but label_budget is 15"
    )
    with pytest.raises(
        SweepError, match=r"^label_budget is 5,000 but n_pool is 4,000: there are not that many"
    ):
        make_plan(NOTEBOOK_06, {"label_budget": "5000"}, skip_impossible=True)


def test_zip_pairs_values_which_may_repeat_and_runs_each_pair_once(notebook):
    plan = make_plan(notebook, {"seed": "0:3", "name": "a,b,a", "rate": "0.5"}, zipped=True)
    found = [(run.parameters["seed"], run.parameters["name"], run.parameters["rate"]) for run in plan.runs]
    assert found == [(0, "a", 0.5), (1, "b", 0.5), (2, "a", 0.5)]
    with pytest.raises(
        SweepError, match=r"--zip pairs values, and there are 3 of seed and 2 of name; give as"
    ):
        make_plan(notebook, {"seed": "0:3", "name": "a,b"}, zipped=True)
    with pytest.raises(SweepError, match="seed=1, name=a is given twice; each run is done once"):
        make_plan(notebook, {"seed": "1,2,1", "name": "a,b,a"}, zipped=True)


def test_a_plan_has_a_limit_that_is_said_before_it_is_made(notebook):
    with pytest.raises(SweepError, match=r"^1,000 × 1,000 values make 1,000,000 runs; a sweep plans at most"):
        make_plan(notebook, {"seed": "0:1000", "rate": "0:1000"})


def test_relative_paths_are_the_caller_s_and_recorded_absolute(tmp_path, monkeypatch, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "work").mkdir()
    lines = "folder: str = 'images'\nledger_file: str = 'new.db'\nstart: str = 'a'\nfile_type: str = 'png'"
    path = declaring(tmp_path, lines)
    monkeypatch.chdir(tmp_path / "work")
    (run,) = make_plan(path, {"start": "../images"}).runs
    assert run.parameters == {
        "folder": str(tmp_path / "images"),  # what the notebook has beside it
        "ledger_file": "new.db",  # what is not there yet belongs to the run
        "start": str(tmp_path / "images"),
        "file_type": "png",
    }
    (run,) = make_plan(path, {"folder": "mine"}).runs
    assert run.parameters["folder"] == str(tmp_path / "work" / "mine")
    for kept in ("", "/data", "https://example.org/x"):
        assert make_plan(path, {"folder": kept}).runs[0].parameters["folder"] == kept
    arguments = ["sweep", str(path), "-p", "folder=mine", "--out", str(tmp_path / "out"), "--dry-run"]
    assert cli.main(arguments) == 0
    assert f"folder mine is read as {tmp_path / 'work' / 'mine'}" in capsys.readouterr().err


def test_a_module_that_runs_will_not_find_is_named_before_they_start(tmp_path):
    imports = "import json, yaml\nfrom my_helpers.deep import thing"
    path = write_notebook(tmp_path / "declares.ipynb", imports, parameters="x: int = 0")
    (tmp_path / "my_helpers.py").touch()
    (note,) = make_plan(path, {"x": "1"}).notes
    assert note.startswith(
        "declares.ipynb imports my_helpers, not installed here; runs have folders of their"
    )


def test_what_a_run_is_follows_the_packages_it_imports_and_not_who_looks_at_it(monkeypatch, tmp_path):
    cells = [
        "%matplotlib inline\nimport numpy as np, PIL",
        "from yaml import safe_load\nimport os, alhelpers",
    ]
    assert software.imported(cells) == ("PIL", "numpy", "yaml")
    found = software.software(("yaml",))
    assert {"alhelpers", "engine", "numpy", "PyYAML"} <= {*found}
    assert any(name.startswith("tensorflow") for name in found) == (found["engine"] == "tensorflow")
    for name in ("course", "running", "labelling"):
        (tmp_path / name).mkdir()
    (tmp_path / "SHA256SUMS").touch()
    digests = [software.digest_of(tmp_path)]
    alike = ["course/doctor.py", "running/plan.py", "cli.py"]
    for name in (*alike, "learner.py", "labelling/images.py", "SHA256SUMS"):
        (tmp_path / name).write_text("edited")
        digests.append(software.digest_of(tmp_path))
        assert (digests[-1] in digests[:-1]) == (name in alike), name
