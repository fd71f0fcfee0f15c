"""The private directory of a stage.

Theory of operation. Everything here blocks and runs in worker threads, and a worker may be abandoned: its task is
cancelled while it hangs in a system call. So no descriptor is closed while a worker uses it. `discard` and `remove`
only mark the end, and the last worker to leave closes the descriptor. The lease does not wait for that worker. It is
let go when the removal has ended, or by `let_go` when the removal itself hangs, so that a sweep really takes what is
left. A late worker that comes back finds its directory gone, or removes what it has just made.

What a thread makes is owned before it returns, since a cancelled task never sees a result: `create` and `keep` tell
their caller's holder in the thread itself.

The one lock is held for a few assignments, never during I/O, so that the loop's thread may take it too. It is
re-entrant, since a finalizer may run in the middle of anything, also in the thread that has it.
"""

import errno
import itertools
import os
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from staging._claims.filenames import UniqueNames, safe_name
from staging._disk.errors import storage_error
from staging._disk.lease import Lease, own_mode
from staging._disk.moving import move_new, open_new, rename_new
from staging._disk.removal import Removal, Stop, never, remove_workspace, reserve
from staging._disk.root import give_to_group, new_name, warn_of_no_locks
from staging._disk.sweep import reclaim
from staging._errors import WorkspaceError
from staging._text import format_size, one_line

_ATTEMPTS = 100  # sweepers may take a half-made directory away; never that often
_SHORT_NAME = 16  # characters; no file system refuses that for its length


class Workspace:
    """A private directory that no other user can enter.

    No sweep removes it while this process lives. With a group, its members can read the staged files and list them, and
    nothing else.

    Attributes:
        directory: its absolute path, if the root is absolute.
        descriptor: of the directory, valid between `enter` and `leave`; None on systems that cannot open a directory.
        group: number of the group that may read; None for none.
        over: whether its end has begun: workers are refused.
        owner: the process that made it; in a forked child, nothing here does anything.
    """

    __slots__ = (
        "__weakref__", "_inside", "_lease", "_left", "_names", "_numbers", "_staged", "descriptor", "directory",
        "group", "lock", "over", "owner",
    )  # fmt: skip

    def __init__(self, directory: Path, lease: Lease, group: int | None = None) -> None:
        self.directory = directory
        self.group = group
        self.owner = os.getpid()
        self.over = self._left = False
        self.lock = threading.RLock()
        self.descriptor = lease.directory
        self._lease = lease
        self._names = UniqueNames()
        self._numbers = itertools.count(1)
        self._staged: dict[str, None] = {}
        self._inside = 1  # workers that use the descriptor; `remove` counts as one from the beginning

    @classmethod
    def create(
        cls, root: Path, own: "Callable[[Workspace], object] | None" = None, *, group: int | None = None
    ) -> "Workspace":
        """Make a workspace and hold its lease.

        A sweep that meets the directory in the moment between may remove it: then another one is made.

        Args:
            root: as `prepare_root` returned it. It is not made again: what was removed on purpose does not come back
                under a name that others may watch (CVE-2026-3888).
            own: called in this thread with the workspace, before anything else can go wrong. If it raises, the
                workspace is removed, and the error goes on.
            group: number of the group that may read the files.

        Raises:
            WorkspaceError: if the disk, the root or the group's rights do not allow it.
        """
        directory, lease = root, None
        try:
            for _ in range(_ATTEMPTS):
                directory = root / new_name()
                directory.mkdir(0o700)
                with suppress(BlockingIOError, FileNotFoundError):
                    lease = _lease_new(directory, group)
                    break
        except WorkspaceError:
            raise
        except OSError as error:
            raise storage_error(error, f"no workspace in {root}") from error
        if lease is None:
            raise WorkspaceError("storage", f"no workspace in {one_line(str(root))}: every one was removed at once")
        workspace = cls(directory, lease, group)
        try:
            if not lease.held:
                warn_of_no_locks(root)
            if own is not None:
                own(workspace)
        except BaseException:
            workspace.remove()
            raise
        return workspace

    def __repr__(self) -> str:
        return f"<Workspace {self.directory}{' (over)' if self.over else ''}>"

    def claim(self, name: str) -> str:
        """Reserve `name` or its next free form, and return it.

        Any thread may call this.

        Args:
            name: a result of `safe_name`.
        """
        if not name.isascii():
            # under a Latin-1 locale, say, 日本語.pdf would otherwise be a UnicodeEncodeError out of `download`
            encoding = sys.getfilesystemencoding()
            name = name.encode(encoding, "replace").decode(encoding).replace("?", "_")  # no safe name has a "?" itself
        with self.lock:
            return self._names.claim(name)

    def release(self, name: str) -> None:
        """Let another file have a name that was claimed."""
        with self.lock:
            self._names.release(name)

    def keep(
        self,
        path: Path,
        destination: str | os.PathLike[str],
        kept: Callable[[Path], object] | None = None,
        *,
        stop: Stop = never,
    ) -> Path:
        """Move a staged file out of the workspace, and return its path.

        The file keeps its mode. It is moved completely or not at all. On one file system the move is atomic. Across
        file systems a nameless or hidden copy is written to the disk first, so that half a file is never seen there
        either. Where there are no hard links, a file that is made under the same name in the same microsecond may be
        lost.

        Args:
            path: the staged file, directly in this workspace.
            destination: the new path; or a directory, in which the file keeps its name.
            kept: called in this thread with the new path, as soon as the file is there and only then.
            stop: asked between two pieces of a copy; True gives it up.

        Raises:
            FileExistsError: if the destination exists.
            WorkspaceError: if the file is gone, or is no file any more, or the disk does not allow it, or `stop` said
                so; it stays staged.
        """
        target = Path(destination).absolute()
        self.enter()
        try:
            if target.is_dir():
                target /= path.name
            found = os.stat(self.at(path.name), dir_fd=self.descriptor, follow_symlinks=False)
            if path.parent != self.directory or not stat.S_ISREG(found.st_mode):
                detail = f"{one_line(path.name)} cannot be kept: it is no file of this stage"
                raise WorkspaceError("storage", detail)  # noqa: TRY301  # after `enter`, `leave` must follow
            if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.directory)):
                detail = f"{one_line(path.name)} cannot be kept in its own stage, which is deleted at the end"
                raise WorkspaceError("storage", detail)  # noqa: TRY301  # the same
            move_new(self.at(path.name), target, source_fd=self.descriptor, stop=stop)
        except (FileExistsError, WorkspaceError):
            raise
        except OSError as error:
            raise storage_error(error, f"{path.name} cannot be kept in {target.parent}") from error
        finally:
            self.leave()
        if kept is not None:
            kept(target)
        return target

    # ── what part files need ─────────────────────────────────────────────────────────────────────────────────────────

    def at(self, name: str) -> str:
        """Return the path for `name` in a system call.

        Beside a descriptor it is the name itself, otherwise the whole path.
        """
        return name if self.descriptor is not None else os.fspath(self.directory / name)

    def enter(self) -> None:
        """Keep the descriptor open until `leave`.

        Raises:
            WorkspaceError: if the workspace is over, or belongs to the process that this one was forked from.
        """
        if os.getpid() != self.owner:
            raise WorkspaceError("storage", "the workspace belongs to the parent process")
        with self.lock:
            if self.over:
                raise WorkspaceError("storage", "the workspace is over")
            self._inside += 1

    def leave(self) -> None:
        """Undo one `enter`.

        After the end of the workspace, the last call closes the descriptor.
        """
        with self.lock:
            self._inside -= 1
            last = not self._inside
        if last:
            self._lease.release()
            reserve.drop()

    def next_part(self) -> tuple[str, int]:
        """Open a new part file and return its name and descriptor."""
        while True:
            name = f".{next(self._numbers)}.part"
            try:
                return name, open_new(self.at(name), self.descriptor)
            except FileExistsError:  # the stage's body may have made anything
                continue

    def require_space(self, incoming: int, min_free: int) -> None:
        """Raise if the disk has no space for the bytes.

        Raises:
            WorkspaceError: ``disk_full``, if fewer than `min_free` bytes would remain.
        """
        free = _free_space(self.descriptor, self.directory)
        if free - incoming < min_free:
            detail = f"disk full: {format_size(free)} free, of which {format_size(min_free)} must remain"
            hint = "the limit is min_free_mb"
            raise WorkspaceError("disk_full", detail, errno.ENOSPC, hint=hint, limit=min_free, size=incoming)

    def give_name(self, part: str, name: str) -> str:
        """Give a part file its final name, and return that name.

        If the name is taken, its next free form is used. If it is too long for the file system, a shorter one is used.
        """
        wanted = name
        while True:
            try:
                rename_new(self.at(part), self.at(name), source_fd=self.descriptor, target_fd=self.descriptor)
            except FileExistsError:
                name = self.claim(wanted)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG or len(name) < _SHORT_NAME:
                    raise
                # half the length: some file systems allow 143 bytes (eCryptfs), and some do not count in bytes
                stem, extension = os.path.splitext(name)  # noqa: PTH122  # a name, not a path
                wanted = safe_name(stem[: len(stem) // 2] + extension)
                name = self.claim(wanted)
            else:
                self._staged[name] = None
                return name

    def unlink(self, name: str) -> None:
        """Remove a file that is no longer wanted, if possible.

        Once the descriptor is closed, this does nothing.
        """
        with self.lock:
            if not self._inside:
                return
            self._inside += 1
        self._unlink(name)
        self.leave()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def remove(self) -> Removal:
        """Remove the workspace with everything in it, and free its lease.

        The lease is freed even if something could not be removed, or a worker still uses the directory. Never raises,
        and only the first call does anything. Any thread may call it, also from a finalizer or while the interpreter
        ends. If the directory is gone already, nothing is made again. If something else has its name by now, that is
        not touched. In a forked child this does nothing. A worker that is still inside keeps its descriptor and finds
        its files gone.
        """
        if os.getpid() != self.owner:
            return Removal(0, ())
        with self.lock:
            over, self.over = self.over, True
        if over:
            if self._left:
                reclaim(os.fspath(self.directory))  # a removal that comes late does what the next sweep would
            return Removal(0, ())
        try:
            if self.descriptor is not None:
                own_mode(self.descriptor)
            files = sum(self._unlink(name) for name in tuple(self._staged))
            return Removal(files, remove_workspace(os.fspath(self.directory), self._lease))
        finally:
            self._lease.let_go()
            self.leave()

    def let_go(self) -> None:
        """End the workspace without waiting for its removal.

        Workers are refused from now on, and the next sweep removes what is left. This is for a removal that hangs, or
        for which there was no thread. It is quick, never raises, and may be called at any time. In a forked child it
        does nothing.
        """
        if os.getpid() != self.owner:
            return
        with self.lock:
            if not self._inside:
                return
            removing, self.over = self.over, True
            self._left = True
            self._inside += removing  # without a removal, the `leave` below stands for its own
        self._lease.let_go()
        self.leave()

    def _unlink(self, name: str) -> bool:
        try:
            os.unlink(self.at(name), dir_fd=self.descriptor)
        except OSError:
            return False  # gone, or no file any more: that goes with the rest
        return True


def _lease_new(directory: Path, group: int | None) -> Lease:
    """Lease a new directory and give it its mode.

    If that fails, the directory is removed.
    """
    try:
        lease = Lease(os.fspath(directory))
        try:
            if group is not None:
                give_to_group(directory if lease.directory is None else lease.directory, group, 0o750)
            elif lease.directory is not None and not lease.held:  # a held lease has done that
                own_mode(lease.directory)
            reserve.hold()
        except BaseException:
            lease.release()
            raise
    except (BlockingIOError, FileNotFoundError):
        raise  # a sweep holds it, or has removed it already
    except BaseException:
        with suppress(OSError):
            directory.rmdir()
        raise
    return lease


def _free_space(descriptor: int | None, directory: Path) -> int:
    if descriptor is None:
        import shutil  # noqa: PLC0415  # brings three compressors

        return shutil.disk_usage(directory).free
    found = os.fstatvfs(descriptor)
    return found.f_bavail * found.f_frsize if found.f_blocks else sys.maxsize  # some file systems do not tell
