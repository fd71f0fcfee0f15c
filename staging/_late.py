"""Modules that few processes need, imported where they are needed."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from staging._errors import WorkspaceError


@contextmanager
def importing() -> Iterator[None]:
    """Raise for a failed import what a full process means for an attachment.

    An import opens files, and a sender can choose a moment in which the process has no descriptor left.

    Raises:
        WorkspaceError: ``storage``; it may help to try again.
    """
    try:
        yield
    except (ImportError, OSError, MemoryError) as error:
        detail = "no further file can be opened just now"
        raise WorkspaceError("storage", detail, errno.EMFILE, retryable=True) from error
