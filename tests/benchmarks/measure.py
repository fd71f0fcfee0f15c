"""One measurement in a process of its own: ``echo '{"measure": "fetch", ...}' | python measure.py``.

Reads one JSON object (ten thousand URLs are too long for an argument), and prints one. CPU seconds are those of the
client alone: of this process, or of the command that it runs.
"""

import contextlib
import importlib
import json
import os
import random
import resource
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio
import handoff
from peers import AT_ONCE, CLIENTS, LAZY, TOOLS, Job, area_of, stage_all

OWN, THEIRS = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
BEAT = 0.001  # seconds
MESSAGES = 5  # in one process
EMPTY_STAGES = 200
SMALL_FILES = 20  # one after the other


def cpu(*whose: int) -> float:
    """Return CPU seconds: of this process, unless others are named."""
    usages = [resource.getrusage(who) for who in whose or (OWN,)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def memory(field: str) -> float | None:
    """Return a line of /proc/self/status in MB; None where there is no such file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return None


def descriptors() -> int:
    return len([*Path("/dev/fd").iterdir()])


def forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc(5): resets VmHWM


def queued() -> float:
    """Return the seconds for which this thread could run but had no processor; 0 where the kernel does not tell."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e9
    return 0.0


@contextlib.asynccontextmanager
async def heartbeat(worst: dict, *, on: bool):
    """Keep in `worst` by how many milliseconds a task that sleeps for one was late, at worst.

    `stall_ms` is what the clock says, `own_ms` is without the time for which other processes had all the cores.
    """
    worst.update(dict.fromkeys(("stall_ms", "own_ms"), 0.0) if on else {})

    async def beat():
        while True:
            due, before = time.perf_counter() + BEAT, queued()
            await anyio.sleep(BEAT)
            late = (time.perf_counter() - due) * 1000
            worst["stall_ms"] = max(worst["stall_ms"], late)
            worst["own_ms"] = max(worst["own_ms"], late - (queued() - before) * 1000)

    async with anyio.create_task_group() as group:
        if on:
            group.start_soon(beat)
            await anyio.sleep(10 * BEAT)
        yield
        group.cancel_scope.cancel()


async def fetch(task: dict, job: Job) -> dict:
    """CPU and wall seconds until everything is on disk, growth of memory, and the worst stall of the loop."""
    client, name, found = CLIENTS[task["client"]](), task["client"], {}
    whose = THEIRS if name in TOOLS else OWN
    if name in LAZY and not task.get("first"):
        importlib.import_module(LAZY[name])
    async with heartbeat(found, on=task.get("heartbeat", False)):
        forget_peak()
        resident, began, used = memory("VmRSS"), time.perf_counter(), cpu(whose)
        with contextlib.suppress(*(() if job.ca else (Exception,))):  # without our authority it must be refused
            async with client(job) as paths:
                found["cpu"], found["wall"] = cpu(whose) - used, time.perf_counter() - began
                if resident is not None:
                    found["growth_mb"] = memory("VmHWM") - resident
                check(paths, task)
                used = cpu(whose)
            found["cpu_with_removal"] = found["cpu"] + cpu(whose) - used
    return found


def check(paths: list[Path], task: dict) -> None:
    """What is not all there is not compared."""
    sizes = [path.stat().st_size for path in paths]
    if (len(sizes), sum(sizes)) != (len(task["urls"]), task["bytes"]):
        raise RuntimeError(f"{task['client']} fetched {len(sizes)} files with {sum(sizes):,} bytes")


async def message(task: dict, job: Job) -> dict:
    """Wall seconds of a message's attachments when one like it has been handled before."""
    walls = []
    if task["client"] == "staging":
        async with area_of(job) as area:
            for _ in range(MESSAGES + 1):
                began = time.perf_counter()
                async with area.stage() as stage:
                    await stage_all(stage, job.urls)
                    walls.append(time.perf_counter() - began)
    else:
        client = CLIENTS[task["client"]]()
        for _ in range(MESSAGES + 1):
            began = time.perf_counter()
            async with client(job):
                walls.append(time.perf_counter() - began)
    return {"wall": statistics.median(walls[1:])}


async def many(task: dict, job: Job) -> dict:
    """CPU seconds per file on warm connections, of few files and of all; what removing costs, and `shutil.rmtree`."""
    async with area_of(job) as area:
        async with area.stage() as stage:
            await stage_all(stage, task["warm"])
        async with area.stage() as stage:
            of_few = await cpu_per_file(stage, job.urls[: task["few"]])
        async with area.stage() as stage:
            of_all = await cpu_per_file(stage, job.urls)
            with tempfile.TemporaryDirectory(dir=job.root) as place:
                copy = shutil.copytree(stage.directory, Path(place, "copy"))
                rmtree = 0.0 if task["rmtree_last"] else timed_rmtree(copy)
                began = time.perf_counter()
                await stage.aclose()
                removal = time.perf_counter() - began
                rmtree = rmtree or timed_rmtree(copy)
    return {"cpu_per_file": of_all, "cpu_per_file_of_few": of_few, "removal": removal, "rmtree": rmtree}


async def cpu_per_file(stage, urls) -> float:
    used = cpu()
    await stage_all(stage, urls)
    return (cpu() - used) / len(urls)


def timed_rmtree(directory: Path) -> float:
    began = time.perf_counter()
    shutil.rmtree(directory)
    return time.perf_counter() - began


async def empty(task: dict, job: Job) -> dict:
    """Milliseconds to enter and leave a stage in which nothing happens; beside it, a temporary directory."""
    stages, directories, used = [], [], 0.0
    async with area_of(job) as area:
        for _ in range(EMPTY_STAGES):
            began, before = time.perf_counter(), cpu()
            async with area.stage():
                pass
            stages.append((time.perf_counter() - began) * 1000)
            used += (cpu() - before) * 1000
            began = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=job.root):
                pass
            directories.append((time.perf_counter() - began) * 1000)
    medians = {"stage_ms": statistics.median(stages), "directory_ms": statistics.median(directories)}
    return medians | {"cpu_ms": used / EMPTY_STAGES}


async def beside_drips(task: dict, job: Job) -> dict:
    """Milliseconds that another stage's small file takes: alone in its area, and beside links that drip."""
    async with area_of(job) as area, anyio.create_task_group() as group:
        await waits(area, job.urls[0])  # connects
        alone = await waits(area, job.urls[0])

        async def drip():
            async with area.stage() as stage:
                await stage.download(*task["drips"])

        group.start_soon(drip)
        while area.stats().downloads_running < AT_ONCE:  # noqa: ASYNC110  # the area tells a number, not a moment
            await anyio.sleep(BEAT)
        beside = await waits(area, job.urls[0])
        group.cancel_scope.cancel()
    return {"alone_ms": statistics.median(alone), "median_ms": statistics.median(beside), "worst_ms": max(beside)}


async def waits(area, url: str) -> list[float]:
    found = []
    for _ in range(SMALL_FILES):
        began = time.perf_counter()
        async with area.stage() as stage:
            await stage_all(stage, [url])
            found.append((time.perf_counter() - began) * 1000)
        await anyio.sleep(random.random() / 20)  # another moment for each
    return found


async def stages(task: dict, job: Job) -> dict:
    """A stage for each message, all at once: from servers that all answer, then with one of them silent."""
    async with area_of(job) as area:
        answering = await at_once(area, task["count"], task["answering"])
        silent = await at_once(area, task["count"], task["silent"])
    more = silent["peak_mb"] - answering["peak_mb"]
    found = {"wall_ratio": silent["wall"] / answering["wall"], "mb_each": more / silent["downloads_left"]}
    return answering | found | {"stalled": silent["downloads_left"]}


async def at_once(area, count: int, servers: list[list[str]]) -> dict:
    """Enter all stages, then download in all; it is over when those have everything that do not ask the last server."""
    go, done, busy = anyio.Event(), anyio.Event(), set(range(count))
    busy -= set(range(len(servers) - 1, count, len(servers)))

    async def one(number: int, *, task_status) -> None:
        async with area.stage() as stage:
            task_status.started()
            await go.wait()
            urls = servers[number % len(servers)]
            await (stage_all(stage, urls) if number in busy else stage.download(*urls))
            busy.discard(number)
            if not busy:
                done.set()

    forget_peak()
    before, opened, began = memory("VmRSS") or 0, descriptors(), time.perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(count):
            await group.start(one, number)
        found = {"start_mb": before, "entry_ms": (time.perf_counter() - began) * 1000 / count}
        found["descriptors_each"] = (descriptors() - opened) / count
        found["stage_kb"] = ((memory("VmRSS") or 0) - before) * 1024 / count
        began, used = time.perf_counter(), cpu()
        go.set()
        await done.wait()
        found["wall"], found["cpu"] = time.perf_counter() - began, cpu() - used
        stats = area.stats()
        found |= {"downloads_left": stats.downloads_running + stats.downloads_waiting, "staged": stats.staged}
        found["peak_mb"] = memory("VmHWM") or 0
        group.cancel_scope.cancel()
    return found


async def hand_off(task: dict, job: Job) -> dict:
    """See `handoff`; converters are processes of ours, and count."""
    return await handoff.hand_off(task, job.root, lambda: cpu(OWN, THEIRS))


MEASURES = {
    "fetch": fetch, "message": message, "many": many, "empty": empty, "drips": beside_drips, "stages": stages,
    "hand_off": hand_off,
}  # fmt: skip


def main() -> None:
    task = json.load(sys.stdin)
    tls = ssl.create_default_context(cafile=task["ca"]) if task["ca"] else None
    job = Job(tuple(task["urls"]), task["root"], task["ca"], tls)
    measure = MEASURES[task["measure"]]
    found = anyio.run(measure, task, job, backend=task["loop"])
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # idle worker threads and the interpreter's own end are not measured


if __name__ == "__main__":
    main()
