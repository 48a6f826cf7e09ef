"""Folders as people have them: what is read, what is said of the rest, and how dim or clear pictures show."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from alhelpers.labelling.images import ImagesError, load_images


def picture(seed=0, side=8, most=255, dtype=np.uint8):
    """Random levels from 0 to `most`, both there."""
    pixels = np.random.default_rng(seed).integers(0, most, (side, side), endpoint=True).astype(dtype)
    pixels[0, :2] = 0, most
    return pixels


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)


def shown(images, i=0):
    """What a person is shown, as an array."""
    return np.asarray(Image.open(io.BytesIO(images.picture(i))))


# --- Which files, and what is said of the others ---


def test_every_common_format_is_read_and_other_files_are_counted_by_ending(tmp_path):
    pixels = picture()
    for name in ("a.png", "b.WEBP", "c.bmp", "d.gif", "e.tif", "f.TIFF", "g.dib"):
        save(tmp_path / name, pixels, **({"lossless": True} if "WEBP" in name else {}))
    save(tmp_path / "h.jfif", pixels, format="JPEG")
    for name in ("x.heic", "y.HEIC", "z.svg", "README", ".hidden.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"whatever")
    images = load_images(tmp_path, size=8)
    assert images.names == ("a.png", "b.WEBP", "c.bmp", "d.gif", "e.tif", "f.TIFF", "g.dib", "h.jfif")
    for i in range(7):
        assert np.array_equal(images.x[i], pixels), images.names[i]
        assert np.array_equal(np.asarray(Image.fromarray(shown(images, i)).convert("L")), pixels)
    assert repr(images).splitlines() == [
        "Images(8 of 8×8)",
        "- not read: 2 .heic, 1 .svg, 1 without an ending",
        "- not read: 1 file ('.hidden.png') hidden by a dot before the name",
        "- the same as another, and asked about once: 1 image ('f.TIFF')",
    ]
    assert not images.take([0]).notes


def test_a_folder_without_a_readable_file_says_what_it_holds(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.heic").touch()
    with pytest.raises(ImagesError, match=r"holds no image file \(\.png, .*\); not read: 3 \.heic; give"):
        load_images(tmp_path)


@pytest.mark.parametrize("ending", [".gif", ".webp", ".tif", ".png"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(tmp_path, ending):
    first, *others = (Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (40, 150, 255))
    first.save(tmp_path / f"a{ending}", save_all=True, append_images=others)
    images = load_images(tmp_path, size=8)
    assert np.abs(images.x.astype(int) - 40).max() <= 3
    assert "only the first frame or page taken: 1 file" in repr(images)


def test_sub_folders_without_an_image_loose_files_and_hidden_folders_are_named(tmp_path):
    for k, name in enumerate(
        ("cat/1.png", "dog/deep/2.png", "loose.png", ".cache/big/3.png", "dog/.old/4.png")
    ):
        save(tmp_path / name, picture(k))
    for name in ("cow/1.heic", "broken/1.png", ".git/config"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"whatever")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "kitten").symlink_to("cat")
    images = load_images(tmp_path)
    assert images.names == ("cat/1.png", "dog/deep/2.png", "loose.png")
    assert images.classes == ("broken", "cat", "dog")
    assert repr(images).splitlines()[1:] == [
        "- not read: 1 .heic",
        "- not read: 2 files ('.cache/big/3.png', 'dog/.old/4.png') hidden by a dot before the name",
        "- read once: 1 folder ('kitten') that is also found by another path",
        "- no label, as they are in no sub-folder: 1 file ('loose.png')",
        "- no image that can be read: 3 sub-folders ('broken', 'cow', 'nothing')",
    ]
    assert "no sub-folder" not in repr(load_images(tmp_path / "dog" / "deep"))
    assert "no sub-folder" not in repr(load_images(tmp_path, labels=False))
    assert "no sub-folder" not in repr(load_images(tmp_path, classes="pig, hen")), "no file has a label"


def test_links_out_of_the_folder_are_followed_only_if_asked(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    save(inside / "a" / "1.png", picture(1))
    save(inside / "b" / "1.png", picture(4))
    save(outside / "secret.png", picture(2))
    save(outside / "more" / "2.png", picture(3))
    os.symlink(outside / "secret.png", inside / "file.png")
    os.symlink(outside, inside / "folder")
    os.symlink("../outside/more", inside / "relative")
    os.symlink(inside / "folder" / "more", inside / "a" / "chain")
    os.symlink(inside / "a" / "1.png", inside / "within.png")
    os.symlink(inside, tmp_path / "elsewhere")
    for folder in (inside, tmp_path / "elsewhere"):
        images = load_images(folder)
        assert images.names == ("a/1.png", "b/1.png", "within.png")
        assert "not followed: 4 links (" in repr(images)
        assert "follow_links=True" in repr(images)
    followed = load_images(inside, follow_links=True)
    assert {"file.png", "folder/secret.png", "within.png"} <= set(followed.names)
    assert "not followed" not in repr(followed)


def test_the_same_bytes_with_two_labels_are_named(tmp_path):
    for i in range(3):
        save(tmp_path / "cat" / f"{i}.png", picture(i))
        save(tmp_path / "dog" / f"{i}.png", picture(i + 10))
    (tmp_path / "dog" / "again.png").write_bytes((tmp_path / "cat" / "1.png").read_bytes())
    (tmp_path / "cat" / "copy.png").write_bytes((tmp_path / "cat" / "2.png").read_bytes())
    images = load_images(tmp_path)
    assert len(images) == 8
    assert (
        "LABELS IN CONFLICT for 1 image: 'cat/1.png' is 'cat', and 'dog/again.png', the same image, is 'dog'"
    ) in repr(images)
    assert "the same as another, and asked about once: 2 images ('cat/copy.png', 'dog/again.png')" in repr(
        images
    )
    x = np.stack([picture(1), picture(1), picture(2)])
    assert "'image 0' is '0', and 'image 1', the same image, is '1'" in repr(load_images(x, labels=[0, 1, 1]))


# --- Which sub-folders are classes ---


@pytest.mark.parametrize(
    "parts", [("train", "val"), ("Training", "TEST"), ("train",), ("fold 1", "fold 2"), ("train_set", "dev")]
)
def test_parts_of_a_data_set_are_no_classes(tmp_path, parts):
    for part in parts:
        for name in ("cat", "dog"):
            save(tmp_path / part / name / "1.png", picture(len(part)))
    with pytest.raises(
        ImagesError, match=f"'{parts[0]}'.* parts of a data set, .* give one of them"
    ) as error:
        load_images(tmp_path)
    assert "\n" not in str(error.value)
    assert load_images(tmp_path / parts[0]).classes == ("cat", "dog")
    assert load_images(tmp_path, labels=False).classes == ()


def test_a_class_may_be_called_train_if_others_are_no_parts_or_it_is_given(tmp_path):
    for name in ("train", "test"):
        save(tmp_path / name / "1.png", picture())
    assert load_images(tmp_path, classes="train, test").known.tolist() == [1, 0]
    save(tmp_path / "bus" / "1.png", picture())
    assert load_images(tmp_path).classes == ("bus", "test", "train")


def test_sub_folders_that_differ_in_case_or_blanks_are_doubtful_and_that_is_said(tmp_path):
    for name in ("cat", "dog ", "dog"):
        save(tmp_path / name / f"{len(name)}.png", picture(len(name)))
    images = load_images(tmp_path)
    assert images.classes == ("cat", "dog")
    assert "taken as class 'dog': sub-folder 'dog '" in repr(images)
    save(tmp_path / "Cat" / "1.png", picture())
    with pytest.raises(ImagesError, match="the sub-folders 'Cat' and 'cat' look alike; rename one"):
        load_images(tmp_path)
    given = load_images(tmp_path, classes="CAT, cow")
    assert [given.names[i] for i in np.flatnonzero(given.known == 0)] == ["Cat/1.png", "cat/3.png"]
    assert "no label from sub-folders that are none of the classes: 2 files in 'dog', 'dog '" in repr(given)


@pytest.mark.parametrize(
    "two", [["Cat", "cat"], ["cat", " cat"], ["café", "cafe\u0301"], ["a b", "a\u00a0b"]]
)
def test_classes_that_look_alike_are_refused(two):
    x = np.stack([picture(1), picture(2)])
    with pytest.raises(ImagesError, match="look alike"):
        load_images(x, classes=two)
    assert load_images(x, labels=["a", "A"]).classes == ("A", "a"), (
        "single letters are classes of handwriting"
    )
    assert load_images(x, labels=["cat ", "DOG"], classes=["cat", "dog"]).known.tolist() == [0, 1]


# --- Dark pictures ---


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_a_picture_of_fewer_bits_in_a_16_bit_file_is_stretched_and_that_is_said(tmp_path, bits, ending):
    levels = picture(most=2**bits - 1, dtype=np.uint16)
    save(tmp_path / f"a{ending}", levels)
    images = load_images(tmp_path, size=8)
    expected = np.rint(levels * (255 / (2**bits - 1)))
    assert np.array_equal(images.x[0], expected)
    assert np.array_equal(shown(images), expected)
    assert "stretched to all grey levels, each by itself: 1 file" in repr(images)
    asis = load_images(tmp_path, size=8, stretch=False)
    assert asis.x.max() == shown(asis).max() == round((2**bits - 1) / 257)
    assert not asis.notes


@pytest.mark.parametrize(
    ("levels", "is_said"),
    [
        (picture(most=10), True),
        (100 + picture(most=20), True),
        (np.dstack([100 + picture(k, most=20) for k in range(3)]), True),
        (picture(most=64), False),
        (np.full((8, 8), 7, np.uint8), False),
        (picture(most=65535, dtype=np.uint16), False),
    ],
)
def test_only_what_people_cannot_tell_apart_is_stretched(tmp_path, levels, is_said):
    save(tmp_path / "a.png", levels)
    images = load_images(tmp_path, size=8, colour=True)
    assert bool(images.notes) == is_said
    if is_said:
        assert (images.x.min(), images.x.max()) == (shown(images).min(), shown(images).max()) == (0, 255)
    elif levels.dtype == np.uint8:
        assert np.array_equal(images.x[0, ..., 0], levels)


@pytest.mark.parametrize("scale", [1 / 4095, 1, 1000, -1])
def test_floats_and_32_bits_are_seen_whatever_their_range(tmp_path, scale):
    levels = (picture(most=4095, dtype=np.float32) * np.float32(scale)).astype(np.float32)
    save(tmp_path / "whole.tif", levels)
    levels[7, 5:] = np.nan, np.inf, -np.inf
    save(tmp_path / "a.tif", levels)
    images = load_images(tmp_path, size=8)
    x = images.x[0]
    assert x[7, 5:].tolist() == [0, 255, 0]
    assert "black, or white for infinity, where there is no number: 1 file ('a.tif')" in repr(images)
    assert np.ptp(x.astype(int)) == 255
    good = np.isfinite(levels)
    assert np.corrcoef(x[good], levels[good])[0, 1] > 0.999


def test_a_scale_bar_does_not_keep_a_picture_dark(tmp_path):
    levels = picture(side=100, most=4095, dtype=np.uint16)
    levels[90, 90:98] = 65535
    save(tmp_path / "a.png", levels)
    sparse = np.zeros((100, 100), np.uint16)
    sparse[50, 50:55] = 65535  # ink, and nothing else
    save(tmp_path / "b.png", sparse)
    images = load_images(tmp_path, size=100)
    assert np.abs(images.x[0][levels < 65535] - levels[levels < 65535] * (255 / 4095)).max() < 2
    assert (images.x[0][90, 90:98] == 255).all()
    assert np.array_equal(images.x[1], sparse // 257)
    assert images.notes == (
        "stretched, and a few bright pixels clipped: 1 file ('a.png') of which a thousandth is far brighter "
        "than the rest",
    )


def test_of_arrays_that_may_look_black_it_is_only_said():
    x = np.stack([picture(1, most=20), picture(2)])
    images = load_images(x)
    assert np.array_equal(images.x, x)
    assert "may look black: 1 image ('image 0')" in repr(images)


def test_what_else_a_file_of_arrays_holds_is_named_and_labels_with_gaps_are_understood(tmp_path):
    x = np.stack([picture(k) for k in range(4)])
    np.savez(tmp_path / "a.npz", x=x, y=np.array([0.0, np.nan, 1.0, 1.0]), x_test=x, images=x)
    images = load_images(tmp_path / "a.npz")
    assert images.known.tolist() == [0, -1, 1, 1]
    assert "not read from the file: 'x_test', 'images'" in repr(images)


# --- Transparency ---


def inked(ink, opacity=255, paper=(0, 0, 0)):
    """A bar of ink on a transparent ground whose hidden colour is `paper`."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., :3] = paper
    pixels[4:12, 6:9] = (*ink, opacity)
    return pixels


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (inked((255, 255, 255)), {}),
        (inked((255, 255, 255), paper=(255, 255, 255)), {}),
        (inked((255, 255, 0)), {}),
        (inked((210, 210, 210)), {}),
        (inked((255, 255, 255), opacity=90), {}),
        (inked((0, 0, 0)), {}),
        (inked((0, 0, 0), paper=(255, 255, 255)), {}),
        (inked((128, 128, 128)), {}),
        (inked((200, 0, 0)), {}),
        (inked((255, 255, 255)), {"mode": "LA"}),
        (inked((255, 255, 255)), {"ending": ".webp"}),
        (inked((255, 255, 255)), {"ending": ".gif"}),
        (inked((255, 255, 255)), {"ending": ".tif"}),
        (inked((255, 255, 255), opacity=0), {}),
    ],
)
def test_ink_differs_from_paper_for_the_model_and_for_a_person(tmp_path, pixels, options):
    image = Image.fromarray(pixels).convert(options.get("mode", "RGBA"))
    image.save(tmp_path / f"a{options.get('ending', '.png')}")
    images = load_images(tmp_path, size=16)
    person = np.asarray(Image.fromarray(shown(images)).convert("L"))
    for seen in (images.x[0], person):
        ink, paper = seen[6:10, 7].astype(int), seen[:3].astype(int)
        assert np.ptp(paper) <= 2
        assert np.abs(ink - paper.mean()).min() > 40
    is_black = images.x[0, 0, 0] == 0
    assert ("laid on black: 1 file" in repr(images)) == (is_black and pixels[..., 3].any())


def test_white_ink_with_a_dark_dot_and_white_16_bit_ink_show_too(tmp_path):
    dotted = inked((255, 255, 255))
    dotted[5, 7] = (0, 0, 0, 255)
    save(tmp_path / "1.png", dotted)
    deep = np.zeros((16, 16), np.uint16)
    deep[4:12, 6:9] = 65535
    save(tmp_path / "2.png", deep, transparency=0)
    images = load_images(tmp_path, size=16)
    for x in images.x:
        assert (x[0, 0], x[8, 7]) == (0, 255)
    assert "laid on black: 2 files" in repr(images)
