"""What staging costs, against what its users would do without it: P1 to P15, by one command.

    uv run --group bench python tests/benchmarks [--only P1,P2] [--rounds N] [--quick] [--out DIRECTORY]

Starts an nginx of its own on loopback, runs every client in a process of its own, the clients taking turns
(A B C A B C ...), and prints medians: of files on disk, and of files in memory. A shared machine is noisy: only the
ratios within one run mean anything. A client that is not installed is left out, and said so. Nothing here fails because
of a time. P13, the README's test command, takes minutes: it runs only by ``--only P13``.

A full run writes results.svg, results.md and results.json (every single value) beside this file, or into `--out`.
"""

import argparse
import atexit
import contextlib
import functools
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for `python -m tests.benchmarks`

import handoff  # noqa: E402  # found only now
import peers  # noqa: E402  # the same
import report  # noqa: E402  # the same
from scenarios import ALL, FAR, MB, ROUND_TRIP, SLOW, SUITE, Scenario, scenarios  # noqa: E402  # the same
from server import Server, find_nginx, relay  # noqa: E402  # the same
from values import Samples  # noqa: E402  # the same

PATIENCE = 120  # seconds; what takes longer hangs
README = HERE.parents[1] / "README.md"
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


def run(scenario: Scenario, number: int, contender: str, root: str) -> dict:
    """Measure one contender once, in a process of its own."""
    if scenario.name == "import":
        found = child("-c", IMPORTED.format(statement=IMPORTS[contender]))
        return found | {"modules": sorted(report.HEAVY & set(found["modules"]))}
    if scenario.name == "suite":
        return suite()
    loop = "trio" if contender.endswith("_trio") else "asyncio"
    task = scenario.task(number) | {"root": root, "client": contender.removesuffix("_trio"), "loop": loop}
    return child(str(HERE / "measure.py"), told=json.dumps(task))


def suite() -> dict:
    """Run the README's test command in this tree; what it installs is there before the clock runs."""
    command = re.search(r"^pip install uv && (uv run pytest.*)$", README.read_text("utf-8"), re.MULTILINE)[1]
    subprocess.run(["uv", "run", "python", "-c", ""], check=True, cwd=README.parent)
    began = time.perf_counter()
    done = subprocess.run(command.split(), check=False, capture_output=True, text=True, cwd=README.parent)
    found = {"wall": time.perf_counter() - began, "verdict": done.stdout.strip().rpartition("\n")[2].strip("= ")}
    if done.returncode:
        raise RuntimeError(found["verdict"])
    return found


def child(*arguments: str, told: str = "") -> dict:
    # the tree as it is, whatever is installed; and with bytecode, as every user's second start has it
    path = os.pathsep.join([str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": bytecode()}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    try:
        process = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, input=told, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done in {PATIENCE} s") from None
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
        for name in [name for name in values if number < scenario.slow or name not in SLOW]:
            try:
                if scenario.twice:  # who runs after others pays for the memory and the inodes that they gave back
                    run(scenario, number, name, root)
                values[name].append(run(scenario, number, name, root))
            except RuntimeError as error:
                del values[name]
                say(f"  {scenario.name}: {name} failed and is left out: {error}")
    say(f"  {scenario.name}: {scenario.rounds} rounds of {len(values)} in {time.monotonic() - began:.0f} s")
    return values


def file_system(directory: Path) -> str:
    """Return what kind it is on; empty where the system does not tell."""
    kinds = {"": ""}
    with contextlib.suppress(OSError):
        for line in Path("/proc/mounts").read_text("utf-8").splitlines():
            _, place, kind, *_ = line.split()
            if directory.resolve().is_relative_to(place):
                kinds[place] = kind
    return kinds[max(kinds, key=len)]


def places() -> dict[str, str | None]:
    """Return where files lie on each medium; None: nowhere."""
    memory, disks = Path("/dev/shm"), (Path(tempfile.gettempdir()), Path("/var/tmp"))
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 6 * 1024 * MB
    disk = next((str(place) for place in disks if place.is_dir() and file_system(place) != "tmpfs"), None)
    return {"in memory": str(memory) if roomy else None, "on disk": disk}


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
    absent, samples, nginx, found = missing(), {}, find_nginx(), places()
    for name, why in absent.items():
        say(f"  without {name}: {why}")
    if nginx and importlib.util.find_spec("trustme") is None:
        nginx = None
        say("  trustme is not installed (uv sync --group test): only what needs no server can be measured")
    elif not nginx:
        say("  nginx is not installed (Debian: apt-get install nginx-light): only what needs no server can be measured")
    with contextlib.ExitStack() as scope:

        def folder(parent: str | None) -> str:
            return scope.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=parent))

        roots = {where: folder(parent) for where, parent in found.items() if parent}
        roots[""] = roots.get("in memory") or folder(None)
        papers = handoff.write(Path(folder(None)), quick=quick) if only & {"P10", "P11", "P12"} else {}
        server = Server(Path(folder(None)))
        if nginx:
            scope.enter_context(server.running(nginx))
        far = {name: scope.enter_context(relay(server.port, ROUND_TRIP, extra)) for name, extra in FAR.items()}
        for scenario in scenarios(server, far, papers, rounds, quick=quick):
            if scenario.serves & only and (nginx or scenario.local) and scenario.where in roots:
                contenders = [name for name in scenario.contenders if name not in absent]
                samples[scenario.name] = take_turns(scenario, contenders, roots[scenario.where])
    return samples


def conditions(only: set[str], rounds: int, *, quick: bool) -> dict:
    """Return what a reader must know of the machine, and nothing that names it."""

    def found(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    names = ("anyio", "httpx", "h11", "trio", "aiohttp", "aiofiles", "httpcore", "pypdfium2", "pillow")
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "rounds": rounds,
        "quick": quick,
        "wanted": sorted(only),
        "on disk": file_system(Path(places()["on disk"] or "/")),
        **{name: found(name) for name in names},
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
    if not only <= {*ALL, SUITE}:
        parser.error(f"--only knows {', '.join([*ALL, SUITE])}")
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
