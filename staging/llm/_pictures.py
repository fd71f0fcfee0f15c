"""Pictures as a provider takes them, made in the converter: of an image file, or of the pages of a PDF."""

from dataclasses import dataclass

from staging._models import StagedFile

_WEB = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a provider takes of one picture.

    Attributes:
        types: media types; what is of another type becomes PNG or JPEG.
        max_bytes: raw bytes of one picture; of all its parts together where it is parted.
        side: pixels of the longer side; what is larger is scaled to it.
        max_pixels: width times height; 0 for no limit.
        patch: pixels a side of what the provider counts.
        max_patches: of them in one picture; 0 for no limit.
        tile: whether a long picture, such as a screenshot of a chat, is parted so that it can be read.
        motion: whether a GIF that moves is taken as it is.
    """

    types: frozenset[str] = _WEB
    max_bytes: int
    side: int = 2000
    max_pixels: int = 0
    patch: int = 32
    max_patches: int = 0
    tile: bool = True
    motion: bool = False


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
    raise NotImplementedError


async def pdf_facts(file: StagedFile) -> PdfFacts:
    """Open a PDF and return what it is.

    Raises:
        UnreadableError: if it is damaged, has no pages or needs a password.
    """
    raise NotImplementedError


async def unlocked(file: StagedFile, max_bytes: int) -> bytes:
    """Return a PDF that opens without a password, saved again without its encryption.

    Raises:
        UnreadableError: if that is more than `max_bytes`, or cannot be done.
    """
    raise NotImplementedError


async def pages_of(file: StagedFile, first: int, count: int, wanted: Wanted) -> tuple[Picture, ...]:
    """Return pictures of `count` pages of a PDF from page `first` on (the first is 1), each within `wanted`.

    Raises:
        UnreadableError: if it cannot be read; or with what to install.
    """
    raise NotImplementedError
