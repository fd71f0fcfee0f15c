"""What servers say about a file, and what is believed of it: codings, pages, empty bodies, redirects, silence."""

import gzip
import logging
import threading
import time

import anyio
import pytest

from staging import AttachmentStage, Limits, UrlPolicy
from staging._claims.substitution import substituted
from staging._net.answers import is_coded_file
from staging._net.urls import MAX_URL_LENGTH, expires_at
from staging.testing import Chunked, Drip, FakeCDN, Length, Raw, Reply

ONCE = Limits(retries=0, timeout=10, idle_timeout=5)
TEXT = b"plain words\n" * 40
ZIPPED = gzip.compress(TEXT)
PAGE = b'<!DOCTYPE html><html lang="en"><head><title>Sign in</title></head><body><form></form></body></html>'


async def outcome_of(tmp_path, reply, path="/files/data.csv", limits=ONCE, **claim):
    """Return what becomes of one attachment that is answered with `reply`."""
    async with FakeCDN() as cdn:
        url = cdn.script(path, reply)
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=limits) as stage:
            [outcome] = await stage.download({"url": url, **claim} if claim else url)
            return outcome


async def outcomes_of(tmp_path, cases):
    """Return what becomes of many attachments of one stage; a case is a path, a claim and a reply."""
    async with FakeCDN() as cdn:
        urls = [cdn.script(f"/{number}{path}", reply) for number, (path, _, reply) in enumerate(cases)]
        sources = [{"url": url, **claim} if claim else url for url, (_, claim, _) in zip(urls, cases, strict=True)]
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=ONCE) as stage:
            return await stage.download(sources)


# ── Content-Encoding ─────────────────────────────────────────────────────────────────────────────────────────────────

IDLE = [
    "", "identity", "Identity", "identity, identity", "none", "binary", "utf-8", "UTF-8", "utf8", "8bit", "7bit",
    "aws-chunked", "AWS-Chunked", "chunked", "us-ascii", "iso-8859-1", "windows-1252", "null", ", ,", "identity,",
]  # fmt: skip
REAL = [
    "gzip", "x-gzip", "GZip", "deflate", "br", "zstd", "compress", "x-compress", "gzip, gzip", "identity, gzip",
    "gzip, identity", "aws-chunked,gzip", "utf-8, br", "dcb", "yolo", "gzip;q=1", "exi", "pack200-gzip",
]  # fmt: skip


async def test_a_word_that_codes_nothing_is_ignored(tmp_path):
    """https://github.com/aio-libs/aiohttp/issues/4462, https://github.com/aws/aws-sdk-go-v2/issues/1887."""
    cases = [("/data.csv", {}, Reply(TEXT, headers={"Content-Encoding": word})) for word in IDLE]
    for word, outcome in zip(IDLE, await outcomes_of(tmp_path, cases), strict=True):
        assert outcome.downloaded, (word, outcome)
        assert outcome.size == len(TEXT)


async def test_a_coding_that_was_not_asked_for_is_refused(tmp_path):
    """RFC 9110 section 8.4: a gzip bomb needs a recipient who decodes it."""
    cases = [("/data.csv", {}, Reply(ZIPPED, headers={"Content-Encoding": word})) for word in REAL]
    for word, outcome in zip(REAL, await outcomes_of(tmp_path, cases), strict=True):
        assert not outcome.downloaded, word
        assert (outcome.reason, outcome.retryable, outcome.attempts) == ("encoding", False, 1)


async def test_a_file_that_is_the_coding_itself_is_staged_as_it_is(tmp_path):
    """As Apache labels it: https://httpd.apache.org/docs/2.4/mod/mod_mime.html#addencoding."""
    named = [
        ("release.tar.gz", "x-gzip"), ("release.tar.gz", "gzip"), ("a.tgz", "gzip, identity"), ("LOG.GZ", "gzip"),
        ("picture.svgz", "gzip"), ("a.txt.br", "br"), ("a.zst", "zstd"), ("a.Z", "compress"),
    ]  # fmt: skip
    cases = [(f"/{name}", {}, Reply(ZIPPED, headers={"Content-Encoding": word})) for name, word in named]
    cases.append(("/x", {"filename": "a.gz"}, Reply(ZIPPED, headers={"Content-Encoding": "gzip"})))
    disposed = {"Content-Encoding": "gzip", "Content-Disposition": "attachment; filename=a.gz"}
    cases.append(("/download", {}, Reply(ZIPPED, headers=disposed)))
    for outcome in await outcomes_of(tmp_path, cases):
        assert outcome.downloaded, outcome
        assert outcome.size == len(ZIPPED)


@pytest.mark.parametrize(("size", "reason"), [(len(ZIPPED), None), (len(TEXT), "encoding"), (None, "encoding")])
async def test_bytes_of_the_claimed_size_are_the_file_whatever_the_label(tmp_path, size, reason):
    for framing in ((), (Chunked(100),)):
        reply = Reply(ZIPPED, *framing, headers={"Content-Encoding": "gzip"})
        outcome = await outcome_of(tmp_path, reply, filename="data.csv", **({} if size is None else {"size": size}))
        assert getattr(outcome, "reason", None) == reason


def test_a_name_is_the_coding_only_of_its_own():
    assert not is_coded_file("a.gz", ("br",))
    assert not is_coded_file("a.gz", ("gzip", "gzip"))
    assert not is_coded_file("a.csv", ("gzip",))
    assert not is_coded_file("a.gz", ("yolo",))


# ── the status ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_203_counts_as_200(tmp_path):
    """RFC 9110 section 15.3.4: the same file, as a proxy on the way has changed it."""
    outcome = await outcome_of(tmp_path, Reply(TEXT, status=203))
    assert outcome.downloaded


async def test_any_other_success_is_none(tmp_path):
    statuses = [201, 202, 204, 205, 226, 299, 300, 304, 402, 418, 599]
    cases = [("/x", {}, Reply(b"" if status in {204, 304} else TEXT, status=status)) for status in statuses]
    assert {outcome.reason for outcome in await outcomes_of(tmp_path, cases)} == {"http_status"}


# ── nothing at all ───────────────────────────────────────────────────────────────────────────────────────────────────


EMPTY = [
    ({"size": 4812}, "size_mismatch"), ({"size": 1, "filename": "a.txt"}, "size_mismatch"),
    ({"content_type": "audio/ogg"}, "size_mismatch"), ({"filename": "blank.png"}, "size_mismatch"),
    ({"filename": "voice-message.ogg", "content_type": "audio/ogg", "size": 4812}, "size_mismatch"),
    ({"filename": "notes.txt", "size": 120}, "size_mismatch"), ({"filename": "notes.txt", "size": 0}, None),
    ({"filename": "notes.txt"}, None), ({"filename": "blank.png", "size": 0}, None), ({}, None),
    ({"content_type": "application/octet-stream"}, None),
]  # fmt: skip


async def test_nothing_at_all_is_no_file_where_the_claim_says_something(tmp_path):
    """Voice notes of 0 bytes: https://github.com/openclaw/openclaw/issues/8358."""
    for framing in (Length(), Chunked()):
        cases = [("/x", claim, Reply(b"", framing, media_type=None)) for claim, _ in EMPTY]
        for (claim, reason), outcome in zip(EMPTY, await outcomes_of(tmp_path, cases), strict=True):
            assert getattr(outcome, "reason", None) == reason, (claim, outcome)


# ── a page in place of the file ──────────────────────────────────────────────────────────────────────────────────────


INSTEAD = [
    ("scan.png", "image/png", 48_211), ("report.pdf", "application/pdf", 48_211), ("table.csv", "text/csv", 48_211),
    ("test.txt", "text/plain", 48_211), ("main.py", "text/x-python", 48_211), ("notes.md", "text/markdown", 48_211),
    ("config.json", "application/json", 48_211), ("scan.png", None, 48_211), ("backup.zip", None, None),
    ("test.txt", None, None), ("report", "application/pdf", None), ("letter.doc", None, 48_211), ("file", None, 48_211),
    ("file", "application/octet-stream", None), ("app.log", "text/plain", 48_211), ("report.pdf", None, 48_211),
    ("memo.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", 48_211),
]  # fmt: skip
MEANT = [
    ("/page.html", {}, PAGE), ("/page", {}, PAGE), ("/", {}, PAGE), ("/x", {"content_type": "text/html"}, PAGE),
    ("/x", {"filename": "saved.HTM"}, PAGE), ("/x", {"filename": "a.png", "size": len(PAGE)}, PAGE),
    ("/index.php", {}, PAGE), ("/export.xls", {}, PAGE), ("/Widget.vue", {}, b"<template><p>x</p></template>"),
    ("/README.md", {}, b'<p align="center"><img src="x.png"></p>\n\n# Title\n'), ("/chat.txt", {}, b"<b>ann</b> hello"),
    ("/x", {"content_type": "application/octet-stream"}, b"<title>x</title> is how a page begins"),
]  # fmt: skip


async def test_a_sign_in_page_is_not_the_file(tmp_path, caplog):
    """Status 200 and a page, as Slack answers without a token: https://github.com/slackapi/bolt-js/issues/2585."""
    caplog.set_level(logging.WARNING, "staging")
    cases = []
    for name, claim, size in INSTEAD:
        facts = {"filename": name, "content_type": claim, "size": size}
        given = {key: value for key, value in facts.items() if value is not None}
        cases.append(("/files-pri/T1-F1/x", given, Reply(PAGE, media_type="text/html; charset=utf-8")))
    for row, outcome in zip(INSTEAD, await outcomes_of(tmp_path, cases), strict=True):
        assert not outcome.downloaded, row
        assert (outcome.reason, outcome.retryable, outcome.attempts) == ("substituted", False, 1)
    assert not list(tmp_path.rglob("*"))
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == len(INSTEAD)


async def test_a_page_is_staged_where_a_page_is_meant(tmp_path):
    """A URL that claims nothing, by no type and no extension, may be that of a page."""
    cases = [(path, claim, Reply(body, media_type="text/html")) for path, claim, body in MEANT]
    for row, outcome in zip(MEANT, await outcomes_of(tmp_path, cases), strict=True):
        assert outcome.downloaded, (row, outcome)


def test_the_size_that_was_claimed_excuses_what_only_looks_like_a_page():
    facts = {"media_type": "application/vnd.ms-excel", "name": "export.xls"}
    assert not substituted(PAGE, "text/html", len(PAGE), **facts, claimed=len(PAGE))
    assert substituted(PAGE, "text/html", len(PAGE), **facts, claimed=7)


# ── redirects ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("location", "asked"), [
    (b"/ok/my%20file.pdf", "/ok/my%20file.pdf"), (b"/ok/my file.pdf", "/ok/my%20file.pdf"),
    (b"/ok/f?name=my file.pdf", "/ok/f?name=my%20file.pdf"), (b"/ok/f  ", "/ok/f"),
    ("/ok/été.pdf".encode(), "/ok/%C3%A9t%C3%A9.pdf"), ("/ok/f?n=日本.pdf".encode(), "/ok/f?n=%E6%97%A5%E6%9C%AC.pdf"),
    (b"/ok/\xe9t\xe9.pdf", "/ok/%E9t%E9.pdf"), (b"/ok/f#a b\xc3\xa9", "/ok/f"), (b"/x/../ok/./f", "/ok/f"),
    (b"ok/a b", "/start/ok/a%20b"), (b"?a b", "/start/0?a%20b"), ("%URL%/ok/ü".encode(), "/ok/%C3%BC"),
    (b"//%HOST%/ok/a b", "/ok/a%20b"), (b"%URL%?a b", "/?a%20b"), (b"/ok/a\tb", "/ok/ab"), (b"/ok\\f", "/ok/f"),
    (b"http:///%HOST%/ok/f", "/ok/f"), (b"\\\\%HOST%\\ok\\f", "/ok/f"), (b"http:/ok/\xc3\xa9", "/ok/%C3%A9"),
    (b"/ok/f?a\\b", "/ok/f?a%5Cb"),
])  # fmt: skip
async def test_a_location_is_encoded_as_browsers_do(tmp_path, location, asked):
    """WHATWG URL sections 4.4 and 1.3; a field's bytes are encoded as they are."""
    async with FakeCDN() as cdn:
        base = cdn.url("/").rstrip("/").encode()
        location = location.replace(b"%URL%", base).replace(b"%HOST%", base.partition(b"//")[2])
        cdn.redirect("/start/0", location)
        cdn.serve(asked, b"x")
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=ONCE) as stage:
            [outcome] = await stage.download(cdn.url("/start/0"))
            assert outcome.downloaded, outcome
        assert cdn.requests[-1].target == asked


@pytest.mark.parametrize("location", [
    b"http://127.0.0.1 /x", b"http://127.0.0.1\xc3\xa9/x", b"//exa mple.com/x", b"\\\\exa mple.com", b"http:///\xc3\xa9",
])  # fmt: skip
async def test_a_location_is_refused_where_parsers_differ(tmp_path, location):
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy, limits=ONCE) as stage:
        [outcome] = await stage.download(cdn.redirect("/a", location))
        assert outcome.reason in {"redirects", "not_allowed"}
        assert len(cdn.requests) == 1


# ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────────────


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
EXTENDED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 40 + b"\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("raw", [
    Raw(WHOLE, Drip(2, every=0.07)),
    Raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 7 + WHOLE, Drip(27, every=0.15)),
    Raw(EXTENDED, Drip(4, every=0.06)),
], ids=["head", "102", "extension"])  # fmt: skip
async def test_stalled_means_that_no_byte_came(tmp_path, raw):
    outcome = await outcome_of(tmp_path, raw, limits=Limits(retries=0, timeout=30, idle_timeout=0.8))
    assert outcome.downloaded, outcome
    assert outcome.size == 5


async def test_a_name_server_that_never_answers_is_named(tmp_path, monkeypatch):
    """A failure says which of the steps it was: looking the name up, connecting, or waiting for data."""
    over = threading.Event()
    monkeypatch.setattr("staging._net.dial.look_up", lambda host, port: over.wait(20) and [])
    try:
        for limits, reason in (
            (Limits(timeout=0.2, retries=0), "timeout"),
            (Limits(idle_timeout=0.2, retries=0), "connect"),
        ):
            async with AttachmentStage(tmp_path, policy=UrlPolicy.public(), limits=limits) as stage:
                [outcome] = await stage.download("https://files.example.com/a.png")
                assert (outcome.reason, outcome.attempts) == (reason, 1)
                assert "while resolving the name files.example.com" in outcome.detail
    finally:
        over.set()
        await anyio.sleep(0.1)


# ── length first ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_end_of_a_signed_link():
    signed = "https://cdn.discordapp.com/attachments/1/2/a.png?ex="
    assert expires_at(signed + "65d0f2b0&is=1") == 0x65D0F2B0
    assert expires_at("https://cdn.discordapp.com/a?x=1&ex=10") == 16
    assert expires_at(signed + "z") is expires_at(signed) is expires_at(signed + "12z&y") is None
    assert expires_at("https://cdn.discordapp.com/a#?ex=10") is None
    assert expires_at("https://files.example.com/a?ex=10") is None
    assert expires_at(signed + "10&x=" + "a" * MAX_URL_LENGTH) is None


async def test_a_url_of_megabytes_is_refused_before_anything_parses_it(tmp_path):
    """The loop is held for milliseconds: processor time, since other processes share the machine."""
    urls = ["https://cdn.discordapp.com/a?" + "&ex=z" * 1_000_000, "https://cdn.discordapp.com/" + "a/é%20" * 1_000_000]
    async with AttachmentStage(tmp_path) as stage:
        await stage.download("https://cdn.discordapp.com/ first")  # loads what is loaded once
        for url in urls:
            since = time.process_time()
            [outcome] = await stage.download(url)
            assert time.process_time() - since < 0.5  # two seconds, if it is parsed
            assert (outcome.reason, len(outcome.detail) < 100) == ("not_allowed", True)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_name_without_extension_gets_that_of_what_arrived(tmp_path):
    png, pdf = b"\x89PNG\r\n\x1a\n" + bytes(100), b"%PDF-1.7\n" + bytes(100)
    cases = [
        ("/AgACAgIAAxk", {}, Reply(png)), ("/x", {"filename": "screenshot"}, Reply(png)),
        ("/download", {}, Reply(pdf, headers={"Content-Disposition": "attachment; filename=report"})),
        ("/photo.png", {}, Reply(png)), ("/README", {}, Reply(TEXT)), ("/large", {}, Reply(png + bytes(2_000_000))),
    ]  # fmt: skip
    outcomes = await outcomes_of(tmp_path, cases)
    assert [outcome.name for outcome in outcomes] == [
        "AgACAgIAAxk.png", "screenshot.png", "report.pdf", "photo.png", "README", "large.png",
    ]  # fmt: skip
