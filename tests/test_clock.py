"""One task looks at the clocks of a call, and ends the downloads that are late."""

import socket
import time

import anyio

from staging import AttachmentStage, Failure, Limits, StagedFile
from staging._budget import Budget, Reservation
from staging._clock import Clock, watch
from staging._errors import WorkspaceError
from staging._net.readiness import Readiness
from staging.testing import Drip, FakeCDN, Stall

QUICK = Limits(timeout=60, idle_timeout=0.1, retries=0)


async def ended(clock, limits):
    """Return the error with which the clock ends what runs in its scope."""
    watching = anyio.CancelScope()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(watch, [clock], limits, watching)
            with clock.wind():
                await anyio.sleep_forever()
            watching.cancel()
    return clock.error


async def test_a_silent_peer_has_stalled():
    clock = Clock(QUICK)
    clock.start(Reservation())
    error = await ended(clock, QUICK)
    assert (error.reason, error.limit) == ("stalled", 0.1)


async def test_a_peer_that_is_not_reached_gave_no_connection():
    clock = Clock(QUICK)
    clock.start(Reservation())
    clock.await_peer("looking up the host")
    error = await ended(clock, QUICK)
    assert (error.reason, error.retryable) == ("connect", True)
    assert "looking up the host" in error.detail


async def test_a_disk_that_hangs_is_not_the_peers_silence():
    clock = Clock(QUICK)
    clock.start(Reservation())
    clock.await_disk()
    error = await ended(clock, QUICK)
    assert isinstance(error, WorkspaceError)
    assert "the disk hangs" in error.detail


async def test_the_limit_of_the_whole_download_comes_first():
    limits = Limits(timeout=0.05, idle_timeout=60)
    clock = Clock(limits)
    clock.start(Reservation())
    error = await ended(clock, limits)
    assert (error.reason, error.limit) == ("timeout", 0.05)


async def test_the_pause_before_a_retry_is_no_silence():
    limits = Limits(timeout=0.3, idle_timeout=0.02)
    clock = Clock(limits)
    clock.start(Reservation())
    clock.await_end()
    assert (await ended(clock, limits)).reason == "timeout"


async def test_each_wait_has_a_time_of_its_own():
    clock, now = Clock(Limits(timeout=60, idle_timeout=10)), 0.0
    clock._now = lambda: now
    with clock.wind():
        clock.start(Reservation())
        assert clock.look() == 10
        now = 4.0
        clock.await_disk()
        assert clock.look() == 14
        now = 5.0
        clock.await_end()
        assert (clock.look(), clock.left) == (60, 55)
        now = 6.0
        clock.await_peer()
        assert clock.look() == 16
        now = 16.0
        clock.look()
    assert clock.error.reason == "stalled", "it waited for the disk before, and for the peer now"


async def test_a_clock_that_is_stopped_ends_nothing():
    clock = Clock(QUICK)
    clock.start(Reservation())
    clock.stop()
    with anyio.move_on_after(0.4) as scope:
        await ended(clock, QUICK)
    assert scope.cancelled_caught
    assert clock.error is None


async def test_bytes_that_came_while_the_process_stood_still_are_no_silence():
    """A loop that was held up, or a process that was stopped, finds its time over and its bytes there, at once."""
    limits, clock = Limits(idle_timeout=0.05), Clock(Limits(idle_timeout=0.05))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        readiness, errors = Readiness(ours), []

        async def receive():
            with clock.wind():
                clock.start(Reservation())
                await readiness.wait(lambda: ours.recv(1))
                clock.await_peer()
            errors.append(clock.error)
            watching.cancel()

        for _ in range(12):  # trio runs what is due in no order
            watching = anyio.CancelScope()
            async with anyio.create_task_group() as group:
                group.start_soon(receive)
                group.start_soon(watch, [clock], limits, watching)
                await anyio.wait_all_tasks_blocked()
                theirs.send(b"x")
                time.sleep(0.06)  # noqa: ASYNC251  # it stands still
        readiness.close()
    assert errors == [None] * 12


async def test_a_download_that_must_give_up_its_bytes_ends_at_once():
    budget = Budget(100, "the stage")
    large, small = Reservation(budget), Reservation(budget)
    clock = Clock(Limits())
    clock.start(large)
    large.admit(90)
    large.cover(80)
    async with anyio.create_task_group() as group:
        with clock.wind():
            small.cover(30)
            await anyio.sleep_forever()
        group.cancel_scope.cancel()
    assert clock.error is large.refused
    assert clock.error.reason == "budget"


async def test_a_worker_goes_on_after_its_clock_has_ended_a_download(tmp_path):
    """Two stalling links one after the other, and what comes behind them, in one worker."""
    async with FakeCDN() as cdn:
        urls = [cdn.serve("/a", b"x" * 100, Stall(10)), cdn.serve("/b", b"x" * 100, Stall(10)), cdn.serve("/c", b"abc")]
        limits = Limits(idle_timeout=0.1, retries=0, concurrency=1)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
            outcomes = await stage.download(urls)
            assert [type(outcome) for outcome in outcomes] == [Failure, Failure, StagedFile]
            assert [outcome.reason for outcome in outcomes[:2]] == ["stalled", "stalled"]
            assert [outcome.attempts for outcome in outcomes[:2]] == [1, 1]
            assert outcomes[2].path.read_bytes() == b"abc"


async def test_all_that_ask_for_the_same_get_what_the_clock_says(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"x" * 100, Stall(10))
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=QUICK) as stage:
            outcomes = await stage.download(url, url, url)
            assert [outcome.reason for outcome in outcomes] == ["stalled"] * 3
            assert len(cdn.requests) == 1


async def test_a_download_that_gives_way_is_a_failure_and_leaves_nothing(tmp_path):
    async with FakeCDN() as cdn:
        large = cdn.serve("/large", b"x" * 900_000, Drip(100_000, every=0.02))
        small = cdn.serve("/small", b"x" * 400_000)
        limits = Limits(max_total_mb=1, retries=0)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
            outcomes = await stage.download(large, small)
            assert {outcome.reason for outcome in outcomes if isinstance(outcome, Failure)} == {"budget"}
            assert any(isinstance(outcome, StagedFile) for outcome in outcomes)
            assert len(list(stage.directory.iterdir())) == len(stage.files)
