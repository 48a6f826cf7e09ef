"""Small notebooks, waiting for what another process does, and programs that are in no package."""

import importlib.util
import time
from collections.abc import Callable
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


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition says once it is true of something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("what was waited for did not happen")


def load(path: Path) -> ModuleType:
    """A file of Python as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
