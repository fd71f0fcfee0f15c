"""Name, copy and move files without ever overwriting one."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from staging._disk.lease import BY_DESCRIPTOR
from staging._disk.removal import Stop, never
from staging._disk.root import new_name
from staging._errors import WorkspaceError

_PIECE_BYTES = 1_048_576  # between two looks at `stop`
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY
_OLD_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _BINARY
_NAMELESS = os.O_RDWR | getattr(os, "O_TMPFILE", 0) | _BINARY

_NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def open_new(path: str | os.PathLike[str], above: int | None = None) -> int:
    """Make a private file and return its descriptor.

    Raises:
        FileExistsError: if anything has the name, a symbolic link too.
    """
    return os.open(path, _NEW_FILE, 0o600, dir_fd=above)


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading and return its descriptor.

    A symbolic link as the last component of the path is refused. Neither a pipe nor a device is waited for, nor has
    opening it any effect.

    Raises:
        WorkspaceError: if it is anything else than a regular file.
        OSError: if it cannot be opened.
    """
    descriptor = os.open(path, _OLD_FILE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise WorkspaceError("storage", "it is no regular file")


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def rename_new(source: str, target: str, *, source_fd: int | None = None, target_fd: int | None = None) -> None:
    """Rename a file if the new name is free.

    It is done with a hard link, since a rename would replace an existing file.

    Raises:
        FileExistsError: if the new name is taken.
    """
    if not BY_DESCRIPTOR:
        os.rename(source, target)  # noqa: PTH104  # Windows, where a rename never replaces
        return
    try:
        os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # file systems without hard links (FAT, some FUSE) allow no more than a look whether the new name is free
        with suppress(FileNotFoundError):
            os.stat(target, dir_fd=target_fd, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
    else:
        try:
            os.unlink(source, dir_fd=source_fd)
        except OSError:
            return  # the file has its name; a second one goes with the workspace


# ── elsewhere ────────────────────────────────────────────────────────────────────────────────────────────────────────


def move_new(source: str, target: Path, *, source_fd: int | None, stop: Stop = never) -> None:
    """Move a file to another directory if the new name is free.

    The directory may be on another file system.

    Raises:
        FileExistsError: if the new name is taken.
        WorkspaceError: if `stop` said so in the middle of a copy; nothing is left of it.
    """
    try:
        rename_new(source, os.fspath(target), source_fd=source_fd)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_new(source, target, source_fd, stop)
        with suppress(OSError):  # the copy is there; the source goes with the workspace
            os.unlink(source, dir_fd=source_fd)


def _copy_new(source: str, target: Path, source_fd: int | None, stop: Stop) -> None:
    """Copy a file, and give the copy its name when complete.

    The copy is written to the disk before that. On Linux it has no name until then, so that a kill leaves nothing;
    elsewhere it has a hidden one.
    """
    writer, hidden = -1, target.with_name(f".{new_name()}.part")
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112  # text
        with suppress(OSError):  # the file system or the kernel does not know of it
            writer = os.open(target.parent, _NAMELESS & ~os.O_NOFOLLOW, 0o600)
    nameless = writer >= 0
    if not nameless:
        writer = open_new(hidden)
    try:
        _copy_all(source, source_fd, writer, stop)
        if nameless:  # given a descriptor, Python calls linkat, which can follow the link in /proc (open(2), O_TMPFILE)
            os.link(f"/proc/self/fd/{writer}", target, src_dir_fd=writer, follow_symlinks=True)
        else:
            rename_new(os.fspath(hidden), os.fspath(target))
    except BaseException:
        with suppress(OSError):
            hidden.unlink()
        raise
    finally:
        os.close(writer)


def _copy_all(source: str, source_fd: int | None, writer: int, stop: Stop) -> None:
    """Copy content, mode and group of a file, and write them to the disk."""
    reader = os.open(source, _OLD_FILE, dir_fd=source_fd)
    try:
        while copy_piece(reader, writer, _PIECE_BYTES):
            if stop():
                raise WorkspaceError("storage", "the copy was given up")
        found, mode = os.fstat(reader), 0o777
    finally:
        os.close(reader)
    if hasattr(os, "fchown"):
        if os.fstat(writer).st_gid != found.st_gid:
            try:
                os.fchown(writer, -1, found.st_gid)
            except PermissionError:  # then no other group gets access
                mode = 0o707
        os.fchmod(writer, stat.S_IMODE(found.st_mode) & mode)
    os.fsync(writer)
    if stop():  # to write many megabytes to the disk takes seconds
        raise WorkspaceError("storage", "the copy was given up")


def copy_piece(reader: int, writer: int, size: int) -> int:
    """Copy up to `size` bytes and return their number, 0 at the end.

    Both files are used from their current positions. The kernel does the copying where it can.

    Raises:
        OSError: if the disk fails.
    """
    with suppress(AttributeError, OSError):  # no such call here, or not between these files: what is wrong shows below
        if copied := os.copy_file_range(reader, writer, size):
            return copied  # none may mean that the file does not know its size, as those of /proc
    data = memoryview(os.read(reader, min(size, _PIECE_BYTES)))
    left = data
    while left:
        left = left[os.write(writer, left) :]
    return len(data)
