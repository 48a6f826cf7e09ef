"""The environment is described once: pyproject.toml, requirements.lock and environment.yml agree."""

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

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))

# One line per package once continued lines are joined: requirement, then hashes. Options, which should
# not be there, are left to a test below.
LINES = LOCK_TEXT.replace("\\\n", " ").splitlines()
LOCK_LINES = [line for line in LINES if line[:1] not in ("", "#", "-")]
LOCKED = [Requirement(line.partition("--hash")[0].strip()) for line in LOCK_LINES]
DIRECT = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
]
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))


def applies(requirement: Requirement, environment: dict[str, str] | None = None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def name_of(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def version_of(locked: Requirement) -> str:
    return next(iter(locked.specifier)).version


def test_conda_asks_for_the_same_python_as_the_package():
    python = next(Requirement(item) for item in CONDA["dependencies"] if str(item).startswith("python"))
    assert python.specifier == SpecifierSet(PROJECT["requires-python"]), (
        f"environment.yml says 'python {python.specifier}' and pyproject.toml requires-python = "
        f"'{PROJECT['requires-python']}'; write the range of pyproject.toml into environment.yml"
    )
    supported = [f"3.{minor}" for minor in range(30) if python.specifier.contains(f"3.{minor}")]
    assert supported == list(PYTHONS), (
        f"requires-python now allows {supported}; bring PYTHONS in this file, and PYTHONS and BASE in "
        "the Makefile, in step, then `make lock`"
    )


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
        environment = {
            "python_version": python,
            "python_full_version": f"{python}.9",
            "sys_platform": system,
            "platform_machine": machine,
            "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
            "os_name": "nt" if system == "win32" else "posix",
        }
        if not applies(direct, environment):
            continue
        same_name = [locked for locked in LOCKED if name_of(locked) == name_of(direct)]
        found = [locked for locked in same_name if applies(locked, environment)]
        where = f"Python {python} on {system} {machine}"
        assert len(found) == 1, (
            f"for {where}, requirements.lock has {len(found)} entries for '{direct}' of pyproject.toml, "
            "not one; run `make lock`"
        )
        assert direct.specifier.contains(version_of(found[0])), (
            f"for {where}, requirements.lock has '{found[0]}', which pyproject.toml's '{direct}' does "
            "not allow; run `make lock`"
        )


def test_lock_holds_exact_versions_with_hashes_and_no_addresses():
    for requirement, line in zip(LOCKED, LOCK_LINES, strict=True):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), (
            f"requirements.lock has '{requirement}', which is not one exact version; run `make lock`"
        )
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), (
            f"requirements.lock has no sha256 hash for '{requirement}', so pip refuses the whole file; "
            "run `make lock`"
        )
    for address in ("://", "--index", "--extra-index", "--find-links", " @ "):
        assert address not in LOCK_TEXT, (
            f"requirements.lock contains '{address}'; it must not say where from: `make lock`"
        )


@pytest.mark.parametrize(
    ("package", "reason"),
    [
        ("rfc3987-syntax", "every import of nbformat then builds a grammar, for two seconds"),
        ("pandas", "Keras imports it wherever it is installed, so every kernel starts later"),
        ("scikit-learn", "Keras imports it wherever it is installed, so every kernel starts later"),
    ],
)
def test_packages_that_slow_every_kernel_are_left_out(package: str, reason: str):
    assert package not in {name_of(locked) for locked in LOCKED}, (
        f"{package} came into requirements.lock: {reason}; constrain what asks for it, in [tool.uv] of "
        "pyproject.toml, and `make lock`"
    )
    installed = {canonicalize_name(found.name) for found in metadata.distributions()}
    assert package not in installed, (
        f"{package} is installed: {reason}; uninstall it, or start over with `make clean install`"
    )


def test_installed_versions_are_the_locked_ones():
    different = []
    for locked in filter(applies, LOCKED):
        try:
            installed = metadata.version(locked.name)
        except metadata.PackageNotFoundError:
            installed = "none"
        if installed != version_of(locked):
            different.append(f"{locked.name}: {installed} installed, {version_of(locked)} locked")
    assert not different, (
        "the figures were made with the versions in requirements.lock; install those with "
        "`make clean install` or `pip install -r requirements.lock`\n  " + "\n  ".join(different)
    )
