"""Read parts that wrap their file: a model's content parts, the payloads of some chats.

The URL, or the bytes in base64, lie one mapping deeper than the part's own claims.
"""

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from staging._text import is_data_url

_HOLDERS = (
    "image_url", "file", "input_audio",  # https://platform.openai.com/docs/api-reference/chat/create
    "source",  # https://docs.claude.com/en/api/messages
    "inline_data", "inlineData", "file_data", "fileData",  # https://ai.google.dev/api/caching#Part
    "resource",  # https://modelcontextprotocol.io/specification, EmbeddedResource
    "payload",  # https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messages
    "contentProvider",  # https://developers.line.biz/en/reference/messaging-api/#wh-image
    "slack_file", "external", "data",  # Slack's image block, Notion, OneBot
    "image", "video", "audio", "voice", "document", "sticker",  # WhatsApp: what it is, and what is known of it
    "info",  # https://spec.matrix.org/latest/client-server-api/#mimage
)  # fmt: skip
_LISTS = ("attachments", "files", "message_snapshots", "attachment")  # a message, which its own lists describe
_BASE64 = ("data", "blob", "bytes", "file_data", "contentBytes")


def unwrapped(source: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the claims of a part, and behind them those of what it wraps."""
    if any(isinstance(source.get(key), list) for key in _LISTS):
        return source
    wrapped = [dict(inner) for key in _HOLDERS if isinstance(inner := source.get(key), Mapping)]
    return ChainMap(dict(source), *wrapped) if wrapped else source


def data_url(claims: Mapping[Any, Any], media_type: str | None) -> str | None:
    """Return the base64 of a part as a ``data:`` URL, or None.

    Text without a type is no file.
    """
    sound = claims.get("format")  # of OpenAI's `input_audio`
    media_type = media_type or (f"audio/{sound}" if isinstance(sound, str) else None)
    for key in _BASE64:
        if isinstance(text := claims.get(key), str) and text:
            if is_data_url(text):
                return text
            if media_type:
                return f"data:{media_type};base64,{text}"
    return None
