"""What follows from the record: whose answers stand, what is still to be asked, and who has skipped what."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from alhelpers.data import CANNOT_TELL
from alhelpers.labelling.events import GUESS, SKIP, UNDO, WAITING, Event, Look
from alhelpers.labelling.record import Record


class Answers:
    """The state that a record leads to, event by event. A person's answer stands until it is undone.

    In memory only: `updated_from` brings it up to what the file holds, within a transaction of the record.
    """

    def __init__(self) -> None:
        self._last: Event | None = None
        self._standing: dict[str, dict[str, Event]] = {}  # by image, then person; no image without an answer
        self._skips: dict[str, dict[str, list[int]]] = {}  # by person, then image; ids of those not undone

    def updated_from(self, record: Record) -> "Answers":
        """This state with all that any process has recorded since."""
        if self._last is None:
            events = record.events()
        else:
            last, *events = record.events(self._last.id) or [None]
            if last != self._last:  # an older copy of the file was put back, or the last commit failed
                return Answers().updated_from(record)
        for event in events:
            self.add(event)
        return self

    def add(self, event: Event) -> None:
        """Take in one event."""
        image, who, answers = event.image, event.who, self._standing.get(event.image, {})
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

    def of_image(self, image: str) -> dict[str, Event]:
        """The answers to an image that stand, by person."""
        return self._standing.get(image, {})

    def standing(self, who: str | None = None) -> list[Event]:
        """All answers that stand, or one person's, in the order of recording."""
        found = (event for answers in self._standing.values() for event in answers.values())
        return sorted(event for event in found if who in (None, event.who))

    def waiting(self, look: Look) -> Iterator[str]:
        """The images that this look still asks about; those the person has skipped come last."""
        # At every click this may pass over thousands of images that are answered.
        standing, skips, later = self._standing, self._skips.get(look.who, {}), []
        for image in look.among:
            if image in standing and (not look.again or look.who in standing[image]):
                continue
            if image in skips:
                later.append(image)
            else:
                yield image
        yield from sorted(later, key=lambda image: skips[image][-1])

    def numbers(self, images: list[str], classes: tuple[str, ...]) -> np.ndarray:
        """The answer to each image, int64 of shape (n,): a class number, CANNOT_TELL or WAITING."""
        number = {name: k for k, name in enumerate(classes)}
        found = np.full(len(images), WAITING, np.int64)
        for i, image in enumerate(images):
            if answers := self._standing.get(image):
                labels = [event for event in answers.values() if event.label is not None]
                found[i] = number[min(labels).label] if labels else CANNOT_TELL  # the smallest id
        return found

    def counts(self, classes: tuple[str, ...]) -> dict[str | None, int]:
        """Number of images by answer: every class in order, then None for those nobody can tell."""
        tally = Counter(self.numbers(list(self._standing), classes).tolist())
        return {name: tally[k] for k, name in enumerate(classes)} | {None: tally[CANNOT_TELL]}
