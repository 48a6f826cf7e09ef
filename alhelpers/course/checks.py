"""How the exercises in workshop/ answer a learner: a question about what is missing, and more on request."""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np

from alhelpers import queries
from alhelpers.learner import ActiveLearner
from alhelpers.tables import Table

Value = TypeVar("Value")


class NotYet(AssertionError):  # noqa: N818 - learners read it in every exercise that they begin
    """What an exercise still lacks. In a notebook it shows as its one sentence, without a traceback.

    The sentence is a question where it can be one; `more` says what to do, to those who ask by `hint()`.
    """

    last: ClassVar["NotYet | None"] = None

    def __init__(self, sentence: str, more: str = "") -> None:
        super().__init__(sentence)
        self.more, NotYet.last = more, self

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}" + (" (More: run hint() in a cell.)" if self.more else "")]


def hint() -> None:
    """Say more about the last "Not yet"."""
    if NotYet.last is None:
        print("No check is waiting for you: run one first.")
    else:
        print(NotYet.last.more or "There is no more to say: write what the sentence asks for.")


def check(fine: object, question: str, more: str) -> None:
    """Raise NotYet with this question, and more on request, unless `fine` is true."""
    if not fine:
        raise NotYet(question, more)


def whole(value: object, what: str) -> int:
    """A number as an int; NotYet, saying what is wanted, if it is none or not a whole one."""
    number = real(value, what)
    check(number == np.floor(number), f"is {number:g} a whole number?", f"No; {what}.")
    return int(number)


def real(value: object, what: str) -> float:
    """A number as a float; NotYet, saying what is wanted, if it is none."""
    number = np.asarray(given(value))
    single = number.shape == () and number.dtype.kind in "iufb" and np.isfinite(number)
    check(single, "is that one number?", f"You return {_described(value)}; {what}.")
    return float(number)


def array(value: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    """An array of numbers of this shape; NotYet, saying what is wanted, if it is none."""
    try:
        numbers = np.asarray(given(value))
        fine = numbers.shape == shape and numbers.dtype.kind in "iufb"
    except ValueError:  # rows of different lengths
        fine = False
    more = f"Wanted is {what}, of shape {shape}; yours is {_described(value)}."
    check(fine, "has your answer the shape that is asked for?", more)
    return numbers


def given(value: Value | None) -> Value:
    """What a learner's function returned; NotYet if that is nothing."""
    more = "End it with `return …`; without it, Python returns None."
    check(value is not None, "does your function return anything?", more)
    return value


def _described(value: object) -> str:
    shape = getattr(value, "shape", ())
    return f"an array of shape {shape}" if shape else f"{str(value)[:60]} (a {type(value).__name__})"


Said = str | tuple[str, Table]
"""What follows "Right. ": a sentence, or a sentence and a table."""


def checked(exercise: Callable[..., Said]) -> Callable[..., Table | None]:
    """Make a check of a function that raises NotYet or returns what to say after "Right. ".

    An error inside a learner's function is shown as Python shows it, from that function on. An error outside
    is one of the check, whatever led to it: the learner is told so and not blamed for it.
    """

    @functools.wraps(exercise)
    def run(*answers: object) -> Table | None:
        try:
            said = exercise(*answers)
        except NotYet:
            raise
        except Exception as error:
            if own := _from_notebook(error.__traceback__):
                raise error.with_traceback(own) from None
            raise NotYet(
                "is your answer of the kind that the text asks for? The check could not work with it.",
                f"The check stopped with {type(error).__name__}: {error}. If the kind of your answer is "
                "right, the fault is the check's and not yours; please report it.",
            ) from None
        NotYet.last = None
        sentence, table = said if isinstance(said, tuple) else (said, None)
        print("Right.", sentence)
        return table  # a notebook shows it below

    return run


def _from_notebook(traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback from the first frame on, below the check, that runs a notebook's code."""
    while traceback and traceback.tb_frame.f_globals.get("__name__") != "__main__":
        traceback = traceback.tb_next
    return traceback


class Watched(ActiveLearner):
    """An ActiveLearner whose fits are kept, each with what led to it, so that a check can judge the way."""

    class Fitted(NamedTuple):
        """One fit: the labels it had and how they came."""

        labeled: np.ndarray
        batches: list[int]  # how many labels between one fit and the next
        by_margin: bool  # whether each batch was the one with the smallest margins
        accuracy: float

        @property
        def unselected(self) -> bool:
            """Whether the labelled images are the first of the pool."""
            return bool((np.sort(self.labeled) == np.arange(len(self.labeled))).all())

    fits: ClassVar[list[Fitted]] = []

    def reset(self) -> None:  # noqa: D102 - as in ActiveLearner
        super().reset()
        self._by_margin = True

    def label_manually(self, n: int) -> None:  # noqa: D102
        margins = queries.margin(self.predict_proba(self.unlabeled))
        super().label_manually(n)
        self._by_margin &= bool(margins[:n].max() <= margins[n:].min(initial=1))

    def fit(self, stage: str = "", verbose: bool = True) -> None:  # noqa: D102
        super().fit(stage, verbose)
        batches = np.unique(self.label_round, return_counts=True)[1].tolist()
        self.fits.append(self.Fitted(self.labeled, batches, self._by_margin, self.history[-1].accuracy))
