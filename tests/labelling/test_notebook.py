"""Notebook 12 with fewer images and other budgets than the committed one, to its end."""

import nbformat
import pytest
from PIL import Image

from alhelpers import load_mnist
from alhelpers.running import notebooks as run


@pytest.fixture
def few_digits(tmp_path):
    """A folder of 26 digits, in a sub-folder for each of two classes."""
    digits = load_mnist(26, 1)
    for k, (x, y) in enumerate(zip(digits.x_pool, digits.y_pool, strict=True)):
        folder = tmp_path / "digits" / ("low" if y < 5 else "high")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x).save(folder / f"{k}.png")
    return str(tmp_path / "digits")


NOTEBOOK = run.NOTEBOOKS / "12_label_it_yourself.ipynb"


def labels_after_each_round(tmp_path, **parameters):
    """Run the notebook and read the number of labels from each line that it tells whoever labels."""
    path = tmp_path / "executed.ipynb"
    error = run.execute_notebook(NOTEBOOK, path, parameters, tmp_path)
    assert error is None
    cells = nbformat.read(path, as_version=4).cells
    (outputs,) = (
        cell.outputs for cell in cells if "oracle.play(" in cell.source and cell.cell_type == "code"
    )
    said = "".join(output.text for output in outputs)
    return [int(line.split(" labels")[0]) for line in said.splitlines() if line[0] != " "]


def test_a_budget_that_is_no_multiple_of_the_batch_is_spent_to_the_last_label(tmp_path):
    rounds = labels_after_each_round(tmp_path, n_check=10, label_budget=25)
    assert rounds == [10, 20, 25]
    executed = (tmp_path / "executed.ipynb").read_text(encoding="utf-8")
    assert "4,975 labelled by the model" in executed, "all 5,010 images but the 35 that have a label"


def test_a_pool_of_less_than_a_batch_is_labelled_and_the_cells_below_run(tmp_path, few_digits):
    assert labels_after_each_round(tmp_path, folder=few_digits, n_check=23) == [2]
    executed = (tmp_path / "executed.ipynb").read_text(encoding="utf-8")
    assert "label_budget is 200; the pool has only 2 images" in executed


def test_sets_that_leave_no_image_to_ask_about_are_said_before_the_first_label(tmp_path, few_digits):
    path = tmp_path / "executed.ipynb"
    error = run.execute_notebook(NOTEBOOK, path, {"folder": few_digits, "n_check": 25}, tmp_path)
    assert error["message"].startswith(
        "a check set of 25 (n_check) and a stop set of 1 leave none of 26 images"
    )
    assert "oracle.play(" not in error["line"]
    ran = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.get("execution_count")]
    assert ran[-1].startswith("n_stop = "), "nothing that asks has run"
