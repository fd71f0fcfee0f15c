"""Errors and the closed list of reasons: whose fault it was, in one word for code and one line for a person."""

from typing import Any, Literal

Reason = Literal[
    "not_allowed",  # scheme, host, port, userinfo or malformed URL
    "private_address",  # the host is, or resolves to, an address that is not public
    "too_large",  # one file over the limit
    "budget",  # the stage's or the process's bytes are spent
    "too_many",  # more attachments than the stage takes
    "expired",  # a signed link past its time
    "not_found",  # 404, 410
    "forbidden",  # 401, 403
    "http_status",  # any other status
    "redirects",  # too many, or one that leads nowhere
    "timeout",  # this download's total time
    "stalled",  # no byte for `idle_timeout`
    "deadline",  # the batch's time
    "connect",  # DNS, TCP, TLS
    "interrupted",  # the connection broke and the retries ran out
    "protocol",  # what came was not acceptable HTTP
    "size_mismatch",  # fewer or more bytes than were declared
    "encoding",  # a Content-Encoding that nobody asked for
    "disk_full",  # no space, no quota, or too little would remain
    "storage",  # any other file error
    "invalid",  # unusable metadata
]


class StagingError(Exception):
    """Base of everything this library raises on purpose; never raised itself. Every subclass pickles.

    Attributes:
        attempts: how many requests had been made when it was raised.
    """

    attempts: int = 0


class RejectedError(StagingError, ValueError):
    """Our decision: a policy or a limit refuses the attachment before or while it is fetched.

    Attributes:
        reason: one word of the closed list `Reason`; `Failure` says what each means.
        detail: one line for a person, without secrets; also ``str(error)``.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class DownloadError(StagingError):
    """Theirs: the network, the status or the body was not what a download needs.

    Attributes:
        reason: one word of the closed list `Reason`; `Failure` says what each means.
        detail: one line for a person, without secrets; also ``str(error)``.
        status: the HTTP status, if one was received.
        attempts: how many requests were made, the first included.
        retryable: whether the same request may succeed later.
    """

    def __init__(
        self, reason: Reason, detail: str, *, status: int | None = None, attempts: int = 0, retryable: bool = False
    ) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail
        self.status = status
        self.attempts = attempts
        self.retryable = retryable

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail), self.__dict__


class WorkspaceError(StagingError, OSError):
    """The disk: the root cannot be used (raised at entry), or a file cannot be written (a `Failure`) or kept (raised).

    Attributes:
        reason: ``disk_full`` or ``storage``.
        detail: one line for a person; also ``str(error)``.
        errno: the operating system's number, if it gave one.
    """

    def __init__(self, reason: Reason, detail: str, errno: int | None = None) -> None:
        super().__init__(errno, detail)
        self.reason: Reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail, self.errno), self.__dict__


class StageClosedError(StagingError, RuntimeError):
    """The caller's: a stage or an area was used outside its scope or in a forked child, or entered twice."""
