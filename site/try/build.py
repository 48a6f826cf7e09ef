"""Build the page that needs no installation: python site/try/build.py [FILE [TUTORIAL]].

`make try` does it, into build/try.html. One file with all in it: the images, the scripts, the texts, and
figures of the committed results. A browser lets it load nothing else and run no other script (its
Content-Security-Policy). TUTORIAL is the address of the tutorial's pages, if they are beside it.
"""

import base64
import functools
import hashlib
import html
import io
import json
import re
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import stdtrit

from alhelpers.data import load_mnist, read_mnist
from alhelpers.evidence.curves import crossed_interval
from alhelpers.evidence.table import Results, read
from alhelpers.files import atomic_write
from alhelpers.intervals import interval, points
from alhelpers.labelling.images import load_images
from alhelpers.learner import ActiveLearner
from alhelpers.model_numpy import SoftmaxRegression
from alhelpers.running.exact import committed_fits
from alhelpers.running.notebooks import find_notebooks

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXPERIMENTS = ("rounding", "article recipe", "judges", "better recipe", "test images")
"""Those whose results the page tells of."""
MOST_BYTES = 2_000_000
N_POOL, N_TEST, N_STOP = 4000, 1000, 400
EXAMPLE = 749
"""A pool image that the model is in doubt about, as a person may be."""
# In the order in which one needs the other: written one after the other, they are one script.
SHARED = ("model.mjs",)
WORKER = (*SHARED, "learner.mjs", "race.mjs", "worker.mjs")
PAGE = (
    *SHARED, "dom.mjs", "charts.mjs", "jobs.mjs", "state.mjs", "app.mjs",
    "idea.mjs", "label.mjs", "compare.mjs", "deal.mjs", "article.mjs", "page.mjs",
)  # fmt: skip


def script(names: Iterable[str]) -> str:
    """Modules as one classic script, since a browser loads no module from a file beside a page.

    Each becomes a function that returns what it exports. Raises ValueError if two export the same name.
    """
    parts, known = [], {}
    for name in names:
        text = (HERE / name).read_text(encoding="utf-8")
        text = re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL)
        kinds = r"^export ((?:async )?(?:class|const|function\*?)) ([\w$]+)"
        exported = [match[2] for match in re.finditer(kinds, text, flags=re.MULTILINE)]
        text = re.sub(kinds, r"\1 \2", text, flags=re.MULTILINE)
        for one in exported:
            if known.setdefault(one, name) != name:
                raise ValueError(f"{known[one]} and {name} both export {one}; give one of them another name")
        given = ", ".join(exported)
        parts.append(f"const {{ {given} }} = (() => {{\n{text}return {{ {given} }};\n}})();\n")
    return '"use strict";\n(() => {\n' + "".join(parts) + "})();\n"


@functools.cache
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The article's pool and test images, and 600 other test images drawn at random, to be typical."""
    x, y, x_test, y_test = read_mnist(N_POOL)
    others = np.random.default_rng(0).choice(np.arange(N_STOP, len(y_test)), N_TEST - N_STOP, replace=False)
    test = np.concatenate([np.arange(N_STOP), others])
    return x, y, x_test[test], y_test[test]


def packed() -> str:
    """Grey levels, labels, and the pool's SHA-256 digests as the labelling ledger has them, in base64."""
    x, y, x_test, y_test = images()
    digests = b"".join(map(bytes.fromhex, load_images(x).digests))
    parts = (x.tobytes(), x_test.tobytes(), y.astype("u1").tobytes(), y_test.astype("u1").tobytes(), digests)
    return base64.b64encode(zlib.compress(b"".join(parts), 9)).decode()


def picture(image: np.ndarray) -> str:
    """A digit, uint8 (28, 28), as the address of a PNG with black ink on nothing."""
    file = io.BytesIO()
    Image.merge("LA", [Image.new("L", image.shape, 0), Image.fromarray(image)]).save(
        file, "PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def idea() -> dict:
    """What a model with a hundred labels thinks of some digits that it has not seen."""
    learner = ActiveLearner(load_mnist(), model=SoftmaxRegression)
    learner.label_manually(100)
    learner.fit(verbose=False)
    # The first 400 test images said when to stop; the others say how good it has become.
    *_, x_test, y_test = images()
    right = learner.answers(x_test[N_STOP:]) == y_test[N_STOP:]

    def guesses(row: int) -> dict:
        proba = learner.predict_proba(np.array([row]))[0]
        first, second = np.argsort(-proba, kind="stable")[:2].tolist()
        two = [[digit, float(proba[digit])] for digit in (first, second)]
        return {"row": row, "guesses": two, "label": int(learner.data.y_pool[row])}

    def by_confidence(rows: range) -> list[int]:
        confidence = learner.predict_proba(np.array(rows)).max(axis=1)
        return [rows[i] for i in np.argsort(confidence, kind="stable")]

    order = by_confidence(range(100, 400))
    six = sorted(order[round(share * (len(order) - 1))] for share in (0, 0.15, 0.35, 0.6, 0.8, 1))
    return {
        "right": int(right.sum()),
        "example": guesses(EXAMPLE),
        "six": [guesses(row) for row in six],
    }


def evidence(results: Results) -> dict:
    """Of a hundred draws: curves, what choosing gains, and what the article's way would have published."""
    loop = results.select(experiment="article recipe", batch_size=10)
    bands, gains = {}, {}
    n_labels, random = loop.curves(query="random")
    for query in ("random", "least confident", "margin", "entropy"):
        _, curves = loop.curves(query=query)
        low, high = np.quantile(curves, [0.05, 0.95], axis=0)
        columns = zip(n_labels.tolist(), curves.mean(axis=0), low, high, strict=True)
        bands[query] = [[n, *(round(float(value), 4) for value in rest)] for n, *rest in columns]
        if query != "random":
            gains[query] = {
                n: _gain(curves[:, n_labels == n].ravel() - random[:, n_labels == n].ravel())
                for n in (50, 400)
            }
    better = results.select(experiment="better recipe", batch_size=10)
    converged = {
        query: _gain(better.at(400, query=query) - better.at(400, query="random"))
        for query in ("least confident", "margin", "entropy")
    }
    stopped = {"stopped_on": "400 test images", "judged_by": "400 test images", "n_labels": 400}
    judges = results.select(experiment="judges")
    hundred = judges.values(query="least confident", **stopped) - judges.values(query="random", **stopped)
    same = {"query": "least confident", "stopped_on": "400 test images", "n_labels": 400}
    flattery = judges.values(judged_by="400 test images", **same) - judges.values(
        judged_by="10,000 test images", **same
    )
    tenths = results.select(experiment="test images")
    fair = crossed_interval(
        tenths.last_by("judged_by", query="least confident", C=None)
        - tenths.last_by("judged_by", query="random", C=None)
    )
    variant = "divided by n, not times 1/n"
    return {
        "bands": bands,
        "gains": gains,
        "converged": converged,
        "flattery": {"interval": list(interval(flattery))},
        "hundred": [round(400 * float(gain)) / 400 for gain in hundred],
        "hundred_gain": _gain(np.round(400 * hundred) / 400),
        "fair": {"interval": list(fair)},
        "divided": results.select(experiment="rounding").last(variant=variant)[0],
    }


def _gain(values: np.ndarray) -> dict:
    return {"interval": [round(float(v), 6) for v in interval(values)], "better": int((values > 1e-9).sum())}


def facts() -> dict:
    """All figures of the page that do not come from its own computing."""
    fits = committed_fits(ROOT / "notebooks")
    # Of Student's distribution with 1, 2, … degrees of freedom, for the page's intervals.
    t_quantiles = [round(float(stdtrit(df, 0.975)), 4) for df in range(1, 201)]
    return {
        "idea": idea(),
        **evidence(Results(read(experiments=EXPERIMENTS))),
        "history": [[fit.stage, fit.n_labels, fit.accuracy, fit.steps] for fit in fits],
        "t": t_quantiles,
    }


def values_of(facts: dict, texts: dict[str, str]) -> dict[str, str]:
    """The figures in sentences, by the names that texts.json gives them."""
    hundred, gains = facts["hundred"], facts["gains"]

    def words(gain: dict, digits: int = 1) -> str:
        mean, low, high = (points(part, digits).replace("-", "−") for part in gain["interval"])
        return f"{mean} ({low} to {high})"

    def in_words(gain: dict) -> str:
        mean, low, high = (f"{100 * part:.2f}" for part in gain["interval"])
        return f"{mean} points (95% interval {low} to {high})"

    shown = facts["idea"]
    (first, sure), (second, other) = shown["example"]["guesses"]
    least = min(shown["six"], key=lambda one: one["guesses"][0][1])
    place = shown["six"].index(least)
    most = max(one["guesses"][0][1] for one in shown["six"])
    values = {
        "notebooks": len(find_notebooks()),
        "idea_right": shown["right"],
        "idea_first": first, "idea_second": second, "idea_label": shown["example"]["label"],
        "idea_sure": f"{100 * sure:.0f}", "idea_other": f"{100 * other:.0f}",
        "six_place": texts["place_" + ("first", "second", "third", "fourth", "fifth", "sixth")[place]],
        "six_least": f"{100 * least['guesses'][0][1]:.0f}", "six_most": f"{100 * most:.0f}",
        "hundred_low": points(min(hundred), 1).replace("-", "−"), "hundred_high": points(max(hundred), 1),
        "hundred_harm": sum(gain < 0 for gain in hundred), "hundred_gain": in_words(facts["hundred_gain"]),
        "hundred_six": sum(gain >= 0.06 for gain in hundred), "fair": in_words(facts["fair"]),
        "flattery": in_words(facts["flattery"]),
        "lc_400_short": f"{100 * gains['least confident'][400]['interval'][0]:.1f}",
        "divided": f"{100 * facts['divided']:.2f}",
    }  # fmt: skip
    for short, query in (("lc", "least confident"), ("margin", "margin"), ("entropy", "entropy")):
        for n in (50, 400):
            values[f"{short}_{n}"] = words(gains[query][n])
            values[f"{short}_{n}_better"] = gains[query][n]["better"]
        values[f"{short}_converged"] = words(facts["converged"][query])
    return {name: str(value) for name, value in values.items()}


def page(home: str = "") -> str:
    """The page as text. home: the address of the tutorial's pages, if they are beside it."""
    found = facts()
    texts = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    values = values_of(found, texts)
    # A name that the facts do not have stays: the page fills it in.
    for key, text in texts.items():
        texts[key] = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)
    texts["more"] = texts["more_beside" if home else "more_alone"].replace("{home}", html.escape(home))
    pool, *_ = images()
    pictures = {"example_picture": picture(pool[found["idea"]["example"]["row"]])}
    for k, one in enumerate(found["idea"]["six"]):
        pictures[f"six_picture_{k}"] = picture(pool[one["row"]])
    pictures["icon"] = (
        "data:image/svg+xml;base64,"
        + base64.b64encode((HERE.parent / "static" / "icon.svg").read_bytes()).decode()
    )
    style = (HERE / "style.css").read_text(encoding="utf-8")
    main = script(PAGE)
    policy = (
        f"default-src 'none'; img-src data:; worker-src blob:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(main)}' blob:"
    )
    # `</` would end a script, and `<!--` begin a comment in it.
    data = {
        name: json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        for name, value in (("texts", texts), ("facts", found))
    }
    inserted = {
        **texts, **pictures, **data, "policy": policy, "style": style, "packed": packed(),
        "worker": script(WORKER), "main": main,
    }  # fmt: skip
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w-]+)\}\}", lambda match: inserted[match[1]], template)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def build(out: Path, home: str = "") -> None:
    """Write the page to a file that appears whole. Raises ValueError if it has grown too large."""
    text = page(home).encode()
    if len(text) > MOST_BYTES:
        raise ValueError(f"{out.name} would have {len(text):,} bytes; {MOST_BYTES:,} are allowed")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, text)


if __name__ == "__main__":
    given = [*sys.argv[1:], None, None]
    file = Path(given[0] or ROOT / "build" / "try.html").resolve()
    try:
        build(file, given[1] or "")
    except (OSError, ValueError) as problem:
        sys.exit(f"alhelpers: {problem}")
    print(f"Open {file} ({file.stat().st_size / 1e6:.2f} MB); it needs nothing else, and no network")
