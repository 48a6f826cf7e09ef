"""A small table: with ruled rows in a notebook, in columns of text in a terminal."""

from collections.abc import Iterable, Sequence
from html import escape


class Table:
    """Headings and rows, shown as they are given: format numbers first. The first column is words."""

    def __init__(self, headings: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
        self.headings, *self.rows = [[str(cell) for cell in row] for row in (headings, *rows)]

    def __repr__(self) -> str:
        lines = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(line)).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        def line(cells: Sequence[str], kind: str) -> str:
            sides = ["left"] + ["right"] * (len(cells) - 1)
            marked = zip(sides, map(escape, cells), strict=True)
            return "".join(f'<{kind} style="text-align: {side}">{cell}</{kind}>' for side, cell in marked)

        rows = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows)
        head = f"<thead>\n<tr>{line(self.headings, 'th')}</tr>\n</thead>"
        return f"<table>\n{head}\n<tbody>\n{rows}\n</tbody>\n</table>"
