"""Show a PDF as pictures of its pages (PDFium).

The tasks here also tell what a PDF is, and make a copy that is not encrypted.
"""

import importlib
import io
import struct
import zlib
from typing import IO, Any

from staging.llm._converter.output import BROKEN, ENCRYPTED, NEEDS_PDF, NO_FIT, NO_PAGES, Output, refuse
from staging.llm._converter.pdf import open_pdf
from staging.llm._converter.pictures import fitted
from staging.llm._converter.sizes import Bounds

_POINTS = 72  # an inch (ISO 32000-1, 8.3.2.3)
_SHARP = 200 / _POINTS  # pixels a point, where the bounds allow: small print can be read
_NO_SECURITY = 3  # FPDF_REMOVE_SECURITY of fpdf_save.h


def opened(source: IO[bytes], out: Output) -> Any:
    """Return the document.

    Raises:
        RefusedError: if it is damaged, has no pages or needs a password.
    """
    try:
        return open_pdf(source, out)
    except ImportError:
        refuse(NEEDS_PDF)


def read_facts(source: IO[bytes], out: Output) -> None:
    """Write the number of pages, and whether the PDF is encrypted.

    Without PDFium, it is what the bytes show.
    """
    try:
        importlib.import_module("pypdfium2")
    except ImportError:
        out.data(facts_of(source.read()))
        return
    document = opened(source, out)
    raw: Any = importlib.import_module("pypdfium2.raw")
    document[0].close()  # without a page that loads it is no document
    out.data(b"%d %d" % (len(document), raw.FPDF_GetSecurityHandlerRevision(document) != -1))


def facts_of(data: bytes) -> bytes:
    """Return what can be seen without a library.

    The number of pages is 0, which stands for unknown.

    Raises:
        RefusedError: if it is encrypted, since nothing here can open it, or is no PDF but for its first line.
    """
    if b"/Encrypt" in data:  # the trailer is never compressed (ISO 32000-1, 7.5.5 and 7.5.8)
        refuse(ENCRYPTED)
    if b"startxref" not in data or not (b"/Page" in data or b"/ObjStm" in data):
        refuse(BROKEN)
    if b"/ObjStm" not in data and b"/Page" not in data.replace(b"/Pages", b""):
        refuse(NO_PAGES)
    return b"0 0"


def read_unlocked(source: IO[bytes], out: Output, *, max_bytes: int) -> None:
    """Write the document without its encryption."""
    document = opened(source, out)
    copy = io.BytesIO()
    document.save(copy, flags=_NO_SECURITY)
    if copy.tell() > max_bytes:
        refuse(NO_FIT)
    out.data(copy.getvalue())


def read(
    source: IO[bytes],
    out: Output,
    *,
    first: int,
    count: int,
    types: list[str],
    max_bytes: int,
    side: int,
    max_pixels: int = 0,
    patch: int = 32,
    max_patches: int = 0,
) -> None:
    """Write a picture of each of `count` pages from `first` on.

    Each is a line of facts and then the bytes.
    """
    document = opened(source, out)
    bounds = Bounds(side, max_pixels, patch, max_patches)
    for number in range(first - 1, min(first - 1 + count, len(document))):
        page = document[number]
        bitmap = drawn(page, bounds)
        kind, size, data = pictured(bitmap, max_bytes, types)
        out.data(f"{kind} {size[0]} {size[1]} page {number + 1:,} of {len(document):,}\n".encode(), data)
        bitmap.close()
        page.close()


def drawn(page: Any, bounds: Bounds) -> Any:
    """Return the page as large as it can be read, within the bounds."""
    width, height = (max(1.0, side) for side in page.get_size())
    at_most = bounds.fit(max(1, round(width * _SHARP)), max(1, round(height * _SHARP)))
    return page.render(scale=min(at_most[0] / width, at_most[1] / height), may_draw_forms=True, rev_byteorder=True)


def pictured(bitmap: Any, max_bytes: int, types: list[str]) -> tuple[str, tuple[int, int], bytes]:
    """Return type, size and bytes.

    Without Pillow, the picture is a PNG that this module writes.
    """
    try:
        importlib.import_module("PIL.Image")
    except ImportError:
        data = png_of(bitmap)
        if len(data) > max_bytes:
            refuse(NO_FIT)
        return "image/png", (bitmap.width, bitmap.height), data
    image = bitmap.to_pil().convert("RGB")
    kind, image, data = fitted(image, max_bytes, types, exact=True)
    return kind, image.size, data


def png_of(bitmap: Any) -> bytes:
    """Return a bitmap as PNG (RFC 2083)."""
    pixels, channels = memoryview(bitmap.buffer).cast("B"), bitmap.n_channels
    rows = bytearray()
    for row in range(bitmap.height):
        line = bytes(pixels[row * bitmap.stride : row * bitmap.stride + bitmap.width * channels])
        if channels == 4:  # the fourth is not used on an opaque page
            kept = bytearray(3 * bitmap.width)
            for channel in range(3):
                kept[channel::3] = line[channel::4]
            line = bytes(kept)
        rows += b"\0" + line
    colours = 0 if channels == 1 else 2
    header = struct.pack(">2I5B", bitmap.width, bitmap.height, 8, colours, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
