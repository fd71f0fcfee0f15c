"""Words for what the operating system says about files."""

import errno

from staging._errors import WorkspaceError
from staging._text import one_line

_FULL = {errno.ENOSPC: "no space left on the disk", errno.EDQUOT: "the disk quota is used up"}
_FOR_NOW = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}  # others of this process or machine will end
_WORDS = {
    **_FULL,
    errno.EMFILE: "too many open files in this process (EMFILE)",
    errno.ENFILE: "too many open files on this machine (ENFILE)",
    errno.EFBIG: "over the size that this process or file system allows a file (EFBIG)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EIO: "the disk reported an input/output error",
    errno.ELOOP: "it is a symbolic link, and links are not followed",
    errno.ENOENT: "it is not there, or not any more",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "not a directory",
    errno.EBUSY: "in use, or a mount point",
}


def storage_error(error: OSError, what: str = "") -> WorkspaceError:
    """Return `error` as this library's own, with one line for a person.

    Args:
        error: what the operating system said.
        what: what it was about; put before the detail.

    Returns:
        An error that may help to try again where the disk is full, or too few descriptors are left.
    """
    words = describe(error)
    detail = f"{one_line(what)}: {words}" if what else words
    if error.errno in _FULL:
        return WorkspaceError("disk_full", detail, error.errno)
    return WorkspaceError("storage", detail, error.errno, retryable=error.errno in _FOR_NOW)


def describe(error: OSError) -> str:
    """Return what an error of the operating system means, on one line."""
    return _WORDS.get(error.errno or 0) or one_line(error.strerror or str(error) or type(error).__name__)
