"""Build the web book: python site/build.py [FOLDER]. `make site` does it, into build/site."""

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent
# Pages, and what they may link to or show. Sphinx wants all of it under one folder, with index.md at its top.
SOURCES = (
    "README.md", "LICENSE*", "CITATION.cff", "notebooks/[0-9][0-9]_*.ipynb",
    "docs/*.*", "benchmarks/*.*", "alhelpers/*.md", "alhelpers/*.py", "workshop/*.md", "workshop/*/*.ipynb",
)  # fmt: skip


def build(out: Path) -> None:
    """Write the book to a folder that appears whole, in place of an earlier one. A warning is an error."""
    if out.exists() and not (out / "searchindex.js").is_file():
        sys.exit(f"{out} is not an earlier build of the site; name a new folder, or remove this one")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        sources, pages = Path(scratch) / "sources", Path(scratch) / "pages"
        for path in (path for pattern in SOURCES for path in ROOT.glob(pattern)):
            if not path.is_file():  # JupyterLab's folders of checkpoints
                continue
            copy = sources / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        shutil.copy(SITE / "index.md", sources)
        options = ["--quiet", "--fail-on-warning", f"--conf-dir={SITE}", f"--doctree-dir={scratch}/doctrees"]
        if build_main([*options, str(sources), str(pages)]):
            sys.exit(f"{out} was not built, for the reason above")
        if out.exists():
            out.rename(Path(scratch) / "old")
        pages.rename(out)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    build(folder)
    print(f"Open {folder / 'index.html'}, or serve it: python -m http.server --directory {folder}")
