"""The teacher's plans add up, and name the minutes, the slides and the exercises that there are."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "workshop" / "TEACHING.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
SOLUTIONS = sorted((ROOT / "workshop" / "solutions").glob("[0-9][0-9]_*.ipynb"))
READ = {
    int(n): int(minutes) for n, minutes in re.findall(r"^\| \[(\d+) .*\| (\d+) \|$", README, re.MULTILINE)
}
_spec = importlib.util.spec_from_file_location("slides_build", ROOT / "slides" / "build.py")
slides_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(slides_build)
PLANS = {"90 minutes": 90, "Half a day": 240}


def rows(plan):
    section = GUIDE.split(f"## {plan}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| (\d+) \| (.*) \| (\d*) ?\| (\d*) ?\|$", section, re.MULTILINE)


def titles(number):
    """The title of every slide of a notebook's deck."""
    (notebook,) = (ROOT / "notebooks").glob(f"{number:02}_*.ipynb")
    cells = slides_build.slides_of(nbformat.read(notebook, as_version=4)).cells
    begun = [cell for cell in cells if cell.metadata.slideshow.slide_type in slides_build.BEGINNINGS]
    return [cell.source.lstrip("# ") for cell in begun]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_takes_the_time_it_says_and_the_minutes_of_the_readme(plan):
    assert sum(int(minutes) for minutes, *_ in rows(plan)) == PLANS[plan]
    assert len(READ) == len(list((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    for minutes, what, _, read in rows(plan):
        if named := re.match(r"slides ([\d, and]+)|notebook (\d+)", what):
            numbers = map(int, re.findall(r"\d+", named[0]))
            assert int(read) == sum(READ[number] for number in numbers), what
            assert int(minutes) >= int(read), f"{what}: less time than it takes to read"


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_counts_the_slides_that_there_are_and_leaves_half_a_minute_for_each(plan):
    for minutes, what, n_slides, _ in rows(plan):
        if not (named := re.match(r"slides ([\d, and]+)", what)):
            assert not n_slides, f"{what}: no slides are shown"
            continue
        shown = [title for number in re.findall(r"\d+", named[1]) for title in titles(int(number))]
        if begun := re.search(r"from \*(.*)\* on", what):
            shown = shown[shown.index(begun[1]) :]
        assert n_slides == str(len(shown)), what
        assert int(minutes) >= len(shown) / 2, f"{what}: less than half a minute for a slide"


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
    for plan in PLANS:
        for minutes, what, *_ in rows(plan):
            if named := re.match(r"exercise (\d\.\d)", what):
                assert int(minutes) == known[named[1]], what


def test_the_guide_has_what_a_teacher_looks_for():
    mistakes = re.findall(
        r"^\| (\d+)(?:, exercise (\d)\.\d)? \| ", GUIDE.split("What goes wrong")[1], re.MULTILINE
    )
    assert len(mistakes) >= 10
    assert all(exercise in ("", notebook) for notebook, exercise in mistakes)
    questions = GUIDE.split("## The caveats")[1].split("\n## ")[0].split("\n\n**")[1:]
    assert len(questions) >= 8
    assert all("?" in one for one in questions)
    for target in re.findall(r"`make (\w+)", GUIDE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), target
