"""The clients that are compared: each puts the files of a job on disk, eight at once where it can be told so.

A client is an asynchronous context manager: entered, it has fetched everything and yields the paths; leaving it removes
them. `load` does its imports, so that they are paid before the clock runs.
"""

import contextlib
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

AT_ONCE = 8
PIECE = 256 * 1024
PATIENCE = 600  # seconds; nothing here is to be cut short


@dataclass(frozen=True)
class Job:
    """What to fetch: distinct URLs of one origin, into a directory of the client's own under `root`."""

    urls: tuple[str, ...]
    root: str
    ca: str | None  # None: the system's trust store, which knows nothing of the benchmark's authority
    tls: ssl.SSLContext | None  # made before the clock runs


Client = Callable[[Job], AbstractAsyncContextManager[list[Path]]]


@contextlib.contextmanager
def directory_of(job: Job):
    """What a peer's user writes; not `TemporaryDirectory`, whose extra care costs time that the peer does not need."""
    directory = tempfile.mkdtemp(dir=job.root)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def path_of(directory: str, url: str) -> str:
    return f"{directory}/{url.rsplit('/', 1)[1]}"


# ── this library ─────────────────────────────────────────────────────────────────────────────────────────────────────


def area_of(job: Job):
    """Return an area that may fetch the job's URLs, not yet entered."""
    from staging import Limits, StagingArea, UrlPolicy

    limits = Limits(max_mb=600, max_total_mb=10_000, max_files=20_000, timeout=PATIENCE, concurrency=AT_ONCE)
    policy = UrlPolicy.only("localhost", ports=None, private=True)
    return StagingArea(job.root, limits=limits, policy=policy, tls=job.tls)


async def stage_all(stage, urls) -> list[Path]:
    outcomes = await stage.download(*urls)
    if failed := [outcome for outcome in outcomes if not outcome.downloaded]:
        raise RuntimeError(f"not staged: {failed[0]}")
    return [outcome.path for outcome in outcomes]


def staging() -> Client:
    import staging  # noqa: F401  # its import is not part of the measurement

    @asynccontextmanager
    async def fetch(job: Job) -> AsyncIterator[list[Path]]:
        async with area_of(job) as area, area.stage() as stage:
            yield await stage_all(stage, job.urls)

    return fetch


# ── aiohttp ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def aiohttp_tuned() -> Client:
    """The best that a Python user does today: one session, the C parser, large reads, writes without a thread."""
    import asyncio

    import aiohttp

    async def one(session, url, path):
        async with session.get(url) as response:
            response.raise_for_status()
            with open(path, "xb", buffering=0) as file:  # noqa: ASYNC230, PTH123  # blocking is what makes it fast
                while piece := await response.content.read(PIECE):
                    file.write(piece)
        return Path(path)

    @asynccontextmanager
    async def fetch(job: Job) -> AsyncIterator[list[Path]]:
        connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=job.tls or True)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        options = {"auto_decompress": False, "read_bufsize": PIECE, "timeout": timeout}
        with directory_of(job) as directory:
            async with aiohttp.ClientSession(connector=connector, **options) as session:
                yield await asyncio.gather(*(one(session, url, path_of(directory, url)) for url in job.urls))

    return fetch


def aiohttp_obvious() -> Client:
    """What bots have: a session for each download, `aiofiles`, chunks of 8 KB; here with a cap, which few have."""
    import asyncio

    import aiofiles
    import aiohttp

    async def one(url, path, tls, turns):
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        connector = aiohttp.TCPConnector(ssl=tls or True)
        session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        async with turns, session, session.get(url) as response:
            response.raise_for_status()
            async with aiofiles.open(path, "wb") as file:
                async for chunk in response.content.iter_chunked(8192):
                    await file.write(chunk)
        return Path(path)

    @asynccontextmanager
    async def fetch(job: Job) -> AsyncIterator[list[Path]]:
        turns = asyncio.Semaphore(AT_ONCE)
        with directory_of(job) as directory:
            yield await asyncio.gather(*(one(url, path_of(directory, url), job.tls, turns) for url in job.urls))

    return fetch


# ── httpx ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def httpx_plain() -> Client:
    """The example of the documentation: `stream`, `anyio.open_file`, everything at once."""
    import httpx

    @asynccontextmanager
    async def fetch(job: Job) -> AsyncIterator[list[Path]]:
        paths = []

        async def one(client, url, path):
            async with client.stream("GET", url) as response:
                response.raise_for_status()
                async with await anyio.open_file(path, "wb") as file:
                    async for chunk in response.aiter_bytes():
                        await file.write(chunk)
            paths.append(Path(path))

        with directory_of(job) as directory:
            async with httpx.AsyncClient(verify=job.tls or True, timeout=PATIENCE) as client:
                async with anyio.create_task_group() as group:
                    for url in job.urls:
                        group.start_soon(one, client, url, path_of(directory, url))
                yield paths

    return fetch


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tool(command: Callable[[Job, str, str], list[str]], line: Callable[[str, str], str]) -> Client:
    """Return a client that runs a command with a file of URLs."""

    @asynccontextmanager
    async def fetch(job: Job) -> AsyncIterator[list[Path]]:
        with directory_of(job) as directory, tempfile.NamedTemporaryFile("w", dir=job.root) as urls:
            paths = [path_of(directory, url) for url in job.urls]
            urls.writelines(line(url, path) for url, path in zip(job.urls, paths, strict=True))
            urls.flush()
            await anyio.to_thread.run_sync(run, command(job, directory, urls.name))
            yield [Path(path) for path in paths]

    return fetch


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def curl() -> Client:
    def command(job: Job, _directory: str, urls: str) -> list[str]:
        options = ["--parallel", "--parallel-max", str(AT_ONCE), "--http1.1", "--fail", "--no-progress-meter"]
        return ["curl", "-q", *options, "--cacert", str(job.ca), "--config", urls]

    return tool(command, lambda url, path: f'url = "{url}"\noutput = "{path}"\n')


def aria2() -> Client:
    def command(job: Job, directory: str, urls: str) -> list[str]:
        options = [f"--max-concurrent-downloads={AT_ONCE}", "--split=1", "--file-allocation=none", "--no-conf"]
        quiet = ["--quiet", "--download-result=hide", "--console-log-level=error"]
        return ["aria2c", *options, *quiet, f"--ca-certificate={job.ca}", f"--dir={directory}", f"--input-file={urls}"]

    return tool(command, lambda url, _path: f"{url}\n")


LAZY = {"httpx_plain": "httpcore"}  # client -> what it imports at the first request only
TOOLS = {"curl": "curl", "aria2": "aria2c"}  # client -> command
PACKAGES = {"aiohttp_tuned": ("aiohttp",), "aiohttp_obvious": ("aiohttp", "aiofiles")}
CLIENTS = {
    "staging": staging,
    "aiohttp_tuned": aiohttp_tuned,
    "aiohttp_obvious": aiohttp_obvious,
    "httpx_plain": httpx_plain,
    "curl": curl,
    "aria2": aria2,
}
