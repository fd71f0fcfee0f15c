"""The observed media type: what the bytes are, whatever the sender says.

Theory of operation. The first `HEAD_BYTES` of a file decide, and for a zip its last `TAIL_BYTES` too (there lies the
list of its members). In this order:

1. a signature at its fixed place (`_SIGNATURES`); a zip is then looked into for an office document or an e-book;
2. markup (HTML, SVG, XML), after a byte order mark, white space, an XML declaration and comments;
3. two MP3 frames in a row;
4. text, if it holds no *binary data byte*; JSON, if it is that so far as it can be seen;
5. a PDF behind junk; else ``application/octet-stream``.

The rules are those of the WHATWG MIME Sniffing standard (https://mimesniff.spec.whatwg.org): the signatures of
sections 6.1, 6.2 and 6.4, the markup and the last steps of 7.1, the binary data byte of section 3. The observation is
a label and renders nothing, so the "scriptable" distinctions of section 7 are not needed. Departures from it:

* Names are the registered ones where the standard keeps an old one: ``application/gzip`` (RFC 6713),
  ``application/vnd.rar``, ``video/matroska`` (RFC 9559); ``audio/wav`` and ``image/bmp`` as everybody writes them.
* ``BM``, ``ID3`` and the icon's four bytes need a plausible header behind them, and ``GIF89a`` needs one binary data
  byte: a text that begins with these letters is no image. A model's provider answers 400 for ever to a wrong one.
* Markup is seen behind a byte order mark, in UTF-16 and behind an XML declaration too, and a comment is skipped:
  what follows it decides. A Markdown file that begins with a comment is no HTML.
* SVG, JSON, the formats inside a zip, and the codecs inside Ogg are told apart, which the standard leaves to others.
* A PDF may begin within the first 1,024 bytes, as readers allow (ISO 32000-1, Annex H, note to 7.5.2), but only in
  a file that is otherwise unknown and not text, or behind white space or a byte order mark.
* Fonts (6.3) are not recognised: nobody here treats them otherwise than as bytes.

Known limits: MP4 and WebM that hold only sound are ``video/…`` unless their brand says so; UTF-16 without a byte order
mark is not recognised, as in the standard.
"""

import codecs
import functools
import json
import re
import struct
import zlib

from staging._models import Kind

HEAD_BYTES = 4096
TAIL_BYTES = 16_384

OCTETS = "application/octet-stream"
PLAIN = "text/plain"
HTML = "text/html"
SVG = "image/svg+xml"
XML = "text/xml"
JSON = "application/json"
PDF = "application/pdf"
ZIP = "application/zip"
MP3 = "audio/mpeg"

_BINARY = rb"\x00-\x08\x0b\x0e-\x1a\x1c-\x1f"  # section 3, "binary data byte"
_SPACE = b"\t\n\f\r "  # section 3, "whitespace byte"

# fmt: off
_SIGNATURES = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a[^%b]*[%b]" % (_BINARY, _BINARY), "image/gif"),
    (rb"RIFF.{4}WEBPVP", "image/webp"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "image/bmp"),  # the size of the second header: seven exist
    (rb"II[*+]\0|MM\0[*+]", "image/tiff"),
    (rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0", "image/x-icon"),  # at least one picture, and its reserved byte
    (rb"8BPS\0[\x01\x02]", "image/vnd.adobe.photoshop"),
    (rb"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    # ISO 14496-12, 4.3: the brand, four bytes of version, then the compatible brands
    (rb".{4}ftypavi[fs]|.{4}ftypm[is][fs]1.{4}(?:.{4}){0,15}?avi[fs]", "image/avif"),
    (rb".{4}ftyphe(?:i[cxms]|v[cxms])|.{4}ftypm[is][fs]1.{4}(?:.{4}){0,15}?hei[cx]", "image/heic"),
    (rb".{4}ftypm[is][fs]1", "image/heif"),
    (rb".{4}ftypM4[AB] ", "audio/mp4"),
    (rb".{4}ftypqt  ", "video/quicktime"),
    (rb".{4}ftyp3g[2egprs]", "video/3gpp"),
    (rb".{4}ftyp", "video/mp4"),
    (rb"\0.{3}(?:moov|mdat|wide|free|skip|pnot)", "video/quicktime"),  # QuickTime before it had brands
    (rb"\x1aE\xdf\xa3.{0,60}?B\x82.webm", "video/webm"),  # EBML DocType, RFC 8794 section 11.2.6
    (rb"\x1aE\xdf\xa3", "video/matroska"),
    (rb"RIFF.{4}AVI ", "video/x-msvideo"),
    (rb"RIFF.{4}WAVE|RF64.{4}WAVE", "audio/wav"),
    (rb"FORM.{4}AIF[FC]", "audio/aiff"),
    (rb"ID3[\x02-\x04][^\xff]", MP3),
    (rb"fLaC[\0\x80]\0\0\x22", "audio/flac"),  # RFC 9639 section 8: the first block is always STREAMINFO
    (rb"MThd\0\0\0\x06", "audio/midi"),
    (rb"OggS\0.{23,300}?\x80theora", "video/ogg"),  # RFC 5334: one first page per stream, all in front
    (rb"OggS\0.{23,300}?(?:OpusHead|\x01vorbis|Speex   |\x7fFLAC)", "audio/ogg"),
    (rb"OggS\0", "application/ogg"),
    (rb"%PDF-", PDF),
    (rb"%!PS-Adobe-", "application/postscript"),
    (rb"\{\\rtf1", "application/rtf"),
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", ZIP),
    (rb"\x1f\x8b\x08", "application/gzip"),
    (rb"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (rb"Rar!\x1a\x07[\0\x01]", "application/vnd.rar"),
    (rb"BZh[1-9]1AY&SY", "application/x-bzip2"),
    (rb"\xfd7zXZ\0", "application/x-xz"),
    (rb"\x28\xb5\x2f\xfd", "application/zstd"),
    (rb".{257}ustar[\0 ]", "application/x-tar"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),  # doc, xls, ppt, msg; encrypted docx
)
# fmt: on
_SIGNED = tuple(media_type for _, media_type in _SIGNATURES)

_OPC = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_OFFICE = {  # the folder of the main part (ECMA-376 part 1, annex A)
    b"word": _OPC + "wordprocessingml.document",
    b"xl": _OPC + "spreadsheetml.sheet",
    b"ppt": _OPC + "presentationml.presentation",
}
_DECLARED = frozenset(
    {"application/epub+zip", *(_ODF + k for k in ("text", "spreadsheet", "presentation", "graphics"))}
)

_ZIPPED = frozenset(_OFFICE.values()) | _DECLARED
_BY_BYTES = _ZIPPED | frozenset(_SIGNED)

OBSERVABLE = _BY_BYTES | {HTML, SVG, XML, JSON, PLAIN, OCTETS}
"""Every type that `observe` can return."""


def wants_tail(head: bytes) -> bool:
    """Whether `observe` can say more of a file with this head when it also gets the last `TAIL_BYTES`: a zip."""
    return len(head) >= HEAD_BYTES and head.startswith(b"PK\3\4")


def observe(head: bytes, tail: bytes = b"") -> str:
    """Return the media type that the bytes show, one of `OBSERVABLE`, without parameters; never raises.

    The same for every longer head: what lies behind `HEAD_BYTES` is not looked at. An empty file is ``text/plain``,
    as in section 7.1 of the standard: it holds no binary data byte, and an empty text is what a reader can do with it.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it if it is shorter.
        tail: its last `TAIL_BYTES` (they may overlap the head), where `wants_tail` asks for them.
    """
    cut, head = len(head) >= HEAD_BYTES, head[:HEAD_BYTES]
    if match := _signature().match(head):
        signed = _SIGNED[(match.lastindex or 1) - 1]
        return signed if signed is not ZIP else _inside_zip(head, tail or head)
    text = _as_utf8(head).lstrip(_SPACE)
    if text.startswith(b"<") and (markup := _markup(text)):
        return markup
    if _is_mp3(head):
        return MP3
    if text.translate(None, _NOT_BINARY):
        return PDF if b"%PDF-" in head[:1024] else OCTETS
    if text.startswith(b"%PDF-"):
        return PDF
    return JSON if text.startswith((b"{", b"[")) and _is_json(text, cut=cut) else PLAIN


@functools.cache
def _signature() -> re.Pattern[bytes]:
    """Return all signatures as one expression; made in the thread of the first file, since it takes a millisecond."""
    return re.compile(b"|".join(b"(?:%b)()" % pattern for pattern, _ in _SIGNATURES), re.DOTALL)


def text_charset(head: bytes) -> str | None:
    """Return the Python codec that decodes this text and takes its byte order mark off; None if none is certain.

    ``utf-8`` (ASCII included), ``utf-8-sig``, ``utf-16`` or ``utf-32``. A head that is cut within a character is still
    text; a whole file that ends within one is not. Other encodings carry no mark of their own, and none is guessed.

    Args:
        head: as for `observe`.
    """
    cut, head = len(head) >= HEAD_BYTES, head[:HEAD_BYTES]
    codec = _marked_codec(head) or "utf-8"
    text = _decode(head, codec, cut=cut)
    return None if text is None or text.encode().translate(None, _NOT_BINARY) else codec


# ---- text -----------------------------------------------------------------------------------------------------------

_NOT_BINARY = bytes({*range(256)} - {*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})  # see `_BINARY`

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_ANY_MARK = tuple(mark for mark, _ in _MARKS)

_PROLOG = re.compile(rb"(?:[\t\n\f\r ]+|<\?xml.*?\?>|<!--.*?-->)*", re.DOTALL)
_SVG_ROOT = re.compile(rb"<(?:!doctype[\t\n\f\r ]+svg|(?:[\w.-]+:)?svg)(?=[\t\n\f\r />\[])", re.IGNORECASE)
_PAGE = re.compile(rb"<(?:!doctype[\t\n\f\r ]+html|html)(?=[\t\n\f\r />])", re.IGNORECASE)
_TAG = re.compile(  # the rest of the table in section 7.1; an open comment may hide anything
    rb"<(?:(?:head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)(?=[\t\n\f\r />])|!--)", re.IGNORECASE
)
_GLANCE = 1024  # bytes of a cut head that are read as JSON: all of it would cost ten times what other text does
_OPEN_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+\\?', re.DOTALL)
_json_value = json.JSONDecoder(strict=True).raw_decode


def _marked_codec(head: bytes) -> str | None:
    if not head.startswith(_ANY_MARK):
        return None
    return next(codec for mark, codec in _MARKS if head.startswith(mark))


def _decode(head: bytes, codec: str, *, cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(codec)().decode(head, final=not cut)
    except UnicodeError:
        return None


def _as_utf8(head: bytes) -> bytes:
    """Return marked text as UTF-8 without its mark, and anything else as it is."""
    codec = _marked_codec(head)
    if codec is None or codec == "utf-8-sig":
        return head.removeprefix(codecs.BOM_UTF8)
    text = _decode(head, codec, cut=True)
    return head if text is None else text.encode()


def _markup(text: bytes) -> str | None:
    prolog = _PROLOG.match(text)
    root = prolog.end() if prolog else 0
    if _SVG_ROOT.match(text, root):
        return SVG
    if _PAGE.match(text, root):
        return HTML
    if text.startswith(b"<?xml"):
        return XML
    return HTML if _TAG.match(text, root) else None


def _is_json(text: bytes, *, cut: bool) -> bool:
    """Whether the text is one JSON object or array (RFC 8259), or the beginning of one where the head is cut."""
    decoded = _decode(text[:_GLANCE] if cut else text, "utf-8", cut=cut)
    if decoded is None:
        return False
    try:
        _, end = _json_value(decoded)
    except json.JSONDecodeError as error:
        return cut and _runs_off(decoded, error.pos)
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        return False
    return not decoded[end:].strip()


def _runs_off(text: str, at: int) -> bool:
    """Whether the reader stopped at `at` only because the text is cut: in a word, a number, an escape or a string."""
    if at >= len(text) - 8:
        return True
    return text[:at].rstrip().endswith(("[", "{", ",", ":")) and _OPEN_STRING.fullmatch(text, at) is not None


# ---- MP3 ------------------------------------------------------------------------------------------------------------

_MPEG1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ = (44_100, 48_000, 32_000)


def _is_mp3(head: bytes) -> bool:
    """Whether one layer III frame is followed by another of its stream (section 6.2.3): eleven bits prove nothing."""
    size = _mp3_frame(head)
    return (
        size > 0
        and _mp3_frame(head[size : size + 4]) > 0
        and (head[1] ^ head[size + 1]) & 0xFE == 0  # version and layer
        and (head[2] ^ head[size + 2]) & 0x0C == 0  # sample rate
    )


def _mp3_frame(header: bytes) -> int:
    """Return the bytes of the frame that begins here, 0 if none does. ISO 11172-3, 2.4.1.3; versions 2 and 2.5 too."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in {0, 15} or rate == 3:
        return 0
    kbits, samples = (_MPEG1_KBITS, 144_000) if version == 3 else (_MPEG2_KBITS, 72_000)
    hertz = _HERTZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return samples * kbits[bits - 1] // hertz + (header[2] >> 1 & 1)


# ---- zip: APPNOTE 4.3 -----------------------------------------------------------------------------------------------

_LOCAL = struct.Struct("<6xH10xI4xHH")  # flags, packed size, lengths of name and extra field
_CENTRAL = struct.Struct("<28xHHH12x")  # lengths of name, extra field and comment
_END = struct.Struct("<12xI6x")  # bytes of the central directory
_MIMETYPE = re.compile(rb"PK\x03\x04.{4}(..).{8}(.{4}).{4}\x08\0(..)mimetype", re.DOTALL)


def _inside_zip(head: bytes, tail: bytes) -> str:
    """Return the type of the document that the members make; a jar, an apk and anything else is a plain zip."""
    names = _first_names(head) | _last_names(tail)
    if b"mimetype" in names and (declared := _declared_type(head) or _declared_type(tail)):
        return declared
    if b"[Content_Types].xml" in names:  # ECMA-376 part 2: every Office Open XML package has it
        folders = {name.partition(b"/")[0] for name in names}
        return next((media_type for folder, media_type in _OFFICE.items() if folder in folders), ZIP)
    return ZIP


def _first_names(head: bytes) -> set[bytes]:
    """Return the members' names from local headers, up to the first whose length is not known beforehand."""
    names, at = set[bytes](), 0
    while head.startswith(b"PK\3\4", at) and at + _LOCAL.size <= len(head):
        flags, size, name, extra = _LOCAL.unpack_from(head, at)
        at += _LOCAL.size
        names.add(head[at : at + name])
        if flags & 8:
            break
        at += name + extra + size
    return names


def _last_names(tail: bytes) -> set[bytes]:
    """Return the members' names from as much of the central directory as the tail holds."""
    names, end = set[bytes](), tail.rfind(b"PK\5\6")
    if not 0 <= end <= len(tail) - _END.size:
        return names
    (size,) = _END.unpack_from(tail, end)
    at = tail.find(b"PK\1\2", max(0, end - size), end)
    while at >= 0 and tail.startswith(b"PK\1\2", at) and at + _CENTRAL.size <= end:
        name, extra, comment = _CENTRAL.unpack_from(tail, at)
        at += _CENTRAL.size
        names.add(tail[at : at + name])
        at += name + extra + comment
    return names


def _declared_type(part: bytes) -> str | None:
    """Return the known type that the member ``mimetype`` states: ODF 1.3 part 2, 3.3; EPUB OCF 3.3, 4.3."""
    match = _MIMETYPE.search(part)
    if match is None:
        return None
    method, size, extra = (int.from_bytes(field, "little") for field in match.groups())
    content = part[match.end() + extra :][:size]
    if method == zlib.DEFLATED:  # forbidden, and what a hasty writer does
        content = _inflate(content)
    declared = content.decode("latin-1").strip()
    return declared if declared in _DECLARED else None


def _inflate(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, 128)
    except zlib.error:
        return b""


# ---- claims and kinds -----------------------------------------------------------------------------------------------

_ALIASES = {
    "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png", "image/apng": "image/png",
    "image/x-ms-bmp": "image/bmp", "image/x-bmp": "image/bmp", "image/tif": "image/tiff", "image/x-tiff": "image/tiff",
    "image/vnd.microsoft.icon": "image/x-icon", "image/ico": "image/x-icon", "image/svg": SVG,
    "image/heif": "image/heic", "image/heic-sequence": "image/heic", "image/heif-sequence": "image/heic",
    "audio/mp3": MP3, "audio/x-mp3": MP3, "audio/mpeg3": MP3, "audio/x-mpeg": MP3, "audio/mpa": MP3,
    "audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff", "audio/x-midi": "audio/midi", "audio/mid": "audio/midi",
    "audio/ogg": "application/ogg", "video/ogg": "application/ogg", "audio/opus": "application/ogg",
    "audio/vorbis": "application/ogg", "audio/x-vorbis+ogg": "application/ogg", "audio/x-opus+ogg": "application/ogg",
    "audio/mp4": "video/mp4", "audio/x-m4a": "video/mp4", "audio/m4a": "video/mp4", "audio/x-m4b": "video/mp4",
    "video/x-m4v": "video/mp4", "video/m4v": "video/mp4", "video/quicktime": "video/mp4", "video/3gpp": "video/mp4",
    "video/3gpp2": "video/mp4", "audio/3gpp": "video/mp4", "application/mp4": "video/mp4",
    "audio/webm": "video/webm", "video/matroska": "video/webm", "video/x-matroska": "video/webm",
    "audio/matroska": "video/webm", "audio/x-matroska": "video/webm",
    "video/avi": "video/x-msvideo", "video/msvideo": "video/x-msvideo", "video/vnd.avi": "video/x-msvideo",
    "application/x-pdf": PDF, "application/x-gzip": "application/gzip", "application/x-zip-compressed": ZIP,
    "application/x-zip": ZIP, "application/x-rar": "application/vnd.rar", "application/rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar", "application/x-bzip": "application/x-bzip2",
    "application/bzip2": "application/x-bzip2", "text/rtf": "application/rtf",
    "application/xml": XML, "application/xhtml+xml": HTML, "text/json": JSON, "application/x-json": JSON,
}  # fmt: skip
_MEANINGLESS = frozenset({OCTETS, "binary/octet-stream", "application/binary", "application/x-download", "*/*"})
_MISSED = frozenset({MP3, "application/x-tar", "image/jxl", "application/postscript"})  # have unsigned forms too
_WRAPPERS = frozenset(
    {ZIP, "application/x-ole-storage", "application/gzip", XML, JSON}
)  # other formats are made of them
_TEXTUAL = frozenset({
    JSON, "application/javascript", "application/ecmascript", "application/x-sh", "application/x-httpd-php",
    "application/yaml", "application/x-yaml", "application/toml", "application/sql", "application/x-ndjson",
    "application/x-python-code", "application/x-tex", "application/x-subrip",
})  # fmt: skip
_DATA = frozenset({JSON, "application/x-ndjson", "text/csv", "text/tab-separated-values", "text/calendar"})


def contradicts(claimed: str | None, observed: str) -> bool:
    """Whether the bytes show the claim to be wrong in a way that a person wants to know.

    Parameters, case and aliases do not count, nor do two names of one container (``audio/mp4``, ``video/quicktime``).
    A claim that says nothing is never contradicted, nor one that is more precise than the observation can be: any text
    against ``text/plain``, an unknown format against the zip, the XML or the JSON that it is made of. A web page
    contradicts every claim but text for reading; ``application/octet-stream`` only a type that is always recognised.

    Args:
        claimed: what the sender or a server says: any text at all.
        observed: what `observe` returned.
    """
    claim, seen = _canonical(claimed or ""), _canonical(observed)
    if claim == seen or "/" not in claim or claim in _MEANINGLESS:
        return False
    if (claim in _ZIPPED and seen in {ZIP, "application/x-ole-storage"}) or (claim == ZIP and seen in _ZIPPED):
        return False
    if claim in _BY_BYTES:
        return not (seen == OCTETS and claim in _MISSED)
    if seen in {OCTETS, PLAIN}:
        return False
    return _unlike(claim, seen)


def _unlike(claim: str, seen: str) -> bool:
    """Whether a claim that no signature can prove is at odds with something that was recognised."""
    readable = claim.startswith("text/") or claim in _TEXTUAL
    if seen == HTML:
        return not readable or claim in _DATA
    if readable or claim.endswith(("+xml", "+json")):
        return seen in _BY_BYTES
    return seen not in _WRAPPERS and claim.partition("/")[0] != seen.partition("/")[0]


def _canonical(media_type: str) -> str:
    bare = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(bare, bare)


def kind_of(media_type: str) -> Kind:
    """Return ``image``, ``video`` or ``audio`` for a type of that family, else ``file``."""
    match media_type.partition("/")[0].strip().lower():
        case "image" | "video" | "audio" as kind:
            return kind
        case _:
            return "file"


def kind_of_name(name: str) -> Kind | None:
    """Return the kind that the name's extension stands for; None if it stands for none that is known."""
    media_type = media_type_of_name(name)
    return None if media_type is None else kind_of(media_type)


def media_type_of_name(name: str) -> str | None:
    """Return the type that the name's extension stands for, where the sender claims none; None if it is unknown.

    A fixed table: `mimetypes` reads files of the machine, and answers differently on each.
    """
    return _EXTENSIONS.get(name.rpartition(".")[2].strip().lower()) if "." in name else None


_EXTENSIONS = {
    "png": "image/png", "apng": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "jfif": "image/jpeg",
    "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
    "ico": "image/x-icon", "heic": "image/heic", "heif": "image/heif", "avif": "image/avif", "svg": SVG,
    "jxl": "image/jxl", "jp2": "image/jp2", "psd": "image/vnd.adobe.photoshop",
    "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/matroska",
    "avi": "video/x-msvideo", "3gp": "video/3gpp", "mpg": "video/mpeg", "mpeg": "video/mpeg", "wmv": "video/x-ms-wmv",
    "flv": "video/x-flv", "ogv": "video/ogg",
    "mp3": MP3, "wav": "audio/wav", "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac",
    "m4a": "audio/mp4", "aac": "audio/aac", "aif": "audio/aiff", "aiff": "audio/aiff", "mid": "audio/midi",
    "midi": "audio/midi", "wma": "audio/x-ms-wma",
    "pdf": PDF, "ps": "application/postscript", "rtf": "application/rtf", "epub": "application/epub+zip",
    "docx": _OFFICE[b"word"], "xlsx": _OFFICE[b"xl"], "pptx": _OFFICE[b"ppt"],
    "odt": _ODF + "text", "ods": _ODF + "spreadsheet", "odp": _ODF + "presentation", "odg": _ODF + "graphics",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "zip": ZIP, "gz": "application/gzip", "tgz": "application/gzip", "7z": "application/x-7z-compressed",
    "rar": "application/vnd.rar", "bz2": "application/x-bzip2", "xz": "application/x-xz", "zst": "application/zstd",
    "tar": "application/x-tar", "jar": "application/java-archive",
    "txt": PLAIN, "log": PLAIN, "md": "text/markdown", "markdown": "text/markdown", "rst": "text/x-rst",
    "csv": "text/csv", "tsv": "text/tab-separated-values", "html": HTML, "htm": HTML, "xml": XML, "css": "text/css",
    "json": JSON, "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson", "yaml": "application/yaml",
    "yml": "application/yaml", "toml": "application/toml", "ini": PLAIN, "cfg": PLAIN, "sql": "application/sql",
    "py": "text/x-python", "js": "text/javascript", "mjs": "text/javascript", "ts": "text/x-typescript",
    "tsx": "text/x-typescript", "jsx": "text/javascript", "java": "text/x-java", "c": "text/x-c", "h": "text/x-c",
    "cpp": "text/x-c++", "hpp": "text/x-c++", "cs": "text/x-csharp", "go": "text/x-go", "rs": "text/x-rust",
    "rb": "text/x-ruby", "php": "text/x-php", "sh": "text/x-shellscript", "lua": "text/x-lua", "tex": "text/x-tex",
    "patch": "text/x-diff", "diff": "text/x-diff", "srt": "application/x-subrip", "vtt": "text/vtt",
    "ics": "text/calendar",
}  # fmt: skip
