"""Read the words of Word and PowerPoint 97 to 2003 ([MS-DOC], [MS-PPT]).

They are found through the structures that hold them.
"""

import importlib
import re
import struct
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter import markdown
from staging.llm._converter.output import BROKEN, ENCRYPTED, Output

_SIGNATURE = 0xA5EC
_PARTS = ("", "footnotes", "headers and footers", "", "comments", "endnotes", "text boxes", "text boxes of headers")
_FIELD = re.compile("\x13([^\x13\x14\x15]*)\x14([^\x13\x14\x15]*)\x15|\x13[^\x13\x14\x15]*\x15")
_TARGET = re.compile(r'HYPERLINK\s+(?!\\l)(?:\\[a-z]\s+)*"([^"]+)"')
_SIGNS = {
    0x0B: "\n",
    0x0C: "\n\n",
    0x0D: "\n",
    0x1E: "\u2011",
    0x1F: "",
    0xA0: " ",
    1: "",
    2: "",
    5: "",
    8: "",
    0x28: "(",
}
_MAX_BYTES = 32 * 1_048_576
_RUN = re.compile(rb"(?:[\t\n\r\x20-\x7e\xa0-\xff]\0){6,}|[\t\n\r\x20-\x7e]{6,}")


def open_ole(source: IO[bytes], out: Output) -> Any:
    """Return the compound file.

    A file that only wraps an encrypted document is refused ([MS-OFFCRYPTO], 2.3).
    """
    olefile = importlib.import_module("olefile")
    try:
        ole = olefile.OleFileIO(source)
    except (OSError, ValueError, IndexError, struct.error):
        out.refuse(BROKEN)
    if ole.exists("EncryptedPackage"):
        out.refuse(ENCRYPTED)
    return ole


def stream(ole: Any, name: str) -> bytes:
    """Return a stream, or nothing if it is not there."""
    return bytes(ole.openstream(name).read(_MAX_BYTES)) if ole.exists(name) else b""


def read(source: IO[bytes], out: Output) -> None:
    """Write the runs of text in a file whose structure cannot be followed."""
    runs = (found[0] for found in _RUN.finditer(source.read(_MAX_BYTES)))
    words = (run.decode("utf-16-le" if run[1:2] == b"\0" else "ascii", "replace").strip() for run in runs)
    out.remark("runs of letters, perhaps out of order")
    for line in words:
        if not line.endswith("\0") and len(set(line)) > 2:
            out.text(line + "\n")


# ---- Word -----------------------------------------------------------------------------------------------------------


def read_word(source: IO[bytes], out: Output) -> None:
    """Write the text of a doc.

    What stands beside the text follows under its own name.
    """
    ole = open_ole(source, out)
    main = stream(ole, "WordDocument")
    if len(main) < 0x1AA or int.from_bytes(main[:2], "little") != _SIGNATURE:
        out.refuse(BROKEN)
    out.remark("headings and hidden text are not told apart from the rest")
    flags = int.from_bytes(main[10:12], "little")
    if flags & 0x0100:
        out.refuse(ENCRYPTED)
    version = int.from_bytes(main[2:4], "little")
    if version < 0x00C1:  # Word 6 and 95 have one run of bytes
        start, end = struct.unpack_from("<II", main, 0x18)
        out.text(_shown(main[start:end].decode("cp1252", "replace")))
        return
    table = stream(ole, "1Table" if flags & 0x0200 else "0Table")
    counts = struct.unpack_from("<8I", main, 0x4C)
    text = "".join(_pieces(main, table))
    at = 0
    for count, part in zip(counts, _PARTS, strict=True):
        words = _shown(text[at : at + count]).strip()
        at += count
        if words and part:
            words = "\n".join(dict.fromkeys(filter(str.strip, words.splitlines())))  # each header once
            out.text(f"\n[{part}:]\n{words}\n")
        elif words:
            out.text(words + "\n")


def _pieces(main: bytes, table: bytes) -> Iterator[str]:
    """Yield the text in its order, from the piece table ([MS-DOC], 2.4.1).

    The file itself holds the text in the order in which it was edited.
    """
    start, size = struct.unpack_from("<II", main, 0x1A2)
    at, end = start, min(start + size, len(table))
    while at + 5 <= end and table[at] == 1:  # changed properties, of which text needs none
        at += 3 + int.from_bytes(table[at + 1 : at + 3], "little")
    if at + 5 > end or table[at] != 2:
        return
    length = int.from_bytes(table[at + 1 : at + 5], "little")
    at += 5
    count = min(length, end - at) // 12
    places = struct.unpack_from(f"<{count + 1}I", table, at)
    for number in range(count):
        (place,) = struct.unpack_from("<I", table, at + 4 * (count + 1) + 8 * number + 2)
        characters = min(places[number + 1] - places[number], _MAX_BYTES)
        if place & 0x4000_0000:
            first = (place & 0x3FFF_FFFF) // 2
            yield main[first : first + characters].decode("cp1252", "replace")
        else:
            first = place & 0x3FFF_FFFF
            yield main[first : first + 2 * characters].decode("utf-16-le", "replace")


def _shown(text: str) -> str:
    """Return the text without its fields' instructions, with cells and rows parted."""
    for _ in range(6):  # fields nest
        text, count = _FIELD.subn(_field, text)
        if not count:
            break
    rows = re.sub("[^\x07\r\x0c]*(?:\x07[^\x07\r\x0c]+)*\x07\x07", lambda row: _row(row[0]), text)
    return rows.replace("\x07", " | ").translate(_SIGNS)


def _row(row: str) -> str:
    return "| " + " | ".join(markdown.cell(cell.translate(_SIGNS)) for cell in row[:-2].split("\x07")) + " |\n"


def _field(found: re.Match[str]) -> str:
    target = _TARGET.search(found[1] or "")
    return markdown.link(found[2], target[1]) if target else found[2] or ""


# ---- PowerPoint -----------------------------------------------------------------------------------------------------

_DOCUMENT, _SLIDE, _NOTES, _LIST, _PERSIST = 1000, 1006, 1008, 4080, 1011
_CHARS, _BYTES = 4000, 4008
_CONTAINER = 0xF


def read_slides(source: IO[bytes], out: Output) -> None:
    """Write the slides of a ppt.

    Each has its outline, the words of its other shapes, and its notes.
    """
    ole = open_ole(source, out)
    data = stream(ole, "PowerPoint Document")
    if not data:
        out.refuse(BROKEN)
    if b"\xdf\xc4\xd1\xf3" in stream(ole, "Current User")[:20]:  # [MS-PPT], 2.3.2
        out.refuse(ENCRYPTED)
    outline = _outline(data)
    shapes = [list(_words(data, start, end, 0)) for kind, start, end in _records(data, 0, len(data)) if kind == _SLIDE]
    notes = [list(_words(data, start, end, 0)) for kind, start, end in _records(data, 0, len(data)) if kind == _NOTES]
    count = max(len(outline), len(shapes))
    out.remark(f"{count:,} slide{'s' * (count != 1)}")
    for number in range(count):
        words = [*(outline[number] if number < len(outline) else []), *(shapes[number] if number < len(shapes) else [])]
        out.text(f"\n## Slide {number + 1}\n\n" + "".join(f"{line}\n" for line in dict.fromkeys(words)))
    for note in notes:
        if words := [line for line in dict.fromkeys(note) if line.strip("* ")]:
            out.text("\n[notes: " + "\n".join(words) + "]\n")


def _records(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the records between two places (2.3.1).

    Each is its kind, and where its content begins and ends.
    """
    while at + 8 <= end:
        kind, size = struct.unpack_from("<HI", data, at + 2)
        yield kind, at + 8, min(at + 8 + size, end)
        at += 8 + size


def _outline(data: bytes) -> list[list[str]]:
    """Return the titles and bodies of every slide (2.4.14.3).

    The document keeps them in a list of its own.
    """
    slides: list[list[str]] = []
    for kind, start, end in _records(data, 0, len(data)):
        for inner, first, last in _records(data, start, end) if kind == _DOCUMENT else ():
            if inner == _LIST and int.from_bytes(data[first - 8 : first - 6], "little") >> 4 == 0:
                slides = _listed(data, first, last)
    return slides


def _listed(data: bytes, at: int, end: int) -> list[list[str]]:
    slides: list[list[str]] = []
    for kind, start, last in _records(data, at, end):
        if kind == _PERSIST:
            slides.append([])
        elif slides and kind in {_CHARS, _BYTES}:
            slides[-1] += _lines(data[start:last], kind)
    return slides


def _words(data: bytes, at: int, end: int, depth: int) -> Iterator[str]:
    for kind, start, last in _records(data, at, end):
        if kind in {_CHARS, _BYTES}:
            yield from _lines(data[start:last], kind)
        elif data[start - 8] & _CONTAINER == _CONTAINER and depth < 20:
            yield from _words(data, start, last, depth + 1)


def _lines(data: bytes, kind: int) -> list[str]:
    text = data.decode("utf-16-le" if kind == _CHARS else "latin-1", "replace")
    return [line.strip() for line in re.split("[\r\x0b]", text) if line.strip()]
