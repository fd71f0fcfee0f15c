"""Sound without a container, told by its frames."""

_MPEG1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ = (44_100, 48_000, 32_000)


def is_mp3(head: bytes) -> bool:
    """Whether one layer III frame is followed by another of its stream (section 6.2.3): eleven bits prove nothing."""
    size = _mp3_frame(head)
    return (
        size > 0
        and _mp3_frame(head[size : size + 4]) > 0
        and (head[1] ^ head[size + 1]) & 0xFE == 0  # version and layer
        and (head[2] ^ head[size + 2]) & 0x0C == 0  # sample rate
    )


def _mp3_frame(header: bytes) -> int:
    """Return the bytes of the frame that begins here, 0 if none does. ISO 11172-3, 2.4.1.3; versions 2 and 2.5 too."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in {0, 15} or rate == 3:
        return 0
    kbits, samples = (_MPEG1_KBITS, 144_000) if version == 3 else (_MPEG2_KBITS, 72_000)
    hertz = _HERTZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return samples * kbits[bits - 1] // hertz + (header[2] >> 1 & 1)
