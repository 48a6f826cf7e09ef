"""The ledger: every label that people give, on disk before the next image appears.

What has happened is kept by `record.py`, what follows from it by `answers.py`; `reader.py` tells it, and
`exchange.py` knows other programs' files. Each call first takes in what other processes have recorded.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alhelpers.labelling.answers import Answers
from alhelpers.labelling.events import (
    CORRECT,
    GUESS,
    LABEL,
    SKIP,
    UNDO,
    UNSURE,
    AlreadyAnswered,
    LedgerError,
    Look,
)
from alhelpers.labelling.exchange import import_rows
from alhelpers.labelling.reader import LedgerReader
from alhelpers.labelling.record import Record

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images


class Ledger(LedgerReader):
    """The labels that people give to images, in one file, for several threads, processes and people at once.

    An image is known by the SHA-256 digest of its file, as 64 hexadecimal digits. A person's answer to it, a
    label or "cannot tell", stands until it is undone. People share the work: an image that anybody has
    answered is not asked again. With `Look(…, again=True)`, for second opinions, only a person's own answers
    count.

    Parameters
    ----------
    file : where the ledger is, or is to be made; its folder has to exist
    classes : names of the 2 to 36 classes. An existing ledger has to have the same, in this order; new ones
        may follow at the end
    images : digests of the images at hand, if known: a ledger with answers to other images only is refused

    Every method raises LedgerError, one sentence, if the file cannot be read or written, and has then changed
    nothing. The object goes on working as soon as the cause is gone, a full disk for instance.
    """

    def __init__(self, file: str | Path, classes: Sequence[str], images: Sequence[str] = ()) -> None:
        super().__init__(Record(file, classes))
        try:
            self._check_images(images)
        except BaseException:
            self.close()
            raise

    def claim(self, look: Look) -> str | None:
        """The next image for a viewer, who then has it for LEASE_SECONDS; None if there is none just now.

        It is the one the viewer has already, if that is among those of the look, still waits, and nobody else
        took it after the lease: so a look at that image alone keeps what is looked at for long. Otherwise it
        is the first of `waiting` that no other viewer has (for a second opinion, no other viewer of this
        person). A viewer has one image at most.
        """
        with self._transaction(write=True) as answers:
            return self._claim(look, answers)

    def record(
        self,
        look: Look,
        image: str,
        action: str,
        label: str | None = None,
        milliseconds: int | None = None,
    ) -> str | None:
        """Record what somebody did about an image, and return the viewer's next one as `claim` does.

        On return both are on disk, at the price of one. If the look is at no images, the claim just ends.

        Parameters
        ----------
        look : who did it, in which viewer and round
        image : digest
        action : LABEL with the class name as `label`, UNSURE for "cannot tell", or SKIP for "not now"
        milliseconds : from the image's appearance to this act, if known

        Raises AlreadyAnswered, having recorded nothing, if the image has an answer that counts. No image is
        ever answered twice; `claim` gives the next one.
        """
        if action not in (LABEL, UNSURE, SKIP) or (action == LABEL) != (label is not None):
            raise LedgerError(
                f"the action {action!r} came with the label {label!r}; "
                f"give {LABEL!r} with a class name, or {UNSURE!r} or {SKIP!r} with None"
            )
        with self._transaction(write=True) as answers:
            answers.check_person(look.who)
            event = self._record.event(image, action, label, look.who, look.round, milliseconds)
            for known in answers.of_image(image).values():
                if not look.again or known.who == look.who:
                    raise AlreadyAnswered(
                        f"image {image[:12]}… was answered, {known.label or UNSURE!r} by {known.who!r}; "
                        "nothing was recorded, so claim another"
                    )
            answers.add(self._record.append(event))
            if look.viewer is None:
                return None
            self._record.hold(look, None)
            return self._claim(look, answers)

    def correct(self, look: Look, image: str, label: str | None) -> None:
        """Put a label, or None for "cannot tell", in place of what people said about an image.

        What they said stays in the record, and in `labels_of`. Raises LedgerError if nobody has answered yet.
        """
        with self._transaction(write=True) as answers:
            answers.check_person(look.who)
            before = min(answers.of_image(image).values(), default=None)
            if before is None:
                raise LedgerError(f"image {image[:12]}… has no answer yet; record one")
            event = self._record.event(image, CORRECT, label, look.who, before.round)
            answers.add(self._record.append(event))

    def name_class(self, who: str, number: int, name: str) -> None:
        """Give a class another name, or add one with the number after the last; its labels follow.

        Raises LedgerError if the name is none, is or was another class's, or looks like one.
        """
        look = Look(who)
        with self._transaction(write=True) as answers:
            answers.check_person(look.who)
            self._record.name_class(number, name, look.who)

    def undo(self, look: Look, image: str | None = None) -> str | None:
        """Take back a person's last label, "cannot tell" or skip that is not undone yet; return its image.

        None if there is none. A look at images means the last about one of these. With `image`, take back
        what the person did last about that one, which may also be a correction or come from elsewhere. The
        viewer then has the image unless another has; somebody else may have answered it.
        """
        with self._transaction(write=True) as answers:
            undone = None if image is None else answers.of_image(image).get(look.who)
            if undone is None:
                among = set(look.among) if image is None else {image}
                undone = next(self._record.acts(look.who, among), None)
            if undone is None:
                return None
            event = self._record.event(undone.image, UNDO, None, look.who, look.round)
            answers.add(self._record.append(event._replace(undoes=undone.id)))
            if look.viewer is not None:
                is_free = undone.image not in self._record.held_by_others(look)
                self._record.hold(look, undone.image if is_free else None)
            return undone.image

    def note_guess(self, look: Look, image: str) -> None:
        """Record that a person was shown the model's guess about an image: it may have swayed the answer."""
        with self._transaction(write=True) as answers:
            answers.check_person(look.who)
            event = self._record.event(image, GUESS, None, look.who, look.round)
            answers.add(self._record.append(event))

    def held_by_others(self, look: Look) -> dict[str, str]:
        """The images of a look that other viewers have just now, each with the name of who looks at it."""
        with self._transaction():
            held = self._record.held_by_others(look)
            return {image: held[image] for image in look.among if image in held}

    def acts(self, who: str) -> list[str]:
        """The images that a person has labelled, set aside or skipped and not taken back, the last first."""
        with self._transaction():
            return [event.image for event in self._record.acts(who)]

    def waiting(self, look: Look) -> list[str]:
        """The images of a look that have no answer that counts, in order; those the person has skipped last.

        What was skipped first comes back first. A skip changes nobody else's order.
        """
        with self._transaction() as answers:
            return list(answers.waiting(look))

    def import_labels(
        self, path: str | Path, labeller: str | None = None, images: "Images | None" = None
    ) -> int:
        """Add answers from a .csv or .parquet file, all or none of them; return how many were new.

        Parameters
        ----------
        path : a file as `export` writes it, or any other with the columns image and label; labeller, when
            (UTC unless it says otherwise), round and milliseconds may follow. An empty label is a "cannot
            tell". Of a name that differs from a class in capitals or blanks, that class is meant. See
            `read_table` for separators and encodings
        labeller : who gave all of them; by default the column says
        images : the images at hand; then the column image (or file_name, file, path, name) may also hold
            names: the path below their folder, a whole one, or the file's name if only one has it

        Other people's answers to the same images stay, and what was recorded first stays the answer. Raises
        LedgerError, naming the row, if the file cannot be read, or a row makes no sense, contradicts another,
        or differs from what the same person has answered in the ledger.
        """
        with self._transaction(write=True) as answers:
            return import_rows(Path(path), labeller, images, self._record, answers)

    def _claim(self, look: Look, answers: Answers) -> str | None:
        if look.viewer is None:
            raise LedgerError("the look has no viewer, so nothing can have an image; give `viewer` a name")
        held_by_others = self._record.held_by_others(look)
        own = self._record.held_by(look.viewer)
        image = own
        if own in held_by_others or own not in answers.asked_by(look):
            image = next((image for image in answers.waiting(look) if image not in held_by_others), None)
        self._record.hold(look, image)
        return image

    def _check_images(self, images: Sequence[str]) -> None:
        with self._transaction() as answers:
            n = len(answers.standing())
            if n and images and not self._record.is_about(images):
                raise LedgerError(
                    f"{self.file} holds {n:,} answer{'s' * (n > 1)}, none of them about these "
                    f"{len(set(images)):,} images; give another ledger file, or the folder of images that it "
                    "is about"
                )
