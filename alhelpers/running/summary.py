"""What a sweep found, for people: summary.html, made from the template beside this module."""

import base64
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alhelpers import plots
from alhelpers.intervals import interval
from alhelpers.running.grid import Value
from alhelpers.running.notebooks import describe
from alhelpers.running.plan import Plan, PlannedRun
from alhelpers.running.store import FAILED, Store, write_tables

SEED = "seed"
"""The parameter that repeats a run instead of changing it."""
MOST_CURVES = 10


def write_results(plan: Plan, store: Store) -> int:
    """Write the tables of `write_tables` and summary.html for all runs of the plan that are there.

    Returns how many runs are done and showed nothing. Reads one run at a time; each file appears whole.
    Raises SweepError if a run's record is damaged.
    """
    nothing = write_tables(plan, store)
    with store.draft_of("summary.html") as draft:
        draft.write_bytes(_page(plan, store).encode(errors="replace"))
    return nothing


def _page(plan: Plan, store: Store) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"show": _show, "describe": describe}
    collected = _Collected(plan)
    for planned, record in store.recorded(plan.runs):
        collected.add(planned, record)
    with np.errstate(invalid="ignore"):  # what has no number has no interval, and the page says so
        figure, stage = _figure(collected)
        final = [_means(group, values) for group, values in collected.final.items()]
        results = [
            _means(group, values, name)
            for (group, name), values in sorted(collected.results.items(), key=lambda each: each[0][1])
        ]
    return environment.get_template("summary.html.jinja").render(
        plan=plan,
        collected=collected,
        fixed={k: v for k, v in plan.runs[0].parameters.items() if k not in plan.varied},
        figure=figure,
        png=base64.b64encode(figure.png()).decode() if figure else "",
        stage=stage,
        most_curves=MOST_CURVES,
        percent=_percent,
        number=_number,
        final=final,
        results=results,
    )


class _Collected:
    """What the page needs of all runs, without their histories."""

    def __init__(self, plan: Plan) -> None:
        self.varied = [name for name in plan.varied if name != SEED]
        # By group, the runs that differ in their seed only: accuracies by (stage, n_labels), and final ones.
        self.curves: dict[tuple, dict[tuple[str, int], list[float]]] = {}
        self.final: dict[tuple, list[float]] = defaultdict(list)
        self.results: dict[tuple[tuple, str], list[float]] = defaultdict(list)
        self.runs: list[tuple[PlannedRun, dict[str, Any]]] = []
        self.failures: list[tuple[PlannedRun, dict[str, Any]]] = []
        self.versions: Counter[str] = Counter()
        self.kernels: Counter[str] = Counter()
        self.seconds = 0.0

    def add(self, planned: PlannedRun, record: dict[str, Any]) -> None:
        shown = ("status", "seconds", "result", "files")
        self.runs.append((planned, {name: record.get(name) for name in shown}))
        self.seconds += record["seconds"]
        self.kernels[record["kernel"]] += 1
        self.versions[", ".join(f"{name} {number}" for name, number in record["versions"].items())] += 1
        if record["status"] == FAILED:
            self.failures.append((planned, record["error"]))
            return
        group = tuple(planned.parameters[name] for name in self.varied)
        points = self.curves.setdefault(group, defaultdict(list))
        for fit in record["history"]:
            points[fit["stage"], fit["n_labels"]].append(fit["accuracy"])
        for name, value in record.get("result", {}).items():
            if isinstance(value, int | float):
                self.results[group, name].append(value)
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


def _means(group: tuple, values: list[float], name: str = "") -> dict[str, Any]:
    """A row of a table of means; the name is that of a result."""
    mean, low, high = interval(values)
    numbers = {"mean": mean, "low": low, "high": high, "least": min(values), "most": max(values)}
    return {"group": group, "name": name, "runs": len(values), **numbers}


def _percent(share: float) -> str:
    return f"{min(max(share, 0), 1):z.2%}" if math.isfinite(share) else "no number"


def _number(value: float) -> str:
    return f"{value:z.5g}" if math.isfinite(value) else "no number"


def _show(value: Value) -> str:
    """A parameter's value, a float with as few digits as tell it from others."""
    if not isinstance(value, float):
        return str(value)
    return short if float(short := f"{value:g}") == value else repr(value)
