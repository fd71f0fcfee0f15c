"""Connect to an origin, at an address that was judged.

Theory of operation. A host name is resolved once, and the addresses that are judged are the addresses that are dialled.
Between check and connect there is no second look-up that an attacker's name server could answer differently (DNS
rebinding). If a single answer is not admitted, the host is refused. A name with public and private addresses is an
attack or a mistake. Downloads that dial one name at the same time share one look-up. The addresses are then tried as
RFC 8305 has it (happy eyeballs). Families alternate, the next attempt starts when one has failed or a quarter of a
second has passed, and the first to connect wins. Host header, SNI and certificate stay with the name.
"""

import copy
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any, NamedTuple, TypeVar

import anyio

from staging._errors import DownloadError, StagingError, WorkspaceError
from staging._net.descriptors import exhausted
from staging._net.policy import UrlPolicy
from staging._net.stream import Stream, TlsStream
from staging._net.tls import default_tls, distrust, tls_fault
from staging._net.urls import Origin
from staging._threads import in_thread, waker

CONNECT_TIMEOUT = 10.0  # seconds for DNS, TCP and TLS together
_ATTEMPT_DELAY = 0.25  # RFC 8305 section 5
MAX_LOOK_UPS = 64  # threads at once; a name server that hangs holds one for half a minute
_MAX_ADDRESSES = 16  # a name with 200 answers gets no more attempts

T = TypeVar("T")


class Address(NamedTuple):
    """One vetted answer, as the socket module wants it."""

    family: socket.AddressFamily
    target: tuple[Any, ...]


async def dial(
    origin: Origin,
    policy: UrlPolicy,
    tls: ssl.SSLContext | None,
    resolver: "Resolver",
    on_step: Callable[[str], None] = lambda _: None,
) -> Stream:
    """Connect to `origin` at an address that `policy` admits, within `CONNECT_TIMEOUT`.

    Args:
        origin: what to connect to.
        policy: judges every address.
        tls: trust for https; None: the system's.
        resolver: looks the name up.
        on_step: told in words what is waited for now.

    Raises:
        RejectedError: if any address of the host is not admitted; no socket was opened.
        DownloadError: ``connect``, if the name does not resolve, no host answers, or TLS cannot be trusted or set up.
        WorkspaceError: ``storage``, if there is no descriptor or thread for it.
    """
    doing = f"resolve the name {origin}"
    on_step(f"resolving the name {origin}")
    try:
        with anyio.fail_after(CONNECT_TIMEOUT):
            addresses = vet(await resolver.addresses(origin), policy)
            doing = f"connect to {origin}"
            on_step(f"connecting to {origin}")
            context = (tls or await default_tls()) if origin.scheme == "https" else None
            sock = await connect(addresses, origin)
            stream = Stream(sock, origin) if context is None else await _secure(sock, origin, context)
    except TimeoutError:
        detail = f"could not {doing} within {CONNECT_TIMEOUT:g} seconds"
        raise _unconnected(origin, detail, retryable=True, limit=CONNECT_TIMEOUT) from None
    on_step("")
    return stream


def look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Ask the system's resolver, and block.

    This is the one place where a name becomes addresses.
    """
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class _Question:
    """A look-up under way, with its answer or its error.

    After a cancellation it has neither.
    """

    __slots__ = ("answer", "ended", "error")

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.answer: Sequence[Address] | None = None
        self.error: DownloadError | None = None


class Resolver:
    """Looks a name up once for all simultaneous callers."""

    def __init__(self) -> None:
        self._questions: dict[Origin, _Question] = {}
        self._threads = _LookUpThreads()

    async def addresses(self, origin: Origin) -> Sequence[Address]:
        """Return all addresses of the origin's host, families alternating.

        Nothing is kept for later calls.

        Raises:
            DownloadError: ``connect``, if the name does not resolve.
            WorkspaceError: ``storage``, if there is no descriptor or thread for the look-up.
        """
        while (question := self._questions.get(origin)) is not None:
            await question.ended.wait()
            if question.error is not None:
                raise copy.copy(question.error)  # an error belongs to one download, which counts its attempts on it
            if question.answer is not None:
                return question.answer
        question = self._questions[origin] = _Question()
        try:
            question.answer = await self._resolve(origin)
        except DownloadError as error:
            question.error = copy.copy(error)
            raise
        finally:
            del self._questions[origin]
            question.ended.set()
        return question.answer

    async def _resolve(self, origin: Origin) -> list[Address]:
        """Return all addresses of the origin's host, families alternating (RFC 8305 section 4)."""
        try:
            families: dict[socket.AddressFamily, list[Address]] = {}
            for address in await self._threads.run(_looked_up, origin):
                families.setdefault(address.family, []).append(address)
        except StagingError:
            raise
        except socket.gaierror as error:
            if short := exhausted(error):
                raise short from None
            passing = error.errno == socket.EAI_AGAIN
            what = "cannot be resolved just now" if passing else "does not exist"
            raise _unconnected(origin, f"the name {origin} {what}", retryable=passing) from None
        except Exception as error:  # noqa: BLE001  # a resolver of another library may raise anything
            fault = f"the name {origin} cannot be resolved"
            raise exhausted(error) or _unconnected(origin, fault, retryable=False) from None
        return [address for address in chain.from_iterable(zip_longest(*families.values())) if address]


class _LookUpThreads:
    """Threads for look-ups, at most `MAX_LOOK_UPS` at once.

    Threads whose callers were cancelled count too. A look-up cannot be cancelled, and a name server may hang for half a
    minute. So a cancelled caller leaves its thread to end by itself, and the place is free when it has.
    """

    def __init__(self) -> None:
        self._running = 0
        self._ended = anyio.Event()

    async def run(self, function: Callable[[Origin], T], origin: Origin) -> T:
        """Return ``function(origin)``, run in a thread when there is a place for one."""
        while self._running >= MAX_LOOK_UPS:
            await self._ended.wait()
        wake, begun = waker(), False

        def work() -> T:
            nonlocal begun
            begun = True
            try:
                return function(origin)
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    wake(self._leave)

        self._running += 1
        try:
            return await in_thread(work, abandon=True)
        except WorkspaceError:
            if not begun:  # there is no thread
                self._leave()
            raise

    def _leave(self) -> None:
        self._running -= 1
        ended, self._ended = self._ended, anyio.Event()
        ended.set()


def _looked_up(origin: Origin) -> list[Address]:
    """Ask the resolver from a thread, and return its answers if they are well-formed.

    Otherwise it raises ValueError, TypeError or IndexError.
    """
    try:
        answers = look_up(origin.host, origin.port)
    except OSError as error:
        raise exhausted(error) or error from None
    found = [Address(family, target) for family, _, _, _, target in answers]
    for family, target in found:
        if family not in {socket.AF_INET, socket.AF_INET6} or not 0 < int(target[1]) < 65536:
            raise ValueError("not an internet address")
        ip_address(str(target[0]).partition("%")[0])  # the policy judges the zone
    return found


def vet(addresses: Sequence[Address], policy: UrlPolicy) -> Sequence[Address]:
    """Return the addresses to dial, if every one is admitted.

    A host with one refused address is refused.

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
    """Return a socket connected to the first address that answers (RFC 8305)."""
    if len(addresses) == 1:
        try:
            return await _attempt(addresses[0])
        except OSError as error:
            raise _unreachable(origin, [error]) from None
    race = _Race()
    try:
        await race.run(addresses)
    except BaseException:
        race.close()
        raise
    if race.winner is None:
        raise _unreachable(origin, race.errors)
    return race.winner


class _Race:
    """Attempts at several addresses, ended by the first success."""

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


def _unreachable(origin: Origin, errors: Sequence[OSError]) -> StagingError:
    if failure := next(filter(None, map(exhausted, errors)), None):
        return failure
    refused = all(isinstance(error, ConnectionRefusedError) for error in errors)
    why = "refused the connection" if refused else "cannot be reached"
    return _unconnected(origin, f"{origin} {why}", retryable=True)


_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


def _unconnected(origin: Origin, detail: str, *, retryable: bool, limit: float | None = None) -> DownloadError:
    """Return the error, with what a user behind a proxy needs to read."""
    name = next((name for name in _PROXIES if os.environ.get(name)), None)
    hint = f"{name} is set and not used: give client=httpx.AsyncClient(proxy=...)" if name else ""
    return DownloadError("connect", detail, hint=hint, host=origin.host, retryable=retryable, limit=limit)


async def _secure(sock: socket.socket, origin: Origin, context: ssl.SSLContext) -> Stream:
    """Return the stream after a TLS handshake, or close the socket."""
    stream = Stream(sock, origin)
    try:
        stream = secure = TlsStream(sock, origin, context)
        await secure.handshake()
    except BaseException as error:
        stream.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            raise distrust(origin, error) from None
        if isinstance(error, OSError | ValueError):  # ValueError: OpenSSL takes no such name
            broken = isinstance(error, OSError) and (
                not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError)
            )
            detail = f"no secure connection to {origin}: {tls_fault(error)}"
            raise DownloadError("connect", detail, host=origin.host, retryable=broken) from None
        raise
    return stream
