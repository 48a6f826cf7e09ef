"""Make slides of the notebooks: python slides/build.py [FOLDER]. `make slides` does it, into build/slides.

Every cell says in its metadata where it goes, as Jupyter knows it. {"slideshow": {"slide_type": …}} is
"slide" or "subslide" to begin a slide, "-" to go on with it, "fragment" to wait for a key, "notes" to be said
and not shown, or "skip". Three tags say more:

- slides-code-in-notes: what the cell printed or drew is shown; its code is in the notes;
- slides-first-paragraph: the first paragraph below each heading is shown; the others are in the notes;
- slides-columns: what the cell printed stands in columns, for many short lines.

A heading within a cell begins a slide too, and is the title of all slides up to the next. No output is
shortened: text gets smaller where it does not fit, down to a limit, and what is longer still scrolls
(slides.js).
"""

import base64
import mimetypes
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import nbformat
from docutils.utils.math.latex2mathml import tex2mathml
from nbconvert import SlidesExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pygments.formatters import HtmlFormatter

from alhelpers.files import replacing
from alhelpers.running.notebooks import find_notebooks

HERE = Path(__file__).resolve().parent
BEGINNINGS = ("slide", "subslide")
KINDS = (*BEGINNINGS, "-", "fragment", "notes", "skip")


def sections(source: str) -> list[str]:
    """Markdown cut before each heading; a # in a fenced block of code is none."""
    masked = re.sub(r"^```.*?^```", lambda code: code[0].replace("#", "\0"), source, flags=re.M | re.S)
    return [part.replace("\0", "#") for part in re.split(r"^(?=##? )", masked, flags=re.M)]


def pieces(cell: NotebookNode, kind: str) -> Iterator[tuple[str, NotebookNode]]:
    """The parts of a cell that go to places of their own, each with its slide type."""
    tags = cell.metadata.get("tags", [])
    if cell.cell_type != "markdown":
        said = "slides-code-in-notes" in tags
        shown = "" if said else cell.source
        yield kind, new_code_cell(shown, outputs=cell.get("outputs", []), metadata={"tags": tags})
        if said:
            yield "notes", new_code_cell(cell.source)
        return
    for text in sections(cell.source):
        if heading := re.match("##? .*", text):
            yield "slide", new_markdown_cell(heading[0])
            text = text[heading.end() :]
            kind = "-" if kind in BEGINNINGS else kind
        cut = "\n\n" if "slides-first-paragraph" in tags else "\0"
        first, _, rest = text.strip().partition(cut)
        yield from ((to, new_markdown_cell(part)) for to, part in ((kind, first), ("notes", rest)) if part)


def slides_of(notebook: NotebookNode, name: str = "the notebook") -> NotebookNode:
    """The notebook as nbconvert is to see it: its cells in pieces, and a title on every slide.

    Raises ValueError if a cell does not say where it goes.
    """
    cells, title = [], ""
    for number, cell in enumerate(notebook.cells, 1):
        said = cell.metadata.get("slideshow", {}).get("slide_type")
        if said not in KINDS:
            raise ValueError(
                f"{name}: cell {number} has {said or 'no'} slide type; add to its metadata "
                '{"slideshow": {"slide_type": "-"}}, which goes on with the slide before, or one of '
                f"{', '.join(kind for kind in KINDS if kind != '-')}"
            )
        for kind, piece in pieces(cell, said) if said != "skip" else ():
            if heading := re.match("##? (.*)", piece.source if piece.cell_type == "markdown" else ""):
                title = heading[1]
            elif kind in BEGINNINGS:
                cells.append(new_markdown_cell(f"## {title}", metadata={"slideshow": {"slide_type": kind}}))
                kind = "-"
            piece.metadata.slideshow = {"slide_type": kind}
            cells.append(piece)
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


class Renderer(IPythonRenderer):
    """Markdown with formulas as MathML, which browsers render without a script."""

    def inline_math(self, body: str) -> str:
        """A formula in a line. Browsers put no space between log and its argument; TeX does."""
        applied = "<mo>&ApplyFunction;</mo>"
        return tex2mathml(body).replace(applied, applied + '<mspace width="0.17em"></mspace>')

    def block_math(self, body: str) -> str:
        """A formula of its own."""
        return tex2mathml(body, as_block=True)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """An image, put into the page; nbconvert does that only for files below the notebook's folder."""
        data = base64.b64encode((Path(self.path) / url).read_bytes()).decode()
        return super().image(text, f"data:{mimetypes.guess_type(url)[0]};base64,{data}", title)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """A link to another notebook leads to its slides; other files are not beside them."""
        url = re.sub(r"^(\d\d_\w+)\.ipynb$", r"\1.html", url)
        leads_on = re.match(r"https?://|\d\d_\w+\.html$", url)
        return super().link(text, url, title) if leads_on else text


class Exporter(SlidesExporter):
    """Nbconvert's slides with formulas and images that need nothing from elsewhere."""

    def markdown2html(self, context: dict, source: str) -> str:
        """Called by the template."""
        path = context["resources"]["metadata"]["path"]
        renderer = Renderer(escape=False, exclude_anchor_links=True, path=path)
        return MarkdownWithMath(renderer=renderer).render(source)

    # Nbconvert asks for the template's context by this mark.
    markdown2html.jinja_pass_arg = SlidesExporter.markdown2html.jinja_pass_arg


def pages(notebooks: list[Path]) -> Iterator[tuple[str, str]]:
    """Name and HTML of each notebook's slides, then of the list of them."""
    exporter = Exporter(template_name="template", extra_template_basedirs=[str(HERE)])
    style = (HERE / "slides.css").read_text(encoding="utf-8")
    light, dark = (
        HtmlFormatter(style=f"a11y-high-contrast-{name}").get_style_defs(".highlight")
        for name in ("light", "dark")
    )
    resources = {
        "style": f"{style}\n{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n",
        "script": (HERE / "slides.js").read_text(encoding="utf-8"),
    }
    listed = ""
    for path in notebooks:
        notebook = slides_of(nbformat.read(path, as_version=4), path.name)
        title = notebook.cells[0].source.lstrip("# ")
        resources |= {"metadata": {"name": path.stem, "path": str(path.parent)}, "title": title}
        listed += f'<li><a href="{path.stem}.html">{escape(title)}</a></li>\n'
        yield f"{path.stem}.html", exporter.from_notebook_node(notebook, resources)[0]
    index = (HERE / "index.html").read_text(encoding="utf-8")
    yield "index.html", index.replace("STYLE", style).replace("LISTED", listed)


def build(out: Path, notebooks: list[Path]) -> None:
    """Write the slides to a folder that appears whole, in place of an earlier one."""
    with replacing(out) as fresh:
        for name, html in pages(notebooks):
            (fresh / name).write_text(html, encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "build" / "slides").resolve()
    try:
        build(folder, find_notebooks())
    except (OSError, ValueError) as problem:
        sys.exit(f"alhelpers: {problem}")
    print(f"Open {folder / 'index.html'}; arrow keys turn the slides, N shows the notes")
