"""Write what a reader gives, in frames for the parent.

A frame holds text, a remark, data or a refusal.

A frame is one byte of kind, four bytes of length (big-endian) and as many bytes. The parent trusts none of it, since a
converter that an attacker controls may write anything.
"""

import time
from collections.abc import Mapping
from typing import IO, Final, NoReturn

from staging.llm._converter.bounds import CPU_SECONDS

TEXT, REMARK, DATA, REFUSAL = b"t", b"r", b"d", b"x"
HEADER_BYTES = 5
MAX_CHARS = 4_000_000  # characters of text that one file may give
MAX_REMARK = 300  # characters
BEGUN = b"+"  # on the line of a job: its process is there
CANNOT_FORK = 1_000_000  # a status that no process has; the error number is added
PIECE = 16_384  # characters of text in a frame
CUT = "\n[… the rest was not read, after {} …]\n"
MUCH_TIME = CPU_SECONDS - 1  # processor seconds after which a reader ends by itself
_OFTEN = 0.2  # processor seconds after which the parent is given what there is

# What a text is, for its heading. The parent says it, or of a file whose type its streams alone tell, its reader.
A_DOCUMENT: Final = "a document as Markdown"
SLIDES: Final = "slides as Markdown"
SHEETS: Final = "sheets as CSV with row numbers"
A_MAIL: Final = "a mail"

ENCRYPTED: Final = "encrypted"
RATIO: Final = "ratio"
ENTITIES: Final = "entities"
EMPTY: Final = "empty"
SCAN: Final = "scan"
NO_PAGES: Final = "no_pages"
DEEP: Final = "deep"
MEMORY: Final = "memory"
BROKEN: Final = "broken"
PIXELS: Final = "pixels"
NO_FIT: Final = "no_fit"
STICKER: Final = "sticker"
NEEDS_IMAGES: Final = "needs_images"
NEEDS_HEIF: Final = "needs_heif"
NEEDS_PDF: Final = "needs_pdf"

REASONS: Mapping[str, str] = {
    ENCRYPTED: "it is encrypted (password-protected)",
    RATIO: "it expands to far more than its size",
    ENTITIES: "it declares a document type or entities",
    EMPTY: "there is no text in it",
    SCAN: "there is no text in it; it may be a scan",
    NO_PAGES: "it has no pages",
    DEEP: "it is nested too deeply",
    MEMORY: "it needs too much memory",
    BROKEN: "it is damaged or of a kind that cannot be read",
    PIXELS: "it has too many pixels",
    NO_FIT: "it cannot be made small enough",
    STICKER: "it is an animated sticker, which has no text and is no picture",
    NEEDS_IMAGES: "reading it needs: pip install 'attachment-staging[images]'",
    NEEDS_HEIF: "reading it needs: pip install 'attachment-staging[heif]'",
    NEEDS_PDF: "reading it needs: pip install 'attachment-staging[pdf]'",
}
"""The closed list of refusals: key, and the words that the parent shows."""


class RefusedError(Exception):
    """Ends a conversion without a result.

    The only argument is a key of `REASONS`.
    """


class FullError(Exception):
    """Ends the reader because no more text is wanted, or no more time is left.

    The only argument says after what.
    """


def refuse(reason: str) -> NoReturn:
    """Raise `RefusedError` for one of `REASONS`."""
    raise RefusedError(reason)


class Output:
    """Takes what a reader finds, at most `MAX_CHARS` characters of text.

    Nearly every text ends at a number of characters, and so it is the same on every run, whatever else the machine
    does. One that costs too much is cut before the kernel ends the process, so that what was read is not lost.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._left = MAX_CHARS
        self._has_data = False
        self._began = self._flushed = time.process_time()
        self._ends = ""  # of lines, which are written when more comes: one empty line at most, and none at the end
        self.blank = True

    def text(self, text: str) -> None:
        """Write `text`, with at most one empty line before it.

        NUL is left out, and a lone surrogate (PDF has them) becomes a question mark, since JSON takes neither.

        Raises:
            FullError: if no more is wanted, or no more time is left.
        """
        now = time.process_time()
        if now > self._began + MUCH_TIME:
            raise FullError(f"{CPU_SECONDS} seconds of processor time")
        if now > self._flushed + _OFTEN:
            self.flush()  # a library may still spend all the time there is in one call
            self._flushed = now
        text = text.replace("\0", "")
        text = text.lstrip("\n") if self.blank or len(self._ends) > 1 else text
        words = text.rstrip("\n")
        if not words:
            self._ends = "" if self.blank else (self._ends + text)[:2]
            return
        text, self._ends = self._ends + words, text[len(words) :][:2]
        for start in range(0, min(len(text), self._left), PIECE):  # a frame is held whole by the parent
            self._write(TEXT, text[start : min(start + PIECE, self._left)].encode("utf-8", "replace"))
        self.blank = self.blank and not text.strip()
        self._left -= len(text)
        if self._left < 0:
            raise FullError(f"{MAX_CHARS:,} characters")

    def flush(self) -> None:
        """Give the parent what there is, before a step that may end this process."""
        self._out.flush()

    def check(self) -> None:
        """Refuse a file whose reader found nothing."""
        if self.blank and not self._has_data:
            refuse(EMPTY)

    def cut(self, after: str) -> None:
        """Say that the rest was not read."""
        self._write(TEXT, CUT.format(after).encode())

    def remark(self, words: str) -> None:
        """Tell in a few words what limits the text.

        Something may be left out, or may not be certain.
        """
        self._write(REMARK, words[:MAX_REMARK].encode("utf-8", "replace"))

    def data(self, *pieces: bytes) -> None:
        """Write one whole thing of bytes, such as a picture and what is said of it."""
        self._has_data = True
        self._write(DATA, *pieces)

    def refuse(self, reason: str) -> NoReturn:
        """End the conversion for one of `REASONS`.

        The text that was written is not shown.
        """
        refuse(reason)

    def end(self, reason: str) -> None:
        """Tell the parent that the conversion was refused."""
        self._write(REFUSAL, reason.encode("ascii"))

    def _write(self, kind: bytes, *pieces: bytes) -> None:
        if size := sum(map(len, pieces)):
            self._out.write(kind + size.to_bytes(4, "big"))
            self._out.writelines(pieces)
