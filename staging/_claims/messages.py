"""Find what a message of a chat holds.

Theory of operation. A message has files of its own: its attachments, those of the messages that it forwards, and those
in its components. Others stand beside it: its stickers, the previews of its links, and the files of the message that it
replies to. Callers often give these themselves, so they count only where they are not given (`Beside`).
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from staging._claims.reading import of_claims, preview, read, url_of
from staging._text import bare_url

_SNAPSHOT_KEYS = ("message_snapshots", "snapshots")  # the latter: py-cord
# https://core.telegram.org/bots/api#message; an animation is a document too, for old clients
_TELEGRAM_KEYS = ("animation", "audio", "document", "photo", "sticker", "video", "video_note", "voice")
_COMPONENT_DEPTH = 4  # a container, a section, a gallery, an item; Discord's nest no deeper
_ABSENT = object()


class Broken:
    """Stands for a source that raised when it was read."""


class Beside(list[Any]):
    """What stands beside a message."""


def is_message(source: Any) -> bool:
    """Tell whether this is a message.

    Its lists show it. Some platforms leave them out when they are empty.
    """
    if any(read(source, key, _ABSENT) is not _ABSENT for key in ("attachments", "message_snapshots")):
        return True
    if not isinstance(source, Mapping):
        return False
    return "files" in source or (read(source, "type") == "message" and read(source, "mode") is None)


def message_parts(source: Any) -> Iterable[Any] | None:
    """Return what a message or an interaction holds, or None if it is neither."""
    resolved = _resolved(source)
    if resolved is not None:
        return resolved
    if is_message(source):
        return [*_files(source), Beside(_beside(source))]
    if isinstance(read(source, "message_id"), int) and read(source, "chat") is not None:
        return [_telegram_file(source), Beside([_telegram_file(read(source, "reply_to_message"))])]
    return None


def _resolved(source: Any) -> Iterable[Any] | None:
    """Return the attachments and messages that an interaction is about.

    It is None if this is no interaction.
    """
    data = read(source, "data")
    holder = read(data, "resolved") if isinstance(data, Mapping) else read(source, "resolved")
    several = [read(holder, key) for key in ("attachments", "messages")]
    if any(isinstance(each, Mapping | list | tuple) for each in several):
        return [_several(each) for each in several]
    is_interaction = isinstance(read(source, "application_id"), str | int) and not is_message(source)
    return [] if is_interaction else None


def _files(message: Any) -> list[Any]:
    """Return the files of a message and of those that it forwards."""
    snapshots = _all(message, *_SNAPSHOT_KEYS)
    # gateway payloads and py-cord wrap the forwarded message; discord.py, disnake and hikari do not
    unwrapped = (each if read(each, "attachments") is not None else read(each, "message") for each in snapshots)
    holders = [message, *unwrapped]
    files = [_several(read(message, "files"))] if isinstance(message, Mapping) else []
    attached = [part for holder in holders for part in _all(holder, "attachments") if not _is_preview(part)]
    known = {bare_url(url) for part in attached if (url := url_of(part))}
    shown = [media for holder in holders for media in _media(read(holder, "components"), _COMPONENT_DEPTH)]
    return [*files, *attached, *(each for each in shown if bare_url(url_of(each) or "") not in known)]


def _beside(message: Any) -> Iterator[Any]:
    """Yield stickers, previews, and the files of the message that this one replies to."""
    yield from _all(message, "sticker_items") or _all(message, "stickers")
    yield from map(preview, _all(message, "embeds"))
    yield from (preview(part) for part in _all(message, "attachments") if _is_preview(part))
    if not _all(message, *_SNAPSHOT_KEYS):  # a forward refers to what it holds already
        payload = read(message, "referenced_message")
        yield from _files(payload or read(read(message, "reference"), "resolved"))


def _is_preview(part: Any) -> bool:
    """Tell whether this is Slack's preview of a link.

    It is among a message's attachments, and it is no file. A message that was shared there may have files.
    """
    is_slacks = isinstance(part, Mapping) and isinstance(read(part, "fallback"), str)
    return is_slacks and not is_message(part) and of_claims(part) is None


def _media(components: Any, depth: int) -> Iterator[Any]:
    """Yield the files that components show, however they are nested.

    See https://docs.discord.com/developers/components/reference.
    """
    for component in items(_several(components)) if depth else ():
        yield from (media for key in ("media", "file") if url_of(media := read(component, key)))
        for key in ("items", "components", "children"):
            yield from _media(read(component, key), depth - 1)
        yield from _media([read(component, "accessory")], depth - 1)


def _telegram_file(message: Any) -> Any:
    """Return the one file of a message, or None.

    A photo is a list of sizes. The last one counts, which is the largest.
    """
    found = next((file for key in _TELEGRAM_KEYS if (file := read(message, key))), None)
    return found[-1] if isinstance(found, list | tuple) else found


def _all(source: Any, *keys: str) -> list[Any]:
    return [each for key in keys for each in items(_several(read(source, key)))]


def _several(value: Any) -> Iterable[Any]:
    """Return the entries of a list or a mapping in a message.

    Anything else has none. It may be UNDEFINED, which hikari puts where it was told nothing.
    """
    if isinstance(value, Mapping):  # resolved attachments have their number as the key
        try:
            return list(value.values())
        except Exception:  # noqa: BLE001  # a foreign mapping may raise anything
            return ()
    return value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else ()


def items(several: Iterable[Any]) -> Iterator[Any]:
    """Yield the entries, and a broken one where the iteration fails."""
    if isinstance(several, types.GeneratorType):  # the caller's own code: the caller must see its mistakes
        yield from several
        return
    try:
        yield from several
    except Exception:  # noqa: BLE001  # a foreign iterator may raise anything
        yield Broken()
