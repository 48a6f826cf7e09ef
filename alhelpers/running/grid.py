"""What people write into a grid: on the command line and in a file."""

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from alhelpers.errors import UserError
from alhelpers.running.notebooks import first_line

Value = int | float | bool | str | None
Given = str | Sequence[Value]
"""Values of one parameter as somebody gives them: text with commas, or one by one."""

MOST_RUNS = 100_000
"""Of one sweep: so many are planned in six seconds and 0.1 GB."""
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?\d+))?")
_FLOAT_RANGE = re.compile(r"-?[\d.e-]+(:-?[\d.e-]+){1,2}")
WORDS = {"None": None, "null": None, "True": True, "true": True, "False": False, "false": False}


class SweepError(UserError):
    """A sweep that cannot be planned or go on, in one sentence for the person who asked for it."""


def split(text: str) -> list[str]:
    """What stands between commas; a comma that belongs to a value has a backslash before it."""
    return [part.strip().replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]


def split_numbers(name: str, text: str) -> list[str]:
    """What stands between commas where values are no text. Raises SweepError if a comma may mean another."""
    if thousands := re.search(r"(?<![\d.:])\d{1,3}(,000)+(?![\d.])", text):
        whole = thousands[0].replace(",", "")
        raise SweepError(
            f"{name}={text} would be the values {thousands[0].replace(',', ' and ')}; write {whole}"
        )
    parts = split(text)
    if not any(parts):
        raise SweepError(f"{name}={text} has no values; give a list like 5,10,20 or a range like 0:20")
    if not all(parts):
        raise SweepError(f"{name}={text} has nothing before or after a comma; leave the comma out")
    return parts


def read_scalar(text: str) -> Value:
    """A number, a truth value or None if the text looks like one, or else the text."""
    if text in WORDS:
        return WORDS[text]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def read_range(name: str, text: str) -> range | None:
    """The range in "0:20" (0 to 19), "0:100:10" or "10:0:-1"; None if the text is none.

    Raises SweepError if it is empty, or too long for any plan.
    """
    match = _RANGE.fullmatch(text)
    if not match:
        if ":" in text and _FLOAT_RANGE.fullmatch(text):
            raise SweepError(f"the range {text!r} of {name} is not of whole numbers; list its values instead")
        return None
    try:
        start, stop, step = (int(bound or 1) for bound in match.groups())
        values = range(start, stop, step)
        n = len(values)
    except ValueError:
        raise SweepError(f"the range {text!r} of {name} has step 0; give another") from None
    except OverflowError:
        n = MOST_RUNS + 1
    if n > MOST_RUNS:
        raise SweepError(f"{name}={text} has too many values; a sweep plans at most {MOST_RUNS:,} runs")
    if not n:
        down = f" because it goes down; write {start}:{stop}:-1" if start > stop and not match[3] else ""
        raise SweepError(f"{name}={text} has no values{down or '; give a range like 0:20'}")
    return values


def parse_assignments(assignments: Iterable[str]) -> dict[str, Given]:
    """The grid of command line arguments like "batch_size=5,10,20". Raises SweepError."""
    grid: dict[str, Given] = {}
    for assignment in assignments:
        # Given in UTF-8 where the locale says ASCII, it is still what was typed.
        readable = os.fsencode(assignment).decode("utf-8", "surrogateescape")
        name, sign, text = readable.partition("=")
        name = name.strip()
        if not sign or not name:
            raise SweepError(f"-p {assignment} is no NAME=VALUES; give for example -p batch_size=5,10,20")
        if name in grid:
            raise SweepError(f"{name} is given twice; give all its values at once, as in -p {name}=1,2,3")
        grid[name] = text
    return grid


def read_grid(path: Path) -> dict[str, Given]:
    """The grid of a YAML file of names with a value, a list, or a range as in `read_range`.

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
        reason = getattr(problem, "strerror", None) or f"{first_line(problem)}; save it as UTF-8"
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
