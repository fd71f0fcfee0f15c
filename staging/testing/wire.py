"""Send the steps of a plan over one connection, plain or under TLS."""

import contextlib
import functools
import os
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import anyio.lowlevel

from staging.testing.faults import Hold, Reset, Stall, Truncate
from staging.testing.plan import SLICE, Pause, Step

if sys.platform != "win32":
    import fcntl

_MAX_HEAD = 65_536
GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)  # an ssl.SSLError is one


class Wire:
    """Send and receive on a non-blocking socket.

    It has no buffer of its own. What was sent has left, so a reset after k bytes is exact.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    async def receive(self) -> bytes:
        """Return the next bytes, or raise `anyio.EndOfStream` at the end."""
        while True:
            try:
                data = self._socket.recv(SLICE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            else:
                if not data:
                    raise anyio.EndOfStream
                return data

    async def send(self, data: bytes | memoryview) -> None:
        """Send everything."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
        await anyio.lowlevel.checkpoint()  # a client that reads as fast as this must not keep the loop for itself

    async def finish(self) -> None:
        """Say that nothing more comes, and wait for the client to close too."""
        await self.truncate()

    async def truncate(self) -> None:
        """Send FIN and wait for the client to close.

        When it does, `anyio.EndOfStream` is raised.
        """
        self._socket.shutdown(socket.SHUT_WR)
        while True:  # a close with unread bytes would become a reset, and take the sent ones with it
            await Wire.receive(self)

    async def reset(self) -> None:
        """Close with RST (a linger time of 0).

        Before that, everything that was sent has reached the client's side.
        """
        siocoutqnsd = 0x894B  # linux/sockios.h: not sent yet; unlike SIOCOUTQ it does not wait for a delayed ACK
        # what still waits in the kernel would be lost, and it has no event for this
        while sys.platform == "linux" and any(fcntl.ioctl(self._socket, siocoutqnsd, bytes(4))):  # noqa: ASYNC110
            await anyio.sleep(0.001)
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()
        raise anyio.EndOfStream


class TlsWire(Wire):
    """Do the same under TLS.

    anyio's stream would drop the alert that tells the client why a handshake failed.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def receive(self) -> bytes:
        """Return the next bytes, decrypted, or raise `anyio.EndOfStream` at the end."""
        data: bytes = await self._drive(self._tls.read, SLICE)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, data: bytes | memoryview) -> None:
        """Send everything, encrypted."""
        left = memoryview(data)
        while left:  # OpenSSL takes one record at a time
            left = left[await self._drive(self._tls.write, left) :]

    async def finish(self) -> None:
        """Close the connection as TLS does, and then as TCP does."""
        with contextlib.suppress(*GONE):
            await self._drive(self._tls.unwrap)  # close_notify
        await self.truncate()

    async def _drive(self, operation: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                return operation(*args)
            except ssl.SSLWantReadError:
                await super().send(self._out.read())
                self._in.write(await super().receive())
            finally:
                await super().send(self._out.read())


class Connection:
    """Read one client's requests and send its replies step by step.

    A connection that ends raises one of `GONE`.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()

    async def read_head(self) -> bytes | None:
        """Return a request's head, or None if what came is none.

        That shows early, since a TLS hello has no line end.
        """
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEAD or (self._buffer and not self._buffer[:1].isalpha()):
                return None
            self._buffer += await self._wire.receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return bytes(head)

    async def perform(self, steps: Iterable[Step]) -> None:
        """Do the steps of a plan.

        One that ends the connection raises `anyio.EndOfStream`.
        """
        for step in steps:
            match step:
                case Pause():
                    await self._while_connected(functools.partial(anyio.sleep, step.seconds))
                case Hold():
                    await self._while_connected(step.stand)
                case Stall():
                    await self._while_connected(anyio.sleep_forever)
                case Reset():
                    await self._wire.reset()
                case Truncate():
                    await self._wire.truncate()
                case _:
                    await self._wire.send(step)

    async def _while_connected(self, wait: Callable[[], Awaitable[Any]]) -> None:
        gone = False

        async def watch(scope: anyio.CancelScope) -> None:
            nonlocal gone
            with contextlib.suppress(*GONE):
                while len(self._buffer) < _MAX_HEAD:
                    self._buffer += await self._wire.receive()
                await anyio.sleep_forever()
            gone = True
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            await wait()
            group.cancel_scope.cancel()
        if gone:
            raise anyio.EndOfStream
