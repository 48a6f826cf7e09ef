"""What the doctor looks at in kernels and in what they import: whether notebooks run here, and exactly."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from alhelpers import article
from alhelpers.arithmetic import SAME_KERNELS
from alhelpers.course import advice
from alhelpers.course.advice import Problem

# A laptop that scans every new file for viruses needs many times the two and five seconds that are usual.
KERNEL_SECONDS = 60
ENGINE_SECONDS = 180
_PACKAGES = ("numpy", "scipy", "matplotlib", "tensorflow", "papermill", "IPython", "ipykernel")
_PACKAGE = Path(__file__).resolve().parents[1]


def check_imports() -> str:
    """Nothing hides Python's own modules, the packages or this alhelpers from notebooks."""
    if hiding := [advice.short(path) for path in _hiding()]:
        raise Problem(f"{advice.few(hiding)} hides the module of that name from notebooks; rename it")
    installed = _installed()
    if installed and installed != _PACKAGE:
        raise Problem(
            f"alhelpers is imported from {_PACKAGE}, because of PYTHONPATH or the folder this is, and "
            f"{installed} is installed; unset PYTHONPATH, or install this one:",
            _install_this(_PACKAGE.parent),
        )
    places = {name: Path(spec.origin) for name in _PACKAGES if (spec := find_spec(name)) and spec.origin}
    prefixes = (sys.prefix, sys.base_prefix)
    for name, place in places.items():
        if not any(place.is_relative_to(prefix) for prefix in prefixes):
            raise Problem(
                f"{name} is imported from {place}, which is not this environment's; unset PYTHONPATH"
            )
    numpy = f", NumPy from {places['numpy'].parent}" if "numpy" in places else ""
    return f"alhelpers from {_PACKAGE}{numpy}{_own_settings() if 'matplotlib' in places else ''}"


def _own_settings() -> str:
    """A matplotlibrc of the user's, which changes other figures but not the tutorial's."""
    import matplotlib

    own = Path(matplotlib.matplotlib_fname())
    if own.is_relative_to(Path(matplotlib.__file__).parent):
        return ""
    return f"; {advice.short(own)} changes figures of your own, but none of the tutorial's"


def _hiding() -> Iterator[Path]:
    """Modules in folders that notebooks look into first, with the name of one that they, or Jupyter, need."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    needed = sys.stdlib_module_names | {*_PACKAGES, *metadata.packages_distributions()}
    needed -= {"alhelpers", "test", "tests"}
    for folder in dict.fromkeys([Path.cwd(), advice.REPOSITORY / "notebooks", *map(Path, given)]):
        for path in sorted(folder.glob("*")):
            if path.stem in needed and (path.suffix == ".py" or (path / "__init__.py").exists()):
                yield path


def _installed() -> Path | None:
    """The folder of the alhelpers that this environment has, wherever this one is from."""
    for found in metadata.distributions(name="alhelpers"):
        told = json.loads(found.read_text("direct_url.json") or "{}")
        if told.get("dir_info", {}).get("editable"):
            return Path(url2pathname(urlparse(told["url"]).path)).resolve() / "alhelpers"
        return Path(str(found.locate_file("alhelpers"))).resolve()
    return None


def check_kernel() -> str:
    """A kernel starts as in JupyterLab, is of this environment, finds alhelpers and prints nothing."""
    renew = f"{advice.python()} -m ipykernel install --sys-prefix"
    if not find_spec("ipykernel"):
        command = advice.install_command()
        raise Problem("ipykernel is missing, and without it no notebook runs; mend with:", command)
    from jupyter_client.kernelspec import get_kernel_spec

    begin = time.monotonic()
    try:
        spec = get_kernel_spec("python3")
    except Exception as error:  # whatever is in that file
        raise Problem(
            f"the kernelspec python3 cannot be read ({error}); write it anew with:", renew
        ) from None
    file = advice.short(Path(spec.resource_dir) / "kernel.json")
    own = [advice.short(path) for path in _startup_files()]
    with tempfile.TemporaryFile() as log:
        try:
            prefix, place, printed = _ask_kernel(log)
        except FileNotFoundError:
            raise Problem(
                f"{file} starts {spec.argv[0]}, which is not there; write it anew:", renew
            ) from None
        except (RuntimeError, TimeoutError) as error:  # one exception of Jupyter for both of these
            if "died" in str(error):
                log.seek(0)
                why = advice.last_line(log.read()) or "without a word"
                if own:
                    raise Problem(
                        f"a kernel ends at once ({why}), and IPython runs {advice.few(own)} at its start; "
                        "move that away, and ask again"
                    ) from None
                raise Problem(
                    f"the kernel that {file} names ends at once ({why}); write it anew with:", renew
                ) from None
            raise Problem(
                f"a kernel has started and not answered within {KERNEL_SECONDS} seconds; let the firewall "
                "allow Python connections within this machine, or wait until it is less busy"
            ) from None
        except OSError as error:
            raise Problem(
                f"no kernel can be started ({error}); set JUPYTER_RUNTIME_DIR to a folder you can write to"
            ) from None
    if Path(prefix).resolve() != Path(sys.prefix).resolve():
        raise Problem(f"{file} starts a kernel of {prefix}, another environment; write it anew with:", renew)
    if not place:
        raise Problem(
            "the kernel does not find alhelpers; install it from the repository's folder with:",
            _install_this("."),
        )
    if Path(place).resolve() != _PACKAGE / "__init__.py":
        raise Problem(
            f"the kernel imports alhelpers from {Path(place).parent}, and this is {_PACKAGE}; install one"
        )
    if printed:
        raise Problem(f"the first import prints {printed!r}, which notebooks would show; do what it says")
    first = f"; IPython runs {advice.few(own)} first" if own else ""
    return f"started and answered after {time.monotonic() - begin:.1f} seconds{first}"


def _install_this(folder: Path | str) -> str:
    return f"{advice.python()} -m pip install --no-deps --no-build-isolation -e {advice.short(folder)}"


def _startup_files() -> list[Path]:
    """What IPython runs at the start of every kernel because the user has put it there."""
    folder = Path(os.environ.get("IPYTHONDIR") or Path.home() / ".ipython") / "profile_default"
    return sorted(
        path for name in ("startup/*.py", "startup/*.ipy", "ip*_config.py") for path in folder.glob(name)
    )


# By a kernel's side: its environment's folder and where it finds alhelpers.
_QUESTION = """__import__("json").dumps([
    __import__("sys").prefix,
    getattr(__import__("importlib.util").util.find_spec("alhelpers"), "origin", None),
])"""


def _ask_kernel(log: object) -> tuple[str, str | None, str]:
    """Start a kernel, ask for its environment's folder, where it finds alhelpers, and what an import prints.

    Raises OSError if it cannot be started, RuntimeError or TimeoutError if it dies or does not answer.
    """
    from jupyter_client.manager import run_kernel

    notebooks = advice.REPOSITORY / "notebooks"
    folder = notebooks if notebooks.is_dir() else Path.cwd()
    settings = {"stdout": subprocess.DEVNULL, "stderr": log, "extra_arguments": ["--log-level=ERROR"]}
    settings |= {"cwd": str(folder), "startup_timeout": KERNEL_SECONDS}
    question = {"user_expressions": {"it": _QUESTION}, "timeout": KERNEL_SECONDS}
    printed = []

    def listen(message: dict) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    client: Any  # that of a blocking manager, which Jupyter makes out of others when it runs
    with run_kernel(kernel_name="python3", **settings) as client:
        reply = client.execute_interactive("import alhelpers.plots", output_hook=listen, **question)
        # If not, it has another environment, without alhelpers or its packages.
        if reply["content"]["status"] != "ok":
            reply = client.execute("", reply=True, **question)
    answer = reply["content"]["user_expressions"]["it"]["data"]["text/plain"]
    prefix, place = json.loads(answer.strip("'"))
    return prefix, place, " ".join("".join(printed).split())[:200]


def check_widget() -> str:
    """JupyterLab has the front end of the widget that notebook 12 asks a person with."""
    if not find_spec("anywidget"):
        return "not installed; notebook 12 asks a person only with it: pip install anywidget pillow pyarrow"
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    for name in ("@jupyter-widgets/jupyterlab-manager", "anywidget"):
        if not any(
            (Path(folder) / name / "package.json").exists() for folder in jupyter_path("labextensions")
        ):
            raise Problem(
                f"JupyterLab lacks the extension {name}, without which notebook 12 shows no images to label; "
                "mend with:",
                f"{advice.python()} -m pip install --force-reinstall --no-deps anywidget jupyterlab_widgets",
            )
        for folder in jupyter_config_path():
            config = Path(folder) / "labconfig" / "page_config.json"
            try:
                disabled = json.loads(config.read_text(encoding="utf-8")).get("disabledExtensions", {})
            except (OSError, ValueError, AttributeError):
                continue
            if name in disabled and (isinstance(disabled, list) or disabled[name]):
                raise Problem(
                    f"{advice.short(config)} disables the extension {name}, without which notebook 12 shows "
                    "no images to label; allow it:",
                    f"jupyter labextension enable {name}",
                )
    return "JupyterLab has what notebook 12 shows images with"


def check_engine() -> str:
    """The article's model trains as published. In a process of its own, should TensorFlow crash."""
    # This alhelpers, and no modules of this folder: `check_imports` names those.
    path = os.pathsep.join(filter(None, [str(_PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    program = [sys.executable, "-P", "-c", _ROUNDS]
    try:
        done = subprocess.run(
            program, capture_output=True, timeout=ENGINE_SECONDS, env=os.environ | {"PYTHONPATH": path}
        )
    except subprocess.TimeoutExpired:
        raise Problem(
            f"import and forty rounds took more than {ENGINE_SECONDS} seconds; ask again when the computer "
            "is less busy"
        ) from None
    said = done.stdout.decode(errors="replace").strip().split("\n")  # by whatever Python runs first, too
    version = next((line for line in said if line.startswith(("TensorFlow ", "NumPy "))), "")
    if done.returncode in _ILLEGAL_INSTRUCTION:
        raise Problem(
            "this processor lacks instructions that TensorFlow was built with; set ALHELPERS_ENGINE=numpy, "
            "which does without and gives the same figures"
        )
    if done.returncode:
        why = advice.last_line(done.stderr)
        if done.returncode < 0:
            why = f"ended by {signal.Signals(-done.returncode).name}"
            if why.endswith("SIGKILL"):
                raise Problem(f"{why}, as when memory runs short; close other programs, the browser first")
        if "UserError: " in why:  # a wrong ALHELPERS_ENGINE
            raise Problem(why.partition("UserError: ")[2])
        if "DLL load failed" in why:
            raise Problem(f"{why}; install Microsoft's Visual C++ Redistributable for x64")
        if version:
            reason = why.partition(advice.RESTORE)[0]
            raise Problem(f"{version} can be imported, but the first fit fails: {reason}")
        damaged = [] if "No module named" in why else ["--force-reinstall"]
        raise Problem(f"cannot be imported ({why}); mend with:", advice.install_command(*damaged))
    published = next(row for row in article.RESULTS if row.stage == "active")
    # What this package sets itself.
    own = {"TF_ENABLE_ONEDNN_OPTS": "0"} | SAME_KERNELS
    others = dict(os.environ.items() - own.items())
    settings = sorted(name for name in others if _SETTINGS.match(name))
    accuracy = said[-1]
    if float(accuracy) != published.accuracy:
        labels = f"with {published.n_labels} labels"
        what = f"{version} gives {accuracy} {labels}, the article {published.accuracy}"
        if settings:
            raise Problem(f"{what}; unset {advice.few(settings)}, and ask again")
        raise Problem(f'{what}; other figures will differ too (README: What "exact" means)')
    beside = f", with {advice.few(settings)} set" if settings else ""
    return f"{version}; {published.n_labels} labels give an accuracy of {accuracy}, as published{beside}"


# Ten labels give the published accuracy with settings that turn the last bits, too; forty rounds do not.
_ROUNDS = """
from importlib import import_module
from alhelpers import ActiveLearner, load_mnist
from alhelpers.models import ENGINES, engine
module = import_module(ENGINES[engine()])
print(f"TensorFlow {module.tf.__version__}" if engine() == "tensorflow" else "NumPy alone", flush=True)
learner = ActiveLearner(load_mnist())
for _ in range(40):
    learner.label_manually(10)
    learner.fit(verbose=False)
    learner.least_confident_first()
print(learner.history[-1].accuracy)
"""

# Variables that can change how an engine computes.
_SETTINGS = re.compile("TF_(XLA|ENABLE|DETERMINISTIC)|XLA_|OPENBLAS_CORETYPE|NPY_|NVIDIA_TF32|MKL_")

# How a process ends whose processor does not know an instruction: on Linux and macOS, and on Windows.
_ILLEGAL_INSTRUCTION = (-getattr(signal, "SIGILL", 4), 0xC000001D)
