"""Read Word 97 to 2003 ([MS-DOC]), and the words of Word 6 and 95, whose header is like it.

The words are found through the structures that hold them. Their paragraphs' styles make headings. Hidden and deleted
words are left out.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from staging.llm._converter import detection, markdown, symbols
from staging.llm._converter.ole import MAX_BYTES, open_ole, stream
from staging.llm._converter.output import BROKEN, ENCRYPTED, Output

_SIGNATURE, _OLDER = 0xA5EC, 0xA5DC
_PARTS = ("", "footnotes", "headers and footers", "", "comments", "endnotes", "text boxes", "text boxes of headers")
_FIELD = re.compile("\x13([^\x13\x14\x15]*)\x14([^\x13\x14\x15]*)\x15|\x13[^\x13\x14\x15]*\x15")
_TARGET = re.compile(r'HYPERLINK\s+(?!\\l)(?:\\[a-z]\s+)*"([^"]+)"')
_SIGNS = {
    0x06: "\n",
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
_PAGE = 512  # bytes of a page of properties
_PARAGRAPHS, _CHARACTERS = (0x102, 13), (0xFA, 1)  # place in the header, bytes of an entry in a page (2.5.6, 2.9.174)
_OPERANDS = (1, 1, 2, 4, 2, 2, 0, 3)  # bytes, by the kind of property (2.2.5.1); 0: the next byte tells
_VANISH, _DELETED, _SYMBOL, _FONT = 0x083C, 0x0800, 0x6A09, 0x4A4F  # 2.6.1
_MAX_FONTS = 0xFFFF
_FONT_NAME = 39  # bytes before the name of a font (FFN)
_QUICKLY_SAVED = 0x0004
_MAX_RANGES = 100_000
_IN_TABLE, _ENDS_ROW = 0x2416, 0x2417  # 2.6.2
_ROW_END = "\x06"
_LEVEL = "\x0f"  # before a heading, with its level


class _Piece(NamedTuple):
    """A run of text, and where the file has it (2.4.1).

    Attributes:
        first: the number of its first character.
        place: of its first byte.
        width: bytes of a character.
        text: its words.
    """

    first: int
    place: int
    width: int
    text: str


def read(source: IO[bytes], out: Output) -> None:
    """Write the text of a doc.

    What stands beside the text follows under its own name.
    """
    ole = open_ole(source, out)
    main = stream(ole, "WordDocument")
    signature = int.from_bytes(main[:2], "little")
    if len(main) < 0x1AA or signature not in {_SIGNATURE, _OLDER}:
        out.refuse(BROKEN)
    flags = int.from_bytes(main[10:12], "little")
    if flags & 0x0100:
        out.refuse(ENCRYPTED)
    if signature == _OLDER:
        _write(struct.unpack_from("<8I", main, 0x34), _older_text(main, flags, out), [], out)
        return
    table = stream(ole, "1Table" if flags & 0x0200 else "0Table")
    counts = struct.unpack_from("<8I", main, 0x4C)
    pieces = list(_pieces(main, table))
    text = "".join(piece.text for piece in pieces)
    _write(counts, text, sorted(_edits(main, table, pieces, out)), out)


def _write(counts: Sequence[int], text: str, edits: list[tuple[int, int, str]], out: Output) -> None:
    """Write the parts of the text with its edits, each of so many characters."""
    at = 0
    for count, part in zip(counts, _PARTS, strict=True):
        end = at + count
        found: list[str] = []
        for first, after, instead in edits:
            if at <= first < end:
                found += [text[at:first], instead]
                at = max(at, min(after, end))
        words = _shown("".join([*found, text[at:end]])).strip()
        at = end
        if words and part:
            words = "\n".join(dict.fromkeys(filter(str.strip, words.splitlines())))  # each header once
            out.text(f"\n[{part}:]\n{words}\n")
        elif words:
            out.text(words + "\n")


def _older_text(main: bytes, flags: int, out: Output) -> str:
    """Return the text of Word 6 or 95, one byte a character.

    The language that the header names is often that of the program, so the bytes themselves tell the code page.
    """
    out.remark("headings and hidden text are not told apart from the rest")
    (start,) = struct.unpack_from("<I", main, 0x18)
    runs = [main[start:]]
    if flags & _QUICKLY_SAVED:
        runs = [main[place : place + count] for place, count in _places(main, *struct.unpack_from("<II", main, 0x160))]
    data = b"".join(runs)[: sum(struct.unpack_from("<8I", main, 0x34))]
    if data.isascii():
        return data.decode("ascii")
    try:
        found = detection.detect(re.sub(rb"[\0-\x1f]", b" ", data))
    except ImportError:
        found = detection.UNKNOWN
    codec = found.codec if found.codec.startswith("cp") else "cp1252"  # it is a program of Windows
    out.remark(found.remark if codec == found.codec else "decoded as windows-1252, which is a guess")
    return data.decode(codec, "replace")


def _pieces(main: bytes, table: bytes) -> Iterator[_Piece]:
    """Yield the text in its order.

    The file itself holds the text in the order in which it was edited.
    """
    first = 0
    for place, count in _places(table, *struct.unpack_from("<II", main, 0x1A2)):
        width = 1 if place & 0x4000_0000 else 2
        at_byte = (place & 0x3FFF_FFFF) // (3 - width)
        words = main[at_byte : at_byte + width * count]
        if width == 2:  # halves of a pair are characters of their own here
            text = words[: len(words) // 2 * 2].decode("utf-16-le", "surrogatepass")
            text = re.sub(
                "[\U00010000-\U0010ffff]",
                lambda pair: "".join(map(chr, struct.unpack("<2H", pair[0].encode("utf-16-le")))),
                text,
            )
        else:
            text = words.decode("cp1252", "replace")
        yield _Piece(first, at_byte, width, text)
        first += len(text)


def _places(table: bytes, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the place and the characters of every piece, from the piece table (2.4.1)."""
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
        yield place, max(0, min(places[number + 1] - places[number], MAX_BYTES))


def _edits(main: bytes, table: bytes, pieces: list[_Piece], out: Output) -> Iterator[tuple[int, int, str]]:
    """Yield marks before headings, signs of fonts, and what hidden and deleted words leave.

    Each is the numbers of the first character and of the one after the last, and what takes their place.
    """
    counts: dict[str, int] = dict.fromkeys(("hidden", "deleted"), 0)
    fonts = _fonts(main, table)
    unknown = 0
    for place, end, properties in _ranges(main, table, _CHARACTERS):
        found = _values(properties)
        gone = "deleted" if found.get(_DELETED) else "hidden" if found.get(_VANISH) else ""
        has_signs = _SYMBOL in found or fonts.get(found.get(_FONT, -1)) in symbols.FONTS
        for start, after, words in _between(pieces, place, end) if gone or has_signs else ():
            if gone:
                counts[gone] += len(words.strip())
                yield start, after, "".join(re.findall("[\r\x07]", words))
            else:
                shown = _signs(found, fonts, words)
                unknown += shown.count(symbols.UNKNOWN)
                yield start, after, shown
    for place, end, properties in _ranges(main, table, _PARAGRAPHS):
        for start, after, words in list(_between(pieces, place, end))[:1]:
            yield from _of_paragraph(properties, start, after, words[-1:])
    for what, count in counts.items():
        if count:
            out.remark(f"{count:,} characters of {what} text left out")
    if unknown:
        out.remark(symbols.told(unknown))


def _fonts(main: bytes, table: bytes) -> dict[int, str]:
    """Return the names of the fonts, by the numbers that properties have for them (SttbfFfn)."""
    at, size = struct.unpack_from("<II", main, 0x112)
    end = min(at + size, len(table))
    at += 4
    found: dict[int, str] = {}
    while at < end and len(found) < _MAX_FONTS:
        name = table[at + 1 : at + 1 + table[at]][_FONT_NAME:].decode("utf-16-le", "replace")
        found[len(found)] = name.partition("\0")[0].lower()
        at += 1 + table[at]
    return found


def _signs(found: dict[int, int], fonts: dict[int, str], words: str) -> str:
    """Return words of a symbol font, or the one sign for which each letter stands (CSymbolOperand)."""
    if (symbol := found.get(_SYMBOL)) is not None:
        shown = symbols.sign(fonts.get(symbol & 0xFFFF, ""), symbol >> 16)
        return re.sub("[^\r\x07]", lambda _: shown, words)
    font = fonts[found[_FONT]]
    return symbols.PRIVATE.sub(lambda sign: symbols.sign(font, ord(sign[0])), words)


def _of_paragraph(properties: bytes, start: int, after: int, mark: str) -> Iterator[tuple[int, int, str]]:
    level = int.from_bytes(properties[:2], "little")  # of the styles, the first nine are headings (2.7.3)
    found = _values(properties[2:])
    if 1 <= level <= 9:
        yield start, start, f"{_LEVEL}{level}"
    if found.get(_ENDS_ROW) and mark == "\x07":
        yield after - 1, after, _ROW_END
    elif found.get(_IN_TABLE) and mark == "\r":  # of a cell that has more than one paragraph
        yield after - 1, after, "\x0b"


def _values(properties: bytes) -> dict[int, int]:
    """Return the value of each property by its number, of a long one the first byte (2.2.5.1)."""
    found: dict[int, int] = {}
    at = 0
    while at + 3 <= len(properties):
        number = int.from_bytes(properties[at : at + 2], "little")
        size = _OPERANDS[number >> 13]
        found[number] = int.from_bytes(properties[at + 2 : at + 2 + (size or 1)], "little")
        at += 2 + (size or 1 + properties[at + 2])
    return found


def _between(pieces: list[_Piece], start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield the runs of characters that the file has between two places."""
    for first, place, width, text in pieces:
        low, high = max(start, place), min(end, place + width * len(text))
        if low < high:
            at, after = (low - place) // width, (high - place) // width
            yield first + at, first + after, text[at:after]


def _ranges(main: bytes, table: bytes, kind: tuple[int, int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield places in the file between which the same properties hold (2.8.5, 2.9.33, 2.9.175)."""
    header, size = kind
    start, length = struct.unpack_from("<II", main, header)
    count = max(0, min(length, len(table) - start) - 4) // 8
    for (number,) in struct.iter_unpack("<I", table[start + 4 * (count + 1) : start + 8 * count + 4][:_MAX_RANGES]):
        page = main[number * _PAGE : (number + 1) * _PAGE]
        if len(page) < _PAGE or 4 * (page[-1] + 1) + size * page[-1] > _PAGE:
            return
        places = struct.unpack_from(f"<{page[-1] + 1}I", page)
        for at in range(page[-1]):
            offset = 2 * page[4 * len(places) + size * at]
            if offset and offset < _PAGE - 2:
                yield places[at], places[at + 1], _held(page, offset, is_paragraph=size > 1)


def _held(page: bytes, offset: int, *, is_paragraph: bool) -> bytes:
    length = page[offset]
    if not is_paragraph:
        return page[offset + 1 : offset + 1 + length]
    if length:
        return page[offset + 1 : offset + 2 * length]
    return page[offset + 2 : offset + 2 + 2 * page[offset + 1]]


def _shown(text: str) -> str:
    """Return the text without its fields' instructions, with cells and rows parted."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    for _ in range(6):  # fields nest
        text, count = _FIELD.subn(_field, text)
        if not count:
            break
    # from the beginning of a paragraph or cell on: tried at each letter, a long paragraph took seconds
    rows = re.sub("(?<![^\x06\x07\r\x0c])(?:[^\x06\x07\r\x0c]*\x07)+\x06", lambda row: _row(row[0]), text)
    if rows == text:  # nothing tells where rows end, but that their last cell is not empty
        rows = re.sub("(?<![^\x07\r\x0c])[^\x07\r\x0c]*(?:\x07[^\x07\r\x0c]+)*\x07\x07", lambda row: _row(row[0]), text)
    words = rows.replace("\x07", " | ").translate(_SIGNS)
    words = re.sub(r"(?m)(?:^\|.*\|\n)+", _table, words)
    return re.sub(f"{_LEVEL}([1-9])([^\\n]*)\\n?", lambda found: markdown.heading(int(found[1]), found[2]), words)


def _row(row: str) -> str:
    return "| " + " | ".join(markdown.cell(cell.translate(_SIGNS)) for cell in row[:-2].split("\x07")) + " |\n"


def _table(rows: re.Match[str]) -> str:
    head, _, rest = rows[0].partition("\n")
    columns = len(re.findall(r"(?<!\\)\|", head)) - 1
    return f"\n{head}\n|{' --- |' * columns}\n{rest}\n"


def _field(found: re.Match[str]) -> str:
    target = _TARGET.search(found[1] or "")
    return markdown.link(found[2], target[1]) if target else found[2] or ""
