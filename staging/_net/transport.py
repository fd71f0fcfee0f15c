"""HTTP/1.1 GET over h11: the seam to the network, the pool, the exchange.

Theory of operation. One exchange is one request and one response on one connection. A response head of the ordinary
kind is recognised by one regular expression, narrower than the grammar; every other one is read by h11, so that all of
RFC 9112 is enforced by a library that does nothing else (that split saves a third of a small file's time). What follows
depends on the framing (RFC 9112 section 6.3): a body with a Content-Length is read past h11, from the stream straight
into the buffer of whoever asks (`Response.readinto`); chunked and close-delimited bodies go through h11.

Connections that have said all they had to say go back to the pool, a dictionary keyed by origin. Before one is used
again it must be silent; a server may still close it at that moment, so an exchange on a used connection that breaks
before the first byte of the response is made once more on a fresh one (RFC 9112 section 9.3.1: GET is idempotent).
Anything unusual on a connection ends it: there is no state worth rescuing.

Nothing here waits for ever, because nothing here waits on its own account: deadlines belong to the caller's cancel
scope, and every await may be cancelled, which closes the connection.
"""

import functools
import importlib
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import anyio

from staging._errors import DownloadError
from staging._net.dial import Resolver, Stream, dial
from staging._net.policy import Origin, Target, UrlPolicy
from staging._text import one_line
from staging._threads import in_thread

IDLE_SECONDS: Final = 30.0  # shorter than any CDN's keep-alive, so that reuse seldom meets a closed connection
MAX_IDLE: Final = 32
MAX_HEAD: Final = 32_768  # a response head larger than this is a bomb
MAX_INFORMATIONAL: Final = 8  # 1xx responses before the real one (RFC 9110 section 15.2); endless ones are an attack
CHUNK: Final = 65_536  # bytes received at once, where h11 or nobody has a better buffer
TURN: Final = 262_144  # bytes that one body takes before the others have their turn; a few tenths of a millisecond
_NO_BODY = frozenset({204, 304})  # whatever they declare (RFC 9112 section 6.3)
_MAX_DIGITS = 18  # of a length that fits 64 bits
_EVENTS_PER_TURN = 32

# Possessive quantifiers: nothing that a peer sends makes these go back.
_LINES = rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"  # RFC 9110 sections 5.1 and 5.5
_ORDINARY = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n(" + _LINES + rb")\r\n")
_FIELD = re.compile(rb"([^:]++):([^\r]*+)\r\n")  # of lines that `_LINES` has admitted
_REQUEST = re.compile(rb"GET [\x21-\x7e]++ HTTP/1\.1\r\n" + _LINES + rb"\r\n")


# ── the seam ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


class Response(Protocol):
    """What came back: the head, and a body that is unread.

    It must be closed: a body that was read to its end gives its connection back, any other ends it.

    Attributes:
        status: the final status code.
        length: the body's bytes as declared, or None if only the framing tells.
    """

    status: int
    length: int | None

    def field(self, name: bytes) -> bytes | None:
        """Return a field's value as it was received, several joined by commas (RFC 9110 section 5.3).

        Args:
            name: in lower case.
        """
        ...

    async def readinto(self, view: memoryview) -> int:
        """Read body bytes, undecoded, into `view`; return their number, at least one, or 0 at the end of the body.

        Raises:
            DownloadError: ``size_mismatch`` if the peer ended a declared body early, ``interrupted`` if the connection
                broke, ``protocol`` if the framing is not acceptable.
        """
        ...

    async def aclose(self) -> None:
        """End the exchange."""
        ...


Send = Callable[[Request], Awaitable[Response]]
"""The one seam to the network: a request in, a response with its body unread out; raises `StagingError` only."""


# ── the pool ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Transport:
    """A GET-only client: connects where `policy` admits it, keeps connections warm, hands out unread bodies.

    Args:
        policy: judges every address before it is dialled.
        tls: trust for https; None: the system's.
    """

    def __init__(self, policy: UrlPolicy, tls: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._tls = tls
        self._resolver = Resolver()
        self._idle: dict[Origin, list[tuple[float, Stream]]] = {}
        self._closed = False

    async def send(self, request: Request) -> "_Response":
        """Send the request; return the response with its body unread.

        Raises:
            RejectedError: if the host resolves to an address that is not admitted.
            DownloadError: ``connect``, ``interrupted``, ``protocol``, or ``invalid``, if the request is not one of
                plain lines.
        """
        origin, data = request.target.origin, request_bytes(request)
        while (stream := self._warm(origin)) is not None:
            try:
                return await self._exchange(stream, data, used=True)
            except _StaleError:
                continue
        stream = await dial(origin, self._policy, self._tls, self._resolver)
        try:
            return await self._exchange(stream, data, used=False)
        except _StaleError as stale:
            raise DownloadError("interrupted", f"{origin} hung up without an answer", retryable=True) from stale

    async def aclose(self) -> None:
        """Close every idle connection, and every other one as soon as it is given back."""
        self._closed = True
        for waiting in self._idle.values():
            for _, stream in waiting:
                stream.close()
        self._idle.clear()

    def __repr__(self) -> str:
        idle = ", ".join(f"{len(waiting)} to {origin}" for origin, waiting in self._idle.items() if waiting)
        return f"<Transport: {'closed' if self._closed else f'idle connections: {idle or 0}'}>"

    async def _exchange(self, stream: Stream, request: bytes, *, used: bool) -> "_Response":
        try:
            head = await exchange(stream, request, used=used)
        except BaseException:
            stream.close()
            raise
        return _Response(stream, head, self._give_back)

    def _warm(self, origin: Origin) -> Stream | None:
        """Take the youngest idle connection that still lives; close those that do not."""
        waiting = self._idle.get(origin, ())
        while waiting:
            since, stream = waiting.pop()
            if time.monotonic() - since < IDLE_SECONDS and stream.silent():
                return stream
            stream.close()
        return None

    def _give_back(self, stream: Stream) -> None:
        """Keep a connection for the next exchange with its origin."""
        if self._closed or sum(map(len, self._idle.values())) >= MAX_IDLE:
            stream.close()
        else:
            self._idle.setdefault(stream.origin, []).append((time.monotonic(), stream))


# ── the exchange ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _StaleError(Exception):
    """The request was not answered: the connection ended, or still held the rest of the exchange before."""


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


async def exchange(stream: Stream, request: bytes, *, used: bool) -> Head:
    """Send a request and return the final response head.

    Args:
        stream: the connection.
        request: what to send.
        used: whether the connection has served another exchange before.

    Raises:
        DownloadError: ``interrupted`` or ``protocol``.
        _StaleError: if the connection ended before the first byte of a response, or a used one begins with what must
            be the late rest of the exchange before.
    """
    try:
        await stream.send(request)
        first = await _awaited(stream)  # nobody answers at once: to look first would be in vain
    except OSError as error:
        raise _StaleError from error
    if not first or (used and first[:5] != b"HTTP/"[: len(first)]):
        raise _StaleError
    return ordinary_head(first) or await _any_head(stream, first)


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


async def _any_head(stream: Stream, first: bytes) -> Head:
    """Let h11 read the head that begins with `first`."""
    parser = Parser(await _load_h11(), stream.origin)
    parser.feed(first)
    while (head := parser.head()) is None:
        parser.feed(await _receive_more(stream))
    return head


async def _load_h11() -> Any:
    """Return h11; loaded at the first response that needs it, in a thread, since that takes some milliseconds."""
    return _h11() if _h11.cache_info().currsize else await in_thread(_h11, abandon=True)


@functools.cache
def _h11() -> Any:
    return importlib.import_module("h11")  # not from `sys.modules`: there it may be half loaded, in another thread


class Parser:
    """h11, behind what is needed of it here: a response that is not ordinary, read by the whole grammar.

    Args:
        h11: the module.
        origin: who is named in errors.
    """

    def __init__(self, h11: Any, origin: Origin) -> None:
        self._h11 = h11
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
        while (event := self._next()) is not self._h11.NEED_DATA:
            if type(event) is self._h11.Response:
                return self._judged(event)
            if type(event) is not self._h11.InformationalResponse or self._informational == MAX_INFORMATIONAL:
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
        if type(event) is self._h11.Data:
            return bytes(event.data)
        return None if event is self._h11.NEED_DATA else b""

    @property
    def excess(self) -> bool:
        """Whether the peer has said more than belongs to this response."""
        return bool(self._http.trailing_data[0])

    def _next(self) -> Any:
        try:
            return self._http.next_event()
        except self._h11.RemoteProtocolError as error:
            raise DownloadError("protocol", f"{self._origin} did not speak HTTP: {_plain(error)}") from None


def persists(head: Any) -> bool:
    """Whether the peer will answer again on this connection, after this head of h11's (RFC 9112 section 9.3)."""
    said = b",".join(value for name, value in head.headers if name == b"connection").lower()
    return head.http_version == b"1.1" and b"close" not in said


async def _awaited(stream: Stream) -> bytes:
    """Wait for the next bytes, and return them; none at the end."""
    while True:
        await stream.readable()
        if (data := stream.receive_now(CHUNK)) is not None:
            return data


async def _received(stream: Stream) -> bytes:
    """Return the next bytes, none at the end; a fast peer does not keep the loop to itself."""
    if (data := stream.receive_now(CHUNK)) is None:
        return await _awaited(stream)
    await _checkpoint()
    return data


async def _receive_more(stream: Stream) -> bytes:
    """Return the next bytes.

    Raises:
        DownloadError: ``interrupted``, if there are none.
    """
    try:
        data = await _received(stream)
    except OSError as error:
        raise broken(stream.origin) from error
    if not data:
        raise broken(stream.origin)
    return data


# ── the body ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Response:
    """A `Response` on a connection of ours: its body exactly as framed, and never more than was declared."""

    __slots__ = (
        "_closed", "_complete", "_give_back", "_head", "_kept", "_left", "_reusable", "_stream",
        "length", "status",
    )  # fmt: skip

    def __init__(self, stream: Stream, head: Head, give_back: Callable[[Stream], None]) -> None:
        self.status = head.status
        self.length = head.length
        self._head = head
        self._stream = stream
        self._give_back = give_back
        self._reusable = head.persistent
        self._kept = head.rest
        self._left = head.length or 0
        self._complete = self._closed = False
        if head.length == 0:
            self._finish(excess=bool(self._kept))

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """All fields, names in lower case."""
        return self._head.fields

    def field(self, name: bytes) -> bytes | None:
        return self._head.fields.get(name)

    async def readinto(self, view: memoryview) -> int:
        if self._complete:
            return 0
        parser = self._head.parser
        try:
            return await (self._read_counted(view) if parser is None else self._read_framed(view, parser))
        except OSError as error:
            raise broken(self._stream.origin) from error

    async def _read_counted(self, view: memoryview) -> int:
        """Past h11, straight into the caller's buffer (RFC 9112 section 6.2)."""
        view = view[: min(self._left, TURN)]
        count = self._take_kept(view)
        if not count:
            count = await self._read_stream(view)
        elif count < len(view):
            count += self._stream.read_now(view[count:]) or 0  # nothing yet, or the end: the next call meets it again
        self._left -= count
        if not self._left:
            self._finish(excess=bool(self._kept))
        return count

    async def _read_stream(self, view: memoryview) -> int:
        """Read the next bytes, at least one; a fast peer does not keep the loop to itself."""
        if (count := self._stream.read_now(view)) is not None:
            await _checkpoint()
        while count is None:
            await self._stream.readable()
            count = self._stream.read_now(view)
        if not count:
            length = self._head.length or 0
            raise truncated(self._stream.origin, length - self._left, length)
        return count

    async def _read_framed(self, view: memoryview, parser: Parser) -> int:
        """Through h11: chunked, or up to the end of the connection (RFC 9112 sections 7.1 and 6.3)."""
        count = self._take_kept(view)
        events = 0
        while count < len(view):
            data = parser.body()
            if data:
                self._kept = data
                count += self._take_kept(view[count:])
            elif data is not None:
                self._finish(excess=parser.excess)
                break
            elif count:
                break
            else:
                parser.feed(await self._receive_framed(parser))
            events += 1
            if events % _EVENTS_PER_TURN == 0:
                await _checkpoint()  # tiny chunks cost 30 µs each: the others get their turn
        return count

    async def _receive_framed(self, parser: Parser) -> bytes:
        data = await _received(self._stream)
        if not data and parser.chunked:
            raise broken(self._stream.origin)
        return data

    def _take_kept(self, view: memoryview) -> int:
        if not self._kept:
            return 0
        count = min(len(self._kept), len(view))
        view[:count] = self._kept[:count]
        self._kept = self._kept[count:]
        return count

    def _finish(self, *, excess: bool) -> None:
        """The body is whole. A peer that says more than it declared is not listened to again (RFC 9112 section 6.3)."""
        self._complete = True
        self._reusable = self._reusable and not excess

    async def aclose(self) -> None:
        """Give the connection back if it may be used again, else close it. Never waits."""
        if self._closed:
            return
        self._closed = True
        if self._complete and self._reusable:
            self._give_back(self._stream)
        else:
            self._stream.close()


async def _checkpoint() -> None:
    """Give the others their turn."""
    await anyio.sleep(0)  # noqa: ASYNC115  # `anyio.lowlevel` would be a millisecond of `import staging`


def broken(origin: Origin) -> DownloadError:
    """Return the error for a connection that ended in the middle."""
    return DownloadError("interrupted", f"the connection to {origin} broke", retryable=True)


def truncated(origin: Origin, size: int, length: int) -> DownloadError:
    """Return the error for a peer that ended a body before its declared length."""
    detail = f"truncated: {origin} sent {size:,} of {length:,} bytes"
    return DownloadError("size_mismatch", detail, retryable=True)


def _plain(error: Exception) -> str:
    """Return h11's words without the peer's bytes."""
    return one_line(str(error).partition(":")[0], limit=100)
