"""Real objects of a Discord library go through a stage: what is a file is staged, and nothing else disturbs.

The suite runs this with discord.py. `.ci/chats` runs it with each of the five libraries in an environment of its own,
since discord.py and py-cord are installed in the same place; STAGING_DISCORD then names the one that must be there.
"""

import importlib
import os
import types
import warnings
from unittest import mock

import anyio
import pytest

from staging import AttachmentStage, Skipped, StagedFile, UrlPolicy
from staging.testing import FakeCDN, assert_empty

WANTED = os.environ.get("STAGING_DISCORD", "discord.py")
MODULE = {"discord.py": "discord", "py-cord": "discord"}.get(WANTED, WANTED)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
OGG = b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead" + bytes(80)
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bytes(13)
USER = {"id": "1", "username": "ann", "global_name": None, "discriminator": "0", "avatar": None}


@pytest.fixture(scope="module")
def library():
    """The library under its own name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some import audioop or pkg_resources, which go away
        module = importlib.import_module(MODULE)
        if WANTED == "hikari":
            importlib.import_module("hikari.impl.entity_factory")
    if MODULE == "discord":  # two have this name
        assert module.__author__ == {"discord.py": "Rapptz", "py-cord": "Pycord Development"}[WANTED]
    return module


def message(library, data):
    """Return the library's own message for a payload of the gateway."""
    if WANTED == "hikari":
        return library.impl.EntityFactoryImpl(mock.MagicMock()).deserialize_message(data)
    return library.Message(state=mock.MagicMock(), channel=mock.MagicMock(id=4), data=data)


def attachment(library, data):
    """Return the library's own attachment, as a slash command's option has it."""
    if WANTED == "hikari":
        return library.impl.EntityFactoryImpl(mock.MagicMock())._deserialize_message_attachment(data)
    return library.Attachment(data=data, state=mock.MagicMock())


def payload(url, name, **more):
    return {"id": "7", "filename": name, "size": more.pop("size", len(PNG)), "url": url, "proxy_url": url, **more}


def message_payload(*attachments, **more):
    return {
        "id": "5", "type": 0, "channel_id": "4", "author": USER, "content": "", "attachments": list(attachments),
        "embeds": [], "mentions": [], "mention_roles": [], "mention_channels": [], "mention_everyone": False,
        "pinned": False, "tts": False, "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None, "flags": 0,
        "components": [], "sticker_items": [], "reactions": [], **more,
    }  # fmt: skip


class Stages:
    """A CDN, and what a stage made of the sources that it was given."""

    def __init__(self, root):
        self.root = root

    def __call__(self, make):
        """Return the outcomes for what `make` returns when it is given the CDN."""

        async def main():
            async with FakeCDN() as cdn:
                local = UrlPolicy.only(cdn.host, schemes=("http",), ports=(cdn.port,), private=True)
                async with AttachmentStage(self.root, policy=local) as stage:
                    await stage.download(make(cdn))
                    assert [path.is_file() for path in stage.paths] == [True] * len(stage.files)
                    return stage.outcomes

        return anyio.run(main)


@pytest.fixture
def staged(tmp_path):
    yield Stages(tmp_path)
    assert_empty(tmp_path)


def names(outcomes):
    return [(type(outcome).__name__, outcome.name) for outcome in outcomes]


def test_a_message_gives_its_attachments_with_their_claims(library, staged):
    (file,) = staged(
        lambda cdn: message(
            library,
            message_payload(payload(cdn.serve("/a.png", PNG), "a.png", content_type="image/png", description="a cat")),
        )
    )
    assert isinstance(file, StagedFile)
    assert (file.name, file.size, file.media_type) == ("a.png", len(PNG), "image/png")
    assert WANTED == "nextcord" or file.attachment.description == "a cat"


def test_a_forwarded_message_gives_what_it_forwards(library, staged):
    reference = {"type": 1, "message_id": "41", "channel_id": "51"}
    outcomes = staged(
        lambda cdn: message(
            library,
            message_payload(
                payload(cdn.serve("/1.png", PNG), "1.png"),
                message_reference=reference,
                message_snapshots=[{"message": message_payload(payload(cdn.serve("/2.png", PNG), "2.png"))}],
            ),
        )
    )
    assert names(outcomes) == [("StagedFile", "1.png"), ("StagedFile", "2.png")]


def test_a_reply_gives_the_files_of_the_message_that_it_replies_to(library, staged):
    def reply(cdn):
        earlier = message_payload(payload(cdn.serve("/earlier.png", PNG), "earlier.png"))
        data = message_payload(
            payload(cdn.serve("/mine.png", PNG), "mine.png"),
            type=19, message_reference={"message_id": "5", "channel_id": "4"}, referenced_message=earlier,
        )  # fmt: skip
        return message(library, data)

    def both(cdn):
        sent = reply(cdn)
        return [sent, sent.referenced_message if WANTED == "hikari" else sent.reference.resolved]

    expected = [("StagedFile", "mine.png"), ("StagedFile", "earlier.png")]
    assert names(staged(reply)) == expected
    assert names(staged(both)) == expected


def test_a_reply_to_a_deleted_message_gives_its_own_files(library, staged):
    def reply(cdn):
        data = message_payload(
            payload(cdn.serve("/a.png", PNG), "a.png"),
            type=19, message_reference={"message_id": "5", "channel_id": "4"}, referenced_message=None,
        )  # fmt: skip
        return message(library, data)

    assert names(staged(reply)) == [("StagedFile", "a.png")]


def test_pictures_and_files_in_components_are_files(library, staged):
    """Version 2 of components: https://docs.discord.com/developers/components/reference."""
    if WANTED == "nextcord":
        pytest.skip("it knows version 1 only")

    def shown(cdn):
        one, two, three, four = (media(cdn.serve(f"/{n}.png", PNG)) for n in (1, 2, 3, 4))
        components = [
            {"type": 12, "id": 1, "items": [{"media": one, "description": None}, {"media": two, "spoiler": False}]},
            {"type": 17, "id": 2, "components": [
                {"type": 13, "id": 3, "file": three, "name": "3.png", "size": len(PNG), "spoiler": False},
                {"type": 9, "id": 4, "components": [{"type": 10, "id": 5, "content": "x"}],
                 "accessory": {"type": 11, "id": 6, "media": four, "description": None, "spoiler": False}},
            ]},
        ]  # fmt: skip
        attached = payload(two["url"], "2.png")  # an attachment is shown again
        return message(library, message_payload(attached, components=components, flags=1 << 15))

    assert names(staged(shown)) == [("StagedFile", f"{n}.png") for n in (2, 1, 3, 4)]


def media(url):
    return {"url": url, "proxy_url": url, "width": 1, "height": 1, "content_type": "image/png", "loading_state": 2}


def test_a_voice_message_is_a_file(library, staged):
    (file,) = staged(
        lambda cdn: message(
            library,
            message_payload(
                payload(
                    cdn.serve("/voice-message.ogg", OGG), "voice-message.ogg", content_type="audio/ogg",
                    duration_secs=3.5, waveform="AAAA", size=len(OGG),
                ),
                flags=1 << 13,
            ),
        )
    )  # fmt: skip
    assert (file.name, file.attachment.kind, file.size) == ("voice-message.ogg", "audio", len(OGG))


def test_an_ephemeral_attachment_of_a_slash_command_is_a_file(library, staged):
    (file,) = staged(
        lambda cdn: attachment(
            library,
            payload(
                cdn.serve("/ephemeral-attachments/1/2/a.png", PNG), "a.png", content_type="image/png", ephemeral=True
            ),
        )
    )
    assert (file.name, file.media_type) == ("a.png", "image/png")


def test_a_picture_that_the_proxy_has_converted_is_what_it_is(library, staged):
    """`?format=webp` gives another type under the old name."""
    (file,) = staged(
        lambda cdn: attachment(library, payload(cdn.serve("/a.png", WEBP) + "?format=webp", "a.png", size=len(WEBP)))
    )
    assert (file.name, file.media_type) == ("a.png", "image/webp")


def test_a_sticker_of_a_message_is_a_file_and_a_poll_is_none(library, staged):
    """The sticker's URL is Discord's own, and here the policy refuses it."""
    poll = {
        "question": {"text": "Which?"}, "answers": [{"answer_id": 1, "poll_media": {"text": "This"}}],
        "expiry": "2026-01-02T00:00:00+00:00", "allow_multiselect": False, "layout_type": 1,
    }  # fmt: skip
    sticker = {"id": "5", "name": "Wave", "format_type": 1}
    outcomes = staged(
        lambda cdn: message(
            library, message_payload(payload(cdn.serve("/a.png", PNG), "a.png"), poll=poll, sticker_items=[sticker])
        )
    )
    assert names(outcomes) == [("StagedFile", "a.png"), ("Failure", "Wave.png")]
    assert outcomes[1].reason == "not_allowed"


def test_stickers_are_files_when_they_are_given(library, staged, monkeypatch):
    """Their URLs are Discord's own, so the policy decides."""
    sent = message(library, message_payload(sticker_items=[{"id": "5", "name": "Wave", "format_type": 1}]))
    (refused,) = staged(lambda _: sent.stickers)
    assert refused.attachment.url in {f"https://{host}/stickers/5.png" for host in UrlPolicy.discord().hosts}
    assert refused.reason == "not_allowed"


def test_an_embed_is_skipped(library, staged):
    embeds = [{"type": "rich", "title": "News", "url": "https://example.com/news"}]
    sent = message(library, message_payload(embeds=embeds))
    for source in (sent.embeds, sent, [sent, sent.embeds]):
        (skipped,) = staged(lambda _, source=source: source)
        assert isinstance(skipped, Skipped)
        assert (skipped.reason, skipped.name) == ("embed", "News")


def sound(library):
    """Return the library's own sound; nextcord and hikari know none, and a payload has no URL."""
    data = {"sound_id": "106", "name": "quack", "volume": 1.0, "emoji_id": None, "emoji_name": "x", "available": True}
    if WANTED == "discord.py":
        return library.SoundboardDefaultSound(state=mock.MagicMock(), data=data)
    if WANTED == "py-cord":
        return library.SoundboardSound(state=mock.MagicMock(), http=mock.MagicMock(), data=data).file
    if WANTED == "disnake":
        return library.SoundboardSound(data=data, state=mock.MagicMock())
    return types.SimpleNamespace(url="https://cdn.discordapp.com/soundboard-sounds/106", name="quack")


def test_a_sound_of_the_soundboard_is_a_file_when_it_is_given(library, staged):
    (refused,) = staged(lambda _: sound(library))
    assert refused.attachment.url.startswith("https://cdn.discordapp.com/soundboard-sounds/106")
    assert refused.name == ("106" if WANTED == "py-cord" else "quack")  # py-cord's has a file, and that has no name
    assert refused.reason == "not_allowed"
