"""Read ``data:`` URLs (RFC 2397) as browsers do.

The rules are those of https://fetch.spec.whatwg.org/#data-urls and of forgiving-base64 decode in
https://infra.spec.whatwg.org.
"""

import base64
import binascii
import re
from urllib.parse import unquote, unquote_to_bytes

from staging._errors import RejectedError, too_large
from staging._rare import rare

_HEAD = 2000  # characters in which the media type has to end
_BASE64 = rare(r";[ ]*base64[ ]*\Z", re.IGNORECASE)
_NAME = rare(r";[ ]*(?:file)?name=([^;]+)", re.IGNORECASE)
_NO_BASE64 = rare("[\t\n\f\r =]|%(?:09|0a|0c|0d|20|3d)", re.IGNORECASE)
_SPACE = b"\t\n\f\r "


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
    least = len(body) - 2 * body.count("%")
    if coded:
        least = (least - sum(1 for _ in _NO_BASE64.finditer(body))) * 3 // 4
    if least > limit:
        raise too_large(limit, least)
    data = unquote_to_bytes(body.encode("utf-8", "replace"))
    if coded:  # white space may stand anywhere, and padding may be left out
        data = data.translate(None, _SPACE).rstrip(b"=")
        try:
            data = base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
        except binascii.Error:
            raise RejectedError("invalid", "the data: URL is not the base64 that it says it is") from None
    if len(data) > limit:
        raise too_large(limit, len(data))
    return data


def _without_base64(url: str) -> str:
    head, comma, _ = url[5:_HEAD].partition(",")
    return _BASE64.sub("", head).strip() if comma else ""
