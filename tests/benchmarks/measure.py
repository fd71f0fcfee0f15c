"""One measurement in a process of its own: ``echo '{"measure": "fetch", ...}' | python measure.py``.

Reads one JSON object (ten thousand URLs are too long for an argument), and prints one. CPU seconds are those of the
client alone: of this process, or of the command that it runs.
"""

import contextlib
import importlib
import json
import os
import resource
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio
from peers import CLIENTS, LAZY, TOOLS, Job, area_of, stage_all

BEAT = 0.001  # seconds
MESSAGES = 5  # in one process
EMPTY_STAGES = 200


def cpu(client: str) -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if client in TOOLS else resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory(field: str) -> float | None:
    """Return a line of /proc/self/status in MB; None where there is no such file."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return None


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
    if name in LAZY and not task.get("first"):
        importlib.import_module(LAZY[name])
    async with heartbeat(found, on=task.get("heartbeat", False)):
        forget_peak()
        resident, began, used = memory("VmRSS"), time.perf_counter(), cpu(name)
        with contextlib.suppress(*(() if job.ca else (Exception,))):  # without our authority it must be refused
            async with client(job) as paths:
                found["cpu"], found["wall"] = cpu(name) - used, time.perf_counter() - began
                if resident is not None:
                    found["growth_mb"] = memory("VmHWM") - resident
                check(paths, task)
                used = cpu(name)
            found["cpu_with_removal"] = found["cpu"] + cpu(name) - used
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
    used = cpu("staging")
    await stage_all(stage, urls)
    return (cpu("staging") - used) / len(urls)


def timed_rmtree(directory: Path) -> float:
    began = time.perf_counter()
    shutil.rmtree(directory)
    return time.perf_counter() - began


async def empty(task: dict, job: Job) -> dict:
    """Milliseconds to enter and leave a stage in which nothing happens; beside it, a temporary directory."""
    stages, directories, used = [], [], 0.0
    async with area_of(job) as area:
        for _ in range(EMPTY_STAGES):
            began, before = time.perf_counter(), cpu("staging")
            async with area.stage():
                pass
            stages.append((time.perf_counter() - began) * 1000)
            used += (cpu("staging") - before) * 1000
            began = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=job.root):
                pass
            directories.append((time.perf_counter() - began) * 1000)
    medians = {"stage_ms": statistics.median(stages), "directory_ms": statistics.median(directories)}
    return medians | {"cpu_ms": used / EMPTY_STAGES}


def main() -> None:
    task = json.load(sys.stdin)
    tls = ssl.create_default_context(cafile=task["ca"]) if task["ca"] else None
    job = Job(tuple(task["urls"]), task["root"], task["ca"], tls)
    measure = {"fetch": fetch, "message": message, "many": many, "empty": empty}[task["measure"]]
    found = anyio.run(measure, task, job, backend=task["loop"])
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # idle worker threads and the interpreter's own end are not measured


if __name__ == "__main__":
    main()
