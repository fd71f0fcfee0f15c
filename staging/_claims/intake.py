"""Make an `Attachment` of anything that a chat library calls one.

Theory of operation. A source is one of three things. It is one attachment (a URL, something with a URL, bytes, a path,
an object with `read`), or it contains others (a message, an iterable), or it is nothing (None). Anything else is the
caller's mistake where it is an argument itself. Inside something else, a platform or a sender put it there. So it
becomes an attachment too, which fails with the reason that `unusable` gives.

Paths are taken from the caller alone. What is found inside a mapping or a message may have been written by the sender,
so a path in there is a text like any other.
"""

import array
import io
import os
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from numbers import Number
from pathlib import Path
from typing import Any

from staging._claims.messages import Beside, Broken, is_message, items, message_parts
from staging._claims.reading import claimed, headers_of, is_url_object, of_claims, of_url, read, read_text
from staging._errors import RejectedError
from staging._models import Attachment
from staging._text import bare_url, one_line

_MAX_DEPTH = 16  # deeper than honest nesting goes; without it a list that contains itself would never end

# What libraries have in place of None: a reply to a message that was deleted, an option that was left out.
_NOTHING = frozenset({"DeletedReferencedMessage", "_MissingSentinel", "UndefinedType"})
_NO_SOURCES = (
    Number, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType,
    types.CoroutineType, types.AsyncGeneratorType,
)  # fmt: skip
BYTES = (bytes, bytearray, memoryview, array.array)
_BYTE_KEYS = ("data", "body", "content")  # where uploads have their bytes: Sanic, Tornado, Chainlit

# https://docs.slack.dev/reference/objects/file-object: files of which only the record is left
_GONE = {
    "tombstone": "the file was deleted",
    "hidden_by_limit": "the file is older than its workspace keeps files",
    "file_not_found": "the file was deleted",
    "access_denied": "the file is not shared with this app",
    "check_file_info": "the file is of another workspace",
}
_NO_LISTS = ("__pydantic_fields__", "__fields__", "_fields", "keys", "__array__")
_HOW = "give a URL, something that has one, bytes, an open file, a Path, a message, or an iterable of these"
_GET_FILE = "Telegram gives a link when it is asked: `await bot.get_file(file_id)`, and then give what that returns"
_FILE_PATH = "this is the Bot API's own path: give https://api.telegram.org/file/bot<token>/<file_path>"


def intake(*sources: Any) -> list[Attachment]:
    """Return the attachments that `sources` refer to, in their order.

    No claim in them makes this raise.

    A source is one of

    * a URL: text, or a URL object (httpx, yarl, pydantic); also a ``data:`` URL;
    * a mapping or an object with a URL: attachments and stickers of discord.py, py-cord, disnake, nextcord and hikari,
      the gateway's payloads of them, files of Slack, Telegram and Teams, and the like;
    * an embed, or a part of a message that is no file; it has the kind ``embed`` and need not have a URL;
    * a message, object or payload: its attachments, those of its forwarded snapshots, and the pictures and files in its
      components; then its stickers, its embeds, which are no downloads, and the files of the message that it replies
      to. What of the latter is given itself counts once. An interaction: its resolved attachments and messages;
    * bytes, an object with `read`, an upload with a `file`, a `Path`;
    * an `Attachment`, which is returned as it is;
    * an iterable of any of these. None in it, none returned;
    * None, which is nothing.

    A claim that is not of its type is ignored: a name that is not text or is blank, a size that is not a whole number
    from 0 to 2**63 - 1 (text and floats are not), a media type that is not ``type/subtype``, headers that are not a
    mapping. `title` is the name before Discord made `filename` ASCII; it lacks the extension. `headers` are read from
    mappings only: an object with a URL may be a response, whose headers must not be sent. A text is a thing to
    download, whatever it points at; only the claim ``type: "url"`` (or ``"link"``) makes a plain link.

    Args:
        sources: what to stage; each attachment's `source` is the object it was made from.

    Raises:
        TypeError: if an argument can be no source at all: a number, a class, a function.
        ValueError: if iterables are nested more than 16 deep.
    """
    for source in sources:
        if _is(source, _NO_SOURCES):
            raise TypeError(f"{_described(source)} cannot be staged; {_HOW}")
    found = [each for source in sources for each in _walk(source, 0, trusted=True)]
    given = {id(attachment.source) for attachment, beside in found if not beside}
    return [attachment for attachment, beside in found if not (beside and id(attachment.source) in given)]


def _walk(source: Any, depth: int, *, trusted: bool, beside: bool = False) -> Iterator[tuple[Attachment, bool]]:
    """Yield each attachment, and whether it only stands beside a message."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"attachments nested more than {_MAX_DEPTH} deep, or a list that contains itself")
    if source is None or type(source).__name__ in _NOTHING:
        return
    found, parts = _taken(source, trusted=trusted)
    if found is not None:
        yield found, beside
        return
    trusted, beside = trusted and _is_list(source), beside or isinstance(source, Beside)
    for part in parts:
        yield from _walk(part, depth + 1, trusted=trusted, beside=beside)


def _taken(source: Any, *, trusted: bool) -> tuple[Attachment | None, Iterable[Any]]:
    """Return the one attachment that a source is, or what it contains."""
    try:
        found = source if isinstance(source, Attachment) else _single(source, trusted=trusted)
        if found is not None and not found.url:
            # of a field in which no file was chosen, browsers send an empty name (HTML, constructing the entry list)
            named = _is(source, (str, Mapping)) or read(source, "filename") != ""
            if not named and reader_of(source) is not None:
                return None, ()
        parts = None if found else _parts(source)
        return (found or claimed(source), ()) if parts is None else (None, parts)
    except Exception:  # noqa: BLE001  # a foreign object may raise from anything, `__class__` even
        return Attachment("", source=Broken()), ()


def _is(source: Any, kinds: Any) -> bool:
    try:
        return isinstance(source, kinds)
    except Exception:  # noqa: BLE001  # a foreign `__class__` may raise anything
        return False


# ── one attachment ───────────────────────────────────────────────────────────────────────────────────────────────────


def _single(source: Any, *, trusted: bool) -> Attachment | None:
    if isinstance(source, str) or is_url_object(source):
        return of_url(source) or Attachment("", source=source)
    if isinstance(source, BYTES):
        return Attachment("", data=source if isinstance(source, bytes) else None, source=source)
    if found := of_claims(source):
        return found
    if reader_of(source) is None and (data := _bytes_in(source)) is not None:
        return replace(claimed(source), data=data)
    if is_message(source) or isinstance(source, Mapping):
        return None
    return _of_path(source, trusted=trusted) if isinstance(source, os.PathLike) else _of_reader(source)


def _bytes_in(source: Any) -> bytes | None:
    """Return the bytes that an upload has as a value, or None."""
    values = (read(source, key) for key in _BYTE_KEYS)
    return next((bytes(value) for value in values if isinstance(value, bytes | bytearray)), None)


def _of_path(source: "os.PathLike[Any]", *, trusted: bool) -> Attachment:
    """Return an attachment whose source is a path.

    If the path was inside something else, the source is only its text.
    """
    path = os.fsdecode(source)
    own = read(source, "attachment")  # of a staged file of another stage
    media_type = own.media_type if isinstance(own, Attachment) else None
    name = os.path.basename(path)  # noqa: PTH119  # a Path would be the caller's class
    given = source if isinstance(source, Path) else Path(path)  # a foreign `__fspath__` is called once only
    return Attachment("", name=name or None, media_type=media_type, source=given if trusted else path)


def _of_reader(source: Any) -> Attachment | None:
    """Return an attachment whose source has `read`, or None.

    In an upload, the `file` may have `read` (aiohttp).
    """
    if reader_of(source) is None:
        return None
    found, given = claimed(source), read(source, "name")
    name = os.fsdecode(given) if found.name is None and isinstance(given, bytes | os.PathLike) else found.name
    if type(source).__module__ in {"gzip", "bz2", "lzma"}:  # it reads what is inside
        name = os.path.splitext(name or "")[0]  # noqa: PTH122
    own = os.path.basename(name or "")  # noqa: PTH119  # of an open file the name is its whole path
    return replace(found, name=own or None)


def reader_of(source: Any) -> Any:
    """Return `source`, its `file` or its `stream` if it has `read`, or None."""
    holders = (source, read(source, "file"), read(source, "stream"))
    return next((each for each in holders if callable(read(each, "read")) and not isinstance(each, Mapping)), None)


def path_of(attachment: Attachment) -> str | None:
    """Return the path that the caller gave, or None.

    It is the path of a file on this machine.
    """
    return os.fsdecode(attachment.source) if isinstance(attachment.source, os.PathLike) else None


# ── something that contains others ───────────────────────────────────────────────────────────────────────────────────


def _is_list(source: Any) -> bool:
    """Tell whether this is an iterable of sources.

    A record, a model, an e-mail and an array of numbers are iterable too.
    """
    return (
        isinstance(source, Iterable)
        and not isinstance(source, Mapping | str)
        and all(read(type(source), key) is None for key in _NO_LISTS)
    )


def _parts(source: Any) -> Iterable[Any] | None:
    """Return what a source contains, or None if it is no container.

    The source has no URL of its own.
    """
    parts = message_parts(source)
    if parts is not None:
        return parts
    if not isinstance(source, Mapping):
        return items(source) if _is_list(source) else None
    # a form: a field may have several files, which each framework tells by a method of its own
    methods = (getattr(source, key, None) for key in ("multi_items", "lists", "items"))
    pairs: Any = next(method for method in methods if callable(method))()
    values = [each for _, value in pairs for each in (value if isinstance(value, list) else [value])]
    files = [each for each in values if not _is(each, (str, Mapping))]  # its other fields are text
    return [each for each in files if reader_of(each) is not None or _bytes_in(each) is not None] or None


# ── what there is no file of ─────────────────────────────────────────────────────────────────────────────────────────


def unusable(attachment: Attachment) -> RejectedError | None:
    """Return why there is nothing to fetch, or None if there is something.

    Headers of a mapping that cannot be sent are a reason too. If they were left out, a missing token would look like a
    missing permission.
    """
    source = attachment.source
    if attachment.url.strip():
        if attachment.url.startswith("mxc:"):
            keys = [read(each, "key") for each in (source, read(source, "file"))]  # in an encrypted room of Matrix
            if any(isinstance(key, Mapping) for key in keys):
                hint = "decrypt it with its key, and give the bytes"
                return RejectedError("invalid", "the file is encrypted", hint=hint)
        try:
            if not attachment.headers and isinstance(source, Mapping):
                headers_of(source)
        except (TypeError, ValueError) as error:
            return RejectedError("invalid", f"unusable metadata: {error}")
        return None
    if attachment.kind == "embed" or attachment.data is not None or _is(source, (*BYTES, os.PathLike)):
        return None
    try:
        return _unreadable(source)
    except Exception:  # noqa: BLE001  # a foreign object may raise anything
        return _unreadable(Broken())


def _unreadable(source: Any) -> RejectedError | None:
    """Return why a source without a URL cannot be read, or None if it can.

    The words fit the platform that the source is from.
    """
    if isinstance(source, io.TextIOBase):
        hint = "open it in binary mode: open(path, 'rb')"
        return RejectedError("invalid", "the file is open as text, not as bytes", hint=hint)
    if read(source, "closed") is True:
        return RejectedError("invalid", "the file is closed", hint="give it while it is open")
    if not isinstance(source, Mapping | str) and reader_of(source) is not None:
        return None
    state = next((why for key in ("mode", "file_access") if (why := _GONE.get(read_text(source, key) or ""))), None)
    if isinstance(source, Broken):
        state = "its description cannot be read"
    if state:
        return RejectedError("invalid", state)
    if read_text(source, "file_id") and not (read_text(source, "type") or "").startswith("input_"):  # OpenAI's
        hint = _FILE_PATH if read_text(source, "file_path") else _GET_FILE
        return RejectedError("invalid", "there is no link to the file yet", hint=hint)
    hint = f"{_described(source)} has none; {_HOW}"
    if read_text(source, "path"):
        hint = "a path in something else may be the sender's: if it is yours, give it as a pathlib.Path"
    return RejectedError("invalid", "there is no link to a file", hint=hint)


def _described(source: Any) -> str:
    """Return words by which a programmer recognises a source.

    Its values are left out, since they may be secrets.
    """
    if isinstance(source, str):
        return "a blank text" if not source.strip() else "a path inside something else"
    if _is(source, Number):
        return "a number"
    if isinstance(source, type):
        return f"the class {one_line(source.__qualname__, limit=80)}"
    name = one_line(f"this {type(source).__qualname__}", limit=80)
    if not _is(source, Mapping):
        return name
    keys = ", ".join(repr(bare_url(key)) for key in items(source) if isinstance(key, str))
    return one_line(f"{name} with {f'the keys {keys}' if keys else 'no keys'}", limit=200)
