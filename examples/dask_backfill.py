# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging", "distributed>=2026.8"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Label a backlog of messages on many machines with Dask: URLs travel to the workers, files never leave them.

With no arguments it serves a backlog from this machine and labels it on two local worker processes. For real, with
workers that have this library installed: `python examples/dask_backfill.py --scheduler tcp://10.0.0.1:8786 --messages
backlog.jsonl --temp-dir /var/tmp/backfill > labels.jsonl`, where a line of the backlog is a message as the chat's API
gives it: `{"id": "1", "attachments": [{"url": "https://...", "filename": "a.png"}]}`.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import anyio
import httpx
from distributed import Client, LocalCluster, Security, WorkerPlugin, as_completed, get_worker  # type: ignore[import-not-found,unused-ignore]
from distributed.comm import connect  # type: ignore[import-not-found,unused-ignore]

from staging import Limits, StagingArea, UrlPolicy
from staging.testing import FakeCDN, Reply

UNDER_WAY = 1_000  # messages that the scheduler knows at once: its memory is bounded, whatever the backlog
Message = dict[str, Any]
Answer = dict[str, Any]


class WarmArea(WorkerPlugin):  # type: ignore[misc,unused-ignore]  # Any, where distributed is not installed
    """One area for each worker process, from its start to its end: warm connections, one limit, one budget.

    A worker that takes the place of a killed one opens its own, and by that removes what the dead one left.
    """

    def __init__(self, temp_dir: str | None, policy: UrlPolicy) -> None:
        self.name = f"staging-{uuid.uuid4()}"  # two backfills on one scheduler have each their own
        self._temp_dir = temp_dir
        self._policy = policy

    async def setup(self, worker: object) -> None:  # noqa: ARG002  # Dask's signature
        """Open the area, on the event loop that will run the tasks."""
        self._scope = AsyncExitStack()
        area = StagingArea(self._temp_dir, limits=Limits(concurrency=16), policy=self._policy, max_total_mb=2_000)
        self.area = await self._scope.enter_async_context(area)

    async def teardown(self, worker: object) -> None:  # noqa: ARG002  # Dask's signature
        """Close it, and with it every stage that is still open."""
        await self._scope.aclose()


async def ask_model(prompt: str, paths: Sequence[Path], seconds: float) -> str:
    """Stand in for your model, which would be asked here; its label is what it was given."""
    await asyncio.sleep(seconds)
    assert all(str(path) in prompt for path in paths)
    return f"{len(paths)} files, {sum(path.stat().st_size for path in paths)} bytes"


async def label(message: Message, seconds: float, plugin: str) -> Answer:
    """Label one message: the files are on this worker's disk inside the scope, and only text leaves it.

    A task that raises is run again by Dask, on whatever worker is free. So a failure that may pass is raised, and one
    that will not is a line in the prompt.
    """
    area: StagingArea = get_worker().plugins[plugin].area
    async with area.stage(max_mb=20, label=f"message {message['id']}") as stage:
        await stage.download(message["attachments"], timeout=60)
        if problems := [failure.detail for failure in stage.failures if failure.retryable]:
            raise ConnectionError("; ".join(problems))
        text = await ask_model(stage.context(), stage.paths, seconds)
        return {"id": message["id"], "label": text, "notice": stage.notice(), "worker": os.getpid()}


async def label_alone(message: Message, seconds: float) -> Answer:
    """Do the same by hand, with a client of its own for each message: what is compared against."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory, str(number)) for number, _ in enumerate(message["attachments"])]
        async with httpx.AsyncClient(trust_env=False) as client, anyio.create_task_group() as group:
            for path, attachment in zip(paths, message["attachments"], strict=True):
                group.start_soon(_fetch, client, attachment["url"], path)
        text = await ask_model("\n".join(map(str, paths)), paths, seconds)
        return {"id": message["id"], "label": text, "notice": "", "worker": os.getpid()}


async def _fetch(client: httpx.AsyncClient, url: str, path: Path) -> None:
    async with client.stream("GET", url) as response, await anyio.open_file(path, "xb") as file:
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            await file.write(piece)


def backfill(
    client: Client, task: Callable[..., Awaitable[Answer]], messages: Iterable[Message], seconds: float
) -> Iterator[Answer]:
    """Yield an answer for each message as it comes, with a bounded number of them under way.

    Dask runs a task again up to three times if it raises, and as often again if its worker dies.
    """
    backlog = iter(messages)
    ids: dict[str, str] = {}

    def submit(count: int) -> list[Any]:
        futures = []
        for message in islice(backlog, count):
            futures.append(client.submit(task, message, seconds, retries=3, pure=False))
            ids[futures[-1].key] = message["id"]
        return futures

    done = as_completed(submit(UNDER_WAY))
    for future in done:
        error = future.exception()
        message_id = ids.pop(future.key)
        yield {"id": message_id, "error": f"{type(error).__name__}: {error}"} if error else future.result()
        done.update(submit(1))


@contextmanager
def served_here(count: int) -> Iterator[tuple[Iterable[Message], UrlPolicy]]:
    """Serve a backlog from loopback."""
    with FakeCDN.in_thread() as cdn:
        yield serve(cdn, count), cdn.policy


def serve(cdn: FakeCDN, count: int) -> list[Message]:
    """Serve a picture and a text of 50 KB with each message; one picture only after three refusals."""
    picture, text = b"\x89PNG\r\n\x1a\n" + os.urandom(51_192), b"One line of minutes.\n" * 2_438
    messages = [
        {
            "id": str(number),
            "attachments": [
                {"url": cdn.serve(f"/attachments/{number}/1/photo.png", picture), "filename": "photo.png"},
                {"url": cdn.serve(f"/attachments/{number}/2/minutes.txt", text), "filename": "minutes.txt"},
            ],
        }
        for number in range(count)
    ]
    cdn.script(f"/attachments/{count // 2}/1/photo.png", *[Reply(status=503)] * 3, Reply(picture))
    return messages


@contextmanager
def given(path: Path, hosts: Sequence[str]) -> Iterator[tuple[Iterable[Message], UrlPolicy]]:
    """Read the backlog line by line; without `--allow-host`, Discord's hosts are admitted."""
    policy = UrlPolicy.only(*hosts) if hosts else UrlPolicy.discord()
    with path.open(encoding="utf-8") as lines:
        yield (_message(line, number) for number, line in enumerate(lines, 1) if line.strip()), policy


def _message(line: str, number: int) -> Message:
    try:
        message = json.loads(line)
        return {"id": str(message["id"]), "attachments": list(message["attachments"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"line {number} of the backlog is no message with id and attachments") from error


@contextmanager
def cluster_of(options: argparse.Namespace) -> Iterator[Client]:
    """Connect to the scheduler that was named, once it has a worker; without a name, to workers on this machine."""
    with ExitStack() as stack:
        if not options.scheduler:
            asyncio.run(can_stage(options.temp_dir))
            cluster = LocalCluster(
                n_workers=options.workers, threads_per_worker=options.concurrency, dashboard_address=None
            )
            yield stack.enter_context(Client(stack.enter_context(cluster)))
            return
        try:
            asyncio.run(greet(options.scheduler, options.wait))
            client = stack.enter_context(Client(options.scheduler, timeout=options.wait))
        except (OSError, ValueError) as error:
            raise OSError(f"no scheduler at {options.scheduler}: start one with `dask scheduler` ({error})") from error
        try:
            client.wait_for_workers(1, timeout=options.wait)
        except TimeoutError as error:
            missing = f"start one, where this library is installed, with `dask worker {options.scheduler}`"
            raise OSError(f"the scheduler has no worker: {missing}") from error
        yield client


async def greet(address: str, seconds: float) -> None:
    """Raise if what listens there does not answer as Dask does: `Client` would wait for that without end."""
    try:
        async with asyncio.timeout(seconds):
            comm = await connect(address, timeout=seconds, **Security().get_connection_args("client"))
    except TimeoutError as error:
        raise OSError(f"nothing there answered as Dask does within {seconds:g} s") from error
    await comm.close()


async def can_stage(temp_dir: str | None) -> None:
    """Raise here, in one line, what would otherwise fail in each local worker."""
    async with StagingArea(temp_dir):
        pass


@contextmanager
def warm_areas(client: Client, temp_dir: str | None, policy: UrlPolicy) -> Iterator[str]:
    """Have an area in each worker, and in each that joins or takes a dead one's place; yield its name."""
    plugin = WarmArea(temp_dir, policy)
    try:
        try:
            client.register_plugin(plugin)
        except Exception as error:  # whatever a worker raised, Dask hands it on as such or as its text
            needs = "it needs this library, and a --temp-dir that it can write"
            raise OSError(f"a worker cannot stage: {needs} ({error})") from error
        yield plugin.name
    finally:
        # the scheduler would give it to workers that come later, and those without this library could not start
        with suppress(KeyError):  # from a worker that could not take it
            client.unregister_worker_plugin(plugin.name)


def main(options: argparse.Namespace) -> bool:
    """Label the backlog, an answer a line; return whether every message was labelled."""
    failed = answered = 0
    with ExitStack() as stack:
        messages, policy = stack.enter_context(
            given(options.messages, options.allow_host) if options.messages else served_here(options.count)
        )
        client = stack.enter_context(cluster_of(options))
        plugin = stack.enter_context(warm_areas(client, options.temp_dir, policy))
        task = label_alone if options.own_clients else partial(label, plugin=plugin)
        started = time.perf_counter()
        for answer in backfill(client, task, messages, options.think):
            print(json.dumps(answer), flush=True)
            answered += 1
            failed += "error" in answer
        seconds = time.perf_counter() - started
    rate = f"{answered} messages in {seconds:.1f} s, {answered / seconds:.0f} a second"
    print(f"{rate}; {failed} not labelled", file=sys.stderr)
    return not failed


class CommandLine(argparse.ArgumentParser):
    """One line says what is wrong with the options."""

    def error(self, message: str) -> NoReturn:
        """Exit as a wrong use."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def number(text: str) -> int:
    """Return how many: one at least."""
    with suppress(ValueError):
        if 1 <= int(text) <= 1_000_000:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text[:20]!r} is no whole number from 1 to 1,000,000")


def duration(text: str) -> float:
    """Return how long, in seconds."""
    with suppress(ValueError):
        if 0 <= float(text) <= 86_400:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number of seconds from 0 to 86,400")


def command_line() -> argparse.Namespace:
    """Return the options."""
    parser = CommandLine(prog="dask_backfill", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler; else workers on this machine")
    parser.add_argument("--wait", type=duration, default=10.0, metavar="SECONDS", help="for it and its first worker")
    parser.add_argument("--messages", type=Path, metavar="FILE", help="the backlog, a message in JSON a line")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="instead of Discord's hosts")
    parser.add_argument("--temp-dir", metavar="DIR", help="on each worker's own disk; else its temporary directory")
    parser.add_argument("--workers", type=number, default=2, metavar="N", help="local worker processes")
    parser.add_argument("--concurrency", type=number, default=8, metavar="N", help="messages at once on a local worker")
    parser.add_argument("--count", type=number, default=200, metavar="N", help="how many messages to serve from here")
    parser.add_argument("--think", type=duration, default=0.0, metavar="SECONDS", help="the stand-in model's time")
    parser.add_argument("--own-clients", action="store_true", help="a client for each message instead, to compare")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        well = main(command_line())
    except (OSError, ValueError) as problem:
        sys.exit(f"dask_backfill: {problem}")
    sys.exit(0 if well else 1)
