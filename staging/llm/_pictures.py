"""Pictures as a provider takes them, made in the converter: of an image file, or of the pages of a PDF."""

import io
import re
from dataclasses import dataclass, replace
from typing import Any

from staging._models import StagedFile
from staging._text import one_line
from staging.llm._converter.output import NEEDS_IMAGES, REASONS
from staging.llm._files import UnreadableError, staged
from staging.llm._frames import BROKE
from staging.llm._images import image_facts
from staging.llm._process import convert

_WORDS = 10_000  # bytes of what is said about the pictures
_HEIF = {"image/heic", "image/heif"}
_WEB = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a provider takes of one picture.

    Attributes:
        types: media types; what is of another type becomes PNG or JPEG.
        max_bytes: raw bytes of one picture; of all its parts together where it is parted.
        side: pixels of the longer side; what is larger is scaled to it, where Pillow is installed.
        max_side: pixels of the longer side that the provider takes.
        max_pixels: width times height; 0 for no limit.
        patch: pixels a side of what the provider counts.
        max_patches: of them in one picture; 0 for no limit.
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

    def takes(self, width: int, height: int) -> bool:
        """Whether the provider takes a picture of this size."""
        patches = -(-width // self.patch) * -(-height // self.patch)
        return (
            max(width, height) <= self.max_side
            and width * height <= (self.max_pixels or width * height)
            and patches <= (self.max_patches or patches)
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was decoded once, so that a provider will decode it too.

    Attributes:
        data: the bytes.
        media_type: what they are.
        width: pixels.
        height: pixels.
        remark: what was done to it or left out, in words for a model and a person; empty if nothing was.
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
        pages: how many; 0 if there is no library to count them.
        locked: whether it is encrypted, though it opens without a password; see `unlocked`.
    """

    pages: int
    locked: bool = False


async def picture_of(file: StagedFile, wanted: Wanted) -> tuple[Picture, ...]:
    """Return an image as the provider takes it: one picture, or the parts of a long one from top to bottom.

    It is upright, in sRGB, without position and other metadata. Without the extra ``images`` its structure is checked,
    its metadata is removed, and what would have to be scaled or converted is refused.

    Raises:
        UnreadableError: if it is damaged, or cannot be made to fit; or with what to install.
    """
    async with staged(file) as handle:
        answer = await convert(
            handle, "heif" if file.media_type in _HEIF else "picture", limit=wanted.max_bytes + _WORDS,
            types=sorted(wanted.types), tile=wanted.tile, motion=wanted.motion, **_bounds(wanted),
        )  # fmt: skip
    found = tuple(_checked(piece, wanted) for piece in answer.data)
    if not found:
        raise UnreadableError(BROKE)
    if len(found) == 1 and found[0].media_type != file.media_type:
        words = f"converted from {one_line(file.media_type)} to {found[0].media_type}"
        return (replace(found[0], remark=", ".join(filter(None, [words, found[0].remark]))),)
    return found


def _bounds(wanted: Wanted) -> dict[str, Any]:
    side = min(wanted.side, wanted.max_side)
    return {
        "max_bytes": wanted.max_bytes, "side": side, "max_pixels": wanted.max_pixels,
        "patch": wanted.patch, "max_patches": wanted.max_patches,
    }  # fmt: skip


def _checked(piece: bytes, wanted: Wanted) -> Picture:
    """Return a picture if it is one: a converter that was taken over may say anything."""
    line, _, data = piece.partition(b"\n")
    match = re.fullmatch(rb"(image/[a-z]{3,4}) (\d{1,5}) (\d{1,5}) ([^\n]{0,300})", line)
    if match is None:
        raise UnreadableError(BROKE)
    media_type, size = match[1].decode(), (int(match[2]), int(match[3]))
    facts = image_facts(io.BytesIO(data), media_type)
    if facts is None or media_type not in wanted.types | {"image/png", "image/jpeg"}:
        raise UnreadableError(BROKE)
    if size == (0, 0):  # it was not decoded
        size = facts.width, facts.height
        if not wanted.takes(*size):
            raise UnreadableError(f"{size[0]:,} x {size[1]:,} pixels are too many; {REASONS[NEEDS_IMAGES]}")
    if size != (facts.width, facts.height):
        raise UnreadableError(BROKE)
    return Picture(data, media_type, *size, one_line(match[4].decode("utf-8", "replace")))


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
    """Return pictures of `count` pages of a PDF from page `first` on (the first is 1), each within `wanted`.

    Raises:
        UnreadableError: if it cannot be read; or with what to install.
    """
    async with staged(file) as handle:
        answer = await convert(
            handle, "pdf_pictures", limit=count * (wanted.max_bytes + _WORDS), first=first, count=count,
            **_bounds(wanted),
        )  # fmt: skip
    return tuple(_checked(piece, wanted) for piece in answer.data)
