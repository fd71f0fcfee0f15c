"""The body of a response, on a connection of ours.

Theory of operation. A body with a Content-Length is read from the stream straight into the buffer of the reader, and so
is one that ends with the connection (RFC 9112 section 6.3). A chunked one passes through `Chunks`. A body that was read
to its end gives its connection back, any other ends it.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from staging._errors import DownloadError
from staging._net.http1 import Chunks, Head
from staging._net.stream import CHUNK, Stream, broken
from staging._net.urls import Origin
from staging._threads import checkpoint

TURN: Final = 262_144  # bytes that one body reads before other tasks run; a few tenths of a millisecond


class Release(Protocol):
    """Takes a connection back."""

    def __call__(self, stream: Stream, *, reusable: bool) -> None:
        """Keep it for the next exchange, or close it."""


class FramedResponse:
    """A `Response` whose body ends exactly where its framing says."""

    __slots__ = (
        "_chunks", "_complete", "_error", "_head", "_kept", "_left", "_on_step", "_release", "_stream",
        "field", "length", "status",
    )  # fmt: skip

    def __init__(self, stream: Stream, head: Head, release: Release, on_step: Callable[[str], None]) -> None:
        self.status = head.status
        self.length = head.length
        self.field = head.fields.get
        self._head = head
        self._stream: Stream | None = stream
        self._release = release
        self._on_step = on_step
        self._kept = head.rest
        self._left = head.length
        self._chunks = Chunks(stream.origin, head.rest) if head.chunked else None
        self._complete = head.length == 0
        self._error: OSError | None = None  # met behind bytes that had come before it

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """All fields, names in lower case."""
        return self._head.fields

    async def readinto(self, view: memoryview) -> int:
        if self._complete or (stream := self._stream) is None:
            return 0
        try:
            if self._error is not None:
                raise self._error
            return await (self._read(stream, view) if self._chunks is None else self._unchunk(stream, view))
        except OSError as error:
            raise broken(stream.origin, error) from error

    async def _read(self, stream: Stream, view: memoryview) -> int:
        """Read what is there, straight into the caller's buffer."""
        view = view[: TURN if self._left is None else min(self._left, TURN)]
        count = min(len(self._kept), len(view))
        if count:
            view[:count] = self._kept[:count]
            self._kept = self._kept[count:]
            if count < len(view):
                try:
                    count += stream.read_now(view[count:]) or 0  # nothing yet, or the end: the next call sees it again
                except OSError as error:  # the kernel tells it once, and what has come would be lost
                    self._error = error
        elif (now := stream.read_now(view)) is not None:
            count = now
            if count != self._left:  # the reader of a whole body has nothing left to do here
                await checkpoint()  # a fast peer does not keep the loop to itself
        else:
            count = await stream.readinto(view)
        if self._left is None:
            self._complete = not count
        else:
            self._left -= count
            self._complete = not self._left
            if not count:
                raise truncated(stream.origin, (self.length or 0) - self._left, self.length or 0)
        return count

    async def _unchunk(self, stream: Stream, view: memoryview) -> int:
        """Take the framing off what is there (RFC 9112 section 7.1)."""
        chunks = self._chunks
        assert chunks is not None  # noqa: S101  # for the type checker
        if chunks.pending:
            await checkpoint()
        while not (count := chunks.take(view)) and not chunks.ended:
            if not (data := await stream.receive(CHUNK)):
                raise broken(stream.origin)
            chunks.feed(data)
            self._on_step("")
        self._complete = chunks.ended
        return count

    async def aclose(self) -> None:
        """Give the connection back, or close it.

        It is given back if it may be used again. Never waits.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return
        # a connection with more bytes than declared is not used again (RFC 9112 section 6.3)
        excess = self._chunks.pending if self._chunks else bool(self._kept)
        framed = self._left is not None or self._chunks is not None
        self._release(stream, reusable=self._complete and self._head.persistent and framed and not excess)


def truncated(origin: Origin, size: int, length: int) -> DownloadError:
    """Return the error for a body shorter than declared."""
    detail = f"truncated: {origin} sent {size:,} of {length:,} bytes"
    return DownloadError("size_mismatch", detail, host=origin.host, size=size)
