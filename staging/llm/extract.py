"""Turn one staged file into its text, or the reason for none.

Plain text is decoded in a worker thread, in pieces. Everything else goes to a process that can be killed (`_process`),
since hostile input can hold any parser for ever. That is whatever needs a parser, and an encoding that only a detector
can tell. Neither ever holds a whole file here.
"""

import importlib.util
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

from staging._claims.kinds import OCTETS
from staging._models import StagedFile
from staging._text import one_line
from staging.llm._converter.clean import Cleaner
from staging.llm._converter.output import MAX_CHARS
from staging.llm._converter.text import Encoding, codec_of_label, decide, looks_like_text, text_pieces
from staging.llm._files import UnreadableError, read, staged
from staging.llm._kinds import PROTECTED, UNLISTED, Reader, extension, is_plain, reader_of
from staging.llm._process import convert

_ROWS = {"csv", "tsv"}
_LINES_OF_A_ROW = 50  # in which the end of a row is sought; a quote that is never closed costs no more
_LABEL = "charset"
_LONGEST_LABEL = 100  # characters; it goes to the converter in one packet


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Holds the beginning and the end of a text, and its whole length.

    Attributes:
        head: the beginning; all of it if nothing is omitted.
        tail: the end. Empty if nothing is omitted.
        total: characters of the whole.
        remark: how it was read, in a few words for the heading.
        converted: whether it is a rendering, not the file's own text.
        language: the fence's info string for a rendering.
        rows: whether quotes may hold a row over several lines.
    """

    head: str
    tail: str = ""
    total: int = 0
    remark: str = ""
    converted: bool = False
    language: str = ""
    rows: bool = False

    @property
    def omitted(self) -> int:
        """Return how many characters lie between head and tail."""
        return self.total - self.kept

    @property
    def kept(self) -> int:
        """Return how many characters head and tail have."""
        return len(self.head) + len(self.tail)

    def cut(self, share: int) -> "Excerpt":
        """Return an excerpt of at most `share` characters.

        Two thirds are from the beginning, and the rest is from the end.
        """
        if self.kept <= share:
            return self
        end = share // 3
        ending = (self.head + self.tail if self.omitted == 0 else self.tail)[-end:] if end else ""
        return replace(self, head=self.head[: share - end], tail=ending)

    def at_lines(self) -> "Excerpt":
        """Return it without the pieces of lines beside the gap.

        Of a table in quotes, the pieces of rows are left out.

        A line that is most of the excerpt stays in pieces, since nothing would be left without it.
        """
        if not self.omitted:
            return self
        tries = range(_LINES_OF_A_ROW if self.rows else 0)
        end = last = self.head.rfind("\n") + 1
        for _ in tries:
            if self.head.count('"', 0, end) % 2 == 0:
                break
            end = self.head.rfind("\n", 0, max(0, end - 1)) + 1
        else:
            end = last
        start = first = self.tail.find("\n") + 1 or len(self.tail)
        for _ in tries:
            if self.tail.count('"', start) % 2 == 0:
                break
            start = self.tail.find("\n", start) + 1 or len(self.tail)
        else:
            start = first
        head = self.head[:end] if end >= len(self.head) * 3 // 4 else self.head
        return replace(self, head=head, tail=self.tail[start:] if start <= len(self.tail) // 4 else self.tail)


class _Collector:
    """Takes a text in pieces, cleans it and keeps an excerpt of `keep` characters."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._cleaner = Cleaner()
        self._head: list[str] = []
        self._room = keep
        self._tail: deque[str] = deque()
        self._kept = 0  # characters in the tail
        self._total = 0

    def take(self, text: str) -> None:
        """Add a piece."""
        self._add(self._cleaner.feed(text))

    def _add(self, text: str) -> None:
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

    def excerpt(self, *remarks: str, converted: bool = False, language: str = "", rows: bool = False) -> Excerpt:
        """Return what was kept, at most `keep` characters."""
        self._add(self._cleaner.close())
        remark = joined(*remarks, self._cleaner.remark())
        head, tail = "".join(self._head), "".join(self._tail)
        return Excerpt(head, tail, self._total, remark, converted, language, rows).cut(self._keep)


def joined(*remarks: object) -> str:
    """Return what is said of one file, in one text."""
    return "; ".join(str(remark) for remark in remarks if remark)


def has_text(file: StagedFile) -> bool:
    """Tell whether `text_of` reads files of the observed type, or knows why it cannot."""
    told = is_plain(file.media_type) or file.media_type == OCTETS or file.media_type in UNLISTED
    return told or reader_of(file) is not None


async def text_of(file: StagedFile, keep: int) -> Excerpt:
    """Return the text of a staged file.

    No more than `keep` characters of it are kept.

    Raises:
        UnreadableError: with the reason, if there is no text or it cannot be had.
    """
    if file.size == 0:
        raise UnreadableError("it is empty")
    if file.media_type in PROTECTED:
        raise UnreadableError("it is encrypted (password-protected)")
    reader = reader_of(file)
    if reader and (is_there(reader.module) if reader.module else True):
        return await _convert(file, reader, keep)
    if reader and not is_plain(file.media_type):
        raise UnreadableError(_needs(reader.extra))
    if is_plain(file.media_type) or file.media_type == OCTETS:
        excerpt = await _read(file, keep)
        return (
            replace(excerpt, remark=joined(excerpt.remark, f"its source; {_needs(reader.extra)}"))
            if reader
            else excerpt
        )
    if file.media_type in UNLISTED:
        raise UnreadableError("it is an archive of a kind that cannot be listed")
    raise UnreadableError(f"{one_line(file.media_type)} is not text")


async def _read(file: StagedFile, keep: int) -> Excerpt:
    excerpt = await read(file, partial(_decoded, file, keep, None))
    if excerpt is not None:
        return excerpt
    if not is_there("charset_normalizer"):
        raise UnreadableError(f"its encoding is not declared; {_needs('text')}")
    answers: list[str] = []
    async with staged(file) as handle:
        answer = await convert(handle, "encoding", limit=10_000, take=answers.append)

    def decoded(handle: IO[bytes]) -> Excerpt | None:  # in a thread, since some codecs are imported only now
        codec = codec_of_label("".join(answers))  # a converter that an attacker controls may say anything
        return _decoded(file, keep, Encoding(codec or "", joined(*answer.remarks)), handle)

    excerpt = await read(file, decoded)
    assert excerpt is not None  # noqa: S101  # its encoding is told
    return excerpt


def _decoded(file: StagedFile, keep: int, encoding: Encoding | None, handle: IO[bytes]) -> Excerpt | None:
    """Return the text, cleaned, or None if only a detector can tell its encoding."""
    source, collector = _Yielding(handle), _Collector(keep)
    if encoding is None:
        if file.media_type == OCTETS and not looks_like_text(handle):
            raise UnreadableError(f"{OCTETS} is not text")
        encoding = decide(source, _declared(file))
    if encoding is None:
        return None
    if not encoding.codec:
        raise UnreadableError("its encoding is not known, and it cannot be decoded")
    for piece in text_pieces(source, encoding.codec):
        collector.take(piece)
    rows = extension(file.name) in _ROWS or file.media_type == "text/csv"
    return collector.excerpt(encoding.remark, rows=rows)


def _declared(file: StagedFile) -> str:
    """Return the charset that the sender or the server named (RFC 9110, 8.3.2)."""
    parameters = (file.attachment.media_type or "").split(";")[1:]
    found = [value for name, _, value in (p.partition("=") for p in parameters) if name.strip().lower() == _LABEL]
    return found[0].strip().strip("\"'")[:_LONGEST_LABEL] if found else ""


class _Yielding:
    """Lets other threads run before every read of a file.

    Decoding holds the GIL for each piece.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self.seek = source.seek
        self._read = source.read

    def read(self, size: int = -1, /) -> bytes:
        time.sleep(0)
        return self._read(size)


async def _convert(file: StagedFile, reader: Reader, keep: int) -> Excerpt:
    collector = _Collector(keep)
    options = {"declared": _declared(file)} if reader.task == "html" else {}  # others tell it themselves
    async with staged(file) as handle:
        answer = await convert(handle, reader.task, limit=5 * MAX_CHARS, take=collector.take, **options)
    rows = reader.language == "csv"
    return collector.excerpt(reader.remark, *answer.remarks, converted=True, language=reader.language, rows=rows)


def _needs(extra: str) -> str:
    return f"reading it needs: pip install 'attachment-staging[{extra}]'"


def require(module: str, extra: str) -> None:
    """Check that an optional library is there, without importing it.

    Raises:
        UnreadableError: if it is not, naming what to install.
    """
    if not is_there(module):
        raise UnreadableError(_needs(extra))


def is_there(module: str) -> bool:
    """Tell whether a library is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
