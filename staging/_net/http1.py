"""Read and write HTTP/1.1 without any I/O.

Theory of operation. A head is collected until its blank line has come, and is no larger than `MAX_HEAD` however the
network cuts it. An ordinary head is then recognised by one regular expression, narrower than the grammar, which saves a
third of a small file's time. Every other head is read by h11, so that RFC 9112 is enforced by a library that does
nothing else. What follows depends on the framing (RFC 9112 section 6.3). `Chunks` takes the framing off a chunked body.
It is as strict as the RFC, and ends a body whose framing outweighs its data.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from staging._errors import DownloadError
from staging._late import importing
from staging._net.urls import Origin, Target
from staging._rare import rare

if TYPE_CHECKING:
    import h11

MAX_HEAD: Final = 32_768  # bytes of a response head, of a chunk's first line or of trailers; a larger one is refused
MAX_INFORMATIONAL: Final = 8  # 1xx responses before the real one (RFC 9110 section 15.2); more are refused
MAX_OVERHEAD: Final = 524_288  # bytes of framing beyond the data: 100,000 chunks of one byte; more is refused
MAX_CHUNK: Final = 2**62  # bytes of one chunk; a larger number is refused
LINES_PER_TURN: Final = 128  # tiny chunks cost some microseconds each, and then other tasks run
_NO_BODY = frozenset({204, 304})  # whatever they declare (RFC 9112 section 6.3)
_MAX_DIGITS = 18  # of a length that fits 64 bits

# Possessive quantifiers: nothing that a peer sends makes these go back. But no group has one that may end within itself
# where it goes back: before 3.11.5, Python forgets then where it began (https://github.com/python/cpython/issues/106052).
_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 section 5.1
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"  # RFC 9110 section 5.5
_LINES = rb"(?:" + _NAME + rb"++:" + _VALUE + rb"\r\n)*+"
_ORDINARY = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: " + _VALUE + rb")?\r\n(" + _LINES + rb")\r\n")
_FIELD = re.compile(rb"([^:]++):([^\r]*+)\r\n")  # of lines that `_LINES` has admitted
_REQUEST = re.compile(rb"GET [\x21-\x7e]++ HTTP/1\.1\r\n" + _LINES + rb"\r\n")
_BLANK_LINE = rare(rb"\n\r?\n")  # RFC 9112 section 2.2: a recipient may take a bare LF for a line's end
_STATUS_LINE = rare(rb"HTTP/[0-9]\.[0-9] [0-9]{3}(?: " + _VALUE + rb")?\r?\n")
_CODINGS = rare(rb"(?im)^(transfer-encoding:)[ \t,]*+([^ \t,\r\n]++)[ \t,]*+(?=\r?$)")

# What may come next in a chunked body (RFC 9112 section 7.1), and what may still become that.
_EXTENSION = rb"[ \t]*+(?:;" + _VALUE + rb")?+"
_TRAILER = rb"(?:" + _NAME + rb"++:" + _VALUE + rb"\r\n(?:[\t\x20]" + _VALUE + rb"\r\n)*)*"  # folded ones too
_CHUNK_LINE = rare(rb"([0-9A-Fa-f]{1,20}+)" + _EXTENSION + rb"\r\n")
_DATA_END = rare(rb"\r\n")
_TRAILERS = rare(_TRAILER + rb"\r\n")
_BEGUN = {
    _CHUNK_LINE: rare(rb"(?:[0-9A-Fa-f]{1,20}+" + _EXTENSION + rb"\r?+)?+"),
    _DATA_END: rare(rb"\r?+"),
    _TRAILERS: rare(_TRAILER + rb"(?:" + _NAME + rb"++(?::" + _VALUE + rb")?|[\t\x20]" + _VALUE + rb")?\r?"),
}


class Request(NamedTuple):
    """A GET request.

    Args:
        target: the origin that it goes to, and the path that it asks for.
        fields: all of its fields but Host, names in lower case.
        own_origin: whether it goes to the origin that the caller named, whose credentials it may carry.
        on_step: told in words what is waited for now, whenever that changes and when bytes came that are no data.
    """

    target: Target
    fields: Mapping[bytes, bytes]
    own_origin: bool = True
    on_step: Callable[[str], None] = lambda _: None

    def __repr__(self) -> str:  # the fields may hold a token
        return f"<Request {self.target!r}>"


def load_h11() -> None:
    """Load the library that reads unusual heads, which is a sixth of `import staging`.

    It blocks.

    Raises:
        WorkspaceError: ``storage``, if the process can open no further file.
    """
    with importing():
        import h11  # noqa: F401, PLC0415  # see above


def request_bytes(request: Request) -> bytes:
    """Return the request as it goes over the wire.

    Raises:
        DownloadError: ``invalid``, if it is not a request of one line and plain fields (RFC 9112 sections 3 and 5), so
            that nothing in it can end a line.
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
        rest: what was received behind the head.
        chunked: whether the body comes in chunks. Without chunks and without a length, it ends with the connection.
    """

    status: int
    fields: Mapping[bytes, bytes]
    length: int | None
    persistent: bool
    rest: bytes = b""
    chunked: bool = False


def ordinary_head(data: bytes) -> Head | None:
    """Return the head that `data` begins with, if it is ordinary.

    For every other head it returns None, and `HeadReader` reads it. Ordinary is narrower than RFC 9112: complete,
    HTTP/1.1, a final status with a body, plain lines, no folding, one Content-Length of digits, no Transfer-Encoding.
    Nearly all heads are.
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
    """Return the values by names in lower case.

    Values of one name are joined (RFC 9110 section 5.3).
    """
    fields = {name.lower(): value.strip(b" \t") for name, value in lines}
    if len(fields) != len(lines):
        fields.clear()
        for name, value in lines:
            known = fields.get(name.lower())
            fields[name.lower()] = value.strip(b" \t") if known is None else known + b", " + value.strip(b" \t")
    return fields


class HeadReader:
    """Collects received bytes until a response's final head is complete.

    Args:
        origin: who is named in errors.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._data = b""
        self._informational = 0

    def feed(self, data: bytes) -> Head | None:
        """Return the final head, or None if more is needed.

        Raises:
            DownloadError: ``protocol``, if it is not HTTP/1.1, too large, ambiguous, or never the final one.
        """
        looked_at = max(0, len(self._data) - 2)
        self._data += data
        while (end := self._end(looked_at)) is not None:
            head, self._data, looked_at = self._data[:end], self._data[end:], 0
            if (found := ordinary_head(head) or self._parsed(head)) is not None:
                return found._replace(rest=self._data)
        return None

    def _end(self, looked_at: int) -> int | None:
        """Return where the first head ends, or None if incomplete."""
        if self._data[:5] != b"HTTP/"[: len(self._data)]:
            raise self._fault("what came is not a response")
        blank = _BLANK_LINE.search(self._data, looked_at)
        if (blank.end() if blank else len(self._data)) > MAX_HEAD:
            raise self._fault(f"the head is larger than {MAX_HEAD // 1024} KB")
        return blank.end() if blank else None

    def _parsed(self, head: bytes) -> Head | None:
        """Return the head as h11 reads it, or None for an informational one."""
        if not _STATUS_LINE.match(head):
            raise self._fault("the status line is malformed")
        import h11  # noqa: PLC0415  # `load_h11` has done that in a thread

        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        http.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))  # to put it where we are
        http.send(h11.EndOfMessage())
        # h11 takes the lone word only, and RFC 9110 section 5.6.1.2 has a recipient ignore empty elements of a list
        http.receive_data(_CODINGS.sub(rb"\1 \2", head))
        try:
            event = http.next_event()
        except h11.RemoteProtocolError:  # its words are for programmers
            raise self._fault("a header field is malformed") from None
        if isinstance(event, h11.Response):
            return self._judged(event)
        self._informational += 1
        final = not isinstance(event, h11.InformationalResponse) or event.status_code == 101
        if final or self._informational > MAX_INFORMATIONAL:
            raise self._fault("the final response never came")
        return None

    def _judged(self, head: "h11.Response") -> Head:
        """Return h11's head as ours."""
        if head.http_version not in {b"1.0", b"1.1"}:
            raise self._fault("it answered in another version than HTTP/1.1")
        fields = _by_name([(bytes(name), bytes(value)) for name, value in head.headers])
        chunked, declared = b"transfer-encoding" in fields, fields.get(b"content-length")
        if chunked and declared is not None:  # it may be request smuggling (RFC 9112 section 6.3)
            raise self._fault("it declared the length twice")
        persistent = head.http_version == b"1.1" and b"close" not in fields.get(b"connection", b"").lower()
        if head.status_code in _NO_BODY:
            return Head(head.status_code, fields, 0, persistent)
        return Head(head.status_code, fields, None if declared is None else int(declared), persistent, chunked=chunked)

    def _fault(self, what: str) -> DownloadError:
        return DownloadError("protocol", f"{self._origin} did not speak HTTP: {what}", host=self._origin.host)


class Chunks:
    """Takes the framing off a chunked body (RFC 9112 section 7.1).

    Args:
        origin: who is named in errors.
        data: what was received behind the head.

    Attributes:
        ended: whether the last chunk and its trailers have come.
    """

    __slots__ = ("_at", "_balance", "_data", "_left", "_next", "_origin", "ended")

    def __init__(self, origin: Origin, data: bytes) -> None:
        self._origin = origin
        self._data = data
        self._at = 0
        self._left = 0  # data bytes of the current chunk that have not come
        self._next = _CHUNK_LINE
        self._balance = 0  # bytes of framing less bytes of data
        self.ended = False

    @property
    def pending(self) -> bool:
        """Whether bytes were received that are not used yet."""
        return self._at < len(self._data)

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._data = self._data[self._at :] + data
        self._at = 0

    def take(self, view: memoryview) -> int:
        """Move data into `view` and return the number of bytes.

        It is 0 if more input is needed or the body has ended.

        Raises:
            DownloadError: ``protocol``, if the framing is malformed or outweighs the data.
        """
        count = 0
        for _ in range(LINES_PER_TURN):
            if self._left:
                new = min(self._left, len(self._data) - self._at, len(view) - count)
                view[count : count + new] = self._data[self._at : self._at + new]
                self._at += new
                self._left -= new
                count += new
                self._balance = max(-MAX_OVERHEAD, self._balance - new)
            if self._left or self.ended or not self._take_line():
                break
        return count

    def _take_line(self) -> bool:
        """Read the framing that comes next and return whether it was there."""
        line = self._next.match(self._data, self._at)
        if line is None:
            if len(self._data) - self._at > MAX_HEAD:
                raise self._fault(f"a line of framing is larger than {MAX_HEAD // 1024} KB")
            if not _BEGUN[self._next].fullmatch(self._data, self._at):  # more bytes do not make it framing
                raise self._fault("the chunks are malformed")
            return False
        self._balance += line.end() - self._at
        self._at = line.end()
        if self._balance > MAX_OVERHEAD:
            raise self._fault("the framing outweighs the data")
        if self._next is _DATA_END:
            self._next = _CHUNK_LINE
        elif self._next is _TRAILERS:
            self.ended = True
        else:
            self._left = int(line[1], 16)
            self._next = _DATA_END if self._left else _TRAILERS
            if self._left > MAX_CHUNK:
                raise self._fault("a chunk is declared larger than anything")
        return True

    def _fault(self, what: str) -> DownloadError:
        return DownloadError("protocol", f"{self._origin} did not speak HTTP: {what}", host=self._origin.host)
