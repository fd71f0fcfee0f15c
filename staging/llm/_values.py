"""Define the list that every provider's form is made from.

It holds what a model is given of each attachment. It also holds what the model is not given, and why.

A `Parts` holds one part or more for every outcome that is shown, and one `Unread` for every other. Each provider's form
is made from it, and so can your own form be. A part has bytes, a media type, a name and a remark.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from staging._context import complaint, inert, sentence
from staging._models import Failure, Outcome, Skipped, StagedFile

_HINT = re.compile(r"(?:; )?[^;]*pip install .*")  # is for a programmer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What every part has, as `DocumentPart` says."""

    number: int
    outcome: StagedFile
    name: str
    media_type: str
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart(_Part):
    """Text of a file, in a fence that it cannot close.

    It has the same attributes as `DocumentPart`, and two more.

    Attributes:
        text: what is shown. Where something is left out, a line says how much.
        section: heading, fence and text, as the prompt and the blocks show it.
    """

    text: str
    section: str

    @property
    def data(self) -> bytes:
        """Return the text as UTF-8."""
        return self.text.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _MediaPart(_Part):
    """A part that is no text."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePart(_MediaPart):
    """A picture, or a piece of one, upright and within the limits.

    It has the same attributes as `DocumentPart`, and two more.

    Attributes:
        width: in pixels.
        height: in pixels.
    """

    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPart(_MediaPart):
    """A PDF, or another document that the provider takes as a file.

    Attributes:
        number: the place of the outcome among the stage's, from 1; headings and listings use it.
        outcome: the staged file that is shown.
        name: for display, safe on one line.
        media_type: of `data`.
        remark: what was done to it, in a few words. Empty if nothing was.
        data: the bytes.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPart(_MediaPart):
    """Sound, as it was sent.

    It has the same attributes as `DocumentPart`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPart(_MediaPart):
    """A video, as it was sent.

    It has the same attributes as `DocumentPart`.
    """


Part = TextPart | ImagePart | DocumentPart | AudioPart | VideoPart
MediaPart = ImagePart | DocumentPart | AudioPart | VideoPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An outcome that the model is not given.

    Attributes:
        number: the place of the outcome among the stage's, from 1.
        outcome: a file that cannot be shown, a failure, or a link.
        reason: why not, one line for a model and a person.
    """

    number: int
    outcome: Outcome
    reason: str


class Parts(Sequence[Part]):
    """What a model is given, in order of intake.

    Args:
        parts: at least one for every outcome that is shown.

    Attributes:
        outcomes: all outcomes of the stage; each is shown by a part or named in `unread`.
        unread: the outcomes without a part, and why: failures, links, and what could not be read.
    """

    __slots__ = ("_parts", "outcomes", "unread")

    def __init__(self, parts: Sequence[Part], *, unread: Sequence[Unread], outcomes: Sequence[Outcome]) -> None:
        self._parts = tuple(parts)
        self.unread: tuple[Unread, ...] = tuple(unread)
        self.outcomes: tuple[Outcome, ...] = tuple(outcomes)

    @overload
    def __getitem__(self, index: int) -> Part: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Part, ...]: ...

    def __getitem__(self, index: int | slice) -> Part | tuple[Part, ...]:
        return self._parts[index]

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    def notice(self) -> str:
        """Return one sentence about what the model was not given.

        It is for the person in the chat. It is empty if all went well.

        It tells of downloads that failed and of files that could not be read. It is as safe to send as
        `AttachmentStage.notice`, with at most 400 characters on one line, no mention, no markup and no secret. Links do
        not count. A second mention of a file that is shown does not count either.
        """
        seen = {part.outcome.path for part in self._parts}
        complaints = []
        for each in self.unread:
            if isinstance(each.outcome, Failure):
                complaints.append(complaint(each.outcome))
            elif isinstance(each.outcome, StagedFile) and each.outcome.path not in seen:
                seen.add(each.outcome.path)
                why = _HINT.sub("", each.reason) or "it cannot be read here"
                complaints.append(f"{inert(each.outcome.name)}: {inert(why, limit=120)}")
        wanted = sum(not isinstance(outcome, Skipped) for outcome in self.outcomes)
        return sentence(complaints, wanted)

    def __repr__(self) -> str:
        return f"<Parts: {len(self._parts)} parts, {len(self.unread)} unread>"
