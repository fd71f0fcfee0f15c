"""Write what was attached into one prompt that no attachment can forge."""

from collections.abc import Mapping
from typing import Any, Literal

from staging._context import StrPath
from staging._models import StagedFile
from staging.llm._budget import Count
from staging.llm._fences import not_shown
from staging.llm._files import Stage, require_stage
from staging.llm._values import TextPart
from staging.llm.parts import NO_READERS, Readers, gather, given_of


async def prompt(
    stage: Stage,
    *,
    max_chars: float = 100_000,
    max_tokens: float | None = None,
    count: Count | None = None,
    readers: Readers = NO_READERS,
    seconds: float = 30,
    paths: bool = True,
    urls: Literal["bare", "full", "hide"] = "bare",
    path_map: Mapping[StrPath, StrPath] | None = None,
) -> str:
    """Return the context block and the contents of every readable file.

    The contents are those that a model can read as text.

    No attachment can end its own fence, open a heading or speak as the prompt. Every staged file is named, with its
    contents or the reason why they are not shown. Failures and links stand in the context block. With ``paths=False``
    the same files give the same text on every run, which a provider's prompt cache needs. Without outcomes, the text is
    empty.

    Args:
        stage: an open `AttachmentStage`.
        max_chars: characters of contents, headings and fences included, as for `parts`. The context block and the
            lines about what is not shown come on top.
        max_tokens: the same in tokens, as for `parts`.
        count: returns how many tokens a text has.
        readers: async functions of your own that return a file's text, as for `parts`.
        seconds: for all of it. What is not read by then is a line.
        paths: whether the context block has local paths.
        urls: how the context block shows URLs, as for `AttachmentStage.context`.
        path_map: how it shows paths, as for `AttachmentStage.context`.

    Raises:
        StageClosedError: if the stage is not open.
        ValueError: if a number is nonsense, or `urls` is none of the three words.
        TypeError: if a reader is something else than it should be.
    """
    given = given_of(None, max_chars, max_tokens, count, 0, readers, seconds)
    require_stage(stage)
    options: dict[str, Any] = {"urls": urls, "path_map": path_map, **({} if paths else {"paths": False})}
    context = stage.context(**options)
    found = await gather(stage, given)
    missing: dict[str, list[int]] = {}
    for unread in found.unread:
        if isinstance(unread.outcome, StagedFile):
            missing.setdefault(unread.reason, []).append(unread.number)
    sections = {part.number: part.section for part in found if isinstance(part, TextPart)}
    for reason, numbers in missing.items():
        sections[numbers[0]] = not_shown(numbers, found.outcomes[numbers[0] - 1].name, reason)
    return "\n\n".join(filter(None, [context, *(sections[number] for number in sorted(sections))]))
