"""What a reader gives: text, remarks, data or a refusal, in frames that the parent takes apart.

A frame is one byte of kind, four bytes of length (big-endian) and as many bytes. The parent believes none of it: a
converter that was taken over may write anything.
"""

import time
from collections.abc import Iterable, Mapping
from typing import IO, Final, NoReturn

from staging.llm._converter.bounds import SOFT_SECONDS

TEXT, REMARK, DATA, REFUSAL = b"t", b"r", b"d", b"x"
HEADER_BYTES = 5
MAX_CHARS = 2_000_000  # characters of text that one file may give
MAX_REMARK = 300  # characters
CANNOT_FORK = 1_000_000  # a status that no process has; the error number is added
PIECE = 16_384  # characters of text in a frame

ENCRYPTED: Final = "encrypted"
RATIO: Final = "ratio"
ENTITIES: Final = "entities"
EMPTY: Final = "empty"
MEMORY: Final = "memory"
BROKEN: Final = "broken"
PIXELS: Final = "pixels"
NO_FIT: Final = "no_fit"
SLOW: Final = "slow"

REASONS: Mapping[str, str] = {
    ENCRYPTED: "it is encrypted",
    RATIO: "it expands to far more than its size",
    ENTITIES: "it declares a document type or entities",
    EMPTY: "there is no text in it; it may be a scan",
    MEMORY: "it needs too much memory",
    BROKEN: "it is damaged or of a kind that cannot be read",
    PIXELS: "it has too many pixels",
    NO_FIT: "it cannot be made small enough",
    SLOW: "reading it takes too long",
}
"""The closed list of refusals: key, and the words that the parent shows."""


class RefusedError(Exception):
    """The file is not converted; the only argument is a key of `REASONS`."""


def refuse(reason: str) -> NoReturn:
    """Raise `RefusedError` for one of `REASONS`."""
    raise RefusedError(reason)


def frame(kind: bytes, content: bytes) -> bytes:
    """Return `content` as the parent expects it."""
    return kind + len(content).to_bytes(4, "big") + content


class Output:
    """Where a reader's findings go: at most `MAX_CHARS` characters, and text only until the soft deadline."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._left = MAX_CHARS
        self.blank = True

    def text(self, text: str) -> None:
        """Write `text`; NUL goes, and a lone surrogate (PDF has them) becomes a question mark: JSON takes neither."""
        text = text[: self._left].replace("\0", "")
        text = text.lstrip("\n") if self.blank else text
        self._left -= len(text)
        self.blank = self.blank and not text.strip()
        for start in range(0, len(text), PIECE):  # a frame is held whole by the parent
            self._write(TEXT, text[start : start + PIECE].encode("utf-8", "replace"))

    def remark(self, words: str) -> None:
        """Tell in a few words what the reader's text should be known by: what was left out, or is not certain."""
        self._write(REMARK, words[:MAX_REMARK].encode("utf-8", "replace"))

    def data(self, data: bytes) -> None:
        """Write one whole thing of bytes, such as a picture."""
        self._write(DATA, data)

    def refuse(self, reason: str) -> NoReturn:
        """End the conversion for one of `REASONS`; what was written is not shown."""
        refuse(reason)

    def end(self, reason: str) -> None:
        """Tell the parent that the conversion was refused."""
        self._write(REFUSAL, reason.encode("ascii"))

    @property
    def full(self) -> bool:
        """Whether no more text is wanted."""
        return self._left <= 0 or time.process_time() > SOFT_SECONDS

    def until_full(self, parts: Iterable[str], *, unit: str) -> None:
        """Write every part; when it is full before the end, say after how many `unit` it stopped."""
        cut = ""
        for count, part in enumerate(parts):
            if self.full:
                cut = f"\n[… the rest was not read, after {count:,} {unit} …]\n"
                break
            self.text(part)
        if self.blank:
            refuse(SLOW if cut else EMPTY)
        self._write(TEXT, cut.encode())

    def _write(self, kind: bytes, content: bytes) -> None:
        if content:
            self._out.write(frame(kind, content))
