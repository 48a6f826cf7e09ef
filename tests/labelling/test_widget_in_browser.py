"""What a person sees, clicks and types, in a browser without Jupyter: this process is the widgets' kernel."""

import base64
import csv
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from alhelpers.labelling.events import LABEL, Look
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.labelling.review import SIDE, Review
from alhelpers.labelling.widget import Labeler, program

SHARED = ("classes", "shortcuts", "status", "log", "asking", "batch")
START = """async ({ program, traits }) => {
    const { default: widget } = await import(program);
    const listeners = {};
    const tell = (name, ...what) => (listeners[name] ?? []).forEach(listener => listener(...what));
    window.sent = [];
    const model = {
        get: name => traits[name],
        on: (names, listener) => names.split(" ").forEach(name => (listeners[name] ??= []).push(listener)),
        off: () => {},
        send: async message => {
            sent.push(message);
            for (const { name, value, pictures } of await kernel(message)) {
                if (name === "msg:custom") {
                    const bytes = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
                    tell(name, value, pictures.map(bytes));
                } else {
                    traits[name] = value;
                    tell(`change:${name}`);
                }
            }
        },
    };
    widget.render({ model, el: document.querySelector("main") });
}"""
"""What anywidget does for a widget's program, on a bare page. Only what was asked for is told."""


def as_address(program):
    """The address of a module with this text."""
    return f"data:text/javascript;base64,{base64.b64encode(program.encode()).decode()}"


class Bench:
    """A page with a labeler's or a review's widget, and the person in front of it."""

    def __init__(self, browser, owner, clock=False):
        self.page, self._out = browser.new_page(viewport={"width": 1200, "height": 1100}), []
        widget, self._owner = owner.widget, owner
        widget.send = lambda value, buffers=(): self._tell("msg:custom", value, buffers)
        widget.observe(lambda change: self._tell(change.name, change.new))
        if clock:
            self.page.clock.install()
        self.page.expose_function("kernel", self._answer)
        self.page.set_content("<!doctype html><main></main>")
        self.page.add_style_tag(content=str(widget._css))
        traits = {name: getattr(widget, name) for name in widget.trait_names(sync=True) if name in SHARED}
        self.page.evaluate(START, {"program": as_address(str(widget._esm)), "traits": traits})

    def _tell(self, name, value, buffers=()):
        pictures = [base64.b64encode(one).decode() for one in buffers]
        self._out.append({"name": name, "value": value, "pictures": pictures})

    def _answer(self, message):
        self._owner._receive(None, message, [])
        out, self._out = self._out, []
        return out

    def wait(self):
        """Wait for an image that can be answered; its digest."""
        self.page.wait_for_selector(".al-image[data-seen]:not([hidden])")
        return self.page.get_attribute(".al-image", "data-image")

    def press(self, key, code, said=None, **more):
        """Press a key of some keyboard, once the image counts as seen.

        Then wait for what the widget says; without that, nothing may be sent to the kernel.
        """
        self.wait()
        n_sent = self.page.evaluate(
            """event => {
                document.querySelector('.al-note').textContent = '';
                const root = document.querySelector('.al-label'), before = sent.length;
                root.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...event}));
                return sent.slice(before).filter(message => message.kind !== 'hold').length;
            }""",
            {"key": key, "code": code, **more},
        )
        assert n_sent == bool(said), (key, code)
        if said:
            note = "document.querySelector('.al-note').textContent"
            self.page.wait_for_function(f"said => {note} === said", arg=said)


@pytest.fixture
def opened(browser, tmp_path):
    """Open the widget of somebody who is asked about images, one batch of all or several."""
    benches, ledgers = [], []

    def open_bench(images, labeller="me", clock=False, batches=None):
        ledgers.append(Ledger(tmp_path / "labels.db", images.classes))
        labeler = Labeler(ledgers[-1], labeller, images=images)

        def loop():
            for batch in batches or [range(len(images))]:
                yield images.take(batch)

        labeler.play(loop)
        benches.append(Bench(browser, labeler, clock))
        return benches[-1]

    yield open_bench
    for bench in benches:
        bench.page.close()
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def grey(tmp_path):
    """Twenty pictures in 100 of 256 grey levels, of two classes, x and z."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "grey"
    folder.mkdir()
    for i in range(20):
        levels = rng.integers(90, 190, (300, 400), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{i}.png")
    return load_images(folder, labels=False, classes=["x", "z"])


def labels(tmp_path, images):
    """The labels in the ledger, in the order given."""
    with Ledger(tmp_path / "labels.db", images.classes) as ledger:
        return [event for event in ledger.events() if event.action == "label"]


def test_names_of_files_and_classes_are_shown_as_text_and_never_run(opened, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        name = f"<img src=x onerror=window.hacked=1> & 'quoted' {i}.png"
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / name)
    classes = ['"a" & <b>b</b>', "<script>window.hacked=1</script>", "🐈"]
    images = load_images(folder, labels=False, classes=classes)
    bench = opened(images)
    name = images.names[images.digests.index(bench.wait())]
    assert bench.page.inner_text(".al-caption") == name
    assert bench.page.locator(".al-class span").all_inner_texts() == classes
    for _ in range(2):
        bench.press("2", "Digit2", f"Last image saved: {classes[1]}.")
    assert bench.page.evaluate("window.hacked") is None
    assert [event.label for event in labels(tmp_path, images)] == [classes[1]] * 2


def test_keys_count_by_what_they_write_and_by_their_place_in_other_alphabets(opened, grey, tmp_path):
    bench = opened(grey)
    for key, code, said in (
        ("z", "KeyY", "Last image saved: z."),  # Germany
        ("y", "KeyZ", ""),
        ("я", "KeyZ", "Last image saved: z."),  # Russia
        ("X", "KeyX", "Last image saved: x."),
        ("ArrowRight", "Numpad6", "Last image skipped until later."),
    ):
        bench.press(key, code, said)
    bench.press("x", "KeyX", isComposing=True)
    bench.press("Process", "KeyX", keyCode=229)
    bench.press("Dead", "KeyX")
    bench.press("x", "KeyX", ctrlKey=True)
    assert [event.label for event in labels(tmp_path, grey)] == ["z", "z", "x"]


def test_french_digits_need_no_shift(opened, easy_images):
    bench = opened(load_images(easy_images(6)[0], labels=False, classes=[str(k) for k in range(10)]))
    for key, code, said in (
        ("é", "Digit2", "Last image saved: 2."),
        ("-", "Digit6", "Last image saved: 6."),
        ("à", "Digit0", "Last image saved: 0."),
        ("?", "KeyM", "Last image set aside."),
        ("7", "Digit7", "Last image saved: 7."),
    ):
        bench.press(key, code, said)


def test_no_answer_is_about_a_picture_that_was_not_seen(opened, grey, tmp_path):
    bench = opened(grey)
    bench.wait()
    notes = bench.page.evaluate(  # in the page, where no busy machine can put time between image and key
        """async () => {
            const widget = document.querySelector('.al-label'), notes = [];
            for (let press = 0; press < 300; press++) {
                widget.dispatchEvent(new KeyboardEvent('keydown', {key: 'x', code: 'KeyX', bubbles: true}));
                notes.push(widget.querySelector('.al-note').innerText);
                await new Promise(done => setTimeout(done, 5));
            }
            return notes;
        }"""
    )
    assert any("too early" in note.lower() for note in notes)
    given = labels(tmp_path, grey)
    assert given
    assert min(event.milliseconds for event in given) >= 199


def test_a_key_while_the_kernel_is_at_work_is_not_dropped_without_a_word(opened, grey, tmp_path):
    bench = opened(grey)
    bench.wait()
    bench.page.evaluate(
        """() => ['x', 'z'].forEach(key => document.querySelector('.al-label').dispatchEvent(
            new KeyboardEvent('keydown', {key, code: `Key${key.toUpperCase()}`, bubbles: true})))"""
    )
    said = "Last image saved: x. An answer that came too early was not taken."
    bench.page.wait_for_selector(f".al-note:text-is('{said}')")
    assert [event.label for event in labels(tmp_path, grey)] == ["x"]


def test_a_picture_is_zoomed_and_its_grey_levels_are_stretched(opened, grey):
    bench = opened(grey)

    def levels():
        picture = Image.open(io.BytesIO(bench.page.locator(".al-frame").screenshot())).convert("L")
        return np.ptp(np.percentile(np.asarray(picture)[20:-20, 20:-20], [5, 95]))

    width = "() => document.querySelector('.al-image').clientWidth"
    bench.wait()
    before, dim = bench.page.evaluate(width), levels()
    assert before > 600, "it is as large as the window allows"
    bench.press(",", "Comma")
    assert levels() > 2 * dim
    bench.press("+", "Equal", shiftKey=True)
    assert bench.page.evaluate(width) == pytest.approx(1.25 * before, abs=2)
    bench.press("-", "Minus")
    assert bench.page.evaluate(width) == pytest.approx(before, abs=2)
    bench.press("x", "KeyX", "Last image saved: x.")
    bench.wait()
    assert levels() > 2 * dim, "the next picture is stretched, too"
    bench.press("-", "Minus")
    assert bench.page.evaluate(width) == pytest.approx(0.8 * before, abs=2), "smaller than it came"


@pytest.fixture
def odd_sizes(tmp_path):
    """A tiny, a wide, a high and a large picture, and a second one of each."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for i, size in enumerate([(28, 28), (900, 100), (100, 900), (1500, 1500)] * 2):
        Image.new("L", size, 100 + i).save(folder / f"{i}.png")
    return load_images(folder, labels=False, classes=["x", "z"])


def test_the_buttons_stay_where_they_are_and_a_larger_picture_is_within_reach(opened, odd_sizes):
    bench = opened(odd_sizes)
    page = bench.page

    def place():
        return page.locator(".al-answers").bounding_box()

    bench.wait()
    before = place()
    for _ in range(len(odd_sizes) - 1):
        fits = "[...document.querySelectorAll('.al-frame')].map(f => [f.scrollWidth - f.clientWidth, "
        fits += "f.scrollHeight - f.clientHeight])[0]"
        assert page.evaluate(fits) == [0, 0], "the whole picture is seen"
        page.locator(".al-label").focus()
        for key in "+++---":
            page.keyboard.press(key)
            assert place() == before
        bench.press("x", "KeyX", "Last image saved: x.")
        bench.wait()
        assert place() == before
    for _ in range(10):
        page.keyboard.press("+")
    corners = page.evaluate(
        """() => {
            const frame = document.querySelector('.al-frame'), image = document.querySelector('.al-image');
            const edges = () => [frame, image].map(one => one.getBoundingClientRect());
            frame.scrollTo(0, 0);
            const [outer, first] = edges();
            frame.scrollTo(1e6, 1e6);
            const [, last] = edges();
            return [first.left - outer.left, first.top - outer.top, outer.right - last.right,
                    outer.bottom - last.bottom];
        }"""
    )
    assert min(corners) >= 0, "a part of the picture is out of reach"
    bench.press("x", "KeyX", "Last image saved: x.")
    page.wait_for_selector(".al-waiting:has-text('That was all')")
    assert place() == before


def test_the_frame_that_says_keys_work_is_not_cut_off(opened, grey):
    """JupyterLab cuts off what lies outside of an output."""
    bench = opened(grey)
    page = bench.page
    bench.wait()
    page.add_style_tag(content="main { overflow: auto; }")

    def edge():
        box = page.locator("main").bounding_box()
        shot = Image.open(io.BytesIO(page.screenshot(clip=box | {"width": 3, "height": 100})))
        return np.asarray(shot.convert("RGB"))[50].tolist()

    without = edge()
    page.locator(".al-label").focus()
    assert all(one != other for one, other in zip(edge()[1:], without[1:], strict=True))


def test_what_was_done_is_said_until_the_next_answer_across_rounds(opened, grey):
    bench = opened(grey, batches=([0], [1], [2]))
    settled = "() => sent.at(-1).kind === 'next' && document.querySelector('.al-image').dataset.seen"
    bench.press("x", "KeyX", "Last image saved: x.")
    bench.page.wait_for_function(settled)
    bench.wait()
    assert bench.page.inner_text(".al-note") == "Last image saved: x."
    bench.press("Backspace", "Backspace", "Taken back: 0.png. The rounds since then are computed anew.")
    bench.page.wait_for_function(settled)
    bench.wait()
    assert bench.page.inner_text(".al-note").startswith("Taken back: 0.png.")
    for _ in range(3):
        bench.press("x", "KeyX", "Last image saved: x.")
    bench.page.wait_for_selector(".al-waiting:has-text('That was all')")
    assert bench.page.inner_text(".al-note") == "Last image saved: x."


def test_a_class_is_renamed_and_added_and_labelling_stops_with_a_file(opened, grey, tmp_path):
    bench = opened(grey)
    page = bench.page
    bench.press("x", "KeyX", "Last image saved: x.")
    page.click(".al-classes summary")
    page.fill(".al-name input >> nth=0", "xenon")
    page.keyboard.press("Enter")
    page.wait_for_selector(".al-classes .al-note:has-text('Renamed: x is xenon now, key x.')")
    assert page.inner_text(".al-class >> nth=0").endswith("xenon")
    page.fill(".al-name input >> nth=2", "x")
    page.click(".al-name button >> nth=2")
    page.wait_for_function("() => document.querySelector('.al-trouble').textContent")
    assert "'x' is or was the name of another class" in page.inner_text(".al-classes .al-trouble")
    page.fill(".al-name input >> nth=2", "yellow")
    page.keyboard.press("Enter")
    page.wait_for_selector(".al-classes .al-note:has-text('Added: yellow, key 1.')")
    bench.wait()
    page.keyboard.press("1")  # the widget has the focus again
    page.wait_for_selector(".al-words .al-note:has-text('Last image saved: yellow.')")
    assert "to come" in page.inner_text(".al-progress")
    page.click(".al-actions >> text=Stop here and export")
    page.wait_for_selector(".al-waiting:has-text('Stopped: labels.csv')")
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text("utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["xenon", "yellow"]
    assert all(row["name"].endswith(".png") for row in rows)


def test_a_tab_in_which_nothing_is_done_lets_go_of_its_image(opened, grey):
    page = opened(grey, clock=True).page
    page.wait_for_selector(".al-image:not([hidden])")
    holds = "sent.filter(message => message.kind === 'hold').length"
    page.clock.run_for(9_000)  # the kernel gives an image to others after ten seconds without a sign
    before = page.evaluate(holds)
    assert before >= 2
    page.clock.run_for(61_000)
    before = page.evaluate(holds)
    page.clock.run_for(20_000)
    assert page.evaluate(holds) == before, "it is held for ever"
    page.mouse.move(100, 100)
    page.mouse.move(200, 200)
    page.clock.run_for(9_000)
    assert page.evaluate(holds) > before, "whoever is back has it again"


def test_two_tabs_label_thirty_images_of_one_ledger_once_each(opened, easy_images, tmp_path, monkeypatch):
    images = load_images(easy_images(30)[0], labels=False, classes=["x", "z"])
    benches = []
    for who in ("one", "two"):
        monkeypatch.setattr(Labeler, "_playing", {})  # or the second would end the first, as in one kernel
        benches.append(opened(images, who))
    truth = {digest: k % 2 for k, digest in enumerate(images.digests)}
    for bench in benches:  # each answers whatever it is shown as soon as it is shown
        bench.page.evaluate(
            """truth => setInterval(() => {
                const image = document.querySelector('.al-image');
                const buttons = document.querySelectorAll('.al-answers button');
                if (!image.hidden) buttons[truth[image.dataset.image]].click();
            }, 5)""",
            truth,
        )
    for bench in benches:
        bench.page.wait_for_selector(".al-waiting:has-text('That was all')")
    given = labels(tmp_path, images)
    assert len(given) == len({event.image for event in given}) == 30
    assert all(images.classes[truth[event.image]] == event.label for event in given)
    assert set(Counter(event.who for event in given)) == {"one", "two"}


def test_a_click_in_the_grid_of_all_answers_corrects(browser, grey, tmp_path):
    with Ledger(tmp_path / "labels.db", grey.classes) as ledger:
        for digest in grey.digests:
            ledger.record(Look("me"), digest, LABEL, "x")
        page = Bench(browser, Review(ledger, grey)).page
        tiles = page.locator(".al-tile")
        tiles.nth(19).wait_for()
        page.wait_for_function(
            f"() => [...document.querySelectorAll('.al-thumb')].every(one => one.naturalWidth === {SIDE})"
        )
        chosen = tiles.nth(3).get_attribute("data-image")
        tiles.nth(3).click()
        page.wait_for_function("() => document.querySelector('.al-large').naturalWidth === 400")
        page.click(".al-bar .al-class >> nth=1")
        page.wait_for_selector(".al-heading:has-text('z (1)')")
        assert tiles.last.get_attribute("data-image") == chosen
        assert page.evaluate("document.querySelector('.al-review').matches(':focus-within')"), (
            "keys go astray"
        )
        assert ledger.answers([chosen]).tolist() == [1]
        assert ledger.events()[-1].action == "correction"
        page.close()


def test_the_grid_asks_for_few_pictures_at_a_time_and_a_late_answer_ends_the_alarm(browser):
    page = browser.new_page()
    page.clock.install()
    page.set_content("<main></main>")
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
        as_address(program("review.js")),
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
