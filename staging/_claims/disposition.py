"""Read the file names that servers claim.

They stand in a ``Content-Disposition`` header or in the URL itself.
"""

import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from encodings.aliases import aliases
from itertools import count
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from staging._rare import rare
from staging._text import last_segment


def url_filename(url: str) -> str | None:
    """Return the last path segment of `url`, percent-decoded, or None.

    It never raises on text. Query and fragment are left out, since a name must hold no signature. Bytes that are
    not UTF-8 are read as windows-1252. The result still has to pass through `safe_name`: ``%2F`` is a slash by now.
    """
    segment = last_segment(url)
    if segment.isascii() and "%" not in segment:
        return segment or None
    return _guess(unquote_to_bytes(segment.encode(errors="replace"))) or None


# Content-Disposition. Servers should send what RFC 6266 says. Browsers read far more, and so does this module.

# The value is handled as ISO-8859-1, where the last byte of a UTF-8 "à" is a space to `str`: hence ASCII throughout.
# A quoted value ends at its first bare quote; if the text up to the semicolon ends in another (`""a" b"`), at that.
# One that never ends takes all the rest. Possessive, because a long run of backslashes must cost linear time.
_PARAMETER = rare(
    r"""(?P<key> [^;=]*+ )
        (?: = [ ]*+
            (?: " (?P<quoted> (?: \\. | [^"\\] )*+ (?: (?: "[^";\\]++ )* (?= " [ ]*+ (?: ; | \Z ) ) | (?=") ) ) "
            | " .*+
            | (?P<bare> [^;]*+ )
            )
        )?
        [^;]*+ (?: ; | \Z )""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)
_QUOTED_PAIR = rare(r"\\(.)", re.DOTALL)
# In `filename=foo extension=bla` the second is no part of the first.
_MISSING_SEMICOLON = rare(r" [\w*-]++ *+=", re.ASCII)
_WITHOUT_TYPE = rare(r"filename\*?+ *+= *+[^ ]", re.IGNORECASE)
_SEGMENT = rare(r"filename\*(0|[1-9][0-9]{0,2})(\*?)")
_EXTENDED_TEXT = rare(r"(?:%[0-9A-Fa-f]{2}|[^%\x80-\xff])*")
# Common characters of GB 2312, two or more in a row. Western words do not have four letters in a row beyond ASCII.
_CHINESE = rare(rb"(?:[\0-\x7f]++|(?:[\xb0-\xd7][\xa1-\xfe]){2,}+)++")
_TOKEN = rare(" +|[^ ]+")
_ENCODED_WORD = rare(r"=\?([^?]++)\?(?:([bB])\?([^?]*+)|[qQ]\?((?:=[0-9A-Fa-f]{2}|[^=?])*))\?=")

# All names of charsets that are supersets of ASCII. The codec registry is never asked: it knows zlib, rot13 and utf-7,
# and it imports any module that a sender names.
_CODECS = (
    "ascii", "utf_8", "latin_1", *(f"iso8859_{part}" for part in range(2, 17) if part != 12),
    *(f"cp{page}" for page in range(1250, 1259)), "koi8_r", "koi8_u",
    "big5", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "shift_jis",
)  # fmt: skip
_CHARSETS = {
    alias.replace("_", ""): codec
    for alias, codec in (*aliases.items(), *((codec, codec) for codec in _CODECS))
    if codec in _CODECS
}


def disposition_filename(header: bytes) -> str | None:
    """Return the file name that a ``Content-Disposition`` value claims, or None.

    It never raises, and takes linear time.

    In order: ``filename*`` in UTF-8 or ISO-8859-1 (RFC 6266 section 4.3, RFC 8187), continuations (RFC 2231 section
    3; a gap ends them, and so does a repeated number), ``filename``, and last ``filename*`` in another charset or in
    quotes, which no sender should use. Of equal parameters the first counts. An extended value that does not decode is
    as if it were not there. A header that begins with the parameter has lost its disposition type and is read.

    ISO-8859-1 is read as windows-1252 (WHATWG Encoding). A plain value is read as RFC 2047 words if it begins with
    one, and is percent-decoded if that gives UTF-8 (both as in Chromium). It is UTF-8 before it is GB 2312, and that
    before it is windows-1252. UTF-8 that was encoded twice is decoded twice.

    Args:
        header: the raw field value. Not text: one stray byte makes httpx decode all headers as ISO-8859-1.

    Returns:
        The raw claim, which still has to pass through `safe_name`; empty if the parameter is.
    """
    text = header.rstrip(b"\0 \t\r\n").translate(_UNFOLD).decode("latin-1")
    if "\0" in text or text.startswith('"'):  # no field value, or none that has a disposition type
        return None
    parameters = list[_Parameter]()
    for match in _PARAMETER.finditer(text if _WITHOUT_TYPE.match(text) else text.partition(";")[2]):
        key = match["key"].strip(" ").lower()
        if match["quoted"] is not None:
            parameters.append(_Parameter(key, _QUOTED_PAIR.sub(r"\1", match["quoted"]), quoted=True))
        elif match["bare"] is not None:
            value = _MISSING_SEMICOLON.split(match["bare"])[0].strip(" ")
            parameters.append(_Parameter(key, value, quoted=False))
    first = {parameter.key: parameter for parameter in reversed(parameters)}
    extended, plain = first.get("filename*"), first.get("filename")
    name = _extended(extended) if extended else None
    if name is None:
        name = _continued(parameters)
    if name is None and plain:
        name = _plain(plain.value)
    if name is None and extended:
        name = _extended(extended, odd=True)
    return name


_UNFOLD = bytes.maketrans(b"\t\r\n", b"   ")  # RFC 9112 section 5.2


class _Parameter(NamedTuple):
    key: str
    value: str
    quoted: bool


def _plain(value: str) -> str | None:
    if value.startswith("=?"):
        return _words(value)
    octets = value.encode("latin-1")
    decoded = _decode("utf_8", unquote_to_bytes(octets))
    if decoded is None:
        return _guess(octets)
    for codec in ("latin-1", "cp1252"):  # the server may have read UTF-8 as one of these, and encoded it once more
        with suppress(UnicodeError, LookupError, OSError):
            return decoded.encode(codec).decode()
    return decoded


def _extended(parameter: _Parameter, *, odd: bool = False) -> str | None:
    """Return the name in an extended value (RFC 8187), or None.

    With `odd` it is the name in a value that RFC 8187 does not allow.
    """
    charset, mark, text = _split_extended(parameter.value)
    if not mark:  # `filename*=b`: meant as a plain one
        return _plain(parameter.value)
    codec, octets = _codec(charset), _octets(text)
    if octets is None or codec is None:
        return None
    if parameter.quoted or codec not in {"utf_8", "latin_1"}:
        return _decode(codec, octets, "replace") if odd else None
    return None if odd else _decode(codec, octets)


def _continued(parameters: list[_Parameter]) -> str | None:
    segments: dict[int, tuple[str, str]] = {}
    for key, value, _ in parameters:
        if match := _SEGMENT.fullmatch(key):
            if int(match[1]) in segments:
                break
            segments[int(match[1])] = (match[2], value)
    if 0 not in segments:
        return None
    charset = ""
    if segments[0][0]:
        charset, _, text = _split_extended(segments[0][1])
        segments[0] = ("*", text)
    octets = b""
    for star, value in _in_order(segments):
        part = _octets(value) if star else value.encode("latin-1")
        if part is None:
            return None
        octets += part
    codec = _codec(charset)
    return _decode(codec, octets) if codec else None if charset else _guess(octets)


def _in_order(segments: dict[int, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number in count():
        if number not in segments:
            return
        yield segments[number]


def _split_extended(value: str) -> tuple[str, str, str]:
    """Split ``charset'language'text`` into charset, mark and text.

    Some servers leave out one mark.
    """
    charset, mark, rest = value.partition("'")
    language, second, text = rest.partition("'")
    return charset, mark, text if second else language


def _octets(text: str) -> bytes | None:
    return unquote_to_bytes(text.encode("latin-1")) if _EXTENDED_TEXT.fullmatch(text) else None


def _words(value: str) -> str | None:
    """Decode RFC 2047 words.

    White space after a word does not count. One broken word makes the whole value unusable.
    """
    text, after_word = "", False
    for token in _TOKEN.findall(value):
        if token.startswith("=?"):
            word = _word(token)
            if word is None:
                return None
            text, after_word = text + word, True
        elif not (after_word and token.startswith(" ")):
            text, after_word = text + _guess(token.encode("latin-1")), False
    return text


def _word(token: str) -> str | None:
    match = _ENCODED_WORD.fullmatch(token)
    codec = _codec(match[1]) if match else None
    if match is None or codec is None:
        return None
    try:
        octets = (
            binascii.a2b_base64(match[3].encode("latin-1"), strict_mode=True)
            if match[2]
            else unquote_to_bytes(match[4].replace("%", "=25").replace("=", "%").replace("_", " ").encode("latin-1"))
        )
    except binascii.Error:
        return None
    return _decode(codec, octets)


def _codec(charset: str) -> str | None:
    return _CHARSETS.get(re.sub(r"[-_.:]", "", charset.lower()))


def _decode(codec: str, octets: bytes, errors: str = "strict") -> str | None:
    """Return the text, or None if the octets are none.

    It is None too if the codec cannot be imported, in a process without descriptors: a name is not worth a file.
    """
    if codec == "latin_1":
        return _western(octets)
    try:
        return octets.decode(codec, errors)
    except (UnicodeDecodeError, LookupError, OSError):
        return None


def _guess(octets: bytes) -> str:
    text = _decode("utf_8", octets)
    if text is None and _CHINESE.fullmatch(octets):
        text = _decode("gb18030", octets)
    return _western(octets) if text is None else text


def _western(octets: bytes) -> str:
    text = _decode("cp1252", octets)  # five bytes have no meaning there
    return octets.decode("latin-1") if text is None else text
