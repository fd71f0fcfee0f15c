"""The neutral list: everything is in it or named with a reason, within the limits, the budgets and the time."""

import asyncio
import base64
import functools
import io
import logging
import pickle
import random
import re
import struct
import zlib
from dataclasses import FrozenInstanceError, fields, replace

import anyio
import openai
import PIL.Image
import pytest
from llm_stage import docx, failure, image, link, pdf, stage_of, staged_file
from test_llm_blocks import PRESETS, listing, media, raw

from staging import AttachmentStage, StageClosedError, StagedFile, llm
from staging._models import MB

pytestmark = pytest.mark.usefixtures("shared_converters")

PNG = image()
DOC = pdf("page")
OGG = b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead" + bytes(60)
MP4 = b"\0\0\0\x18ftypmp42" + bytes(12)
BLOB = bytes(range(256))
DOCX = docx()


def everything(folder):
    return stage_of(
        folder, ("a.txt", b"text"), ("i.png", PNG), ("d.pdf", DOC), ("v.ogg", OGG), ("v.mp4", MP4), ("z.bin", BLOB),
        ("d.docx", DOCX), ("empty.png", b""), ("cut.png", PNG[:20]), failure(), link(),
    )  # fmt: skip


@pytest.mark.parametrize("limits", PRESETS)
async def test_every_outcome_is_in_it_or_named_with_a_reason(limits, tmp_path):
    stage = everything(tmp_path)
    found = await llm.parts(stage, limits=limits)
    shown = {part.number for part in found}
    named = {each.number: each for each in found.unread}
    assert shown | named.keys() == set(range(1, 12))
    assert not shown & named.keys()
    for part in found:
        assert part.outcome is stage.outcomes[part.number - 1]
        assert isinstance(part.data, bytes)
        assert (part.name, bool(part.media_type)) == (part.outcome.name, True)
    for each in named.values():
        assert each.outcome is stage.outcomes[each.number - 1]
        assert each.reason
        assert "\n" not in each.reason
    assert [part.number for part in found] == sorted(part.number for part in found)


async def test_what_a_provider_takes_is_what_its_preset_says(tmp_path):
    stage = everything(tmp_path)
    kinds = {}
    for limits in (llm.ANTHROPIC, llm.COMPATIBLE, llm.GEMINI):
        kinds[limits] = [(part.number, type(part).__name__) for part in await llm.parts(stage, limits=limits)]
    common = [(1, "TextPart"), (2, "ImagePart"), (3, "DocumentPart"), (7, "TextPart")]
    assert kinds[llm.ANTHROPIC] == common
    assert kinds[llm.COMPATIBLE] == [*common[:2], (3, "TextPart"), common[3]]
    assert kinds[llm.GEMINI] == [*common[:3], (4, "AudioPart"), (5, "VideoPart"), common[3]]


async def test_the_notice_tells_the_person_what_was_not_read(tmp_path):
    """Of downloads and of files; a link is no loss, a second mention no second loss, and a hint is for programmers."""
    twice = staged_file(tmp_path, "v.ogg", OGG)
    found = await llm.parts(
        stage_of(tmp_path, ("a.txt", b"text"), twice, twice, failure(), link(), ("@all.png", PNG[:9]))
    )
    notice = found.notice()
    assert notice.startswith("3 of 5 attachments could not be used: v.ogg: audio∕ogg cannot be given to this model; ")
    assert "lost.png" in notice
    assert "＠all" in notice
    assert (await llm.parts(stage_of(tmp_path, ("a.txt", b"text"), link()))).notice() == ""


async def test_the_notice_tells_no_hint_of_a_programmer(tmp_path, monkeypatch):
    from test_llm_prompt import hide

    hide(monkeypatch, "pypdfium2", "pypdf", "openpyxl")
    found = await llm.parts(stage_of(tmp_path, ("r.pdf", DOC)), limits=llm.COMPATIBLE)
    assert "pip install" in found.unread[0].reason
    assert found.notice() == "1 of 1 attachments could not be used: r.pdf: it cannot be read here."


async def test_the_values_are_frozen_and_tell_little_in_a_repr(tmp_path):
    found = await llm.parts(stage_of(tmp_path, ("i.png", PNG), ("z.bin", BLOB)))
    with pytest.raises(FrozenInstanceError):
        found[0].name = "x"
    assert "data" not in repr(found[0])
    assert (len(found), found[:1], repr(found)) == (1, (found[0],), "<Parts: 1 parts, 1 unread>")


@pytest.mark.parametrize("name", llm.__all__)
def test_a_public_value_goes_through_pickle_by_its_public_name(name):
    value = getattr(llm, name)
    assert pickle.loads(pickle.dumps(value)) == value
    assert b"staging.llm._" not in pickle.dumps(value)


async def test_the_list_goes_through_pickle(tmp_path):
    """To another process, say, which has the provider's client."""
    found = await llm.parts(everything(tmp_path), limits=llm.GEMINI)
    again = pickle.loads(pickle.dumps(found))
    assert [*again] == [*found]
    assert (again.unread[:-2], again.notice()) == (found.unread[:-2], found.notice())
    assert await llm.gemini_parts(again) == await llm.gemini_parts(found)


async def test_the_same_files_give_the_same_list(tmp_path):
    stage = everything(tmp_path)
    first, second = await llm.parts(stage, limits=llm.GEMINI), await llm.parts(stage, limits=llm.GEMINI)
    assert list(first) == list(second)
    assert first.unread == second.unread


async def test_a_closed_stage_raises(tmp_path):
    stage = stage_of(tmp_path)
    stage.closed = True
    for hand_off in (llm.parts, llm.gemini_parts):
        with pytest.raises(StageClosedError):
            await hand_off(stage)


@pytest.mark.parametrize("hand_off", [llm.parts, llm.prompt, llm.anthropic_blocks, llm.gemini_parts, llm.uploaded])
@pytest.mark.parametrize("stage", [None, (), "text", AttachmentStage], ids=repr)
def test_what_is_no_stage_is_one_line(hand_off, stage):
    """Such as its files, which are where a stage belongs at first sight."""
    given = [openai.AsyncOpenAI(api_key="x")] if hand_off is llm.uploaded else []

    async def call():
        made = hand_off(stage, *given)
        await made

    with pytest.raises(TypeError, match=f"^stage must be an open AttachmentStage; this is {re.escape(repr(stage))}$"):
        asyncio.run(call())


# At every limit, and one over it


def once(test):
    """Run a coroutine test on one loop: what it looks at does not depend on which, and it converts pictures."""

    @functools.wraps(test)
    def run(*args, **names):
        anyio.run(functools.partial(test, *args, **names))

    return run


def png_of(width, height):
    """Return a PNG of one bit a pixel, without drawing it; an eighth is noise, since a flat one looks like a bomb."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = 1 + -(-width // 8)
    noise = random.Random(1)
    rows = b"".join(b"\0" + noise.randbytes(row // 8) + bytes(row - 1 - row // 8) for _ in range(height))
    head = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(rows, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def patches(picture):
    return -(-picture.width // 32) * -(-picture.height // 32)


SHAPES = {
    "ANTHROPIC": llm.anthropic_blocks,
    "ANTHROPIC_LONG": llm.anthropic_blocks,
    "BEDROCK": llm.anthropic_blocks,
    "OPENAI": llm.openai_blocks,
    "OPENAI_CHAT": llm.openai_chat_blocks,
    "COMPATIBLE": llm.openai_chat_blocks,
    "GEMINI": llm.gemini_parts,
}


def within(limits, blocks):
    """Fail unless what is sent is within the limits: what is counted here is what a provider counts."""
    pictures, total = [], 0
    for block in media(blocks):
        data = raw(block)
        total += len(data)
        if not data.startswith(b"%PDF"):
            with PIL.Image.open(io.BytesIO(data)) as picture:
                pictures.append(picture)
                assert len(data) <= limits.max_image_bytes
                assert PIL.Image.MIME[picture.format] in limits.image_types
                assert limits.max_image_patches is None or patches(picture) <= limits.max_image_patches
        else:
            assert len(data) <= limits.max_pdf_bytes
    side = limits.max_image_side if len(pictures) <= limits.many_images else limits.max_side_of_many
    assert all(max(picture.size) <= side for picture in pictures)
    assert len(pictures) <= limits.max_images
    assert total <= limits.max_request_bytes


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", SHAPES)
@once
async def test_a_pixel_at_and_over_the_side(preset, more, tmp_path):
    limits = replace(getattr(llm, preset), image_side=8000)
    content = png_of(limits.max_image_side + more, 9)
    blocks = await SHAPES[preset](stage_of(tmp_path, ("i.png", content)), limits=limits)
    within(limits, blocks)
    with PIL.Image.open(io.BytesIO(raw(media(blocks)[0]))) as picture:
        assert picture.width == limits.max_image_side
    assert (f"{limits.max_image_side + more:,} x 9" in listing(blocks)[0]) == bool(more), "the old size is told"


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", ["OPENAI", "OPENAI_CHAT", "COMPATIBLE"])
@once
async def test_a_patch_at_and_over_the_number(preset, more, tmp_path):
    """4,800 x 6,400 pixels are 30,000 patches."""
    limits = replace(getattr(llm, preset), image_side=8000)
    blocks = await SHAPES[preset](stage_of(tmp_path, ("i.png", png_of(4800 + more, 6400))), limits=limits)
    within(limits, blocks)
    with PIL.Image.open(io.BytesIO(raw(media(blocks)[0]))) as picture:
        assert (picture.size == (4800, 6400)) == (not more)
        assert patches(picture) > 29_000


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", SHAPES)
@once
async def test_a_picture_at_and_over_the_number(preset, more, tmp_path):
    limits = replace(getattr(llm, preset), max_images=3)
    stage = stage_of(tmp_path, *((f"{n}.png", PNG) for n in range(3 + more)))
    blocks = await SHAPES[preset](stage, limits=limits)
    within(limits, blocks)
    assert len(media(blocks)) == 3
    assert blocks[3]["text"].count("more than 3 images") == more


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", SHAPES)
@once
async def test_a_picture_at_and_over_the_number_of_many(preset, more, tmp_path):
    """Pages that are shown as pictures count; what is not sent does not."""
    limits = replace(getattr(llm, preset), pdf="images", many_images=3, max_side_of_many=40, max_images=4)
    stage = stage_of(tmp_path, ("i.png", png_of(60, 50)), ("d.pdf", pdf(*"ab"[: 1 + more])), ("j.png", png_of(60, 9)))
    blocks = await SHAPES[preset](stage, limits=limits)
    within(limits, blocks)
    assert len(media(blocks)) == 3 + more
    with PIL.Image.open(io.BytesIO(raw(media(blocks)[0]))) as picture:
        assert picture.width == (40 if more else 60)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", SHAPES)
@once
async def test_a_byte_at_and_over_a_pictures_bytes(preset, more, tmp_path):
    content = image("PNG", (60, 60), noise=True)
    limits = replace(getattr(llm, preset), max_image_bytes=len(content) - more)
    blocks = await SHAPES[preset](stage_of(tmp_path, ("i.png", content)), limits=limits)
    within(limits, blocks)
    assert (raw(media(blocks)[0]) == content) == (not more)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", [name for name in SHAPES if name != "COMPATIBLE"])
@once
async def test_a_page_and_a_byte_at_and_over_a_pdfs(preset, more, tmp_path):
    content = pdf(*"abcde")
    for change in ({"max_pdf_pages": 5 - more}, {"max_pdf_bytes": len(content) - more}):
        limits = replace(getattr(llm, preset), **change)
        blocks = await SHAPES[preset](stage_of(tmp_path, ("d.pdf", content)), limits=limits)
        assert len(media(blocks)) == 1 - more
        assert ("[page 5]\ne" in blocks[-1]["text"]) == bool(more), "its text is shown instead"


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("preset", SHAPES)
@once
async def test_a_byte_at_and_over_the_request(preset, more, tmp_path):
    content = image("PNG", (60, 60), noise=True)
    limits = replace(getattr(llm, preset), max_request_bytes=2 * len(content) - more, max_image_bytes=len(content))
    blocks = await SHAPES[preset](stage_of(tmp_path, ("i.png", content), ("j.png", content)), limits=limits)
    within(limits, blocks)
    assert sum(raw(block) == content for block in media(blocks)) == 2 - more


@pytest.mark.parametrize(("name", "content", "field"), [("v.ogg", OGG, "audio"), ("v.mp4", MP4, "video")])
@pytest.mark.parametrize("more", [0, 1])
@once
async def test_a_byte_at_and_over_a_sounds_and_a_videos(name, content, field, more, tmp_path):
    limits = replace(llm.GEMINI, max_file_bytes=len(content) - more)
    blocks = await llm.gemini_parts(stage_of(tmp_path, (name, content)), limits=limits)
    assert len(media(blocks)) == 1 - more
    assert ("too large" in listing(blocks)[0]) == bool(more)
    assert "not read within" not in listing(blocks)[0], "it was looked at, and has no text to be read instead"


@pytest.mark.parametrize("preset", SHAPES)
@once
async def test_a_large_picture_is_scaled_to_what_models_see(preset, tmp_path):
    limits = getattr(llm, preset)
    stage = stage_of(tmp_path, ("i.png", png_of(4000, 3000)))
    blocks = await SHAPES[preset](stage, limits=limits)
    with PIL.Image.open(io.BytesIO(raw(media(blocks)[0]))) as picture:
        assert max(picture.size) == limits.image_side
    assert "4,000 x 3,000" in listing(blocks)[0]


@once
async def test_another_providers_preset_breaks_nothing(tmp_path):
    """A shape without a block for sound names it, whatever the limits say."""
    blocks = await llm.anthropic_blocks(everything(tmp_path), limits=llm.GEMINI)
    assert {block["type"] for block in blocks} == {"image", "document", "text"}
    assert "'v.ogg': not shown" in blocks[2]["text"]


@pytest.mark.parametrize("hand_off", [llm.anthropic_blocks, llm.openai_blocks, llm.openai_chat_blocks])
@once
async def test_a_list_that_was_made_before_is_shown_as_it_is(hand_off, tmp_path):
    """So that its notice is there too, and nothing is read twice; what has no block is named."""
    stage = everything(tmp_path)
    parts = await llm.parts(stage, limits=llm.GEMINI)
    blocks = await hand_off(parts)
    assert await llm.gemini_parts(parts) == await llm.gemini_parts(stage)
    assert not any(block["type"] == "input_audio" and hand_off is llm.anthropic_blocks for block in blocks)
    listed = next(block["text"] for block in blocks if "text" in block)
    assert listed.count("\n") == len(stage.outcomes)
    assert "'v.mp4': not shown, video/mp4, 24 bytes (video/mp4 cannot be given to this model)" in listed


@once
async def test_a_pdf_goes_as_pictures_of_its_pages_where_that_is_asked_for(tmp_path):
    stage = stage_of(tmp_path, ("i.png", PNG), ("d.pdf", pdf(*"abcdef")))
    limits = replace(llm.COMPATIBLE, pdf="images")
    blocks = await llm.openai_chat_blocks(stage, limits=limits)
    assert [block["type"] for block in blocks] == ["image_url"] * 7 + ["text"]
    assert listing(blocks)[1] == "2. 'd.pdf': images 2 to 7 above (page 1 of 6; page 6 of 6)"
    blocks = await llm.openai_chat_blocks(stage, limits=replace(limits, max_images=4))
    assert len(media(blocks)) == 4
    assert listing(blocks)[1].endswith("(page 1 of 6; page 2 of 6; page 3 of 6; the pages after it are not shown)")


@once
async def test_documents_go_as_files_where_that_is_asked_for(tmp_path):
    limits = replace(llm.OPENAI, document_types=llm.OPENAI_DOCUMENTS)
    (block, _) = await llm.openai_blocks(stage_of(tmp_path, ("notes", DOCX)), limits=limits)
    assert block["filename"] == "notes.docx"
    assert base64.b64decode(block["file_data"].partition(",")[2]) == DOCX


# Limits that are nonsense


@pytest.mark.parametrize("field", [field.name for field in fields(llm.ProviderLimits)])
@pytest.mark.parametrize("value", [-1, 1.5, "text", True, None, [5], float("nan")])
def test_nonsense_is_refused_at_construction_by_the_name_of_the_field(field, value):
    if [field, value] in [["moving_gif", True], ["max_image_patches", None], ["pdf", "text"]]:
        return
    with pytest.raises(ValueError, match=field) as raised:
        replace(llm.ANTHROPIC, **{field: value})
    assert "\n" not in str(raised.value)


def test_a_conversation_that_holds_pictures_already_is_a_replacement():
    assert replace(llm.ANTHROPIC, max_images=88).max_images == 88
    assert replace(llm.OPENAI, image_types={"image/png"}).image_types == frozenset({"image/png"})
    assert hash(llm.GEMINI) == hash(replace(llm.GEMINI))


# Readers


async def transcribe(file: StagedFile) -> str:
    return f"Hello from {file.name}"


@pytest.mark.parametrize("hand_off", [llm.prompt, llm.anthropic_blocks, llm.gemini_parts])
async def test_a_reader_goes_before_everything_of_ours(hand_off, tmp_path):
    stage = stage_of(tmp_path, ("v.ogg", OGG), ("i.png", PNG), ("a.txt", b"text"))
    found = str(await hand_off(stage, readers={"audio/*": transcribe, "image/png": transcribe}))
    assert "Hello from v.ogg" in found
    assert "Hello from i.png" in found
    assert "the text of audio/ogg" in found


async def test_the_pattern_that_fits_best_is_taken(tmp_path):
    async def exact(file):
        return "exact"

    async def any_text(file):
        return "kind"

    readers = {"*/*": transcribe, "text/*": any_text, "audio/ogg": exact}
    found = await llm.parts(stage_of(tmp_path, ("v.ogg", OGG), ("a.txt", b"x"), ("z.bin", BLOB)), readers=readers)
    assert [part.text for part in found] == ["exact", "kind", "Hello from z.bin"]


async def test_sound_in_a_container_of_video_is_heard(tmp_path):
    """Recorders of phones and browsers write MP4 and WebM."""
    file = staged_file(tmp_path, "Recording.m4a", MP4)
    file = replace(file, attachment=replace(file.attachment, name="Recording.m4a", media_type="audio/mp4"))
    found = await llm.parts(stage_of(tmp_path, file), readers={"audio/*": transcribe})
    assert [part.text for part in found] == ["Hello from Recording.m4a"]


async def test_a_reader_that_fails_is_a_line_without_its_words(tmp_path, caplog):
    async def fails(file):
        raise ValueError("the key sk-secret is wrong")

    async def odd(file):
        return 5

    async def silent(file):
        return " \n"

    readers = {"audio/*": fails, "image/*": odd, "application/octet-stream": silent}
    with caplog.at_level(logging.WARNING, "staging"):
        found = await llm.parts(stage_of(tmp_path, ("v.ogg", OGG), ("i.png", PNG), ("z.bin", BLOB)), readers=readers)
    assert [each.reason for each in found.unread] == [
        "its reader failed (ValueError)", "its reader returned no text but int", "its reader found no text in it",
    ]  # fmt: skip
    assert "secret" not in caplog.text + str(found.unread)


async def test_what_a_reader_returns_can_be_sent_and_is_within_the_budget(tmp_path):
    async def long(file):
        return "a\0\ud800" + "word " * 10_000

    found = await llm.parts(stage_of(tmp_path, ("v.ogg", OGG)), readers={"audio/*": long}, max_chars=1000)
    assert found[0].text.startswith("a?word")
    assert 950 < len(found[0].section) <= 1000


# The time


async def test_what_is_not_read_in_time_is_a_line_and_the_rest_is_there(tmp_path):
    ended = []

    async def slow(file):
        try:
            await anyio.sleep(60)
        finally:
            ended.append(file.name)

    begun = anyio.current_time()
    stage = stage_of(tmp_path, ("v.ogg", OGG), ("a.txt", b"text"))
    found = await llm.parts(stage, readers={"audio/*": slow}, seconds=1)
    assert anyio.current_time() - begun < 5
    assert [part.name for part in found] == ["a.txt"]
    assert [each.reason for each in found.unread] == ["it was not read within 1 seconds"]
    assert ended == ["v.ogg"], "the reader was cancelled"


async def test_a_call_that_is_cancelled_cancels_its_readers(tmp_path):
    begun, ended = anyio.Event(), []

    async def slow(file):
        begun.set()
        try:
            await anyio.sleep(60)
        finally:
            ended.append(file.name)

    async with anyio.create_task_group() as group:

        async def call():
            await llm.prompt(stage_of(tmp_path, ("v.ogg", OGG)), readers={"audio/*": slow})

        group.start_soon(call)
        await begun.wait()
        group.cancel_scope.cancel()
    assert ended == ["v.ogg"]


async def test_no_time_at_all_names_everything(tmp_path):
    found = await llm.parts(everything(tmp_path), seconds=0)
    assert len(found.unread) + len({part.number for part in found}) == 11


# What stands beside


async def test_the_list_tells_descriptions_and_contradictions(tmp_path):
    file = staged_file(tmp_path, "i.png", PNG)
    claim = replace(file.attachment, media_type="text/html", description="the receipt\nof 3 May")
    found = await llm.anthropic_blocks(stage_of(tmp_path, replace(file, attachment=claim)))
    assert listing(found) == [
        "1. 'i.png': image 1 above",
        "   Type: image/png (claimed text/html)",
        "   Description: the receipt\\nof 3 May",
    ]


async def test_what_is_added_to_a_block_is_the_callers(tmp_path):
    """The documented way to a prompt cache and to citations."""
    blocks = await llm.anthropic_blocks(everything(tmp_path))
    for block in blocks:
        if block["type"] == "document":
            block["citations"] = {"enabled": True}
    blocks[-1]["cache_control"] = {"type": "ephemeral"}
    assert [block["type"] for block in blocks if "citations" in block] == ["document"]


async def test_a_prompt_without_paths_is_the_same_everywhere(tmp_path):
    from staging import AttachmentStage
    from staging.testing import FakeCDN, Reply

    prompts = []
    async with FakeCDN() as cdn:
        url = cdn.script("/a.txt", Reply(b"text"), Reply(b"text"))
        for _ in range(2):
            async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                await stage.download(url)
                prompts.append(await llm.prompt(stage, paths=False, urls="hide"))
    assert prompts[0] == prompts[1]
    assert str(tmp_path) not in prompts[0]
    assert "URL" not in prompts[0]


def test_the_largest_request_of_each_preset_is_in_mb():
    assert all(MB <= limits.max_request_bytes <= 100 * MB for limits in PRESETS)
