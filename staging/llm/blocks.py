"""Content blocks: images and PDFs as the providers take them, text in fences, and a line for everything else.

Theory of operation. `_plan` looks at each image and PDF (headers only) and decides: as it is, converted, or not at all
and why. `_load` shares the inline budget over what is to be sent and loads it; whatever fails or does not fit turns
into a reason. Text-like files, and PDFs that were not sent, are then read as `prompt` reads them. A `_Shape` at the end
gives everything the provider's form; nothing before it knows one.
"""

import binascii
import io
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import anyio
import anyio.to_thread

from staging._claims.kinds import kind_of
from staging._models import MB, Failure, Outcome, Skipped, StagedFile, to_bytes
from staging._text import format_size, one_line
from staging.llm._files import Stage, UnreadableError, reading, staged
from staging.llm._frames import BROKE
from staging.llm._images import image_facts
from staging.llm._limits import ANTHROPIC, OPENAI, SCALED_BYTES, SCALED_SIDE, Provider
from staging.llm._process import convert
from staging.llm._shares import fair_shares
from staging.llm.extract import PDF, Excerpt, has_text, require
from staging.llm.prompt import check_budget, first_uses, quoted, read_texts, shown_text

Block = dict[str, Any]
_T = TypeVar("_T")

_PIECE = 192 * 1024  # a multiple of three, so that the pieces' base64 can be joined
_AT_ONCE = 2  # files that are looked at, encoded or converted at once
_HEIF = {"image/heic", "image/heif"}


@dataclass(frozen=True, slots=True)
class _Media:
    """An image or PDF, ready to be sent.

    Attributes:
        media_type: what it is now.
        data: base64, behind the shape's prefix.
        remark: how it came about, if it is not the file itself.
    """

    media_type: str
    data: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with an image or PDF.

    Attributes:
        file: the file.
        size: raw bytes that it asks for.
        change: what the API refuses in the image as it is; empty if it takes it.
        pages: of a PDF, if they could be counted.
    """

    file: StagedFile
    size: int
    change: str = ""
    pages: int = 0


@dataclass(frozen=True, slots=True)
class _Shape:
    """A provider's limits, and the form of its blocks.

    Attributes:
        provider: the limits.
        prefix: what stands before base64 of a media type; put there first, since copying 27 MB stalls the loop.
        text: makes a block of text.
        image: makes a block of an image.
        pdf: makes a block of a PDF and its name.
    """

    provider: Provider
    prefix: Callable[[str], str]
    text: Callable[[str], Block]
    image: Callable[[_Media], Block]
    pdf: Callable[[_Media, str], Block]


class _OversizeError(UnreadableError):
    """It can be read, but not be sent as it is: its text may still be shown."""


async def anthropic_blocks(stage: Stage, *, max_inline_mb: float = 20, max_chars: int = 100_000) -> list[Block]:
    """Return content blocks for Anthropic's Messages API, as plain dicts; every outcome is in them, or named in them.

    First images and PDFs in order of intake, then one text block that lists every outcome with what became of it, then
    the text-like files in order of intake, each in a fence as in `prompt`. The observed type decides, never the claimed
    one. An image that the API refuses (too many bytes or pixels, bmp, tiff, heic) is converted or scaled with the
    extra ``images`` (``heif`` for heic), a PDF that it refuses is shown as text with the extra ``pdf``; without them,
    and for audio, video, archives and failures, the list tells the reason. No outcomes: an empty list.

    Without the extra ``pdf`` the pages of a PDF are not counted. Peak memory is about 1.4 times the inline budget; the
    event loop is not blocked, whatever the size.

    Args:
        stage: an open `AttachmentStage`.
        max_inline_mb: raw MB of images and PDFs together, shared fairly: small ones whole, large images scaled to
            their share, and PDFs, which cannot be scaled, from what remains, smallest first. No more than the API
            takes in one request, 23 MB.
        max_chars: characters of text together, see `prompt`.

    Raises:
        StageClosedError: if the stage is not open.
        ValueError: if a number is negative.
    """
    return await _blocks(stage, _ANTHROPIC, max_inline_mb, max_chars)


async def openai_blocks(stage: Stage, *, max_inline_mb: float = 20, max_chars: int = 100_000) -> list[Block]:
    """Return content items for OpenAI's Responses API: ``input_image``, ``input_file`` and ``input_text``.

    The same promises as `anthropic_blocks`. A moving GIF is refused by this API: its first frame is sent. The ceiling
    of one request is 37.5 MB.
    """
    return await _blocks(stage, _RESPONSES, max_inline_mb, max_chars)


async def openai_chat_blocks(stage: Stage, *, max_inline_mb: float = 20, max_chars: int = 100_000) -> list[Block]:
    """Return content parts for OpenAI's Chat Completions: ``image_url``, ``file`` and ``text``.

    The same promises as `openai_blocks`. Compatible servers and litellm take this form; images are data URLs.
    """
    return await _blocks(stage, _CHAT, max_inline_mb, max_chars)


async def _blocks(stage: Stage, shape: _Shape, max_inline_mb: float, max_chars: int) -> list[Block]:
    check_budget("max_inline_mb", max_inline_mb)
    check_budget("max_chars", max_chars)
    stage.context()  # raises when the stage is closed
    outcomes = dict(enumerate(stage.outcomes, 1))
    files, repeated = first_uses(outcomes)
    media = await _media({n: f for n, f in files.items() if _is_media(f)}, shape, to_bytes(max_inline_mb))
    unfit = {n for n, medium in media.items() if isinstance(medium, _OversizeError)}
    readable = {n: file for n, file in files.items() if has_text(file) and (n not in media or n in unfit)}
    texts = await read_texts(readable, max_chars)
    fates = {n: _fate(outcome, media.get(n), texts.get(n) or repeated.get(n)) for n, outcome in outcomes.items()}
    return [
        *(_block(shape, outcomes[n], medium) for n, medium in media.items() if isinstance(medium, _Media)),
        *([shape.text(_listing(outcomes, media, fates))] if outcomes else []),
        *(shape.text(shown_text(n, outcomes[n], text)) for n, text in texts.items() if isinstance(text, Excerpt)),
    ]


def _is_media(file: StagedFile) -> bool:
    return file.media_type == PDF or (kind_of(file.media_type) == "image" and not has_text(file))


# What is to be done


async def _media(files: Mapping[int, StagedFile], shape: _Shape, budget: int) -> dict[int, _Media | UnreadableError]:
    """Return every image and PDF ready to be sent, or the reason why it is not, in the order of `files`."""
    provider = shape.provider
    plans: dict[int, _Plan] = {}
    found: dict[int, _Media | UnreadableError] = {}
    side = provider.max_side if len(files) <= provider.many_images else provider.max_side_of_many

    async def plan(number: int, file: StagedFile) -> None:
        try:
            plans[number] = await _plan(file, provider, side)
        except UnreadableError as error:
            found[number] = error

    await _each(plan, files)
    plans = {number: plans[number] for number in files if number in plans}
    _leave_out(plans, found, provider)
    await _load_all(plans, found, min(budget, provider.max_inline_bytes), shape)
    return {number: found[number] for number in files}


async def _each(work: Callable[[int, _T], Awaitable[None]], things: Mapping[int, _T]) -> None:
    """Do `work` for everything, a few at once."""
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def one(number: int, thing: _T) -> None:
        async with places:
            await work(number, thing)

    async with anyio.create_task_group() as group:
        for number, thing in things.items():
            group.start_soon(one, number, thing)


async def _plan(file: StagedFile, provider: Provider, side: int) -> _Plan:
    if file.size == 0:
        raise UnreadableError("it is empty")
    if file.media_type == PDF:
        return await _plan_pdf(file, provider)
    change = await anyio.to_thread.run_sync(_change_of_image, file, provider, side)
    return _Plan(file, min(max(file.size, MB), SCALED_BYTES) if change else file.size, change)


async def _plan_pdf(file: StagedFile, provider: Provider) -> _Plan:
    if file.size > provider.max_pdf_bytes:
        raise _OversizeError(_too_large(file.size, provider.max_pdf_bytes))
    async with staged(file) as handle:
        answer = await convert(handle, "pdf_pages", limit=30)
    (pages,) = _told(b"".join(answer.data), rb"(\d+)")
    return _Plan(file, file.size, pages=int(pages))


def _told(line: bytes, pattern: bytes) -> list[str]:
    """Return the parts of what a converter says; one that was taken over may say anything."""
    match = re.fullmatch(pattern, line)
    if match is None:
        raise UnreadableError(BROKE)
    return [part.decode("ascii") for part in match.groups()]


def _too_large(size: int, limit: int) -> str:
    return f"too large: {format_size(size)}, the limit is {format_size(limit)}"


def _change_of_image(file: StagedFile, provider: Provider, side: int) -> str:
    """Return what the API refuses in the image as it is; empty if it takes it. Runs in a worker thread."""
    change = _refused(file, provider, side)
    if change:
        _require_pillow(file, change)
    return change


def _refused(file: StagedFile, provider: Provider, side: int) -> str:
    with reading(file) as handle:
        facts = image_facts(handle, file.media_type)
    if file.media_type not in provider.image_types:
        return f"{one_line(file.media_type)} is not taken as it is"
    if facts is None:
        return "its header is damaged"
    if facts.moves and not provider.moving_gif:
        return "a moving GIF is not taken"
    if max(facts.width, facts.height) > side:
        return f"{facts.width:,} x {facts.height:,} pixels, the limit is {side:,} a side"
    if file.size > provider.max_image_bytes:
        return _too_large(file.size, provider.max_image_bytes)
    return ""


def _require_pillow(file: StagedFile, change: str) -> None:
    try:
        require(*(("pillow_heif", "heif") if file.media_type in _HEIF else ("PIL", "images")))
    except UnreadableError as error:
        raise UnreadableError(f"{change}; {error}") from None


def _leave_out(plans: dict[int, _Plan], found: dict[int, _Media | UnreadableError], provider: Provider) -> None:
    """Turn what exceeds the request's number of images or pages into reasons."""
    images = pages = 0
    for number, plan in list(plans.items()):
        is_image = plan.file.media_type != PDF
        if is_image and images == provider.max_images:
            found[number] = UnreadableError(f"more than {provider.max_images} images")
        elif pages + plan.pages > provider.max_pdf_pages:
            found[number] = _OversizeError(f"more than {provider.max_pdf_pages:,} pages in all")
        else:
            images, pages = images + is_image, pages + plan.pages
            continue
        del plans[number]


# What is loaded


async def _load_all(
    plans: Mapping[int, _Plan], found: dict[int, _Media | UnreadableError], budget: int, shape: _Shape
) -> None:
    """Load everything within the budget: first to the fair shares, then what cannot be scaled from what remains."""
    shares = dict(zip(plans, fair_shares(budget, [plan.size for plan in plans.values()]), strict=True))
    late = sorted((n for n in plans if _is_rigid(plans[n]) and plans[n].size > shares[n]), key=lambda n: plans[n].size)
    left = budget

    async def load(number: int, plan: _Plan) -> None:
        nonlocal left
        try:
            found[number] = medium = await _load(plan, left if number in late else shares[number], shape)
        except UnreadableError as error:
            found[number] = error
        else:
            left -= len(medium.data) * 3 // 4

    await _each(load, {number: plan for number, plan in plans.items() if number not in late})
    for number in late:
        await load(number, plans[number])


def _is_rigid(plan: _Plan) -> bool:
    """Whether it can only be sent whole."""
    return plan.file.media_type == PDF


async def _load(plan: _Plan, limit: int, shape: _Shape) -> _Media:
    if not plan.change and plan.file.size <= limit:
        return await anyio.to_thread.run_sync(_encode, plan.file, shape.prefix(plan.file.media_type))
    too_large = _too_large(plan.file.size, limit) + " for its share of the budget"
    if _is_rigid(plan):
        raise _OversizeError(too_large)
    if not plan.change:
        await anyio.to_thread.run_sync(_require_pillow, plan.file, too_large)
    return await _converted(plan.file, min(limit, SCALED_BYTES), shape)


def _encode(file: StagedFile, data: str) -> _Media:
    """Append the file's base64 to `data`, piece by piece. Runs in a worker thread.

    Each piece holds the GIL for some 0.3 ms, and the sleep lets the event loop have it in between: without it a loop
    that wakes up waits behind one piece after the other (23 to 130 ms seen for 50 MB, 1.7 ms with it). The text grows
    in place, since nothing else refers to it and the loop is a ``for`` (CPython 3.11 to 3.14 extend it then, and only
    then, without a copy): joining a list of pieces would take twice the memory and hold the GIL for 40 ms.
    """
    with reading(file) as handle:
        return _Media(file.media_type, _base64(handle, data))


def _base64(source: IO[bytes], data: str) -> str:
    for piece in iter(lambda: source.read(_PIECE), b""):
        data += binascii.b2a_base64(piece, newline=False).decode("ascii")
        time.sleep(0)
    return data


async def _converted(file: StagedFile, limit: int, shape: _Shape) -> _Media:
    async with staged(file) as handle:
        answer = await convert(handle, "picture", limit=limit + 1024, side=SCALED_SIDE, max_bytes=limit)
    line, _, data = b"".join(answer.data).partition(b"\n")
    media_type, width, height = _told(line, rb"(image/png|image/jpeg) (\d{1,5}) (\d{1,5})")
    remark = f"from {one_line(file.media_type)} to {media_type}, {int(width):,} x {int(height):,} pixels"
    text = await anyio.to_thread.run_sync(_base64, io.BytesIO(data), shape.prefix(media_type))
    return _Media(media_type, text, remark)


# What is told


def _listing(
    outcomes: Mapping[int, Outcome], media: Mapping[int, _Media | UnreadableError], fates: Mapping[int, str]
) -> str:
    """Return one line for every outcome: where it is to be seen, or why it is not."""
    lines = ["[What became of the attachments:]"]
    counts = {"image": 0, "document": 0}
    for number, outcome in outcomes.items():
        medium = media.get(number)
        place = ""
        if isinstance(medium, _Media):
            kind = "document" if medium.media_type == PDF else "image"
            counts[kind] += 1
            place = f"{kind} {counts[kind]} above"
        lines.append(f"{number}. {quoted(outcome.name)}: {place}{fates[number]}")
    return "\n".join(lines)


def _fate(outcome: Outcome, medium: _Media | UnreadableError | None, text: Excerpt | str | None) -> str:
    match outcome:
        case Failure():
            return f"not downloaded ({one_line(outcome.detail) or outcome.reason})"
        case Skipped():
            return f"a {outcome.reason}, not downloaded"
    if isinstance(medium, _Media):
        return medium.remark and f" (converted {medium.remark})"
    if isinstance(text, Excerpt):
        return "its text is below" + (f" ({medium})" if medium else "")
    why = "; ".join(str(reason) for reason in (medium, text) if reason) or "no block can hold it"
    return f"not shown, {one_line(outcome.media_type)}, {format_size(outcome.size)} ({why})"


# What it looks like


def _block(shape: _Shape, outcome: Outcome, medium: _Media) -> Block:
    return shape.pdf(medium, one_line(outcome.name)) if medium.media_type == PDF else shape.image(medium)


def _data_url(media_type: str) -> str:
    return f"data:{media_type};base64,"


def _source(medium: _Media) -> Block:
    return {"type": "base64", "media_type": medium.media_type, "data": medium.data}


def _pdf_name(name: str) -> str:
    """Return a name that ends as OpenAI wants it to: the observed type decides, and the API looks at the extension."""
    return name if name.lower().endswith(".pdf") else f"{name}.pdf"


_ANTHROPIC = _Shape(
    provider=ANTHROPIC,
    prefix=lambda _: "",
    text=lambda text: {"type": "text", "text": text},
    image=lambda medium: {"type": "image", "source": _source(medium)},
    pdf=lambda medium, name: {"type": "document", "source": _source(medium), "title": name},
)
_RESPONSES = _Shape(
    provider=OPENAI,
    prefix=_data_url,
    text=lambda text: {"type": "input_text", "text": text},
    image=lambda medium: {"type": "input_image", "detail": "auto", "image_url": medium.data},
    pdf=lambda medium, name: {"type": "input_file", "filename": _pdf_name(name), "file_data": medium.data},
)
_CHAT = _Shape(
    provider=OPENAI,
    prefix=_data_url,
    text=lambda text: {"type": "text", "text": text},
    image=lambda medium: {"type": "image_url", "image_url": {"url": medium.data}},
    pdf=lambda medium, name: {"type": "file", "file": {"filename": _pdf_name(name), "file_data": medium.data}},
)
