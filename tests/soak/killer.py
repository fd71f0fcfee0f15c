"""A fork server: makes workers that stage under the shared root, kills each at a random instant, and sweeps after them.

After each sweep no workspace may be there that nobody holds. Who holds what is read from the kernel (/proc/locks), not
asked with a lock of our own, which would disturb those that are just being made.
"""

import contextlib
import json
import logging
import os
import random
import select
import signal
import ssl
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import trio  # noqa: F401  # once here, not in every child
from anyio._backends import _asyncio, _trio  # noqa: F401  # the same
from cdn import LIMITS, Chooser, policy_of, right_bodies

from staging import AttachmentStage, StagedFile, sweep

WORKERS = 2  # at once
PAUSE = 0.25  # seconds between two kills: the machine is shared
PATIENCE = 5.0  # seconds for a workspace that nobody holds to be taken, or to be held


async def work(root, ports, tls, seed, pipe):
    """Stage, look at it, litter, leave; until killed. Says what it does, a letter each."""
    chooser, policy = Chooser(ports, seed), policy_of(ports)
    while True:
        async with AttachmentStage(root, limits=LIMITS, policy=policy, tls=tls) as stage:
            os.write(pipe, b"e")
            wanted = [chooser.one(chooser.dice.choice((None, "good", "good", "drip"))) for _ in range(3)]
            outcomes = await stage.download(url for url, *_ in wanted)
            os.write(pipe, b"d")
            staged = [
                (o.path, want) for o, (_, *want) in zip(outcomes, wanted, strict=True) if isinstance(o, StagedFile)
            ]
            right = [found for found in staged if _is_right(*found)]
            os.write(pipe, b"W" * (len(staged) - len(right)))
            if chooser.dice.random() < 0.3:
                _litter(stage.directory)
            await anyio.sleep(0.05 * chooser.dice.random())
            os.write(pipe, b"H" * sum(not _is_right(*found) for found in right))
        os.write(pipe, b"l")


def _is_right(path, want):
    try:
        return path.read_bytes() in right_bodies(*want)
    except OSError:
        return False


def _litter(directory):
    """Leave what a body may leave: a deep tree, a locked directory, a link to somewhere else."""
    place = directory
    with contextlib.suppress(OSError):
        for _ in range(30):
            place /= "deep"
            place.mkdir()
            (place / "file").write_bytes(b"x")
        (directory / "link").symlink_to("/etc")
        (directory / "closed").mkdir(mode=0)


class Killer:
    """Forks, kills, sweeps, looks."""

    def __init__(self, root, ports, trust, seconds):
        self.root, self.ports, self.end = root, ports, time.monotonic() + seconds
        self.tls = ssl.create_default_context(cafile=trust)
        self.dice = random.Random()
        self.counts, self.moments, self.left = Counter(), Counter(), []

    def run(self):
        workers = [self.fork() for _ in range(WORKERS)]
        while time.monotonic() < self.end:
            self.kill(*workers.pop(0))
            workers.append(self.fork())
            time.sleep(PAUSE)
        for worker in workers:
            self.kill(*worker)

    def fork(self):
        heard, said = os.pipe()
        seed = self.dice.getrandbits(40)
        pid = os.fork()
        if pid:
            os.close(said)
            return pid, heard
        try:
            os.close(heard)
            anyio.run(work, self.root, self.ports, self.tls, seed, said, backend=("asyncio", "trio")[seed % 2])
        finally:
            os._exit(1)  # reached only if something came out of a stage

    def kill(self, pid, heard):
        if self.dice.random() < 0.8:
            select.select([heard], [], [], 5)  # mostly when it has begun
        time.sleep(self.dice.choice((0, 0.01, 0.03, 0.1, 0.2)) * self.dice.random())
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        said = os.read(heard, 65_536)
        os.close(heard)
        self.counts["kills" if os.WIFSIGNALED(status) else "workers that ended by themselves"] += 1
        self.counts["wrong files"] += said.count(b"W")
        self.counts["living stages harmed"] += said.count(b"H")
        self.moments[
            {b"": "before a stage", b"e": "downloading", b"d": "holding"}.get(said[-1:], "removing, or between stages")
        ] += 1
        self.counts["orphans"] += len(self.unheld())
        self.counts["swept"] += sweep(self.root)
        self.look()

    def look(self):
        """Whatever nobody holds after a sweep must be a stage that is just being made or removed."""
        began, suspects = time.monotonic(), self.unheld()
        while suspects and time.monotonic() - began < PATIENCE:
            time.sleep(0.05)
            suspects &= self.unheld()
        self.counts["left after a sweep"] += len(suspects)
        self.left = [*self.left, *suspects][:20]

    def unheld(self):
        """Return the names of workspaces without a living owner."""
        locks = Path("/proc/locks").read_text()
        held = {int(line.split()[5].rpartition(":")[2]) for line in locks.splitlines() if " FLOCK " in line}
        found = set()
        for entry in os.scandir(self.root):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_ino not in held:
                    found.add(entry.name)
        return found

    def report(self):
        names = ("kills", "workers that ended by themselves", "orphans", "swept", "left after a sweep")
        counts = {name: self.counts[name] for name in (*names, "wrong files", "living stages harmed")}
        return {**counts, "killed while": dict(self.moments.most_common()), "left": self.left}


def main():
    root, ports, trust, seconds, into = sys.argv[1:]
    logging.getLogger("staging").setLevel(logging.CRITICAL)
    killer = Killer(Path(root), json.loads(ports), trust, float(seconds))
    killer.run()
    Path(into).write_text(json.dumps(killer.report()))


if __name__ == "__main__":
    main()
