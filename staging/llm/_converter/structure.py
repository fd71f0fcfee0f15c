"""Check the structure of a picture's file without decoding it.

The functions tell whether a file is whole, and copy it without its metadata.

A provider decodes what it is sent, and refuses the whole conversation for a damaged picture. A copy holds only the
parts that draw: no position, no name, no thumbnail, nothing before the beginning and nothing behind the end. Where
only the mark of the end is missing, it has one.
"""

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator

from staging.llm._converter.output import BROKEN, RefusedError, refuse

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_PNG_DRAWS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"iCCP"}
_PNG_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}  # RFC 2083, 4.1.1
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length (ITU-T T.81, B.1.1.3)
_JPEG_DROPS = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # APP1 to APP13 and APP15, comments; APP14 says how colours are kept
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)  # neither a stuffed byte nor a restart marker
_JPEG_END = b"\xff\xd9"
_JPEG_ICC = b"ICC_PROFILE\0"
_WEBP_FLAGS = 0x20 | 0x08 | 0x04  # of VP8X: ICC profile, EXIF, XMP (RFC 9649, 2.7)
_ANIMATED = 0x02


def kind_of(head: bytes) -> str:
    """Return the media type that the first 16 bytes show.

    It is empty for a type that this module does not know.
    """
    if head.startswith(_PNG):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return ""


def whole(data: bytes, kind: str) -> bytes:
    """Return a copy with nothing but what draws the picture.

    Raises:
        RefusedError: if it is damaged or ends too early.
    """
    try:
        return b"".join({"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}[kind](data))
    except (struct.error, IndexError, ValueError):
        refuse(BROKEN)


def _png(data: bytes) -> Iterator[bytes]:
    """Copy a PNG without its metadata (RFC 2083, 3.2 and 4.1).

    Its chunks must have right sums, one header and data. The end may be missing.
    """
    yield _PNG
    seen: set[bytes] = set()
    place = len(_PNG)
    while not _PNG_END.startswith(data[place : place + len(_PNG_END)]):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        drawn = name in _PNG_DRAWS
        if end > len(data) or (not seen and name != b"IHDR"):
            refuse(BROKEN)
        if (drawn or name[:1].isupper()) and zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(
            data[end - 4 : end], "big"
        ):
            refuse(BROKEN)
        if name == b"IHDR":
            width, height, depth, colours, *methods = struct.unpack(">2I5B", data[place + 8 : end - 4])
            if not (width and height and depth in _PNG_DEPTHS.get(colours, ()) and methods in ([0, 0, 0], [0, 0, 1])):
                refuse(BROKEN)
        if drawn:
            yield data[place:end]
        seen.add(name)
        place = end
    if b"IDAT" not in seen:
        refuse(BROKEN)
    yield _PNG_END


def png_frames(data: bytes) -> int:
    """Return how many frames an animated PNG announces (W3C PNG, 11.3.6.1).

    It is 1 for any other PNG.
    """
    place = data.find(b"acTL", 0, 4096)
    return max(1, int.from_bytes(data[place + 4 : place + 8], "big")) if place > 0 else 1


def _jpeg(data: bytes) -> Iterator[bytes]:
    """Copy a JPEG without its metadata (ITU-T T.81, B.1 and B.2).

    It must have segments, a frame, scans and an end. Bytes after the end (MPO, ZIP) are left out.
    """
    yield data[:2]
    place, frames = 2, 0
    while True:
        if data[place] != 0xFF:
            refuse(BROKEN)
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker == 0xD9:
            break
        elif marker in _JPEG_ALONE:
            place += 2
        else:
            end = place + 2 + struct.unpack_from(">H", data, place + 2)[0]
            if end > len(data) or end < place + 4:
                refuse(BROKEN)
            frames += 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}
            if marker == 0xDA:
                found = _JPEG_SCAN_END.search(data, end)  # the marker after the coded data
                end = found.start() if found else len(data)
            if marker not in _JPEG_DROPS or data[place + 4 : place + 16] == _JPEG_ICC:
                yield data[place:end]
            place = end
    if not frames:
        refuse(BROKEN)
    yield _JPEG_END


def jpeg_until_damage(data: bytes) -> bytes:
    """Return what there is of a JPEG that ends early, with an end."""
    return b"".join(_until_damage(_jpeg(data))).removesuffix(_JPEG_END) + _JPEG_END


def _until_damage(pieces: Iterator[bytes]) -> Iterator[bytes]:
    with contextlib.suppress(RefusedError, struct.error, IndexError):
        yield from pieces


def jpeg_orientation(data: bytes) -> int:
    """Return the orientation in a JPEG's EXIF (CIPA DC-008, 4.6.4).

    1 is upright, and also stands for no answer.
    """
    place = data.find(b"Exif\0\0", 0, 65_536)
    exif = data[place + 6 : place + 65_536] if place > 0 else b""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for number in range(min(count, 200)):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * number)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def with_orientation(data: bytes, orientation: int) -> bytes:
    """Return a JPEG whose EXIF says only its orientation."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", orientation, 0) + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def _gif(data: bytes) -> Iterator[bytes]:
    """Copy a GIF without its metadata (GIF89a, 15 to 27).

    It must have a screen and blocks. The trailer may be missing. Comments and extensions of applications are left out,
    except the loop.
    """
    place = 13 + _colours(data[10])
    yield data[:place]
    images = 0
    while data[place : place + 1] not in {b";", b""}:
        if data[place] == 0x2C:
            end, images, kept = place + 11 + _colours(data[place + 9]), images + 1, True
        elif data[place] == 0x21:
            end = place + 2
            kept = data[place + 1] == 0xF9 or data[place + 2 : place + 14] == b"\x0bNETSCAPE2.0"
        else:
            refuse(BROKEN)
        while data[end]:
            end += data[end] + 1
        if kept:
            yield data[place : end + 1]
        place = end + 1
    if not images:
        refuse(BROKEN)
    yield b";"


def _colours(packed: int) -> int:
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def gif_moves(data: bytes) -> bool:
    """Tell whether a whole GIF has more than one picture."""
    place, images = 13 + _colours(data[10]), 0
    while data[place] != 0x3B and images < 2:
        is_image = data[place] == 0x2C
        images += is_image
        place += 11 + _colours(data[place + 9]) if is_image else 2
        while data[place]:
            place += data[place] + 1
        place += 1
    return images > 1


def _webp(data: bytes) -> Iterator[bytes]:
    """Copy a WebP without its metadata (RFC 9649, 2.3 to 2.7).

    Its stated size must be there, and its chunks must lie within it.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        refuse(BROKEN)
    place = 12
    kept: list[bytes] = []
    while place + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, place)
        after = place + 8 + length
        if after > len(data):
            refuse(BROKEN)
        chunk = data[place:after] + b"\0" * (length % 2)
        if name == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if name in {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"}:
            kept.append(chunk)
        place = after + length % 2
    if not any(chunk[:4] in {b"VP8 ", b"VP8L", b"ANMF"} for chunk in kept):
        refuse(BROKEN)
    yield b"RIFF" + struct.pack("<I", 4 + sum(map(len, kept))) + b"WEBP"
    yield from kept


def webp_moves(data: bytes) -> bool:
    """Tell whether a WebP is animated."""
    return data[12:16] == b"VP8X" and bool(data[20] & _ANIMATED)
