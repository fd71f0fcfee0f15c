"""TLS fed from memory: what OpenSSL wants to say reaches the peer, and what the peer says reaches OpenSSL."""

import fcntl
import os
import pty
import shutil
import ssl
import struct
import subprocess
import termios
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress

import anyio
import anyio.lowlevel
import pytest
import trustme
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSStream

from staging import AttachmentStage, DownloadError, Limits, UrlPolicy
from staging._net import stream as _stream
from staging._net import tls as _tls
from staging._net.dial import Resolver, connect, dial
from staging._net.stream import TlsStream
from staging._net.urls import Origin
from staging.testing import FakeCDN

POLICY = UrlPolicy.only("localhost", private=True)
RECORD = 16_384  # RFC 8446 section 5.1


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def serving(authority, handler):
    """Hand the server's end of each connection to `handler`, before the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, lambda raw: handler(raw, context))
        yield Origin("https", "localhost", listener.extra(anyio.abc.SocketAttribute.local_port))
        group.cancel_scope.cancel()


@asynccontextmanager
async def dialled(origin, context):
    with closing(await dial(origin, POLICY, context, Resolver())) as stream:
        yield stream


async def received(stream, size):
    """Return the next `size` bytes."""
    data = memoryview(bytearray(size))
    filled = 0
    while filled < size:
        count = stream.read_now(data[filled:])
        if count is None:
            await stream.readable()
        else:
            assert count, f"the end, after {bytes(data[:filled])}"
            filled += count
    return bytes(data)


async def test_a_request_longer_than_a_record_arrives_whole(authority, trusting):
    request, arrived = bytes(range(256)) * 20_000, anyio.create_memory_object_stream(1)

    async def handler(raw, context):
        async with await TLSStream.wrap(raw, server_side=True, ssl_context=context) as peer:
            await arrived[0].send(await BufferedByteReceiveStream(peer).receive_exactly(len(request)))

    assert len(request) > RECORD  # and than any socket takes at once
    async with serving(authority, handler) as origin, dialled(origin, trusting) as stream:
        await stream.send(request)
        assert await arrived[1].receive() == request
    for end in arrived:
        end.close()


async def test_a_connection_whose_peer_has_said_more_is_not_silent(authority, trusting):
    """Another record behind the body has left the kernel with it, and lies where no look at the socket finds it."""
    said, heard = anyio.Event(), anyio.Event()

    async def handler(raw, context):
        async with await TLSStream.wrap(raw, server_side=True, ssl_context=context) as peer:
            await peer.send(b"body")
            await peer.send(b"more")
            said.set()
            await heard.wait()

    async with serving(authority, handler) as origin, dialled(origin, trusting) as stream:
        await said.wait()
        assert await received(stream, 4) == b"body"
        assert not stream.silent()
        assert await received(stream, 4) == b"more"
        assert stream.silent()
        heard.set()


@pytest.mark.parametrize("goodbye", [True, False])
async def test_the_end_is_a_goodbye_and_a_bare_hang_up_is_none(authority, trusting, goodbye):
    """RFC 8446 section 6.1: what ends without a close_notify may have been cut by anybody on the path."""

    async def handler(raw, context):
        peer = await TLSStream.wrap(raw, server_side=True, ssl_context=context, standard_compatible=goodbye)
        await peer.send(b"all")
        await peer.aclose()

    async with serving(authority, handler) as origin, dialled(origin, trusting) as stream:
        assert await received(stream, 3) == b"all"
        with nullcontext() if goodbye else pytest.raises(ssl.SSLEOFError):
            while (end := stream.read_now(memoryview(bytearray(1)))) is None:
                await stream.readable()
            assert end == 0


async def test_what_came_with_the_handshake_is_not_waited_for(authority, trusting):
    """In TLS 1.2 the server has the last word, and some do not wait to be asked (408, say)."""
    said = anyio.Event()

    class Late(TlsStream):
        __slots__ = ("waits",)

        async def readable(self):
            self.waits = getattr(self, "waits", 0) + 1
            if self.waits == 2:
                await self._flush()
                await said.wait()
            await super().readable()

    async def handler(raw, context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with await TLSStream.wrap(raw, server_side=True, ssl_context=context) as peer:
            await peer.send(b"early")
            said.set()
            with suppress(anyio.EndOfStream):
                await peer.receive()

    async with serving(authority, handler) as origin:
        sock = await connect(await Resolver().addresses(origin), origin)
        with closing(Late(sock, origin, trusting)) as stream:
            await stream.handshake()
            with anyio.fail_after(5):
                await stream.readable()
            assert await received(stream, 5) == b"early"
            assert stream.waits == 3


async def test_what_comes_before_a_broken_record_is_read_and_the_peer_learns_of_it(authority, trusting):
    """An alert follows, not a bare hang-up (RFC 8446 section 6.2)."""
    said, told = anyio.Event(), anyio.create_memory_object_stream(1)

    async def handler(raw, context):
        async with await TLSStream.wrap(raw, server_side=True, ssl_context=context, standard_compatible=False) as peer:
            await peer.send(b"good")
            await raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
            said.set()
            with pytest.raises(ssl.SSLError) as broken:
                await peer.receive()
            await told[0].send(broken.value.reason)

    async with serving(authority, handler) as origin:
        async with dialled(origin, trusting) as stream:
            await said.wait()
            view = memoryview(bytearray(8))
            assert bytes(view[: stream.read_now(view)]) == b"good"
            with pytest.raises(ssl.SSLError):
                await received(stream, 1)
        assert "ALERT_BAD_RECORD_MAC" in await told[1].receive()
    for end in told:
        end.close()


async def test_tiny_records_are_read_a_few_at_a_time(authority, trusting):
    said = anyio.Event()

    async def handler(raw, context):
        async with await TLSStream.wrap(raw, server_side=True, ssl_context=context) as peer:
            for number in range(100):
                await peer.send(b"%c" % number)
            said.set()
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await peer.receive()

    async with serving(authority, handler) as origin, dialled(origin, trusting) as stream:
        await said.wait()
        view, counts = memoryview(bytearray(100)), []
        while sum(counts) < 100:
            counts.append(stream.read_now(view[sum(counts) :]))
        assert max(counts) < 40
        assert bytes(view) == bytes(range(100))


async def test_one_connection_serves_many_files(tmp_path):
    """What is data is not counted as a flood, however many records it comes in."""
    async with FakeCDN(host="localhost", tls=True) as cdn:
        options = {"policy": cdn.policy, "tls": cdn.client_tls, "limits": Limits(concurrency=1)}
        async with AttachmentStage(tmp_path, **options) as stage:
            await stage.download(cdn.serve(f"/{number}", bytes(10_000 + number)) for number in range(60))
            assert [outcome.size for outcome in stage.outcomes] == [10_000 + number for number in range(60)]
        assert cdn.connections == 1


async def test_a_trust_store_that_cannot_be_read_fails_its_attachments_only(tmp_path, monkeypatch):
    broken = tmp_path / "bundle.pem"
    broken.write_text("no certificate")
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=str(broken), openssl_capath="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    _tls._build_tls.cache_clear()
    try:
        async with FakeCDN(host="localhost", tls=True) as cdn, FakeCDN() as plain:
            policy = UrlPolicy.only("localhost", "127.0.0.1", schemes=("http", "https"), ports=None, private=True)
            async with AttachmentStage(tmp_path, policy=policy) as stage:
                outcomes = await stage.download(cdn.serve("/a", b"x"), plain.serve("/b", b"y"))
                assert (outcomes[0].reason, outcomes[0].attempts, outcomes[1].downloaded) == ("connect", 1, True)
                assert outcomes[0].detail.startswith("the system's trust store cannot be read: ")
    finally:
        _tls._build_tls.cache_clear()


async def test_the_peer_learns_that_it_is_not_trusted(authority):
    """An alert, not a bare hang-up: the one who can mend it reads it in the server's log (RFC 8446 section 6.2)."""
    told = anyio.create_memory_object_stream(1)

    async def handler(raw, context):
        async with raw:
            with pytest.raises(ssl.SSLError) as refused:
                await TLSStream.wrap(raw, server_side=True, ssl_context=context)
            await told[0].send(refused.value.reason)

    async with serving(authority, handler) as origin:
        with pytest.raises(DownloadError, match="not trusted"):
            await dial(origin, POLICY, ssl.create_default_context(), Resolver())
        assert await told[1].receive() == "TLSV1_ALERT_UNKNOWN_CA"
    for end in told:
        end.close()


@asynccontextmanager
async def s_server(tmp_path, authority, *options):
    """Run `openssl s_server`; yield its port, its output, and what types a text into it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no other server does this")
    certificate = tmp_path / "localhost.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    terminal, keyboard = pty.openpty()  # a terminal is read by the line, so that a command is not taken for data
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(certificate), "-key", str(certificate)]
    with closed(terminal), closed(keyboard):
        async with await anyio.open_process([*command, *options], stdin=keyboard, stdout=subprocess.PIPE) as server:
            try:
                output = BufferedByteReceiveStream(server.stdout)
                await output.receive_until(b"ACCEPT 127.0.0.1:", 10_000)
                yield int(await output.receive_until(b"\n", 100)), output, lambda text: os.write(terminal, text)
            finally:
                server.kill()


@contextmanager
def closed(descriptor):
    try:
        yield
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("version", "command"), [("-tls1_2", b"r"), ("-tls1_3", b"K")], ids=["renegotiates", "rekeys"])
async def test_a_server_that_wants_new_keys_in_the_middle_gets_them(tmp_path, authority, trusting, version, command):
    """RFC 5746, and RFC 8446 section 4.6.3: `s_server` waits for our part before it sends the rest."""
    async with (
        s_server(tmp_path, authority, version) as (port, output, types),
        dialled(Origin("https", "localhost", port), trusting) as stream,
    ):
        await stream.send(b"a request\n")
        await output.receive_until(b"a request", 100_000)
        types(b"before\n%b\nafter\n" % command)
        assert await received(stream, 13) == b"before\nafter\n"
        await stream.send(b"another\n")
        await output.receive_until(b"another", 100_000)


async def test_records_without_data_do_not_keep_the_loop(tmp_path, authority, trusting, monkeypatch):
    """A server may send session tickets for ever (RFC 8446 section 4.6.1): the others get their turn meanwhile."""
    monkeypatch.setattr(_stream, "MIN_RAW", 2048)
    async with (
        s_server(tmp_path, authority, "-num_tickets", "20000") as (port, _, _),
        dialled(Origin("https", "localhost", port), trusting) as stream,
    ):
        while in_the_kernel(stream) < 32_768:
            await stream.readable()
        for _ in range(4):
            before = in_the_kernel(stream)
            assert stream.read_now(memoryview(bytearray(1))) is None
            assert in_the_kernel(stream) >= before - 2 * 2048
            await stream.readable()


async def test_records_without_data_end_the_connection(tmp_path, authority, trusting):
    async with (
        s_server(tmp_path, authority, "-num_tickets", "20000") as (port, _, _),
        dialled(Origin("https", "localhost", port), trusting) as stream,
    ):
        with pytest.raises(ConnectionAbortedError), anyio.fail_after(10):
            await received(stream, 1)


async def test_no_more_is_taken_before_the_answer_is_sent(tmp_path, authority, trusting):
    """Else a peer that asks for new keys again and again would fill our memory with answers."""
    async with (
        s_server(tmp_path, authority, "-tls1_3") as (port, output, types),
        dialled(Origin("https", "localhost", port), trusting) as stream,
    ):
        await stream.send(b"a request\n")
        await output.receive_until(b"a request", 100_000)
        types(b"tickets first\n")
        await received(stream, 14)
        one = memoryview(bytearray(1))
        for _ in range(3):  # OpenSSL answers the first when it is asked again
            types(b"K\n")
            while not in_the_kernel(stream):
                await anyio.lowlevel.checkpoint()
            assert stream.read_now(one) is None
        assert in_the_kernel(stream), "a demand was heard before the one before was answered"
        types(b"x\n")
        assert await received(stream, 2) == b"x\n"


def in_the_kernel(stream):
    """Return how many bytes have come that nobody has fetched."""
    return struct.unpack("i", fcntl.ioctl(stream._sock, termios.FIONREAD, bytes(4)))[0]
