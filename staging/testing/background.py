"""Run a server in a task that belongs to the event loop.

It does not belong to the task that starts it.

A task group may be left only by the task that entered it, and its cancel scope nests in that task's others. Fixtures
enter in one task and leave in another: pytest-asyncio runs the two halves of a fixture so. A task of the loop's own has
no such owner. When the loop ends first, it cancels the task, which then closes what it holds.
"""

import contextvars
import sys
from collections.abc import Awaitable, Callable

import anyio

from staging._threads import loop_of_asyncio, outlast


class Background:
    """Run an async function beside the tasks of the loop until `stop`.

    Args:
        function: runs until it is cancelled.
        cleanup: is called once at the end, also if `function` never began.
    """

    def __init__(self, function: Callable[[], Awaitable[object]], cleanup: Callable[[], object]) -> None:
        self._function = function
        self._cleanup = cleanup
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._error: Exception | None = None
        self._task = self._start()

    async def stop(self) -> None:
        """Cancel the function and wait for its end.

        It waits to the end even if the caller is cancelled meanwhile.

        Raises:
            Exception: what ended the function before its time.
        """
        self._scope.cancel()
        await outlast(self._ended.wait)
        if self._error is not None:
            raise self._error

    def _start(self) -> object:
        if (loop := loop_of_asyncio()) is None:
            spawn = sys.modules["trio"].lowlevel.spawn_system_task
            task: object = spawn(self._run_on_trio, context=contextvars.copy_context())
            return task
        task = loop.create_task(self._run())
        task.add_done_callback(self._end)  # a loop that shuts down may cancel a task before its first line
        return task  # asyncio itself holds a task weakly

    async def _run(self) -> None:
        try:
            with self._scope:  # within the try: what is raised here may be in one group with a cancellation
                await self._function()
        except Exception as error:  # noqa: BLE001  # raised where the server is left
            self._error = error

    async def _run_on_trio(self) -> None:
        try:
            await self._run()
        finally:
            self._end()

    def _end(self, _: object = None) -> None:
        self._cleanup()
        self._ended.set()
