"""Checks of the exercises to notebook 1: nearest images, and uneven test sets."""

from collections.abc import Callable

import numpy as np

from alhelpers.course.checks import Said, check, checked, real, whole
from alhelpers.data import Dataset


@checked
def check_1_1(nearest: Callable, data: Dataset) -> Said:
    """Nearest images by squared differences: all of them, against the whole pool."""
    asked = np.array([1, 3, 5, 8, 9, 10, 13, 17, *range(100, 120)])
    found = np.array(
        [whole(nearest(data.x_pool.copy(), int(i)), "the index of an image is wanted") for i in asked]
    )
    more = "Leave image i out, for instance by setting its distance to infinity before you take the smallest."
    check((found != asked).all(), "which image is always nearest to image i?", more)
    grey, images = data.x_pool.reshape(len(data.x_pool), -1), data.x_pool
    few = asked[:8]  # enough to tell one mistake from another
    for distance, question, more in (
        (lambda i: ((grey - grey[i]) ** 2).sum(axis=1), *WRAPPED),
        (lambda i: ((grey - grey[i]).astype(float) ** 2).sum(axis=1), *WRAPPED),
        (lambda i: (grey - grey[i]).sum(axis=1), *WRAPPED),
        (lambda i: abs(grey.astype(float) - grey[i]).sum(axis=1), *ABSOLUTE),
        (lambda i: abs(grey.sum(axis=1, dtype=float) - grey[i].sum(dtype=float)), *SIGNED),
        (lambda i: (grey.astype(float) - grey[i]).sum(axis=1), *SIGNED),
        (lambda i: -((grey.astype(float) - grey[i]) ** 2).sum(axis=1), *FARTHEST),
    ):
        check((found[:8] != _nearest(distance, few)).any(), question, more)
    true = _nearest(lambda i: ((grey.astype(float) - grey[i]) ** 2).sum(axis=1), asked)
    more = "Without image i the later ones move up by one; keep all, and make image i infinitely far."
    check((found != true - (true > asked)).any(), "does your index count image i as well?", more)
    i, mine, best = next(((a, f, t) for a, f, t in zip(asked, found, true, strict=True) if f != t), (0, 0, 0))
    inside = 0 <= mine < len(images)
    check(inside, f"is there an image {mine}?", f"The pool has images 0 to {len(images) - 1:,}.")
    theirs, ours = (int(((grey[i].astype(float) - grey[j]) ** 2).sum()) for j in (mine, best))
    question = f"image {i}: is your image {mine} really the nearest?"
    more = f"Its squared differences add up to {theirs:,}, those of another to {ours:,}."
    check(mine == best, question, more)
    same = (data.y_pool[found] == data.y_pool[asked]).sum()
    return f"{same} of {len(asked)} images have the digit of their nearest neighbour."


def _nearest(distance: Callable[[int], np.ndarray], asked: np.ndarray) -> np.ndarray:
    def one(i: int) -> int:
        far = distance(i).astype(float)
        far[i] = np.inf
        return int(far.argmin())

    return np.array([one(i) for i in asked])


WRAPPED = (
    "what is 3 - 5 if both are bytes?",
    "It is 254: bytes have no sign. Turn the images into floats before you subtract.",
)
ABSOLUTE = (
    "do you square the differences?",
    "You add up their sizes. Squares count one large difference more than many small ones.",
)
SIGNED = (
    "can differences cancel one another in your sum?",
    "Square each pixel's difference before you add up, or +5 and -5 make 0.",
)
FARTHEST = ("do you take the smallest distance, or the largest?", "Use argmin, not argmax.")


@checked
def check_1_2(chance: Callable, data: Dataset) -> Said:
    """The chance of an uneven test set, against 200,000 such sets and against those of common mistakes."""
    what = "a share from 0 to 1 is wanted"
    ours, always = real(chance(30, 20_000), what), real(chance(0, 100), what)
    more = f"chance(30, 20_000) is {ours:,.4g}: divide the number of such sets by the number of sets."
    check(0 <= ours <= 1, "is that a share?", more)
    more = f"A spread of at least 0 is certain, and chance(0, 100) is {always}."
    check(always == 1, "how many sets have a spread of at least 0?", more)
    rng = np.random.default_rng(1)
    sets = rng.multinomial(400, np.full(10, 0.1), 200_000)
    spread = sets.max(axis=1) - sets.min(axis=1)
    named = sets[:, 1] - sets[:, 8]
    unequal = rng.multinomial(400, np.bincount(data.y_test, minlength=10) / len(data.y_test), 20_000)
    counted = unequal.max(axis=1) - unequal.min(axis=1)
    for share, question, more in (
        ((named >= 30).mean(), "did you name the two digits before you looked?", NAMED),
        ((abs(named) >= 30).mean(), "did you name the two digits before you looked?", NAMED),
        ((spread > 30).mean(), "is a spread of exactly 30 'at least 30'?", "Use >=, not >."),
        ((counted >= 30).mean(), "is every digit equally likely in your sets?", DRAWN),
    ):
        check(abs(ours - share) > 5 * (share / 20_000) ** 0.5, question, more)
    true = (spread >= 30).mean()
    more = "A set has 400 labels, each from 0 to 9; take the most and the least frequent of the same set."
    question = f"what does one of your sets look like? {ours:.1%} of them are too many or too few."
    check(abs(ours - true) < 5 * (true / 20_000) ** 0.5, question, more)
    return f"About {ours:.1%} of even-handed test sets are as uneven as ours."


NAMED = "Ones and eights stand out in our set; in another it may be any two. Take max and min of each set."
DRAWN = "You draw from our own labels, which are uneven already. Draw the digits 0 to 9 themselves."
