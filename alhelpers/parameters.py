"""What a notebook's parameters may be, and the check that stops it when they are something else.

A notebook declares its parameters in its first code cell, one `name: type = value  # help` a line, where
papermill can read and replace them. Its second code cell calls `check_parameters()`.
"""

import ast
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from alhelpers.data import N_DRAWS, N_TEST, N_TRAIN
from alhelpers.errors import UserError


class ParameterError(UserError):
    """A parameter that cannot be used."""


class Rule(NamedTuple):
    """What one parameter may be: its type, the smallest and largest value, and whether None is allowed.

    For text, the smallest and largest length.
    """

    type: type
    least: float = -math.inf
    most: float = math.inf
    optional: bool = False

    def allowed(self) -> str:
        """In words, for an error message."""
        if self.type is bool:
            return "True or False"
        if self.type is str:
            return "text" if self.least <= 0 else "text that is not empty"
        kind = "a whole number" if self.type is int else "a number"
        span = f"from {self.least:,} up" if self.most == math.inf else f"from {self.least:,} to {self.most:,}"
        return f"{kind} {span}" + (", or None" if self.optional else "")


RULES = {
    "n_pool": Rule(int, 20, N_TRAIN),
    "n_test": Rule(int, 10, N_TEST),
    "seed": Rule(int, 0, optional=True),
    "batch_size": Rule(int, 1),
    "label_budget": Rule(int, 1),
    "auto_batch_size": Rule(int, 1),
    "n_clusters": Rule(int, 2, 100),
    "n_show": Rule(int, 1, 200),
    "price_per_label": Rule(float, 0),
    "n_repeats": Rule(int, 2, 100),
    "n_draws": Rule(int, 2, 10_000),
    "first_draw": Rule(int, 0, 900_000),  # choosing draws are numbered from 1,000,000
    "recompute": Rule(bool),
    "folder": Rule(str),
    "classes": Rule(str),
    "person": Rule(bool),
    "labeller": Rule(str, 1),
    "ledger_file": Rule(str, 1),
    "error_rate": Rule(float, 0, 1),
    "n_check": Rule(int, 10, N_TEST),
    "n_stop": Rule(int, 10, N_TEST),
}

# (smaller, larger, how an error says it): the first may not exceed the second, where both are parameters.
_AT_MOST = (
    ("label_budget", "n_pool", "there are not that many images to label"),
    ("batch_size", "label_budget", "one batch would spend more than the budget"),
    ("n_clusters", "n_pool", "there are not that many images to cluster"),
)


def check_parameters(namespace: Mapping[str, object] | None = None) -> None:
    """Stop the notebook in one sentence if a parameter is unknown or has a value that makes no sense.

    Parameters
    ----------
    namespace : mapping, optional
        Variable names and values, with `__annotations__` for the declared parameters and `In` for the cells
        run so far; by default those of the running notebook.

    Raises
    ------
    ParameterError
        Names the parameter, its value and what is allowed.
    """
    if namespace is None:
        from IPython import get_ipython

        namespace = get_ipython().user_ns
    declared = set(namespace.get("__annotations__", ()))
    for name in declared - set(RULES):
        namespace["__annotations__"].pop(name)  # or it would still be there when it has been corrected
        raise ParameterError(
            f"the parameters cell declares {name!r}, which is no known parameter{nearest(name, RULES)}"
        )
    for name in _injected(namespace.get("In", ())) - declared:
        raise ParameterError(
            f"unknown parameter {name!r}{nearest(name, declared)}; "
            f"this notebook has {', '.join(sorted(declared))}"
        )
    for name in sorted(declared):
        _check_value(name, namespace[name], RULES[name])
    for small, large, why in _AT_MOST:
        if {small, large} <= declared and namespace[small] > namespace[large]:
            raise ParameterError(
                f"{small} is {namespace[small]:,} but {large} is {namespace[large]:,}: {why}"
            )
    if "batch_size" in declared and namespace["label_budget"] >= namespace["n_pool"]:
        raise ParameterError(
            f"label_budget and n_pool are both {namespace['n_pool']:,}: no image would be left to choose from"
        )
    if "n_repeats" in declared and namespace["n_pool"] + namespace["n_test"] > N_TRAIN:
        raise ParameterError(
            f"n_pool {namespace['n_pool']:,} and n_test {namespace['n_test']:,} together exceed "
            f"the {N_TRAIN:,} images that fresh draws come from; give a smaller n_pool"
        )
    if "n_check" in declared and sum(namespace[name] for name in ("n_pool", "n_check", "n_stop")) > N_TRAIN:
        raise ParameterError(
            f"n_pool {namespace['n_pool']:,}, n_check {namespace['n_check']:,} and n_stop "
            f"{namespace['n_stop']:,} together exceed the {N_TRAIN:,} images there are; give a smaller n_pool"
        )
    if "recompute" in declared and not namespace["recompute"]:
        last = namespace["first_draw"] + namespace["n_draws"] - 1
        if last >= N_DRAWS:
            raise ParameterError(
                f"draws {namespace['first_draw']:,} to {last:,} are asked for and the results file holds "
                f"0 to {N_DRAWS - 1}; give a smaller first_draw or n_draws, or recompute = True"
            )


def _check_value(name: str, value: object, rule: Rule) -> None:
    if value is None and rule.optional:
        return
    types = (int, float) if rule.type is float else (rule.type,)
    right_type = isinstance(value, types) and (rule.type is bool or not isinstance(value, bool))
    size = len(value.strip()) if right_type and rule.type is str else value
    if not (right_type and rule.least <= size <= rule.most and math.isfinite(size)):
        raise ParameterError(f"{name} is {value!r}; give {rule.allowed()}")


def _injected(cells: object) -> set[str]:
    """Names that papermill set: it puts them into a cell of their own, headed "# Parameters"."""
    names: set[str] = set()
    for source in list(cells)[:4]:
        if source.lstrip().startswith("# Parameters"):
            names |= {
                n.id
                for n in ast.walk(ast.parse(source))
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
    return names


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message that suggests a known name, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
