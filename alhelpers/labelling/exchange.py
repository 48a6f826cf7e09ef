"""Labels from and for other programs: what a row says, which image it means, and which file is one's own."""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.labelling.answers import Answers
from alhelpers.labelling.events import IMPORT, UNSURE, Event, LedgerError, check_digest
from alhelpers.labelling.names import clean, matching
from alhelpers.labelling.record import Record
from alhelpers.labelling.tables import is_unicode, read_table, table_as_bytes, write_bytes

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images

ANSWER = ("image", "name", "label", "labeller", "when", "round", "milliseconds")
EVENT = ("id", "image", "name", "action", "label", "labeller", "when", "round", "milliseconds", "undoes")
"""The columns of a file with answers, and of one with every event."""
IMAGE_COLUMNS = ("image", "sha256", "digest", "file_name", "filename", "file", "path", "name")
"""What other programs call the column that says which image; the first that there is counts."""


class TakenError(LedgerError):
    """A file is there that an export would not replace."""


def export_events(
    path: Path,
    columns: tuple[str, ...],
    events: Iterable[Event],
    names: "Images | Mapping[str, str] | None",
    record: Record,
) -> None:
    """Write events to a file, a row for each and for each name of its image.

    Raises LedgerError if the file cannot be written; TakenError if it is there and is not, byte for byte, an
    earlier export: somebody may have worked on it.
    """
    called = _names(names)
    rows = [
        event._asdict() | {"labeller": event.who, "name": name}
        for event in events
        for name in called.get(event.image, [None])
    ]
    content = table_as_bytes(path, columns, rows)
    there = os.path.lexists(path)
    if there and path.exists() and path.samefile(record.file):
        raise LedgerError(f"{path} is the ledger itself; give another file name")
    try:
        with record.transaction(write=True):
            if there and not record.has_exported(_content(path)):
                raise TakenError(
                    f"{path} is there already and is no earlier export of {record.file.name} as it was "
                    "written; give another file name, or move it away"
                )
            record.note_export(content)  # before it is there: another tab may export at the same moment
    except LedgerError:
        if there:
            raise  # who may only read the ledger still gets a new file
    write_bytes(path, content)


def import_rows(
    path: Path, labeller: str | None, images: "Images | None", record: Record, answers: Answers
) -> int:
    """Append the rows of a file that say something new to a record, in a transaction; return how many did.

    Raises LedgerError, naming the row, if one makes no sense, contradicts another, or differs from what the
    same person has answered.
    """
    which, rows = _rows_with_labels(path)
    if labeller is None and not is_unicode(path):
        _say_who_is_guessed(path, rows)
    files = Files(images)
    added, first_row, elsewhere = 0, {}, set()
    for place, row in rows:
        try:
            who = labeller or row.get("labeller")
            event = record.event(
                files.digest(row[which]),
                IMPORT,
                _label(row["label"], record.classes),
                who if who is None else str(who),
                row.get("round") or 0,
                row.get("milliseconds"),
                row.get("when"),
            )
            answers.check_person(event.who)
            # Files with the same bytes are one image, and have a row each.
            first, label = first_row.setdefault((event.image, event.who), (place, event.label))
            if label != event.label:
                raise LedgerError(
                    f"{first} has this image and labeller too, and says {label or UNSURE!r}, not "
                    f"{event.label or UNSURE!r}; delete one of them"
                )
            known = answers.of_image(event.image).get(event.who)
            if known is not None and known.label != event.label:
                raise LedgerError(
                    f"{event.who!r} says {event.label or UNSURE!r} here, {known.label or UNSURE!r} in the "
                    "ledger; undo that one, or import under another labeller's name"
                )
        except LedgerError as problem:
            raise LedgerError(f"{path}, {place}: {problem}") from None
        if known is None:
            answers.add(record.append(event))
            added += 1
            elsewhere |= {event.image} - files.digests
    if images is not None and elsewhere:
        print(
            f"{path}: {len(elsewhere):,} new labels are about images that are not among these {len(images):,}"
        )
    return added


def _rows_with_labels(path: Path) -> tuple[str, list[tuple[str, dict]]]:
    """The name of the column that tells images apart, and the rows of a file with that and labels."""
    header, rows = read_table(path)
    which = next((name for name in IMAGE_COLUMNS if name in header), "image")
    for column in (which, "label"):
        if column not in header:
            raise LedgerError(
                f"{path} has no column {column!r} among {header}; rename the right one to {column!r}"
            )
    if {"action", "undoes"} <= set(header):
        raise LedgerError(
            f"{path} is a whole history, with what was skipped or taken back; give a file that `export` wrote"
        )
    return which, rows


def _say_who_is_guessed(path: Path, rows: list[tuple[str, dict]]) -> None:
    """Print how labellers' names were understood in a file that does not say how it is encoded."""
    odd = sorted({str(row.get("labeller")) for _, row in rows if not str(row.get("labeller")).isascii()})
    if odd:
        print(
            f"{path} is not UTF-8; as Windows' Western text it names the labellers {', '.join(odd)}. If "
            "that is not right, give labeller=…, or save the table as UTF-8, before you go on"
        )


class Files:
    """Which digest a table means by a name: a path below the folder, from it on, whole, or the last part."""

    def __init__(self, images: "Images | None") -> None:
        self._digests: dict[str, set[str]] = {}
        self._exact: dict[str, str] = {}
        self.digests = set() if images is None else set(images.digests)
        if images is None:
            return
        twice = Counter(images.names)  # as text; as bytes they may differ
        for name, digest, original in zip(images.names, images.digests, images.originals, strict=True):
            if twice[name] == 1:
                self._exact[name] = digest
            for called in {name, name.rpartition("/")[2]}:
                self._add(called, digest)
            if isinstance(original, str):
                path = clean(original.replace(os.sep, "/"))
                self._add(path, digest)
                if path.endswith(f"/{name}"):
                    self._add(f"{path.removesuffix(f'/{name}').rpartition('/')[2]}/{name}", digest)

    def digest(self, image: object) -> str:
        """The digest of the image that a table calls so. Raises LedgerError unless that is clear."""
        text = clean(str(image).replace("\\", "/")).removeprefix("./")
        if text in self._exact:
            return self._exact[text]
        found = self._digests.get(text, set())
        if len(found) == 1:
            return next(iter(found))
        if found:
            raise LedgerError(f"{len(found)} images are called {image!r}; give their paths below the folder")
        try:
            return check_digest(text)
        except LedgerError:
            example = "`images=` to look names up"
            if self._exact:
                example = (
                    f"the name of one of {len(self._exact):,} files, such as {next(iter(self._exact))!r}"
                )
            raise LedgerError(f"the image is {image!r:.200}; give its SHA-256 digest, or {example}") from None

    def _add(self, name: str, digest: str) -> None:
        self._digests.setdefault(name, set()).add(digest)


def _label(label: object, classes: tuple[str, ...]) -> str | None:
    """The class that a table means by a label, or the label as it is; None for none."""
    text = "" if label is None else str(label)
    if not text.strip():
        return None
    if text in classes:
        return text
    number = _number(text)  # pandas makes 1.0 of "1", and Excel 7 of "007"
    alike = [name for name in classes if number is not None and _number(name) == number]
    return matching(text, classes) or (alike[0] if len(alike) == 1 else text)


def _number(text: str) -> int | None:
    whole = re.fullmatch(r"\s*(\d+)(\.0+)?\s*", text)
    return int(whole[1]) if whole else None


def _names(names: "Images | Mapping[str, str] | None") -> dict[str, list[str]]:
    """Every name of each digest. Files with the same bytes share one."""
    pairs = (
        zip(names.digests, names.names, strict=True) if hasattr(names, "digests") else (names or {}).items()
    )
    called: dict[str, list[str]] = {}
    for digest, name in pairs:
        called.setdefault(digest, []).append(name)
    return called


def _content(path: Path) -> bytes:
    """What is in a file; nothing if it cannot be read, or is none: a pipe would be waited for."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def export_predictions(path: Path, images: "Images", classes: Sequence[str], proba: np.ndarray) -> None:
    """Write what a model says of images to a new .csv or .parquet file, a row each.

    The columns are image (digest), name, label and confidence. `proba` are class probabilities, (n, classes).

    Raises LedgerError if the file cannot be written, or is there and says anything else: people mend such
    files by hand.
    """
    columns = ("image", "name", "label", "confidence")
    rows = [
        dict(zip(columns, (digest, name, classes[p.argmax()], round(float(p.max()), 4)), strict=True))
        for digest, name, p in zip(images.digests, images.names, proba, strict=True)
    ]
    if not os.path.lexists(path):
        return write_bytes(path, table_as_bytes(path, columns, rows))
    with contextlib.suppress(LedgerError):
        header, there = read_table(path)
        as_text = [{name: str(value) for name, value in row.items()} for row in rows]
        if tuple(header) == columns and [{k: str(v) for k, v in row.items()} for _, row in there] == as_text:
            return None
    raise LedgerError(f"{path} is there already and says something else; give another name, or move it away")
