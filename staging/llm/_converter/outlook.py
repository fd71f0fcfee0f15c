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
        for piece in _written(ole, folders, (), attached, left_out):
            out.text(piece)
    finally:
        for told in page.told(left_out):
            out.remark(told)
    if attached:
        out.text("\n[attached:]\n" + "".join(attached))
        out.remark(f"{len(attached):,} attached file{'s' * (len(attached) != 1)} not shown")


def _written(
    ole: Any, folders: set[tuple[str, ...]], place: tuple[str, ...], attached: list[str], left_out: Counter[str]
) -> Iterator[str]:
    """Yield a mail, and those within it; what else is attached is listed.

    Args:
        ole: the compound file.
        folders: its storages, each as the names of a path.
        place: the storage of the mail; that of the file itself is its root.
        attached: takes the lines of what is attached.
        left_out: takes what is left out of pages.
    """
    here = _start(place)
    for name, number in _HEADS:
        if value := markdown.one_line(
            _property(ole, here, number) or (name == "To" and _recipients(ole, folders, place)) or ""
        ):
            yield f"{name}: {value}\n"
    if sent := _sent(stream(ole, f"{here}__properties_version1.0"), is_inner=bool(place)):
        yield f"Date: {sent}\n"
    yield "\n" + _body(ole, here, left_out) + "\n"
    inside = (path for path in folders if path[:-1] == place and path[-1].startswith("__attach_version1.0_"))
    for folder in sorted(inside)[:_MOST_ATTACHED]:
        start = _start(folder)
        name = markdown.one_line(_property(ole, start, "3707", "3704", "3001"))
        if (*folder, _INNER) in folders and len(folder) < 2 * _DEEPEST:
            yield f"\n[forwarded mail{' ' * bool(name)}{name}:]\n"
            yield from _written(ole, folders, (*folder, _INNER), attached, left_out)
        else:
            path = f"{start}__substg1.0_37010102"
            size = f" ({ole.get_size(path):,} bytes)" if ole.exists(path) else ""
            attached.append(f"- {name or 'without a name'}{size}\n")


def _recipients(ole: Any, folders: set[tuple[str, ...]], place: tuple[str, ...]) -> str:
    """Return those whom a mail goes to, where no field tells them all."""
    inside = sorted(path for path in folders if path[:-1] == place and path[-1].startswith("__recip_version1.0_"))
    found = (_property(ole, _start(path), "39FE", "3003", "3001") for path in inside[:_MOST_ATTACHED])
    return "; ".join(filter(None, found))


def _start(path: tuple[str, ...]) -> str:
    """Return what the names of a storage's streams begin with."""
    return "".join(f"{name}/" for name in path)


def _sent(properties: bytes, *, is_inner: bool) -> str:
    """Return when a mail was sent, or else when it came (2.4)."""
    entries = {
        properties[at : at + 4][::-1].hex().upper(): int.from_bytes(properties[at + 8 : at + 16], "little")
        for at in range(24 if is_inner else 32, len(properties) - 15, 16)
    }
    ticks = entries.get("00390040") or entries.get("0E060040") or 0
    try:
        sent = _EPOCH + dt.timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return f"{sent:%Y-%m-%d %H:%M} UTC" if ticks else ""


def _property(ole: Any, folder: str, *numbers: str) -> str:
    """Return the first of some properties that is a text with words.

    It is UTF-16, or else in the sender's code page.
    """
    for number in numbers:
        if wide := stream(ole, f"{folder}__substg1.0_{number}001F"):
            text = wide.decode("utf-16-le", "replace").rstrip("\0")
        else:
            narrow = stream(ole, f"{folder}__substg1.0_{number}001E")
            text = decoded(narrow)[0].rstrip("\0") if narrow else ""
        if text:
            return text
    return ""


def _body(ole: Any, here: str, left_out: Counter[str]) -> str:
    words = _property(ole, here, _BODY)
    if len(words.strip()) >= 20:
        return words
    html = stream(ole, f"{here}__substg1.0_{_HTML}0102") or _property(ole, here, _HTML).encode()
    if html:
        try:
            return page.fragment(html, left_out)
        except ImportError:
            return decoded(html)[0]
    packed = stream(ole, f"{here}__substg1.0_{_RTF}0102")
    if not packed or words.strip():
        return words
    from staging.llm._converter import rtf  # noqa: PLC0415  # few mails have only this form

    return rtf.words(_unpacked(packed))


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
