"""HTTP/1.1 GET over h11: the pool, the exchange, an `httpx.AsyncBaseTransport`.

Theory of operation. One exchange is one request and one response on one connection. A response head of the ordinary
kind is recognised by one regular expression, narrower than the grammar; every other one is read by h11, so that all of
RFC 9112 is enforced by a library that does nothing else (that split saves a third of a small file's time). What follows
depends on the framing (RFC 9112 section 6.3): a body with a Content-Length is read past h11, from the socket straight
into the buffer of whoever asks (`Body.readinto`); chunked and close-delimited bodies go through h11.

Connections that have said all they had to say go back to the pool, a dictionary keyed by origin. Before one is used
again it must be silent; a server may still close it at that moment, so an exchange on a used connection that breaks
before the first byte of the response is made once more on a fresh one (RFC 9112 section 9.3.1: GET is idempotent).
Anything unusual on a connection ends it: there is no state worth rescuing.

Nothing here waits for ever, because nothing here waits on its own account: deadlines belong to the caller's cancel
scope, and every await may be cancelled, which closes the connection.
"""

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import anyio
import anyio.lowlevel
import h11
import httpx

from staging._dial import Origin, Stream, dial
from staging._errors import DownloadError
from staging._policy import UrlPolicy
from staging._policy import origin as url_origin
from staging._text import one_line

IDLE_SECONDS: Final = 30.0  # shorter than any CDN's keep-alive, so that reuse seldom meets a closed connection
MAX_IDLE: Final = 32
MAX_HEAD: Final = 32_768  # a response head larger than this is a bomb
MAX_INFORMATIONAL: Final = 8  # 1xx responses before the real one (RFC 9110 section 15.2); endless ones are an attack
CHUNK: Final = 65_536  # bytes received at once, where h11 or nobody has a better buffer
_NO_BODY = frozenset({204, 304})  # whatever they declare (RFC 9112 section 6.3)
_MAX_DIGITS = 18  # of a length that fits 64 bits
_EVENTS_PER_TURN = 32

# Possessive quantifiers: nothing that a peer sends makes these go back.
_LINES = rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"  # RFC 9110 sections 5.1 and 5.5
_ORDINARY = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n(" + _LINES + rb")\r\n")
_REQUEST = re.compile(rb"GET [\x21-\x7e]++ HTTP/1\.1\r\n" + _LINES + rb"\r\n")

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""The one seam to the network: a request in, a response with its body unread out."""


class Transport(httpx.AsyncBaseTransport):
    """A GET-only client: connects where `policy` admits it, keeps connections warm, hands out unread bodies.

    Args:
        policy: judges every address before it is dialled.
        tls: trust for https; None: the system's.
    """

    def __init__(self, policy: UrlPolicy, tls: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._tls = tls
        self._idle: dict[Origin, list[tuple[float, Stream]]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return the response with its body unread.

        The response must be closed: a body that was read to its end gives its connection back, any other ends it.

        Raises:
            RejectedError: if the host resolves to an address that is not admitted.
            DownloadError: ``connect``, ``interrupted`` or ``protocol``.
        """
        origin = Origin(*url_origin(request.url))
        while (stream := self._warm(origin)) is not None:
            try:
                return await self._exchange(stream, request, used=True)
            except _StaleError:
                continue
        stream = await dial(origin, self._policy, self._tls)
        try:
            return await self._exchange(stream, request, used=False)
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

    async def _exchange(self, stream: Stream, request: httpx.Request, *, used: bool) -> httpx.Response:
        try:
            head = await exchange(stream, request, used=used)
        except BaseException:
            stream.close()
            raise
        body = Body(stream, head, self._give_back)
        return httpx.Response(head.status, headers=head.fields, stream=body, request=request)

    def _warm(self, origin: Origin) -> Stream | None:
        """Take the youngest idle connection that still lives; close those that do not."""
        waiting = self._idle.get(origin, [])
        while waiting:
            since, stream = waiting.pop()
            if anyio.current_time() - since < IDLE_SECONDS and stream.silent():
                return stream
            stream.close()
        return None

    def _give_back(self, stream: Stream) -> None:
        """Keep a connection for the next exchange with its origin."""
        waiting = self._idle.setdefault(stream.origin, [])
        if self._closed or sum(map(len, self._idle.values())) >= MAX_IDLE:
            stream.close()
        else:
            waiting.append((anyio.current_time(), stream))


class _StaleError(Exception):
    """The request was not answered: the connection ended, or still held the rest of the exchange before."""


class Head(NamedTuple):
    """What a response says before its body.

    Args:
        status: the final status code.
        fields: names and values as received.
        length: the body's bytes, or None if only the framing tells.
        persistent: whether the peer will answer again on this connection.
        rest: what was received behind the head; body bytes, unless h11 has them.
        http: h11's state, if the body's framing needs it.
    """

    status: int
    fields: list[tuple[bytes, bytes]]
    length: int | None
    persistent: bool
    rest: bytes = b""
    http: h11.Connection | None = None


async def exchange(stream: Stream, request: httpx.Request, *, used: bool) -> Head:
    """Send a GET request and return the final response head.

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
        await stream.send(request_head(request))
        first = await _receive(stream)
    except OSError as error:
        raise _StaleError from error
    if not first or (used and first[:5] != b"HTTP/"[: len(first)]):
        raise _StaleError
    return ordinary_head(first) or await _any_head(stream, first)


def request_head(request: httpx.Request) -> bytes:
    """Return the request as it goes over the wire.

    Raises:
        DownloadError: ``invalid``, if it is not a request of one line and plain fields (RFC 9112 sections 3 and 5):
            nothing in it can end a line.
    """
    fields = b"".join(b"%b: %b\r\n" % field for field in request.headers.raw)
    data = b"GET %b HTTP/1.1\r\n%b\r\n" % (request.url.raw_path, fields)
    if request.method != "GET" or not _REQUEST.fullmatch(data):
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
    fields: list[tuple[bytes, bytes]] = []
    length, persistent = None, True
    for line in match[2].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        key, value = name.lower(), value.strip(b" \t")
        fields.append((name, value))
        if key == b"content-length":
            if length is not None or not value.isdigit() or len(value) > _MAX_DIGITS:
                return None
            length = int(value)
        elif key == b"connection":
            persistent = persistent and b"close" not in value.lower()
        elif key == b"transfer-encoding":
            return None
    status = int(match[1])
    if length is None or status in _NO_BODY:
        return None
    return Head(status, fields, length, persistent, data[match.end() :])


async def _any_head(stream: Stream, first: bytes) -> Head:
    """Let h11 read the head that begins with `first`."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))  # to put h11 where this connection is
    http.send(h11.EndOfMessage())
    http.receive_data(first)
    informational = 0
    while True:
        event = next_event(http, stream.origin)
        if event is h11.NEED_DATA:
            http.receive_data(await _receive_more(stream))
        elif type(event) is h11.Response:
            return _judged(event, http, stream.origin)
        elif type(event) is h11.InformationalResponse and informational < MAX_INFORMATIONAL:
            informational += 1
        else:
            raise DownloadError("protocol", f"{stream.origin} did not send a final response")


def _judged(head: h11.Response, http: h11.Connection, origin: Origin) -> Head:
    """Return h11's head as ours.

    Raises:
        DownloadError: ``protocol``, for another version, and if both Content-Length and Transfer-Encoding are there:
            that is a smuggler's message (RFC 9112 section 6.3).
    """
    known = dict(head.headers)
    if head.http_version not in {b"1.0", b"1.1"}:
        raise DownloadError("protocol", f"{origin} did not answer in HTTP/1.1")
    if b"transfer-encoding" in known and b"content-length" in known:
        raise DownloadError("protocol", f"{origin} declared the length twice")
    length = 0 if head.status_code in _NO_BODY else known.get(b"content-length")
    fields = [(bytes(name), bytes(value)) for name, value in head.headers.raw_items()]
    if length is None:
        return Head(head.status_code, fields, None, _persists(head), http=http)
    return Head(head.status_code, fields, int(length), _persists(head), http.trailing_data[0])


def _persists(head: h11.Response) -> bool:
    """Whether the peer will answer again on this connection (RFC 9112 section 9.3)."""
    said = b",".join(value for name, value in head.headers if name == b"connection").lower()
    return head.http_version == b"1.1" and b"close" not in said


def next_event(http: h11.Connection, origin: Origin) -> object:
    """Return what h11 makes of the bytes so far.

    Raises:
        DownloadError: ``protocol``, if they are not acceptable HTTP.
    """
    try:
        return http.next_event()
    except h11.RemoteProtocolError as error:
        raise DownloadError("protocol", f"{origin} did not speak HTTP: {_plain(error)}") from None


async def _receive(stream: Stream) -> bytes:
    """Return the next bytes, all of one read; none at the end."""
    view = memoryview(bytearray(CHUNK))
    while (count := stream.read_now(view)) is None:
        await stream.readable()
    return bytes(view[:count])


async def _receive_more(stream: Stream) -> bytes:
    """Return the next bytes.

    Raises:
        DownloadError: ``interrupted``, if there are none.
    """
    try:
        data = await _receive(stream)
    except OSError as error:
        raise broken(stream.origin) from error
    if not data:
        raise broken(stream.origin)
    return data


def take(stream: Stream, view: memoryview) -> int | None:
    """Take what is there, without waiting: None if that is nothing yet, 0 at the end."""
    count = 0
    while count < len(view):
        new = stream.read_now(view[count:])
        if not new:
            return count or new
        count += new
    return count


async def fill(stream: Stream, view: memoryview) -> int:
    """Wait for the first byte, then take what is there; 0 is the end. Never waits when something is there already."""
    while (count := take(stream, view)) is None:
        await stream.readable()
    return count


class Body(httpx.AsyncByteStream):
    """The bytes of one response body, exactly as framed: undecoded, and never more than were declared.

    Attributes:
        length: the declared Content-Length, or None if the framing does not tell.
    """

    def __init__(self, stream: Stream, head: Head, give_back: Callable[[Stream], None]) -> None:
        self.length = head.length
        self._stream = stream
        self._give_back = give_back
        self._reusable = head.persistent
        self._http = head.http
        self._chunked = any(name.lower() == b"transfer-encoding" for name, _ in head.fields) if head.http else False
        self._kept = head.rest
        self._left = head.length
        self._complete = False
        self._closed = False
        if self._left == 0:
            self._finish(excess=bool(self._kept))

    async def readinto(self, view: memoryview) -> int:
        """Read body bytes into `view`; return their number, at least one, or 0 at the end of the body.

        Raises:
            DownloadError: ``size_mismatch`` if the peer ended a declared body early, ``interrupted`` if the connection
                broke, ``protocol`` if the framing is not acceptable.
        """
        if self._complete:
            return 0
        try:
            return await (self._read_counted(view) if self._http is None else self._read_framed(view, self._http))
        except OSError as error:
            raise broken(self._stream.origin) from error

    async def _read_counted(self, view: memoryview) -> int:
        """Past h11: the socket writes into the caller's buffer (RFC 9112 section 6.2)."""
        left = self._left or 0
        view = view[:left]
        count = self._take_kept(view)
        if count < len(view):
            new = take(self._stream, view[count:]) if count else await fill(self._stream, view)
            if new == 0 and not count:
                raise truncated(self._stream.origin, (self.length or 0) - left, self.length or 0)
            count += new or 0
        self._left = left - count
        if not self._left:
            self._finish(excess=bool(self._kept))
        return count

    async def _read_framed(self, view: memoryview, http: h11.Connection) -> int:
        """Through h11: chunked, or up to the end of the connection (RFC 9112 sections 7.1 and 6.3)."""
        count = self._take_kept(view)
        events = 0
        while count < len(view):
            event = next_event(http, self._stream.origin)
            if type(event) is h11.Data:
                self._kept = bytes(event.data)
                count += self._take_kept(view[count:])
            elif event is not h11.NEED_DATA:
                self._finish(excess=bool(http.trailing_data[0]))
                break
            elif count:
                break
            else:
                http.receive_data(await self._receive_framed())
            events += 1
            if events % _EVENTS_PER_TURN == 0:
                await anyio.lowlevel.checkpoint()  # tiny chunks cost 30 µs each: the others get their turn
        return count

    async def _receive_framed(self) -> bytes:
        data = await _receive(self._stream)
        if not data and self._chunked:
            raise broken(self._stream.origin)
        return data

    def _take_kept(self, view: memoryview) -> int:
        count = min(len(self._kept), len(view))
        view[:count] = self._kept[:count]
        self._kept = self._kept[count:]
        return count

    def _finish(self, *, excess: bool) -> None:
        """The body is whole. A peer that says more than it declared is not listened to again (RFC 9112 section 6.3)."""
        self._complete = True
        self._reusable = self._reusable and not excess

    async def __aiter__(self) -> AsyncIterator[bytes]:
        view = memoryview(bytearray(CHUNK))
        while count := await self.readinto(view):
            yield bytes(view[:count])
            await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Give the connection back if it may be used again, else close it. Never waits."""
        if self._closed:
            return
        self._closed = True
        if self._complete and self._reusable:
            self._give_back(self._stream)
        else:
            self._stream.close()


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
