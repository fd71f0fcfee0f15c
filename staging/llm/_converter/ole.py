"""Open compound files ([MS-CFB]), and read those whose kind only their streams tell."""

import importlib
import re
import struct
from typing import IO, Any

from staging.llm._converter.output import A_DOCUMENT, A_MAIL, BROKEN, ENCRYPTED, SHEETS, SLIDES, Output, RefusedError

MAX_BYTES = 32 * 1_048_576
_KINDS = {  # by a stream that only they have
    "WordDocument": ("old_word", A_DOCUMENT),
    "PowerPoint Document": ("old_slides", SLIDES),
    "Workbook": ("old_sheets", SHEETS),
    "Book": ("old_sheets", SHEETS),
    "__properties_version1.0": ("outlook", A_MAIL),
}
_RUN = re.compile(rb"(?:[\t\n\r\x20-\x7e\xa0-\xff]\0){6,}|[\t\n\r\x20-\x7e]{6,}")


def open_ole(source: IO[bytes], out: Output) -> Any:
    """Return the compound file.

    A file that only wraps an encrypted document is refused ([MS-OFFCRYPTO], 2.3).
    """
    olefile = importlib.import_module("olefile")
    try:
        ole = olefile.OleFileIO(source)
    except (OSError, ValueError, IndexError, struct.error):
        out.refuse(BROKEN)
    if ole.exists("EncryptedPackage"):
        out.refuse(ENCRYPTED)
    return ole


def stream(ole: Any, name: str) -> bytes:
    """Return a stream, or nothing if it is not there."""
    return bytes(ole.openstream(name).read(MAX_BYTES)) if ole.exists(name) else b""


def read(source: IO[bytes], out: Output) -> None:
    """Write a compound file by what its streams say that it is.

    The parent sees only the ends of a file, and the list of the streams may lie between them. Of a file whose structure
    cannot be followed, it is the runs of text.
    """
    try:
        ole = open_ole(source, out)
        kind = next((kind for name, kind in _KINDS.items() if ole.exists(name)), None)
    except (ImportError, RefusedError) as error:
        if error.args == (ENCRYPTED,):
            raise
        kind = None
    source.seek(0)
    if kind:
        module, told = kind
        importlib.import_module(f"staging.llm._converter.{module}").read(source, out)
        out.remark(told)
        return
    out.remark("the text that was found in a file of unknown or damaged structure")
    runs = (found[0] for found in _RUN.finditer(source.read(MAX_BYTES)))
    words = (run.decode("utf-16-le" if run[1:2] == b"\0" else "ascii", "replace").strip() for run in runs)
    out.remark("runs of letters, perhaps out of order")
    for line in words:
        if not line.endswith("\0") and len(set(line)) > 2:
            out.text(line + "\n")
