"""What staging costs, against what its users would do without it: P1 to P9, by one command.

    uv run --group bench python tests/benchmarks [--only P1,P2] [--rounds N] [--quick] [--out DIRECTORY]

Starts an nginx of its own on loopback, runs every client in a process of its own, the clients taking turns
(A B C A B C ...), and prints medians. A shared machine is noisy: only the ratios within one run mean anything. A client
that is not installed is left out, and said so. Nothing here fails because of a time.

A full run writes results.svg, results.md and results.json (every single value) beside this file, or into `--out`.
"""

import argparse
import atexit
import contextlib
import functools
import importlib.util
import json
import mmap
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for `python -m tests.benchmarks`

import peers  # noqa: E402  # found only now
import report  # noqa: E402  # the same
from server import Server, find_nginx, relay  # noqa: E402  # the same

ALL = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9")
MB = 1024 * 1024
MOST_TAKEN = 1024 * MB
ROUND_TRIP = 0.040
FAR = {"real": 1, "bare": 0}  # way -> round trips that a connection costs before its first byte
MESSAGE = (4096, 200 * 1024, MB, 3 * MB, 8 * MB)
OWN = ("staging", "staging_trio")
FETCHERS = (*OWN, "aiohttp_tuned", "aiohttp_obvious", "httpx_plain", "curl", "aria2")
LOOPED = (*OWN, "aiohttp_tuned", "aiohttp_obvious", "httpx_plain")  # those that have an event loop of ours
IMPORTS = {"staging": "import staging", "httpx_anyio": "import httpx, anyio"}
IMPORTED = """\
import json, resource, sys
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before = cpu()
{statement}
print(json.dumps({{"cpu": cpu() - before, "modules": sorted({{name.partition(".")[0] for name in sys.modules}})}}))
"""

Samples = dict[str, dict[str, list[dict]]]  # scenario -> contender -> one value a round


@dataclass(frozen=True)
class Scenario:
    """One thing that the contenders do in turns."""

    name: str
    serves: set[str]  # which of P1 to P9
    contenders: tuple[str, ...]
    task: Callable[[int], dict]  # round -> what measure.py is told
    rounds: int
    local: bool = False  # needs no server
    on_disk: bool = False  # needs a real file system


def scenarios(server: Server, far: dict[str, int], rounds: int, *, quick: bool) -> list[Scenario]:
    """Return what there is to do, most important first."""
    bulk = (10, 5 * MB) if quick else (10, 50 * MB)
    small = (60 if quick else 300, 16 * 1024)
    huge = (8, 50 * MB) if quick else (8, 500 * MB)
    crowd = 1000 if quick else 10_000
    few = min(rounds, 3)  # for what takes long, or tells the worst of many moments anyway

    def fetch(count: int, size: int, **options) -> Callable[[int], dict]:
        urls = server.urls(count, size)
        return lambda _: {"measure": "fetch", "urls": urls, "bytes": count * size, "ca": str(server.ca), **options}

    def message(port: int) -> Callable[[int], dict]:
        urls = [server.urls(number + 1, size, port)[number] for number, size in enumerate(MESSAGE)]  # five names
        return lambda _: {"measure": "message", "urls": urls, "ca": str(server.ca)}

    def many(count: int) -> Callable[[int], dict]:
        urls, warm = server.urls(count, 1024), server.urls(peers.AT_ONCE, 4096)
        pages = count * mmap.PAGESIZE
        task = {"measure": "many", "urls": urls, "warm": warm, "few": 300, "bytes": pages, "ca": str(server.ca)}
        return lambda number: {**task, "rmtree_last": bool(number % 2)}

    empty = {"measure": "empty", "urls": [], "ca": None}
    return [
        Scenario("bulk", {"P1", "P5", "P8"}, FETCHERS, fetch(*bulk), rounds),
        Scenario("small", {"P2", "P8"}, FETCHERS, fetch(*small), 3 * rounds),
        Scenario("message", {"P3"}, (*OWN, "aiohttp_obvious", "aiohttp_tuned"), message(far["real"]), rounds),
        Scenario("message_bare", {"P3"}, (*OWN, "aiohttp_obvious", "aiohttp_tuned"), message(far["bare"]), rounds),
        Scenario("stall_bulk", {"P4"}, (*LOOPED, "curl"), fetch(*bulk, heartbeat=True), few, on_disk=True),
        Scenario("stall_small", {"P4"}, (*LOOPED, "curl"), fetch(*small, heartbeat=True), few, on_disk=True),
        Scenario("stall_first", {"P4"}, LOOPED, fetch(1, MB, heartbeat=True, first=True), rounds),
        Scenario("stall_distrust", {"P4"}, LOOPED, fetch(1, MB, heartbeat=True, first=True, ca=None), rounds),
        Scenario("huge", {"P5"}, OWN, fetch(*huge), min(rounds, 2)),
        Scenario("crowd", {"P6"}, OWN[:1], many(crowd), rounds),
        Scenario("crowd_on_disk", {"P6"}, OWN[:1], many(crowd), few, on_disk=True),
        Scenario("empty", {"P7"}, OWN, lambda _: empty, rounds, local=True, on_disk=True),
        Scenario("import", {"P9"}, tuple(IMPORTS), lambda _: {}, 4 * rounds, local=True),
    ]


def run(scenario: Scenario, number: int, contender: str, root: str) -> dict:
    """Measure one contender once, in a process of its own."""
    if scenario.name == "import":
        found = child("-c", IMPORTED.format(statement=IMPORTS[contender]))
        return found | {"modules": sorted(report.HEAVY & set(found["modules"]))}
    loop = "trio" if contender.endswith("_trio") else "asyncio"
    task = scenario.task(number) | {"root": root, "client": contender.removesuffix("_trio"), "loop": loop}
    take_memory(min(2 * task.get("bytes", 0), MOST_TAKEN))
    return child(str(HERE / "measure.py"), told=json.dumps(task))


def take_memory(size: int) -> None:
    """Touch so much memory and free it.

    The files of a contender are new memory. A virtual machine that gave free memory back to its host pays for each page
    of it again, up to a second for 500 MB (seen: 1.9 s of CPU for the first contender, 0.7 for the same one later).
    """
    if size:
        with mmap.mmap(-1, size) as memory:
            for start in range(0, size, mmap.PAGESIZE):
                memory[start] = 1


def child(*arguments: str, told: str = "") -> dict:
    # the tree as it is, whatever is installed; and with bytecode, as every user's second start has it
    path = os.pathsep.join([str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": bytecode()}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    process = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, input=told)
    if process.returncode:
        raise RuntimeError((process.stderr or process.stdout).strip().splitlines()[-1])
    return json.loads(process.stdout)


@functools.cache
def bytecode() -> str:
    """Return where all children keep what they have compiled; gone at the end."""
    place = tempfile.TemporaryDirectory(prefix="bench-bytecode-")
    atexit.register(place.cleanup)
    return place.name


def take_turns(scenario: Scenario, contenders: list[str], root: str) -> dict[str, list[dict]]:
    """Return the values of every contender; one that fails drops out, and the rest goes on."""
    values: dict[str, list[dict]] = {name: [] for name in contenders}
    began = time.monotonic()
    if scenario.name == "import":
        for name in contenders:
            run(scenario, 0, name, root)  # compiles what it imports
    for number in range(scenario.rounds):
        for name in list(values):
            try:
                values[name].append(run(scenario, number, name, root))
            except RuntimeError as error:
                del values[name]
                say(f"  {scenario.name}: {name} failed and is left out: {error}")
    say(f"  {scenario.name}: {scenario.rounds} rounds of {len(values)} in {time.monotonic() - began:.0f} s")
    return values


def in_memory() -> str | None:
    """Return where files cost everybody the same, if there is room; None: the system's temporary directory.

    ext4 looks for a new inode the longer the more files were deleted in the last minute (up to 0.3 ms a file, seen in
    the first version of this benchmark), so that a client would pay for those who ran before it.
    """
    place = Path("/dev/shm")
    roomy = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > 6 * 1024 * MB
    return str(place) if roomy else None


def missing() -> dict[str, str]:
    """Return the contenders that cannot take part, with the reason."""
    absent = {name: f"{tool} is not installed" for name, tool in peers.TOOLS.items() if not shutil.which(tool)}
    for name, packages in peers.PACKAGES.items():
        lacking = [package for package in packages if importlib.util.find_spec(package) is None]
        if lacking:
            absent[name] = f"{' and '.join(lacking)} not installed (uv sync --group bench)"
    if importlib.util.find_spec("trio") is None:
        absent["staging_trio"] = "trio is not installed (uv sync --group test)"
    return absent


def measure(only: set[str], rounds: int, *, quick: bool) -> Samples:
    """Run what is wanted and possible."""
    absent, samples, nginx = missing(), {}, find_nginx()
    for name, why in absent.items():
        say(f"  without {name}: {why}")
    if nginx and importlib.util.find_spec("trustme") is None:
        nginx = None
        say("  trustme is not installed (uv sync --group test): only P7 and P9 can be measured")
    elif not nginx:
        say("  nginx is not installed (Debian: apt-get install nginx-light): only P7 and P9 can be measured")
    with contextlib.ExitStack() as scope:
        place, disk, memory = (
            scope.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=directory))
            for directory in (None, None, in_memory())
        )
        server = Server(Path(place))
        if nginx:
            scope.enter_context(server.running(nginx))
        far = {name: scope.enter_context(relay(server.port, ROUND_TRIP, extra)) for name, extra in FAR.items()}
        for scenario in scenarios(server, far, rounds, quick=quick):
            if scenario.serves & only and (nginx or scenario.local):
                contenders = [name for name in scenario.contenders if name not in absent]
                samples[scenario.name] = take_turns(scenario, contenders, disk if scenario.on_disk else memory)
    return samples


def conditions(only: set[str], rounds: int, *, quick: bool) -> dict:
    """Return what a reader must know of the machine, and nothing that names it."""

    def found(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    packages = {name: found(name) for name in ("anyio", "httpx", "h11", "trio", "aiohttp", "aiofiles", "httpcore")}
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "rounds": rounds,
        "quick": quick,
        "wanted": sorted(only),
        **packages,
    }


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(ALL), metavar="P1,P2", help="measure only these")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each client (5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, one round: does it run at all?")
    parser.add_argument(
        "--out", type=Path, metavar="DIRECTORY", help="write results there (a full run: beside this file)"
    )
    options = parser.parse_args()
    only = set(options.only.upper().split(","))
    if not only <= set(ALL):
        parser.error(f"--only knows {', '.join(ALL)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends and the files go
    rounds = 1 if options.quick else options.rounds
    samples = measure(only, rounds, quick=options.quick)
    known = conditions(only, rounds, quick=options.quick)
    sys.stdout.write(report.table(samples, known))
    out = options.out or (HERE if only == set(ALL) and not options.quick else None)
    if out is not None:
        report.write(out, samples, known)


if __name__ == "__main__":
    main()
