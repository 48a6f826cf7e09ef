"""Places in the browser install what `make` installs. None of them is here, so what they read is checked."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = SpecifierSet(
    tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
)
BINDER = ROOT / ".binder"
GUIDE = (ROOT / "docs" / "online.md").read_text("utf-8")
# Of this package's needs, those that Colab may lack; its notebooks are to run all the same.
NOT_IN_COLAB = ("papermill", "jupyterlab", "anywidget", "nbclient", "distributed", "psutil", "nbconvert")


def commented_json(path):
    """JSON with comments on lines of their own, as these files have them."""
    lines = path.read_text("utf-8").splitlines()
    return json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))


def test_the_container_installs_as_everybody_with_a_python_that_the_package_allows():
    container = commented_json(ROOT / ".devcontainer" / "devcontainer.json")
    image, _, python = container["image"].partition(":")
    assert image == "python"
    assert PYTHONS.contains(python)
    assert container["postCreateCommand"] == "python tutorial.py install"
    custom = container["customizations"]["vscode"]
    assert {"ms-python.python", "ms-toolsai.jupyter"} <= set(custom["extensions"])
    path = custom["settings"]["python.defaultInterpreterPath"]
    assert path == "${containerWorkspaceFolder}/.venv/bin/python"


def test_binder_installs_the_lock_and_then_the_package_as_everybody_does():
    lines = (BINDER / "requirements.txt").read_text("utf-8").splitlines()
    [needed] = [line for line in lines if not line.startswith("#")]
    option, name = needed.split()
    assert option == "-r"
    assert (BINDER / name).resolve() == ROOT / "requirements.lock"
    language, _, python = (BINDER / "runtime.txt").read_text("utf-8").strip().partition("-")
    assert language == "python"
    assert PYTHONS.contains(python)
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK), "Binder runs postBuild only if it is executable"
    subprocess.run(["sh", "-n", script], check=True)
    assert "pip install --no-deps --no-build-isolation -e .\n" in script.read_text("utf-8")


def test_binder_sees_no_other_file_that_it_would_install_instead():
    others = {"environment.yml", "Dockerfile", "Pipfile", "install.R", "Project.toml", "default.nix"}
    assert not others & {path.name for path in BINDER.iterdir()}


def test_colab_s_cell_leaves_its_packages_alone_and_the_package_does_without_the_others():
    [cell] = re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL)
    clone, install = cell.splitlines()
    assert re.fullmatch(r"!git clone .*--depth 1 https://github\.com/OWNER/NAME (\w+)", clone)
    assert re.fullmatch(r"%pip install .*--no-deps \./" + clone.split()[-1], install)
    imports = {
        line
        for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")
        for cell in json.loads(path.read_text("utf-8"))["cells"]
        for line in "".join(cell["source"]).splitlines()
        if cell["cell_type"] == "code" and re.match(r"from alhelpers", line)
    }
    assert len(imports) > 10
    blocked = f"import sys; sys.modules.update(dict.fromkeys({NOT_IN_COLAB}))"
    program = "\n".join([blocked, *sorted(imports)])
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr[-500:]
