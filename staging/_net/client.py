"""httpx on either side of the seam: a caller's own client in place of our transport, our transport in a client.

Imported only by who has a client: nothing else in the house needs httpx at run time but the parser of odd URLs.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import anyio
import anyio.lowlevel
import httpx

from staging._errors import DownloadError, StagingError
from staging._net.http1 import Request
from staging._net.stream import CHUNK
from staging._net.transport import Response, Send, Transport
from staging._net.urls import target_of
from staging._text import one_line

_CLOSE_SECONDS = 1.0


def through(client: httpx.AsyncClient) -> Send:
    """Return the way through a caller's client: unread, unfollowed, and without its credentials on other origins."""

    async def send(request: Request) -> Response:
        # not build_request: that would add the client's own fields, its cookies and a base URL
        message = httpx.Request("GET", request.target.url, headers=_headers(request))
        auth = httpx.USE_CLIENT_DEFAULT if request.own_origin else None
        try:
            return _Response(await client.send(message, stream=True, follow_redirects=False, auth=auth))
        except Exception as error:
            raise _translated(error) from error

    return send


def _headers(request: Request) -> list[tuple[bytes, bytes]]:
    return [(b"Host", request.target.authority.encode()), *request.fields.items()]


class _Response:
    """A `Response` of somebody else's transport."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.length = _length(response)
        self._response = response
        # not aiter_raw: it refuses a response that a mock transport gave its content before
        self._pieces: AsyncIterator[bytes] = aiter(cast("httpx.AsyncByteStream", response.stream))
        self._rest = memoryview(b"")

    def field(self, name: bytes) -> bytes | None:
        # raw: httpx decodes all fields as Latin-1 once one of them is not UTF-8
        values = [value for key, value in self._response.headers.raw if key.lower() == name]
        return b", ".join(values) if values else None

    async def readinto(self, view: memoryview) -> int:
        try:
            while not self._rest:
                self._rest = memoryview(await anext(self._pieces))
        except StopAsyncIteration:
            return 0
        except Exception as error:
            raise _translated(error) from error
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    async def aclose(self) -> None:
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True), suppress(Exception):  # it may wait, or fail, at this
            await self._response.aclose()


def _length(response: httpx.Response) -> int | None:
    value = response.headers.get("content-length", "")
    framed = "transfer-encoding" in response.headers
    return int(value) if value.isascii() and value.isdigit() and not framed else None


def _translated(error: Exception) -> StagingError:
    """Say what a caller's own client ran into; its words may hold a URL, so only the kind is told."""
    if isinstance(error, StagingError):
        return error  # the client was given a transport of ours
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return _unreached(error)
    if isinstance(error, httpx.TimeoutException):
        return DownloadError("stalled", "stalled: the client gave up waiting", retryable=True)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL):
        return DownloadError("invalid", f"the client refused the request ({type(error).__name__})")
    if isinstance(error, httpx.TransportError):
        return DownloadError("interrupted", f"the connection broke ({type(error).__name__})", retryable=True)
    detail = f"the client failed ({type(error).__name__}); is it an open httpx.AsyncClient?"
    return DownloadError("interrupted", detail, retryable=True)


def _unreached(error: Exception) -> DownloadError:
    if isinstance(error, httpx.ProxyError):
        return DownloadError("connect", "the client's proxy refused the connection", retryable=True)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return DownloadError("connect", "the client cannot reach the server, or its proxy", retryable=True)
    hint = "httpx.AsyncClient(verify=...) takes an SSL context that does"
    return DownloadError("connect", f"the client does not trust the server's certificate; {hint}")


class PinnedTransport(httpx.AsyncBaseTransport):
    """Our transport for an `httpx.AsyncClient`: GET only, dials vetted addresses alone, never decodes a body.

    Args:
        transport: is closed with the client.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return the response with its body unread.

        Raises:
            RejectedError: if the host resolves to an address that is not admitted.
            DownloadError: as `Transport.send`.
        """
        if request.method != "GET":
            raise DownloadError("invalid", f"the request cannot be sent: {one_line(request.method)} is not GET")
        fields = {name.lower(): value for name, value in request.headers.raw if name.lower() != b"host"}
        response = await self._transport.send(Request(target_of(request.url), fields))
        headers = [*response.fields.items()]
        return httpx.Response(response.status, headers=headers, stream=_Body(response), request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


class _Body(httpx.AsyncByteStream):
    """A body of ours in pieces."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        view = memoryview(bytearray(CHUNK))
        while count := await self._response.readinto(view):
            yield bytes(view[:count])
            await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await self._response.aclose()
