"""What the doctor looks at in this machine and its Python, apart from kernels."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from alhelpers.course import advice
from alhelpers.course.advice import Problem

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
# Measured on Linux: notebook 08, the hungriest, takes 0.85 GB and JupyterLab 0.1 GB; `alhelpers run` takes
# 2.0 GB with four notebooks at the same time, 1.3 GB with two, 1.0 GB with one.
MEMORY_GB, RUN_GB = 1.1, 2.0
# The environment takes 1.7 GB, and pip puts the downloaded packages beside it; `make run` writes 10 MB.
DISK_GB = 0.1
DISK_TO_INSTALL_GB = 2.5


def check_python() -> str:
    """A Python of the right version, in an environment of its own."""
    version = platform.python_version()
    if sys.version_info[:2] not in PYTHONS:
        raise Problem(
            f"this is Python {version} and the tutorial needs 3.11 to 3.14; install one and start with it:",
            "python3.12 tutorial.py run",
        )
    if not advice.in_environment():
        raise Problem(
            f"Python {version} is {sys.executable}, not an environment's own; activate the environment and "
            "ask again, or make one:",
            advice.install_command(),
        )
    return f"{version} in {advice.short(sys.prefix)}"


def check_packages() -> str:
    """Packages as in requirements.lock; without it, those that alhelpers names, in versions it allows."""
    missing, other, count = [], [], 0
    for required in _required():
        if required.marker and not required.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            found = metadata.version(required.name) or "0"  # None if its installation was cut short
        except metadata.PackageNotFoundError:
            missing.append(required.name)
        else:
            if not required.specifier.contains(found, prereleases=True):
                wanted = str(required.specifier).removeprefix("==")
                other.append(f"{required.name} {found} instead of {wanted}")
    if missing or other:
        parts = [
            f"{len(names)} {what}: {advice.few(names)}"
            for what, names in (("missing", missing), ("in another version", other))
            if names
        ]
        raise Problem(f"{'; '.join(parts)}; mend with:", advice.install_command())
    if not advice.LOCK.exists():
        return f"{count} that alhelpers names; exact versions not checked without requirements.lock"
    return f"{count} in the versions of requirements.lock"


def _required() -> Iterator[Requirement]:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        try:
            from pip._vendor.packaging.requirements import Requirement  # what it names can then be told
        except ImportError:
            command = advice.install_command()
            raise Problem("packaging is missing, and most others with it; install them:", command) from None
    # Whoever has no TensorFlow wanted none, and NumPy's engine says so in its own line.
    without = not any(map(find_spec, ("tensorflow", "keras")))
    texts = (
        [line.partition("--hash")[0] for line in read_lock(advice.LOCK, without_tensorflow=without)]
        if advice.LOCK.exists()
        else metadata.requires("alhelpers") or []
    )
    return (Requirement(text.strip()) for text in texts)


def read_lock(file: Path, without_tensorflow: bool = False) -> list[str]:
    """Lines of a lock, one for each package: its requirement, then its hashes."""
    text = file.read_text(encoding="utf-8")
    if without_tensorflow:
        text = text.partition("# ---- TensorFlow")[0]  # see tutorial.py, which need not be there
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line[:1] not in ("", "#", "-")]


def check_data() -> str:
    """The data files are those that were shipped."""
    from alhelpers import files

    names = files.shipped(files.PACKAGE)
    for name in names:
        file = files.PACKAGE / name
        try:
            files.read_shipped(name, files.PACKAGE)
        except OSError as error:
            restore = f"git -C {advice.short(file.parent)} checkout -- {file.name}"
            raise Problem(f"{str(error).partition(advice.RESTORE)[0]}; restore it with:", restore) from None
    return f"{' and '.join(Path(name).name for name in names)} are whole"


def check_memory() -> str:
    """Enough memory is free for the hungriest notebook."""
    import psutil

    free = psutil.virtual_memory().available / 1e9
    if free < MEMORY_GB:
        raise Problem(
            f"{free:.1f} GB free, and JupyterLab with notebook 08 needs {MEMORY_GB:g} GB; close other "
            "programs, the browser first"
        )
    if free < RUN_GB:
        return f"{free:.1f} GB free; run one notebook at a time, with: alhelpers run --jobs 1"
    return f"{free:.1f} GB free ({MEMORY_GB:g} to {RUN_GB:g} GB needed)"


def check_disk() -> str:
    """Enough space in the working folder."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    installed = find_spec("jupyterlab") is not None
    needed = DISK_GB if installed else DISK_TO_INSTALL_GB
    if free < needed:
        what = "the results need" if installed else "the packages, which are still to install, need"
        raise Problem(f"{free:.1f} GB free in {Path.cwd()}, and {what} {needed:g} GB; make room there")
    return f"{free:.1f} GB free ({needed:g} GB needed)"


def check_folders() -> str:
    """Files can be written where notebooks and results go: tried, as permissions can mislead."""
    here = Path.cwd()
    there = (folder for folder in (here / "build", advice.REPOSITORY / "notebooks") if folder.exists())
    for folder in (here, *there):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise Problem(
                f"{folder} cannot be written to ({error.strerror}); work in a copy, in a folder of your own"
            ) from None
    return "the working folder and the notebooks can be written to"


def check_home() -> str:
    """Jupyter, IPython and matplotlib can write where they keep what is the user's."""
    for program, folder in _homes().items():
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise Problem(
                f"{folder} cannot be written to ({error.strerror}), where {program} keeps its files; take a "
                "home that can be:",
                'export HOME="$PWD/home" && mkdir -p "$HOME"' if os.name == "posix" else "",
            ) from None
    return f"{Path.home()} can be written to"


def _homes() -> dict[str, Path]:
    """Where programs keep the user's files, as they would find it themselves, without importing them."""
    home, given = Path.home(), os.environ.get
    found = {"IPython": Path(given("IPYTHONDIR") or home / ".ipython")}
    if sys.platform == "linux":
        config = Path(given("XDG_CONFIG_HOME") or home / ".config")
        data = Path(given("XDG_DATA_HOME") or home / ".local" / "share")
        found["matplotlib"] = Path(given("MPLCONFIGDIR") or config / "matplotlib")
        found["Jupyter"] = Path(given("JUPYTER_RUNTIME_DIR") or data / "jupyter" / "runtime")
    return found


def check_port() -> str:
    """Programs on this machine can reach each other over TCP."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            with socket.create_connection(server.getsockname(), timeout=5):
                server.accept()[0].close()
    except OSError as error:
        raise Problem(
            f"no connection over 127.0.0.1 ({error}), which notebooks need to reach their kernel; let the "
            "firewall allow Python connections within this machine"
        ) from None
    return "127.0.0.1 can be used"
