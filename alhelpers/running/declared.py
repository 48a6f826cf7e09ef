"""The parameters that a notebook declares, and what each may be given."""

import ast
import math
import re
from pathlib import Path
from typing import NamedTuple

import nbformat

from alhelpers.running.grid import Given, SweepError, Value, read_range, read_scalar, split, split_numbers
from alhelpers.running.notebooks import FIT_COLUMNS

RUN_COLUMNS = {"run_status": str, "run_seconds": float, "run_error": str}
"""What the table of runs says of each, beside its identity, its parameters and its results."""
_KNOWN = {kind.__name__: kind for kind in (int, float, bool, str)}
_PADDED = re.compile(r"-?0\d.*|.*_.*")


class Declared(NamedTuple):
    """A parameter as its notebook declares it: allowed types (none: any) or values, and its default value."""

    types: tuple[type, ...]
    choices: tuple[Value, ...]
    default: Value

    def allowed(self) -> str:
        """In words, for an error message."""
        none = type(None) in self.types or None in self.choices
        names = [kind.__name__ for kind in self.types if kind is not type(None)]
        names += [repr(choice) for choice in self.choices if choice is not None]
        words = " or ".join([*names, *(["None"] if none else [])]) or "a plain value, all of one type"
        return words + (": give True or False" if self.types == (bool,) else "")

    def allows(self, value: Value) -> bool:
        """Whether a value is of an allowed type, or one of the choices."""
        if not _is_plain(value):
            return False
        chosen = any(type(value) is type(choice) and value == choice for choice in self.choices)
        return chosen or type(value) in self.types or not (self.types or self.choices)

    @property
    def takes_text(self) -> bool:
        """Whether a value may be text, in which a comma is a comma."""
        return str in self.types or any(isinstance(choice, str) for choice in self.choices)

    def read(self, name: str, text: str) -> list[Value]:
        """What a text means here: a choice, a range, a number, a truth value or None, or else text.

        Raises SweepError for a range that is empty, or too long.
        """
        for choice in self.choices:
            if text.strip() == str(choice):
                return [choice]
        any_type = not (self.types or self.choices)
        whole = int in self.types or any(type(choice) is int for choice in self.choices)
        numbers = whole or ((any_type or float in self.types) and not self.takes_text)
        if numbers and (values := read_range(name, text.strip())):
            return list(values)
        value = read_scalar(text.strip())
        if type(value) in (int, float) and (any_type or self.takes_text) and _PADDED.fullmatch(text.strip()):
            return [text]  # where text will do, 007 and 1_000 are names
        if type(value) is int and not self.allows(value) and float in self.types:
            return [float(value)]
        if type(value) is float and not math.isfinite(value) and self.takes_text and float in self.types:
            raise SweepError(f"{name} has the value {text.strip()}; give a finite number")
        if isinstance(value, str) or (str in self.types and not self.allows(value)):
            return [text]
        return [value]


def declared_parameters(path: Path, content: nbformat.NotebookNode) -> dict[str, Declared]:
    """Every parameter with a plain value. One with another (a list, a sum) stays as the notebook has it.

    Raises SweepError if the cell cannot be read, or declares none.
    """
    source = parameters_cell(path, content).source
    try:
        statements = ast.parse(source).body
    except SyntaxError as problem:
        magic = re.search(r"^\s*[%!?].*", source, re.MULTILINE)
        raise SweepError(
            f"the parameters cell of {path} is no Python: "
            + (f"move the line `{magic[0].strip()}` to another cell" if magic else problem.msg)
        ) from None
    declared = {}
    for statement in statements:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                types, choices = _annotated(annotation) or ((), ())
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                types, choices = (), ()
            case _:
                continue
        try:
            default = ast.literal_eval(value)
        except ValueError:
            continue
        if type(default) is int and float in types and int not in types:
            default = float(default)  # as a value given: the same run, however it is written
        if not _is_plain(default):
            continue
        if not (types or choices) and default is not None:
            types = (type(default),)
        if default is None and (types or choices):
            types = (*dict.fromkeys((*types, type(None))),)
        declared[name] = Declared(types, choices, default)
    if not declared:
        raise SweepError(
            f"the parameters cell of {path} has no line like `seed: int = 0`, so nothing can vary"
        )
    if taken := sorted(declared.keys() & {"run", *RUN_COLUMNS, *FIT_COLUMNS}):
        raise SweepError(
            f"{path} has a parameter {taken[0]!r}, which is a column of the results; give it another name"
        )
    return declared


def parameters_cell(path: Path, content: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The cell tagged "parameters". Raises SweepError if there is none."""
    cell = next((cell for cell in content.cells if "parameters" in cell.metadata.get("tags", ())), None)
    if cell is None:
        raise SweepError(f'{path} has no cell tagged "parameters", so there is nothing to vary')
    return cell


def _annotated(annotation: ast.expr) -> tuple[tuple[type, ...], tuple[Value, ...]] | None:
    """The plain types and the choices of an annotation like `int | None`; None if it says something else."""
    match annotation:
        case ast.Constant(value=None):
            return (type(None),), ()
        case ast.Constant(value=str(text)):
            try:
                return _annotated(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return None
        case ast.Name(id=name) if name in _KNOWN:
            return (_KNOWN[name],), ()
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            parts = [left, right]
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name == "Literal":
                values = [part.value for part in parts if isinstance(part, ast.Constant)]
                return ((), tuple(values)) if len(values) == len(parts) else None
            if name == "Optional":
                parts = [*parts, ast.Constant(value=None)]
            elif name in ("Annotated", "Final"):
                parts = parts[:1]
            elif name != "Union":
                return None
        case _:
            return None
    found = [_annotated(part) for part in parts]
    if None in found:
        return None
    types, choices = zip(*found, strict=True)
    return tuple(dict.fromkeys(sum(types, ()))), sum(choices, ())


def _is_plain(value: object) -> bool:
    """Whether a value has a place in every kind of results file."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    if type(value) is str:
        return not any(
            "\ud800" <= letter <= "\udfff" for letter in value
        )  # half letters, of broken encodings
    return value is None or type(value) is bool or (type(value) is float and math.isfinite(value))


def check_values(
    name: str, given: Given, declared: Declared, notebook: str, repeated: bool = False
) -> list[Value]:
    """The values of a parameter as the declared type, each once unless `repeated`. Raises SweepError."""
    if isinstance(given, str):
        given = split(given) if declared.takes_text else split_numbers(name, given)
    elif not declared.takes_text:
        given = [
            part
            for each in given
            for part in (split_numbers(name, each) if isinstance(each, str) else [each])
        ]
    values: list[Value] = []
    for part in given:
        values += declared.read(name, part) if isinstance(part, str) else [part]
    if not values:
        raise SweepError(f"{name} has no values; give a list like 5,10,20 or a range like 0:20")
    judge = declared
    if not (declared.types or declared.choices):
        # Undeclared, a parameter has the type of its first value; whole and other numbers are floats.
        kinds = list(dict.fromkeys(type(value) for value in values if value is not None))
        kind = float if {*kinds} == {int, float} else next(iter(kinds), type(None))
        judge = Declared((kind, type(None)), (), None)
    checked: list[Value] = []
    seen: set[tuple[type, Value]] = set()
    for value in values:
        if type(value) is int and not judge.allows(value) and float in judge.types:
            value = float(value)
        if type(value) is float:
            value += 0.0  # -0.0 is 0.0
        if not judge.allows(value):
            shown = repr(value) if len(repr(value)) < 60 else f"{repr(value)[:60]}…"
            raise SweepError(f"{name} is {shown}; {notebook} declares it as {declared.allowed()}")
        if (type(value), value) in seen and not repeated:
            raise SweepError(f"{name} has the value {value!r} twice; each run is done once")
        seen.add((type(value), value))
        checked.append(value)
    return checked
