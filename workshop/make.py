"""Make exercises/ from solutions/: `make exercises`. What the tags and the marker mean is in README.md."""

import copy
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from alhelpers.files import draft_of
from alhelpers.running.notebooks import find_notebooks

WORKSHOP = Path(__file__).resolve().parent
SOLUTIONS, EXERCISES = WORKSHOP / "solutions", WORKSHOP / "exercises"
MARKER = re.compile(r"( *)# exercise: (.+)")


def exercise(solution: NotebookNode) -> NotebookNode:
    """A solution notebook without its solutions, its "what this shows" and its outputs.

    Raises ValueError if a solution cell has no marker, and so nothing would be cut.
    """
    made = copy.deepcopy(solution)
    made.cells = [cell for cell in made.cells if "shows" not in tags(cell)]
    for cell in made.cells:
        if "solution" in tags(cell):
            cell.source = "\n".join(stub(cell.source))
        if "check" in tags(cell):
            # Or Run All would stop at the first exercise that is not solved.
            cell.metadata.tags.append("raises-exception")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return made


def stub(source: str) -> Iterator[str]:
    """The lines of a solution cell up to its first marker, and what the markers say instead of the rest."""
    if not any(map(MARKER.fullmatch, source.splitlines())):
        raise ValueError(f"a solution cell has no line '# exercise: …':\n{source}")
    begun = False
    for line in source.splitlines():
        if marker := MARKER.fullmatch(line):
            begun = True
            yield "".join(marker.groups())
        elif not begun:
            yield line


def cut(source: str) -> list[str]:
    """The lines of a solution cell that no exercise may show."""
    kept = set(stub(source))
    return [line for line in source.splitlines() if line not in kept and not MARKER.fullmatch(line)]


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def text(notebook: NotebookNode) -> str:
    """A notebook as the text of its file."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def read(path: Path) -> NotebookNode:
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)


if __name__ == "__main__":
    for path in find_notebooks(SOLUTIONS):
        try:
            made = text(exercise(read(path)))
        except ValueError as error:
            sys.exit(f"{path.name}: {error}")
        with draft_of(EXERCISES / path.name) as draft:
            draft.write_text(made, encoding="utf-8", newline="\n")
