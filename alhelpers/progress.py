"""Progress for long cells: shown to a person in JupyterLab, silent in a scripted run."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any


def progress(items: Iterable[Any], label: str = "", total: int | None = None) -> Iterator[Any]:
    """Go through items with a progress line, if a person is looking; `total` is for items without a length.

    Jupyter servers name their session in the kernel's environment; papermill, nbval and nbclient do not, and
    a progress line would be one more output to compare there. A terminal is taken for a person too.
    """
    from tqdm import tqdm  # as late as it is needed: this module is imported with the package

    if "JPY_SESSION_NAME" in os.environ:
        from IPython.display import clear_output

        yield from tqdm(items, desc=label, total=total, leave=False, file=sys.stdout)
        clear_output()  # type: ignore[no-untyped-call]  # the finished bar would stay behind as an empty line
    elif sys.stderr.isatty():
        yield from tqdm(items, desc=label, total=total, leave=False)
    else:
        yield from items
