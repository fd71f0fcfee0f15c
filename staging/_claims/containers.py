"""Documents inside a zip (APPNOTE section 4.3), told by the list of its members."""

import re
import struct
import zlib

from staging._claims.kinds import DECLARED, OFFICE, ZIP

_LOCAL = struct.Struct("<6xH10xI4xHH")  # flags, packed size, lengths of name and extra field
_CENTRAL = struct.Struct("<28xHHH12x")  # lengths of name, extra field and comment
_END = struct.Struct("<12xI6x")  # bytes of the central directory
_MIMETYPE = re.compile(rb"PK\x03\x04.{4}(..).{8}(.{4}).{4}\x08\0(..)mimetype", re.DOTALL)


def inside_zip(head: bytes, tail: bytes) -> str:
    """Return the type of the document that the members make; a jar, an apk and anything else is a plain zip."""
    names = _first_names(head) | _last_names(tail)
    if b"mimetype" in names and (declared := _declared_type(head) or _declared_type(tail)):
        return declared
    if b"[Content_Types].xml" in names:  # ECMA-376 part 2: every Office Open XML package has it
        folders = {name.partition(b"/")[0] for name in names}
        return next((media_type for folder, media_type in OFFICE.items() if folder in folders), ZIP)
    return ZIP


def _first_names(head: bytes) -> set[bytes]:
    """Return the members' names from local headers, up to the first whose length is not known beforehand."""
    names, at = set[bytes](), 0
    while head.startswith(b"PK\3\4", at) and at + _LOCAL.size <= len(head):
        flags, size, name, extra = _LOCAL.unpack_from(head, at)
        at += _LOCAL.size
        names.add(head[at : at + name])
        if flags & 8:
            break
        at += name + extra + size
    return names


def _last_names(tail: bytes) -> set[bytes]:
    """Return the members' names from as much of the central directory as the tail holds."""
    names, end = set[bytes](), tail.rfind(b"PK\5\6")
    if not 0 <= end <= len(tail) - _END.size:
        return names
    (size,) = _END.unpack_from(tail, end)
    at = tail.find(b"PK\1\2", max(0, end - size), end)
    while at >= 0 and tail.startswith(b"PK\1\2", at) and at + _CENTRAL.size <= end:
        name, extra, comment = _CENTRAL.unpack_from(tail, at)
        at += _CENTRAL.size
        names.add(tail[at : at + name])
        at += name + extra + comment
    return names


def _declared_type(part: bytes) -> str | None:
    """Return the known type that the member ``mimetype`` states: ODF 1.3 part 2, 3.3; EPUB OCF 3.3, 4.3."""
    match = _MIMETYPE.search(part)
    if match is None:
        return None
    method, size, extra = (int.from_bytes(field, "little") for field in match.groups())
    content = part[match.end() + extra :][:size]
    if method == zlib.DEFLATED:  # forbidden, and what a hasty writer does
        content = _inflate(content)
    declared = content.decode("latin-1").strip()
    return declared if declared in DECLARED else None


def _inflate(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, 128)
    except zlib.error:
        return b""
