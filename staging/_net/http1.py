"""HTTP/1.1 without I/O: the bytes of a request, the head of a response, and how its body is framed.

Theory of operation. A response head of the ordinary kind is recognised by one regular expression, narrower than the
grammar. Every other one is read by h11, so that all of RFC 9112 is enforced by a library that does nothing else. That
split saves a third of a small file's time. What follows depends on the framing (RFC 9112 section 6.3): a body with a
Content-Length is read past h11, chunked and close-delimited bodies go through it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import h11

from staging._errors import DownloadError
from staging._net.urls import Origin, Target
from staging._text import one_line

MAX_HEAD: Final = 32_768  # a response head larger than this is a bomb
MAX_INFORMATIONAL: Final = 8  # 1xx responses before the real one (RFC 9110 section 15.2); endless ones are an attack
_NO_BODY = frozenset({204, 304})  # whatever they declare (RFC 9112 section 6.3)
_MAX_DIGITS = 18  # of a length that fits 64 bits
# Possessive quantifiers: nothing that a peer sends makes these go back.
_LINES = rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"  # RFC 9110 sections 5.1 and 5.5
_ORDINARY = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n(" + _LINES + rb")\r\n")
_FIELD = re.compile(rb"([^:]++):([^\r]*+)\r\n")  # of lines that `_LINES` has admitted
_REQUEST = re.compile(rb"GET [\x21-\x7e]++ HTTP/1\.1\r\n" + _LINES + rb"\r\n")


class Request(NamedTuple):
    """A GET request.

    Args:
        target: whom it asks, and for what.
        fields: all of its fields but Host, names in lower case.
        own_origin: whether it goes to the origin that the caller named, whose credentials it may carry.
    """

    target: Target
    fields: Mapping[bytes, bytes]
    own_origin: bool = True

    def __repr__(self) -> str:  # the fields may hold a token
        return f"<Request {self.target!r}>"


def request_bytes(request: Request) -> bytes:
    """Return the request as it goes over the wire.

    Raises:
        DownloadError: ``invalid``, if it is not a request of one line and plain fields (RFC 9112 sections 3 and 5):
            nothing in it can end a line.
    """
    target = request.target
    fields = b"".join([b"%b: %b\r\n" % field for field in request.fields.items()])
    data = b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target.path.encode(), target.authority.encode(), fields)
    if not _REQUEST.fullmatch(data):
        raise DownloadError("invalid", "the request cannot be sent: not a GET request of plain lines")
    return data


class Head(NamedTuple):
    """What a response says before its body.

    Args:
        status: the final status code.
        fields: values by name in lower case.
        length: the body's bytes, or None if only the framing tells.
        persistent: whether the peer will answer again on this connection.
        rest: what was received behind the head; body bytes, unless the parser has them.
        parser: reads the body, if its framing needs that.
    """

    status: int
    fields: Mapping[bytes, bytes]
    length: int | None
    persistent: bool
    rest: bytes = b""
    parser: "Parser | None" = None


def ordinary_head(data: bytes) -> Head | None:
    """Return the head that `data` begins with if it is an ordinary one, as nearly all are; None leaves it to h11.

    Ordinary is narrower than RFC 9112: complete, HTTP/1.1, a final status with a body, plain lines, no folding, one
    Content-Length of digits, no Transfer-Encoding. Whoever is not ordinary meets the whole grammar.
    """
    match = _ORDINARY.match(data)
    if match is None or match.end() > MAX_HEAD:
        return None
    fields = _by_name(_FIELD.findall(match[2]))
    status, length = int(match[1]), fields.get(b"content-length", b"")
    if not length.isdigit() or len(length) > _MAX_DIGITS or b"transfer-encoding" in fields or status in _NO_BODY:
        return None
    persistent = b"close" not in fields.get(b"connection", b"").lower()
    return Head(status, fields, int(length), persistent, data[match.end() :])


def _by_name(lines: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return values by name in lower case, those of one name joined (RFC 9110 section 5.3)."""
    fields = {name.lower(): value.strip(b" \t") for name, value in lines}
    if len(fields) != len(lines):
        fields.clear()
        for name, value in lines:
            known = fields.get(name.lower())
            fields[name.lower()] = value.strip(b" \t") if known is None else known + b", " + value.strip(b" \t")
    return fields


class Parser:
    """h11, behind what is needed of it here: a response that is not ordinary, read by the whole grammar.

    Args:
        origin: who is named in errors.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))  # to put it where we are
        self._http.send(h11.EndOfMessage())
        self._informational = 0
        self.chunked = False

    def feed(self, data: bytes) -> None:
        """Take what was received; b"" is the end of the connection."""
        self._http.receive_data(data)

    def head(self) -> Head | None:
        """Return the final head, or None if more is needed.

        Raises:
            DownloadError: ``protocol``.
        """
        while (event := self._next()) is not h11.NEED_DATA:
            if type(event) is h11.Response:
                return self._judged(event)
            if type(event) is not h11.InformationalResponse or self._informational == MAX_INFORMATIONAL:
                raise DownloadError("protocol", f"{self._origin} did not send a final response")
            self._informational += 1
        return None

    def _judged(self, head: Any) -> Head:
        """Return h11's head as ours.

        Raises:
            DownloadError: ``protocol``, for another version, and if both Content-Length and Transfer-Encoding are
                there: that is a smuggler's message (RFC 9112 section 6.3).
        """
        if head.http_version not in {b"1.0", b"1.1"}:
            raise DownloadError("protocol", f"{self._origin} did not answer in HTTP/1.1")
        fields = _by_name([(bytes(name), bytes(value)) for name, value in head.headers])
        self.chunked = b"transfer-encoding" in fields
        if self.chunked and b"content-length" in fields:
            raise DownloadError("protocol", f"{self._origin} declared the length twice")
        length = b"0" if head.status_code in _NO_BODY else fields.get(b"content-length")
        if length is None:
            return Head(head.status_code, fields, None, persists(head), parser=self)
        return Head(head.status_code, fields, int(length), persists(head), self._http.trailing_data[0])

    def body(self) -> bytes | None:
        """Return the next bytes of the body, b"" at its end, or None if more is needed.

        Raises:
            DownloadError: ``protocol``.
        """
        event = self._next()
        if type(event) is h11.Data:
            return bytes(event.data)
        return None if event is h11.NEED_DATA else b""

    @property
    def excess(self) -> bool:
        """Whether the peer has said more than belongs to this response."""
        return bool(self._http.trailing_data[0])

    def _next(self) -> Any:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise DownloadError("protocol", f"{self._origin} did not speak HTTP: {_plain(error)}") from None


def persists(head: Any) -> bool:
    """Whether the peer will answer again on this connection, after this head of h11's (RFC 9112 section 9.3)."""
    said = b",".join(value for name, value in head.headers if name == b"connection").lower()
    return head.http_version == b"1.1" and b"close" not in said


def _plain(error: Exception) -> str:
    """Return h11's words without the peer's bytes."""
    return one_line(str(error).partition(":")[0], limit=100)
