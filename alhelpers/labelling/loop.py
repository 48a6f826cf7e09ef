"""A loop that asks: a generator that yields images and is sent their labels when all of them are answered.

So a program goes straight through it, and for a person it rests between two batches.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from alhelpers.errors import UserError

if TYPE_CHECKING:
    from alhelpers.labelling.images import Images

Guess = Callable[[int], np.ndarray]
"""From the position of an image among those asked about to the model's class probabilities."""


class OracleError(UserError):
    """What an oracle cannot answer, or cannot be asked."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What is asked about together.

    Attributes
    ----------
    images : what to ask about
    round : a number that the ledger keeps with the answers; 0 for images that no learner chose
    guess : the model's opinion, for a person who wants to see it; None if it has learned nothing yet
    """

    images: "Images"
    round: int = 0
    guess: Guess | None = None

    @cached_property
    def position(self) -> dict[str, int]:
        """Where among the images each digest is. Files with the same bytes are one image."""
        return {digest: i for i, digest in enumerate(self.images.digests)}

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """What is asked about, each once. One object, by which a ledger knows what it has counted."""
        return tuple(self.position)


Loop = Callable[[], Generator["Images | Batch", np.ndarray, None]]
"""A function with `labels = yield images` in it."""


class RestingLoop:
    """A loop that rests at each question until it is given the labels.

    Attributes
    ----------
    function : Loop
        What began it, to begin again with.
    batch : Batch or None
        What it asks just now.
    asked : dict of str to Batch
        Every image it has asked about so far, by digest, with the batch it was in.
    ended : bool
        Whether it asks nothing more.
    stopped : bool
        Whether `stop` ended it.
    failure : str
        If an exception has ended it, what that says.
    """

    def __init__(self, function: Loop) -> None:
        self.function, self._batches = function, begin(function)
        self.batch: Batch | None = None
        self.asked: dict[str, Batch] = {}
        self.ended, self.stopped, self.failure = False, False, ""

    def stop(self) -> None:
        """End it where it rests."""
        self._batches.close()
        self.batch, self.ended, self.stopped = None, True, True

    def go_on(self, labels: np.ndarray | None) -> None:
        """Run to the next question, or to the end; `labels` are those of `batch`, None at the beginning.

        What the loop raises is kept as `failure`, and raised only if it is no Exception, such as Ctrl-C.
        """
        self.batch, self.ended = None, True  # until it asks again
        try:
            self.batch, self.ended = as_batch(self._batches.send(labels)), False
            self.asked |= dict.fromkeys(self.batch.position, self.batch)
        except StopIteration:
            pass
        except BaseException as problem:
            name = "" if isinstance(problem, UserError) else f"{type(problem).__name__}: "
            self.failure = f"{name}{problem}"
            if not isinstance(problem, Exception):
                raise


def as_batch(asked: "Images | Batch") -> Batch:
    """Images as a batch that no learner chose; a batch as it is. Raises OracleError for anything else."""
    if not isinstance(asked, Batch) and not hasattr(asked, "digests"):
        shown = " ".join(repr(asked).split())
        raise OracleError(
            f"the loop yields {shown:.80}, which is no Images; yield a selection of them, such as "
            "`images.take([0, 1])`, or what `learner.oracle.next_batch(10)` returns"
        )
    return asked if isinstance(asked, Batch) else Batch(asked)


def begin(loop: Loop) -> Generator["Images | Batch", np.ndarray, None]:
    """A loop before its first question. Raises OracleError if it yields nothing."""
    batches = loop()
    if not isinstance(batches, Generator):
        raise OracleError(
            f"the loop returned {batches!r:.80} and yields nothing; put `labels = yield images` into it "
            "where it asks for labels"
        )
    return batches
