"""Blocking jobs in a worker thread, several to a hop.

Theory of operation. Going to a thread and back costs more than writing a small file, so nobody goes alone: a job is put
into a queue, and whoever finds nobody under way goes, with every job that waits when the loop has gone round once.
Those that come meanwhile wait for the next hop, which one of them makes. Nobody depends on another's life: if the task
that went is cancelled, its thread finishes the jobs that it has begun with, and the next waiting task takes over the
rest.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

import anyio

T = TypeVar("T")


async def in_thread(
    function: Callable[..., T], *args: Any, abandon: bool = False, limiter: "anyio.CapacityLimiter | None" = None
) -> T:
    """Return ``function(*args)``, run in a worker thread.

    Args:
        function: blocks.
        args: its arguments.
        abandon: whether a cancelled task leaves the thread to end by itself; otherwise the task waits for it.
        limiter: whose turn it takes; None: that of all worker threads.
    """
    import anyio.to_thread  # noqa: PLC0415  # two milliseconds that `import staging` need not take

    return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=abandon, limiter=limiter)


class Hops:
    """Runs blocking jobs for many tasks, one at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[_Job] = deque()
        self._under_way = False
        self._returned = anyio.Event()
        self._one_thread = threading.Lock()  # an abandoned thread may still be at it

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Return ``function(*args)``, run in a worker thread.

        Cancellation is not held up: a job that has not begun never begins, and one that has is left to end by itself.
        So `function` must own what it opens.
        """
        job = _Job(function, args)
        self._waiting.append(job)
        try:
            while not job.ended:
                await (self._returned.wait() if self._under_way else self._hop())
        finally:
            job.wanted = False
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    async def _hop(self) -> None:
        self._under_way = True
        try:
            await anyio.sleep(0)  # noqa: ASYNC115  # whoever is ready now comes along, and leaves the thread the GIL
            await in_thread(self._work, abandon=True, limiter=anyio.CapacityLimiter(1))
        finally:
            self._under_way = False
            returned, self._returned = self._returned, anyio.Event()
            returned.set()

    def _work(self) -> None:
        with self._one_thread:
            for _ in range(len(self._waiting)):
                self._waiting.popleft().run()


class _Job:
    """A call, and what became of it."""

    __slots__ = ("_args", "_function", "ended", "error", "result", "wanted")

    def __init__(self, function: Callable[..., object], args: tuple[object, ...]) -> None:
        self._function = function
        self._args = args
        self.wanted = True
        self.ended = False
        self.error: BaseException | None = None
        self.result: object = None

    def run(self) -> None:
        if self.wanted:
            try:
                self.result = self._function(*self._args)
            except BaseException as error:  # noqa: BLE001  # raised where the job is awaited
                self.error = error
        self.ended = True
