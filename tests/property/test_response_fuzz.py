"""The law of the response path: whatever bytes a peer sends, torn wherever, the outcome is a file or a `Failure`.

Never another exception, never a hang, nothing left open; and a staged file holds exactly what the framing declared, as
a small reader of RFC 9112 says that shares no code with h11. `tests/soak/fuzz.py` runs the same laws for as long as one
likes.
"""

import asyncio
import contextlib
import functools
import itertools
import pickle
import re
import socket
import ssl
import struct
import zlib
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import anyio
import h11
import pytest
import trio
import trustme
from anyio.from_thread import start_blocking_portal
from conftest import LOOPS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from staging import (
    Attachment,
    AttachmentStage,
    Limits,
    Reason,
    StagedFile,
    StagingError,
    UrlPolicy,
    _download,
    safe_name,
)
from staging._budget import Budget, Reservation
from staging._clock import Clock, watch
from staging._disk.workspace import Workspace
from staging._download import Terms, download
from staging._errors import DownloadError
from staging._models import failure
from staging._net import http1
from staging._net import stream as _stream
from staging._net import transport as _transport
from staging._net.http1 import ordinary_head
from staging._net.policy import target
from staging._net.stream import Stream, TlsStream
from staging._net.transport import Transport
from staging._threads import DiskQueue
from staging._turns import Line, Turn, Turns
from staging.testing import FakeCDN, Length, assert_empty

URL = "http://cdn.test/a/photo.png?sig=s3cret"
POLICY = UrlPolicy.only("cdn.test", "*.cdn.test", schemes=("http", "https"), ports=(80, 443), private=True)
LIMITS = Limits(max_mb=0.01, timeout=2, idle_timeout=0.25, retries=2, min_free_mb=0)
SMALL = {
    (_download, "BUFFER"): 4096,
    (_stream, "CHUNK"): 1024,
    (http1, "MAX_HEAD"): 4096,
    (_stream, "MIN_RAW"): 512,
    (_stream, "MAX_RAW"): 2048,
}  # all bounds are near
ENDLESS_BYTES = 40_000  # far over every one of them
HANG_SECONDS = 20

End = Literal["fin", "rst", "stall"]
Way = Literal["unix", "tcp", "tls"]


# ── a peer that sends what it is told, in the pieces that it is told ─────────────────────────────────────────────────


@dataclass
class Peer:
    """One connection: pieces of the stream, each sent when the client waits for more, and how it ends."""

    pieces: tuple[bytes, ...] = ()
    end: End = "fin"
    endless: bytes = b""
    way: Way = "unix"

    @property
    def stream(self):
        return b"".join(self.pieces) + self.endless * (ENDLESS_BYTES // max(1, len(self.endless)))


class Puppeteer:
    """Makes the client's end of a real socket `torn`: whoever waits on it makes its peer send the next piece."""

    __slots__ = ()

    def begin(self, peer, other):
        other.setblocking(False)
        self.peer, self.other, self.request, self.left = peer, other, b"", None
        if peer.end != "stall" and not peer.pieces and not peer.endless:
            self.hang_up()

    async def send(self, data):
        self.request += data
        await super().send(data)

    async def readable(self):
        self.go_on()
        await super().readable()

    def go_on(self):
        if self.left is None:
            pieces = self.peer.answer(self.request) if isinstance(self.peer, Resuming) else self.peer.pieces
            endless = [self.peer.endless] * (ENDLESS_BYTES // len(self.peer.endless)) if self.peer.endless else []
            self.left = deque(sent for piece in (*pieces, b"".join(endless)) if piece for sent in self.wrapped(piece))
        if not self.left:
            self.hang_up()
        elif self.other.fileno() >= 0:
            with contextlib.suppress(BlockingIOError):
                sent = self.other.send(self.left[0])
                self.left[0] = self.left[0][sent:]
            if not self.left[0]:
                self.left.popleft()

    def hang_up(self):
        if self.other.fileno() < 0 or self.peer.end == "stall":
            return
        if self.peer.end == "fin":
            self.say_goodbye()
            self.other.shutdown(socket.SHUT_WR)
        else:  # an unread request makes a close of either kind of socket a reset
            self.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.other.close()

    def wrapped(self, piece):
        return (piece,)

    def say_goodbye(self):
        pass


class Torn(Puppeteer, Stream):
    __slots__ = ("left", "other", "peer", "request")

    def __init__(self, origin, peer):
        ours, other = (_tcp_pair if peer.way == "tcp" else socket.socketpair)()
        ours.setblocking(False)
        super().__init__(ours, origin)
        self.begin(peer, other)


class TornTls(Puppeteer, TlsStream):
    """The same inside TLS, hands shaken; a piece is a record, and is sent in two, so that records are torn too."""

    __slots__ = ("heard", "left", "other", "peer", "request", "said", "server")

    def __init__(self, origin, peer):
        theirs, trusting = _contexts()
        ours, other = _tcp_pair()
        ours.setblocking(False)
        super().__init__(ours, origin, trusting)
        self.heard, self.said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = theirs.wrap_bio(self.heard, self.said, server_side=True)
        for end in (self._tls, self.server, self._tls, self.server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            self.heard.write(self._outgoing.read())
            self._incoming.write(self.said.read())
        self.begin(peer, other)

    def wrapped(self, piece):
        self.server.write(piece)
        record = self.said.read()
        return record[: len(record) // 2], record[len(record) // 2 :]

    def say_goodbye(self):
        with contextlib.suppress(ssl.SSLError):  # there is no answer, and it is said only once
            self.server.unwrap()
        if goodbye := self.said.read():
            with contextlib.suppress(BlockingIOError):
                self.other.send(goodbye)


@functools.cache
def _contexts():
    """Return the TLS contexts of a server of cdn.test, and of a client that trusts it."""
    authority = trustme.CA()
    theirs, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("cdn.test", "*.cdn.test").configure_cert(theirs)
    authority.configure_trust(trusting)
    return theirs, trusting


def _tcp_pair():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


# ── one download from it ─────────────────────────────────────────────────────────────────────────────────────────────


async def fetch(root, peers, size=None):
    """Download from `peers`, one after the other; return the outcome, what was staged, and what they were asked.

    Nothing may be left.
    """
    torn, coming = [], iter(peers)

    async def dial(origin, policy, tls, resolver, on_step):
        if (peer := next(coming, None)) is None:
            raise DownloadError("connect", "nobody answers any more", retryable=True)
        torn.append((TornTls if peer.way == "tls" else Torn)(origin, peer))
        return torn[-1]

    attachment = Attachment(URL, size=size)
    workspace, transport, tasks = Workspace.create(root), Transport(POLICY), _tasks()
    terms = Terms(transport.send, POLICY, LIMITS, workspace, DiskQueue())
    turn = Turn(Line(Turns(1)), Reservation(Budget(LIMITS.max_total_bytes, "the stage")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_transport, "dial", dial)
        try:
            with anyio.fail_after(HANG_SECONDS):
                outcome = await _outcome(attachment, terms, turn)
            data = outcome.path.read_bytes() if isinstance(outcome, StagedFile) else None
        finally:
            transport.close()
            removal = workspace.remove()
            for stream in torn:
                stream.other.close()
    assert data is None or turn.reservation.held == len(data)
    assert [stream for stream in torn if stream._sock.fileno() >= 0] == [], "a connection was left open"
    assert removal.leftovers == ()
    assert list(root.iterdir()) == []
    assert _tasks() == tasks
    return outcome, data, [stream.request for stream in torn]


async def _outcome(attachment, terms, turn):
    clock, watching, outcome = Clock(LIMITS), anyio.CancelScope(), None
    async with anyio.create_task_group() as group:
        group.start_soon(watch, [clock], LIMITS, watching)
        with clock.wind():
            try:
                outcome = await download(attachment, target(POLICY, URL), terms, turn, clock, progress=lambda *_: None)
            except StagingError as error:
                outcome = failure(attachment, "photo.png", error)
        watching.cancel()
    return outcome or failure(attachment, "photo.png", clock.error)


def _tasks():
    try:
        return asyncio.all_tasks(asyncio.get_running_loop())
    except RuntimeError:
        return {task for nursery in trio.lowlevel.current_root_task().child_nurseries for task in nursery.child_tasks}


def require_lawful(outcome):
    """Every outcome is one of the closed set, and tells a person something without secrets and without peer bytes."""
    if isinstance(outcome, StagedFile):
        assert outcome.name == safe_name(outcome.name)
        assert outcome.media_type.isascii()
        return
    assert outcome.reason in get_args(Reason)
    assert outcome.detail
    assert outcome.detail.isprintable()
    assert len(outcome.detail) <= 300
    assert not re.search("s3cret|canary", f"{outcome!r} {outcome.error!r}")
    assert pickle.loads(pickle.dumps(outcome.error)).reason == outcome.reason


def require_agreement(stream):
    """The short way to read a head takes nothing that h11 refuses, and reads the same in it."""
    if (ours := ordinary_head(stream)) is None:
        return
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    http.send(h11.EndOfMessage())
    http.receive_data(stream)
    theirs = http.next_event()
    assert type(theirs) is h11.Response
    joined = {}
    for name, value in theirs.headers:
        joined.setdefault(name, []).append(value)
    assert (ours.status, ours.fields) == (
        theirs.status_code,
        {name: b", ".join(values) for name, values in joined.items()},
    )
    said = b",".join(value for name, value in theirs.headers if name == b"connection").lower()
    assert ours.persistent == (b"close" not in said)
    assert b"%d" % ours.length == dict(theirs.headers)[b"content-length"].lstrip(b"0") or not ours.length
    assert ours.rest == http.trailing_data[0]


# ── an oracle: RFC 9112, sections 4 to 7, in forty lines ─────────────────────────────────────────────────────────────

_BLANK = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\0\n\r\v\f]*)?")
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*([^\0\s](?:[^\0\s]|[ \t])*)?")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,20})[ \t]*(?:;[^\n]*)?")


def wholes(peer, size):
    """Return every body that a download from this connection may end in, in the order of its responses."""
    found, rest = [], peer.stream
    while (response := _response(rest, peer.end)) is not None:
        status, fields, body, rest = response
        known = "content-length" in fields
        words = {word.strip(" \t") for word in fields.get("content-encoding", "").lower().split(",")}
        if (
            status in {200, 203}
            and (words <= {"", "identity"} or size == len(body))  # of the claimed size, it is what was sent
            and len(body) <= LIMITS.max_bytes
            and (known or size in {None, len(body)})
        ):
            found.append(body)
    return found


def has_parts(peer):
    """Whether a 206 is on its way: what it continues is another property's business."""
    return b" 206" in peer.stream


def _response(stream, end):
    """Return (status, fields, body, what follows) of the first complete final response; None if there is none."""
    while True:
        blank = _BLANK.search(stream)
        if not blank:
            return None
        head, stream = stream[: blank.start()], stream[blank.end() :]
        first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
        status, fields = _STATUS.fullmatch(first), _fields(lines)
        if not status or fields is None:
            return None
        if not 100 <= int(status[1]) <= 199:
            break
    framed = _body(int(status[1]), fields, stream, end)
    return None if framed is None else (int(status[1]), fields, *framed)


def _fields(lines):
    unfolded = []
    for line in lines:
        if line[:1] in {b" ", b"\t"} and unfolded:
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            unfolded.append(line)
    fields = {}
    for line in unfolded:
        match = _FIELD.fullmatch(line)
        if not match:
            return None
        name, value = match[1].decode().lower(), (match[2] or b"").decode("latin-1").rstrip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _body(status, fields, stream, end):
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        return _chunks(stream) if coding.lower() == "chunked" and length is None else None
    if status in {204, 304}:
        return b"", stream
    if length is None:
        return (stream, b"") if end == "fin" else None
    lengths = {value.strip() for value in length.split(",")}
    if len(lengths) > 1 or not re.fullmatch("[0-9]{1,20}", min(lengths)):
        return None
    count = int(min(lengths))
    return (stream[:count], stream[count:]) if len(stream) >= count else None


def _chunks(stream):
    body = []
    while True:
        line, mark, stream = stream.partition(b"\r\n")
        size = _CHUNK.fullmatch(line)
        if not mark or not size:
            return None
        count = int(size[1], 16)
        if not count:
            break
        if stream[count : count + 2] != b"\r\n":
            return None
        body.append(stream[:count])
        stream = stream[count + 2 :]
    for empty in (b"\r\n", b"\n"):
        if stream.startswith(empty):
            return b"".join(body), stream[len(empty) :]
    blank = _BLANK.search(stream)
    if not blank or _fields([line.removesuffix(b"\r") for line in stream[: blank.start()].split(b"\n")]) is None:
        return None
    return b"".join(body), stream[blank.end() :]


# ── what peers send ──────────────────────────────────────────────────────────────────────────────────────────────────

EDGES = (0, 1, 2, 1023, 1024, 1025, 2048, 4095, 4096, 4097, 8191, 8192, 8193, 10_484, 10_485, 10_486, 12_288)
bodies = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.sampled_from(EDGES).map(lambda size: (b"%07d|" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]),
)

NUMBERS = (
    b"0", b"1", b"5", b"00", b"007", b"-1", b"+5", b"5, 5", b"5,6", b"5 5", b"0x5", b"5.0", b"1e3", b"", b" ",
    b"9" * 18, b"9" * 19, b"9" * 20, b"9" * 21, b"9" * 5000, b"18446744073709551616", b"9223372036854775807",
    b"\xd9\xa5", b"five", b"10485", b"10486",
)  # fmt: skip
FIELDS = {
    "connection": (
        b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade, ,close", b"Upgrade: h2c",
        b"Connection: close\r\nConnection: keep-alive",
    ),
    "coding": (
        b"Content-Encoding: gzip", b"Content-Encoding: identity", b"Content-Encoding:", b"Content-Encoding: gzip, br",
        b"Content-Encoding: \xff", b"content-encoding: identity, identity", b"Content-Encoding: identity\r\n gzip",
    ),
    "framing": (
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity", b"transfer-encoding: CHUNKED", b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding : chunked", *(b"Content-Length: " + number for number in NUMBERS),
    ),
    "version": (
        b'ETag: "a"', b'ETag: W/"a"', b'ETag: "\xe9"', b'ETag: "', b'ETag: "\x01\x7f"', b"ETag: a", b"Etag:",
        b"Content-Range: bytes 0-4/5", b"Content-Range: bytes */5", b"Content-Range: bytes 5-9/5, bytes 0-1/2",
    ),
    "location": (
        b"Location: /b", b"Location: http://cdn.test/c", b"Location: //b.cdn.test/", b"Location: https://cdn.test",
        b"Location: http://127.0.0.1/", b"Location: \xff\xfe", b"Location:", b"Location: http://[::", b"Location: ?",
        b"Location: //", b"Location: " + b"x" * 3000, b"Location: http://cdn.test:99999/", b"Location: #",
        b"Location: %", b"Location: http://cdn.test/%zz", b"Location: http://cdn.test/\x80", b"Location: ../../..",
        b"Location: http:b",
    ),
    "wait": (
        b"Retry-After: 0", b"Retry-After: 99999999999999999999", b"Retry-After: -1", b"Retry-After: soon",
        b"Retry-After:", b"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", b"Retry-After: , ,", b"Retry-After: \xb2",
        b"Retry-After: Mon, 01 Jan 0001 00:00:00 -0000", b"Retry-After: Fri, 31 Dec 9999 23:59:59 -2359",
        b"Retry-After: 0 0 0 0", b"Retry-After: Mon, 01 Jan 99999999999 00:00:00 +99999999",
    ),
    "name": (
        b"Content-Disposition: attachment", b'Content-Disposition: attachment; filename="../../etc/passwd"',
        b"Content-Disposition: attachment; filename*=utf-8''%e2%82%ac%00%ff.png", b"Content-Disposition: \xff",
        b'Content-Disposition: ;;;filename*0*="a; filename*1=', b"Content-Disposition: a; filename==?utf-8?b?AA?=",
    ),
    "other": (
        b"Content-Type: text/html; charset=\xff", b"Content-Type: ;;;", b"Set-Cookie: a=b", b"Date:", b"Trailer: x",
        b" folded", b"\tfolded more", b"canary", b": canary", b"X\0canary: nul", b"X: canary\0", b"X: canary\r",
        b"X: a\rcanary", b"canary y: z", b"X: " + b"h" * 4200, b"HTTP/1.1 200 canary", b"\xff\xfecanary: x", b"",
    ),
}  # fmt: skip
STATUS_LINES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 \xe9t\xe9", b"HTTP/1.1 206 Partial",
    b"HTTP/1.1 204 None", b"HTTP/1.1 205 Reset", b"HTTP/1.1 301 Moved", b"HTTP/1.1 302 Found", b"HTTP/1.1 307 Again",
    b"HTTP/1.1 300 Many", b"HTTP/1.1 304 Same", b"HTTP/1.1 401 Who", b"HTTP/1.1 403 No", b"HTTP/1.1 404 Where",
    b"HTTP/1.1 408 Slow", b"HTTP/1.1 410 Gone", b"HTTP/1.1 416 Range", b"HTTP/1.1 429 Calm", b"HTTP/1.1 500 Oh",
    b"HTTP/1.1 503 Busy", b"HTTP/1.1 999 ?", b"HTTP/1.1 600 ?",
)  # fmt: skip
BAD_LINES = (
    b"", b"HTTP/0.9 200 OK", b"HTTP/2.0 200 OK", b"HTTP/3 200 OK", b"http/1.1 200 canary", b"HTTP/1.1  200",
    b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 000 OK", b"HTTP/1.1 099", b"HTTP/1.1 200\0",
    b"HTTP/1.1 101 Switch", b"<html>canary", b"\x16\x03\x01\x02\x00", b"HTTP/1.12 200 OK", b"\x00" * 40, b"ICY 200",
    b" HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\rX: y", b"HTTP/1.1 " + b"2" * 5000,
)  # fmt: skip
INTERIM = (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 199 ?\r\n\r\n")
CHUNK_LINES = (
    b"0", b"00000", b"5", b"A", b"-1", b"+5", b"0x5", b"", b" 5", b"5 ", b"5\t;x", b"5;ext=" + b"e" * 50, b"f" * 16,
    b"F" * 20, b"f" * 21, b"5;\n", b"g", b"5" + b";" * 5000, b"\xff", b"1\0",
)  # fmt: skip
BOMBS = (
    b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n", b"x", b"\r\n", b"\0", b" \r\n", b"1\r\nx\r\n", b"1;e\r\nx\r\n", b"0",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"400\r\n" + b"b" * 1024 + b"\r\n",
)  # fmt: skip

MUTATIONS = ("flip", "drop", "double", "insert", "cut", "lf", "nul", "swap")


@st.composite
def chunked(draw, body):
    """A chunked body, right or a little wrong."""
    sizes = draw(st.lists(st.sampled_from((1, 2, 3, 100, 4096)), min_size=1, max_size=4))
    parts, start = [], 0
    while start < len(body):
        size = max(sizes[len(parts) % len(sizes)], len(body) // 50)  # thousands of chunks are another test's business
        part = body[start : start + size]
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), draw(_extensions) if len(parts) < 3 else b"", part))
        start += size
    if draw(_seldom):
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(CHUNK_LINES)) + b"\r\nabcde\r\n")
    trailers = b"".join(line + b"\r\n" for line in draw(_trailers))
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


_seldom = st.sampled_from((False, False, False, False, True))
_extensions = st.sampled_from((b"", b"", b"", b";a", b'; a="b"', b" ", b";" + b"x" * 200))
_trailers = st.one_of(
    st.just(()),
    st.just(()),
    st.lists(st.sampled_from((b"X: y", b"X:", *FIELDS["other"], *FIELDS["framing"])), max_size=2),
)


_fields_of_all_kinds = st.sampled_from([*FIELDS]).flatmap(lambda group: st.sampled_from(FIELDS[group]))
_twists = st.lists(
    st.sampled_from(("status", "status", "line", "field", "field", "field", "ends", "interim", "framing")), max_size=3
)


@st.composite
def responses(draw):
    """A response as bytes: valid but for at most three twists, so that each thing is often the only one wrong."""
    body, framing, twists = draw(bodies), draw(st.sampled_from(("length", "length", "chunked", "close"))), draw(_twists)
    lines = [b"HTTP/1.1 200 OK"]
    lines += [b"Content-Length: %d" % len(body)] if framing == "length" else []
    lines += [b"Transfer-Encoding: chunked"] if framing == "chunked" else []
    for twist in twists:
        if twist in {"status", "line"}:
            lines[0] = draw(st.sampled_from(STATUS_LINES if twist == "status" else BAD_LINES))
        elif twist == "field":
            lines.insert(draw(st.integers(1, len(lines))), draw(_fields_of_all_kinds))
        elif twist == "framing":
            lines[1:2] = [draw(st.sampled_from(FIELDS["framing"]))]
    interim = b"".join(draw(st.lists(st.sampled_from(INTERIM), max_size=10)) if "interim" in twists else [])
    head = (b"\n" if "ends" in twists else b"\r\n").join([*lines, b"", b""])
    return interim + head + (draw(chunked(body)) if framing == "chunked" else body)


@st.composite
def streams(draw):
    """What comes on one connection: a few responses, mutated or not, or noise."""
    if draw(_seldom) and draw(_seldom):
        return draw(st.binary(max_size=200))
    data = b"".join(draw(st.lists(responses(), min_size=1, max_size=2)))
    for kind in draw(st.lists(st.sampled_from(MUTATIONS), max_size=3)) if draw(st.booleans()) else ():
        near = min(len(data), 400) if draw(st.booleans()) else len(data)  # the head is where the decisions are
        at, size = draw(st.integers(0, near)), draw(st.integers(1, 20))
        data = mutated(data, kind, at, size, draw(st.binary(min_size=1, max_size=4)))
    return data


def mutated(data, kind, at, size, noise):
    """Return `data` with one wound."""
    before, hit, after = data[:at], data[at : at + size], data[at + size :]
    hits = {
        "flip": bytes(byte ^ noise[0] for byte in hit[:1]) + hit[1:], "drop": b"", "double": hit + hit,
        "insert": noise + hit, "lf": hit.replace(b"\r\n", b"\n"), "nul": b"\0" + hit[1:], "swap": hit[::-1],
    }  # fmt: skip
    return before if kind == "cut" else before + hits[kind] + after


def torn_at(data, cuts):
    """Return `data` in pieces."""
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return tuple(data[start:stop] for start, stop in itertools.pairwise(places))


cuts = st.lists(st.integers(0, 120) | st.integers(0, 12_000), max_size=6)
ends = st.sampled_from(("fin", "fin", "fin", "fin", "rst", "rst", "rst", "rst", "stall"))
ways = st.sampled_from(("unix", "tcp", "tls"))
peers = st.builds(
    lambda data, cuts, end, endless, way: Peer(torn_at(data, cuts), end, endless, way),
    streams(), cuts, ends, st.one_of(*[st.just(b"")] * 12, st.sampled_from(BOMBS)), ways,
)  # fmt: skip
claims = st.sampled_from((None, None, None, 0, 5, 40))


# ── the laws ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Fuzz:
    """The laws on one running loop; also counts what came of them."""

    root: Path
    call: object
    seen: Counter = field(default_factory=Counter)

    def fetch(self, peers, size=None):
        outcome, data, requests = self.call(fetch, self.root, peers, size)
        require_lawful(outcome)
        self.seen["staged" if data is not None else outcome.reason] += 1
        self.seen["staged, and resumed"] += data is not None and b"\r\nrange: " in requests[-1].lower()
        return outcome, data

    def anything(self, peers, size):
        """A hostile stream: if it is staged, then as the framing says."""
        for peer in peers:
            require_agreement(peer.stream)
        _, data = self.fetch(peers, size)
        if data is not None and not any(map(has_parts, peers)):
            possible = [body for peer in peers for body in wholes(peer, size)]
            assert data in possible, f"staged {data[:80]!r}, of {[body[:80] for body in possible]}"
            self.seen["staged, and judged by the oracle"] += 1

    def honest(self, body, head, cuts, end, way):
        """An honest response is staged whole, however it is torn."""
        peer = Peer(torn_at(head + body, cuts), end, way=way)
        (expected, *_) = wholes(peer, None) or [None]
        outcome, data = self.fetch([peer])
        if len(expected or b"") > LIMITS.max_bytes:
            expected = None
        slow = data is None and outcome.reason in {"timeout", "stalled", "storage"}  # a machine that is busy elsewhere
        assert data == expected or slow, outcome

    def resumed(self, versions, attempts):
        """Whatever breaks and whatever the server says it resumes with: one version, whole, or none."""
        outcome, data = self.fetch([Resuming(versions, attempt) for attempt in attempts])
        assert data is None or data in versions, outcome


class Resuming(Peer):
    """A server of several versions, each under an ETag of its own, that breaks, and lies about what it resumes with."""

    def __init__(self, versions, attempt):
        version, self.cuts, self.cut_at, end, self.lie = attempt
        super().__init__((b"?",), end, way=("unix", "tls")[self.cut_at % 2])
        self.body = versions[version]

    def answer(self, request):
        etag = b'"%08x"' % zlib.crc32(self.body)
        asked = re.search(rb"(?im)^range: bytes=(\d+)-\r$", request)
        condition = re.search(rb"(?im)^if-range: (.*)\r$", request)
        first = int(asked[1]) if asked and condition and condition[1] == etag else None
        data = _served(self.body, first, etag, self.lie)
        return torn_at(data[: self.cut_at] if self.end != "stall" else data, self.cuts)


def _served(body, first, etag, lie):
    if first is None or lie == "whole":
        return b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n%s" % (etag, len(body), body)
    if lie == "416":
        return b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"
    start = max(0, first + {"early": -1, "late": 1, "zero": -first}.get(lie, 0))
    total, part = len(body) + (lie == "total"), body[start:]
    tag = {"untagged": b"", "other": b'ETag: "other"\r\n'}.get(lie, b"ETag: %s\r\n" % etag)
    where = b"" if lie == "nowhere" else b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(body) - 1, total)
    length = len(part) + {"longer": 1, "shorter": -1}.get(lie, 0)
    part = part + b"+" if lie == "longer" else part
    return b"HTTP/1.1 206 Part\r\n%s%sContent-Length: %d\r\n\r\n%s" % (tag, where, max(0, length), part)


LIES = (
    "", "", "", "", "", "whole", "416", "early", "late", "zero", "total", "untagged", "other", "nowhere", "longer",
    "shorter",
)  # fmt: skip

anything = {"peers": st.lists(peers, min_size=1, max_size=3), "size": claims}
_heads = st.sampled_from(("length", "excess", "close", "1.0", "chunked", "interim", "folded"))


@st.composite
def honest_responses(draw):
    """An honest head and an honest body."""
    body, kind = draw(bodies), draw(_heads)
    line, framing = b"HTTP/1.1 200 OK\r\n", b"Content-Length: %d\r\n" % len(body)
    if kind == "chunked":
        parts = (body[start : start + 3000] for start in range(0, len(body), 3000))
        framing = b"Transfer-Encoding: chunked\r\n"
        body = b"".join(b"%X\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\nX: y\r\n\r\n"
    elif kind in {"close", "1.0"}:
        framing = b""
    head = {"1.0": b"HTTP/1.0 200 OK\r\n", "interim": INTERIM[0] * 3 + line}.get(kind, line) + framing
    body += b"excess" if kind == "excess" else b""
    return body, head + (b"X: a\r\n  b\r\n" if kind == "folded" else b"") + b"\r\n"


honest = {
    "response": honest_responses(), "cuts": cuts, "end": st.sampled_from(("fin", "rst")), "way": ways,
}  # fmt: skip
_attempts = st.tuples(
    st.sampled_from((0, 0, 0, 1)), cuts, st.integers(1, 200) | st.integers(1, 12_000) | st.just(20_000),
    st.sampled_from(("fin", "rst")), st.sampled_from(LIES),
)  # fmt: skip
resumed = {
    "versions": st.tuples(
        st.integers(1, 2600).map(lambda size: b"old." * size), st.integers(1, 2600).map(lambda size: b"new!" * size)
    ),
    "attempts": st.lists(_attempts, min_size=2, max_size=3),
}

QUIET = settings(suppress_health_check=list(HealthCheck))


@contextlib.contextmanager
def fuzzing(root, backend, options=None):
    """Run a loop for the laws; retries come at once."""
    with pytest.MonkeyPatch.context() as patch, start_blocking_portal(backend, options) as portal:
        patch.setattr(_download, "BACKOFF", 0.0)
        for (module, name), value in SMALL.items():
            patch.setattr(module, name, value)
        yield Fuzz(root, portal.call)


@pytest.fixture
def fuzz(tmp_path, loop_name):
    with fuzzing(tmp_path, LOOPS[loop_name]["backend"], LOOPS[loop_name].get("backend_options")) as running:
        yield running


ODD_ETAG = Peer((b'HTTP/1.1 200 OK\r\nETag: "\xe9"\r\nContent-Length: 5\r\n\r\nab',), "rst")
ENCODED = Peer((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",))
SMUGGLED = Peer((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",))
TWO_MINDS = Peer((b"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",))


def test_whatever_comes_is_a_staged_file_or_a_failure(fuzz):
    @QUIET
    @given(**anything)
    @example([ODD_ETAG, ODD_ETAG], None)
    @example([TWO_MINDS], None)
    @example([ENCODED], None)
    @example([SMUGGLED], None)
    def law(peers, size):
        fuzz.anything(peers, size)

    law()
    assert fuzz.seen["staged, and judged by the oracle"]


def test_an_honest_response_is_staged_whole_however_it_is_torn(fuzz):
    @QUIET
    @given(**honest)
    @example(
        (b"a record, and another|" * 400, b"HTTP/1.1 200 OK\r\nContent-Length: 8800\r\n\r\n"), [5000], "rst", "tls"
    )
    @example((b"up to the goodbye", b"HTTP/1.1 200 OK\r\n\r\n"), [19, 25], "fin", "tls")
    def law(response, cuts, end, way):
        body, head = response
        fuzz.honest(body, head, cuts, end, way)

    law()


def test_a_resumed_file_is_one_version_or_none(fuzz):
    @QUIET
    @given(**resumed)
    @example((b"old." * 100, b"new!" * 100), [(0, [], 150, "fin", ""), (0, [], 20_000, "fin", "")])  # one is resumed
    def law(versions, attempts):
        fuzz.resumed(versions, attempts)

    law()
    assert fuzz.seen["staged, and resumed"]


def test_silence_is_stalled_in_whichever_attempt(fuzz):
    silent, broken = Peer((b"HTTP/1.1 200 OK\r\n",), "stall"), Peer((b"HTTP",), "rst")
    for peers in ([silent], [broken, silent], [broken, broken, silent]):
        outcome, _ = fuzz.fetch(peers)
        assert outcome.reason == "stalled"


async def test_what_follows_a_body_inside_tls_is_not_the_next_answer(tmp_path):
    """Decrypted bytes wait in OpenSSL, where a look at the socket does not find them (RFC 9112 section 6.3)."""
    planted = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with FakeCDN(host="localhost", tls=True) as cdn:
        urls = cdn.serve("/first", b"12345" + planted, Length(5)), cdn.serve("/second", b"good")
        async with AttachmentStage(tmp_path, policy=cdn.policy, tls=cdn.client_tls) as stage:
            for url, right in zip(urls, (b"12345", b"good"), strict=True):
                [staged] = await stage.download(url)
                assert staged.path.read_bytes() == right
    assert_empty(tmp_path)
