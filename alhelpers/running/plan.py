"""What a sweep will do: every combination of parameters, checked with the notebook before anything runs."""

import ast
import contextlib
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat

from alhelpers import __version__
from alhelpers.errors import UserError
from alhelpers.files import PACKAGE, SHIPPED
from alhelpers.parameters import ParameterError, check_parameters, nearest
from alhelpers.running.notebooks import FIT_COLUMNS, first_line

Value = int | float | bool | str | None
Given = str | Sequence[Value]
"""Values of one parameter as somebody gives them: text as in `parse_values`, or one by one."""


class Declared(NamedTuple):
    """A parameter as its notebook declares it: allowed types (none: any), and its default value."""

    types: tuple[type, ...]
    default: Value

    def allowed(self) -> str:
        """In words, for an error message."""
        names = [kind.__name__ for kind in self.types if kind is not type(None)]
        return " or ".join([*names, *(["None"] if type(None) in self.types else [])])


class PlannedRun(NamedTuple):
    """A run to be done: its identity and all parameters, those with default values too."""

    id: str
    parameters: dict[str, Value]


class Plan(NamedTuple):
    """What a sweep will do: the notebook, which of its parameters vary, and the runs."""

    notebook: str
    source: str
    digest: str
    package: str
    varied: tuple[str, ...]
    runs: list[PlannedRun]


class SweepError(UserError):
    """A sweep that cannot be planned or go on, in one sentence for the person who asked for it."""


def parse_values(name: str, text: str) -> list[Value]:
    """The values in "5,10,20", "0:20" (0 to 19), "0:100:10" or "None,0:3". Raises SweepError."""
    values: list[Value] = []
    for part in _split(text):
        if re.fullmatch(r"-?\d+:-?\d+(:\d+)?", part):
            bounds = [int(bound) for bound in part.split(":")]
            if len(bounds) == 3 and bounds[2] == 0:
                raise SweepError(f"the range {part!r} of {name} has step 0; give 1 or more")
            values += range(*bounds)
        elif part:
            values.append(_parse_scalar(part))
    if not values:
        raise SweepError(f"{name}={text} has no values; give a list like 5,10,20 or a range like 0:20")
    return values


def _split(text: str) -> list[str]:
    """What stands between commas; a comma that belongs to a value has a backslash before it."""
    return [part.strip().replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]


def _parse_scalar(text: str) -> Value:
    words = {"None": None, "null": None, "True": True, "true": True, "False": False, "false": False}
    if text in words:
        return words[text]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def parse_assignments(assignments: Iterable[str]) -> dict[str, Given]:
    """The grid of command line arguments like "batch_size=5,10,20". Raises SweepError."""
    grid: dict[str, Given] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        name = name.strip()
        if not sign or not name:
            raise SweepError(f"-p {assignment} is no NAME=VALUES; give for example -p batch_size=5,10,20")
        if name in grid:
            raise SweepError(f"{name} is given twice; give all its values at once, as in -p {name}=1,2,3")
        grid[name] = text
    return grid


def read_grid(path: Path) -> dict[str, Given]:
    """The grid of a YAML file of names with a value, a list, or a range as in `parse_values`.

    Raises SweepError if the file cannot be read as such.
    """
    import yaml

    class Loader(yaml.BaseLoader):
        """Every value as the text it is: YAML 1.1 would read 1:20 as 80, 007 as 7 and "no" as False."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
            names = [key.value for key, _ in node.value]
            for name in names:
                if names.count(name) > 1:
                    raise SweepError(f"the grid {path} has {name!r} twice; give all its values in one list")
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or first_line(problem)
        raise SweepError(f"cannot read the grid {path}: {reason}") from None
    except yaml.YAMLError as problem:
        raise SweepError(f"the grid {path} is no YAML: {first_line(problem)}") from None
    if not isinstance(content, dict) or not content:
        raise SweepError(f"the grid {path} has no parameters; write lines like `batch_size: [5, 10, 20]`")
    for name, given in content.items():
        values = given if isinstance(given, list) else [given]
        if any(not isinstance(value, str) for value in values):
            raise SweepError(
                f"the grid {path} has a list or names within {name!r}; give values, or one list of them"
            )
        content[name] = values
    return content


def make_plan(notebook: Path, grid: Mapping[str, Given]) -> Plan:
    """Check a grid against the notebook's parameters cell and return every run of it.

    Raises SweepError on the first thing that is wrong: a notebook that cannot be read or declares no
    parameters, an unknown name, a value of the wrong type or out of range, a value given twice.
    """
    content = _read_notebook(notebook)
    declared = _declared_parameters(notebook, content)
    columns = {}
    for name, given in grid.items():
        if name not in declared:
            raise SweepError(
                f"{notebook.name} has no parameter {name!r}{nearest(name, declared)} "
                f"(with plain values it has {', '.join(declared)})"
            )
        columns[name] = _check_values(name, given, declared[name], notebook.name)
    if not columns:
        raise SweepError("the grid is empty; give at least one parameter, as in -p seed=0:20")
    defaults = {name: default for name, (_, default) in declared.items()}
    source = _canonical_source(content)
    digest, package = hashlib.sha256(source.encode()).hexdigest(), package_version()
    declarations = _parameters_cell(notebook, content).source
    checks_itself = any("check_parameters()" in cell.source for cell in content.cells)
    runs = []
    for combination in itertools.product(*columns.values()):
        parameters = defaults | dict(zip(columns, combination, strict=True))
        if checks_itself:
            # What the notebook would refuse is refused here, before the first run.
            try:
                check_parameters({"In": ["", declarations], **parameters})
            except ParameterError as problem:
                raise SweepError(str(problem)) from None
        identity = json.dumps([digest, package, parameters], sort_keys=True)
        runs.append(PlannedRun(hashlib.sha256(identity.encode()).hexdigest()[:16], parameters))
    varied = tuple(name for name, values in columns.items() if len(values) > 1)
    return Plan(notebook.stem, source, digest, package, varied, runs)


def _read_notebook(path: Path) -> nbformat.NotebookNode:
    try:
        content = nbformat.read(path, as_version=4)
        nbformat.validate(content)
    except OSError as problem:
        raise SweepError(f"cannot read the notebook {path}: {problem.strerror or problem}") from None
    except Exception as problem:  # nbformat raises whatever its parsers do
        raise SweepError(f"{path} is no notebook that can be read: {first_line(problem)}") from None
    language = content.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise SweepError(f"{path} is a notebook in {language}; only Python notebooks can be swept")
    return content


def _parameters_cell(path: Path, content: nbformat.NotebookNode) -> nbformat.NotebookNode:
    cell = next((cell for cell in content.cells if "parameters" in cell.metadata.get("tags", ())), None)
    if cell is None:
        raise SweepError(f'{path} has no cell tagged "parameters", so there is nothing to vary')
    return cell


def _declared_parameters(path: Path, content: nbformat.NotebookNode) -> dict[str, Declared]:
    """Every parameter with a plain value. One with another (a list, a sum) stays as the notebook has it."""
    try:
        statements = ast.parse(_parameters_cell(path, content).source).body
    except SyntaxError as problem:
        raise SweepError(f"the parameters cell of {path} is no Python: {problem.msg}") from None
    declared = {}
    for statement in statements:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                types = _annotated_types(annotation)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                types = ()
            case _:
                continue
        try:
            default = ast.literal_eval(value)
        except ValueError:
            continue
        if type(default) is int and float in types and int not in types:
            default = float(default)  # as a value given: the same run, however it is written
        if _is_plain(default):
            kinds = types or ((type(default),) if default is not None else ())
            if default is None and kinds:
                kinds = (*dict.fromkeys((*kinds, type(None))),)
            declared[name] = Declared(kinds, default)
    if not declared:
        raise SweepError(
            f"the parameters cell of {path} has no line like `seed: int = 0`, so nothing can vary"
        )
    if taken := sorted(declared.keys() & {"run", *FIT_COLUMNS}):
        raise SweepError(
            f"{path} has a parameter {taken[0]!r}, which is a column of the results; give it another name"
        )
    return declared


def _annotated_types(annotation: ast.expr) -> tuple[type, ...]:
    """The plain types in an annotation like `int | None`; none if it says something else."""
    known = {kind.__name__: kind for kind in (int, float, bool, str)} | {"None": type(None)}
    words = re.findall(r"\w+", ast.unparse(annotation).replace("Optional", "None"))
    return tuple(known[word] for word in words) if all(word in known for word in words) else ()


def _is_plain(value: object) -> bool:
    """Whether a value has a place in every kind of results file."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return value is None or type(value) in (bool, str) or (type(value) is float and math.isfinite(value))


def _check_values(name: str, given: Given, declared: Declared, notebook: str) -> list[Value]:
    """The values as the declared type, each once."""
    if isinstance(given, str):
        given = _split(given) if declared.types == (str,) else parse_values(name, given)
    values: list[Value] = []
    for part in given:
        if isinstance(part, str) and str not in declared.types:
            values += parse_values(name, part)
        else:
            values.append(part.strip() if isinstance(part, str) else part)
    if not values:
        raise SweepError(f"{name} has no values; give a list like 5,10,20 or a range like 0:20")
    # Undeclared, a parameter has the type of its first value.
    first = next((type(value) for value in values if value is not None), type(None))
    types = declared.types or (first, type(None))
    checked: dict[tuple[type, Value], Value] = {}
    for value in values:
        if type(value) is int and float in types and int not in types:
            value = float(value)
        if type(value) is float:
            value += 0.0  # -0.0 is 0.0
        if type(value) not in types or not _is_plain(value):
            allowed = declared.allowed() or "a plain value, all of one type"
            raise SweepError(f"{name} is {value!r}; {notebook} declares it as {allowed}")
        if (type(value), value) in checked:
            raise SweepError(f"{name} has the value {value!r} twice; each run is done once")
        checked[type(value), value] = value
    return list(checked.values())


def _canonical_source(content: nbformat.NotebookNode) -> str:
    """The notebook as text without anything that running it changes."""
    bare = nbformat.v4.new_notebook(
        cells=[
            {
                "cell_type": cell.cell_type,
                "id": f"cell-{number}",
                "metadata": {"tags": ["parameters"] if "parameters" in cell.metadata.get("tags", ()) else []},
                "source": cell.source,
                **({"outputs": [], "execution_count": None} if cell.cell_type == "code" else {}),
            }
            for number, cell in enumerate(content.cells)
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    return nbformat.writes(nbformat.from_dict(bare))


@cache
def package_version() -> str:
    """This package's version and a digest of what is in it, so that an edited helper is another version."""
    return f"{__version__}+{digest_of(PACKAGE)}"


def digest_of(package: Path) -> str:
    """Eight hexadecimal digits for the modules of a package, those of its wings too, and its data files."""
    parts = [*sorted(package.rglob("*.py")), package / SHIPPED]  # data that differ from SHIPPED are refused
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in parts)).hexdigest()[:8]
