"""A notebook with a wrong parameter stops in one sentence that names it."""

import nbformat
import pytest

from alhelpers.parameters import RULES, ParameterError, check_parameters
from alhelpers.running import notebooks as run

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
    cells = ["", "the parameters cell", f"# Parameters\n{injected}" if injected else "check_parameters()"]
    return {**values, "__annotations__": dict.fromkeys(values, int), "In": cells}


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
        {"folder": "", "labeller": "Ann", "error_rate": 0, "n_check": 100, "n_stop": 1000},
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
        ({"error_rate": 1.5}, "error_rate is 1.5; give a number from 0 to 1"),
        (
            {"n_pool": 59_000, "n_check": 100, "n_stop": 1000},
            "n_pool 59,000, n_check 100 and n_stop 1,000 together exceed the 60,000",
        ),
        ({"label_budget": 5000}, "label_budget is 5,000 but n_pool is 4,000"),
        ({"batch_size": 401}, "batch_size is 401 but label_budget is 400"),
        ({"label_budget": 4000}, "label_budget and n_pool are both 4,000: no image would be left"),
        ({"n_repeats": 5, "n_pool": 60_000}, "together exceed the 60,000"),
        (FROM_FILE | {"recompute": 1}, "recompute is 1; give True or False"),
        (FROM_FILE | {"n_draws": 1}, "n_draws is 1; give a whole number from 2"),
        (
            FROM_FILE | {"first_draw": 50},
            "draws 50 to 149 are asked for and .* holds 0 to 99; give .* recompute = True",
        ),
        ({"batch_sise": 20}, "declares 'batch_sise', which is no known parameter; did you mean 'batch_size'"),
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


def test_a_notebook_shows_the_sentence_without_a_traceback():
    assert ParameterError("so it is")._render_traceback_() == ["ParameterError: so it is"]


@pytest.mark.parametrize("path", run.find_notebooks(), ids=lambda path: path.stem)
def test_papermill_reads_every_parameter(path):
    papermill = pytest.importorskip("papermill")
    found = papermill.inspect_notebook(str(path))
    for name, parameter in found.items():
        assert name in RULES, f"{path.name} has the parameter {name!r}, which no rule in parameters.py knows"
        assert parameter["inferred_type_name"] == RULES[name].type.__name__, f"{path.name}: type of {name}"
        assert parameter["help"], f"{path.name}: {name} needs a help comment on its line"
    data = {"n_draws", "first_draw", "recompute"} if "n_draws" in found else {"n_pool", "n_test", "seed"}
    assert data <= set(found), f"{path.name} must let its data be chosen"
    cell = next(c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    assert len(found) == len(cell.source.splitlines()), f"{path.name}: one parameter a line, and nothing else"


def test_the_same_parameter_means_the_same_everywhere():
    papermill = pytest.importorskip("papermill")
    lines = {}
    for path in run.find_notebooks():
        for name, parameter in papermill.inspect_notebook(str(path)).items():
            if name not in {"n_show", "batch_size", "label_budget"}:
                lines.setdefault(name, {})[parameter["default"], parameter["help"]] = path.name
    for name, variants in lines.items():
        assert len(variants) == 1, f"{name} differs between notebooks: {variants}"


def test_a_corrected_name_is_forgotten_in_a_kernel_that_goes_on():
    variables = namespace(foldr="")
    with pytest.raises(ParameterError, match="did you mean 'folder'"):
        check_parameters(variables)
    check_parameters(variables)
