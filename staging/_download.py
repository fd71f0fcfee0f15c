"""One attachment becomes one file, or an error that says why not: hops, limits, retries, resume.

Theory of operation. A download is a few attempts at one thing: a part file that holds the first bytes of one version of
one representation. An attempt follows the redirects, judges the response before its body, and appends the body to the
part file, almost half a megabyte at a time and in a worker thread. An attempt that breaks may be followed by another,
which goes on where the part file ends if the server can promise that it is still the same version (a strong ETag, RFC
9110 sections 13.1.5 and 14.2), and otherwise begins again. At the end the bytes are counted against what was declared,
and only then does the part file get a name.

All time is kept by one cancel scope whose deadline moves: the nearer of the end of the whole download and the moment at
which the peer has been silent for too long. Waiting for our own disk does not count as the peer's silence.
"""

import email.utils
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import anyio

from staging._budget import Reservation
from staging._claims.disposition import disposition_filename, url_filename
from staging._claims.filenames import safe_name
from staging._claims.media import observe
from staging._disk.part import PartFile
from staging._disk.workspace import Workspace
from staging._errors import DownloadError, Reason, StagingError, WorkspaceError, too_large
from staging._models import Attachment, Limits, StagedFile
from staging._net.http1 import Request
from staging._net.policy import UrlPolicy, next_target
from staging._net.transport import Response, Send
from staging._net.urls import Target
from staging._text import bare_url, one_line
from staging._threads import DiskQueue, in_thread

BUFFER = 448 * 1024  # one thread hop for each; with all else, 8 downloads at once stay under 8 MB
BACKOFF = 0.25  # seconds before the first retry, doubled for each further one, give or take half
MAX_BACKOFF = 8.0
TRANSIENT = frozenset({408, 425, 429})  # and 5xx (RFC 9110 section 15, RFC 8470, RFC 6585)

_STRONG_ETAG = re.compile(rb'"[!#-~\x80-\xff]*"')  # RFC 9110 section 8.8.3; what is no tag is not sent back

_FIELDS = {b"accept": b"*/*", b"accept-encoding": b"identity", b"user-agent": b"attachment-staging"}
_OWN_FIELDS = frozenset(  # not the caller's to set
    {
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "if-range",
        "range",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4
_STATUS_REASONS: dict[int, tuple[Reason, str]] = {
    401: ("forbidden", "forbidden"),
    403: ("forbidden", "forbidden"),
    404: ("not_found", "not found"),
    410: ("not_found", "gone"),
}

_SIGNED = ("https://cdn.discordapp.com/", "https://media.discordapp.net/")

Progress = Callable[[int, int | None], None]
T = TypeVar("T")


class Terms(NamedTuple):
    """What the downloads of one stage have in common.

    Args:
        send: the one seam to the network.
        policy: what may be contacted.
        limits: the numbers.
        workspace: where the files go.
        disk: the stage's way to the disk.
    """

    send: Send
    policy: UrlPolicy
    limits: Limits
    workspace: Workspace
    disk: DiskQueue


async def download(
    attachment: Attachment, target: Target, terms: Terms, reservation: Reservation, progress: Progress
) -> StagedFile:
    """Fetch `target`, which the policy has admitted, and return the staged file; or leave nothing behind.

    Raises:
        RejectedError: if a redirect, the size or a budget is refused.
        DownloadError: if the server did not deliver.
        WorkspaceError: if the disk failed.
    """
    job = _Job(attachment, target, terms, reservation, progress)
    try:
        return await job.run()
    except BaseException as error:
        job.part.discard()  # under its final name too: nobody will hear of it
        if isinstance(error, StagingError):
            error.attempts = job.attempts
        raise


class _Clock:
    """Bounds the whole, and every silence in it, by one cancel scope whose deadline moves.

    It moves lazily: setting a timer costs ten times what reading the clock does, and a small file needs none but the
    first. So a silence is ended after the idle timeout, or up to an eighth of it later.
    """

    def __init__(self, limits: Limits) -> None:
        now = anyio.current_time()
        self._limits = limits
        self._end = now + limits.timeout
        self._waits_for_disk = False
        self._scope = anyio.CancelScope(deadline=self._patience(now))

    def _patience(self, now: float) -> float:
        return min(self._end, now + self._limits.idle_timeout * 1.125)

    @property
    def left(self) -> float:
        return self._end - anyio.current_time()

    def await_peer(self) -> None:
        """From now on the peer may be silent for the idle timeout."""
        self._waits_for_disk = False
        self._rearm()

    def await_disk(self) -> None:
        """From now on our own disk may hang for as long."""
        self._waits_for_disk = True
        self._rearm()

    def await_end(self) -> None:
        """From now on only the end counts."""
        self._scope.deadline = self._end

    def _rearm(self) -> None:
        now = anyio.current_time()
        soonest, latest = min(self._end, now + self._limits.idle_timeout), self._patience(now)
        if not soonest <= self._scope.deadline <= latest:
            self._scope.deadline = latest

    def __enter__(self) -> Self:
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        swallowed = self._scope.__exit__(kind, error, trace)
        if not self._scope.cancelled_caught:
            return swallowed
        if self.left <= 0:
            detail = f"timeout: not finished within {self._limits.timeout:g} seconds"
            raise DownloadError("timeout", detail, retryable=True) from None
        if self._waits_for_disk:
            raise WorkspaceError("storage", f"the disk hangs: {self._limits.idle_timeout:g} seconds for one write")
        detail = f"stalled: no data for {self._limits.idle_timeout:g} seconds"
        raise DownloadError("stalled", detail, retryable=True) from None


class _Version(NamedTuple):
    """What the part file holds the first bytes of: the validator, and the length of the whole."""

    etag: bytes | None
    length: int | None

    @property
    def resumable(self) -> bool:
        """Whether a server can be asked to go on with just this version (strong ETag, RFC 9110 section 8.8.3.2)."""
        return self.length is not None and self.etag is not None and _STRONG_ETAG.fullmatch(self.etag) is not None


class _Job:
    """One download under way."""

    def __init__(
        self, attachment: Attachment, target: Target, terms: Terms, reservation: Reservation, progress: Progress
    ) -> None:
        self.attempts = 0
        self.part = PartFile(terms.workspace, min_free=terms.limits.min_free_bytes)
        self._attachment = attachment
        self._target = target
        self._terms = terms
        self._limits = terms.limits
        self._reservation = reservation
        self._progress = progress
        # taken now, so that equal names are numbered in the order of input, whichever arrives first
        self._name = display_name(attachment)
        self._claimed = terms.workspace.claim(self._name)
        self._clock = _Clock(terms.limits)
        self._version = _Version(None, None)
        self._retry_after: bytes | None = None
        self._disposition: bytes | None = None

    async def run(self) -> StagedFile:
        with self._clock:
            while True:
                self.attempts += 1
                try:
                    return await self._finish(await self._attempt())
                except DownloadError as error:
                    await self._wait_or_give_up(error)

    # ── one attempt ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _attempt(self) -> memoryview:
        """Receive the whole file; return its last bytes, which are not in the part file yet."""
        response = await self._follow()
        try:
            await self._judge(response)
            return await self._receive(response)
        finally:
            await response.aclose()

    async def _follow(self) -> Response:
        """Send the request and go where it is sent, every hop judged before it is dialled; return the last response."""
        target, seen, own_origin = self._target, {self._target}, True
        while True:
            response = await self._terms.send(Request(target, self._fields(own_origin=own_origin), own_origin))
            self._clock.await_peer()
            if response.status not in _REDIRECTS:
                return response
            await response.aclose()  # its body is never read: it may be a bomb
            target = await self._next_hop(target, response, len(seen))
            if target in seen:
                raise DownloadError("redirects", "the link redirects in a circle")
            seen.add(target)
            own_origin = own_origin and target.origin == self._target.origin

    async def _next_hop(self, current: Target, response: Response, hops: int) -> Target:
        policy, location = self._terms.policy, response.field(b"location")
        if location is None:
            raise DownloadError("redirects", "the link redirects to nowhere", status=response.status)
        if hops > policy.max_redirects:
            detail = f"the link redirects more than {policy.max_redirects} times"
            raise DownloadError("redirects", detail, status=response.status)
        return await in_thread(next_target, policy, current, location)

    def _fields(self, *, own_origin: bool) -> dict[bytes, bytes]:
        fields = dict(_FIELDS)
        if own_origin and self._attachment.headers:
            claimed = {name.lower(): value for name, value in self._attachment.headers.items()}
            fields.update((n.encode(), v.encode("latin-1")) for n, v in claimed.items() if n not in _OWN_FIELDS)
        if self.part.size and self._version.resumable:
            fields[b"range"] = b"bytes=%d-" % self.part.size
            fields[b"if-range"] = self._version.etag or b""
        return fields

    # ── judging a response ───────────────────────────────────────────────────────────────────────────────────────────

    async def _judge(self, response: Response) -> None:
        """Decide from the head alone whether the body is wanted, and make the part file fit for it."""
        self._retry_after = response.field(b"retry-after")
        if response.status == 416 and self.part.size:
            await self._restart()
            raise DownloadError("interrupted", "the server cannot resume", status=416, retryable=True)
        if response.status not in {200, 206}:
            raise _status_error(response.status)
        coding = _text(response.field(b"content-encoding")).lower()
        if coding not in {"", "identity"}:
            raise DownloadError("encoding", f"the server sent a {one_line(coding, limit=40)} encoding nobody asked for")
        if response.status == 206:
            await self._judge_partial(response)
        else:
            await self._judge_whole(response)

    async def _judge_whole(self, response: Response) -> None:
        if self.part.size:
            await self._restart()
        length = response.length
        self._version = _Version(response.field(b"etag"), length)
        self._disposition = response.field(b"content-disposition")
        self._admit(length or 0)
        if length is not None:
            self._reservation.settle(length)

    async def _judge_partial(self, response: Response) -> None:
        """Accept only the very continuation that was asked for (RFC 9110 sections 14.4 and 15.3.7)."""
        if not self.part.size:
            raise DownloadError("protocol", "the server sent a part where the whole was asked for", status=206)
        length = self._version.length
        first, etag = self.part.size, response.field(b"etag")
        expected = f"bytes {first}-{length - 1}/{length}" if length is not None else None
        same = etag in {None, self._version.etag}
        if not same or _text(response.field(b"content-range")).lower() != expected:
            await self._restart()
            raise DownloadError("interrupted", "the server resumed with other bytes", status=206, retryable=True)

    async def _restart(self) -> None:
        """Forget what has come: the next bytes belong to another version, or to the beginning."""
        await self._in_thread(self.part.restart)
        self._clock.await_peer()
        self._version = _Version(None, None)

    def _admit(self, size: int) -> None:
        """Refuse what would be over a limit; reserve what is not.

        Raises:
            RejectedError: ``too_large`` or ``budget``.
        """
        if size > self._limits.max_bytes:
            raise too_large(self._limits.max_bytes, size)
        self._reservation.cover(size)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _receive(self, response: Response) -> memoryview:
        """Append the body to the part file, but for its last bytes, which are returned: naming it writes them too."""
        length = self._version.length
        room = BUFFER if length is None else min(BUFFER, max(length - self.part.size, 1))
        buffer, filled = memoryview(bytearray(room)), 0
        try:
            while count := await response.readinto(buffer[filled:]):
                filled += count
                self._count(self.part.size + filled)
                if self.part.size + filled == length:
                    continue
                if filled == room:
                    await self._in_thread(self.part.append, buffer)
                    filled = 0
                self._clock.await_peer()
        except DownloadError:
            if filled and self._version.resumable:
                await self._in_thread(self.part.append, buffer[:filled])
            raise
        self._check_size(self.part.size + filled)
        return buffer[:filled]

    def _count(self, size: int) -> None:
        length = self._version.length
        if length is None:
            if size > self._limits.max_bytes:
                raise too_large(self._limits.max_bytes)
            self._reservation.cover(size)
        self._progress(size, length)

    def _check_size(self, size: int) -> None:
        """Let no truncated body pass: as many bytes as were declared, or claimed where nothing was declared."""
        expected = self._version.length if self._version.length is not None else self._attachment.size
        if expected is not None and size != expected:
            detail = f"size mismatch: {size:,} bytes arrived where {expected:,} were declared"
            raise DownloadError("size_mismatch", detail, retryable=True)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _finish(self, unwritten: memoryview) -> StagedFile:
        """Write the rest, and give the complete file its name."""
        staged = await self._in_thread(self._write_and_commit, unwritten, self._received_name() or self._name)
        self._reservation.settle(staged.size)
        return staged

    def _received_name(self) -> str | None:
        """Return the name that the server gives to what its sender gave none (RFC 6266), if it does."""
        if self._attachment.name or self._disposition is None:
            return None
        received = disposition_filename(self._disposition)
        return safe_name(received) if received else None

    def _write_and_commit(self, unwritten: memoryview, name: str) -> StagedFile:
        claimed = name == self._name
        committed = self.part.commit(self._claimed if claimed else name, unwritten, claimed=claimed)
        return StagedFile(
            attachment=self._attachment,
            name=name,
            path=committed.path,
            size=committed.size,
            media_type=observe(committed.head, committed.tail),
        )

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        self._clock.await_disk()
        return await self._terms.disk.run(function, *args)

    async def _wait_or_give_up(self, error: DownloadError) -> None:
        """Wait until the next attempt is due.

        Raises:
            DownloadError: `error`, if there is to be none.
        """
        if not error.retryable or self.attempts > self._limits.retries:
            raise error
        if self.part.size and not self._version.resumable:
            await self._restart()
        asked = retry_after(_text(self._retry_after), time.time())
        self._retry_after = None
        delay = backoff(self.attempts, random.random()) if asked is None else asked  # noqa: S311  # spreads load
        if delay >= self._clock.left:
            if asked is None:
                raise error
            detail = f"{error.detail} and asked to wait {asked:,.0f} seconds"
            raise DownloadError(error.reason, detail, status=error.status, retryable=True)
        self._clock.await_end()
        await anyio.sleep(delay)
        self._clock.await_peer()


# ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def backoff(attempt: int, jitter: float) -> float:
    """Return the seconds to wait after the `attempt`-th try: doubled each time, spread by `jitter` in [0, 1)."""
    return float(min(BACKOFF * 2 ** (attempt - 1), MAX_BACKOFF) * (0.5 + jitter))


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110 section 10.2.3); None for none or garbage.

    Args:
        value: delta-seconds or an HTTP date.
        now: the wall clock, since the date is one.
    """
    if value.isascii() and value.isdigit():
        return float(value[:12])
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    return None


def expires_at(url: str) -> float | None:
    """Return when a signed link of Discord's CDN ends, in seconds since 1970 (`ex`, hexadecimal), or None."""
    parts = urlsplit(url) if url.startswith(_SIGNED) else None
    if parts is None:
        return None
    for value in parse_qs(parts.query).get("ex", ()):
        with suppress(ValueError):
            return float(int(value[:16], 16))
    return None


def display_name(attachment: Attachment) -> str:
    """Return a name that is safe on one line: the claimed one, else the URL's last part; of a link, the link."""
    if attachment.kind in {"url", "embed"} and not attachment.name:
        return bare_url(str(attachment.url), limit=200) or attachment.kind
    claim = attachment.name or url_filename(str(attachment.url))
    return safe_name(claim if isinstance(claim, str) else None)


def _status_error(status: int) -> DownloadError:
    transient = status in TRANSIENT or 500 <= status <= 599
    reason, words = _STATUS_REASONS.get(status, ("http_status", "the server answered"))
    detail = f"{words} (HTTP {status})" if status in _STATUS_REASONS else f"{words} HTTP {status}"
    return DownloadError(reason, detail, status=status, retryable=transient)


def _text(value: bytes | None) -> str:
    """Return a field's value as text without space around it; empty for none."""
    return (value or b"").decode("latin-1").strip()
