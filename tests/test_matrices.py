"""Two matrices: which responses leave their connection for the next, and which continuations are spliced."""

from itertools import product

import pytest

from staging import AttachmentStage, Limits, UrlPolicy
from staging._net import transport as transport_module
from staging._net.http1 import Request
from staging._net.policy import target
from staging._net.transport import Transport
from staging.testing import Chunked, Endless, FakeCDN, Raw, Reply, Reset, Truncate

# ── reuse: RFC 9112 sections 6.3 and 9.3 ─────────────────────────────────────────────────────────────────────────────

VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
CONNECTIONS = {None: True, b"keep-alive": True, b"close": False, b"Close": False, b"x, close": False, b"upgrade": True}
FRAMINGS = {  # the fields, the body as it is on the wire, and whether its end is known
    "length": (b"Content-Length: 5\r\n", b"hello", True),
    "empty": (b"Content-Length: 0\r\n", b"", True),
    "chunked": (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", True),
    "trailers": (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", True),
    "excess": (b"Content-Length: 5\r\n", b"hello, and more", False),
    "excess behind chunks": (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\nmore", False),
    "to the end": (b"", b"hello", False),
}


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
async def test_a_connection_is_kept_only_if_both_sides_know_where_they_are(read):
    async with FakeCDN() as cdn:
        for (version, persists), (connection, stays), (framing, (fields, body, ends)) in product(
            VERSIONS.items(), CONNECTIONS.items(), FRAMINGS.items()
        ):
            head = b"%b 200 OK\r\n%b" % (version, fields)
            head += b"Connection: %b\r\n\r\n" % connection if connection else b"\r\n"
            transport = Transport(cdn.policy)
            response = await transport.send(Request(target(cdn.policy, cdn.script("/a", Raw(head + body))), {}))
            view = memoryview(bytearray(100))
            while read and await response.readinto(view):
                pass
            await response.aclose()
            kept = len(transport._idle)
            whole = read or framing == "empty"
            assert kept == (persists and stays and ends and whole), (version, connection, framing)
            transport.close()


async def test_the_oldest_idle_connection_makes_room_for_a_new_one(monkeypatch):
    """Else those to servers that are never asked again would keep out all others, for as long as an area lives."""
    monkeypatch.setattr(transport_module, "MAX_IDLE", 2)
    async with FakeCDN() as a, FakeCDN() as b, FakeCDN() as c:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=None, private=True)
        transport = Transport(policy)
        for cdn in (a, b, c, c, b, a):
            response = await transport.send(Request(target(policy, cdn.serve("/x", b"")), {}))
            await response.aclose()
        assert [request.connection for cdn in (a, b, c) for request in cdn.requests] == [1, 2, 1, 1, 1, 1]
        transport.close()


# ── resume: RFC 9110 sections 13.1.5, 14.2 and 14.4 ──────────────────────────────────────────────────────────────────

BODY = bytes(range(256)) * 8
CUT = 700
PART = {"Content-Range": f"bytes {CUT}-{len(BODY) - 1}/{len(BODY)}"}
REST = BODY[CUT:]
NEW = bytes(reversed(BODY))
CONTINUATIONS = {  # what answers the request for the rest -> the body that is staged, or the reason why none is
    "the rest": (Reply(REST, status=206, headers=PART, etag='"v1"'), BODY),
    "the rest, unnamed": (Reply(REST, status=206, headers=PART, etag=None), BODY),
    "all of it": (Reply(BODY, status=200, etag='"v1"'), BODY),
    "another version": (Reply(NEW, status=200, etag='"v2"'), NEW),
    "a part of another version": (Reply(NEW[CUT:], status=206, headers=PART, etag='"v2"'), "interrupted"),
    "another part": (Reply(REST, status=206, headers={"Content-Range": f"bytes 0-9/{len(BODY)}"}), "interrupted"),
    "of another length": (Reply(REST, status=206, headers={"Content-Range": f"bytes {CUT}-99/100"}), "interrupted"),
    "no range": (Reply(REST, status=206, etag='"v1"'), "interrupted"),
    "a range of stars": (Reply(REST, status=206, headers={"Content-Range": "bytes */2048"}), "interrupted"),
    "several ranges": (Reply(REST, status=206, headers={"Content-Type": "multipart/byteranges"}), "interrupted"),
    "not satisfiable": (Reply(b"", status=416, headers={"Content-Range": f"bytes */{len(BODY)}"}), "interrupted"),
    "not there any more": (Reply(b"", status=404), "not_found"),
    "nothing new": (Reply(b"", status=304), "http_status"),
    "in chunks": (Reply(REST, Chunked(100), status=206, headers=PART, etag='"v1"'), BODY),
    "in chunks, and more": (Reply(REST + b"!", Chunked(), status=206, headers=PART, etag='"v1"'), "size_mismatch"),
    "in endless chunks": (Reply(REST, Chunked(), Endless(), status=206, headers=PART, etag='"v1"'), "size_mismatch"),
    "in fewer chunks": (Reply(REST[1:], Chunked(), status=206, headers=PART, etag='"v1"'), "size_mismatch"),
    "coded": (Reply(REST, status=206, headers=PART | {"Content-Encoding": "gzip"}, etag='"v1"'), "encoding"),
    "coded by words": (Reply(REST, status=206, headers=PART | {"Content-Encoding": "identity"}, etag='"v1"'), BODY),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUATIONS)
async def test_a_continuation_is_spliced_only_if_it_is_the_one(tmp_path, monkeypatch, name):
    monkeypatch.setattr("staging._download.BACKOFF", 0.0)
    reply, expected = CONTINUATIONS[name]
    async with FakeCDN() as cdn:
        url = cdn.script("/a", Reply(BODY, Truncate(CUT), etag='"v1"'), reply)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=1)) as stage:
            [outcome] = await stage.download(url)
            found = outcome.path.read_bytes() if outcome.downloaded else outcome.reason
            assert found == expected
        asked = cdn.requests[1]
        assert (asked.header("range"), asked.header("if-range")) == (f"bytes={CUT}-", '"v1"')


async def test_a_coding_that_is_the_files_own_does_not_hinder_a_continuation(tmp_path, monkeypatch):
    monkeypatch.setattr("staging._download.BACKOFF", 0.0)
    fields = {"Content-Encoding": "gzip"}
    async with FakeCDN() as cdn:
        whole = Reply(BODY, Truncate(CUT), headers=fields, etag='"v1"')
        url = cdn.script("/a.gz", whole, Reply(REST, status=206, headers=PART | fields, etag='"v1"'))
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            [outcome] = await stage.download(url)
            assert outcome.path.read_bytes() == BODY


@pytest.mark.parametrize("faults", [(Chunked(100), Reset("end")), (Chunked(100), Endless())])
async def test_nothing_is_asked_for_that_follows_the_last_byte(tmp_path, monkeypatch, faults):
    """No server could answer that; the next attempt begins with what is on the disk."""
    monkeypatch.setattr("staging._download.BACKOFF", 0.0)
    async with FakeCDN() as cdn:
        bad, good = (Reply(REST, *more, status=206, headers=PART, etag='"v1"') for more in (faults, ()))
        url = cdn.script("/a", Reply(BODY, Truncate(CUT), etag='"v1"'), bad, good)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=2)) as stage:
            await stage.download(url)
        assert {request.header("range") for request in cdn.requests[1:]} == {f"bytes={CUT}-"}


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "v1", '"', '"a"b"'])
async def test_without_a_strong_validator_it_begins_again(tmp_path, monkeypatch, etag):
    """RFC 9110 section 8.8.1: a weak one promises no bytes."""
    monkeypatch.setattr("staging._download.BACKOFF", 0.0)
    async with FakeCDN() as cdn:
        url = cdn.script("/a", Reply(BODY, Truncate(CUT), etag=etag), Reply(NEW, etag=etag))
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=1)) as stage:
            [outcome] = await stage.download(url)
            assert outcome.path.read_bytes() == NEW
        assert cdn.requests[1].header("range") is None
