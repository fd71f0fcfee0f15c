"""Read workbooks of Excel 97 to 2003 (xls) by xlrd, which knows formats and notes."""

import importlib
import io
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter import formats, markdown
from staging.llm._converter.ole import open_ole, stream
from staging.llm._converter.output import BROKEN, ENCRYPTED, Output
from staging.llm._converter.rows import SheetWriter, Title, column

_NUMBER, _DATE, _BOOLEAN, _ERROR = 2, 3, 4, 5  # xlrd's types of cells
_EMPTY = b"\0\6"  # without a value, and with a format alone


def read(source: IO[bytes], out: Output) -> None:
    """Write an xls."""
    xlrd = importlib.import_module("xlrd")
    data = source.read()
    silent = io.StringIO()
    try:
        book = _opened(xlrd, out, file_contents=data, logfile=silent, ragged_rows=True, on_demand=True)
    except xlrd.XLRDError as error:
        out.refuse(ENCRYPTED if "encrypted" in str(error) or "password" in str(error).lower() else BROKEN)
    hidden = book._sheet_visibility  # noqa: SLF001  # xlrd tells it only of loaded sheets
    titles = [Title(name, bool(hidden[at])) for at, name in enumerate(book.sheet_names())]
    writer = SheetWriter(out, titles)
    for at, title in enumerate(titles):
        sheet = book.sheet_by_index(at)
        writer.sheet(title, _rows(book, sheet))
        for what, found in (("rows", "rowinfo_map"), ("columns", "colinfo_map")):
            places = sorted(at + 1 for at, facts in getattr(sheet, found, {}).items() if facts.hidden)
            writer.hidden(what, places)
        writer.told(_told(sheet))
        writer.remark("")
        book.unload_sheet(at)


def _opened(xlrd: Any, out: Output, **options: Any) -> Any:
    """Return the workbook, without what cannot be read of it.

    Names are never needed, and xlrd gives up where one is a formula that it does not know.
    """
    xlrd.book.Book.names_epilogue = lambda _: None
    try:
        return xlrd.open_workbook(formatting_info=True, **options)
    except (NotImplementedError, AttributeError, IndexError, KeyError):
        return xlrd.open_workbook(**options)
    except xlrd.compdoc.CompDocError:  # sectors that two streams share, or that lie behind the end
        ole = open_ole(io.BytesIO(options["file_contents"]), out)
        options["file_contents"] = stream(ole, "Workbook") or stream(ole, "Book")
        return xlrd.open_workbook(formatting_info=True, **options)


def _rows(book: Any, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    for number in range(sheet.nrows):
        if not bytes(sheet.row_types(number)).strip(_EMPTY):  # a sheet may have millions of cells with only a colour
            continue
        cells = [_shown(book, cell) for cell in sheet.row(number)]
        if any(cells):
            yield number + 1, cells


def _shown(book: Any, cell: Any) -> str:
    if cell.ctype in {_NUMBER, _DATE}:
        code = ""
        if cell.xf_index is not None:
            key = book.xf_list[cell.xf_index].format_key if 0 <= cell.xf_index < len(book.xf_list) else 0
            known = book.format_map.get(key)  # without a code, where that depends on the language
            code = (known and known.format_str) or formats.BUILT_IN.get(key, "")
        elif cell.ctype == _DATE:
            code = "yyyy-mm-dd hh:mm" if cell.value % 1 else "yyyy-mm-dd"
        return formats.shown(cell.value, code, since_1904=bool(book.datemode))
    if cell.ctype == _BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == _ERROR:
        return str(importlib.import_module("xlrd").error_text_from_code.get(cell.value, "#ERROR"))
    return str(cell.value)


def _told(sheet: Any) -> Iterator[str]:
    notes = getattr(sheet, "cell_note_map", {})
    for (row, at), note in notes.items():
        by = f" by {note.author.strip()}" if note.author.strip() else ""
        yield f"[comment {column(at + 1)}{row + 1}{by}: {markdown.one_line(note.text)}]"
    for link in getattr(sheet, "hyperlink_list", []):
        if link.url_or_path:
            target = (
                link.url_or_path if isinstance(link.url_or_path, str) else link.url_or_path.decode("utf-8", "replace")
            )
            yield f"[link {column(link.fcolx + 1)}{link.frowx + 1}: {markdown.one_line(target)}]"
    for top, bottom, left, right in getattr(sheet, "merged_cells", []):
        yield f"[merged: {column(left + 1)}{top + 1}:{column(right)}{bottom}]"
