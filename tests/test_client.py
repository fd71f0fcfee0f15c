"""The seam to a caller's own client, and what the pool does with connections that died."""

import select
import subprocess
import sys
import traceback
import types

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest

from staging import AttachmentStage, Limits, StagingArea, UrlPolicy
from staging._net.body import FramedResponse
from staging._net.http1 import HeadReader, Request
from staging._net.policy import target
from staging._net.stream import Stream
from staging._net.urls import Origin
from staging.testing import Drip, FakeCDN, Hold, Length, Raw, Reply, Reset, assert_empty

ONCE = Limits(retries=0)


FAMILY = [httpx, httpx2]


@pytest.mark.parametrize("library", FAMILY)
async def test_a_mock_transport_takes_the_networks_place(tmp_path, library):
    asked = []

    def answer(request):
        asked.append((request.url.path, request.headers["accept-encoding"]))
        if request.url.path == "/away":
            return library.Response(302, headers={"location": "https://cdn.discordapp.com/b"})
        return library.Response(200, content=b"hello", headers={"content-disposition": "attachment; filename=b.txt"})

    async with (
        library.AsyncClient(transport=library.MockTransport(answer)) as client,
        AttachmentStage(tmp_path, client=client) as stage,
    ):
        [staged] = await stage.download("https://cdn.discordapp.com/away")
        assert staged.path.read_bytes() == b"hello"
        assert staged.path.name == "b.txt"
        assert (await stage.download("https://evil.example/"))[0].reason == "not_allowed"
    assert asked == [("/away", "identity"), ("/b", "identity")]
    assert_empty(tmp_path)


@pytest.mark.parametrize("library", FAMILY)
async def test_a_real_client_meets_the_same_rules(tmp_path, library):
    """Limits, redirects, encodings, truncation and resume are our business whoever dials."""
    async with FakeCDN() as cdn, library.AsyncClient(trust_env=False) as client:
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


@pytest.mark.parametrize("library", FAMILY)
async def test_a_clients_credentials_stay_with_the_urls_own_origin(tmp_path, library):
    async with FakeCDN() as other, FakeCDN() as cdn:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=None, private=True)
        url = cdn.redirect("/a", other.serve("/b", b"x"))
        async with (
            library.AsyncClient(trust_env=False, auth=("me", "secret")) as client,
            AttachmentStage(tmp_path, client=client, policy=policy) as stage,
        ):
            assert (await stage.download(url))[0].downloaded
        assert cdn.requests[0].header("authorization") is not None
        assert other.requests[0].header("authorization") is None


ERRORS = [
    ("ConnectError", "connect"), ("ConnectTimeout", "connect"), ("ProxyError", "connect"), ("ReadTimeout", "stalled"),
    ("PoolTimeout", "stalled"), ("RemoteProtocolError", "interrupted"), ("ReadError", "interrupted"),
    ("CloseError", "interrupted"), ("InvalidURL", "invalid"), ("UnsupportedProtocol", "invalid"),
    ("LocalProtocolError", "invalid"), ("DecodingError", "interrupted"), ("StreamError", "interrupted"),
]  # fmt: skip


@pytest.mark.parametrize("library", FAMILY)
async def test_whatever_a_client_raises_is_a_failure_without_its_words(tmp_path, library):
    """Of the exceptions the names and modules are known, not the classes: two libraries share no class."""

    class Own(library.ReadTimeout):
        """One that the caller derived."""

    raised = [(getattr(library, name), reason) for name, reason in ERRORS]
    raised += [(Own, "stalled"), (ValueError, "interrupted"), (TimeoutError, "interrupted")]
    coming = iter(raised)

    def fail(request):
        raise next(coming)[0]("https://x/?secret")

    async with (
        library.AsyncClient(transport=library.MockTransport(fail)) as client,
        AttachmentStage(tmp_path, client=client, limits=Limits(retries=0, concurrency=1)) as stage,
    ):
        outcomes = await stage.download([f"https://cdn.discordapp.com/{number}" for number in range(len(raised))])
        for (kind, reason), outcome in zip(raised, outcomes, strict=True):
            assert outcome.reason == reason, kind
            assert "secret" not in f"{outcome.detail} {outcome.hint}"


@pytest.mark.parametrize("library", FAMILY)
@pytest.mark.parametrize("pieces", [[b"", b"ab", b"", b"c"], [b""] * 500, [b"x" * 1_000_000], ["text"], [None]])
async def test_a_clients_stream_may_be_cut_in_any_way(tmp_path, library, pieces):
    class Body(library.AsyncByteStream):
        async def __aiter__(self):
            for piece in pieces:
                yield piece

    answer = library.MockTransport(lambda request: library.Response(200, stream=Body()))
    async with (
        library.AsyncClient(transport=answer) as client,
        AttachmentStage(tmp_path, client=client, limits=ONCE) as stage,
    ):
        [outcome] = await stage.download("https://cdn.discordapp.com/a")
        if all(isinstance(piece, bytes) for piece in pieces):
            assert outcome.path.read_bytes() == b"".join(pieces)
        else:
            assert outcome.reason == "interrupted"


async def test_a_client_is_recognised_by_what_it_can_do(tmp_path):
    """A subclass, and a class of the same shape that inherits from neither, as wrappers of the SDKs are."""

    class Sub(httpx2.AsyncClient):
        pass

    class Shape:
        def __init__(self, inner):
            self._inner = inner

        def build_request(self, *args, **options):
            return self._inner.build_request(*args, **options)

        async def send(self, *args, **options):
            return await self._inner.send(*args, **options)

        async def aclose(self):
            await self._inner.aclose()

    async with FakeCDN() as cdn, Sub(trust_env=False) as client:
        for given in (client, Shape(client)):
            async with AttachmentStage(tmp_path, client=given, policy=cdn.policy) as stage:
                assert (await stage.download(cdn.serve("/a", b"x")))[0].downloaded


class SyncShape:
    def build_request(self): ...
    def send(self): ...
    def aclose(self): ...


@pytest.mark.parametrize("scope", [AttachmentStage, StagingArea])
@pytest.mark.parametrize("given", [
    httpx.Client, httpx2.Client, httpx.AsyncClient, SyncShape(), object(), "client", 7, print,
    types.SimpleNamespace(send=None, aclose=None, build_request=None),
], ids=lambda given: getattr(given, "__qualname__", type(given).__name__))  # fmt: skip
def test_what_is_no_client_is_refused_at_construction(scope, given):
    with pytest.raises(TypeError, match=r"client must be an open httpx.AsyncClient; this is .* \(one of httpx2"):
        scope(client=given)


async def test_a_stale_pooled_connection_is_retried_once_without_counting(tmp_path):
    """The server closes the connection at the very moment at which it is used again (RFC 9112 section 9.3.1)."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy) as stage:
        await stage.download(cdn.serve("/a", b"x"))
        [staged] = await stage.download(cdn.script("/b", Raw(b""), Reply(b"good")))
        assert staged.path.read_bytes() == b"good"
        assert [(request.path, request.connection) for request in cdn.requests] == [("/a", 1), ("/b", 1), ("/b", 2)]
        [failed] = await stage.download(cdn.script("/c", Raw(b"")))
        assert (failed.reason, failed.attempts) == ("interrupted", 1)


@pytest.mark.parametrize("polls", [True, False])  # False: as on Windows
async def test_a_connection_that_was_closed_while_idle_is_not_used(tmp_path, monkeypatch, polls):
    if not polls:
        monkeypatch.delattr(select, "poll")
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, limits=ONCE, policy=cdn.policy) as stage:
        closing = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")  # and then, unannounced, FIN
        await stage.download(cdn.script("/a", closing))
        assert (await stage.download(cdn.serve("/b", b"y")))[0].downloaded
        assert (await stage.download(cdn.serve("/c", b"z")))[0].downloaded
        assert [request.connection for request in cdn.requests] == [1, 2, 2]  # an open one is used again


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
    response = FramedResponse(
        Fast(), HeadReader(Fast.origin).feed(head), lambda stream, reusable: None, lambda step: None
    )
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


async def test_few_frames_lie_between_a_download_and_its_socket(tmp_path, monkeypatch):
    """A reader who follows a call meets eight functions of ours at most, each worth its name."""
    frames, send = [], Stream.send

    async def watched(stream, data):
        frames.extend(frame.name for frame in traceback.extract_stack(limit=1000) if "/staging/_" in frame.filename)
        await send(stream, data)

    monkeypatch.setattr(Stream, "send", watched)
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        assert (await stage.download(cdn.serve("/a", b"x")))[0].downloaded
    assert 1 < len(frames) <= 8, frames
