"""Start notebook kernels by forking a process that has TensorFlow loaded, where the system can fork.

`python -m alhelpers.running.kernels` is that process, the *fork server*. It imports what notebooks import,
runs nothing, holds one thread, and forks a kernel for every request. Each kernel begins as a copy of the same
untouched process, so none can see what another did; only the imports are shared.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ClassVar, TypeVar
from unittest.mock import patch

import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

CAN_FORK = sys.platform == "linux" and os.environ.get("ALHELPERS_FORK") != "0"
"""Elsewhere forking is missing (Windows) or unsafe after TensorFlow's import (macOS)."""
FORK_SECONDS = 120
"""How long to wait for a fork server that imports or forks."""

# What a kernel imports while it starts, then what the tutorial's notebooks import.
_PRELOADED = [
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.debugger"),
    *("IPython.core.completerlib", "IPython.core.debugger", "IPython.extensions.storemagic"),
    *("scipy.cluster.vq", "scipy.optimize", "alhelpers.article", "alhelpers.progress", "alhelpers.learner"),
    *("alhelpers.parameters", "alhelpers.plots"),
]


class ForkServer:
    """A running fork server. Starts at the first request, and again should it have died.

    It looks for no modules in the caller's folder (-P), where a file may be called random.py.
    """

    command = (sys.executable, "-P", "-m", "alhelpers.running.kernels")

    def __init__(self) -> None:
        self.works = CAN_FORK
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Let the fork server begin its imports, where this system can fork, without waiting for them."""
        if self.works:
            with self._lock:
                self._ensure_started()

    def fork(self, arguments: list[str], cwd: str, env: dict[str, str], scratch: Path | None = None) -> int:
        """Fork a kernel with these command line arguments; return its process id.

        The folder `scratch` is removed should this process be killed. Raises OSError if the fork server
        cannot be started.
        """
        request = {"arguments": arguments, "cwd": cwd, "env": env, "scratch": str(scratch or "")}
        request = json.dumps(request).encode() + b"\n"
        with self._lock:
            for _ in range(2):  # it may have been killed since the last request
                if ENDING.is_set():
                    raise RuntimeError("no kernel starts while all are being ended")
                self._ensure_started()
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.write(request)
                    self._process.stdin.flush()
                    answers = self._process.stdout
                    if select.select([answers], [], [], FORK_SECONDS)[0] and (answer := answers.readline()):
                        return int(answer)
                self._stop()
        self.works = False
        raise OSError(
            "the process that forks kernels ends at once; see why with `python -m alhelpers.running.kernels`"
        )

    def _ensure_started(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the process that asked
            )
            atexit.register(self._stop)  # registered once more after a restart, which does no harm

    def close(self) -> None:
        """End it, and with it its kernels, which watch their parent."""
        if process := self._process:
            process.kill()  # whoever has the lock may be waiting for it
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()  # it has nothing to put away
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):  # of a request that it did not read
                self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


class ForkedKernel:
    """A kernel that is a child of the fork server, with the part of `subprocess.Popen` that Jupyter uses."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid, self._process = pid, None
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            self._process = psutil.Process(pid)  # which sees when its number goes to another process

    def poll(self) -> int | None:
        """None while it runs; its exit code is the fork server's secret, so 0 afterwards."""
        process = self._process
        try:
            # Its number stays in use where nobody asks for its exit code.
            runs = process and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return 0
        except (psutil.AccessDenied, OSError):  # nobody can say so just now, as with too many open files
            return None
        return None if runs else 0

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return 0

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it may end between the two
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


SERVER = ForkServer()
ENDING = threading.Event()
"""Set while all kernels of this process are being ended, so that none starts."""


class ForkProvisioner(LocalProvisioner):
    """Has kernels forked instead of started; known to Jupyter by its entry point in pyproject.toml."""

    async def launch_kernel(self, cmd: list[str], **kwargs: object) -> dict:
        """Fork a kernel for the connection file that `cmd` names."""
        # cmd is `python -m ipykernel_launcher -f FILE …`.
        try:
            cwd = str(kwargs.get("cwd") or os.getcwd())
            self.pid = SERVER.fork(cmd[3:], cwd, kwargs["env"], self.parent.scratch)
        except OSError:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = ForkedKernel(self.pid)
        self.pgid = self.pid  # it leads a group of its own
        return self.connection_info


class TrackedKernelManager(AsyncKernelManager):
    """Manages a kernel as its base class does; `end_kernels` finds it.

    Its connection file is where the caller says: the user's own folder may not be writable, and a killed
    process would leave it there.
    """

    known: ClassVar[weakref.WeakSet] = weakref.WeakSet()
    file: ClassVar[Path]
    scratch: ClassVar[Path | None]

    def __init__(self, **kwargs: object) -> None:
        super().__init__(connection_file=str(self.file), **kwargs)
        if SERVER.works:
            self.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": "alhelpers-fork"}
        self.known.add(self)


def kernel_manager_class(file: Path, scratch: Path | None = None) -> type[AsyncKernelManager]:
    """A class of kernel managers, the quickest there is on this system.

    `file` is its kernel's connection file; the folder `scratch` goes should this process be killed.
    """
    base = TrackedKernelManager
    return type(base)(base.__name__, (base,), {"file": file, "scratch": scratch})


def end_kernels() -> None:
    """End all kernels of this process at once, and the fork server. While `ENDING` is set, none starts."""
    SERVER.close()
    for manager in list(TrackedKernelManager.known):
        process = getattr(manager.provisioner, "process", None)
        with contextlib.suppress(OSError):  # it has ended since
            if process and process.poll() is None:
                process.kill()


Task = TypeVar("Task")
Result = TypeVar("Result")


def with_kernels(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Result]]:
    """Yield each task and work(task), as they end, at most `jobs` at a time.

    `work` runs a notebook: that is done by its kernel, and a thread only talks to it. The kernels share the
    processors; accuracies are the same. If the iterator is closed or interrupted, all kernels end.
    """
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    share = dict.fromkeys(("TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    ENDING.clear()
    waiting, running = iter(tasks), {}
    done: SimpleQueue[Future] = SimpleQueue()
    at_work: list[object] = []  # kept by the threads: Ctrl-C may come before a future is in `running`

    def one(task: Task) -> Result:
        at_work.append(None)
        try:
            return work(task)
        finally:
            at_work.pop()

    pool = ThreadPoolExecutor(jobs)
    try:
        with patch.dict(os.environ, share | os.environ):
            while True:
                for task in islice(waiting, 2 * jobs - len(running)):
                    future = pool.submit(one, task)
                    running[future] = task
                    future.add_done_callback(done.put)
                if not running:
                    return
                try:  # `as_completed` and `wait` turn a Ctrl-C in the wrong moment into a RuntimeError
                    ended = done.get(timeout=2)  # now and then, for where Ctrl-C does not end a wait
                except Empty:
                    continue
                yield running.pop(ended), ended.result()
    finally:
        # What still runs was interrupted; the threads that wait for it would hold up the end.
        ENDING.set()
        pool.shutdown(wait=False, cancel_futures=True)
        end_kernels()
        # Ends: papermill notices within seconds that a kernel is dead, and gives one that starts a minute.
        while at_work:
            time.sleep(0.1)
            end_kernels()  # one that was about to start
        ENDING.clear()


def _serve() -> None:
    """Import what notebooks need, then fork a kernel for each line on standard input, until it ends."""
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    # As ipykernel sets it before a notebook can import matplotlib.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # OpenBLAS starts its threads when it is loaded, and a process with threads cannot be forked.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # or ipykernel's debugger warns of frozen modules

    from alhelpers.models import ENGINES, engine  # NumPy reads the environment when it is imported

    for name in (*_PRELOADED, ENGINES[engine()]):
        importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("an import has started a thread, so no kernel can be forked")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # kernels that end leave no zombie behind
    gc.collect()
    gc.freeze()
    forked: list[tuple[ForkedKernel, str]] = []
    for line in sys.stdin:
        request = json.loads(line)
        scratch = request.pop("scratch")
        pid = os.fork()
        if not pid:
            os.close(answers)
            os.dup2(null, 0)
            os.dup2(null, 2)  # what it logs at its end, of interrupts; a notebook's own stderr is captured
            _become_kernel(**request)
        forked = [each for each in forked if each[0].poll() is None or os.path.isdir(each[1])]
        forked.append((ForkedKernel(pid), scratch))
        try:
            os.write(answers, b"%d\n" % pid)
        except BrokenPipeError:
            break
    # The process that asked is gone, and nobody else will put away what it had.
    for kernel, scratch in forked:
        if kernel.poll() is None:
            for end in (os.killpg, os.kill):  # just forked, it leads no group yet; or it has ended since
                with contextlib.suppress(ProcessLookupError):
                    end(kernel.pid, signal.SIGKILL)
        shutil.rmtree(scratch, ignore_errors=True)


def _become_kernel(arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(cwd)
    sys.path.insert(0, "")  # as a kernel has it that was not forked
    os.environ.update(env)
    sys.argv = ["ipykernel_launcher", *arguments]
    # Python seeds its own generator anew after a fork, NumPy does not.
    np.random.seed()  # noqa: NPY002 - the old generator is the one that is global
    # The kernel ends when its parent does.
    IPKernelApp.launch_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
    sys.exit()


if __name__ == "__main__":
    _serve()
