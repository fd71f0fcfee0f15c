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

import functools
import re

from staging._claims.audio import is_mp3
from staging._claims.containers import inside_zip
from staging._claims.kinds import DECLARED, HTML, JSON, MP3, OCTETS, OFFICE, PDF, PLAIN, SVG, XML, ZIP
from staging._claims.text import BINARY, NOT_BINARY, SPACE, as_utf8, decode, is_json, marked_codec, markup

HEAD_BYTES = 4096
TAIL_BYTES = 16_384


# fmt: off
_SIGNATURES = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a[^%b]*[%b]" % (BINARY, BINARY), "image/gif"),
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

ZIPPED = frozenset(OFFICE.values()) | DECLARED
BY_BYTES = ZIPPED | frozenset(_SIGNED)

OBSERVABLE = BY_BYTES | {HTML, SVG, XML, JSON, PLAIN, OCTETS}
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
        return signed if signed is not ZIP else inside_zip(head, tail or head)
    text = as_utf8(head).lstrip(SPACE)
    if text.startswith(b"<") and (marked := markup(text)):
        return marked
    if is_mp3(head):
        return MP3
    if text.translate(None, NOT_BINARY):
        return PDF if b"%PDF-" in head[:1024] else OCTETS
    if text.startswith(b"%PDF-"):
        return PDF
    return JSON if text.startswith((b"{", b"[")) and is_json(text, cut=cut) else PLAIN


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
    codec = marked_codec(head) or "utf-8"
    text = decode(head, codec, cut=cut)
    return None if text is None or text.encode().translate(None, NOT_BINARY) else codec
