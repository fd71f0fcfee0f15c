"""The body of a response, on a connection of ours."""

from collections.abc import Callable, Mapping
from typing import Final

from staging._errors import DownloadError
from staging._net.http1 import Head, Parser
from staging._net.stream import Stream, broken, checkpoint, received
from staging._net.urls import Origin

TURN: Final = 262_144  # bytes that one body takes before the others have their turn; a few tenths of a millisecond
_EVENTS_PER_TURN = 32


class FramedResponse:
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
            await checkpoint()
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
                await checkpoint()  # tiny chunks cost 30 µs each: the others get their turn
        return count

    async def _receive_framed(self, parser: Parser) -> bytes:
        data = await received(self._stream)
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


def truncated(origin: Origin, size: int, length: int) -> DownloadError:
    """Return the error for a peer that ended a body before its declared length."""
    detail = f"truncated: {origin} sent {size:,} of {length:,} bytes"
    return DownloadError("size_mismatch", detail, retryable=True)
