"""Faults of cancellation, exceptions and misuse: C01 to C04. Whatever the moment, nothing is left.

The invariant of every test here: the outer scope gets its cancellation, the root is empty, no connection is open, and
(by the suite's own fixture) no task, thread or descriptor remains.
"""

import asyncio
import os
import random
import threading
import time

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
from conftest import LOOPS
from stepping import steps_of

from staging import AttachmentStage, Limits, StageClosedError, _stage
from staging._disk.workspace import Workspace
from staging.testing import Chunked, Drip, FakeCDN, Hold, Reply, Reset, assert_empty

RANDOM_CANCELLATIONS = int(os.environ.get("STAGING_CANCELLATIONS", "150"))  # 10,000 were run for the README


async def counted(coroutine, step):
    """The same as a native coroutine, which is what anyio asks of a task."""
    return await steps_of(coroutine, step)


class StepCounter(trio.abc.Instrument):
    """Calls `step` at each step of each task."""

    def __init__(self, step):
        self.step = step

    def task_scheduled(self, task):
        trio.lowlevel.current_trio_token().run_sync_soon(self.step)


def run_cancelled_at(loop_name, job, when):
    """Run `job` on a fresh loop, cancelling it at step number `when` of all its tasks; return the number of steps."""
    steps, scopes = 0, []

    def step():
        nonlocal steps
        steps += 1
        if steps == when:
            scopes[0].cancel()

    async def watched():
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            if loop_name == "trio":
                counter = StepCounter(step)
                trio.lowlevel.add_instrument(counter)
                try:
                    await job()
                finally:
                    trio.lowlevel.remove_instrument(counter)
            else:
                loop = asyncio.get_running_loop()
                loop.set_task_factory(lambda loop, coroutine, **more: asyncio.Task(
                    counted(coroutine, step), loop=loop, **more,
                ))  # fmt: skip
                await counted(job(), step)

    anyio.run(watched, backend=LOOPS[loop_name]["backend"])
    return steps


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_C01_cancelled_at_every_step_from_first_to_last(tmp_path, loop_name, tls):
    with FakeCDN.in_thread(host="localhost", tls=tls) as cdn:
        cdn.redirect("/a", "/b")
        cdn.serve("/b", bytes(1_200_000))
        cdn.serve("/c", b"x" * 5000, Chunked(1000))
        cdn.script("/d", *[Reply(b"123456", Reset(3)), Reply(b"123456")] * 500)
        tls_context = cdn.client_tls if tls else None
        urls = [cdn.url(path) for path in ("/a", "/c", "/d")]

        async def job():
            stage = AttachmentStage(tmp_path, limits=Limits(retries=1), policy=cdn.policy, tls=tls_context)
            async with stage:
                await stage.download(urls)
                stage.context()

        when = 1
        while run_cancelled_at(loop_name, job, when) >= when:
            assert_empty(tmp_path)
            when += 1
        cdn.call(cdn.disconnected)
        assert when > 30


async def test_C01_cancelled_at_random_moments(tmp_path):
    """Many stages, each cancelled at a moment of its own, beside one that is not disturbed."""
    async with FakeCDN() as cdn:
        urls = [cdn.serve(f"/{n}", bytes(n * 30_000)) for n in range(4)]
        urls.append(cdn.serve("/slow", bytes(2000), Drip(100, every=0.001)))
        dice = random.Random(7)

        async def one():
            with anyio.move_on_after(dice.uniform(0, 0.03)):
                async with AttachmentStage(tmp_path, limits=Limits(retries=0), policy=cdn.policy) as stage:
                    await stage.download(urls)

        async with AttachmentStage(tmp_path, policy=cdn.policy) as calm:
            for _ in range(RANDOM_CANCELLATIONS // 10):
                async with anyio.create_task_group() as group:
                    for _ in range(10):
                        group.start_soon(one)
                assert [path for path in tmp_path.iterdir() if path != calm.directory] == []
            assert all(outcome.downloaded for outcome in await calm.download(urls))
        await cdn.disconnected()
    assert_empty(tmp_path)


def held_removal(monkeypatch):
    """Let the next removal wait; return the events that say it has begun, and let it go on."""
    removing, go_on = threading.Event(), threading.Event()
    remove = Workspace.remove

    def held(self):
        removing.set()
        go_on.wait(10)
        return remove(self)

    monkeypatch.setattr(Workspace, "remove", held)
    return removing, go_on


async def test_C02_a_second_cancellation_during_cleanup_changes_nothing(tmp_path, monkeypatch):
    removing, go_on = held_removal(monkeypatch)
    async with FakeCDN() as cdn, anyio.create_task_group() as group:
        url = cdn.serve("/a", b"x")

        async def job(scope):
            with scope:
                async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                    await stage.download(url)
                    scope.cancel()
                    try:
                        await anyio.lowlevel.checkpoint()
                    except anyio.get_cancelled_exc_class():
                        cancelled.append(True)
                        raise

        cancelled = []
        inner = anyio.CancelScope()
        group.start_soon(job, inner)
        await anyio.to_thread.run_sync(removing.wait)
        inner.cancel()
        group.cancel_scope.cancel()
        go_on.set()
    assert cancelled == [True]
    assert_empty(tmp_path)


async def test_C02_deadline_already_past_and_nested_scopes(tmp_path):
    with anyio.move_on_after(-1) as outer:
        async with AttachmentStage(tmp_path):
            pytest.fail("entered")
    assert outer.cancelled_caught
    with anyio.CancelScope() as outer:
        with anyio.CancelScope() as inner:
            async with AttachmentStage(tmp_path):
                outer.cancel()
                await anyio.lowlevel.checkpoint()
        assert not inner.cancelled_caught or inner.cancel_called
    assert outer.cancelled_caught
    assert_empty(tmp_path)


async def test_C02_a_sibling_that_fails_ends_the_stage_cleanly(tmp_path):
    async with FakeCDN() as cdn:
        gate = Hold(1)
        url = cdn.serve("/a", b"123", gate)

        async def sibling():
            await gate.reached()
            raise LookupError("sibling")

        async def job():
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                await stage.download(url)

        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(job)
                group.start_soon(sibling)
        assert [type(error) for error in caught.value.exceptions] == [LookupError]
    assert_empty(tmp_path)


def test_C02_asyncio_timeout_around(tmp_path):
    async def main():
        async with FakeCDN() as cdn:
            url = cdn.serve("/a", b"123", Hold(1))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                    await stage.download(url)
            assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())
    assert_empty(tmp_path)


async def test_C02_cleanup_is_bounded_even_with_a_stuck_disk(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(_stage, "REMOVAL_SECONDS", 0.2)
    release, ended = threading.Event(), threading.Event()
    remove = Workspace.remove

    def stuck(self):
        release.wait(30)
        try:
            return remove(self)
        finally:
            ended.set()

    monkeypatch.setattr(Workspace, "remove", stuck)
    began = time.monotonic()
    async with AttachmentStage(tmp_path) as stage:
        pass
    assert time.monotonic() - began < 5
    assert stage.leftovers
    assert any("next sweep" in record.getMessage() for record in caplog.records)
    release.set()
    await anyio.to_thread.run_sync(ended.wait)
    assert_empty(tmp_path)


class OwnError(BaseException):
    """Not an `Exception`: nothing may swallow it."""


@pytest.mark.parametrize("error", [
    ValueError("x"), OwnError("x"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), MemoryError(),
    ExceptionGroup("many", [ValueError("a"), OSError("b")]),
], ids=lambda error: type(error).__name__)  # fmt: skip
async def test_C03_the_bodys_exception_is_the_one_that_comes_out(tmp_path, error):
    with pytest.raises(type(error)) as caught:
        async with AttachmentStage(tmp_path) as stage:
            (stage.directory / "extra").write_text("left by the body")
            raise error
    assert caught.value is error
    assert_empty(tmp_path)


async def test_C03_a_cleanup_error_never_masks_it_and_never_raises(tmp_path, monkeypatch, caplog):
    def broken(self):
        raise RuntimeError("cleanup")

    monkeypatch.setattr(Workspace, "remove", broken)
    stages = []
    with pytest.raises(ValueError, match="mine"):
        async with AttachmentStage(tmp_path) as stage:
            stages.append(stage)
            raise ValueError("mine")
    async with AttachmentStage(tmp_path) as stage:
        stages.append(stage)
    assert [bool(stage.leftovers) for stage in stages] == [True, True]
    assert sum("Could not remove" in record.getMessage() for record in caplog.records) == 2
    monkeypatch.undo()
    for stage in stages:
        stage._mine.workspace.remove()
    assert_empty(tmp_path)


async def test_C04_entered_in_one_task_and_left_in_another(tmp_path):
    async with FakeCDN() as cdn:
        stage = AttachmentStage(tmp_path, policy=cdn.policy)
        url = cdn.serve("/a", b"x")
        async with anyio.create_task_group() as group:
            group.start_soon(stage.__aenter__)
        async with anyio.create_task_group() as group:
            group.start_soon(stage.download, url)
        assert len(stage.files) == 1
        async with anyio.create_task_group() as group:
            group.start_soon(stage.__aexit__, None, None, None)
    assert stage.removed == 1
    assert_empty(tmp_path)


async def test_C04_a_download_that_comes_during_exit_is_refused(tmp_path, monkeypatch):
    removing, go_on = held_removal(monkeypatch)
    async with FakeCDN() as cdn, anyio.create_task_group() as group:
        stage = AttachmentStage(tmp_path, policy=cdn.policy)
        url = cdn.serve("/a", b"x")
        await stage.__aenter__()
        group.start_soon(stage.__aexit__, None, None, None)
        await anyio.to_thread.run_sync(removing.wait)
        with pytest.raises(StageClosedError):
            await stage.download(url)
        go_on.set()
    assert cdn.requests == []
    assert_empty(tmp_path)
