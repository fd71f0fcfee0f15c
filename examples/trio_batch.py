# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging", "trio>=0.32"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""A batch on pure trio: many messages, each with its own stage, a few at a time, one of them on a dead server.

With no arguments it takes twelve messages from this machine; with URLs each is a message, from Discord's hosts or from
those that `--allow-host` names: `uv run examples/trio_batch.py --allow-host files.example.com https://files.example.com/a.pdf`
"""

import argparse
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from quickstart import SCRIPT, document, picture  # real files to serve

from staging import AttachmentStage, StagingArea, UrlPolicy, WorkspaceError
from staging.testing import FakeCDN, Stall

try:
    import trio
except ImportError:
    sys.exit("trio_batch: trio is missing: pip install trio")

AT_ONCE = 4  # messages; with the size limit of a stage it says how much disk the batch needs
Messages = list[list[Any]]


async def label(stage: AttachmentStage) -> str:
    """Say what a message holds; your model goes here: the files are in `stage.files` until this returns."""
    kinds = [f"{file.name} ({file.media_type})" for file in stage.files]
    return ", ".join(kinds) or "nothing to look at"


async def batch(messages: Messages, area: StagingArea, seconds: float) -> list[str]:
    """Label all messages, `AT_ONCE` at a time, and return the labels in their order."""
    labels = [""] * len(messages)
    turns = trio.CapacityLimiter(AT_ONCE)

    async def one(number: int, attachments: list[Any]) -> None:
        async with turns, area.stage(max_mb=20, label=f"message {number}") as stage:
            await stage.download(attachments, timeout=seconds)  # a dead server costs this message its seconds, no other
            labels[number] = "; ".join(filter(None, [await label(stage), stage.notice()]))

    async with trio.open_nursery() as nursery:  # Ctrl-C, or one bug in `label`, ends them all and leaves no file
        for number, attachments in enumerate(messages):
            nursery.start_soon(one, number, attachments)
    return labels


@asynccontextmanager
async def offline() -> AsyncIterator[tuple[Messages, UrlPolicy, float]]:
    """Serve twelve messages from loopback; the server of the sixth stops in the middle of a file."""
    async with FakeCDN() as cdn:
        good = [cdn.file("greet.py", SCRIPT), cdn.file("sunset.png", picture()), cdn.file("minutes.pdf", document())]
        messages: Messages = [good[: 1 + number % 3] for number in range(12)]
        messages[5] = [good[0], cdn.file("endless.bin", bytes(100_000), Stall(at=50_000))]
        yield messages, cdn.policy, 1.0


@asynccontextmanager
async def given(urls: Sequence[str], hosts: Sequence[str]) -> AsyncIterator[tuple[Messages, UrlPolicy, float]]:
    """Take each URL of the command line as a message."""
    yield [[url] for url in urls], UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord(), 30.0


async def main(urls: Sequence[str], hosts: Sequence[str]) -> None:
    """Label the batch, and print it."""
    async with given(urls, hosts) if urls else offline() as (messages, policy, seconds):
        async with StagingArea(policy=policy) as area:  # warm connections for all messages
            labels = await batch(messages, area, seconds)
        for number, text in enumerate(labels):
            print(f"message {number}: {text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="a message each; without any, it runs offline")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    problem = None
    try:
        trio.run(main, arguments.urls, arguments.allow_host)
    except* (ValueError, WorkspaceError) as errors:  # what is raised in a nursery comes in a group
        problem = errors.exceptions[0]
    if problem is not None:  # not above: Python 3.11.2 shows the group of an `except*` that is left by SystemExit
        sys.exit(f"trio_batch: {problem}")
