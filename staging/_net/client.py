"""A caller's own client, of httpx or httpx2, in the transport's place.

Theory of operation. The two libraries share names and shapes and no class, so nothing here imports either. A client is
recognised by its methods. Its requests are made by the class of those that it builds. Its exceptions are known by their
names in a module of that family. It dials, so it decides on addresses and connections. Everything else is done here, as
without it: redirects, limits, codings, resumption.
"""

import inspect
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from staging._errors import DownloadError, Reason, StagingError
from staging._net.http1 import Request
from staging._net.transport import Response, Send
from staging._text import one_line
from staging._threads import checkpoint, foreign, outlast

_CLOSE_SECONDS = 1.0
_FAMILY = ("httpx", "httpx2")
_MAX_DIGITS = 18  # of a length that fits 64 bits


class AsyncClient(Protocol):
    """What a client of httpx or httpx2 can do for us."""

    def build_request(self, *args: Any, **options: Any) -> Any:
        """Return a request."""

    async def send(self, *args: Any, **options: Any) -> Any:
        """Return the response to a request, its body unread."""

    async def aclose(self) -> None:
        """Close the client."""


def require_client(client: Any) -> None:
    """Raise unless `client` can take the transport's place.

    Raises:
        TypeError: if it is something else than a client of httpx or httpx2 for async code, or of their shape.
    """
    able = not isinstance(client, type) and (
        _is_of_the_family(type(client), "AsyncClient")
        or (
            callable(getattr(client, "build_request", None))
            and all(inspect.iscoroutinefunction(getattr(client, name, None)) for name in ("send", "aclose"))
        )
    )
    if not able:
        shown = one_line(repr(client), limit=80)
        raise TypeError(f"client must be an open httpx.AsyncClient; this is {shown} (one of httpx2 will do, too)")


def through(client: AsyncClient) -> Send:
    """Return a function that sends requests through a caller's client.

    It follows no redirect. The client's credentials go only to the origin that the caller named.
    """
    make = type(client.build_request("GET", "http://localhost/"))

    async def send(request: Request) -> Response:
        fields = [(b"Host", request.target.authority.encode()), *request.fields.items()]
        # not build_request: that would add the client's own fields, its cookies and a base URL
        message = make("GET", request.target.url, headers=fields)
        auth = {} if request.own_origin else {"auth": None}
        try:
            with foreign():
                return _Response(await client.send(message, stream=True, follow_redirects=False, **auth))
        except Exception as error:
            raise _translated(error) from error

    return send


class _Response:
    """A `Response` of the caller's own client."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        value = response.headers.get("content-length", "")
        framed = "transfer-encoding" in response.headers
        plain = value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS and not framed
        self.length = int(value) if plain else None
        self._response = response
        # not aiter_raw: it refuses a response that a mock transport gave its content before
        self._pieces: AsyncIterator[bytes] = aiter(response.stream)
        self._rest = memoryview(b"")

    def field(self, name: bytes, /) -> bytes | None:
        # raw: httpx decodes all fields as Latin-1 once one of them is not UTF-8
        values = [value for key, value in self._response.headers.raw if key.lower() == name]
        return b", ".join(values) if values else None

    async def readinto(self, view: memoryview) -> int:
        try:
            while not self._rest:
                with foreign():
                    self._rest = memoryview(await anext(self._pieces))
                if not self._rest:
                    await checkpoint()  # a stream of empty pieces does not keep the loop to itself
        except StopAsyncIteration:
            return 0
        except Exception as error:
            raise _translated(error) from error
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    async def aclose(self) -> None:
        await outlast(self._close, seconds=_CLOSE_SECONDS)  # it may wait, and nothing may cut it short

    async def _close(self) -> None:
        with suppress(Exception), foreign():
            await self._response.aclose()


def _is_of_the_family(kind: type, *names: str) -> bool:
    """Return whether a class of httpx or httpx2 has such a name.

    The base classes of `kind` count too.
    """
    return any(base.__name__ in names and base.__module__.partition(".")[0] in _FAMILY for base in kind.__mro__)


def _translated(error: Exception) -> StagingError:
    """Return the failure for an exception of a caller's own client.

    The words of the exception are left out, since they may hold a URL.
    """
    if isinstance(error, StagingError):
        return error  # the client has a transport that raises our errors
    kind = type(error)
    if _is_of_the_family(kind, "ConnectError", "ConnectTimeout"):
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            return DownloadError("connect", "the client cannot reach the server, or its proxy", retryable=True)
        hint = "httpx.AsyncClient(verify=...) takes an SSL context that does"
        return DownloadError("connect", "the client does not trust the server's certificate", hint=hint)
    for names, reason, words, retryable in _KINDS:
        if _is_of_the_family(kind, *names):
            return DownloadError(reason, words.format(kind=kind.__name__), retryable=retryable)
    hint = "is it an open httpx.AsyncClient?"
    return DownloadError("interrupted", f"the client failed ({kind.__name__})", hint=hint)


_KINDS: tuple[tuple[tuple[str, ...], Reason, str, bool], ...] = (
    (("ProxyError",), "connect", "the client's proxy refused the connection", True),
    (("TimeoutException",), "stalled", "stalled: the client gave up waiting", True),
    (
        ("UnsupportedProtocol", "LocalProtocolError", "InvalidURL"),
        "invalid",
        "the client refused the request ({kind})",
        False,
    ),
    (("TransportError",), "interrupted", "the connection broke ({kind})", True),
)
