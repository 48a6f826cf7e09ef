"""The teacher's slides: every figure with its words, nothing lost or cut off, and nothing from elsewhere."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import sync_playwright

from alhelpers.running import notebooks as run

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "slides" / "build.py"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
PROJECTOR = {"width": 1280, "height": 720}

_spec = importlib.util.spec_from_file_location("slides_build", BUILD)
slides_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(slides_build)


def make_slides(out):
    return subprocess.run([sys.executable, BUILD, out], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "slides"
    outcome = make_slides(out)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert list(out.parent.iterdir()) == [out], "something is left beside the slides"
    return out


@pytest.fixture(scope="module")
def pages(slides):
    found = {path.name: path.read_text(encoding="utf-8") for path in slides.glob("*.html")}
    return {name: BeautifulSoup(text, "html.parser") for name, text in found.items()}


def deck(*cells):
    notebook = new_notebook(cells=[new_markdown_cell("# Title\n\nWords."), *cells])
    return slides_build.Deck(notebook).slides


@pytest.mark.parametrize("notebook", run.find_notebooks(), ids=lambda path: path.stem)
def test_every_figure_is_on_a_slide_with_its_words_and_all_prose_is_kept(pages, notebook):
    source, page = nbformat.read(notebook, as_version=4), pages[f"{notebook.stem}.html"]
    alts = []
    for cell in source.cells:
        if cell.cell_type == "markdown":
            alts += re.findall(r"!\[([^]]*)\]\(", cell.source)
        else:
            metadata = [output.get("metadata", {}) for output in cell.outputs]
            alts += [one["image/png"]["alt"] for one in metadata if "image/png" in one]
    shown = page.select("section > figure img, section > .text img")
    assert [image["alt"] for image in shown] == alts
    assert all(len(alt) > 20 for alt in alts)
    for image in page.select("section > figure"):
        following = image.find_next_sibling(["div", "aside"])
        assert following["class"] == ["caption"], f"no sentence says what to see in {image.img['alt']}"
        assert following.text.strip().startswith("What to see:")
    said = " ".join(page.main.text.split())
    for cell in source.cells:
        if cell.cell_type == "markdown":
            for block in slides_build.blocks(cell.source):
                plain = BeautifulSoup(render(block), "html.parser").text
                for line in filter(None, map(str.split, plain.splitlines())):
                    assert " ".join(line) in said, "left out of the slides and of the notes"


def render(block):
    if block.startswith("**You will**"):
        block = block.replace("\n**", "\n\n**")
    renderer = slides_build.Renderer(escape=False, exclude_anchor_links=True, path=str(run.NOTEBOOKS))
    return slides_build.MarkdownWithMath(renderer=renderer).render(block)


def test_slides_load_nothing_and_lead_somewhere(slides, pages):
    assert {f"{path.stem}.html" for path in run.find_notebooks()} | {"index.html"} == pages.keys()
    for name, page in pages.items():
        for tag in page.find_all(True):
            if tag.name != "a":
                addresses = [tag[key] for key in ("src", "href", "data", "srcset", "poster") if tag.get(key)]
                assert all(one.startswith("data:image/") for one in addresses), f"{name} loads {addresses}"
            elif not re.match(r"https?://|#", tag["href"]):
                assert (slides / tag["href"]).is_file(), f"{name} links to {tag['href']}"
        assert not re.search(r"url\(|@import", "".join(style.text for style in page.find_all("style"))), name
        assert "MathJax" not in page.text
    assert pages["02_model.html"].select("section > .text math"), "formulas are not MathML"


def test_metadata_overrules_the_rule():
    figure = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": "figure"})
    kinds = {"skip": "Left out.", "notes": "Only said.", "slide": "## New\n\nShown " + "long " * 60}
    cells = [
        new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}}) for kind, text in kinds.items()
    ]
    drawing = new_code_cell("draw()", outputs=[figure], metadata={"slideshow": {"slide_type": "fragment"}})
    first, second = deck(*cells, drawing)
    assert [cell.source for cell in first.notes] == ["Only said."]
    assert second.title == "## New"
    assert len(second.cells[0].source.split()) == 61
    assert second.cells[1].source == "draw()"
    assert second.cells[1].metadata.fragment
    assert not second.notes


def test_what_is_too_long_is_shortened_split_or_said():
    printed = nbformat.v4.new_output("stream", text="\n".join(f"round {k}: done" for k in range(40)))
    long_paragraph = "This is short. Word " + "word " * 50 + "end."
    first, second = deck(new_markdown_cell(long_paragraph), new_code_cell("loop()", outputs=[printed]))
    assert [cell.source for cell in first.cells] == ["Words.", "This is short."]
    assert second.cells[0].outputs[0].text.splitlines()[::6] == ["round 0: done", "round 39: done"]
    assert [cell.source for cell in (*first.notes, *second.notes)] == [long_paragraph, "loop()"]
    items = "\n".join(f"- item {k}" for k in range(12))
    assert [slide.title for slide in deck(new_markdown_cell(items), new_markdown_cell(items))] == [
        "# Title"
    ] * 3


@pytest.mark.parametrize("notebook", run.find_notebooks(), ids=lambda path: path.stem)
def test_no_line_of_an_output_is_cut_but_the_middle_of_a_loop(pages, notebook):
    shown = pages[f"{notebook.stem}.html"].select("section > .printed")
    lines = {" ".join(line.split()) for one in shown for line in one.text.splitlines()}
    for cell in nbformat.read(notebook, as_version=4).cells:
        for out in slides_build.texts(cell) if cell.cell_type == "code" else ():
            printed = (out.get("text") or out.data["text/plain"]).splitlines()
            for line in printed:
                a_round = re.match(r"Labels: |\d+ labels, [\d.]+ min: ", line)
                assert a_round or " ".join(line.split()) in lines, f"cut: {line}"


def headings(printed):
    """The headings that each indented line stands below."""
    found = {}
    for text in printed:
        heading = ""
        for line in text.splitlines():
            if line.startswith(" "):
                found.setdefault(" ".join(line.split()), set()).add(heading)
            else:
                heading = line
    return found


def test_rows_stay_below_their_heading(pages):
    name = "11_label_it_yourself"
    cells = nbformat.read(run.NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    streams = [out.text for cell in cells for out in cell.get("outputs", ()) if "text" in out]
    shown = [one.text for one in pages[f"{name}.html"].select("section > .printed")]
    assert headings(streams)
    assert headings(shown) == headings(streams)
    assert slides_build.paged("a:\n  1\n  2\n  3\nb:\n  4", 3) == ["a:\n  1\n  2", "a:\n  3", "b:\n  4"]
    assert slides_build.paged("      x\np  1\nq  2\nr  3", 3) == ["      x\np  1\nq  2", "      x\nr  3"]
    rows = [f"row {k}, and {k * 'more '}" for k in range(1, 5)]
    assert slides_build.paged("\n".join(rows), 3) == ["\n".join(rows[:2]), "\n".join(rows[2:])]


def test_another_folder_is_left_alone_and_earlier_slides_are_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "index.html").touch()  # slides, but not ours
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        slides_build.build(tmp_path, [])
    assert (tmp_path / "thesis.txt").exists()
    out = tmp_path / "slides"
    for _ in range(2):
        slides_build.build(out, run.find_notebooks()[:1])
        (out / "stale.html").write_text("old", encoding="utf-8")
    slides_build.build(out, run.find_notebooks()[:1])
    assert sorted(path.name for path in out.glob("*.html")) == ["01_data.html", "index.html"]


# A figure that words leave no room for is as bad as one that is cut off.
TROUBLE = """() => slides.flatMap((slide, k) => {
    show(k, true);
    const found = [];
    if (slide.scrollHeight > slide.clientHeight) found.push("overflows");
    if (slide.scrollWidth > slide.clientWidth) found.push("is too wide");
    for (const part of slide.querySelectorAll(":scope > :not(aside), :scope > :not(aside) *")) {
        if (part.closest("math") || !part.textContent.trim()) continue;
        if (parseFloat(getComputedStyle(part).fontSize) < 27.99) found.push(`small: ${part.textContent}`);
    }
    for (const image of slide.querySelectorAll(":scope > figure img, :scope > .text img"))
        if (!image.naturalWidth || image.clientHeight < 180) found.push("small figure");
    return found.map((one) => `slide ${k + 1}: ${one}`);
})"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine, so no slide was looked at")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


def test_every_slide_fits_a_projector_and_can_be_read(slides, browser):
    page, trouble = browser.new_page(viewport=PROJECTOR), []
    page.on("pageerror", lambda one: trouble.append(str(one)))
    page.on("request", lambda one: one.url.startswith(("file:", "data:")) or trouble.append(one.url))
    for path in sorted(slides.glob("[0-9]*.html")):
        page.goto(path.as_uri())
        trouble += [f"{path.name}, {one}" for one in page.evaluate(TROUBLE)]
    assert not trouble, "\n".join(trouble)
    page.emulate_media(media="print")
    assert page.evaluate("slides.every((slide) => slide.getBoundingClientRect().height === 720)")


def test_slides_turn_with_keys_and_show_notes(slides, browser):
    page = browser.new_page(viewport=PROJECTOR)
    page.goto((slides / "02_model.html").as_uri() + "#2")
    where, notes = page.locator("#where"), page.locator("section.now .notes")
    last = page.evaluate("slides.length")
    for key, number in {"ArrowRight": 3, "ArrowLeft": 2, "PageDown": 3, "End": last, "Home": 1}.items():
        page.keyboard.press(key)
        assert where.text_content() == f"{number} of {last}"
        assert page.evaluate("document.activeElement === slides[now]"), "not read aloud"
    assert not notes.is_visible()
    page.keyboard.press("n")
    assert notes.is_visible()
    page.locator("#notes").focus()
    page.keyboard.press("Space")
    assert not notes.is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_nothing_bars_people_from_the_slides(slides, browser):
    page = browser.new_page(viewport=PROJECTOR)
    page.add_init_script(Axe().axe_script)
    for name, number in (("02_model", 7), ("index", 1)):
        page.goto((slides / f"{name}.html").as_uri() + f"#{number}")
        page.keyboard.press("n")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("axe.run({exclude: 'section:not(.now):not(:only-child)'})")["violations"]
            bad = [
                (one["id"], one["nodes"][0]["html"])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert not bad, f"{name}, {scheme}: {bad}"
