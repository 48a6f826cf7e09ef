"""What can happen to an image, who looks at which, and the checks before anything is recorded."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from alhelpers.errors import UserError
from alhelpers.labelling.classes import MOST_CLASSES
from alhelpers.labelling.names import clean, is_name, twins

WAITING = -2
"""In place of a class number: nobody has answered yet."""
LABEL, UNSURE, SKIP, UNDO, IMPORT = "label", "cannot tell", "skip", "undo", "import"
GUESS, CORRECT, NAMED = "guess shown", "correction", "class named"
"""What an event can be. An import or a correction without a label is a "cannot tell". Where a class is
named, or added, `image` is "class 3" and `label` the name."""


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


@dataclass(frozen=True)
class Look:
    """Who looks at what: a person at some images, in a viewer if anything shows them.

    Parameters
    ----------
    who : the person
    among : digests of the images that are asked about, in the order of asking
    viewer : a name for whatever shows the images, such as one browser tab; None if nothing does
    round : number of the round of active learning; 0 for images that no learner chose
    again : for a second opinion: only this person's own answers count, whatever others have said

    Raises LedgerError if the person or the viewer has no name.
    """

    who: str
    among: Sequence[str] = ()
    viewer: str | None = None
    round: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        check_name("the person", self.who)
        object.__setattr__(self, "who", clean(self.who))  # "me " is "me"
        if self.viewer is not None:
            check_name("the viewer", self.viewer)


def check_digest(image: object) -> str:
    """An image's digest as a ledger has it, in small letters. Raises LedgerError if it is none."""
    if isinstance(image, str) and re.fullmatch("[0-9a-fA-F]{64}", image):
        return image.lower()
    raise LedgerError(f"the image is {image!r:.200}; give its SHA-256 digest, 64 digits from 0-9 and a-f")


def check_name(what: str, name: object) -> None:
    """Raise LedgerError unless this is a name that can be written to a file."""
    if not is_name(name):
        raise LedgerError(f"{what} is {name!r}; give a name")


def check_classes(classes: Sequence[str]) -> None:
    """Raise LedgerError unless these are 2 to 36 different names."""
    if not len(classes):
        raise LedgerError(
            f"no classes are known; set classes to 2 to {MOST_CLASSES} names, or sort the images into a "
            "sub-folder for each"
        )
    if isinstance(classes, str | Set) or not 2 <= len(classes) <= MOST_CLASSES:
        raise LedgerError(f"the classes are {classes!r}; give a list of 2 to {MOST_CLASSES} names")
    for k, name in enumerate(classes):
        check_name(f"class {k}", name)
        if name in classes[:k]:
            raise LedgerError(f"the class {name!r} is given twice; give each name once")


def check_new_classes(classes: Sequence[str]) -> None:
    """Raise LedgerError if two classes look alike; an old ledger may have such ones."""
    if alike := twins(classes):
        raise LedgerError(f"the classes {alike[0]!r} and {alike[1]!r} look alike; give one, or another name")


def class_sent(number: object, classes: Sequence[str]) -> str:
    """The class that a viewer means by its number. Raises LedgerError if there is none of that number."""
    if isinstance(number, bool) or number not in range(len(classes)):
        raise LedgerError(f"a viewer sent the label {number!r}; give 0 to {len(classes) - 1}")
    return classes[number]


def whole_number(what: str, value: object) -> int:
    """A whole number from 0 up, also one that a file has as text or float. Raises LedgerError for another."""
    try:
        number = int(float(value))  # "1200.0" is how pandas writes 1200 where other rows have none
        if number != float(value) or not 0 <= number < 2**53:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise LedgerError(f"{what} is {value!r}; give a whole number from 0 up") from None
    return number


def utc_text(when: object) -> str:
    """Now, or a moment given as datetime or text, as the record has it. Raises LedgerError for another."""
    try:
        moment: Any = datetime.now(UTC) if when is None else when
        moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise LedgerError(f"the time is {when!r}; give it like 2026-01-31T12:00:00.000+00:00") from None
