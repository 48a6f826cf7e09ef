"""What a sweep found, for people: results.csv and results.parquet, one row for each fit, and summary.html."""

import base64
import csv
import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from alhelpers import plots
from alhelpers.files import draft_of
from alhelpers.intervals import interval
from alhelpers.running import notebooks as run
from alhelpers.running.plan import FIT_COLUMNS, Plan, Run, Value
from alhelpers.running.store import FAILED, Store

SEED = "seed"
"""The parameter that repeats a run instead of changing it."""
MOST_CURVES = 10
_BATCH = 500


def write_results(plan: Plan, store: Store) -> None:
    """Write results.csv, results.parquet and summary.html for all runs of the plan that are there.

    Reads one run at a time. Each file is written beside its place and then renamed.
    """
    import pyarrow
    import pyarrow.parquet

    # Types of the plan's values, so that every run makes the same columns; one that is always None is text.
    types: dict[str, type] = {}
    for planned in plan.runs:
        for name, value in planned.parameters.items():
            if types.get(name, type(None)) is type(None):
                types[name] = type(value)
    columns = {"run": str} | types | FIT_COLUMNS
    arrow = {int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, arrow.get(kind, pyarrow.string())) for name, kind in columns.items()])

    collected = _Collected(plan)
    csv_path, parquet_path = store.folder / "results.csv", store.folder / "results.parquet"
    with (
        draft_of(csv_path) as csv_draft,
        draft_of(parquet_path) as parquet_draft,
        csv_draft.open("w", newline="", encoding="utf-8") as file,
        pyarrow.parquet.ParquetWriter(parquet_draft, schema) as parquet,
    ):
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        batch: list[dict[str, Any]] = []
        for planned, record in _recorded(plan, store):
            collected.add(planned, record)
            if record["status"] != FAILED:
                rows = [{"run": planned.id, **planned.parameters, **fit} for fit in record["history"]]
                writer.writerows(rows)
                batch += rows
            if len(batch) > _BATCH:
                parquet.write_table(pyarrow.Table.from_pylist(batch, schema))
                batch.clear()
        parquet.write_table(pyarrow.Table.from_pylist(batch, schema))
    with draft_of(store.folder / "summary.html") as draft:
        draft.write_text(_page(plan, collected), encoding="utf-8")


def _recorded(plan: Plan, store: Store) -> Iterator[tuple[Run, dict[str, Any]]]:
    known = store.known()
    for planned in plan.runs:
        if planned.id in known:
            yield planned, store.record(planned.id)


class _Collected:
    """What the page needs of all runs, without their histories."""

    def __init__(self, plan: Plan) -> None:
        self.varied = [name for name in plan.varied if name != SEED]
        # By group, the runs that differ in their seed only: accuracies by (stage, n_labels), and final ones.
        self.curves: dict[tuple, dict[tuple[str, int], list[float]]] = {}
        self.final: dict[tuple, list[float]] = defaultdict(list)
        self.failures: list[tuple[Run, dict[str, Any]]] = []
        self.runs: list[tuple[Run, str, float]] = []
        self.versions: Counter[str] = Counter()
        self.kernels: Counter[str] = Counter()
        self.seconds = 0.0

    def add(self, planned: Run, record: dict[str, Any]) -> None:
        self.runs.append((planned, record["status"], record["seconds"]))
        self.seconds += record["seconds"]
        self.kernels[record["kernel"]] += 1
        self.versions[", ".join(f"{name} {number}" for name, number in record["versions"].items())] += 1
        group = tuple(planned.parameters[name] for name in self.varied)
        if record["status"] == FAILED:
            self.failures.append((planned, record["error"]))
            return
        points = self.curves.setdefault(group, defaultdict(list))
        for fit in record["history"]:
            points[fit["stage"], fit["n_labels"]].append(fit["accuracy"])
        if record["history"]:
            self.final[group].append(record["history"][-1]["accuracy"])

    def name(self, group: tuple) -> str:
        pairs = zip(self.varied, group, strict=True)
        return ", ".join(f"{name} {_show(value)}" for name, value in pairs) or "all runs"


def _figure(collected: _Collected) -> tuple[plots.Picture | None, str]:
    """Of the stage with the most points, the first MOST_CURVES groups; and the name of that stage."""
    stages = Counter(stage for points in collected.curves.values() for stage, _ in points)
    if not stages:
        return None, ""
    stage = stages.most_common(1)[0][0]
    curves = {}
    for group, points in collected.curves.items():
        n_labels = np.array(sorted(n for name, n in points if name == stage))
        if len(n_labels) and len(curves) < MOST_CURVES:
            rows = [interval(points[stage, n]).within(0, 1) for n in n_labels]
            curves[collected.name(group)] = (n_labels, *np.array(rows).T)
    return plots.bands(curves), stage


_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --back: #fff; --line: #d0d0d0; --soft: #f4f4f4;
  --link: #00508a; --bad: #a63c00; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --back: #161616; --line: #444; --soft: #222;
  --link: #7cc0f5; --bad: #ff9d66; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
a { color: var(--link); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left; }
td.number, th.number { text-align: right; }
thead th { background: var(--soft); }
img { max-width: 100%; background: #fff; border-radius: 4px; }
figure { margin: 1rem 0; } figcaption { font-size: .95em; }
.scroll { overflow-x: auto; } .failed { color: var(--bad); font-weight: 600; }
code { overflow-wrap: anywhere; }
"""


def _page(plan: Plan, collected: _Collected) -> str:
    done = len(collected.runs) - len(collected.failures)
    state = f"{done:,} of {len(plan.runs):,} runs are done"
    state += f", {len(collected.failures):,} failed" if collected.failures else ", none failed"
    state += "."
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sweep of {_text(plan.notebook)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Sweep of {_text(plan.notebook)}</h1>
<p>{state}</p>
{_accuracy_part(collected)}
{_failure_part(plan, collected)}
<h2>Runs</h2>
<details>
<summary>{len(collected.runs):,} executed notebooks</summary>
{_run_table(plan, collected)}
</details>
<h2>What ran</h2>
{_provenance(plan, collected)}
</main>
</body>
</html>
"""


def _accuracy_part(collected: _Collected) -> str:
    figure, stage = _figure(collected)
    if figure is None:
        return "<p>No run has shown a history of fits, so there is no accuracy to draw.</p>"
    png = base64.b64encode(figure.png()).decode()
    more = len(collected.curves) - MOST_CURVES
    rest = f" The first {MOST_CURVES} of {len(collected.curves)} combinations are drawn." if more > 0 else ""
    rows = []
    for group, values in collected.final.items():
        n, (mean, low, high) = len(values), interval(values).within(0, 1)
        between = f"{low:.2%} to {high:.2%}" if n > 1 else "one run has none"
        numbers = [str(n), f"{mean:.2%}", between, f"{min(values):.2%}", f"{max(values):.2%}"]
        rows.append([*map(_show, group), *numbers])
    table = _table([*collected.varied, "runs", "mean", "95 % interval", "least", "most"], rows)
    return f"""<h2>Accuracy against labels</h2>
<figure>
<img src="data:image/png;base64,{png}" alt="{_text(figure.alt)}">
<figcaption>Fits of the stage “{_text(stage)}”: mean test accuracy of runs that differ in their seed only.
The band is the 95 % interval of that mean (Student's t), none for a single run.{rest}</figcaption>
</figure>
<h2>Final accuracy</h2>
<p>Accuracy of the last fit of each run.</p>
{table}"""


def _failure_part(plan: Plan, collected: _Collected) -> str:
    if not collected.failures:
        return ""
    rows = [
        [
            _link(planned),
            _parameters(plan, planned),
            _text(run.describe(error)),
            f"<code>{_text(error['line'])}</code>",
        ]
        for planned, error in collected.failures
    ]
    return "<h2>Failures</h2>\n" + _table(
        ["run", "parameters", "error", "cell begins with"], rows, plain=False
    )


def _run_table(plan: Plan, collected: _Collected) -> str:
    rows = [
        [
            _link(planned),
            _parameters(plan, planned),
            f'<span class="{status}">{status}</span>',
            f"{seconds:.1f}",
        ]
        for planned, status, seconds in collected.runs
    ]
    return _table(["run", "parameters", "state", "seconds"], rows, plain=False)


def _provenance(plan: Plan, collected: _Collected) -> str:
    fixed = {
        name: value
        for name, value in (plan.runs[0].parameters if plan.runs else {}).items()
        if name not in plan.varied
    }
    rows = [
        ["notebook", f"{plan.notebook}, SHA-256 {plan.digest}"],
        ["alhelpers", plan.package],
        ["parameters alike in all runs", ", ".join(f"{k} {_show(v)}" for k, v in fixed.items()) or "none"],
        *[[f"software of {n:,} runs", text] for text, n in collected.versions.most_common()],
        ["kernels", ", ".join(f"{n:,} {kind}" for kind, n in collected.kernels.items()) or "none"],
        ["time of all runs together", f"{collected.seconds / 60:.1f} minutes"],
    ]
    return _table(["", ""], rows)


def _table(header: list[str], rows: list[list[str]], plain: bool = True) -> str:
    """An HTML table; cells that are numbers go to the right. Cells are text unless `plain` is False."""

    def cell(tag: str, content: str) -> str:
        number = ' class="number"' if re.fullmatch(r"[\d.,%–-]+", content) else ""
        return f"<{tag}{number}>{_text(content) if plain else content}</{tag}>"

    numeric = [
        bool(rows) and all(re.fullmatch(r"[\d.,%–-]+", row[i]) for row in rows) for i in range(len(header))
    ]
    head = "".join(
        f'<th scope="col"{" class=number" if is_number else ""}>{_text(name)}</th>'
        for name, is_number in zip(header, numeric, strict=True)
    )
    body = "\n".join("<tr>" + "".join(cell("td", content) for content in row) + "</tr>" for row in rows)
    head = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f'<div class="scroll"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def _link(planned: Run) -> str:
    return f'<a href="runs/{planned.id}/notebook.ipynb">{planned.id}</a>'


def _parameters(plan: Plan, planned: Run) -> str:
    return _text(", ".join(f"{name} {_show(planned.parameters[name])}" for name in plan.varied) or "as given")


def _show(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
