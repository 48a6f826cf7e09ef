"""The web book: every figure with its words, every link leads somewhere, and nothing comes from elsewhere."""

import functools
import http.server
import itertools
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsers import serious
from bs4 import BeautifulSoup
from helpers import make, words_of_images

from alhelpers.running import notebooks as run

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = {"desktop": 1280, "phone": 360}
ONLY_ON_A_PHONE = ("scrollable-region-focusable", "target-size")
# Measured: 135 kB. An icon font, MathJax or a script framework would each be more than the rest together.
MOST_STYLE_AND_SCRIPT = 200_000
MOST_OF_A_PAGE = 800_000  # with its figures; measured: 150 to 540 kB


def build(root, out):
    return subprocess.run(
        [sys.executable, root / "site" / "build.py", out], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return make(ROOT / "site" / "build.py", tmp_path_factory.mktemp("book") / "site")


@pytest.fixture(scope="module")
def pages(site):
    # These are no pages of the book; test_try.py and test_teaching.py look at them.
    paths = [path for path in site.rglob("*.html") if path.name not in ("try.html", "sheet.html")]
    found = {path: path.read_text(encoding="utf-8") for path in paths}
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(text, "html.parser") for path, text in found.items()
    }


def page_of(notebook):
    return f"notebooks/{notebook.stem}.html"


def loaded_by(page):
    """What a page has the browser fetch: addresses in scripts, styles, icons and images."""
    for tag in page.find_all(["script", "img", "iframe", "source", "embed", "object", "video", "audio"]):
        yield from (tag[name] for name in ("src", "srcset", "data", "poster") if tag.get(name))
    for tag in page.find_all("link"):
        if {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect"} & set(tag["rel"]):
            yield tag["href"]


def inside(site, name, address):
    """The file and the fragment that an address on a page leads to; no file for one outside the site."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme or parts.netloc:
        return None, ""
    path = (site / name).parent / urllib.parse.unquote(parts.path) if parts.path else site / name
    return path.resolve(), urllib.parse.unquote(parts.fragment)


def test_there_is_a_page_for_every_notebook_and_document_and_the_first_page_lists_them(site, pages):
    documents = [*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    expected = {page_of(notebook) for notebook in run.find_notebooks()}
    expected |= {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in documents}
    listed = [link["href"] for link in pages["index.html"].select(".sidebar-tree a")]
    assert expected <= pages.keys()
    assert expected <= set(listed)
    in_order = [page_of(notebook) for notebook in run.find_notebooks()]
    assert [page for page in listed if page in in_order] == in_order


def test_every_link_and_anchor_leads_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        for link in page.find_all(["a", "use"], href=True):
            path, fragment = inside(site, name, link["href"])
            if path is None:
                continue
            target = pages.get(path.relative_to(site).as_posix()) if path.is_relative_to(site) else None
            if not path.is_file() or not path.is_relative_to(site):
                broken.append(f"{name} links to {link['href']}, which is not there")
            elif fragment and (target is None or not target.find(id=fragment)):
                broken.append(f"{name} links to {link['href']}, which has no such place")
    assert not broken, "\n".join(broken)


def test_a_notebook_that_names_the_page_to_try_links_to_it(site, pages):
    named = 0
    for name, page in pages.items():
        for code in page.find_all("code") if name.startswith("notebooks/") else ():
            if code.get_text() == "build/try.html":
                named += 1
                assert inside(site, name, code.find_parent("a")["href"])[0] == site / "try.html"
    assert named


@pytest.mark.parametrize("notebook", run.find_notebooks(), ids=lambda path: path.stem)
def test_a_page_shows_its_notebook(site, pages, notebook):
    page, source = pages[page_of(notebook)], nbformat.read(notebook, as_version=4)
    words = list(words_of_images(source.cells))
    assert [image.get("alt") for image in page.select("article img")] == words
    assert len(words) >= len(list(run.figures(source)))
    prose = [cell.source for cell in source.cells if cell.cell_type == "markdown"]
    formulas = re.findall(r"\$[^$]+\$", "\n".join(prose))
    assert len(page.find_all("math")) == len(formulas), "not every formula is MathML"
    [link] = page.select("a[download][href$='.ipynb']")
    path, _ = inside(site, page_of(notebook), link["href"])
    assert path.read_bytes() == notebook.read_bytes()
    assert path.name == notebook.name


def test_every_other_image_has_its_words_too(pages):
    others = [image for name, page in pages.items() for image in page.select("img")]
    assert len(others) > sum(len(pages[page_of(notebook)].select("img")) for notebook in run.find_notebooks())
    assert not [str(image) for image in others if len(image.get("alt", "")) <= 20]


def test_notebooks_lead_to_each_other_s_pages(pages):
    names = [page_of(notebook) for notebook in run.find_notebooks()]
    for name, following in itertools.pairwise(names):
        last = pages[name].find("article").find_all("p")[-1]
        assert [link["href"] for link in last.select("a")] == [following.split("/")[1]], f"{name}: {last}"


def test_nothing_is_loaded_from_elsewhere(site, pages):
    addresses = {(name, address) for name, page in pages.items() for address in loaded_by(page)}
    for path in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = re.findall(r"""url\(\s*["']?(.*?)["']?\s*\)|@import\s+["'](.*?)["']""", text)
        addresses |= {(path.relative_to(site).as_posix(), url or sheet) for url, sheet in found}
    for name, page in pages.items():
        assert not re.search(r"url\(|@import", "".join(tag.text for tag in page.find_all("style"))), name
    for name, address in addresses:
        if not address.startswith("data:"):
            path, _ = inside(site, name, address)
            assert path is not None, f"{name} loads {address}"
            assert path.is_file(), f"{name} loads {address}, which is not there"


def test_pages_stay_light(site, pages):
    for name, page in pages.items():
        files = {inside(site, name, address)[0] for address in loaded_by(page)}
        sizes = {path.name: path.stat().st_size for path in files}
        frame = {file: size for file, size in sizes.items() if file.endswith((".css", ".js"))}
        assert name == "search.html" or sum(frame.values()) < MOST_STYLE_AND_SCRIPT, f"{name}: {frame}"
        assert sum(sizes.values()) + (site / name).stat().st_size < MOST_OF_A_PAGE, f"{name}: {sizes}"
        assert not page.select("img[src^='data:']"), f"{name} has a figure inside it"


@pytest.fixture
def clone(tmp_path):
    """A copy of what the site is made of, to change."""
    root = tmp_path / "clone"
    for folder in ("site", "notebooks", "docs", "benchmarks", "alhelpers", "workshop"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("*.npz", "*.gz", "__*__", ".*")
        )
    for path in ROOT.glob("[A-Z]*"):
        if path.is_file():
            shutil.copy(path, root)
    return root


def test_a_new_notebook_appears_with_text_instead_of_its_widget(clone, tmp_path):
    notebook = nbformat.read(run.find_notebooks()[0], as_version=4)
    view = {"model_id": "7", "version_major": 2, "version_minor": 0}
    data = {"application/vnd.jupyter.widget-view+json": view, "text/plain": "Labeler()"}
    widget = nbformat.v4.new_output("display_data", data)
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# 99 · One more"),
        nbformat.v4.new_code_cell("labeler", execution_count=1, outputs=[widget]),
    ]
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"7": {}}}}
    nbformat.write(notebook, clone / "notebooks" / "99_one_more.ipynb")
    for folder in ("notebooks", "docs"):
        (clone / folder / ".ipynb_checkpoints").mkdir()
        (clone / folder / ".ipynb_checkpoints" / "draft-checkpoint.md").write_text(
            "# Draft", encoding="utf-8"
        )
    outcome = build(clone, tmp_path / "site")
    assert outcome.returncode == 0, outcome.stderr
    assert "99 · One more" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    text = (tmp_path / "site" / "notebooks" / "99_one_more.html").read_text(encoding="utf-8")
    page = BeautifulSoup(text, "html.parser")
    assert page.select_one(".cell_output").text.strip() == "Labeler()"
    assert not [address for address in loaded_by(page) if address.startswith("http")]


def test_a_failed_build_leaves_the_earlier_site_alone(clone, tmp_path):
    out = tmp_path / "out" / "site"
    out.mkdir(parents=True)
    (out / ".made-by-alhelpers").write_text("the earlier one", encoding="utf-8")
    with (clone / "docs" / "sweeps.md").open("a", encoding="utf-8") as document:
        document.write("\n[nowhere](missing.md)\n")
    outcome = build(clone, out)
    assert outcome.returncode != 0
    assert "missing.md" in outcome.stderr
    assert (out / ".made-by-alhelpers").read_text(encoding="utf-8") == "the earlier one"
    assert [*out.parent.iterdir(), *out.iterdir()] == [out, out / ".made-by-alhelpers"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(site):
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=site)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


# Axe takes seconds over thousands of code tokens, so one of each kind is left to look at.
ONE_TOKEN_OF_EACH_KIND = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll("pre span[class]")) {
        if (seen.has(token.className)) token.replaceWith(...token.childNodes);
        seen.add(token.className);
    }
}"""
# And half a minute over colours, so it looks at text whose colours and size no page before had. What is
# behind a text may be its ancestors'.
IN_NEW_COLOURS = """(seen) => {
    const known = new Set(seen), behind = new Map([[null, ""]]);
    const look = (one) => {
        if (!behind.has(one)) {
            const {backgroundColor, backgroundImage, opacity} = getComputedStyle(one);
            const own = `${backgroundColor} ${backgroundImage} ${opacity}`;
            behind.set(one, look(one.parentElement) + (own === "rgba(0, 0, 0, 0) none 1" ? "" : own));
        }
        return behind.get(one);
    };
    for (const one of document.body.querySelectorAll("*")) {
        if (![...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim())) continue;
        const {color, fontSize, fontWeight, visibility} = getComputedStyle(one);
        if (visibility !== "visible" || !one.getClientRects().length) continue;
        const key = [color, fontSize, fontWeight, look(one)].join();
        if (!known.has(key)) one.dataset.look = "";
        known.add(key);
    }
    return [...known];
}"""


def test_a_folder_that_is_no_site_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine", encoding="utf-8")  # of a site, but not of ours
    outcome = build(ROOT, tmp_path)
    assert outcome.returncode != 0
    assert str(tmp_path) in outcome.stderr
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["mine"]


def barriers(page, where, options):
    """What axe finds serious or critical in a part of a page."""
    quick = {"resultTypes": ["violations"], "selectors": False}
    found = page.evaluate("([where, options]) => axe.run(where, options)", [where, quick | options])
    size = page.viewport_size["width"]
    return [f"{page.url} at {size} pixels: {one}" for one in serious(found)]


def without_colours(page, rules=()):
    """What axe finds besides colours; only by these rules, if any are given."""
    without = {"rules": {"color-contrast": {"enabled": False}}}
    return barriers(page, "html", {"runOnly": [*rules]} if rules else without)


def colours(page, seen):
    """What axe finds in colours that are not among those seen, which these then are."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        n_seen, seen[:] = len(seen), page.evaluate(IN_NEW_COLOURS, seen)
        if len(seen) > n_seen:
            found = barriers(page, "[data-look]", {"runOnly": ["color-contrast"]})
            yield from (f"{scheme}, {one}" for one in found)
        page.evaluate("document.querySelectorAll('[data-look]').forEach((one) => delete one.dataset.look)")


# After a frame, in which a page hears of its new size.
EXTRA_WIDTH = """async () => {
    await new Promise(requestAnimationFrame);
    const boxes = [document.documentElement, document.querySelector(".content")];
    return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
}"""


def too_wide(page):
    extra = page.evaluate(EXTRA_WIDTH)
    if extra > 0:
        yield f"{page.url} scrolls sideways by {extra} of {page.viewport_size['width']} pixels"


def test_every_page_in_a_browser(pages, address, browser):
    trouble, kinds, seen = [], set(), []
    page = browser.new_page()
    page.on("request", lambda one: one.url.startswith(address) or trouble.append(f"asks for {one.url}"))
    # Aborted is an icon that was still on its way when the next page was called.
    page.on("requestfailed", lambda one: "ABORTED" in one.failure or trouble.append(f"{one.url} failed"))
    page.on("response", lambda one: one.status < 400 or trouble.append(f"{one.url} is {one.status}"))
    page.on("pageerror", lambda one: trouble.append(f"{page.url}: {one}"))
    page.on("console", lambda one: one.type == "error" and trouble.append(f"{page.url}: {one.text}"))
    page.add_init_script(Axe().axe_script)
    for name in pages:
        page.goto(address + name)
        page.evaluate(ONE_TOKEN_OF_EACH_KIND)
        page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
        trouble += [*too_wide(page), *without_colours(page), *colours(page, seen)]
        page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
        trouble += too_wide(page)
        # Pages of a folder have the same menus on a phone, and differ by what is too wide for it.
        if (kind := name.rpartition("/")[0]) in kinds:
            trouble += without_colours(page, ONLY_ON_A_PHONE)
        else:
            trouble += [*without_colours(page), *colours(page, seen)]
            kinds.add(kind)
    assert not trouble, "\n".join(trouble)


def test_search_and_the_phone_s_menus_work_from_the_keyboard(address, browser):
    page = browser.new_page(viewport={"width": WIDTHS["phone"], "height": 900})
    page.goto(address)
    menu = page.locator(".sidebar-drawer")
    assert not menu.is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    menu.wait_for(state="visible")
    page.keyboard.press("Escape")
    menu.wait_for(state="hidden")
    page.keyboard.press("Space")
    page.locator(".sidebar-search").fill("margin")
    page.keyboard.press("Enter")
    result = page.locator("#search-results a", has_text="10 · Which query")
    result.first.click()
    page.wait_for_url("**/10_which_query.html*")
    page.goto(address + page_of(run.find_notebooks()[0]))
    scrolling = page.locator("pre").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.tabIndex)"
    )
    assert scrolling
    assert set(scrolling) == {0}
