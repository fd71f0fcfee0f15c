"""FakeCDN does on the wire what a test tells it to, and leaves nothing behind."""

import asyncio
import contextlib
import functools
import gzip
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import zlib

import anyio
import anyio.lowlevel
import httpx
import pytest

from staging.testing import (
    Chunked,
    Drip,
    Endless,
    FakeCDN,
    Hold,
    Length,
    Raw,
    Reply,
    Reset,
    Stall,
    Truncate,
    assert_empty,
    gzip_bomb,
    server,
)

MB = 1_048_576
DATA = bytes(range(256)) * 4
HEAD_END = b"\r\n\r\n"


async def connect(cdn):
    return await anyio.connect_tcp(cdn.host, cdn.port)


async def ask(stream, path="/a", *fields):
    lines = [f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""]
    await stream.send("\r\n".join(lines).encode())


async def read_all(stream):
    """Return everything that comes, and how it ended: ``"fin"`` or ``"rst"``."""
    received = bytearray()
    try:
        while True:
            received += await stream.receive()
    except anyio.EndOfStream:
        return bytes(received), "fin"
    except anyio.BrokenResourceError:
        return bytes(received), "rst"


async def read_until(stream, size_or_mark):
    received = bytearray()
    while len(received) < size_or_mark if isinstance(size_or_mark, int) else size_or_mark not in received:
        received += await stream.receive()
    return bytes(received)


async def wire(cdn, path="/a", *fields):
    """Return all bytes of one reply on a connection of its own, and how it ended."""
    async with await connect(cdn) as stream:
        await ask(stream, path, "Connection: close", *fields)
        return await read_all(stream)


def split(raw):
    """Return the status line, the fields in lower case, and the body."""
    head, _, body = raw.partition(HEAD_END)
    line, *fields = head.split(b"\r\n")
    return line, [tuple(field.lower().split(b": ", 1)) for field in fields], body


async def get(client, url, **headers):
    return await client.get(url, headers=headers)


async def test_a_file_is_served_with_its_length_type_and_a_strong_etag():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        reply = await client.get(cdn.file("a b.png", DATA))
        assert (reply.status_code, reply.content) == (200, DATA)
        assert reply.headers["content-type"] == "image/png"
        assert reply.headers["content-length"] == "1024"
        assert reply.headers["etag"].startswith('"')
        assert cdn.url("/a b.png").endswith("/a%20b.png")


async def test_an_unknown_path_is_not_found():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        assert (await client.get(cdn.url("/nothing"))).status_code == 404


async def test_requests_are_recorded_with_their_connection():
    async with FakeCDN() as cdn:
        async with httpx.AsyncClient() as client:
            await client.get(cdn.serve("/a", b"1"), params={"q": "2"}, headers={"X-Token": "secret"})
            await client.get(cdn.serve("/b", b"2"))
        async with httpx.AsyncClient() as client:
            await client.get(cdn.url("/b"))
        first, second, third = cdn.requests
        assert (first.method, first.target, first.path, first.version) == ("GET", "/a?q=2", "/a", "HTTP/1.1")
        assert first.header("x-token") == "secret"
        assert first.header("range") is None
        assert [first.connection, second.connection, third.connection] == [1, 1, 2]
        assert cdn.connections == 2


async def test_a_path_with_a_query_answers_only_that_query():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        cdn.serve("/a", b"expired", status=404)
        fresh = cdn.serve("/a?ex=2", b"fresh")
        assert (await client.get(cdn.url("/a?ex=1"))).status_code == 404
        assert (await client.get(fresh)).content == b"fresh"


async def test_a_script_gives_its_replies_in_turn_and_stays_at_the_last():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        url = cdn.script("/a", Reply(b"1", status=503, headers={"Retry-After": "2"}), Reply(b"2"), Reply(b"3"))
        replies = [await client.get(url) for _ in range(4)]
        assert [reply.content for reply in replies] == [b"1", b"2", b"3", b"3"]
        assert (replies[0].status_code, replies[0].headers["retry-after"]) == (503, "2")
        assert replies[1].headers["etag"] != replies[2].headers["etag"]


async def test_a_function_may_make_the_reply():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        url = cdn.script("/a", lambda request: Reply((request.header("x-who") or "").encode()))
        assert (await get(client, url, **{"X-Who": "me"})).content == b"me"


async def test_a_function_that_raises_is_a_500_that_says_so():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        reply = await client.get(cdn.script("/a", lambda request: Reply(request.nonsense)))
        assert reply.status_code == 500
        assert "nonsense" in reply.text


async def test_own_headers_replace_the_reply_s():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"x", headers=[("ETag", 'W/"1"'), ("X", b"\xff"), ("X", "é")], media_type=None)
        _, fields, _ = split((await wire(cdn))[0])
        assert fields == [
            (b"accept-ranges", b"bytes"), (b"content-length", b"1"), (b"etag", b'w/"1"'), (b"x", b"\xff"),
            (b"x", "é".encode()),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "part", "content_range"),
    [
        ("bytes=1000-", DATA[1000:], "bytes 1000-1023/1024"),
        ("bytes=0-0", DATA[:1], "bytes 0-0/1024"),
        ("bytes=-5", DATA[-5:], "bytes 1019-1023/1024"),
        ("bytes=1000-99999", DATA[1000:], "bytes 1000-1023/1024"),
    ],
)
async def test_a_range_is_honoured(asked, part, content_range):
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        reply = await get(client, cdn.serve("/a", DATA), Range=asked)
        assert (reply.status_code, reply.content) == (206, part)
        assert reply.headers["content-range"] == content_range


@pytest.mark.parametrize("asked", ["bytes=2000-", "bytes=1024-", "bytes=-0"])
async def test_a_range_past_the_end_is_416(asked):
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        reply = await get(client, cdn.serve("/a", DATA), Range=asked)
        assert (reply.status_code, reply.headers["content-range"]) == (416, "bytes */1024")


@pytest.mark.parametrize("asked", ["bytes=-", "items=0-1", "bytes=0-1,3-4", "bytes=" + "9" * 9999 + "-"])
async def test_a_strange_range_gets_the_whole(asked):
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        assert (await get(client, cdn.serve("/a", DATA), Range=asked)).status_code == 200


async def test_if_range_with_another_etag_gets_the_whole():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        url = cdn.serve("/a", DATA, etag='"v2"')
        assert (await get(client, url, Range="bytes=5-", **{"If-Range": '"v1"'})).status_code == 200
        assert (await get(client, url, Range="bytes=5-", **{"If-Range": '"v2"'})).status_code == 206


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
async def test_without_a_strong_etag_there_are_no_ranges(etag):
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        reply = await get(client, cdn.serve("/a", DATA, etag=etag), Range="bytes=5-")
        assert (reply.status_code, reply.headers.get("etag")) == (200, etag)


async def test_a_wrong_206_is_said_as_told():
    async with FakeCDN() as cdn:
        cdn.serve("/a", DATA[7:], status=206, headers={"Content-Range": "bytes 5-9/10"})
        line, fields, body = split((await wire(cdn))[0])
        assert line == b"HTTP/1.1 206 Partial Content"
        assert (b"content-range", b"bytes 5-9/10") in fields
        assert body == DATA[7:]


@pytest.mark.parametrize(("at", "body"), [(0, b""), (1, DATA[:1]), (500, DATA[:500]), (-1, DATA[:-1]), ("end", DATA)])
@pytest.mark.parametrize(("fault", "end"), [(Reset, "rst"), (Truncate, "fin")])
async def test_a_break_in_the_body_is_exact(fault, end, at, body):
    async with FakeCDN() as cdn:
        cdn.serve("/a", DATA, fault(at=at))
        raw, how = await wire(cdn)
        assert (split(raw)[2], how) == (body, end)
        assert (b"content-length", b"1024") in split(raw)[1]


@pytest.mark.parametrize(("fault", "end"), [(Reset, "rst"), (Truncate, "fin")])
async def test_a_break_before_and_in_the_head(fault, end):
    async with FakeCDN() as cdn:
        cdn.script("/a", Reply(DATA, fault(at="start")), Reply(DATA, fault(at="head")))
        assert await wire(cdn) == (b"", end)
        raw, how = await wire(cdn)
        assert raw.startswith(b"HTTP/1.1 200")
        assert HEAD_END not in raw
        assert how == end


async def test_a_reset_comes_after_megabytes_without_losing_one_byte():
    async with FakeCDN() as cdn:
        cdn.serve("/a", bytes(10 * MB), Reset(at=9 * MB + 1))
        raw, how = await wire(cdn)
        assert (len(split(raw)[2]), how) == (9 * MB + 1, "rst")


@pytest.mark.parametrize(("at", "size"), [("start", 0), (0, None), (7, None)])
async def test_a_stall_lasts_until_the_client_goes_away(at, size):
    async with FakeCDN() as cdn:
        cdn.serve("/a", DATA, Stall(at=at))
        async with await connect(cdn) as stream:
            await ask(stream)
            received = b"" if size == 0 else await read_until(stream, HEAD_END + DATA[:at])
            with anyio.move_on_after(0.05) as scope:
                received += await stream.receive()
            assert scope.cancelled_caught
            assert received.endswith(HEAD_END + DATA[:at] if size is None else b"")
            assert cdn.open_connections == 1
        await cdn.disconnected()
        assert cdn.open_connections == 0


async def test_a_drip_sends_pieces_with_pauses():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"abcdef", Drip(2, every=0.05))
        started, pieces = anyio.current_time(), []
        async with await connect(cdn) as stream:
            await ask(stream, "/a", "Connection: close")
            await read_until(stream, HEAD_END + b"ab")
            pieces += [await stream.receive() for _ in range(2)]
            assert pieces == [b"cd", b"ef"]
            assert anyio.current_time() - started >= 0.1


async def test_slow_headers():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"", Drip(1, every=0.01, head=True))
        async with await connect(cdn) as stream:
            await ask(stream)
            assert [await stream.receive() for _ in range(4)] == [b"H", b"T", b"T", b"P"]
        await cdn.disconnected()


async def test_a_drip_is_noticed_to_be_in_vain_during_its_pause():
    async with FakeCDN() as cdn:
        cdn.serve("/a", DATA, Drip(1, every=3600))
        async with await connect(cdn) as stream:
            await ask(stream)
            await read_until(stream, HEAD_END)
        await cdn.disconnected("/a")


@pytest.mark.parametrize(("at", "sent"), [("start", b""), (3, HEAD_END + DATA[:3]), ("end", HEAD_END + DATA)])
async def test_a_hold_lets_the_test_decide_when(at, sent):
    async with FakeCDN() as cdn, await connect(cdn) as stream:
        hold = Hold(at=at)
        cdn.serve("/a", DATA, hold)
        await ask(stream, "/a", "Connection: close")
        await hold.reached()
        received = await read_until(stream, sent) if sent else b""
        with anyio.move_on_after(0.02) as scope:
            received += await stream.receive()
        assert scope.cancelled_caught
        assert received.endswith(sent)
        hold.release()
        rest, _ = await read_all(stream)
        assert split(received + rest)[2] == DATA


async def test_a_hold_notices_that_the_client_has_gone():
    async with FakeCDN() as cdn:
        hold = Hold()
        cdn.serve("/a", DATA, hold)
        async with await connect(cdn) as stream:
            await ask(stream)
            await hold.reached()
        await cdn.disconnected()


async def test_faults_combine_in_the_order_of_their_places():
    async with FakeCDN() as cdn:
        hold = Hold(at=2)
        cdn.serve("/a", b"abcdef", Reset(at=4), hold, Drip(1, every=0))
        hold.release()
        raw, how = await wire(cdn)
        await hold.reached()
        assert (split(raw)[2], how) == (b"abcd", "rst")


@pytest.mark.parametrize("values", [(10**9,), ("-5",), ("+5",), ("5", "6"), ("9" * 25,), ()])
async def test_a_lie_about_the_length_ends_with_the_connection(values):
    async with FakeCDN() as cdn, await connect(cdn) as stream:
        cdn.serve("/a", b"hello", Length(*values))
        await ask(stream)
        raw, how = await read_all(stream)
        _, fields, body = split(raw)
        assert [value for name, value in fields if name == b"content-length"] == [str(v).encode() for v in values]
        assert (body, how) == (b"hello", "fin")


async def test_more_than_was_promised_is_sent_and_the_connection_stays():
    async with FakeCDN() as cdn, await connect(cdn) as stream:
        cdn.serve("/a", b"hello", Length(3))
        await ask(stream)
        assert (await read_until(stream, HEAD_END + b"hello")).endswith(b"hello")
        await ask(stream)
        await read_until(stream, b"hello")


async def test_chunks_of_any_size_with_extension_and_trailer():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"abcde", Chunked(2, extension=b";x=1", trailer=b"X-Sum: 1\r\n"))
        raw, _ = await wire(cdn)
        _, fields, _ = split(raw)
        assert (b"transfer-encoding", b"chunked") in fields
        assert not any(name == b"content-length" for name, _ in fields)
        assert raw.endswith(b"2;x=1\r\nab\r\n2;x=1\r\ncd\r\n1;x=1\r\ne\r\n0\r\nX-Sum: 1\r\n\r\n")


async def test_chunked_with_a_length_says_both():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"abcde", Chunked(), Length(3))
        names = [name for name, _ in split((await wire(cdn))[0])[1]]
        assert {b"transfer-encoding", b"content-length"} <= set(names)


async def test_a_truncated_chunked_body_lacks_its_last_chunk():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        cdn.serve("/a", b"abcde", Chunked(), Truncate(at="end"))
        assert (await wire(cdn))[0].endswith(b"\r\n5\r\nabcde\r\n")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(cdn.url("/a"))


async def test_a_hundred_thousand_one_byte_chunks_are_quick():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"x" * 100_000, Chunked(1))
        with anyio.fail_after(5):
            raw, _ = await wire(cdn)
        assert split(raw)[2] == b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"


@pytest.mark.parametrize(("faults", "framing"), [((), b""), ((Chunked(),), b"chunked"), ((Length(9),), b"9")])
async def test_an_endless_body_has_no_end(faults, framing):
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"spam", Endless(), *faults)
        async with await connect(cdn) as stream:
            await ask(stream)
            received = await read_until(stream, 3 * MB)
        _, fields, body = split(received)
        assert (dict(fields).get(b"transfer-encoding") or dict(fields).get(b"content-length") or b"") == framing
        if b"chunked" not in received[:500]:
            assert body.startswith(b"spamspam")
            assert body == (b"spam" * MB)[: len(body)]
        await cdn.disconnected()


async def test_an_endless_body_drips_in_step():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"abc", Endless(), Drip(2, every=0), Truncate(at=10))
        assert split((await wire(cdn))[0])[2] == b"abcabcabca"


async def test_interim_responses_without_end():
    async with FakeCDN() as cdn:
        cdn.script("/a", Raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", Endless(), Drip(28, every=0.001)))
        async with await connect(cdn) as stream:
            await ask(stream)
            assert (await read_until(stream, 280)).startswith(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9)
        await cdn.disconnected()


async def test_headers_without_end():
    async with FakeCDN() as cdn:
        cdn.script("/a", Raw(b"X: y\r\n", Endless(), head=b"HTTP/1.1 200 OK\r\n"))
        async with await connect(cdn) as stream:
            await ask(stream)
            assert (await read_until(stream, MB)).startswith(b"HTTP/1.1 200 OK\r\nX: y\r\nX: y\r\n")


async def test_a_header_bomb_is_sent_whole():
    async with FakeCDN() as cdn:
        cdn.serve("/a", b"", headers=[("X-Big", "y" * 10 * MB)])
        raw, _ = await wire(cdn)
        assert len(raw) > 10 * MB
        cdn.serve("/a", b"", headers=[(f"X-{n}", "y") for n in range(20_000)])
        assert len(split((await wire(cdn))[0])[1]) > 20_000


@pytest.mark.parametrize(
    ("faults", "expected"),
    [((), (b"no \x00 http", "fin")), ((Reset(at=2),), (b"no", "rst")), ((Reset(at="end"),), (b"no \x00 http", "rst"))],
)
async def test_raw_bytes_are_verbatim(faults, expected):
    async with FakeCDN() as cdn:
        cdn.script("/a", Raw(b"no \x00 http", *faults))
        assert await wire(cdn) == expected


@pytest.mark.parametrize("location", ["/b", "//elsewhere/b", "http://[::1", "file:///etc/passwd", b"/\xff", ""])
async def test_a_redirect_says_its_location_as_it_is(location):
    async with FakeCDN() as cdn:
        cdn.redirect("/a", location, body=b"go there", status=307)
        line, fields, body = split((await wire(cdn))[0])
        expected = location if isinstance(location, bytes) else location.encode()
        assert line == b"HTTP/1.1 307 Temporary Redirect"
        assert (b"location", expected.lower()) in fields
        assert body == b"go there"


async def test_a_chain_of_redirects_is_followed_to_its_end():
    async with FakeCDN() as cdn, httpx.AsyncClient(follow_redirects=True) as client:
        for hop in range(5):
            cdn.redirect(f"/{hop}", f"/{hop + 1}")
        cdn.serve("/5", b"here")
        assert (await client.get(cdn.url("/0"))).content == b"here"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_bodiless_status_has_no_length_and_keeps_the_connection(status):
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        for _ in range(2):
            reply = await client.get(cdn.serve("/a", b"", status=status))
            assert (reply.status_code, reply.headers.get("content-length")) == (status, None)
        assert cdn.connections == 1


async def test_head_has_the_head_only():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        reply = await client.head(cdn.serve("/a", DATA))
        assert (reply.headers["content-length"], reply.content) == ("1024", b"")
        assert (await client.get(cdn.url("/a"))).content == DATA
        assert cdn.connections == 1


async def test_a_request_with_a_body_is_answered_and_its_connection_closed():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        cdn.serve("/a", DATA)
        for _ in range(2):
            assert (await client.post(cdn.url("/a"), content=b"x" * 100_000)).content == DATA
        assert cdn.connections == 2


@pytest.mark.parametrize(
    "request_bytes",
    [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET /" + b"a" * 70_000],
)
async def test_what_is_no_request_is_a_400(request_bytes):
    async with FakeCDN() as cdn, await connect(cdn) as stream:
        await stream.send(request_bytes)
        assert (await read_all(stream))[0].startswith(b"HTTP/1.1 400")
        assert cdn.requests == []


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_gzip_bomb_decodes_to_its_size(layers):
    bomb = gzip_bomb(20 * MB)
    assert len(bomb) < 40_000
    assert gzip.decompress(bomb) == bytes(20 * MB)
    for _ in range(layers - 1):
        bomb = gzip.compress(bomb)
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        url = cdn.serve("/a", bomb, headers={"Content-Encoding": ", ".join(["gzip"] * layers)})
        assert len((await get(client, url, **{"Accept-Encoding": "identity"})).content) == 20 * MB


async def test_a_big_body_arrives_whole():
    body = os.urandom(MB) * 50
    async with FakeCDN() as cdn, httpx.AsyncClient() as client:
        assert zlib.crc32((await client.get(cdn.serve("/a", body))).content) == zlib.crc32(body)


async def test_a_test_can_wait_for_requests():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client, anyio.create_task_group() as group:
        hold = Hold()
        cdn.serve("/a", DATA, hold)
        cdn.serve("/b", DATA)
        group.start_soon(client.get, cdn.url("/a"))
        await cdn.requested("/a")
        await cdn.requested()
        group.start_soon(client.get, cdn.url("/b?q"))
        group.start_soon(client.get, cdn.url("/b"))
        await cdn.requested("/b", times=2)
        assert len(cdn.requests) == 3
        hold.release()


async def test_policy_admits_this_server_and_nothing_else():
    async with FakeCDN(names=("b.example",)) as cdn:
        cdn.policy.check(cdn.url("/a"))
        cdn.policy.check(cdn.url("/a", host="b.example"))
        cdn.policy.check_address("127.0.0.1")
        for other in (f"https://127.0.0.1:{cdn.port}/", f"http://127.0.0.1:{cdn.port + 1}/", "http://c.example/"):
            with pytest.raises(ValueError, match=r"."):
                cdn.policy.check(other)


async def test_localhost_and_made_up_names_listen_on_loopback():
    for host in ("localhost", "cdn.example"):
        async with FakeCDN(host=host) as cdn:
            assert cdn.serve("/a", DATA) == f"http://{host}:{cdn.port}/a"
            cdn.policy.check(cdn.url("/a"))
            async with await anyio.connect_tcp("127.0.0.1", cdn.port) as stream:
                await ask(stream)
                await read_until(stream, HEAD_END + DATA)


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
async def test_ipv6():
    async with FakeCDN(host="::1") as cdn, httpx.AsyncClient() as client:
        assert (await client.get(cdn.serve("/a", DATA))).content == DATA
        cdn.policy.check(cdn.url("/a"))


# TLS


async def test_tls_with_a_certificate_that_client_tls_trusts():
    async with FakeCDN(host="localhost", tls=True) as cdn, httpx.AsyncClient(verify=cdn.client_tls) as client:
        url = cdn.serve("/a", DATA)
        assert url.startswith("https://localhost:")
        cdn.policy.check(url)
        assert (await client.get(url)).content == DATA
        assert cdn.server_names == ["localhost"]
    async with FakeCDN(tls=True) as cdn, httpx.AsyncClient(verify=cdn.client_tls) as client:
        assert (await client.get(cdn.serve("/a", DATA))).content == DATA


async def test_a_big_body_arrives_whole_through_tls():
    body = os.urandom(MB) * 5
    async with FakeCDN(host="localhost", tls=True) as cdn, httpx.AsyncClient(verify=cdn.client_tls) as client:
        for _ in range(2):
            assert (await client.get(cdn.serve("/a", body))).content == body
        assert cdn.connections == 1


@pytest.mark.parametrize("fault", [Stall(at=5), Reset(at=5), Truncate(at=5), Drip(1, every=3600)])
async def test_faults_under_tls(fault):
    async with FakeCDN(host="localhost", tls=True) as cdn:
        cdn.serve("/a", DATA, fault)
        stream = await anyio.connect_tcp(
            "127.0.0.1", cdn.port, tls_hostname="localhost", ssl_context=cdn.client_tls, tls_standard_compatible=False
        )
        async with stream:
            await ask(stream)
            await read_until(stream, HEAD_END + DATA[: 1 if isinstance(fault, Drip) else 5])
        await cdn.disconnected()


async def handshake_error(cdn):
    """Return the error that a careful client's handshake ends in."""
    with pytest.raises((ssl.SSLError, anyio.BrokenResourceError)) as caught:
        await anyio.connect_tcp("127.0.0.1", cdn.port, tls_hostname=cdn.host, ssl_context=cdn.client_tls)
    return f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("expired", "certificate has expired"),
        ("wrong_host", "mismatch"),
        ("self_signed", "self.signed certificate"),
        ("tls1.0", "(?i)protocol.version|unsupported.protocol|legacy.sigalg"),  # the last one is Debian's OpenSSL
        ("plain", "(?i)wrong.version.number|record.layer"),
    ],
)
async def test_a_bad_handshake_fails_for_its_reason(fault, message):
    async with FakeCDN(host="localhost", tls=fault) as cdn:
        assert re.search(message, await handshake_error(cdn))
        assert cdn.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_tls_1_0_is_spoken_to_those_who_do():
    async with FakeCDN(host="localhost", tls="tls1.0") as cdn:
        cdn.client_tls.minimum_version = ssl.TLSVersion.TLSv1
        cdn.client_tls.set_ciphers("DEFAULT:@SECLEVEL=0")
        async with httpx.AsyncClient(verify=cdn.client_tls) as client:
            assert (await client.get(cdn.serve("/a", DATA))).content == DATA


async def test_a_handshake_that_stalls_lasts_until_the_client_goes_away():
    async with FakeCDN(tls="stall") as cdn:
        context = cdn.client_tls  # made before the time runs
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await anyio.connect_tcp("127.0.0.1", cdn.port, tls_hostname="localhost", ssl_context=context)
        assert cdn.connections == 1
        await cdn.disconnected()


async def test_each_name_has_its_own_certificate_by_sni():
    async with FakeCDN(host="a.example", tls=True, names=["b.example"]) as cdn:
        for name in ("a.example", "b.example"):
            stream = await anyio.connect_tcp(
                "127.0.0.1", cdn.port, tls_hostname=name, ssl_context=cdn.client_tls, tls_standard_compatible=False
            )
            certificate = stream.extra(anyio.streams.tls.TLSAttribute.peer_certificate)
            assert certificate["subjectAltName"] == (("DNS", name),)
            await stream.aclose()
        assert cdn.server_names == ["a.example", "b.example"]
        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.connect_tcp("127.0.0.1", cdn.port, tls_hostname="c.example", ssl_context=cdn.client_tls)


async def test_an_ssl_context_of_ones_own():
    async with FakeCDN(host="localhost", tls=True) as donor:
        context = donor._contexts[0]
    async with FakeCDN(host="localhost", tls=context) as cdn, httpx.AsyncClient(verify=cdn.client_tls) as client:
        assert (await client.get(cdn.serve("/a", DATA))).content == DATA


@pytest.mark.parametrize(("faults", "farewell"), [((), True), ((Truncate(at="end"),), False)])
async def test_a_close_on_tls_says_farewell_unless_truncated(faults, farewell):
    async with FakeCDN(host="localhost", tls=True) as cdn:
        cdn.serve("/a", DATA, Length(), *faults)
        records = await records_of(cdn)
        assert (records[-1] == FAREWELL) == farewell


FAREWELL = 2 + 1 + 16  # bytes of an encrypted alert: itself, its type, and the tag (RFC 8446 sections 5.2 and 6)


async def records_of(cdn):
    """Ask for /a over TLS 1.3 and return the lengths of the records that come.

    They are looked at on the wire: Python 3.11.2 with OpenSSL 3.0.19 reads a truncated stream as one that has ended.
    """
    raw = bytearray()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = cdn.client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with await anyio.connect_tcp("127.0.0.1", cdn.port) as stream:

        async def pump(step, *arguments):
            while True:
                try:
                    return step(*arguments)
                except ssl.SSLWantReadError:
                    await flush()
                    incoming.write(await stream.receive())

        async def flush():
            if outgoing.pending:
                await stream.send(outgoing.read())

        await pump(tls.do_handshake)
        await pump(tls.write, b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await flush()
        lengths = []
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while FAREWELL not in lengths:  # after which the server waits for ours
                raw += await stream.receive()
                while len(raw) >= 5 + (length := int.from_bytes(raw[3:5], "big")):
                    lengths.append(length)
                    del raw[: 5 + length]
    return lengths


async def test_tls_without_trustme_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    server._authority.cache_clear()
    with pytest.raises(RuntimeError, match="pip install trustme"):
        async with FakeCDN(tls=True):
            pass


# The end


@pytest.mark.parametrize(
    "fault",
    [
        functools.partial(Stall, at="start"),
        functools.partial(Stall, at=5),
        Endless,
        functools.partial(Drip, 1, every=3600),
        Hold,
        Truncate,
    ],
)
async def test_exit_ends_everything_at_once_whatever_it_was_doing(fault):
    async with contextlib.AsyncExitStack() as stack:
        with anyio.fail_after(5):
            async with FakeCDN() as cdn:
                cdn.serve("/a", DATA, fault())
                stream = await stack.enter_async_context(await connect(cdn))
                await stack.enter_async_context(await connect(cdn))  # one that never asks
                await ask(stream)
                await cdn.requested("/a")
        assert cdn.open_connections == 0
        with pytest.raises(OSError, match=r"."):
            await connect(cdn)


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), GeneratorExit()])
async def test_the_body_s_exception_comes_out_as_it_is(error):
    with pytest.raises(type(error)) as caught:
        async with FakeCDN() as cdn:
            cdn.serve("/a", DATA, Stall())
            async with await connect(cdn) as stream:
                await ask(stream)
                await cdn.requested()
                raise error
    assert caught.value is error


async def test_a_cancellation_goes_to_the_scope_that_asked_for_it():
    with anyio.move_on_after(3600) as scope:
        async with FakeCDN() as cdn, await connect(cdn) as stream:
            cdn.serve("/a", DATA, Stall())
            await ask(stream)
            await cdn.requested()
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert cdn.open_connections == 0
    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.02):
            async with FakeCDN():
                await anyio.sleep_forever()


def test_asyncio_s_own_cancellation_is_passed_on():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                async with FakeCDN():
                    await asyncio.sleep(3600)
        assert asyncio.current_task().cancelling() == 0

        async def stay():
            async with FakeCDN() as cdn, await connect(cdn):
                await asyncio.sleep(3600)

        task = asyncio.create_task(stay())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())


async def test_it_may_be_left_in_another_task():
    """As fixtures are, whose two halves run in tasks of their own."""
    cdn = FakeCDN()
    for half in (cdn.__aenter__, functools.partial(cdn.__aexit__, None, None, None)):
        async with anyio.create_task_group() as group:
            group.start_soon(half)
        if half == cdn.__aenter__:
            stream = await connect(cdn)
            cdn.serve("/a", DATA, Stall(at=5))
            await ask(stream)
            await read_until(stream, HEAD_END + DATA[:5])
    assert cdn.open_connections == 0
    assert await read_all(stream) == (b"", "fin")
    await stream.aclose()


async def test_a_task_that_is_over_does_not_end_it():
    """Neither its end nor the cancellation of its scope does."""
    async with contextlib.AsyncExitStack() as stack:
        with anyio.CancelScope() as scope:
            cdn = await stack.enter_async_context(FakeCDN())
            scope.cancel()
        async with httpx.AsyncClient() as client:
            assert (await get(client, cdn.serve("/a", DATA))).content == DATA


@pytest.mark.parametrize("times", [1, 2, 10])
def test_asyncio_s_own_cancellation_leaves_no_task_and_no_socket(times):
    """Whenever it comes, and however often it comes again during the exit."""

    async def stay():
        async with FakeCDN() as cdn, await connect(cdn) as stream:
            cdn.serve("/a", DATA, Stall())
            await ask(stream)
            await cdn.requested()
            try:
                await asyncio.sleep(3600)
            finally:
                again()

    def again():
        for _ in range(times - 1):
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)

    async def main():
        for step in range(20):
            task = asyncio.create_task(stay())
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_loop_that_ends_first_closes_everything(loop):
    """A server that is never left ends with its loop."""
    cdn = FakeCDN()

    async def main():
        await cdn.__aenter__()
        async with await connect(cdn) as stream:
            await ask(stream)
            await cdn.requested()

    anyio.run(main, backend=loop)
    assert cdn.open_connections == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((cdn.host, cdn.port))


async def test_a_reply_that_cannot_be_sent_is_an_error_of_the_test():
    """Its exception is raised at the exit, but not in place of the body's own."""
    with pytest.raises(ExceptionGroup) as caught:
        async with FakeCDN() as cdn:
            cdn.script("/a", Reply("no bytes", etag=None))
            await wire(cdn)
    assert caught.group_contains(TypeError)
    with pytest.raises(ValueError, match="mine"):
        async with FakeCDN() as cdn:
            cdn.script("/a", Reply("no bytes", etag=None))
            await wire(cdn)
            raise ValueError("mine")


async def test_a_client_that_vanishes_is_no_error():
    async with FakeCDN() as cdn:
        cdn.serve("/a", bytes(10 * MB))
        for _ in range(20):
            stream = await connect(cdn)
            await ask(stream)
            await stream.receive(1)
            await anyio.aclose_forcefully(stream)
        await cdn.disconnected()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors to set")
async def test_the_server_outlives_a_lack_of_descriptors():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with FakeCDN() as cdn:
        client = socket.socket()
        with client:
            lowest_free = client.fileno() + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            try:
                client.connect((cdn.host, cdn.port))  # the kernel accepts; the server cannot
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                assert cdn.connections == 0
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            client.setblocking(False)
            client.send(b"GET /a HTTP/1.1\r\n\r\n")
            await cdn.requested("/a")


async def test_many_clients_at_once():
    async with FakeCDN() as cdn, httpx.AsyncClient() as client, anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(client.get, cdn.serve(f"/{number}", DATA))
    assert len({request.path for request in cdn.requests}) == 100


def test_in_a_thread_it_serves_other_processes():
    code = "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())"
    with FakeCDN.in_thread() as cdn:
        hold = Hold()
        url = cdn.serve("/a", DATA, hold)
        with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE) as process:
            cdn.call(cdn.requested, "/a")
            cdn.call(hold.release)
            assert process.communicate()[0] == DATA
        stalled = cdn.serve("/b", DATA, Stall())
        with subprocess.Popen([sys.executable, "-c", code, stalled], stderr=subprocess.DEVNULL) as process:
            cdn.call(cdn.requested, "/b")
            process.send_signal(signal.SIGKILL)
        cdn.call(cdn.disconnected)
        assert cdn.open_connections == 0


def test_in_a_thread_the_body_s_exception_comes_out_as_it_is():
    with pytest.raises(ValueError, match="mine"), FakeCDN.in_thread(host="localhost") as cdn:
        assert cdn.host == "localhost"
        raise ValueError("mine")


async def test_call_is_for_threads():
    async with FakeCDN() as cdn:
        with pytest.raises(RuntimeError, match="in_thread"):
            cdn.call(cdn.requested)


# assert_empty


def test_assert_empty_passes_for_nothing(tmp_path):
    assert_empty(tmp_path)
    assert_empty(tmp_path / "missing")


def test_assert_empty_lists_the_whole_tree_on_one_line_each(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "evil\n\x1b[31m\u202e").touch()
    (tmp_path / "link").symlink_to("/usr")
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff", os.O_CREAT))
    with pytest.raises(AssertionError) as caught:
        assert_empty(str(tmp_path))
    first, *rest = str(caught.value).split("\n")
    assert first.startswith("4 left in ")
    assert rest == ["  \\udcff", "  a", "  a/evil\\n\\x1b[31m\\u202e", "  link"]


def test_assert_empty_says_what_it_cannot_list(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match=r"cannot list .*file: Not a directory"):
        assert_empty(tmp_path / "file")
    for number in range(150):
        (tmp_path / f"{number}").touch()
    with pytest.raises(AssertionError, match=r"(?s)151 left.*and 51 more$"):
        assert_empty(tmp_path)


def test_assert_empty_takes_a_deep_tree(tmp_path):
    levels = [f"{tmp_path}{'/d' * depth}" for depth in range(1, 1101)]  # deeper than Python recurses
    for level in levels:
        os.mkdir(level)  # noqa: PTH102  # a Path takes seconds for it
    with pytest.raises(AssertionError, match="1100 left"):
        assert_empty(tmp_path)
    for level in reversed(levels):
        os.rmdir(level)  # noqa: PTH106  # the same
