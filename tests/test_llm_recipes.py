"""The recipes for other SDKs: what they build from staged files is what those files are. Optional group `recipes`.

Each recipe is the part between the two lines of dashes, and runs with no network: the SDK's own translation to its
wire format is looked at.
"""

import base64
import os

import pytest
from llm_stage import image, pdf, stage_of

from staging import llm

PNG = image()
DOC = pdf("page")


def files(tmp_path):
    return stage_of(tmp_path, ("i.png", PNG), ("d.pdf", DOC), ("a.txt", b"text"))


async def test_pydantic_ai(tmp_path):
    """As its own `BinaryContent`; the text in one prompt."""
    pydantic_ai = pytest.importorskip("pydantic_ai")
    stage = files(tmp_path)
    # ----
    content = [
        await llm.prompt(stage),
        *(
            pydantic_ai.BinaryContent(data=file.path.read_bytes(), media_type=file.media_type)
            for file in stage.outcomes
            if file.downloaded and (file.media_type.startswith("image/") or file.media_type == "application/pdf")
        ),
    ]
    # ----
    assert [(part.data, part.media_type) for part in content[1:]] == [(PNG, "image/png"), (DOC, "application/pdf")]
    assert [part.is_image for part in content[1:]] == [True, False]
    assert [part.is_document for part in content[1:]] == [False, True]


async def test_google_genai(tmp_path):
    """As inline data."""
    types = pytest.importorskip("google.genai.types")
    stage = files(tmp_path)
    # ----
    parts = [
        types.Part.from_bytes(data=file.path.read_bytes(), mime_type=file.media_type)
        for file in stage.outcomes
        if file.downloaded and (file.media_type.startswith("image/") or file.media_type == "application/pdf")
    ]
    contents = types.UserContent(parts=[*parts, types.Part.from_text(text=await llm.prompt(stage))])
    # ----
    sent = contents.model_dump(mode="json", exclude_none=True)["parts"]
    assert [part["inline_data"]["mime_type"] for part in sent[:2]] == ["image/png", "application/pdf"]
    assert [base64.urlsafe_b64decode(part["inline_data"]["data"]) for part in sent[:2]] == [PNG, DOC]
    assert "[Contents of attachment 3" in sent[2]["text"]


async def test_litellm(tmp_path, monkeypatch):
    """The chat shape, which it translates for every provider; here for Anthropic."""
    monkeypatch.setitem(os.environ, "LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks GitHub for prices at import
    pytest.importorskip("litellm")
    from litellm.litellm_core_utils.prompt_templates.factory import anthropic_messages_pt

    # ----
    messages = [{"role": "user", "content": await llm.openai_chat_blocks(files(tmp_path))}]
    # ----
    sent = anthropic_messages_pt(messages, model="claude-sonnet-4-5", llm_provider="anthropic")[0]["content"]
    assert [part["type"] for part in sent] == ["image", "document", "text", "text"]
    assert base64.b64decode(sent[0]["source"]["data"]) == PNG
    assert base64.b64decode(sent[1]["source"]["data"]) == DOC


async def test_ollama(tmp_path):
    """Images by their paths, inside the scope; the rest in the prompt."""
    ollama = pytest.importorskip("ollama")
    stage = files(tmp_path)
    # ----
    images = [
        ollama.Image(value=file.path)
        for file in stage.outcomes
        if file.downloaded and file.media_type in {"image/png", "image/jpeg"}
    ]
    message = ollama.Message(role="user", content=await llm.prompt(stage), images=images)
    # ----
    sent = message.model_dump()
    assert [base64.b64decode(data) for data in sent["images"]] == [PNG]
    assert "[page 1]" in sent["content"]
