"""Check that everything the tutorial needs is here and works, and say what to do where it does not.

This module starts on Pythons that are too old and without a single package, so that it can say so.
"""

from __future__ import annotations

import ast
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from alhelpers import article

if TYPE_CHECKING:
    from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]  # not from alhelpers.running, which needs packages
LOCK = REPOSITORY / "requirements.lock"
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
# Measured on Linux: notebook 08, the hungriest, takes 0.85 GB and JupyterLab 0.1 GB; `alhelpers run` takes
# 2.0 GB with four notebooks at the same time, 1.3 GB with two, 1.0 GB with one.
MEMORY_GB, RUN_GB = 1.1, 2.0
# The environment takes 1.8 GB, and pip puts the downloaded packages beside it; `make run` writes 10 MB.
DISK_GB = 0.1
DISK_TO_INSTALL_GB = 2.5
# A laptop that scans every new file for viruses needs many times the two and five seconds that are usual.
KERNEL_SECONDS = 60
TENSORFLOW_SECONDS = 180


class Problem(Exception):  # noqa: N818 - not an error of the program
    """What is wrong and what to do, in one sentence; `command` is shown below it on a line of its own."""

    def __init__(self, sentence: str, command: str = "") -> None:
        super().__init__(sentence)
        self.command = command


def examine() -> int:
    """Make every check and print a line for each; return 0 if all are well, otherwise 1."""
    if hasattr(sys.stdout, "reconfigure"):  # a path may have letters that this terminal does not
        sys.stdout.reconfigure(errors="replace")
    failed = [name for name, check in CHECKS.items() if not _passes(name, check)]
    print(
        textwrap.fill(f"Not well: {', '.join(failed)}; the lines above say what to do.", 79)
        if failed
        else "All is well; `make run` or `alhelpers run` runs the notebooks."
    )
    return 1 if failed else 0


def _passes(name: str, check: Callable[[], str]) -> bool:
    command = ""
    try:
        status, sentence = "ok", check()
    except Problem as problem:
        status, sentence, command = "FAILED", str(problem), problem.command
    except ImportError as error:
        status, sentence = "FAILED", f"cannot be checked ({error}); do first what the line of packages says"
    except Exception as error:
        status = "FAILED"
        sentence = f"the check itself broke, which is worth a report: {type(error).__name__}: {error}"
    sentence = " ".join(sentence.split())
    print(
        textwrap.fill(
            sentence,
            79,
            initial_indent=f"{status:<7}{name:<12}",
            subsequent_indent=" " * 19,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
    if command:
        print(f"  {command}")
    sys.stdout.flush()
    return status == "ok"


# ---- The checks: each returns what it found, or raises Problem.


def check_python() -> str:
    """A Python of the right version, in an environment of its own."""
    version = platform.python_version()
    if sys.version_info[:2] not in PYTHONS:
        raise Problem(
            f"this is Python {version} and the tutorial needs 3.11 to 3.14; install one and start with it:",
            "python3.12 tutorial.py run",
        )
    if not _in_environment():
        raise Problem(
            f"Python {version} is {sys.executable}, not an environment's own; activate the environment and "
            "ask again, or make one:",
            _install_command(),
        )
    return f"{version} in {_short(sys.prefix)}"


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
            f"{len(names)} {what}: {_few(names)}"
            for what, names in (("missing", missing), ("in another version", other))
            if names
        ]
        raise Problem(f"{'; '.join(parts)}; mend with:", _install_command())
    if not LOCK.exists():
        return f"{count} that alhelpers names; exact versions not checked without requirements.lock"
    return f"{count} in the versions of requirements.lock"


def check_data() -> str:
    """The data files are those that were shipped."""
    from alhelpers import files

    names = files.shipped(files.PACKAGE)
    for name in names:
        file = files.PACKAGE / name
        try:
            files.read_shipped(name, files.PACKAGE)
        except OSError as error:
            restore = f"git -C {_short(file.parent)} checkout -- {file.name}"
            raise Problem(f"{str(error).partition(_RESTORE)[0]}; restore it with:", restore) from None
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
    there = (folder for folder in (here / "build", REPOSITORY / "notebooks") if folder.exists())
    for folder in (here, *there):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise Problem(
                f"{folder} cannot be written to ({error.strerror}); work in a copy, in a folder of your own"
            ) from None
    return "the working folder and the notebooks can be written to"


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


def check_kernel() -> str:
    """A kernel starts as in JupyterLab, answers, is of this environment and finds alhelpers."""
    renew = f"{_python()} -m ipykernel install --sys-prefix"
    if not find_spec("ipykernel"):
        raise Problem("ipykernel is missing, and without it no notebook runs; mend with:", _install_command())
    from jupyter_client.kernelspec import get_kernel_spec

    begin = time.monotonic()
    try:
        spec = get_kernel_spec("python3")
    except Exception as error:  # whatever is in that file
        raise Problem(
            f"the kernelspec python3 cannot be read ({error}); write it anew with:", renew
        ) from None
    file = _short(Path(spec.resource_dir) / "kernel.json")
    with tempfile.TemporaryFile() as log:
        try:
            prefix, finds_alhelpers = _ask_kernel(log)
        except FileNotFoundError:
            raise Problem(
                f"{file} starts {spec.argv[0]}, which is not there; write it anew:", renew
            ) from None
        except (RuntimeError, TimeoutError) as error:  # one exception of Jupyter for both of these
            if "died" in str(error):
                log.seek(0)
                why = _last_line(log.read())
                raise Problem(
                    f"the kernel that {file} names ends at once ({why}); write it anew with:", renew
                ) from None
            raise Problem(
                f"a kernel has started and not answered within {KERNEL_SECONDS} seconds; let the firewall "
                "allow Python connections within this machine, or wait until it is less busy"
            ) from None
        except OSError as error:
            raise Problem(
                f"no kernel can be started ({error}); set JUPYTER_RUNTIME_DIR to a folder you can write to"
            ) from None
    if Path(prefix).resolve() != Path(sys.prefix).resolve():
        raise Problem(f"{file} starts a kernel of {prefix}, another environment; write it anew with:", renew)
    if not finds_alhelpers:
        raise Problem(
            "the kernel does not find alhelpers; install it from the repository's folder with:",
            f"{_python()} -m pip install --no-deps --no-build-isolation -e .",
        )
    return f"started and answered after {time.monotonic() - begin:.1f} seconds"


def check_engine() -> str:
    """The article's model trains as published. In a process of its own, should TensorFlow crash."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _FIRST_FIT], capture_output=True, timeout=TENSORFLOW_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Problem(
            f"import and first fit took more than {TENSORFLOW_SECONDS} seconds; ask again when the "
            "computer is less busy"
        ) from None
    version, *accuracy = done.stdout.decode().strip().split("\n")
    if done.returncode in _ILLEGAL_INSTRUCTION:
        raise Problem(
            "this processor lacks instructions that TensorFlow was built with; set ALHELPERS_ENGINE=numpy, "
            "which does without and gives the same figures"
        )
    if done.returncode:
        why = _last_line(done.stderr)
        if done.returncode < 0:
            why = f"ended by {signal.Signals(-done.returncode).name}"
            if why.endswith("SIGKILL"):
                raise Problem(f"{why}, as when memory runs short; close other programs, the browser first")
        if "UserError: " in why:  # a wrong ALHELPERS_ENGINE
            raise Problem(why.partition("UserError: ")[2])
        if "DLL load failed" in why:
            raise Problem(f"{why}; install Microsoft's Visual C++ Redistributable for x64")
        if version:
            raise Problem(f"{version} can be imported, but the first fit fails: {why.partition(_RESTORE)[0]}")
        damaged = [] if "No module named" in why else ["--force-reinstall"]
        raise Problem(f"cannot be imported ({why}); mend with:", _install_command(*damaged))
    if float(accuracy[0]) != article.FIRST_ACCURACY:
        raise Problem(
            f"{version} gives {accuracy[0]} with the first ten labels, the article {article.FIRST_ACCURACY}; "
            'other figures will differ too (README: What "exact" means)'
        )
    return f"{version}; ten labels give an accuracy of {accuracy[0]}, as published"


CHECKS: Mapping[str, Callable[[], str]] = {
    "Python": check_python,
    "packages": check_packages,
    "data": check_data,
    "memory": check_memory,
    "disk": check_disk,
    "folders": check_folders,
    "port": check_port,
    "kernel": check_kernel,
    "engine": check_engine,
}

# ---- What the checks are made of

_FIRST_FIT = """
from importlib import import_module
from alhelpers import ActiveLearner, load_mnist
from alhelpers.models import ENGINES, engine
module = import_module(ENGINES[engine()])
print(f"TensorFlow {module.tf.__version__}" if engine() == "tensorflow" else "NumPy alone", flush=True)
learner = ActiveLearner(load_mnist())
learner.label_manually(10)
learner.fit(verbose=False)
print(learner.history[-1].accuracy)
"""

# Where messages about the files in the package begin to say what to do, with long paths.
_RESTORE = "; restore it with"

# How a process ends whose processor does not know an instruction: on Linux and macOS, and on Windows.
_ILLEGAL_INSTRUCTION = (-getattr(signal, "SIGILL", 4), 0xC000001D)


def _ask_kernel(log: object) -> tuple[str, bool]:
    """Start a kernel, ask for its environment's folder and whether it finds alhelpers, and end it.

    Raises OSError if it cannot be started, RuntimeError or TimeoutError if it dies or does not answer.
    """
    from jupyter_client.manager import run_kernel

    question = "__import__('sys').prefix, bool(__import__('importlib.util').util.find_spec('alhelpers'))"
    notebooks = REPOSITORY / "notebooks"
    folder = notebooks if notebooks.is_dir() else Path.cwd()
    silent = {"stdout": subprocess.DEVNULL, "stderr": log}
    with run_kernel(
        kernel_name="python3", startup_timeout=KERNEL_SECONDS, cwd=str(folder), **silent
    ) as client:
        reply = client.execute("", user_expressions={"it": question}, reply=True, timeout=KERNEL_SECONDS)
    return ast.literal_eval(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])


def _required() -> Iterator[Requirement]:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        try:
            from pip._vendor.packaging.requirements import Requirement  # what it names can then be told
        except ImportError:
            command = _install_command()
            raise Problem("packaging is missing, and most others with it; install them:", command) from None
    # Whoever has no TensorFlow wanted none, and NumPy's engine says so in its own line.
    without = not any(map(find_spec, ("tensorflow", "keras")))
    texts = (
        [line.partition("--hash")[0] for line in read_lock(LOCK, without_tensorflow=without)]
        if LOCK.exists()
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


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _in_environment() -> bool:
    return sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()


def _install_command(*options: str) -> str:
    """How to install what the lock names into this environment, from the folder wheels/ if there is one."""
    prefix = Path(sys.prefix)
    unfinished = (prefix / ".made-by-alhelpers").exists() and not (prefix / ".packages").exists()
    if unfinished or not _in_environment():
        return f"{'py' if os.name == 'nt' else 'python3'} tutorial.py install"
    if not LOCK.exists():
        return " ".join([_python(), "-m pip install", *options, "alhelpers"])
    if (REPOSITORY / "wheels").is_dir():
        options = ("--no-index --find-links", _short(REPOSITORY / "wheels"), *options)
    return " ".join([_python(), "-m pip install", *options, "--require-hashes -r", _short(LOCK)])


def _python() -> str:
    return _short(sys.executable)


def _short(path: str | Path) -> str:
    """A path as one types it here: relative if that is shorter, in quotation marks if it has spaces."""
    path = Path(path)
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f'"{path}"' if " " in str(path) else str(path)


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
