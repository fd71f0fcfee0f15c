"""The README tells the truth: each of its programs runs as it stands, and its commands, numbers and names are real."""

import ast
import asyncio
import inspect
import logging
import os
import re
import shlex
import ssl
import subprocess
import sys
import tomllib
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import anyio
import anyio.abc
import anyio.pytest_plugin
import discord
import httpx
import pytest
import trustme
from readme import FENCE, PAGE, PRIVATE, PROXY, README, ROOT, TEST, programs, run
from test_llm_readme import HAND_OFF
from test_recipes import RECIPES

import staging
from staging import (
    Attachment,
    AttachmentStage,
    DownloadError,
    Failure,
    Limits,
    Reason,
    RejectedError,
    Skipped,
    StagedFile,
    StagingArea,
    UrlPolicy,
    llm,
    testing,
)
from staging._cli import orders
from staging._context import context, notice
from staging._download import BUFFER
from staging._errors import too_large
from staging._models import MB, failure
from staging._net.stream import MAX_RAW
from staging._stage import REMOVAL_SECONDS
from staging.testing import FakeCDN, Reply, assert_empty

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
CDN = "https://cdn.discordapp.com/attachments/1/2"

FIRST, BOT, AREA, OUTCOMES, HOSTS = (
    "staging",
    "A Discord bot",
    "One pool, one limit, one budget for a service",
    "What became of an attachment",
    "Other hosts than Discord's",
)


def message_of(*urls):
    return SimpleNamespace(attachments=[SimpleNamespace(url=url, filename=Path(url).name) for url in urls])


def test_every_program_is_run_here():
    assert set(programs()) == {FIRST, BOT, AREA, OUTCOMES, HOSTS, PRIVATE, PROXY, TEST, *HAND_OFF, *RECIPES}


# The programs


async def test_the_first_screen(tmp_path, monkeypatch):
    """The model is asked while the files are there, and nothing is left afterwards."""

    async def llm(prompt):
        path = re.search(r"Local Path: (.+)", prompt)[1]
        return prompt, Path(path).read_bytes()

    async with FakeCDN() as cdn:
        monkeypatch.setattr(staging, "AttachmentStage", partial(AttachmentStage, policy=cdn.policy))
        message = message_of(cdn.serve("/photo.png", PNG), cdn.url("/gone.png"))
        names = await run(FIRST, temp_dir=tmp_path, message=message, question="What is this?", llm=llm)
    prompt, contents = names["reply"]
    assert prompt.startswith("What is this?\n\n[Attachments:]\n1. IMAGE 'photo.png'\n   Downloaded: Yes")
    assert "2. IMAGE 'gone.png'\n   Downloaded: Failed (" in prompt
    assert contents == PNG
    assert_empty(tmp_path)


def test_a_discord_bot(tmp_path):
    """It answers who mentions it, shows the model the files, tells what is missing, and leaves nothing."""
    me, sent = SimpleNamespace(id=1), []

    @asynccontextmanager
    async def typing():
        sent.append("typing")
        yield

    async def ask(question, stage):
        return f"{question} {[path.read_bytes() for path in stage.paths] == [PNG]} {stage!r}" + "." * 3000

    async def reply(text):
        sent.append(text)

    def message(*urls, **changes):
        parts = {"author": SimpleNamespace(bot=False), "mentions": [me], "id": 7, "content": "What is this?"}
        channel = SimpleNamespace(typing=typing)
        return SimpleNamespace(**{**vars(message_of(*urls)), **parts, "channel": channel, "reply": reply, **changes})

    async def main():
        async with FakeCDN() as cdn:
            area = partial(StagingArea, tmp_path, policy=cdn.policy)
            names = await run(BOT, discord=discord, StagingArea=area, ask=ask)

            async def start(bot, token):
                bot._connection.user = me
                urls = cdn.serve("/photo.png", PNG), cdn.url("/gone.png")
                await bot.on_message(message(*urls, mentions=[]))
                await bot.on_message(message(*urls, author=SimpleNamespace(bot=True)))
                await bot.on_message(message(*urls))
                assert_empty_but_root(tmp_path)
                assert bot.allowed_mentions.everyone is False

            names["Bot"].start = start
            await names["main"]("token")

    asyncio.run(main())
    assert sent[0] == "typing"
    (answer,) = sent[1:]
    assert answer.startswith("What is this? True <AttachmentStage open: 1 file, 1 failure")
    assert answer.endswith("\n\n1 of 2 attachments could not be used: gone.png: the file is no longer there.")
    assert len(answer) < 2000
    assert_empty(tmp_path)


def assert_empty_but_root(root):
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


async def test_an_area(tmp_path, monkeypatch, caplog):
    """The area and its stage take the numbers that the program gives them."""
    given = {}

    def area_here(root, **options):
        given.update(options, root=root)
        return StagingArea(tmp_path, policy=cdn.policy, **options)

    monkeypatch.setattr(staging, "StagingArea", area_here)
    caplog.set_level(logging.INFO, "staging")
    async with FakeCDN() as cdn:
        names = await run(AREA, message=message_of(cdn.serve("/photo.png", PNG)))
    assert given == {"root": "/var/tmp/bot", "limits": Limits(concurrency=16), "max_total_mb": 5_000}
    assert [file.name for file in names["stage"].files] == ["photo.png"]
    assert "Downloaded 1/1 attachments for thread 42" in caplog.text
    assert_empty(tmp_path)


async def test_a_match_on_outcomes(tmp_path, capsys):
    """Each branch of the program is taken by the outcome that it is about."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, limits=Limits(retries=0), policy=cdn.policy) as stage:
        pdf = cdn.serve("/photo.png", b"%PDF-1.7\n%%EOF\n")
        busy = cdn.serve("/busy.txt", b"", status=503)
        await stage.download(pdf, cdn.url("/gone.txt"), busy, {"url": "https://example.com/", "type": "url"})
        await run(OUTCOMES, stage=stage, StagedFile=StagedFile, Failure=Failure, Skipped=Skipped)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"a PDF, whatever its name says: {stage.directory / 'photo.png'}"
    assert lines[1] == "ask for it again: gone.txt"
    assert lines[2].startswith("may work later: ")
    assert len(lines) == 3


async def test_policies():
    """Each policy admits and refuses what the comment beside it says."""
    await run(HOSTS, UrlPolicy=UrlPolicy)
    named, public, own = (
        eval(compile(ast.Expression(line.value), HOSTS, "eval"), {"UrlPolicy": UrlPolicy})
        for line in ast.parse(programs()[HOSTS]).body
    )
    for policy, url in [
        (named, "https://files.example.com/"), (named, "https://a.b.example.org/"), (public, "https://anything.net/"),
        (own, "http://nas.local:8080/"),
    ]:  # fmt: skip
        policy.check(url)
    own.check_address("192.168.0.2")
    for policy, url in [
        (named, "https://example.org/"), (named, "http://files.example.com/"), (named, "https://files.example.com:8443/"),
        (named, "https://other.example.com/"), (public, "https://192.168.0.2/"), (own, "http://nas.local/"),
    ]:  # fmt: skip
        with pytest.raises(RejectedError):
            policy.check(url)
    with pytest.raises(RejectedError):
        public.check_address("192.168.0.2")


async def test_private_files(tmp_path, caplog):
    """The token reaches the files' own origin, and no log, repr or prompt."""
    caplog.set_level(logging.DEBUG)
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        file = {"url_private": cdn.serve("/files-pri/T1-F1/plan.png", PNG), "name": "plan.png"}
        await run(PRIVATE, stage=stage, file=file, token="xoxb-secret")
        assert [request.header("Authorization") for request in cdn.requests] == ["Bearer xoxb-secret"]
        assert [staged.name for staged in stage.files] == ["plan.png"]
        shown = f"{stage!r} {stage.outcomes!r} {stage.context(urls='full')} {caplog.text}"
    assert "secret" not in shown


@asynccontextmanager
async def forward_proxy():
    """Run a proxy that tunnels (RFC 9110 section 9.3.6); yield its URL, and what it was asked for."""
    asked = []

    async def pump(source, sink):
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                await sink.send(await source.receive())

    async def serve(client):
        head = b""
        async with client:
            while b"\r\n\r\n" not in head:
                head += await client.receive()
            method, target, _ = head.decode("ascii").split(maxsplit=2)
            asked.append((method, target))
            host, _, port = target.partition(":")
            async with await anyio.connect_tcp(host, int(port)) as server, anyio.create_task_group() as group:
                await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
                group.start_soon(pump, client, server)
                await pump(server, client)
                group.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}", asked
        group.cancel_scope.cancel()


async def test_a_proxy_and_an_authority(tmp_path, monkeypatch):
    """Both scopes trust the company's authority; only the second goes through the proxy, and no variable decides it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with forward_proxy() as (proxy, asked), FakeCDN(tls=context) as cdn:
        names = await run(
            PROXY, ssl=ssl, httpx=httpx, AttachmentStage=partial(AttachmentStage, tmp_path / "root", policy=cdn.policy),
            authority=tmp_path / "company.pem", proxy=proxy, urls=[cdn.serve("/photo.png", PNG)],
        )  # fmt: skip
        assert [len(names[scope].files) for scope in ("direct", "proxied")] == [1, 1]
        assert len(cdn.requests) == 2
        assert asked == [("CONNECT", f"127.0.0.1:{cdn.port}")]
    assert_empty(tmp_path / "root")


PLUGINS = {
    "asyncio": "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function",
    "anyio": "anyio_mode = auto",
    "trio": "trio_mode = true",
}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_test_of_a_bot(tmp_path, plugin):
    """It passes under each plugin, with fixtures that end in other tasks, and leaves no socket and no warning."""
    (tmp_path / "test_bot.py").write_text(f"PNG = {PNG!r}\n\n{programs()[TEST]}")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{PLUGINS[plugin]}\n")
    if plugin == "anyio" and "anyio_mode" not in inspect.getsource(anyio.pytest_plugin):
        pytest.skip("this anyio has no mode yet")
    line = [sys.executable, "-m", "pytest", "-q", "-Werror", "-pno:cacheprovider", "-p", plugin]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=alone)
    assert re.search(r"^[12] passed in", done.stdout, re.MULTILINE), done.stdout + done.stderr  # anyio's: on both loops
    assert done.returncode == 0


# What it shows and says


def shown():
    return [
        StagedFile(
            attachment=Attachment(f"{CDN}/script.py?ex=66&hm=5e"),
            name="script.py",
            path=Path("/tmp/staging-x5cqa7pdy3hxxtdu/script.py"),
            size=1,
            media_type="text/x-python",
        ),
        failed("scan.tiff", too_large(50 * MB, round(61.2 * MB))),
        Skipped(
            attachment=Attachment("https://example.com/page", kind="url"),
            name="https://example.com/page",
            reason="link",
        ),
    ]


def failed(name, error):
    return failure(Attachment(f"{CDN.removesuffix('2')}3/{name}?ex=66", kind="image"), name, error)


def test_the_context_block_is_one():
    (block,) = [code for language, code in FENCE.findall(README) if language == "text"]
    assert context(shown()) == block.rstrip("\n")


def test_the_notice_is_one():
    staged, over, _ = shown()
    expired = failed("a.png", DownloadError("expired", "the link has expired"))
    (sentence,) = re.findall(r"`stage\.notice\(\)` is .*?\*(.+?)\*", README, re.DOTALL)
    assert notice([staged, over, staged, expired, staged]) == sentence.replace("\n", " ")


def anchors(page):
    """Return the anchors of a page's headings, as the hosts of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_its_links_lead_somewhere():
    """A file that is there, and a heading in it; an index shows them with the repository's address before."""
    pages = {"": anchors(README), "examples/recipes.md": anchors(PAGE)}
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    assert len(links) > 10
    assert [path for path, _, _ in links if not (ROOT / path).exists()] == []
    assert [f"{path}#{anchor}" for path, _, anchor in links if anchor and anchor not in pages[path]] == []


def test_every_recipe_and_every_example_is_named():
    assert {anchor for anchor in anchors(PAGE) if f"(examples/recipes.md#{anchor})" not in README} == {
        "recipes", "chats", "servers-and-scripts", "networks-and-tests",  # headings of several
    }  # fmt: skip
    paths = re.findall(r"`(?:uv run )?((?:tests|examples)/[\w./]+)`", f"{README}\n{PAGE}")
    assert [path for path in paths if not (ROOT / path).exists()] == []
    named = {Path(word).name for word in paths} | {Path(shell()[0].split()[-1]).name}
    assert {path.name for path in (ROOT / "examples").glob("*.py")} <= named


def test_it_bears_reading():
    """A bot's author reads ten minutes, and an operator one page; recipes have a page of their own."""
    assert README.count("\n") <= 400


def test_the_changelog_begins_with_this_version():
    changelog = README.partition("## Changelog\n")[2]
    assert re.search(r"^### ([0-9.]+)", changelog, re.MULTILINE)[1] == staging.__version__


def shell():
    """Return the lines of all shell blocks."""
    return "".join(code for language, code in FENCE.findall(README) if language == "sh").splitlines()


def test_the_two_commands_stand_there():
    """To see it work, and to run its tests; `.ci/run` takes the second from here."""
    assert shell()[:2] == ["pip install uv && uv run examples/quickstart.py", "pip install uv && uv run pytest"]
    assert (ROOT / "examples" / "quickstart.py").is_file()


def test_the_shell_lines_are_understood(tmp_path, monkeypatch):
    """The command takes each line as it stands."""
    monkeypatch.chdir(tmp_path)
    run, get, sweep = (shlex.split(line, comments=True) for line in shell()[2:])
    order = orders.run_order(["--partial", *run[2:]])
    assert [*order.urls] == ["https://cdn.discordapp.com/attachments/1/2/scan.pdf"]
    assert [*order.command] == ["llm", "what is this?", "-a", "{}"]
    order = orders.get_order(get[2:])
    assert order.policy.check(order.urls[0]).host == "files.example.com"
    assert orders.sweep_parser().parse_args(sweep[2:]).root == "/var/tmp/bot"
    assert [line[:2] for line in (run, get, sweep)] == [["staging", name] for name in ("run", "get", "sweep")]


def test_the_installation_is_the_package():
    assert f"`pip install {PROJECT['name']}`" in README
    assert f"Python {PROJECT['requires-python'].removeprefix('>=')}+" in README
    (core,) = re.findall(r"Core dependencies: (.+?)\.", README)
    assert core.split(", ") == [re.match(r"\w+", requirement)[0] for requirement in PROJECT["dependencies"]]


def test_the_numbers_are_the_defaults():
    numbers = README.partition("### Limits\n")[2].partition("\n##")[0]
    told = {name: float(value) for name, value in re.findall(r"`(\w+)=([0-9.]+)`", numbers)}
    assert told == {name: getattr(Limits(), name) for name in Limits.__slots__}
    assert f"about {round((BUFFER + MAX_RAW) / 1024**2)} MB in memory" in " ".join(numbers.split())
    assert f"after {REMOVAL_SECONDS:g} seconds" in README


OWNERS = {"stage": AttachmentStage, "area": StagingArea, "staging": staging, "llm": llm}
PARAMETERS = {
    name
    for function in (
        AttachmentStage,
        StagingArea,
        AttachmentStage.download,
        AttachmentStage.context,
        Attachment,
        Limits,
        UrlPolicy.only,
        Reply,
        llm.parts,
    )
    for name in inspect.signature(function).parameters
}


def is_real(word):
    """Whether a word in code font is a name of this package; None if it is about something else."""
    if owned := re.match(r"(?:await )?(stage|area|staging|llm)\.(\w+)", word):
        return hasattr(OWNERS[owned[1]], owned[2])
    if parameter := re.match(r"(\w+)=", word):
        return parameter[1] in PARAMETERS
    if word in {*staging.__all__, *testing.__all__, *PROJECT["optional-dependencies"]}:
        return True
    if public := re.fullmatch(r"([A-Z][a-z]\w+)(?:\.(\w+))?(?:\(.*)?", word):
        owner = getattr(staging, public[1], None)
        return owner is not None and (public[2] is None or hasattr(owner, public[2]))
    if re.fullmatch(r"[a-z_]+", word):
        return word in PARAMETERS | set(dir(AttachmentStage)) | set(dir(StagedFile)) | set(get_args(Reason))
    return None


OTHERS = {
    "KeyboardInterrupt", "staging", "repr", "TaskGroup", "Task.cancel()", "ResourceWarning", "msvcrt",
    "start_blocking_portal", "emptyDir", "sizeLimit", "exec", "TMPDIR",
    "save", "stream", "use_cached=True",  # other libraries'
    "BinaryContent(data=part.data, media_type=part.media_type)", "ChatOpenAI", "part.section",
    "HumanMessage(await llm.anthropic_blocks(stage))",
    'Runner.run(agent, [{"role": "user", "content": await llm.openai_blocks(stage)}])',
    "KillMode=mixed", "TimeoutStopSec=30", "CacheDirectory=", "PrivateTmp=yes", "NoNewPrivileges=yes",  # systemd's
    'asyncio_mode = "auto"', 'anyio_mode = "auto"', "trio_mode = true",  # pytest's
}  # fmt: skip


def test_every_name_in_the_text_is_real():
    words = set(re.findall(r"`([^`\n]+)`", FENCE.sub("", f"{README}\n{PAGE}"))) - OTHERS
    judged = {word: is_real(word) for word in words}
    assert [word for word, real in judged.items() if real is False] == []
    assert sum(real is True for real in judged.values()) >= 45, judged
