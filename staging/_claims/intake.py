"""From whatever a chat library calls an attachment to our own value: every claim normalised, nothing trusted."""

# Theory of operation
#
# A source is read through one narrow door, `_read`: a key of a mapping or an attribute of an object, and nothing at all
# if that raises. Every claim then passes a check of its own form (`_text`, `_size`, `_media_type`, `_kind`), and one
# that fails it counts as not made. So no metadata can raise, and what reaches `Attachment` has the declared types; only
# a source with no URL at all is the caller's mistake.
#
# An `Attachment` that was built by hand has passed none of this, so `unusable` says of it what `intake` would have
# prevented; the stage makes that a failure with the reason `invalid`.

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from staging._claims.kinds import kind_of, kind_of_name
from staging._models import MAX_SIZE, Attachment, Kind, checked_headers, is_size
from staging._text import bare_url, last_segment, one_line

_URL_KEYS = ("url", "url_private_download", "url_private")  # the latter two: Slack
_NAME_KEYS = ("file_name", "name", "title")  # after `filename`: Telegram; Slack; Slack
_MEDIA_TYPE_KEYS = ("content_type", "media_type", "mimetype", "mime_type", "type")
_SIZE_KEYS = ("size", "file_size")
_DESCRIPTION_KEYS = ("description", "alt_text", "alt_txt")
_SNAPSHOT_KEYS = ("message_snapshots", "snapshots")  # the latter: py-cord

_NO_DOWNLOADS: dict[str, Kind] = {
    "link": "url",
    # https://docs.discord.com/developers/resources/message#embed-object-embed-types; its `image` and `video` are files
    "rich": "embed", "article": "embed", "gifv": "embed", "poll_result": "embed", "auto_moderation_message": "embed",
}  # fmt: skip
_ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
_KINDS: dict[str, Kind] = {**{kind: kind for kind in _ALL_KINDS}, **_NO_DOWNLOADS}

_ABSENT = object()
_MAX_DEPTH = 16  # deeper than any honest nesting; a list that contains itself must end

# RFC 9110, section 8.3.1; parameters only loosely: all that matters of them is that they are on one line
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:[ \t]*;[ -~]{0,200})?", re.ASCII)
_STICKERS = ("https://cdn.discordapp.com/stickers/", "https://media.discordapp.net/stickers/")
# https://docs.discord.com/developers/reference#image-formatting: 3 is Lottie, 4 GIF; PNG and APNG are the others
_STICKER_FORMATS = {3: (_STICKERS[0], "json"), 4: (_STICKERS[1], "gif")}
_SNOWFLAKE = re.compile("[0-9]{1,20}")


def intake(*sources: Any) -> list[Attachment]:
    """Return the attachments that `sources` refer to, in their order; no claim in them, however absurd, raises.

    A source is one of

    * a URL: text, or a URL object (httpx, yarl, pydantic);
    * a mapping or an object with a URL: attachments and stickers of discord.py, py-cord, disnake, nextcord and hikari,
      the gateway's payloads of them, file dictionaries of Slack and Telegram, and the like;
    * an embed, object or payload, which has the kind ``embed`` and need not have a URL;
    * a message, object or gateway payload: its attachments, then those of its forwarded snapshots. Its stickers and
      embeds only count if they are given themselves;
    * an `Attachment`, which is returned as it is;
    * an iterable of any of these. None in it, none returned.

    A claim that is not of its type is ignored: a name that is not text or is blank, a size that is not a whole number
    from 0 to 2**63 - 1 (text and floats are not), a media type that is not ``type/subtype``, headers that are not a
    mapping. `title` is the name before Discord made `filename` ASCII; it lacks the extension. `headers` are read from
    mappings only: an object with a URL may be a response, whose headers must not be sent. A text is a thing to
    download, whatever it points at; only the claim ``type: "url"`` (or ``"link"``) makes a plain link.

    Args:
        sources: what to stage; each attachment's `source` is the object it was made from.

    Raises:
        TypeError: if a source has no URL and is not of a kind that could (`None`, a number, bytes, an object without
            `url`), or its URL is not text.
        ValueError: if a mapping or text has no URL, or iterables are nested more than 16 deep.
    """
    return [attachment for source in sources for attachment in _walk(source, 0)]


def _walk(source: Any, depth: int) -> Iterator[Attachment]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"attachments nested more than {_MAX_DEPTH} deep, or a list that contains itself")
    found = source if isinstance(source, Attachment) else _attachment(source)
    if found is not None:
        yield found
        return
    parts = _parts(source)
    if parts is None:
        raise _no_url(source)
    for part in parts:
        yield from _walk(part, depth + 1)


def _parts(source: Any) -> Iterable[Any] | None:
    """Return what a source without a URL of its own contains, or None if it is not a container."""
    if isinstance(source, str | bytes | bytearray | memoryview):
        return None
    if any(_read(source, key, _ABSENT) is not _ABSENT for key in ("attachments", "message_snapshots")):
        return _message_parts(source)
    return source if isinstance(source, Iterable) and not isinstance(source, Mapping) else None


def _message_parts(message: Any) -> list[Any]:
    snapshots = [each for key in _SNAPSHOT_KEYS for each in _iterable(_read(message, key))]
    # gateway payloads and py-cord wrap the forwarded message; discord.py, disnake and hikari do not
    holders = [message] + [each if _has_attachments(each) else _read(each, "message") for each in snapshots]
    return [_iterable(_read(holder, "attachments")) for holder in holders]


def _has_attachments(source: Any) -> bool:
    return _read(source, "attachments") is not None


def _iterable(value: Any) -> Iterable[Any]:
    """Return the value, or nothing: for what it was not told, hikari has UNDEFINED, which is not iterable."""
    return value if isinstance(value, Iterable) else ()


def _attachment(source: Any) -> Attachment | None:
    url = _url(source)
    if isinstance(source, str) or _is_url_object(source):
        return None if url is None else Attachment(url, kind=_kind_by_name(None, url), source=source)
    embed = _is_embed(source)
    if url is None and not embed:
        return None
    url = url or ""
    name = _name(source, url)
    media_type = _media_type(source)
    return Attachment(
        url,
        name=name,
        kind="embed" if embed else _kind(source, media_type) or _kind_by_name(name, url),
        media_type=media_type,
        size=_size(source),
        description=_text(source, *_DESCRIPTION_KEYS),
        headers=_usable_headers(source),
        source=source,
    )


def _read(source: Any, key: str, default: Any = None) -> Any:
    try:
        return source.get(key, default) if isinstance(source, Mapping) else getattr(source, key, default)
    except Exception:  # noqa: BLE001  # somebody else's property or mapping may raise anything: then there is no claim
        return default


def _plain(value: Any) -> str | None:
    """Return text as exactly `str`, whatever a subclass makes of it; None if it is blank or not text."""
    text = str.__str__(value) if isinstance(value, str) else ""
    return text if text and not text.isspace() else None


def _text(source: Any, *keys: str) -> str | None:
    return next((text for key in keys if (text := _plain(_read(source, key)))), None)


def _url(source: Any) -> str | None:
    if isinstance(source, str) or _is_url_object(source):
        return _url_text(source)
    found = next((text for key in _URL_KEYS if (text := _url_text(_read(source, key)))), None)
    return found or _telegram_url(source) or _sticker_url(source)


def _url_text(value: Any) -> str | None:
    try:
        return _plain(str(value) if _is_url_object(value) else value)
    except Exception:  # noqa: BLE001  # somebody else's __str__
        return None


def _is_url_object(value: Any) -> bool:
    """Tell whether this is a URL object by its class's name: the libraries that have one share no base class."""
    return type(value).__name__ in {"URL", "Url", "AnyUrl", "HttpUrl", "AnyHttpUrl"} and not isinstance(value, str)


def _telegram_url(source: Any) -> str | None:
    """Return `file_path` where a client library has made a URL of it; the Bot API's own is a relative path."""
    path = _text(source, "file_path")
    return path if path and path.lower().startswith(("https://", "http://")) else None


def _sticker_url(source: Any) -> str | None:
    """Return where a sticker that came without a URL lies (the gateway's `sticker_items`; hikari)."""
    form, number = _read(source, "format_type"), _read(source, "id")
    number = str(int(number)) if is_size(number) else _plain(number)
    if not isinstance(form, int) or not number or not _SNOWFLAKE.fullmatch(number):
        return None
    base, extension = _STICKER_FORMATS.get(form, (_STICKERS[0], "png"))
    return f"{base}{number}.{extension}"


def _is_embed(source: Any) -> bool:
    """Tell whether this is an embed: by the class's name for objects, by `type` for payloads."""
    if isinstance(source, Mapping):
        return _claimed_kind(source) == "embed"
    return type(source).__name__ == "Embed"


def _name(source: Any, url: str) -> str | None:
    filename, title = _text(source, "filename"), _text(source, "title")
    if filename and title:
        return _with_extension(title, filename)
    name = filename or _text(source, *_NAME_KEYS)
    return _with_extension(name, bare_url(url)) if name and url.startswith(_STICKERS) else name


def _with_extension(name: str, model: str) -> str:
    """Return `name` with the extension of `model`, if it lacks it."""
    stem, dot, extension = model.rpartition(".")
    suffix = dot + extension
    if not stem or not extension.isalnum() or len(suffix) > 16 or name.casefold().endswith(suffix.casefold()):
        return name
    return name + suffix


def _media_type(source: Any) -> str | None:
    texts = (_text(source, key) for key in _MEDIA_TYPE_KEYS)
    return next((text for text in texts if text and _MEDIA_TYPE.fullmatch(text)), None)


def _size(source: Any) -> int | None:
    sizes = (_read(source, key) for key in _SIZE_KEYS)
    return next((int(size) for size in sizes if is_size(size)), None)


def _headers(source: Any) -> Mapping[str, str]:
    """Return the headers of a mapping; an object with a URL may be a response, whose headers must not be sent.

    Raises:
        TypeError: if they do not map text to text.
        ValueError: if one of them cannot be sent.
    """
    headers = _read(source, "headers") if isinstance(source, Mapping) else None
    try:
        own = dict(headers) if isinstance(headers, Mapping) else {}
    except Exception:  # noqa: BLE001  # somebody else's mapping
        own = {}
    return checked_headers(own)


def _usable_headers(source: Any) -> Mapping[str, str]:
    try:
        return _headers(source)
    except (TypeError, ValueError):  # `unusable` says so
        return {}


def _kind(source: Any, media_type: str | None) -> Kind | None:
    claimed = _claimed_kind(source)
    if claimed or media_type is None or media_type.lower().startswith("application/octet-stream"):
        return claimed  # RFC 2046, section 4.5.1: octet-stream says that the type is not known
    return kind_of(media_type)


def _claimed_kind(source: Any) -> Kind | None:
    claims = (_text(source, key) for key in ("type", "kind"))
    return next((_KINDS[claim.lower()] for claim in claims if claim and claim.lower() in _KINDS), None)


def _kind_by_name(name: str | None, url: str) -> Kind:
    # of the URL the path alone: ".mov" is a top-level domain too
    return (name and kind_of_name(name)) or kind_of_name(last_segment(url)) or "file"


def _no_url(source: Any) -> Exception:
    """Return the error for a source without a URL, which names it by what cannot be a secret: never by its values."""
    if isinstance(source, Mapping):
        return _no_url_in_mapping(source)
    if isinstance(source, str):
        return ValueError(f"an attachment needs a URL, not the blank text {one_line(repr(source), limit=40)}")
    if isinstance(source, bytes | bytearray | memoryview):
        return TypeError(f"the URL of an attachment must be text, not {type(source).__qualname__}")
    shown = repr(source) if source is None or _is_small(source) else f"a {type(source).__qualname__}"
    return TypeError(
        f"an attachment needs a URL, and there is none in {one_line(shown, limit=120)}; "
        "give a URL, something that has one, a message, or an iterable of these"
    )


def _no_url_in_mapping(source: Mapping[Any, Any]) -> Exception:
    try:
        keys = ", ".join(repr(bare_url(key)) for key in source if isinstance(key, str))
    except Exception:  # noqa: BLE001  # somebody else's mapping
        keys = ""
    shown = f"a {type(source).__qualname__} with {one_line(f'the keys {keys}' if keys else 'no keys', limit=120)}"
    given = next((value for key in _URL_KEYS if (value := _read(source, key)) is not None), None)
    if given is None or isinstance(given, str):
        return ValueError(f"an attachment needs a URL, and there is none in {shown}")
    return TypeError(f"the URL of an attachment must be text, not {type(given).__qualname__}: {shown}")


def _is_small(value: Any) -> bool:
    """Tell whether this is a number that can be shown: Python refuses to print one of over 4,300 digits."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= MAX_SIZE)


def unusable(attachment: Attachment) -> str | None:
    """Return why there is nothing to ask for, as one line without secrets; None if there is something.

    A mapping's headers that cannot be sent are not left out in silence: a missing token looks like a missing right.
    """
    try:
        if isinstance(attachment.source, Mapping) and not attachment.headers:
            _headers(attachment.source)
    except (TypeError, ValueError) as error:
        return f"unusable metadata: {error}"
    return None
