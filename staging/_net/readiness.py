"""Wait until a socket has something to read.

Theory of operation. anyio registers a socket with the event loop for each wait, and takes it out again. That is a tenth
of the time that a small file costs. So on asyncio a socket stays registered between two waits. It is taken out when the
loop reports bytes twice while nothing waits for them: a response that waits for the disk must not keep the loop
turning.
"""

import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from staging._threads import loop_of_asyncio

if TYPE_CHECKING:
    import asyncio


class Readiness:
    """Tells when a socket is readable, for one task at a time.

    Args:
        sock: not blocking.
    """

    __slots__ = ("_fd", "_fetch", "_loop", "_registered", "_sock", "_unwanted", "_waiter")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = loop_of_asyncio()  # trio has a way of its own
        self._waiter: asyncio.Future[None] | None = None
        self._fetch: Callable[[], object] = bool
        self._registered = False
        self._unwanted = 0

    async def wait(self, fetch: Callable[[], object] = bool) -> None:
        """Wait until there is something to read, or perhaps is.

        Args:
            fetch: called then. In the loop's own report, which is not repeated if the socket is empty after it.

        Raises:
            OSError: what `fetch` raises.
        """
        loop = self._loop
        if loop is not None and not self._registered:
            try:
                loop.add_reader(self._fd, self._report)
                self._registered = True
            except NotImplementedError:  # Windows' own loop
                loop = self._loop = None
        if loop is None:
            await anyio.wait_readable(self._sock)
            fetch()
            return
        self._fetch = fetch
        self._unwanted = 0
        self._waiter = waiter = loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def is_of_this_loop(self) -> bool:
        """Tell whether `wait` may be called in the event loop that runs here."""
        return self._loop is None or self._loop is loop_of_asyncio()

    def _report(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._unwanted += 1  # the first one may be of bytes that have been read meanwhile
            if self._unwanted > 1:
                self._leave()
            return
        try:
            self._fetch()
        except Exception as error:  # noqa: BLE001  # raised where the socket is awaited
            waiter.set_exception(error)
        else:
            waiter.set_result(None)

    def _leave(self) -> None:
        if self._registered and self._loop is not None:
            self._registered = False
            self._loop.remove_reader(self._fd)

    def close(self) -> None:
        """Close the socket at once, or in its own event loop if that runs in another thread."""
        loop = self._loop
        if loop is not None and self._registered and loop.is_running() and not _runs_here(loop):
            loop.call_soon_threadsafe(self._close)  # its number must not be used again before it is taken out
        else:
            self._close()

    def _close(self) -> None:
        self._leave()
        self._sock.close()


def _runs_here(loop: "asyncio.AbstractEventLoop") -> bool:
    try:
        return sys.modules["asyncio"].get_running_loop() is loop
    except RuntimeError:  # none runs in this thread
        return False
