"""What `AttachmentStage` and `StagingArea` promise to whoever wraps a call in them."""

import logging
import math
import os
import pickle
import stat
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import discord
import pytest

from staging import (
    Attachment,
    AttachmentStage,
    Failure,
    Limits,
    RejectedError,
    Skipped,
    StageClosedError,
    StagedFile,
    StagingArea,
    UrlPolicy,
    WorkspaceError,
    _turns,
)
from staging._events import Finished, Progress, Removed, Started
from staging.testing import Drip, Endless, FakeCDN, Hold, Stall, Truncate, assert_empty

MB = 1_048_576
STATE = SimpleNamespace(http=None)  # what the real objects need of a connection that is not there


def reasons(outcomes):
    """Return one word for each outcome: `staged`, or the reason that it is not."""
    return ["staged" if isinstance(outcome, StagedFile) else outcome.reason for outcome in outcomes]


# ── the scope ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_files_are_there_inside_the_scope_and_gone_after_it(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/script.py", b"print(1)\n")
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            [staged] = await stage.download(url)
            assert staged.path.read_bytes() == b"print(1)\n"
            assert staged.path == stage.directory / "script.py"
            assert stage.paths == (staged.path,)
            assert staged.path.is_absolute()
        assert stage.removed == 1
        assert stage.leftovers == ()
    assert_empty(tmp_path)


async def test_workspace_and_files_are_private(tmp_path):
    async with FakeCDN() as cdn:
        old = os.umask(0)
        try:
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                [staged] = await stage.download(cdn.serve("/a", b"x"))
                assert stat.S_IMODE(stage.directory.stat().st_mode) == 0o700
                assert stat.S_IMODE(staged.path.stat().st_mode) == 0o600
        finally:
            os.umask(old)


async def test_body_exception_comes_out_as_it_is_and_nothing_is_left(tmp_path):
    async with FakeCDN() as cdn:
        with pytest.raises(KeyError, match="mine"):
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                await stage.download(cdn.serve("/a", b"x"))
                raise KeyError("mine")
    assert_empty(tmp_path)


async def test_cancellation_leaves_nothing_and_reaches_the_outer_scope(tmp_path):
    async with FakeCDN() as cdn:
        gate = Hold(3)
        url = cdn.serve("/a", b"123456", gate)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group, AttachmentStage(tmp_path, policy=cdn.policy) as stage:

                async def cancel_when_half_is_there():
                    await gate.reached()
                    scope.cancel()

                group.start_soon(cancel_when_half_is_there)
                await stage.download(url)
        assert scope.cancelled_caught
        assert_empty(tmp_path)


async def test_exit_ends_downloads_in_flight(tmp_path):
    """A download that another task awaits ends when the stage is left, and says so; nothing stays behind."""
    async with FakeCDN() as cdn:
        gate = Hold(3)
        url = cdn.serve("/a", b"123456", gate)
        told = []

        async def elsewhere(stage):
            try:
                await stage.download(url)
            except StageClosedError as error:
                told.append(str(error))

        async with anyio.create_task_group() as group:
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                group.start_soon(elsewhere, stage)
                await gate.reached()
            assert_empty(tmp_path)
        assert told == ["the stage was closed while it was downloading"]
        assert stage.removed == 0


async def test_a_stage_lives_once(tmp_path):
    stage = AttachmentStage(tmp_path)
    for use in (stage.context, lambda: stage.directory):
        with pytest.raises(StageClosedError, match="not been entered"):
            use()
    with pytest.raises(StageClosedError):
        await stage.download()
    async with stage:
        with pytest.raises(StageClosedError, match="lives once"):
            await stage.__aenter__()
    with pytest.raises(StageClosedError, match="closed"):
        await stage.download()
    with pytest.raises(StageClosedError):
        stage.context()
    with pytest.raises(StageClosedError):
        async with stage:
            pass
    assert not stage.directory.exists()
    assert_empty(tmp_path)


@pytest.mark.parametrize("wrong", ["file", "link", "below_a_file"])
async def test_a_root_that_cannot_be_used_is_one_clear_error_before_any_request(tmp_path, wrong):
    places = {"file": tmp_path / "file", "link": tmp_path / "link", "below_a_file": tmp_path / "file" / "below"}
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for scope in (AttachmentStage(places[wrong]), StagingArea(places[wrong])):
        with pytest.raises(WorkspaceError) as caught:
            async with scope:
                pytest.fail("entered")
        assert caught.value.reason == "storage"
        assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


async def test_a_missing_root_is_made_private(tmp_path):
    root = tmp_path / "a" / "b"
    async with AttachmentStage(root):
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert_empty(root)


async def test_default_root_is_the_systems_temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with AttachmentStage() as stage:
        assert stage.directory.parent == tmp_path
    assert_empty(tmp_path)


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def discord_attachment(url, name, **more):
    """Return a real `discord.Attachment`, built as the gateway's payload would have it."""
    data = {"id": "1", "filename": name, "size": 4, "url": url, "proxy_url": url, **more}
    return discord.Attachment(data=data, state=STATE)


@dataclass
class Message:
    """A message object, as every Discord library has it."""

    attachments: list
    message_snapshots: list


async def test_every_kind_of_source_in_one_call_in_order(tmp_path):
    async with FakeCDN() as cdn:
        urls = {name: cdn.serve(f"/{name}", name.encode()) for name in "abcdefgh"}
        payload = {
            "attachments": [{"url": urls["d"], "filename": "d.txt", "size": 1}],
            "message_snapshots": [{"message": {"attachments": [{"url": urls["e"], "filename": "e.txt"}]}}],
        }
        snapshot = discord.MessageSnapshot(state=STATE, data={
            "type": 0, "content": "", "embeds": [], "mentions": [], "mention_roles": [], "flags": 0,
            "attachments": [{"id": "1", "filename": "g.txt", "size": 1, "url": urls["g"], "proxy_url": urls["g"]}],
            "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None,
        })  # fmt: skip
        message = Message([discord_attachment(urls["f"], "f.txt")], [snapshot])
        sources = [
            urls["a"],
            {"url": urls["b"], "filename": "b.txt", "type": "file"},
            [discord_attachment(urls["c"], "c.txt"), [payload]],
            message,
            (Attachment(url) for url in [urls["h"]]),
            {"url": "https://example.com/", "type": "url"},
        ]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            outcomes = await stage.download(*sources)
            assert [o.local_path and Path(o.local_path).read_text() for o in outcomes] == [*"abcdefgh", None]
            assert [o.name for o in outcomes[:8]] == ["a", *(f"{c}.txt" for c in "bcdefg"), "h"]
            assert isinstance(outcomes[8], Skipped)
            assert stage.outcomes == tuple(outcomes)
            assert (len(stage.files), len(stage.failures), len(stage.skipped)) == (8, 0, 1)


async def test_as_dict_hands_the_callers_keys_back(tmp_path):
    async with FakeCDN() as cdn:
        mine = {"url": cdn.serve("/a", b"x"), "filename": "a.txt", "type": "file", "my_key": 7}
        gone = {"url": cdn.url("/gone"), "filename": "b.txt"}
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            await stage.download(mine, gone, mine["url"] + "?2")
            first, second, third = (outcome.as_dict() for outcome in stage.outcomes)
        assert first == {**mine, "local_path": str(stage.directory / "a.txt"), "downloaded": True}
        assert second == {**gone, "local_path": None, "downloaded": False, "error": "not found (HTTP 404)"}
        assert third == {
            "url": mine["url"] + "?2", "filename": "a", "type": "file",
            "local_path": str(stage.directory / "a"), "downloaded": True,
        }  # fmt: skip


@pytest.mark.parametrize("source", [42, 1.5, True, AttachmentStage, print])
async def test_what_can_be_no_source_is_misuse_and_is_named(source, tmp_path):
    async with AttachmentStage(tmp_path) as stage:
        with pytest.raises(TypeError, match="cannot be staged"):
            await stage.download("https://example.com", source)
        assert stage.outcomes == ()


@pytest.mark.parametrize("source", [object(), "", {}, {"url": None}, [42]])
async def test_a_source_without_a_url_is_a_failure_beside_the_others(source, tmp_path):
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        assert reasons(await stage.download(source, cdn.serve("/a", b"x"), None)) == ["invalid", "staged"]


async def test_nothing_to_do_is_nothing_done(tmp_path, caplog):
    async with AttachmentStage(tmp_path) as stage:
        assert await stage.download() == []
        assert await stage.download([], {"attachments": []}) == []
        assert stage.context() == ""
        assert stage.notice() == ""
    assert stage.removed == 0


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hundred_mixed_attachments_have_the_right_outcomes_in_order(tmp_path):
    kinds = {
        "staged": lambda cdn, n: cdn.serve(f"/{n}.txt", b"x" * n),
        "not_found": lambda cdn, n: cdn.url(f"/{n}-missing"),
        "forbidden": lambda cdn, n: cdn.serve(f"/{n}-secret", b"", status=403),
        "too_large": lambda cdn, n: cdn.serve(f"/{n}-large", bytes(MB + n)),
        "not_allowed": lambda cdn, n: f"https://elsewhere.example/{n}",
        "link": lambda cdn, n: {"url": f"https://example.com/{n}", "type": "url"},
        "embed": lambda cdn, n: {"url": f"https://example.com/{n}", "type": "embed"},
        "size_mismatch": lambda cdn, n: cdn.serve(f"/{n}-cut", b"x" * 500, Truncate(at=100), etag=None),
        "encoding": lambda cdn, n: cdn.serve(f"/{n}-gz", b"x", headers={"Content-Encoding": "gzip"}),
        "redirects": lambda cdn, n: cdn.serve(f"/{n}-loop", b"", status=302, headers={"Location": f"/{n}-loop"}),
    }
    async with FakeCDN() as cdn:
        wanted = [list(kinds)[n % 10] for n in range(100)]
        sources = [kinds[kind](cdn, n) for n, kind in enumerate(wanted)]
        limits = Limits(retries=0)
        async with AttachmentStage(tmp_path, max_mb=1, limits=limits, policy=cdn.policy) as stage:
            outcomes = await stage.download(sources)
            assert reasons(outcomes) == wanted
            staged = [n for n, kind in enumerate(wanted) if kind == "staged"]
            assert [outcomes[n].path.stat().st_size for n in staged] == staged
            assert stage.context().count("Downloaded: Yes") == 10
    assert_empty(tmp_path)


async def test_identical_urls_are_fetched_once_and_reported_for_each(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a.png", b"x")
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            first = await stage.download(url, {"url": url, "filename": "other.png"}, url)
            again = await stage.download(url)
            assert {outcome.path for outcome in (*first, *again)} == {stage.directory / "a.png"}
            assert len(stage.files) == 4
            assert stage.paths == (stage.directory / "a.png",)
        assert len(cdn.requests) == 1
        assert stage.removed == 1


async def test_names_are_unique_in_a_stage(tmp_path):
    async with FakeCDN() as cdn:
        claims = ["a.png", "A.PNG", "a.png", "../a.png", "CON", ""]
        sources = [{"url": cdn.serve(f"/{n}", b"%d" % n), "filename": claim} for n, claim in enumerate(claims)]
        async with AttachmentStage(tmp_path, limits=Limits(concurrency=1), policy=cdn.policy) as stage:
            outcomes = await stage.download(sources)
            names = [outcome.path.name for outcome in outcomes]
            assert names[:4] == ["a.png", "A-2.PNG", "a-3.png", "a-4.png"]
            assert len({name.casefold() for name in names}) == len(claims)
            assert [outcome.path.read_text() for outcome in outcomes] == list("012345")


async def test_the_limit_is_inclusive_and_holds_without_a_declared_length(tmp_path):
    async with FakeCDN() as cdn:
        sources = [
            cdn.serve("/exact", bytes(MB)),
            cdn.serve("/over", bytes(MB + 1)),
            cdn.serve("/endless", bytes(65_536), Endless()),
            {"url": cdn.url("/claimed"), "size": MB + 1},
        ]
        async with AttachmentStage(tmp_path, max_mb=1, policy=cdn.policy) as stage:
            outcomes = await stage.download(sources)
            assert reasons(outcomes) == ["staged", "too_large", "too_large", "too_large"]
            assert outcomes[3].detail == "too large: 1,048,577 bytes, the limit is 1 MB"
            assert {path.name for path in stage.directory.iterdir() if path.name[0] != "."} == {"exact"}
        assert "/claimed" not in [request.path for request in cdn.requests]
    assert_empty(tmp_path)


async def test_no_reader_sees_a_half_written_file_under_a_final_name(tmp_path):
    async with FakeCDN() as cdn:
        gate = Hold(2 * MB)
        url = cdn.serve("/a.bin", bytes(3 * MB), gate)
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage, anyio.create_task_group() as group:
            group.start_soon(stage.download, url)
            await gate.reached()
            visible = {path.name for path in stage.directory.iterdir() if not path.name.startswith(".")}
            gate.release()
            assert visible == set()


async def test_total_deadline_and_idle_timeout(tmp_path):
    """A drip never goes silent, so only the total time ends it; a stall ends at the idle timeout."""
    async with FakeCDN() as cdn:
        drip = cdn.serve("/drip", bytes(1000), Drip(1, every=0.05))
        stall = cdn.serve("/stall", bytes(1000), Stall(10))
        limits = Limits(timeout=0.6, idle_timeout=0.3, retries=0)
        async with AttachmentStage(tmp_path, limits=limits, policy=cdn.policy) as stage:
            assert reasons(await stage.download(drip, stall)) == ["timeout", "stalled"]
            assert [failure.retryable for failure in stage.failures] == [True, True]


async def test_batch_deadline_keeps_what_has_arrived(tmp_path):
    async with FakeCDN() as cdn:
        quick = [cdn.serve(f"/{n}", b"x") for n in range(3)]
        slow = cdn.serve("/slow", bytes(10), Stall(1))
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            outcomes = await stage.download(quick, slow, timeout=0.5)
            assert reasons(outcomes) == ["staged", "staged", "staged", "deadline"]
            assert reasons(await stage.download(cdn.serve("/more", b"y"))) == ["staged"]
            for nonsense in (0, -1, math.nan, "1"):
                with pytest.raises(ValueError, match="timeout"):
                    await stage.download(quick, timeout=nonsense)


async def test_unusable_metadata_is_a_failure_not_an_exception(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", b"x")
        wrong = [
            {"url": url, "headers": headers} for headers in ({"X": "a\r\nB: c"}, {"A B": ""}, {5: "x"}, {"X": None})
        ]
        absurd = {"url": url, "size": "many", "filename": b"a", "content_type": None, "description": 3}
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            assert reasons(await stage.download(wrong, absurd)) == ["invalid"] * 4 + ["staged"]


# ── limits of a stage ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "field", ["max_mb", "max_total_mb", "max_files", "timeout", "idle_timeout", "batch_timeout", "concurrency"]
)
@pytest.mark.parametrize("value", [-1, 0, math.nan, "many", None, True])
def test_nonsense_limits_raise_naming_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: value})


@pytest.mark.parametrize("field", ["max_mb", "timeout", "idle_timeout", "min_free_mb"])
@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["huge", "negative"])
def test_a_limit_that_no_float_can_hold_is_nonsense_too(field, value):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: value})


def test_nonsense_in_the_shortcuts_raises_too(tmp_path):
    with pytest.raises(ValueError, match="max_mb"):
        AttachmentStage(tmp_path, max_mb=-3)
    with pytest.raises(ValueError, match="max_total_mb"):
        StagingArea(tmp_path, max_total_mb=math.nan)
    for field in ("retries", "min_free_mb"):
        with pytest.raises(ValueError, match=field):
            Limits(**{field: -1})
        Limits(**{field: 0})
    Limits(max_mb=math.inf, timeout=math.inf)


async def test_too_many_files_and_too_many_bytes(tmp_path):
    async with FakeCDN() as cdn:
        files = [cdn.serve(f"/{n}", bytes(MB // 2)) for n in range(5)]
        async with AttachmentStage(tmp_path, limits=Limits(max_files=3, concurrency=1), policy=cdn.policy) as stage:
            assert reasons(await stage.download(files)) == ["staged"] * 3 + ["too_many"] * 2
        async with AttachmentStage(
            tmp_path, limits=Limits(max_total_mb=1.5, concurrency=1), policy=cdn.policy
        ) as stage:
            assert reasons(await stage.download(files)) == ["staged"] * 3 + ["budget"] * 2
            assert stage.failures[0].detail == "no room left: the stage takes 1.5 MB in all"


async def test_budget_of_the_process_is_shared_and_comes_back(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.serve("/a", bytes(MB))
        async with StagingArea(tmp_path, policy=cdn.policy, max_total_mb=1) as area:
            async with area.stage() as one, area.stage() as two:
                assert reasons(await one.download(url)) == ["staged"]
                assert reasons(await two.download(url)) == ["budget"]
            async with area.stage() as three:
                assert reasons(await three.download(url)) == ["staged"]


async def test_free_space_must_remain(tmp_path):
    async with FakeCDN() as cdn:
        limits = Limits(min_free_mb=2**40)
        async with AttachmentStage(tmp_path, limits=limits, policy=cdn.policy) as stage:
            assert reasons(await stage.download(cdn.serve("/a", b"x"))) == ["disk_full"]
            assert isinstance(stage.failures[0].error, WorkspaceError)


# ── the area ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_area_keeps_connections_warm_between_stages(tmp_path):
    async with FakeCDN() as cdn:
        async with StagingArea(tmp_path, policy=cdn.policy) as area:
            for n in range(3):
                async with area.stage(label=f"thread {n}") as stage:
                    await stage.download(cdn.serve(f"/{n}", b"x"))
        assert cdn.connections == 1
        await cdn.disconnected()
    assert_empty(tmp_path)


async def test_an_area_closes_the_stages_that_are_still_open(tmp_path):
    (tmp_path / "mine.txt").write_text("not the area's")
    async with FakeCDN() as cdn:
        async with StagingArea(tmp_path, policy=cdn.policy) as area:
            stage = area.stage()
            await stage.__aenter__()
            await area.stage().__aenter__()  # nobody holds this one
            late = area.stage()
            await stage.download(cdn.serve("/a", b"x"))
        with pytest.raises(StageClosedError):
            await stage.download(cdn.url("/a"))
        with pytest.raises(StageClosedError):
            area.stage()
        with pytest.raises(StageClosedError):
            await late.__aenter__()
        with pytest.raises(StageClosedError):
            await area.__aenter__()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


async def test_concurrency_is_one_limit_over_all_stages_of_an_area(tmp_path, monkeypatch):
    monkeypatch.setattr(_turns, "SETTLING", 60)  # no turn is lent, however slow the machine is
    async with FakeCDN() as cdn:
        gate = Hold("head")
        urls = [cdn.serve(f"/{n}", b"x", gate) for n in range(8)]
        async with (
            StagingArea(tmp_path, limits=Limits(concurrency=2), policy=cdn.policy) as area,
            area.stage() as one,
            area.stage() as two,
            anyio.create_task_group() as group,
        ):
            group.start_soon(one.download, urls[:4])
            group.start_soon(two.download, urls[4:])
            await gate.reached()
            await cdn.requested(times=2)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert len(cdn.requests) == 2
            gate.release()
        assert cdn.connections == 2


# ── context, log, events ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_context_block_has_the_exact_shape(tmp_path):
    async with FakeCDN() as cdn:
        sources = [
            {"url": cdn.serve("/1/script.py", b"print(1)\n") + "?ex=1&hm=secret", "filename": "script.py"},
            {"url": cdn.url("/2/scan.tiff"), "filename": "scan.tiff", "type": "image", "size": int(61.2 * MB)},
            {"url": "https://example.com/page", "type": "url"},
        ]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            await stage.download(sources)
            base = cdn.url("/").rstrip("/")
            assert stage.context() == (
                "[Attachments:]\n"
                "1. FILE 'script.py'\n"
                "   Downloaded: Yes (available for processing)\n"
                f"   Local Path: {stage.directory}/script.py\n"
                f"   URL: {base}/1/script.py\n"
                "2. IMAGE 'scan.tiff'\n"
                "   Downloaded: Failed (too large: 61.2 MB, the limit is 50 MB)\n"
                f"   URL: {base}/2/scan.tiff\n"
                "3. URL 'https://example.com/page'\n"
                "   Downloaded: Not needed (link)\n"
                "   URL: https://example.com/page"
            )
            assert "secret" in stage.context(urls="full")
            assert "URL:" not in stage.context(urls="hide")
            mapped = stage.context(path_map={stage.directory: "/sandbox"})
            assert "   Local Path: /sandbox/script.py\n" in mapped
            with pytest.raises(ValueError, match="urls"):
                stage.context(urls="all")


async def test_log_lines(tmp_path, caplog):
    async with FakeCDN() as cdn:
        good = [cdn.serve(f"/{n}", b"x") for n in range(3)]
        bad = [cdn.url("/gone") + "?hm=signature", "https://elsewhere.example/b"]
        link = {"url": "https://example.com/", "type": "url"}
        with caplog.at_level(logging.INFO, logger="staging"):
            async with AttachmentStage(tmp_path, policy=cdn.policy, label="thread 42") as stage:
                await stage.download(good, bad, link)
    records = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "staging"]
    assert ("INFO", "Downloaded 3/5 attachments for thread 42") in records
    assert records[-1] == ("INFO", "Cleaned up 3 attachment files for thread 42")
    assert sum(level == "WARNING" for level, _ in records) == 2
    assert "signature" not in caplog.text


async def test_events_tell_the_story_and_cannot_break_it(tmp_path, caplog):
    async with FakeCDN() as cdn:
        seen = []
        url = cdn.serve("/a", bytes(1000))
        async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=seen.append) as stage:
            await stage.download(url, cdn.url("/gone"))
        mine = [event for event in seen if getattr(event, "attachment", None) == Attachment(url)]
        assert [type(event) for event in mine] == [Started, Progress]
        assert (mine[1].received, mine[1].total) == (1000, 1000)
        assert sorted(reasons([event.outcome for event in seen if isinstance(event, Finished)])) == [
            "not_found",
            "staged",
        ]
        assert seen[-1] == Removed(files=1, leftovers=())
        short, told, once = (
            cdn.serve("/short", bytes(1000), Drip(100, every=0.001), Truncate(700)),
            [],
            Limits(retries=0),
        )
        async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=told.append, limits=once) as stage:
            await stage.download(short)
        assert [event.received for event in told if isinstance(event, Progress)][-1] == 700

        def broken(event):
            raise ZeroDivisionError

        async with AttachmentStage(tmp_path, policy=cdn.policy, on_event=broken) as stage:
            assert reasons(await stage.download(url)) == ["staged"]
        assert sum("on_event raised" in record.getMessage() for record in caplog.records) == 1


async def test_repr_helps_a_person(tmp_path):
    async with FakeCDN() as cdn:
        stage = AttachmentStage(tmp_path, policy=cdn.policy)
        assert repr(stage) == "<AttachmentStage new: 0 files, 0 bytes>"
        async with stage:
            await stage.download(cdn.serve("/a", bytes(MB)), cdn.url("/gone"))
            assert repr(stage) == f"<AttachmentStage open: 1 file, 1 failure, 1 MB in {stage.directory}>"
        assert repr(stage).startswith("<AttachmentStage closed: 1 file")


async def test_outcomes_and_errors_pickle(tmp_path):
    async with FakeCDN() as cdn:
        sources = [cdn.serve("/a", b"x"), cdn.url("/gone"), {"url": "https://example.com/", "type": "url"}]
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            outcomes = await stage.download(sources)
            copies = pickle.loads(pickle.dumps(outcomes))
            assert copies == outcomes
            assert isinstance(copies[1], Failure)
            assert copies[1].error.status == 404


# ── keep, refresh ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_keep_moves_one_file_out_and_never_overwrites(tmp_path):
    root, home = tmp_path / "root", tmp_path / "home"
    home.mkdir()
    (home / "taken.txt").write_text("mine")
    async with FakeCDN() as cdn:
        async with AttachmentStage(root, policy=cdn.policy) as stage:
            one, two = await stage.download(cdn.serve("/one.txt", b"1"), cdn.serve("/two.txt", b"2"))
            with pytest.raises(FileExistsError):
                await stage.keep(one, home / "taken.txt")
            for nowhere in (None, 5, b"/x"):
                with pytest.raises(TypeError):
                    await stage.keep(one, nowhere)
            (home / "way").symlink_to(stage.directory)
            for inside in (stage.directory / "in.txt", home / "way" / "in.txt"):
                with pytest.raises(WorkspaceError, match="in its own stage, which is deleted"):
                    await stage.keep(one, inside)
            kept = await stage.keep(one, home / "kept.txt")
            assert kept == home / "kept.txt"
            assert stage.paths == (kept, two.path)
            with pytest.raises(ValueError, match=r"one\.txt"):
                await stage.keep(one, home / "again.txt")
            with pytest.raises(ValueError, match="not a file of this stage"):
                await stage.keep(stage.files[0], home / "again.txt")
        assert stage.removed == 1
        with pytest.raises(StageClosedError):
            await stage.keep(two, home / "late.txt")
    assert (home / "kept.txt").read_bytes() == b"1"
    assert (home / "taken.txt").read_text() == "mine"
    assert_empty(root)


async def test_the_bytes_of_a_kept_file_are_given_back(tmp_path):
    async with StagingArea(tmp_path / "root", max_total_mb=1) as area, area.stage() as stage:
        for number in range(3):
            [file] = await stage.download(bytes(700_000))
            assert file.downloaded
            await stage.keep(file, tmp_path / f"{number}.bin")
            assert area.stats().bytes_held == 0


async def test_expired_links_are_refreshed_once_for_the_batch(tmp_path):
    """`ex` counts on Discord's hosts only; without `refresh`, or without an answer, the link has expired."""
    asked = []
    expired = [f"https://cdn.discordapp.com/attachments/1/{n}/a.png?ex=65f00000&is=1&hm=2&" for n in range(3)]

    async def refresh(urls):
        asked.append(list(urls))
        return {expired[0]: "https://evil.example/", expired[1]: None}

    async with AttachmentStage(tmp_path, refresh=refresh) as stage:
        assert reasons(await stage.download(expired)) == ["not_allowed", "expired", "expired"]
        assert asked == [expired]
    async with AttachmentStage(tmp_path) as stage:
        assert reasons(await stage.download(expired[0])) == ["expired"]
        assert stage.failures[0].attempts == 0

    async def broken(urls):
        raise OSError("no network")

    async with AttachmentStage(tmp_path, refresh=broken) as stage:
        assert reasons(await stage.download(expired[0])) == ["expired"]


async def test_policy_is_discord_by_default(tmp_path):
    async with AttachmentStage(tmp_path) as stage:
        outcomes = await stage.download("https://example.com/a", "http://cdn.discordapp.com/a", "not a url")
        assert reasons(outcomes) == ["not_allowed"] * 3
        assert isinstance(outcomes[0].error, RejectedError)
    assert UrlPolicy.discord().hosts == ("cdn.discordapp.com", "media.discordapp.net")
