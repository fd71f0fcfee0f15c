"""A socket stays registered with asyncio between two waits, and costs nothing while nothing waits for it."""

import asyncio
import gc
import socket
import threading

import anyio
import pytest

from staging import StagingArea
from staging._net.readiness import Readiness
from staging.testing import FakeCDN


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def test_it_waits_until_bytes_come(pair):
    ours, theirs = pair
    readiness = Readiness(ours)
    async with anyio.create_task_group() as group:
        group.start_soon(readiness.wait)
        await anyio.wait_all_tasks_blocked()
        theirs.send(b"x")
    assert ours.recv(1) == b"x"
    readiness.close()


async def test_what_is_fetched_in_the_report_is_there_after_the_wait(pair):
    ours, theirs = pair
    readiness, got = Readiness(ours), []
    for piece in (b"one", b"two"):
        theirs.send(piece)
        await readiness.wait(lambda: got.append(ours.recv(9)))
    assert got == [b"one", b"two"]
    readiness.close()


async def test_an_error_of_the_fetch_is_raised_where_the_socket_is_awaited(pair):
    ours, theirs = pair
    readiness = Readiness(ours)

    def fail():
        raise ConnectionResetError("torn")

    theirs.send(b"x")
    with pytest.raises(ConnectionResetError, match="torn"):
        await readiness.wait(fail)
    readiness.close()


async def test_a_cancelled_wait_leaves_the_socket_usable(pair):
    ours, theirs = pair
    readiness = Readiness(ours)
    with anyio.move_on_after(0.01) as scope:
        await readiness.wait()
    assert scope.cancelled_caught
    theirs.send(b"x")
    with anyio.fail_after(5):
        await readiness.wait()
    readiness.close()


# ── asyncio alone: trio asks anew for each wait ──────────────────────────────────────────────────────────────────────


def on_asyncio(function, loop_factory=asyncio.SelectorEventLoop):
    """Run a coroutine function in a loop of asyncio whose registrations can be counted."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(function())


def test_a_socket_is_registered_once_for_many_waits(pair, monkeypatch):
    ours, theirs = pair
    added = []
    add = asyncio.SelectorEventLoop.add_reader
    monkeypatch.setattr(
        asyncio.SelectorEventLoop, "add_reader", lambda loop, *args: (added.append(args[0]), add(loop, *args))
    )

    async def wait_often():
        readiness = Readiness(ours)
        for _ in range(5):
            theirs.send(b"x")
            await readiness.wait(lambda: ours.recv(1))
        readiness.close()
        assert ours.fileno() == -1, "in its own loop it is closed at once"

    on_asyncio(wait_often)
    assert len(added) == 1


def test_one_report_too_many_costs_no_registration(pair, monkeypatch):
    """Bytes that the loop has seen may have been read before its report runs."""
    ours, theirs = pair
    removed = []
    monkeypatch.setattr(asyncio.SelectorEventLoop, "remove_reader", lambda *_: removed.append(1))

    async def wait_often():
        readiness = Readiness(ours)
        for _ in range(5):
            theirs.send(b"x")
            await readiness.wait()
            await asyncio.sleep(0)  # the byte is still there, and is reported once more
            assert ours.recv(1) == b"x"
        assert removed == []
        readiness.close()

    on_asyncio(wait_often)


@pytest.mark.parametrize("fails", [False, True])
def test_a_cancellation_and_bytes_at_the_same_time(pair, caplog, fails):
    """The wait ends as cancelled, and the loop has nothing to complain of, before the bytes or after them."""
    ours, theirs = pair

    async def wait_and_be_cancelled():
        loop, readiness = asyncio.get_running_loop(), Readiness(ours)

        def fetch():
            loop.call_soon(task.cancel)
            if fails:
                raise ConnectionResetError("torn")

        for before in (False, True):
            task = loop.create_task(readiness.wait(fetch))
            await asyncio.sleep(0)
            theirs.send(b"x")
            if before:
                loop.call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
        readiness.close()

    on_asyncio(wait_and_be_cancelled)
    gc.collect()
    assert caplog.records == []


def test_bytes_that_nothing_waits_for_do_not_keep_the_loop_turning(pair):
    ours, theirs = pair

    async def wait_then_work():
        readiness = Readiness(ours)
        theirs.send(b"x")
        await readiness.wait()  # and the byte stays there
        for _ in range(4):
            await asyncio.sleep(0)
        assert ours.fileno() not in asyncio.get_running_loop()._selector.get_map(), "the loop still looks at it"
        with anyio.fail_after(5):
            await readiness.wait()  # it is still told of the byte
        readiness.close()

    on_asyncio(wait_then_work)


def test_a_socket_that_another_thread_closes_is_taken_out_by_its_own_loop(pair):
    ours, theirs = pair

    async def wait_then_lose_it():
        readiness, number = Readiness(ours), ours.fileno()
        theirs.send(b"x")
        await readiness.wait(lambda: ours.recv(1))
        thread = threading.Thread(target=readiness.close)
        thread.start()
        thread.join()
        assert ours.fileno() == number, "its number could be another socket's before it is taken out"
        await asyncio.sleep(0)
        assert number not in asyncio.get_running_loop()._selector.get_map()
        assert ours.fileno() == -1

    on_asyncio(wait_then_lose_it)


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_a_socket_can_be_closed_after_its_loop(pair, library):
    ours, theirs = pair
    loops = pytest.importorskip(library)
    kept = []

    async def wait():
        kept.append(Readiness(ours))
        theirs.send(b"x")
        await kept[0].wait()

    on_asyncio(wait, loops.new_event_loop)
    kept[0].close()
    assert ours.fileno() == -1


def test_a_loop_that_knows_no_readers_is_asked_through_anyio(pair, monkeypatch):
    ours, _ = pair
    asked = []

    def refuse(loop, *args):
        raise NotImplementedError

    async def wait_readable(sock):
        asked.append(sock)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", refuse)
    monkeypatch.setattr(anyio, "wait_readable", wait_readable)

    async def wait_twice():
        readiness, fetched = Readiness(ours), []
        for number in range(2):
            await readiness.wait(lambda number=number: fetched.append(number))
        readiness.close()
        assert fetched == [0, 1]

    on_asyncio(wait_twice)
    assert asked == [ours, ours]


def test_a_connection_of_another_loop_is_not_used_again(tmp_path):
    """A server whose requests each run a loop of their own may share an area, as long as no two run at once."""
    with FakeCDN.in_thread() as cdn:
        url, area = cdn.serve("/a", b"abc"), StagingArea(tmp_path, policy=cdn.policy)

        async def use():
            async with area.stage() as stage:
                assert [outcome.downloaded for outcome in await stage.download(url)] == [True]

        on_asyncio(area.__aenter__)
        for _ in range(2):
            on_asyncio(use)
        on_asyncio(area.aclose)
        assert [request.connection for request in cdn.requests] == [1, 2]
