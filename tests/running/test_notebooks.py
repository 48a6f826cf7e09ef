"""The committed notebooks are one clean run. That a fresh run shows the same is for nbval (conftest.py)."""

import json
import re
import urllib.parse

import nbformat
import numpy as np
import papermill
import pytest
from helpers import write_notebook

from alhelpers import plots
from alhelpers.running import notebooks as running
from tests.figures import differences

NOTEBOOKS = running.find_notebooks()

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_the_notebooks_are_in_the_article_s_order_and_the_evidence_follows():
    article = "data model ground_truth clustering random_labeling active_learning auto_labeling results"
    beyond = "how_sure_are_we which_query does_it_carry_over label_it_yourself when_to_stop"
    assert [path.stem[3:] for path in NOTEBOOKS] == [*article.split(), *beyond.split()]


@each_notebook
def test_committed_outputs_are_of_one_clean_run(path):
    cells = code_cells(path)
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), (
        f"{path.name} was not run once from top to bottom: {counts}"
    )
    for k, cell in enumerate(cells, 1):
        for output in cell.outputs:
            where = f"{path.name}, code cell {k}"
            assert output.output_type != "error", f"{where} shows an error"
            assert output.get("name") != "stderr", f"{where} shows stderr: {output.text[:80]!r}"
            body = json.dumps(output)
            assert not re.search(r"\b0x[0-9a-f]{6,}", body), f"{where} shows a memory address"
            assert not re.search(r"/(home|Users|root)/|C:\\\\", body), (
                f"{where} shows a path of somebody's machine"
            )
            texts = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"\d ?(ms|seconds?|it/s)\b", texts), f"{where} shows a wall time"


@pytest.mark.parametrize(
    "path", [*NOTEBOOKS, *(running.REPOSITORY / "workshop").glob("*/*.ipynb")], ids=lambda path: path.stem
)
def test_notebooks_say_their_language_and_not_which_python_ran_them(path):
    assert read(path).metadata["language_info"] == {"name": "python", "file_extension": ".py"}


def test_a_committed_notebook_can_be_converted_to_a_script():
    from nbconvert import ScriptExporter

    _, resources = ScriptExporter().from_filename(str(NOTEBOOKS[0]))
    assert resources["output_extension"] == ".py"


def test_what_is_committed_keeps_the_language_and_leaves_out_who_ran_it():
    cell = nbformat.v4.new_code_cell("1", metadata={"execution": {"shell.execute_reply": "2026-01-01"}})
    language = {"name": "python", "file_extension": ".py", "version": "3.11.7", "mimetype": "text/x-python"}
    content = nbformat.v4.new_notebook(cells=[cell], metadata={"language_info": language})
    told = nbformat.reads(running.as_committed(content), as_version=4)
    assert told.metadata.language_info == {"name": "python", "file_extension": ".py"}
    assert told.cells[0].metadata == {}


@each_notebook
def test_committed_outputs_are_there(path):
    outputs = list(running.outputs(read(path)))
    shown = [output.metadata for output in outputs if "image/png" in output.get("data", {})]
    source = "\n".join(cell.source for cell in code_cells(path))
    drawn = re.findall(r"^ *(?:display\()?(?:plots|figures)\.\w+\(", source, re.MULTILINE)
    assert len(shown) == len(drawn), f"{path.name} draws {len(drawn)} and shows {len(shown)}; `make refresh`"
    for metadata in shown:
        assert "numbers" in metadata, f"{path.name}: a figure without its numbers"
        assert len(metadata["image/png"]["alt"]) > 20, f"{path.name}: a figure without words"
    assert len(shown) < len(outputs), f"{path.name} has no text output left for nbval to compare"


@each_notebook
def test_cells_are_short_and_figures_are_followed_by_a_sentence(path):
    cells = read(path).cells
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if cell.cell_type != "code":
            continue
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 10, f"{path.name}: a cell of {len(lines)} lines, starting {lines[0]!r}"
        assert not cell.source.rstrip().endswith(";"), (
            f"{path.name}: a trailing semicolon after {lines[-1]!r}"
        )
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert following is not None
            assert following.source.startswith("*What to look for:"), (
                f"{path.name}: no sentence under {lines[-1]!r}"
            )


@each_notebook
def test_links_between_notebooks_lead_somewhere(path):
    for target in re.findall(
        r"\]\(([^)]+)\)", "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    ):
        here = path.parent / urllib.parse.unquote(target)
        read_elsewhere = re.match(r"https://(arxiv\.org/abs|doi\.org|mindcraft\.ai)/\S+$", target)
        assert read_elsewhere or here.is_file(), f"{path.name} links to {target}"


@each_notebook
def test_the_second_code_cell_checks_the_parameters(path):
    assert "check_parameters()" in code_cells(path)[1].source


def test_a_figure_that_is_not_the_committed_one_is_said_to_differ():
    x = np.linspace(0.2, 0.9, 40)
    figures = [
        plots.confidence(x),
        plots.confidence(x * 1.01),
        plots.learning_curve({"one": (x, x), "one more": (x, x)}),
        plots.confidence(x[:20]),
        plots.digit(np.eye(28), 1),
        plots.digit(np.eye(28)[::-1], 1),
        plots.digit(np.eye(20), 1),
    ]
    outputs = []
    for figure in figures:
        data, metadata = figure._repr_mimebundle_()
        outputs.append({"data": data, "metadata": metadata})
    for i, committed in enumerate(outputs):
        said = [list(differences(fresh, committed)) for fresh in outputs]
        assert [k for k, found in enumerate(said) if not found] == [i]
    assert "number 1 of the lines is not the committed one" in differences(outputs[1], outputs[0])
    assert any("looks different" in one for one in differences(outputs[1], outputs[0]))


@each_notebook
def test_a_notebook_runs_with_very_few_images(path, tmp_path, monkeypatch):
    monkeypatch.setenv("ALHELPERS_ENGINE", "numpy")  # which starts in less time
    wanted = {
        "n_pool": 30, "n_test": 10, "seed": 1, "batch_size": 7, "label_budget": 20, "auto_batch_size": 9,
        "n_repeats": 2, "n_show": 60, "n_clusters": 5, "n_draws": 2, "first_draw": 50,
        "n_check": 30, "n_stop": 20, "error_rate": 0.3,
    }  # fmt: skip
    known = papermill.inspect_notebook(str(path))
    parameters = {name: value for name, value in wanted.items() if name in known}
    assert running.execute_notebook(path, tmp_path / path.name, parameters, tmp_path) is None
    executed = read(tmp_path / path.name)
    assert not [o for o in running.outputs(executed) if o.get("name") == "stderr"], (
        "a warning that nobody needs"
    )


def test_the_readme_figure_is_the_notebook_s():
    figure = list(running.figures(read(running.NOTEBOOKS / "06_active_learning.ipynb")))[2]
    assert running.README_FIGURE.read_bytes() == figure, "renew docs/ with `make refresh`"


def test_a_kernel_that_does_not_start_is_started_again_once(tmp_path, monkeypatch):
    from jupyter_client.asynchronous.client import AsyncKernelClient

    tried, wait = [], AsyncKernelClient.wait_for_ready

    async def at_the_second_try(self, timeout=None):
        tried.append(1)
        if len(tried) == 1:
            raise RuntimeError("Kernel didn't respond in 60 seconds")
        await wait(self, timeout)

    monkeypatch.setattr(AsyncKernelClient, "wait_for_ready", at_the_second_try)
    one = write_notebook(tmp_path / "one.ipynb", "print(2 * 3)")
    for work in (running._execute_into, running._refresh):
        tried.clear()
        assert work(tmp_path, one).error == ""
        assert len(tried) == 2
