"""What a sweep will do: every combination of parameters, checked with the notebook before anything runs."""

import hashlib
import itertools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import nbformat

from alhelpers.errors import UserError
from alhelpers.parameters import ParameterError, check_parameters, nearest
from alhelpers.running import software
from alhelpers.running.declared import Declared, check_values, declared_parameters, parameters_cell
from alhelpers.running.grid import MOST_RUNS, WORDS, Given, SweepError, Value
from alhelpers.running.notebooks import check_kernel, first_line

_NAMED = 5
"""How many of the reasons why combinations are impossible are named."""
_PATH_NAME = re.compile(r"(?:^|_)(?:path|file|filename|folder|dir|directory)$", re.IGNORECASE)
_PATH_VALUE = re.compile(r"\.{1,2}[/\\]|~/")


class PlannedRun(NamedTuple):
    """A run to be done: its identity and all parameters, those with default values too."""

    id: str
    parameters: dict[str, Value]


class Plan(NamedTuple):
    """What a sweep will do: the notebook, which of its parameters vary, and the runs.

    `imports` are the packages that the notebook imports and `software` the versions that are part of every
    run's identity; `notes` are sentences about what differs from what was given.
    """

    notebook: str
    source: str
    digest: str
    imports: tuple[str, ...]
    software: dict[str, str]
    varied: tuple[str, ...]
    runs: list[PlannedRun]
    notes: tuple[str, ...] = ()


def make_plan(
    notebook: Path, grid: Mapping[str, Given], *, zipped: bool = False, skip_impossible: bool = False
) -> Plan:
    """Check a grid against the notebook's parameters cell and return every run of it.

    Parameters
    ----------
    notebook : path of the notebook
    grid : values by name of parameter; relative paths among them are the caller's
    zipped : pair the values, first with first and so on, instead of combining each with each
    skip_impossible : leave out combinations that the notebook would refuse, which are an error otherwise

    Raises SweepError on the first thing that is wrong: a notebook that cannot be read or declares no
    parameters, an unknown name, a value of the wrong type or out of range, a value twice, too many runs.
    """
    content = _read_notebook(notebook)
    declared = declared_parameters(notebook, content)
    columns = {}
    for name, given in grid.items():
        if name not in declared:
            raise SweepError(
                f"{notebook.name} has no parameter {name!r}{nearest(name, declared)} "
                f"(with plain values it has {', '.join(declared)})"
            )
        columns[name] = check_values(name, given, declared[name], notebook.name, repeated=zipped)
    if not columns:
        raise SweepError("the grid is empty; give at least one parameter, as in -p seed=0:20")
    varied = tuple(name for name, values in columns.items() if len(values) > 1)
    notes = [
        f"{name} {value} is read as text, as {notebook.name} declares it"
        for name, values in columns.items()
        for value in values
        if isinstance(value, str) and value in WORDS and value not in declared[name].choices
    ]
    notes += _resolve_paths(notebook, columns, declared)
    combinations = _paired(columns, varied) if zipped else _product(columns)
    defaults = {name: each.default for name, each in declared.items()}
    possible = [defaults | dict(zip(columns, values, strict=True)) for values in combinations]
    if any("check_parameters()" in cell.source for cell in content.cells):
        declarations = parameters_cell(notebook, content).source
        possible, left_out = _sorted_out(possible, declarations, skip_impossible)
        notes += left_out
    source = _canonical_source(content)
    digest = hashlib.sha256(source.encode()).hexdigest()
    imports = software.imported(cell.source for cell in content.cells if cell.cell_type == "code")
    versions = software.software(imports)
    if missing := [name for name in imports if name != "__main__" and not find_spec(name)]:
        notes.append(
            f"{notebook.name} imports {', '.join(missing)}, not installed here; runs have folders of their "
            "own, without the modules beside the notebook"
        )
    runs = [PlannedRun(_identity([digest, versions, parameters]), parameters) for parameters in possible]
    name = os.fsencode(notebook.stem).decode(errors="replace")
    return Plan(name, source, digest, imports, versions, varied, runs, tuple(notes))


def _identity(what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _product(columns: Mapping[str, list[Value]]) -> Iterator[tuple[Value, ...]]:
    n = math.prod(map(len, columns.values()))
    if n > MOST_RUNS:
        sizes = " × ".join(f"{len(values):,}" for values in columns.values() if len(values) > 1)
        raise SweepError(f"{sizes} values make {n:,} runs; a sweep plans at most {MOST_RUNS:,}")
    return itertools.product(*columns.values())


def _paired(columns: Mapping[str, list[Value]], varied: tuple[str, ...]) -> Iterator[tuple[Value, ...]]:
    lengths = {name: len(columns[name]) for name in varied}
    n = max(lengths.values(), default=1)
    if len({*lengths.values()}) > 1:
        words = " and ".join(f"{count} of {name}" for name, count in lengths.items())
        raise SweepError(f"--zip pairs values, and there are {words}; give as many of each, or one")
    pairs = list(
        zip(*(values if len(values) > 1 else values * n for values in columns.values()), strict=True)
    )
    seen: set[tuple[str, ...]] = set()
    for pair in pairs:
        if (once := tuple(map(repr, pair))) in seen:  # 1 is not 1.0, nor True
            given = ", ".join(f"{name}={value}" for name, value in zip(columns, pair, strict=True))
            raise SweepError(f"{given} is given twice; each run is done once")
        seen.add(once)
    return iter(pairs)


def _sorted_out(
    combinations: list[dict[str, Value]], declarations: str, skip: bool
) -> tuple[list[dict[str, Value]], list[str]]:
    """The combinations that the notebook would accept, and a sentence about the others, if there are any.

    Raises SweepError for those others unless they are to be skipped, and if there are no more than those.
    """
    possible, reasons = [], Counter()
    for parameters in combinations:
        try:
            check_parameters({"In": ["", declarations], **parameters})
            possible.append(parameters)
        except ParameterError as problem:
            reasons[str(problem)] += 1
    if not reasons:
        return possible, []
    why = "; ".join([*reasons][:_NAMED])
    if len(reasons) > _NAMED:
        why += f"; and {len(reasons) - _NAMED:,} more"
    if not possible:
        raise SweepError(why)
    count = f"{reasons.total():,} of {len(combinations):,} combinations"
    if not skip:
        raise SweepError(f"{count} cannot run: {why}; --skip-impossible leaves them out")
    return possible, [f"{count} are left out: {why}"]


def _resolve_paths(
    notebook: Path, columns: dict[str, list[Value]], declared: dict[str, Declared]
) -> list[str]:
    """Make relative paths absolute, in place: runs have folders of their own. Return what was made of them.

    A path given is relative to the caller's folder. One that the notebook declares, if it is there, is
    relative to the notebook's, as when it is run by hand.
    """
    notes = []

    def absolute(name: str, value: Value, folder: Path) -> Value:
        path = str((folder / Path(value).expanduser()).resolve())
        if path != value:
            notes.append(f"{name} {value} is read as {path}")
        return path

    for name, values in columns.items():
        columns[name] = [
            absolute(name, value, Path.cwd()) if _is_path(name, value) else value for value in values
        ]
    for name, each in declared.items():
        if name not in columns and _is_path(name, each.default) and (notebook.parent / each.default).exists():
            declared[name] = each._replace(default=absolute(name, each.default, notebook.parent))
    return notes


def _is_path(name: str, value: Value) -> bool:
    """Whether the name of a parameter says so, or its value can be nothing else."""
    if not isinstance(value, str) or not value or "://" in value:
        return False
    return bool(_PATH_NAME.search(name) or _PATH_VALUE.match(value))


def _read_notebook(path: Path) -> nbformat.NotebookNode:
    try:
        content = nbformat.read(path, as_version=4)
        nbformat.validate(content)
    except OSError as problem:
        raise SweepError(f"cannot read the notebook {path}: {problem.strerror or problem}") from None
    except Exception as problem:  # nbformat raises whatever its parsers do
        raise SweepError(f"{path} is no notebook that can be read: {first_line(problem)}") from None
    try:
        check_kernel(path, content)
    except UserError as problem:
        raise SweepError(str(problem)) from None
    return content


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
