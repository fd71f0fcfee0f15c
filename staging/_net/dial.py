"""Resolve, vet every address, dial a vetted one, TLS; a byte stream on a non-blocking socket.

Theory of operation. A host name is resolved once, and the addresses that are judged are the addresses that are dialled:
between check and connect there is no second look-up that an attacker's name server could answer differently (DNS
rebinding). If a single answer is not admitted, the host is refused: a name that points at both worlds is an attack or a
mistake. Those who dial one name at the same time share one look-up. The addresses are then tried as RFC 8305 (happy
eyeballs) has it: families alternate, the next attempt starts when one has failed or a quarter of a second has passed,
the first to connect wins. Host header, SNI and certificate stay with the name.

The socket is non-blocking and read by whoever has the data's destination: `Stream.read_now` tries without waiting, and
only when nothing is there is the event loop asked (`Stream.readable`). TLS is fed from memory: OpenSSL on a socket asks
the kernel twice for every record of 16 KB, and each time the kernel answers the peer; a quarter of a megabyte at once
costs a copy more and less in all. A peer decides what it sends, so work is bounded by turns: a call of `read_now` asks
the kernel once and opens a few records, and records that are not data are not taken for ever.
"""

import contextlib
import copy
import functools
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

import anyio

from staging._errors import DownloadError
from staging._net.policy import Origin, UrlPolicy
from staging._text import one_line
from staging._threads import in_thread

CONNECT_TIMEOUT = 10.0  # seconds for DNS, TCP and TLS together
MIN_RAW, MAX_RAW = 65_536, 262_144  # bytes asked of the kernel at once, under TLS; a stream keeps as much memory
_READS = 32  # records in one turn: a quarter of a megabyte in full ones, and little work in tiny ones
_SHARE = 32  # of the bytes under TLS, one in so many is data at least; in records of one byte it is one in 23
_FLOOD = 131_072  # bytes beyond that: no honest peer has so many certificates, tickets and keys (RFC 8446 section 4)
_ATTEMPT_DELAY = 0.25  # RFC 8305 section 5
_MAX_ADDRESSES = 16  # a name with 200 answers does not buy 200 attempts


class Address(NamedTuple):
    """One vetted answer, as the socket module wants it."""

    family: socket.AddressFamily
    target: tuple[Any, ...]


class Stream:
    """Bytes to and from one peer. Reading never blocks: 0 is the end, None is nothing yet."""

    __slots__ = ("_sock", "origin")

    def __init__(self, sock: socket.socket, origin: Origin) -> None:
        self._sock = sock
        self.origin = origin

    def read_now(self, view: memoryview) -> int | None:
        """Read some of what is there into `view`.

        Raises:
            OSError: if the connection broke; for TLS also if it ended without a close_notify (RFC 8446 section 6.1).
        """
        try:
            return self._sock.recv_into(view)
        except BlockingIOError:
            return None

    def receive_now(self, size: int) -> bytes | None:
        """Receive some of what is there, up to `size` bytes; as `read_now`, but b"" is the end.

        Raises:
            OSError: as `read_now`.
        """
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            return None

    async def readable(self) -> None:
        """Wait until it is worth asking `read_now` again.

        Raises:
            OSError: as `read_now`.
        """
        await anyio.wait_readable(self._sock)

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        while data:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sock)

    def silent(self) -> bool:
        """Whether an idle connection is as it should be: open, and with nothing to say (RFC 9112 section 9.3)."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close at once; nothing is waited for."""
        self._sock.close()


class TlsStream(Stream):
    """The same through TLS, verified against the origin's host name."""

    __slots__ = ("_incoming", "_outgoing", "_overhead", "_raw", "_tls")

    def __init__(self, sock: socket.socket, origin: Origin, context: ssl.SSLContext) -> None:
        super().__init__(sock, origin)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=origin.host)
        self._raw = MIN_RAW
        self._overhead = 0

    def read_now(self, view: memoryview) -> int | None:
        count, size, fetched = 0, len(view), False
        read = cast("Callable[[int, memoryview], int]", self._tls.read)
        try:
            for _ in range(_READS):
                try:
                    new = read(size - count, view[count:])
                except ssl.SSLWantReadError:
                    if fetched or not self._fetch():  # once: what brings no data may go on for ever
                        break
                    fetched = True
                else:
                    count += new
                    if not new or count == size:
                        self._make_up(count)
                        return count
        except OSError:
            if not count:
                raise  # else the next call meets it again
        self._make_up(count)
        return count or None

    def receive_now(self, size: int) -> bytes | None:
        for fetched in (False, True):
            try:
                data = self._tls.read(size)
            except ssl.SSLWantReadError:
                if fetched or not self._fetch():
                    break
            else:
                self._make_up(len(data))
                return data
        return None

    def _make_up(self, count: int) -> None:
        """So many bytes of data excuse what came without any."""
        self._overhead = max(0, self._overhead - _SHARE * count)

    def _fetch(self) -> bool:
        """Hand OpenSSL what the kernel has; return whether that was anything.

        Raises:
            OSError: as `read_now`. OpenSSL has asked for more, so there was no close_notify before this end: what it
                makes of that itself differs by version, and one bug of Python 3.11 made it nothing.
        """
        if self._overhead > _FLOOD:
            raise ConnectionAbortedError("records without data, one after the other")
        if self._outgoing.pending:
            return False  # the answer to what has come goes first, by `readable`
        try:
            data = self._sock.recv(self._raw)
        except BlockingIOError:
            return False
        if not data:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without a close_notify")
        self._incoming.write(data)
        self._overhead += len(data)
        if len(data) == self._raw:
            self._raw = min(2 * self._raw, MAX_RAW)  # the peer is faster than we are
        return True

    async def readable(self) -> None:
        await self._flush()
        if not self._incoming.pending:
            await super().readable()
            self._raw = MIN_RAW
            self._fetch()  # before OpenSSL is asked, which would only say that it has nothing

    async def send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self._tls.write(data) :]
            except ssl.SSLWantReadError:
                await self.readable()
        await self._flush()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await super().send(self._outgoing.read())

    def silent(self) -> bool:
        # what has been fetched already lies where a look at the socket does not find it
        return not self._tls.pending() and not self._incoming.pending and super().silent()

    def close(self) -> None:
        if self._outgoing.pending:
            with contextlib.suppress(OSError):
                self._sock.send(self._outgoing.read())  # an alert: the peer learns why (RFC 8446 section 6.2)
        super().close()

    async def handshake(self) -> None:
        """Agree with the peer on keys, and believe its certificate.

        Raises:
            OSError: if it cannot be.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.readable()
            else:
                return await self._flush()


async def dial(origin: Origin, policy: UrlPolicy, tls: ssl.SSLContext | None, resolver: "Resolver") -> Stream:
    """Connect to `origin` at an address that `policy` admits; within `CONNECT_TIMEOUT`, or not at all.

    Raises:
        RejectedError: if any address of the host is not admitted; no socket was opened.
        DownloadError: ``connect``, if the name does not resolve, nobody answers, or TLS cannot be trusted or set up.
    """
    try:
        with anyio.fail_after(CONNECT_TIMEOUT):
            addresses = vet(await resolver.addresses(origin), policy)
            context = (tls or await default_tls()) if origin.scheme == "https" else None
            sock = await connect(addresses, origin)
            return Stream(sock, origin) if context is None else await _secure(sock, origin, context)
    except TimeoutError:
        detail = f"could not connect to {origin} within {CONNECT_TIMEOUT:g} seconds{_unused_proxy()}"
        raise DownloadError("connect", detail, retryable=True) from None


def look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Ask the system's resolver; blocks. The one place where a name becomes addresses (tests put their own here)."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class _Question:
    """A look-up under way, and what came of it: an answer, an error, or neither if whoever asked was cancelled."""

    __slots__ = ("answer", "ended", "error")

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.answer: Sequence[Address] | None = None
        self.error: DownloadError | None = None


class Resolver:
    """Looks a name up once for all who dial it at the same time: a batch from one host is one query and one thread."""

    def __init__(self) -> None:
        self._questions: dict[Origin, _Question] = {}

    async def addresses(self, origin: Origin) -> Sequence[Address]:
        """Return all addresses of the origin's host, as `resolve` does; nothing is kept for whoever asks later.

        Raises:
            DownloadError: as `resolve`.
        """
        while (question := self._questions.get(origin)) is not None:
            await question.ended.wait()
            if question.error is not None:
                raise copy.copy(question.error)  # an error belongs to one download, which counts its attempts on it
            if question.answer is not None:
                return question.answer
        return await self._ask(origin)

    async def _ask(self, origin: Origin) -> Sequence[Address]:
        question = self._questions[origin] = _Question()
        try:
            question.answer = await resolve(origin)
        except DownloadError as error:
            question.error = copy.copy(error)
            raise
        finally:
            del self._questions[origin]
            question.ended.set()
        return question.answer


async def resolve(origin: Origin) -> list[Address]:
    """Return all addresses of the origin's host, families alternating (RFC 8305 section 4)."""
    try:
        # a look-up cannot be cancelled: its thread is left to end by itself
        answers = await in_thread(look_up, origin.host, origin.port, abandon=True)
    except socket.gaierror as error:
        passing = error.errno == socket.EAI_AGAIN
        what = "cannot be resolved just now" if passing else "does not exist"
        detail = f"the name {origin} {what}{_unused_proxy()}"
        raise DownloadError("connect", detail, retryable=passing) from None
    except (OSError, UnicodeError):
        raise DownloadError("connect", f"the name {origin} cannot be resolved") from None
    families: dict[Any, list[Address]] = {}
    for family, _, _, _, target in answers:
        families.setdefault(family, []).append(Address(family, target))
    return [address for address in chain.from_iterable(zip_longest(*families.values())) if address]


def vet(addresses: Sequence[Address], policy: UrlPolicy) -> Sequence[Address]:
    """Return `addresses` if every one is admitted: a mixed answer refuses the host.

    Raises:
        RejectedError: ``private_address``, for the first that is not.
        DownloadError: ``connect``, if there is none.
    """
    if not addresses:
        raise DownloadError("connect", "the name has no address")
    for address in addresses:
        policy.check_address(ip_address(address.target[0]))
    return addresses[:_MAX_ADDRESSES]


async def connect(addresses: Sequence[Address], origin: Origin) -> socket.socket:
    """Return a connected socket: of the first address that answers, the others being tried meanwhile (RFC 8305)."""
    if len(addresses) == 1:
        return await _only(addresses[0], origin)
    race = _Race()
    try:
        await race.run(addresses)
    except BaseException:
        race.close()
        raise
    if race.winner is None:
        raise _unreachable(origin, race.errors)
    return race.winner


async def _only(address: Address, origin: Origin) -> socket.socket:
    try:
        return await _attempt(address)
    except OSError as error:
        raise _unreachable(origin, [error]) from None


class _Race:
    """Attempts at several addresses; the first success ends it."""

    def __init__(self) -> None:
        self.winner: socket.socket | None = None
        self.errors: list[OSError] = []

    async def run(self, addresses: Sequence[Address]) -> None:
        async with anyio.create_task_group() as group:
            for address in addresses:
                failed = anyio.Event()
                group.start_soon(self._enter, address, failed, group.cancel_scope)
                with anyio.move_on_after(_ATTEMPT_DELAY):
                    await failed.wait()

    async def _enter(self, address: Address, failed: "anyio.Event", scope: "anyio.CancelScope") -> None:
        try:
            sock = await _attempt(address)
        except OSError as error:
            self.errors.append(error)
            failed.set()
            return
        if self.winner is None:
            self.winner = sock
            scope.cancel()
        else:
            sock.close()

    def close(self) -> None:
        if self.winner is not None:
            self.winner.close()


async def _attempt(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address.target)
        except BlockingIOError:
            await anyio.wait_writable(sock)
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, "") from None
    except BaseException:
        sock.close()
        raise
    return sock


def _unreachable(origin: Origin, errors: Sequence[OSError]) -> DownloadError:
    refused = all(isinstance(error, ConnectionRefusedError) for error in errors)
    why = "refused the connection" if refused else "cannot be reached"
    return DownloadError("connect", f"{origin} {why}{_unused_proxy()}", retryable=True)


def _unused_proxy() -> str:
    """Return what somebody behind a proxy needs to read; that is all the environment is ever asked for (pitfall 9)."""
    name = next((name for name in _PROXIES if os.environ.get(name)), None)
    return f"; {name} is set and not used: give client=httpx.AsyncClient(proxy=...)" if name else ""


_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


async def _secure(sock: socket.socket, origin: Origin, context: ssl.SSLContext) -> Stream:
    stream = Stream(sock, origin)
    try:
        stream = secure = TlsStream(sock, origin, context)
        await secure.handshake()
    except ssl.SSLCertVerificationError as error:
        stream.close()
        raise DownloadError("connect", _distrust(origin, error)) from None
    except OSError as error:
        stream.close()
        broken = not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError)
        detail = f"no secure connection to {origin}: {_tls_fault(error)}"
        raise DownloadError("connect", detail, retryable=broken) from None
    except BaseException:
        stream.close()
        raise
    return stream


_OWN_TRUST = "tls= takes an SSL context that trusts it"
_DISTRUST = {  # X509_V_ERR_* of OpenSSL's x509_vfy.h
    10: "its certificate has expired",
    9: "its certificate is not valid yet",
    18: f"its certificate is self-signed; {_OWN_TRUST}",
    19: f"its certificate was issued by an authority that is not trusted; {_OWN_TRUST}",
    20: f"its certificate was issued by an authority that is not trusted; {_OWN_TRUST}",
    62: "its certificate is for another host",
    64: "its certificate is for another host",
}


def _distrust(origin: Origin, error: ssl.SSLCertVerificationError) -> str:
    return f"{origin} cannot be trusted: {_DISTRUST.get(error.verify_code, one_line(error.verify_message))}"


def _tls_fault(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return "the connection broke during the handshake"
    if isinstance(error, ssl.SSLEOFError):
        return "the peer hung up during the handshake"
    return one_line((error.reason or "TLS failed").replace("_", " ").lower())


async def default_tls() -> ssl.SSLContext:
    """Return the process's TLS context; built once, in a thread, since that takes tens of milliseconds.

    Raises:
        DownloadError: ``connect``, if the system's trust store cannot be read.
    """
    if _build_tls.cache_info().currsize:
        return _build_tls()
    try:
        return await in_thread(_build_tls_once, abandon=True)
    except (OSError, ImportError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        raise DownloadError("connect", f"the system's trust store cannot be read: {why}") from None


_building = threading.Lock()


def _build_tls_once() -> ssl.SSLContext:
    with _building:  # a dozen first downloads at once build one context
        return _build_tls()


@functools.cache
def _build_tls() -> ssl.SSLContext:
    # not create_default_context: that takes SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE from the environment
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if sys.platform == "win32":
        context.load_default_certs()
        return context
    paths = ssl.get_default_verify_paths()
    if Path(paths.openssl_cafile).is_file():
        context.load_verify_locations(cafile=paths.openssl_cafile)
    if _has_certificates(paths.openssl_capath):
        context.load_verify_locations(capath=paths.openssl_capath)
    elif not context.cert_store_stats()["x509_ca"]:
        import certifi  # noqa: PLC0415  # comes with httpx; needed only where the system has no trust store

        context.load_verify_locations(certifi.where())
    return context


def _has_certificates(directory: str) -> bool:
    with contextlib.suppress(OSError):
        return any(path.suffix == ".0" for path in Path(directory).iterdir())
    return False
