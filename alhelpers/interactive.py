"""Progress for long cells: shown to a person in JupyterLab, silent in a scripted run."""

import os
import sys
from collections.abc import Iterable, Sequence

from tqdm import tqdm


def progress(items: Sequence, label: str = "") -> Iterable:
    """Go through items with a progress line, if a person is looking.

    Jupyter servers name their session in the kernel's environment; papermill, nbval and nbclient do not, and
    a progress line would be one more output to compare there.
    """
    watched = "JPY_SESSION_NAME" in os.environ
    return tqdm(items, desc=label, disable=not watched, leave=False, file=sys.stdout)
