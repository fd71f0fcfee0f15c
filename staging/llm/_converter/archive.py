"""Read archives as the list of their members.

A single compressed text is shown as that text.
"""

import bz2
import gzip
import importlib
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

from staging.llm._converter import markdown
from staging.llm._converter.clean import Cleaner
from staging.llm._converter.detection import decoded
from staging.llm._converter.output import BROKEN, STICKER, Output
from staging.llm._converter.text import looks_like_text

MAX_LISTED = 2000
MAX_UNPACKED = 32 * 1_048_576  # bytes of a compressed text that are shown, or of a tar that is looked through
_PARTS = (  # a zip whose type was not seen from its ends: the part that only one kind of document has
    ("word/document.xml", "word"), ("xl/workbook.xml", "sheets"), ("ppt/presentation.xml", "slides"),
    ("content.xml", "odf"), ("META-INF/container.xml", "ebook"),
)  # fmt: skip
_OF_DOS = ("cp437", "cp850", "cp852")  # in America, the west and the centre of Europe; they are tried in this order
_STICKER = re.compile(rb'\A\s*\{[^{}\[\]]*"tgs"\s*:\s*1')  # Telegram's, a Lottie animation
_DAMAGE = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    ValueError,
    NotImplementedError,
)


def read(source: IO[bytes], out: Output) -> None:
    """Write the list of an archive's members, or the one compressed text."""
    head = source.read(6)
    source.seek(0)
    try:
        if not head.startswith(b"PK"):
            _read_packed(source, out, head)
            return
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
        names = {member.filename for member in members}
        for part, task in _PARTS:
            if part in names and (part != "content.xml" or "META-INF/manifest.xml" in names):
                source.seek(0)
                importlib.import_module(f"staging.llm._converter.{task}").read(source, out)
                return
        if locked := sum(member.flag_bits & 1 for member in members):
            out.remark(f"{locked:,} of its files are encrypted, a password is needed for them")
        _tell_names(members[:MAX_LISTED], out)
        _list(out, ((m.filename, m.file_size, m.is_dir()) for m in members), len(members))
    except _DAMAGE:
        out.refuse(BROKEN)


def _tell_names(members: Sequence[zipfile.ZipInfo], out: Output) -> None:
    """Decode the names that are not marked as UTF-8.

    By the specification they are in code page 437 (APPNOTE 4.4.4 and D.1). Programs write what their country had in
    DOS, or UTF-8. One name is too short to tell, so all are decoded together.
    """
    old: list[tuple[zipfile.ZipInfo, bytes]] = []
    for member in members:
        raw = b"" if member.flag_bits & 0x800 else member.orig_filename.encode("cp437")
        at = member.extra.find(b"\1" + zlib.crc32(raw).to_bytes(4, "little"))
        if at >= 4 and member.extra[at - 4 : at - 2] == b"up":  # the same name in UTF-8 (APPNOTE 4.6.9)
            end = at + int.from_bytes(member.extra[at - 2 : at], "little")
            member.filename = member.extra[at + 5 : end].decode("utf-8", "replace")
        elif not raw.isascii():
            old.append((member, raw.partition(b"\0")[0].replace(b"\n", b" ")))
    data = b"\n".join(raw for _, raw in old)
    text, remark = decoded(data)
    if remark and not any(letter >= "\u0370" and letter.isalpha() for letter in text):  # Latin letters, or none
        best = max(_OF_DOS, key=lambda codec: _letters(data.decode(codec)))
        if _letters(data.decode(best)) >= _letters(text):
            text, remark = data.decode(best), f"decoded as {best}, which is a guess"
    names = text.split("\n")
    for (member, _), name in zip(old, names, strict=False) if len(names) == len(old) else ():
        if "\ufffd" not in name:
            member.filename = name
    out.remark(f"names {remark}" if remark else "")


def _letters(text: str) -> int:
    return sum(letter.isalpha() for letter in text)


def _list(out: Output, members: Iterator[tuple[str, int, bool]], count: int | None) -> None:
    out.remark("the list of its members")
    files = 0
    size = 0
    for at, (name, length, is_folder) in enumerate(members):
        if at >= MAX_LISTED:
            out.text(f"[… and {count - at:,} more]\n" if count else "[… and more]\n")
            break
        files += not is_folder
        size += length
        shown = markdown.one_line(name)
        out.text(f"{shown}\n" if is_folder else f"{shown} ({length:,} bytes)\n")
    if not files:
        out.text("[it has no files]\n")
    out.remark(f"{files:,} file{'s' * (files != 1)}, {size:,} bytes unpacked")


def _read_packed(source: IO[bytes], out: Output, head: bytes) -> None:
    opened: Any = _opened(source, head)
    start = opened.read(1024)
    if start[257:262] == b"ustar" or (len(start) == 1024 and _is_old_tar(start)):
        limited = io.BufferedReader(_Limited(start, opened))
        with tarfile.open(fileobj=limited, mode="r|") as archive:  # as it comes, nothing is unpacked
            _list(out, _tar_members(archive), None)
        return
    data = start + opened.read(MAX_UNPACKED)
    if _STICKER.search(start):
        out.refuse(STICKER)
    if not looks_like_text(io.BytesIO(data)):
        out.refuse(BROKEN) if not data else out.text(f"[one compressed file, {len(data):,} bytes or more, no text]\n")
        return
    out.remark("the compressed text itself" + ("" if len(data) < MAX_UNPACKED else ", its beginning"))
    text, remark = decoded(data)
    out.remark(remark)
    cleaner = Cleaner()
    out.text(cleaner.feed(text) + cleaner.close())


def _opened(source: IO[bytes], head: bytes) -> Any:
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=source)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(source)
    if head.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
        return lzma.LZMAFile(source)
    return source


def _is_old_tar(block: bytes) -> bool:
    """Tell whether a header from before ``ustar`` has its checksum (POSIX.1-1988, 10.1.1)."""
    told = block[148:156].strip(b"\0 ")
    if not told.isdigit() or b"8" in told or b"9" in told:
        return False
    return int(told, 8) == sum(block[:148]) + sum(block[156:512]) + 8 * 32


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[str, int, bool]]:
    try:
        for member in archive:
            yield member.name, member.size, member.isdir()
    except _DAMAGE:
        yield "[the rest cannot be read]", 0, True


class _Limited(io.RawIOBase):
    """Reads what was read before, and then the rest up to a limit.

    A decompression bomb ends there like a damaged file (CWE-409).
    """

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start = start
        self._rest = rest
        self._left = 8 * MAX_UNPACKED

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        size = min(len(buffer), 65_536)
        data = self._start[:size] or self._rest.read(size)
        self._start = self._start[size:]
        self._left -= len(data)
        if self._left < 0:
            raise EOFError
        buffer[: len(data)] = data
        return len(data)
