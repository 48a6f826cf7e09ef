"""`alhelpers doctor`: it names the trouble and what to do, and one trouble hides no other."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv

import pytest
from packaging.specifiers import SpecifierSet

from alhelpers import files
from alhelpers.course import doctor


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """The Python of an environment without a single package, not even pip."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    scripts = sysconfig.get_path("scripts", "venv", {"base": str(folder)})
    return os.path.join(scripts, os.path.basename(sys.executable))


def sentence(check):
    """What a check that fails says, with its command."""
    with pytest.raises(doctor.Problem) as problem:
        check()
    return f"{problem.value} {problem.value.command}".strip()


def ask(python, folder):
    return subprocess.run(
        [python, "-m", "alhelpers", "doctor"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(doctor.REPOSITORY)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def statuses(printed):
    return {name: status for status, name in re.findall(r"^(ok|FAILED) +(\w+)", printed, re.MULTILINE)}


def test_a_healthy_environment_passes_from_any_folder(tmp_path):
    done = ask(sys.executable, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(done.stdout) == dict.fromkeys(doctor.CHECKS, "ok")
    assert max(map(len, done.stdout.splitlines())) < 80 or len(sys.prefix) > 50
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_without_any_package_it_still_starts_and_says_what_is_missing(bare_python, tmp_path):
    done = ask(bare_python, tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    found = statuses(done.stdout)
    assert list(found) == list(doctor.CHECKS), "each is checked, whatever failed before"
    need_none = {"Python", "data", "folders", "port"}
    assert need_none <= {name for name, status in found.items() if status == "ok"} <= need_none | {"disk"}
    assert "FAILED packages    packaging is missing, and most others with it" in done.stdout
    assert "--require-hashes -r " in done.stdout
    assert "No module named 'psutil'" in done.stdout


def test_missing_packages_and_wrong_versions_are_named(monkeypatch, tmp_path):
    lock = tmp_path / "requirements.lock"
    missing = "".join(f"nowhere-{letter}==1.0 \\\n    --hash=sha256:00\n" for letter in "abcdef")
    lock.write_text(
        "# a comment\n"
        f"{missing}numpy==0.1 ; python_full_version >= '3.11' \\\n    --hash=sha256:00\n"
        f"pytest=={pytest.__version__} \\\n    --hash=sha256:00\n"
        "elsewhere==1.0 ; sys_platform == 'another' \\\n    --hash=sha256:00\n"
    )
    monkeypatch.setattr(doctor, "LOCK", lock)
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)
    monkeypatch.chdir(tmp_path)
    said = sentence(doctor.check_packages)
    assert said.startswith(
        "6 missing: nowhere-a, nowhere-b, nowhere-c, nowhere-d and 2 more; 1 in another version: numpy "
    )
    assert " instead of 0.1; mend with: " in said
    assert said.endswith("-m pip install --require-hashes -r requirements.lock")
    assert "elsewhere" not in said
    lock.unlink()
    assert doctor.check_packages().endswith("exact versions not checked without requirements.lock")


def test_the_command_installs_from_the_wheels_beside_where_there_are_some(monkeypatch, tmp_path):
    (tmp_path / "a clone" / "wheels").mkdir(parents=True)
    (tmp_path / "a clone" / "requirements.lock").write_text("nowhere==1.0 --hash=sha256:00\n")
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path / "a clone")
    monkeypatch.setattr(doctor, "LOCK", tmp_path / "a clone" / "requirements.lock")
    monkeypatch.chdir(tmp_path)
    wheels, lock = os.path.join("a clone", "wheels"), os.path.join("a clone", "requirements.lock")
    command = f'-m pip install --no-index --find-links "{wheels}" --require-hashes -r "{lock}"'
    assert sentence(doctor.check_packages).endswith(command)


def test_damaged_images_are_found(monkeypatch, tmp_path):
    cut = tmp_path / "mnist.npz"
    cut.write_bytes((files.PACKAGE / "mnist.npz").read_bytes()[:1_000_000])
    shutil.copy(files.PACKAGE / files.SHIPPED, tmp_path)
    monkeypatch.setattr(files, "PACKAGE", tmp_path)
    assert f"{cut} is damaged (SHA-256 " in sentence(doctor.check_data)


def test_a_folder_that_takes_no_files_is_named(monkeypatch, tmp_path):
    (tmp_path / "notebooks").write_text("a file where a folder should be, which stops even root")
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)
    assert f"{tmp_path / 'notebooks'} cannot be written to (Not a directory)" in sentence(
        doctor.check_folders
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder that takes no files, from no user")
def test_a_working_folder_that_takes_no_files_is_named(monkeypatch):
    monkeypatch.chdir("/proc/self")
    assert "cannot be written to (" in sentence(doctor.check_folders)


def test_short_memory_and_a_full_disk_say_what_is_needed(monkeypatch):
    class Little:
        available = free = 90_000_000

    monkeypatch.setattr("psutil.virtual_memory", Little)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Little)
    assert "0.1 GB free, and JupyterLab with notebook 08 needs 1.1 GB" in sentence(doctor.check_memory)
    assert "the results need 0.1 GB" in sentence(doctor.check_disk)
    Little.available = 1_500_000_000
    assert doctor.check_memory().endswith("alhelpers run --jobs 1")


def test_a_machine_that_cannot_reach_itself_is_told_of_the_firewall(monkeypatch):
    def refused(*_: object, **__: object):
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", refused)
    assert "no connection over 127.0.0.1 (timed out)" in sentence(doctor.check_port)


SITE_PACKAGES = sysconfig.get_path("purelib")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"argv": ["/nowhere/python", "-m", "ipykernel_launcher"]},
            "starts /nowhere/python, which is not there",
        ),
        (
            {"argv": ["python", "-c", "import sys; sys.exit('no kernel lives here')"]},
            "ends at once (no kernel lives here); write it anew with:",
        ),
        ({"argv": ["python", "-c", "import time; time.sleep(60)"]}, "not answered within 2 seconds; let the"),
        ({}, "the kernelspec python3 cannot be read"),
        (
            {"argv": ["BARE", "-m", "ipykernel_launcher", "-f", "{connection_file}"]},
            ", another environment; write it anew with:",
        ),
    ],
    ids=["python that is gone", "dies", "silent", "unreadable", "another environment"],
)
def test_a_kernel_that_cannot_work_is_named(spec, expected, bare_python, monkeypatch, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    text = json.dumps(
        {"display_name": "Python 3", "language": "python", "env": {"PYTHONPATH": SITE_PACKAGES}} | spec
    )
    (folder / "kernel.json").write_text(text.replace("BARE", bare_python) if spec else "{not JSON")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    if "-c" in spec.get("argv", ()):
        monkeypatch.setattr(doctor, "KERNEL_SECONDS", 2)
    said = sentence(doctor.check_kernel)
    assert expected in said
    assert ("ipykernel install --sys-prefix" in said) != ("firewall" in said)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "this processor lacks instructions"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "ended by SIGKILL, as when memory",
        ),
        ("import os; os.abort()", "cannot be imported (ended by SIGABRT); mend with:"),
        ("raise ImportError('DLL load failed while importing _pywrap')", "install Microsoft's Visual C++"),
        ("import nowhere", "cannot be imported (ModuleNotFoundError: No module named 'nowhere'); mend with:"),
        (
            "print('2.21.0', flush=True); raise OSError('no digits')",
            "the first fit fails: OSError: no digits",
        ),
        ("print('2.21.0'); print(0.2)", "2.21.0 gives 0.2 with the first ten labels, the article 0.38;"),
    ],
)
def test_tensorflow_may_crash_fail_or_differ_and_leaves_a_line(program, expected, monkeypatch):
    if "import os" in program and os.name != "posix":
        pytest.skip("Windows has no such signals")
    monkeypatch.setattr(doctor, "_FIRST_FIT", program)
    assert expected in sentence(doctor.check_engine)


def test_a_check_that_breaks_is_a_line_and_hides_no_other(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", {"odd": lambda: 1 / 0, "fine": lambda: "as it should be"})
    assert doctor.examine() == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAILED odd         the check itself broke, which is worth a report:",
        "                   ZeroDivisionError: division by zero",
        "ok     fine        as it should be",
        "Not well: odd; the lines above say what to do.",
    ]


def test_doctor_wants_the_same_pythons_as_the_package():
    project = tomllib.loads((doctor.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = SpecifierSet(project["requires-python"])
    assert tuple((3, minor) for minor in range(30) if f"3.{minor}" in allowed) == doctor.PYTHONS
