"""Images to be labelled, from a folder, a .npz file or an array. Without TensorFlow."""

import contextlib
import hashlib
import io
import os
import re
import stat
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from alhelpers.data import check_images
from alhelpers.errors import UserError
from alhelpers.progress import progress

EXTENSIONS = (".png", ".jpg", ".jpeg")
SIDE, MOST_SIDE, SCREEN_SIDE = 28, 1024, 512
"""Pixels a side: what a model sees of a file by default and at most, and a person at most."""
MOST_CLASSES = 36  # as many as there are keys for: 1 to 9, 0, a to z


class ImagesError(UserError):
    """Images that cannot be used."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images to be labelled: what a model sees, what a person is shown, and what a ledger knows them by.

    Attributes
    ----------
    x : read-only uint8 array of shape (n, height, width), or (n, height, width, 3) for colour
        What a model sees.
    names : tuple of str
        What a person reads: the path below the folder with forward slashes, or "image 17" (from 0). Always
        valid UTF-8, composed (NFC); bytes that are not show as \\xff.
    digests : tuple of str
        What a ledger knows an image by: the SHA-256 of the file's bytes, as `sha256sum` prints it, or that of
        an array image's dtype, shape and bytes, `b"uint8 (28, 28) …"`. Equal images share one.
    known : read-only int64 array of shape (n,)
        Index into classes, -1 where no label is known.
    classes : tuple of str
        Names of the classes; empty if none are known.
    broken : tuple of (name, reason)
        What was left out. A selection made with `take` has none.
    originals : tuple of file paths, or of arrays
        Where the pictures come from.
    """

    x: np.ndarray
    names: tuple[str, ...]
    digests: tuple[str, ...]
    known: np.ndarray
    classes: tuple[str, ...]
    originals: tuple[str | np.ndarray, ...]
    broken: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        self.x.flags.writeable = self.known.flags.writeable = False

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Images":
        """These images in this order, by index or with a boolean for each image."""
        chosen = np.arange(len(self))[indices if isinstance(indices, np.ndarray) else list(indices)]
        names, digests, originals = (
            tuple(part[i] for i in chosen) for part in (self.names, self.digests, self.originals)
        )
        return Images(self.x[chosen], names, digests, self.known[chosen], self.classes, originals)

    def split(self, n_check: int, n_stop: int, seed: int = 0) -> tuple["Images", "Images", "Images"]:
        """Three random parts: n_check images, n_stop others, and the rest as a pool.

        Chance goes by seed and digest, so that equal images stay together, and images added later leave
        nearly all others where they were. Equal images that are too many for what a part still lacks go to a
        later one.

        Raises ImagesError if no image would be left for the pool, or equal images leave too few for a part.
        """
        if n_check + n_stop >= len(self):
            raise ImagesError(
                f"n_check {n_check:,} and n_stop {n_stop:,} leave none of {len(self):,} images to choose; "
                "give smaller ones, such as a tenth of the images each"
            )
        place = {digest: hashlib.sha256(f"{seed} {digest}".encode()).digest() for digest in self.digests}
        equal: dict[str, list[int]] = {digest: [] for digest in sorted(place, key=place.__getitem__)}
        for i, digest in enumerate(self.digests):
            equal[digest].append(i)
        parts = []
        for name, n in (("n_check", n_check), ("n_stop", n_stop)):
            part: list[int] = []
            for digest, indices in list(equal.items()):
                if len(part) + len(indices) <= n:
                    part += equal.pop(digest)
            if len(part) < n:
                raise ImagesError(
                    f"{name} is {n:,} and only {len(part):,} images are left for it, since equal images stay "
                    f"together and {max(map(len, equal.values())):,} are; delete copies, or give less"
                )
            parts.append(part)
        parts.append([i for indices in equal.values() for i in indices])
        return tuple(self.take(part) for part in parts)

    def picture(self, i: int) -> bytes:
        """Image i for the screen: a PNG of the original, upright, reduced to 512 pixels a side if larger.

        If the file has gone or changed since it was loaded, what the model sees.
        """
        original = self.originals[i]
        if isinstance(original, str):
            picture, digest = None, None
            with _without_warnings(), contextlib.suppress(Exception):  # see load_images on Exception
                picture, digest = _read_image(original, SCREEN_SIDE)
            if digest != self.digests[i]:
                picture = Image.fromarray(self.x[i])
        else:
            picture = Image.fromarray(original)
        picture.thumbnail((SCREEN_SIDE, SCREEN_SIDE), Image.Resampling.LANCZOS)
        picture.info.clear()  # a printer's colour profile does not fit what is RGB by now
        file = io.BytesIO()
        picture.save(file, "PNG")
        return file.getvalue()

    def __repr__(self) -> str:
        parts = [f"{len(self):,} of {'×'.join(map(str, self.x.shape[1:]))}"]
        parts += [f"{len(self.classes)} classes"] * bool(self.classes)
        parts += [f"{len(self.broken):,} broken"] * bool(self.broken)
        return f"Images({', '.join(parts)})"


def load_images(
    source: str | os.PathLike | np.ndarray,
    size: int | tuple[int, int] | None = None,
    colour: bool | None = None,
    labels: Sequence | np.ndarray | bool | None = None,
    classes: Sequence[str] | str | None = None,
) -> Images:
    """Images from a folder, a .npz file or an array.

    Parameters
    ----------
    source : folder, .npz file, or array of shape (n, height, width) or (n, height, width, 3)
        Of a folder all .png, .jpg and .jpeg files in it and below, in the order of their names; hidden ones
        are left out. The first-level sub-folder a file is in is its known label; files right in the folder
        have none. A .npz file holds `x` (or `images`) and, if labels are known, `y` (or `labels`). Arrays are
        uint8 or floats from 0 to 1, which become uint8, and are copied.
    size : int, or (height, width), optional
        By default 28 for files, and as it is for arrays.
    colour : bool, optional
        By default grey for files, and as it is for arrays.
    labels : sequence of n names or whole numbers, optional
        The known labels of an array; None or -1 where there is none. False: none are known, whatever the
        sub-folders or `y` say.
    classes : sequence of 2 to 36 names, or text with commas between them, optional
        A label has to be one of them, or a number that counts them from 0; a sub-folder that is none of them
        is no label. By default the sub-folders or names that occur, sorted (2 before 10), or "0" up to the
        largest number.

    An image is turned upright (EXIF) and laid on white if transparent; 16-bit grey levels are divided by 257;
    grey is Pillow's luma. An image of another size is then fitted into the frame whole, with its proportions
    kept (Lanczos) and in the middle; the rest gets the median of its edge pixels. JPEG files may be decoded
    reduced, to no less than twice the size. An image of the right size is not touched.

    A file that cannot be read is left out and named in `broken`.

    Raises
    ------
    ImagesError
        If there is no usable image, or arrays, labels, classes or size cannot be used; one sentence.
    """
    frame = None if size is None else _check_size(size)
    if isinstance(classes, str):
        classes = [name.strip() for name in classes.split(",") if name.strip()] or None
    classes = None if classes is None else _check_classes(classes)
    if not isinstance(source, str | os.PathLike):
        return _from_array(np.asarray(source), frame, colour, labels, classes)
    path = Path(os.path.expanduser(source))
    if os.path.isdir(path):
        if labels is not None and labels is not False:
            raise ImagesError(
                "labels are given for a folder, whose sub-folders are the labels; give None or False"
            )
        return _from_folder(path, frame or (SIDE, SIDE), bool(colour), labels is None, classes)
    if path.suffix.lower() != ".npz" or not os.path.isfile(path):
        raise ImagesError(f"{str(path)!r} is no folder and no .npz file; give one of these, or an array")
    x, y = _read_npz(path)
    return _from_array(x, frame, colour, y if labels is None else labels, classes)


def _from_folder(
    folder: Path, frame: tuple[int, int], colour: bool, labelled: bool, classes: Sequence[str] | None
) -> Images:
    files, broken = _find_images(folder)
    if not files:
        why = f"{broken[0][0]!r} cannot be read: {broken[0][1]}" if broken else "give another folder"
        raise ImagesError(f"{str(folder)!r} holds no .png, .jpg or .jpeg file; {why}")
    # Classes come from all files, so that a repaired one does not change them.
    labels = [name.split("/")[0] if labelled and "/" in name else None for name, _ in files]
    if classes is not None:
        labels = [label if label in classes else None for label in labels]
    known, classes = _labels_as_numbers(labels, classes)
    x = np.empty((len(files), *frame, 3)[: 4 if colour else 3], np.uint8)
    good, digests = [], []
    with _without_warnings():
        for i, (name, path) in enumerate(progress(files, "Reading images")):
            try:
                image, digest = _read_image(path, 2 * max(frame))
                x[len(good)] = _fit_into_frame(image, frame, colour)
            except Exception as problem:  # of any type: Pillow's decoders raise whatever they stumble over
                broken.append((name, _reason(problem)))
            else:
                good.append(i)
                digests.append(digest)
    if not good:
        name, reason = broken[0]
        raise ImagesError(
            f"{str(folder)!r} holds no usable image among {len(broken):,}; the first, {name!r}: {reason}"
        )
    names, paths = zip(*(files[i] for i in good), strict=True)
    return Images(x[: len(good)], names, tuple(digests), known[good], classes, paths, tuple(broken))


def _find_images(folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """All image files, as (name, path) by name; all folders that cannot be read, as (name, reason)."""
    root = os.path.abspath(folder)  # pictures are wanted later, perhaps after a change of folder
    paths, unreadable, seen = [], [], {os.path.realpath(root)}
    for here, folders, files in os.walk(root, onerror=unreadable.append, followlinks=True):
        paths += [os.path.join(here, name) for name in files + folders if _is_image(name)]
        below = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(here, name))
            if not (name.startswith(".") or _is_image(name) or real in seen):  # links can lead in a circle
                below.append(name)
                seen.add(real)
        folders[:] = below
    named = [(_name_below(path, root), path) for path in paths]
    broken = [(_name_below(problem.filename, root), _reason(problem)) for problem in unreadable]
    return sorted(named), sorted(broken)


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _name_below(path: str, root: str) -> str:
    """The path below root as text that JSON and SQLite take, the same on every system."""
    name = os.fsencode(Path(path).relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", name)


def _reason(problem: Exception) -> str:
    """What is wrong with a file, in one line."""
    if isinstance(problem, UnidentifiedImageError):
        return "no PNG or JPEG image"
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return reason.strip().split("\n")[0][:200]


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without the warnings that Pillow gives about files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _read_image(path: str, min_side: int) -> tuple[Image.Image, str]:
    """The image in a file, upright, on white, 8-bit grey or RGB; and the SHA-256 of the file.

    A JPEG file may come reduced, with neither side below `min_side`. Raises all sorts of exceptions.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise OSError("a folder or device, not a file")
    if status.st_size == 0:
        raise OSError("the file is empty")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            image.draft(None, (min_side, min_side))
            image.load()
            with contextlib.suppress(Exception):  # damaged EXIF data need not matter
                ImageOps.exif_transpose(image, in_place=True)
            return _to_grey_or_rgb(image), digest


def _to_grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip
        levels = np.asarray(image).astype(np.uint32)
        grey = ((levels + 128) // 257).astype(np.uint8)
        grey[levels == image.info.get("transparency", -1)] = 255
        return Image.fromarray(grey)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fit_into_frame(image: Image.Image, frame: tuple[int, int], colour: bool) -> np.ndarray:
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


def _from_array(
    source: np.ndarray,
    frame: tuple[int, int] | None,
    colour: bool | None,
    labels: Sequence | np.ndarray | bool | None,
    classes: Sequence[str] | None,
) -> Images:
    try:
        check_images("the array", source)
    except ValueError as problem:
        raise ImagesError(str(problem)) from None
    n, is_colour = len(source), source.ndim == 4
    if labels is None or labels is False:
        labels = [None] * n
    labels = np.array(labels, dtype=object)
    if labels.shape != (n,):
        raise ImagesError(f"labels has shape {labels.shape}; give ({n},), one label for each image")
    known, classes = _labels_as_numbers(labels.tolist(), classes)
    originals = np.empty(source.shape, np.uint8)
    for i, image in enumerate(source):  # one at a time, for the memory that floats take
        originals[i] = image if image.dtype == np.uint8 else np.rint(image * 255)
    head = f"uint8 {originals.shape[1:]} ".encode()
    digests = tuple(hashlib.sha256(head + image.tobytes()).hexdigest() for image in originals)
    frame, colour = frame or originals.shape[1:3], is_colour if colour is None else colour
    x = originals
    if (frame, colour) != (originals.shape[1:3], is_colour):
        x = np.empty((n, *frame, 3)[: 4 if colour else 3], np.uint8)
        for i, image in enumerate(progress(originals, "Resizing images")):
            x[i] = _fit_into_frame(Image.fromarray(image), frame, colour)
    return Images(x, tuple(f"image {i}" for i in range(n)), digests, known, classes, tuple(originals))


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The images and, if there are any, the labels in a .npz file."""
    try:
        if not zipfile.is_zipfile(path):  # NumPy would suggest to unpickle whatever it is
            raise ValueError("it is damaged or something else")
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            x, y = (
                next((archive[n] for n in pair if n in names), None)
                for pair in (("x", "images"), ("y", "labels"))
            )
    except Exception as problem:  # of any type: zipfile and NumPy have several each
        raise ImagesError(f"{str(path)!r} cannot be read as a .npz file: {_reason(problem)}") from None
    if x is None:
        raise ImagesError(
            f"{str(path)!r} holds {', '.join(map(repr, names)) or 'nothing'}; "
            "name the images 'x' and their labels, if known, 'y'"
        )
    return x, y


def _natural(name: str) -> list:
    """What to sort by for an order in which 10 comes after 9."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if i % 2 else (0, part) for i, part in enumerate(parts)]


def _labels_as_numbers(labels: list, classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as indices into classes, int64 of shape (n,), and the classes."""
    given = [label for label in labels if not (label is None or label == -1)]
    numbers = all(isinstance(label, Integral) and not isinstance(label, bool) for label in given)
    if not numbers and (odd := [label for label in given if not isinstance(label, str)]):
        raise ImagesError(
            f"a label is {odd[0]!r:.80}; give either names or whole numbers, and None where there is no label"
        )
    present = set(given)
    if classes is None and present:
        n_classes = max(present) + 1 if numbers else len(present)
        if not 2 <= n_classes <= MOST_CLASSES:
            example = f"the largest is {max(present)}" if numbers else f"one is {min(present)!r:.80}"
            raise ImagesError(
                f"the labels make {n_classes:,} class{'es' * (n_classes != 1)} ({example}); give 2 to "
                f"{MOST_CLASSES} as classes, or labels=False if they are no labels"
            )
        classes = _check_classes(
            [str(k) for k in range(n_classes)] if numbers else sorted(present, key=_natural)
        )
    classes = classes or ()
    index = {label: k for k, label in enumerate(range(len(classes)) if numbers else classes)}
    if unknown := present - set(index):
        raise ImagesError(
            f"a label is {min(unknown)!r:.80}, and the classes are {', '.join(map(repr, classes))}; "
            f"give {f'numbers from 0 to {len(classes) - 1}' if numbers else 'classes with all labels'}, "
            "or labels=False"
        )
    index |= {None: -1, -1: -1}
    return np.array([index[label] for label in labels], np.int64), classes


def _check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    names = list(classes) if isinstance(classes, list | tuple | np.ndarray) else []  # a set has no order
    # What UTF-8 cannot write, half a surrogate pair, no ledger takes.
    good = [n for n in names if isinstance(n, str) and n.strip() and n.encode(errors="ignore").decode() == n]
    if not 2 <= len(names) <= MOST_CLASSES or len(set(good)) != len(names):
        shown = " ".join(repr(classes).split())
        raise ImagesError(f"classes is {shown:.200}; give a list of 2 to {MOST_CLASSES} different names")
    return tuple(map(str, names))


def _check_size(size: int | tuple[int, int]) -> tuple[int, int]:
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(
        isinstance(side, Integral) and not isinstance(side, bool) and 1 <= side <= MOST_SIDE for side in sides
    ):
        raise ImagesError(f"size is {size!r:.80}; give 1 to {MOST_SIDE:,} pixels, or (height, width)")
    return int(sides[0]), int(sides[1])
