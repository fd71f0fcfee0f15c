"""Blocking work in threads: nothing is lost, nothing is left, and no thread is an application's."""

import asyncio
import contextvars
import sys
import threading
import types

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from staging import WorkspaceError
from staging import _threads as threads_module
from staging._threads import DiskQueue, in_thread, loop_of_asyncio, outlast


async def test_a_function_runs_in_a_thread_with_its_callers_context_and_its_error_comes_back():
    name = contextvars.ContextVar("name")
    name.set("mine")

    def look():
        return name.get(), threading.current_thread().name

    assert await in_thread(look) == ("mine", "staging")
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_threads_are_not_those_that_an_application_shares():
    limiter = anyio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    release = threading.Event()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, release.wait)
            await anyio.lowlevel.checkpoint()
            assert await in_thread(int) == 0
            release.set()
    finally:
        limiter.total_tokens = before


@pytest.mark.parametrize("abandon", [False, True])
async def test_a_cancelled_caller_waits_for_its_thread_unless_that_is_abandoned(abandon):
    begun, release, ended = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        release.wait(10)
        ended.append(True)

    async with anyio.create_task_group() as group:

        async def call():
            try:
                await in_thread(work, abandon=abandon)
            finally:
                left.append(bool(ended))

        left = []
        group.start_soon(call)
        await anyio.to_thread.run_sync(begun.wait)
        threading.Timer(0.05, release.set).start()
        group.cancel_scope.cancel()
    assert left == [not abandon]


async def test_no_further_thread_is_one_retryable_error(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(WorkspaceError, match="no further thread") as caught:
        await in_thread(int)
    assert caught.value.reason == "storage"
    assert caught.value.retryable
    with pytest.raises(WorkspaceError):
        await DiskQueue().run(int)


async def test_an_ending_is_bounded():
    async def hang():
        await anyio.sleep(60)

    with anyio.fail_after(10):
        assert await outlast(hang, seconds=0.05) is None


async def test_the_queue_takes_along_what_is_ready_and_keeps_the_order(monkeypatch):
    trips, done = [], []
    start = threads_module._threads.start
    monkeypatch.setattr(threads_module._threads, "start", lambda work: (trips.append(1), start(work)))
    disk = DiskQueue()
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(disk.run, done.append, number)
    assert sorted(done) == list(range(20))
    assert len(trips) < 5
    assert await disk.run(int) == 0


async def held(disk, group):
    """Let a job hold the queue's thread, and return the event that lets it go."""
    begun, release = threading.Event(), threading.Event()

    def hold():
        begun.set()
        release.wait(10)

    group.start_soon(disk.run, hold)
    await anyio.to_thread.run_sync(begun.wait)
    return release


async def test_a_trip_takes_along_what_comes_while_it_is_under_way(monkeypatch):
    trips, done = [], []
    start = threads_module._threads.start
    disk = DiskQueue()
    async with anyio.create_task_group() as group:
        release = await held(disk, group)
        monkeypatch.setattr(threads_module._threads, "start", lambda work: (trips.append(1), start(work)))
        for number in range(5):
            group.start_soon(disk.run, done.append, number)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert sorted(done) == list(range(5))
    assert trips == []


async def test_a_trip_ends_although_jobs_keep_coming(monkeypatch):
    monkeypatch.setattr(threads_module, "_JOBS", 3)
    disk, done = DiskQueue(), []
    async with anyio.create_task_group() as group:
        release = await held(disk, group)
        for number in range(20):
            group.start_soon(disk.run, done.append, number)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert sorted(done) == list(range(20))


async def test_a_job_of_a_cancelled_task_that_has_not_begun_never_begins_and_the_others_are_not_held_up():
    disk, done = DiskQueue(), []
    async with anyio.create_task_group() as group:
        release = await held(disk, group)
        async with anyio.create_task_group() as cancelled:
            cancelled.start_soon(disk.run, done.append, "cancelled")
            await anyio.lowlevel.checkpoint()
            cancelled.cancel_scope.cancel()
        group.start_soon(disk.run, done.append, "kept")
        await anyio.lowlevel.checkpoint()
        release.set()
    assert done == ["kept"]


async def test_a_trip_departs_although_the_task_that_called_for_it_is_cancelled():
    disk, done = DiskQueue(), []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, anyio.create_task_group() as cancelled:
            cancelled.start_soon(disk.run, done.append, "cancelled")
            group.start_soon(disk.run, done.append, "kept")
            await anyio.lowlevel.checkpoint()
            cancelled.cancel_scope.cancel()
    assert "kept" in done


async def test_a_disk_that_hangs_holds_up_its_own_queue_alone():
    release = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(DiskQueue().run, release.wait)
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(10):
            assert await DiskQueue().run(int) == 0
        release.set()


def test_asyncio_is_seen_where_trio_is_its_guest():
    async def main():
        loop = asyncio.get_running_loop()
        begun, over, ended, seen = asyncio.Event(), trio.Event(), asyncio.Event(), []

        async def guest():
            seen.append(loop_of_asyncio())
            begun.set()
            await over.wait()

        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda _: ended.set(),
            host_uses_signal_set_wakeup_fd=True,
        )
        await begun.wait()
        seen.append(loop_of_asyncio())
        over.set()
        await ended.wait()
        assert seen == [None, loop]

    asyncio.run(main())


def test_asyncio_is_seen_while_another_thread_imports_trio(monkeypatch):
    for name in ("trio", "trio.lowlevel"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))  # half-imported
    assert asyncio.run(in_thread(int)) == 0
