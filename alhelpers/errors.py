"""Errors that show as one sentence, and the checks that a number is a count, or above 0."""

import math
from numbers import Integral, Real


class UserError(ValueError):
    """What whoever uses this can put right: one sentence with the value, what was expected and what to do.

    A notebook shows the sentence without a traceback; the command line prints it and exits with 2.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def check_count(name: str, value: object, least: int = 1, most: float = math.inf) -> int:
    """The value as an int. Raises ValueError, naming it, unless it is a whole number from least to most."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        span = f"from {least:,} up" if most == math.inf else f"from {least:,} to {most:,}"
        raise ValueError(f"{name} is {value!r}; give a whole number {span}")
    return int(value)


def check_positive(name: str, value: object) -> float:
    """The value as a float. Raises ValueError, naming it, unless it is a number above 0."""
    if not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name} is {value!r}; give a number above 0")
    return float(value)
