"""Make pictures as a provider takes them, in the converter.

They come from an image file, or from the pages of a PDF.
"""

import io
import re
from dataclasses import dataclass
from typing import Any

from staging._models import StagedFile
from staging._text import one_line
from staging._threads import in_thread
from staging.llm._converter.output import NEEDS_HEIF, NEEDS_IMAGES, REASONS
from staging.llm._converter.sizes import Bounds, parts
from staging.llm._files import UnreadableError, staged
from staging.llm._frames import BROKE
from staging.llm._images import image_facts
from staging.llm._process import convert
from staging.llm.extract import is_there, joined

_WORDS = 10_000  # bytes of what is said about the pictures
_FACTS = re.compile(rb"(image/[a-z]{3,4}) (\d{1,5}) (\d{1,5}) (?:was (\d{1,6}) x (\d{1,6}); )?([^\n]{0,300})")
_HEIF = {"image/heic", "image/heif"}
_WEB = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a provider takes of one picture.

    Attributes:
        types: media types; what is of another type becomes PNG or JPEG.
        max_bytes: raw bytes of one picture. The parts of one picture have it together.
        side: pixels of the longer side; what is larger is scaled to it, where Pillow is installed.
        max_side: pixels of the longer side that the provider takes.
        max_pixels: width times height. 0 means no limit.
        patch: pixels a side of what the provider counts.
        max_patches: of them in one picture. 0 means no limit.
        tile: whether a long picture, such as a screenshot of a chat, is parted so that it can be read.
        motion: whether a GIF that moves is taken as it is.
    """

    types: frozenset[str] = _WEB
    max_bytes: int
    side: int = 2000
    max_side: int = 8000
    max_pixels: int = 0
    patch: int = 32
    max_patches: int = 0
    tile: bool = True
    motion: bool = False

    def sees(self, width: int, height: int) -> bool:
        """Tell whether a picture of this size need not be scaled."""
        return max(width, height) <= self.side and self.takes(width, height)

    def takes(self, width: int, height: int) -> bool:
        """Tell whether the provider takes a picture of this size."""
        patches = -(-width // self.patch) * -(-height // self.patch)
        return (
            max(width, height) <= self.max_side
            and width * height <= (self.max_pixels or width * height)
            and patches <= (self.max_patches or patches)
        )

    def parts_of(self, width: int, height: int) -> int:
        """Return into how many parts a picture of this size is parted."""
        bounds = Bounds(min(self.side, self.max_side), self.max_pixels, self.patch, self.max_patches)
        return len(parts((width, height), bounds))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was decoded once, so that a provider will decode it too.

    Attributes:
        data: the bytes.
        media_type: what they are.
        width: pixels.
        height: pixels.
        remark: what was done to it or left out, in words for a model and a person. Empty if nothing was.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    remark: str = ""


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What a PDF is, once it is opened.

    Attributes:
        pages: how many. It is 0 if there is no library to count them.
        locked: whether it is encrypted, though it opens without a password. See `unlocked`.
    """

    pages: int
    locked: bool = False


async def picture_of(file: StagedFile, wanted: Wanted) -> tuple[Picture, ...]:
    """Return an image as the provider takes it.

    It is one picture, or the parts of a long one from top to bottom.

    It is upright, in sRGB, without position and other metadata. Without the extra ``images``, its structure is checked
    and its metadata is removed. A picture that would have to be scaled or converted is then refused.

    Raises:
        UnreadableError: if it is damaged, or cannot be made to fit; or with what to install.
    """
    heif = file.media_type in _HEIF
    pillow = await in_thread(is_there, "PIL")
    if heif and not (pillow and await in_thread(is_there, "pillow_heif")):
        raise UnreadableError(f"{one_line(file.media_type)} is not taken as it is; {REASONS[NEEDS_HEIF]}")
    if not pillow and file.media_type not in wanted.types:
        raise UnreadableError(f"{one_line(file.media_type)} is not taken as it is; {REASONS[NEEDS_IMAGES]}")
    async with staged(file) as handle:
        answer = await convert(
            handle, "heif" if heif else "picture", limit=wanted.max_bytes + _WORDS, tile=wanted.tile,
            motion=wanted.motion, pillow=pillow, **_bounds(wanted),
        )  # fmt: skip
    if not answer.data:
        raise UnreadableError(BROKE)
    return tuple(_checked(piece, wanted, file.media_type) for piece in answer.data)


def _bounds(wanted: Wanted) -> dict[str, Any]:
    side = min(wanted.side, wanted.max_side)
    return {
        "types": sorted(wanted.types), "max_bytes": wanted.max_bytes, "side": side, "max_pixels": wanted.max_pixels,
        "patch": wanted.patch, "max_patches": wanted.max_patches,
    }  # fmt: skip


def _checked(piece: bytes, wanted: Wanted, before: str) -> Picture:
    """Return a picture if it is one.

    A converter that an attacker controls may say anything.
    """
    line, _, data = piece.partition(b"\n")
    match = _FACTS.fullmatch(line)
    if match is None or match[1].decode() not in wanted.types:
        raise UnreadableError(BROKE)
    media_type, size = match[1].decode(), (int(match[2]), int(match[3]))
    facts = image_facts(io.BytesIO(data), media_type)
    if facts is None or size not in {(0, 0), (facts.width, facts.height)}:
        raise UnreadableError(BROKE)
    if size == (0, 0) and not wanted.takes(facts.width, facts.height):  # it was not decoded
        too_many = f"{facts.width:,} x {facts.height:,} pixels, the limit is {wanted.max_side:,} a side"
        raise UnreadableError(f"{too_many}; {REASONS[NEEDS_IMAGES]}")
    old_size = f", {int(match[4]):,} x {int(match[5]):,}" if match[4] else ""
    words = one_line(match[6].decode("utf-8", "replace"))
    if before not in {"", media_type} or old_size:
        change = f"{one_line(before)}{old_size} to {media_type}, {facts.width:,} x {facts.height:,} pixels"
        words = joined(words, f"converted from {change}")
    return Picture(data, media_type, facts.width, facts.height, words)


async def pdf_facts(file: StagedFile) -> PdfFacts:
    """Open a PDF and return what it is.

    Raises:
        UnreadableError: if it is damaged, has no pages or needs a password.
    """
    async with staged(file) as handle:
        answer = await convert(handle, "pdf_facts", limit=100)
    match = re.fullmatch(rb"(\d{1,9}) ([01])", b"".join(answer.data))
    if match is None:
        raise UnreadableError(BROKE)
    return PdfFacts(int(match[1]), match[2] == b"1")


async def unlocked(file: StagedFile, max_bytes: int) -> bytes:
    """Return a PDF that opens without a password, saved again without its encryption.

    Raises:
        UnreadableError: if that is more than `max_bytes`, or cannot be done.
    """
    async with staged(file) as handle:
        answer = await convert(handle, "pdf_unlocked", limit=max_bytes + _WORDS, max_bytes=max_bytes)
    data = b"".join(answer.data)
    if not data.startswith(b"%PDF-"):
        raise UnreadableError(BROKE)
    return data


async def pages_of(file: StagedFile, first: int, count: int, wanted: Wanted) -> tuple[Picture, ...]:
    """Return pictures of `count` pages of a PDF from page `first` on.

    The first page is 1. Each picture is within `wanted`.

    Raises:
        UnreadableError: if it cannot be read; or with what to install.
    """
    async with staged(file) as handle:
        answer = await convert(
            handle, "pdf_pictures", limit=count * (wanted.max_bytes + _WORDS), first=first, count=count,
            **_bounds(wanted),
        )  # fmt: skip
    return tuple(_checked(piece, wanted, "") for piece in answer.data)
