"""Read binary workbooks (xlsb) as every sheet's cells are shown.

The source is [MS-XLSB]. The libraries that read them do not tell number formats, hidden rows and comments.
"""

import io
import struct
from collections.abc import Iterator
from typing import IO

from staging.llm._converter import formats, markdown
from staging.llm._converter.output import BROKEN, Output
from staging.llm._converter.package import Package
from staging.llm._converter.rows import SheetWriter, Strings, Title, column

_ROW, _BLANK, _RK, _ERROR, _BOOLEAN, _REAL, _TEXT, _SHARED = range(8)  # 2.3.2
_FORMULA_TEXT, _FORMULA_REAL, _FORMULA_BOOLEAN, _FORMULA_ERROR = range(8, 12)
_STRING_ITEM, _FORMAT, _CELL_FORMAT, _RICH_TEXT, _COLUMN, _PROPERTIES, _SHEET = 19, 44, 47, 62, 60, 153, 156
_MERGED, _LINK, _CELL_FORMATS, _CELL_FORMATS_END, _COMMENT, _COMMENT_TEXT = 176, 494, 617, 618, 635, 637
_CELLS = {*range(_RK, _FORMULA_ERROR + 1), _RICH_TEXT}
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_DAMAGE = (struct.error, IndexError)
_MAX_RECORD = 1_048_576


def read(source: IO[bytes], out: Output) -> None:
    """Write the workbook."""
    package = Package(source, out)
    main = package.main(r"xl/workbook\.bin")
    if not main:
        out.refuse(BROKEN)
    try:
        _Workbook(package, main).write(out)
    except _DAMAGE:
        out.refuse(BROKEN)


class _Workbook:
    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._relations = package.relations(main)
        self._since_1904 = False
        self._sheets: list[tuple[str, Title]] = []
        for kind, data in _records(package, main):
            if kind == _PROPERTIES:
                self._since_1904 = bool(data[0] & 1)
            elif kind == _SHEET:
                before = next((at for at in (8, 12) if _string(data, _string(data, at)[1])[1] == len(data)), 8)
                relation, at = _string(data, before)  # four bytes later in what the first Excel 2007 wrote
                self._sheets.append((relation, Title(_string(data, at)[0], data[0] in {1, 2})))
        self._strings = Strings()
        for kind, data in _records(package, self._part("sharedStrings")):
            if kind == _STRING_ITEM:
                self._strings.add(_string(data, 1)[0])
        self._formats = list(self._number_formats())

    def _part(self, kind: str) -> str:
        return next((r.target for r in self._relations.values() if r.kind == kind), "")

    def _number_formats(self) -> Iterator[str]:
        own: dict[int, str] = {}
        of_cells = False
        for kind, data in _records(self._package, self._part("styles")):
            if kind == _FORMAT:
                own[int.from_bytes(data[:2], "little")] = _string(data, 2)[0]
            elif kind in {_CELL_FORMATS, _CELL_FORMATS_END}:
                of_cells = kind == _CELL_FORMATS
            elif kind == _CELL_FORMAT and of_cells:
                number = int.from_bytes(data[2:4], "little")
                yield own.get(number) or formats.BUILT_IN.get(number, "")

    def write(self, out: Output) -> None:
        """Write every sheet, and after its rows what is said about cells."""
        writer = SheetWriter(out, [title for _, title in self._sheets])
        for identifier, title in self._sheets:
            part = self._relations[identifier].target if identifier in self._relations else ""
            told: list[str] = []
            hidden: list[int] = []
            writer.sheet(title, self._rows(part, told, hidden))
            writer.hidden("rows", hidden)
            writer.told([*told, *self._comments(part)])
            writer.remark("")

    def _rows(self, part: str, told: list[str], hidden: list[int]) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows, and collect what is said beside them."""
        relations = self._package.relations(part)
        number, cells = 0, [""]
        for kind, data in _records(self._package, part):
            if kind == _ROW:
                if any(cells):
                    yield number, cells
                number, cells = int.from_bytes(data[:4], "little") + 1, []
                hidden += [number] * bool(data[11] & 0x10)
            elif kind in _CELLS:
                at = int.from_bytes(data[:4], "little")
                text = self._shown(kind, data)
                if text and len(cells) <= at < 16_384:
                    cells += [*[""] * (at - len(cells)), text]
            elif kind == _COLUMN and data[16] & 1:
                first, last = (column(n + 1) for n in struct.unpack_from("<2I", data))
                told.append(f"[hidden columns: {first if first == last else f'{first} to {last}'}]")
            elif kind == _MERGED:
                told.append(f"[merged: {_area(data)}]")
            elif kind == _LINK and (relation := relations.get(_string(data, 16)[0])):
                told.append(f"[link {_area(data)}: {markdown.one_line(relation.target)}]")
        if any(cells):
            yield number, cells

    def _shown(self, kind: int, data: bytes) -> str:
        if kind in {_TEXT, _FORMULA_TEXT}:
            return _string(data, 8)[0]
        if kind == _RICH_TEXT:
            return _string(data, 9)[0]
        if kind == _SHARED:
            return self._strings[int.from_bytes(data[8:12], "little")]
        if kind in {_BOOLEAN, _FORMULA_BOOLEAN}:
            return "TRUE" if data[8] else "FALSE"
        if kind in {_ERROR, _FORMULA_ERROR}:
            return _ERRORS.get(data[8], "#ERROR")
        if kind == _RK:
            (packed,) = struct.unpack_from("<i", data, 8)
            (real,) = struct.unpack("<d", bytes(4) + struct.pack("<i", packed & ~3))
            value = packed >> 2 if packed & 2 else real
            value = value / 100 if packed & 1 else value
        else:
            (value,) = struct.unpack_from("<d", data, 8)
        style = int.from_bytes(data[4:7], "little")
        code = self._formats[style] if style < len(self._formats) else ""
        return formats.shown(float(value), code, since_1904=self._since_1904)

    def _comments(self, part: str) -> Iterator[str]:
        for relation in self._package.relations(part).values():
            place = ""
            for kind, data in _records(self._package, relation.target) if relation.kind == "comments" else ():
                if kind == _COMMENT:
                    place = _area(data[4:])
                elif kind == _COMMENT_TEXT:
                    yield f"[comment {place}: {markdown.one_line(_string(data, 1)[0])}]"


def _records(package: Package, part: str) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a part, each as its kind and its content (2.1.4)."""
    if part not in package:
        return
    with package.open(part) as packed:
        stream = io.BufferedReader(packed)  # type: ignore[type-var]  # a raw stream, whatever its annotation says
        while (kind := _number(stream, 2)) >= 0 and 0 <= (size := _number(stream, 4)) <= _MAX_RECORD:
            content = stream.read(size)
            if len(content) < size:
                return
            yield kind, content


def _number(stream: IO[bytes], most: int) -> int:
    """Return a number of seven bits a byte, or -1 at the end of the part.

    The last byte lacks the eighth bit.
    """
    number = 0
    for at in range(most):
        byte = stream.read(1)
        if not byte:
            return -1
        number |= (byte[0] & 0x7F) << 7 * at
        if byte[0] < 0x80:
            break
    return number


def _string(data: bytes, at: int) -> tuple[str, int]:
    """Return a string, and the place after it (2.5.166)."""
    (count,) = struct.unpack_from("<I", data, at)
    end = at + 4 + (2 * count if count < 0xFFFF_FFFF else 0)
    return data[at + 4 : end].decode("utf-16-le", "replace"), end


def _area(data: bytes) -> str:
    top, bottom, left, right = struct.unpack_from("<4I", data)
    first, last = f"{column(left + 1)}{top + 1}", f"{column(right + 1)}{bottom + 1}"
    return first if first == last else f"{first}:{last}"
