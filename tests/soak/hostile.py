"""One hostile sender beside honest ones, in one area: what the honest ones wait for, and what the process holds.

The honest ones are alone at first, so that their waits can be compared. Writes its figures as JSON at the end.
"""

import ssl
import statistics
import time
import traceback
from collections import Counter

import anyio
from cdn import Chooser, policy_of, right_bodies
from meter import Meter, run_worker

from staging import Limits, StagedFile, StagingArea

HONEST = 4  # senders, each with a message after the other
LIMITS = Limits(timeout=30, idle_timeout=10, retries=1)
AREA_MB = 350  # seven links that declare 50 MB would fill it
PATIENCE = 40.0  # seconds that a hostile message may take
ATTACKS = {  # fault of the server -> links in one message, all of them different
    "slow_drip": 200,
    "declared": 24,
    "one_byte_chunks": 8,
    "stall": 24,
}
COPIES = 24  # of one link that stalls
HUGE = "&ex=z" * 400_000  # 2 MB, in an address


class Hostile:
    """The senders of one process, and what the honest ones saw."""

    def __init__(self, root, ports, trust, seconds, backend):
        self.root, self.policy, self.seconds = root, policy_of(ports), seconds
        self.tls = ssl.create_default_context(cafile=trust)
        self.choosers = [Chooser(ports, f"{backend}{number}") for number in range(HONEST)]
        self.attacker = Chooser(ports, "attacker")
        self.counts, self.reasons, self.escaped, self.suffered = Counter(), Counter(), [], Counter()
        self.waits = {"alone": [], "beside": []}
        self.period = "alone"
        self.meter = Meter(warm_up=seconds / 2)

    async def run(self):
        """Let the honest ones be alone for a tenth of the time, then do everything."""
        limits = {"limits": LIMITS, "policy": self.policy, "tls": self.tls, "max_total_mb": AREA_MB}
        async with StagingArea(self.root, **limits) as self.area, anyio.create_task_group() as group:
            group.start_soon(self.sample)
            for chooser in self.choosers:
                group.start_soon(self.honest, chooser)
            await anyio.sleep(self.seconds / 10)
            self.period = "beside"
            for attack in (*(self.links(name, count) for name, count in ATTACKS.items()), self.copies, self.addresses):
                group.start_soon(self.attack, attack)
            await anyio.sleep(self.seconds * 9 / 10)
            group.cancel_scope.cancel()

    async def honest(self, chooser):
        """Stage a message of one to three ordinary files, look at them, and think for a moment."""
        while True:
            wanted = [chooser.one("good") for _ in range(chooser.dice.randint(1, 3))]
            period, began = self.period, time.monotonic()
            try:
                async with self.area.stage() as stage:
                    outcomes = await stage.download(url for url, *_ in wanted)
                    self.waits[period].append(time.monotonic() - began)
                    for want, outcome in zip(wanted, outcomes, strict=True):
                        self.judge(want, outcome)
                self.counts["stages"] += 1
                self.counts["leftovers"] += bool(stage.leftovers) or stage.directory.exists()
            except Exception:  # noqa: BLE001  # nothing may come out of a stage: that is what is tested
                self.escape()
            await anyio.sleep(chooser.dice.random() / 2)

    def judge(self, want, outcome):
        self.counts["downloads"] += 1
        if not isinstance(outcome, StagedFile):
            self.counts["unexpected reasons"] += 1
            self.suffered[f"{outcome.reason}: {outcome.detail}"] += 1
        elif outcome.path.read_bytes() not in right_bodies(*want[1:]):
            self.counts["wrong files"] += 1

    def links(self, name, count):
        return lambda: [self.attacker.one(name)[0] for _ in range(count)]

    def copies(self):
        return [self.attacker.one("stall")[0]] * COPIES

    def addresses(self):
        return [self.attacker.one("good")[0] + HUGE]

    async def attack(self, links):
        """Send one hostile message after the other."""
        while True:
            try:
                async with self.area.stage() as stage:
                    for outcome in await stage.download(links(), timeout=PATIENCE):
                        self.reasons[getattr(outcome, "reason", "staged")] += 1
                self.counts["hostile messages"] += 1
            except Exception:  # noqa: BLE001  # the same
                self.escape()
            await anyio.sleep(0.2)

    def escape(self):
        self.counts["escaped"] += 1
        self.escaped = [*self.escaped, traceback.format_exc()][:5]

    async def sample(self):
        while True:
            self.meter.sample()
            await anyio.sleep(5)

    def report(self):
        waits = {period: figures(seen) for period, seen in self.waits.items()}
        return {
            **self.counts, "outcomes": dict(self.reasons.most_common()), "waits": waits,
            "not as expected": dict(self.suffered.most_common(30)), "exceptions": self.escaped, **self.meter.report(),
        }  # fmt: skip


def figures(waits):
    """Return how many messages there were, and the median, the hundredth worst and the worst wait."""
    if len(waits) < 2:
        return {"messages": len(waits)}
    found = {"median": statistics.median(waits), "of a hundred": statistics.quantiles(waits, n=100)[-1]}
    return {"messages": len(waits), **found, "worst": max(waits)}


if __name__ == "__main__":
    run_worker(Hostile)
