"""Read mails of Outlook ([MS-OXMSG]).

The result has the header fields, the text, the mails within it and the list of attached files.
"""

import datetime as dt
import struct
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter import markdown, page
from staging.llm._converter.detection import decoded
from staging.llm._converter.ole import open_ole, stream
from staging.llm._converter.output import Output

_HEADS = (
    ("From", "0C1A"),
    ("From address", "5D01"),
    ("To", "0E04"),
    ("Cc", "0E03"),
    ("Subject", "0037"),
)  # [MS-OXPROPS]
_BODY, _HTML, _RTF = "1000", "1013", "1009"
_OF_TEXTS, _OF_PAGE = "3FFD", "3FDE"  # the code pages of texts and of the page
_CODE_PAGES = {  # those that Python has under another name: Code Page Identifiers, learn.microsoft.com
    20866: "koi8-r", 21866: "koi8-u", 50220: "iso-2022-jp", 51932: "euc-jp", 51949: "euc-kr", 54936: "gb18030",
    **{28590 + part: f"iso-8859-{part}" for part in range(1, 16)},
}  # fmt: skip
_Path = tuple[str, ...]  # the names of a storage and of those that it lies in
_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)  # of FILETIME, in tenths of a microsecond
_INNER = "__substg1.0_3701000D"  # the storage of a mail that is attached
_DEEPEST = 8  # mails within mails
_MOST_ATTACHED = 200
_MAX_RTF = 16 * 1_048_576
_DICTIONARY = (  # [MS-OXRTFCP], 2.1.2.1
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


def read(source: IO[bytes], out: Output) -> None:
    """Write the mail."""
    ole = open_ole(source, out)
    folders = {tuple(path[: at + 1]) for path in ole.listdir() for at in range(len(path) - 1)}
    attached: list[str] = []
    left_out: Counter[str] = Counter()
    try:
        for piece in _Mail(ole, folders, (), attached, left_out).written():
            out.text(piece)
    finally:
        page.tell(left_out, out)
    if attached:
        out.text("\n[attached:]\n" + "".join(attached))
        out.remark(f"{len(attached):,} attached file{'s' * (len(attached) != 1)} not shown")


class _Mail:
    """Reads one mail; what is attached to it is listed.

    Args:
        ole: the compound file.
        folders: its storages, each as the names of a path.
        place: the storage of the mail; that of the file itself is its root.
        attached: takes the lines of what is attached.
        left_out: takes what is left out of pages.
    """

    def __init__(
        self,
        ole: Any,
        folders: set[_Path],
        place: _Path,
        attached: list[str],
        left_out: Counter[str],
    ) -> None:
        self._ole = ole
        self._folders = folders
        self._place = place
        self._attached = attached
        self._left_out = left_out
        self._here = _start(place)
        properties = stream(ole, f"{self._here}__properties_version1.0")
        self._numbers = {
            properties[at : at + 4][::-1].hex().upper(): int.from_bytes(properties[at + 8 : at + 16], "little")
            for at in range(24 if place else 32, len(properties) - 15, 16)
        }

    def written(self) -> Iterator[str]:
        """Yield the mail, and those within it."""
        for name, number in _HEADS:
            words = self._property(self._here, number) or (self._recipients() if name == "To" else "")
            if value := markdown.one_line(words):
                yield f"{name}: {value}\n"
        if sent := self._sent():
            yield f"Date: {sent}\n"
        yield "\n" + self._body() + "\n"
        for folder in self._inside("__attach_version1.0_"):
            start = _start(folder)
            name = markdown.one_line(self._property(start, "3707", "3704", "3001"))
            if (*folder, _INNER) in self._folders and len(folder) < 2 * _DEEPEST:
                yield f"\n[forwarded mail{' ' * bool(name)}{name}:]\n"
                inner = _Mail(self._ole, self._folders, (*folder, _INNER), self._attached, self._left_out)
                yield from inner.written()
            else:
                path = f"{start}__substg1.0_37010102"
                size = f" ({self._ole.get_size(path):,} bytes)" if self._ole.exists(path) else ""
                self._attached.append(f"- {name or 'without a name'}{size}\n")

    def _inside(self, prefix: str) -> list[_Path]:
        found = (path for path in self._folders if path[:-1] == self._place and path[-1].startswith(prefix))
        return sorted(found)[:_MOST_ATTACHED]

    def _recipients(self) -> str:
        """Return those whom a mail goes to, where no field tells them all."""
        found = (self._property(_start(path), "39FE", "3003", "3001") for path in self._inside("__recip_version1.0_"))
        return "; ".join(filter(None, found))

    def _sent(self) -> str:
        """Return when a mail was sent, or else when it came (2.4)."""
        ticks = self._numbers.get("00390040") or self._numbers.get("0E060040") or 0
        try:
            sent = _EPOCH + dt.timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return f"{sent:%Y-%m-%d %H:%M} UTC" if ticks else ""

    def _charset(self, number: str) -> str:
        """Return the charset that a property tells as a code page."""
        code_page = self._numbers.get(f"{number}0003", 0) & 0xFFFFFFFF
        return _CODE_PAGES.get(code_page, f"cp{code_page}")

    def _property(self, folder: str, *numbers: str) -> str:
        """Return the first of some properties that is a text with words.

        It is UTF-16, or else in the sender's code page.
        """
        for number in numbers:
            if wide := stream(self._ole, f"{folder}__substg1.0_{number}001F"):
                text = wide.decode("utf-16-le", "replace").rstrip("\0")
            else:
                narrow = stream(self._ole, f"{folder}__substg1.0_{number}001E")
                text = decoded(narrow, self._charset(_OF_TEXTS))[0].rstrip("\0") if narrow else ""
            if text:
                return text
        return ""

    def _body(self) -> str:
        words = self._property(self._here, _BODY)
        if len(words.strip()) >= 20:
            return words
        html = stream(self._ole, f"{self._here}__substg1.0_{_HTML}0102")
        text = decoded(html, self._charset(_OF_PAGE))[0] if html else self._property(self._here, _HTML)
        if text:
            try:
                return page.fragment(text, self._left_out)
            except ImportError:
                return text
        packed = stream(self._ole, f"{self._here}__substg1.0_{_RTF}0102")
        if not packed or words.strip():
            return words
        from staging.llm._converter import rtf  # noqa: PLC0415  # few mails have only this form

        return rtf.words(_unpacked(packed))


def _start(path: _Path) -> str:
    """Return what the names of a storage's streams begin with."""
    return "".join(f"{name}/" for name in path)


def _unpacked(packed: bytes) -> bytes:
    """Return compressed RTF ([MS-OXRTFCP], 2.2)."""
    if len(packed) < 16:
        return b""
    _, raw_size, kind = struct.unpack_from("<II4s", packed)
    if kind == b"MELA":
        return packed[16 : 16 + raw_size]
    window = bytearray(_DICTIONARY) + bytearray(4096 - len(_DICTIONARY))
    write = len(_DICTIONARY)
    found = bytearray()
    at = 16
    while at < len(packed) and len(found) < min(raw_size, _MAX_RTF):
        flags = packed[at]
        at += 1
        for bit in range(8):
            if at >= len(packed):
                break
            if not flags >> bit & 1:
                piece = packed[at : at + 1]
                at += 1
            else:
                reference = int.from_bytes(packed[at : at + 2], "big")
                at += 2
                offset, length = reference >> 4, (reference & 15) + 2
                if offset == write:
                    return bytes(found)
                piece = b""
                for n in range(length):
                    c = window[(offset + n) % 4096]
                    window[(write + n) % 4096] = c
                    piece += bytes([c])
            for c in piece:
                window[write] = c
                write = (write + 1) % 4096
            found += piece
    return bytes(found)
