"""A ledger of two classes, and where its file is; a browser."""

import shutil

import pytest

from alhelpers.labelling.ledger import Ledger

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.db"


@pytest.fixture
def ledger(file):
    with Ledger(file, ["cat", "dog"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here, so nobody tries the labelling widget")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", *quiet]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()
