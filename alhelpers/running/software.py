"""Which software a run depends on: with another version of it, a run is another run."""

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from alhelpers import __version__
from alhelpers.files import PACKAGE, SHIPPED
from alhelpers.models import engine

_ALWAYS = ("numpy", "scipy", "tensorflow")
# How notebooks are run, checked and taught leaves their figures alone.
_WITHOUT_FIGURES = {"course", "running", "cli.py", "__main__.py"}
_distributions = cache(metadata.packages_distributions)
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w., \t]+))", re.MULTILINE)


def imported(sources: Iterable[str]) -> tuple[str, ...]:
    """The packages that cells import, without Python's own and this one; magics may stand among the lines."""
    names = set()
    for module, modules in _IMPORT.findall("\n".join(sources)):
        names |= {
            each.split()[0].partition(".")[0] for each in (module or modules).split(",") if each.strip()
        }
    return tuple(sorted(names - sys.stdlib_module_names - {"alhelpers", ""}))


@cache
def software(modules: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions here of what a run that imports these modules depends on, by name; without what is missing."""
    found = {
        "alhelpers": f"{__version__}+{digest_of(PACKAGE)}",
        "engine": engine(),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }
    packages = _distributions()
    for name in sorted({*_ALWAYS, *modules}):
        for package in packages.get(name, ()):
            found[package] = metadata.version(package)
    return found


def digest_of(package: Path) -> str:
    """Eight hexadecimal digits for the modules of a package that figures depend on, and for its data."""
    modules = (
        path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in _WITHOUT_FIGURES
    )
    parts = [*sorted(modules), package / SHIPPED]  # data that differ from SHIPPED are refused
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in parts)).hexdigest()[:8]


def difference(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """How the software of two machines differs, as the end of "the worker has"; empty if it does not."""
    for name in dict.fromkeys((*here, *there)):
        if there.get(name) != here.get(name):
            pair = (f"{name} {found[name]}" if name in found else f"no {name}" for found in (there, here))
            return " and the sweep has ".join(pair)
    return ""
