"""Find what a message of a chat holds, and what an event about one does.

Theory of operation. A message has files of its own: its attachments, those of the messages that it forwards, and those
in its components. Others stand beside it: its stickers, the previews of its links, and the files of the message that it
replies to. Callers often give these themselves, so they count only where they are not given (`Beside`).
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from staging._claims.reading import preview, read, read_text, url_of
from staging._text import bare_url

_SNAPSHOT_KEYS = ("message_snapshots", "snapshots")  # the latter: py-cord
# https://core.telegram.org/bots/api#message; an animation is a document too, for old clients
_TELEGRAM_KEYS = ("animation", "audio", "document", "photo", "sticker", "video", "video_note", "voice")
_ENVELOPES = ("message", "edited_message", "channel_post", "event", "result")
_MATRIX = frozenset({"m.image", "m.file", "m.audio", "m.video"})
_WORDS = frozenset({"message", "app_mention", "text", "input_text", "output_text"})  # types of what is no file
_COMPONENT_DEPTH = 4  # a container, a section, a gallery, an item; Discord's nest no deeper
_ATTACHED = ("attachments", "attachment")  # the latter: Google Chat
_LISTS = (*_ATTACHED, "files", "message_snapshots")
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
    form = read(source, "type")
    is_text = form in _WORDS and (form == "message" or read(source, "text") is not None)
    return "files" in source or isinstance(read(source, "attachment"), list) or (is_text and "mode" not in source)


def message_parts(source: Any) -> Iterable[Any] | None:
    """Return what a message, an interaction or an event holds, or None if it is none of them."""
    data = read(source, "data")
    holder = read(data, "resolved") if isinstance(data, Mapping) else read(source, "resolved")
    several = [read(holder, key) for key in ("attachments", "messages")]  # that an interaction is about
    if any(isinstance(each, Mapping | list | tuple) for each in several):
        return [_several(each) for each in several]
    if isinstance(read(source, "application_id"), str | int) and not is_message(source):
        return []  # an interaction about none
    inside = _inside(source)
    if inside is not None:
        return inside
    if is_message(source):
        return [*_files(source), Beside(_beside(source))]
    if isinstance(read(source, "message_id"), int) and read(source, "chat") is not None:
        return [_telegram_file(source), Beside([_telegram_file(read(source, "reply_to_message"))])]
    return None


def _inside(source: Any) -> Iterable[Any] | None:
    """Return the message in an event or an update, the parts of a model's message, or the media of Twilio's."""
    if isinstance(read(source, "update_id"), int):  # Telegram's, a mapping or an object
        return [read(source, key) for key in _ENVELOPES]
    if not isinstance(source, Mapping) or any(isinstance(read(source, key), list) for key in _LISTS):
        return None
    if isinstance(read(source, "role"), str):
        content = read(source, "content")
        return content if isinstance(content, list) else []
    if form := read_text(read(source, "content"), "msgtype"):  # an event of Matrix
        return [read(source, "content")] if form in _MATRIX else []
    if (number := read_text(source, "NumMedia")) and number.isdecimal():
        keys = [(f"MediaUrl{n}", f"MediaContentType{n}") for n in range(min(int(number[:2]), 10))]
        return [{"url": read(source, url), "content_type": read(source, of)} for url, of in keys]
    return [inner for key in _ENVELOPES if isinstance(inner := read(source, key), Mapping)] or None


def _files(message: Any) -> list[Any]:
    """Return the files of a message and of those that it forwards."""
    snapshots = _all(message, *_SNAPSHOT_KEYS)
    # gateway payloads and py-cord wrap the forwarded message; discord.py, disnake and hikari do not
    unwrapped = (each if read(each, "attachments") is not None else read(each, "message") for each in snapshots)
    holders = [message, *unwrapped]
    files = [_several(read(message, "files"))] if isinstance(message, Mapping) else []
    attached = [part for holder in holders for part in _all(holder, *_ATTACHED) if not _is_preview(part)]
    shown = [media for holder in holders for media in _media(read(holder, "components"), _COMPONENT_DEPTH)]
    known = {bare_url(url) for part in attached if (url := url_of(part))} if shown else set()
    return [*files, *attached, *(each for each in shown if bare_url(url_of(each) or "") not in known)]


def _beside(message: Any) -> Iterator[Any]:
    """Yield stickers, previews, and the files of the message that this one replies to."""
    yield from _all(message, "sticker_items") or _all(message, "stickers")
    yield from map(preview, _all(message, "embeds"))
    yield from (preview(part) for part in _all(message, "attachments") if _is_preview(part))
    yield from (preview(part) for part in _all(message, "blocks") if read(part, "type") == "image")  # of Slack's apps
    if not _all(message, *_SNAPSHOT_KEYS):  # a forward refers to what it holds already
        payload = read(message, "referenced_message")
        yield from _files(payload or read(read(message, "reference"), "resolved"))


def _is_preview(part: Any) -> bool:
    """Tell whether this is Slack's preview of a link.

    It is among a message's attachments, and it is no file. A message that was shared there may have files.
    """
    is_slacks = isinstance(part, Mapping) and isinstance(read(part, "fallback"), str)
    return is_slacks and not is_message(part) and read_text(part, "url", "url_private") is None


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
