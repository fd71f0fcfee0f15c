"""Start and bound the converter's process from outside.

The process is gone when the call returns.
"""

import contextlib
import errno
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.abc
import anyio.lowlevel

from staging._threads import in_thread, outlast
from staging.llm._converter.bounds import CPU_SECONDS
from staging.llm._converter.output import CANNOT_FORK, MEMORY, REASONS
from staging.llm._converter.tasks import memory_of
from staging.llm._files import UnreadableError, error_code
from staging.llm._forks import run_forked, server_of_loop
from staging.llm._frames import BROKE, Frames

DEADLINE = 30.0  # seconds of wall time for one file, however busy the machine is; most end by `CPU_SECONDS`
SCRIPT = Path(__file__).parent / "_converter" / "__main__.py"

_slots: anyio.lowlevel.RunVar[anyio.CapacityLimiter | None] = anyio.lowlevel.RunVar("_slots")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a conversion gave besides its text.

    Attributes:
        remarks: what the reader says about the text, each on one line.
        data: whole things of bytes, such as pictures.
    """

    remarks: tuple[str, ...] = ()
    data: tuple[bytes, ...] = ()


def _ignore(_: str) -> None:
    """Drop text that nothing was asked of."""


async def convert(
    source: IO[bytes], task: str, *, limit: int, take: Callable[[str], None] = _ignore, **options: object
) -> Answer:
    """Run one task of the converter over `source`.

    Its text goes to `take`, piece by piece.

    The process is gone when this returns, raises or is cancelled. At most one a processor, and never fewer than two,
    run at once on an event loop. The deadline starts when a place is free. The answer may be anything, since an
    attacker may control the converter. Its remarks are on one line, but no more is known about them.

    Args:
        source: an open regular file; the process reads it by its descriptor, so the path is looked up once.
        task: a key of `TASKS`.
        limit: bytes of output that are accepted.
        take: called with every piece of text.
        options: the reader's, as JSON has them.

    Raises:
        UnreadableError: if the file is refused, or costs more than its bounds.
    """
    frames = Frames(take, limit)
    if (slots := _slots.get(None)) is None:
        _slots.set(slots := anyio.CapacityLimiter(max(2, os.cpu_count() or 1)))
    async with converters(), slots:  # also those that wait hold the process: it serves all of them
        with anyio.move_on_after(DEADLINE):
            try:
                status = await _run(source, frames, task, options)
            except OSError as error:
                raise UnreadableError(_not_run(error)) from None
            _judge(status, frames, task)
            return Answer(tuple(frames.remarks), tuple(frames.data))
    _stop(frames, f"{DEADLINE:g} seconds")
    return Answer(tuple(frames.remarks))


@contextlib.asynccontextmanager
async def converters() -> AsyncIterator[None]:
    """Let all conversions of the block share one process.

    It has the libraries loaded, and is gone after the last conversion.
    """
    async with server_of_loop().held():
        yield


async def _run(source: IO[bytes], frames: Frames, task: str, options: dict[str, object]) -> int:
    if not sys.executable or getattr(sys, "frozen", False):  # a frozen program would start itself again
        raise UnreadableError("reading it needs a Python interpreter of its own, and this program has none")
    if forks():
        server = server_of_loop()
        await in_thread(server.start, [*_python(), "--serve"], _environment())
        return await run_forked(server, source, frames, task, options)
    session: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
    command = [*_python(), task, json.dumps(options)]  # an interpreter of its own for the one job
    process = await anyio.open_process(command, stdin=source, stderr=subprocess.DEVNULL, env=_environment(), **session)
    try:
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        async for piece in process.stdout:
            frames.feed(piece)
        return await process.wait()
    finally:
        _kill(process)
        await outlast(process.aclose)


@functools.cache
def forks() -> bool:
    """Tell whether converters are forked from one process.

    They are on Linux from 5.3, unless a container forbids pidfd_open.
    """
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
    return True


def _kill(process: anyio.abc.Process) -> None:
    """Kill a process with all that it started.

    It may have ended while its group still runs.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()


def _python() -> list[str]:
    return [sys.executable, "-S", "-P", os.fspath(SCRIPT)]


def _environment() -> dict[str, str]:
    """Return what an interpreter needs and no more.

    A converter that an attacker controls finds no secrets in it.
    """
    needed = {name: os.environ[name] for name in ("SYSTEMROOT", "PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ}
    needed["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # pixels in pages of 2 MB: a seventh less CPU for a photo
    return {**needed, "PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))}


def _judge(status: int, frames: Frames, task: str) -> None:
    if frames.refusal:
        raise UnreadableError(frames.refusal)
    if status >= CANNOT_FORK:
        raise UnreadableError(_not_run(OSError(status - CANNOT_FORK, "")))
    if status == -getattr(signal, "SIGXCPU", 0):
        _stop(frames, f"{CPU_SECONDS} seconds of processor time")
    elif status == -signal.SIGABRT:  # PDFium, and any library in C++, aborts when an allocation is refused
        if not frames.cut(memory_of(task)):
            raise UnreadableError(REASONS[MEMORY])
    elif status == -getattr(signal, "SIGKILL", 0):  # by none of our bounds
        raise UnreadableError("the converter was killed, perhaps because the machine has no memory left")
    elif status != 0:
        raise UnreadableError(BROKE)
    else:
        frames.end()


def _stop(frames: Frames, after: str) -> None:
    """End a text where it is. Without any, it is refused."""
    if not frames.cut(after):
        raise UnreadableError(f"reading it took longer than {after}")


def _not_run(error: OSError) -> str:
    return f"the converter cannot be run ({error_code(error)})"
