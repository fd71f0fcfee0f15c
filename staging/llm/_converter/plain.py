"""Plain text: its encoding, and its pieces."""

import codecs
from collections.abc import Iterator
from typing import Protocol

PIECE = 65_536


class Readable(Protocol):
    """A binary file that can be read again."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...


def utf8_or(source: Readable, other: str) -> str:
    """Return ``utf-8`` if all of `source` is, else `other`."""
    try:
        for _ in text_pieces(source, "utf-8", errors="strict"):
            pass
    except UnicodeDecodeError:
        return other
    return "utf-8"


def text_pieces(source: Readable, charset: str, errors: str = "replace") -> Iterator[str]:
    """Yield the whole of `source` decoded, piece by piece, from its beginning."""
    source.seek(0)
    decode = codecs.getincrementaldecoder(charset)(errors).decode
    while piece := source.read(PIECE):
        yield decode(piece)
    yield decode(b"", True)  # the end: a character cut in half is an error


def charset_of_bom(head: bytes) -> str | None:
    """Return the encoding that a byte order mark tells; the four-byte ones first, for UTF-32-LE starts as UTF-16-LE."""
    for mark, charset in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(mark):
            return charset
    return None
