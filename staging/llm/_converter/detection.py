"""Detect the encoding of text that nobody declared.

charset-normalizer knows scripts well and sister code pages badly. One letter decides between those, so its answer is
corrected by the letters and words that languages use.
"""

import importlib
import io
import re
from collections.abc import Callable, Mapping
from typing import IO, Any

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
    high = len(sample.translate(None, ASCII))
    if high and not sample.translate(None, bytes(range(0x80)) + b"\xfe\xff"):
        return Encoding(
            "utf-8", f"{high:,} bad byte{'s' * (high != 1)} shown as U+FFFD"
        )  # no language writes with these
    detector: Any = importlib.import_module("charset_normalizer")
    best = detector.from_bytes(sample, cp_isolation=_IN_USE).best()
    found = best.encoding if best else "cp1252"
    codec = _BETTER_KNOWN.get(found, found)
    if codec in (*_CYRILLIC, "cp1255", "iso8859_8") and high >= _SOME and _is_hebrew(sample):
        return Encoding("cp1255", "decoded as windows-1255")
    sure = (best is not None and best.coherence > 0.1) or codec in _COMMON_LEADS or codec == "iso2022_jp"
    family = _family(codec, high)
    if family:
        scores = {name: family[name](sample, name) for name in family}
        codec = _best(scores, codec)
        shown = sample.decode(codec, "replace")
        rivals = [score for name, score in scores.items() if sample.decode(name, "replace") != shown]
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
        return dict.fromkeys(_CYRILLIC, _share_of_letters)
    if codec in _LATIN or codec == "cp1258":
        return dict.fromkeys(_LATIN, _share_of_letters)
    return {}


def _share_of_letters(data: bytes, page: str) -> float:
    """Return the share of characters above ASCII that are letters in their place.

    A capital within a word is not in its place. Latin letters are those of the language that fits best.
    """
    text = data.decode(page, "replace")
    high = [at for at in range(len(text)) if text[at] > "\x7f"]
    placed = [text[at].lower() for at in high if not (text[at].isupper() and at > 0 and text[at - 1].islower())]
    count = max(1, len(high))
    if page in _CYRILLIC:
        good = sum("\u0400" <= text[at] <= "\u0491" for at in high) - 3 * (len(high) - len(placed))
        return good / count - sum(text[at] in "ЂЃѓЉЊЌЋЏђљњќћџЎўЈҐ" for at in high) / (2 * count)
    marks = sum(c in _MARKS_OF_TEXT for c in placed)
    letters = max(sum(c in language for c in placed) for language in _LATIN[page].split())
    return (letters + 0.8 * marks) / count


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


def _is_hebrew(data: bytes) -> bool:
    """Tell whether it is Hebrew, whose letters have the places of Russian small ones.

    Five of its letters have a form of their own at the end of a word, and only there.
    """
    text = data.decode("cp1255", "replace")
    letters = sum("\u05d0" <= c <= "\u05ea" for c in text)
    misplaced = len(_FINAL_WITHIN.findall(text))
    return letters * 10 >= 9 * sum(c > "\x7f" for c in text) and misplaced * 50 <= letters


_FINAL_WITHIN = re.compile("[ךםןףץ](?=[א-ת])")


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
