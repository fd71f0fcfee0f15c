"""Read mails of Outlook ([MS-OXMSG]).

The result has the header fields, the text and the list of attached files.
"""

import struct
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
_MAX_RTF = 16 * 1_048_576
_DICTIONARY = (  # [MS-OXRTFCP], 2.1.2.1
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


def read(source: IO[bytes], out: Output) -> None:
    """Write the mail."""
    ole = open_ole(source, out)
    for name, number in _HEADS:
        if value := markdown.one_line(_property(ole, "", number)):
            out.text(f"{name}: {value}\n")
    out.text("\n" + _body(ole) + "\n")
    attached: list[str] = sorted({entry[0] for entry in ole.listdir() if entry[0].startswith("__attach_version1.0_")})
    if attached:
        out.text("\n[attached:]\n")
        out.remark(f"{len(attached):,} attached file{'s' * (len(attached) != 1)} not shown")
    for folder in attached[:200]:
        name = (
            _property(ole, folder + "/", "3707")
            or _property(ole, folder + "/", "3704")
            or _property(ole, folder + "/", "3001")
        )
        path = f"{folder}/__substg1.0_37010102"
        size = f" ({ole.get_size(path):,} bytes)" if ole.exists(path) else ""
        out.text(f"- {markdown.one_line(name) or 'without a name'}{size}\n")


def _property(ole: Any, folder: str, number: str) -> str:
    """Return a property that is text.

    It is UTF-16, or else in the sender's code page.
    """
    wide = stream(ole, f"{folder}__substg1.0_{number}001F")
    if wide:
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    narrow = stream(ole, f"{folder}__substg1.0_{number}001E")
    return decoded(narrow)[0].rstrip("\0") if narrow else ""


def _body(ole: Any) -> str:
    words = _property(ole, "", _BODY)
    if len(words.strip()) >= 20:
        return words
    html = stream(ole, f"__substg1.0_{_HTML}0102") or _property(ole, "", _HTML).encode()
    if html:
        try:
            return page.fragment(html)
        except ImportError:
            return decoded(html)[0]
    packed = stream(ole, f"__substg1.0_{_RTF}0102")
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
