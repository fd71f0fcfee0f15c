"""The scope of an application, from which its stages come.

`StagingArea` opens once what its stages share. `_scope` makes sure that it ends. Its stages end before it, including
those that are being entered.
"""

import ssl
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Self

import anyio

from staging._batch import Refresh
from staging._errors import StageClosedError
from staging._events import Event
from staging._models import AreaStats, Limits
from staging._net.client import AsyncClient
from staging._net.policy import UrlPolicy
from staging._resources import Options, Resources, open_resources
from staging._scope import Call, Scope
from staging._stage import AreaStage, AttachmentStage

SWEEP_SECONDS = 10.0  # for which the start of an application waits for the sweep of its root


class _Holdings:
    """What an area owns, and the stages that use it."""

    def __init__(self) -> None:
        self.resources: Resources | None = None
        self.stages: set[AttachmentStage] = set()  # those that have been entered, and have not ended
        self.over = False

    async def lend(self, stage: AttachmentStage) -> Resources:
        if self.over or self.resources is None:
            raise StageClosedError("the area is closed")
        self.stages.add(stage)
        return self.resources

    def take_back(self, stage: AttachmentStage) -> None:
        self.stages.discard(stage)

    def drop(self) -> None:
        self.over = True
        if self.resources is not None:
            self.resources.close()


class StagingArea(Scope):
    """Warm connections, limits and one root for all stages of a process.

    One limit on concurrency and one byte budget hold over all of its stages. The root is made at entry if it is
    missing, and swept of what dead processes left there. At exit everything that this area made is gone, stages that
    are still open included, and nothing else is touched.

    Args:
        temp_dir: root under which the workspaces are made; None: the system's temporary directory.
        limits: the numbers for every stage that brings none of its own. ``concurrency`` also holds over all
            stages together.
        policy: what may be contacted; one for the area, since its connections are shared.
        client: a client of your own, as for `AttachmentStage`.
        tls: an SSL context that trusts what you trust, as for `AttachmentStage`.
        group: a POSIX group whose members may read the files of all stages, as for `AttachmentStage`.
        max_total_mb: MB that all stages together may hold; what does not fit fails with ``budget``. None: each stage
            only by its own limits.

    Raises:
        TypeError: if `limits`, `policy`, `client`, `tls` or `group` is something else than it should be.
        ValueError: if `max_total_mb` or `group` is not valid, or `tls` stands beside `client`.
    """

    _a, _the = "an area", "the area"

    def __init__(
        self,
        temp_dir: str | PathLike[str] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        policy: UrlPolicy = UrlPolicy.discord(),  # noqa: B008  # frozen
        client: AsyncClient | None = None,
        tls: ssl.SSLContext | None = None,
        group: int | str | None = None,
        max_total_mb: float | None = None,
    ) -> None:
        self._options = Options(
            temp_dir=temp_dir,
            limits=limits,
            policy=policy,
            client=client,
            tls=tls,
            group=group,
            max_total_mb=max_total_mb,
        ).checked()
        self._mine = _Holdings()
        super().__init__(self._mine)

    async def __aenter__(self) -> Self:
        """Make and sweep the root.

        Raises:
            WorkspaceError: if the root cannot be made or written, or is no directory, or files cannot be given to
                `group`.
            TypeError: if `temp_dir` is no path.
            StageClosedError: if this area has been entered before.
        """
        return await super().__aenter__()

    async def _enter(self) -> None:
        self._mine.resources = resources = await open_resources(self._options)
        await resources.sweep.wait(SWEEP_SECONDS)

    async def _leave(self, calls: tuple[Call, ...]) -> None:
        """Close the stages that live, all at once, and the connections."""
        self._mine.over = True
        for call in calls:
            await call.ended.wait()
        async with anyio.create_task_group() as group:
            for stage in list(self._mine.stages):
                group.start_soon(stage.aclose)
        self._mine.drop()

    def stage(
        self,
        max_mb: float | None = None,
        *,
        limits: Limits | None = None,
        label: str = "",
        on_event: Callable[[Event], None] | None = None,
        refresh: Refresh | None = None,
    ) -> AttachmentStage:
        """Return a new stage of this area, to be entered once.

        Args:
            max_mb: shortcut for ``limits.max_mb``.
            limits: the numbers of this stage; None: the area's. A ``concurrency`` here comes on top of the area's.
            label: for log lines, as for `AttachmentStage`.
            on_event: called with every event of this stage, as for `AttachmentStage`.
            refresh: asked for new URLs of expired links, as for `AttachmentStage`.

        Raises:
            StageClosedError: if the area is not open.
            TypeError: if `limits` or `on_event` is something else than it should be.
            ValueError: if `max_mb` is not valid.
        """
        self._must_be_open()
        return AreaStage(
            self._mine,
            max_mb=max_mb,
            limits=self._options.limits if limits is None else limits,
            policy=self._options.policy,
            label=label,
            on_event=on_event,
            refresh=refresh,
        )

    def stats(self) -> AreaStats:
        """Return what the area is doing, and has done since its entry.

        Raises:
            StageClosedError: if the area is not open.
        """
        self._must_be_open()
        resources = self._mine.resources
        assert resources is not None  # noqa: S101  # what an open area has
        done = resources.counters
        return AreaStats(
            stages_open=len(self._mine.stages),
            downloads_running=resources.turns.running,
            downloads_waiting=resources.turns.waiting,
            bytes_held=resources.budget.used,
            staged=done.staged,
            bytes_staged=done.bytes,
            failures=done.failures,
            removed=done.removed,
            leftovers=done.leftovers,
            orphans_swept=done.orphans,
        )

    if not TYPE_CHECKING:  # with it, a type checker would accept every name

        def __getattr__(self, name: str) -> object:
            """Raise, with a hint if only a stage has the name."""
            meant = hasattr(AttachmentStage, name) and not name.startswith("_")
            hint = "; a stage has: `async with area.stage() as stage`" if meant else ""
            raise AttributeError(f"an area has no {name!r}{hint}", name=name, obj=self)

    def __repr__(self) -> str:
        where = (
            "" if self._mine.resources is None else f": {len(self._mine.stages)} stages in {self._mine.resources.root}"
        )
        return f"<StagingArea {self._state}{where if self._state == 'open' else ''}>"
