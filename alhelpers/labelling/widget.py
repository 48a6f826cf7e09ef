"""A person as the oracle: a widget that shows the images the learner asks about and keeps every answer.

Works where Jupyter widgets do. The loop that asks runs in a thread beside the notebook, so that the kernel
stays free to hear what the person does; `Labeler.play` starts it and `stop` ends it. All that counts is in
the ledger, so a loop can be ended at any moment and run again from its beginning.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

import anywidget
import numpy as np
import traitlets

from alhelpers.errors import UserError
from alhelpers.labelling.events import LABEL, SKIP, UNDO, UNSURE, AlreadyAnswered, LedgerError, Look
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.oracle import Guess, LedgerOracle

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images

N_PREVIEWS = 3
POLL = 0.5  # seconds between two looks at the ledger for answers from elsewhere
_CLASS_KEYS = "1234567890abcdefghijklmnopqrstuvwxyz"


def class_keys(classes: Sequence[str]) -> list[str]:
    """The key for each class: its name if all are single letters or digits, else 1 to 9, 0, a, b, …"""
    names = [name.lower() for name in classes]
    if len(set(names)) == len(names) and all(len(name) == 1 and name in _CLASS_KEYS for name in names):
        return names
    return list(_CLASS_KEYS[: len(names)])


class LabelWidget(anywidget.AnyWidget):
    """The view, see label.js. What all viewers share are traits; images go to each in messages of its own."""

    _esm = Path(__file__).with_name("widget.js")
    _css = Path(__file__).with_name("widget.css")
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shortcuts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    status = traitlets.Unicode("Nothing is being asked yet.").tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    asking = traitlets.Bool(False).tag(sync=True)
    batch = traitlets.Int(0).tag(sync=True)


class NotDoneError(UserError):
    """There is nothing to look at yet. In a notebook it shows as its one sentence, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class _Batch:
    """What is being asked: images, all different, the number of the round, and what the model thinks."""

    def __init__(self, images: "Images", round: int, guess: Guess | None) -> None:
        self.images, self.round, self.guess = images, round, guess
        self.digests = list(images.digests)
        self.position = {digest: i for i, digest in enumerate(self.digests)}
        self.picture = lru_cache(maxsize=32)(lambda digest: images.picture(self.position[digest]))


class _Again(BaseException):
    """Ends a pass of the loop: an answer of an earlier round was taken back."""


class _Replaced(BaseException):
    """Ends a loop: it was stopped, or another has been started."""


class Labeler(LedgerOracle):
    """A person who answers through a widget.

    Parameters
    ----------
    ledger : Ledger
        Keeps the answers. Several people, tabs and kernels can share one: each image is answered once.
    labeller : str
        Who answers; it stands beside each answer.
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
        self._changed = threading.Condition(threading.RLock())
        self._loop: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._former: WeakSet[threading.Thread] = WeakSet()
        self._batch: _Batch | None = None
        self._round = 0
        self._taken_back = self._done = False
        self._failure = ""

    def play(self, loop: Callable[[], None]) -> LabelWidget:
        """Run a loop that asks this person for labels, beside the notebook; return the widget to be shown.

        The loop has to begin at the beginning (`learner.reset()`, or a new learner): it is run again when the
        person takes back an answer that an earlier round has used, and the ledger answers what it can. A loop
        on this ledger that runs already is ended first.
        """
        key = self.ledger.file.resolve(), self.again
        if before := self._playing.get(key):
            before.stop()
        self._playing[key] = self
        with self._changed:
            self._loop, self._failure = loop, ""
            self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        return self.widget

    def stop(self) -> None:
        """End the loop, when it next asks or says something; the ledger keeps what was answered."""
        with self._changed:
            if self._thread:
                self._former.add(self._thread)
            self._thread, self._done = None, False
            self._pause("This was stopped; another loop may be running.")
            self._changed.notify_all()

    def must_be_done(self) -> None:
        """Stop a notebook here, in one sentence, unless the loop has come to its end.

        Raises NotDoneError: the loop asks, or has failed, or was not started.
        """
        with self._changed:
            # What is in the ledger already takes a moment to be computed anew.
            while self._thread and not (self._done or self._failure or self._asks()):
                self._changed.wait(POLL)
            if self._failure:
                raise NotDoneError(self._failure)
            if not self._done:
                raise NotDoneError(
                    "This cell waits for your answers above: give them, then run it and the cells below. "
                    "To stop earlier, set a smaller label_budget and run all cells; the answers are kept."
                )

    def say(self, text: str) -> None:
        """Show the person a line of text, below the images."""
        with self._turn():
            self.widget.log = f"{self.widget.log}\n{text}".strip()

    # ---- In the loop's thread

    def _play(self) -> None:
        try:
            while True:
                with self._turn():
                    self._taken_back = self._done = False
                    self.widget.log = ""
                try:
                    self._loop()
                    with self._turn():
                        self._done = True
                        self._pause("That was all: now run the cells below. Undo still takes answers back.")
                        self._changed.notify_all()
                        self._wait_until(lambda: False)
                except _Again:
                    continue
        except _Replaced:
            pass
        except Exception as problem:  # a person sees no traceback of a thread
            with suppress(_Replaced), self._turn():
                name = "" if isinstance(problem, LedgerError) else f"{type(problem).__name__}: "
                self._failure = f"The loop has stopped: {name}{problem}. Mend that and run the cells again."
                self._pause(self._failure)
                self._changed.notify_all()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """What only the loop that is on may do; it ends the thread of one that is not."""
        current = threading.current_thread()
        with self._changed:
            if current in self._former:
                raise _Replaced
            if current is not self._thread:
                raise RuntimeError(
                    "nobody can answer while a cell runs; put the loop into a function and end the cell with "
                    "`labeler.play(function)`"
                )
            yield

    def _ask(self, images: "Images", round: int, guess: Guess | None) -> None:
        batch = _Batch(images, round, guess)
        with self._turn():
            if self._taken_back:
                raise _Again
            self._batch, self._round = batch, round
            self.widget.status = "Others have the images that are left of this round. Waiting for them …"
            self.widget.asking = True
            self.widget.batch += 1
            self._changed.notify_all()
            self._wait_until(lambda: not self._waiting(batch))
            self._pause("The model is learning …")

    def _wait_until(self, done: Callable[[], bool]) -> None:
        while True:
            try:
                if done():
                    return
            except LedgerError as problem:  # a full disk or a locked file, for a time
                self.widget.status = str(problem)
            self._changed.wait(POLL)
            if threading.current_thread() is not self._thread:
                raise _Replaced
            if self._taken_back:
                raise _Again

    def _asks(self) -> bool:
        return self._batch is not None and bool(self._waiting(self._batch))

    def _pause(self, status: str) -> None:
        """Ask nothing for now."""
        self._batch, self.widget.asking, self.widget.status = None, False, status

    # ---- On messages from viewers

    def _receive(self, _: object, message: dict, buffers: object) -> None:
        view = str(message.get("view"))
        with self._changed:
            try:
                self._handle(view, message)
            except Exception as problem:  # a person sees no traceback of the kernel's
                sentence = str(problem) if isinstance(problem, LedgerError) else repr(problem)
                self._send(view, "trouble", note=sentence)
            self._changed.notify_all()

    def _handle(self, view: str, message: dict) -> None:
        kind, image, batch = message["kind"], message.get("image"), self._batch
        look = self._look(view)
        has = message.get("has", ())
        if kind == "next":
            self._show(view, has, self.ledger.claim(look))
        elif kind == "hold":
            self.ledger.claim(replace(look, among=[image]))
        elif kind == "leave":
            self.ledger.claim(replace(look, among=[]))
        elif kind == "guess":
            self._send(view, "guess", note=self._guess(batch, image))
        elif kind == UNDO:
            self._undo(look, has)
        elif kind in (LABEL, SKIP, UNSURE):
            label = self.ledger.classes[message["label"]] if kind == LABEL else None
            try:
                following = self.ledger.record(look, image, kind, label, message.get("milliseconds"))
                said = {LABEL: f"Saved: {label}.", SKIP: "Skipped until later.", UNSURE: "Set aside."}[kind]
            except AlreadyAnswered:
                following, said = self.ledger.claim(look), "Somebody else was quicker with that one."
                if self.labeller in self.ledger.who_answered(image):
                    said = "That one had your answer already; Backspace takes the last one back."
            self._show(view, has, following, said)
        else:
            raise ValueError(f"a viewer sent {kind!r}, which nobody understands")

    def _undo(self, look: Look, has: Sequence[str]) -> None:
        view, image = look.viewer, self.ledger.undo(look)
        if image is None:
            self._show(view, has, self.ledger.claim(look), "Nothing to undo.")
        elif self._batch and image in self._batch.position:
            self._show(view, has, image, "Taken back. Here it is again.")
        elif self._thread is None:
            self._show(view, has, None, "Taken back. Run the cells again to answer anew.")
        else:
            self._taken_back = True
            self._pause("The rounds since then are computed anew …")
            if self._failure:
                self.play(self._loop)
            self._show(view, has, None, "Taken back.")

    def _look(self, view: str | None = None) -> Look:
        among = self._batch.digests if self._batch else []
        return Look(self.labeller, among, view, self._round, self.again)

    def _waiting(self, batch: _Batch) -> list[str]:
        return self.ledger.waiting(replace(self._look(), among=batch.digests))

    def _guess(self, batch: _Batch | None, image: str) -> str:
        if not batch or not batch.guess or image not in batch.position:
            return "The model has learned nothing yet that it could say about this image."
        self.ledger.note_guess(self._look(), image)
        proba = batch.guess(batch.position[image])
        first, second = (f"{self.ledger.classes[k]} ({100 * proba[k]:.0f} %)" for k in np.argsort(-proba)[:2])
        return f"The model says {first}, or else {second}."

    def _show(self, view: str, has: Sequence[str], image: str | None, note: str = "") -> None:
        """Have a viewer show an image, and small those after it; `has` are the ones whose pictures it has."""
        batch = self._batch
        if not batch or image not in batch.position:
            self._send(view, "show", image=None, name="", next=[], progress=self._progress(), note=note)
            return
        waiting = self._waiting(batch)
        following = [digest for digest in waiting if digest != image][:N_PREVIEWS]
        missing = [digest for digest in (image, *following) if digest not in has]
        self._send(
            view,
            "show",
            pictures={digest: batch.picture(digest) for digest in missing},
            image=image,
            # Without its sub-folder, which may be the answer.
            name=batch.images.names[batch.position[image]].rsplit("/", 1)[-1],
            next=following,
            progress=self._progress(batch, len(waiting)),
            note=note,
        )

    def _progress(self, batch: _Batch | None = None, left: int = 0) -> str:
        n_labels = sum(n for name, n in self.ledger.counts().items() if name is not None)
        parts = [f"{n_labels:,} labels in the ledger"]
        if batch:
            parts.insert(0, f"{left} of {len(batch.digests)} left")
            parts.insert(0, f"round {batch.round}" if batch.round else "images to check the model with")
        if np.isfinite(seconds := self.ledger.seconds_per_label(self.labeller)):
            parts.append(f"{seconds:.1f} s a label")
        return " · ".join(parts)

    def _send(
        self, view: str, kind: str, pictures: Mapping[str, bytes] = MappingProxyType({}), **content: object
    ) -> None:
        self.widget.send({"to": view, "kind": kind, "sent": list(pictures), **content}, [*pictures.values()])
