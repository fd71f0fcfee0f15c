"""Keep copies at a provider exactly as long as a scope.

Theory of operation. On entry every file gets a name of its own, and the names go into a ledger on disk (`_ledger`).
Then the files are sent, some at once. What is on its way when the entry is cancelled has a short time to arrive. Its
answer tells an id, and a broken connection would tell nothing. On leaving, every copy whose id is known is deleted. The
others are looked for by name in the provider's list. No cancellation reaches any of that. It is bounded, in parallel
and repeated. A copy that is still there then is logged and stays in the ledger, from which `sweep_uploads` takes it.
"""

import io
import os
import secrets
import tempfile
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

import anyio

from staging._claims.filenames import safe_name
from staging._errors import WorkspaceError
from staging._models import require_number
from staging._scope import Scope
from staging._text import one_line
from staging._threads import in_thread, outlast
from staging.llm._budget import Count
from staging.llm._copies import AT_ONCE, Copy, delete_all, left_of, may_help, never_left, shown, tell
from staging.llm._files import Stage, UnreadableError, error_code, require_stage, staged
from staging.llm._files_api import FilesApi, Stored, files_api
from staging.llm._ledger import Ledger, Orphan, orphans
from staging.llm._values import MediaPart, Parts, TextPart
from staging.llm.limits import ProviderLimits
from staging.llm.parts import NO_READERS, Given, Readers, gather, given_of, require_limits
from staging.llm.shapes import Block, file_name, fitting, text_blocks, without

_ATTEMPTS = 3  # at sending one file
_GRACE = 5.0  # seconds for what is on its way when the entry is cancelled
_EXIT_SECONDS = 10.0  # for all deletions
_SWEEP_SECONDS = 60.0  # for the copies of one dead process
_SHORTEST, _LONGEST = 3600, 2_592_000  # seconds that OpenAI takes; Anthropic takes up to 90 days
_UNBOUNDED = 1 << 50


def uploaded(
    stage: Stage,
    client: Any,
    *,
    limits: ProviderLimits | None = None,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    max_inline_mb: float = 200,
    readers: Readers = NO_READERS,
    seconds: float = 60,
    expires_after: int = 86_400,
) -> "Uploads":
    """Return a scope in which the provider holds the files.

    Use it as ``async with llm.uploaded(stage, client) as blocks``.

    Each file goes to the Files API once, and `blocks` refer to it by id. Texts are in them as for `anthropic_blocks`.
    However the scope ends, every copy is deleted, on return, an exception, or a cancellation at any moment. What could
    not be deleted within 10 seconds is logged at WARNING and in `Uploads.leftovers`. After SIGKILL, `sweep_uploads`
    deletes what is left. A file that the provider refuses becomes a line in the list. What goes as it is, goes from the
    disk. The client stays yours, and nothing of it is stored.

    Args:
        stage: an open `AttachmentStage`; under its root lies the list of what was sent.
        client: an open ``anthropic.AsyncAnthropic``, ``openai.AsyncOpenAI`` (for Responses) or ``google.genai.Client``
            (on asyncio).
        limits: what the provider takes. None means its preset, without the bound on a request.
        max_chars: characters of text together, as for `parts`.
        max_tokens: the same in tokens, as for `parts`.
        count: returns how many tokens a text has.
        max_inline_mb: raw MB of all files together. Pictures are in memory until they are sent, the rest is not.
        readers: async functions of your own that return a file's text, as for `parts`.
        seconds: for reading the files and sending them. What is not there by then is named with that reason.
        expires_after: seconds after which the provider deletes a copy by itself, from an hour to 30 days, where the API
            has that. Google keeps files for two days.

    Raises:
        TypeError: if `client` is of another library, not async, or of a platform without a Files API; or if `stage` is
            none.
        ValueError: if `client` is closed, or a number is nonsense.
    """
    require_stage(stage)
    api = files_api(client)
    if limits is None:
        limits = replace(api.limits, max_file_bytes=_UNBOUNDED)
    require_limits(limits)
    limits = replace(fitting(limits, api.shape), max_request_bytes=_UNBOUNDED)
    require_number("expires_after", expires_after, zero=False)
    if not _SHORTEST <= expires_after <= _LONGEST:
        raise ValueError(f"expires_after must be from {_SHORTEST:,} to {_LONGEST:,} seconds, not {expires_after!r}")
    given = given_of(limits, max_chars, max_tokens, count, max_inline_mb, readers, seconds)
    return Uploads(stage, api, replace(given, on_disk=True), int(expires_after))


class Uploads:
    """Holds the copies for the scope that `uploaded` returns.

    It is entered once, and gives the blocks.

    Args:
        stage: whose files are sent.
        api: the provider's Files API behind the client.
        given: the other arguments, checked.
        expires_after: seconds after which the provider deletes a copy by itself.

    Attributes:
        leftovers: after the scope, what could not be deleted, as (id or name, reason).
        parts: in the scope, what the blocks show. It has `Parts.notice`. What was sent has no `data` here.
    """

    def __init__(self, stage: Stage, api: FilesApi, given: Given, expires_after: int) -> None:
        self.leftovers: tuple[tuple[str, str], ...] = ()
        self.parts: Parts = Parts((), unread=(), outcomes=())
        self._stage, self._api, self._given, self._expires_after = stage, api, given, expires_after
        self._copies: list[Copy] = []
        self._ledger: Ledger | None = None
        self._state: Literal["new", "open", "ending"] = "new"
        self._sent: anyio.Event | None = None  # while something is sent, to be waited for
        self._one_ending = anyio.Lock()
        self._inside = ExitStack()

    async def __aenter__(self) -> list[Block]:
        """Read and send the files, and return the blocks.

        Raises:
            StageClosedError: if the stage is not open.
            WorkspaceError: if the list of what is sent cannot be written. Nothing was sent.
            RuntimeError: if it was entered before, or the client's library does not run on this event loop.
        """
        if self._state != "new":
            raise RuntimeError("uploads live once: call llm.uploaded again for each use")
        self._state = "open"
        _require_loop(self._api)
        begun = anyio.current_time()
        parts = await gather(self._stage, self._given)
        media = [part for part in parts if not isinstance(part, TextPart)]
        self._copies = [Copy(_unique_name(part, self._api), part) for part in media]
        try:
            if self._copies:
                ledger = await self._open_ledger()
                if isinstance(self._stage, Scope):
                    ours = self._stage._ending_first(self._end)  # noqa: SLF001  # it is no promise to users
                    self._inside.enter_context(ours)
                await self._send(ledger, begun + self._given.seconds)
                self._stage.context()  # raises when the stage was closed meanwhile
            return self._blocks(parts)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete every copy.

        It never raises, except for a cancellation that came meanwhile.
        """
        try:
            await self._end()
        finally:
            self._inside.close()

    # Sending

    async def _open_ledger(self) -> Ledger:
        directory: Any = getattr(self._stage, "directory", None)
        if directory is None:
            raise TypeError("uploaded takes an open AttachmentStage: the list of what is sent lies under its root")
        root = os.fspath(Path(directory).parent)
        self._ledger = ledger = Ledger(root)
        try:
            await in_thread(ledger.open, self._api.provider, [copy.name for copy in self._copies])
        except OSError as error:
            detail = f"no list of uploads can be kept in {one_line(root)} ({error_code(error)})"
            raise WorkspaceError("storage", detail) from error
        return ledger

    async def _send(self, ledger: Ledger, deadline: float) -> None:
        """Send the files, some at once, and to the end also when the entry is cancelled.

        What sends is told of the cancellation. It takes effect when all have ended or the grace is over.
        """
        places, scope = anyio.Semaphore(AT_ONCE), anyio.CancelScope(deadline=deadline, shield=True)
        ended, self._sent = anyio.Event(), anyio.Event()

        async def send(copy: Copy) -> None:
            async with places:
                if copy.part is not None and self._state != "ending":
                    await self._send_one(copy, copy.part, ledger)

        async def send_all() -> None:
            with scope:
                async with anyio.create_task_group() as group:
                    for copy in tuple(self._copies):
                        group.start_soon(send, copy)
            ended.set()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(send_all)
                try:
                    await ended.wait()
                except BaseException:
                    self._state = "ending"
                    scope.deadline = min(scope.deadline, anyio.current_time() + _GRACE)
                    raise
        finally:
            self._sent.set()
            self._sent = None

    async def _send_one(self, copy: Copy, part: MediaPart, ledger: Ledger) -> None:
        """Send one file.

        A second try is a copy of its own, since the first may have arrived.
        """
        for attempt in range(_ATTEMPTS):
            if attempt:
                await anyio.sleep(0.2 * 4 ** (attempt - 1))
                if self._state == "ending":
                    return
                copy = Copy(_unique_name(part, self._api), part)  # the first is looked for at the end
                await in_thread(ledger.add, copy.name)
                self._copies.append(copy)
            try:
                content_of: AbstractAsyncContextManager[BinaryIO]  # the clients read it in pieces of 64 KB to 8 MB
                content_of = nullcontext(io.BytesIO(part.data)) if part.data else staged(part.outcome)
                async with content_of as content:
                    copy.asked = True
                    copy.stored = stored = await self._api.send(copy.name, part, content, self._expires_after)
                await in_thread(ledger.add, copy.name, stored.identity)
                await self._api.ready(stored)
            except UnreadableError as error:
                copy.reason = str(error)
                return
            except Exception as error:  # noqa: BLE001  # whatever a client raises: the other files go on
                copy.reason = f"the provider did not take it ({shown(error)})"
                if copy.stored is not None or not may_help(error):
                    copy.gone = copy.stored is None
                    return
                copy.gone = never_left(error)
            except BaseException:
                copy.cut = copy.stored is None
                raise
            else:
                copy.reason = ""
                return

    def _blocks(self, parts: Parts) -> list[Block]:
        """Return the blocks, and drop the bytes."""
        stored = {id(copy.part): copy.stored for copy in self._copies if copy.stored is not None and not copy.reason}
        reasons = {id(copy.part): copy.reason for copy in self._copies if copy.reason}
        late = f"it was not sent within {self._given.seconds:g} seconds"
        media = [part for part in parts if not isinstance(part, TextPart)]
        failed = {part.number: reasons.get(id(part), late) for part in media if id(part) not in stored}
        sent = [part for part in media if part.number not in failed]
        blocks = [self._api.shape.media(part, copy=stored[id(part)].reference) for part in sent]
        shown = without(parts, failed)
        kept = [part if isinstance(part, TextPart) else replace(part, data=b"") for part in shown]
        self.parts = Parts(kept, unread=shown.unread, outcomes=shown.outcomes)
        for copy in self._copies:
            copy.part = None
        return [*blocks, *text_blocks(self.parts, self._api.shape)]

    # Deleting

    async def _end(self) -> None:
        """Delete every copy, out of reach of any cancellation."""
        self._state = "ending"
        if self._ledger is not None:
            await outlast(self._ending, seconds=_EXIT_SECONDS + 5)

    async def _ending(self) -> None:
        """Delete the copies, log what is left, and close the ledger.

        It may be called again, and then continues.
        """
        async with self._one_ending:
            if self._sent is not None:  # the stage ends first: what is under way may still arrive
                with anyio.move_on_after(_GRACE):
                    await self._sent.wait()
            await delete_all(self._api, self._copies, _EXIT_SECONDS)
            self.leftovers = left_of(self._copies)
            if self._ledger is not None and self._sent is None:
                await in_thread(partial(self._ledger.close, keep=bool(self.leftovers)))
                self._ledger = None
                tell(self._api, self.leftovers)

    def __repr__(self) -> str:
        there = sum(copy.stored is not None and not copy.gone for copy in self._copies)
        return f"<Uploads to {self._api.provider}: {there} copies there, {len(self.leftovers)} leftovers>"


async def sweep_uploads(client: Any, root: "str | os.PathLike[str] | None" = None) -> int:
    """Delete what killed processes left at the provider.

    It returns how many copies that were. Copies of a living process are never deleted.

    A lock decides whether the owner of a copy lives, since the kernel releases it at the owner's death. A copy that
    cannot be deleted is logged at WARNING and stays for the next sweep. Call it at start-up, with a client of the same
    account.

    Args:
        client: as for `uploaded`.
        root: what the stages were given as `temp_dir`. None means the system's temporary directory.

    Raises:
        TypeError: if `client` is of another library, not async, or of a platform without a Files API.
        ValueError: if `client` is closed.
        WorkspaceError: if `root` cannot be read. A missing one has nothing.
    """
    api = files_api(client)
    _require_loop(api)
    where = os.fspath(root) if root is not None else tempfile.gettempdir()
    found: list[Orphan] = []
    swept = 0
    try:
        await in_thread(lambda: found.extend(orphans(where, api.provider)))
        while found:
            copies = [Copy(name, stored=Stored(i) if i else None, asked=True) for name, i in found[-1].copies.items()]
            swept += await delete_all(api, copies, _SWEEP_SECONDS)
            left = left_of(copies)
            found.pop().close(keep=bool(left))
            tell(api, left)
    except OSError as error:
        raise WorkspaceError("storage", one_line(f"cannot sweep {where} ({error_code(error)})")) from error
    finally:
        for orphan in found:  # a cancelled sweep leaves the rest to the next one
            orphan.close(keep=True)
    return swept


def _unique_name(part: MediaPart, api: FilesApi) -> str:
    """Return a name that no other file of the account has.

    Google's names are ids of small letters and digits.
    """
    token = secrets.token_hex(12)
    if api.named:
        return f"staging-{token}"
    stem, dot, extension = safe_name(file_name(part)).rpartition(".")
    stem = (stem or extension).encode("ascii", "replace").decode().replace("?", "_")[:60]
    return f"{stem}-{token}{dot}{extension}" if dot and extension.isascii() else f"{stem}-{token}"


def _require_loop(api: FilesApi) -> None:
    if api.provider == "google" and anyio.get_cancelled_exc_class().__module__.startswith("trio"):
        raise RuntimeError("google-genai does not run on trio: use asyncio")
