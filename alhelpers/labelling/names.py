"""Names as people and spreadsheets write them: what counts as the same, and where there is doubt."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache


def clean(name: str) -> str:
    """A name composed (NFC) and without blanks at its ends, as it is kept."""
    return unicodedata.normalize("NFC", name).strip()


def is_name(name: object) -> bool:
    """Whether this is a name: a text with something to see in it that every file takes."""
    if not isinstance(name, str) or not fold(name) or "\0" in name:
        return False
    return name.encode(errors="ignore").decode() == name  # what UTF-8 cannot write is half a surrogate pair


@lru_cache(maxsize=4096)
def fold(name: str) -> str:
    """What is equal for names that look alike, whatever their capitals, blanks and invisible characters."""
    text = unicodedata.normalize("NFKC", name)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(text.casefold().split())


def matching(name: str, names: Sequence[str]) -> str | None:
    """The one of these names that is meant: the same, else the only one that looks alike, else None."""
    if name in names:
        return name
    alike = [other for other in names if fold(other) == fold(name)]
    return alike[0] if len(alike) == 1 else None


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Two different names that look alike, if there are any.

    Single characters may: "a" and "A" are two classes of handwriting.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(fold(name), name)
        if other != name and max(len(other.strip()), len(name.strip())) > 1:
            return other, name
    return None
