"""One process and one event loop that lives for the whole soak: calm, cancelled and long-living stages under one root.

Everything that is staged is compared with the bytes that were served, and the files of living stages again and again
while other processes on the same root are killed. Writes its figures as JSON at the end.
"""

import asyncio
import ssl
import time
import traceback
from collections import Counter

import anyio
from cdn import BUSY, FAULTS, LIMITS, Chooser, policy_of, right_bodies
from meter import Meter, run_worker

from staging import AttachmentStage, StagedFile, StagingArea

SAMPLE_SECONDS = 5
CALM, CANCELLED, LIVING = 2, 4, 2  # tasks of each kind


class Steady:
    """The tasks of one process, and what they saw."""

    def __init__(self, root, ports, trust, seconds, seed):
        self.native = seed == "asyncio"
        self.root, self.policy, self.seconds, self.seed = root, policy_of(ports), seconds, seed
        self.tls = ssl.create_default_context(cafile=trust)
        self.end = time.monotonic() + seconds
        self.ports = ports
        self.counts, self.outcomes, self.wrong, self.escaped, self.left = Counter(), Counter(), [], [], []
        self.unexpected = Counter()
        self.meter = Meter(warm_up=min(180, seconds / 4))

    async def run(self):
        """Do everything until the time is over."""
        options = {"limits": LIMITS, "policy": self.policy, "tls": self.tls}
        async with StagingArea(self.root, **options) as area, anyio.create_task_group() as group:
            self.stages = (area.stage, lambda: AttachmentStage(self.root, **options))
            for kind, times in ((self.calm, CALM), (self.cancelled, CANCELLED), (self.living, LIVING)):
                for number in range(times):
                    group.start_soon(self.again_and_again, kind, Chooser(self.ports, f"{self.seed}{kind}{number}"))
            group.start_soon(self.hold, Chooser(self.ports, f"{self.seed}holder"), self.seconds)
            group.start_soon(self.sample)

    @property
    def over(self):
        return time.monotonic() > self.end

    async def again_and_again(self, kind, chooser):
        while not self.over:
            try:
                await kind(chooser)
            except Exception:  # noqa: BLE001  # nothing may come out of a stage: that is what is tested
                self.counts["escaped"] += 1
                self.escaped = [*self.escaped, traceback.format_exc()][:5]

    async def calm(self, chooser):
        """A stage that nobody disturbs: every outcome is judged."""
        async with chooser.dice.choice(self.stages)() as stage:
            wanted = chooser.several()
            outcomes = await stage.download(url for url, *_ in wanted)
            stage.context()
            for want, outcome in zip(wanted, outcomes, strict=True):
                self.judge(want, outcome)
        self.require_gone(stage)

    async def cancelled(self, chooser):
        """A stage that is cancelled at a moment of its own: by a scope of anyio's, or by asyncio itself."""
        seconds = chooser.dice.choice((0, 0.002, 0.01, 0.03, 0.1, 0.5)) * chooser.dice.random()
        if self.native and chooser.dice.random() < 0.5:
            try:
                async with asyncio.timeout(seconds):
                    await self.until_cancelled(chooser)
            except TimeoutError:
                self.counts["cancellations by asyncio"] += 1
            else:
                self.counts["not cancelled in time"] += 1
            return
        with anyio.move_on_after(seconds) as scope:
            await self.until_cancelled(chooser)
        self.counts["cancellations" if scope.cancelled_caught else "not cancelled in time"] += 1

    async def until_cancelled(self, chooser):
        stage, wanted = chooser.dice.choice(self.stages)(), chooser.several()
        entered = False
        try:
            async with stage:
                entered = True
                outcomes = await stage.download(url for url, *_ in wanted)
                for want, outcome in zip(wanted, outcomes, strict=True):
                    self.judge(want, outcome)
                await anyio.sleep(0.01)
        finally:
            if entered:
                self.require_gone(stage)

    async def living(self, chooser):
        """A stage that lives for a while beside the dying, or as long as the soak."""
        await self.hold(chooser, chooser.dice.uniform(3, 40))

    async def hold(self, chooser, seconds):
        end = min(self.end, time.monotonic() + seconds)
        async with chooser.dice.choice(self.stages)() as stage:
            wanted = [chooser.one("good") for _ in range(4)]
            outcomes = await stage.download(url for url, *_ in wanted)
            right = [found for found in zip(wanted, outcomes, strict=True) if self.judge(*found)]
            while time.monotonic() < end:
                self.counts["looks at living stages"] += 1
                self.counts["living stages harmed"] += sum(not self.is_right(*found) for found in right)
                await anyio.sleep(0.5)
            self.counts["living stages"] += 1
        self.require_gone(stage)

    def judge(self, want, outcome):
        """Count an outcome, and return whether it is a right file."""
        name = want[1]
        became = "staged" if isinstance(outcome, StagedFile) else outcome.reason
        self.counts["downloads"] += 1
        self.outcomes[became] += 1
        if became == "staged":
            if "staged" not in FAULTS[name].allowed or not self.is_right(want, outcome):
                self.counts["wrong files"] += 1
                self.wrong = [*self.wrong, f"{want}: {outcome}"][:20]
                return False
        elif became not in FAULTS[name].allowed:
            self.counts["late" if became in BUSY else "unexpected reasons"] += 1
            self.unexpected[f"{name}: {became}: {outcome.detail}"] += 1
        return became == "staged"

    def is_right(self, want, outcome):
        try:
            return outcome.path.read_bytes() in right_bodies(*want[1:])
        except OSError:
            return False

    def require_gone(self, stage):
        self.counts["stages"] += 1
        if stage.leftovers or stage.directory.exists():
            self.counts["leftovers"] += 1
            self.left = [*self.left, f"{stage.directory}: {stage.leftovers or 'still there'}"][:20]

    async def sample(self):
        while not self.over:
            self.meter.sample()
            await anyio.sleep(SAMPLE_SECONDS)

    def report(self):
        return {
            **{name: self.counts[name] for name in NAMES},
            "outcomes": dict(self.outcomes.most_common()), "not as expected": dict(self.unexpected.most_common(30)),
            "wrong": self.wrong, "left": self.left, "exceptions": self.escaped, **self.meter.report(),
        }  # fmt: skip


NAMES = (
    "downloads", "wrong files", "unexpected reasons", "late", "escaped", "stages", "cancellations",
    "cancellations by asyncio",
    "not cancelled in time", "living stages", "looks at living stages", "living stages harmed", "leftovers",
)  # fmt: skip


if __name__ == "__main__":
    run_worker(Steady)
