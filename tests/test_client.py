"""The seam to a caller's own client, and what the pool does with connections that died."""

import subprocess
import sys

import anyio
import anyio.lowlevel
import httpx
import pytest

from staging import AttachmentStage, DownloadError, Limits, RejectedError, UrlPolicy
from staging._net.body import FramedResponse
from staging._net.client import PinnedTransport
from staging._net.http1 import HeadReader, Request
from staging._net.policy import target
from staging._net.transport import Transport
from staging._net.urls import Origin
from staging.testing import Drip, FakeCDN, Hold, Length, Raw, Reply, Reset, assert_empty

ONCE = Limits(retries=0)


async def test_a_mock_transport_takes_the_networks_place(tmp_path):
    asked = []

    def answer(request):
        asked.append((request.url.path, request.headers["accept-encoding"]))
        if request.url.path == "/away":
            return httpx.Response(302, headers={"location": "https://cdn.discordapp.com/b"})
        return httpx.Response(200, content=b"hello", headers={"content-disposition": "attachment; filename=b.txt"})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        AttachmentStage(tmp_path, client=client) as stage,
    ):
        [staged] = await stage.download("https://cdn.discordapp.com/away")
        assert staged.path.read_bytes() == b"hello"
        assert staged.path.name == "b.txt"
        assert (await stage.download("https://evil.example/"))[0].reason == "not_allowed"
    assert asked == [("/away", "identity"), ("/b", "identity")]
    assert_empty(tmp_path)


async def test_a_real_client_meets_the_same_rules(tmp_path):
    """Limits, redirects, encodings, truncation and resume are the library's business whoever dials."""
    async with FakeCDN() as cdn, httpx.AsyncClient(trust_env=False) as client:
        cases = {
            cdn.serve("/good", b"x" * 100_000): "staged",
            cdn.serve("/large", bytes(2_000_000)): "too_large",
            cdn.serve("/gzip", b"x", headers={"Content-Encoding": "gzip"}): "encoding",
            cdn.redirect("/loop", "/loop"): "redirects",
            cdn.redirect("/out", "https://elsewhere.example/"): "not_allowed",
            cdn.serve("/cut", bytes(1000), Reset(500)): "interrupted",
            cdn.serve("/slow", bytes(1000), Drip(1, every=0.05)): "timeout",
            cdn.url("/gone"): "not_found",
        }
        limits = Limits(max_mb=1, retries=0, timeout=1)
        async with AttachmentStage(tmp_path, client=client, limits=limits, policy=cdn.policy) as stage:
            outcomes = await stage.download(list(cases))
            assert ["staged" if o.downloaded else o.reason for o in outcomes] == [*cases.values()]
            assert not client.is_closed
    assert_empty(tmp_path)


async def test_a_clients_credentials_stay_with_the_urls_own_origin(tmp_path):
    async with FakeCDN() as other, FakeCDN() as cdn:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=None, private=True)
        url = cdn.redirect("/a", other.serve("/b", b"x"))
        async with (
            httpx.AsyncClient(trust_env=False, auth=("me", "secret")) as client,
            AttachmentStage(tmp_path, client=client, policy=policy) as stage,
        ):
            assert (await stage.download(url))[0].downloaded
        assert cdn.requests[0].header("authorization") is not None
        assert other.requests[0].header("authorization") is None


@pytest.mark.parametrize("error", [
    httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"), httpx.InvalidURL("x"),
    ValueError("a bug in the caller's transport: https://x/?secret"),
])  # fmt: skip
async def test_whatever_a_client_raises_is_a_failure_without_its_words(tmp_path, error):
    def fail(request):
        raise error

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client,
        AttachmentStage(tmp_path, client=client, limits=ONCE) as stage,
    ):
        [outcome] = await stage.download("https://cdn.discordapp.com/a")
        assert outcome.reason in {"connect", "stalled", "interrupted", "invalid"}
        assert "secret" not in outcome.detail


async def test_a_stale_pooled_connection_is_retried_once_without_counting(tmp_path):
    """The server closes the connection at the very moment at which it is used again (RFC 9112 section 9.3.1)."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy) as stage:
        await stage.download(cdn.serve("/a", b"x"))
        [staged] = await stage.download(cdn.script("/b", Raw(b""), Reply(b"good")))
        assert staged.path.read_bytes() == b"good"
        assert [(request.path, request.connection) for request in cdn.requests] == [("/a", 1), ("/b", 1), ("/b", 2)]
        [failed] = await stage.download(cdn.script("/c", Raw(b"")))
        assert (failed.reason, failed.attempts) == ("interrupted", 1)


async def test_a_connection_that_was_closed_while_idle_is_not_used(tmp_path):
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy) as stage:
        closing = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")  # and then, unannounced, FIN
        await stage.download(cdn.script("/a", closing))
        assert (await stage.download(cdn.serve("/b", b"y")))[0].downloaded
        assert [request.connection for request in cdn.requests] == [1, 2]


async def test_what_a_server_says_too_late_is_not_taken_for_the_next_answer(tmp_path):
    """More bytes than were declared, arriving when the connection is in use again: the next request is made afresh."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy) as stage:
        gate = Hold(5)
        [first] = await stage.download(cdn.serve("/a", b"12345excess", Length(5), gate))
        assert first.path.read_bytes() == b"12345"
        url = cdn.serve("/b", b"good")
        async with anyio.create_task_group() as group:
            group.start_soon(stage.download, url)
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            gate.release()
        assert [outcome.downloaded for outcome in stage.outcomes] == [True, True]
        assert cdn.connections == 2


async def test_our_transport_serves_a_client_of_httpx(tmp_path):
    """Whoever wants the vetted dialling without a stage has it: GET only, private addresses refused, bytes as sent."""
    async with FakeCDN() as cdn:
        url, zipped = cdn.serve("/a", b"x" * 200_000), cdn.serve("/z", b"raw", headers={"Content-Encoding": "identity"})
        async with httpx.AsyncClient(transport=PinnedTransport(Transport(cdn.policy)), trust_env=False) as client:
            for _ in range(2):
                response = await client.get(url)
                assert (response.status_code, response.content) == (200, b"x" * 200_000)
            async with client.stream("GET", zipped) as response:
                assert [piece async for piece in response.aiter_raw()] == [b"raw"]
            with pytest.raises(DownloadError) as refused:
                await client.post(url)
            assert refused.value.reason == "invalid"
        async with httpx.AsyncClient(transport=PinnedTransport(Transport(UrlPolicy.discord()))) as client:
            with pytest.raises(RejectedError) as private:
                await client.get(url)
            assert private.value.reason == "private_address"
        assert len(cdn.requests) == 3


def test_httpx_is_imported_by_who_needs_it_alone():
    """Neither importing the library nor downloading a plain URL loads httpx, nor any other heavy package."""
    program = """
import sys, tempfile, anyio
from staging import AttachmentStage, UrlPolicy
heavy = {"httpx", "httpcore", "h2", "trio", "rich", "PIL", "pypdf", "anthropic", "openai"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
async def main():
    policy = UrlPolicy.only("localhost", ports=(1,), private=True)
    with tempfile.TemporaryDirectory() as root:
        async with AttachmentStage(root, policy=policy) as stage:
            [outcome] = await stage.download("https://localhost:1/a%20b.png?ex=1&c=2")
            assert outcome.reason == "connect", outcome
            assert not heavy & set(sys.modules), heavy & set(sys.modules)
            [outcome] = await stage.download("https://localhost:1/Bild von gestern.png")
            assert outcome.reason == "not_allowed", outcome
            assert "httpx" not in sys.modules  # the grammar refused it
            [outcome] = await stage.download("https://localhost:1/größe.png")
            assert outcome.reason == "connect", outcome
            assert "httpx" in sys.modules
anyio.run(main)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_request_shows_neither_its_fields_nor_its_signature():
    request = Request(
        target(UrlPolicy.discord(), "https://cdn.discordapp.com/a?hm=s3cret"), {b"authorization": b"s3cret"}
    )
    assert repr(request) == "<Request <Target https://cdn.discordapp.com/a>>"


class Fast:
    """A stream on which everything is there already: an endless body, and one in chunks of a byte."""

    origin = Origin("https", "localhost", 443)

    def read_now(self, view):
        return len(view)

    async def receive(self, size):
        return b"1\r\nx\r\n" * 100


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Content-Length: 1000"])
async def test_a_body_that_is_all_there_leaves_the_others_their_turns(framing):
    """What comes without waiting is no reason not to let go; under TLS each byte may be a record of its own."""
    head = b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing
    response = FramedResponse(Fast(), HeadReader(Fast.origin).feed(head), lambda stream: None, lambda step: None)
    turns, over = 0, False

    async def other():
        nonlocal turns
        while not over:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        for _ in range(100):
            assert await response.readinto(memoryview(bytearray(1))) == 1
        over = True
    assert turns >= 50
