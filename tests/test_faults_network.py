"""Faults of servers, TLS, names and the environment: S01 to S26, each named by its id, each on both loops.

In every one of them the attachment has an outcome with the right reason, a good sibling is staged, and nothing is left.
"""

import email.utils
import os
import socket
import time
import tracemalloc
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from staging import Attachment, AttachmentStage, DownloadError, Limits, StagedFile, StagingArea, UrlPolicy
from staging._net import dial as _dial
from staging._net import tls as _tls
from staging._net.urls import Origin
from staging.testing import (
    Chunked,
    Drip,
    Endless,
    FakeCDN,
    Length,
    Raw,
    Reply,
    Reset,
    Stall,
    Truncate,
    assert_empty,
    gzip_bomb,
)

MB = 1_048_576
ONCE = Limits(retries=0, timeout=10, idle_timeout=5)
BODY = bytes(range(256)) * 4096  # 1 MB


@asynccontextmanager
async def a_stage(tmp_path, cdn, *, limits=ONCE, **options):
    """Open a stage in which a good sibling arrives whatever happens beside it, and after which nothing is left."""
    sibling = cdn.serve("/sibling", b"good")
    policy = options.pop("policy", cdn.policy)
    async with AttachmentStage(tmp_path, limits=limits, policy=policy, **options) as stage:
        yield stage
        [good] = await stage.download(sibling)
        assert isinstance(good, StagedFile)
        assert {path.name for path in stage.directory.iterdir()} == {path.name for path in stage.paths}
    assert_empty(tmp_path)


async def fails(stage, source):
    """Return (reason, detail) of a source that cannot be staged."""
    [outcome] = await stage.download(source)
    assert not outcome.downloaded, "staged"
    assert "\n" not in outcome.detail
    return outcome.reason, outcome.detail


@pytest.fixture
def no_waiting(monkeypatch):
    """Retries come at once; that they wait is tested where it matters."""
    monkeypatch.setattr("staging._download.BACKOFF", 0.0)


# ── server ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at", ["start", "head", 0, 1, MB // 2, MB - 1])
async def test_S01_reset_anywhere_is_interrupted_and_a_retry_succeeds(tmp_path, no_waiting, at):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        assert (await fails(stage, cdn.serve("/a", BODY, Reset(at))))[0] == "interrupted"
        once = cdn.script("/b", Reply(BODY, Reset(at)), Reply(BODY))
        async with AttachmentStage(tmp_path, limits=Limits(retries=1), policy=cdn.policy) as patient:
            [staged] = await patient.download(once)
            assert staged.path.read_bytes() == BODY


async def test_S02_truncated_body_is_never_a_success(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        assert await fails(stage, cdn.serve("/a", BODY, Truncate(at=1000))) == (
            "size_mismatch", "truncated: 127.0.0.1 sent 1,000 of 1,048,576 bytes",
        )  # fmt: skip
        assert (await fails(stage, cdn.serve("/b", BODY, Chunked(), Truncate(at=1000))))[0] == "interrupted"
        closed = Attachment(cdn.serve("/c", b"12345", Length()), size=10)
        assert (await fails(stage, closed))[0] == "size_mismatch"
        [whole] = await stage.download(Attachment(cdn.serve("/d", b"12345", Length()), size=5))
        assert whole.size == 5


async def test_S03_body_longer_than_declared_is_cut_and_the_connection_is_not_reused(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        [staged] = await stage.download(cdn.serve("/a", b"12345", Length(3)))
        assert staged.path.read_bytes() == b"123"
        await stage.download(cdn.serve("/b", b"x"))
        assert [request.connection for request in cdn.requests] == [1, 2]


async def test_S04_declared_length_over_the_limit_is_refused_before_the_body(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, max_mb=1) as stage:
        url = cdn.serve("/a", b"", Length(MB + 1), Stall(0))
        assert await fails(stage, url) == ("too_large", "too large: 1,048,577 bytes, the limit is 1 MB")


@pytest.mark.parametrize("framing", [Chunked(), Length()], ids=["chunked", "close-delimited"])
async def test_S05_endless_body_stops_at_the_limit_in_bounded_memory(tmp_path, framing):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, max_mb=8) as stage:
        url = cdn.serve("/a", bytes(65_536), framing, Endless())
        tracemalloc.start()
        try:
            assert (await fails(stage, url))[0] == "too_large"
            assert tracemalloc.get_traced_memory()[1] < 6 * MB
        finally:
            tracemalloc.stop()
        await cdn.disconnected("/a")


@pytest.mark.parametrize("values", [("5", "6"), ("-5",), ("+5",), ("9" * 25,), ("five",), ("5, 6",)])
async def test_S06_wrong_content_lengths_are_refused(tmp_path, values):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        reason, _ = await fails(stage, cdn.serve("/a", b"12345", Length(*values)))
        assert reason == "protocol"


async def test_S06_equal_lengths_are_one_and_both_framings_are_refused(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        [staged] = await stage.download(cdn.serve("/a", b"12345", Length(5, 5)))
        assert staged.size == 5
        smuggled = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        assert (await fails(stage, cdn.script("/b", smuggled)))[0] == "protocol"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
async def test_S07_any_content_encoding_is_refused_before_the_body(tmp_path, coding):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        url = cdn.serve("/a", gzip_bomb(64 * MB), headers={"Content-Encoding": coding})
        tracemalloc.start()
        try:
            assert (await fails(stage, url))[0] == "encoding"
            assert tracemalloc.get_traced_memory()[1] < 2 * MB
        finally:
            tracemalloc.stop()
        assert cdn.requests[0].header("accept-encoding") == "identity"


async def test_S08_empty_is_a_file_only_with_status_200(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        [empty] = await stage.download(cdn.serve("/empty", b""))
        assert (empty.size, empty.path.read_bytes()) == (0, b"")
        for status in (201, 204, 205, 304, 299):
            assert (await fails(stage, cdn.serve(f"/{status}", b"", status=status)))[0] == "http_status"


async def test_S09_unasked_or_wrong_206_and_416_are_never_spliced(tmp_path, no_waiting):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=2)) as stage:
        unasked = cdn.serve("/a", b"345", status=206, headers={"Content-Range": "bytes 2-4/5"}, etag=None)
        assert (await fails(stage, unasked))[0] == "protocol"
        size, etag = len(BODY), '"v1"'
        broken = Reply(BODY, Reset(MB // 2), etag=etag)
        for number, wrong in enumerate([
            Reply(BODY[1:], status=206, headers={"Content-Range": f"bytes 1-{size - 1}/{size}"}, etag=etag),
            Reply(BODY[100:], status=206, headers={"Content-Range": f"bytes 100-{size - 1}/{size + 1}"}, etag=etag),
            Reply(BODY[100:], status=206, headers={"Content-Range": "nonsense"}, etag=etag),
            Reply(BODY[100:], status=206, etag=etag),
            Reply(b"", status=416, etag=etag),
            Reply(BODY[100:], status=206, headers={"Content-Type": "multipart/byteranges; boundary=x"}, etag=etag),
        ]):  # fmt: skip
            [staged] = await stage.download(cdn.script(f"/b{number}", broken, wrong, Reply(BODY, etag=etag)))
            assert staged.path.read_bytes() == BODY, number


async def test_S09_a_200_to_a_range_request_starts_again(tmp_path, no_waiting):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=1)) as stage:
        whole = Reply(BODY, etag=None)
        [staged] = await stage.download(cdn.script("/a", Reply(BODY, Reset(MB // 2), etag='"v1"'), whole))
        assert staged.path.read_bytes() == BODY


async def test_S10_resume_goes_on_with_the_same_version_only(tmp_path, no_waiting):
    other = BODY[::-1]
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=1)) as stage:
        same = cdn.script("/same", Reply(BODY, Truncate(at=700_000)), Reply(BODY))
        [staged] = await stage.download(same)
        assert staged.path.read_bytes() == BODY
        first, second = cdn.requests
        assert second.header("range") == "bytes=700000-"
        assert second.header("if-range") is not None
        assert first.header("range") is None
        changed = cdn.script("/changed", Reply(BODY, Truncate(at=700_000)), Reply(other))
        [staged] = await stage.download(changed)
        assert staged.path.read_bytes() == other
        weak = cdn.script("/weak", Reply(BODY, Truncate(at=700_000), etag='W/"1"'), Reply(BODY, etag='W/"1"'))
        [staged] = await stage.download(weak)
        assert staged.path.read_bytes() == BODY
        assert cdn.requests[-1].header("range") is None
        liar = cdn.script(
            "/liar",
            Reply(BODY, Truncate(at=700_000), etag='"1"'),
            Reply(other[700_000:], status=206, etag='"2"', headers={
                "Content-Range": f"bytes 700000-{len(BODY) - 1}/{len(BODY)}",
            }),
        )  # fmt: skip
        assert (await fails(stage, liar))[0] == "interrupted"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "-5", "garbage", "", None])
async def test_S11_retry_after_that_says_nothing_means_our_own_back_off(tmp_path, no_waiting, status, value):
    headers = {} if value is None else {"Retry-After": value}
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=1)) as stage:
        [staged] = await stage.download(cdn.script("/a", Reply(b"", status=status, headers=headers), Reply(b"good")))
        assert staged.path.read_bytes() == b"good"


async def test_S11_retry_after_is_waited_for_within_the_deadline(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=1, timeout=20)) as stage:
        for number, value in enumerate(["1", email.utils.formatdate(time.time() + 3, usegmt=True)]):
            began = time.monotonic()
            replies = Reply(b"", status=503, headers={"Retry-After": value}), Reply(b"good")
            [staged] = await stage.download(cdn.script(f"/{number}", *replies))
            assert staged.downloaded
            assert 0.5 < time.monotonic() - began < 10
        for value in ("1000000000", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"):
            reason, detail = await fails(stage, cdn.serve("/b", b"", status=429, headers={"Retry-After": value}))
            assert reason == "http_status"
            assert "asked to wait" in detail


@pytest.mark.parametrize(("status", "reason"), [
    (401, "forbidden"), (403, "forbidden"), (404, "not_found"), (410, "not_found"), (400, "http_status"),
    (451, "http_status"),
])  # fmt: skip
async def test_S12_permanent_refusals_are_not_retried_and_their_body_is_not_read(tmp_path, status, reason):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=2)) as stage:
        url = cdn.serve("/a", b"This content is no longer available.", Endless(), Chunked(), status=status)
        [outcome] = await stage.download(url)
        assert (outcome.reason, outcome.attempts, outcome.retryable) == (reason, 1, False)
        await cdn.disconnected("/a")


@pytest.mark.parametrize("location", ["/a", "?x", "", "/a#fragment"])
async def test_S13_redirects_in_a_circle_are_named(tmp_path, location):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        reason, detail = await fails(stage, cdn.redirect("/a", location))
        assert reason == "redirects"
        assert "circle" in detail or "times" in detail or "nowhere" in detail


async def test_S13_redirects_are_counted_and_must_lead_somewhere(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        for number in range(50):
            cdn.redirect(f"/chain{number}", f"/chain{number + 1}")
        assert await fails(stage, cdn.url("/chain0")) == ("redirects", "the link redirects more than 3 times")
        assert len(cdn.requests) == 4
        cdn.serve("/chain50", b"end")
        [staged] = await stage.download(cdn.url("/chain47"))
        assert staged.path.read_bytes() == b"end"
        bare = cdn.serve("/bare", b"", status=302)
        assert (await fails(stage, bare))[0] == "redirects"
        assert (await fails(stage, cdn.serve("/300", b"", status=300)))[0] in {"redirects", "http_status"}
        assert (await fails(stage, cdn.redirect("/long", "/" + "x" * 65_000)))[0] in {"protocol", "redirects"}
        [staged] = await stage.download(cdn.redirect("/relative", "sibling"))
        assert staged.path.read_bytes() == b"good"
        [staged] = await stage.download(cdn.redirect("/protocol-relative", cdn.url("/sibling").removeprefix("http:")))
        assert staged.path.read_bytes() == b"good"


@pytest.mark.parametrize("location", [
    "file:///etc/passwd", "data:text/plain,x", "ftp://127.0.0.1/", "http://169.254.169.254/latest/", "http://10.0.0.1/",
    "https://elsewhere.example/", "http://user:secret@127.0.0.1/", "http://127.0.0.1:1/", "javascript:alert(1)",
    "http://2130706433/", "http://[::1]/", "//evil.example/",
])  # fmt: skip
async def test_S14_redirects_to_where_it_may_not_go_are_refused_before_connecting(tmp_path, location, monkeypatch):
    dialled = watch_dialling(monkeypatch)
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        reason, detail = await fails(stage, cdn.redirect("/a", location))
        assert reason in {"not_allowed", "private_address"}
        assert "secret" not in detail
        assert set(dialled) == {("127.0.0.1", cdn.port)}


async def test_S14_https_never_becomes_http(tmp_path):
    async with FakeCDN() as plain, FakeCDN(tls=True) as cdn:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http", "https"), ports=None, private=True)
        async with a_stage(tmp_path, cdn, policy=policy, tls=cdn.client_tls) as stage:
            assert (await fails(stage, cdn.redirect("/a", plain.serve("/b", b"x"))))[0] == "not_allowed"
        assert plain.connections == 0


async def test_S14_headers_stay_with_their_origin(tmp_path):
    """A token goes to the URL's own origin, and never again once a redirect has left it (CVE-2018-18074)."""
    async with FakeCDN() as other, FakeCDN() as cdn:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=None, private=True)
        cdn.redirect("/inside", "/away")
        cdn.redirect("/away", other.url("/there"))
        other.redirect("/there", cdn.serve("/back", b"x"))
        async with a_stage(tmp_path, cdn, policy=policy) as stage:
            source = {"url": cdn.url("/inside"), "headers": {"Authorization": "Bearer secret", "Cookie": "a=b"}}
            assert (await stage.download(source))[0].downloaded
            assert "secret" not in repr(stage.outcomes)
        sent = {r.path: (r.header("authorization"), r.header("cookie")) for r in (*cdn.requests, *other.requests)}
        mine = ("Bearer secret", "a=b")
        assert sent == {
            "/inside": mine, "/away": mine, "/there": (None, None), "/back": (None, None), "/sibling": (None, None),
        }  # fmt: skip


async def test_S15_the_body_of_a_redirect_is_never_read(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        url = cdn.redirect("/a", "/sibling", Endless(), Chunked(), body=bytes(65_536))
        tracemalloc.start()
        try:
            [staged] = await stage.download(url)
            assert tracemalloc.get_traced_memory()[1] < 2 * MB
        finally:
            tracemalloc.stop()
        assert staged.path.read_bytes() == b"good"
        await cdn.disconnected("/a")


@pytest.mark.parametrize("faults", [(Drip(1, every=0.05),), (Drip(1, every=0.05, head=True),)], ids=["body", "head"])
async def test_S16_a_drip_ends_at_the_total_deadline(tmp_path, faults):
    limits = Limits(timeout=0.5, idle_timeout=0.4, retries=0)
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=limits) as stage:
        assert (await fails(stage, cdn.serve("/a", bytes(100_000), *faults)))[0] in {"timeout", "stalled"}


async def test_S16_a_stall_ends_at_the_idle_timeout_whatever_the_total(tmp_path):
    limits = Limits(timeout=60, idle_timeout=0.3, retries=0)
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=limits) as stage:
        for at in ("start", "head", 0, 100):
            began = time.monotonic()
            assert await fails(stage, cdn.serve(f"/{at}", bytes(1000), Stall(at))) == (
                "stalled", "stalled: no data for 0.3 seconds",
            )  # fmt: skip
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
async def test_S17_endless_informational_responses_end(tmp_path, status):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        url = cdn.script("/a", Raw(b"HTTP/1.1 " + status + b"\r\n\r\n", Endless()))
        assert (await fails(stage, url))[0] == "protocol"
        one = cdn.script("/b", Raw(b"HTTP/1.1 " + status + b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"))
        assert (await stage.download(one))[0].downloaded


@pytest.mark.parametrize("raw", [
    Raw(b"X: " + b"y" * 10 * MB, head=b"HTTP/1.1 200 OK\r\n"),
    Raw(b"X: y\r\n" * 20_000, head=b"HTTP/1.1 200 OK\r\n"),
    Raw(b"X: y\r\n", Endless(), head=b"HTTP/1.1 200 OK\r\n"),
    Raw(b"1;" + b"x" * MB, Endless(), head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    Raw(b"X: y\r\n", Endless(), head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
], ids=["field", "fields", "endless", "extension", "trailer"])  # fmt: skip
async def test_S18_header_bombs_are_protocol_errors_in_bounded_memory(tmp_path, raw):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        url = cdn.script("/a", raw)
        tracemalloc.start()
        try:
            assert (await fails(stage, url))[0] == "protocol"
            assert tracemalloc.get_traced_memory()[1] < 4 * MB
        finally:
            tracemalloc.stop()
        await cdn.disconnected("/a")


async def test_S19_a_hundred_thousand_one_byte_chunks_leave_the_loop_responsive(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn, limits=Limits(retries=0)) as stage:
        url = cdn.serve("/a", bytes(100_000), Chunked(1))
        turns = 0

        async def count_turns():
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as group:
            group.start_soon(count_turns)
            [staged] = await stage.download(url)
            group.cancel_scope.cancel()
        assert staged.size == 100_000
        assert turns > 1000


@pytest.mark.parametrize("data", [
    b"\x00\x01\x02\xff" * 100, b"HTTP/0.9 200 OK\r\n\r\nx", b"<html>hello</html>\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX\x00Y: z\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 99 OK\r\n\r\n", b"HTTP/1.1 1000 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n",
])  # fmt: skip
async def test_S20_what_is_not_http_is_a_protocol_error_without_its_bytes(tmp_path, data):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        reason, detail = await fails(stage, cdn.script("/a", Raw(data)))
        assert reason in {"protocol", "interrupted"}
        assert reason == "protocol" or b"\r\n\r\n" not in data
        assert not any(text in detail for text in ("\\x", "html", "SSH", "zz"))


async def test_S20_obsolete_folding_is_read_as_h11_reads_it(tmp_path):
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        folded = Raw(b"HTTP/1.1 200 OK\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx")
        assert (await stage.download(cdn.script("/a", folded)))[0].downloaded


async def test_S21_types_are_claimed_and_observed_and_never_mixed(tmp_path):
    page = b"<!DOCTYPE html><title>Not Found</title>"
    async with FakeCDN() as cdn, a_stage(tmp_path, cdn) as stage:
        url = cdn.serve("/photo.png", page, media_type="image/png")
        claim = {"url": url, "filename": "photo.png", "content_type": "image/png", "size": len(page)}
        [staged] = await stage.download(claim)  # just as many bytes as were claimed: this is what was sent
        assert (staged.media_type, staged.claimed_media_type) == ("text/html", "image/png")
        assert staged.path.name == "photo.png"
        assert "1. FILE 'photo.png'" in stage.context()
        assert "text/html" in stage.context()


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("fault", "words"), [
    ("expired", "expired"), ("wrong_host", "another host"), ("self_signed", "self-signed|not trusted"),
    ("tls1.0", "no secure connection"), ("plain", "no secure connection"),
])  # fmt: skip
async def test_S22_tls_that_cannot_be_trusted_is_connect_in_plain_words(tmp_path, fault, words):
    async with FakeCDN(host="localhost", tls=fault) as cdn:
        async with AttachmentStage(tmp_path, policy=cdn.policy, tls=cdn.client_tls) as stage:
            url = cdn.serve("/a", b"x")
            [outcome] = await stage.download(url)
            assert outcome.reason == "connect"
            assert outcome.attempts == 1 or fault == "tls1.0"  # that server hangs up without a word
            assert any(word in outcome.detail for word in words.split("|")), outcome.detail
        assert cdn.requests == []


async def test_S22_a_handshake_that_stalls_ends_at_the_connect_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(_dial, "CONNECT_TIMEOUT", 0.3)
    async with (
        FakeCDN(host="localhost", tls="stall") as cdn,
        AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy, tls=cdn.client_tls) as stage,
    ):
        assert await fails(stage, cdn.url("/a")) == ("connect", "could not connect to localhost within 0.3 seconds")


async def test_S22_a_missing_goodbye_does_not_pass_for_the_end_of_the_body(tmp_path):
    async with FakeCDN(host="localhost", tls=True) as cdn, a_stage(tmp_path, cdn, tls=cdn.client_tls) as stage:
        assert (await fails(stage, cdn.serve("/a", b"12345", Length(), Truncate(at=3))))[0] == "interrupted"
        [staged] = await stage.download(cdn.serve("/b", b"12345", Truncate(at="end")))
        assert staged.size == 5


async def test_S22_the_systems_trust_store_is_the_default(tmp_path):
    async with (
        FakeCDN(host="localhost", tls=True) as cdn,
        AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy) as stage,
    ):
        reason, detail = await fails(stage, cdn.serve("/a", b"x"))
        assert (reason, "trust" in detail) == ("connect", True)


# ── names and addresses ──────────────────────────────────────────────────────────────────────────────────────────────


def watch_dialling(monkeypatch):
    """Return the list of (host, port) that sockets are connected to from now on."""
    dialled, attempt = [], _dial._attempt

    async def watched(address):
        dialled.append(address.target[:2])
        return await attempt(address)

    monkeypatch.setattr(_dial, "_attempt", watched)
    return dialled


def resolver(monkeypatch, *answers):
    """Answer each look-up with the next list of addresses (the last one stays), or raise what stands in its place."""
    asked = []

    def look_up(host, port):
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        if isinstance(answer, Exception):
            raise answer
        families = [socket.AF_INET6 if ":" in ip else socket.AF_INET for ip in answer]
        return [(family, 1, 6, "", (ip, port)) for family, ip in zip(families, answer, strict=True)]

    monkeypatch.setattr(_dial, "look_up", look_up)
    return asked


@pytest.mark.parametrize("answer", [
    ["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["::1"], ["fd00::1"],
    ["2606:4700::1", "fe80::1"], ["64:ff9b::7f00:1"], ["::ffff:127.0.0.1"], ["0.0.0.0"], ["224.0.0.1"],
])  # fmt: skip
async def test_S23_one_answer_that_is_not_public_refuses_the_host_before_any_socket(tmp_path, monkeypatch, answer):
    asked, dialled = resolver(monkeypatch, answer), watch_dialling(monkeypatch)
    async with AttachmentStage(tmp_path, policy=UrlPolicy.public()) as stage:
        assert (await fails(stage, "https://files.example.com/a"))[0] == "private_address"
    assert (asked, dialled) == (["files.example.com"], [])


async def test_S23_rebinding_finds_no_second_look_up(tmp_path, monkeypatch):
    """The address that was judged is the one that is dialled: what the name says a moment later does not count."""
    asked, dialled = resolver(monkeypatch, ["203.0.114.7"], ["127.0.0.1"]), watch_dialling(monkeypatch)
    monkeypatch.setattr(_dial, "CONNECT_TIMEOUT", 0.2)

    async def nobody_there(address):
        dialled.append(address.target[:2])
        raise ConnectionRefusedError

    monkeypatch.setattr(_dial, "_attempt", nobody_there)
    async with AttachmentStage(tmp_path, limits=ONCE, policy=UrlPolicy.public()) as stage:
        assert (await fails(stage, "https://rebind.example.com/a"))[0] == "connect"
        assert (asked, dialled) == (["rebind.example.com"], [("203.0.114.7", 443)])
        assert (await fails(stage, "https://rebind.example.com/b"))[0] == "private_address"
        assert len(dialled) == 1


async def test_S23_names_that_do_not_resolve(tmp_path, monkeypatch):
    async with AttachmentStage(tmp_path, limits=ONCE, policy=UrlPolicy.public()) as stage:
        for answer, words in [
            (socket.gaierror(socket.EAI_NONAME, "x"), "does not exist"),
            (socket.gaierror(socket.EAI_AGAIN, "x"), "just now"),
            (UnicodeError("x"), "cannot be resolved"),
            ([], "no address"),
        ]:
            resolver(monkeypatch, answer)
            reason, detail = await fails(stage, f"https://files.example.com/{len(words)}")
            assert reason == "connect"
            assert words in detail


async def test_S23_a_look_up_that_hangs_is_abandoned(tmp_path, monkeypatch):
    release = threading_event()

    def hang(host, port):
        release.wait(30)
        return []

    monkeypatch.setattr(_dial, "look_up", hang)
    monkeypatch.setattr(_dial, "CONNECT_TIMEOUT", 0.2)
    try:
        async with AttachmentStage(tmp_path, limits=ONCE, policy=UrlPolicy.public()) as stage:
            began = time.monotonic()
            assert (await fails(stage, "https://files.example.com/a"))[0] == "connect"
            assert time.monotonic() - began < 5
    finally:
        release.set()


@pytest.mark.parametrize("fails_with", [None, socket.gaierror(socket.EAI_AGAIN, "x")])
async def test_S23_those_who_dial_one_name_at_once_share_one_look_up(monkeypatch, fails_with):
    """The answer is shared and so is a failure, but each has an error of its own; whoever asks later asks anew."""
    asked, release = resolver(monkeypatch, fails_with or ["203.0.114.7"]), threading_event()
    answer_at_once = _dial.look_up
    monkeypatch.setattr(_dial, "look_up", lambda *name: (release.wait(30), answer_at_once(*name))[1])
    names, got, origin = _dial.Resolver(), [], Origin("https", "files.example.com", 443)

    async def ask():
        try:
            got.append(await names.addresses(origin))
        except DownloadError as error:
            got.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert len(asked) == 1
    assert len(got) == 5
    if fails_with:
        assert len({id(error) for error in got}) == 5
        assert {(error.reason, error.retryable) for error in got} == {("connect", True)}
    else:
        assert {address.target for addresses in got for address in addresses} == {("203.0.114.7", 443)}
    await ask()
    assert len(asked) == 2


async def test_S23_a_shared_look_up_outlives_whoever_asked_first(monkeypatch):
    asked, release = resolver(monkeypatch, ["203.0.114.7"]), threading_event()
    answer_at_once = _dial.look_up
    monkeypatch.setattr(_dial, "look_up", lambda *name: (release.wait(30), answer_at_once(*name))[1])
    names, got, first = _dial.Resolver(), [], anyio.CancelScope()

    async def ask(scope):
        with scope:
            got.append(await names.addresses(Origin("https", "files.example.com", 443)))

    async with anyio.create_task_group() as group:
        group.start_soon(ask, first)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(ask, anyio.CancelScope())
        group.start_soon(ask, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert len(got) == 2
    assert len(asked) <= 2  # the abandoned thread's, and the next one's


def threading_event():
    """Return a thread's event; asked for by name, because anyio's is not meant."""
    import threading

    return threading.Event()


async def test_S23_two_hundred_answers_are_tried_in_bounded_number(tmp_path, monkeypatch):
    resolver(monkeypatch, [f"203.0.114.{n}" for n in range(200)])
    dialled = []

    async def refused(address):
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(_dial, "_attempt", refused)
    async with AttachmentStage(tmp_path, limits=ONCE, policy=UrlPolicy.public()) as stage:
        reason, detail = await fails(stage, "https://files.example.com/a")
        assert (reason, detail) == ("connect", "files.example.com refused the connection")
    assert len(dialled) == 16


async def test_S24_the_next_vetted_address_is_tried(tmp_path, monkeypatch):
    async with FakeCDN(host="localhost") as cdn, a_stage(tmp_path, cdn) as stage:
        resolver(monkeypatch, ["127.0.0.2", "::1", "127.0.0.1"])
        dialled = watch_dialling(monkeypatch)
        assert (await stage.download(cdn.serve("/a", b"x")))[0].downloaded
        assert [host for host, _ in dialled] == ["127.0.0.2", "::1", "127.0.0.1"]


async def test_S24_a_blackhole_does_not_hold_the_others_up(tmp_path, monkeypatch):
    """RFC 8305: after a quarter of a second the next address is tried beside the first."""
    attempt = _dial._attempt

    async def into_the_void(address):
        return await (anyio.sleep_forever() if ":" in address.target[0] else attempt(address))

    monkeypatch.setattr(_dial, "_attempt", into_the_void)
    async with FakeCDN(host="localhost") as cdn, a_stage(tmp_path, cdn) as stage:
        resolver(monkeypatch, ["::1", "127.0.0.1"])
        began = time.monotonic()
        assert (await stage.download(cdn.serve("/a", b"x")))[0].downloaded
        assert 0.2 < time.monotonic() - began < 5


async def test_S25_two_hosts_on_one_address_are_two_connections_with_two_certificates(tmp_path, monkeypatch):
    async with FakeCDN(host="a.test", names=["b.test"], tls=True) as cdn:
        resolver(monkeypatch, ["127.0.0.1"])
        async with StagingArea(tmp_path, policy=cdn.policy, tls=cdn.client_tls) as area, area.stage() as stage:
            cdn.serve("/a", b"x")
            assert all(o.downloaded for o in await stage.download(cdn.url("/a"), cdn.url("/a", host="b.test")))
        assert sorted(cdn.server_names) == ["a.test", "b.test"]
        assert cdn.connections == 2


# ── environment ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_S26_the_environment_changes_nothing(tmp_path, monkeypatch):
    """No proxy, no .netrc, no SSL_CERT_FILE and no SSLKEYLOGFILE, unless the caller brings a client or a context."""
    keys, home = tmp_path / "keys", tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine localhost login me password secret\n")
    async with FakeCDN() as proxy, FakeCDN(host="localhost", tls=True) as cdn:
        authority = tmp_path / "ca.pem"
        from staging.testing.server import _authority

        _authority().cert_pem.write_to_path(str(authority))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url("/"))
        for name, value in {
            "HOME": home,
            "NETRC": home / ".netrc",
            "SSLKEYLOGFILE": keys,
            "SSL_CERT_FILE": authority,
        }.items():
            monkeypatch.setenv(name, str(value))
        _tls._build_tls.cache_clear()
        try:
            async with AttachmentStage(tmp_path / "root", limits=ONCE, policy=cdn.policy) as stage:
                assert (await fails(stage, cdn.serve("/a", b"x")))[0] == "connect"  # SSL_CERT_FILE is not believed
        finally:
            _tls._build_tls.cache_clear()
        async with AttachmentStage(tmp_path / "root", limits=ONCE, policy=cdn.policy, tls=cdn.client_tls) as stage:
            assert (await stage.download(cdn.url("/a")))[0].downloaded
        assert proxy.connections == 0
        assert cdn.requests[0].header("authorization") is None
        assert not keys.exists()
        assert os.environ["HTTPS_PROXY"] == proxy.url("/")
