"""The data file is MNIST to the byte, damage is noticed, and a Dataset cannot be put together wrongly."""

import hashlib
import re
import shutil
import struct

import numpy as np
import pytest

from alhelpers import files
from alhelpers.data import Dataset, check_images, load_mnist, read_mnist, scale

# Of the four original files, unpacked, as published with MNIST.
PUBLISHED_MD5 = {
    "train images": "6bbc9ace898e44ae57da46a324031adb",
    "train labels": "a25bea736e30d166cdddb491f175f624",
    "test images": "2646ac647ad5339dbf082846283269ea",
    "test labels": "27ae3e4e09519cfbb04c329615203637",
}


def idx_file(array):
    """The array as an IDX file: two zero bytes, 8 for unsigned bytes, the number of axes, each length."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_the_data_are_the_published_files_to_the_byte():
    found = {
        name: hashlib.md5(idx_file(array)).hexdigest()
        for name, array in zip(PUBLISHED_MD5, read_mnist(), strict=True)
    }
    assert found == PUBLISHED_MD5


def test_numpy_alone_can_read_the_file():
    with np.load(files.PACKAGE / "mnist.npz", allow_pickle=False) as archive:
        assert {name: archive[name].shape[0] for name in archive} == {
            "x_train": 60_000, "y_train": 60_000, "x_test": 10_000, "y_test": 10_000,
        }  # fmt: skip


@pytest.mark.parametrize("damage", ["one bit", "truncated", "missing"])
@pytest.mark.parametrize("name", sorted(files.shipped()))
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, damage, name):
    content = bytearray((files.PACKAGE / name).read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    elif damage == "truncated":
        del content[len(content) // 2 :]
    shutil.copy(files.PACKAGE / files.SHIPPED, tmp_path)
    copy = tmp_path / name
    copy.parent.mkdir(exist_ok=True)
    if damage != "missing":
        copy.write_bytes(content)
    what = f"{re.escape(str(copy))} is (damaged|missing).*restore it with"
    with pytest.raises(OSError, match=what) as error:
        files.read_shipped(name, tmp_path)
    assert "\n" not in str(error.value)


def test_without_a_seed_the_first_images_in_file_order():
    x_train, y_train, x_test, y_test = read_mnist()
    few = load_mnist(n_pool=30, n_test=20)
    assert np.array_equal(few.x_pool, x_train[:30])
    assert np.array_equal(few.y_pool, y_train[:30])
    assert np.array_equal(few.x_test, x_test[:20])
    assert np.array_equal(few.y_test, y_test[:20])
    article_s = load_mnist()
    assert (article_s.n_pool, article_s.n_test) == (4000, 400)
    assert repr(few) == "Dataset(30 pool + 20 test images of 28×28)"
    assert few.n_classes == load_mnist(1, 1).n_classes == load_mnist(1, 1, seed=0).n_classes == 10


def test_a_seed_draws_pool_and_test_set_each_from_its_whole_file_without_repeats_and_the_same_again():
    one, again, other = (load_mnist(500, 100, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.x_pool, again.x_pool)
    assert np.array_equal(one.y_test, again.y_test)
    assert not np.array_equal(one.x_pool, other.x_pool)
    assert not np.array_equal(one.x_test, other.x_test), "the test set does not follow the seed"
    x_train, y_train, x_test, y_test = read_mnist()
    in_files = [set(zip(map(bytes, x), y, strict=True)) for x, y in ((x_train, y_train), (x_test, y_test))]
    for drawn in (one, other, load_mnist(60_000, 10_000, seed=3)):
        parts = (drawn.x_pool, drawn.y_pool), (drawn.x_test, drawn.y_test)
        for (x, y), file in zip(parts, in_files, strict=True):
            found = set(zip(map(bytes, x), y, strict=True))
            assert found <= file, "an image of the other file, or another one's label"
            assert len(found) == len(x), "an image was drawn twice"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n_pool": 0}, "n_pool is 0"),
        ({"n_pool": 60_001}, "n_pool is 60001.*1 to 60,000"),
        ({"n_test": -3}, "n_test is -3"),
        ({"n_test": 10_001}, "n_test is 10001.*1 to 10,000"),
        ({"n_test": 2.5}, "n_test is 2.5"),
        ({"n_pool": True}, "n_pool is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_impossible_requests_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_mnist(**arguments)


def test_a_dataset_cannot_be_changed_and_does_not_follow_its_source():
    x, y = np.zeros((4, 2, 2), np.uint8), np.arange(4)
    dataset = Dataset(x, y, x, y)
    x[0] = 9
    assert dataset.x_pool.max() == 0
    for array in (dataset.x_pool, dataset.y_pool, dataset.x_test, dataset.y_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        dataset.y_pool = y
    assert dataset.n_classes == 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"x_pool": np.zeros(4)}, r"x_pool has shape \(4,\)"),
        ({"x_pool": np.zeros((0, 2, 2), np.uint8), "y_pool": np.arange(0)}, r"x_pool has shape \(0, 2, 2\)"),
        ({"x_pool": np.zeros((4, 0))}, r"x_pool has shape \(4, 0\)"),
        ({"x_pool": np.zeros((4, 4))}, "same shape and kind"),
        ({"x_pool": np.zeros((4, 4), int)}, r"x_pool has shape \(4, 4\); expected .* or rows of floats"),
        ({"x_pool": np.zeros((4, 4), bool)}, r"x_pool has shape \(4, 4\); expected .* or rows of floats"),
        (
            {"x_pool": np.zeros((4, 2, 2, 4), np.uint8)},
            r"x_pool has shape \(4, 2, 2, 4\); expected .* 3 more",
        ),
        ({"x_pool": np.array([[0, np.nan]] * 4)}, "x_pool holds NaN or infinite numbers; fill them in"),
        ({"x_pool": np.zeros((4, 2, 2), int)}, "x_pool has dtype int64"),
        ({"x_pool": np.full((4, 2, 2), 1.5)}, "x_pool has floats outside 0 to 1"),
        ({"x_pool": np.full((4, 2, 2), np.nan)}, "x_pool has floats outside 0 to 1"),
        (
            {"x_pool": np.zeros((4, 3, 3), np.uint8)},
            r"x_pool holds \(3, 3\) images of uint8 and x_test \(2, 2\) images of uint8; give both the same",
        ),
        ({"x_pool": np.zeros((4, 2, 2))}, "same shape and kind"),
        (
            {"y_pool": np.arange(3)},
            r"y_pool has shape \(3,\); expected \(4,\), one label for each image of x_pool",
        ),
        ({"y_pool": np.array([True, False, True, True])}, r"y_pool holds .*True.* among its labels"),
        ({"y_test": np.array([0, 1, 2, -1])}, "y_test holds -1 among"),
        ({"y_test": np.array([0.0, 1, 2, 3])}, "y_test holds 0.0 among"),
        ({"y_pool": np.array(["0", "1", "2", "3"])}, "y_pool holds .0. among its labels; give integers"),
        ({"y_pool": np.array([0, None, 1, 2])}, "y_pool holds None among its labels; give integers"),
        ({"n_classes": 3}, "n_classes, of labels up to 3, is 3; give a whole number from 4 up"),
        ({"n_classes": 4.0}, "n_classes, of labels up to 3, is 4.0; give a whole number from 4 up"),
        (
            {"y_pool": np.zeros(4, int), "y_test": np.zeros(4, int), "n_classes": 1},
            "n_classes, of labels up to 0, is 1; give a whole number from 2 up",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes, sentence):
    good = {
        "x_pool": np.zeros((4, 2, 2), np.uint8), "y_pool": np.arange(4),
        "x_test": np.zeros((4, 2, 2), np.uint8), "y_test": np.arange(4),
    }  # fmt: skip
    with pytest.raises(ValueError, match=sentence):
        Dataset(**good | changes)


def test_scaling_is_the_article_s_division_in_single_precision():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(scale(levels)[0], (levels.ravel() / 255).astype(np.float32))
    halves = np.full((1, 2, 2), 0.5)
    assert np.array_equal(scale(halves), np.full((1, 4), 0.5, np.float32))


def test_floats_may_be_anything_from_0_to_1():
    x, y = np.linspace(0, 1, 16).reshape(4, 2, 2), np.arange(4)
    assert Dataset(x, y, x, y).x_pool.max() == 1
    with pytest.raises(ValueError, match=r"x has shape \(4, 4\)"):
        check_images("x", x.reshape(4, 4))  # rows only where they are allowed
