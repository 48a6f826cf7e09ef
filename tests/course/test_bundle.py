"""The offline bundle: complete, without a trace of where it was made, and installed from without an index."""

import subprocess
import sys

import pytest
from helpers import write_wheel

from alhelpers import cli
from alhelpers.course import bundle
from alhelpers.course.advice import REPOSITORY


def git(folder, *arguments):
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def commit(folder):
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-aqm", "A message")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A clone with a lock of two wheels, one for every machine and one for Windows only, and those wheels."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path / "the teacher's clone"
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    lines = (
        write_wheel(wheels, "everywhere"),
        write_wheel(
            wheels, "windows", "cp312-cp312-win_amd64",
            marker=" ; sys_platform == 'win32' and python_full_version == '3.12.*'",
        ),
    )  # fmt: skip
    (folder / "requirements.lock").write_text("# a comment\n" + "".join(lines))
    (folder / ".gitignore").write_text("/wheels/\n/START-HERE.txt\n/.made-by-alhelpers\n/try.html\n")
    script = folder / "site" / "try" / "build.py"
    script.parent.mkdir(parents=True)
    script.write_text("import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('play')")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    commit(folder)
    return folder


@pytest.fixture
def earlier(repository, tmp_path):
    """A bundle that is there already."""
    folder = tmp_path / "build" / "bundle"
    git(tmp_path, "clone", "-q", str(repository), str(folder))
    (folder / "wheels").mkdir()
    write_wheel(folder / "wheels", "everywhere")
    (folder / bundle.START_HERE).write_text("the last one")
    (folder / bundle.MARK).touch()
    return folder


def names(folder):
    return sorted(file.name.split("-")[0] for file in folder.glob("*.whl"))


def test_a_bundle_has_what_its_machines_need_and_nothing_of_where_it_was_made(repository, tmp_path, capsys):
    (repository / "not-committed.txt").write_text("grades")
    out = tmp_path / "build" / "bundle"
    bundle.make_bundle(out, ["3.12/win_amd64"], repository)
    assert "what is not committed stays out of the bundle" in capsys.readouterr().out
    assert names(out / "wheels") == ["everywhere", "windows"]
    assert "3.12/win_amd64" in (out / bundle.START_HERE).read_text(encoding="utf-8")
    assert "on Windows write py -3.12 for python3" in (out / bundle.START_HERE).read_text(encoding="utf-8")
    assert not (out / "not-committed.txt").exists()
    (out / "requirements.lock").unlink()
    git(out, "checkout", "--", "requirements.lock")  # a damaged file can be restored on a learner's machine
    assert (out / "requirements.lock").exists()
    everything = b"".join(file.read_bytes() for file in (out / ".git").rglob("*") if file.is_file())
    assert b"teacher" not in everything
    assert [path.name for path in out.parent.iterdir()] == ["bundle"], "nothing half-written beside it"

    installed = tmp_path / "installed"
    command = (
        "-m pip install -q --no-index --find-links wheels --require-hashes -r requirements.lock --target"
    )
    subprocess.run([sys.executable, *command.split(), str(installed)], cwd=out, check=True)
    assert (installed / "everywhere.py").exists()


def test_the_page_that_needs_no_installation_is_its_first_thing(repository, tmp_path, capfd):
    out = tmp_path / "build" / "bundle"
    for _ in range(2):  # the second time it takes the place of the first
        bundle.make_bundle(out, [], repository)
    assert (out / "try.html").read_text() == "play"
    said = (out / bundle.START_HERE).read_text(encoding="utf-8")
    assert said.index("open try.html in a browser") < said.index("wheels/")
    (repository / "site" / "try" / "build.py").write_text("raise SystemExit('no MNIST')")
    commit(repository)
    with pytest.raises(OSError, match=r"try\.html cannot be made"):
        bundle.make_bundle(out, [], repository)
    assert "no MNIST" in capfd.readouterr().err
    assert (out / "try.html").read_text() == "play"


def test_a_bundle_that_cannot_be_made_leaves_the_last_one_as_it_was(repository, earlier, capfd):
    with (repository / "requirements.lock").open("a") as lock:
        lock.write("nowhere==1.0 --hash=sha256:00\n")
    commit(repository)
    with pytest.raises(OSError, match=r"pip cannot gather the wheels for 3\..*; it says why above"):
        bundle.make_bundle(earlier, [], repository)
    assert "No matching distribution found for nowhere==1.0" in capfd.readouterr().err
    assert (earlier / bundle.START_HERE).read_text() == "the last one"
    assert [path.name for path in earlier.parent.iterdir()] == ["bundle"]


def test_a_damaged_wheel_is_gathered_anew(repository, earlier, tmp_path, monkeypatch):
    (file,) = (earlier / "wheels").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    (repository / "wheels").rename(tmp_path / "index")
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "index").as_uri())  # stands for a package index
    bundle.make_bundle(earlier, [], repository)
    assert (earlier / "wheels" / file.name).read_bytes() == whole


def test_a_bundle_that_somebody_has_worked_in_is_left_alone(repository, earlier):
    (earlier / ".venv").mkdir()
    (earlier / ".venv" / "pyvenv.cfg").touch()
    (earlier / "my-notes.txt").write_text("years of work")
    with pytest.raises(
        ValueError, match=r"bundle is not an earlier bundle, or has been worked in; give a new"
    ):
        bundle.make_bundle(earlier, [], repository)
    assert (earlier / "my-notes.txt").read_text() == "years of work"


def test_wrong_calls_end_in_one_sentence_and_write_nothing(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert cli.main(["bundle", "--out", str(tmp_path)]) == 2
    assert "is not an earlier bundle, or has been worked in; give a new" in capsys.readouterr().err
    assert cli.main(["bundle", "3.12-windows", "--out", str(tmp_path / "bundle")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("alhelpers: '3.12-windows' is no machine to gather packages for; write ")
    assert len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("target", "locked"),
    [
        ("3.11/win_amd64", "tensorflow-cpu colorama"),
        ("3.13/macosx_14_0_arm64", "tensorflow"),
        ("3.12/manylinux_2_28_aarch64", "tensorflow"),
        ("3.12/manylinux_2_28_x86_64", "tensorflow-cpu"),
    ],
)
def test_each_machine_gets_its_own_lines_of_the_lock(target, locked):
    lines = bundle.lines_for(bundle.parse_target(target), REPOSITORY / "requirements.lock")
    some = {"tensorflow-cpu", "tensorflow", "colorama"} & {line.partition("==")[0] for line in lines}
    assert some == set(locked.split())
    assert not any(";" in line for line in lines), "pip would ask the machine that gathers"
