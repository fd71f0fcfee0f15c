"""Decide what is sent for one request, without I/O.

A request and its reply become a `Message`: a head, a body and faults. `plan` turns the message into steps in the order
in which they happen: bytes to send, pauses, and the faults that stop or end the connection.
"""

import http
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

from staging.testing.faults import Chunked, Drip, Endless, Fault, Length, Raw, Reply, Request, Stop, encode

_T = TypeVar("_T")
SLICE = 262_144  # bytes a send: few enough to stay responsive, many enough that a 50 MB body costs 200 of them
_BODILESS = {204, 304}  # statuses that have no Content-Length of their own (RFC 9110, 8.6)
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next step."""

    seconds: float


_Fields = list[tuple[bytes, bytes]]
Step = bytes | memoryview | Pause | Stop


@dataclass(frozen=True, slots=True)
class Message:
    """Hold what is sent for one request.

    `keep` says whether another request may follow on the connection.
    """

    head: bytes
    body: bytes
    faults: tuple[Fault, ...]
    keep: bool


def _find(faults: tuple[Fault, ...], kind: type[_T]) -> _T | None:
    """Return the first fault of a kind, if there is one."""
    return next((fault for fault in faults if isinstance(fault, kind)), None)


def compose(reply: Reply | Raw, request: Request) -> Message:
    """Return the message that answers a request with a reply."""
    if isinstance(reply, Raw):
        return Message(reply.head, reply.body, reply.faults, keep=False)
    status, body, fields = _select(reply, request)
    given = {name.lower() for name, _ in reply.headers}
    fields += _own_fields(reply, status, len(body))
    fields = [field for field in fields if field[0].lower() not in given] + list(reply.headers)
    head = b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, "").encode())
    head += b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n"
    if request.method == "HEAD":
        return Message(head, b"", (), keep=_persists(request))
    keep = _persists(request) and (status in _BODILESS or _is_framed(fields, len(body)))
    return Message(head, body, reply.faults, keep)


def _own_fields(reply: Reply, status: int, size: int) -> _Fields:
    length, chunked = _find(reply.faults, Length), _find(reply.faults, Chunked)
    fields = [(b"Content-Type", encode(reply.media_type))] if reply.media_type is not None else []
    fields += [(b"ETag", encode(reply.etag))] if reply.etag is not None else []
    fields += [(b"Transfer-Encoding", b"chunked")] if chunked else []
    if length:
        return fields + [(b"Content-Length", encode(value)) for value in length.values]
    sized = not chunked and Endless() not in reply.faults and status not in _BODILESS
    return fields + ([(b"Content-Length", b"%d" % size)] if sized else [])


def _select(reply: Reply, request: Request) -> tuple[int, bytes, _Fields]:
    """Return the status, the body and the fields of the answer.

    The body is the range that was asked for, or the whole (RFC 9110, 14.2).
    """
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
    """Tell whether the client can read the body to its end.

    It must know where the body ends, and the body must reach that place.
    """
    values = [(name.lower(), value) for name, value in fields]
    lengths = [value for name, value in values if name == b"content-length"]
    told = lengths and all(value.isdigit() and float(value) <= size for value in lengths)
    return bool(told) or any(name == b"transfer-encoding" for name, _ in values)


def _persists(request: Request) -> bool:
    """Tell whether another request may follow.

    After one with a body none may, for the body is not read.
    """
    if request.version != "HTTP/1.1" or (request.header("connection") or "").lower() == "close":
        return False
    return not (request.header("content-length") or request.header("transfer-encoding"))


def plan(message: Message) -> Iterator[Step]:
    """Yield the bytes to send, and what happens between them."""
    head, body = message.head, message.body
    if not message.faults and len(body) < SLICE:
        yield head + body  # one packet for a small file
        return
    drip = _find(message.faults, Drip)
    stops = [fault for fault in message.faults if isinstance(fault, Stop)]
    slow, middle = drip if drip and drip.head else None, len(head) // 2
    yield from (stop for stop in stops if stop.at == "start")
    yield from _paced(_cut(head, 0, middle, slow.size if slow else SLICE), slow)
    yield from (stop for stop in stops if stop.at == "head")
    yield from _paced(_cut(head, middle, len(head), slow.size if slow else SLICE), slow)
    yield from _plan_body(message, drip, stops)


def _plan_body(message: Message, drip: Drip | None, stops: list[Stop]) -> Iterator[Step]:
    body, chunked = message.body, _find(message.faults, Chunked)
    size, end = drip.size if drip else SLICE, math.inf if Endless() in message.faults else len(body)
    inside: list[tuple[float, Stop]] = [
        (stop.at + (end if stop.at < 0 else 0) if isinstance(stop.at, int) else end, stop)
        for stop in stops
        if stop.at not in {"start", "head"}
    ]
    done: float = 0
    for offset, stop in [*sorted(inside, key=itemgetter(0)), (end, None)]:
        pieces = _cut(body, int(done), min(offset, end), size)
        yield from _paced(_chunks(pieces, chunked) if chunked else pieces, drip)
        if stop:
            yield stop
        done = max(done, min(offset, end))
    if chunked:
        yield b"0\r\n" + chunked.trailer + b"\r\n"


def _cut(data: bytes, start: int, end: float, size: int) -> Iterator[memoryview]:
    """Yield the bytes from `start` to `end` of `data`.

    A piece has `size` bytes at most, and is no copy. Beyond its end `data` begins again.
    """
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


def _paced(pieces: Iterator[bytes] | Iterator[memoryview], drip: Drip | None) -> Iterator[Step]:
    for piece in pieces:
        yield piece
        if drip and drip.every:
            yield Pause(drip.every)


def parse(head: bytes, connection: int) -> Request | None:
    """Return the request of a head, or None if it is none."""
    line, *fields = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    pairs = [field.partition(":") for field in fields]
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not all(colon for _, colon, _ in pairs):
        return None
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    return Request(words[0], words[1], headers, connection, words[2])
