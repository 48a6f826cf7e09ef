"""Everything this repository does, on Linux, macOS and Windows. `python tutorial.py` lists it.

The first command makes an environment in .venv and installs what it needs; a command that needs more installs
more. Folders and files are named from where you are. What follows a command is handed on to it, except for
these options:

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
import runpy
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
ENGINES = ("tensorflow", "numpy")
PYTHONS = ("3.13", "3.12", "3.11", "3.14")
PATIENCE = 60
"""Seconds in which a Python or uv has to say its version; on a slow disk the first start takes several."""
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
# In the order of conftest.py: pytest-xdist's own has long files of few tests last.
PYTEST = "-m pytest -n 2 --dist loadfile --no-loadscope-reorder"
ABOUT_NOTEBOOKS = "tests/test_house.py tests/running/test_notebooks.py tests/course/test_workshop.py"
LINT = ("-m ruff check", "-m ruff format --check", "-m mypy")
EXERCISES = "workshop/make.py"
COMMANDS = {
    "install": Command("make the environment and do nothing else", READ),
    "run": Command(
        "execute the notebooks, compare with the article", READ, ("-m alhelpers run --out build/run",)
    ),
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
    "exact": Command(
        "compare the article's 403 fits with the notebooks'", READ, ("-m alhelpers exact --out build/exact",)
    ),
    "bundle": Command(
        "gather all of it, to install without a network", READ, ("-m alhelpers bundle --out build/bundle",)
    ),
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
        "compute the results that notebooks read (half an hour)", READ, ("-m alhelpers.evidence",)
    ),
    "lock": Command("write the locks anew; newer versions with --upgrade", (), ("tools/lock.py",)),
    "clean": Command("remove the environment, build/ and caches", ()),
}


class Problem(Exception):  # noqa: N818 - not an error of the program
    """What is wrong and what to do, in one sentence."""

    code = 1


class WrongCall(Problem):
    """The command line is wrong, and nothing was done."""

    code = 2


def main(arguments: list[str]) -> int:
    """Do what the command line says; return its exit code."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--venv", default=HERE / ".venv", type=Path)
    parser.add_argument("--python", default="")
    parser.add_argument("--engine", default="")
    parser.add_argument("--wheels", default=str(HERE / "wheels") if (HERE / "wheels").is_dir() else "")
    options, words = parser.parse_known_args(arguments)
    name, *given = words or ["help"]
    if name in ("help", "-h", "--help"):
        print(__doc__, *(f"{name:<11}{command.purpose}" for name, command in COMMANDS.items()), sep="\n")
        return 0
    if name not in COMMANDS:
        raise WrongCall(f"there is no command {name}; give one of {', '.join(COMMANDS)}")
    engine = options.engine or os.environ.get("ALHELPERS_ENGINE", "")
    if engine and engine not in ENGINES:
        source = "--engine" if options.engine else "ALHELPERS_ENGINE"
        raise WrongCall(f"{source} is {engine}; give {' or '.join(ENGINES)}, or leave it out")
    if options.wheels and not Path(options.wheels).is_dir():
        raise WrongCall(f"--wheels is {options.wheels}, which is no folder; give one with packages, or none")
    for variable in UNSET & set(os.environ):
        del os.environ[variable]
    os.environ["PYTHONUTF8"] = "1"  # files are UTF-8, whatever code page Windows has
    same = runpy.run_path(str(HERE / "alhelpers" / "arithmetic.py"))["SAME_KERNELS"]
    os.environ.update({**same, **os.environ})  # before a kernel of JupyterLab's imports NumPy
    if name == "lab":  # one thread, as in `run`: with more, too, other draws end a few test images away
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command, venv, python = COMMANDS[name], Environment(options.venv), sys.executable
    if engine := engine or ("" if TENSORFLOW in command.needs else "numpy"):
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
        code = run_program(python, program, given if program == command.programs[-1] else [])
        if code:
            return code
    return 0


def run_program(python: str, program: str, given: list[str]) -> int:
    """Run one of a command's programs with what was given to it; return its exit code.

    Ours run where the user is, whose paths they are given, and write into this folder's build/ unless told
    otherwise. Tools look at the whole of this folder; files that are given to them are found from anywhere.
    """
    words = program.split()
    if words[0] == "-m" and not words[1].startswith("alhelpers"):
        files = [os.path.abspath(word) if os.path.isfile(word) else word for word in given]
        return run([python, *words, *files], HERE)
    words = [str(w) for word in words for w in (sorted(HERE.glob(word)) if "*" in word else [word])]
    if Path.cwd() != HERE:
        words = [str(HERE / word) if "/" in word else word for word in words]
        words[:1] = ["-P", "-m"] if words[0] == "-m" else words[:1]  # a folder alhelpers there is another one
    return run([python, *words, *given])


def run(command: list[str], folder: Path | None = None) -> int:
    """Run a program, here or in a folder; return its exit code."""
    with subprocess.Popen(command, cwd=folder) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the program has had it, too, and ends as it likes
                return process.wait()


def clean(venv: Environment) -> None:
    """Remove what was made here, and the environment; Problem, in the end, if that is not ours to remove."""
    made = ["build", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"]
    for folder in [*map(HERE.joinpath, made), *([venv.folder] if venv.is_ours() else [])]:
        shutil.rmtree(folder, ignore_errors=True)
    for parent, folders, _ in os.walk(HERE):
        folders[:] = [folder for folder in folders if folder == ".ipynb_checkpoints" or folder[0] != "."]
        for folder in {"__pycache__", ".ipynb_checkpoints"} & set(folders):
            shutil.rmtree(Path(parent, folder), ignore_errors=True)
    if not venv.is_ours():
        raise Problem(f"{venv.folder} was not made by this program and stays; remove it yourself")


class Environment:
    """A folder with Python and packages; what is installed in it is known part by part."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))  # a link stays one
        self.name = str(self.folder.relative_to(HERE) if HERE in self.folder.parents else self.folder)
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def is_ours(self) -> bool:
        """Whether all in it may be deleted: a folder with our mark, or nothing; never a link."""
        if self.folder.is_symlink():
            return False
        return (self.folder / MARK).is_file() or not self.folder.exists() or is_empty(self.folder)

    def installed(self) -> dict[str, str]:
        """Digests of what is installed: of nothing, if that was cut short, moved or copied to here."""
        try:
            stamp = json.loads((self.folder / STAMP).read_text("utf-8"))
            return stamp["parts"] if stamp["folder"] == str(HERE) and self.python.exists() else {}
        except (OSError, ValueError):
            return {}

    def provide(self, needed: list[str], named: str, wheels: str) -> None:
        """Install what is missing of the parts needed; everything anew if the locks have changed."""
        there = self.installed()
        if named and there and probe(str(self.python))[:1] != probe(named)[:1]:
            raise Problem(f"{self.name} was made with another Python than {named}; {ANOTHER}, or clean first")
        reading, _, tensorflow = LOCK.read_text("utf-8").partition(HEADING)
        texts = {READING: reading, TENSORFLOW: tensorflow, DEVELOPING: DEV_LOCK.read_text("utf-8")}
        project = digest((HERE / "pyproject.toml").read_text("utf-8"))
        digests = {part: digest(text) for part, text in texts.items()}
        is_current = there.pop("alhelpers", "") == project
        if not there.items() <= digests.items():
            there = {}
        if is_current and there.keys() >= set(needed):
            return
        version, python = find_python(named)
        with self._locked():
            installers = self._installers(wheels)
            for installer in installers:
                missing = [part for part in needed if part not in there]
                if not missing:
                    break
                (self.folder / STAMP).unlink(missing_ok=True)
                if not there:
                    self._create(version, python)
                if self._install(installer, {part: texts[part] for part in missing}, wheels):
                    there = {**there, **{part: digests[part] for part in missing}}
                    self._write_stamp(there)
                else:
                    there = {}  # the next way begins with nothing, as one of these may be half there
            if not there:
                where = f"{wheels} {made_for(wheels)}" if wheels else "it needs a package index"
                raise Problem(f"the installation failed, as said above; {where}; {AGAIN}")
            print("Installing alhelpers from this folder …", flush=True)
            # With pip, which comes with the environment. Without isolation, as what builds it is installed.
            if subprocess.run([*installers[-1], "--no-build-isolation", "-e", str(HERE)]).returncode:
                raise Problem(f"alhelpers could not be installed, as said above; {AGAIN}")
            self._write_stamp({**there, "alhelpers": project})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Have the folder to oneself; the lock goes with this process, however that ends."""
        if not self.is_ours():
            what = "leads elsewhere" if self.folder.is_symlink() else "was not made by this program"
            raise Problem(f"{self.name} {what} and stays as it is; {ANOTHER}, or remove it yourself")
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

    def _installers(self, wheels: str) -> list[list[str]]:
        """Ways to install, to be tried in turn: uv, where there is one that runs, and pip."""
        options = ["--no-deps", *(["--no-index", "--find-links", wheels] if wheels else [])]
        pip = [str(self.python), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
        uv = shutil.which("uv")
        if not uv or not ask(uv, "-V").startswith("uv "):
            return [[*pip, *options]]
        by_uv = [uv, "pip", "install", "--quiet", "--python", str(self.python), "--compile-bytecode"]
        return [[*by_uv, *options], [*pip, *options]]

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
    return ask(python, "-c", PROBE).splitlines()


def ask(*command: str) -> str:
    """What a program prints, whatever becomes of it; nothing if it does not run or end."""
    settings = {"encoding": "utf-8", "errors": "replace", "timeout": PATIENCE}
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, **settings).stdout
    return ""


def digest(text: str) -> str:
    """What tells whether a text has changed."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_empty(folder: Path) -> bool:
    """Whether this is a folder with nothing in it."""
    return folder.is_dir() and not any(folder.iterdir())


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
        print(f"tutorial.py: {problem}", file=sys.stderr)
        sys.exit(getattr(problem, "code", 1))
    except KeyboardInterrupt:
        sys.exit(f"tutorial.py: stopped; {AGAIN}")
