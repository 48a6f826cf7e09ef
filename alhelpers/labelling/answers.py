"""What follows from the record: whose answers stand, what is still to be asked, and who has skipped what."""

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np

from alhelpers.data import CANNOT_TELL
from alhelpers.labelling.events import CORRECT, GUESS, NAMED, SKIP, UNDO, WAITING, Event, LedgerError, Look
from alhelpers.labelling.names import fold
from alhelpers.labelling.record import Record
from alhelpers.labelling.trust import ALTERED


class Answers:
    """The state that a record leads to, event by event. A person's answer stands until it is undone.

    In memory only: `updated_from` brings it up to what the file holds, within a transaction of the record.
    What is told at every click is kept up to date, so that it takes no longer in a large ledger.
    """

    def __init__(self) -> None:
        self._last: Event | None = None
        self._standing: dict[str, dict[str, Event]] = {}  # by image, then person; no image without an answer
        self._corrections: dict[str, list[Event]] = {}  # by image; the last one counts, whatever people said
        self._skips: dict[str, dict[str, list[int]]] = {}  # by person, then image; ids of those not undone
        self._tally: Counter[str | int | None] = Counter()  # of images, by the label that counts
        self._times: dict[str, list[int]] = {}  # of the labels that stand, by person; in ascending order
        self._people: dict[str, set[str]] = {}  # every spelling of a name
        # What the last look at a tuple of images asks about, and the person if only their answers count.
        self._asked: tuple[Sequence[str], str | None, OrderedDict[str, None]] | None = None

    def updated_from(self, record: Record) -> "Answers":
        """This state with all that any process has recorded since."""
        if self._last is None:
            events = record.events()
        else:
            last, *events = record.events(self._last.id) or [None]
            if last != self._last:  # an older copy of the file was put back, or the last commit failed
                return Answers().updated_from(record)
            if any(event.action == NAMED for event in events):  # then labels before it have other names
                return Answers().updated_from(record)
        for event in events:
            self.add(event)
        return self

    def add(self, event: Event) -> None:
        """Take in one event. Raises LedgerError if it takes back what does not stand."""
        image, who, answers = event.image, event.who, self._standing.get(event.image, {})
        before, corrections = self._answer(image), self._corrections.get(image, [])
        if who not in self._times:
            self._times[who] = []
            self._people.setdefault(fold(who), set()).add(who)
        if event.action == SKIP:
            self._skips.setdefault(who, {}).setdefault(image, []).append(event.id)
        elif event.action in (GUESS, NAMED):
            pass
        elif event.action == CORRECT:
            self._corrections.setdefault(image, []).append(event)
        elif event.action != UNDO:
            self._replace(image, who, event)
        elif corrections and corrections[-1].id == event.undoes:
            corrections.pop()
            if not corrections:
                del self._corrections[image]
        elif who in answers and answers[who].id == event.undoes:
            self._replace(image, who, None)
        else:
            if event.undoes not in self._skips.get(who, {}).get(image, ()):
                raise LedgerError(
                    f"event {event.id} takes back {event.undoes}, which does not stand: {ALTERED}"
                )
            self._skips[who][image].remove(event.undoes)
            if not self._skips[who][image]:
                del self._skips[who][image]
        if event.action in (UNDO, CORRECT):
            self._asked = None  # there may be one more to ask about, which has its place in the order
        elif self._asked and self._asked[1] in (None, who) and event.action not in (SKIP, GUESS, NAMED):
            self._asked[2].pop(image, None)
        if (after := self._answer(image)) != before:
            self._tally[before] -= 1
            self._tally[after] += 1
        self._last = event

    def of_image(self, image: str) -> dict[str, Event]:
        """The answers to an image that stand, by person; a correction is its author's answer."""
        answers = self._standing.get(image, {})
        return answers | {last.who: last} if (last := self.correction(image)) else answers

    def correction(self, image: str) -> Event | None:
        """The correction that counts in place of what people said, if there is one."""
        return self._corrections.get(image, [None])[-1]

    def standing(self, who: str | None = None) -> list[Event]:
        """All answers that stand, or one person's, in the order of recording."""
        found = [event for answers in self._standing.values() for event in answers.values()]
        found = [event for event in found if event.image not in self._corrections]
        found += [corrections[-1] for corrections in self._corrections.values()]
        return sorted(event for event in found if who in (None, event.who))

    def labels_of(self, who: str) -> dict[str, str]:
        """A person's labels by image, also where somebody else has corrected them."""
        images = dict.fromkeys([*self._standing, *self._corrections])
        answers = {image: self.of_image(image).get(who) for image in images}
        return {image: event.label for image, event in answers.items() if event and event.label is not None}

    def waiting(self, look: Look) -> Iterator[str]:
        """The images that this look still asks about; those the person has skipped come last."""
        asked, skips = self.asked_by(look), self._skips.get(look.who, {})
        yield from (image for image in asked if image not in skips)
        later = [image for image in skips if image in asked]
        yield from sorted(later, key=lambda image: skips[image][-1])

    def asked_by(self, look: Look) -> OrderedDict[str, None]:
        """The images of a look that have no answer that counts. At every click: so they are remembered."""
        person = look.who if look.again else None
        if self._asked and self._asked[0] is look.among and self._asked[1] == person:
            return self._asked[2]
        standing, asked = self._standing, OrderedDict[str, None]()
        for image in look.among:
            answered = image in standing or image in self._corrections
            if not answered or (look.again and look.who not in self.of_image(image)):
                asked[image] = None
        if isinstance(look.among, tuple):  # anything else may change
            self._asked = look.among, person, asked
        return asked

    def numbers(self, images: list[str], classes: tuple[str, ...]) -> np.ndarray:
        """The answer to each image, int64 of shape (n,): a class number, CANNOT_TELL or WAITING."""
        number = {name: k for k, name in enumerate(classes)} | {None: CANNOT_TELL}
        found = np.full(len(images), WAITING, np.int64)
        for i, image in enumerate(images):
            if (label := self._answer(image)) != WAITING:
                found[i] = number[label]
        return found

    def counts(self, classes: tuple[str, ...]) -> dict[str | None, int]:
        """Number of images by answer: every class in order, then None for those nobody can tell."""
        return {name: self._tally[name] for name in (*classes, None)}

    def times(self, who: str) -> list[int]:
        """Milliseconds that somebody's labels that stand took, as far as known, in ascending order."""
        return self._times.get(who, [])

    def check_person(self, who: str) -> None:
        """Raise LedgerError if somebody is in the record whose name looks like this one, but differs."""
        known = self._people.get(fold(who), {who})
        if who not in known:
            raise LedgerError(
                f"the person is {who!r}, and the ledger has answers by {min(known)!r}; give that spelling, "
                "or another name for another person"
            )

    def _answer(self, image: str) -> str | int | None:
        """What counts: a label, None for "cannot tell", or WAITING."""
        if correction := self.correction(image):
            return correction.label
        answers = self._standing.get(image, {}).values()
        if labels := [event for event in answers if event.label is not None]:
            return min(labels).label  # what was recorded first
        return None if answers else WAITING

    def _replace(self, image: str, who: str, event: Event | None) -> None:
        """Put a person's answer in place of the one that stood; None takes that away."""
        answers = self._standing.setdefault(image, {})
        old = answers.pop(who, None)
        if event is not None:
            answers[who] = event
        times = self._times[who]
        if old and old.label is not None and old.milliseconds is not None:
            del times[bisect_left(times, old.milliseconds)]
        if event and event.label is not None and event.milliseconds is not None:
            insort(times, event.milliseconds)
        if not answers:
            del self._standing[image]
