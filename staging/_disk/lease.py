"""The lock that shows that a workspace is in use.

Theory of operation. A lease is a lock that the kernel frees when its owner dies, whatever the cause. Where directories
can be opened (POSIX), the lock is on the workspace directory itself, not on a file in it. Nothing that the stage's body
does to the files can drop it, and the directory holds staged files and nothing else. A sweep that takes an orphan holds
the lock until the directory is gone. systemd-tmpfiles leaves a locked directory alone too (tmpfiles.d(5)). Elsewhere
(Windows) the lock is on a file in the directory.

The lock is `flock`, which belongs to the open file. So it also tells two stages of one process apart. POSIX `lockf`
belongs to the process and would not. Descriptors are close-on-exec. A forked child shares the lock: it keeps a dead
parent's lease for as long as it lives, and it never lets go of a living parent's. So the owner unlocks, and a child
only closes its copy. Unlocking is not closing: a worker that hangs in a system call keeps a valid descriptor, while the
lease is free for the next sweep.

A lock says nothing about the path, which may have been removed and made anew before the lock was taken. Hence the
comparison after it. Only then is the mode changed: a sweep must not touch the mode of a workspace that is alive.

A root belongs to one machine, since some network file systems keep `flock` to themselves. Where there are no locks at
all (NFS refuses them for directories, some FUSE file systems for everything), a workspace lives without a lease, and no
sweep touches it. That is logged once for each root.
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

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class Lease:
    """Protect the workspace at `path` from sweeps.

    The protection ends with `let_go` or `release`, or when this process ends. The directory has mode 0700 from the
    beginning.

    Attributes:
        directory: a descriptor of the workspace; None where directories have none.
        held: whether the lock is held; False from the beginning where the file system has no locks.

    Raises:
        BlockingIOError: if the lease is held already, by this process or another.
        FileNotFoundError: if the workspace is gone, or another one has its name.
        OSError: if it cannot be opened; it is no directory, for one.
    """

    __slots__ = ("_locked", "_owner", "directory", "held")

    def __init__(self, path: str) -> None:
        self.directory: int | None = None
        self.held = False
        self._owner = os.getpid()
        if BY_DESCRIPTOR:
            self._locked = self.directory = open_directory(path)
        else:
            self._locked = os.open(os.path.join(path, _LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)  # noqa: PTH118  # text
        try:
            self._take(path)
        except BaseException:
            self.release()
            raise

    def _take(self, path: str) -> None:
        try:
            _lock(self._locked)
            self.held = True
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        if self.directory is None:
            return  # elsewhere, an open file keeps its directory in place
        if not is_at(path, self.directory):
            raise FileNotFoundError(errno.ENOENT, "another directory has the workspace's name")
        if self.held:
            own_mode(self.directory)

    def let_go(self) -> None:
        """Free the lease and keep the descriptor.

        In a forked child this does nothing.
        """
        if self.held and os.getpid() == self._owner:
            self.held = False
            with suppress(OSError):
                _unlock(self._locked)

    def release(self) -> None:
        """Free the lease and close the descriptor, if that was not done before.

        A forked child only closes its copy: unlocking would take the lease from its parent.
        """
        self.let_go()
        locked, self._locked = self._locked, -1
        if locked >= 0:
            os.close(locked)


def is_at(path: str, directory: int) -> bool:
    """Return whether `path` is the open directory itself.

    A symbolic link to it does not count.

    Raises:
        FileNotFoundError: if it leads nowhere.
    """
    return os.path.samestat(os.fstat(directory), os.lstat(path))


def open_directory(path: str, above: int | None = None) -> int:
    """Return a descriptor of a directory, but follow no symbolic link.

    One that its owner cannot read gets mode 0700 first, if it is ours to change.
    """
    with suppress(PermissionError):
        return os.open(path, _DIRECTORY, dir_fd=above)
    with suppress(OSError):
        if sys.platform == "linux":
            handle = os.open(path, os.O_PATH | _DIRECTORY, dir_fd=above)  # names the directory without reading it
            try:
                os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101  # a descriptor, not a path
            finally:
                os.close(handle)
        else:
            os.chmod(path, 0o700, dir_fd=above, follow_symlinks=False)
    return os.open(path, _DIRECTORY, dir_fd=above)


def own_mode(directory: int) -> None:
    """Give an open directory mode 0700, if it is ours to change.

    It uses the descriptor, since another directory may have the name by now.
    """
    with suppress(OSError):
        if stat.S_IMODE(os.fstat(directory).st_mode) != 0o700:
            os.fchmod(directory, 0o700)
