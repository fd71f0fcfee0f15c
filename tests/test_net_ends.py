"""The network under asyncio's own cancellation: whichever step it comes at, no socket is left and it arrives."""

import asyncio
import socket
import types

import anyio
import anyio.lowlevel
import httpx
import pytest
from test_faults_cancel import counted

from staging import AttachmentStage, Limits, UrlPolicy
from staging._net import dial as _dial
from staging._net.client import through
from staging._net.dial import Resolver, dial
from staging._net.http1 import Request
from staging._net.policy import target
from staging._net.transport import Transport
from staging.testing import Chunked, Drip, FakeCDN, assert_empty

POLICY = UrlPolicy.only("127.0.0.1", "localhost", schemes=("http", "https"), ports=None, private=True)


@pytest.fixture
def sockets(monkeypatch):
    """Every socket that was opened to dial."""
    opened = []

    class Watched(socket.socket):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            opened.append(self)

    monkeypatch.setattr(_dial, "socket", types.SimpleNamespace(**{**vars(socket), "socket": Watched}))
    return opened


async def cancelled_at(when, function, times):
    """Run `function` in a task that is cancelled at its step number `when`, and at the next ones; return its result."""
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        if when <= steps < when + times:
            task.cancel()

    task = asyncio.ensure_future(counted(function(), step))
    await asyncio.wait({task}, timeout=30)
    assert task.done(), f"cancelled at step {when}, it hangs"
    if steps < when:
        return task.result()
    assert task.cancelled(), f"the cancellation at step {when} of {steps} was swallowed"
    return None


async def at_every_step(function, sockets, times):
    """Cancel it at its first step, its second, and so on, until it ends before that; return what it then returns."""
    for when in range(1, 500):
        result = await cancelled_at(when, function, times)
        await asyncio.sleep(0.001)  # what was left to itself has its moment
        if result is not None:
            assert when > 1, "nothing was cancelled"
            return result
        assert [sock for sock in sockets if sock.fileno() >= 0] == [], f"cancelled at step {when}, it left a socket"
    raise AssertionError("it has no end")


@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("how", ["plain", "tls", "race", "race, tls", "refused first"])
def test_dialling_leaves_no_socket(sockets, monkeypatch, how, times):
    async def main():
        secure = "tls" in how
        async with FakeCDN(host="localhost", tls=secure) as cdn:
            if how not in {"plain", "tls"}:
                hosts = ["127.0.0.1", "127.0.0.1"] if how != "refused first" else ["127.0.0.3", "127.0.0.1"]
                answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, cdn.port)) for host in hosts]
                monkeypatch.setattr(_dial, "look_up", lambda host, port: answers)
            origin = target(POLICY, cdn.url("/")).origin
            trust = cdn.client_tls if secure else None
            stream = await at_every_step(lambda: dial(origin, POLICY, trust, Resolver()), sockets, times)
            stream.close()
            assert [sock for sock in sockets if sock.fileno() >= 0] == []

    asyncio.run(main())


@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("used", [False, True])
def test_an_exchange_leaves_no_socket(sockets, used, times):
    async def main():
        async with FakeCDN() as cdn:
            asked = target(POLICY, cdn.serve("/a", b"x" * 1000, Drip(500, every=0.001, head=True)))
            transport = Transport(POLICY)

            async def send():
                return await transport.send(Request(asked, {}))

            async def read():
                response = await send()
                try:
                    view, count = memoryview(bytearray(4096)), 0
                    while new := await response.readinto(view[count:]):
                        count += new
                finally:
                    await response.aclose()
                return count

            def left():
                idle = [stream._sock for _, stream in transport._idle]
                return [sock for sock in sockets if sock not in idle]

            class Live(list):
                def __iter__(self):
                    return iter(left())

            if used:
                assert await read() == 1000
            assert await at_every_step(read, Live(), times) == 1000
            transport.close()
            assert [sock for sock in sockets if sock.fileno() >= 0] == []

    asyncio.run(main())


@pytest.mark.parametrize("times", [1, 10])
def test_a_clients_response_is_closed(times):
    """Its closing may wait for the network, and is awaited again after each cancellation."""
    closed = []

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self):
            await asyncio.sleep(0)
            yield b"x" * 10

        async def aclose(self):
            for _ in range(3):
                await asyncio.sleep(0)
            closed.append(self)

    bodies = []

    def answer(request):
        bodies.append(Body())
        return httpx.Response(200, stream=bodies[-1])

    async def main():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            send = through(client)
            asked = Request(target(UrlPolicy.public(), "https://files.example.com/a"), {})

            async def read():
                response = await send(asked)
                try:
                    return await response.readinto(memoryview(bytearray(100)))
                finally:
                    await response.aclose()

            assert await at_every_step(read, [], times) == 10
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(closed) >= len(bodies) - 1  # httpx itself may lose one between its transport and its return

    asyncio.run(main())


@pytest.mark.parametrize("times", [1, 10])
def test_a_download_leaves_nothing(tmp_path, sockets, times):
    """All of it, from the call to the file, with a redirect, chunks and a retry on the way."""

    async def main():
        async with FakeCDN() as cdn:
            cdn.serve("/b", b"x" * 3000, Chunked(700))
            url = cdn.redirect("/a", "/b")
            limits = Limits(retries=1, min_free_mb=0)

            async def once():
                async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
                    return await stage.download(url)

            for when in range(1, 1000):
                outcomes = await cancelled_at(when, once, times)
                assert_empty(tmp_path)
                assert [sock for sock in sockets if sock.fileno() >= 0] == []
                if outcomes is not None:
                    assert outcomes[0].downloaded
                    return

    asyncio.run(main())


async def test_descriptors_are_given_back_by_a_race(monkeypatch, sockets):
    """On both loops: of several attempts one wins, and the others are closed."""
    async with FakeCDN(host="localhost") as cdn:
        answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", cdn.port))] * 5
        monkeypatch.setattr(_dial, "look_up", lambda host, port: answers)
        monkeypatch.setattr(_dial, "_ATTEMPT_DELAY", 0)
        stream = await dial(target(POLICY, cdn.url("/")).origin, POLICY, None, Resolver())
        await anyio.lowlevel.checkpoint()
        assert [sock for sock in sockets if sock.fileno() >= 0] == [stream._sock]
        stream.close()
