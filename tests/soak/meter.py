"""Memory and descriptors of this process over time, and how fast they grow: least squares after a warm-up.

Memory is counted three times, to tell a leak from what the allocators keep: what is resident, the bytes that the C
library has given out, and the number of Python's own blocks. Only if one of the last two grows is something kept.
"""

import ctypes
import gc
import json
import logging
import os
import sys
import time
from pathlib import Path

import anyio

COLUMNS = {  # what is sampled -> its unit
    "memory_mb": "MB resident",
    "descriptors": "descriptors",
    "given_mb": "MB given out by the C library",
    "blocks": "thousand blocks of Python's",
}
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1_048_576


def resident_mb():
    """Return the resident set of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB


class _Given(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
    )]  # fmt: skip  # mallinfo(3)


def given_mb():
    """Return what the C library has given out and not got back; 0 where it does not tell."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        return 0.0
    mallinfo.restype = _Given
    found = mallinfo()
    return (found.uordblks + found.hblkhd) / 1_048_576


def descriptors():
    """Return how many descriptors are open."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208  # the listing's own is one


class Meter:
    """Samples, and the line through them.

    Args:
        warm_up: seconds at the beginning that do not count: imports, pools and caches fill.
    """

    def __init__(self, warm_up):
        self.began = time.monotonic()
        self.warm_up = warm_up
        self.samples = []

    def sample(self):
        gc.collect()  # garbage that the collector has not come to is no leak
        blocks = sys.getallocatedblocks() / 1000
        self.samples.append((time.monotonic() - self.began, resident_mb(), descriptors(), given_mb(), blocks))

    def report(self):
        """Return first, last and highest values after the warm-up, and the growth an hour."""
        late = [sample for sample in self.samples if sample[0] >= self.warm_up] or self.samples
        found = {"samples": len(late), "series": [[round(value, 1) for value in sample] for sample in self.samples]}
        for column, name in enumerate(COLUMNS, 1):
            values = [sample[column] for sample in late]
            slope = slope_per_hour([(sample[0], sample[column]) for sample in late])
            found[name] = {
                "first": round(values[0], 1), "last": round(values[-1], 1), "highest": round(max(values), 1),
                "slope_per_hour": round(slope, 2),
            }  # fmt: skip
        return found


def slope_per_hour(points):
    """Return the slope of the least-squares line through (seconds, value), an hour."""
    count = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / max(count, 1) for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 3600 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def run_worker(kind):
    """Run a worker of this kind as its command line says, and write its report."""
    root, ports, trust, seconds, backend, into = sys.argv[1:]
    logging.getLogger("staging").setLevel(logging.CRITICAL)
    worker = kind(Path(root), json.loads(ports), trust, float(seconds), backend)
    anyio.run(worker.run, backend=backend)
    Path(into).write_text(json.dumps(worker.report()))
