"""Observe a media type from bytes, whatever the sender says.

Theory of operation. The first `HEAD_BYTES` of a file decide. Where `wants_tail` asks for them, its last `TAIL_BYTES`
decide too: there lies the list of a zip's members. In this order:

1. a signature at its fixed place (`signatures`), and what the structure behind it tells (`zipped`, `ole`, `containers`,
   `images`, `audio`);
2. a page, SVG or XML (`text.markup`), after a byte order mark and white space;
3. text, if it holds no *binary data byte*; JSON, if it is that so far as it can be seen;
4. frames of sound or film in a row; a PDF behind junk; else ``application/octet-stream``.

The rules are those of the WHATWG MIME Sniffing standard (https://mimesniff.spec.whatwg.org): the signatures of section
6, the last steps of 7.1, the binary data byte of section 3. A label renders nothing, so the "scriptable" distinctions
of section 7 are not needed. Departures from it:

* Names are the registered ones where the standard keeps an old one: ``application/gzip`` (RFC 6713),
  ``application/vnd.rar``, ``video/matroska`` (RFC 9559); ``audio/wav`` and ``image/bmp`` as most programs write them.
* A signature counts only if a binary data byte is near. A text that begins with ``BM``, ``ID3`` or ``GIF89a`` is no
  picture, and a model's provider answers 400 for ever to a wrong one. PDF, PostScript and RTF may be text throughout.
* Of the tags in section 7.1, only those that every page has make a page. A browser guesses at what it is about to
  show; here README files, components and chat logs begin with ``<h1>``, ``<script>`` and ``<a>``. A comment, scripts
  and styles in front are skipped, and templates of PHP, ERB and Jinja are source.
* SVG, XML, JSON, and the formats inside a container are told apart, which the standard leaves to others.
* A PDF may begin within the first 1,024 bytes, as readers allow (ISO 32000-1, Annex H, note to 7.5.2), but only in
  a file that is otherwise unknown. In a text, its version must stand on a line of its own, with objects behind it.
* UTF-16 without a byte order mark is text if it is Western, as Windows programs write it.

Known limits: the CD image's mark lies at 32 KB, behind the head, and is not seen; a film whose list of tracks lies in
the middle is ``video/…`` unless its brand says sound.
"""

import re

from staging._claims.audio import SOUNDS, sound_of_frames
from staging._claims.containers import FILMS, TS, is_transport_stream
from staging._claims.images import PICTURES
from staging._claims.kinds import HTML, JSON, OCTETS, PDF, PLAIN, SVG, XML, ZIP
from staging._claims.ole import DOCUMENTS as OLE_DOCUMENTS
from staging._claims.signatures import PROGRAMS, SIGNATURES, signature_of
from staging._claims.text import SPACE, as_utf8, codec_of_mark, codec_of_width, decode, is_binary, is_json, markup
from staging._claims.zipped import DOCUMENTS as ZIP_DOCUMENTS
from staging._rare import rare

HEAD_BYTES = 4096
TAIL_BYTES = 16_384

STL = "model/stl"
DISK_IMAGE = "application/x-apple-diskimage"

ZIPPED = ZIP_DOCUMENTS
"""What turns out to be inside a zip."""

BY_BYTES = frozenset({media_type for *_, media_type in SIGNATURES if isinstance(media_type, str)}) | {
    *PICTURES,
    *SOUNDS,
    *FILMS,
    *PROGRAMS,
    *OLE_DOCUMENTS,
    *ZIPPED,
    ZIP,
    STL,
    DISK_IMAGE,
}
"""Every type that has a signature or a structure of its own."""

OBSERVABLE = BY_BYTES | {HTML, SVG, XML, JSON, PLAIN, OCTETS}
"""Every type that `observe` can return."""

# These may be text throughout: by their nature, or because of what their first members hold.
_READABLE = frozenset(
    {PDF, "application/postscript", "application/x-font-type1", "application/rtf", "application/fits",
     "application/x-archive", "application/vnd.debian.binary-package"}
)  # fmt: skip
# These begin with a header in words, or a long name. Where what follows has no binary data byte, as white pixels have
# none, it is still no UTF-8.
_WORDY = frozenset(
    {"application/x-tar", "application/x-bittorrent", "application/x-cpio", "application/x-matlab-data",
     "image/vnd.radiance", "image/x-portable-bitmap", "image/x-portable-graymap", "image/x-portable-pixmap",
     "image/x-portable-anymap"}
)  # fmt: skip
_NEAR = 64  # bytes in which all others have a binary data byte; a log may have one later
# A zip, an OLE file, a tag before sound, a film; and what an Apple disk image may begin with.
_TRAILED = re.compile(
    rb"PK\x03\x04|PK(?:\x07\x08|00)PK|\xd0\xcf\x11\xe0|ID3|\0.{3}ftyp|\x78[\x01\x5e\x9c\xda]|BZh|bvx|\0{512}", re.DOTALL
)
_BURIED_PDF = rare(rb"(?:^|[\r\n])%PDF-[12]\.[0-9][ \t]*[\r\n].*?[0-9] obj\b", re.DOTALL)
_TRIANGLE = 50


def wants_tail(head: bytes) -> bool:
    """Tell whether `observe` can say more with the file's end.

    The end is the last `TAIL_BYTES`.
    """
    return len(head) >= HEAD_BYTES and _TRAILED.match(head) is not None


def observe(head: bytes, tail: bytes = b"") -> str:
    """Return the media type that the bytes show, one of `OBSERVABLE`.

    It never raises, and the type has no parameters. What lies behind `HEAD_BYTES` is not looked at, so every longer
    head has the same type. An empty file is ``text/plain``, as in section 7.1 of the standard. It holds no binary data
    byte, and readers can treat it as an empty text.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it if it is shorter.
        tail: its last `TAIL_BYTES` (they may overlap the head), where `wants_tail` asks for them.
    """
    cut, head = len(head) >= HEAD_BYTES, head[:HEAD_BYTES]
    if tail[-512:].startswith(b"koly") and _TRAILED.match(head):  # the trailer of an Apple disk image
        return DISK_IMAGE
    if signed := signature_of(head):
        signed = signed if isinstance(signed, str) else signed(head, tail)
        wordy = signed in _WORDY
        seen = signed in _READABLE or is_binary(head if wordy else head[:_NEAR])
        if seen or (wordy and decode(head, "utf-8", cut=cut) is None):
            return signed
    text = as_utf8(head).lstrip(SPACE)
    if text.startswith(b"<") and (marked := markup(text)):
        return marked
    if is_binary(text):
        return _unsigned(head, cut=cut)
    if text.startswith(b"%PDF-") or (b"%PDF-" in text[:1024] and _BURIED_PDF.search(text)):
        return PDF
    as_json = text.startswith((b"{", b"[")) and is_json(text, cut=cut)
    return "application/rtf" if text.startswith(b"{\\rtf") else JSON if as_json else PLAIN


def text_charset(head: bytes) -> str | None:
    """Return the Python codec of this text, or None if none is certain.

    The codec takes the text's mark off. It is ``utf-8`` (ASCII included), ``utf-8-sig``, ``utf-16`` or ``utf-32``, or
    without a mark ``utf-16-le`` or ``utf-16-be``. A head that is cut within a character is still text. A whole file
    that ends within one is not. Other encodings carry no mark of their own, and none is guessed.

    Args:
        head: as for `observe`.
    """
    cut, head = len(head) >= HEAD_BYTES, head[:HEAD_BYTES]
    codec = codec_of_mark(head) or codec_of_width(head) or "utf-8"
    text = decode(head, codec, cut=cut)
    return None if text is None or is_binary(text.encode()) else codec


def _unsigned(head: bytes, *, cut: bool) -> str:
    """Return the type of what has binary data bytes and no signature."""
    if sound := sound_of_frames(head):
        return sound
    if is_transport_stream(head):
        return TS
    if _is_old_tar(head):
        return "application/x-tar"
    if b"%PDF-" in head[:1024]:
        return PDF
    if codec_of_width(head):
        return PLAIN
    return STL if _is_stl(head, cut=cut) else OCTETS


def _is_old_tar(head: bytes) -> bool:
    """Tell whether this is a tar archive without a signature.

    The checksum of its first header decides (the tar format of Unix version 7).
    """
    field = head[148:156].strip(b" \0")
    if len(head) < 512 or not field.isdigit() or b"8" in field or b"9" in field:
        return False
    return sum(head[:148]) + sum(head[156:512]) + 8 * 32 == int(field, 8)


def _is_stl(head: bytes, *, cut: bool) -> bool:
    """Tell whether this is a binary STL model.

    Triangles of 50 bytes follow a header of 84 bytes. None has attributes, since no program writes any.
    """
    count = int.from_bytes(head[80:84], "little")
    seen = (len(head) - 84) // _TRIANGLE
    fits = count > seen if cut else count == seen and len(head) == 84 + _TRIANGLE * count
    if not (fits and seen > 0) or any(head[84 + 48 : 84 + 50]):
        return False
    ends = head[84 + 48 : 84 + _TRIANGLE * seen : _TRIANGLE] + head[84 + 49 : 84 + _TRIANGLE * seen : _TRIANGLE]
    return not any(ends) and any(head[84 : 84 + 48])
