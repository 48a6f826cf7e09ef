"""Which software a run depends on."""

import hashlib
from functools import cache
from pathlib import Path

from alhelpers import __version__
from alhelpers.files import PACKAGE, SHIPPED


@cache
def package_version() -> str:
    """This package's version and a digest of what is in it, so that an edited helper is another version."""
    return f"{__version__}+{digest_of(PACKAGE)}"


def digest_of(package: Path) -> str:
    """Eight hexadecimal digits for the modules of a package, those of its wings too, and its data files."""
    parts = [*sorted(package.rglob("*.py")), package / SHIPPED]  # data that differ from SHIPPED are refused
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in parts)).hexdigest()[:8]
