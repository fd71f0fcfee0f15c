"""Write the neutral list in each provider's form.

The forms are plain dicts. They are made from `Parts` and from nothing else.

First come pictures, documents, sound and video in order of intake. One text follows that lists every outcome with what
became of it. Then come the texts of files. A provider is one `Shape` here and one preset in `limits`.

Everything is a plain dict, so a caller can add what an API has besides. Anthropic's ``cache_control`` goes to the last
block, and ``citations`` to those whose ``type`` is ``document``. OpenAI's ``detail`` goes to those whose ``type`` is
``input_image``.
"""

import binascii
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from staging._context import claim_lines
from staging._models import StagedFile
from staging._text import format_size, one_line, quoted
from staging._threads import in_thread
from staging.llm._budget import Count
from staging.llm._fences import ranges
from staging.llm._files import Stage
from staging.llm._values import AudioPart, DocumentPart, ImagePart, MediaPart, Part, Parts, TextPart, Unread, VideoPart
from staging.llm.limits import ANTHROPIC, GEMINI, OPENAI, OPENAI_CHAT, PDF, ProviderLimits
from staging.llm.parts import NO_READERS, Given, Readers, gather, given_of, require_limits

Block = dict[str, Any]

_PIECE = 192 * 1024  # a multiple of three, so that the pieces' base64 can be joined
_NONE: frozenset[str] = frozenset()


class Shape(ABC):
    """The form of a provider's blocks.

    Attributes:
        text: what a block of text has beside the text.
        prefix: what stands before base64, with braces for the media type. None means that the SDK takes bytes.
        holds: the kinds of parts that there is a block for, beside pictures and PDFs.
    """

    text: ClassVar[Mapping[str, str]] = {"type": "text"}
    prefix: str | None = "data:{};base64,"
    holds: tuple[type[MediaPart], ...] = ()

    @abstractmethod
    def media(self, part: MediaPart, data: str = "", copy: str = "") -> Block:
        """Make a block of a part.

        Args:
            part: the part.
            data: its base64 behind `prefix`.
            copy: what refers to a copy at the provider, instead.
        """


async def anthropic_blocks(
    stage: Stage | Parts,
    *,
    limits: ProviderLimits = ANTHROPIC,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    max_inline_mb: float = 20,
    readers: Readers = NO_READERS,
    seconds: float = 30,
) -> list[Block]:
    """Return content blocks for Anthropic's Messages API, as plain dicts.

    Every outcome is in them, or is named in them.

    First come pictures and PDFs in order of intake. One text block follows that lists every outcome with what became of
    it. Then come the texts, each in a fence as in `prompt`. A picture that the API refuses is converted or scaled. A
    PDF that it refuses is shown as text. The list says so, and it tells why something is missing. Without outcomes, the
    list is empty.

    Peak memory is about 2.4 times the inline budget. Blocks are yours to change: ``blocks[-1]["cache_control"] =
    {"type": "ephemeral"}`` lets the provider cache all of them, and ``block["citations"] = {"enabled": True}`` belongs
    into those whose type is ``document``.

    `stage` is an open `AttachmentStage`, or what `parts` made of one, which is then shown as it is. `limits` are the
    platform's: `llm.ANTHROPIC`, `llm.ANTHROPIC_LONG`, `llm.BEDROCK`, or your own. The other arguments and the errors
    are the same as `parts` has.
    """
    given = given_of(fitting(limits, ANTHROPIC_SHAPE), max_chars, max_tokens, count, max_inline_mb, readers, seconds)
    return await blocks_of(stage, given, ANTHROPIC_SHAPE)


async def openai_blocks(
    stage: Stage | Parts,
    *,
    limits: ProviderLimits = OPENAI,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    max_inline_mb: float = 20,
    readers: Readers = NO_READERS,
    seconds: float = 30,
) -> list[Block]:
    """Return content items for OpenAI's Responses API.

    Their types are ``input_image``, ``input_file`` and ``input_text``.

    The same promises and arguments as `anthropic_blocks`. This API refuses a moving GIF, so its first frame is sent.
    Office documents are shown as text, or go as files with ``limits=replace(llm.OPENAI,
    document_types=llm.OPENAI_DOCUMENTS)``.
    """
    given = given_of(fitting(limits, RESPONSES_SHAPE), max_chars, max_tokens, count, max_inline_mb, readers, seconds)
    return await blocks_of(stage, given, RESPONSES_SHAPE)


async def openai_chat_blocks(
    stage: Stage | Parts,
    *,
    limits: ProviderLimits = OPENAI_CHAT,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    max_inline_mb: float = 20,
    readers: Readers = NO_READERS,
    seconds: float = 30,
) -> list[Block]:
    """Return content parts for Chat Completions.

    Their types are ``image_url``, ``file``, ``input_audio`` and ``text``.

    The same promises and arguments as `openai_blocks`. Compatible servers (vLLM, Ollama, LM Studio, llama.cpp) take
    ``limits=llm.COMPATIBLE``, which gives only ``image_url`` and ``text``. Pictures are data URLs.
    """
    given = given_of(fitting(limits, CHAT_SHAPE), max_chars, max_tokens, count, max_inline_mb, readers, seconds)
    return await blocks_of(stage, given, CHAT_SHAPE)


async def gemini_parts(
    stage: Stage | Parts,
    *,
    limits: ProviderLimits = GEMINI,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    max_inline_mb: float = 20,
    readers: Readers = NO_READERS,
    seconds: float = 30,
) -> list[Block]:
    """Return parts for Google's Gemini API, as dicts for google-genai.

    Their keys are ``inline_data`` and ``text``.

    The same promises and arguments as `anthropic_blocks`. Sound (voice messages in ogg too) and video are inline.
    """
    given = given_of(fitting(limits, GEMINI_SHAPE), max_chars, max_tokens, count, max_inline_mb, readers, seconds)
    return await blocks_of(stage, given, GEMINI_SHAPE)


def fitting(limits: ProviderLimits, shape: Shape) -> ProviderLimits:
    """Return the limits without what the shape has no block for.

    So the preset of another provider causes no error.
    """
    require_limits(limits)
    return replace(
        limits,
        audio_types=limits.audio_types if AudioPart in shape.holds else _NONE,
        video_types=limits.video_types if VideoPart in shape.holds else _NONE,
        document_types=limits.document_types if DocumentPart in shape.holds else _NONE,
    )


async def blocks_of(stage: Stage | Parts, given: Given, shape: Shape) -> list[Block]:
    """Return the blocks of a stage, or of a list that was made before.

    What the shape has no block for is named instead.
    """
    parts = stage if isinstance(stage, Parts) else await gather(stage, given)
    kinds = (TextPart, ImagePart, *shape.holds)
    refused = [part for part in parts if not isinstance(part, kinds) and part.media_type != PDF]
    reasons = {part.number: f"{one_line(part.media_type)} cannot be given to this model" for part in refused}
    parts = without(parts, reasons)
    media = [part for part in parts if not isinstance(part, TextPart)]
    blocks = [shape.media(part, await in_thread(encoded, part, shape)) for part in media]
    return [*blocks, *await in_thread(text_blocks, parts, shape)]


def without(parts: Parts, reasons: Mapping[int, str]) -> Parts:
    """Return the list without the parts of some numbers, which are named with reasons instead."""
    unread = [Unread(number=n, outcome=parts.outcomes[n - 1], reason=reason) for n, reason in reasons.items()]
    return Parts(
        [part for part in parts if part.number not in reasons],
        unread=sorted([*parts.unread, *unread], key=lambda each: each.number),
        outcomes=parts.outcomes,
    )


def text_blocks(parts: Parts, shape: Shape) -> list[Block]:
    """Return the blocks of text.

    They are the list of what became of all, and the texts.
    """
    texts = [listing(parts)] if parts.outcomes else []
    texts += [part.section for part in parts if isinstance(part, TextPart)]
    return [{**shape.text, "text": text} for text in texts]


def encoded(part: MediaPart, shape: Shape) -> str:
    """Return base64 behind the shape's prefix, made piece by piece.

    Each piece holds the GIL for some 0.3 ms, and the sleep lets the event loop have it in between. Without the sleep, a
    loop that wakes up waits behind one piece after the other (23 to 130 ms seen for 50 MB, 1.7 ms with it). The text
    grows in place, since nothing else refers to it and the loop is a ``for`` (CPython 3.11 to 3.14 extend it then, and
    only then, without a copy). Joining a list of pieces would take twice the memory and hold the GIL for 40 ms.
    """
    if shape.prefix is None:
        return ""
    text = shape.prefix.format(part.media_type)
    view = memoryview(part.data)
    for start in range(0, len(view), _PIECE):
        text += binascii.b2a_base64(view[start : start + _PIECE], newline=False).decode("ascii")
        time.sleep(0)
    return text


# What is told

_COUNTED = re.compile(r"(?:page|part) \d+ of \d+")

_WORDS: dict[type[Part], str] = {
    ImagePart: "image",
    DocumentPart: "document",
    AudioPart: "sound",
    VideoPart: "video",
}


def listing(parts: Parts) -> str:
    """Return one entry for every outcome.

    It says where the outcome is shown, or why it is not. It also says what the sender said of it.
    """
    counts = dict.fromkeys([TextPart, *_WORDS], 0)
    shown: dict[int, list[tuple[Part, int]]] = {}
    for part in parts:
        counts[type(part)] += 1
        shown.setdefault(part.number, []).append((part, counts[type(part)]))
    reasons = {each.number: each.reason for each in parts.unread}
    lines = ["[What became of the attachments:]"]
    for number, outcome in enumerate(parts.outcomes, 1):
        if number in shown:
            fate = _place(*zip(*shown[number], strict=True))
        elif isinstance(outcome, StagedFile):
            fate = f"not shown, {one_line(outcome.media_type)}, {format_size(outcome.size)} ({reasons[number]})"
        else:
            fate = reasons[number]
        lines += [f"{number}. {quoted(outcome.name)}: {fate}", *claim_lines(outcome)]
    return "\n".join(lines)


def _place(shown: Sequence[Part], numbers: Sequence[int]) -> str:
    """Return where one outcome is shown, and what is said of its parts, each thing once.

    Examples are ``images 2 to 4 above (…)`` and ``its text is below``.
    """
    word = _WORDS.get(type(shown[0]))
    place = f"{word}{'s' * (len(numbers) > 1)} {ranges(numbers)} above" if word else "its text is below"
    told = list(dict.fromkeys(part.remark for part in shown if part.remark))
    counted = [remark for remark in told if _COUNTED.fullmatch(remark)]  # of these, the first and the last are told
    remark = "; ".join(remark for remark in told if remark not in counted[1:-1])
    return f"{place} ({remark})" if remark else place


# What it looks like


def file_name(part: MediaPart) -> str:
    """Return a name that ends as OpenAI wants it to.

    The observed type decides, since the API looks at the extension.
    """
    name = one_line(part.name)
    wanted = _EXTENSIONS.get(part.media_type, "")
    return name if name.lower().endswith(wanted) else f"{name}{wanted}"


_OFFICE = "application/vnd.openxmlformats-officedocument."
_EXTENSIONS = {
    PDF: ".pdf",
    "application/msword": ".doc",
    "application/rtf": ".rtf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.oasis.opendocument.text": ".odt",
    "text/rtf": ".rtf",
    _OFFICE + "presentationml.presentation": ".pptx",
    _OFFICE + "spreadsheetml.sheet": ".xlsx",
    _OFFICE + "wordprocessingml.document": ".docx",
}

GEMINI_NAMES = {"audio/mpeg": "audio/mp3", "video/quicktime": "video/mov", "video/x-msvideo": "video/avi"} | {
    "video/x-ms-wmv": "video/wmv",
}
"""What Google calls some media types (https://ai.google.dev/gemini-api/docs/audio and /video-understanding)."""


class _Anthropic(Shape):
    prefix = ""

    def media(self, part: MediaPart, data: str = "", copy: str = "") -> Block:
        inline = {"type": "base64", "media_type": part.media_type, "data": data}
        source = {"type": "file", "file_id": copy} if copy else inline
        if isinstance(part, ImagePart):
            return {"type": "image", "source": source}
        return {"type": "document", "source": source, "title": one_line(part.name)}


class _Responses(Shape):
    text: ClassVar = {"type": "input_text"}
    holds = (DocumentPart,)

    def media(self, part: MediaPart, data: str = "", copy: str = "") -> Block:
        if isinstance(part, ImagePart):
            return {"type": "input_image", "detail": "auto", **({"file_id": copy} if copy else {"image_url": data})}
        inline = {"filename": file_name(part), "file_data": data}
        return {"type": "input_file", **({"file_id": copy} if copy else inline)}


class _Chat(Shape):
    holds = (AudioPart,)
    formats: ClassVar = {"audio/mpeg": "mp3", "audio/wav": "wav"}

    def media(self, part: MediaPart, data: str = "", copy: str = "") -> Block:
        del copy  # it cannot refer to one
        match part:
            case ImagePart():
                return {"type": "image_url", "image_url": {"url": data}}
            case AudioPart():
                form = self.formats.get(part.media_type, part.media_type.partition("/")[2])
                return {"type": "input_audio", "input_audio": {"data": data.partition(",")[2], "format": form}}
        return {"type": "file", "file": {"filename": file_name(part), "file_data": data}}


class _Gemini(Shape):
    text: ClassVar = {}
    prefix = None
    holds = (AudioPart, VideoPart, DocumentPart)

    def media(self, part: MediaPart, data: str = "", copy: str = "") -> Block:
        del data  # it takes bytes
        media_type = GEMINI_NAMES.get(part.media_type, part.media_type)
        if copy:
            return {"file_data": {"mime_type": media_type, "file_uri": copy}}
        return {"inline_data": {"mime_type": media_type, "data": part.data}}


ANTHROPIC_SHAPE: Shape = _Anthropic()
RESPONSES_SHAPE: Shape = _Responses()
CHAT_SHAPE: Shape = _Chat()
GEMINI_SHAPE: Shape = _Gemini()
