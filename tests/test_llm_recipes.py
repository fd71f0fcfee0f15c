"""The recipes for other SDKs: what they build from staged files is what those files are. Optional group `recipes`.

Each recipe is the part between the two lines of dashes. What arrives at a loopback endpoint, or the SDK's own
translation to its wire format, is looked at; nothing goes to a network. With STAGING_RECIPES=required a missing SDK is
an error.
"""

import base64
import importlib
import os

import anthropic
import openai
import pytest
from llm_stage import image, pdf, stage_of
from test_llm_sdk import endpoint

from staging import llm

PNG = image()
DOC = pdf("page")


pytestmark = [  # of the SDKs', not ours
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def need(name, loop_name="asyncio"):
    """Return the SDK; most of them do not run on trio."""
    if loop_name == "trio":
        pytest.skip("it does not run on trio")
    if os.environ.get("STAGING_RECIPES") == "required":
        return importlib.import_module(name)
    return pytest.importorskip(name)


def data_of(block):
    return base64.b64decode(block["source"]["data"])


def files(tmp_path):
    return stage_of(tmp_path, ("i.png", PNG), ("d.pdf", DOC), ("a.txt", b"text"))


async def test_pydantic_ai(tmp_path, loop_name):
    """The neutral list as its own `BinaryContent`; the texts as they are."""
    pydantic_ai = need("pydantic_ai", loop_name)
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    stage = files(tmp_path)
    with endpoint() as (address, bodies):
        async with anthropic.AsyncAnthropic(api_key="x", base_url=address, max_retries=0) as client:
            model = AnthropicModel("m", provider=AnthropicProvider(anthropic_client=client))
            # ----
            content = [
                part.section
                if isinstance(part, llm.TextPart)
                else pydantic_ai.BinaryContent(data=part.data, media_type=part.media_type)
                for part in await llm.parts(stage)
            ]
            answer = await pydantic_ai.Agent(model).run([*content, "What is this?"])
            # ----
    assert answer.output == "ok"
    image_block, document, text, question = bodies[0]["messages"][0]["content"]
    assert data_of(image_block) == PNG
    assert data_of(document) == DOC
    assert text["text"].endswith("```text\ntext\n```")
    assert question["text"] == "What is this?"


async def test_langchain_with_claude(tmp_path, loop_name):
    """Anthropic's blocks are what its messages take."""
    need("langchain_anthropic", loop_name)
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import HumanMessage

    stage = files(tmp_path)
    with endpoint() as (address, bodies):
        model = ChatAnthropic(model="m", api_key="x", base_url=address, max_retries=0)
        # ----
        blocks = await llm.anthropic_blocks(stage)
        answer = await model.ainvoke([HumanMessage([*blocks, {"type": "text", "text": "What is this?"}])])
        # ----
        await model._async_client.close()
    assert answer.content == "ok"
    sent = bodies[0]["messages"][0]["content"]
    assert (data_of(sent[0]), data_of(sent[1]), sent[-1]["text"]) == (PNG, DOC, "What is this?")


async def test_langchain_with_openai(tmp_path, loop_name):
    """The chat shape is what its messages take."""
    need("langchain_openai", loop_name)
    from langchain_core.messages import HumanMessage
    from langchain_openai import ChatOpenAI

    stage = files(tmp_path)
    with endpoint() as (address, bodies):
        model = ChatOpenAI(model="m", api_key="x", base_url=address + "/v1", max_retries=0)
        # ----
        blocks = await llm.openai_chat_blocks(stage)
        answer = await model.ainvoke([HumanMessage([*blocks, {"type": "text", "text": "What is this?"}])])
        # ----
        await model.root_async_client.close()
    assert answer.content == "ok"
    sent = bodies[0]["messages"][0]["content"]
    assert base64.b64decode(sent[0]["image_url"]["url"].partition(",")[2]) == PNG
    assert base64.b64decode(sent[1]["file"]["file_data"].partition(",")[2]) == DOC


async def test_openai_agents(tmp_path, loop_name):
    """The items of Responses are what a run takes."""
    agents = need("agents", loop_name)
    agents.set_tracing_disabled(disabled=True)
    stage = files(tmp_path)
    with endpoint() as (address, bodies):
        async with openai.AsyncOpenAI(api_key="x", base_url=address + "/v1", max_retries=0) as client:
            agent = agents.Agent("helper", model=agents.OpenAIResponsesModel("m", client))
            # ----
            blocks = await llm.openai_blocks(stage)
            content = [*blocks, {"type": "input_text", "text": "What is this?"}]
            answer = await agents.Runner.run(agent, [{"role": "user", "content": content}])
            # ----
    assert answer.final_output == "ok"
    assert bodies[0]["input"] == [{"role": "user", "content": content}]


async def test_google_genai(tmp_path):
    """As inline data."""
    types = need("google.genai.types")
    stage = files(tmp_path)
    # ----
    contents = types.UserContent(parts=[types.Part(**part) for part in await llm.gemini_parts(stage)])
    # ----
    sent = contents.model_dump(mode="json", exclude_none=True)["parts"]
    assert [part["inline_data"]["mime_type"] for part in sent[:2]] == ["image/png", "application/pdf"]
    assert [base64.urlsafe_b64decode(part["inline_data"]["data"]) for part in sent[:2]] == [PNG, DOC]
    assert "[Contents of attachment 3" in sent[3]["text"]


async def test_litellm(tmp_path, monkeypatch):
    """The chat shape, which it translates for every provider; here for Anthropic."""
    monkeypatch.setitem(os.environ, "LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks GitHub for prices at import
    need("litellm")
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
    ollama = need("ollama")
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
