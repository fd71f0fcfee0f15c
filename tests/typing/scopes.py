"""What a type checker sees of the two scopes, the limits, the policy and the two functions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_type

import httpx

from staging import (
    AttachmentStage,
    DownloadError,
    Event,
    Failure,
    Limits,
    Outcome,
    Reason,
    RejectedError,
    Skipped,
    StagedFile,
    StagingArea,
    UrlPolicy,
    WorkspaceError,
    safe_name,
    sweep,
)


async def the_main_job(temp_dir: Path, message: object) -> None:
    async with AttachmentStage(temp_dir, max_mb=50) as stage:
        assert_type(stage, AttachmentStage)
        assert_type(await stage.download(message, "https://example.com/a.png", timeout=30), list[Outcome])
        assert_type(stage.outcomes, tuple[Outcome, ...])
        assert_type(stage.files, tuple[StagedFile, ...])
        assert_type(stage.failures, tuple[Failure, ...])
        assert_type(stage.skipped, tuple[Skipped, ...])
        assert_type(stage.paths, tuple[Path, ...])
        assert_type(stage.directory, Path)
        assert_type(stage.context(urls="hide", path_map={temp_dir: "/mnt"}), str)
        assert_type(stage.notice(), str)
        assert_type(await stage.keep(stage.files[0], temp_dir / "kept.png"), Path)
    assert_type(stage.removed, int)
    assert_type(stage.leftovers, tuple[tuple[str, str], ...])


async def an_area(temp_dir: Path) -> None:
    async with StagingArea(temp_dir, limits=Limits(concurrency=16), max_total_mb=5_000) as area:
        assert_type(area, StagingArea)
        assert_type(area.stage(max_mb=20, label="thread 42"), AttachmentStage)


async def wrong_uses_of_a_stage(stage: AttachmentStage, failure: Failure, temp_dir: Path) -> None:
    stage.download("https://example.com/a.png")  # type: ignore[unused-coroutine]
    await stage.download("https://example.com/a.png", deadline=3)  # type: ignore[call-arg]
    await stage.download("https://example.com/a.png", timeout="3")  # type: ignore[arg-type]
    await stage.keep(failure, temp_dir)  # type: ignore[arg-type]
    stage.context(urls="none")  # type: ignore[arg-type]
    stage.context("full")  # type: ignore[call-arg]
    stage.files.append(failure)  # type: ignore[attr-defined]
    stage.directory = temp_dir  # type: ignore[misc]
    with AttachmentStage(temp_dir):  # type: ignore[attr-defined]
        pass


def wrong_arguments(temp_dir: Path, client: httpx.Client) -> None:
    AttachmentStage(b"/tmp")  # type: ignore[arg-type]
    AttachmentStage(temp_dir, "50")  # type: ignore[arg-type]
    AttachmentStage(temp_dir, 50, Limits())  # type: ignore[call-arg]
    AttachmentStage(client=client)  # type: ignore[arg-type]
    StagingArea(temp_dir, 50)  # type: ignore[call-arg, arg-type]
    StagingArea(temp_dir, max_mb=50)  # type: ignore[call-arg]


def observers(temp_dir: Path) -> None:
    def sees_events(event: Event) -> None: ...
    def sees_files(event: StagedFile) -> None: ...
    async def waits(event: Event) -> None: ...

    AttachmentStage(temp_dir, on_event=sees_events)
    AttachmentStage(temp_dir, on_event=sees_files)  # type: ignore[arg-type]
    AttachmentStage(temp_dir, on_event=waits)  # type: ignore[arg-type]


def refreshers(temp_dir: Path) -> None:
    async def renews(urls: Sequence[str]) -> Mapping[str, str]:
        return {url: url for url in urls}

    def blocks(urls: Sequence[str]) -> Mapping[str, str]:
        return {url: url for url in urls}

    AttachmentStage(temp_dir, refresh=renews)
    AttachmentStage(temp_dir, refresh=blocks)  # type: ignore[arg-type]


def limits() -> None:
    assert_type(Limits(max_mb=0.5).max_bytes, int)
    Limits(50)  # type: ignore[call-arg]
    Limits(max_mb="50")  # type: ignore[arg-type]
    Limits(retries=1.5)  # type: ignore[arg-type]
    Limits(max_kb=1)  # type: ignore[call-arg]
    Limits().max_mb = 2  # type: ignore[misc]


def policies() -> None:
    policy = UrlPolicy.only("files.example.com", "*.example.org", ports=None)
    assert_type(policy, UrlPolicy)
    assert_type(UrlPolicy.discord(), UrlPolicy)
    assert_type(UrlPolicy.public(), UrlPolicy)
    assert_type(policy.check("https://files.example.com/a"), httpx.URL)
    UrlPolicy.only(["files.example.com"])  # type: ignore[arg-type]
    UrlPolicy.only("files.example.com", schemes="https")  # type: ignore[arg-type]
    UrlPolicy.only("files.example.com", ports=443)  # type: ignore[arg-type]
    policy.private = True  # type: ignore[misc]


def errors(rejected: RejectedError, download: DownloadError, workspace: WorkspaceError) -> None:
    assert_type(rejected.reason, Reason)
    assert_type(download.reason, Reason)
    assert_type(workspace.reason, Reason)
    assert_type(download.status, int | None)
    assert_type(download.attempts, int)

    def takes(*_: ValueError | OSError) -> None: ...

    takes(rejected, workspace)
    takes(download)  # type: ignore[arg-type]


def functions() -> None:
    assert_type(safe_name(None), str)
    assert_type(sweep("/tmp"), int)
    safe_name("a", "b")  # type: ignore[call-arg]
    safe_name(b"a")  # type: ignore[arg-type]
