"""What is no text: pictures, PDFs, sound and video, as one provider takes them, within the request's bytes.

Theory of operation. `plan_of` looks at each file and decides how many bytes it asks for, or refuses it with a reason.
`load_all` shares the bytes of the request over the plans: pictures are made to fit their share, everything else goes
whole or not at all, smallest first, into what remains.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import anyio

from staging._models import MB, StagedFile
from staging._text import describe_limit, one_line
from staging._threads import in_thread
from staging.llm._budget import fair_shares
from staging.llm._files import UnreadableError, reading, staged
from staging.llm._frames import BROKE
from staging.llm._images import image_facts
from staging.llm._process import convert
from staging.llm._values import AudioPart, DocumentPart, ImagePart, MediaPart, VideoPart
from staging.llm.extract import is_there, require
from staging.llm.limits import PDF, ProviderLimits

_T = TypeVar("_T")

_AT_ONCE = 2  # files that are looked at, loaded or converted at once
_PATCH = 32  # pixels of a patch's side
_HEIF = {"image/heic", "image/heif"}
_CONVERTED_BYTES = 5 * MB * 3 // 4  # what a converted picture asks for: enough for the sides that models see


class TextInsteadError(UnreadableError):
    """It cannot be given as it is; its text may still be shown."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be given of a file.

    Attributes:
        number: the place of its outcome.
        file: the file.
        size: raw bytes that it asks for.
        change: what the provider refuses in a picture as it is; empty if it takes it.
        side: pixels to which a picture is scaled.
        pixels: of a picture, as its header says, for the remark.
        pages: of a PDF, if they could be counted.
    """

    number: int
    file: StagedFile
    size: int
    change: str = ""
    side: int = 0
    pixels: str = ""
    pages: int = 0

    @property
    def is_image(self) -> bool:
        """Whether it can be made smaller."""
        return self.file.media_type.startswith("image/")


Found = MutableMapping[int, "Sequence[MediaPart] | UnreadableError"]


async def load_media(files: Mapping[int, StagedFile], limits: ProviderLimits, budget: int, found: Found) -> None:
    """Put into `found`, for every number, the parts, or the reason why there are none; what is there stays there."""
    plans: dict[int, Plan] = {}
    images = sum(file.media_type.startswith("image/") for file in files.values())

    async def plan(number: int, file: StagedFile) -> None:
        try:
            plans[number] = await plan_of(number, file, limits, limits.side_of(images))
        except UnreadableError as error:
            found[number] = error

    await _each(plan, files)
    plans = {number: plans[number] for number in files if number in plans}
    _leave_out(plans, found, limits)
    await _load_all(plans, found, min(budget, limits.max_request_bytes), limits)


async def _each(work: Callable[[int, _T], Awaitable[None]], things: Mapping[int, _T]) -> None:
    """Do `work` for everything, a few at once."""
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def one(number: int, thing: _T) -> None:
        async with places:
            await work(number, thing)

    async with anyio.create_task_group() as group:
        for number, thing in things.items():
            group.start_soon(one, number, thing)


# What is to be done


async def plan_of(number: int, file: StagedFile, limits: ProviderLimits, taken: int) -> Plan:
    """Return the plan for a file.

    Raises:
        UnreadableError: if it cannot be given.
    """
    if file.size == 0:
        raise UnreadableError("it is empty")
    if file.media_type == PDF:
        return Plan(number, file, file.size, pages=await _pages(file, limits))
    if not file.media_type.startswith("image/"):
        if file.size > limits.max_file_bytes:
            raise TextInsteadError(describe_limit(file.size, limits.max_file_bytes))
        return Plan(number, file, file.size)
    return await in_thread(_image_plan, number, file, limits, taken)


async def _pages(file: StagedFile, limits: ProviderLimits) -> int:
    if file.size > limits.max_pdf_bytes:
        raise TextInsteadError(describe_limit(file.size, limits.max_pdf_bytes))
    async with staged(file) as handle:
        answer = await convert(handle, "pdf_pages", limit=30)
    (pages,) = _told(b"".join(answer.data), rb"(\d{1,9})")
    return int(pages)


def _told(line: bytes, pattern: bytes) -> list[str]:
    """Return the parts of what a converter says; one that was taken over may say anything."""
    match = re.fullmatch(pattern, line)
    if match is None:
        raise UnreadableError(BROKE)
    return [part.decode("ascii") for part in match.groups()]


def _image_plan(number: int, file: StagedFile, limits: ProviderLimits, taken: int) -> Plan:
    with reading(file) as handle:
        facts = image_facts(handle, file.media_type)
    pixels = f"{facts.width:,} x {facts.height:,}" if facts else ""
    longest = max(facts.width, facts.height) if facts else 0
    taken = min(taken, _side_in_patches((facts.width, facts.height) if facts else None, limits.max_image_patches))
    side = min(taken, limits.image_side)
    change = ""
    if file.media_type not in limits.image_types:
        change = f"{one_line(file.media_type)} is not taken as it is"
    elif facts is None:
        change = "its header is damaged"
    elif facts.moves and not limits.moving_gif:
        change = "a moving GIF is not taken"
    elif longest > taken:
        change = f"{pixels} pixels, the limit is {taken:,} a side"
    elif file.size > limits.max_image_bytes:
        change = describe_limit(file.size, limits.max_image_bytes)
    elif longest > side and is_there("PIL"):
        change = f"{pixels} pixels are more than a model sees"
    if change:
        _require_pillow(file, change)
    size = min(_CONVERTED_BYTES, limits.max_image_bytes) if change else file.size
    return Plan(number, file, size, change, side, pixels)


def _side_in_patches(size: tuple[int, int] | None, most: int | None) -> int:
    """Return the pixels of the longer side with which a picture is covered by `most` patches; a square's if unknown."""
    if most is None:
        return 1 << 30
    width, height = size or (1, 1)
    longest = max(width, height, 1)
    if size and -(-width // _PATCH) * -(-height // _PATCH) <= most:
        return longest
    side = int(_PATCH * math.sqrt(most * longest / max(1, min(width, height))))
    while side > _PATCH and -(-side // _PATCH) * -(-(side * min(width, height)) // (longest * _PATCH)) > most:
        side -= 1
    return max(side, 1)


def _require_pillow(file: StagedFile, change: str) -> None:
    try:
        require(*(("pillow_heif", "heif") if file.media_type in _HEIF else ("PIL", "images")))
    except UnreadableError as error:
        raise UnreadableError(f"{change}; {error}") from None


def _leave_out(plans: dict[int, Plan], found: Found, limits: ProviderLimits) -> None:
    """Turn what exceeds the request's number of images or pages into reasons."""
    images = pages = 0
    for number, plan in list(plans.items()):
        if plan.is_image and images == limits.max_images:
            found[number] = UnreadableError(f"more than {limits.max_images:,} images")
        elif pages + plan.pages > limits.max_pdf_pages:
            found[number] = TextInsteadError(f"more than {limits.max_pdf_pages:,} pages in all")
        else:
            images, pages = images + plan.is_image, pages + plan.pages
            continue
        del plans[number]


# What is loaded


async def _load_all(plans: Mapping[int, Plan], found: Found, budget: int, limits: ProviderLimits) -> None:
    """Load everything within the budget: first to the fair shares, then what cannot be scaled from what remains."""
    shares = dict(zip(plans, fair_shares(budget, [plan.size for plan in plans.values()]), strict=True))
    rigid = [(plan.size, n) for n, plan in plans.items() if not plan.is_image and plan.size > shares[n]]
    late = [number for _, number in sorted(rigid)]
    left = budget

    async def load(number: int, plan: Plan) -> None:
        nonlocal left
        try:
            found[number] = parts = await _load(plan, left if number in late else shares[number], limits)
        except UnreadableError as error:
            found[number] = error
        else:
            left -= sum(len(part.data) for part in parts)

    await _each(load, {number: plan for number, plan in plans.items() if number not in late})
    for number in late:
        await load(number, plans[number])


async def _load(plan: Plan, limit: int, limits: ProviderLimits) -> Sequence[MediaPart]:
    too_large = f"{describe_limit(plan.file.size, limit)} for its share of the budget"
    if plan.is_image:
        if plan.change or plan.file.size > limit:
            if not plan.change:
                await in_thread(_require_pillow, plan.file, too_large)
            return [await _converted(plan, min(limit, limits.max_image_bytes))]
        return [await in_thread(_picture, plan)]
    if plan.file.size > limit:
        raise TextInsteadError(too_large)
    return [await in_thread(_whole, plan)]


def _read(file: StagedFile) -> bytes:
    with reading(file) as handle:
        return handle.read()


def _whole(plan: Plan) -> MediaPart:
    kinds: dict[str, type[AudioPart | VideoPart]] = {"audio": AudioPart, "video": VideoPart}
    kind = kinds.get(plan.file.media_type.partition("/")[0], DocumentPart)
    return kind(
        number=plan.number, outcome=plan.file, name=plan.file.name, media_type=plan.file.media_type,
        data=_read(plan.file),
    )  # fmt: skip


def _picture(plan: Plan) -> ImagePart:
    with reading(plan.file) as handle:
        facts = image_facts(handle, plan.file.media_type)
        handle.seek(0)
        data = handle.read()
    return ImagePart(
        number=plan.number, outcome=plan.file, name=plan.file.name, media_type=plan.file.media_type, data=data,
        width=facts.width if facts else 0, height=facts.height if facts else 0,
    )  # fmt: skip


async def _converted(plan: Plan, limit: int) -> ImagePart:
    async with staged(plan.file) as handle:
        answer = await convert(handle, "picture", limit=limit + 1024, side=plan.side, max_bytes=limit)
    line, _, data = b"".join(answer.data).partition(b"\n")
    media_type, width, height = _told(line, rb"(image/png|image/jpeg) (\d{1,5}) (\d{1,5})")
    before = ", ".join(filter(None, [one_line(plan.file.media_type), plan.pixels]))
    remark = f"converted from {before} to {media_type}, {int(width):,} x {int(height):,} pixels"
    return ImagePart(
        number=plan.number, outcome=plan.file, name=plan.file.name, media_type=media_type, remark=remark,
        data=data, width=int(width), height=int(height),
    )  # fmt: skip
