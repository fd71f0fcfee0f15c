"""Print results, errors and progress; with `bars` the only place that prints.

Results go to standard output and everything else to standard error. Both are written past Python's buffers, so a reader
that goes away is noticed where it happens and not at the interpreter's exit. What a sender wrote goes through
`one_line` first, which escapes what acts on a terminal. No URL is shown with its query, which carries secrets.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import IO, Any

from staging import AttachmentStage, Event, Failure, Outcome, Skipped, StagedFile, StagingError, WorkspaceError
from staging._events import Finished
from staging._text import bare_url, format_size, one_line

Show = Callable[[Event], None]


def is_at_work_on(terminal: int) -> bool:
    return os.tcgetpgrp(terminal) == os.getpgrp()


def report(outcome: Outcome, *, as_json: bool, show_path: bool = False) -> None:
    if as_json:
        print_line(json.dumps(_record(outcome)))
    elif show_path and isinstance(outcome, StagedFile):
        print_line(str(outcome.path))
    if isinstance(outcome, Failure):
        complain(f"{outcome.name}: {_for_a_terminal(outcome)} ({bare_url(outcome.attachment.url)})")


_HINTS = {  # the library's are for programmers
    "UrlPolicy.only names others": "--allow-host names others",
    "UrlPolicy.only(schemes=...) names others": "--insecure-local takes http too, for tests",
    "UrlPolicy.only(ports=...) names others": "--insecure-local takes any, for tests",
    "UrlPolicy.only(private=True) admits your own network's": "--insecure-local takes them, for tests",
    "tls= takes an SSL context that trusts it": "the command trusts whom this system trusts",
    "give client=httpx.AsyncClient(proxy=...)": "the command goes without a proxy",
}


def _for_a_terminal(failure: Failure) -> str:
    """Return a failure's detail, and its hint for somebody who has options and no parameters."""
    told = f"{failure.detail}; {failure.hint}" if failure.hint else failure.detail
    for hint, option in _HINTS.items():
        told = told.replace(hint, option)
    return told


def _record(outcome: Outcome) -> dict[str, Any]:
    """Return what is known of an outcome, without the secrets of its URL and its headers."""
    record = {
        "name": outcome.name,
        "url": bare_url(outcome.attachment.url),
        "filename": outcome.name,
        "type": outcome.attachment.kind,
        "local_path": outcome.local_path,
        "downloaded": outcome.downloaded,
    }
    match outcome:
        case StagedFile():
            return {**record, "size": outcome.size, "media_type": outcome.media_type}
        case Failure():
            return {**record, "error": outcome.detail, "reason": outcome.reason}
        case Skipped():
            return {**record, "reason": outcome.reason}


def open_display(*, quiet: bool, count: int) -> AbstractContextManager[Show | None]:
    """Return who shows the events: bars on a terminal that can, otherwise lines."""
    if quiet:
        return nullcontext()
    if _is_for_bars(sys.stderr):
        with suppress(ImportError):
            from staging._cli.bars import Bars  # noqa: PLC0415  # rich is optional, and 50 ms that only a terminal is worth

            return Bars(count)
    return nullcontext(_show_line)


def _is_for_bars(stream: IO[str] | None) -> bool:
    """Tell whether this is a terminal that can move its cursor, and nobody else is working there."""
    if stream is None or not stream.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return False
    with suppress(OSError, AttributeError):  # not the terminal that controls us; Windows has none
        return is_at_work_on(stream.fileno())
    return True


def _show_line(event: Event) -> None:
    if isinstance(event, Finished) and isinstance(event.outcome, StagedFile):
        file = event.outcome
        _tell(f"{file.name}: {format_size(file.size)}, {file.media_type}")


def complain_of_leftovers(stage: AttachmentStage) -> None:
    for name, why in stage.leftovers[:3]:
        complain(f"{name} could not be removed: {why}; `staging sweep` will try again")


def words(error: Exception) -> str:
    """Return an error as one line for a person."""
    if isinstance(error, WorkspaceError):  # the library's word is for programmers
        return re.sub(r"^temp_dir\b", "--temp-dir", error.detail)
    if isinstance(error, OSError) and not isinstance(error, StagingError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def complain(message: str) -> None:
    _tell(f"staging: {message}")


def _tell(message: str) -> None:
    words = one_line(message, limit=2000).encode(sys.getfilesystemencoding(), "backslashreplace")
    with suppress(OSError):  # a full disk under standard error, say: nobody could be told
        _write(sys.stderr, words)


def print_line(text: str) -> None:
    try:
        _write(sys.stdout, os.fsencode(text))
    except OSError as error:
        error.filename = "standard output"
        raise


def _write(stream: IO[str] | None, line: bytes) -> None:
    """Write a line past Python's buffers; nobody there to read it is no reason to stop working."""
    if stream is None:  # closed by the caller; its descriptor may be anything by now
        return
    data = line + b"\n"
    with suppress(BrokenPipeError):
        while data:
            data = data[os.write(stream.fileno(), data) :]
