"""Gather the repository and the packages it needs in one folder, to install from without a network."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.markers import default_environment
from packaging.requirements import Requirement

from alhelpers.course.advice import REPOSITORY
from alhelpers.course.machine import PYTHONS, read_lock
from alhelpers.files import MARK, replacing

START_HERE = "START-HERE.txt"
_TEXT = """\
Active learning on MNIST: installing without a network

Before anything is installed, open try.html in a browser (a double click will do).
It needs no Python and no network.

The folder wheels/ beside this file holds every package for these machines,
Python version first:

    {targets}

You need one of these Pythons (python.org has them for Windows and macOS), and
4 GB of disk. First copy this whole folder from the stick to your disk: on
Windows to a short path such as C:\\tutorial, as long ones are cut off there.
Then open a terminal in the copy; on Windows write py -{python} for python3.

    python3 tutorial.py doctor    (installs, checks everything, says what to do)
    python3 tutorial.py run       (runs all notebooks)
    python3 tutorial.py lab       (opens them in JupyterLab)

The exercises are in workshop/exercises.
"""


class Target(NamedTuple):
    """Machines to gather packages for.

    name: as in 3.12/win_amd64; python: as in 3.12; tags: of wheels they take, none for this machine;
    environment: what the markers of requirements.lock ask for.
    """

    name: str
    python: str
    tags: tuple[str, ...]
    environment: dict[str, str]


def this_machine() -> Target:
    """Machines like this one, with this Python."""
    python = "{}.{}".format(*sys.version_info)
    name = f"{python}/{re.sub('[-.]', '_', sysconfig.get_platform())}"
    return Target(name, python, (), default_environment())


def parse_target(text: str) -> Target:
    """Read PYTHON/PLATFORM, the platform as wheels name it. Raises ValueError if it is not one."""
    versions = "|".join(f"{major}\\.{minor}" for major, minor in PYTHONS)
    systems = r"win_amd64|macosx_\d+_\d+_arm64|manylinux_2_(\d+)_(x86_64|aarch64)"
    if not (match := re.fullmatch(rf"({versions})/({systems})", text)):
        raise ValueError(
            f"{text!r} is no machine to gather packages for; write Python 3.11 to 3.14 and a platform, as in "
            "3.12/win_amd64, 3.13/macosx_14_0_arm64 or 3.12/manylinux_2_28_x86_64 (2.28 is glibc's version)"
        )
    python, platform_tag, glibc, machine = match.groups()
    tags = (platform_tag,)
    if glibc:
        # pip takes a newer glibc to include older ones only on the machine it runs on.
        tags = tuple(f"manylinux_2_{minor}_{machine}" for minor in range(int(glibc), 4, -1))
        tags += (f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}")
        values = ("posix", "linux", "Linux", machine)
    elif platform_tag.startswith("win"):
        values = ("nt", "win32", "Windows", "AMD64")
    else:
        values = ("posix", "darwin", "Darwin", "arm64")
    names = ("os_name", "sys_platform", "platform_system", "platform_machine")
    environment = dict(zip(names, values, strict=True))
    environment |= {"python_version": python, "python_full_version": f"{python}.9"}
    return Target(text, python, tags, default_environment() | environment)


def make_bundle(out: Path, targets: Sequence[str] = (), repository: Path = REPOSITORY) -> None:
    """Write a folder with a clean copy of the repository, wheels/ and instructions; it appears whole.

    Parameters
    ----------
    out : the folder to write; an earlier bundle there is replaced, and its wheels are used again
    targets : machines to gather packages for beside this one, as in 3.12/win_amd64
    repository : a git clone; what is not committed stays behind

    Raises ValueError if `out` holds something else or a target is none, OSError if something cannot be had.
    """
    out = out.resolve()
    everyone = {target.name: target for target in (this_machine(), *map(parse_target, targets))}
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or _is_as_made(out))):
        raise ValueError(
            f"{out} is not an earlier bundle, or has been worked in; give a new or an empty folder to --out"
        )
    with replacing(out, check=False) as fresh:  # git has looked, and a damaged wheel may go
        _clone(repository, fresh)
        _make_try(fresh)
        wheels = fresh / "wheels"
        for target in everyone.values():
            _download(target, fresh / "requirements.lock", wheels, out / "wheels", repository / "wheels")
        (wheels / "FOR.txt").write_text(", ".join(everyone) + "\n", encoding="utf-8")
        on_windows = [target.python for target in everyone.values() if target.environment["os_name"] == "nt"]
        python = [*on_windows, this_machine().python][0]
        start_here = _TEXT.format(targets="\n    ".join(everyone), python=python)
        (fresh / START_HERE).write_text(start_here, encoding="utf-8")
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
    print(f"{out} is complete ({size:,.0f} MB); copy it to a stick, {START_HERE} in it says how to go on")


def lines_for(target: Target, lock: Path) -> list[str]:
    """The lines of a lock that apply to these machines, without markers.

    pip evaluates markers for the Python that it runs on, whatever machines it is told to gather for.
    """
    lines = []
    for line in read_lock(lock):
        text, *hashes = line.split("--hash")
        requirement = Requirement(text.strip())
        if not requirement.marker or requirement.marker.evaluate(target.environment):
            requirement.marker = None
            lines.append("--hash".join([f"{requirement} ", *hashes]))
    return lines


def _is_as_made(folder: Path) -> bool:
    """Whether a folder is a bundle, with nothing added or changed."""
    if not (folder / ".git").is_dir():
        return False
    added = _git(folder, "status", "--porcelain", "--ignored").splitlines()
    return sorted(set(added) - {"!! try.html"}) == [f"!! {MARK}", f"!! {START_HERE}", "!! wheels/"]


def _clone(repository: Path, folder: Path) -> None:
    """Copy what is committed, with enough of git to restore a file, and no trace of where it came from."""
    try:
        if _git(repository, "status", "--porcelain"):
            print("Note: what is not committed stays out of the bundle")
        _git(repository, "clone", "--quiet", "--no-local", "--depth=1", "--template=", ".", str(folder))
        _git(folder, "remote", "remove", "origin")
    except FileNotFoundError:
        raise OSError("git is missing, and with it the repository is copied; install it") from None
    except subprocess.CalledProcessError as failure:
        why = failure.stderr.strip().splitlines()[-1:] or ["it does not say why"]
        raise OSError(f"git cannot copy {repository} ({why[0]}); give it a clone of the repository") from None
    shutil.rmtree(folder / ".git" / "logs", ignore_errors=True)


def _make_try(folder: Path) -> None:
    """Put the page that needs no installation into a copy of the repository."""
    script = folder / "site" / "try" / "build.py"
    # Its own package makes it, and leaves no bytecode there.
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, script, folder / "try.html"], env=env, stdout=subprocess.PIPE)
    if done.returncode:
        raise OSError("try.html cannot be made, for the reason above")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout


def _download(target: Target, lock: Path, wheels: Path, *earlier: Path) -> None:
    """Put the wheels that a lock names for these machines into a folder, from earlier folders if they can."""
    lines = lines_for(target, lock)
    file = wheels.with_name("gather.txt")
    file.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(file), "-d", str(wheels)]
    if target.tags:
        command += [f"--python-version={target.python}", *(f"--platform={tag}" for tag in target.tags)]
    there = [f"--find-links={folder}" for folder in earlier if folder.is_dir()]
    # Without a network; then only what is missing; and all of it, should what is there be damaged.
    ways = [["--no-index", *there], there, []] if there else [[]]
    complaints = []
    print(f"{target.name}: gathering {len(lines)} wheels, some 0.4 GB if none is there yet …", flush=True)
    try:
        for way in ways:
            done = subprocess.run(
                [*command, *way], stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
            )
            if not done.returncode:
                return
            complaints.append(done.stderr)
    finally:
        file.unlink()
    # Where there are wheels already, the first way says only that some are missing.
    print(complaints[:2][-1], file=sys.stderr, end="")
    raise OSError(f"pip cannot gather the wheels for {target.name}; it says why above")
