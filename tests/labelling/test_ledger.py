"""No label is lost, none is given twice, and whatever goes wrong is said in one sentence."""

import csv
import hashlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alhelpers.agreement import agreement
from alhelpers.data import CANNOT_TELL
from alhelpers.labelling import database
from alhelpers.labelling import record as records
from alhelpers.labelling.events import LABEL, SKIP, UNSURE, WAITING, AlreadyAnswered, LedgerError, Look
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.record import LEASE_SECONDS, PAUSE

IMAGES = [hashlib.sha256(bytes([k])).hexdigest() for k in range(200)]
A, B, C, D = IMAGES[:4]
CLASSES = ["cat", "dog"]


def one_sentence(error):
    return "\n" not in str(error.value) and error.value._render_traceback_() == [
        f"{type(error.value).__name__}: {error.value}"
    ]


def in_a_process(script, *arguments, **options):
    imports = "from alhelpers.labelling.events import *\nfrom alhelpers.labelling.ledger import *\n"
    script = f"{imports}import sys, threading, time\n{script}"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


# --- Who is asked what ---


def test_people_share_the_work_and_second_opinions_do_not_change_the_answer(ledger):
    ledger.record(Look("ann"), A, UNSURE)
    ledger.record(Look("ann"), B, LABEL, "dog")
    for image, action, label in ((A, LABEL, "cat"), (B, SKIP, None)):
        with pytest.raises(AlreadyAnswered, match=f"{image[:12]}.*'ann'.*claim another") as error:
            ledger.record(Look("bob"), image, action, label)
        assert one_sentence(error)
    assert len(ledger.events()) == 2
    assert ledger.answers([A, B, C]).tolist() == [CANNOT_TELL, 1, WAITING]
    assert ledger.waiting(Look("bob", [A, B, C])) == [C]

    assert ledger.waiting(Look("bob", [A, B, C], again=True)) == [A, B, C]
    ledger.record(Look("bob", again=True), B, LABEL, "cat")
    ledger.record(Look("bob", again=True), A, LABEL, "cat")
    with pytest.raises(AlreadyAnswered):
        ledger.record(Look("bob", again=True), B, LABEL, "cat")
    assert ledger.answers([A, B]).tolist() == [0, 1]  # a label before "cannot tell", otherwise the earliest
    assert ledger.counts() == {"cat": 1, "dog": 1, None: 0}
    ledger.undo(Look("ann"))
    assert ledger.answers([A, B]).tolist() == [0, 0]
    assert ledger.labels_of("ann") == {}
    assert ledger.labellers() == ["ann", "bob"]


def test_skipped_images_come_back_after_all_others_to_those_who_skipped_them(ledger):
    among = [A, B, C, D]
    assert ledger.claim(Look("ann", among, "tab")) == A
    assert ledger.record(Look("ann", among, "tab"), A, SKIP) == B
    assert ledger.record(Look("ann", among, "tab"), B, SKIP) == C
    assert ledger.waiting(Look("ann", among)) == [C, D, A, B]
    assert ledger.waiting(Look("bob", among)) == among
    ledger.record(Look("ann"), A, SKIP)
    assert ledger.waiting(Look("ann", among)) == [C, D, B, A]
    assert ledger.undo(Look("ann")) == A
    assert ledger.waiting(Look("ann", among)) == [C, D, A, B]  # its first skip still stands
    assert ledger.record(Look("ann", among, "tab"), C, LABEL, "cat") == D
    assert ledger.record(Look("ann", among, "tab"), D, UNSURE) == A
    assert ledger.record(Look("ann", among, "tab"), A, LABEL, "dog") == B
    assert ledger.record(Look("ann", among, "tab"), B, LABEL, "dog") is None


def test_undo_goes_back_one_act_after_another_of_one_person(ledger, tmp_path):
    ledger.record(Look("ann"), A, LABEL, "cat")
    ledger.record(Look("ann"), B, SKIP)
    ledger.record(Look("bob"), C, LABEL, "dog")
    ledger.record(Look("ann"), D, UNSURE)
    assert [ledger.undo(Look("ann", viewer="tab")) for _ in range(2)] == [D, B]
    assert ledger.claim(Look("bob", [B, D], "other tab")) == D  # the undone image is before ann again
    ledger.record(Look("ann"), B, LABEL, "dog")
    assert [ledger.undo(Look("ann")) for _ in range(3)] == [B, A, None]
    assert ledger.answers([A, B, C, D]).tolist() == [WAITING, WAITING, 1, WAITING]
    assert [(event.action, event.undoes) for event in ledger.events(after=4)] == [
        ("undo", 4), ("undo", 2), ("label", None), ("undo", 7), ("undo", 1),
    ]  # fmt: skip

    # What was imported is taken back only by name.
    ledger.record(Look("ann"), D, SKIP)
    (tmp_path / "labels.csv").write_text(f"image,label\n{A},dog\n{D},dog\n")
    ledger.import_labels(tmp_path / "labels.csv", labeller="ann")
    assert [ledger.undo(Look("ann")), ledger.undo(Look("ann"))] == [D, None]
    assert ledger.answers([A, D]).tolist() == [1, 1]
    assert ledger.undo(Look("ann"), image=A) == A
    assert ledger.answers([A, D]).tolist() == [WAITING, 1]


def test_two_viewers_never_have_the_same_image(ledger, file, monkeypatch):
    now = time.time()
    monkeypatch.setattr(records.time, "time", lambda: now)
    with Ledger(file, CLASSES) as other:
        assert ledger.claim(Look("ann", [A, B], "one")) == A
        assert other.claim(Look("ann", [A, B], "two")) == B
        assert other.claim(Look("ann", [A, B], "three")) is None
        assert (
            other.claim(Look("bob", [A, B], "three", again=True)) == A
        )  # a second opinion may be given meanwhile
        assert other.claim(Look("bob", [], "three")) is None
        with pytest.raises(LedgerError, match=r"the image is 'cat\.png'; give its SHA-256 digest"):
            other.claim(Look("bob", ["cat.png"], "three"))
        now += 0.9 * LEASE_SECONDS
        assert ledger.claim(Look("ann", [D, A], "one")) == A  # renewed, although D comes first
        now += 0.9 * LEASE_SECONDS
        assert other.claim(Look("ann", [A], "three")) is None
        assert other.claim(Look("ann", [D, B], "two")) == B  # the lease ran out, but nobody else came
        now += 0.2 * LEASE_SECONDS
        assert other.claim(Look("ann", [A], "three")) == A
        assert ledger.claim(Look("ann", [A], "one")) is None  # another came
        now -= 3600  # a clock put back keeps no image from people for an hour
        assert ledger.claim(Look("ann", [A], "one")) == A
    monkeypatch.undo()


def test_an_answer_counts_whoever_holds_the_image_and_undone_it_is_left_to_them(ledger):
    assert ledger.claim(Look("ann", [A, B], "one")) == A
    ledger.record(Look("bob", viewer="two"), A, LABEL, "cat")
    with pytest.raises(AlreadyAnswered):
        ledger.record(Look("ann", [A, B], "one"), A, LABEL, "cat")
    assert ledger.undo(Look("bob", viewer="two")) == A
    assert ledger.claim(Look("ann", [B, A], "one")) == A
    assert ledger.claim(Look("bob", [A, B], "two")) == B
    assert ledger.claim(Look("bob", [A, D], "two")) == D  # B is not among these
    assert ledger.record(Look("ann", [A, B, C], "one"), A, LABEL, "dog") == B
    assert ledger.undo(Look("ann", viewer="one")) == A
    assert ledger.claim(Look("eve", [A, B, C], "three")) == B  # a viewer has one image: B is free again


def test_what_is_known_follows_from_the_record_alone(file):
    """Whatever people do, a ledger that has seen it happen, one opened later and a plain replay agree."""
    rng = random.Random(0)
    with Ledger(file, CLASSES) as one, Ledger(file, CLASSES) as other:
        for _ in range(150):
            who, again = rng.choice(["ann", "bob"]), rng.random() < 0.3
            at = rng.choice([one, other])
            if rng.random() < 0.3:
                at.undo(Look(who))
            else:
                action = rng.choice([LABEL, UNSURE, SKIP])
                label = rng.choice(CLASSES) if action == LABEL else None
                try:
                    at.record(Look(who, again=again), rng.choice(IMAGES[:8]), action, label)
                except AlreadyAnswered:
                    continue
        undone = {event.undoes for event in one.events()}
        acts = [e for e in one.events() if e.id not in undone and e.action != "undo"]
        answers = []
        for image in IMAGES[:8]:
            labels = [e.label for e in acts if e.image == image and e.action != SKIP]
            told = [CLASSES.index(label) for label in labels if label]
            answers.append(told[0] if told else CANNOT_TELL if labels else WAITING)
        with Ledger(file, CLASSES) as later:
            assert len(undone) > 20
            for opened in (one, other, later):
                assert opened.answers(IMAGES[:8]).tolist() == answers
                for who in ("ann", "bob"):
                    own = [e for e in acts if e.who == who]
                    done = {e.image for e in own if e.action != SKIP}
                    skips = {e.image: e.id for e in own if e.action == SKIP and e.image not in done}
                    fresh = [image for image in IMAGES[:8] if image not in done | skips.keys()]
                    assert opened.waiting(Look(who, IMAGES[:8], again=True)) == [
                        *fresh, *sorted(skips, key=skips.get),
                    ]  # fmt: skip


def test_the_record_is_only_ever_added_to(ledger, file):
    ledger.record(Look("ann", round=3), A, LABEL, "cat", milliseconds=np.int64(900))
    before = ledger.events()
    (event,) = before
    assert event[:5] == (1, A, "label", "cat", "ann")
    assert (event.round, event.milliseconds) == (3, 900)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", event.when)
    with sqlite3.connect(file) as raw:
        for statement in ("update event set label = 'dog'", "delete from event"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                raw.execute(statement)
    raw.close()
    assert ledger.events() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((A, LABEL, "cow"), "label is 'cow'.*'cat', 'dog'"),
        ((A, LABEL), "with the label None"),
        ((A, SKIP, "cat"), "'skip' came with the label 'cat'"),
        ((A, "undo"), "the action 'undo'"),
        (("photo.png", LABEL, "cat"), "image is 'photo.png'.*SHA-256"),
        ((A, LABEL, "cat", " "), "person is ' '"),
        ((A, LABEL, "cat", "\ud800"), "person is"),
        ((A, LABEL, "cat", "a\0b"), "person is"),
        ((A, LABEL, "cat", "\u202e"), "person is"),
        ((A, LABEL, "cat", "ann", 1.5), "milliseconds is 1.5"),
        ((A, LABEL, "cat", "ann", -1), "milliseconds is -1"),
    ],
)
def test_what_cannot_be_recorded_is_named(ledger, arguments, sentence):
    image, action, label, who, milliseconds = (*arguments, *(None, "ann", None)[len(arguments) - 2 :])
    with pytest.raises(LedgerError, match=sentence) as error:
        ledger.record(Look(who), image, action, label, milliseconds=milliseconds)
    assert one_sentence(error)
    assert ledger.events() == []


def test_an_image_is_given_to_a_viewer_with_a_name(ledger):
    for look in (lambda: Look("ann", [A]), lambda: Look("ann", [A], " ")):
        with pytest.raises(LedgerError, match=r"viewer.* name$") as error:
            ledger.claim(look())
        assert one_sentence(error)


def test_time_spent_counts_what_was_undone_and_pauses_as_half_a_minute(ledger):
    assert np.isnan(ledger.seconds_per_label("ann"))
    assert ledger.minutes() == 0
    times = {A: 2000, B: 4000, C: 3_600_000, D: None, IMAGES[4]: 0}
    for image, milliseconds in times.items():
        ledger.record(Look("ann"), image, LABEL, "cat", milliseconds=milliseconds)
    ledger.record(Look("bob"), IMAGES[5], SKIP, milliseconds=6000)
    ledger.record(Look("ann"), IMAGES[6], LABEL, "dog", milliseconds=12_000)
    ledger.undo(Look("ann"))
    assert ledger.seconds_per_label("ann") == 3.0
    assert np.isnan(ledger.seconds_per_label("bob"))
    assert ledger.minutes() == pytest.approx((2 + 4 + 30 + 6 + 12) / 60)
    assert ledger.minutes("bob") == pytest.approx(0.1)


def test_a_pause_is_no_pace(ledger):
    """Nobody who was away before the first answer is told that hours are left."""
    for image, milliseconds in zip(IMAGES, (113_000, 2000, 90_000), strict=False):
        assert np.isnan(ledger.seconds_per_label("ann"))
        ledger.record(Look("ann"), image, LABEL, "cat", milliseconds=milliseconds)
    assert ledger.seconds_per_label("ann") == PAUSE / 1000
    ledger.record(Look("ann"), IMAGES[3], LABEL, "cat", milliseconds=4000)
    ledger.record(Look("ann"), IMAGES[4], LABEL, "cat", milliseconds=3000)
    assert ledger.seconds_per_label("ann") == 4.0


# --- Opening ---


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (["cat"], "2 to 36"),
        ("cat", "2 to 36"),
        ([str(k) for k in range(37)], "2 to 36"),
        (["cat", "dog", "cat"], "'cat' is given twice"),
        (["cat", ""], "class 1 is ''"),
        (["cat", 7], "class 1 is 7"),
        ({"cat", "dog"}, "give a list of 2 to 36 names"),  # which has no order
        (["Cat", "cat"], "look alike; give one, or another name"),
        (["cat", "cat "], "look alike"),
        (["café", "cafe\u0301"], "look alike"),
        (["a b", "a  b"], "look alike"),
    ],
)
def test_classes_that_make_no_sense_are_named_and_no_file_is_made(file, classes, sentence):
    with pytest.raises(LedgerError, match=sentence) as error:
        Ledger(file, classes)
    assert one_sentence(error)
    assert not file.exists()


def test_classes_may_be_added_at_the_end_and_not_changed(ledger, file):
    for classes in (["dog", "cat"], ["cat", "cow"], ["cat", "cow", "dog"]):
        with pytest.raises(
            LedgerError, match=r"has '\w+' as class \d.*give 'cat', 'dog', then new ones, or another"
        ) as error:
            Ledger(file, classes)
        assert one_sentence(error)
    with Ledger(file, ["cat", "dog", "cow"]) as more:
        more.record(Look("bob"), A, LABEL, "cow")
    assert ledger.answers([A]).tolist() == [2]  # opened before there were cows
    assert ledger.classes == ("cat", "dog", "cow")
    with pytest.raises(LedgerError, match="'cow' as class 2"):
        Ledger(file, CLASSES)


def test_a_ledger_written_by_the_first_version_is_read_and_written(file):
    """Labels that people gave years ago: the tables are written out here, so that they cannot change."""
    script = f"""
    create table class (number integer primary key, name text not null unique);
    create table event (
        id integer primary key, image text not null, action text not null, label text references class (name),
        who text not null, "when" text not null, round integer not null, milliseconds integer,
        undoes integer unique references event (id),
        check (action in ('label', 'cannot tell', 'skip', 'undo', 'import', 'guess shown')),
        check (action = 'import' or (action = 'label') = (label is not null)),
        check ((action = 'undo') = (undoes is not null)));
    create trigger event_kept before update on event begin select raise(abort, 'events never change'); end;
    create trigger event_stays before delete on event begin select raise(abort, 'events never go'); end;
    create table claim (viewer text primary key, image text, who text, until real);
    pragma application_id = {int.from_bytes(b"aLbl")};
    pragma user_version = 1;
    insert into class values (0, 'cat'), (1, 'dog');
    insert into event values
        (1, '{A}', 'label', 'cat', 'ann', '2026-01-31T12:00:00.000+00:00', 1, 700, null),
        (2, '{B}', 'cannot tell', null, 'ann', '2026-01-31T12:00:01.000+00:00', 1, 900, null),
        (3, '{C}', 'skip', null, 'bob', '2026-01-31T12:00:02.000+00:00', 1, 300, null),
        (4, '{D}', 'label', 'dog', 'bob', '2026-01-31T12:00:03.000+00:00', 1, 500, null),
        (5, '{D}', 'undo', null, 'bob', '2026-01-31T12:00:04.000+00:00', 1, null, 4),
        (6, '{D}', 'guess shown', null, 'bob', '2026-01-31T12:00:05.000+00:00', 2, null, null),
        (7, '{A}', 'import', 'dog', 'bob', '2026-01-31T12:00:06.000+00:00', 0, null, null);
    insert into claim values ('tab', '{C}', 'ann', 1769860800.5);
    """
    with sqlite3.connect(file) as raw:
        raw.executescript(script)
    raw.close()
    with Ledger(file, CLASSES, [A]) as ledger:
        ledger.export(file.with_suffix(".csv"))
        ledger.export(file.with_suffix(".csv"))
        assert len(ledger.events()) == 7
        assert ledger.answers([A, B, C, D]).tolist() == [0, CANNOT_TELL, WAITING, WAITING]
        assert ledger.waiting(Look("bob", [A, B, C, D])) == [D, C]
        assert ledger.labels_of("bob") == {A: 1}
        assert ledger.undo(Look("bob")) == C
        assert ledger.claim(Look("ann", [C, D], "tab")) == C
        ledger.record(Look("ann"), D, LABEL, "cat")
        assert [event.id for event in ledger.events(after=7)] == [8, 9]


def test_a_ledger_of_the_second_version_which_did_not_remember_its_exports_learns_to(file):
    with Ledger(file, CLASSES) as ledger:
        ledger.record(Look("ann"), A, LABEL, "cat")
    with sqlite3.connect(file) as raw:
        raw.executescript("drop table export; pragma user_version = 2;")
    raw.close()
    with Ledger(file, CLASSES) as ledger:
        assert ledger.answers([A]).tolist() == [0]
        ledger.export(file.with_suffix(".csv"))
        ledger.export(file.with_suffix(".csv"))
        assert ledger.answers([A]).tolist() == [0]


def test_a_ledger_about_other_images_is_refused(ledger, file):
    Ledger(file, CLASSES, [C, D]).close()
    ledger.record(Look("ann"), A, SKIP)
    Ledger(file, CLASSES, [C, D]).close()  # no answers yet
    ledger.record(Look("ann"), A, LABEL, "cat")
    ledger.record(Look("ann"), B, LABEL, "cat")
    with pytest.raises(LedgerError, match=r"labels\.db holds 2 answers, none .* these 2 images") as error:
        Ledger(file, CLASSES, [C, D])
    assert one_sentence(error)
    Ledger(file, CLASSES, [D, B]).close()  # folders grow


def test_a_ledger_is_on_disk_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with Ledger(":memory:", CLASSES) as ledger:
            known = ledger.counts()[CLASSES[0]]
            ledger.record(Look("ann"), IMAGES[known], LABEL, CLASSES[0])
    assert known == 1


def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as raw:
        raw.execute("create table event (id integer primary key)")
    raw.close()
    (tmp_path / "short.txt").write_text("hello")
    (tmp_path / "long.txt").write_text("hello, " * 9999)
    Ledger(tmp_path / "later.db", CLASSES).close()
    with sqlite3.connect(tmp_path / "later.db") as raw:
        raw.execute("pragma user_version = 4")
    raw.close()
    for name, sentence in {
        "other.db": "another program's",
        "short.txt": "no ledger",
        "long.txt": "no ledger",
        "later.db": "version 4",
        ".": "is a folder",
        "missing/labels.db": "no folder .*missing; make it",
        "labels.csv": r"labels\.csv is what exported labels are called; give a name like",
    }.items():
        path = tmp_path / name
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(LedgerError, match=sentence) as error:
            Ledger(path, CLASSES)
        assert one_sentence(error)
        assert before is None or path.read_bytes() == before
    (tmp_path / "empty.db").touch()  # as a kernel leaves it that is killed while it makes one
    Ledger(tmp_path / "empty.db", CLASSES).close()
    assert len(list(tmp_path.iterdir())) == 5  # and nothing beside them


# --- Whatever happens ---


RECORD_FOR_EVER = """
file, images = sys.argv[1], sys.argv[2:]
with Ledger(file, ["cat", "dog"]) as ledger:
    image = ledger.claim(Look("ann", images, "process"))
    while image:
        following = ledger.record(Look("ann", images, "process"), image, LABEL, "cat")
        print(image, flush=True)
        image = following
"""


def test_a_kernel_killed_at_any_moment_loses_nothing(file, monkeypatch):
    printed = []
    for k in range(4):
        process = in_a_process(RECORD_FOR_EVER, file, *IMAGES)
        printed += [process.stdout.readline().strip() for _ in range(3)]
        time.sleep(random.Random(k).uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        printed += process.stdout.read().split()
        process.wait()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)  # nobody has to wait for what it had locked
    with Ledger(file, CLASSES) as ledger:
        assert ledger.claim(Look("bob", IMAGES, "process")) is not None
        recorded = [event.image for event in ledger.events()]
        assert len(recorded) == len(set(recorded)) >= len(printed) >= 12
        assert set(printed) <= set(recorded)
        assert ledger._record._db.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert os.listdir(file.parent) == [file.name]  # one file to copy


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_a_cell_interrupted_at_any_moment_leaves_a_ledger_that_works(file):
    script = """
import random, signal
file, images = sys.argv[1], sys.argv[2:12]
signal.signal(signal.SIGALRM, signal.default_int_handler)
rng, interrupts, done, seconds = random.Random(0), 0, 0, 1e-3
with Ledger(file, ["cat", "dog"]) as ledger:
    while interrupts < 200 or done < 20:
        began = time.perf_counter()
        try:
            try:
                # At any moment of an act, however long that takes on this machine just now.
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 2 * seconds))
                if rng.random() < 0.5:
                    ledger.undo(Look("ann", viewer="tab"))
                else:
                    ledger.record(Look("ann", images, "tab"), rng.choice(images), SKIP)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupts += 1
            seconds *= 1.02
        else:
            done += 1
            seconds = 0.9 * seconds + 0.1 * (time.perf_counter() - began)
    with Ledger(file, ["cat", "dog"]) as later:
        assert ledger.waiting(Look("ann", images)) == later.waiting(Look("ann", images))
    thread = threading.Thread(target=lambda: print(len(ledger.events())), daemon=True)
    thread.start()
    thread.join(10)
"""
    process = in_a_process(script, file, *IMAGES)
    assert int(process.communicate(timeout=60)[0]) > 0
    assert process.returncode == 0


def test_two_processes_answer_every_image_once(file):
    """With a pause of two milliseconds, which no person undercuts."""
    script = """
file, who, images = sys.argv[1], sys.argv[2], sys.argv[3:]
with Ledger(file, ["cat", "dog"]) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    while ledger.waiting(Look(who, images)):
        image = ledger.claim(Look(who, images, who))
        while image:
            image = ledger.record(Look(who, images, who), image, LABEL, "dog")
            time.sleep(0.002)
        time.sleep(0.01)
"""
    people = {who: in_a_process(script, file, who, *IMAGES, stdin=subprocess.PIPE) for who in ("ann", "bob")}
    for process in people.values():
        assert process.stdout.readline() == "ready\n"
    for process in people.values():
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in people.values():
        process.communicate()
        assert process.returncode == 0
    with Ledger(file, CLASSES) as ledger:
        assert sorted(event.image for event in ledger.events()) == sorted(IMAGES)
        assert all(ledger.labels_of(who) for who in people)


def test_two_threads_can_use_one_ledger(ledger):
    def work(who):
        while image := ledger.claim(Look(who, IMAGES[:40], who)):
            ledger.record(Look(who, viewer=who), image, LABEL, "dog")
            ledger.answers(IMAGES)

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, ("ann", "bob")))
    assert sorted(event.image for event in ledger.events()) == sorted(IMAGES[:40])


def test_after_a_full_disk_the_same_ledger_goes_on(file):
    pytest.importorskip("resource", reason="needs a limit on the size of files, which Windows has not")
    script = """
import os, resource
file, images = sys.argv[1], sys.argv[2:]
with Ledger(file, ["cat", "dog"]) as ledger:
    ledger.record(Look("ann"), images[0], LABEL, "cat")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(file) + 4096, before[1]))
    for n, image in enumerate(images[1:], 1):
        try:
            ledger.record(Look("ann"), image, LABEL, "cat")
        except LedgerError as problem:
            print(problem)
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ledger.answers(images).tolist() == [0] * n + [WAITING] * (len(images) - n)
    ledger.record(Look("ann"), images[n], LABEL, "dog")
    print(n)
"""
    process = in_a_process(script, file, *IMAGES)
    sentence, n = process.communicate()[0].splitlines()
    assert process.returncode == 0
    assert str(file) in sentence
    assert re.search("full.*free some space and go on, .* safe|full.*see to it and go on, .* safe", sentence)
    with Ledger(file, CLASSES) as ledger:
        assert ledger.answers(IMAGES[: int(n) + 1]).tolist() == [0] * int(n) + [1]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users to be without permission")
def test_in_a_read_only_folder_a_ledger_can_be_read_and_says_why_not_written():
    # A folder of its own: pytest's are closed to the user that root becomes here, whom permissions bind.
    folder = Path(tempfile.mkdtemp())
    file = folder / "labels.db"
    try:
        with Ledger(file, CLASSES) as ledger:
            ledger.record(Look("ann"), A, LABEL, "dog")
        folder.chmod(0o555)
        file.chmod(0o444)
        if user := os.geteuid():
            nobody = user
        else:
            nobody = 65534
            os.seteuid(nobody)
        assert os.geteuid() == nobody
        with Ledger(file, CLASSES, [A, B]) as ledger:
            assert ledger.answers([A, B]).tolist() == [1, WAITING]
            for act in (
                lambda: ledger.record(Look("ann"), B, LABEL, "dog"),
                lambda: ledger.claim(Look("ann", [B], "tab")),
                lambda: ledger.undo(Look("ann")),
                lambda: Ledger(folder / "new.db", CLASSES),
                lambda: Ledger(file, [*CLASSES, "cow"]),
                lambda: ledger.export(folder / "labels.csv"),
            ):
                with pytest.raises(LedgerError, match=f"{re.escape(str(folder))}/.*safe") as error:
                    act()
                assert one_sentence(error)
            with tempfile.TemporaryDirectory() as elsewhere:
                ledger.export(Path(elsewhere) / "labels.csv")
                assert A in (Path(elsewhere) / "labels.csv").read_text()
    finally:
        if hasattr(os, "seteuid"):
            os.seteuid(os.getuid())
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_locked_file_is_waited_for_and_then_named(ledger, file, monkeypatch):
    browser = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    browser.execute("begin exclusive")
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    for act in (lambda: ledger.record(Look("ann"), A, LABEL, "cat"), lambda: Ledger(file, CLASSES)):
        with pytest.raises(LedgerError, match=r"labels\.db .*locked; close that one and go on") as error:
            act()
        assert one_sentence(error)
    monkeypatch.setattr(database, "BUSY_SECONDS", 30)
    release = threading.Timer(0.2, lambda: browser.execute("commit"))
    release.start()
    ledger.record(Look("ann"), A, LABEL, "cat")
    release.join()
    browser.close()
    assert len(ledger.events()) == 1


@pytest.mark.parametrize("size", [100, 5000, -4096])
def test_a_truncated_file_is_named(file, size):
    with Ledger(file, CLASSES) as ledger:
        ledger.record(Look("ann"), A, LABEL, "cat")
    content = file.read_bytes()
    file.write_bytes(content[:size])
    with (
        pytest.raises(LedgerError, match=r"labels\.db .*(damaged|no ledger)") as error,
        Ledger(file, CLASSES) as ledger,
    ):
        ledger.answers([A])
    assert one_sentence(error)


def test_a_file_moved_away_or_put_back_older_does_not_swallow_labels(file, tmp_path):
    with Ledger(file, CLASSES) as ledger:
        ledger.record(Look("ann"), A, LABEL, "cat")
        shutil.copy(file, tmp_path / "copy.db")
        ledger.record(Look("ann"), B, LABEL, "cat")
        file.rename(tmp_path / "moved.db")
        with pytest.raises(LedgerError, match="moved or deleted; put it back") as error:
            ledger.record(Look("ann"), C, LABEL, "cat")
        assert one_sentence(error)
        (tmp_path / "moved.db").rename(file)
        ledger.record(Look("ann"), C, LABEL, "cat")
        shutil.copy(tmp_path / "copy.db", file)  # written over: the same file, without B and C
        ledger.record(Look("bob"), B, LABEL, "dog")
        assert ledger.answers([A, B, C]).tolist() == [0, 1, WAITING]
    with pytest.raises(LedgerError, match="closed; open the ledger anew"):
        ledger.answers([A])


# --- Other files ---

AWKWARD = ['say "cat"', "dog, cow", "line\nbreak\r\n", "cr\rcr", "🐈‍⬛", " ' ", "0"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_exported_can_be_imported(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"labels{suffix}"
    with Ledger(tmp_path / "one.db", AWKWARD) as one, Ledger(tmp_path / "two.db", AWKWARD) as two:
        for k, name in enumerate(AWKWARD):
            one.record(Look('ann "the cat", jr.', round=k), IMAGES[k], LABEL, name, milliseconds=100 * k)
        one.record(Look("ann"), IMAGES[7], UNSURE)
        one.record(Look("ann"), IMAGES[8], SKIP)
        one.record(Look("bob", again=True), IMAGES[1], LABEL, "0")
        one.record(Look("bob"), IMAGES[9], LABEL, "0")
        one.undo(Look("bob"))
        one.export(path, {IMAGES[0]: "zoo/0,0.png"})
        assert two.import_labels(path) == 9
        assert two.import_labels(path) == 0
        assert two.answers(IMAGES).tolist() == one.answers(IMAGES).tolist()
        for who in one.labellers():
            assert two.labels_of(who) == one.labels_of(who)
        kept = ("image", "label", "who", "when", "round", "milliseconds")
        once, twice = (
            [[getattr(event, name) for name in kept] for event in ledger.standing()] for ledger in (one, two)
        )
        assert once == twice
        one.export_history(tmp_path / f"history{suffix}")
        assert {file.name for file in tmp_path.iterdir()} == {
            "one.db", "two.db", path.name, f"history{suffix}",
        }  # fmt: skip
        events = one.events()
    if suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with (tmp_path / "history.csv").open(newline="", encoding="utf-8") as file:
            history = list(csv.DictReader(file))
    else:
        from pyarrow import parquet

        table = parquet.read_table(path)
        assert str(table.schema.field("when").type) == "timestamp[ms, tz=UTC]"
        assert table["label"].null_count == 1
        rows, history = table.to_pylist(), parquet.read_table(tmp_path / "history.parquet").to_pylist()
    assert rows[0]["name"] == "zoo/0,0.png"
    assert rows[7]["label"] in ("", None)
    assert [str(row["id"]) for row in history] == [str(event.id) for event in events]
    assert str(history[-1]["undoes"]) == str(events[-1].undoes)


def test_files_that_cannot_be_written_or_read_are_named(ledger, file, tmp_path, monkeypatch):
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    (tmp_path / "nobody.csv").write_text(f"image,label\n{A},cat\n")
    for act, sentence in (
        (lambda: ledger.export(tmp_path / "labels.xlsx"), "neither .csv nor .parquet"),
        (lambda: ledger.export(tmp_path / "no" / "labels.csv"), "cannot write .*No such file"),
        (lambda: ledger.import_labels(tmp_path / "no.csv"), "cannot read .*No such file"),
        (lambda: ledger.import_labels(tmp_path / "torn.parquet"), "cannot read"),
        (lambda: ledger.import_labels(tmp_path / "nobody.csv"), "line 2: the person is None"),
    ):
        with pytest.raises(LedgerError, match=sentence) as error:
            act()
        assert one_sentence(error)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LedgerError, match="pip install pyarrow"):
        ledger.export(tmp_path / "labels.parquet")
    Ledger(tmp_path / "ledger.db", CLASSES).close()
    (tmp_path / "ledger.db").rename(tmp_path / "ledger.csv")  # an older one may be called so
    with Ledger(tmp_path / "ledger.csv", CLASSES) as named, pytest.raises(LedgerError, match="ledger itself"):
        named.export(tmp_path / "ledger.csv")


def test_a_parquet_file_from_elsewhere_can_be_imported(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "image": pa.array([A, B]).dictionary_encode(),
        "label": pa.array([1, 0]),
        "labeller": ["ann", "ann"],
        "when": pa.array([1_700_000_000_123_456_789] * 2, pa.timestamp("ns")),
        "milliseconds": pa.array([1200.0, None]),
        "of no interest": [None, None],
    }
    parquet.write_table(pa.table(columns), tmp_path / "labels.parquet")
    with Ledger(tmp_path / "labels.db", ["0", "1"]) as ledger:
        assert ledger.import_labels(tmp_path / "labels.parquet") == 2
        assert ledger.answers([A, B]).tolist() == [1, 0]
        assert [(e.when, e.milliseconds) for e in ledger.events()] == [
            ("2023-11-14T22:13:20.123+00:00", 1200), ("2023-11-14T22:13:20.123+00:00", None),
        ]  # fmt: skip


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs another time zone")
def test_times_are_utc_unless_they_say_otherwise(ledger, tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    path.write_text(f"image,label,when\n{A},cat,2026-01-31 12:00\n{B},cat,2026-01-31T12:00:00.5+02:00\n")
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        ledger.import_labels(path, labeller="ann")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [event.when for event in ledger.events()] == [
        "2026-01-31T12:00:00.000+00:00", "2026-01-31T10:00:00.500+00:00",
    ]  # fmt: skip


def test_an_import_keeps_other_people_s_answers(ledger, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(f"\ufefflabeller,label,image\nbob,dog,{A}\nbob,,{B}\n\n", encoding="utf-8")
    ledger.record(Look("ann"), A, LABEL, "cat")
    assert ledger.import_labels(path) == 2
    assert ledger.import_labels(path, labeller="joe") == 2
    assert ledger.labellers() == ["ann", "bob", "joe"]
    assert ledger.answers([A, B]).tolist() == [0, CANNOT_TELL]
    assert ledger.disagreements("ann", "bob") == {A: (0, 1)}
    assert ledger.agreement("ann", "bob").n == 1
    with pytest.raises(LedgerError, match=r"'ann' and 'eve'; .* by 'ann', 'bob', 'joe'"):
        ledger.agreement("ann", "eve")


# --- Agreement ---


def test_kappa_is_cohen_s():
    # The share alike is 0.70; by chance it would be 0.50 × 0.60 + 0.30 × 0.30 + 0.20 × 0.10 = 0.41.
    table = np.array([[44, 5, 1], [7, 20, 3], [9, 5, 6]])
    a, b = (np.repeat(axis, table.ravel()) for axis in np.indices(table.shape).reshape(2, -1))
    found = agreement(b, a)
    assert found.kappa.estimate == pytest.approx((0.70 - 0.41) / (1 - 0.41))
    assert found.share == 0.70
    assert found.kappa.low < agreement(a, b).kappa.estimate == found.kappa.estimate < found.kappa.high
    assert found.words() == "70.00% of 100 images labelled alike, kappa 0.49 (0.33 to 0.63)"
    assert agreement([0, 1], [1, 0]).kappa.estimate == -1


def test_equal_labels_agree_perfectly_and_the_interval_says_how_many_there_were():
    few, many = (agreement(labels, labels).kappa for labels in (np.arange(20) % 10, np.arange(2000) % 10))
    assert few.estimate == many.estimate == few.high == 1
    assert few.low < 0.85
    assert many.low > 0.99
    of_one_class = agreement(np.full(5, 3), np.full(5, 3)).kappa
    assert of_one_class.estimate == 1
    assert np.isnan([of_one_class.low, of_one_class.high]).all()


def test_the_interval_covers_the_true_kappa():
    rng, truth = np.random.default_rng(0), 0.9**2 + 0.1**2 / 9  # both are right nine times in ten
    kappa = (truth - 0.1) / 0.9
    covered = 0
    for _ in range(1000):
        right = rng.integers(10, size=100)
        one, other = (
            np.where(rng.random(100) < 0.9, right, (right + rng.integers(1, 10, size=100)) % 10)
            for _ in range(2)
        )
        found = agreement(one, other).kappa
        covered += found.low <= kappa <= found.high
    assert 0.93 <= covered / 1000 <= 0.98


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ([], [], r"a has shape \(0,\)"),
        ([0, 1], [0.0, 1.0], "b has .*float64"),
        ([0, 1], [0, 1, 1], "a has 2 labels and b 3"),
    ],
)
def test_labels_that_cannot_be_compared_are_named(a, b, sentence):
    with pytest.raises(ValueError, match=sentence):
        agreement(a, b)


def test_a_class_s_former_name_is_no_new_class_and_no_number_is_passed_over(file, ledger):
    ledger.name_class("ann", 0, "kitten")
    with pytest.raises(LedgerError, match="'cat' is or was the name of class 0") as error:
        Ledger(file, ["kitten", "dog", "cat"])
    assert one_sentence(error)
    for number in (7, -1):
        with pytest.raises(LedgerError, match=f"the class is {number}; give a number from 0 to 2"):
            ledger.name_class("ann", number, "zebra")
    assert ledger.classes == ("kitten", "dog")
