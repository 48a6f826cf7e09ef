"""Images come in as they are or by one rule, under names and digests that hold; what is broken is named."""

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import sys
import unicodedata
import warnings
import zlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from alhelpers.data import read_mnist
from alhelpers.labelling.images import ImagesError, load_images

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"  # 512 × 600, colour
ORIENTATION = 0x0112


def save(path, pixels=((0, 255), (255, 0)), dtype=np.uint8, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, dtype)).save(path, **options)
    return path


def turned(path, orientation, pixels):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return save(path, pixels, exif=exif)


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)))


# --- What comes in is what was there ---


def test_mnist_written_out_as_png_files_comes_back_pixel_for_pixel(tmp_path):
    x, y, _, _ = read_mnist(200, 1)
    for k, (image, digit) in enumerate(zip(x, y, strict=True)):
        save(tmp_path / f"digit {digit}" / f"{k:03}.png", image)
    images = load_images(tmp_path)
    order = np.lexsort([np.arange(200), y])
    assert np.array_equal(images.x, x[order])
    assert np.array_equal(images.known, y[order])
    assert images.classes == tuple(f"digit {k}" for k in range(10))
    assert images.names[0] == f"digit 0/{order[0]:03}.png"
    for k in (0, 199):
        content = (tmp_path / images.names[k]).read_bytes()
        assert images.digests[k] == hashlib.sha256(content).hexdigest()
        assert np.array_equal(pixels_of(images.picture(k)), x[order[k]])
    assert repr(images) == "Images(200 of 28×28, 10 classes)"


def test_arrays_are_taken_as_they_are_and_floats_become_the_same_images(tmp_path):
    x, y, _, _ = read_mnist(50, 1)
    y = y.astype(int)
    y[3] = -1
    mine = x.copy()
    images = load_images(mine, labels=y)
    mine[:] = 0
    assert np.array_equal(images.x, x)
    assert np.array_equal(images.known, y)
    assert images.names[17] == "image 17"
    assert images.digests[0] == hashlib.sha256(b"uint8 (28, 28) " + x[0].tobytes()).hexdigest()
    with pytest.raises(ValueError, match="read-only"):
        images.x[0] = 0

    np.savez(tmp_path / "x.npz", x=x, y=y)
    np.savez_compressed(tmp_path / "images.npz", images=x.astype(np.float16) / 255, labels=y)
    for same in (x / np.float32(255), tmp_path / "x.npz", str(tmp_path / "images.npz")):
        again = load_images(same, labels=y if isinstance(same, np.ndarray) else None)
        assert np.array_equal(again.x, x)
        assert again.digests == images.digests
        assert np.array_equal(again.known, y)
    assert (load_images(tmp_path / "x.npz", labels=False).known == -1).all()
    assert (load_images(np.full((1, 2, 2), 0.999)).x == 255).all(), "rounded"


def test_arrays_are_resized_if_asked_but_known_and_shown_as_they_were():
    x = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    as_is, small = load_images(x), load_images(x, size=(8, 12), colour=False)
    assert as_is.x.shape == x.shape
    assert small.x.shape == (3, 8, 12)
    assert small.digests == as_is.digests
    assert np.array_equal(pixels_of(small.picture(2)), x[2])
    assert np.array_equal(load_images(x, colour=False).x[0], np.asarray(Image.fromarray(x[0]).convert("L")))


# --- Which files, in which order, as what ---


def test_a_folder_is_read_in_the_order_of_names_and_sub_folders_name_the_classes(tmp_path, tmp_path_factory):
    for name in ("top.png", "b/2.PNG", "b/10.png", "a/deep/er/x.jpeg", "a/y.JPG", "C/z.png"):
        save(tmp_path / name)
    for name in (".hidden.png", ".git/x.png", "a/.thumbs/x.png"):
        save(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "empty").mkdir()
    os.symlink(tmp_path, tmp_path / "a" / "round")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(elsewhere / "1.png")
    os.symlink(elsewhere, tmp_path / "d")
    images = load_images(str(tmp_path), follow_links=True)
    names = ["C/z.png", "a/deep/er/x.jpeg", "a/y.JPG", "b/10.png", "b/2.PNG", "d/1.png", "top.png"]
    assert images.names == tuple(names)
    assert images.classes == ("C", "a", "b", "d")
    assert images.known.tolist() == [0, 1, 1, 2, 2, 3, -1]
    assert len(set(images.digests)) == 2, "files with the same bytes share a digest"
    assert not images.broken

    given = load_images(tmp_path, classes=["d", "b", "a", "C", "none yet"], follow_links=True)
    assert given.classes == ("d", "b", "a", "C", "none yet")
    assert given.known.tolist() == [3, 2, 2, 1, 1, 0, -1]
    unlabelled = load_images(tmp_path, labels=False, classes=["cat", "dog"])
    assert (unlabelled.known == -1).all()
    assert load_images(tmp_path, labels=False).classes == ()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_of_any_bytes_become_text_that_json_and_sqlite_keep(tmp_path):
    hostile = ["<img onerror=alert(1)>", "=cmd|' calc'!A0", "two\nlines", '"quotes"', "🐈", "cafe\u0301"]
    for name in hostile:
        save(tmp_path / name / f"{name}.png")
    save(tmp_path / os.fsdecode(b"\xff\xfe") / os.fsdecode(b"\xff.png"))
    images = load_images(tmp_path)
    expected = [unicodedata.normalize("NFC", name) for name in hostile] + [r"\xff\xfe"]
    assert set(images.classes) == set(expected)
    assert r"\xff\xfe/\xff.png" in images.names
    assert "café/café.png" in images.names, "composed, as people type it"
    json.dumps(images.names, ensure_ascii=False).encode()
    for name in images.names:
        assert sqlite3.connect(":memory:").execute("select ?", [name]).fetchone() == (name,)
    assert all(pixels_of(images.picture(k)).tolist() == [[0, 255], [255, 0]] for k in range(len(images)))
    assert repr(images).startswith("Images(7 of 28×28, 7 classes)\n")


# --- What is broken ---


def png_of_size(width, height):
    """A PNG that says it is that large."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[16:24] = width.to_bytes(4) + height.to_bytes(4)
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


def test_broken_images_are_named_and_left_out_silently(tmp_path, capfd, caplog):
    tiff = bytearray(save(tmp_path / "bad" / "samples.tif", np.zeros((9, 9, 3))).read_bytes())
    place = tiff.index(b"\x15\x01\x03\x00")  # samples per pixel
    tiff[place + 8 : place + 10] = b"\xff\x4f"
    good = save(tmp_path / "good" / "a.png", np.eye(50) * 255)
    other = tmp_path / "bad"
    photo = PHOTO.read_bytes()
    contents = {
        "bomb.png": png_of_size(30_000, 30_000),
        "cut.jpg": photo[: len(photo) // 2],
        "cut.png": good.read_bytes()[:70],
        "empty.png": b"",
        "large.png": png_of_size(10_000, 10_000),  # about which Pillow warns
        "samples.tif": tiff,
        "text.png": b"hello",
    }
    for name, content in contents.items():
        (other / name).write_bytes(content)
    (other / "folder.png").mkdir()
    save(other / "folder.png" / "inside.png")
    os.symlink(tmp_path / "nowhere", other / "link.png")
    os.mkfifo(other / "pipe.png")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        images = load_images(tmp_path)
    assert images.names == ("good/a.png",)
    reasons = dict(images.broken)
    for name, reason in {
        "bomb.png": "900000000 pixels", "cut.jpg": "truncated", "cut.png": "truncated|broken",
        "empty.png": "empty", "folder.png": "a folder", "large.png": "truncated|broken",
        "link.png": "No such file", "pipe.png": "not a file", "samples.tif": "no image of a known",
        "text.png": "no image of a known",
    }.items():  # fmt: skip
        assert re.search(reason, reasons.pop(f"bad/{name}")), name
    assert not reasons
    assert all(len(reason) <= 200 and "\n" not in reason for _, reason in images.broken)
    assert images.classes == ("bad", "good"), "repaired files must not change the classes"
    assert repr(images) == (
        "Images(1 of 28×28, 2 classes, 10 broken)\n- no image that can be read: 1 sub-folder ('bad')"
    )
    assert not warned
    assert not caplog.records, "which would be shown in the notebook"
    assert capfd.readouterr() == ("", "")

    with pytest.raises(ImagesError, match=r"no usable image among 10; the first, 'bomb\.png'"):
        load_images(other)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named_too(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/3.png", "shut/4.png"):
        save(tmp_path / name)
    (tmp_path / "a" / "2.png").chmod(0)
    (tmp_path / "shut").chmod(0)
    try:
        assert load_images(tmp_path).broken == (
            ("shut", "Permission denied"),
            ("a/2.png", "Permission denied"),
        )
        with pytest.raises(ImagesError, match="is no folder and no"):
            load_images(tmp_path / "shut" / "below")
    finally:
        (tmp_path / "shut").chmod(0o700)


# --- The one rule of resizing ---


@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_turned_upright_for_the_model_and_for_the_screen(tmp_path, orientation):
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    turned(tmp_path / "a.png", orientation, stored)
    images = load_images(tmp_path, size=(2, 3))
    assert np.array_equal(images.x[0], upright)
    assert np.array_equal(pixels_of(images.picture(0)), upright)


def test_the_whole_image_is_fitted_in_proportion_and_the_bars_are_like_its_edge(tmp_path):
    wide = np.full((56, 112, 3), (10, 200, 30))
    wide[8:48, 8:104] = 255
    save(tmp_path / "wide.png", wide)
    save(tmp_path / "tall.png", wide.swapaxes(0, 1))
    tall, x = load_images(tmp_path, size=56, colour=True).x
    assert np.abs(tall.astype(int) - x.swapaxes(0, 1)).max() <= 5
    assert (x[:14] == (10, 200, 30)).all()
    assert (x[-14:] == (10, 200, 30)).all()
    rows, columns = np.nonzero(x[..., 0] > 130)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (18, 37, 4, 51), "in the middle"

    save(tmp_path / "narrow" / "a.png", np.full((300, 1), 77))
    assert (load_images(tmp_path / "narrow").x == 77).all()


def test_transparency_is_white_and_sixteen_bits_become_eight(tmp_path):
    clear = np.zeros((2, 2, 4))
    clear[0] = (255, 0, 0, 255)
    save(tmp_path / "1.png", clear)
    save(tmp_path / "2.png", [[0, 65535], [257 * 100, 257 * 100 + 129]], np.uint16)
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    palette.putpalette([9, 9, 9, 0, 0, 0])
    palette.save(tmp_path / "3.png", transparency=1)
    save(tmp_path / "4.png", [[False, True], [True, False]], bool)
    x = load_images(tmp_path, size=2).x
    assert x.tolist() == [
        [[76, 76], [255, 255]],
        [[0, 255], [100, 101]],
        [[9, 255], [255, 9]],
        [[0, 255], [255, 0]],
    ]


def test_a_photo_is_reduced_as_well_as_without_shortcuts(tmp_path):
    shutil.copy(PHOTO, tmp_path)
    photo = Image.open(PHOTO)
    Image.open(PHOTO).convert("CMYK").save(tmp_path / "printed.jpg", quality=95, icc_profile=b"of a printer")
    images = load_images(tmp_path, size=(30, 26), colour=True)
    slowly = np.asarray(photo.resize((26, 30), Image.Resampling.LANCZOS)).astype(int)
    for x in images.x:
        assert np.abs(x - slowly).mean() < 3
    assert pixels_of(images.picture(0)).shape == (600, 512, 3)
    assert "icc_profile" not in Image.open(io.BytesIO(images.picture(1))).info
    grey = load_images(tmp_path, size=(30, 26)).x[0]
    assert np.abs(grey - slowly @ [0.299, 0.587, 0.114]).mean() < 3


def test_damaged_exif_data_do_not_cost_the_image(tmp_path, capfd):
    save(tmp_path / "a.png", exif=b"Exif\0\0neither order")
    save(tmp_path / "b.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    images = load_images(tmp_path)
    assert len(images) == 2
    images.picture(1)
    assert capfd.readouterr() == ("", "")


# --- Afterwards ---


@pytest.mark.parametrize("fate", ["gone", "changed", "broken"])
def test_a_picture_of_a_file_that_is_no_longer_the_same_is_what_the_model_sees(tmp_path, monkeypatch, fate):
    file = save(tmp_path / "photos" / "a.png", np.eye(60) * 255)
    monkeypatch.chdir(tmp_path)
    images = load_images("photos")
    monkeypatch.chdir("/")
    assert pixels_of(images.picture(0)).shape == (60, 60)
    if fate == "gone":
        file.unlink()
    elif fate == "changed":
        save(file, np.zeros((60, 60)))
    else:
        file.write_bytes(file.read_bytes()[:60])
    assert np.array_equal(pixels_of(images.picture(0)), images.x[0])


def test_a_selection_keeps_everything_of_each_image_together(tmp_path):
    for k in range(5):
        save(tmp_path / "ab"[k % 2] / f"{k}.png", np.full((28, 28), k))
    (tmp_path / "a" / "broken.png").touch()
    images = load_images(tmp_path)
    few = images.take(np.array([3, 0]))
    assert few.names == ("b/1.png", "a/0.png")
    assert few.x[:, 0, 0].tolist() == [1, 0]
    assert few.known.tolist() == [1, 0]
    assert few.digests == (images.digests[3], images.digests[0])
    assert pixels_of(few.picture(0)).max() == 1
    assert few.classes == images.classes
    assert not few.broken
    assert images.take(images.known == 1).names == ("b/1.png", "b/3.png")
    assert len(images.take([])) == 0


# --- What cannot be, in one sentence ---

X = np.zeros((3, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("source", "arguments", "sentence"),
    [
        (np.zeros((0, 4, 4), np.uint8), {}, r"the array has shape \(0, 4, 4\); expected"),
        (np.zeros((3, 4)), {}, r"the array has shape \(3, 4\)"),
        (np.zeros((3, 4, 4), int), {}, "the array has dtype int64; expected uint8"),
        (np.full((3, 4, 4), 2.0), {}, "floats outside 0 to 1"),
        (None, {}, r"the array has shape \(\)"),
        ("/nowhere/at all", {}, "'/nowhere/at all' is no folder and no .npz file"),
        ("/nowhere/x.npz", {}, "is no folder and no .npz file"),
        (X, {"size": 0}, "size is 0; give 1 to 1,024 pixels"),
        (X, {"size": (28, 2.5)}, r"size is \(28, 2.5\)"),
        (X, {"size": True}, "size is True"),
        (X, {"labels": [0, 1]}, r"labels has shape \(2,\); give \(3,\)"),
        (X, {"labels": "cat"}, r"labels has shape \(\)"),
        (X, {"labels": np.eye(3, dtype=int)}, r"labels has shape \(3, 3\)"),
        (X, {"labels": [0.5, 1, 0]}, "a label is 0.5; give either names or whole numbers"),
        (X, {"labels": [True, False, True]}, "a label is True"),
        (X, {"labels": ["cat", 1, None]}, "a label is 1; give either"),
        (X, {"labels": [[1], [1, 2], [3]]}, r"a label is \[1\]"),
        (X, {"labels": [0, 1, -2]}, "a label is -2.*numbers from 0 to 1"),
        (X, {"labels": [0, 1, 36]}, r"the labels make 37 classes \(the largest is 36\); give 2 to 36"),
        (X, {"labels": [0, 0, 10**30]}, "the labels make 1,000"),
        (X, {"labels": ["cat", None, "cat"]}, r"the labels make 1 class \(one is 'cat'\)"),
        (X, {"labels": ["cat", "dgo", None], "classes": ["cat", "dog"]}, "'dgo'.* are 'cat', 'dog'"),
        (X, {"labels": [0, 1, 2], "classes": ["cat", "dog"]}, "a label is 2.*numbers from 0 to 1"),
        (X, {"classes": ["cat"]}, r"classes is \['cat'\]; give 2 to 36 different names, as a list"),
        (X, {"classes": ["cat", "dog", "cat"]}, "different names"),
        (X, {"classes": ["cat", " "]}, r"classes is \['cat', ' '\]"),
        (X, {"classes": ["cat", "\udcff"]}, "different names"),
        (X, {"classes": {"cat", "dog"}}, "classes is {"),
        (X, {"classes": "cat"}, r"classes is \['cat'\]"),
        (X, {"classes": "cat; dog"}, r"\['cat; dog'\]; give .* names, as a list or separated by commas$"),
        (X, {"classes": 5}, "classes is 5"),
        (X, {"classes": np.array([f"long\n{k}" for k in range(50)])}, "classes is array"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(source, arguments, sentence):
    with pytest.raises(ImagesError, match=sentence) as error:
        load_images(source, **arguments)
    assert "\n" not in str(error.value)
    assert error.value._render_traceback_() == [f"ImagesError: {error.value}"]


def test_files_that_cannot_be_are_said_in_one_sentence(tmp_path):
    def refused(source, sentence, **arguments):
        with pytest.raises(ImagesError, match=sentence) as error:
            load_images(source, **arguments)
        assert "\n" not in str(error.value)

    np.savez(tmp_path / "a.npz", x_train=X, y_train=[0, 1, 2])
    refused(tmp_path / "a.npz", "holds 'x_train', 'y_train'; name the images 'x' and their labels")
    np.savez(tmp_path / "b.npz", x=np.array([{}, {}], object))
    refused(tmp_path / "b.npz", "cannot be read as a .npz file: Object arrays cannot be loaded")
    (tmp_path / "c.npz").write_bytes(b"hello")
    refused(tmp_path / "c.npz", "it is damaged or something else")
    np.savez(tmp_path / "d.npz", x=np.zeros(1, [(f"column {k}", "u1") for k in range(1000)]))
    refused(tmp_path / "d.npz", "cannot be read as a .npz file")  # NumPy says so in several lines
    refused(tmp_path, r"holds no image file \(.png, .jpg, .*; not read: 4 .npz; give another folder")

    for k in range(37):
        save(tmp_path / f"class {k}" / "a.png")
    refused(tmp_path, "the labels make 37 classes .* or labels=False")
    # Sub-folders that are none of the classes, such as a camera's, are no labels.
    assert set(load_images(tmp_path, classes="class 3, other").known) == {-1, 0}
    refused(tmp_path / "class 0", "whose sub-folders are the labels", labels=["cat"])


def test_labels_are_names_or_numbers_of_the_classes():
    assert load_images(X, labels=["dog", None, "cat"]).known.tolist() == [1, -1, 0]
    assert load_images(X, labels=np.array(["dog", "dog", "cat"])).classes == ("cat", "dog")
    numbers = load_images(X, labels=np.array([5, -1, 0], np.int8))
    assert numbers.known.tolist() == [5, -1, 0]
    assert numbers.classes == ("0", "1", "2", "3", "4", "5")
    named = load_images(X, labels=[1, None, 0], classes=['a "cat"', "🐕"])
    assert named.known.tolist() == [1, -1, 0]
    assert named.classes == ('a "cat"', "🐕")
    assert repr(load_images(X[:1])) == "Images(1 of 4×4)"


def test_a_split_loses_and_repeats_no_image_and_leaves_a_pool():
    images = load_images(np.arange(20 * 4, dtype=np.uint8).reshape(20, 2, 2))
    parts = images.split(5, 8, seed=1)
    assert [len(part) for part in parts] == [5, 8, 7]
    assert sorted(sum((part.digests for part in parts), ())) == sorted(images.digests)
    assert parts[0].digests == images.split(5, 8, seed=1)[0].digests != images.split(5, 8, seed=2)[0].digests
    with pytest.raises(
        ImagesError, match=r"a check set of 12 \(n_check\) and a stop set of 8 leave none of 20"
    ):
        images.split(12, 8)
    for sizes, odd in (((2.5, 1), "n_check is 2.5"), ((5, -1), "n_stop is -1"), (("5", 2), "n_check is '5'")):
        with pytest.raises(ImagesError, match=f"{odd}; give a whole number from 0 up"):
            images.split(*sizes)
    assert [len(part) for part in images.split(np.int64(2), 0)] == [2, 0, 18]


def test_equal_images_stay_together_and_every_part_has_as_many_as_asked_for():
    x = np.arange(40 * 4, dtype=np.uint8).reshape(40, 2, 2)
    x[10:] = x[10]  # thirty of the forty are equal
    images = load_images(x)
    for seed in range(5):
        parts = images.split(5, 4, seed)
        assert [len(part) for part in parts] == [5, 4, 31]
        assert sorted(sum((part.digests for part in parts), ())) == sorted(images.digests)
        assert not set(parts[0].digests) & set(parts[1].digests)
    with pytest.raises(ImagesError, match=r"n_stop is 10 and only 0 .* 30 are; delete copies"):
        images.split(10, 10)


def test_numbered_sub_folders_are_classes_in_their_order(tmp_path):
    for name in ("10", "9", "img2", "img10", "1"):
        save(tmp_path / name / "a.png")
    assert load_images(tmp_path).classes == ("1", "9", "10", "img2", "img10")
