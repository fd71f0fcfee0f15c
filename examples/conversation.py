# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging[all]", "anthropic>=0.80"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Hold a conversation about attachments: one stage for a thread, follow-up questions, and later attachments too.

With no arguments it serves files from this machine and answers from a stand-in for the API. For real, from Discord's
hosts or those that `--allow-host` names: `ANTHROPIC_API_KEY=... uv run examples/conversation.py URL ...`, then type
questions, and URLs to attach more; an empty line ends it.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from quickstart import SCRIPT, document, picture  # real files to serve

from staging import AttachmentStage, StagingArea, UrlPolicy, WorkspaceError, llm
from staging.testing import FakeCDN, Reply

try:
    import anthropic
except ImportError:
    sys.exit("conversation: the SDK is missing: pip install anthropic")

MODEL = "claude-sonnet-5-5"  # any that sees pictures
Turn = tuple[str, list[Any]]  # a question, and what is attached to it
Setting = tuple[anthropic.AsyncAnthropic, UrlPolicy, AsyncIterator[Turn]]


class Thread:
    """A conversation. Its stage lives as long as it does, so a follow-up question needs no second download."""

    def __init__(self, client: anthropic.AsyncAnthropic, stage: AttachmentStage) -> None:
        self._client = client
        self._stage = stage
        self._attached: list[Any] = []  # content blocks of everything that was attached so far
        self._said: list[Any] = []

    async def ask(self, question: str, attachments: Sequence[Any] = ()) -> str:
        """Return the model's answer; attachments of earlier turns are still there."""
        notice = ""
        if attachments:
            await self._stage.download(*attachments, timeout=60)
            parts = await llm.parts(self._stage, limits=llm.ANTHROPIC)
            self._attached = await llm.anthropic_blocks(parts)
            self._attached[-1]["cache_control"] = {"type": "ephemeral"}  # the same bytes in every turn: paid for once
            notice = parts.notice()
        self._said.append({"role": "user", "content": [{"type": "text", "text": question}]})
        first, *rest = self._said
        messages: Any = [{"role": "user", "content": [*self._attached, *first["content"]]}, *rest]
        message = await self._client.messages.create(model=MODEL, max_tokens=1024, messages=messages)
        answer = "".join(block.text for block in message.content if block.type == "text")
        self._said.append({"role": "assistant", "content": answer})
        return f"{answer}\n\n{notice}".strip()


@asynccontextmanager
async def offline() -> AsyncIterator[Setting]:
    """Serve real files from loopback, and the API beside them."""
    async with FakeCDN() as cdn:
        answers = ["A sunset and the minutes of a meeting.", "On the first page.", "The script greets whom it is told."]
        cdn.script("/v1/messages", *map(replied, answers))
        first = [cdn.file("sunset.png", picture()), cdn.file("minutes.pdf", document())]
        later = [cdn.file("greet.py", SCRIPT), cdn.url("/deleted.png")]

        async def turns() -> AsyncIterator[Turn]:
            for turn in (("What is this?", first), ("Where is the title?", []), ("And this?", later)):
                yield turn

        os.environ.update(no_proxy="127.0.0.1")  # none stands before loopback
        async with anthropic.AsyncAnthropic(api_key="offline", base_url=cdn.url()) as client:
            yield client, cdn.policy, turns()


def replied(text: str) -> Reply:
    """Return what the API answers."""
    reply = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
        "content": [{"type": "text", "text": f"(offline) {text}"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    return Reply(json.dumps(reply).encode(), media_type="application/json")


@asynccontextmanager
async def given(urls: Sequence[str], hosts: Sequence[str]) -> AsyncIterator[Setting]:
    """Take the URLs of the command line, questions from the terminal, and the real API."""

    async def turns() -> AsyncIterator[Turn]:
        attached: list[Any] = list(urls)
        while line := await anyio.to_thread.run_sync(input, "> "):
            words = line.split()
            attached += [word for word in words if word.startswith("https://")]
            yield line, attached
            attached = []

    async with anthropic.AsyncAnthropic() as client:
        yield client, UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord(), turns()


async def main(urls: Sequence[str], hosts: Sequence[str]) -> None:
    """Hold the conversation, and print it."""
    async with (
        given(urls, hosts) if urls else offline() as (client, policy, turns),
        StagingArea(policy=policy) as area,
        area.stage(max_mb=20, label="the thread") as stage,
    ):
        thread = Thread(client, stage)
        async for question, attachments in turns:
            print(f"Q: {question}\nA: {await thread.ask(question, attachments)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="what to talk about; without any, it runs offline")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    arguments = parser.parse_args()
    if arguments.urls and not os.environ.get("ANTHROPIC_API_KEY"):
        sys.exit("conversation: set ANTHROPIC_API_KEY, or give no URL to run offline")
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("staging").setLevel(logging.INFO)
    try:
        anyio.run(main, arguments.urls, arguments.allow_host)
    except (ValueError, WorkspaceError, anthropic.AnthropicError) as error:
        sys.exit(f"conversation: {error}")
