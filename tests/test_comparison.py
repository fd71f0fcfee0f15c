"""The README's comparison is what happens: each client of its table meets the fault of each row that can be run."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import discord
import httpx
import pytest

from staging import AttachmentStage, Limits
from staging._text import format_size
from staging.testing import Endless, FakeCDN, Length, Reply, Reset, Truncate, assert_empty, gzip_bomb

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
BODY = os.urandom(300_000)


def table():
    """Return the cells of the README's table as client -> row -> cell."""
    lines = README.partition("## Compared\n\n")[2].partition("\n\n")[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {client: {row[0]: row[number] for row in rows} for number, client in enumerate(head) if client}


# The clients: each puts a URL at a path, as its users write it


async def by_staging(url, path, cdn, claimed):
    source = {"url": url, "size": claimed} if claimed else url
    async with AttachmentStage(path.parent, max_mb=1, policy=cdn.policy, limits=Limits(retries=1)) as stage:
        [outcome] = await stage.download(source)
        if outcome.downloaded:
            shutil.copy(outcome.path, path)


async def by_aiohttp(url, path, cdn, claimed):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        response.raise_for_status()
        with path.open("wb") as file:
            async for piece in response.content.iter_chunked(65_536):
                file.write(piece)


async def by_save(url, path, cdn, claimed):
    """Discord's own method on a real attachment, with a session made as its client makes one."""
    http = discord.http.HTTPClient(loop=asyncio.get_running_loop())
    async with aiohttp.ClientSession() as session:
        http._HTTPClient__session = session
        data = {"id": "1", "filename": "a", "size": claimed or 1, "url": url, "proxy_url": url}
        await discord.Attachment(data=data, state=SimpleNamespace(http=http)).save(path)


async def by_httpx(url, path, cdn, claimed):
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        response.raise_for_status()
        with path.open("wb") as file:
            async for piece in response.aiter_bytes():
                file.write(piece)


async def by_command(*command):
    run = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = await run.wait()
    except BaseException:
        run.kill()
        await run.wait()
        raise
    if code:
        raise OSError(code)


async def by_curl(url, path, cdn, claimed):
    await by_command("curl", "-sf", "-o", path, url)


async def by_aria2(url, path, cdn, claimed):
    await by_command(
        "aria2c", "-q", "--no-conf", "--max-tries=2", "--retry-wait=0", "-d", path.parent, "-o", path.name, url
    )


CLIENTS = {
    "staging": by_staging, "aiohttp by hand": by_aiohttp, "discord.py's `save`": by_save, "httpx `stream`": by_httpx,
    "curl": by_curl, "aria2c": by_aria2,
}  # fmt: skip


# The rows: what is served, what the sender claims, and how the table calls what came of it


def cut(cdn):
    return cdn.serve("/a", BODY, Truncate(at=100_000))


def cut_without_length(cdn):
    return cdn.serve("/a", BODY, Length(), Truncate(at=100_000))


def bomb(cdn):
    return cdn.serve("/a", gzip_bomb(100_000_000), headers={"Content-Encoding": "gzip"})


def broken_once(cdn):
    return cdn.script("/a", Reply(BODY, Reset(at=100_000)), Reply(BODY))


def taken_or_error(got, cdn):
    return "error" if got in {None, BODY} else "taken"  # the whole after all: from further attempts, which may be made


def size_or_refused(got, cdn):
    return "refused" if got is None else re.sub(r"\.\d", "", format_size(len(got)))


def yes_or_no(got, cdn):
    return "yes" if got == BODY and cdn.requests[-1].header("range") else "no"


ROWS = {
    "shorter than its Content-Length": (cut, None, taken_or_error),
    "shorter than claimed, no length sent": (cut_without_length, len(BODY), taken_or_error),
    "96 KB of gzip nobody asked for": (bomb, None, size_or_refused),
    "broken off: goes on from there": (broken_once, None, yes_or_no),
}


def available(client):
    program = {"curl": "curl", "aria2c": "aria2c"}.get(client)
    if program and not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    return CLIENTS[client]


async def fetched(client, url, path, cdn, claimed=None):
    """Return what is at the path after a success, or None."""
    try:
        async with asyncio.timeout(30):
            await client(url, path, cdn, claimed)
    except (aiohttp.ClientError, httpx.HTTPError, discord.DiscordException, OSError):
        return None
    return path.read_bytes() if path.exists() else None


def test_the_table_is_of_these_clients():
    assert list(table()) == list(CLIENTS)
    assert set(ROWS) < set(table()["staging"])


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_row_that_can_be_run(client, row, tmp_path):
    cell, fetch = table()[client][row], available(client)
    if cell == "option":
        pytest.skip("with an option that its column does not give")
    serve, claimed, judge = ROWS[row]

    async def main():
        async with FakeCDN() as cdn:
            return judge(await fetched(fetch, serve(cdn), tmp_path / "a", cdn, claimed), cdn)

    assert asyncio.run(main()) == cell


@pytest.mark.parametrize("client", CLIENTS)
def test_a_redirect_to_a_private_address(client, tmp_path):
    """Another address of loopback stands for it; `option` means that nothing is followed without one."""
    fetch = available(client)

    async def main():
        async with FakeCDN(host="127.0.0.2") as private, FakeCDN() as cdn:
            got = await fetched(fetch, cdn.redirect("/a", private.serve("/b", b"secret")), tmp_path / "a", cdn)
            return got, len(private.requests)

    got, asked = asyncio.run(main())
    cell = table()[client]["redirected to a private address"]
    assert (got == b"secret", asked) == ((True, 1) if cell == "followed" else (False, 0))
    assert cell == ("refused" if client == "staging" else cell)


@pytest.mark.parametrize("client", ["staging", "aria2c", "curl"])
def test_a_limit_on_bytes(client, tmp_path):
    """A body without length or end is ended by a limit, or by nothing: curl's stops only from 8.4 on."""
    fetch, cell = available(client), table()[client]["a limit on bytes, declared or not"]

    async def main():
        async with FakeCDN() as cdn:
            url = cdn.serve("/a", bytes(1_000_000), Endless())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await fetch(url, tmp_path / "a", cdn, None)
                return True
            return False

    ended = asyncio.run(main())
    for path in tmp_path.iterdir():
        path.unlink()
    assert ended == (cell == "yes")
    assert_empty(tmp_path)


def test_what_the_limits_of_others_are():
    """Of the time, in seconds: aiohttp's default is what discord.py's session has; httpx's is for one operation."""
    whole = aiohttp.client.DEFAULT_TIMEOUT.total
    for client in ("aiohttp by hand", "discord.py's `save`"):
        assert table()[client]["a limit on the whole time"] == f"{whole / 60:g} minutes"
    assert httpx.Timeout(5).as_dict().keys() == {"connect", "read", "write", "pool"}
    # it says what was measured; what is installed may be the lowest that is supported, or newer than the README
    assert re.search(r"aiohttp\s\d+\.\d+", README)
