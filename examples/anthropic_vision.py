# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging[all]", "anthropic>=0.80"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Ask Claude about pictures, PDFs and text files: what is sent is staged, shown to the model, and gone.

With no arguments it serves files from this machine and answers from a stand-in for the API. For real, from Discord's
hosts or those that `--allow-host` names: `ANTHROPIC_API_KEY=... uv run examples/anthropic_vision.py URL ...`
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
from quickstart import SCRIPT, document, picture  # real files to serve

from staging import AttachmentStage, UrlPolicy, WorkspaceError, llm
from staging.testing import FakeCDN, Reply

try:
    import anthropic
except ImportError:
    sys.exit("anthropic_vision: the SDK is missing: pip install anthropic")

MODEL = "claude-sonnet-5-5"  # any that sees pictures
Setting = tuple[anthropic.AsyncAnthropic, list[Any], UrlPolicy]


async def ask(client: anthropic.AsyncAnthropic, question: str, attachments: list[Any], policy: UrlPolicy) -> str:
    """Stage the attachments, show them to the model, and return its answer; at the end of it the files are gone."""
    async with AttachmentStage(max_mb=20, policy=policy, label="the question") as stage:
        await stage.download(attachments, timeout=60)
        if not stage.files:
            sys.exit(f"anthropic_vision: {stage.notice()}")
        parts = await llm.parts(stage, limits=llm.ANTHROPIC)  # everything once, whatever the provider
        blocks: list[Any] = await llm.anthropic_blocks(parts)  # pictures, PDFs, a list of everything, text files
        for block in blocks:
            print(f"The model gets: {described(block)}")
            if block["type"] == "document":
                block["citations"] = {"enabled": True}
        blocks[-1]["cache_control"] = {"type": "ephemeral"}  # a follow-up question costs a tenth
        content: list[Any] = [*blocks, {"type": "text", "text": question}]
        message = await client.messages.create(
            model=MODEL, max_tokens=1024, messages=[{"role": "user", "content": content}]
        )
        answer = "".join(block.text for block in message.content if block.type == "text")
        return f"{answer}\n\n{parts.notice()}".strip()


def described(block: dict[str, Any]) -> str:
    """Return a line about a content block."""
    if block["type"] == "text":
        return f"text, {block['text'].splitlines()[0]}"
    return f"{block['type']}, {block['source']['media_type']}, {len(block['source']['data']):,} characters of base64"


@asynccontextmanager
async def offline() -> AsyncIterator[Setting]:
    """Serve real files from loopback, and the API beside them."""
    async with FakeCDN() as cdn:
        reply = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "(offline) A colour gradient, minutes of a meeting, a script."}],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip
        cdn.script("/v1/messages", Reply(json.dumps(reply).encode(), media_type="application/json"))
        sent = [cdn.file("sunset.png", picture()), cdn.file("minutes.pdf", document()), cdn.file("greet.py", SCRIPT)]
        os.environ.update(no_proxy="127.0.0.1")  # none stands before loopback
        async with anthropic.AsyncAnthropic(api_key="offline", base_url=cdn.url()) as client:
            yield client, [*sent, cdn.url("/deleted.png")], cdn.policy


@asynccontextmanager
async def given(urls: Sequence[str], hosts: Sequence[str]) -> AsyncIterator[Setting]:
    """Take the URLs of the command line, and the real API."""
    async with anthropic.AsyncAnthropic() as client:
        yield client, list(urls), UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord()


async def main(question: str, urls: Sequence[str], hosts: Sequence[str]) -> None:
    """Ask, and print the answer."""
    async with given(urls, hosts) if urls else offline() as (client, attachments, policy):
        print("The answer: " + await ask(client, question, attachments, policy))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="what to show; without any, it runs offline")
    parser.add_argument("--ask", default="What is this?", metavar="QUESTION")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    arguments = parser.parse_args()
    if arguments.urls and not os.environ.get("ANTHROPIC_API_KEY"):
        sys.exit("anthropic_vision: set ANTHROPIC_API_KEY, or give no URL to run offline")
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("staging").setLevel(logging.INFO)
    try:
        anyio.run(main, arguments.ask, arguments.urls, arguments.allow_host)
    except (ValueError, WorkspaceError, anthropic.AnthropicError) as error:
        sys.exit(f"anthropic_vision: {error}")
