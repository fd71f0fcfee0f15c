"""Decode text in an unknown encoding.

Theory of operation. `decide` asks in this order, and the first answer stands. A byte order mark comes first. Then come
UTF-16 and UTF-32 without one, since their zero bytes would pass as UTF-8. Then comes UTF-8, also with a few bad bytes.
Then comes what the sender or the file itself declares. What `detection` finds is last. There is no default.
Windows-1252 gives a meaning to nearly every byte, so as a default it would turn every mistake into text of other
letters. A guess that is not sure says so. Both the sandboxed process and its parent use this file.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, Protocol

PIECE = 65_536
DECLARED_WITHIN = 4096  # bytes in which a file's own declaration is sought


class Readable(Protocol):
    """A binary file that can be read again."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...


class Encoding(NamedTuple):
    """How a text is to be decoded.

    Attributes:
        codec: the name of a Python codec. Empty if none is known.
        remark: what a reader should know about it, in a few words. Empty if it is certain.
    """

    codec: str
    remark: str = ""


UTF8 = Encoding("utf-8")

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def charset_of_bom(head: bytes) -> str | None:
    """Return the codec that a byte order mark tells."""
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), None)


# ---- what is declared -----------------------------------------------------------------------------------------------

_DECLARATIONS = (
    re.compile(rb"\A\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z][\w.:-]{1,40})[\"']"),  # XML 1.0, 4.3.3
    re.compile(rb"\A(?:[^\n]*\n)?[ \t\f]*#.{0,200}?coding[:=][ \t]*([-\w.]{2,40})"),  # PEP 263; Ruby has the same
    re.compile(rb"\A@charset \"([^\"]{2,40})\";"),  # CSS Syntax 3, section 3.2
    re.compile(rb"<meta\b[^>]{0,400}?\bcharset\s*=\s*[\"']?\s*([A-Za-z][\w.:-]{1,40})", re.IGNORECASE),
)

_WIDER = {  # what writers of a label mean (WHATWG Encoding, 4.2): the wider one, in which the other is contained
    "iso8859-1": "cp1252", "latin_1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949",
    "ks_c_5601-1987": "cp949", "big5": "big5hkscs",
    "utf-16": "utf-16-le", "utf-32": "utf-32-le",  # a mark is asked before a label, and without one these codecs raise
}  # fmt: skip
_OTHER_NAMES = {"x-sjis": "cp932", "windows-31j": "cp932", "ms932": "cp932", "x-gbk": "gb18030", "x-euc-jp": "euc_jp",
                "windows-949": "cp949", "windows-874": "cp874", "x-mac-roman": "mac_roman", "macintosh": "mac_roman",
                "x-mac-cyrillic": "mac_cyrillic", "unicode": "utf-16", "iso-8859-8-i": "iso8859-8",
                "unicode-1-1-utf-8": "utf-8"}  # fmt: skip


def codec_of_label(label: str) -> str | None:
    """Return the Python codec of a charset's label.

    It is None for a label that names no encoding of text.
    """
    label = label.strip().strip("\"'").lower()
    label = _OTHER_NAMES.get(label, label)
    try:
        info = codecs.lookup(label)
    except (LookupError, ValueError):
        return None
    if not getattr(info, "_is_text_encoding", True) or info.name.replace("-", "_") in _NO_CHARSETS:
        return None
    return _WIDER.get(info.name, info.name) if info.name != "ascii" else None  # the file's writer had no other letters


_NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}  # Python's own


def declared_in(head: bytes) -> str | None:
    """Return the codec that a file declares itself.

    XML, Python, Ruby, CSS and HTML can.
    """
    for pattern in _DECLARATIONS:
        if (found := pattern.search(head)) and (codec := codec_of_label(found[1].decode("ascii", "replace"))):
            return None if codec.startswith(("utf-16", "utf-32")) else codec  # it was read as bytes, so it is neither
    return None


# ---- which encoding it is -------------------------------------------------------------------------------------------

_LEADS = bytes(range(0xC2, 0xF5))
_NOT_LEADS = bytes(set(range(256)) - set(_LEADS))
ASCII = bytes(range(0x80))


class _Utf8Count:
    """Counts what speaks for and against UTF-8.

    Attributes:
        high: bytes that are not ASCII.
        bad: places that are no UTF-8.
        good: characters of more than one byte.
        least: how many good ones there must be. An incomplete character at an end says nothing against UTF-8, but
            others must speak for it. It takes two if the first one is incomplete, since that may be a whole sign.
    """

    def __init__(self) -> None:
        self.high = self.bad = self.good = self.least = 0

    @property
    def is_utf8(self) -> bool:
        """Tell whether the bad places are few enough for UTF-8.

        Text in another encoding fails at every second letter.
        """
        return self.good >= max(8 * self.bad, self.least)

    @property
    def remark(self) -> str:
        """Return what the heading tells of the bad places."""
        return f"{self.bad:,} bad {'byte' if self.bad == 1 else 'bytes'} shown as U+FFFD" if self.bad else ""


def _count_utf8(source: Readable) -> _Utf8Count:
    count = _Utf8Count()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    source.seek(0)
    first = True
    while piece := source.read(PIECE):
        count.high += len(piece.translate(None, ASCII))
        if first and (torn := _TORN.match(piece)):  # a tail of a log begins within a character
            piece, count.least = piece[torn.end() :], 2
        first = False
        if piece.isascii() and not decoder.getstate()[0]:
            continue
        leads = len(piece.translate(None, _NOT_LEADS))
        bad = decoder.decode(piece).count("\ufffd") - piece.count(b"\xef\xbf\xbd")
        count.bad += max(0, bad)
        count.good += max(0, leads - bad)
    if decoder.getstate()[0]:
        count.least = max(count.least, 1)
        count.good -= 1
    return count


_TORN = re.compile(rb"[\x80-\xbf]{1,3}")  # no more bytes follow the first one of a character


def decide(source: Readable, declared: str = "") -> Encoding | None:
    """Return the encoding that is certain or declared.

    It is None where only a detector can tell.

    Args:
        source: the file.
        declared: the charset that the sender or the server named. Empty if none did.
    """
    source.seek(0)
    head = source.read(DECLARED_WITHIN)
    if marked := charset_of_bom(head):
        return Encoding(marked)
    if wide := _wide_codec(head):
        return Encoding(wide)
    count = _count_utf8(source)
    label = codec_of_label(declared)
    if label is None or (label.startswith(("utf-16", "utf-32")) and not _fits_wide(head, label)):
        label = declared_in(head)
    if count.is_utf8 and not (label and not count.high and label.startswith(("iso2022", "hz", "utf-7"))):
        if not label and b"\x1b$" in head and not count.high:
            return None  # ISO 2022: seven bits, with escapes between alphabets
        return Encoding("utf-8", count.remark)
    if label and label != "utf-8":
        characters = bad = 0
        for piece in text_pieces(source, label):
            characters += len(piece)
            bad += piece.count("\ufffd")
        if bad * 50 <= characters:  # a few bad bytes are damage, many are another encoding
            return Encoding(label)
    return None


def _wide_codec(head: bytes) -> str | None:
    """Return UTF-16 or UTF-32 for a text without a mark.

    The places of the zero bytes tell, and then the code units.
    """
    head = head[: len(head) // 4 * 4]
    if len(head) < 4:
        return None
    zeros = [head[at::4].count(0) / (len(head) // 4) for at in range(4)]
    for codec, full, empty in _ZEROS if len(head) > 4 else _ZEROS[2:]:  # one character of UTF-32 says nothing
        if all(zeros[at] > 0.7 for at in full) and all(zeros[at] < 0.2 for at in empty) and _is_prose(head, codec):
            return codec
    # in UTF-16, one byte of two tells the alphabet, and is no printable sign in most: this is ASCII, such as a log
    others = head.translate(None, b"\0")
    if others.isascii() and len(others.translate(None, _PRINTABLE)) * 8 <= len(others):
        return None
    units = [head[at : at + 2] for at in range(0, len(head), 2)]
    for codec in ("utf-16-le", "utf-16-be") if 0 in head else ():  # letters may have no zero bytes, but spaces do
        signs = sum(units.count(c.encode(codec)) for c in " \n\t,.0123456789")
        if signs * 80 >= len(units) and _is_prose(head, codec):
            return codec
    return None


_ZEROS = (  # of four bytes, those that are nearly always zero in text, and those that seldom are
    ("utf-32-le", (2, 3), (0,)),
    ("utf-32-be", (0, 1), (3,)),
    ("utf-16-le", (1, 3), (0, 2)),
    ("utf-16-be", (0, 2), (1, 3)),
)
_PRINTABLE = bytes((*range(0x20, 0x7F), *b"\t\n\r\x1b\b"))


def _is_prose(data: bytes, codec: str) -> bool:
    """Tell whether text has no control characters and few alphabets."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(data)
    except UnicodeDecodeError:
        return False
    strange = sum(
        c < "\t" or ("\r" < c < " " and c != "\x1b") or "\ue000" <= c <= "\uf8ff" or c >= "\ufffe" for c in text
    )
    blocks = Counter(ord(c) >> 8 for c in text if c.isalpha() and not "\u2e80" <= c <= "\ud7ff")
    return strange * 50 <= len(text) and len(blocks) <= 5


def _fits_wide(head: bytes, codec: str) -> bool:
    """Tell whether a text may be UTF-16 or UTF-32 as declared.

    Nearly any two bytes are a character of UTF-16, so a text in another encoding would become ideographs.
    """
    return len(head.translate(None, _PRINTABLE)) * 8 > len(head) and _is_prose(head, codec)


_LOOKED_AT = 65_536
_SIGNS = b"\t\n\x0b\x0c\r\x1b\b\x07\x01\x1a\x1c\x1d\x1e\x1f"  # controls that logs and data files of text have
_CONTROLS = bytes(set(range(32)) - {0} - set(_SIGNS))


def looks_like_text(source: Readable) -> bool:
    """Tell whether a file is text although its first bytes are not.

    Such a file is a log with NUL in it, or UTF-16 without a mark.
    """
    source.seek(0)
    head = source.read(_LOOKED_AT)
    if _wide_codec(head[:DECLARED_WITHIN]):
        return True
    zeros, controls = head.count(0), sum(head.count(c) for c in _CONTROLS)
    if zeros > len(head) * 0.3 or controls > len(head) * 0.02:
        return False
    high = len(head.translate(None, ASCII))
    count = _count_utf8(source) if high else None
    return count is None or count.is_utf8 or (not zeros and not controls)


def text_pieces(source: Readable, charset: str, errors: str = "replace") -> Iterator[str]:
    """Yield the whole of `source` decoded, piece by piece, from its beginning."""
    source.seek(0)
    decode = codecs.getincrementaldecoder(charset)(errors).decode
    while piece := source.read(PIECE):
        yield decode(piece)
    yield decode(b"", True)  # the end: a character cut in half is an error
