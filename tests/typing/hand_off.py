"""What a type checker sees of `staging.llm` and `staging.testing`."""

from pathlib import Path
from typing import Any, assert_type

from staging import AttachmentStage, UrlPolicy, llm
from staging.testing import Drip, FakeCDN, Length, Raw, Reply, Request, Reset, assert_empty


async def the_hand_off(stage: AttachmentStage) -> None:
    assert_type(await llm.prompt(stage, max_chars=1_000), str)
    assert_type(await llm.anthropic_blocks(stage, max_inline_mb=20), list[dict[str, Any]])
    assert_type(await llm.openai_blocks(stage), list[dict[str, Any]])
    assert_type(await llm.openai_chat_blocks(stage), list[dict[str, Any]])
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
