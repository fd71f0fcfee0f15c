"""Open a staged file, or tell why it is not what was staged."""

import contextlib
import errno
import io
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from staging._models import Outcome, StagedFile
from staging._text import format_size, one_line
from staging._threads import in_thread

T = TypeVar("T")


class Stage(Protocol):
    """What the hand-off needs of an `AttachmentStage`."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Return all outcomes, in order of intake."""
        ...

    def context(
        self,
        *,
        urls: Literal["bare", "full", "hide"] = ...,
        paths: bool = ...,
        path_map: Mapping[str | os.PathLike[str], str | os.PathLike[str]] | None = ...,
    ) -> str:
        """Return the context block.

        Raises `StageClosedError` outside the stage's scope.
        """
        ...


def require_stage(stage: object) -> None:
    """Raise `TypeError` for what is no stage, such as its files."""
    if isinstance(stage, type) or not callable(getattr(stage, "context", None)):
        raise TypeError(f"stage must be an open AttachmentStage; this is {one_line(repr(stage), limit=60)}")


class UnreadableError(Exception):
    """Says that one attachment cannot be shown.

    Its text is the reason, in one line for a model and a person.
    """


_GONE = {
    errno.ENOENT: "it was deleted after it was staged",
    errno.ENOTDIR: "it was deleted after it was staged",
    errno.ELOOP: "it was replaced by a link after it was staged",
}


def open_staged(file: StagedFile) -> io.BufferedReader:
    """Open the file that was staged, and nothing that took its place.

    A link is not followed, and a pipe does not block. What is not a regular file of the staged size is refused. Another
    regular file of the same size is not noticed. Its content is read, under the same bounds.

    Raises:
        UnreadableError: if it is not there any more, or is something else.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        before = os.lstat(file.path)
        descriptor = os.open(file.path, flags)
    except OSError as error:
        raise UnreadableError(_GONE.get(error.errno or 0) or f"it cannot be opened ({error_code(error)})") from None
    with contextlib.ExitStack() as refused:
        refused.callback(os.close, descriptor)
        now = os.fstat(descriptor)
        if stat.S_ISLNK(before.st_mode) or not os.path.samestat(before, now):
            raise UnreadableError(_GONE[errno.ELOOP])
        if not stat.S_ISREG(now.st_mode):
            raise UnreadableError("it was replaced by something that is not a file")
        if now.st_size != file.size:
            change = f"{format_size(file.size)} then, {format_size(now.st_size)} now"
            raise UnreadableError(f"it was changed after it was staged: {change}")
        opened = open(descriptor, "rb")  # noqa: PTH123, SIM115  # the caller closes it; a descriptor has no path
        refused.pop_all()
        return opened


def error_code(error: OSError) -> str:
    """Return the name of an operating system's error, such as ``EACCES``.

    Its message may hold a path.
    """
    return errno.errorcode.get(error.errno or 0, "unknown error")


async def read(file: StagedFile, function: Callable[[io.BufferedReader], T]) -> T:
    """Return what a function makes of a staged file, in a worker thread.

    The disk's errors become reasons.
    """

    def work() -> T:
        with open_staged(file) as handle:
            try:
                return function(handle)
            except OSError as error:
                raise UnreadableError(f"it cannot be read ({error_code(error)})") from None

    return await in_thread(work)


@contextlib.asynccontextmanager
async def staged(file: StagedFile) -> AsyncIterator[io.BufferedReader]:
    """Hold a staged file open, opened off the event loop.

    The worker itself hands the file over for closing: what it returns is lost if the call is cancelled meanwhile.
    """
    with contextlib.ExitStack() as opened:
        yield await in_thread(lambda: opened.enter_context(open_staged(file)))
