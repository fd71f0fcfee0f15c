"""The scope of one use of attachments.

A stage opens one workspace, lends its tools to the calls of `download` (`_batch`), and removes the workspace when it is
left. `_scope` makes sure of that. What exists only while the stage is open is in one value, its `Tools`.
"""

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import anyio

from staging._batch import Batch, Ledger, Refresh, Tools
from staging._budget import Budget, Reservation
from staging._claims.accepted import Accepted
from staging._claims.intake import intake
from staging._context import context, notice
from staging._disk.removal import Removal
from staging._disk.workspace import Workspace
from staging._download import Terms
from staging._errors import StageClosedError, WorkspaceError
from staging._events import Event
from staging._models import Failure, Limits, Outcome, Skipped, StagedFile, require_number
from staging._net.client import AsyncClient
from staging._net.policy import UrlPolicy
from staging._observer import Observer
from staging._resources import Options, Resources, open_resources, require_limits, require_settings
from staging._scope import Call, Scope, quietly
from staging._text import format_size, one_line
from staging._threads import DiskQueue, in_thread
from staging._turns import Line

REMOVAL_SECONDS = 10.0  # for the whole end of a stage
CALLS_SHARE = 0.3  # of that, for calls in flight to end: removal begins then, whatever still runs
SWEEP_SECONDS = 0.05  # for which the entry of a lone stage waits for the sweep of its root


class Lender(Protocol):
    """Opens the resources of a stage.

    An area does that for its stages, and a lone stage does it for itself.
    """

    async def lend(self, stage: "AttachmentStage") -> Resources:
        """Return what the stage works with until `take_back`."""
        ...

    def take_back(self, stage: "AttachmentStage") -> None:
        """Learn that the stage has ended."""
        ...


class _Alone:
    """The resources of a stage that belongs to no area."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._resources: Resources | None = None

    async def lend(self, stage: "AttachmentStage") -> Resources:  # noqa: ARG002  # an area asks which
        self._resources = await open_resources(self._options)
        await self._resources.sweep.wait(SWEEP_SECONDS)
        return self._resources

    def take_back(self, stage: "AttachmentStage") -> None:  # noqa: ARG002  # the same
        self.close()

    def close(self) -> None:
        if self._resources is not None:
            self._resources.close()


class _Holdings:
    """What a stage owns, with the bytes that are counted for it."""

    def __init__(self, alone: _Alone | None) -> None:
        self.alone = alone
        self.workspace: Workspace | None = None
        self.removal: Removal | None = None
        self._over = False
        self._making = threading.Lock()
        self._removing = threading.Lock()
        self.reservations: list[tuple[Path, Reservation]] = []  # of what is staged

    def make(self, root: Path, group: int | None) -> None:
        """Make the workspace.

        It blocks. If the stage has ended meanwhile, the workspace is removed at once.

        Raises:
            WorkspaceError: if the disk or the root does not allow it.
            StageClosedError: if the stage has ended.
        """
        Workspace.create(root, self._own, group=group)

    def _own(self, workspace: Workspace) -> None:
        with self._making:
            if self._over:
                raise StageClosedError("the stage was closed while it was being entered")
            self.workspace = workspace

    def remove(self) -> Removal:
        """Block until this or an earlier call has removed the workspace, and return what came of it."""
        with self._making:
            self._over = True
        with self._removing:
            if self.removal is None:
                self.removal = Removal(0, ()) if self.workspace is None else self.workspace.remove()
            return self.removal

    def let_go(self) -> None:
        """Leave the rest of the workspace to the next sweep, without waiting."""
        if self.workspace is not None:
            self.workspace.let_go()

    def refund(self, path: Path | None = None) -> None:
        """Give back the bytes that are counted for one file, or all."""
        for place, reservation in self.reservations:
            if path is None or place == path:
                reservation.refund()

    def drop(self) -> None:
        self.refund()
        quietly(self.remove)
        if self.alone is not None:
            self.alone.close()


class AttachmentStage(Scope):
    """Attachments on disk for the time of an ``async with``.

    When the scope has ended, its files are gone, whatever ended it (return, exception, cancellation). After SIGKILL or
    a power cut they go when the next stage or area starts under the same root. Every attachment gets an outcome; a
    failing one never raises and never disturbs its siblings.

    Args:
        temp_dir: root under which the private workspace is made (and itself, if missing); None: the system's temporary
            directory.
        max_mb: shortcut for ``limits.max_mb``, in MB of 1,048,576 bytes.
        limits: the numbers.
        policy: what may be contacted; by default Discord's two hosts.
        client: a client of your own (proxies, mocks, HTTP/2). It decides which addresses it connects
            to, and you close it yourself. Without one, the environment (``HTTPS_PROXY``, ``.netrc``) is not used.
        tls: an SSL context that trusts what you trust; None: the system's store. With `client`, give it to that.
        group: number or name of a POSIX group whose members may read the files: a sandbox in which tools run, for one.
            Files get mode 0640 and directories 0750; what is made of the root gets 0710, while a root that is there
            keeps its mode. None: only this process's user reads them.
        label: for log lines: ``label="thread 42"`` gives ``... for thread 42``.
        on_event: a plain function, called with every `Event` in the event loop, so it must not block. If it raises,
            that is logged once and changes nothing.
        refresh: an async function, asked once per `download` for new URLs of all signed links that have expired;
            returns old -> new. If it raises, or leaves one out, those fail with ``expired``.

    Raises:
        TypeError: if `limits`, `policy`, `client`, `tls`, `group` or `on_event` is something else than it should be.
        ValueError: if `max_mb` or `group` is not valid, or `tls` stands beside `client`, which would not see it.
    """

    _a, _the = "a stage", "the stage"

    def __init__(
        self,
        temp_dir: str | PathLike[str] | None = None,
        max_mb: float | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        policy: UrlPolicy = UrlPolicy.discord(),  # noqa: B008  # frozen
        client: AsyncClient | None = None,
        tls: ssl.SSLContext | None = None,
        group: int | str | None = None,
        label: str = "",
        on_event: Callable[[Event], None] | None = None,
        refresh: Refresh | None = None,
    ) -> None:
        require_limits(limits)
        limits = limits if max_mb is None else replace(limits, max_mb=max_mb)
        options = Options(temp_dir=temp_dir, limits=limits, policy=policy, client=client, tls=tls, group=group)
        require_settings(on_event, label, refresh)
        alone = _Alone(options.checked())
        self._lender: Lender = alone
        self._mine = _Holdings(alone)
        super().__init__(self._mine)
        self._limits = limits
        self._observer = Observer(on_event, label)
        self._refresh = refresh
        self._ledger = Ledger()
        self._tools: Tools | None = None
        self._removal = Removal(0, ())

    # ── the scope ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        """Make the workspace.

        What dead processes left in the root is swept in the background.

        Raises:
            WorkspaceError: if the root cannot be made or written, or is no directory, or files cannot be given to
                `group`; nothing was downloaded.
            TypeError: if `temp_dir` is no path.
            StageClosedError: if this stage has been entered before, or is closed meanwhile.
        """
        return await super().__aenter__()

    async def _enter(self) -> None:
        resources = await self._lender.lend(self)
        await in_thread(self._mine.make, resources.root, resources.group)
        assert self._mine.workspace is not None  # noqa: S101  # it was just made, and this call has not been cancelled
        self._tools = Tools(
            resources=resources,
            terms=Terms(resources.send, resources.policy, self._limits, self._mine.workspace, DiskQueue()),
            budget=Budget(self._limits.max_total_bytes, "the stage"),
            line=Line(resources.turns),
            ledger=self._ledger,
            observer=self._observer,
            refresh=self._refresh,
            held=self._mine.reservations,
        )

    async def _leave(self, calls: tuple[Call, ...]) -> None:
        """End what is in flight and remove everything, in `REMOVAL_SECONDS` in all."""
        end = anyio.current_time() + REMOVAL_SECONDS
        if calls:
            with anyio.move_on_after(REMOVAL_SECONDS * CALLS_SHARE):
                for call in calls:
                    await call.ended.wait()
        self._removal = await self._remove(end)
        self._mine.refund()
        if self._tools is not None:
            self._tools.resources.counters.removed += self.removed
            self._tools.resources.counters.leftovers += len(self.leftovers)
            quietly(self._observer.ended, self._removal, str(self.directory))
        self._lender.take_back(self)

    async def _remove(self, end: float) -> Removal:
        """Remove the workspace in a thread.

        If the disk hangs, the thread is left to itself.
        """
        try:
            with anyio.CancelScope(deadline=end):
                return await in_thread(self._mine.remove, abandon=True)
        except WorkspaceError:  # no thread could be started: the event loop waits, since files must not stay
            return self._mine.remove()
        except Exception as error:  # noqa: BLE001  # it would mask the body's
            self._mine.let_go()
            return Removal(0, ((".", f"{type(error).__name__}: {error}"),))
        self._mine.let_go()
        return Removal(0, ((".", f"removal took over {REMOVAL_SECONDS:g} seconds"),))

    # ── downloading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def download(
        self,
        *sources: Any,
        timeout: float | None = None,  # noqa: ASYNC109  # what has arrived by then is staged
        accept: Sequence[str] | None = None,
    ) -> list[Outcome]:
        """Stage all attachments of `sources`, and return one outcome for each.

        They are fetched at the same time, and the outcomes are in the order of the input. A failing attachment is a
        `Failure`: it does not raise, and its siblings go on. Identical URLs are fetched once. This may be called
        several times, also at once; `outcomes` has the results of all calls.

        Args:
            sources: URLs (text or URL objects), also ``data:`` URLs; mappings and objects with a URL (attachments of
                Discord's libraries, files of Slack, Telegram and Teams); messages, with what they forward and reply to;
                `Attachment` values; bytes; objects with `read`, such as uploads and open files; a `Path`; iterables of
                any of these. None is nothing. Text is something to download and never a path; ``{"url": ..., "type":
                "url"}`` is a link. What has no file, such as the record of a deleted one, fails with ``invalid``.
            timeout: seconds for all of it; what has arrived by then is staged, the rest fails with ``deadline``. None:
                ``limits.batch_timeout``.
            accept: media types that are wanted, such as ``image/*``. What claims to be another (by its type, else by
                the extension) is not asked for, and what turns out to be another is removed: both are `Skipped` with
                the reason ``type``. None: all are wanted.

        Raises:
            TypeError: if an argument can be no source at all: a number, a class, a function.
            ValueError: if iterables are nested more than 16 deep, or `timeout` or `accept` is not valid.
            StageClosedError: if the stage is not open, or is closed meanwhile.
        """
        tools = self._opened()
        if timeout is not None:
            require_number("timeout", timeout, zero=False)
        seconds = self._limits.batch_timeout if timeout is None else timeout
        batch = Batch(tools, intake(*sources), seconds, None if accept is None else Accepted(accept))
        return await self._run(batch.run, told="the stage was closed while it was downloading")

    def _opened(self) -> Tools:
        self._must_be_open()
        assert self._tools is not None  # noqa: S101  # what an open stage has
        return self._tools

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All outcomes so far, in order of input."""
        return self._ledger.outcomes

    @property
    def files(self) -> tuple[StagedFile, ...]:
        """The outcomes that are staged files.

        Their paths are valid until the scope ends.
        """
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, StagedFile))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The outcomes that are failures."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failure))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The outcomes that were skipped, such as plain links and embeds."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Skipped))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The local paths of `files`, each once."""
        return tuple(dict.fromkeys(file.path for file in self.files))

    @property
    def directory(self) -> Path:
        """The absolute path of the private workspace.

        The directory is removed when the scope ends.

        Raises:
            StageClosedError: before the stage is entered.
        """
        if self._mine.workspace is None:
            self._must_be_open()
            raise StageClosedError("the stage never had a workspace")
        return self._mine.workspace.directory

    @property
    def removed(self) -> int:
        """How many staged files were deleted, known after the scope."""
        return self._removal.files

    @property
    def leftovers(self) -> tuple[tuple[str, str], ...]:
        """What could not be deleted, as pairs of name and reason.

        It is known after the scope, and left to the next sweep.
        """
        return self._removal.leftovers

    def context(
        self,
        *,
        urls: Literal["bare", "full", "hide"] = "bare",
        paths: bool = True,
        path_map: Mapping[str | PathLike[str], str | PathLike[str]] | None = None,
    ) -> str:
        """Return the context block for a language model.

        It has one entry for each outcome. Without outcomes it is the empty string.

        Args:
            urls: ``bare`` drops query and fragment (signatures are secrets), ``full`` keeps them, ``hide`` leaves the
                line out.
            paths: whether local paths are shown; they differ from run to run.
            path_map: host directory -> the directory as which a sandbox sees it; for the paths shown, not on disk.

        Raises:
            StageClosedError: outside the scope, where the paths lead nowhere.
            ValueError: if `urls` is none of the three.
        """
        self._must_be_open()
        return context(self.outcomes, urls=urls, paths=paths, path_map=path_map)

    def notice(self) -> str:
        """Return what to tell the sender about attachments that failed.

        Without failures it is the empty string. Safe to send as it is: at most 400 characters on one line, without
        mentions, markup, links or secrets. Works after the scope too.
        """
        return notice(self.outcomes)

    async def keep(self, file: StagedFile, destination: str | PathLike[str]) -> Path:
        """Move one staged file out of the scope, and return its new path.

        The move is atomic where the file system allows that.

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
        workspace = self._opened().terms.workspace
        given: Any = file  # a caller may ignore the annotation
        if not isinstance(given, StagedFile):
            raise TypeError(f"keep takes one of stage.files, not a {type(given).__qualname__}")
        if file.path in self._ledger.kept or file.path not in self.paths:
            raise ValueError(f"not a file of this stage: {file.name}")
        move = partial(self._move, workspace, file.path, Path(destination))
        self._ledger.kept.add(file.path)
        return await self._run(move, told="the stage was closed while a file was being kept")

    async def _move(self, workspace: Workspace, path: Path, destination: Path) -> Path:
        """Move a file out, and update every outcome that names it.

        That is done also if the caller is cancelled meanwhile.
        """
        moved: list[Path] = []
        stopped = threading.Event()
        try:
            keep = partial(workspace.keep, path, destination, moved.append, stop=stopped.is_set)
            await in_thread(keep, stop=stopped.set)
        finally:
            if moved:
                self._ledger.move(path, moved[0])
                self._mine.refund(path)
            else:
                self._ledger.kept.discard(path)
        return moved[0]

    def __repr__(self) -> str:
        counts = [f"{len(self.files)} file{'s' * (len(self.files) != 1)}"]
        if self.failures:
            counts.append(f"{len(self.failures)} failure{'s' * (len(self.failures) != 1)}")
        sizes = {file.path: file.size for file in self.files}
        counts.append(format_size(sum(sizes.values())))
        where = "" if self._tools is None else f" in {one_line(str(self._tools.terms.workspace.directory))}"
        return f"<AttachmentStage {self._state}: {', '.join(counts)}{where}>"


class AreaStage(AttachmentStage):
    """A stage that works with what its area has opened."""

    def __init__(self, lender: Lender, **settings: Any) -> None:
        super().__init__(**settings)
        self._lender = lender
        self._mine.alone = None
