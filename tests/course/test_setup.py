"""The environment is described once: pyproject.toml, both locks and environment.yml agree."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import tutorial
from alhelpers.course.bundle import parse_target
from alhelpers.course.machine import PYTHONS as SUPPORTED
from alhelpers.models import engine

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = {name: (ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-dev.lock")}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def lines_of(lock: str) -> list[str]:
    """A line for each package, once continued ones are joined: requirement, then hashes. No options."""
    return [line for line in lock.replace("\\\n", " ").splitlines() if line[:1] not in ("", "#", "-")]


def locked(lock: str) -> list[Requirement]:
    return [Requirement(line.partition("--hash")[0].strip()) for line in lines_of(lock)]


READING, _, TENSORFLOW = map(locked, LOCKS["requirements.lock"].partition(tutorial.HEADING))
LOCKED = [*READING, *TENSORFLOW, *locked(LOCKS["requirements-dev.lock"])]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(text) for group in (PROJECT["dependencies"], *EXTRAS.values()) for text in group]
PYTHONS = [f"{major}.{minor}" for major, minor in SUPPORTED]
SYSTEMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_14_0_arm64", "win_amd64")
MACHINES = [parse_target(f"{python}/{system}") for python in PYTHONS for system in SYSTEMS]


def applies(requirement: Requirement, environment: dict[str, str] | None = None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def name_of(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def version_of(entry: Requirement) -> str:
    return next(iter(entry.specifier)).version


def test_the_same_pythons_will_do_for_everybody():
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed] == PYTHONS
    assert sorted(tutorial.PYTHONS) == PYTHONS


def test_conda_takes_python_and_pip_and_leaves_the_rest_to_the_lock():
    python, pip, section = CONDA["dependencies"]
    assert Requirement(python).name == "python"
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert Requirement(python).specifier == allowed, "write pyproject.toml's range into environment.yml"
    assert (pip, section) == ("pip", {"pip": ["-r requirements.lock"]}), "the lock decides every version"
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("direct", DIRECT, ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_locked_wherever_it_is_needed(direct: Requirement):
    same_name = [entry for entry in LOCKED if name_of(entry) == name_of(direct)]
    for machine in MACHINES:
        if not applies(direct, machine.environment):
            continue
        found = [entry for entry in same_name if applies(entry, machine.environment)]
        assert len(found) == 1, (
            f"for {machine.name}, the locks have {len(found)} entries for '{direct}' of pyproject.toml, "
            "not one; run `make lock`"
        )
        assert direct.specifier.contains(version_of(found[0])), (
            f"for {machine.name}, the locks have '{found[0]}', which pyproject.toml's '{direct}' does "
            "not allow; run `make lock`"
        )


def test_lock_holds_exact_versions_with_hashes_and_no_addresses():
    for requirement, line in zip(LOCKED, lines_of("".join(LOCKS.values())), strict=True):
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
    for machine in MACHINES:
        count = sum(applies(entry, machine.environment) for entry in [*READING, *TENSORFLOW])
        assert count <= 140, f"{count} packages for {machine.name}; does a new one have to be there?"


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
