"""Labelled images as a new folder of files: a sub-folder for each class, or a table for Hugging Face."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.data import CANNOT_TELL
from alhelpers.files import replacing
from alhelpers.labelling.events import LedgerError
from alhelpers.labelling.names import fold
from alhelpers.labelling.tables import table_as_bytes, write_bytes

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images

TABLE, PLACE = "metadata.csv", "images"
"""What Hugging Face's `imagefolder` reads, and where the files are that it names."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def write_copies(
    folder: Path, images: "Images", numbers: np.ndarray, classes: Sequence[str], with_table: bool
) -> str:
    """Copy images with class numbers, (n,), to a new folder; return what was done and left out, in words.

    Raises LedgerError if there is nothing to copy, or the folder is there and not empty or cannot be written.
    """
    if not (numbers >= 0).any():
        raise LedgerError(f"none of these {len(images):,} images has a label; there is nothing to export")
    try:
        if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
            raise LedgerError(f"{folder} is there already and not empty; give a new or an empty folder")
        with replacing(folder, again=False) as fresh:  # what is in it are labels, not results
            taken: set[str] = set()
            places = [fresh / (PLACE if with_table else _safe_name(name, taken)) for name in classes]
            rows, changed = _copy(fresh, images, numbers, classes, places)
            if with_table:
                columns = ("file_name", "label", "name", "sha256")
                write_bytes(fresh / TABLE, table_as_bytes(fresh / TABLE, columns, rows))
    except OSError as problem:
        reason = problem.strerror or problem
        raise LedgerError(
            f"cannot write {folder}: {reason}; give another place, the ledger is safe"
        ) from None
    said = f"{len(rows):,} of {len(images):,} images in {folder}"
    for n, why in (
        (np.count_nonzero(numbers == CANNOT_TELL), "that nobody could tell"),
        (np.count_nonzero(numbers < CANNOT_TELL), "that have no answer"),
        (changed, "whose files have gone or changed since"),
    ):
        said += f", without {n:,} {why}" * bool(n)
    for name, place in zip(classes, places, strict=True):
        said += f"; {name!r} is in {place.name!r}" * (not with_table and place.name != name)
    return said


def _copy(
    fresh: Path, images: "Images", numbers: np.ndarray, classes: Sequence[str], places: list[Path]
) -> tuple[list[dict[str, str]], int]:
    """Copy what has a number; return a row for each file, and how many are not what was labelled."""
    rows, changed = [], 0
    taken: dict[Path, set[str]] = {}
    for i in np.flatnonzero(numbers >= 0).tolist():
        place = places[numbers[i]]
        content = images.file(i)
        if content is None:
            changed += 1
            continue
        place.mkdir(exist_ok=True)
        suffix = "" if "." in images.names[i] else ".png"
        name = _safe_name(images.names[i] + suffix, taken.setdefault(place, set()))
        (place / name).write_bytes(content)
        file_name = (place / name).relative_to(fresh).as_posix()
        row = {"file_name": file_name, "label": classes[numbers[i]], "name": images.names[i]}
        rows.append(row | {"sha256": images.digests[i]})
    return rows, changed


def _safe_name(name: str, taken: set[str]) -> str:
    """A name for a file or folder that every system takes, no program runs, and no other one has."""
    text = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", name).rstrip(". ")
    stem, dot, ending = text.rpartition(".")
    stem, ending = (stem, dot + ending) if stem and len(ending) <= 5 else (text, "")
    if not stem or stem[0] in "=+-@'.＝＋－＠ " or _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    stem = stem.encode()[:180].decode(errors="ignore")  # file systems take 255 bytes
    number, free = 1, stem + ending
    while fold(free) in taken:
        number += 1
        free = f"{stem} {number}{ending}"
    taken.add(fold(free))
    return free
