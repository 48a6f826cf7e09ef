"""Exercises are made from their solutions, solutions run, and checks say what is missing or wrong."""

import inspect
import re
import traceback
from concurrent.futures import ThreadPoolExecutor

import nbformat
import numpy as np
import pytest
from answers import RIGHT, WRONG
from helpers import load

from alhelpers.course import checks
from alhelpers.course.exercises import results
from alhelpers.running import notebooks as run

WORKSHOP = run.REPOSITORY / "workshop"


make = load(WORKSHOP / "make.py")
prose = load(run.REPOSITORY / "tests" / "running" / "test_prose.py")  # how figures are read out of sentences
# What exercises give, or quote of the article; 95% is the level of every interval.
ELSEWHERE = {"95", "100", "4,000", "10,000", "2,000", "83.75", "89.75", "92.25", "92", "94", "99"}

SOLUTIONS = run.find_notebooks(make.SOLUTIONS)
NO_ENGINE = "import os\n\nos.environ['ALHELPERS_ENGINE'] = 'neither'"
# Unpacking MNIST takes longer than a model, and checks ask for draws from it again and again.
UNPACKED_ONCE = """
import functools
import alhelpers.data

alhelpers.data.read_mnist = functools.cache(alhelpers.data.read_mnist)
"""
# What is wrong with an answer shows in fewer draws, too. Solutions run in full.
FEWER_DRAWS = """
from alhelpers.course.exercises import random_labeling, results

random_labeling.DRAWS, results.DRAWS = 5, 2
"""
# And in fewer images: where the nearest of all is looked for, and where draws are judged.
FEWER_IMAGES = {
    "check_1_2\n\ndata = load_mnist()": "check_1_2\n\ndata = load_mnist(1000)",
    "load_mnist(4000, 10_000, seed)": "load_mnist(4000, 1000, seed)",
}
# What checks are given, and do not change, is computed for the first answer.
ONCE = {"6-2": "ask_by(queries.least_confident, load_mnist())", "7-2": "ask(load_mnist())"}
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in make.tags(cell)]


def texts(notebook):
    """What each cell shows, by its id: what it printed, and then the table below."""
    return {
        cell.id: "".join(
            output.get("text", "") or output.get("data", {}).get("text/plain", "")
            for output in cell.get("outputs", ())
        )
        for cell in notebook.cells
    }


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Every solution and every exercise, each run in a kernel of its own: (error, notebook).

    Whatever asks which engine is at work fails: what they show must be the same with TensorFlow and without.
    """
    out = tmp_path_factory.mktemp("workshop")

    def execute(path):
        target = out / f"{path.parent.name}-{path.name}"
        notebook = make.read(path)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(NO_ENGINE + UNPACKED_ONCE))
        error = run.execute_notebook(notebook, target, {}, out)
        fresh = make.read(target)
        del fresh.cells[0]
        return error, fresh

    paths = [folder / path.name for folder in (make.SOLUTIONS, make.EXERCISES) for path in SOLUTIONS]
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(((path.parent.name, path.stem) for path in paths), pool.map(execute, paths), strict=True)
        )


def test_every_notebook_of_the_experiment_has_exercises_and_nothing_else_has():
    names = [path.name for path in run.find_notebooks()[:8]]
    assert [path.name for path in SOLUTIONS] == names
    assert sorted(path.name for path in make.EXERCISES.glob("*.ipynb")) == names


@each_solution
def test_an_exercise_is_what_its_solution_makes(path):
    made = make.text(make.exercise(make.read(path)))
    committed = (make.EXERCISES / path.name).read_text(encoding="utf-8")
    assert committed == made, f"exercises/{path.name} is not made from its solution: `make exercises`"


@each_solution
def test_an_exercise_gives_nothing_away(path):
    solution, exercise = make.read(path), make.read(make.EXERCISES / path.name)
    shown = "\n".join(cell.source for cell in exercise.cells)
    stubs = "\n".join(cell.source for cell in tagged(exercise, "solution"))
    for cell in tagged(solution, "solution"):
        secret = sorted((line.strip() for line in make.cut(cell.source)), key=len)
        for line in secret:
            assert len(line) < 20 or line not in stubs, f"exercises/{path.name} shows {line!r} of {cell.id}"
        # Short lines, such as learner.reset(), are everybody's; the longest is what had to be found.
        assert secret[-1] not in shown, f"exercises/{path.name} shows {secret[-1]!r}, the heart of {cell.id}"
    for cell in tagged(solution, "shows"):
        assert cell.source.splitlines()[0] not in shown, f"exercises/{path.name} shows what {cell.id} says"
    assert not list(run.outputs(exercise)), f"exercises/{path.name} has outputs"


@each_solution
def test_each_exercise_says_what_to_do_and_has_a_check_and_a_moral(path):
    solution = make.read(path)
    begun = [cell.id for cell in tagged(solution, "exercise")]
    assert 1 <= len(begun) <= 3
    for tag in ("check", "shows"):
        assert [cell.id for cell in tagged(solution, tag)] == [f"{name}-{tag}" for name in begun]
    for name in begun:
        assert any(cell.id.startswith(f"{name}-") for cell in tagged(solution, "solution")), name
    for cell in solution.cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            assert len(lines) <= 10, f"{cell.id} is too long"
            assert max(map(len, lines)) <= 88, f"{cell.id} is too wide"


@each_solution
def test_a_solution_passes_its_checks_as_committed(path, executed):
    error, fresh = executed["solutions", path.stem]
    assert error is None, f"solutions/{path.name}: {run.describe(error)}"
    committed = make.read(path)
    counts = [cell.execution_count for cell in committed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), f"solutions/{path.name}: run it by `make solutions`"
    for cell in tagged(committed, "check"):
        assert texts(committed)[cell.id].startswith("Right. "), f"{cell.id} does not say that all is right"
    assert texts(fresh) == texts(committed), f"solutions/{path.name} says something else: `make solutions`"


@each_solution
def test_an_exercise_that_nobody_began_says_so_at_its_check_and_nowhere_else(path, executed):
    _, fresh = executed["exercises", path.stem]
    checks = {cell.id for cell in tagged(fresh, "check")}
    assert checks
    for cell in fresh.cells:
        errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        if cell.id not in checks:
            assert not errors, f"{cell.id} fails before its check: {errors[0].evalue}"
            continue
        assert [error.ename for error in errors] == ["NotYet"], f"{cell.id}: {cell.outputs}"
        shown = "\n".join(errors[0].traceback)
        assert re.fullmatch(r"Not yet: (write|set) [^\n]+\.", shown), f"{cell.id} shows {shown!r}"


def test_the_number_of_exercises_and_their_minutes_are_what_is_said():
    n = 0
    for path in SOLUTIONS:
        notebook = make.read(path)
        headings = [cell.source.split("\n")[0] for cell in tagged(notebook, "exercise")]
        minutes = sum(int(re.search(r"\((\d+) minutes\)$", heading)[1]) for heading in headings)
        assert f"about {minutes} minutes" in notebook.cells[0].source, f"the title of {path.name}"
        n += len(headings)
    for readme in (run.REPOSITORY / "README.md", WORKSHOP / "README.md"):
        assert f" {n} exercises" in readme.read_text("utf-8"), readme


def test_a_changed_solution_changes_the_exercise_only_where_it_is_kept():
    solution = make.read(SOLUTIONS[0])
    before = make.text(make.exercise(solution))
    cell = tagged(solution, "solution")[0]
    cell.source += "\n    # a line below the marker"
    assert make.text(make.exercise(solution)) == before
    cell.source = "# a line above it\n" + cell.source
    assert make.text(make.exercise(solution)) != before


def test_a_solution_without_a_marker_is_refused():
    cell = nbformat.v4.new_code_cell("answer = 42", metadata={"tags": ["solution"]})
    with pytest.raises(ValueError, match="no line '# exercise"):
        make.exercise(nbformat.v4.new_notebook(cells=[cell]))


def add(notebook, answer, check, name):
    tags = {"tags": ["raises-exception"]}
    notebook.cells += [
        nbformat.v4.new_code_cell(answer),
        nbformat.v4.new_code_cell(check, id=name, metadata=tags),
        nbformat.v4.new_code_cell("hint()", id=f"{name}-hint"),
    ]


def with_other_answers(solution):
    """A solution notebook with other answers in place of its solutions, each followed by the check."""
    made = nbformat.v4.new_notebook(metadata=solution.metadata)
    made.cells.append(nbformat.v4.new_code_cell(UNPACKED_ONCE + FEWER_DRAWS))
    for cell in solution.cells:
        if "check" in make.tags(cell):
            name = cell.id.removesuffix("-check")
            ours = [part for part in tagged(solution, "solution") if part.id.startswith(f"{name}-")]
            source, check = "\n\n\n".join(part.source for part in ours), cell.source
            if name in ONCE:
                assert ONCE[name] in check
                made.cells.append(nbformat.v4.new_code_cell(f"once = {ONCE[name]}"))
                check = check.replace(ONCE[name], "once")
            for k, (_, old, new, _) in enumerate(wrong for wrong in WRONG if wrong[0] == name):
                assert old in source, f"the solution of {name} no longer has {old!r}"
                add(made, source.replace(old, new), check, f"{name}-{k}")
            if name in RIGHT:
                add(made, RIGHT[name], check, f"{name}-right")
        elif cell.cell_type == "code":
            for all_images, fewer in FEWER_IMAGES.items():
                cell.source = cell.source.replace(all_images, fewer)
            made.cells.append(cell)
    return made


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """What the checks say of other answers: (name of the error or "Right", what is shown) by cell id."""
    out = tmp_path_factory.mktemp("wrong")

    def execute(path):
        run.execute_notebook(with_other_answers(make.read(path)), out / path.name, {}, out)
        return make.read(out / path.name)

    with ThreadPoolExecutor(2) as pool:
        notebooks = list(pool.map(execute, SOLUTIONS))
    said = {}
    for notebook in notebooks:
        shown = texts(notebook)
        for cell in notebook.cells:
            errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
            if errors:
                said[cell.id] = errors[0].ename, "\n".join(errors[0].traceback)
            elif cell.get("outputs"):
                said[cell.id] = "Right", shown[cell.id]
    return said


@pytest.mark.parametrize("name", dict.fromkeys(wrong[0] for wrong in WRONG))
def test_a_check_asks_about_what_is_wrong_and_says_more_on_request(name, answered):
    for k, (_, old, new, part) in enumerate(wrong for wrong in WRONG if wrong[0] == name):
        error, shown = answered.get(f"{name}-{k}", ("nothing", ""))
        assert error == "NotYet", f"{name} with {new!r} for {old!r} gives {error}: {shown[-200:]}"
        question = re.fullmatch(r"Not yet: (.+) \(More: run hint\(\) in a cell\.\)", shown)[1]
        assert part in question, f"{name} with {new!r} for {old!r} asks {question!r}"
        assert "?" in question
        _, more = answered[f"{name}-{k}-hint"]
        assert len(more.split()) > 2, f"{name} with {new!r} for {old!r} has no more to say than {more!r}"
        assert more.strip() not in question


@pytest.mark.parametrize("name", RIGHT)
def test_a_check_accepts_another_right_answer(name, answered):
    said, shown = answered.get(f"{name}-right", ("nothing", ""))
    assert said == "Right", f"{name}: {shown}"
    assert shown.startswith("Right. ")
    assert answered[f"{name}-right-hint"][1].startswith("No check is waiting")


def asked_of(answer):
    """What a check says that calls an answer, looks into what it returns, and shares a fault of its own."""

    @checks.checked
    def check(answer):
        return f"It is {answer().strip()}."

    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is what is asked
        check(answer)
    return raised.value


def written_in_a_notebook(source):
    names = {"__name__": "__main__"}
    exec(source, names)
    return names["answer"]


def test_an_error_of_the_check_is_not_blamed_on_the_learner():
    error = asked_of(written_in_a_notebook("answer = lambda: 42"))
    assert isinstance(error, checks.NotYet)
    assert "The check could not work with it" in str(error)
    assert "AttributeError" in error.more
    assert "not yours" in error.more


def test_an_error_in_the_learner_s_code_is_shown_from_there_on():
    error = asked_of(written_in_a_notebook("def answer():\n    return 1 / 0"))
    assert isinstance(error, ZeroDivisionError)
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames[-2:] == ["run", "answer"], "what the check did in between is nothing to read"


def test_two_thousand_resamples_are_accepted_whatever_the_seed():
    """The text of 8.1 invites a bootstrap; a right one must not fail by chance."""
    check = inspect.unwrap(results.check_8_1)
    for seed in range(200):
        rng = np.random.default_rng(seed)

        def difference(right_a, right_b, rng=rng):
            kinds = [np.sum(right_b & ~right_a), np.sum(right_a & ~right_b)]
            shares = np.array([*kinds, len(right_a) - sum(kinds)]) / len(right_a)
            better, worse, _ = rng.multinomial(len(right_a), shares, 2000).T  # as drawing images is
            return np.percentile((better - worse) / len(right_a), [2.5, 97.5])

        right = rng.random((2, 400)) < 0.8
        assert "points" in check(difference, *right), f"seed {seed}"


def test_every_figure_in_what_an_exercise_shows_is_in_an_output():
    for path in SOLUTIONS:
        notebook = make.read(path)
        numbers = prose.shown(notebook)
        said = {figure for text in prose.sentences(notebook) for figure in prose.figures(text)}
        unknown = {figure for figure in said - ELSEWHERE if not prose.is_shown(figure, numbers)}
        assert not unknown, f"solutions/{path.name} says {sorted(unknown)}, which none of its outputs shows"
