"""Make one attachment one file, or say why not.

Theory of operation. A download is a few attempts to fill one part file. It holds the first bytes of one version of one
representation. An attempt follows the redirects, judges the response before its body, and appends the body to the part
file. That is done in a worker thread, almost half a megabyte at a time. An attempt that breaks may be followed by
another. It goes on where the part file ends if the server can promise that the version is still the same (a strong
ETag, RFC 9110 sections 13.1.5 and 14.2). Otherwise it begins again. At the end the bytes are counted against what was
declared, and only then does the part file get a name.

A clock keeps the time limits. It is told what is waited for, since our own disk's time does not count as the peer's
silence.
"""

import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

import anyio

from staging._claims.disposition import disposition_filename, url_filename
from staging._claims.filenames import safe_name, with_extension
from staging._claims.media import HEAD_BYTES, TAIL_BYTES, observe, wants_tail
from staging._claims.substitution import is_no_empty_file, substituted
from staging._clock import Clock
from staging._disk.part import PartFile
from staging._disk.workspace import Workspace
from staging._errors import DownloadError, StagingError, WorkspaceError, too_large
from staging._models import Attachment, Limits, StagedFile
from staging._net.answers import (
    REDIRECTS,
    WHOLE,
    Version,
    coded,
    codings,
    is_coded_file,
    retry_after,
    status_error,
    text,
)
from staging._net.http1 import Request
from staging._net.policy import UrlPolicy, next_target
from staging._net.transport import Response, Send
from staging._net.urls import Target
from staging._text import bare_url
from staging._threads import DiskQueue, in_thread
from staging._turns import Turn

BUFFER = 448 * 1024  # one trip to the thread for each; with all else, 8 downloads at once stay under 8 MB
BACKOFF = 0.25  # seconds before the first retry, doubled for each further one, give or take half
MAX_BACKOFF = 8.0

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

Progress = Callable[[int, int | None], None]
T = TypeVar("T")


class Terms(NamedTuple):
    """What the downloads of one stage have in common.

    Args:
        send: the one way to the network.
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
    attachment: Attachment, target: Target, terms: Terms, turn: Turn, clock: Clock, *, progress: Progress
) -> StagedFile:
    """Fetch `target`, and return the staged file or leave nothing.

    The policy has admitted `target` already.

    Raises:
        RejectedError: if a redirect, the size or a budget is refused.
        DownloadError: if the server did not deliver.
        WorkspaceError: if the disk failed.
    """
    transfer = _Transfer(attachment, target, terms, turn, clock, progress=progress)
    clock.start(turn.reservation)
    try:
        while True:
            transfer.attempts += 1
            try:
                return await transfer.attempt()
            except DownloadError as error:
                await transfer.wait_or_give_up(error)
    except BaseException as error:
        if isinstance(ended := clock.error or error, StagingError):
            ended.attempts = transfer.attempts
        await delete(transfer.part, error)  # under its final name too: no outcome will name it
        raise
    finally:
        clock.stop()


async def delete(part: PartFile, why: BaseException | None = None) -> None:
    """Delete a part file that is given up, even if the caller is cancelled.

    A thread does it if the file is large. To free 300 MB would hold up the event loop for 30 ms.

    Args:
        part: the part file.
        why: what is being raised.
    """
    if part.size > BUFFER and not isinstance(why, GeneratorExit):  # a coroutine that is thrown away cannot wait
        with suppress(WorkspaceError):  # no further thread can be started
            await in_thread(part.discard)
    part.discard()


class _Transfer:
    """One download under way."""

    def __init__(
        self, attachment: Attachment, target: Target, terms: Terms, turn: Turn, clock: Clock, *, progress: Progress
    ) -> None:
        self.attempts = 0
        self.clock = clock
        self._attachment = attachment
        self._target = target
        self._terms = terms
        self._turn = turn
        self._progress = progress
        self._name = display_name(attachment)
        self.part = PartFile(terms.workspace, self._name, min_free=terms.limits.min_free_bytes)
        self._version = Version()
        self._retry_after: bytes | None = None

    # ── one attempt ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def attempt(self) -> StagedFile:
        """Follow the link, receive the file, and name it."""
        target, seen, own_origin = self._target, [self._target], True
        while True:
            fields = self._fields(own_origin=own_origin)
            response = await self._terms.send(Request(target, fields, own_origin, self.clock.await_peer))
            try:
                self.clock.await_peer()
                if response.status not in REDIRECTS:
                    await self._judge(response)
                    unwritten = await self._receive(response)
                    break
            finally:
                await response.aclose()  # the body of a redirect is never read, since it may be endless
            target = await self._redirected(target, response, len(seen))
            if target in seen:
                raise DownloadError("redirects", "the link redirects in a circle")
            seen.append(target)
            own_origin = own_origin and target.origin == self._target.origin
        staged = await self._on_disk(self._complete, unwritten)
        self._turn.reservation.finish(staged.size)
        return staged

    async def _redirected(self, current: Target, response: Response, followed: int) -> Target:
        """Return where a redirect leads, judged before it is dialled."""
        policy, location = self._terms.policy, response.field(b"location")
        if location is None:
            raise DownloadError("redirects", "the link redirects to nowhere", status=response.status)
        if followed > policy.max_redirects:
            detail = f"the link redirects more than {policy.max_redirects} times"
            raise DownloadError("redirects", detail, status=response.status, limit=policy.max_redirects)
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
        """Decide from the head alone whether the body is wanted.

        The part file is restarted if the body begins at the first byte.
        """
        if response.status == 416 and self.part.size:
            await self._restart()
            raise DownloadError("interrupted", "the server cannot resume", status=416, retryable=True)
        if response.status not in WHOLE and response.status != 206:
            self._retry_after = response.field(b"retry-after")
            raise status_error(response.status)
        if response.status == 206:
            await self._judge_partial(response)
            return
        if self.part.size:
            await self._restart()
        length = response.length
        applied = codings(response.field(b"content-encoding"))
        version = Version(response.field(b"etag"), length, response.field(b"content-disposition"), applied)
        self._version = version
        if self._codes_nothing(applied):
            self._version = version._replace(codings=())
        elif applied and (self._attachment.size is None or length not in {None, self._attachment.size}):
            raise coded(applied)
        self._admit(length or 0)

    def _codes_nothing(self, applied: tuple[str, ...]) -> bool:
        """Tell whether codings are those of the file itself, such as gzip of a .gz file."""
        return bool(applied) and is_coded_file(self._received_name() or self._name, applied)

    async def _judge_partial(self, response: Response) -> None:
        """Refuse a partial response unless it is the continuation asked for.

        See RFC 9110 sections 14.4 and 15.3.7.
        """
        if not self.part.size:
            raise DownloadError("protocol", "the server sent a part where the whole was asked for", status=206)
        length = self._version.length
        first, etag = self.part.size, response.field(b"etag")
        expected = f"bytes {first}-{length - 1}/{length}" if length is not None else None
        same = etag in {None, self._version.etag}
        if not same or text(response.field(b"content-range")).lower() != expected:
            await self._restart()
            raise DownloadError("interrupted", "the server resumed with other bytes", status=206, retryable=True)
        applied = codings(response.field(b"content-encoding"))
        if applied and applied != self._version.codings and not self._codes_nothing(applied):
            raise coded(applied)

    async def _restart(self) -> None:
        """Forget what has come, and begin at the first byte."""
        await self._on_disk(self.part.restart)
        self._turn.reservation.settle(0)
        self.clock.await_peer()
        self._version = Version()

    def _admit(self, size: int) -> None:
        """Raise if `size` bytes would be over a limit.

        Raises:
            RejectedError: ``too_large`` or ``budget``.
        """
        if size > self._terms.limits.max_bytes:
            raise too_large(self._terms.limits.max_bytes, size)
        self._turn.reservation.admit(size)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _receive(self, response: Response) -> memoryview:
        """Append the body to the part file, and return the rest.

        The rest is what was received last, and is not written yet. The size must be the declared one or, where there is
        none, the claimed one. An empty body is refused if the attachment claims some bytes, or a type that an empty
        file cannot have.
        """
        length = self._version.length
        room = BUFFER if length is None else min(BUFFER, max(length - self.part.size, 1))
        buffer, filled, surplus = memoryview(bytearray(room)), 0, memoryview(bytearray(1))
        try:
            while count := await response.readinto(buffer[filled:] or surplus):
                filled += count
                self._count(self.part.size + filled)
                if self._turn.lent:
                    self.clock.await_end()
                    await self._turn.retake()
                if self.part.size + filled == length:
                    continue
                if filled == room:
                    await self._on_disk(self.part.append, buffer)
                    filled = 0
                self.clock.await_peer()
        except DownloadError:
            # not the last byte too: no server answers a request for what follows it
            if filled and self._version.resumable and self.part.size + filled < (length or 0):
                await self._on_disk(self.part.append, buffer[:filled])
            raise
        size, claimed = self.part.size + filled, self._attachment.size
        expected = claimed if length is None else length
        if self._version.codings and size != claimed:
            raise coded(self._version.codings)
        if expected is not None and size != expected:
            raise mismatch(size, expected)
        if not size and (claimed or (claimed is None and is_no_empty_file(self._attachment))):
            wanted = f"{claimed:,} bytes were claimed" if claimed else "a file was meant"
            raise DownloadError("size_mismatch", f"empty: nothing arrived where {wanted}", size=0, limit=claimed)
        return buffer[:filled]

    def _count(self, size: int) -> None:
        length = self._version.length
        if length is None and size > self._terms.limits.max_bytes:
            raise too_large(self._terms.limits.max_bytes)
        if length is not None and size > length:  # the framing brings more, perhaps without end
            raise mismatch(size, length)
        self._turn.reservation.cover(size)
        self._progress(size, length)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _received_name(self) -> str | None:
        """Return the server's name for an attachment without one (RFC 6266)."""
        if self._attachment.name or self._version.disposition is None:
            return None
        received = disposition_filename(self._version.disposition)
        return safe_name(received) if received else None

    def _complete(self, unwritten: memoryview) -> StagedFile:
        """Write the rest, judge what came, and give the complete file its name."""
        if self.part.size:
            self.part.append(unwritten)
            unwritten = unwritten[:0]
            head, tail = self.part.ends()
        else:
            head = bytes(unwritten[:HEAD_BYTES])
            tail = bytes(unwritten[-TAIL_BYTES:]) if wants_tail(head) else b""
        observed, size = observe(head, tail), self.part.size + len(unwritten)
        attachment, name = self._attachment, self._received_name() or self._name
        if substituted(head, observed, size, media_type=attachment.media_type, name=name, claimed=attachment.size):
            raise DownloadError("substituted", "a web page came instead of the file")
        name = with_extension(name, observed)
        path = self.part.commit(name, unwritten)
        return StagedFile(attachment=attachment, name=name, path=path, size=size, media_type=observed)

    def _on_disk(self, function: Callable[..., T], *args: object) -> Awaitable[T]:
        self.clock.await_disk()
        return self._terms.disk.run(function, *args)

    async def wait_or_give_up(self, error: DownloadError) -> None:
        """Wait until the next attempt is due.

        Raises:
            DownloadError: `error`, if there is to be none.
        """
        if not error.retryable or self.attempts > self._terms.limits.retries:
            raise error
        if self.part.size and not self._version.resumable:
            await self._restart()
        asked = retry_after(text(self._retry_after), time.time())
        self._retry_after = None
        delay = backoff(self.attempts) if asked is None else asked
        if delay >= self.clock.left:
            if asked is None:
                raise error
            detail = f"{error.detail} and asked to wait {asked:,.0f} seconds"
            raise DownloadError(error.reason, detail, status=error.status, limit=asked, retryable=True)
        self.clock.await_end()
        await anyio.sleep(delay)
        self.clock.await_peer()


def mismatch(size: int, expected: int) -> DownloadError:
    """Return the error for a body of another size than declared."""
    detail = f"size mismatch: {size:,} bytes arrived where {expected:,} were declared"
    return DownloadError("size_mismatch", detail, size=size, limit=expected)


def backoff(attempt: int) -> float:
    """Return the seconds to wait after an attempt.

    Chance spreads them, so that clients that failed together do not ask again together.
    """
    return min(BACKOFF * 2.0 ** (attempt - 1), MAX_BACKOFF) * (0.5 + os.urandom(1)[0] / 256)


def display_name(attachment: Attachment) -> str:
    """Return a name for an attachment, safe on one line.

    It is the claimed name or the last part of the URL.
    """
    if attachment.kind in {"url", "embed"} and not attachment.name:
        return bare_url(str(attachment.url), limit=200) or attachment.kind
    claim = attachment.name or url_filename(str(attachment.url))
    return safe_name(claim if isinstance(claim, str) else None)
