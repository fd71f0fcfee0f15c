"""Intake: whatever a chat library calls an attachment becomes our value, in order; absurd claims are ignored."""

import collections
import decimal
import enum
import inspect
import io
import itertools
import os
import types
import warnings
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import httpx
import pytest

from staging._claims.intake import intake, unusable
from staging._models import Attachment

CDN = "https://cdn.discordapp.com/attachments/1/2/"
STICKERS = "https://cdn.discordapp.com/stickers/"
HUGE = pytest.param(10**5000, id="huge")  # Python refuses to print it


def payload(filename="a.png", **more):
    """An attachment as Discord's gateway sends it."""
    return {
        "id": "11",
        "filename": filename,
        "size": 1234,
        "url": CDN + filename + "?ex=66&is=65&hm=5ec2e7&",
        "proxy_url": "https://media.discordapp.net/attachments/1/2/" + filename + "?ex=66&is=65&hm=5ec2e7&",
        **more,
    }


def message_payload(*attachments, forwarded=(), **more):
    """A message as the gateway sends it, with the attachments of each forwarded message."""
    message = {
        "id": "21", "type": 0, "content": "", "embeds": [], "attachments": list(attachments), "channel_id": "31",
        "edited_timestamp": None, "timestamp": "2026-01-01T00:00:00+00:00", "pinned": False, "mention_everyone": False,
        "tts": False, "mentions": [], "mention_roles": [], "flags": 0, "components": [], **more,
    }  # fmt: skip
    if forwarded:
        message["message_reference"] = {"type": 1, "message_id": "41", "channel_id": "51"}
        message["message_snapshots"] = [{"message": message_payload(*each)} for each in forwarded]
    return message


def only(*sources):
    """The one attachment that the sources make."""
    (attachment,) = intake(*sources)
    return attachment


def names(*sources):
    return [attachment.name for attachment in intake(*sources)]


def optional(name):
    """A library, or a skip where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # discord.py imports audioop, nextcord pkg_resources: both go away
        return pytest.importorskip(name)


@pytest.fixture
def discord():
    """discord.py, or py-cord where that took its place; not the alias of the same name that nextcord installs."""
    module = optional("discord")
    if not module.Attachment.__module__.startswith("discord."):
        pytest.skip("this `discord` is nextcord's")
    return module


@pytest.fixture
def state():
    """A stand-in for the connection that discord.py's objects hold on to: nothing offline asks it anything."""
    return mock.MagicMock()


# discord.py: the real classes, built offline


def test_a_discord_attachment_gives_all_its_claims(discord, state):
    source = discord.Attachment(
        data=payload(content_type="image/png", description="a cat", ephemeral=True), state=state
    )
    attachment = only(source)
    assert attachment == Attachment(
        CDN + "a.png?ex=66&is=65&hm=5ec2e7&",
        name="a.png",
        kind="image",
        media_type="image/png",
        size=1234,
        description="a cat",
    )
    assert attachment.source is source
    assert dict(attachment.headers) == {}


def test_a_discord_voice_message_is_audio(discord, state):
    data = payload("voice-message.ogg", content_type="audio/ogg", duration_secs=3.5, waveform="AAAA")
    assert only(discord.Attachment(data=data, state=state)).kind == "audio"


def test_a_discord_title_is_the_name_before_discord_made_it_ascii(discord, state):
    data = payload("c953b519a8c28c42.pdf", title="8월 추천 여행지")
    assert only(discord.Attachment(data=data, state=state)).name == "8월 추천 여행지.pdf"


def test_a_discord_message_is_its_attachments_then_those_of_its_forwarded_snapshots(discord, state):
    data = message_payload(
        payload("1.png"), payload("2.png"), forwarded=[[payload("3.png"), payload("4.png")], [], [payload("5.png")]]
    )
    message = discord.Message(state=state, channel=mock.MagicMock(), data=data)
    assert names(message) == ["1.png", "2.png", "3.png", "4.png", "5.png"]
    assert [attachment.source for attachment in intake(message)][:2] == message.attachments
    assert names(message.attachments) == ["1.png", "2.png"]


def test_a_discord_message_without_attachments_gives_none(discord, state):
    assert intake(discord.Message(state=state, channel=mock.MagicMock(), data=message_payload())) == []


@pytest.mark.parametrize(
    ("form", "url", "kind"),
    [
        (1, STICKERS + "5.png", "image"),
        (2, STICKERS + "5.png", "image"),
        (3, STICKERS + "5.json", "file"),
        (4, "https://media.discordapp.net/stickers/5.gif", "image"),
    ],
)
def test_a_sticker_that_is_given_is_a_file_to_download(discord, state, form, url, kind):
    data = {"id": "5", "name": "Wave", "format_type": form}
    extension = url[-4:].lstrip(".")
    for source in (discord.StickerItem(data=data, state=state), data, types.SimpleNamespace(**data)):
        attachment = only(source)
        assert (attachment.url, attachment.kind, attachment.name) == (url, kind, f"Wave.{extension}")


def test_a_sticker_needs_a_number_and_a_format_to_have_a_url():
    for data in ({"id": "../5", "format_type": 1}, {"id": "5\n", "format_type": 1}, {"id": "5"}, {"format_type": 1}):
        assert only(data).url == ""
    assert only({"id": 5, "format_type": 99}).url == STICKERS + "5.png"


def test_a_message_brings_its_stickers_and_names_its_embeds(discord, state):
    """What an embed shows is behind a link that the sender pasted, and a link is no download."""
    data = message_payload(
        payload("1.png"),
        embeds=[{"type": "rich", "title": "News", "url": "https://example.com"},
                {"type": "image", "url": CDN + "2.png", "thumbnail": {"url": CDN + "2.png"}}],
        sticker_items=[{"id": "5", "name": "Wave", "format_type": 1}],
    )  # fmt: skip
    message = discord.Message(state=state, channel=mock.MagicMock(), data=data)
    for source in (data, message, [message, message.embeds]):
        assert [(each.name, each.kind) for each in intake(source)] == [
            ("1.png", "image"), ("Wave.png", "image"), ("News", "embed"), (None, "embed"),
        ]  # fmt: skip
        assert intake(source)[3].url == CDN + "2.png"
    assert names(message, message.stickers) == ["1.png", "News", None, "Wave.png"]


def test_a_message_of_stickers_alone_is_its_stickers():
    sticker = {"id": "123", "name": "wave", "format_type": 1}
    assert only(message_payload(sticker_items=[sticker])).url == STICKERS + "123.png"
    assert only(message_payload(stickers=[sticker])).name == "wave.png"
    assert names(message_payload(sticker_items=[sticker], stickers=[sticker])) == ["wave.png"]


def test_a_reply_brings_the_files_of_the_message_that_it_replies_to():
    """Bots that looked at the reply alone: https://github.com/NousResearch/hermes-agent/issues/44724."""
    first = message_payload(payload("0.png"))
    earlier = message_payload(payload("1.png"), embeds=[{"type": "rich"}], referenced_message=first)
    data = message_payload(payload("2.png"), type=19, referenced_message=earlier)
    resolved = types.SimpleNamespace(attachments=earlier["attachments"])
    message = types.SimpleNamespace(attachments=data["attachments"], reference=types.SimpleNamespace(resolved=resolved))
    assert names(data) == names(message) == ["2.png", "1.png"]
    assert names(message, resolved) == names([message, [resolved]]) == ["2.png", "1.png"]  # what is given counts once
    assert names(message, earlier["attachments"], message) == ["2.png", "1.png", "2.png"]
    message.reference.resolved = None
    assert names(message) == ["2.png"]


def test_a_forward_without_snapshots_is_the_message_that_it_refers_to():
    reference = {"type": 1, "message_id": "9"}
    referenced = message_payload(payload("1.png"))
    assert names(message_payload(message_reference=reference, referenced_message=referenced)) == ["1.png"]
    forward = message_payload(forwarded=[[payload("2.png")]], referenced_message=referenced)
    assert names(forward) == ["2.png"]


def test_pictures_in_components_are_files_of_a_message():
    """A message of components has no other lists: https://docs.discord.com/developers/components/reference."""
    gallery = {"type": 12, "items": [{"media": {"url": CDN + "1.png?ex=2", "content_type": "image/png"}}, {"media": 7}]}
    thumbnail = {"type": 11, "media": {"url": CDN + "2.png"}}
    section = {"type": 9, "components": [{"type": 10, "content": "x"}], "accessory": thumbnail}
    button = {"type": 2, "style": 5, "url": "https://example.com", "label": "x"}
    file = {"type": 13, "file": {"url": CDN + "3.pdf"}, "name": "3.pdf", "size": 7}
    row = {"type": 1, "components": [button]}
    container = {"type": 17, "components": [section, row, {"type": 17, "components": [gallery, file]}]}
    found = intake(message_payload(components=[container]))
    assert [each.url for each in found] == [CDN + "2.png", CDN + "1.png?ex=2", CDN + "3.pdf"]
    assert names(message_payload(payload("1.png"), components=[gallery])) == ["1.png"]
    for _ in range(9):
        container = {"type": 17, "components": [container]}
    assert intake(message_payload(components=[container])) == []


def test_an_embed_is_never_a_download_and_needs_no_url(discord):
    for source in (
        discord.Embed(title="News", url="https://example.com/news?s=1"),
        discord.Embed(title="News"),
        {"type": "rich", "title": "News"},
        {"type": "article", "title": "News", "url": "https://example.com/a.png"},
        {"type": "embed", "title": "News", "url": "https://example.com/a.png"},
        {"type": "gifv", "title": "News", "url": "https://example.com/a.gif"},
    ):
        attachment = only(source)
        assert (attachment.kind, attachment.name) == ("embed", "News")
        assert unusable(attachment) is None
    assert only(discord.Embed(title="News")).url == ""
    hikari_embed = type("Embed", (), {"title": "News", "url": "https://example.com/a.png"})  # it has no type
    assert only(hikari_embed()).kind == "embed"


def test_a_gateway_payload_reads_like_the_object(discord, state):
    data = payload(content_type="image/png", description="a cat", title="Ä")
    assert only(data) == only(discord.Attachment(data=data, state=state))
    assert only(data).source is data
    message = message_payload(payload("1.png"), forwarded=[[payload("2.png")]])
    assert names(message) == names(discord.Message(state=state, channel=mock.MagicMock(), data=message))


# The other libraries: their real classes where they are installed, and stand-ins with their attributes where not


def test_a_disnake_message_reads_like_discords():
    disnake = optional("disnake")
    data = message_payload(payload("1.png", title="Ä"), forwarded=[[payload("2.png")]])
    data["author"] = {"id": "1", "username": "u", "discriminator": "0", "avatar": None}
    message = disnake.Message(state=mock.MagicMock(), channel=mock.MagicMock(), data=data)
    assert names(message) == ["Ä.png", "2.png"]
    assert only(message.attachments) == only(payload("1.png", title="Ä"))


def test_a_nextcord_attachment_reads_like_discords():
    nextcord = optional("nextcord")
    data = payload(content_type="image/png", description="a cat")
    assert only(nextcord.Attachment(data=data, state=mock.MagicMock())) == only(data)


def test_a_hikari_message_reads_like_discords():
    hikari = optional("hikari")
    optional("hikari.impl.entity_factory")
    factory = hikari.impl.EntityFactoryImpl(mock.MagicMock())
    data = message_payload(payload("1.png", content_type="image/png", title="Ä"), forwarded=[[payload("2.png")]])
    data["author"] = {"id": "1", "username": "u", "discriminator": "0", "avatar": None}
    message = factory.deserialize_message(data)
    assert names(message) == ["Ä.png", "2.png"]
    assert only(message.attachments) == only(data["attachments"])
    assert intake(types.SimpleNamespace(attachments=hikari.undefined.UNDEFINED)) == []
    assert only(hikari.files.URL(CDN + "a.png")).url == CDN + "a.png"


class PycordAttachment:
    __slots__ = ("content_type", "description", "duration_secs", "ephemeral", "filename", "size", "title", "url")


class DisnakeAttachment:
    __slots__ = ("content_type", "description", "duration", "ephemeral", "filename", "size", "title", "url")


class NextcordAttachment:
    __slots__ = ("content_type", "description", "filename", "size", "url")


class HikariAttachment:
    __slots__ = ("description", "duration", "filename", "is_ephemeral", "media_type", "size", "title", "url")


LIBRARIES = [PycordAttachment, DisnakeAttachment, NextcordAttachment, HikariAttachment]


def build(cls, **values):
    """Fill a stand-in: what it has no slot for is left out, what is not given is None."""
    made = cls()
    for slot in cls.__slots__:
        setattr(made, slot, values.get(slot))
    return made


@pytest.mark.parametrize("cls", LIBRARIES)
def test_every_librarys_attachment_gives_the_same_claims(cls):
    values = {
        "url": CDN + "a.ogg", "filename": "a.ogg", "size": 7, "content_type": "audio/ogg", "media_type": "audio/ogg",
        "description": "a song", "duration": 1.5, "duration_secs": 1.5, "ephemeral": True, "is_ephemeral": True,
    }  # fmt: skip
    expected = Attachment(
        CDN + "a.ogg", name="a.ogg", kind="audio", media_type="audio/ogg", size=7, description="a song"
    )
    assert only(build(cls, **values)) == expected


@pytest.mark.parametrize("cls", LIBRARIES)
def test_every_librarys_attachment_may_lack_everything_but_the_url(cls):
    assert only(build(cls, url=CDN + "a")) == Attachment(CDN + "a")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda attachments: types.SimpleNamespace(message_snapshots=[types.SimpleNamespace(attachments=attachments)]),
        lambda attachments: types.SimpleNamespace(
            snapshots=[types.SimpleNamespace(message=types.SimpleNamespace(attachments=attachments))]
        ),
    ],
    ids=["disnake and hikari", "py-cord"],
)
def test_forwards_are_found_in_every_librarys_message(wrap):
    message = wrap([build(HikariAttachment, url=CDN + "a", filename="2.png")])
    message.attachments = [build(HikariAttachment, url=CDN + "a", filename="1.png")]
    assert names(message) == ["1.png", "2.png"]


def test_a_partial_message_that_was_not_told_its_attachments_has_none():
    """In hikari a sentinel stands there, which is neither None nor iterable."""
    assert intake(types.SimpleNamespace(attachments=object(), message_snapshots=object())) == []
    assert intake({"attachments": None, "message_snapshots": None}) == []


# Mappings of other chats


def test_a_slack_file_is_downloaded_from_its_private_download_url():
    attachment = only({
        "id": "F1", "name": "notes.txt", "title": "My notes", "mimetype": "text/plain", "filetype": "text",
        "type": "text", "size": 42, "url_private": "https://files.slack.com/files-pri/T1-F1/notes.txt",
        "url_private_download": "https://files.slack.com/files-pri/T1-F1/download/notes.txt", "alt_txt": "Notes",
        "headers": {"Authorization": "Bearer xoxb-1"},
    })  # fmt: skip
    assert attachment == Attachment(
        "https://files.slack.com/files-pri/T1-F1/download/notes.txt",
        name="notes.txt",
        media_type="text/plain",
        size=42,
        description="Notes",
        headers={"Authorization": "Bearer xoxb-1"},
    )
    assert only({"url_private": "https://files.slack.com/x", "title": "T"}) == Attachment(
        "https://files.slack.com/x", name="T"
    )


def test_a_telegram_file_is_downloaded_if_its_path_is_a_url():
    file = {"file_id": "x", "file_name": "a.mp4", "mime_type": "video/mp4", "file_size": 9}
    assert only(file | {"file_path": "https://tg.example/file/a.mp4"}) == Attachment(
        "https://tg.example/file/a.mp4", name="a.mp4", kind="video", media_type="video/mp4", size=9
    )
    relative = only(file | {"file_path": "videos/file_1.mp4"})
    assert (relative.url, relative.name) == ("", "a.mp4")
    assert "api.telegram.org/file/bot" in unusable(relative).hint
    assert only({"file_id": "x", "file_path": "videos/file_1.mp4"}).name == "file_1.mp4"


SLACK = "https://files.slack.com/files-pri/T1-F2/a.png"


def test_a_slack_message_is_its_files_and_names_the_previews_of_its_links():
    file = {"id": "F2", "name": "a.png", "url_private": SLACK, "mode": "hosted"}
    preview = {"fallback": "Example", "title": "Example", "title_link": "https://example.com", "id": 1}
    message = {"type": "message", "text": "see", "files": [file, {"id": "F1", "mode": "tombstone"}]}
    good, gone, link = intake(message | {"attachments": [preview]})
    assert (good.url, good.name) == (SLACK, "a.png")
    assert (link.kind, link.name, link.url) == ("embed", "Example", "https://example.com")
    assert unusable(gone).detail == "the file was deleted"
    assert intake({"type": "message", "text": "nothing"}) == []
    assert only({"type": "message", "text": "a link", "attachments": [preview]}).kind == "embed"


def test_a_slack_message_that_was_shared_gives_its_files():
    """A shared message lies among the attachments: https://docs.slack.dev/reference/events/message."""
    shared = {
        "is_msg_unfurl": True, "is_share": True, "fallback": "[May 1st] ann: see", "from_url": "https://x.slack.com/a",
        "files": [{"id": "F2", "name": "a.png", "url_private": SLACK, "mode": "hosted"}],
    }  # fmt: skip
    assert only({"type": "message", "text": "", "attachments": [shared]}).url == SLACK
    without = {"type": "message", "text": "", "attachments": [shared | {"files": []}, {"fallback": "x"}]}
    assert [each.kind for each in intake(without)] == ["embed"]


TEAMS = {"contentType": "application/vnd.microsoft.teams.file.download.info", "name": "a.png"}


def test_a_teams_file_is_downloaded_from_the_link_that_needs_no_sign_in():
    content = {"downloadUrl": "https://contoso.example/a?tempauth=1", "uniqueId": "1", "fileType": "png"}
    for source in (
        TEAMS | {"contentUrl": "https://contoso.sharepoint.com/a.png", "content": content},
        types.SimpleNamespace(
            content_type=TEAMS["contentType"], content_url="https://contoso.sharepoint.com/a.png", name="a.png",
            content=content, thumbnail_url=None,
        ),
    ):  # fmt: skip
        expected = Attachment("https://contoso.example/a?tempauth=1", name="a.png", kind="image")
        assert only(source) == expected
    inline = {"contentType": "image/png", "contentUrl": "https://smba.example/v3/attachments/1/views/original"}
    assert only(inline) == Attachment(inline["contentUrl"], kind="image", media_type="image/png")
    assert only({"contentType": "image/*", "contentUrl": "https://smba.example/1"}).media_type is None


def test_a_part_of_a_teams_message_that_is_no_file_is_skipped():
    text = {"contentType": "text/html", "content": "<p>hi</p>"}
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "content": {"body": []}}
    image = {"contentType": "image/png", "contentUrl": "https://smba.example/1"}
    message = {"type": "message", "attachments": [text, image, card]}
    assert [attachment.kind for attachment in intake(message)] == ["embed", "image", "embed"]
    assert [unusable(attachment) for attachment in intake(message)] == [None] * 3
    assert only(types.SimpleNamespace(content_type="text/html", content="<p>", content_url=None)).kind == "embed"


def test_an_interaction_is_its_resolved_attachments():
    attachments = {"111": payload("1.png"), "222": payload("2.png")}
    data = {"name": "ask", "resolved": {"attachments": attachments, "users": {}}}
    interaction = {"id": "1", "application_id": "2", "type": 2, "data": data}
    by_hikari = types.SimpleNamespace(resolved=types.SimpleNamespace(attachments={111: payload("1.png")}))
    assert names(interaction) == names(types.SimpleNamespace(data=data)) == ["1.png", "2.png"]
    assert names(data) == names({"attachments": attachments}) == names(attachments.values()) == ["1.png", "2.png"]
    assert names(by_hikari) == names(by_hikari.resolved) == ["1.png"]
    assert intake(interaction | {"data": {"name": "ask"}}) == []
    of_a_message = {"target_id": "9", "resolved": {"messages": {"9": message_payload(payload("3.png"))}}}
    assert names(interaction | {"data": of_a_message}) == ["3.png"]
    assert intake(types.SimpleNamespace(application_id=2, resolved=None)) == []


def test_a_telegram_message_is_its_file_and_a_photo_its_largest_size():
    """The Bot API gives no link with a message: a programmer has to ask for one, and the log says how."""
    chat = {"message_id": 1, "chat": {"id": 2}, "date": 3}
    photo = [{"file_id": "s", "file_size": 1}, {"file_id": "l", "file_size": 2}]
    assert only(chat | {"photo": photo}).source["file_id"] == "l"
    document = {"file_id": "d", "file_name": "a.pdf", "mime_type": "application/pdf"}
    attachment = only(chat | {"document": document})
    assert attachment.name == "a.pdf"
    assert "get_file" in unusable(attachment).hint
    assert intake(chat | {"text": "hello"}) == []
    assert len(intake(chat | {"animation": document, "document": document})) == 1
    assert names(chat | {"text": "what is it?", "reply_to_message": chat | {"document": document}}) == ["a.pdf"]


def test_python_telegram_bots_objects():
    telegram = optional("telegram")
    url = "https://api.telegram.org/file/bot1:s3cret/photos/file_1.jpg"
    file = telegram.File("x", "y", file_size=9, file_path=url)
    assert only(file) == Attachment(url, kind="image", size=9)
    assert "s3cret" not in repr(only(file))
    photo = telegram.PhotoSize("x", "y", width=1, height=1)
    document = telegram.Document("x", "y", file_name="a.pdf", mime_type="application/pdf")
    for source, name in (
        (photo, None),
        (document, "a.pdf"),
        (telegram.File("x", "y", file_path="photos/1.jpg"), "1.jpg"),
    ):
        attachment = only(source)
        assert (attachment.url, attachment.name) == ("", name)
        assert unusable(attachment).detail == "there is no link to the file yet"
    assert "get_file" in unusable(only(photo)).hint
    message = telegram.Message(1, mock.sentinel.date, telegram.Chat(1, "private"), photo=(photo,))
    assert only(message).source is photo
    assert intake(telegram.Message(1, mock.sentinel.date, telegram.Chat(1, "private"), text="x")) == []


def test_aiograms_objects():
    aiogram = optional("aiogram.types")
    file = aiogram.File(file_id="x", file_unique_id="y", file_size=9, file_path="documents/a.pdf")
    document = aiogram.Document(file_id="x", file_unique_id="y", file_name="a.pdf", mime_type="application/pdf")
    for source in (file, document):
        attachment = only(source)
        assert (attachment.url, attachment.name) == ("", "a.pdf")
        assert unusable(attachment).detail == "there is no link to the file yet"
    assert "api.telegram.org/file/bot" in unusable(only(file)).hint
    chat = aiogram.Chat(id=1, type="private")
    assert only(aiogram.Message(message_id=1, date=0, chat=chat, document=document)).source is document
    assert intake(aiogram.Message(message_id=1, date=0, chat=chat, text="x")) == []


def test_a_model_of_pydantic_is_not_taken_apart():
    pydantic = optional("pydantic")

    class WithoutUrl(pydantic.BaseModel):
        link: str = "https://example.com/secret"
        where: Path = Path("/etc/passwd")

    class WithUrl(pydantic.BaseModel):
        url: pydantic.AnyUrl = pydantic.AnyUrl("https://example.com/a.png")
        name: str = "b.png"

    assert only(WithoutUrl()).url == ""
    assert unusable(only(WithoutUrl())).detail == "there is no link to a file"
    assert only(WithUrl()) == Attachment("https://example.com/a.png", name="b.png", kind="image")


def test_a_content_part_of_openai_is_its_image():
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    assert only(part) == Attachment("https://example.com/a.png", kind="image")


# Bytes, data: URLs, objects with read, paths


def test_bytes_are_their_own_data():
    data = b"hello"
    assert only(data).data is data
    assert (only(data).url, unusable(only(data))) == ("", None)
    for buffer in (bytearray(b"x"), memoryview(b"x")):
        assert only(buffer).source is buffer
        assert unusable(only(buffer)) is None


@pytest.mark.parametrize(
    ("url", "claims"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", {"media_type": "image/png", "kind": "image"}),
        ("DATA:text/plain;charset=utf-8,x", {"media_type": "text/plain;charset=utf-8"}),
        ("data:,x", {}), ("data:;base64,eA==", {}), ("data:x,y", {}),
        ("data:text/plain;name=a%20b.txt;base64,eA==", {"media_type": "text/plain;name=a%20b.txt", "name": "a b.txt"}),
    ],
)  # fmt: skip
def test_a_data_url_claims_its_type(url, claims):
    assert only(url) == Attachment(url, **claims)
    assert only({"url": url, "filename": "b.gif", "content_type": "image/gif"}) == Attachment(
        url, name="b.gif", kind="image", media_type="image/gif"
    )


def test_an_object_with_read_is_named_by_its_file_name(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        attachment = only(file)
        assert (attachment.name, attachment.kind, attachment.source) == ("a.pdf", "file", file)
        assert unusable(attachment) is None
    assert only(io.BytesIO(b"x")).name is None
    upload = types.SimpleNamespace(
        read=lambda size: b"", filename="a.png", name="field", content_type="image/png", size=7, headers={"A": "b"}
    )
    assert only(upload) == Attachment("", name="a.png", kind="image", media_type="image/png", size=7, source=upload)

    class FileField(NamedTuple):  # as aiohttp's
        name: str
        filename: str
        file: io.BytesIO
        content_type: str
        headers: dict[str, str]

    given = FileField("field", "a.png", io.BytesIO(b"x"), "image/png", {})
    assert only(given) == Attachment("", name="a.png", kind="image", media_type="image/png", source=given)


def test_a_file_that_is_open_as_text_is_refused_with_the_way_to_open_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    with path.open() as file:
        problem = unusable(only(file))
    assert problem.detail == "the file is open as text, not as bytes"
    assert "'rb'" in problem.hint


def test_a_path_is_taken_from_the_caller_and_never_from_a_mapping_or_a_message(tmp_path):
    path = tmp_path / "a.png"
    for source in (path, [path], [[(path,)]], {"x": path}.values()):
        attachment = only(source)
        assert (attachment.name, attachment.source, unusable(attachment)) == ("a.png", path, None)
    for source in (
        {"attachments": [path]}, {"files": [path]}, types.SimpleNamespace(attachments=[path]),
        [{"attachments": [[path]]}], {"message_snapshots": [{"message": {"attachments": [path]}}]},
        {"data": {"resolved": {"attachments": {"1": path}}}},
    ):  # fmt: skip
        attachment = only(source)
        assert attachment.name == "a.png"
        assert unusable(attachment).detail == "there is no link to a file"
    for source in ({"url": path}, {"path": path, "file": path}, {"url": os.fspath(path), "source": path}):
        assert not isinstance(only(source).source, os.PathLike)
    for text in (os.fspath(path), path.as_uri()):
        assert only(text).url == text  # a URL, which the policy refuses


def test_a_mapping_is_no_reader():
    source = {"read": lambda size: b"x", "name": "a"}
    assert unusable(only(source)).detail == "there is no link to a file"


# Kinds


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"type": "image", "content_type": "video/mp4", "filename": "a.mp3"}, "image"),  # the claim first
        ({"type": "AUDIO"}, "audio"),
        ({"kind": "video"}, "video"),
        ({"type": "url"}, "url"),
        ({"type": "link"}, "url"),
        ({"content_type": "video/mp4", "filename": "a.mp3"}, "video"),  # then the media type
        ({"type": "video/mp4", "filename": "a.mp3"}, "video"),
        ({"content_type": "application/octet-stream", "filename": "a.mp3"}, "audio"),  # which says nothing
        ({"type": "application/pdf", "filename": "a.mp3"}, "file"),
        ({"type": "mp4", "filename": "a.mp3"}, "audio"),  # then the extension; a Slack file type is no claim
        ({"filename": "photo"}, "image"),  # of the URL, if the name has none
        ({"type": 0, "content_type": 5}, "image"),
    ],
)
def test_the_kind_is_that_of_the_claim_else_of_the_media_type_else_of_the_extension(claims, kind):
    assert only({"url": "https://example.com/a/b.png?x=c.mp3", **claims}).kind == kind


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.com/a.png", "image"),
        ("https://example.com/a.PNG?x=b.mp3#c.mp3", "image"),
        ("https://example.com/page", "file"),
        ("https://example.com/", "file"),
        ("https://example.mov", "file"),  # a host, not a name
        ("https://u:p@example.mov?a/b", "file"),
        ("not a url", "file"),
    ],
)
def test_a_plain_url_is_a_thing_to_download(url, kind):
    assert only(url) == Attachment(url, kind=kind)
    assert only(url).source == url


# What may be given


def test_sources_come_back_in_order_however_they_are_nested():
    ready = Attachment("https://example.com/3", name="ready")
    sources = [
        "https://example.com/1",
        [{"url": "https://example.com/2"}, (ready, {"attachments": [{"url": "https://example.com/4"}]})],
        (f"https://example.com/{n}" for n in (5, 6)),
        collections.deque([types.SimpleNamespace(url="https://example.com/7")]),
        [], (), iter([]), {"attachments": []}, {}.values(),
        httpx.URL("https://example.com/8"),
    ]  # fmt: skip
    assert [a.url for a in intake(*sources)] == [f"https://example.com/{n}" for n in range(1, 9)]
    assert [a.url for a in intake(iter(sources[:2] + sources[3:]))] == [
        f"https://example.com/{n}" for n in (1, 2, 3, 4, 7, 8)
    ]
    assert intake(sources[1])[1] is ready
    assert intake() == intake([]) == []


def test_a_url_object_is_its_text():
    class AnyUrl:
        name = "not a claim"

        def __str__(self):
            return "https://example.com/a.png"

    class Url:
        __str__ = None

    assert "no link" in unusable(only(Url())).detail
    assert only({"url": Url(), "url_private": "https://example.com"}).url == "https://example.com"
    assert only(AnyUrl()) == Attachment("https://example.com/a.png", kind="image")
    assert only({"url": AnyUrl()}).url == "https://example.com/a.png"
    assert only(types.SimpleNamespace(url=httpx.URL("https://example.com/?a=b"))).url == "https://example.com/?a=b"


def test_text_of_a_subclass_becomes_plain_text():
    class Name(str, enum.Enum):  # noqa: UP042  # whose str() is "Name.A", unlike StrEnum's
        A = "a.png"

    class Url(str):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError("not asked")

    attachment = only({"url": Url("https://example.com"), "filename": Name.A})
    assert (type(attachment.url), attachment.url) == (str, "https://example.com")
    assert (type(attachment.name), attachment.name) == (str, "a.png")


def test_a_mock_of_an_attachment_has_only_the_claims_that_were_set():
    """People test their bots with mocks, where every other attribute is a mock too."""
    for cls in (mock.Mock, mock.MagicMock):
        attachment = cls(url="https://example.com/a.png", filename="b.png", title=cls())
        assert only(attachment) == Attachment("https://example.com/a.png", name="b.png", kind="image")
        assert names(cls(attachments=[attachment])) == ["b.png"]
        assert names(cls(attachments=[], message_snapshots=[cls(attachments=[attachment])])) == ["b.png"]


def test_an_attribute_that_raises_is_absent():
    class Raises:
        url = "https://example.com/a.png"

        def __getattr__(self, name):
            raise RuntimeError(name)

    class Hostile(collections.UserDict):
        def get(self, key, default=None):
            if key != "url":
                raise RuntimeError(key)
            return super().get(key, default)

    assert only(Raises()) == Attachment("https://example.com/a.png", kind="image")
    assert only(Hostile(url="https://example.com/a.png")) == Attachment("https://example.com/a.png", kind="image")


@pytest.mark.parametrize("junk", [None, "", "  \n", 5, -1, True, 1.5, float("nan"), b"x", [], {}, object(), HUGE])
def test_absurd_claims_are_ignored(junk):
    keys = (
        "filename", "name", "title", "content_type", "mimetype", "type", "kind", "description", "alt_text", "headers",
        "file_path", "format_type", "id",
    )  # fmt: skip
    expected = Attachment("https://example.com/x")
    assert only({"url": "https://example.com/x"} | dict.fromkeys(keys, junk)) == expected
    assert only(types.SimpleNamespace(url="https://example.com/x", **dict.fromkeys(keys, junk))) == expected


@pytest.mark.parametrize(
    ("size", "claimed"),
    [(0, 0), (7, 7), (2**63 - 1, 2**63 - 1), (-1, None), (2**63, None),
     pytest.param(10**5000, None, id="huge"), (True, None), (7.0, None),
     ("7", None), (b"7", None), ([7], None), (float("inf"), None)],
)  # fmt: skip
def test_a_claimed_size_is_a_whole_number_of_bytes_or_nothing(size, claimed):
    assert only({"url": "https://example.com", "size": size}).size == claimed


@pytest.mark.parametrize(
    ("media_type", "claimed"),
    [("text/plain; charset=utf-8", True), ("image/svg+xml", True), ("IMAGE/PNG", True), ("png", False),
     ("a/b/c", False), ("text/plain\nX: y", False), ("text/plain; a\r", False), ("te xt/plain", False),
     ("x/" + "y" * 500, False)],
)  # fmt: skip
def test_a_claimed_media_type_has_the_form_of_one_or_is_ignored(media_type, claimed):
    attachment = only({"url": "https://example.com", "content_type": media_type})
    assert attachment.media_type == (media_type if claimed else None)


@pytest.mark.parametrize(
    ("title", "filename", "name"),
    [
        ("Отчёт", "c9.pdf", "Отчёт.pdf"),
        ("Отчёт.PDF", "c9.pdf", "Отчёт.PDF"),
        ("v1.2 notes", "v1.2_notes.txt", "v1.2 notes.txt"),
        ("hello (world)", "hello_world", "hello (world)"),
        ("x", "Dr. No", "x"),
        ("x", ".profile", "x"),
        (None, "c9.pdf", "c9.pdf"),
        ("x", None, "x"),
        ("", "c9.pdf", "c9.pdf"),
    ],
)
def test_a_title_takes_the_extension_of_the_file_name(title, filename, name):
    assert only({"url": "https://example.com", "title": title, "filename": filename}).name == name


def test_headers_are_read_from_mappings_only():
    """An object with a URL may be a response, whose headers must not be sent to anybody."""
    headers = {"Authorization": "Bearer s3cret"}
    assert dict(only({"url": "https://example.com", "headers": headers}).headers) == headers
    assert dict(only(types.SimpleNamespace(url="https://example.com", headers=headers)).headers) == {}
    assert dict(only({"url": "https://example.com", "headers": list(headers.items())}).headers) == {}
    assert dict(only(httpx.Response(200, request=httpx.Request("GET", "https://example.com"))).headers) == {}


# What there is no file of


@pytest.mark.parametrize(
    ("source", "name", "detail"),
    [
        ("", None, "no link"), ("   ", None, "no link"), ({}, None, "no link"), ({"url": None}, None, "no link"),
        ({"url": ""}, None, "no link"), ({"url": " "}, None, "no link"), ({"filename": "a.png"}, "a.png", "no link"),
        ({"id": "0", "filename": "pending.png"}, "pending.png", "no link"), ({"url": 5, "name": "a"}, "a", "no link"),
        ({"url": b"https://example.com"}, None, "no link"), ({"url": ["https://example.com"]}, None, "no link"),
        (object(), None, "no link"), (types.SimpleNamespace(url=None, filename="a.png"), "a.png", "no link"),
        (types.SimpleNamespace(url=b"https://x"), None, "no link"),
        ({"id": "F1", "mode": "tombstone"}, None, "deleted"),
        ({"id": "F1", "mode": "hidden_by_limit", "name": "a.png"}, "a.png", "older than"),
        ({"id": "F1", "mode": "file_access", "file_access": "check_file_info"}, None, "another workspace"),
        ({"id": "F1", "file_access": "file_not_found", "title": "a"}, "a", "deleted"),
        ({"file_id": "x", "file_name": "a.mp4"}, "a.mp4", "no link to the file yet"),
        (io.StringIO("x"), None, "open as text"),
    ],
)  # fmt: skip
def test_what_has_no_file_is_one_attachment_that_says_why(source, name, detail):
    for given in (source, [source], {"attachments": [source]}):
        attachment = only(given)
        assert (attachment.url, attachment.name) == ("", name)
        problem = unusable(attachment)
        assert problem.reason == "invalid"
        assert detail in problem.detail


@pytest.mark.parametrize("source", [5, 1.5, True, float("nan"), 1j, HUGE, decimal.Decimal(1), int, print, len, io])
def test_a_number_a_class_and_a_function_can_be_no_source(source):
    with pytest.raises(TypeError, match="cannot be staged; give a URL, something that has one, bytes") as caught:
        intake("https://example.com", source)
    assert len(str(caught.value)) < 200
    nested = intake("https://example.com", [source], {"attachments": [source]})  # a platform put it there
    assert [bool(unusable(attachment)) for attachment in nested] == [False, True, True]


async def test_a_coroutine_and_an_async_generator_can_be_no_source():
    async def coroutine():
        return "https://example.com"

    async def generator():
        yield "https://example.com"

    for source in (coroutine(), generator(), coroutine):
        with pytest.raises(TypeError, match="cannot be staged"):
            intake(source)
        if inspect.iscoroutine(source):
            source.close()


@pytest.mark.parametrize(
    "nothing", [None, [None], [[None, ()]], {"attachments": [None]}, {"attachments": None}, (), {}.values()]
)
def test_none_is_nothing_at_any_depth(nothing):
    assert intake(nothing, None) == []
    assert len(intake("https://example.com", nothing)) == 1


def test_what_libraries_have_in_place_of_none_is_nothing(discord):
    reference = discord.MessageReference(message_id=1, channel_id=2)
    assert intake(discord.DeletedReferencedMessage(reference), discord.utils.MISSING) == []


def test_a_reason_names_the_source_on_one_short_line_without_secrets():
    hostile = {
        "proxy_url": "https://example.com/?hm=s3cret",
        "headers": {"Authorization": "s3cret"},
        "https://example.com/?s3cret\n": 1,
        "\u202e" * 500: 1,
        5: "s3cret",
    }
    hostile_type = type("Bad\nName" + "x" * 500, (), {"__repr__": lambda self: "s3cret"})
    for source in (hostile, hostile | {"url": 5}, hostile_type(), " \n" * 500, Path("s3cret")):
        problem = unusable(only({"attachments": [source]}))
        for text in (problem.detail, problem.hint):
            assert "s3cret" not in text
            assert text.isprintable()
            assert len(text) < 400
    assert "'proxy_url'" in unusable(only(hostile)).hint


def test_a_list_that_contains_itself_does_not_hang():
    cycle: list = ["https://example.com"]
    cycle += [cycle, cycle]
    message: dict = {"attachments": []}
    message["attachments"].append(message)
    letters = type("Letters", (), {"__iter__": lambda self: iter([self])})()
    for source in (cycle, message, letters):
        with pytest.raises(ValueError, match="nested more than 16 deep"):
            intake(source)


def test_an_iterable_that_raises_is_the_callers_to_see():
    with pytest.raises(ZeroDivisionError):
        intake(1 / n for n in itertools.repeat(0))


# Headers


@pytest.mark.parametrize("headers", [{"X-Y": "s3cret\nb"}, {"A B": "s3cret"}, {5: "s3cret"}, {"X": None}])
def test_headers_that_cannot_be_sent_are_not_left_out_in_silence(headers):
    attachment = only({"url": "https://example.com", "name": "a", "headers": headers})
    assert (attachment.url, attachment.name, dict(attachment.headers)) == ("https://example.com", "a", {})
    problem = unusable(attachment)
    assert problem.reason == "invalid"
    assert "headers" in problem.detail
    assert "s3cret" not in problem.detail
    assert unusable(only({"url": "https://example.com", "headers": {"X": "y"}})) is None
