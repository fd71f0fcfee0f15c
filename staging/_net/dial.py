"""From an origin to a connected stream: resolve, judge every address, connect, agree on TLS.

Theory of operation. A host name is resolved once, and the addresses that are judged are the addresses that are dialled.
Between check and connect there is no second look-up that an attacker's name server could answer differently (DNS
rebinding). If a single answer is not admitted, the host is refused: a name that points at both worlds is an attack or a
mistake. Downloads that dial one name at the same time share one look-up. The addresses are then tried as RFC 8305 has
it (happy eyeballs). Families alternate, the next attempt starts when one has failed or a quarter of a second has
passed, and the first to connect wins. Host header, SNI and certificate stay with the name.
"""

import copy
import os
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any, NamedTuple

import anyio

from staging._errors import DownloadError
from staging._net.policy import UrlPolicy
from staging._net.stream import Stream, TlsStream
from staging._net.tls import default_tls, distrust, tls_fault
from staging._net.urls import Origin
from staging._threads import in_thread

CONNECT_TIMEOUT = 10.0  # seconds for DNS, TCP and TLS together
_ATTEMPT_DELAY = 0.25  # RFC 8305 section 5
_MAX_ADDRESSES = 16  # a name with 200 answers does not buy 200 attempts


class Address(NamedTuple):
    """One vetted answer, as the socket module wants it."""

    family: socket.AddressFamily
    target: tuple[Any, ...]


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


_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


def _unused_proxy() -> str:
    """Return what somebody behind a proxy needs to read; that is all the environment is ever asked for (pitfall 9)."""
    name = next((name for name in _PROXIES if os.environ.get(name)), None)
    return f"; {name} is set and not used: give client=httpx.AsyncClient(proxy=...)" if name else ""


async def _secure(sock: socket.socket, origin: Origin, context: ssl.SSLContext) -> Stream:
    stream = Stream(sock, origin)
    try:
        stream = secure = TlsStream(sock, origin, context)
        await secure.handshake()
    except ssl.SSLCertVerificationError as error:
        stream.close()
        raise DownloadError("connect", distrust(origin, error)) from None
    except OSError as error:
        stream.close()
        broken = not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError)
        detail = f"no secure connection to {origin}: {tls_fault(error)}"
        raise DownloadError("connect", detail, retryable=broken) from None
    except BaseException:
        stream.close()
        raise
    return stream
