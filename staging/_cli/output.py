"""Print results, errors and progress.

Only this module and `bars` print. Results go to standard output and everything else to standard error.
Both are written past Python's buffers, so a reader that goes away is noticed where it happens and not at the
interpreter's exit. What a sender wrote goes through `one_line` first, which escapes what acts on a terminal. No URL is
shown with its query, which carries secrets.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import IO
from urllib.parse import urlsplit

from staging import AttachmentStage, Event, Failure, Outcome, Skipped, StagedFile, StagingError, WorkspaceError
from staging._events import Finished
from staging._text import bare_url, format_size, one_line

Show = Callable[[Event], None]


def is_at_work_on(terminal: int) -> bool:
    return os.tcgetpgrp(terminal) == os.getpgrp()


def report(outcome: Outcome, *, as_json: bool, show_path: bool = False) -> None:
    url = bare_url(outcome.attachment.url)
    match outcome:
        case StagedFile():
            why, more = "", {"size": outcome.size, "media_type": outcome.media_type}
        case Failure():
            why, more = _for_a_terminal(outcome), {"error": outcome.detail, "reason": outcome.reason}
        case Skipped():
            why, more = f"left out: {_LEFT_OUT[outcome.reason]}", {"reason": outcome.reason}
    if as_json:  # without the secrets of its URL and its headers
        record = {
            "name": outcome.name, "url": url, "filename": outcome.name, "type": outcome.attachment.kind,
            "local_path": outcome.local_path, "downloaded": outcome.downloaded,
        }  # fmt: skip
        print_line(json.dumps(record | more))
    elif show_path and isinstance(outcome, StagedFile):
        print_line(str(outcome.path))
    if why:
        complain(f"{outcome.name}: {why} ({url})")


_LEFT_OUT = {"type": "it is not of a type that --accept names", "link": "it is a link", "embed": "it is no file"}


def _for_a_terminal(failure: Failure) -> str:
    """Return the detail, and which option may help.

    The library's own hints are for programmers.
    """
    if not failure.hint:
        return failure.detail
    plain = False
    with suppress(ValueError):
        parts = urlsplit(failure.attachment.url)
        plain = parts.scheme == "https" and parts.port in {None, 443}
    match failure.reason:
        case "not_allowed" if plain:
            return f"{failure.detail}; --allow-host names others"
        case "not_allowed" | "private_address":
            return f"{failure.detail}; --insecure-local takes it, for tests"
        case "connect":
            return f"{failure.detail}; the command trusts whom this system trusts, and takes a proxy by --proxy alone"
        case _:
            return failure.detail


def open_display(*, quiet: bool, count: int) -> AbstractContextManager[Show | None]:
    """Return what shows the events.

    It is bars on a terminal that can move its cursor, if no other program is at work on it. Otherwise it is lines.
    """
    if quiet:
        return nullcontext()
    stream: IO[str] | None = sys.stderr
    bars = stream is not None and stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    with suppress(OSError, AttributeError):  # not the terminal that controls us; Windows has none
        bars = bars and stream is not None and is_at_work_on(stream.fileno())
    if bars:
        with suppress(ImportError):
            from staging._cli.bars import Bars  # noqa: PLC0415  # rich is optional, and 50 ms that only a terminal is worth

            return Bars(count)
    return nullcontext(_show_line)


def _show_line(event: Event) -> None:
    if isinstance(event, Finished) and isinstance(event.outcome, StagedFile):
        file = event.outcome
        _tell(f"{file.name}: {format_size(file.size)}, {file.media_type}")


def complain_of_leftovers(stage: AttachmentStage) -> None:
    for name, why in stage.leftovers[:3]:
        complain(f"{name} could not be removed: {why}; `staging sweep` will try again")


def words(error: Exception) -> str:
    """Return an error as one line for a person."""
    if isinstance(error, WorkspaceError):  # the name of the library's argument means nothing to a person at a terminal
        return re.sub(r"^temp_dir\b", "--temp-dir", error.detail)
    if isinstance(error, OSError) and not isinstance(error, StagingError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def complain(message: str) -> None:
    _tell(f"staging: {message}")


def _tell(message: str) -> None:
    words = one_line(message, limit=2000).encode(sys.getfilesystemencoding(), "backslashreplace")
    with suppress(OSError):  # a full disk under standard error, say
        _write(sys.stderr, words)


def print_line(text: str) -> None:
    try:
        _write(sys.stdout, os.fsencode(text))
    except OSError as error:
        error.filename = "standard output"
        raise


def _write(stream: IO[str] | None, line: bytes) -> None:
    """Write a line past Python's buffers.

    If the reader has gone away, the work goes on.
    """
    if stream is None:  # closed by the caller; its descriptor may be anything by now
        return
    data = line + b"\n"
    with suppress(BrokenPipeError):
        while data:
            data = data[os.write(stream.fileno(), data) :]
