"""The environment is described once: pyproject.toml, both locks and environment.yml agree."""

import re
import tomllib
from importlib import metadata
from itertools import product
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import tutorial
from alhelpers.course.machine import PYTHONS as SUPPORTED
from alhelpers.models import engine

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = {name: (ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-dev.lock")}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))

# One line per package once continued lines are joined: requirement, then hashes. Options, which should
# not be there, are left to a test below.
LINES = "".join(LOCKS.values()).replace("\\\n", " ").splitlines()
LOCK_LINES = [line for line in LINES if line[:1] not in ("", "#", "-")]


def locked(text: str) -> list[Requirement]:
    lines = text.replace("\\\n", " ").splitlines()
    return [
        Requirement(line.partition("--hash")[0].strip()) for line in lines if line[:1] not in ("", "#", "-")
    ]


READING, _, TENSORFLOW = map(locked, LOCKS["requirements.lock"].partition(tutorial.HEADING))
LOCKED = [*READING, *TENSORFLOW, *locked(LOCKS["requirements-dev.lock"])]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(text) for group in (PROJECT["dependencies"], *EXTRAS.values()) for text in group]
PYTHONS = [f"{major}.{minor}" for major, minor in SUPPORTED]
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))


def applies(requirement: Requirement, environment: dict[str, str] | None = None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def environment_of(python: str, system: str, machine: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_machine": machine,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "os_name": "nt" if system == "win32" else "posix",
    }


def name_of(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def version_of(entry: Requirement) -> str:
    return next(iter(entry.specifier)).version


def test_conda_asks_for_the_same_python_as_the_package():
    python = next(Requirement(item) for item in CONDA["dependencies"] if str(item).startswith("python"))
    assert python.specifier == SpecifierSet(PROJECT["requires-python"]), (
        f"environment.yml says 'python {python.specifier}' and pyproject.toml requires-python = "
        f"'{PROJECT['requires-python']}'; write the range of pyproject.toml into environment.yml"
    )


def test_tutorial_py_looks_for_every_python_that_will_do():
    assert sorted(tutorial.PYTHONS) == PYTHONS


def test_conda_leaves_everything_but_python_and_pip_to_the_lock():
    *from_conda, pip_section = CONDA["dependencies"]
    assert [Requirement(item).name for item in from_conda] == ["python", "pip"], (
        f"environment.yml takes {from_conda} from conda; leave only python and pip there, so that the "
        "lock decides every other version"
    )
    assert pip_section == {"pip": ["-r requirements.lock"]}, (
        f"the pip section of environment.yml is {pip_section}; let it hold '-r requirements.lock' only"
    )
    assert CONDA["channels"] == ["conda-forge", "nodefaults"], (
        f"environment.yml names the channels {CONDA['channels']}; use conda-forge and nodefaults only"
    )


@pytest.mark.parametrize("direct", DIRECT, ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_locked_wherever_it_is_needed(direct: Requirement):
    for python, (system, machine) in product(PYTHONS, SYSTEMS):
        environment = environment_of(python, system, machine)
        if not applies(direct, environment):
            continue
        same_name = [entry for entry in LOCKED if name_of(entry) == name_of(direct)]
        found = [entry for entry in same_name if applies(entry, environment)]
        where = f"Python {python} on {system} {machine}"
        assert len(found) == 1, (
            f"for {where}, the locks have {len(found)} entries for '{direct}' of pyproject.toml, "
            "not one; run `make lock`"
        )
        assert direct.specifier.contains(version_of(found[0])), (
            f"for {where}, the locks have '{found[0]}', which pyproject.toml's '{direct}' does "
            "not allow; run `make lock`"
        )


def test_lock_holds_exact_versions_with_hashes_and_no_addresses():
    for requirement, line in zip(LOCKED, LOCK_LINES, strict=True):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), (
            f"a lock has '{requirement}', which is not one exact version; run `make lock`"
        )
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), (
            f"a lock has no sha256 hash for '{requirement}', so pip refuses the whole file; run `make lock`"
        )
    for name, text in LOCKS.items():
        for address in ("://", "--index", "--extra-index", "--find-links", " @ "):
            assert address not in text, (
                f"{name} contains '{address}'; it must not say where from: `make lock`"
            )


def test_the_locks_are_of_one_resolution_and_each_holds_what_it_is_for():
    assert LOCKS["requirements-dev.lock"].count("\n-r requirements.lock\n") == 1, "`make lock`"
    forks = {(name_of(entry), str(entry.marker)) for entry in LOCKED}
    assert len(forks) == len(LOCKED), "a package stands twice for the same machines; `make lock`"
    reading, more = ({name_of(entry) for entry in part} for part in (READING, TENSORFLOW))
    needed = [*PROJECT["dependencies"], *EXTRAS["label"], *EXTRAS["regression"], *EXTRAS["build"]]
    direct = {name_of(Requirement(text)) for text in needed}
    assert direct - more <= reading, "requirements.lock lacks what notebooks need; `make lock`"
    assert direct & more == {"tensorflow", "tensorflow-cpu"}, "the heading is in the wrong place; `make lock`"
    assert not {"sphinx", "playwright", "distributed", "mypy"} & (reading | more), "readers do without"


def test_reading_installs_no_more_than_it_has_to():
    for python, (system, machine) in product(PYTHONS, SYSTEMS):
        count = sum(
            applies(entry, environment_of(python, system, machine)) for entry in [*READING, *TENSORFLOW]
        )
        assert count <= 140, f"{count} packages for {system} {machine}; does a new one have to be there?"


@pytest.mark.parametrize(
    ("package", "reason"),
    [
        ("rfc3987-syntax", "every import of nbformat then builds a grammar, for two seconds"),
        ("pandas", "Keras imports it wherever it is installed, so every kernel starts later"),
        ("scikit-learn", "Keras imports it wherever it is installed, so every kernel starts later"),
    ],
)
def test_packages_that_slow_every_kernel_are_left_out(package: str, reason: str):
    assert package not in map(name_of, LOCKED), (
        f"{package} came into the locks: {reason}; constrain it in tools/lock.py and `make lock`"
    )
    installed = {canonicalize_name(found.name) for found in metadata.distributions()}
    assert package not in installed, (
        f"{package} is installed: {reason}; uninstall it, or start over with `make clean`"
    )


def test_installed_versions_are_the_locked_ones():
    different = []
    without = engine() == "numpy"  # TensorFlow may be left out
    for entry in filter(applies, LOCKED):
        try:
            installed = metadata.version(entry.name)
        except metadata.PackageNotFoundError:
            installed = "none"
        if installed != version_of(entry) and not (without and entry in TENSORFLOW and installed == "none"):
            different.append(f"{entry.name}: {installed} installed, {version_of(entry)} locked")
    assert not different, (
        "the figures were made with the versions in the locks; install those with `make clean` and the same "
        "command again\n  " + "\n  ".join(different)
    )
