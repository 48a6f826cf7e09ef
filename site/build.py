"""Build the web book: python site/build.py [FOLDER]. `make site` does it, into build/site."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from alhelpers.files import replacing

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent
# Pages, and what they may link to or show. Sphinx wants all of it under one folder, with index.md at its top.
SOURCES = (
    "README.md", "C*.md", "LICENSE*", "CITATION.cff", "notebooks/[0-9][0-9]_*.ipynb",
    "docs/*.*", "benchmarks/*.*", "alhelpers/**/*.md", "alhelpers/**/*.py",
    "workshop/*.md", "workshop/*.html", "workshop/*/*.ipynb",
)  # fmt: skip


def build(out: Path) -> None:
    """Write the book to a folder that appears whole, in place of an earlier one. A warning is an error."""
    with replacing(out) as pages, tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch) / "sources"
        for path in (path for pattern in SOURCES for path in ROOT.glob(pattern)):
            if not path.is_file():  # JupyterLab's folders of checkpoints
                continue
            copy = sources / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        shutil.copy(SITE / "index.md", sources)
        options = ["--quiet", "--fail-on-warning", f"--conf-dir={SITE}", f"--doctree-dir={scratch}/doctrees"]
        if build_main([*options, str(sources), str(pages)]):
            raise ValueError(f"{out} was not built, for the reason above")
        command = [sys.executable, SITE / "try" / "build.py", pages / "try.html", "index.html"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    try:
        build(folder)
    except (OSError, ValueError, subprocess.CalledProcessError) as problem:
        sys.exit(f"alhelpers: {problem}")
    print(f"Open {folder / 'index.html'}, or serve it: python -m http.server --directory {folder}")
