"""Give everything that was attached in one list, as one provider takes it.

Theory of operation. Each outcome has one way. It is a reader of the caller's, a block of the provider's, or text. All
ways are taken at once, under one deadline. An outcome that is not done by then, or has no way, is named with a reason.
A PDF or document that the provider refuses is shown as its text.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from staging._claims.kinds import kind_of
from staging._context import label
from staging._models import Failure, Outcome, Skipped, StagedFile, require_number, to_bytes
from staging._text import one_line
from staging._threads import in_thread
from staging.llm._budget import Count, TextBudget, text_budget
from staging.llm._files import Stage, UnreadableError, require_stage
from staging.llm._media import TextInsteadError, load_media
from staging.llm._process import converters
from staging.llm._texts import Reading, fitted, read_texts
from staging.llm._values import MediaPart, Part, Parts, Unread
from staging.llm.extract import Excerpt, has_text, joined, text_of
from staging.llm.limits import ANTHROPIC, PDF, ProviderLimits

Reader = Callable[[StagedFile], Awaitable[str]]
Readers = Mapping[str, Reader]

NO_READERS: Readers = {}
_log = logging.getLogger("staging")


async def parts(
    stage: Stage,
    *,
    limits: ProviderLimits = ANTHROPIC,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    max_inline_mb: float = 20,
    readers: Readers = NO_READERS,
    seconds: float = 30,
) -> Parts:
    """Return everything that was attached as a model can be given it.

    Every outcome is in it, or is named with a reason.

    The list is in order of intake. Nothing is dropped, cut, scaled or converted in silence. The `remark` of a part
    tells what was done to its file. `Parts.unread` tells what is not there. The observed type decides, never the
    claimed one. The same files give the same list. The event loop is never blocked.

    Args:
        stage: an open `AttachmentStage`.
        limits: what the provider takes; a preset, or your own by `dataclasses.replace`.
        max_chars: characters of text together, headings and fences included. It is shared max-min fairly: small files
            whole, of large ones the beginning and the end around ``[… 12,345 characters omitted …]``.
        max_tokens: the same in tokens, instead of `max_chars`. It needs `count`.
        count: returns how many tokens a text has. It is called in a worker thread.
        max_inline_mb: raw MB of everything that is no text, shared fairly: pictures are scaled to their share, the rest
            goes whole or not at all, smallest first. Never more than `limits` allow.
        readers: async functions of your own that return the text of a `StagedFile`, by media type: ``{"audio/*":
            transcribe}``. They go before everything of ours. One that raises, or is not done in time, is a line.
        seconds: for all of it. What is not read by then is named with that reason.

    Raises:
        StageClosedError: if the stage is not open.
        ValueError: if a number is nonsense, or one of `max_tokens` and `count` stands alone.
        TypeError: if `limits` or a reader is something else than it should be.
    """
    require_limits(limits)
    return await gather(stage, given_of(limits, max_chars, max_tokens, count, max_inline_mb, readers, seconds))


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments, checked.

    Attributes:
        limits: what the provider takes. None means text alone.
        texts: how much text.
        inline: raw bytes of everything else.
        readers: the caller's own.
        seconds: for all of it.
        on_disk: whether what goes as it is has no `data`, since it is sent from the disk.
    """

    limits: ProviderLimits | None
    texts: TextBudget
    inline: int
    readers: Readers
    seconds: float
    on_disk: bool = False


def given_of(  # noqa: PLR0917  # the order is that of every hand-off's own parameters
    limits: ProviderLimits | None,
    max_chars: float,
    max_tokens: float | None,
    count: Count | None,
    max_inline_mb: float,
    readers: Readers,
    seconds: float,
) -> Given:
    """Return the arguments of a hand-off, checked.

    Raises:
        ValueError: if a number is nonsense.
        TypeError: if something is of another kind than it should be.
    """
    if limits is not None:
        require_limits(limits)
    require_number("max_inline_mb", max_inline_mb, zero=True)
    require_number("seconds", seconds, zero=True)
    told: Any = readers  # a caller without a type checker may pass anything
    if not isinstance(told, Mapping):
        raise TypeError(
            f"readers must be a mapping, {{'audio/*': transcribe}}; this is {one_line(repr(told), limit=60)}"
        )
    for pattern, reader in told.items():
        if not isinstance(pattern, str) or pattern.count("/") != 1 or not all(pattern.split("/")):
            raise ValueError(f"readers: {one_line(repr(pattern), limit=60)} is no media type such as 'audio/*'")
        function = reader
        while isinstance(function, partial):
            function = function.func
        call = getattr(type(function), "__call__", None)  # noqa: B004  # an object may be called like a function
        if not any(map(inspect.iscoroutinefunction, (function, call))):
            raise TypeError(f"readers[{pattern!r}] must be an async function, since it is awaited")
    budget = text_budget(max_chars, max_tokens, count)
    return Given(limits, budget, to_bytes(max_inline_mb), dict(readers), seconds)


def require_limits(limits: Any) -> None:
    """Raise `TypeError` for limits that are none."""
    if not isinstance(limits, ProviderLimits):
        raise TypeError(f"limits must be a preset such as llm.OPENAI; this is {one_line(repr(limits), limit=60)}")


# What becomes of each


@dataclass(slots=True)
class _Found:
    """What is there so far, by number.

    Attributes:
        media: parts that are no text, or why there are none.
        texts: texts, or why there are none.
    """

    media: "dict[int, Sequence[MediaPart] | UnreadableError]" = field(default_factory=dict)
    texts: dict[int, Excerpt | str] = field(default_factory=dict)


async def gather(stage: Stage, given: Given) -> Parts:
    """Return the parts of all outcomes.

    Raises:
        StageClosedError: if the stage is not open.
    """
    require_stage(stage)
    stage.context()  # raises when the stage is closed
    outcomes = dict(enumerate(stage.outcomes, 1))
    files, reasons = first_uses(outcomes)
    found = _Found()
    with anyio.move_on_after(given.seconds):
        await _show(files, given, found)
    excerpts = {number: text for number, text in found.texts.items() if isinstance(text, Excerpt)}
    shown, left_out = await in_thread(fitted, files, excerpts, given.texts)
    made: list[Part] = []
    unread: list[Unread] = []
    for number, outcome in outcomes.items():
        media, text = found.media.get(number), left_out.get(number) or found.texts.get(number)
        if number in shown:  # what is text though it is no text has the reason
            made.append(replace(shown[number], remark=joined(media, shown[number].remark)))
        elif media is not None and not isinstance(media, UnreadableError):
            made += media
        else:
            awaited = media is None or (isinstance(media, TextInsteadError) and has_text(files[number]))
            late = f"it was not read within {given.seconds:g} seconds" if awaited and not text else ""
            reason = reasons.get(number) or joined(media, text, late)
            unread.append(Unread(number=number, outcome=outcome, reason=reason))
    return Parts(made, unread=unread, outcomes=tuple(outcomes.values()))


def first_uses(outcomes: Mapping[int, Outcome]) -> tuple[dict[int, StagedFile], dict[int, str]]:
    """Return the staged files by number, each path once.

    Every other outcome gets a reason. Identical URLs are downloaded once and are two outcomes.
    """
    numbers: dict[Path, int] = {}
    files: dict[int, StagedFile] = {}
    reasons: dict[int, str] = {}
    for number, outcome in outcomes.items():
        match outcome:
            case StagedFile(path=path) if numbers.setdefault(path, number) == number:
                files[number] = outcome
            case StagedFile(path=path):
                reasons[number] = f"it is the same file as attachment {numbers[path]}"
            case Failure():
                reasons[number] = f"not downloaded ({one_line(outcome.detail) or outcome.reason})"
            case Skipped():
                reasons[number] = f"a {outcome.reason}, not downloaded"
    return files, reasons


async def _show(files: Mapping[int, StagedFile], given: Given, found: _Found) -> None:
    """Go the way of each file.

    A reader of the caller's is for the type itself, its kind, or everything. A recording of sound alone may be in a
    container of video. Then both kinds fit, and the one that it is shown as comes first.
    """
    texts: dict[int, Reading] = {}
    media: dict[int, StagedFile] = {}
    for number, file in files.items():
        patterns = [file.media_type, f"{label(file).lower()}/*", f"{file.media_type.partition('/')[0]}/*", "*/*"]
        reader = next((given.readers[pattern] for pattern in patterns if pattern in given.readers), None)
        if reader is not None:
            texts[number] = partial(_from_reader, reader, file)
        elif is_media(file, given.limits):
            media[number] = file
        elif has_text(file) or file.size == 0 or given.limits is None:
            texts[number] = partial(text_of, file)
        else:
            found.texts[number] = f"{one_line(file.media_type)} cannot be given to this model"
    async with converters(), anyio.create_task_group() as group:
        group.start_soon(read_texts, texts, given.texts, found.texts)
        if given.limits is not None and media:
            await load_media(media, given.limits, given.inline, found.media, on_disk=given.on_disk)
            refused = [number for number in media if isinstance(found.media.get(number), TextInsteadError)]
            instead = {number: partial(text_of, media[number]) for number in refused if has_text(media[number])}
            await read_texts(instead, given.texts, found.texts)


def is_media(file: StagedFile, limits: ProviderLimits | None) -> bool:
    """Tell whether the provider takes the file in a form other than text."""
    if limits is None or file.size == 0:
        return False
    match kind_of(file.media_type):
        case "image":
            return not has_text(file)  # a drawing in SVG is text
        case "audio":
            return file.media_type in limits.audio_types
        case "video":
            return file.media_type in limits.video_types
    return (file.media_type == PDF and limits.pdf != "text") or file.media_type in limits.document_types


async def _from_reader(reader: Reader, file: StagedFile, keep: int) -> Excerpt:
    if file.size == 0:
        raise UnreadableError("it is empty")
    media_type = one_line(file.media_type)
    try:
        text: Any = await reader(file)
    except Exception as error:  # noqa: BLE001  # the caller's own code: the other files go on
        _log.warning("The reader of %s raised %s", media_type, type(error).__name__)
        raise UnreadableError(f"its reader failed ({type(error).__name__})") from None
    if not isinstance(text, str):
        raise UnreadableError(f"its reader returned no text but {type(text).__name__}")
    text = text.replace("\0", "").encode("utf-8", "replace").decode()  # JSON takes neither NUL nor a lone surrogate
    if not text.strip():
        raise UnreadableError("its reader found no text in it")
    return Excerpt(text, total=len(text), remark=f"the text of {media_type}", converted=True).cut(keep)
