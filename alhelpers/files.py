"""Files and folders that appear whole or not at all, and the data files that come with the package."""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGE = Path(__file__).parent
MARK = ".made-by-alhelpers"
"""In every folder that may be replaced: its files and their SHA-256. No name that a person would give."""
SHIPPED = "SHA256SUMS"
"""Lists the data files of the package, as `sha256sum` prints them."""


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A path to write a file at, which is then renamed to `path`; if anything fails, nothing remains."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")  # two may write at the same time
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())  # or after a power cut the name could be there without the content
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file whole; text as UTF-8, with its line endings as they are."""
    with draft_of(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(out: Path, again: bool = True, check: bool = True) -> Iterator[Path]:
    """A folder to fill, which then takes the place of `out`; if anything fails, `out` stays as it was.

    `again` says whether this one may be replaced in its turn: the file MARK is put into it. Raises ValueError
    if `out` holds anything and not that file, or, with `check`, anything that it did not hold at first.
    """
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / MARK).is_file())):
        raise ValueError(f"{out} is not the result of an earlier run; give a new or an empty folder")
    if check:
        check_as_written(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        fresh, old = Path(scratch) / out.name, Path(scratch) / f"{out.name}.old"
        fresh.mkdir()
        yield fresh
        if again:
            (fresh / MARK).write_text(json.dumps(_digests(fresh), indent=0))
        try:
            if out.exists():
                out.rename(old)
            fresh.rename(out)
        finally:
            if old.exists() and not out.exists():  # or the old one would go with the scratch folder
                old.rename(out)


def check_as_written(out: Path) -> None:
    """Raise ValueError, naming it, if somebody has added or changed a file in a folder that was replaced."""
    mark = out / MARK
    if not (mark.is_file() and (text := mark.read_text())):
        return  # a new folder, or one from when the mark was an empty file
    written = {}
    with suppress(ValueError):
        written = json.loads(text)
    for name, digest in _digests(out).items():
        if written.get(name) != digest:
            raise ValueError(
                f"{out / name} is not from the earlier run, or was changed since; move it away, or give a "
                "new or an empty folder"
            )


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, without what programs leave there, with a dot before its name."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(part[0] == "." for part in name.parts):
            with suppress(PermissionError), path.open("rb") as file:
                found[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def shipped(folder: Path = PACKAGE) -> dict[str, str]:
    """The package's data files and their SHA-256 digests, by path below the package."""
    lines = (folder / SHIPPED).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def read_shipped(name: str, folder: Path = PACKAGE) -> bytes:
    """The bytes of a data file that comes with the package.

    Raises OSError, with the command that restores it, if it is missing or its SHA-256 is another.
    """
    path, expected = folder / name, shipped(folder)[name]
    remedy = f'restore it with `git -C "{path.parent}" checkout -- {path.name}`'
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise OSError(f"{path} is missing; {remedy}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise OSError(f"{path} is damaged (SHA-256 {digest[:12]}…, expected {expected[:12]}…); {remedy}")
    return content
