"""Sound without a container, told by its frames.

A frame begins with eleven set bits, which other data have too. So a header counts only if another header of the same
stream stands where the first one says.
"""

import re
from collections.abc import Callable
from itertools import islice

from staging._claims.kinds import MP3
from staging._rare import rare

AAC = "audio/aac"
AC3 = "audio/ac3"
FLAC = "audio/flac"
APE = "audio/x-ape"
TTA = "audio/x-tta"

SOUNDS = frozenset({MP3, AAC, AC3, FLAC, APE, TTA})
"""Every type that this module tells."""

_CHAIN = 3  # frames in a row, where the first byte may be anything
_SYNC = rare(rb"\xff(?=[\xe2-\xe7\xf0-\xff][^\xff])")
_AC3_FRAME = rare(rb"\x0b\x77(?=..(.)(.))", re.DOTALL)  # ETSI TS 102 366, 4.3: sample rate, version
_TRIES = 400  # limits the time for a hostile tail, which is full of sync words
_MARKS = {b"fLaC": FLAC, b"MAC ": APE, b"TTA1": TTA}


def sound_of_frames(head: bytes) -> str | None:
    """Return the type of a stream of MPEG, ADTS or AC-3 frames, or None.

    Some encoders put zero bytes before the first MPEG frame. Then three frames must follow each other.
    """
    if head.startswith(b"\xff"):
        return MP3 if _frames(head, 0, _mpeg_frame) >= 2 else AAC if _frames(head, 0, _adts_frame) >= 2 else None
    if head.startswith(b"\x0b\x77"):  # a second frame must have the sample rate and the version of the first
        seconds = _AC3_FRAME.finditer(head, 128, 4005)
        found = any(second[1][0] & 0xC0 == head[4] & 0xC0 != 0xC0 and second[2] == head[5:6] for second in seconds)
        return AC3 if found else None
    start = len(head) - len(head.lstrip(b"\0"))
    return MP3 if start and _frames(head, start, _mpeg_frame) >= _CHAIN else None


def sound_behind_id3(head: bytes, tail: bytes) -> str:
    """Return the type of the sound behind an ID3 tag.

    The tag's own size says where the sound begins (https://id3.org/id3v2.4.0-structure, section 3.1). A cover
    reaches beyond the head. Then frames in the tail decide. FLAC and AAC files carry such tags as well (RFC 8216
    section 3.4 asks for one before AAC).
    """
    start = 0
    while head.startswith(b"ID3", start) and len(head) >= start + 10:  # some taggers write a second tag
        high, middle, low, lowest = (octet & 0x7F for octet in head[start + 6 : start + 10])
        footer = 10 if head[start + 5] & 0x10 else 0
        start += 10 + (high << 21 | middle << 14 | low << 7 | lowest) + footer
    sound = head[start:]
    if len(sound) >= 4:
        return _MARKS.get(sound[:4]) or sound_of_frames(sound.lstrip(b"\0")) or MP3
    # the tail begins anywhere, also within a frame
    places = [match.start() for match in islice(_SYNC.finditer(tail), _TRIES)]
    for at in places:
        if _frames(tail, at, _mpeg_frame) >= _CHAIN:
            return MP3
        if _frames(tail, at, _adts_frame) >= _CHAIN:
            return AAC
    return FLAC if any(_is_flac_frame(tail[at : at + 16]) for at in places) else MP3


def _frames(data: bytes, at: int, read: Callable[[bytes], tuple[int, bytes]]) -> int:
    """Count the frames of one stream that follow each other at `at`.

    It counts to `_CHAIN` at most.
    """
    size, stream = read(data[at : at + 7])
    count = 0
    while size and count < _CHAIN:
        count += 1
        at += size
        size, following = read(data[at : at + 7])
        if following != stream:
            break
    return count


_MPEG1_KBITS = {
    3: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG2_LAYER1_KBITS = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_HERTZ = (44_100, 48_000, 32_000)


def _mpeg_frame(header: bytes) -> tuple[int, bytes]:
    """Return the size of the MPEG audio frame that begins here.

    The second value is what all frames of its stream share. The size is 0 if no frame begins here. The rules are those
    of ISO 11172-3, 2.4.1.3, and of 13818-3 for versions 2 and 2.5.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0, b""
    version, layer, bits, rate = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 0 or bits in {0, 15} or rate == 3:
        return 0, b""
    kbits = _MPEG1_KBITS[layer] if version == 3 else _MPEG2_LAYER1_KBITS if layer == 3 else _MPEG2_KBITS
    hertz = _HERTZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    padding = header[2] >> 1 & 1
    if layer == 3:
        size = (12_000 * kbits[bits - 1] // hertz + padding) * 4
    else:
        size = (72_000 if version != 3 and layer == 1 else 144_000) * kbits[bits - 1] // hertz + padding
    return size, bytes((header[1] & 0xFE, header[2] & 0x0C))


def _adts_frame(header: bytes) -> tuple[int, bytes]:
    """Return the size of the AAC frame that begins here.

    The second value is the fixed part of its header (ISO 13818-7, 6.2). The size is 0 if no frame begins here.
    """
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0, b""
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size >= 7 else 0, bytes((header[1], header[2], header[3] & 0xF0))


def _is_flac_frame(header: bytes) -> bool:
    """Tell whether a FLAC frame begins here.

    The CRC-8 in its header decides (RFC 9639 section 9.1).
    """
    if len(header) < 16 or header[0] != 0xFF or header[1] not in {0xF8, 0xF9}:
        return False
    block, rate, channels, bits = header[2] >> 4, header[2] & 15, header[3] >> 4, header[3] >> 1 & 7
    if block == 0 or rate == 15 or channels > 10 or bits == 3 or header[3] & 1:
        return False
    number = next((n for n, (mask, lead) in _LEADS.items() if header[4] & mask == lead), 16)  # bytes, as in UTF-8
    size = 4 + number + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if size >= len(header):
        return False
    crc = 0
    for octet in header[: size + 1]:
        crc ^= octet
        for _ in range(8):
            crc = crc << 1 ^ 0x107 if crc & 0x80 else crc << 1
    return crc == 0  # since the last octet was the header's own CRC


_LEADS = {1: (0x80, 0), 2: (0xE0, 0xC0), 3: (0xF0, 0xE0), 4: (0xF8, 0xF0), 5: (0xFC, 0xF8), 6: (0xFE, 0xFC)}
