"""Files of many formats, made by hand, and the way in which a download looks at them."""

import io
import random
import struct
import zipfile

from staging._claims.media import HEAD_BYTES, TAIL_BYTES, observe, wants_tail

OPC = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."
OCTETS, PLAIN = "application/octet-stream", "text/plain"
PAD = bytes(64)


def seen(data: bytes) -> str:
    """Observe a whole file the way a download does: the head, and the tail where it is asked for."""
    head = data[:HEAD_BYTES]
    return observe(head, data[-TAIL_BYTES:]) if wants_tail(head) else observe(head)


class Unseekable(io.RawIOBase):
    """A pipe: zipfile then writes data descriptors, so that no local header tells a length."""

    def __init__(self, sink):
        self.sink = sink

    def writable(self):
        return True

    def write(self, content):
        return self.sink.write(content)


def zipped(*members, method=zipfile.ZIP_DEFLATED, prefix=b"", comment=b"", stream=False):
    buffer = io.BytesIO()
    target = Unseekable(buffer) if stream else buffer
    buffer.write(prefix)
    with zipfile.ZipFile(target, "a" if prefix else "w", method) as archive:
        for name, content in members:
            how = zipfile.ZIP_STORED if name == "mimetype" else None
            archive.writestr(name, content, how)
        archive.comment = comment
    return buffer.getvalue()


def opc(folder, *, backwards=False, filler=0, **options):
    noise = random.Random(1).randbytes(filler)
    members = [
        ("[Content_Types].xml", "<Types/>" + noise.hex()),
        ("_rels/.rels", "<Relationships/>"),
        (f"{folder}/document.xml", "<x/>"),
    ]
    return zipped(*(members[::-1] if backwards else members), **options)


def package(main, *, first=True, filler=0, **options):
    """An Office Open XML package whose list of types names the main part, in front as Word writes it or at the end."""
    types = ("[Content_Types].xml", f'<Types><Override PartName="/x" ContentType="{main}"/></Types>')
    others = [("_rels/.rels", "<x/>"), ("x/y.xml", random.Random(1).randbytes(filler).hex())]
    return zipped(*([types, *others] if first else [*others, types]), **options)


def declared(media_type, *, backwards=False, filler=0, **options):
    noise = random.Random(1).randbytes(filler)
    members = [("mimetype", media_type), ("META-INF/manifest.xml", "<x/>"), ("content.xml", b"<x/>" + noise)]
    return zipped(*(members[::-1] if backwards else members), **options)


def box(brand, *compatible):
    """A whole ISO 14496-12 file: a file type box and nothing in it."""
    body = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I4s", len(body) + 8, b"ftyp") + body + struct.pack(">I4s", 8, b"free")


def movie(*handlers, tracks=None, table=0):
    """A movie box with a track for each handler (ISO 14496-12, 8.2 to 8.4), and a table of so many bytes."""
    header = struct.pack(">I4s", 108, b"mvhd") + bytes(96) + struct.pack(">I", (tracks or len(handlers)) + 1)
    body = header + b"".join(struct.pack(">I4s", 33, b"hdlr") + bytes(8) + handler + bytes(13) for handler in handlers)
    return struct.pack(">I4s", len(body) + 8 + table, b"moov") + body + bytes(table)


def id3(size, sound):
    """An ID3 tag of `size` bytes, and a sound behind it."""
    frames = b"TIT2" + struct.pack(">I", 5) + b"\0\0\0abcd"
    length = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + length + frames.ljust(size, b"\0") + sound


MP3 = (b"\xff\xfb\x90\0" + bytes(413)) * 4
ADTS = (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 4  # 16 bytes a frame
FLAC = b"fLaC\0\0\0\x22" + b"\x10\0\x10\0" + PAD


def crc8(data):
    value = 0
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value


def flac_frames(count):
    """FLAC frames of 4,096 samples (RFC 9639, section 9.1), their contents noise."""
    frames = b""
    for number in range(count):
        header = b"\xff\xf8\xc9\x18" + bytes((number,))
        frames += header + bytes((crc8(header),)) + random.Random(number).randbytes(3000).replace(b"\xff", b"\xfe")
    return frames


def ole(*names, where="head", size=0, group=bytes(16)):
    """A compound file ([MS-CFB]) whose directory has these names below its root.

    Args:
        names: pairs of a name and the names within it.
        where: the directory stands in front (``head``) or behind `size` bytes of streams (``tail``).
        size: bytes of streams.
        group: the class of the root.
    """
    flat = [("Root Entry", 5, 1, group)]
    for number, name in enumerate(names, 1):
        flat.append((name, 2, number + 1 if number < len(names) else 0xFFFFFFFF, bytes(16)))
    entries = b""
    for number, (name, kind, following, clsid) in enumerate(flat):
        text = name.encode("utf-16-le")
        right, child = (0xFFFFFFFF, following) if number == 0 else (following, 0xFFFFFFFF)
        entries += text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text) + 2, kind, 0, 0xFFFFFFFF, right, child)
        entries += clsid + bytes(32)
    entries = entries.ljust(-(-len(entries) // 512) * 512, b"\0")
    streams = random.Random(2).randbytes(-(-size // 512) * 512)
    sector = 0 if where == "head" else len(streams) // 512
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[24:32] = struct.pack("<HHHH", 0x3E, 3, 0xFFFE, 9)
    header[48:52] = struct.pack("<I", sector)
    return bytes(header) + (entries + streams if where == "head" else streams + entries)


def tiff(order, **tags):
    """A TIFF file of one directory: tag numbers as ``t254``, values as numbers or text."""
    mark, fmt = (b"II*\0", "<") if order == "little" else (b"MM\0*", ">")
    rows, rest, at = b"", b"", 10 + 12 * len(tags)
    for name, value in sorted(tags.items(), key=lambda item: int(item[0][1:])):
        if isinstance(value, str):
            text = value.encode() + b"\0"
            rows += struct.pack(fmt + "HHII", int(name[1:]), 2, len(text), at + len(rest))
            rest += text
        else:
            rows += struct.pack(fmt + "HHII", int(name[1:]), 4, 1, value)
    return mark + struct.pack(fmt + "IH", 8, len(tags)) + rows + rest + PAD
