"""Oracles that keep a ledger: what is answered there is not asked again.

So a loop that is run again from its beginning goes on where it stopped: the ledger answers what was asked
before, and a learner that gets the same answers asks the same questions.
"""

import textwrap
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.data import CANNOT_TELL
from alhelpers.errors import check_count
from alhelpers.labelling.events import IMPORT, LABEL, WAITING, Event, Look
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.loop import Batch, Loop, OracleError, as_batch, begin

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images
    from alhelpers.learner import ActiveLearner


class LedgerOracle:
    """Somebody who is asked for labels and whose answers go into a ledger; a subclass says how to ask.

    Parameters
    ----------
    ledger : where the answers go, and where they are looked for first
    labeller : the name that the ledger keeps with them
    again : for a second opinion: ask about images too that somebody else has answered

    Raises LedgerError if the ledger has answers by somebody whose name differs in capitals or blanks only.
    """

    def __init__(self, ledger: Ledger, labeller: str, again: bool = False) -> None:
        self._look = Look(labeller, again=again)
        self.ledger, self.labeller, self.again = ledger, self._look.who, again
        ledger.check_person(self.labeller)
        self.take_stock()

    def take_stock(self) -> None:
        """Note which answers there are now: those that a loop which begins now finds, and did not ask for."""
        self.newest = max((event.id for event in self.answered().values()), default=0)

    def label(self, asked: "Images | Batch") -> np.ndarray:
        """Labels of these images, int64 of shape (n,); -1 where the answer is "cannot tell".

        Raises OracleError if they cannot be had now.
        """
        batch = as_batch(asked)
        labels = self._labels(batch)
        if (labels == WAITING).any():
            self._ask(batch)
            labels = self._labels(batch)
        return labels

    def for_pool(self, images: "Images", learner: "ActiveLearner") -> "PoolOracle":
        """An oracle for a learner whose pool are these images: from pool indices to labels."""
        return PoolOracle(self, images, learner)

    def play(self, loop: Loop, n_images: int | None = None) -> object:
        """Run a loop that yields the images it asks about and is sent their labels.

        `n_images`, how many it will ask about in all, tells a person how much is to come. Raises OracleError
        if the loop yields nothing.
        """
        self.take_stock()
        batches, labels = begin(loop), None
        with suppress(StopIteration):
            while True:
                labels = self.label(batches.send(labels))

    def must_be_done(self) -> None:
        """Stop a notebook here while the loop still asks: what follows looks at what came of it."""

    def answered(self) -> dict[str, Event]:
        """The answer to each image that counts when this oracle is asked, by digest."""
        found: dict[str, Event] = {}
        for event in self.ledger.standing(self.labeller if self.again else None):
            known = found.setdefault(event.image, event)
            if known.label is None and event.label is not None:
                found[event.image] = event  # a label before "cannot tell"
        return found

    def say(self, text: str) -> None:
        """Tell whoever is labelling how it goes."""
        print(textwrap.fill(text, 88, subsequent_indent="    "))

    def _labels(self, batch: Batch) -> np.ndarray:
        digests = batch.images.digests
        if not self.again:
            return self.ledger.answers(digests)
        own, waiting = self.ledger.labels_of(self.labeller), set(self._waiting(batch))
        return np.array([WAITING if d in waiting else own.get(d, CANNOT_TELL) for d in digests], np.int64)

    def _waiting(self, batch: Batch) -> list[str]:
        return self.ledger.waiting(self._look_at(batch))

    def _look_at(self, batch: Batch) -> Look:
        return replace(self._look, among=batch.digests, round=batch.round)

    def _ask(self, batch: Batch) -> None:
        """Return when the ledger has an answer to each image of the batch."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class PoolOracle:
    """A ledger's oracle as a learner asks it: a function from pool indices to labels."""

    oracle: LedgerOracle
    images: "Images"
    learner: "ActiveLearner"

    def __call__(self, queried: np.ndarray) -> np.ndarray:
        """Labels of these pool images, int64 of shape (n,); -1 where the answer is "cannot tell"."""
        return self.oracle.label(self._batch(queried))

    def next_batch(self, n: int) -> Batch:
        """The n images to ask about next, for a loop to yield before `learner.label_manually(n)`.

        First among them are those that have a label already and that the loop would not come to: see
        `n_known`. So no label is left unused because another was corrected.
        """
        passed_by, labelled = self._given(n)
        self.learner.ask_first(np.array(labelled if passed_by else [], np.int64))
        return self._batch(self.learner.unlabeled[:n])

    def n_known(self, n: int) -> int:
        """How many labels the ledger has that the loop will not come to; their images are put first.

        A loop that asks about n images at a time begins with `while known := learner.oracle.n_known(n)`, and
        in it labels and fits `known` images. So labels that were imported, or given in a loop with other
        settings, are learned from before anybody is asked. Those that this loop has asked for before, until
        the kernel died, come in the rounds that they came in; and those that it has asked for since it began,
        when it is run again from its beginning.
        """
        passed_by, _ = self._given(n)
        self.learner.ask_first(np.array(passed_by, np.int64))
        return len(passed_by)

    def _given(self, n: int) -> tuple[list[int], list[int]]:
        """Positions of unlabelled images with a label: those that the loop will not come to, and all."""
        n = check_count("n", n)
        learner, answered, this_round = self.learner, self.oracle.answered(), len(self.learner.history) + 1
        found = (answered.get(self.images.digests[i]) for i in learner.unlabeled)
        events = [event if event and event.id <= self.oracle.newest else None for event in found]
        labelled = [i for i, event in enumerate(events) if event and event.label is not None]
        passed_by = [i for i in labelled if events[i].action == IMPORT or events[i].round < this_round]
        if not passed_by and not _has_asked_before(events, n, this_round):
            passed_by = labelled
        return passed_by, labelled

    def for_learner(self, learner: "ActiveLearner") -> "PoolOracle":
        """The same for another learner on this pool: its questions carry its own round and guess."""
        return replace(self, learner=learner)

    def _batch(self, queried: np.ndarray) -> Batch:
        learner = self.learner
        guess = (lambda i: learner.predict_proba(queried[[i]])[0]) if len(learner.history) else None
        return Batch(self.images.take(queried), len(learner.history) + 1, guess)


def _has_asked_before(events: list[Event | None], n: int, this_round: int) -> bool:
    """Whether the answers of this round and later ones are to what this very loop asks, n at a time.

    `events` are the answers to the images that are left, None where there is none, in the order of asking.
    """
    n_asked = n
    while n_asked < len(events) and all(event and event.label is None for event in events[:n_asked]):
        n_asked += n  # nobody could tell any: the next ones are asked about before there is a fit
    rounds = [event.round if event else 0 for event in events]
    now, not_now = rounds[:n_asked], rounds[n_asked:]
    if this_round in not_now:
        return False  # another loop has asked about other images
    went_on = max(rounds, default=0) > this_round
    # It goes on when it has all answers; some may have been taken back since.
    return not went_on or now.count(this_round) >= len(now) / 2


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 1


class SimulatedPerson(LedgerOracle):
    """Answers with the known labels, but errs at a stated rate: any other class then, each as likely.

    Parameters
    ----------
    error_rate : share of the answers that are wrong, 0 to 1
    seed : decides which, image by image, so the order of the questions does not matter

    The ledger says of each answer that it took two seconds.

    Raises OracleError if the error rate is no share, or, when asked, if an image has no known label.
    """

    MILLISECONDS = 2000

    def __init__(
        self,
        ledger: Ledger,
        error_rate: float = 0.0,
        seed: int = 0,
        labeller: str = "simulated person",
        again: bool = False,
    ) -> None:
        super().__init__(ledger, labeller, again)
        if not _is_share(error_rate):
            raise OracleError(f"error_rate is {error_rate!r}; give a share from 0 to 1")
        self.error_rate, self.seed = error_rate, seed

    def _ask(self, batch: Batch) -> None:
        images, look, classes = batch.images, self._look_at(batch), self.ledger.classes
        for digest in self._waiting(batch):
            name, known = images.names[batch.position[digest]], images.known[batch.position[digest]]
            if known < 0:
                raise OracleError(
                    f"a simulated person cannot answer for {name!r}, whose label is not known; "
                    "let a person answer, or sort the images into a sub-folder for each class"
                )
            rng = np.random.default_rng([self.seed, int(digest[:16], 16)])
            wrong = rng.random() < self.error_rate
            label = (known + rng.integers(1, len(classes))) % len(classes) if wrong else known
            self.ledger.record(look, digest, LABEL, classes[label], self.MILLISECONDS)
