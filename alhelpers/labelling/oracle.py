"""Oracles that keep a ledger: what is answered there is not asked again.

So a loop that is run again from its beginning goes on where it stopped: the ledger answers what was asked
before, and a learner that gets the same answers asks the same questions.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.data import CANNOT_TELL
from alhelpers.errors import UserError
from alhelpers.labelling.events import LABEL, WAITING, Look
from alhelpers.labelling.ledger import Ledger

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images
    from alhelpers.learner import ActiveLearner

Guess = Callable[[int], np.ndarray]
"""From the position of an image among those asked about to the model's class probabilities."""


class OracleError(UserError):
    """What an oracle cannot answer."""


class LedgerOracle:
    """Somebody who is asked for labels and whose answers go into a ledger; a subclass says how to ask.

    Parameters
    ----------
    ledger : where the answers go, and where they are looked for first
    labeller : the name that stands beside them
    again : for a second opinion: ask about images too that somebody else has answered
    """

    def __init__(self, ledger: Ledger, labeller: str, again: bool = False) -> None:
        self.ledger, self.labeller, self.again = ledger, labeller, again

    def label(self, images: "Images", round: int = 0, guess: Guess | None = None) -> np.ndarray:
        """Labels of these images, int64 of shape (n,); -1 where the answer is "cannot tell".

        Parameters
        ----------
        images : what to ask about
        round : a number that the ledger keeps beside the answers; 0 for images that no learner chose
        guess : the model's opinion, for a person who wants to see it
        """
        answers = self._answers(images)
        missing, seen = [], set()
        for i in np.flatnonzero(answers == WAITING):
            if images.digests[i] not in seen:  # files with the same bytes are one image
                missing.append(i)
                seen.add(images.digests[i])
        if missing:
            self._ask(images.take(missing), round, guess and (lambda i: guess(missing[i])))
            answers = self._answers(images)
        return answers

    def for_pool(self, images: "Images", learner: "ActiveLearner") -> Callable[[np.ndarray], np.ndarray]:
        """An oracle for a learner whose pool are these images: from pool indices to labels."""

        def ask(queried: np.ndarray) -> np.ndarray:
            guess = (lambda i: learner.predict_proba(queried[[i]])[0]) if len(learner.history) else None
            return self.label(images.take(queried), len(learner.history) + 1, guess)

        return ask

    def play(self, loop: Callable[[], None]) -> object:
        """Run a loop that asks for labels."""
        return loop()

    def must_be_done(self) -> None:
        """Stop a notebook here while the loop still asks: what follows looks at what came of it."""

    def say(self, text: str) -> None:
        """Tell whoever is labelling how it goes."""
        print(text)

    def _answers(self, images: "Images") -> np.ndarray:
        if not self.again:
            return self.ledger.answers(images.digests)
        own = self.ledger.labels_of(self.labeller)
        waiting = set(self.ledger.waiting(Look(self.labeller, images.digests, again=True)))
        answers = [WAITING if d in waiting else own.get(d, CANNOT_TELL) for d in images.digests]
        return np.array(answers, np.int64)

    def _ask(self, images: "Images", round: int, guess: Guess | None) -> None:
        """Return when the ledger has an answer to each of these images."""
        raise NotImplementedError


class SimulatedPerson(LedgerOracle):
    """Answers with the known labels, but errs at a stated rate: any other class then, each as likely.

    Parameters
    ----------
    error_rate : share of the answers that are wrong, 0 to 1
    seed : decides which, image by image, so the order of the questions does not matter
    seconds_per_label : what the ledger says an answer took

    Raises OracleError if the error rate is no share, or, when asked, if an image has no known label.
    """

    def __init__(
        self,
        ledger: Ledger,
        error_rate: float = 0.0,
        seed: int = 0,
        labeller: str = "simulated person",
        again: bool = False,
        seconds_per_label: float = 2.0,
    ) -> None:
        super().__init__(ledger, labeller, again)
        if not 0 <= error_rate <= 1:
            raise OracleError(f"error_rate is {error_rate!r}; give a share from 0 to 1")
        self.error_rate, self.seed, self.seconds_per_label = error_rate, seed, seconds_per_label

    def _ask(self, images: "Images", round: int, guess: Guess | None) -> None:
        classes, look = self.ledger.classes, Look(self.labeller, round=round, again=self.again)
        for digest, name, known in zip(images.digests, images.names, images.known, strict=True):
            if known < 0:
                raise OracleError(
                    f"a simulated person cannot answer for {name!r}, whose label is not known; "
                    "let a person answer, or sort the images into a sub-folder for each class"
                )
            rng = np.random.default_rng([self.seed, int(digest[:16], 16)])
            wrong = rng.random() < self.error_rate
            label = (known + rng.integers(1, len(classes))) % len(classes) if wrong else known
            self.ledger.record(look, digest, LABEL, classes[label], int(1000 * self.seconds_per_label))
