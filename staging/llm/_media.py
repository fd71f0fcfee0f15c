"""Give pictures, PDFs, sound and video as one provider takes them.

Together they stay within the request's bytes.

Theory of operation. `plan_of` looks at each file and decides how many bytes it asks for, or refuses it with a reason.
`load_all` shares the bytes of the request over the plans. Pictures are made to fit their share. Everything else goes
whole or not at all, smallest first, into what remains.
"""

import io
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import anyio

from staging._models import MB, StagedFile
from staging._text import describe_limit
from staging.llm._budget import fair_shares
from staging.llm._converter.output import NEEDS_PDF, REASONS
from staging.llm._converter.sizes import MAX_PARTS
from staging.llm._files import UnreadableError, read
from staging.llm._images import ImageFacts, image_facts
from staging.llm._pictures import Picture, Wanted, pages_of, pdf_facts, picture_of, unlocked
from staging.llm._values import AudioPart, DocumentPart, ImagePart, MediaPart, VideoPart
from staging.llm.limits import PDF, ProviderLimits

_T = TypeVar("_T")

_AT_ONCE = 2  # files that are looked at, loaded or converted at once
_PATCH = 32  # pixels of a patch's side
_SMALL = MB // 16  # what the smallest picture asks for: it may be made anew
_PAGE_BYTES = MB // 2  # what the picture of a page asks for
_PAGES_AT_ONCE = 4  # pages that one converter draws
_CONVERTED_BYTES = 5 * MB * 3 // 4  # what a converted picture asks for: enough for the sides that models see


class TextInsteadError(UnreadableError):
    """Says that a file cannot be given as it is.

    Its text may still be shown.
    """


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be given of a file.

    Attributes:
        number: the place of its outcome.
        file: the file.
        size: raw bytes that it asks for.
        wanted: what the provider takes of a picture, or of each page of a PDF that is shown as pictures.
        pages: of a PDF, if they could be counted.
        shown: of them, as pictures.
        locked: whether a PDF is encrypted, though it opens without a password.
        facts: of a picture, where its header tells them.
    """

    number: int
    file: StagedFile
    size: int
    wanted: Wanted | None = None
    pages: int = 0
    shown: int = 0
    locked: bool = False
    facts: ImageFacts | None = None

    @property
    def images(self) -> int:
        """Return how many pictures it becomes, a long one counted once."""
        return self.shown or (self.wanted is not None)


Found = MutableMapping[int, "Sequence[MediaPart] | UnreadableError"]


async def load_media(
    files: Mapping[int, StagedFile], limits: ProviderLimits, budget: int, found: Found, *, on_disk: bool
) -> None:
    """Put the parts of every number into `found`, or the reason for none.

    An entry that is there stays there. With `on_disk`, a file that goes as it is gets a part without `data`.
    """
    plans: dict[int, Plan] = {}
    wanted = _wanted(limits, sum(file.media_type.startswith("image/") for file in files.values()))

    async def plan(number: int, file: StagedFile) -> None:
        try:
            plans[number] = await plan_of(number, file, limits, wanted)
        except UnreadableError as error:
            found[number] = error

    await _each(plan, files)
    plans = {number: plans[number] for number in files if number in plans}
    _leave_out(plans, found, limits)
    wanted = _wanted(limits, sum(plan.images for plan in plans.values()))  # pages count, what is left out does not
    plans = _parted({number: replace(plan, wanted=plan.wanted and wanted) for number, plan in plans.items()}, limits)
    await _load_all(plans, found, min(budget, limits.max_request_bytes), on_disk=on_disk)


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


def _wanted(limits: ProviderLimits, images: int) -> Wanted:
    return Wanted(
        types=limits.image_types, max_bytes=limits.max_image_bytes, side=limits.image_side,
        max_side=limits.side_of(images), patch=_PATCH, max_patches=limits.max_image_patches or 0,
        motion=limits.moving_gif,
    )  # fmt: skip


async def plan_of(number: int, file: StagedFile, limits: ProviderLimits, wanted: Wanted) -> Plan:
    """Return the plan for a file.

    Raises:
        UnreadableError: if it cannot be given.
    """
    if file.size == 0:
        raise UnreadableError("it is empty")
    if file.media_type.startswith("image/"):
        facts = await read(file, partial(image_facts, media_type=file.media_type))
        size = _CONVERTED_BYTES
        if file.media_type in wanted.types and facts and wanted.sees(facts.width, facts.height):
            size = max(2 * file.size, _SMALL)  # it is taken as it is; turning it may make it larger
        return Plan(number, file, min(size, wanted.max_bytes), wanted, facts=facts)
    most = limits.max_pdf_bytes if file.media_type == PDF else limits.max_file_bytes
    if file.size > most:
        raise TextInsteadError(describe_limit(file.size, most))
    if file.media_type != PDF:
        return Plan(number, file, file.size)
    pdf = await pdf_facts(file)
    if limits.pdf != "images":
        return Plan(number, file, file.size, pages=pdf.pages, locked=pdf.locked)
    if not pdf.pages:
        raise TextInsteadError(REASONS[NEEDS_PDF])
    return Plan(number, file, pdf.pages * _PAGE_BYTES, wanted, pdf.pages, pdf.pages)


def _leave_out(plans: dict[int, Plan], found: Found, limits: ProviderLimits) -> None:
    """Turn what exceeds the request's number of images or pages into reasons.

    The first pages of a PDF may stay.
    """
    images = pages = 0
    for number, plan in list(plans.items()):
        room = limits.max_images - images
        if plan.images and not room:
            too_many = f"more than {limits.max_images:,} images"
            found[number] = TextInsteadError(too_many) if plan.pages else UnreadableError(too_many)
        elif not plan.shown and pages + plan.pages > limits.max_pdf_pages:
            found[number] = TextInsteadError(f"more than {limits.max_pdf_pages:,} pages in all")
        else:
            plans[number] = kept = replace(plan, shown=min(plan.shown, room))
            images, pages = images + kept.images, pages + kept.pages * (not kept.shown)
            continue
        del plans[number]


def _parted(plans: dict[int, Plan], limits: ProviderLimits) -> dict[int, Plan]:
    """Let long pictures be parted, those of few parts first, while the request has room for so many pictures."""
    room = min(limits.max_images, limits.many_images) - sum(plan.images for plan in plans.values())
    more: dict[int, int] = {}
    for number, plan in plans.items():
        if plan.wanted is not None and not plan.shown:
            more[number] = (plan.wanted.parts_of(plan.facts.width, plan.facts.height) if plan.facts else MAX_PARTS) - 1
    for number in sorted(more, key=lambda number: more[number]):
        plan, fits = plans[number], more[number] <= room
        plans[number] = replace(plan, wanted=plan.wanted and replace(plan.wanted, tile=fits))
        room -= more[number] * fits
    return plans


# What is loaded


async def _load_all(plans: Mapping[int, Plan], found: Found, budget: int, *, on_disk: bool) -> None:
    """Load everything within the budget.

    Each file first gets its fair share. What cannot be scaled then gets what remains.
    """
    shares = dict(zip(plans, fair_shares(budget, [plan.size for plan in plans.values()]), strict=True))
    rigid = [(plan.size, n) for n, plan in plans.items() if plan.wanted is None and plan.size > shares[n]]
    late = [number for _, number in sorted(rigid)]
    left = budget

    async def load(number: int, plan: Plan) -> None:
        nonlocal left
        try:
            found[number] = parts = await _load(plan, left if number in late else shares[number], on_disk=on_disk)
        except UnreadableError as error:
            found[number] = error
        else:
            left -= sum(len(part.data) or part.outcome.size for part in parts)

    await _each(load, {number: plan for number, plan in plans.items() if number not in late})
    for number in late:
        await load(number, plans[number])


async def _load(plan: Plan, limit: int, *, on_disk: bool) -> Sequence[MediaPart]:
    if plan.wanted is not None:
        wanted = replace(plan.wanted, max_bytes=min(limit // (plan.shown or 1), plan.wanted.max_bytes))
        pictures = await (_pages(plan, wanted) if plan.shown else picture_of(plan.file, wanted))
        return [
            ImagePart(
                number=plan.number, outcome=plan.file, name=plan.file.name, media_type=picture.media_type,
                remark=picture.remark, data=picture.data, width=picture.width, height=picture.height,
            )
            for picture in pictures
        ]  # fmt: skip
    if plan.file.size > limit:
        raise TextInsteadError(f"{describe_limit(plan.file.size, limit)} for its share of the budget")
    data, remark = b"", ""
    if plan.locked:
        data, remark = await unlocked(plan.file, limit), "without its encryption, which needs no password"
    elif not on_disk:
        data = await read(plan.file, io.BufferedReader.read)
    kinds: dict[str, type[AudioPart | VideoPart]] = {"audio": AudioPart, "video": VideoPart}
    kind = kinds.get(plan.file.media_type.partition("/")[0], DocumentPart)
    return [
        kind(
            number=plan.number, outcome=plan.file, name=plan.file.name, media_type=plan.file.media_type,
            remark=remark, data=data,
        )
    ]  # fmt: skip


async def _pages(plan: Plan, wanted: Wanted) -> Sequence[Picture]:
    """Return the pages as pictures.

    Each converter makes a few, within its bounds.
    """
    made: dict[int, Sequence[Picture]] = {}

    async def draw(first: int, count: int) -> None:
        made[first] = await pages_of(plan.file, first, count, wanted)

    firsts = range(1, plan.shown + 1, _PAGES_AT_ONCE)
    await _each(draw, {first: min(_PAGES_AT_ONCE, plan.shown + 1 - first) for first in firsts})
    shown = [picture for first in firsts for picture in made[first]]
    if shown and plan.shown < plan.pages:
        shown[-1] = replace(shown[-1], remark=f"{shown[-1].remark}; the pages after it are not shown")
    return shown
