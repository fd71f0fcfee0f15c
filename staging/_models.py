"""The values: what was asked for, what became of it, and the numbers that bound it. Frozen, and never half-valid."""

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from staging._errors import Reason, StagingError
from staging._text import bare_url, format_size, one_line

MB = 1_048_576

Kind = Literal["file", "image", "video", "audio", "url", "embed"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a sender refers to. Every field is a claim: nothing in it has been looked at, and nothing is trusted.

    `AttachmentStage.download` makes these of whatever it is given; make one yourself to say more than a URL.

    Args:
        url: where the bytes are; the only field that is needed.
        name: the file's name as the sender gave it, raw.
        kind: ``file``, ``image``, ``video``, ``audio``; or ``url`` and ``embed``, which are not downloaded.
        media_type: the claimed MIME type.
        size: the claimed size in bytes; over the limit it is refused unasked, and where the server declares no length,
            a body of another size is a failure.
        description: the claimed alt text.
        headers: extra request headers (a token, say), sent to the URL's own origin only, never after a redirect to
            another one, and never shown.
        source: the object that this was made from; for a mapping, `as_dict` of the outcome hands its keys back.
    """

    url: str
    _: KW_ONLY
    name: str | None = None
    kind: Kind = "file"
    media_type: str | None = None
    size: int | None = None
    description: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False, hash=False)
    source: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.headers is not _NO_HEADERS:
            object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not pickle
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return _restore, ({**values, "headers": dict(self.headers)},)

    def __repr__(self) -> str:
        shown: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "media_type": self.media_type,
            "size": self.size,
            "description": self.description,
        }
        claims = "".join(f", {key}={_shown(value)}" for key, value in shown.items() if value is not None)
        return f"Attachment({bare_url(str(self.url))!r}{claims})"


def _shown(value: object) -> str:
    try:
        return one_line(repr(value))
    except ValueError:  # a number of more digits than Python prints
        return "…"


def _restore(values: dict[str, Any]) -> Attachment:
    return Attachment(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What every outcome has: the attachment as it was claimed, and a display name that is safe on one line."""

    attachment: Attachment
    name: str

    @property
    def downloaded(self) -> bool:
        """Whether the bytes are on disk."""
        return False

    @property
    def local_path(self) -> str | None:
        """The absolute path of the staged file, if there is one."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return the caller's own mapping, or `url`, `filename` and `type`, plus `local_path` and `downloaded`."""
        source = self.attachment.source
        own: dict[str, Any] = (
            dict(source)
            if isinstance(source, Mapping)
            else {"url": self.attachment.url, "filename": self.name, "type": self.attachment.kind}
        )
        return {**own, "local_path": self.local_path, "downloaded": self.downloaded}


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile(_Outcome):
    """The complete file is at `path`, under a final name that no half-written file ever had.

    Attributes:
        attachment: what was asked for, as it was claimed.
        name: for display: printable, on one line.
        path: absolute path in the stage's workspace.
        size: bytes on disk.
        media_type: observed from the bytes, whatever was claimed.
    """

    path: Path
    size: int
    media_type: str

    @property
    def downloaded(self) -> bool:
        """True: the bytes are on disk."""
        return True

    @property
    def local_path(self) -> str | None:
        """The absolute path, as text."""
        return os.fspath(self.path)

    @property
    def claimed_media_type(self) -> str | None:
        """What the sender said the type is."""
        return self.attachment.media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(_Outcome):
    """The attachment is not there, and why.

    Attributes:
        attachment: what was asked for, as it was claimed.
        name: for display: printable, on one line.
        reason: one word of the closed list `Reason`, to `match` on.
        detail: one line for a person, without secrets.
        retryable: whether the same attachment may succeed later.
        attempts: how many requests were made; 0 if it was refused before any.
        error: the same as an exception, for callers who want to raise it; its ``__cause__`` is what a client of your
            own raised.

    The reasons, by whose business they are. Refused before or during the download:

    * ``not_allowed``: the policy does not admit scheme, host or port, or the URL is malformed or has a password
    * ``private_address``: the host is, or resolves to, an address that is not public
    * ``too_large``, ``too_many``, ``budget``: over ``max_mb``, ``max_files``, or a ``max_total_mb``
    * ``invalid``: a field of an `Attachment` that cannot be used

    The sender's or the server's:

    * ``expired``: a signed link past its time, and no `refresh` helped
    * ``not_found`` (404, 410), ``forbidden`` (401, 403), ``http_status`` (any other)
    * ``redirects``: too many, in a circle, or to nowhere
    * ``connect``: DNS, TCP or TLS failed
    * ``interrupted``: the connection broke, and the retries ran out
    * ``timeout``, ``stalled``, ``deadline``: over ``timeout``, ``idle_timeout``, or the batch's ``timeout``
    * ``protocol``: what came was not acceptable HTTP
    * ``encoding``: a Content-Encoding that nobody asked for
    * ``size_mismatch``: fewer or more bytes than were declared

    The disk's:

    * ``disk_full``: no space, no quota, or less than ``min_free_mb`` would remain
    * ``storage``: any other file error
    """

    reason: Reason
    detail: str
    retryable: bool
    attempts: int
    error: StagingError = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return what every outcome returns, plus `error`: the detail."""
        return {**_Outcome.as_dict(self), "error": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(_Outcome):
    """A plain link or an embed: it needs no download and has no failure.

    Attributes:
        attachment: what was asked for, as it was claimed.
        name: for display: printable, on one line.
        reason: ``link`` or ``embed``.
    """

    reason: Literal["link", "embed"]


Outcome = StagedFile | Failure | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers of a stage. Every ``max_`` is inclusive, a MB is 1,048,576 bytes, times are in seconds.

    Args:
        max_mb: MB of one file; more fails with ``too_large``, before the body if a size is known.
        max_total_mb: MB that one stage may hold; more fails with ``budget``.
        max_files: files that one stage takes; more fail with ``too_many``.
        timeout: seconds for one download, redirects, retries and body included; then it fails with ``timeout``.
        idle_timeout: seconds without a byte (or up to an eighth more); then it fails with ``stalled``.
        concurrency: downloads at once: of a stage, or of an area over all its stages.
        retries: further attempts after the first, where they may help: broken connections, 408, 425, 429, 5xx.
        min_free_mb: MB that must remain free on the disk; else ``disk_full``.

    Raises:
        ValueError: if a number is nonsense (negative, NaN, zero where that is senseless, not a number), naming the
            field. Infinity is allowed for sizes and times.
    """

    max_mb: float = 50
    max_total_mb: float = 500
    max_files: int = 1000
    timeout: float = 60
    idle_timeout: float = 20
    concurrency: int = 8
    retries: int = 2
    min_free_mb: float = 64

    def __post_init__(self) -> None:
        for name in ("max_mb", "max_total_mb", "timeout", "idle_timeout"):
            require_number(name, getattr(self, name), zero=False)
        require_number("min_free_mb", self.min_free_mb, zero=True)
        for name, least in (("max_files", 1), ("concurrency", 1), ("retries", 0)):
            _require_count(name, getattr(self, name), least)

    @property
    def max_bytes(self) -> int:
        """`max_mb` in bytes."""
        return to_bytes(self.max_mb)

    @property
    def max_total_bytes(self) -> int:
        """`max_total_mb` in bytes."""
        return to_bytes(self.max_total_mb)

    @property
    def min_free_bytes(self) -> int:
        """`min_free_mb` in bytes."""
        return to_bytes(self.min_free_mb)


def to_bytes(mb: float) -> int:
    """Return megabytes as a whole number of bytes; infinity as the largest size there is."""
    return sys.maxsize if math.isinf(mb) else int(mb * MB)


def require_number(name: str, value: Any, *, zero: bool) -> None:
    """Raise ValueError, naming the field, unless `value` is a number above zero (or zero, if `zero`)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")  # noqa: TRY004  # the contract says ValueError
    if math.isnan(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be {'zero or more' if zero else 'more than zero'}, not {value!r}")


def _require_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of {least} or more, not {value!r}")


def describe_limit(size: int, limit: int) -> str:
    """Return the line for a file over a limit: both numbers, told apart, so that a person can act on it."""
    shown = format_size(size)
    if shown == format_size(limit):
        shown = f"{size:,} bytes"
    return f"too large: {shown}, the limit is {format_size(limit)}"
