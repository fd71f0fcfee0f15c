"""What a document's structure says, by libraries that none of the measured tools is.

    python tests/benchmarks/facts.py FILE KIND

A fact is a kind and an expression that is found in a Markdown which shows it. They are printed as JSON. Sheets are read
by openpyxl, slides by python-pptx, mails by Python's own parser of today, and mails of Outlook by extract-msg. Binary
and older documents are first converted by LibreOffice, so that the same libraries read them.
"""

import email
import email.policy
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MOST = 40  # facts of one kind and document
_LINK = re.compile(r"""<a\s[^>]*href=["'](https?:[^"']+)["'][^>]*>([^<]*\w[^<]*)</a>""")
_CELLS = 20_000  # cells of one sheet that are looked at
_THREADED = re.compile(r"(?s)^\[Threaded comment\].*?Comment:")  # what older programs show before it


class Fact(NamedTuple):
    """One thing that a reader should see.

    Attributes:
        kind: what it is, such as ``hidden sheet``.
        shown: an expression that a text has which shows it.
    """

    kind: str
    shown: str


def shares(text: str, facts: list[Fact]) -> dict[str, tuple[int, int]]:
    """Return how many facts of each kind the text shows, and how many there are."""
    plain = re.sub(r"[ \t\xa0]+", " ", re.sub(r"\\(?=[^\w\s])", "", text.replace("<br>", " "))).casefold()
    wanted, found = Counter(fact.kind for fact in facts), Counter[str]()
    for fact in facts:
        found[fact.kind] += re.search(fact.shown, plain) is not None
    return {kind: (found[kind], count) for kind, count in wanted.items()}


def facts_of(path: Path, kind: str) -> list[Fact]:
    """Return the facts of a document that is an xlsx, a pptx, a mail or a mail of Outlook."""
    read = {"xlsx": _of_sheets, "pptx": _of_slides, "eml": _of_mail, "msg": _of_outlook}[kind]
    kept: list[Fact] = []
    counts = Counter[str]()
    for fact in dict.fromkeys(read(path)):
        counts[fact.kind] += 1
        if counts[fact.kind] <= MOST:
            kept.append(fact)
    return kept


def _words(text: object) -> str:
    """Return an expression for the words of a text, whatever stands between them."""
    found = re.findall(r"\w+", str(text).casefold())[:12]
    return r"\b" + r"[\W_]+".join(map(re.escape, found)) if found else ""


def _of_sheets(path: Path) -> Iterator[Fact]:
    import openpyxl

    book, values = openpyxl.load_workbook(path), openpyxl.load_workbook(path, data_only=True)
    for sheet in book.worksheets:
        name = re.escape(" ".join(sheet.title.split()).casefold())
        head = rf"(?m)^[\W_]*(?:sheet)?[\W_]*{name}"
        if sheet.title.strip():
            yield Fact("sheet", head + r"\W*(?:\(hidden\))?\W*$")
        if sheet.sheet_state != "visible":
            yield Fact("hidden sheet", rf"(?m)^.*{name}.*hidden|^.*hidden.*{name}")
        yield from _of_cells(sheet, values[sheet.title])
        for area in sheet.merged_cells.ranges:
            yield Fact("merged", re.escape(str(area).casefold()))


def _of_cells(sheet: Any, values: Any) -> Iterator[Fact]:
    last, count = 0, 0
    for row in sheet.iter_rows():
        count += len(row)
        if count > _CELLS:
            return
        for cell in row:
            if cell.comment and (words := _words(_THREADED.sub("", cell.comment.text))):
                yield Fact("cell comment", words)
        filled = [cell for cell in row if cell.value is not None]
        if not filled:
            continue
        number = row[0].row
        if sheet.row_dimensions[number].hidden:
            yield Fact("hidden row", rf"(?m)^.*hidden.*\b{number}\b|^.*hidden rows?\W.*\d")
        first = filled[0]
        words = _words(first.value) if isinstance(first.value, str) and first.data_type != "f" else ""
        if last and number > last + 1 and words:
            yield Fact("row number after a gap", rf"(?m)^\W*{number}\b.*{words}")
        last = number
    yield from _formulas(sheet, values)


def _formulas(sheet: Any, values: Any) -> Iterator[Fact]:
    """Yield the formulas of a sheet that has no value of any; else what has none may be the empty text."""
    cells = [cell for row in sheet.iter_rows(max_row=_CELLS // 20) for cell in row if cell.data_type == "f"]
    if all(values[cell.coordinate].value is None for cell in cells):
        for cell in cells:
            if isinstance(cell.value, str):
                yield Fact("formula without value", re.escape(" ".join(cell.value.casefold().split())))


def _of_slides(path: Path) -> Iterator[Fact]:
    from pptx import Presentation

    for slide in Presentation(str(path)).slides:
        title = slide.shapes.title
        if title is not None and (words := _words(title.text_frame.text)):
            yield Fact("slide title", rf"(?m)^#+.*{words}")
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            words = _words(slide.notes_slide.notes_text_frame.text)
            if words:
                yield Fact("notes", words)
        if slide._element.get("show") == "0":
            yield Fact("hidden slide", "hidden")
        yield from _of_shapes(slide.shapes, title)


def _of_shapes(shapes: Any, title: Any) -> Iterator[Fact]:
    for shape in shapes:
        if shape.shape_type == 6:  # a group
            yield from _of_shapes(shape.shapes, title)
        elif getattr(shape, "has_table", False) and shape.has_table:
            for row in shape.table.rows:
                cells = [_words(cell.text_frame.text) for cell in row.cells if not cell.is_spanned]
                if len(list(filter(None, cells))) > 1:
                    yield Fact("row of a table", r"(?m)^\|.*" + r"[^\n]*\|[^\n]*".join(filter(None, cells)))
        elif shape.has_text_frame and shape.is_placeholder and (title is None or shape.shape_id != title.shape_id):
            yield from _of_points(shape)
        elif shape.shape_type == 13:  # a picture
            alt = shape._element.find(".//{*}cNvPr").get("descr") or ""
            if words := _words(alt):
                yield Fact("words of a picture", words)


def _of_points(shape: Any) -> Iterator[Fact]:
    paragraphs = [p for p in shape.text_frame.paragraphs if p.text.strip()]
    if len(paragraphs) > 1 and shape.placeholder_format.type in {2, 7}:  # a body, an object
        for paragraph in paragraphs:
            if paragraph._p.find(".//{*}buNone") is None and (words := _words(paragraph.text)):
                yield Fact("point of a list", rf"(?m)^\s*(?:[-*•]|\d+[.)])\W*{words}")


def _of_mail(path: Path) -> Iterator[Fact]:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    yield from _of_message(message)


def _of_message(message: Any) -> Iterator[Fact]:
    yield from _date(message)
    for name in ("From", "To", "Cc", "Subject"):
        value = str(message[name] or "")
        if words := _words(value):
            yield Fact("head", rf"(?m)^\W*{name.casefold()}\W+.*?{words}")
    for part in message.walk():
        name = part.get_filename()
        if name and (words := _words(name)):
            yield Fact("attached file", words)
    for part in message.walk():
        if part.get_content_type() == "message/rfc822" and part.get_payload():
            yield from (fact for fact in _of_message(part.get_payload(0)) if fact.kind == "head")
    if not any(part.get_content_type() == "text/plain" for part in message.walk()):
        for part in message.walk():
            yield from _links(part)


def _links(part: Any) -> Iterator[Fact]:
    if part.get_content_type() == "text/html":
        page = part.get_payload(decode=True).decode(part.get_content_charset() or "utf-8", "replace")
        for target, words in _LINK.findall(page):
            shown = re.escape(target.replace("&amp;", "&").casefold())
            yield Fact("link", rf"\[[^\]]*{_words(words)}[^\]]*\]\(<?{shown}")


def _date(message: Any) -> Iterator[Fact]:
    if (date := getattr(message["Date"], "datetime", None)) is not None:
        month = f"{date:%b}".casefold()
        yield Fact("head", rf"(?m)^\W*date\W+.*?\b0?{date.day}\W{month}\W+(?:{date:%Y}|{date:%y})\b")


def _of_outlook(path: Path) -> Iterator[Fact]:
    import extract_msg

    with extract_msg.openMsg(path) as message:
        for name in ("sender", "to", "cc", "subject"):
            label = {"sender": "from"}.get(name, name)
            value = re.sub(r"<[^>]*>", "", str(getattr(message, name, None) or ""))
            if words := _words(value):
                yield Fact("head", rf"(?m)^\W*{label}\W+.*?{words}")
        if date := getattr(message, "date", None):
            yield Fact("head", rf"(?m)^\W*(?:date|sent)\W.*\b{date.year}\b")
        for attached in getattr(message, "attachments", ()):
            name = getattr(attached, "longFilename", None) or getattr(attached, "shortFilename", None) or ""
            if words := _words(name):
                yield Fact("attached file", words)
            inner = attached.data if attached.type.name in {"MSG", "EMBEDDED_MSG"} else None
            if inner is not None and (words := _words(getattr(inner, "subject", "") or "")):
                yield Fact("mail within", words)


def words_of_outlook(path: Path) -> str:
    """Return subject and body of a mail of Outlook."""
    import extract_msg

    with extract_msg.openMsg(path) as message:
        return f"{message.subject or ''}\n{message.body or ''}"


if __name__ == "__main__":
    source, what = Path(sys.argv[1]), sys.argv[2]
    found = words_of_outlook(source) if what == "words" else facts_of(source, what)
    print(json.dumps(found))  # noqa: T201  # a command that prints
