"""A full process: no descriptor, no thread, a resolver that answers nonsense. Failures, never an exception."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import AsyncExitStack

import anyio
import pytest

from staging import Attachment, AttachmentStage, Limits, StagingArea, UrlPolicy
from staging._net import dial as _dial
from staging._net.http1 import Request
from staging._net.policy import target
from staging._net.transport import Transport
from staging.testing import Chunked, FakeCDN, Hold, Length, assert_empty
from staging.testing.server import _authority

PROGRAM = """
import json, os, resource, sys, tempfile, anyio
from staging import AttachmentStage, Limits, StagedFile, UrlPolicy
port, left, loop, scheme, trust = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]

async def main():
    import socket, ssl
    socket.getaddrinfo("localhost", port)  # else the system's resolver keeps for ever that it could read no file
    policy = UrlPolicy.only("localhost", schemes=("http", "https"), ports=(port,), private=True)
    limits = Limits(retries=0, timeout=20, min_free_mb=0)
    tls = ssl.create_default_context(cafile=trust) if trust else None
    with tempfile.TemporaryDirectory() as root:
        async with AttachmentStage(root, policy=policy, limits=limits, tls=tls) as stage:
            hold = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
            try:
                while True:
                    hold.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                for _ in range(left):
                    os.close(hold.pop())
            outcomes = await stage.download([f"{scheme}://localhost:{port}/caf%e9{number}" for number in range(24)])
            for descriptor in hold:
                os.close(descriptor)
            found = [[getattr(o, "reason", "staged"), getattr(o, "retryable", None)] for o in outcomes]
            again = await stage.download(f"{scheme}://localhost:{port}/again")
            found.append([getattr(again[0], "reason", "staged"), None])
        assert not os.listdir(root)
    print(json.dumps(found))

anyio.run(main, backend=loop)
"""


@pytest.mark.parametrize(("left", "secure"), [(0, False), (1, False), (3, False), (9, False), (0, True), (12, True)])
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_without_descriptors_downloads_wait_for_one_or_fail_for_now(tmp_path, loop, left, secure):
    """With a few, each download gets its turn at them; without any, all fail, and may be tried again later."""
    with FakeCDN.in_thread(host="localhost", tls=secure) as cdn:
        for number in range(24):
            # names and texts have codecs, whose modules cannot be imported then
            body = ("x" * 2500).encode("utf-16-le" if number % 3 else "utf-16")
            cdn.serve(f"/caf%e9{number}", body, Chunked(900) if number % 2 else Length())
        cdn.serve("/again", b"x")
        trust = ""
        if secure:
            trust = str(tmp_path / "trust.pem")
            _authority().cert_pem.write_to_path(trust)
        arguments = [str(cdn.port), str(left), loop, "https" if secure else "http", trust]
        command = [sys.executable, "-c", PROGRAM, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    *found, again = json.loads(done.stdout)
    assert {tuple(one) for one in found} <= {("staged", None), ("storage", True)}, found
    assert again[0] == "staged", done.stderr[-600:]
    if left == 0:
        assert found.count(["staged", None]) == 0
    if left >= 9:
        assert found.count(["staged", None]) == 24, found


async def test_without_threads_downloads_fail_for_now(tmp_path, monkeypatch):
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=0)) as stage:
        urls = [cdn.serve(f"/{number}", b"x") for number in range(5)]

        def refused(thread):
            raise RuntimeError("can't start new thread")

        await anyio.sleep(0.1)  # idle threads end
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            outcomes = await stage.download(urls)
        assert {(outcome.reason, outcome.retryable) for outcome in outcomes} == {("storage", True)}
        assert all(outcome.downloaded for outcome in await stage.download([f"{url}?again" for url in urls]))
    assert_empty(tmp_path)


async def test_what_waits_for_a_descriptor_keeps_its_name_and_holds_no_bytes(tmp_path, monkeypatch):
    """Bytes of the caller's wait like a download, since they can be read again."""
    real, full = os.open, True

    def opening(path, flags, *args, **kwargs):
        if full and flags & os.O_CREAT:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, flags, *args, **kwargs)

    async with FakeCDN() as cdn, StagingArea(tmp_path, policy=cdn.policy) as area, area.stage() as stage:
        hold, outcomes = Hold(at=3), []
        sources = cdn.serve("/a.txt", b"aaaaaa", hold), cdn.serve("/b.txt", b"bbb"), (tmp_path / "c.txt")
        sources[2].write_bytes(b"ccc")
        monkeypatch.setattr(os, "open", opening)
        async with anyio.create_task_group() as group:

            async def download():
                outcomes.extend(await stage.download(*sources, Attachment("", data=b"dd", name="d.txt")))

            group.start_soon(download)
            await hold.reached()
            with anyio.fail_after(5):
                while area.stats().downloads_waiting < 3:  # noqa: ASYNC110  # the area tells a number, not a moment
                    await anyio.sleep(0.01)
            assert area.stats().bytes_held <= 6
            full = False
            hold.release()
        assert [outcome.path.name for outcome in outcomes] == ["a.txt", "b.txt", "c.txt", "d.txt"]


async def test_one_end_wakes_one_that_waits(monkeypatch):
    """If each woke all of them, hundreds would try again in vain, again and again."""
    tried = Counter()

    async def scarce(_):
        tried["sockets"] += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(_dial, "_attempt", scarce)
    policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=(9,), private=True)
    async with StagingArea(policy=policy) as area, AsyncExitStack() as stack:
        stages = [await stack.enter_async_context(area.stage()) for _ in range(15)]
        async with anyio.create_task_group() as group:
            for stage in stages:
                group.start_soon(lambda stage=stage: stage.download([f"http://127.0.0.1:9/{n}" for n in range(8)]))
    assert tried["sockets"] < 3 * 15 * 8


GOOD = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
NONSENSE = {
    "None": None, "nothing": [], "a number": 7, "text": "127.0.0.1", "bytes": b"\x7f\0\0\1",
    "a name": [(*GOOD[:4], ("host", 443))],
    "no address": [(*GOOD[:4], ("", 443))], "None inside": [(*GOOD[:4], (None, 443))], "too short": [GOOD[:3]],
    "a path": [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/run/x.sock")], "no family": [(None, *GOOD[1:])],
    "a family of numbers": [(99, *GOOD[1:])], "a port beyond": [(*GOOD[:4], ("127.0.0.1", 70_000))],
    "port zero": [(*GOOD[:4], ("127.0.0.1", 0))], "no port": [(*GOOD[:4], ("127.0.0.1",))],
    "a port of text": [(*GOOD[:4], ("127.0.0.1", "x"))], "one bad of two": [GOOD, (*GOOD[:4], ("host", 443))],
    "half an address": [(*GOOD[:4], ("127.0", 443))], "an endless name": [(*GOOD[:4], ("1" * 100_000, 443))],
}  # fmt: skip
RAISED = [
    RuntimeError("x"),
    ValueError("x"),
    UnicodeError("x"),
    OSError("x"),
    socket.gaierror(-11, "System error"),
    KeyError(1),
]


@pytest.mark.parametrize("answer", [*NONSENSE.values(), *RAISED], ids=[*NONSENSE, *map(repr, RAISED)])
async def test_a_resolver_that_answers_nonsense(tmp_path, monkeypatch, answer):
    def look_up(host, port):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_dial, "look_up", look_up)
    policy = UrlPolicy.only("files.example.com", private=True)
    async with AttachmentStage(tmp_path, policy=policy, limits=Limits(retries=0)) as stage:
        [outcome] = await stage.download("https://files.example.com/a.png")
        assert outcome.reason == "connect", outcome
        assert outcome.detail.isprintable()


async def test_look_ups_that_hang_leave_places_for_others(tmp_path, monkeypatch):
    """The threads of look-ups are bounded, also those that no download waits for any more."""
    over, running, most = threading.Event(), 0, 0
    lock = threading.Lock()

    def hang(host, port):
        nonlocal running, most
        if host == "localhost":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        with lock:
            running += 1
            most = max(most, running)
        over.wait(30)
        with lock:
            running -= 1
        raise OSError

    monkeypatch.setattr(_dial, "look_up", hang)
    monkeypatch.setattr(_dial, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(_dial, "MAX_LOOK_UPS", 10)
    resolver = _dial.Resolver()
    policy = UrlPolicy.only("*.example.com", "localhost", schemes=("http",), ports=None, private=True)
    try:
        async with anyio.create_task_group() as group:

            async def refused(number):
                with pytest.raises(Exception, match="could not resolve"):
                    await _dial.dial(_dial.Origin("http", f"h{number}.example.com", 80), policy, None, resolver)

            for number in range(40):
                group.start_soon(refused, number)
        assert most == 10
        over.set()
        monkeypatch.setattr(_dial, "CONNECT_TIMEOUT", 5)
        async with FakeCDN(host="localhost") as cdn:
            stream = await _dial.dial(_dial.Origin("http", "localhost", cdn.port), policy, None, resolver)
            stream.close()
    finally:
        over.set()
        await anyio.sleep(0.1)


async def test_idle_connections_go_first(monkeypatch):
    """A descriptor that is only kept for later is given up for what is wanted now."""
    async with FakeCDN() as cdn, FakeCDN() as other:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=None, private=True)
        transport, real, refused = Transport(policy), _dial._attempt, []

        async def scarce(address):
            if transport._idle:
                refused.append(address)
                raise OSError(errno.EMFILE, "too many open files")
            return await real(address)

        monkeypatch.setattr(_dial, "_attempt", scarce)
        for url in (cdn.serve("/a", b""), other.serve("/b", b"")):
            response = await transport.send(Request(target(policy, url), {}))
            assert response.status == 200
            await response.aclose()
        assert len(refused) == 1
        transport.close()
