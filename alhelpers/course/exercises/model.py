"""Checks of the exercises to notebook 2: a gradient, and other images to stop on."""

from collections.abc import Callable

import numpy as np

from alhelpers.course.checks import Said, check, checked, given, real
from alhelpers.data import Dataset, load_mnist, scale
from alhelpers.model_numpy import SoftmaxRegression


@checked
def check_2_1(gradient: Callable, by_differences: Callable, W: np.ndarray) -> Said:
    """Nine slopes of the loss, against what the loss does when one weight is moved."""
    images = load_mnist(50, 10)
    x, y, n = scale(images.x_pool).astype(float), images.y_pool, 50
    G = np.asarray(given(gradient(x.copy(), y.copy(), W.copy(), 0.3)))
    more = f"It has a slope for each weight, so it has the shape of W, (784, 10); yours has {G.shape}."
    check(G.shape == W.shape, "which shape has a gradient?", more)
    where = [(i, k) for i in (300, 406, 517) for k in (0, 4, 9)]
    true, plain = (np.array([by_differences(x, y, W, C, *at) for at in where]) for C in (0.3, 0))
    mine, price = np.array([G[at] for at in where]), true - plain

    def is_like(*others: np.ndarray) -> bool:
        return any(np.allclose(mine, other, atol=1e-6) for other in others)

    more = "Turn the sign: a gradient points to where the loss grows."
    check(not is_like(-true), "uphill or downhill?", more)
    more = "The derivative of the price for large weights is missing."
    check(not is_like(plain), "the loss has two parts: is the slope of each in your sum?", more)
    more = "The loss is a mean over images: divide by len(y)."
    check(not is_like(n * plain + price, n * true), "is the loss a sum or a mean?", more)
    more = "Only the cross-entropy is a mean over images: the price is not divided by len(y)."
    check(not is_like(plain + price / n), "which part of the loss is a mean?", more)
    more = "The derivative of C / 2 · w² is C · w."
    check(not is_like(plain + 0.5 * price, plain + 2 * price), "what is the derivative of w² / 2?", more)
    more = "By differences the first is {:.5f}, yours {:.5f}. Which of steps 7 and 8 of notebook 2 differs?"
    question = "do your slopes agree with the differences?"
    check(np.allclose(mine, true, atol=1e-6), question, more.format(true[0], mine[0]))
    return "Nine slopes agree with differences to six decimals."


@checked
def check_2_2(fair: Callable, x: np.ndarray, y: np.ndarray, data: Dataset) -> Said:
    """Accuracy with nine sets of images to stop on, beside the flattered one."""
    model = SoftmaxRegression(784)
    flattered = model.fit(x[:400], y[:400], scale(data.x_test), data.y_test).max() / 400
    what = "an accuracy is wanted"
    accuracy = np.array([real(fair(start), what) for start in range(400, 4000, 400)])
    check((accuracy <= 1).all(), "is that a share from 0 to 1?", "Divide by the number of test images.")
    more = f"It is always {flattered:.2%}, as if the test images still decided when to stop."
    check((accuracy != flattered).any(), "which images stop your fit?", more)
    more = "All nine are the same: stop on the images from start to start + 399."
    check(len(set(accuracy)) > 1, "does `start` change anything?", more)
    more = "Score on the test images, not on those you stop on, and train on the first 400 only."
    check(accuracy.max() <= flattered, "which images train, which stop, and which judge?", more)
    more = f"{accuracy.mean():.2%} is too low: train on the first 400 pool images."
    check(accuracy.mean() > 0.78, "how many images does your model learn from?", more)
    gap = 100 * (flattered - accuracy.mean())
    return (
        f"Flattered {flattered:.2%}; fair {accuracy.mean():.2%} on average, "
        f"{accuracy.min():.2%} to {accuracy.max():.2%}. Flattery: {gap:.2f} points."
    )
