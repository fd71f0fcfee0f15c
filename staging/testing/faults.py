"""Describe replies, and how they go wrong.

These are values. `plan` turns them into the steps of one response, and `server` takes the steps.
"""

import functools
import gzip
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import anyio

At = int | Literal["start", "head", "end"]
"""A place in a reply: a number of body bytes (negative: from the end, as in a slice), ``"start"`` before the first byte
of all, ``"head"`` in the middle of the head, or ``"end"`` after the last byte of the body (before the last chunk)."""

Headers = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]
"""Header fields; text is sent as UTF-8, bytes are sent as they are, and neither is checked."""

TlsFault = Literal["expired", "wrong_host", "self_signed", "tls1.0", "stall", "plain"]
"""What is wrong with the handshake: the certificate; TLS 1.0 only; no answer at all; an answer in plain HTTP."""


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the body in pieces of `size` bytes with a pause after each.

    Args:
        size: bytes in a piece.
        every: seconds of pause; 0 for as fast as it goes.
        head: whether the head drips too.
    """

    size: int = 1
    every: float = 0.1
    head: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing after `at` and keep the connection open.

    It stays so until the client goes away.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    at: At = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST) at `at`.

    Everything before that has reached the client's socket by then.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    at: At = 0


@dataclass(frozen=True, slots=True)
class Truncate:
    """Close the connection (FIN) at `at` as if that were the end.

    On TLS the close_notify alert is left out.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    at: At = 0


class Hold:
    """Stop the reply at `at` until the test calls `release`.

    The test waits for that moment with `reached`, so it needs no sleep.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    def __init__(self, at: At = "start") -> None:
        self.at: At = at
        self._reached = anyio.Event()
        self._released = anyio.Event()

    async def stand(self) -> None:
        """Wait until `release` is called, as the reply does."""
        self._reached.set()
        await self._released.wait()

    async def reached(self) -> None:
        """Return once a reply is held."""
        await self._reached.wait()

    def release(self) -> None:
        """Let the held reply go on.

        Later replies with the same `Hold` are not held any more.
        """
        self._released.set()


class Length:
    """Send `values` as Content-Length, whatever the body has.

    For example ``Length(10)``, ``Length("+5")`` or ``Length("5", "6")``. ``Length()`` sends none, and the end of the
    connection is the end of the body. A connection whose client still waits for bytes that were promised is closed.
    One that was promised too few stays open.
    """

    def __init__(self, *values: int | str) -> None:
        self.values: tuple[str, ...] = tuple(str(value) for value in values)


@dataclass(frozen=True, slots=True)
class Chunked:
    r"""Send the body with ``Transfer-Encoding: chunked``.

    Args:
        size: bytes in a chunk.
        extension: follows each chunk's size as it is; a ``;`` is yours to write.
        trailer: follows the last chunk as it is, for example ``b"X-Sum: 1\r\n"``.
    """

    size: int = 65_536
    extension: bytes = b""
    trailer: bytes = b""


@dataclass(frozen=True, slots=True)
class Endless:
    """Repeat the body for ever.

    The end of the connection ends it; with `Chunked` nothing does.
    """


Stop = Stall | Reset | Truncate | Hold
Fault = Drip | Stop | Length | Chunked | Endless
"""Any of the faults that a `Reply` or a `Raw` takes."""


class Reply:
    """Describe one response by its body, its faults and its head.

    Args:
        body: the bytes to serve.
        *faults: how it goes wrong; any number, at most one of `Drip`, `Length`, `Chunked` and `Endless` each.
        status: the status code.
        headers: more header fields, in this order; they replace the reply's own of the same name.
        media_type: the Content-Type; None for none.
        etag: the ETag, quotes included; by default a strong one made from the body; None for none. Range and If-Range
            are honoured if it is strong, the status is 200 and the body ends.
    """

    def __init__(
        self,
        body: bytes = b"",
        *faults: Fault,
        status: int = 200,
        headers: Headers = (),
        media_type: str | None = "application/octet-stream",
        etag: str | None = "",
    ) -> None:
        self.body = body
        self.faults = faults
        self.status = status
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self.headers: tuple[tuple[bytes, bytes], ...] = tuple((encode(name), encode(value)) for name, value in pairs)
        self.media_type = media_type
        self.etag: str | None = f'"{zlib.crc32(body):08x}-{len(body)}"' if etag == "" else etag


class Raw:
    r"""Send bytes as they are, then close the connection.

    A fault may say how it ends instead.

    Args:
        data: what is sent; the faults count its bytes, and `Endless` repeats it.
        *faults: `Drip`, `Stall`, `Reset`, `Truncate`, `Hold` or `Endless`.
        head: sent before `data`, once: ``Raw(b"X: y\r\n", Endless(), head=b"HTTP/1.1 200 OK\r\n")``.
    """

    def __init__(self, data: bytes, *faults: Fault, head: bytes = b"") -> None:
        self.body = data
        self.faults = faults
        self.head = head


@dataclass(frozen=True, slots=True)
class Request:
    """Show one request as it arrived.

    Attributes:
        method: ``GET``, say.
        target: path and query, or whatever stood there.
        headers: the fields in order, names as they were written.
        connection: the number of the connection that it came on, from 1.
        version: ``HTTP/1.1``, say.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    connection: int
    version: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return the value of the header field `name`.

        Capital and small letters are equal in it. Several values are joined by a comma. It is None if the field was
        not sent.
        """
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


Script = Reply | Raw | Callable[[Request], Reply | Raw]
"""What `FakeCDN.script` takes: a reply, or a function that makes one from the request."""


def gzip_bomb(size: int) -> bytes:
    """Return a gzip stream that decodes to `size` zero bytes.

    It has about a thousandth of that size. `size` counts in whole MB, at least one. Serve it with
    ``headers={"Content-Encoding": "gzip"}``; `gzip.compress` it again for ``gzip, gzip``.
    """
    megabyte = bytes(1_048_576)
    count = max(1, size // len(megabyte))
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = compressor.compress(megabyte) + compressor.flush(zlib.Z_FULL_FLUSH)  # after it, the same block may follow
    checksum = functools.reduce(lambda crc, _: zlib.crc32(megabyte, crc), range(count), 0)
    tail = compressor.flush() + struct.pack("<II", checksum, count * len(megabyte) & 0xFFFF_FFFF)
    return gzip.compress(b"", mtime=0)[:10] + block * count + tail


def encode(text: str | bytes) -> bytes:
    """Return a header's text as bytes, and bytes as they are."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
