"""Write XHTML as HTML, for a parser that knows no other.

HTML has no empty-element tags (XML 1.0, 3.1): `<title/>` begins a title there, and the rest of the page becomes part of
it.
"""

import re

_VOID = {
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "image", "img", "input", "keygen",
    "link", "meta", "param", "source", "track", "wbr",
}  # fmt: skip
_ROOT = re.compile(r"<html\s[^<>]*", re.IGNORECASE)
_NAMESPACE = re.compile(r"\sxmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml[\"']", re.IGNORECASE)
_PARTS = re.compile(  # each alternative matches up to the end of the text at last, so nothing is looked at twice
    r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)"
    r"|<(?:(?P<raw>script|style)(?=[\s/>])|(?P<name>[a-z][^\s/<>]*))"
    r"""(?:[^>=/]+|=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s>"'][^\s>]*)?|/(?!>))*"""
    r"(?:(?P<empty>/>)|(?:>|\Z)(?(raw).*?(?:</(?P=raw)|\Z)))",
    re.IGNORECASE | re.DOTALL,
)


def is_xhtml(text: str) -> bool:
    """Tell whether a page says that it is XML."""
    root = _ROOT.search(text)
    return text.lstrip("\ufeff \t\r\n").startswith("<?xml") or bool(root and _NAMESPACE.search(root[0]))


def as_html(text: str) -> str:
    """Return XHTML with an end tag for each element that is empty."""
    return _PARTS.sub(_closed, text)


def _closed(found: re.Match[str]) -> str:
    name = found["raw"] or found["name"]
    return f"{found[0][:-2]}></{name}>" if found["empty"] and name.lower() not in _VOID else found[0]
