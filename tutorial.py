"""Everything this repository does, on Linux, macOS and Windows. `python tutorial.py` lists it.

The first command makes an environment in .venv and installs what it needs; a command that needs more installs
more. What follows a command is handed on to it, except for these options:

    --engine numpy      without TensorFlow, and with the same figures
    --venv FOLDER       another environment
    --python PROGRAM    another Python to make it with
    --wheels FOLDER     packages from there, and no network
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

HERE = Path(__file__).resolve().parent
LOCK, DEV_LOCK = HERE / "requirements.lock", HERE / "requirements-dev.lock"
READING, TENSORFLOW, DEVELOPING = "notebooks and JupyterLab", "TensorFlow", "tests, web pages and sweeps"
"""What packages are for: the parts that are installed together."""
HEADING = "# ---- TensorFlow and what only it needs: left out by ENGINE=numpy"
"""The line of requirements.lock that parts the first two."""
MARK, STAMP = ".made-by-alhelpers", ".packages"
"""Files in an environment that was made here: one that is locked while something is installed, and one that
tells what is installed, which is there when that is complete."""
AGAIN, ANOTHER = "the same command starts afresh", "name a new folder (make VENV=.venv2, or --venv .venv2)"
PYTHONS = ("3.13", "3.12", "3.11", "3.14")
PROBE = """
import platform, sys
print(platform.python_version())
print(getattr(sys, "_base_executable", ""))  # not a link into an environment that is about to be replaced
import ensurepip, venv
print("venv")
"""

# Without bytecode TensorFlow takes 10 seconds to import instead of 4. The others would let packages in from
# outside the environment, or put its packages elsewhere.
UNSET = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "PIP_NO_COMPILE", "PIP_PREFIX", "PIP_TARGET"}
UNSET |= {"PIP_REQUIRE_VIRTUALENV", "PIP_USER"}


class Command(NamedTuple):
    """What a command is for, what is installed for it and what its Python runs; arguments go to the last."""

    purpose: str
    needs: tuple[str, ...]
    programs: tuple[str, ...] = ()


READ, DEVELOP = (READING, TENSORFLOW), (READING, DEVELOPING)
# Two processes, for two processor cores; a file is done by one of them, so a notebook has one kernel.
PYTEST = "-m pytest -n 2 --dist loadfile"
ABOUT_NOTEBOOKS = "tests/test_house.py tests/running/test_notebooks.py tests/course/test_workshop.py"
LINT = ("-m ruff check", "-m ruff format --check", "-m mypy")
EXERCISES = "workshop/make.py"
COMMANDS = {
    "install": Command("make the environment and do nothing else", READ),
    "run": Command("execute the notebooks, compare with the article", READ, ("-m alhelpers run",)),
    # The root is this folder, so that links to the package and results in build/run open too. News, the check
    # for a new version and the extension catalogue are all that would use the network.
    "lab": Command(
        "open the notebooks in JupyterLab",
        READ,
        (
            "-m jupyterlab --LabApp.default_url=/lab/tree/notebooks --LabApp.extension_manager=readonly"
            " --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ),
    ),
    "doctor": Command("check that all is well, and what to do if not", READ, ("-m alhelpers doctor",)),
    "exact": Command("compare the article's 403 fits with the notebooks'", READ, ("-m alhelpers exact",)),
    "bundle": Command("gather all of it, to install without a network", READ, ("-m alhelpers bundle",)),
    "try": Command("make the page that needs no installation", READ, ("site/try/build.py",)),
    "test": Command(
        "lint, then check the notebooks' outputs and run the tests", (*DEVELOP, TENSORFLOW), (*LINT, PYTEST)
    ),
    "test-quick": Command(
        "the same of the notebooks alone, with NumPy, in a minute",
        DEVELOP,
        (*LINT, f"{PYTEST} -m quick notebooks {ABOUT_NOTEBOOKS}"),
    ),
    "check": Command(
        "lint, then check notebooks and exercises without running any",
        DEVELOP,
        (*LINT, f"{PYTEST} -m quick {ABOUT_NOTEBOOKS}"),
    ),
    "lint": Command("check style, formatting and types", DEVELOP, LINT),
    "sweep": Command("run a notebook for many parameters", (*DEVELOP, TENSORFLOW), ("-m alhelpers sweep",)),
    "site": Command("make web pages of the notebooks in build/site", DEVELOP, ("site/build.py",)),
    "slides": Command("make slides of the notebooks in build/slides", DEVELOP, ("slides/build.py",)),
    "bench": Command(
        "time the package against a plain program", (*DEVELOP, TENSORFLOW), ("benchmarks/bench.py",)
    ),
    "refresh": Command("execute the committed notebooks in place", READ, ("-m alhelpers refresh",)),
    "exercises": Command("make the workshop's exercises from its solutions", (READING,), (EXERCISES,)),
    "solutions": Command(
        "execute the workshop's solutions in place, and make the exercises",
        READ,
        ("-m alhelpers refresh workshop/solutions/*.ipynb", EXERCISES),
    ),
    "evidence": Command(
        "compute the results that notebooks read (an hour)", READ, ("-m alhelpers.evidence",)
    ),
    "lock": Command("write the locks anew; newer versions with --upgrade", (), ("tools/lock.py",)),
    "clean": Command("remove the environment, build/ and caches", ()),
}


class Problem(Exception):  # noqa: N818 - not an error of the program
    """What is wrong and what to do, in one sentence."""


def main(arguments: list[str]) -> int:
    """Do what the command line says; return its exit code."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--venv", default=".venv")
    parser.add_argument("--python", default="")
    parser.add_argument("--engine", default=os.environ.get("ALHELPERS_ENGINE", ""))
    parser.add_argument("--wheels", default="wheels" if (HERE / "wheels").is_dir() else "")
    options, words = parser.parse_known_args(arguments)
    name, *given = words or ["help"]
    if name in ("help", "-h", "--help"):
        print(__doc__, *(f"{name:<11}{command.purpose}" for name, command in COMMANDS.items()), sep="\n")
        return 0
    if name not in COMMANDS:
        raise Problem(f"there is no command {name}; give one of {', '.join(COMMANDS)}")
    os.chdir(HERE)
    for variable in UNSET & set(os.environ):
        del os.environ[variable]
    os.environ["PYTHONUTF8"] = "1"  # files are UTF-8, whatever code page Windows has
    command, venv, python = COMMANDS[name], Environment(options.venv), sys.executable
    if engine := options.engine or ("" if TENSORFLOW in command.needs else "numpy"):
        os.environ["ALHELPERS_ENGINE"] = engine
    if name == "clean":
        clean(venv)
    if command.needs:
        python = str(venv.python)
        needed = [part for part in command.needs if part != TENSORFLOW or engine != "numpy"]
        try:
            venv.provide(needed, options.python, options.wheels)
        except Problem as problem:
            if name != "doctor" or not venv.python.exists():
                raise
            print(problem, file=sys.stderr)  # and Python alone can often say why
    for program in command.programs:
        words = [str(w) for word in program.split() for w in (HERE.glob(word) if "*" in word else [word])]
        if code := run([python, *words, *(given if program == command.programs[-1] else ())]):
            return code
    return 0


def run(command: list[str]) -> int:
    """Run a program; return its exit code."""
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the program has had it, too, and ends as it likes
                return process.wait()


def clean(venv: Environment) -> None:
    """Remove the environment and what was made here, but no folder that somebody else put in its place."""
    made = ["build", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"]
    for folder in [*map(HERE.joinpath, made), *([venv.folder] if venv.is_ours() else [])]:
        shutil.rmtree(folder, ignore_errors=True)
    for parent, folders, _ in os.walk(HERE):
        folders[:] = [folder for folder in folders if folder == ".ipynb_checkpoints" or folder[0] != "."]
        for folder in {"__pycache__", ".ipynb_checkpoints"} & set(folders):
            shutil.rmtree(Path(parent, folder), ignore_errors=True)


class Environment:
    """A folder with Python and packages; what is installed in it is known part by part."""

    def __init__(self, folder: str) -> None:
        self.name, self.folder = folder, HERE / folder
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def is_ours(self) -> bool:
        """Whether it may be deleted: a folder named .venv* beside this file, or one with our mark."""
        beside = self.folder.parent == HERE and self.folder.name.startswith(".venv")
        return beside or (self.folder / MARK).exists()

    def installed(self) -> dict[str, str]:
        """Digests of what is installed: of nothing, if that was cut short, moved or copied to here."""
        try:
            stamp = json.loads((self.folder / STAMP).read_text("utf-8"))
            return stamp["parts"] if stamp["folder"] == str(HERE) and self.python.exists() else {}
        except (OSError, ValueError):
            return {}

    def provide(self, needed: list[str], named: str, wheels: str) -> None:
        """Install what is missing of the parts needed; everything anew if the locks have changed."""
        installed = self.installed()
        if named and installed and probe(str(self.python))[:1] != probe(named)[:1]:
            raise Problem(f"{self.name} was made with another Python than {named}; {ANOTHER}, or clean first")
        reading, _, tensorflow = LOCK.read_text("utf-8").partition(HEADING)
        texts = {READING: reading, TENSORFLOW: tensorflow, DEVELOPING: DEV_LOCK.read_text("utf-8")}
        texts["alhelpers"] = (HERE / "pyproject.toml").read_text("utf-8")
        digests = {part: hashlib.sha256(text.encode()).hexdigest() for part, text in texts.items()}
        package = installed.pop("alhelpers", "")
        kept = installed if installed.items() <= digests.items() else {}
        if kept.keys() >= set(needed) and package == digests["alhelpers"]:
            return
        python = find_python(named)
        with self._locked():
            for installer in self._installers(wheels):
                if kept.keys() >= set(needed):
                    break
                (self.folder / STAMP).unlink(missing_ok=True)
                if not kept:
                    self._create(*python)
                missing = {part: texts[part] for part in needed if part not in kept}
                if self._install(installer, missing, wheels):
                    kept = {**kept, **{part: digests[part] for part in missing}}
                    self._write_stamp(kept)
                else:
                    kept = {}  # the next way begins with nothing, as one of these may be half there
            if not kept:
                where = f"{wheels} {made_for(wheels)}" if wheels else "it needs a package index"
                raise Problem(
                    f"the installation failed, as said above; {where}; the same command starts afresh"
                )
            print("Installing alhelpers from this folder …", flush=True)
            *_, pip = self._installers(wheels)
            if subprocess.run([*pip, "--no-build-isolation", "-e", "."]).returncode:
                raise Problem(f"alhelpers could not be installed, as said above; {AGAIN}")
            self._write_stamp({**kept, "alhelpers": digests["alhelpers"]})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Have the folder to oneself; the lock goes with this process, however that ends."""
        if self.folder.exists() and any(self.folder.iterdir()) and not self.is_ours():
            raise Problem(f"{self.name} holds something else; {ANOTHER}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / MARK).open("a") as mark:
            try:
                lock(mark)
            except OSError:
                raise Problem(f"another command is installing into {self.name}; wait for it") from None
            yield

    def _create(self, version: str, python: str) -> None:
        """Begin with nothing but Python: pip takes a package that was cut short for complete."""
        print(f"Creating {self.name} with Python {version} …", flush=True)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != MARK:
                path.unlink()
        subprocess.run([python, "-m", "venv", str(self.folder)], check=True)
        config = self.folder / "etc" / "jupyter" / "labconfig" / "page_config.json"
        config.parent.mkdir(parents=True)
        config.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}')

    def _installers(self, wheels: str) -> Iterator[list[str]]:
        """Ways to install, to be tried in turn: uv, where there is one that runs, and pip."""
        options = ["--no-deps", *(["--no-index", "--find-links", wheels] if wheels else [])]
        if (uv := shutil.which("uv")) and not subprocess.run([uv, "-V"], capture_output=True).returncode:
            yield [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                str(self.python),
                "--compile-bytecode",
                *options,
            ]
        pip = [str(self.python), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
        yield [*pip, *options]

    def _install(self, installer: list[str], texts: dict[str, str], wheels: str) -> bool:
        """Install parts of the locks in one go; whether that went well."""
        counts = (f"{len(re.findall('^[a-z]', text, re.M))} for {part}" for part, text in texts.items())
        source = f"{wheels} and no network" if wheels else "the locks"
        program = "uv" if installer[1] == "pip" else "pip"
        print(f"Installing packages ({', '.join(counts)}) from {source}, with {program} …", flush=True)
        file = self.folder / "wanted.txt"
        file.write_text("".join(texts.values()).replace(f"-r {LOCK.name}", ""), "utf-8")
        done = subprocess.run([*installer, "--require-hashes", "-r", str(file)])
        file.unlink()
        for headers in self.folder.glob("[Ll]ib/**/site-packages/tensorflow/include"):
            shutil.rmtree(headers)  # 0.3 GB for those who write operations in C++
        return not done.returncode

    def _write_stamp(self, installed: dict[str, str]) -> None:
        (self.folder / STAMP).write_text(json.dumps({"folder": str(HERE), "parts": installed}), "utf-8")


def find_python(named: str) -> tuple[str, str]:
    """Version and path of the Python to use: the one named, or the first that is new enough."""
    names = [named] if named else [sys.executable, "python3", *(f"python{version}" for version in PYTHONS)]
    for name in names:
        version, path, *venv = probe(name) or ("", "")
        if version.rpartition(".")[0] in PYTHONS:
            if venv:
                return version, path
            package = f"python{version.rpartition('.')[0]}-venv"
            raise Problem(
                f"Python {version} ({path}) lacks venv; on Debian and Ubuntu: apt install {package}"
            )
    wanted = "3.11, 3.12, 3.13 or 3.14"
    found = f"{named} does not run as Python {wanted}" if named else f"found no Python {wanted}"
    raise Problem(f"{found}; install one, and name it: make PYTHON=/path/to/python3.12, or --python")


def made_for(wheels: str) -> str:
    """What is in a bundle's folder of packages."""
    with contextlib.suppress(OSError):
        return f"has what the notebooks need on {Path(wheels, 'FOR.txt').read_text('utf-8').strip()}"
    return "may be for other machines"


def probe(python: str) -> list[str]:
    """Version and path of a Python, and "venv" if it has that; empty if it does not run."""
    with contextlib.suppress(OSError):
        return subprocess.run([python, "-c", PROBE], capture_output=True, text=True).stdout.splitlines()
    return []


def lock(file: IO[str]) -> None:
    """Lock a file for this process. Raises OSError if another has it."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


if __name__ == "__main__":
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # a terminal of Windows may not know an ellipsis
        sys.exit(main(sys.argv[1:]))
    except (Problem, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"tutorial.py: {problem}")
    except KeyboardInterrupt:
        sys.exit(f"tutorial.py: stopped; {AGAIN}")
