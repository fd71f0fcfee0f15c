"""Life beside death for as long as one likes: staging against a hostile CDN, with cancellations and killed processes.

    uv run python tests/soak [--minutes 20] [--backend asyncio|trio|both] [--hostile] [--json FILE]

One process serves (`cdn`), one process per event loop lives through it all (`steady`), and one forks workers that are
killed with SIGKILL at random instants (`killer`); all of them share one root. With ``--hostile``, nobody is killed:
each event loop has an area in which one sender is hostile and the others are not (`hostile`). Exits with 1 if any
promise was broken.
"""

import argparse
import contextlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import trustme
from meter import COLUMNS

from staging import sweep

HERE = Path(__file__).resolve().parent
PROMISES = {  # what must be 0 -> where it is counted
    "staged files with wrong bytes": "wrong files",
    "failures with an unexpected reason": "unexpected reasons",
    "exceptions out of a stage": "escaped",
    "living stages harmed": "living stages harmed",
    "stages that left something": "leftovers",
    "orphans left after a sweep": "left after a sweep",
    "workers that ended by themselves": "workers that ended by themselves",
    "left under the root at the end": "left at the end",
}
FIGURES = (
    "downloads",
    "stages",
    "hostile messages",
    "cancellations",
    "cancellations by asyncio",
    "kills",
    "orphans",
    "swept",
    "living stages",
    "looks at living stages",
    "late",
)


@contextlib.contextmanager
def server(place):
    """Run the CDN; yield its two ports and the file with the authority to trust."""
    authority, trust, certificate = trustme.CA(), place / "trust.pem", place / "server.pem"
    authority.cert_pem.write_to_path(trust)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    command = [sys.executable, HERE / "cdn.py", certificate]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline()), trust
        finally:
            process.stdin.close()
            process.wait(20)


def soak(place, backends, seconds, *, hostile):
    """Run everything for `seconds`; return what each process reports."""
    root = place / "root"
    root.mkdir()
    with server(place) as (ports, trust):
        common = [root, json.dumps(ports), trust, str(seconds)]
        kind = "hostile" if hostile else "steady"
        commands = {f"{kind} on {backend}": [f"{kind}.py", *common, backend] for backend in backends}
        if not hostile:
            commands["killer"] = ["killer.py", *common]
        files = {name: place / f"{number}.json" for number, name in enumerate(commands)}
        processes = {
            name: subprocess.Popen([sys.executable, HERE / script, *arguments, files[name]])
            for name, (script, *arguments) in commands.items()
        }
        try:
            codes = {name: process.wait(seconds + 300) for name, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    missing = [f"{name} ended with {code}" for name, code in codes.items() if name not in found]
    swept = sweep(root)
    return found, {
        "processes that failed": missing,
        "swept at the end": swept,
        "left at the end": len([*root.iterdir()]),
    }


def total(found, name):
    return sum(report.get(name, 0) for report in found.values())


def table(result):
    """Return the figures as text."""
    lines = [f"{result['minutes']} minutes, Python {result['python']}, {result['system']}", ""]
    lines += [f"{name:<38}{count:>12,}" for name, count in result["figures"].items() if count]
    lines += ["", "must be 0"]
    lines += [f"{name:<38}{count:>12,}" for name, count in result["promises"].items()]
    lines += ["", "outcomes: " + ", ".join(f"{name} {count:,}" for name, count in result["outcomes"].items())]
    for name, report in result["reports"].items():
        for period, waits in report.get("waits", {}).items():
            told = [f"{name} {seconds:.3f} s" for name, seconds in waits.items() if name != "messages"]
            lines.append(f"{name}: {waits['messages']:,} honest messages {period}: {', '.join(told)}")
        for key, unit in COLUMNS.items():
            if key in report:
                line = "{first:g} -> {last:g} {unit}, highest {highest:g}, slope {slope_per_hour:+g} an hour"
                lines.append(f"{name}: " + line.format(unit=unit, **report[key]))
        lines += [f"{name}: {key}: {report[key]}" for key in DETAILS if report.get(key)]
    return "\n".join([*lines, *result["processes that failed"], ""])


DETAILS = ("killed while", "not as expected", "wrong", "exceptions", "left")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--backend", choices=("asyncio", "trio", "both"), default="both")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--hostile", action="store_true", help="one hostile sender beside honest ones")
    options = parser.parse_args()
    backends = ("asyncio", "trio") if options.backend == "both" else (options.backend,)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        found, ending = soak(Path(place), backends, options.minutes * 60, hostile=options.hostile)
    outcomes = sum((Counter(report.get("outcomes", {})) for report in found.values()), Counter())
    result = {
        "minutes": round((time.monotonic() - began) / 60, 1), "python": platform.python_version(),
        "system": platform.platform(), "figures": {name: total(found, name) for name in FIGURES},
        "promises": {
            name: total(found, key) + ending.get(key, 0) for name, key in PROMISES.items()
        },
        "outcomes": dict(outcomes.most_common()), "reports": found, **ending,
    }  # fmt: skip
    sys.stdout.write(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    return 1 if any(result["promises"].values()) or ending["processes that failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
