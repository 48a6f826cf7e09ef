"""What people write into a grid: on the command line and in a file."""

import contextlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from alhelpers.errors import UserError
from alhelpers.running.notebooks import first_line

Value = int | float | bool | str | None
Given = str | Sequence[Value]
"""Values of one parameter as somebody gives them: text as in `parse_values`, or one by one."""


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
