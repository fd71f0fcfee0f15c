# /// script
# requires-python = ">=3.11"
# dependencies = ["attachment-staging", "taskiq>=0.13", "taskiq-redis>=1.2.4", "redis>=8"]
# [tool.uv.sources]
# attachment-staging = { path = "..", editable = true }
# ///
"""Answer live messages on many machines with taskiq over Redis streams: a message is acknowledged once it is answered.

On each machine: `REDIS_URL=redis://10.0.0.1 taskiq worker --app-dir examples taskiq_worker:broker --workers 4
--max-async-tasks 16`. To see it work on this one, with worker processes, messages and a file server that it starts
itself: `python examples/taskiq_worker.py --demo --redis redis://127.0.0.1:6379`
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import anyio
import httpx
from redis.asyncio import Redis  # type: ignore[import-not-found,unused-ignore]
from redis.exceptions import RedisError  # type: ignore[import-not-found,unused-ignore]
from taskiq import Context, SimpleRetryMiddleware, TaskiqDepends, TaskiqEvents, TaskiqState  # type: ignore[import-not-found,unused-ignore]
from taskiq.exceptions import TaskiqResultTimeoutError  # type: ignore[import-not-found,unused-ignore]
from taskiq.serializers import JSONSerializer  # type: ignore[import-not-found,unused-ignore]
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker  # type: ignore[import-not-found,unused-ignore]

from staging import Limits, StagingArea, UrlPolicy
from staging.testing import FakeCDN, Reply

Message = dict[str, Any]
Answer = dict[str, Any]
START_UP = 60  # seconds that the demonstration's workers may take
RUNNING = TaskiqDepends()  # taskiq's marker: the task's context is given at run time


def broker() -> RedisStreamBroker:
    """Return the broker that the environment describes; `taskiq worker` calls this once in each worker process."""
    return make_broker(os.environ)


def make_broker(settings: Mapping[str, str]) -> RedisStreamBroker:
    """Return a broker that loses no message.

    Settings: `REDIS_URL`; `ATTACHMENTS_QUEUE`, the stream; `ATTACHMENTS_DIR`, on the worker's own disk;
    `ATTACHMENTS_RECLAIM`, the seconds after which an unacknowledged message counts as a dead worker's: more than a
    message ever takes, or two workers answer it. The demonstration adds its file server's port and the time to think.
    """
    url, queue = settings.get("REDIS_URL", "redis://127.0.0.1:6379"), settings.get("ATTACHMENTS_QUEUE", "attachments")
    made = RedisStreamBroker(
        url,
        queue_name=queue,
        consumer_group_name="workers",
        consumer_id="0",  # the default begins with the latest message: those sent before the first worker would be lost
        xread_count=4,  # few are read ahead: what a dead worker had read waits until it is reclaimed
        xread_block=500,
        idle_timeout=int(float(settings.get("ATTACHMENTS_RECLAIM", "300")) * 1000),
        unacknowledged_lock_timeout=10,  # the default is for ever, even if its holder is dead
        # with a timeout, redis writes through `asyncio.wait_for`, which may lose a cancellation on Python 3.11: a
        # worker that is told to stop would wait for its next message; keepalive notices a dead connection all the same
        socket_timeout=None,
    )
    answers = RedisAsyncResultBackend(url, result_ex_time=3600, prefix_str=queue, serializer=JSONSerializer())
    made.with_result_backend(answers).with_middlewares(SimpleRetryMiddleware(default_retry_count=4))
    made.state.update(settings=settings, broker=made)
    made.add_event_handler(TaskiqEvents.WORKER_STARTUP, open_area)
    made.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, close_area)
    made.register_task(answer, task_name="answer", retry_on_error=True)
    made.register_task(answer_alone, task_name="answer_alone", retry_on_error=True)
    made.register_task(tidy, task_name="tidy")
    return made


async def open_area(state: TaskiqState) -> None:
    """Open this worker's area once: warm connections, one limit, one budget; what a dead worker left is removed."""
    directory, port = state.settings.get("ATTACHMENTS_DIR"), state.settings.get("ATTACHMENTS_DEMO_PORT")
    policy = UrlPolicy.discord()
    if port:
        policy = UrlPolicy.only("127.0.0.1", schemes=("http",), ports=(int(port),), private=True)
    state.scope = AsyncExitStack()
    state.area = await state.scope.enter_async_context(
        StagingArea(directory, limits=Limits(concurrency=16), policy=policy, max_total_mb=2_000)
    )
    state.scope.callback(asyncio.create_task(keep_tidy(state.broker)).cancel)


async def close_area(state: TaskiqState) -> None:
    """Close it at shutdown, and with it every stage that is still open."""
    await state.scope.aclose()


async def answer(message: Message, context: Context = RUNNING) -> Answer:
    """Answer one message: its files are on this worker's disk inside the scope, and only text leaves it.

    A task that raises is sent again (`retry_on_error`). So a failure that may pass is raised, and one that will not is
    a line in the prompt.
    """
    async with context.state.area.stage(max_mb=20, label=f"message {message['id']}") as stage:
        await stage.download(message["attachments"], timeout=60)
        if problems := [failure.detail for failure in stage.failures if failure.retryable]:
            raise ConnectionError("; ".join(problems))
        text = await ask_model(stage.context(), stage.paths, context)
        return {"id": message["id"], "answer": text, "notice": stage.notice(), "worker": os.getpid()}


async def ask_model(prompt: str, paths: Sequence[Path], context: Context) -> str:
    """Stand in for your model, which would be asked here; its answer is what it was given."""
    await asyncio.sleep(float(context.state.settings.get("ATTACHMENTS_THINK", "0")))
    assert all(str(path) in prompt for path in paths)
    return f"{len(paths)} files, {sum(path.stat().st_size for path in paths)} bytes"


async def answer_alone(message: Message, context: Context = RUNNING) -> Answer:
    """Do the same by hand, with a client of its own for each message: what is compared against."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory, str(number)) for number, _ in enumerate(message["attachments"])]
        async with httpx.AsyncClient(trust_env=False) as client, anyio.create_task_group() as group:
            for path, attachment in zip(paths, message["attachments"], strict=True):
                group.start_soon(_fetch, client, attachment["url"], path)
        text = await ask_model("\n".join(map(str, paths)), paths, context)
        return {"id": message["id"], "answer": text, "notice": "", "worker": os.getpid()}


async def _fetch(client: httpx.AsyncClient, url: str, path: Path) -> None:
    async with client.stream("GET", url) as response, await anyio.open_file(path, "xb") as file:
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            await file.write(piece)


async def keep_tidy(broker: RedisStreamBroker) -> None:
    """Send `tidy` now and then, from every worker.

    The broker looks for the messages of dead workers only after it has read a new one: without traffic they would wait.
    """
    while True:
        await asyncio.sleep(broker.idle_timeout / 1000)
        with suppress(RedisError):
            await broker.find_task("tidy").kiq()


async def tidy(context: Context = RUNNING) -> None:
    """Drop from the stream what is acknowledged, and nothing that waits or is under way (`maxlen` would drop that)."""
    broker = context.broker
    async with Redis(connection_pool=broker.connection_pool) as redis:
        group = next(iter(await redis.xinfo_groups(broker.queue_name)))  # first: what is delivered later has a later id
        pending = await redis.xpending(broker.queue_name, broker.consumer_group_name)
        await redis.xtrim(broker.queue_name, minid=pending["min"] or group["last-delivered-id"], approximate=True)


# The demonstration: worker processes, a file server and a bot on this machine.


@contextmanager
def workers(settings: Mapping[str, str], count: int, concurrency: int) -> Iterator[None]:
    """Run worker processes; taskiq puts a new one in the place of each that dies."""
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-m", "taskiq", "worker", "taskiq_worker:broker", "--app-dir", folder]
    command += ["--workers", str(count), "--max-async-tasks", str(concurrency), "--log-level", "WARNING"]
    process = subprocess.Popen(command, env={**os.environ, **settings})  # noqa: S603  # our own command line
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)  # the workers finish what they have begun, and close their areas
        process.wait(30)


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


async def ask(broker: RedisStreamBroker, task: str, messages: Sequence[Message]) -> AsyncIterator[Answer]:
    """Send all messages, as a bot would one by one, and yield the answers in their order."""
    sent = [await broker.find_task(task).kiq(message) for message in messages]
    for message, waiting in zip(messages, sent, strict=True):
        try:
            result = await waiting.wait_result(check_interval=0.02, timeout=300)
        except TaskiqResultTimeoutError:
            yield {"id": message["id"], "error": "no answer within five minutes"}
        else:
            yield {"id": message["id"], "error": str(result.error)} if result.is_err else result.return_value


async def come_up(broker: RedisStreamBroker) -> None:
    """Wait until a worker answers."""
    try:
        await (await broker.find_task("tidy").kiq()).wait_result(timeout=START_UP)
    except TaskiqResultTimeoutError as error:
        raise OSError(f"no worker came up within {START_UP} s: what hinders them is printed above") from error


async def demonstrate(options: argparse.Namespace, settings: Mapping[str, str], messages: Sequence[Message]) -> bool:
    """Print an answer a line, and how long they took; return whether every message was answered."""
    failed, bot = 0, make_broker(settings)
    await bot.startup()
    try:
        with workers(settings, options.workers, options.concurrency):
            await come_up(bot)  # from here it is counted
            started = time.perf_counter()
            async for reply in ask(bot, "answer_alone" if options.own_clients else "answer", messages):
                print(json.dumps(reply), flush=True)
                failed += "error" in reply
            seconds = time.perf_counter() - started
    finally:
        async with Redis(connection_pool=bot.connection_pool) as redis:
            await redis.delete(bot.queue_name)
        await bot.shutdown()
    rate = f"{len(messages)} messages in {seconds:.1f} s, {len(messages) / seconds:.0f} a second"
    print(f"{rate}; {failed} not answered", file=sys.stderr)
    return not failed


async def can_stage(temp_dir: str | None) -> None:
    """Raise here, in one line, what would otherwise fail in each worker, again and again."""
    async with StagingArea(temp_dir):
        pass


def main(options: argparse.Namespace) -> bool:
    """Serve the files and demonstrate, on a stream that no other worker reads."""
    asyncio.run(can_stage(options.temp_dir))
    with FakeCDN.in_thread() as cdn:
        settings = {
            "REDIS_URL": options.redis,
            "ATTACHMENTS_QUEUE": f"attachments-demo-{uuid.uuid4()}",
            "ATTACHMENTS_RECLAIM": str(options.reclaim),
            "ATTACHMENTS_DEMO_PORT": str(cdn.port),
            "ATTACHMENTS_THINK": str(options.think),
        } | ({"ATTACHMENTS_DIR": options.temp_dir} if options.temp_dir else {})
        return asyncio.run(demonstrate(options, settings, serve(cdn, options.count)))


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
    parser = CommandLine(prog="taskiq_worker", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--demo", action="store_true", required=True, help="a worker is started by `taskiq worker`")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", metavar="URL", help="default: %(default)s")
    parser.add_argument("--temp-dir", metavar="DIR", help="where the workers stage; else the temporary directory")
    parser.add_argument("--workers", type=number, default=2, metavar="N", help="worker processes")
    parser.add_argument("--concurrency", type=number, default=8, metavar="N", help="messages at once in a worker")
    parser.add_argument("--count", type=number, default=200, metavar="N", help="how many messages to send")
    parser.add_argument("--think", type=duration, default=0.0, metavar="SECONDS", help="the stand-in model's time")
    parser.add_argument("--reclaim", type=duration, default=30.0, metavar="SECONDS", help="when a worker is dead")
    parser.add_argument("--own-clients", action="store_true", help="a client for each message instead, to compare")
    options = parser.parse_args()
    if options.reclaim < 1:
        parser.error("--reclaim: below a second, every message would count as a dead worker's")
    return options


if __name__ == "__main__":
    try:
        well = main(command_line())
    except RedisError as problem:
        sys.exit(f"taskiq_worker: no Redis: start `redis-server`, or name one that runs with --redis ({problem})")
    except (OSError, ValueError) as problem:
        sys.exit(f"taskiq_worker: {problem}")
    sys.exit(0 if well else 1)
