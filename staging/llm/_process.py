"""The converter's process, seen from outside: started, bounded, and gone when the call returns."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import anyio
import anyio.abc
import anyio.lowlevel

from staging.llm._files import UnreadableError, error_code
from staging.llm._worker import CPU_SECONDS, REASONS

DEADLINE = 8.0  # seconds of wall time for one file, the interpreter's start included
BROKE = "reading it broke the converter"
SCRIPT = Path(__file__).with_name("_worker.py")

_slots: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("_slots")


async def convert(source: IO[bytes], take: Callable[[bytes], None], limit: int, *task: str) -> None:
    """Run one task of `_worker` over `source`; hand what it writes to `take`, piece by piece.

    The process is gone when this returns, raises or is cancelled. At most one a processor, and never fewer than two,
    run at once on an event loop; the deadline starts when a place is free.

    Args:
        source: an open regular file; the process reads it by its descriptor, so the path is looked up once.
        take: called with every piece of output; not more than 64 KB at once.
        limit: bytes of output that are accepted.
        task: the task and its arguments.

    Raises:
        UnreadableError: if the file is refused, or costs more than its bounds.
    """
    async with _limiter():
        with anyio.move_on_after(DEADLINE):
            try:
                status = await _run(source, take, limit, task)
            except OSError as error:
                raise UnreadableError(f"the converter cannot be run ({error_code(error)})") from None
            _judge(status)
            return
    raise UnreadableError(f"reading it took longer than {DEADLINE:g} seconds")


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _slots.get()
    except LookupError:
        _slots.set(anyio.CapacityLimiter(max(2, os.cpu_count() or 1)))
        return _slots.get()


async def _run(source: IO[bytes], take: Callable[[bytes], None], limit: int, task: tuple[str, ...]) -> int:
    async with await anyio.open_process(
        _command(task), stdin=source, stderr=subprocess.DEVNULL, env=_environment()
    ) as process:
        try:
            await _drain(process, take, limit)
            return await process.wait()
        finally:
            _kill(process)  # whatever happened: leaving the block then waits for a process that is already dying


async def _drain(process: anyio.abc.Process, take: Callable[[bytes], None], limit: int) -> None:
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    async for piece in process.stdout:
        limit -= len(piece)
        if limit < 0:
            raise UnreadableError("it expands to far more than its size")
        take(piece)


def _kill(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.kill()


def _command(task: tuple[str, ...]) -> list[str]:
    if not sys.executable or getattr(sys, "frozen", False):  # a frozen program would start itself again
        raise UnreadableError("reading it needs a Python interpreter of its own, and this program has none")
    return [sys.executable, "-S", "-P", os.fspath(SCRIPT), *task]


def _environment() -> dict[str, str]:
    """Return what an interpreter needs and no more: a converter that is taken over finds no secrets here."""
    needed = {name: os.environ[name] for name in ("SYSTEMROOT", "PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ}
    return {**needed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _judge(status: int) -> None:
    if status == 0:
        return
    if status in REASONS:
        raise UnreadableError(REASONS[status])
    if status == -getattr(signal, "SIGXCPU", 0):
        raise UnreadableError(f"reading it took longer than {CPU_SECONDS} seconds of processor time")
    raise UnreadableError(BROKE)
