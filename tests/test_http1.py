"""What RFC 9112 says of a response, as tables: each row is read in one piece and a byte at a time, with one verdict.

The kinds of rows follow the Web Platform Tests (fetch/content-length, fetch/h1-parsing); the rows are our own.
"""

import socket
from contextlib import closing
from itertools import combinations, product

import pytest

from staging import DownloadError
from staging._net.body import FramedResponse
from staging._net.http1 import LINES_PER_TURN, MAX_HEAD, MAX_INFORMATIONAL, MAX_OVERHEAD, Chunks
from staging._net.stream import Stream
from staging._net.transport import StaleError, answer
from staging._net.urls import Origin

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = {"protocol", "interrupted", "size_mismatch"}


class Torn(Stream):
    """A stream on which the bytes come one by one."""

    def receive_now(self, size):
        return super().receive_now(1)

    def read_now(self, view):
        return super().read_now(view[:1])


class Cut(Stream):
    """A stream on which a head comes in two hundred pieces."""

    def receive_now(self, size):
        return super().receive_now(170)


async def read(raw, stream_type=Stream):
    """Return the body of the response, or the reason why it is none; the peer sends `raw` and hangs up."""
    ours, theirs = socket.socketpair()
    with theirs, closing(stream_type(ours, Origin("http", "peer.test", 80))) as stream:
        for end in (ours, theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
        assert theirs.send(raw) == len(raw)
        theirs.shutdown(socket.SHUT_WR)
        body, view = b"", memoryview(bytearray(65_536))
        try:
            head = await answer(stream, lambda step: None, used=False)
            response = FramedResponse(stream, head, lambda stream, reusable: None, lambda step: None)
            while count := await response.readinto(view):
                body += view[:count]
        except (StaleError, OSError):
            return "interrupted"
        except DownloadError as error:
            assert error.detail.isprintable()
            assert "peer.test" in error.detail
            return error.reason
        return body


async def require(rows):
    """Read every row both ways; a row is what the peer sends and the body that it is, or None if it is none."""
    for raw, body in rows:
        for way in (Stream, Torn):
            found = await read(raw, way)
            assert found == body or (body is None and found in REFUSED), (raw[:200], found, way.__name__)


# ── the length ───────────────────────────────────────────────────────────────────────────────────────────────────────

LENGTHS = [
    (["5"], 5), (["5,5"], 5), (["5", "5"], 5), (["5", "5, 5"], 5), (["5 , 5"], 5), (["\t5\t"], 5), (["05"], 5),
    (["0"], 0), (["3,5"], None), (["5,3"], None), (["5", "3"], None), (["3", "5"], None), (["5,"], None),
    ([",5"], None), (["5", "\t"], None), (["", "5"], None), ([""], None), (["a", "b"], None), (["a,b"], None),
    (["a", "a"], None), (["a"], None), (["5s"], None), (["-1"], None), (["+5"], None), (["0x5"], None),
    (["5.0"], None), (["5 5"], None), (["5_5"], None), (["\u0665"], None), (["\u00b2"], None), (["1e1"], None),
    (["9" * 30], None), (["18446744073709551616"], None), (["9223372036854775807"], None), (["6"], None),
]  # fmt: skip


async def test_a_length_is_a_number_or_nothing():
    """RFC 9110 section 8.6, RFC 9112 section 6.3: what is no single number of digits frames nothing."""
    rows = []
    for values, length in LENGTHS:
        fields = b"".join(b"Content-Length: %b\r\n" % value.encode() for value in values)
        rows.append((OK + fields + b"\r\nhello", None if length is None else b"hello"[:length]))
    await require(rows)


async def test_without_a_length_the_body_ends_with_the_connection():
    await require([
        (OK + b"\r\nhello", b"hello"),
        (OK + b"\r\n", b""),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + FIVE + b"\r\nhello", b"hello"),
        (OK + FIVE + b"\r\nhello and more", b"hello"),
        (OK + FIVE + b"\r\nhell", None),
        (OK + FIVE + b"\r\n", None),
    ])  # fmt: skip


# ── chunks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_size_of_a_chunk_is_hexadecimal():
    """RFC 9112 section 7.1; the white space before an extension is section 7.1.1's BWS."""
    fine = (b"5", b"05", b"00000005", b"5;a", b"5;a=b", b'5;a="b;c\\"d"', b"5 ;a = b", b"5\t;a", b"5;", b"5  ")
    wrong = (
        b"", b"X", b"5X", b"-5", b"+5", b"0x5", b" 5", b"5 A", b"5_", b"0_5", b"\xb2", b"5.", b"5\x0b", b"5\0",
        b"f0000000000000003", b"1" + b"0" * 16, b"F" * 16, b"1" + b"0" * 40,
    )  # fmt: skip
    tail = b"\r\nhello\r\n0\r\n\r\n"
    await require([(CHUNKED + size + tail, b"hello") for size in fine])
    await require([(CHUNKED + size + tail, None) for size in wrong])
    await require([(CHUNKED + digit + b"\r\n0123456789\r\n0\r\n\r\n", b"0123456789") for digit in (b"a", b"A")])


async def test_a_chunked_body_ends_with_its_last_chunk_and_nothing_else():
    await require([
        (CHUNKED + b"0\r\n\r\n", b""),
        (CHUNKED + b"5\r\nhello\r\n000\r\n\r\n", b"hello"),
        (CHUNKED + b"5\r\nhello\r\n0;x=y\r\n\r\n", b"hello"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", b"hello"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n", b"hello"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nContent-Length: 2\r\n\r\n", b"hello"),
        (CHUNKED + b"1\r\na\r\n" * 300 + b"0\r\n\r\n", b"a" * 300),
        (CHUNKED + b"5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n", None),
        (CHUNKED + b"5\r\nhello\r\n0\r\n b\r\n\r\n", None),
        (CHUNKED + b"5\r\nhello\r\n0\r\n: a\r\n\r\n", None),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", None),
        (CHUNKED + b"5\r\nhello\r\n", None),
        (CHUNKED + b"5\r\nhel", None),
        (CHUNKED + b"5\r\nhello\r\n1", None),
        (CHUNKED + b"5\r\nhelloXY\r\n0\r\n\r\n", None),
        (CHUNKED + b"5\r\nhello\rX\r\n0\r\n\r\n", None),
        (CHUNKED + b"5\nhello\n0\n\n", None),
    ])  # fmt: skip


def test_it_does_not_matter_where_the_network_cuts_chunks_and_trailers():
    wire = b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\nrZ:;\r\n folded\r\n\r\n"
    for first, second in combinations(range(len(wire)), 2):
        chunks, view, count = Chunks(Origin("https", "a.example", 443), b""), memoryview(bytearray(99)), 0
        for piece in (wire[:first], wire[first:second], wire[second:]):
            chunks.feed(piece)
            count += chunks.take(view[count:])
        assert (chunks.ended, bytes(view[:count])) == (True, b"hello"), (first, second)


async def test_chunked_is_the_only_coding_of_a_transfer():
    """RFC 9112 section 6.1; empty elements of a list do not count (RFC 9110 section 5.6.1.2)."""
    body = b"5\r\nhello\r\n0\r\n\r\n"
    fine = (b"chunked", b"Chunked", b"\t chunked \t", b",chunked", b"chunked,", b", ,chunked , ,")
    wrong = (
        b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunkedchunked", b"chunk ed", b"xchunked", b"chunked;q=1",
        b"identity, chunked", b"identity", b"yolo", b"\x0bchunked", b"'chunked'", b"chunked, chunked", b"", b",",
        b"chunked\r\nTransfer-Encoding: chunked", b"chunked\r\nContent-Length: 5",
    )  # fmt: skip
    await require([(OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + body, b"hello") for coding in fine])
    await require([(OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + body, None) for coding in wrong])


async def test_a_body_whose_framing_outweighs_its_data_is_ended():
    """A byte in a chunk of its own costs six on the wire; a chunk's extension may cost any number (RFC 9112 7.1.1)."""
    in_bytes = b"1\r\nx\r\n"
    few = MAX_OVERHEAD // 8
    assert await read(CHUNKED + in_bytes * few + b"0\r\n\r\n") == b"x" * few
    assert await read(CHUNKED + in_bytes * (MAX_OVERHEAD // 3) + b"0\r\n\r\n") == "protocol"
    extended = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    assert await read(CHUNKED + extended * (MAX_OVERHEAD // 900) + b"0\r\n\r\n") == "protocol"
    large = b"800\r\n" + b"x" * 2048 + b"\r\n"
    assert await read(CHUNKED + large * 500 + b"0\r\n\r\n") == b"x" * 2048 * 500


async def test_tiny_chunks_are_taken_a_few_at_a_time():
    """So that the others get their turn: a chunk costs microseconds, and a buffer holds ten thousand of them."""
    ours, theirs = socket.socketpair()
    with theirs, closing(Stream(ours, Origin("http", "peer.test", 80))) as stream:
        ours.setblocking(False)
        theirs.sendall(CHUNKED + b"1\r\nx\r\n" * 1000)
        head = await answer(stream, lambda step: None, used=False)
        response = FramedResponse(stream, head, lambda stream, reusable: None, lambda step: None)
        assert 1 <= await response.readinto(memoryview(bytearray(4096))) <= LINES_PER_TURN


async def test_what_came_before_a_broken_connection_is_kept():
    """A server that sends head and half a body at once, and resets the connection, can be asked for the rest."""

    class Reset(Stream):
        def read_now(self, view):
            raise ConnectionResetError

    ours, theirs = socket.socketpair()
    with theirs, closing(Reset(ours, Origin("http", "peer.test", 80))) as stream:
        ours.setblocking(False)
        theirs.sendall(OK + FIVE + b"\r\nhel")
        head = await answer(stream, lambda step: None, used=False)
        response = FramedResponse(stream, head, lambda stream, reusable: None, lambda step: None)
        view = memoryview(bytearray(64))
        assert await response.readinto(view) == 3
        with pytest.raises(DownloadError) as broken:
            await response.readinto(view)
    assert (bytes(view[:3]), broken.value.reason) == (b"hel", "interrupted")


# ── the head ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_status_line_is_what_the_rfc_says():
    """RFC 9112 section 4."""
    fine = (
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 200 A very: long/reason (phrase) \xe9\xff",
        b"HTTP/1.1 200 \ttab", b"HTTP/1.0 200 OK", "HTTP/1.1 200 ОК".encode(),
    )  # fmt: skip
    wrong = (
        b"HTTP/1.2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200", b"HTTP/1 200 OK", b"HTTP/11 200 OK",
        b"HTTP/1.10 200 OK", b"HTTP/01.1 200 OK", b"http/1.1 200 OK", b"HTTPS/1.1 200 OK", b"HTTP/1.1", b"HTTP 200 OK",
        b"ICY 200 OK", b"RTSP/1.0 200 OK", b" HTTP/1.1 200 OK", b"X HTTP/1.1 200 OK", b"HTTP /1.1 200 OK",
        b"HTTP/1.1\t200 OK", b"HTTP/1.1\x0b200 OK", b"HTTP/1.1\r200 OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\x01K",
        b"HTTP/1.1 200 O\rK", b"HTTP/1.1 BLAH", b"HTTP/1.1 0 OK", b"HTTP/1.1 99 NO", b"HTTP/1.1 099 NO",
        b"HTTP/1.1 1000 BOO", b"HTTP/1.1 -200 OK", b"HTTP/1.1 +200 OK", b"HTTP/1.1 20\xb2 OK", b"HTTP/1.1 2 00 OK",
        b"HTTP/1.1 0x200 OK", b"HTTP/1.1 200.1 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 \t200 OK", b"",
    )  # fmt: skip
    await require([(line + b"\r\n" + FIVE + b"\r\nhello", b"hello") for line in fine])
    await require([(line + b"\r\n" + FIVE + b"\r\nhello", None) for line in wrong])


async def test_a_field_is_what_the_rfc_says():
    """RFC 9112 section 5, RFC 9110 section 5.5."""
    fine = (
        b"X:a", b"X: a", b"X:\ta", b"X: a \t ", b"X:", b"X: ", b"X: \xff\xfe", "X: тест".encode(), b"X: a\tb",
        b"X: a: b", b"X: ;,=\"'()<>@[]{}?\\", b"a!#$%&'*+-.^_`|~9: b", b"X: " + b"a" * 2000,
        b"Set-Cookie: a\r\nSet-Cookie: b",
        b"X: a\r\n b\r\n\tc", b"X: a\r\n ", b"X: y\nY: z", b"Connection: something-close",
    )  # fmt: skip
    wrong = (
        b"X : a", b"X\t: a", b"X a: b", b"X", b": a", b"\xff: a", "тест: a".encode(), b"X: a\0b", b"X: a\rb",
        b"X\0: a", b"X\r: a", b"X(: a", b"X/Y: a", b'"X": a', b"X@: a", b"X: a\r\r",
    )  # fmt: skip
    await require([(OK + field + b"\r\n" + FIVE + b"\r\nhello", b"hello") for field in fine])
    await require([(OK + field + b"\r\n" + FIVE + b"\r\nhello", None) for field in wrong])
    await require(
        [(OK + b"Content-Length:\r\n 5\r\n\r\nhello", b"hello"), (b"HTTP/1.1 200 OK\n" + FIVE + b"\nhello", b"hello")]
    )


async def test_one_character_too_many_anywhere():
    """Place by place through a head, character by character: what ends a line or a name early is never a response."""
    parts = [
        ("first", b"HT"), ("in HTTP", b"TP"), ("before the slash", b"/"), ("after it", b"1"), ("before the dot", b"."),
        ("after it", b"1"), ("after the version", b" "), ("before the status", b"20"), ("in it", b"0"),
        ("in a name", b" OK\r\nX-Fr"), ("later in it", b"ame:"), ("in a value", b"DE"),
        ("later", b"NY\r\n" + FIVE + b"\r\nhello"),
    ]  # fmt: skip
    fine = set(product((b"\t", b" "), (11, 12))) | {(b":", place) for place in (10, 11, 12)} | {(b" ", 9)}
    rows = []
    for char, place in product((b"\n", b"\r", b"\t", b" ", b"\0", b":", b"\x0b", b"\x85"), range(len(parts))):
        raw = b"".join((char if index == place else b"") + text for index, (_, text) in enumerate(parts))
        if char == b"\n" and place >= 11:
            continue  # a bare LF ends a line (RFC 9112 section 2.2), and what follows is a malformed one or not
        known = (char, place) in fine or (char == b"\x85" and place in (11, 12))
        rows.append((raw, b"hello" if known else None))
    await require(rows)


@pytest.mark.parametrize(
    "size", [MAX_HEAD - 200, MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1, 40_000, 60_000, 70_000, 120_000]
)
async def test_a_head_is_too_large_or_not_however_the_network_cuts_it(size):
    """Ordinary ones and others, in one piece, in two, and with the body."""
    for extra in (b"", b"Transfer-Encoding: chunked\r\n"):
        head = OK + (extra or FIVE) + b"X: "
        head += b"a" * (size - len(head) - 4) + b"\r\n\r\n"
        assert len(head) == size
        body = b"5\r\nhello\r\n0\r\n\r\n" if extra else b"hello"
        wanted = b"hello" if size <= MAX_HEAD else "protocol"
        assert await read(head + body) == wanted
        if size < 2 * MAX_HEAD:
            assert await read(head + body, Cut) == wanted


async def test_responses_before_the_final_one_are_counted():
    """RFC 9110 section 15.2."""
    hints = (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
        b"HTTP/1.1 199 X\r\n\r\n",
    )
    await require([(hint * MAX_INFORMATIONAL + OK + FIVE + b"\r\nhello", b"hello") for hint in hints])
    await require([(hint * (MAX_INFORMATIONAL + 1) + OK + FIVE + b"\r\nhello", None) for hint in hints])
    await require([(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + OK + FIVE + b"\r\nhello", None)])


async def test_what_is_not_http_is_refused_at_its_first_bytes():
    """A peer that speaks first and waits, as SMTP does, is not waited for."""
    for data in (
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"\x15\x03\x01\0\x02\x02\x16",
        b"<html>",
        b"\0" * 50,
        b"\r\n" + OK,
    ):
        ours, theirs = socket.socketpair()
        with theirs, closing(Stream(ours, Origin("http", "peer.test", 80))) as stream:
            ours.setblocking(False)
            theirs.sendall(data)  # and nothing more
            with pytest.raises(DownloadError, match="did not speak HTTP") as refused:
                await answer(stream, lambda step: None, used=False)
            assert refused.value.reason == "protocol"
