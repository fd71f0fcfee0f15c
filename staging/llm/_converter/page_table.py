"""Put the cells of a page's table into rows."""

import re
from collections.abc import Iterator

from staging.llm._converter import markdown

GROUPS = {"thead", "tbody", "tfoot"}
_LAYOUT_CELL = 1500  # characters of one cell, above which a table is no table of data


class Table:
    """Collects cells, each in the column that is free for it.

    Attributes:
        rows: the cells so far.
        has_table: whether another table stands in a cell. Then this one is only a layout.
        open_cells: how many cells were begun and not ended.
    """

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.has_table = False
        self.open_cells = 0
        self._span = (1, 1)  # columns and rows of the open cell
        self._ends: dict[int, int] = {}  # by column, the row in which its last cell ends
        self._group = 0  # the row in which the open group began
        self._foot: list[list[str]] = []

    def begin_group(self) -> None:
        """Begin a head, a body or a foot."""
        self._group = len(self.rows)

    def end_group(self, tag: str) -> None:
        """End a group of rows, out of which no cell grows (HTML, 4.9.12.1).

        A foot is shown last, although it may stand before the rows that it sums up.
        """
        self._ends.clear()
        if tag == "tfoot":
            self._foot += self.rows[self._group :]
            del self.rows[self._group :]

    def begin_cell(self, attributes: dict[str, str | None]) -> None:
        """Begin a cell over some columns and rows."""
        columns, rows = (min(50, max(1, integer(attributes.get(name), 1))) for name in ("colspan", "rowspan"))
        self._span = columns, rows
        self.open_cells += 1

    def end_cell(self, text: str) -> None:
        """Add a cell in the next column that is free."""
        self.open_cells -= 1
        self.rows = self.rows or [[]]
        row, (columns, rows) = self.rows[-1], self._span
        while self._ends.get(len(row), 0) >= len(self.rows):
            row.append("")
        self._ends.update(dict.fromkeys(range(len(row), len(row) + columns), len(self.rows) + rows - 1))
        row += [text, *[""] * (columns - 1)]
        self._span = (1, 1)

    def blocks(self) -> Iterator[str]:
        """Yield a table as rows, or as its cells.

        Rows are for a table of data, and cells for one that only lays out the page.
        """
        rows = [row for row in self.rows + self._foot if any(row)]
        columns = max(map(len, rows), default=0)
        longest = max((len(text) for row in rows for text in row), default=0)
        if columns < 2 or self.has_table or longest > _LAYOUT_CELL:
            for row in rows:
                yield from (text + "\n\n" for text in row if text)
            return
        yield from markdown.rows(rows)


def integer(text: str | None, default: int) -> int:
    """Return the number with which an attribute begins (HTML, 2.3.4.1), at most nine digits of it."""
    found = re.match(r"\s*([+-]?[0-9]{1,9})", text or "")
    return int(found[1]) if found else default
