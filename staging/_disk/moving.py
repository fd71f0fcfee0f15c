"""Files get their names here, and are taken elsewhere; nothing is ever overwritten."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from staging._disk.lease import BY_DESCRIPTOR
from staging._disk.root import new_name

_COPY_BYTES = 1_048_576
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL
for _flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
    _NEW_FILE |= getattr(os, _flag, 0)

_NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def open_new(path: str | os.PathLike[str], above: int | None = None) -> int:
    """Make a private file and return its descriptor.

    Raises:
        FileExistsError: if anything has the name, a symbolic link too.
    """
    return os.open(path, _NEW_FILE, 0o600, dir_fd=above)


def move_new(source: str, target: Path, *, source_fd: int | None) -> None:
    """Move to another directory, on another file system maybe, only if nothing has the new name."""
    try:
        rename_new(source, os.fspath(target), source_fd=source_fd)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_new(source, target, source_fd=source_fd)


def rename_new(source: str, target: str, *, source_fd: int | None = None, target_fd: int | None = None) -> None:
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
    copy = target.with_name(f".{new_name()}.part")
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with (
            open(os.open(source, flags, dir_fd=source_fd), "rb", buffering=0) as reader,  # noqa: PTH123  # a descriptor
            open(open_new(copy), "wb", buffering=0) as writer,
        ):
            shutil.copyfileobj(reader, writer, _COPY_BYTES)
            os.fsync(writer.fileno())
        rename_new(os.fspath(copy), os.fspath(target))
    except BaseException:
        with suppress(OSError):
            copy.unlink()
        raise
    os.unlink(source, dir_fd=source_fd)
