"""tutorial.py makes the environment whole and touches nothing but its own; the Makefile calls it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import write_wheel

import tutorial
from alhelpers import models
from alhelpers.arithmetic import SAME_KERNELS

ROOT = Path(__file__).resolve().parents[2]

# Installs the package in place without asking for anything, as flit does for the real one.
BACKEND = """
import pathlib, zipfile

def build_editable(folder, *_):
    name = "alhelpers-0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        for file, text in {
            "alhelpers.pth": str(pathlib.Path.cwd()),
            "alhelpers-0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: alhelpers\\nVersion: 0\\n",
            "alhelpers-0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any",
            "alhelpers-0.dist-info/RECORD": "",
        }.items():
            wheel.writestr(file, text)
    return name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
PACKAGE = "import os, sys\nprint('ran', *sys.argv[1:], 'by', os.environ.get('ALHELPERS_ENGINE'))\n"


@pytest.fixture
def repository(tmp_path):
    """A repository of three packages, one for each part, whose wheels lie beside it, as in a bundle."""
    folder = tmp_path / "a clone"
    (folder / "wheels").mkdir(parents=True)
    shutil.copy(ROOT / "tutorial.py", folder)
    reading, tensorflow, developing = (
        write_wheel(folder / "wheels", name) for name in ("read", "flow", "ruff")
    )
    (folder / "requirements.lock").write_text(f"{reading}{tutorial.HEADING}\n{tensorflow}")
    (folder / "requirements-dev.lock").write_text(f"-r requirements.lock\n{developing}")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "alhelpers").mkdir()
    (folder / "alhelpers" / "__main__.py").write_text(PACKAGE)
    shutil.copy(ROOT / "alhelpers" / "arithmetic.py", folder / "alhelpers")
    return folder


def call(repository, *arguments, uv=False, code=0, folder=".", **variables):
    """What a command says, given in a folder of the repository; without uv unless that is asked for."""
    env = {k: v for k, v in os.environ.items() if k not in ("ALHELPERS_ENGINE", "PYTHONPATH")}
    env |= variables if uv else {"PATH": os.defpath, "PIP_NO_INDEX": "1", **variables}
    here = repository / folder
    command = [sys.executable, os.path.relpath(repository / "tutorial.py", here), *arguments]
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, encoding="utf-8", errors="replace")
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def installed(repository):
    """Modules of the packages in the environment."""
    found = {path.stem for path in (repository / ".venv").rglob("site-packages/*.py")}
    return found & {"read", "flow", "ruff"}


def test_a_command_installs_what_it_needs_once_and_hands_its_arguments_on(repository):
    ran = "ran run --out build/run by {}\n"
    said = call(repository, "run", "--engine", "numpy", "a b", "--jobs", "1")
    assert installed(repository) == {"read"}
    source = f"{repository / 'wheels'} and no network, with pip"
    assert f"Installing packages (1 for notebooks and JupyterLab) from {source}" in said
    assert said.endswith("ran run --out build/run a b --jobs 1 by numpy\n")
    assert call(repository, "run", ALHELPERS_ENGINE="numpy") == ran.format("numpy"), "nothing is missing"
    there = repository / "notebooks" / "alhelpers"
    there.mkdir(parents=True)
    (there / "__main__.py").write_text("print('another')")
    said = call(repository, "run", "--engine", "numpy", "mine.ipynb", folder="notebooks")
    assert said == f"ran run --out {repository / 'build/run'} mine.ipynb by numpy\n"
    (repository / ".venv" / "mine").touch()  # gone when that is made anew
    assert "Installing packages (1 for TensorFlow)" in call(repository, "run")
    assert installed(repository) == {"read", "flow"}
    assert "Installing packages (1 for tests, web pages and sweeps)" in call(repository, "sweep", "x")
    assert installed(repository) == {"read", "flow", "ruff"}
    assert call(repository, "doctor", "--engine", "numpy") == "ran doctor by numpy\n"
    assert (repository / ".venv" / "mine").exists()
    (repository / "pyproject.toml").write_text(PYPROJECT + "# an entry point more")
    assert call(repository, "run") == "Installing alhelpers from this folder …\n" + ran.format(None)
    (repository / "alhelpers" / "__main__.py").write_text("import sys; sys.exit(7)")
    call(repository, "run", code=7)


def test_what_is_run_multiplies_alike_everywhere_unless_told_otherwise(repository, monkeypatch):
    (repository / "alhelpers" / "__main__.py").write_text("import os; print(os.environ['OPENBLAS_CORETYPE'])")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if SAME_KERNELS:
        said = call(repository, "run", "--engine", "numpy")
        assert said.endswith(SAME_KERNELS["OPENBLAS_CORETYPE"] + "\n")
    said = call(repository, "run", "--engine", "numpy", OPENBLAS_CORETYPE="Zen")
    assert said.endswith("Zen\n")
    (repository / "jupyterlab.py").write_text("import os; print(os.environ['OPENBLAS_NUM_THREADS'])")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert call(repository, "lab", "--engine", "numpy") == "1\n"
    assert call(repository, "lab", "--engine", "numpy", OPENBLAS_NUM_THREADS="4") == "4\n"


@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not here")
def test_uv_installs_the_same_with_its_bytecode(repository):
    said = call(repository, "run", uv=True)
    if "with pip" in said:
        pytest.skip("uv does not run here")
    assert installed(repository) == {"read", "flow"}
    assert list((repository / ".venv").rglob("site-packages/__pycache__/read.*.pyc"))


def test_a_damaged_package_ends_the_installation_in_one_sentence(repository):
    with (repository / "wheels" / "read-1-py3-none-any.whl").open("ab") as damaged:
        damaged.write(b"x")
    (repository / "wheels" / "FOR.txt").write_text("3.12/win_amd64\n")
    said = call(repository, "run", "--engine", "numpy", code=1)
    assert "DO NOT MATCH THE HASHES" in said
    assert said.splitlines()[-1] == (
        "tutorial.py: the installation failed, as said above; "
        f"{repository / 'wheels'} has what the notebooks need on 3.12/win_amd64; "
        "the same command starts afresh"
    )
    assert not (repository / ".venv" / tutorial.STAMP).exists()


@pytest.fixture
def pretended(repository, monkeypatch):
    """Set aside the programs that install: what they are asked for; TensorFlow fails if it is broken."""
    asked = []

    def pretend(command, **_):
        if "venv" in command:
            asked.append("new")
            (repository / ".venv" / "bin").mkdir()
            (repository / ".venv" / "bin" / "python").touch()
        elif "-r" in command:
            asked.append(re.findall("^[a-z]+", Path(command[-1]).read_text(), re.M))
        return subprocess.CompletedProcess(command, int(asked[-1] == ["flow"] and broken.exists()))

    broken = repository / "broken"
    monkeypatch.setattr(tutorial, "HERE", repository)
    for name in ("LOCK", "DEV_LOCK"):
        monkeypatch.setattr(tutorial, name, repository / getattr(tutorial, name).name)
    monkeypatch.setattr(tutorial, "find_python", lambda _: ("3.12.1", "python3.12"))
    monkeypatch.setattr(tutorial.shutil, "which", lambda _: None)
    monkeypatch.setattr(tutorial.subprocess, "run", pretend)
    return asked


def test_other_versions_and_an_installation_cut_short_begin_anew_and_nothing_else_does(repository, pretended):
    venv = tutorial.Environment(repository / ".venv")

    def provide(*parts):
        pretended.clear()
        venv.provide([*parts], "", "")
        return pretended

    assert provide(tutorial.READING) == ["new", ["read"]]
    assert provide(tutorial.READING) == []
    assert provide(tutorial.READING, tutorial.TENSORFLOW) == [["flow"]]
    assert provide(tutorial.READING, tutorial.DEVELOPING) == [["ruff"]]
    assert provide(tutorial.TENSORFLOW, tutorial.DEVELOPING) == []
    lock = repository / "requirements.lock"
    lock.write_text(lock.read_text().replace("read==1", "read==1 "))
    (repository / ".venv" / "mine").touch()  # gone when that is made anew
    assert provide(tutorial.READING) == ["new", ["read"]], "another version"
    assert not (repository / ".venv" / "mine").exists()
    (repository / "broken").touch()
    with pytest.raises(tutorial.Problem, match="the installation failed"):
        provide(tutorial.READING, tutorial.TENSORFLOW)
    assert venv.installed() == {}
    assert provide(tutorial.READING) == ["new", ["read"]], "cut short"


def test_a_second_way_to_install_begins_with_nothing(repository, pretended, monkeypatch):
    venv = tutorial.Environment(repository / ".venv")
    venv.provide([tutorial.READING], "", "")
    monkeypatch.setattr(venv, "_installers", lambda _: [["uv", "pip"], ["python", "-m", "pip"]])
    (repository / "broken").touch()
    pretended.clear()
    venv.provide([tutorial.READING, tutorial.TENSORFLOW], "", "")
    assert pretended == [["flow"], "new", ["read", "flow"]]


def test_an_environment_that_was_moved_or_has_lost_its_python_counts_as_none(tmp_path, monkeypatch):
    monkeypatch.setattr(tutorial, "HERE", tmp_path)
    venv = tutorial.Environment(tmp_path / ".venv")
    venv.python.parent.mkdir(parents=True)
    base = tmp_path / "python3.12"
    base.touch()
    venv.python.symlink_to(base)
    assert venv.installed() == {}
    venv._write_stamp({"alhelpers": "a digest"})
    assert venv.installed() == {"alhelpers": "a digest"}
    base.unlink()
    assert venv.installed() == {}
    base.touch()
    monkeypatch.setattr(tutorial, "HERE", tmp_path / "moved")
    assert venv.installed() == {}


@pytest.mark.parametrize("name", ["work", ".venv", ".venv2"])
def test_what_is_not_ours_is_neither_replaced_nor_removed(repository, name):
    made = repository / name
    made.mkdir()
    (made / "thesis.txt").write_text("years of work")
    said = call(repository, "run", "--venv", name, code=1)
    assert said == (
        f"tutorial.py: {name} was not made by this program and stays as it is; {tutorial.ANOTHER}, or remove "
        "it yourself\n"
    )
    said = call(repository, "clean", "--venv", name, code=1)
    assert said == f"tutorial.py: {made} was not made by this program and stays; remove it yourself\n"
    assert (made / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in made.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["thesis.txt", tutorial.MARK])
def test_a_link_is_followed_neither_to_install_nor_to_clean(repository, tmp_path, content):
    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    (elsewhere / content).write_text("years of work")
    (repository / ".venv2").symlink_to(elsewhere)
    said = call(repository, "install", "--venv", ".venv2", code=1)
    assert said.startswith("tutorial.py: .venv2 leads elsewhere and stays as it is; name a new folder")
    call(repository, "clean", "--venv", ".venv2", code=1)
    assert [path.read_text() for path in elsewhere.iterdir()] == ["years of work"]
    assert (repository / ".venv2").is_symlink()


def test_a_file_in_place_of_an_environment_is_left_alone(repository):
    (repository / ".venv").write_text("mine")
    for command in ("install", "clean"):
        assert ".venv was not made by this program" in call(repository, command, code=1)
    assert (repository / ".venv").read_text() == "mine"


def test_cleaning_removes_what_was_made_here_and_nothing_else(repository):
    for made in ("build/run", ".venv/lib", "alhelpers/__pycache__", "notebooks/.ipynb_checkpoints"):
        (repository / made).mkdir(parents=True)
    (repository / ".venv312").mkdir()
    (repository / ".venv" / tutorial.MARK).touch()
    call(repository, "clean")
    left = {path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_dir()}
    assert left == {"alhelpers", "notebooks", "wheels", ".venv312"}


def test_two_commands_do_not_install_into_one_environment(repository):
    (repository / ".venv").mkdir()
    with (repository / ".venv" / tutorial.MARK).open("w") as mark:
        tutorial.lock(mark)
        said = call(repository, "run", code=1)
    assert said == "tutorial.py: another command is installing into .venv; wait for it\n"


def test_a_python_that_does_not_do_is_named_and_nothing_is_made(repository):
    for named in ("/nowhere/python", shutil.which("true")):
        said = call(repository, "run", "--python", named, code=1)
        assert said.startswith(f"tutorial.py: {named} does not run as Python 3.11, 3.12, 3.13 or 3.14; ")
    assert not (repository / ".venv").exists()


def test_an_environment_of_another_python_is_kept_and_said(repository, tmp_path):
    (repository / ".venv" / "bin").mkdir(parents=True)
    other = tmp_path / "python3.12"
    for path, version in ((repository / ".venv" / "bin" / "python", "3.11.9"), (other, "3.12.1")):
        path.write_text(f"#!/bin/sh\necho {version}; echo {path}; echo venv\n")
        path.chmod(0o755)
    stamp = {"folder": str(repository), "parts": {"alhelpers": ""}}
    (repository / ".venv" / tutorial.STAMP).write_text(json.dumps(stamp))
    said = call(repository, "run", "--python", str(other), code=1)
    assert said.startswith(f"tutorial.py: .venv was made with another Python than {other}; name a new folder")


def test_a_wrong_call_is_named_and_nothing_is_made(repository):
    said = call(repository, "rum", code=2)
    assert said.startswith("tutorial.py: there is no command rum; give one of install, run, ")
    engines = "give tensorflow or numpy, or leave it out\n"
    said = call(repository, "run", "--engine", "nunpy", code=2, ALHELPERS_ENGINE="numpy")
    assert said == f"tutorial.py: --engine is nunpy; {engines}"
    said = call(repository, "run", code=2, ALHELPERS_ENGINE="nunpy")
    assert said == f"tutorial.py: ALHELPERS_ENGINE is nunpy; {engines}"
    said = call(repository, "run", "--wheels", "weels", code=2)
    assert said == "tutorial.py: --wheels is weels, which is no folder; give one with packages, or none\n"
    assert not (repository / ".venv").exists()


def test_there_are_the_package_s_engines():
    assert set(tutorial.ENGINES) == models.ENGINES.keys()


def test_folders_are_named_from_where_the_user_is(repository, monkeypatch):
    here = repository / "notebooks"
    here.mkdir()
    (here / "stick").mkdir()
    monkeypatch.setattr(tutorial, "HERE", repository)
    monkeypatch.setattr(tutorial.os, "environ", {})
    monkeypatch.chdir(here)
    asked = []
    monkeypatch.setattr(tutorial.Environment, "provide", lambda *asked_for: asked.append(asked_for))
    tutorial.main(["install"])
    tutorial.main(["install", "--venv", "mine", "--wheels", "stick", "--python", "./python3.12"])
    ([beside, _, _, of_the_bundle], [mine, _, named, wheels]) = asked
    assert (beside.folder, of_the_bundle) == (repository / ".venv", str(repository / "wheels"))
    assert (mine.folder, Path(wheels).resolve()) == (here / "mine", here / "stick")
    assert (named, Path.cwd()) == ("./python3.12", here), "which this finds from here"


@pytest.mark.parametrize("folder", [".", "notebooks"])
def test_from_any_folder_ours_run_there_and_tools_in_the_repository(folder, tmp_path, monkeypatch):
    for name in (
        "workshop/solutions/01_data.ipynb",
        "workshop/make.py",
        "notebooks/mine.ipynb",
        "mine.ipynb",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ran = []
    monkeypatch.setattr(tutorial, "HERE", tmp_path)
    monkeypatch.setattr(tutorial, "run", lambda *command_and_folder: ran.append(command_and_folder))
    monkeypatch.chdir(tmp_path / folder)
    for program in (*tutorial.COMMANDS["solutions"].programs, *tutorial.COMMANDS["lab"].programs):
        tutorial.run_program("python", program, ["mine.ipynb", "-k", "workshop"])
    ([refresh], [make], [lab, where]) = ran
    assert Path(refresh[-4]) == tmp_path / "workshop" / "solutions" / "01_data.ipynb"
    assert Path(make[1]).resolve() == tmp_path / "workshop" / "make.py"
    assert refresh[-3:] == make[-3:] == ["mine.ipynb", "-k", "workshop"]
    assert lab[-3:] == [str(tmp_path / folder / "mine.ipynb"), "-k", "workshop"]
    assert where == tmp_path, "JupyterLab shows all of it"


@pytest.mark.skipif(os.name != "posix", reason="scripts with #!")
def test_a_python_says_its_path_in_utf_8_and_in_time_or_not_at_all(tmp_path, monkeypatch):
    python = tmp_path / "python3.12"
    said = b"3.12.1\nC:\\Users\\Jos\xc3\xa9\\python.exe\nvenv\n"
    python.write_bytes(b"#!/bin/sh\ncat <<'END'\n" + said + b"END\n")
    python.chmod(0o755)
    program = "import sys, tutorial; print(ascii(tutorial.probe(sys.argv[1])))"
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, str(python)], env=env, capture_output=True)
    assert done.stdout.decode().strip() == ascii(["3.12.1", r"C:\Users\José\python.exe", "venv"])

    monkeypatch.setattr(tutorial, "PATIENCE", 0.3)
    (tmp_path / "uv").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    began = time.monotonic()
    assert tutorial.probe(str(tmp_path / "uv")) == []
    [pip] = tutorial.Environment(tmp_path / "venv")._installers("")
    assert "uv" not in pip
    assert time.monotonic() - began < 30


def test_the_makefile_has_the_same_commands_and_hands_on_its_variables():
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    commands = re.search(r"^COMMANDS = (.*)", makefile, re.MULTILINE)[1].split()
    assert sorted(commands) == sorted(tutorial.COMMANDS)
    variables = ["VENV=.venv312", "PYTHON=python3.12", "ENGINE=numpy", "WHEELS=my wheels", "ARGS=--jobs 1"]
    done = subprocess.run(
        ["make", "--dry-run", "run", *variables], cwd=ROOT, capture_output=True, text=True, check=True
    )
    _, _, said = " ".join(done.stdout.replace("\\\n", "").split()).partition("tutorial.py ")
    options = '--venv ".venv312" --wheels "my wheels" --python "python3.12" --engine "numpy"'
    assert said == f"run {options} --jobs 1"


def test_the_list_names_every_command():
    said = call(ROOT, "help")
    assert [line.split()[0] for line in said.splitlines()[-len(tutorial.COMMANDS) :]] == list(
        tutorial.COMMANDS
    )
