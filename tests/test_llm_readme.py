"""The README's programs about contents run as they stand."""

import openai
from files_api import files_api
from llm_stage import image, pdf, stage_of
from readme import run
from test_llm_parts import OGG

from staging import llm

HAND_OFF = CONTENTS, READERS, UPLOADS = (
    "Contents instead of paths",
    "Voice messages, OCR, a format of your own",
    "Uploads that die with the scope",
)


async def test_contents(tmp_path):
    stage = stage_of(tmp_path, ("i.png", image()), ("a.txt", b"text"), ("v.ogg", OGG))
    names = await run(CONTENTS, stage=stage, question="What is this?")
    assert "```text\ntext\n```" in names["text"]
    assert [block["type"] for block in names["content"]] == ["image", "text", "text", "text"]
    assert names["content"][-2]["cache_control"] == {"type": "ephemeral"}
    assert names["told"].startswith("1 of 3 attachments could not be used: v.ogg: ")


async def test_readers(tmp_path):
    async def speech_to_text(path):
        return f"{path.stat().st_size} bytes of speech"

    stage = stage_of(tmp_path, ("v.ogg", OGG))
    names = await run(READERS, stage=stage, llm=llm, speech_to_text=speech_to_text)
    assert f"{len(OGG)} bytes of speech" in names["text"]


async def test_uploads(tmp_path):
    (tmp_path / "workspace").mkdir()
    stage = stage_of(tmp_path / "workspace", ("i.png", image()), ("d.pdf", pdf("page")))
    stage.directory = tmp_path / "workspace"
    asked = []

    async def ask(content):
        asked.append((dict(api.files), content))

    with files_api() as (address, api):
        async with openai.AsyncOpenAI(api_key="x", base_url=address + "/v1") as client:
            await run(UPLOADS, stage=stage, llm=llm, client=client, ask=ask, question="?", temp_dir=tmp_path)
        (there, content) = asked[0]
        assert [block.get("file_id") in there for block in content[:2]] == [True, True]
        assert api.files == {}
