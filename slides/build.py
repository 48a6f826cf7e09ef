"""Make slides of the notebooks: python slides/build.py [FOLDER]. `make slides` does it, into build/slides.

The notebooks need no tags. By default:

- a heading begins a slide, and its title stays until the next heading;
- a figure stands below no more than two rows of text and above the sentence that says what to see; the code
  that drew it is a note;
- lists, tables and formulas are shown, and of a paragraph the sentences that fit into 40 words;
- code is shown with what it printed, if both fit on a slide; else only what it printed is. Parameters and
  imports are notes;
- a long output goes on over more slides, below the heading of the lines that follow; only of a loop's rounds,
  which all begin alike, the first and the last lines are shown;
- what does not fit goes to one more slide with the same title, unless it is a single short line;
- whatever is left out or shortened is in the speaker's notes, whole.

A cell with the usual metadata {"slideshow": {"slide_type": …}} is shown whole where that says: "slide" and
"subslide" begin a slide, "fragment" waits for a key, "-" goes on, "notes" and "skip" do what they say.
"""

import base64
import copy
import math
import mimetypes
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import nbformat
from docutils.utils.math.latex2mathml import tex2mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from pygments.formatters import HtmlFormatter

from alhelpers.files import replacing
from alhelpers.running.notebooks import find_notebooks

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# What fits below the title at 1280 × 720 and 28 pixels, in rows of prose; a test looks whether it does.
ROWS, PROSE_COLUMNS, CODE_COLUMNS = 14, 72, 66
GAP = 0.6  # between two blocks, in rows
OUTPUT_ROWS = 12
LEAD = 2  # rows that may stand above a figure
WORDS, CAPTION_WORDS = 40, 60


@dataclass
class Slide:
    """A title, what is shown below it, and what is only said."""

    title: str
    cells: list[NotebookNode] = field(default_factory=list)
    notes: list[NotebookNode] = field(default_factory=list)
    rows: float = 0  # taken so far


def blocks(source: str) -> list[str]:
    """A Markdown cell's blocks: what blank lines separate, but a fenced block of code stays whole."""
    fence = re.compile(r"(```.*?```)", re.DOTALL)
    parts = ([part] if part.startswith("```") else re.split(r"\n\s*\n", part) for part in fence.split(source))
    return [block.strip() for part in parts for block in part if block.strip()]


def rows_of(text: str, columns: int) -> int:
    """The rows that lines of text take when they are wrapped."""
    return sum(max(1, math.ceil(len(line) / columns)) for line in text.splitlines())


def is_listed(block: str) -> bool:
    """Whether a block is a list, a table, an image or code, which is shown at any length."""
    return bool(re.match(r"([-*] |\d+\. |\||!\[|```)", block))


def height(block: str) -> float:
    """About how many rows a block of Markdown takes."""
    if block.startswith("|"):
        return sum(
            1.25 * math.ceil(len(row) / 62) for row in block.splitlines() if not set(row) <= set("|-: ")
        )
    if block.startswith("```"):
        return rows_of(block, CODE_COLUMNS)
    plain = re.sub(
        r"\]\([^)]*\)|\*\*|\\quad|[\\$`]", "", block
    )  # links, bold and TeX take less room than signs
    if is_listed(block):
        items = re.split(r"\n(?=[-*] |\d+\. )", plain)
        return sum(rows_of(" ".join(item.split()), PROSE_COLUMNS - 3) for item in items)
    return rows_of(" ".join(plain.split()), PROSE_COLUMNS)


def beginning(paragraph: str, most: int) -> str:
    """As many sentences of a paragraph as have no more than so many words together; nothing if none has."""
    italic = paragraph.startswith("*What")
    words = " ".join(paragraph.strip("*" if italic else " ").split())
    taken = ""
    for sentence in re.split(r"(?<=[.?!:;])(?<!vs\.)(?<!al\.) (?=[A-Z*`(])", words):
        if len(f"{taken} {sentence}".split()) > most:
            break
        taken = f"{taken} {sentence}".strip()
    taken = re.sub(r"[:;]$", ".", taken)
    return f"*{taken}*" if italic and taken else taken


def is_code(cell: NotebookNode) -> bool:
    """Whether a cell is code, which comes last in the notes: a speaker looks for what to say."""
    return cell.cell_type == "code"


def is_setting_up(cell: NotebookNode) -> bool:
    """Whether a code cell is for the computer only: parameters, or imports that print nothing."""
    return "parameters" in cell.metadata.get("tags", ()) or (
        not cell.outputs and re.search(r"^check_parameters\(\)", cell.source, re.MULTILINE) is not None
    )


def texts(cell: NotebookNode) -> list[NotebookNode]:
    """The outputs of a cell that are text and no figure."""
    return [out for out in cell.outputs if "image/png" not in out.get("data", {})]


def figures(cell: NotebookNode) -> list[NotebookNode]:
    """The outputs of a cell that are figures."""
    return [out for out in cell.outputs if "image/png" in out.get("data", {})]


def squeezed(printed: str) -> str:
    """A printed table without the room between its columns that every line leaves, if it is too wide."""
    lines = printed.rstrip("\n").splitlines()
    width = max(map(len, lines), default=0)
    if width <= CODE_COLUMNS:
        return printed
    lines = [line.ljust(width) for line in lines]
    blank = [all(line[k] == " " for line in lines) for k in range(width)]
    kept = [k for k in range(width) if not (k > 1 and blank[k] and blank[k - 1] and blank[k - 2])]
    return "\n".join("".join(line[k] for k in kept).rstrip() for line in lines)


def printed_by(cell: NotebookNode) -> str:
    """All that a cell printed, its tables squeezed to the width of a slide."""
    parts = [out.get("text") or out.data.get("text/plain", "") for out in texts(cell)]
    return "\n".join(squeezed(part).rstrip("\n") for part in parts)


def paged(printed: str, most: int = OUTPUT_ROWS) -> list[str]:
    """What was printed, in pages of so many rows.

    Nothing is left out, except the middle of a loop whose rounds all begin alike. A line without indentation
    is the heading of indented lines below it, and one that begins with much room that of columns; a page that
    would begin below its heading begins with it again.
    """
    if rows_of(printed, CODE_COLUMNS) <= most:
        return [printed]
    lines = printed.splitlines()
    if len(lines) > 6 and len({re.sub(r"[\d.,]+", "#", line).partition(":")[0] for line in lines}) == 1:
        pages = ["\n".join([*lines[:kept], "…", *lines[-kept:]]) for kept in (3, 2, 1)]
        return [next((page for page in pages if rows_of(page, CODE_COLUMNS) <= most), pages[-1])]
    # As few pages as can be, and then as even as can be: no row stands alone because it came last.
    fewest = len(split(lines, most))
    return next(pages for rows in range(1, most + 1) if len(pages := split(lines, rows)) == fewest)


def split(lines: list[str], most: int) -> list[str]:
    """Pages of no more than so many rows, each with the heading of its first line."""
    columns = lines[:1] if lines[0].startswith(" " * 5) else []
    pages, page, heading = [], [], columns
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not columns and not line.startswith(" "):
            heading = [line] if following.startswith(" ") else []
        is_heading = heading == [line]
        together = [*page, line, following] if is_heading else [*page, line]
        if page and rows_of("\n".join(together), CODE_COLUMNS) > most:
            pages.append("\n".join(page))
            page = [] if is_heading else [*heading]
        page.append(line)
    return [*pages, "\n".join(page)]


def is_text(cell: NotebookNode) -> bool:
    """Whether a cell of a slide is a paragraph."""
    return cell.cell_type == "markdown" and not is_listed(cell.source) and not cell.metadata.get("caption")


class Deck:
    """The slides of one notebook."""

    def __init__(self, notebook: NotebookNode) -> None:
        self.slides: list[Slide] = []
        self.after_a_figure = False
        for cell in notebook.cells:
            self.add(cell)
        for before, slide in zip(self.slides[:-1], self.slides[1:], strict=True):
            if slide.title == before.title and slide.rows <= 2 + GAP and all(map(is_text, slide.cells)):
                before.notes += [*slide.cells, *slide.notes]
                slide.cells, slide.notes = [], []
        self.slides = [slide for slide in self.slides if slide.cells or slide.notes]

    @property
    def last(self) -> Slide:
        """The slide that is being filled."""
        return self.slides[-1]

    def begin(self, title: str | None = None) -> None:
        """Begin a slide, under the same title unless there is a new one."""
        if title is not None or not self.slides or self.last.cells:
            self.slides.append(Slide(title or (self.last.title if self.slides else "")))
            columns = 40 if self.last.title.startswith("# ") else 55
            self.last.rows = 1.1 * (rows_of(self.last.title, columns) - 1)
            self.last.rows += 2.5 * self.last.title.startswith("# ")  # larger, and further down
        self.after_a_figure = False

    def show(self, cell: NotebookNode, rows: float) -> None:
        """Put a cell on the slide, or on another one if it does not fit."""
        if self.after_a_figure or (self.last.cells and self.last.rows + rows > ROWS):
            self.begin()
        self.last.cells.append(cell)
        self.last.rows += rows + GAP

    def begin_figure(self) -> None:
        """Begin a slide for a figure, unless there is little on this one yet."""
        if self.after_a_figure or self.last.rows > LEAD + GAP or not all(map(is_text, self.last.cells)):
            self.begin()
        self.after_a_figure = True

    def add(self, cell: NotebookNode) -> None:
        """Add a cell as its metadata says, or by the rule."""
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if kind == "skip":
            return
        if not self.slides and not cell.source.startswith("#"):
            self.begin("")
        if kind == "notes":
            self.last.notes.append(cell)
        elif kind in ("slide", "subslide", "fragment", "-"):
            if kind.endswith("slide"):
                self.begin()
            cell = copy.deepcopy(cell)
            cell.metadata.fragment = kind == "fragment"
            if cell.cell_type == "markdown" and (heading := re.match(r"##? .*\n*", cell.source)):
                self.begin(heading[0].strip())
                cell.source = cell.source[heading.end() :]
            self.last.cells.append(cell)
        elif cell.cell_type == "markdown":
            for block in blocks(cell.source):
                self.add_block(block)
        elif cell.cell_type == "code":
            self.add_code(cell)

    def add_block(self, block: str) -> None:
        """Add a paragraph, a list, a table or a heading."""
        cell = new_markdown_cell(block)
        if re.match(r"##? ", block):
            self.begin(block)
        elif block.startswith("*What to see:") and self.after_a_figure:
            cell.source = beginning(block, CAPTION_WORDS)
            cell.metadata.caption = True
            self.last.cells.append(cell)
            if cell.source.split() != block.split():
                self.last.notes.append(new_markdown_cell(block))
        elif block.startswith("!["):
            self.begin_figure()
            self.last.cells.append(cell)
        elif block.startswith("**You will**"):  # a line for each of the three, as in the source
            cell.source = block.replace("\n**", "\n\n**")
            self.show(cell, height(cell.source) + 2 * GAP)
        elif is_listed(block):
            self.show(cell, height(block))
        else:
            if shown := beginning(block, WORDS):
                self.show(new_markdown_cell(shown), height(shown))
            if shown.split() != block.split():
                self.last.notes.append(cell)

    def add_code(self, cell: NotebookNode) -> None:
        """Add a cell of code and what it printed or drew."""
        if is_setting_up(cell):
            self.last.notes.append(cell)
            return
        short = copy.deepcopy(cell)
        short.source = re.sub(r"\n{3,}", "\n\n", cell.source)
        printed = printed_by(cell)
        pages = paged(printed) if printed else []
        outputs = [new_output("stream", text=page) for page in pages]
        code, rows = rows_of(short.source, CODE_COLUMNS), [rows_of(page, CODE_COLUMNS) for page in pages]
        if drawn := figures(cell):
            self.begin_figure()
            short.outputs = [*outputs, *drawn]
            short.metadata.figure = True
            self.last.cells.append(short)
            self.last.notes.append(cell)
        elif len(pages) < 2 and 1.5 + code + sum(rows) <= ROWS:
            short.outputs = outputs
            self.show(short, code + sum(rows) + (1.5 if rows else 0.8))
            if pages and pages != [printed]:
                self.last.notes.append(cell)
        else:
            for output, taken in zip(outputs, rows, strict=True):
                self.show(new_code_cell(outputs=[output]), taken + 0.8)
            self.last.notes.append(cell)


def as_notebook(deck: Deck) -> NotebookNode:
    """The slides as cells with marks for the template: where a slide and its notes begin and end."""
    cells = []
    for slide in deck.slides:
        parts = [(new_markdown_cell(slide.title), "title")] if slide.title else []
        # A few words alone are written large. (A first slide has a large title already.)
        statement = all(map(is_text, slide.cells)) and slide.rows < 6 and not slide.title.startswith("# ")
        parts += [(cell, "shown") for cell in slide.cells] + [
            (cell, "note") for cell in sorted(slide.notes, key=is_code)
        ]
        for k, (cell, part) in enumerate(parts):
            cell = copy.deepcopy(cell)
            cell.id = f"{len(cells)}"  # a code cell may be shown and noted
            cell.metadata.update(part=part, first=k == 0, last=k == len(parts) - 1, statement=statement)
            cell.metadata.first_note = part == "note" and (k == 0 or parts[k - 1][1] != "note")
            if part == "note" and cell.cell_type == "code":  # its figures are on the slide
                cell.outputs = texts(cell)
            cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


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
        if re.match(r"https?://", url):
            return super().link(text, url, title)
        if found := re.fullmatch(r"(\d\d_\w+)\.ipynb", url):
            return super().link(text, f"{found[1]}.html", title)
        return text


class SlidesExporter(HTMLExporter):
    """Nbconvert's HTML with a template that needs nothing from elsewhere."""

    def markdown2html(self, context: dict, source: str) -> str:
        """Called by the template."""
        path = context["resources"]["metadata"]["path"]
        renderer = Renderer(escape=False, exclude_anchor_links=True, path=path)
        return MarkdownWithMath(renderer=renderer).render(source)

    # Nbconvert asks for the template's context by this mark.
    markdown2html.jinja_pass_arg = HTMLExporter.markdown2html.jinja_pass_arg


def colours_of_code() -> str:
    """The style sheet of highlighted code, light and dark."""
    light, dark = (
        HtmlFormatter(style=f"a11y-high-contrast-{name}").get_style_defs(".highlight")
        for name in ("light", "dark")
    )
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def title_of(notebook: NotebookNode) -> str:
    """A notebook's first heading."""
    return re.match(r"# (.*)", notebook.cells[0].source)[1]


def pages(notebooks: list[Path]) -> Iterator[tuple[str, str]]:
    """Name and HTML of each notebook's slides, then of the list of them."""
    exporter = SlidesExporter(template_name="template", extra_template_basedirs=[str(HERE)])
    style = (HERE / "slides.css").read_text(encoding="utf-8")
    resources = {
        "style": style + colours_of_code(),
        "script": (HERE / "slides.js").read_text(encoding="utf-8"),
    }
    listed = ""
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        resources |= {"metadata": {"name": path.stem, "path": str(path.parent)}, "title": title_of(notebook)}
        html, _ = exporter.from_notebook_node(as_notebook(Deck(notebook)), resources)
        listed += f'<li><a href="{path.stem}.html">{escape(title_of(notebook))}</a></li>\n'
        yield f"{path.stem}.html", html
    index = (HERE / "index.html").read_text(encoding="utf-8")
    yield "index.html", index.replace("STYLE", style).replace("LISTED", listed)


def build(out: Path, notebooks: list[Path]) -> None:
    """Write the slides to a folder that appears whole, in place of an earlier one."""
    with replacing(out) as fresh:
        for name, html in pages(notebooks):
            (fresh / name).write_text(html, encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "slides").resolve()
    try:
        build(folder, find_notebooks())
    except (OSError, ValueError) as problem:
        sys.exit(f"alhelpers: {problem}")
    print(f"Open {folder / 'index.html'}; arrow keys turn the slides, N shows the notes")
