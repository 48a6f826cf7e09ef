"""Small notebooks and wheels, waiting for what another process does, and programs that are in no package."""

import csv
import hashlib
import importlib.util
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write_notebook(path: Path, *cells: str, parameters: str | None = None, metadata: Any = PYTHON) -> Path:
    """A notebook of code cells; if it declares parameters, its first cell does."""
    begin = [] if parameters is None else [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells = [*begin, *map(new_code_cell, cells)]
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def write_wheel(folder: Path, name: str, tags: str = "py3-none-any", marker: str = "") -> str:
    """A wheel that holds one empty module; its line for a lock."""
    info, file = f"{name}-1.dist-info", folder / f"{name}-1-{tags}.whl"
    content = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in content.items():
            # Without the time: written again, it is the same file.
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{name}==1{marker} \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table, as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition says once it is true of something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("what was waited for did not happen")


def make(script: Path, out: Path) -> Path:
    """What a program writes to `out`: without a word of complaint, and with nothing beside it."""
    done = subprocess.run([sys.executable, script, out], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert list(out.parent.iterdir()) == [out]
    return out


def words_of_images(cells: Iterable[Any]) -> Iterator[str]:
    """The alternative texts of the images in cells: of figures and of those in prose."""
    for cell in cells:
        if cell.cell_type == "markdown":
            yield from re.findall(r"!\[([^]]*)\]\(", cell.source)
        else:
            metadata = [output.get("metadata", {}) for output in cell.get("outputs", ())]
            yield from (one["image/png"]["alt"] for one in metadata if "image/png" in one)


def load(path: Path) -> ModuleType:
    """A file of Python as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
