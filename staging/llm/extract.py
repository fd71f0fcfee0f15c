"""From one staged file to its text, or to the reason why there is none.

Plain text is decoded in a worker thread, in pieces. Whatever needs a parser (PDF, Office, HTML) is read by a process
that can be killed (`_process`), since hostile input can hold any parser for ever. Neither ever holds a whole file.
"""

import importlib.util
import time
from collections import deque
from dataclasses import dataclass
from typing import IO

import anyio
import anyio.to_thread

from staging._models import StagedFile
from staging._text import one_line
from staging.llm._converter.output import MAX_CHARS
from staging.llm._converter.plain import charset_of_bom, text_pieces, utf8_or
from staging.llm._files import UnreadableError, reading, staged
from staging.llm._process import convert

_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = _OFFICE + "wordprocessingml.document"
XLSX = _OFFICE + "spreadsheetml.sheet"
PDF = "application/pdf"
HTML = "text/html"

_TASKS = {PDF: "pdf", DOCX: "docx", XLSX: "xlsx", HTML: "html"}
_REMARKS = {PDF: "the text of a PDF", DOCX: "the text of a document", XLSX: "sheets as CSV", HTML: "the text of a page"}
_EXTRAS = {PDF: ("pypdf", "pdf"), XLSX: ("openpyxl", "office")}

FALLBACK = "windows-1252"
"""How text is decoded that has no byte order mark and is not UTF-8: the most common of the old encodings, and the
default of browsers (WHATWG Encoding, 4.2 and HTML, 13.2.3.2). It is a guess, and the heading says so."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning and the end of a text, and how long the whole of it is.

    Attributes:
        head: the beginning; all of it if nothing is omitted.
        tail: the end; empty if nothing is omitted.
        total: characters of the whole.
        remark: how it was read, in a few words for the heading.
        converted: whether it is a rendering, not the file's own text.
    """

    head: str
    tail: str = ""
    total: int = 0
    remark: str = ""
    converted: bool = False

    @property
    def omitted(self) -> int:
        """Characters between head and tail."""
        return self.total - self.kept

    @property
    def kept(self) -> int:
        """Characters in head and tail."""
        return len(self.head) + len(self.tail)

    def cut(self, share: int) -> "Excerpt":
        """Return an excerpt of at most `share` characters: two thirds from the beginning, the rest from the end."""
        if self.kept <= share:
            return self
        end = share // 3
        ending = (self.head + self.tail if self.omitted == 0 else self.tail)[-end:] if end else ""
        return Excerpt(self.head[: share - end], ending, self.total, self.remark, self.converted)


class _Collector:
    """Takes a text in pieces and keeps no more of it than an excerpt of `keep` characters needs."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._head: list[str] = []
        self._room = keep
        self._tail: deque[str] = deque()
        self._kept = 0  # characters in the tail
        self._total = 0

    def take(self, text: str) -> None:
        """Add a piece."""
        self._total += len(text)
        if self._room:
            self._head.append(text[: self._room])
            text = text[self._room :]
            self._room -= len(self._head[-1])
        if text and self._keep:
            self._tail.append(text)
            self._kept += len(text)
            while self._kept - len(self._tail[0]) >= self._keep:
                self._kept -= len(self._tail.popleft())

    def excerpt(self, remark: str, *, converted: bool = False) -> Excerpt:
        """Return what was kept, at most `keep` characters."""
        return Excerpt("".join(self._head), "".join(self._tail), self._total, remark, converted).cut(self._keep)


def has_text(file: StagedFile) -> bool:
    """Whether the observed type is one that `text_of` reads."""
    return _is_plain(file.media_type) or file.media_type in _TASKS


def _is_plain(media_type: str) -> bool:
    if media_type == HTML:
        return False
    return media_type.startswith("text/") or media_type.endswith(("/json", "/xml", "+json", "+xml"))


async def text_of(file: StagedFile, keep: int) -> Excerpt:
    """Return the text of a staged file, of which no more than `keep` characters are kept.

    Raises:
        UnreadableError: with the reason, if there is no text or it cannot be had.
    """
    if file.size == 0:
        raise UnreadableError("it is empty")
    if _is_plain(file.media_type):
        return await anyio.to_thread.run_sync(_read, file, keep)
    if file.media_type in _TASKS:
        return await _convert(file, keep)
    raise UnreadableError(f"{one_line(file.media_type)} is not text")


def _read(file: StagedFile, keep: int) -> Excerpt:
    collector = _Collector(keep)
    with reading(file) as handle:
        charset = charset_of_bom(handle.read(4)) or utf8_or(_Yielding(handle), FALLBACK)
        for piece in text_pieces(_Yielding(handle), charset):
            collector.take(piece)
    return collector.excerpt(f"decoded as {FALLBACK}, which is a guess" if charset == FALLBACK else "")


class _Yielding:
    """A file whose every read lets other threads run first: decoding holds the GIL for the piece in between."""

    def __init__(self, source: IO[bytes]) -> None:
        self.seek = source.seek
        self._read = source.read

    def read(self, size: int = -1, /) -> bytes:
        time.sleep(0)
        return self._read(size)


async def _convert(file: StagedFile, keep: int) -> Excerpt:
    media_type = file.media_type
    if media_type in _EXTRAS:
        await anyio.to_thread.run_sync(require, *_EXTRAS[media_type])
    collector = _Collector(keep)
    async with staged(file) as handle:
        await convert(handle, _TASKS[media_type], limit=5 * MAX_CHARS, take=collector.take)
    return collector.excerpt(_REMARKS[media_type], converted=True)


def require(module: str, extra: str) -> None:
    """Check that an optional library is there, without importing it.

    Raises:
        UnreadableError: if it is not, naming what to install.
    """
    if not is_there(module):
        raise UnreadableError(f"reading it needs: pip install 'attachment-staging[{extra}]'")


def is_there(module: str) -> bool:
    """Whether a library is installed; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
