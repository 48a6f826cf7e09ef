"""A grid of all answers, for a second look: those first that the model believes least; a click corrects."""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.errors import UserError
from alhelpers.labelling.events import CORRECT, Event, Look, class_sent
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.widget import View, program

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images

SIDE = 160
"""Pixels a side of an image in the grid."""


class ReviewWidget(View):
    """The grid, see review.js."""

    _esm = program("review.js")


class Review:
    """Every image that has an answer, class by class; a person corrects what is wrong.

    A correction is an event of its own in the ledger: it counts in place of what people said, which stays in
    the record. Images about which people disagree have a heading of their own until one is corrected, or
    confirmed by a click on the class it has.

    Parameters
    ----------
    ledger : whose answers
    images : those that may be reviewed; others in the ledger are left out
    labeller : who looks
    proba : the model's class probabilities by digest, if there are any; a class's images that it finds least
        probable come first, otherwise those labelled last

    A cell that ends with `Review(…).widget` shows the grid.
    """

    def __init__(
        self,
        ledger: Ledger,
        images: "Images",
        labeller: str = "me",
        proba: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.ledger, self._images, self._look = ledger, images, Look(labeller)
        ledger.check_person(self._look.who)
        self._where = {digest: i for i, digest in enumerate(images.digests)}
        self._proba = proba or {}
        self._lock = threading.RLock()  # JupyterLab has messages handled in another thread than cells
        self.widget = ReviewWidget(classes=list(ledger.classes))
        self.widget.on_msg(self._receive)

    def groups(self) -> list[dict[str, object]]:
        """What the grid shows: headings, and the images under each, first those that need a look most.

        Headings are "people disagree", each class, and "cannot tell", as far as there is an image. Of each
        image there are digest, name, class number (None for "cannot tell"), and what else is to be said.
        """
        classes = self.ledger.classes
        # What counts about each image: its correction alone, or the answers of all, oldest first.
        said: dict[str, list[Event]] = {}
        for event in self.ledger.standing():
            if event.image in self._where:
                said.setdefault(event.image, []).append(event)
        groups: dict[str, list] = {name: [] for name in ("people disagree", *classes, "cannot tell")}
        for image, events in said.items():
            label = next((event.label for event in events if event.label is not None), None)
            number = None if label is None else classes.index(label)
            differ = len({event.label for event in events}) > 1
            heading = "people disagree" if differ else label or "cannot tell"
            groups[heading].append((self._doubt(image, number), -events[-1].id, image, number, events))
        tiles = {
            heading: [self._tile(image, k, events, classes) for *_, image, k, events in sorted(members)]
            for heading, members in groups.items()
        }
        return [{"heading": heading, "images": images} for heading, images in tiles.items() if images]

    def _doubt(self, image: str, number: int | None) -> float:
        """How probable the model finds this class; 1 if it does not know."""
        proba = self._proba.get(image)
        return 1.0 if proba is None or number is None or number >= len(proba) else float(proba[number])

    def _tile(
        self, image: str, number: int | None, events: list[Event], classes: Sequence[str]
    ) -> dict[str, object]:
        said, proba = [], self._proba.get(image)
        if len({event.label for event in events}) > 1:
            said += [f"{event.who}: {event.label or 'cannot tell'}" for event in events]
        if proba is not None and number is not None and (best := int(np.argmax(proba))) != number:
            said.append(f"model: {classes[best]} ({100 * proba[best]:.0f}%)")
        if events[0].action == CORRECT:
            said.append(f"corrected by {events[0].who}")
        return {"image": image, "name": self._name(image), "label": number, "said": said}

    def _receive(self, _: object, message: dict, buffers: object) -> None:
        view = str(message.get("view"))
        with self._lock:
            try:
                self._handle(view, message)
            except Exception as problem:  # a person sees no traceback of the kernel's
                sentence = str(problem) if isinstance(problem, UserError) else repr(problem)
                self.widget.tell(view, "trouble", note=sentence)

    def _handle(self, view: str, message: dict) -> None:
        kind, note = message["kind"], ""
        if list(self.ledger.classes) != self.widget.classes:
            self.widget.classes = list(self.ledger.classes)
        if kind == "pictures":
            asked = [image for image in message["images"] if image in self._where]
            small = {image: self._images.picture(self._where[image], SIDE) for image in asked}
            self.widget.tell(view, "pictures", small)
            return
        if kind == "large":
            image = message["image"]
            self.widget.tell(view, "large", {image: self._images.picture(self._where[image])})
            return
        if kind == "correct":
            image, number = message["image"], message["label"]
            label = None if number is None else class_sent(number, self.ledger.classes)
            self.ledger.correct(self._look, image, label)
            note = f"{self._name(image)} is {label or 'set aside'} now."
        elif kind == "undo":
            made = [event for event in self.ledger.standing(self._look.who) if event.action == CORRECT]
            image = self.ledger.undo(self._look, made[-1].image) if made else None
            note = f"Taken back: {self._name(image)}." if image else "You have corrected nothing."
        self.widget.tell(view, "show", groups=self.groups(), note=note)

    def _name(self, image: str | None) -> str:
        where = self._where.get(image)
        return "an image" if where is None else self._images.names[where].rsplit("/", 1)[-1]
