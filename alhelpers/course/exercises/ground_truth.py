"""Checks of the exercises to notebook 3: digits mixed up, and an interval for a share."""

from collections.abc import Callable

import numpy as np

from alhelpers.course.checks import NotYet, Said, array, check, checked, real, whole


@checked
def check_3_1(mixed_up: Callable, truth: np.ndarray, answers: np.ndarray) -> Said:
    """The pair of digits mixed up most, in a small example and then in the model's answers."""
    # The 2 is taken for a 6 three times; 4 and 9 for each other two times each; the 1 is right five times.
    small = np.array([2, 2, 2, 4, 4, 9, 9, 1, 1, 1, 1, 1]), np.array([6, 6, 6, 9, 9, 4, 4, 1, 1, 1, 1, 1])
    found = _three(mixed_up(*small))
    more = f"Digit {found[0]} with itself is a right answer: leave out what is right."
    check(found[0] != found[1], "is that a mistake at all?", more)
    more = "Add 'a taken for b' and 'b taken for a'."
    check(sorted(found[:2]) != [2, 6], "have you looked in both directions?", more)
    more = "4 and 9 are the pair, and each is taken for the other twice: 4 times together."
    check(found != (4, 9, 2), "how often in both directions together?", more)
    check(found != (9, 4, 4), "which of the two digits comes first?", "The smaller one: a < b.")
    more = f"2 is taken for 6 three times, 4 for 9 twice and 9 for 4 twice; you find {found}."
    check(found == (4, 9, 4), "what would you count by hand in a small example?", more)
    a, b, n = _three(mixed_up(truth.copy(), answers.copy()))
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (truth, answers), 1)
    both = np.triu(matrix + matrix.T, k=1)
    more = f"{both.max()} mistakes are of the most frequent pair."
    check(n == both.max() == both[a, b], f"are {a} and {b} mixed up {n} times?", more)
    followers = int((both == both.max() - 1).sum())
    return (
        f"{a} and {b} are mixed up {n} times, of {(truth != answers).sum()} mistakes; "
        f"{followers} other pairs follow with {n - 1}."
    )


def _three(value: object) -> tuple[int, int, int]:
    three = array(value, (3,), "a pair of digits and how often")
    return tuple(whole(part, "three whole numbers are wanted") for part in three)


@checked
def check_3_2(half_point: object, low: object, high: object) -> Said:
    """Half a point in images, and an interval for 369 of 400."""
    if None in (half_point, low, high):
        raise NotYet("set half_point, low and high.")
    number = "numbers are wanted"
    half_point, low, high = real(half_point, number), real(low, number), real(high, number)
    more = "One point is one hundredth of 400, so 4 images."
    check(half_point == 2, f"are {half_point:g} images half a point of 400?", more)
    more = f"Yours go from {low:.4g} to {high:.4g}, around 369 / 400, or 0.9225. No share is above 1."
    check(low >= 0 and high <= 1, "are the ends shares from 0 to 1?", more)
    more = f"The interval has to hold 0.9225; yours goes from {low:.4f} to {high:.4f}."
    check(low < 0.9225 < high, "is what you measured inside your interval?", more)
    width = high - low
    more = "That is one standard error either way: 95% takes nearly two."
    check(not 0.02 < width < 0.032, "how many standard errors make 95%?", more)
    more = "It is too narrow: the accuracy comes from 400 images, not from the pool of 4,000."
    check(width > 0.02, "how many images is the accuracy measured on?", more)
    more = f"A width of {width:.3f} is too narrow: take 1.96 standard errors of a share either way."
    check(width > 0.047, "how many standard errors make 95%?", more)
    more = "Too wide: the variance of a share is p (1 - p) / n, and you go 1.96 of its roots either way."
    check(width < 0.06, "what is the variance of a share?", more)
    return f"Half a point is 2 images; the accuracy lies between {low:.1%} and {high:.1%}."
