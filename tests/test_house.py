"""The rooms of the package: which may import which, how large they may be, and how they read text."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = Path(__file__).resolve().parents[1] / "alhelpers"
WINGS = {"evidence", "labelling", "running", "course"}
MODULES = sorted(PACKAGE.rglob("*.py"))
# The two doors: one loads a wing when a name asks for it, the other when a command line is read.
DOORS = {PACKAGE / "__init__.py", PACKAGE / "cli.py"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else "core"


def imported_rooms(path: Path) -> Iterator[str]:
    """Rooms that a module imports from, in whichever way: by statement or by a name in a string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if re.fullmatch(r"alhelpers\.[\w.]*", node.value) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("alhelpers."):
                part = name.split(".")[1]
                yield part if part in WINGS or not part else "core"  # of f"alhelpers.{wing}" nobody can tell


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_arrows_lead_to_the_core_and_from_the_course_to_running(path):
    if path in DOORS:
        return
    allowed = {"core", room(path)} | ({"running"} if room(path) == "course" else set())
    assert set(imported_rooms(path)) <= allowed, f"{path.name} may import from {allowed}"


def test_the_core_stays_small():
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.glob("*.py")}
    assert lines["model.py"] <= 130
    assert lines["model_numpy.py"] <= 80
    total = sum(lines.values())
    assert total <= 1_900, f"the core has {total} lines; take {total - 1_900} away, or move some to a wing"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_class_is_long(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno - node.lineno < 200, f"{node.name} has too many lines"


def test_what_a_program_says_is_read_as_utf_8_on_every_system():
    """`text=True` would read it in Windows' code page, which turns the names of folders into others."""
    folders = ("alhelpers", "benchmarks", "site", "slides", "tools", "workshop")
    files = [path for folder in folders for path in (PACKAGE.parent / folder).rglob("*.py")]
    for path in [PACKAGE.parent / "tutorial.py", *files]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = {word.arg: ast.unparse(word.value) for word in getattr(node, "keywords", ())}
            as_text = "True" in (given.get("text"), given.get("universal_newlines"))
            assert not as_text or "encoding" in given, (
                f"{path.relative_to(PACKAGE.parent)}:{node.lineno} reads text without an encoding"
            )


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {"dask", "pip"}  # distributed is Dask's; pip is every environment's own
    for texts in (project["dependencies"], *project["optional-dependencies"].values()):
        declared |= {canonicalize_name(Requirement(text).name) for text in texts}
    providers = packages_distributions()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"alhelpers"}:
                found = {canonicalize_name(one) for one in providers.get(name, [name])}
                assert found & declared, f"{path.name} imports {name}, which pyproject.toml does not name"
