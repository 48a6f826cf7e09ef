"""The images in a folder, the labels that its sub-folders give, and what is left out."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from alhelpers.labelling.classes import ImagesError, check_alike
from alhelpers.labelling.names import clean, matching
from alhelpers.labelling.pictures import EXTENSIONS, reason

SPLIT = re.compile(
    r"(train(ing)?|val(id|idation)?|test(ing)?|dev|eval(uation)?|hold.?out|(fold|split).?\d+)"
    r"([ _-]?(set|data|images))?",
    re.IGNORECASE,
)
"""What people call the parts of a data set."""


class Search:
    """A walk through a folder, and what it comes across.

    Attributes
    ----------
    files : (name, path) of each image file, by name
    broken : (name, reason) of each entry that cannot be read, by name
    folders : first-level sub-folders that were searched, by name

    Raises ImagesError if there is no image file.
    """

    def __init__(self, folder: Path, follow_links: bool) -> None:
        self.root = os.path.abspath(folder)  # pictures are wanted later, perhaps after a change of folder
        self.follow_links, self.home = follow_links, os.path.realpath(self.root)
        self.entered = {self.home}
        self.images: list[str] = []
        self.unreadable: list[OSError] = []
        self.links_out: list[str] = []
        self.others: Counter[str] = Counter()  # by ending
        self.hidden: list[str] = []
        self.again: list[str] = []
        for here, folders, files in os.walk(self.root, onerror=self.unreadable.append, followlinks=True):
            for name in files:
                self._take(name, os.path.join(here, name))
            folders[:] = [name for name in sorted(folders) if self._enters(name, os.path.join(here, name))]
            if here == self.root:
                self.folders = [_as_text(name) for name in folders]
        self.files = sorted((self.name(path), path) for path in self.images)
        self.broken = sorted((self.name(problem.filename), reason(problem)) for problem in self.unreadable)
        if not self.files:
            why = [f"{name!r} cannot be read: {why}" for name, why in self.broken[:1]] or self.notes()
            raise ImagesError(
                "; ".join([f"{str(folder)!r} holds no image file ({', '.join(EXTENSIONS)})", *why])
                + "; give another folder"
            )

    def _take(self, name: str, path: str) -> None:
        """Note what a file is."""
        if name.startswith("."):
            self.hidden += [self.name(path)] * _is_image(name)
        elif not _is_image(name):
            self.others[_as_text(os.path.splitext(name)[1].lower()) or "without an ending"] += 1
        elif not self._leads_out(path):
            self.images.append(path)

    def _enters(self, name: str, path: str) -> bool:
        """Whether what is in a sub-folder counts, too."""
        if self._leads_out(path):
            return False
        if name.startswith("."):
            within = (os.path.join(here, file) for here, _, files in os.walk(path) for file in files)
            self.hidden += sorted(self.name(file) for file in within if _is_image(file))
            return False
        if _is_image(name):
            self.images.append(path)  # to be named as no file
            return False
        real = os.path.realpath(path)
        if real in self.entered:  # links can lead in a circle
            self.again.append(self.name(path))
            return False
        self.entered.add(real)
        return True

    def _leads_out(self, path: str) -> bool:
        """Whether this is a link out of the folder that is not followed."""
        if self.follow_links or not os.path.islink(path):
            return False
        real = os.path.realpath(path)
        is_out = not Path(real).is_relative_to(self.home) and os.path.lexists(real)
        self.links_out += [self.name(path)] * is_out
        return is_out

    def name(self, path: str) -> str:
        """The path below the folder, the same on every system."""
        return _as_text(Path(path).relative_to(self.root).as_posix())

    def notes(self) -> list[str]:
        """What was passed over."""
        notes = []
        if self.others:
            notes.append(f"not read: {_counted(self.others)}")
        if self.hidden:
            notes.append(f"not read: {counted(self.hidden)} hidden by a dot before the name")
        if self.again:
            notes.append(f"read once: {counted(self.again, 'folder')} that is also found by another path")
        if self.links_out:
            links = counted(self.links_out, "link")
            notes.append(f"not followed: {links} out of the folder; follow_links=True does")
        return notes


def labels_of(
    names: Sequence[str], folder: Path, classes: Sequence[str] | None
) -> tuple[list[str | None], list[str]]:
    """The label of each file, its first-level sub-folder, or None; and notes on files that have none.

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
        check_alike("sub-folders", meant.values(), "rename one, or give classes")
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
    loose = [name for name, top in zip(names, given, strict=True) if top is None]
    if loose and len(none) < len(count):
        notes.append(f"no label, as they are in no sub-folder: {counted(loose)}")
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


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _as_text(name: str) -> str:
    """A file's name as text that JSON, SQLite and screens take."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
