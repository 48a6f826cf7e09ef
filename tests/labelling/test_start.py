"""Labels that are there already start the learner; those of the same loop come in their rounds."""

from functools import partial

import numpy as np
import pytest

from alhelpers import ActiveLearner, Dataset
from alhelpers.evidence import Converged
from alhelpers.labelling.events import LABEL, UNSURE, Look
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.oracle import SimulatedPerson
from alhelpers.queries import margin


@pytest.fixture
def images(easy_images):
    x, y = easy_images(80)
    return load_images(x, labels=y)


def labelled(ledger, images, n_rounds=3, batch_size=5, n_check=10):
    """The loop of the notebook, which may end early; returns the learner and how many questions it asked."""
    pool, check = images.take(range(n_check, 80)), images.take(range(n_check))
    person = SimulatedPerson(ledger)
    y_check = person.label(check)
    learner = ActiveLearner(Dataset(pool.x, None, check.x, y_check, 3), model=partial(Converged, C=1.0))
    learner.oracle = person.for_pool(pool, learner)
    before = len(ledger.events())

    def learn(n):
        learner.label_manually(n)
        if not len(learner.labeled):
            return
        learner.fit(verbose=False)
        learner.lowest_first(margin)

    while known := learner.oracle.n_known(batch_size):
        learn(known)
    for _ in range(n_rounds):
        learn(batch_size)
    return learner, len(ledger.events()) - before


def imported(ledger, path, images, indices):
    rows = [f"{images.digests[i]},{images.classes[images.known[i]]}\n" for i in indices]
    path.write_text("image,label\n" + "".join(rows))
    ledger.import_labels(path, "ben")


def test_imported_labels_start_the_learner_and_nobody_is_asked_about_them(images, tmp_path):
    with Ledger(tmp_path / "labels.db", images.classes) as ledger:
        imported(ledger, tmp_path / "labels.csv", images, range(40, 60))
        ledger.record(Look("ben"), images.digests[70], UNSURE)
        learner, asked = labelled(ledger, images)
    assert [row.n_labels for row in learner.history] == [20, 25, 30, 35]
    assert sorted(learner.labeled[:20] + 10) == list(range(40, 60))
    assert np.array_equal(learner.labels, images.known[learner.labeled + 10])
    assert asked == 15


def test_a_loop_that_was_interrupted_goes_on_in_the_same_rounds(images, tmp_path):
    def play(name, *n_rounds, import_first):
        with Ledger(tmp_path / f"{name}.db", images.classes) as ledger:
            if import_first:
                imported(ledger, tmp_path / "labels.csv", images, range(40, 60))
            learners = [labelled(ledger, images, n) for n in n_rounds]
        return learners[-1]

    for import_first in (False, True):
        straight, _ = play(f"straight {import_first}", 6, import_first=import_first)
        again, asked = play(f"again {import_first}", 2, 4, 6, import_first=import_first)
        assert again.labeled.tolist() == straight.labeled.tolist()
        assert repr(again.history) == repr(straight.history)
        assert asked == 10


def test_a_round_that_was_interrupted_is_completed(images, tmp_path):
    with Ledger(tmp_path / "labels.db", images.classes) as ledger:
        for i in (10, 11, 13):
            ledger.record(Look("me", round=1), images.digests[i], LABEL, images.classes[images.known[i]])
        learner, asked = labelled(ledger, images, 1)
    assert learner.labeled.tolist() == [0, 1, 2, 3, 4]
    assert asked == 2


def test_a_first_batch_that_nobody_could_tell_keeps_the_rounds_too(images, tmp_path):
    def play(name, *n_rounds):
        with Ledger(tmp_path / f"{name}.db", images.classes) as ledger:
            for i in range(10, 20):
                ledger.record(Look("me", round=1), images.digests[i], UNSURE)
            return [labelled(ledger, images, n) for n in n_rounds][-1]

    straight, _ = play("straight", 6)
    again, asked = play("again", 4, 6)
    assert again.labeled.tolist() == straight.labeled.tolist()
    assert repr(again.history) == repr(straight.history)
    assert asked == 10


@pytest.mark.parametrize("settings", [{"batch_size": 3}, {"n_check": 20}])
def test_labels_of_a_loop_with_other_settings_are_all_used(images, tmp_path, settings):
    with Ledger(tmp_path / "labels.db", images.classes) as ledger:
        first, _ = labelled(ledger, images, 4)
        then, asked = labelled(ledger, images, 2, **settings)
        n_check, batch_size = settings.get("n_check", 10), settings.get("batch_size", 5)
        before = {images.digests[i + 10] for i in first.labeled}
        pool = [images.digests[i + n_check] for i in range(80 - n_check)]
        n_before = len(before & set(pool))
        assert then.history[-1].n_labels == n_before + 2 * batch_size
        assert {pool[i] for i in then.labeled[:n_before]} == before & set(pool)
        assert asked == 2 * batch_size


def test_without_answers_nothing_is_put_first(images, tmp_path):
    with Ledger(tmp_path / "labels.db", images.classes) as ledger:
        learner, asked = labelled(ledger, images, 1)
        assert learner.labeled.tolist() == [0, 1, 2, 3, 4]
        assert asked == 5
        for function in (learner.oracle.next_batch, learner.oracle.n_known):
            for n in (0, 2.5):
                with pytest.raises(ValueError, match=f"n is {n}; give a whole number from 1 up"):
                    function(n)
