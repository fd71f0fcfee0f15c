# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging[all]", "openai>=2.0"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Ask OpenAI's Responses API about documents: they are staged, uploaded, asked about, and gone here and there.

With no arguments it serves files from this machine and answers from a stand-in for the API. For real, from Discord's
hosts or those that `--allow-host` names: `OPENAI_API_KEY=... uv run examples/openai_files.py URL ...`
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
from quickstart import document, picture  # real files to serve

from staging import AttachmentStage, UrlPolicy, WorkspaceError, llm
from staging.testing import FakeCDN, Reply

try:
    import openai
except ImportError:
    sys.exit("openai_files: the SDK is missing: pip install openai")

MODEL = "gpt-5.4-mini"  # any that reads files
TABLE = b"name,present\nAnn,yes\nBob,no\n"
Setting = tuple[openai.AsyncOpenAI, list[Any], UrlPolicy]


async def ask(client: openai.AsyncOpenAI, question: str, attachments: list[Any], policy: UrlPolicy) -> str:
    """Stage the attachments, upload them, and return the answer; at the end the files are gone, OpenAI's copies too."""
    async with AttachmentStage(max_mb=20, policy=policy, label="the question") as stage:
        await stage.download(attachments, timeout=60)
        if not stage.files:
            sys.exit(f"openai_files: {stage.notice()}")
        uploads = llm.uploaded(stage, client)  # pictures and PDFs by id, text inline
        async with uploads as blocks:
            for block in blocks:
                print(f"The model gets: {described(block)}")
            content: list[Any] = [*blocks, {"type": "input_text", "text": question}]
            response = await client.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
        print(f"Copies left at OpenAI: {len(uploads.leftovers)}")
        return f"{response.output_text}\n\n{uploads.parts.notice()}".strip()


def described(block: dict[str, Any]) -> str:
    """Return a line about a content item."""
    if block["type"] == "input_text":
        return f"text, {block['text'].splitlines()[0]}"
    kind = "picture" if block["type"] == "input_image" else "file"
    return f"{kind}, by its id {block['file_id']}"


def stored(number: int) -> Reply:
    """Return what the Files API answers to an upload."""
    facts = {
        "id": f"file-{number}", "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "user_data",
        "status": "processed",
    }  # fmt: skip
    return Reply(json.dumps(facts).encode(), media_type="application/json")


@asynccontextmanager
async def offline() -> AsyncIterator[Setting]:
    """Serve real files from loopback, and the API beside them."""
    async with FakeCDN() as cdn:
        text = {"type": "output_text", "text": "(offline) Minutes of a meeting, and who came.", "annotations": []}
        reply = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": MODEL, "status": "completed",
            "output": [{"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}],
            "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        }  # fmt: skip
        cdn.script("/v1/responses", Reply(json.dumps(reply).encode(), media_type="application/json"))
        for number in (1, 2):
            gone = {"id": f"file-{number}", "object": "file", "deleted": True}
            cdn.serve(f"/v1/files/file-{number}", json.dumps(gone).encode(), media_type="application/json")
        cdn.script("/v1/files", *(stored(number) for number in (1, 2)))
        sent = [cdn.file("minutes.pdf", document()), cdn.file("people.csv", TABLE), cdn.file("room.png", picture())]
        os.environ.update(no_proxy="127.0.0.1")  # none stands before loopback
        async with openai.AsyncOpenAI(api_key="offline", base_url=cdn.url("/v1")) as client:
            yield client, [*sent, cdn.url("/deleted.docx")], cdn.policy


@asynccontextmanager
async def given(urls: Sequence[str], hosts: Sequence[str]) -> AsyncIterator[Setting]:
    """Take the URLs of the command line, and the real API."""
    async with openai.AsyncOpenAI() as client:
        await llm.sweep_uploads(client)  # what a killed run left at OpenAI
        yield client, list(urls), UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord()


async def main(question: str, urls: Sequence[str], hosts: Sequence[str]) -> None:
    """Ask, and print the answer."""
    async with given(urls, hosts) if urls else offline() as (client, attachments, policy):
        print("The answer: " + await ask(client, question, attachments, policy))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="what to show; without any, it runs offline")
    parser.add_argument("--ask", default="What was decided?", metavar="QUESTION")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    arguments = parser.parse_args()
    if arguments.urls and not os.environ.get("OPENAI_API_KEY"):
        sys.exit("openai_files: set OPENAI_API_KEY, or give no URL to run offline")
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("staging").setLevel(logging.INFO)
    try:
        anyio.run(main, arguments.ask, arguments.urls, arguments.allow_host)
    except (ValueError, WorkspaceError, openai.OpenAIError) as error:
        sys.exit(f"openai_files: {error}")
