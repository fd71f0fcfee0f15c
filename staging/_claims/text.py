"""What a text is: its character set as far as it is certain, markup, JSON.

The tables are those of the WHATWG MIME Sniffing standard (https://mimesniff.spec.whatwg.org), sections 3 and 7.1.
"""

import codecs
import json
import re

from staging._claims.kinds import HTML, SVG, XML

SPACE = b"\t\n\f\r "  # section 3, "whitespace byte"
# Section 3, "binary data byte", as a set of characters in an expression.
BINARY = rb"\x00-\x08\x0b\x0e-\x1a\x1c-\x1f"

NOT_BINARY = bytes({*range(256)} - {*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})  # see `BINARY`

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


def marked_codec(head: bytes) -> str | None:
    if not head.startswith(_ANY_MARK):
        return None
    return next(codec for mark, codec in _MARKS if head.startswith(mark))


def decode(head: bytes, codec: str, *, cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(codec)().decode(head, final=not cut)
    except UnicodeError:
        return None


def as_utf8(head: bytes) -> bytes:
    """Return marked text as UTF-8 without its mark, and anything else as it is."""
    codec = marked_codec(head)
    if codec is None or codec == "utf-8-sig":
        return head.removeprefix(codecs.BOM_UTF8)
    text = decode(head, codec, cut=True)
    return head if text is None else text.encode()


def markup(text: bytes) -> str | None:
    prolog = _PROLOG.match(text)
    root = prolog.end() if prolog else 0
    if _SVG_ROOT.match(text, root):
        return SVG
    if _PAGE.match(text, root):
        return HTML
    if text.startswith(b"<?xml"):
        return XML
    return HTML if _TAG.match(text, root) else None


def is_json(text: bytes, *, cut: bool) -> bool:
    """Whether the text is one JSON object or array (RFC 8259), or the beginning of one where the head is cut."""
    decoded = decode(text[:_GLANCE] if cut else text, "utf-8", cut=cut)
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
