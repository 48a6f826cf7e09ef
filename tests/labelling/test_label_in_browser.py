"""A person labels in JupyterLab: what is clicked and typed is in the ledger, whatever dies in between."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import nbformat
import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsers import serious

from alhelpers import load_mnist
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.running import notebooks as run

NOTEBOOK = run.NOTEBOOKS / "12_label_it_yourself.ipynb"
N_CHECK, BUDGET, BATCH = 10, 10, 5
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
def lab(browser, tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.start()
    yield lab
    lab.kill()


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
        self.page.locator(".al-label:not(.al-review)").focus()
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


def test_twenty_labels_by_clicks_and_keys_survive_everything(lab, browser, truth):
    sizes = {"n_check": N_CHECK, "label_budget": BUDGET, "batch_size": BATCH}
    write_notebook(lab, "label.ipynb", person=True, labeller="ann", **sizes)
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
    tab.type()

    tab.save()
    tab.page.reload()
    for _ in range(3):  # the widget is back by itself
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

    lab.kill()
    notebook = nbformat.read(lab.folder / "label.ipynb", as_version=4)
    cell = "from alhelpers.labelling.review import Review\nReview(ledger, images).widget"
    notebook.cells.append(nbformat.v4.new_code_cell(cell))
    nbformat.write(notebook, lab.folder / "label.ipynb")
    lab.start()
    tab.open()
    while len(tab.said) < N_CHECK + BUDGET:
        (tab.click if len(tab.said) % 3 else tab.type)()
    tab.page.wait_for_function(
        "() => document.querySelector('.al-waiting').textContent.startsWith('That was all')"
    )
    log = tab.page.inner_text(".al-log").splitlines()
    assert [line.split(" labels")[0] for line in log] == ["5", "10"], "the learner did not learn from all"
    with Ledger(lab.folder / "labels.db", [str(k) for k in range(10)]) as ledger:
        assert ledger.labels_of("ann") == {image: truth[image] for image in tab.said}
        actions = Counter(event.action for event in ledger.events())
    assert actions == {"label": N_CHECK + BUDGET + 1, "undo": 1, "skip": 1}

    # The grid below has what was labelled when its cell ran.
    tab.page.wait_for_function("() => document.querySelector('.al-thumb').naturalWidth === 28")
    assert tab.page.locator(".al-tile").count() == 14
    tab.page.add_script_tag(content=Axe().axe_script)
    for widget in (".al-label:not(.al-review)", ".al-review"):
        bad = serious(tab.page.evaluate(f"axe.run('{widget}')"))
        assert not bad, f"{widget}: {bad}"
    assert not tab.foreign, "something was fetched from elsewhere"
    tab.page.close()


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
