# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging", "google-genai>=1.60"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Answer a voice message: it is staged, heard by Gemini as it is, and gone.

With no arguments it serves a voice message from this machine and answers from a stand-in for the API. For real, from
Discord's hosts or those that `--allow-host` names: `GEMINI_API_KEY=... uv run examples/gemini_voice.py URL ...`
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

from staging import AttachmentStage, UrlPolicy, WorkspaceError, llm
from staging.testing import FakeCDN, Reply

try:
    from google import genai
    from google.genai.errors import APIError
except ImportError:
    sys.exit("gemini_voice: the SDK is missing: pip install google-genai")

MODEL = "gemini-3.8-flash"  # any that hears
VOICE = b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead" + bytes(200)  # the head of what Discord records, and silence
Setting = tuple[genai.Client, list[Any], UrlPolicy]


async def answer(client: genai.Client, attachments: list[Any], policy: UrlPolicy) -> str:
    """Stage the attachments, let the model hear and see them, and return its answer."""
    async with AttachmentStage(max_mb=20, policy=policy, label="the voice message") as stage:
        await stage.download(attachments, timeout=60)
        if not stage.files:
            sys.exit(f"gemini_voice: {stage.notice()}")
        found = await llm.parts(stage, limits=llm.GEMINI)
        parts: list[Any] = await llm.gemini_parts(found)  # sound, pictures, PDFs, a list of everything, text files
        for part in parts:
            print(f"The model gets: {described(part)}")
        question = {"text": "Answer the voice message as a helpful colleague would."}
        contents: Any = [{"role": "user", "parts": [*parts, question]}]
        reply = await client.aio.models.generate_content(model=MODEL, contents=contents)
        return f"{reply.text}\n\n{found.notice()}".strip()


def described(part: dict[str, Any]) -> str:
    """Return a line about a part."""
    if "text" in part:
        return f"text, {part['text'].splitlines()[0]}"
    return f"{part['inline_data']['mime_type']}, {len(part['inline_data']['data']):,} bytes"


@asynccontextmanager
async def opened(client: genai.Client) -> AsyncIterator[genai.Client]:
    """Close the client at the end."""
    try:
        yield client
    finally:
        await client.aio.aclose()
        client.close()


@asynccontextmanager
async def offline() -> AsyncIterator[Setting]:
    """Serve a voice message from loopback, and the API beside it."""
    async with FakeCDN() as cdn:
        said = {"text": "(offline) The meeting is at three, in the room with the plants."}
        reply = {"candidates": [{"content": {"role": "model", "parts": [said]}, "finishReason": "STOP"}]}
        path = f"/v1beta/models/{MODEL}:generateContent"
        cdn.script(path, Reply(json.dumps(reply).encode(), media_type="application/json"))
        sent = [cdn.file("voice-message.ogg", VOICE), cdn.file("agenda.txt", b"Three o'clock: plants\n")]
        os.environ.update(no_proxy="127.0.0.1")  # none stands before loopback
        address: Any = {"base_url": cdn.url(), "api_version": "v1beta"}
        async with opened(genai.Client(api_key="offline", http_options=address)) as client:
            yield client, [*sent, cdn.url("/deleted.ogg")], cdn.policy


@asynccontextmanager
async def given(urls: Sequence[str], hosts: Sequence[str]) -> AsyncIterator[Setting]:
    """Take the URLs of the command line, and the real API."""
    async with opened(genai.Client()) as client:
        yield client, list(urls), UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord()


async def main(urls: Sequence[str], hosts: Sequence[str]) -> None:
    """Answer, and print it."""
    async with given(urls, hosts) if urls else offline() as (client, attachments, policy):
        print("The answer: " + await answer(client, attachments, policy))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="what to hear; without any, it runs offline")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    arguments = parser.parse_args()
    if arguments.urls and not os.environ.get("GEMINI_API_KEY"):
        sys.exit("gemini_voice: set GEMINI_API_KEY, or give no URL to run offline")
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.WARNING)
    logging.getLogger("staging").setLevel(logging.INFO)
    try:
        anyio.run(main, arguments.urls, arguments.allow_host)
    except (ValueError, WorkspaceError, APIError) as error:
        sys.exit(f"gemini_voice: {error}")
