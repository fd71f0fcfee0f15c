"""Each example does offline what it says, as a process; bad input gets one line, and nothing is left behind."""

import asyncio
import contextlib
import importlib
import io
import json
import logging
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import warnings
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from aiohttp import web  # discord.py is built on it

from staging.testing import FakeCDN, Request, assert_empty

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "SLACK_BOT_TOKEN", "DISCORD_TOKEN")
NO_PROXY_HERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://127.0.0.1:9")
STRANGE = "https://not-admitted.example/a.png"
MODULES = {
    "anthropic_vision": "anthropic", "openai_files": "openai", "discord_bot": "discord", "trio_batch": "trio",
    "gemini_voice": "google.genai", "conversation": "anthropic", "telemetry": "prometheus_client",
}  # fmt: skip


class Example:
    """Runs an example with a temporary directory of its own, no key but those given, and proxies that lead nowhere."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name, *arguments, before="", **keys):
        """Run it to its end: in this process, which has the SDKs loaded, unless it is to be changed `before`."""
        if not before:
            return self.here(EXAMPLES / f"{name}.py", [*map(str, arguments)], self.environment(**keys))
        line = [*self.line(name, before), *arguments]
        options = {"env": self.environment(**keys), "capture_output": True, "text": True, "timeout": 80}
        return subprocess.run(line, check=False, **options)

    def here(self, path, arguments, environment):
        """Run it in this process, with streams, log and environment of its own."""
        output, errors, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(tempfile, "tempdir", str(self.folder)),
            mock.patch.object(sys, "argv", [str(path), *arguments]),
            mock.patch.object(sys, "path", [str(EXAMPLES), *sys.path]),
            mock.patch.object(logging.root, "handlers", []),
            mock.patch.object(logging.getLogger("staging"), "level", logging.NOTSET),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
        ):
            warnings.simplefilter("ignore", DeprecationWarning)  # of SDKs, as in a process of one's own
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int | None) else 1
                errors.write(f"{end.code}\n" if isinstance(end.code, str) else "")
            finally:
                sys.modules.pop("quickstart", None)
                logging.getLogger("staging").manager._clear_cache()  # levels that were looked up meanwhile
        return subprocess.CompletedProcess(path, code or 0, output.getvalue(), errors.getvalue())

    def line(self, name, before=""):
        """Return how to start it, after `before`, which is code."""
        path = str(EXAMPLES / f"{name}.py")
        start = f"import runpy, sys\n{before}\nsys.path.insert(0, {str(EXAMPLES)!r})\nsys.argv = sys.argv[1:]\n"
        start += "runpy.run_path(sys.argv[0], run_name='__main__')"
        return [sys.executable, "-c", start, path] if before else [sys.executable, path]

    def environment(self, **keys):
        own = {key: value for key, value in os.environ.items() if key not in KEYS and "_proxy" not in key}
        return {**own, **NO_PROXY_HERE, "TMPDIR": str(self.folder), "PYTHONWARNINGS": "always::ResourceWarning", **keys}

    def offline(self, name):
        """Return what it prints; it must end well and complain of nothing."""
        done = self(name)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refuses(self, name, *arguments, **more):
        """Return the one line that it ends with."""
        done = self(name, *arguments, **more)
        assert done.returncode == 1
        assert re.fullmatch(rf"{name}: .+\n", done.stderr), done.stderr
        return done.stderr


@pytest.fixture
def example(tmp_path):
    """Whatever the example did, nothing is left of it."""
    yield Example(tmp_path)
    assert_empty(tmp_path)


def test_the_quickstart_shows_what_a_model_gets_and_that_nothing_is_left(example):
    output = example.offline("quickstart")
    assert output.count("Downloaded: Yes") == 3
    assert output.count("Downloaded: Failed") == 2
    assert "After the scope 3 files were removed" in output
    assert "is empty: []" in output


def test_claude_is_shown_a_picture_a_document_and_a_script(example):
    output = example.offline("anthropic_vision")
    assert re.findall(r"The model gets: (\w+, \S+)", output) == [
        "image, image/png,", "document, application/pdf,", "text, [What", "text, [Contents",
    ]  # fmt: skip
    assert "The answer: (offline) A colour gradient" in output
    assert "1 of 4 attachments could not be used: deleted.png" in output
    assert "Cleaned up 3 attachment files" in output


def test_openai_is_sent_a_document_a_picture_and_a_table(example):
    output = example.offline("openai_files")
    gets = re.findall(r"The model gets: (\w+, by its id file-\d)", output)
    assert [line[:-1] for line in gets] == ["file, by its id file-", "picture, by its id file-"]
    assert "Copies left at OpenAI: 0" in output
    assert "The answer: (offline) Minutes of a meeting" in output
    assert "1 of 4 attachments could not be used: deleted.docx" in output
    assert "Cleaned up 3 attachment files" in output


def test_gemini_hears_a_voice_message(example):
    output = example.offline("gemini_voice")
    assert re.findall(r"The model gets: (\S+,)", output)[0] == "audio/ogg,"
    assert "The answer: (offline) The meeting is at three" in output
    assert "1 of 3 attachments could not be used: deleted.ogg" in output
    assert "Cleaned up 2 attachment files" in output


def test_a_conversation_goes_on_with_what_was_attached_before(example):
    output = example.offline("conversation")
    assert re.findall(r"A: \(offline\) (\w+)", output) == ["A", "On", "The"]
    assert "1 of 4 attachments could not be used: deleted.png" in output
    assert output.count("Cleaned up 3 attachment files for the thread") == 1


def test_the_bot_answers_about_a_picture_without_a_token_too(example):
    """With a key alone the model is asked; where it cannot be, whoever asked reads so."""
    reply = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None,
        "content": [{"type": "text", "text": "A sunset."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    with FakeCDN.in_thread() as api:
        api.serve("/v1/messages", json.dumps(reply).encode(), media_type="application/json")
        keys = {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": api.url()[:-1], "no_proxy": "127.0.0.1"}
        done = example("discord_bot", **keys)
        assert (done.returncode, done.stderr) == (0, "")
        assert "POST /channels/4/messages: A sunset.\n\n1 of 3 attachments could not be used" in done.stdout
        api.serve("/v1/messages", b"{}", status=401, media_type="application/json")
        assert "The model could not be asked (AuthenticationError)." in example("discord_bot", **keys).stdout


def test_slacks_token_is_seen_by_slack_and_by_nobody_else(example):
    output = example.offline("slack_private_files")
    assert output.count("Downloaded: Yes") == 2
    assert re.findall(r"(Slack|stranger) was asked for \S+ with Authorization: (.*)", output) == [
        ("Slack", "Bearer xoxb-offline"), ("Slack", "Bearer xoxb-offline"), ("stranger", "None"),
    ]  # fmt: skip
    assert "sign-in" not in output


def test_a_dead_server_costs_a_batch_one_message(example):
    output = example.offline("trio_batch")
    lines = [line for line in output.splitlines() if line.startswith("message")]
    assert len(lines) == 12
    (broken,) = [line for line in lines if "could not" in line]
    assert broken.startswith("message 5: greet.py (text/plain); 1 of 2 attachments could not be used: endless.bin")
    assert "not finished within the 1 seconds of the batch" in output
    assert lines[11] == "message 11: greet.py (text/plain), sunset.png (image/png), minutes.pdf (application/pdf)"


def test_the_bot_types_answers_and_says_what_it_could_not_use(example):
    output = example.offline("discord_bot")
    typing, answer = output.index("POST /channels/4/typing"), output.index("POST /channels/4/messages")
    assert typing < output.index("Downloaded 2/3 attachments for channel 4") < output.index("Cleaned up 2") < answer
    assert "I was asked: What does this do?\n\n[Attachments:]\n1. FILE 'greet.py'" in output[answer:]
    assert output.endswith("\n\n1 of 3 attachments could not be used: deleted.txt: the file is no longer there.\n")


@pytest.mark.parametrize(
    ("name", "arguments", "keys", "line"),
    [
        ("anthropic_vision", [STRANGE], {}, "set ANTHROPIC_API_KEY, or give no URL"),
        ("anthropic_vision", [STRANGE], {"ANTHROPIC_API_KEY": "x"}, "a.png: links to this address are not accepted"),
        ("anthropic_vision", ["--allow-host", "https://a", STRANGE], {"ANTHROPIC_API_KEY": "x"}, "hosts"),
        ("openai_files", [STRANGE], {}, "set OPENAI_API_KEY, or give no URL"),
        ("openai_files", [STRANGE], {"OPENAI_API_KEY": "x"}, "a.png: links to this address are not accepted"),
        ("slack_private_files", [STRANGE], {}, "set SLACK_BOT_TOKEN, or give no URL"),
        ("slack_private_files", [STRANGE], {"SLACK_BOT_TOKEN": "x"}, "a.png: links to this address are not accepted"),
        ("trio_batch", ["--allow-host", "https://a", STRANGE], {}, "hosts"),
        ("discord_bot", ["--temp-dir", "/dev/null/x"], {}, "temp_dir: /dev/null is not a directory"),
    ],
)
def test_bad_input_gets_one_line(example, name, arguments, keys, line):
    assert line in example.refuses(name, *arguments, **keys)


@pytest.mark.parametrize("name", MODULES)
def test_a_missing_sdk_gets_one_line_with_the_command(example, name):
    line = example.refuses(name, before=f"sys.modules[{MODULES[name]!r}] = None")
    assert re.search(r"missing: pip install \w+", line)


def test_a_bot_with_a_key_but_no_sdk_for_it_gets_one_line(example):
    keys = {"DISCORD_TOKEN": "x", "ANTHROPIC_API_KEY": "x"}
    assert "pip install anthropic" in example.refuses("discord_bot", before="sys.modules['anthropic'] = None", **keys)


@pytest.mark.parametrize(
    ("name", "method", "error"),
    [
        ("anthropic_vision", "anthropic.resources.AsyncMessages.create", "anthropic.AnthropicError"),
        ("openai_files", "openai.resources.responses.AsyncResponses.create", "openai.OpenAIError"),
    ],
)
def test_a_model_that_cannot_be_reached_gets_one_line(example, monkeypatch, name, method, error):
    module, _, kind = error.partition(".")

    async def down(*_, **__):
        raise getattr(sys.modules[module], kind)("overloaded")

    importlib.import_module(module)
    monkeypatch.setattr(method, down)
    assert "overloaded" in example.refuses(name)


def test_a_wrong_discord_token_gets_one_line(example):
    with FakeCDN.in_thread() as discord:
        discord.serve("/users/@me", b"{}", status=401, media_type="application/json")
        before = f"import discord.http\ndiscord.http.Route.BASE = {discord.url('')[:-1]!r}"
        assert "token" in example.refuses("discord_bot", before=before, DISCORD_TOKEN="wrong")


class Discord:
    """Discord on loopback, REST and gateway, for one bot: it is logged in, mentioned once, and its answer is kept."""

    def __init__(self, module):
        self._module = module
        self.answer = asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def running(self):
        """Serve, and yield the port."""
        runner = web.ServerRunner(web.Server(self._handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
        await runner.cleanup()

    async def _handle(self, request):
        if request.path == "/gateway":
            return await self._converse(request)
        if request.path.endswith("/messages"):
            self.answer.set_result(await request.json())
        known = {"/users/@me": self._module.USER, "/oauth2/applications/@me": self._module.APPLICATION}
        body = json.dumps(known.get(request.path, self._module.MESSAGE)).encode()
        return web.Response(body=body, content_type="application/json")  # with a charset discord.py reads text

    async def _converse(self, request):
        gateway = web.WebSocketResponse()
        await gateway.prepare(request)
        await gateway.send_json({"op": 10, "d": {"heartbeat_interval": 40_000}})
        ready = {"v": 10, "user": self._module.USER, "guilds": [], "session_id": "s", "resume_gateway_url": ""}
        async for message in gateway:
            if message.json()["op"] == 2:  # it says who it is
                application = {"id": "1", "flags": 0}
                await gateway.send_json({"op": 0, "s": 1, "t": "READY", "d": {**ready, "application": application}})
                file = {"id": "9", "filename": "a.txt", "size": 1, "url": STRANGE, "proxy_url": STRANGE}
                sent = {**self._module.MESSAGE, "attachments": [file]}
                await gateway.send_json({"op": 0, "s": 2, "t": "MESSAGE_CREATE", "d": sent})
        return gateway


@pytest.mark.skipif(sys.platform == "win32", reason="the interrupt is sent as a signal")
def test_the_bot_runs_until_it_is_interrupted(example, bot):
    """For real but for the two addresses: login, gateway, a mention, an answer, Ctrl-C."""

    async def scenario():
        discord = Discord(bot)
        async with discord.running() as port:
            before = f"""if True:
                import signal, discord.http, discord.gateway, yarl
                signal.signal(signal.SIGINT, signal.default_int_handler)
                discord.http.Route.BASE = "http://127.0.0.1:{port}"
                discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL("ws://127.0.0.1:{port}/gateway")
            """
            pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
            line, environment = (
                example.line("discord_bot", textwrap.dedent(before)),
                example.environment(DISCORD_TOKEN="x"),
            )
            process = await asyncio.create_subprocess_exec(*line, env=environment, **pipes)
            try:
                answer = await asyncio.wait_for(discord.answer, 60)
                process.send_signal(signal.SIGINT)
                _, errors = await asyncio.wait_for(process.communicate(), 60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        return answer, errors.decode(), process.returncode

    answer, errors, code = asyncio.run(scenario())
    assert answer["content"].startswith("I was asked: What does this do?\n\n[Attachments:]\n1. FILE 'a.txt'")
    assert answer["content"].endswith("could not be used: a.txt: links to this address are not accepted.")
    assert (code, errors) == (130, "")


async def test_slacks_login_page_is_not_taken_for_the_file(monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    slack = importlib.import_module("slack_private_files")
    async with FakeCDN() as cdn:
        url = cdn.script("/minutes.pdf", slack.private(b"%PDF-1.4", "right"))
        await slack.show([{"url_private": url, "mimetype": "application/pdf"}], "right", cdn.policy)
        assert "sign-in" not in capsys.readouterr().out
        with pytest.raises(SystemExit, match="a web page came in its place"):
            await slack.show([{"url_private": url, "mimetype": "application/pdf"}], "wrong", cdn.policy)
    assert "Slack's sign-in page. Has the bot the scope files:read?" in capsys.readouterr().out


# The bot, with real objects of discord.py, in this process.


@pytest.fixture
def bot(monkeypatch):
    """The example, and beside it a list of all requests that it makes of Discord."""
    monkeypatch.syspath_prepend(EXAMPLES)
    module, real = importlib.import_module("discord_bot"), []
    stand_in = module.discord_api

    async def recorded(route, **options):
        real.append((route.path, options.get("json")))
        return await stand_in(route, **options)

    monkeypatch.setattr(module, "discord_api", recorded)
    module.sent = real
    yield module
    for name in ("discord_bot", "quickstart"):
        sys.modules.pop(name, None)


def answers(bot):
    return [options for path, options in bot.sent if path.endswith("/messages")]


async def long_answer(question, stage):
    assert len(stage.files) == 2
    return "@everyone " * 1000


def test_a_long_answer_fits_into_a_message_and_pings_nobody(bot, tmp_path):
    asyncio.run(bot.offline(str(tmp_path), nullcontext(long_answer)))
    (answer,) = answers(bot)
    assert 1500 < len(answer["content"]) <= 2000
    assert answer["content"].endswith("deleted.txt: the file is no longer there.")
    assert answer["allowed_mentions"]["parse"] == []
    assert answer["message_reference"]["message_id"] == 5
    assert_empty(tmp_path)


BOT = {"id": "7", "username": "b", "discriminator": "0", "avatar": None, "bot": True}


@pytest.mark.parametrize("change", [{"mentions": []}, {"author": BOT}])
def test_the_bot_answers_only_people_who_mention_it(bot, tmp_path, change, monkeypatch):
    monkeypatch.setattr(bot, "MESSAGE", {**bot.MESSAGE, **change})
    asyncio.run(bot.offline(str(tmp_path), nullcontext(long_answer)))
    assert [path for path, _ in bot.sent] == ["/users/@me", "/oauth2/applications/@me"]


async def repeat(question, stage):
    return question


@pytest.mark.parametrize(("content", "question"), [("<@1>", "What is this?"), ("<@!1> who <@1>? ", "who ?")])
def test_a_mention_without_words_is_a_question_too(bot, tmp_path, content, question, monkeypatch):
    """Models refuse the empty text."""
    monkeypatch.setattr(bot, "MESSAGE", {**bot.MESSAGE, "content": content})
    asyncio.run(bot.offline(str(tmp_path), nullcontext(repeat)))
    assert answers(bot)[0]["content"].startswith(f"{question}\n\n1 of 3")


def test_a_model_that_fails_leaves_nothing(bot, tmp_path):
    async def broken(question, stage):
        raise RuntimeError("overloaded")

    with pytest.raises(RuntimeError, match="overloaded"):
        asyncio.run(bot.offline(str(tmp_path), nullcontext(broken)))
    assert answers(bot) == []
    assert_empty(tmp_path)


def test_a_bot_that_has_no_room_answers_and_says_why_in_the_log(bot, tmp_path, caplog):
    """The stage cannot be entered: its root was taken away, as a full disk or a bad mount does."""
    root = tmp_path / "root"

    @asynccontextmanager
    async def model():
        shutil.rmtree(root)
        root.touch()
        yield repeat

    asyncio.run(bot.offline(str(root), model()))
    (answer,) = answers(bot)
    assert answer["content"] == "I cannot look at files at the moment. Please try again later."
    assert "No files can be staged: " in caplog.text
    assert str(root) not in answer["content"]


def test_the_bot_takes_the_files_of_the_message_that_is_replied_to(bot, tmp_path, monkeypatch):
    async def names(question, stage):
        return ", ".join(outcome.name for outcome in stage.outcomes)

    earlier = {**bot.MESSAGE, "id": "6", "attachments": [
        {"id": "8", "filename": "earlier.png", "size": 9, "url": "https://x/earlier.png", "proxy_url": "https://x/"}
    ]}  # fmt: skip
    reply = {"type": 19, "message_reference": {"message_id": "6", "channel_id": "4"}, "referenced_message": earlier}
    monkeypatch.setattr(bot, "MESSAGE", {**bot.MESSAGE, **reply})
    asyncio.run(bot.offline(str(tmp_path), nullcontext(names)))
    assert answers(bot)[0]["content"].startswith("greet.py, sunset.png, deleted.txt, earlier.png\n\n")


def test_the_bot_asks_discord_for_new_links_fifty_at_a_time(bot):
    asked = []

    async def request(route, *, json):
        asked.append((route.method, route.path, json["attachment_urls"]))
        return {"refreshed_urls": [{"original": url, "refreshed": url + "new"} for url in json["attachment_urls"]]}

    cog = bot.Answers(SimpleNamespace(http=SimpleNamespace(request=request)), None, None)
    urls = [f"https://cdn.discordapp.com/{n}?ex=1" for n in range(101)]
    fresh = asyncio.run(cog.refresh(tuple(urls)))
    assert fresh == {url: url + "new" for url in urls}
    assert [(method, path, len(some)) for method, path, some in asked] == [
        ("POST", "/attachments/refresh-urls", count) for count in (50, 50, 1)
    ]


def test_the_bot_can_ask_claude(bot, tmp_path, monkeypatch):
    reply = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None,
        "content": [{"type": "text", "text": "A dog."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    for name in NO_PROXY_HERE:
        monkeypatch.delenv(name, raising=False)
    with FakeCDN.in_thread() as api:
        api.serve("/v1/messages", json.dumps(reply).encode(), media_type="application/json")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url()[:-1])
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
        asyncio.run(bot.offline(str(tmp_path), bot.claude()))
        (request,) = api.requests
    assert isinstance(request, Request)
    assert int(request.header("content-length")) > 10_000  # the picture is in it
    assert answers(bot)[0]["content"].startswith("A dog.\n\n1 of 3 attachments could not be used")
    assert_empty(tmp_path)
