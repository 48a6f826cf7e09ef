"""What a ledger's file has to be before it is believed: a trigger in it, for instance, is a program."""

import re
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from alhelpers.labelling.events import NAMED, Event, LedgerError, check_digest

ALTERED = "another program has altered it; put a copy back, or give another file name"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


def check_schema(db: sqlite3.Connection, schema: Sequence[str], file: Path) -> None:
    """Raise LedgerError unless a file has these tables and triggers, no others, and every event."""
    found = {
        _plain(sql): name
        for kind, name, sql in db.execute("select type, name, sql from sqlite_master where sql is not null")
        if not (kind == "table" and name.startswith("sqlite_"))  # SQLite's own, after `analyze`
    }
    made = {_plain(sql): sql.split()[2] for sql in schema if sql.startswith("create")}
    if odd := sorted(found.get(sql) or made[sql] for sql in found.keys() ^ made.keys()):
        raise LedgerError(f"{file} has not the tables and triggers of a ledger (see {odd[0]!r}): {ALTERED}")
    n, first, last = db.execute("select count(*), min(id), max(id) from event").fetchone()
    if n and (first, last) != (1, n):
        raise LedgerError(f"{file} has {n:,} events with ids from {first:,} to {last:,}: {ALTERED}")
    rows = db.execute("select number, name from class").fetchall()
    numbers = {number for number, _ in rows}
    if numbers != set(range(len(numbers))) or not all(isinstance(name, str) for _, name in rows):
        raise LedgerError(f"{file} has a class without a number or a name: {ALTERED}")


def checked(event: Event, names: Collection[str], file: Path) -> Event:
    """An event as it was read. Raises LedgerError if it is none that a ledger could have recorded."""
    try:
        if event.action != NAMED:
            check_digest(event.image)
        sound = (
            isinstance(event.who, str) and event.who.strip() and (event.label is None or event.label in names)
        )
        sound = sound and isinstance(event.round, int) and isinstance(event.milliseconds, int | None)
        if not (sound and _MOMENT.fullmatch(event.when)):
            raise TypeError
        datetime.fromisoformat(event.when)  # there is no 99th of a month
        if event.round < 0 or (event.milliseconds or 0) < 0:
            raise ValueError
    except (LedgerError, TypeError, ValueError):
        raise LedgerError(f"event {event.id} of {file} makes no sense: {ALTERED}") from None
    return event


def _plain(sql: str) -> str:
    return re.sub(r"\s+", "", sql).lower()
