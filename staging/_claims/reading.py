"""Read the claims of one source.

Theory of operation. Everything is read by `read`, which takes a key of a mapping or an attribute of an object, and a
default if that raises. Then the form of every claim is checked. A claim of a wrong form counts as not made. So no
metadata can raise, and what reaches an `Attachment` has the declared types.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from staging._claims import data_urls, nested
from staging._claims.kinds import kind_of, kind_of_name
from staging._models import Attachment, Kind, checked_headers, is_size
from staging._rare import rare
from staging._text import bare_url, is_data_url, last_segment

_URL_KEYS = (  # after `url`
    "url_private_download", "url_private",  # Slack
    "contentUrl", "content_url",  # Teams, https://learn.microsoft.com/microsoftteams/platform/bots/how-to/bots-filesv4
    "@microsoft.graph.downloadUrl",
    "downloadUri",  # https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages.attachments
    "image_url", "file_url", "file_uri", "fileUri",  # OpenAI, Gemini
    "originalContentUrl", "media",  # LINE, Viber
    "uri", "href",
)  # fmt: skip
_NAME_KEYS = (  # after `filename`; in Google Chat, `name` is the path of the resource
    "file_name", "fileName", "orig_name", "contentName", "name", "title",
)  # fmt: skip
_MEDIA_TYPE_KEYS = (
    "content_type", "media_type", "mimetype", "mime_type", "mimeType", "contentType", "mediaType", "type",
)  # fmt: skip
_SIZE_KEYS = ("size", "file_size", "fileSize")
_DESCRIPTION_KEYS = ("description", "alt_text", "alt_txt")

_NO_DOWNLOADS: dict[str, Kind] = {
    "link": "url",
    # https://docs.discord.com/developers/resources/message#embed-object-embed-types; its `image` and `video` are files
    "rich": "embed", "article": "embed", "gifv": "embed", "poll_result": "embed", "auto_moderation_message": "embed",
    "fallback": "embed", "template": "embed", "location": "embed",  # Messenger
}  # fmt: skip
_KINDS: dict[str, Kind] = {**{kind: kind for kind in get_args(Kind)}, **_NO_DOWNLOADS}

# RFC 9110, section 8.3.1; parameters only loosely: all that matters of them is that they are on one line
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?:[ \t]*;[ -~]{0,200})?", re.ASCII)
_TEAMS = "application/vnd.microsoft."  # says what the part is in Teams, and nothing about the file

_STICKERS = ("https://cdn.discordapp.com/stickers/", "https://media.discordapp.net/stickers/")
# https://docs.discord.com/developers/reference#image-formatting: 3 is Lottie, 4 GIF; PNG and APNG are the others
_STICKER_FORMATS = {3: (_STICKERS[0], "json"), 4: (_STICKERS[1], "gif")}
_SNOWFLAKE = rare("[0-9]{1,20}")


def read(source: Any, key: str, default: Any = None) -> Any:
    """Return a key of a mapping or an attribute of an object.

    It is `default` if there is none, or if that raises.
    """
    if type(source) is dict:  # nearly every payload is one: this way reading takes two thirds of the time
        return source.get(key, default)
    try:
        return source.get(key, default) if isinstance(source, Mapping) else getattr(source, key, default)
    except Exception:  # noqa: BLE001  # a foreign property or mapping may raise anything: then there is no claim
        return default


def read_text(source: Any, *keys: str) -> str | None:
    """Return the first text among the keys that is not blank.

    It is exactly `str`, and no subclass of it.
    """
    return next((text for key in keys if (text := _plain(read(source, key)))), None)


def _plain(value: Any) -> str | None:
    """Return text as exactly `str`, or None if it is blank or not text."""
    text = str.__str__(value) if isinstance(value, str) else ""
    return text if text and not text.isspace() else None


def of_url(source: Any) -> Attachment | None:
    """Return what a URL refers to, or None.

    It is None if the URL is blank or cannot be read.
    """
    url = _url_text(source)
    return None if url is None else _attachment(source, url, name=None, media_type=None)


def of_claims(source: Any) -> Attachment | None:
    """Return what a mapping or an object claims, or None.

    It must have a URL or bytes, or be an embed.
    """
    claims, url = source, url_of(source)
    embed = _claimed_kind(source) == "embed" if isinstance(source, Mapping) else type(source).__name__ == "Embed"
    if url is None and read_text(source, "contentType", "content_type") is not None:
        # a part of a message may carry its own contents, as a card of Teams does
        embed = embed or (read(source, "content") is not None and not callable(read(source, "read")))
    if embed:
        return _claimed(source, claims, url or "", embed=True)
    if url is None or _is_matrix(url):
        claims = _unwrapped(source)
        inline = nested.data_url(claims, _media_type(claims)) if isinstance(claims, Mapping) else None
        url = url or inline or url_of(claims)
    return None if url is None else _claimed(source, claims, url)


def preview(source: Any) -> Attachment:
    """Return what an embed claims, or Slack's preview of a link.

    It is no download, whatever it shows.
    """
    url = read_text(source, "from_url", "title_link") or url_of(source) or ""  # Slack's `image_url` is a thumbnail
    return _claimed(source, source, url, embed=True)


def claimed(source: Any) -> Attachment:
    """Return an attachment with all that `source` claims, and with what it wraps.

    It has no URL.
    """
    return _claimed(source, _unwrapped(source), "")


def _claimed(source: Any, claims: Any, url: str, *, embed: bool = False) -> Attachment:
    try:
        headers = headers_of(source)
    except (TypeError, ValueError):  # `unusable` says so
        headers = _NO_HEADERS
    return _attachment(
        source,
        url,
        name=_name(claims, url),
        media_type=_media_type(claims),
        kind="embed" if embed else _claimed_kind(source),
        size=next((int(size) for key in _SIZE_KEYS if is_size(size := read(claims, key))), None),
        description=read_text(source, *_DESCRIPTION_KEYS),
        headers=headers,
    )


def _unwrapped(source: Any) -> Any:
    return nested.unwrapped(source) if isinstance(source, Mapping) else source


def _attachment(
    source: Any, url: str, *, name: str | None, media_type: str | None, kind: Kind | None = None, **claims: Any
) -> Attachment:
    """Return an attachment, completed by what its URL says."""
    if is_data_url(url):
        media_type = media_type or _checked_media_type(data_urls.media_type_of(url))
        name = name or data_urls.name_of(url)
    if not kind and media_type and not media_type.lower().startswith("application/octet-stream"):
        kind = kind_of(media_type)  # RFC 2046, section 4.5.1: octet-stream says that the type is not known
    if not kind:  # of the URL the path alone: ".mov" is a top-level domain too
        kind = (name and kind_of_name(name)) or kind_of_name(last_segment(url)) or "file"
    return Attachment(url, name=name, kind=kind, media_type=media_type, source=source, **claims)


# ── where it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


def is_url_object(value: Any) -> bool:
    """Tell whether this is a URL object.

    The name of its class decides, since such classes share no base class.
    """
    return type(value).__name__ in {"URL", "Url", "AnyUrl", "HttpUrl", "AnyHttpUrl"} and not isinstance(value, str)


def _url_text(value: Any) -> str | None:
    try:
        return _plain(str(value) if is_url_object(value) else value)
    except Exception:  # noqa: BLE001  # a foreign `__str__` may raise anything
        return None


def url_of(source: Any) -> str | None:
    """Return the URL of a mapping or an object, or None."""
    return next((url for value in _urls(source) if (url := _url_text(value))), None)


def _urls(source: Any) -> Iterator[Any]:
    """Yield everything that may be its URL, the best first."""
    yield read(source, "url")
    content = read(source, "content")
    if isinstance(content, Mapping) or type(content).__name__ == "FileDownloadInfo":  # botbuilder's
        # Teams: the link that needs no sign-in
        yield read(content, "downloadUrl")
        yield read(content, "download_url")
    for key in _URL_KEYS:
        yield read(source, key)
    if isinstance(source, Mapping) and isinstance(image := source.get("image_url"), Mapping):
        yield read(image, "url")  # a content part of OpenAI's
    if read(source, "title_link_download") is True or read(source, "type") == "file":
        yield read(source, "title_link")  # Rocket.Chat's, which lacks the server
    path = read_text(source, "file_path")  # Telegram's own is relative; some client libraries make a URL of it
    yield path if path and path.lower().startswith(("https://", "http://")) else None
    form, number = read(source, "format_type"), read(source, "id")  # a sticker may come without a URL
    number = str(int(number)) if is_size(number) else _plain(number)
    if isinstance(form, int) and number and _SNOWFLAKE.fullmatch(number):
        base, extension = _STICKER_FORMATS.get(form, (_STICKERS[0], "png"))
        yield f"{base}{number}.{extension}"


def _is_matrix(url: str) -> bool:
    return url.startswith("mxc:")


# ── what it is said to be ────────────────────────────────────────────────────────────────────────────────────────────


def _name(source: Any, url: str) -> str | None:
    filename, title = read_text(source, "filename"), read_text(source, "title")
    if filename and title:
        return _with_extension(title, filename)
    name = filename or read_text(source, *_NAME_KEYS) or (read_text(source, "body") if _is_matrix(url) else None)
    if name and url.startswith(_STICKERS):
        return _with_extension(name, bare_url(url))
    if not name and not url:
        name = last_segment(read_text(source, "file_path") or "") or None
    return name


def _with_extension(name: str, model: str) -> str:
    """Return `name` with the extension of `model`, if it lacks it."""
    stem, dot, extension = model.rpartition(".")
    suffix = dot + extension
    if not stem or not extension.isalnum() or len(suffix) > 16 or name.casefold().endswith(suffix.casefold()):
        return name
    return name + suffix


def _media_type(source: Any) -> str | None:
    texts = (_checked_media_type(read_text(source, key)) for key in _MEDIA_TYPE_KEYS)
    return next((text for text in texts if text), None)


def _checked_media_type(text: str | None) -> str | None:
    return text if text and _MEDIA_TYPE.fullmatch(text) and not text.lower().startswith(_TEAMS) else None


def headers_of(source: Any) -> Mapping[str, str]:
    """Return the headers of a mapping.

    An object with a URL may be a response, whose headers must not be sent.

    Raises:
        TypeError: if they do not map text to text.
        ValueError: if one of them cannot be sent.
    """
    headers = read(source, "headers") if isinstance(source, Mapping) else None
    if not isinstance(headers, Mapping):
        return _NO_HEADERS
    try:
        own = dict(headers)
    except Exception:  # noqa: BLE001  # a foreign mapping may raise anything
        own = {}
    return checked_headers(own)


_NO_HEADERS = checked_headers({})


def _claimed_kind(source: Any) -> Kind | None:
    claims = (read_text(source, key) for key in ("type", "kind"))
    return next((_KINDS[claim.lower()] for claim in claims if claim and claim.lower() in _KINDS), None)
