"""What people write into a grid means what they see."""

import nbformat
import pytest

from alhelpers import cli
from alhelpers.running.grid import SweepError, parse_assignments, read_grid
from alhelpers.running.plan import make_plan


@pytest.fixture
def notebook(tmp_path):
    source = 'seed: int = 0\nname: str = "a"\nrate: float = 1.0\nsure: bool = False'
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    path = tmp_path / "grid.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


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


def test_yes_is_no_truth_value(notebook, tmp_path):
    file = tmp_path / "grid.yml"
    file.write_text("sure: yes")
    with pytest.raises(SweepError, match=r"sure is 'yes'; .* declares it as bool"):
        make_plan(notebook, read_grid(file))


def test_a_comma_can_belong_to_a_value(notebook):
    grid = parse_assignments([r"name=cat\, dog,fish"])
    assert planned(notebook, grid, "name") == ["cat, dog", "fish"]


def test_runs_that_show_no_history_are_said_to_have_none(notebook, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["sweep", str(notebook), "-p", "seed=0:2", "--out", str(out)]) == 0
    told = capsys.readouterr().err
    assert "2 runs showed neither a history nor a result; end a cell with `learner.history`, or call" in told
