"""What is told of the outcomes, to the model, to the person in the chat and to the log: no sender can forge a line."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal, get_args

from staging._claims.contradictions import contradicts
from staging._claims.kinds import kind_of, kind_of_name
from staging._errors import Reason
from staging._models import Attachment, Failure, Kind, Outcome, Skipped, StagedFile
from staging._text import bare_url, one_line

StrPath = str | os.PathLike[str]
Urls = Literal["bare", "full", "hide"]

_MAX_DESCRIPTION = 500
_MAX_NOTICE = 400
_WHOLE = 10_000  # a path that is cut cannot be opened; no platform has longer ones


def context(
    outcomes: Sequence[Outcome], *, urls: Urls = "bare", path_map: Mapping[StrPath, StrPath] | None = None
) -> str:
    r"""Return the block that tells a model what was attached: one entry per outcome, in order, unforgeable.

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
        not-needed  = "Not needed (link)" / "Not needed (embed)"
        local-path  = LF "   Local Path: " text         ; if and only if downloaded
        url         = LF "   URL: " text                ; not with urls="hide", nor where there is none
        type        = LF "   Type: " text " (claimed " text ")"   ; only if the bytes contradict the claim
        description = LF "   Description: " text        ; the sender's words, at most 500 characters
        text        = 1*<a printable character, the backslash escape of any other>

    Printable is what `str.isprintable` says: no control, format (bidi, zero-width), line or paragraph separator. The
    label of a staged file is what its bytes are; of anything else, what was claimed.

    Args:
        outcomes: what became of the attachments.
        urls: ``bare`` without query and fragment, which carry signatures; ``full`` with them; ``hide`` no URL line.
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
    entries = (_entry(number, outcome, urls, places) for number, outcome in enumerate(outcomes, 1))
    lines = list(chain.from_iterable(entries))
    return "\n".join(["[Attachments:]", *lines]) if lines else ""


def _entry(number: int, outcome: Outcome, urls: Urls, places: Sequence[tuple[PurePath, PurePath]]) -> Iterator[str]:
    yield f"{number}. {_label(outcome)} {_quoted(outcome.name)}"
    yield f"   Downloaded: {_downloaded(outcome)}"
    if isinstance(outcome, StagedFile):
        yield f"   Local Path: {one_line(str(_mapped(outcome.path, places)), limit=_WHOLE)}"
    url = "" if urls == "hide" else _url(outcome.attachment, full=urls == "full")
    if url:
        yield f"   URL: {url}"
    yield from claim_lines(outcome)


def claim_lines(outcome: Outcome) -> Iterator[str]:
    """Yield the lines about the sender's own words: a type that the bytes contradict, and the description."""
    if isinstance(outcome, StagedFile) and contradicts(outcome.claimed_media_type, outcome.media_type):
        claimed = one_line(outcome.claimed_media_type or "", limit=100)
        yield f"   Type: {one_line(outcome.media_type, limit=100)} (claimed {claimed})"
    description = outcome.attachment.description
    if isinstance(description, str) and description and not description.isspace():
        yield f"   Description: {one_line(description, limit=_MAX_DESCRIPTION)}"


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, StagedFile):
        return kind_of(outcome.media_type).upper()
    kind = outcome.attachment.kind
    return kind.upper() if kind in get_args(Kind) else "FILE"  # built by hand it may be anything


def _downloaded(outcome: Outcome) -> str:
    match outcome:
        case StagedFile():
            return "Yes (available for processing)"
        case Failure():
            return f"Failed ({one_line(outcome.detail) or outcome.reason})"
        case Skipped():
            return f"Not needed ({outcome.reason})"


def _quoted(name: str) -> str:
    escaped = one_line(name).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _url(attachment: Attachment, *, full: bool = False) -> str:
    url: Any = attachment.url  # built by hand it may be anything
    if not isinstance(url, str):
        return ""
    return one_line(url, limit=2000) if full else bare_url(url)


def _sandbox(directory: StrPath) -> PurePath:
    text = os.fspath(directory)
    windows = isinstance(directory, PureWindowsPath) or text.startswith("\\") or bool(re.match("[A-Za-z]:", text))
    return PureWindowsPath(text) if windows else PurePosixPath(text)


def _mapped(path: PurePath, places: Sequence[tuple[PurePath, PurePath]]) -> PurePath:
    place = next(((ours, theirs) for ours, theirs in places if path.is_relative_to(ours)), None)
    return path if place is None else place[1].joinpath(*path.relative_to(place[0]).parts)


_COMPLAINTS: dict[Reason, str] = {
    "not_allowed": ": links to this address are not accepted",
    "private_address": ": the link leads to a private address",
    "too_large": " is too large",
    "budget": ": the attachments are too large together",
    "too_many": ": there are too many attachments",
    "expired": ": the link has expired",
    "not_found": ": the file is no longer there",
    "forbidden": ": the server denied access to it",
    "http_status": ": the server answered with an error",
    "redirects": ": the link leads nowhere",
    "timeout": ": the download took too long",
    "stalled": ": the download stopped midway",
    "deadline": ": there was no time left to download it",
    "connect": ": the server could not be reached",
    "interrupted": ": the connection broke",
    "protocol": ": the server's answer made no sense",
    "size_mismatch": ": it did not arrive in the announced size",
    "encoding": ": the server sent it in an unexpected encoding",
    "disk_full": ": there is no space left to store it",
    "storage": ": it could not be stored",
    "invalid": ": its description is unusable",
}
_LIMIT = re.compile(r"the limit is ([\d.]+ [A-Za-z]+)$", re.ASCII)

# What some chat takes for a mention, markup, an emoji code, a command or a link, and a character that looks like it.
_INERT = str.maketrans("*`~|<>@#[]\\/:_", "∗ˋ∼¦‹›＠＃［］＼∕∶＿")
_INNER_UNDERSCORE = re.compile(r"(?<=[^\W_])_(?=[^\W_])")  # marks nothing in any chat: snake_case stays as it is
_EXTENSIONS = frozenset({"apk", "bak", "bat", "bin", "dat", "db", "dll", "dmg", "exe", "ipynb", "iso", "tmp"})


def notice(outcomes: Sequence[Outcome]) -> str:
    """Return one sentence for the person in the chat about what could not be used; empty if all went well.

    Safe to send as it is: at most 400 characters on one line, no mention, no markup, no link that unfurls, no secret.
    In a name, characters that a chat may act on are replaced by ones that look like them, and so are all dots but that
    of a usual extension: ``evil.com`` is a link in some chats. Links and embeds need no download and do not count.
    """
    wanted = [outcome for outcome in outcomes if not isinstance(outcome, Skipped)]
    return sentence([complaint(outcome) for outcome in wanted if isinstance(outcome, Failure)], len(wanted))


def sentence(complaints: Sequence[str], wanted: int) -> str:
    """Return the complaints about some of `wanted` attachments as one sentence of bounded length; empty for none."""
    if not complaints:
        return ""
    text = f"{len(complaints)} of {wanted} attachments could not be used: {complaints[0]}"
    for shown, more in enumerate(complaints[1:], 1):
        if len(text) + len(more) > _MAX_NOTICE - 30:
            return f"{text}; … and {len(complaints) - shown} more."
        text += f"; {more}"
    return text + "."


def complaint(failure: Failure) -> str:
    """Return what the person who sent it is told about a failure."""
    name = inert(failure.name) or "an attachment"
    limit = _LIMIT.search(failure.detail)
    if failure.reason == "too_large" and limit:
        return f"{name} is larger than {limit[1]}"
    return name + (_COMPLAINTS.get(failure.reason) or f": {inert(failure.detail)}")


def inert(text: str, *, limit: int = 60) -> str:
    """Return text that no chat acts on."""
    text = one_line(" ".join(text.split()), limit=limit)
    pieces = (piece.translate(_INERT) for piece in _INNER_UNDERSCORE.split(text))
    stem, dot, extension = "_".join(pieces).rpartition(".")
    usual = len(extension) == 1 or extension.lower() in _EXTENSIONS or kind_of_name(f".{extension}") is not None
    return stem.replace(".", "․") + (dot if usual else "․" if dot else "") + extension


def download_line(outcomes: Sequence[Outcome], label: str = "") -> str:
    """Return the log's line for a batch: ``Downloaded 3/5 attachments for thread 42``, links and embeds not counted."""
    wanted = [outcome for outcome in outcomes if not isinstance(outcome, Skipped)]
    return f"Downloaded {sum(outcome.downloaded for outcome in wanted)}/{len(wanted)} attachments{_for(label)}"


def cleanup_line(count: int, label: str = "") -> str:
    """Return the log's line for an exit: ``Cleaned up 3 attachment files for thread 42``."""
    return f"Cleaned up {count} attachment files{_for(label)}"


def failure_line(failure: Failure, label: str = "") -> str:
    """Return the log's line for a failure: name, label, detail, reason and the URL without query."""
    where = ", ".join(filter(None, (failure.reason, _url(failure.attachment))))
    return f"Not staged: {_quoted(failure.name)}{_for(label)}: {one_line(failure.detail)} ({where})"


def _for(label: str) -> str:
    return f" for {one_line(label)}" if label else ""
