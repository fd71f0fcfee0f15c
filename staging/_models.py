"""Values for attachments, their outcomes and the limits of a stage.

All of them are frozen. They are checked when they are made, so one that exists can be used.
"""

import inspect
import math
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from staging._errors import REASONS, DownloadError, Reason, RejectedError, StagingError, WorkspaceError
from staging._rare import rare
from staging._readable import Readable
from staging._text import bare_url, format_size, one_line

MB = 1_048_576
MAX_SIZE = 2**63 - 1  # the largest offset that a file can have

Kind = Literal["file", "image", "video", "audio", "url", "embed"]
_KINDS: tuple[Kind, ...] = get_args(Kind)

_FIELD_NAME = rare(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # RFC 9110, sections 5.1 and 5.6.2
_VISIBLE = r"[\x21-\x7e\x80-\xff]"
_FIELD_VALUE = rare(rf"(?:{_VISIBLE}(?:[\t\x20-\x7e\x80-\xff]*{_VISIBLE})?)?")  # RFC 9110, section 5.5

K = TypeVar("K")
V = TypeVar("V")


class _ReadOnly(dict[K, V]):
    """Holds a mapping that cannot be changed.

    It is a dict, so that `dataclasses.asdict`, JSON and pickle take it.
    """

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("this mapping cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment,unused-ignore]  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


@dataclass(frozen=True, slots=True)
class Attachment(metaclass=Readable):
    """Holds what a sender refers to.

    Every field is a claim. Its form was checked when it was made, and nothing else about it is trusted.

    `AttachmentStage.download` makes these of whatever it is given; make one yourself to say more than a URL.

    Args:
        url: where the bytes are; may be empty if there is `data`, or a `source` that has the bytes.
        name: the file's name as the sender gave it, raw.
        kind: ``file``, ``image``, ``video``, ``audio``; or ``url`` and ``embed``, which are not downloaded.
        media_type: the claimed MIME type.
        size: the claimed size in bytes; over the limit it is refused unasked, and where the server declares no length,
            a body of another size is a failure.
        description: the claimed alt text.
        headers: extra request headers (a token, say), sent to the URL's own origin only, never after a redirect to
            another one, and never shown.
        data: the bytes themselves, in place of a URL; never shown.
        source: the object that this was made from; for a mapping, `as_dict` of the outcome hands its keys back.

    Raises:
        TypeError: if a field is of another type.
        ValueError: if a field has a value that cannot be used: a blank URL, an unknown kind, a negative size, a header
            that is not one line. The message names the field and shows no secret.
    """

    url: str
    _: KW_ONLY
    name: str | None = None
    kind: Kind = "file"
    media_type: str | None = None
    size: int | None = None
    description: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False, hash=False)
    data: bytes | None = field(default=None, repr=False, hash=False)
    source: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        claims: tuple[Any, ...] = self.url, self.name, self.media_type, self.description  # whatever a caller gives
        data: Any = self.data
        if claims[0] is None or not {*map(type, claims)} <= _MAYBE_TEXT:
            _require_texts(claims)
        if self.kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, not {_shown(self.kind)}")
        if self.size is not None:
            _require_size(self.size)
        if self.headers is not _NO_HEADERS:
            object.__setattr__(self, "headers", checked_headers(self.headers))
        if data is not None:
            if not isinstance(data, bytes | bytearray | memoryview):
                raise TypeError(f"data must be bytes, not {_shown(data)}")
            object.__setattr__(self, "data", bytes(data))  # of bytes, the same object
        if not self.url.strip() and data is None and self.source is None and self.kind != "embed":
            raise ValueError("an attachment needs a url, or data")

    def __repr__(self) -> str:
        shown: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "media_type": self.media_type,
            "size": self.size,
            "description": self.description,
        }
        claims = "".join(f", {key}={one_line(repr(value))}" for key, value in shown.items() if value is not None)
        data = "" if self.data is None else f", data=<{format_size(len(self.data))}>"
        return f"Attachment({bare_url(self.url)!r}{claims}{data})"


_MAYBE_TEXT = frozenset({str, type(None)})  # what nearly all are; a kind of text is looked at closely
_NO_HEADERS: Mapping[str, str] = _ReadOnly()


def checked_headers(headers: Any) -> Mapping[str, str]:
    """Return a read-only copy of request headers that can be sent.

    Raises:
        TypeError: if they are no mapping of text to text.
        ValueError: if a name is no token, or a value not one line (RFC 9110, sections 5.1 and 5.5), without the value.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, not {_shown(headers)}")
    checked: _ReadOnly[Any, Any] = _ReadOnly(headers)
    for name, value in checked.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("headers must map text to text")
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError("headers: a name is not a token")
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"headers: the value of {one_line(name, limit=60)} is not one line of text")
    return checked


def is_size(value: Any) -> bool:
    """Tell whether this is a size in bytes that a file can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE


def _require_texts(claims: tuple[Any, ...]) -> None:
    for name, claim in zip(("url", "name", "media_type", "description"), claims, strict=True):
        if not isinstance(claim, str) and (claim is not None or name == "url"):
            raise TypeError(f"{name} must be text, not {_shown(claim)}")


def _require_size(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"size must be a whole number of bytes, not {_shown(value)}")
    if not is_size(value):
        raise ValueError(f"size must be a number of bytes that a file can have, not {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a wrong value as an error message shows it.

    The secrets of a text are left out.
    """
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= MAX_SIZE):
        return repr(value)
    if isinstance(value, str):
        return one_line(repr(bare_url(value)), limit=60)
    return "None" if value is None else one_line(type(value).__qualname__, limit=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome(metaclass=Readable):
    """Holds what every outcome has."""

    attachment: Attachment
    name: str

    @property
    def downloaded(self) -> bool:
        """Tell whether the bytes are on disk."""
        return isinstance(self, StagedFile)

    @property
    def local_path(self) -> str | None:
        """Return the absolute path of the staged file, if there is one."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as a dictionary.

        It has what the caller's own mapping has, or else `url`, `filename` and `type`. `local_path` and `downloaded`
        are added.
        """
        source = self.attachment.source
        own = {"url": self.attachment.url, "filename": self.name, "type": self.attachment.kind}
        with suppress(Exception):  # a foreign mapping may raise anything
            own = dict(source) if isinstance(source, Mapping) else own
        return {**own, "local_path": self.local_path, "downloaded": self.downloaded}


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile(_Outcome):
    """An attachment whose complete file is at `path`.

    No half-written file ever had that name. The object is a path itself: ``open(file)`` and ``Path(file)`` work.

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
    def local_path(self) -> str | None:
        """Return the absolute path, as text."""
        return os.fspath(self.path)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @property
    def claimed_media_type(self) -> str | None:
        """Return what the sender said the type is."""
        return self.attachment.media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(_Outcome):
    """An attachment that was not staged, and the reason.

    It has an attachment and a name, as `StagedFile`.

    Attributes:
        reason: one word of the closed list `Reason`, to `match` on.
        detail: one line for a person, the sender too: no secrets, and no advice for programmers.
        hint: what a programmer can do about it, for the log alone; empty if nothing.
        retryable: whether the same attachment may succeed later.
        attempts: how many requests were made; 0 if it was refused before any.
        error: the same as an exception, for callers who want to raise it. It has the facts as fields (`limit`, `size`,
            `host`, `status`), and its ``__cause__`` is what a client of your own raised.
    """

    reason: Reason
    detail: str
    retryable: bool
    attempts: int
    error: StagingError = field(repr=False, compare=False)
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what every outcome returns, and the detail as `error`."""
        return {**_Outcome.as_dict(self), "error": self.detail}


if Failure.__doc__:  # with -OO there is none
    _reasons = "\n".join(f"* ``{reason}``: {because.meaning}" for reason, because in REASONS.items())
    Failure.__doc__ = f"{inspect.cleandoc(Failure.__doc__)}\n\nThe reasons:\n\n{_reasons}"


def failure(attachment: Attachment, name: str, error: StagingError) -> Failure:
    """Return what an error means for an attachment.

    Raises:
        StagingError: the error itself, if it is not about an attachment.
    """
    if not isinstance(error, RejectedError | DownloadError | WorkspaceError):
        raise error
    return Failure(
        attachment=attachment, name=name, reason=error.reason, detail=error.detail, hint=error.hint,
        retryable=error.retryable, attempts=error.attempts, error=error,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(_Outcome):
    """An attachment that was not wanted.

    It has an attachment and a name, as `StagedFile`, but neither a file nor a failure.

    Attributes:
        reason: ``link`` for a plain link, ``embed`` for a part that is no file, ``type`` for what `accept` leaves out.
    """

    reason: Literal["link", "embed", "type"]


Outcome = StagedFile | Failure | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(metaclass=Readable):
    """The numbers that limit a stage.

    Every ``max_`` is inclusive. One MB is 1,048,576 bytes. Times are in seconds.

    Args:
        max_mb: MB of one file; more fails with ``too_large``, before the body if a size is known.
        max_total_mb: MB that one stage may hold; more fails with ``budget``.
        max_files: files that one stage takes; more fail with ``too_many``.
        timeout: seconds for one download, redirects, retries and body included; then it fails with ``timeout``.
        idle_timeout: seconds without a byte (or up to an eighth more); then it fails with ``stalled``.
        batch_timeout: seconds for one call of `download`, if it is given no ``timeout``; what has not arrived by then
            fails with ``deadline``.
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
    batch_timeout: float = 600
    concurrency: int = 8
    retries: int = 2
    min_free_mb: float = 64

    def __post_init__(self) -> None:
        for name in ("max_mb", "max_total_mb", "timeout", "idle_timeout", "batch_timeout"):
            require_number(name, getattr(self, name), zero=False)
        require_number("min_free_mb", self.min_free_mb, zero=True)
        for name, least in (("max_files", 1), ("concurrency", 1), ("retries", 0)):
            _require_count(name, getattr(self, name), least)

    @property
    def max_bytes(self) -> int:
        """Return `max_mb` in bytes."""
        return to_bytes(self.max_mb)

    @property
    def max_total_bytes(self) -> int:
        """Return `max_total_mb` in bytes."""
        return to_bytes(self.max_total_mb)

    @property
    def min_free_bytes(self) -> int:
        """Return `min_free_mb` in bytes."""
        return to_bytes(self.min_free_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaStats(metaclass=Readable):
    """What an area does now, and what it did since its start.

    Attributes:
        stages_open: stages that are entered and not left.
        downloads_running: downloads that have a turn.
        downloads_waiting: downloads that wait for one.
        bytes_held: bytes on disk now, those that are still coming in included.
        staged: files staged.
        bytes_staged: their bytes.
        failures: how many failures there were of each reason; reasons without any are left out.
        removed: staged files that were deleted.
        leftovers: what could not be deleted and was left to the next sweep.
        orphans_swept: workspaces of dead processes that were removed.
    """

    stages_open: int = 0
    downloads_running: int = 0
    downloads_waiting: int = 0
    bytes_held: int = 0
    staged: int = 0
    bytes_staged: int = 0
    failures: Mapping[Reason, int] = field(default_factory=dict, hash=False)
    removed: int = 0
    leftovers: int = 0
    orphans_swept: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "failures", _ReadOnly(self.failures))


def to_bytes(mb: float) -> int:
    """Return megabytes as a whole number of bytes.

    Infinity becomes the largest size there is.
    """
    return sys.maxsize if math.isinf(mb) else int(mb * MB)


def require_number(name: str, value: Any, *, zero: bool) -> None:
    """Raise ValueError unless `value` is a number above zero.

    The message names the field. With `zero`, zero is allowed too.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")  # noqa: TRY004  # the contract says ValueError
    if not value >= 0 or (value == 0 and not zero):  # NaN is neither
        raise ValueError(f"{name} must be {'zero or more' if zero else 'more than zero'}, not {value!r}")
    if math.inf > value > sys.float_info.max:  # a whole number of hundreds of digits
        raise ValueError(f"{name} must be a number that fits a float, or infinity")


def _require_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of {least} or more, not {value!r}")
