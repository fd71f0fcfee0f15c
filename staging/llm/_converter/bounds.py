"""Bound a converter's memory and processor time, and let it write no file."""

import contextlib
import importlib
import os
from typing import Any

resource: Any = None  # not on Windows; loaded here, since each converter would take 2 ms to find it
with contextlib.suppress(ImportError):
    resource = importlib.import_module("resource")

MB = 1_048_576
CPU_SECONDS = 7
"""Processor seconds after which the kernel ends the process (RLIMIT_CPU)."""


def limit_resources(more: int) -> None:
    """Bound this process, where the system can.

    It may use `more` bytes of data and a number of CPU seconds. It may write no file and no core.

    RLIMIT_DATA counts private memory only (Linux 4.7), so it is near to what is really used. RLIMIT_AS is a second
    limit, wide enough for the libraries' own mappings.
    """
    if resource is None:
        return
    for name, value in (
        ("RLIMIT_DATA", data_in_use() + more),
        ("RLIMIT_AS", data_in_use() + more + 512 * MB),
        ("RLIMIT_CPU", CPU_SECONDS),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
    ):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value + (name == "RLIMIT_CPU")))


def data_in_use() -> int:
    """Return this process's bytes of data (proc_pid_statm(5)).

    Where the system does not tell, it is a usual number.
    """
    try:
        with open("/proc/self/statm", "rb") as numbers:  # noqa: PTH123  # pathlib costs 10 ms to import
            return int(numbers.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 32 * MB
