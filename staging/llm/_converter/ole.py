"""Read PowerPoint 97 to 2003 ([MS-PPT]), and what other compound files hold ([MS-CFB])."""

import importlib
import re
import struct
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter.output import BROKEN, ENCRYPTED, Output, RefusedError

MAX_BYTES = 32 * 1_048_576
_KINDS = {  # by a stream that only they have
    "WordDocument": ("old_word", "read", "a document as Markdown"),
    "PowerPoint Document": ("ole", "read_slides", "slides as Markdown"),
    "Workbook": ("old_sheets", "read", "sheets as CSV with row numbers"),
    "Book": ("old_sheets", "read", "sheets as CSV with row numbers"),
    "__properties_version1.0": ("outlook", "read", "a mail"),
}
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
    return bytes(ole.openstream(name).read(MAX_BYTES)) if ole.exists(name) else b""


def read(source: IO[bytes], out: Output) -> None:
    """Write a compound file by what its streams say that it is.

    The parent sees only the ends of a file, and the list of the streams may lie between them. Of a file whose structure
    cannot be followed, it is the runs of text.
    """
    try:
        ole = open_ole(source, out)
        kind = next((kind for name, kind in _KINDS.items() if ole.exists(name)), None)
    except (ImportError, RefusedError) as error:
        if error.args == (ENCRYPTED,):
            raise
        kind = None
    source.seek(0)
    if kind:
        module, reader, told = kind
        getattr(importlib.import_module(f"staging.llm._converter.{module}"), reader)(source, out)
        out.remark(told)
        return
    out.remark("the text that was found in a file of unknown or damaged structure")
    runs = (found[0] for found in _RUN.finditer(source.read(MAX_BYTES)))
    words = (run.decode("utf-16-le" if run[1:2] == b"\0" else "ascii", "replace").strip() for run in runs)
    out.remark("runs of letters, perhaps out of order")
    for line in words:
        if not line.endswith("\0") and len(set(line)) > 2:
            out.text(line + "\n")


_DOCUMENT, _SLIDE, _NOTES, _LIST, _PERSIST = 1000, 1006, 1008, 4080, 1011
_HEADER, _CHARS, _BYTES = 3999, 4000, 4008
_TITLES = {0, 6}  # the second is a centred one (2.13.33)
_CONTAINER = 0xF
_FOR_TWO = "PP97_DUALSTORAGE/"  # of a file that PowerPoint 95 opens too, the part for later ones


def read_slides(source: IO[bytes], out: Output) -> None:
    """Write the slides of a ppt.

    Each has its outline, the words of its other shapes, and its notes.
    """
    ole = open_ole(source, out)
    data = stream(ole, _FOR_TWO + "PowerPoint Document") or stream(ole, "PowerPoint Document")
    if not any(kind == _DOCUMENT for kind, _, _ in _records(data, 0, len(data))):  # also that of PowerPoint 95
        out.refuse(BROKEN)
    if b"\xdf\xc4\xd1\xf3" in stream(ole, "Current User")[:20]:  # [MS-PPT], 2.3.2
        out.refuse(ENCRYPTED)
    outline: list[tuple[list[str], list[str]]] = []
    shapes: list[list[str]] = []
    notes: list[list[str]] = []
    texts = {_SLIDE: shapes, _NOTES: notes}
    for kind, start, end in _records(data, 0, len(data)):
        if kind in texts:
            texts[kind].append(list(_words(data, start, end, 0)))
        # the document keeps the titles and bodies of all slides in a list of its own (2.4.14.3)
        for inner, first, last in _records(data, start, end) if kind == _DOCUMENT else ():
            if inner == _LIST and int.from_bytes(data[first - 8 : first - 6], "little") >> 4 == 0:
                outline = _listed(data, first, last)
    count = max(len(outline), len(shapes))
    out.remark(f"{count:,} slide{'s' * (count != 1)}")
    for number in range(count):
        titles, lines = outline[number] if number < len(outline) else ([], [])
        words = [*lines, *(line for shape in shapes[number : number + 1] for line in shape if line not in titles)]
        out.text(f"\n## Slide {number + 1}{': ' * bool(titles)}{' '.join(titles)}\n\n")
        out.text("".join(f"{line}\n" for line in dict.fromkeys(words)))
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


def _listed(data: bytes, at: int, end: int) -> list[tuple[list[str], list[str]]]:
    """Return the titles and the other lines of every slide (2.9.75 to 2.9.77)."""
    slides: list[tuple[list[str], list[str]]] = []
    is_title = False
    for kind, start, last in _records(data, at, end):
        if kind == _PERSIST:
            slides.append(([], []))
        elif kind == _HEADER:
            is_title = int.from_bytes(data[start : start + 4], "little") in _TITLES
        elif slides and kind in {_CHARS, _BYTES}:
            slides[-1][not is_title].extend(_lines(data[start:last], kind))
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
