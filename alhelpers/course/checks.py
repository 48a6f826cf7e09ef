"""How the exercises in workshop/ answer a learner: one sentence that says what is missing or wrong."""

from typing import ClassVar, NamedTuple, TypeVar

import numpy as np

from alhelpers.learner import ActiveLearner

Value = TypeVar("Value")


class NotYet(AssertionError):  # noqa: N818 - learners read it in every exercise that they begin
    """What an exercise still lacks. In a notebook it shows as its one sentence, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def check(fine: object, sentence: str) -> None:
    """Raise NotYet with this sentence unless `fine` is true."""
    if not fine:
        raise NotYet(sentence)


def given(value: Value | None) -> Value:
    """What a learner's function returned; raises NotYet if that is nothing."""
    if value is None:
        raise NotYet("your function returns nothing: end it with `return …`.")
    return value


class Scored(NamedTuple):
    """One call of `Watched.score`: what the learner had been through by then."""

    labeled: np.ndarray
    batches: list[int]  # how many labels between one fit and the next
    fitted: int  # how many labels the last fit had
    least_confident: bool  # whether each batch was the one that the model was least sure of
    n_images: int
    accuracy: float

    @property
    def from_the_top(self) -> bool:
        """Whether the labelled images are the first of the pool."""
        return bool((np.sort(self.labeled) == np.arange(len(self.labeled))).all())


class Watched(ActiveLearner):
    """An ActiveLearner whose scores are kept, each with what led to it, so that a check can judge the way."""

    scored: ClassVar[list[Scored]] = []

    def reset(self) -> None:  # noqa: D102 - as in ActiveLearner
        super().reset()
        self._least_confident = True

    def label_manually(self, n: int) -> None:  # noqa: D102
        unlabeled = self.unlabeled
        super().label_manually(n)
        confidence = self.predict_proba(unlabeled).max(axis=1)
        self._least_confident &= bool(confidence[:n].max() <= confidence[n:].min(initial=1))

    def score(self, x: np.ndarray, y: np.ndarray) -> float:  # noqa: D102
        accuracy = super().score(x, y)
        batches = np.unique(self.label_round, return_counts=True)[1].tolist()
        fitted = self.history[-1].n_labels if self.history else 0
        self.scored.append(Scored(self.labeled, batches, fitted, self._least_confident, len(y), accuracy))
        return accuracy
