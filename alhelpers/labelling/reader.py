"""What a ledger tells: labels, who gave them in what time, how far people agree, and tables of it all."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.agreement import Agreement, agreement
from alhelpers.labelling.answers import Answers
from alhelpers.labelling.copies import write_copies
from alhelpers.labelling.events import Event, LedgerError
from alhelpers.labelling.exchange import ANSWER, EVENT, export_events
from alhelpers.labelling.record import PAUSE, Record

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images


class LedgerReader:
    """The half of `Ledger` that changes nothing."""

    def __init__(self, record: Record) -> None:
        self.file, self._record, self._answers = record.file, record, Answers()

    def close(self) -> None:
        """Close the file."""
        self._record.close()

    def __enter__(self) -> "LedgerReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, with those that another process has added since."""
        with self._record.transaction():
            return self._record.classes

    def answers(self, images: Sequence[str]) -> np.ndarray:
        """The answer to each image, int64 of shape (n,): a class number, or CANNOT_TELL, or WAITING.

        It is the label recorded first among those that stand, and CANNOT_TELL if only that was said.
        """
        with self._transaction() as answers:
            return answers.numbers([image.lower() for image in images], self._record.classes)

    def counts(self) -> dict[str | None, int]:
        """Number of images by answer: every class in order, then None for those nobody can tell."""
        with self._transaction() as answers:
            return answers.counts(self._record.classes)

    def labellers(self) -> list[str]:
        """Everybody with an answer that stands, in alphabetical order."""
        return sorted({event.who for event in self.standing()})

    def standing(self, who: str | None = None) -> list[Event]:
        """All answers that stand, or one person's, in the order of recording."""
        with self._transaction() as answers:
            return answers.standing(who)

    def labels_of(self, who: str) -> dict[str, int]:
        """A person's labels that stand, class number by image. What they cannot tell is left out."""
        with self._transaction() as answers:
            numbers = self._record.numbers
            return {image: numbers[label] for image, label in answers.labels_of(who).items()}

    def agreement(self, one: str, other: str) -> Agreement:
        """How far two people agree on the images that both have labelled: see `agreement.py`."""
        return agreement(*np.array(list(self._pairs(one, other).values())).T)

    def disagreements(self, one: str, other: str) -> dict[str, tuple[int, int]]:
        """The images that two people have labelled differently, with both class numbers.

        Without those that somebody has settled by a correction.
        """
        pairs = self._pairs(one, other)
        with self._transaction() as answers:
            open_ones = [image for image, (a, b) in pairs.items() if a != b and not answers.correction(image)]
        return {image: pairs[image] for image in open_ones}

    def seconds_per_label(self, who: str) -> float:
        """Median time of a person's labels that stand, pauses left out; see PAUSE.

        NaN if fewer than three times are known: a pause before the first would count as a pace.
        """
        with self._transaction() as answers:
            times = answers.times(who)
            if len(times) < 3:
                return np.nan
            return sum(min(times[k], PAUSE) for k in ((len(times) - 1) // 2, len(times) // 2)) / 2000

    def check_person(self, who: str) -> None:
        """Raise LedgerError if somebody in the record has a name that looks like this one, but differs."""
        with self._transaction() as answers:
            answers.check_person(who)

    def minutes(self, who: str | None = None) -> float:
        """Time spent in all, by one person or all, also on skips and on what was undone.

        An answer counts for at most 30 seconds, so that pauses are left out; see PAUSE.
        """
        with self._record.transaction():
            return self._record.milliseconds(who) / 60_000

    def events(self, after: int = 0) -> list[Event]:
        """The record, from its beginning or from after the event with this id."""
        with self._record.transaction():
            return self._record.events(after + 1)

    def export(self, path: str | Path, names: "Images | Mapping[str, str] | None" = None) -> None:
        """Write the answers that stand to a .csv or .parquet file, one row each, in the order of recording.

        The columns are image (digest), name, label (empty, or null in Parquet, for "cannot tell"), labeller,
        when, round and milliseconds. With Images as `names`, an answer has a row for each file with the same
        bytes; a mapping gives one name by digest. The file appears whole or not at all.

        In a .csv file an apostrophe stands before text that a spreadsheet would run; `import_labels` takes it
        away again. Raises LedgerError if there is a file with that name, unless it is, byte for byte, an
        earlier export of this ledger.
        """
        export_events(Path(path), ANSWER, self.standing(), names, self._record)

    def export_history(self, path: str | Path, names: "Images | Mapping[str, str] | None" = None) -> None:
        """Write the whole record: as `export`, with every event and the columns id, action and undoes."""
        export_events(Path(path), EVENT, self.events(), names, self._record)

    def export_class_folders(self, folder: str | Path, images: "Images") -> str:
        """Copy the labelled ones of these images to a new folder, with a sub-folder for each class.

        So most programs take them, and `load_images`. Where people differ, the label given first counts.
        Returns in words how many there are, what was left out, and on how many people differ. Raises
        LedgerError if the folder is there and not empty, or cannot be written; then nothing is.
        """
        return self._copy(folder, images, with_table=False)

    def export_imagefolder(self, folder: str | Path, images: "Images") -> str:
        """As `export_class_folders`, for `datasets.load_dataset("imagefolder", data_dir=folder)`.

        The files are in `images`, and `metadata.csv` has for each its file_name, label, name and sha256, with
        apostrophes as in `export`.
        """
        return self._copy(folder, images, with_table=True)

    def _copy(self, folder: str | Path, images: "Images", with_table: bool) -> str:
        numbers = self.answers(images.digests)
        said = write_copies(Path(folder), images, numbers, self.classes, with_table)
        labels: dict[str, set[str | None]] = {}
        for event in self.standing():
            labels.setdefault(event.image, set()).add(event.label)
        n = sum(len(labels.get(image, set()) - {None}) > 1 for image in images.digests)
        return said + f"; {n:,} on which people differ with the label given first" * bool(n)

    @contextlib.contextmanager
    def _transaction(self, write: bool = False) -> Iterator[Answers]:
        """A transaction with what follows from all that any process has recorded."""
        with self._record.transaction(write):
            # Whatever goes wrong within, such as Ctrl-C between two lines, the next one begins anew.
            answers, self._answers = self._answers, Answers()
            answers = answers.updated_from(self._record)
            yield answers
            self._answers = answers

    def _pairs(self, one: str, other: str) -> dict[str, tuple[int, int]]:
        first, second = self.labels_of(one), self.labels_of(other)
        pairs = {image: (number, second[image]) for image, number in first.items() if image in second}
        if not pairs:
            people = ", ".join(map(repr, self.labellers())) or "nobody"
            raise LedgerError(
                f"no image has labels by both {one!r} and {other!r}; the ledger has answers by {people}"
            )
        return pairs
