"""The parameters that a notebook declares, and what each may be given."""

import ast
import math
import re
from pathlib import Path
from typing import NamedTuple

import nbformat

from alhelpers.running.grid import Given, SweepError, Value, _split, parse_values
from alhelpers.running.notebooks import FIT_COLUMNS


class Declared(NamedTuple):
    """A parameter as its notebook declares it: allowed types (none: any), and its default value."""

    types: tuple[type, ...]
    default: Value

    def allowed(self) -> str:
        """In words, for an error message."""
        names = [kind.__name__ for kind in self.types if kind is not type(None)]
        return " or ".join([*names, *(["None"] if type(None) in self.types else [])])


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
