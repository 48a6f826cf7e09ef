"""The images in a folder, the labels that its sub-folders give, and what is left out."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from alhelpers.labelling.classes import ImagesError
from alhelpers.labelling.names import clean, matching, twins
from alhelpers.labelling.pictures import EXTENSIONS, reason


class Found(NamedTuple):
    """Image files, and entries that cannot be read, by name; and what is said about the others."""

    files: list[tuple[str, str]]
    """(name, path), by name"""
    broken: list[tuple[str, str]]
    """(name, reason), by name"""
    notes: list[str]


SPLIT = re.compile(
    r"(train(ing)?|val(id|idation)?|test(ing)?|dev|eval(uation)?|hold.?out|(fold|split).?\d+)"
    r"([ _-]?(set|data|images))?",
    re.IGNORECASE,
)
"""What people call the parts of a data set."""


def find_images(folder: Path, follow_links: bool) -> Found:
    """All image files in a folder and below. Raises ImagesError if there is none."""
    root = os.path.abspath(folder)  # pictures are wanted later, perhaps after a change of folder
    home = os.path.realpath(root)
    paths, unreadable, seen, others, out, hidden = [], [], {home}, Counter(), [], 0

    def leads_out(path: str) -> bool:
        real = os.path.realpath(path)
        is_out = not (follow_links or Path(real).is_relative_to(home)) and os.path.lexists(real)
        out.extend([_name_below(path, root)] * is_out)
        return is_out

    for here, folders, files in os.walk(root, onerror=unreadable.append, followlinks=True):
        for name in files:
            path = os.path.join(here, name)
            if name.startswith("."):
                hidden += name.lower().endswith(EXTENSIONS)
            elif not name.lower().endswith(EXTENSIONS):
                others[_as_text(os.path.splitext(name)[1].lower()) or "without an ending"] += 1
            elif not (os.path.islink(path) and leads_out(path)):
                paths.append(path)
        below = []
        for name in sorted(folders):
            path = os.path.join(here, name)
            if name.startswith(".") or (os.path.islink(path) and leads_out(path)):
                continue
            real = os.path.realpath(path)
            if name.lower().endswith(EXTENSIONS):
                paths.append(path)  # to be named as no file
            elif real not in seen:  # links can lead in a circle
                below.append(name)
                seen.add(real)
        folders[:] = below
    notes = [f"not read: {_counted(others)}"] * bool(others)
    notes += [f"not read: {hidden:,} hidden, with a dot before the name"] * bool(hidden)
    if out:
        notes.append(f"not followed: {counted(out, 'link')} out of the folder; follow_links=True does")
    named = sorted((_name_below(path, root), path) for path in paths)
    broken = sorted((_name_below(problem.filename, root), reason(problem)) for problem in unreadable)
    if not named:
        what = f"; {'; '.join(notes)}" if notes else ""
        if broken:
            what = f"; {broken[0][0]!r} cannot be read: {broken[0][1]}"
        raise ImagesError(
            f"{str(folder)!r} holds no image file ({', '.join(EXTENSIONS)}){what}; give another folder"
        )
    return Found(named, broken, notes)


def labels_of(
    names: Sequence[str], folder: Path, classes: Sequence[str] | None
) -> tuple[list[str | None], list[str]]:
    """The label of each file, its first-level sub-folder, or None; and notes on sub-folders that are none.

    Raises ImagesError if the sub-folders are parts of a data set, such as train and test, and no classes; or
    if two look alike.
    """
    given = [PurePosixPath(name).parts[0] if "/" in name else None for name in names]
    count = Counter(top for top in given if top is not None)
    if classes is None:
        if count and all(SPLIT.fullmatch(top.strip()) for top in count):
            parts, first = listed(sorted(count)), min(count)
            raise ImagesError(
                f"{str(folder)!r} is divided into {parts}, which are parts of a data set, not classes; give "
                f"one of them, such as {str(folder / first)!r}, or classes, or labels=False"
            )
        meant = {top: clean(top) for top in count}
        if alike := twins(meant.values()):
            raise ImagesError(
                f"the sub-folders {alike[0]!r} and {alike[1]!r} look alike; rename one, or give classes"
            )
    else:
        meant = {top: matching(top, classes) for top in count}
    notes = [
        f"taken as class {name!r}: sub-folder {top!r}"
        for top, name in meant.items()
        if name not in (None, top)
    ]
    none = sorted(top for top, name in meant.items() if name is None)
    if none:
        n = sum(count[top] for top in none)
        notes.append(
            f"no label from sub-folders that are none of the classes: {some(n, 'file')} in {listed(none)}"
        )
    return [None if top is None else meant[top] for top in given], notes


def some(n: int, what: str) -> str:
    """That many, such as "1 file" or "2 files"."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def listed(names: Sequence[str]) -> str:
    """The first three of names."""
    return ", ".join(f"{name!r:.80}" for name in names[:3]) + " …" * (len(names) > 3)


def counted(names: Sequence[str], what: str = "file") -> str:
    """Files in words: how many, and the first three."""
    return f"{some(len(names), what)} ({listed(names)})"


def _counted(others: Counter[str]) -> str:
    """Endings with their numbers, the most common first."""
    pairs = sorted(others.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{n:,} {ending}" for ending, n in pairs[:6]]
    rest = sum(n for _, n in pairs[6:])
    return ", ".join(shown) + f" and {rest:,} others" * bool(rest)


def _name_below(path: str, root: str) -> str:
    """The path below root, the same on every system."""
    return _as_text(Path(path).relative_to(root).as_posix())


def _as_text(name: str) -> str:
    """A file's name as text that JSON, SQLite and screens take."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
