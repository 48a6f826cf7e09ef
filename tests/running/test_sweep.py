"""A sweep is checked before it runs, cannot be half-done, and gives what papermill gives."""

import contextlib
import functools
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import helpers
import nbformat
import numpy as np
import papermill
import psutil
import pyarrow.parquet
import pytest
from helpers import read_csv, wait_for

from alhelpers import cli
from alhelpers.learner import History
from alhelpers.running import commands, kernels, notebooks, summary, sweep, sweep_result
from alhelpers.running import plan as plan_module
from alhelpers.running.grid import SweepError
from alhelpers.running.output import OutputError
from alhelpers.running.plan import PlannedRun, make_plan
from alhelpers.running.store import Store

PARAMETERS = (
    "seed: int = 0  # which draw\nwait: float = 0.0\nfail: bool = False\nname: str = 'a'\nlimit: int = None"
)
NOTEBOOK_06 = notebooks.NOTEBOOKS / "06_active_learning.ipynb"
# Shows two fits whose accuracy is made from the seed, the way a learner's history shows.
FITS = f"""
import time
time.sleep(wait)
if fail:
    raise RuntimeError("as asked")
rows = [dict(stage="active", n_labels=n, accuracy=(seed * 7 + n) % 100 / 100, steps=10) for n in (10, 20)]
display({{"text/plain": "history", "{History.MIME}": rows}}, raw=True)
"""
# All but seed 0 wait for the file that `name` names: so a test decides when they end, not the machine.
GATED = f"""
import os, time
while seed and not os.path.exists(name):
    time.sleep(0.05)
{FITS}"""


write_notebook = functools.partial(helpers.write_notebook, parameters=PARAMETERS)


@pytest.fixture(autouse=True)
def _numpy(monkeypatch):
    """Each sweep here starts a fork server of its own, and TensorFlow's import would be most of its work."""
    monkeypatch.setenv("ALHELPERS_ENGINE", "numpy")
    software = plan_module.software.software
    software.cache_clear()  # it may be of another engine
    yield
    software.cache_clear()


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "tiny.ipynb", FITS)


@pytest.fixture
def gated(tmp_path):
    return write_notebook(tmp_path / "gated.ipynb", GATED)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """What a sweep has in folders for temporary files and connection files, which are its own."""
    places = {"TMPDIR": tmp_path / "tmp", "JUPYTER_RUNTIME_DIR": tmp_path / "runtime"}
    for name, folder in places.items():
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    return lambda: [path for folder in places.values() for path in folder.rglob("*")]


def start(*arguments):
    """The command in a process of its own, to be killed or waited for."""
    command = [sys.executable, "-m", "alhelpers", "sweep", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def run_command(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def rows(folder):
    """The rows of results.csv without the identities of the runs."""
    return [{k: v for k, v in row.items() if k != "run"} for row in read_csv(folder / "results.csv")]


def expected_rows(seeds):
    return [(str(seed), str(n), (seed * 7 + n) % 100 / 100) for seed in seeds for n in (10, 20)]


def found_rows(folder):
    return [(row["seed"], row["n_labels"], float(row["accuracy"])) for row in rows(folder)]


def records(folder):
    return [path.read_text() for path in folder.glob("runs/[!.]*/run.json")]


def descendants(pid):
    """What a process has started, however far down, and has not ended: parents and command lines by id."""
    found = {}
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            found[child.pid] = child.ppid(), " ".join(child.cmdline())
    return found


def fork_server_and_kernels(pid):
    """The fork server is a child of the worker, kernels are its children; their command lines are alike."""
    started = descendants(pid).items()
    parents = {
        child: parent for child, (parent, command) in started if "-m alhelpers.running.kernels" in command
    }
    server = next(child for child, parent in parents.items() if parent not in parents)
    return server, sorted(parents.keys() - {server})


# --- Planning ---


def test_a_plan_is_the_product_of_all_values(notebook):
    plan = make_plan(notebook, {"seed": [0, 1, 2], "wait": [0, 1]})
    assert len(plan.runs) == 6 == len({planned.id for planned in plan.runs})
    assert plan.runs[1].parameters == {"seed": 0, "wait": 1.0, "fail": False, "name": "a", "limit": None}
    assert plan.varied == ("seed", "wait")


def test_a_whole_number_for_a_float_is_the_same_run_as_the_float(tmp_path):
    whole = write_notebook(tmp_path / "whole.ipynb", FITS, parameters="seed: int = 0\nrate: float = 1")
    ids = [make_plan(whole, grid).runs[0].id for grid in ({"seed": [0]}, {"rate": [1]}, {"rate": [1.0]})]
    assert len(set(ids)) == 1


def test_identity_is_notebook_parameters_and_package_and_nothing_else(notebook, tmp_path, monkeypatch):
    def identity(path, **grid):
        return make_plan(path, {name: [value] for name, value in grid.items()}).runs[0].id

    first = identity(notebook, seed=3)
    assert identity(notebook, seed=3, wait=0.0) == first, "a default value given is the default value"
    assert identity(notebook, seed=4) != first
    other = write_notebook(tmp_path / "other.ipynb", FITS + "# changed")
    assert identity(other, seed=3) != first
    executed = nbformat.read(notebook, as_version=4)
    executed.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    executed.cells[1].execution_count = 7
    nbformat.write(executed, tmp_path / "executed.ipynb")
    assert identity(tmp_path / "executed.ipynb", seed=3) == first, "outputs are no part of what will run"
    monkeypatch.setattr(plan_module.software, "software", lambda imports: {"numpy": "0.0"})
    assert identity(notebook, seed=3) != first


def test_ten_thousand_runs_are_planned_in_five_seconds_of_work(tmp_path):
    began = os.times().children_user
    code, out, err = run_command(
        NOTEBOOK_06, "-p", "seed=0:1000", "-p", "batch_size=1:11", "--out", tmp_path / "out", "--dry-run"
    )
    assert code == 0, err
    assert "10,000 runs" in out
    assert os.times().children_user - began < 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", "sede=1"], r"no parameter 'sede'; did you mean 'seed'\? \(with plain values it has seed"),
        (["-p", "seed=1.5"], r"seed is 1.5; tiny.ipynb declares it as int$"),
        (["-p", "seed=True"], r"seed is True; tiny.ipynb declares it as int$"),
        (["-p", "limit=x"], r"limit is 'x'; tiny.ipynb declares it as int or None$"),
        (["-p", "wait=nan"], r"wait is nan; tiny.ipynb declares it as float$"),
        (["-p", "seed=1,1"], r"seed has the value 1 twice; each run is done once$"),
        (["-p", "seed="], r"seed= has no values; give a list like 5,10,20 or a range like 0:20$"),
        (["-p", "seed=5:5"], r"seed=5:5 has no values"),
        (["-p", "seed"], r"-p seed is no NAME=VALUES; give for example -p batch_size=5,10,20$"),
        (["-p", "seed=0:9:0"], r"the range '0:9:0' of seed has step 0; give another$"),
        (["-p", "seed=1", "-p", "seed=2"], r"seed is given twice"),
        ([], r"the grid is empty; give at least one parameter, as in -p seed=0:20$"),
        (["-p", "seed=1", "--jobs", "2", "--scheduler", "tcp://x:1"], r"--jobs is for this machine"),
        (["-p", "seed=99999999999999999999"], r"seed is 9+; tiny.ipynb declares it as int$"),
        (["-p", "seed=1", "--jobs", "0"], r"^alhelpers: --jobs is 0; give 1 or more$"),
        (["-p", "seed=1", "--timeout", "0"], r"--timeout is 0; give a number of seconds above 0, below 1e9$"),
        (["-p", "seed=1", "--timeout", "nan"], r"--timeout is nan; give a number .* above 0, below 1e9$"),
        (["-p", "seed=1", "--timeout", "inf"], r"--timeout is inf; give a number .* above 0, below 1e9$"),
        (["-p", "seed=1", "--grid", "no.yml"], r"cannot read the grid no.yml: .*No such file"),
        (["-p", "seed=1", "--scheduler", "tcp://127.0.0.1:9"], r"no Dask scheduler answers at .* within 1 s"),
        (["-p", "seed=1", "--scheduler", "nonsense://x"], r"no Dask scheduler .* answers at nonsense://x"),
    ],
)  # fmt: skip
def test_a_wrong_call_ends_in_one_sentence(notebook, tmp_path, capfd, monkeypatch, arguments, sentence):
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 1)
    out = tmp_path / "out"
    assert cli.main(["sweep", str(notebook), *arguments, "--out", str(out)]) == 2
    error = capfd.readouterr().err.strip()
    assert re.search(sentence, error), error
    assert len(error.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"cannot read the notebook .*: No such file"),
        ("{", r"is no notebook that can be read"),
        ('{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', r"is no notebook that can be"),
        (nbformat.writes(nbformat.v4.new_notebook()), r'has no cell tagged "parameters", so there is'),
    ],
)  # fmt: skip
def test_a_notebook_that_cannot_be_swept_ends_in_one_sentence(tmp_path, capsys, content, sentence):
    path = tmp_path / "some.ipynb"
    if content is not None:
        path.write_text(content)
    assert cli.main(["sweep", str(path), "-p", "seed=1", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip()
    assert re.search(sentence, error), error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_parameters_are_read_as_python_reads_them(tmp_path):
    lines = """
n: int = 20
half = n // 2
layers = [64, 64]
limit: int | None = None
text: str = "a=b#c"
rate: float = 1e-3
free = None
"""
    path = write_notebook(tmp_path / "some.ipynb", parameters=lines)
    plan = make_plan(path, {"limit": "None,3", "text": "5,x", "rate": "1", "free": "7"})
    assert [planned.parameters for planned in plan.runs] == [
        {"n": 20, "limit": limit, "text": text, "rate": 1.0, "free": 7}
        for limit in (None, 3)
        for text in ("5", "x")
    ], "what is no plain value stays as the notebook computes it"


def test_a_grid_file_is_a_grid(notebook, tmp_path, capsys):
    grid = tmp_path / "grid.yml"
    grid.write_text("seed: 0:3\nwait: [0, 0.5]\nname: b\n")
    call = ["sweep", str(notebook), "--grid", str(grid), "--out", str(tmp_path / "o")]
    assert cli.main([*call, "--dry-run"]) == 0
    assert "6 runs of tiny" in capsys.readouterr().out
    assert cli.main([*call, "-p", "name=c"]) == 2
    assert "name is given by -p and by" in capsys.readouterr().err


def test_without_its_extra_the_tutorial_says_what_a_sweep_needs(notebook, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands, "find_spec", lambda name: None if name == "distributed" else object())
    arguments = ["sweep", str(notebook), "-p", "seed=1", "--scheduler", "tcp://x:1"]
    assert cli.main([*arguments, "--out", str(tmp_path / "o")]) == 2
    told = capsys.readouterr().err
    assert "a sweep needs distributed, which the tutorial does not; install what is missing with: pip" in told


# --- Running ---


def test_runs_equal_the_same_papermill_calls(tmp_path):
    small = {"n_pool": 60, "n_test": 30, "label_budget": 40}
    fixed = [word for name, value in small.items() for word in ("-p", f"{name}={value}")]
    out = tmp_path / "out"
    process = start(NOTEBOOK_06, *fixed, "-p", "batch_size=10,20", "-p", "seed=1", "--out", out)
    executed = papermill.execute_notebook(
        str(NOTEBOOK_06), None, {**small, "batch_size": 20, "seed": 1}, progress_bar=False
    )
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    by_hand = [("20", *map(str, fit.values())) for fit in notebooks.histories(executed)]
    found = [
        tuple(row[name] for name in ("batch_size", "stage", "n_labels", "accuracy", "steps"))
        for row in rows(out)
    ]
    assert [row for row in found if row[0] == "20"] == by_hand
    assert [row[2] for row in found] == ["10", "20", "30", "40", "20", "40"]


def test_a_run_sees_nothing_of_another(tmp_path, monkeypatch):
    monkeypatch.delenv("ALHELPERS_ENGINE")  # TensorFlow, where it is installed
    look = """
import os, random, sys
import numpy as np
from alhelpers.model import tf
seen = ["left" in globals(), hasattr(sys, "left"), "LEFT" in os.environ, os.path.exists("left"),
        tf.config.threading.get_inter_op_parallelism_threads() == 7]
drawn = [random.random(), np.random.random(), float(tf.random.uniform([]))]
left = sys.left = True
os.environ["LEFT"] = "1"
open("left", "w").close()
random.seed(0), np.random.seed(0), tf.random.set_seed(0)
display({"text/plain": repr((seen, drawn))}, raw=True)
"""
    notebook = write_notebook(tmp_path / "look.ipynb", look)
    code, _, err = run_command(notebook, "-p", "seed=0:2", "--jobs", "1", "--out", tmp_path / "out")
    assert code == 0, err
    shown = []
    for path in (tmp_path / "out" / "runs").glob("*/notebook.ipynb"):
        output = next(notebooks.outputs(nbformat.read(path, as_version=4)))
        shown.append(eval(output["data"]["text/plain"]))
    assert len(shown) == 2
    assert not any(any(seen) for seen, _ in shown), "a run saw what another had left"
    for generator in range(3):
        assert len({drawn[generator] for _, drawn in shown}) == 2, "runs without a seed drew the same numbers"


def test_given_again_it_does_what_is_missing_and_failed_runs_when_asked(notebook, tmp_path, capsys):
    out = tmp_path / "out"
    code, printed, err = run_command(notebook, "-p", "seed=0:2", "-p", "fail=False,True", "--out", out)
    assert code == 1
    assert "2 of 4 runs done (0 were there before), 2 failed" in printed
    assert "RuntimeError: as asked" in err
    page = (out / "summary.html").read_text()
    assert "RuntimeError: as asked" in page
    assert "2 of 4 runs are done, 2 failed" in page
    assert found_rows(out) == expected_rows([0, 1])

    times = {path: path.stat().st_mtime_ns for path in out.glob("runs/[!.]*/run.json")}
    code, printed, _ = run_command(
        notebook, "-p", "seed=0:3", "-p", "fail=False,True", "--out", out, "--rerun-failed"
    )
    assert code == 1
    assert "3 of 6 runs done (2 were there before), 3 failed" in printed
    kept = {path for path, changed in times.items() if path.stat().st_mtime_ns == changed}
    assert {json.loads(path.read_text())["status"] for path in kept} == {"done"}
    assert len(kept) == 2
    assert found_rows(out) == expected_rows([0, 1, 2])
    # Nothing left to do: only the results are written again, and a dry run says so before.
    again = ["sweep", str(notebook), "-p", "seed=0:3", "--out", str(out)]
    assert cli.main([*again, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "3 done and 0 failed in" in printed
    assert printed.endswith("already, 0 would run\n")
    assert cli.main(again) == 0
    printed = capsys.readouterr().out
    assert "3 of 3 runs done (3 were there before), 0 failed" in printed
    assert "3 runs of other sweeps in" in printed
    assert found_rows(out) == expected_rows([0, 1, 2])


linux = pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux alone")


@linux
def test_a_killed_process_costs_nothing_but_time(gated, tmp_path):
    out, gate = tmp_path / "out", tmp_path / "gate"
    process = start(gated, "-p", "seed=0:4", "-p", f"name={gate}", "--jobs", "2", "--out", out)
    wait_for(lambda: list(out.glob("runs/[!.]*")))
    server, forked = wait_for(lambda: (found := fork_server_and_kernels(process.pid))[1] and found)
    os.kill(forked[0], signal.SIGKILL)
    wait_for(lambda: set(fork_server_and_kernels(process.pid)[1]) - set(forked))  # its successor
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: server not in descendants(process.pid))
    gate.touch()
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert found_rows(out) == expected_rows(range(4))
    assert len(list(out.glob("runs/[!.]*"))) == 4
    assert max(json.loads(record)["attempts"] for record in records(out)) > 1, "nothing was lost"
    assert not list(out.glob("runs/.*"))


@linux
@pytest.mark.parametrize("event", [".sweep", "runs/.*.at-work", "runs/.*/.notebook.kernel.json"])
def test_ctrl_c_early_on_is_one_sentence_too(notebook, tmp_path, event):
    process = start(notebook, "-p", "seed=0:6", "-p", "wait=60.0", "--out", tmp_path / "out")
    wait_for(lambda: list((tmp_path / "out").glob(event)))  # its folder, its first run, its first kernel
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert re.fullmatch(r"alhelpers: stopped.*", err.strip()), err
    assert not (tmp_path / "out").exists(), "a folder that was made for nothing"


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_is_ended_leaves_nothing_behind_and_goes_on_where_it_was(
    gated, tmp_path, temporary, number
):
    out, gate = tmp_path / "out", tmp_path / "gate"
    arguments = gated, "-p", "seed=0:6", "-p", f"name={gate}", "--jobs", "2", "--out", out
    process = start(*arguments)
    wait_for(lambda: list(out.glob("runs/[!.]*")))
    wait_for(lambda: list(out.glob("runs/.*.at-work/.notebook.kernel.json")))
    wait_for(lambda: fork_server_and_kernels(process.pid)[1])
    family = descendants(process.pid)
    # Ctrl-C goes to everything in the terminal, workers too.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
    _, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert re.fullmatch(
            r"alhelpers: stopped; 1 of 6 runs are there and their results written; the same command goes .*",
            err.strip(),
        ), err
        assert found_rows(out) == expected_rows([0]), "the results of what is there"
    wait_for(lambda: not any(map(psutil.pid_exists, family)))
    wait_for(lambda: not list(out.glob("runs/.*")))
    assert not temporary(), "temporary folders and connection files go however a sweep ends"
    (first,) = out.glob("runs/*")
    before = first.stat().st_mtime_ns
    gate.touch()
    code, _, err = run_command(*arguments)
    assert code == 0, err
    assert found_rows(out) == expected_rows(range(6))
    assert first.stat().st_mtime_ns == before
    assert len(os.listdir(out / "runs")) == 6


@linux
def test_ctrl_c_ends_kernels_that_are_no_forks(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("ALHELPERS_FORK", "0")
    process = start(notebook, "-p", "seed=0:2", "-p", "wait=600.0", "--out", tmp_path / "out")
    wait_for(lambda: [1 for _, command in descendants(process.pid).values() if "ipykernel" in command])
    family = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    wait_for(lambda: not any(map(psutil.pid_exists, family)))


def test_a_fork_server_that_says_nothing_is_given_up(monkeypatch):
    server = kernels.ForkServer()
    monkeypatch.setattr(kernels, "FORK_SECONDS", 0.1)
    monkeypatch.setattr(kernels.ForkServer, "command", (sys.executable, "-c", "import time; time.sleep(600)"))
    with pytest.raises(OSError, match="the process that forks kernels"):
        server.fork([], ".", {})
    assert not server.works, "kernels are started from now on"


def test_the_limit_is_for_all_cells_of_a_run_together(tmp_path):
    slow = write_notebook(tmp_path / "slow.ipynb", *["import time\ntime.sleep(0.4)"] * 20)
    error = notebooks.execute_notebook(slow, tmp_path / "out.ipynb", {}, tmp_path, timeout=4)
    assert error["name"] == "TimeoutError"
    assert error["line"] == "import time"
    assert 1 < error["cell"] < 21


def test_what_is_no_scheduler_is_named(monkeypatch):
    monkeypatch.setattr(sweep, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # as a web server, it waits to be asked
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SweepError, match=f"what answers at {address} is no Dask scheduler"):
            sweep._check_scheduler(address)
    with pytest.raises(SweepError, match=f"no Dask scheduler answers at {address}"):
        sweep._check_scheduler(address)


@pytest.fixture
def client(monkeypatch):
    """Of a Dask cluster in this process, without a worker."""
    from distributed import Client, LocalCluster

    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0.1)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster, Client(cluster) as it:
        yield it


def test_a_scheduler_that_has_gone_ends_a_sweep_in_a_sentence(client):
    future = client.submit(int, "1")
    future.cancel()  # as all are when the connection is lost
    with pytest.raises(SweepError, match="the scheduler has gone"):
        sweep._first_ended(client, {future})


def test_a_cluster_that_has_lost_its_last_worker_ends_in_a_sentence(client, monkeypatch):
    monkeypatch.setattr(sweep, "WITHOUT_WORKERS", 1)
    with pytest.raises(SweepError, match=r"has had no worker for 1 s; start one"):
        sweep._first_ended(client, {client.submit(int, "1")})


def test_a_cluster_on_which_nothing_ends_is_given_up(client, monkeypatch):
    monkeypatch.setattr(sweep, "STARTING_SECONDS", 0.2)
    client.cluster.scale(1)
    client.wait_for_workers(1, timeout=60)
    running = {client.submit(int, "1", resources={"what no worker has": 1})}
    with pytest.raises(SweepError, match=r"no run has ended on the cluster for 1 s; restart its workers"):
        sweep._first_ended(client, running, timeout=0.2)


def test_a_result_that_never_comes_back_is_a_failure_of_its_run(monkeypatch):
    monkeypatch.setattr(sweep, "_first_ended", lambda *_: set())
    problem = sweep._taken(None, Mock(**{"result.side_effect": TimeoutError}), 1)
    assert sweep._lost(PlannedRun("x", {}), problem)["error"]["message"].startswith("its result did not come")


@pytest.mark.parametrize(
    ("ended_by", "sentence"),
    [
        (SweepError("the scheduler has gone"), "the scheduler has gone; 2 of 6 runs are there and their"),
        (OSError(28, "No space left"), r"cannot write to .*out: No space left; see .*; 2 of 6"),
        (OutputError(28, "No space left"), r"cannot write to standard output: No space left; .*; 2 of 6"),
        (BrokenPipeError(32, "Broken pipe"), r"cannot write to standard output: Broken pipe; .*; 2 of 6"),
        (KeyboardInterrupt(), "stopped; 2 of 6 runs are there and their results written; the same"),
    ],
)
def test_however_a_sweep_ends_the_results_of_what_is_there_are_written(
    notebook, tmp_path, monkeypatch, capfd, ended_by, sentence
):
    def two_then_none(jobs, plan, pending, timeout, place):
        for planned in pending[:2]:
            record = sweep._record(planned.parameters, None, history=history(0.5))
            yield planned.id, {"notebook": "{}", "record": record}
        raise ended_by

    monkeypatch.setattr(sweep, "_execute_here", two_then_none)
    out = tmp_path / "out"
    code = cli.main(["sweep", str(notebook), "-p", "seed=0:6", "--out", str(out)])
    assert code == (130 if isinstance(ended_by, KeyboardInterrupt) else 2)
    error = capfd.readouterr().err.strip()
    assert re.search(f"^alhelpers: {sentence}", error), error
    assert [row["seed"] for row in rows(out)] == ["0", "1"]
    assert pyarrow.parquet.read_table(out / "results.parquet").num_rows == 2
    assert "2 of 6 runs are done" in (out / "summary.html").read_text()


def test_a_worker_with_other_software_or_none_is_named(notebook):
    plan, client = make_plan(notebook, {"seed": [1]}), Mock()
    client.run.return_value = {"tcp://far:1": plan.software | {"numpy": "1.26"}}
    with pytest.raises(SweepError, match=r"worker at tcp://far:1 has numpy 1.26 and the sweep has numpy 2"):
        sweep._check_workers(client, plan)
    client.run.side_effect = ModuleNotFoundError("No module named 'alhelpers'")
    with pytest.raises(SweepError, match=r"a worker cannot run alhelpers \(No module named 'alhelpers'\)"):
        sweep._check_workers(client, plan)


def test_a_damaged_record_is_named(results, notebook, capsys):
    damaged = next(results.glob("runs/[!.]*/run.json"))
    damaged.write_text("")
    arguments = ["-p", "wait=0,1", "-p", "seed=0:3", "--out", str(results)]
    assert cli.main(["sweep", str(notebook), *arguments]) == 2
    assert f"{damaged.parent} is damaged; delete it" in capsys.readouterr().err


def test_what_somebody_has_done_with_results_is_kept(results, notebook, capsys):
    command = ["sweep", str(notebook), "-p", "wait=0,1", "-p", "seed=0:3", "--out", str(results)]
    with (results / "runs.csv").open("a") as file:
        file.write("mine\n")
    edited = (results / "runs.csv").read_bytes()
    for _ in range(2):
        assert cli.main(command) == 1, "one of the runs has failed"
    said = "alhelpers: runs.csv was changed since a sweep wrote it; what it was is in 'runs kept 1.csv'\n"
    assert capsys.readouterr().err.count(said) == 1
    assert (results / "runs kept 1.csv").read_bytes() == edited
    assert len(list(results.glob("* kept *"))) == 1
    failed = next(path for path in results.glob("runs/*/run.json") if '"failed"' in path.read_text()).parent
    (failed / "why.txt").write_text("my notes")
    assert cli.main([*command, "--rerun-failed"]) == 2
    assert f"{failed / 'why.txt'} is not from the earlier run" in capsys.readouterr().err
    assert (failed / "why.txt").read_text() == "my notes"


def test_two_sweeps_cannot_write_to_one_folder(notebook, tmp_path, capsys):
    with Store(tmp_path / "out"):
        assert cli.main(["sweep", str(notebook), "-p", "seed=1", "--out", str(tmp_path / "out")]) == 2
    assert "another sweep is writing to" in capsys.readouterr().err


def test_a_lost_worker_costs_its_runs_a_second_try_and_no_other_run_anything(notebook, monkeypatch):
    from distributed import KilledWorker

    begun = []

    class Future:
        def __init__(self, seed):
            begun.append(seed)
            self.seed, self.killed = seed, seed == 2 or (seed == 3 and begun.count(3) == 1)

        def result(self, timeout=None):
            if self.killed:
                raise KilledWorker("execute", None, 3)
            return {"notebook": "", "record": {"status": "done", "parameters": {"seed": self.seed}}}

        def release(self):
            pass

    client = SimpleNamespace(status="running")
    monkeypatch.setattr(sweep, "_connected", lambda _: contextlib.nullcontext(client))
    monkeypatch.setattr(sweep, "_submit", lambda client, plan, run, *_: Future(run.parameters["seed"]))
    monkeypatch.setattr(sweep, "_check_workers", lambda *_: None)
    monkeypatch.setattr(sweep, "_threads", lambda _: 1)
    monkeypatch.setattr(sweep, "_first_ended", lambda client, running, *_: set(running))
    plan = make_plan(notebook, {"seed": [0, 1, 2, 3, 4, 5]})
    found = {planned.id: planned.parameters["seed"] for planned in plan.runs}
    records = [
        (found.pop(identity), result["record"])
        for identity, result in sweep._execute_there("tcp://far:1", plan, plan.runs, 60)
    ]
    assert not found, "runs without a result"
    assert {seed for seed, record in records if record["status"] == "done"} == {0, 1, 3, 4, 5}
    assert dict(records)[2]["error"]["message"] == "every worker that began this run died"
    assert (begun[:6], sorted(begun[6:])) == ([*range(6)], [2, 3]), (
        "each that was lost once more, alone, and after all others"
    )


def test_a_cluster_of_other_processes_in_other_folders_gives_the_same(tmp_path):
    keeps = "import os\nos.mkdir('deep')\nopen('deep/seed.txt', 'w').write(str(seed))"
    notebook = write_notebook(tmp_path / "tiny.ipynb", FITS, keeps)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, quiet = f"tcp://127.0.0.1:{port}", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A nanny starts its worker in a process of its own, and again should it die.
    worker, processes = f"worker {address} --nthreads 1", []
    for part in (f"scheduler --host 127.0.0.1 --port {port}", f"{worker} --nanny", f"{worker} --no-nanny"):
        folder = tmp_path / str(len(processes))
        folder.mkdir()
        command = [sys.executable, "-m", *f"distributed.cli.dask_{part} --no-dashboard".split()]
        processes.append(subprocess.Popen(command, cwd=folder, **quiet))
    try:
        code, _, err = run_command(
            notebook, "-p", "seed=0:4", "-p", "wait=0.5", "--scheduler", address, "--out", tmp_path / "out"
        )
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)  # once in hundreds, a worker that is asked to end does not
            process.kill()
    assert code == 0, err
    assert found_rows(tmp_path / "out") == expected_rows(range(4))
    assert not list(tmp_path.glob("*/*.ipynb")), "a worker left a notebook in its folder"
    kept = [path.read_text() for path in tmp_path.glob("out/runs/*/deep/seed.txt")]
    assert sorted(kept) == list("0123"), "what runs write comes back with them"


# --- What runs leave ---

WRITES = """
import os
from alhelpers.running import sweep_result
os.makedirs("deep/er")
for name in ("model.txt", "deep/er/curve.csv", "run.json"):
    with open(name, "w") as file:
        file.write(f"{name} of {seed}")
sweep_result(accuracy=seed / 10, loss=float("nan"), seed=-seed)
sweep_result(named=f"run {seed}", accuracy=seed / 5)
"""


def test_files_and_results_of_a_run_are_kept_beside_it(tmp_path):
    notebook = write_notebook(tmp_path / "writes.ipynb", WRITES, parameters="seed: int = 0")
    out = tmp_path / "out"
    code, _, err = run_command(notebook, "-p", "seed=1,2", "--out", out)
    assert (code, err) == (0, ""), err
    for path in (out / "runs").iterdir():
        record = json.loads((path / "run.json").read_text())
        seed = record["parameters"]["seed"]
        assert record["files"] == ["deep/er/curve.csv", "model.txt", "own-run.json"]
        for kept, name in [("model.txt", "model.txt"), ("own-run.json", "run.json")]:
            assert (path / kept).read_text() == f"{name} of {seed}"
    table = pyarrow.parquet.read_table(out / "runs.parquet").to_pylist()
    assert [row["seed"] for row in table] == [1, 2]
    assert [row["accuracy"] for row in table] == [0.2, 0.4], "the later value of a name counts"
    assert [row["result_seed"] for row in table] == [-1, -2], "a parameter keeps its name"
    assert [row["named"] for row in table] == ["run 1", "run 2"]
    assert all(row["loss"] != row["loss"] for row in table)
    assert [row["run_status"] for row in table] == ["done", "done"]
    page = (out / "summary.html").read_text()
    assert re.search(r"<td>accuracy</td>\s*<td class=\"number\">2</td><td class=\"number\">0.3</td>", page), (
        page
    )
    assert 'deep/er/curve.csv">deep/er/curve.csv</a>' in page


def test_of_a_run_on_a_cluster_come_as_many_files_as_can_travel(tmp_path, monkeypatch):
    for name, size in [("a.bin", 60), ("b.bin", 60), ("c.bin", 30)]:
        (tmp_path / name).write_bytes(b"x" * size)
    monkeypatch.setattr(sweep, "FILES_BYTES", 100)
    files, left_out = sweep._packed(str(tmp_path))
    assert {name: len(content) for name, content in files.items()} == {"a.bin": 60, "c.bin": 30}
    assert left_out == ["b.bin"]


@pytest.mark.parametrize("value", [[1, 2], 10**30, {"a": 1}, np.arange(3), object()])
def test_a_result_that_has_no_place_in_a_table_is_refused_where_it_is_given(value):
    with pytest.raises(
        ValueError, match=r"sweep_result: x is a \w+; give one number, a text, True, False or"
    ):
        sweep_result(x=value)


ODD = f"""
import os, shutil, time
if seed == 1: print("\\udcff")
if seed == 2: display({{"application/vnd.alhelpers.result+json": '{{"a": [1]}}', "text/plain": ""}}, raw=True)
if seed == 3: shutil.rmtree(os.getcwd())
if seed == 4: os._exit(3)
if seed == 5: import subprocess; subprocess.Popen(["sleep", "600"])
if seed == 6: display({{"text/plain": "", "{History.MIME}": [dict(stage="a", loss=1.0)]}}, raw=True)
"""
HANGS = "if seed == 7:  # for ever\n    time.sleep(10**6)"


@linux
def test_whatever_a_notebook_does_the_others_are_done_and_nothing_is_left(tmp_path, temporary):
    notebook = write_notebook(tmp_path / "odd.ipynb", ODD, HANGS, parameters="seed: int = 0")
    out = tmp_path / "out"
    code, printed, err = run_command(notebook, "-p", "seed=0:8", "--timeout", "5", "--out", out)
    assert code == 1
    assert "4 of 8 runs done (0 were there before), 4 failed" in printed
    for failed in (
        "failed: seed=2: ValueError: the notebook shows",
        "failed: seed=4: DeadKernelError",
        r"failed: seed=6: HistoryError: the notebook shows a history with the row .*loss",
        "failed: seed=7: cell 4: TimeoutError: the notebook took longer than its limit of 5 s",
    ):
        assert re.search(failed, err), err
    found = {record["parameters"]["seed"]: record for record in map(json.loads, records(out))}
    assert {seed: record["attempts"] for seed, record in found.items()} == dict.fromkeys(range(8), 1) | {
        4: 3
    }, "a kernel that dies is begun again, but not for ever"
    assert found[7]["error"]["line"] == "if seed == 7:  # for ever"
    assert not temporary()
    assert [row["run_status"] for row in read_csv(out / "runs.csv")].count("done") == 4


@linux
def test_a_kernel_whose_exit_code_nobody_asks_for_has_ended():
    pid = os.fork()
    if not pid:
        os._exit(0)
    try:
        kernel = kernels.ForkedKernel(pid)
        wait_for(lambda: kernel.poll() == 0, 5)
        assert psutil.pid_exists(pid), "it is a zombie, as in containers whose first process is no init"
    finally:
        os.waitpid(pid, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no forked kernels")
def test_a_kernel_that_ends_just_before_it_is_killed_is_no_error(monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kernel = kernels.ForkedKernel(ended.pid)
    monkeypatch.setattr(kernel, "poll", lambda: None)
    kernel.kill()


@pytest.mark.parametrize("encoding", ["cp932", "cp437", "ascii"])
def test_no_sweep_is_lost_to_a_letter_that_the_terminal_lacks(notebook, tmp_path, monkeypatch, encoding):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    out = tmp_path / "ö–ж"
    assert cli.main(["sweep", str(notebook), "-p", "name=ä–ж", "--out", str(out), "--dry-run"]) == 0
    streams[0].flush()
    assert b"0 done and 0 failed" in streams[0].buffer.getvalue()


@linux
def test_a_sweep_is_whole_in_a_folder_whose_name_the_locale_lacks(tmp_path, monkeypatch):
    for name, value in [("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")]:
        monkeypatch.setenv(name, value)
    folder = tmp_path / "ö–ж"
    folder.mkdir()
    notebook = write_notebook(folder / "ä.ipynb", FITS, "open('kept.txt', 'w').close()")
    code, _, err = run_command(notebook, "-p", "seed=1", "-p", "name=ü", "--out", folder / "out")
    assert code == 0, err
    assert found_rows(folder / "out") == expected_rows([1])
    assert [row["name"] for row in read_csv(folder / "out" / "runs.csv")] == ["ü"]
    assert len(list(folder.glob("out/runs/*/kept.txt"))) == 1
    assert "Sweep of ä" in (folder / "out" / "summary.html").read_text(encoding="utf-8")


# --- What is written ---


def history(*accuracies):
    return [
        {"stage": "active", "n_labels": 10 * n, "accuracy": accuracy, "steps": 3}
        for n, accuracy in enumerate(accuracies, 1)
    ]


def written(plan, folder, found=lambda planned: history(0.5, 0.7), error=lambda planned: None):
    """The folder of a sweep with made-up runs."""
    with Store(folder) as store:
        for planned in plan.runs:
            record = sweep._record(planned.parameters, error(planned), history=found(planned))
            store.write(planned.id, {"notebook": "{}", "record": record})
        summary.write_results(plan, store)
    return folder


@pytest.fixture
def results(notebook, tmp_path):
    """Three seeds of two values, one of them failed."""
    plan = make_plan(notebook, {"wait": [0.0, 1.0], "seed": [0, 1, 2]})
    error = {"cell": 3, "line": "<b>", "name": "ValueError", "message": "1 < 2"}
    return written(
        plan,
        tmp_path / "out",
        lambda planned: history(0.5 + planned.parameters["seed"] / 10, 0.7 + planned.parameters["seed"] / 10),
        lambda planned: error if planned is plan.runs[-1] else None,
    )


@pytest.mark.parametrize(
    ("declared", "values", "column"),
    [
        ("int | float", [1, 0.5], [1.0, 0.5]),
        ("int | str", [1, "x"], ["1", "x"]),
        ("bool | int", [True, 2], ["True", "2"]),
        ("int | None", [None, 3], [None, 3]),
        ("str | None", [None], [None]),
    ],
)
def test_values_of_several_types_are_kept_in_both_tables(tmp_path, declared, values, column):
    path = write_notebook(tmp_path / "mixed.ipynb", parameters=f"rate: {declared} = None")
    folder = written(make_plan(path, {"rate": values}), tmp_path / "out", lambda planned: history(1))
    assert pyarrow.parquet.read_table(folder / "results.parquet")["rate"].to_pylist() == column
    assert [row["rate"] for row in rows(folder)] == ["" if v is None else str(v) for v in column]


def test_a_text_is_shown_as_text_whatever_is_in_it(tmp_path):
    path = write_notebook(tmp_path / "dollars.ipynb", parameters="label: str = 'a'")
    plan = make_plan(path, {"label": ["$5_$10", "<b>"]})
    page = (written(plan, tmp_path / "out") / "summary.html").read_text()
    assert "<td>$5_$10</td>" in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "<b>" not in page


def test_accuracies_that_are_no_numbers_and_values_that_are_nearly_equal_can_be_read(tmp_path, recwarn):
    path = write_notebook(tmp_path / "odd.ipynb", parameters="rate: float = -0.0")
    plan = make_plan(path, {"rate": [0.12345678, 0.12345679, -0.0]})
    folder = written(
        plan, tmp_path / "out", lambda planned: history(-1e-9 if planned is plan.runs[0] else float("nan"))
    )
    page = re.sub(r"<img.*", "", (folder / "summary.html").read_text())
    assert not re.search(r"\bnan\b", page)
    assert not re.search(r"[ >]-0", page)
    assert "<td>0.12345678</td>" in page
    assert "<td>0.12345679</td>" in page, "two values that differ in the eighth digit are two"
    assert make_plan(path, {"rate": [0.0]}).runs[0].id == plan.runs[2].id, "-0.0 is 0.0"
    path = write_notebook(tmp_path / "seeds.ipynb", parameters="seed: int = 0")
    written(make_plan(path, {"seed": [0, 1]}), tmp_path / "seeds", lambda planned: history(float("inf")))
    assert not recwarn, "NumPy's warnings would stand between the lines of the sweep"


def test_results_are_one_row_for_each_fit_in_csv_and_parquet(results):
    table = pyarrow.parquet.read_table(results / "results.parquet").to_pylist()
    assert len(table) == 10, "five runs with two fits; the failed run has none"
    lines = read_csv(results / "results.csv")
    assert list(table[0]) == list(lines[0])
    columns = "run seed wait fail name limit stage n_labels accuracy steps"
    assert list(table[0]) == columns.split()
    for typed, text in zip(table, lines, strict=True):
        assert {k: "" if v is None else str(v) for k, v in typed.items()} == text
    assert isinstance(table[0]["seed"], int)
    assert isinstance(table[0]["wait"], float)
    assert table[0]["fail"] is False


def test_the_summary_stands_alone_and_says_what_happened(results):
    page = (results / "summary.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,|runs/)", page), (
        "it needs something from outside"
    )
    assert re.search(r'<img [^>]*alt="Lines with bands: mean test accuracy', page)
    assert "5 of 6 runs are done, 1 failed" in page
    assert "cell 3: ValueError: 1 &lt; 2" in page
    assert "&lt;b&gt;" in page
    for link in re.findall(r'href="(runs/[^"]+)"', page):
        assert (results / link).is_file()
    # Seeds 0, 1, 2 end at 0.7, 0.8, 0.9: mean 0.8, standard deviation 0.1, t(2) = 4.3027; accuracy ends at 1.
    assert "55.16% to 100.00%" in page
