"""Names: any claim in, one lawful path component out; unique names within a stage; claims from headers and URLs."""

import binascii
import re
from collections.abc import Iterator
from encodings.aliases import aliases
from itertools import count
from typing import NamedTuple
from unicodedata import category, normalize
from urllib.parse import unquote_to_bytes

from staging._text import last_segment

MAX_NAME_BYTES = 150

# Longer claims keep their head and their tail: normalising a long run of combining marks takes quadratic time.
_HEAD, _TAIL = 800, 100
_LONGEST_EXTENSION = 16
_NUMBER_BYTES = 12  # room for "-2" and up; fixed, so that names which differ only in what is cut share one counter

# The quick path: names as nearly all senders write them. Whatever it does not match takes the long way.
_ORDINARY = re.compile(r"[\w!#%()+,=@\[\]^{}](?:[\w !#%()+,.=@\[\]^{}~-]{0,148}[\w!#%()+,=@\[\]^{}~-])?", re.ASCII)
# Separators and drive colons, and what shells, Windows or a quoted path in a prompt take for syntax.
_FORBIDDEN = re.compile(r"""[/\\<>:"|?*`$';&]""")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file; CONIN$, CONOUT$ and CLOCK$ lose their dollar anyway.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)

# Parts of a user-perceived character (UAX 29) that are no marks by category: Thai and Lao AM, half-width voicing,
# conjoining jamo, skin tones.
_JOINED = re.compile("[\u0e33\u0eb3\uff9e\uff9f\u1160-\u11ff\ud7b0-\ud7fb\U0001f3fb-\U0001f3ff]")
_REGIONAL = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two of them make one flag


def safe_name(claimed: str | None, *, fallback: str = "attachment") -> str:
    r"""Return one usable path component for any claim, hostile or absent. Never raises on text.

    The result is never empty, ``.`` or ``..``; it is printable (no control, format, bidi, zero-width, surrogate,
    private-use or unassigned character, no space but U+0020) and NFC; it has no separator and none of
    ``<>:"|?*`$';&``; it is no Windows device name, with or without extension; it has no leading ``-``, ``.``, ``~``
    or space and no trailing dot or space; and it is at most 150 bytes of UTF-8, cut between user-perceived characters
    with the extension kept. A name that is all this already comes back unchanged, so the function is idempotent.

    Of a path, by either separator family, the last non-empty component counts. Invisible characters vanish, other
    spaces and line breaks become a space (a model or a shell cannot retype U+202F), what is left of the forbidden
    becomes ``_``, a device name gets a ``_`` in front (as in Chromium).

    Sources: CWE-22, CVE-2021-42574 (bidi), Microsoft's "Naming Files, Paths, and Namespaces" (device
    names, COM¹ included), UAX 15 and UAX 29. NFC comes before the filter because it makes ``;`` of U+037E and a
    backtick of U+1FEF.

    Args:
        claimed: the name as the sender gave it; anything.
        fallback: what to use if nothing of the claim is left. It goes through the same rules.
    """
    if claimed and _ORDINARY.fullmatch(claimed) and not _DEVICE.match(claimed):
        return claimed
    return _clean(claimed or "") or _clean(fallback) or "attachment"


def _clean(claim: str) -> str:
    component = claim.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if len(component) > _HEAD + _TAIL:
        component = component[:_HEAD] + component[-_TAIL:]
    text = normalize("NFC", component)
    if not text.isprintable():
        text = "".join(map(_printable, text))
    # Once more: what vanished may have stood between a letter and its accent.
    text = normalize("NFC", _FORBIDDEN.sub("_", text)).lstrip(" .-~").rstrip(" .")
    return _fit("_" + text if _DEVICE.match(text) else text)


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    if char.isspace():
        return " "
    return "" if category(char) in {"Cc", "Cf"} else "_"


def _fit(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, extension = _split_extension(name)
    return _shorten(stem, MAX_NAME_BYTES - len(extension.encode())).rstrip(" .") + extension


def _split_extension(name: str) -> tuple[str, str]:
    """Split off the extension with its dot: a last suffix of 1 to 16 characters without a space, with a ``.tar``."""
    stem, _, suffix = name.rpartition(".")
    if not stem or not 0 < len(suffix) <= _LONGEST_EXTENSION or " " in suffix:
        return name, ""
    if len(stem) > len(".tar") and stem[-4:].lower() == ".tar":
        stem = stem[:-4]
    return stem, name[len(stem) :]


def _shorten(text: str, room: int) -> str:
    """Return the head of `text` that fits into `room` bytes and ends where a user-perceived character ends."""
    longest = len(text.encode()[:room].decode(errors="ignore"))
    end = longest
    while 0 < end < len(text) and _is_joined(text, end):
        end -= 1
    return text[: end or longest]  # one letter with fifty accents is cut somewhere all the same


def _is_joined(text: str, index: int) -> bool:
    """Tell whether the character at `index` belongs to the one before it."""
    char = text[index]
    if char in _REGIONAL:
        before = text[:index]
        return (len(before) - len(before.rstrip(_REGIONAL))) % 2 == 1
    return category(char).startswith("M") or _JOINED.match(char) is not None


class UniqueNames:
    """Names that never meet on any file system: unique under case folding and canonical equivalence.

    ``a.png`` and ``A.PNG`` become ``a.png`` and ``A-2.PNG``. The number stands before the extension; a ``.tar`` is
    part of it (``a-2.tar.gz``), because tools know the pair, and nothing else is (``jquery.min-2.js``). Any number of
    equal names takes linear time in all. Numbered names obey the laws of `safe_name`.

    The key is coarser than any one system's rule: ext4, APFS and HFS+ fold case and normalise, NTFS and FAT compare
    upper case, where ``ı`` meets ``I``.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def claim(self, name: str) -> str:
        """Return `name`, or its first numbered form that is free, and take it.

        Args:
            name: a result of `safe_name`.
        """
        if self._take(name):
            return name
        stem, extension = _split_extension(name)
        stem = _shorten(stem, MAX_NAME_BYTES - _NUMBER_BYTES - len(extension.encode()))
        family = _key(stem + extension)
        number = self._next.get(family, 2)
        while not self._take(f"{stem}-{number}{extension}"):
            number += 1
        self._next[family] = number + 1
        return f"{stem}-{number}{extension}"

    def _take(self, name: str) -> bool:
        key = _key(name)
        if key in self._taken:
            return False
        self._taken.add(key)
        return True


def _key(name: str) -> str:
    if name.isascii():
        return name.lower()
    return normalize("NFD", normalize("NFD", name).upper().casefold())


def url_filename(url: str) -> str | None:
    """Return the last path segment of `url`, percent-decoded, as a claim; None if there is none. Never raises on text.

    Query and fragment are not looked at: signatures have no place in a name. Bytes that are not UTF-8 are read as
    windows-1252. The result still has to pass through `safe_name`: ``%2F`` is a slash by now.
    """
    segment = last_segment(url)
    if segment.isascii() and "%" not in segment:
        return segment or None
    return _guess(unquote_to_bytes(segment.encode(errors="replace"))) or None


# Content-Disposition. RFC 6266 is what a server should send; browsers read far more, and so does this.

# The value is handled as ISO-8859-1, where the last byte of a UTF-8 "à" is a space to `str`: hence ASCII throughout.
# A quoted value ends at its first bare quote; if the text up to the semicolon ends in another (`""a" b"`), at that.
# One that never ends swallows the rest. Possessive, because a long run of backslashes must cost linear time.
_PARAMETER = re.compile(
    r"""(?P<key> [^;=]*+ )
        (?: = [ ]*+
            (?: " (?P<quoted> (?: \\. | [^"\\] )*+ (?: (?: "[^";\\]++ )* (?= " [ ]*+ (?: ; | \Z ) ) | (?=") ) ) "
            | " .*+
            | (?P<bare> [^;]*+ )
            )
        )?+
        [^;]*+ (?: ; | \Z )""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# In `filename=foo extension=bla` the second is no part of the first.
_MISSING_SEMICOLON = re.compile(r" [\w*-]++ *+=", re.ASCII)
_WITHOUT_TYPE = re.compile(r'filename *+= *+[^" ]', re.IGNORECASE)
_SEGMENT = re.compile(r"filename\*(0|[1-9][0-9]{0,2})(\*?)")
_EXTENDED_TEXT = re.compile(r"(?:%[0-9A-Fa-f]{2}|[^%\x80-\xff])*+")
_TOKEN = re.compile(" +|[^ ]+")
_ENCODED_WORD = re.compile(r"=\?([^?]++)\?(?:([bB])\?([^?]*+)|[qQ]\?((?:=[0-9A-Fa-f]{2}|[^=?])*+))\?=")

# Charsets that are supersets of ASCII and nothing else, by all their names. Never the codec registry: it knows zlib,
# rot13 and utf-7, and imports whatever module a sender names.
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
    """Return the file name that a ``Content-Disposition`` value claims, or None. Never raises, in linear time.

    In order: ``filename*`` in UTF-8 or ISO-8859-1 (RFC 6266 section 4.3, RFC 8187), continuations (RFC 2231 section
    3; a gap ends them, and so does a repeated number), ``filename``, and last ``filename*`` in another charset, which
    no sender should use. Of equal parameters the first counts. An extended value that does not decode, or that stands
    in quotes, is as if it were not there.

    ISO-8859-1 is read as windows-1252 (WHATWG Encoding). A plain value is read as RFC 2047 words if it begins with
    one, is percent-decoded if that gives UTF-8 (both as in Chromium), and is UTF-8 before it is windows-1252.

    Args:
        header: the raw field value. Not text: one stray byte makes httpx decode all headers as ISO-8859-1.

    Returns:
        The raw claim, which still has to pass through `safe_name`; empty if the parameter is.
    """
    text = header.rstrip(b"\0 \t\r\n").translate(_UNFOLD).decode("latin-1")
    if "\0" in text or text.startswith('"'):  # no field value, or none that has a disposition type
        return None
    parameters = list(_parameters(text if _WITHOUT_TYPE.match(text) else text.partition(";")[2]))
    first = {parameter.key: parameter for parameter in reversed(parameters)}
    extended, plain = first.get("filename*"), first.get("filename")
    name = _extended(extended) if extended else None
    if name is None:
        name = _continued(parameters)
    if name is None and plain:
        name = _plain(plain.value)
    if name is None and extended:
        name = _extended(extended, legacy=True)
    return name


_UNFOLD = bytes.maketrans(b"\t\r\n", b"   ")  # RFC 9112 section 5.2


class _Parameter(NamedTuple):
    key: str
    value: str
    quoted: bool


def _parameters(text: str) -> Iterator[_Parameter]:
    for match in _PARAMETER.finditer(text):
        key = match["key"].strip(" ").lower()
        if match["quoted"] is not None:
            yield _Parameter(key, _QUOTED_PAIR.sub(r"\1", match["quoted"]), quoted=True)
        elif match["bare"] is not None:
            yield _Parameter(key, _MISSING_SEMICOLON.split(match["bare"])[0].strip(" "), quoted=False)


def _plain(value: str) -> str | None:
    if value.startswith("=?"):
        return _words(value)
    octets = value.encode("latin-1")
    decoded = _decode("utf_8", unquote_to_bytes(octets))
    return _guess(octets) if decoded is None else decoded


def _extended(parameter: _Parameter, *, legacy: bool = False) -> str | None:
    charset, mark, text = _split_extended(parameter.value)
    if not mark:  # `filename*=b`: meant as a plain one
        return _plain(parameter.value)
    codec, octets = _codec(charset), _octets(text)
    standard = codec in {"utf_8", "latin_1"}
    if parameter.quoted or octets is None or codec is None or standard is legacy:
        return None
    return octets.decode(codec, "replace") if legacy else _decode(codec, octets)


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
    """Split ``charset'language'text``; some leave out one of the two marks."""
    charset, mark, rest = value.partition("'")
    language, second, text = rest.partition("'")
    return charset, mark, text if second else language


def _octets(text: str) -> bytes | None:
    return unquote_to_bytes(text.encode("latin-1")) if _EXTENDED_TEXT.fullmatch(text) else None


def _words(value: str) -> str | None:
    """Decode RFC 2047 words; white space after one does not count, and one broken word voids the value."""
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


def _decode(codec: str, octets: bytes) -> str | None:
    if codec == "latin_1":
        return _western(octets)
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        return None


def _guess(octets: bytes) -> str:
    text = _decode("utf_8", octets)
    return _western(octets) if text is None else text


def _western(octets: bytes) -> str:
    try:
        return octets.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no meaning there
        return octets.decode("latin-1")
