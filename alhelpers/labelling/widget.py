"""A person as the oracle: a widget that shows the images the learner asks about and keeps every answer.

Works where Jupyter widgets do. The loop that asks rests while the person looks: each answer that completes
a batch carries it to the next. All that counts is in the ledger, so a loop can be dropped at any moment and
run again from its beginning.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import anywidget
import numpy as np
import traitlets

from alhelpers.errors import UserError
from alhelpers.labelling.events import LABEL, SKIP, UNDO, UNSURE, AlreadyAnswered, LedgerError, Look
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.loop import Batch, Loop, OracleError, RestingLoop
from alhelpers.labelling.oracle import LedgerOracle

N_PREVIEWS = 3
_CLASS_KEYS = "1234567890abcdefghijklmnopqrstuvwxyz"


def class_keys(classes: Sequence[str]) -> list[str]:
    """The key for each class: its name if one letter or digit, else what is left of 1 to 9, 0, a, b, …"""
    names = [name.lower() for name in classes]
    own = {name for name in names if name in tuple(_CLASS_KEYS) and names.count(name) == 1}
    others = (key for key in _CLASS_KEYS if key not in own)
    return [name if name in own else next(others) for name in names]


class LabelWidget(anywidget.AnyWidget):
    """The view, see widget.js. What all viewers share are traits; images go to each by `tell`."""

    _esm = Path(__file__).with_name("widget.js")
    _css = Path(__file__).with_name("widget.css")
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shortcuts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    status = traitlets.Unicode("Nothing is being asked yet.").tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    asking = traitlets.Bool(False).tag(sync=True)
    batch = traitlets.Int(0).tag(sync=True)

    def tell(
        self, view: str, kind: str, pictures: Mapping[str, bytes] = MappingProxyType({}), **content: object
    ) -> None:
        """Send one viewer a message, with PNG pictures by digest."""
        self.send({"to": view, "kind": kind, "sent": list(pictures), **content}, [*pictures.values()])


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

    Use it as `SimulatedPerson`: `labeler.for_pool(images, learner)` is an oracle, and a cell that ends with
    `labeler.play(loop)` shows the widget and runs the loop.
    """

    # Running all cells again makes a new labeler, whose loop takes the place of the one before: two that do
    # the same would write into the same variables.
    _playing: ClassVar[dict[tuple[Path, bool], "Labeler"]] = {}

    def __init__(self, ledger: Ledger, labeller: str = "me", again: bool = False) -> None:
        super().__init__(ledger, labeller, again)
        self.widget = LabelWidget(classes=list(ledger.classes), shortcuts=class_keys(ledger.classes))
        self.widget.on_msg(self._receive)
        self._lock = threading.RLock()  # JupyterLab has messages handled in another thread than cells
        self._loop: RestingLoop | None = None  # None before `play` and after `stop`

    def play(self, loop: Loop) -> LabelWidget:
        """Run a loop that asks this person for labels, as far as it gets; return the widget to be shown.

        The loop yields images and is sent their labels when all are answered, after this cell has ended. It
        has to begin at the beginning (`learner.reset()`, or a new learner): it is run again when the person
        takes back an answer that an earlier round has used, and the ledger answers what it can. A loop on
        this ledger that runs already is ended first.

        Raises OracleError if the loop yields nothing.
        """
        key = self.ledger.file.resolve(), self.again
        if previous := self._playing.get(key):
            previous.stop()
        self._playing[key] = self
        with self._lock:
            self._begin(loop)
            self._go_on()
        return self.widget

    def stop(self) -> None:
        """End the loop where it rests; the ledger keeps what was answered."""
        with self._lock:
            self._loop = None
            self._ask_nothing("This was stopped; another loop may be running.")

    def must_be_done(self) -> None:
        """Stop a notebook here, in one sentence, unless the loop has come to its end.

        Raises NotDoneError: the loop asks, or has failed, or was not started.
        """
        with self._lock:
            self._go_on()  # answers may have come from elsewhere
            if self._loop and self._loop.failure:
                raise NotDoneError(self.widget.status)
            if not (self._loop and self._loop.ended):
                raise NotDoneError(
                    "This cell waits for your answers above: give them, then run it and the cells below. "
                    "To stop earlier, set a smaller label_budget and run all cells; the answers are kept."
                )

    def say(self, text: str) -> None:
        """Show the person a line of text, below the images."""
        self.widget.log = f"{self.widget.log}\n{text}".strip()

    # The loop

    @property
    def _batch(self) -> Batch | None:
        return self._loop and self._loop.batch

    def _begin(self, function: Loop) -> None:
        self._loop, self.widget.log = RestingLoop(function), ""

    def _go_on(self) -> None:
        """Run the loop as far as the answers carry it."""
        loop = self._loop
        if loop is None:
            return
        while not (loop.ended or (loop.batch and self._waiting(loop.batch))):
            labels = loop.batch and self._labels(loop.batch)
            self._ask_nothing("The model is learning …")
            loop.go_on(labels)
        if loop.batch and not self.widget.asking:
            self.widget.status = "Others have the images that are left of this round. Waiting for them …"
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

    # Messages from viewers

    def _receive(self, _: object, message: dict, buffers: object) -> None:
        view = str(message.get("view"))
        with self._lock:
            try:
                self._handle(view, message)
                self._go_on()
            except Exception as problem:  # a person sees no traceback of the kernel's
                sentence = str(problem) if isinstance(problem, LedgerError) else repr(problem)
                self.widget.tell(view, "trouble", note=sentence)

    def _handle(self, view: str, message: dict) -> None:
        kind, image, loaded = message["kind"], message.get("image"), message.get("has", ())
        look = replace(self._look_at(self._batch) if self._batch else self._look, viewer=view)
        if kind == "next":
            self._show(view, loaded, self.ledger.claim(look))
        elif kind == "hold":
            self.ledger.claim(replace(look, among=[image]))
        elif kind == "leave":
            self.ledger.claim(replace(look, among=[]))
        elif kind == "guess":
            self.widget.tell(view, "guess", note=self._guess(image))
        elif kind == UNDO:
            self._undo(look, loaded)
        elif kind in (LABEL, SKIP, UNSURE):
            label = self.ledger.classes[message["label"]] if kind == LABEL else None
            try:
                following = self.ledger.record(look, image, kind, label, message.get("milliseconds"))
                note = {LABEL: f"Saved: {label}.", SKIP: "Skipped until later.", UNSURE: "Set aside."}[kind]
            except AlreadyAnswered:
                following, note = self.ledger.claim(look), "Somebody else was quicker with that one."
                if self.labeller in self.ledger.who_answered(image):
                    note = "That one had your answer already; Backspace takes the last one back."
            self._show(view, loaded, following, note)
        else:
            raise ValueError(f"a viewer sent {kind!r}, which nobody understands")

    def _undo(self, look: Look, loaded: Sequence[str]) -> None:
        image = self.ledger.undo(look)
        if image is None:
            self._show(look.viewer, loaded, self.ledger.claim(look), "Nothing to undo.")
        elif image in look.among:
            self._show(look.viewer, loaded, image, "Taken back. Here it is again.")
        elif self._loop is None:
            self._show(look.viewer, loaded, None, "Taken back. Run the cells again to answer anew.")
        else:
            self._begin(self._loop.function)
            self._show(look.viewer, loaded, None, "Taken back. The rounds since then are computed anew.")

    def _guess(self, image: str) -> str:
        batch = self._batch
        if not batch or not batch.guess or image not in batch.position:
            return "The model has learned nothing yet that it could say about this image."
        self.ledger.note_guess(self._look_at(batch), image)
        proba = batch.guess(batch.position[image])
        first, second = (f"{self.ledger.classes[k]} ({100 * proba[k]:.0f} %)" for k in np.argsort(-proba)[:2])
        return f"The model says {first}, or else {second}."

    def _show(self, view: str, loaded: Sequence[str], image: str | None, note: str = "") -> None:
        """Have a viewer show an image, and small those after it; `loaded` are those whose pictures it has."""
        batch = self._batch
        if not batch or image not in batch.position:
            image, name, following, pictures = None, "", [], {}
        else:
            # Without its sub-folder, which may be the answer.
            name = batch.images.names[batch.position[image]].rsplit("/", 1)[-1]
            following = [digest for digest in self._waiting(batch) if digest != image][:N_PREVIEWS]
            missing = [digest for digest in (image, *following) if digest not in loaded]
            pictures = {digest: batch.images.picture(batch.position[digest]) for digest in missing}
        content = dict(image=image, name=name, next=following, progress=self._progress(), note=note)
        self.widget.tell(view, "show", pictures, **content)

    def _progress(self) -> str:
        parts, batch = [], self._batch
        if batch:
            parts.append(f"round {batch.round}" if batch.round else "images to check the model with")
            parts.append(f"{len(self._waiting(batch))} of {len(batch.position)} left")
        n_labels = sum(n for name, n in self.ledger.counts().items() if name is not None)
        parts.append(f"{n_labels:,} labels in the ledger")
        if np.isfinite(seconds := self.ledger.seconds_per_label(self.labeller)):
            parts.append(f"{seconds:.1f} s a label")
        return " · ".join(parts)
