"""An image file as people and models see it: upright, 8-bit grey or RGB, ink apart from its ground."""

import contextlib
import hashlib
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF")
EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
)  # fmt: skip
STRETCHED = "stretched to all grey levels, each by itself: {} whose levels fill less than a quarter of them"
ON_BLACK = "laid on black: {} with light ink on a transparent ground"
CLIPPED = "stretched, and a few bright pixels clipped: {} of which a thousandth is far brighter than the rest"
OPAQUE = "shown without their transparency, which hides all of them: {}"
NO_NUMBERS = "black, or white for infinity, where there is no number: {} with such pixels"
FIRST = "only the first frame or page taken: {} with more than one"
"""What is said of files that are not seen just as they are."""


class Picture(NamedTuple):
    """An image, grey ("L") or RGB; the SHA-256 of its file; and which of the remarks above are true of it."""

    image: Image.Image
    digest: str
    remarks: tuple[str, ...]


def read_picture(path: str, min_side: int, stretch: bool) -> Picture:
    """The image in a file; of several frames the first.

    A JPEG file may come reduced, with neither side below `min_side`. Raises all sorts of exceptions.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise OSError("a folder or device, not a file")
    if status.st_size == 0:
        raise OSError("the file is empty")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        with Image.open(file, formats=FORMATS) as image:
            remarks = []
            with contextlib.suppress(Exception):  # a damaged second frame need not matter
                remarks += [FIRST] * bool(getattr(image, "is_animated", False))
                image.seek(0)
            image.draft(None, (min_side, min_side))
            image.load()
            with contextlib.suppress(Exception):  # nor do damaged EXIF data
                ImageOps.exif_transpose(image, in_place=True)
            return Picture(_visible(image, stretch, remarks), digest, tuple(remarks))


def reason(problem: Exception) -> str:
    """What is wrong with a file, in one line."""
    if isinstance(problem, UnidentifiedImageError):
        return "no image of a known format"
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return text.strip().split("\n")[0][:200]


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Without the warnings that Pillow gives about files, or has logged."""
    log = logging.getLogger("PIL")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")
            yield
    finally:
        log.setLevel(level)


def fit_into_frame(image: Image.Image, frame: tuple[int, int], colour: bool) -> np.ndarray:
    """The image in a frame of that height and width, by the rule of `load_images`."""
    image = image.convert("RGB" if colour else "L")
    scale = min(frame[0] / image.height, frame[1] / image.width)
    height, width = (max(1, round(scale * side)) for side in (image.height, image.width))
    fitted = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0))
    if fitted.shape[:2] == frame:
        return fitted
    edge = np.concatenate([fitted[0], fitted[-1], fitted[:, 0], fitted[:, -1]])
    top, left = (frame[0] - height) // 2, (frame[1] - width) // 2
    framed = np.full((*frame, *fitted.shape[2:]), np.median(edge, axis=0), np.uint8)
    framed[top : top + height, left : left + width] = fitted
    return framed


def is_narrow(low: float, high: float, most: float) -> bool:
    """Whether grey levels fill so little of 0 to `most` that people see one grey: less than a quarter."""
    return 0 < high - low < most / 4


def _visible(image: Image.Image, stretch: bool, remarks: list[str]) -> Image.Image:
    """The image as 8-bit grey or RGB, on paper that its ink differs from, with levels far enough apart."""
    image, alpha = _deep_as_grey(image, stretch, remarks) if image.mode[0] in "IF" else _with_alpha(image)
    if alpha is not None and not alpha.getbbox():
        remarks.append(OPAQUE)
    elif alpha is not None:
        seen = alpha.point(lambda level: 255 * (level > 0))  # every pixel with anything to see counts
        is_light = ImageStat.Stat(image.convert("L"), seen).mean[0] > 191
        remarks += [ON_BLACK] * is_light
        paper = Image.new(image.mode, image.size, "black" if is_light else "white")
        paper.paste(image, mask=alpha)
        image = paper
    ends = np.array(image.getextrema())
    if stretch and is_narrow(ends.min(), ends.max(), 255):
        remarks.append(STRETCHED)
        image = Image.fromarray(_scaled(np.asarray(image), ends.min(), ends.max()))
    return image


def _with_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An 8-bit image as grey or RGB, and its transparency."""
    if not image.has_transparency_data:
        return image.convert("L" if image.mode in ("1", "L") else "RGB"), None
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    return image.convert("RGB"), alpha if alpha.getextrema()[0] < 255 else None


def _deep_as_grey(
    image: Image.Image, stretch: bool, remarks: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """An image of 16 or 32 bits as 8-bit grey, and its transparency. Pillow would clip it."""
    levels = np.asarray(image).astype(np.float64)
    clear = levels == image.info.get("transparency", np.nan)
    finite = np.isfinite(levels)
    remarks += [NO_NUMBERS] * (not finite.all())
    seen = levels[finite & ~clear]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)
    # A file does not say where white is: it is 65535 for whole numbers, mostly 1 or 255 for others.
    whites = (1, 255, 65535) if image.mode == "F" else (65535,)
    white = next((level for level in whites if low >= 0 and high <= level), None)
    # Without the few pixels that are far brighter, such as a scale bar, or broken ones of a camera.
    most = float(np.quantile(seen, 0.999, method="higher")) if len(seen) else 0.0
    if white is None or (stretch and is_narrow(low, high, white)):
        remarks.append(STRETCHED)
        white = None
    elif stretch and is_narrow(low, most, white):
        remarks.append(CLIPPED)
        high, white = most, None
    grey = _scaled(levels, *((low, high) if white is None else (0, white)))
    alpha = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)) if clear.any() else None
    return Image.fromarray(grey), alpha


def _scaled(levels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Levels with `low` as black, 0, and `high` as white, 255; NaN is black."""
    share = (levels.astype(np.float64) - low) / max(high - low, 1e-300)
    return np.rint(255 * np.nan_to_num(share, nan=0.0).clip(0, 1)).astype(np.uint8)
