"""Send GET requests over HTTP/1.1 and keep the connections.

Theory of operation. One exchange is one request and one response on one connection. Connections whose response was read
to its end go back to the pool. Before one is used again it must be silent. A server may still close it at that moment.
So if a used connection breaks before the first byte of the response, the exchange is made once more on a fresh one. GET
is idempotent (RFC 9112 section 9.3.1). Anything unusual on a connection ends it.

Only connecting has a timeout of its own. Every other deadline belongs to the caller's cancel scope, and every await may
be cancelled, which closes the connection.
"""

import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from staging._errors import DownloadError, WorkspaceError
from staging._net.body import FramedResponse
from staging._net.dial import Resolver, dial
from staging._net.http1 import Head, HeadReader, Request, load_h11, ordinary_head, request_bytes
from staging._net.policy import UrlPolicy
from staging._net.stream import CHUNK, Stream, broken
from staging._net.urls import Origin
from staging._threads import in_thread

IDLE_SECONDS: Final = 30.0  # shorter than any CDN's keep-alive, so that reuse seldom meets a closed connection
MAX_IDLE: Final = 32


class Response(Protocol):
    """What came back, with the body unread.

    It must be closed: a body that was read to its end gives its connection back, any other ends it.

    Attributes:
        status: the final status code.
        length: the body's bytes as declared, or None if only the framing tells.
    """

    status: int
    length: int | None

    def field(self, name: bytes, /) -> bytes | None:
        """Return a field's value as it was received.

        Several values are joined by commas (RFC 9110 section 5.3).

        Args:
            name: in lower case.
        """
        ...

    async def readinto(self, view: memoryview) -> int:
        """Read undecoded body bytes into `view` and return their number.

        It is 0 only at the end of the body.

        Raises:
            DownloadError: ``size_mismatch`` if the peer ended a declared body early, ``interrupted`` if the connection
                broke, ``protocol`` if the framing is not acceptable.
        """
        ...

    async def aclose(self) -> None:
        """End the exchange."""
        ...


Send = Callable[[Request], Awaitable[Response]]
"""The one way to the network: a request in, a response with its body unread out; it raises only `StagingError`."""


class Transport:
    """An HTTP client for GET requests, with connections kept open.

    It connects only where its policy admits it.

    Args:
        policy: judges every address before it is dialled.
        tls: trust for https; None: the system's.
    """

    def __init__(self, policy: UrlPolicy, tls: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._tls = tls
        self._resolver = Resolver()
        self._idle: list[tuple[float, Stream]] = []  # since when; the last one was given back last
        self._closed = False

    async def send(self, request: Request) -> FramedResponse:
        """Send the request and return the response with its body unread.

        Raises:
            RejectedError: if the host resolves to an address that is not admitted.
            DownloadError: ``connect``, ``interrupted``, ``protocol``, or ``invalid``, if the request is not one of
                plain lines.
            WorkspaceError: ``storage``, if there is no descriptor for a socket.
        """
        origin, data = request.target.origin, request_bytes(request)
        while True:
            stream = self._warm(origin)
            used = stream is not None
            if stream is None:
                stream = await self._dial(request)
            try:
                await stream.send(data)
                head = await answer(stream, request.on_step, used=used)
            except WorkspaceError:  # an OSError, but not the connection's
                stream.close()
                raise
            except (StaleError, OSError) as stale:
                stream.close()
                if not used:
                    detail = f"{origin} hung up without an answer"
                    raise DownloadError("interrupted", detail, host=origin.host) from stale
            except BaseException:
                stream.close()
                raise
            else:
                return FramedResponse(stream, head, self._release, request.on_step)

    def close(self) -> None:
        """Close every idle connection, and later the others.

        Each of the others is closed as soon as it is given back.
        """
        self._closed = True
        self._close_idle()

    def __repr__(self) -> str:
        count = Counter(stream.origin for _, stream in self._idle)
        idle = ", ".join(f"{number} to {origin}" for origin, number in count.items())
        return f"<Transport: {'closed' if self._closed else f'idle connections: {idle or 0}'}>"

    def _warm(self, origin: Origin) -> Stream | None:
        """Return the youngest idle connection that is still usable, or None.

        Those that are not usable are closed.
        """
        for idle in self._idle[::-1]:
            since, stream = idle
            if stream.origin != origin:
                continue
            self._idle.remove(idle)
            if time.monotonic() - since < IDLE_SECONDS and stream.silent():
                return stream
            stream.close()
        return None

    async def _dial(self, request: Request) -> Stream:
        """Connect, and close idle connections if no descriptor is free."""
        origin, on_step = request.target.origin, request.on_step
        try:
            return await dial(origin, self._policy, self._tls, self._resolver, on_step)
        except WorkspaceError:
            if not self._idle:
                raise
            self._close_idle()
            return await dial(origin, self._policy, self._tls, self._resolver, on_step)

    def _release(self, stream: Stream, *, reusable: bool) -> None:
        """Keep a connection for the next exchange, or close it.

        It is kept if it may be used again. Beyond `MAX_IDLE`, the one that has waited longest is closed.
        """
        if not reusable or self._closed:
            stream.close()
            return
        self._idle.append((time.monotonic(), stream))
        if len(self._idle) > MAX_IDLE:
            self._idle.pop(0)[1].close()  # else servers that are never asked again would keep out all others

    def _close_idle(self) -> None:
        for _, stream in self._idle:
            stream.close()
        self._idle.clear()


class StaleError(Exception):
    """The connection did not answer the request.

    It ended, or it still held the rest of the exchange before.
    """


async def answer(stream: Stream, on_step: Callable[[str], None], *, used: bool) -> Head:
    """Return the head of the final response to the request that was sent.

    Args:
        stream: the connection.
        on_step: told when bytes came that are no complete head yet.
        used: whether the connection has served another exchange before.

    Raises:
        DownloadError: ``interrupted`` or ``protocol``.
        WorkspaceError: ``storage``, if the process is full.
        OSError: if the connection broke before the first byte of a response.
        StaleError: if it ended before that, or a used one begins with what must be the late rest of the exchange
            before.
    """
    data = None
    while data is None:  # no server answers at once, so a first look would be in vain
        await stream.readable()
        data = stream.receive_now(CHUNK)
    if not data or (used and data[:5] != b"HTTP/"[: len(data)]):
        raise StaleError
    if (head := ordinary_head(data)) is not None:
        return head
    if "h11" not in sys.modules:
        await in_thread(load_h11)
    reader = HeadReader(stream.origin)
    while (head := reader.feed(data)) is None:
        on_step("")
        try:
            data = await stream.receive(CHUNK)
        except OSError as error:
            raise broken(stream.origin, error) from error
        if not data:
            raise broken(stream.origin)
    return head
