"""Tables in .csv and .parquet files, from and for other programs: text as it was, and nothing that runs."""

import csv
import io
import re
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from alhelpers.files import atomic_write
from alhelpers.labelling.events import LedgerError

# What a spreadsheet takes for a formula, and where: at the beginning of a cell, which may be within ours,
# since Excel divides at another separator where the comma is the decimal mark.
_BEGINS, _RUNS = r'(^|[,;|\t\r\n"])( *)', "(?='*[=+\\-@\t\r\n＝＋－＠])"
_TO_QUOTE, _QUOTED = re.compile(_BEGINS + _RUNS), re.compile(f"{_BEGINS}'{_RUNS}")
_NO_TEXT = {
    b"PK": "an Excel workbook or another zip file; save it as “CSV UTF-8”",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as “CSV UTF-8”",
    b"PAR1": "a Parquet file; give it a name that ends in .parquet",
    b"\x1f\x8b": "compressed; unpack it first",
}


def quoted(text: str) -> str:
    """Text with an apostrophe where a spreadsheet would take what follows for a formula."""
    return _TO_QUOTE.sub(r"\1\2'", text)


def unquoted(text: str) -> str:
    """The text that `quoted` was given."""
    return _QUOTED.sub(r"\1\2", text)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a table as a file, whole or not at all. Raises LedgerError if it cannot be written."""
    try:
        atomic_write(path, content)
    except OSError as problem:
        reason = problem.strerror or problem
        raise LedgerError(f"cannot write {path}: {reason}; give another place, the ledger is safe") from None


def table_as_bytes(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> bytes:
    """The content of a .csv or .parquet file of that name with these rows.

    In a .csv file text that a spreadsheet would run begins with an apostrophe.
    """
    if pyarrow := _pyarrow(path):
        types = dict.fromkeys(("id", "round", "milliseconds", "undoes"), pyarrow.int64())
        types |= {"when": pyarrow.timestamp("ms", "UTC"), "confidence": pyarrow.float64()}
        schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
        if "when" in columns:
            rows = [row | {"when": datetime.fromisoformat(row["when"])} for row in rows]
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file)
        return file.getvalue()
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(columns)
    for row in rows:
        cells = (row[name] for name in columns)
        table.writerow([quoted(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue().encode()


def read_table(path: Path) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """The columns of a .csv, .tsv, .txt or .parquet file, and each row with its place; None for empty cells.

    A place is "line 2", as an editor counts, or "row 1" of a Parquet file. Text may be UTF-8, UTF-16 as
    Excel writes it, or Windows' Western code page; cells may be divided by commas, semicolons or tabs:
    whichever the first line has. Names of columns come in small letters.

    Raises LedgerError if the file cannot be read, has two columns of one name, or rows of another length.
    """
    pyarrow = None if path.suffix.lower() in (".tsv", ".txt") else _pyarrow(path)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is a folder, a pipe or a device")  # a pipe would be waited for
        if pyarrow:
            table = pyarrow.parquet.ParquetFile(path).read()
            for k, column in enumerate(table.schema):
                if pyarrow.types.is_timestamp(column.type):  # Python has no nanoseconds
                    moments = table.column(k).cast(pyarrow.timestamp("ms", "UTC"), safe=False)
                    table = table.set_column(k, column.name, moments)
            header, lines = table.column_names, zip(*table.to_pydict().values(), strict=True)
            lines = [  # NaN is not equal to itself
                (f"row {number}", [None if cell != cell else cell for cell in line])
                for number, line in enumerate(lines, 1)
            ]
        else:
            header, lines = _cells(path.read_bytes())
        header = [name.strip().lower() for name in header]
        if twice := [name for k, name in enumerate(header) if name and name in header[:k]]:
            raise ValueError(f"it has the column {twice[0]!r} twice")
        return header, [(place, dict(zip(header, line, strict=True))) for place, line in lines]
    except (OSError, ValueError, RuntimeError, csv.Error) as problem:
        reason = getattr(problem, "strerror", None) or str(problem).partition("\n")[0]
        raise LedgerError(f"cannot read {path}: {reason}; nothing was imported") from None


def _cells(content: bytes) -> tuple[list[str], list[tuple[str, list[str | None]]]]:
    """The header of a .csv file, and each row with its place. Raises ValueError or csv.Error."""
    for beginning, what in _NO_TEXT.items():
        if content.startswith(beginning):
            raise ValueError(f"it is {what}")
    text = _text(content)
    first, _, rest = text.partition("\n")
    if named := re.fullmatch(r"sep=(.)\s*", first):  # Excel's own
        divider, text, n_before = named[1], rest, 1
    else:  # whichever there is most of; a comma if there is none
        divider, n_before = max(",;\t", key=first.count), 0
    lines = csv.reader(io.StringIO(text, ""), delimiter=divider, strict=True)
    header, rows = next(lines, []), []
    begins = n_before + lines.line_num + 1  # a cell may have line breaks in it
    for line in lines:
        place, begins = f"line {begins}", n_before + lines.line_num + 1
        if not any(line):
            continue
        if len(line) < len(header) or any(line[len(header) :]):
            raise ValueError(f"{place} has {len(line)} cells, the header {len(header)}")
        rows.append((place, [unquoted(cell) or None for cell in line[: len(header)]]))
    return header, rows


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise ValueError(
                "its text is neither UTF-8 nor Windows' code page 1252; save it as UTF-8"
            ) from None
    if "\0" in text:
        raise ValueError("it is no text; save it as “CSV UTF-8”")
    return text


def is_unicode(path: Path) -> bool:
    """Whether the text of a table says itself what it is; of another one, `read_table` has to guess."""
    if path.suffix.lower() == ".parquet":
        return True
    content = path.read_bytes()
    try:
        content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _pyarrow(path: Path) -> ModuleType | None:
    """PyArrow for the name of a Parquet file, None for that of a CSV file. Raises LedgerError for another."""
    if path.suffix.lower() == ".csv":
        return None
    if path.suffix.lower() != ".parquet":
        raise LedgerError(
            f"{path} is neither .csv nor .parquet; give a name that ends in one of them (Excel "
            "saves a workbook as “CSV UTF-8”)"
        )
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise LedgerError(
            f"{path} needs PyArrow, which is missing; run `pip install pyarrow`, or give a .csv name"
        ) from None
    return pyarrow
