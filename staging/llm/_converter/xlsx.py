"""xlsx: every sheet as CSV."""

import csv
import importlib
import io
import itertools
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter.opc import check_archive
from staging.llm._converter.output import Output


def read(source: IO[bytes], out: Output) -> None:
    """Write every sheet as CSV under its name, the values as they were last computed."""
    openpyxl = importlib.import_module("openpyxl")
    with zipfile.ZipFile(source) as archive:
        check_archive(archive)
    source.seek(0)
    book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    out.until_full(itertools.chain.from_iterable(map(sheet_rows, book.worksheets)), unit="rows")


def sheet_rows(sheet: Any) -> Iterator[str]:
    """Yield the sheet's name and its rows as CSV, without the empty cells at their ends."""
    yield f"[sheet {sheet.title!r}]\n"
    sheet.reset_dimensions()  # the declared size is a claim: a million rows cost nothing to declare
    for row in sheet.iter_rows(values_only=True):
        cells = ["" if value is None else str(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        yield line.getvalue() if cells else ""
