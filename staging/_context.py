"""Words about the outcomes for the model and for the chat.

No sender can forge them.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Literal, get_args

from staging._claims.contradictions import kind_shown, refuted_claim
from staging._claims.kinds import kind_of_name
from staging._errors import REASONS
from staging._models import Attachment, Failure, Outcome, Skipped, StagedFile
from staging._rare import rare
from staging._text import bare_url, format_size, is_data_url, last_segment, one_line, quoted

StrPath = str | os.PathLike[str]
Urls = Literal["bare", "full", "hide"]

_Places = Sequence[tuple[PurePath, PurePath]]  # directories of this machine, and what they are elsewhere

_MAX_DESCRIPTION = 500
_MAX_NOTICE = 400
_WHOLE = 10_000  # a path that is cut cannot be opened; no platform has longer ones


def context(
    outcomes: Sequence[Outcome],
    *,
    urls: Urls = "bare",
    paths: bool = True,
    path_map: Mapping[StrPath, StrPath] | None = None,
) -> str:
    r"""Return the block that tells a model what was attached.

    It has one entry for each outcome.

    Whatever the names, descriptions, types, URLs, paths and details contain, the block is the header and exactly as
    many entries as there are outcomes, every line of this grammar (RFC 5234), without a line break at the end::

        block       = "[Attachments:]" 1*entry          ; no outcomes: the empty text
        entry       = LF number ". " label " '" name "'" downloaded [local-path] [url] [type] [description]
        number      = 1*DIGIT                           ; 1, 2, 3 ...
        label       = "FILE" / "IMAGE" / "VIDEO" / "AUDIO" / "URL" / "EMBED"
        name        = *(bare / "\\" / "\'")             ; a backslash or a quote inside is escaped by a backslash
        bare        = <a printable character but "\" and "'">
        downloaded  = LF "   Downloaded: " (yes / failed / not-needed)
        yes         = "Yes (available for processing)"
        failed      = "Failed (" text ")"
        not-needed  = "Not needed (" ("link" / "embed" / "type") ")"
        local-path  = LF "   Local Path: " text         ; if downloaded; not with paths=False
        url         = LF "   URL: " text                ; not with urls="hide", nor where there is none
        type        = LF "   Type: " text " (claimed " text ")"   ; only if the bytes contradict the claim
        description = LF "   Description: " text        ; the sender's words, at most 500 characters
        text        = 1*<a printable character, the backslash escape of any other>

    Printable is what `str.isprintable` says: no control, format (bidi, zero-width), line or paragraph separator. The
    label of a staged file is what its bytes are; of anything else, what was claimed.

    Args:
        outcomes: what became of the attachments.
        urls: ``bare`` without query and fragment, which carry signatures; ``full`` with them; ``hide`` no URL line.
        paths: whether local paths are shown. They differ from run to run, and so would a prompt that has them.
        path_map: directories of this machine, and what the machine or container where the paths are used calls them.
            The longest that contains a file, by whole components, is replaced, and the path is written in the style
            of its replacement (a drive or a leading backslash means Windows). Without a match it is left as it is.

    Raises:
        ValueError: if `urls` is none of the three words.
    """
    if urls not in get_args(Urls):
        raise ValueError(f"urls must be 'bare', 'full' or 'hide', not {urls!r}")
    places = sorted(
        ((PurePath(ours), _sandbox(theirs)) for ours, theirs in (path_map or {}).items()),
        key=lambda place: len(place[0].parts),
        reverse=True,
    )
    entries = (_entry(number, outcome, urls, places if paths else None) for number, outcome in enumerate(outcomes, 1))
    lines = list(chain.from_iterable(entries))
    return "\n".join(["[Attachments:]", *lines]) if lines else ""


def _entry(number: int, outcome: Outcome, urls: Urls, places: _Places | None) -> Iterator[str]:
    yield f"{number}. {label(outcome)} {quoted(outcome.name)}"
    match outcome:
        case StagedFile():
            yield "   Downloaded: Yes (available for processing)"
        case Failure():
            yield f"   Downloaded: Failed ({one_line(outcome.detail) or outcome.reason})"
        case Skipped():
            yield f"   Downloaded: Not needed ({outcome.reason})"
    if isinstance(outcome, StagedFile) and places is not None:
        place = next((place for place in places if outcome.path.is_relative_to(place[0])), None)
        path = outcome.path if place is None else place[1].joinpath(*outcome.path.relative_to(place[0]).parts)
        yield f"   Local Path: {one_line(str(path), limit=_WHOLE)}"
    url = "" if urls == "hide" else shown_url(outcome.attachment, full=urls == "full")
    if url:
        yield f"   URL: {url}"
    yield from claim_lines(outcome)


def contradicted_claim(outcome: Outcome) -> str | None:
    """Return the claim that the file's bytes contradict, or None.

    It is the claimed type, or else that of the claimed name. It is None if there is no file.
    """
    if not isinstance(outcome, StagedFile):
        return None
    attachment = outcome.attachment
    return refuted_claim(attachment.media_type, outcome.media_type, _claimed_name(attachment))


def _claimed_name(attachment: Attachment) -> str:
    return attachment.name or last_segment(attachment.url)


def claim_lines(outcome: Outcome) -> Iterator[str]:
    """Yield the lines about the type that the bytes contradict, and the sender's description."""
    if isinstance(outcome, StagedFile) and (claimed := contradicted_claim(outcome)):
        yield f"   Type: {one_line(outcome.media_type, limit=100)} (claimed {one_line(claimed, limit=100)})"
    description = outcome.attachment.description
    if description and not description.isspace():
        yield f"   Description: {one_line(description, limit=_MAX_DESCRIPTION)}"


def label(outcome: Outcome) -> str:
    """Return what an outcome is called, such as ``FILE`` or ``IMAGE``."""
    if isinstance(outcome, StagedFile):
        attachment = outcome.attachment
        return kind_shown(attachment.media_type, outcome.media_type, _claimed_name(attachment)).upper()
    return outcome.attachment.kind.upper()


def shown_url(attachment: Attachment, *, full: bool = False) -> str:
    """Return the URL as one line, or an empty text.

    It is empty where there is no URL, and where the URL has the bytes in itself.
    """
    if is_data_url(attachment.url):
        return ""
    return one_line(attachment.url, limit=2000) if full else bare_url(attachment.url)


def _sandbox(directory: StrPath) -> PurePath:
    text = os.fspath(directory)
    windows = isinstance(directory, PureWindowsPath) or text.startswith("\\") or bool(re.match("[A-Za-z]:", text))
    return PureWindowsPath(text) if windows else PurePosixPath(text)


# What some chat takes for a mention, markup, an emoji code, a command or a link, and a character that looks like it.
_INERT = str.maketrans("*`~|<>@#[]\\/:_", "∗ˋ∼¦‹›＠＃［］＼∕∶＿")
_INNER_UNDERSCORE = rare(r"(?<=[^\W_])_(?=[^\W_])")  # marks nothing in any chat: snake_case stays as it is
_EXTENSIONS = frozenset({"apk", "bak", "bat", "bin", "dat", "db", "dll", "dmg", "exe", "ipynb", "iso", "tmp"})


def notice(outcomes: Sequence[Outcome]) -> str:
    """Return what to tell the person in the chat.

    It is empty if all went well. Staged files that are not what they claim to be are named too. The text is
    safe to send as it is: at most 400 characters on one line, no mention, no markup, no link that unfurls, no secret.
    In a name, characters that a chat may act on are replaced by ones that look like them. So are all dots but that of a
    usual extension, since ``evil.com`` is a link in some chats. Links, embeds and what `accept` left out do not count.
    """
    wanted = [outcome for outcome in outcomes if not isinstance(outcome, Skipped)]
    complaints = [complaint(outcome) for outcome in wanted if isinstance(outcome, Failure)]
    doubts = [
        f"{inert(outcome.name) or 'an attachment'} "
        f"is {inert(outcome.media_type, limit=40)}, not {inert(claim, limit=40)}"
        for outcome in wanted
        if isinstance(outcome, StagedFile) and (claim := contradicted_claim(outcome))
    ]
    if not doubts:
        return sentence(complaints, len(wanted))
    room = _MAX_NOTICE // 2  # for each of the two
    told = sentence(complaints, len(wanted), limit=room - 1)
    return f"{told} {_joined('Not what they claim to be: ', doubts, room)}".lstrip()


def sentence(complaints: Sequence[str], wanted: int, *, limit: int = _MAX_NOTICE) -> str:
    """Return the complaints about attachments as one sentence.

    There were `wanted` attachments. The sentence has at most `limit` characters.
    """
    start = f"{len(complaints)} of {wanted} attachments could not be used: "
    return _joined(start, complaints, limit) if complaints else ""


def _joined(start: str, complaints: Sequence[str], limit: int) -> str:
    """Return as many of the complaints as there is room for.

    The first is always there. The others are counted at the end.
    """
    text = start + complaints[0]
    for shown, more in enumerate(complaints[1:], 1):
        if len(text) + len(more) > limit - 30:
            return f"{text}; … and {len(complaints) - shown} more."
        text += f"; {more}"
    return text + "."


def complaint(failure: Failure) -> str:
    """Return what the person who sent it is told about a failure."""
    name = inert(failure.name) or "an attachment"
    limit = getattr(failure.error, "limit", None)
    if failure.reason == "too_large" and limit is not None:
        return f"{name} is larger than {format_size(limit)}"
    return name + REASONS[failure.reason].sentence


def inert(text: str, *, limit: int = 60) -> str:
    """Return text that no chat acts on."""
    text = one_line(" ".join(text.split()), limit=limit)
    pieces = (piece.translate(_INERT) for piece in _INNER_UNDERSCORE.split(text))
    stem, dot, extension = "_".join(pieces).rpartition(".")
    usual = len(extension) == 1 or extension.lower() in _EXTENSIONS or kind_of_name(f".{extension}") is not None
    return stem.replace(".", "․") + (dot if usual else "․" if dot else "") + extension
