"""Sources that need no network: bytes, data: URLs, open files, uploads and paths are staged like any download."""

import array
import asyncio
import base64
import gzip
import io
import os
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import anyio
import httpx
import pytest

from staging import (
    Attachment,
    AttachmentStage,
    Failure,
    Finished,
    Limits,
    Progress,
    Removed,
    Skipped,
    StagedFile,
    StagingArea,
    Started,
)  # fmt: skip
from staging._claims import data_urls
from staging._claims.accepted import Accepted
from staging._errors import RejectedError
from staging._threads import DiskQueue
from staging.testing import Drip, FakeCDN, assert_empty

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MB = 1_048_576


class AsyncFile:
    """Reads as Starlette's uploads do: with a size, awaited."""

    def __init__(self, data, filename=None, **claims):
        self._data = io.BytesIO(data)
        self.filename = filename
        vars(self).update(claims)

    async def read(self, size=-1):
        await anyio.lowlevel.checkpoint()
        return self._data.read(size)


class Whole:
    """Returns everything at once and takes no size."""

    filename = "x.txt"

    def read(self):
        return b"whole"


class Endless:
    """Never ends; counts what was taken of it."""

    name = "endless.bin"

    def __init__(self):
        self.taken = 0

    def read(self, size):
        self.taken += size
        return bytes(size)


def opened(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


async def staged(root, *sources, **options):
    """Stage one source and return (name, bytes, media type); fail unless it is there."""
    async with AttachmentStage(root, **options) as stage:
        (outcome,) = await stage.download(*sources)
        assert isinstance(outcome, StagedFile), outcome
        return outcome.name, outcome.path.read_bytes(), outcome.media_type


async def failed(root, *sources, **options):
    """Fail to stage one source, and return the failure; nothing of it is left in the workspace."""
    async with AttachmentStage(root, **options) as stage:
        (outcome,) = await stage.download(*sources)
        assert isinstance(outcome, Failure), outcome
        assert [path for path in stage.directory.iterdir() if not path.name.startswith(".")] == []
        return outcome


async def test_everything_that_has_bytes_is_staged_under_the_best_name_it_has(tmp_path):
    root = tmp_path / "root"
    with opened(tmp_path, "open.png", PNG).open("rb") as file, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(PNG)
        spooled.seek(0)
        cases = [
            (b"hello", "attachment", b"hello", "text/plain"),
            (bytearray(b"hello"), "attachment", b"hello", "text/plain"),
            (memoryview(b"hello")[::2], "attachment", b"hlo", "text/plain"),
            (PNG, "attachment.png", PNG, "image/png"),
            ("data:text/plain;base64,aGVsbG8=", "attachment", b"hello", "text/plain"),
            ("data:,hello%20%F0%9F%98%80", "attachment", "hello 😀".encode(), "text/plain"),
            ("data:image/png;name=a.png;base64,iVBORw0KGgo=", "a.png", b"\x89PNG\r\n\x1a\n", "image/png"),
            ({"url": "data:,x", "filename": "b.txt"}, "b.txt", b"x", "text/plain"),
            (Attachment("", data=PNG, name="a.png"), "a.png", PNG, "image/png"),
            (Attachment("", data=b"", name="empty.txt"), "empty.txt", b"", "text/plain"),
            (Attachment("", source=io.BytesIO(b"x"), name="given.txt"), "given.txt", b"x", "text/plain"),
            (io.BytesIO(b"hello\n"), "attachment", b"hello\n", "text/plain"),
            (file, "open.png", PNG, "image/png"),
            (spooled, "attachment.png", PNG, "image/png"),
            (AsyncFile(PNG, "../up.png", content_type="image/png", size=len(PNG)), "up.png", PNG, "image/png"),
            (Whole(), "x.txt", b"whole", "text/plain"),
            (opened(tmp_path, "path.png", PNG), "path.png", PNG, "image/png"),
            (opened(tmp_path, "-e\n.txt", b"x"), "e .txt", b"x", "text/plain"),
        ]
        for source, *expected in cases:
            name, data, media_type = await staged(root, source)
            assert (name.lstrip("-"), data, media_type) == tuple(expected), source
    assert_empty(root)


async def test_they_stand_beside_downloads_in_the_order_of_input(tmp_path):
    async with FakeCDN() as cdn:
        events: list[object] = []
        sources = [
            b"one",
            cdn.file("two.txt", b"two"),
            None,
            io.BytesIO(b"three"),
            [opened(tmp_path, "4.txt", b"four")],
        ]
        async with AttachmentStage(tmp_path / "root", policy=cdn.policy, on_event=events.append) as stage:
            outcomes = await stage.download(sources, b"five")
            assert [outcome.path.read_bytes() for outcome in outcomes] == [b"one", b"two", b"three", b"four", b"five"]
            assert [path.name for path in stage.paths] == [
                "attachment",
                "two.txt",
                "attachment-2",
                "4.txt",
                "attachment-3",
            ]
            assert stage.context().count("Downloaded: Yes") == 5
            assert stage.context().count("   URL: ") == 1
        kinds = [type(event) for event in events]
        assert (kinds.count(Started), kinds.count(Finished), kinds[-1]) == (5, 5, Removed)
        assert sum(isinstance(event, Progress) for event in events) >= 5


async def test_the_same_object_is_read_once_and_told_for_each_source(tmp_path):
    stream, path = io.BytesIO(b"once"), opened(tmp_path, "a.txt", b"x")
    data = b"data"
    async with AttachmentStage(tmp_path / "root") as stage:
        outcomes = await stage.download(stream, stream, [path, str(path).join(("", ""))], path, data, data)
        same = [outcome for outcome in outcomes if isinstance(outcome, StagedFile)]
        assert [outcome.path.name for outcome in same] == [
            "attachment", "attachment", "a.txt", "a.txt", "attachment-2", "attachment-2",
        ]  # fmt: skip
        (again,) = await stage.download(stream)
        assert again.path == same[0].path
        assert len(stage.paths) == 3


async def test_the_same_bytes_under_two_names_are_two_files(tmp_path):
    """A constant of the caller's, or the one empty `bytes` that Python has."""
    async with AttachmentStage(tmp_path) as stage:
        outcomes = await stage.download([Attachment("", data=b"x", name=name) for name in ("p.txt", "q.txt", "p.txt")])
        assert [outcome.path.name for outcome in outcomes] == ["p.txt", "q.txt", "p.txt"]


@pytest.mark.parametrize("piece", [4, 5, 6, 7, 64])
def test_a_data_url_is_read_in_pieces_as_in_one(monkeypatch, piece):
    """In one call it would hold up the event loop."""
    monkeypatch.setattr(data_urls, "_PIECE", piece)
    content = bytes(range(256))
    coded = base64.b64encode(content).decode()
    for body in (coded, coded.rstrip("="), coded.replace("A", "%41").replace("/", " %2F\n"), f"{coded[:-2]}%3d%3D"):
        assert data_urls.decode(f"data:;base64,{body}", 256) == content
    quoted = "".join(f"%{byte:02x}" for byte in content)
    assert data_urls.decode(f"data:,{quoted}%", 257) == content + b"%"
    for wrong in (f"{coded[:10]}={coded[10:]}", f"{coded[:4]}!{coded[4:]}", coded.rstrip("=") + "AAA"):
        with pytest.raises(RejectedError):
            data_urls.decode(f"data:;base64,{wrong}", 1000)


async def test_two_data_urls_are_two_files_and_one_twice_is_one(tmp_path):
    async with AttachmentStage(tmp_path) as stage:
        given = [Attachment("data:,one"), Attachment("data:,two"), Attachment("data:," + "one"), "data:,two"]
        outcomes = await stage.download(
            given, Attachment("data:," + "x" * 200_000), Attachment("data:," + "y" * 200_000)
        )
        found = [outcome.path.read_bytes()[:3] for outcome in outcomes]
        assert found == [b"one", b"two", b"one", b"two", b"xxx", b"yyy"]
        assert len(stage.paths) == 4


# Limits


@pytest.mark.parametrize(
    "make",
    [
        lambda tmp: bytes(MB + 1),
        lambda tmp: bytearray(MB + 1),
        lambda tmp: "data:," + "x" * (MB + 1),
        lambda tmp: "data:;base64," + "AAAA" * (MB // 3 + 1),
        lambda tmp: io.BytesIO(bytes(MB + 1)),
        lambda tmp: AsyncFile(bytes(MB + 1)),
        lambda tmp: opened(tmp, "big.bin", bytes(MB + 1)),
        lambda tmp: Attachment("", data=bytes(MB + 1)),
        lambda tmp: Attachment("", data=b"x", size=MB + 1),
    ],
)
async def test_more_than_a_file_may_have_is_too_large(make, tmp_path):
    failure = await failed(tmp_path / "root", make(tmp_path), max_mb=1)
    assert (failure.reason, failure.error.limit) == ("too_large", MB)
    assert "1 MB" in failure.detail


async def test_exactly_what_a_file_may_have_is_staged(tmp_path):
    for source in (bytes(MB), io.BytesIO(bytes(MB)), opened(tmp_path, "a", bytes(MB)), "data:," + "x" * MB):
        _, data, _ = await staged(tmp_path / "root", source, max_mb=1)
        assert len(data) == MB


async def test_no_more_is_read_than_shows_that_it_is_too_much(tmp_path):
    endless = Endless()
    assert (await failed(tmp_path, endless, max_mb=1)).reason == "too_large"
    assert endless.taken == MB + 1


async def test_a_data_url_over_the_limit_is_not_decoded(monkeypatch, tmp_path):
    def decoded(*_args, **_more):
        raise AssertionError("decoded")

    monkeypatch.setattr(data_urls, "unquote_to_bytes", decoded)
    for url in ("data:;base64," + "AAAA" * MB, "data:," + "%41" * (2 * MB), "data:;base64," + "%41\n" * (2 * MB)):
        assert (await failed(tmp_path, url, max_mb=1)).reason == "too_large"


async def test_the_limits_of_a_stage_count_them_all(tmp_path):
    async with AttachmentStage(tmp_path, limits=Limits(max_total_mb=1, max_files=2)) as stage:
        reasons = []
        for source in (bytes(MB - 10), io.BytesIO(bytes(20)), b"x", io.BytesIO(b"y")):
            (outcome,) = await stage.download(source)
            reasons.append(getattr(outcome, "reason", "staged"))
    assert reasons == ["staged", "budget", "staged", "too_many"]


async def test_bytes_of_a_process_are_given_back(tmp_path):
    async with StagingArea(tmp_path, max_total_mb=1) as area:
        for _ in range(3):
            async with area.stage() as stage:
                (outcome,) = await stage.download(io.BytesIO(bytes(MB)))
                assert outcome.downloaded


async def test_a_claimed_size_must_be_the_size(tmp_path):
    """An upload that was read before is at its end: an empty file under its name would be a lie."""
    upload = AsyncFile(b"hello", "a.txt", size=5)
    await upload.read()
    failure = await failed(tmp_path, upload)
    assert (failure.reason, failure.error.size) == ("size_mismatch", 0)


# What cannot be read


class Raises:
    def __init__(self, error):
        self.error = error

    def read(self, size):
        raise self.error


class Gives:
    def __init__(self, *given):
        self.given = iter(given)

    def read(self, size):
        return next(self.given)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Raises(OSError(5, "s3cret")), "storage"),
        (lambda: Raises(TimeoutError("s3cret")), "interrupted"),
        (lambda: Raises(ConnectionResetError(104, "s3cret")), "interrupted"),
        (lambda: Raises(ValueError("s3cret")), "interrupted"),
        (lambda: Raises(StopIteration("s3cret")), "interrupted"),
        (lambda: Gives("text"), "invalid"),
        (lambda: Gives(b"x", "text"), "invalid"),
        (lambda: Gives(None), "invalid"),
        (lambda: Gives(5), "invalid"),
        (lambda: Gives(b"x"), "interrupted"),
        (lambda: "data:x", "invalid"),
        (lambda: "data:;base64,%%%", "invalid"),
        (lambda: "data:;base64,A", "invalid"),
        (lambda: "data:;base64,aGVs*G8=", "invalid"),
        (lambda: "data:;base64,eA===", "invalid"),
        (lambda: "data:;base64,eA=", "invalid"),
        (lambda: "data:;base64,eA" + "=" * MB, "invalid"),
        (lambda: "data:;base64,eA==eA==", "invalid"),
        (lambda: io.StringIO("text"), "invalid"),
    ],
)
async def test_what_cannot_be_read_fails_with_a_reason(make, reason, tmp_path):
    failure = await failed(tmp_path, make())
    assert failure.reason == reason
    assert "s3cret" not in failure.detail + repr(failure)


class Flapping:
    """Has `read` as long as nobody uses it."""

    def __init__(self):
        self.asked = 0

    def __getattr__(self, name):
        self.asked += name == "read"
        if name == "read" and self.asked < 3:
            return bytes
        raise RuntimeError(name)


class Unsigned:
    def __call__(self, size):
        return b""

    @property
    def __signature__(self):
        raise RuntimeError("signature")


async def test_no_object_makes_download_raise(tmp_path):
    released = memoryview(b"x")
    released.release()

    class Loose(os.PathLike):
        def __fspath__(self):
            raise RuntimeError("path")

    class Read:
        read = Unsigned()

    mapping = type(
        "Hostile", (dict,), {"get": lambda *_: 1 / 0, "__iter__": lambda *_: 1 / 0, "keys": lambda *_: 1 / 0}
    )
    hostile = [Flapping(), released, Loose(), Read(), mapping(), {"attachments": [mapping(), 5, object]}]
    async with AttachmentStage(tmp_path) as stage:
        outcomes = await stage.download(*hostile, hostile, b"good", accept=None)
        assert outcomes[-1].downloaded
        assert {outcome.reason for outcome in outcomes[:-1]} <= {"invalid", "interrupted"}
        assert stage.context().count("Failed") == len(outcomes) - 1
        assert all(outcome.as_dict() for outcome in outcomes)
        assert stage.notice()


async def test_a_file_that_is_not_what_it_claims_is_a_warning(tmp_path, caplog):
    async with AttachmentStage(tmp_path, label="thread 42") as stage:
        await stage.download(Attachment("", data=b"<!doctype html><p>x", name="a.png", media_type="image/png"))
        assert "Type: text/html (claimed image/png)" in stage.context()
        assert stage.notice() == "Not what they claim to be: a.png is text∕html, not image∕png."
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == "Not what it claims to be: 'a.png' for thread 42 is text/html, not image/png"
    assert record.staging["claimed_media_type"] == "image/png"


async def test_a_closed_file_fails(tmp_path):
    with opened(tmp_path, "a", b"x").open("rb") as file:
        pass
    failure = await failed(tmp_path / "root", file)
    assert (failure.reason, failure.detail) == ("invalid", "the file is closed")


class Record(NamedTuple):
    """An upload of Sanic."""

    type: str
    body: bytes
    name: str


def at_end(data=b"hello"):
    file = io.BytesIO()
    file.write(data)
    return file


def compressed(path, data):
    with gzip.open(path, "wb") as file:
        file.write(data)
    return gzip.open(path)


async def test_an_upload_is_staged_whatever_form_it_has(tmp_path):
    path = opened(tmp_path, "a.png", PNG)
    middle = io.BytesIO(b"0123")
    middle.read(2)
    cases = [
        (Record("image/png", PNG, "up.png"), "up.png", len(PNG)),
        ({"filename": "t.png", "body": PNG[:50], "content_type": "image/png"}, "t.png", 50),  # Tornado's
        ({"data": bytearray(PNG), "name": "b.png"}, "b.png", len(PNG)),
        (SimpleNamespace(stream=io.BytesIO(PNG), filename="c.png", name="field"), "c.png", len(PNG)),  # Falcon's
        (
            SimpleNamespace(content=bytes(bytearray(PNG)), name="d.png", path=None, url=None),
            "d.png",
            len(PNG),
        ),  # Chainlit's
        (array.array("B", PNG), "attachment.png", len(PNG)),
        (array.array("I", [1, 2]), "attachment", 8),
        (io.FileIO(path), "a.png", len(PNG)),  # whose name is a Path
        (io.FileIO(os.fsencode(path)), "a.png", len(PNG)),  # or bytes
        (compressed(tmp_path / "z.txt.gz", b"text"), "z.txt", 4),
        (middle, "attachment", 2),  # the rest
        ({"text": "x", "file": io.BytesIO(PNG)}, "attachment.png", len(PNG)),  # a form
    ]
    async with AttachmentStage(tmp_path / "root") as stage:
        outcomes = await stage.download(*[source for source, _, _ in cases])
        assert [(each.name, each.size) for each in outcomes] == [(name, size) for _, name, size in cases]
    for source, _, _ in cases:
        if hasattr(source, "close"):
            source.close()


async def test_a_form_field_without_a_file_is_nothing(tmp_path):
    """Browsers send an optional field that was left empty with an empty name."""
    empty = AsyncFile(b"", "", content_type="application/octet-stream")
    async with AttachmentStage(tmp_path) as stage:
        assert await stage.download(empty, [empty], SimpleNamespace(file=io.BytesIO(b""), filename="")) == []


async def test_a_file_at_its_end_is_no_empty_file(tmp_path):
    """It was written and not rewound, or read before. An empty file that says so is one."""
    spooled = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    spooled.write(b"hello")
    async with await anyio.open_file(tmp_path / "x", "w+b") as asynchronous:
        await asynchronous.write(b"hello")
        for source in (at_end(), spooled, asynchronous):
            failure = await failed(tmp_path / "root", source)
            assert (failure.reason, failure.detail) == ("invalid", "nothing is left to read: the file is at its end")
            assert "seek(0)" in failure.hint
    spooled.close()
    named = SimpleNamespace(filename="a.png", read=io.BytesIO().read, size=0)
    for empty in (io.BytesIO(), b"", opened(tmp_path, "a.txt", b""), named):
        async with AttachmentStage(tmp_path / "root") as stage:
            [file] = await stage.download(empty)
            assert file.size == 0


async def test_nothing_at_all_is_no_file_where_the_claim_says_something(tmp_path):
    for source in (opened(tmp_path, "a.png", b""), Attachment("", data=b"", media_type="application/pdf")):
        failure = await failed(tmp_path / "root", source)
        assert (failure.reason, failure.error.size) == ("size_mismatch", 0)
        assert failure.detail.startswith("empty: ")


async def test_a_file_that_is_open_for_writing_only_says_so(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        failure = await failed(tmp_path / "root", file)
    assert (failure.reason, failure.detail) == ("invalid", "the file is not open for reading")


async def test_only_a_regular_file_is_staged_and_no_link_is_followed(tmp_path):
    target, link, pipe = opened(tmp_path, "a.txt", b"x"), tmp_path / "link.txt", tmp_path / "pipe"
    link.symlink_to(target)
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path, tmp_path / "absent", Path("/dev/zero"), Path("a\0b")):
        failure = await failed(tmp_path / "root", path)
        assert (failure.reason, failure.retryable) == ("storage", False)
        assert str(tmp_path) not in failure.detail
    assert "symbolic link" in (await failed(tmp_path / "root", link)).detail


async def test_a_path_is_copied_and_never_linked(tmp_path):
    path = opened(tmp_path, "a.txt", b"before")
    async with AttachmentStage(tmp_path / "root") as stage:
        (outcome,) = await stage.download(path)
        with path.open("r+b") as file:
            file.write(b"after!")
        assert outcome.path.read_bytes() == b"before"
        assert os.stat(outcome.path).st_ino != os.stat(path).st_ino  # noqa: PTH116
        assert path.stat().st_nlink == 1
    assert path.read_bytes() == b"after!"


async def test_a_staged_file_of_another_stage_is_a_path(tmp_path):
    async with AttachmentStage(tmp_path) as first, AttachmentStage(tmp_path) as second:
        (outcome,) = await first.download(Attachment("", data=PNG, name="a.png", media_type="image/png"))
        (copied,) = await second.download(outcome)
        assert (copied.name, copied.path.read_bytes()) == ("a.png", PNG)
        assert (copied.path != outcome.path, copied.claimed_media_type) == (True, "image/png")


async def test_a_name_does_not_leave_the_workspace(tmp_path):
    for source in (AsyncFile(b"x", "../../etc/passwd"), Attachment("", data=b"x", name="/etc/passwd")):
        async with AttachmentStage(tmp_path) as stage:
            (outcome,) = await stage.download(source)
            assert outcome.path.parent == stage.directory
            assert outcome.name == "passwd"


# Off the loop, and in time


async def test_nothing_is_read_in_the_thread_of_the_loop(tmp_path):
    threads = []

    class Told(io.BytesIO):
        def read(self, size=-1):
            threads.append(threading.current_thread())
            return super().read(size)

    await staged(tmp_path, Told(bytes(MB)))
    assert len(threads) > 1
    assert threading.main_thread() not in threads


class Stuck:
    """Reads until it is told to stop."""

    def __init__(self):
        self.entered, self.release = threading.Event(), threading.Event()

    def read(self, size):
        self.entered.set()
        self.release.wait(30)
        return b""


class AsyncStuck:
    def __init__(self):
        self.entered = anyio.Event()

    async def read(self, size):
        self.entered.set()
        await anyio.sleep_forever()


async def test_an_object_that_hangs_is_left_to_itself(tmp_path):
    stuck = Stuck()
    try:
        assert (await failed(tmp_path, stuck, limits=Limits(idle_timeout=0.05))).reason == "stalled"
        assert (await failed(tmp_path, stuck, limits=Limits(timeout=0.05))).reason == "timeout"
        assert (await failed(tmp_path, AsyncStuck(), limits=Limits(idle_timeout=0.05))).reason == "stalled"
        async with AttachmentStage(tmp_path) as stage:
            outcomes = await stage.download(b"quick", stuck, AsyncStuck(), timeout=0.2)
            assert [getattr(outcome, "reason", "staged") for outcome in outcomes] == ["staged", "deadline", "deadline"]
    finally:
        stuck.release.set()
    assert_empty(tmp_path)


@pytest.mark.parametrize("make", [Stuck, AsyncStuck])
async def test_a_cancelled_read_leaves_nothing(make, tmp_path):
    stuck = make()
    try:
        async with anyio.create_task_group() as group:

            async def use():
                async with AttachmentStage(tmp_path) as stage:
                    await stage.download(b"quick", stuck)

            group.start_soon(use)
            await (anyio.to_thread.run_sync(stuck.entered.wait) if isinstance(stuck, Stuck) else stuck.entered.wait())
            group.cancel_scope.cancel()
    finally:
        if isinstance(stuck, Stuck):
            stuck.release.set()
    assert_empty(tmp_path)


@pytest.mark.parametrize("make", [Stuck, AsyncStuck])
def test_asyncios_own_cancellation_leaves_nothing(make, tmp_path):
    stuck = make()

    async def use():
        async with AttachmentStage(tmp_path) as stage:
            await stage.download(b"quick", stuck)

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await use()
        task = asyncio.create_task(use())
        await asyncio.sleep(0.2)
        for _ in range(10):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        asyncio.run(main())
    finally:
        if isinstance(stuck, Stuck):
            stuck.release.set()
    assert_empty(tmp_path)


# accept


async def test_what_is_not_accepted_is_not_asked_for_or_removed(tmp_path):
    async with FakeCDN() as cdn:
        png, page, pdf = (
            cdn.file("a.png", PNG),
            cdn.file("b.png", b"<!doctype html><p>x"),
            cdn.file("c.pdf", b"%PDF-1.7"),
        )
        nameless = cdn.serve("/d", b"plain text")
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            sources = [
                png,
                {"url": page, "size": 19},
                pdf,
                nameless,
                PNG,
                b"text",
                Attachment("", data=b"x", name="e.txt"),
            ]
            outcomes = await stage.download(sources, accept=["image/*"])
            assert outcomes[1].reason in {"type", "substituted"}
            shown = [type(outcome).__name__ + getattr(outcome, "reason", "") for outcome in outcomes]
            assert shown[0] == shown[4] == "StagedFile"
            assert [shown[n] for n in (2, 3, 5, 6)] == ["Skippedtype"] * 4
            assert [request.path for request in cdn.requests].count("/c.pdf") == 0
            assert stage.notice() == "" or "b.png" in stage.notice()
            assert len(list(stage.directory.glob("[!.]*"))) == len(stage.paths) == 2
            assert all(isinstance(outcome, Skipped) and outcome.local_path is None for outcome in outcomes[2:4])
            assert stage.context().count("Not needed (type)") >= 4
            (later,) = await stage.download(nameless)  # without accept it is wanted
            assert later.path.read_bytes() == b"plain text"
            (again,) = await stage.download(nameless, accept=["image/*"])
            assert again.reason == "type"
            assert later.path.exists()


async def test_what_was_removed_counts_no_more(tmp_path):
    async with AttachmentStage(tmp_path, limits=Limits(max_total_mb=1, max_files=1)) as stage:
        outcomes = await stage.download(bytes(MB), accept=["image/*"])
        assert outcomes[0].reason == "type"
        (outcome,) = await stage.download(io.BytesIO(PNG), accept=["image/*"])
        assert outcome.downloaded
    assert stage.removed == 1


@pytest.mark.parametrize("path", ["/a.png", "/gone.png"])
async def test_what_one_accept_has_got_is_not_asked_for_again_by_another(tmp_path, path):
    async with FakeCDN() as cdn:
        cdn.serve("/a.png", PNG)
        url, reasons = cdn.url(path), set()
        async with AttachmentStage(tmp_path, policy=cdn.policy) as stage:
            for accept in (["image/*"], None, ["image/png"], ["image/*", "text/*"]):
                (outcome,) = await stage.download(url, accept=accept)
                reasons.add(getattr(outcome, "reason", "staged"))
            (other,) = await stage.download(url, accept=["text/*"])
            assert getattr(other, "reason", "staged") in {"type", "not_found"}
        assert (len(cdn.requests), len(reasons)) == (1, 1)


@pytest.mark.parametrize("names", [("a.csv", "a"), ("a", "a.csv")])
async def test_what_is_accepted_does_not_depend_on_what_else_names_the_same_url(tmp_path, names):
    """The bytes of a table do not show that it is one: only who claims it is believed."""
    async with FakeCDN() as cdn, AttachmentStage(tmp_path, policy=cdn.policy) as stage:
        url, wanted = cdn.serve("/t", b"a,b\n"), [name == "a.csv" for name in names]
        sources = [{"url": url, "filename": name} for name in names]
        for _ in range(2):
            outcomes = await stage.download(sources, accept=["text/csv"])
            assert [outcome.downloaded for outcome in outcomes] == wanted
        (alone,) = await stage.download(sources[names.index("a.csv")], accept=["text/csv"])
        assert alone.downloaded


async def test_nothing_accepted_leaves_no_mark_on_later_calls(tmp_path):
    data = b"plain"
    async with AttachmentStage(tmp_path) as stage:
        (none,) = await stage.download(data, accept=[])
        (some,) = await stage.download(data)
        assert (none.reason, some.downloaded) == ("type", True)


async def test_what_is_not_accepted_goes_also_if_the_call_is_cancelled_just_then(tmp_path, monkeypatch):
    def refuse(*_):
        monkeypatch.setattr(DiskQueue, "_depart", lambda *_: None)  # the disk is slow: no job begins any more
        scope.cancel()
        return False

    monkeypatch.setattr(Accepted, "admits", refuse)
    async with AttachmentStage(tmp_path) as stage:
        with anyio.CancelScope() as scope:
            await stage.download(b"plain", accept=["image/*"])
        assert scope.cancelled_caught
        assert list(stage.directory.iterdir()) == []


async def test_a_wrong_accept_is_the_callers_to_see(tmp_path):
    async with AttachmentStage(tmp_path) as stage:
        with pytest.raises(TypeError, match="accept is a list"):
            await stage.download(b"x", accept="image/*")
        with pytest.raises(ValueError, match="accept: 'png'"):
            await stage.download(b"x", accept=["png"])
        assert stage.outcomes == ()


# data: URLs


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("data:,", b""), ("data:,x#fragment", b"x"), ("data:,a,b", b"a,b"), ("data:,%zz", b"%zz"),
        ("data:,\ud800", b"?"),
        ("data:;base64,eA", b"x"), ("data:;base64,e A\n==", b"x"), ("data:; base64 ,eA==", b"x"),
        ("data:;BASE64,eA%3D%3D", b"x"), ("data:;base64;x,eA==", b"eA=="),
        ("data:text/plain;charset=utf-8,é", "é".encode()),
    ],
)  # fmt: skip
def test_a_data_url_is_decoded_as_browsers_do(url, data):
    assert data_urls.decode(url, 100) == data


@pytest.mark.parametrize("size", range(7))
@pytest.mark.parametrize("form", ["data:;base64,{0}", "data:;base64,{0}\n\n\n", "data:;base64,{1}"])
def test_exactly_the_limit_is_decoded_and_one_more_is_not(size, form):
    import base64

    text = base64.b64encode(bytes(size)).decode()
    url = form.format(text, "".join(f"%{ord(char):02x}" for char in text))
    assert data_urls.decode(url, size) == bytes(size)
    if size:
        with pytest.raises(RejectedError, match="too large"):
            data_urls.decode(url, size - 1)


# What libraries have


def optional(name):
    return pytest.importorskip(name)


async def test_starlettes_upload(tmp_path):
    optional("starlette")
    from starlette.datastructures import Headers, UploadFile

    for size in (100, 3 * MB):  # in memory, and on disk
        spool = tempfile.SpooledTemporaryFile(max_size=MB)  # noqa: SIM115  # the upload closes it
        spool.write(PNG + bytes(size))
        spool.seek(0)
        upload = UploadFile(
            spool, size=len(PNG) + size, filename="a.png", headers=Headers({"content-type": "image/png"})
        )
        name, data, media_type = await staged(tmp_path, upload)
        assert (name, data, media_type) == ("a.png", PNG + bytes(size), "image/png")
        await upload.close()


def test_aiohttps_field_and_part(tmp_path):
    aiohttp = optional("aiohttp")
    found = []

    async def handler(request):
        if request.path == "/form":
            form = await request.post()
            found.append(await staged(tmp_path, form["file"]))
        else:
            reader = await request.multipart()
            found.append(await staged(tmp_path, await reader.next()))
        return aiohttp.web.Response()

    async def main():
        import aiohttp.web

        application = aiohttp.web.Application(client_max_size=10 * MB)
        application.router.add_post("/{tail:.*}", handler)
        runner = aiohttp.web.AppRunner(application)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as session:
            for path in ("/form", "/parts"):
                form = aiohttp.FormData()
                form.add_field("file", io.BytesIO(PNG + bytes(MB)), filename="a.png", content_type="image/png")
                async with session.post(base + path, data=form) as response:
                    assert response.status == 200
        await runner.cleanup()

    asyncio.run(main())
    assert found == [("a.png", PNG + bytes(MB), "image/png")] * 2


async def test_anyios_open_file(tmp_path):
    path = opened(tmp_path, "a.png", PNG)
    async with await anyio.open_file(path, "rb") as file:
        assert await staged(tmp_path / "root", file) == ("a.png", PNG, "image/png")
    assert await staged(tmp_path / "root", anyio.Path(path)) == ("a.png", PNG, "image/png")


# code of the caller's that was cancelled itself


@pytest.mark.parametrize("where", ["read", "async read", "on_event", "refresh", "client"])
async def test_what_the_callers_own_code_waited_for_was_cancelled_and_no_sibling_ends(tmp_path, where, loop_name):
    """On asyncio, that looks as if the download itself were cancelled."""
    if loop_name == "trio":
        pytest.skip("asyncio's own")
    dead = asyncio.ensure_future(asyncio.sleep(9))
    dead.cancel()
    await asyncio.wait([dead])

    class Reader:
        name = "upload.bin"

        def read(self, size=-1):
            return dead.result()

    class AsyncReader:
        name = "upload.bin"

        async def read(self, size=-1):
            return await dead

    async def refresh(links):
        return await dead

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            await dead

    async with FakeCDN() as cdn, httpx.AsyncClient(transport=Broken()) as client:
        sources, reasons, options = [cdn.serve("/slow", b"123456", Drip(2, every=0.02))], ["staged"], {}
        if where.endswith("read"):
            sources.append(Reader() if where == "read" else AsyncReader())
            reasons.append("interrupted")
        elif where == "on_event":
            options["on_event"] = lambda event: dead.result()
        elif where == "refresh":
            sources.append("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1")
            reasons.append("expired")
            options["refresh"] = refresh
        else:
            options["client"], reasons = client, ["interrupted"]
        async with AttachmentStage(tmp_path, policy=cdn.policy, limits=Limits(retries=0), **options) as stage:
            outcomes = await stage.download(*sources)
        assert [getattr(outcome, "reason", "staged") for outcome in outcomes] == reasons
        assert asyncio.current_task().cancelling() == 0
