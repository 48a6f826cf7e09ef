"""A person as the oracle: a widget that shows the images the learner asks about and keeps every answer.

Works where Jupyter widgets do. The loop that asks rests while the person looks: each answer that completes
a batch carries it to the next. All that counts is in the ledger, so a loop can be dropped at any moment and
run again from its beginning.
"""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import anywidget
import numpy as np
import traitlets

from alhelpers.errors import UserError
from alhelpers.labelling.events import LABEL, SKIP, UNDO, UNSURE, AlreadyAnswered, Look, class_sent
from alhelpers.labelling.exchange import TakenError
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.loop import Batch, Loop, OracleError, RestingLoop
from alhelpers.labelling.oracle import LedgerOracle

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images

N_PREVIEWS = 3
LACKING = (
    "The labelling widget is not shown here. Open the notebook in JupyterLab, which `make lab` starts, "
    "and run its cells there; the answers so far are in the ledger."
)
_CLASS_KEYS = "1234567890abcdefghijklmnopqrstuvwxyz"


def class_keys(classes: Sequence[str]) -> list[str]:
    """The key for each class: its name if one letter or digit, else what is left of 1 to 9, 0, a, b, …"""
    names = [name.lower() for name in classes]
    own = {name for name in names if name in tuple(_CLASS_KEYS) and names.count(name) == 1}
    others = (key for key in _CLASS_KEYS if key not in own)
    return [name if name in own else next(others) for name in names]


def program(name: str) -> str:
    """A widget's JavaScript: that file beside this one, after what both widgets need."""
    return "\n".join(Path(__file__).with_name(part).read_text("utf-8") for part in ("make.js", name))


class View(anywidget.AnyWidget):
    """A widget whose program and looks are files beside this one. Messages go to each viewer by `tell`."""

    _css = Path(__file__).with_name("widget.css")
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def tell(
        self, view: str, kind: str, pictures: Mapping[str, bytes] = MappingProxyType({}), **content: object
    ) -> None:
        """Send one viewer a message, with pictures by digest."""
        self.send({"to": view, "kind": kind, "sent": list(pictures), **content}, [*pictures.values()])

    def _repr_mimebundle_(self, **options: object) -> object:
        bundle = super()._repr_mimebundle_(**options)
        (bundle[0] if isinstance(bundle, tuple) else bundle)["text/plain"] = LACKING
        return bundle


class LabelWidget(View):
    """The view, see widget.js. What all viewers share are traits."""

    _esm = program("widget.js")
    shortcuts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    status = traitlets.Unicode("Nothing is being asked yet.").tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    asking = traitlets.Bool(False).tag(sync=True)
    batch = traitlets.Int(0).tag(sync=True)

    def show_classes(self, classes: Sequence[str]) -> None:
        """Show these classes; one that has a key already keeps it."""
        keys = self.shortcuts or class_keys(classes)
        free = [key for key in _CLASS_KEYS if key not in keys]
        self.shortcuts, self.classes = [*keys, *free][: len(classes)], list(classes)


class NotDoneError(UserError):
    """There is nothing to look at yet. In a notebook it shows as its one sentence, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Labeler(LedgerOracle):
    """A person who answers through a widget.

    Parameters
    ----------
    ledger : Ledger
        Keeps the answers. Several people, tabs and kernels can share one: each image is answered once.
    labeller : str
        Who answers: the name that the ledger keeps with each answer.
    again : bool
        For a second opinion: ask about images too that somebody else has answered.
    images : Images, optional
        All images, for their names in the file that "Stop here and export" writes.

    Use it as `SimulatedPerson`: `labeler.for_pool(images, learner)` is an oracle, and a cell that ends with
    `labeler.play(loop)` shows the widget and runs the loop.
    """

    # Running all cells again makes a new labeler, whose loop takes the place of the one before: two that do
    # the same would write into the same variables.
    _playing: ClassVar[dict[tuple[Path, bool], "Labeler"]] = {}

    def __init__(
        self, ledger: Ledger, labeller: str = "me", again: bool = False, images: "Images | None" = None
    ) -> None:
        super().__init__(ledger, labeller, again)
        self.widget, self._images = LabelWidget(), images
        self.widget.show_classes(ledger.classes)
        self.widget.on_msg(self._receive)
        self._lock = threading.RLock()  # JupyterLab has messages handled in another thread than cells
        self._loop: RestingLoop | None = None  # None before `play` and after `stop`
        self._n_images: int | None = None
        # What Undo takes back: images by browser tab, and those from before, the last at the end.
        self._acts: defaultdict[str, list[str]] = defaultdict(list)
        self._earlier = ledger.acts(self.labeller)[::-1]

    def play(self, loop: Loop, n_images: int | None = None) -> LabelWidget:
        """Run a loop that asks this person for labels, as far as it gets; return the widget to be shown.

        The loop yields images and is sent their labels when all are answered, after this cell has ended. It
        has to begin at the beginning (`learner.reset()`, or a new learner): it is run again when the person
        takes back an answer that an earlier round has used, or adds a class, and the ledger answers what it
        can. A loop on this ledger that runs already is ended first.

        `n_images` is how many it will ask about in all, if known. Raises OracleError if it yields nothing.
        """
        key = self.ledger.file.resolve(), self.again
        if previous := self._playing.get(key):
            previous.stop()
        self._playing[key] = self
        with self._lock:
            self._n_images = n_images
            self.take_stock()
            self._begin(loop)
            self._go_on()
        return self.widget

    def stop(self) -> None:
        """End the loop where it rests; the ledger keeps what was answered."""
        with self._lock:
            self._loop = None
            self._ask_nothing("This was stopped; another loop may be running.")

    def must_be_done(self) -> None:
        """Stop a notebook here, in one sentence, unless the loop has come to its end or was stopped.

        Raises NotDoneError: the loop asks, or has failed, or was not started, or there is no model yet.
        """
        with self._lock:
            self._go_on()  # answers may have come from elsewhere
            if self._loop and self._loop.failure:
                raise NotDoneError(self.widget.status)
            if not (self._loop and self._loop.ended):
                raise NotDoneError(
                    "This cell waits for your answers above: give them, or press “Stop here and export”; "
                    "then run it and the cells below."
                )
            if self._loop.stopped and all(batch.round < 2 for batch in self._loop.asked.values()):
                raise NotDoneError(
                    "You stopped before the model had learned anything, so there is nothing to show here; "
                    "your labels are kept. To go on, run the cell with the widget again."
                )

    def say(self, text: str) -> None:
        """Show the person a line of text, below the images."""
        self.widget.log = f"{self.widget.log}\n{text}".strip()

    # The loop

    def _begin(self, function: Loop) -> None:
        self._loop, self.widget.log = RestingLoop(function), ""

    def _go_on(self) -> None:
        """Run the loop as far as the answers carry it."""
        loop = self._loop
        if loop is None or loop.stopped:
            return
        while not (loop.ended or (loop.batch and self._waiting(loop.batch))):
            labels = loop.batch and self._labels(loop.batch)
            self._ask_nothing("The model is learning …")
            loop.go_on(labels)
        if loop.batch and not self.widget.asking:
            self.widget.status = "Looking for an image …"
            self.widget.asking = True
            self.widget.batch += 1
        elif loop.failure:
            self._ask_nothing(f"The loop has stopped: {loop.failure}. Mend that and run the cells again.")
        elif loop.ended:
            self._ask_nothing("That was all: now run the cells below. Undo still takes answers back.")

    def _ask_nothing(self, status: str) -> None:
        self.widget.asking, self.widget.status = False, status

    def _ask(self, batch: Batch) -> None:
        raise OracleError(
            "nobody can answer while a cell runs; put the loop into a function, `yield` the images there "
            "before their labels are needed, and end the cell with `labeler.play(function)`"
        )

    def _receive(self, _: object, message: dict, buffers: object) -> None:
        tab = Tab(self, str(message.get("view")), message)
        with self._lock:
            try:
                tab.handle()
                self._take_in_classes()
                self._go_on()
            except Exception as problem:  # a person sees no traceback of the kernel's
                sentence = str(problem) if isinstance(problem, UserError) else repr(problem)
                tab.tell("trouble", note=sentence)

    def _take_in_classes(self) -> None:
        """Show the classes as anybody may have named them; a new one needs a model that knows it."""
        classes = self.ledger.classes
        if list(classes) != self.widget.classes:
            grown = len(classes) > len(self.widget.classes)
            self.widget.show_classes(classes)
            if grown and self._loop and not self._loop.stopped:
                self._begin(self._loop.function)


class Tab:
    """One message from a browser tab: what the person there does, and what the tab is to show then."""

    def __init__(self, labeler: Labeler, view: str, message: dict) -> None:
        self.labeler, self.ledger, self.view, self.message = labeler, labeler.ledger, view, message
        # A tab that is loaded again is another view, but the same tab.
        self.acts = labeler._acts[str(message.get("tab", view))]
        self.asked = labeler._loop.asked if labeler._loop else {}
        self.tell = partial(labeler.widget.tell, view)

    @property
    def batch(self) -> Batch | None:
        """What the loop asks just now."""
        return self.labeler._loop and self.labeler._loop.batch

    def handle(self) -> None:
        """Do what the message says. Raises what goes wrong, for the person to read."""
        kind, image = self.message["kind"], self.message.get("image")
        look = self.labeler._look_at(self.batch) if self.batch else self.labeler._look
        look = replace(look, viewer=self.view)
        if kind == "next":
            self.show(look, self.ledger.claim(look))
        elif kind == "hold":
            self.check_asked(image)
            self.ledger.claim(replace(look, among=[image]))
        elif kind == "leave":
            self.ledger.claim(replace(look, among=[]))
        elif kind == "guess":
            self.tell("guess", note=self.guess(image))
        elif kind == "stop":
            self.stop()
        elif kind == "class":
            self.name_class(int(self.message["number"]), self.message["name"])
        elif kind == UNDO:
            self.undo(look)
        elif kind in (LABEL, SKIP, UNSURE):
            self.answer(look, kind, image)
        else:
            raise ValueError(f"a viewer sent {kind!r}, which nobody understands")

    def answer(self, look: Look, kind: str, image: str) -> None:
        """Record what the person did about the image that is shown, and show the next."""
        self.check_asked(image)
        label = class_sent(self.message.get("label"), self.ledger.classes) if kind == LABEL else None
        try:
            following = self.ledger.record(look, image, kind, label, self.message.get("milliseconds"))
            done = {LABEL: f"saved: {label}", SKIP: "skipped until later", UNSURE: "set aside"}[kind]
            note = f"Last image {done}."
            self.acts.append(image)
        except AlreadyAnswered:
            following, note = self.ledger.claim(look), "Somebody else was quicker with that one."
            if not self.ledger.waiting(replace(look, among=[image], again=True)):
                note = "That one had your answer already; Backspace takes the last one back."
        self.show(look, following, note)

    def check_asked(self, image: object) -> None:
        """Raise OracleError unless this loop asks about an image, or has."""
        if image not in self.asked:
            raise OracleError(f"a viewer has image {image!r:.14}…, which this loop does not ask about")

    def undo(self, look: Look) -> None:
        """Take back the last that was done in this tab, or before this loop began, and show it again."""
        loop = self.labeler._loop
        image, where = None, "Run the cells again to answer anew."
        for acts in (self.acts, self.labeler._earlier):
            while image is None and acts:
                candidate = acts.pop()
                if loop is None or candidate in self.asked:
                    image = self.ledger.undo(look, candidate)
                    if acts is self.labeler._earlier:
                        self.labeler.take_stock()  # the loop takes another way now, and loses nothing by it
        if image is None:
            self.show(look, self.ledger.claim(look), "Nothing to undo here.")
            return
        if loop and image in look.among:
            where = "Here it is again."
        elif loop:
            where = "The rounds since then are computed anew."
            self.labeler._begin(loop.function)
        shown = image if loop and image in look.among else None
        self.show(look, shown, f"Taken back: {self.name_of(image)}. {where}")

    def guess(self, image: str) -> str:
        """What the model says about an image. The ledger notes that it was shown."""
        batch = self.batch
        if not batch or not batch.guess or image not in batch.position:
            return "The model has learned nothing yet that it could say about this image."
        self.ledger.note_guess(self.labeler._look_at(batch), image)
        proba, classes = batch.guess(batch.position[image]), self.ledger.classes
        first, second = (f"{classes[k]} ({100 * proba[k]:.0f}%)" for k in np.argsort(-proba)[:2])
        return f"The model says {first}, or else {second}."

    def stop(self) -> None:
        """End the loop and write the labels to a file beside the ledger."""
        labeler, (file, kept) = self.labeler, self.export()
        if labeler._loop:
            labeler._loop.stop()
        n = sum(n for name, n in self.ledger.counts().items() if name is not None)
        also = f" ({kept.name} was changed, or is another program's, and stays as it is)" if kept else ""
        labeler._ask_nothing(
            f"Stopped: {file.name}, beside the notebook's ledger, has {n:,} labels{also}. Now run the cells "
            "below; to go on labelling, run this cell again."
        )
        self.tell("show", image=None, name="", next=[], progress="", note="Stopped. Now run the cells below.")

    def export(self) -> tuple[Path, Path | None]:
        """Write the labels to the first name that may be written; return it, and the first that may not."""
        first = file = self.ledger.file.with_suffix(".csv")
        number = 1
        while True:
            try:
                self.ledger.export(file, self.labeler._images)
            except TakenError:
                number += 1
                file = first.with_stem(f"{first.stem} {number}")
            else:
                return file, None if file == first else first

    def name_class(self, number: int, name: str) -> None:
        """Give a class another name, or add one."""
        classes = self.ledger.classes
        self.ledger.name_class(self.labeler.labeller, number, name)
        self.labeler._take_in_classes()  # now, for the key
        new, key = self.ledger.classes[number], self.labeler.widget.shortcuts[number]
        said = f"Renamed: {classes[number]} is {new} now" if number < len(classes) else f"Added: {new}"
        self.tell("said", note=f"{said}, key {key}.")

    def show(self, look: Look, image: str | None, note: str = "") -> None:
        """Have the tab show an image, then send the pictures of those after it."""
        batch, loaded = self.batch, set(self.message.get("has", ()))
        if not batch or image not in batch.position:
            image, name, waiting, following = None, "", self.waiting(look), []
        else:
            name, waiting = self.name_of(image), ""  # while an image shows, nobody reads it
            following = [one for one in self.labeler._waiting(batch)[: N_PREVIEWS + 1] if one != image]
            following = following[:N_PREVIEWS]

        def pictures(digests: Sequence[str]) -> dict[str, bytes]:
            return {one: batch.images.picture(batch.position[one]) for one in digests if one not in loaded}

        content = dict(image=image, name=name, progress=self.progress(), note=note, status=waiting)
        self.tell("show", pictures([image]) if image else {}, **content)
        if image:  # apart, so that nobody waits for the pictures of later
            self.tell("ahead", pictures(following), next=following)

    def name_of(self, image: str) -> str:
        """The name of its file, without the sub-folder, which may be the answer."""
        batch = self.asked.get(image)
        return batch.images.names[batch.position[image]].rsplit("/", 1)[-1] if batch else "an image"

    def progress(self) -> str:
        """How far this loop is, and how long the rest takes at this person's pace."""
        batch = self.batch
        if not batch:
            return ""
        left = len(self.labeler._waiting(batch))
        done = len(self.labeler._loop.asked) - left
        to_come = max(left, (self.labeler._n_images or 0) - done)
        parts = [f"round {batch.round}" if batch.round else "images to check the model with"]
        parts += [f"{done:,} done", f"{to_come:,} to come"]
        if np.isfinite(seconds := self.ledger.seconds_per_label(self.labeler.labeller)):
            minutes = seconds * to_come / 60
            parts.append(f"about {minutes:,.0f} min left" if minutes >= 1 else "less than a minute left")
        return " · ".join(parts)

    def waiting(self, look: Look) -> str:
        """Who has the images that are left, if all are before others."""
        others = self.ledger.held_by_others(look)
        if not others:
            return ""
        names = sorted({f"{who} (another tab)" if who == look.who else who for who in others.values()})
        n = len(others)
        images = "The last image of this round is" if n == 1 else f"The last {n:,} images of this round are"
        return (
            f"{images} before {' and '.join(names)}. What nobody answers comes to you, a minute or so after "
            "anything was done there."
        )
