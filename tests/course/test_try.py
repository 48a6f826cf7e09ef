"""The page that needs no installation: exact, whole in one file, and usable by mouse, keys and touch."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsers import serious
from bs4 import BeautifulSoup
from firefox import FIREFOX, Firefox
from helpers import load, make
from playwright.sync_api import expect

from alhelpers.data import load_mnist
from alhelpers.labelling.images import load_images
from alhelpers.labelling.ledger import Ledger
from alhelpers.learner import ActiveLearner
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.running.exact import committed_fits

ROOT = Path(__file__).resolve().parents[2]
TRY = ROOT / "site" / "try"
expect.set_options(timeout=60_000)  # how long a training takes hangs on the machine
needs_firefox = pytest.mark.skipif(
    FIREFOX is None, reason="no Firefox on this machine, so it was not tried there"
)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node on this machine")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return make(TRY / "build.py", tmp_path_factory.mktemp("a stick") / "try.html")


@pytest.fixture
def opened(browser, file):
    """Open the page from the disk, without a network; a request or a complaint of its fails the test."""
    trouble, contexts = [], []

    def open_page(fragment="", context=None, script="", **settings):
        if context is None:
            context = browser.new_context(offline=True, **settings)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda one: trouble.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda one: trouble.append(str(one)))
        page.on(
            "request", lambda one: one.url.startswith((file.as_uri(), "blob:")) or trouble.append(one.url)
        )
        if script:
            page.add_init_script(script)
        page.goto(file.as_uri() + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not trouble, "\n".join(trouble)


def ready(page):
    page.locator("#deal-one:enabled").wait_for()
    return page


def fill(page, batches):
    """Give so many batches by the answer key."""
    for _ in range(batches):
        page.locator("#start:visible, #next:visible, #go-on:visible").click()
        page.locator("#answer-key").click()
        page.locator("#outcome:visible, #ended:visible").wait_for()


# ---- The file


def test_the_page_is_one_file_that_refers_to_nothing_else(file):
    assert file.stat().st_size <= 2_000_000
    page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
    addresses = [tag[name] for name in ("src", "href") for tag in page.find_all(attrs={name: True})]
    assert addresses
    assert all(address.startswith(("#", "data:image/")) for address in addresses)
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_texts_are_in_one_file_and_all_are_used():
    texts = json.loads((TRY / "texts.json").read_text(encoding="utf-8"))
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in TRY.glob("*.mjs"))
    template = (TRY / "page.html").read_text(encoding="utf-8")
    used = set(re.findall(r'"(\w[\w-]*)"', scripts)) | set(re.findall(r"\{\{([\w-]+)\}\}", template))
    # Some names are put together: `help_${query}`.
    begun = (*re.findall(r"`(\w+_)\$\{", scripts), "more_")
    assert not [key for key in texts if key not in used and not key.startswith(begun)]
    asked_for = set(re.findall(r'\bt\(\s*"([\w-]+)"', scripts))
    assert len(asked_for) > 50
    assert asked_for <= texts.keys()


def test_a_page_that_would_be_too_large_is_not_written(tmp_path, monkeypatch):
    build = load(TRY / "build.py")
    monkeypatch.setattr(build, "page", lambda home: "x" * 2_000_001)
    with pytest.raises(ValueError, match="2,000,001 bytes; 2,000,000 are allowed"):
        build.build(tmp_path / "try.html")
    assert not list(tmp_path.iterdir())


def test_what_the_first_model_can_read_is_counted_on_images_that_did_not_stop_it(file):
    build = load(TRY / "build.py")
    _, _, x_test, y_test = build.images()
    learner = ActiveLearner(load_mnist(), model=SoftmaxRegression)
    learner.label_manually(100)
    learner.fit(verbose=False)
    others = slice(len(learner.data.x_test), None)
    right = int((learner.answers(x_test[others]) == y_test[others]).sum())
    said = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").select_one("#idea p").text
    assert f"Of {len(y_test[others])} others that it has never seen, it reads {right} correctly." in said


# ---- The modules, in Node


def in_node(code, images=b"", **values):
    """What an expression of the page's modules gives. In it, values are constants, and images `bytes`."""
    given = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
    imports = "".join(
        f'import * as {name} from "{(TRY / name).with_suffix(".mjs").as_uri()}";'
        for name in ("state", "race")
    )
    imports += 'import { readFileSync } from "node:fs"; const bytes = readFileSync(0);'
    command = ["node", "--input-type=module", "-e", f"{imports}{given}console.log(JSON.stringify({code}))"]
    return json.loads(subprocess.run(command, input=images, capture_output=True, check=True).stdout)


@needs_node
@pytest.mark.parametrize(
    ("fragment", "refused"),
    [
        ("#seed=-1&query=<img src=x onerror=alert(1)>", ["seed=-1", "query=<img src=x onerror=alert(1)>"]),
        ("#seed=1e3&batch=7&judge=&mean=none", ["seed=1e3", "batch=7", "judge=", "mean=none"]),
        ("#__proto__=1&constructor=2&seed=99999", ["__proto__=1", "constructor=2", "seed=99999"]),
        ("#seed=%E0%A4%A&query=least-confident", ["seed=\N{REPLACEMENT CHARACTER}%A"]),
        ("#race", []),
        ("", []),
    ],
)
def test_settings_that_make_no_sense_are_left_out_and_named(fragment, refused):
    found = in_node("state.readFragment(fragment)", fragment=fragment)
    assert found["settings"] == in_node("state.DEFAULTS")
    assert found["refused"] == refused


@needs_node
def test_an_address_leads_back_to_its_settings():
    settings = {"seed": 12, "query": "by eye", "batch": 5, "budget": 400, "judge": "others"}
    settings["mean"] = "divided"
    fragment = in_node("state.writeFragment(settings)", settings=settings)
    assert in_node("state.readFragment(fragment)", fragment=fragment) == {"settings": settings, "refused": []}


@needs_node
def test_a_draw_is_the_same_for_the_same_seed_and_its_judges_stop_nothing():
    one, again, other = in_node("[1, 1, 2].map(race.draw)")
    assert one == again != other
    assert len(set(one["pool"])) == len(one["pool"]) == 2000
    assert max(one["pool"]) < 4000
    assert sorted(one["stop"] + one["judge"]) == list(range(4000, 5000))
    assert (len(one["stop"]), len(one["judge"])) == (400, 600)


@needs_node
def test_the_draw_that_the_page_begins_with_flatters_choosing_as_its_text_admits():
    x, y, x_test, y_test = load(TRY / "build.py").images()
    images = b"".join(part.astype("u1").tobytes() for part in (x, x_test, y, y_test))
    parts = "{ pixels: bytes.subarray(0, 5000 * 784), labels: bytes.subarray(5000 * 784) }"
    found = in_node(f"race.deal({parts}, state.DEFAULTS)", images)
    assert found["chosen"] - found["random"] > 0.05


@needs_node
@pytest.mark.parametrize(
    "change",
    [
        {}, {"answers": 7}, {"answers": [{"row": 1}]}, {"picked": ["<b>"]}, {"name": None},
        {"settings": {"seed": -1, "query": "margin", "batch": 10}},
    ],
)  # fmt: skip
def test_what_a_browser_kept_counts_only_if_it_makes_sense(change):
    when = "2026-01-31T12:00:00.000Z"
    answer = {"row": 7, "label": None, "by": "person", "round": 1, "when": when, "milliseconds": 900}
    settings = {"seed": 1, "query": "margin", "batch": 10}
    kept = {"settings": settings, "name": "me", "picked": [], "answers": [answer]} | change
    found = in_node("state.load(() => ({ getItem: () => text }))", text=json.dumps(kept))
    assert found == (None if change else kept)
    assert in_node('state.load(() => ({ getItem: () => "no JSON" }))') is None


# ---- The story, in a browser


def test_the_story_by_mouse(opened):
    page = ready(opened(viewport={"width": 1280, "height": 900}))
    page.locator("#six button").nth(2).click()
    expect(page.locator("#six-said")).to_contain_text("100")

    page.locator("#start").click()
    for k in range(10):
        page.locator("#keypad button").nth(k).click()
    expect(page.locator("#learned")).to_contain_text("10 labels")
    assert page.locator("#weights canvas").count() == 10
    page.locator("#stop-here").click()
    expect(page.locator("#ended-said")).to_contain_text("differ from the answer key")
    assert 5 <= page.locator("#slips figure").count() <= 10
    page.locator("#go-on").click()
    page.locator("#answer-key").click()
    page.locator("#next").wait_for()
    fill(page, 3)
    expect(page.locator("#ended-said")).to_contain_text("50 labels")

    handle = page.locator("#race .handle").last
    frame, box = page.locator("#race-chart svg"), handle.bounding_box()
    frame.scroll_into_view_if_needed()
    box, chart = handle.bounding_box(), frame.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, chart["y"] + 80, steps=5)
    page.mouse.up()
    assert int(handle.get_attribute("aria-valuenow")) > 60
    guess = handle.get_attribute("aria-valuetext")
    page.locator("#reveal").click()
    expect(page.locator("#race-said")).to_contain_text(f"Your guess for the twin was {guess}")
    page.locator("#extend").click()
    expect(page.locator("#race-said")).to_contain_text("With 400 labels")

    page.locator("#deal-one").click()
    expect(page.locator("#deal-said")).to_contain_text("One dot has no interval")
    page.locator("#deal-ten").click()
    expect(page.locator("#deal-said")).to_contain_text("11 races")
    expect(page.locator("#deal-said")).to_contain_text("95% interval")
    assert page.locator("#deal-chart .dot.chosen").count() == 11
    page.locator("#budget").select_option("400")  # another race: the dots above are no repeats of it
    assert page.locator("#deal-chart .dot.chosen").count() == 0


# The article's 403 fits take half a minute. test_exact.py has Node do them all with the page's own modules;
# here the worker does those up to the first auto-label round, and then says at once what it would have said.
AT_ONCE = """(fits) => {
    window.Worker = class {
        postMessage() { setTimeout(() => this.say()); }
        say() {
            for (const fit of fits) this.onmessage({ data: { progress: fit } });
            this.onmessage({ data: { done: null } });
        }
        terminate() {}
    };
}"""


def test_the_article_s_rows_are_ticked_off_and_both_judges_speak(opened):
    page = ready(opened("#judge=others"))
    ticked, rows = page.locator("#rows .ok"), page.locator("#rows tbody tr")
    page.locator("#run-article").click()
    expect(rows.nth(5)).not_to_contain_text("–", timeout=900_000)  # the first auto-label round
    assert ticked.count() == 0
    page.get_by_label("the 400 images that also stopped the training").check()
    assert (ticked.count(), rows.count()) == (6, 7)
    expect(page.locator("#judge-said")).to_contain_text("89.75")
    expect(page.locator("#judge-said")).to_contain_text("+6.0 points")
    page.locator("#article-stop").click()
    fits = [
        {"stage": fit.stage, "nLabels": fit.n_labels, "accuracy": fit.accuracy, "steps": fit.steps}
        for fit in committed_fits(ROOT / "notebooks")
    ]
    page.evaluate(AT_ONCE, [fit | {"judged": 0.8} for fit in fits])
    page.locator("#run-article").click()
    expect(page.locator("#article-said")).to_contain_text("403 of 403 fits agree")
    assert ticked.count() == 7
    page.get_by_label("600 other images").check()
    assert ticked.count() == 0
    expect(rows.last).to_contain_text("80.00%")
    expect(page.locator("#judge-said")).to_contain_text("+6.0 points by the first, +0.0 by the second")
    page.get_by_label("the 400 images that also stopped the training").check()
    page.evaluate(AT_ONCE, [*fits[:-1], fits[-1] | {"accuracy": 0.9}])
    page.locator("#run-article").click()
    expect(page.locator("#article-said")).to_contain_text("402 of 403 fits agree")
    expect(rows.last).to_contain_text("✗")
    assert ticked.count() == 6


def test_long_jobs_can_be_stopped_and_begun_anew(opened):
    page = ready(opened())
    page.locator("#run-article").click()
    expect(page.locator("#article-count")).to_contain_text("of 403 fits")
    page.locator("#article-stop").click()
    expect(page.locator("#article-said")).to_have_text("Stopped.")
    page.locator("#run-divided").click()
    expect(page.locator("#article-said")).to_contain_text("85.50")
    page.locator("#budget").select_option("400")
    page.locator("#deal-ten").click()
    page.locator("#deal-stop").click()
    expect(page.locator("#deal-progress")).to_have_text("Stopped.")
    expect(page.locator("#deal-one")).to_be_enabled()


def press_until(page, key, locator, most=80):
    """Press a key until something has the focus."""
    for _ in range(most):
        page.keyboard.press(key)
        if locator.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"{locator} does not take the focus")


def test_the_story_by_keys_alone(opened):
    page = ready(opened())
    press_until(page, "Tab", page.locator("#six button").first)
    page.keyboard.press("Enter")
    expect(page.locator("#six-said")).not_to_be_empty()
    press_until(page, "Tab", page.locator("#start"))
    page.keyboard.press("Enter")
    expect(page.locator("#stage")).to_be_focused()
    page.keyboard.press("3")
    page.keyboard.press("4")
    expect(page.locator("#question")).to_contain_text("2 of 50")
    page.keyboard.press("Backspace")
    expect(page.locator("#question")).to_contain_text("1 of 50")
    for key in "?123456789":
        page.keyboard.press(key)
    expect(page.locator("#learned")).to_contain_text("9 labels")
    expect(page.locator("#next")).to_be_focused()
    press_until(page, "Tab", page.locator("#race .handle").first)
    before = int(page.locator("#race .handle").first.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    assert int(page.locator("#race .handle").first.get_attribute("aria-valuenow")) == before + 11
    press_until(page, "Tab", page.locator("#reveal"))
    page.keyboard.press("Enter")
    expect(page.locator("#race-said")).to_contain_text("With 9 labels")
    press_until(page, "Tab", page.locator("#deal-one"))
    page.keyboard.press("Enter")
    expect(page.locator("#deal-said")).to_contain_text("One race")


def test_digits_typed_elsewhere_answer_nothing(opened):
    page = ready(opened())
    page.locator("#start").click()
    page.locator("#name").fill("7 of 9")
    expect(page.locator("#question")).to_contain_text("0 of 50")


def test_the_story_by_touch_on_a_phone(opened):
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = ready(opened(**phone, reduced_motion="reduce"))  # or the page would still be scrolling by itself
    page.locator("#six button").nth(0).tap()
    expect(page.locator("#six-said")).not_to_be_empty()
    page.locator("#query").select_option("by eye")
    page.locator("#batch").select_option("5")
    page.locator("#start").tap()
    expect(page.locator("#sheet button[aria-pressed]")).to_have_count(30)
    for k in (3, 4, 5, 6, 7, 8):  # the sixth is one too many
        page.locator("#sheet button[aria-pressed]").nth(k).tap()
    assert page.locator('#sheet button[aria-pressed="true"]').count() == 5
    page.locator("#sheet-go").tap()
    for k in range(4):
        page.locator("#keypad button").nth(k).tap()
    page.locator("#cannot-tell").tap()
    expect(page.locator("#learned")).to_contain_text("4 labels")
    handle = page.locator("#race .handle").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    before, scrolled = handle.get_attribute("aria-valuenow"), page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    for step in range(1, 6):
        point = at | {"y": at["y"] - 10 * step}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert int(handle.get_attribute("aria-valuenow")) > int(before)
    assert page.evaluate("scrollY") == scrolled, "the page scrolled away under the finger"
    page.locator("#reveal").tap()
    expect(page.locator("#race-said")).to_contain_text("With 4 labels")
    page.locator("#deal-one").tap()
    expect(page.locator("#deal-said")).to_contain_text("Picking by eye cannot be repeated")


def test_forty_labels_reach_a_ledger_exactly(opened, tmp_path):
    page = ready(opened("#seed=5&query=margin"))
    page.locator("#name").fill('Ada "A", Lovelace')
    page.locator("#start").click()
    expect(page.locator("#stage")).to_be_focused()
    page.keyboard.press("?")
    for key in "123456789":
        page.keyboard.press(key)
    page.locator("#next").wait_for()
    fill(page, 3)
    with page.expect_download() as download:
        page.locator("#csv").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["label"] for row in rows[:10]] == ["", *"123456789"]

    pool = load_mnist()
    images = load_images(pool.x_pool, labels=pool.y_pool)
    with Ledger(tmp_path / "labels.db", images.classes, images.digests) as ledger:
        assert ledger.import_labels(path) == 40
        assert ledger.import_labels(path) == 0, "a second time there is nothing new"
        answers = {answer.image: answer for answer in ledger.standing()}
    assert len(answers) == 40
    for row in rows:
        answer = answers[row["image"]]
        number = int(row["name"].removeprefix("image "))
        assert images.digests[number] == row["image"]
        assert (answer.label or "") == row["label"]
        assert answer.who == row["labeller"]
    assert {row["labeller"] for row in rows[:10]} == {'Ada "A", Lovelace'}
    assert {row["labeller"] for row in rows[10:]} == {"answer key"}
    by_key = {int(row["name"].removeprefix("image ")): int(row["label"]) for row in rows[10:]}
    assert all(pool.y_pool[number] == label for number, label in by_key.items())


def test_a_hostile_address_is_text_and_the_rest_of_it_is_used(opened):
    page = ready(opened("#seed=-1&query=<img src=x onerror=alert(1)>&batch=5"))
    expect(page.locator("#notice")).to_contain_text("query=<img src=x onerror=alert(1)>")
    assert page.locator("#notice img").count() == 0
    assert page.locator("#batch").input_value() == "5"
    assert page.locator("#seed").input_value() == "3"


def test_the_address_leads_others_to_the_same_race(opened):
    page = ready(opened())
    page.locator("#query").select_option("entropy")
    page.locator("#seed").fill("77")
    page.locator("#seed").press("Tab")
    fragment = page.evaluate("location.hash")
    page.locator("#start").click()
    first = page.locator("#asked canvas").evaluate("one => one.toDataURL()")
    other = ready(opened(fragment))
    assert other.locator("#query").input_value() == "entropy"
    other.locator("#start").click()
    assert other.locator("#asked canvas").evaluate("one => one.toDataURL()") == first


def test_nothing_is_kept_unless_asked_for_and_what_is_kept_survives_other_tabs_and_a_reload(opened, file):
    page = ready(opened())
    context = page.context
    older = ready(opened(context=context))
    page.bring_to_front()  # behind another tab it would wait for seconds to be drawn
    fill(page, 1)
    assert page.evaluate("localStorage.length") == 0
    page.get_by_label("Keep my answers").check()
    page.locator("#next").click()
    page.locator("#keypad button").first.click()
    older.bring_to_front()
    older.locator("#start").click()
    older.locator("#keypad button").first.click()
    expect(older.locator("#question")).to_contain_text("1 of 50")
    older.close()
    page.close()  # in the middle of a batch
    page = ready(opened(context=context))
    expect(page.locator("#question")).to_contain_text("11 of 50")
    page.locator("#answer-key").click()
    page.close(run_before_unload=False)  # in the middle of training, or just after it
    page = ready(opened(context=context))
    expect(page.locator("#keep-said")).to_contain_text("your 20 answers")
    expect(page.locator("#learned")).to_contain_text("20 labels")
    page.locator("#clear").click()
    assert page.evaluate("localStorage.length") == 0
    page.close()
    expect(ready(opened(context=context)).locator("#start")).to_be_visible()


FORBIDDEN = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } });"
FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"


@pytest.mark.parametrize("script", [FORBIDDEN, FULL], ids=["forbidden", "full"])
def test_where_nothing_can_be_kept_a_sentence_says_so_and_the_page_goes_on(opened, script):
    page = ready(opened(script=script))
    fill(page, 1)
    page.get_by_label("Keep my answers").check()
    expect(page.locator("#keep-said")).to_contain_text("will not keep anything")
    fill(page, 1)
    expect(page.locator("#learned")).to_contain_text("20 labels")


def test_starting_over_asks_first(opened):
    page = ready(opened())
    fill(page, 1)
    assert page.locator("#query").is_hidden()
    page.locator("#start-over").click()
    page.locator("#keep-mine").click()
    expect(page.locator("#csv")).to_contain_text("10 answers")
    page.locator("#start-over").click()
    page.locator("#start-over-sure").click()
    expect(page.locator("#start")).to_be_focused()
    assert page.locator("#query").is_visible()
    expect(page.locator("#csv")).to_be_disabled()


def test_an_old_browser_gets_a_sentence_and_the_text(opened):
    page = opened(script="delete window.DecompressionStream;")
    expect(page.locator("#notice")).to_contain_text("lacks something")
    expect(page.locator("#start")).to_be_hidden()
    assert page.locator("#deal-chart .dot.past").count() == 100


SMALL = """() => [...document.querySelectorAll("button, select, summary, input, nav a, a.button")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }))
    .map((one) => [one.closest("label.check") ?? one, one])
    .filter(([box]) => Math.min(box.getBoundingClientRect().width, box.getBoundingClientRect().height) < 43.5)
    .map(([, one]) => one.outerHTML.slice(0, 100))"""


@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious_targets_are_large_and_nothing_scrolls_sideways(opened, width):
    page = ready(opened(viewport={"width": width, "height": 900}, script=Axe().axe_script))
    options = {"resultTypes": ["violations"], "selectors": False}
    schemes = {"light": options, "dark": options | {"runOnly": ["color-contrast"]}}
    if width < 1280:
        del schemes["dark"]  # the colours are those of the wide page
    trouble = []

    def look(where):
        for scheme, asked in schemes.items():
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate("(options) => axe.run('html', options)", asked)
            trouble.extend(f"{where}, {scheme}: {one}" for one in serious(found))
        trouble.extend(f"{where}: small target {one}" for one in page.evaluate(SMALL))
        extra = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if extra > 0:
            trouble.append(f"{where}: scrolls sideways by {extra} pixels")

    look("at first")
    page.locator("#six button").first.click()
    page.locator("#query").select_option("by eye")
    page.locator("#start").click()
    page.locator("#sheet").wait_for()
    look("sheet")
    page.locator("#start-over").click()
    page.locator("#query").select_option("margin")
    page.locator("#start").click()
    page.locator("#keypad button").first.click()
    look("question")
    page.locator("#answer-key").click()
    page.locator("#next").wait_for()
    look("learned")
    page.locator("#stop-here").click()
    look("guess")
    page.locator("#reveal").click()
    page.locator("#deal-one").click()
    expect(page.locator("#deal-said")).to_contain_text("One race")
    for summary in page.locator("summary").all():
        summary.click()
    look("compared")
    assert not trouble, "\n".join(trouble)


# ---- The same in Firefox, whose arithmetic is another program's


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    with Firefox(tmp_path_factory.mktemp("firefox")) as firefox:
        yield firefox


@needs_firefox
@pytest.mark.parametrize(
    ("pointer", "width", "height"), [("mouse", 1280, 900), ("touch", 360, 740), ("keys", 1280, 900)]
)
def test_the_story_in_firefox(firefox, file, pointer, width, height):
    firefox.trouble.clear()
    firefox.open(file.as_uri(), width, height)
    firefox.wait_for("#deal-one:enabled")
    firefox.click("#six button", pointer)
    assert firefox.text("#six-said")
    firefox.click("#start", pointer)
    firefox.wait_for("#stage")
    firefox.click("#keypad button", pointer)
    firefox.press("1")
    firefox.click("#undo", pointer)
    firefox.click("#undo", pointer)  # now it is switched off, and keys have to go on working
    firefox.press("1", "2", "Backspace", *"234567890")
    firefox.wait_for_text("#learned", "10 labels")
    firefox.click("#stop-here", pointer)
    assert "differ from the answer key" in firefox.text("#ended-said")
    if pointer == "keys":
        firefox.tab_to("#race .handle")
    else:
        firefox.evaluate("document.querySelector('#race .handle').focus()")
    before = firefox.evaluate("document.activeElement.getAttribute('aria-valuenow')")
    firefox.press("ArrowUp")
    assert int(firefox.evaluate("document.activeElement.getAttribute('aria-valuenow')")) == int(before) + 1
    firefox.click("#reveal", pointer)
    firefox.wait_for_text("#race-said", "With 10 labels")
    firefox.click("#deal-one", pointer)
    firefox.wait_for_text("#deal-said", "One race")
    if pointer == "keys":  # "Stop" had the focus meanwhile
        assert firefox.evaluate("document.activeElement.id") == "deal-one"
    firefox.click("#run-article", pointer)
    firefox.wait_for_text("#rows", "89.75% ✓")
    firefox.click("#article-stop", pointer)
    # All 4,000, 400 without choice, the first ten, 400 chosen: by then four rows are equal.
    assert firefox.evaluate("document.querySelectorAll('#rows .ok').length") >= 4
    assert "✗" not in firefox.text("#rows")
    assert firefox.evaluate("document.documentElement.scrollWidth") <= width
    assert not firefox.trouble, "\n".join(firefox.trouble)
