"""Labels of images as numbers, and the classes that they make."""

import re
from collections.abc import Iterable, Sequence
from numbers import Integral

import numpy as np

from alhelpers.errors import UserError
from alhelpers.labelling.names import clean, matching, twins

MOST_CLASSES = 36  # as many as there are keys for: 1 to 9, 0, a to z


class ImagesError(UserError):
    """Images that cannot be used."""


def _natural(name: str) -> list:
    """What to sort by for an order in which 10 comes after 9."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if i % 2 else (0, part) for i, part in enumerate(parts)]


def labels_as_numbers(labels: list, classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as indices into classes, int64 of shape (n,), and the classes."""
    labels = [_whole(label) for label in labels]
    given = [label for label in labels if not (label is None or label == -1)]
    numbers = all(isinstance(label, Integral) and not isinstance(label, bool) for label in given)
    if not numbers and (odd := [label for label in given if not isinstance(label, str)]):
        raise ImagesError(
            f"a label is {odd[0]!r:.80}; give either names or whole numbers, and None where there is no label"
        )
    if not numbers:
        labels = [label if label in (None, -1) else clean(label) for label in labels]
        if classes is not None:
            labels = [label if label in (None, -1) else matching(label, classes) or label for label in labels]
    present = {label for label in labels if not (label is None or label == -1)}
    check_alike("labels", () if numbers else present)
    if classes is None and present:
        n_classes = max(present) + 1 if numbers else len(present)
        if not 2 <= n_classes <= MOST_CLASSES:
            example = f"the largest is {max(present)}" if numbers else f"one is {min(present)!r:.80}"
            raise ImagesError(
                f"the labels make {n_classes:,} class{'es' * (n_classes != 1)} ({example}); give 2 to "
                f"{MOST_CLASSES} as classes, or labels=False if they are no labels"
            )
        classes = check_classes(
            [str(k) for k in range(n_classes)] if numbers else sorted(present, key=_natural)
        )
    classes = classes or ()
    index = {label: k for k, label in enumerate(range(len(classes)) if numbers else classes)}
    if unknown := present - set(index):
        raise ImagesError(
            f"a label is {min(unknown)!r:.80}, and the classes are {', '.join(map(repr, classes))}; "
            f"give {f'numbers from 0 to {len(classes) - 1}' if numbers else 'classes with all labels'}, "
            "or labels=False"
        )
    index |= {None: -1, -1: -1}
    return np.array([index[label] for label in labels], np.int64), classes


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of classes, without blanks at their ends. Raises ImagesError unless they are 2 to 36."""
    names = list(classes) if isinstance(classes, list | tuple | np.ndarray) else []  # a set has no order
    # What UTF-8 cannot write, half a surrogate pair, no ledger takes.
    good = [n for n in names if isinstance(n, str) and n.strip() and n.encode(errors="ignore").decode() == n]
    if not 2 <= len(names) <= MOST_CLASSES or len(set(good)) != len(names):
        shown = " ".join(repr(classes).split())
        raise ImagesError(f"classes is {shown:.200}; give a list of 2 to {MOST_CLASSES} different names")
    check_alike("classes", map(str, names))
    return tuple(clean(str(name)) for name in names)


def check_alike(what: str, names: Iterable[str]) -> None:
    """Raise ImagesError if two of these names look alike."""
    if alike := twins(sorted(names)):
        raise ImagesError(f"the {what} {alike[0]!r} and {alike[1]!r} look alike; rename one of them")


def _whole(label: object) -> object:
    """A label as pandas means it, which makes 1.0 of 1 where others are missing, and NaN of those."""
    if not isinstance(label, float):
        return label
    return None if label != label else int(label) if label.is_integer() else label
