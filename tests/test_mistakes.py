"""Whoever makes a usual mistake gets one line, and it says what to do instead; nothing is made or contacted by then."""

import logging
import re
import ssl
import sys

import httpx
import pytest

from staging import (
    Attachment,
    AttachmentStage,
    Limits,
    StageClosedError,
    StagingArea,
    UrlPolicy,
    WorkspaceError,
    llm,
    sweep,
)
from staging._cli.output import _for_a_terminal
from staging._net import dial as _dial
from staging.testing import FakeCDN, assert_empty

URL = "https://cdn.discordapp.com/attachments/1/2/a.png"
OLD = f"{URL}?ex=1&is=1&hm=1"


async def async_observer(event):
    pass


ARGUMENTS = [
    ({"limits": {"max_mb": 5}}, TypeError, r"limits must be Limits\(\.\.\.\); this is \{'max_mb': 5\}"),
    ({"policy": "a.example"}, TypeError, r"policy must be a UrlPolicy, such as UrlPolicy\.only.*; this is 'a.example'"),
    ({"policy": UrlPolicy.public}, TypeError, "policy must be a UrlPolicy"),
    ({"client": httpx.AsyncClient}, TypeError, "client must be an open httpx.AsyncClient; this is <class"),
    ({"client": object()}, TypeError, "client must be an open httpx.AsyncClient"),
    ({"tls": "ca.pem"}, TypeError, r"tls must be an SSL context \(ssl.create_default_context\); this is 'ca.pem'"),
    ({"tls": False}, TypeError, "tls must be an SSL context"),
]  # fmt: skip


@pytest.mark.parametrize("scope", [AttachmentStage, StagingArea])
@pytest.mark.parametrize(("arguments", "error", "line"), ARGUMENTS)
def test_a_wrong_argument_is_named_where_it_is_given(scope, arguments, error, line):
    with pytest.raises(error, match=line) as caught:
        scope(**arguments)
    assert "\n" not in str(caught.value)


def test_a_number_as_text_is_named():
    with pytest.raises(ValueError, match="max_mb must be a number, not '50'"):
        AttachmentStage(max_mb="50")


def test_an_observer_that_would_never_run_is_refused():
    """Python only warns of a coroutine that nobody awaits, and only where it happens to be collected."""
    with pytest.raises(TypeError, match="on_event must be a plain function, since it is not awaited"):
        AttachmentStage(on_event=async_observer)


@pytest.mark.parametrize("given", [{"on_event": 5}, {"label": 5}, {"label": None}, {"refresh": 5}])
def test_what_would_fail_at_the_first_download_is_refused_when_it_is_given(given):
    [name] = given
    with pytest.raises(TypeError, match=f"{name} must be "):
        AttachmentStage(**given)


@pytest.mark.parametrize("scope", [AttachmentStage, StagingArea])
def test_a_synchronous_client_is_refused(scope):
    """It would block the loop, and then fail."""
    with httpx.Client() as client, pytest.raises(TypeError, match="client must be an open httpx"):
        scope(client=client)


@pytest.mark.parametrize("scope", [AttachmentStage, StagingArea])
async def test_a_trust_store_beside_a_client_would_do_nothing(scope):
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(ValueError, match=r"tls does nothing beside client: .*httpx.AsyncClient\(verify="):
            scope(client=client, tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def test_a_stage_outside_its_scope(tmp_path):
    stage = AttachmentStage(tmp_path)
    with pytest.raises(StageClosedError, match="not been entered: use it inside `async with`"):
        await stage.download(URL)
    async with stage:
        pass
    with pytest.raises(StageClosedError, match="files are gone: do the work inside its `async with`"):
        await stage.download(URL)
    with pytest.raises(StageClosedError, match="a stage lives once: make a new one"):
        await stage.__aenter__()


async def test_an_area_is_no_stage(tmp_path):
    """The names that only a stage has lead to the stage, whoever asks for them."""
    async with StagingArea(tmp_path) as area:
        for name in ("download", "context", "files"):
            with pytest.raises(AttributeError, match=f"an area has no '{name}'; a stage has: `async with area.stage"):
                getattr(area, name)
        with pytest.raises(TypeError, match="stage must be an open AttachmentStage; this is <StagingArea"):
            await llm.prompt(area)
        with pytest.raises(AttributeError, match=r"^an area has no 'fliles'$"):
            getattr(area, "fliles")  # noqa: B009  # as above
        with pytest.raises(AttributeError, match=r"^an area has no '_require_open'$"):
            getattr(area, "_require_open")  # noqa: B009  # as above
        with pytest.raises(TypeError, match="limits must be Limits"):
            area.stage(20, limits={})
    assert_empty(tmp_path)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (3, "a number cannot be staged; give a URL, something that has one"),
        (Attachment, "the class Attachment cannot be staged"),
        (print, "this builtin_function_or_method cannot be staged"),
    ],
)
async def test_what_can_be_no_source_is_named(tmp_path, source, line):
    async with AttachmentStage(tmp_path) as stage:
        with pytest.raises(TypeError, match=line):
            await stage.download(URL, source)
        assert stage.outcomes == ()


async def test_what_has_no_url_fails_and_the_log_says_how_to_give_it(tmp_path, caplog):
    """A deleted file among good ones is no reason to lose the good ones."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        staged, failed = await stage.download([cdn.file("a.txt", b"x"), {"id": "F1", "name": "b.txt"}, None])
        assert (staged.downloaded, failed.reason, failed.name) == (True, "invalid", "b.txt")
        assert "give a URL" in failed.hint
        assert "give a URL" in caplog.text
        assert "give a URL" not in stage.context() + stage.notice()


@pytest.mark.parametrize("root", [b"/tmp", 50, ["/tmp"]])
async def test_a_root_that_is_no_path(root):
    with pytest.raises(TypeError, match="temp_dir must be a path, as text or"):
        await AttachmentStage(root).__aenter__()


async def test_a_url_as_the_root_does_not_become_directories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError, match=r"temp_dir is a URL; give URLs to stage\.download"):
        await AttachmentStage(URL).__aenter__()
    assert_empty(tmp_path)


def test_a_sweep_of_nothing_does_not_mean_here(tmp_path, monkeypatch):
    """`os.scandir` takes None for the working directory."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError):
        sweep(None)


async def test_only_what_is_staged_can_be_kept(tmp_path):
    async with FakeCDN() as cdn, AttachmentStage(tmp_path / "root", policy=cdn.policy) as stage:
        await stage.download(cdn.file("a.txt", b"x"), cdn.url("/gone"))
        for given in (stage.paths[0], stage.failures[0]):
            with pytest.raises(TypeError, match=r"keep takes one of stage.files, not a (\w+Path|Failure)"):
                await stage.keep(given, tmp_path / "kept")
        missing = tmp_path / "missing"
        with pytest.raises(WorkspaceError, match=re.escape(f"a.txt cannot be kept in {missing}: it is not there")):
            await stage.keep(stage.files[0], missing / "a.txt")
        assert stage.files[0].path.read_bytes() == b"x"


POLICIES = [
    ("https://a.example/", UrlPolicy.discord(), "UrlPolicy.only names others"),
    ("http://a.example/", UrlPolicy.only("a.example"), "UrlPolicy.only(schemes=...) names others"),
    ("https://a.example:8443/", UrlPolicy.only("a.example"), "UrlPolicy.only(ports=...) names others"),
    ("https://10.0.0.1/", UrlPolicy.only("10.0.0.1"), "UrlPolicy.only(private=True) admits your own network's"),
]


@pytest.mark.parametrize(("url", "policy", "hint"), POLICIES)
async def test_a_refused_url_says_what_would_admit_it(tmp_path, url, policy, hint):
    async with AttachmentStage(tmp_path, policy=policy) as stage:
        [failure] = await stage.download(url)
    assert failure.hint.endswith(hint)
    assert "UrlPolicy" not in failure.detail
    assert "UrlPolicy" not in _for_a_terminal(failure)
    assert "--" in _for_a_terminal(failure)


def test_nobody_is_told_how_to_reach_cloud_metadata():
    with pytest.raises(ValueError, match="cloud metadata") as caught:
        UrlPolicy.only("a.example").check_address("169.254.169.254")
    assert "private=True" not in str(caught.value)


def test_hosts_in_a_list():
    with pytest.raises(ValueError, match=r"hosts are given one by one, only\(\*hosts\), not as a list"):
        UrlPolicy.only(["a.example", "b.example"])


# Behind a proxy, and with an authority of one's own


async def refused(tmp_path, cdn, **options):
    async with AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=0), **options) as stage:
        [failure] = await stage.download(cdn.serve("/a.txt", b"x"))
    assert failure.reason in {"connect", "interrupted"}
    return failure


async def refused_detail(tmp_path, cdn, **options):
    return (await refused(tmp_path, cdn, **options)).detail


async def test_a_proxy_that_is_not_used_is_named_when_nothing_can_be_reached(tmp_path, monkeypatch):
    """The environment decides nothing, but whoever relies on it reads why it did not help."""
    async with FakeCDN() as cdn:
        pass
    plain = await refused_detail(tmp_path, cdn)
    assert plain == "127.0.0.1 refused the connection"
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:9")
    told = await refused(tmp_path, cdn)
    assert told.detail == plain
    assert told.hint == "HTTPS_PROXY is set and not used: give client=httpx.AsyncClient(proxy=...)"
    assert "client=" not in _for_a_terminal(told)
    monkeypatch.setattr(_dial, "CONNECT_TIMEOUT", 0.1)
    async with FakeCDN(tls="stall") as cdn:
        told = await refused(tmp_path, cdn)
        assert told.detail.endswith("within 0.1 seconds")
        assert told.hint.startswith("HTTPS_PROXY is set")


async def test_an_authority_that_is_not_trusted(tmp_path):
    async with FakeCDN(tls=True) as cdn:
        told = await refused(tmp_path, cdn)
        assert re.fullmatch(r".*: its certificate .*", told.detail)
        assert told.hint == "tls= takes an SSL context that trusts it"
        assert "tls=" not in _for_a_terminal(told)
        async with httpx.AsyncClient(trust_env=False) as client:
            told = await refused(tmp_path, cdn, client=client)
        assert told.detail == "the client does not trust the server's certificate"
        assert told.hint.startswith("httpx.AsyncClient(verify=...)")


async def test_a_client_that_cannot_reach_its_proxy(tmp_path):
    async with FakeCDN() as cdn, httpx.AsyncClient(proxy="http://127.0.0.1:9") as client:
        assert await refused_detail(tmp_path, cdn, client=client) == "the client cannot reach the server, or its proxy"


async def test_a_client_whose_proxy_refuses(tmp_path):
    """A proxy that answers CONNECT with a status is told from a server that does not answer."""
    async with FakeCDN() as proxy, FakeCDN(tls=True) as cdn, httpx.AsyncClient(proxy=proxy.url()) as client:
        detail = await refused_detail(tmp_path, cdn, client=client)
    assert detail == "the client's proxy refused the connection"


async def test_a_client_that_was_closed(tmp_path):
    async with httpx.AsyncClient(trust_env=False) as client, FakeCDN() as cdn:
        await client.aclose()
        told = await refused(tmp_path, cdn, client=client)
    assert (told.detail, told.hint) == ("the client failed (RuntimeError)", "is it an open httpx.AsyncClient?")


# A small disk, and a small allowance


async def test_a_disk_that_is_nearly_full_names_the_number_that_keeps_some_of_it_free(tmp_path):
    """Or else a container with a small /tmp, where nothing was written yet, is a riddle."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(min_free_mb=1e12)) as stage:
        [failure] = await stage.download(cdn.file("a.txt", b"x"))
    assert re.fullmatch(r"disk full: .+ free, of which .+ must remain", failure.detail)
    assert failure.hint == "the limit is min_free_mb"


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
async def test_a_file_over_the_processs_allowance_is_not_taken_for_one_over_max_mb(tmp_path):
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # Python's own choice too, but not every runner's
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            [failure] = await stage.download(cdn.file("a.bin", bytes(200_000)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
    assert (failure.reason, failure.detail) == (
        "storage", "over the size that this process or file system allows a file (EFBIG)",
    )  # fmt: skip


# The caller's own functions


@pytest.mark.parametrize("answer", [None, ["https://new"], 3])
async def test_a_refresh_that_returns_nonsense_costs_nothing_but_the_refresh(tmp_path, caplog, answer):
    """Forgetting the `return` is the usual way; the other attachments are staged."""

    async def refresh(urls):
        return answer

    caplog.set_level(logging.WARNING, "staging")
    async with FakeCDN() as cdn:
        policy = UrlPolicy(("127.0.0.1", "cdn.discordapp.com"), ("http", "https"), None, private=True)
        async with AttachmentStage(tmp_path, policy=policy, refresh=refresh) as stage:
            failure, staged = await stage.download(OLD, cdn.file("a.txt", b"x"))
    assert failure.reason == "expired"
    assert staged.downloaded
    assert "refresh, which is awaited and returns {old: new}, raised " in caplog.text
    assert "hm=1" not in caplog.text


async def test_a_refresh_that_is_not_async(tmp_path, caplog):
    async with AttachmentStage(tmp_path, refresh=lambda urls: {}) as stage:
        [failure] = await stage.download(OLD)
    assert failure.reason == "expired"
    assert "refresh, which is awaited and returns {old: new}, raised TypeError" in caplog.text
