"""What all tests share, the notebooks' cells among them: a kernel gets a second chance, a hang no company."""

import contextlib
import os

import psutil
import pytest

import alhelpers  # noqa: F401 - sets what NumPy reads, here and in the kernels that tests start

# Two processes run tests, as a rule on two processors. A second thread in each, or in the kernels that they
# start, costs more than it gains, and many times as much where something else is at work.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SLOW = {"executed", "answered", "tmp_path"}
"""Fixtures of tests that run notebooks."""
LONGEST_FIRST = (
    "test_sweep.py", "test_exact.py", "test_experiments.py", "test_try.py", "test_site.py",
    "test_workshop.py", "08_results.ipynb", "test_notebooks.py", "test_label_in_browser.py",
    "test_widget_in_browser.py", "test_cli.py", "test_doctor.py", "test_slides.py", "test_entry.py",
    "07_auto_labeling.ipynb",
)  # fmt: skip
"""Files that take ten seconds and more; begun last, one would keep one process busy after the others."""


def pytest_configure(config: pytest.Config) -> None:
    """Have nbval compare figures, too, and start a kernel again, once, that does not start.

    Under load one in hundreds does not.
    """
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval import plugin

    class Kernel(plugin.RunningKernel):
        def __init__(self, *arguments: object, **settings: object) -> None:
            try:
                super().__init__(*arguments, **settings)
            except RuntimeError:
                if hasattr(self, "km"):
                    self.km.shutdown_kernel(now=True)
                super().__init__(*arguments, **settings)

    plugin.RunningKernel = Kernel

    compare_texts = plugin.IPyNbCell.compare_outputs

    def compare_outputs(cell: plugin.IPyNbCell, fresh: list, committed: list) -> bool:
        if not compare_texts(cell, fresh, committed):
            return False
        from alhelpers.models import engine
        from tests.figures import differences  # not before a notebook is run: these load much

        # NumPy gives the same tables, but in figures a last digit may put an image or a point elsewhere.
        if engine() != "tensorflow":
            return True
        figures = (
            [one for one in shown if "image/png" in one.get("data", {})] for shown in (fresh, committed)
        )
        for pair in zip(*figures, strict=True):
            cell.comparison_traceback += differences(*pair)
        return not cell.comparison_traceback

    plugin.IPyNbCell.compare_outputs = compare_outputs


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as quick the notebooks' cells, and of the tests those that look at notebooks and run none.

    Where several processes share the files, put the longest first.
    """
    for item in items:
        about_notebooks = item.path.name in ("test_house.py", "test_notebooks.py", "test_workshop.py")
        if item.path.suffix == ".ipynb" or (about_notebooks and not SLOW & set(item.fixturenames)):
            item.add_marker("quick")
    if hasattr(config, "workerinput"):  # pytest-xdist's
        place = {name: k for k, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> object:
    """End what a test that timed out has started, however far down: it would take the others' time."""
    report = yield
    if call.excinfo and "from pytest-timeout" in str(call.excinfo.value):
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # pytest puts the running test there, and whatever is started inherits it.
                started_by = process.environ().get("PYTEST_CURRENT_TEST")
                if started_by == f"{item.nodeid} ({call.when})" and process.pid != os.getpid():
                    process.kill()
    return report
