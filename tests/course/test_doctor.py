"""`alhelpers doctor`: it names the trouble and what to do, and one trouble hides no other."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

from alhelpers import files
from alhelpers.course import advice, doctor, kernel, machine


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """The Python of an environment without a single package, not even pip."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    scripts = sysconfig.get_path("scripts", "venv", {"base": str(folder)})
    return os.path.join(scripts, os.path.basename(sys.executable))


def sentence(check):
    """What a check that fails says, with its command."""
    with pytest.raises(advice.Problem) as problem:
        check()
    return f"{problem.value} {problem.value.command}".strip()


def ask(python, folder, **variables):
    return subprocess.run(
        [python, "-m", "alhelpers", "doctor"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(advice.REPOSITORY), **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def statuses(printed):
    return {name: status for status, name in re.findall(r"^(ok|FAILED) +(\w+)", printed, re.MULTILINE)}


def test_a_healthy_environment_passes_from_any_folder(tmp_path):
    done = ask(sys.executable, tmp_path)
    expected = dict.fromkeys(doctor.CHECKS, "ok")
    if kernel._installed() != kernel._PACKAGE:  # these are the tests of a second clone, and it says so
        expected["imports"] = "FAILED"
    assert statuses(done.stdout) == expected, done.stdout + done.stderr
    assert done.returncode == ("FAILED" in expected.values())
    end = "All is well; `make run` or `alhelpers run` runs the notebooks.\n"
    assert done.stdout.endswith(end) == (done.returncode == 0)
    sentences = [line for line in done.stdout.splitlines() if not re.match("  [^ ]", line)]  # no commands
    assert max(map(len, sentences)) < 80 or len(sys.prefix) > 50
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_without_any_package_it_still_starts_and_says_what_is_missing(bare_python, tmp_path):
    done = ask(bare_python, tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    found = statuses(done.stdout)
    assert list(found) == list(doctor.CHECKS), "each is checked, whatever failed before"
    need_none = {"Python", "data", "folders", "home", "port", "imports", "widget"}
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
    monkeypatch.setattr(advice, "LOCK", lock)
    monkeypatch.setattr(advice, "REPOSITORY", tmp_path)
    monkeypatch.chdir(tmp_path)
    said = sentence(machine.check_packages)
    assert said.startswith(
        "6 missing: nowhere-a, nowhere-b, nowhere-c, nowhere-d and 2 more; 1 in another version: numpy "
    )
    assert " instead of 0.1; mend with: " in said
    assert said.endswith("-m pip install --require-hashes -r requirements.lock")
    assert "elsewhere" not in said
    lock.unlink()
    assert machine.check_packages().endswith("exact versions not checked without requirements.lock")


def test_the_command_installs_from_the_wheels_beside_where_there_are_some(monkeypatch, tmp_path):
    (tmp_path / "a clone" / "wheels").mkdir(parents=True)
    (tmp_path / "a clone" / "requirements.lock").write_text("nowhere==1.0 --hash=sha256:00\n")
    monkeypatch.setattr(advice, "REPOSITORY", tmp_path / "a clone")
    monkeypatch.setattr(advice, "LOCK", tmp_path / "a clone" / "requirements.lock")
    monkeypatch.chdir(tmp_path)
    wheels, lock = os.path.join("a clone", "wheels"), os.path.join("a clone", "requirements.lock")
    command = f'-m pip install --no-index --find-links "{wheels}" --require-hashes -r "{lock}"'
    assert sentence(machine.check_packages).endswith(command)


def test_damaged_images_are_found(monkeypatch, tmp_path):
    cut = tmp_path / "mnist.npz"
    cut.write_bytes((files.PACKAGE / "mnist.npz").read_bytes()[:1_000_000])
    shutil.copy(files.PACKAGE / files.SHIPPED, tmp_path)
    monkeypatch.setattr(files, "PACKAGE", tmp_path)
    assert f"{cut} is damaged (SHA-256 " in sentence(machine.check_data)


def test_a_folder_that_takes_no_files_is_named(monkeypatch, tmp_path):
    (tmp_path / "notebooks").write_text("a file where a folder should be, which stops even root")
    monkeypatch.setattr(advice, "REPOSITORY", tmp_path)
    assert f"{tmp_path / 'notebooks'} cannot be written to (Not a directory)" in sentence(
        machine.check_folders
    )


def test_a_home_that_takes_no_files_is_named_with_who_needs_it(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("where a folder should be, which stops even root")
    for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    machine.check_home()
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "file" / "plots"))
    assert "plots cannot be written to (Not a directory), where matplotlib keeps" in sentence(
        machine.check_home
    )
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert "where IPython keeps its files; take a home that can be: export HOME=" in sentence(
        machine.check_home
    )


def test_where_the_home_takes_no_files_figures_come_without_a_word(tmp_path):
    home = tmp_path / "file"
    home.write_text("")
    program = "from alhelpers import plots"
    environment = {"HOME": str(home), "PYTHONPATH": str(advice.REPOSITORY)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPLCONFIG"))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=kept | environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), "nbval compares what notebooks print"


@pytest.mark.parametrize("name", ["random.py", "numpy", "PIL", "anywidget.py"])
def test_a_file_that_hides_a_module_is_named(name, tmp_path, monkeypatch):
    if name.endswith(".py"):
        (tmp_path / name).write_text("x = 1")
    else:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    assert f"{name} hides the module of that name from notebooks; rename it" in sentence(kernel.check_imports)


def test_settings_of_matplotlib_s_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "_installed", lambda: kernel._PACKAGE)  # in a second clone, too
    monkeypatch.chdir(tmp_path)
    assert "matplotlibrc" not in kernel.check_imports()
    (tmp_path / "matplotlibrc").write_text("font.size: 20\n")
    assert "matplotlibrc changes figures of your own, but none of the tutorial's" in kernel.check_imports()


def test_it_starts_beside_a_file_called_random(tmp_path):
    (tmp_path / "random.py").write_text("x = 1")
    found = statuses(ask(sys.executable, tmp_path, ALHELPERS_ENGINE="numpy").stdout)  # the quicker one
    assert {name for name, status in found.items() if status == "FAILED"} == {"imports"}


def test_another_alhelpers_on_the_path_is_named(tmp_path):
    shutil.copytree(kernel._PACKAGE, tmp_path / "alhelpers", ignore=shutil.ignore_patterns("*.npz", "*.gz"))
    program = "from alhelpers.course import kernel; kernel.check_imports()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (
        f"alhelpers is imported from {tmp_path}/alhelpers, because of PYTHONPATH or the folder" in done.stderr
    )


@pytest.mark.parametrize(
    ("startup", "expected"),
    [
        ("import sys; sys.exit('enough')", "00-mine.py at its start; move that away"),
        (
            "import sys\nsys.meta_path.insert(0, type('F', (), {'find_spec': lambda name, *_:"
            " print('a cache elsewhere') if name == 'alhelpers.plots' else None}))",
            "the first import prints 'a cache elsewhere', which notebooks would show",
        ),
    ],
    ids=["exits", "prints"],
)
def test_what_ipython_runs_first_is_named(startup, expected, tmp_path, monkeypatch):
    (tmp_path / "profile_default" / "startup").mkdir(parents=True)
    file = tmp_path / "profile_default" / "startup" / "00-mine.py"
    file.write_text(startup)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    assert expected in sentence(kernel.check_kernel)
    file.write_text("x = 1")
    assert kernel.check_kernel().endswith("00-mine.py first")


def test_a_jupyterlab_without_the_widget_s_front_end_is_named(tmp_path, monkeypatch):
    assert kernel.check_widget() == "JupyterLab has what notebook 12 shows images with"
    config = tmp_path / "labconfig" / "page_config.json"
    config.parent.mkdir()
    config.write_text('{"disabledExtensions": {"anywidget": true}}')
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    assert "page_config.json disables the extension anywidget, without which" in sentence(kernel.check_widget)
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [str(tmp_path)])
    assert "JupyterLab lacks the extension @jupyter-widgets/jupyterlab-manager" in sentence(
        kernel.check_widget
    )
    monkeypatch.setattr(kernel, "find_spec", lambda name: None)
    assert kernel.check_widget().startswith("not installed; notebook 12 asks a person only with it")


def test_settings_that_change_figures_are_named(monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=2")
    monkeypatch.setattr(kernel, "_ROUNDS", "print('NumPy 2.4'); print(0.88)")
    assert (
        "NumPy 2.4 gives 0.88 with 400 labels, the article 0.8975; unset TF_XLA_FLAGS, and ask"
        in sentence(kernel.check_engine)
    )
    monkeypatch.setattr(kernel, "_ROUNDS", "print('NumPy 2.4'); print(0.8975)")
    assert kernel.check_engine().endswith("as published, with TF_XLA_FLAGS set"), "and none that we set"
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    assert kernel.check_engine().endswith("as published, with OPENBLAS_CORETYPE, TF_XLA_FLAGS set")


def test_outside_a_clone_it_says_what_works_there(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(advice, "REPOSITORY", tmp_path)
    monkeypatch.setattr(doctor, "CHECKS", {})
    assert doctor.examine() == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("All is well. Outside a clone, `alhelpers run` and `alhelpers sweep` work with")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder that takes no files, from no user")
def test_a_working_folder_that_takes_no_files_is_named(monkeypatch):
    monkeypatch.chdir("/proc/self")
    assert "cannot be written to (" in sentence(machine.check_folders)


def test_short_memory_and_a_full_disk_say_what_is_needed(monkeypatch):
    class Little:
        available = free = 90_000_000

    monkeypatch.setattr("psutil.virtual_memory", Little)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Little)
    assert "0.1 GB free, and JupyterLab with notebook 08 needs 1.1 GB" in sentence(machine.check_memory)
    assert "the results need 0.1 GB" in sentence(machine.check_disk)
    Little.available = 1_500_000_000
    assert machine.check_memory().endswith("alhelpers run --jobs 1")


def test_a_machine_that_cannot_reach_itself_is_told_of_the_firewall(monkeypatch):
    def refused(*_: object, **__: object):
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", refused)
    assert "no connection over 127.0.0.1 (timed out)" in sentence(machine.check_port)


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
        monkeypatch.setattr(kernel, "KERNEL_SECONDS", 2)
    said = sentence(kernel.check_kernel)
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
            "print('hello\\nTensorFlow 2.21.0', flush=True); raise OSError('no digits')",
            "TensorFlow 2.21.0 can be imported, but the first fit fails: OSError: no digits",
        ),
        (
            "print('hello\\nTensorFlow 2.21.0'); print(0.2)",  # the first line by sitecustomize, say
            "TensorFlow 2.21.0 gives 0.2 with 400 labels, the article 0.8975; other figures",
        ),
    ],
)
def test_tensorflow_may_crash_fail_or_differ_and_leaves_a_line(program, expected, monkeypatch):
    if "import os" in program and os.name != "posix":
        pytest.skip("Windows has no such signals")
    monkeypatch.setattr(kernel, "_ROUNDS", program)
    assert expected in sentence(kernel.check_engine)


def test_a_check_that_breaks_is_a_line_and_hides_no_other(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", {"odd": lambda: 1 / 0, "fine": lambda: "as it should be"})
    assert doctor.examine() == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAILED odd         the check itself broke, which is worth a report:",
        "                   ZeroDivisionError: division by zero",
        "ok     fine        as it should be",
        "Not well: odd; the lines above say what to do.",
    ]
