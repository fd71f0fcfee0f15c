"""Read ``data:`` URLs (RFC 2397) as browsers do.

The rules are those of https://fetch.spec.whatwg.org/#data-urls and of forgiving-base64 decode in
https://infra.spec.whatwg.org.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_to_bytes

from staging._errors import RejectedError, too_large
from staging._rare import rare

_HEAD = 2000  # characters in which the media type has to end
_BASE64 = rare(r";[ ]*base64[ ]*\Z", re.IGNORECASE)
_NAME = rare(r";[ ]*(?:file)?name=([^;]+)", re.IGNORECASE)
_NO_BASE64 = rare("%(?:09|0a|0c|0d|20|3d)", re.IGNORECASE)  # of the signs below, in another form
_SPACE = b"\t\n\f\r "
_PIECE = 1 << 16  # characters


def media_type_of(url: str) -> str | None:
    """Return the claimed type with its parameters, or None where there is none."""
    return _without_base64(url) or None


def name_of(url: str) -> str | None:
    """Return the parameter `name`, which some programs add, or None."""
    found = _NAME.search(_without_base64(url))
    return unquote(found[1]).strip(' "') or None if found else None


def decode(url: str, limit: int) -> bytes:
    """Return the bytes that a ``data:`` URL has in itself.

    It blocks while it decodes.

    Args:
        url: begins with ``data:``, in any case.
        limit: bytes that are allowed; what must be more is not decoded.

    Raises:
        RejectedError: ``too_large``, or ``invalid`` if there are no data, or no base64 where it says so.
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise RejectedError("invalid", "the data: URL has no data")
    body = body.partition("#")[0]
    coded = _BASE64.search(head) is not None
    least = len(body) - 2 * sum(piece.count("%") for piece in _pieces(body))
    if coded:
        signs = (len(_NO_BASE64.findall(piece)) + sum(map(piece.count, "\t\n\f\r =")) for piece in _pieces(body))
        least = (least - sum(signs)) * 3 // 4
    if least > limit:
        raise too_large(limit, least)
    pieces = (unquote_to_bytes(piece.encode("utf-8", "replace")) for piece in _pieces(body))
    data = b"".join(_from_base64(pieces) if coded else pieces)
    if len(data) > limit:
        raise too_large(limit, len(data))
    return data


def _pieces(body: str) -> Iterator[str]:
    """Yield the body in pieces that cut no percent-encoded byte, and at last an empty one.

    To decode all of it in one call would hold the GIL, and with it the event loop, for half a second.
    """
    start = 0
    while start < len(body):
        end = start + _PIECE
        end -= next((back for back in (1, 2) if body[end - back : end - back + 1] == "%"), 0)
        yield body[start:end]
        start = end
    yield ""


def _from_base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decode forgiving base64, piece by piece; the last one is empty.

    White space may stand anywhere, and padding may be left out.

    Raises:
        RejectedError: ``invalid``, if it is no base64.
    """
    rest, padding = b"", 0
    for piece in pieces:
        data = piece.translate(None, _SPACE)
        letters = data.rstrip(b"=")
        wrong = b"=" in letters or (padding and letters)  # padding stands at the end of all, not of a piece
        padding += len(data) - len(letters)
        rest += letters
        whole = len(rest) // 4 * 4 if piece else len(rest)
        try:
            if wrong or padding > 2 or (padding and not piece and (whole + padding) % 4):
                raise binascii.Error  # noqa: TRY301  # as what follows says it of a sign that is no letter
            yield base64.b64decode(rest[:whole] + b"=" * (-whole % 4), validate=True)
        except binascii.Error:
            raise RejectedError("invalid", "the data: URL is not the base64 that it says it is") from None
        rest = rest[whole:]


def _without_base64(url: str) -> str:
    head, comma, _ = url[5:_HEAD].partition(",")
    return _BASE64.sub("", head).strip() if comma else ""
