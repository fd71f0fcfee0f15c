"""Copies at a provider live as long as the scope: through the real SDKs, against an API that misbehaves."""

import asyncio
import contextlib
import inspect
import json
import logging
import os
import random
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import anthropic
import anthropic.types
import anyio
import anyio.to_thread
import google.genai
import openai
import openai.types.responses
import pydantic
import pytest
from files_api import files_api
from llm_stage import failure, pdf, staged_file
from uploading import PNG, PROVIDERS, client_of, stage_in

from staging import AttachmentStage, StageClosedError, StagingArea, WorkspaceError, llm
from staging.llm import _copies, uploads
from staging.llm._ledger import Ledger, orphans
from staging.testing import FakeCDN, Reply, assert_empty

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # google-genai's, of aiohttp

DOC = pdf("page")
FILES_ARE_GENERAL = hasattr(anthropic.AsyncAnthropic, "files")  # before, they were in beta, and kept until deleted


def a_stage(root):
    """Return a stage with a picture, a document and a text."""
    return stage_in(root, ("i.png", PNG), ("d.pdf", DOC), ("a.txt", b"text"))


def ledgers(root):
    return sorted(path for path in root.iterdir() if path.name.startswith("staging-uploads-"))


@pytest.fixture(autouse=True)
def read_already(monkeypatch, request):
    """Let the files be read in no time, but for one test: how they are read is tested elsewhere."""

    async def gather(stage, given):
        stage.context()
        made = []
        for number, outcome in enumerate(stage.outcomes, 1):
            if outcome.downloaded and outcome.name.endswith(("png", "pdf")):
                common = {"number": number, "outcome": outcome, "name": outcome.name, "media_type": outcome.media_type}
                if outcome.name.endswith("png"):
                    made.append(llm.ImagePart(**common, data=outcome.path.read_bytes(), width=8, height=6))
                else:  # it goes from the disk
                    made.append(llm.DocumentPart(**common, data=b""))
        shown = {part.number for part in made}
        unread = [
            llm.Unread(number=number, outcome=outcome, reason="it is not read here")
            for number, outcome in enumerate(stage.outcomes, 1)
            if number not in shown
        ]
        return llm.Parts(made, unread=unread, outcomes=stage.outcomes)

    if "files_are_there" not in request.node.name:
        monkeypatch.setattr(uploads, "gather", gather)


@pytest.fixture
def short(monkeypatch):
    """Let nothing be waited for as long as a user would."""
    monkeypatch.setattr(uploads, "_EXIT_SECONDS", 1.5)  # enough for what succeeds, on a busy machine too
    monkeypatch.setattr(_copies, "_LOOKS", (0.0, 0.05))


# The scope


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_files_are_there_in_the_scope_and_nowhere_after_it(provider, tmp_path):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            scope = llm.uploaded(a_stage(tmp_path), client)
            async with scope as blocks:
                assert len(api.files) == 2
                assert all(identity in json.dumps(blocks) for identity in api.files)
                assert blocks[-1].get("text", "").endswith("```text\ntext\n```")
                (ledger,) = ledgers(tmp_path)
                assert ledger.stat().st_mode & 0o777 == 0o600
                assert all(identity in ledger.read_text() for identity in api.files)
            assert (api.files, scope.leftovers, ledgers(tmp_path)) == ({}, (), [])
            assert api.requests == ["upload"] * 2 + ["delete"] * 2
            if provider == "openai" or (provider == "anthropic" and FILES_ARE_GENERAL):
                assert api.expiries == [86_400, 86_400]


BLOCKS = {
    "anthropic": anthropic.types.ContentBlockParam if FILES_ARE_GENERAL else anthropic.types.beta.BetaContentBlockParam,
    "openai": openai.types.responses.ResponseInputContentParam,
    "google": google.genai.types.Part,
}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_blocks_are_what_the_sdk_takes(provider, tmp_path):
    adapter = pydantic.TypeAdapter(BLOCKS[provider])
    with files_api() as (address, _):
        async with client_of(provider, address) as client, llm.uploaded(a_stage(tmp_path), client) as blocks:
            for block in blocks:
                adapter.validate_python(block)
            assert "image 1 above" in blocks[2]["text"]
            assert "document 1 above" in blocks[2]["text"]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_an_api_that_fails_does_not_hide_the_bodys_exception(provider, tmp_path, short):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            scope = llm.uploaded(a_stage(tmp_path), client)
            with pytest.raises(ZeroDivisionError):
                async with scope:
                    api.script["delete"] = [500] * 100
                    raise ZeroDivisionError
            assert len(scope.leftovers) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_cannot_be_deleted_is_told_and_left_to_the_sweep(provider, tmp_path, short, caplog):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            scope = llm.uploaded(a_stage(tmp_path), client)
            with caplog.at_level(logging.WARNING, "staging"):
                async with scope:
                    there = dict(api.files)
                    api.script["delete"] = [503] * 1000
            assert dict(scope.leftovers).keys() == there.keys()
            assert all("503" in reason for _, reason in scope.leftovers)
            assert caplog.text.count("Could not delete 2 of the copies") == 1
            api.script["delete"] = []
            assert await llm.sweep_uploads(client, tmp_path) == 2
            assert (api.files, ledgers(tmp_path)) == ({}, [])
            assert await llm.sweep_uploads(client, tmp_path) == 0


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_deletion_is_tried_again_and_what_is_gone_is_gone(provider, tmp_path):
    """A 404 after a lost answer, or since the provider forgot it, is no leftover."""
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            scope = llm.uploaded(a_stage(tmp_path), client)
            async with scope:
                api.script["delete"] = ["lose", "forget", 429]
            assert (api.files, scope.leftovers, ledgers(tmp_path)) == ({}, (), [])


async def test_a_deletion_that_hangs_is_asked_for_again(tmp_path, monkeypatch):
    """What the provider did meanwhile is no leftover."""
    monkeypatch.setattr(_copies, "_ONE_REQUEST", 0.2)
    with files_api() as (address, api):
        async with client_of("openai", address) as client:
            scope = llm.uploaded(a_stage(tmp_path), client)
            async with scope:
                api.script["delete"] = ["hang", "hang"]
            assert (api.files, scope.leftovers, ledgers(tmp_path)) == ({}, (), [])
            assert api.requests.count("delete") > 2


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_copy_whose_answer_was_lost_is_found_and_deleted(provider, tmp_path, short):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            api.script["upload"] = ["lose", "lose"]
            scope = llm.uploaded(a_stage(tmp_path), client)
            async with scope as blocks:
                assert "did not take it" not in json.dumps(blocks)
                assert len(api.files) >= 2
            assert (api.files, scope.leftovers, ledgers(tmp_path)) == ({}, (), [])


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_a_list_that_fails_is_asked_for_again_and_else_a_leftover(provider, tmp_path, short):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            api.script["upload"], api.script["list"] = ["lose"], [500, 503]
            scope = llm.uploaded(a_stage(tmp_path), client)
            async with scope:
                pass
            assert (api.files, scope.leftovers) == ({}, ())
            api.script["upload"], api.script["list"] = ["lose"], [401] * 9
            scope = llm.uploaded(a_stage(tmp_path / "workspace"), client)
            async with scope:
                pass
            assert len(api.files) == len(scope.leftovers) == 1
            api.script["list"] = []
            assert await llm.sweep_uploads(client, tmp_path / "workspace") == 1
            assert api.files == {}


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_a_file_that_the_provider_refuses_is_a_line(provider, tmp_path):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            api.script["upload"] = [413]
            scope = llm.uploaded(stage_in(tmp_path, ("i.png", PNG), failure()), client)
            async with scope as blocks:
                assert len(blocks) == 1
                assert "the provider did not take it (" in blocks[0]["text"]
                assert "status 413" in blocks[0]["text"]
                assert "i.png" in scope.parts.notice()
                assert "lost.png" in scope.parts.notice()
            assert api.requests == ["upload"]


async def test_without_files_nothing_is_sent_and_nothing_is_written(tmp_path):
    with files_api() as (address, api):
        async with client_of("openai", address) as client:
            async with llm.uploaded(stage_in(tmp_path, ("a.txt", b"text")), client) as blocks:
                assert [block["type"] for block in blocks] == ["input_text"]
                assert ledgers(tmp_path) == []
            assert api.requests == []


async def test_what_is_too_slow_is_a_line_and_a_sweep_finds_it_when_it_has_arrived(tmp_path, short):
    """Its request was broken off; nobody can know whether the provider goes on with it."""
    with files_api() as (address, api):
        async with client_of("openai", address) as client:
            api.delay = 1
            scope = llm.uploaded(stage_in(tmp_path, ("i.png", PNG)), client, seconds=0.5)
            async with scope as blocks:
                assert "it was not sent within 0.5 seconds" in blocks[0]["text"]
            assert [reason for _, reason in scope.leftovers] == ["its request was broken off, and may still arrive"]
            assert await anyio.to_thread.run_sync(api.stored.wait, 20)
            assert await llm.sweep_uploads(client, tmp_path) == 1
            assert (api.files, ledgers(tmp_path)) == ({}, [])


async def test_a_file_that_was_deleted_meanwhile_is_a_line(tmp_path):
    """What goes as it is is read when it is sent."""
    with files_api() as (address, api):
        stage = stage_in(tmp_path, ("d.pdf", DOC), ("e.pdf", DOC))
        stage.outcomes[0].path.unlink()
        async with client_of("openai", address) as client:
            scope = llm.uploaded(stage, client)
            async with scope as blocks:
                assert [block["type"] for block in blocks] == ["input_file", "input_text"]
                assert "(it was deleted after it was staged)" in blocks[1]["text"]
                assert "d.pdf" in scope.parts.notice()
                assert [part.data for part in scope.parts] == [b""]
            assert (api.files, scope.leftovers, ledgers(tmp_path)) == ({}, (), [])
            assert api.requests == ["upload", "delete"]


HELD = """
import re, sys, anyio; sys.path[:0] = [sys.argv[1]]
from dataclasses import replace
from pathlib import Path
from llm_stage import pdf
from uploading import client_of, stage_in, warm
from staging import llm
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
async def main(root, provider, address, ballast):
    await warm(provider, address)
    presets = {"anthropic": llm.ANTHROPIC, "openai": llm.OPENAI, "google": llm.GEMINI}
    limits = replace(presets[provider], max_pdf_bytes=1 << 40, max_file_bytes=1 << 40)
    (root / "d.pdf").write_bytes(pdf("page", ballast=bytes(1000)))
    with (root / "d.pdf").open("ab") as file:
        for _ in range(ballast):
            file.write(b"%" * (1 << 20))
    stage = stage_in(root, ("d.pdf", root / "d.pdf"))
    async with client_of(provider, address) as client:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = peak()
        async with llm.uploaded(stage, client, limits=limits, max_inline_mb=1000) as blocks:
            print(len(blocks), peak() - before)
anyio.run(main, Path(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5]))
"""


@pytest.mark.parametrize("provider", PROVIDERS if "STAGING_LARGE" in os.environ else ["openai", "google"])
def test_a_large_file_is_not_held_in_memory(provider, tmp_path):
    """Anthropic's SDK is made as OpenAI's is."""
    megabytes = int(os.environ.get("STAGING_LARGE", "80"))
    with files_api() as (address, api):
        line = [
            sys.executable,
            "-c",
            HELD,
            str(Path(__file__).parent),
            str(tmp_path),
            provider,
            address,
            str(megabytes),
        ]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert sum(api.sizes) > megabytes << 20
        blocks, grown = map(int, done.stdout.split())
        assert blocks == 2
        assert grown < 50  # four pieces of 8 MB, where the SDK makes them


async def test_a_scope_lives_once(tmp_path):
    with files_api() as (address, _):
        async with client_of("openai", address) as client:
            scope = llm.uploaded(stage_in(tmp_path, ("a.txt", b"text")), client)
            async with scope:
                with pytest.raises(RuntimeError, match="live once"):
                    await scope.__aenter__()


async def test_nothing_is_sent_that_cannot_be_written_down(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "full")

    monkeypatch.setattr(Ledger, "open", full)
    with files_api() as (address, api):
        async with client_of("openai", address) as client:
            with pytest.raises(WorkspaceError, match="no list of uploads can be kept"):
                async with llm.uploaded(a_stage(tmp_path), client):
                    raise AssertionError("the body must not run")
            assert api.requests == []


# Cancellation


async def _scope(client, root, number):
    stage = stage_in(root / str(number), ("0.png", PNG), ("1.pdf", DOC), ("2.png", PNG))
    async with llm.uploaded(stage, client):
        await anyio.sleep(0.02)


async def _cancelled_at_random_moments(client, root, count, native):
    """Run scopes that end at a random moment of entry, body or exit."""

    async def one(number):
        (root / str(number)).mkdir()
        moment = random.random() * 0.25
        if native:
            task = asyncio.ensure_future(_scope(client, root, number))
            await asyncio.sleep(moment)
            for _ in range(random.choice([1, 3])):
                task.cancel()
                await asyncio.sleep(0)
            with contextlib.suppress(asyncio.CancelledError):
                await task
        else:
            with anyio.move_on_after(moment):
                await _scope(client, root, number)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_cancelled_scope_leaves_no_copy(provider, native, tmp_path, loop_name):
    if native and loop_name == "trio":
        pytest.skip("asyncio's own")
    with files_api() as (address, api):
        api.delay, api.delete_delay = 0.02, 0.01
        async with client_of(provider, address) as client:
            await _cancelled_at_random_moments(client, tmp_path, int(os.environ.get("STAGING_UPLOADS", "8")), native)
        assert api.files == {}
        assert [path for folder in tmp_path.iterdir() for path in ledgers(folder)] == []


async def test_the_stages_own_end_is_the_copies_end(tmp_path):
    """As when an area is left while a message is still being answered."""
    async with FakeCDN() as cdn:
        url = cdn.script("/i.png", Reply(PNG))
        with files_api() as (address, api):
            async with client_of("openai", address) as client:
                async with StagingArea(tmp_path, policy=cdn.policy) as area, area.stage() as stage:
                    await stage.download(url)
                    scope = llm.uploaded(stage, client)
                    async with scope:
                        assert len(api.files) == 1
                        await stage.aclose()
                        assert (api.files, ledgers(tmp_path)) == ({}, [])
                    assert scope.leftovers == ()
                assert api.requests == ["upload", "delete"]
    assert_empty(tmp_path)


async def test_a_stage_that_ends_while_files_are_sent_leaves_no_copy(tmp_path):
    async with FakeCDN() as cdn:
        url = cdn.script("/i.png", Reply(PNG))
        with files_api() as (address, api):
            api.delay = 0.3
            async with client_of("openai", address) as client, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
                await stage.download(url)

                async def use():
                    with pytest.raises(StageClosedError):
                        async with llm.uploaded(stage, client):
                            raise AssertionError("the body must not run")

                async with anyio.create_task_group() as group:
                    group.start_soon(use)
                    await anyio.to_thread.run_sync(api.asked.wait, 20)
                    await stage.aclose()
                    assert api.files == {}
            assert api.files == {}
    assert_empty(tmp_path)


async def test_a_cancellation_is_not_held_up_by_an_api_that_hangs(tmp_path, monkeypatch, short):
    monkeypatch.setattr(uploads, "_GRACE", 0.1)
    with files_api() as (address, api):
        api.delay = 1
        async with client_of("openai", address) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(_in_scope, tmp_path, client)
                await anyio.to_thread.run_sync(api.asked.wait, 20)
                begun = anyio.current_time()
                group.cancel_scope.cancel()
            assert anyio.current_time() - begun < 0.9


async def _in_scope(root, client):
    async with llm.uploaded(a_stage(root), client):
        raise AssertionError("the body must not run")


# Death


@contextlib.contextmanager
def children_of(provider, address):
    """Yield a function that gives an order to a process that forks what is killed, and returns its answer."""
    line = [sys.executable, str(Path(__file__).parent / "uploading.py"), provider, address]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:

        def order(words, until):
            if words:
                parent.stdin.write(f"{words}\n")
                parent.stdin.flush()
            return next(line.strip() for line in parent.stdout if re.fullmatch(until, line.strip()))

        yield order


@pytest.mark.parametrize("provider", PROVIDERS if "STAGING_KILLS" in os.environ else ["openai", "google"])
def test_a_sweep_takes_what_the_killed_left_and_nothing_of_the_living(provider, tmp_path):
    """Killed while it sends, or when all is there."""
    count = int(os.environ.get("STAGING_KILLS", "2"))
    swept = partial(anyio.run, _sweep, provider)
    with files_api() as (address, api), children_of(provider, address) as order:
        living = order(tmp_path / "living", r"\d+")
        order("", "there")
        alive = set(api.files)
        api.delay = 0.05
        for number in range(count):
            root = tmp_path / f"killed{number}"
            api.asked.clear()
            killed = order(root, r"\d+")
            if number % 2:
                order("", "there")
            else:
                api.asked.wait(20)
                time.sleep(random.random() * 0.1)
            order(killed, "dead")
            time.sleep(0.1)  # what the dead process sent is stored now
            assert swept(address, root) >= 0
            assert ledgers(root) == []
            assert set(api.files) == alive
            assert swept(address, tmp_path / "living") == 0
        assert set(api.files) == alive
        assert len(ledgers(tmp_path / "living")) == 1
        order(living, "dead")
        assert swept(address, tmp_path / "living") == 3
        assert api.files == {}


async def _sweep(provider, address, root):
    async with client_of(provider, address) as client:
        return await llm.sweep_uploads(client, root)


async def test_a_sweep_of_another_provider_touches_nothing(tmp_path, short):
    with files_api() as (address, api):
        async with client_of("openai", address) as client:
            async with llm.uploaded(a_stage(tmp_path), client):
                api.script["delete"] = [403] * 2
            assert len(api.files) == 2
            async with client_of("anthropic", address) as other:
                assert await llm.sweep_uploads(other, tmp_path) == 0
            assert len(api.files) == 2
            assert await llm.sweep_uploads(client, tmp_path) == 2


# The ledger


def _ledger(root, *lines):
    path = root / "staging-uploads-0123456789abcdef"
    path.write_text("\n".join(lines))
    return path


def test_a_ledger_that_a_crash_has_cut_is_read_as_far_as_it_goes(tmp_path):
    names = ['{"name": "a"}', '{"name": "b"}']
    path = _ledger(tmp_path, '{"provider": "openai"}', *names, '{"name": "a", "id": "file-1"}', '{"name": "b", "i')
    (orphan,) = orphans(str(tmp_path), "openai")
    assert orphan.copies == {"a": "file-1", "b": ""}
    orphan.close(keep=False)
    assert not path.exists()


@pytest.mark.parametrize(
    "line", ["rubbish", "[]", '{"name": 5}', '{"name": "a", "id": "../x y"}', '{"name": ""}', "\0"]
)
def test_a_ledger_of_rubbish_names_nothing(line, tmp_path):
    _ledger(tmp_path, '{"provider": "openai"}', line)
    (orphan,) = orphans(str(tmp_path), "openai")
    assert set(orphan.copies.values()) <= {""}
    orphan.close(keep=True)


def test_what_is_no_ledger_of_ours_is_not_touched(tmp_path):
    """A link, a pipe, a file of another user: it may name files that are ours at the provider."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"provider": "openai"}\n{"name": "a", "id": "file-1"}\n')
    (tmp_path / "staging-uploads-0123456789abcde0").symlink_to(elsewhere)
    os.mkfifo(tmp_path / "staging-uploads-0123456789abcde1")
    (tmp_path / "staging-uploads-0123456789abcde2").mkdir()
    if os.geteuid() == 0:
        path = _ledger(tmp_path, elsewhere.read_text())
        os.chown(path, 12345, 12345)
    assert orphans(str(tmp_path), "openai") == []


def test_a_ledger_whose_owner_lives_is_not_handed_out(tmp_path):
    ledger = Ledger(str(tmp_path))
    ledger.open("openai", ["a"])
    assert orphans(str(tmp_path), "openai") == []
    ledger.close(keep=True)
    (orphan,) = orphans(str(tmp_path), "openai")
    assert orphans(str(tmp_path), "openai") == [], "one sweep at a time"
    orphan.close(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_was_never_finished_goes(tmp_path):
    """Its owner died before it sent anything."""
    (tmp_path / "staging-uploads-0123456789abcdef.new").write_text("")
    assert orphans(str(tmp_path), "openai") == []
    assert list(tmp_path.iterdir()) == []


# Bad input


class Strange:
    """Looks like nothing."""


@pytest.mark.parametrize(
    ("client", "error", "words"),
    [
        (Strange, TypeError, "client must be anthropic.AsyncAnthropic, openai.AsyncOpenAI or"),
        (lambda: None, TypeError, "client must be"),
        (lambda: openai.AsyncOpenAI, TypeError, "with a Files API; this is the class openai.AsyncOpenAI"),
        (lambda: openai.AsyncOpenAI(api_key="x").with_raw_response, TypeError, "AsyncOpenAIWithRawResponse"),
        (
            lambda: anthropic.AsyncAnthropicVertex(region="x", project_id="x", access_token="x"),
            TypeError,
            "a Files API",
        ),
        (lambda: google.genai.Client(vertexai=True, api_key="x"), TypeError, "must be one of the Gemini API"),
        (lambda: google.genai.Client(vertexai=True, api_key="x").aio, TypeError, "must be one of the Gemini API"),
        (lambda: openai.OpenAI(api_key="x"), TypeError, "client must be async: openai.AsyncOpenAI, not openai.OpenAI"),
        (lambda: anthropic.Anthropic(api_key="x"), TypeError, "client must be async: anthropic.AsyncAnthropic"),
    ],
)
async def test_a_client_that_cannot_be_used_is_one_line_at_the_call(client, error, words, tmp_path):
    made = client()
    stage = a_stage(tmp_path)
    with pytest.raises(error, match=words) as raised:
        llm.uploaded(stage, made)
    assert "\n" not in str(raised.value)
    with pytest.raises(error, match=words):
        await llm.sweep_uploads(made, tmp_path)
    if hasattr(made, "close") and not isinstance(made, type):
        closing = made.close()
        if inspect.isawaitable(closing):
            await closing


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_closed_client_is_one_line_at_the_call(provider, tmp_path):
    async with client_of(provider, "http://127.0.0.1:9") as client:
        await (client.aio.aclose() if provider == "google" else client.close())
        with pytest.raises(ValueError, match="the client is closed"):
            llm.uploaded(a_stage(tmp_path), client)
        with pytest.raises(ValueError, match="the client is closed"):
            await llm.sweep_uploads(client, tmp_path)


class Wrapped:
    """Passes on what it does not know, as the clients of observability libraries do."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wrap", [Wrapped, lambda client: client.with_options(timeout=30)], ids=["wrapped", "options"])
async def test_a_client_of_a_kind_is_taken(provider, wrap, tmp_path):
    with files_api() as (address, api):
        async with client_of(provider, address) as client:
            taken = client.aio if provider == "google" and wrap is not Wrapped else wrap(client)
            async with llm.uploaded(a_stage(tmp_path), taken):
                assert len(api.files) == 2
            assert api.files == {}


NAMES = ["\u202egnp.exe\n.png", '-rf "; drop.png', "日本語🎉.png", "." * 300 + ".png", "a\0b/../c.png", "%00%0d%0a.png"]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_any_name_arrives(provider, tmp_path):
    with files_api() as (address, api):
        files = [staged_file(tmp_path, f"{n}.png", PNG, name=name) for n, name in enumerate(NAMES)]
        stage = stage_in(tmp_path, *files)
        async with client_of(provider, address) as client:
            async with llm.uploaded(stage, client) as blocks:
                assert len(blocks) == len(api.files) + 1 == len(NAMES) + 1
                assert all(re.fullmatch(r"[\w. %-]+", name, re.ASCII) for name in api.files.values())
            assert api.files == {}


async def test_scopes_of_one_stage_may_be_nested(tmp_path):
    """Each has copies of its own, and its own end."""
    with files_api() as (address, api):
        stage = a_stage(tmp_path)
        async with client_of("openai", address) as one, client_of("anthropic", address) as other:
            async with llm.uploaded(stage, one):
                first = set(api.files)
                async with llm.uploaded(stage, other), llm.uploaded(stage, one):
                    assert len(api.files) == 6
                assert set(api.files) == first
            assert (api.files, ledgers(tmp_path)) == ({}, [])


async def test_a_second_exit_does_nothing(tmp_path):
    with files_api() as (address, api):
        async with client_of("openai", address) as client:
            scope = llm.uploaded(a_stage(tmp_path), client)
            async with scope:
                await scope.__aexit__(None, None, None)
                assert api.files == {}
            await scope.__aexit__(None, None, None)
            assert api.requests == ["upload"] * 2 + ["delete"] * 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"expires_after": 60}, ValueError, "expires_after"),
        ({"limits": 5}, TypeError, "limits"),
        ({"seconds": -1}, ValueError, "seconds"),
        ({"max_inline_mb": "all"}, ValueError, "max_inline_mb"),
    ],
)
async def test_bad_arguments_are_one_line_at_the_call(options, error, words, tmp_path):
    async with client_of("openai", "http://127.0.0.1:9") as client:
        with pytest.raises(error, match=words):
            llm.uploaded(a_stage(tmp_path), client, **options)


async def test_google_on_trio_is_one_line(tmp_path, loop_name):
    if loop_name != "trio":
        pytest.skip("it runs there")
    client = google.genai.Client(api_key="x", http_options={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(RuntimeError, match="does not run on trio"):
        async with llm.uploaded(a_stage(tmp_path), client):
            pass
    client.close()
