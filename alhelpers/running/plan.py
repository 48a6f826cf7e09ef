"""What a sweep will do: every combination of parameters, checked with the notebook before anything runs."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import nbformat

from alhelpers.parameters import ParameterError, check_parameters, nearest
from alhelpers.running.declared import _check_values, _declared_parameters, _parameters_cell
from alhelpers.running.grid import Given, SweepError, Value
from alhelpers.running.notebooks import first_line
from alhelpers.running.software import package_version


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
