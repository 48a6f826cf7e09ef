"""The record: what people do about images, in one SQLite file, on disk before the next image appears.

The table `event` is the record, to which rows are only ever added; what follows from it is worked out in
`answers.py`. The table `claim` says which image is before whom just now, `export` what was written to files.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator

from alhelpers.labelling.database import Database
from alhelpers.labelling.events import (
    LABEL,
    NAMED,
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
from alhelpers.labelling.trust import checked

LEASE_SECONDS = 10.0
"""How long a viewer has an image unless that is renewed."""
PAUSE = 30_000
"""Milliseconds. Whoever took longer for an image was away: it counts as this long in all times."""


class Record(Database):
    """What happened, and who has which image just now. Everything is called within a transaction."""

    # What happened

    def events(self, first: int = 1) -> list[Event]:
        """The events from this id on, oldest first; labels by the names that classes have today."""
        rows = self._db.execute("select * from event where id >= ? order by id", (first,))
        events = (checked(Event(*row), self.numbers, self.file) for row in rows)
        return [event._replace(label=self.today(event.label)) for event in events]

    def name_class(self, number: int, name: str, who: str) -> None:
        """Give a class another name; the number after the last adds one. Raises LedgerError if it cannot."""
        check_name("the class", name)
        if number not in range(len(self.classes) + 1):
            raise LedgerError(f"the class is {number!r}; give a number from 0 to {len(self.classes)}")
        name = clean(name)
        others = [other for other, k in self.numbers.items() if k != number]
        if name in others:
            raise LedgerError(f"{name!r} is or was the name of another class; give one that is new")
        check_new_classes([*others, name])
        check_classes([*self.classes[:number], name, *self.classes[number + 1 :]])
        self._db.execute("insert or replace into class (number, name) values (?, ?)", (number, name))
        self._read_classes()
        self.append(Event(0, f"class {number}", NAMED, name, who, utc_text(None), 0, None))

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
        label = self.today(label)
        if label is not None and label not in self.classes:
            raise LedgerError(f"the label is {label!r}; give one of {', '.join(map(repr, self.classes))}")
        check_name("the person", who)
        who = clean(who)
        round = whole_number("the round", round)
        milliseconds = None if milliseconds is None else whole_number("milliseconds", milliseconds)
        return Event(0, image, action, label, who, utc_text(when), round, milliseconds)

    def acts(self, who: str, among: Collection[str] = ()) -> Iterator[Event]:
        """What a person did and has not taken back, the last first: labels, "cannot tell" and skips.

        Only those about these images, if any are given.
        """
        rows = self._db.execute(
            "select * from event where who = ? and action in (?, ?, ?) and not exists "
            "(select 1 from event later where later.undoes = event.id) order by id desc",
            (who, LABEL, UNSURE, SKIP),
        )
        return (Event(*row) for row in rows if not among or row[1] in among)

    def milliseconds(self, who: str | None) -> float:
        """Time spent in all by one person, or by everybody; see PAUSE."""
        total = "select total(min(milliseconds, ?)) from event where ? is null or who = ?"
        return self._db.execute(total, (PAUSE, who, who)).fetchone()[0]

    def is_about(self, images: Iterable[str]) -> bool:
        """Whether anything was ever recorded about one of these images."""
        images = set(images)
        return any(image in images for (image,) in self._db.execute("select image from event"))

    # What was written to tables

    def note_export(self, content: bytes) -> None:
        """Remember that a file with this content is the ledger's own."""
        digest = hashlib.sha256(content).hexdigest()
        self._db.execute("insert or ignore into export values (?)", (digest,))

    def has_exported(self, content: bytes) -> bool:
        """Whether a file with this content is the ledger's own, as it was written."""
        digest = hashlib.sha256(content).hexdigest()
        return self._db.execute("select 1 from export where digest = ?", (digest,)).fetchone() is not None

    # Who has which image just now

    def held_by(self, viewer: str) -> str | None:
        """The image that was last given to a viewer."""
        row = self._db.execute("select image from claim where viewer = ?", (viewer,)).fetchone()
        return row and row[0]

    def held_by_others(self, look: Look) -> dict[str, str]:
        """Images that other viewers have just now, and who looks; for a second opinion, only the same one."""
        rows = self._db.execute(
            "select image, who, until from claim where viewer != ? and typeof(until) = 'real'", (look.viewer,)
        )
        now = time.time()  # somebody may put the clock back: no claim lasts for hours
        return {
            image: who
            for image, who, until in rows
            if (who == look.who or not look.again) and 0 < until - now <= 2 * LEASE_SECONDS
        }

    def hold(self, look: Look, image: str | None) -> None:
        """Give the viewer an image for LEASE_SECONDS in place of the one it has; None takes that away.

        Raises LedgerError if that is no digest.
        """
        now = time.time()
        # A viewer that was away may still come back to its image, but not next week.
        self._db.execute("delete from claim where viewer = ? or until < ?", (look.viewer, now - 3600))
        if image is not None:
            row = (look.viewer, check_digest(image), look.who, now + LEASE_SECONDS)
            self._db.execute("insert into claim values (?, ?, ?, ?)", row)
