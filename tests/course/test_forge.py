"""What a forge reads (workflows, forms) is well-formed and names real commands, files and versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import alhelpers
import tutorial
from alhelpers.course import machine
from alhelpers.running.notebooks import NOTEBOOKS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
GITHUB = ROOT / ".github"
JOBS = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text("utf-8"))["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def text(name):
    return (ROOT / name).read_text("utf-8")


def test_every_step_is_an_action_of_one_version_or_a_command_that_there_is():
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
        else:
            command = re.fullmatch(r"python tutorial\.py ([\w-]+)( --upgrade)?", step["run"])
            assert command, f"{step['run']!r} would not run on Windows alike"
            assert command[1] in tutorial.COMMANDS


def test_everything_is_tested_on_every_system_and_python_and_the_quick_set_on_a_pull_request():
    matrix = JOBS["all"]["strategy"]["matrix"]
    systems = {*matrix["os"], *(one["os"] for one in matrix["include"]), JOBS["windows"]["runs-on"]}
    assert {re.match(r"[a-z]+", name)[0] for name in systems} == {"ubuntu", "macos", "windows"}
    assert any(name.endswith("-arm") for name in systems)
    linux = {"sys_platform": "linux", "platform_machine": "x86_64"}
    pythons = [f"{major}.{minor}" for major, minor in machine.PYTHONS]
    [tensorflow] = [one for one in map(Requirement, PROJECT["dependencies"]) if one.name == "tensorflow-cpu"]
    assert set(matrix["python"]) == {
        python for python in pythons if tensorflow.marker.evaluate(linux | {"python_version": python})
    }, "all with TensorFlow, which the tests need"
    assert {"run": "python tutorial.py test"} in JOBS["all"]["steps"]
    assert JOBS["quick"]["if"] == "github.event_name == 'pull_request'"
    assert {"run": "python tutorial.py test-quick"} in JOBS["quick"]["steps"]
    assert all(job["timeout-minutes"] for job in JOBS.values()), "nothing waits for ever"
    kept = {step["with"]["path"] for step in STEPS if "upload" in step.get("uses", "")}
    assert kept == {"build/site", "requirements*.lock"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_something_and_names_commands_that_there_are(path):
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    assert any(field.get("validations", {}).get("required") for field in form["body"])
    for field in form["body"]:
        assert field["type"] in ("textarea", "input", "dropdown")
        assert field["attributes"]["label"].endswith("?")
    commands = re.findall(r"tutorial\.py ([\w-]+)", path.read_text("utf-8"))
    assert set(commands) <= tutorial.COMMANDS.keys()


def test_pre_commit_and_dependabot_read_what_is_there():
    [repository] = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    [hook] = repository["hooks"]
    assert hook["entry"] == "python tutorial.py check"
    assert re.search(hook["files"], "notebooks/01_data.ipynb")
    updates = yaml.safe_load(text(".github/dependabot.yml"))["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions"}


def test_the_guide_to_contributing_names_what_there_is():
    assert set(re.findall(r"python tutorial\.py ([a-z][\w-]*)", CONTRIBUTING)) <= tutorial.COMMANDS.keys()
    for name in re.findall(r"`((?:alhelpers|tests|workshop|notebooks)/[\w./]+)`", CONTRIBUTING):
        if name != "notebooks/14_your_title.ipynb":
            assert (ROOT / name).exists(), name
    assert not list(NOTEBOOKS.glob("14_*")), "the number that the guide gives a new notebook is taken"
    for name in re.findall(r"`(test_\w+)`", CONTRIBUTING):
        assert f"def {name}(" in "".join(path.read_text("utf-8") for path in TESTS), name
    assert not re.search(r"@\w+@", CONTRIBUTING), "a time that nobody has measured"
    for code in re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL):
        compile(code, "CONTRIBUTING.md", "exec")


def test_the_version_is_the_same_everywhere_and_in_the_changes():
    version = PROJECT["version"]
    assert alhelpers.__version__ == version
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == version
    assert f"## {version} ({citation['date-released']})" in text("CHANGELOG.md")
