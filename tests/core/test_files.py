"""Files appear whole, on the disk too."""

import os
from pathlib import Path

import pytest

from alhelpers import files


def test_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, Path.replace

    def synced(descriptor):
        done.append(("on the disk", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def renamed(self, target):
        done.append(("renamed", Path(target).name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    files.atomic_write(tmp_path / "labels.csv", "ten bytes\n")
    assert done == [("on the disk", 10), ("renamed", "labels.csv")], "a power cut could leave an empty file"
    assert (tmp_path / "labels.csv").read_bytes() == b"ten bytes\n"


def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    kept = tmp_path / "labels.csv"
    kept.write_text("years of work")
    with pytest.raises(RuntimeError), files.draft_of(kept) as draft:  # noqa: PT012
        draft.write_text("half of ")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]
    assert kept.read_text() == "years of work"


def test_what_somebody_has_added_or_changed_since_is_named_and_not_replaced(tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        with files.replacing(out) as fresh:
            (fresh / "figures").mkdir()
            (fresh / "figures" / "1.png").write_text("a picture")
    (out / ".ipynb_checkpoints").mkdir()
    (out / ".ipynb_checkpoints" / "1.ipynb").touch()  # JupyterLab makes one where a person only looks
    (out / "figures" / "1.png").unlink()
    with files.replacing(out) as fresh:
        (fresh / "history.csv").write_text("n_labels")
    for name in ("notes.txt", "figures/1.png", "history.csv"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("years of work")
        with pytest.raises(ValueError, match=f"{name} is not from the earlier run"), files.replacing(out):
            pytest.fail("it may not even begin")
        assert (out / name).read_text() == "years of work"
        (out / name).unlink()
    (out / "notes.txt").touch()
    (out / files.MARK).write_text("of something else")
    with pytest.raises(ValueError, match=r"notes\.txt is not"), files.replacing(out):
        pytest.fail("nothing says what was there")
    (out / files.MARK).write_text("")  # as version 0.1.0 made it
    with files.replacing(out):
        pass
    assert not (out / "notes.txt").exists()


@pytest.mark.parametrize("problem", [PermissionError("held by a virus scanner"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["out", "old"])
def test_a_folder_that_cannot_take_the_other_s_place_leaves_it_there(tmp_path, monkeypatch, problem, name):
    out, rename = tmp_path / name, Path.rename
    with files.replacing(out) as fresh:
        (fresh / "labels.csv").write_text("years of work")
    failures = [problem]

    def fails_once(self, target):
        if target == out and failures:
            raise failures.pop()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_once)
    with pytest.raises(type(problem)), files.replacing(out) as fresh:
        (fresh / "labels.csv").write_text("new")
    assert (out / "labels.csv").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with files.replacing(out) as fresh:
        (fresh / "labels.csv").write_text("new")
    assert (out / "labels.csv").read_text() == "new"
