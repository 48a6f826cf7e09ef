"""Work in several processes of one thread each: the products of one run are too small for a second thread."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from unittest.mock import patch

from alhelpers.arithmetic import SAME_KERNELS


def in_processes(function: Callable, items: Iterable, jobs: int | None = None) -> Iterator:
    """Yield function(item) for each item, in order, from worker processes of one thread each.

    `function` has to stand in a file, one that does nothing when it is imported. jobs=None takes a process
    for each processor.

    Raises ValueError for a function that stands in no file (a notebook, `python -c`), and RuntimeError if a
    worker process dies.
    """
    main = getattr(sys.modules["__main__"], "__file__", None)
    if function.__module__ == "__main__" and not (main and os.path.isfile(main)):
        raise ValueError(
            f"worker processes cannot import the function {function.__name__!r}, for it stands in no file; "
            "put it into a .py file, and import it from there or run that file"
        )
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Started anew rather than forked: a notebook that has run TensorFlow holds threads.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin_worker) as pool:
        with patch.dict(os.environ, ONE_THREAD | SAME_KERNELS):  # NumPy reads these when it is imported
            results = pool.map(function, list(items))  # starts the processes
        try:
            yield from results
        except BrokenProcessPool:
            raise RuntimeError(
                "a worker process ended before its work did: killed, out of memory (then take fewer jobs), "
                'or started by a script without `if __name__ == "__main__":`'
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    # Ctrl-C goes to the whole group; it is for the parent, which lets workers finish what they are at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()  # a parent that was killed cannot say that it is over
    os._exit(1)


ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
