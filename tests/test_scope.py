"""The scope ends, whatever ends it: asyncio's own cancellation, late calls, forgotten scopes, observers that raise.

The invariant of every test here: when the ``async with`` is left there is no file, directory, descriptor, lease, task
or byte of a budget, and the cancellation has arrived. The suite's own fixture looks for descriptors, tasks and threads.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from conftest import ASYNCIO_LOOPS, run_on
from stepping import steps_of

from staging import AttachmentStage, Limits, StageClosedError, StagedFile, StagingArea, sweep
from staging import _scope as scope_module
from staging import _stage as stage_module
from staging._disk.root import new_name
from staging._disk.workspace import Workspace
from staging.testing import Drip, FakeCDN, Hold, assert_empty

ROUNDS = int(os.environ.get("STAGING_CANCELLATIONS", "150"))  # 10,000 were run by hand
EXPIRED = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=1&hm=1"
MODES = ("alone", "in an area")


@pytest.fixture(params=ASYNCIO_LOOPS)
def asyncio_loop(request):
    """Every event loop of asyncio: debug, eager tasks, uvloop."""
    return request.param


async def cancelled_at(job, moments, *, armed=True):
    """Run `job(arm)` in a task that is cancelled at each of its `moments`, counted from when `arm` is called.

    Returns:
        The number of its steps, and whether the task ended as cancelled.
    """
    steps, counting = 0, armed

    def step():
        nonlocal steps
        if counting:
            steps += 1
            if steps in moments:
                asyncio.get_running_loop().call_soon(tasks[0].cancel)

    def arm():
        nonlocal counting
        counting = True

    tasks = []

    async def native():
        tasks.append(asyncio.current_task())
        return await steps_of(job(arm), step)

    task = asyncio.ensure_future(native())
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return steps, task.cancelled()


@contextlib.asynccontextmanager
async def scopes(mode, root, **options):
    """Yield what makes a stage, alone or in an area, and what tells the bytes that an area still counts."""
    if mode == "alone":
        yield functools.partial(AttachmentStage, root, **options), lambda: 0
    else:
        async with StagingArea(root, max_total_mb=100, **options) as area:
            yield area.stage, lambda: area.stats().bytes_held
            assert area.stats().stages_open == 0
            assert (area.stats().downloads_running, area.stats().downloads_waiting) == (0, 0)


# ── asyncio's own cancellation ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", MODES)
def test_N01_cancelled_at_every_step(tmp_path, asyncio_loop, mode):
    async def main():
        async with FakeCDN() as cdn:
            urls = [cdn.serve("/a", b"x" * 5000), cdn.serve("/b", bytes(600_000))]
            async with scopes(mode, tmp_path, policy=cdn.policy) as (make, held):

                async def job(_):
                    async with make() as stage:
                        await stage.download(urls)
                        stage.context()

                at = steps = 1
                while steps >= at:
                    steps, cancelled = await cancelled_at(job, {at})
                    assert_empty(tmp_path)
                    assert held() == 0
                    assert cancelled or steps < at, f"the cancellation at step {at} was swallowed"
                    at += 1
                assert at > 4

    run_on(asyncio_loop, main)


def test_N01_a_call_that_ends_by_itself_cancels_nothing_in_the_task_that_made_it(tmp_path, asyncio_loop):
    """Of two cancellations in one round asyncio makes one, and anyio took the caller's for its own (anyio#1214)."""

    async def main():
        async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            thrown = []
            await steps_of(stage.download(cdn.serve("/a", b"x"), cdn.serve("/b", b"x")), bool, thrown.append)
            assert thrown == []
            assert len(stage.files) == 2

    run_on(asyncio_loop, main)


@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("mode", MODES)
def test_N02_cancelled_in_the_body_and_again_at_every_step_of_the_exit(tmp_path, asyncio_loop, mode, times):
    async def main():
        async with FakeCDN() as cdn:
            url = cdn.serve("/a", b"x" * 5000)
            async with scopes(mode, tmp_path, policy=cdn.policy) as (make, held):

                async def job(arm):
                    async with make() as stage:
                        await stage.download(url)
                        asyncio.current_task().cancel()
                        arm()
                        await asyncio.sleep(0)

                for at in range(1, 8):
                    _, cancelled = await cancelled_at(job, set(range(at, at + times)), armed=False)
                    assert cancelled
                    assert_empty(tmp_path)
                    assert held() == 0

    run_on(asyncio_loop, main)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["timeout", "wait_for", "task group"])
def test_N03_ended_by_asyncio_at_random_moments(tmp_path, asyncio_loop, way, mode):
    dice = random.Random(3)

    async def use(make, urls):
        async with make() as stage:
            await stage.download(urls)
            await asyncio.sleep(0.01)

    async def bounded(make, urls, seconds):
        if way == "timeout":
            async with asyncio.timeout(seconds), make() as stage:
                await stage.download(urls)
        elif way == "wait_for":
            await asyncio.wait_for(use(make, urls), seconds)
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(use(make, urls))
                await asyncio.sleep(seconds)
                raise TimeoutError

    async def main():
        async with FakeCDN() as cdn:
            urls = [cdn.serve("/a", b"x" * 5000), cdn.serve("/b", b"y" * 300_000)]
            async with scopes(mode, tmp_path, policy=cdn.policy) as (make, held):
                for _ in range(ROUNDS // 6):
                    with contextlib.suppress(TimeoutError, ExceptionGroup):
                        await bounded(make, urls, dice.random() * 0.02)
                    assert asyncio.current_task().cancelling() == 0
                    assert_empty(tmp_path)
                    assert held() == 0

    run_on(asyncio_loop, main)


@pytest.mark.parametrize("mode", MODES)
def test_N04_many_tasks_cancelled_twice(tmp_path, asyncio_loop, mode):
    async def main():
        async with FakeCDN() as cdn:
            urls = [cdn.serve(f"/{n}", b"x" * 100) for n in range(10)]
            gate = Hold("head")
            urls.append(cdn.serve("/held", b"x", gate))
            async with scopes(mode, tmp_path, policy=cdn.policy) as (make, held):

                async def one():
                    async with make() as stage:
                        await stage.download(urls)

                tasks = [asyncio.ensure_future(one()) for _ in range(20)]
                await gate.reached()
                for task in tasks:
                    task.cancel()
                await asyncio.sleep(0.001)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(error) for error in ended} == {asyncio.CancelledError}
                assert_empty(tmp_path)
                assert held() == 0

    run_on(asyncio_loop, main)


def test_N03_a_loop_that_shuts_down_in_the_middle_of_an_exit(tmp_path, monkeypatch, asyncio_loop):
    """`asyncio.run` cancels every task, the ending's own too; the ending goes on where it was."""
    removing, go_on = threading.Event(), threading.Event()
    remove = Workspace.remove

    def held(self):
        removing.set()
        go_on.wait(10)
        return remove(self)

    monkeypatch.setattr(Workspace, "remove", held)

    async def main():
        async def background():
            async with AttachmentStage(tmp_path):
                pass

        keep.append(asyncio.ensure_future(background()))
        await anyio.to_thread.run_sync(removing.wait)
        asyncio.get_running_loop().call_later(0.05, go_on.set)

    keep = []
    anyio.run(main, **ASYNCIO_LOOPS[asyncio_loop])
    assert_empty(tmp_path)


def test_N03_interrupted_once(tmp_path):
    program = f"""
        import asyncio, sys
        from staging import AttachmentStage
        async def main():
            async with AttachmentStage({str(tmp_path)!r}) as stage:
                (stage.directory / "mine").write_text("x")
                print("open", flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert_empty(tmp_path)


# ── areas and their stages ───────────────────────────────────────────────────────────────────────────────────────────


async def test_N05_an_area_is_left_while_stages_are_being_entered(tmp_path, loop_name):
    dice = random.Random(5)

    async def enter(area, ends):
        try:
            async with area.stage() as stage:
                await stage.download()
                await anyio.sleep(dice.random() * 0.002)
            ends.append("left")
        except StageClosedError:
            ends.append("refused")

    for _ in range(ROUNDS // 5):
        ends = []
        async with anyio.create_task_group() as group:
            with contextlib.suppress(LookupError):
                async with StagingArea(tmp_path) as area:
                    for _ in range(4):
                        group.start_soon(enter, area, ends)
                    await anyio.sleep(dice.random() * 0.004)
                    raise LookupError("the body's own")
            assert_empty(tmp_path)
        assert len(ends) == 4


async def test_N05_the_entry_is_refused_when_its_workspace_comes_too_late(tmp_path, monkeypatch):
    """Held in its thread until the area has begun to leave."""
    begun, go_on = threading.Event(), threading.Event()
    make = Workspace.create.__func__

    def slow(cls, *args, **options):
        begun.set()
        go_on.wait(10)
        return make(cls, *args, **options)

    monkeypatch.setattr(Workspace, "create", classmethod(slow))
    told = []

    async def user(area):
        try:
            async with area.stage():
                pytest.fail("entered")
        except StageClosedError as error:
            told.append(str(error))

    async with anyio.create_task_group() as group:
        with pytest.raises(LookupError, match="the body's own"):
            async with StagingArea(tmp_path) as area:
                group.start_soon(user, area)
                await anyio.to_thread.run_sync(begun.wait)
                threading.Timer(0.05, go_on.set).start()
                raise LookupError("the body's own")
        assert_empty(tmp_path)
    assert told == ["the stage was closed while it was being entered"]


async def test_N05_a_workspace_that_comes_after_the_exit_is_removed_by_its_own_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(stage_module, "REMOVAL_SECONDS", 0.2)
    begun, go_on = threading.Event(), threading.Event()
    make = Workspace.create.__func__

    def slow(cls, *args, **options):
        begun.set()
        go_on.wait(10)
        return make(cls, *args, **options)

    monkeypatch.setattr(Workspace, "create", classmethod(slow))

    async def user(area):
        with pytest.raises(StageClosedError):
            async with area.stage():
                pytest.fail("entered")

    async with anyio.create_task_group() as group:
        async with StagingArea(tmp_path) as area:
            group.start_soon(user, area)
            await anyio.to_thread.run_sync(begun.wait)
        assert not go_on.is_set(), "the exit is bounded, whatever the entry waits for"
        go_on.set()
    assert_empty(tmp_path)


def test_an_area_is_cancelled_while_it_is_left(tmp_path, asyncio_loop):
    async def main():
        async def job(arm):
            async with StagingArea(tmp_path) as area, contextlib.AsyncExitStack() as stages:
                for _ in range(3):
                    await area.stage().__aenter__()
                stages.push_async_callback(asyncio.sleep, 0)
                asyncio.current_task().cancel()
                arm()
                await asyncio.sleep(0)

        for at in range(1, 8):
            _, cancelled = await cancelled_at(job, {at, at + 1}, armed=False)
            assert cancelled
            assert_empty(tmp_path)

    run_on(asyncio_loop, main)


async def test_aclose_from_several_tasks_at_once_returns_when_all_is_gone(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"123", Hold(1))
        stage = AttachmentStage(tmp_path, policy=cdn.policy)
        await stage.__aenter__()
        directories = []

        async def late():
            with pytest.raises(StageClosedError):
                await stage.download(url)

        async def close():
            await stage.aclose()
            directories.append(stage.directory.exists())

        async with anyio.create_task_group() as group:
            group.start_soon(late)
            await cdn.requested("/a")
            for _ in range(3):
                group.start_soon(close)
        assert directories == [False] * 3
        await stage.aclose()
        await stage.__aexit__(None, None, None)
    assert_empty(tmp_path)


@pytest.mark.parametrize("in_a_task", [False, True])
async def test_a_stage_that_is_closed_by_its_own_refresh_does_not_wait_for_itself(tmp_path, in_a_task):
    async def refresh(urls):
        if in_a_task:
            async with anyio.create_task_group() as group:
                group.start_soon(stage.aclose)
        else:
            await stage.aclose()
        assert_empty(tmp_path)
        return {}

    began = time.monotonic()
    async with AttachmentStage(tmp_path, refresh=refresh) as stage:
        with pytest.raises(StageClosedError, match="closed while it was downloading"):
            await stage.download(EXPIRED)
    assert time.monotonic() - began < stage_module.REMOVAL_SECONDS * stage_module.CALLS_SHARE
    assert_empty(tmp_path)


def test_a_stage_that_is_closed_by_on_event(tmp_path, asyncio_loop):
    async def main():
        closing = []
        async with FakeCDN() as cdn:

            def on_event(event):
                if not closing:
                    closing.append(asyncio.ensure_future(stage.aclose()))

            async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=on_event) as stage:
                with pytest.raises(StageClosedError):
                    await stage.download(cdn.serve("/a", b"x" * 100, Drip(1, every=0.01)))
            await closing[0]
        assert_empty(tmp_path)

    run_on(asyncio_loop, main)


# ── late calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_N06_removal_begins_whatever_still_runs(tmp_path, monkeypatch):
    """`refresh` works in a thread, which nothing can interrupt, for longer than the exit may take."""
    monkeypatch.setattr(stage_module, "REMOVAL_SECONDS", 1.0)
    release = threading.Event()

    async def refresh(urls):
        await anyio.to_thread.run_sync(release.wait)
        return {}

    async with FakeCDN() as cdn, anyio.create_task_group() as group:
        policy = replace(cdn.policy, hosts=(*cdn.policy.hosts, "cdn.discordapp.com"))
        stage = AttachmentStage(tmp_path, policy=policy, refresh=refresh)

        async def late():
            with pytest.raises(StageClosedError):
                await stage.download(EXPIRED)

        async with stage:
            await stage.download(cdn.serve("/a", b"secret"))
            group.start_soon(late)
            await anyio.sleep(0.05)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert stage.leftovers == ()
        assert_empty(tmp_path)
        release.set()
    assert_empty(tmp_path)


async def test_N06_what_a_hung_removal_leaves_is_taken_by_the_next_sweep_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(stage_module, "REMOVAL_SECONDS", 0.2)
    release, ended = threading.Event(), threading.Event()

    def hang(self):
        release.wait(30)
        ended.set()

    monkeypatch.setattr(Workspace, "remove", hang)
    async with AttachmentStage(tmp_path) as stage:
        (stage.directory / "mine").write_text("x")
    assert stage.leftovers
    assert sweep(tmp_path) == 1
    assert_empty(tmp_path)
    release.set()
    await anyio.to_thread.run_sync(ended.wait)


# ── keep ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_N07_keep_cancelled_at_every_step_says_where_the_file_is(tmp_path, asyncio_loop):
    async def main():
        root, shelf = tmp_path / "root", tmp_path / "shelf"
        shelf.mkdir()
        async with FakeCDN() as cdn, AttachmentStage(root, policy=cdn.policy) as stage:
            for at in range(1, 6):
                [file] = await stage.download(cdn.serve(f"/{at}", b"x"))

                async def job(_, file=file, at=at):
                    await stage.keep(file, shelf / str(at))

                await cancelled_at(job, {at})
                [now] = [outcome for outcome in stage.outcomes if outcome.attachment is file.attachment]
                assert isinstance(now, StagedFile)
                assert now.path.read_bytes() == b"x"
                assert (now.path == shelf / str(at)) == (shelf / str(at)).exists()
                assert now.path.exists() != file.path.exists() or now.path == file.path
        assert_empty(root)

    run_on(asyncio_loop, main)


# ── forgotten ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", [AttachmentStage, StagingArea], ids=["stage", "area"])
async def test_N08_collected_before_it_was_left(tmp_path, make):
    scope = make(tmp_path)
    await scope.__aenter__()
    if make is StagingArea:
        await scope.stage().__aenter__()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del scope
        gc.collect()
    assert "never left" in " ".join(str(w.message) for w in caught if w.category is ResourceWarning)
    assert_empty(tmp_path)


def test_N08_the_loop_was_closed_before_it_was_left(tmp_path, asyncio_loop):
    stages = []

    async def main():
        stages.append(AttachmentStage(tmp_path))
        await stages[0].__aenter__()

    anyio.run(main, **ASYNCIO_LOOPS[asyncio_loop])
    with pytest.warns(ResourceWarning, match="a stage was never left"):
        stages.clear()
        gc.collect()
    assert_empty(tmp_path)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_N08_the_interpreter_ends_before_it_was_left(tmp_path, backend):
    program = f"""
        import anyio
        from staging import AttachmentStage, StagingArea
        keep = []
        async def main():
            for scope in (AttachmentStage({str(tmp_path)!r}), StagingArea({str(tmp_path)!r})):
                keep.append(scope)
                await scope.__aenter__()
        anyio.run(main, backend={backend!r})
    """
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "ResourceWarning: a stage was never left" in done.stderr
    assert "ResourceWarning: an area was never left" in done.stderr
    assert_empty(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_P04_a_forked_child_that_ends_takes_nothing_from_its_parent(tmp_path):
    program = f"""
        import atexit, os, anyio
        from staging import AttachmentStage
        async def main():
            async with AttachmentStage({str(tmp_path)!r}) as stage:
                (stage.directory / "mine").write_text("x")
                child = os.fork()
                if not child:
                    atexit._run_exitfuncs()  # as an ordinary end does; closing the loop would close the parent's too
                    os._exit(0)
                os.waitpid(child, 0)
                print((stage.directory / "mine").exists())
        anyio.run(main)
    """
    command = [sys.executable, "-W", "always", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "True" in done.stdout
    assert "never left" not in done.stderr, "it is the parent's to leave"
    assert_empty(tmp_path)


# ── observers that raise ─────────────────────────────────────────────────────────────────────────────────────────────


class OwnError(BaseException):
    """Not an `Exception`."""


@pytest.mark.parametrize("error", [RuntimeError, OwnError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("who", ["filter", "handler", "on_event"])
async def test_N09_an_observer_that_raises_at_exit_changes_nothing(tmp_path, who, error):
    def explode(*_):
        raise error("an observer's")

    def on_event(event):
        if type(event).__name__ == "Removed":
            explode()

    logger = logging.getLogger("staging")
    handler = logging.Handler()
    handler.emit = explode
    level = logger.level
    async with FakeCDN() as cdn, StagingArea(tmp_path, policy=cdn.policy, max_total_mb=1) as area:
        url = cdn.serve("/a", b"x" * 400_000)
        for _ in range(4):
            with pytest.raises(LookupError, match="the body's"):
                async with area.stage(on_event=on_event if who == "on_event" else None) as stage:
                    [outcome] = await stage.download(url)
                    assert outcome.downloaded
                    if who == "filter":
                        logger.addFilter(explode)
                    elif who == "handler":
                        logger.addHandler(handler)
                    logger.setLevel(logging.DEBUG)
                    raise LookupError("the body's")
            logger.removeFilter(explode)
            logger.removeHandler(handler)
            logger.setLevel(level)
        assert area.stats().stages_open == area.stats().bytes_held == 0
    assert_empty(tmp_path)


# ── entry ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plant(root, count):
    """Make directories that a sweep has to look at: orphans, as far as it can tell."""
    for _ in range(count):
        (root / new_name()).mkdir()


async def test_the_entry_of_a_stage_is_not_held_up_by_a_sweep_which_goes_on_meanwhile(tmp_path, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow(root, stop):
        begun.set()
        while not stop() and not go_on.wait(0.01):
            pass
        return 0

    monkeypatch.setattr("staging._resources.sweep_until", slow)
    async with AttachmentStage(tmp_path):
        assert begun.is_set()
        assert not go_on.is_set()
    assert_empty(tmp_path)  # and the fixture finds no thread: leaving stops the sweep


async def test_the_entry_among_twenty_thousand_planted_names(tmp_path):
    plant(tmp_path, int(os.environ.get("STAGING_PLANTED", "2000")))
    began = time.monotonic()
    async with AttachmentStage(tmp_path):
        entered = time.monotonic() - began
    assert entered < 2, "bounded by 0.1 s of waiting, and what the machine adds"


async def test_an_area_is_cancelled_at_once_while_it_sweeps(tmp_path, monkeypatch):
    def slow(root, stop):
        while not stop():
            time.sleep(0.001)
        return 0

    monkeypatch.setattr("staging._resources.sweep_until", slow)
    began = time.monotonic()
    with anyio.move_on_after(0.05) as scope:
        async with StagingArea(tmp_path):
            pytest.fail("entered")
    assert scope.cancelled_caught
    assert time.monotonic() - began < 5


async def test_an_area_knows_how_many_orphans_it_swept(tmp_path):
    plant(tmp_path, 3)
    async with StagingArea(tmp_path) as area:
        assert area.stats().orphans_swept == 3
    assert_empty(tmp_path)


# ── the parts of the theory, one by one ──────────────────────────────────────────────────────────────────────────────


async def test_a_call_that_the_exit_cancels_is_awaited_before_removal(tmp_path, monkeypatch):
    """Otherwise a download would still write while its directory is removed."""
    order = []
    remove = Workspace.remove
    monkeypatch.setattr(Workspace, "remove", lambda self: (order.append("removed"), remove(self))[1])

    async def refresh(urls):
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
            order.append("ended")

    async with anyio.create_task_group() as group, AttachmentStage(tmp_path, refresh=refresh) as stage:

        async def late():
            with contextlib.suppress(StageClosedError):
                await stage.download(EXPIRED)

        group.start_soon(late)
        await anyio.sleep(0.02)
    assert order == ["ended", "removed"]


async def test_refresh_counts_in_the_deadline(tmp_path):
    async def refresh(urls):
        await anyio.sleep(60)

    began = time.monotonic()
    async with AttachmentStage(tmp_path, refresh=refresh) as stage:
        [outcome] = await stage.download(EXPIRED, timeout=0.1)
        assert outcome.reason == "deadline"
    async with AttachmentStage(tmp_path, refresh=refresh, limits=Limits(batch_timeout=0.1)) as stage:
        [outcome] = await stage.download(EXPIRED)
        assert outcome.reason == "deadline"
    async with AttachmentStage(tmp_path, refresh=refresh, limits=Limits(timeout=0.1)) as stage:
        [outcome] = await stage.download(EXPIRED)
        assert outcome.reason == "expired"
    assert time.monotonic() - began < 10


async def test_a_failed_file_does_not_count_for_max_files(tmp_path):
    async with FakeCDN() as cdn:
        good = [cdn.serve(f"/{n}", b"x") for n in range(2)]
        limits = Limits(max_files=2, concurrency=1, retries=0)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
            outcomes = await stage.download(cdn.url("/missing"), *good)
            assert [outcome.downloaded for outcome in outcomes] == [False, True, True]


def test_no_name_of_the_scope_is_left_out_of_its_theory():
    assert all(part in scope_module.__doc__ for part in ("holdings", "`Call`", "outlast", "finalizer"))
    assert Path(__file__).name in scope_module.__doc__
