"""What a notebook's parameters may be, and the check that stops it when they are something else.

A notebook declares its parameters in its first code cell, where papermill can read and replace them, one a
line: `name: type = value  # help (range)`. The range, in the comment's last brackets, reads "20 to 60,000",
"1 or more" or "not empty"; None is allowed where it is the value given. The second code cell calls
`check_parameters()`.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from alhelpers.data import N_TRAIN
from alhelpers.errors import UserError

_DECLARATION = re.compile(r"^(\w+) *: *([^=#\n]+?) *= *(.*?) *$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"^(\w+) *=[^=]", re.MULTILINE)
_IN_BRACKETS = re.compile(r"#.*\(([^()]*)\)$")
_NUMBER = r"(-?[\d,]+(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER} (?:to {_NUMBER}|or more)")


class ParameterError(UserError):
    """A parameter that cannot be used."""


class Rule(NamedTuple):
    """What one parameter may be: its type, by name, from where to where, and whether None will do."""

    type: str
    least: float = -math.inf
    most: float = math.inf
    optional: bool = False
    filled: bool = False

    def allowed(self) -> str:
        """In words, for an error message."""
        kind = {"bool": "True or False", "str": "text", "int": "a whole number"}.get(self.type, "a number")
        span = " that is not empty" if self.filled else ""
        if self.least > -math.inf:
            most = "up" if self.most == math.inf else f"to {self.most:,}"
            span = f" from {self.least:,} {most}"
        return kind + span + (", or None" if self.optional else "")

    def allows(self, value: Any) -> bool:
        """Whether a value is one of these; of a type that is not bool, int, float or str, every one is."""
        if self.type not in ("bool", "int", "float", "str"):
            return True
        if value is None:
            return self.optional
        if isinstance(value, bool) or self.type == "bool":
            return isinstance(value, bool) and self.type == "bool"
        if self.type == "str":
            return isinstance(value, str) and bool(value.strip() or not self.filled)
        right_type = isinstance(value, int) or (self.type == "float" and isinstance(value, float))
        return right_type and math.isfinite(value) and self.least <= value <= self.most


def declared(source: str) -> dict[str, Rule]:
    """What the parameters may be that a cell declares, by name.

    Raises ParameterError for a range that cannot be read.
    """
    return {name: _rule(name, kind, rest) for name, kind, rest in _DECLARATION.findall(source)}


def _rule(name: str, kind: str, rest: str) -> Rule:
    optional = rest.split("#")[0].strip() == "None"
    kind = kind.removesuffix("| None").removesuffix("|None").strip()
    brackets = _IN_BRACKETS.search(rest)
    said = brackets[1] if brackets else ""
    if said == "not empty":
        return Rule(kind, optional=optional, filled=True)
    if not re.search(r"\d", said):
        return Rule(kind, optional=optional)
    found = _RANGE.fullmatch(said)
    if not found:
        raise ParameterError(
            f"the comment of {name} ends in ({said}), which is no range; "
            "write one like (20 to 60,000) or (1 or more), or leave the numbers out"
        )
    ends = (end.replace(",", "") if end else "inf" for end in found.groups())
    least, most = (int(end) if end.isdigit() else float(end) for end in ends)
    return Rule(kind, least, most, optional)


# (smaller, larger, how an error says it): the first may not exceed the second, where both are parameters.
_AT_MOST = (
    ("label_budget", "n_pool", "there are not that many images to label"),
    ("batch_size", "label_budget", "one batch would spend more than the budget"),
    ("n_clusters", "n_pool", "there are not that many images to cluster"),
)


def check_parameters(namespace: Mapping[str, Any] | None = None) -> None:
    """Stop the notebook in one sentence if a parameter is unknown or has a value that makes no sense.

    `namespace` has variables by name, and in `In` the cells run so far, that with the parameters among them;
    by default it is the running notebook's.

    Raises ParameterError with the parameter's name, its value and what is allowed. In a script made of a
    notebook nothing is checked: its parameters are what its author wrote.
    """
    if namespace is None:
        from IPython import get_ipython

        if not (shell := get_ipython()):
            return
        namespace = shell.user_ns
    cells = list(namespace["In"])
    rules = _latest(cells)
    for name in _injected(cells) - set(rules):
        raise ParameterError(
            f"unknown parameter {name!r}{nearest(name, rules)}; this notebook has {', '.join(sorted(rules))}"
        )
    for name, rule in sorted(rules.items()):
        if name in namespace and not rule.allows(namespace[name]):
            raise ParameterError(f"{name} is {namespace[name]!r}; give {rule.allowed()}")
    given = {name: namespace[name] for name in rules if name in namespace}
    if given.get("folder"):  # nothing is taken from MNIST, and n_pool is not used
        given.pop("n_pool", None)
    _check_together(given)


def _check_together(given: Mapping[str, Any]) -> None:
    """The relations between parameters, of those a notebook has."""
    for small, large, why in _AT_MOST:
        if {small, large} <= set(given) and given[small] > given[large]:
            raise ParameterError(f"{small} is {given[small]:,} but {large} is {given[large]:,}: {why}")
    if {"batch_size", "label_budget", "n_pool"} <= set(given) and given["label_budget"] >= given["n_pool"]:
        raise ParameterError(
            f"label_budget and n_pool are both {given['n_pool']:,}: no image would be left to choose from"
        )
    if {"n_repeats", "n_pool", "n_test"} <= set(given) and given["n_pool"] + given["n_test"] > N_TRAIN:
        raise ParameterError(
            f"n_pool {given['n_pool']:,} and n_test {given['n_test']:,} together exceed the {N_TRAIN:,} "
            "images there are; give a smaller n_pool"
        )


def _latest(cells: list[str]) -> dict[str, Rule]:
    """What the parameters cell declares: the first cell that declares anything, as it was last run.

    A reader's own cells declare other names. One that was run again with changes has some of them.
    """
    names: set[str] = set()
    source = ""
    for cell in cells:
        found = {name for name, *_ in _DECLARATION.findall(cell)}
        if found and (not names or names & found):
            names, source = found, cell
    return declared(source)


def _injected(cells: list[str]) -> set[str]:
    """Names that papermill set: it puts them into a cell of their own, headed "# Parameters"."""
    set_by_it = [cell for cell in cells[:4] if cell.lstrip().split("\n")[0].strip() == "# Parameters"]
    return {name for cell in set_by_it for name in _ASSIGNMENT.findall(cell)}


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message that suggests a known name, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
