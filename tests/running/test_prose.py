"""What the notebooks say is what they show: figures in sentences, minutes, and what they leave unsaid."""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
CORE = [path for path in NOTEBOOKS if int(path.stem[:2]) <= 8]

# Figures that no output of their notebook shows, and where they come from.
ELSEWHERE = {
    "01_data": {},
    "02_model": {"7,850": "784 × 10 weights and 10 biases", "0.001": "Adam's default step size"},
    "03_ground_truth": {"92.50": "one image more than 92.25% of 400"},
    "04_clustering": {"80.05": "the notebook with n_clusters=50"},
    "05_random_labeling": {"89.75": "notebook 6", "1,700": "notebook 8"},
    "06_active_learning": {
        "0.8725": "the notebook with batch_size=20",
        "0.8925": "the notebook with batch_size=50",
        "0.8675": "the notebook with batch_size=25 and with 40",
    },
    "07_auto_labeling": {},
    "08_results": {
        "1.5": "the standard error of a share of 90% of 400",
    },
    "09_how_sure_are_we": {"0.89": "notebook 8", "83.75": "the article, 400 unselected labels"},
    "10_which_query": {},
    "11_does_it_carry_over": {"2,000": "rows in a pool, `datasets.SIZES`", "3,000": "the same"},
}
# A percentage, an accuracy, a difference in points, or a count with a comma.
FIGURE = re.compile(
    r"(?<![\w.,/])(\d+(?:\.\d+)?)(?=\s?%)"
    r"|(?<![\w.,])(0\.\d{3,})"
    r"|(?<![\w.,])(\d+\.\d+)(?= points?)"
    r"|(?<![\w.,])(\d{1,2},\d{3})(?![\d,])"
)
NUMBER = re.compile(r"\d(?:[\d,]*\d)?(?:\.\d+)?")


def read(path):
    return nbformat.read(path, as_version=4)


def shown(notebook):
    """The numbers that a notebook's parameters and outputs show as text, and those that its figures draw."""
    texts, drawn = [], []
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            texts.append(cell.source)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            texts += [output.get("text", ""), data.get("text/plain", "")]
            texts += [json.dumps(value) for kind, value in data.items() if kind.endswith("json")]
            for axes in output.get("metadata", {}).get("numbers", ()):
                drawn.append(json.dumps([axes.get("lines"), axes.get("bars")]))
    return [
        {float(number.replace(",", "")) for number in NUMBER.findall(" ".join(kind))}
        for kind in (texts, drawn)
    ]


def sentences(notebook):
    """The markdown of a notebook without code, formulas, headings of tables and links' addresses."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield re.sub(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)", " ", cell.source)


def figures(text):
    return [next(filter(None, match)) for match in FIGURE.findall(text)]


def is_shown(figure, numbers):
    """Whether a number of the text rounds to it, plainly or as a percentage, or a figure draws just it."""
    value, digits = float(figure.replace(",", "")), len(figure.partition(".")[2])
    texts, drawn = numbers
    return any(round(number * scale, digits) == value for number in texts for scale in (1, 100)) or any(
        round(scale * number, 9) == value for number in drawn for scale in (1, 100)
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_in_a_sentence_is_in_an_output(path):
    notebook, general = read(path), {"100", "95", "0", "90", "4,000", "10,000", "60,000", "3,600"}
    numbers = shown(notebook)
    said = {figure for text in sentences(notebook) for figure in figures(text)}
    unknown = {f for f in said - general - ELSEWHERE.get(path.stem, {}).keys() if not is_shown(f, numbers)}
    assert not unknown, f"{path.name} says {sorted(unknown)}, which none of its outputs shows"
    assert ELSEWHERE.get(path.stem, {}).keys() <= said, "an exception that no sentence needs any more"


def test_a_digit_that_is_changed_in_a_sentence_is_found():
    numbers = shown(read(ROOT / "notebooks" / "06_active_learning.ipynb"))
    assert is_shown("89.75", numbers)
    assert is_shown("61.50", numbers)
    assert not is_shown("89.85", numbers)
    assert figures("from 84.01% to 0.8975, +1.29 points, 1,700 labels and section 5.1 of 2009") == [
        "84.01", "0.8975", "1.29", "1,700"
    ]  # fmt: skip


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_a_figure_of_one_run_says_whose_run_it_is(path):
    """A reader who sets other parameters must not find a sentence that has become false."""
    for text in sentences(read(path)):
        for paragraph in re.split(r"\n\n|\n(?=- )", text):
            measured = [figure for figure in re.findall(r"\d+\.\d+(?=%)|0\.\d{4}", paragraph)]
            if measured and "<details>" not in text:
                assert re.search(r"publish|article", paragraph), f"{path.name}: {paragraph!r} names no run"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_with_its_question_and_closes_with_an_answer(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "markdown"]
    title, question = cells[0].source.split("\n\n")[:2]
    assert re.match(r"# \d+ · ", title)
    assert re.match(r"\*\*[^*]+\?\*\*", question), f"{path.name} asks nothing in its first line"
    asked = [cell.source for cell in cells if "**Question:**" in cell.source]
    assert len(asked) == 1, f"{path.name}: one question for the reader"
    assert "<details><summary>Answer</summary>\n\n" in asked[0]


def minutes(path):
    """Reading time: words at 200 a minute, code lines at 15 a minute, half a minute for a figure."""
    cells = read(path).cells
    words = sum(len(text.split()) for text in sentences(read(path)))
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    lines = sum(bool(line.strip()) for source in code for line in source.splitlines())
    drawn = sum("image/png" in o.get("data", {}) for c in cells for o in c.get("outputs", ()))
    return words / 200 + lines / 15 + drawn / 2


def test_the_readme_says_how_long_each_notebook_takes_and_the_article_s_take_an_hour():
    readme = (ROOT / "README.md").read_text("utf-8")
    said = dict(re.findall(r"^\| \[(\d+) .*\| (\d+) \|$", readme, re.MULTILINE))
    assert {path.stem[:2].lstrip("0"): round(minutes(path)) for path in NOTEBOOKS} == {
        number: int(said_minutes) for number, said_minutes in said.items()
    }
    assert sum(minutes(path) for path in CORE) <= 60
