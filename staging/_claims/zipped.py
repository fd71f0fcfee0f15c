"""Tell which document a zip (APPNOTE section 4.3) is.

The list of its members decides, and what two of them declare.

An Office Open XML package names the type of its main part in ``[Content_Types].xml`` (ECMA-376 part 2). An OpenDocument
file and an e-book name theirs in ``mimetype`` (ODF 1.3 part 2, 3.3; EPUB OCF 3.3, 4.3). Both members stand at either
end of the file, by the habits of the programs that write them.
"""

import struct
import zlib

from staging._claims.kinds import DOCX, EPUB, OFFICE, OPEN_DOCUMENTS, PPTX, XLSB, XLSX, ZIP
from staging._rare import rare

JAR = "application/java-archive"
APK = "application/vnd.android.package-archive"
XPI = "application/x-xpinstall"
KMZ = "application/vnd.google-earth.kmz"
USDZ = "model/vnd.usdz+zip"

DOTM = "application/vnd.ms-word.template.macroEnabled.12"

_DECLARED = {media_type.encode(): media_type for media_type in (EPUB, *OPEN_DOCUMENTS)}
_MAIN = {f"{name.removesuffix('.12')}.main+xml".lower(): name for name in OFFICE} | {  # [MS-OFFMACRO2] section 2.2
    "application/vnd.ms-word.template.macroenabledtemplate.main+xml": DOTM,
    "application/vnd.ms-excel.sheet.binary.macroenabled.main": XLSB,
    "application/vnd.ms-package.xps-fixeddocumentsequence+xml": "application/vnd.ms-xpsdocument",
    "application/vnd.ms-package.3dmanufacturing-3dmodel+xml": "model/3mf",
}
_FOLDERS = {  # where no main part is declared: a folder, what is in it, the type
    b"word": ((b"word/vbaProject.bin", "application/vnd.ms-word.document.macroEnabled.12"), (b"", DOCX)),
    b"xl": (
        (b"xl/workbook.bin", XLSB),
        (b"xl/vbaProject.bin", "application/vnd.ms-excel.sheet.macroEnabled.12"),
        (b"", XLSX),
    ),
    b"ppt": ((b"ppt/vbaProject.bin", "application/vnd.ms-powerpoint.presentation.macroEnabled.12"), (b"", PPTX)),
}

DOCUMENTS = frozenset({*_DECLARED.values(), *_MAIN.values(), DOCX, XLSX, PPTX, JAR, APK, XPI, KMZ, USDZ})
"""Every type but the plain zip that this module tells."""

_LOCAL = struct.Struct("<6xHH8xI4xHH")  # flags, method, packed size, lengths of name and extra field
_CENTRAL = struct.Struct("<28xHHH12x")  # lengths of name, extra field and comment
_END = struct.Struct("<12xI6x")  # bytes of the central directory
_MOST = 65_536  # bytes of a member that are read: the list of types of a large presentation has as many
_PLACES = 8  # where a member's name is looked for; an honest file needs no more
_CONTENT_TYPE = rare(rb"ContentType\s*=\s*[\"']([^\"'<>]{1,150})[\"']")
_ROOT_ENTRY = rare(rb"<[^<>]*?full-path\s*=\s*[\"']/[\"'][^<>]*>")
_MANIFEST = rare(rb"media-type\s*=\s*[\"'](application/vnd\.[\w.+-]{1,80})[\"']")


def type_of_zip(head: bytes, tail: bytes) -> str:
    """Return the type of the document that the members make, or the plain zip.

    Args:
        head: the first bytes of the file.
        tail: its last bytes, or nothing where the head is all of it.
    """
    head, tail = head.removeprefix(b"PK00").removeprefix(b"PK\7\x08"), tail or head
    names = _names(head, tail)
    if b"mimetype" in names and (declared := _declared(head, tail)):
        return declared
    folded = {name.lower() for name in names}
    if b"[content_types].xml" in folded and (office := _office(head, tail, names)):
        return office
    if b"META-INF/container.xml" in names and (b"mimetype" in names or any(n.endswith(b".opf") for n in names)):
        return EPUB
    return _program(names, folded)


def _declared(head: bytes, tail: bytes) -> str | None:
    """Return the known type that a member declares, or None.

    The member is ``mimetype``, or else the manifest of an OpenDocument file.
    """
    for part in (head, tail):
        for content, whole in _members(part, b"mimetype"):
            known = [name for name in _DECLARED if content.startswith(name)]
            if known and (not whole or content.strip() in known):
                return _DECLARED[max(known, key=len)]
        for content, _ in _members(part, b"META-INF/manifest.xml"):
            root = _ROOT_ENTRY.search(content)
            if root and (match := _MANIFEST.search(root[0])) and match[1] in _DECLARED:
                return _DECLARED[match[1]]
    return None


def _office(head: bytes, tail: bytes, names: set[bytes]) -> str | None:
    """Return the type of an Office Open XML package, or None.

    Its main part decides, or else its folders.
    """
    for part in (head, tail):
        for content, _ in _members(part, b"[Content_Types].xml"):
            for match in _CONTENT_TYPE.finditer(content):
                if main := _MAIN.get(match[1].decode("latin-1").lower()):
                    return main
    folders = {name.partition(b"/")[0] for name in names}
    for folder, rules in _FOLDERS.items():
        if folder in folders:
            return next(media_type for name, media_type in rules if not name or name in names)
    return None


def _program(names: set[bytes], folded: set[bytes]) -> str:
    """Return the type of a package that no member declares."""
    if b"AndroidManifest.xml" in names:
        return APK
    if b"install.rdf" in names or {b"manifest.json", b"meta-inf/mozilla.rsa"} <= folded:
        return XPI
    if b"META-INF/MANIFEST.MF" in names:
        return JAR
    if b"doc.kml" in names:
        return KMZ
    if names and all(b"/" in n or n.endswith((b".usd", b".usda", b".usdc")) for n in names):
        return USDZ if any(b"/" not in n for n in names) else ZIP
    return ZIP


def _names(head: bytes, tail: bytes) -> set[bytes]:
    """Return the members' names.

    Those from local headers end at the first file whose length is not known beforehand. The others are from the part of
    the central directory that lies in the tail.
    """
    names, at = set[bytes](), 0
    while at >= 0 and head.startswith(b"PK\3\4", at) and at + _LOCAL.size <= len(head):
        flags, _, size, name, extra = _LOCAL.unpack_from(head, at)
        at += _LOCAL.size
        named = head[at : at + name].replace(b"\\", b"/")  # some writers on Windows keep their own separator
        names.add(named)
        at += name + extra + size
        if flags & 8:  # a folder has no data: behind it stands at most a descriptor (APPNOTE 4.3.9)
            at = head.find(b"PK\3\4", at, at + 32) if named.endswith(b"/") else -1
    end = tail.rfind(b"PK\5\6")
    if not 0 <= end <= len(tail) - _END.size:
        return names
    (size,) = _END.unpack_from(tail, end)
    at = tail.find(b"PK\1\2", max(0, end - size), end)
    while at >= 0 and tail.startswith(b"PK\1\2", at) and at + _CENTRAL.size <= end:
        name, extra, comment = _CENTRAL.unpack_from(tail, at)
        at += _CENTRAL.size
        names.add(tail[at : at + name].replace(b"\\", b"/"))
        at += name + extra + comment
    return names


def _members(part: bytes, name: bytes) -> list[tuple[bytes, bool]]:
    """Return the first bytes of each member of this name.

    Its local header must lie in the part. A member that was stored in a stream has no length. Then more follows it, and
    the second value is False.
    """
    found = list[tuple[bytes, bool]]()
    at = part.find(name)
    for _ in range(_PLACES):
        start = at - _LOCAL.size
        if at < 0:
            break
        if start >= 0 and part.startswith(b"PK\3\4", start):
            flags, method, size, length, extra = _LOCAL.unpack_from(part, start)
            if length == len(name):
                begin = at + length + extra
                end = min(begin + _MOST, len(part)) if flags & 8 else min(begin + size, begin + _MOST)
                packed = method == zlib.DEFLATED
                found.append((_inflate(part[begin:end]) if packed else part[begin:end], packed or not flags & 8))
        at = part.find(name, at + 1)
    return found


def _inflate(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, _MOST)
    except zlib.error:
        return b""
