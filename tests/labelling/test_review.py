"""Corrections and the names of classes: events that change what counts, and nothing that was recorded."""

import pytest

from alhelpers.data import CANNOT_TELL
from alhelpers.labelling.events import LABEL, UNSURE, LedgerError, Look
from alhelpers.labelling.ledger import Ledger

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
CLASSES = ["cat", "dog"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.db"


@pytest.fixture
def ledger(file):
    with Ledger(file, CLASSES) as ledger:
        yield ledger


def test_a_correction_counts_until_it_is_undone_and_what_people_said_stays(ledger, file):
    ledger.record(Look("ann"), A, LABEL, "cat")
    ledger.record(Look("ben", again=True), A, LABEL, "dog")
    ledger.record(Look("ann"), B, UNSURE)
    assert list(ledger.disagreements("ann", "ben")) == [A]
    ledger.correct(Look("cleo"), A, "dog")
    ledger.correct(Look("ann"), B, "dog")
    with Ledger(file, CLASSES) as other:
        assert other.answers([A, B, C]).tolist() == [1, 1, -2]
        assert other.counts() == {"cat": 0, "dog": 2, None: 0}
        assert [(e.image, e.label, e.who) for e in other.standing()] == [
            (A, "dog", "cleo"),
            (B, "dog", "ann"),
        ]
        assert other.labels_of("ann") == {A: 0, B: 1}
        assert not other.disagreements("ann", "ben")
    assert ledger.undo(Look("cleo"), A) == A
    assert ledger.undo(Look("ann"), B) == B
    assert ledger.answers([A, B]).tolist() == [0, CANNOT_TELL]
    assert ledger.counts() == {"cat": 1, "dog": 0, None: 1}
    with pytest.raises(LedgerError, match="no answer yet"):
        ledger.correct(Look("ann"), C, "dog")


def test_an_image_that_was_corrected_is_asked_of_nobody_not_even_after_an_undo(ledger):
    ledger.record(Look("ann"), A, LABEL, "cat")
    ledger.correct(Look("ann"), A, None)
    assert ledger.answers([A]).tolist() == [CANNOT_TELL]
    assert ledger.waiting(Look("ben", [A, B])) == [B]
    assert ledger.waiting(Look("ben", [A, B], again=True)) == [A, B], "a second opinion is one's own"
    assert ledger.undo(Look("ann"), A) == A, "first the correction"
    assert ledger.undo(Look("ann"), A) == A, "then the answer"
    assert ledger.waiting(Look("ben", [A])) == [A]


def test_a_class_gets_another_name_while_others_label(ledger, file):
    other = Ledger(file, CLASSES)
    other.record(Look("ben"), A, LABEL, "dog")
    ledger.name_class("ann", 1, "hound")
    ledger.name_class("ann", 2, "cow")
    assert other.classes == ("cat", "hound", "cow")
    assert other.standing()[0].label == "hound"
    other.record(Look("ben"), B, LABEL, "cow")
    other.record(Look("ben"), C, LABEL, "dog")  # a tab that has not heard of it
    assert ledger.counts() == {"cat": 0, "hound": 2, "cow": 1, None: 0}
    named = [
        (event.image, event.label, event.who) for event in ledger.events() if event.action == "class named"
    ]
    assert named == [("class 1", "hound", "ann"), ("class 2", "cow", "ann")]
    other.close()
    Ledger(file, CLASSES).close()  # the notebook still has the names of its first cell
    Ledger(file, ["cat", "hound"]).close()
    with pytest.raises(LedgerError, match="'hound' as class 1, which differs"):
        Ledger(file, ["cat", "fox"])
    with pytest.raises(LedgerError, match="'cat' as class 0"):
        Ledger(file, ["dog", "cat"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("dog", "another class"), ("Dog ", "look alike"), (" ", "give a name"), ("hound", "another class")],
)
def test_a_class_gets_no_name_that_is_another_s(ledger, name, sentence):
    ledger.name_class("ann", 1, "hound")
    before = ledger.events()
    with pytest.raises(LedgerError, match=sentence):
        ledger.name_class("ann", 0, name)
    assert ledger.classes == ("cat", "hound")
    assert ledger.events() == before


def test_a_name_can_come_back(ledger):
    ledger.record(Look("ann"), A, LABEL, "dog")
    for name in ("hound", "dog"):
        ledger.name_class("ann", 1, name)
    assert ledger.classes == ("cat", "dog")
    assert ledger.counts()["dog"] == 1
