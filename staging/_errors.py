"""Errors, and the closed list of reasons.

An error carries its facts as fields: the limit, the size, the host, the status. They become words where they are
shown. `detail` may be shown to all people, the sender included. `hint` is what only a programmer can act on. It goes to
the log, and into tracebacks as a note.
"""

from typing import Any, Literal, NamedTuple

from staging._readable import Readable
from staging._text import describe_limit

Reason = Literal[
    "not_allowed", "private_address", "too_large", "budget", "too_many", "expired", "not_found", "forbidden",
    "http_status", "redirects", "timeout", "stalled", "deadline", "connect", "interrupted", "protocol",
    "size_mismatch", "encoding", "substituted", "disk_full", "storage", "invalid",
]  # fmt: skip


class Because(NamedTuple):
    """What is known of a reason, whichever attachment has it.

    Attributes:
        meaning: for the documentation.
        sentence: what follows the attachment's name in the sentence for the chat.
        retryable: whether the same attachment may succeed later; an error may know better.
    """

    meaning: str
    sentence: str
    retryable: bool = False


REASONS: dict[Reason, Because] = {
    "not_allowed": Because(
        "the policy does not admit scheme, host or port, or the URL is malformed or has a password",
        ": links to this address are not accepted",
    ),
    "private_address": Because(
        "the host is, or resolves to, an address that is not public", ": the link leads to a private address"
    ),
    "too_large": Because("the file is larger than `max_mb`", " is too large"),
    "budget": Because(
        "a `max_total_mb` is spent, the stage's or the area's",
        ": the attachments are too large together",
        retryable=True,
    ),
    "too_many": Because("the stage has `max_files` files", ": there are too many attachments"),
    "expired": Because("a signed link is past its time, and no `refresh` helped", ": the link has expired"),
    "not_found": Because("HTTP 404 or 410", ": the file is no longer there"),
    "forbidden": Because("HTTP 401 or 403", ": the server denied access to it"),
    "http_status": Because("any other HTTP status", ": the server answered with an error"),
    "redirects": Because("too many redirects, a circle, or one to nowhere", ": the link leads nowhere"),
    "timeout": Because("over `timeout`, the time of this download", ": the download took too long", retryable=True),
    "stalled": Because("no byte for `idle_timeout`", ": the download stopped midway", retryable=True),
    "deadline": Because("over the time of the batch", ": there was no time left to download it", retryable=True),
    "connect": Because("DNS, TCP or TLS failed", ": the server could not be reached"),
    "interrupted": Because("the connection broke, and the retries ran out", ": the connection broke", retryable=True),
    "protocol": Because("what came was not acceptable HTTP", ": the server's answer made no sense"),
    "size_mismatch": Because(
        "fewer or more bytes than were declared, or none at all",
        ": it did not arrive in the announced size",
        retryable=True,
    ),
    "encoding": Because("a Content-Encoding that was not asked for", ": the server sent it in an unexpected encoding"),
    "substituted": Because("a web page came instead of the file", ": a web page came in its place"),
    "disk_full": Because(
        "no space, no quota, or less than `min_free_mb` would remain",
        ": there is no space left to store it",
        retryable=True,
    ),
    "storage": Because("any other file error", ": it could not be stored"),
    "invalid": Because("what is known of the attachment cannot be used", ": there is no file to be had"),
}


class StagingError(Exception, metaclass=Readable):
    """Base of everything that this library raises on purpose.

    It is never raised itself. Every subclass pickles with its fields.

    Attributes:
        attempts: how many requests had been made when it was raised.
    """

    attempts: int = 0


class _ReasonedError(StagingError):
    """An error that becomes a `Failure`."""

    def __init__(
        self, reason: Reason, detail: str, *, hint: str = "", limit: float | None = None, size: int | None = None,
        host: str | None = None, retryable: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail
        self.hint = hint
        self.limit = limit
        self.size = size
        self.host = host
        self.retryable: bool = REASONS[reason].retryable if retryable is None else retryable
        if hint:
            self.add_note(hint)  # shown by tracebacks, never by str()

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail), self.__dict__


class RejectedError(_ReasonedError, ValueError):
    """Says that a policy or a limit refuses the attachment.

    Args:
        reason: one word of the closed list `Reason`; `Failure` says what each means.
        detail: one line for a person, without secrets; also ``str(error)``.
        hint: what a programmer can do about it; empty if nothing.
        limit: the number that it went over: bytes, for ``too_many`` files.
        size: the bytes that it has, as far as they are known.
        host: the host that it would have contacted.
        retryable: whether the same attachment may succeed later; None: as for most errors of this reason.
    """


class DownloadError(_ReasonedError):
    """Says that the server or the network did not deliver the file.

    The connection, the status or the body was not what a download needs. It takes the same as `RejectedError`, and:

    Args:
        status: the HTTP status, if one was received.
        attempts: how many requests were made, the first included.
        limit: the number that it went over: seconds, bytes, or redirects.
        size: the bytes that came, where they are the matter.
        host: the host that it contacted.
    """

    def __init__(
        self, reason: Reason, detail: str, *, hint: str = "", status: int | None = None, attempts: int = 0,
        limit: float | None = None, size: int | None = None, host: str | None = None, retryable: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reason, detail, hint=hint, limit=limit, size=size, host=host, retryable=retryable)
        self.status = status
        self.attempts = attempts


class WorkspaceError(_ReasonedError, OSError):
    """Says that the disk does not do what is needed.

    It is raised where the root cannot be used, at entry, and where a file cannot be kept. A file that cannot be written
    becomes a `Failure`. It takes the same as `RejectedError`, but no host, and:

    Args:
        reason: ``disk_full`` or ``storage``.
        errno: the operating system's number, if it gave one.
        limit: the bytes that must remain free, where they are the matter.
        size: the bytes that had to be written.
    """

    def __init__(
        self, reason: Reason, detail: str, errno: int | None = None, *, hint: str = "", limit: float | None = None,
        size: int | None = None, retryable: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reason, detail, hint=hint, limit=limit, size=size, retryable=retryable)
        self.args: tuple[Any, ...] = (errno, detail)
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail, self.errno), self.__dict__


class StageClosedError(StagingError, RuntimeError):
    """Says that a stage or an area cannot be used now.

    It was used outside its scope or in a forked child, or it was entered twice.
    """


def too_large(limit: int, size: int | None = None) -> RejectedError:
    """Return the error for a file over the limit.

    `size` is None where it is not known.
    """
    return RejectedError("too_large", describe_limit(size, limit), limit=limit, size=size)
