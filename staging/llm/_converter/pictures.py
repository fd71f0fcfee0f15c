"""Pictures: one that a provider takes, made of any that Pillow reads."""

import contextlib
import importlib
import io
from collections.abc import Iterator
from typing import IO, Any

from staging.llm._converter.bounds import MB
from staging.llm._converter.output import NO_FIT, PIXELS, Output, refuse

LITTLE_DECODED = 28 * MB  # of pixels; more only for a file that has the bytes to show for it
MUCH_DECODED = 320 * MB
DECODED_PER_BYTE = 200  # photographs have 8 to 120, a flat colour thousands
WEIGHTS = {"L": 1, "1": 2, "P": 5, "PA": 5, "LA": 7, "RGBA": 7}  # bytes a pixel takes while converted; others 4

DECODERS = ("Jpeg", "Mpo", "Png", "Gif", "WebP", "Bmp", "Tiff", "Ico", "Avif", "Jpeg2K", "Psd")
LOSSY = {"JPEG", "MPO", "HEIF", "AVIF", "WEBP"}  # saved as JPEG; what was drawn (PNG, GIF, BMP, TIFF) stays exact


def read(source: IO[bytes], out: Output, *, side: int, max_bytes: int) -> None:
    """Write the first frame, upright, as PNG or JPEG of at most `side` pixels a side and `max_bytes` bytes."""
    image = open_picture(source)
    exact = image.format not in LOSSY
    image = upright(scaled(image, decoded_allowed(source), side))
    longest = max(image.size)
    while longest:
        image.thumbnail((longest, longest))
        for data, media_type in encodings(image, exact=exact or image.mode == "RGBA"):
            if len(data) <= max_bytes:
                out.data(f"{media_type} {image.width} {image.height}\n".encode() + data)
                return
        longest //= 2
    refuse(NO_FIT)


def open_picture(source: IO[bytes]) -> Any:
    """Read no more than the header; no other decoder than ours is tried (EPS would start Ghostscript)."""
    pil: Any = importlib.import_module("PIL.Image")
    pil.MAX_IMAGE_PIXELS = None  # its own check warns at one number and raises at twice that: ours is stricter
    for decoder in DECODERS:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{decoder}ImagePlugin")
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    return pil.open(source, formats=list(pil.OPEN))


def decoded_allowed(source: IO[bytes]) -> int:
    """Return how many bytes of pixels a file of this size may decode to (CWE-409): few bytes with many are a bomb."""
    place = source.tell()
    size = source.seek(0, io.SEEK_END)
    source.seek(place)
    return min(MUCH_DECODED, max(LITTLE_DECODED, size * DECODED_PER_BYTE))


def scaled(image: Any, allowed: int, side: int) -> Any:
    """Shrink before anything else, while there is one copy of the pixels."""
    if "progressive" not in image.info:  # those keep all their coefficients in memory, whatever the scale
        image.draft("RGB", (side, side))  # JPEG then decodes straight to a half, a quarter or an eighth
    if image.width * image.height * WEIGHTS.get(image.mode, 4) > allowed:
        refuse(PIXELS)
    if image.mode in {"1", "P", "PA"}:  # black or white, and the numbers of a palette, cannot be averaged
        see_through = "transparency" in image.info or image.mode == "PA"
        image = image.convert("RGBA" if see_through else "L" if image.mode == "1" else "RGB")
    image.thumbnail((side, side))
    return image


def upright(image: Any) -> Any:
    """Turn it as its EXIF says, since that is lost, and make its mode one that PNG and JPEG both have."""
    image = importlib.import_module("PIL.ImageOps").exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # 16 bits and more: the upper eight are the picture
        image = image.convert("I").point(lambda level: level / 256).convert("L")
    if image.mode not in {"L", "RGB", "RGBA"}:
        image = image.convert("RGBA" if "A" in image.mode or "a" in image.mode else "RGB")
    image.info = {}  # nothing of the file's own metadata is written again
    return image


def encodings(image: Any, *, exact: bool) -> Iterator[tuple[bytes, str]]:
    """Yield the picture in ever fewer bytes."""
    if exact:
        yield save(image, "PNG", optimize=False), "image/png"
    flat = importlib.import_module("PIL.Image").new("RGB", image.size, "white")
    flat.paste(image, mask=image if image.mode == "RGBA" else None)
    for quality in (85, 65, 45):
        yield save(flat, "JPEG", quality=quality), "image/jpeg"


def save(image: Any, kind: str, **options: Any) -> bytes:
    """Return the picture's bytes in the given format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
