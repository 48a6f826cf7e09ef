"""A person labels in JupyterLab: what is clicked and typed is in the ledger, whatever dies in between."""

import base64
import csv
import importlib.util
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import nbformat
import numpy as np
import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from alhelpers import load_mnist
from alhelpers.labelling.events import Look
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.widget import program
from alhelpers.running import notebooks as run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here, so nobody tries the labelling widget"
)

NOTEBOOK = run.NOTEBOOKS / "12_label_it_yourself.ipynb"
N_CHECK, BUDGET = 10, 30
SECONDS = 60_000  # as Playwright counts


class Lab:
    """JupyterLab on a folder of its own, which can be killed and started again at the same address.

    Or Notebook 7, which is made of the same parts.
    """

    def __init__(self, folder, module="jupyterlab"):
        self.folder, self.module = folder, module
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", self.module, "--no-browser", "--allow-root", f"--port={self.port}",
                f"--ServerApp.root_dir={self.folder}", "--ServerApp.port_retries=0",
                "--IdentityProvider.token=", "--LabApp.extension_manager=readonly", "--LabApp.news_url=None",
                "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(("JUPYTER_CONFIG_DIR", "IPYTHONDIR"), str(self.folder / ".own")),
        )  # fmt: skip
        for _ in range(300):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/status")
            except OSError:
                time.sleep(0.1)
        raise AssertionError("JupyterLab does not answer within 30 s")

    def kernels(self):
        return [p for p in psutil.Process(self.process.pid).children() if "ipykernel_launcher" in p.cmdline()]

    def kill(self):
        """End the server without a word, and what it leaves behind."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in children:
            child.kill()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.start()
    yield lab
    lab.kill()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", *quiet]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def write_notebook(lab, name, **parameters):
    """Notebook 12 with other values in its parameters cell, up to the cell that asks."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    lines = cell.source.splitlines()
    for i, line in enumerate(lines):
        if (variable := line.split(":")[0]) in parameters:
            lines[i] = f"{line.split('=')[0]}= {parameters[variable]!r}"
    cell.source = "\n".join(lines)
    asks = next(i for i, cell in enumerate(notebook.cells) if "oracle.play(" in cell.source)
    notebook.cells = [cell for cell in notebook.cells[: asks + 1] if cell.cell_type == "code"]
    nbformat.write(notebook, lab.folder / name)


class Tab:
    """A browser tab with a notebook, and the person in front of it, who knows every digit."""

    def __init__(self, lab, browser, name, truth):
        self.lab, self.name, self.truth, self.said = lab, name, truth, []
        self.page = browser.new_page(viewport={"width": 1200, "height": 1100})
        self.foreign = []
        self.page.on("request", lambda r: self.foreign.append(r.url) if not self._own(r.url) else None)

    def _own(self, url):
        return url.startswith(
            (f"http://127.0.0.1:{self.lab.port}/", f"ws://127.0.0.1:{self.lab.port}/", "blob:", "data:")
        )

    def open(self, run=True):
        """Open the notebook in the state it was left in, and run its cells."""
        # In a workspace of its own, or JupyterLab would move the second tab to a new one and load anew.
        workspace = f"lab/workspaces/{self.name.removesuffix('.ipynb')}/tree"
        place = "notebooks" if self.lab.module == "notebook" else workspace
        self.page.goto(f"http://127.0.0.1:{self.lab.port}/{place}/{self.name}")
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=SECONDS
        )
        self.page.evaluate(
            """async () => {
                const session = window.jupyterapp.shell.currentWidget.sessionContext;
                await session.ready;
                await session.session.kernel.info;
            }"""
        )
        if run:
            self.run()

    def run(self):
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.wait()

    def save(self):
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def wait(self):
        """Wait for an image that can be answered; its digest."""
        self.page.wait_for_selector(".al-image[data-seen]:not([hidden])", timeout=SECONDS)
        return self.page.get_attribute(".al-image", "data-image")

    def after(self, act):
        """Do something, and wait until another image shows or none."""
        before = self.wait()
        act(before)
        self.page.wait_for_function(
            """before => {
                const image = document.querySelector('.al-image');
                return image.hidden || image.dataset.image !== before;
            }""",
            arg=before,
        )
        return before

    def type(self, key=None):
        self.page.locator(".al-label").focus()
        self.said.append(self.after(lambda image: self.page.keyboard.press(key or str(self.truth[image]))))

    def click(self):
        self.said.append(
            self.after(lambda image: self.page.click(f".al-answers button >> nth={self.truth[image]}"))
        )


@pytest.fixture(scope="module")
def truth():
    """The digit on each image of the notebooks that this file writes."""
    digits = load_mnist(5200, 1)
    images = load_images(digits.x_pool, labels=digits.y_pool)
    return dict(zip(images.digests, images.known.tolist(), strict=True))


def test_forty_labels_by_clicks_and_keys_survive_everything(lab, browser, truth):
    write_notebook(lab, "label.ipynb", person=True, labeller="ann", n_check=N_CHECK, label_budget=BUDGET)
    tab = Tab(lab, browser, "label.ipynb", truth)
    tab.open()
    for _ in range(4):
        tab.type()
    for _ in range(3):
        tab.click()
    wrong = tab.after(lambda image: tab.page.keyboard.press(str((truth[image] + 1) % 10)))
    tab.after(lambda _: tab.page.keyboard.press("Backspace"))
    assert tab.wait() == wrong, "undo brings the image back"
    assert tab.page.inner_text(".al-note").startswith("Taken back: image ")
    skipped = tab.after(lambda _: tab.page.click(".al-actions >> text=Skip"))
    for _ in range(2):
        tab.type()
    assert tab.wait() == skipped, "a skipped image comes last"
    tab.type()  # the last check image
    for _ in range(5):
        tab.type()

    tab.save()
    tab.page.reload()
    for _ in range(5):  # the widget is back by itself
        tab.type()

    (kernel,) = lab.kernels()
    unsaved = tab.wait()
    kernel.send_signal(signal.SIGKILL)
    tab.page.wait_for_selector(".jp-Dialog", timeout=SECONDS)
    tab.page.keyboard.press("Escape")
    tab.page.click(".al-answers button >> nth=0")
    tab.page.wait_for_function(
        "() => document.querySelector('.al-trouble').textContent.startsWith('The kernel does not answer')"
    )
    assert tab.wait() == unsaved, "what is not saved stays"
    tab.page.locator(".al-answers button >> nth=0").focus()
    tab.page.keyboard.type("zdd")  # in JupyterLab, d d deletes the cell
    assert tab.page.locator(".al-label").count() == 1
    tab.open()
    for _ in range(8):
        tab.click()

    lab.kill()
    lab.start()
    tab.open()
    while len(tab.said) < N_CHECK + BUDGET:
        tab.type()
    tab.page.wait_for_function(
        "() => document.querySelector('.al-waiting').textContent.startsWith('That was all')"
    )
    log = tab.page.inner_text(".al-log").splitlines()
    assert [line.split(" labels")[0] for line in log] == ["10", "20", "30"], (
        "the learner did not learn from all"
    )
    assert not tab.foreign, "something was fetched from elsewhere"
    tab.page.close()

    with Ledger(lab.folder / "labels.db", [str(k) for k in range(10)]) as ledger:
        assert ledger.labels_of("ann") == {image: truth[image] for image in tab.said}
        actions = Counter(event.action for event in ledger.events())
    assert actions == {"label": N_CHECK + BUDGET + 1, "undo": 1, "skip": 1}


def test_two_tabs_label_sixty_images_of_one_ledger_once_each(lab, browser, truth):
    names = ["one.ipynb", "two.ipynb"]
    tabs = [Tab(lab, browser, name, truth) for name in names]
    for name in names:
        write_notebook(
            lab, name, person=True, labeller=name[:3], ledger_file="shared.db", n_check=60, label_budget=20
        )
    for tab in tabs:
        tab.open()
    for tab in tabs:  # each answers whatever it is shown as soon as it is shown
        tab.page.evaluate(
            """truth => setInterval(() => {
                const image = document.querySelector('.al-image');
                const done = document.querySelector('.al-progress').textContent.startsWith('round');
                const buttons = document.querySelectorAll('.al-answers button');
                if (!image.hidden && !done) buttons[truth[image.dataset.image]].click();
            }, 5)""",
            truth,
        )
    for tab in tabs:
        tab.page.wait_for_function(
            "() => document.querySelector('.al-progress').textContent.startsWith('round 1')", timeout=SECONDS
        )
        tab.page.close()
    with Ledger(lab.folder / "shared.db", [str(k) for k in range(10)]) as ledger:
        labels = [event for event in ledger.events() if event.action == "label"]
    assert len(labels) == len({event.image for event in labels}) == 60
    assert all(str(truth[event.image]) == event.label for event in labels)
    assert min(Counter(event.who for event in labels).values()) > 15, "one tab did nearly all"


def test_names_of_files_and_classes_are_shown_as_text_and_never_run(lab, browser):
    rng = np.random.default_rng(0)
    pictures = lab.folder / "pictures"
    pictures.mkdir()
    for i in range(30):
        name = f"<img src=x onerror=window.hacked=1> & 'quoted' {i}.png"
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(pictures / name)
    (pictures / "broken.png").write_bytes(b"no image")
    classes = ['"a" & <b>b</b>', "<script>window.hacked=1</script>", "🐈"]
    write_notebook(
        lab, "hostile.ipynb", person=True, folder="pictures", classes=",".join(classes), n_check=10,
        label_budget=10, ledger_file="hostile.db",
    )  # fmt: skip
    images = load_images(pictures, classes=classes)
    tab = Tab(lab, browser, "hostile.ipynb", dict.fromkeys(images.digests, 1))
    tab.open()
    name = images.names[images.digests.index(tab.wait())]
    assert tab.page.inner_text(".al-caption") == name
    assert tab.page.locator(".al-class span").all_inner_texts() == classes
    for _ in range(3):
        tab.type("2")
    assert tab.page.inner_text(".al-note") == f"Saved: {classes[1]}."
    assert tab.page.evaluate("window.hacked") is None
    tab.page.close()
    with Ledger(lab.folder / "hostile.db", classes) as ledger:
        assert ledger.labels_of("me") == dict.fromkeys(tab.said, 1)


@pytest.fixture
def grey(lab, browser):
    """A tab that asks about 30 pictures in 40 of 256 grey levels, of two classes, x and z."""
    rng = np.random.default_rng(1)
    folder = lab.folder / "grey"
    if not folder.exists():
        folder.mkdir()
        for i in range(30):
            levels = rng.integers(90, 190, (300, 400), dtype=np.uint8)
            Image.fromarray(levels).save(folder / f"{i}.png")
    images = load_images(folder, classes=["x", "z"])
    for old in lab.folder.glob("grey.*"):
        old.unlink()
    write_notebook(
        lab, "grey.ipynb", person=True, folder="grey", classes="x,z", n_check=10, label_budget=10,
        ledger_file="grey.db",
    )  # fmt: skip
    tab = Tab(lab, browser, "grey.ipynb", dict.fromkeys(images.digests, 0))
    tab.open()
    yield tab
    tab.page.close()


def press(tab, key, code, said=None, **more):
    """Press a key of some keyboard, once the image counts as seen, and wait for what the widget says."""
    tab.wait()
    tab.page.evaluate(
        """event => {
            document.querySelector('.al-note').textContent = '';
            const root = document.querySelector('.al-label');
            root.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...event}));
        }""",
        {"key": key, "code": code, **more},
    )
    note = "document.querySelector('.al-note').textContent"
    if said:
        tab.page.wait_for_function(f"said => {note} === said", arg=said)
    else:
        tab.page.wait_for_timeout(300)
        assert tab.page.evaluate(note) == "", (key, code)


def test_keys_count_by_what_they_write_and_by_their_place_in_other_alphabets(grey):
    for key, code, said in (
        ("z", "KeyY", "Saved: z."),  # Germany
        ("y", "KeyZ", ""),
        ("я", "KeyZ", "Saved: z."),  # Russia
        ("X", "KeyX", "Saved: x."),
        ("ArrowRight", "Numpad6", "Skipped until later."),
    ):
        press(grey, key, code, said)
    press(grey, "x", "KeyX", isComposing=True)
    press(grey, "Process", "KeyX", keyCode=229)
    press(grey, "Dead", "KeyX")
    press(grey, "x", "KeyX", ctrlKey=True)


def test_french_digits_need_no_shift(lab, browser, truth):
    write_notebook(lab, "french.ipynb", person=True, ledger_file="french.db", n_check=20)
    tab = Tab(lab, browser, "french.ipynb", truth)
    tab.open()
    for key, code, said in (
        ("é", "Digit2", "Saved: 2."),
        ("-", "Digit6", "Saved: 6."),
        ("à", "Digit0", "Saved: 0."),
        ("?", "KeyM", "Set aside."),
        ("7", "Digit7", "Saved: 7."),
    ):
        press(tab, key, code, said)
    tab.page.close()


def test_no_answer_is_about_a_picture_that_was_not_seen(lab, grey):
    grey.wait()
    grey.page.locator(".al-label").focus()
    for _ in range(60):
        grey.page.keyboard.press("x")
    assert grey.page.inner_text(".al-note").startswith("That came before you can have seen")
    with Ledger(lab.folder / "grey.db", ["x", "z"]) as ledger:
        labels = [event for event in ledger.events() if event.action == "label"]
    assert labels
    assert min(event.milliseconds for event in labels) >= 199


def test_a_picture_is_zoomed_and_its_grey_levels_are_stretched(grey):
    def levels():
        picture = Image.open(io.BytesIO(grey.page.locator(".al-frame").screenshot())).convert("L")
        return np.ptp(np.percentile(np.asarray(picture)[20:-20, 20:-20], [5, 95]))

    width = "() => document.querySelector('.al-image').clientWidth"
    grey.wait()
    before, dim = grey.page.evaluate(width), levels()
    assert before > 600, "it is as large as the window allows"
    press(grey, ",", "Comma")
    assert levels() > 2 * dim
    press(grey, "+", "Equal", shiftKey=True)
    assert grey.page.evaluate(width) == pytest.approx(1.25 * before, abs=2)
    press(grey, "-", "Minus")
    assert grey.page.evaluate(width) == pytest.approx(before, abs=2)
    press(grey, "x", "KeyX", "Saved: x.")
    grey.wait()
    assert levels() > 2 * dim, "the next picture is stretched, too"


def test_a_class_is_renamed_and_added_and_labelling_stops_with_a_file(lab, grey):
    grey.type("x")
    grey.page.click(".al-classes summary")
    grey.page.fill(".al-name input >> nth=0", "xenon")
    grey.page.keyboard.press("Enter")
    grey.page.wait_for_function("() => document.querySelector('.al-class').textContent.endsWith('xenon')")
    grey.page.fill(".al-name input >> nth=2", "x")
    grey.page.click(".al-name button >> nth=2")
    grey.page.wait_for_function("() => document.querySelector('.al-trouble').textContent")
    assert "'x' is or was the name of another class" in grey.page.inner_text(".al-trouble")
    grey.page.fill(".al-name input >> nth=2", "yellow")
    grey.page.keyboard.press("Enter")
    grey.page.wait_for_function("() => document.querySelectorAll('.al-class').length === 3")
    press(grey, "1", "Digit1", "Saved: yellow.")
    assert "to come" in grey.page.inner_text(".al-progress")
    grey.page.click(".al-actions >> text=Stop here and export")
    grey.page.wait_for_selector(".al-waiting:has-text('Stopped: grey.csv')")
    with (lab.folder / "grey.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["label"] for row in rows] == ["xenon", "yellow"]
    assert all(row["name"].endswith(".png") for row in rows)


def test_a_tab_in_which_nothing_is_done_lets_go_of_its_image(lab, grey):
    image = grey.wait()
    with Ledger(lab.folder / "grey.db", ["x", "z"]) as ledger:
        ben = Look("ben", [image], "ben's tab")
        assert ledger.claim(ben) is None
        grey.page.evaluate("() => { const now = performance.now(); performance.now = () => now + 61_000; }")
        late = time.monotonic() + 60
        while ledger.claim(ben) is None:
            assert time.monotonic() < late, "it is held for ever"
            time.sleep(0.2)


def test_a_click_in_the_grid_of_all_answers_corrects(lab, browser, grey):
    notebook = nbformat.read(lab.folder / "grey.ipynb", as_version=4)
    for _ in range(20):  # the check images, and one round
        grey.type("x")
    grey.page.wait_for_selector(".al-waiting:has-text('That was all')")
    cell = "from alhelpers.labelling.review import Review\nReview(ledger, images).widget"
    notebook.cells.append(nbformat.v4.new_code_cell(cell))
    nbformat.write(notebook, lab.folder / "review.ipynb")
    tab = Tab(lab, browser, "review.ipynb", {})
    tab.open(run=False)
    tab.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    tiles = tab.page.locator(".al-review .al-tile")
    tiles.nth(19).wait_for(timeout=SECONDS)
    tab.page.wait_for_function("() => document.querySelector('.al-thumb').naturalWidth === 160")
    chosen = tiles.nth(3).get_attribute("data-image")
    tiles.nth(3).click()
    tab.page.click(".al-bar .al-class >> nth=1")
    tab.page.wait_for_selector(".al-review .al-heading:has-text('z (1)')")
    assert tiles.last.get_attribute("data-image") == chosen
    with Ledger(lab.folder / "grey.db", ["x", "z"]) as ledger:
        assert ledger.answers([chosen]).tolist() == [1]
        assert ledger.events()[-1].action == "correction"
    tab.page.add_script_tag(content=Axe().axe_script)
    for widget in (".al-label", ".al-review"):
        found = tab.page.evaluate(f"axe.run('{widget}')")["violations"]
        bad = [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert not bad, f"{widget}: {bad}"
    tab.page.close()


def test_the_grid_asks_for_few_pictures_at_a_time_and_a_late_answer_ends_the_alarm(browser):
    page = browser.new_page()
    page.clock.install()
    page.set_content("<main></main>")
    url = f"data:text/javascript;base64,{base64.b64encode(program('review.js').encode()).decode()}"
    page.evaluate(
        """async url => {
            const { default: widget } = await import(url);
            window.sent = [];
            const model = { send: m => sent.push(m), get: () => ["x"], off() {}, on: (event, f) => {
                if (event === "msg:custom") window.tell = content => f({ to: sent[0].view, ...content },
                    content.sent.map(() => new Uint8Array()));
            } };
            widget.render({ model, el: document.querySelector("main") });
        }""",
        url,
    )
    names = [f"image {k}" for k in range(20)]
    tiles = [{"image": name, "name": name, "label": 0, "said": []} for name in names]
    groups = [{"heading": "x", "images": tiles}]

    def tell(kind, sent=(), **content):
        page.evaluate("content => tell(content)", {"kind": kind, "sent": [*sent], **content})

    def asked():
        return [message["images"] for message in page.evaluate("sent") if message["kind"] == "pictures"]

    tell("show", groups=groups, note="")
    assert len(asked()) == 1
    assert len(asked()[0]) < 10
    page.click("text=Undo my last correction")
    tell("show", groups=groups, note="")  # which asks for no picture twice
    assert page.inner_text(".al-trouble") == ""
    page.clock.fast_forward(10_001)
    assert page.inner_text(".al-trouble").startswith("The kernel does not answer")
    while sum(map(len, asked())) < len(names):
        n = len(asked())
        tell("pictures", asked()[-1])
        assert page.inner_text(".al-trouble") == ""
        assert len(asked()) == n + 1, "the next ones are asked for"
    assert [name for few in asked() for name in few] == names
    tell("pictures", asked()[-1])
    page.clock.fast_forward(10_001)
    assert page.inner_text(".al-trouble") == "", "nothing is waited for"
    page.locator(".al-tile").first.click()
    tell("trouble", note="no such image")
    page.clock.fast_forward(10_001)
    assert page.inner_text(".al-trouble") == "no such image", "what the kernel says stays to be read"
    page.close()


@pytest.mark.skipif(not importlib.util.find_spec("notebook"), reason="Notebook 7 is not installed here")
def test_notebook_7_shows_the_widget_and_keeps_its_own_shortcuts_off(tmp_path, browser, truth):
    lab = Lab(tmp_path, "notebook")
    lab.start()
    try:
        write_notebook(lab, "label.ipynb", person=True, labeller="ann", n_check=10, label_budget=10)
        tab = Tab(lab, browser, "label.ipynb", truth)
        tab.open()
        cells = tab.page.locator(".jp-Cell").count()
        tab.page.locator(".al-label").focus()
        tab.page.keyboard.type("dd")  # deletes the cell, elsewhere in Notebook
        while len(tab.said) < 20:
            (tab.click if len(tab.said) % 3 else tab.type)()
        tab.page.wait_for_selector(".al-waiting:has-text('That was all')")
        assert tab.page.locator(".jp-Cell").count() == cells
        tab.page.close()
        with Ledger(tmp_path / "labels.db", [str(k) for k in range(10)]) as ledger:
            assert ledger.labels_of("ann") == {image: truth[image] for image in tab.said}
    finally:
        lab.kill()
