"""Tell sound from film in the containers that hold both.

Where the tracks are seen, they decide. Otherwise the brand does. Without either, the file is called a film.
"""

import re
import struct

from staging._claims.images import still_of_brands
from staging._rare import rare

MP4 = "video/mp4"
M4A = "audio/mp4"
QUICKTIME = "video/quicktime"
TS = "video/mp2t"
ASF, WMA, WMV = "video/x-ms-asf", "audio/x-ms-wma", "video/x-ms-wmv"

_SOUND_ONLY = {MP4: M4A, "video/3gpp": "audio/3gpp", "video/3gpp2": "audio/3gpp2"}
_SOUND_BRANDS = frozenset({b"M4A", b"M4B", b"M4P", b"F4A", b"F4B"})  # padded with a space, or with NUL by hand
_BRANDS = {
    b"qt  ": QUICKTIME, b"3g2": "video/3gpp2", b"KDDI": "video/3gpp2", b"3g": "video/3gpp",
    b"aax": "audio/vnd.audible.aax",
}  # fmt: skip
_MOST_BRANDS = 64

FILMS = frozenset(
    {MP4, M4A, TS, ASF, WMA, WMV, *_BRANDS.values(), *_SOUND_ONLY.values(),
     "video/webm", "audio/webm", "video/matroska", "audio/matroska", "video/ogg", "audio/ogg", "application/ogg"}
)  # fmt: skip
"""Every type that this module tells, besides the pictures."""

_HANDLER = rare(rb"hdlr.{4}(?:\0{4}|mhlr)(soun|vide)", re.DOTALL)  # ISO 14496-12, 8.4.3; QuickTime's `mhlr`
_ONE_TRACK = rare(rb"mvhd(?:\x00.{95}|\x01.{107})\x00\x00\x00\x02", re.DOTALL)  # next_track_ID, 8.2.2
_DOC_TYPE = rare(rb".{4,60}?B\x82.webm", re.DOTALL)  # RFC 8794 section 11.2.6
_CODEC = rare(rb"\x86[\x84-\x9f]([AV])_")  # RFC 9559 section 5.1.4.1.28.1, CodecID
_OGG_FILM = rare(rb"\x80theora|BBCD\x00|\x01video|OVP80")
_OGG_SOUND = rare(rb"OpusHead|\x01vorbis|Speex   |\x7fFLAC|PCM     |CELT    ")
_ASF_SOUND = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")  # ASF specification, 10.4: stream types
_ASF_FILM = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")


def type_of_iso(head: bytes, tail: bytes) -> str:
    """Return the type of an ISO base media file.

    Its brands and its tracks decide (ISO 14496-12, 4.3).
    """
    size, major = struct.unpack_from(">I4x4s", head.ljust(12, b"\0"))
    end = min(size, len(head), 16 + 4 * _MOST_BRANDS)
    brands = {head[at : at + 4] for at in range(16, end - 3, 4)}
    if still := still_of_brands(major, brands):
        return still
    if major.rstrip(b" \0") in _SOUND_BRANDS:
        return M4A
    film = next((name for brand, name in _BRANDS.items() if major.startswith(brand)), MP4)
    tracks = _tracks(head, tail)
    if not tracks and film == MP4:
        stripped = {brand.rstrip(b" \0") for brand in brands}
        tracks = {b"soun"} if stripped & _SOUND_BRANDS and not stripped & {b"M4V", b"qt"} else set()
        tracks = set() if major.startswith((b"M4V", b"f4v", b"F4V")) else tracks
    return _SOUND_ONLY.get(film, film) if tracks == {b"soun"} else film


def _tracks(head: bytes, tail: bytes) -> set[bytes]:
    """Return what all tracks of the movie are.

    The result is empty if a track may lie outside of what is seen.
    """
    start = head.find(b"moov")
    if start >= 4:
        size = int.from_bytes(head[start - 4 : start])
        found = set(_HANDLER.findall(head, start))
        whole = start - 4 + size <= len(head) or _ONE_TRACK.search(head, start)
        return found if whole or b"vide" in found else set()
    start = tail.find(b"moov")
    return set(_HANDLER.findall(tail, start)) if start >= 0 else set()


def type_of_matroska(head: bytes, _: bytes) -> str:
    """Return the type of a WebM or Matroska file.

    Its DocType and the codecs of its tracks decide.
    """
    name = "webm" if _DOC_TYPE.match(head) else "matroska"
    return f"audio/{name}" if set(_CODEC.findall(head)) == {b"A"} else f"video/{name}"


def type_of_ogg(head: bytes, _: bytes) -> str:
    """Return the type of an Ogg file by its codecs.

    Their first pages stand at the beginning of the file (RFC 5334).
    """
    first = head[:600]
    return "video/ogg" if _OGG_FILM.search(first) else "audio/ogg" if _OGG_SOUND.search(first) else "application/ogg"


def type_of_asf(head: bytes, _: bytes) -> str:
    """Return the type of a Windows Media file by its streams."""
    return WMV if _ASF_FILM in head else WMA if _ASF_SOUND in head else ASF


def is_transport_stream(head: bytes) -> bool:
    """Tell whether each packet begins with the sync byte.

    A packet has 188 bytes (ISO 13818-1, 2.4.3.2), 192 with a time code in front, or 204 with check bytes behind.
    """
    if b"G" not in {head[:1], head[4:5]}:
        return False
    packets = (head[offset::size] for size, offset in ((188, 0), (192, 4), (204, 0)))
    return any(len(syncs) >= 3 and not syncs.strip(b"G") for syncs in packets)
