"""What several tests share."""

import signal

import numpy as np
import pytest
from browsers import CHROMIUM, SWITCHES

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start as well: the
# tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine, so no page was looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def easy_images():
    """A function that makes n images of three easy classes, uint8 (n, 4, 4), and their labels."""

    def make(n: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        y = np.arange(n) % 3
        x = rng.integers(0, 60, (n, 4, 4), dtype=np.uint8)
        x[np.arange(n), y, :] += 150
        return x, y

    return make
