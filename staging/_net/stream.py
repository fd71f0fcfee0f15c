"""Bytes to and from one peer, plain or through TLS.

Theory of operation. A reader brings the buffer that its data is meant for. `Stream.read_now` tries without waiting, and
only when nothing is there is the event loop asked (`Stream.readable`). TLS is fed from memory. OpenSSL on a socket asks
the kernel twice for every record of 16 KB, and each time the kernel answers the peer. A quarter of a megabyte at once
costs one more copy, but less time in all. A peer decides what it sends, so the work of one call is bounded. `read_now`
asks the kernel once and opens a few records. A peer that sends too many records without data is refused.
"""

import contextlib
import select
import socket
import ssl
from collections.abc import Awaitable, Callable

import anyio

from staging._errors import DownloadError
from staging._net.readiness import Readiness
from staging._net.urls import Origin
from staging._threads import checkpoint

CHUNK = 65_536  # bytes received at once where there is no better buffer
MIN_RAW, MAX_RAW = 65_536, 262_144  # bytes asked of the kernel at once, under TLS; a stream keeps as much memory
_READS = 32  # records opened in one call: a quarter of a megabyte in full ones, and little work in tiny ones
_SHARE = 32  # of the bytes under TLS, one in so many is data at least; in records of one byte it is one in 23
_FLOOD = 131_072  # bytes beyond that: no honest peer has so many certificates, tickets and keys (RFC 8446 section 4)


class FloodError(ConnectionAbortedError):
    """The peer goes on sending bytes that are no data."""


class Stream:
    """Bytes to and from one peer, on a non-blocking socket.

    A result of 0 is the end, and None means that nothing has come yet.
    """

    __slots__ = ("_poll", "_readiness", "_sock", "origin")

    def __init__(self, sock: socket.socket, origin: Origin) -> None:
        self._sock = sock
        self._readiness = Readiness(sock)
        self._poll: select.poll | None = None
        self.origin = origin

    def read_now(self, view: memoryview) -> int | None:
        """Read some of what is there into `view`.

        Raises:
            OSError: if the connection broke; for TLS also if it ended without a close_notify (RFC 8446 section 6.1).
        """
        try:
            return self._sock.recv_into(view)
        except BlockingIOError:
            return None

    def receive_now(self, size: int) -> bytes | None:
        """Return up to `size` bytes of what is there.

        b"" is the end, and None means that nothing has come yet.

        Raises:
            OSError: as `read_now`.
        """
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            return None

    async def readinto(self, view: memoryview) -> int:
        """Wait for the next bytes and read them into `view`.

        A result of 0 is the end.

        Raises:
            OSError: as `read_now`.
        """
        while True:
            await self.readable()
            if (count := self.read_now(view)) is not None:
                return count

    async def receive(self, size: int) -> bytes:
        """Return the next bytes, or b"" at the end.

        It gives way to other tasks, so that a fast peer does not keep the loop to itself.

        Raises:
            OSError: as `read_now`.
        """
        if (data := self.receive_now(size)) is not None:
            await checkpoint()
        while data is None:
            await self.readable()
            data = self.receive_now(size)
        return data

    async def readable(self) -> None:
        """Wait until it is worth asking `read_now` again.

        Raises:
            OSError: as `read_now`.
        """
        await self._readiness.wait()

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        while data:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sock)

    def silent(self) -> bool:
        """Return whether an idle connection is open and has sent nothing, and belongs to this event loop.

        See RFC 9112 section 9.3.
        """
        if not self._readiness.is_of_this_loop():
            return False
        if not hasattr(select, "poll"):  # Windows
            return not select.select([self._sock], [], [], 0)[0]
        if self._poll is None:  # a look by `recv` raises if there is nothing, which takes ten times as long
            self._poll = select.poll()
            self._poll.register(self._sock, select.POLLIN)
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close at once, without waiting for anything."""
        self._readiness.close()


class TlsStream(Stream):
    """The same through TLS, verified against the origin's host name."""

    __slots__ = ("_incoming", "_outgoing", "_overhead", "_raw", "_tls")

    def __init__(self, sock: socket.socket, origin: Origin, context: ssl.SSLContext) -> None:
        super().__init__(sock, origin)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=origin.host)
        self._raw = MIN_RAW
        self._overhead = 0

    def read_now(self, view: memoryview) -> int | None:
        count, size, fetched = 0, len(view), False
        read: Callable[[int, memoryview], int] = self._tls.read  # type: ignore[assignment]  # given a view, it is that
        try:
            for _ in range(_READS):
                try:
                    new = read(size - count, view[count:])
                except ssl.SSLWantReadError:
                    if fetched or not self._fetch():  # once: what brings no data may go on for ever
                        break
                    fetched = True
                else:
                    count += new
                    if not new or count == size:
                        self._make_up(count)
                        return count
        except OSError:
            if not count:
                raise  # else the next call meets it again
        self._make_up(count)
        return count or None

    def receive_now(self, size: int) -> bytes | None:
        for fetched in (False, True):
            try:
                data = self._tls.read(size)
            except ssl.SSLWantReadError:
                if fetched or not self._fetch():
                    break
            else:
                self._make_up(len(data))
                return data
        return None

    def _make_up(self, count: int) -> None:
        """Let each byte of data make up for `_SHARE` other bytes."""
        self._overhead = max(0, self._overhead - _SHARE * count)

    def _fetch(self) -> bool:
        """Give OpenSSL the received bytes, and return whether there were any.

        Raises:
            OSError: as `read_now`. OpenSSL has asked for more, so there was no close_notify before this end: what it
                makes of that itself differs by version, and one bug of Python 3.11 made it nothing.
        """
        if self._overhead > _FLOOD:
            raise FloodError("records without data, one after the other")
        if self._outgoing.pending:
            return False  # the answer to what has come goes first, by `readable`
        try:
            data = self._sock.recv(self._raw)
        except BlockingIOError:
            return False
        if not data:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without a close_notify")
        self._incoming.write(data)
        self._overhead += len(data)
        if len(data) == self._raw:
            self._raw = min(2 * self._raw, MAX_RAW)  # the peer is faster than we are
        return True

    async def readable(self) -> None:
        if self._outgoing.pending:
            await self._flush()
        if not self._incoming.pending:
            self._raw = MIN_RAW
            await self._readiness.wait(self._fetch)  # before OpenSSL is asked, which would say that it has nothing

    async def send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self._tls.write(data) :]
            except ssl.SSLWantReadError:
                await self.readable()
        await self._flush()

    def _flush(self) -> Awaitable[None]:
        return super().send(self._outgoing.read())

    def silent(self) -> bool:
        # what has been fetched already lies where a look at the socket does not find it
        return not self._tls.pending() and not self._incoming.pending and super().silent()

    def close(self) -> None:
        if self._outgoing.pending:
            with contextlib.suppress(OSError):
                self._sock.send(self._outgoing.read())  # an alert: the peer learns why (RFC 8446 section 6.2)
        super().close()

    async def handshake(self) -> None:
        """Perform the TLS handshake, and verify the certificate.

        Raises:
            OSError: if one of the two fails.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.readable()
            else:
                return await self._flush()


def broken(origin: Origin, error: OSError | None = None) -> DownloadError:
    """Return the error for a connection that ended in the middle."""
    if isinstance(error, FloodError):
        return DownloadError(
            "protocol", f"{origin} sent TLS records without data, one after the other", host=origin.host
        )
    return DownloadError("interrupted", f"the connection to {origin} broke", host=origin.host)
