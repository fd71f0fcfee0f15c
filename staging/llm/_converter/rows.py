"""Write sheets as CSV in which a cell can be named.

A row begins with its number, and columns have their letters.
"""

import csv
import io
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from staging.llm._converter import markdown
from staging.llm._converter.output import MAX_CHARS, Output

WIDE_GAP = 12  # empty cells, above which a cell tells its own place
_MAX_STRINGS = 48 * 1_048_576  # bytes
_MAX_TOLD = 500  # comments, links or merged areas that are listed of one sheet
_LIST = 100  # sheets that are named in front, and runs of hidden rows


class Title(NamedTuple):
    """Holds a sheet's name, and whether its reader would see it."""

    name: str
    hidden: bool = False

    def __str__(self) -> str:
        return f"{markdown.one_line(self.name)!r}{' (hidden)' if self.hidden else ''}"


class Strings:
    """Holds the strings that cells share, packed.

    Half a million strings as objects would take 50 MB more.
    """

    def __init__(self) -> None:
        self._packed = bytearray()
        self._ends = array("Q", [0])

    def add(self, text: str) -> None:
        """Add the next string."""
        if len(self._packed) < _MAX_STRINGS:
            self._packed += text.encode("utf-8", "replace")
        self._ends.append(len(self._packed))

    def __getitem__(self, index: int) -> str:
        start, end = self._ends[index : index + 2] if index + 1 < len(self._ends) else (0, 0)
        return self._packed[start:end].decode("utf-8", "replace")


class SheetWriter:
    """Writes the sheets of a workbook.

    Each stays within its share of what may be read.
    """

    def __init__(self, out: Output, titles: Sequence[Title]) -> None:
        self._out = out
        self._left = MAX_CHARS - 100_000
        self._sheets = len(titles)
        if len(titles) > 1:
            more = f" and {len(titles) - _LIST:,} more" if len(titles) > _LIST else ""
            self._write(f"[{len(titles):,} sheets: {', '.join(map(str, titles[:_LIST]))}{more}]\n\n")
            out.remark(f"{len(titles):,} sheets")
        if hidden := sum(title.hidden for title in titles):
            out.remark(f"{hidden:,} hidden sheet{'s' * (hidden != 1)}")

    def sheet(self, title: Title, rows: Iterable[tuple[int, Sequence[str]]]) -> None:
        """Write a sheet with its name and the columns' letters.

        Every row that is not empty stands under its number.
        """
        room = max(2000, self._left // max(1, self._sheets))
        self._sheets -= 1
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        widest = 0
        self._write(f"[sheet {title}]\n")
        for number, cells in rows:
            if room <= 0:
                self._write(f"[… the rows from {number:,} on were not read …]\n")
                break
            near: list[str] = []
            last = 0
            far = False
            for at, text in enumerate(cells, 1):
                if text:  # after a long gap, cells tell their own place
                    far = far or at - last - 1 > WIDE_GAP
                    near += [f"[{column(at)}{number}:] {text}"] if far else [*[""] * (at - last - 1), text]
                    last = at
            if not widest:
                widest = min(max(8, len(near)), 60)
                self._write("," + ",".join(map(column, range(1, widest + 1))) + "\n")
            writer.writerow([number, *near])
            line = lines.getvalue()
            lines.seek(0)
            lines.truncate()
            room -= len(line)
            self._write(line)

    def hidden(self, what: str, numbers: Sequence[int]) -> None:
        """Name the rows or columns that are hidden, each run of them once."""
        runs: list[str] = []
        start = 0
        for at, number in enumerate(numbers):
            if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
                first, last = (str(n) if what == "rows" else column(n) for n in (numbers[start], number))
                runs.append(first if first == last else f"{first} to {last}")
                start = at + 1
        if runs:
            self.remark(f"[hidden {what}: {', '.join(runs[:_LIST])}{' …' if len(runs) > _LIST else ''}]")

    def told(self, lines: Iterable[str]) -> None:
        """Write lines about cells, of each kind so many, and how many more there are.

        The first word is the kind, such as ``[comment``.
        """
        counts: Counter[str] = Counter()
        for line in lines:
            kind = line.partition(" ")[0].rstrip(":")
            counts[kind] += 1
            if counts[kind] <= _MAX_TOLD:
                self.remark(line)
        for kind, count in counts.items():
            if count > _MAX_TOLD:
                self.remark(f"{kind}: … and {count - _MAX_TOLD:,} more]")

    def remark(self, text: str) -> None:
        """Write a line about the sheet."""
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        self._left -= len(text)
        self._out.text(text)


def column(number: int) -> str:
    """Return a column's letters, such as ``AB`` for 28."""
    letters = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_number(reference: str) -> int:
    """Return the column number of a reference such as ``AB7``, or 0 if there is none."""
    number = 0
    for c in reference[:3]:
        if not "A" <= c <= "Z":
            break
        number = number * 26 + ord(c) - ord("A") + 1
    return number if number <= 16_384 else 0
