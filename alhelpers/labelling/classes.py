"""Labels of images as numbers, and the classes that they make."""

import re
from collections.abc import Iterable, Sequence
from numbers import Integral

import numpy as np

from alhelpers.errors import UserError
from alhelpers.labelling.names import clean, is_name, matching, twins

MOST_CLASSES = 36  # as many as there are keys for: 1 to 9, 0, a to z


class ImagesError(UserError):
    """Images that cannot be used."""


def _natural(name: str) -> list:
    """What to sort by for an order in which 10 comes after 9."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if i % 2 else (0, part) for i, part in enumerate(parts)]


def labels_as_numbers(labels: list, classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as indices into classes, int64 of shape (n,), -1 where there is none; and the classes."""
    labels = [_as_meant(label) for label in labels]
    given = [label for label in labels if label is not None]
    if all(isinstance(label, Integral) and not isinstance(label, bool) for label in given):
        if classes is None:
            n = max(given, default=-1) + 1
            if given:
                _check_number(n, f"the largest is {n - 1}")
            classes = tuple(map(str, range(n)))
        known, wanted = range(len(classes)), f"numbers from 0 to {len(classes) - 1}"
    elif odd := [label for label in given if not isinstance(label, str)]:
        raise ImagesError(
            f"a label is {odd[0]!r:.80}; give either names or whole numbers, and None where there is no label"
        )
    else:
        labels = [label and (matching(label, classes or ()) or label) for label in labels]
        names = {label for label in labels if label is not None}
        check_alike("labels", names)
        if classes is None:
            _check_number(len(names), f"one is {min(names)!r:.80}")
            classes = class_names(sorted(names, key=_natural))
        known, wanted = classes, "classes with all labels"
    index = {label: k for k, label in enumerate(known)} | {None: -1}
    if unknown := set(labels) - set(index):
        raise ImagesError(
            f"a label is {min(unknown)!r:.80}, and the classes are {', '.join(map(repr, classes))}; "
            f"give {wanted}, or labels=False"
        )
    return np.array([index[label] for label in labels], np.int64), classes


def class_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of classes, without blanks at their ends. Raises ImagesError unless they are 2 to 36."""
    names = list(classes) if isinstance(classes, list | tuple | np.ndarray) else []  # a set has no order
    good = [name for name in names if is_name(name)]
    if not 2 <= len(names) <= MOST_CLASSES or len(set(good)) != len(names):
        shown = " ".join(repr(classes).split())
        raise ImagesError(
            f"classes is {shown:.200}; give 2 to {MOST_CLASSES} different names, "
            "as a list or separated by commas"
        )
    check_alike("classes", map(str, names))
    return tuple(clean(str(name)) for name in names)


def check_alike(what: str, names: Iterable[str], remedy: str = "rename one of them") -> None:
    """Raise ImagesError if two of these names look alike."""
    if alike := twins(sorted(names)):
        raise ImagesError(f"the {what} {alike[0]!r} and {alike[1]!r} look alike; {remedy}")


def _check_number(n_classes: int, example: str) -> None:
    """Raise ImagesError if labels make too few or too many classes."""
    if not 2 <= n_classes <= MOST_CLASSES:
        raise ImagesError(
            f"the labels make {n_classes:,} class{'es' * (n_classes != 1)} ({example}); give 2 to "
            f"{MOST_CLASSES} as classes, or labels=False if they are no labels"
        )


def _as_meant(label: object) -> object:
    """A label as it is kept, or None. pandas makes 1.0 of 1 where others are missing, and NaN of those."""
    if isinstance(label, str):
        return clean(label)
    if isinstance(label, float):
        label = None if label != label else int(label) if label.is_integer() else label
    return None if label is None or label == -1 else label
