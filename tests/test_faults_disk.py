"""Faults of the disk as a stage meets them (F01 to F12; test_workspace.py has them below the stage).

The attachment that meets the fault fails with the right reason, its siblings are staged, the stage stays usable, and
nothing is left.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import threading

import anyio
import anyio.lowlevel
import pytest

from staging import AttachmentStage, Limits, StageClosedError, WorkspaceError
from staging._download import BUFFER
from staging.testing import FakeCDN, Hold, Stall, Truncate, assert_empty


def failing(monkeypatch, function, code, *, on_call):
    """Let the `on_call`-th call of ``os.<function>`` from now on fail with `code`, and only that one."""
    real, calls = getattr(os, function), []

    def fails_once(*args, **kwargs):
        calls.append(args)
        if len(calls) == on_call:
            if function == "close":
                real(*args)  # Linux lets the descriptor go whatever it reports
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, function, fails_once)


@pytest.mark.parametrize(("code", "reason"), [
    (errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "storage"), (errno.EROFS, "storage"),
    (errno.EMFILE, "storage"),
], ids=errno.errorcode.get)  # fmt: skip
@pytest.mark.parametrize("function", ["write", "close", "link"])
async def test_F01_F02_a_disk_that_fails_costs_one_file(tmp_path, monkeypatch, function, code, reason):
    async with FakeCDN() as cdn:
        urls = [cdn.serve(f"/{n}", b"content") for n in range(3)]
        async with AttachmentStage(tmp_path, limits=Limits(concurrency=1), policy=cdn.policy) as stage:
            [first] = await stage.download(urls[0])
            with monkeypatch.context() as patch:
                failing(patch, function, code, on_call=1) if function != "write" else own_writes(patch, code)
                [second] = await stage.download(urls[1])
            if not second.downloaded:  # without hard links another way is found
                assert second.reason == reason
                assert isinstance(second.error, WorkspaceError)
                assert second.error.errno == code
            else:
                assert function in {"link", "close"}
            [third] = await stage.download(urls[2])
            assert first.path.read_bytes() == third.path.read_bytes() == b"content"
            assert {path.name for path in stage.directory.iterdir()} == {path.name for path in stage.paths}
    assert_empty(tmp_path)


def own_writes(patch, code):
    """Let each write of a file's content fail, but nobody else's: event loops write to their own pipes."""
    real = os.write

    def write(descriptor, data):
        if bytes(data) == b"content":
            raise OSError(code, os.strerror(code))
        return real(descriptor, data)

    patch.setattr(os, "write", write)


async def test_F05_no_descriptors_left_is_a_failure_and_cleanup_still_works(tmp_path, monkeypatch):
    async with FakeCDN() as cdn:
        url, more = cdn.serve("/a", b"x"), cdn.serve("/b", b"y")
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            real = os.open

            def no_more(path, flags, *args, **kwargs):
                if flags & os.O_CREAT:
                    raise OSError(errno.EMFILE, "Too many open files")
                return real(path, flags, *args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(os, "open", no_more)
                [outcome] = await stage.download(url)
            assert outcome.reason == "storage"
            assert "EMFILE" in outcome.detail
            assert (await stage.download(more))[0].downloaded
    assert_empty(tmp_path)


@pytest.mark.parametrize("when", ["during", "before exit"])
async def test_F06_the_workspace_vanishes_underneath(tmp_path, when):
    """A cleaner of temporary files takes it away: exit does not raise, and nothing is made again at that name."""
    async with FakeCDN() as cdn:
        gate = Hold(3)
        url = cdn.serve("/a", b"123456", gate)
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            if when == "during":

                async def cleaner():
                    await gate.reached()
                    shutil.rmtree(stage.directory)
                    gate.release()

                async with anyio.create_task_group() as group:
                    group.start_soon(cleaner)
                    [outcome] = await stage.download(url)
                assert outcome.reason == "storage"
            else:
                await stage.download(cdn.serve("/b", b"x"))
                shutil.rmtree(stage.directory)
        assert not stage.directory.exists()
        assert stage.removed == 0
    assert_empty(tmp_path)


async def test_F07_a_symlink_in_the_workspaces_place_leads_nobody_astray(tmp_path):
    root, victim = tmp_path / "root", tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("mine")
    async with AttachmentStage(root) as stage:
        stage.directory.rename(root / "moved")
        stage.directory.symlink_to(victim, target_is_directory=True)
    assert (victim / "precious").read_text() == "mine"
    assert stage.directory.is_symlink()


async def test_F08_F09_whatever_the_body_leaves_is_removed(tmp_path):
    async with FakeCDN() as cdn:
        names = [cdn.serve(f"/{n}", b"x") for n in range(3)]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            first, second, third = [outcome.path for outcome in await stage.download(names)]
            first.unlink()
            first.mkdir()
            (first / "inside").write_text("x")
            second.unlink()
            os.mkfifo(second)
            third.chmod(0)
            (stage.directory / "link").symlink_to(tmp_path)
            (stage.directory / "closed").mkdir(mode=0)
            deep = stage.directory / "deep"
            for _ in range(50):
                deep.mkdir()
                deep /= "deeper"
        assert stage.leftovers == ()
        assert stage.removed >= 1
    assert_empty(tmp_path)


async def test_F10_links_and_open_files_outlive_the_stage(tmp_path):
    root, mine = tmp_path / "root", tmp_path / "mine"
    async with FakeCDN() as cdn:
        async with AttachmentStage(root, policy=cdn.policy) as stage:
            [staged] = await stage.download(cdn.serve("/a", b"content"))
            os.link(staged.path, mine)
            opened = staged.path.open("rb")
        with opened:
            assert opened.read() == b"content"
    assert mine.read_bytes() == b"content"
    assert_empty(root)


async def test_F12_equal_names_are_numbered_in_the_order_of_input(tmp_path):
    """Whichever arrives first: the last is sent at once, the first is held back."""
    async with FakeCDN() as cdn:
        gates = [Hold(1) for _ in range(4)]
        sources = [{"url": cdn.serve(f"/{n}", b"%d!" % n, gate), "filename": "a.png"} for n, gate in enumerate(gates)]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:

            async def release_backwards():
                for gate in gates:
                    await gate.reached()
                for gate in reversed(gates):
                    gate.release()

            async with anyio.create_task_group() as group:
                group.start_soon(release_backwards)
                outcomes = await stage.download(sources)
            assert [outcome.path.name for outcome in outcomes] == ["a.png", "a-2.png", "a-3.png", "a-4.png"]
            assert [outcome.path.read_bytes() for outcome in outcomes] == [b"%d!" % n for n in range(4)]
            assert {outcome.name for outcome in outcomes} == {"a.png"}


async def test_F12_so_are_those_of_urls_and_a_servers_name_counts_only_for_them(tmp_path):
    async with FakeCDN() as cdn:
        gates = [Hold(1) for _ in range(3)]
        urls = [cdn.serve(f"/{n}/a.png", b"%d!" % n, gate) for n, gate in enumerate(gates)]
        named = {"headers": {"Content-Disposition": 'attachment; filename="b.txt"'}}
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage, anyio.create_task_group() as group:

            async def release_backwards():
                for gate in gates:
                    await gate.reached()
                for gate in reversed(gates):
                    gate.release()

            group.start_soon(release_backwards)
            outcomes = await stage.download(urls)
            assert [outcome.path.name for outcome in outcomes] == ["a.png", "a-2.png", "a-3.png"]
            unnamed = cdn.serve("/download", b"x", **named)
            mine = {"url": unnamed + "?2", "filename": "mine.txt"}
            assert [o.path.name for o in await stage.download(unnamed, mine)] == ["b.txt", "mine.txt"]


async def until_on_disk(stage, size):
    """Wait until a part file has more than so many bytes."""
    while not any(path.stat().st_size > size for path in stage.directory.glob(".*.part")):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("how", ["breaks", "stalls", "is cancelled", "is cancelled by asyncio", "ends with its stage"])
async def test_a_large_part_file_is_deleted_off_the_event_loop(tmp_path, monkeypatch, loop_name, how):
    """To free 300 MB takes 30 ms, in which nothing else would run."""
    deleted, real = [], os.unlink

    def unlink(path, **options):
        if os.fspath(path).endswith(".part"):
            deleted.append(threading.current_thread() is threading.main_thread())
        real(path, **options)

    body, at = bytes(4 * BUFFER), 3 * BUFFER
    limits = Limits(retries=0, idle_timeout=0.2 if how == "stalls" else 20)
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", body, Truncate(at) if how == "breaks" else Stall(at))
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
            monkeypatch.setattr(os, "unlink", unlink)
            if how == "is cancelled by asyncio":
                if loop_name == "trio":
                    pytest.skip("asyncio's own")
                task = asyncio.ensure_future(stage.download(url))
                await until_on_disk(stage, BUFFER)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif how in {"breaks", "stalls"}:
                [outcome] = await stage.download(url)
                assert outcome.reason == {"breaks": "size_mismatch", "stalls": "stalled"}[how]
            else:
                async with anyio.create_task_group() as group:
                    group.start_soon(swallowing, stage.download, url)
                    await until_on_disk(stage, BUFFER)
                    if how == "is cancelled":
                        group.cancel_scope.cancel()
                    else:
                        await stage.aclose()
            with anyio.fail_after(10):
                while not deleted:  # a worker that was writing deletes it as it leaves
                    await anyio.lowlevel.checkpoint()
            assert deleted == [False]
            assert how == "ends with its stage" or [*stage.directory.iterdir()] == []
    assert_empty(tmp_path)


async def swallowing(function, *args):
    with contextlib.suppress(StageClosedError):
        await function(*args)
