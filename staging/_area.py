"""`StagingArea`: the scope of an application. Opens what is worth sharing once, hands out stages."""

import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self

from staging._errors import StageClosedError
from staging._events import Event
from staging._models import Limits, require_number
from staging._net.client import AsyncClient
from staging._net.policy import UrlPolicy
from staging._resources import Resources, open_resources
from staging._stage import AttachmentStage, Refresh, lend, require_arguments


class StagingArea:
    """Warm connections, one limit on concurrency, one byte budget and one root for all stages of a process.

    The root is made at entry if it is missing, and swept of what dead processes left there. At exit everything that
    this area made is gone, stages that are still open included, and nothing else is touched.

    Args:
        temp_dir: root under which the workspaces are made; None: the system's temporary directory.
        limits: the numbers for every stage that brings none of its own. ``concurrency`` also holds over all
            stages together.
        policy: what may be contacted; one for the area, since its connections are shared.
        client: a client of your own, as for `AttachmentStage`.
        tls: an SSL context that trusts what you trust, as for `AttachmentStage`.
        max_total_mb: MB that all stages together may hold; what does not fit fails with ``budget``. None: each stage
            only by its own limits.

    Raises:
        TypeError: if `limits`, `policy`, `client` or `tls` is something else than it should be.
        ValueError: if `max_total_mb` is nonsense, or `tls` stands beside `client`.
    """

    def __init__(
        self,
        temp_dir: str | PathLike[str] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        policy: UrlPolicy = UrlPolicy.discord(),  # noqa: B008  # frozen
        client: AsyncClient | None = None,
        tls: ssl.SSLContext | None = None,
        max_total_mb: float | None = None,
    ) -> None:
        require_arguments(limits=limits, policy=policy, client=client, tls=tls)
        if max_total_mb is not None:
            require_number("max_total_mb", max_total_mb, zero=False)
        self._limits = limits
        self._policy = policy
        self._open: Callable[[], AbstractAsyncContextManager[Resources]] = partial(
            open_resources, temp_dir, limits=limits, policy=policy, client=client, tls=tls, max_total_mb=max_total_mb
        )
        self._owner = os.getpid()
        self._entered = False
        self._scope = AsyncExitStack()
        self._resources: Resources | None = None
        self._stages: set[AttachmentStage] = set()  # those that are open

    async def __aenter__(self) -> Self:
        """Make and sweep the root.

        Raises:
            WorkspaceError: if the root cannot be made or written, or is no directory.
            TypeError: if `temp_dir` is no path.
            StageClosedError: if this area has been entered before.
        """
        if self._entered:
            raise StageClosedError("an area lives once: make a new one")
        self._entered = True
        self._resources = await self._scope.enter_async_context(self._open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stages that are still open, and the connections."""
        self._resources = None
        for stage in list(self._stages):
            await stage.aclose()
        await self._scope.aclose()

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
            ValueError: if `max_mb` is nonsense.
        """
        if self._resources is None or os.getpid() != self._owner:
            raise StageClosedError("the area is not open: use it inside `async with`, in the process that entered it")
        numbers = self._limits if limits is None else limits
        stage = AttachmentStage(
            max_mb=max_mb, limits=numbers, policy=self._policy, label=label, on_event=on_event, refresh=refresh
        )
        return lend(stage, partial(self._borrow, stage))

    @asynccontextmanager
    async def _borrow(self, stage: AttachmentStage) -> AsyncIterator[Resources]:
        """Know the stage while it is open."""
        if self._resources is None:
            raise StageClosedError("the area is closed")
        self._stages.add(stage)
        try:
            yield self._resources
        finally:
            self._stages.discard(stage)

    if not TYPE_CHECKING:  # a type checker would take it for leave to ask for anything

        def __getattr__(self, name: str) -> object:
            """Say what was meant by a name that only a stage has."""
            meant = hasattr(AttachmentStage, name) and not name.startswith("_")
            hint = "; a stage has: `async with area.stage() as stage`" if meant else ""
            raise AttributeError(f"an area has no {name!r}{hint}", name=name, obj=self)

    def __repr__(self) -> str:
        if self._resources is None:
            return f"<StagingArea {'closed' if self._entered else 'new'}>"
        return f"<StagingArea open: {len(self._stages)} stages in {self._resources.root}>"
