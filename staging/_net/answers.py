"""What a response's head means for a download, decided without any I/O."""

import re
from contextlib import suppress
from typing import NamedTuple

from staging._errors import DownloadError, Reason
from staging._late import importing
from staging._rare import rare
from staging._text import one_line

REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4
WHOLE = frozenset({200, 203})  # 203: the same, as a proxy on the way has changed it (RFC 9110 section 15.3.4)
TRANSIENT = frozenset({408, 425, 429})  # and 5xx (RFC 9110 section 15, RFC 8470, RFC 6585)

_STRONG_ETAG = re.compile(rb'"[!#-~\x80-\xff]*"')  # RFC 9110 section 8.8.3; what is no tag is not sent back
_STATUS_REASONS: dict[int, tuple[Reason, str]] = {
    401: ("forbidden", "forbidden"),
    403: ("forbidden", "forbidden"),
    404: ("not_found", "not found"),
    410: ("not_found", "gone"),
}

# Words that servers put into Content-Encoding and that code nothing: names of charsets, of MIME's transfer encodings
# (RFC 2045 section 6), of protocols, and of nothing at all.
_IDLE_WORD = rare(
    r"(?:x-)?(?:identity|none|null|undefined|false|no|off|plain|text|raw|default|binary|[78]bit|chunked|aws-chunked"
    r"|amz-1\.0|(?:us-)?ascii|ansi|utf-?(?:7|8|16|32)(?:-?[lb]e|-?sig|mb4)?|iso-?8859-?[0-9]{1,2}|latin-?[0-9]"
    r"|(?:windows|cp)-?[0-9]{3,4}|koi8-[ru]|gbk|gb2312|gb18030|big5|shift[_-]jis|euc-(?:jp|kr))"
)
_SAME_CODING = {"x-gzip": "gzip", "x-compress": "compress", "x-deflate": "deflate", "x-zstd": "zstd", "x-br": "br"}
_CODED_NAMES = {  # files that are the coding itself, by the ends of their names
    "gzip": (".gz", ".tgz", ".taz", ".gzip", ".svgz", ".vgz", ".emz", ".wmz", ".cpgz", ".adz"),
    "compress": (".z", ".taz"),
    "br": (".br",),
    "zstd": (".zst", ".zstd", ".tzst"),
    "deflate": (".zz", ".zlib"),
}


class Version(NamedTuple):
    """The version of a file whose first bytes are in a part file.

    Args:
        etag: the validator of the version.
        length: bytes of the whole.
        disposition: the Content-Disposition field, which may hold a name.
        codings: what was applied to the bytes, and is no part of the file.
    """

    etag: bytes | None = None
    length: int | None = None
    disposition: bytes | None = None
    codings: tuple[str, ...] = ()

    @property
    def resumable(self) -> bool:
        """Whether a server can be asked for the rest of this version.

        That needs a strong ETag (RFC 9110 section 8.8.3.2).
        """
        return self.length is not None and self.etag is not None and _STRONG_ETAG.fullmatch(self.etag) is not None


def text(value: bytes | None) -> str:
    """Return a field's value as stripped text, empty for None."""
    return (value or b"").decode("latin-1").strip()


def codings(value: bytes | None) -> tuple[str, ...]:
    """Return the codings that a Content-Encoding field names (RFC 9110 section 8.4).

    Words that stand for no coding are left out.
    """
    if value is None:
        return ()
    words = (word.strip(" \t") for word in text(value).lower().split(","))
    return tuple(_SAME_CODING.get(word, word) for word in words if word and not _IDLE_WORD.fullmatch(word))


def is_coded_file(name: str, applied: tuple[str, ...]) -> bool:
    """Return whether a file's name says that it is coded data.

    For example, ``a.tar.gz`` is gzip data by itself.
    """
    return len(applied) == 1 and name.lower().endswith(_CODED_NAMES.get(applied[0], ()) or "\0")


def coded(applied: tuple[str, ...]) -> DownloadError:
    """Return the error for a content coding that was not asked for."""
    words = one_line(", ".join(applied), limit=40)
    return DownloadError("encoding", f"the server sent a {words} encoding nobody asked for")


def status_error(status: int) -> DownloadError:
    """Return the error for a status that is no success."""
    transient = status in TRANSIENT or 500 <= status <= 599
    reason, words = _STATUS_REASONS.get(status, ("http_status", "the server answered"))
    detail = f"{words} (HTTP {status})" if status in _STATUS_REASONS else f"{words} HTTP {status}"
    return DownloadError(reason, detail, status=status, retryable=transient)


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None.

    See RFC 9110 section 10.2.3.

    Args:
        value: delta-seconds or an HTTP date.
        now: the wall clock, since the date is one.
    """
    if value.isascii() and value.isdigit():
        return float(value[:12])
    with importing():
        import email.utils  # noqa: PLC0415  # most servers send seconds
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value[:100]).timestamp() - now)
    return None
