"""Corrections and the names of classes: events that change what counts, and nothing that was recorded."""

import io

import numpy as np
import pytest
from PIL import Image

from alhelpers.data import CANNOT_TELL
from alhelpers.labelling import images as images_module
from alhelpers.labelling.events import LABEL, UNSURE, LedgerError, Look
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.review import SIDE, Review

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
CLASSES = ["cat", "dog"]


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
    ledger.name_class("ann", 1, "dog")  # a name can come back
    assert ledger.counts() == {"cat": 0, "dog": 2, "cow": 1, None: 0}


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


@pytest.fixture
def images():
    x = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4)
    return load_images(x, labels=False, classes=CLASSES)


class Reviewer:
    """A tab with the grid, and what the kernel tells it."""

    def __init__(self, review):
        self.review, self.heard = review, []
        review.widget.send = lambda content, buffers=(): self.heard.append((content, list(buffers)))

    def do(self, kind, **content):
        self.review._receive(None, {"view": "tab", "kind": kind, **content}, [])
        return self.heard[-1][0]

    def grid(self):
        """The images by heading, as the last message has them."""
        groups = self.heard[-1][0]["groups"]
        return {group["heading"]: [tile["image"] for tile in group["images"]] for group in groups}


def test_the_grid_has_what_the_model_believes_least_first_and_a_click_corrects(images, ledger):
    d = images.digests
    for digest, label in zip(d[:4], ("cat", "cat", "cat", "dog"), strict=True):
        ledger.record(Look("ann"), digest, LABEL, label)
    ledger.record(Look("ann"), d[4], UNSURE)
    proba = {d[0]: np.array([0.6, 0.4]), d[1]: np.array([0.2, 0.8]), d[2]: np.array([0.9, 0.1])}
    tab = Reviewer(Review(ledger, images, "ann", proba))
    said = tab.do("show")["groups"][0]["images"]
    assert tab.grid() == {"cat": [d[1], d[0], d[2]], "dog": [d[3]], "cannot tell": [d[4]]}
    assert [tile["said"] for tile in said] == [["model: dog (80%)"], [], []]
    assert tab.do("correct", image=d[1], label=1)["note"] == "image 1 is dog now."
    tab.do("correct", image=d[4], label=0)
    assert tab.grid() == {"cat": [d[0], d[2], d[4]], "dog": [d[1], d[3]]}
    assert ledger.answers(d).tolist() == [0, 1, 0, 1, 0, -2]
    assert tab.do("undo")["note"] == "Taken back: image 4."
    assert ledger.answers(d).tolist() == [0, 1, 0, 1, -1, -2]
    tab.do("undo")
    assert tab.do("undo")["note"] == "You have corrected nothing."
    assert [event.action for event in ledger.events()][-4:] == ["correction"] * 2 + ["undo"] * 2


def test_two_people_settle_what_they_disagree_about(images, ledger):
    d = images.digests
    for who, labels in {"ann": ("cat", "cat", "dog"), "ben": ("cat", "dog", None)}.items():
        for digest, label in zip(d[:3], labels, strict=True):
            ledger.record(Look(who, again=True), digest, LABEL if label else UNSURE, label)
    tab = Reviewer(Review(ledger, images, "ann"))
    tab.do("show")
    assert tab.grid() == {"people disagree": [d[2], d[1]], "cat": [d[0]]}
    tab.do("correct", image=d[1], label=0)
    assert tab.grid() == {"people disagree": [d[2]], "cat": [d[1], d[0]]}
    assert not ledger.disagreements("ann", "ben")
    assert ledger.agreement("ann", "ben").share == 0.5, "how often they agreed before they talked"


def test_the_grid_tells_what_it_cannot_do_and_shows_names_that_others_gave(images, ledger):
    ledger.record(Look("ann"), images.digests[0], LABEL, "cat")
    tab = Reviewer(Review(ledger, images, "ann"))
    assert "no answer yet" in tab.do("correct", image=images.digests[5], label=0)["note"]
    for label in (-1, True, 2):
        assert "sent the label" in tab.do("correct", image=images.digests[0], label=label)["note"]
    assert ledger.answers(images.digests[:1]).tolist() == [0]
    ledger.name_class("ben", 0, "kitten")
    assert [group["heading"] for group in tab.do("show")["groups"]] == ["kitten"]
    assert tab.review.widget.classes == ["kitten", "dog"]
    tab.do("pictures", images=[images.digests[0], "unknown"])
    content, pictures = tab.heard[-1]
    assert content["sent"] == [images.digests[0]]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(pictures[0]))), images.x[0])


def test_a_small_picture_is_never_decoded_large(tmp_path, ledger, monkeypatch):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (1800, 2400, 3), dtype=np.uint8)).save(tmp_path / "camera.jpg")
    images = load_images(tmp_path, labels=False, classes=CLASSES)
    ledger.record(Look("ann"), images.digests[0], LABEL, "cat")
    tab, decoded = Reviewer(Review(ledger, images, "ann")), []

    def read_picture(*given):
        picture = as_ever(*given)
        decoded.append(picture.image.size)
        return picture

    as_ever = images_module.read_picture
    monkeypatch.setattr(images_module, "read_picture", read_picture)
    tab.do("pictures", images=images.digests)
    (small,) = tab.heard[-1][1]
    assert Image.open(io.BytesIO(small)).size == (SIDE, 3 * SIDE // 4)
    assert decoded == [(300, 225)], "an eighth of the file's, which JPEG can give at once"
