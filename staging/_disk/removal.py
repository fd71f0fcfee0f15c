"""Remove a workspace by its descriptor, with everything in it.

Theory of operation. Removal never trusts a path. The workspace is emptied through the descriptor that was opened when
it was made. So no symbolic link and no other directory in its place is touched (CVE-2026-3888, CVE-2025-46415, CPython
gh-157579). Directories below are moved up to the top before they are emptied, so depth costs neither recursion nor
descriptors. A removal can be stopped between any two entries; the next one goes on.

Staged files are removed through the workspace's own descriptor, also when the process has no other left. Reading the
directory for what the body added takes two more, so two are held in reserve while any workspace of the process is
alive.
"""

import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from staging._disk.errors import describe
from staging._disk.lease import Lease, is_at, open_directory, own_mode
from staging._text import one_line

_PASSES = 100  # some file systems skip entries while others are removed: read again
_MAX_LEFTOVERS = 100  # enough for a person
_TOP = "."  # the workspace itself, in a list of leftovers
_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST}
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}

Stop = Callable[[], bool]


class Removal(NamedTuple):
    """What became of a workspace.

    Attributes:
        files: how many staged files were deleted; neither what the stage's body added nor what was gone before.
        leftovers: what could not be deleted, as (path relative to the workspace, reason), at most 100.
    """

    files: int
    leftovers: tuple[tuple[str, str], ...]


class StoppedError(Exception):
    """The work was asked to stop."""


def never() -> bool:
    """Return False, so that the work goes on to its end."""
    return False


class _Reserve:
    """Two descriptors for removals when the process has no others.

    Its locks are re-entrant, since finalizers use them.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._turn = threading.RLock()
        self._holders = 0
        self._held: list[int] = []

    def hold(self) -> None:
        """Keep two descriptors until `drop`.

        Raises:
            OSError: if there are not so many.
        """
        with self._lock:
            self._fill()
            self._holders += 1

    def drop(self) -> None:
        """Undo one `hold`."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._empty()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Free the two descriptors for the block.

        One removal at a time has them.
        """
        with self._turn:
            with self._lock:
                self._empty()
            try:
                yield
            finally:
                with self._lock, suppress(OSError):  # others took them: the next to hold takes what it can get
                    if self._holders:
                        self._fill()

    def _fill(self) -> None:
        while len(self._held) < 2:
            self._held.append(os.dup(self._held[0]) if self._held else os.open(os.devnull, os.O_RDONLY))

    def _empty(self) -> None:
        while self._held:
            os.close(self._held.pop())


reserve = _Reserve()


def remove_workspace(path: str, lease: Lease, *, stop: Stop = never) -> tuple[tuple[str, str], ...]:
    """Remove a workspace whose lease is ours, and return the leftovers.

    Raises:
        StoppedError: if `stop` said so before it was gone.
    """
    if lease.directory is None:
        lease.release()  # Windows removes no open file
        import shutil  # noqa: PLC0415  # brings three compressors

        shutil.rmtree(path, ignore_errors=True)
        return ((_TOP, "not everything could be removed"),) if os.path.lexists(path) else ()
    left: dict[str, str] = {}
    error = _remove_empty(path, lease.directory)  # as it mostly is, since the staged files are gone
    for _ in range(_PASSES):
        if error is None:
            break
        left = _empty(lease.directory, stop)
        error = _remove_empty(path, lease.directory)
        if left or error is None or error.errno != errno.ENOTEMPTY:  # else a worker has just made its file
            break
    return () if error is None else tuple(left.items()) or ((_TOP, describe(error)),)


def _empty(directory: int, stop: Stop) -> dict[str, str]:
    """Empty an open directory, and return what is left and why."""
    broom = _Broom(directory, stop)
    left = broom.sweep()
    if broom.short:
        with reserve.lent():
            left = _Broom(directory, stop).sweep()
    return left


def _remove_empty(path: str, directory: int) -> OSError | None:
    """Remove an open directory, or return why that failed.

    Nothing else that has its name by now is removed. A directory that is gone already is no failure.
    """
    try:
        if not is_at(path, directory):
            return OSError(errno.EEXIST, "something else has the workspace's name; it was not touched")
        os.rmdir(path)  # noqa: PTH106  # the path is text here
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


class _Broom:
    """Empties one open directory with two further descriptors.

    Two are enough for any depth.

    Attributes:
        short: whether the process had none left.
    """

    __slots__ = ("_left", "_moved", "_progress", "_stop", "_top", "short")

    def __init__(self, top: int, stop: Stop) -> None:
        self._top = top
        self._stop = stop
        self._left: dict[str, str] = {}
        self._moved = itertools.count(1)
        self._progress = False
        self.short = False

    def sweep(self) -> dict[str, str]:
        """Remove what can be removed, and return the rest with reasons.

        Reading and removing are repeated until nothing more can be removed.
        """
        for _ in range(_PASSES):
            self._left.clear()
            self._progress = False
            pending = [_TOP]
            while pending:
                name = pending.pop()
                try:
                    pending += self._empty(self._top, "") if name == _TOP else self._empty_below(name)
                except OSError as error:
                    self._note(name, error)
            if not self._progress:
                break
        return self._left

    def _empty_below(self, name: str) -> list[str]:
        directory = open_directory(name, self._top)
        try:
            own_mode(directory)
            moved = self._empty(directory, f"{name}/")
        finally:
            os.close(directory)
        self._rmdir(name, self._top)
        return moved

    def _empty(self, directory: int, prefix: str) -> list[str]:
        """Remove files and empty directories, and return the other directories.

        Those are at the top, and are emptied next.
        """
        pending: list[str] = []
        with os.scandir(directory) as entries:
            for entry in entries:
                if self._stop():
                    raise StoppedError
                try:
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.name, dir_fd=directory)
                        self._progress = True
                    elif not self._rmdir(entry.name, directory):
                        pending.append(self._move_up(entry.name, directory))
                except OSError as error:
                    self._note(prefix + entry.name, error)
        return pending

    def _rmdir(self, name: str, directory: int) -> bool:
        """Remove a directory if it is empty, and return whether it was.

        A mount point raises EBUSY, before anything below it could be deleted.
        """
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
            return False
        self._progress = True
        return True

    def _move_up(self, name: str, directory: int) -> str:
        """Move a directory to the top and return its name there."""
        if directory == self._top:
            return name
        target = f".removing-{next(self._moved)}"
        try:
            os.rename(name, target, src_dir_fd=directory, dst_dir_fd=self._top)
        except PermissionError:  # moving a directory writes its "..", which takes write permission on itself
            opened = open_directory(name, directory)
            own_mode(opened)
            os.close(opened)
            os.rename(name, target, src_dir_fd=directory, dst_dir_fd=self._top)
        self._progress = True
        return target

    def _note(self, path: str, error: OSError) -> None:
        self.short = self.short or error.errno in _NO_DESCRIPTORS
        if not isinstance(error, FileNotFoundError) and len(self._left) < _MAX_LEFTOVERS:
            self._left[one_line(path)] = describe(error)
