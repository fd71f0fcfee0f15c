"""What a type checker sees of `staging.llm` and `staging.testing`."""

from dataclasses import replace
from pathlib import Path
from typing import Any, assert_type

from staging import AttachmentStage, StagedFile, UrlPolicy, llm
from staging.testing import Drip, FakeCDN, Length, Raw, Reply, Request, Reset, assert_empty


async def transcribe(file: StagedFile) -> str:
    return file.name


async def the_hand_off(stage: AttachmentStage) -> None:
    assert_type(await llm.prompt(stage, max_chars=1_000), str)
    assert_type(await llm.anthropic_blocks(stage, max_inline_mb=20), list[dict[str, Any]])
    assert_type(await llm.openai_blocks(stage), list[dict[str, Any]])
    assert_type(await llm.openai_chat_blocks(stage), list[dict[str, Any]])
    assert_type(await llm.gemini_parts(stage, limits=llm.GEMINI), list[dict[str, Any]])
    parts = await llm.parts(stage, limits=replace(llm.ANTHROPIC, max_images=88), readers={"audio/*": transcribe})
    assert_type(parts, llm.Parts)
    assert_type(parts.notice(), str)
    assert_type(await llm.anthropic_blocks(parts), list[dict[str, Any]])
    for part in parts:
        assert_type(part.data, bytes)
        assert_type(part.outcome, StagedFile)
    assert_type(parts.unread, tuple[llm.Unread, ...])
    async with llm.uploaded(stage, object()) as blocks:
        assert_type(blocks, list[dict[str, Any]])
    assert_type(llm.uploaded(stage, object()).leftovers, tuple[tuple[str, str], ...])
    assert_type(await llm.sweep_uploads(object(), "/tmp"), int)
    await llm.parts(stage, limits="anthropic")  # type: ignore[arg-type]
    await llm.parts(stage, readers={"audio/*": len})  # type: ignore[dict-item]
    llm.ProviderLimits(max_images=5)  # type: ignore[call-arg]
    await llm.prompt(stage, 1_000)  # type: ignore[call-arg]
    await llm.prompt(stage.files)  # type: ignore[arg-type]
    llm.prompt(stage)  # type: ignore[unused-coroutine]


async def a_test_of_a_bot(root: Path) -> None:
    def answer(request: Request) -> Reply:
        assert_type(request.header("Range"), str | None)
        return Reply(b"", status=404)

    async with FakeCDN(tls="expired", names=["files.example.com"]) as cdn:
        assert_type(cdn, FakeCDN)
        assert_type(cdn.policy, UrlPolicy)
        assert_type(cdn.requests, list[Request])
        assert_type(cdn.script("/a", Reply(b"a", Reset(at=1)), Raw(b"HTTP/1.1 200 OK\r\n"), answer), str)
        assert_type(cdn.serve("/b", b"b", Drip(size=1), Length("+5")), str)
        cdn.script("/c", b"c")  # type: ignore[arg-type]
        Reply(b"", "reset")  # type: ignore[arg-type]
        Reset(at="middle")  # type: ignore[arg-type]
    FakeCDN(tls="broken")  # type: ignore[arg-type]
    assert_empty(root)
