"""Read a PDF by pypdfium2.

The result has the words of every page, what was typed into forms, and notes. It names the pages that are pictures.
"""

import ctypes
import importlib
import re
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter.output import BROKEN, ENCRYPTED, NO_PAGES, SCAN, FullError, Output

PASSWORD = 4  # FPDF_ERR_PASSWORD, fpdfview.h
FEW_WORDS = 16  # characters; a page with fewer, and a picture, is a scan with a stamp on it
UNREADABLE = "[this page cannot be read]"
NAMED = 40  # page numbers that the heading lists

_HYPHEN = re.compile("[\x02\ufffe\xad](?:\r?\n)?")  # where PDFium found a word parted at the end of a line
_BUTTONS = {2: "check box", 3: "radio button"}  # FPDF_FORMFIELD_*, fpdf_formfill.h
_SILENT_FIELDS = {1, 7}  # push buttons and signatures
_NOTES = {1: "note", 3: "note", 9: "highlight", 10: "underline", 11: "squiggly", 12: "strike-out", 13: "stamp",
          14: "caret"}  # FPDF_ANNOT_*, fpdf_annot.h  # fmt: skip
_WIDGET = 20


def open_pdf(source: IO[bytes], out: Output) -> Any:
    """Return the document.

    One that only its owner's password protects opens without it.
    """
    pdfium = importlib.import_module("pypdfium2")
    try:
        document = pdfium.PdfDocument(source.read())
    except pdfium.PdfiumError as error:
        out.refuse(ENCRYPTED if getattr(error, "err_code", 0) == PASSWORD else BROKEN)
    if not len(document):
        out.refuse(NO_PAGES)
    return document


def read(source: IO[bytes], out: Output) -> None:
    """Write the text of every page under its number, and name the pages without."""
    document = open_pdf(source, out)
    document.init_forms()
    count = len(document)
    pages = _Pages()
    done = unreadable = 0
    out.remark(f"{count:,} page{'s' * (count != 1)}")  # before the first of them, should it be the last
    try:
        for number in range(1, count + 1):
            out.flush()  # PDFium ends the process at once when a page needs more memory than there is
            words, is_scan = _page(document, number)
            pages.add(number, is_scan=is_scan, has_words=bool(words))
            unreadable += words == UNREADABLE
            out.text(f"\n[page {number}]\n{words or '[no text: it may be a scan]'}\n")
            done = number
    except FullError:
        out.remark(f"page {done + 1:,} to page {count:,} were not read to their end")
        raise
    if unreadable == count:
        out.refuse(BROKEN)
    if not pages.with_text:
        out.refuse(SCAN)
    out.remark(pages.told())
    if attachments := _raw().FPDFDoc_GetAttachmentCount(document.raw):
        out.remark(f"{attachments:,} embedded file{'s' * (attachments != 1)} not shown")


class _Pages:
    """Collects which pages are pictures or have no text."""

    def __init__(self) -> None:
        self.with_text = 0
        self._without: list[int] = []
        self._scans = 0

    def add(self, number: int, *, is_scan: bool, has_words: bool) -> None:
        """Note one page."""
        self.with_text += has_words
        self._scans += is_scan
        if is_scan or not has_words:
            self._without.append(number)

    def told(self) -> str:
        """Return the words for the heading, none if every page is text."""
        if not self._without:
            return ""
        count = len(self._without)
        kind = "scans" if self._scans == count else "scans or empty" if self._scans else "without text"
        listed = ", ".join(map(str, self._without[:NAMED])) + (" …" if count > NAMED else "")
        if count == 1:
            return f"one of them {'a scan' if self._scans else kind}: page {listed}"
        return f"{count:,} of them {kind}: {listed}"


def _raw() -> Any:
    return importlib.import_module("pypdfium2.raw")


def _page(document: Any, number: int) -> tuple[str, bool]:
    """Return the page's words, and whether it is a scan.

    A scan is a picture that holds more than the words.
    """
    try:
        page = document[number - 1]
    except Exception:  # noqa: BLE001  # PDFium's own errors; the other pages are still read
        return UNREADABLE, False
    try:
        text_page = page.get_textpage()
        words = text_page.get_text_range()
        text_page.close()
        words = _HYPHEN.sub(_hyphen, words).replace("\r\n", "\n").strip()
        raw = _raw()
        is_scan = len(words) < FEW_WORDS and any(
            raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page.raw, at))
            in {raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM}
            for at in range(min(50, raw.FPDFPage_CountObjects(page.raw)))
        )
        return "\n".join(filter(None, [words, *_annotations(document, page)])), is_scan
    finally:
        page.close()


def _hyphen(found: re.Match[str]) -> str:
    """Return the hyphen before a digit or a capital, which is part of a name such as F-16."""
    after = found.string[found.end() : found.end() + 1]
    return "-" if found[0] != "\xad" and (after.isdigit() or after.isupper()) else ""


def _annotations(document: Any, page: Any) -> Iterator[str]:
    raw = _raw()
    for at in range(min(5000, raw.FPDFPage_GetAnnotCount(page.raw))):
        annotation = raw.FPDFPage_GetAnnot(page.raw, at)
        if not annotation:
            continue
        try:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            words = _string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents") if kind in _NOTES else ""
            if kind == _WIDGET and document.formenv:
                yield from _field(raw, document.formenv, annotation)
            elif words:
                author = _string(raw.FPDFAnnot_GetStringValue, annotation, b"T")
                yield f"[{_NOTES[kind]}{' by ' + author if author else ''}: {words}]"
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _field(raw: Any, form: Any, annotation: Any) -> Iterator[str]:
    kind = raw.FPDFAnnot_GetFormFieldType(form.raw, annotation)
    if kind in _SILENT_FIELDS:
        return
    name = _string(raw.FPDFAnnot_GetFormFieldAlternateName, form.raw, annotation)
    name = name or _string(raw.FPDFAnnot_GetFormFieldName, form.raw, annotation) or "field"
    value = _string(raw.FPDFAnnot_GetFormFieldValue, form.raw, annotation)
    if kind in _BUTTONS:
        state = _string(raw.FPDFAnnot_GetStringValue, annotation, b"AS")
        checked = raw.FPDFAnnot_IsChecked(form.raw, annotation) or state not in {"", "Off"}
        value = (value if value not in {"", "Off"} else state or "Yes") if checked else ""
        yield f"[{_BUTTONS[kind]} {name}: {'☒ ' + value if checked else '☐'}]"
    elif value:
        yield f"[form field {name}: {value}]"


def _string(get: Any, *args: Any) -> str:
    """Return a UTF-16 string from a function of PDFium that tells its bytes first."""
    size = min(get(*args, None, 0), 200_000)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    get(*args, ctypes.cast(buffer, ctypes.POINTER(_raw().FPDF_WCHAR)), size)
    return " ".join(buffer.raw[: size - 2].decode("utf-16-le", "replace").split("\0")[0].split())
