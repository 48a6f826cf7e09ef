"""tutorial.py makes the environment whole and touches nothing but its own; the Makefile calls it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
import tutorial  # noqa: E402

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


def wheel(folder, name, version="1"):
    """Write a wheel that holds one empty module; return its line for a lock."""
    info, file = f"{name}-{version}.dist-info", folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.fixture
def repository(tmp_path):
    """A repository of three packages, one for each part, whose wheels lie beside it, as in a bundle."""
    folder = tmp_path / "a clone"
    (folder / "wheels").mkdir(parents=True)
    shutil.copy(ROOT / "tutorial.py", folder)
    reading, tensorflow, developing = (wheel(folder / "wheels", name) for name in ("read", "flow", "ruff"))
    (folder / "requirements.lock").write_text(f"{reading}{tutorial.HEADING}\n{tensorflow}")
    (folder / "requirements-dev.lock").write_text(f"-r requirements.lock\n{developing}")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "alhelpers").mkdir()
    (folder / "alhelpers" / "__main__.py").write_text(PACKAGE)
    return folder


def call(repository, *arguments, uv=False, code=0, **variables):
    """What a command says; without uv unless there is one and it is asked for."""
    env = {k: v for k, v in os.environ.items() if k not in ("ALHELPERS_ENGINE", "PYTHONPATH")}
    env |= variables if uv else {"PATH": os.defpath, "PIP_NO_INDEX": "1", **variables}
    done = subprocess.run(
        [sys.executable, "tutorial.py", *arguments], cwd=repository, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def installed(repository):
    """Modules of the packages in the environment."""
    found = {path.stem for path in (repository / ".venv").rglob("site-packages/*.py")}
    return found & {"read", "flow", "ruff"}


def mark(repository):
    """Put a file into the environment, which is gone when that is made anew."""
    (repository / ".venv" / "mine").touch()


def is_new(repository):
    return not (repository / ".venv" / "mine").exists()


def test_a_command_installs_what_it_needs_once_and_hands_its_arguments_on(repository):
    said = call(repository, "run", "--engine", "numpy", "a b", "--jobs", "1")
    assert installed(repository) == {"read"}
    assert "Installing packages (1 for notebooks and JupyterLab) from wheels and no network, with pip" in said
    assert said.endswith("ran run a b --jobs 1 by numpy\n")
    assert call(repository, "run", ALHELPERS_ENGINE="numpy") == "ran run by numpy\n", "nothing is missing"
    mark(repository)
    assert "Installing packages (1 for TensorFlow)" in call(repository, "run")
    assert installed(repository) == {"read", "flow"}
    assert "Installing packages (1 for tests, web pages and sweeps)" in call(repository, "sweep", "x")
    assert installed(repository) == {"read", "flow", "ruff"}
    assert call(repository, "doctor", "--engine", "numpy") == "ran doctor by numpy\n"
    assert not is_new(repository)
    (repository / "pyproject.toml").write_text(PYPROJECT + "# an entry point more")
    assert call(repository, "run") == "Installing alhelpers from this folder …\nran run by None\n"
    (repository / "alhelpers" / "__main__.py").write_text("import sys; sys.exit(7)")
    call(repository, "run", code=7)


@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not here")
def test_uv_installs_the_same_with_its_bytecode(repository):
    said = call(repository, "run", uv=True)
    if "with pip" in said:
        pytest.skip("uv does not run here")
    assert installed(repository) == {"read", "flow"}
    assert list((repository / ".venv").rglob("site-packages/__pycache__/read.*.pyc"))


def test_what_is_not_whole_or_has_other_versions_is_made_anew(repository):
    damaged, lock = repository / "wheels" / "read-1-py3-none-any.whl", repository / "requirements.lock"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole + b"x")
    (repository / "wheels" / "FOR.txt").write_text("3.12/win_amd64\n")
    said = call(repository, "run", "--engine", "numpy", code=1)
    assert "DO NOT MATCH THE HASHES" in said
    assert said.splitlines()[-1] == (
        "tutorial.py: the installation failed, as said above; wheels has what the notebooks need on "
        "3.12/win_amd64; the same command starts afresh"
    )
    damaged.write_bytes(whole)

    for why in ("it failed", "other versions", "cut short"):
        mark(repository)
        if why == "other versions":
            lock.write_text(lock.read_text().replace("read==1", "read==1 "))
        elif why == "cut short":
            call(repository, "install", "--wheels", "nowhere", code=1)  # TensorFlow cannot be added
            mark(repository)
        assert "Creating .venv with Python" in call(repository, "run", "--engine", "numpy"), why
        assert is_new(repository), why
        assert installed(repository) == {"read"}


def test_an_environment_that_was_moved_or_has_lost_its_python_counts_as_none(tmp_path, monkeypatch):
    monkeypatch.setattr(tutorial, "HERE", tmp_path)
    venv = tutorial.Environment(".venv")
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


def test_what_is_not_ours_is_neither_replaced_nor_removed(repository):
    thesis = repository / "work" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    said = call(repository, "run", "--venv", "work", code=1)
    assert said == f"tutorial.py: work holds something else; {tutorial.ANOTHER}\n"
    call(repository, "clean", "--venv", "work")
    assert thesis.read_text() == "years of work"
    assert [path.name for path in thesis.parent.iterdir()] == ["thesis.txt"]


def test_cleaning_removes_what_was_made_here_and_nothing_else(repository):
    for made in ("build/run", ".venv/lib", "alhelpers/__pycache__", "notebooks/.ipynb_checkpoints"):
        (repository / made).mkdir(parents=True)
    (repository / ".venv312").mkdir()
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


def test_an_unknown_command_is_named(repository):
    said = call(repository, "rum", code=1)
    assert said.startswith("tutorial.py: there is no command rum; give one of install, run, ")


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
