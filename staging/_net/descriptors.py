"""How to recognise that a process has no free descriptor."""

import errno
import os

from staging._errors import WorkspaceError

_FEW = 8
_NUMBERS = {
    errno.EMFILE: "this process has no file descriptor left (EMFILE)",
    errno.ENFILE: "this machine has no file descriptor left (ENFILE)",
    errno.ENOBUFS: "this machine has no memory left for a connection (ENOBUFS)",
    errno.ENOMEM: "this machine has no memory left (ENOMEM)",
}


def exhausted(error: BaseException) -> WorkspaceError | None:
    """Return the failure if `error` means that no descriptor is free.

    A resolver, an import and OpenSSL fail in their own words when they cannot open a file, so the number of the error
    may not show it. Then opening a few is tried, since a look-up takes several. If that works, it returns None.
    """
    number = getattr(error, "errno", None)
    if number not in _NUMBERS:
        opened: list[int] = []
        try:
            opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_FEW))
        except OSError as found:
            number = found.errno
        finally:
            for descriptor in opened:
                os.close(descriptor)
    return WorkspaceError("storage", _NUMBERS[number], number, retryable=True) if number in _NUMBERS else None
