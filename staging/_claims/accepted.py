"""Leave out types that a caller does not want.

A type is judged twice, by the claim before the download and by the bytes after it.
"""

import re
from collections.abc import Sequence
from typing import Any

from staging._claims.aliases import canonical
from staging._claims.contradictions import contradicts
from staging._claims.kinds import OCTETS, media_type_of_name
from staging._models import Attachment, StagedFile
from staging._rare import rare
from staging._text import last_segment, one_line

_PATTERN = rare(r"(?:\*|[\w!#$&^.+-]+)/(?:\*|[\w!#$&^.+-]+)", re.ASCII)


class Accepted:
    """The media types that a caller wants.

    A ``*`` may stand in place of the second half.

    Args:
        types: ``image/*``, ``application/pdf``, and so on.

    Raises:
        TypeError: if it is a text, or has something else than texts.
        ValueError: if one of them is no media type.
    """

    __slots__ = ("types",)

    def __init__(self, types: Sequence[str]) -> None:
        given: Any = types  # annotations bind no caller
        if isinstance(given, str | bytes):
            raise TypeError("accept is a list of media types, such as ['image/*']")
        self.types = tuple(_checked(each) for each in given)

    def excludes(self, attachment: Attachment) -> bool:
        """Tell whether an attachment claims a type that is not wanted.

        Without a claimed type, the extension is the claim. An unknown one excludes nothing.
        """
        claim = claim_of(attachment)
        return claim is not None and not self._has(claim)

    def admits(self, staged: StagedFile) -> bool:
        """Tell whether a file is wanted.

        Its bytes decide, or a claim that they do not contradict. The bytes of an honest file may show less than its
        sender knows: a table is ``text/plain``, and sound in an MP4 is ``video/mp4``.
        """
        if self._has(staged.media_type):
            return True
        claim = claim_of(staged.attachment)
        return claim is not None and self._has(claim) and not contradicts(claim, staged.media_type)

    def _has(self, media_type: str) -> bool:
        bare = media_type.partition(";")[0].strip().lower()
        same = {bare, canonical(bare)}
        return any(
            wanted in same
            or canonical(wanted) in same
            or wanted == "*/*"
            or (wanted.endswith("/*") and bare.startswith(wanted[:-1]))
            for wanted in self.types
        )


def _checked(wanted: Any) -> str:
    if not isinstance(wanted, str):
        raise TypeError(f"accept is a list of media types, and there is a {type(wanted).__qualname__} in it")
    text = wanted.partition(";")[0].strip().lower()
    if not _PATTERN.fullmatch(text) or (text.startswith("*/") and text != "*/*"):
        raise ValueError(f"accept: {one_line(repr(wanted), limit=60)} is no media type such as image/png or image/*")
    return text


def claim_of(attachment: Attachment) -> str | None:
    """Return the type that an attachment claims, by its extension if need be, or None."""
    claimed = attachment.media_type
    if claimed and canonical(claimed) != OCTETS:
        return claimed
    return media_type_of_name(attachment.name or last_segment(attachment.url))
