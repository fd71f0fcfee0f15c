"""Blocking work in threads of our own, and endings that no cancellation skips.

Theory of operation. asyncio cancels a task by raising in it, once for each `Task.cancel()`; no shield of anyio holds
that. A cancelled task loses what its thread returns. So three rules hold everywhere in this library:

1. An ending runs in a task of its own, which no caller's cancellation reaches, and is awaited again after each one
   (`outlast`). The cancellation is raised when the ending is done. On trio a shield is enough.
2. A thread that was started is awaited in the same way (`in_thread`), unless it makes nothing (`abandon`).
3. What a thread makes has an owner before the thread returns. The function puts it into an object that is emptied at
   the end, whether a caller still waits or not.

The threads are our own, not those that an application shares among its libraries: a slow look-up or a hung disk takes
no place from other libraries. Idle threads end at once, so that nothing of ours is left when a scope ends. A thread
that hangs in a system call is a daemon and does not hold up the interpreter.

Going to a thread and back costs more than writing a small file. `DiskQueue` therefore takes many jobs along: 300 files
of 16 KB cost 240 us of CPU each, and 490 to 540 with a trip for each file.
"""

import contextlib
import contextvars
import copy
import errno
import functools
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio

from staging._errors import WorkspaceError

if TYPE_CHECKING:
    import asyncio

_LINGER = 0.02  # seconds for which an idle thread waits for its next job
_AGAIN = 3  # times that an ending is begun again when a loop that shuts down cancels every task, the ending's too
_HANGS = 10.0  # seconds after which a cancelled caller takes its thread for one that hangs
_GRACE = 1.0  # seconds for an ending that is out of time to give up

_JOBS = 16  # that one trip does at most, since all wait for its end

T = TypeVar("T")


class _Threads:
    """Idle threads, which the next jobs use again.

    Their number has no limit here, since the callers limit their jobs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Callable[[], None]]] = []

    def start(self, work: Callable[[], None]) -> None:
        """Run `work`, which does not raise, in a thread.

        Raises:
            WorkspaceError: ``storage``, if the process can have no further thread.
        """
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is not None:
            inbox.put(work)
            return
        inbox = queue.SimpleQueue()
        inbox.put(work)
        try:
            threading.Thread(target=self._serve, args=(inbox,), name="staging", daemon=True).start()
        except RuntimeError as error:
            detail = "no further thread can be started just now"
            raise WorkspaceError("storage", detail, errno.EAGAIN, retryable=True) from error

    def _serve(self, inbox: "queue.SimpleQueue[Callable[[], None]]") -> None:
        while True:
            try:
                work = inbox.get(timeout=_LINGER)
            except queue.Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                continue  # `start` has just taken this thread, and its work is about to arrive
            work()
            del work  # an idle thread keeps nothing alive
            with self._lock:
                self._idle.append(inbox)


_threads = _Threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.__init__)  # type: ignore[misc]  # a child has none of its parent's threads


def loop_of_asyncio() -> "asyncio.AbstractEventLoop | None":
    """Return the event loop that runs here, or None on trio.

    asyncio is not imported for it: that would be a fifth of `import staging`, and where it runs it is there.
    """
    in_trio_task = getattr(sys.modules.get("trio.lowlevel"), "in_trio_task", None)  # another thread may import it now
    if in_trio_task is not None and in_trio_task():
        return None
    loop: asyncio.AbstractEventLoop = sys.modules["asyncio"].get_running_loop()
    return loop


def waker() -> Callable[[Callable[[], object]], object]:
    """Return what runs a function in this event loop.

    It may be called from any thread. It raises `RuntimeError` when the loop has ended.
    """
    if (loop := loop_of_asyncio()) is not None:
        return loop.call_soon_threadsafe
    run: Callable[[Callable[[], object]], object] = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon
    return run


def timer() -> Callable[[], float]:
    """Return what tells the time of this event loop.

    `anyio.current_time` asks at each call which loop it is, which takes ten times as long.
    """
    if (loop := loop_of_asyncio()) is not None:
        return loop.time
    now: Callable[[], float] = sys.modules["trio"].current_time
    return now


async def checkpoint() -> None:
    """Let the other tasks of the loop run."""
    await anyio.sleep(0)  # noqa: ASYNC115  # `anyio.lowlevel` would be a millisecond of `import staging`


@contextlib.contextmanager
def foreign() -> Iterator[None]:
    """Run code of the caller's, and let no cancellation of its own be ours.

    It may wait for a task that was cancelled. On asyncio, what it raises then looks as if this task were cancelled.

    Raises:
        RuntimeError: in place of such a cancellation.
    """
    try:
        yield
    except BaseException as error:
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or not isinstance(error, asyncio.CancelledError) or asyncio.current_task().cancelling():
            raise
        raise RuntimeError("what it waited for was cancelled") from error


class _Job:
    """A call for a thread, and what became of it."""

    __slots__ = ("_args", "_function", "error", "result", "told", "wanted")

    def __init__(self, function: Callable[..., object], args: tuple[object, ...]) -> None:
        self._function = function
        self._args = args
        self.wanted = True
        self.told: Callable[[], object]  # called in the event loop when the job has ended
        self.error: BaseException | None = None
        self.result: object = None

    def run(self) -> None:
        if self.wanted:
            try:
                self.result = self._function(*self._args)
            except BaseException as error:  # noqa: BLE001  # raised where the job is awaited
                self.error = error

    def outcome(self) -> Any:
        if self.error is None:
            return self.result
        error, self.error = self.error, None  # a kept error would be a cycle, since its frames refer to this job
        raise error


async def in_thread(
    function: Callable[..., T], *args: Any, abandon: bool = False, stop: Callable[[], object] | None = None
) -> T:
    """Return ``function(*args)``, run in a thread.

    A cancelled caller waits until the function has ended, for ten seconds at most, and is cancelled then. The result is
    lost, so `function` itself must put what it makes into an object that is emptied at the end.

    Args:
        function: blocks.
        args: its arguments.
        abandon: leave the thread to end by itself when the caller is cancelled.
        stop: called when the caller is cancelled; asks the function to end soon.

    Raises:
        WorkspaceError: ``storage``, if the process can have no further thread.
    """
    job, ended, wake = _Job(function, args), anyio.Event(), waker()
    context = contextvars.copy_context()  # a log line of the function has its caller's context

    def work() -> None:
        context.run(job.run)
        _tell(wake, ended.set)

    _threads.start(work)
    try:
        await ended.wait()
    except BaseException:
        if stop is not None:
            stop()
        if not abandon:
            await outlast(ended.wait, seconds=_HANGS)
        raise
    return cast("T", job.outcome())


class Background:
    """A function that runs in a thread without a waiting caller.

    The function must not raise.

    Raises:
        WorkspaceError: ``storage``, if the process can have no further thread.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._ended, wake = anyio.Event(), waker()

        def work() -> None:
            function()
            _tell(wake, self._ended.set)

        _threads.start(work)

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds` until the function has ended."""
        with anyio.move_on_after(seconds):
            await self._ended.wait()


def _tell(wake: Callable[[Callable[[], object]], object], function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all that waited
        wake(function)


async def outlast(function: Callable[..., Awaitable[T]], *args: Any, seconds: float = float("inf")) -> T | None:
    """Return ``await function(*args)``, even if the caller is cancelled meanwhile.

    The cancellation is raised afterwards.

    Args:
        function: the ending. When asyncio shuts a loop down it cancels every task; then it is called once more, and
            must go on where it was.
        args: its arguments.
        seconds: after so long it is cancelled, and None is returned.
    """
    if (loop := loop_of_asyncio()) is not None:
        return await _outlast_on_asyncio(loop, function, args, loop.time() + seconds)
    with anyio.move_on_after(seconds, shield=True):
        return await function(*args)
    return None


async def _outlast_on_asyncio(
    loop: "asyncio.AbstractEventLoop", function: Callable[..., Awaitable[T]], args: tuple[Any, ...], end: float
) -> T | None:
    import asyncio  # noqa: PLC0415  # as in `loop_of_asyncio`

    cancelled: asyncio.CancelledError | None = None
    task: asyncio.Task[T] | None = None
    with anyio.CancelScope(shield=True):  # a cancelled scope of anyio would raise at each await, again and again
        for _ in range(_AGAIN):
            task = asyncio.ensure_future(_awaited(function, args))
            cancelled = await _wait(task, end, cancelled)
            if not task.done():
                task.cancel()
                cancelled = await _wait(task, loop.time() + _GRACE, cancelled)
                break
            if not task.cancelled():
                break
    if cancelled is not None:
        if task is not None and task.done() and not task.cancelled():
            task.exception()  # seen: the cancellation is what is raised
        raise cancelled
    if task is None or not task.done() or task.cancelled():
        return None
    return task.result()


async def _awaited(function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    return await function(*args)


async def _wait(
    task: "asyncio.Task[Any]", end: float, cancelled: "asyncio.CancelledError | None"
) -> "asyncio.CancelledError | None":
    """Wait for `task`, and return the last cancellation of the caller.

    The wait ends when the task is done or the time is over.
    """
    import asyncio  # noqa: PLC0415  # as in `loop_of_asyncio`

    loop = asyncio.get_running_loop()
    while not task.done() and (left := end - loop.time()) > 0:
        try:
            await asyncio.wait({task}, timeout=None if left == float("inf") else left)
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


class DiskQueue:
    """Runs the blocking jobs of one stage in one thread.

    It is made in the stage's event loop. Jobs run in the order in which they came. A trip to the thread takes every job
    along, and departs when a round of the event loop has brought no further one. A disk that hangs holds up the one
    thread of the one stage.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Job] = deque()
        self._under_way = False
        self._loop = loop_of_asyncio()

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Return ``function(*args)``, run in the thread.

        Cancellation is not held up. A job that has not begun never begins, and one that has is left to end by itself.
        So `function` must own what it opens.

        Raises:
            WorkspaceError: ``storage``, if the process can have no further thread.
        """
        job = _Job(function, args)
        ended: Awaitable[None]
        if self._loop is None:
            job.told, ended = (event := anyio.Event()).set, event.wait()
        else:  # an event of anyio costs a twentieth of a small file's time: three objects, which ask for the loop
            ended = future = self._loop.create_future()
            job.told = lambda: None if future.done() else future.set_result(None)  # it is cancelled with its task
        self._waiting.append(job)
        if not self._under_way:
            self._under_way = True
            self._depart(0)
        try:
            await ended
        finally:
            job.wanted = False
        result: T = job.outcome()
        return result

    def _depart(self, before: int) -> None:
        """Start a trip, or wait for another round that may bring more.

        Args:
            before: jobs that waited a round ago.
        """
        if len(self._waiting) > before:
            again = functools.partial(self._depart, len(self._waiting))
            if self._loop is not None:
                self._loop.call_soon(again)  # `waker` would write to the loop's own pipe
            else:
                waker()(again)
            return
        wake, done = waker(), list[_Job]()

        def work() -> None:
            while self._waiting and len(done) < _JOBS:  # those too that come meanwhile
                job = self._waiting.popleft()
                job.run()
                done.append(job)
            _tell(wake, arrive)

        def arrive() -> None:
            self._under_way = bool(self._waiting)
            for job in done:
                job.told()
            if self._waiting:
                self._depart(0)

        try:
            _threads.start(work)
        except WorkspaceError as error:
            while self._waiting:
                done.append(self._waiting.popleft())
                done[-1].error = copy.copy(error)
            arrive()
