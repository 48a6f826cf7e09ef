"""A ledger of two classes, and where its file is."""

import pytest

from alhelpers.labelling.ledger import Ledger


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.db"


@pytest.fixture
def ledger(file):
    with Ledger(file, ["cat", "dog"]) as opened:
        yield opened
