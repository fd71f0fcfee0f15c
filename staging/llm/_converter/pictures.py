"""Make pictures that a provider decodes and a model sees as their author did.

Every picture is decoded once, to know that it can be.

Theory of operation. A picture goes as it is, without its metadata, if it is whole, upright, opaque, in sRGB, still and
small enough. Any other picture is made anew, also one that ends early. It is shrunk first, while there is one copy
of the pixels. Then it is turned, brought to sRGB, and laid on a background. Without Pillow, no picture is made anew.
"""

import contextlib
import importlib
import io
from collections.abc import Collection, Iterator
from typing import IO, Any, NamedTuple

from staging.llm._converter import structure
from staging.llm._converter.bounds import MB
from staging.llm._converter.colours import ground_of, laid_on, seen, to_srgb
from staging.llm._converter.output import BROKEN, NEEDS_HEIF, NEEDS_IMAGES, NO_FIT, PIXELS, Output, RefusedError, refuse
from staging.llm._converter.shrinking import shrunk
from staging.llm._converter.sizes import Bounds, parts
from staging.llm._converter.tasks import DECODERS

JPEGS = {"JPEG", "MPO"}
LOSSY = {*JPEGS, "HEIF", "AVIF"}  # made anew as JPEG; what was drawn (PNG, GIF, BMP, TIFF) stays exact
MUCH_DECODED = 320 * MB  # a page at 600 dpi in black and white takes 35 MB, in colour 139 MB
BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # a pixel takes in memory; others 4
MORE_BYTES = {"HEIF": 4, "AVIF": 4, "WEBP": 4, "JPEG2000": 16}  # that the decoder takes besides
STILL = {"MPO", "PSD", "ICO"}  # their further pictures are previews and layers
ORIENTATION = 0x0112
_FILLING = bytes(range(255)) * 16  # draws some blocks, whatever the codes, and has no marker
TURNS = {  # CIPA DC-008, 4.6.4; Pillow's own function for it also writes the EXIF anew
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip


class Wish(NamedTuple):
    """Says what the provider takes, like `Wanted` of the parent."""

    types: frozenset[str]
    max_bytes: int
    bounds: Bounds
    tile: bool
    motion: bool


def read(
    source: IO[bytes],
    out: Output,
    *,
    types: list[str],
    max_bytes: int,
    side: int,
    max_pixels: int = 0,
    patch: int = 32,
    max_patches: int = 0,
    tile: bool = False,
    motion: bool = False,
    pillow: bool = True,
) -> None:
    """Write one picture, or the parts of a long one.

    Each is a line of facts and then the bytes. Without Pillow, it is a copy.
    """
    wish = Wish(frozenset(types), max_bytes, Bounds(side, max_pixels, patch, max_patches), tile, motion)
    head = source.read(64)
    kind = structure.kind_of(head)
    if not pillow:
        give(out, *unchanged(head + source.read(), kind, wish))
        return
    if kind == "image/webp":
        source = io.BytesIO(head + source.read() + b"\0")  # the last byte is mostly padding, but decoders want it
    image = open_picture(source, head)
    check_memory(image, wish)
    if kept := as_it_is(image, source, kind, wish):
        frames = frames_of(image)
        give(out, kind, image.size, kept, f"it moves, {frames:,} frames" if frames > 1 else "")
        return
    for made in anew(image, source, head, wish):
        give(out, *made)


def give(out: Output, kind: str, size: tuple[int, int], data: bytes, remark: str) -> None:
    """Write a picture with its type, its size and words about it."""
    out.data(f"{kind} {size[0]} {size[1]} {remark}\n".encode(), data)


def unchanged(data: bytes, kind: str, wish: Wish) -> tuple[str, tuple[int, int], bytes, str]:
    """Return a picture as it is, without its metadata.

    The parent reads the size from its bytes.
    """
    if kind not in wish.types:
        refuse(NEEDS_IMAGES)
    clean = structure.whole(data, kind)
    moves = (kind == "image/gif" and not wish.motion and structure.gif_moves(clean)) or structure.webp_moves(clean)
    if moves or len(clean) > wish.max_bytes:
        refuse(NEEDS_IMAGES)
    orientation = structure.jpeg_orientation(data) if kind == "image/jpeg" else 1
    if orientation == 1:
        return kind, (0, 0), clean, ""
    told = "not turned upright, which needs the extra images"
    return kind, (0, 0), structure.with_orientation(clean, orientation), told


def open_picture(source: IO[bytes], head: bytes) -> Any:
    """Read no more than the header.

    Only the decoders named here are tried, since the one for EPS would start Ghostscript.
    """
    pil: Any = importlib.import_module("PIL.Image")
    pil.MAX_IMAGE_PIXELS = None  # Pillow's check warns at one number and raises at twice that; ours is stricter
    for decoder in DECODERS:
        with contextlib.suppress(ImportError):
            importlib.import_module(decoder)
    is_heif = head[4:8] == b"ftyp" and head[8:12] != b"avif"
    if is_heif:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError:
            refuse(NEEDS_HEIF)
    return pil.open(source, formats=list(pil.OPEN))


def check_memory(image: Any, wish: Wish) -> None:
    """Refuse a picture that takes too much memory when decoded (CWE-409).

    A JPEG may be larger, as it can be decoded at a smaller size.
    """
    pixels = image.width * image.height
    if not pixels:
        refuse(BROKEN)
    coefficients = 0
    if "progressive" in image.info:  # all its coefficients are kept, 16 bits each, whatever the scale
        coefficients = pixels * (2 if image.mode == "L" else 4 if image.mode == "RGB" else 8)
    if image.format in JPEGS and not is_parted(image, wish):
        width, height = wish.bounds.fit(*image.size)
        factor = next(f for f in (8, 4, 2, 1) if (image.width // f >= width and image.height // f >= height) or f == 1)
        pixels //= factor * factor
    size = BYTES.get(image.mode, 4) + MORE_BYTES.get(image.format, 0)
    if pixels * size + coefficients > MUCH_DECODED:
        refuse(PIXELS)


def is_parted(image: Any, wish: Wish) -> bool:
    """Tell whether the picture is long enough for parts."""
    return wish.tile and len(parts(image.size, wish.bounds)) > 1


def frames_of(image: Any) -> int:
    """Return how many pictures the file holds."""
    if image.format in STILL:
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001  # the first may be whole though the list of the others is not
        return 1


def as_it_is(image: Any, source: IO[bytes], kind: str, wish: Wish) -> bytes:
    """Return a copy without metadata if it can be given as it is.

    The provider must take it, and a model must see what its author saw. Otherwise the result is empty.
    """
    fits = wish.bounds.fit(*image.size) == image.size and image.getexif().get(ORIENTATION, 1) == 1
    if not kind or (kind == "image/jpeg" and not fits):  # to walk through a photo costs a third of decoding it
        return b""
    place = source.tell()
    source.seek(0)
    try:
        clean = structure.whole(source.read(), kind)
    except RefusedError:
        if kind == "image/jpeg":  # a decoder may still show the beginning of one that ends early
            return b""
        raise
    source.seek(place)
    moves = frames_of(image) > 1 and not (kind == "image/gif" and wish.motion)
    if moves or not fits or kind not in wish.types or len(clean) > wish.max_bytes:
        return b""
    image.load()
    strange = image.mode not in {"1", "L", "P", "RGB", "RGBA", "LA"} or deep(clean, kind) or is_lost(image)
    strange = strange or ends_early(image, source)
    return b"" if strange or to_srgb(image, image.info.get("icc_profile")) is not image else clean


def deep(clean: bytes, kind: str) -> bool:
    """Tell whether it is a PNG of 16 bits, which some decoders show wrongly."""
    return kind == "image/png" and clean[24] == 16


def is_lost(image: Any) -> bool:
    """Tell whether it is transparent and invisible on white."""
    if "transparency" not in image.info and image.mode not in {"RGBA", "LA"}:
        return False
    return ground_of(image) != "white"


def drawn(image: Any, source: IO[bytes], size: tuple[int, int]) -> tuple[Any, bool]:
    """Decode a picture, and tell whether it ends early.

    A JPEG that does is decoded as far as it goes, if that is half of its rows.
    """
    image.draft(None, size)  # JPEG then decodes straight to a half, a quarter or an eighth
    try:
        image.load()
        early = ends_early(image, source)
    except OSError:
        if image.format not in JPEGS:
            raise
        early, info = True, image.info
        image = reopened(source, size)
        image.info = info  # with the EXIF
    if early and is_grey(image, (0, image.height // 2, image.width, image.height // 2 + 1)):
        refuse(BROKEN)
    return image, early


def ends_early(image: Any, source: IO[bytes]) -> bool:
    """Tell whether a JPEG or WebP ends before its last row.

    Decoders fill a JPEG up with grey. That was not drawn if bytes that are added draw something else.
    """
    if image.format == "WEBP":
        size, _ = source.seek(0, io.SEEK_END), source.seek(4)
        return 8 + int.from_bytes(source.read(4), "little") == size  # the byte that `read` added is part of it
    if image.format not in JPEGS or not is_grey(image, (image.width - 1, image.height - 1, *image.size)):
        return False
    return bool(reopened(source, (1, 1)).tobytes() != reopened(source, (1, 1), added=_FILLING).tobytes())


def reopened(source: IO[bytes], size: tuple[int, int], *, added: bytes = b"") -> Any:
    """Decode what there is of a JPEG, with bytes added before its end."""
    source.seek(0)
    data = structure.jpeg_until_damage(source.read())
    image = open_picture(io.BytesIO(data[:-2] + added + data[-2:]), b"")
    image.draft(None, size)
    image.load()
    return image


def is_grey(image: Any, box: tuple[int, int, int, int]) -> bool:
    """Tell whether a part of a JPEG looks as if it was not drawn."""
    return not image.crop(box).tobytes().strip(b"\x7f\x80")


def anew(image: Any, source: IO[bytes], head: bytes, wish: Wish) -> Iterator[tuple[str, tuple[int, int], bytes, str]]:
    """Yield the picture or its parts as PNG or JPEG.

    Each comes with what was done to it.
    """
    before = image.size
    exact = image.format not in LOSSY and not (image.format == "WEBP" and b"VP8L" not in head)
    frames, told = frames_of(image), []
    if frames > 1:
        told.append(f"{'page' if image.format == 'TIFF' else 'frame'} 1 of {frames:,}")
    if deep(head, structure.kind_of(head)):
        told.append("in 8 bits")
    if image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) not in {0, 1}:  # those turn themselves
        told.append("turned upright")
    parting = is_parted(image, wish)
    size = before if parting else wish.bounds.fit(*before)
    image, early = drawn(image, source, size)
    if early:
        told.append("it ends early" + (": what is missing is grey" if image.format in JPEGS else ""))
    if parting:
        yield from parted(upright(image), wish, exact=exact, told=told)
        return
    profile = image.info.get("icc_profile")
    made = made_of(upright(shrunk(image, size)), profile, wish, exact=exact, told=told)
    yield made if made[1][0] * made[1][1] == before[0] * before[1] else (*made[:3], scaled_from(before, made[3]))


def scaled_from(size: tuple[int, int], words: str) -> str:
    """Return what is told of a picture, with its size before."""
    return f"was {size[0]} x {size[1]}; {words}"


def parted(
    image: Any, wish: Wish, *, exact: bool, told: list[str]
) -> Iterator[tuple[str, tuple[int, int], bytes, str]]:
    """Yield the parts of a long picture, from its beginning to its end."""
    boxes = parts(image.size, wish.bounds)
    each = wish._replace(max_bytes=wish.max_bytes // len(boxes))
    whole = f"{image.width:,} x {image.height:,}"
    for number, box in enumerate(boxes, 1):
        piece = image.crop(box)
        unit, start, end = ("row", box[1], box[3]) if box[2] - box[0] == image.width else ("column", box[0], box[2])
        words = [*told, f"part {number} of {len(boxes)} of {whole}, {unit} {start:,} to {end:,}"]
        before, small = piece.size, shrunk(piece, wish.bounds.fit(*piece.size))
        made = made_of(small, image.info.get("icc_profile"), each, exact=exact, told=words)
        yield made if made[1] == before else (*made[:3], scaled_from(before, made[3]))


def made_of(
    image: Any, profile: bytes | None, wish: Wish, *, exact: bool, told: list[str]
) -> tuple[str, tuple[int, int], bytes, str]:
    """Return a picture that is shrunk, turned, in sRGB and opaque.

    It takes at most so many bytes.
    """
    plain = to_srgb(image, profile)
    made, ground = seen(plain)
    media_type, made, data = fitted(made, wish.max_bytes, wish.types, exact=exact)
    words = [*told, *(["in sRGB"] if plain is not image else [])]
    words += [f"on {ground}, since it is transparent"] if ground else []
    return media_type, made.size, data, ", ".join(words)


def upright(image: Any) -> Any:
    """Turn it as its EXIF says, since that is lost."""
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    if turn is None:
        return image
    turned = image.transpose(getattr(importlib.import_module("PIL.Image").Transpose, turn))
    turned.info = {key: value for key, value in image.info.items() if key != "exif"}
    return turned


def fitted(image: Any, max_bytes: int, types: Collection[str], *, exact: bool) -> tuple[str, Any, bytes]:
    """Return type, picture and bytes, of at most so many bytes."""
    longest = max(image.size)
    while longest:
        image.thumbnail((longest, longest))
        for data, media_type in encodings(image, types, exact=exact):
            if len(data) <= max_bytes:
                return media_type, image, data
        longest //= 2
    return refuse(NO_FIT)


def encodings(image: Any, types: Collection[str], *, exact: bool) -> Iterator[tuple[bytes, str]]:
    """Yield the picture in ever fewer bytes."""
    if "image/png" in types and (exact or "image/jpeg" not in types):
        yield save(image, "PNG", optimize=False), "image/png"
    for quality in (85, 65, 45) if "image/jpeg" in types else ():
        yield save(laid_on(image, "white") if "A" in image.mode else image, "JPEG", quality=quality), "image/jpeg"


def save(image: Any, kind: str, **options: Any) -> bytes:
    """Return the picture's bytes in the given format, and nothing but the picture."""
    image.info = {}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
