"""How the exercises in workshop/ answer a learner: one sentence that says what is missing or wrong."""


class NotYet(AssertionError):  # noqa: N818 - learners read it in every exercise that they begin
    """What an exercise still lacks. In a notebook it shows as its one sentence, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def check(fine: object, sentence: str) -> None:
    """Raise NotYet with this sentence unless `fine` is true."""
    if not fine:
        raise NotYet(sentence)
