"""Tell which document an OLE compound file ([MS-CFB]) is.

The streams below its root decide. Their directory may lie anywhere in the file. Where it lies in the head or the tail,
it is read as the tree that it is, because a letter may hold a workbook. Where it lies between them, the first sector
tells the common formats by their own signatures.
"""

import codecs
import struct
from collections.abc import Iterator
from typing import NamedTuple

from staging._claims.kinds import DOC, ENCRYPTED, MSG, OLE, PPT, XLS

VISIO = "application/vnd.visio"
PUBLISHER = "application/vnd.ms-publisher"
HWP = "application/x-hwp"
MSI = "application/x-msi"

_STREAMS = (  # the first that is there decides
    ("encryptedpackage", ENCRYPTED),  # [MS-OFFCRYPTO] section 2.3
    ("\tdrmcontent", ENCRYPTED),
    ("worddocument", DOC),
    ("powerpoint document", PPT),
    ("workbook", XLS),
    ("book", XLS),
    ("visiodocument", VISIO),
    ("quill", PUBLISHER),
    ("__properties_version1.0", MSG),
    ("bodytext", HWP),
)
_FIRST_SECTOR = (
    (b"\xec\xa5", DOC),  # [MS-DOC] section 2.5.2
    (b"\x09\x08\x10\0\0\6\5\0", XLS),  # [MS-XLS] section 2.4.21
    (b"\x0f\0\xe8\3", PPT),  # [MS-PPT] section 2.4.1
    (b"\xa0\x46\x1d\xf0", PPT),
    (b"\0\x6e\x1e\xf0", PPT),
)
_INSTALLER = bytes.fromhex("84100c0000000000c000000000000046")  # the class of a Windows Installer package

DOCUMENTS = frozenset({OLE, MSI, *(media_type for _, media_type in _STREAMS)})
"""Every type that this module tells."""

_ENTRY = struct.Struct("<64sHBxIII16s32x")  # name, its bytes, kind, left, right, child, class
_NOTHING = 0xFFFFFFFF
_LARGEST_SECTOR = 12  # its logarithm
_ROOT = "Root Entry".encode("utf-16-le") + bytes(44) + b"\x16\0\5"


class _Entry(NamedTuple):
    name: str
    left: int
    right: int
    child: int
    group: bytes


def type_of_ole(head: bytes, tail: bytes) -> str:
    """Return the type of the document that the streams make.

    Other files are only a compound file (`OLE`).
    """
    for part, at in _places(head, tail):
        if entries := _directory(part, at):
            if entries[0].group == _INSTALLER:
                return MSI
            names = _children(entries) or {entry.name for entry in entries}  # the directory goes on elsewhere
            return next((media_type for name, media_type in _STREAMS if name in names), _by_first_sector(head))
    return _by_first_sector(head)


def _places(head: bytes, tail: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the places where the directory may be.

    It is where the header says, or at the last root in the tail.
    """
    sector, shift = int.from_bytes(head[48:52], "little"), int.from_bytes(head[30:32], "little")
    if shift <= _LARGEST_SECTOR:
        yield head, (sector + 1) << shift
        if not head.startswith(tail[: len(head)]):
            yield tail, tail.rfind(_ROOT)
        else:  # the tail is the whole file
            yield tail, (sector + 1) << shift


def _by_first_sector(head: bytes) -> str:
    return next((media_type for mark, media_type in _FIRST_SECTOR if head.startswith(mark, 512)), OLE)


def _directory(part: bytes, at: int) -> list[_Entry]:
    """Return the entries of the directory from the root on.

    They are read as long as they follow each other in the part.
    """
    entries = list[_Entry]()
    if not part.startswith(_ROOT, max(at, 0)):
        return entries
    while 0 <= at <= len(part) - _ENTRY.size:
        name, size, kind, left, right, child, group = _ENTRY.unpack_from(part, at)
        if kind not in {0, 1, 2, 5} or size > len(name):
            break
        text = codecs.utf_16_le_decode(name[: max(size - 2, 0)], "replace")[0]  # imports nothing
        entries.append(_Entry(text.lower(), left, right, child, group))
        at += _ENTRY.size
    return entries


def _children(entries: list[_Entry]) -> set[str]:
    """Return the names directly below the root.

    The result is empty if a branch of their tree is not seen.
    """
    names, open_ends, seen = set[str](), [entries[0].child], set[int]()
    while open_ends:
        number = open_ends.pop()
        if number == _NOTHING or number in seen:
            continue
        if number >= len(entries):
            return set()
        seen.add(number)
        names.add(entries[number].name)
        open_ends += [entries[number].left, entries[number].right]
    return names
