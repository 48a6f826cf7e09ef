"""What a ledger's file holds: its tables, what an event can be, and the checks before one is written."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from alhelpers.errors import UserError

WAITING = -2
"""In place of a class number: nobody has answered yet."""
LABEL, UNSURE, SKIP, UNDO, IMPORT = "label", "cannot tell", "skip", "undo", "import"
GUESS = "guess shown"
"""What an event can be. An import without a label is a "cannot tell" given elsewhere."""
LEASE, BUSY_SECONDS = 10.0, 5.0
"""Seconds that a viewer has an image unless that is renewed, and to wait for a locked file."""
PAUSE = 60_000
"""Milliseconds. Whoever took longer for an image was away: it counts as this long in `Ledger.minutes`."""

APPLICATION, VERSION = int.from_bytes(b"aLbl"), 1
SCHEMA = (
    "create table class (number integer primary key, name text not null unique)",
    """create table event (
        id integer primary key, image text not null, action text not null, label text references class (name),
        who text not null, "when" text not null, round integer not null, milliseconds integer,
        undoes integer unique references event (id),
        check (action in ('label', 'cannot tell', 'skip', 'undo', 'import', 'guess shown')),
        check (action = 'import' or (action = 'label') = (label is not null)),
        check ((action = 'undo') = (undoes is not null)))""",
    "create trigger event_kept before update on event begin select raise(abort, 'events never change'); end",
    "create trigger event_stays before delete on event begin select raise(abort, 'events never go'); end",
    "create table claim (viewer text primary key, image text, who text, until real)",
    f"pragma application_id = {APPLICATION}",
    f"pragma user_version = {VERSION}",
)
SAFE = "what was recorded before is safe"
TROUBLE = {
    sqlite3.SQLITE_FULL: f"the disk is full; free some space and go on, {SAFE}",
    sqlite3.SQLITE_IOERR: f"the disk fails or is full; see to it and go on, {SAFE}",
    sqlite3.SQLITE_BUSY: f"another program keeps it locked; close that one and go on, {SAFE}",
    sqlite3.SQLITE_READONLY: f"it or its folder is read-only; make both writable and go on, {SAFE}",
    sqlite3.SQLITE_CANTOPEN: f"it or its folder cannot be opened; make both writable and go on, {SAFE}",
    sqlite3.SQLITE_READONLY_DBMOVED: f"it was moved or deleted; put it back and go on, {SAFE} there",
    sqlite3.SQLITE_NOTADB: "it is no ledger; give another file name",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a copy back, or see what `sqlite3 FILE .recover` can read",
}
"""What is wrong and what to do, by SQLite's error code."""


class LedgerError(UserError):
    """What a ledger cannot do."""


class AlreadyAnswered(LedgerError):  # noqa: N818 - nothing is wrong: somebody else was quicker
    """The image has an answer that counts; nothing was recorded."""


class Event(NamedTuple):
    """A row of the record. `label` is a class name, `when` is UTC as ISO 8601, `undoes` an event's id."""

    id: int
    image: str
    action: str
    label: str | None
    who: str
    when: str
    round: int
    milliseconds: int | None
    undoes: int | None = None


def _check_name(what: str, name: object) -> None:
    # What UTF-8 cannot write, half a surrogate pair, no file takes.
    if not isinstance(name, str) or not name.strip() or name.encode(errors="ignore").decode() != name:
        raise LedgerError(f"{what} is {name!r}; give a name")


def _check_classes(classes: Sequence[str]) -> None:
    if not len(classes):
        raise LedgerError(
            "no classes are known; name 2 to 36 of them, or sort the images into a sub-folder for each"
        )
    if isinstance(classes, str) or not 2 <= len(classes) <= 36:
        raise LedgerError(f"the classes are {classes!r}; give a list of 2 to 36 names")
    for k, name in enumerate(classes):
        _check_name(f"class {k}", name)
        if name in classes[:k]:
            raise LedgerError(f"the class {name!r} is given twice; give each name once")


def _whole(what: str, value: object) -> int:
    try:
        number = int(value)
        if number != float(value) or not 0 <= number < 2**53:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise LedgerError(f"{what} is {value!r}; give a whole number from 0 up") from None
    return number


def _utc(when: object) -> str:
    """Now, or a moment given as datetime or text, as the record has it."""
    try:
        moment = datetime.now(UTC) if when is None else when
        moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise LedgerError(f"the time is {when!r}; give it like 2026-01-31T12:00:00.000+00:00") from None
