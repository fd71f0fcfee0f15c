"""Read the size in an image's header, and whether it moves.

It needs no library, and nothing is decoded.
"""

import io
import struct
from dataclasses import dataclass
from typing import IO

_SEGMENTS = 1000  # of a JPEG, before its frame; real ones have tens
_PIECES = 100_000  # of a GIF's data, some 25 MB; a hostile one has 25 million
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 (ITU-T T.81, table B.1)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Holds the pixels that the header claims, and whether a GIF moves.

    A GIF that moves has more than one frame.
    """

    width: int
    height: int
    moves: bool = False


def image_facts(source: IO[bytes], media_type: str) -> ImageFacts | None:
    """Return what the header of a JPEG, PNG, GIF or WebP says.

    It is None if the header is damaged or of another type.
    """
    source.seek(0)
    try:
        match media_type:
            case "image/png":  # RFC 2083, 3.2 and 4.1.1
                return ImageFacts(*struct.unpack(">16x2I", source.read(24)))
            case "image/gif":
                return _gif(source)
            case "image/webp":
                return _webp(source.read(30))
            case "image/jpeg":
                return _jpeg(source)
    except (struct.error, IndexError):  # the file ends too early
        pass
    return None


def _webp(head: bytes) -> ImageFacts | None:
    """Read a WebP's header.

    The sources are RFC 9649, 2.7 (extended) and 3.4 (lossless), and RFC 6386, 9.1 (lossy).
    """
    match head[12:16]:
        case b"VP8X":
            return ImageFacts(1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little"))
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return ImageFacts(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        case b"VP8 ":
            width, height = struct.unpack_from("<2H", head, 26)
            return ImageFacts(width & 0x3FFF, height & 0x3FFF)
    return None


def _jpeg(source: IO[bytes]) -> ImageFacts | None:
    """Walk the segments to the frame header (ITU-T T.81, B.1.1 and B.2.2)."""
    source.seek(2)
    for _ in range(_SEGMENTS):
        mark, marker, length = struct.unpack(">BBH", source.read(4))
        if mark != 0xFF:
            return None
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">x2H", source.read(5))
            return ImageFacts(width, height)
        source.seek(-3 if marker == 0xFF else length - 2, io.SEEK_CUR)  # 0xFF before a marker is padding
    return None


def _gif(source: IO[bytes]) -> ImageFacts:
    """Walk the blocks until a second image appears (GIF89a, 15 to 26)."""
    width, height, packed = struct.unpack("<6x2HB2x", source.read(13))
    _skip_colours(source, packed)
    images = pieces = 0
    while images < 2 and (introducer := source.read(1)) in {b"!", b","}:
        if introducer == b",":
            images += 1
            _skip_colours(source, source.read(9)[8])
        source.read(1)  # an extension's label, or the code size of the image's data
        while length := source.read(1)[0]:
            source.read(length)
            pieces += 1
            if pieces > _PIECES:
                return ImageFacts(width, height)
    return ImageFacts(width, height, moves=images > 1)


def _skip_colours(source: IO[bytes], packed: int) -> None:
    if packed & 0x80:
        source.read(3 << (packed & 7) + 1)
