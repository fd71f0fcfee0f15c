"""A reader that was taken over reaches nothing, and leaves nothing."""

import asyncio
import contextlib
import functools
import json
import os
import platform
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from llm_stage import docx, stage_of, staged_file

from staging import llm
from staging.llm import _forks, _process
from staging.llm._converter import tasks
from staging.llm._files import UnreadableError, staged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
SCRIPT = Path(__file__).with_name("hostile_converter.py")
WALLED = platform.machine() in {"x86_64", "aarch64"}


@pytest.fixture(autouse=True)
def hostile(monkeypatch):
    monkeypatch.setattr(_process, "SCRIPT", SCRIPT)


@pytest.fixture(params=["forked", "alone"])
def way(request, monkeypatch):
    """Both ways to run a converter: forked from one process, and each in an interpreter of its own."""
    monkeypatch.setattr(_process, "forks", lambda: request.param == "forked")


def lacking(monkeypatch, *walls):
    """Have the converters do without some of the walls, as on an older kernel."""
    environment = _process._environment
    monkeypatch.setattr(_process, "_environment", lambda: {**environment(), "LACKING": json.dumps(walls)})


async def said(folder, act, limit=1_000_000, content=b"input", **options):
    """Return what the hostile reader wrote, and its remarks and data."""
    words = []
    if act == "escape":
        options["place"] = str(folder / "escaped")
    async with staged(staged_file(folder, "input", content)) as handle:
        answer = await _process.convert(handle, "hostile", limit=limit, take=words.append, act=act, **options)
    return "".join(words), answer


def converters():
    listed = ["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="]
    lines = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split()[0] for line in lines if "_converter" in line}


SHARED = set()  # those of other tests, which were there before


@pytest.fixture(autouse=True)
def _others():
    SHARED.update(converters())
    yield
    SHARED.clear()


def children():
    return len(converters() - SHARED)


@contextlib.contextmanager
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_it_reads_no_file_no_memory_and_no_environment_and_reaches_no_host(way, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "sk-parent")
    other = staged_file(tmp_path, "other.txt", b"another tenant's")
    with listener() as port, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0staging-test-" + str(os.getpid()))
        unix.listen()
        text, _ = await said(
            tmp_path, "escape", parent=os.getpid(), paths=[str(other.path)], port=port,
            unix="staging-test-" + str(os.getpid()),
        )  # fmt: skip
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    environ, descriptors = lines.pop("environ"), lines.pop("descriptors")
    assert [f"{name}: {what}" for name, what in lines.items() if not what.startswith("refused")] == []
    assert environ == "{}"
    assert descriptors == "[0, 1, 2]"
    assert other.path.read_bytes() == b"another tenant's"
    assert not os.path.lexists(tmp_path / "escaped")


@pytest.mark.skipif(not WALLED, reason="no seccomp program for this machine")
async def test_without_landlock_seccomp_still_holds_the_network_and_children(tmp_path, monkeypatch):
    lacking(monkeypatch, "landlock")
    with listener() as port:
        text, _ = await said(tmp_path, "escape", parent=os.getpid(), paths=[], port=port, unix="x")
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    for name in ("TCP", "UDP", "abstract socket", "run a program", "child", "attach to the parent", "limit the parent"):
        assert lines[name].startswith("refused"), name


async def test_without_seccomp_landlock_still_holds_files_tcp_and_signals(tmp_path, monkeypatch):
    lacking(monkeypatch, "seccomp")
    other = staged_file(tmp_path, "other.txt", b"other")
    with listener() as port:
        text, _ = await said(tmp_path, "escape", parent=os.getpid(), paths=[str(other.path)], port=port, unix="x")
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    for name in ("memory of the parent", "/etc/passwd", f"read {other.path}", f"delete {other.path}", "TCP"):
        assert lines[name].startswith("refused"), name
    assert lines["attach to the parent"].startswith("refused")
    assert int(lines["child"]) not in running()


def running():
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208


async def test_what_a_converter_leaves_is_gone_when_the_call_returns(tmp_path, monkeypatch):
    """Also a daemon, in no group of its own, where the kernel lets it start one."""
    lacking(monkeypatch, "seccomp")
    own = tmp_path / "hostile_converter.py"  # told from those of tests that run at the same time
    own.write_bytes(SCRIPT.read_bytes())
    monkeypatch.setattr(_process, "SCRIPT", own)
    before = running()
    async with _process.converters():
        text, _ = await said(tmp_path, "stray")
        assert "left" in text
        assert int(text.split()[0]) not in running()
    left = [pid for pid in running() - before if os.fsencode(own) in cmdline(pid)]
    assert left == []


def cmdline(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_threads_are_allowed(way, tmp_path):
    """Libraries have them."""
    assert (await said(tmp_path, "thread"))[0] == "from a thread"


async def test_text_remarks_and_data_arrive_whole(way, tmp_path):
    text, answer = await said(tmp_path, "echo", content="ä".encode() * 50_000)
    assert text == "ä" * 50_000
    assert answer.remarks == ("a remark\\nof two lines",)
    assert answer.data == (b"1", b"2" * 100_000)


ENDS = [
    ("crash", {}, "broke the converter"),
    ("exit", {"status": 3}, "broke the converter"),
    ("raw", {"said": list(b"z\0\0\0\1x")}, "broke the converter"),
    ("raw", {"said": list(b"t\0\0\0\7x")}, "broke the converter"),
    ("raw", {"said": list(b"t\xff\0\0\7x")}, "expands to far more"),
    ("raw", {"said": list(b"x\0\0\0\5hello")}, "broke the converter"),
    ("spill", {}, "expands to far more"),
    ("eat", {}, "too much memory"),
    ("end", {"by": signal.SIGABRT}, "too much memory"),
    ("end", {"by": signal.SIGSEGV}, "broke the converter"),
    ("end", {"by": signal.SIGKILL}, "was killed, perhaps because the machine has no memory left"),
]


async def test_every_end_of_a_converter_is_a_reason(way, tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "hostile", tasks.Task(module="hostile"))
    async with _process.converters():
        for act, options, reason in ENDS:
            with pytest.raises(UnreadableError, match=reason):
                await said(tmp_path, act, **options)


def test_the_kernel_ends_one_that_only_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(_process, "DEADLINE", 60)
    lacking(monkeypatch, "seconds")  # it is given one, not seven
    with pytest.raises(UnreadableError, match="7 seconds of processor time"):
        anyio.run(said, tmp_path, "spin")


def test_what_was_found_before_the_kernel_ended_it_is_kept(tmp_path, monkeypatch):
    lacking(monkeypatch, "seconds")
    text, answer = anyio.run(said, tmp_path, "stick")
    assert text == "found \n[… the rest was not read, after 7 seconds of processor time …]\n"
    assert answer.remarks == ("not read to its end",)


async def test_what_was_found_before_the_memory_ended_is_kept(way, tmp_path):
    text, _ = await said(tmp_path, "gorge")
    assert text == "found \n[… the rest was not read, after 40 MB of memory …]\n"


async def test_one_that_hangs_is_gone_at_the_deadline(way, tmp_path, monkeypatch):
    monkeypatch.setattr(_process, "DEADLINE", 1.5)
    words = []
    async with staged(staged_file(tmp_path, "x", b"x")) as handle:
        answer = await _process.convert(handle, "hostile", limit=1000, take=words.append, act="hang")
    assert answer.remarks == ("not read to its end",)
    assert words.pop() == "\n[… the rest was not read, after 1.5 seconds …]\n"
    assert int("".join(words)) not in running()


async def test_a_cancelled_conversion_leaves_no_process(way, tmp_path):
    """The converter says its number, and only then the call is cancelled."""
    words, told = [], anyio.Event()

    def take(piece):
        words.append(piece)
        told.set()

    async with staged(staged_file(tmp_path, "x", b"x")) as handle, anyio.create_task_group() as group:
        group.start_soon(functools.partial(_process.convert, handle, "hostile", limit=100, take=take, act="hang"))
        with anyio.fail_after(30):
            await told.wait()
        group.cancel_scope.cancel()
    assert int("".join(words)) not in running()


@pytest.mark.parametrize("times", [1, 3])
def test_a_task_that_asyncio_cancels_leaves_no_process(way, times, tmp_path):
    """Asyncio's own cancellation goes through the shields of anyio, also when it comes again and again."""
    words = []

    async def main():
        told = asyncio.Event()

        def take(piece):
            words.append(piece)
            told.set()

        async def work():
            async with staged(staged_file(tmp_path, "x", b"x")) as handle:
                await _process.convert(handle, "hostile", limit=100, take=take, act="hang")

        task = asyncio.create_task(work())
        await asyncio.wait_for(told.wait(), 30)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert children() == 0

    asyncio.run(main())
    assert int("".join(words)) not in running()


@pytest.mark.parametrize("way_name", ["forked", "alone"])
def test_asyncio_may_cancel_at_every_step(way_name, tmp_path, monkeypatch):
    """Each delay ends the call somewhere else: before the process, in its start, in the conversion, in its end."""
    monkeypatch.setattr(_process, "forks", lambda: way_name == "forked")
    file = staged_file(tmp_path, "x", b"x")

    async def main():
        for delay in [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2]:
            with contextlib.suppress(TimeoutError, UnreadableError):
                async with asyncio.timeout(delay), staged(file) as handle:
                    await _process.convert(handle, "hostile", limit=10_000, act="echo")
            assert children() == 0
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


# The fork server


async def test_files_of_one_call_share_one_process_that_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(_process, "SCRIPT", Path(llm.__file__).parent / "_converter" / "__main__.py")
    started = []
    popen = subprocess.Popen

    def counted(*args, **options):
        started.append(args)
        return popen(*args, **options)

    monkeypatch.setattr(_forks.subprocess, "Popen", counted)
    stage = stage_of(tmp_path, *((f"{n}.docx", docx()) for n in range(8)))
    assert (await llm.prompt(stage)).count("\nHello\n") == 8
    assert len(started) == 1
    assert children() == 0


async def test_it_is_started_again_when_it_was_killed(tmp_path):
    async with _process.converters():
        await said(tmp_path, "echo")
        killed = _forks.server_of_loop()._process
        killed.kill()
        with contextlib.suppress(UnreadableError):  # it may not be gone yet
            await said(tmp_path, "echo")
        killed.wait()
        assert (await said(tmp_path, "echo"))[0] == "input"


async def test_its_death_in_the_middle_is_a_reason(tmp_path):
    def take(_):
        _forks.server_of_loop()._process.kill()

    with pytest.raises(UnreadableError, match="broke the converter"):
        async with staged(staged_file(tmp_path, "x", b"x")) as handle:
            await _process.convert(handle, "hostile", limit=100, take=take, act="hang")


async def test_without_descriptors_there_is_a_reason(tmp_path):
    """Each number of descriptors that are left is tried, until it works."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reasons, left = [], 0
    async with staged(staged_file(tmp_path, "x", b"x")) as handle:
        while left < 40:
            resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
            taken = list(dups())
            try:
                for number in [taken.pop() for _ in range(left)]:
                    os.close(number)
                await _process.convert(handle, "hostile", limit=1_000_000, act="echo")
                break
            except UnreadableError as error:
                reasons.append(str(error))
                left += 1
            finally:
                for number in taken:
                    os.close(number)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert left < 40
    assert len(reasons) > 3
    assert {re.sub(r" \(\w+\)", "", reason) for reason in reasons} <= {
        "the converter cannot be run", "reading it broke the converter"
    }  # fmt: skip


def dups():
    """Yield descriptors until there are no more."""
    with contextlib.suppress(OSError):
        while True:
            yield os.dup(0)


def test_it_ends_with_an_application_that_is_killed(tmp_path):
    """Also when a child of the application, forked from it, lives on with a copy of every descriptor."""
    code = f"""
import anyio, os, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from staging.llm import _process, _forks
_process.SCRIPT = Path({os.fspath(SCRIPT)!r})
async def main():
    async with _process.converters():
        with open({os.fspath(SCRIPT)!r}, "rb") as file:
            def take(words):
                server = _forks.server_of_loop()._process.pid
                if os.fork() == 0:
                    time.sleep(60); os._exit(0)
                print(server, words, flush=True)
            await _process.convert(file, "hostile", limit=1000, take=take, act="hang")
anyio.run(main)
"""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as application:
        server, converter = map(int, application.stdout.readline().split())
        assert {server, converter} <= running()
        os.kill(application.pid, signal.SIGKILL)
        application.stdout.close()
        application.wait()
        end = time.monotonic() + 10
        while {server, converter} & alive() and time.monotonic() < end:
            time.sleep(0.01)
        assert not {server, converter} & alive()
        os.killpg(application.pid, signal.SIGKILL)


def alive():
    return {pid for pid in running() if b"hostile_converter" in cmdline(pid)}


def test_the_converter_imports_nothing_of_the_house():
    """Its modules import each other, the standard library and what a task names."""
    code = (
        "import runpy, sys; real = runpy.run_path(sys.argv[1], run_name='x'); real['_build_walls']()\n"
        "from staging.llm._converter import tasks, server\n"
        "[tasks.load(name) for name in tasks.TASKS]\n"
        "print([name for name in sys.modules if name.startswith('staging.')"
        " and not name.startswith('staging.llm._converter') and name != 'staging.llm'])"
    )
    real = Path(llm.__file__).parent / "_converter" / "__main__.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, os.fspath(real)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
