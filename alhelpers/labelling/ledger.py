"""The ledger: every label that people give, in one SQLite file, on disk before the next image shows.

The table `event` is the record, to which rows are only ever added. Who has answered what follows from it and
is worked out in memory; each call first takes in what other processes have added. The table `claim` says
which image is before whom just now. A viewer is whatever shows images to somebody, such as a browser tab.
"""

import contextlib
import csv
import os
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from alhelpers.agreement import Agreement, agreement
from alhelpers.data import CANNOT_TELL
from alhelpers.files import draft_of
from alhelpers.labelling.exchange import _pyarrow, _read
from alhelpers.labelling.record import (
    APPLICATION,
    BUSY_SECONDS,
    GUESS,
    IMPORT,
    LABEL,
    LEASE,
    PAUSE,
    SCHEMA,
    SKIP,
    TROUBLE,
    UNDO,
    UNSURE,
    VERSION,
    WAITING,
    AlreadyAnswered,
    Event,
    LedgerError,
    _check_classes,
    _check_name,
    _utc,
    _whole,
)


class Ledger:
    """The labels that people give to images, in one file, for several threads, processes and people at once.

    An image is known by the SHA-256 digest of its file, as 64 hexadecimal digits. A person's answer to it, a
    label or "cannot tell", stands until it is undone. People share the work: an image that anybody has
    answered is not asked again. With `again=True`, for second opinions, only a person's own answers count.

    Parameters
    ----------
    file : where the ledger is, or is to be made; its folder has to exist
    classes : names of the 2 to 36 classes. An existing ledger has to have the same, in this order; new ones
        may follow at the end. The attribute `classes` has those that another process has added since, too.
    images : digests of the images at hand, if known: a ledger with answers to other images only is refused

    Every method raises LedgerError, one sentence, if the file cannot be read or written, and has then changed
    nothing. The object goes on working as soon as the cause is gone, a full disk for instance.
    """

    def __init__(self, file: str | Path, classes: Sequence[str], images: Sequence[str] = ()) -> None:
        self.file = Path(file)
        _check_classes(classes)
        if os.path.isdir(self.file):
            raise LedgerError(f"{self.file} is a folder; give a file in it, such as labels.db")
        if not os.path.isdir(self.file.parent):
            raise LedgerError(f"there is no folder {self.file.parent}; make it, or give a file in another")
        self._lock = threading.RLock()
        self._forget()
        with self._in_words():
            self._db = sqlite3.connect(self.file, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._open(tuple(classes))
                if images:
                    self._check_images(set(images))
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Asking ---

    def claim(self, viewer: str, among: Sequence[str], who: str, again: bool = False) -> str | None:
        """The next image for a viewer, who then has it for LEASE seconds; None if there is none just now.

        It is the one the viewer has already, if that is among those given, still waits, and nobody else took
        it after the lease: so `claim(viewer, [image], who)` keeps an image that is looked at for long.
        Otherwise it is the first of `waiting` that no other viewer has (with `again`, no other viewer of this
        person). A viewer has one image at most.
        """
        with self._using("begin immediate"):
            return self._claim(viewer, among, who, again)

    def record(
        self,
        image: str,
        action: str,
        label: str | None = None,
        *,
        who: str,
        viewer: str | None = None,
        among: Sequence[str] = (),
        round: int = 0,
        milliseconds: int | None = None,
        again: bool = False,
    ) -> str | None:
        """Record what somebody did about an image, and return the viewer's next one as `claim` does.

        On return both are on disk, at the price of one. If `among` is empty, the viewer's claim just ends.

        Parameters
        ----------
        image : digest
        action : LABEL with the class name as `label`, UNSURE for "cannot tell", or SKIP for "not now"
        who : the person
        viewer, among, again : as for `claim`
        round : number of the round of active learning
        milliseconds : from the image's appearance to this act, if known

        Raises AlreadyAnswered, having recorded nothing, if the image has an answer that counts. No image is
        ever answered twice; `claim` gives the next one.
        """
        if action not in (LABEL, UNSURE, SKIP) or (action == LABEL) != (label is not None):
            raise LedgerError(
                f"the action {action!r} came with the label {label!r}; "
                f"give {LABEL!r} with a class name, or {UNSURE!r} or {SKIP!r} with None"
            )
        with self._using("begin immediate"):
            event = self._event(image, action, label, who, None, round, milliseconds)
            for there in self._standing.get(image, {}).values():
                if not again or there.who == who:
                    raise AlreadyAnswered(
                        f"image {image[:12]}… was answered, {there.label or UNSURE!r} by {there.who!r}; "
                        "nothing was recorded, so claim another"
                    )
            self._add(event)
            if viewer is None:
                return None
            self._hold(viewer, None, who)
            return self._claim(viewer, among, who, again)

    def undo(
        self, who: str, viewer: str | None = None, round: int = 0, image: str | None = None
    ) -> str | None:
        """Take back a person's last label, "cannot tell" or skip that is not undone yet; return its image.

        None if there is none. With `image`, take back the person's answer to that one, which may also be an
        imported one. The viewer then has the image unless another has; somebody else may have answered it.
        """
        with self._using("begin immediate"):
            if image is None:
                undone = self._db.execute(
                    "select * from event where who = ? and action in (?, ?, ?) and not exists "
                    "(select 1 from event later where later.undoes = event.id) order by id desc limit 1",
                    (who, LABEL, UNSURE, SKIP),
                ).fetchone()
            else:
                undone = self._standing.get(image, {}).get(who)
            if undone is None:
                return None
            id, image, *_ = undone
            self._add(self._event(image, UNDO, None, who, None, round, None)._replace(undoes=id))
            if viewer is not None:
                self._hold(viewer, None if image in self._held(viewer) else image, who)
            return image

    def note_guess(self, image: str, who: str, round: int = 0) -> None:
        """Record that a person was shown the model's guess about an image: it may have swayed the answer."""
        with self._using("begin immediate"):
            self._add(self._event(image, GUESS, None, who, None, round, None))

    def waiting(self, among: Sequence[str], who: str, again: bool = False) -> list[str]:
        """Those images, in order, that have no answer that counts; last, those this person has skipped.

        What was skipped first comes back first. A skip changes nobody else's order.
        """
        with self._using():
            return list(self._waiting(among, who, again))

    # --- What has been answered ---

    def answers(self, images: Sequence[str]) -> np.ndarray:
        """The answer to each image, int64 of shape (n,): a class number, or CANNOT_TELL, or WAITING.

        It is the label recorded first among those that stand, and CANNOT_TELL if only that was said.
        """
        with self._using():
            return np.array([self._answer(image) for image in images], np.int64)

    def counts(self) -> dict[str | None, int]:
        """Number of images by answer: every class in order, then None for those nobody can tell."""
        with self._using():
            tally = Counter(self._answer(image) for image in self._standing)
            return {name: tally[k] for k, name in enumerate(self.classes)} | {None: tally[CANNOT_TELL]}

    def labellers(self) -> list[str]:
        """Everybody with an answer that stands, in alphabetical order."""
        return sorted({event.who for event in self._all_standing()})

    def who_answered(self, image: str) -> set[str]:
        """Those whose answer to an image stands, a label or "cannot tell"."""
        with self._using():
            return {event.who for event in self._standing.get(image, {}).values()}

    def labels_of(self, who: str) -> dict[str, int]:
        """A person's labels that stand, class number by image. What they cannot tell is left out."""
        labels = [event for event in self._all_standing() if event.who == who and event.label is not None]
        return {event.image: self._numbers[event.label] for event in labels}

    def agreement(self, one: str, other: str) -> Agreement:
        """How far two people agree on the images that both have labelled: see `agreement.py`."""
        return agreement(*np.array(list(self._pairs(one, other).values())).T)

    def disagreements(self, one: str, other: str) -> dict[str, tuple[int, int]]:
        """The images that two people have labelled differently, with both class numbers."""
        return {image: pair for image, pair in self._pairs(one, other).items() if pair[0] != pair[1]}

    def seconds_per_label(self, who: str | None = None) -> float:
        """Median time of the labels that stand, by one person or all; NaN if no time is known."""
        labels = [event for event in self._all_standing() if who in (None, event.who) and event.label]
        times = [event.milliseconds for event in labels if event.milliseconds is not None]
        return float(np.median(times)) / 1000 if times else np.nan

    def minutes(self, who: str | None = None) -> float:
        """Time spent in all, by one person or all, also on skips and on what was undone; see PAUSE."""
        with self._using():
            total = "select total(min(milliseconds, ?)) from event where ? is null or who = ?"
            return self._db.execute(total, (PAUSE, who, who)).fetchone()[0] / 60_000

    def events(self, after: int = 0) -> list[Event]:
        """The record, from its beginning or from after the event with this id."""
        with self._using():
            return self._events(after + 1)

    # --- Other files ---

    def export(self, path: str | Path, names: Mapping[str, str] | None = None) -> None:
        """Write the answers that stand to a .csv or .parquet file, one row each, in the order of recording.

        The columns are image (digest), name (what `names` has for the digest), label (empty, or null in
        Parquet, for "cannot tell"), labeller, when, round and milliseconds. The file appears whole or not at
        all.
        """
        columns = "image name label labeller when round milliseconds"
        self._write(Path(path), columns.split(), self._all_standing(), names or {})

    def export_history(self, path: str | Path, names: Mapping[str, str] | None = None) -> None:
        """Write the whole record: as `export`, with every event and the columns id, action and undoes."""
        columns = "id image name action label labeller when round milliseconds undoes"
        self._write(Path(path), columns.split(), self.events(), names or {})

    def import_labels(self, path: str | Path, labeller: str | None = None) -> int:
        """Add answers from a .csv or .parquet file, all or none of them; return how many were new.

        Parameters
        ----------
        path : a file as `export` writes it. It needs the columns image and label and may have labeller, when
            (UTC unless it says otherwise), round and milliseconds. An empty label is a "cannot tell".
        labeller : who gave all of them; by default the column says

        Other people's answers to the same images stay, and what was recorded first stays the answer. Raises
        LedgerError, naming the row, if the file cannot be read, or a row makes no sense, repeats another, or
        differs from what the same person has answered in the ledger.
        """
        path, added, rows_by = Path(path), 0, {}
        rows = _read(path)
        with self._using("begin immediate"):
            for number, row in enumerate(rows, 1):
                try:
                    image, label, who = row["image"], row["label"], labeller or row.get("labeller")
                    label = None if label is None else str(label)
                    rest = row.get("when"), row.get("round") or 0, row.get("milliseconds")
                    event = self._event(image, IMPORT, label, who, *rest)
                    first = rows_by.setdefault((image, who), number)
                    if first != number:
                        raise LedgerError(
                            f"data row {first} has this image and labeller too; delete one of them"
                        )
                    there = self._standing.get(image, {}).get(who)
                    if there is not None and there.label != label:
                        raise LedgerError(
                            f"{who!r} says {label or UNSURE!r} here, {there.label or UNSURE!r} in the "
                            "ledger; undo that one, or import under another labeller's name"
                        )
                except LedgerError as problem:
                    raise LedgerError(f"{path}, data row {number}: {problem}") from None
                if there is None:
                    self._add(event)
                    added += 1
        return added

    def _write(self, path: Path, columns: list[str], events: list[Event], names: Mapping[str, str]) -> None:
        pyarrow = _pyarrow(path)
        rows = [event._asdict() | {"labeller": event.who, "name": names.get(event.image)} for event in events]
        try:
            if path.exists() and path.samefile(self.file):
                raise LedgerError(f"{path} is the ledger itself; give another file name")
            with draft_of(path) as draft:
                if pyarrow:
                    types = dict.fromkeys(("id", "round", "milliseconds", "undoes"), pyarrow.int64())
                    types["when"] = pyarrow.timestamp("ms", "UTC")
                    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
                    rows = [row | {"when": datetime.fromisoformat(row["when"])} for row in rows]
                    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), draft)
                else:
                    with draft.open("w", newline="", encoding="utf-8") as file:
                        table = csv.DictWriter(file, columns, extrasaction="ignore")
                        table.writeheader()
                        table.writerows(rows)
        except OSError as problem:
            reason = problem.strerror or problem
            raise LedgerError(
                f"cannot write {path}: {reason}; give another place, the ledger is safe"
            ) from None

    # --- Within a transaction ---

    def _claim(self, viewer: str, among: Sequence[str], who: str, again: bool) -> str | None:
        _check_name("the viewer", viewer)
        _check_name("the person", who)
        held = self._held(viewer, who if again else None)
        own = self._db.execute("select image from claim where viewer = ?", (viewer,)).fetchone()
        if not (own and own[0] in among):
            own = ()
        candidates = (image for images in (own, among) for image in self._waiting(images, who, again))
        image = next((image for image in candidates if image not in held), None)
        self._hold(viewer, image, who)
        return image

    def _held(self, viewer: str, by: str | None = None) -> set[str]:
        """Images that other viewers have just now, of one person or of all."""
        rows = self._db.execute("select image, who, until from claim where viewer != ?", (viewer,))
        now = time.time()  # somebody may put the clock back: no claim lasts for hours
        return {image for image, who, until in rows if by in (None, who) and 0 < until - now <= 2 * LEASE}

    def _hold(self, viewer: str, image: str | None, who: str) -> None:
        now = time.time()
        # A viewer that was away may still come back to its image, but not next week.
        self._db.execute("delete from claim where viewer = ? or until < ?", (viewer, now - 3600))
        if image is not None:
            self._db.execute("insert into claim values (?, ?, ?, ?)", (viewer, image, who, now + LEASE))

    def _waiting(self, among: Sequence[str], who: str, again: bool) -> Iterator[str]:
        # At every click this may pass over thousands of images that are answered.
        standing, skips, later = self._standing, self._skips.get(who, {}), []
        for image in among:
            if image in standing and (not again or who in standing[image]):
                continue
            if image in skips:
                later.append(image)
            else:
                yield image
        yield from sorted(later, key=lambda image: skips[image][-1])

    def _answer(self, image: str) -> int:
        if image not in self._standing:
            return WAITING
        labels = [event for event in self._standing[image].values() if event.label is not None]
        return self._numbers[min(labels).label] if labels else CANNOT_TELL  # the smallest id

    def _all_standing(self) -> list[Event]:
        with self._using():
            return sorted(event for answers in self._standing.values() for event in answers.values())

    def _pairs(self, one: str, other: str) -> dict[str, tuple[int, int]]:
        first, second = self.labels_of(one), self.labels_of(other)
        pairs = {image: (number, second[image]) for image, number in first.items() if image in second}
        if not pairs:
            people = ", ".join(map(repr, self.labellers())) or "nobody"
            raise LedgerError(
                f"no image has labels by both {one!r} and {other!r}; the ledger has answers by {people}"
            )
        return pairs

    def _event(self, image: object, action: str, label: str | None, who: object, *rest: object) -> Event:
        """An event that can be recorded, still without an id. Raises LedgerError."""
        when, round, milliseconds = rest
        if not isinstance(image, str) or not re.fullmatch("[0-9a-f]{64}", image):
            raise LedgerError(f"the image is {image!r}; give its SHA-256 digest, 64 digits from 0-9 and a-f")
        if label is not None and label not in self._numbers:
            raise LedgerError(f"the label is {label!r}; give one of {', '.join(map(repr, self.classes))}")
        _check_name("the person", who)
        round = _whole("the round", round)
        milliseconds = None if milliseconds is None else _whole("milliseconds", milliseconds)
        return Event(0, image, action, label, who, _utc(when), round, milliseconds)

    # --- The record, and what follows from it ---

    def _forget(self) -> None:
        self._last: Event | None = None
        self._standing: dict[str, dict[str, Event]] = {}  # by image, then person; no image without an answer
        self._skips: dict[str, dict[str, list[int]]] = {}  # by person, then image; ids of those not undone

    def _sync(self) -> None:
        """Take in what any process has recorded since."""
        rows = self._events(self._last.id) if self._last else []
        if rows[:1] != [self._last]:  # at first, and when an older copy was put back
            self._forget()
            rows = [None, *self._events(0)]
        for event in rows[1:]:
            self._apply(event)

    def _events(self, least: int) -> list[Event]:
        return [
            Event(*row) for row in self._db.execute("select * from event where id >= ? order by id", (least,))
        ]

    def _add(self, event: Event) -> None:
        row = self._db.execute("insert into event values (null, ?, ?, ?, ?, ?, ?, ?, ?)", event[1:])
        self._apply(event._replace(id=row.lastrowid))

    def _apply(self, event: Event) -> None:
        image, who, answers = event.image, event.who, self._standing.get(event.image, {})
        if event.label is not None and event.label not in self._numbers:
            self._read_classes()  # another process has added one
        if event.action == SKIP:
            self._skips.setdefault(who, {}).setdefault(image, []).append(event.id)
        elif event.action == GUESS:
            pass
        elif event.action != UNDO:
            self._standing.setdefault(image, {})[who] = event
        elif who in answers and answers[who].id == event.undoes:
            del answers[who]
            if not answers:
                del self._standing[image]
        else:
            self._skips[who][image].remove(event.undoes)
            if not self._skips[who][image]:
                del self._skips[who][image]
        self._last = event

    # --- The file ---

    @contextlib.contextmanager
    def _using(self, begin: str = "begin") -> Iterator[None]:
        """A transaction that begins by taking in what other processes have recorded."""
        with self._transaction(begin):
            self._sync()
            yield

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._in_words():
            try:
                if self._db.in_transaction:  # Ctrl-C came between two lines, or twice
                    self._db.execute("rollback")
                    self._forget()
                # Only the first thing that is read and the commit can find the file locked.
                self._patiently(begin, "pragma user_version")
                yield
                self._patiently("commit")
            except BaseException:
                self._forget()  # an interrupted cell may leave an event half taken in
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("rollback")
                raise

    def _patiently(self, *statements: str) -> None:
        """Execute statements, waiting for other processes to let go of the file.

        SQLite's own wait asks ever less often: beside a process that writes without a pause it is in vain.
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
    def _in_words(self) -> Iterator[None]:
        """One thread at a time, with SQLite's errors as sentences."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as problem:
                code, reason = getattr(problem, "sqlite_errorcode", 0), str(problem)
                if "closed database" in reason:
                    reason = "it has been closed; open the ledger anew"
                reason = TROUBLE.get(code) or TROUBLE.get(code & 0xFF) or reason
                raise LedgerError(f"{self.file} cannot be used: {reason}") from None

    def _open(self, classes: tuple[str, ...]) -> None:
        """Make the file a ledger if it is empty; check that it is one, and of these classes."""
        # Without a write-ahead log there is one file at rest. "Extra" waits until the journal is gone from
        # its folder, too: a power cut that brought it back would take back the last label.
        pragmas = "journal_mode = delete", "synchronous = extra", "fullfsync = on", "cache_spill = off"
        # Nothing is written to the file before the commit, which is where a transaction waits for readers.
        self._patiently(*(f"pragma {pragma}" for pragma in pragmas))
        with self._transaction("begin"):
            self._read_classes()
        if self.classes == classes:
            return  # nothing to write, perhaps where nothing can be written
        with self._transaction("begin immediate"):
            self._read_classes()  # another process may have been quicker
            there = self.classes
            for k, name in enumerate(there):
                if [name] != list(classes[k : k + 1]):
                    raise LedgerError(
                        f"{self.file} has {name!r} as class {k}, which differs from the classes given; "
                        f"give {', '.join(map(repr, there))}, then new ones, or another ledger file"
                    )
            for statement in () if there else SCHEMA:
                self._db.execute(statement)
            self._db.executemany("insert into class values (?, ?)", list(enumerate(classes))[len(there) :])
            self._read_classes()

    def _check_images(self, images: set[str]) -> None:
        with self._transaction("begin"):
            if any(image in images for (image,) in self._db.execute("select image from event")):
                return
        n = len(self._all_standing())
        if n:
            raise LedgerError(
                f"{self.file} holds {n:,} answer{'s' * (n > 1)}, none of them about these {len(images):,} "
                "images; give another ledger file, or the folder of images that it is about"
            )

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
        rows = self._db.execute("select name from class order by number") if tables else ()
        self.classes = tuple(name for (name,) in rows)
        self._numbers = {name: number for number, name in enumerate(self.classes)}
