"""Decode text in an unknown encoding.

Theory of operation. `decide` asks in this order, and the first answer stands. A byte order mark comes first. Then come
UTF-16 and UTF-32 without one, since their zero bytes would pass as UTF-8. Then comes UTF-8, also with a few bad bytes.
Then comes what the sender or the file itself declares. The detector of charset-normalizer is last. There is no default.
Windows-1252 gives a meaning to nearly every byte, so as a default it would turn every mistake into text of other
letters. A guess that is not sure says so. Both the sandboxed process and its parent use this file.
"""

import codecs
import importlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol

from staging.llm._converter.output import Output

PIECE = 65_536
SAMPLE = 262_144  # bytes that a detector looks at
DECLARED_WITHIN = 4096  # bytes in which a file's own declaration is sought


class Readable(Protocol):
    """A binary file that can be read again."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a text is to be decoded.

    Attributes:
        codec: the name of a Python codec. Empty if none is known.
        remark: what a reader should know about it, in a few words. Empty if it is certain.
    """

    codec: str
    remark: str = ""


UTF8 = Encoding("utf-8")
UNKNOWN = Encoding("")

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
_ASCII = bytes(range(0x80))


@dataclass(slots=True)
class _Utf8Count:
    """Counts what speaks for and against UTF-8.

    Attributes:
        high: bytes that are not ASCII.
        bad: places that are no UTF-8.
        good: characters of more than one byte.
        last_cut: whether the last character is incomplete, which says nothing against it.
    """

    high: int = 0
    bad: int = 0
    good: int = 0
    last_cut: bool = False

    @property
    def is_utf8(self) -> bool:
        """Tell whether the bad places are few enough for UTF-8.

        Text in another encoding fails at every second letter.
        """
        return self.good >= 8 * self.bad and (self.good > 0 or not self.last_cut)

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
        if first:  # a tail of a log begins within a character
            piece, first = piece.lstrip(bytes(range(0x80, 0xC0))) if 0x80 <= piece[0] < 0xC0 else piece, False
        if piece.isascii() and not decoder.getstate()[0]:
            continue
        count.high += len(piece.translate(None, _ASCII))
        leads = len(piece.translate(None, _NOT_LEADS))
        bad = decoder.decode(piece).count("\ufffd") - piece.count(b"\xef\xbf\xbd")
        count.bad += max(0, bad)
        count.good += max(0, leads - bad)
    count.last_cut = bool(decoder.getstate()[0])
    count.good -= count.last_cut
    return count


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
    label = codec_of_label(declared) or declared_in(head)
    if count.is_utf8 and not (label and not count.high and label.startswith(("iso2022", "hz", "utf-7"))):
        if not label and b"\x1b$" in head and not count.high:
            return None  # ISO 2022: seven bits, with escapes between alphabets
        return Encoding("utf-8", count.remark)
    if label and label != "utf-8" and _decodes(source, label):
        return Encoding(label)
    return None


def _decodes(source: Readable, codec: str) -> bool:
    """Tell whether the bytes are in the encoding that a label names.

    A few bad bytes are damage. Many are another encoding.
    """
    characters = bad = 0
    for piece in text_pieces(source, codec):
        characters += len(piece)
        bad += piece.count("\ufffd")
    return bad * 50 <= characters


def _wide_codec(head: bytes) -> str | None:
    """Return UTF-16 or UTF-32 for a text without a mark.

    The places of the zero bytes tell, and then the code units.
    """
    head = head[: len(head) // 4 * 4]
    if len(head) < 4:
        return None
    zeros = [head[at::4].count(0) / (len(head) // 4) for at in range(4)]
    for codec, full, empty in (
        ("utf-32-le", (2, 3), (0,)), ("utf-32-be", (0, 1), (3,)), ("utf-16-le", (1, 3), (0, 2)),
        ("utf-16-be", (0, 2), (1, 3)),
    ):  # fmt: skip
        if all(zeros[at] > 0.7 for at in full) and all(zeros[at] < 0.2 for at in empty) and _is_prose(head, codec):
            return codec
    if head.isascii() and b"\0" not in head:
        return None
    return next((codec for codec in ("utf-16-le", "utf-16-be") if _has_wide_lines(head, codec)), None)


def _has_wide_lines(head: bytes, codec: str) -> bool:
    """Tell whether it is UTF-16 of letters that have no zero bytes.

    Line ends and spaces still have theirs.
    """
    signs = [c.encode(codec) for c in " \n\t,.0123456789"]
    units = [head[at : at + 2] for at in range(0, len(head), 2)]
    return 0 in head and sum(units.count(sign) for sign in signs) * 80 >= len(units) and _is_prose(head, codec)


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
    high = len(head.translate(None, _ASCII))
    count = _count_utf8(source) if high else None
    return count is None or count.is_utf8 or (not zeros and not controls)


# ---- the detector ---------------------------------------------------------------------------------------------------

_BETTER_KNOWN = {  # of what is detected, the encoding by which such files were most likely written
    "mac_iceland": "mac_roman",
    "euc_jis_2004": "euc_jp", "euc_jisx0213": "euc_jp", "shift_jis_2004": "cp932", "shift_jisx0213": "cp932",
    "shift_jis": "cp932", "cp1125": "cp866", "johab": "cp949", "big5": "big5hkscs", "gbk": "gb18030",
}  # fmt: skip
_IN_USE = [  # what text files are written in; EBCDIC and the like would be found in any short text
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "iso8859_2",
    "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "koi8_r", "koi8_u", "cp866", "cp437", "cp850", "cp852",
    "cp737", "cp862", "mac_iceland", "mac_roman", "mac_cyrillic", "mac_latin2", "gb18030", "big5hkscs", "big5", "cp932",
    "shift_jis_2004", "euc_jp", "euc_jis_2004", "cp949", "iso2022_jp", "iso2022_kr", "hz",
]  # fmt: skip
_LATIN = {
    "cp1252": "äöüß éèàçêâîôûëïùœæ ñáéíóúü¿¡ãõàâêôç àèéìòù åäöé æøåé ëïéèöüó áðéíóúýþæö",
    "cp1250": "ąćęłńóśźż áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž áéíóöőúüű ăâîşţ čćđšž",
    "cp1254": "çğıöşüâîİ",
    "cp1257": "ąčęėįšųūž āčēģīķļņšūž äõöüšž",
}
_LATIN.update(
    {"mac_roman": _LATIN["cp1252"], "cp850": _LATIN["cp1252"], "cp437": _LATIN["cp1252"], "iso8859_2": _LATIN["cp1250"],
     "cp852": _LATIN["cp1250"], "mac_latin2": _LATIN["cp1250"]}
)  # fmt: skip
_CYRILLIC = ("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic")
_COMMON_LEADS = {  # the first bytes of the common characters: kana, Hangul and the first level of the ideographs
    "gb18030": {*range(0xB0, 0xD8)}, "big5hkscs": {*range(0xA4, 0xC7)}, "cp932": {0x82, 0x83, *range(0x88, 0x98)},
    "euc_jp": {0xA4, 0xA5, *range(0xB0, 0xD0)}, "cp949": {*range(0xB0, 0xC9)},
}  # fmt: skip
_MARKS_OF_TEXT = "§°€–—„“”‘’…«»·²³µ®©"
_SOME = 8  # bytes above ASCII; from fewer, nothing is certain
_PLAUSIBLE = 0.7  # the share of letters that one language must know, where the detector knows nothing
_LITTLE = 60  # bytes above ASCII; in fewer, statistics say nothing


def detect(data: bytes) -> Encoding:
    """Return what charset-normalizer finds in a sample, corrected by the letters that languages use.

    Its statistics know scripts well and sister code pages badly: one letter decides between them.

    Raises:
        ImportError: if charset-normalizer is not installed.
    """
    sample = _sample(data)
    high = len(sample.translate(None, _ASCII))
    if high and not sample.translate(None, bytes(range(0x80)) + b"\xfe\xff"):
        return Encoding(
            "utf-8", f"{high:,} bad byte{'s' * (high != 1)} shown as U+FFFD"
        )  # no language writes with these
    detector: Any = importlib.import_module("charset_normalizer")
    best = detector.from_bytes(sample, cp_isolation=_IN_USE).best()
    found = best.encoding if best else "cp1252"
    codec = _BETTER_KNOWN.get(found, found)
    sure = (best is not None and best.coherence > 0.1) or codec in _COMMON_LEADS or codec == "iso2022_jp"
    family = _family(codec, high)
    if family:
        scores = {name: family[name](sample, name) for name in family}
        codec = _best(scores, codec)
        rivals = [scores[name] for name in scores if name != codec and _differ(sample, codec, name)]
        sure = scores[codec] > 0 and scores[codec] - max(rivals, default=0) >= (0.02 if codec in _CYRILLIC else 0.08)
        if best is None and scores[codec] < _PLAUSIBLE:
            return UNKNOWN
    name = re.sub("^cp(?=125[0-8]$)", "windows-", codec).replace("_", "-")
    return Encoding(codec, f"decoded as {name}" if sure and high >= _SOME else f"decoded as {name}, which is a guess")


def _best(scores: Mapping[str, float], found: str) -> str:
    """Return the encoding with the highest score.

    Of equal ones it is the detector's, or else the most common.
    """
    highest = max(scores.values())
    equals = [name for name, score in scores.items() if score == highest]
    return found if found in equals and found in _COMMON_LEADS else equals[0]


def _family(codec: str, high: int) -> dict[str, Callable[[bytes, str], float]]:
    """Return the encodings that are easily mistaken for this one.

    Each comes with the measure that tells it apart.
    """
    if codec in _COMMON_LEADS and high < _LITTLE:
        return dict.fromkeys(_COMMON_LEADS, _share_of_common)
    if codec in _CYRILLIC:
        return dict.fromkeys(_CYRILLIC, _share_of_words)
    if codec in _LATIN or codec == "cp1258":
        return dict.fromkeys(_LATIN, _share_of_letters)
    return {}


def _differ(data: bytes, one: str, other: str) -> bool:
    return data.decode(one, "replace") != data.decode(other, "replace")


def _share_of_letters(data: bytes, page: str) -> float:
    """Return how many characters above ASCII fit one language.

    It is a share, and that of the language that fits best.
    """
    text = data.decode(page, "replace")
    high = [text[at].lower() for at in range(len(text)) if text[at] > "\x7f" and not _upper_in_word(text, at)]
    marks = sum(c in _MARKS_OF_TEXT for c in high)
    languages = _LATIN[page].split()
    letters = max(sum(c in language for c in high) for language in languages)
    return (letters + 0.8 * marks) / max(1, sum(c > "\x7f" for c in text))


def _share_of_words(data: bytes, page: str) -> float:
    """Return the share of characters above ASCII that are letters in their place.

    A capital within a word is not in its place.
    """
    text = data.decode(page, "replace")
    high = [at for at in range(len(text)) if text[at] > "\x7f"]
    good = sum("\u0400" <= text[at] <= "\u0491" for at in high) - 3 * sum(_upper_in_word(text, at) for at in high)
    return good / max(1, len(high)) - sum(text[at] in "ЂЃѓЉЊЌЋЏђљњќћџЎўЈҐ" for at in high) / (2 * max(1, len(high)))


def _share_of_common(data: bytes, codec: str) -> float:
    """Return the share of common ideographs, kana and Hangul.

    It is negative if the bytes cannot be decoded.
    """
    try:
        high = [c.encode(codec) for c in data.decode(codec) if c > "\x7f"]
    except UnicodeError:
        return -1
    kana = any("\u3040" <= c <= "\u30ff" for c in data.decode(codec)) if codec in {"cp932", "euc_jp"} else False
    return sum(len(c) == 2 and c[0] in _COMMON_LEADS[codec] for c in high) / max(1, len(high)) + kana / 10


def _upper_in_word(text: str, at: int) -> bool:
    return text[at].isupper() and at > 0 and text[at - 1].islower()


def _sample(data: bytes) -> bytes:
    """Return the part of a text that tells about its encoding.

    Of a long text, it is the lines with bytes above ASCII.
    """
    if len(data) <= PIECE or b"\0" in data[:256]:
        return data[:SAMPLE]
    lines = [line for line in data[: 16 * SAMPLE].split(b"\n") if not line.isascii()]
    if any(len(line) > SAMPLE // 16 for line in lines):
        lines = _SURROUNDINGS.findall(data[: 16 * SAMPLE])
    return b"\n".join(lines)[:PIECE] or data[:PIECE]


_SURROUNDINGS = re.compile(rb"[ -~]{0,80}(?:[\x80-\xff]+[ -~]{0,3})+[ -~]{0,80}")


def tell_encoding(source: IO[bytes], out: Output) -> None:
    """Write the encoding that is found, for a parent that decodes the file itself."""
    found = detect(source.read(16 * SAMPLE))
    out.text(found.codec)
    out.remark(found.remark)


def decoded(data: bytes, declared: str = "") -> tuple[str, str]:
    """Return bytes as text, and a remark on how.

    It is for parts of documents that the process holds as a whole.
    """
    source = io.BytesIO(data)
    encoding = decide(source, declared)
    if encoding is None:
        try:
            encoding = detect(data)
        except ImportError:
            encoding = UNKNOWN
    codec = encoding.codec or "utf-8"
    remark = encoding.remark if encoding.codec else "its encoding is not known"
    return data.decode(codec, "replace").lstrip("\ufeff"), remark


def text_pieces(source: Readable, charset: str, errors: str = "replace") -> Iterator[str]:
    """Yield the whole of `source` decoded, piece by piece, from its beginning."""
    source.seek(0)
    decode = codecs.getincrementaldecoder(charset)(errors).decode
    while piece := source.read(PIECE):
        yield decode(piece)
    yield decode(b"", True)  # the end: a character cut in half is an error
