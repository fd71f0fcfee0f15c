"""Proof of life: a lock on the workspace that the kernel lets go when its owner dies, however it dies.

Theory of operation. Where directories can be opened (POSIX), the lock is on the workspace directory itself, not on a
file in it. Nothing that the stage's body does to the files can drop it, the directory holds staged files and nothing
else, whoever reclaims an orphan holds it until the directory is gone, and systemd-tmpfiles keeps its hands off too
(tmpfiles.d(5): a locked directory is not aged). Elsewhere (Windows) the lock is on a file in the directory.

The lock is `flock`, which belongs to the open file: two stages of one process are strangers to each other (POSIX
`lockf` belongs to the process and would not tell them apart), descriptors are close-on-exec, and only a forked child
keeps a dead parent's lease for as long as it lives. A lock says nothing about the path, which may have been removed and
made anew before the lock was taken: hence the comparison after it.

A root belongs to one machine: some network file systems keep `flock` to themselves. Where there are no locks at all
(NFS refuses them for directories, some FUSE file systems for everything), a workspace lives without a lease, and no
sweep touches it.
"""

import errno
import os
import stat
import sys
from contextlib import suppress

BY_DESCRIPTOR = os.open in os.supports_dir_fd and os.scandir in os.supports_fd

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
_LOCK_FILE = ".lease"
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, "another process holds the lease") from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lease:
    """The workspace at `path` is alive until `release`, or until this process dies; it has mode 0700 from now on.

    Attributes:
        directory: a descriptor of the workspace; None where directories have none.
        held: False where the file system has no locks.

    Raises:
        BlockingIOError: if somebody else holds the lease.
        FileNotFoundError: if the workspace is gone, or another one has its name.
        OSError: if it cannot be opened; it is no directory, for one.
    """

    __slots__ = ("_locked", "directory", "held")

    def __init__(self, path: str) -> None:
        self.directory: int | None = None
        if BY_DESCRIPTOR:
            self._locked = self.directory = open_own_directory(path)
        else:
            self._locked = os.open(os.path.join(path, _LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)  # noqa: PTH118  # text
        try:
            self.held = self._take()
            self._confirm(path)
        except BaseException:
            self.release()
            raise

    def _take(self) -> bool:
        try:
            _lock(self._locked)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            return False
        return True

    def _confirm(self, path: str) -> None:
        if self.directory is None:
            return  # an open file keeps its directory in place
        if not is_at(path, self.directory):
            raise FileNotFoundError(errno.ENOENT, "another directory has the workspace's name")

    def release(self) -> None:
        """Let the lease go, if that was not done before.

        By closing, never by unlocking: a forked child shares the lock, and must not take it from its parent.
        """
        locked, self._locked = self._locked, -1
        if locked >= 0:
            os.close(locked)


def is_at(path: str, directory: int) -> bool:
    """Whether `path` leads to the open directory, and not through a symbolic link; FileNotFoundError if nowhere."""
    return os.path.samestat(os.fstat(directory), os.lstat(path))


def open_own_directory(path: str, above: int | None = None) -> int:
    """Return a descriptor of a real directory, which has mode 0700 from now on if it is ours to change.

    Never of what a symbolic link leads to; and the mode is changed through a descriptor: by name, it might be that of
    somebody else's directory by now.
    """
    try:
        descriptor = os.open(path, _DIRECTORY, dir_fd=above)
    except PermissionError:
        _make_readable(path, above)
        descriptor = os.open(path, _DIRECTORY, dir_fd=above)
    own_mode(descriptor)
    return descriptor


def own_mode(directory: int) -> None:
    """Give an open directory mode 0700, if it is ours to change."""
    with suppress(OSError):
        if stat.S_IMODE(os.fstat(directory).st_mode) != 0o700:
            os.fchmod(directory, 0o700)


def _make_readable(path: str, above: int | None) -> None:
    with suppress(OSError):
        if sys.platform == "linux":
            handle = os.open(path, os.O_PATH | _DIRECTORY, dir_fd=above)  # names the directory without reading it
            try:
                os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101  # a descriptor, not a path
            finally:
                os.close(handle)
        else:
            os.chmod(path, 0o700, dir_fd=above, follow_symlinks=False)
