"""One call of `download`, from the sources to the outcomes.

Theory of operation. As many workers as the stage's limit allows take one attachment after the other. A worker refuses
what can be refused without a connection, waits for a turn, and fetches. Each result goes to its place in a list, so
that outcomes keep the order of the input. All of it runs in one task group and under one deadline, which both end with
the call.

Identical requests of a stage are one `_Fetch`, whichever call asks: the first worker makes it, and the others wait for
its outcome, a failure too. If that worker is cancelled, with its call, the next one makes it. A failure that may not
last is forgotten when the call ends, so that a later call can try again.
"""

import errno
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import anyio

from staging._budget import Budget, Reservation
from staging._claims.accepted import Accepted, claim_of
from staging._claims.intake import unusable
from staging._clock import Clock, watch
from staging._download import Terms, display_name, download
from staging._errors import DownloadError, RejectedError, StagingError, WorkspaceError, too_large
from staging._local import identity, is_local, is_stream, stage_local
from staging._models import Attachment, Failure, Outcome, Skipped, StagedFile, failure
from staging._net.policy import plain_target
from staging._net.policy import target as admitted
from staging._net.urls import Target, expires_at
from staging._observer import Observer
from staging._resources import Resources
from staging._threads import checkpoint, foreign, in_thread
from staging._turns import Line, Turn

EXPIRY_GRACE = 60.0  # seconds; a clock may be wrong, so a link that just expired is tried
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_OURS = frozenset({"budget", "too_many", "disk_full", "storage"})  # reasons that say nothing about the URL

Refresh = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
_Key = tuple[Hashable, Hashable]  # what is asked for, and by what it is judged; None if all types are wanted
_Result = StagedFile | StagingError | Literal["type"]  # the last: it was not of a type that was wanted


class _Fetch:
    """One request of a stage, for all attachments that ask for the same."""

    __slots__ = ("ended", "result", "running")

    def __init__(self) -> None:
        self.running = False
        self.ended: anyio.Event | None = None  # made by the first that waits
        self.result: _Result | None = None


class Ledger:
    """What has become of a stage's attachments, over all calls.

    Attributes:
        results: a list for each call, in order of input; None where the outcome is still to come.
        fetches: what has been asked for.
        taken: files that count for ``max_files``.
        kept: paths of files that have been moved out, or are being moved.
    """

    def __init__(self) -> None:
        self.results: list[list[Outcome | None]] = []
        self.fetches: dict[_Key, _Fetch] = {}
        self.taken = 0
        self.kept: set[Path] = set()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All outcomes so far, in order of input."""
        return tuple(outcome for results in self.results for outcome in results if outcome is not None)

    def move(self, old: Path, new: Path) -> None:
        """Let every outcome of a kept file show where it is now."""
        self.kept.add(new)
        for results in self.results:
            for index, outcome in enumerate(results):
                if isinstance(outcome, StagedFile) and outcome.path == old:
                    results[index] = replace(outcome, path=new)
        for key, fetch in list(self.fetches.items()):
            if isinstance(fetch.result, StagedFile) and fetch.result.path == old:
                del self.fetches[key]  # asked for again, it is fetched again: the kept one is the caller's


class Tools(NamedTuple):
    """What the calls of a stage work with, while it is open.

    Args:
        resources: shared with other stages.
        terms: of each download.
        budget: the stage's own.
        line: where its downloads wait.
        ledger: what has become of its attachments.
        observer: what is told.
        refresh: new URLs for expired ones.
        held: the bytes of staged files, which count until the stage ends or the file is kept.
    """

    resources: Resources
    terms: Terms
    budget: Budget
    line: Line
    ledger: Ledger
    observer: Observer
    refresh: Refresh | None
    held: list[tuple[Path, Reservation]]


class Batch:
    """One call of `download`.

    Args:
        tools: the stage's.
        attachments: what is asked for.
        seconds: for all of it.
        accepted: the types that are wanted; None for all.
    """

    def __init__(
        self, tools: Tools, attachments: Sequence[Attachment], seconds: float, accepted: Accepted | None
    ) -> None:
        self._tools = tools
        self._accepted = accepted
        self._attachments = attachments
        self._seconds = seconds
        self._results: list[Outcome | None] = [None] * len(attachments)
        self._renewed: Mapping[str, str | None] = {}
        self._passing: list[_Key] = []  # failures that may not last
        self._clocks: list[Clock] = []  # one for each worker

    async def run(self) -> list[Outcome]:
        """Return one outcome for each attachment, in order.

        An attachment that is not complete by the deadline is a failure.
        """
        self._tools.ledger.results.append(self._results)
        jobs, limits, watching = iter(enumerate(self._attachments)), self._tools.terms.limits, anyio.CancelScope()
        try:
            with anyio.move_on_after(self._seconds):
                self._renewed = await self._refreshed()
                self._clocks = [Clock(limits) for _ in range(min(limits.concurrency, len(self._attachments)))]
                async with anyio.create_task_group() as group:
                    for clock in tuple(self._clocks):
                        group.start_soon(self._work, jobs, clock, watching.cancel)
                    if self._clocks:
                        group.start_soon(watch, self._clocks, limits, watching)
        finally:
            for key in self._passing:
                self._tools.ledger.fetches.pop(key, None)
        for index, attachment in enumerate(self._attachments):
            if self._results[index] is None:
                detail = f"deadline: not finished within the {self._seconds:g} seconds of the batch"
                late = DownloadError("deadline", detail, limit=self._seconds)
                self._settle(index, failure(attachment, display_name(attachment), late))
        outcomes = [outcome for outcome in self._results if outcome is not None]
        self._tools.observer.downloaded(outcomes)
        return outcomes

    async def _work(self, jobs: Iterator[tuple[int, Attachment]], clock: Clock, last: Callable[[], object]) -> None:
        """Take one attachment after the other, and call `last` if no other worker is left."""
        job = next(jobs, None)
        while job is not None:
            with clock.wind():
                while job is not None and clock.error is None:
                    self._settle(job[0], outcome := await self._outcome(job[1], clock))
                    if not isinstance(outcome, StagedFile):
                        await checkpoint()  # thousands that are refused would hold up all others
                    job = next(jobs, None)
            if clock.scope.cancelled_caught and job is not None and clock.error is not None:
                self._settle(job[0], failure(job[1], display_name(job[1]), clock.error))
                job = next(jobs, None)
        self._clocks.remove(clock)
        if not self._clocks:
            last()

    def _settle(self, index: int, outcome: Outcome) -> None:
        self._results[index] = outcome
        if isinstance(outcome, Failure):
            self._tools.resources.counters.failures[outcome.reason] += 1
        self._tools.observer.finished(outcome)

    async def _outcome(self, attachment: Attachment, clock: Clock) -> Outcome:
        if attachment.kind in {"url", "embed"}:
            return _skipped(attachment, "link" if attachment.kind == "url" else "embed")
        if self._accepted is not None and self._accepted.excludes(attachment):
            return _skipped(attachment, "type")
        try:
            if problem := unusable(attachment):
                raise problem
            result = await self._shared(attachment, clock)
        except StagingError as error:
            result = error
        if isinstance(result, StagedFile):
            return result if result.attachment is attachment else replace(result, attachment=attachment)
        if isinstance(result, StagingError):
            return failure(attachment, display_name(attachment), result)
        return _skipped(attachment, result)

    async def _shared(self, attachment: Attachment, clock: Clock) -> _Result:
        """Fetch an attachment, or wait for the worker that fetches it."""
        request = request_of(attachment)
        fetches, accepted = self._tools.ledger.fetches, self._accepted
        if accepted is not None and (known := fetches.get((request, None))) and known.result is not None:
            return known.result if _admits(accepted, known.result, attachment) else "type"
        key = request, None if accepted is None else _judged_by(accepted, attachment)
        fetch = fetches.setdefault(key, _Fetch())
        while fetch.result is None:
            if fetch.running:
                fetch.ended = fetch.ended or anyio.Event()
                await fetch.ended.wait()
                continue
            fetch.running = True
            try:
                fetch.result = await self._fetch(attachment, clock)
            except BaseException as error:
                failed = clock.error or error
                if not isinstance(failed, StagingError):
                    raise
                fetch.result = failed
                if _passes(failed):
                    self._passing.append(key)
                if not isinstance(error, StagingError):
                    raise  # the clock's cancellation, which ends in the worker
            finally:
                fetch.running = False
                if fetch.ended is not None:
                    fetch.ended.set()
                    fetch.ended = None
        if accepted is not None and fetch.result != "type" and not _passes(fetch.result):
            fetches.setdefault((request, None), fetch)  # also for calls that want all types
        return fetch.result

    async def _fetch(self, attachment: Attachment, clock: Clock) -> StagedFile | Literal["type"]:
        """Wait for a turn, and download the attachment.

        What can be refused without a connection is refused before that.
        """
        terms, ledger = self._tools.terms, self._tools.ledger
        target = None if is_local(attachment) else await self._admitted(attachment)
        if attachment.size is not None and attachment.size > terms.limits.max_bytes:
            raise too_large(terms.limits.max_bytes, attachment.size)
        if ledger.taken >= terms.limits.max_files:
            detail = f"too many: the stage takes {terms.limits.max_files:,} files"
            raise RejectedError("too_many", detail, limit=terms.limits.max_files)
        ledger.taken += 1
        reservation = Reservation(self._tools.budget, self._tools.resources.budget)
        try:
            staged = await self._in_turn(attachment, target, reservation, clock)
            if self._accepted is not None and not self._accepted.admits(staged):
                await in_thread(terms.workspace.unlink, staged.path.name)  # even if the call is cancelled just now
                ledger.taken -= 1
                reservation.refund()
                return "type"
        except BaseException:
            ledger.taken -= 1
            reservation.refund()
            raise
        self._tools.held.append((staged.path, reservation))  # not by path: to hash one would parse it
        counters = self._tools.resources.counters
        counters.staged += 1
        counters.bytes += staged.size
        return staged

    async def _admitted(self, attachment: Attachment) -> Target:
        url = self._renewed.get(attachment.url, attachment.url)
        if url is None:
            raise DownloadError("expired", "the link has expired")
        policy = self._tools.terms.policy
        target = plain_target(policy, url)
        return await in_thread(admitted, policy, url, abandon=True) if target is None else target

    async def _in_turn(
        self, attachment: Attachment, target: Target | None, reservation: Reservation, clock: Clock
    ) -> StagedFile:
        terms = self._tools.terms
        async with Turn(self._tools.line, reservation, target and target.origin) as turn:
            reservation.admit(attachment.size or 0)
            progress = self._tools.observer.started(attachment)
            clock.on_look = progress.catch_up  # what is held back when the peer falls silent is told all the same
            while True:
                try:
                    if target is None:
                        return await stage_local(attachment, terms, turn, progress)
                    return await download(attachment, target, terms, turn, clock, progress=progress)
                except WorkspaceError as error:
                    if error.errno not in _NO_DESCRIPTORS or (reservation.held and is_stream(attachment)):
                        raise
                    reservation.settle(0)  # what had come is deleted
                    if not await turn.line.turns.another_ends(turn):
                        raise
                finally:
                    progress.flush()

    async def _refreshed(self) -> dict[str, str | None]:
        """Return the new URL for each expired link, or None.

        All are asked for at the same time.
        """
        now = time.time()
        urls = dict.fromkeys(attachment.url for attachment in self._attachments if attachment.data is None)
        expired = [url for url in urls if (end := expires_at(url)) is not None and end + EXPIRY_GRACE < now]
        fresh: Mapping[str, str] = {}
        if expired and self._tools.refresh is not None:
            try:
                with anyio.move_on_after(self._tools.terms.limits.timeout), foreign():
                    fresh = dict(await self._tools.refresh(expired))
            except Exception as error:  # noqa: BLE001  # the caller's own: its links stay expired, the rest goes on
                self._tools.observer.refresh_failed(len(expired), error)
        return {url: None if (new := fresh.get(url)) is None else str(new) for url in expired}


def _judged_by(accepted: Accepted, attachment: Attachment) -> Hashable:
    """Return what decides, beside the bytes, whether a call wants an attachment."""
    # one URL may be claimed to be several things, but a stream is read once
    return accepted.types, None if is_stream(attachment) else claim_of(attachment)


def _admits(accepted: Accepted, result: _Result, attachment: Attachment) -> bool:
    """Tell whether a call wants what another one has got. What it does not want stays for that one."""
    return not isinstance(result, StagedFile) or accepted.admits(replace(result, attachment=attachment))


def _passes(result: _Result) -> bool:
    """Tell whether this is a failure that may not last."""
    return getattr(result, "retryable", False) or getattr(result, "reason", "") in _OURS


def request_of(attachment: Attachment) -> Hashable:
    """Return what is equal for attachments that ask for the same."""
    if is_local(attachment):
        return identity(attachment)
    return attachment.url, tuple(sorted(attachment.headers.items()))


def _skipped(attachment: Attachment, reason: Literal["link", "embed", "type"]) -> Skipped:
    return Skipped(attachment=attachment, name=display_name(attachment), reason=reason)
