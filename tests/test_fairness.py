"""Many senders in one process: turns, bytes and requests are shared so that none of them can hurt the others."""

import asyncio
import logging
import time
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from conftest import ASYNCIO_LOOPS, run_on

from staging import AttachmentStage, Limits, Progress, RejectedError, StageClosedError, StagedFile, StagingArea, _events
from staging import _turns as turns_module
from staging._budget import Budget, Reservation
from staging._turns import Line, Turn, Turns
from staging.testing import Chunked, Drip, FakeCDN, Hold, Raw, Reply, Stall, Truncate, assert_empty

MB = 1_048_576


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_turns_go_round_robin_over_the_stages_that_wait():
    turns, served = Turns(1), []
    async with anyio.create_task_group() as group:

        async def work(name, line):
            async with Turn(line, Reservation()):
                served.append(name)
                await anyio.lowlevel.checkpoint()

        async with Turn(Line(turns), Reservation()):
            for name, wanted in (("a", 6), ("b", 2), ("c", 1)):
                line = Line(turns)
                for _ in range(wanted):
                    waiting = turns.waiting
                    group.start_soon(work, name, line)
                    while turns.waiting == waiting:
                        await anyio.lowlevel.checkpoint()
            assert (turns.running, turns.waiting) == (1, 9)
    assert "".join(served) == "abcabaaaa"
    assert (turns.running, turns.waiting) == (0, 0)


@pytest.mark.parametrize("cancelled", ["waiting", "granted"])
async def test_a_turn_of_a_cancelled_download_is_not_lost(cancelled):
    turns = Turns(1)
    line = Line(turns)
    async with anyio.create_task_group() as group:
        first = Turn(line, Reservation())
        await first.__aenter__()

        async def wait():
            async with Turn(line, Reservation()):
                await anyio.sleep(60)

        group.start_soon(wait)
        while not turns.waiting:
            await anyio.lowlevel.checkpoint()
        if cancelled == "granted":
            await first.__aexit__(None, None, None)  # the other has it now, and has not run yet
        group.cancel_scope.cancel()
    await first.__aexit__(None, None, None)
    with anyio.fail_after(5):
        async with Turn(line, Reservation()):
            assert turns.running == 1
    assert (turns.running, turns.waiting, line.held) == (0, 0, 0)


@pytest.mark.parametrize("loop", ASYNCIO_LOOPS)
def test_a_turn_that_is_granted_at_the_moment_of_a_cancellation_is_not_lost(loop):
    """A task of asyncio that is cancelled when its wait is over already gives its turn to the next one."""

    async def main():
        turns = Turns(1)
        line = Line(turns)
        first = Turn(line, Reservation())
        await first.__aenter__()

        async def wait():
            async with Turn(line, Reservation()):
                pytest.fail("not cancelled")

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert turns.waiting == 1
        await first.__aexit__(None, None, None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (turns.running, turns.waiting, line.held) == (0, 0, 0)

    run_on(loop, main)


async def test_a_slow_download_lends_its_turn_to_another_stage_and_takes_it_again():
    turns = Turns(1)
    slow, quick = Turn(Line(turns), Reservation(Budget(MB, "x"))), Turn(Line(turns), Reservation())
    await slow.__aenter__()
    with anyio.fail_after(5):
        async with quick:  # would wait for ever
            assert slow.lent
            assert turns.running == 2
            again = anyio.Event()

            async def retake():
                await slow.retake()
                again.set()

            async with anyio.create_task_group() as group:
                group.start_soon(retake)
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                assert not again.is_set(), "the limit holds for those that are going on"
                await quick.__aexit__(None, None, None)
    assert not slow.lent
    await slow.__aexit__(None, None, None)
    assert (turns.running, turns.waiting) == (0, 0)


async def test_who_is_called_to_check_and_gets_a_turn_first_calls_the_next_one():
    """Otherwise nobody checks any more, and downloads that receive nothing keep every turn to their end."""
    turns = Turns(1)
    async with anyio.create_task_group() as group:

        async def leave_at_once():
            async with Turn(Line(turns), Reservation()):
                pass  # the second has been called, and has the turn before it has run

        async def receive_nothing():
            async with Turn(Line(turns), Reservation()):
                await anyio.sleep_forever()

        async def borrow():
            async with Turn(Line(turns), Reservation()):
                group.cancel_scope.cancel()

        async with Turn(Line(turns), Reservation()):
            for number, work in enumerate((leave_at_once, receive_nothing, borrow)):
                group.start_soon(work)
                while turns.waiting == number:
                    await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await anyio.sleep_forever()


async def test_a_turn_that_is_lent_before_its_download_has_run_is_not_lost(monkeypatch):
    """A loop that was held up sees a turn only when it counts as slow already; the download waited for ever."""
    monkeypatch.setattr(turns_module, "SETTLING", 0)
    turns, done = Turns(1), []
    async with anyio.create_task_group() as group:

        async def work(name):
            async with Turn(Line(turns), Reservation()):
                done.append(name)

        first = Turn(Line(turns), Reservation())
        await first.__aenter__()
        for number, name in enumerate("ab"):
            group.start_soon(work, name)
            while turns.waiting == number:
                await anyio.lowlevel.checkpoint()
        await first.__aexit__(None, None, None)  # a has the turn, and has not run yet
        turns._lend()
        assert turns.running == 2
        group.cancel_scope.deadline = anyio.current_time() + 5
    assert sorted(done) == ["a", "b"]


async def test_the_more_a_stage_holds_the_sooner_it_lends(monkeypatch):
    """Eight links that are silent from the start hold up nobody for the time in which one may be answered."""
    monkeypatch.setattr(turns_module, "SETTLING", 400)
    turns = Turns(8)
    line = Line(turns)
    for _ in range(8):
        await Turn(line, Reservation()).__aenter__()
    monkeypatch.setattr(turns, "_now", lambda now=turns._now: now() + 55)  # more than an eighth, less than a seventh
    with anyio.fail_after(5):
        async with Turn(Line(turns), Reservation()):
            assert (line.held, turns.running) == (7, 9)


async def test_a_stage_whose_downloads_are_silent_is_passed_over(monkeypatch):
    """However many silent links it has, few stay connected: others need descriptors too, and lend their turns."""
    monkeypatch.setattr(turns_module, "SETTLING", 0)
    turns, silent, line = Turns(2), [], None
    async with anyio.create_task_group() as group:

        async def ask():
            async with Turn(line, Reservation()):
                silent.append(1)
                await anyio.sleep_forever()

        line = Line(turns)
        for _ in range(20):
            group.start_soon(ask)
        with anyio.fail_after(5):
            for _ in range(10):
                async with Turn(Line(turns), Reservation()):
                    await anyio.lowlevel.checkpoint()
        group.start_soon(ask)  # a turn is free, and this one may not take it either
        await anyio.wait_all_tasks_blocked()
        assert (len(silent), line.held, line.lent) == (3, 1, 2)
        group.cancel_scope.cancel()
    assert (turns.running, turns.waiting, line.held, line.lent, turns._lent_of.total()) == (0, 0, 0, 0, 0)


async def test_the_more_of_a_server_is_silent_the_sooner_a_download_from_it_lends(monkeypatch):
    """A server without answers costs each that asks it a turn, and all of them together not much more."""
    monkeypatch.setattr(turns_module, "SETTLING", 400)
    turns = Turns(1)
    turns._lent_of["silent"] = 7
    await Turn(Line(turns), Reservation(), "silent").__aenter__()
    monkeypatch.setattr(turns, "_now", lambda now=turns._now: now() + 55)  # more than an eighth
    with anyio.fail_after(5):
        async with Turn(Line(turns), Reservation(), "other"):
            assert turns.running == 2


async def test_nothing_is_kept_of_a_server_whose_downloads_have_ended(monkeypatch):
    """A sender can name any number of servers."""
    monkeypatch.setattr(turns_module, "SETTLING", 0.0)
    turns = Turns(1)
    silent = Turn(Line(turns), Reservation(), "its own server")
    await silent.__aenter__()
    with anyio.fail_after(5):
        async with Turn(Line(turns), Reservation()):
            assert turns._lent_of == {"its own server": 1}
    await silent.__aexit__(None, None, None)
    assert not turns._lent_of


async def test_a_download_that_receives_keeps_its_turn(monkeypatch):
    monkeypatch.setattr(turns_module, "SETTLING", 0)
    turns, looks, lend = Turns(1), [], Turns._lend
    reservation = Reservation(Budget(1000 * MB, "x"))

    def look(self):
        looks.append(1)
        reservation.cover(reservation.held + turns_module.SLOW)  # as much as it takes, since the last look
        lend(self)

    monkeypatch.setattr(Turns, "_lend", look)
    async with Turn(Line(turns), reservation) as busy:
        with anyio.move_on_after(20 * turns_module.PATIENCE) as scope:
            async with Turn(Line(turns), Reservation()):
                pass
        assert scope.cancelled_caught
        assert not busy.lent
        assert looks


async def test_a_stage_never_borrows_from_itself(monkeypatch):
    monkeypatch.setattr(turns_module, "SETTLING", 0)
    turns = Turns(1)
    line = Line(turns)
    async with Turn(line, Reservation()) as first:
        with anyio.move_on_after(10 * turns_module.PATIENCE) as scope:
            async with Turn(line, Reservation()):
                pass
        assert scope.cancelled_caught
        assert not first.lent


async def test_a_small_file_does_not_wait_for_another_stages_dripping_links(tmp_path):
    """Eight of them hold every turn of the area, for a whole timeout."""
    async with FakeCDN() as cdn:
        drip = [cdn.serve(f"/{n}", b"x" * 10_000, Drip(1, every=0.02)) for n in range(20)]
        tiny = cdn.serve("/tiny", b"x")
        async with StagingArea(tmp_path, policy=cdn.policy) as area, anyio.create_task_group() as group:

            async def flood():
                async with area.stage() as stage:
                    with suppress(StageClosedError):
                        await stage.download(drip)

            group.start_soon(flood)
            await cdn.requested(times=8)
            began = time.monotonic()
            async with area.stage() as stage:
                [outcome] = await stage.download(tiny, timeout=20)
            assert isinstance(outcome, StagedFile)
            assert time.monotonic() - began < 10, "the default timeout of the others is 60 s"
            stats = area.stats()
            assert (stats.stages_open, stats.downloads_running, stats.downloads_waiting) == (1, 8, 0)
            group.cancel_scope.cancel()
    assert_empty(tmp_path)


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_silent_links_reserve_nothing_however_much_they_declare(tmp_path):
    async with FakeCDN() as cdn:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n"
        cdn.script("/claim", *[Raw(b"", Stall(60), head=head)] * 7)
        tiny = cdn.serve("/tiny", b"x" * 1000)
        limits = Limits(concurrency=16, retries=0)
        async with (
            StagingArea(tmp_path, policy=cdn.policy, limits=limits, max_total_mb=100) as area,
            anyio.create_task_group() as group,
        ):

            async def squat():
                async with area.stage() as stage:
                    await stage.download([f"{cdn.url('/claim')}?{n}" for n in range(7)])

            group.start_soon(squat)
            await cdn.requested("/claim", times=7)
            async with area.stage() as stage:
                [outcome] = await stage.download(tiny)
                assert outcome.downloaded
                assert area.stats().bytes_held == 1000
            group.cancel_scope.cancel()


@pytest.mark.parametrize("claimed", [False, True])
async def test_who_asked_for_most_fails_when_the_budget_is_full_and_not_the_small_one_beside_it(tmp_path, claimed):
    async with FakeCDN() as cdn:
        gate = Hold(MB)
        large, small = cdn.serve("/large", bytes(20 * MB), Chunked(65_536), gate), cdn.serve("/small", b"x" * 1000)
        source = {"url": small, "size": 1000} if claimed else small
        async with (
            StagingArea(tmp_path, policy=cdn.policy, max_total_mb=1) as area,
            area.stage() as one,
            area.stage() as two,
            anyio.create_task_group() as group,
        ):
            failed, ended = [], anyio.Event()

            async def greedy():
                failed.extend(await one.download(large))
                ended.set()

            group.start_soon(greedy)
            await gate.reached()
            while area.stats().bytes_held < MB:  # noqa: ASYNC110  # bytes that are on their way have no event
                await anyio.sleep(0.001)
            [outcome] = await two.download(source)
            assert outcome.downloaded
            with anyio.fail_after(10):
                await ended.wait()
            assert failed[0].reason == "budget"
            assert failed[0].retryable
            assert area.stats().bytes_held == 1000
            gate.release()
    assert_empty(tmp_path)


def test_bytes_count_when_they_come_and_only_then():
    budget = Budget(100, "the stage")
    first, second = Reservation(budget), Reservation(budget)
    first.admit(90)
    second.admit(80)
    assert budget.used == 0
    second.cover(60)
    with pytest.raises(RejectedError, match="no room left: the stage takes 100 bytes in all"):
        first.admit(90)
        first.cover(50)
    assert (budget.used, first.held) == (60, 0)
    second.finish(60)
    third = Reservation(budget)
    third.cover(40)
    third.refund()
    third.refund()
    assert budget.used == 60


def test_a_finished_download_keeps_its_bytes():
    budget = Budget(100, "the stage")
    done = Reservation(budget)
    done.admit(100)
    done.cover(100)
    done.finish(100)
    with pytest.raises(RejectedError):
        Reservation(budget).admit(1)
    assert done.refused is None
    assert budget.used == 100


# ── identical requests ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reply", "reason"), [(Reply(b"", status=404), "not_found"), (Reply(b"x", Stall(0)), "stalled")]
)
async def test_identical_urls_are_one_request_and_one_outcome_failures_too(tmp_path, reply, reason):
    async with FakeCDN() as cdn:
        cdn.script("/a", *[reply] * 30)
        url = cdn.url("/a")
        limits = Limits(idle_timeout=0.3, retries=0)
        began = time.monotonic()
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
            results = []

            async def call():
                results.extend(await stage.download([url] * 12, {"url": url, "filename": "b"}))

            async with anyio.create_task_group() as group:
                group.start_soon(call)
                group.start_soon(call)
            assert {outcome.reason for outcome in results} == {reason}
            assert [outcome.name for outcome in results].count("b") == 2
            assert len(cdn.requests) == 1
            await stage.download(url)
            assert len(cdn.requests) == (1 if reason == "not_found" else 2), "what may not last is tried again"
        assert time.monotonic() - began < 10


async def test_a_failure_that_may_not_last_is_forgotten_also_when_its_call_is_cancelled(tmp_path):
    async with FakeCDN() as cdn:
        url, gate = cdn.script("/a", Reply(b"", status=503), Reply(b"abc")), Hold()
        held = cdn.serve("/held", b"x", gate)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=0, concurrency=1)) as stage:
            async with anyio.create_task_group() as group:
                group.start_soon(stage.download, url, held)
                await gate.reached()  # so the first has failed
                group.cancel_scope.cancel()
            assert [outcome.reason for outcome in stage.failures] == ["http_status"]
            assert isinstance((await stage.download(url))[0], StagedFile)


async def test_a_failed_download_gives_its_bytes_back_at_once(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"x" * 5000, Truncate(at=3000))
        async with StagingArea(tmp_path, policy=cdn.policy, limits=Limits(retries=0)) as area, area.stage() as stage:
            assert [outcome.reason for outcome in await stage.download(url)] == ["size_mismatch"]
            assert area.stats().bytes_held == 0


async def test_headers_make_a_request_another_one(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"x")
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            sources = [{"url": url, "headers": {"Authorization": token}} for token in ("a", "b", "a")]
            assert all(outcome.downloaded for outcome in await stage.download(sources))
        assert len(cdn.requests) == 2


async def test_a_call_that_ends_hands_its_request_to_the_next_one(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"123", Hold(1), Hold(3))
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage, anyio.create_task_group() as group:
            group.start_soon(lambda: stage.download(url, timeout=0.2))
            await cdn.requested("/a")
            [outcome] = await stage.download(url, timeout=1)
            assert outcome.reason == "deadline"
            assert len(cdn.requests) == 2


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_last_progress_is_always_told(tmp_path, monkeypatch):
    """Chunked: nothing says that it was the last, and it comes soon after the one before."""
    monkeypatch.setattr(_events, "PROGRESS_INTERVAL", 1000.0)
    seen = []
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", bytes(50_000), Chunked(1000), Drip(10_000, every=0.02))
        async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=seen.append) as stage:
            await stage.download(url)
    progress = [event.received for event in seen if isinstance(event, Progress)]
    assert len(progress) == 2
    assert progress[0] < progress[1] == 50_000


async def test_what_has_come_is_told_although_the_server_falls_silent(tmp_path):
    """Else a bar would stand still before the last piece that came."""
    told = anyio.Event()

    def on_event(event):
        if isinstance(event, Progress) and event.received == 60_000:
            told.set()

    async with FakeCDN() as cdn:
        url = cdn.serve("/a", bytes(90_000), Drip(20_000, every=0.001), Hold(60_000))
        limits = Limits(idle_timeout=4, timeout=60)
        stage = AttachmentStage(tmp_path, policy=cdn.policy, on_event=on_event, limits=limits)
        async with stage, anyio.create_task_group() as group:
            group.start_soon(stage.download, url)
            with anyio.fail_after(3):
                await told.wait()
            group.cancel_scope.cancel()


async def test_stats_tell_what_an_area_has_done(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "staging")
    async with FakeCDN() as cdn, StagingArea(tmp_path, policy=cdn.policy) as area:
        async with area.stage() as stage:
            await stage.download(cdn.serve("/a", b"12345"), cdn.url("/gone"), cdn.url("/missing"))
            stats = area.stats()
            assert (stats.stages_open, stats.staged, stats.bytes_staged, stats.bytes_held) == (1, 1, 5, 5)
            assert stats.failures == {"not_found": 2}
        stats = area.stats()
        assert (stats.stages_open, stats.removed, stats.leftovers, stats.bytes_held) == (0, 1, 0, 0)
    with pytest.raises(StageClosedError):
        area.stats()


async def test_who_waits_for_a_descriptor_gives_its_turn_to_those_that_wait():
    """They may be downloads that were lent, and hold the descriptors that it lacks."""
    turns, done = Turns(2), []
    first, second, third = (Turn(Line(turns), Reservation()) for _ in range(3))
    assert not await turns.another_ends(first), "no other runs"

    async def short_of_descriptors():
        async with first:
            assert await turns.another_ends(first)
            done.append("first")

    async def wait_in_line():
        async with third:
            done.append("third")

    async with second, anyio.create_task_group() as group:
        group.start_soon(short_of_descriptors)
        await anyio.wait_all_tasks_blocked()
        assert (turns.running, turns.waiting) == (1, 1)
        group.start_soon(wait_in_line)
        with anyio.fail_after(5):
            while len(done) < 2:
                await anyio.lowlevel.checkpoint()
        assert done == ["third", "first"]
    assert (turns.running, turns.waiting) == (0, 0)


async def test_links_that_are_refused_do_not_hold_up_a_stage_beside_them(tmp_path):
    limits, order = Limits(concurrency=1), []
    async with StagingArea(tmp_path, limits=limits) as area, area.stage() as one, area.stage() as other:

        async def refused():
            await one.download([f"ftp://example.com/{number}" for number in range(200)])
            order.append("refused")

        async with anyio.create_task_group() as group:
            group.start_soon(refused)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert order == [], "others had twenty rounds meanwhile"
        assert (await other.download(b"x"))[0].downloaded
