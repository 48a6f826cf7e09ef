"""Tables from and for other programs: understood or refused in a sentence, never run, nothing overwritten."""

import csv
import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from alhelpers.files import replacing
from alhelpers.labelling.events import LABEL, SKIP, UNSURE, LedgerError, Look
from alhelpers.labelling.exchange import export_predictions
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.tables import quoted, unquoted

IMAGES = [hashlib.sha256(bytes([k])).hexdigest() for k in range(20)]
A, B, C = IMAGES[:3]


@pytest.fixture
def images(tmp_path):
    """Ten numbered classes of six pictures each, and what belongs to them."""
    rng = np.random.default_rng(0)
    for name in range(1, 11):
        folder = tmp_path / "numbered" / str(name)
        folder.mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    return load_images(tmp_path / "numbered")


@pytest.fixture
def ledger(tmp_path, images):
    with Ledger(tmp_path / "labels.db", images.classes) as opened:
        yield opened


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- Whose file it is ---


def test_an_export_replaces_nothing_but_its_own_earlier_one(tmp_path):
    path = tmp_path / "labels.csv"
    with (
        Ledger(tmp_path / "labels.db", ["cat", "dog"]) as ledger,
        Ledger(tmp_path / "b.db", ["cat", "dog"]) as b,
    ):
        ledger.record(Look("ann"), A, LABEL, "cat")
        ledger.record(Look("ann"), B, UNSURE)
        b.record(Look("ann"), A, LABEL, "cat")

        def refused(content):
            before = written(path, content).read_bytes()
            for export in (ledger.export, ledger.export_history):
                with pytest.raises(
                    LedgerError, match=r"labels\.csv is there already .* give another file"
                ) as error:
                    export(path)
                assert "\n" not in str(error.value)
                assert path.read_bytes() == before

        refused("file,label\nmine.png,precious\n")
        refused("")
        refused(b"\xff\xfe no table")
        path.unlink()
        b.export(path)
        refused(path.read_bytes())  # of another ledger
        path.unlink()

        ledger.export(path, {A: "a.png"})
        own = path.read_bytes()
        refused(own + own.splitlines()[1].replace(b"ann", b"eve") + b"\r\n")
        written(path, own)
        ledger.undo(Look("ann"), A)
        ledger.record(Look("bob"), C, LABEL, "dog")
        ledger.export(path)
        assert [row["image"] for row in csv.DictReader(path.read_text().splitlines())] == [B, C]
        ledger.export_history(path)
        ledger.name_class("ann", 1, "hound")
        ledger.export(path)
        assert f"{C},,hound,bob," in path.read_text()
        (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
        with pytest.raises(LedgerError, match="is there already"):
            ledger.export(tmp_path / "link.csv")


def by_hand(header, rows):
    """What people do to a table: one change each."""
    for k, name in enumerate(header):
        for value in ("changed", ""):
            if rows[0][k] != value:
                yield f"{name} {value}", header, [[*rows[0][:k], value, *rows[0][k + 1 :]], *rows[1:]]
    yield "a column more", [*header, "note"], [[*row, "keep"] for row in rows]
    yield "a row less", header, rows[1:]
    yield "another order", header, rows[::-1]


@pytest.mark.parametrize("export", [Ledger.export, Ledger.export_history])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_export_that_was_changed_by_hand_in_whatever_column_stays(tmp_path, export, suffix):
    path = tmp_path / f"labels{suffix}"
    with Ledger(tmp_path / "labels.db", ["cat", "dog"]) as ledger:
        ledger.record(Look("ann", round=3), A, LABEL, "cat", milliseconds=900)
        ledger.record(Look("ann", round=3), B, LABEL, "dog", milliseconds=800)
        export(ledger, path, {A: "a.png", B: "b.png"})
        own = path.read_bytes()
        if suffix == ".csv":
            header, *rows = csv.reader(own.decode().splitlines())
        else:
            parquet = pytest.importorskip("pyarrow.parquet")
            table = parquet.read_table(path)
            header, rows = table.column_names, [[str(v) for v in row.values()] for row in table.to_pylist()]
        changes = list(by_hand(header, rows))
        assert len(changes) > 2 * len(header)
        for what, names, edited in changes:
            if suffix == ".csv":
                with path.open("w", newline="") as file:
                    csv.writer(file).writerows([names, *edited])
            else:
                import pyarrow

                parquet.write_table(
                    pyarrow.table(dict(zip(names, zip(*edited, strict=True), strict=True))), path
                )
            before = path.read_bytes()
            with pytest.raises(LedgerError, match="is there already"):
                export(ledger, path, {A: "a.png", B: "b.png"})
            assert path.read_bytes() == before, what
        written(path, own)
        export(ledger, path)
        assert b"a.png" not in path.read_bytes()


def test_the_model_s_labels_replace_no_file_that_differs(tmp_path, images):
    path, few = tmp_path / "by the model.csv", images.take([0, 7])
    proba = np.array([[0.1, 0.9], [0.75, 0.25]])
    export_predictions(path, few, ["=cat", "dog"], proba)
    export_predictions(path, few, ["=cat", "dog"], proba)
    content = path.read_text()
    assert content.splitlines()[1:] == [
        f"{few.digests[0]},1/0.png,dog,0.9",
        f"{few.digests[1]},10/1.png,'=cat,0.75",
    ]
    with pytest.raises(LedgerError, match="is there already and says something else"):
        export_predictions(path, few, ["=cat", "dog"], proba[::-1])
    written(path, content.replace("dog", "cat"))
    with pytest.raises(LedgerError, match="is there already and says something else"):
        export_predictions(path, few, ["=cat", "dog"], proba)


def test_two_tabs_may_export_to_the_same_file_at_once(tmp_path):
    path = tmp_path / "labels.csv"
    with Ledger(tmp_path / "labels.db", ["cat", "dog"]) as ledger:
        for image in IMAGES:
            ledger.record(Look("ann"), image, LABEL, "cat")

        def export(_):
            for _ in range(30):
                ledger.export(path)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(export, range(3)))
    assert len(path.read_text().splitlines()) == len(IMAGES) + 1
    assert {file.name for file in tmp_path.iterdir()} == {"labels.csv", "labels.db"}


# --- Nothing that runs ---


@given(st.text(alphabet="=+-@\t\r\n'\",;| a＝0"))
def test_what_a_spreadsheet_would_run_is_quoted_and_comes_back_as_it_was(text):
    assert unquoted(quoted(text)) == text
    for divider in "\n\r,;\t|":
        for cell in quoted(text).replace('"', divider).split(divider):
            assert not cell.strip(" ").startswith(("=", "+", "-", "@", "＝"))


def test_formulas_in_names_of_classes_people_and_files_come_back_from_a_table(tmp_path):
    classes = ["=1+1", "+cmd|' /C calc'!A0", "-1", "@SUM(A1)", "'=1", "''=2", "a;=3", "plain", "\tx"]
    with Ledger(tmp_path / "a.db", classes) as one, Ledger(tmp_path / "b.db", classes) as two:
        for k, name in enumerate(classes):
            one.record(Look("=who()"), IMAGES[k], LABEL, name)
        one.export(tmp_path / "labels.csv", dict.fromkeys(IMAGES, "=HYPERLINK(1)"))
        with (tmp_path / "labels.csv").open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell[:1] and cell[0] in "=+-@\t\r\n"]
        assert two.import_labels(tmp_path / "labels.csv") == len(classes)
        assert two.labels_of("=who()") == one.labels_of("=who()")
        one.export(tmp_path / "labels.csv")  # its own, known through the apostrophes


# --- Which image and which class ---


def test_files_with_the_same_bytes_have_a_row_each_and_are_one_image(tmp_path, images):
    again = images.take([0, 1, 0, 2])
    object.__setattr__(again, "names", ("a.png", "b.png", "copy of a.png", "c.png"))
    with Ledger(tmp_path / "a.db", images.classes) as one, Ledger(tmp_path / "b.db", images.classes) as two:
        for digest in again.digests[:2]:
            one.record(Look("ann"), digest, LABEL, "1")
        one.export(tmp_path / "labels.csv", again)
        with (tmp_path / "labels.csv").open(newline="") as file:
            assert [row["name"] for row in csv.DictReader(file)] == ["a.png", "copy of a.png", "b.png"]
        assert two.import_labels(tmp_path / "labels.csv") == 2


@pytest.mark.parametrize("column", ["image", "file_name", "File", "path", "NAME"])
def test_names_of_files_are_understood(ledger, images, tmp_path, column):
    rows = {
        "1/0.png": "3", "./1/1.png": "3", r"1\2.png": "3", "numbered/1/3.png": "3", images.originals[4]: "3",
    }  # fmt: skip
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([(column, "label"), *rows.items()])
    assert ledger.import_labels(path, "ben", images) == 5
    assert ledger.answers(images.digests).tolist() == [2] * 5 + [-2] * 55


def test_a_history_is_no_table_of_answers(ledger, tmp_path):
    """Or what was skipped would come back as "cannot tell", and what was taken back as an answer."""
    ledger.record(Look("ann"), A, LABEL, "1")
    ledger.record(Look("ann"), B, SKIP)
    ledger.undo(Look("ann"), A)
    ledger.export_history(tmp_path / "history.csv")
    with Ledger(tmp_path / "other.db", ledger.classes) as other:
        with pytest.raises(LedgerError, match=r"is a whole history, .* give a file that `export` wrote"):
            other.import_labels(tmp_path / "history.csv")
        assert other.events() == []


def test_the_last_part_of_a_name_is_enough_if_one_file_has_it(ledger, images, tmp_path):
    (tmp_path / "numbered" / "2" / "only.png").write_bytes(b"")
    os.replace(tmp_path / "numbered" / "2" / "5.png", tmp_path / "numbered" / "2" / "only.png")
    images = load_images(tmp_path / "numbered")
    path = written(tmp_path / "labels.csv", "image,label\nonly.png,2\n")
    assert ledger.import_labels(path, "ben", images) == 1
    assert ledger.answers([images.digests[images.names.index("2/only.png")]]).tolist() == [1]
    written(path, "image,label\n0.png,2\n")
    with pytest.raises(LedgerError, match=r"line 2: 10 images are called '0\.png'; give their paths below"):
        ledger.import_labels(path, "ben", images)
    twins = replace(images, names=("only.png",) * len(images))  # as text, of names that differ as bytes
    written(path, "image,label\nonly.png,2\n")
    with pytest.raises(LedgerError, match=r"60 images are called 'only\.png'"):
        ledger.import_labels(path, "ben", twins)


def test_labels_of_images_that_are_not_at_hand_are_counted(ledger, images, tmp_path, capsys):
    path = written(tmp_path / "labels.csv", f"image,label\n{A},2\n1/0.png,2\n")
    assert ledger.import_labels(path, "ben", images) == 2
    assert capsys.readouterr().out == f"{path}: 1 new labels are about images that are not among these 60\n"
    written(path, f"image,label\n{A},2\n")
    assert ledger.import_labels(path, "cleo") == 1
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(ledger, images, tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(LedgerError, match="it is a folder, a pipe or a device; nothing was imported"):
        ledger.import_labels(tmp_path / "labels.csv", "ben", images)
    with pytest.raises(LedgerError, match="is there already and is no earlier export"):
        ledger.export(tmp_path / "labels.csv", images)
    with pytest.raises(LedgerError, match="is a folder or a device; give a file"):
        Ledger(tmp_path / "labels.csv", ledger.classes)


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ("image,label\n{A},2\n", ".csv"),
        ("image,label\n{UPPER},2\n", ".csv"),
        ("image;label\n{A};2\n", ".csv"),
        ("image\tlabel\n{A}\t2\n", ".csv"),
        ("image\tlabel\n{A}\t2\n", ".tsv"),
        ("image,label\r{A},2\r", ".txt"),
        ("sep=;\r\nimage;label\r\n{A};2\r\n", ".csv"),
        ("\ufeffImage; LABEL \n{A}; 2 \n", ".csv"),
        ("image;label;;\n{A};2;;\n;;;\n", ".csv"),
        ("image,label\n{A},2.0\n", ".csv"),
        ("image,label\n{A},02\n", ".csv"),
        ("image,label,round,milliseconds\n{A},2,1.0,1200.0\n", ".csv"),  # by pandas
        ("image,name,label\n{A},Größe.png,2\n".encode("cp1252"), ".csv"),
        ("image\tname\tlabel\r\n{A}\tGröße.png\t2\r\n".encode("utf-16"), ".csv"),
    ],
)
def test_tables_as_other_programs_write_them_are_understood(ledger, tmp_path, content, suffix):
    for old, new in {"{A}": A, "{UPPER}": A.upper()}.items():
        coded = [(old.encode(code), new.encode(code)) for code in ("utf-8", "utf-16-le")]
        for one, other in coded if isinstance(content, bytes) else [(old, new)]:
            content = content.replace(one, other)
    assert ledger.import_labels(written(tmp_path / f"labels{suffix}", content), "ben") == 1
    assert ledger.answers([A, A.upper()]).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "image,label\nno.png,2\n",
            r"'no.png'; give its SHA-256 digest, or the name of one of 60 files, such as '1/0",
        ),
        (f"image,label,label\n{A},2,3\n", "has the column 'label' twice"),
        (b"PK\x03\x04 a workbook", "an Excel workbook .* save it as “CSV UTF-8”"),
        (b"PAR1 another", "a Parquet file; give it a name that ends in .parquet"),
        (b"i\0m\0a\0g\0e\0", "no text"),
        (b"image,label\n\x81\x8d,2\n", "neither UTF-8 nor Windows' code page 1252"),
        (f"image,label,labeller\n{A},2,Ann\n{B},2,ann\n", "line 3: the person is 'ann', .* answers by 'Ann'"),
        (f"image,label\n{A},2\n{B},11\n", r"line 3: the label is '11'; give one of '1', '2'"),
        (f"image,label\n{A},2\n{B[:-1]},2\n", "line 3: the image is"),
        (f"image,label\n{A},2\n{B},3\n{A.upper()},3\n", "line 4: line 2 has this image .* says '2', not '3'"),
        (f"image,label,when\n{A},2,yesterday\n", "line 2: the time is 'yesterday'"),
        (f"image,label,milliseconds\n{A},2,fast\n", "line 2: milliseconds is 'fast'"),
        (f"image,label\n{A},2\n{B}\n", "line 3 has 1 cells"),
        (f"image,class\n{A},2\n", "no column 'label' among .*; rename the right one to 'label'$"),
        (f'image,label,name\n{A},2,"two\nlines"\n\n{B},11,\n', "line 5: the label is '11'"),
        (f"sep=;\nimage;label\n{A};2\n{B};11\n", "line 4: the label is '11'"),
        (f'image,label\n{A},2\n{B},"3\n', "cannot read"),
        ("", "no column 'image'"),
        (b"\xff\xfe\x00", "cannot read"),
        (f"image,label\n{A},2\n{C},3\n", "line 3: 'ben' says '3' here, '2' in the ledger"),
    ],
)
def test_of_a_file_with_a_mistake_nothing_is_imported(ledger, images, tmp_path, content, sentence):
    ledger.record(Look("ben"), C, LABEL, "2")
    path = written(tmp_path / "labels.csv", content)
    labeller = None if b"labeller" in path.read_bytes() else "ben"
    with pytest.raises(LedgerError, match=sentence) as error:
        ledger.import_labels(path, labeller, images)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert len(ledger.events()) == 1
    ledger.record(Look("ben"), A, LABEL, "3")


@pytest.mark.parametrize(
    ("classes", "label", "meant"),
    [
        (["cat", "dog"], "Cat ", "cat"),
        (["true", "false"], "TRUE", "true"),
        (["007", "008"], "7", "007"),
        (["café", "tea"], "cafe\u0301", "café"),
        (["a", "A"], "A", "A"),
        (["1", "01"], "1.0", None),
        (["a", "A", "b"], " a", None),
    ],
)
def test_a_label_that_looks_like_one_class_is_that_class(tmp_path, classes, label, meant):
    path = written(tmp_path / "labels.csv", f"image,label\n{A},{label}\n")
    with Ledger(tmp_path / "labels.db", classes) as ledger:
        if meant is None:
            with pytest.raises(LedgerError, match="the label is"):
                ledger.import_labels(path, "ben")
        else:
            ledger.import_labels(path, "ben")
            assert ledger.counts()[meant] == 1


# --- Folders for other programs ---


def test_labelled_images_become_class_folders_that_load_again(ledger, images, tmp_path):
    for i in range(0, 20, 2):
        ledger.record(Look("ann"), images.digests[i], LABEL, "2" if i < 10 else "10")
    ledger.record(Look("ann"), images.digests[1], UNSURE)
    ledger.record(Look("ann"), images.digests[3], SKIP)
    os.remove(images.originals[0])
    said = ledger.export_class_folders(tmp_path / "out", images)
    with pytest.raises(ValueError, match="is not the result of an earlier run"), replacing(tmp_path / "out"):
        pytest.fail("a run may not take its place")
    assert said.endswith(
        "9 of 60 images in "
        + str(tmp_path / "out")
        + ", without 1 that nobody could tell, without 49 that have "
        "no answer, without 1 whose files have gone or changed since"
    )
    again = load_images(tmp_path / "out")
    assert again.classes == ("2", "10")
    assert dict(zip(again.digests, again.known.tolist(), strict=True)) == {
        images.digests[i]: int(i >= 10) for i in range(2, 20, 2)
    }
    for place in ("out", "labels.db"):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(
            LedgerError, match="is there already and not empty; give a new or an empty folder"
        ):
            ledger.export_class_folders(tmp_path / place, images)
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(LedgerError, match="none of these 3 images has a label"):
        ledger.export_class_folders(tmp_path / "none", images.take([50, 51, 52]))
    assert not (tmp_path / "none").exists()


def test_of_an_export_that_the_disk_has_no_room_for_nothing_remains(ledger, images, tmp_path, monkeypatch):
    for i in range(5):
        ledger.record(Look("ann"), images.digests[i], LABEL, "2")
    write, written_files = Path.write_bytes, []

    def full(path, content):
        if len(written_files) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written_files.append(path)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    for export in (ledger.export_class_folders, ledger.export_imagefolder):
        written_files.clear()
        with pytest.raises(
            LedgerError, match=r"cannot write .*out: No space left .* the ledger is safe"
        ) as error:
            export(tmp_path / "out", images)
        assert "\n" not in str(error.value)
        assert {path.name for path in tmp_path.iterdir()} == {"labels.db", "numbered"}


def test_an_imagefolder_has_a_row_for_each_file_with_its_label(ledger, images, tmp_path):
    for i in (3, 40):
        ledger.record(Look("ann"), images.digests[i], LABEL, images.classes[i % 10])
    ledger.export_imagefolder(tmp_path / "out", images)
    rows = list(csv.DictReader((tmp_path / "out" / "metadata.csv").read_text().splitlines()))
    assert [(row["label"], row["name"], row["sha256"]) for row in rows] == [
        (images.classes[i % 10], images.names[i], images.digests[i]) for i in (3, 40)
    ]
    for row in rows:
        content = (tmp_path / "out" / row["file_name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
    with Ledger(tmp_path / "again.db", images.classes) as again:
        assert again.import_labels(tmp_path / "out" / "metadata.csv", "ann") == 2
        assert again.labels_of("ann") == ledger.labels_of("ann")


def test_an_export_says_where_people_differ_and_whose_label_it_takes(ledger, images, tmp_path):
    for who, label in (("ann", "2"), ("ben", "10")):
        for image in images.digests[:3]:
            ledger.record(Look(who, again=True), image, LABEL, label)
    ledger.record(Look("cyd", again=True), images.digests[1], UNSURE)
    ledger.correct(Look("ann"), images.digests[2], "10")
    said = ledger.export_class_folders(tmp_path / "out", images)
    assert said.endswith("; 2 on which people differ with the label given first")
    assert [len(list((tmp_path / "out" / name).iterdir())) for name in ("2", "10")] == [2, 1]


def test_names_that_no_system_takes_are_made_harmless_and_stay_apart(tmp_path):
    x = np.arange(5 * 16, dtype=np.uint8).reshape(5, 4, 4)
    images = load_images(x, classes=["a/b", "a:b", "..", "=x", "CON"], labels=range(5))
    object.__setattr__(images, "names", ("../../up.png", "=cmd.png", "nul.png", "a" * 300 + ".png", "b?.png"))
    with Ledger(tmp_path / "labels.db", images.classes) as ledger:
        for digest, name in zip(images.digests, images.classes, strict=True):
            ledger.record(Look("ann"), digest, LABEL, name)
        said = ledger.export_class_folders(tmp_path / "out", images)
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {"a_b", "a_b 2", "_", "_=x", "_CON"}
    assert "'a:b' is in 'a_b 2'" in said
    files = sorted(path.name for path in (tmp_path / "out").rglob("*.png"))
    assert len(files) == 5
    assert all(len(name) < 200 and name[0] not in "=." for name in files)
    assert {path.name for path in tmp_path.iterdir()} == {"labels.db", "out"}


def test_names_in_a_guessed_code_page_are_shown(ledger, tmp_path, capsys):
    text = f"image,label,labeller\n{A},2,Łukasz\n"
    assert ledger.import_labels(written(tmp_path / "a.csv", text.encode("cp1250"))) == 1
    assert "not UTF-8; as Windows' Western text it names the labellers £ukasz. If" in capsys.readouterr().out
    assert ledger.import_labels(written(tmp_path / "b.csv", text.encode())) == 1
    assert not capsys.readouterr().out
