"""Tell what a text is, and in which character set.

The character set is only told where it is certain. The bytes that make a file binary, and white space, are those of the
WHATWG MIME Sniffing standard, section 3 (https://mimesniff.spec.whatwg.org).
"""

import codecs
import re
from collections.abc import Callable

from staging._claims.kinds import HTML, SVG, XML
from staging._late import importing
from staging._rare import rare

SPACE = b"\t\n\f\r "  # "whitespace byte"
_NOT_BINARY = bytes({*range(256)} - {*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})  # "binary data byte"

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ANY_MARK = tuple(mark for mark, _ in _MARKS)
_WIDE = (  # Western text of Windows without a mark: every other byte is zero
    (re.compile(rb"(?:[\t\n\f\r -~\xa0-\xff]\0){4,}+"), "utf-16-le"),
    (re.compile(rb"(?:\0[\t\n\f\r -~\xa0-\xff]){4,}+"), "utf-16-be"),
)

_PROLOG = rare(rb"(?:[\t\n\f\r ]++|<\?xml.*?\?>|<!--.*?-->)*", re.DOTALL)
_SVG_ROOT = rare(rb"<(?:!doctype[\t\n\f\r ]+svg|(?:[\w.-]+:)?svg)(?=[\t\n\f\r />\[])", re.IGNORECASE)
# What a browser's parser puts into the head of a page that has not begun yet. No groups: in a possessive repeat they
# make CPython's engine raise SystemError.
_BEFORE_PAGE = rare(
    rb"(?:[\t\n\f\r ]++|<!--.*?-->|<(?:meta|link|base)[\t\n\f\r ][^<>]*+>"
    rb"|<script[\t\n\f\r >].*?</script[\t\n\f\r ]*+>|<style[\t\n\f\r >].*?</style[\t\n\f\r ]*+>"
    rb"|<noscript[\t\n\f\r >].*?</noscript[\t\n\f\r ]*+>)*",
    re.DOTALL | re.IGNORECASE,
)
_XHTML = rare(rb"<(?:!doctype[\t\n\f\r ]+html|html)(?=[\t\n\f\r />])", re.IGNORECASE)
_PAGE = rare(rb"<(?:!doctype[\t\n\f\r ]+html|html|head|body|title)(?=[\t\n\f\r />])", re.IGNORECASE)
_TEMPLATE = rare(
    rb"<\?(?:php|=)|<%[@=#!\t\n\r -]|\{%-? *+(?:block|extends|include|if|for|load|set|macro)\b", re.IGNORECASE
)
_GLIMPSE = 64  # bytes in which nearly every binary file shows itself
_GLANCE = 1024  # bytes of a cut head that are read as JSON: all of it would cost ten times what other text does
_OPEN_STRING = rare(r'"(?:[^"\\]++|\\.)*+\\?', re.DOTALL)


def is_binary(data: bytes) -> bool:
    """Tell whether there is a byte that text does not have."""
    return bool(data[:_GLIMPSE].translate(None, _NOT_BINARY) or data.translate(None, _NOT_BINARY))


def codec_of_mark(head: bytes) -> str | None:
    """Return the codec that a byte order mark names."""
    if not head.startswith(_ANY_MARK):
        return None
    return next(codec for mark, codec in _MARKS if head.startswith(mark))


def codec_of_width(head: bytes) -> str | None:
    """Return the codec of UTF-16 without a mark, or None.

    All of the head must be Western text in it.
    """
    even = head[: len(head) & ~1]
    return next((codec for pattern, codec in _WIDE if pattern.fullmatch(even)), None)


def decode(head: bytes, codec: str, *, cut: bool) -> str | None:
    """Return the decoded text, or None if it does not decode.

    A head that is `cut` may end within a character.
    """
    try:
        return _DECODERS[codec](head, "strict", not cut)[0]
    except UnicodeError:
        return None


# the interpreter's own: to look a codec up imports its module, which a process without descriptors cannot
_DECODERS: dict[str, Callable[[bytes, str, bool], tuple[str, int]]] = {
    "utf-8": codecs.utf_8_decode,
    "utf-8-sig": lambda head, errors, final: codecs.utf_8_decode(head.removeprefix(codecs.BOM_UTF8), errors, final),
    "utf-16": codecs.utf_16_decode,
    "utf-16-le": codecs.utf_16_le_decode,
    "utf-16-be": codecs.utf_16_be_decode,
    "utf-32": codecs.utf_32_decode,
}


def as_utf8(head: bytes) -> bytes:
    """Return marked text as UTF-8 without its mark, and anything else as it is."""
    codec = codec_of_mark(head)
    if codec is None or codec == "utf-8-sig":
        return head.removeprefix(codecs.BOM_UTF8)
    text = decode(head, codec, cut=True)
    return head if text is None else text.encode()


def markup(text: bytes) -> str | None:
    """Return the type of what begins with a tag, or None.

    It is None for source code and other text. A page begins with a doctype or one of the elements that every page
    has. Of the tags in section 7.1 of the standard only those count: ``<h1>``, ``<div>`` and the like begin README
    files, components and chat logs.
    """
    prolog = _PROLOG.match(text)
    root = prolog.end() if prolog else 0
    if _SVG_ROOT.match(text, root):
        return SVG
    if text.startswith(b"<?xml"):  # there a title makes no page: a feed has one too
        return HTML if _XHTML.match(text, root) else XML
    before = _BEFORE_PAGE.match(text, root)
    if _PAGE.match(text, before.end() if before else root):
        return None if _TEMPLATE.search(text) else HTML
    return None


def is_json(text: bytes, *, cut: bool) -> bool:
    """Tell whether the text is one JSON object or array (RFC 8259).

    Of a head that is `cut`, the beginning of one is enough.
    """
    with importing():
        import json  # noqa: PLC0415  # few texts are JSON
    decoded = decode(text[:_GLANCE] if cut else text, "utf-8", cut=cut)
    if decoded is None:
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(decoded)
    except json.JSONDecodeError as error:
        at = error.pos
        if not cut or at >= len(decoded) - 8:
            return cut
        # inside a string, the reader also stopped only because the text is cut
        return decoded[:at].rstrip().endswith(("[", "{", ",", ":")) and bool(_OPEN_STRING.fullmatch(decoded, at))
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        return False
    return not decoded[end:].strip()
