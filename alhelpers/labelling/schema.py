"""The tables of a ledger's file, the names of its classes, and what turns an earlier version into today's."""

import sqlite3
from pathlib import Path

from alhelpers.labelling.events import LedgerError

APPLICATION, VERSION = int.from_bytes(b"aLbl"), 3
EVENT = """create table event (
        id integer primary key, image text not null, action text not null, label text references class (name),
        who text not null, "when" text not null, round integer not null, milliseconds integer,
        undoes integer unique references event (id),
        check (action in ('label', 'cannot tell', 'skip', 'undo', 'import', 'guess shown',
            'correction', 'class named')),
        check (action in ('import', 'correction')
            or (action in ('label', 'class named')) = (label is not null)),
        check ((action = 'undo') = (undoes is not null)))"""
EVENT_1 = """create table event (
        id integer primary key, image text not null, action text not null, label text references class (name),
        who text not null, "when" text not null, round integer not null, milliseconds integer,
        undoes integer unique references event (id),
        check (action in ('label', 'cannot tell', 'skip', 'undo', 'import', 'guess shown')),
        check (action = 'import' or (action = 'label') = (label is not null)),
        check ((action = 'undo') = (undoes is not null)))"""
# Every name that a class has had; the last one counts. An event keeps the name of its day.
CLASS = "create table class (id integer primary key, number integer not null, name text not null unique)"
CLASS_1 = "create table class (number integer primary key, name text not null unique)"
OTHERS = (
    "create trigger event_kept before update on event begin select raise(abort, 'events never change'); end",
    "create trigger event_stays before delete on event begin select raise(abort, 'events never go'); end",
    "create table claim (viewer text primary key, image text, who text, until real)",
)
# The SHA-256 of every table that was written: one that is not among them, somebody may have worked on.
EXPORT = "create table export (digest text primary key)"
SCHEMA = CLASS, EVENT, *OTHERS, EXPORT
SCHEMAS = {1: (CLASS_1, EVENT_1, *OTHERS), 2: (CLASS, EVENT, *OTHERS), VERSION: SCHEMA}
STAMP = f"pragma application_id = {APPLICATION}", f"pragma user_version = {VERSION}"
FROM_1 = (
    "drop trigger event_kept",
    "drop trigger event_stays",
    "drop table claim",
    "alter table event rename to event_1",
    "alter table class rename to class_1",
    *SCHEMA,
    "insert into class select number + 1, number, name from class_1",
    "insert into event select * from event_1",
    "drop table event_1",
    "drop table class_1",
    *STAMP,
)
UPGRADES = {1: FROM_1, 2: (EXPORT, *STAMP)}
"""For an earlier version's file, before anything is written to it."""


def version_of(db: sqlite3.Connection, file: Path) -> int:
    """The version of a ledger, 0 for an empty file. Raises LedgerError if it is no ledger of these."""
    queries = "pragma application_id", "pragma user_version", "select count(*) from sqlite_master"
    application, version, tables = (db.execute(query).fetchone()[0] for query in queries)
    if tables and application != APPLICATION:
        raise LedgerError(f"{file} is another program's SQLite file; give another file name")
    if tables and version not in SCHEMAS:
        raise LedgerError(
            f"{file} is a ledger of version {version} and this alhelpers writes {VERSION}; "
            "use the alhelpers that made it"
        )
    return version if tables else 0


def names_of(db: sqlite3.Connection) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes by their names of today, and the number of a class by every name it has had."""
    rows = db.execute("select name, number from class order by rowid").fetchall()
    today = {number: name for name, number in rows}
    return tuple(today[number] for number in sorted(today)), dict(rows)
