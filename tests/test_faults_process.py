"""Faults of processes and of load: P01 to P09, L01 to L03. Real processes, real signals, real SIGKILL."""

import json
import logging
import os
import random
import select
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import anyio
import pytest

from staging import AttachmentStage, Limits, StageClosedError, StagedFile, StagingArea, sweep
from staging.testing import Drip, FakeCDN, Hold, assert_empty

KILLS = int(os.environ.get("STAGING_KILLS", "12"))  # 1,000 were run for the README

CHILD = """
import os, signal, sys
import anyio
from staging import AttachmentStage, UrlPolicy

ROOT, URL, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
POLICY = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=(PORT,), private=True)

def say(word):
    print(word, flush=True)

"""


@contextmanager
def child(body, root, url="", port=1):
    """Run a program beside this one; it reads ROOT, URL and POLICY, and says words on its standard output."""
    program = CHILD + textwrap.dedent(body)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(root), url, str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process, word):
    """Wait until the program has said `word`."""
    for line in process.stdout:
        if line.strip() == word:
            return
    pytest.fail(f"the program ended without saying {word!r}: {process.stderr.read()}")


STAGING = """
async def main():
    async with AttachmentStage(ROOT, policy=POLICY) as stage:
        say("entered")
        await stage.download(URL)
        say("staged")
        await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.mark.parametrize("moment", ["entered", "staged"])
def test_P01_sigint_cleans_up_and_stays_an_interrupt(tmp_path, moment):
    with FakeCDN.in_thread() as cdn:
        url = cdn.serve("/a", bytes(100_000), Drip(1000, every=0.05)) if moment == "entered" else cdn.serve("/a", b"x")
        with child(STAGING, tmp_path, url, cdn.port) as process:
            heard(process, moment)
            if moment == "entered":
                cdn.call(cdn.requested)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert process.returncode in {1, -signal.SIGINT, 130}
    assert_empty(tmp_path)


def test_P01_sigterm_without_a_handler_leaves_an_orphan_for_the_next_stage(tmp_path):
    with FakeCDN.in_thread() as cdn, child(STAGING, tmp_path, cdn.serve("/a", b"x"), cdn.port) as process:
        heard(process, "staged")
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
    assert len(list(tmp_path.iterdir())) == 1
    anyio.run(enter_and_leave, tmp_path)
    assert_empty(tmp_path)


async def enter_and_leave(root):
    """Do what the next start does."""
    async with AttachmentStage(root):
        pass


def test_P01_sigterm_with_a_handler_that_cancels_is_clean(tmp_path):
    body = """
    async def main():
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async with anyio.create_task_group() as group:
                group.start_soon(job)
                async for _ in signals:
                    group.cancel_scope.cancel()
    async def job():
        async with AttachmentStage(ROOT, policy=POLICY) as stage:
            await stage.download(URL)
            say("staged")
            await anyio.sleep_forever()
    anyio.run(main)
    """
    with FakeCDN.in_thread() as cdn, child(body, tmp_path, cdn.serve("/a", b"x"), cdn.port) as process:
        heard(process, "staged")
        process.terminate()
        assert process.wait(20) == 0
    assert_empty(tmp_path)


def test_P02_sigkill_at_random_instants_leaves_only_what_the_next_sweep_takes(tmp_path):
    """One long-lived stage lives beside all of them, and is not touched."""
    body = """
    async def main():
        say("ready")
        while True:
            async with AttachmentStage(ROOT, policy=POLICY) as stage:
                await stage.download(URL, URL + "?2", URL + "?3")
    anyio.run(main)
    """
    dice = random.Random(11)
    with FakeCDN.in_thread() as cdn, child(STAGING, tmp_path, cdn.serve("/live", b"alive"), cdn.port) as living:
        heard(living, "staged")
        [workspace] = tmp_path.iterdir()
        url = cdn.serve("/a", bytes(300_000))
        for _ in range(KILLS):
            with child(body, tmp_path, url, cdn.port) as process:
                heard(process, "ready")
                select.select([], [], [], dice.uniform(0, 0.15))  # an instant of its own, not a wait for something
                process.kill()
            sweep(tmp_path)
            assert [path.name for path in tmp_path.iterdir()] == [workspace.name]
        assert (workspace / "live").read_bytes() == b"alive"
    assert sweep(tmp_path) == 1
    assert_empty(tmp_path)


def test_P04_a_forked_child_neither_uses_nor_deletes_the_parents_stage(tmp_path):
    body = """
    async def main():
        async with AttachmentStage(ROOT, policy=POLICY) as stage:
            [staged] = await stage.download(URL)
            child = os.fork()
            if not child:
                try:
                    await stage.download(URL)
                except RuntimeError as error:
                    say(type(error).__name__)
                await stage.__aexit__(None, None, None)
                sys.stdout.flush()
                os._exit(0)
            os.waitpid(child, 0)
            say("alive" if staged.path.exists() else "deleted")
        say("gone" if not stage.directory.exists() else "left")
    anyio.run(main)
    """
    with FakeCDN.in_thread() as cdn, child(body, tmp_path, cdn.serve("/a", b"x"), cdn.port) as process:
        output, errors = process.communicate(timeout=30)
    assert output.split() == ["StageClosedError", "alive", "gone"], errors
    assert_empty(tmp_path)


def test_P05_an_executed_child_does_not_hold_the_lease(tmp_path):
    body = """
    import subprocess
    async def main():
        async with AttachmentStage(ROOT, policy=POLICY) as stage:
            subprocess.Popen(["sleep", "30"], close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            say("ready")
            await anyio.sleep_forever()
    anyio.run(main)
    """
    with child(body, tmp_path) as process:
        heard(process, "ready")
        process.kill()
        process.wait()
        assert sweep(tmp_path) == 1
    assert_empty(tmp_path)


def test_P06_many_processes_start_and_exit_on_one_root(tmp_path):
    """Each downloads and reads what it staged; none loses a file to another's sweep, and nothing is left."""
    body = """
    async def main():
        for n in range(5):
            async with AttachmentStage(ROOT, policy=POLICY) as stage:
                outcomes = await stage.download(URL + f"?{os.getpid()}-{n}", URL + f"?{os.getpid()}-{n}b")
                for outcome in outcomes:
                    assert outcome.path.read_bytes() == b"x" * 1000, outcome
        say("well")
    anyio.run(main)
    """
    with FakeCDN.in_thread() as cdn:
        url = cdn.serve("/a", b"x" * 1000)
        crowds = [5, 5]
        for crowd in crowds:
            contexts = [child(body, tmp_path, url, cdn.port) for _ in range(crowd)]
            processes = [context.__enter__() for context in contexts]
            results = [process.communicate(timeout=60) for process in processes]
            for context in contexts:
                context.__exit__(None, None, None)
            assert [output.strip() for output, _ in results] == ["well"] * crowd, results
    assert_empty(tmp_path)


async def test_P08_deadlines_do_not_follow_the_wall_clock(tmp_path, monkeypatch):
    real = time.time
    async with FakeCDN() as cdn:
        gate = Hold(1)
        async with AttachmentStage(tmp_path, limits=Limits(timeout=20), policy=cdn.policy) as stage:

            async def jump():
                await gate.reached()
                monkeypatch.setattr(time, "time", lambda: real() + 10 * 365 * 86_400)
                os.utime(stage.directory, (0, 2**33))
                assert sweep(tmp_path) == 0
                gate.release()

            async with anyio.create_task_group() as group:
                group.start_soon(jump)
                [staged] = await stage.download(cdn.serve("/a", b"123", gate))
            assert isinstance(staged, StagedFile)
    monkeypatch.undo()
    assert_empty(tmp_path)


@pytest.mark.parametrize(("ending", "swept"), [
    ("os._exit(3)", True), ("raise MemoryError", False), ("raise SystemExit(3)", False),
    ("(lambda f: f(f))(lambda f: f(f))", False),
])  # fmt: skip
def test_P09_however_the_body_ends(tmp_path, ending, swept):
    body = f"""
    async def main():
        async with AttachmentStage(ROOT, policy=POLICY) as stage:
            await stage.download(URL)
            {ending}
    anyio.run(main)
    """
    with FakeCDN.in_thread() as cdn, child(body, tmp_path, cdn.serve("/a", b"x"), cdn.port) as process:
        process.communicate(timeout=30)
        assert process.returncode != 0
    assert sweep(tmp_path) == (1 if swept else 0)
    assert_empty(tmp_path)


# ── load ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_L01_ten_thousand_urls_in_order_with_bounded_tasks_and_sockets(tmp_path, caplog):
    """The budget of the stage is reached by many small files, and never overshot."""
    caplog.set_level(logging.CRITICAL, "staging")  # nine thousand captured lines are pytest's load, not ours
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", bytes(1024))
        limits = Limits(max_files=20_000, max_total_mb=1)
        async with AttachmentStage(tmp_path, limits=limits, policy=cdn.policy) as stage:
            outcomes = await stage.download(f"{url}?{n}" for n in range(10_000))
            assert [outcome.attachment.url for outcome in outcomes] == [f"{url}?{n}" for n in range(10_000)]
            assert len(stage.files) == 1024
            assert {failure.reason for failure in stage.failures} == {"budget"}
            assert sum(path.stat().st_size for path in stage.paths) == 1_048_576
        assert cdn.connections == 8
    assert_empty(tmp_path)


async def test_L01_unknown_sizes_never_overshoot_the_budget(tmp_path):
    from staging.testing import Chunked

    async with FakeCDN() as cdn:
        urls = [cdn.serve(f"/{n}", bytes(400_000), Chunked(10_000)) for n in range(12)]
        async with AttachmentStage(tmp_path, limits=Limits(max_total_mb=2), policy=cdn.policy) as stage:
            outcomes = await stage.download(urls)
            staged = [outcome.size for outcome in outcomes if outcome.downloaded]
            assert sum(staged) <= 2 * 1_048_576
            assert 1 <= len(staged) <= 5
            assert {outcome.reason for outcome in outcomes if not outcome.downloaded} == {"budget"}
            again = await stage.download(cdn.serve("/small", b"x"))
            assert again[0].downloaded


async def test_L02_odd_claims_each_get_an_entry(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"12345")
        sources = [
            {"url": url, "size": 5}, {"url": url, "size": None}, {"url": url + "?sig=1", "size": 0},
            {"url": url + "?sig=2", "size": 7}, {"url": url + "?sig=3", "size": -7}, url,
        ]  # fmt: skip
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            assert await stage.download() == []
            outcomes = await stage.download(sources)
            assert [outcome.size for outcome in outcomes] == [5] * 6
            assert [outcome.attachment.size for outcome in outcomes] == [5, None, 0, 7, None, None]
            assert stage.context().count("FILE 'a'") == 6
        assert len(cdn.requests) == 4


async def test_L03_when_all_fail_the_stage_is_still_good(tmp_path):
    async with FakeCDN() as cdn:
        missing = [cdn.url(f"/{n}") for n in range(20)]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            outcomes = await stage.download(missing)
            assert [outcome.reason for outcome in outcomes] == ["not_found"] * 20
            assert stage.context().count("Downloaded: Failed") == 20
            assert "20 of 20" in stage.notice()
            assert (await stage.download(cdn.serve("/a", b"x")))[0].downloaded


async def test_L03_an_area_outlives_any_number_of_failing_stages(tmp_path):
    async with FakeCDN() as cdn, StagingArea(tmp_path, policy=cdn.policy) as area:
        for _ in range(20):
            async with area.stage() as stage:
                await stage.download(cdn.url("/gone"))
        with pytest.raises(StageClosedError):
            stage.context()
        assert json.dumps([outcome.as_dict() for outcome in stage.outcomes])
