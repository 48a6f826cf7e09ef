"""A notebook with a wrong parameter stops in one sentence that names it."""

import re
import subprocess
import sys

import nbformat
import pytest

from alhelpers.parameters import ParameterError, check_parameters, declared
from alhelpers.running import notebooks as run


def parameters_cell(path):
    return next(c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code").source


# Every parameter there is, by the line that declares it.
LINES = {
    line.split(":")[0]: line
    for path in sorted(run.find_notebooks(), reverse=True)
    for line in parameters_cell(path).splitlines()
}
GOOD = {
    "n_pool": 4000,
    "n_test": 400,
    "seed": None,
    "batch_size": 10,
    "label_budget": 400,
    "price_per_label": 0.25,
}
FROM_FILE = {"n_draws": 100, "first_draw": 0, "recompute": False}


def namespace(injected="", **changes):
    """The variables of a notebook after its parameters cell, with papermill's cell if there is one."""
    values = GOOD | changes
    cells = ["", "\n".join(LINES[name] for name in values)]
    cells.append(f"# Parameters\n{injected}" if injected else "check_parameters()")
    return {**values, "In": cells}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 0},
        {"seed": 7},
        {"n_pool": 60_000},
        {"price_per_label": 1},
        {"batch_size": 400},
        FROM_FILE,
        FROM_FILE | {"first_draw": 500, "recompute": True},
        {"folder": "", "labeller": "Ann", "n_check": 100},
        {"folder": "mine", "label_budget": 4000, "n_check": 100},  # n_pool is of no use then
    ],
)
def test_sensible_values_pass(changes):
    check_parameters(namespace(**changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": -3}, "batch_size is -3; give a whole number from 1 up"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5; give a whole number"),
        ({"batch_size": "ten"}, "batch_size is 'ten'; give a whole number"),
        ({"batch_size": True}, "batch_size is True"),
        ({"batch_size": None}, "batch_size is None"),
        ({"seed": -1}, "seed is -1; give a whole number from 0 up, or None"),
        ({"n_pool": 60_001}, "n_pool is 60001; give a whole number from 20 to 60,000"),
        ({"n_test": 10_001}, "n_test is 10001"),
        ({"price_per_label": float("nan")}, "price_per_label is nan"),
        ({"price_per_label": float("inf")}, "price_per_label is inf"),
        ({"labeller": ""}, "labeller is ''; give text that is not empty"),
        ({"labeller": "  "}, "labeller is '  '; give text that is not empty"),
        ({"folder": 3}, "folder is 3; give text"),
        ({"folder": None}, "folder is None; give text"),
        ({"price_per_label": -0.5}, "price_per_label is -0.5; give a number from 0 up"),
        ({"label_budget": 5000}, "label_budget is 5,000 but n_pool is 4,000"),
        ({"batch_size": 401}, "batch_size is 401 but label_budget is 400"),
        ({"label_budget": 4000}, "label_budget and n_pool are both 4,000: no image would be left"),
        ({"n_repeats": 5, "n_pool": 60_000}, "together exceed the 60,000"),
        (FROM_FILE | {"recompute": 1}, "recompute is 1; give True or False"),
        (FROM_FILE | {"n_draws": 1}, "n_draws is 1; give a whole number from 2"),
        (
            {"first_draw": 900_001, "n_draws": 2, "recompute": True},
            "first_draw is 900001; give .* to 900,000",
        ),
        ({"ledger_file": ""}, "ledger_file is ''; give text that is not empty"),
    ],
)
def test_wrong_values_are_named_in_one_sentence(changes, sentence):
    with pytest.raises(ParameterError, match=sentence) as error:
        check_parameters(namespace(**changes))
    assert "\n" not in str(error.value)


def test_an_injected_name_the_notebook_does_not_have_is_refused_with_the_nearest():
    with pytest.raises(ParameterError, match="unknown parameter 'batch_sise'; did you mean 'batch_size'"):
        check_parameters(namespace("batch_sise = 20\n"))
    check_parameters(namespace("batch_size = 20\n", batch_size=20))


def test_a_notebook_made_a_script_runs_on():
    code = (
        "from alhelpers import check_parameters\nn_pool: int = 0  # images (20 or more)\ncheck_parameters()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_reader_s_own_variable_called_folder_does_not_switch_a_check_off():
    with pytest.raises(ParameterError, match="label_budget is 5,000 but n_pool is 4,000"):
        check_parameters(namespace(label_budget=5000) | {"folder": "results"})


def test_a_notebook_shows_the_sentence_without_a_traceback():
    assert ParameterError("so it is")._render_traceback_() == ["ParameterError: so it is"]


@pytest.mark.parametrize("path", run.find_notebooks(), ids=lambda path: path.stem)
def test_papermill_reads_every_parameter_and_its_line_says_what_it_may_be(path):
    papermill = pytest.importorskip("papermill")
    found = papermill.inspect_notebook(str(path))
    source = parameters_cell(path)
    rules = declared(source)
    assert list(found) == list(rules), f"{path.name}: papermill and check_parameters read other parameters"
    assert len(found) == len(source.splitlines()), f"{path.name}: one parameter a line, and nothing else"
    for name, parameter in found.items():
        assert parameter["inferred_type_name"] == rules[name].type
        assert parameter["help"], f"{path.name}: {name} needs a help comment on its line"
        assert rules[name].type not in ("int", "float") or rules[name].least > float("-inf"), (
            f"{path.name}: the comment of {name} needs a range at its end, such as (1 or more)"
        )
    data = [{"n_draws", "first_draw", "recompute"}, {"n_pool", "n_test", "seed"}, {"folder"}]
    assert any(names <= set(found) for names in data), f"{path.name} must let its data be chosen"


def test_the_same_parameter_means_the_same_everywhere():
    papermill = pytest.importorskip("papermill")
    lines = {}
    for path in run.find_notebooks():
        for name, parameter in papermill.inspect_notebook(str(path)).items():
            if name not in {"n_show", "batch_size", "label_budget"}:
                lines.setdefault(name, {})[parameter["default"], parameter["help"]] = path.name
    for name, variants in lines.items():
        assert len(variants) == 1, f"{name} differs between notebooks: {variants}"


def check(source, **values):
    check_parameters({"In": ["", source], **values})


def test_a_new_parameter_needs_no_more_than_its_line():
    source = "share: float = 0.5  # of what (see notebook) is kept (0 to 1)\nname: str = 'a'  # anything"
    check(source, share=1, name="")
    with pytest.raises(ParameterError, match="share is 2; give a number from 0 to 1"):
        check(source, share=2, name="")
    with pytest.raises(ParameterError, match="name is 3; give text"):
        check(source, share=0, name=3)


@pytest.mark.parametrize("said", ["20-60,000", "20 to many", "up to 5", "20 to 60,000 images"])
def test_a_range_that_cannot_be_read_is_named(said):
    with pytest.raises(
        ParameterError, match=re.escape(f"the comment of n ends in ({said}), which is no range")
    ):
        check(f"n: int = 3  # how many ({said})", n=3)


def test_a_reader_s_own_cells_are_none_of_its_business():
    variables = namespace()
    variables["In"] += ["x: int = 3", "# Parameters of my figure\ny = 3", "n_draws: int = 5"]
    check_parameters(variables)


def test_a_parameters_cell_that_was_corrected_and_run_again_counts():
    wrong, right = (f"n: int = {n}  # how many (1 or more)\nm: int = 2  # others (1 or more)" for n in (0, 4))
    with pytest.raises(ParameterError, match="n is 0"):
        check(wrong, n=0, m=2)
    check_parameters({"In": ["", wrong, "check_parameters()", right.replace("m:", "k:")], "n": 4, "k": 2})


def test_magics_and_comments_may_stand_beside_the_parameters():
    magic = "# Parameters\n%matplotlib inline\nn: int = 3  # how many (1 or more)\n!ls"
    check(magic, n=3)
    with pytest.raises(ParameterError, match="n is 0; give a whole number from 1 up"):
        check(magic, n=0)
    variables = namespace("%matplotlib inline\nbatch_size = 20\n", batch_size=20)
    check_parameters(variables)


@pytest.mark.parametrize("name", LINES)
def test_each_parameter_can_be_declared_alone(name):
    values = {}
    exec(LINES[name], values)
    check(LINES[name], **{name: values[name]})
