"""The record: what people do about images, in one SQLite file, on disk before the next image shows.

The table `event` is the record, to which rows are only ever added; what follows from it is worked out in
`answers.py`. The table `claim` says which image is before whom just now.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from alhelpers.labelling.events import (
    LABEL,
    SKIP,
    UNSURE,
    Event,
    LedgerError,
    Look,
    check_classes,
    check_digest,
    check_name,
    check_new_classes,
    utc_text,
    whole_number,
)
from alhelpers.labelling.names import clean
from alhelpers.labelling.trust import check_schema, checked

LEASE_SECONDS, BUSY_SECONDS = 10.0, 5.0
"""How long a viewer has an image unless that is renewed, and how long a locked file is waited for."""
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
ADVICE = {
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


class Record:
    """The file of a ledger: what happened, the names of the classes, and who has which image just now.

    Everything but `transaction` and `close` is called within a transaction. See `Ledger` for the parameters.
    """

    def __init__(self, file: str | Path, classes: Sequence[str]) -> None:
        self.file, self.classes = Path(file), ()
        check_classes(classes)
        if os.path.isdir(self.file):
            raise LedgerError(f"{self.file} is a folder; give a file in it, such as labels.db")
        if not os.path.isdir(self.file.parent):
            raise LedgerError(f"there is no folder {self.file.parent}; make it, or give a file in another")
        if not os.path.exists(self.file):
            check_new_classes(classes)
        self._lock, self._checked = threading.RLock(), -1
        with contextlib.suppress(OSError):  # what it means, SQLite finds out
            # What people say about their images is nobody else's: whoever shares a ledger opens it to others.
            os.close(os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with self._errors_as_sentences():
            self._db = sqlite3.connect(self.file, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._open(tuple(classes))
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def transaction(self, write: bool = False) -> Iterator[None]:
        """All that happens within is on disk afterwards, or nothing of it if anything goes wrong.

        One thread at a time. `classes` has those that other processes have added, too. Raises LedgerError in
        place of SQLite's errors.
        """
        with self._errors_as_sentences():
            try:
                if self._db.in_transaction:  # Ctrl-C came between two lines, or twice
                    self._db.execute("rollback")
                # Only the first thing that is read and the commit can find the file locked.
                self._execute_when_free("begin immediate" if write else "begin", "pragma user_version")
                self._read_classes()
                yield
                self._execute_when_free("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("rollback")
                raise

    # What happened

    def events(self, first: int = 1) -> list[Event]:
        """The events from this id on, oldest first."""
        rows = self._db.execute("select * from event where id >= ? order by id", (first,))
        return [checked(Event(*row), self.classes, self.file) for row in rows]

    def append(self, event: Event) -> Event:
        """Add an event as it is, and return it with its id."""
        row = self._db.execute("insert into event values (null, ?, ?, ?, ?, ?, ?, ?, ?)", event[1:])
        return event._replace(id=row.lastrowid)

    def event(
        self,
        image: object,
        action: str,
        label: str | None,
        who: object,
        round: object = 0,
        milliseconds: object = None,
        when: object = None,
    ) -> Event:
        """An event that can be appended, still without an id. Raises LedgerError if it makes no sense."""
        image = check_digest(image)
        if label is not None and label not in self.classes:
            raise LedgerError(f"the label is {label!r}; give one of {', '.join(map(repr, self.classes))}")
        check_name("the person", who)
        who = clean(who)
        round = whole_number("the round", round)
        milliseconds = None if milliseconds is None else whole_number("milliseconds", milliseconds)
        return Event(0, image, action, label, who, utc_text(when), round, milliseconds)

    def last_act(self, who: str) -> Event | None:
        """What a person did last and has not taken back: a label, a "cannot tell" or a skip."""
        row = self._db.execute(
            "select * from event where who = ? and action in (?, ?, ?) and not exists "
            "(select 1 from event later where later.undoes = event.id) order by id desc limit 1",
            (who, LABEL, UNSURE, SKIP),
        ).fetchone()
        return row and Event(*row)

    def milliseconds(self, who: str | None) -> float:
        """Time spent in all by one person, or by everybody; see PAUSE."""
        total = "select total(min(milliseconds, ?)) from event where ? is null or who = ?"
        return self._db.execute(total, (PAUSE, who, who)).fetchone()[0]

    def is_about(self, images: Iterable[str]) -> bool:
        """Whether anything was ever recorded about one of these images."""
        images = set(images)
        return any(image in images for (image,) in self._db.execute("select image from event"))

    # Who has which image just now

    def held_by(self, viewer: str) -> str | None:
        """The image that was last given to a viewer."""
        row = self._db.execute("select image from claim where viewer = ?", (viewer,)).fetchone()
        return row and row[0]

    def held_by_others(self, look: Look) -> set[str]:
        """Images that other viewers have just now; for a second opinion, those of the same person only."""
        rows = self._db.execute(
            "select image, who, until from claim where viewer != ? and typeof(until) = 'real'", (look.viewer,)
        )
        now = time.time()  # somebody may put the clock back: no claim lasts for hours
        return {
            image
            for image, who, until in rows
            if (who == look.who or not look.again) and 0 < until - now <= 2 * LEASE_SECONDS
        }

    def hold(self, look: Look, image: str | None) -> None:
        """Give the viewer an image for LEASE_SECONDS in place of the one it has; None takes that away."""
        now = time.time()
        # A viewer that was away may still come back to its image, but not next week.
        self._db.execute("delete from claim where viewer = ? or until < ?", (look.viewer, now - 3600))
        if image is not None:
            row = (look.viewer, image, look.who, now + LEASE_SECONDS)
            self._db.execute("insert into claim values (?, ?, ?, ?)", row)

    # The file

    def _execute_when_free(self, *statements: str) -> None:
        """Execute statements, waiting for other processes to let go of the file.

        SQLite's own wait asks ever less often: against a process that writes without a pause it never wins.
        """
        deadline = time.monotonic() + BUSY_SECONDS
        for statement in statements:
            while True:
                try:
                    self._db.execute(statement).fetchall()
                    break
                except sqlite3.OperationalError as problem:
                    if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                time.sleep(0.001)

    @contextlib.contextmanager
    def _errors_as_sentences(self) -> Iterator[None]:
        """One thread at a time, with SQLite's errors as LedgerErrors that say what to do."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as problem:
                code, reason = getattr(problem, "sqlite_errorcode", 0), str(problem)
                if "closed database" in reason:
                    reason = "it has been closed; open the ledger anew"
                reason = ADVICE.get(code) or ADVICE.get(code & 0xFF) or reason
                raise LedgerError(f"{self.file} cannot be used: {reason}") from None

    def _open(self, classes: tuple[str, ...]) -> None:
        """Make the file a ledger if it is empty; check that it is one, and of these classes."""
        # Without a write-ahead log there is one file at rest. "Extra" waits until the journal is gone from
        # its folder, too: a power cut that brought it back would take back the last label.
        pragmas = "journal_mode = delete", "synchronous = extra", "fullfsync = on", "cache_spill = off"
        # Nothing is written to the file before the commit, which is where a transaction waits for readers.
        self._execute_when_free(*(f"pragma {pragma}" for pragma in pragmas))
        with self.transaction():
            if self.classes == classes:
                return  # nothing to write, perhaps where nothing can be written
        with self.transaction(write=True):  # another process may have been quicker
            known = self.classes
            for k, name in enumerate(known):
                if [name] != list(classes[k : k + 1]):
                    raise LedgerError(
                        f"{self.file} has {name!r} as class {k}, which differs from the classes given; "
                        f"give {', '.join(map(repr, known))}, then new ones, or another ledger file"
                    )
            if len(known) < len(classes):
                check_new_classes(classes)
            for statement in () if known else SCHEMA:
                self._db.execute(statement)
            self._db.executemany("insert into class values (?, ?)", list(enumerate(classes))[len(known) :])

    def _read_classes(self) -> None:
        """Take in the classes; an empty file has none. Raises LedgerError if the file is no ledger."""
        queries = "pragma application_id", "pragma user_version", "select count(*) from sqlite_master"
        application, version, tables = (self._db.execute(query).fetchone()[0] for query in queries)
        if tables and application != APPLICATION:
            raise LedgerError(f"{self.file} is another program's SQLite file; give another file name")
        if tables and version != VERSION:
            raise LedgerError(
                f"{self.file} is a ledger of version {version} and this alhelpers writes {VERSION}; "
                "use the alhelpers that made it"
            )
        if tables:
            (schema,) = self._db.execute("pragma schema_version").fetchone()
            if schema != self._checked:
                check_schema(self._db, SCHEMA, self.file)
                self._checked = schema
        rows = self._db.execute("select name from class order by number") if tables else ()
        self.classes = tuple(name for (name,) in rows)
