"""HTTP/1.1 GET over h11: the pool, the exchange, an `httpx.AsyncBaseTransport`.

Theory of operation. One exchange is one request and one response on one connection. h11 writes the request and parses
the response head, so the grammar of RFC 9112 is enforced by a library that does nothing else. What follows depends on
the framing (RFC 9112 section 6.3): a body with a Content-Length is read past h11, from the socket straight into the
buffer of whoever asks (`Body.readinto`); chunked and close-delimited bodies go through h11.

Connections that have said all they had to say go back to the pool, a dictionary keyed by origin. Before one is used
again it must be silent; a server may still close it at that moment, so an exchange on a used connection that breaks
before the first byte of the response is made once more on a fresh one (RFC 9112 section 9.3.1: GET is idempotent).
Anything unusual on a connection ends it: there is no state worth rescuing.

Nothing here waits for ever, because nothing here waits on its own account: deadlines belong to the caller's cancel
scope, and every await may be cancelled, which closes the connection.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

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
HEAD_BYTES: Final = 65_536  # one read of the head; what follows the head in it is body
MAX_HEAD: Final = 32_768  # a response head larger than this is a bomb
MAX_INFORMATIONAL: Final = 8  # 1xx responses before the real one (RFC 9110 section 15.2); endless ones are an attack
CHUNK: Final = 65_536
_EVENTS_PER_TURN = 32

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
                return await self._exchange(stream, request)
            except _StaleError:
                continue
        stream = await dial(origin, self._policy, self._tls)
        try:
            return await self._exchange(stream, request)
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

    async def _exchange(self, stream: Stream, request: httpx.Request) -> httpx.Response:
        exchange = _Exchange(stream)
        try:
            head = await exchange.head(request)
            body = Body(exchange, head, self._give_back)
        except BaseException:
            stream.close()
            raise
        headers = [(bytes(name), bytes(value)) for name, value in head.headers.raw_items()]
        return httpx.Response(head.status_code, headers=headers, stream=body, request=request)

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
    """The connection ended before the first byte of a response: the request was not answered."""


class _Exchange:
    """One request and one response head; knows h11 and the connection, not the body's destination."""

    __slots__ = ("_heard", "http", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._heard = False

    async def head(self, request: httpx.Request) -> h11.Response:
        """Send the request and return the final response head."""
        await self._send(request)
        informational = 0
        while True:
            event = self.next_event()
            if event is h11.NEED_DATA:
                await self._hear()
            elif type(event) is h11.Response:
                return self._of_our_version(event)
            elif type(event) is h11.InformationalResponse and informational < MAX_INFORMATIONAL:
                informational += 1
            else:
                raise DownloadError("protocol", f"{self.stream.origin} did not send a final response")

    def _of_our_version(self, head: h11.Response) -> h11.Response:
        if head.http_version not in {b"1.0", b"1.1"}:
            raise DownloadError("protocol", f"{self.stream.origin} did not answer in HTTP/1.1")
        return head

    async def _send(self, request: httpx.Request) -> None:
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            data = (self.http.send(head) or b"") + (self.http.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise DownloadError("invalid", f"the request cannot be sent: {_plain(error)}") from None
        try:
            await self.stream.send(data)
        except OSError as error:
            raise _StaleError from error

    async def _hear(self) -> None:
        view = memoryview(bytearray(HEAD_BYTES))
        try:
            count = await fill(self.stream, view)
        except OSError as error:
            raise (broken(self.stream.origin) if self._heard else _StaleError()) from error
        if not count:
            raise broken(self.stream.origin) if self._heard else _StaleError()
        self._heard = True
        self.http.receive_data(bytes(view[:count]))

    def next_event(self) -> object:
        """Return what h11 makes of the bytes so far.

        Raises:
            DownloadError: ``protocol``, if they are not acceptable HTTP.
        """
        try:
            return self.http.next_event()
        except h11.RemoteProtocolError as error:
            raise DownloadError("protocol", f"{self.stream.origin} did not speak HTTP: {_plain(error)}") from None


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

    def __init__(self, exchange: _Exchange, head: h11.Response, give_back: Callable[[Stream], None]) -> None:
        self._exchange = exchange
        self._stream = exchange.stream
        self._give_back = give_back
        self._reusable = _keeps_alive(head)
        self._complete = False
        self._closed = False
        self.length = _declared_length(head, exchange.stream.origin)
        self._chunked = b"transfer-encoding" in dict(head.headers)
        self._kept = b"" if self.length is None else exchange.http.trailing_data[0]
        self._left = self.length
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
            return await (self._read_framed(view) if self._left is None else self._read_counted(view))
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

    async def _read_framed(self, view: memoryview) -> int:
        """Through h11: chunked, or up to the end of the connection (RFC 9112 sections 7.1 and 6.3)."""
        count = self._take_kept(view)
        events = 0
        while count < len(view):
            event = self._exchange.next_event()
            if type(event) is h11.Data:
                self._kept = bytes(event.data)
                count += self._take_kept(view[count:])
            elif event is not h11.NEED_DATA:
                self._finish(excess=bool(self._exchange.http.trailing_data[0]))
                break
            elif count:
                break
            else:
                await self._hear()
            events += 1
            if events % _EVENTS_PER_TURN == 0:
                await anyio.lowlevel.checkpoint()  # tiny chunks cost 30 µs each: the others get their turn
        return count

    async def _hear(self) -> None:
        view = memoryview(bytearray(CHUNK))
        count = await fill(self._stream, view)
        if not count and self._chunked:
            raise broken(self._stream.origin)
        self._exchange.http.receive_data(bytes(view[:count]))

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


def _declared_length(head: h11.Response, origin: Origin) -> int | None:
    """Return the number of body bytes, or None if only the framing tells (RFC 9112 section 6.3).

    Raises:
        DownloadError: ``protocol``, if both Content-Length and Transfer-Encoding are there: a smuggler's message.
    """
    fields = dict(head.headers)
    if b"transfer-encoding" in fields:
        if b"content-length" in fields:
            raise DownloadError("protocol", f"{origin} declared the length twice")
        return None
    if head.status_code in {204, 304}:
        return 0
    length = fields.get(b"content-length")
    return None if length is None else int(length)


def _keeps_alive(head: h11.Response) -> bool:
    """Whether the peer will answer again on this connection (RFC 9112 section 9.3)."""
    tokens = {
        token.strip().lower() for name, value in head.headers if name == b"connection" for token in value.split(b",")
    }
    return head.http_version == b"1.1" and b"close" not in tokens


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
