"""Start the command of `staging run` on its files.

The command inherits the descriptor of the lease. So the lease lives as long as the command and its children do, also
after `staging` itself was killed: no sweep takes files that are in use. When the last of them ends, a sweep does.
"""

import errno
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

from staging import AttachmentStage
from staging._cli.orders import HEADERS_VARIABLE
from staging._cli.output import complain

_PLACE = re.compile(r"((?:-[^={}\s]+=)?)\{\}")  # of the paths in a command: {} or --option={}
_DESCRIPTORS = "/dev/fd"  # lists a process's own, on Linux and macOS


async def start(command: Sequence[str], stage: AttachmentStage) -> Process:
    """Start a command on the staged files, with the context in its environment.

    Its first word stays as it is, since a file that was sent must not be executed. Only ``{}`` and ``--option={}`` are
    replaced by the files. Other braces belong to the code of shells, of jq and of Python, and no name that a stranger
    chose may get into that code. A context that the system refuses for its length is left out, with a line that says
    so.

    Raises:
        OSError: if it cannot be started.
    """
    arguments = [command[0]]
    for word in command[1:]:
        place = _PLACE.fullmatch(word)
        arguments += [word] if place is None else [f"{place[1]}{path}" for path in stage.paths]
    context = stage.context()
    own = {"STAGING_DIR": str(stage.directory)}
    try:
        return await _open(arguments, {**own, "STAGING_CONTEXT": context}, stage.directory)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
    process = await _open(arguments, own, stage.directory)
    complain(f"STAGING_CONTEXT is left out: {len(context.encode())} bytes are too long for this system")
    return process


async def _open(arguments: list[str], own: dict[str, str], directory: Path) -> Process:
    inherited = {name: value for name, value in os.environ.items() if name not in {"STAGING_CONTEXT", HEADERS_VARIABLE}}
    if sys.platform == "win32":
        return await anyio.open_process(arguments, stdin=None, stdout=None, stderr=None, env={**inherited, **own})
    environment: Any = {**inherited, **{name: value.encode() for name, value in own.items()}}  # UTF-8 in every locale
    return await anyio.open_process(
        arguments, stdin=None, stdout=None, stderr=None, env=environment, pass_fds=_descriptors_of(directory)
    )


def _descriptors_of(directory: Path) -> list[int]:
    """Return this process's descriptors of the workspace, whose lock is the lease."""
    place, found = directory.stat(), []
    for name in os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ():  # noqa: PTH112, PTH208  # numbers
        try:
            if os.path.samestat(os.fstat(int(name)), place):
                found.append(int(name))
        except OSError:
            continue  # the one that listed them is closed by now
    return found


def why_not_found(command: str) -> OSError | None:
    """Return why the command will not start, if that is certain.

    So it is told before anything is downloaded.
    """
    if shutil.which(command) is not None:
        return None
    code = errno.EACCES if os.sep in command and Path(command).exists() else errno.ENOENT
    return OSError(code, os.strerror(code))


def cannot_start(command: str, error: OSError) -> int:
    """Say why the command cannot be started.

    The result is the exit code that shells use for it.
    """
    if isinstance(error, FileNotFoundError):
        complain(f"{command}: command not found")
        return 127
    hint = "; stage fewer files at once" if error.errno == errno.E2BIG else ""
    complain(f"{command} cannot be started: {error.strerror}{hint}")
    return 126
