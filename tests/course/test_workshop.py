"""Exercises are made from their solutions, solutions run, and checks say what is missing or wrong."""

import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from answers import RIGHT, WRONG

from alhelpers.running import notebooks as run

WORKSHOP = run.REPOSITORY / "workshop"
spec = importlib.util.spec_from_file_location("make_exercises", WORKSHOP / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)

SOLUTIONS = run.find_notebooks(make.SOLUTIONS)
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in make.tags(cell)]


def texts(notebook):
    return {cell.id: "".join(o.get("text", "") for o in cell.get("outputs", ())) for cell in notebook.cells}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Every solution and every exercise, each run in a kernel of its own: (error, notebook)."""
    out = tmp_path_factory.mktemp("workshop")

    def execute(path):
        target = out / f"{path.parent.name}-{path.name}"
        error = run.execute_notebook(path, target, {}, out)
        return error, make.read(target)

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
        assert cell.cell_type == "markdown" or len(cell.source.splitlines()) <= 15, f"{cell.id} is too long"


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
    ]


def with_other_answers(solution):
    """A solution notebook with other answers in place of its solutions, each followed by the check."""
    made = nbformat.v4.new_notebook(metadata=solution.metadata)
    for cell in solution.cells:
        if "check" in make.tags(cell):
            name = cell.id.removesuffix("-check")
            ours = [part for part in tagged(solution, "solution") if part.id.startswith(f"{name}-")]
            for k, (_, old, new, _) in enumerate(wrong for wrong in WRONG if wrong[0] == name):
                source = "\n\n\n".join(part.source for part in ours)
                assert old in source, f"the solution of {name} no longer has {old!r}"
                add(made, source.replace(old, new), cell.source, f"{name}-{k}")
            if name in RIGHT:
                add(made, RIGHT[name], cell.source, f"{name}-right")
        elif cell.cell_type == "code":
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
        cells = [cell for notebook in pool.map(execute, SOLUTIONS) for cell in notebook.cells]
    said = {}
    for cell in cells:
        outputs = cell.get("outputs", ())
        errors = [output for output in outputs if output.output_type == "error"]
        if errors:
            said[cell.id] = errors[0].ename, "\n".join(errors[0].traceback)
        elif outputs:  # what is printed may arrive in several pieces
            said[cell.id] = "Right", "".join(output.get("text", "") for output in outputs)
    return said


@pytest.mark.parametrize("name", dict.fromkeys(wrong[0] for wrong in WRONG))
def test_a_check_says_what_is_wrong(name, answered):
    for k, (_, old, new, part) in enumerate(wrong for wrong in WRONG if wrong[0] == name):
        error, shown = answered.get(f"{name}-{k}", ("nothing", ""))
        assert error == "NotYet", f"{name} with {new!r} for {old!r} gives {error}: {shown[-200:]}"
        assert part in shown, f"{name} with {new!r} for {old!r} says {shown!r}"
        assert "\n" not in shown


@pytest.mark.parametrize("name", RIGHT)
def test_a_check_accepts_another_right_answer(name, answered):
    said, shown = answered.get(f"{name}-right", ("nothing", ""))
    assert said == "Right", f"{name}: {shown}"
    assert shown.startswith("Right. ")
