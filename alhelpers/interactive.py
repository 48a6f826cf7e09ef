"""Progress for long cells: shown to a person in JupyterLab, silent in a scripted run."""

import os
import sys
from collections.abc import Iterator, Sequence

from tqdm import tqdm


def progress(items: Sequence, label: str = "") -> Iterator:
    """Go through items with a progress line, if a person is looking.

    Jupyter servers name their session in the kernel's environment; papermill, nbval and nbclient do not, and
    a progress line would be one more output to compare there.
    """
    if "JPY_SESSION_NAME" not in os.environ:
        yield from items
        return
    from IPython.display import clear_output

    yield from tqdm(items, desc=label, leave=False, file=sys.stdout)
    clear_output()  # the finished bar would stay behind as an empty line
