"""The laws of the response path (`tests/property/test_response_fuzz.py`) for as long as one likes.

    uv run python tests/soak/fuzz.py --minutes 10 [--backend asyncio|trio|both] [--json FILE]

Prints what came of the streams, memory and descriptors at the beginning and at the end, and each law that was broken
with the smallest stream that Hypothesis found. Exits with 1 if there was any.
"""

import argparse
import faulthandler
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from meter import Meter

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "property")]

import test_response_fuzz as fuzz  # noqa: E402  # found only now
from hypothesis import Phase, given, settings  # noqa: E402  # after the profile that conftest loads

EXAMPLES = 500  # of one law, before it is the other's turn
QUIET = settings(fuzz.QUIET, max_examples=EXAMPLES, database=None, phases=(Phase.generate, Phase.shrink))
HANG_SECONDS = 120  # of one law's turn without a word


def laws(running):
    """Yield each law, ready to be called."""

    @QUIET
    @given(**fuzz.anything)
    def anything(peers, size):
        running.anything(peers, size)

    @QUIET
    @given(**fuzz.honest)
    def honest(response, cuts, end, way):
        running.honest(*response, cuts, end, way)

    @QUIET
    @given(**fuzz.resumed)
    def resumed(versions, attempts):
        running.resumed(versions, attempts)

    yield from (anything, honest, resumed)


def turn(backend, end, totals, broken, meter):
    """Run each law once on a loop of its own."""
    with tempfile.TemporaryDirectory() as root, fuzz.fuzzing(Path(root), backend) as running:
        for law in laws(running):
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            try:
                law()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
                text = "".join(traceback.format_exception(error))
                broken.setdefault(f"{law.__name__}: {type(error).__name__}: {str(error)[:80]}", text)
            meter.sample()
            if time.monotonic() > end:
                break
        totals[f"downloads on {backend}"] += sum(n for name, n in running.seen.items() if ", and" not in name)
        totals.update(running.seen)
    faulthandler.cancel_dump_traceback_later()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--backend", choices=("asyncio", "trio", "both"), default="both")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    backends = ("asyncio", "trio") if options.backend == "both" else (options.backend,)
    began = time.monotonic()
    end = began + options.minutes * 60
    totals, broken, meter, turns = Counter(), {}, Meter(warm_up=options.minutes * 12), 0
    while time.monotonic() < end:
        turn(backends[turns % len(backends)], end, totals, broken, meter)
        turns += 1
    found = {
        "python": sys.version.split()[0], "minutes": round((time.monotonic() - began) / 60, 1),
        "outcomes": dict(totals.most_common()), "laws broken": len(broken), **meter.report(),
    }  # fmt: skip
    found.pop("series")
    for text in broken.values():
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if options.json:
        options.json.write_text(json.dumps({**found, "broken": broken}, indent=2))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
