"""`AttachmentStage`: owns the lifetime of one workspace, and wires the rest together.

Theory of operation. A stage is new, open, or closed, and only ever moves on. While it is open, each call of `download`
runs its own task group, opened and closed inside the call: nothing of the stage runs between calls, and the body's
exceptions are its own. Each such call lives in a cancel scope that the stage knows, so that leaving the stage can end
what is still in flight, wait for it, and only then remove the workspace: shielded from cancellation, in a thread, and
bounded in time.

Results are kept in one list a call, so that outcomes keep the order of the input whatever finishes first.
"""

import inspect
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import anyio

from staging._budget import Budget, Reservation
from staging._claims.intake import intake, unusable
from staging._context import context, notice
from staging._disk.removal import Removal
from staging._disk.workspace import Workspace
from staging._download import Terms, display_name, download
from staging._errors import DownloadError, RejectedError, StageClosedError, StagingError, too_large
from staging._events import Event, Finished, Progress, Removed, Started, Throttle
from staging._log import log, log_batch, log_leftovers, log_outcome, log_removal
from staging._models import Attachment, Failure, Limits, Outcome, Skipped, StagedFile, failure, require_number
from staging._net.client import AsyncClient, require_client
from staging._net.policy import UrlPolicy, plain_target
from staging._net.policy import target as admitted
from staging._net.urls import expires_at
from staging._resources import Resources, open_resources
from staging._text import format_size, one_line
from staging._threads import DiskQueue, in_thread, outlast

REMOVAL_SECONDS = 10.0
EXPIRY_GRACE = 60.0  # seconds; a clock may be off, and a link that just expired gets its chance

Refresh = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
_Key = tuple[str, tuple[tuple[str, str], ...]]


class AttachmentStage:
    """Attachments on disk inside an ``async with``, and nowhere after it.

    Whatever ends the scope (return, exception, cancellation), its files are gone when it has ended; after SIGKILL or a
    power cut, when the next stage or area starts under the same root. Every attachment gets an outcome; a failing one
    never raises and never disturbs its siblings.

    Args:
        temp_dir: root under which the private workspace is made (and itself, if missing); None: the system's temporary
            directory.
        max_mb: shortcut for ``limits.max_mb``, in MB of 1,048,576 bytes.
        limits: the numbers.
        policy: what may be contacted; by default Discord's two hosts.
        client: a client of your own (proxies, mocks, HTTP/2). It dials, so the addresses it connects to are its
            business, and so is closing it. Without one, the environment (``HTTPS_PROXY``, ``.netrc``) is not used.
        tls: an SSL context that trusts what you trust; None: the system's store. With `client`, give it to that.
        label: for log lines: ``label="thread 42"`` gives ``... for thread 42``.
        on_event: a plain function, called with every `Event` in the event loop, so it must not block. If it raises,
            that is logged once and changes nothing.
        refresh: an async function, asked once per `download` for new URLs of all signed links that have expired;
            returns old -> new. If it raises, or leaves one out, those fail with ``expired``.

    Raises:
        TypeError: if `limits`, `policy`, `client`, `tls` or `on_event` is something else than it should be.
        ValueError: if `max_mb` is nonsense, or `tls` stands beside `client`, which would not see it.
    """

    def __init__(
        self,
        temp_dir: str | PathLike[str] | None = None,
        max_mb: float | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        policy: UrlPolicy = UrlPolicy.discord(),  # noqa: B008  # frozen
        client: AsyncClient | None = None,
        tls: ssl.SSLContext | None = None,
        label: str = "",
        on_event: Callable[[Event], None] | None = None,
        refresh: Refresh | None = None,
    ) -> None:
        require_arguments(limits=limits, policy=policy, client=client, tls=tls, on_event=on_event)
        self._limits = limits if max_mb is None else replace(limits, max_mb=max_mb)
        self._policy = policy
        self._open: Callable[[], AbstractAsyncContextManager[Resources]] = partial(
            open_resources, temp_dir, limits=self._limits, policy=policy, client=client, tls=tls, max_total_mb=None
        )
        self._label = one_line(label)
        self._on_event = on_event
        self._refresh = refresh
        self._state: Literal["new", "open", "closed"] = "new"
        self._owner = os.getpid()
        self._scope = AsyncExitStack()
        self._results: list[list[Outcome | None]] = []
        self._staged: dict[_Key, StagedFile] = {}
        self._pending: dict[_Key, list[anyio.Event]] = {}  # what is being fetched -> who waits for it
        self._kept: set[Path] = set()
        self._calls: set[_Call] = set()
        self._held: list[Reservation] = []
        self._taken = 0
        self._removal: Removal | None = None
        self._event_failed = False

    # ── the scope ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        """Sweep the root of what dead processes left, and make the workspace.

        Raises:
            WorkspaceError: if the root cannot be made or written, or is no directory; nothing was downloaded.
            TypeError: if `temp_dir` is no path.
            StageClosedError: if this stage has been entered before.
        """
        if self._state != "new":
            raise StageClosedError("a stage lives once: make a new one for each use")
        self._state = "open"
        made: list[Workspace] = []
        try:
            resources = await self._scope.enter_async_context(self._open())
            await in_thread(lambda: made.append(Workspace.create(resources.root)))
            self._workspace = made[0]
        except BaseException:
            self._state = "closed"
            for workspace in made:
                await outlast(in_thread, workspace.remove)
            await self._scope.aclose()
            raise
        self._turns, self._process_budget = resources.turns, resources.budget
        self._budget = Budget(self._limits.max_total_bytes, "the stage")
        self._terms = Terms(resources.send, self._policy, self._limits, self._workspace, DiskQueue())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is in flight and remove everything; never raises, and never masks the body's exception."""
        await self.aclose()

    async def aclose(self) -> None:
        """End what is in flight and remove everything, as leaving the scope does; a second time does nothing.

        An area does it for the stages that are still open when it ends.
        """
        if self._state != "open" or os.getpid() != self._owner:
            return
        self._state = "closed"
        with anyio.CancelScope(shield=True):
            self._removal = await self._remove()
            for reservation in self._held:
                reservation.refund()
            self._report_removal()
            await self._scope.aclose()

    async def _remove(self) -> Removal:
        """Remove the workspace in a thread of its own, which is left to itself if the disk hangs."""
        with anyio.move_on_after(REMOVAL_SECONDS):
            await self._end_calls()
            try:
                return await in_thread(self._workspace.remove, abandon=True)
            except Exception as error:  # noqa: BLE001  # it would mask the body's
                return Removal(0, ((".", f"{type(error).__name__}: {error}"),))
        return Removal(0, ((".", f"removal took over {REMOVAL_SECONDS:g} seconds"),))

    async def _end_calls(self) -> None:
        for call in self._calls:
            call.scope.cancel()
        for call in list(self._calls):
            await call.done.wait()

    def _report_removal(self) -> None:
        log_removal(self.removed, self._label)
        log_leftovers(self.leftovers, str(self._workspace.directory), self._label)
        self._emit(Removed(files=self.removed, leftovers=self.leftovers))

    def _require_open(self) -> None:
        if self._state == "new":
            raise StageClosedError("the stage has not been entered: use it inside `async with`")
        if self._state == "closed":
            raise StageClosedError("the stage is closed, and its files are gone: do the work inside its `async with`")
        if os.getpid() != self._owner:
            raise StageClosedError("the stage belongs to the parent process: a forked child cannot use it")

    # ── downloading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def download(self, *sources: Any, timeout: float | None = None) -> list[Outcome]:  # noqa: ASYNC109
        """Stage all attachments that `sources` refer to, at once, and return one outcome for each, in input order.

        A failing attachment is a `Failure`: it does not raise, and its siblings go on. Identical URLs are fetched once.
        May be called several times, also at once; `outcomes` has the results of all calls.

        Args:
            sources: URLs (text or URL objects), mappings and objects with a ``url`` (attachments of Discord's
                libraries, file dictionaries of Slack), messages (with what they forward), `Attachment` values, or
                iterables of any of these. Text is something to download; ``{"url": ..., "type": "url"}`` is a link.
            timeout: seconds for all of it; what has arrived by then is staged, the rest fails with ``deadline``.

        Raises:
            TypeError: if a source is not a thing that could have a URL (None, bytes, a number).
            ValueError: if a mapping or text has no URL, or `timeout` is nonsense.
            StageClosedError: if the stage is not open, or is closed meanwhile.
        """
        self._require_open()
        if timeout is not None:
            require_number("timeout", timeout, zero=False)
        attachments = intake(*sources)
        results: list[Outcome | None] = [None] * len(attachments)
        self._results.append(results)
        deadline = float("inf") if timeout is None else anyio.current_time() + timeout
        call = _Call()
        self._calls.add(call)
        try:
            with call.scope:
                await self._download_all(attachments, results, deadline)
        finally:
            self._calls.discard(call)
            call.done.set()
        if call.scope.cancelled_caught:
            raise StageClosedError("the stage was closed while it was downloading")
        return self._finish_call(attachments, results, timeout)

    async def _download_all(
        self, attachments: Sequence[Attachment], results: list[Outcome | None], deadline: float
    ) -> None:
        with anyio.CancelScope(deadline=deadline):
            renewed = await self._refreshed(attachments)
            jobs = iter(enumerate(attachments))
            async with anyio.create_task_group() as group:
                for _ in range(min(self._limits.concurrency, len(attachments))):
                    group.start_soon(self._work, jobs, renewed, results)

    async def _work(
        self, jobs: Iterator[tuple[int, Attachment]], renewed: Mapping[str, str | None], results: list[Outcome | None]
    ) -> None:
        for index, attachment in jobs:
            outcome = await self._outcome(attachment, renewed)
            results[index] = outcome
            self._tell(outcome)

    async def _outcome(self, attachment: Attachment, renewed: Mapping[str, str | None]) -> Outcome:
        if attachment.kind in {"url", "embed"}:
            reason: Literal["link", "embed"] = "link" if attachment.kind == "url" else "embed"
            return Skipped(attachment=attachment, name=display_name(attachment), reason=reason)
        try:
            if problem := unusable(attachment):
                raise problem
            return await self._once(attachment, renewed.get(attachment.url, attachment.url))
        except StagingError as error:
            return failure(attachment, display_name(attachment), error)

    async def _once(self, attachment: Attachment, url: str | None) -> StagedFile:
        """Fetch what nobody has fetched yet; wait for whoever is fetching the same."""
        key = attachment.url, tuple(sorted(attachment.headers.items()))
        while (waiters := self._pending.get(key)) is not None:
            waiters.append(fetched := anyio.Event())
            await fetched.wait()
        if (staged := self._staged.get(key)) is not None:
            return replace(staged, attachment=attachment)
        self._pending[key] = []
        try:
            self._staged[key] = staged = await self._fetch(attachment, url)
        finally:
            for waiter in self._pending.pop(key):
                waiter.set()
        return staged

    async def _fetch(self, attachment: Attachment, url: str | None) -> StagedFile:
        """Refuse what can be refused before any socket, wait for a turn, and download."""
        if url is None:
            raise DownloadError("expired", "the link has expired")
        target = plain_target(self._policy, url)
        if target is None:
            target = await in_thread(admitted, self._policy, url)
        if attachment.size is not None and attachment.size > self._limits.max_bytes:
            raise too_large(self._limits.max_bytes, attachment.size)
        if self._taken >= self._limits.max_files:
            raise RejectedError("too_many", f"too many: the stage takes {self._limits.max_files:,} files")
        self._taken += 1
        reservation = Reservation(self._budget, self._process_budget)
        try:
            async with self._turns:
                reservation.cover(attachment.size or 0)
                if self._on_event is not None:
                    self._emit(Started(attachment=attachment))
                staged = await download(attachment, target, self._terms, reservation, self._progress_of(attachment))
        except BaseException:
            self._taken -= 1
            reservation.refund()
            raise
        self._held.append(reservation)
        return staged

    async def _refreshed(self, attachments: Sequence[Attachment]) -> dict[str, str | None]:
        """Return what to fetch in place of each expired link: its new URL, or None; all are asked for at once."""
        now = time.time()
        urls = dict.fromkeys(str(attachment.url) for attachment in attachments)
        expired = [url for url in urls if (end := expires_at(url)) is not None and end + EXPIRY_GRACE < now]
        fresh: Mapping[str, str] = {}
        if expired and self._refresh is not None:
            try:
                fresh = dict(await self._refresh(expired))
            except Exception as error:  # noqa: BLE001  # the caller's own code: its links stay expired, the rest goes on
                told = "Could not refresh %d expired links: refresh, which is awaited and returns {old: new}, raised %s"
                log(logging.WARNING, told, len(expired), type(error).__name__, label=self._label)
        return {url: None if (new := fresh.get(url)) is None else str(new) for url in expired}

    def _finish_call(
        self, attachments: Sequence[Attachment], results: list[Outcome | None], timeout: float | None
    ) -> list[Outcome]:
        for index, attachment in enumerate(attachments):
            if results[index] is None:
                detail = f"deadline: not finished within the {timeout:g} seconds of the batch"
                results[index] = outcome = failure(
                    attachment, display_name(attachment), DownloadError("deadline", detail, limit=timeout)
                )
                self._tell(outcome)
        outcomes = [outcome for outcome in results if outcome is not None]
        log_batch(outcomes, self._label)
        return outcomes

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, outcome: Outcome) -> None:
        log_outcome(outcome, self._label)
        if self._on_event is not None:
            self._emit(Finished(outcome=outcome))

    def _progress_of(self, attachment: Attachment) -> Callable[[int, int | None], None]:
        if self._on_event is None:
            return _ignore
        throttle = Throttle()

        def progress(received: int, total: int | None) -> None:
            if received == total or throttle.ready(anyio.current_time()):
                self._emit(Progress(attachment=attachment, received=received, total=total))

        return progress

    def _emit(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001  # an observer's mistake must not cost a download
            if not self._event_failed:
                told = "on_event raised; further errors of it are not logged"
                log(logging.ERROR, told, error=error, label=self._label)
            self._event_failed = True

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All outcomes so far, in order of input."""
        return tuple(outcome for results in self._results for outcome in results if outcome is not None)

    @property
    def files(self) -> tuple[StagedFile, ...]:
        """The outcomes that are staged files; their paths are good until the scope ends."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, StagedFile))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The outcomes that are failures."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failure))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The outcomes that needed no download: plain links and embeds."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Skipped))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The local paths of `files`, each once."""
        return tuple(dict.fromkeys(file.path for file in self.files))

    @property
    def directory(self) -> Path:
        """The workspace: absolute, private, and gone after the scope.

        Raises:
            StageClosedError: before the stage is entered.
        """
        if self._state == "new":
            self._require_open()
        return self._workspace.directory

    @property
    def removed(self) -> int:
        """After the scope: how many staged files were deleted."""
        return 0 if self._removal is None else self._removal.files

    def _own_paths(self) -> Iterable[Path]:
        return (path for path in self.paths if path not in self._kept)

    @property
    def leftovers(self) -> tuple[tuple[str, str], ...]:
        """After the scope: what could not be deleted, as (name, reason); left to the next sweep."""
        return () if self._removal is None else self._removal.leftovers

    def context(
        self,
        *,
        urls: Literal["bare", "full", "hide"] = "bare",
        paths: bool = True,
        path_map: Mapping[str | PathLike[str], str | PathLike[str]] | None = None,
    ) -> str:
        """Return the context block for a language model: one entry for each outcome, or the empty string for none.

        Args:
            urls: ``bare`` drops query and fragment (signatures are secrets), ``full`` keeps them, ``hide`` leaves the
                line out.
            paths: whether local paths are shown; they differ from run to run.
            path_map: host directory -> the directory as which a sandbox sees it; for the paths shown, not on disk.

        Raises:
            StageClosedError: outside the scope, where the paths lead nowhere.
            ValueError: if `urls` is none of the three.
        """
        self._require_open()
        return context(self.outcomes, urls=urls, paths=paths, path_map=path_map)

    def notice(self) -> str:
        """Return what to tell the person who sent the attachments: a sentence on those that failed; empty if none.

        Safe to send as it is: at most 400 characters on one line, without mentions, markup, links or secrets. Works
        after the scope too.
        """
        return notice(self.outcomes)

    async def keep(self, file: StagedFile, destination: str | PathLike[str]) -> Path:
        """Move one staged file out of the scope, atomically where the file system allows, and return its new path.

        Args:
            file: an outcome of this stage.
            destination: the new path; of an existing directory, the place in it.

        Raises:
            TypeError: if `file` is no staged file: a path, say, or a failure.
            FileExistsError: if something is at `destination`; it is not touched.
            ValueError: if `file` is not a file of this stage, or has been kept already.
            WorkspaceError: if it cannot be moved; it stays staged.
            StageClosedError: outside the scope.
        """
        self._require_open()
        given: Any = file  # annotations bind no caller
        if not isinstance(given, StagedFile):
            raise TypeError(f"keep takes one of stage.files, not a {type(given).__qualname__}")
        if file.path not in self._own_paths():
            raise ValueError(f"not a file of this stage: {file.name}")
        self._kept.add(file.path)
        try:
            path = await in_thread(self._workspace.keep, file.path, Path(destination))
        except BaseException:
            self._kept.discard(file.path)
            raise
        self._move(file.path, path)
        return path

    def _move(self, old: Path, new: Path) -> None:
        """Let every outcome of a kept file show where it is now."""
        self._kept.add(new)
        for results in self._results:
            for index, outcome in enumerate(results):
                if isinstance(outcome, StagedFile) and outcome.path == old:
                    results[index] = replace(outcome, path=new)
        self._staged = {key: staged for key, staged in self._staged.items() if staged.path != old}

    def __repr__(self) -> str:
        counts = [f"{len(self.files)} file{'s' * (len(self.files) != 1)}"]
        if self.failures:
            counts.append(f"{len(self.failures)} failure{'s' * (len(self.failures) != 1)}")
        sizes = {file.path: file.size for file in self.files}
        counts.append(format_size(sum(sizes.values())))
        where = "" if self._state == "new" else f" in {one_line(str(self._workspace.directory))}"
        return f"<AttachmentStage {self._state}: {', '.join(counts)}{where}>"


class _Call:
    """One `download` in flight: how to end it, and how to know that it has ended."""

    __slots__ = ("done", "scope")

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()


def lend(stage: AttachmentStage, resources: Callable[[], AbstractAsyncContextManager[Resources]]) -> AttachmentStage:
    """Return `stage`, bound to resources that somebody else owns, and that it holds from entry to exit."""
    stage._open = resources  # noqa: SLF001  # the area's door, which users do not see
    return stage


def require_arguments(*, limits: Any, policy: Any, client: Any, tls: Any, on_event: Any = None) -> None:
    """Refuse what was given in place of what was meant, at construction and in words that say how to make it.

    Raises:
        TypeError: if an argument is not what its annotation says.
        ValueError: if `tls` stands beside `client`, which would never see it.
    """
    for name, given, right, wanted in (
        ("limits", limits, isinstance(limits, Limits), "Limits(...)"),
        ("policy", policy, isinstance(policy, UrlPolicy), "a UrlPolicy, such as UrlPolicy.only('files.example.com')"),
        ("tls", tls, tls is None or isinstance(tls, ssl.SSLContext), "an SSL context (ssl.create_default_context)"),
        ("on_event", on_event, not inspect.iscoroutinefunction(on_event), "a plain function, since it is not awaited"),
    ):
        if not right:
            raise TypeError(f"{name} must be {wanted}; this is {one_line(repr(given), limit=80)}")
    if client is not None:
        require_client(client)
    if client is not None and tls is not None:
        raise ValueError("tls does nothing beside client: give it to the client, httpx.AsyncClient(verify=...)")


def _ignore(received: int, total: int | None) -> None:
    pass
