"""A scriptable hostile CDN on loopback, to test what a program does with downloads that go wrong.

`FakeCDN` is a real HTTP/1.1 server that serves what it is told and misbehaves as it is told, on asyncio and trio::

    from staging import AttachmentStage
    from staging.testing import FakeCDN, Reply, Reset, assert_empty

    async def test_my_bot_survives_a_broken_connection(tmp_path):
        async with FakeCDN() as cdn:
            photo = cdn.script("/photo.png", Reply(PNG, Reset(at=100)), Reply(PNG))   # breaks once, then works
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                await stage.download(photo)
                assert "Downloaded: Yes" in await my_bot.answer(stage)
            assert [request.header("range") for request in cdn.requests] == [None, "bytes=100-"]
        assert_empty(tmp_path)

A reply is a body and any number of faults, which combine: ``Reply(data, Drip(1, every=0.3), Truncate(at=-1))``.

| fault | what the client sees |
|---|---|
| `Drip` | the body (or the head too) in small pieces, with a pause after each |
| `Stall` | nothing more, until it goes away |
| `Reset`, `Truncate` | the connection reset (RST), or closed too early (FIN) |
| `Hold` | nothing more until the test releases it: tests need no sleep |
| `Length`, `Chunked`, `Endless` | a wrong or missing Content-Length, chunks of any size, a body without end |

They strike `at` a number of body bytes (negative: counted from the end, as in a slice), or at ``"start"`` (before the
first byte of all), ``"head"`` (in the middle of the head) or ``"end"`` (after the body, before its last chunk).

Everything else is a plain reply: statuses, redirects, wrong 206es, changed ETags and header bombs are arguments of
`Reply`; what is not even HTTP is `Raw`. Bodies under a strong ETag honour Range and If-Range (RFC 9110, 13.1.5, 14.2).
"""

import contextlib
import datetime as dt
import functools
import gzip
import http
import math
import mimetypes
import os
import re
import socket
import ssl
import struct
import sys
import warnings
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import TaskGroup

from staging._net.policy import UrlPolicy
from staging._text import one_line

if sys.platform != "win32":
    import fcntl

__all__ = [
    "Chunked",
    "Drip",
    "Endless",
    "FakeCDN",
    "Hold",
    "Length",
    "Raw",
    "Reply",
    "Request",
    "Reset",
    "Stall",
    "Truncate",
    "assert_empty",
    "gzip_bomb",
]

_T = TypeVar("_T")
_SLICE = 262_144  # bytes a send: few enough to stay responsive, many enough that a 50 MB body costs 200 of them
_MAX_HEAD = 65_536
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)  # an ssl.SSLError is one
_BODILESS = {204, 304}  # statuses that have no Content-Length of their own (RFC 9110, 8.6)
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}

At = int | Literal["start", "head", "end"]
"""A place in a reply: a number of body bytes (negative: from the end, as in a slice), ``"start"`` before the first byte
of all, ``"head"`` in the middle of the head, or ``"end"`` after the last byte of the body (before the last chunk)."""

Headers = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]
"""Header fields; text is sent as UTF-8, bytes are sent as they are, and neither is checked."""

TlsFault = Literal["expired", "wrong_host", "self_signed", "tls1.0", "stall", "plain"]
"""What is wrong with the handshake: the certificate; TLS 1.0 only; no answer at all; an answer in plain HTTP."""


@dataclass(frozen=True, slots=True)
class Drip:
    """The body comes `size` bytes at a time, with a pause of `every` seconds after each piece.

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
    """Nothing comes after `at`, and the connection stays open until the client goes away.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    at: At = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST) at `at`, after everything before it has reached the client's socket.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    at: At = 0


@dataclass(frozen=True, slots=True)
class Truncate:
    """The connection is closed (FIN) at `at` as if that were the end; on TLS without a close_notify.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    at: At = 0


class Hold:
    """The reply stops at `at` until the test calls `release`; the test waits for that moment with `reached`.

    Args:
        at: a number of body bytes (negative: from the end), ``start``, ``head`` or ``end``, see above.
    """

    def __init__(self, at: At = "start") -> None:
        self.at: At = at
        self._reached = anyio.Event()
        self._released = anyio.Event()

    async def reached(self) -> None:
        """Return once a reply stands at the gate."""
        await self._reached.wait()

    def release(self) -> None:
        """Let this reply go on, and every later one with the same gate pass."""
        self._released.set()


class Length:
    """Content-Length says `values`, whatever is sent: ``Length(10)``, ``Length("+5")``, ``Length("5", "6")``.

    ``Length()`` sends none, and the end of the connection is the end of the body. A connection whose client still
    waits for bytes that were promised is closed; one that was promised too few stays open.
    """

    def __init__(self, *values: int | str) -> None:
        self.values: tuple[str, ...] = tuple(str(value) for value in values)


@dataclass(frozen=True, slots=True)
class Chunked:
    r"""The body comes with ``Transfer-Encoding: chunked``.

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
    """The body is repeated for ever: ended by the connection, or, with `Chunked`, by nothing at all."""


_Stop = Stall | Reset | Truncate | Hold
Fault = Drip | _Stop | Length | Chunked | Endless
"""Any of the faults that a `Reply` or a `Raw` takes."""


class Reply:
    """One response: a body, the faults that it is sent with, and its head.

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
        self.headers: tuple[tuple[bytes, bytes], ...] = tuple((_encode(name), _encode(value)) for name, value in pairs)
        self.media_type = media_type
        self.etag: str | None = f'"{zlib.crc32(body):08x}-{len(body)}"' if etag == "" else etag


class Raw:
    r"""Bytes sent as they are, after which the connection is closed unless a fault says otherwise.

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
    """One request as it arrived.

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
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return the value of the field `name` in any case (several joined by a comma), None if it was not sent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


Script = Reply | Raw | Callable[[Request], Reply | Raw]
"""What `FakeCDN.script` takes: a reply, or a function that makes one from the request."""


def gzip_bomb(size: int) -> bytes:
    """Return a gzip stream of about a thousandth of `size`, that decodes to `size` zero bytes (whole MB, at least one).

    Serve it with ``headers={"Content-Encoding": "gzip"}``; `gzip.compress` it again for ``gzip, gzip``.
    """
    megabyte = bytes(1_048_576)
    count = max(1, size // len(megabyte))
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = compressor.compress(megabyte) + compressor.flush(zlib.Z_FULL_FLUSH)  # after it, the same block may follow
    checksum = functools.reduce(lambda crc, _: zlib.crc32(megabyte, crc), range(count), 0)
    tail = compressor.flush() + struct.pack("<II", checksum, count * len(megabyte) & 0xFFFF_FFFF)
    return gzip.compress(b"", mtime=0)[:10] + block * count + tail


def assert_empty(root: str | os.PathLike[str]) -> None:
    """Pass if there is nothing under `root`, or no `root`.

    Raises:
        AssertionError: with the list of what was left, in the whole tree (symlinks are listed, not followed), or if
            `root` cannot be listed.
    """
    folder = os.fspath(root)
    try:
        left = sorted(one_line(path[len(folder) :].lstrip(os.sep)) for path in _tree(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise AssertionError(f"cannot list {one_line(folder)}: {error.strerror}") from error
    if left:
        more = [f"... and {len(left) - 100} more"] if len(left) > 100 else []
        raise AssertionError("\n  ".join([f"{len(left)} left in {one_line(folder)}:", *left[:100], *more]))


def _tree(root: str) -> Iterator[str]:
    folders = [root]  # no recursion: a test may have left a tree of 5,000 levels
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    yield entry.path
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # any other folder has been listed by its name
            if folder == root:
                raise


# What is sent: decided here, without I/O.


@dataclass(frozen=True, slots=True)
class _Pause:
    seconds: float


_Fields = list[tuple[bytes, bytes]]
_Step = bytes | memoryview | _Pause | _Stop


@dataclass(frozen=True, slots=True)
class _Message:
    """A reply to one request, ready to be sent; `keep` says whether another request may follow."""

    head: bytes
    body: bytes
    faults: tuple[Fault, ...]
    keep: bool


def _find(faults: tuple[Fault, ...], kind: type[_T]) -> _T | None:
    return next((fault for fault in faults if isinstance(fault, kind)), None)


def _compose(reply: Reply | Raw, request: Request) -> _Message:
    if isinstance(reply, Raw):
        return _Message(reply.head, reply.body, reply.faults, keep=False)
    status, body, fields = _select(reply, request)
    given = {name.lower() for name, _ in reply.headers}
    fields += _own_fields(reply, status, len(body))
    fields = [field for field in fields if field[0].lower() not in given] + list(reply.headers)
    head = b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, "").encode())
    head += b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n"
    if request.method == "HEAD":
        return _Message(head, b"", (), keep=_persists(request))
    keep = _persists(request) and (status in _BODILESS or _is_framed(fields, len(body)))
    return _Message(head, body, reply.faults, keep)


def _own_fields(reply: Reply, status: int, size: int) -> _Fields:
    length, chunked = _find(reply.faults, Length), _find(reply.faults, Chunked)
    fields = [(b"Content-Type", _encode(reply.media_type))] if reply.media_type is not None else []
    fields += [(b"ETag", _encode(reply.etag))] if reply.etag is not None else []
    fields += [(b"Transfer-Encoding", b"chunked")] if chunked else []
    if length:
        return fields + [(b"Content-Length", _encode(value)) for value in length.values]
    sized = not chunked and Endless() not in reply.faults and status not in _BODILESS
    return fields + ([(b"Content-Length", b"%d" % size)] if sized else [])


def _select(reply: Reply, request: Request) -> tuple[int, bytes, _Fields]:
    """Return status, body and fields of the range that was asked for, or of the whole (RFC 9110, 14.2)."""
    strong = reply.etag is not None and reply.etag.startswith('"')
    if reply.status != 200 or not strong or Endless() in reply.faults:
        return reply.status, reply.body, []
    asked, size = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.header("range") or ""), len(reply.body)
    if not asked or asked[0] == "bytes=-" or request.header("if-range") not in {None, reply.etag}:
        return 200, reply.body, [(b"Accept-Ranges", b"bytes")]
    first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
    last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
    if first > last:
        return 416, b"", [(b"Content-Range", b"bytes */%d" % size)]
    return 206, reply.body[first : last + 1], [(b"Content-Range", b"bytes %d-%d/%d" % (first, last, size))]


def _is_framed(fields: _Fields, size: int) -> bool:
    """Return whether the client knows where the body ends, and gets that far."""
    values = [(name.lower(), value) for name, value in fields]
    lengths = [value for name, value in values if name == b"content-length"]
    told = lengths and all(value.isdigit() and float(value) <= size for value in lengths)
    return bool(told) or any(name == b"transfer-encoding" for name, _ in values)


def _persists(request: Request) -> bool:
    """Return whether another request may follow; after one with a body none may, for the body is not read."""
    if request.version != "HTTP/1.1" or (request.header("connection") or "").lower() == "close":
        return False
    return not (request.header("content-length") or request.header("transfer-encoding"))


def _encode(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _plan(message: _Message) -> Iterator[_Step]:
    """Yield what is sent, and between that what happens, in order."""
    head, body = message.head, message.body
    if not message.faults and len(body) < _SLICE:
        yield head + body  # one packet for a small file
        return
    drip = _find(message.faults, Drip)
    stops = [fault for fault in message.faults if isinstance(fault, _Stop)]
    slow, middle = drip if drip and drip.head else None, len(head) // 2
    yield from (stop for stop in stops if stop.at == "start")
    yield from _paced(_cut(head, 0, middle, slow.size if slow else _SLICE), slow)
    yield from (stop for stop in stops if stop.at == "head")
    yield from _paced(_cut(head, middle, len(head), slow.size if slow else _SLICE), slow)
    yield from _plan_body(message, drip, stops)


def _plan_body(message: _Message, drip: Drip | None, stops: list[_Stop]) -> Iterator[_Step]:
    body, chunked = message.body, _find(message.faults, Chunked)
    size, end = drip.size if drip else _SLICE, math.inf if Endless() in message.faults else len(body)
    done: float = 0
    for offset, stop in [*_in_body(stops, end), (end, None)]:
        pieces = _cut(body, int(done), min(offset, end), size)
        yield from _paced(_chunks(pieces, chunked) if chunked else pieces, drip)
        if stop:
            yield stop
        done = max(done, min(offset, end))
    if chunked:
        yield b"0\r\n" + chunked.trailer + b"\r\n"


def _in_body(stops: list[_Stop], end: float) -> list[tuple[float, _Stop]]:
    """Return the stops that lie in the body, with the number of body bytes before each, in order."""
    placed: list[tuple[float, _Stop]] = []
    for stop in stops:
        if isinstance(stop.at, int):
            placed.append((stop.at + end if stop.at < 0 else stop.at, stop))
        elif stop.at == "end":
            placed.append((end, stop))
    return sorted(placed, key=lambda pair: pair[0])


def _cut(data: bytes, start: int, end: float, size: int) -> Iterator[memoryview]:
    """Yield the bytes from `start` to `end` of `data`, or of its endless repetition, `size` at a time, uncopied."""
    data = data or (b"\0" if end > 0 else b"")
    supply = memoryview(data * (2 + size // len(data)) if end > len(data) else data)
    while start < end:
        offset = start % len(data)
        piece = supply[offset : offset + int(min(size, end - start))]
        yield piece
        start += len(piece)


def _chunks(pieces: Iterator[memoryview], chunked: Chunked) -> Iterator[bytes]:
    """Yield each piece as chunks, which are sent together."""
    for piece in pieces:
        parts = (piece[start : start + chunked.size] for start in range(0, len(piece), chunked.size))
        yield b"".join(b"%x%s\r\n%s\r\n" % (len(part), chunked.extension, part) for part in parts)


def _paced(pieces: Iterator[bytes] | Iterator[memoryview], drip: Drip | None) -> Iterator[_Step]:
    for piece in pieces:
        yield piece
        if drip and drip.every:
            yield _Pause(drip.every)


# How it is sent: a socket, a connection, the server.


class _Wire:
    """A non-blocking socket without a buffer of its own: what was sent has left, so "reset after k bytes" is exact."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    async def receive(self) -> bytes:
        """Return the next bytes; raise `anyio.EndOfStream` at the end."""
        while True:
            try:
                data = self._socket.recv(_SLICE)
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
        """Send FIN, and wait for the client to close: `anyio.EndOfStream`."""
        self._socket.shutdown(socket.SHUT_WR)
        while True:  # a close with unread bytes would become a reset, and take the sent ones with it
            await _Wire.receive(self)

    async def reset(self) -> None:
        """Close with RST (a linger time of 0), once the client's side has all that was sent."""
        while _unsent(self._socket):  # noqa: ASYNC110  # the kernel has no event for this
            await anyio.sleep(0.001)
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()
        raise anyio.EndOfStream


class _TlsWire(_Wire):
    """The same under TLS. Not anyio's stream, which drops the alert that tells the client why a handshake failed."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def receive(self) -> bytes:
        data: bytes = await self._drive(self._tls.read, _SLICE)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:  # OpenSSL takes one record at a time
            left = left[await self._drive(self._tls.write, left) :]

    async def finish(self) -> None:
        with contextlib.suppress(*_GONE):
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


def _unsent(sock: socket.socket) -> int:
    """Return how many bytes wait in the kernel for room at the client (they would be lost with a reset)."""
    if sys.platform != "linux":
        return 0
    siocoutqnsd = 0x894B  # linux/sockios.h: not sent yet; unlike SIOCOUTQ it does not wait for a delayed ACK
    return int(struct.unpack("i", fcntl.ioctl(sock, siocoutqnsd, bytes(4)))[0])


class _Connection:
    """One client: its requests are read, its replies sent step by step. Breaking off ends in one of `_GONE`."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()

    async def read_head(self) -> bytes | None:
        """Return a request's head; None if what came is none, which shows early: a TLS hello has no line end."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEAD or (self._buffer and not self._buffer[:1].isalpha()):
                return None
            self._buffer += await self._wire.receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return bytes(head)

    async def perform(self, step: _Step) -> None:
        """Do one step of a plan; one that ends the connection raises `anyio.EndOfStream`."""
        match step:
            case _Pause():
                await self._while_connected(functools.partial(anyio.sleep, step.seconds))
            case Hold():
                step._reached.set()  # noqa: SLF001  # the gate is opened from both sides: here and in the test
                await self._while_connected(step._released.wait)  # noqa: SLF001  # the same
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
            gone = await self._until_gone()
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            await wait()
            group.cancel_scope.cancel()
        if gone:
            raise anyio.EndOfStream

    async def _until_gone(self) -> bool:
        with contextlib.suppress(*_GONE):
            while len(self._buffer) < _MAX_HEAD:
                self._buffer += await self._wire.receive()
            await anyio.sleep_forever()
        return True


def _parse(head: bytes, connection: int) -> Request | None:
    line, *fields = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    pairs = [field.partition(":") for field in fields]
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not all(colon for _, colon, _ in pairs):
        return None
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    return Request(words[0], words[1], headers, connection, words[2])


class FakeCDN:
    """A hostile CDN on loopback, from entry to exit.

    On exit the listener and every connection are closed at once, whatever they were doing, and an exception of the
    body comes out as it is. A client that vanishes is no error. Unknown paths are 404; connections persist.

    Args:
        host: the host in its URLs. An IP address is also what it listens on; any other name listens on 127.0.0.1:
            ``localhost``, or a name that the test's own resolver leads there.
        port: the port; 0 for any free one.
        tls: True for TLS with a throw-away authority that `client_tls` trusts (needs `trustme`), or what is to be wrong
            with it, or a server's SSL context of your own.
        names: further hosts in `policy`; on TLS each has a certificate of its own, chosen by SNI.

    Attributes:
        host: as given.
        port: the port, once entered.
        requests: every request, in order of arrival.
        connections: how many connections were accepted so far.
        server_names: the name that each TLS handshake asked for (SNI), in order; None if it asked for none.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool | TlsFault | ssl.SSLContext = False,
        names: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.port: int = port
        self.requests: list[Request] = []
        self.connections: int = 0
        self.server_names: list[str | None] = []
        self._tls = tls
        self._names = tuple(names)
        self._scripts: dict[str, list[Script]] = {}
        self._open: set[int] = set()

    async def __aenter__(self) -> Self:
        """Listen; from now on `url` and `policy` are good."""
        self._changed = anyio.Event()
        self._contexts = self._make_contexts()
        self._listener = _listen(self.host, self.port)
        self.port = self._listener.getsockname()[1]
        self._group: TaskGroup = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the listener and every connection."""
        scope = self._group.cancel_scope
        scope.shield = True  # a cancellation that is under way must not keep the tasks from being awaited
        scope.cancel()
        try:
            await self._group.__aexit__(None, None, None)  # not told of the body's exception, which it would wrap
        finally:
            self._listener.close()

    @classmethod
    @contextlib.contextmanager
    def in_thread(cls, **options: Any) -> Iterator[Self]:
        """Run one in a thread with an event loop of its own: for tests without a loop, and of other processes.

        Everything but the coroutines may be called as usual; use `call` for those and for `Hold.release`.

        Args:
            **options: as for `FakeCDN`.
        """
        with anyio.from_thread.start_blocking_portal() as portal:
            cdn = cls(**options)
            cdn._portal = portal
            with portal.wrap_async_context_manager(cdn):
                yield cdn

    _portal: anyio.from_thread.BlockingPortal | None = None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function, or run a coroutine function to its end, in the server's thread.

        Args:
            function: such as ``cdn.requested`` or ``hold.release``.
            *args: its arguments.

        Raises:
            RuntimeError: if this server does not run in a thread of its own.
        """
        if not self._portal:
            raise RuntimeError("call() is for FakeCDN.in_thread(): on your own loop just call it")
        return self._portal.call(function, *args)

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        """Return the full URL of `path`, percent-encoded where it must be, at `host` or its own."""
        name = host or self.host
        return f"{self._scheme}://{f'[{name}]' if ':' in name else name}:{self.port}{_key(path)}"

    @property
    def policy(self) -> UrlPolicy:
        """A policy that admits this server, and nothing else."""
        return UrlPolicy.only(self.host, *self._names, schemes=(self._scheme,), ports=(self.port,), private=True)

    @functools.cached_property
    def client_tls(self) -> ssl.SSLContext:
        """A client's TLS context that trusts this process's throw-away authority, and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _authority().configure_trust(context)
        return context

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def serve(self, path: str, body: bytes, *faults: Fault, **options: Any) -> str:
        """Serve `body` under `path`, every time, and return the URL.

        Args:
            path: a path, for any query; or with a query, for exactly that one.
            body: as for `Reply`.
            *faults: as for `Reply`.
            **options: `status`, `headers`, `media_type`, `etag`, as for `Reply`.
        """
        return self.script(path, Reply(body, *faults, **options))

    def file(self, name: str, body: bytes, *faults: Fault, **options: Any) -> str:
        """Serve a file, with the media type of its name's extension, and return the URL.

        Args:
            name: the last and only part of the path, percent-encoded where it must be.
            body: as for `Reply`.
            *faults: as for `Reply`.
            **options: as for `serve`.
        """
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self.serve("/" + quote(name, safe=""), body, *faults, **{"media_type": guessed, **options})

    def redirect(self, path: str, location: str | bytes, *faults: Fault, status: int = 302, body: bytes = b"") -> str:
        """Redirect `path` to `location`, and return the URL of `path`.

        Args:
            path: as for `serve`.
            location: sent as it is: absolute, relative or nonsense.
            *faults: as for `Reply`.
            status: the status code.
            body: as for `Reply`; a client has no use for it.
        """
        return self.serve(path, body, *faults, status=status, headers={"Location": location})

    def script(self, path: str, *replies: Script) -> str:
        """Answer the first request for `path` with the first reply, and so on; the last one stays. Return the URL.

        Args:
            path: as for `serve`.
            *replies: replies, or functions that make one from the request.
        """
        self._scripts[_key(path)] = list(replies)
        return self.url(path)

    async def requested(self, path: str | None = None, *, times: int = 1) -> None:
        """Return once there were `times` requests for `path` (as for `serve`), or for anything."""
        await self._until(lambda: len(self._requests_for(path)) >= times)

    async def disconnected(self, path: str | None = None) -> None:
        """Return once no connection is open on which `path` was asked for; without a path, none at all."""
        await self._until(
            lambda: not self._open & ({r.connection for r in self._requests_for(path)} if path else self._open)
        )

    def _requests_for(self, path: str | None) -> list[Request]:
        return [r for r in self.requests if path is None or _key(path) in {r.target, r.path}]

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def _scheme(self) -> str:
        return "https" if self._tls else "http"

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._listener)
            except OSError:  # out of descriptors, which is what some tests are about
                await anyio.sleep(0.02)
            else:
                self.connections += 1
                self._open.add(self.connections)
                self._group.start_soon(self._handle, client, self.connections)

    async def _handle(self, client: socket.socket, number: int) -> None:
        try:
            with client, contextlib.suppress(*_GONE):
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._converse(self._secure(client), number)
        finally:
            self._open.discard(number)
            self._notify()

    def _secure(self, client: socket.socket) -> _Wire:
        return _TlsWire(client, self._contexts[0]) if self._contexts else _Wire(client)

    async def _converse(self, wire: _Wire, number: int) -> None:
        if self._tls == "stall":
            while True:
                await wire.receive()
        connection, keep = _Connection(wire), True
        while keep:
            message = self._answer(await connection.read_head(), number)
            for step in _plan(message):
                await connection.perform(step)
            keep = message.keep
        await wire.finish()

    def _answer(self, head: bytes | None, number: int) -> _Message:
        request = _parse(head, number) if head is not None else None
        if request is None:
            return _Message(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"", (), keep=False)
        self.requests.append(request)
        self._notify()
        try:
            return _compose(self._reply_to(request), request)
        except Exception as error:  # noqa: BLE001  # a mistake in the test's own function: shown where the test looks
            return _compose(Reply(repr(error).encode(), status=500, media_type="text/plain"), request)

    def _reply_to(self, request: Request) -> Reply | Raw:
        replies = self._scripts.get(request.target) or self._scripts.get(request.path) or [_NOT_FOUND]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply if isinstance(reply, Reply | Raw) else reply(request)

    def _make_contexts(self) -> list[ssl.SSLContext]:
        """Return the TLS contexts, that of `host` first; empty for plain HTTP."""
        if isinstance(self._tls, ssl.SSLContext):
            return [self._tls]
        if self._tls in {False, "plain", "stall"}:
            return []
        contexts = {name: _server_context(name, str(self._tls)) for name in (self.host, *self._names)}

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            self.server_names.append(name)
            connection.context = contexts.get(name or "", contexts[self.host])

        contexts[self.host].sni_callback = choose
        return list(contexts.values())


_NOT_FOUND = Reply(b"not found", status=404, media_type="text/plain")


def _key(path: str) -> str:
    return quote(path if path.startswith("/") else f"/{path}", safe="/?&=%:@!$'()*+,;~[]")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    literal = family == socket.AF_INET6 or re.fullmatch(r"[\d.]+", host)
    listener = socket.create_server((host if literal else "127.0.0.1", port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


@functools.cache
def _authority() -> Any:
    try:
        import trustme  # noqa: PLC0415  # only tests of TLS need it
    except ImportError:
        raise RuntimeError("FakeCDN(tls=...) needs the package trustme: pip install trustme") from None
    return trustme.CA()


def _server_context(name: str, fault: str) -> ssl.SSLContext:
    authority, context = _authority(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if fault == "self_signed":
        authority = type(authority)()
        with authority.private_key_pem.tempfile() as key, authority.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)
        return context
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) if fault == "expired" else None
    subject = "wrong-host.invalid" if fault == "wrong_host" else name
    authority.issue_cert(subject, not_after=past).configure_cert(context)
    if fault == "tls1.0":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the point
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or OpenSSL would not speak it to anyone
    return context
