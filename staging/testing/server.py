"""Listen on loopback and serve what was scripted.

Read `FakeCDN` first. What a reply consists of is decided in `plan`, and sent by `wire`.
"""

import contextlib
import datetime as dt
import functools
import mimetypes
import re
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self
from urllib.parse import quote

import anyio
import anyio.from_thread

from staging._net.policy import UrlPolicy
from staging.testing.background import Background
from staging.testing.faults import Fault, Raw, Reply, Request, Script, TlsFault
from staging.testing.plan import Message, compose, parse, plan
from staging.testing.wire import GONE, Connection, TlsWire, Wire


class FakeCDN:
    """Run a hostile CDN on loopback from entry to exit.

    Entry and exit may happen in different tasks of one event loop, as in fixtures.

    On exit the listener and every connection are closed at once, whatever they were doing, and an exception of the
    body comes out as it is. A client that vanishes is no error. Unknown paths are 404; connections persist.

    Args:
        host: the host in its URLs. An IP address is also what it listens on; any other name listens on 127.0.0.1:
            ``localhost``, or a name that the test's own resolver leads there.
        port: the port; 0 for any free one.
        tls: True for TLS with a throw-away authority that `client_tls` trusts (needs `trustme`), or what is to be wrong
            with it, or a server's SSL context of your own.
        names: further hosts in `policy`; on TLS each has a certificate of its own, chosen by SNI.

    Attributes:
        host: as given.
        port: the port, once entered.
        requests: every request, in order of arrival.
        connections: how many connections were accepted so far.
        server_names: the name that each TLS handshake asked for (SNI), in order; None if it asked for none.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool | TlsFault | ssl.SSLContext = False,
        names: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.port: int = port
        self.requests: list[Request] = []
        self.connections: int = 0
        self.server_names: list[str | None] = []
        self._tls = tls
        self._names = tuple(names)
        self._scripts: dict[str, list[Script]] = {}
        self._open: set[int] = set()
        self._changed = anyio.Event()
        self._contexts: list[ssl.SSLContext] = []
        self._background: Background | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        From now on `url` and `policy` can be used. No step of this can be cancelled, so a server that has begun is
        always left again.
        """
        self._changed = anyio.Event()  # of this loop
        self._contexts = self._make_contexts()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        place = self.host if family == socket.AF_INET6 or re.fullmatch(r"[\d.]+", self.host) else "127.0.0.1"
        listener = socket.create_server((place, self.port), family=family, backlog=1024)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._background = Background(functools.partial(self._serve, listener), listener.close)
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close the listener and every connection.

        This may be done in another task of the same loop.
        """
        background, self._background = self._background, None
        if background is not None:
            try:
                await background.stop()
            except Exception:
                if exception[0] is None:  # the body's own exception comes out as it is
                    raise

    @classmethod
    @contextlib.contextmanager
    def in_thread(cls, **options: Any) -> Iterator[Self]:
        """Run a server in a thread with an event loop of its own.

        It is for tests without a loop, and for tests of other processes. Everything but the coroutines may be called as
        usual; use `call` for those and for `Hold.release`.

        Args:
            **options: as for `FakeCDN`.
        """
        with anyio.from_thread.start_blocking_portal() as portal:
            cdn = cls(**options)
            cdn._portal = portal
            with portal.wrap_async_context_manager(cdn):
                yield cdn

    _portal: anyio.from_thread.BlockingPortal | None = None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the server's thread and return its result.

        A coroutine function is run to its end.

        Args:
            function: such as ``cdn.requested`` or ``hold.release``.
            *args: its arguments.

        Raises:
            RuntimeError: if this server does not run in a thread of its own.
        """
        if not self._portal:
            raise RuntimeError("call() is for FakeCDN.in_thread(): on your own loop just call it")
        return self._portal.call(function, *args)

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        """Return the full URL of `path`.

        It is percent-encoded where it must be. Its host is `host`, or else the server's own. A full URL, as a proxy is
        asked for it, comes back as it is.
        """
        if _key(path) == path and path[:1] != "/":
            return path
        name = host or self.host
        return f"{self._scheme}://{f'[{name}]' if ':' in name else name}:{self.port}{_key(path)}"

    @property
    def policy(self) -> UrlPolicy:
        """Return a policy that admits this server, and nothing else."""
        return UrlPolicy.only(self.host, *self._names, schemes=(self._scheme,), ports=(self.port,), private=True)

    @functools.cached_property
    def client_tls(self) -> ssl.SSLContext:
        """Return a TLS context for a client of this server.

        It trusts this process's throw-away authority, and no other.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _authority().configure_trust(context)
        return context

    @property
    def open_connections(self) -> int:
        """Return how many connections are open now."""
        return len(self._open)

    def serve(self, path: str, body: bytes, *faults: Fault, **options: Any) -> str:
        """Serve `body` under `path`, every time, and return the URL.

        Args:
            path: a path, for any query; or with a query, for exactly that one; or a full URL, to play a proxy.
            body: as for `Reply`.
            *faults: as for `Reply`.
            **options: `status`, `headers`, `media_type`, `etag`, as for `Reply`.
        """
        return self.script(path, Reply(body, *faults, **options))

    def file(self, name: str, body: bytes, *faults: Fault, **options: Any) -> str:
        """Serve a file and return the URL.

        Its media type is that of its name's extension.

        Args:
            name: the last and only part of the path, percent-encoded where it must be.
            body: as for `Reply`.
            *faults: as for `Reply`.
            **options: as for `serve`.
        """
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self.serve("/" + quote(name, safe=""), body, *faults, **{"media_type": guessed, **options})

    def redirect(self, path: str, location: str | bytes, *faults: Fault, status: int = 302, body: bytes = b"") -> str:
        """Redirect `path` to `location`, and return the URL of `path`.

        Args:
            path: as for `serve`.
            location: sent as it is: absolute, relative or nonsense.
            *faults: as for `Reply`.
            status: the status code.
            body: as for `Reply`; a client has no use for it.
        """
        return self.serve(path, body, *faults, status=status, headers={"Location": location})

    def script(self, path: str, *replies: Script) -> str:
        """Answer requests for `path` with one reply after the other.

        The result is the URL. The last reply stays.

        Args:
            path: as for `serve`.
            *replies: replies, or functions that make one from the request.
        """
        self._scripts[_key(path)] = list(replies)
        return self.url(path)

    async def requested(self, path: str | None = None, *, times: int = 1) -> None:
        """Return once there were `times` requests for `path`.

        A path is as for `serve`. Without one, all requests count.
        """
        await self._until(lambda: len(self._requests_for(path)) >= times)

    async def disconnected(self, path: str | None = None) -> None:
        """Return once no connection is open on which `path` was asked for.

        Without a path, once none at all is open.
        """
        await self._until(
            lambda: not self._open & ({r.connection for r in self._requests_for(path)} if path else self._open)
        )

    def _requests_for(self, path: str | None) -> list[Request]:
        return [r for r in self.requests if path is None or _key(path) in {r.target, r.path}]

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def _scheme(self) -> str:
        return "https" if self._tls else "http"

    async def _serve(self, listener: socket.socket) -> None:
        async with anyio.create_task_group() as group:
            while True:
                try:
                    client, _ = listener.accept()
                except BlockingIOError:
                    await anyio.wait_readable(listener)
                except OSError:  # no descriptor is free, which some tests bring about
                    await anyio.sleep(0.02)
                else:
                    self.connections += 1
                    self._open.add(self.connections)
                    group.start_soon(self._handle, client, self.connections)

    async def _handle(self, client: socket.socket, number: int) -> None:
        try:
            with client, contextlib.suppress(*GONE):
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire = TlsWire(client, self._contexts[0]) if self._contexts else Wire(client)
                while self._tls == "stall":
                    await wire.receive()
                connection, keep = Connection(wire), True
                while keep:
                    message = self._answer(await connection.read_head(), number)
                    await connection.perform(plan(message))
                    keep = message.keep
                await wire.finish()
        finally:
            self._open.discard(number)
            self._notify()

    def _answer(self, head: bytes | None, number: int) -> Message:
        request = parse(head, number) if head is not None else None
        if request is None:
            return Message(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"", (), keep=False)
        self.requests.append(request)
        self._notify()
        try:
            replies = self._scripts.get(request.target) or self._scripts.get(request.path) or [_NOT_FOUND]
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            return compose(reply if isinstance(reply, Reply | Raw) else reply(request), request)
        except Exception as error:  # noqa: BLE001  # a mistake in the test's own function: shown where the test looks
            return compose(Reply(repr(error).encode(), status=500, media_type="text/plain"), request)

    def _make_contexts(self) -> list[ssl.SSLContext]:
        """Return the TLS contexts, that of `host` first.

        There are none for plain HTTP.
        """
        if isinstance(self._tls, ssl.SSLContext):
            return [self._tls]
        if self._tls in {False, "plain", "stall"}:
            return []
        contexts = {name: _server_context(name, str(self._tls)) for name in (self.host, *self._names)}

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            self.server_names.append(name)
            connection.context = contexts.get(name or "", contexts[self.host])

        contexts[self.host].sni_callback = choose
        return list(contexts.values())


_NOT_FOUND = Reply(b"not found", status=404, media_type="text/plain")


def _key(path: str) -> str:
    if path.startswith(("http://", "https://")):  # how a proxy is asked (RFC 9112, 3.2.2)
        return path
    return quote(path if path.startswith("/") else f"/{path}", safe="/?&=%:@!$'()*+,;~[]")


@functools.cache
def _authority() -> Any:
    try:
        import trustme  # noqa: PLC0415  # only tests of TLS need it
    except ImportError:
        raise RuntimeError("FakeCDN(tls=...) needs the package trustme: pip install trustme") from None
    return trustme.CA()


def _server_context(name: str, fault: str) -> ssl.SSLContext:
    authority, context = _authority(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if fault == "self_signed":
        authority = type(authority)()
        with authority.private_key_pem.tempfile() as key, authority.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)
        return context
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) if fault == "expired" else None
    subject = "wrong-host.invalid" if fault == "wrong_host" else name
    authority.issue_cert(subject, not_after=past).configure_cert(context)
    if fault == "tls1.0":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the test asked for the deprecated TLS 1.0
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # without this OpenSSL refuses TLS 1.0
    return context
