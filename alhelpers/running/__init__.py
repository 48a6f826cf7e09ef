"""Run notebooks and sweeps of them: on this machine in kernels of their own, or on a cluster."""

import json
import re

from alhelpers.errors import UserError

RESULT_MIME = "application/vnd.alhelpers.result+json"


def sweep_result(**values: object) -> None:
    """Show values that a sweep of this notebook puts into its table of runs, one column for each name.

    Called again, it adds columns; a name given again has its later value.

    Parameters
    ----------
    **values : numbers, text, True, False or None; NumPy's numbers, and arrays or tensors that hold just one

    Raises UserError for anything else, which has no place in a table.
    """
    from IPython.display import display

    plain = {name: _plain(name, value) for name, value in values.items()}
    text = ", ".join(f"{name} {value}" for name, value in plain.items())
    # As text, because Jupyter's messages have no NaN.
    display({"text/plain": text, RESULT_MIME: json.dumps(plain)}, raw=True)


def _plain(name: str, value: object) -> object:
    kind = type(value).__name__
    try:
        value = value.item() if hasattr(value, "item") else value
    except (TypeError, ValueError, RuntimeError):  # more than one number: NumPy's, TensorFlow's, PyTorch's
        value = ...
    whole = isinstance(value, int) and not -(2**63) <= value < 2**63
    if not (value is None or isinstance(value, bool | int | float | str)) or whole:
        raise UserError(f"sweep_result: {name} is a {kind}; give one number, a text, True, False or None")
    return value


def one_line(text: object) -> str:
    """A text or an error in one line of at most 300 characters."""
    line = re.sub(r"\s+", " ", str(text)).strip()[:300]
    return line.encode(errors="replace").decode()  # half letters, of paths in another encoding
