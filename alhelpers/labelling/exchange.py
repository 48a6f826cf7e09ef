"""Labels from other files: the rows of .csv and .parquet files."""

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

from alhelpers.labelling.record import LedgerError


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


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a .csv or .parquet file with the columns image and label; None for what is empty."""
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
