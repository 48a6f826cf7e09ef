"""Labels from and for other programs: rows of .csv and .parquet files."""

import csv
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from alhelpers.files import draft_of
from alhelpers.labelling.answers import Answers
from alhelpers.labelling.events import IMPORT, UNSURE, LedgerError
from alhelpers.labelling.record import Record

ANSWER = ("image", "name", "label", "labeller", "when", "round", "milliseconds")
EVENT = ("id", "image", "name", "action", "label", "labeller", "when", "round", "milliseconds", "undoes")
"""The columns of a file with answers, and of one with every event."""


def write_rows(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]], ledger: Path) -> None:
    """Write rows to a .csv or .parquet file other than the ledger, whole or not at all.

    Raises LedgerError if that fails.
    """
    pyarrow = _pyarrow(path)
    try:
        if path.exists() and path.samefile(ledger):
            raise LedgerError(f"{path} is the ledger itself; give another file name")
        with draft_of(path) as draft:
            if pyarrow:
                types = dict.fromkeys(("id", "round", "milliseconds", "undoes"), pyarrow.int64())
                types["when"] = pyarrow.timestamp("ms", "UTC")
                schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
                rows = [row | {"when": datetime.fromisoformat(row["when"])} for row in rows]
                pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), draft)
            else:
                with draft.open("w", newline="", encoding="utf-8") as file:
                    table = csv.DictWriter(file, columns, extrasaction="ignore")
                    table.writeheader()
                    table.writerows(rows)
    except OSError as problem:
        reason = problem.strerror or problem
        raise LedgerError(f"cannot write {path}: {reason}; give another place, the ledger is safe") from None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .csv or .parquet file with the columns image and label; None for what is empty.

    Raises LedgerError if the file cannot be read, or lacks one of them.
    """
    pyarrow = _pyarrow(path)
    try:
        if pyarrow:
            table = pyarrow.parquet.ParquetFile(path).read()
            for k, column in enumerate(table.schema):
                if pyarrow.types.is_timestamp(column.type):  # Python has no nanoseconds
                    moments = table.column(k).cast(pyarrow.timestamp("ms", "UTC"), safe=False)
                    table = table.set_column(k, column.name, moments)
            header, rows = table.column_names, table.to_pylist()
        else:
            with path.open(newline="", encoding="utf-8-sig") as file:
                header, *lines = [line for line in csv.reader(file, strict=True) if line] or [[]]
            for number, line in enumerate(lines, 1):
                if len(line) != len(header):
                    raise ValueError(f"data row {number} has {len(line)} cells, the header {len(header)}")
            rows = [{k: v or None for k, v in zip(header, line, strict=True)} for line in lines]
    except (OSError, ValueError, RuntimeError, csv.Error) as problem:
        reason = getattr(problem, "strerror", None) or str(problem).partition("\n")[0]
        raise LedgerError(f"cannot read {path}: {reason}; nothing was imported") from None
    for column in ("image", "label"):
        if column not in header:
            raise LedgerError(f"{path} has no column {column!r} among {header}; call the right one so")
    return rows


def import_rows(rows: list[dict[str, Any]], labeller: str | None, record: Record, answers: Answers) -> int:
    """Append the rows that say something new to a record, within a transaction; return how many did.

    Raises LedgerError, naming the row, if one makes no sense, repeats another, or differs from what the same
    person has answered.
    """
    added, first_row = 0, {}
    for number, row in enumerate(rows, 1):
        try:
            image, label, who = row["image"], row["label"], labeller or row.get("labeller")
            label = None if label is None else str(label)
            rest = row.get("round") or 0, row.get("milliseconds"), row.get("when")
            event = record.event(image, IMPORT, label, who, *rest)
            first = first_row.setdefault((image, who), number)
            if first != number:
                raise LedgerError(f"data row {first} has this image and labeller too; delete one of them")
            known = answers.of_image(image).get(who)
            if known is not None and known.label != label:
                raise LedgerError(
                    f"{who!r} says {label or UNSURE!r} here, {known.label or UNSURE!r} in the "
                    "ledger; undo that one, or import under another labeller's name"
                )
        except LedgerError as problem:
            raise LedgerError(f"data row {number}: {problem}") from None
        if known is None:
            answers.add(record.append(event))
            added += 1
    return added


def _pyarrow(path: Path) -> ModuleType | None:
    """PyArrow for the name of a Parquet file, None for that of a CSV file. Raises LedgerError for another."""
    if path.suffix.lower() == ".csv":
        return None
    if path.suffix.lower() != ".parquet":
        raise LedgerError(f"{path} is neither .csv nor .parquet; give a name that ends in one of them")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise LedgerError(
            f"{path} needs PyArrow, which is missing; run `pip install -e '.[label]'`, or give a .csv name"
        ) from None
    return pyarrow
