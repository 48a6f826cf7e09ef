"""People as oracles: what they answer reaches ledger and learner, whatever happens in between."""

import csv
import hashlib
import sys
import threading
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from alhelpers import ActiveLearner, Dataset
from alhelpers.evidence import Converged
from alhelpers.labelling.events import LedgerError, Look
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.loop import Batch, OracleError
from alhelpers.labelling.oracle import SimulatedPerson
from alhelpers.labelling.widget import Labeler, NotDoneError, class_keys
from alhelpers.queries import margin


@pytest.fixture
def images(easy_images):
    x, y = easy_images(60)
    return load_images(x, labels=y)


@pytest.fixture
def truth(images):
    return dict(zip(images.digests, images.known.tolist(), strict=True))


@pytest.fixture
def ledger(images, tmp_path):
    with Ledger(tmp_path / "labels.db", images.classes, images.digests) as ledger:
        yield ledger


class Viewer:
    """A tab: sends what a person does and keeps what the kernel says to it."""

    def __init__(self, labeler, name="tab"):
        self.labeler, self.name, self.heard = labeler, name, []
        send = labeler.widget.send

        def hear(content, buffers=()):
            if content["to"] == name:
                self.heard.append(content | {"pictures": list(buffers)})
            send(content, buffers)

        labeler.widget.send = hear

    def do(self, kind, **content):
        self.labeler._receive(None, {"view": self.name, "kind": kind, **content}, [])
        return [heard for heard in self.heard if heard["kind"] != "ahead"][-1]

    def next(self):
        """The next image that is asked."""
        shown = self.do("next")
        assert shown["image"], f"no image; {self.labeler.widget.status}"
        return shown["image"]

    def label_next(self, truth, n=1):
        """Answer what is asked next, n times; what is heard then."""
        for _ in range(n):
            image = self.next()
            heard = self.label(image, truth[image])
        return heard

    def label_all(self, truth):
        """Answer whatever is asked until the loop is at its end."""
        while image := self.do("next")["image"]:
            self.label(image, truth[image])
        self.labeler.must_be_done()

    def label(self, image, label):
        return self.do("label", image=image, label=label, milliseconds=1200)


def ask(images, got):
    """A loop that asks about these images once."""
    got.append((yield images))


def asked_about(ledger, images, labeller="me"):
    """A labeler with that loop, its tab, and what the loop has got."""
    labeler, got = Labeler(ledger, labeller), []
    tab = Viewer(labeler)
    labeler.play(lambda: ask(images, got))
    return labeler, tab, got


def test_a_simulated_person_errs_as_often_as_stated_and_always_in_the_same_images(images, ledger, tmp_path):
    answers = SimulatedPerson(ledger, error_rate=0.3, seed=1).label(images)
    with Ledger(tmp_path / "other.db", images.classes) as other:
        backwards = SimulatedPerson(other, error_rate=0.3, seed=1).label(images.take(range(59, -1, -1)))
    assert np.array_equal(backwards[::-1], answers)
    # 120 answers by two persons: 36 wrong, give or take 15 (three standard deviations), half to each side.
    with Ledger(tmp_path / "third.db", images.classes) as third:
        others = SimulatedPerson(third, error_rate=0.3, seed=2).label(images)
    off = (np.concatenate([answers, others]) - np.tile(images.known, 2)) % 3
    assert 21 <= np.count_nonzero(off) <= 51
    assert min(np.count_nonzero(off == 1), np.count_nonzero(off == 2)) >= 8


def test_what_the_ledger_holds_is_not_asked_again(images, ledger):
    ledger.record(Look("ann"), images.digests[1], "label", images.classes[2])
    ledger.record(Look("ann"), images.digests[2], "cannot tell")
    person = SimulatedPerson(ledger)
    assert person.label(images.take(range(4))).tolist() == [0, 2, -1, 0]
    assert len(ledger.events()) == 4
    assert person.label(images.take(range(4))).tolist() == [0, 2, -1, 0]
    assert len(ledger.events()) == 4


def test_a_second_opinion_is_one_s_own(images, ledger):
    SimulatedPerson(ledger, 1.0).label(images.take(range(30)))
    second = SimulatedPerson(ledger, labeller="ben", again=True).label(images.take(range(30)))
    assert np.array_equal(second, images.known[:30])
    assert ledger.agreement("simulated person", "ben").share == 0


def test_images_with_the_same_bytes_are_asked_about_once(images, ledger):
    twice = images.take([0, 1, 0, 1, 2])
    assert SimulatedPerson(ledger).label(twice).tolist() == [0, 1, 0, 1, 2]
    assert len(ledger.events()) == 3


@pytest.mark.parametrize(
    ("classes", "keys"),
    [
        (["0", "1", "2"], "012"),
        (["A", "b"], "ab"),
        (["cat", "dog", "x"], "12x"),
        ([str(n) for n in range(1, 11)], "1234567890"),  # no key but its own labels a digit
        (["a", "A"], "12"),
        (["é", "b"], "1b"),
        ([f"class {i}" for i in range(36)], "1234567890abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_every_class_has_a_key(classes, keys):
    assert class_keys(classes) == list(keys)


def test_a_person_s_answers_reach_the_loop_and_skipped_images_come_last(images, ledger):
    _, tab, got = asked_about(ledger, Batch(images.take(range(4)), 7), "ann")
    first = tab.next()
    assert first == images.digests[0]
    assert [len(heard["pictures"]) for heard in tab.heard] == [1, 3], "the image, then the next three"
    second = tab.do("skip", image=first, milliseconds=10, has=list(images.digests[:4]))["image"]
    assert tab.heard[-1]["pictures"] == [], "no picture is sent twice"
    assert second == images.digests[1]
    third = tab.label(second, 1)["image"]
    last = tab.do("cannot tell", image=third, milliseconds=10)["image"]
    assert tab.label(last, 2)["image"] == first, "what was skipped is asked last"
    assert tab.label(first, 0)["image"] is None
    assert got[0].tolist() == [0, 1, -1, 2]
    assert [(e.action, e.who, e.round) for e in ledger.events()][:2] == [
        ("skip", "ann", 7),
        ("label", "ann", 7),
    ]


def test_undo_brings_the_image_back(images, ledger):
    labeler, tab, got = asked_about(ledger, images.take(range(2)))
    assert tab.do("undo")["note"] == "Nothing to undo here."
    first = tab.next()
    with pytest.raises(NotDoneError, match="waits for your answers"):
        labeler.must_be_done()
    second = tab.label(first, 2)["image"]
    assert tab.do("undo")["image"] == first
    assert tab.label(first, 0)["image"] == second
    tab.label(second, 1)
    assert got[0].tolist() == [0, 1]
    assert labeler.widget.status.startswith("That was all")
    labeler.must_be_done()


def as_in_the_notebook(labeler, images, state, batch_size=5, budget=20):
    """Notebook 12's loop on 40 images of a pool and ten to check with."""
    check, pool = images.take(range(10)), images.take(range(10, 50))

    def learn(learner, n):
        learner.label_manually(n)
        if not len(learner.labeled):
            return  # nobody could tell any
        learner.fit(verbose=False)
        learner.lowest_first(margin)
        state.labels = len(learner.labels)

    def loop():
        y_check = yield check
        data = Dataset(pool.x, None, check.x, y_check, len(labeler.ledger.classes))
        learner = ActiveLearner(data, model=partial(Converged, C=1.0))
        learner.oracle, state.learner = labeler.for_pool(pool, learner), learner
        while known := learner.oracle.n_known(batch_size):
            learn(learner, known)
        for _ in range(0, budget, batch_size):
            yield learner.oracle.next_batch(batch_size)
            learn(learner, batch_size)

    return loop


def begin_as_in_the_notebook(ledger, images, labeller="ann"):
    state, labeler = SimpleNamespace(labels=0), Labeler(ledger, labeller, images=images)
    tab = Viewer(labeler, labeller)
    labeler.play(as_in_the_notebook(labeler, images, state), 30)
    return tab, state


def test_taking_back_what_a_round_has_used_computes_the_rounds_since_then_anew(
    images, ledger, truth, tmp_path
):
    tab, state = begin_as_in_the_notebook(ledger, images)
    given = []
    while len(given) < 20:  # the check images and two rounds
        image = tab.next()
        tab.label(image, (truth[image] + (len(given) == 19)) % 3)
        given.append(image)
    assert tab.next() not in given, "the third round is on"
    assert tab.do("undo")["image"] is None
    assert tab.next() == given[-1], "the last image of the round before"
    tab.label_all(truth)
    with Ledger(tmp_path / "straight.db", images.classes) as other:
        person, straight = SimulatedPerson(other), SimpleNamespace()
        person.play(as_in_the_notebook(person, images, straight))
    mine, theirs = state.learner, straight.learner
    assert mine.labeled.tolist() == theirs.labeled.tolist()
    assert mine.labels.tolist() == theirs.labels.tolist()
    assert np.array_equal(mine.model.weights, theirs.model.weights)


def test_the_guess_is_the_model_s_and_comes_only_when_asked_for(images, ledger, truth):
    tab, _ = begin_as_in_the_notebook(ledger, images)
    assert "nothing yet" in tab.do("guess", image=tab.next())["note"]
    tab.label_next(truth, 15)
    image = tab.next()
    assert not any("The model says" in str(heard) for heard in tab.heard)
    assert tab.do("guess", image=image)["note"].startswith(f"The model says {truth[image]} (")
    assert [(e.image, e.round) for e in ledger.events() if e.action == "guess shown"] == [(image, 2)]
    assert ledger.waiting(Look("ann", [image])), "a look at the guess is no answer"


def test_two_tabs_share_the_work_and_answer_nothing_twice(images, ledger):
    labeler, got = Labeler(ledger), []
    tabs = [Viewer(labeler, name) for name in ("one", "two")]
    labeler.play(lambda: ask(images, got))
    shown = [tab.next() for tab in tabs]
    assert shown[0] != shown[1]
    assert tabs[0].label(shown[1], 0)["note"] == "Last image saved: 0.", (
        "the image of the other tab, answered here"
    )
    assert "had your answer already" in tabs[1].label(shown[1], 1)["note"]
    tabs[0].do("cannot tell", image=images.digests[49])
    assert "had your answer already" in tabs[1].label(images.digests[49], 1)["note"], (
        "that was an answer, too"
    )
    ledger.record(Look("ben"), images.digests[50], "label", "2")
    assert "Somebody else was quicker" in tabs[1].label(images.digests[50], 1)["note"]
    while not got:
        for tab in tabs:
            if image := tab.do("next")["image"]:
                tab.label(image, 0)
    answered = [event.image for event in ledger.events()]
    assert len(answered) == len(set(answered)) == 60


def test_the_labels_of_another_process_end_the_wait(images, ledger, tmp_path):
    labeler, tab, got = asked_about(ledger, images.take(range(3)))
    with Ledger(tmp_path / "labels.db", images.classes) as elsewhere:
        SimulatedPerson(elsewhere).label(images.take(range(3)))
    assert not got
    assert tab.do("next")["image"] is None, "as a tab asks every second while there is nothing to show"
    assert got[0].tolist() == [0, 1, 2]

    labeler.play(lambda: ask(images.take(range(3, 5)), got))
    SimulatedPerson(ledger).label(images.take(range(3, 5)))
    labeler.must_be_done()  # without any tab
    assert got[1].tolist() == [0, 1]


def test_the_cells_below_wait_for_a_model_that_learns_meanwhile(images, ledger):
    """JupyterLab has messages from viewers handled in another thread than cells."""
    labeler, learns, go_on = Labeler(ledger), threading.Event(), threading.Event()

    def loop():
        yield images.take([0])
        learns.set()
        go_on.wait(10)

    tab = Viewer(labeler)
    labeler.play(loop)
    handler = threading.Thread(target=tab.label, args=[tab.next(), 0])
    handler.start()
    assert learns.wait(10)
    threading.Timer(0.1, go_on.set).start()
    labeler.must_be_done()
    handler.join()


def test_a_loop_that_is_interrupted_is_not_done(images, ledger):
    """Ctrl-C comes while the model learns from the last answer."""
    labeler, interrupt = Labeler(ledger), True

    def loop():
        yield images.take([0])
        if interrupt:
            raise KeyboardInterrupt

    tab = Viewer(labeler)
    labeler.play(loop)
    with pytest.raises(KeyboardInterrupt):
        tab.label(tab.next(), 0)
    with pytest.raises(NotDoneError, match="The loop has stopped: KeyboardInterrupt"):
        labeler.must_be_done()
    interrupt = False
    labeler.play(loop)
    labeler.must_be_done()


def test_after_a_failure_undo_starts_the_loop_again(images, ledger):
    """Nobody could tell any image, so there was nothing to learn from; one can be told after all."""
    labeler, got = Labeler(ledger), []

    def loop():
        if ((yield images.take(range(2))) < 0).all():
            raise ValueError("there are no labels to fit on")
        got.append(True)

    tab = Viewer(labeler)
    labeler.play(loop)
    for _ in range(2):
        tab.do("cannot tell", image=tab.next(), milliseconds=5)
    with pytest.raises(NotDoneError, match="The loop has stopped: ValueError: there are no labels"):
        labeler.must_be_done()
    assert tab.do("undo")["note"].startswith("Taken back: image 1.")
    tab.label(tab.next(), 1)
    labeler.must_be_done()
    assert got


def test_running_all_cells_again_ends_the_loop_before_and_takes_what_is_known(images, truth, tmp_path):
    def run_cells():
        return begin_as_in_the_notebook(Ledger(tmp_path / "labels.db", images.classes), images)

    before, first = run_cells()
    before.label_next(truth, 12)
    after, second = run_cells()
    assert before.do("next")["image"] is None, "the widget of before asks nothing more"
    assert "stopped" in before.labeler.widget.status
    with pytest.raises(NotDoneError, match="waits for your answers"):
        after.labeler.must_be_done()
    after.label_all(truth)
    assert not first.labels
    again, third = run_cells()  # all is known now: nothing is asked
    again.labeler.must_be_done()
    assert third.learner.labels.tolist() == second.learner.labels.tolist()


def test_a_ledger_that_is_locked_for_a_while_does_not_end_the_loop(images, ledger, monkeypatch):
    _, tab, got = asked_about(ledger, images.take(range(1)))
    answers = ledger.answers

    def locked(*arguments):
        raise LedgerError("labels.db cannot be used: another program keeps it locked")

    monkeypatch.setattr(ledger, "answers", locked)
    heard = tab.label(tab.next(), 2)
    assert heard["kind"] == "trouble"
    assert "keeps it locked" in heard["note"]
    assert not got
    monkeypatch.setattr(ledger, "answers", answers)
    tab.do("next")
    assert got[0].tolist() == [2]


def test_the_name_of_a_sub_folder_is_not_shown_for_it_may_be_the_answer(ledger, images):
    named = replace(images, names=tuple(f"cat/photos/{i}.png" for i in range(60)))
    _, tab, _ = asked_about(ledger, named)
    assert tab.do("next")["name"] == "0.png"


def test_a_ledger_that_cannot_be_written_keeps_the_image_and_says_why(images, ledger, monkeypatch):
    _, tab, _ = asked_about(ledger, images)
    image = tab.next()
    ledger._record._db.execute("pragma max_page_count = 1")  # as small as it is, so the disk is full
    ledger._record._db.execute("pragma query_only = on")
    heard = tab.label(image, 0)
    assert heard["kind"] == "trouble"
    assert "labels.db" in heard["note"]
    ledger._record._db.execute("pragma query_only = off")
    ledger._record._db.execute("pragma max_page_count = 1000000")
    assert tab.label(image, 0)["image"] not in (None, image)


def test_a_loop_that_cannot_be_answered_says_how_to_write_it(images, ledger):
    labeler, person = Labeler(ledger), SimulatedPerson(ledger)

    def loop():
        yield images.take([0])
        labeler.label(images.take([1]))

    with pytest.raises(OracleError, match=r"put the loop into a function.*`yield`.*labeler.play\(function\)"):
        labeler.play(lambda: labeler.label(images.take([1])))
    person.label(images.take([0]))
    labeler.play(loop)
    with pytest.raises(NotDoneError, match=r"has stopped: nobody can answer .* `yield` the images"):
        labeler.must_be_done()
    with pytest.raises(OracleError, match="yields nothing; put `labels = yield images` into it"):
        person.play(lambda: person.label(images.take([1])))
    for odd in (np.array([0, 1]), images.x, None):
        with pytest.raises(OracleError, match=r"which is no Images; yield a selection of them"):
            person.play(lambda odd=odd: ask(odd, []))
        labeler.play(lambda odd=odd: ask(odd, []))
        assert "which is no Images" in labeler.widget.status
        assert "\n" not in labeler.widget.status


def test_a_copy_of_a_learner_asks_in_its_own_name(images, ledger):
    """After a fit that the original does not make, its questions are those of another round."""
    state, person = SimpleNamespace(), SimulatedPerson(ledger)
    person.play(as_in_the_notebook(person, images, state))
    learner = state.learner
    other = learner.copy()
    other.fit(verbose=False)
    batch = other.oracle.next_batch(4)
    assert batch.round == 6
    assert learner.oracle.next_batch(4).round == 5
    other.label_manually(4)
    assert [event.round for event in ledger.events()][-4:] == [6] * 4
    assert np.array_equal(batch.guess(0), other.predict_proba(learner.unlabeled[:1])[0])


def test_error_rates_and_unknown_labels_are_refused(images, ledger):
    for rate in (1.5, "0.1", np.nan):
        with pytest.raises(ValueError, match=rf"error_rate is {rate!r}; give a share from 0 to 1"):
            SimulatedPerson(ledger, rate)
    unknown = load_images(images.x, classes=images.classes)
    with pytest.raises(ValueError, match="cannot answer for 'image 0', whose label is not known"):
        SimulatedPerson(ledger).label(unknown)


def test_undo_takes_back_what_this_tab_did_in_this_loop_and_names_it(images, ledger):
    labeler = Labeler(ledger, "ann")
    one, two = Viewer(labeler, "one"), Viewer(labeler, "two")
    ledger.record(Look("ann"), images.digests[50], "label", "2")  # in another notebook
    labeler.play(lambda: ask(images.take(range(10)), []))
    first, second = one.next(), two.next()
    one.label(first, 0)
    two.label(second, 1)
    heard = one.do("undo")
    assert heard["image"] == first
    assert heard["note"] == "Taken back: image 0. Here it is again."
    assert one.do("undo")["note"] == "Nothing to undo here."
    assert set(ledger.labels_of("ann")) == {second, images.digests[50]}
    _, tab, _ = asked_about(ledger, images.take(range(10)), "ann")  # the kernel was started again
    assert tab.do("undo")["image"] == second
    assert tab.do("undo")["note"] == "Nothing to undo here."


def test_a_tab_that_is_loaded_again_takes_back_what_it_did_before(images, ledger):
    labeler = Labeler(ledger, "ann")
    labeler.play(lambda: ask(images.take(range(10)), []))
    before, after = Viewer(labeler, "before"), Viewer(labeler, "after")
    before.do("label", image=before.next(), label=0, tab="mine")
    assert after.do("undo", tab="mine")["image"] == images.digests[0]


def test_whoever_waits_is_told_who_has_the_last_images(images, ledger, tmp_path):
    with Ledger(tmp_path / "labels.db", images.classes) as elsewhere:
        theirs, mine = Labeler(elsewhere, "ben"), Labeler(ledger, "ann")
        ben, ann, other = Viewer(theirs, "ben's"), Viewer(mine, "ann's"), Viewer(mine, "ann's second")
        for labeler in (theirs, mine):
            # A loop is known by its file: these two are in two kernels.
            Labeler._playing.clear()
            labeler.play(lambda: ask(images.take(range(2)), []))
        ben.next()
        ann.next()
        assert other.do("next")["status"] == (
            "The last 2 images of this round are before ann (another tab) and ben. What nobody answers comes "
            "to you, a minute or so after anything was done there."
        )


def test_when_nobody_can_tell_the_first_images_the_next_ones_are_asked(images, ledger):
    tab, state = begin_as_in_the_notebook(ledger, images)
    for k in range(20):
        tab.do("cannot tell" if 10 <= k < 15 else "label", image=tab.next(), label=k % 3, milliseconds=900)
    assert len(state.learner.labeled) == len(state.learner.abstained) == 5


def test_labelling_can_stop_at_any_moment_and_the_labels_are_in_a_file(images, ledger, truth, tmp_path):
    tab, _ = begin_as_in_the_notebook(ledger, images)
    progress = tab.label_next(truth)["progress"]
    assert progress == "images to check the model with · 1 done · 29 to come", "one answer is no pace"
    tab.do("stop")
    assert tab.labeler.widget.status.startswith("Stopped: labels.csv")
    with pytest.raises(NotDoneError, match="before the model had learned anything"):
        tab.labeler.must_be_done()
    tab, _ = begin_as_in_the_notebook(ledger, images)
    progress = tab.label_next(truth, 16)["progress"]
    assert progress == "round 2 · 17 done · 13 to come · less than a minute left"
    tab.do("stop")
    tab.labeler.must_be_done()
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 17
    assert all(row["name"].startswith("image ") for row in rows)
    assert tab.do("next")["image"] is None


def test_where_the_file_is_not_the_ledger_s_the_labels_go_beside_it_and_the_line_says_so(
    images, ledger, tmp_path
):
    labeler = Labeler(ledger, images=images)
    tab = Viewer(labeler)

    def label_one_and_stop():
        labeler.play(lambda: ask(images.take(range(4)), []))
        tab.label(tab.next(), 0)
        tab.do("stop")

    def n_rows(name):
        return len((tmp_path / name).read_text().splitlines()) - 1

    label_one_and_stop()
    assert n_rows("labels.csv") == 1
    (tmp_path / "labels.csv").write_text("mine")
    for n in (2, 3):  # the second time, labels 2.csv is the ledger's own
        label_one_and_stop()
        assert n_rows("labels 2.csv") == n
        assert labeler.widget.status.startswith(
            f"Stopped: labels 2.csv, beside the notebook's ledger, has {n} labels (labels.csv was changed"
        )
    assert (tmp_path / "labels.csv").read_text() == "mine"
    assert {file.name for file in tmp_path.iterdir()} == {"labels.db", "labels.csv", "labels 2.csv"}


def test_a_class_added_by_a_colleague_makes_everybody_s_learner_know_it(images, ledger, tmp_path):
    with Ledger(tmp_path / "labels.db", images.classes) as elsewhere:
        ann, mine = begin_as_in_the_notebook(ledger, images)
        for _ in range(15):
            ann.label(ann.next(), 0)
        Labeler._playing.clear()  # as in two kernels
        ben, theirs = begin_as_in_the_notebook(elsewhere, images, "ben")
        assert ann.do("class", number=3, name="new")["note"] == "Added: new, key 3."
        assert ann.do("class", number=0, name="nought")["note"] == "Renamed: 0 is nought now, key 0."
        assert mine.learner.data.n_classes == 4
        ann.label(ann.next(), 3)
        ben.next()
        assert ben.labeler.widget.classes == ["nought", "1", "2", "new"]
        assert ben.labeler.widget.shortcuts == ["0", "1", "2", "3"], "nobody's keys have changed"
        assert theirs.learner.data.n_classes == 4
        assert ledger.counts() == {"nought": 15, "1": 0, "2": 0, "new": 1, None: 0}


def test_where_widgets_are_not_shown_a_sentence_says_what_to_do(ledger):
    shown = Labeler(ledger).widget._repr_mimebundle_()
    bundle = shown[0] if isinstance(shown, tuple) else shown
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Open the notebook in JupyterLab" in bundle["text/plain"]


def work_of_a_key(images, file, digests, undone=True):
    """Lines of Python and hundreds of SQLite's steps of an answer and its undoing, where these have one."""
    with Ledger(file, images.classes) as ledger:
        rows = [f"{digest},{k % 3},ben\n" for k, digest in enumerate(digests)]
        file.with_suffix(".csv").write_text("image,label,labeller\n" + "".join(rows))
        ledger.import_labels(file.with_suffix(".csv"))
        (_, tab, _), work = asked_about(ledger, images, "ann"), [0, 0]
        tab.label(tab.next(), 0)

        def count(which):
            work[which] += 1
            return trace if which == 0 else 0

        def trace(*_):
            return count(0)

        image = tab.next()
        ledger._record._db.set_progress_handler(lambda: count(1), 100)
        sys.settrace(trace)
        tab.label(image, 1)
        if undone:
            tab.do("undo")
        sys.settrace(None)
        return np.array(work)


def test_a_key_takes_no_longer_when_many_images_have_been_answered(images, tmp_path):
    few, many = (
        work_of_a_key(
            images.take(range(10)),
            tmp_path / f"{n}.db",
            [hashlib.sha256(b"%d" % k).hexdigest() for k in range(n)],
        )
        for n in (100, 10_000)
    )
    assert (many <= 1.1 * few + 5).all(), f"lines and hundreds of steps: {few} for 100, {many} for 10,000"


def test_nor_when_they_are_in_the_same_large_batch(tmp_path):
    # What is taken back finds its place among the others of the batch again; that takes longer, and may.
    levels = np.random.default_rng(0).integers(0, 256, (3_010, 4, 4), dtype=np.uint8)
    images = load_images(levels, classes=["0", "1", "2"])
    few, many = (
        work_of_a_key(images.take(range(n + 10)), tmp_path / f"{n}.db", images.digests[:n], undone=False)
        for n in (100, 3_000)
    )
    assert (many <= 1.1 * few + 5).all(), f"lines and hundreds of steps: {few} for 100, {many} for 3,000"


def test_what_is_asked_follows_undo_correction_and_other_processes(images, ledger, tmp_path):
    look = Look("ann", images.digests[:4], "tab")
    a, b, c, d = look.among
    with Ledger(tmp_path / "labels.db", images.classes) as elsewhere:
        assert ledger.record(look, a, "label", images.classes[0]) == b
        elsewhere.record(Look("ben"), b, "cannot tell")
        assert ledger.waiting(look) == [c, d]
        elsewhere.undo(Look("ben"), b)
        assert ledger.waiting(look) == [b, c, d]
        ledger.record(look, b, "skip")
        assert ledger.waiting(look) == [c, d, b]
        own = replace(look, who="ben", again=True)
        assert ledger.waiting(own) == [a, b, c, d]
        elsewhere.correct(Look("ben"), a, images.classes[1])
        assert ledger.waiting(own) == [b, c, d]
        ledger.correct(Look("ann"), a, images.classes[0])
        assert ledger.waiting(own) == [a, b, c, d]  # the opinion that counts is no longer ben's
        elsewhere.record(replace(own, among=()), a, "label", images.classes[2])
        ledger.record(look, c, "label", images.classes[2])
        assert ledger.waiting(own) == [b, c, d]
        assert ledger.waiting(look) == [d, b]


def test_undo_takes_back_only_what_this_loop_asked_where_labels_were_there_before(
    images, ledger, truth, tmp_path
):
    tab, _ = begin_as_in_the_notebook(ledger, images)
    tab.label_next(truth, 20)  # the check set and two rounds; then labels from elsewhere, and all cells again
    rows = [f"{images.digests[i]},{images.classes[images.known[i]]}\n" for i in range(40, 46)]
    (tmp_path / "more.csv").write_text("image,label\n" + "".join(rows))
    ledger.import_labels(tmp_path / "more.csv", "ben")
    tab, state = begin_as_in_the_notebook(ledger, images)
    assert state.labels >= 10, "what was labelled before is learned from"
    before, given = state.labels, []
    for _ in range(7):  # a round, and two of the next
        given.append(tab.next())
        tab.label(given[-1], truth[given[-1]])
    standing = {event.image for event in ledger.standing()}
    for image in reversed(given):
        assert "Taken back" in tab.do("undo")["note"]
        assert tab.next() == image
        standing.remove(image)
        assert {event.image for event in ledger.standing()} == standing
    assert state.labels == before
    while given:  # answered anew, it goes the same way
        assert tab.next() == given.pop(0)
        tab.label_next(truth)


def test_a_corrected_label_costs_no_other(images, ledger, truth):
    tab, state = begin_as_in_the_notebook(ledger, images)
    tab.label_next(truth, 23)
    first = state.learner.labeled[0] + 10
    ledger.correct(Look("ann"), images.digests[first], images.classes[(images.known[first] + 1) % 3])
    tab, state = begin_as_in_the_notebook(ledger, images)
    check = set(images.digests[:10])
    told = {event.image for event in ledger.standing()} - check
    assert tab.next() not in told
    asked = set(tab.labeler._loop.asked) - check
    assert told <= asked | {images.digests[i + 10] for i in state.learner.labeled}, "a label is left unused"
    assert state.labels >= len(told) - 4, "all of them but those of the round that is being asked"


def test_what_a_tab_cannot_have_meant_is_not_recorded(images, ledger):
    _, tab, _ = asked_about(ledger, images.take(range(2)), "ann")
    image = tab.next()
    for label in (-1, True, 99, None):
        assert tab.label(image, label)["kind"] == "trouble"
    assert tab.label("f" * 64, 0)["kind"] == "trouble"
    for odd in ("f" * 64, images.digests[5], 7, None):
        assert "which this loop does not ask about" in tab.do("hold", image=odd)["note"]
    assert not ledger.held_by_others(Look("bob", [*images.digests[2:], "f" * 64], "elsewhere"))
    assert not ledger.events()
