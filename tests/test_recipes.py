"""The recipes beside the examples do what they promise, with real objects of libraries where these are installed."""

import asyncio
import logging
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Annotated
from unittest import mock

import discord
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from readme import PAGE, PRIVATE, PROXY, TEST, programs, run

from staging import AttachmentStage, Limits, StagingArea, UrlPolicy, WorkspaceError
from staging.testing import FakeCDN, assert_empty

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
TOKEN = "123456:AAF-secret_of_the_bot"
RECIPES = (
    EXPIRED := "Links that have expired",
    TELEGRAM := "Telegram",
    TEAMS := "Teams",
    MATRIX := "Matrix",
    FASTAPI := "FastAPI with a streamed answer",
    REPLY := "A message and the one that it replies to",
    CONVERSATION := "A stage for a conversation",
    SYNC := "Without an event loop",
    THREADS := "One area for many threads",
    NOTEBOOK := "A notebook",
)


def test_every_recipe_is_run_here():
    assert {heading for heading in programs() if f"### {heading}\n" in PAGE} - {PRIVATE, PROXY, TEST} == set(RECIPES)


async def test_expired_links_of_discord_are_asked_for_again(tmp_path):
    """Two of them in one batch, in one request; what comes back is downloaded."""
    asked = []

    async def request(route, *, json):
        asked.append((route.method, route.path, json["attachment_urls"]))
        return {"refreshed_urls": [{"original": url, "refreshed": fresh[url]} for url in json["attachment_urls"]]}

    async with FakeCDN() as cdn:
        urls = [f"https://cdn.discordapp.com/attachments/1/2/{name}.png?ex=1&is=1&hm=1" for name in "ab"]
        fresh = {url: cdn.serve(f"/{n}.png", PNG) for n, url in enumerate(urls)}
        hosts = UrlPolicy.only("cdn.discordapp.com", cdn.host, schemes=("http", "https"), ports=None, private=True)
        names = await run(
            EXPIRED, discord=discord, bot=SimpleNamespace(http=SimpleNamespace(request=request)), urls=urls,
            AttachmentStage=partial(AttachmentStage, tmp_path, policy=hosts),
        )  # fmt: skip
    assert asked == [("POST", "/attachments/refresh-urls", urls)]
    assert len(names["stage"].files) == 2
    assert [len(await names["refresh"](urls * 51)), len(asked)] == [2, 4]


@pytest.fixture(scope="module")
def telegram():
    """Both libraries of Telegram; their import takes seconds, which no event loop is to wait for."""
    pytest.importorskip("telegram")
    pytest.importorskip("aiogram")
    import aiogram.client.session.base
    import telegram

    return telegram, aiogram


async def test_telegram(tmp_path, caplog, telegram):
    """Both libraries' own objects; the token in the link is shown nowhere."""
    caplog.set_level(logging.DEBUG, "staging")
    answers, shown = [], []

    async def ask(stage):
        shown.append(f"{stage!r} {stage.outcomes!r} {stage.context()} {stage.notice()}")
        return str([file.path.read_bytes() == PNG for file in stage.files])

    async def answer(text):
        answers.append(text)

    async with FakeCDN() as cdn, StagingArea(tmp_path, policy=cdn.policy) as area:
        cdn.serve(f"/file/bot{TOKEN}/documents/plan.png", PNG)
        names = await run(TELEGRAM, area=area, ask=ask)
        for path in ("documents/plan.png", "documents/gone.png"):
            await names["with_python_telegram_bot"](update_of(telegram[0], cdn, path, answer), None)
            await names["with_aiogram"](*message_of(telegram[1], cdn, path, answer))
    assert answers == ["[True]", "[True]", "[]", "[]"]
    assert "secret" not in "".join(shown) + caplog.text
    assert_empty(tmp_path)


def update_of(telegram, cdn, path, answer):
    """Return an update of python-telegram-bot, whose file has a whole URL."""
    file = telegram.File("x", "u", len(PNG), cdn.url(f"/file/bot{TOKEN}/{path}"))
    document = telegram.Document("x", "u", "plan.png", "image/png", len(PNG))
    document.set_bot(mock.MagicMock(get_file=mock.AsyncMock(return_value=file)))
    message = SimpleNamespace(document=document, reply_text=answer)
    return SimpleNamespace(effective_message=message, effective_chat=SimpleNamespace(id=7))


def message_of(aiogram, cdn, path, answer):
    """Return a message of aiogram, whose file has a path, and the bot."""
    base = cdn.url("/")[:-1]
    api = aiogram.client.session.base.TelegramAPIServer(base + "/bot{token}/{method}", base + "/file/bot{token}/{path}")
    file = aiogram.types.File(file_id="x", file_unique_id="u", file_size=len(PNG), file_path=path)
    bot = SimpleNamespace(token=TOKEN, session=SimpleNamespace(api=api), get_file=mock.AsyncMock(return_value=file))
    document = aiogram.types.Document(file_id="x", file_unique_id="u", file_name="plan.png")
    return SimpleNamespace(document=document, chat=SimpleNamespace(id=7), answer=answer), bot


async def test_teams(tmp_path):
    """A file, a picture in the text, and the text itself; the token goes to the picture's host alone."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        file = {
            "contentType": "application/vnd.microsoft.teams.file.download.info", "name": "plan.png",
            "contentUrl": "https://contoso.sharepoint.com/plan.png",
            "content": {"downloadUrl": cdn.serve("/file", PNG), "uniqueId": "1", "fileType": "png"},
        }  # fmt: skip
        picture = {"contentType": "image/*", "contentUrl": cdn.serve("/v3/attachments/1/views/original", PNG)}
        text = {"contentType": "text/html", "content": "<p>What is this?</p>"}
        await run(TEAMS, stage=stage, activity={"attachments": [file, picture, text]}, token="secret")
        assert [type(outcome).__name__ for outcome in stage.outcomes] == ["StagedFile", "StagedFile", "Skipped"]
        assert [staged.media_type for staged in stage.files] == ["image/png"] * 2
        assert stage.files[0].name == "plan.png"
        assert "secret" not in f"{stage.outcomes!r} {stage.context(urls='full')}"


async def test_fastapi(tmp_path):
    """The files are there while the answer streams and gone after it; a question without a usable file is a 422."""
    fastapi = pytest.importorskip("fastapi")
    seen = []

    async def model(question, stage):
        for path in stage.paths:
            seen.append(path)
            yield f"{question} {path.name} {path.read_bytes() == PNG}\n"

    area = partial(StagingArea, tmp_path)
    names = {name: getattr(fastapi, name) for name in ("Depends", "FastAPI", "HTTPException", "Request", "UploadFile")}
    app = (await run(
        FASTAPI, **names, StreamingResponse=fastapi.responses.StreamingResponse, Annotated=Annotated, model=model,
        StagingArea=area, AttachmentStage=AttachmentStage, asynccontextmanager=asynccontextmanager,
    ))["app"]  # fmt: skip
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        uploads = [("files", ("a.png", PNG)), ("files", ("../b.png", PNG))]
        answer = await client.post("/ask", params={"question": "What?"}, files=uploads)
        assert (answer.status_code, answer.text) == (200, "What? a.png True\nWhat? b.png True\n")
        refused = await client.post("/ask", params={"question": "?"}, files=[("files", ("a.bin", bytes(21 << 20)))])
        assert refused.status_code == 422
        assert "a.bin is larger than 20 MB" in refused.json()["detail"]
        assert [path for path in seen if path.exists()] == []
    assert_empty(tmp_path)


async def test_matrix(tmp_path):
    """The media API since Matrix 1.11 wants the token."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        cdn.serve("/_matrix/client/v1/media/download/example.org/AbC", PNG)
        content = {"url": "mxc://example.org/AbC", "body": "plan.png", "info": {"mimetype": "image/png"}}
        await run(MATRIX, stage=stage, event={"content": content}, homeserver=cdn.url("")[:-1], token="syt_secret")
        (file,) = stage.files
        assert (file.name, file.attachment.media_type) == ("plan.png", "image/png")
        assert cdn.requests[0].header("Authorization") == "Bearer syt_secret"
        assert "secret" not in f"{stage.outcomes!r} {stage.context(urls='full')}"


async def test_a_message_and_the_one_that_it_replies_to(tmp_path):
    def message(cdn, name):
        file = {"id": "7", "filename": name, "size": len(PNG), "url": cdn.serve(f"/{name}", PNG), "proxy_url": ""}
        person = {"id": "1", "username": "u", "discriminator": "0", "avatar": None}
        data = {
            "id": "5", "type": 0, "channel_id": "4", "author": person, "content": "", "embeds": [], "mentions": [],
            "mention_roles": [], "mention_everyone": False, "pinned": False, "tts": False, "edited_timestamp": None,
            "timestamp": "2026-01-01T00:00:00+00:00", "flags": 0, "components": [], "attachments": [file],
        }  # fmt: skip
        return discord.Message(state=mock.MagicMock(), channel=mock.MagicMock(), data=data)

    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        reply = message(cdn, "reply.png")
        await run(REPLY, stage=stage, discord=discord, message=reply)
        reply.reference = SimpleNamespace(resolved=message(cdn, "earlier.png"))
        await run(REPLY, stage=stage, discord=discord, message=reply)
        assert [file.name for file in stage.files] == ["reply.png", "reply.png", "earlier.png"]
        await stage.download(reply.attachments)
        assert len(stage.files) == 4


async def test_a_stage_for_a_conversation(tmp_path):
    """Its files stay between messages; its end, or the area's, removes them."""
    async with FakeCDN() as cdn:
        async with StagingArea(tmp_path, policy=cdn.policy) as area:
            names = await run(CONVERSATION, AsyncExitStack=AsyncExitStack)
            conversations = names["Conversations"](area)
            first, second = await conversations.stage(1), await conversations.stage(2)
            await first.download(cdn.serve("/a.png", PNG))
            await second.download(cdn.serve("/b.png", PNG))
            assert await conversations.stage(1) is first
            await conversations.end(1)
            await conversations.end(1)
            assert [path.is_file() for path in (*first.paths, *second.paths)] == [False, True]
            assert await conversations.stage(1) is not first
        assert_empty(tmp_path)


def test_without_an_event_loop(tmp_path):
    with FakeCDN.in_thread() as cdn:
        stage = partial(AttachmentStage, tmp_path, policy=cdn.policy)
        names = asyncio.run(run(SYNC, AttachmentStage=stage, asyncio=asyncio, ask=lambda _, paths: [*map(str, paths)]))
        (path,) = names["answer"]("What is this?", [cdn.serve("/a.png", PNG)])
    assert path.endswith("/a.png")
    assert_empty(tmp_path)


def test_one_area_for_many_threads(tmp_path):
    """Its connections are shared, and each thread's files are gone when it has its answer."""
    answers = []

    def serve(answer):
        urls = [cdn.serve(f"/{n}.png", PNG) for n in range(5)]
        threads = [threading.Thread(target=lambda url=url: answers.append(answer("What?", url))) for url in urls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with FakeCDN.in_thread() as cdn:
        area = partial(StagingArea, tmp_path, policy=cdn.policy, limits=Limits(concurrency=2))
        asyncio.run(run(
            THREADS, start_blocking_portal=start_blocking_portal, StagingArea=area, serve=serve,
            ask=lambda _, paths: [path.read_bytes() for path in paths],
        ))  # fmt: skip
        assert cdn.connections <= 2
    assert answers == [[PNG]] * 5
    assert_empty(tmp_path)


async def test_a_notebook(tmp_path):
    """Cells run in tasks of their own; the last one removes the files."""
    async with FakeCDN() as cdn:
        names = await run(
            NOTEBOOK, AsyncExitStack=AsyncExitStack, urls=[cdn.serve("/a.png", PNG)],
            AttachmentStage=partial(AttachmentStage, tmp_path, policy=cdn.policy),
        )  # fmt: skip
    assert [file.name for file in names["stage"].files] == ["a.png"]
    assert_empty(tmp_path)


async def test_a_stage_that_cannot_be_entered_says_why_before_anything_is_downloaded(tmp_path):
    """As the page for operators has it."""
    (tmp_path / "root").touch()
    with pytest.raises(WorkspaceError) as caught:
        async with AttachmentStage(tmp_path / "root"):
            pass
    assert caught.value.reason == "storage"
