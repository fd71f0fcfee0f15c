"""Tell apart the picture formats that share their first bytes."""

import re
import struct

from staging._rare import rare

JPEG = "image/jpeg"
JPEG_LS = "image/jls"
TIFF = "image/tiff"
JP2 = "image/jp2"
HEIF = "image/heif"
AVIF = "image/avif"
HEIC = "image/heic"

_STILL = {  # brands of ISO 23008-12, annex B; avif is that of AOM, crx that of Canon's raw photos
    b"avif": AVIF, b"avis": AVIF,
    b"heic": HEIC, b"heix": HEIC, b"heim": HEIC, b"heis": HEIC, b"hevc": HEIC, b"hevx": HEIC, b"hevm": HEIC,
    b"hevs": HEIC, b"avci": "image/avci", b"avcs": "image/avci", b"j2ki": "image/hej2k", b"j2is": "image/hej2k",
    b"crx ": "image/x-canon-cr3",
}  # fmt: skip
_GENERAL = frozenset({b"mif1", b"msf1", b"mif2", b"miaf", b"jpeg", b"jpgs"})
_JPEG_2000 = {  # ISO 15444-1 to -6 and -15
    b"jp2 ": JP2, b"jpx ": "image/jpx", b"jpm ": "image/jpm", b"mjp2": "video/mj2", b"mj2s": "video/mj2",
    b"jph ": "image/jph",
}  # fmt: skip
_J2C, _JPHC = "image/j2c", "image/jphc"
_MAKERS = {  # who made a raw photo that is a TIFF file with a preview in front
    b"NIKON": "image/x-nikon-nef", b"SONY": "image/x-sony-arw", b"PENTAX": "image/x-pentax-pef",
    b"SAMSUNG": "image/x-samsung-srw", b"RICOH": "image/x-pentax-pef",
}  # fmt: skip
_CR2 = "image/x-canon-cr2"
_DNG = "image/x-adobe-dng"

PICTURES = frozenset(
    {_CR2, JPEG, JPEG_LS, TIFF, HEIF, _J2C, _JPHC, _DNG, *_STILL.values(), *_JPEG_2000.values(), *_MAKERS.values()}
)
"""Every type that this module tells."""

_FRAME = rare(rb"[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xda\xf7]", re.DOTALL)  # where a JPEG says how it is coded


def still_of_brands(major: bytes, compatible: set[bytes]) -> str | None:
    """Return the type of a picture in an ISO base media file.

    It is None where the brands name no picture.
    """
    if known := _STILL.get(major):
        return known
    if major not in _GENERAL:
        return None
    return next((media_type for brand, media_type in _STILL.items() if brand in compatible), HEIF)


def type_of_jpeg(head: bytes, _: bytes) -> str:
    """Return the type of a JPEG or JPEG-LS file.

    They differ in the start of frame (ITU-T T.87, C.1.1).
    """
    at = 2
    while head.startswith(b"\xff", at) and at + 4 <= len(head):
        marker = head[at + 1 : at + 2]
        if _FRAME.match(marker):
            return JPEG_LS if marker == b"\xf7" else JPEG
        at += 1 if marker == b"\xff" else 2 + int.from_bytes(head[at + 2 : at + 4])
    return JPEG


def type_of_jp2(head: bytes, _: bytes) -> str:
    """Return the type of a file of the JPEG 2000 family.

    Its brand decides (ISO 15444-1, I.5.2).
    """
    return _JPEG_2000.get(head[20:24], JP2) if head[16:20] == b"ftyp" else JP2


def type_of_codestream(head: bytes, _: bytes) -> str:
    """Return the type of a bare JPEG 2000 codestream.

    It is of part 15 of the standard if the marker CAP says so (ISO 15444-15, A.3).
    """
    size = int.from_bytes(head[4:6])
    capabilities = int.from_bytes(head[8 + size : 12 + size])
    return _JPHC if head.startswith(b"\xff\x50", 4 + size) and capabilities & 1 << 17 else _J2C


def type_of_tiff(head: bytes, _: bytes) -> str:
    """Return the type of a TIFF file.

    Several makers store raw photos in such a file. A raw photo's first picture is a preview, and the photo hangs below
    it (TIFF 6.0, and its technical note 1).
    """
    if head.startswith((b"II*\0\x10\0\0\0CR", b"MM\0*\0\0\0\x10CR")):
        return _CR2
    tags = _first_directory(head)
    if 0xC612 in tags:  # DNGVersion
        return _DNG
    if tags.get(0xFE) not in {b"\1\0\0\0", b"\0\0\0\1"} or 0x14A not in tags:  # NewSubfileType, SubIFDs
        return TIFF
    make = tags.get(0x10F, b"").upper()
    return next((raw for maker, raw in _MAKERS.items() if make.startswith(maker)), TIFF)


def _first_directory(head: bytes) -> dict[int, bytes]:
    """Return tags and values of the first directory.

    What lies behind the head is left out.
    """
    order = "<" if head.startswith(b"II") else ">"
    if len(head) < 8 or head[2:4] not in {b"*\0", b"\0*"}:
        return {}
    (at,) = struct.unpack_from(order + "4xI", head)
    if at + 2 > len(head):
        return {}
    (count,) = struct.unpack_from(order + "H", head, at)
    tags = dict[int, bytes]()
    for start in range(at + 2, min(at + 2 + 12 * count, len(head) - 11), 12):
        tag, form, number, value = struct.unpack_from(order + "HHI4s", head, start)
        if form == 2 and number > 4:  # text elsewhere
            (offset,) = struct.unpack(order + "I", value)
            value = head[offset : offset + min(number, 64)]
        tags[tag] = value
    return tags
