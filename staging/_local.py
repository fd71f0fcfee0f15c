"""Stage attachments that need no network.

They are bytes, ``data:`` URLs, open files, uploads and files of this machine.

Theory of operation. It is a download without a server: the same limits, names, types and outcomes. Everything that may
block runs in a thread. An object's own `read` gets a separate thread, since it may hang longer than a disk does. A
path is opened, copied and closed by one function in one thread, so no descriptor can be lost between the steps. A copy
that is given up ends with its next piece, because the part file takes no more.
"""

import inspect
import io
import os
import re
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import anyio

from staging._claims import data_urls
from staging._claims.filenames import with_extension
from staging._claims.intake import BYTES, path_of, reader_of
from staging._claims.media import observe
from staging._claims.substitution import is_no_empty_file
from staging._disk.errors import storage_error
from staging._disk.moving import open_regular
from staging._disk.part import PartFile
from staging._download import BUFFER, Progress, Terms, delete, display_name
from staging._errors import DownloadError, RejectedError, StagingError, WorkspaceError, too_large
from staging._models import Attachment, StagedFile
from staging._text import is_data_url
from staging._threads import foreign, in_thread
from staging._turns import Turn

_NO_NETWORK = re.compile(r"\s*\Z|data:", re.IGNORECASE)
_LONG = 100_000  # characters of a URL; to hash many megabytes takes milliseconds
_PIECE = 8 * 1_048_576  # bytes that are copied at once


def is_local(attachment: Attachment) -> bool:
    """Tell whether an attachment needs no network.

    Its bytes are here already, or come from an object of the caller's.
    """
    return attachment.data is not None or _NO_NETWORK.match(attachment.url) is not None


def is_stream(attachment: Attachment) -> bool:
    """Tell whether an attachment can be read only once."""
    source = attachment.source
    known = attachment.data is not None or attachment.url.strip() or isinstance(source, (*BYTES, os.PathLike))
    return not known


def identity(attachment: Attachment) -> Hashable:
    """Return a key that is equal for attachments of the same file.

    A stream can only be read once, so the same object is read once.
    """
    if attachment.data is not None:
        return id(attachment.data), attachment.name  # a constant may have many names
    if attachment.url.strip():
        return attachment.url if len(attachment.url) < _LONG else id(attachment.url)
    return path_of(attachment) or id(attachment.source)


async def stage_local(attachment: Attachment, terms: Terms, turn: Turn, progress: Progress) -> StagedFile:
    """Stage an attachment that `is_local`, or leave nothing behind.

    Raises:
        RejectedError: if it is over a limit or a budget, or cannot be read as bytes.
        DownloadError: if it ends too early, or is not there in time.
        WorkspaceError: if the disk failed.
    """
    copy, seconds = _Copy(attachment, terms, turn, progress), terms.limits.timeout
    try:
        with anyio.move_on_after(seconds) as scope:
            turn.reservation.give_up = scope.cancel
            return await copy.run()
    except BaseException as error:
        await delete(copy.part, error)  # under its final name too: no outcome will name it
        if isinstance(error, StagingError) or not isinstance(error, Exception):
            raise
        detail = f"it cannot be read to its end ({type(error).__name__})"  # a caller's object may raise anything
        raise DownloadError("interrupted", detail) from error
    await delete(copy.part)
    if turn.reservation.refused is not None:
        raise turn.reservation.refused
    raise DownloadError("timeout", f"timeout: not finished within {seconds:g} seconds", limit=seconds)


class _Copy:
    """One attachment on its way to a file."""

    def __init__(self, attachment: Attachment, terms: Terms, turn: Turn, progress: Progress) -> None:
        self._attachment = attachment
        self._terms = terms
        self._turn = turn
        self._progress = progress
        self._name = display_name(attachment)
        self.part = PartFile(terms.workspace, self._name, min_free=terms.limits.min_free_bytes)

    async def run(self) -> StagedFile:
        attachment = self._attachment
        if attachment.data is not None:
            await self._append(attachment.data)
        elif is_data_url(attachment.url):
            await self._append(await in_thread(data_urls.decode, attachment.url, self._terms.limits.max_bytes))
        elif isinstance(attachment.source, BYTES):
            self._admit(memoryview(attachment.source).nbytes)
            await self._append(await in_thread(bytes, attachment.source))
        elif path := path_of(attachment):
            size = await in_thread(_size_of, path, abandon=True)
            self._admit(size)
            self._turn.reservation.cover(size)
            await in_thread(self._copy, path, size, abandon=True)
            self._progress(size, size)
        else:
            await self._read_all(reader_of(attachment.source))
        expected = attachment.size
        if expected is not None and self.part.size != expected:
            detail = f"size mismatch: {self.part.size:,} bytes are there where {expected:,} were declared"
            raise DownloadError("size_mismatch", detail, size=self.part.size)
        if not self.part.size and expected is None and is_no_empty_file(attachment):
            raise DownloadError("size_mismatch", "empty: there is nothing in it where a file was meant", size=0)
        staged = await self._terms.disk.run(self._commit)
        self._turn.reservation.finish(staged.size)
        return staged

    def _admit(self, size: int) -> None:
        """Refuse what would be over a limit.

        Raises:
            RejectedError: ``too_large`` or ``budget``.
        """
        if size > self._terms.limits.max_bytes:
            raise too_large(self._terms.limits.max_bytes, size)
        self._turn.reservation.admit(size)

    async def _append(self, data: bytes) -> None:
        size = self.part.size + len(data)
        self._admit(size)
        self._turn.reservation.cover(size)
        if self._turn.lent:
            await self._turn.retake()
        await self._terms.disk.run(self.part.append, data)
        self._progress(size, self._attachment.size)

    # ── a file of this machine ───────────────────────────────────────────────────────────────────────────────────────

    def _copy(self, path: str, size: int) -> None:
        descriptor = _open(path)
        try:
            while self.part.size < size and self.part.copy_from(descriptor, min(_PIECE, size - self.part.size)):
                pass
            now = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if not self.part.size == size == now:
            detail = f"the file changed while it was copied: {size:,} bytes before, {now:,} after"
            raise DownloadError("size_mismatch", detail, size=now)

    # ── an object with `read` ────────────────────────────────────────────────────────────────────────────────────────

    async def _read_all(self, reader: Any) -> None:
        read, sized = _reading(reader)
        await self._append(b"")  # makes the file first: if no descriptor is free, nothing has been read and lost yet
        while True:
            wanted = min(BUFFER, self._terms.limits.max_bytes - self.part.size + 1)
            data = await self._read(read, (wanted,) if sized else ())
            if data:
                await self._append(data)
            if not data or not sized:
                break
        if self.part.size or self._attachment.size is not None:
            return
        tell = getattr(reader, "tell", None)
        try:
            place = await _called(tell, ()) if callable(tell) else 0
        except (OSError, ValueError):  # of a stream that has no places
            return
        if isinstance(place, int) and place > 0:
            hint = "call seek(0) before it is given"
            raise RejectedError("invalid", "nothing is left to read: the file is at its end", hint=hint)

    async def _read(self, read: Callable[..., Any], size: tuple[int, ...]) -> bytes:
        seconds, data = self._terms.limits.idle_timeout, None
        with anyio.move_on_after(seconds) as scope:
            try:
                data = await _called(read, size)
            except (WorkspaceError, TimeoutError, ConnectionError):  # the last two: it reads from a network
                raise
            except io.UnsupportedOperation as error:
                hint = "open it for reading: open(path, 'rb')"
                raise RejectedError("invalid", "the file is not open for reading", hint=hint) from error
            except OSError as error:
                raise storage_error(error) from error
        if scope.cancelled_caught:
            raise DownloadError("stalled", f"stalled: no data for {seconds:g} seconds", limit=seconds)
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        if isinstance(data, str):
            hint = "open it in binary mode: open(path, 'rb')"
            raise RejectedError("invalid", "the file is open as text, not as bytes", hint=hint)
        raise RejectedError("invalid", f"reading it gives no bytes but a {type(data).__qualname__}")

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _commit(self) -> StagedFile:
        observed = observe(*self.part.ends()) if self.part.size else observe(b"")
        name = with_extension(self._name, observed)
        path = self.part.commit(name)
        return StagedFile(attachment=self._attachment, name=name, path=path, size=self.part.size, media_type=observed)


def _open(path: str) -> int:
    try:
        return open_regular(path)
    except WorkspaceError:
        raise
    except (OSError, ValueError) as error:  # a NUL in it is a ValueError
        raise storage_error(error if isinstance(error, OSError) else OSError(str(error))) from error


def _size_of(path: str) -> int:
    descriptor = _open(path)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _reading(reader: Any) -> tuple[Callable[..., Any], bool]:
    """Return how to read, and whether it takes a size."""
    read, pieces = reader.read, getattr(reader, "read_chunk", None)  # the latter: parts of a request in aiohttp
    try:
        inspect.signature(read).bind(1)
    except TypeError:
        return (pieces, True) if callable(pieces) else (read, False)
    except ValueError:  # some built-in functions have no signature
        return read, True
    return read, True


async def _called(read: Callable[..., Any], size: tuple[int, ...]) -> object:
    with foreign():
        if inspect.iscoroutinefunction(read):
            return await read(*size)
        result: Any = await in_thread(read, *size, abandon=True)
        return await result if isinstance(result, Awaitable) else result
