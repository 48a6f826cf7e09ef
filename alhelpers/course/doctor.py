"""Check that everything the tutorial needs is here and works, and say what to do where it does not.

This module starts on Pythons that are too old and without a single package, so that it can say so.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Mapping

from alhelpers.course import advice, kernel, machine
from alhelpers.course.advice import Problem


def examine() -> int:
    """Make every check and print a line for each; return 0 if all are well, otherwise 1."""
    if hasattr(sys.stdout, "reconfigure"):  # a path may have letters that this terminal does not
        sys.stdout.reconfigure(errors="replace")
    failed = [name for name, check in CHECKS.items() if not _passes(name, check)]
    if failed:
        end = f"Not well: {', '.join(failed)}; the lines above say what to do."
    elif (advice.REPOSITORY / "notebooks").is_dir():
        end = "All is well; `make run` or `alhelpers run` runs the notebooks."
    else:
        end = (
            "All is well. Outside a clone, `alhelpers run` and `alhelpers sweep` work with notebooks that "
            "you name; the tutorial's own, `alhelpers exact` and `make` are in a clone of the project."
        )
    print(textwrap.fill(end, 79))
    return 1 if failed else 0


def _passes(name: str, check: Callable[[], str]) -> bool:
    command = ""
    try:
        status, sentence = "ok", check()
    except Problem as problem:
        status, sentence, command = "FAILED", str(problem), problem.command
    except ImportError as error:
        status, sentence = "FAILED", f"cannot be checked ({error}); do first what the line of packages says"
    except Exception as error:
        status = "FAILED"
        sentence = f"the check itself broke, which is worth a report: {type(error).__name__}: {error}"
    sentence = " ".join(sentence.split())
    layout = {"subsequent_indent": " " * 19, "break_long_words": False, "break_on_hyphens": False}
    print(textwrap.fill(sentence, 79, initial_indent=f"{status:<7}{name:<12}", **layout))
    if command:
        print(f"  {command}")
    sys.stdout.flush()
    return status == "ok"


CHECKS: Mapping[str, Callable[[], str]] = {
    "Python": machine.check_python,
    "packages": machine.check_packages,
    "data": machine.check_data,
    "memory": machine.check_memory,
    "disk": machine.check_disk,
    "folders": machine.check_folders,
    "home": machine.check_home,
    "port": machine.check_port,
    "imports": kernel.check_imports,
    "kernel": kernel.check_kernel,
    "widget": kernel.check_widget,
    "engine": kernel.check_engine,
}
