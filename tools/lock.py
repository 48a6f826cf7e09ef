"""Write both locks anew from pyproject.toml: python tools/lock.py [--upgrade]. `make lock` does it.

One resolution for all: requirements.lock is what reading and running needs, TensorFlow and what only it needs
last; requirements-dev.lock is what tests, site, slides and sweeps need more. Versions stay as they are unless
--upgrade, or `--upgrade-package NAME`, says otherwise.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tutorial import DEV_LOCK, HEADING, LOCK  # noqa: E402

READING = ("label", "regression", "build")
"""The extras of requirements.lock, beside the package's own dependencies."""
DEVELOPING = ("test", "sweep", "site")
CONSTRAINTS = """\
# From 4.25 on, the format extra that jupyter-events asks for brings rfc3987-syntax, which builds a grammar at
# every import of nbformat: two seconds in each process.
jsonschema<4.25
"""
NEVER = "python_version < '0'"
LEFT_OUT = f"""\
# 65 MB that TensorFlow lists and never imports.
libclang ; {NEVER}
# With it seven more that papermill lists for Python 3.12 and never imports.
aiohttp ; {NEVER}
"""
WITHOUT_TENSORFLOW = f"{LEFT_OUT}tensorflow ; {NEVER}\ntensorflow-cpu ; {NEVER}\n"
HEAD = """\
# Made by `make lock` from pyproject.toml; do not edit.
# Exact versions with hashes, for Python 3.11 to 3.14 on every system the markers name.
# No addresses in it: pip takes the packages from whatever index it is set to use.
# Extras stay in the names: older versions of pip refuse the file without them.
"""


def main(options: list[str]) -> None:
    """Resolve once with everything, see who needs what, and write both files."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        uv = shutil.which("uv") or install_uv(scratch / "venv")
        everything = scratch / "everything.txt"
        known = LOCK.read_text("utf-8") + DEV_LOCK.read_text("utf-8")
        everything.write_text(known.replace(f"-r {LOCK.name}", ""), "utf-8")
        resolve(uv, everything, (*READING, *DEVELOPING), [*options, "--generate-hashes"])
        blocks = packages(everything)
        names = {}
        for name, extras, left_out in (
            ("reading", READING, WITHOUT_TENSORFLOW),
            ("running", READING, LEFT_OUT),
            ("developing", (*READING, *DEVELOPING), WITHOUT_TENSORFLOW),
        ):
            part = shutil.copy(everything, scratch / f"{name}.txt")
            resolve(uv, part, extras, left_out=left_out)
            names[name] = set(packages(part))
    first = names["reading"] | (names["running"] & names["developing"])
    write(LOCK, HEAD, blocks, first, f"{HEADING}\n", names["running"] - first)
    write(DEV_LOCK, f"{HEAD}-r {LOCK.name}\n", blocks, blocks.keys() - names["running"])


def install_uv(folder: Path) -> str:
    """Install uv into an environment of its own; return its path."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "-qq", "uv"], check=True)
    return str(programs / "uv")


def resolve(
    uv: str, target: Path, extras: Iterable[str], options: Iterable[str] = (), left_out: str = ""
) -> None:
    """Resolve pyproject.toml into `target`, whose versions stay wherever they can."""
    constraints, overrides = target.with_suffix(".constraints"), target.with_suffix(".overrides")
    constraints.write_text(CONSTRAINTS, "utf-8")
    overrides.write_text(left_out or LEFT_OUT, "utf-8")
    command = [uv, "pip", "compile", "pyproject.toml", "--quiet", "--universal", "--python-version=3.11"]
    command += ["--no-emit-index-url", "--no-annotate", "--no-header", "--no-strip-extras"]
    command += [f"--constraint={constraints}", f"--override={overrides}"]
    command += [f"--extra={extra}" for extra in extras]
    subprocess.run([*command, *options, "-o", str(target)], cwd=ROOT, check=True)


def packages(file: Path) -> dict[str, str]:
    """The lines of each package in a file of requirements, by its name."""
    found: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines(keepends=True):
        if match := re.match(r"[\w.-]+", line):
            name = match[0]
        found[name] = found.get(name, "") + line
    return found


def write(file: Path, head: str, blocks: dict[str, str], *parts: set[str] | str) -> None:
    """Write a lock whole: its head, then names, sorted, with headings between them."""
    texts = [part if isinstance(part, str) else "".join(blocks[n] for n in sorted(part)) for part in parts]
    draft = file.with_name(f".{file.name}.partial")
    draft.write_text(head + "".join(texts), encoding="utf-8", newline="\n")
    draft.replace(file)
    print(f"Wrote {file.name}: {sum(len(part) for part in parts if not isinstance(part, str))} packages")


if __name__ == "__main__":
    main(sys.argv[1:])
