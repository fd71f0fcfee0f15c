# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Private files of Slack: the bot's token goes to their own origin, and to nobody else, wherever a redirect leads.

With no arguments two servers on this machine play Slack and a stranger. For real, with `url_private` of files that the
bot may see (scope `files:read`): `SLACK_BOT_TOKEN=xoxb-... uv run examples/slack_private_files.py URL ...`
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

import anyio
from quickstart import document, picture  # real files to serve

from staging import AttachmentStage, UrlPolicy, WorkspaceError
from staging.testing import FakeCDN, Reply, Request

SLACK = UrlPolicy.only("files.slack.com")


def with_token(files: Iterable[dict[str, Any]], token: str) -> list[dict[str, Any]]:
    """Return Slack's file objects (`event["files"]`), each with the header that its own origin wants."""
    return [{**file, "headers": {"Authorization": f"Bearer {token}"}} for file in files]


async def show(files: list[dict[str, Any]], token: str, policy: UrlPolicy) -> None:
    """Stage the files, and print what a model and the person who asked would get."""
    async with AttachmentStage(max_mb=20, policy=policy, label="Slack") as stage:
        await stage.download(with_token(files, token))
        if any(failure.reason == "substituted" for failure in stage.failures):
            print("A web page came in place of a file: Slack's sign-in page. Has the bot the scope files:read?")
        if not stage.files:
            sys.exit(f"slack_private_files: {stage.notice()}")
        print(f"{stage.context(urls='hide')}\n\n{stage.notice()}".rstrip())


def private(body: bytes, token: str) -> Any:
    """Return a reply that only who has the token gets; everybody else gets a login page, as from Slack."""

    def reply(request: Request) -> Reply:
        if request.header("authorization") == f"Bearer {token}":
            return Reply(body)
        return Reply(b"<!DOCTYPE html><html><title>Sign in | Slack</title></html>", media_type="text/html")

    return reply


async def offline() -> None:
    """Serve two private files, the second from a place that redirects to a stranger, and print who saw the token."""
    token = "xoxb-offline"  # noqa: S105  # nobody's
    async with FakeCDN() as slack, FakeCDN() as stranger:
        minutes = slack.script("/files-pri/T1-F1/minutes.pdf", private(document(), token))
        sunset = slack.redirect("/files-pri/T1-F2/sunset.png", stranger.file("sunset.png", picture()))
        files = [
            {"id": "F1", "name": "minutes.pdf", "mimetype": "application/pdf", "url_private": minutes},
            {"id": "F2", "name": "sunset.png", "mimetype": "image/png", "url_private": sunset},
        ]
        ports = (slack.port, stranger.port)
        await show(files, token, UrlPolicy.only("127.0.0.1", schemes=("http",), ports=ports, private=True))
        for name, server in {"Slack": slack, "The stranger": stranger}.items():
            for request in server.requests:
                print(f"{name} was asked for {request.path} with Authorization: {request.header('authorization')}")


async def main(urls: list[str], token: str) -> None:
    """Show the files of the command line, or run offline."""
    if urls:
        await show([{"url_private": url} for url in urls], token, SLACK)
    else:
        await offline()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("urls", nargs="*", metavar="URL", help="url_private of files; without any, it runs offline")
    urls = parser.parse_args().urls
    token = os.environ.get("SLACK_BOT_TOKEN", "")
    if urls and not token:
        sys.exit("slack_private_files: set SLACK_BOT_TOKEN, or give no URL to run offline")
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("staging").setLevel(logging.INFO)
    try:
        anyio.run(main, urls, token)
    except (ValueError, WorkspaceError) as error:
        sys.exit(f"slack_private_files: {error}")
