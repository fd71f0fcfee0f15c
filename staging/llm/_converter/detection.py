"""Detect the encoding of text that nobody declared.

charset-normalizer knows scripts well and sister code pages badly, and short texts hardly at all. So its answer is one
opinion among others: `likelihood` weighs it against the letters and signs that languages use.
"""

import importlib
import io
import re
from typing import IO, Any

from staging.llm._converter.likelihood import likeliest
from staging.llm._converter.output import Output
from staging.llm._converter.text import ASCII, PIECE, Encoding, decide

SAMPLE = 262_144  # bytes that the detector looks at
UNKNOWN = Encoding("")

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
_SOME = 8  # bytes above ASCII; from fewer, nothing is certain
_MANY = 60  # from so many on, what the detector finds is worth something
_MARGIN = 10.0  # bits by which an encoding must beat the others to be no guess


def detect(data: bytes) -> Encoding:
    """Return the encoding in which the text is most likely written.

    Raises:
        ImportError: if charset-normalizer is not installed.
    """
    sample = _sample(data)
    high = len(sample.translate(None, ASCII))
    if high and not sample.translate(None, ASCII + b"\xff"):
        remark = f"{high:,} bad byte{'s' * (high != 1)} shown as U+FFFD"  # no language writes with these
        return Encoding("utf-8", remark)
    detector: Any = importlib.import_module("charset_normalizer")
    best = detector.from_bytes(sample, cp_isolation=_IN_USE).best()
    found = best.encoding if best else ""
    codec, sure = _BETTER_KNOWN.get(found, found), True
    if high:
        around = b"\n".join(_SURROUNDINGS.findall(sample))[:_PLENTY]
        codec, margin, plausible = likeliest(around, codec if high >= _MANY else "")
        sure = plausible and high >= _SOME and margin >= _MARGIN
        if best is None and not plausible:
            return UNKNOWN
    name = re.sub("^cp(?=125[0-8]$)", "windows-", codec or "utf-8").replace("_", "-")
    return Encoding(codec or "utf-8", f"decoded as {name}{'' if sure else ', which is a guess'}")


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


_PLENTY = 4096  # bytes around those above ASCII that are weighed letter by letter
_SURROUNDINGS = re.compile(rb"[ -~]{0,40}(?:[\x80-\xff]+[ -~]{0,40})+")


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
