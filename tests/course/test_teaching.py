"""The teacher's plans add up, and name the slides, exercises and questions that there are."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from helpers import load

from alhelpers import queries

ROOT = Path(__file__).resolve().parents[2]
WORKSHOP = ROOT / "workshop"
GUIDE, QUESTIONS = ((WORKSHOP / name).read_text("utf-8") for name in ("TEACHING.md", "questions.md"))
SHEET = WORKSHOP / "sheet.html"
SOLUTIONS = sorted((WORKSHOP / "solutions").glob("[0-9][0-9]_*.ipynb"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PLANS = {"90 minutes": 90, "Half a day": 240}
slides_build = load(ROOT / "slides" / "build.py")
prose = load(ROOT / "tests" / "running" / "test_prose.py")  # how figures are read out of sentences


def rows(plan):
    """Each line of a plan: minutes from the start, minutes it takes, what happens, how many slides."""
    section = GUIDE.split(f"## {plan}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (\d):(\d\d) \| (\d+) \| (.*) \| (\d*) ?\|$", section, re.MULTILINE)
    return [(60 * int(hours) + int(start), int(minutes), what, n) for hours, start, minutes, what, n in lines]


def titles(number):
    """The title of every slide of a notebook's deck."""
    (notebook,) = (ROOT / "notebooks").glob(f"{number:02}_*.ipynb")
    cells = slides_build.slides_of(nbformat.read(notebook, as_version=4)).cells
    begun = [cell for cell in cells if cell.metadata.slideshow.slide_type in slides_build.BEGINNINGS]
    return [cell.source.lstrip("# ") for cell in begun]


def shown(what):
    """The titles of the slides that a line of a plan shows."""
    numbers, rest = re.match(r"slides (\d+(?:(?:, | and )\d+)*)(.*)", what).groups()
    deck = [title for number in re.findall(r"\d+", numbers) for title in titles(int(number))]
    named = re.findall(r"\*(.*?)\*", rest)
    assert set(named) <= set(deck), f"{what}: no such slides"
    first = re.search(r"from \*(.*?)\*", rest)
    last = re.search(r"to \*(.*?)\*", rest)
    if "only" in rest:
        return [title for title in deck if title in named]
    end = len(deck) - deck[::-1].index(last[1]) if last else len(deck)
    return deck[deck.index(first[1]) if first else 0 : end]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_takes_the_time_it_says(plan):
    at = 0
    for start, minutes, what, _ in rows(plan):
        assert start == at, f"{what}: begins at {start} minutes, when {at} are over"
        at += minutes
    assert at == PLANS[plan]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_counts_the_slides_that_there_are_and_leaves_half_a_minute_for_each(plan):
    for _, minutes, what, n_slides in rows(plan):
        if not what.startswith("slides"):
            assert not n_slides, f"{what}: no slides are shown"
            continue
        assert n_slides == str(len(shown(what))), what
        assert minutes >= len(shown(what)) / 2, f"{what}: less than half a minute for a slide"


def test_the_slides_to_show_when_time_runs_out_exist():
    section = GUIDE.split("## When time runs out\n")[1].split("\n## ")[0]
    named = re.findall(r"\*([A-Z].*?)\*", section)
    assert named
    assert all(any(title.startswith(name) for title in titles(10)) for name in named), named


@pytest.mark.skipif(
    not SOLUTIONS, reason="the exercises are not in this copy, so nothing is compared with them"
)
def test_the_exercises_of_the_guide_exist_and_take_what_they_say():
    text = "\n".join(cell.source for path in SOLUTIONS for cell in nbformat.read(path, as_version=4).cells)
    known = {
        name: int(minutes)
        for name, minutes in re.findall(r"^## (\d\.\d) .*\((\d+) minutes\)", text, re.MULTILINE)
    }
    assert set(re.findall(r"exercise (\d\.\d)", GUIDE)) <= known.keys()
    readme = (WORKSHOP / "README.md").read_text("utf-8")
    overview = dict(re.findall(r"^\| \[(\d\.\d)\].* \| (\d+) \|$", readme, re.MULTILINE))
    assert {name: str(minutes) for name, minutes in known.items()} == overview
    for plan in PLANS:
        for _, minutes, what, _ in rows(plan):
            if named := re.match(r"exercise (\d\.\d)", what):
                assert minutes == known[named[1]], what


def test_what_the_guide_names_is_there():
    mistakes = GUIDE.split("## Common misconceptions")[1]
    for notebook, exercise in re.findall(r"^\| (\d+), exercise (\d)\.\d \| ", mistakes, re.MULTILINE):
        assert exercise == notebook
    asked = GUIDE.split("## The caveats")[1].split("\n## ")[0].split("\n\n**")[1:]
    for discussed in re.findall(r"discussion: \*(.*)\*", GUIDE):
        assert any(one.lower().startswith(f"{discussed}.") for one in asked), discussed
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = re.search(r"^COMMANDS = ((?:.*\\\n)*.*)", makefile, re.MULTILINE)[1].split()
    assert set(re.findall(r"`(?:make|python tutorial\.py) (\w+)", GUIDE)) <= set(commands)


def test_what_a_run_takes_is_said_of_the_notebooks_that_are_shown():
    (head,) = re.findall(r"^\| notebook \| ([\d |]+) \|$", GUIDE, re.MULTILINE)
    (seconds,) = re.findall(r"^\| seconds \| ([\d |]+) \|$", GUIDE, re.MULTILINE)
    listed = head.split(" | ")
    assert set(map(str, range(1, 11))) <= set(listed) <= {str(int(path.stem[:2])) for path in NOTEBOOKS}
    assert len(seconds.split(" | ")) == len(listed)


def test_the_figures_that_a_teacher_quotes_are_those_of_the_notebooks():
    numbers = [set(), set()]
    for path in NOTEBOOKS:
        numbers = [old | new for old, new in zip(numbers, prose.shown(prose.read(path)), strict=True)]
    made_up = {"60,000", "18", "20", "95", "99"}  # of the profiles, the exercises and the questions
    for text in (GUIDE, re.sub(r"^\|.*", "", QUESTIONS, flags=re.MULTILINE)):
        unknown = {f for f in prose.figures(text) if f not in made_up and not prose.is_shown(f, numbers)}
        assert not unknown, f"no notebook shows {sorted(unknown)}"


def questions():
    """Each question: its notebook, the letters of its options, of the right one, and of those explained."""
    each = re.compile(r"^\*\*(\d+)\.\d (.*?)(?=^\*\*\d|^## )", re.MULTILINE | re.DOTALL)
    for number, text in each.findall(QUESTIONS):
        options = re.findall(r"^- ([a-d])\) ", text, re.MULTILINE)
        right = re.findall(r"^Right: \*\*([a-d])\*\*\.$", text, re.MULTILINE)
        explained = re.findall(r"^- ([a-d](?:, [a-d])*): ", text, re.MULTILINE)
        yield int(number), options, right, ", ".join(explained).split(", ")


def test_each_notebook_has_two_questions_and_every_wrong_answer_is_explained():
    found = list(questions())
    assert [number for number, *_ in found] == [n for n in range(1, 11) for _ in range(2)]
    for number, options, right, explained in found:
        assert options == list("abcd"), number
        assert len(right) == 1, number
        assert sorted(explained) == sorted(set("abcd") - set(right)), f"a wrong answer of {number}"
    letters = [right[0] for _, _, right, _ in found]
    assert max(letters.count(letter) for letter in "abcd") <= len(letters) * 0.6, "one letter is always right"


def test_the_answers_to_the_sheet_are_those_of_the_queries():
    page = BeautifulSoup(SHEET.read_text("utf-8"), "html.parser")
    rows, parts = (
        [[cell.get_text(strip=True) for cell in row.select("td, th")] for row in page.select(f"#{name} tr")]
        for name in ("rows", "parts")
    )
    _, *images = rows
    proba = np.array([[float(cell) for cell in row[1:5]] for row in images])
    assert np.allclose(proba.sum(axis=1), 1)
    section = QUESTIONS.split("**Ranks.**")[1]
    answers = re.findall(r"^\| ([A-F]) \| (\d) \| (\d) \| (\d) \|$", section, re.MULTILINE)
    for k, query in enumerate((queries.least_confident, queries.margin, queries.entropy), 1):
        values = query(proba)
        assert np.diff(np.sort(values)).min() > 0.02, f"two images are too alike by {query.__name__}"
        order = [images[i][0] for i in values.argsort()]
        assert order == [row[0] for row in sorted(answers, key=lambda row: row[k])], query.__name__
    probability, adds = ([float(cell) for cell in row[1:]] for row in parts)
    assert set(proba.ravel()) <= set(probability)
    parts = [-p * np.log2(p) if p else 0 for p in probability]
    assert np.allclose(adds, parts, atol=0.005)
    by_table = dict(zip(probability, adds, strict=True))
    sums = [sum(by_table[p] for p in row) for row in proba]
    assert (np.argsort(sums) == np.argsort(-queries.entropy(proba))).all(), "the rounded table ranks alike"


def test_the_sheet_prints_on_two_pages_and_fits_a_phone(browser):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(SHEET.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2
