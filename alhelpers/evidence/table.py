"""The results of the experiments: a tidy table, a row for each figure, and the file it is kept in."""

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np

from alhelpers.files import PACKAGE, SHIPPED, atomic_write, read_shipped, shipped
from alhelpers.intervals import band

FILE = "evidence/results.csv.gz"


class Row(NamedTuple):
    """One figure of one run. What does not apply is empty, and so is a value that there is none of.

    experiment, draw: where it comes from; query, C (of the converged model; none for the early-stopped one),
    learning_rate, batch_size, refitted: the recipe, see `runs.Recipe`; wrong_labels: the share of the labels
    bought that are wrong; random_share: how much of each batch is random; dataset: what was drawn from;
    variant, setting: what else was done, and the number that goes with it; stopped_on, judged_by: images;
    measure: what was measured, n_labels: with so many labels, value: the figure.

    "seconds" is CPU time of a whole run on one thread, the one measure that is not the same every time.
    """

    experiment: str
    draw: int
    query: str = ""
    C: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    refitted: bool | None = None
    wrong_labels: float = 0.0
    random_share: float = 0.0
    dataset: str = "MNIST"
    variant: str = ""
    setting: float | None = None
    stopped_on: str = ""
    judged_by: str = "10,000 test images"
    measure: str = "accuracy"
    n_labels: int | None = None
    value: float | None = None


class Results:
    """Rows of the table. Draws are in the same order everywhere.

    Every method takes column = value, any number of them, and looks at the rows that have these values; at
    accuracies, unless a `measure` is given. Raises KeyError if no row has them, and ValueError if they leave
    open which of two rows of a draw is meant.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)

    @cached_property
    def _by_experiment(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.experiment, []).append(row)
        return found

    def select(self, **columns: object) -> "Results":
        """Only the rows with these values, of any measure."""
        rows = self.rows
        if "experiment" in columns:  # the quick way to most of what is asked for
            rows = self._by_experiment.get(columns["experiment"], [])
        places = [(Row._fields.index(name), value) for name, value in columns.items()]
        found = [row for row in rows if all(row[place] == value for place, value in places)]
        if not found:
            raise KeyError(", ".join(f"{name} = {value!r}" for name, value in columns.items()))
        return Results(found)

    def distinct(self, column: str, **columns: object) -> list:
        """The values that a column has, in the order of the table."""
        place = Row._fields.index(column)
        return list(dict.fromkeys(row[place] for row in self.select(**columns).rows))

    def curves(self, **columns: object) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of labels, (fits,), and values, (draws, fits)."""
        draws = self._draws(columns)
        n_labels = [row.n_labels for row in draws[0]]
        for rows in draws:
            if [row.n_labels for row in rows] != n_labels:
                first, this = draws[0][0].draw, rows[0].draw
                raise ValueError(f"draw {this} has fits at other numbers of labels than draw {first}")
        return np.array(n_labels), np.array([[row.value for row in rows] for rows in draws])

    def bands(
        self, column: str, values: Iterable[object], least: int = 50, **columns: object
    ) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Learning curves for `plots.bands`, one for each value of a column.

        They begin at so many labels; what is below would squeeze the rest.
        """
        found = {}
        for value in values:
            n_labels, accuracy = self.curves(**{column: value}, **columns)
            late = n_labels >= least
            found[str(value)] = (n_labels[late], *band(accuracy[:, late]))
        return found

    def at(self, n_labels: int, **columns: object) -> np.ndarray:
        """Values with so many labels, (draws,)."""
        return self.values(n_labels=n_labels, **columns)

    def last(self, **columns: object) -> np.ndarray:
        """Values after the last fit, (draws,)."""
        return np.array([rows[-1].value for rows in self._draws(columns)])

    def last_by(self, column: str, **columns: object) -> np.ndarray:
        """As `last`, for each value of a column: (draws, distinct values)."""
        values = self.distinct(column, **columns)
        return np.column_stack([self.last(**{column: value}, **columns) for value in values])

    def values(self, **columns: object) -> np.ndarray:
        """The one value of each draw, (draws,), NaN where there is none."""
        draws = self._draws(columns)
        if max(map(len, draws)) > 1:
            raise ValueError("a draw has several rows; say with which n_labels")
        return np.array([np.nan if row.value is None else row.value for (row,) in draws])

    def _draws(self, columns: dict[str, object]) -> list[list[Row]]:
        found: dict[int, list[Row]] = {}
        for row in self.select(**{"measure": "accuracy"} | columns).rows:
            found.setdefault(row.draw, []).append(row)
        for rows in found.values():
            rows.sort(key=lambda row: row.n_labels or 0)
            if len({row.n_labels for row in rows}) < len(rows):
                for name, *values in zip(Row._fields, *rows, strict=True):
                    if name not in ("n_labels", "value") and len(set(values)) > 1:
                        one, other, *_ = dict.fromkeys(values)
                        raise ValueError(f"rows differ in {name}, {one!r} and {other!r}; say which")
        return [rows for _, rows in sorted(found.items())]


def read(folder: Path = PACKAGE, experiments: Collection[str] | None = None) -> Iterator[Row]:
    """The rows of the results file of the package, or of one like it in another folder; all, or of some.

    Raises OSError if it is missing or damaged: its SHA-256 is checked on every call.
    """
    _, *lines = gzip.decompress(read_shipped(FILE, folder)).decode().splitlines()
    if experiments is not None:
        starts = tuple(f"{name}," for name in experiments)
        lines = [line for line in lines if line.startswith(starts)]
    for cells in zip(*map(_values, _KINDS, zip(*csv.reader(lines), strict=True)), strict=True):
        yield Row._make(cells)


def _values(kind: Callable[[str], object], cells: Sequence[str]) -> Iterator[object]:
    """A column's values. Most cells of a column are alike."""
    values = {cell: kind(cell) for cell in set(cells)}
    return map(values.__getitem__, cells)


def _reader(hint: Any) -> Callable[[str], object]:
    """What makes a value of a column's cell, by its type in Row."""
    kind = (*get_args(hint), hint)[0]  # int of int | None
    if kind is bool:
        kind = {"True": True, "False": False}.__getitem__
    return lambda cell: kind(cell) if cell or kind is str else None


_KINDS = tuple(map(_reader, get_type_hints(Row).values()))


def write(rows: Iterable[Row], folder: Path = PACKAGE) -> None:
    """Write the results file and its digest. The same rows give the same bytes."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows(rows)
    content = gzip.compress(text.getvalue().encode(), mtime=0)
    atomic_write(folder / FILE, content)
    digests = shipped(folder) | {FILE: hashlib.sha256(content).hexdigest()}
    atomic_write(folder / SHIPPED, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))
