"""The private directory of a stage: made with a proof of life, filled through part files, removed by descriptor, swept.

Theory of operation. Everything here blocks and runs in worker threads, and a worker may be abandoned: its task is
cancelled while it hangs in a system call. So nothing is taken from under a worker. `abandon` and `remove` only say that
it is over; whoever leaves last closes. The one lock is held for a few assignments, never during I/O, so that the loop's
thread may take it too.

Removal never trusts a path. The workspace is emptied through the descriptor that was opened when it was made, so
neither a symbolic link nor another directory put in its place is touched (CVE-2026-3888, CVE-2025-46415, CPython
gh-157579). Directories below are moved up to the top before they are emptied, so depth costs neither recursion nor
descriptors.

What a sweep may take is known by the name alone, which ends in a check sum of its random part. So there is no moment,
in making or in removing, at which a kill leaves something that cannot be told from a stranger's directory, and the
workspace needs no file of ours.
"""

import base64
import errno
import itertools
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from staging._claims.filenames import UniqueNames, safe_name
from staging._claims.media import HEAD_BYTES, TAIL_BYTES, wants_tail
from staging._disk.lease import BY_DESCRIPTOR, Lease, is_at, open_own_directory, own_mode
from staging._errors import WorkspaceError
from staging._text import format_size, one_line

_log = logging.getLogger("staging")

_PREFIX = "staging-"
_NAME = re.compile(f"{_PREFIX}([a-z2-7]{{16}})")  # base32 (RFC 4648), lower case: the same where case is folded
_RANDOM_BYTES = 6  # nobody makes the directory first; the other four are the sum: nobody has the name by accident

_ATTEMPTS = 100  # sweepers may take a half-made directory away; never that often
_PASSES = 100  # some file systems skip entries while others are removed: read again
_MAX_LEFTOVERS = 100  # enough for a person
_COPY_BYTES = 1_048_576
_SHORT_NAME = 16  # characters; no file system refuses that for its length
_TOP = "."  # the workspace itself, in a list of leftovers

_PART_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL
for _flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
    _PART_FLAGS |= getattr(os, _flag, 0)

_NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST}
_FULL = {errno.ENOSPC: "no space left on the disk", errno.EDQUOT: "the disk quota is used up"}
_WORDS = {
    **_FULL,
    errno.EMFILE: "too many open files in this process (EMFILE)",
    errno.ENFILE: "too many open files on this machine (ENFILE)",
    errno.EFBIG: "over the size that this process or file system allows a file (EFBIG)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EIO: "the disk reported an input/output error",
    errno.ENOENT: "it is not there, or not any more",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "not a directory",
    errno.EBUSY: "in use, or a mount point",
}

P = ParamSpec("P")
T = TypeVar("T")


def storage_error(error: OSError, what: str = "") -> WorkspaceError:
    """Return `error` as this library's own, with one line for a person.

    Args:
        error: what the operating system said.
        what: what it was about; put before the detail.
    """
    words = _describe(error)
    detail = f"{one_line(what)}: {words}" if what else words
    return WorkspaceError("disk_full" if error.errno in _FULL else "storage", detail, error.errno)


def _describe(error: OSError) -> str:
    return _WORDS.get(error.errno or 0) or one_line(error.strerror or str(error) or type(error).__name__)


# ── the root ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def prepare_root(temp_dir: str | os.PathLike[str] | None) -> Path:
    """Return the absolute root, in which a directory could be made a moment ago; missing parents get mode 0700.

    The last component must not be a symbolic link: where it leads may change between two uses. A root that others can
    write to without a sticky bit, or that belongs to a user who is neither this one nor root, is used all the same,
    since workspaces are private and reached by descriptor; it is logged once at WARNING (CVE-2025-71176 is what
    happens to predictable names in such a place).

    Args:
        temp_dir: the caller's wish; None for the system's temporary directory.

    Raises:
        WorkspaceError: if the root cannot be made, is no directory, is a symbolic link, or cannot be written.
    """
    try:
        root = Path(os.path.realpath(tempfile.gettempdir())) if temp_dir is None else _absolute(temp_dir)
        _make_directories(root)
        _judge_root(root)
        _try_out(root)
    except WorkspaceError:
        raise
    except OSError as error:
        raise storage_error(error, f"temp_dir {temp_dir}") from error
    except ValueError as error:  # a NUL byte, a lone surrogate
        raise WorkspaceError("storage", one_line(f"temp_dir is no path: {error}")) from error
    return root


def _absolute(temp_dir: str | os.PathLike[str]) -> Path:
    given: Any = temp_dir  # annotations bind no caller
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"temp_dir must be a path, as text or os.PathLike, not a {type(given).__qualname__}")
    if not os.fspath(temp_dir):
        raise WorkspaceError("storage", "temp_dir is empty")
    if re.match("[A-Za-z]+://", str(temp_dir)):  # it would become directories
        raise WorkspaceError("storage", "temp_dir is a URL; give URLs to stage.download")
    return Path(temp_dir).absolute()


def _make_directories(root: Path) -> None:
    for path in (*reversed(root.parents), root):
        if not os.path.isdir(path):  # noqa: PTH112  # unlike Path.is_dir, False for whatever is wrong: mkdir says what
            _make_directory(path)


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(0o700)
    except FileExistsError:  # made by another process meanwhile, or something is in the way
        if path.is_symlink():
            raise _linked(path) from None
        if not path.is_dir():
            raise WorkspaceError("storage", f"temp_dir: {one_line(str(path))} is not a directory") from None


def _linked(root: Path) -> WorkspaceError:
    return WorkspaceError("storage", f"temp_dir {one_line(str(root))} is a symbolic link; give its target")


_warned: set[Path] = set()


def _judge_root(root: Path) -> None:
    found = root.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _linked(root)
    complaint = _complaint(found)
    if complaint and root not in _warned:
        _warned.add(root)
        _log.warning("temp_dir %s %s; workspaces in it are private all the same", one_line(str(root)), complaint)


def _complaint(found: os.stat_result) -> str:
    if not hasattr(os, "geteuid"):
        return ""  # Windows: modes and owners mean something else there
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to another user (uid {found.st_uid})"
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        return "can be written by others and has no sticky bit"
    return ""


def _try_out(root: Path) -> None:
    """Make a directory and remove it: permission bits do not tell of read-only mounts, quotas and access lists."""
    trial = root / _new_name()
    trial.mkdir(0o700)
    with suppress(FileNotFoundError):  # a sweep took it for the orphan that it looks like
        trial.rmdir()


def _new_name() -> str:
    random = os.urandom(_RANDOM_BYTES)
    return _PREFIX + base64.b32encode(random + _check_sum(random)).decode("ascii").lower()


def _is_our_name(name: str) -> bool:
    match = _NAME.fullmatch(name)
    decoded = base64.b32decode(match[1].upper()) if match else b""
    return match is not None and _check_sum(decoded[:_RANDOM_BYTES]) == decoded[_RANDOM_BYTES:]


def _check_sum(random: bytes) -> bytes:
    return zlib.crc32(b"attachment-staging " + random).to_bytes(4, "big")


# ── the workspace ────────────────────────────────────────────────────────────────────────────────────────────────────


class Removal(NamedTuple):
    """What became of a workspace.

    Attributes:
        files: how many staged files were deleted; neither what the stage's body added nor what was gone before.
        leftovers: what could not be deleted, as (path relative to the workspace, reason), at most 100.
    """

    files: int
    leftovers: tuple[tuple[str, str], ...]


class Workspace:
    """A private directory that nobody else can enter, and that no sweep removes while this process lives.

    Attributes:
        directory: its absolute path, if the root is absolute.
        owner: the process that made it; in a forked child, nothing here does anything.
    """

    __slots__ = ("_inside", "_lease", "_names", "_numbers", "_over", "_staged", "directory", "lock", "owner")

    def __init__(self, directory: Path, lease: Lease) -> None:
        self.directory = directory
        self.owner = os.getpid()
        self.lock = threading.Lock()
        self._lease = lease
        self._names = UniqueNames()
        self._numbers = itertools.count(1)
        self._staged: dict[str, None] = {}
        self._inside = 1  # workers that use the descriptor; `remove` counts as one from the beginning
        self._over = False

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """Make a workspace; its lease is held before anybody could take it for an orphan.

        A sweep that meets the directory in the moment between may remove it: then another one is made.

        Args:
            root: as `prepare_root` returned it. It is not made again: what was removed on purpose, or by somebody else,
                does not come back under a name that others may watch (CVE-2026-3888).

        Raises:
            WorkspaceError: if the disk or the root does not allow it.
        """
        try:
            for _ in range(_ATTEMPTS):
                directory = root / _new_name()
                directory.mkdir(0o700)
                with suppress(BlockingIOError, FileNotFoundError):
                    return cls(directory, _lease_new(directory))
        except OSError as error:
            raise storage_error(error, f"no workspace in {root}") from error
        raise WorkspaceError("storage", f"no workspace in {one_line(str(root))}: every one was removed at once")

    def __repr__(self) -> str:
        return f"<Workspace {self.directory}{' (over)' if self._over else ''}>"

    def claim(self, name: str) -> str:
        """Return `name`, or its next form that is free in this workspace, and take it; any thread may ask.

        Args:
            name: a result of `safe_name`.
        """
        with self.lock:
            return self._names.claim(_encodable(name))

    def part(self, *, min_free: int = 0) -> "PartFile":
        """Return a part file; nothing is opened yet.

        Args:
            min_free: bytes that must remain free on the disk.
        """
        return PartFile(self, min_free)

    def keep(self, path: Path, destination: str | os.PathLike[str]) -> Path:
        """Move a staged file out of the workspace and return where it is; it keeps its mode, 0600.

        Atomic on one file system. Across file systems a hidden copy beside the destination is written to the disk
        first, so that nobody sees half a file there either. Where there are no hard links, somebody who makes the same
        name in the same microsecond may lose.

        Args:
            path: the staged file, directly in this workspace.
            destination: the new path; or a directory, in which the file keeps its name.

        Raises:
            FileExistsError: if the destination exists.
            WorkspaceError: if the file is gone, or is no file any more, or the disk does not allow it.
        """
        target = Path(destination).absolute()
        try:
            if target.is_dir():
                target /= path.name
            self._move_out(path, target)
        except (FileExistsError, WorkspaceError):
            raise
        except OSError as error:
            raise storage_error(error, f"{path.name} cannot be kept in {target.parent}") from error
        return target

    def _move_out(self, path: Path, target: Path) -> None:
        self.enter()
        try:
            self._require_file(path)
            _move_new(self.at(path.name), target, source_fd=self.descriptor)
        finally:
            self.leave()

    def _require_file(self, path: Path) -> None:
        found = os.stat(self.at(path.name), dir_fd=self.descriptor, follow_symlinks=False)
        if path.parent != self.directory or not stat.S_ISREG(found.st_mode):
            raise WorkspaceError("storage", f"{one_line(path.name)} cannot be kept: it is no file of this stage")

    # ── what part files need ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def descriptor(self) -> int | None:
        """The directory's descriptor; None where there are none. Valid between `enter` and `leave`."""
        return self._lease.directory

    def at(self, name: str) -> str:
        """Return what to call `name` by: itself, beside a descriptor, or its whole path."""
        return name if self._lease.directory is not None else os.fspath(self.directory / name)

    def enter(self) -> None:
        """Keep the descriptor open until `leave`.

        Raises:
            WorkspaceError: if the workspace is over, or belongs to the process that this one was forked from.
        """
        if os.getpid() != self.owner:
            raise WorkspaceError("storage", "the workspace belongs to the parent process")
        with self.lock:
            if self._over:
                raise WorkspaceError("storage", "the workspace is over")
            self._inside += 1

    def leave(self) -> None:
        """Undo one `enter`; the last one to leave after the end lets the lease go."""
        with self.lock:
            self._inside -= 1
            last = not self._inside
        if last:
            self._lease.release()

    def next_part(self) -> tuple[str, int]:
        """Open a new part file; return its name and descriptor."""
        while True:
            name = f".{next(self._numbers)}.part"
            with suppress(FileExistsError):  # the stage's body may have made anything
                return name, os.open(self.at(name), _PART_FLAGS, 0o600, dir_fd=self.descriptor)

    def require_space(self, incoming: int, min_free: int) -> None:
        """Refuse bytes that the disk should not take.

        Raises:
            WorkspaceError: ``disk_full``, if fewer than `min_free` bytes would remain.
        """
        free = _free_space(self.descriptor, self.directory)
        if free - incoming < min_free:
            detail = f"disk full: {format_size(free)} free, of which {format_size(min_free)} must remain (min_free_mb)"
            raise WorkspaceError("disk_full", detail, errno.ENOSPC)

    def give_name(self, part: str, name: str) -> str:
        """Give a part file its final name, or the next one that is free, or one that is short enough; return that."""
        wanted = name
        while True:
            try:
                _rename_new(self.at(part), self.at(name), source_fd=self.descriptor, target_fd=self.descriptor)
            except FileExistsError:
                name = self.claim(wanted)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG or len(name) < _SHORT_NAME:
                    raise
                wanted = _shorter(name)
                name = self.claim(wanted)
            else:
                self._staged[name] = None
                return name

    def unlink(self, name: str) -> None:
        """Remove a file that nobody wants, as far as that is possible; nothing once the descriptor is closed."""
        with self.lock:
            if not self._inside:
                return
            self._inside += 1
        self._unlink(name)
        self.leave()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def remove(self) -> Removal:
        """Remove the workspace with everything in it; never raises, and only the first call does anything.

        Gone before: fine, nothing is made again. Replaced: what bears its name now is not touched. In a forked child:
        nothing happens. A worker that is still inside finds its files gone, and lets the lease go when it leaves.
        """
        if os.getpid() != self.owner:
            return Removal(0, ())
        with self.lock:
            if self._over:
                return Removal(0, ())
            self._over = True
        try:
            if self.descriptor is not None:
                own_mode(self.descriptor)
            files = sum(self._unlink(name) for name in tuple(self._staged))
            return Removal(files, _remove(os.fspath(self.directory), self._lease))
        finally:
            self.leave()

    def _unlink(self, name: str) -> bool:
        try:
            os.unlink(self.at(name), dir_fd=self.descriptor)
        except OSError:
            return False  # gone, or something else by now: removing the rest sees to it
        return True


def _lease_new(directory: Path) -> Lease:
    try:
        return Lease(os.fspath(directory))
    except (BlockingIOError, FileNotFoundError):
        raise  # a sweep holds it, or has removed it already
    except OSError:
        with suppress(OSError):
            directory.rmdir()
        raise


def _shorter(name: str) -> str:
    """Return a name of about half the length: some file systems allow 143 bytes (eCryptfs), some count otherwise."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122  # a name, not a path
    return safe_name(stem[: len(stem) // 2] + extension)


def _encodable(name: str) -> str:
    """Return the name with a `_` for each character that this process cannot name files with.

    Under a Latin-1 locale, say, ``日本語.pdf`` would otherwise be a `UnicodeEncodeError` out of `download`.
    """
    encoding = sys.getfilesystemencoding()
    return name.encode(encoding, "replace").decode(encoding).replace("?", "_")  # no safe name has a "?" of its own


def _free_space(descriptor: int | None, directory: Path) -> int:
    if descriptor is None:
        return shutil.disk_usage(directory).free
    found = os.fstatvfs(descriptor)
    return found.f_bavail * found.f_frsize if found.f_blocks else sys.maxsize  # some file systems do not tell


# ── part files ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Committed(NamedTuple):
    """A complete file under its final name.

    Attributes:
        path: where it is.
        size: bytes on disk.
        head: its first bytes, for `observe`.
        tail: its last bytes, where the head wants them; else empty.
    """

    path: Path
    size: int
    head: bytes
    tail: bytes


def _turn(method: Callable[Concatenate["PartFile", P], T]) -> Callable[Concatenate["PartFile", P], T]:
    """Let the method be the part file's one worker, which cleans up as it leaves if it was abandoned meanwhile."""

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
    """Bytes on their way to a file: hidden until they are complete, gone if they are given up.

    `append`, `restart` and `commit` block and are called by one worker thread at a time. `abandon` and `discard` do not
    wait and may be called at any time, also while a worker is inside: then that worker cleans up (deer-flow#4268).

    Attributes:
        size: bytes written.
    """

    __slots__ = ("_busy", "_fd", "_head", "_min_free", "_name", "_named", "_over", "_workspace", "size")

    def __init__(self, workspace: Workspace, min_free: int) -> None:
        self._workspace = workspace
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
    def restart(self) -> None:
        """Forget every byte: the next `append` writes the first one.

        Raises:
            WorkspaceError: ``storage``.
        """
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._head = b""
        self.size = 0

    @_turn
    def commit(self, name: str, *rest: bytes | bytearray | memoryview, claimed: bool = False) -> Committed:
        """Give the file its final name in one step, and return it; without any bytes, an empty file.

        The name is taken only if nothing has it; otherwise its next free form is.

        Args:
            name: a result of `safe_name`.
            rest: its last bytes, appended first.
            claimed: `name` is a result of `Workspace.claim`, made for this file.

        Raises:
            WorkspaceError: ``disk_full`` or ``storage``.
        """
        if rest:
            self._write(*rest)
        descriptor, head = self._opened(), self._head
        tail = self._read(max(0, self.size - TAIL_BYTES), TAIL_BYTES) if wants_tail(head) else b""
        self._fd = -1
        os.close(descriptor)  # first: quotas and network disks report here, and Windows renames no open file
        self._name = self._workspace.give_name(self._name, name if claimed else self._workspace.claim(name))
        self._named = True
        return Committed(self._workspace.directory / self._name, self.size, head, tail)

    def abandon(self) -> None:
        """Give up whatever is not complete; a file that has its name stays. Never waits, never raises."""
        if not self._named or self._busy:
            self.discard()

    def discard(self) -> None:
        """Give up everything, the file under its final name too. Never waits, never raises."""
        if os.getpid() != self._workspace.owner:
            return
        with self._workspace.lock:
            self._over = True
            busy = self._busy
        if not busy:
            self._let_go()

    def enter(self) -> None:
        """Begin a worker's turn.

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
        """End a worker's turn; if it was abandoned, it cleans up, and stays busy so that nobody else does."""
        with self._workspace.lock:
            self._busy = over = self._over
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


# ── moving ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _move_new(source: str, target: Path, *, source_fd: int | None) -> None:
    """Move to another directory, on another file system maybe, only if nothing has the new name."""
    try:
        _rename_new(source, os.fspath(target), source_fd=source_fd)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_new(source, target, source_fd=source_fd)


def _rename_new(source: str, target: str, *, source_fd: int | None = None, target_fd: int | None = None) -> None:
    """Rename only if nothing has the new name: by a hard link, since a rename would replace.

    Raises:
        FileExistsError: if something has.
    """
    if not BY_DESCRIPTOR:
        os.rename(source, target)  # noqa: PTH104  # Windows, where a rename never replaces
        return
    try:
        os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename_if_free(source, target, source_fd, target_fd)
    else:
        with suppress(OSError):  # the file has its name; a second one goes with the workspace
            os.unlink(source, dir_fd=source_fd)


def _rename_if_free(source: str, target: str, source_fd: int | None, target_fd: int | None) -> None:
    """Look, then rename: the best that file systems without hard links allow (FAT, some FUSE)."""
    with suppress(FileNotFoundError):
        os.stat(target, dir_fd=target_fd, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)


def _copy_new(source: str, target: Path, *, source_fd: int | None) -> None:
    """Copy to a hidden file beside `target`, onto the disk, then rename it exclusively; remove the source."""
    copy = target.with_name(f".{_new_name()}.part")
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with (
            open(os.open(source, flags, dir_fd=source_fd), "rb", buffering=0) as reader,  # noqa: PTH123  # a descriptor
            open(os.open(copy, _PART_FLAGS, 0o600), "wb", buffering=0) as writer,  # noqa: PTH123  # the same
        ):
            shutil.copyfileobj(reader, writer, _COPY_BYTES)
            os.fsync(writer.fileno())
        _rename_new(os.fspath(copy), os.fspath(target))
    except BaseException:
        with suppress(OSError):
            copy.unlink()
        raise
    os.unlink(source, dir_fd=source_fd)


# ── removing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _remove(path: str, lease: Lease) -> tuple[tuple[str, str], ...]:
    """Remove a workspace whose lease is ours; return the leftovers."""
    if lease.directory is not None:
        return _remove_directory(path, lease.directory)
    lease.release()  # Windows removes no open file
    shutil.rmtree(path, ignore_errors=True)
    return ((_TOP, "not everything could be removed"),) if os.path.lexists(path) else ()


def _remove_directory(path: str, directory: int) -> tuple[tuple[str, str], ...]:
    """Remove an open workspace, if it still bears its name; return the leftovers."""
    left: dict[str, str] = {}
    error = _remove_empty(path, directory)  # as it mostly is: the staged files are gone, and nothing else was there
    for _ in range(_PASSES):
        if error is None:
            break
        left = _Broom(directory).sweep()
        error = _remove_empty(path, directory)
        if left or error is None or error.errno != errno.ENOTEMPTY:  # else a worker has just made its file
            break
    return () if error is None else tuple(left.items()) or ((_TOP, _describe(error)),)


def _remove_empty(path: str, directory: int) -> OSError | None:
    """Remove an open directory, if it still bears its name, and return why not; if it is gone already, that is fine."""
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
    """Empties one open directory; two further descriptors are enough for any depth."""

    __slots__ = ("_left", "_moved", "_progress", "_top")

    def __init__(self, top: int) -> None:
        self._top = top
        self._left: dict[str, str] = {}
        self._moved = itertools.count(1)
        self._progress = False

    def sweep(self) -> dict[str, str]:
        """Remove until nothing more goes; return what the last reading left, and why."""
        for _ in range(_PASSES):
            self._left.clear()
            self._progress = False
            self._pass()
            if not self._progress:
                break
        return self._left

    def _pass(self) -> None:
        try:
            pending = self._empty(self._top, "")
        except OSError as error:
            self._note(_TOP, error)
            return
        while pending:
            name = pending.pop()
            try:
                pending += self._empty_below(name)
            except OSError as error:
                self._note(name, error)

    def _empty_below(self, name: str) -> list[str]:
        directory = open_own_directory(name, self._top)
        try:
            moved = self._empty(directory, f"{name}/")
        finally:
            os.close(directory)
        self._rmdir(name, self._top)
        return moved

    def _empty(self, directory: int, prefix: str) -> list[str]:
        """Remove what goes at once; return the directories at the top that are to be emptied next."""
        pending: list[str] = []
        with os.scandir(directory) as entries:
            for entry in entries:
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
        """Remove an empty directory. A mount point raises EBUSY, before anything below it could be deleted."""
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
            return False
        self._progress = True
        return True

    def _move_up(self, name: str, directory: int) -> str:
        """Bring a directory to the top; return its name there."""
        if directory == self._top:
            return name
        target = f".removing-{next(self._moved)}"
        try:
            os.rename(name, target, src_dir_fd=directory, dst_dir_fd=self._top)
        except PermissionError:  # moving a directory writes its "..", which takes write permission on itself
            os.close(open_own_directory(name, directory))
            os.rename(name, target, src_dir_fd=directory, dst_dir_fd=self._top)
        self._progress = True
        return target

    def _note(self, path: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError) and len(self._left) < _MAX_LEFTOVERS:
            self._left[one_line(path)] = _describe(error)


# ── sweeping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sweep(root: str | os.PathLike[str]) -> int:
    """Remove the workspaces under `root` whose owners are dead, and return how many; never a living one.

    Whether the owner lives is decided by the lease alone: not by age, clock or process number. What this library did
    not make is not touched: only real directories directly under `root` count that belong to this user and have a name
    that this library gave, check sum included. Safe when many processes start, stop and sweep on one root at once; each
    orphan is counted by one of them. Entering a stage or an area does this for its own root.

    Args:
        root: what stages and areas were given as `temp_dir`.

    Raises:
        WorkspaceError: if `root` cannot be read. A missing one has no orphans.
    """
    try:
        with os.scandir(os.fspath(root)) as entries:
            return sum(_reclaim(entry.path) for entry in entries if _is_our_name(entry.name))
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise storage_error(error, f"cannot sweep {os.fspath(root)}") from error


def _reclaim(path: str) -> bool:
    """Remove one workspace if it is an orphan; tell whether it is gone by our hand."""
    with suppress(OSError):  # alive, taken by another sweep, gone, or not to be opened: not our business
        if _is_own_directory(os.lstat(path)):
            lease = Lease(path)
            try:
                return lease.held and not _remove(path, lease)
            finally:
                lease.release()
    return False


def _is_own_directory(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())
