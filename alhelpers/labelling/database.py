"""The file of a ledger: opened, checked, locked, and its errors told as sentences."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from alhelpers.labelling.events import NAMED, LedgerError, check_classes, check_new_classes
from alhelpers.labelling.schema import SCHEMA, SCHEMAS, STAMP, UPGRADES, names_of, version_of
from alhelpers.labelling.trust import check_schema

BUSY_SECONDS = 5.0
"""How long a locked file is waited for."""
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


class Database:
    """The SQLite file of a ledger and the names of its classes. See `Ledger` for the parameters."""

    def __init__(self, file: str | Path, classes: Sequence[str]) -> None:
        self.file, self.classes, self.numbers = Path(file), (), {}
        check_classes(classes)
        if os.path.exists(self.file) and not os.path.isfile(self.file):
            raise LedgerError(f"{self.file} is a folder or a device; give a file, such as labels.db in it")
        if not os.path.isdir(self.file.parent):
            raise LedgerError(f"there is no folder {self.file.parent}; make it, or give a file in another")
        if not os.path.exists(self.file):
            check_new_classes(classes)
            if self.file.suffix.lower() in (".csv", ".parquet"):
                raise LedgerError(
                    f"{self.file} is what exported labels are called; give a name like labels.db"
                )
        self._lock, self._checked = threading.RLock(), -1
        with contextlib.suppress(OSError):  # what it means, SQLite finds out
            # What people say about their images is nobody else's: whoever shares a ledger opens it to others.
            # A link that leads nowhere yet is followed, as SQLite would.
            os.close(os.open(os.path.realpath(self.file), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with self._errors_as_sentences():
            path = os.path.abspath(self.file)  # SQLite would keep what is called ":memory:" nowhere
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._open(tuple(classes))
            except BaseException:
                self._db.close()
                raise

    def today(self, label: str | None) -> str | None:
        """The name that the class has now which once had this one; any other label as it is."""
        return self.classes[self.numbers[label]] if label in self.numbers else label

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
                version = self._read_classes()
                if write and version in UPGRADES:
                    self._execute_when_free(*UPGRADES[version])
                    self._read_classes()
                yield
                self._execute_when_free("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("rollback")
                raise

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
            except (sqlite3.Error, UnicodeDecodeError) as problem:
                code, reason = getattr(problem, "sqlite_errorcode", 0), str(problem)
                if "closed database" in reason:
                    reason = "it has been closed; open the ledger anew"
                # Of what is in a damaged file, or of what SQLite wanted to say about it.
                if "decode to UTF-8" in reason or isinstance(problem, UnicodeDecodeError):
                    code = sqlite3.SQLITE_CORRUPT
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
            self._check_given(classes)
            if self.classes and len(classes) <= len(self.classes):
                return  # nothing to write, perhaps where nothing can be written
        with self.transaction(write=True):  # another process may have been quicker
            self._check_given(classes)
            new = list(enumerate(classes))[len(self.classes) :]
            if new:
                check_new_classes(classes)
            if former := [name for _, name in new if name in self.numbers]:
                raise LedgerError(
                    f"{former[0]!r} is or was the name of class {self.numbers[former[0]]} in {self.file}; "
                    "give a new class another name"
                )
            self._execute_when_free(*(() if self.classes else (*SCHEMA, *STAMP)))
            self._db.executemany("insert into class (number, name) values (?, ?)", new)

    def _check_given(self, classes: tuple[str, ...]) -> None:
        """Raise LedgerError unless these are the classes, by any name, and perhaps more."""
        for k, name in enumerate(self.classes):
            if k < len(classes):
                known = self.numbers.get(classes[k]) == k
            else:  # one that people added while they labelled need not be given
                added = "select 1 from event where action = ? and image = ?"
                known = self._db.execute(added, (NAMED, f"class {k}")).fetchone()
            if not known:
                raise LedgerError(
                    f"{self.file} has {name!r} as class {k}, which differs from the classes given; "
                    f"give {', '.join(map(repr, self.classes))}, then new ones, or another ledger file"
                )

    def _read_classes(self) -> int:
        """Take in the classes, none of an empty file; return its version. LedgerError if it is no ledger."""
        version = version_of(self._db, self.file)
        if version:
            (schema,) = self._db.execute("pragma schema_version").fetchone()
            if schema != self._checked:
                check_schema(self._db, SCHEMAS[version], self.file)
                self._checked = schema
        self.classes, self.numbers = names_of(self._db) if version else ((), {})
        return version
