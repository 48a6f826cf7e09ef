"""A ledger believes no file that another program has altered, and its file is its owner's."""

import hashlib
import os
import sqlite3
import stat
import sys

import pytest

from alhelpers.labelling.events import GUESS, LABEL, SKIP, UNSURE, LedgerError, Look
from alhelpers.labelling.ledger import Ledger

IMAGES = [hashlib.sha256(bytes([k])).hexdigest() for k in range(200)]
A, B, C = IMAGES[:3]
CLASSES = ["cat", "dog"]
OWN = "create trigger sqlite_own after insert on event begin update claim set who = ''eve''; end"
STAYS = "create trigger event_stays before delete on event begin select raise(abort, 'events never go'); end"


@pytest.fixture
def file(tmp_path):
    """A ledger of four events."""
    path = tmp_path / "labels.db"
    with Ledger(path, CLASSES) as ledger:
        ledger.record(Look("ann"), A, LABEL, "cat", milliseconds=900)
        ledger.record(Look("ann"), B, SKIP)
        ledger.record(Look("bob"), B, UNSURE)
        ledger.undo(Look("bob"))
        ledger.claim(Look("ann", [C], "tab"))
    return path


def altered(file, *statements):
    with sqlite3.connect(file) as raw:
        for statement in statements:
            raw.execute(statement)
    raw.close()


def use(file):
    """Everything that reads what the file holds."""
    with Ledger(file, CLASSES, [A]) as ledger:
        ledger.claim(Look("bob", [A, B, C], "other tab"))
        ledger.counts(), ledger.minutes(), ledger.seconds_per_label("ann"), ledger.labels_of("ann")
        ledger.export_history(file.parent / "history.csv")


@pytest.mark.parametrize(
    "statements",
    [
        ["drop trigger event_kept"],
        ["drop trigger event_stays"],
        ["drop table claim"],
        ["alter table event add column note text"],
        ["create trigger more after insert on event begin update claim set who = 'eve'; end"],
        ["create view more as select * from event"],
        ["create table more (x)"],
        ["create index more on event (who)"],
        ["drop trigger event_stays", STAYS.replace("abort", "ignore").replace(", 'events never go'", "")],
        ["drop trigger event_stays", "delete from event where id = 2", STAYS],
        ["pragma writable_schema = 1",
         "update sqlite_master set sql = replace(sql, '''skip'', ', '''skip'', ''note'', ')"],
        ["pragma writable_schema = 1",
         f"insert into sqlite_master values ('trigger', 'sqlite_own', 'event', 0, '{OWN}')"],
        ["insert into class (number, name) values (2, x'ff')"],
    ],
)  # fmt: skip
def test_altered_tables_triggers_and_missing_events_are_refused(file, statements):
    altered(file, *statements)
    before = file.read_bytes()
    with pytest.raises(LedgerError, match=r"labels\.db has .* altered it; put a copy back, or") as error:
        Ledger(file, CLASSES)
    assert "\n" not in str(error.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"), [(b"event_kept", b"event_k\xffpt"), (b"not null unique", b"not null uniq\xee\xff")]
)
def test_a_file_whose_very_damage_is_no_text_is_named(file, old, new):
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
    with pytest.raises(LedgerError, match=r"labels\.db .*(damaged|altered)") as error:
        use(file)
    assert "\n" not in str(error.value)


def event(**values):
    """A statement that adds an event which is sound but for these values."""
    kept = {
        "image": f"'{B}'", "action": "'label'", "label": "'cat'", "who": "'bob'",
        "at": "'2026-01-31T12:00:00.000+00:00'", "round": "1", "milliseconds": "5", "undoes": "null",
    } | values  # fmt: skip
    return f"insert into event values (null, {', '.join(kept.values())})"


@pytest.mark.parametrize(
    "values",
    [
        {"label": "'cow'"},
        {"label": "x'63'"},
        {"image": "'photo.png'"},
        {"image": "7"},
        {"who": "''"},
        {"who": "x'ff'"},
        {"at": "'yesterday'"},
        {"at": "'2026-99-99T99:99:99.000+00:00'"},
        {"round": "-1"},
        {"milliseconds": "-99999999"},
        {"round": "'first'"},
        {"milliseconds": "'soon'"},
        {"action": "'undo'", "label": "null", "undoes": "1"},
        {"action": "'undo'", "label": "null", "undoes": "99", "who": "'ann'"},
    ],
)
def test_an_event_that_no_ledger_records_is_named(file, values):
    altered(file, event())
    use(file)
    altered(file, event(**values))
    with pytest.raises(LedgerError, match=r"event 6\b.* altered it; put a copy back") as error:
        use(file)
    assert "\n" not in str(error.value)


def test_what_others_do_to_an_open_ledger_is_noticed(file):
    with Ledger(file, CLASSES) as ledger:
        altered(file, "analyze")
        ledger.record(Look("ann"), C, LABEL, "cat")  # SQLite's own statistics harm nobody
        altered(file, "update claim set until = 'soon'")
        ledger.claim(Look("bob", [B], "other tab"))
        altered(file, "drop trigger event_kept")
        with pytest.raises(LedgerError, match="'event_kept'"):
            ledger.answers([A])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_new_ledger_is_its_owner_s_and_an_opened_one_stays_as_it_is(tmp_path):
    before = os.umask(0)
    try:
        Ledger(tmp_path / "labels.db", CLASSES).close()
        assert stat.S_IMODE((tmp_path / "labels.db").stat().st_mode) == 0o600
        (tmp_path / "labels.db").chmod(0o660)
        Ledger(tmp_path / "labels.db", CLASSES).close()
        assert stat.S_IMODE((tmp_path / "labels.db").stat().st_mode) == 0o660
        (tmp_path / "link.db").symlink_to("to come.db")
        Ledger(tmp_path / "link.db", CLASSES).close()
        assert stat.S_IMODE((tmp_path / "to come.db").stat().st_mode) == 0o600
    finally:
        os.umask(before)


# --- Names ---


def test_names_of_people_that_look_alike_are_refused_and_blanks_do_not_count(file):
    with Ledger(file, CLASSES) as ledger:
        ledger.record(Look(" ann "), B, LABEL, "dog")
        assert ledger.labellers() == ["ann"]
        for act in (
            lambda: ledger.record(Look("Ann"), C, LABEL, "dog"),
            lambda: ledger.note_guess(Look("ANN"), C),
            lambda: ledger.check_person("a\u200bnn"),
        ):
            with pytest.raises(LedgerError, match="answers by 'ann'; give that spelling, or another name"):
                act()
        ledger.record(Look("anna"), C, LABEL, "dog")
        assert ledger.labellers() == ["ann", "anna"]
        assert GUESS not in [each.action for each in ledger.events()]
