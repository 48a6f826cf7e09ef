"""The teacher's slides: every output and figure whole, nothing lost or cut off, all of it here."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsers import serious
from bs4 import BeautifulSoup
from helpers import load, make, words_of_images
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from alhelpers.running import notebooks as run

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "slides" / "build.py"
PROJECTOR = {"width": 1280, "height": 720}

slides_build = load(BUILD)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    return make(BUILD, tmp_path_factory.mktemp("made") / "slides")


@pytest.fixture(scope="module")
def pages(slides):
    found = {path.name: path.read_text(encoding="utf-8") for path in slides.glob("*.html")}
    return {name: BeautifulSoup(text, "html.parser") for name, text in found.items()}


def sources(notebook):
    """The cells of a notebook that the slides are to show or say."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell for cell in cells if cell.metadata.slideshow.slide_type != "skip"]


def rows(table):
    return [[cell.text for cell in row.select("th, td")] for row in table.select("tr")]


def outputs(cells):
    return [output for cell in cells for output in cell.get("outputs", ())]


@pytest.mark.parametrize("notebook", run.find_notebooks(), ids=lambda path: path.stem)
def test_every_output_and_figure_of_the_notebook_is_shown_whole_and_in_order(pages, notebook):
    cells, page = sources(notebook), pages[f"{notebook.stem}.html"]
    for note in (page := copy.copy(page)).select(".note"):
        note.decompose()
    printed = [
        output.get("text") or output.data["text/plain"]
        for output in outputs(cells)
        if not {"image/png", "text/html"} & output.get("data", {}).keys()
    ]
    assert [one.text.splitlines() for one in page.select("section .printed")] == [
        text.splitlines() for text in printed
    ]
    tables = [output.data["text/html"] for output in outputs(cells) if "text/html" in output.get("data", {})]
    assert [rows(one) for one in page.select("section .table")] == [
        rows(BeautifulSoup(table, "html.parser")) for table in tables
    ]
    assert [image["alt"] for image in page.select("section img")] == list(words_of_images(cells))
    for figure in page.select("section figure"):
        words = figure.find_next_sibling("div", class_="text").text
        assert words.strip().startswith("What to look for:"), (
            f"no sentence says what to see in {figure.img['alt']}"
        )


@pytest.mark.parametrize("notebook", run.find_notebooks(), ids=lambda path: path.stem)
def test_all_prose_and_code_is_shown_or_in_the_notes(pages, notebook):
    page = pages[f"{notebook.stem}.html"]
    said = " ".join(page.main.text.split())
    code = {" ".join(one.text.split()) for one in page.select(".code")}
    for cell in sources(notebook):
        if cell.cell_type == "code":
            assert " ".join(cell.source.split()) in code
            continue
        renderer = slides_build.Renderer(escape=False, exclude_anchor_links=True, path=str(run.NOTEBOOKS))
        html = slides_build.MarkdownWithMath(renderer=renderer).render(cell.source)
        for line in BeautifulSoup(html, "html.parser").text.splitlines():
            assert " ".join(line.split()) in said, "left out of the slides and of the notes"


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
    assert pages["02_model.html"].select("section .text math"), "formulas are not MathML"


def places(*cells):
    """Where the cells of a notebook go: slide types, each with the text or code that is there."""
    found = slides_build.slides_of(new_notebook(cells=[markdown("# Title\n\nWords.", "slide"), *cells])).cells
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in found][2:]


def markdown(text, kind, *tags):
    return new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}, "tags": [*tags]})


def test_a_cell_goes_where_its_metadata_says_below_the_last_title():
    assert places(
        markdown("Left out.", "skip"), markdown("Only said.", "notes"), markdown("More.", "subslide")
    ) == [("notes", "Only said."), ("subslide", "## Title"), ("-", "More.")]
    assert places(markdown("End.\n\n## New\n\nText.", "-"), markdown("Next.", "subslide")) == [
        ("-", "End."), ("slide", "## New"), ("-", "Text."), ("subslide", "## New"), ("-", "Next."),
    ]  # fmt: skip
    assert places(markdown("Shown.\n\nSaid.\n\nSaid too.", "fragment", "slides-first-paragraph")) == [
        ("fragment", "Shown."), ("notes", "Said.\n\nSaid too."),
    ]  # fmt: skip
    fenced = "Code:\n\n```\n# no heading\n```"
    assert places(markdown(fenced, "-")) == [("-", fenced)]


def test_code_in_the_notes_leaves_its_output_on_the_slide():
    output = new_output("stream", text="done")
    metadata = {"slideshow": {"slide_type": "subslide"}, "tags": ["slides-code-in-notes"]}
    cells = [markdown("# Title", "slide"), new_code_cell("work()", outputs=[output], metadata=metadata)]
    _, title, shown, said = slides_build.slides_of(new_notebook(cells=cells)).cells
    assert title.metadata.slideshow.slide_type == "subslide"
    assert (shown.source, shown.outputs) == ("", [output])
    assert (said.source, said.outputs, said.metadata.slideshow.slide_type) == ("work()", [], "notes")


@pytest.mark.parametrize(("metadata", "said"), [({}, "no"), ({"slideshow": {"slide_type": "slid"}}, "slid")])
def test_a_cell_that_does_not_say_where_it_goes_is_named_with_what_to_add(tmp_path, metadata, said):
    notebook = new_notebook(cells=[markdown("# Title", "slide"), new_code_cell("work()", metadata=metadata)])
    nbformat.write(notebook, tmp_path / "01_new.ipynb")
    with pytest.raises(
        ValueError, match=rf"^01_new\.ipynb: cell 2 has {said} slide type; add to its"
    ) as problem:
        slides_build.build(tmp_path / "slides", [tmp_path / "01_new.ipynb"])
    assert '{"slideshow": {"slide_type": "-"}}' in str(problem.value)
    assert not (tmp_path / "slides").exists()


def test_earlier_slides_are_replaced_and_nobody_s_own(tmp_path):
    out = tmp_path / "slides"
    for n in (2, 1):
        slides_build.build(out, run.find_notebooks()[:n])
    assert sorted(path.name for path in out.glob("*.html")) == ["01_data.html", "index.html"]
    (out / "mine.html").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.html is not from the earlier run"):
        slides_build.build(out, [])
    assert (out / "mine.html").exists()


# At 720 pixels. A figure that words leave no room for is as bad as one that is cut off.
TROUBLE = """() => slides.flatMap((slide, k) => {
    show(k, true);
    const found = [], page = document.documentElement;
    if (page.scrollHeight > page.clientHeight || page.scrollWidth > page.clientWidth) found.push("overflows");
    const scrolls = getComputedStyle(slide).overflowY === "auto";
    if (slide.scrollHeight > slide.clientHeight && !scrolls) found.push("is cut off");
    if (slide.scrollWidth > slide.clientWidth) found.push("is too wide");
    for (const part of slide.querySelectorAll(":scope > :not(aside), :scope > :not(aside) *")) {
        if (part.closest("math") || !part.textContent.trim()) continue;
        if (parseFloat(getComputedStyle(part).fontSize) < 18) found.push(`small: ${part.textContent}`);
        const {left, right} = part.getBoundingClientRect();
        if (left < 0 || right > page.clientWidth) found.push(`beyond the edge: ${part.textContent}`);
    }
    for (const image of slide.querySelectorAll(":scope > :not(aside) img"))
        if (!image.naturalWidth || image.clientHeight < 290) found.push("small figure");
    return found.map((one) => `slide ${k + 1}: ${one}`);
})"""


def test_every_slide_fits_a_projector_and_can_be_read(slides, browser):
    page, trouble = browser.new_page(viewport=PROJECTOR), []
    page.on("pageerror", lambda one: trouble.append(str(one)))
    page.on("request", lambda one: one.url.startswith(("file:", "data:")) or trouble.append(one.url))
    for path in sorted(slides.glob("[0-9]*.html")):
        page.goto(path.as_uri())
        trouble += [f"{path.name}, {one}" for one in page.evaluate(TROUBLE)]
        page.emulate_media(media="print")
        cut = "slides.some((one) => one.scrollHeight > one.clientHeight || one.clientHeight < 720)"
        assert not page.evaluate(cut), f"{path.name} is cut off on paper"
        page.emulate_media(media="screen")
    assert not trouble, "\n".join(trouble)


def test_text_gets_smaller_to_fit_and_the_end_of_a_longer_slide_comes_before_the_next(tmp_path, browser):
    def lines(n):
        return new_code_cell(
            "", outputs=[new_output("stream", text="\n".join(f"line {k}" for k in range(n)))],
            metadata={"slideshow": {"slide_type": "subslide"}},
        )  # fmt: skip

    file = tmp_path / "01_long.ipynb"
    nbformat.write(new_notebook(cells=[markdown("# Title", "slide"), lines(5), lines(20), lines(60)]), file)
    slides_build.build(tmp_path / "slides", [file])
    page = browser.new_page(viewport=PROJECTOR)
    page.goto((tmp_path / "slides" / "01_long.html").as_uri() + "#4")
    sizes = page.evaluate("slides.map((slide) => Number(slide.style.getPropertyValue('--size')))")
    assert sizes[1] == 1 > sizes[2] > sizes[3] == 0.65
    last = page.locator("section.now .printed span").last
    for _ in range(10):
        if visible := last.evaluate("(line) => line.getBoundingClientRect().bottom < innerHeight"):
            break
        page.keyboard.press("ArrowRight")
    assert visible
    assert page.locator("#where").text_content() == "4 of 4"


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
    for name, number in (("02_model", 9), ("12_label_it_yourself", 7), ("index", 1)):
        page.goto((slides / f"{name}.html").as_uri() + f"#{number}")
        page.keyboard.press("n")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            bad = serious(page.evaluate("axe.run({exclude: 'section:not(.now):not(:only-child)'})"))
            assert not bad, f"{name}, {scheme}: {bad}"
