"""Whether a figure that was drawn anew is the committed one: by its numbers, and by its pixels."""

import base64
import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.testing.compare import calculate_rms
from matplotlib.testing.exceptions import ImageComparisonFailure

# Fresh figures against committed ones, root mean square over the grey levels. Measured: 0 between two runs;
# up to 0.47 where TensorFlow splits an operation over two threads, which turns the last digits of
# confidences; 4.6 to 17.7 for one curve of a figure moved by 1% of itself.
RMS_TOLERANCE = 1.0


def differences(fresh: Mapping[str, Any], committed: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on what differs between two outputs of a cell, each an image/png of a `Picture`."""
    new, old = (output["metadata"].get("numbers", []) for output in (fresh, committed))
    if len(new) != len(old):
        yield f"the figure has {len(new)} axes, not {len(old)}"
    for one, other in zip(new, old, strict=False):
        yield from _of_axes(one, other)
    try:
        rms = calculate_rms(*(_pixels(output) for output in (committed, fresh)))
    except ImageComparisonFailure:
        yield "the figure has another size"
    else:
        if rms > RMS_TOLERANCE:
            yield f"the figure looks different, by {rms:.2f} grey levels (root mean square)"


def _of_axes(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("lines", "bars", "images"):
        ones, others = new.get(kind, ()), old.get(kind, ())
        if len(ones) != len(others):
            yield f"{len(ones)} {kind} are drawn, not {len(others)}"
        for k, (one, other) in enumerate(zip(ones, others, strict=False), 1):
            if kind == "images":
                a, b = unpacked(one).astype(int), unpacked(other).astype(int)
                same = a.shape == b.shape and np.abs(a - b).max() <= 2
            else:  # five digits are kept; the last may turn with the number of threads
                a, b = _flat(one), _flat(other)
                same = a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True)
            if not same:
                yield f"number {k} of the {kind} is not the committed one"


def unpacked(image: str) -> np.ndarray:
    """The 256 levels of `plots.pack_image`, flat, uint8."""
    return np.frombuffer(zlib.decompress(base64.b64decode(image)), np.uint8)


def _flat(values: Any) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in values]) if values else np.empty(0)


def _pixels(output: Mapping[str, Any]) -> np.ndarray:
    png = io.BytesIO(base64.b64decode(output["data"]["image/png"]))
    return np.round(255 * matplotlib.image.imread(png)[..., :3])
