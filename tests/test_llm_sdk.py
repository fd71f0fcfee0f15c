"""The blocks are what the real SDKs take: their types accept them, and their clients send them unchanged."""

import base64
import contextlib
import functools
import http.server
import json
import tempfile
import threading
from pathlib import Path

import anthropic
import anthropic.types
import anyio
import anyio.to_thread
import google.genai
import google.genai.types
import openai
import openai.types.chat
import openai.types.responses
import pydantic
import pytest
from llm_stage import docx, failure, image, link, moving_gif, pdf, stage_of

from staging import llm

pytestmark = pytest.mark.usefixtures("shared_converters")

TYPES = {
    llm.anthropic_blocks: anthropic.types.ContentBlockParam,
    llm.openai_blocks: openai.types.responses.ResponseInputContentParam,
    llm.openai_chat_blocks: openai.types.chat.ChatCompletionContentPartParam,
    llm.gemini_parts: google.genai.types.Part,
}


OGG = b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead" + bytes(60)
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
MP4 = b"\0\0\0\x18ftypmp42" + bytes(12)


def everything(folder):
    """Return a stage with a file of every kind, and the two outcomes that have none."""
    return stage_of(
        folder, ("a.py", b"print('`' * 3)\n"), ("i.png", image()), ("g.gif", moving_gif()),
        ("w.webp", image("WEBP")), ("j.jpg", image("JPEG", (9000, 20))), ("d.pdf", pdf("Seite 1 äöü")),
        ("d.docx", docx()), failure(), link(), ("v.mp4", MP4), ("s.wav", WAV), ("voice.ogg", OGG),
        ("l.txt", "é".encode("latin-1")), ("日本.txt", "日本".encode()),
    )  # fmt: skip


@functools.cache
def blocks_of(hand_off):
    """Return the blocks of everything, made once: they do not depend on the event loop (other tests see to that)."""

    async def make():
        with tempfile.TemporaryDirectory() as folder:
            return await hand_off(everything(Path(folder)))

    return anyio.run(make)


def strict(value):
    """Return a type's JSON schema check that refuses unknown keys, which a TypedDict ignores."""
    schema = pydantic.TypeAdapter(value).json_schema()
    for definition in [schema, *schema.get("$defs", {}).values()]:
        if definition.get("type") == "object":
            definition["additionalProperties"] = False
    return schema


def fits(value, schema: dict, root: dict) -> bool:
    """Whether the value fits: as much of JSON Schema as pydantic writes for these types."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema or "oneOf" in schema:
        return any(fits(value, each, root) for each in schema.get("anyOf") or schema["oneOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if schema.get("type") == "object":
        known = schema.get("properties", {})
        return (
            isinstance(value, dict)
            and set(schema.get("required", ())) <= set(value) <= set(known)
            and all(fits(each, known[key], root) for key, each in value.items())
        )
    return isinstance(value, {"string": str, "integer": int, "boolean": bool}.get(schema.get("type"), ()))


@pytest.mark.parametrize("hand_off", TYPES)
def test_every_block_is_of_the_sdk_type(hand_off):
    adapter = pydantic.TypeAdapter(TYPES[hand_off])
    assert len(blocks_of(hand_off)) > 9
    for block in blocks_of(hand_off):
        adapter.validate_python(block, strict=hand_off is not llm.gemini_parts)


@pytest.mark.parametrize("hand_off", [llm.openai_blocks, llm.openai_chat_blocks])
def test_no_block_has_a_key_that_the_sdk_does_not_know(hand_off):
    schema = strict(TYPES[hand_off])
    for block in blocks_of(hand_off):
        assert fits(block, schema, schema), {key: str(value)[:60] for key, value in block.items()}
        assert not fits({**block, "unknown": "x"}, schema, schema)


def test_no_anthropic_block_has_a_key_that_the_sdk_does_not_know():
    """Its types name a class that has no JSON schema, so the keys are looked up by hand."""
    known = {
        "text": anthropic.types.TextBlockParam,
        "image": anthropic.types.ImageBlockParam,
        "document": anthropic.types.DocumentBlockParam,
    }
    for block in blocks_of(llm.anthropic_blocks):
        assert set(block) <= set(known[block["type"]].__annotations__)
        if "source" in block:
            assert set(block["source"]) == set(anthropic.types.Base64ImageSourceParam.__annotations__)


def test_sound_and_video_are_where_the_api_has_them():
    chat = [block for block in blocks_of(llm.openai_chat_blocks) if block["type"] == "input_audio"]
    assert chat == [{"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}]
    inline = {part["inline_data"]["mime_type"]: part["inline_data"] for part in blocks_of(llm.gemini_parts)[:8]}
    assert [inline[kind]["data"] for kind in ("audio/wav", "audio/ogg", "video/mp4")] == [WAV, OGG, MP4]
    listing = next(part["text"] for part in blocks_of(llm.gemini_parts) if "text" in part)
    assert "'voice.ogg': sound 2 above" in listing
    assert "'v.mp4': video 1 above" in listing


ANSWERS = {
    "/v1/messages": {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "/v1/responses": {
        "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": [{"id": "1", "type": "message", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "ok", "annotations": []}]}],
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None,
        "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    },
    "/v1/chat/completions": {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                     "message": {"role": "assistant", "content": "ok", "refusal": None}}],
    },
    "/v1/models/m:generateContent": {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}}]},
}  # fmt: skip


@contextlib.contextmanager
def endpoint():
    """Serve all three APIs on loopback; yield the address and the list of bodies that arrive."""
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = json.dumps(ANSWERS[self.path.replace("v1beta", "v1")]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


async def test_what_arrives_at_anthropic_is_what_was_emitted():
    blocks = await anyio.to_thread.run_sync(blocks_of, llm.anthropic_blocks)
    with endpoint() as (address, bodies):
        async with anthropic.AsyncAnthropic(api_key="x", base_url=address, max_retries=0) as client:
            content = [*blocks, {"type": "text", "text": "What is this?"}]
            await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": content}])
    assert bodies[0]["messages"] == [{"role": "user", "content": content}]


async def test_what_arrives_at_openai_is_what_was_emitted():
    blocks = await anyio.to_thread.run_sync(blocks_of, llm.openai_blocks)
    with endpoint() as (address, bodies):
        async with openai.AsyncOpenAI(api_key="x", base_url=address + "/v1", max_retries=0) as client:
            content = [*blocks, {"type": "input_text", "text": "What is this?"}]
            await client.responses.create(model="m", input=[{"role": "user", "content": content}])
    assert bodies[0]["input"] == [{"role": "user", "content": content}]


async def test_what_arrives_at_chat_completions_is_what_was_emitted():
    blocks = await anyio.to_thread.run_sync(blocks_of, llm.openai_chat_blocks)
    with endpoint() as (address, bodies):
        async with openai.AsyncOpenAI(api_key="x", base_url=address + "/v1", max_retries=0) as client:
            content = [*blocks, {"type": "text", "text": "What is this?"}]
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
    assert bodies[0]["messages"] == [{"role": "user", "content": content}]


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # the SDK's, of aiohttp
async def test_what_arrives_at_gemini_is_what_was_emitted(loop_name):
    if loop_name == "trio":
        pytest.skip("google-genai does not run on trio")
    parts = await anyio.to_thread.run_sync(blocks_of, llm.gemini_parts)
    with endpoint() as (address, bodies):
        client = google.genai.Client(api_key="x", http_options={"base_url": address})
        content = [*parts, {"text": "What is said?"}]
        await client.aio.models.generate_content(model="m", contents=[{"role": "user", "parts": content}])
        await client.aio.aclose()
        client.close()
    sent = bodies[0]["contents"][0]["parts"]
    assert [part.get("text") for part in sent] == [part.get("text") for part in content]
    for there, here in zip(sent, content, strict=True):
        if "inlineData" in there:
            assert (there["inlineData"].get("mimeType") or there["inlineData"].get("mime_type")) == here["inline_data"][
                "mime_type"
            ]
            assert base64.urlsafe_b64decode(there["inlineData"]["data"]) == here["inline_data"]["data"]


async def test_a_compatible_server_gets_text_and_pictures_alone(tmp_path):
    """vLLM, Ollama, LM Studio and llama.cpp answer 400 to any other part."""
    found = await llm.openai_chat_blocks(everything(tmp_path), limits=llm.COMPATIBLE)
    assert {block["type"] for block in found} == {"text", "image_url"}
    kinds = {block["image_url"]["url"].partition(";")[0] for block in found if "image_url" in block}
    assert kinds <= {"data:image/png", "data:image/jpeg"}
    assert any("Seite 1" in block.get("text", "") for block in found)


async def test_the_prompt_arrives_whole():
    """No lone surrogate, no NUL: what a client cannot encode."""
    prompt = await anyio.to_thread.run_sync(blocks_of, llm.prompt)
    with endpoint() as (address, bodies):
        async with anthropic.AsyncAnthropic(api_key="x", base_url=address, max_retries=0) as client:
            await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": prompt}])
    assert bodies[0]["messages"][0]["content"] == prompt
