"""What the tests of copies at a provider share with the processes that they kill, which import one SDK alone."""

import contextlib
import importlib
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from llm_stage import image, stage_of

from staging import llm

PNG = image()
PROVIDERS = ["anthropic", "openai", "google"]


@contextlib.asynccontextmanager
async def client_of(provider, address):
    """Yield a real client of the loopback API; Google's does not run on trio."""
    if provider == "google" and anyio.get_cancelled_exc_class().__module__.startswith("trio"):
        pytest.skip("google-genai does not run on trio")
    sdk = importlib.import_module("google.genai" if provider == "google" else provider)
    client = {
        "anthropic": lambda: sdk.AsyncAnthropic(api_key="x", base_url=address),
        "openai": lambda: sdk.AsyncOpenAI(api_key="x", base_url=f"{address}/v1"),
        "google": lambda: sdk.Client(api_key="x", http_options={"base_url": address}),
    }[provider]()
    try:
        yield client
    finally:
        with anyio.CancelScope(shield=True):
            if provider == "google":
                await client.aio.aclose()
                client.close()
            else:
                await client.close()


def stage_in(root, *things):
    """Return a stage whose workspace lies under `root`, as an `AttachmentStage`'s does."""
    (root / "workspace").mkdir()
    stage = stage_of(root / "workspace", *things)
    stage.directory = root / "workspace"
    return stage


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def warm(provider, address):
    """Let the SDK import what it needs, which takes seconds that no child spends then."""
    async with client_of(provider, address) as client:
        await llm.sweep_uploads(client, "/nowhere")


async def hold(provider, address, root):
    """Upload three pictures, say so, and go on until killed."""
    root.mkdir()
    stage = stage_in(root, *((f"{n}.png", PNG) for n in range(3)))
    async with client_of(provider, address) as client, llm.uploaded(stage, client):
        say("there")
        await anyio.sleep_forever()


def main(provider, address):
    """Fork a process that holds uploads for each line that is a folder, and kill the one that a line numbers."""
    anyio.run(warm, provider, address)
    for line in sys.stdin:
        order = line.strip()
        if order.isdigit():
            os.kill(int(order), signal.SIGKILL)
            os.waitpid(int(order), 0)
            say("dead")
        elif child := os.fork():
            say(child)
        else:
            anyio.run(hold, provider, address, Path(order))


if __name__ == "__main__":
    main(*sys.argv[1:])
