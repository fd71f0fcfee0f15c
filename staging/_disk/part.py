"""Bytes on their way to a file.

Theory of operation. A part file has a hidden name until it is complete, and gets its final one in one step. One worker
at a time writes it. When the file is given up, or the workspace ends, while a worker is inside, its descriptor stays
open, and it removes what it has made at its end.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from staging._claims.media import HEAD_BYTES, TAIL_BYTES, wants_tail
from staging._disk.errors import storage_error
from staging._disk.moving import copy_piece
from staging._disk.root import give_to_group
from staging._disk.workspace import Workspace
from staging._errors import WorkspaceError

P = ParamSpec("P")
T = TypeVar("T")


def _turn(method: Callable[Concatenate["PartFile", P], T]) -> Callable[Concatenate["PartFile", P], T]:
    """Make the method the part file's only worker while it runs.

    If the part file is given up meanwhile, the worker cleans up at its end.
    """

    @wraps(method)
    def run(part: "PartFile", /, *args: P.args, **kwargs: P.kwargs) -> T:
        part.enter()
        try:
            return method(part, *args, **kwargs)
        except WorkspaceError:
            raise
        except OSError as error:
            raise storage_error(error) from error
        finally:
            part.leave()

    return run


class PartFile:
    """A file that is hidden until it is complete.

    If it is given up, it is deleted. `append`, `copy_from`, `restart` and `commit` block and are called by one worker
    thread at a time. `discard` does not wait and may be called at any time. If a worker is inside then, it cleans up as
    it leaves (deer-flow#4268). The same holds when the workspace has ended meanwhile.

    Args:
        workspace: where it lies; nothing is opened yet.
        name: a result of `safe_name`, which it will probably have. It is claimed now, so that equal names are numbered
            in the order in which part files are made, whichever is complete first. If the file is given up, another
            can have the name.
        min_free: bytes that must remain free on the disk.

    Attributes:
        size: bytes written.
    """

    __slots__ = (
        "_busy", "_claimed", "_fd", "_head", "_min_free", "_name", "_named", "_over", "_wanted", "_workspace", "size",
    )  # fmt: skip

    def __init__(self, workspace: Workspace, name: str = "", *, min_free: int = 0) -> None:
        self._workspace = workspace
        self._wanted = name
        self._claimed = workspace.claim(name) if name else ""
        self._min_free = min_free
        self._fd = -1
        self._name = ""
        self._head = b""
        self._busy = self._named = self._over = False
        self.size = 0

    @_turn
    def append(self, *views: bytes | bytearray | memoryview) -> None:
        """Write all of `views`.

        Raises:
            WorkspaceError: ``disk_full`` or ``storage``; the part file is of no further use.
        """
        self._write(*views)

    @_turn
    def copy_from(self, descriptor: int, size: int) -> int:
        """Append up to `size` bytes of an open file and return their number.

        The number is 0 at the end of that file. Reading starts at its current position. The kernel copies where it can,
        so the bytes do not pass through this process.

        Args:
            descriptor: a file that is open for reading, as `open_regular` returns it; it stays open.
            size: at most so many bytes; fewer may come before the end.

        Raises:
            WorkspaceError: ``disk_full`` or ``storage``; the part file is of no further use.
        """
        if self._min_free:
            self._workspace.require_space(size, self._min_free)
        copied = copy_piece(descriptor, self._opened(), size)
        if len(self._head) < HEAD_BYTES:
            self._head += self._read(len(self._head), min(copied, HEAD_BYTES - len(self._head)))
            os.lseek(self._fd, 0, os.SEEK_END)
        self.size += copied
        return copied

    @_turn
    def restart(self) -> None:
        """Forget every byte, so that the next `append` starts anew.

        Raises:
            WorkspaceError: ``storage``.
        """
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._head = b""
        self.size = 0

    @_turn
    def commit(self, name: str, *rest: bytes | bytearray | memoryview) -> Path:
        """Give the file its final name in one step, and return its path.

        Without any bytes, the file is empty. The name is taken only if nothing has it; otherwise its next free form is.

        Args:
            name: a result of `safe_name`.
            rest: its last bytes, appended first.

        Raises:
            WorkspaceError: ``disk_full`` or ``storage``.
        """
        if rest:
            self._write(*rest)
        descriptor = self._opened()
        if self._workspace.group is not None:
            give_to_group(descriptor, self._workspace.group, 0o640)
        self._fd = -1
        os.close(descriptor)  # first: quotas and network disks report here, and Windows renames no open file
        free = self._claimed if name == self._wanted else self._workspace.claim(name)
        self._name = self._workspace.give_name(self._name, free)
        self._named = True
        return Path(self._workspace.directory, self._name)

    @_turn
    def ends(self) -> tuple[bytes, bytes]:
        """Return the first and the last bytes, for `observe`.

        The last ones are read only where the first ones need them.

        Raises:
            WorkspaceError: ``storage``.
        """
        wanted = wants_tail(self._head)
        return self._head, self._read(max(0, self.size - TAIL_BYTES), TAIL_BYTES) if wanted else b""

    def discard(self) -> None:
        """Delete the file, under its final name too.

        Never waits, never raises.
        """
        if os.getpid() != self._workspace.owner:
            return
        with self._workspace.lock:
            self._over = True
            busy = self._busy
        if not busy:
            self._let_go()

    def enter(self) -> None:
        """Reserve the part file for one worker.

        Raises:
            WorkspaceError: if the part file was given up, or has its name.
        """
        self._workspace.enter()
        with self._workspace.lock:
            refused = self._over or self._named
            self._busy = self._busy or not refused
        if refused:
            self._workspace.leave()
            raise WorkspaceError("storage", "the part file was given up or has its name")

    def leave(self) -> None:
        """Free the part file, or clean it up if given up.

        One that was given up stays busy, so that no other thread cleans it up too.
        """
        with self._workspace.lock:
            self._over = over = self._over or self._workspace.over  # its end saw no file of a worker that hung
            self._busy = over
        if over:
            self._let_go()
        self._workspace.leave()

    def _write(self, *views: bytes | bytearray | memoryview) -> None:
        data = memoryview(views[0] if len(views) == 1 else b"".join(views)).cast("B")
        if self._min_free:
            self._workspace.require_space(len(data), self._min_free)
        descriptor, left = self._opened(), data
        while left:
            left = left[os.write(descriptor, left) :]
        self.size += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]

    def _opened(self) -> int:
        if self._fd < 0:
            self._name, self._fd = self._workspace.next_part()
        return self._fd

    def _read(self, offset: int, size: int) -> bytes:
        os.lseek(self._fd, offset, os.SEEK_SET)
        return os.read(self._fd, size)

    def _let_go(self) -> None:
        descriptor, self._fd = self._fd, -1
        name, self._name = self._name, ""
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)
        if name:
            self._workspace.unlink(name)
        claimed, self._claimed = self._claimed, ""
        if claimed:
            self._workspace.release(claimed)
