"""Images to be labelled, from a folder, a .npz file or an array. Without TensorFlow.

Of several frames or pages of a file the first is taken. It is turned upright (EXIF) and laid on white if
transparent, on black if its ink is light; 16-bit grey levels are divided by 257; grey is Pillow's luma. An
image of another size is then fitted into the frame whole, with its proportions kept (Lanczos) and in the
middle; the rest gets the median of its edge pixels. JPEG files may be decoded reduced, to no less than twice
the size. An image of the right size is not touched further.
"""

import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import numpy as np
from PIL import Image

from alhelpers.data import check_images
from alhelpers.errors import check_count
from alhelpers.labelling.classes import ImagesError, class_names, labels_as_numbers
from alhelpers.labelling.folder import Search, counted, labels_of, listed, some
from alhelpers.labelling.pictures import fit_into_frame, is_narrow, read_picture, reason, without_warnings
from alhelpers.progress import progress

SIDE, MOST_SIDE, SCREEN_SIDE, EXACT_SIDE = 28, 1024, 2048, 512
"""Pixels a side: what a model sees of a file by default and at most, a person at most, and without loss."""


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
    originals : tuple of file paths, or of arrays
        Where the pictures come from.
    broken : tuple of (name, reason)
        Files that cannot be read. A selection made with `take` has none.
    notes : tuple of str
        What was left out or is shown otherwise than it is, counted and named; repr has it, too. A selection
        has none.
    stretch : bool
        Whether files with few grey levels are shown with more contrast.
    """

    x: np.ndarray
    names: tuple[str, ...]
    digests: tuple[str, ...]
    known: np.ndarray
    classes: tuple[str, ...]
    originals: tuple[str | np.ndarray, ...]
    broken: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    stretch: bool = True

    def __post_init__(self) -> None:
        self.x.flags.writeable = self.known.flags.writeable = False

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Images":
        """These images in this order, by index or with a boolean for each image."""
        chosen = np.arange(len(self))[indices if isinstance(indices, np.ndarray) else list(indices)]
        parts = {
            name: tuple(getattr(self, name)[i] for i in chosen) for name in ("names", "digests", "originals")
        }
        return replace(self, x=self.x[chosen], known=self.known[chosen], broken=(), notes=(), **parts)

    def split(self, n_check: int, n_stop: int, seed: int = 0) -> tuple["Images", "Images", "Images"]:
        """Three random parts: n_check images, n_stop others, and the rest as a pool.

        Chance goes by seed and digest, so that equal images stay together, and images added later leave
        nearly all others where they were. Equal images that are too many for what a part still lacks go to a
        later one.

        Raises ImagesError if one is no count, no image would be left for the pool, or equal images leave too
        few for a part.
        """
        try:
            n_check, n_stop = check_count("n_check", n_check, 0), check_count("n_stop", n_stop, 0)
        except ValueError as problem:
            raise ImagesError(str(problem)) from None
        if n_check + n_stop >= len(self):
            raise ImagesError(
                f"a check set of {n_check:,} (n_check) and a stop set of {n_stop:,} leave none of "
                f"{len(self):,} images to choose from; give a smaller n_check, such as a tenth of the images"
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

    def picture(self, i: int, side: int = SCREEN_SIDE) -> bytes:
        """Image i for the screen: the original, upright, reduced to so many pixels a side if larger.

        PNG up to 512 pixels a side, JPEG beyond that: a large PNG takes half a second to write. If the file
        has gone or changed since it was loaded, what the model sees.
        """
        original = self.originals[i]
        if isinstance(original, str):
            picture, digest = None, None
            with without_warnings(), contextlib.suppress(Exception):  # see load_images on Exception
                picture, digest, _ = read_picture(original, side, self.stretch)
            if digest != self.digests[i]:
                picture = Image.fromarray(self.x[i])
        else:
            picture = Image.fromarray(original)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        picture.info.clear()  # a printer's colour profile does not fit what is RGB by now
        file = io.BytesIO()
        exact = max(picture.size) <= EXACT_SIDE
        picture.save(
            file, **{"format": "PNG"} if exact else {"format": "JPEG", "quality": 92, "subsampling": 0}
        )
        return file.getvalue()

    def file(self, i: int) -> bytes | None:
        """The bytes of image i's file, a PNG for an array; None if the file has gone or changed since."""
        original = self.originals[i]
        if isinstance(original, str):
            try:
                content = Path(original).read_bytes()
            except OSError:
                return None
            return content if hashlib.sha256(content).hexdigest() == self.digests[i] else None
        file = io.BytesIO()
        Image.fromarray(original).save(file, "PNG")
        return file.getvalue()

    def __repr__(self) -> str:
        parts = [f"{len(self):,} of {'×'.join(map(str, self.x.shape[1:]))}"]
        parts += [f"{len(self.classes)} classes"] * bool(self.classes)
        parts += [f"{len(self.broken):,} broken"] * bool(self.broken)
        return "\n".join([f"Images({', '.join(parts)})", *(f"- {note}" for note in self.notes)])


def load_images(
    source: str | os.PathLike | np.ndarray,
    size: int | tuple[int, int] | None = None,
    colour: bool | None = None,
    labels: Sequence | np.ndarray | bool | None = None,
    classes: Sequence[str] | str | None = None,
    stretch: bool = True,
    follow_links: bool = False,
) -> Images:
    """Images from a folder, a .npz file or an array.

    Parameters
    ----------
    source : folder, .npz file, or array of shape (n, height, width) or (n, height, width, 3)
        Of a folder all PNG, JPEG, WebP, BMP, TIFF and GIF files in it and below, by name, without hidden
        ones; the first-level sub-folder a file is in is its known label. A .npz file holds `x` (or `images`)
        and, if labels are known, `y` (or `labels`). Arrays are uint8, or floats from 0 to 1, and are copied.
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
        largest number. Of a sub-folder or label that differs from a class in capitals or blanks only, that
        class is meant.
    stretch : bool
        Of a file whose grey levels fill less than a quarter of their range, make the darkest black and the
        brightest white.
    follow_links : bool
        Also read what symbolic links out of the folder lead to.

    A file that cannot be read is left out and named in `broken`; what else is left out or changed is counted
    in `notes`, and so are files with the same bytes, above all in two sub-folders.

    Raises ImagesError if there is no usable image, sub-folders are parts of a data set such as train and
    test, or arrays, labels, classes or size cannot be used.
    """
    frame = None if size is None else _check_size(size)
    if isinstance(classes, str):
        classes = [name.strip() for name in classes.split(",") if name.strip()] or None
    classes = None if classes is None else class_names(classes)
    if not isinstance(source, str | os.PathLike):
        return _from_array(np.asarray(source), frame, colour, labels, classes)
    path = Path(os.path.expanduser(source))
    if os.path.isdir(path):
        if labels is not None and labels is not False:
            raise ImagesError(
                "labels are given for a folder, whose sub-folders are the labels; give None or False"
            )
        found, size = Search(path, follow_links), frame or (SIDE, SIDE)
        return _from_files(path, found, labels is None, classes, size, bool(colour), stretch)
    if path.suffix.lower() != ".npz" or not os.path.isfile(path):
        raise ImagesError(f"{str(path)!r} is no folder and no .npz file; give one of these, or an array")
    x, y, notes = _read_npz(path)
    images = _from_array(x, frame, colour, y if labels is None else labels, classes)
    return replace(images, notes=(*notes, *images.notes))


def _from_files(
    folder: Path,
    found: Search,
    labelled: bool,
    classes: Sequence[str] | None,
    frame: tuple[int, int],
    colour: bool,
    stretch: bool,
) -> Images:
    # Labels and classes come from all files, so that a repaired one does not change them.
    labels, about_labels = [None] * len(found.files), []
    if labelled:
        labels, about_labels = labels_of([name for name, _ in found.files], folder, classes)
    known, classes = labels_as_numbers(labels, classes)
    x = np.empty((len(found.files), *frame, 3)[: 4 if colour else 3], np.uint8)
    good, digests, broken, remarks = [], [], [*found.broken], {}
    with without_warnings():
        for i, (name, path) in enumerate(progress(found.files, "Reading images")):
            try:
                picture = read_picture(path, 2 * max(frame), stretch)
                x[len(good)] = fit_into_frame(picture.image, frame, colour)
            except Exception as problem:  # of any type: Pillow's decoders raise whatever they stumble over
                broken.append((name, reason(problem)))
                continue
            good.append(i)
            digests.append(picture.digest)
            for remark in picture.remarks:
                remarks.setdefault(remark, []).append(name)
    if not good:
        name, why = broken[0]
        raise ImagesError(
            f"{str(folder)!r} holds no usable image among {len(broken):,}; the first, {name!r}: {why}"
        )
    names, paths = zip(*(found.files[i] for i in good), strict=True)
    notes = [remark.format(counted(named)) for remark, named in sorted(remarks.items())]
    empty = sorted({*found.folders} - {name.partition("/")[0] for name in names})
    notes += [f"no image that can be read: {counted(empty, 'sub-folder')}"] * bool(empty)
    notes = [*found.notes(), *about_labels, *notes]
    notes += _about_equal_ones(names, digests, known[good], classes)
    x, digests = x[: len(good)], tuple(digests)
    return Images(x, names, digests, known[good], classes, paths, tuple(broken), tuple(notes), stretch)


def _about_equal_ones(
    names: Sequence[str], digests: Sequence[str], known: np.ndarray, classes: Sequence[str]
) -> list[str]:
    """Notes on images that are the same, and on those among them whose labels differ."""
    first: dict[str, int] = {}
    again = [i for i, digest in enumerate(digests) if first.setdefault(digest, i) != i]
    labels: dict[str, dict[int, int]] = {}
    for i in np.flatnonzero(known >= 0).tolist():
        labels.setdefault(digests[i], {}).setdefault(int(known[i]), i)
    torn = [list(said.items())[:2] for said in labels.values() if len(said) > 1]
    notes = []
    if again:
        shown = counted([names[i] for i in again], "image")
        notes.append(f"the same as another, and asked about once: {shown}")
    if torn:
        (k, i), (other, j) = torn[0]
        example = f"{names[i]!r} is {classes[k]!r}, and {names[j]!r}, the same image, is {classes[other]!r}"
        notes.append(f"LABELS IN CONFLICT for {some(len(torn), 'image')}: {example}")
    return notes


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
    known, classes = labels_as_numbers(labels.tolist(), classes)
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
            x[i] = fit_into_frame(Image.fromarray(image), frame, colour)
    names = tuple(f"image {i}" for i in range(n))
    dim = [
        name for name, o in zip(names, originals, strict=True) if is_narrow(int(o.min()), int(o.max()), 255)
    ]
    notes = []
    if dim:
        few = "grey levels fill less than a quarter of 0 to 255, and may look black"
        notes.append(f"{few}: {counted(dim, 'image')}")
    notes += _about_equal_ones(names, digests, known, classes)
    return Images(x, names, digests, known, classes, tuple(originals), notes=tuple(notes))


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """The images in a .npz file, the labels if there are any, and a note on what else is in it."""
    try:
        if not zipfile.is_zipfile(path):  # NumPy would suggest to unpickle whatever it is
            raise ValueError("it is damaged or something else")
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            read = [next((n for n in pair if n in names), "") for pair in (("x", "images"), ("y", "labels"))]
            x, y = (archive[name] if name else None for name in read)
    except Exception as problem:  # of any type: zipfile and NumPy have several each
        raise ImagesError(f"{str(path)!r} cannot be read as a .npz file: {reason(problem)}") from None
    if x is None:
        raise ImagesError(
            f"{str(path)!r} holds {', '.join(map(repr, names)) or 'nothing'}; "
            "name the images 'x' and their labels, if known, 'y'"
        )
    others = [name for name in names if name not in read]
    return x, y, [f"not read from the file: {listed(others)}"] * bool(others)


def _check_size(size: int | tuple[int, int]) -> tuple[int, int]:
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(
        isinstance(side, Integral) and not isinstance(side, bool) and 1 <= side <= MOST_SIDE for side in sides
    ):
        raise ImagesError(f"size is {size!r:.80}; give 1 to {MOST_SIDE:,} pixels, or (height, width)")
    return int(sides[0]), int(sides[1])
