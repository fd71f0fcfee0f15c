"""Read PowerPoint 97 to 2003 ([MS-PPT]).

Each save adds to the file, and a directory tells which of the records still hold. Without it, all of them are read.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from typing import IO, NamedTuple

from staging.llm._converter import markdown
from staging.llm._converter.ole import open_ole, stream
from staging.llm._converter.output import BROKEN, ENCRYPTED, Output

_DOCUMENT, _SLIDE, _NOTES, _NOTES_OF, _PERSIST, _SHOW, _LIST = 1000, 1006, 1008, 1009, 1011, 1017, 4080  # 2.13.24
_EDIT, _DIRECTORY = 4085, 6002
_HEADER, _CHARS, _BYTES, _STRING = 3999, 4000, 4008, 4026
_TAGS, _COMMENT = 5003, 12_000
_TITLES, _BODIES = {0, 6}, {1, 7, 8}  # kinds of text (2.13.33)
_GROUP, _TEXT_BOX, _ANCHOR, _MORE_PROPERTIES, _TABLE = 0xF003, 0xF00D, 0xF00F, {0xF121, 0xF122}, 0x039F
_SHAPE, _SHAPE_DATA, _PLACEHOLDER, _TITLE_PLACES = 0xF004, 0xF011, 3011, {13, 15, 17}
_CONTAINER, _DEEPEST = 0xF, 20
_HIDDEN = 0x0004
_FOR_TWO = "PP97_DUALSTORAGE/"  # of a file that PowerPoint 95 opens too, the part for later ones
_CIPHERED = b"\xdf\xc4\xd1\xf3"  # 2.3.2

_Record = tuple[int, int, int]  # its kind, and where its content begins and ends


class _Slide(NamedTuple):
    """A slide as the document lists it (2.9.75 to 2.9.77).

    Attributes:
        persist: the number under which the directory has it.
        number: its own, to which notes refer.
        titles: lines of its title.
        lines: further lines of its outline.
    """

    persist: int
    number: int
    titles: list[str]
    lines: list[str]


def read(source: IO[bytes], out: Output) -> None:
    """Write the slides.

    Each has its outline, the words of its other shapes, its comments and its notes.
    """
    ole = open_ole(source, out)
    place = _FOR_TWO if ole.exists(_FOR_TWO + "PowerPoint Document") else ""
    data, user = (stream(ole, place + name) for name in ("PowerPoint Document", "Current User"))
    if _CIPHERED in user[:20]:
        out.refuse(ENCRYPTED)
    places, number = _persisted(data, int.from_bytes(user[16:20], "little"))
    records = list(_records(data, 0, len(data)))
    document = _record_at(data, places.get(number, len(data)), _DOCUMENT)
    document = document or next((record for record in reversed(records) if record[0] == _DOCUMENT), None)
    if document is None:  # also that of PowerPoint 95
        out.refuse(BROKEN)
    slides, notes = _contents(data, places, document, records)
    out.remark(f"{len(slides):,} slide{'s' * (len(slides) != 1)}")
    hidden = 0
    for at, (slide, part) in enumerate(slides, 1):
        is_hidden = part is not None and _is_hidden(data, part)
        hidden += is_hidden
        titles, lines = _added(slide, list(_words(data, part, 0)) if part else [])
        title = markdown.one_line(" ".join(titles))
        out.text(f"\n## Slide {at}{' (hidden)' * is_hidden}{': ' * bool(title)}{title}\n\n")
        out.text("".join(f"{line}\n" for line in lines))
        out.text("".join(f"\n{line}\n" for line in _comments(data, part, 0)) if part else "")
        out.text("".join(map(_told, notes.pop(slide.number, []))))
    for left in notes.values():
        out.text("".join(map(_told, left)))
    if hidden:
        out.remark(f"{hidden:,} hidden slide{'s' * (hidden != 1)}")


def _contents(
    data: bytes, places: dict[int, int], document: _Record, records: list[_Record]
) -> tuple[list[tuple[_Slide, _Record | None]], dict[int, list[list[str]]]]:
    """Return the slides with their records, and the notes of each slide.

    Without a directory or a list, all records count, in the order of the file.
    """
    slides = [slide for start, end in _lists(data, document, 0) for slide in _listed(data, start, end)]
    parts: list[_Record | None]
    notes: list[_Record | None]
    if places and slides:
        wanted = [slide.persist for start, end in _lists(data, document, 2) for slide in _listed(data, start, end)]
        parts = [_record_at(data, places.get(slide.persist, len(data)), _SLIDE) for slide in slides]
        notes = [_record_at(data, places.get(persist, len(data)), _NOTES) for persist in wanted]
    else:
        parts = [record for record in records if record[0] == _SLIDE]
        notes = [record for record in records if record[0] == _NOTES]
        slides += [_Slide(0, 0, [], []) for _ in parts[len(slides) :]]
        parts += [None] * (len(slides) - len(parts))
    return list(zip(slides, parts, strict=True)), _notes(data, list(filter(None, notes)))


def _added(slide: _Slide, words: list[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """Return the title and the lines of a slide.

    Its shapes may hold what the document lists, the same again; where the document lists no title, one of them is it.
    """
    known = Counter([*slide.titles, *(line.removeprefix("- ") for line in slide.lines)])
    titles, lines = list(slide.titles), list(slide.lines)
    for line, kind in words:
        is_known = known[line] > 0
        known[line] -= is_known
        if kind in _TITLES and not slide.titles:
            titles.append(line)
            lines = [other for other in lines if other != line]
        elif not is_known:
            lines.append(line)
    return titles, lines


def _told(lines: list[str]) -> str:
    return "\n[notes: " + "\n".join(lines) + "]\n"


def _persisted(data: bytes, edit: int) -> tuple[dict[int, int], int]:
    """Return the places of what still holds, and the number of the document (2.1.2).

    The edits are read from the last to the first.
    """
    places: dict[int, int] = {}
    document = 0
    while found := _record_at(data, edit, _EDIT):
        if found[1] + 20 > len(data):
            break
        before, directory, number = struct.unpack_from("<3I", data, found[1] + 8)
        document = document or number
        _, at, end = _record_at(data, directory, _DIRECTORY) or (0, 0, 0)
        while at + 4 <= end:
            (entry,) = struct.unpack_from("<I", data, at)
            count = min(entry >> 20, (end - at - 4) // 4)
            for offset, where in enumerate(struct.unpack_from(f"<{count}I", data, at + 4)):
                places.setdefault((entry & 0xFFFFF) + offset, where)
            at += 4 + 4 * count
        if before >= edit:
            break
        edit = before
    return places, document


def _records(data: bytes, at: int, end: int) -> Iterator[_Record]:
    """Yield the records between two places (2.3.1)."""
    while at + 8 <= end:
        kind, size = struct.unpack_from("<HI", data, at + 2)
        yield kind, at + 8, min(at + 8 + size, end)
        at += 8 + size


def _record_at(data: bytes, at: int, kind: int) -> _Record | None:
    """Return the record at a place, if it is of a kind."""
    found = next(_records(data, at, len(data)), None)
    return found if found and found[0] == kind else None


def _lists(data: bytes, document: _Record, instance: int) -> Iterator[tuple[int, int]]:
    """Yield where the document lists its slides (0), or its notes (2), each with its text (2.4.14.3)."""
    for kind, start, end in _records(data, *document[1:]):
        if kind == _LIST and int.from_bytes(data[start - 8 : start - 6], "little") >> 4 == instance:
            yield start, end


def _listed(data: bytes, at: int, end: int) -> Iterator[_Slide]:
    slide = None
    text = 0
    for kind, start, last in _records(data, at, end):
        if kind == _PERSIST:
            if slide:
                yield slide
            persist, number = (int.from_bytes(data[start + n : start + n + 4], "little") for n in (0, 12))
            slide = _Slide(persist, number, [], [])
        elif kind == _HEADER:
            text = int.from_bytes(data[start : start + 4], "little")
        elif slide and kind in {_CHARS, _BYTES}:
            lines = _lines(data[start:last], kind)
            is_list = text in _BODIES and len(lines) > 1
            (slide.titles if text in _TITLES else slide.lines).extend(f"- {n}" if is_list else n for n in lines)
    if slide:
        yield slide


def _notes(data: bytes, records: list[_Record]) -> dict[int, list[list[str]]]:
    """Return the notes by the number of their slide, other than those of the master, which has none."""
    found: dict[int, list[list[str]]] = {}
    for record in records:
        about = [start for kind, start, _ in _records(data, *record[1:]) if kind == _NOTES_OF]
        number = int.from_bytes(data[about[0] : about[0] + 4], "little") if about else -1
        lines = [line for line, _ in dict.fromkeys(_words(data, record, 0)) if line.strip("* ")]
        if number and lines:
            found.setdefault(number, []).append(lines)
    return found


def _is_hidden(data: bytes, part: _Record) -> bool:
    shows = (start for kind, start, _ in _records(data, *part[1:]) if kind == _SHOW)
    return any(int.from_bytes(data[start + 10 : start + 12], "little") & _HIDDEN for start in shows)


def _words(data: bytes, part: _Record, depth: int) -> Iterator[tuple[str, int]]:
    """Yield the lines of every shape, each with the kind of its text."""
    text = -1
    for kind, start, end in _records(data, *part[1:]):
        if kind == _HEADER:
            text = int.from_bytes(data[start : start + 4], "little")
        elif kind in {_CHARS, _BYTES}:
            yield from ((line, text) for line in _lines(data[start:end], kind))
        elif kind == _GROUP and _is_table(data, start, end) and depth < _DEEPEST:
            yield _table(data, (kind, start, end), depth), -1
        elif data[start - 8] & _CONTAINER == _CONTAINER and depth < _DEEPEST:
            is_title = kind == _SHAPE and _place(data, start, end) in _TITLE_PLACES
            for line, inner in _words(data, (kind, start, end), depth + 1):
                yield line, min(_TITLES) if is_title else inner


def _place(data: bytes, start: int, end: int) -> int:
    """Return what a shape is the place for on its slide (2.5.10, 2.13.21)."""
    for kind, at, last in _records(data, start, end):
        for inner, first, _ in _records(data, at, last) if kind == _SHAPE_DATA else ():
            if inner == _PLACEHOLDER and first + 5 <= len(data):
                return data[first + 4]
    return 0


def _is_table(data: bytes, start: int, end: int) -> bool:
    """Tell whether a group of shapes is a table, which a property of its first shape says ([MS-ODRAW], 2.3.4.37)."""
    first = next(_records(data, start, end), None)
    for kind, at, last in _records(data, *first[1:]) if first else ():
        if kind in _MORE_PROPERTIES:
            numbers = (int.from_bytes(data[n : n + 2], "little") & 0x3FFF for n in range(at, last - 5, 6))
            if _TABLE in numbers:
                return True
    return False


def _table(data: bytes, group: _Record, depth: int) -> str:
    """Return a table, whose cells are shapes that stand beside and below each other."""
    rows: dict[int, list[tuple[int, str]]] = {}
    for shape in _records(data, *group[1:]):
        anchor = next((start for kind, start, _ in _records(data, *shape[1:]) if kind == _ANCHOR), None)
        has_text = any(kind == _TEXT_BOX for kind, _, _ in _records(data, *shape[1:]))
        if anchor is not None and anchor + 8 <= len(data) and has_text:
            left, top = struct.unpack_from("<2i", data, anchor)
            rows.setdefault(top, []).append((left, "\n".join(line for line, _ in _words(data, shape, depth + 1))))
    cells = ([text for _, text in sorted(row)] for _, row in sorted(rows.items()))
    return "".join(markdown.rows(cells)).rstrip("\n") + "\n"


def _comments(data: bytes, part: _Record, depth: int) -> Iterator[str]:
    """Yield the comments, whose strings are the author, the words and the author's initials (2.5.25)."""
    for kind, start, end in _records(data, *part[1:]):
        if kind == _COMMENT:
            strings = {
                int.from_bytes(data[first - 8 : first - 6], "little") >> 4: data[first:last].decode(
                    "utf-16-le", "replace"
                )
                for inner, first, last in _records(data, start, end)
                if inner == _STRING
            }
            author, words = (markdown.one_line(strings.get(n, "")) for n in (0, 1))
            if words:
                yield f"[comment{' by ' * bool(author)}{author}: {words}]"
        elif (kind == _TAGS or data[start - 8] & _CONTAINER == _CONTAINER) and depth < _DEEPEST:
            yield from _comments(data, (kind, start, end), depth + 1)


def _lines(data: bytes, kind: int) -> list[str]:
    text = data.decode("utf-16-le" if kind == _CHARS else "latin-1", "replace")
    return [line.strip() for line in re.split("[\r\x0b]", text) if line.strip()]
